/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/value.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#define EXACT_MAX (1LL << 53)

static const struct {
    uint8_t type;
    const char *name, *unsigned_name;
} integers[] = {
    {AK_MYSQL_TINY, "tinyint", "tinyint unsigned"},
    {AK_MYSQL_SHORT, "smallint", "smallint unsigned"},
    {AK_MYSQL_INT24, "mediumint", "mediumint unsigned"},
    {AK_MYSQL_LONG, "int", "int unsigned"},
    {AK_MYSQL_LONGLONG, "bigint", "bigint unsigned"},
    {AK_MYSQL_YEAR, "year", "year"},
};
static const struct {
    uint8_t type;
    const char *text, *binary;
} others[] = {
    {AK_MYSQL_DECIMAL, "decimal", "decimal"},
    {AK_MYSQL_NEWDECIMAL, "decimal", "decimal"},
    {AK_MYSQL_FLOAT, "float", "float"},
    {AK_MYSQL_DOUBLE, "double", "double"},
    {AK_MYSQL_NULL, "null", "null"},
    {AK_MYSQL_TIMESTAMP, "timestamp", "timestamp"},
    {AK_MYSQL_DATE, "date", "date"},
    {AK_MYSQL_TIME, "time", "time"},
    {AK_MYSQL_DATETIME, "datetime", "datetime"},
    {AK_MYSQL_BIT, "bit", "bit"},
    {AK_MYSQL_JSON, "json", "json"},
    {AK_MYSQL_VARCHAR, "varchar", "varbinary"},
    {AK_MYSQL_VAR_STRING, "varchar", "varbinary"},
    {AK_MYSQL_STRING, "char", "binary"},
    {AK_MYSQL_TINY_BLOB, "text", "blob"},
    {AK_MYSQL_BLOB, "text", "blob"},
    {AK_MYSQL_MEDIUM_BLOB, "text", "blob"},
    {AK_MYSQL_LONG_BLOB, "text", "blob"},
    {AK_MYSQL_GEOMETRY, "geometry", "geometry"},
};

static bool is_integer(const struct ak_mysql_column *column)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(integers); i++)
        if (integers[i].type == column->type)
            return true;
    return false;
}

static bool is_bytes(const struct ak_mysql_column *column)
{
    switch (column->type) {
    case AK_MYSQL_GEOMETRY:
        return true;
    case AK_MYSQL_VARCHAR:
    case AK_MYSQL_VAR_STRING:
    case AK_MYSQL_STRING:
    case AK_MYSQL_TINY_BLOB:
    case AK_MYSQL_BLOB:
    case AK_MYSQL_MEDIUM_BLOB:
    case AK_MYSQL_LONG_BLOB:
        return column->charset == AK_MYSQL_CHARSET_BINARY;
    default:
        return false;
    }
}

const char *ak_mysql_type_name(const struct ak_mysql_column *column)
{
    if (column->flags & AK_MYSQL_FLAG_ENUM)
        return "enum";
    if (column->flags & AK_MYSQL_FLAG_SET)
        return "set";
    for (size_t i = 0; i < AK_ARRAY_LEN(integers); i++)
        if (integers[i].type == column->type)
            return column->flags & AK_MYSQL_FLAG_UNSIGNED ? integers[i].unsigned_name
                                                          : integers[i].name;
    for (size_t i = 0; i < AK_ARRAY_LEN(others); i++)
        if (others[i].type == column->type)
            return is_bytes(column) ? others[i].binary : others[i].text;
    return "unknown";
}

static json_t *of_unsigned(uint64_t value)
{
    char text[24];

    if (value <= (uint64_t)EXACT_MAX)
        return json_integer((json_int_t)value);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return json_string(text);
}

static json_t *of_signed(int64_t value)
{
    char text[24];

    if (value <= EXACT_MAX && value >= -EXACT_MAX)
        return json_integer(value);
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return json_string(text);
}

static json_t *of_bytes(const uint8_t *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(2 * len + 2);
    int r = ak_buf_adds(&out, "0x");

    for (size_t i = 0; r >= 0 && i < len; i++)
        r = ak_buf_add(&out, (char[]){digits[data[i] >> 4], digits[data[i] & 15]}, 2);
    return r < 0 ? NULL : json_stringn(out.data, out.len);
}

