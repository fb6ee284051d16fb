/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#define MARK_ROOM 128 /* kept for the line that says that something is missing */
#define PIECE 16384   /* bytes of output in a line */

int ak_recorder_init(struct ak_recorder *self, const struct ak_recorder_options *o)
{
    size_t max = o->max ? o->max : AK_RECORDER_MAX;

    *self = (struct ak_recorder){.text = AK_BUF_INIT(max + MARK_ROOM)};
    int r = ak_buf_addf(
        &self->text, "{\"version\": 2, \"width\": %u, \"height\": %u, \"timestamp\": %" PRId64,
        o->columns ? o->columns : 80u, o->rows ? o->rows : 24u, (int64_t)(o->start / 1000));
    if (r >= 0 && o->title) {
        r = ak_buf_adds(&self->text, ", \"title\": ");
        if (r >= 0)
            r = ak_buf_add_json_string(&self->text, o->title, strlen(o->title));
    }
    return r < 0 ? r : ak_buf_adds(&self->text, "}\n");
}

void ak_recorder_done(struct ak_recorder *self)
{
    ak_buf_done(&self->text);
}

/* [seconds, "kind", "text"]: whole, or not at all. */
static void add_line(struct ak_recorder *self, char kind, const char *text, size_t len,
                     ak_msec elapsed)
{
    size_t before = self->text.len;
    ak_msec at = AK_MAX(elapsed, self->last);

    if (self->truncated)
        return;
    int r = ak_buf_addf(&self->text, "[%" PRId64 ".%03d, \"%c\", ", (int64_t)(at / 1000),
                        (int)(at % 1000), kind);
    if (r >= 0)
        r = ak_buf_add_json_string(&self->text, text, len);
    if (r >= 0)
        r = ak_buf_adds(&self->text, "]\n");
    if (r >= 0 && self->text.len + MARK_ROOM <= self->text.max) {
        self->last = at;
        return;
    }
    self->text.len = before;
    if (self->text.data)
        self->text.data[before] = '\0';
    self->truncated = true;
}

/* Bytes at the end that begin a character and do not finish it; at most 3. */
static size_t incomplete(const char *data, size_t len)
{
    for (size_t back = 1; back <= AK_MIN(len, 3); back++) {
        unsigned char c = (unsigned char)data[len - back];
        size_t wants = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : c >= 0x80 ? 0 : 1;
        if (wants)
            return wants > back ? back : 0;
    }
    return 0;
}

/* One line of output: what was left before, and len bytes. */
static void add_output(struct ak_recorder *self, const char *data, size_t len, ak_msec elapsed)
{
    char piece[PIECE + sizeof(self->tail)];

    memcpy(piece, self->tail, self->tail_len);
    memcpy(piece + self->tail_len, data, len);
    len += self->tail_len;
    self->tail_len = incomplete(piece, len);
    memcpy(self->tail, piece + len - self->tail_len, self->tail_len);
    if (len > self->tail_len)
        add_line(self, 'o', piece, len - self->tail_len, elapsed);
}

void ak_recorder_output(struct ak_recorder *self, const char *data, size_t len, ak_msec elapsed)
{
    while (len && !self->truncated) {
        size_t n = AK_MIN(len, PIECE);
        add_output(self, data, n, elapsed);
        data += n;
        len -= n;
    }
}

void ak_recorder_resize(struct ak_recorder *self, unsigned short columns, unsigned short rows,
                        ak_msec elapsed)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%ux%u", columns, rows);

    add_line(self, 'r', text, (size_t)n, elapsed);
}

void ak_recorder_finish(struct ak_recorder *self, ak_msec elapsed)
{
    if (self->tail_len)
        add_line(self, 'o', self->tail, self->tail_len, elapsed);
    self->tail_len = 0;
    if (self->truncated) /* there is room for it, unless there was no memory: then it is the flag alone that says so */
        (void)!ak_buf_addf(&self->text,
                           "[%" PRId64 ".%03d, \"m\", \"the rest was not recorded\"]\n",
                           (int64_t)(self->last / 1000), (int)(self->last % 1000));
}
