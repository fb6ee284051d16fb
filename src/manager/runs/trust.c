/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/runs/trust.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/kinds.h"

#define LOG "runs"
#define IDENTITY_PATH "/v1/identity"
#define IDENTITY_TIMEOUT AK_SECONDS(5)
#define CONNECT_TIMEOUT AK_SECONDS(3)
#define IDENTITY_MAX (64u << 10)
#define REPLY_MAX (16u << 20)
#define REVIEW_PATH "/apis/authentication.k8s.io/v1/tokenreviews"
#define POD_UID_EXTRA "authentication.kubernetes.io/pod-uid"
#define PIN_PREFIX "sha256//"
#define PIN_DIGITS 44 /* base64 of 32 bytes */
#define USER_AGENT AK_MANAGED_BY "/" AK_VERSION

struct ak_run_target {
    struct ak_trust *trust;
    struct ak_http_client *client;
    char *pod_uid;
    /* Guarded by trust->lock: */
    unsigned refs; /* the table's is one of them */
    bool listed;
    struct ak_run_target *newer,
        *older; /* in the order of use, while listed; `older` chains graves */
};

/* Somebody is finding out about a pod; others wait for what comes of it. */
struct ak_trust_attempt {
    const char *pod_uid;
    unsigned waiters;
    bool over;
    int code;
    char message[256];
    struct ak_trust_attempt *next;
};

/* ---- targets ---- */

static void free_target(void *user)
{
    struct ak_run_target *t = user;

    ak_http_client_free(t->client);
    ak_free(t->pod_uid);
    ak_free(t);
}

/* Its client may have streams, which are the loop's. */
static void bury(struct ak_trust *self, struct ak_run_target *t)
{
    if (ak_loop_post(self->loop, free_target, t) >= 0)
        return;
    ak_mutex_lock(&self->lock);
    t->older = self->graves;
    self->graves = t;
    ak_mutex_unlock(&self->lock);
}

struct ak_run_target *ak_run_target_ref(struct ak_run_target *self)
{
    ak_mutex_lock(&self->trust->lock);
    self->refs++;
    ak_mutex_unlock(&self->trust->lock);
    return self;
}

struct ak_run_target *ak_run_target_unref(struct ak_run_target *self)
{
    if (!self)
        return NULL;
    ak_mutex_lock(&self->trust->lock);
    bool last = --self->refs == 0;
    ak_mutex_unlock(&self->trust->lock);
    if (last)
        bury(self->trust, self);
    return NULL;
}

struct ak_http_client *ak_run_target_client(struct ak_run_target *self)
{
    return self->client;
}

const char *ak_run_target_pod_uid(const struct ak_run_target *self)
{
    return self->pod_uid;
}

/* ---- the table ---- */

static void unchain(struct ak_trust *self, struct ak_run_target *t) AK_REQUIRES(self->lock)
{
    *(t->newer ? &t->newer->older : &self->newest) = t->older;
    *(t->older ? &t->older->newer : &self->oldest) = t->newer;
    t->newer = t->older = NULL;
}

static void chain(struct ak_trust *self, struct ak_run_target *t) AK_REQUIRES(self->lock)
{
    t->older = self->newest;
    t->newer = NULL;
    *(self->newest ? &self->newest->newer : &self->oldest) = t;
    self->newest = t;
}

/* Takes it out; true: that was the last reference. */
static bool unlist(struct ak_trust *self, struct ak_run_target *t) AK_REQUIRES(self->lock)
{
    if (!t->listed)
        return false;
    (void)ak_map_remove(&self->targets, t->pod_uid);
    unchain(self, t);
    t->listed = false;
    return --t->refs == 0;
}

/* One reference for the table. Returns what had to go for it, without references, or NULL. */
static struct ak_run_target *list(struct ak_trust *self, struct ak_run_target *t)
    AK_REQUIRES(self->lock)
{
    struct ak_run_target *gone = NULL, *old = ak_map_get(&self->targets, t->pod_uid);

    if (old && unlist(self, old))
        gone = old;
    if (!gone && self->targets.len >= AK_RUNS_MAX_TARGETS) {
        old = self->oldest;
        gone = unlist(self, old) ? old : NULL;
    }
    if (ak_map_put(&self->targets, t->pod_uid, t, NULL) < 0)
        return gone; /* it serves its user, and is not found again */
    t->refs++;
    t->listed = true;
    chain(self, t);
    return gone;
}

