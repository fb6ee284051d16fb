/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/kube/client.h>

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "client_internal.h"
#include "config_internal.h"

#define MAX_COUNTS 128             /* pairs of method and status */
#define MAX_ERROR_BODY (64u << 10) /* of a stream */
#define MAX_PATH (16u << 10)

/* An HTTP client with one client certificate. A renewed certificate makes a new one; an old one lives until
 * its last user is done and, because its connections belong to a loop, the next stream starts there. */
struct transport {
    struct ak_http_client *http;
    uint64_t tls_generation;
    size_t users; /* guarded by the client's lock */
    struct transport *older;
};

struct count {
    char method[8];
    int status;
    uint64_t n;
};

struct ak_client {
    struct ak_kube_config *config;
    const struct ak_cancel *cancel;
    struct ak_mutex lock;         /* guards all below */
    struct transport *transports; /* the newest first */
    struct count counts[MAX_COUNTS];
    size_t n_counts;
    struct ak_thread renewer; /* renews the credential of streams, whose thread must not block */
    bool renewing;
    uint64_t refused; /* for the renewer */
    struct ak_cancel closing;
};

static void transport_free(struct transport *t)
{
    (void)ak_http_client_free(t->http);
    ak_free(t);
}

struct ak_client *ak_client_free(struct ak_client *self)
{
    if (!self)
        return NULL;
    ak_cancel_now(&self->closing);
    ak_thread_join(&self->renewer);
    while (self->transports) {
        struct transport *t = self->transports;

        /* Out of the list first: freeing stops streams, which look for theirs by pointer only. */
        self->transports = t->older;
        transport_free(t);
    }
    ak_cancel_done(&self->closing);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_client_new(struct ak_kube_config *config, struct ak_client **ret, struct ak_error **reterr)
{
    struct ak_client *self = ak_new0(struct ak_client);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->config = config;
    r = ak_cancel_init(&self->closing);
    if (r < 0) {
        ak_free(self);
        return ak_error_set(reterr, r, "cannot make a client: %s", ak_code_text(r));
    }
    ak_mutex_init(&self->lock);
    *ret = self;
    return 0;
}

void ak_client_set_cancel(struct ak_client *self, const struct ak_cancel *cancel)
{
    self->cancel = cancel;
}

static int transport_get(struct ak_client *self, uint64_t tls_generation, struct transport **ret,
                         struct ak_error **reterr)
{
    struct transport *t;
    int r = 0;

