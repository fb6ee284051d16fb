/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/secret.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_secret_keeps_its_bytes(void **state)
{
    AK_AUTO_PTR(ak_secret) secret = ak_secret_new("to\0ken", 6);
    size_t len = 0;

    (void)state;
    assert_memory_equal(ak_secret_peek(secret, &len), "to\0ken", 7);
    assert_int_equal(len, 6);
    assert_string_equal(ak_secret_peek(NULL, &len), "");
    assert_int_equal(len, 0);
    assert_null(ak_secret_free(NULL));
}

static void equality_is_of_all_bytes(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"", "", true},       {"a", "a", true},     {"abc", "abd", false}, {"abc", "xbc", false},
        {"abc", "ab", false}, {"ab", "abc", false}, {"", "a", false},      {"a", "", false},
        {"aa", "a", false},   {"a", "aa", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_secret) a = ak_secret_new(cases[i].a, strlen(cases[i].a));
        AK_AUTO_PTR(ak_secret) b = ak_secret_new(cases[i].b, strlen(cases[i].b));

        assert_int_equal(ak_secret_equal(a, b), cases[i].equal);
        assert_false(ak_secret_equal(a, NULL));
    }
    assert_true(ak_secret_equal(NULL, NULL));
}

static void wiping_overwrites(void **state)
{
    char data[] = "hunter2";

    (void)state;
    ak_wipe(data, sizeof(data));
    for (size_t i = 0; i < sizeof(data); i++)
        assert_int_equal(data[i], 0);
}

static void without_memory_there_is_no_secret(void **state)
{
    (void)state;
    (void)ak_alloc_fail_after(0);
    assert_null(ak_secret_new("x", 1));
    (void)ak_alloc_fail_after(-1);
    assert_null(ak_secret_new("x", SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_keeps_its_bytes),
        cmocka_unit_test(equality_is_of_all_bytes),
        cmocka_unit_test(wiping_overwrites),
        cmocka_unit_test(without_memory_there_is_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
