/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 server on libevent's bufferevents: on TCP or a Unix socket, plain or TLS, many routes, answers now or
 * later. TCP_NODELAY is set on every connection (without it TLS with kept-alive connections is 60 times slower).
 *
 * A program that never makes a struct ak_tls_context links no TLS.
 */
#ifndef AK_NET_HTTP_SERVER_H
#define AK_NET_HTTP_SERVER_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/net/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ak_http_server;
struct ak_http_exchange; /* one request that waits for its answer */
struct ak_tls_context;   /* <ak/net/tls.h> */

typedef void (*ak_http_handler_fn)(struct ak_http_exchange *ex, void *user);
struct ak_http_route {
    const char *method; /* NULL: any */
    const char *path;   /* exact, or a prefix when it ends in '*' */
    ak_http_handler_fn handler;
};

struct ak_http_server_options {
    const char *bind_address; /* NULL: all addresses, IPv6 included when there is IPv6 */
    uint16_t port;            /* 0: any free one, see ak_http_server_port() */
    const char *
        unix_path; /* a socket in the file system instead of address and port; what is left there of
                               * an earlier process is replaced, and removed when the server goes */
    mode_t unix_mode; /* of that socket, whatever the umask is; 0: 0600 */
    struct ak_tls_context
        *tls; /* NULL: plain. A reference is taken; see ak_http_server_set_tls() */
    /* Ended by an entry with handler NULL; first match wins. Borrowed, as its texts are, until the server is freed: a
     * table that is made at run time belongs to who made it. */
    const struct ak_http_route *routes;
    void *user;
    size_t max_body; /* bytes; 0: 1 MiB */
    /* Bytes of all request bodies that are held at a time, those that were promised by a Content-Length included.
     * Who would exceed it gets 503 and Retry-After, at once. 0: max_body for each connection. */
    size_t max_bodies;
    size_t max_header;    /* bytes; 0: 16 KiB */
    int max_connections;  /* 0: 1024; more are closed at once */
    bool make_room;       /* instead, the one closes that has waited longest for a whole request */
    ak_msec idle_timeout; /* 0: 60 s; between requests, and of a whole request (head and body) */
    ak_msec request_timeout; /* of a whole request, from its first bytes; 0: idle_timeout */
    /* Writes the body of answers that the server itself gives (400, 408, 413, 431, 503, ...), of Content-Type
     * error_type. NULL: a line of text. */
    int (*error_body)(int status, struct ak_buf *out);
    const char *error_type;
    ak_msec
        write_timeout; /* 0: 60 s; a client that takes no byte for so long while some wait is cut */
    size_t max_waiting; /* unsent bytes of one streamed answer; 0: 8 MiB */
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
                                      struct ak_tls_context *tls); /* new connections */

/* Of one exchange. Borrowed for its life. Thread: loop. */
AK_PUBLIC const char *ak_http_method(const struct ak_http_exchange *ex);
AK_PUBLIC const char *ak_http_path(
    const struct ak_http_exchange *ex); /* without the query, not decoded */
AK_PUBLIC const char *ak_http_query(const struct ak_http_exchange *ex); /* "" if none */
AK_PUBLIC const char *ak_http_header(const struct ak_http_exchange *ex,
                                     const char *name); /* or NULL */
AK_PUBLIC const char *ak_http_body(const struct ak_http_exchange *ex, size_t *ret_len);
AK_PUBLIC const char *ak_http_peer(
    const struct ak_http_exchange *ex); /* "10.0.0.1:4711", "[::1]:4711", "unix:uid=65533,pid=7" */
/* Who connected to the Unix socket (SO_PEERCRED, of the time of its connect; a pid of another PID namespace
 * is 0). -ENOTSUP: not a Unix socket. Either output may be NULL. */
AK_PUBLIC AK_MUST_USE int ak_http_peer_credentials(const struct ak_http_exchange *ex,
                                                   uid_t *ret_uid, pid_t *ret_pid);
/* The common name of the client certificate that was verified; NULL: there is none. */
AK_PUBLIC const char *ak_http_peer_name(const struct ak_http_exchange *ex);
/* Calls fn with each header line of the request, in order, until it returns other than 0; returns that. */
AK_PUBLIC int ak_http_each_header(const struct ak_http_exchange *ex,
                                  int (*fn)(const char *name, const char *value, void *user),
                                  void *user);
/* Gives the memory of the request back: path, query and body are "" from now on, headers are gone. For answers
 * that take long. */
AK_PUBLIC void ak_http_drop_request(struct ak_http_exchange *ex);
/* Moves the body's memory out (the caller ak_free()s it; NULL if there is none). It still counts for max_bodies, until
 * the exchange is gone or ak_http_release_body() says that it is freed. */
AK_PUBLIC AK_MUST_USE char *ak_http_take_body(struct ak_http_exchange *ex, size_t *ret_len);
AK_PUBLIC void ak_http_release_body(struct ak_http_exchange *ex);
/* Answers, once; the exchange is gone afterwards. `extra` lines as in requests, may be NULL. */
AK_PUBLIC void ak_http_reply_text(struct ak_http_exchange *ex, int status, const char *content_type,
                                  const char *body, size_t len, const char *const *extra);
/* Streaming answer: begin, chunks, end. chunk returns the bytes that wait to be sent to this client
 * (back-pressure); negative: the client has gone (-EPIPE, without on_close), or max_waiting bytes wait (-ENOBUFS),
 * or more than the promised Content-Length (-EMSGSIZE): end or abort it. abort ends the connection
 * without the mark of a complete answer. */
AK_PUBLIC void ak_http_reply_begin(struct ak_http_exchange *ex, int status,
                                   const char *content_type);
/* With more header lines (may be NULL). A "Content-Length: N" among them frames the answer instead of chunks;
 * an end before N bytes is then an abort. A "Date:" replaces ours. content_type NULL: none is written. */
AK_PUBLIC void ak_http_reply_begin_with(struct ak_http_exchange *ex, int status,
                                        const char *content_type, const char *const *extra);
AK_PUBLIC int64_t ak_http_reply_chunk(struct ak_http_exchange *ex, const char *data, size_t len);
AK_PUBLIC void ak_http_reply_end(struct ak_http_exchange *ex);
AK_PUBLIC void ak_http_reply_abort(struct ak_http_exchange *ex);
/* fn is called when the client goes away before the answer was complete, or the server is freed; the
 * exchange is then gone. Without it the exchange stays until it is answered, into the void. */
AK_PUBLIC void ak_http_on_close(struct ak_http_exchange *ex, ak_loop_fn fn, void *user);

/* Calls fn once, from the loop, when not more than low_water bytes of the streamed answer wait (soon, if it is so
 * already). fn may use the exchange in every way, and ask again. Asking again replaces; fn NULL: not any more. */
AK_PUBLIC void ak_http_on_drain(struct ak_http_exchange *ex, size_t low_water, ak_loop_fn fn,
                                void *user);
/* Bytes of the answer that wait to be sent to this client. */
AK_PUBLIC size_t ak_http_waiting(const struct ak_http_exchange *ex);

#endif