    ak_mutex_lock(&self->lock);
    t = self->transports;
    if (!t || t->tls_generation < tls_generation) {
        t = ak_new0(struct transport);
        r = t ? ak__kube_config_http(self->config, &t->http, &t->tls_generation, reterr)
              : ak_error_oom(reterr);
        if (r < 0) {
            ak_free(t);
            t = NULL;
        } else {
            t->older = self->transports;
            self->transports = t;
        }
    }
    if (t) {
        t->users++;
        *ret = t;
    }
    ak_mutex_unlock(&self->lock);
    return r;
}

static void transport_put(struct ak_client *self, struct transport *t)
{
    ak_mutex_lock(&self->lock);
    t->users--;
    ak_mutex_unlock(&self->lock);
}

/* Frees what a newer certificate replaced. Thread: the loop's. */
static void reap_transports(struct ak_client *self)
{
    struct transport **p, *dead = NULL;

    ak_mutex_lock(&self->lock);
    p = self->transports ? &self->transports->older : &self->transports;
    while (*p) {
        struct transport *t = *p;

        if (t->users) {
            p = &t->older;
            continue;
        }
        *p = t->older;
        t->older = dead;
        dead = t;
    }
    ak_mutex_unlock(&self->lock);
    while (dead) {
        struct transport *t = dead;

        dead = t->older;
        transport_free(t);
    }
}

static void count(struct ak_client *self, const char *method, int status)
{
    size_t i;

    ak_mutex_lock(&self->lock);
    for (i = 0; i < self->n_counts; i++)
        if (self->counts[i].status == status && ak_streq(self->counts[i].method, method))
            break;
    if (i == self->n_counts && i < MAX_COUNTS) {
        struct count *c = &self->counts[self->n_counts++];

        memcpy(c->method, method, strnlen(method, sizeof(c->method) - 1));
        c->status = status;
    }
    if (i < MAX_COUNTS)
        self->counts[i].n++;
    ak_mutex_unlock(&self->lock);
}

void ak_client_each_count(struct ak_client *self,
                          void (*fn)(const char *method, int status, uint64_t n, void *user),
                          void *user)
{
    for (size_t i = 0;; i++) {
        struct count c;
        bool more;

        ak_mutex_lock(&self->lock);
        more = i < self->n_counts;
        c = self->counts[more ? i : 0];
        ak_mutex_unlock(&self->lock);
        if (!more)
            return;
        fn(c.method, c.status, c.n, user);
    }
}

#define MAX_LINES (AK__CONFIG_MAX_HEADERS + AK_CALL_MAX_HEADERS + 2)

static int collect_headers(const struct ak_client *self, const struct ak_call *call,
                           const char *lines[static MAX_LINES], struct ak_error **reterr)
{
    size_t n = 0;

    ak__kube_config_headers(self->config, lines);
    while (lines[n])
        n++;
    for (size_t i = 0; call->headers && call->headers[i]; i++) {
        if (i == AK_CALL_MAX_HEADERS)
            return ak_error_set(reterr, -EINVAL, "a request has at most %d headers of its own",
                                AK_CALL_MAX_HEADERS);
        lines[n++] = call->headers[i];
    }
    lines[n] = NULL;
    return 0;
}

struct upgrade;
static int upgrade_on(struct ak_http_client *http, const struct ak_http_request *req,
                      const struct upgrade *upgrade, struct ak_http_reply *reply,
                      struct ak_error **reterr);

/* One try. *ret_generation is that of the credential that was used. upgrade NULL: an ordinary call. */
static int try_once(struct ak_client *self, const struct ak_call *call, uint64_t refused,
                    const struct upgrade *upgrade, struct ak_http_reply *reply,
                    uint64_t *ret_generation, struct ak_error **reterr)
{
    const char *headers[MAX_LINES];
    AK_AUTO_PTR(ak_secret) token = NULL;
    const struct ak_cancel *cancel = call->cancel ? call->cancel : self->cancel;
    struct transport *t = NULL;
    uint64_t tls_generation;
    int r;

    r = collect_headers(self, call, headers, reterr);
    if (r >= 0)
        r = ak__identity_get(&self->config->identity, AK__IDENTITY_FRESH, refused, cancel, &token,
                             ret_generation, &tls_generation, reterr);
    if (r >= 0)
        r = transport_get(self, tls_generation, &t, reterr);
    if (r < 0)
        return r;
    struct ak_http_request req = {
        .method = call->method,
        .path = call->path,
        .content_type = call->body && !call->content_type ? "application/json" : call->content_type,
        .accept = call->accept ? call->accept : "application/json",
        .body = call->body,
        .body_len = call->body_len,
        .bearer = token,
        .headers = headers,
        .timeout = call->timeout,
        .cancel = cancel,
    };
    r = upgrade ? upgrade_on(t->http, &req, upgrade, reply, reterr)
                : ak_http_do(t->http, &req, reply, reterr);
    transport_put(self, t);
    if (r != AK_E_CANCELLED)
        count(self, call->method, r < 0 && !reply->status ? 0 : reply->status);
    return r;
}

int ak_client_call_raw(struct ak_client *self, const struct ak_call *call, struct ak_buf *ret_body,
                       struct ak_error **reterr)
{
    uint64_t generation = 0, refused = 0;

    for (int attempt = 0;; attempt++) {
        AK_AUTO(ak_http_reply) reply = {0};
        int r = try_once(self, call, refused, NULL, &reply, &generation, reterr);

        if (r < 0)
            return r;
        if (reply.status == 401 && attempt == 0 &&
            ak__identity_is_refreshable(&self->config->identity)) {
            refused = generation;
            continue;
        }
        if (reply.status < 200 || reply.status >= 300)
            return ak__status_error(reply.status, reply.retry_after, ak_buf_text(&reply.body),
                                    reply.body.len, reterr);
        if (ret_body) {
            *ret_body = reply.body;
            reply.body = (struct ak_buf){0};
        }
        return 0;
    }
}

/* --- upgrades --- */

struct upgrade {
    int (*fn)(struct ak_http_tunnel *tunnel, void *user, struct ak_error **reterr);
    void *user;
};

/* What is done with a request once its credential and its connections are known. */
static int upgrade_on(struct ak_http_client *http, const struct ak_http_request *req,
                      const struct upgrade *upgrade, struct ak_http_reply *reply,
                      struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_http_tunnel) tunnel = NULL;
    int r = ak_http_tunnel_open(http, req, &tunnel, reply, reterr);

