/* SPDX-License-Identifier: Apache-2.0 */
/* The client, its streams and events against a scripted apiserver on loopback. */
#include <ak/kube/client.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/kube/events.h>

#include "rig.h"

static const struct ak_resource pods = {"", "v1", "Pod", "pods", true};
static const struct ak_kind pod_kind = {.resource = {"", "v1", "Pod", "pods", true}};

/* What the server saw last, as "METHOD PATH?QUERY TYPE BODY", and how often it was asked. */
static struct {
    struct ak_mutex lock;
    char last[4096];
    int posts, patches;
    char token[64]; /* the one that is accepted; "" accepts all */
} seen;

static void note(struct ak_http_exchange *ex)
{
    const char *type = ak_http_header(ex, "content-type");

    ak_mutex_lock(&seen.lock);
    (void)snprintf(seen.last, sizeof(seen.last), "%s %s?%s %s %s", ak_http_method(ex),
                   ak_http_path(ex), ak_http_query(ex), type ? type : "", ak_http_body(ex, NULL));
    seen.posts += ak_streq(ak_http_method(ex), "POST");
    seen.patches += ak_streq(ak_http_method(ex), "PATCH");
    ak_mutex_unlock(&seen.lock);
}

static bool is_let_in(struct ak_http_exchange *ex)
{
    const char *auth = ak_http_header(ex, "authorization");
    bool in;

    ak_mutex_lock(&seen.lock);
    in = !seen.token[0] || (auth && ak_streq(auth, seen.token));
    ak_mutex_unlock(&seen.lock);
    return in;
}

static void answer(struct ak_http_exchange *ex, int status, const char *body)
{
    ak_http_reply_text(ex, status, "application/json", body, strlen(body), NULL);
}

static void serve(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    note(ex);
    if (!is_let_in(ex))
        answer(ex, 401,
               "{\"kind\":\"Status\",\"reason\":\"Unauthorized\",\"message\":\"Unauthorized\"}");
    else
        answer(ex, 200, "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}");
}

#define STATUS(reason, message, more)                                                              \
    "{\"kind\":\"Status\",\"reason\":\"" reason "\",\"message\":\"" message "\"" more "}"

/* Says what it was asked with. */
static void echo(struct ak_http_exchange *ex, void *user)
{
    const char *own = ak_http_header(ex, "x-own"), *bearer = ak_http_header(ex, "authorization");
    char text[256];

    (void)user;
    (void)snprintf(text, sizeof(text), "{\"saw\":\"%s %s %s %s\"}", ak_http_method(ex),
                   own ? own : "-", bearer ? bearer : "-", ak_http_body(ex, NULL));
    answer(ex, 200, text);
}
static void missing(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    answer(ex, 404, STATUS("NotFound", "pods \\\"x\\\" not found", ""));
}
static void exists(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    answer(ex, 409, STATUS("AlreadyExists", "it is there", ""));
}
static void throttled(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    answer(ex, 429,
           STATUS("TooManyRequests", "slow down", ",\"details\":{\"retryAfterSeconds\":3}"));
}
static void proxy_page(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_http_reply_text(ex, 502, "text/html", "<html>\nbad gateway</html>", 25, NULL);
}
static void not_json(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    answer(ex, 200, "{\"half\":");
}

static const struct ak_http_route routes[] = {
    {NULL, "/missing", missing},
    {NULL, "/exists", exists},
    {NULL, "/throttled", throttled},
    {NULL, "/page", proxy_page},
    {NULL, "/notjson", not_json},
    {NULL, "/echo", echo},
    {NULL, "/*", serve},
    {0},
};