void ak_trust_init(struct ak_trust *self, struct ak_client *client, struct ak_loop *loop,
                   struct ak_link *link, const struct ak_cancel *stop)
{
    *self = (struct ak_trust){.client = client, .loop = loop, .link = link, .stop = stop};
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->changed);
    ak_map_init(&self->targets, AK_RUNS_MAX_TARGETS);
}

void ak_trust_forget(struct ak_trust *self, struct ak_run_target *target)
{
    ak_mutex_lock(&self->lock);
    bool last = unlist(self, target);
    ak_mutex_unlock(&self->lock);
    if (last)
        bury(self, target);
}

void ak_trust_forget_all(struct ak_trust *self)
{
    for (;;) {
        ak_mutex_lock(&self->lock);
        struct ak_run_target *t = self->newest;
        bool last = t && unlist(self, t);
        ak_mutex_unlock(&self->lock);
        if (!t)
            return;
        if (last)
            bury(self, t);
    }
}

void ak_trust_done(struct ak_trust *self)
{
    ak_trust_forget_all(self);
    while (self->graves) {
        struct ak_run_target *t = self->graves;
        self->graves = t->older;
        free_target(t);
    }
    ak_map_done(&self->targets);
    ak_cond_done(&self->changed);
    ak_mutex_done(&self->lock);
}

/* ---- what the answers say ---- */

static json_int_t relay_port(const json_t *pod)
{
    const json_t *containers = ak_json_at(pod, "spec", "containers", NULL);

    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *ports = json_object_get(json_array_get(containers, i), "ports");
        for (size_t k = 0; k < json_array_size(ports); k++) {
            const json_t *port = json_array_get(ports, k);
            if (ak_streq(ak_json_text(port, "name", NULL), AK_RUNS_RELAY_PORT))
                return json_integer_value(json_object_get(port, "containerPort"));
        }
    }
    return 0;
}

int ak_trust_address(const json_t *pod, const char *uid, char *buf, size_t size,
                     struct ak_error **reterr)
{
    const char *ip = ak_json_text(pod, "status", "podIP", NULL);
    json_int_t port = relay_port(pod);

    if (!ak_streq(ak_json_text(pod, "metadata", "uid", NULL), uid))
        return ak_error_set(reterr, AK_E_NOT_FOUND, "the pod is gone");
    if (ak_is_empty(ip))
        return ak_error_set(reterr, -EAGAIN, "the pod has no address yet");
    if (port <= 0 || port > UINT16_MAX)
        return ak_error_set(reterr, AK_E_INVALID, "the pod has no port named \"%s\"",
                            AK_RUNS_RELAY_PORT);
    bool six = strchr(ip, ':') != NULL;
    (void)snprintf(buf, size, "https://%s%s%s:%d", six ? "[" : "", ip, six ? "]" : "", (int)port);
    return 0;
}

static bool has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (ak_streq(json_string_value(json_array_get(list, i)), text))
            return true;
    return false;
}

int ak_trust_judge(const json_t *review, const char *ns, const char *pod_uid,
                   struct ak_error **reterr)
{
    const json_t *status = json_object_get(review, "status");
    const json_t *user = json_object_get(status, "user");
    const json_t *extra = ak_json_at(user, "extra", POD_UID_EXTRA, NULL);
    char prefix[128];

    (void)snprintf(prefix, sizeof(prefix), "system:serviceaccount:%s:", ns);
    if (!json_is_true(json_object_get(status, "authenticated")))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "the API server does not know its token");
    if (!has_text(json_object_get(status, "audiences"), AK_RUNS_AUDIENCE))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "its token is for somebody else");
    const char *name = ak_json_text(user, "username", NULL);
    if (!name || !ak_has_prefix(name, prefix))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "its token is of another namespace");
    if (json_array_size(extra) != 1 || !has_text(extra, pod_uid))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "its token is of another pod");
    return 0;
}

