/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/time.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MS_PER_DAY ((int64_t)86400000)
/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: what RFC 3339 can write. */
#define WALL_MIN (-62135596800000LL)
#define WALL_MAX 253402300799999LL

static ak_msec read_clock(clockid_t id)
{
    struct timespec ts = {.tv_sec = 0};

    (void)clock_gettime(id, &ts);
    return (ak_msec)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

ak_msec ak_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

ak_msec ak_wall_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

static ak_msec system_monotonic(void *user)
{
    (void)user;
    return ak_now();
}

static ak_msec system_wall(void *user)
{
    (void)user;
    return ak_wall_now();
}

const struct ak_clock *ak_clock_system(void)
{
    static const struct ak_clock clock = {.monotonic = system_monotonic, .wall = system_wall};

    return &clock;
}

/* ---- the proleptic Gregorian calendar, without the C library's locale and time zone state ---- */

struct civil {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

/* Years start in March here, so that the leap day is the last one; an era is 400 years. */
static int64_t days_from_civil(struct civil c)
{
    int64_t y = c.month <= 2 ? c.year - 1 : c.year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static struct civil civil_from_days(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct civil c = {
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .month = (int)(mp < 10 ? mp + 3 : mp - 9),
    };

    c.year = yoe + era * 400 + (c.month <= 2);
    return c;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

/* fraction: how many digits follow the second. */
static const char *format(ak_msec wall, bool fraction, char buf[static AK_RFC3339_SIZE])
{
    int64_t clamped = AK_MAX(WALL_MIN, AK_MIN(WALL_MAX, wall));
    int64_t days = clamped / MS_PER_DAY - (clamped % MS_PER_DAY < 0);
    unsigned ms = (unsigned)(clamped - days * MS_PER_DAY);
    struct civil c = civil_from_days(days);
    int n;

    n = snprintf(buf, AK_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)c.year % 10000,
                 (unsigned)c.month % 100, (unsigned)c.day % 100, ms / 3600000 % 24, ms / 60000 % 60,
                 ms / 1000 % 60);
    if (fraction)
        (void)snprintf(buf + n, AK_RFC3339_SIZE - (size_t)n, ".%03u000Z", ms % 1000);
    else
        (void)snprintf(buf + n, AK_RFC3339_SIZE - (size_t)n, "Z");
    return buf;
}

const char *ak_format_rfc3339(ak_msec wall, char buf[static AK_RFC3339_SIZE])
{
    return format(wall, false, buf);
}

const char *ak_format_rfc3339_micro(ak_msec wall, char buf[static AK_RFC3339_SIZE])
{
    return format(wall, true, buf);
}

/* Exactly `width` digits in [min, max]. Moves *s behind them. */
static bool take_number(const char **s, int width, int min, int max, int *ret)
{
    int value = 0;

    for (int i = 0; i < width; i++) {
        char c = (*s)[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *s += width;
    *ret = value;
    return value >= min && value <= max;
}

static bool take_char(const char **s, const char *any_of)
{
    if (!**s || !strchr(any_of, **s))
        return false;
    (*s)++;
    return true;
}

/* ".123456" in milliseconds; further digits are dropped. */
static bool take_fraction(const char **s, int *ret_ms)
{
    int weight = 100;

    *ret_ms = 0;
    if (!take_char(s, "."))
        return true;
    if (**s < '0' || **s > '9')
        return false;
    for (; **s >= '0' && **s <= '9'; (*s)++) {
        *ret_ms += (**s - '0') * weight;
        weight /= 10;
    }
    return true;
}

static bool take_offset(const char **s, int *ret_minutes)
{
    int hours, minutes;
    bool west;

    *ret_minutes = 0;
    if (take_char(s, "Zz"))
        return true;
    west = **s == '-';
    if (!take_char(s, "+-") || !take_number(s, 2, 0, 23, &hours) || !take_char(s, ":") ||
        !take_number(s, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

int ak_parse_rfc3339(const char *s, ak_msec *ret_wall)
{
    int year, month, day, hour, minute, second, ms, offset;
    int64_t days;

    if (!s)
        return -EINVAL;
    if (!take_number(&s, 4, 0, 9999, &year) || !take_char(&s, "-") ||
        !take_number(&s, 2, 1, 12, &month) || !take_char(&s, "-") ||
        !take_number(&s, 2, 1, days_in_month(year, month), &day) || !take_char(&s, "Tt"))
        return -EINVAL;
    /* 60 is a leap second: the same instant as the second after it. */
    if (!take_number(&s, 2, 0, 23, &hour) || !take_char(&s, ":") ||
        !take_number(&s, 2, 0, 59, &minute) || !take_char(&s, ":") ||
        !take_number(&s, 2, 0, 60, &second) || !take_fraction(&s, &ms) ||
        !take_offset(&s, &offset) || *s)
        return -EINVAL;
    days = days_from_civil((struct civil){.year = year, .month = month, .day = day});
    *ret_wall =
        days * MS_PER_DAY +
        ((int64_t)hour * 3600 + (int64_t)minute * 60 + second - (int64_t)offset * 60) * 1000 + ms;
    return 0;
}
