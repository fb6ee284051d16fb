/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/stream_query.h"

#include <string.h>

#include <ak/base/text.h>

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* application/x-www-form-urlencoded. A NUL would cut a value short: it stays as it is written. */
static char *decode(struct ak_arena *arena, const char *text, size_t len)
{
    char *out = ak_arena_alloc(arena, len + 1), *to = out;

    for (size_t i = 0; out && i < len; i++) {
        int high = text[i] == '%' && len - i > 2 ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

        if (low >= 0 && (high || low)) {
            *to++ = (char)(high << 4 | low);
            i += 2;
        } else {
            *to++ = text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

static int set_parameter(struct ak_stream_query *self, const char *name, const char *value,
                         struct ak_error **reterr)
{
    int r = 0;

    if (ak_streq(name, "tty"))
        r = ak_parse_bool(value, &self->terminal);
    else if (ak_streq(name, "readOnly"))
        r = ak_parse_bool(value, &self->read_only);
    else if (ak_streq(name, "columns"))
        r = ak_parse_u16(value, &self->columns);
    else if (ak_streq(name, "rows"))
        r = ak_parse_u16(value, &self->rows);
    else if (ak_streq(name, "arg") && self->n_args == AK_STREAM_MAX_ARGS)
        r = AK_E_TOO_LARGE;
    else if (ak_streq(name, "arg"))
        self->args[self->n_args++] = value;
    return r < 0 ? ak_error_set(reterr, AK_E_INVALID, "%s: \"%s\" is not possible", name, value)
                 : 0;
}

int ak_stream_query_read(const char *query, struct ak_arena *arena, struct ak_stream_query *ret,
                         struct ak_error **reterr)
{
    struct ak_stream_query out = {0};
    int r = 0;

    for (const char *at = query; r >= 0 && *at;) {
        size_t len = strcspn(at, "&");
        const char *equals = memchr(at, '=', len);
        size_t name_len = equals ? (size_t)(equals - at) : len;
        char *name = decode(arena, at, name_len);
        char *value = equals ? decode(arena, equals + 1, len - name_len - 1) : decode(arena, "", 0);

        r = name && value ? set_parameter(&out, name, value, reterr) : ak_error_oom(reterr);
        at += len + (at[len] == '&');
    }
    if (r < 0)
        return r;
    *ret = out;
    return 0;
}
