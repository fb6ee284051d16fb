/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/mcp/methods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "keeper/mcp/sessions.h"

static void a_message_is_what_it_is(void **state)
{
    static const struct {
        const char *text;
        enum ak_mcp_kind kind;
        const char *method;
        bool has_id;
    } cases[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", AK_MCP_REQUEST, "ping", true},
        {"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\",\"params\":{}}", AK_MCP_REQUEST, "ping",
         true},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"ping\"}", AK_MCP_REQUEST, "ping", true},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", AK_MCP_NOTIFICATION,
         "notifications/initialized", false},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{}}", AK_MCP_RESPONSE, NULL, true},
        {"{\"jsonrpc\":\"2.0\",\"id\":4,\"error\":{\"code\":1,\"message\":\"\"}}", AK_MCP_RESPONSE,
         NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_mcp_message) m;
        AK_AUTO(ak_mcp_fault) fault = {0};

        assert_int_equal(ak_mcp_message_read(cases[i].text, strlen(cases[i].text), &m, &fault), 0);
        assert_int_equal(m.kind, cases[i].kind);
        assert_int_equal(m.id != NULL, cases[i].has_id);
        if (cases[i].method)
            assert_string_equal(m.method, cases[i].method);
        else
            assert_null(m.method);
    }
}

static void what_is_no_message_is_refused_with_its_code(void **state)
{
    static const struct {
        const char *text;
        int code;
        bool keeps_id;
    } cases[] = {
        {"", AK_MCP_PARSE_ERROR, false},
        {"{", AK_MCP_PARSE_ERROR, false},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}", AK_MCP_PARSE_ERROR, false},
        {"\xff\xfe", AK_MCP_PARSE_ERROR, false},
        {"{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"method\":\"ping\"}",
         AK_MCP_PARSE_ERROR, false},
        {"null", AK_MCP_INVALID_REQUEST, false},
        {"\"ping\"", AK_MCP_INVALID_REQUEST, false},
        {"[]", AK_MCP_INVALID_REQUEST, false},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", AK_MCP_INVALID_REQUEST, false},
        {"{}", AK_MCP_INVALID_REQUEST, false},
        {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", AK_MCP_INVALID_REQUEST, true},
        {"{\"id\":1,\"method\":\"ping\"}", AK_MCP_INVALID_REQUEST, true},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", AK_MCP_INVALID_REQUEST, false},
        {"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"ping\"}", AK_MCP_INVALID_REQUEST, false},
        {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", AK_MCP_INVALID_REQUEST, false},
        {"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}", AK_MCP_INVALID_REQUEST, false},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", AK_MCP_INVALID_REQUEST, true},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", AK_MCP_INVALID_REQUEST, true},
        {"{\"jsonrpc\":\"2.0\",\"result\":{}}", AK_MCP_INVALID_REQUEST, false},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}", AK_MCP_INVALID_PARAMS,
         true},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":7}", AK_MCP_INVALID_PARAMS,
         true},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_mcp_message) m;
        AK_AUTO(ak_mcp_fault) fault = {0};

        print_message("# %s\n", cases[i].text);
        assert_int_equal(ak_mcp_message_read(cases[i].text, strlen(cases[i].text), &m, &fault),
                         -EPROTO);
        assert_int_equal(fault.code, cases[i].code);
        assert_int_equal(m.id != NULL, cases[i].keeps_id);
    }
}

