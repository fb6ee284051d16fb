/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/decode.h>
#include <ak/json/json.h>

#include "bastion/engines/http/request.h"

struct fixture {
    struct ak_arena arena;
    struct ak_tool_spec spec;
    json_t *tree;
};

static void begin(struct fixture *f, const char *text)
{
    memset(f, 0, sizeof(*f));
    ak_arena_init(&f->arena, 4096, 1u << 20);
    assert_int_equal(ak_json_parse(text, strlen(text), &f->tree, NULL), 0);
    assert_int_equal(ak_decode(&ak_tool_spec_type, f->tree, &f->spec, &f->arena, NULL), 0);
}

static void end(struct fixture *f)
{
    json_decref(f->tree);
    ak_arena_done(&f->arena);
}

static const char plain[] = "{\"type\":\"http\",\"config\":{\"url\":\"http://h\"}}";
static const char ruled[] =
    "{\"type\":\"http\",\"config\":{\"url\":\"http://h\",\"credentialHeader\":\"X-Key\","
    "\"headers\":{\"X-Ours\":\"1\"}},\"permissions\":{\"requests\":["
    "{\"methods\":[\"GET\"],\"paths\":[\"/a/*\"]},{\"methods\":[\"POST\"],\"paths\":[\"/b\"]}]}}";
static const char broker[] = "{\"type\":\"rabbitmq\",\"config\":{\"hostname\":\"h\"}}";

static json_t *parsed(const char *text)
{
    json_t *tree = NULL;

    assert_int_equal(ak_json_parse(text, strlen(text), &tree, NULL), 0);
    return tree;
}

static void a_request_is_what_was_asked_for(void **state)
{
    AK_AUTO_JSON *arguments =
        parsed("{\"method\":\"POST\",\"path\":\"/x?q=1\",\"query\":{\"a b\":\"c&d\",\"e\":\"ä\"},"
               "\"headers\":{\"X-One\":\"1\",\"X-None\":\"\"},\"body\":{\"k\":[1,null]}}");
    AK_AUTO(ak_request) request = {0};
    struct fixture f;

    (void)state;
    begin(&f, plain);
    assert_int_equal(ak_request_make(&f.spec, arguments, &request, NULL), 0);
    assert_string_equal(request.method, "POST");
    assert_string_equal(ak_buf_text(&request.path), "/x?q=1&a%20b=c%26d&e=%C3%A4");
    assert_string_equal(request.headers[0], "X-One: 1");
    assert_string_equal(request.headers[1], "X-None;"); /* the library's word for an empty one */
    assert_null(request.headers[2]);
    assert_string_equal(ak_buf_text(&request.body), "{\"k\":[1,null]}");
    assert_string_equal(request.content_type, "application/json");
    end(&f);
}

