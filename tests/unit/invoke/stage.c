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
#include <ak/json/json.h>

#include "manager/runs/runs.h"

struct stage *stage;
struct stage_runs stage_runs;

/* ---- the API server */

static void reply_json(struct ak_http_exchange *ex, int status, const char *text)
{
    ak_http_reply_text(ex, status, "application/json", text, strlen(text), NULL);
}

static json_t *body_of(struct ak_http_exchange *ex)
{
    size_t len;
    const char *text = ak_http_body(ex, &len);
    json_t *tree = NULL;

    assert_int_equal(ak_json_parse(text, len, &tree, NULL), 0);
    return tree;
}

#define USER(name)                                                                                 \
    "\"user\":{\"username\":\"" name "\",\"uid\":\"u-" name                                        \
    "\",\"groups\":[\"people\",\"all\"],\"extra\":{\"scopes\":[\"x\"]}}"

static void on_token_review(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *tree = body_of(ex);
    const char *token = ak_json_text(tree, "spec", "token", NULL);
    bool ours = ak_json_at(tree, "spec", "audiences", NULL);
    (void)user;

    atomic_fetch_add(&stage->token_reviews, 1);
    if (ak_streq(token, "late-token"))
        reply_json(ex, 500, "{\"kind\":\"Status\",\"message\":\"no etcd\",\"code\":500}");
    else if (ak_streq(token, "alice-token") && ours)
        reply_json(ex, 201,
                   "{\"status\":{\"authenticated\":true,\"audiences\":[\"agentkube\"]," USER(
                       "alice") "}}");
    else if (ak_streq(token, "bob-token") && !ours)
        reply_json(ex, 201, "{\"status\":{\"authenticated\":true," USER("bob") "}}");
    else if (ak_streq(token, "odd-token") && ours)
        reply_json(
            ex, 201,
            "{\"status\":{\"authenticated\":true,\"audiences\":[\"other\"]," USER("odd") "}}");
    else if (ak_streq(token, "pod-token") && ours)
        reply_json(
            ex, 201,
            "{\"status\":{\"authenticated\":true,\"audiences\":[\"agentkube\"],\"user\":{"
            "\"username\":\"system:serviceaccount:team:default\",\"uid\":\"u-1\",\"groups\":[],"
            "\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"a\"],"
            "\"authentication.kubernetes.io/pod-uid\":[\"pod-uid\"]}}}}");
    else
        reply_json(ex, 201, "{\"status\":{\"authenticated\":false,\"error\":\"who?\"}}");
}

static const char *or_dash(const char *text)
{
    return text ? text : "-";
}

static void on_access_review(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO_JSON *tree = body_of(ex);
    const json_t *a = ak_json_at(tree, "spec", "resourceAttributes", NULL);
    const char *sub = ak_json_text(a, "subresource", NULL);
    char wanted[256];
    (void)user;

    atomic_fetch_add(&stage->access_reviews, 1);
    assert_string_equal(ak_json_text(a, "group", NULL), "agentkube.io");
    assert_int_equal(json_array_size(ak_json_at(tree, "spec", "groups", NULL)), 2);
    assert_non_null(ak_json_at(tree, "spec", "extra", "scopes", NULL));
    (void)snprintf(wanted, sizeof(wanted), "%s %s%s%s %s %s", ak_json_text(a, "verb", NULL),
                   ak_json_text(a, "resource", NULL), sub ? "/" : "", sub ? sub : "",
                   or_dash(ak_json_text(a, "namespace", NULL)),
                   or_dash(ak_json_text(a, "name", NULL)));
    ak_mutex_lock(&stage->lock);
    bool yes = ak_streq(stage->grant, "*") || ak_streq(stage->grant, wanted);
    ak_mutex_unlock(&stage->lock);
    reply_json(ex, 201,
               yes ? "{\"status\":{\"allowed\":true}}" : "{\"status\":{\"allowed\":false}}");
}

static void note_path(struct ak_http_exchange *ex)
{
    ak_mutex_lock(&stage->lock);
    (void)snprintf(stage->last_path, sizeof(stage->last_path), "%s %s?%s", ak_http_method(ex),
                   ak_http_path(ex), ak_http_query(ex));
    ak_mutex_unlock(&stage->lock);
}