static void an_id_comes_back_as_it_was(void **state)
{
    static const char *const ids[] = {
        "0",     "-1",           "9223372036854775807", "1.5",           "\"\"",
        "\"7\"", "\"\xc3\xa4\"", "\"a\\\"b\\\\\"",      "\"\\n\\u0001\""};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(ids); i++) {
        AK_AUTO(ak_mcp_message) m = {0};
        AK_AUTO(ak_mcp_fault) fault = {0};
        AK_AUTO(ak_buf) text = AK_BUF_INIT(512), out = AK_BUF_INIT(512), wanted = AK_BUF_INIT(512);
        AK_AUTO_JSON *result = json_object();

        assert_int_equal(
            ak_buf_addf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", ids[i]), 0);
        assert_int_equal(ak_mcp_message_read(text.data, text.len, &m, &fault), 0);
        assert_int_equal(ak_mcp_write_result(m.id, result, &out), 0);
        assert_int_equal(
            ak_buf_addf(&wanted, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}", ids[i]), 0);
        assert_string_equal(out.data, wanted.data);
    }
}

static json_t *run(const char *text, enum ak_mcp_era era, const struct ak_mcp_tools *tools,
                   int *ret_code)
{
    AK_AUTO(ak_mcp_message) m = {0};
    AK_AUTO(ak_mcp_fault) fault = {0};
    json_t *result = NULL;

    assert_int_equal(ak_mcp_message_read(text, strlen(text), &m, &fault), 0);
    if (ak_mcp_method_run(&m, era, tools, &result, &fault) < 0)
        *ret_code = fault.code;
    else
        *ret_code = 0;
    return result;
}

static void each_method_has_its_era(void **state)
{
    static const struct {
        const char *method, *params;
        int sessions, stateless; /* codes; 0: a result */
    } cases[] = {
        {"ping", "{}", 0, AK_MCP_METHOD_NOT_FOUND},
        {"server/discover", "{}", AK_MCP_METHOD_NOT_FOUND, 0},
        {"tools/list", "{}", 0, 0},
        {"prompts/list", "{}", 0, 0},
        {"resources/list", "{}", 0, 0},
        {"resources/templates/list", "{}", 0, 0},
        {"tools/list", "{\"cursor\":\"x\"}", AK_MCP_INVALID_PARAMS, AK_MCP_INVALID_PARAMS},
        {"prompts/get", "{\"name\":\"x\"}", AK_MCP_INVALID_PARAMS, AK_MCP_INVALID_PARAMS},
        {"resources/read", "{\"uri\":\"x\"}", AK_MCP_RESOURCE_NOT_FOUND, AK_MCP_INVALID_PARAMS},
        {"logging/setLevel", "{}", AK_MCP_METHOD_NOT_FOUND, AK_MCP_METHOD_NOT_FOUND},
        {"", "{}", AK_MCP_METHOD_NOT_FOUND, AK_MCP_METHOD_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(512);

        assert_int_equal(
            ak_buf_addf(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}",
                        cases[i].method, cases[i].params),
            0);
        for (int e = 0; e < 2; e++) {
            int code = -1, wanted = e ? cases[i].stateless : cases[i].sessions;
            AK_AUTO_JSON *result =
                run(text.data, e ? AK_MCP_NO_SESSIONS : AK_MCP_SESSIONS, &ak_mcp_no_tools, &code);

            print_message("# %s in era %d\n", cases[i].method, e);
            assert_int_equal(code, wanted);
            assert_int_equal(result != NULL, wanted == 0);
            if (result)
                assert_int_equal(ak_streq(ak_json_text(result, "resultType", NULL), "complete"),
                                 e == 1);
        }
    }
}

static int list_one(json_t *tools, void *user, struct ak_error **reterr)
{
    (void)reterr;
    return json_array_append_new(
        tools, json_pack("{ssss}", "name", "echo", "description", (const char *)user));
}

static void tools_come_from_the_table(void **state)
{
    const struct ak_mcp_tools tools = {.list = list_one, .user = (void *)"says it again"};
    int code;
    AK_AUTO_JSON *none = run("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
                             AK_MCP_SESSIONS, &ak_mcp_no_tools, &code);
    AK_AUTO_JSON *one = run("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
                            AK_MCP_SESSIONS, &tools, &code);

    (void)state;
    assert_int_equal(json_array_size(json_object_get(none, "tools")), 0);
    assert_int_equal(json_array_size(json_object_get(one, "tools")), 1);
}

#define META(version)                                                                              \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" version                            \
    "\",\"io.modelcontextprotocol/clientCapabilities\":{}}"

static const struct {
    const char *method, *params;
    struct ak_mcp_headers headers;
    int code;
} header_cases[] = {
    {"tools/list", "{" META("2026-07-28") "}", {"2026-07-28", "tools/list", NULL}, 0},
    {"tools/list", "{" META("2026-07-28") "}", {NULL, "tools/list", NULL}, AK_MCP_HEADER_MISMATCH},
    {"tools/list", "{" META("2026-07-28") "}", {"2026-07-28", NULL, NULL}, AK_MCP_HEADER_MISMATCH},
    {"tools/list",
     "{" META("2026-07-28") "}",
     {"2026-07-28", "tools/call", NULL},
     AK_MCP_HEADER_MISMATCH},
    {"tools/list",
     "{" META("2025-11-25") "}",
     {"2026-07-28", "tools/list", NULL},
     AK_MCP_HEADER_MISMATCH},
    {"tools/list",
     "{" META("2099-01-01") "}",
     {"2099-01-01", "tools/list", NULL},
     AK_MCP_UNSUPPORTED_VERSION},
    {"tools/list", "{}", {"2026-07-28", "tools/list", NULL}, AK_MCP_INVALID_PARAMS},
    {"tools/list",
     "{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}",
     {"2026-07-28", "tools/list", NULL},
     AK_MCP_INVALID_PARAMS},
    {"tools/call", "{\"name\":\"a\"," META("2026-07-28") "}", {"2026-07-28", "tools/call", "a"}, 0},
    {"tools/call",
     "{\"name\":\"a\"," META("2026-07-28") "}",
     {"2026-07-28", "tools/call", "b"},
     AK_MCP_HEADER_MISMATCH},
    {"tools/call",
     "{\"name\":\"a\"," META("2026-07-28") "}",
     {"2026-07-28", "tools/call", NULL},
     AK_MCP_HEADER_MISMATCH},
    {"server/discover", "{" META("2099-01-01") "}", {"2099-01-01", "server/discover", NULL}, 0},
    {"server/discover", "{}", {NULL, NULL, NULL}, 0},
};

static void headers_and_body_have_to_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(header_cases); i++) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1024);
        AK_AUTO(ak_mcp_message) m = {0};
        AK_AUTO(ak_mcp_fault) fault = {0};

        assert_int_equal(
            ak_buf_addf(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}",
                        header_cases[i].method, header_cases[i].params),
            0);
        assert_int_equal(ak_mcp_message_read(text.data, text.len, &m, &fault), 0);
        print_message("# %zu %s\n", i, text.data);
        assert_int_equal(ak_mcp_check_headers(&m, &header_cases[i].headers, &fault),
                         header_cases[i].code ? -EPROTO : 0);
        assert_int_equal(fault.code, header_cases[i].code);
        if (header_cases[i].code == AK_MCP_UNSUPPORTED_VERSION)
            assert_string_equal(ak_json_text(fault.data, "requested", NULL), "2099-01-01");
    }
}

