/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a terminal showed, as an asciicast of version 2 (docs.asciinema.org): a header line, then one line for each
 * piece of output and each change of size, with the seconds since the start. What is typed is not recorded: passwords
 * that a terminal does not echo are in no recording. Pure; of one thread at a time.
 *
 *     ak_recorder_init(&r, &(struct ak_recorder_options){.columns = 80, .rows = 24, .start = wall, .title = "db"});
 *     ak_recorder_output(&r, data, len, elapsed);
 *     ak_recorder_resize(&r, 120, 40, elapsed);
 *     ak_recorder_finish(&r, elapsed);                 then r.text, until done
 */
#ifndef AK_BASTION_RECORDER_H
#define AK_BASTION_RECORDER_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stddef.h>

#define AK_RECORDER_MAX                                                                            \
    (8u << 20) /* bytes of one recording; what comes later is left out, and it says so */

struct ak_recorder_options {
    unsigned short columns, rows; /* 0: 80 and 24 */
    ak_msec start;                /* wall clock */
    const char *title;            /* NULL: none */
    size_t max;                   /* 0: AK_RECORDER_MAX */
};
struct ak_recorder {
    struct ak_buf text; /* whole lines */
    ak_msec last;       /* elapsed, of the last line */
    char tail[4];       /* of a character that is not complete yet */
    size_t tail_len;
    bool truncated; /* there was more than fits, or no memory for it */
};
/* -ENOMEM. */
AK_MUST_USE int ak_recorder_init(struct ak_recorder *self,
                                 const struct ak_recorder_options *options);
void ak_recorder_done(struct ak_recorder *self);
AK_DEFINE_AUTO(ak_recorder, ak_recorder_done)
/* Bytes that are no UTF-8 become U+FFFD. `elapsed` since the start; one before the last one's counts as that. */
void ak_recorder_output(struct ak_recorder *self, const char *data, size_t len, ak_msec elapsed);
void ak_recorder_resize(struct ak_recorder *self, unsigned short columns, unsigned short rows,
                        ak_msec elapsed);
/* Writes what is left of an incomplete character, and a mark if something is missing. */
void ak_recorder_finish(struct ak_recorder *self, ak_msec elapsed);

#endif
