/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of a thread that may block, with what ak_http_do() has not: the answer's header lines, an answer that is
 * cut instead of refused when it is larger than wanted (a 1 GB answer costs what its first bytes cost), and an end at
 * a point in time. Nothing is followed or retried.
 */
#ifndef AK_BASTION_HTTP_FETCH_H
#define AK_BASTION_HTTP_FETCH_H

#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/net/http_client.h>
#include <stdbool.h>
#include <stddef.h>

#define AK_FETCH_MAX_HEAD (64u << 10) /* bytes of header lines of an answer */

struct ak_fetch_limits {
    size_t max_body; /* bytes that are kept */
    ak_msec deadline;
    const struct ak_cancel *cancel; /* may be NULL */
};
struct ak_fetch_reply {
    int status;
    struct ak_buf head; /* "Name: value" lines, each NUL-terminated */
    struct ak_buf body;
    bool is_cut; /* there was more of it */
};
void ak_fetch_reply_done(struct ak_fetch_reply *self);
AK_DEFINE_AUTO(ak_fetch_reply, ak_fetch_reply_done)

/*
 * Any status is success. Errors as of ak_http_do(): AK_E_PROTOCOL, -ETIMEDOUT, AK_E_CANCELLED, -ENOMEM. `loop`
 * belongs to the caller, is not running, and outlives nothing: the client is freed before it. req->timeout and cancel
 * do not count.
 */
AK_MUST_USE int ak_fetch(struct ak_http_client *client, struct ak_loop *loop,
                         const struct ak_http_request *req, const struct ak_fetch_limits *limits,
                         struct ak_fetch_reply *ret, struct ak_error **reterr);

/* Value of a header of the answer, the first of that name; NULL: there is none. Borrowed. */
const char *ak_fetch_header(const struct ak_fetch_reply *self, const char *name);

#endif
