/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo-install/values.h"

/* A copy of one value as compact JSON. */
static void assert_value(const struct ak_values *v, const char *path, const char *wanted)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
    const json_t *value = ak_values_at(v->all, path);
    if (!value)
        fail_msg("%s: there is none", path);
    assert_int_equal(ak_json_write(value, &text, NULL), 0);
    assert_string_equal(ak_buf_text(&text), wanted);
}

static void test_set_has_helms_syntax_and_the_schemas_types(void **state)
{
    static const struct {
        const char *set, *path, *wanted;
    } cases[] = {
        {"manager.replicas=3", "manager.replicas", "3"},
        {"manager.managed=true", "manager.managed", "true"},
        {"image.manager.tag=5", "image.manager.tag", "\"5\""}, /* text, says the schema */
        {"manager.clusterID=true", "manager.clusterID", "\"true\""},
        {"manager.replicas=2,manager.workers=9", "manager.workers", "9"},
        {"manager.logLevel=info\\,+watch", "manager.logLevel", "\"info,+watch\""},
        {"manager.nodeSelector.kubernetes\\.io/os=linux", "manager.nodeSelector",
         "{\"kubernetes.io/os\":\"linux\"}"},
        {"image.pullSecrets={a,b}", "image.pullSecrets", "[\"a\",\"b\"]"},
        {"image.pullSecrets={}", "image.pullSecrets", "[]"},
        {"image.pullSecrets[0]=a,image.pullSecrets[1]=b", "image.pullSecrets", "[\"a\",\"b\"]"},
        {"manager.tolerations[0].key=a,manager.tolerations[0].tolerationSeconds=5",
         "manager.tolerations", "[{\"key\":\"a\",\"tolerationSeconds\":5}]"},
        {"manager.resources.limits.memory=null", "manager.resources.limits", "{}"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_values) v = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        assert_int_equal(ak_values_init(&v, NULL, NULL), 0);
        if (ak_values_set(&v, cases[i].set, &err) < 0 || ak_values_finish(&v, &err) < 0)
            fail_msg("%s: %s", cases[i].set, ak_error_message(err));
        assert_value(&v, cases[i].path, cases[i].wanted);
    }
}

static void test_what_the_schema_refuses_is_refused_by_name(void **state)
{
    static const struct {
        const char *set, *said;
    } cases[] = {
        {"manager.replicas=17", "manager.replicas: must be at most 16"},
        {"manager.replicas=two", "manager.replicas: must be of type integer"},
        {"manager.transport=tcp", "manager.transport: must be one of ws, http"},
        {"manager.baseURL=http://a b", "manager.baseURL: must match"},
        {"manager.nobody=1", "there is no value named \"nobody\""},
        {"nobody.x=1", "there is no value named \"nobody\""},
        {"manager.replicas", "must be KEY=VALUE"},
        {"=1", "a name is missing"},
        {"manager..x=1", "a name is missing"},
        {"image.pullSecrets={a", "a list ends with }"},
        {"image.pullSecrets[1]=a", "one after the other"},
        {"image.pullSecrets[x]=a", "one after the other"},
        {"image.pullSecrets[0=a", "one after the other"},
        {"image.pullSecrets={a}b", "has something behind its end"},
        {"image.pullSecrets={UPPER}", "image.pullSecrets[0]: "},

    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_values) v = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        assert_int_equal(ak_values_init(&v, NULL, NULL), 0);
        int r = ak_values_set(&v, cases[i].set, &err);
        if (r >= 0)
            r = ak_values_finish(&v, &err);
        assert_int_equal(r, -EINVAL);
        if (!strstr(ak_error_message(err), cases[i].said))
            fail_msg("\"%s\" does not say \"%s\"", ak_error_message(err), cases[i].said);
    }
}

static void test_flags_are_short_for_values(void **state)
{
    const struct ak_install_options o = {
        .managed = true,
        .base_url = "https://a.example",
        .image = "r.example:5000/m@sha256:0123",
        .replicas = "2",
        .webhook = "false",
        .pull_secrets = {.items = {"a", "b"}, .len = 2},
    };
    AK_AUTO(ak_values) v = {0};
    (void)state;
    assert_int_equal(ak_values_init(&v, NULL, NULL), 0);
    assert_int_equal(ak_values_from_options(&v, &o, NULL), 0);
    assert_int_equal(ak_values_finish(&v, NULL), 0);
    assert_value(&v, "manager.managed", "true");
    assert_value(&v, "manager.baseURL", "\"https://a.example\"");
    assert_value(&v, "manager.replicas", "2");
    assert_value(&v, "webhook.enabled", "false");
    assert_value(&v, "image.pullSecrets", "[\"a\",\"b\"]");
}

static void test_a_port_is_not_a_tag(void **state)
{
    const struct ak_install_options o = {.image = "r.example:5000/m"};
    AK_AUTO(ak_values) v = {0};
    (void)state;
    assert_int_equal(ak_values_init(&v, NULL, NULL), 0);
    assert_int_equal(ak_values_from_options(&v, &o, NULL), 0);
    assert_int_equal(ak_values_finish(&v, NULL), 0);
    assert_value(&v, "image.manager.repository", "\"r.example:5000/m\"");
    assert_value(&v, "image.manager.tag", "\"\"");
}

static void test_memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    ak_json_setup();
    for (int64_t n = 0;; n++) {
        AK_AUTO(ak_values) v = {0};
        (void)ak_alloc_fail_after(n);
        int r = ak_values_init(&v, NULL, NULL);
        if (r >= 0)
            r = ak_values_set(&v, "manager.replicas=2,image.pullSecrets={a}", NULL);
        if (r >= 0)
            r = ak_values_finish(&v, NULL);
        bool delivered = ak_alloc_fail_after(-1);
        if (!delivered) {
            assert_int_equal(r, 0);
            break;
        }
        assert_true(r == -ENOMEM || r >= 0 || r == -EINVAL);
        n += n / 8; /* reading the values takes thousands of allocations */
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_has_helms_syntax_and_the_schemas_types),
        cmocka_unit_test(test_what_the_schema_refuses_is_refused_by_name),
        cmocka_unit_test(test_flags_are_short_for_values),
        cmocka_unit_test(test_a_port_is_not_a_tag),
        cmocka_unit_test(test_memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
