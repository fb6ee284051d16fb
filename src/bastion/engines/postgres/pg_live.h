/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections to servers that clients have through us, by the key that a client shows when it wants its
 * statement cancelled. That request comes on a connection of its own, which may belong to another session; who
 * knows the key may cancel, as with the server.
 */
#ifndef AK_BASTION_PG_LIVE_H
#define AK_BASTION_PG_LIVE_H

#include "bastion/wire.h"

struct ak__pg_live { /* lives on the stack of who serves the client */
    uint32_t pid, key;
    const struct ak_wire_options *upstream;
    struct ak__pg_live *next;
};
/* Thread: any. */
void ak__pg_live_add(struct ak__pg_live *live);
void ak__pg_live_remove(struct ak__pg_live *live);
void ak__pg_live_cancel(uint32_t pid,
                        uint32_t key); /* nothing if there is none; blocks up to 2 s */

#endif
