/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of a WebSocket (RFC 6455) on wslay, without any I/O: bytes from the peer are fed, bytes for it
 * are taken from `out`. Pings are answered, messages are put together from their fragments, what a client must
 * refuse is refused. No extensions.
 */
#ifndef AK_NET_WEBSOCKET_H
#define AK_NET_WEBSOCKET_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_WEBSOCKET_MAX_MESSAGE (4u << 20)
#define AK_WEBSOCKET_MAX_OUT (8u << 20) /* bytes that wait to be sent */
#define AK_WEBSOCKET_KEY 25             /* bytes of Sec-WebSocket-Key, its NUL included */

/* --- the handshake --- */

/* A fresh random Sec-WebSocket-Key. */
AK_PUBLIC AK_MUST_USE int ak_websocket_key(char ret[static AK_WEBSOCKET_KEY],
                                           struct ak_error **reterr);
/* Does this value of Sec-WebSocket-Accept answer the key? */
AK_PUBLIC bool ak_websocket_is_accepted(const char *key, const char *accept);

/* --- the connection --- */

struct ak_websocket;
struct ak_websocket_ops {
    /* A whole message; data is borrowed. Return negative to give up: feed returns it. */
    int (*message)(bool text, const void *data, size_t len, void *user);
    /* The peer closes; 1005: without a code. Nothing follows. May be NULL. */
    void (*closed)(uint16_t code, const char *reason, size_t len, void *user);
};
AK_PUBLIC struct ak_websocket *ak_websocket_free(struct ak_websocket *self);
AK_PUBLIC AK_MUST_USE int ak_websocket_new(const struct ak_websocket_ops *ops, void *user,
                                           size_t max_message, struct ak_websocket **ret,
                                           struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_websocket, ak_websocket_free)
/* Bytes from the peer. AK_E_PROTOCOL: it broke the protocol (a close frame that says so is in `out`); AK_E_TOO_LARGE: a
 * message above max_message; or what message() returned. */
AK_PUBLIC AK_MUST_USE int ak_websocket_feed(struct ak_websocket *self, const void *data, size_t len,
                                            struct ak_error **reterr);
/* -ENOBUFS: AK_WEBSOCKET_MAX_OUT bytes wait; -EPIPE: the connection is closing. */
AK_PUBLIC AK_MUST_USE int ak_websocket_send(struct ak_websocket *self, bool text, const void *data,
                                            size_t len);
AK_PUBLIC AK_MUST_USE int ak_websocket_ping(struct ak_websocket *self);
AK_PUBLIC AK_MUST_USE int ak_websocket_close(struct ak_websocket *self, uint16_t code);
/* What is to be sent to the peer; the caller ak_buf_consume()s what it has sent. */
AK_PUBLIC struct ak_buf *ak_websocket_out(struct ak_websocket *self);
AK_PUBLIC bool ak_websocket_is_closed(
    const struct ak_websocket *self); /* both sides have said so */

#endif
