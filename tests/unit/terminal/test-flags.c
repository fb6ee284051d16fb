/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/time.h>

#include "terminal/flags.h"

struct target {
    const char *text, *on;
    bool flag, off;
    struct ak_flag_list list;
    ak_msec period;
    int64_t count;
    int choice;
};

static const char *const colours[] = {"none", "red", "green", NULL};
static const struct ak_flag flags[] = {
    {"text", 't', AK_FLAG_TEXT, offsetof(struct target, text), 1, "TEXT", "a text", NULL},
    {"flag", 'a', AK_FLAG_BOOL, offsetof(struct target, flag), 1, NULL, "a switch", NULL},
    {"on", 0, AK_FLAG_SWITCH, offsetof(struct target, on), 1, "true|false", "as said", NULL},
    {"off", 0, AK_FLAG_OFF, offsetof(struct target, off), 1, NULL, "off", NULL},
    {"list", 'l', AK_FLAG_LIST, offsetof(struct target, list), 1, "X", "many", NULL},
    {"period", 0, AK_FLAG_PERIOD, offsetof(struct target, period), 1, "D", "time", NULL},
    {"count", 'c', AK_FLAG_COUNT, offsetof(struct target, count), 1, "N", "number", NULL},
    {"choice", 'o', AK_FLAG_CHOICE, offsetof(struct target, choice), 1, "red|green", "one",
     colours},
    {"other", 'l', AK_FLAG_TEXT, offsetof(struct target, text), 2, "X", "elsewhere", NULL},
};

static int take(struct target *t, uint64_t where, const char *const *argv, struct ak_error **err)
{
    const struct ak_flags known = {flags, AK_ARRAY_LEN(flags), where, "cmd"};
    int argc = 0, r = 0;
    while (argv[argc])
        argc++;
    for (int at = 0; r >= 0 && at < argc; at++)
        r = ak_flags_take(&known, argc, argv, &at, t, err);
    return r;
}

static void flags_are_typed_as_people_type_them(void **state)
{
    static const struct {
        const char *argv[4];
        struct target want;
    } cases[] = {
        {{"--text", "x", NULL}, {.text = "x"}},
        {{"--text=x", NULL}, {.text = "x"}},
        {{"--text=", NULL}, {.text = ""}},
        {{"-t", "x", NULL}, {.text = "x"}},
        {{"-tx", NULL}, {.text = "x"}},
        {{"-t=x", NULL}, {.text = "x"}},
        {{"-at", "x", NULL}, {.text = "x", .flag = true}},
        {{"-atx", NULL}, {.text = "x", .flag = true}},
        {{"--flag", NULL}, {.flag = true}},
        {{"--flag=true", NULL}, {.flag = true}},
        {{"--flag=false", NULL}, {.flag = false}},
        {{"--on", NULL}, {.on = "true"}},
        {{"--on=false", NULL}, {.on = "false"}},
        {{"--period", "90s", NULL}, {.period = 90000}},
        {{"-c12", NULL}, {.count = 12}},
        {{"-ogreen", NULL}, {.choice = 2}},
        {{"--text", "--flag", NULL}, {.text = "--flag"}}, /* a value may look like a flag */
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        struct target t = {0};
        if (take(&t, 1, cases[i].argv, &err) < 0)
            fail_msg("%s: %s", cases[i].argv[0], ak_error_message(err));
        if (cases[i].want.text)
            assert_string_equal(t.text, cases[i].want.text);
        if (cases[i].want.on)
            assert_string_equal(t.on, cases[i].want.on);
        assert_int_equal(t.flag, cases[i].want.flag);
        assert_int_equal(t.period, cases[i].want.period);
        assert_int_equal(t.count, cases[i].want.count);
        assert_int_equal(t.choice, cases[i].want.choice);
    }
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *argv[3], *message;
    } cases[] = {
        {{"--nothing", NULL}, "unknown flag \"--nothing\""},
        {{"--nothing=1", NULL}, "unknown flag \"--nothing\""},
        {{"-x", NULL}, "unknown flag \"-x\""},
        {{"-ax", NULL}, "unknown flag \"-x\" in \"-ax\""},
        {{"--other", NULL}, "cmd has no flag --other"},
        {{"--text", NULL}, "--text: needs a value"},
        {{"--flag=maybe", NULL}, "--flag: \"maybe\" must be true or false"},
        {{"--off=1", NULL}, "--off: takes no value"},
        {{"--period=0s", NULL}, "--period: \"0s\" must be a duration such as 5m"},
        {{"--count=-1", NULL}, "--count: \"-1\" must be a number, 0 or more"},
        {{"-o", "blue"}, "--choice: \"blue\" must be one of red|green"},
        {{"word", NULL}, "unexpected argument \"word\""},
        {{"-", NULL}, "unexpected argument \"-\""},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        struct target t = {0};
        assert_int_equal(take(&t, 1, cases[i].argv, &err), -EINVAL);
        assert_string_equal(ak_error_message(err), cases[i].message);
    }
}

static void a_letter_may_mean_two_things_in_two_commands(void **state)
{
    static const char *const argv[] = {"-l", "x", NULL};
    struct target t = {0};
    (void)state;
    assert_int_equal(take(&t, 1, argv, NULL), 0);
    assert_int_equal(t.list.len, 1);
    assert_int_equal(take(&t, 2, argv, NULL), 0);
    assert_string_equal(t.text, "x");
}

static void help_lists_what_is_valid_there(void **state)
{
    const struct ak_flags known = {flags, AK_ARRAY_LEN(flags), 2, "cmd"};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    (void)state;
    assert_int_equal(ak_flags_help(&known, "Flags", &out), 0);
    assert_string_equal(ak_buf_text(&out), "\nFlags:\n  -l, --other=X\n        elsewhere\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_typed_as_people_type_them),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_letter_may_mean_two_things_in_two_commands),
        cmocka_unit_test(help_lists_what_is_valid_there),
    };
    return cmocka_run_group_tests_name("terminal/flags", tests, NULL, NULL);
}
