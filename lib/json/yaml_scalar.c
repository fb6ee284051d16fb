/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_scalar.h"

#include <ak/base/compiler.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longer text is no number that int64 or double could hold with any meaning. */
#define NUMBER_SIZE 128

static const struct {
    const char *text;
    enum ak__yaml_kind kind;
    bool boolean;
} words[] = {
    {"", AK__YAML_NULL, false},
    {"~", AK__YAML_NULL, false},
    {"null", AK__YAML_NULL, false},
    {"Null", AK__YAML_NULL, false},
    {"NULL", AK__YAML_NULL, false},
    {"y", AK__YAML_BOOL, true},
    {"Y", AK__YAML_BOOL, true},
    {"yes", AK__YAML_BOOL, true},
    {"Yes", AK__YAML_BOOL, true},
    {"YES", AK__YAML_BOOL, true},
    {"true", AK__YAML_BOOL, true},
    {"True", AK__YAML_BOOL, true},
    {"TRUE", AK__YAML_BOOL, true},
    {"on", AK__YAML_BOOL, true},
    {"On", AK__YAML_BOOL, true},
    {"ON", AK__YAML_BOOL, true},
    {"n", AK__YAML_BOOL, false},
    {"N", AK__YAML_BOOL, false},
    {"no", AK__YAML_BOOL, false},
    {"No", AK__YAML_BOOL, false},
    {"NO", AK__YAML_BOOL, false},
    {"false", AK__YAML_BOOL, false},
    {"False", AK__YAML_BOOL, false},
    {"FALSE", AK__YAML_BOOL, false},
    {"off", AK__YAML_BOOL, false},
    {"Off", AK__YAML_BOOL, false},
    {"OFF", AK__YAML_BOOL, false},
    {".nan", AK__YAML_NOT_FINITE, false},
    {".NaN", AK__YAML_NOT_FINITE, false},
    {".NAN", AK__YAML_NOT_FINITE, false},
    {".inf", AK__YAML_NOT_FINITE, false},
    {".Inf", AK__YAML_NOT_FINITE, false},
    {".INF", AK__YAML_NOT_FINITE, false},
    {"+.inf", AK__YAML_NOT_FINITE, false},
    {"+.Inf", AK__YAML_NOT_FINITE, false},
    {"+.INF", AK__YAML_NOT_FINITE, false},
    {"-.inf", AK__YAML_NOT_FINITE, false},
    {"-.Inf", AK__YAML_NOT_FINITE, false},
    {"-.INF", AK__YAML_NOT_FINITE, false},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *s)
{
    while (is_digit(*s))
        s++;
    return s;
}

static const char *skip_sign(const char *s)
{
    return *s == '-' || *s == '+' ? s + 1 : s;
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* 0x1f, 0o17, 017, 0b101, 42. Moves *s to the digits. */
static int take_base(const char **s)
{
    static const struct {
        char letter;
        int base;
    } bases[] = {{'x', 16}, {'X', 16}, {'o', 8}, {'O', 8}, {'b', 2}, {'B', 2}};

    if ((*s)[0] != '0' || !(*s)[1])
        return 10;
    for (size_t i = 0; i < AK_ARRAY_LEN(bases); i++)
        if ((*s)[1] == bases[i].letter) {
            *s += 2;
            return bases[i].base;
        }
    *s += 1;
    return 8;
}

enum int_result { NOT_INT, IS_INT, TOO_BIG };

static enum int_result parse_int(const char *s, struct ak__yaml_scalar *ret)
{
    bool negative = *s == '-', overflow = false;
    uint64_t value = 0;
    int base;

    s = skip_sign(s);
    base = take_base(&s);
    if (!*s)
        return NOT_INT;
    for (; *s; s++) {
        int digit = digit_value(*s);

        if (digit >= base)
            return NOT_INT;
        overflow |= __builtin_mul_overflow(value, (uint64_t)base, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)digit, &value);
    }
    if (overflow || value > (uint64_t)INT64_MAX + negative)
        return TOO_BIG;
    ret->kind = AK__YAML_INT;
    ret->integer = (int64_t)(negative ? 0 - value : value);
    return IS_INT;
}

