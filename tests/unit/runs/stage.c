/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/sse.h>

#include "manager/kinds.h"
#include "manager/options.h"

#define NAMESPACE "/api/v1/namespaces/n"
#define AGENT_PATH "/apis/agentkube.io/v1alpha1/namespaces/n/agents/a"

struct stage *stage;

static void note(const char *what, const char *id, const char *phase)
{
    size_t len = strlen(stage->journal);

    (void)snprintf(stage->journal + len, sizeof(stage->journal) - len, "%s%s:%s%s%s",
                   len ? " " : "", what, id, phase ? "=" : "", phase ? phase : "");
}

const char *stage_journal(char *buf, size_t size)
{
    ak_mutex_lock(&stage->lock);
    (void)snprintf(buf, size, "%s", stage->journal);
    stage->journal[0] = '\0';
    ak_mutex_unlock(&stage->lock);
    return buf;
}

static void reply_json(struct ak_http_exchange *ex, int status, const json_t *tree)
{
    char *text = json_dumps(tree, 0);

    ak_http_reply_text(ex, status, "application/json", text, strlen(text), NULL);
    free(text);
}

static void reply_status(struct ak_http_exchange *ex, int code, const char *reason)
{
    AK_AUTO_JSON *tree = json_pack("{s:s, s:s, s:i, s:s, s:s}", "kind", "Status", "status",
                                   "Failure", "code", code, "reason", reason, "message", reason);

    reply_json(ex, code, tree);
}

static json_t *body_of(struct ak_http_exchange *ex)
{
    size_t len;
    const char *text = ak_http_body(ex, &len);
    json_t *tree = NULL;

    assert_int_equal(ak_json_parse(text, len, &tree, NULL), 0);
    return tree;
}

/* ---- the API server ---- */

static void on_agent(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_mutex_lock(&stage->lock);
    reply_json(ex, 200, stage->agent);
    ak_mutex_unlock(&stage->lock);
}

static void on_patch(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *patch = body_of(ex);
    json_t *status = json_object_get(patch, "status");
    const json_t *newest = json_array_get(json_object_get(status, "runs"), 0);

    (void)user;
    assert_string_equal(ak_json_text(patch, "metadata", "uid", NULL), "u-a");
    assert_non_null(strstr(ak_http_query(ex), "fieldManager=" AK_RUNS_MANAGER));
    ak_mutex_lock(&stage->lock);
    enum stage_fault fault = stage->patch;
    stage->patch = STAGE_FINE;
    if (fault != STAGE_REFUSED) {
        json_object_update(json_object_get(stage->agent, "status"), status);
        note("W", newest ? ak_json_text(newest, "id", NULL) : "-",
             newest ? ak_json_text(newest, "phase", NULL) : NULL);
    }
    if (fault)
        reply_status(ex, 500, "InternalError");
    else
        reply_json(ex, 200, stage->agent);
    ak_mutex_unlock(&stage->lock);
}

static void on_pod(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_mutex_lock(&stage->lock);
    stage->live_pods++;
    if (stage->pod)
        reply_json(ex, 200, stage->pod);
    else
        reply_status(ex, 404, "NotFound");
    ak_mutex_unlock(&stage->lock);
}

static void on_review(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *question = body_of(ex);
    AK_AUTO_JSON *answer = NULL;

    (void)user;
    assert_string_equal(ak_json_text(question, "spec", "token", NULL), "the-token");
    ak_mutex_lock(&stage->lock);
    stage->reviews++;
    answer =
        json_pack("{s:{s:b, s:[s], s:{s:s, s:{s:[s]}}}}", "status", "authenticated", 1, "audiences",
                  AK_RUNS_AUDIENCE, "user", "username", "system:serviceaccount:n:default", "extra",
                  "authentication.kubernetes.io/pod-uid", stage->token_uid);
    ak_mutex_unlock(&stage->lock);
    reply_json(ex, 201, answer);
}

