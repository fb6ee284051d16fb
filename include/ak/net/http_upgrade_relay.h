/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two connections that left HTTP behind, one into the other: what our server was asked to upgrade, and a tunnel to the
 * server that agreed to it. Bytes pass unchanged, and neither side is read faster than the other takes it: at most
 * AK_HTTP_UPGRADE_HIGH_WATER bytes and one read wait here for the client, and what the upstream does not take
 * stays with the client. The end of either side is the end of both; what was said before it is still passed on.
 *
 *     r = ak_http_tunnel_open(client, &request, &tunnel, &reply, &err);        on a thread that may block
 *     r = ak_http_upgrade_relay_start(ex, tunnel, loop, &options, user, &relay, &err);              on the loop
 *
 * Thread: loop.
 */
#ifndef AK_NET_HTTP_UPGRADE_RELAY_H
#define AK_NET_HTTP_UPGRADE_RELAY_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/net/http_server.h>
#include <ak/net/http_tunnel.h>
#include <ak/net/loop.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_HTTP_UPGRADE_HIGH_WATER (256u << 10)

struct ak_http_upgrade_relay_options {
    const char *protocol; /* of Upgrade: "websocket" */
    const char *const
        *reply;           /* names of headers of the upstream's 101 that pass; NULL-terminated */
    bool frames;          /* it is WebSocket: stop() puts its last words between two frames only */
    ak_msec idle_timeout; /* without a byte either way; 0: none */
    ak_msec patience;     /* that the client has for the last bytes; 0: 10 s */
    /* The last call, once. Bytes from and to the client; code 0: one of the two ended it, AK_E_CANCELLED: stopped,
     * -ETIMEDOUT: idle, others: a connection broke. The tunnel is freed, the relay will be. */
    void (*end)(uint64_t from_client, uint64_t to_client, int code, void *user);
};
struct ak_http_upgrade_relay;
/*
 * Answers the exchange with 101. Owns the exchange and the tunnel from then on, and itself. Negative: nothing has
 * begun and both are still the caller's; -EPIPE: but the exchange is gone, because the client is. Options are
 * copied, the texts in them are not needed after the start.
 */
AK_PUBLIC AK_MUST_USE int ak_http_upgrade_relay_start(
    struct ak_http_exchange *ex, struct ak_http_tunnel *tunnel, struct ak_loop *loop,
    const struct ak_http_upgrade_relay_options *options, void *user,
    struct ak_http_upgrade_relay **ret, struct ak_error **reterr);
/* Ends both sides after sending `last` to the client: whole frames. May be NULL, and is left out in the middle of a
 * message of the upstream. */
AK_PUBLIC void ak_http_upgrade_relay_stop(struct ak_http_upgrade_relay *self, const void *last,
                                          size_t len);

#endif
