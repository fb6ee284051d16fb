/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "manager/invoke/request.h"

#define RUNS "/api/v1/namespaces/team/agents/a/runs"
#define ROUTED "application/json"

static int parse(const char *method, const char *path, const char *query, const char *type,
                 const char *body, struct ak_arena *arena, struct ak_invoke_request *ret,
                 struct ak_error **reterr)
{
    const struct ak_invoke_text text = {
        .method = method,
        .path = path,
        .query = query ? query : "",
        .content_type = type,
        .body = body,
        .body_len = body ? strlen(body) : 0,
    };
    return ak_invoke_request_parse(&text, arena, ret, reterr);
}

struct good {
    const char *method, *path, *action, *resource, *ns, *name, *id;
    const char *query, *body; /* without which it is none */
};

#define TOOL "/api/v1/namespaces/team/tools/db"
#define QUERY "{\"operation\":\"query\"}"

static const struct good good[] = {
    {"GET", "/api/v1/whoami", "whoami", NULL, NULL, NULL, NULL},
    {"GET", "/api/v1/openapi.json", "openapi", NULL, NULL, NULL, NULL},
    {"GET", "/api/v1/agents", "list", "agents", NULL, NULL, NULL},
    {"GET", "/api/v1/claws", "list", "claws", NULL, NULL, NULL},
    {"GET", "/api/v1/namespaces/team/llmgateways", "list", "llmgateways", "team", NULL, NULL},
    {"GET", "/api/v1/namespaces/team/mcps/m.x", "get", "mcps", "team", "m.x", NULL},
    {"GET", "/api/v1/namespaces/runs/tools/runs", "get", "tools", "runs", "runs", NULL},
    {"GET", "/api/v1/namespaces/t%65am/tools/%61", "get", "tools", "team", "a", NULL},
    {"GET", "/api/v1/runs", "runs", "agents", NULL, NULL, NULL},
    {"GET", "/api/v1/namespaces/team/runs", "runs", "agents", "team", NULL, NULL},
    {"GET", RUNS, "runs", "agents", "team", "a", NULL},
    {"POST", RUNS, "start", "agents", "team", "a", NULL},
    {"GET", RUNS "/r-1", "run", "agents", "team", "a", "r-1"},
    {"POST", RUNS "/r-1/cancel", "cancel", "agents", "team", "a", "r-1"},
    {"GET", RUNS "/r-1/events", "events", "agents", "team", "a", "r-1"},
    {"GET", RUNS "/r-1/logs", "logs", "agents", "team", "a", "r-1"},
    {"POST", "/api/v1/namespaces/team/agents/a/pause", "pause", "agents", "team", "a", NULL},
    {"POST", "/api/v1/namespaces/team/agents/a/resume", "resume", "agents", "team", "a", NULL},
    {"POST", TOOL "/operations", "operate", "tools", "team", "db", NULL, NULL, QUERY},
    {"GET", TOOL "/exec", "exec", "tools", "team", "db", NULL},
    {"GET", TOOL "/forward", "forward", "tools", "team", "db", NULL},
    {"GET", TOOL "/sessions", "sessions", "tools", "team", "db", NULL},
    {"POST", TOOL "/sessions/s-1/kill", "kill", "tools", "team", "db", "s-1"},
    {"POST", TOOL "/probe", "probe", "tools", "team", "db", NULL},
    {"GET", TOOL "/explain", "explain", "tools", "team", "db", NULL, "operation=query"},
    {"POST", TOOL "/explain", "explain", "tools", "team", "db", NULL, NULL, QUERY},
    {"GET", TOOL "/approvals", "approvals", "tools", "team", "db", NULL},
    {"POST", TOOL "/approvals/ap-1/approve", "approve", "tools", "team", "db", "ap-1"},
    {"POST", TOOL "/approvals/ap-1/deny", "deny", "tools", "team", "db", "ap-1"},
    {"GET", TOOL "/recordings", "recordings", "tools", "team", "db", NULL},
    {"GET", TOOL "/recordings/rec-1", "recording", "tools", "team", "db", "rec-1"},
    {"GET", "/api/v1/self/tools", "self-tools", NULL, NULL, NULL, NULL},
    {"POST", "/api/v1/self/tools/db/operations", "self-operate", NULL, NULL, "db", NULL, NULL,
     QUERY},
};

static int parse_good(const struct good *c, struct ak_arena *arena, struct ak_invoke_request *ret)
{
    return parse(c->method, c->path, c->query, c->body ? "application/json" : NULL, c->body, arena,
                 ret, NULL);
}