/* [-+]? ( .digits | digits [.digits] ) ( [eE] [-+]? digits )? */
static bool is_float_syntax(const char *s)
{
    const char *whole, *end;

    s = skip_sign(s);
    whole = s;
    s = skip_digits(s);
    if (s == whole && (*s != '.' || !is_digit(s[1])))
        return false;
    if (*s == '.')
        s = skip_digits(s + 1);
    if (*s == 'e' || *s == 'E') {
        end = skip_digits(skip_sign(s + 1));
        if (!is_digit(end[-1]))
            return false;
        s = end;
    }
    return !*s;
}

/* A number without fraction is an integer in JSON, whatever YAML called it. */
static void set_real(double value, struct ak__yaml_scalar *ret)
{
    if (!isfinite(value)) {
        ret->kind = AK__YAML_NOT_FINITE;
    } else if (fabs(value) < 9007199254740992.0 && trunc(value) == value) {
        ret->kind = AK__YAML_INT;
        ret->integer = (int64_t)value;
    } else {
        ret->kind = AK__YAML_REAL;
        ret->real = value;
    }
}

static void resolve_number(const char *text, size_t len, struct ak__yaml_scalar *ret)
{
    char plain[NUMBER_SIZE];
    size_t n = 0;
    enum int_result r;

    if (len >= sizeof(plain) || memchr(text, '\0', len))
        return;
    /* Underscores may separate digits, except where a number starts with its dot. */
    for (size_t i = 0; i < len; i++)
        if (text[i] != '_' || text[0] == '.')
            plain[n++] = text[i];
    plain[n] = '\0';
    r = text[0] == '.' ? NOT_INT : parse_int(plain, ret);
    if (r == IS_INT)
        return;
    if (is_float_syntax(plain))
        set_real(strtod(plain, NULL), ret);
    else if (r == TOO_BIG) /* hexadecimal and the like: strtod would not read octal */
        ret->kind = AK__YAML_NOT_FINITE;
}

struct ak__yaml_scalar ak__yaml_resolve(const char *text, size_t len)
{
    struct ak__yaml_scalar scalar = {.kind = AK__YAML_TEXT};

    for (size_t i = 0; i < AK_ARRAY_LEN(words); i++)
        if (strlen(words[i].text) == len && memcmp(words[i].text, text, len) == 0) {
            scalar.kind = words[i].kind;
            scalar.boolean = words[i].boolean;
            return scalar;
        }
    if (is_digit(text[0]) || text[0] == '-' || text[0] == '+' || text[0] == '.')
        resolve_number(text, len, &scalar);
    return scalar;
}

/* YYYY-M-D...: a timestamp to other readers. */
static bool is_like_date(const char *s)
{
    const char *year = s, *month;

    s = skip_digits(s);
    if (s - year != 4 || *s != '-')
        return false;
    month = ++s;
    s = skip_digits(s);
    return s > month && *s == '-' && is_digit(s[1]);
}

/* 12:30:45, a number in base 60 to YAML 1.1. */
static bool is_like_base60(const char *s)
{
    s = skip_sign(s);
    if (!is_digit(*s))
        return false;
    s += strspn(s, "0123456789_");
    if (*s != ':')
        return false;
    s += strspn(s, "0123456789:");
    if (*s == '.')
        s += 1 + strspn(s + 1, "0123456789_");
    return !*s;
}

bool ak__yaml_needs_quotes(const char *text, size_t len)
{
    if (ak__yaml_resolve(text, len).kind != AK__YAML_TEXT)
        return true;
    /* "<<" as a key would merge */
    if (len == 2 && memcmp(text, "<<", 2) == 0)
        return true;
    return is_like_date(text) || is_like_base60(text);
}
