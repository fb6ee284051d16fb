/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/text.h>

struct variable {
    const char *name, *value;
};
static const struct variable least[] = {
    {"AGENTKUBE_POD_UID", "uid-1"}, {"AGENTKUBE_MANAGER_CA", "pem"}, {NULL, NULL}};

/* The least that is needed, with some variables put in front. */
struct environment {
    struct variable own[4];
};

static const char *look_up(const char *name, void *user)
{
    const struct environment *e = user;

    for (size_t i = 0; i < 4 && e->own[i].name; i++)
        if (strcmp(name, e->own[i].name) == 0)
            return e->own[i].value;
    for (size_t i = 0; least[i].name; i++)
        if (strcmp(name, least[i].name) == 0)
            return least[i].value;
    return NULL;
}

static void the_least_gives_the_documented_defaults(void **state)
{
    struct environment e = {0};
    struct ak_keeper_settings s;

    (void)state;
    assert_int_equal(ak_keeper_settings_read(look_up, &e, &s, NULL), 0);
    assert_string_equal(s.pod_uid, "uid-1");
    assert_string_equal(s.upstream, "");
    assert_string_equal(s.key_file, "");
    assert_string_equal(s.token_file, "/agentkube/token/token");
    assert_string_equal(s.link, "/agentkube/link/agentlet.sock");
    assert_string_equal(s.manager_name, "agentkube-manager");
    assert_string_equal(s.manager_url, "");
    assert_string_equal(s.relay.host, "");
    assert_int_equal(s.relay.port, 8084);
    assert_string_equal(s.loopback.host, "127.0.0.1");
    assert_int_equal(s.loopback.port, 8085);
    assert_int_equal(s.probe.port, 8086);
    assert_null(s.https_proxy);
    assert_null(s.no_proxy);
}

static void a_wrong_value_names_its_variable(void **state)
{
    static const struct variable cases[] = {
        {"AGENTKUBE_POD_UID", ""},
        {"AGENTKUBE_MANAGER_CA", ""},
        {"AGENTKUBE_MODEL_BASE_URL", "api.example.com"},
        {"AGENTKUBE_MODEL_BASE_URL", "ftp://api.example.com"},
        {"AGENTKUBE_MODEL_BASE_URL", "https://"},
        {"AGENTKUBE_MODEL_BASE_URL", "https:///path"},
        {"AGENTKUBE_MODEL_BASE_URL", "https://user:canary@api.example.com"},
        {"AGENTKUBE_MODEL_BASE_URL", "https://api.example.com/?a=canary"},
        {"AGENTKUBE_MODEL_BASE_URL", "https://api.example.com/#canary"},
        {"AGENTKUBE_KEY_FILE", "key"},
        {"AGENTKUBE_LINK", "agentlet.sock"},
        {"AGENTKUBE_RELAY_LISTEN", "8084"},
        {"AGENTKUBE_RELAY_LISTEN", ":"},
        {"AGENTKUBE_RELAY_LISTEN", ":65536"},
        {"AGENTKUBE_RELAY_LISTEN", "host.example:80"},
        {"AGENTKUBE_LOOPBACK_LISTEN", ":8085"},
        {"AGENTKUBE_LOOPBACK_LISTEN", "0.0.0.0:8085"},
        {"AGENTKUBE_LOOPBACK_LISTEN", "10.0.0.1:8085"},
        {"AGENTKUBE_LOOPBACK_LISTEN", "[::]:8085"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct environment e = {{cases[i]}};
        struct ak_keeper_settings s;
        AK_AUTO_PTR(ak_error) err = NULL;

        print_message("# %s=%s\n", cases[i].name, cases[i].value);
        /* An empty variable is none: for what has no default that is an error too. */
        assert_int_equal(ak_keeper_settings_read(look_up, &e, &s, &err), -EINVAL);
        assert_non_null(strstr(ak_error_message(err), cases[i].name));
        assert_null(strstr(ak_error_message(err), "canary"));
    }
}

static void addresses_of_the_loopback_device_are_taken(void **state)
{
    static const char *const good[] = {"127.0.0.1:0", "127.1.2.3:1", "[::1]:8085"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(good); i++) {
        struct environment e = {{{"AGENTKUBE_LOOPBACK_LISTEN", good[i]}}};
        struct ak_keeper_settings s;

        assert_int_equal(ak_keeper_settings_read(look_up, &e, &s, NULL), 0);
    }
}

static void a_proxy_is_for_https_only_and_the_small_name_wins(void **state)
{
    struct environment e = {{{"AGENTKUBE_MODEL_BASE_URL", "https://api.example.com/v1"},
                             {"https_proxy", "http://small:1"},
                             {"HTTPS_PROXY", "http://large:1"},
                             {"NO_PROXY", "10.0.0.0/8"}}};
    struct ak_keeper_settings s;

    (void)state;
    assert_int_equal(ak_keeper_settings_read(look_up, &e, &s, NULL), 0);
    assert_string_equal(s.https_proxy, "http://small:1");
    assert_string_equal(s.no_proxy, "10.0.0.0/8");
    e.own[0].value = "http://vllm.models:8000/v1";
    assert_int_equal(ak_keeper_settings_read(look_up, &e, &s, NULL), 0);
    assert_null(s.https_proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_gives_the_documented_defaults),
        cmocka_unit_test(a_wrong_value_names_its_variable),
        cmocka_unit_test(addresses_of_the_loopback_device_are_taken),
        cmocka_unit_test(a_proxy_is_for_https_only_and_the_small_name_wins),
    };

    return cmocka_run_group_tests_name("keeper settings", tests, NULL, NULL);
}
