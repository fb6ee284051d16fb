/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <ak/base/alloc.h>
#include <ak/json/json.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void writes_as(const struct spec *spec, const char *json)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(10000);
    AK_AUTO_JSON *tree = NULL;

    assert_int_equal(ak_encode(&spec_type, spec, &tree, NULL), 0);
    assert_int_equal(ak_json_write(tree, &out, NULL), 0);
    assert_string_equal(out.data, json);
}

static void what_was_decoded_is_encoded_the_same(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    AK_AUTO_JSON *tree = NULL;
    struct spec spec = {.model = NULL};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_int_equal(ak_json_parse(FULL_SPEC, strlen(FULL_SPEC), &tree, NULL), 0);
    assert_int_equal(ak_decode(&spec_type, tree, &spec, &arena, NULL), 0);
    writes_as(&spec, FULL_SPEC);
}

static void absent_values_are_left_out(void **state)
{
    struct spec spec = {.model = NULL};

    (void)state;
    writes_as(&spec, "{\"paused\":false,\"replicas\":0,\"ratio\":0}");
}

static void numbers_and_texts_keep_their_kind(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"5", "5"},           {"-5", "-5"},
        {"0", "0"},           {"007", "\"007\""},
        {"-0", "\"-0\""},     {"5Gi", "\"5Gi\""},
        {"http", "\"http\""}, {"0.5", "\"0.5\""},
        {"", "\"\""},         {"99999999999999999999", "\"99999999999999999999\""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_TEXT char *json = ak_asprintf(
            "{\"memory\":%s,\"paused\":false,\"replicas\":0,\"ratio\":0}", cases[i].json);
        struct spec spec = {.memory = cases[i].text};

        writes_as(&spec, json);
    }
}

static void what_json_cannot_hold_is_refused(void **state)
{
    static const char *const bad_text[] = {"\xff"};
    static const struct ak_pair bad_key[] = {{"\xff", "x"}};
    const struct {
        struct spec spec;
        int code;
    } cases[] = {
        {{.model = "\xff"}, -EINVAL},
        {{.raw = "{"}, AK_E_INVALID},
        {{.ratio = NAN}, -EINVAL},
        {{.mode = 3}, -EINVAL},
        {{.mode = -1}, -EINVAL},
        {{.args = {bad_text, 1}}, -EINVAL},
        {{.labels = {bad_key, 1}}, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        json_t *tree = NULL;

        assert_int_equal(ak_encode(&spec_type, &cases[i].spec, &tree, &err), cases[i].code);
        assert_null(tree);
        assert_int_equal(ak_error_code(err), cases[i].code);
    }
}

static void each_allocation_may_fail(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    AK_AUTO_JSON *tree = NULL;
    struct spec spec = {.model = NULL};
    bool failed = true;

    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_int_equal(ak_json_parse(FULL_SPEC, strlen(FULL_SPEC), &tree, NULL), 0);
    assert_int_equal(ak_decode(&spec_type, tree, &spec, &arena, NULL), 0);
    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO_JSON *out = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = ak_encode(&spec_type, &spec, &out, &err);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        assert_int_equal(ak_error_code(err), r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_decoded_is_encoded_the_same),
        cmocka_unit_test(absent_values_are_left_out),
        cmocka_unit_test(numbers_and_texts_keep_their_kind),
        cmocka_unit_test(what_json_cannot_hold_is_refused),
        cmocka_unit_test(each_allocation_may_fail),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
