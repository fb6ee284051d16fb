/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo-install/options.h"

#define MAX_ARGS 6

static int parse(struct ak_install_options *o, const char *const *argv, const char *const *env,
                 struct ak_arena *arena, struct ak_error **err)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return ak_install_options_parse(o, argc, argv, env, arena, err);
}

static void test_the_documented_command_is_understood(void **state)
{
    static const char *const argv[] = {
        "exo-install", "operator", "--managed", "--base-url", "https://exo.example.com", NULL};
    static const char *const env[] = {"HOME=/home/x", NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_install_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), 0);
    assert_int_equal(o.verb, AK_VERB_OPERATOR);
    assert_true(o.managed && o.wait && o.crds);
    assert_false(o.dry_run || o.force_conflicts || o.purge);
    assert_string_equal(o.base_url, "https://exo.example.com");
    assert_string_equal(o.kubeconfig, "/home/x/.kube/config");
    assert_int_equal(o.timeout, AK_MINUTES(5));
}

static void test_spellings_that_kubectl_and_helm_users_type(void **state)
{
    static const struct {
        const char *argv[MAX_ARGS];
        enum ak_output output;
    } cases[] = {
        {{"x", "status", "-o", "json", NULL}, AK_OUTPUT_JSON},
        {{"x", "status", "-ojson", NULL}, AK_OUTPUT_JSON},
        {{"x", "status", "-o=yaml", NULL}, AK_OUTPUT_YAML},
        {{"x", "status", "--output=yaml", NULL}, AK_OUTPUT_YAML},
        {{"x", "status", NULL}, AK_OUTPUT_TEXT},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_install_options o;
        ak_arena_init(&arena, 256, 0);
        assert_int_equal(parse(&o, cases[i].argv, NULL, &arena, NULL), 0);
        assert_int_equal(o.output, cases[i].output);
    }
}

static void test_what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *argv[MAX_ARGS];
        const char *said;
    } cases[] = {
        {{"x", NULL}, "which verb?"},
        {{"x", "nobody", NULL}, "unknown verb \"nobody\""},
        {{"x", "operator", "--namespace", "y", NULL}, "always agentkube-system"},
        {{"x", "operator", "-n", "y", NULL}, "always agentkube-system"},
        {{"x", "crds", "--replicas=2", NULL}, "crds has no flag --replicas"},
        {{"x", "operator", "--set", NULL}, "--set: needs a value"},
        {{"x", "operator", "--wait=perhaps", NULL}, "--wait: \"perhaps\""},
        {{"x", "operator", "--webhook=no", NULL}, "--webhook: \"no\""},
        {{"x", "operator", "--no-wait=true", NULL}, "--no-wait: takes no value"},
        {{"x", "operator", "--timeout=0s", NULL}, "--timeout: \"0s\""},
        {{"x", "operator", "--timeout=soon", NULL}, "--timeout: \"soon\""},
        {{"x", "operator", "-managed", NULL}, "unknown flag \"-managed\""},
        {{"x", "operator", "x", NULL}, "unexpected argument \"x\""},
        {{"x", "operator", "-", NULL}, "unexpected argument \"-\""},
        {{"x", "status", "-o", "xml", NULL}, "must be one of yaml|json"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_install_options o;
        ak_arena_init(&arena, 256, 0);
        assert_int_equal(parse(&o, cases[i].argv, NULL, &arena, &err), -EINVAL);
        if (!strstr(ak_error_message(err), cases[i].said))
            fail_msg("\"%s\" does not say \"%s\"", ak_error_message(err), cases[i].said);
    }
}

static void test_a_flag_may_be_repeated_up_to_a_limit(void **state)
{
    const char *argv[2 * AK_FLAG_LIST_MAX + 6] = {"x", "operator"};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_install_options o;
    (void)state;
    for (size_t i = 0; i <= AK_FLAG_LIST_MAX; i++) {
        argv[2 + 2 * i] = "--set";
        argv[3 + 2 * i] = "a=b";
    }
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(
        ak_install_options_parse(&o, 2 + 2 * AK_FLAG_LIST_MAX, argv, NULL, &arena, NULL), 0);
    assert_int_equal(o.sets.len, AK_FLAG_LIST_MAX);
    assert_int_equal(
        ak_install_options_parse(&o, 4 + 2 * AK_FLAG_LIST_MAX, argv, NULL, &arena, NULL), -EINVAL);
}

static void test_kubeconfig_of_the_flag_then_of_the_environment_then_in_cluster(void **state)
{
    static const char *const env[] = {"HOME=/h", "KUBECONFIG=/k", NULL};
    static const char *const pod[] = {"HOME=/h", "KUBERNETES_SERVICE_HOST=10.0.0.1", NULL};
    static const char *const flag[] = {"x", "status", "--kubeconfig=/f", NULL};
    static const char *const plain[] = {"x", "status", NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_install_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, flag, env, &arena, NULL), 0);
    assert_string_equal(o.kubeconfig, "/f");
    assert_int_equal(parse(&o, plain, env, &arena, NULL), 0);
    assert_string_equal(o.kubeconfig, "/k");
    assert_int_equal(parse(&o, plain, pod, &arena, NULL), 0);
    assert_null(o.kubeconfig);
}

static void test_help_lists_the_flags_of_the_verb_and_no_others(void **state)
{
    static const char *const argv[] = {"x", "uninstall", "--help", NULL};
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 * 1024);
    struct ak_install_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, NULL, &arena, NULL), 0);
    assert_true(o.help);
    assert_int_equal(ak_install_options_help(&o, &text), 0);
    assert_non_null(strstr(ak_buf_text(&text), "--purge"));
    assert_null(strstr(ak_buf_text(&text), "--managed"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_documented_command_is_understood),
        cmocka_unit_test(test_spellings_that_kubectl_and_helm_users_type),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_a_flag_may_be_repeated_up_to_a_limit),
        cmocka_unit_test(test_kubeconfig_of_the_flag_then_of_the_environment_then_in_cluster),
        cmocka_unit_test(test_help_lists_the_flags_of_the_verb_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
