/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX TZ rules as RFC 8536 allows them in a footer: "CET-1CEST,M3.5.0,M10.5.0/3". */
#include "manager/schedule/civil.h"
#include "manager/schedule/zone_internal.h"

#define MAX_OFFSET_HOURS 24
#define MAX_CHANGE_HOURS 167 /* RFC 8536, 3.3.1: a week in both directions */
#define DEFAULT_CHANGE_TIME (2 * 3600)

struct cursor {
    const char *at;
    const char *end;
};

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool is_alpha(char ch)
{
    return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z');
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* "CET" or "<+0330>": only its extent matters here. */
static bool take_name(struct cursor *c)
{
    const char *from = c->at;

    if (take(c, '<')) {
        while (c->at < c->end && *c->at != '>')
            c->at++;
        return take(c, '>');
    }
    while (c->at < c->end && is_alpha(*c->at))
        c->at++;
    return c->at - from >= 3;
}

static bool take_number(struct cursor *c, int min, int max, int *ret)
{
    const char *from = c->at;
    int n = 0;

    while (c->at < c->end && is_digit(*c->at) && c->at - from < 3)
        n = n * 10 + (*c->at++ - '0');
    if (c->at == from || n < min || n > max)
        return false;
    *ret = n;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct cursor *c, int max_hours, int64_t *ret)
{
    int hours = 0, minutes = 0, seconds = 0;
    bool negative = take(c, '-');

    if (!negative)
        (void)take(c, '+');
    if (!take_number(c, 0, max_hours, &hours))
        return false;
    if (take(c, ':') && !take_number(c, 0, 59, &minutes))
        return false;
    if (take(c, ':') && !take_number(c, 0, 59, &seconds))
        return false;
    *ret = (int64_t)hours * 3600 + minutes * 60 + seconds;
    if (negative)
        *ret = -*ret;
    return true;
}

static bool take_day(struct cursor *c, struct ak__zone_change *ret)
{
    if (take(c, 'M')) {
        ret->kind = AK__ZONE_DAY_WEEKDAY;
        return take_number(c, 1, 12, &ret->month) && take(c, '.') &&
               take_number(c, 1, 5, &ret->week) && take(c, '.') && take_number(c, 0, 6, &ret->day);
    }
    if (take(c, 'J')) {
        ret->kind = AK__ZONE_DAY_JULIAN;
        return take_number(c, 1, 365, &ret->day);
    }
    ret->kind = AK__ZONE_DAY_OF_YEAR;
    return take_number(c, 0, 365, &ret->day);
}

static bool take_change(struct cursor *c, struct ak__zone_change *ret)
{
    ret->time = DEFAULT_CHANGE_TIME;
    return take(c, ',') && take_day(c, ret) &&
           (!take(c, '/') || take_time(c, MAX_CHANGE_HOURS, &ret->time));
}

static bool take_rule(struct cursor *c, struct ak__zone_rule *ret)
{
    int64_t west = 0;

    if (!take_name(c) || !take_time(c, MAX_OFFSET_HOURS, &west))
        return false;
    ret->present = true;
    ret->std_offset = -west;
    if (c->at == c->end)
        return true;

    if (!take_name(c))
        return false;
    ret->has_dst = true;
    ret->dst_offset = ret->std_offset + 3600;
    if (c->at < c->end && *c->at != ',') {
        if (!take_time(c, MAX_OFFSET_HOURS, &west))
            return false;
        ret->dst_offset = -west;
    }
    /* Without dates POSIX leaves them to the system: no file that means anything says so. */
    return take_change(c, &ret->start) && take_change(c, &ret->end) && c->at == c->end;
}

int ak__zone_rule_parse(const char *text, size_t len, struct ak__zone_rule *ret,
                        struct ak_error **reterr)
{
    struct ak__zone_rule rule = {0};
    struct cursor c = {.at = text, .end = text + len};

    if (len > 0 && !take_rule(&c, &rule))
        return ak_error_set(reterr, -EINVAL, "the footer of the time zone file is not a TZ rule");
    *ret = rule;
    return 0;
}

/* Days since 1970 of a change in a year. */
static int64_t change_day(const struct ak__zone_change *change, int64_t year)
{
    int64_t first = 0;
    struct ak_civil civil;
    int day = 0;

    switch (change->kind) {
    case AK__ZONE_DAY_JULIAN:
        first = ak_civil_to_days(year, 1, 1);
        return first + change->day - 1 + (ak_civil_is_leap(year) && change->day >= 60);
    case AK__ZONE_DAY_OF_YEAR:
        return ak_civil_to_days(year, 1, 1) + change->day;
    case AK__ZONE_DAY_WEEKDAY:
        break;
    }
    first = ak_civil_to_days(year, change->month, 1);
    ak_civil_from_days(first, &civil);
    day = (change->day - civil.weekday + 7) % 7 + (change->week - 1) * 7;
    if (day >= ak_civil_month_days(year, change->month))
        day -= 7;
    return first + day;
}

static int64_t change_at(const struct ak__zone_change *change, int64_t year, int64_t offset_before)
{
    return change_day(change, year) * AK_DAY_SECONDS + change->time - offset_before;
}

/*
 * Looks at the changes of two years in both directions, because a change may lie up to a week
 * outside of its own year. Of two changes at one moment (DST all year is written so) the start
 * wins.
 */
void ak__zone_rule_at(const struct ak__zone_rule *self, int64_t unix_s, struct ak_zone_span *ret)
{
    struct ak_civil today;
    int64_t latest = INT64_MIN, next = INT64_MAX;

    ret->offset = self->std_offset;
    ret->until = INT64_MAX;
    if (!self->has_dst)
        return;
    ak_civil_from_days(ak_civil_day_of(unix_s + self->std_offset), &today);
    for (int64_t year = today.year - 2; year <= today.year + 2; year++) {
        int64_t start = change_at(&self->start, year, self->std_offset);
        int64_t end = change_at(&self->end, year, self->dst_offset);

        if (end <= unix_s && end > latest) {
            latest = end;
            ret->offset = self->std_offset;
        }
        if (start <= unix_s && start >= latest) {
            latest = start;
            ret->offset = self->dst_offset;
        }
        if (start > unix_s)
            next = AK_MIN(next, start);
        if (end > unix_s)
            next = AK_MIN(next, end);
    }
    ret->until = next;
}