struct scene {
    struct rig_server server;
    struct ak_kube_config *config;
    struct ak_client *client;
    char dir[64], path[128], token[128];
};

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void scene_start(struct scene *s, const char *user)
{
    struct ak_http_server_options options = {.routes = routes};
    struct ak_kube_config_options o = {.paths = s->path};
    struct ak_error *err = NULL;
    AK_AUTO_TEXT char *text = NULL;

    memset(s, 0, sizeof(*s));
    seen.posts = seen.patches = 0;
    seen.token[0] = '\0';
    rig_server_start(&s->server, &options);
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/ak-client-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof(s->path), "%s/config", s->dir);
    (void)snprintf(s->token, sizeof(s->token), "%s/token", s->dir);
    put(s->token, "old");
    text = ak_asprintf("clusters: [{name: c, cluster: {server: '%s'}}]\n"
                       "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                       "current-context: x\nusers: [{name: u, user: %s}]\n",
                       s->server.url, user);
    put(s->path, text);
    if (ak_kube_config_load(&o, &s->config, &err) < 0 ||
        ak_client_new(s->config, &s->client, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

static void scene_end(struct scene *s)
{
    (void)ak_client_free(s->client);
    (void)ak_kube_config_free(s->config);
    rig_server_end(&s->server);
    (void)unlink(s->path);
    (void)unlink(s->token);
    assert_int_equal(rmdir(s->dir), 0);
}

static void verbs_send_what_kubernetes_expects(void **state)
{
    struct scene s;
    AK_AUTO_JSON *object = json_pack("{s:{s:s,s:s}}", "metadata", "name", "x", "namespace", "ns");
    AK_AUTO_JSON *patch = json_pack("{s:i}", "a", 1);
    AK_AUTO_JSON *reply = NULL;
    const struct ak_delete_options precise = {
        .uid = "u", .grace_seconds = 0, .propagation = "Background"};

    (void)state;
    scene_start(&s, "{token: t}");
    assert_int_equal(ak_client_get(s.client, &pods, "ns", "x", &reply, NULL), 0);
    assert_string_equal(seen.last, "GET /api/v1/namespaces/ns/pods/x?  ");
    assert_string_equal(ak_json_text(reply, "metadata", "name", NULL), "x");
    assert_int_equal(ak_client_apply(s.client, &pods, NULL, object, "a manager", true, NULL, NULL),
                     0);
    assert_non_null(strstr(seen.last,
                           "PATCH /api/v1/namespaces/ns/pods/x?fieldManager=a%20manager&force=true "
                           "application/apply-patch+yaml {"));
    assert_non_null(strstr(seen.last, "\"apiVersion\":\"v1\""));
    assert_int_equal(ak_client_create(s.client, &pods, object, "m", NULL, NULL), 0);
    assert_non_null(
        strstr(seen.last, "POST /api/v1/namespaces/ns/pods?fieldManager=m application/json {"));
    assert_int_equal(ak_client_update(s.client, &pods, "status", object, "m", NULL, NULL), 0);
    assert_non_null(strstr(
        seen.last, "PUT /api/v1/namespaces/ns/pods/x/status?fieldManager=m application/json {"));
    assert_int_equal(
        ak_client_merge_patch(s.client, &pods, "ns", "x", NULL, patch, "m", NULL, NULL), 0);
    assert_non_null(strstr(seen.last, "application/merge-patch+json {\"a\":1}"));
    assert_int_equal(ak_client_delete(s.client, &pods, "ns", "x", &precise, NULL), 0);
    assert_non_null(strstr(seen.last, "\"preconditions\":{\"uid\":\"u\"}"));
    assert_non_null(strstr(seen.last, "\"gracePeriodSeconds\":0"));
    assert_non_null(strstr(seen.last, "\"propagationPolicy\":\"Background\""));
    assert_int_equal(ak_client_delete(s.client, &pods, "ns", "", &precise, NULL), -EINVAL);
    assert_int_equal(ak_client_get(s.client, &pods, NULL, "x", NULL, NULL), -EINVAL);
    scene_end(&s);
}

static void refusals_come_back_as_errors(void **state)
{
    static const struct {
        const char *path, *reason, *message;
        int code, status, retry;
    } cases[] = {
        {"/missing", "NotFound", "pods \"x\" not found", AK_E_NOT_FOUND, 404, 0},
        {"/exists", "AlreadyExists", "it is there", AK_E_ALREADY_EXISTS, 409, 0},
        {"/throttled", "TooManyRequests", "slow down", AK_E_THROTTLED, 429, 3000},
        {"/page", "", "the server answered with HTTP status 502: <html> bad gateway</html>",
         AK_E_SERVER, 502, 0},
    };
    struct scene s;

    (void)state;
    scene_start(&s, "{token: t}");
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_call call = {.method = "GET", .path = cases[i].path};
        AK_AUTO_PTR(ak_error) err = NULL;

        assert_int_equal(ak_client_call(s.client, &call, NULL, &err), cases[i].code);
        assert_string_equal(ak_error_reason(err), cases[i].reason);
        assert_string_equal(ak_error_message(err), cases[i].message);
        assert_int_equal(ak_error_http_status(err), cases[i].status);
        assert_int_equal(ak_error_retry_after_ms(err), cases[i].retry);
    }
    AK_AUTO_JSON *tree = NULL;
    struct ak_call half = {.method = "GET", .path = "/notjson"};
    assert_true(ak_client_call(s.client, &half, &tree, NULL) < 0);
    scene_end(&s);
}

static void count_401(const char *method, int status, uint64_t n, void *user)
{
    if (ak_streq(method, "GET") && status == 401)
        *(uint64_t *)user = n;
}

static void a_refused_credential_is_read_again_once(void **state)
{
    struct scene s;
    struct ak_call call = {.method = "GET", .path = "/api"};
    uint64_t refused = 0;

    (void)state;
    scene_start(&s, "{tokenFile: token}");
    (void)strncpy(seen.token, "Bearer new", sizeof(seen.token) - 1);
    assert_int_equal(ak_client_call(s.client, &call, NULL, NULL), AK_E_UNAUTHORIZED);
    put(s.token, "new");
    assert_int_equal(ak_client_call(s.client, &call, NULL, NULL), 0);
    ak_client_each_count(s.client, count_401, &refused);
    assert_int_equal(refused, 3); /* two of the first call, one of the second */
    scene_end(&s);
}

static void a_cancelled_client_sends_nothing_but_what_insists(void **state)
{
    struct scene s;
    struct ak_cancel cancel, own;
    struct ak_call call = {.method = "GET", .path = "/api"};

    (void)state;
    scene_start(&s, "{token: t}");
    assert_int_equal(ak_cancel_init(&cancel), 0);
    assert_int_equal(ak_cancel_init(&own), 0);
    ak_client_set_cancel(s.client, &cancel);
    ak_cancel_now(&cancel);
    assert_int_equal(ak_client_call(s.client, &call, NULL, NULL), AK_E_CANCELLED);
    call.cancel = &own;
    assert_int_equal(ak_client_call(s.client, &call, NULL, NULL), 0);
    scene_end(&s);
    ak_cancel_done(&cancel);
    ak_cancel_done(&own);
}

/* --- streams --- */

struct reader {
    struct ak_loop *loop;
    int begins, code, http_status;
    char data[256], reason[64];
};

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct reader *r = user;

    (void)status;
    (void)retry_after;
    r->begins++;
    return 0;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct reader *r = user;

    (void)snprintf(r->data + strlen(r->data), sizeof(r->data) - strlen(r->data), "%.*s", (int)len,
                   data);
    return 0;
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct reader *r = user;

    r->code = code;
    r->http_status = ak_error_http_status(err);
    (void)snprintf(r->reason, sizeof(r->reason), "%s", ak_error_reason(err));
    ak_loop_stop(r->loop);
}