static void test_each_call_is_found_by_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(good); i++) {
        const struct good *c = &good[i];
        struct ak_invoke_request q;
        AK_AUTO(ak_arena) arena = {0};
        ak_arena_init(&arena, 256, 0);
        if (parse_good(c, &arena, &q) < 0)
            fail_msg("%s %s", c->method, c->path);
        assert_string_equal(q.route->action, c->action);
        assert_true(ak_streq(q.resource ? q.resource->plural : NULL, c->resource));
        assert_true(ak_streq(q.ns, c->ns) && ak_streq(q.name, c->name) && ak_streq(q.id, c->id));
    }
}

static void test_every_row_of_the_table_is_reached(void **state)
{
    size_t rows = 0;
    (void)state;

    while (ak_invoke_routes[rows].method)
        rows++;
    for (size_t row = 0; row < rows; row++) {
        bool reached = false;
        for (size_t i = 0; i < AK_ARRAY_LEN(good) && !reached; i++) {
            struct ak_invoke_request q;
            AK_AUTO(ak_arena) arena = {0};
            ak_arena_init(&arena, 256, 0);
            assert_int_equal(parse_good(&good[i], &arena, &q), 0);
            reached = q.route == &ak_invoke_routes[row];
        }
        assert_true(reached);
    }
}

#define LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct refused {
    const char *method, *path, *query, *type, *body;
    int status;
    const char *words;
} refused[] = {
    {"GET", "/", NULL, NULL, NULL, 404, "no such path"},
    {"POST", TOOL "/operations", NULL, NULL, NULL, 400, "operation: must be given"},
    {"POST", TOOL "/operations", NULL, "application/json", "{\"operation\":1}", 400, "a string"},
    {"POST", TOOL "/operations", NULL, "application/json", "{\"operation\":\"q\",\"arguments\":[]}",
     400, "arguments: must be an object"},
    {"POST", TOOL "/operations", NULL, "application/json", "{\"operation\":\"q\",\"readOnly\":1}",
     400, "readOnly"},
    {"POST", TOOL "/operations", NULL, "application/json", "{\"operation\":\"q\",\"runID\":\"r\"}",
     400, "unknown field"},
    {"POST", TOOL "/explain", NULL, "application/json",
     "{\"operation\":\"q\",\"statement\":\"x\",\"arguments\":{}}", 400, "not both"},
    {"GET", TOOL "/exec", "columns=0", NULL, NULL, 400, "columns"},
    {"GET", TOOL "/exec", "rows=10001", NULL, NULL, 400, "rows"},
    {"GET", TOOL "/exec", "tty=perhaps", NULL, NULL, 400, "tty"},
    {"GET", TOOL "/forward", "arg=x", NULL, NULL, 400, "unknown query parameter"},
    {"POST", TOOL "/exec", NULL, NULL, NULL, 405, "GET"},
    {"GET", TOOL "/sessions/S!/kill", NULL, NULL, NULL, 405, "POST"},
    {"GET", "/api/v1", NULL, NULL, NULL, 404, "no such path"},
    {"GET", "/api/v1/", NULL, NULL, NULL, 404, "no such path"},
    {"GET", "/api/v10/agents", NULL, NULL, NULL, 404, "no such path"},
    {"GET", "/api/v1/pods", NULL, NULL, NULL, 404, "no such path"},
    {"GET", "/api/v1/agents/", NULL, NULL, NULL, 404, "no such path"},
    {"GET", "/api/v1//agents", NULL, NULL, NULL, 404, "no such path"},
    {"GET", RUNS "/r/events/x/y/z/a/b/c/d", NULL, NULL, NULL, 404, "no such path"},
    {"GET", "/api/v1/namespaces/team/tools/t/runs", NULL, NULL, NULL, 404, "no such path"},
    {"DELETE", RUNS, NULL, NULL, NULL, 405, "GET, POST"},
    {"HEAD", "/api/v1/agents", NULL, NULL, NULL, 405, "GET"},
    {"GET", RUNS "/r/cancel", NULL, NULL, NULL, 405, "POST"},
    {"POST", "/api/v1/whoami", NULL, NULL, NULL, 405, "GET"},
    {"GET", "/api/v1/namespaces/TEAM/agents", NULL, NULL, NULL, 400, "namespace"},
    {"GET", "/api/v1/namespaces/" LONG_64 "/agents", NULL, NULL, NULL, 400, "namespace"},
    {"GET", "/api/v1/namespaces//agents", NULL, NULL, NULL, 400, "namespace"},
    {"GET", "/api/v1/namespaces/a%2Fb/agents", NULL, NULL, NULL, 400, "namespace"},
    {"GET", "/api/v1/namespaces/a/agents/..", NULL, NULL, NULL, 400, "name"},
    {"GET", "/api/v1/namespaces/a/agents/%2e%2e", NULL, NULL, NULL, 400, "name"},
    {"GET", RUNS "/R", NULL, NULL, NULL, 400, "id"},
    {"GET", RUNS "/" LONG_64, NULL, NULL, NULL, 400, "id"},
    {"GET", "/api/v1/namespaces/%zz/agents", NULL, NULL, NULL, 400, "encoded"},
    {"GET", "/api/v1/namespaces/a%/agents", NULL, NULL, NULL, 400, "encoded"},
    {"GET", "/api/v1/namespaces/a%00/agents", NULL, NULL, NULL, 400, "encoded"},
    {"GET", RUNS, "tail=1", NULL, NULL, 400, "\"tail\""},
    {"GET", RUNS, "limit=-1", NULL, NULL, 400, "limit"},
    {"GET", RUNS, "limit=501", NULL, NULL, 400, "limit"},
    {"GET", RUNS, "limit=1x", NULL, NULL, 400, "limit"},
    {"GET", RUNS, "limit", NULL, NULL, 400, "limit"},
    {"GET", RUNS, "%zz=1", NULL, NULL, 400, "encoded"},
    {"GET", RUNS "/r/events", "follow=maybe", NULL, NULL, 400, "follow"},
    {"GET", RUNS "/r/events", "after=99999999999999999999", NULL, NULL, 400, "after"},
    {"GET", RUNS "/r/logs", "tail=100001", NULL, NULL, 400, "tail"},
    {"POST", RUNS, "hold=601", NULL, NULL, 400, "hold"},
    {"POST", RUNS, "hold=1s", NULL, NULL, 400, "hold"},
    {"POST", RUNS, NULL, NULL, "{}", 415, "Content-Type"},
    {"POST", RUNS, NULL, "text/plain", "{}", 415, "Content-Type"},
    {"POST", RUNS, NULL, "application/jsonx", NULL, 415, "Content-Type"},
    {"POST", RUNS, NULL, "application/json", "[]", 400, "object"},
    {"POST", RUNS, NULL, "application/json", "{", 400, "not JSON"},
    {"POST", RUNS, NULL, "application/json", "{} {}", 400, "not JSON"},
    {"POST", RUNS, NULL, "application/json", "{\"promt\":\"x\"}", 400, "\"promt\""},
    {"POST", RUNS, NULL, "application/json", "{\"prompt\":7}", 400, "prompt"},
    {"POST", RUNS, NULL, "application/json", "{\"prompt\":\"a\\u0000b\"}", 400, "prompt"},
    {"POST", RUNS, NULL, "application/json", "{\"prompt\":\"\xff\"}", 400, "not JSON"},
    {"POST", RUNS, NULL, "application/json", "{\"timeoutSeconds\":0}", 400, "timeoutSeconds"},
    {"POST", RUNS, NULL, "application/json", "{\"timeoutSeconds\":1.5}", 400, "timeoutSeconds"},
    {"POST", RUNS, NULL, "application/json", "{\"timeoutSeconds\":604801}", 400, "timeoutSeconds"},
    {"POST", RUNS "/r/cancel", NULL, "application/json", "{\"prompt\":\"x\"}", 400, "\"prompt\""},
    {"POST", "/api/v1/namespaces/team/agents/a/pause", NULL, "application/json",
     "{\"paused\":true}", 400, "\"paused\""},
};