static void on_object(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    note_path(ex);
    if (ak_has_suffix(ak_http_path(ex), "/missing"))
        reply_json(ex, 404,
                   "{\"kind\":\"Status\",\"message\":\"agents \\\"missing\\\" not found\","
                   "\"reason\":\"NotFound\",\"code\":404}");
    else if (ak_has_suffix(ak_http_path(ex), "/forbidden"))
        reply_json(ex, 403,
                   "{\"kind\":\"Status\",\"message\":\"the manager may not\",\"code\":403}");
    else
        reply_json(ex, 200, "{\"kind\":\"Agent\",\"metadata\":{\"name\":\"a\"}}");
}

static const struct ak_http_route api_routes[] = {
    {"POST", "/apis/authentication.k8s.io/v1/tokenreviews", on_token_review},
    {"POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", on_access_review},
    {NULL, "/apis/agentkube.io/*", on_object},
    {NULL, NULL, NULL},
};

/* ---- the pod */

static int note_header(const char *name, const char *value, void *user)
{
    size_t len = strlen(stage->last_headers);

    (void)user;
    (void)snprintf(stage->last_headers + len, sizeof(stage->last_headers) - len, "%s: %s\n", name,
                   value);
    return 0;
}

#define MAX_EVENTS 1000
#define MAX_STREAMS 64

/* Of the pod's thread. */
static struct {
    size_t sizes[MAX_EVENTS];
    int n;
    bool ended;
    struct ak_http_exchange *streams[MAX_STREAMS];
} run;

static void forget(void *user)
{
    *(struct ak_http_exchange **)user = NULL;
    atomic_fetch_sub(&stage->open_streams, 1);
}

static void say_event(struct ak_http_exchange *ex, int number)
{
    bool last = run.ended && number == run.n;
    char *text = ak_malloc(run.sizes[number - 1] + 128);
    int n = snprintf(text, 128, "id: %d\nevent: %s\ndata: ", number, last ? "ended" : "stdout");

    memset(text + n, 'x', run.sizes[number - 1]);
    memcpy(text + n + run.sizes[number - 1], "\n\n", 2);
    (void)ak_http_reply_chunk(ex, text, (size_t)n + run.sizes[number - 1] + 2);
    ak_free(text);
}

static int first_of(struct ak_http_exchange *ex)
{
    const char *after = strstr(ak_http_query(ex), "after=");

    return after ? (int)strtol(after + 6, NULL, 10) + 1 : 1;
}

static void keep_stream(struct ak_http_exchange *ex)
{
    size_t i = 0;

    while (run.streams[i])
        i++;
    run.streams[i] = ex;
    atomic_fetch_add(&stage->endless_streams, 1);
    atomic_fetch_add(&stage->open_streams, 1);
    ak_http_on_close(ex, forget, &run.streams[i]);
}

static void on_events(struct ak_http_exchange *ex, void *user)
{
    static const char events[] =
        "id: 1\nevent: queued\ndata: {}\n\nid: 2\nevent: ended\ndata: {}\n\n";
    bool endless = strstr(ak_http_query(ex), "follow=true");
    (void)user;

    note_path(ex);
    ak_mutex_lock(&stage->lock);
    stage->last_headers[0] = 0;
    (void)ak_http_each_header(ex, note_header, NULL);
    ak_mutex_unlock(&stage->lock);
    ak_http_reply_begin(ex, 200, "text/event-stream");
    if (!run.n && !endless)
        (void)ak_http_reply_chunk(ex, events, sizeof(events) - 1);
    for (int i = first_of(ex); i <= run.n; i++)
        say_event(ex, i);
    if (endless && !run.ended)
        keep_stream(ex);
    else
        ak_http_reply_end(ex);
}

struct emission {
    int n;
    size_t size;
    bool last;
};

static void emit(void *user)
{
    const struct emission *e = user;

    run.ended = e->last;
    for (int i = 0; i < e->n; i++)
        run.sizes[run.n++] = e->size;
    for (size_t s = 0; s < MAX_STREAMS; s++) {
        struct ak_http_exchange *ex = run.streams[s];
        for (int i = 0; ex && i < e->n; i++)
            say_event(ex, run.n - e->n + 1 + i);
        if (ex && run.ended) {
            ak_http_reply_end(ex);
            forget(&run.streams[s]);
        }
    }
}

void stage_emit(int n, size_t size, bool last)
{
    struct emission e = {n, size, last};

    rig_loop_call(&stage->pod.loop, emit, &e);
}

static void cut(void *user)
{
    (void)user;
    for (size_t s = 0; s < MAX_STREAMS; s++)
        if (run.streams[s]) {
            ak_http_reply_abort(run.streams[s]);
            forget(&run.streams[s]);
        }
}

void stage_cut(void)
{
    rig_loop_call(&stage->pod.loop, cut, NULL);
}

