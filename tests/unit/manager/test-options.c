/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "manager/options.h"

#define MAX_ARGS 6

static int parse(struct ak_options *o, const char *const *argv, const char *const *env,
                 struct ak_arena *arena, struct ak_error **err)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return ak_options_parse(o, argc, argv, env, arena, err);
}

static void test_defaults_are_the_documented_ones(void **state)
{
    static const char *const argv[] = {"m", NULL};
    static const char *const env[] = {"HOME=/home/x", NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), 0);
    assert_string_equal(o.namespace_, "agentkube-system");
    assert_null(o.watch_namespace);
    assert_true(o.leader_elect);
    assert_int_equal(o.workers, 4);
    assert_int_equal(o.metrics_port, 8080);
    assert_int_equal(o.probe_port, 8081);
    assert_null(o.bind_address);
    assert_string_equal(o.kubeconfig, "/home/x/.kube/config");
    assert_string_equal(o.manager_image, "docker.io/adaptivelive/agentkube-manager:v" AK_VERSION);
    assert_string_equal(o.memory_size, "1Gi");
    assert_false(o.managed);
    assert_false(o.webhook);
    assert_int_equal(o.webhook_port, 9443);
    assert_null(o.webhook_address);
    assert_int_equal(o.webhook_timeout, 10000);
    assert_string_equal(o.webhook_configuration, "agentkube-manager");
    assert_int_equal(o.invoke_port, -1);
}

static void test_the_invocation_api_has_an_address_of_its_own(void **state)
{
    static const char *const argv[] = {"m", "--invoke-bind-address=[::1]:8082", NULL};
    static const char *const env[] = {"POD_IP=fd00::7", NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), 0);
    assert_string_equal(o.invoke_address, "::1");
    assert_int_equal(o.invoke_port, 8082);
    assert_string_equal(o.pod_ip, "fd00::7");
    assert_null(o.bind_address);
}

static void test_the_webhook_has_an_address_of_its_own(void **state)
{
    static const char *const argv[] = {"m",
                                       "--webhook",
                                       "--webhook-bind-address=127.0.0.1:0",
                                       "--metrics-bind-address=:9",
                                       "--webhook-names=127.0.0.1,hooks.example.com",
                                       "--webhook-timeout=3s",
                                       NULL};
    static const char *const env[] = {NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), 0);
    assert_true(o.webhook);
    assert_string_equal(o.webhook_address, "127.0.0.1");
    assert_int_equal(o.webhook_port, 0);
    assert_null(o.bind_address);
    assert_int_equal(o.webhook_names.len, 2);
    assert_string_equal(o.webhook_names.items[1], "hooks.example.com");
    assert_int_equal(o.webhook_timeout, 3000);
}

static void test_flags_come_before_variables_and_both_before_defaults(void **state)
{
    static const char *const argv[] = {"m",  "--namespace=flag",     "-kubeconfig",
                                       "/k", "--leader-elect=false", "--workers",
                                       "9",  "--resync-period=0",    NULL};
    static const char *const env[] = {"AGENTKUBE_NAMESPACE=variable",
                                      "POD_NAMESPACE=pod",
                                      "KUBECONFIG=/other",
                                      "AGENTKUBE_IMAGE_REGISTRY=mirror:5000/kube/",
                                      "AGENTKUBE_IMAGE_PULL_SECRETS=one, two",
                                      NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), 0);
    assert_string_equal(o.namespace_, "flag");
    assert_string_equal(o.kubeconfig, "/k");
    assert_false(o.leader_elect);
    assert_int_equal(o.workers, 9);
    assert_int_equal(o.resync, -1);
    assert_string_equal(o.manager_image,
                        "mirror:5000/kube/adaptivelive/agentkube-manager:v" AK_VERSION);
    assert_int_equal(o.image_pull_secrets.len, 2);
    assert_string_equal(o.image_pull_secrets.items[1], "two");
    assert_int_equal(parse(&o, argv + 4, env, &arena, NULL), 0); /* --workers alone */
    assert_string_equal(o.namespace_, "variable");
    assert_string_equal(o.kubeconfig, "/other");
    assert_int_equal(parse(&o, argv + 5, env, &arena, NULL), -EINVAL); /* "9" alone */
}

static void test_in_a_pod_the_service_account_is_used(void **state)
{
    static const char *const argv[] = {"m", NULL};
    static const char *const env[] = {"HOME=/x",
                                      "KUBERNETES_SERVICE_HOST=10.0.0.1",
                                      "KUBERNETES_SERVICE_PORT=443",
                                      "AGENTKUBE_NAMESPACE=",
                                      "POD_NAMESPACE=here",
                                      NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), 0);
    assert_null(o.kubeconfig);
    assert_string_equal(o.namespace_, "here"); /* an empty variable counts as unset */
}

static const struct address_case {
    const char *args[MAX_ARGS];
    int metrics, probes;
    const char *host;
} address_cases[] = {
    {{"m", "--metrics-bind-address=:9"}, 9, 8081, NULL},
    {{"m", "--metrics-bind-address=0", "--health-probe-bind-address=0"}, -1, -1, NULL},
    {{"m", "--metrics-bind-address", "127.0.0.1:0", "--health-probe-bind-address=127.0.0.1:7"},
     0,
     7,
     "127.0.0.1"},
    {{"m", "--metrics-bind-address=[::1]:9"}, 9, 8081, "::1"},
};