static void on_secret(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_mutex_lock(&stage->lock);
    if (strcmp(ak_http_method(ex), "POST") == 0) {
        json_decref(stage->secret);
        stage->secret = body_of(ex);
        assert_string_equal(ak_json_text(stage->secret, "metadata", "name", NULL), AK_RUNS_SECRET);
    }
    if (stage->secret)
        reply_json(ex, 200, stage->secret);
    else
        reply_status(ex, 404, "NotFound");
    ak_mutex_unlock(&stage->lock);
}

static void on_anything(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    reply_status(ex, 404, "NotFound"); /* Events, which nobody waits for */
}

static const struct ak_http_route api_routes[] = {
    {"GET", AGENT_PATH, on_agent},
    {"PATCH", AGENT_PATH "/status", on_patch},
    {"GET", NAMESPACE "/pods/a", on_pod},
    {"POST", "/apis/authentication.k8s.io/v1/tokenreviews", on_review},
    {NULL, "/api/v1/namespaces/operator/secrets*", on_secret},
    {NULL, "*", on_anything},
    {NULL, NULL, NULL},
};

/* ---- the keeper ---- */

static void on_identity(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *tree = json_pack("{s:s, s:s, s:s}", "podUID", STAGE_POD, "token", "the-token",
                                   "pin", ak_tls_context_pin(stage->tls));

    (void)user;
    assert_string_equal(ak_http_peer_name(ex), AK_RUNS_SUBJECT);
    reply_json(ex, 200, tree);
}

static const char *id_in(struct ak_http_exchange *ex, char *buf, size_t size)
{
    const char *id = ak_http_path(ex) + strlen("/v1/runs/");

    (void)snprintf(buf, size, "%.*s", (int)strcspn(id, "/"), id);
    return buf;
}

static json_t *record_of(const char *id, const char *phase)
{
    return json_pack("{s:s, s:s, s:s}", "id", id, "phase", phase, "prompt", "as the pod knows it");
}

static void on_put(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *request = body_of(ex);
    char id[80];

    (void)user;
    id_in(ex, id, sizeof(id));
    ak_mutex_lock(&stage->lock);
    int status = stage->put_status;
    enum stage_fault fault = stage->put;
    stage->put_status = 0;
    stage->put = STAGE_FINE;
    note("P", id, NULL);
    if (status) {
        reply_status(ex, status, "TooManyRequests");
    } else {
        bool is_new = !json_object_get(stage->known, id);
        if (is_new)
            (void)json_object_set_new(stage->known, id, record_of(id, "Queued"));
        if (fault == STAGE_LOST)
            ak_http_reply_abort(ex);
        else
            reply_json(ex, is_new ? 201 : 200, json_object_get(stage->known, id));
    }
    ak_mutex_unlock(&stage->lock);
}

static void on_cancel(struct ak_http_exchange *ex, void *user)
{
    char id[80];

    (void)user;
    id_in(ex, id, sizeof(id));
    ak_mutex_lock(&stage->lock);
    note("C", id, NULL);
    if (json_object_get(stage->known, id)) {
        (void)json_object_set_new(stage->known, id, record_of(id, "Cancelled"));
        reply_json(ex, 200, json_object_get(stage->known, id));
    } else {
        reply_status(ex, 404, "NotFound");
    }
    ak_mutex_unlock(&stage->lock);
}

static void on_get(struct ak_http_exchange *ex, void *user)
{
    char id[80];

    (void)user;
    id_in(ex, id, sizeof(id));
    ak_mutex_lock(&stage->lock);
    const json_t *record = json_object_get(stage->known, id);
    if (record)
        reply_json(ex, 200, record);
    else
        reply_status(ex, 404, "NotFound");
    ak_mutex_unlock(&stage->lock);
}

static void send_event(struct ak_http_exchange *ex, const char *type, const json_t *tree)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1 << 16);
    char *text = json_dumps(tree, JSON_ENCODE_ANY);

    assert_int_equal(ak_sse_write(&out, type, NULL, text, strlen(text)), 0);
    (void)ak_http_reply_chunk(ex, ak_buf_text(&out), out.len);
    free(text);
}