static const struct ak_http_route pod_routes[] = {
    {"POST", "/v1/operations", stage_on_operation},
    {"GET", "/v1/exec", stage_on_session},
    {"GET", "/v1/forward", stage_on_session},
    {"GET", "/v1/*", on_events},
    {NULL, NULL, NULL},
};

/* ---- the book of runs */

static int failure(struct ak_error **reterr)
{
    int r = ak_error_set(reterr, AK_E_CONFLICT, "the book says no");

    ak_error_set_http(*reterr, stage_runs.fail_with, "", 0);
    return r;
}

static json_t *record(const char *id, const char *by)
{
    json_t *tree =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "phase", stage_runs.phase, "trigger",
                  "Invocation", "requestedBy", by, "prompt", "do it", "result", "done");

    if (stage_runs.last_event)
        (void)json_object_set_new(tree, "lastEvent", json_integer(stage_runs.last_event));
    return tree;
}

int ak_runs_start_run(struct ak_runs *self, const struct ak_run_request *request,
                      json_t **ret_record, bool *ret_created, struct ak_error **reterr)
{
    (void)self;
    atomic_fetch_add(&stage_runs.started, 1);
    if (stage_runs.waits) {
        if (ak_cancel_sleep(request->cancel, AK_SECONDS(20)))
            atomic_fetch_add(&stage_runs.cancelled, 1);
        return ak_error_set(reterr, AK_E_CANCELLED, "the asker has gone");
    }
    if (stage_runs.fail_with)
        return failure(reterr);
    (void)snprintf(stage_runs.prompt, sizeof(stage_runs.prompt), "%s", or_dash(request->prompt));
    (void)snprintf(stage_runs.key, sizeof(stage_runs.key), "%s", or_dash(request->idempotency_key));
    (void)snprintf(stage_runs.by, sizeof(stage_runs.by), "%s", or_dash(request->requested_by));
    stage_runs.timeout = request->timeout;
    stage_runs.hold = request->hold;
    *ret_record = record("r-new", request->requested_by);
    *ret_created = !request->idempotency_key;
    return 0;
}

int ak_runs_cancel_run(struct ak_runs *self, const char *ns, const char *agent, const char *id,
                       const char *by, json_t **ret_record, struct ak_error **reterr)
{
    (void)self, (void)ns, (void)agent;
    if (stage_runs.fail_with)
        return failure(reterr);
    (void)snprintf(stage_runs.by, sizeof(stage_runs.by), "%s", by);
    *ret_record = record(id, "somebody");
    return 0;
}

int ak_runs_get(struct ak_runs *self, const char *ns, const char *agent, const char *id,
                json_t **ret, struct ak_error **reterr)
{
    (void)self, (void)ns, (void)agent;
    if (stage_runs.fail_with)
        return failure(reterr);
    *ret = record(id, "somebody");
    return 0;
}

int ak_runs_list(struct ak_runs *self, const char *ns, const char *agent, json_t **ret_array,
                 struct ak_error **reterr)
{
    (void)self, (void)ns, (void)agent, (void)reterr;
    *ret_array = json_array();
    for (int i = 0; i < 30; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r-%d", i);
        (void)json_array_append_new(*ret_array, record(id, i ? "somebody" : "alice"));
    }
    return 0;
}

int ak_runs_target(struct ak_runs *self, const char *ns, const char *agent,
                   struct ak_run_target **ret, struct ak_error **reterr)
{
    (void)self, (void)ns, (void)agent;
    if (stage_runs.no_target) {
        int r = ak_error_set(reterr, AK_E_THROTTLED, "no pod answers");
        ak_error_set_http(*reterr, 503, "ServiceUnavailable", 1000);
        return r;
    }
    *ret = (struct ak_run_target *)stage;
    return 0;
}

struct ak_http_client *ak_run_target_client(struct ak_run_target *self)
{
    return ((struct stage *)self)->pod_client;
}

const char *ak_run_target_pod_uid(const struct ak_run_target *self)
{
    (void)self;
    return "pod-uid";
}

struct ak_run_target *ak_run_target_unref(struct ak_run_target *self)
{
    (void)self;
    return NULL;
}

void ak_runs_target_failed(struct ak_runs *self, struct ak_run_target *target)
{
    (void)self, (void)target;
    atomic_fetch_add(&stage_runs.target_failures, 1);
}

/* ---- the stage */

static bool is_leading(void *user)
{
    return atomic_load(&((struct stage *)user)->leading);
}

static bool find_leader(char ret[static AK_LEADER_ADDRESS_SIZE], void *user)
{
    (void)snprintf(ret, AK_LEADER_ADDRESS_SIZE, "%s", ((struct stage *)user)->leader);
    return ret[0];
}

