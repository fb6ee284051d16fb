/* SPDX-License-Identifier: Apache-2.0 */
/* A session from the inside: for session.c, and for serve.c, which looks at all of them. */
#ifndef AK_BASTION_SESSION_TABLE_H
#define AK_BASTION_SESSION_TABLE_H

#include "bastion/bastion.h"

struct ak_session {
    struct ak_bastion *bastion;
    struct ak_session *next; /* loop */
    char id[AK_SESSION_ID];
    enum ak_session_kind kind;
    bool read_only, minted;
    struct ak_caller caller;
    struct ak_cancel cancel;
    ak_msec since, since_wall;
    void (*end)(void *owner);
    void *owner;
    atomic_uint refs;     /* relaxed up, acquire and release down */
    struct ak_mutex lock; /* guards what follows */
    char reason[512];
    ak_msec active; /* when something last happened */
    int busy;
    uint64_t bytes_in, bytes_out, n_statements;
    struct ak_statement *statements;
    size_t n_under_way;
    void *data, *listening;
    void (*free_data)(void *data);
};
/* The thread stops serving: what it has begun and not done is over. */
void ak_session_forget_thread(struct ak_session *self);

#endif
