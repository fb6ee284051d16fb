/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/schedule/civil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void known_dates_have_known_day_numbers(void **state)
{
    static const struct {
        int64_t year;
        int month, day, weekday;
        int64_t days;
    } cases[] = {
        {1970, 1, 1, 4, 0},         {1969, 12, 31, 3, -1},   {2000, 2, 29, 2, 11016},
        {2024, 2, 29, 4, 19782},    {1900, 3, 1, 4, -25508}, {1, 1, 1, 1, -719162},
        {9999, 12, 31, 5, 2932896}, {2100, 3, 1, 1, 47541},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ak_civil date;

        assert_int_equal(ak_civil_to_days(cases[i].year, cases[i].month, cases[i].day),
                         cases[i].days);
        ak_civil_from_days(cases[i].days, &date);
        assert_int_equal(date.year, cases[i].year);
        assert_int_equal(date.month, cases[i].month);
        assert_int_equal(date.day, cases[i].day);
        assert_int_equal(date.weekday, cases[i].weekday);
    }
}

static void each_day_of_eight_centuries_follows_the_one_before(void **state)
{
    struct ak_civil date = {.year = 1599, .month = 12, .day = 31, .weekday = 5};
    int64_t first = ak_civil_to_days(1600, 1, 1);

    (void)state;
    for (int64_t days = first; days < first + 2 * 146097; days++) {
        struct ak_civil next;

        ak_civil_from_days(days, &next);
        assert_int_equal(ak_civil_to_days(next.year, next.month, next.day), days);
        assert_int_equal(next.weekday, (date.weekday + 1) % 7);
        if (next.day == 1)
            assert_int_equal(date.day, ak_civil_month_days(date.year, date.month));
        else
            assert_int_equal(next.day, date.day + 1);
        date = next;
    }
}

static void a_second_before_midnight_is_the_day_before_also_before_1970(void **state)
{
    (void)state;
    assert_int_equal(ak_civil_day_of(0), 0);
    assert_int_equal(ak_civil_day_of(86399), 0);
    assert_int_equal(ak_civil_day_of(86400), 1);
    assert_int_equal(ak_civil_day_of(-1), -1);
    assert_int_equal(ak_civil_day_of(-86400), -1);
    assert_int_equal(ak_civil_day_of(-86401), -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_dates_have_known_day_numbers),
        cmocka_unit_test(each_day_of_eight_centuries_follows_the_one_before),
        cmocka_unit_test(a_second_before_midnight_is_the_day_before_also_before_1970),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
