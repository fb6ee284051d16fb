/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run's events from the manager until the run ends. A connection that breaks is made again, with the number of the
 * last event, so that each event comes once and none is missed.
 */
#ifndef AK_EXO_FOLLOW_H
#define AK_EXO_FOLLOW_H

#include <ak/net/sse.h>

#include "exo/exo.h"

#define AK_FOLLOW_TRIES 40 /* one after another that bring nothing; some two minutes */

struct ak_follow {
    struct ak_exo *exo;
    const char *agent, *id;
    uint64_t after; /* the number of the last event that was shown */
    bool once;      /* what there is now, without waiting for more */
    /* Each event; `data` is NULL if it is no JSON object. Negative gives up. */
    int (*event)(uint64_t number, const char *type, const json_t *data, void *user,
                 struct ak_error **reterr);
    /* Ctrl-C, once; what it returns, if negative, ends the following. NULL: Ctrl-C ends it. */
    int (*interrupted)(void *user, struct ak_error **reterr);
    void *user;
};
/* *ret_record is the record with which the run ended (the caller's to release); NULL with `once`, if it has not. */
AK_MUST_USE int ak_follow(const struct ak_follow *self, json_t **ret_record,
                          struct ak_error **reterr);

#endif
