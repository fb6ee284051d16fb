/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/lines.h"

#include <string.h>

#define KEEP (256u << 10) /* a larger buffer is given back after its line */

size_t ak_utf8_cut(const char *text, size_t len, size_t max)
{
    size_t n = max;

    if (len <= max)
        return len;
    /* A character has at most three bytes after its first. */
    while (n > 0 && max - n < 4 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n == 0 || max - n >= 4 ? max : n;
}

void ak_lines_init(struct ak_lines *self, size_t whole, ak_lines_fn fn, void *user)
{
    *self = (struct ak_lines){
        .held = AK_BUF_INIT(AK_MAX(whole, AK_LINES_PIECE)),
        .whole = AK_MAX(whole, AK_LINES_PIECE),
        .fn = fn,
        .user = user,
    };
}

void ak_lines_done(struct ak_lines *self)
{
    ak_buf_done(&self->held);
}

static void empty(struct ak_lines *self)
{
    if (self->held.cap > KEEP)
        ak_buf_done(&self->held);
    else
        ak_buf_clear(&self->held);
}

/* Gives out full pieces of what is held; a rest shorter than a piece stays. */
static void give_pieces(struct ak_lines *self)
{
    size_t at = 0;

    while (self->held.len - at > AK_LINES_PIECE) {
        size_t n = ak_utf8_cut(self->held.data + at, self->held.len - at, AK_LINES_PIECE);

        self->fn(self->user, AK_LINE_PIECE, self->held.data + at, n);
        at += n;
    }
    ak_buf_consume(&self->held, at);
}

static void end_line(struct ak_lines *self)
{
    size_t len = self->held.len;

    if (self->in_long)
        give_pieces(self);
    len = self->held.len;
    if (len > 0 && self->held.data[len - 1] == '\r')
        len--;
    self->fn(self->user, self->in_long ? AK_LINE_LAST : AK_LINE_WHOLE, ak_buf_text(&self->held),
             len);
    self->in_long = false;
    empty(self);
}

/* Part of one line. */
static void add(struct ak_lines *self, const char *data, size_t len)
{
    while (len > 0) {
        size_t limit = self->in_long ? 2 * AK_LINES_PIECE : self->whole;
        size_t n = AK_MIN(len, limit - AK_MIN(limit, self->held.len));

        if (n > 0 && ak_buf_add(&self->held, data, n) < 0) {
            /* No memory to hold it: out with it as it is. */
            self->in_long = true;
            give_pieces(self);
            self->fn(self->user, AK_LINE_PIECE, ak_buf_text(&self->held), self->held.len);
            ak_buf_done(&self->held);
            self->fn(self->user, AK_LINE_PIECE, data, n);
        }
        data += n;
        len -= n;
        if (self->held.len >= limit) {
            self->in_long = true;
            give_pieces(self);
        }
    }
}

void ak_lines_feed(struct ak_lines *self, const char *data, size_t len)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;

        add(self, data, n);
        if (end)
            end_line(self);
        n += end != NULL;
        data += n;
        len -= n;
    }
}

void ak_lines_end(struct ak_lines *self)
{
    if (self->held.len > 0 || self->in_long)
        end_line(self);
}
