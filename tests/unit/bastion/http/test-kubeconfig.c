/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "bastion/engines/http/kubeconfig.h"

/* One file whose user and cluster are given, with the context that joins them. */
static char *file_of(const char *user, const char *cluster)
{
    return ak_asprintf("current-context: main\n"
                       "contexts:\n- name: main\n  context: {cluster: c, user: u, namespace: web}\n"
                       "clusters:\n- name: c\n  cluster: %s\n"
                       "users:\n- name: u\n  user: %s\n",
                       cluster, user);
}

static const char server[] = "{server: 'https://h:6443', certificate-authority-data: Q0E=}";

static void a_token_with_its_cluster_is_read(void **state)
{
    AK_AUTO_TEXT char *text = file_of("{token: abc}", server);
    AK_AUTO(ak_kubeconfig) k = {0};

    (void)state;
    assert_int_equal(ak_kubeconfig_parse(text, strlen(text), NULL, &k, NULL), 0);
    assert_string_equal(k.server, "https://h:6443");
    assert_string_equal(k.ca_pem, "CA");
    assert_string_equal(k.namespace_, "web");
    assert_string_equal(ak_secret_peek(k.token, NULL), "abc");
}

static void what_does_not_stand_alone_is_refused_in_words(void **state)
{
    static const struct {
        const char *user, *cluster, *words;
    } cases[] = {
        {"{exec: {command: aws}}", server, "exec"},
        {"{auth-provider: {name: gcp}}", server, "auth-provider"},
        {"{client-certificate: /root/a.pem, client-key: /root/a.key}", server, "--flatten"},
        {"{tokenFile: /var/token, token: s3cret-t0ken}", server, "tokenFile"},
        {"{}", server, "no credential"},
        {"{client-certificate-data: Q0E=}", server, "needs both"},
        {"{client-certificate-data: '*', client-key-data: Q0E=}", server, "not base64"},
        {"{username: ann}", server, "no credential"},
        {"{token: s3cret-t0ken}", "{certificate-authority: /etc/ca.pem, server: 'https://h'}",
         "certificate-authority"},
        {"{token: s3cret-t0ken}", "{}", "no server"},
        {"[", server, "not a YAML"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_TEXT char *text = file_of(cases[i].user, cases[i].cluster);
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO(ak_kubeconfig) k = {0};

        assert_int_equal(ak_kubeconfig_parse(text, strlen(text), NULL, &k, &err), AK_E_INVALID);
        if (!strstr(ak_error_message(err), cases[i].words))
            fail_msg("%s: \"%s\"", cases[i].words, ak_error_message(err));
        assert_null(strstr(ak_error_message(err), "s3cret"));
    }
}

static void a_context_that_is_not_there_is_named(void **state)
{
    AK_AUTO_TEXT char *text = file_of("{token: abc}", server);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_kubeconfig) k = {0};

    (void)state;
    assert_int_equal(ak_kubeconfig_parse(text, strlen(text), "other", &k, &err), AK_E_INVALID);
    assert_non_null(strstr(ak_error_message(err), "\"other\""));
}

static void every_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
    AK_AUTO_TEXT char *text =
        file_of("{client-certificate-data: Q0E=, client-key-data: Q0E=, username: a}", server);
    int r = -ENOMEM;

    (void)state;
    for (int n = 0; r < 0; n++) {
        AK_AUTO(ak_kubeconfig) k = {0};

        (void)ak_alloc_fail_after(n);
        r = ak_kubeconfig_parse(text, strlen(text), NULL, &k, NULL);
        if (!ak_alloc_fail_after(-1))
            assert_int_equal(r, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_with_its_cluster_is_read),
        cmocka_unit_test(what_does_not_stand_alone_is_refused_in_words),
        cmocka_unit_test(a_context_that_is_not_there_is_named),
        cmocka_unit_test(every_failed_allocation_is_an_error_and_leaks_nothing),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