static void watch_closed(void *user)
{
    (void)user;
    ak_mutex_lock(&stage->lock);
    stage->watch = NULL;
    ak_mutex_unlock(&stage->lock);
}

static void on_watch(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *none = json_object();
    const char *id;
    json_t *record;

    (void)user;
    ak_http_on_close(ex, watch_closed, NULL);
    ak_http_reply_begin(ex, 200, AK_SSE_CONTENT_TYPE);
    ak_mutex_lock(&stage->lock);
    json_object_foreach(stage->known, id, record)
    {
        send_event(ex, "run", record);
    }
    send_event(ex, "synced", none);
    stage->watch = ex;
    ak_mutex_unlock(&stage->lock);
}

static void on_state(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *tree =
        json_pack("{s:i, s:s}", "sessions", 2, "lastActivityTime", "2026-11-23T00:00:00Z");

    (void)user;
    reply_json(ex, 200, tree);
}

static const struct ak_http_route keeper_routes[] = {
    {"GET", "/v1/identity", on_identity},
    {"PUT", "/v1/runs/*", on_put},
    {"POST", "/v1/runs/*", on_cancel},
    {"GET", "/v1/runs/*", on_get},
    {"GET", "/v1/watch", on_watch},
    {"GET", "/v1/state", on_state},
    {NULL, NULL, NULL},
};