static void test_addresses(void **state)
{
    static const char *const env[] = {NULL};
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(address_cases); i++) {
        const struct address_case *c = &address_cases[i];
        AK_AUTO(ak_arena) arena = {0};
        struct ak_options o;
        ak_arena_init(&arena, 256, 0);
        assert_int_equal(parse(&o, c->args, env, &arena, NULL), 0);
        assert_int_equal(o.metrics_port, c->metrics);
        assert_int_equal(o.probe_port, c->probes);
        assert_true(ak_streq(o.bind_address, c->host));
    }
}

static const struct bad_case {
    const char *args[MAX_ARGS];
    const char *env[3];
    const char *words; /* what the message must name */
} bad_cases[] = {
    {{"m", "--colour"}, {NULL}, "--colour"},
    {{"m", "start"}, {NULL}, "\"start\""},
    {{"m", "--workers"}, {NULL}, "--workers: needs a value"},
    {{"m", "--workers=0"}, {NULL}, "--workers"},
    {{"m", "--workers=65"}, {NULL}, "from 1 to 64"},
    {{"m", "--workers=4x"}, {NULL}, "\"4x\""},
    {{"m", "--resync-period=often"}, {NULL}, "--resync-period"},
    {{"m", "--resync-period=-1h"}, {NULL}, "--resync-period"},
    {{"m", "--leader-elect=yes"}, {NULL}, "--leader-elect"},
    {{"m", "--metrics-bind-address=8080"}, {NULL}, "--metrics-bind-address"},
    {{"m", "--metrics-bind-address=a:1", "--health-probe-bind-address=b:1"}, {NULL}, "same host"},
    {{"m", "--namespace=UPPER"}, {NULL}, "UPPER"},
    {{"m", "--webhook", "--webhook-bind-address=0"}, {NULL}, "--webhook-bind-address"},
    {{"m", "--webhook-timeout=31s"}, {NULL}, "--webhook-timeout"},
    {{"m", "--shutdown-delay=61s"}, {NULL}, "--shutdown-delay"},
    {{"m", "--shutdown-delay=soon"}, {NULL}, "--shutdown-delay"},
    {{"m", "--webhook-names=a,B"}, {NULL}, "\"B\""},
    {{"m", "--watch-namespace=a/b"}, {NULL}, "--watch-namespace"},
    {{"m"}, {"AGENTKUBE_MANAGED=1", NULL}, "AGENTKUBE_MANAGED"},
    {{"m"}, {"AGENTKUBE_MEMORY_ACCESS_MODE=rw", NULL}, "ReadWriteOnce or ReadWriteMany"},
    {{"m"}, {"AGENTKUBE_MEMORY_SIZE=big", NULL}, "AGENTKUBE_MEMORY_SIZE"},
    {{"m"}, {"AGENTKUBE_TRANSPORT=smoke", NULL}, "AGENTKUBE_TRANSPORT"},
    {{"m"}, {"AGENTKUBE_IMAGE_PULL_SECRETS=a,B_", NULL}, "\"B_\""},
};

static void test_a_bad_value_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_options o;
        ak_arena_init(&arena, 256, 0);
        int r = parse(&o, c->args, c->env, &arena, &err);
        if (r != -EINVAL || !strstr(ak_error_message(err), c->words))
            fail_msg("case %zu: %d, \"%s\"", i, r, ak_error_message(err));
    }
}

static void test_too_many_pull_secrets_are_refused(void **state)
{
    static const char *const argv[] = {"m", NULL};
    static const char *const env[] = {
        "AGENTKUBE_IMAGE_PULL_SECRETS=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", NULL};
    AK_AUTO(ak_arena) arena = {0};
    struct ak_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), -EINVAL);
}

static void test_help_and_version_are_flags(void **state)
{
    static const char *const argv[] = {"m", "-h", "--version", NULL};
    static const char *const env[] = {NULL};
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(65536);
    struct ak_options o;
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_int_equal(parse(&o, argv, env, &arena, NULL), 0);
    assert_true(o.show_help && o.show_version);
    assert_int_equal(ak_options_help(&text), 0);
    assert_non_null(strstr(ak_buf_text(&text), "--health-probe-bind-address"));
    assert_non_null(strstr(ak_buf_text(&text), "AGENTKUBE_IMAGE_REGISTRY"));
    assert_null(strstr(ak_buf_text(&text), "https_proxy"));
}

static void test_any_failing_allocation_is_told(void **state)
{
    static const char *const argv[] = {"m", "--metrics-bind-address=a:1", NULL};
    static const char *const env[] = {"HOME=/x", "AGENTKUBE_IMAGE_PULL_SECRETS=a", NULL};
    (void)state;
    for (int64_t n = 0;; n++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_options o;
        ak_arena_init(&arena, 16, 0);
        ak_alloc_fail_after(n);
        int r = parse(&o, argv, env, &arena, NULL);
        bool delivered = ak_alloc_fail_after(-1);
        assert_int_equal(r, delivered ? -ENOMEM : 0);
        if (!delivered) {
            assert_true(n > 0);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_the_documented_ones),
        cmocka_unit_test(test_the_webhook_has_an_address_of_its_own),
        cmocka_unit_test(test_the_invocation_api_has_an_address_of_its_own),
        cmocka_unit_test(test_flags_come_before_variables_and_both_before_defaults),
        cmocka_unit_test(test_in_a_pod_the_service_account_is_used),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_a_bad_value_is_refused_by_name),
        cmocka_unit_test(test_too_many_pull_secrets_are_refused),
        cmocka_unit_test(test_help_and_version_are_flags),
        cmocka_unit_test(test_any_failing_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
