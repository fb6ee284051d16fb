/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "stage.h"

#define ARENA_MAX (1u << 20)

static void what_is_not_said_has_its_default(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_bastion_settings s;

    (void)state;
    ak_arena_init(&arena, 1024, ARENA_MAX);
    assert_int_equal(read_settings(AK_SETTINGS_SERVE, NULL, &arena, &s, NULL), 0);
    assert_string_equal(s.target.ns, "ns");
    assert_string_equal(s.target.name, "db");
    assert_string_equal(s.target.uid, "u1");
    assert_string_equal(s.target.info->name, "postgres");
    assert_string_equal(s.target.spec->config->hostname, "h");
    assert_int_equal(s.generation, 3);
    assert_string_equal(s.manager_name, "agentkube-manager");
    assert_string_equal(s.token_file, "/agentkube/token/token");
    assert_string_equal(s.target.link_dir, "/agentkube/link");
    assert_string_equal(s.target.credential_dir, "/agentkube/credential");
    assert_string_equal(s.target.identity_dir, "/agentkube/identity");
    assert_string_equal(s.target.admin_dir, "/agentkube/admin");
    assert_int_equal(s.relay.port, 8084);
    assert_int_equal(s.probe.port, 8086);
    assert_int_equal(s.serve_uid, 65533);
    assert_int_equal(s.idle_timeout, AK_MINUTES(15));
    assert_int_equal(s.max_session, 0);
    assert_int_equal(s.max_sessions, 10);
    assert_int_equal(s.max_rows, 1000);
    assert_int_equal(s.max_bytes, 1 << 20);
    assert_int_equal(s.timeout, AK_SECONDS(60));
    assert_true(s.recording);
}

static void what_the_tool_says_counts(void **state)
{
    static const struct variable said[] = {
        {"AGENTKUBE_TOOL",
         TOOL("{\"type\":\"redis\",\"config\":{\"hostname\":\"h\"},\"idleTimeout\":\"90s\","
              "\"maxSessionSeconds\":7,\"maxSessions\":3,\"recording\":{\"enabled\":false},"
              "\"limits\":{\"maxRows\":5,\"maxBytes\":\"2Ki\",\"timeout\":\"2m\"}}")},
        {"AGENTKUBE_RELAY_LISTEN", "[::1]:0"},
        {"AGENTKUBE_SERVE_UID", "0"},
        {NULL, NULL}};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_bastion_settings s;

    (void)state;
    ak_arena_init(&arena, 1024, ARENA_MAX);
    assert_int_equal(read_settings(AK_SETTINGS_SERVE, said, &arena, &s, NULL), 0);
    assert_string_equal(s.target.info->name, "redis");
    assert_int_equal(s.idle_timeout, AK_SECONDS(90));
    assert_int_equal(s.max_session, AK_SECONDS(7));
    assert_int_equal(s.max_sessions, 3);
    assert_int_equal(s.max_rows, 5);
    assert_int_equal(s.max_bytes, 2048);
    assert_int_equal(s.timeout, AK_MINUTES(2));
    assert_false(s.recording);
    assert_string_equal(s.relay.host, "::1");
    assert_int_equal(s.serve_uid, 0);
}

static void a_result_has_a_largest_size_whatever_the_tool_says(void **state)
{
    static const struct variable said[] = {
        {"AGENTKUBE_TOOL", TOOL("{\"type\":\"redis\",\"limits\":{\"maxBytes\":\"1Ti\"}}")},
        {NULL, NULL}};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_bastion_settings s;

    (void)state;
    ak_arena_init(&arena, 1024, ARENA_MAX);
    assert_int_equal(read_settings(AK_SETTINGS_SERVE, said, &arena, &s, NULL), 0);
    assert_int_equal(s.max_bytes, 8 << 20);
}