static void a_body_has_the_type_that_it_looks_like_or_the_one_given(void **state)
{
    static const struct {
        const char *body, *type;
    } cases[] = {
        {"\"{\\\"a\\\": 1}\"", "application/json"}, {"\" [1]\"", "application/json"},
        {"\"text\"", "text/plain; charset=utf-8"},  {"[1]", "application/json"},
        {"\"\"", "text/plain; charset=utf-8"},      {"null", NULL},
    };
    struct fixture f;

    (void)state;
    begin(&f, plain);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_TEXT char *text =
            ak_asprintf("{\"method\":\"PUT\",\"path\":\"/x\",\"body\":%s}", cases[i].body);
        AK_AUTO_TEXT char *typed =
            ak_asprintf("{\"method\":\"PUT\",\"path\":\"/x\",\"body\":%s,\"headers\":"
                        "{\"content-type\":\"text/csv\"}}",
                        cases[i].body);
        AK_AUTO_JSON *one = parsed(text), *two = parsed(typed);
        AK_AUTO(ak_request) a = {0}, b = {0};

        assert_int_equal(ak_request_make(&f.spec, one, &a, NULL), 0);
        assert_int_equal(ak_request_make(&f.spec, two, &b, NULL), 0);
        if (cases[i].type)
            assert_string_equal(a.content_type, cases[i].type);
        else
            assert_null(a.content_type);
        if (cases[i].type)
            assert_string_equal(b.content_type, "text/csv");
        assert_null(b.headers[0]);
    }
    end(&f);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const cases[] = {
        "{\"method\":\"GET\"}",
        "{\"method\":\"GET\",\"path\":\"x\"}",
        "{\"method\":\"GET\",\"path\":\"http://evil/\"}",
        "{\"method\":\"GET\",\"path\":\"/a b\"}",
        "{\"method\":\"GET\",\"path\":\"/a\\r\\nX: 1\"}",
        "{\"method\":\"GET\",\"path\":\"/a#b\"}",
        "{\"method\":\"GET\",\"path\":\"/ä\"}",
        "{\"method\":\"GET\",\"path\":\"/a/../b\"}",
        "{\"method\":\"GET\",\"path\":\"/a/%2e%2E/b\"}",
        "{\"method\":\"GET\",\"path\":\"//b\"}",
        "{\"method\":\"GET\",\"path\":\"/a%2fb\"}",
        "{\"method\":\"GET\",\"path\":\"/a%5cb\"}",
        "{\"method\":\"GET\",\"path\":\"/a;b\"}",
        "{\"method\":\"GET\",\"path\":\"/a%0\"}",
        "{\"method\":\"GET\",\"path\":\"/a%00\"}",
        "{\"method\":\"TRACE\",\"path\":\"/\"}",
        "{\"method\":\"CONNECT\",\"path\":\"/\"}",
        "{\"method\":\"get\",\"path\":\"/\"}",
        "{\"method\":\"GET / HTTP/1.1\",\"path\":\"/\"}",
        "{\"path\":\"/\"}",
        "{\"method\":\"GET\",\"path\":\"/\",\"query\":{\"a\":1}}",
        "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"A:\":\"1\"}}",
        "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"A B\":\"1\"}}",
        "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"\":\"1\"}}",
        "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"A\":\"1\\r\\nB: 2\"}}",
        "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"A\":1}}",
        "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"Content-Type\":\"a\\nb\"}}",
        "{\"method\":\"PUT\",\"path\":\"/\",\"body\":7}",
    };
    struct fixture f;

    (void)state;
    begin(&f, plain);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *arguments = parsed(cases[i]);
        AK_AUTO(ak_request) request = {0};
        AK_AUTO_PTR(ak_error) err = NULL;

        if (ak_request_make(&f.spec, arguments, &request, &err) != -EINVAL)
            fail_msg("%s was taken", cases[i]);
        assert_non_null(err);
    }
    end(&f);
}

static void headers_of_the_tool_are_not_for_callers(void **state)
{
    static const char *const names[] = {"Authorization", "authorization",  "Proxy-Authorization",
                                        "Host",          "Content-Length", "Connection",
                                        "X-Key",         "x-ours",         "Transfer-Encoding",
                                        "Cookie"};
    struct fixture f;

    (void)state;
    begin(&f, ruled);
    for (size_t i = 0; i < AK_ARRAY_LEN(names); i++) {
        AK_AUTO_JSON *arguments = json_pack("{s:s, s:s, s:{s:s}}", "method", "GET", "path", "/a/b",
                                            "headers", names[i], "x");
        AK_AUTO(ak_request) request = {0};

        if (ak_request_make(&f.spec, arguments, &request, NULL) != -EINVAL)
            fail_msg("%s was taken", names[i]);
    }
    end(&f);
}

static void rules_and_reading_decide_before_anything_is_sent(void **state)
{
    static const struct {
        const char *spec, *method, *path;
        bool read_only;
        int code;
    } cases[] = {
        {ruled, "GET", "/a/b", false, 0},
        {ruled, "GET", "/a/b?x=/b", false, 0},
        {ruled, "GET", "/b", false, AK_E_FORBIDDEN},
        {ruled, "POST", "/b", false, 0},
        {ruled, "POST", "/b", true, AK_E_FORBIDDEN},
        {ruled, "DELETE", "/a/b", false, AK_E_FORBIDDEN},
        {ruled, "GET", "/a/%2e%2e/b", false, AK_E_FORBIDDEN},
        {plain, "DELETE", "/anything", false, 0},
        {plain, "DELETE", "/anything", true, AK_E_FORBIDDEN},
        {plain, "GET", "/anything", true, 0},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct fixture f;
        int r;

        begin(&f, cases[i].spec);
        r = ak_request_check(&f.spec, cases[i].method, cases[i].path, cases[i].read_only, NULL);
        if (r != cases[i].code)
            fail_msg("%s %s: %d", cases[i].method, cases[i].path, r);
        end(&f);
    }
}