static void a_session_has_the_version_that_was_wished_for(void **state)
{
    (void)state;
    assert_string_equal(ak_mcp_version_for("2025-03-26"), "2025-03-26");
    assert_string_equal(ak_mcp_version_for("2025-06-18"), "2025-06-18");
    assert_string_equal(ak_mcp_version_for("2025-11-25"), "2025-11-25");
    assert_string_equal(ak_mcp_version_for("2024-11-05"), "2025-11-25");
    assert_string_equal(ak_mcp_version_for("nonsense"), "2025-11-25");
    assert_null(ak_mcp_version_find("2026-07-28"));
}

static void a_session_outlives_the_keeper_but_not_its_end(void **state)
{
    static struct ak_mcp_sessions first, second, other;
    struct ak_mcp_session *session;
    char id[AK_MCP_SESSION_ID];

    (void)state;
    ak_mcp_sessions_init(&first, "pod-1");
    ak_mcp_sessions_init(&second, "pod-1");
    ak_mcp_sessions_init(&other, "pod-2");
    session = ak_mcp_sessions_begin(&first, ak_mcp_version_for("2025-06-18"));
    assert_non_null(session);
    memcpy(id, session->id, sizeof(id));
    assert_ptr_equal(ak_mcp_sessions_find(&first, id), session);
    assert_null(ak_mcp_sessions_find(&other, id));
    session = ak_mcp_sessions_find(&second, id);
    assert_non_null(session);
    assert_string_equal(session->version, "2025-06-18");
    ak_mcp_sessions_end(&second, session);
    assert_null(ak_mcp_sessions_find(&second, id));
    assert_int_equal(ak_mcp_sessions_count(&second), 0);
}

