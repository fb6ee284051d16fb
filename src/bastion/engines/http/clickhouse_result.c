/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/clickhouse_result.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define MAX_COLUMNS 4096

struct span {
    const char *data;
    size_t len;
};

/* Cuts the next part off up to `end`; false: nothing is left. */
static bool next(struct span *rest, char end, struct span *ret)
{
    const char *at;

    if (!rest->data)
        return false;
    at = memchr(rest->data, end, rest->len);
    *ret = (struct span){rest->data, at ? (size_t)(at - rest->data) : rest->len};
    if (at)
        *rest = (struct span){at + 1, rest->len - ret->len - 1};
    else
        *rest = (struct span){NULL, 0};
    return true;
}

static char unescaped(char c)
{
    static const char from[] = "bfnrt0", to[] = "\b\f\n\r\t";
    const char *at = c ? strchr(from, c) : NULL;

    return at ? to[at - from] : c;
}

/* The field without its escapes; the caller ak_free()s it. */
static char *field_text(struct span f, size_t *ret_len)
{
    char *out = ak_malloc(f.len + 1);
    size_t n = 0;

    for (size_t i = 0; out && i < f.len; i++)
        out[n++] = f.data[i] == '\\' && i + 1 < f.len ? unescaped(f.data[++i]) : f.data[i];
    if (out)
        out[n] = '\0';
    *ret_len = n;
    return out;
}

static bool is_numeric(const char *type)
{
    static const char *const wrappers[] = {"Nullable(", "LowCardinality("};

    for (size_t i = 0; i < 2 * AK_ARRAY_LEN(wrappers); i++) {
        const char *w = wrappers[i % AK_ARRAY_LEN(wrappers)];

        if (ak_has_prefix(type, w))
            type += strlen(w);
    }
    return ak_has_prefix(type, "Int") || ak_has_prefix(type, "UInt") ||
           ak_has_prefix(type, "Float");
}

static json_t *field_value(struct span f, const char *type)
{
    AK_AUTO_TEXT char *text = NULL;
    json_t *value;
    size_t len;

    if (f.len == 2 && memcmp(f.data, "\\N", 2) == 0)
        return json_null();
    text = field_text(f, &len);
    if (!text)
        return NULL;
    if (ak_has_prefix(type, "Interval"))
        return json_string(text);
    if (is_numeric(type))
        return ak_rows_number(text);
    if (ak_streq(type, "Bool"))
        return json_boolean(ak_streq(text, "true"));
    value = json_stringn(text, len);
    return value ? value : json_string("(not UTF-8)");
}

static int read_columns(struct span names, struct span types, struct ak_rows *rows,
                        struct ak_error **reterr)
{
    struct span name, type;
    size_t n = 0;
    int r = 0;

    while (r >= 0 && next(&names, '\t', &name)) {
        AK_AUTO_TEXT char *name_text = NULL, *type_text = NULL;
        size_t len;

        if (!next(&types, '\t', &type) || ++n > MAX_COLUMNS)
            return ak_error_set(reterr, AK_E_PROTOCOL, "the server's columns are not understood");
        name_text = field_text(name, &len);
        type_text = field_text(type, &len);
        if (!name_text || !type_text)
            return ak_error_oom(reterr);
        r = ak_rows_add_column(rows, name_text, type_text, reterr);
    }
    return r;
}

static int exception(struct span text, struct ak_error **reterr)
{
    return ak_error_set(reterr, AK_E_INVALID, "%.*s", (int)AK_MIN(text.len, (size_t)1000),
                        text.data);
}

/* 1: a limit was reached. */
static int read_row(struct span line, struct span after, struct ak_rows *rows,
                    struct ak_error **reterr)
{
    size_t n = 0, columns = json_array_size(rows->columns);
    json_t *row = json_array();
    struct span rest = line, f;

    while (row && n < columns && next(&rest, '\t', &f)) {
        const char *type =
            json_string_value(json_object_get(json_array_get(rows->columns, n++), "type"));

        if (json_array_append_new(row, field_value(f, type)) < 0) {
            json_decref(row);
            row = NULL;
        }
    }
    if (row && (n != columns || rest.data)) {
        json_decref(row);
        if (ak_clickhouse_code(line.data, line.len))
            return exception((struct span){line.data, line.len + after.len}, reterr);
        return ak_error_set(reterr, AK_E_PROTOCOL, "a row of the server's has %zu values, not %zu",
                            n, columns);
    }
    return ak_rows_add(rows, row, line.len, reterr);
}

int ak_clickhouse_rows(const char *text, size_t len, bool is_cut, struct ak_rows *rows,
                       struct ak_error **reterr)
{
    struct span rest = {text, len}, names, types, line;
    int r;

    if (!len)
        return 0; /* a statement without a result */
    if (ak_clickhouse_code(text, len))
        return exception(rest, reterr);
    if (!next(&rest, '\n', &names) || !next(&rest, '\n', &types)) {
        rows->truncated = is_cut;
        return is_cut ? 0
                      : ak_error_set(reterr, AK_E_PROTOCOL, "the server's result has no columns");
    }
    r = read_columns(names, types, rows, reterr);
    while (r == 0 && next(&rest, '\n', &line)) {
        bool is_last = !rest.data;

        if (is_last && is_cut) {
            rows->truncated = true;
            break;
        }
        if (is_last && !line.len)
            break;
        /* One exception may stand where the next row would: with one column only its words tell. */
        r = ak_clickhouse_code(line.data, line.len) ? exception(line, reterr)
                                                    : read_row(line, rest, rows, reterr);
    }
    return r < 0 ? r : 0;
}

int ak_clickhouse_code(const char *text, size_t len)
{
    static const char start[] = "Code: ";
    size_t at = sizeof(start) - 1;
    int code = 0;

    if (len < at || memcmp(text, start, at) != 0)
        return 0;
    while (at < len && text[at] >= '0' && text[at] <= '9' && code < 100000)
        code = code * 10 + (text[at++] - '0');
    return memmem(text, AK_MIN(len, (size_t)200), "DB::", 4) ? code : 0;
}

static int quote(struct ak_buf *out, const char *text, char mark)
{
    int r = ak_buf_add(out, &mark, 1);

    for (; r >= 0 && *text; text++) {
        if (*text == '\\' || *text == mark)
            r = ak_buf_add(out, "\\", 1);
        if (r >= 0)
            r = ak_buf_add(out, text, 1);
    }
    return r < 0 ? r : ak_buf_add(out, &mark, 1);
}

int ak_clickhouse_literal(struct ak_buf *out, const char *text)
{
    return quote(out, text, '\'');
}

int ak_clickhouse_identifier(struct ak_buf *out, const char *text)
{
    return quote(out, text, '`');
}
