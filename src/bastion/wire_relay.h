/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two wires and a protocol between them: bytes of each side go to a function of the protocol, which appends
 * what is to be sent, changed or not, to either side. Neither side can block the other: each direction has its
 * own buffer, and a side is read only while what it causes fits. So a client may send its next thousand
 * statements while the answer to the first still streams.
 *
 * The protocol's functions are pure (bytes in, bytes out), which is how they are tested and fuzzed.
 */
#ifndef AK_BASTION_WIRE_RELAY_H
#define AK_BASTION_WIRE_RELAY_H

#include "bastion/wire.h"
#include <ak/base/buf.h>

/* A side is not read while more than this waits for the other one. */
#define AK_RELAY_FULL (128u << 10)
/* The limit of each buffer: what one read (32 KiB) may cause at most, above AK_RELAY_FULL. */
#define AK_RELAY_MAX (1u << 20)

struct ak_relay_protocol {
    /*
     * Bytes came from the client (from the server). Takes all of them, keeps what is incomplete itself, and
     * appends to the buffers what shall be sent. 0 goes on; 1 ends the relay when both buffers have been
     * written; negative ends it at once.
     */
    int (*from_client)(void *user, const uint8_t *data, size_t len, struct ak_buf *to_server,
                       struct ak_buf *to_client, struct ak_error **reterr);
    int (*from_server)(void *user, const uint8_t *data, size_t len, struct ak_buf *to_server,
                       struct ak_buf *to_client, struct ak_error **reterr);
    /* The client is not read while this says so (until from_server() was called again); may be NULL. */
    bool (*is_client_paused)(void *user);
    /* The bytes that went through since the last call; may be NULL. */
    void (*moved)(void *user, uint64_t from_client, uint64_t from_server);
};

enum ak_relay_end {
    AK_RELAY_CLIENT_ENDED = 1, /* it closed; what it sent before was passed on */
    AK_RELAY_SERVER_ENDED,
    AK_RELAY_PROTOCOL_ENDED, /* a function returned 1 */
};
/*
 * Until one of them ends (returns an enum ak_relay_end), `cancel` is set (AK_E_CANCELLED; what waited for the
 * client was written, if it took it within a second: the caller adds the explanation), or something breaks
 * (negative). The wires stay the caller's. Deadlines of the wires do not count here.
 */
AK_MUST_USE int ak_wire_relay(struct ak_wire *client, struct ak_wire *server,
                              const struct ak_relay_protocol *protocol, void *user,
                              const struct ak_cancel *cancel, struct ak_error **reterr);

#endif