static void made_up_names_are_no_session(void **state)
{
    static struct ak_mcp_sessions s;
    char id[AK_MCP_SESSION_ID];

    (void)state;
    ak_mcp_sessions_init(&s, "pod-1");
    assert_null(ak_mcp_sessions_find(&s, ""));
    assert_null(ak_mcp_sessions_find(&s, "nonexistent-session-id"));
    memcpy(id, ak_mcp_sessions_begin(&s, "2025-11-25")->id, sizeof(id));
    for (size_t i = 0; i + 1 < sizeof(id); i++) {
        char wrong[AK_MCP_SESSION_ID];

        memcpy(wrong, id, sizeof(wrong));
        wrong[i] = wrong[i] == 'f' ? '0' : 'f';
        assert_null(ak_mcp_sessions_find(&s, wrong));
        wrong[i] = 'G';
        assert_null(ak_mcp_sessions_find(&s, wrong));
    }
}

static void the_session_that_was_used_longest_ago_makes_room(void **state)
{
    static struct ak_mcp_sessions s;
    char kept[AK_MCP_SESSION_ID];

    (void)state;
    ak_mcp_sessions_init(&s, "pod-1");
    memcpy(kept, ak_mcp_sessions_begin(&s, "2025-11-25")->id, sizeof(kept));
    for (int i = 0; i < 10 * AK_MCP_MAX_SESSIONS; i++) {
        assert_non_null(ak_mcp_sessions_begin(&s, "2025-11-25"));
        assert_string_equal(ak_mcp_sessions_find(&s, kept)->id, kept);
        assert_true(ak_mcp_sessions_count(&s) <= AK_MCP_MAX_SESSIONS);
    }
}

static void no_memory_is_an_error_and_passes(void **state)
{
    static const char *const texts[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}"};
    const struct ak_mcp_tools tools = {.list = list_one, .user = (void *)"x"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++) {
        bool failed = true;

        for (int64_t n = 0; failed; n++) {
            AK_AUTO(ak_mcp_message) m = {0};
            AK_AUTO(ak_mcp_fault) fault = {0};
            AK_AUTO_JSON *result = NULL;
            AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
            int r;

            (void)ak_alloc_fail_after(n);
            r = ak_mcp_message_read(texts[i], strlen(texts[i]), &m, &fault);
            if (r >= 0)
                r = ak_mcp_method_run(&m, AK_MCP_NO_SESSIONS, &tools, &result, &fault);
            if (r >= 0)
                r = ak_mcp_write_result(m.id, result, &out);
            failed = ak_alloc_fail_after(-1);
            assert_true(r < 0 ? failed : true);
            assert_true(n < 1000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_what_it_is),
        cmocka_unit_test(what_is_no_message_is_refused_with_its_code),
        cmocka_unit_test(an_id_comes_back_as_it_was),
        cmocka_unit_test(each_method_has_its_era),
        cmocka_unit_test(tools_come_from_the_table),
        cmocka_unit_test(headers_and_body_have_to_agree),
        cmocka_unit_test(a_session_has_the_version_that_was_wished_for),
        cmocka_unit_test(a_session_outlives_the_keeper_but_not_its_end),
        cmocka_unit_test(made_up_names_are_no_session),
        cmocka_unit_test(the_session_that_was_used_longest_ago_makes_room),
        cmocka_unit_test(no_memory_is_an_error_and_passes),
    };

    ak_json_setup();
    return cmocka_run_group_tests_name("keeper mcp", tests, NULL, NULL);
}