    if (r <= 0)
        return r;
    reply->status = 101;
    return upgrade->fn(tunnel, upgrade->user, reterr);
}

int ak__client_upgrade(struct ak_client *self, const struct ak_call *call,
                       int (*fn)(struct ak_http_tunnel *tunnel, void *user,
                                 struct ak_error **reterr),
                       void *user, struct ak_error **reterr)
{
    const struct upgrade upgrade = {fn, user};
    uint64_t generation = 0, refused = 0;

    for (int attempt = 0;; attempt++) {
        AK_AUTO(ak_http_reply) reply = {0};
        int r = try_once(self, call, refused, &upgrade, &reply, &generation, reterr);

        if (r < 0 || reply.status == 101)
            return r;
        if (reply.status == 401 && attempt == 0 &&
            ak__identity_is_refreshable(&self->config->identity)) {
            refused = generation;
            continue;
        }
        /* 200 to a request for an upgrade is no success: somebody between us does not know upgrades. */
        if (reply.status < 400)
            return ak_error_set(reterr, AK_E_PROTOCOL,
                                "the server answered with HTTP status %d and no upgrade",
                                reply.status);
        return ak__status_error(reply.status, reply.retry_after, ak_buf_text(&reply.body),
                                reply.body.len, reterr);
    }
}

int ak_client_call(struct ak_client *self, const struct ak_call *call, json_t **ret_tree,
                   struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = {0};
    int r = ak_client_call_raw(self, call, &body, reterr);

    if (r < 0 || !ret_tree)
        return r;
    r = ak_json_parse(ak_buf_text(&body), body.len, ret_tree, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "the answer of %s %s", call->method, call->path);
    return 0;
}

/* --- streams --- */

struct stream {
    struct ak_client *client;
    struct transport *transport;
    const struct ak_http_stream_ops *ops;
    void *user;
    char method[8]; /* for the counter */
    uint64_t generation;
    int status;
    ak_msec retry_after;
    struct ak_buf error_body;
};

static void renew_in_background(void *user)
{
    struct ak_client *self = user;
    AK_AUTO_PTR(ak_secret) token = NULL;
    uint64_t refused, generation, tls_generation;

    ak_mutex_lock(&self->lock);
    refused = self->refused;
    ak_mutex_unlock(&self->lock);
    /* Its failure is the next stream's failure, or a blocking call's. */
    (void)!ak__identity_get(&self->config->identity, AK__IDENTITY_FRESH, refused, &self->closing,
                            &token, &generation, &tls_generation, NULL);
    ak_mutex_lock(&self->lock);
    self->renewing = false;
    ak_mutex_unlock(&self->lock);
}

static void start_renewal(struct ak_client *self, uint64_t refused)
{
    bool start;

    if (!ak__identity_is_refreshable(&self->config->identity))
        return;
    ak_mutex_lock(&self->lock);
    start = !self->renewing;
    if (start) {
        self->renewing = true;
        self->refused = refused;
    }
    ak_mutex_unlock(&self->lock);
    if (!start)
        return;
    ak_thread_join(&self->renewer); /* it has ended */
    if (ak_thread_start(&self->renewer, "credential", renew_in_background, self) < 0) {
        ak_mutex_lock(&self->lock);
        self->renewing = false;
        ak_mutex_unlock(&self->lock);
    }
}

static bool is_refused(const struct stream *s)
{
    return s->status && (s->status < 200 || s->status >= 300);
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct stream *s = user;

    s->status = status;
    s->retry_after = retry_after;
    count(s->client, s->method, status);
    if (is_refused(s) || !s->ops->begin)
        return 0;
    return s->ops->begin(status, retry_after, s->user);
}

static int on_data(const char *data, size_t len, void *user)
{
    struct stream *s = user;
    size_t room = s->error_body.max - s->error_body.len;

    if (!is_refused(s))
        return s->ops->data ? s->ops->data(data, len, s->user) : 0;
    return ak_buf_add(&s->error_body, data, AK_MIN(len, room));
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct stream *s = user;
    AK_AUTO_PTR(ak_error) own = NULL;

    if (is_refused(s) && code != AK_E_CANCELLED) {
        code = ak__status_error(s->status, s->retry_after, ak_buf_text(&s->error_body),
                                s->error_body.len, &own);
        err = own;
        if (s->status == 401)
            start_renewal(s->client, s->generation);
    } else if (!s->status && code != AK_E_CANCELLED) {
        count(s->client, s->method, 0);
    }
    transport_put(s->client, s->transport);
    s->ops->end(code, err, s->user);
    ak_buf_done(&s->error_body);
    ak_free(s);
}