bool ak_trust_is_pin(const char *text)
{
    size_t prefix = sizeof(PIN_PREFIX) - 1;

    return text && ak_has_prefix(text, PIN_PREFIX) && strlen(text) == prefix + PIN_DIGITS &&
           strspn(text + prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                                 "=") == PIN_DIGITS;
}

/* ---- finding out ---- */

static int connect_to(struct ak_trust *self, const char *url, const char *pin,
                      struct ak_http_client **ret, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *cert = NULL;
    AK_AUTO_PTR(ak_secret) key = NULL;
    int r = ak_link_pair(self->link, &cert, &key);

    if (r == -EAGAIN)
        return ak_error_set(reterr, r, "the manager has no certificate for keepers yet");
    if (r < 0)
        return ak_error_oom(reterr);
    const struct ak_http_target target = {
        .base_url = url,
        .client_cert_pem = cert,
        .client_key_pem = key,
        .insecure_skip_verify = !pin, /* until it has said who it is */
        .pinned_public_key = pin,
        .user_agent = USER_AGENT,
        .connect_timeout = CONNECT_TIMEOUT,
        .max_reply = pin ? REPLY_MAX : IDENTITY_MAX,
    };
    return ak_http_client_new(&target, ret, reterr);
}

/* {podUID, token, pin} */
static int ask_identity(struct ak_trust *self, const char *url, json_t **ret,
                        struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_http_client) client = NULL;
    AK_AUTO(ak_http_reply) reply = {0};
    const struct ak_http_request req = {.method = "GET",
                                        .path = IDENTITY_PATH,
                                        .accept = "application/json",
                                        .timeout = IDENTITY_TIMEOUT,
                                        .cancel = self->stop};
    int r = connect_to(self, url, NULL, &client, reterr);

    if (r >= 0)
        r = ak_http_do(client, &req, &reply, reterr);
    if (r < 0)
        return r;
    reply.body.wipe = true;
    if (reply.status != 200)
        return ak_error_set(reterr, AK_E_PROTOCOL, "it answers %d", reply.status);
    r = ak_json_parse(ak_buf_text(&reply.body), reply.body.len, ret, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "its answer") : 0;
}

static int review_token(struct ak_trust *self, const char *token, json_t **ret,
                        struct ak_error **reterr)
{
    AK_AUTO_JSON *question =
        json_pack("{s:s, s:s, s:{s:s, s:[s]}}", "apiVersion", "authentication.k8s.io/v1", "kind",
                  "TokenReview", "spec", "token", token, "audiences", AK_RUNS_AUDIENCE);
    AK_AUTO(ak_buf) body = {.max = IDENTITY_MAX, .wipe = true};

    if (!question)
        return ak_error_oom(reterr);
    int r = ak_json_write(question, &body, reterr);
    if (r < 0)
        return r;
    const struct ak_call call = {.method = "POST",
                                 .path = REVIEW_PATH,
                                 .body = ak_buf_text(&body),
                                 .body_len = body.len,
                                 .timeout = IDENTITY_TIMEOUT};
    r = ak_client_call(self->client, &call, ret, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "TokenReview") : 0;
}

static int prove(struct ak_trust *self, const json_t *identity, const char *ns, const char *pod_uid,
                 const char **ret_pin, struct ak_error **reterr)
{
    AK_AUTO_JSON *review = NULL;
    const char *token = ak_json_text(identity, "token", NULL);
    const char *pin = ak_json_text(identity, "pin", NULL);

    if (ak_is_empty(token) || !ak_trust_is_pin(pin))
        return ak_error_set(reterr, AK_E_PROTOCOL, "its answer lacks a token or a pin");
    int r = review_token(self, token, &review, reterr);
    if (r >= 0)
        r = ak_trust_judge(review, ns, pod_uid, reterr);
    if (r >= 0)
        *ret_pin = pin;
    return r;
}

