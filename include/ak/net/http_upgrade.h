/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of our server that leaves HTTP behind: 101 Switching Protocols, and then bytes both ways, over TCP, a
 * Unix socket or TLS, whatever the request came by. Both directions have a limit: what input() does not take stays
 * in the kernel but for AK_HTTP_UPGRADE_READ_AHEAD bytes, and what the peer does not take is the server's max_waiting
 * at most.
 *
 * It counts as a connection of its server, also when the server drains, and goes when the server is freed. No timeout
 * of the server holds for it any more: who took it over decides how long silence may last.
 *
 *     r = ak_http_upgrade(ex, "websocket", lines, &ops, user, &connection);
 *
 * Thread: loop.
 */
#ifndef AK_NET_HTTP_UPGRADE_H
#define AK_NET_HTTP_UPGRADE_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/net/http_server.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_HTTP_UPGRADE_READ_AHEAD (64u << 10)

struct ak_http_upgraded;
struct ak_http_upgraded_ops {
    /* Bytes of the peer, borrowed. Returns how many are used up; the rest is offered again after
     * ak_http_upgraded_resume(), or when more arrives. May close the connection. */
    size_t (*input)(const char *data, size_t len, void *user);
    /* Some was sent and not more than low_water bytes wait now. May be NULL. */
    void (*drained)(void *user);
    /* The peer has ended or reset the connection, or the server is freed; it is gone then, and no call follows. What
     * input() was offered before and did not take is lost. */
    void (*closed)(void *user);
    size_t low_water;
};

/* Does the request ask for this protocol (Connection: upgrade, Upgrade: PROTOCOL, GET, HTTP/1.1)? */
AK_PUBLIC bool ak_http_wants_upgrade(const struct ak_http_exchange *ex, const char *protocol);
/*
 * Answers 101 with `extra` header lines (may be NULL) beside Upgrade and Connection; the exchange is gone then. ops
 * must live as long as the connection. What came behind the request is offered to input() soon, not before this
 * returns. -EPIPE: the client has gone already (the exchange is gone too); -ENOMEM, -EINVAL (a line with a line end in
 * it): the exchange is still the caller's to answer.
 */
AK_PUBLIC AK_MUST_USE int ak_http_upgrade(struct ak_http_exchange *ex, const char *protocol,
                                          const char *const *extra,
                                          const struct ak_http_upgraded_ops *ops, void *user,
                                          struct ak_http_upgraded **ret);
/* The bytes that wait to be sent, these included; -ENOBUFS: max_waiting would be exceeded (nothing was taken);
 * -ENOMEM. */
AK_PUBLIC AK_MUST_USE int64_t ak_http_upgraded_write(struct ak_http_upgraded *self,
                                                     const void *data, size_t len);
AK_PUBLIC size_t ak_http_upgraded_waiting(const struct ak_http_upgraded *self);
/* Offers what input() has left, soon. */
AK_PUBLIC void ak_http_upgraded_resume(struct ak_http_upgraded *self);
/* Ends it: after what waits was sent, for which the peer has `patience` (0: nothing more is sent). No call follows,
 * and the caller has it no longer. */
AK_PUBLIC void ak_http_upgraded_close(struct ak_http_upgraded *self, ak_msec patience);

#endif