void stage_start_keeper(void)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_error *err = NULL;

    ak_arena_init(&arena, 4096, 0);
    const struct ak_tls_server_options tls = {.self_signed_name = "keeper",
                                              .client_ca_pem = ak_runs_bundle(stage->runs, &arena),
                                              .client_name = AK_RUNS_SUBJECT,
                                              .tls13_only = true};
    assert_non_null(tls.client_ca_pem);
    if (ak_tls_context_new_server(&tls, &stage->tls, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    const struct ak_http_server_options options = {
        .bind_address = "127.0.0.1", .tls = stage->tls, .routes = keeper_routes};
    rig_server_start(&stage->keeper, &options);
    uint16_t port = ak_http_server_port(stage->keeper.server);
    ak_mutex_lock(&stage->lock);
    json_t *ports = json_array_get(ak_json_at(stage->pod, "spec", "containers", NULL), 0);
    (void)json_object_set_new(json_array_get(json_object_get(ports, "ports"), 0), "containerPort",
                              json_integer(port));
    ak_mutex_unlock(&stage->lock);
}

void stage_stop_keeper(void)
{
    rig_server_end(&stage->keeper);
    stage->tls = ak_tls_context_unref(stage->tls);
}

struct saying {
    const json_t *record;
};

static void say_it(void *user)
{
    struct saying *s = user;

    if (stage->watch)
        send_event(stage->watch, "run", s->record);
}

void stage_says(const char *id, const char *phase, const char *reason)
{
    AK_AUTO_JSON *record = record_of(id, phase);
    struct saying s = {record};

    if (reason)
        (void)json_object_set_new(record, "reason", json_string(reason));
    ak_mutex_lock(&stage->lock);
    (void)json_object_set(stage->known, id, record);
    ak_mutex_unlock(&stage->lock);
    rig_loop_call(&stage->keeper.loop, say_it, &s);
}

/* ---- what the caches show ---- */

static void show(struct ak_cache *cache, const struct ak_kind *kind, const json_t *tree,
                 enum ak_event_type type)
{
    AK_AUTO_OBJECT object = NULL;
    struct ak_error *err = NULL;

    if (tree && ak_object_decode(kind, tree, "m", &object, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    const struct ak_event event = {.type = type, .object = object};
    ak_cache_sink(&event, cache);
}

void stage_show_agent(void)
{
    char version[16];

    ak_mutex_lock(&stage->lock);
    (void)snprintf(version, sizeof(version), "%u", ++stage->version);
    (void)json_object_set_new(json_object_get(stage->agent, "metadata"), "resourceVersion",
                              json_string(version));
    AK_AUTO_JSON *copy = json_deep_copy(stage->agent);
    ak_mutex_unlock(&stage->lock);
    show(stage->agents, &ak_agent_kind, copy, AK_EVENT_APPLY);
}

void stage_show_pod(void)
{
    ak_mutex_lock(&stage->lock);
    AK_AUTO_JSON *copy = json_deep_copy(stage->pod);
    ak_mutex_unlock(&stage->lock);
    show(stage->pods, &ak_pod_kind, copy, AK_EVENT_APPLY);
}

void stage_hide_pod(void)
{
    ak_mutex_lock(&stage->lock);
    AK_AUTO_JSON *copy = json_deep_copy(stage->pod);
    ak_mutex_unlock(&stage->lock);
    show(stage->pods, &ak_pod_kind, copy, AK_EVENT_DELETE);
}

const struct ak_object *stage_agent(void)
{
    return ak_cache_get(stage->agents, "n", "a");
}

const struct ak_object *stage_the_pod(void)
{
    return ak_cache_get(stage->pods, "n", "a");
}

void stage_spec(const char *key, json_t *value)
{
    ak_mutex_lock(&stage->lock);
    (void)json_object_set_new(json_object_get(stage->agent, "spec"), key, value);
    ak_mutex_unlock(&stage->lock);
    stage_show_agent();
}

int stage_advance(void)
{
    AK_AUTO_OBJECT agent = stage_agent();
    AK_AUTO_OBJECT pod = stage_the_pod();
    struct ak_result_hint hint;

    return ak_runs_advance(stage->runs, agent, pod, &hint, NULL);
}

const json_t *stage_newest(void)
{
    return json_array_get(ak_json_at(stage->agent, "status", "runs", NULL), 0);
}

static bool has_phase(const char *id, const char *phase)
{
    bool has = false;
    size_t i;
    const json_t *run;

    ak_mutex_lock(&stage->lock);
    json_array_foreach(ak_json_at(stage->agent, "status", "runs", NULL), i, run)
    {
        has = has || (ak_streq(ak_json_text(run, "id", NULL), id) &&
                      ak_streq(ak_json_text(run, "phase", NULL), phase));
    }
    ak_mutex_unlock(&stage->lock);
    return has;
}

void stage_wait_phase(const char *id, const char *phase)
{
    ak_msec deadline = ak_now() + AK_SECONDS(20);

    while (!has_phase(id, phase)) {
        if (ak_now() > deadline)
            fail_msg("run %s is not %s", id, phase);
        (void)stage_advance();
        (void)usleep(5000);
    }
}

/* ---- begin and end ---- */

static int nothing(void *user, const struct ak_request *req, struct ak_result *result,
                   struct ak_error **reterr)
{
    (void)user, (void)req, (void)result, (void)reterr;
    return 0;
}

static const struct ak_controller_options controllers[] = {
    {.name = "agent", .kind = "Agent", .reconcile = nothing},
};

static void make_manager(void)
{
    char path[] = "/tmp/ak-runs-XXXXXX", text[512];
    struct ak_error *err = NULL;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    (void)snprintf(text, sizeof(text),
                   "clusters: [{name: c, cluster: {server: \"%s\"}}]\nusers: [{name: u, user: "
                   "{}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
                   "current-context: x\n",
                   stage->api.url);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    const struct ak_kube_config_options c = {.paths = path};
    if (ak_kube_config_load(&c, &stage->config, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    (void)unlink(path);
    const struct ak_manager_options options = {.config = stage->config,
                                               .name = AK_MANAGED_BY,
                                               .namespace_ = "operator",
                                               .controllers = controllers,
                                               .n_controllers = 1};
    if (ak_manager_new(&options, &stage->manager, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

static void run_loop(void *user)
{
    (void)!ak_loop_run(user, NULL);
}

static void make_runs(void)
{
    static const struct ak_options options = {.namespace_ = "operator"};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_error *err = NULL;
    const struct ak_runs_options o = {.manager = stage->manager,
                                      .options = &options,
                                      .agents = stage->agents,
                                      .pods = stage->pods};

    ak_arena_init(&arena, 4096, 0);
    if (ak_runs_new(&o, &stage->runs, &err) < 0 || ak_runs_start(stage->runs, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    for (ak_msec end = ak_now() + AK_SECONDS(20); !ak_runs_bundle(stage->runs, &arena);) {
        assert_true(ak_now() < end);
        (void)usleep(2000);
    }
}

static void make_cache(const struct ak_kind *kind, struct ak_cache **ret)
{
    assert_int_equal(ak_cache_new(kind, NULL, 0, NULL, NULL, ret, NULL), 0);
    show(*ret, kind, NULL, AK_EVENT_INIT);
    show(*ret, kind, NULL, AK_EVENT_INIT_DONE);
}

static json_t *the_agent(void)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:b, s:{s:s}}, s:{}}",
                     "apiVersion", AK_API_GROUP "/" AK_API_VERSION, "kind", "Agent", "metadata",
                     "name", "a", "namespace", "n", "uid", "u-a", "resourceVersion", "1", "spec",
                     "runtime", "ClaudeCode", "mode", "supervised", "paused", 0, "goal", "inline",
                     "a goal", "status");
}

static json_t *a_pod(void)
{
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:b}]},"
                     " s:{s:[{s:s, s:[{s:s, s:i}]}]}, s:{s:s, s:s, s:[{s:s, s:s}]}}",
                     "apiVersion", "v1", "kind", "Pod", "metadata", "name", "a", "namespace", "n",
                     "uid", STAGE_POD, "resourceVersion", "1", "ownerReferences", "apiVersion",
                     AK_API_GROUP "/" AK_API_VERSION, "kind", "Agent", "name", "a", "uid", "u-a",
                     "controller", 1, "spec", "containers", "name", "keeper", "ports", "name",
                     AK_RUNS_RELAY_PORT, "containerPort", 1, "status", "phase", "Running", "podIP",
                     "127.0.0.1", "conditions", "type", "Ready", "status", "True");
}

int stage_begin(void **state)
{
    const struct ak_http_server_options api = {.bind_address = "127.0.0.1", .routes = api_routes};

    (void)state;
    stage = ak_new0(struct stage);
    assert_non_null(stage);
    ak_mutex_init(&stage->lock);
    stage->agent = the_agent();
    stage->pod = a_pod();
    stage->known = json_object();
    assert_true(stage->agent && stage->pod && stage->known);
    (void)snprintf(stage->token_uid, sizeof(stage->token_uid), "%s", STAGE_POD);
    rig_server_start(&stage->api, &api);
    make_manager();
    stage->loop.loop = ak_manager_loop(stage->manager);
    assert_int_equal(ak_thread_start(&stage->loop.thread, "loop", run_loop, stage->loop.loop), 0);
    make_cache(&ak_agent_kind, &stage->agents);
    make_cache(&ak_pod_kind, &stage->pods);
    make_runs();
    stage_start_keeper();
    stage_show_agent();
    stage_show_pod();
    return 0;
}

int stage_end(void **state)
{
    (void)state;
    ak_runs_stop(stage->runs);
    rig_loop_stop(&stage->loop);
    ak_runs_free(stage->runs);
    ak_manager_free(stage->manager);
    stage_stop_keeper();
    rig_server_end(&stage->api);
    ak_cache_free(stage->agents);
    ak_cache_free(stage->pods);
    ak_kube_config_free(stage->config);
    json_decref(stage->agent);
    json_decref(stage->pod);
    json_decref(stage->secret);
    json_decref(stage->known);
    ak_mutex_done(&stage->lock);
    ak_free(stage);
    stage = NULL;
    return 0;
}
