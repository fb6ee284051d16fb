/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Tool's system as a thread that may block sees it: one HTTP client with the credential of one caller, for one
 * operation, probe or provisioning. Made, used and freed; nothing of it is kept.
 */
#ifndef AK_BASTION_HTTP_UPSTREAM_H
#define AK_BASTION_HTTP_UPSTREAM_H

#include "bastion/engine.h"
#include "bastion/engines/http/credential.h"
#include "bastion/engines/http/fetch.h"

struct ak_upstream {
    const struct ak_target *target;
    struct ak_loop *loop;
    struct ak_http_client *client;
    struct ak_http_credential credential;
    const struct ak_fetch_limits *limits; /* deadline and cancel of everything; borrowed */
    bool is_minted;                       /* the login has exactly the Tool's permissions */
};
struct ak_upstream *ak_upstream_free(struct ak_upstream *self);
AK_DEFINE_AUTO_PTR(ak_upstream, ak_upstream_free)
/* login NULL: that of the caller, a reader or not (ak_login_read()). */
AK_MUST_USE int ak_upstream_new(const struct ak_target *target, const struct ak_login *login,
                                bool read_only, const struct ak_fetch_limits *limits,
                                struct ak_upstream **ret, struct ak_error **reterr);
/*
 * One request with the credential; req->headers are beside it. At most max_body bytes of the answer are kept. What the
 * answer repeats of the credential is blotted out of it.
 */
AK_MUST_USE int ak_upstream_fetch(struct ak_upstream *self, const struct ak_http_request *req,
                                  size_t max_body, struct ak_fetch_reply *ret,
                                  struct ak_error **reterr);
/*
 * JSON there and back: body may be NULL; *ret_tree (may be NULL) is NULL when the answer is not JSON. Any status is
 * success. The answer may have AK_UPSTREAM_MAX_JSON bytes, more is AK_E_TOO_LARGE.
 */
#define AK_UPSTREAM_MAX_JSON (8u << 20)
AK_MUST_USE int ak_upstream_json(struct ak_upstream *self, const char *method, const char *path,
                                 const json_t *body, int *ret_status, json_t **ret_tree,
                                 struct ak_error **reterr);
/*
 * For a call: *ret is the JSON of an answer that is a success. Any other answer is an error in the system's words, with
 * its status in call->ret_server_code.
 */
AK_MUST_USE int ak_upstream_ask(struct ak_upstream *self, struct ak_call *call, const char *method,
                                const char *path, const json_t *body, json_t **ret,
                                struct ak_error **reterr);
/*
 * Asks the system to end what runs there for a caller who waits no more: POST path, with a login and two seconds of its
 * own, since the caller's time may be over. Whether it did nobody hears.
 */
void ak_upstream_abandon(const struct ak_upstream *self, const char *path);
/* The words of an error answer: the usual members of its JSON (error, message, reason, ...), else its text, in at
 * most size-1 bytes of one line; "HTTP 503" when there are none. */
void ak_upstream_words(int status, const json_t *tree, const char *text, size_t len, char *buf,
                       size_t size);
/* The code for an HTTP status of the system, for the caller's error: AK_E_UNAUTHORIZED, AK_E_FORBIDDEN, ... */
int ak_upstream_code(int status);

/* The login of a caller, with what its kubeconfig says (empty but for kubernetes outside of the cluster; there the
 * login is empty inside). */
AK_MUST_USE int ak_upstream_login(const struct ak_target *target, bool read_only,
                                  struct ak_login *ret_login, struct ak_kubeconfig *ret_kubeconfig,
                                  struct ak_error **reterr);

#endif
