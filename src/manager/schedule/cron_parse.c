/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/schedule/cron.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <string.h>

#define FIELD "spec.schedule.cron: "
#define MAX_DIGITS 4 /* no field has a larger number; more would be a typing error */

struct piece {
    const char *at;
    size_t len;
};

struct field {
    const char *name;
    int min;
    int max;
    const char *const *names; /* of min, min + 1, ...; NULL: none */
    const char *hint;
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, N_FIELDS };
static const struct field fields[N_FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL, ""},
    [HOUR] = {"hour", 0, 23, NULL, ""},
    [DAY] = {"day of month", 1, 31, NULL, ""},
    [MONTH] = {"month", 1, 12, month_names, " or jan-dec"},
    [WEEKDAY] = {"day of week", 0, 6, weekday_names, " (0 is Sunday) or sun-sat"},
};

static const struct {
    const char *name;
    const char *expression;
} macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

static bool is_number(struct piece p)
{
    if (p.len == 0 || p.len > MAX_DIGITS)
        return false;
    for (size_t i = 0; i < p.len; i++)
        if (p.at[i] < '0' || p.at[i] > '9')
            return false;
    return true;
}

static bool is_any(struct piece p)
{
    return p.len == 1 && (p.at[0] == '*' || p.at[0] == '?');
}

/*
 * Cuts what is before the first `mark` off the front of *rest. False, and all of it, if there is
 * none.
 */
static bool cut(struct piece *rest, char mark, struct piece *ret)
{
    const char *found = rest->len > 0 ? memchr(rest->at, mark, rest->len) : NULL;

    *ret = *rest;
    if (!found)
        return false;
    ret->len = (size_t)(found - rest->at);
    rest->at = found + 1;
    rest->len -= ret->len + 1;
    return true;
}

static int bad_value(const struct field *f, struct piece p, struct ak_error **reterr)
{
    return ak_error_set(reterr, -EINVAL, FIELD "%s \"%.*s\": must be %d-%d%s", f->name, (int)p.len,
                        p.at, f->min, f->max, f->hint);
}

static int bad_shape(const struct field *f, struct piece p, const char *why,
                     struct ak_error **reterr)
{
    return ak_error_set(reterr, -EINVAL, FIELD "%s \"%.*s\": %s", f->name, (int)p.len, p.at, why);
}

static char lower(char ch)
{
    return (char)(ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch);
}

static bool same_name(const char *name, struct piece p)
{
    if (strlen(name) != p.len)
        return false;
    for (size_t i = 0; i < p.len; i++)
        if (name[i] != lower(p.at[i]))
            return false;
    return true;
}

static int to_number(struct piece p)
{
    int n = 0;

    for (size_t i = 0; i < p.len; i++)
        n = n * 10 + (p.at[i] - '0');
    return n;
}

/* A number or a name within the field's range; `whole` is what the message shows. */
static int parse_value(const struct field *f, struct piece whole, struct piece p, int *ret,
                       struct ak_error **reterr)
{
    for (int i = 0; f->names && f->names[i]; i++)
        if (same_name(f->names[i], p)) {
            *ret = f->min + i;
            return 0;
        }
    if (!is_number(p) || to_number(p) < f->min || to_number(p) > f->max)
        return bad_value(f, whole, reterr);
    *ret = to_number(p);
    return 0;
}

static int parse_step(const struct field *f, struct piece whole, struct piece p, int *ret,
                      struct ak_error **reterr)
{
    if (!is_number(p) || to_number(p) == 0)
        return bad_shape(f, whole, "the step after \"/\" must be a number from 1 on", reterr);
    *ret = to_number(p);
    return 0;
}

/* One element of a list: * ? n n-m, each with an optional /step; n/step runs up to the maximum. */
static int parse_element(const struct field *f, struct piece whole, uint64_t *bits, bool *any,
                         struct ak_error **reterr)
{
    struct piece rest = whole, range, from, step_text;
    int low = f->min, high = f->max, step = 1, r = 0;
    bool has_step = cut(&rest, '/', &range);

    step_text = rest;
    rest = range;
    if (!is_any(range)) {
        bool has_end = cut(&rest, '-', &from);

        r = parse_value(f, whole, from, &low, reterr);
        if (r >= 0 && has_end)
            r = parse_value(f, whole, rest, &high, reterr);
        else if (!has_step)
            high = low;
    }
    if (r >= 0 && has_step)
        r = parse_step(f, whole, step_text, &step, reterr);
    if (r < 0)
        return r;
    if (low > high)
        return bad_shape(f, whole, "the range ends before it begins", reterr);
    for (int i = low; i <= high; i += step)
        *bits |= UINT64_C(1) << i;
    /* As in robfig/cron: a step makes it a restriction. */
    *any = *any || (is_any(range) && step == 1);
    return 0;
}

static int parse_field(const struct field *f, struct piece text, uint64_t *ret_bits, bool *ret_any,
                       struct ak_error **reterr)
{
    struct piece rest = text, element;
    uint64_t bits = 0;
    bool any = false, more = true;

