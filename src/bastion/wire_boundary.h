/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a relay was cancelled: what the server has begun to say is carried on to the end of its message, so that last
 * words for the client are not taken for a part of it.
 */
#ifndef AK_BASTION_WIRE_BOUNDARY_H
#define AK_BASTION_WIRE_BOUNDARY_H

#include "bastion/wire_relay.h"

/*
 * Reads from the server, at most what `missing` says each time, until it says 0 or the deadline passes. Whether it
 * came that far, and the client took all of it.
 */
bool ak_wire_reach_boundary(struct ak_wire *client, struct ak_wire *server,
                            const struct ak_relay_protocol *protocol, void *user,
                            size_t (*missing)(void *user), ak_msec deadline);
/* Writes last words, without caring for a cancel: whether the client took them in time. */
bool ak_wire_say(struct ak_wire *client, const void *data, size_t len, ak_msec deadline);

#endif