static const struct ak_http_stream_ops stream_ops = {on_begin, on_data, on_end};

static int start_stream(struct stream *s, struct ak_loop *loop, const struct ak_call *call,
                        struct ak_http_stream **ret, struct ak_error **reterr)
{
    const char *headers[MAX_LINES];
    struct ak_http_request req = {
        .method = call->method,
        .path = call->path,
        .content_type = call->body && !call->content_type ? "application/json" : call->content_type,
        .accept = call->accept ? call->accept : "application/json",
        .body = call->body,
        .body_len = call->body_len,
        .headers = headers,
        .timeout = call->timeout,
    };
    AK_AUTO_PTR(ak_secret) token = NULL;
    uint64_t tls_generation;

    int r = collect_headers(s->client, call, headers, reterr);
    if (r < 0)
        return r;
    r = ak__identity_get(&s->client->config->identity, AK__IDENTITY_LAST, 0, NULL, &token,
                         &s->generation, &tls_generation, reterr);
    if (r == AK_E_UNAUTHORIZED)
        start_renewal(s->client, 0);
    if (r >= 0)
        r = transport_get(s->client, tls_generation, &s->transport, reterr);
    if (r < 0)
        return r;
    req.bearer = token;
    r = ak_http_stream_start(s->transport->http, loop, &req, &stream_ops, s, ret, reterr);
    if (r < 0)
        transport_put(s->client, s->transport);
    return r;
}

int ak_client_stream_call(struct ak_client *self, struct ak_loop *loop, const struct ak_call *call,
                          const struct ak_http_stream_ops *ops, void *user,
                          struct ak_http_stream **ret, struct ak_error **reterr)
{
    struct stream *s;
    int r;

    if (ak_cancel_is_set(&self->closing)) /* a callback that starts anew while the client goes */
        return ak_error_set(reterr, AK_E_CANCELLED, "the client is being closed");
    s = ak_new0(struct stream);
    if (!s)
        return ak_error_oom(reterr);
    s->client = self;
    s->ops = ops;
    s->user = user;
    s->error_body.max = MAX_ERROR_BODY;
    memcpy(s->method, call->method, strnlen(call->method, sizeof(s->method) - 1));
    reap_transports(self);
    r = start_stream(s, loop, call, ret, reterr);
    if (r < 0)
        ak_free(s);
    return r;
}

int ak_client_stream(struct ak_client *self, struct ak_loop *loop, const char *path,
                     const char *accept, ak_msec idle_timeout, const struct ak_http_stream_ops *ops,
                     void *user, struct ak_http_stream **ret, struct ak_error **reterr)
{
    const struct ak_call call = {
        .method = "GET",
        .path = path,
        .accept = accept,
        .timeout = idle_timeout,
    };
    return ak_client_stream_call(self, loop, &call, ops, user, ret, reterr);
}

/* --- verbs --- */