    while (more) {
        int r = 0;

        more = cut(&rest, ',', &element);
        if (element.len == 0)
            return bad_shape(f, text, "an element of the list is empty", reterr);
        r = parse_element(f, element, &bits, &any, reterr);
        if (r < 0)
            return r;
    }
    *ret_bits = bits;
    *ret_any = any;
    return 0;
}

static size_t split(const char *text, struct piece *ret, size_t max)
{
    size_t n = 0;

    for (;;) {
        while (is_blank(*text))
            text++;
        if (!*text)
            return n;
        if (n < max)
            ret[n].at = text;
        while (*text && !is_blank(*text))
            text++;
        if (n < max)
            ret[n].len = (size_t)(text - ret[n].at);
        n++;
    }
}

static int parse_five(const char *text, struct ak_cron *ret, struct ak_error **reterr)
{
    struct piece pieces[N_FIELDS];
    struct ak_cron cron = {0};
    size_t n = split(text, pieces, N_FIELDS);
    uint64_t *const bits[N_FIELDS] = {&cron.minutes, &cron.hours, &cron.days, &cron.months,
                                      &cron.weekdays};
    bool any[N_FIELDS] = {false};

    if (n != N_FIELDS)
        return ak_error_set(reterr, -EINVAL,
                            FIELD "\"%s\" has %zu fields: must have 5 (minute, hour, day of month, "
                                  "month, day of week)",
                            text, n);
    for (int i = 0; i < N_FIELDS; i++) {
        int r = parse_field(&fields[i], pieces[i], bits[i], &any[i], reterr);

        if (r < 0)
            return r;
    }
    cron.any_day = any[DAY];
    cron.any_weekday = any[WEEKDAY];
    *ret = cron;
    return 0;
}

/* Only a day of month can be impossible, and only where no day of week may stand in for it. */
static bool can_fire(const struct ak_cron *cron)
{
    static const int longest[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (!cron->any_weekday && !cron->any_day)
        return true;
    for (int month = 1; month <= 12; month++)
        if (cron->months >> month & 1 && cron->days & ((UINT64_C(2) << longest[month]) - 1))
            return true;
    return false;
}

static int parse_every(const char *text, struct ak_cron *ret, struct ak_error **reterr)
{
    ak_msec span = 0;

    while (is_blank(*text))
        text++;
    if (ak_parse_duration(text, &span) < 0)
        return ak_error_set(reterr, -EINVAL,
                            FIELD "@every \"%s\": must be a duration such as \"1h30m\"", text);
    if (span < AK_SECONDS(1) || span > AK_HOURS(24 * 366))
        return ak_error_set(reterr, -EINVAL, FIELD "@every \"%s\": must be from 1s to 8784h", text);
    *ret = (struct ak_cron){.every_s = span / 1000};
    return 0;
}

static int parse_macro(const char *text, struct ak_cron *ret, struct ak_error **reterr)
{
    if (ak_has_prefix(text, "@every") && is_blank(text[strlen("@every")]))
        return parse_every(text + strlen("@every"), ret, reterr);
    for (size_t i = 0; i < AK_ARRAY_LEN(macros); i++)
        if (strcmp(text, macros[i].name) == 0)
            return parse_five(macros[i].expression, ret, reterr);
    return ak_error_set(reterr, -EINVAL,
                        FIELD "\"%s\": must be @hourly, @daily, @weekly, @monthly, @yearly or "
                              "\"@every DURATION\"",
                        text);
}

/* Without blanks around it; refuses what would not be printable in a message. */
static int copy_trimmed(const char *text, char ret[static AK_CRON_MAX_LEN + 1],
                        struct ak_error **reterr)
{
    size_t len = 0;

    while (is_blank(*text))
        text++;
    len = strnlen(text, AK_CRON_MAX_LEN + 1);
    if (len > AK_CRON_MAX_LEN)
        return ak_error_set(reterr, -EINVAL, FIELD "must have at most %d characters",
                            AK_CRON_MAX_LEN);
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    for (size_t i = 0; i < len; i++)
        if (!is_blank(text[i]) && (text[i] < ' ' || text[i] > '~'))
            return ak_error_set(reterr, -EINVAL, FIELD "must be plain ASCII text");
    memcpy(ret, text, len);
    ret[len] = '\0';
    return len > 0 ? 0 : ak_error_set(reterr, -EINVAL, FIELD "must not be empty");
}

int ak_cron_parse(const char *text, struct ak_cron *ret, struct ak_error **reterr)
{
    char trimmed[AK_CRON_MAX_LEN + 1];
    struct ak_cron cron = {0};
    int r = copy_trimmed(text, trimmed, reterr);

    if (r < 0)
        return r;
    if (ak_has_prefix(trimmed, "TZ=") || ak_has_prefix(trimmed, "CRON_TZ="))
        return ak_error_set(reterr, -EINVAL,
                            FIELD "must not begin with a time zone: use spec.schedule.timeZone");
    r = trimmed[0] == '@' ? parse_macro(trimmed, &cron, reterr)
                          : parse_five(trimmed, &cron, reterr);
    if (r < 0)
        return r;
    if (cron.every_s == 0 && !can_fire(&cron))
        return ak_error_set(reterr, -EINVAL,
                            FIELD "\"%s\" never fires: none of these months has such a day",
                            trimmed);
    *ret = cron;
    return 0;
}
