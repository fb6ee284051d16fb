/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void times_are_written_and_read_back(void **state)
{
    static const struct {
        ak_msec wall;
        const char *text, *micro;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
        {1795348800123, "2026-11-22T12:00:00Z", "2026-11-22T12:00:00.123000Z"},
        {951782400000, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"},
        {4107542400000, "2100-03-01T00:00:00Z", "2100-03-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999000Z"},
        {-62135596800000, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
        {253402300799999, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999000Z"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        char buf[AK_RFC3339_SIZE];
        ak_msec back = 0;

        assert_string_equal(ak_format_rfc3339(cases[i].wall, buf), cases[i].text);
        assert_string_equal(ak_format_rfc3339_micro(cases[i].wall, buf), cases[i].micro);
        assert_int_equal(ak_parse_rfc3339(buf, &back), 0);
        assert_int_equal(back, cases[i].wall);
    }
}

static void every_day_of_a_century_survives_the_round(void **state)
{
    (void)state;
    for (ak_msec day = 0; day < 36525; day++) {
        char buf[AK_RFC3339_SIZE];
        ak_msec back = 0;

        (void)ak_format_rfc3339(day * AK_HOURS(24) + 1000, buf);
        assert_int_equal(ak_parse_rfc3339(buf, &back), 0);
        assert_int_equal(back, day * AK_HOURS(24) + 1000);
    }
}

static void times_outside_of_four_digit_years_are_clamped(void **state)
{
    char buf[AK_RFC3339_SIZE];

    (void)state;
    assert_string_equal(ak_format_rfc3339(INT64_MAX, buf), "9999-12-31T23:59:59Z");
    assert_string_equal(ak_format_rfc3339(INT64_MIN, buf), "0001-01-01T00:00:00Z");
}

static void all_of_rfc_3339_is_read(void **state)
{
    static const struct {
        const char *text;
        ak_msec wall;
    } good[] = {
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T19:00:00-05:00", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:00.5Z", 500},
        {"1970-01-01T00:00:00.123456789Z", 123},
        {"1970-01-01T00:00:60Z", 60000},
    };
    static const char *const bad[] = {
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-1-01T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:61Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00Zx",
        "+970-01-01T00:00:00Z",
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(good); i++) {
        ak_msec wall = 1;

        assert_int_equal(ak_parse_rfc3339(good[i].text, &wall), 0);
        assert_int_equal(wall, good[i].wall);
    }
    for (size_t i = 0; i < AK_ARRAY_LEN(bad); i++) {
        ak_msec wall = 1;

        assert_int_equal(ak_parse_rfc3339(bad[i], &wall), -EINVAL);
        assert_int_equal(wall, 1);
    }
    assert_int_equal(ak_parse_rfc3339(NULL, &(ak_msec){0}), -EINVAL);
}

static void the_system_clock_runs(void **state)
{
    const struct ak_clock *clock = ak_clock_system();
    ak_msec before = ak_now();

    (void)state;
    assert_true(ak_clock_now(clock) >= before);
    assert_true(ak_clock_wall(clock) > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_and_read_back),
        cmocka_unit_test(every_day_of_a_century_survives_the_round),
        cmocka_unit_test(times_outside_of_four_digit_years_are_clamped),
        cmocka_unit_test(all_of_rfc_3339_is_read),
        cmocka_unit_test(the_system_clock_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
