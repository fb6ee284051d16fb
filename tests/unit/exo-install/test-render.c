/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo-install/install.h"
#include "exo-install/manifests.h"
#include "exo-install/render.h"

/* Values of the chart that only Helm serves, because they make objects that the raw manifests lack. */
static const char *const only_helm[] = {"watchNamespaces", "podDisruptionBudget", "metrics",
                                        "networkPolicy"};

static bool is_only_helms(const char *path)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(only_helm); i++) {
        size_t len = strlen(only_helm[i]);
        if (strncmp(path, only_helm[i], len) == 0 && (path[len] == 0 || path[len] == '.'))
            return true;
    }
    return false;
}

static void assert_known(const json_t *tree, struct ak_buf *path)
{
    const char *name;
    json_t *value;
    size_t before = path->len;

    json_object_foreach((json_t *)(uintptr_t)tree, name, value)
    {
        assert_int_equal(ak_buf_addf(path, "%s%s", before ? "." : "", name), 0);
        if (!ak_render_knows(ak_buf_text(path)) && !is_only_helms(ak_buf_text(path))) {
            if (!json_object_size(value))
                fail_msg("%s: a value of the chart that nobody renders", ak_buf_text(path));
            assert_known(value, path);
        }
        path->len = before;
        path->data[before] = 0;
    }
}

static void test_no_value_of_the_chart_is_forgotten(void **state)
{
    AK_AUTO(ak_values) v = {0};
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    (void)state;
    assert_int_equal(ak_values_init(&v, NULL, NULL), 0);
    assert_known(v.defaults, &path);
}

static int render(const char *set, json_t **ret, struct ak_error **err)
{
    AK_AUTO(ak_values) v = {0};
    int r = ak_values_init(&v, NULL, err);
    if (r >= 0 && set)
        r = ak_values_set(&v, set, err);
    if (r >= 0)
        r = ak_values_finish(&v, err);
    return r < 0 ? r : ak_render_operator(NULL, &v, ret, err);
}

static void test_the_namespace_comes_first_and_the_deployment_last(void **state)
{
    AK_AUTO_JSON *objects = NULL;
    (void)state;
    assert_int_equal(render(NULL, &objects, NULL), 0);
    size_t n = json_array_size(objects);
    assert_true(n > 5);
    assert_string_equal(ak_json_text(json_array_get(objects, 0), "kind", NULL), "Namespace");
    assert_string_equal(ak_json_text(json_array_get(objects, n - 1), "kind", NULL), "Deployment");
}

static void test_a_value_that_only_helm_serves_is_refused_not_ignored(void **state)
{
    AK_AUTO_JSON *objects = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    (void)state;
    assert_int_equal(render("podDisruptionBudget.enabled=true", &objects, &err), -EINVAL);
    assert_string_equal(ak_error_message(err),
                        "podDisruptionBudget.enabled: this value works with Helm only");
}

static void test_without_the_webhook_nothing_of_it_is_left(void **state)
{
    AK_AUTO_JSON *objects = NULL;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1 << 20);
    (void)state;
    assert_int_equal(render("webhook.enabled=false", &objects, NULL), 0);
    assert_null(ak_manifests_find(objects, "ValidatingWebhookConfiguration", NULL));
    assert_null(ak_manifests_find(objects, "ClusterRole", AK_INSTALL_NAME "-webhook"));
    const json_t *deployment = ak_manifests_find(objects, "Deployment", NULL);
    assert_int_equal(ak_json_write(deployment, &text, NULL), 0);
    assert_non_null(strstr(ak_buf_text(&text), "\"--webhook=false\""));
    assert_null(strstr(ak_buf_text(&text), "9443"));
}

static void test_memory_that_runs_out_is_an_error(void **state)
{
    AK_AUTO(ak_values) v = {0};
    (void)state;
    assert_int_equal(ak_values_init(&v, NULL, NULL), 0);
    assert_int_equal(ak_values_set(&v, "rbac.strict=true,image.registry=m.example", NULL), 0);
    assert_int_equal(ak_values_finish(&v, NULL), 0);
    for (int64_t n = 0;; n++) {
        AK_AUTO_JSON *objects = NULL;
        (void)ak_alloc_fail_after(n);
        int r = ak_render_operator(NULL, &v, &objects, NULL);
        bool delivered = ak_alloc_fail_after(-1);
        if (!delivered) {
            assert_int_equal(r, 0);
            break;
        }
        assert_true(r < 0);
        n += n / 8;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_value_of_the_chart_is_forgotten),
        cmocka_unit_test(test_the_namespace_comes_first_and_the_deployment_last),
        cmocka_unit_test(test_a_value_that_only_helm_serves_is_refused_not_ignored),
        cmocka_unit_test(test_without_the_webhook_nothing_of_it_is_left),
        cmocka_unit_test(test_memory_that_runs_out_is_an_error),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
