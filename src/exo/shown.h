/* SPDX-License-Identifier: Apache-2.0 */
/* A run's events on this terminal, or as one JSON object a line: the sink of ak_follow(). */
#ifndef AK_EXO_SHOWN_H
#define AK_EXO_SHOWN_H

#include "exo/exo.h"
#include "exo/render.h"

struct ak_shown {
    struct ak_exo *exo;
    struct ak_render render;
    struct ak_buf out, err;
    int err_fd; /* STDOUT_FILENO where all of it is the result (logs) */
};
void ak_shown_init(struct ak_shown *self, struct ak_exo *exo, int err_fd);
void ak_shown_done(struct ak_shown *self);
AK_DEFINE_AUTO(ak_shown, ak_shown_done)
/* As in struct ak_follow; `user` is the struct ak_shown. */
int ak_shown_event(uint64_t number, const char *type, const json_t *data, void *user,
                   struct ak_error **reterr);
/* The last line, on stderr; nothing with -o json, which has the record in its last event. */
AK_MUST_USE int ak_shown_summary(struct ak_shown *self, const json_t *record,
                                 struct ak_error **reterr);

#endif