static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(refused); i++) {
        const struct refused *c = &refused[i];
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_invoke_request q;
        AK_AUTO(ak_arena) arena = {0};
        ak_arena_init(&arena, 256, 0);
        int r = parse(c->method, c->path, c->query, c->type, c->body, &arena, &q, &err);
        if (r >= 0 || ak_error_http_status(err) != c->status ||
            !strstr(ak_error_message(err), c->words))
            fail_msg("%s %s ?%s %s: %d %s", c->method, c->path, c->query ? c->query : "",
                     c->body ? c->body : "", ak_error_http_status(err), ak_error_message(err));
        if (c->status == 405)
            assert_string_equal(q.allow, c->words);
        ak_invoke_request_done(&q);
    }
}

static void test_parameters_arrive(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_invoke_request q;
    (void)state;

    ak_arena_init(&arena, 256, 0);
    assert_int_equal(
        parse("GET", "/api/v1/agents",
              "labelSelector=a%3Db%2Cc+in+%28d%29&limit=9223372036854775807&continue=x%3D"
              "&&fieldSelector=",
              NULL, NULL, &arena, &q, NULL),
        0);
    assert_string_equal(q.label_selector, "a=b,c in (d)");
    assert_string_equal(q.continue_, "x=");
    assert_null(q.field_selector);
    assert_true(q.limit == INT64_MAX);
    assert_int_equal(
        parse("GET", RUNS "/r/events", "follow=0&after=7", NULL, NULL, &arena, &q, NULL), 0);
    assert_false(q.follow);
    assert_int_equal(q.after, 7);
    assert_int_equal(parse("GET", RUNS "/r/events", "", NULL, NULL, &arena, &q, NULL), 0);
    assert_true(q.follow);
    assert_int_equal(q.after, -1);
    assert_int_equal(parse("GET", RUNS "/r/logs", "tail=0", NULL, NULL, &arena, &q, NULL), 0);
    assert_false(q.follow);
    assert_int_equal(q.tail, 0);
}

