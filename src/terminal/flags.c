/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/flags.h"

#include <stddef.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/base/time.h>

static bool takes_no_value(const struct ak_flag *flag)
{
    return flag->type == AK_FLAG_BOOL || flag->type == AK_FLAG_SWITCH || flag->type == AK_FLAG_OFF;
}

static int set_bool(const struct ak_flag *flag, const char *value, bool *target,
                    struct ak_error **reterr)
{
    if (ak_parse_bool(value ? value : "true", target) < 0)
        return ak_error_set(reterr, -EINVAL, "--%s: \"%s\" must be true or false", flag->name,
                            value);
    return 0;
}

static int set_list(const struct ak_flag *flag, const char *value, struct ak_flag_list *list,
                    struct ak_error **reterr)
{
    if (list->len == AK_FLAG_LIST_MAX)
        return ak_error_set(reterr, -EINVAL, "--%s: given more than %d times", flag->name,
                            AK_FLAG_LIST_MAX);
    list->items[list->len++] = value;
    return 0;
}

static int set_number(const struct ak_flag *flag, const char *value, void *target,
                      struct ak_error **reterr)
{
    int64_t *number = target; /* ak_msec is one too */

    if (flag->type == AK_FLAG_PERIOD) {
        if (ak_parse_duration(value, number) < 0 || *number <= 0)
            return ak_error_set(reterr, -EINVAL, "--%s: \"%s\" must be a duration such as 5m",
                                flag->name, value);
        return 0;
    }
    if (ak_parse_i64(value, number) < 0 || *number < 0)
        return ak_error_set(reterr, -EINVAL, "--%s: \"%s\" must be a number, 0 or more", flag->name,
                            value);
    return 0;
}

static int set_choice(const struct ak_flag *flag, const char *value, int *target,
                      struct ak_error **reterr)
{
    for (int i = 0; flag->choices[i]; i++)
        if (ak_streq(flag->choices[i], value)) {
            *target = i;
            return 0;
        }
    return ak_error_set(reterr, -EINVAL, "--%s: \"%s\" must be one of %s", flag->name, value,
                        flag->value);
}

static int set_flag(const struct ak_flag *flag, const char *value, void *self,
                    struct ak_error **reterr)
{
    void *target = (char *)self + flag->offset;
    bool on = false;

    switch (flag->type) {
    case AK_FLAG_TEXT:
        *(const char **)target = value;
        return 0;
    case AK_FLAG_BOOL:
        return set_bool(flag, value, target, reterr);
    case AK_FLAG_SWITCH:
        *(const char **)target = value ? value : "true";
        return set_bool(flag, value, &on, reterr);
    case AK_FLAG_OFF:
        if (value)
            return ak_error_set(reterr, -EINVAL, "--%s: takes no value", flag->name);
        *(bool *)target = false;
        return 0;
    case AK_FLAG_LIST:
        return set_list(flag, value, target, reterr);
    case AK_FLAG_PERIOD:
    case AK_FLAG_COUNT:
        return set_number(flag, value, target, reterr);
    case AK_FLAG_CHOICE:
        return set_choice(flag, value, target, reterr);
    }
    return -EINVAL;
}

/* The flag that is valid here, else one of that name that is not, else NULL. */
static const struct ak_flag *find_name(const struct ak_flags *self, const char *name, size_t len)
{
    const struct ak_flag *elsewhere = NULL;

    for (size_t i = 0; i < self->len; i++) {
        const struct ak_flag *flag = &self->items[i];
        if (strlen(flag->name) != len || strncmp(flag->name, name, len) != 0)
            continue;
        if (flag->where & self->where)
            return flag;
        elsewhere = flag;
    }
    return elsewhere;
}

static const struct ak_flag *find_letter(const struct ak_flags *self, char letter)
{
    for (size_t i = 0; i < self->len; i++)
        if (self->items[i].letter == letter && self->items[i].where & self->where)
            return &self->items[i];
    return NULL;
}

static int take_value(const struct ak_flag *flag, int argc, const char *const *argv, int *at,
                      void *target, struct ak_error **reterr)
{
    if (*at + 1 >= argc)
        return ak_error_set(reterr, -EINVAL, "--%s: needs a value", flag->name);
    return set_flag(flag, argv[++*at], target, reterr);
}

static int take_letters(const struct ak_flags *self, int argc, const char *const *argv, int *at,
                        void *target, struct ak_error **reterr)
{
    const char *arg = argv[*at];

    for (const char *p = arg + 1; *p; p++) {
        const struct ak_flag *flag = find_letter(self, *p);
        if (!flag && p == arg + 1) /* "-name": a long one with a dash too few */
            return ak_error_set(reterr, -EINVAL, "unknown flag \"%s\"", arg);
        if (!flag)
            return ak_error_set(reterr, -EINVAL, "unknown flag \"-%c\" in \"%s\"", *p, arg);
        const char *rest = p[1] == '=' ? p + 2 : p + 1;
        if (!takes_no_value(flag))
            return p[1] ? set_flag(flag, rest, target, reterr)
                        : take_value(flag, argc, argv, at, target, reterr);
        if (p[1] == '=')
            return set_flag(flag, rest, target, reterr);
        int r = set_flag(flag, NULL, target, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

int ak_flags_take(const struct ak_flags *self, int argc, const char *const *argv, int *at,
                  void *target, struct ak_error **reterr)
{
    const char *arg = argv[*at];

    if (arg[0] != '-' || !arg[1])
        return ak_error_set(reterr, -EINVAL, "unexpected argument \"%s\"", arg);
    if (arg[1] != '-')
        return take_letters(self, argc, argv, at, target, reterr);
    const char *name = arg + 2;
    size_t len = strcspn(name, "=");
    const struct ak_flag *flag = find_name(self, name, len);
    if (!flag)
        return ak_error_set(reterr, -EINVAL, "unknown flag \"%.*s\"", (int)len + 2, arg);
    if (!(flag->where & self->where))
        return ak_error_set(reterr, -EINVAL, "%s has no flag --%s", self->who, flag->name);
    if (name[len] == '=')
        return set_flag(flag, name + len + 1, target, reterr);
    if (takes_no_value(flag))
        return set_flag(flag, NULL, target, reterr);
    return take_value(flag, argc, argv, at, target, reterr);
}

int ak_flags_help(const struct ak_flags *self, const char *title, struct ak_buf *out)
{
    bool first = true;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < self->len; i++) {
        const struct ak_flag *flag = &self->items[i];
        if (!(flag->where & self->where))
            continue;
        if (first)
            r = ak_buf_addf(out, "\n%s:\n", title);
        if (r >= 0 && flag->letter)
            r = ak_buf_addf(out, "  -%c, --%s", flag->letter, flag->name);
        else if (r >= 0)
            r = ak_buf_addf(out, "  --%s", flag->name);
        if (r >= 0)
            r = ak_buf_addf(out, "%s%s\n        %s\n", flag->value ? "=" : "",
                            flag->value ? flag->value : "", flag->help);
        first = false;
    }
    return r;
}

const char *ak_flags_variable(const char *const *environ_, const char *name)
{
    size_t len = strlen(name);

    for (; environ_ && *environ_; environ_++)
        if (strncmp(*environ_, name, len) == 0 && (*environ_)[len] == '=' && (*environ_)[len + 1])
            return *environ_ + len + 1;
    return NULL;
}