static void names_of_a_broker_may_have_encoded_slashes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, broker);
    assert_int_equal(ak_request_path_check(&f.spec, "/api/queues/%2F/q", NULL), 0);
    assert_int_equal(ak_request_path_check(&f.spec, "/api/queues/%2f..%2f/q", NULL), 0);
    assert_int_equal(ak_request_path_check(&f.spec, "/api/../q", NULL), -EINVAL);
    assert_int_equal(ak_request_path_check(&f.spec, "/api/%5c/q", NULL), -EINVAL);
    end(&f);
}

static void paths_and_headers_have_limits(void **state)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1u << 20);
    AK_AUTO_JSON *arguments = parsed("{\"method\":\"GET\",\"path\":\"/\",\"headers\":{}}");
    AK_AUTO_JSON *longer = parsed("{\"method\":\"GET\",\"path\":\"/\",\"query\":{}}");
    AK_AUTO(ak_request) request = {0};
    struct fixture f;

    (void)state;
    begin(&f, plain);
    for (size_t i = 0; i <= AK_REQUEST_MAX_PATH; i++)
        assert_int_equal(ak_buf_adds(&path, i ? "a" : "/"), 0);
    assert_int_equal(ak_request_path_check(&f.spec, path.data, NULL), AK_E_TOO_LARGE);
    assert_int_equal(
        json_object_set_new(json_object_get(longer, "query"), "q", json_string(path.data)), 0);
    assert_int_equal(ak_request_make(&f.spec, longer, &request, NULL), AK_E_TOO_LARGE);
    for (int i = 0; i <= AK_REQUEST_MAX_HEADERS; i++) {
        AK_AUTO_TEXT char *name = ak_asprintf("X-%d", i);

        assert_int_equal(
            json_object_set_new(json_object_get(arguments, "headers"), name, json_string("v")), 0);
    }
    assert_int_equal(ak_request_make(&f.spec, arguments, &request, NULL), AK_E_TOO_LARGE);
    end(&f);
}

/* --- answers --- */

static json_t *result_of(const char *head, size_t head_len, const char *body, size_t len, bool cut)
{
    AK_AUTO(ak_fetch_reply)
    reply = {.status = 200, .head = {.max = 4096}, .body = {.max = 1u << 20}, .is_cut = cut};
    json_t *result = NULL;

    assert_int_equal(ak_buf_add(&reply.head, head, head_len), 0);
    assert_int_equal(ak_buf_add(&reply.body, body, len), 0);
    assert_int_equal(ak_request_result(&reply, &result, NULL), 0);
    return result;
}

static void an_answer_says_what_came(void **state)
{
    static const char head[] = "Content-Type: application/json\0X-A: 1\0x-a: 2\0Set-Cookie: s=1\0"
                               "WWW-Authenticate: Basic";
    AK_AUTO_JSON *result = result_of(head, sizeof(head), "{\"a\":[1]}", 9, false);
    const json_t *headers = json_object_get(result, "headers");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(result, "status")), 200);
    assert_int_equal(json_integer_value(json_array_get(ak_json_at(result, "body", "a", NULL), 0)),
                     1);
    assert_string_equal(ak_json_text(headers, "x-a", NULL), "1");
    assert_null(json_object_get(headers, "set-cookie"));
    assert_true(json_is_false(json_object_get(result, "truncated")));
}

