/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the apiserver. One client per process, used by all threads; it carries credentials,
 * pooled connections and the rest_client_* counters, and no state of any request.
 *
 * HTTP errors come back as errors: code from the status and reason, message from the Status object,
 * Retry-After kept. A 401 with a refreshable credential (token file, exec plug-in) is tried once more.
 */
#ifndef AK_KUBE_CLIENT_H
#define AK_KUBE_CLIENT_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/json/json.h>
#include <ak/kube/config.h>
#include <ak/kube/resource.h>
#include <ak/net/http_client.h>

struct ak_client;

/* Stops the streams that still run. With streams, on the loop's thread (not inside their callbacks) or when
 * the loop does not run, and before the loop and the config are freed. */
AK_PUBLIC struct ak_client *ak_client_free(struct ak_client *self);
/* Keeps a reference to nothing but what it copies out of `config`, except the config itself, which
 * must outlive the client. */
AK_PUBLIC AK_MUST_USE int ak_client_new(struct ak_kube_config *config, struct ak_client **ret,
                                        struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_client, ak_client_free)
/* Requests of this client stop when `cancel` is set (borrowed for the client's life; NULL: never). */
AK_PUBLIC void ak_client_set_cancel(struct ak_client *self, const struct ak_cancel *cancel);

#define AK_CALL_MAX_HEADERS 8
struct ak_call {
    const char *method;       /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *path;         /* escaped, query included */
    const char *content_type; /* with a body; NULL: application/json */
    const char *accept;       /* NULL: application/json */
    const char *body;
    size_t body_len;
    ak_msec timeout; /* 0: 30 s */
    const struct ak_cancel
        *cancel; /* instead of the client's: for what is still sent while stopping */
    /* More "Name: value" lines, NULL-terminated, at most AK_CALL_MAX_HEADERS; NULL: none. */
    const char *const *headers;
};
/* Thread: any (blocking). *ret_tree may be NULL if the answer does not matter; both forms give the
 * HTTP status through negative codes only. */
AK_PUBLIC AK_MUST_USE int ak_client_call(struct ak_client *self, const struct ak_call *call,
                                         json_t **ret_tree, struct ak_error **reterr);
AK_PUBLIC AK_MUST_USE int ak_client_call_raw(struct ak_client *self, const struct ak_call *call,
                                             struct ak_buf *ret_body, struct ak_error **reterr);

/* The common verbs. `manager` is the field manager ("agentkube-manager"). */
AK_PUBLIC AK_MUST_USE int ak_client_get(struct ak_client *self, const struct ak_resource *r,
                                        const char *ns, const char *name, json_t **ret,
                                        struct ak_error **reterr);
AK_PUBLIC AK_MUST_USE int ak_client_create(struct ak_client *self, const struct ak_resource *r,
                                           const json_t *object, const char *manager, json_t **ret,
                                           struct ak_error **reterr);
AK_PUBLIC AK_MUST_USE int ak_client_update(struct ak_client *self, const struct ak_resource *r,
                                           const char *sub, const json_t *object,
                                           const char *manager, json_t **ret,
                                           struct ak_error **reterr);
/* Server-side apply of `object` (apiVersion and kind are filled in if missing, metadata.name and for
 * namespaced kinds metadata.namespace must be there, as for create and update); sub: "status" or NULL. force takes
 * over fields that others own. */
AK_PUBLIC AK_MUST_USE int ak_client_apply(struct ak_client *self, const struct ak_resource *r,
                                          const char *sub, json_t *object, const char *manager,
                                          bool force, json_t **ret, struct ak_error **reterr);
AK_PUBLIC AK_MUST_USE int ak_client_merge_patch(struct ak_client *self, const struct ak_resource *r,
                                                const char *ns, const char *name, const char *sub,
                                                const json_t *patch, const char *manager,
                                                json_t **ret, struct ak_error **reterr);
struct ak_delete_options {
    const char *uid;              /* precondition; NULL: none */
    const char *resource_version; /* precondition; NULL: none */
    int64_t grace_seconds;        /* negative: the object's own */
    const char *propagation; /* "Background", "Foreground", "Orphan"; NULL: the server's default */
};
AK_PUBLIC AK_MUST_USE int ak_client_delete(struct ak_client *self, const struct ak_resource *r,
                                           const char *ns, const char *name,
                                           const struct ak_delete_options *options,
                                           struct ak_error **reterr);

/* A long answer (watch, paged list, log), on the loop's thread; *ret is stopped with
 * ak_http_stream_stop(). accept NULL: application/json.
 * `ops` as in http_client.h, but a status of 400 or more does not reach begin/data: its Status
 * object arrives as end's error. The credential is resolved on the calling thread from the last known
 * value; a stale one gives AK_E_UNAUTHORIZED and is renewed in the background. */
AK_PUBLIC AK_MUST_USE int ak_client_stream(struct ak_client *self, struct ak_loop *loop,
                                           const char *path, const char *accept,
                                           ak_msec idle_timeout,
                                           const struct ak_http_stream_ops *ops, void *user,
                                           struct ak_http_stream **ret, struct ak_error **reterr);

/* The same with more to say about the request: method, path, accept, headers, body; `timeout` is the
 * silence between two bytes. */
AK_PUBLIC AK_MUST_USE int ak_client_stream_call(struct ak_client *self, struct ak_loop *loop,
                                                const struct ak_call *call,
                                                const struct ak_http_stream_ops *ops, void *user,
                                                struct ak_http_stream **ret,
                                                struct ak_error **reterr);

/* rest_client_requests_total, by "code method", for /metrics. Calls fn for each. Status 0 is what
 * client-go labels code="<error>": no answer came. */
AK_PUBLIC void ak_client_each_count(struct ak_client *self,
                                    void (*fn)(const char *method, int status, uint64_t n,
                                               void *user),
                                    void *user);
#endif
