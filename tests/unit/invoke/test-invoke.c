/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a whole, over HTTP, on the stage of stage.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "stage.h"

#define A "/api/v1/namespaces/team/agents/a"
#define R A "/runs/r-1"

static struct stage the_stage;
static int log_fd = -1;

static int begin(void **state)
{
    char path[] = "/tmp/ak-test-invoke-log-XXXXXX";
    (void)state;

    log_fd = mkstemp(path);
    (void)unlink(path);
    ak_log_set_fd(log_fd);
    stage_begin(&the_stage);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stage_end(&the_stage);
    ak_log_set_fd(2);
    (void)close(log_fd);
    return 0;
}

static void pause_a_little(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* All log lines so far. */
static void read_log(char *text, size_t size)
{
    ssize_t n = pread(log_fd, text, size - 1, 0);

    text[n > 0 ? n : 0] = 0;
}

static void wait_for_log(const char *words)
{
    static char text[1u << 20];

    do {
        pause_a_little();
        read_log(text, sizeof(text));
    } while (!strstr(text, words));
}

static int post(const char *path, const char *token, const char *body, char *said, size_t size)
{
    return stage_ask(
        &(struct stage_request){.method = "POST", .path = path, .token = token, .body = body}, said,
        size);
}

static void test_nobody_gets_anything_without_a_token(void **state)
{
    static const char *const paths[] = {"/api/v1/whoami", "/api/v1/agents", "/",
                                        "/api/v1/openapi.json", R "/events"};
    char said[512];
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(paths); i++) {
        assert_int_equal(stage_get(paths[i], NULL, said, sizeof(said)), 401);
        assert_non_null(strstr(said, "\"reason\":\"Unauthorized\""));
        assert_int_equal(stage_get(paths[i], "garbage", NULL, 0), 401);
        assert_int_equal(stage_get(paths[i], "odd-token", NULL, 0), 401);
    }
    assert_int_equal(atomic_load(&stage->access_reviews), 0);
    assert_int_equal(stage_get("/api/v1/whoami", "late-token", NULL, 0), 503);
}

static void test_the_own_header_wins(void **state)
{
    static const char *const headers[] = {"X-Agentkube-Authorization: Bearer alice-token", NULL};
    static const char *const bad[] = {"X-Agentkube-Authorization: Basic alice-token", NULL};
    struct stage_request request = {
        .method = "GET", .path = "/api/v1/whoami", .token = "bob-token", .headers = headers};
    char said[512];
    (void)state;

    assert_int_equal(stage_ask(&request, said, sizeof(said)), 200);
    assert_string_equal(said,
                        "{\"username\":\"alice\",\"version\":\"" AK_VERSION
                        "\",\"leading\":true,\"groups\":[\"people\",\"all\"],\"uid\":\"u-alice\","
                        "\"extra\":{\"scopes\":[\"x\"]}}");
    request.headers = bad;
    assert_int_equal(stage_ask(&request, NULL, 0), 401);
}

static const struct {
    const char *method, *path, *grant;
    int status;
} calls[] = {
    /* First: who gets a run is asked about its log, too. */
    {"GET", R "/events?follow=false", "get agents/log team a", 200},
    {"GET", R "/logs", "get agents/log team a", 200},
    {"GET", "/api/v1/tools", "list tools - -", 200},
    {"GET", "/api/v1/namespaces/team/mcps", "list mcps team -", 200},
    {"GET", A, "get agents team a", 200},
    {"GET", "/api/v1/runs", "list agents - -", 200},
    {"GET", "/api/v1/namespaces/team/runs", "list agents team -", 200},
    {"GET", A "/runs", "get agents team a", 200},
    {"GET", R, "get agents team a", 200},
    {"POST", A "/runs", "create agents/invoke team a", 201},
    {"POST", R "/cancel", "create agents/invoke team a", 200},
    {"POST", A "/pause", "update agents team a", 200},
    {"POST", A "/resume", "update agents team a", 200},
};

/* The first grant of another call. */
static const char *other_grant(size_t i)
{
    size_t k = 0;

    while (ak_streq(calls[k].grant, calls[i].grant))
        k++;
    return calls[k].grant;
}