static void who_needs_a_variable_says_so(void **state)
{
    static const struct {
        enum ak_settings_for what;
        struct variable said[2];
        const char *error; /* NULL: it is fine */
    } cases[] = {
        {AK_SETTINGS_SERVE, {{"AGENTKUBE_POD_UID", ""}}, "AGENTKUBE_POD_UID: must be set"},
        {AK_SETTINGS_VERB, {{"AGENTKUBE_POD_UID", ""}}, NULL},
        {AK_SETTINGS_SERVE, {{"AGENTKUBE_MANAGER_CA", ""}}, "AGENTKUBE_MANAGER_CA: must be set"},
        {AK_SETTINGS_CLIENT, {{"AGENTKUBE_MANAGER_CA", ""}}, NULL},
        {AK_SETTINGS_SERVE, {{"AGENTKUBE_TOOL", ""}}, "AGENTKUBE_TOOL: must be set"},
        {AK_SETTINGS_CLIENT, {{"AGENTKUBE_TOOL", ""}}, NULL},
        {AK_SETTINGS_VERB, {{"AGENTKUBE_TOOL", "{"}}, "AGENTKUBE_TOOL: "},
        {AK_SETTINGS_VERB, {{"AGENTKUBE_TOOL", "[]"}}, "AGENTKUBE_TOOL"},
        {AK_SETTINGS_VERB,
         {{"AGENTKUBE_TOOL", TOOL("{\"type\":\"nothing\"}")}},
         "AGENTKUBE_TOOL: "},
        {AK_SETTINGS_VERB,
         {{"AGENTKUBE_TOOL",
           "{\"namespace\":\"\",\"name\":\"n\",\"uid\":\"u\",\"spec\":" POSTGRES "}"}},
         "AGENTKUBE_TOOL: has no namespace"},
        {AK_SETTINGS_VERB,
         {{"AGENTKUBE_TOOL", "{\"namespace\":\"n\",\"name\":\"n\",\"spec\":" POSTGRES "}"}},
         "AGENTKUBE_TOOL: has no uid"},
        {AK_SETTINGS_SERVE, {{"AGENTKUBE_LINK", "link"}}, "must be an absolute path"},
        {AK_SETTINGS_SERVE, {{"AGENTKUBE_RELAY_LISTEN", "8084"}}, "must be ADDRESS:PORT"},
        {AK_SETTINGS_SERVE, {{"AGENTKUBE_PROBE_LISTEN", "host:1"}}, "must be ADDRESS:PORT"},
        {AK_SETTINGS_CLIENT, {{"AGENTKUBE_SERVE_UID", "-1"}}, "must be a number"},
        {AK_SETTINGS_CLIENT, {{"AGENTKUBE_SERVE_UID", "4294967296"}}, "must be a number"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_bastion_settings s;

        ak_arena_init(&arena, 1024, ARENA_MAX);
        int r = read_settings(cases[i].what, cases[i].said, &arena, &s, &err);
        if (cases[i].error ? r >= 0 || !strstr(ak_error_message(err), cases[i].error) : r < 0)
            fail_msg("%s=%s: %d %s", cases[i].said[0].name, cases[i].said[0].value, r,
                     ak_error_message(err));
    }
}

static void without_memory_it_says_so(void **state)
{
    int r = -1;

    (void)state;
    for (int i = 0; r < 0; i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_bastion_settings s;

        ak_arena_init(&arena, 64, ARENA_MAX);
        ak_alloc_fail_after(i);
        r = read_settings(AK_SETTINGS_SERVE, NULL, &arena, &s, &err);
        bool failed = ak_alloc_fail_after(-1);
        assert_true(failed ? r == -ENOMEM : r == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(what_the_tool_says_counts),
        cmocka_unit_test(a_result_has_a_largest_size_whatever_the_tool_says),
        cmocka_unit_test(who_needs_a_variable_says_so),
        cmocka_unit_test(without_memory_it_says_so),
    };

    ak_json_setup();
    return cmocka_run_group_tests_name("bastion/settings", tests, NULL, NULL);
}
