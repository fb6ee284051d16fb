/* SPDX-License-Identifier: Apache-2.0 */
/* How a client introduces itself. */
#ifndef AK_BASTION_PG_SERVE_H
#define AK_BASTION_PG_SERVE_H

#include "bastion/engines/postgres/pg_conn.h"

/* What the startup message asks for; texts are the message's. */
struct ak_pg_wishes {
    struct ak_pg_setting settings[AK_PG_MAX_SETTINGS];
    size_t n;
    const char *user, *database;
    const char *unknown[8]; /* protocol extensions */
    size_t n_unknown;
};

/*
 * Reads packets up to the startup message, whose body (after the protocol's number) is left in `startup`:
 * returns 1. 0: it was a request to cancel, which has been done. -EPROTONOSUPPORT: another protocol;
 * AK_E_PROTOCOL: something else altogether.
 */
AK_MUST_USE int ak__pg_read_startup(struct ak_wire *wire, struct ak_buf *startup,
                                    uint32_t *ret_protocol, struct ak_error **reterr);
/* AK_E_FORBIDDEN: replication. `ret` is zeroed by the caller. */
AK_MUST_USE int ak__pg_read_wishes(const struct ak_buf *startup, struct ak_pg_wishes *ret,
                                   struct ak_error **reterr);

#endif
