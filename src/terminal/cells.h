/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as a terminal shows it: how many columns it takes, and what of it a terminal must not get.
 * Text is UTF-8 whatever the locale says; bytes that are not UTF-8 count as one column each and are
 * shown as U+FFFD. Pure.
 */
#ifndef AK_TERMINAL_CELLS_H
#define AK_TERMINAL_CELLS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stddef.h>
#include <stdint.h>

/* The next character; advances *at by at least one byte. -1: a byte that is no UTF-8. */
int32_t ak_cells_next(const char *text, size_t len, size_t *at);
/* Columns of one character: 0 (combining marks, joiners), 1, or 2 (CJK, emoji). */
int ak_cells_of(int32_t character);
size_t ak_cells_width(const char *text, size_t len);
/* Bytes of the longest beginning that fits into so many columns. */
size_t ak_cells_fit(const char *text, size_t len, size_t columns);
/*
 * Adds text that somebody else wrote so that a terminal only shows it: control characters (escape
 * sequences begin with one) become U+FFFD, a carriage return ends a line or is dropped before a line feed; line
 * feeds and tabs stay. *pending_cr carries a carriage return at the end of a piece to the next one.
 */
AK_MUST_USE int ak_cells_add_shown(struct ak_buf *out, const char *text, size_t len,
                                   bool *pending_cr);
/* The same on one line: every control character is a blank, and what is beyond `columns` becomes "…". */
AK_MUST_USE int ak_cells_add_line(struct ak_buf *out, const char *text, size_t len, size_t columns);

#endif