static void test_each_call_needs_its_own_grant_and_no_other(void **state)
{
    char said[4096];
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(calls); i++) {
        const struct stage_request request = {
            .method = calls[i].method, .path = calls[i].path, .token = "bob-token"};
        stage_grant(other_grant(i));
        int status = stage_ask(&request, said, sizeof(said));
        if (status != 403 || !strstr(said, "\\\"bob\\\" cannot"))
            fail_msg("%s %s with %s: %d %s", request.method, request.path, other_grant(i), status,
                     said);
    }
    (void)nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000},
                    NULL); /* AK_ACCESS_DENIED_LIFE */
    for (size_t i = 0; i < AK_ARRAY_LEN(calls); i++) {
        const struct stage_request request = {
            .method = calls[i].method, .path = calls[i].path, .token = "bob-token"};
        stage_grant(calls[i].grant);
        int status = stage_ask(&request, said, sizeof(said));
        if (status != calls[i].status)
            fail_msg("%s %s: %d %s", request.method, request.path, status, said);
    }
}

static void test_objects_come_as_the_api_server_gives_them(void **state)
{
    char said[1024];
    (void)state;

    assert_int_equal(
        stage_get("/api/v1/namespaces/team/agents?limit=7&labelSelector=a%3Db&continue=x",
                  "alice-token", said, sizeof(said)),
        200);
    assert_string_equal(said, "{\"kind\":\"Agent\",\"metadata\":{\"name\":\"a\"}}");
    assert_string_equal(stage->last_path,
                        "GET /apis/agentkube.io/v1alpha1/namespaces/team/agents?limit=7&"
                        "labelSelector=a%3Db&continue=x");
    assert_int_equal(
        stage_get("/api/v1/namespaces/team/agents/missing", "alice-token", said, sizeof(said)),
        404);
    assert_non_null(strstr(said, "agents \\\"missing\\\" not found"));
    assert_int_equal(
        stage_get("/api/v1/namespaces/team/agents/forbidden", "alice-token", said, sizeof(said)),
        500);
    assert_non_null(strstr(said, "the manager lacks a right"));
}

static void test_a_run_is_started_with_what_was_asked(void **state)
{
    static const char *const key[] = {"Idempotency-Key: k1", NULL};
    struct stage_request request = {.method = "POST",
                                    .path = A "/runs?hold=3",
                                    .token = "alice-token",
                                    .body = "{\"prompt\":\"do it\",\"timeoutSeconds\":9}"};
    char said[1024];
    (void)state;

    assert_int_equal(stage_ask(&request, said, sizeof(said)), 201);
    assert_non_null(strstr(said, "\"id\":\"r-new\""));
    assert_non_null(strstr(said, "\"prompt\":\"do it\"")); /* his own */
    assert_string_equal(stage_runs.prompt, "do it");
    assert_string_equal(stage_runs.key, "-");
    assert_string_equal(stage_runs.by, "alice");
    assert_int_equal(stage_runs.timeout, 9000);
    assert_int_equal(stage_runs.hold, 3000);
    request.headers = key;
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 200);
    assert_string_equal(stage_runs.key, "k1");
    stage_runs.fail_with = 409;
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 409);
    assert_non_null(strstr(said, "the book says no"));
}

static void test_prompts_of_others_are_for_those_who_may_read_logs(void **state)
{
    char said[1u << 16];
    (void)state;

    assert_int_equal(stage_get(R, "alice-token", said, sizeof(said)), 200);
    assert_non_null(strstr(said, "do it"));
    stage_grant("get agents team a");
    assert_int_equal(stage_get(R, "bob-token", said, sizeof(said)), 200);
    assert_null(strstr(said, "do it"));
    assert_null(strstr(said, "done"));
    assert_int_equal(stage_get(A "/runs?limit=2", "bob-token", said, sizeof(said)), 200);
    assert_null(strstr(said, "do it"));
    AK_AUTO_JSON *tree = NULL;
    assert_int_equal(ak_json_parse(said, strlen(said), &tree, NULL), 0);
    assert_int_equal(json_array_size(json_object_get(tree, "items")), 2);
}

