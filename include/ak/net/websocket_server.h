/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of a WebSocket (RFC 6455), without any I/O and without memory of its own: bytes of the client are
 * fed, messages come out in pieces as they arrive, whatever their size, so that a gigabyte costs nothing. Binary
 * messages only, no extensions. Static programs use it (wslay, which websocket.h stands on, is no archive in Debian).
 *
 *     ak_websocket_server_init(&ws, &ops, user);
 *     used = ak_websocket_server_feed(&ws, data, len, &err);     in input() of <ak/net/http_upgrade.h>
 *     n = ak_websocket_head(AK_WEBSOCKET_BINARY, len, head);     then head and payload go out
 */
#ifndef AK_NET_WEBSOCKET_SERVER_H
#define AK_NET_WEBSOCKET_SERVER_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --- the handshake --- */

#define AK_WEBSOCKET_ACCEPT 29 /* bytes of Sec-WebSocket-Accept, its NUL included */
/* The answer to a Sec-WebSocket-Key. -EINVAL: it is none (16 bytes in base64). */
AK_PUBLIC AK_MUST_USE int ak_websocket_accept(const char *key,
                                              char ret[static AK_WEBSOCKET_ACCEPT]);

/* --- frames to the client --- */

enum ak_websocket_opcode {
    AK_WEBSOCKET_CONTINUATION = 0,
    AK_WEBSOCKET_TEXT = 1,
    AK_WEBSOCKET_BINARY = 2,
    AK_WEBSOCKET_CLOSE = 8,
    AK_WEBSOCKET_PING = 9,
    AK_WEBSOCKET_PONG = 10,
};
#define AK_WEBSOCKET_HEAD 10 /* bytes at most of a frame's head to a client */
/* Writes the head of a whole (final) frame; returns its length. */
AK_PUBLIC size_t ak_websocket_head(enum ak_websocket_opcode opcode, uint64_t len,
                                   uint8_t ret[static AK_WEBSOCKET_HEAD]);

/* --- frames from the client --- */

struct ak_websocket_server_ops {
    /* Bytes of a message, borrowed; `first` and `last` piece of it (both for a short one, len may be 0). 0: go on;
     * 1: taken, but feed no more for now; negative: give up, feed returns it. */
    int (*piece)(const uint8_t *data, size_t len, bool first, bool last, void *user);
    /* A ping, which is to be answered with its own bytes, or a pong (to be answered by nothing). Return as piece(). */
    int (*ping)(const uint8_t *data, size_t len, void *user);
    /* The client closes (1005: without a code); what follows is not looked at. */
    void (*closed)(uint16_t code, void *user);
};

#define AK_WEBSOCKET_CONTROL 125 /* bytes of a control frame's payload */

/* In the caller's memory, with nothing to release. */
struct ak_websocket_server {
    const struct ak_websocket_server_ops *ops;
    void *user;
    uint8_t head[14];
    size_t head_len; /* bytes of the head that are there */
    bool in_payload;
    uint64_t left;          /* bytes of this frame's payload that are missing */
    unsigned masked;        /* how many have gone through the mask, modulo 4 */
    bool in_message, first; /* a message has begun; nothing of it was given out */
    bool is_closed;
    uint8_t control[AK_WEBSOCKET_CONTROL];
    size_t control_len;
};
AK_PUBLIC void ak_websocket_server_init(struct ak_websocket_server *self,
                                        const struct ak_websocket_server_ops *ops, void *user);
/* Returns how many bytes are used up: all, unless piece() or ping() said 1. AK_E_PROTOCOL: the client broke the
 * protocol (close with 1002); or what a function returned. */
AK_PUBLIC AK_MUST_USE ssize_t ak_websocket_server_feed(struct ak_websocket_server *self,
                                                       const void *data, size_t len,
                                                       struct ak_error **reterr);

#endif