static void test_a_body_arrives_and_may_be_missing(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_invoke_request q;
    (void)state;

    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse("POST", RUNS, "hold=0", "Application/JSON; charset=utf-8",
                           "{\"prompt\":\"h\\u00e9\",\"timeoutSeconds\":60}", &arena, &q, NULL),
                     0);
    assert_string_equal(q.prompt, "h\xc3\xa9");
    assert_int_equal(q.timeout_seconds, 60);
    assert_int_equal(q.hold, 0);
    assert_int_equal(parse("POST", RUNS, NULL, NULL, NULL, &arena, &q, NULL), 0);
    assert_null(q.prompt);
    assert_int_equal(q.hold, AK_INVOKE_DEFAULT_HOLD);
    assert_int_equal(parse("POST", RUNS, NULL, ROUTED, "{\"prompt\":null}", &arena, &q, NULL), 0);
    assert_null(q.prompt);
}

static void test_a_prompt_has_a_limit(void **state)
{
    static char body[AK_INVOKE_MAX_PROMPT + 64];
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_arena) arena = {0};
    struct ak_invoke_request q;
    int n = snprintf(body, sizeof(body), "{\"prompt\":\"");
    (void)state;

    ak_arena_init(&arena, 256, 0);
    memset(body + n, 'x', AK_INVOKE_MAX_PROMPT + 1);
    memcpy(body + n + AK_INVOKE_MAX_PROMPT + 1, "\"}", 3);
    assert_true(parse("POST", RUNS, NULL, ROUTED, body, &arena, &q, &err) < 0);
    assert_int_equal(ak_error_http_status(err), 413);
    memcpy(body + n + AK_INVOKE_MAX_PROMPT, "\"}", 3);
    assert_int_equal(parse("POST", RUNS, NULL, ROUTED, body, &arena, &q, NULL), 0);
    assert_int_equal(strlen(q.prompt), AK_INVOKE_MAX_PROMPT);
}

static void test_tokens_are_taken_from_bearer_headers_only(void **state)
{
    static const struct {
        const char *header;
        int len; /* negative: refused */
    } cases[] = {
        {"Bearer abc", 3},  {"bearer  a.b-c_d~e+f/g==", 15},
        {"BEARER x ", 1},   {NULL, -1},
        {"", -1},           {"Bearer", -1},
        {"Bearer ", -1},    {"Bearerabc", -1},
        {"Basic abc", -1},  {"Bearer a b", -1},
        {"Bearer a\"", -1}, {"Bearer ==", -1},
        {"Bearer a=b", -1}, {"Bearer \xc3\xa9", -1},
    };
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        size_t len = 0;
        const char *token = ak_invoke_bearer(cases[i].header, &len);
        if (cases[i].len < 0 ? token != NULL : !token || (int)len != cases[i].len)
            fail_msg("%s: %zu", cases[i].header, len);
    }
}

static void test_keys_are_printable_and_short(void **state)
{
    char key[300] = "";
    (void)state;

    assert_int_equal(ak_invoke_check_key("a b~", NULL), 0);
    assert_true(ak_invoke_check_key("", NULL) < 0);
    assert_true(ak_invoke_check_key("a\x01", NULL) < 0);
    assert_true(ak_invoke_check_key("\xc3\xa9", NULL) < 0);
    memset(key, 'k', AK_INVOKE_MAX_KEY);
    assert_int_equal(ak_invoke_check_key(key, NULL), 0);
    key[AK_INVOKE_MAX_KEY] = 'k';
    assert_true(ak_invoke_check_key(key, NULL) < 0);
}

static void test_any_failing_allocation_is_told(void **state)
{
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO(ak_arena) arena = {0};
        struct ak_invoke_request q;
        ak_arena_init(&arena, 64, 0);
        ak_alloc_fail_after(n);
        int r = parse("POST", RUNS, "hold=7", ROUTED, "{\"prompt\":\"hello\"}", &arena, &q, &err);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_is_found_by_its_path),
        cmocka_unit_test(test_every_row_of_the_table_is_reached),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_parameters_arrive),
        cmocka_unit_test(test_a_body_arrives_and_may_be_missing),
        cmocka_unit_test(test_a_prompt_has_a_limit),
        cmocka_unit_test(test_tokens_are_taken_from_bearer_headers_only),
        cmocka_unit_test(test_keys_are_printable_and_short),
        cmocka_unit_test(test_any_failing_allocation_is_told),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
