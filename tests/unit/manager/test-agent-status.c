/* SPDX-License-Identifier: Apache-2.0 */
/* Which conditions become Events, and of which type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ak/base/text.h>

#include "fixture.h"

#define T "True"
#define F "False"

static const struct news_case {
    const char *name, *type;
    const char *was_status, *was_reason; /* NULL: there was none */
    const char *status, *reason;
    bool news, warning;
} cases[] = {
    {"resolved from the start", "Resolved", NULL, NULL, T, "Resolved", false, false},
    {"resolved at last", "Resolved", F, "SecretNotFound", T, "Resolved", true, false},
    {"missing from the start", "Resolved", NULL, NULL, F, "SecretNotFound", true, true},
    {"still missing", "Resolved", F, "SecretNotFound", F, "SecretNotFound", false, true},
    {"something else is missing", "Resolved", F, "SecretNotFound", F, "SecretKeyNotFound", true,
     true},
    {"ready", "Ready", F, "PodStarting", T, "PodReady", true, false},
    {"still ready", "Ready", T, "PodReady", T, "PodReady", false, false},
    {"starting", "Ready", NULL, NULL, F, "PodStarting", false, false},
    {"paused", "Ready", T, "PodReady", F, "Paused", true, false},
    {"trouble", "Ready", F, "PodStarting", F, "OOMKilled", true, true},
    {"a word that Kubernetes may use some day", "Ready", T, "PodReady", F, "Comet", true, true},
};

static void test_what_is_news_and_what_is_a_warning(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        const struct news_case *c = &cases[i];
        const struct ak_condition was = {
            .type = c->type, .status = c->was_status, .reason = c->was_reason};
        const struct ak_condition now = {.type = c->type, .status = c->status, .reason = c->reason};
        struct ak_agent_status before = {0};
        before.conditions.items = &was;
        before.conditions.len = c->was_status ? 1 : 0;
        if (ak_agent_condition_is_news(&before, &now) != c->news ||
            ak_agent_condition_is_warning(&now) != c->warning)
            fail_msg("%s", c->name);
    }
}

static void test_no_status_at_all_is_no_obstacle(void **state)
{
    const struct ak_condition now = {.type = "Ready", .status = F, .reason = "OOMKilled"};
    (void)state;
    assert_true(ak_agent_condition_is_news(NULL, &now));
}

static void test_a_status_in_json_has_what_the_definition_names(void **state)
{
    struct fixture f;
    AK_AUTO_JSON *status = NULL;
    (void)state;
    fixture_init(&f, "{'runtime': 'ClaudeCode', 'tools': [{'name': 't'}]}", NULL);
    static const struct ak_agent_resolved_ref tools[] = {
        {.name = "t", .type = "ssh", .found = true}};
    f.o.tools.items = tools;
    f.o.tools.len = 1;
    f.o.next_run = f.o.now;
    fixture_plan(&f);
    assert_int_equal(ak_agent_status_json(&f.plan, &status, NULL), 0);
    assert_string_equal(ak_json_text(status, "phase", NULL), "Paused");
    assert_string_equal(ak_json_text(status, "nextRunTime", NULL), NOW_TEXT);
    const json_t *tool = json_array_get(ak_json_at(status, "resolved", "tools", NULL), 0);
    assert_string_equal(ak_json_text(tool, "type", NULL), "ssh");
    assert_true(json_is_true(json_object_get(tool, "found")));
    assert_int_equal(json_array_size(json_object_get(status, "conditions")), 3);
    const json_t *first = json_array_get(json_object_get(status, "conditions"), 0);
    assert_string_equal(ak_json_text(first, "lastTransitionTime", NULL), NOW_TEXT);
    assert_int_equal(json_integer_value(json_object_get(first, "observedGeneration")), 3);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_news_and_what_is_a_warning),
        cmocka_unit_test(test_no_status_at_all_is_no_obstacle),
        cmocka_unit_test(test_a_status_in_json_has_what_the_definition_names),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