/* What a request on an object needs beside its method. */
struct target {
    const struct ak_resource *r;
    const char *ns, *name, *sub;
    const char *manager;
    bool force;
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int build_path(const struct target *t, struct ak_buf *path, struct ak_error **reterr)
{
    int r = ak_resource_path(t->r, t->ns, t->name, t->sub, path);

    if (r >= 0 && t->manager)
        r = ak_buf_adds(path, "?fieldManager=");
    if (r >= 0 && t->manager)
        r = ak_buf_add_url_escaped(path, t->manager);
    if (r >= 0 && t->force)
        r = ak_buf_adds(path, t->manager ? "&force=true" : "?force=true");
    if (r == -EINVAL)
        return ak_error_set(reterr, r,
                            "%s \"%s\" in namespace \"%s\": name or namespace is missing",
                            t->r->kind, t->name ? t->name : "", t->ns ? t->ns : "");
    if (r < 0)
        return ak_error_set(reterr, r, "path of %s \"%s\": %s", t->r->kind, t->name ? t->name : "",
                            ak_code_text(r));
    return 0;
}

static int send_tree(struct ak_client *self, const char *method, const struct target *t,
                     const char *content_type, const json_t *tree, json_t **ret,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = {.max = MAX_PATH};
    AK_AUTO(ak_buf) body = {.max = AK_JSON_MAX_BYTES, .wipe = true}; /* it may be a Secret */
    struct ak_call call = {.method = method, .content_type = content_type};
    int r = build_path(t, &path, reterr);

    if (r >= 0 && tree)
        r = ak_json_write(tree, &body, reterr);
    if (r < 0)
        return r;
    call.path = ak_buf_text(&path);
    call.body = tree ? ak_buf_text(&body) : NULL;
    call.body_len = body.len;
    return ak_client_call(self, &call, ret, reterr);
}

int ak_client_get(struct ak_client *self, const struct ak_resource *r, const char *ns,
                  const char *name, json_t **ret, struct ak_error **reterr)
{
    struct target t = {.r = r, .ns = ns, .name = or_empty(name)};

    return send_tree(self, "GET", &t, NULL, NULL, ret, reterr);
}

/* The target of a whole object: its own name ("" is refused later) and namespace. */
static struct target target_of(const struct ak_resource *r, const json_t *object, const char *sub,
                               const char *manager)
{
    return (struct target){
        .r = r,
        .ns = ak_json_text(object, "metadata", "namespace", NULL),
        .name = or_empty(ak_json_text(object, "metadata", "name", NULL)),
        .sub = sub,
        .manager = manager,
    };
}

int ak_client_create(struct ak_client *self, const struct ak_resource *r, const json_t *object,
                     const char *manager, json_t **ret, struct ak_error **reterr)
{
    struct target t = target_of(r, object, NULL, manager);

    t.name = NULL; /* POST goes to the collection; generateName is the server's to check */
    if (r->namespaced && ak_is_empty(t.ns))
        return ak_error_set(reterr, -EINVAL, "%s: metadata.namespace: must be set", r->kind);
    return send_tree(self, "POST", &t, NULL, object, ret, reterr);
}

int ak_client_update(struct ak_client *self, const struct ak_resource *r, const char *sub,
                     const json_t *object, const char *manager, json_t **ret,
                     struct ak_error **reterr)
{
    struct target t = target_of(r, object, sub, manager);

    return send_tree(self, "PUT", &t, NULL, object, ret, reterr);
}

int ak_client_apply(struct ak_client *self, const struct ak_resource *r, const char *sub,
                    json_t *object, const char *manager, bool force, json_t **ret,
                    struct ak_error **reterr)
{
    struct target t = target_of(r, object, sub, manager);
    char version[128];

    if (!json_object_get(object, "apiVersion") &&
        json_object_set_new(object, "apiVersion",
                            json_string(ak_resource_api_version(r, version))) < 0)
        return ak_error_oom(reterr);
    if (!json_object_get(object, "kind") &&
        json_object_set_new(object, "kind", json_string(r->kind)) < 0)
        return ak_error_oom(reterr);
    t.force = force;
    return send_tree(self, "PATCH", &t, "application/apply-patch+yaml", object, ret, reterr);
}

int ak_client_merge_patch(struct ak_client *self, const struct ak_resource *r, const char *ns,
                          const char *name, const char *sub, const json_t *patch,
                          const char *manager, json_t **ret, struct ak_error **reterr)
{
    struct target t = {.r = r, .ns = ns, .name = or_empty(name), .sub = sub, .manager = manager};

    return send_tree(self, "PATCH", &t, "application/merge-patch+json", patch, ret, reterr);
}

static json_t *delete_body(const struct ak_delete_options *o)
{
    json_t *body = json_pack("{s:s, s:s, s:s*}", "kind", "DeleteOptions", "apiVersion", "v1",
                             "propagationPolicy", o->propagation);
    int r = body ? 0 : -1;

    if (r == 0 && o->grace_seconds >= 0)
        r = json_object_set_new(body, "gracePeriodSeconds", json_integer(o->grace_seconds));
    if (r == 0 && (o->uid || o->resource_version))
        r = json_object_set_new(
            body, "preconditions",
            json_pack("{s:s*, s:s*}", "uid", o->uid, "resourceVersion", o->resource_version));
    if (r == 0)
        return body;
    json_decref(body);
    return NULL;
}

int ak_client_delete(struct ak_client *self, const struct ak_resource *r, const char *ns,
                     const char *name, const struct ak_delete_options *options,
                     struct ak_error **reterr)
{
    static const struct ak_delete_options none = {.grace_seconds = -1};
    struct target t = {.r = r, .ns = ns, .name = or_empty(name)};
    json_t *body = delete_body(options ? options : &none);
    int rc;

    if (!body)
        return ak_error_oom(reterr);
    rc = send_tree(self, "DELETE", &t, NULL, body, NULL, reterr);
    json_decref(body);
    return rc;
}
