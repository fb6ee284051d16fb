/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of a client that leaves HTTP behind: a request that asks for an upgrade, and after 101 Switching
 * Protocols the bare connection, TLS and proxy included. For programs that wait with poll().
 */
#ifndef AK_NET_HTTP_TUNNEL_H
#define AK_NET_HTTP_TUNNEL_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/net/http_client.h>
#include <stddef.h>
#include <stdint.h>

/* Of one thread at a time. Freed before its client. */
struct ak_http_tunnel;
AK_PUBLIC struct ak_http_tunnel *ak_http_tunnel_free(struct ak_http_tunnel *self);
AK_DEFINE_AUTO_PTR(ak_http_tunnel, ak_http_tunnel_free)
/* Sends `req` (no body; its headers ask for the upgrade) on a connection of its own and reads the head of the answer.
 * 1: 101, *ret is the connection. 0: another answer, in *reply (its body cut to 64 KiB). Negative: as
 * ak_http_do(). Blocks at most req->timeout. */
AK_PUBLIC AK_MUST_USE int ak_http_tunnel_open(struct ak_http_client *client,
                                              const struct ak_http_request *req,
                                              struct ak_http_tunnel **ret,
                                              struct ak_http_reply *reply,
                                              struct ak_error **reterr);
/* A header of the 101; NULL: there is none. Borrowed. */
AK_PUBLIC const char *ak_http_tunnel_header(const struct ak_http_tunnel *self, const char *name);
/* For poll(). Bytes may be there already without it being readable: receive until -EAGAIN before waiting. */
AK_PUBLIC int ak_http_tunnel_fd(const struct ak_http_tunnel *self);
/* Bytes that were sent, perhaps fewer than len; -EAGAIN: none can be now, and the next call has to begin with the
 * same bytes (more may follow, and they may lie elsewhere). AK_E_PROTOCOL: the connection broke. */
AK_PUBLIC AK_MUST_USE int64_t ak_http_tunnel_send(struct ak_http_tunnel *self, const void *data,
                                                  size_t len, struct ak_error **reterr);
/* Bytes that were received; 0: the peer ended the connection; -EAGAIN: none are there. */
AK_PUBLIC AK_MUST_USE int64_t ak_http_tunnel_recv(struct ak_http_tunnel *self, void *data,
                                                  size_t len, struct ak_error **reterr);

#endif
