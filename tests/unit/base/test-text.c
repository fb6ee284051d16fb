/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void predicates_take_null(void **state)
{
    (void)state;
    assert_true(ak_streq("a", "a"));
    assert_false(ak_streq("a", "b"));
    assert_true(ak_streq(NULL, NULL));
    assert_false(ak_streq(NULL, ""));
    assert_true(ak_has_prefix("abc", "ab"));
    assert_true(ak_has_prefix("abc", ""));
    assert_false(ak_has_prefix("a", "ab"));
    assert_false(ak_has_prefix(NULL, ""));
    assert_true(ak_has_suffix("abc", "bc"));
    assert_false(ak_has_suffix("c", "bc"));
    assert_false(ak_has_suffix(NULL, ""));
    assert_true(ak_is_empty(NULL));
    assert_true(ak_is_empty(""));
    assert_false(ak_is_empty(" "));
}

static void names_are_checked_like_the_apiserver_does(void **state)
{
    static const struct {
        const char *name;
        bool label, subdomain;
    } cases[] = {
        {"a", true, true},      {"a-1", true, true},    {"1", true, true},
        {"a.b", false, true},   {"", false, false},     {"-a", false, false},
        {"a-", false, false},   {"A", false, false},    {"a_b", false, false},
        {"a..b", false, false}, {".a", false, false},   {"a.", false, false},
        {"a.-b", false, false}, {"a-.b", false, false}, {"\xc3\xa9", false, false},
        {"a b", false, false},  {NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        assert_int_equal(ak_is_dns_label(cases[i].name), cases[i].label);
        assert_int_equal(ak_is_dns_subdomain(cases[i].name), cases[i].subdomain);
    }
}

static void names_have_a_longest_length(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'a', sizeof(name));
    name[63] = '\0';
    assert_true(ak_is_dns_label(name));
    name[63] = 'a';
    name[64] = '\0';
    assert_false(ak_is_dns_label(name));
    assert_true(ak_is_dns_subdomain(name));
    name[64] = 'a';
    name[253] = '\0';
    assert_true(ak_is_dns_subdomain(name));
    name[253] = 'a';
    name[254] = '\0';
    assert_false(ak_is_dns_subdomain(name));
}

static void the_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(ak_hash_bytes(AK_HASH_SEED, "", 0) == 0xcbf29ce484222325ULL);
    assert_true(ak_hash_bytes(AK_HASH_SEED, "a", 1) == 0xaf63dc4c8601ec8cULL);
    assert_true(ak_hash_bytes(AK_HASH_SEED, "foobar", 6) == 0x85944171f73967e8ULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicates_take_null),
        cmocka_unit_test(names_are_checked_like_the_apiserver_does),
        cmocka_unit_test(names_have_a_longest_length),
        cmocka_unit_test(the_hash_is_fnv_1a),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
