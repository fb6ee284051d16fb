/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/settings.h"

#include <ak/base/alloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct variable {
    const char *name;
    const char *value;
};

/* An environment of one variable. */
static const char *look_up(const char *name, void *user)
{
    const struct variable *variable = user;

    return variable && strcmp(name, variable->name) == 0 ? variable->value : NULL;
}

static void an_empty_environment_gives_the_documented_defaults(void **state)
{
    struct ak_settings s;

    (void)state;
    assert_int_equal(ak_settings_read(look_up, NULL, &s, NULL), 0);
    assert_string_equal(s.agent_name, "");
    assert_string_equal(s.setup_command, "");
    assert_int_equal(s.setup_timeout, AK_SECONDS(600));
    assert_int_equal(s.grace, AK_SECONDS(10));
    assert_string_equal(s.listen, ":8083");
    assert_string_equal(s.state_dir, "/agentkube/run");
    assert_string_equal(s.workspace, "/workspace");
    assert_string_equal(s.repo_url, "");
    assert_string_equal(s.repo_secret_dir, "");
    assert_int_equal(s.repo_timeout, AK_SECONDS(900));
    assert_string_equal(s.termination_log, "/dev/termination-log");
    assert_string_equal(s.temp_dir, "/tmp");
}

static void an_empty_value_is_no_value(void **state)
{
    struct variable v = {"AGENTKUBE_GRACE_SECONDS", ""};
    struct ak_settings s;

    (void)state;
    assert_int_equal(ak_settings_read(look_up, &v, &s, NULL), 0);
    assert_int_equal(s.grace, AK_SECONDS(10));
}

static void a_value_is_taken(void **state)
{
    struct variable command = {"AGENTKUBE_SETUP_COMMAND", "make $(all) && echo $$"};
    struct variable grace = {"AGENTKUBE_GRACE_SECONDS", "0"};
    struct ak_settings s;

    (void)state;
    assert_int_equal(ak_settings_read(look_up, &command, &s, NULL), 0);
    assert_string_equal(s.setup_command, "make $(all) && echo $$");
    assert_int_equal(ak_settings_read(look_up, &grace, &s, NULL), 0);
    assert_int_equal(s.grace, 0);
}

static void what_cannot_be_understood_is_named(void **state)
{
    static const struct {
        struct variable variable;
        const char *message;
    } cases[] = {
        {{"AGENTKUBE_GRACE_SECONDS", "3601"},
         "AGENTKUBE_GRACE_SECONDS \"3601\": must be a number of seconds, 0-3600"},
        {{"AGENTKUBE_GRACE_SECONDS", "-1"},
         "AGENTKUBE_GRACE_SECONDS \"-1\": must be a number of seconds, 0-3600"},
        {{"AGENTKUBE_GRACE_SECONDS", "99999999999999999999"},
         "AGENTKUBE_GRACE_SECONDS \"99999999999999999999\": must be a number of seconds, 0-3600"},
        {{"AGENTKUBE_SETUP_TIMEOUT_SECONDS", "10s"},
         "AGENTKUBE_SETUP_TIMEOUT_SECONDS \"10s\": must be a number of seconds, 1-86400"},
        {{"AGENTKUBE_REPO_TIMEOUT_SECONDS", "0"},
         "AGENTKUBE_REPO_TIMEOUT_SECONDS \"0\": must be a number of seconds, 1-86400"},
        {{"AGENTKUBE_WORKSPACE", "here"}, "AGENTKUBE_WORKSPACE \"here\": must be an absolute path"},
        {{"TMPDIR", "tmp"}, "TMPDIR \"tmp\": must be an absolute path"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        struct variable variable = cases[i].variable;
        struct ak_settings s;

        assert_int_equal(ak_settings_read(look_up, &variable, &s, &err), -EINVAL);
        assert_string_equal(ak_error_message(err), cases[i].message);
        /* The reason must reach somebody even so. */
        assert_string_equal(s.termination_log, "/dev/termination-log");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_environment_gives_the_documented_defaults),
        cmocka_unit_test(an_empty_value_is_no_value),
        cmocka_unit_test(a_value_is_taken),
        cmocka_unit_test(what_cannot_be_understood_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
