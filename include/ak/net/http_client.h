/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 and TLS on libcurl, in two forms: a blocking call for worker threads (connections are
 * pooled and kept alive), and a stream for the loop thread (libcurl's multi-socket interface).
 *
 * Nothing is followed or retried here: a redirect is an answer like any other, retry policy belongs to
 * the callers. (libcurl alone sends a request again, once, when a kept-alive connection turns out to be
 * closed before any byte of the answer.) Every request has a time limit. No environment is read.
 */
#ifndef AK_NET_HTTP_CLIENT_H
#define AK_NET_HTTP_CLIENT_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/net/loop.h>
#include <stdbool.h>
#include <stddef.h>

/* Where and how to connect. Strings are copied. */
struct ak_http_target {
    const char *base_url;        /* "https://10.0.0.1:6443", a path prefix is allowed */
    const char *ca_pem;          /* NULL: the system's certificates */
    const char *extra_ca_pem;    /* trusted beside those; NULL: none */
    const char *client_cert_pem; /* NULL: none */
    const struct ak_secret *client_key_pem;
    const char *tls_server_name; /* NULL: the host of base_url */
    bool insecure_skip_verify;
    bool skip_name_check; /* any name in the certificate will do; who signed it still counts */
    const char *
        pinned_public_key; /* "sha256//BASE64" of the key (SubjectPublicKeyInfo) that the server must have;
                                    * nothing else about its certificate is then checked. NULL: none */
    const char *
        unix_path; /* connect to this socket; base_url then only gives prefix and Host. NULL: none */
    const char *
        proxy_url; /* http://, https://, socks5://; NULL: none (HTTPS_PROXY is the caller's business) */
    const char *no_proxy; /* comma separated; NULL: none */
    const char *user_agent;
    ak_msec connect_timeout; /* 0: 10 s */
    size_t max_reply;        /* bytes; 0: 64 MiB */
};

struct ak_http_request {
    const char *method; /* "GET", ... */
    const char *path;   /* absolute, already escaped, query included */
    const char *content_type;
    const char *accept;
    const void *body;
    size_t body_len;
    const struct ak_secret *bearer; /* Authorization: Bearer; NULL: none */
    const char *const *headers;     /* more "Name: value" lines, NULL-terminated; may be NULL */
    /* A stream takes over the body, which is ak_malloc()ed, once it has started, instead of copying it. */
    bool take_body;
    ak_msec timeout; /* whole request; 0: 30 s. A stream: silence between two bytes. */
    const struct ak_cancel *cancel; /* blocking form: abandons the request; may be NULL */
};

struct ak_http_reply {
    int status;
    ak_msec retry_after; /* from Retry-After; 0: none */
    char content_type[64];
    struct ak_buf body;
};
AK_PUBLIC void ak_http_reply_done(struct ak_http_reply *self);
AK_DEFINE_AUTO(ak_http_reply, ak_http_reply_done)

struct ak_http_client;
/* No call may be under way. Streams that still run are stopped: with streams, free it on the loop's
 * thread or when the loop does not run, never inside a callback of a stream, and before the loop. */
AK_PUBLIC struct ak_http_client *ak_http_client_free(struct ak_http_client *self);
AK_PUBLIC AK_MUST_USE int ak_http_client_new(const struct ak_http_target *target,
                                             struct ak_http_client **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_http_client, ak_http_client_free)
/* ak_error_reason() of AK_E_PROTOCOL when there was no connection, so that nothing can have been sent. */
#define AK_HTTP_NOT_CONNECTED "NotConnected"
/* Blocks. Any HTTP status is success here; negative means no answer: AK_E_PROTOCOL (connection or TLS
 * trouble, in words), -EKEYREJECTED (another key than the pinned one), -ETIMEDOUT, AK_E_CANCELLED,
 * AK_E_TOO_LARGE. Thread: any. */
AK_PUBLIC AK_MUST_USE int ak_http_do(struct ak_http_client *self, const struct ak_http_request *req,
                                     struct ak_http_reply *reply, struct ak_error **reterr);

/* Streams. All callbacks on the loop's thread. `end` comes exactly once and is the last one; the stream
 * is freed when it returns. ak_http_stream_stop() calls it with AK_E_CANCELLED before it returns, and may
 * be called inside begin and data too. Streams may be started and stopped inside every callback. */
struct ak_http_stream_ops {
    /* Before the first data. Return negative to give up (end follows with that code). */
    int (*begin)(int status, ak_msec retry_after, void *user);
    int (*data)(const char *data, size_t len, void *user);
    void (*end)(int code, const struct ak_error *err,
                void *user); /* 0: the server ended it properly */
    /* Each header line of the answer, in order, before begin; may be NULL. Return negative to give up. */
    int (*header)(const char *name, const char *value, void *user);
};
struct ak_http_stream;
/* Thread: loop, or before it runs. Copies what `req` points to. */
AK_PUBLIC AK_MUST_USE int ak_http_stream_start(struct ak_http_client *client, struct ak_loop *loop,
                                               const struct ak_http_request *req,
                                               const struct ak_http_stream_ops *ops, void *user,
                                               struct ak_http_stream **ret,
                                               struct ak_error **reterr);
AK_PUBLIC void ak_http_stream_stop(struct ak_http_stream *self); /* Thread: loop */
/* Back-pressure. Between pause and resume the server is not read from, its silence is not counted, and data is
 * not called (inside a callback: after its return). resume never calls data itself: the loop does, later.
 * Both may be called at any time, also inside callbacks. Thread: loop. */
AK_PUBLIC void ak_http_stream_pause(struct ak_http_stream *self);
AK_PUBLIC void ak_http_stream_resume(struct ak_http_stream *self);
/* Does it still hold the request's body? No more when the answer begins after the whole upload. Thread: loop. */
AK_PUBLIC bool ak_http_stream_has_body(const struct ak_http_stream *self);
/* Another limit for the silence between two bytes, counted anew from now. Thread: loop. */
AK_PUBLIC void ak_http_stream_set_timeout(struct ak_http_stream *self, ak_msec silence);

#endif