static json_t *of_bits(const uint8_t *data, size_t len)
{
    uint64_t value = 0;

    if (len > 8)
        return of_bytes(data, len);
    for (size_t i = 0; i < len; i++)
        value = value << 8 | data[i];
    return of_unsigned(value);
}

/* Text that is not UTF-8 is shown as the bytes that it is. */
static json_t *of_text(const char *text, size_t len)
{
    json_t *value = json_stringn(text, len);

    return value ? value : of_bytes((const uint8_t *)text, len);
}

/* A number that the server wrote as text; as text where it is none ("-0", zero-filled ones). */
static json_t *of_number(const struct ak_mysql_column *column, const char *text, size_t len)
{
    char copy[64];
    json_t *value = NULL;
    int64_t number;
    uint64_t large;

    if (len >= sizeof(copy))
        return of_text(text, len);
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (is_integer(column)) {
        if (ak_parse_i64(copy, &number) >= 0)
            return of_signed(number);
        if (ak_parse_u64(copy, &large) >= 0)
            return of_unsigned(large);
    } else if (ak_json_parse(copy, len, &value, NULL) >= 0) {
        if (json_is_number(value))
            return value;
        json_decref(value);
    }
    return of_text(text, len);
}

json_t *ak_mysql_text_value(const struct ak_mysql_column *column, struct ak_mysql_reader *in)
{
    size_t len;
    bool is_bad = in->is_bad;
    const char *text = ak_mysql_read_string(in, &len);

    if (in->is_bad && !is_bad)
        return NULL;
    if (!text)
        return json_null();
    if (column->type == AK_MYSQL_BIT)
        return of_bits((const uint8_t *)text, len);
    if (is_integer(column) || column->type == AK_MYSQL_FLOAT || column->type == AK_MYSQL_DOUBLE)
        return of_number(column, text, len);
    return is_bytes(column) ? of_bytes((const uint8_t *)text, len) : of_text(text, len);
}

/* ---- the binary protocol ---- */

static json_t *of_real(double value)
{
    char text[40];
    json_t *number = json_real(value);

    if (number)
        return number;
    snprintf(text, sizeof(text), "%g", value); /* inf and nan, which JSON has not */
    return json_string(text);
}

static json_t *binary_float(struct ak_mysql_reader *in)
{
    uint32_t bits = (uint32_t)ak_mysql_read_int(in, 4);
    char text[40];
    json_t *number = NULL;
    float value;

    memcpy(&value, &bits, sizeof(value));
    /* As many digits as a float has, not those that its double would show. */
    snprintf(text, sizeof(text), "%.7g", (double)value);
    if (ak_json_parse(text, strlen(text), &number, NULL) >= 0)
        return number;
    return of_real((double)value);
}

static json_t *binary_double(struct ak_mysql_reader *in)
{
    uint64_t bits = ak_mysql_read_int(in, 8);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return of_real(value);
}

static json_t *binary_date(const struct ak_mysql_column *column, struct ak_mysql_reader *in)
{
    size_t len = (size_t)ak_mysql_read_int(in, 1);
    const uint8_t *at = ak_mysql_read_bytes(in, len);
    struct ak_mysql_reader part = ak_mysql_reader_of(at ? at : (const uint8_t *)"", at ? len : 0);
    unsigned year = (unsigned)ak_mysql_read_int(&part, 2);
    unsigned month = (unsigned)ak_mysql_read_int(&part, 1);
    unsigned day = (unsigned)ak_mysql_read_int(&part, 1);
    unsigned hour = (unsigned)ak_mysql_read_int(&part, 1);
    unsigned minute = (unsigned)ak_mysql_read_int(&part, 1);
    unsigned second = (unsigned)ak_mysql_read_int(&part, 1);
    unsigned micro = (unsigned)ak_mysql_read_int(&part, 4);
    char text[64];
    int n = snprintf(text, sizeof(text), "%04u-%02u-%02u", year, month, day);

    if (column->type != AK_MYSQL_DATE)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " %02u:%02u:%02u", hour, minute, second);
    if (column->type != AK_MYSQL_DATE && column->decimals && column->decimals <= 6) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, ".%06u", micro % 1000000u);
        text[n - (6 - column->decimals)] = '\0';
    }
    return json_string(text);
}

