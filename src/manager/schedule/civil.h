/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days and dates of the proleptic Gregorian calendar. No zones, no libc: gmtime and its kin are
 * bound to the process's own time zone and to the size of its types. Thread: any.
 */
#ifndef AK_SCHEDULE_CIVIL_H
#define AK_SCHEDULE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#define AK_DAY_SECONDS INT64_C(86400)

struct ak_civil {
    int64_t year;
    int month;   /* 1-12 */
    int day;     /* 1-31 */
    int weekday; /* 0 is Sunday */
};

/* Days since 1970-01-01, negative before it. */
int64_t ak_civil_to_days(int64_t year, int month, int day);
void ak_civil_from_days(int64_t days, struct ak_civil *ret);
bool ak_civil_is_leap(int64_t year);
int ak_civil_month_days(int64_t year, int month);
/* Rounds towards the past, also before 1970. */
int64_t ak_civil_day_of(int64_t seconds);

#endif