static const struct ak_http_stream_ops ops = {on_begin, on_data, on_end};

static void stream_once(struct scene *s, struct ak_loop *loop, const char *path, struct reader *r)
{
    struct ak_http_stream *stream = NULL;

    *r = (struct reader){.loop = loop};
    assert_int_equal(
        ak_client_stream(s->client, loop, path, NULL, AK_SECONDS(20), &ops, r, &stream, NULL), 0);
    assert_int_equal(ak_loop_run(loop, NULL), 0);
}

static void streams_bring_data_or_the_servers_reason(void **state)
{
    struct scene s;
    struct ak_loop *loop = NULL;
    struct reader r;

    (void)state;
    scene_start(&s, "{token: t}");
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    stream_once(&s, loop, "/api", &r);
    assert_int_equal(r.code, 0);
    assert_int_equal(r.begins, 1);
    assert_non_null(strstr(r.data, "\"Pod\""));
    stream_once(&s, loop, "/missing", &r);
    assert_int_equal(r.code, AK_E_NOT_FOUND);
    assert_int_equal(r.begins, 0);
    assert_int_equal(r.http_status, 404);
    assert_string_equal(r.reason, "NotFound");
    assert_string_equal(r.data, "");
    (void)ak_client_free(s.client); /* before its loop */
    s.client = NULL;
    loop = ak_loop_free(loop);
    scene_end(&s);
}

