/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/error.h>
#include <ak/base/text.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void integers_are_taken_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        int code;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"007", 0, 7},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"--1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1a", -EINVAL, 0},
        {"99999999999999999999999x", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {NULL, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        int64_t value = 0;

        assert_int_equal(ak_parse_i64(cases[i].text, &value), cases[i].code);
        assert_int_equal(value, cases[i].value);
    }
}

static void unsigned_numbers_have_no_sign(void **state)
{
    uint64_t value = 0;
    uint16_t port = 0;
    bool flag = false;

    (void)state;
    assert_int_equal(ak_parse_u64("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(ak_parse_u64("18446744073709551616", &value), -ERANGE);
    assert_int_equal(ak_parse_u64("-1", &value), -EINVAL);
    assert_int_equal(ak_parse_u16("65535", &port), 0);
    assert_int_equal(port, 65535);
    assert_int_equal(ak_parse_u16("65536", &port), -ERANGE);
    assert_int_equal(ak_parse_bool("true", &flag), 0);
    assert_true(flag);
    assert_int_equal(ak_parse_bool("True", &flag), -EINVAL);
    assert_int_equal(ak_parse_bool(NULL, &flag), -EINVAL);
}

static void durations_are_read_like_in_go(void **state)
{
    static const struct {
        const char *text;
        int code;
        ak_msec value;
    } cases[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"300ms", 0, 300},
        {"1h30m", 0, 5400000},
        {"15m", 0, 900000},
        {"-1.5s", 0, -1500},
        {"+5s", 0, 5000},
        {"1.5h", 0, 5400000},
        {".5s", 0, 500},
        {"1.s", 0, 1000},
        {"1h1m1s1ms1us1ns", 0, 3661001},
        {"999us", 0, 0},
        {"1500\xc2\xb5s", 0, 1},
        {"2000\xce\xbcs", 0, 2},
        {"0.000000000000000000000000001s", 0, 0},
        {"0.3333333333333333333333s", 0, 333},
        {"2562047h", 0, 9223369200000},
        {"2562048h", -ERANGE, 0},
        {"99999999999999999999999s", -ERANGE, 0},
        {"2562047h2562047h", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"5", -EINVAL, 0},
        {"1", -EINVAL, 0},
        {"s", -EINVAL, 0},
        {".s", -EINVAL, 0},
        {"1..5s", -EINVAL, 0},
        {"1d", -EINVAL, 0},
        {"1h ", -EINVAL, 0},
        {"1h-1m", -EINVAL, 0},
        {"99999999999999999999999q", -EINVAL, 0},
        {NULL, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        ak_msec value = 0;

        assert_int_equal(ak_parse_duration(cases[i].text, &value), cases[i].code);
        assert_int_equal(value, cases[i].value);
    }
}

static void durations_are_written_short(void **state)
{
    static const struct {
        ak_msec value;
        const char *text;
    } cases[] = {
        {0, "0s"},       {1, "1ms"},        {-999, "-999ms"},      {1000, "1s"},
        {1500, "1.5s"},  {60000, "1m"},     {90000, "1m30s"},      {900000, "15m"},
        {3600000, "1h"}, {3601000, "1h1s"}, {3660500, "1h1m0.5s"}, {-5400000, "-1h30m"},
        {1010, "1.01s"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        ak_msec back = 0;
        char buf[32];

        assert_string_equal(ak_format_duration(cases[i].value, buf), cases[i].text);
        assert_int_equal(ak_parse_duration(buf, &back), 0);
        assert_int_equal(back, cases[i].value);
    }
}

static void the_largest_durations_fit_the_text(void **state)
{
    char buf[32];

    (void)state;
    assert_string_equal(ak_format_duration(INT64_MIN, buf), "-2562047788015h12m55.808s");
    assert_string_equal(ak_format_duration(INT64_MAX, buf), "2562047788015h12m55.807s");
}

static void quantities_are_read_like_in_kubernetes(void **state)
{
    static const struct {
        const char *text;
        int code;
        int64_t milli;
    } cases[] = {
        {"0", 0, 0},
        {"1", 0, 1000},
        {"100m", 0, 100},
        {"0.1", 0, 100},
        {".5", 0, 500},
        {"1.", 0, 1000},
        {"-1.5", 0, -1500},
        {"+2", 0, 2000},
        {"1k", 0, 1000000},
        {"1M", 0, 1000000000},
        {"1Ki", 0, 1024000},
        {"1Gi", 0, (1LL << 30) * 1000},
        {"1.5Gi", 0, (3LL << 29) * 1000},
        {"4Pi", 0, (4LL << 50) * 1000},
        {"9Pi", -ERANGE, 0},
        {"1E", -ERANGE, 0},
        {"0.001E", 0, 1000000000000000000},
        {"1e3", 0, 1000000},
        {"1E3", 0, 1000000},
        {"12e-3", 0, 12},
        {"1n", 0, 1}, /* what is less than a thousandth is rounded away from zero */
        {"-1n", 0, -1},
        {"1500u", 0, 2},
        {"1e-999", 0, 1},
        {"0e999", 0, 0},
        {"1e999", -ERANGE, 0},
        {"1e9999999999", -ERANGE, 0},
        {"99999999999999999999", -ERANGE, 0},
        {"0.0000000000000000000000000000000000001", 0, 1},
        {"", -EINVAL, 0},
        {"m", -EINVAL, 0},
        {".", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"1 Gi", -EINVAL, 0},
        {"1gi", -EINVAL, 0},
        {"1K", -EINVAL, 0},
        {"1e", -EINVAL, 0},
        {"1ei", -EINVAL, 0},
        {"1.2.3", -EINVAL, 0},
        {"1Gi2", -EINVAL, 0},
        {NULL, -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        int64_t milli = 0;

        if (ak_parse_quantity(cases[i].text, &milli) != cases[i].code || milli != cases[i].milli)
            fail_msg("\"%s\" gives %lld", cases[i].text ? cases[i].text : "NULL", (long long)milli);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_taken_whole_or_not_at_all),
        cmocka_unit_test(unsigned_numbers_have_no_sign),
        cmocka_unit_test(durations_are_read_like_in_go),
        cmocka_unit_test(durations_are_written_short),
        cmocka_unit_test(the_largest_durations_fit_the_text),
        cmocka_unit_test(quantities_are_read_like_in_kubernetes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
