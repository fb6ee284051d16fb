/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo/command.h"

#define MAX_ARGS 10

static int parse(struct ak_exo_options *o, const char *const *argv, const char *const *env,
                 struct ak_arena *arena, struct ak_error **err)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return ak_command_parse(o, argc, argv, env, arena, err);
}

static void words_and_flags_come_in_any_order(void **state)
{
    static const struct {
        const char *argv[MAX_ARGS];
        const char *label, *ns;
        size_t n_args;
    } cases[] = {
        {{"exo", "agent", "list", NULL}, "agent list", NULL, 0},
        {{"exo", "agents", "ls", NULL}, "agent list", NULL, 0},
        {{"exo", "-n", "team", "agent", "list", NULL}, "agent list", "team", 0},
        {{"exo", "agent", "-nteam", "list", NULL}, "agent list", "team", 0},
        {{"exo", "agent", "get", "a", "--namespace=team", "b", NULL}, "agent get", "team", 2},
        {{"exo", "agent", "run", "a", "do it", "-f", NULL}, "agent run", NULL, 2},
        {{"exo", "agent", "run", "-f", "a", "--", "-n is no flag here", NULL},
         "agent run",
         NULL,
         2},
        {{"exo", "agent", "run", "a", "-", NULL}, "agent run", NULL, 2},
        {{"exo", "run", "get", "a/r-1", NULL}, "run get", NULL, 1},
        {{"exo", "claws", "get", NULL}, "claw get", NULL, 0},
        {{"exo", "tl", "exec", "db", "-n", "team", "--", "-c", "select 1", NULL},
         "tool exec",
         "team",
         1},
        {{"exo", "tool", "call", "db", "query", "sql=select 1", "n:=2", NULL},
         "tool call",
         NULL,
         4},
        {{"exo", "session", "play", "db", "r-1", "--speed", "4", NULL}, "session play", NULL, 2},
        {{"exo", "doctor", "-n", "team", NULL}, "doctor", "team", 0},
        {{"exo", "--version", NULL}, "version", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_exo_options o;
        char label[64];
        ak_arena_init(&arena, 4096, 0);
        if (parse(&o, cases[i].argv, NULL, &arena, &err) < 0)
            fail_msg("case %zu: %s", i, ak_error_message(err));
        assert_string_equal(ak_command_label(o.command, label), cases[i].label);
        assert_true(ak_streq(o.namespace_, cases[i].ns));
        assert_int_equal(o.n_args, cases[i].n_args);
    }
}

static void mistakes_are_named_and_near_words_suggested(void **state)
{
    static const struct {
        const char *argv[MAX_ARGS], *message;
    } cases[] = {
        {{"exo", "agnet", NULL}, "unknown command \"agnet\"; did you mean \"agent\"?"},
        {{"exo", "docter", NULL}, "unknown command \"docter\"; did you mean \"doctor\"?"},
        {{"exo", "frobnicate", NULL}, "unknown command \"frobnicate\""},
        {{"exo", "agent", "lsit", NULL}, "unknown verb \"lsit\"; did you mean \"agent list\"?"},
        {{"exo", "run", "shell", NULL}, "unknown verb \"shell\""},
        {{"exo", "agent", "describe", NULL}, "agent describe needs NAME"},
        {{"exo", "agent", "describe", "a", "b", NULL}, "agent describe: unexpected argument \"b\""},
        {{"exo", "agent", "list", "--follow", NULL}, "agent list has no flag --follow"},
        {{"exo", "agent", "run", "a", "-owide", NULL}, "agent run has no format \"wide\""},
        {{"exo", "tool", "exce", "db", NULL}, "unknown verb \"exce\"; did you mean \"tool exec\"?"},
        {{"exo", "tool", "approve", "db", NULL}, "tool approve needs NAME ID"},
        {{"exo", "tool", "exec", "db", "--speed=2", NULL}, "tool exec has no flag --speed"},
        {{"exo", "agent", "list", "--", "x", NULL}, "agent list takes nothing behind \"--\""},
        {{"exo", "agent", "list", "-o", "xml", NULL},
         "--output: \"xml\" must be one of json|yaml|wide|name"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_exo_options o;
        ak_arena_init(&arena, 4096, 0);
        assert_int_equal(parse(&o, cases[i].argv, NULL, &arena, &err), -EINVAL);
        assert_string_equal(ak_error_message(err), cases[i].message);
    }
}

static void a_shells_command_is_left_as_it_is(void **state)
{
    static const char *const argv[] = {"exo", "agent", "shell", "a", "--", "ls", "-l", "--", NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_exo_options o;
    (void)state;
    ak_arena_init(&arena, 4096, 0);
    assert_int_equal(parse(&o, argv, NULL, &arena, NULL), 0);
    assert_string_equal(o.rest[0], "ls");
    assert_string_equal(o.rest[1], "-l");
    assert_string_equal(o.rest[2], "--");
    assert_null(o.rest[3]);
}

static void the_environment_says_where_the_kubeconfig_is(void **state)
{
    static const struct {
        const char *argv[MAX_ARGS], *env[4], *want;
        bool is_default;
    } cases[] = {
        {{"exo", "status", NULL}, {"HOME=/h", NULL}, "/h/.kube/config", true},
        {{"exo", "status", NULL}, {"HOME=/h", "KUBECONFIG=/a:/b", NULL}, "/a:/b", false},
        {{"exo", "status", NULL}, {"HOME=/h", "KUBECONFIG=", NULL}, "/h/.kube/config", true},
        {{"exo", "status", "--kubeconfig=/c", NULL}, {"KUBECONFIG=/a", NULL}, "/c", false},
        {{"exo", "status", NULL},
         {"HOME=/h", "KUBERNETES_SERVICE_HOST=10.0.0.1", NULL},
         NULL,
         false},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_exo_options o;
        ak_arena_init(&arena, 4096, 0);
        assert_int_equal(parse(&o, cases[i].argv, cases[i].env, &arena, NULL), 0);
        assert_true(ak_streq(o.kubeconfig, cases[i].want));
        assert_int_equal(o.kubeconfig_is_default, cases[i].is_default);
    }
}

static void every_command_has_help_that_names_its_flags(void **state)
{
    (void)state;
    for (const struct ak_command *c = ak_command_table(); c->verb; c++) {
        const struct ak_exo_options o = {.command = c, .noun = c->noun};
        const struct ak_flags own = ak_command_flags(c);
        AK_AUTO(ak_buf) out = AK_BUF_INIT(65536);
        AK_AUTO(ak_buf) flag = AK_BUF_INIT(256);
        char label[64];
        assert_int_equal(ak_command_help(&o, &out), 0);
        assert_non_null(strstr(ak_buf_text(&out), ak_command_label(c, label)));
        for (size_t i = 0; i < own.len; i++) {
            ak_buf_clear(&flag);
            assert_int_equal(ak_buf_addf(&flag, "--%s", own.items[i].name), 0);
            if (own.items[i].where & own.where)
                assert_non_null(strstr(ak_buf_text(&out), ak_buf_text(&flag)));
        }
    }
}

static void no_letter_and_no_name_means_two_things_in_one_command(void **state)
{
    (void)state;
    for (const struct ak_command *c = ak_command_table(); c->verb; c++) {
        const struct ak_flags own = ak_command_flags(c);
        for (size_t i = 0; i < own.len; i++)
            for (size_t k = i + 1; k < own.len; k++) {
                const struct ak_flag *a = &own.items[i], *b = &own.items[k];
                if (!(a->where & own.where) || !(b->where & own.where))
                    continue;
                assert_string_not_equal(a->name, b->name);
                assert_true(!a->letter || a->letter != b->letter);
            }
    }
}

static void help_is_what_is_shown_when_the_verb_is_missing(void **state)
{
    static const char *const cases[][MAX_ARGS] = {
        {"exo", NULL},
        {"exo", "agent", NULL},
        {"exo", "help", NULL},
        {"exo", "help", "agent", "run", NULL},
        {"exo", "agent", "describe", "--help", NULL},
        {"exo", "-h", NULL},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_exo_options o;
        ak_arena_init(&arena, 4096, 0);
        assert_int_equal(parse(&o, cases[i], NULL, &arena, NULL), 0);
        assert_true(o.help);
    }
}

static void without_memory_it_says_so(void **state)
{
    static const char *const argv[] = {"exo", "agent", "list", NULL};
    static const char *const env[] = {"HOME=/h", NULL};
    (void)state;
    for (int n = 0;; n++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_exo_options o;
        ak_arena_init(&arena, 64, 0);
        ak_alloc_fail_after(n);
        int r = parse(&o, argv, env, &arena, &err);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_flags_come_in_any_order),
        cmocka_unit_test(mistakes_are_named_and_near_words_suggested),
        cmocka_unit_test(a_shells_command_is_left_as_it_is),
        cmocka_unit_test(the_environment_says_where_the_kubeconfig_is),
        cmocka_unit_test(every_command_has_help_that_names_its_flags),
        cmocka_unit_test(no_letter_and_no_name_means_two_things_in_one_command),
        cmocka_unit_test(help_is_what_is_shown_when_the_verb_is_missing),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests_name("exo/command", tests, NULL, NULL);
}
