/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a stream of bytes into lines of any length. Up to `whole` bytes a line comes in one piece;
 * of a longer one what was gathered comes at once, and the rest as it arrives, each piece at most
 * AK_LINES_PIECE bytes, cut between characters of UTF-8. Memory is bounded by `whole`. Pure.
 */
#ifndef AK_AGENTLET_RUNS_LINES_H
#define AK_AGENTLET_RUNS_LINES_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>

#define AK_LINES_PIECE (64u << 10)

enum ak_line_part {
    AK_LINE_WHOLE, /* a line, without its line feed (and the carriage return before it) */
    AK_LINE_PIECE, /* of a line that was too long to be held: more follows */
    AK_LINE_LAST,  /* the end of such a line */
};
/* Borrowed for the call. */
typedef void (*ak_lines_fn)(void *user, enum ak_line_part part, const char *text, size_t len);

struct ak_lines {
    struct ak_buf held;
    size_t whole;
    bool in_long;
    ak_lines_fn fn;
    void *user;
};

/* `whole` at least AK_LINES_PIECE. */
void ak_lines_init(struct ak_lines *self, size_t whole, ak_lines_fn fn, void *user);
void ak_lines_done(struct ak_lines *self);
AK_DEFINE_AUTO(ak_lines, ak_lines_done)
/* Out of memory a line is treated as one that is too long. */
void ak_lines_feed(struct ak_lines *self, const char *data, size_t len);
/* The stream has ended: what has no line feed is a line too. */
void ak_lines_end(struct ak_lines *self);

/* How much of the text can be taken so that at most `max` bytes are, and no character is cut. */
size_t ak_utf8_cut(const char *text, size_t len, size_t max);

#endif
