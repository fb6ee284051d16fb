/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next time: the zone gives stretches of constant offset, and within one of them local time is
 * plain calendar arithmetic. Gaps and repeated hours need no special case that way.
 */
#include "manager/schedule/cron.h"

#include "manager/schedule/civil.h"

/* 29 February comes after eight years at most; a zone may skip a date or two on top of that. */
#define HORIZON_S (40 * 366 * AK_DAY_SECONDS)
#define DAY_MINUTES 1440

static bool has(uint64_t bits, int i)
{
    return bits >> i & 1;
}

static bool day_matches(const struct ak_cron *self, const struct ak_civil *date)
{
    bool day = has(self->days, date->day);
    bool weekday = has(self->weekdays, date->weekday);

    if (self->any_day || self->any_weekday)
        return day && weekday;
    return day || weekday;
}

/* The first matching minute of a day, from `minute` on; -1: none is left. */
static int minute_in_day(const struct ak_cron *self, int minute)
{
    int hour = minute / 60;
    int in_hour = minute % 60;

    for (; hour < 24; hour++, in_hour = 0) {
        uint64_t left = self->minutes >> in_hour;

        if (has(self->hours, hour) && left)
            return hour * 60 + in_hour + __builtin_ctzll(left);
    }
    return -1;
}

/* The first matching local time in [from, until), both in seconds. False: there is none. */
static bool next_local(const struct ak_cron *self, int64_t from, int64_t until, int64_t *ret)
{
    int64_t day = ak_civil_day_of(from);
    int minute = (int)((from - day * AK_DAY_SECONDS + 59) / 60);

    while (day * AK_DAY_SECONDS < until) {
        struct ak_civil date;
        int found = -1;

        ak_civil_from_days(day, &date);
        if (!has(self->months, date.month)) {
            day += ak_civil_month_days(date.year, date.month) - date.day + 1;
            minute = 0;
            continue;
        }
        if (minute < DAY_MINUTES && day_matches(self, &date))
            found = minute_in_day(self, minute);
        if (found >= 0) {
            *ret = day * AK_DAY_SECONDS + (int64_t)found * 60;
            return *ret < until;
        }
        day++;
        minute = 0;
    }
    return false;
}

static int next_every(int64_t every_ms, ak_msec after, ak_msec anchor, ak_msec *ret)
{
    ak_msec gone = AK_MAX(after - anchor, 0);

    *ret = anchor + (gone / every_ms + 1) * every_ms;
    return 0;
}

int ak_cron_next(const struct ak_cron *self, const struct ak_zone *zone, ak_msec after,
                 ak_msec anchor, ak_msec *ret, struct ak_error **reterr)
{
    int64_t from = 0, end = 0;

    if (after < AK_CRON_MIN_WALL || after > AK_CRON_MAX_WALL || anchor < AK_CRON_MIN_WALL ||
        anchor > AK_CRON_MAX_WALL)
        return ak_error_set(reterr, -ERANGE, "spec.schedule.cron: the clock is out of range");
    if (self->every_s > 0)
        return next_every(AK_SECONDS(self->every_s), after, anchor, ret);

    from = (after - AK_CRON_MIN_WALL) / 1000 + AK_CRON_MIN_WALL / 1000 + 1;
    end = from + HORIZON_S;
    while (from < end) {
        struct ak_zone_span span;
        int64_t until = 0, local = 0;

        ak_zone_at(zone, from, &span);
        until = AK_MIN(span.until, end);
        if (next_local(self, from + span.offset, until + span.offset, &local)) {
            *ret = AK_SECONDS(local - span.offset);
            return 0;
        }
        from = until;
    }
    return ak_error_set(reterr, -ERANGE,
                        "spec.schedule.cron: does not fire within the next 40 years");
}

/* Halves the span in which the last one must be: `last` fires, and nothing after `end` does. */
int ak_cron_last(const struct ak_cron *self, const struct ak_zone *zone, ak_msec after,
                 ak_msec until, ak_msec anchor, ak_msec *ret, struct ak_error **reterr)
{
    ak_msec last = 0, end = until;
    int r = ak_cron_next(self, zone, after, anchor, &last, reterr);

    if (r < 0)
        return r;
    if (last > until) {
        *ret = 0;
        return 0;
    }
    while (last < end) {
        ak_msec middle = last + (end - last) / 2, next = 0;

        r = ak_cron_next(self, zone, middle, anchor, &next, reterr);
        if (r < 0)
            return r;
        if (next <= end)
            last = next;
        else
            end = middle;
    }
    *ret = last;
    return 0;
}
