/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of text.h. */
#include <ak/base/text.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int ak_parse_u64(const char *s, uint64_t *ret)
{
    uint64_t value = 0;
    bool overflow = false;

    if (!s || !*s)
        return -EINVAL;
    for (; *s; s++) {
        if (!is_digit(*s))
            return -EINVAL;
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value);
    }
    if (overflow)
        return -ERANGE;
    *ret = value;
    return 0;
}

int ak_parse_i64(const char *s, int64_t *ret)
{
    bool negative = s && *s == '-';
    uint64_t value;
    int r;

    r = ak_parse_u64(negative ? s + 1 : s, &value);
    if (r < 0)
        return r;
    if (value > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret = (int64_t)(negative ? 0 - value : value);
    return 0;
}

int ak_parse_u16(const char *s, uint16_t *ret)
{
    uint64_t value;
    int r = ak_parse_u64(s, &value);

    if (r < 0)
        return r;
    if (value > UINT16_MAX)
        return -ERANGE;
    *ret = (uint16_t)value;
    return 0;
}

int ak_parse_bool(const char *s, bool *ret)
{
    if (!ak_streq(s, "true") && !ak_streq(s, "false"))
        return -EINVAL;
    *ret = s[0] == 't';
    return 0;
}

/*
 * A decimal number without sign: digits, a dot, digits; one digit at least. The value is
 * digits / 10^scale. Digits that do not fit are dropped from a fraction (and remembered, for rounding)
 * and are an overflow before the dot.
 */
struct decimal {
    unsigned __int128 digits;
    int scale;
    bool inexact;
    bool overflow;
};
#define DECIMAL_DIGITS_MAX ((unsigned __int128)100000000000000000ULL) /* 10^17 */
#define DECIMAL_SCALE_MAX 18 /* "0.000..." has no digits but must stop too */

static void add_digit(struct decimal *d, unsigned digit, bool in_fraction)
{
    if (d->digits < DECIMAL_DIGITS_MAX && d->scale < DECIMAL_SCALE_MAX) {
        d->digits = d->digits * 10 + digit;
        d->scale += in_fraction;
    } else if (in_fraction) {
        d->inexact |= digit != 0;
    } else {
        d->overflow = true;
    }
}

/* Behind the number, or NULL if s starts with none. */
static const char *parse_decimal(const char *s, struct decimal *ret)
{
    bool any = false, in_fraction = false;

    *ret = (struct decimal){.digits = 0};
    for (;; s++) {
        if (is_digit(*s)) {
            add_digit(ret, (unsigned)(*s - '0'), in_fraction);
            any = true;
        } else if (*s == '.' && !in_fraction) {
            in_fraction = true;
        } else {
            return any ? s : NULL;
        }
    }
}

static const char *skip_sign(const char *s, bool *ret_negative)
{
    *ret_negative = *s == '-';
    return *s == '-' || *s == '+' ? s + 1 : s;
}

/* ---- durations ---- */

static const struct {
    const char *name;
    int64_t ns;
} duration_units[] = {
    {"ns", 1},           {"us", 1000},      {"\xc2\xb5s", 1000}, /* U+00B5 micro sign */
    {"\xce\xbcs", 1000},                                         /* U+03BC Greek mu */
    {"ms", 1000000},     {"s", 1000000000}, {"m", 60 * 1000000000LL}, {"h", 3600 * 1000000000LL},
};

static const char *parse_unit(const char *s, int64_t *ret_ns)
{
    size_t len = strcspn(s, "0123456789.");

    for (size_t i = 0; i < AK_ARRAY_LEN(duration_units); i++)
        if (strlen(duration_units[i].name) == len && memcmp(duration_units[i].name, s, len) == 0) {
            *ret_ns = duration_units[i].ns;
            return s + len;
        }
    return NULL;
}

static unsigned __int128 power_of_ten(int n)
{
    unsigned __int128 value = 1;

    while (n-- > 0)
        value *= 10;
    return value;
}

int ak_parse_duration(const char *s, ak_msec *ret)
{
    unsigned __int128 total_ns = 0;
    bool negative, overflow = false;

    if (!s)
        return -EINVAL;
    s = skip_sign(s, &negative);
    if (!*s)
        return -EINVAL;
    if (s[0] == '0' && !s[1]) { /* only zero needs no unit */
        *ret = 0;
        return 0;
    }
    while (*s) {
        struct decimal number;
        int64_t unit;

        s = parse_decimal(s, &number);
        if (s)
            s = parse_unit(s, &unit);
        if (!s)
            return -EINVAL;
        /* 10^18 * 3.6 * 10^12 fits into 128 bits, and so does the sum below the limit. */
        total_ns += number.digits * (unsigned __int128)unit / power_of_ten(number.scale);
        overflow |= number.overflow || total_ns > INT64_MAX;
        if (overflow)
            total_ns = 0;
    }
    if (overflow)
        return -ERANGE;
    *ret = (int64_t)total_ns / 1000000 * (negative ? -1 : 1);
    return 0;
}

const char *ak_format_duration(ak_msec d, char buf[static 32])
{
    uint64_t ms = d < 0 ? 0 - (uint64_t)d : (uint64_t)d;
    unsigned seconds = (unsigned)(ms / 1000 % 60), rest = (unsigned)(ms % 1000);
    unsigned minutes = (unsigned)(ms / 60000 % 60);
    unsigned long long hours = ms / 3600000;
    int n = 0;

    if (ms < 1000) {
        (void)snprintf(buf, 32, ms ? "%s%ums" : "%s%us", d < 0 ? "-" : "", rest);
        return buf;
    }
    if (d < 0)
        buf[n++] = '-';
    if (hours)
        n += snprintf(buf + n, 32 - (size_t)n, "%lluh", hours);
    if (minutes)
        n += snprintf(buf + n, 32 - (size_t)n, "%um", minutes);
    if (rest) {
        n += snprintf(buf + n, 32 - (size_t)n, "%u.%03u", seconds, rest);
        while (buf[n - 1] == '0')
            n--;
        buf[n++] = 's';
    } else if (seconds) {
        n += snprintf(buf + n, 32 - (size_t)n, "%us", seconds);
    }
    buf[n] = '\0';
    return buf;
}

/* ---- quantities ---- */

static const struct {
    const char *suffix;
    int exponent; /* of ten */
    int shift;    /* of two */
} quantity_suffixes[] = {
    {"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"k", 3, 0},   {"M", 6, 0},
    {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
    {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};
#define EXPONENT_MAX 1000

static int parse_exponent(const char *s, int *ret)
{
    bool negative;
    uint64_t value;
    int r;

    s = skip_sign(s, &negative);
    r = ak_parse_u64(s, &value);
    if (r == -EINVAL)
        return r;
    if (r < 0 || value > EXPONENT_MAX)
        return -ERANGE;
    *ret = negative ? -(int)value : (int)value;
    return 0;
}

static int parse_suffix(const char *s, int *ret_exponent, int *ret_shift)
{
    *ret_shift = 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(quantity_suffixes); i++)
        if (strcmp(quantity_suffixes[i].suffix, s) == 0) {
            *ret_exponent = quantity_suffixes[i].exponent;
            *ret_shift = quantity_suffixes[i].shift;
            return 0;
        }
    if (s[0] != 'e' && s[0] != 'E')
        return -EINVAL;
    return parse_exponent(s + 1, ret_exponent);
}

/* digits * 2^shift * 10^exponent, rounded away from zero as Kubernetes does. */
static int scale_quantity(struct decimal d, int exponent, int shift, uint64_t *ret)
{
    unsigned __int128 value = d.digits << shift, divisor;

    exponent -= d.scale;
    for (; exponent > 0 && value; exponent--) {
        value *= 10;
        if (value > INT64_MAX)
            return -ERANGE;
    }
    if (exponent < -37) {
        value = value ? 1 : 0;
    } else if (exponent < 0) {
        divisor = power_of_ten(-exponent);
        value = value / divisor + (value % divisor != 0 || d.inexact);
    }
    if (value > INT64_MAX)
        return -ERANGE;
    *ret = (uint64_t)value;
    return 0;
}

int ak_parse_quantity(const char *s, int64_t *ret_milli)
{
    struct decimal number;
    int exponent, shift, r;
    uint64_t value;
    bool negative;

    if (!s)
        return -EINVAL;
    s = parse_decimal(skip_sign(s, &negative), &number);
    if (!s)
        return -EINVAL;
    r = parse_suffix(s, &exponent, &shift);
    if (r < 0)
        return r;
    if (number.overflow)
        return -ERANGE;
    r = scale_quantity(number, exponent + 3, shift, &value);
    if (r < 0)
        return r;
    *ret_milli = negative ? -(int64_t)value : (int64_t)value;
    return 0;
}
