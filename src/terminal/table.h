/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of text in columns that align, three blanks between them, as kubectl prints them. Cells are copied.
 *
 *     AK_AUTO(ak_table) t = {0};
 *     r = ak_table_add(&t, "NAME", "READY");          the first row is the header
 *     r = ak_table_add(&t, name, "1/1");
 *     r = ak_table_write(&t, &out);
 */
#ifndef AK_TERMINAL_TABLE_H
#define AK_TERMINAL_TABLE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stddef.h>

#define AK_TABLE_COLUMNS 32
#define AK_TABLE_BYTES (64u << 20) /* of all cells; more is AK_E_TOO_LARGE */

struct ak_table {
    struct ak_buf cells; /* NUL-terminated texts, one after another */
    size_t columns;      /* of the row with the most */
    size_t widths[AK_TABLE_COLUMNS];
    size_t in_row; /* cells of the row that is being added */
};

void ak_table_done(struct ak_table *self);
AK_DEFINE_AUTO(ak_table, ak_table_done)
/* Adds a cell to the last row (NULL: ""; control characters become blanks), and ends it. -EINVAL: more
 * columns than AK_TABLE_COLUMNS. */
AK_MUST_USE int ak_table_cell(struct ak_table *self, const char *text);
AK_MUST_USE int ak_table_end_row(struct ak_table *self);
AK_MUST_USE int ak_table_add_row(struct ak_table *self, const char *const *cells, size_t n);
#define ak_table_add(self, ...)                                                                    \
    ak_table_add_row((self), (const char *const[]){__VA_ARGS__},                                   \
                     AK_ARRAY_LEN(((const char *const[]){__VA_ARGS__})))
/* Writes the rows and forgets them; the widths stay, so that rows that come later align with these. */
AK_MUST_USE int ak_table_write(struct ak_table *self, struct ak_buf *out);

#endif