struct ak_invoke *stage_replica(bool (*leading)(void *user))
{
    struct ak_invoke_options options = {
        .client = stage->client,
        .loop = stage->loop.loop,
        .clock = ak_clock_system(),
        .tools = (struct ak_tools *)stage,
        .bind_address = "127.0.0.1",
        .is_leading = leading,
        .find_leader = find_leader,
        .user = stage,
    };
    struct ak_invoke *invoke = NULL;
    struct ak_error *err = NULL;

    if (ak_invoke_new(&options, &invoke, &err) < 0 || ak_invoke_start(invoke, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    return invoke;
}

static void load_config(struct stage *self)
{
    (void)snprintf(self->config_path, sizeof(self->config_path), "/tmp/ak-test-invoke-XXXXXX");
    int fd = mkstemp(self->config_path);
    FILE *file = fdopen(fd, "w");

    (void)fprintf(file,
                  "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                  "clusters: [{name: c, cluster: {server: \"%s\"}}]\nusers: [{name: u, user: {}}]\n"
                  "contexts: [{name: c, context: {cluster: c, user: u}}]\n",
                  self->api.url);
    (void)fclose(file);
    assert_int_equal(
        ak_kube_config_load(&(struct ak_kube_config_options){.paths = self->config_path},
                            &self->config, NULL),
        0);
    assert_int_equal(ak_client_new(self->config, &self->client, NULL), 0);
}

void stage_begin(struct stage *self)
{
    const struct ak_http_server_options api = {.bind_address = "127.0.0.1", .routes = api_routes};
    const struct ak_http_server_options pod = {.bind_address = "127.0.0.1", .routes = pod_routes};

    *self = (struct stage){.grant = "*"};
    memset(&run, 0, sizeof(run));
    stage_runs = (struct stage_runs){.phase = "Running"};
    stage_tools = (struct stage_tools){.bastion_status = 200};
    stage = self;
    atomic_store(&self->leading, true);
    ak_mutex_init(&self->lock);
    rig_server_start(&self->api, &api);
    rig_server_start(&self->pod, &pod);
    assert_int_equal(ak_http_client_new(&(struct ak_http_target){.base_url = self->pod.url},
                                        &self->pod_client, NULL),
                     0);
    load_config(self);
    rig_loop_start(&self->loop);
    self->invoke = stage_replica(is_leading);
}

static void free_clients(void *user)
{
    struct stage *self = user;

    (void)ak_client_free(self->client);
    (void)ak_http_client_free(self->pod_client);
}

void stage_end(struct stage *self)
{
    (void)ak_invoke_free(self->invoke);
    rig_loop_call(&self->loop, free_clients, self);
    rig_loop_end(&self->loop);
    rig_server_end(&self->pod);
    rig_server_end(&self->api);
    ak_kube_config_free(self->config);
    (void)unlink(self->config_path);
    ak_mutex_done(&self->lock);
    stage = NULL;
}

void stage_grant(const char *grant)
{
    ak_mutex_lock(&stage->lock);
    (void)snprintf(stage->grant, sizeof(stage->grant), "%s", grant);
    ak_mutex_unlock(&stage->lock);
}

int stage_ask(const struct stage_request *request, char *said, size_t size)
{
    struct ak_invoke *invoke = request->invoke ? request->invoke : stage->invoke;
    AK_AUTO(ak_http_reply) reply = {.body = AK_BUF_INIT(1u << 20)};
    AK_AUTO_PTR(ak_secret)
    token = request->token ? ak_secret_new(request->token, strlen(request->token)) : NULL;
    AK_AUTO_PTR(ak_http_client) client = NULL;
    char url[64];
    const struct ak_http_request http = {
        .method = request->method,
        .path = request->path,
        .content_type = request->body ? "application/json" : NULL,
        .body = request->body,
        .body_len = request->body ? strlen(request->body) : 0,
        .bearer = token,
        .headers = request->headers,
    };

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", ak_invoke_port(invoke));
    assert_int_equal(ak_http_client_new(&(struct ak_http_target){.base_url = url}, &client, NULL),
                     0);
    int r = ak_http_do(client, &http, &reply, NULL);
    if (said)
        (void)snprintf(said, size, "%s", ak_buf_text(&reply.body));
    return r < 0 ? r : reply.status;
}

int stage_get(const char *path, const char *token, char *said, size_t size)
{
    return stage_ask(&(struct stage_request){.method = "GET", .path = path, .token = token}, said,
                     size);
}
