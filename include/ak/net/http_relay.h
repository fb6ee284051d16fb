/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange of our server, answered by another server: the request goes there, the answer comes back byte for
 * byte as it arrives, and neither side is read faster than the other takes it (at most AK_HTTP_RELAY_HIGH_WATER
 * bytes and one read of libcurl's wait here). Headers pass, but for those of one connection only (RFC 9110
 * section 7.6.1), Host, Expect and what the options say. An upstream that ends too early is an aborted answer, never a
 * complete one; a client that goes stops the upstream. Upgrades (101) are not relayed.
 *
 *     struct ak_http_relay_options o = {.remove = (const char *[]){"authorization", NULL}, .end = on_end};
 *     r = ak_http_relay_start(ex, client, loop, &o, user, &err);
 *     if (r < 0)
 *         ... answer the exchange ...
 *
 * Request bodies are held whole (the server's max_body), and given back once they are on their way: what the
 * exchange tells of the request (path, headers, body) is gone after the start.
 */
#ifndef AK_NET_HTTP_RELAY_H
#define AK_NET_HTTP_RELAY_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/net/http_client.h>
#include <ak/net/http_server.h>
#include <ak/net/loop.h>

#define AK_HTTP_RELAY_HIGH_WATER (64u << 10)
#define AK_HTTP_RELAY_MAX_REPLY_HEAD (64u << 10) /* bytes of header lines of an answer */

struct ak_http_relay_options {
    const char *path; /* of the upstream, with its query; NULL: path and query of the exchange */
    const char *const *remove; /* names of request headers that do not pass; NULL: none */
    const char *const
        *add; /* header lines put in; one of ours replaces the client's of that name */
    const struct ak_secret
        *bearer; /* Authorization: Bearer instead of what the client sent; NULL: as it is */
    const char *const *add_reply; /* header lines put into the answer */
    ak_msec head_timeout;         /* until the answer's head is there; 0: 60 s */
    ak_msec idle_timeout;         /* between two bytes of the answer afterwards; 0: 5 min */
    /* Does this header line of the answer pass? NULL: yes. */
    bool (*keep_reply_header)(const char *name, const char *value, void *user);
    /* There is no answer: upstream away (AK_E_PROTOCOL, ...), too slow (-ETIMEDOUT). Answers the exchange in its own
     * way, completely, before it returns. NULL: 502 or 504 with a line of text. */
    void (*failed)(struct ak_http_exchange *ex, int code, const struct ak_error *err, void *user);
    /* The last call, once; the exchange is gone. status 0: there was no answer. bytes: of the body. code: 0, or why it
     * broke off; AK_E_CANCELLED: the client went, or ak_http_relay_stop(). May be NULL. */
    void (*end)(int status, uint64_t bytes, int code, void *user);
};
struct ak_http_relay;
/* Owns the exchange from now on (its on_close and on_drain are used) and itself: it is freed after `end`. `client` is
 * borrowed until then; options are copied. Negative: nothing has begun, the exchange is still the caller's, no
 * callback comes. *ret may be NULL for who never stops it. Thread: loop. */
AK_PUBLIC AK_MUST_USE int ak_http_relay_start(struct ak_http_exchange *ex,
                                              struct ak_http_client *client, struct ak_loop *loop,
                                              const struct ak_http_relay_options *options,
                                              void *user, struct ak_http_relay **ret,
                                              struct ak_error **reterr);
/* Breaks it off: the client sees an aborted answer (503 if there was none yet). `end` is called before it returns. */
AK_PUBLIC void ak_http_relay_stop(struct ak_http_relay *self);

#endif
