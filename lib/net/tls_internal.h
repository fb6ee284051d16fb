/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server needs of TLS, as a table: only who makes a context links OpenSSL.
 */
#ifndef AK_NET_TLS_INTERNAL_H
#define AK_NET_TLS_INTERNAL_H

#include <stdatomic.h>

#include <ak/net/tls.h>

struct bufferevent;
struct event_base;

struct ak__tls_ops {
    /* NULL: no memory; the caller still has the socket. */
    struct bufferevent *(*bev_new)(struct ak_tls_context *ctx, struct event_base *base, int fd);
    void (*goodbye)(struct bufferevent *bev);    /* tells the peer, does not wait for its answer */
    char *(*peer_name)(struct bufferevent *bev); /* of a verified certificate, or NULL; ak_free() */
    struct ak_tls_context *(*ref)(struct ak_tls_context *ctx);
    struct ak_tls_context *(*unref)(struct ak_tls_context *ctx);
};

#define AK__TLS_PIN 64 /* "sha256//" and 44 characters, with room */

struct ak_tls_context {
    const struct ak__tls_ops *ops;
    atomic_uint refs; /* relaxed up, acquire and release down */
    SSL_CTX *ctx;
    char *client_name;
    char pin[AK__TLS_PIN];
};

#endif