static void an_answer_that_is_cut_or_no_text_is_given_as_far_as_it_goes(void **state)
{
    static const char json[] = "Content-Type: application/json", none[] = "";
    AK_AUTO_JSON *cut = result_of(json, sizeof(json), "{\"a\":\"\xe2\x82", 8, true);
    AK_AUTO_JSON *binary = result_of(none, 0, "\x89PNG\0\xff", 6, false);
    AK_AUTO_JSON *broken = result_of(json, sizeof(json), "{\"a\":", 5, false);
    AK_AUTO_JSON *empty = result_of(json, sizeof(json), "", 0, false);

    (void)state;
    assert_string_equal(ak_json_text(cut, "body", NULL), "{\"a\":\"");
    assert_true(json_is_true(json_object_get(cut, "truncated")));
    assert_string_equal(ak_json_text(binary, "bodyEncoding", NULL), "base64");
    assert_string_equal(ak_json_text(binary, "body", NULL), "iVBORwD/");
    assert_string_equal(ak_json_text(broken, "body", NULL), "{\"a\":");
    assert_string_equal(ak_json_text(empty, "body", NULL), "");
}

static void the_words_of_an_error_are_found(void **state)
{
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"{\"message\":\"no such thing\"}", "no such thing"},
        {"{\"error\":{\"code\":404,\"message\":\"Not found\"}}", "Not found"},
        {"{\"error\":{\"type\":\"parsing\",\"reason\":\"bad query\"}}", "bad query"},
        {"{\"error\":\"invalid_grant\",\"error_description\":\"expired\"}", "expired"},
        {"plain\r\nwords\t", "plain words"},
        {"<html><body>502 Bad Gateway</body></html>", "HTTP 502"},
        {"", "HTTP 502"},
        {"{}", "{}"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *tree = NULL;
        char words[64];

        if (ak_json_parse(cases[i].body, strlen(cases[i].body), &tree, NULL) < 0)
            tree = NULL;
        ak_upstream_words(502, tree, cases[i].body, strlen(cases[i].body), words, sizeof(words));
        assert_string_equal(words, cases[i].words);
    }
}

static void memory_may_run_out_at_any_point(void **state)
{
    static const char head[] = "Content-Type: application/json";
    AK_AUTO_JSON *arguments = parsed("{\"method\":\"POST\",\"path\":\"/a\",\"query\":{\"q\":\"1\"},"
                                     "\"headers\":{\"X-One\":\"1\"},\"body\":{\"k\":1}}");
    AK_AUTO(ak_fetch_reply)
    reply = {.status = 200, .head = {.max = 4096}, .body = {.max = 4096}};
    struct fixture f;
    int made = -1, said = -1;

    (void)state;
    begin(&f, plain);
    assert_int_equal(ak_buf_add(&reply.head, head, sizeof(head)), 0);
    assert_int_equal(ak_buf_adds(&reply.body, "{\"a\":[1,\"x\"]}"), 0);
    for (int64_t n = 0; made < 0 || said < 0; n++) {
        AK_AUTO(ak_request) request = {0};
        json_t *result = NULL;

        ak_alloc_fail_after(n);
        made = ak_request_make(&f.spec, arguments, &request, NULL);
        ak_alloc_fail_after(n);
        said = ak_request_result(&reply, &result, NULL);
        ak_alloc_fail_after(-1);
        assert_true(made == 0 || made == -ENOMEM);
        assert_true(said == 0 || said == -ENOMEM);
        json_decref(result);
        assert_true(n < 200);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_what_was_asked_for),
        cmocka_unit_test(a_body_has_the_type_that_it_looks_like_or_the_one_given),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(headers_of_the_tool_are_not_for_callers),
        cmocka_unit_test(rules_and_reading_decide_before_anything_is_sent),
        cmocka_unit_test(names_of_a_broker_may_have_encoded_slashes),
        cmocka_unit_test(paths_and_headers_have_limits),
        cmocka_unit_test(an_answer_says_what_came),
        cmocka_unit_test(an_answer_that_is_cut_or_no_text_is_given_as_far_as_it_goes),
        cmocka_unit_test(the_words_of_an_error_are_found),
        cmocka_unit_test(memory_may_run_out_at_any_point),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