static void test_a_long_answer_is_whole(void **state)
{
    char said[1u << 16];
    AK_AUTO_JSON *tree = NULL;
    (void)state;

    assert_int_equal(stage_get("/api/v1/openapi.json", "alice-token", said, sizeof(said)), 200);
    assert_true(strlen(said) > 10000);
    assert_int_equal(ak_json_parse(said, strlen(said), &tree, NULL), 0);
    assert_string_equal(ak_json_text(tree, "openapi", NULL), "3.0.3");
}

static void test_events_come_from_the_pod_without_what_only_we_should_see(void **state)
{
    static const char *const headers[] = {"X-Agentkube-Authorization: Bearer alice-token",
                                          "Last-Event-ID: 41", "Cookie: secret=1",
                                          "X-Forwarded-For: 10.9.9.9", NULL};
    struct stage_request request = {.method = "GET",
                                    .path = R "/events?follow=false",
                                    .token = "bob-token",
                                    .headers = headers};
    char said[1024];
    (void)state;

    assert_int_equal(stage_ask(&request, said, sizeof(said)), 200);
    assert_string_equal(said,
                        "id: 1\nevent: queued\ndata: {}\n\nid: 2\nevent: ended\ndata: {}\n\n");
    assert_string_equal(stage->last_path, "GET /v1/runs/r-1/events?follow=false&after=41");
    assert_null(strstr(stage->last_headers, "token"));
    assert_null(strstr(stage->last_headers, "secret"));
    assert_null(strstr(stage->last_headers, "10.9.9.9"));
    request.path = R "/logs?tail=5&follow=false";
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 200);
    assert_string_equal(stage->last_path, "GET /v1/runs/r-1/logs?follow=false&tail=5");
}

static void test_a_run_without_a_pod_says_where_it_is_kept(void **state)
{
    char said[1024];
    (void)state;

    stage_runs.no_target = true;
    assert_int_equal(stage_get(R "/events", "alice-token", said, sizeof(said)), 503);
    assert_non_null(strstr(said, "\"retryAfterSeconds\":1"));
    stage_runs.phase = "Succeeded";
    assert_int_equal(stage_get(R "/logs", "alice-token", said, sizeof(said)), 410);
    assert_non_null(strstr(said, "\"reason\":\"Gone\""));
    stage_runs.fail_with = 404;
    assert_int_equal(stage_get(R "/logs", "alice-token", said, sizeof(said)), 404);
}

static void test_a_pod_that_went_is_a_503(void **state)
{
    char said[1024];
    (void)state;

    rig_server_end(&the_stage.pod);
    assert_int_equal(stage_get(R "/events", "alice-token", said, sizeof(said)), 503);
    assert_non_null(strstr(said, "does not answer"));
    assert_int_equal(atomic_load(&stage_runs.target_failures), 1);
    rig_server_start(&the_stage.pod, &the_stage.pod.options);
}

static bool never(void *user)
{
    (void)user;
    return false;
}

static void test_what_only_the_leader_does_is_passed_on(void **state)
{
    struct ak_invoke *follower = stage_replica(never);
    struct stage_request request = {.method = "POST",
                                    .path = A "/runs?hold=1",
                                    .token = "bob-token",
                                    .body = "{\"prompt\":\"passed on\"}",
                                    .invoke = follower};
    char said[1024];
    (void)state;

    assert_int_equal(stage_ask(&request, said, sizeof(said)), 503); /* nobody knows the leader */
    (void)snprintf(stage->leader, sizeof(stage->leader), "127.0.0.1:%u",
                   ak_invoke_port(stage->invoke));
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 201);
    assert_non_null(strstr(said, "\"requestedBy\":\"bob\""));
    assert_string_equal(stage_runs.prompt, "passed on");
    request.path = A "/pause";
    request.body = NULL;
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 200);
    atomic_store(&stage->leading, false); /* two that do not lead: it is passed on once */
    request.path = A "/resume";
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 503);
    assert_non_null(strstr(said, "the leader is changing"));
    (void)snprintf(stage->leader, sizeof(stage->leader), "127.0.0.1:1");
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 503);
    request.token = "garbage"; /* asked about here already */
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 401);
    request.token = "bob-token";
    request.method = "GET"; /* every replica reads */
    request.path = R;
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 200);
    (void)ak_invoke_free(follower);
}