static void a_request_carries_headers_of_its_own_streamed_or_not(void **state)
{
    static const char *const lines[] = {"X-Own: mine", NULL};
    static const char *const many[] = {"A: 1", "B: 1", "C: 1", "D: 1", "E: 1",
                                       "F: 1", "G: 1", "H: 1", "I: 1", NULL};
    struct ak_call call = {
        .method = "POST", .path = "/echo", .headers = lines, .body = "B", .body_len = 1};
    struct ak_http_stream *stream = NULL;
    AK_AUTO_JSON *tree = NULL;
    struct ak_loop *loop = NULL;
    struct scene s;
    struct reader r;

    (void)state;
    scene_start(&s, "{token: t}");
    assert_int_equal(ak_client_call(s.client, &call, &tree, NULL), 0);
    assert_string_equal(ak_json_text(tree, "saw", NULL), "POST mine Bearer t B");
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    r = (struct reader){.loop = loop};
    call.timeout = AK_SECONDS(20);
    assert_int_equal(ak_client_stream_call(s.client, loop, &call, &ops, &r, &stream, NULL), 0);
    assert_int_equal(ak_loop_run(loop, NULL), 0);
    assert_string_equal(r.data, "{\"saw\":\"POST mine Bearer t B\"}");
    call.headers = many;
    assert_int_equal(ak_client_call(s.client, &call, NULL, NULL), -EINVAL);
    assert_int_equal(ak_client_stream_call(s.client, loop, &call, &ops, &r, &stream, NULL),
                     -EINVAL);
    scene_end(&s);
    (void)ak_loop_free(loop);
}

static void the_token_of_a_kubeconfig_is_shown_to_who_asks(void **state)
{
    AK_AUTO_PTR(ak_secret) token = NULL;
    AK_AUTO_PTR(ak_secret) none = NULL;
    struct scene s;

    (void)state;
    scene_start(&s, "{tokenFile: token}");
    assert_int_equal(ak_kube_config_token(s.config, NULL, &token, NULL), 0);
    assert_string_equal(ak_secret_peek(token, NULL), "old");
    scene_end(&s);
    scene_start(&s, "{username: u, password: p}");
    assert_int_equal(ak_kube_config_token(s.config, NULL, &none, NULL), 0);
    assert_null(none);
    scene_end(&s);
}

static void a_refused_stream_renews_the_credential_in_the_background(void **state)
{
    struct scene s;
    struct ak_loop *loop = NULL;
    struct reader r;
    ak_msec deadline = ak_now() + AK_SECONDS(30);

    (void)state;
    scene_start(&s, "{tokenFile: token}");
    (void)strncpy(seen.token, "Bearer new", sizeof(seen.token) - 1);
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    put(s.token, "new");
    stream_once(&s, loop, "/api", &r);
    assert_int_equal(r.code, AK_E_UNAUTHORIZED);
    do
        stream_once(&s, loop, "/api", &r);
    while (r.code < 0 && ak_now() < deadline);
    assert_int_equal(r.code, 0);
    (void)ak_client_free(s.client);
    s.client = NULL;
    loop = ak_loop_free(loop);
    scene_end(&s);
}

