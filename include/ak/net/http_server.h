/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 server on libevent's bufferevents: plain or TLS, many routes, answers now or later.
 * TCP_NODELAY is set on every connection (without it TLS with kept-alive connections is 60 times slower).
 */
#ifndef AK_NET_HTTP_SERVER_H
#define AK_NET_HTTP_SERVER_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/net/loop.h>
#include <stdbool.h>
#include <stdint.h>

struct ak_http_server;
struct ak_http_exchange; /* one request that waits for its answer */
typedef struct ssl_ctx_st SSL_CTX;

typedef void (*ak_http_handler_fn)(struct ak_http_exchange *ex, void *user);
struct ak_http_route {
    const char *method; /* NULL: any */
    const char *path;   /* exact, or a prefix when it ends in '*' */
    ak_http_handler_fn handler;
};

struct ak_http_server_options {
    const char *bind_address; /* NULL: all addresses, IPv6 included when there is IPv6 */
    uint16_t port;            /* 0: any free one, see ak_http_server_port() */
    SSL_CTX *tls;             /* NULL: plain. Borrowed; replaced by ak_http_server_set_tls() */
    const struct ak_http_route *routes; /* ended by an entry with handler NULL; first match wins */
    void *user;
    size_t max_body;      /* bytes; 0: 1 MiB */
    size_t max_header;    /* bytes; 0: 16 KiB */
    int max_connections;  /* 0: 1024; more are closed at once */
    ak_msec idle_timeout; /* 0: 60 s; also bounds a slow request */
};
/* Thread: loop (not inside a handler), or loop stopped. */
AK_PUBLIC struct ak_http_server *ak_http_server_free(struct ak_http_server *self);
AK_PUBLIC AK_MUST_USE int ak_http_server_new(struct ak_loop *loop,
                                             const struct ak_http_server_options *options,
                                             struct ak_http_server **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_http_server, ak_http_server_free)
/* A graceful end: accepts no more, closes idle connections, and each other one after its answer. Returns how
 * many are left; to be called again, and followed by free, which cuts what is still there. Thread: loop. */
AK_PUBLIC size_t ak_http_server_drain(struct ak_http_server *self);
AK_PUBLIC uint16_t ak_http_server_port(const struct ak_http_server *self);
AK_PUBLIC void ak_http_server_set_tls(struct ak_http_server *self,
                                      SSL_CTX *tls); /* new connections */

/* Of one exchange. Borrowed for its life. Thread: loop. */
AK_PUBLIC const char *ak_http_method(const struct ak_http_exchange *ex);
AK_PUBLIC const char *ak_http_path(
    const struct ak_http_exchange *ex); /* without the query, not decoded */
AK_PUBLIC const char *ak_http_query(const struct ak_http_exchange *ex); /* "" if none */
AK_PUBLIC const char *ak_http_header(const struct ak_http_exchange *ex,
                                     const char *name); /* or NULL */
AK_PUBLIC const char *ak_http_body(const struct ak_http_exchange *ex, size_t *ret_len);
AK_PUBLIC const char *ak_http_peer(
    const struct ak_http_exchange *ex); /* "10.0.0.1:4711", "[::1]:4711" */
/* Answers, once; the exchange is gone afterwards. `extra` lines as in requests, may be NULL. */
AK_PUBLIC void ak_http_reply_text(struct ak_http_exchange *ex, int status, const char *content_type,
                                  const char *body, size_t len, const char *const *extra);
/* Streaming answer: begin, chunks, end. chunk returns the bytes that wait to be sent to this client
 * (back-pressure); negative: the client has gone (-EPIPE, without on_close), or 8 MiB wait (-ENOBUFS): end
 * or abort it. abort ends the connection without the mark of a complete answer. */
AK_PUBLIC void ak_http_reply_begin(struct ak_http_exchange *ex, int status,
                                   const char *content_type);
AK_PUBLIC int64_t ak_http_reply_chunk(struct ak_http_exchange *ex, const char *data, size_t len);
AK_PUBLIC void ak_http_reply_end(struct ak_http_exchange *ex);
AK_PUBLIC void ak_http_reply_abort(struct ak_http_exchange *ex);
/* fn is called when the client goes away before the answer was complete, or the server is freed; the
 * exchange is then gone. Without it the exchange stays until it is answered, into the void. */
AK_PUBLIC void ak_http_on_close(struct ak_http_exchange *ex, ak_loop_fn fn, void *user);

#endif