static json_t *binary_time(const struct ak_mysql_column *column, struct ak_mysql_reader *in)
{
    size_t len = (size_t)ak_mysql_read_int(in, 1);
    const uint8_t *at = ak_mysql_read_bytes(in, len);
    struct ak_mysql_reader part = ak_mysql_reader_of(at ? at : (const uint8_t *)"", at ? len : 0);
    bool negative = ak_mysql_read_int(&part, 1) != 0;
    uint64_t hours = ak_mysql_read_int(&part, 4) * 24;
    unsigned minute, second, micro;
    char text[64];
    int n;

    hours += ak_mysql_read_int(&part, 1);
    minute = (unsigned)ak_mysql_read_int(&part, 1);
    second = (unsigned)ak_mysql_read_int(&part, 1);
    micro = (unsigned)ak_mysql_read_int(&part, 4);
    n = snprintf(text, sizeof(text), "%s%02llu:%02u:%02u", negative ? "-" : "",
                 (unsigned long long)hours, minute, second);
    if (column->decimals && column->decimals <= 6) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, ".%06u", micro % 1000000u);
        text[n - (6 - column->decimals)] = '\0';
    }
    return json_string(text);
}

static json_t *binary_integer(const struct ak_mysql_column *column, struct ak_mysql_reader *in)
{
    size_t bytes = column->type == AK_MYSQL_TINY                                     ? 1
                   : column->type == AK_MYSQL_SHORT || column->type == AK_MYSQL_YEAR ? 2
                   : column->type == AK_MYSQL_LONG || column->type == AK_MYSQL_INT24 ? 4
                                                                                     : 8;
    uint64_t value = ak_mysql_read_int(in, bytes);
    const unsigned shift = (unsigned)(64 - 8 * bytes);

    if (column->flags & AK_MYSQL_FLAG_UNSIGNED || column->type == AK_MYSQL_YEAR)
        return of_unsigned(value);
    return of_signed((int64_t)(value << shift) >> shift);
}

json_t *ak_mysql_binary_value(const struct ak_mysql_column *column, struct ak_mysql_reader *in)
{
    if (is_integer(column))
        return binary_integer(column, in);
    switch (column->type) {
    case AK_MYSQL_NULL:
        return json_null();
    case AK_MYSQL_FLOAT:
        return binary_float(in);
    case AK_MYSQL_DOUBLE:
        return binary_double(in);
    case AK_MYSQL_DATE:
    case AK_MYSQL_DATETIME:
    case AK_MYSQL_TIMESTAMP:
        return binary_date(column, in);
    case AK_MYSQL_TIME:
        return binary_time(column, in);
    default:
        return ak_mysql_text_value(column, in); /* the rest is text with its length in both */
    }
}

static int put_text_param(const json_t *value, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    int r;

    if (json_is_string(value))
        r = ak_mysql_put_string(out, json_string_value(value), json_string_length(value));
    else {
        r = ak_json_write(value, &text, reterr);
        if (r < 0)
            return r;
        r = ak_mysql_put_string(out, text.data, text.len);
    }
    return r < 0 ? ak_error_set(reterr, r, "the parameters are too long") : 0;
}

int ak_mysql_put_param(const json_t *value, struct ak_buf *out, uint16_t *ret_type,
                       struct ak_error **reterr)
{
    double real;
    uint64_t bits;
    int r;

    switch (json_typeof(value)) {
    case JSON_NULL:
        *ret_type = AK_MYSQL_NULL;
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        *ret_type = AK_MYSQL_TINY;
        r = ak_mysql_put_int(out, json_is_true(value), 1);
        break;
    case JSON_INTEGER:
        *ret_type = AK_MYSQL_LONGLONG;
        r = ak_mysql_put_int(out, (uint64_t)json_integer_value(value), 8);
        break;
    case JSON_REAL:
        *ret_type = AK_MYSQL_DOUBLE;
        real = json_real_value(value);
        memcpy(&bits, &real, sizeof(bits));
        r = ak_mysql_put_int(out, bits, 8);
        break;
    default:
        *ret_type = AK_MYSQL_VAR_STRING;
        return put_text_param(value, out, reterr);
    }
    return r < 0 ? ak_error_set(reterr, r, "the parameters are too long") : 0;
}