/* --- events --- */

static const struct ak_object *pod(const char *uid)
{
    AK_AUTO_JSON *tree =
        json_pack("{s:{s:s,s:s,s:s}}", "metadata", "name", "x", "namespace", "ns", "uid", uid);
    const struct ak_object *object = NULL;

    assert_int_equal(ak_object_decode(&pod_kind, tree, NULL, &object, NULL), 0);
    return object;
}

static struct ak_events *events_for(struct scene *s)
{
    struct ak_events *events = NULL;

    assert_int_equal(ak_events_new(s->client, "tester", "here", &events, NULL), 0);
    return events;
}

static void an_event_says_what_happened_to_which_object(void **state)
{
    struct scene s;
    AK_AUTO_OBJECT about = pod("u1");
    static const char *const want[] = {
        "POST /api/v1/namespaces/ns/events?",
        "\"kind\":\"Pod\"",
        "\"uid\":\"u1\"",
        "\"type\":\"Warning\"",
        "\"reason\":\"Failed\"",
        "\"message\":\"no 7\"",
        "\"component\":\"tester\"",
        "\"count\":1",
    };

    (void)state;
    scene_start(&s, "{token: t}");
    struct ak_events *events = events_for(&s);
    ak_events_emit(events, about, true, "Failed", "no %d", 7);
    (void)ak_events_free(events); /* sends what waits */
    for (size_t i = 0; i < AK_ARRAY_LEN(want); i++)
        if (!strstr(seen.last, want[i]))
            fail_msg("%s is not in %s", want[i], seen.last);
    scene_end(&s);
}

static void repeats_are_counted_similar_ones_combined_and_floods_dropped(void **state)
{
    struct scene s;
    AK_AUTO_OBJECT one = pod("u1");
    AK_AUTO_OBJECT two = pod("u2");
    AK_AUTO_OBJECT three = pod("u3");
    struct ak_events *events;

    (void)state;
    scene_start(&s, "{token: t}");
    events = events_for(&s);
    for (int i = 0; i < 5; i++)
        ak_events_emit(events, one, false, "Same", "again");
    (void)ak_events_free(events);
    assert_int_equal(seen.posts, 1);
    assert_int_equal(seen.patches, 4);
    assert_non_null(strstr(seen.last, "\"count\":5"));

    seen.posts = seen.patches = 0;
    events = events_for(&s);
    for (int i = 0; i < 15; i++)
        ak_events_emit(events, two, false, "Similar", "number %d", i);
    (void)ak_events_free(events);
    assert_int_equal(seen.posts, 11); /* ten by themselves, one for all others */
    assert_int_equal(seen.patches, 4);
    assert_non_null(strstr(seen.last, "(combined from similar events): number 14"));

    seen.posts = seen.patches = 0;
    events = events_for(&s);
    for (int i = 0; i < 100; i++)
        ak_events_emit(events, three, false, "Flood", "water");
    (void)ak_events_free(events);
    assert_int_equal(seen.posts + seen.patches, 25);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs_send_what_kubernetes_expects),
        cmocka_unit_test(refusals_come_back_as_errors),
        cmocka_unit_test(a_refused_credential_is_read_again_once),
        cmocka_unit_test(a_cancelled_client_sends_nothing_but_what_insists),
        cmocka_unit_test(streams_bring_data_or_the_servers_reason),
        cmocka_unit_test(a_request_carries_headers_of_its_own_streamed_or_not),
        cmocka_unit_test(the_token_of_a_kubeconfig_is_shown_to_who_asks),
        cmocka_unit_test(a_refused_stream_renews_the_credential_in_the_background),
        cmocka_unit_test(an_event_says_what_happened_to_which_object),
        cmocka_unit_test(repeats_are_counted_similar_ones_combined_and_floods_dropped),
    };
    ak_mutex_init(&seen.lock);
    return cmocka_run_group_tests_name("kube/client", tests, NULL, NULL);
}