static int begin_request(const char *head)
{
    int fd = rig_connect(ak_invoke_port(stage->invoke));

    rig_send(fd, head);
    return fd;
}

static void test_a_caller_who_goes_gives_his_run_up(void **state)
{
    (void)state;
    stage_runs.waits = true;
    int fd =
        begin_request("POST " A "/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice-token\r\n"
                      "Content-Length: 0\r\n\r\n");
    while (!atomic_load(&stage_runs.started))
        pause_a_little();
    (void)close(fd);
    while (!atomic_load(&stage_runs.cancelled))
        pause_a_little();
    wait_for_log("\"clientGone\":true");
}

static void test_starts_that_wait_do_not_hold_up_the_rest(void **state)
{
    int fds[70];
    (void)state;

    stage_runs.waits = true;
    for (size_t i = 0; i < AK_ARRAY_LEN(fds); i++)
        fds[i] = begin_request("POST " A "/runs HTTP/1.1\r\nHost: x\r\n"
                               "Authorization: Bearer alice-token\r\nContent-Length: 0\r\n\r\n");
    while (atomic_load(&stage_runs.started) < 64)
        pause_a_little();
    assert_int_equal(stage_get(R, "alice-token", NULL, 0), 200);
    assert_int_equal(stage_get("/api/v1/whoami", "bob-token", NULL, 0), 200);
    for (size_t i = 0; i < AK_ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
}

static int begin_start(void)
{
    return begin_request("POST " A "/runs HTTP/1.1\r\nHost: x\r\n"
                         "Authorization: Bearer alice-token\r\nContent-Length: 0\r\n\r\n");
}

static void test_too_many_starts_are_told_to_come_back(void **state)
{
    int fds[140];
    char said[1024];
    (void)state;

    assert_int_equal(stage_get("/api/v1/whoami", "alice-token", NULL, 0), 200);
    stage_runs.waits = true;
    for (size_t i = 0; i < AK_ARRAY_LEN(fds); i++) {
        fds[i] = begin_start();
        while (i < 64 && atomic_load(&stage_runs.started) <= (int)i) /* each has a thread */
            pause_a_little();
    }
    wait_for_log("\"status\":429");
    assert_int_equal(post(A "/runs", "alice-token", NULL, said, sizeof(said)), 429);
    assert_non_null(strstr(said, "\"retryAfterSeconds\":1"));
    for (size_t i = 0; i < AK_ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
}

static void test_the_end_breaks_off_streams_and_what_waits(void **state)
{
    char head[2048];
    (void)state;

    int stream = begin_request(
        "GET " R "/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice-token\r\n\r\n");
    assert_true(rig_read_head(stream, head, sizeof(head)));
    assert_non_null(strstr(head, "200"));
    stage_runs.waits = true;
    int start =
        begin_request("POST " A "/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice-token\r\n"
                      "Content-Length: 0\r\n\r\n");
    while (!atomic_load(&stage_runs.started))
        pause_a_little();
    ak_msec began = ak_now();
    ak_invoke_stop(stage->invoke);
    assert_true(ak_now() - began < AK_SECONDS(10));
    assert_true(rig_read_head(start, head, sizeof(head)));
    assert_non_null(strstr(head, "503"));
    (void)close(stream);
    (void)close(start);
}

static void test_each_call_is_one_line_without_secrets(void **state)
{
    static const char *const headers[] = {"X-Agentkube-Authorization: Bearer alice-token",
                                          "X-Forwarded-For: 192.0.2.7", "User-Agent: test/1", NULL};
    static char text[1u << 20];
    struct stage_request request = {.method = "POST",
                                    .path = A "/runs",
                                    .body = "{\"prompt\":\"hush-prompt\"}",
                                    .headers = headers};
    AK_AUTO_JSON *line = NULL;
    (void)state;

    assert_int_equal(stage_ask(&request, NULL, 0), 201);
    wait_for_log("\"msg\":\"invocation\"");
    read_log(text, sizeof(text));
    assert_null(strstr(text, "alice-token"));
    assert_null(strstr(text, "hush-prompt"));
    char *audit = strstr(text, "invocation");
    while (audit > text && audit[-1] != '\n')
        audit--;
    assert_int_equal(ak_json_parse(audit, strcspn(audit, "\n"), &line, NULL), 0);
    static const char *const wanted[][2] = {
        {"verdict", "allow"},      {"action", "start"},      {"user", "alice"},
        {"userUID", "u-alice"},    {"groups", "people,all"}, {"resource", "agents"},
        {"subresource", "invoke"}, {"namespace", "team"},    {"name", "a"},
        {"run", "r-new"},          {"userAgent", "test/1"},  {"forwardedFor", "192.0.2.7"},
    };
    for (size_t i = 0; i < AK_ARRAY_LEN(wanted); i++)
        assert_string_equal(ak_json_text(line, wanted[i][0], NULL), wanted[i][1]);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 201);
    assert_true(ak_has_prefix(ak_json_text(line, "remoteAddress", NULL), "127.0.0.1:"));
    assert_int_equal(stage_get("/api/v1/agents", "garbage", NULL, 0), 401);
    wait_for_log("\"verdict\":\"deny\"");
}

static void test_metrics_count_calls(void **state)
{
    struct ak_metrics m = AK_METRICS_INIT;
    (void)state;

    assert_int_equal(stage_get(R, "alice-token", NULL, 0), 200);
    assert_int_equal(stage_get("/", NULL, NULL, 0), 401);
    wait_for_log("\"verdict\":\"deny\"");
    ak_invoke_metrics(stage->invoke, &m);
    assert_int_equal(m.error, 0);
    assert_non_null(strstr(ak_buf_text(&m.out),
                           "agentkube_invoke_requests_total{action=\"run\",code=\"2xx\"} 1\n"));
    assert_non_null(strstr(ak_buf_text(&m.out),
                           "agentkube_invoke_requests_total{action=\"none\",code=\"4xx\"} 1\n"));
    ak_buf_done(&m.out);
}

static void test_an_address_for_others_is_one_that_they_can_use(void **state)
{
    char address[AK_LEADER_ADDRESS_SIZE];
    (void)state;

    assert_true(ak_invoke_address("10.0.0.7", NULL, 8082, address));
    assert_string_equal(address, "10.0.0.7:8082");
    assert_true(ak_invoke_address("fd00::7", "0.0.0.0", 1, address));
    assert_string_equal(address, "[fd00::7]:1");
    assert_true(ak_invoke_address(NULL, "127.0.0.1", 8082, address));
    assert_false(ak_invoke_address(NULL, NULL, 8082, address));
    assert_false(ak_invoke_address("", "::", 8082, address));
    assert_false(ak_invoke_address("10.0.0.7", NULL, 0, address));
    assert_false(ak_invoke_address("10.0.0.7", NULL, -1, address));
}

#define WITH_STAGE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STAGE(test_nobody_gets_anything_without_a_token),
        WITH_STAGE(test_the_own_header_wins),
        WITH_STAGE(test_each_call_needs_its_own_grant_and_no_other),
        WITH_STAGE(test_objects_come_as_the_api_server_gives_them),
        WITH_STAGE(test_a_run_is_started_with_what_was_asked),
        WITH_STAGE(test_prompts_of_others_are_for_those_who_may_read_logs),
        WITH_STAGE(test_a_long_answer_is_whole),
        WITH_STAGE(test_events_come_from_the_pod_without_what_only_we_should_see),
        WITH_STAGE(test_a_run_without_a_pod_says_where_it_is_kept),
        WITH_STAGE(test_a_pod_that_went_is_a_503),
        WITH_STAGE(test_what_only_the_leader_does_is_passed_on),
        WITH_STAGE(test_a_caller_who_goes_gives_his_run_up),
        WITH_STAGE(test_starts_that_wait_do_not_hold_up_the_rest),
        WITH_STAGE(test_too_many_starts_are_told_to_come_back),
        WITH_STAGE(test_the_end_breaks_off_streams_and_what_waits),
        WITH_STAGE(test_each_call_is_one_line_without_secrets),
        WITH_STAGE(test_metrics_count_calls),
        cmocka_unit_test(test_an_address_for_others_is_one_that_they_can_use),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