static int make_target(struct ak_trust *self, const char *ns, const char *pod, const char *pod_uid,
                       struct ak_run_target **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *live = NULL;
    AK_AUTO_JSON *identity = NULL;
    AK_AUTO_PTR(ak_http_client) client = NULL;
    const char *pin = NULL;
    char url[128];
    int r = ak_client_get(self->client, &ak_pod_kind.resource, ns, pod, &live, reterr);

    if (r >= 0)
        r = ak_trust_address(live, pod_uid, url, sizeof(url), reterr);
    if (r >= 0)
        r = ask_identity(self, url, &identity, reterr);
    if (r >= 0)
        r = prove(self, identity, ns, pod_uid, &pin, reterr);
    if (r >= 0)
        r = connect_to(self, url, pin, &client, reterr);
    if (r < 0)
        return r;
    struct ak_run_target *t = ak_new0(struct ak_run_target);
    AK_AUTO_TEXT char *uid = ak_strdup(pod_uid);
    if (!t || !uid) {
        ak_free(t);
        return ak_error_oom(reterr);
    }
    *t = (struct ak_run_target){
        .trust = self, .client = AK_TAKE(client), .pod_uid = AK_TAKE(uid), .refs = 1};
    *ret = t;
    return 0;
}

/* ---- one asks, the others wait ---- */

static struct ak_trust_attempt *find_attempt(const struct ak_trust *self, const char *pod_uid)
    AK_REQUIRES(self->lock)
{
    struct ak_trust_attempt *a = self->attempts;

    while (a && strcmp(a->pod_uid, pod_uid) != 0)
        a = a->next;
    return a;
}

static void finish_attempt(struct ak_trust *self, struct ak_trust_attempt *a)
    AK_REQUIRES(self->lock)
{
    struct ak_trust_attempt **p = &self->attempts;

    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    a->over = true;
    ak_cond_broadcast(&self->changed);
    while (a->waiters > 0) /* they read what came of it; it lives on our stack */
        ak_cond_wait_until(&self->changed, &self->lock, AK_MSEC_NEVER);
}

/* 0: it went well, look again. */
static int await_attempt(struct ak_trust *self, struct ak_trust_attempt *a,
                         struct ak_error **reterr) AK_REQUIRES(self->lock)
{
    int r;

    a->waiters++;
    while (!a->over)
        ak_cond_wait_until(&self->changed, &self->lock, AK_MSEC_NEVER);
    r = a->code < 0 ? ak_error_set(reterr, a->code, "%s", a->message) : 0;
    a->waiters--;
    ak_cond_broadcast(&self->changed);
    return r;
}

/* Unlocks meanwhile. *ret_gone: what had to leave the table for it, to be buried. */
static int attempt(struct ak_trust *self, const char *ns, const char *pod, const char *pod_uid,
                   struct ak_run_target **ret, struct ak_run_target **ret_gone,
                   struct ak_error **reterr) AK_REQUIRES(self->lock)
{
    struct ak_trust_attempt a = {.pod_uid = pod_uid, .next = self->attempts};
    struct ak_run_target *made = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    self->attempts = &a;
    ak_mutex_unlock(&self->lock);
    int r = make_target(self, ns, pod, pod_uid, &made, &err);
    ak_debug(LOG, made ? "keeper is known" : "keeper is not reached", AK_STR("namespace", ns),
             AK_STR("name", pod), AK_ERR(err));
    ak_mutex_lock(&self->lock);
    a.code = r;
    if (r < 0)
        (void)snprintf(a.message, sizeof(a.message), "%s", ak_error_message(err));
    else
        *ret_gone = list(self, made);
    finish_attempt(self, &a);
    if (r < 0 && reterr)
        *reterr = AK_TAKE(err);
    if (r >= 0)
        *ret = made;
    return r < 0 ? r : 1;
}

int ak_trust_get(struct ak_trust *self, const char *ns, const char *pod, const char *pod_uid,
                 struct ak_run_target **ret, struct ak_error **reterr)
{
    struct ak_run_target *gone = NULL;
    int r = 0;

    ak_mutex_lock(&self->lock);
    while (r == 0) {
        struct ak_run_target *t = ak_map_get(&self->targets, pod_uid);
        struct ak_trust_attempt *a = find_attempt(self, pod_uid);
        if (t) {
            unchain(self, t);
            chain(self, t);
            t->refs++;
            *ret = t;
            r = 1;
        } else if (a) {
            r = await_attempt(self, a, reterr);
        } else {
            r = attempt(self, ns, pod, pod_uid, ret, &gone, reterr);
        }
    }
    ak_mutex_unlock(&self->lock);
    if (gone)
        bury(self, gone);
    return AK_MIN(r, 0);
}
