/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/schedule/civil.h"

/*
 * 400 years repeat, weekdays included; the count starts on 1 March, so that a leap day ends a year.
 */
#define ERA_YEARS 400
#define ERA_DAYS 146097
#define DAYS_TO_1970 719468 /* from 0000-03-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t ak_civil_day_of(int64_t seconds)
{
    return floor_div(seconds, AK_DAY_SECONDS);
}

int64_t ak_civil_to_days(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, ERA_YEARS);
    int64_t year_of_era = y - era * ERA_YEARS;
    int64_t months = month > 2 ? month - 3 : month + 9;
    /* 153 days in each five months from March on: 31 30 31 30 31. */
    int64_t day_of_year = (153 * months + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * ERA_DAYS + day_of_era - DAYS_TO_1970;
}

void ak_civil_from_days(int64_t days, struct ak_civil *ret)
{
    int64_t z = days + DAYS_TO_1970;
    int64_t era = floor_div(z, ERA_DAYS);
    int64_t doe = z - era * ERA_DAYS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t months = (5 * doy + 2) / 153;

    ret->day = (int)(doy - (153 * months + 2) / 5 + 1);
    ret->month = (int)(months < 10 ? months + 3 : months - 9);
    ret->year = yoe + era * ERA_YEARS + (ret->month <= 2);
    ret->weekday = (int)(days + 4 - floor_div(days + 4, 7) * 7); /* 1970-01-01 was a Thursday */
}

bool ak_civil_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int ak_civil_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && ak_civil_is_leap(year));
}
