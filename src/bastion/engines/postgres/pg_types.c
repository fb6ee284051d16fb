/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_types.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/buf.h>
#include <ak/base/text.h>

#define EXACT_MAX (1ll << 53) /* the integers that every reader of JSON keeps */
#define VALUE_MAX (64u << 20)

enum kind { TEXT, TRUTH, INTEGER, FLOATING };

static const struct type {
    uint32_t oid;
    enum kind kind;
    const char *name;
} types[] = {
    {16, TRUTH, "boolean"},
    {17, TEXT, "bytea"},
    {18, TEXT, "\"char\""},
    {19, TEXT, "name"},
    {20, INTEGER, "bigint"},
    {21, INTEGER, "smallint"},
    {23, INTEGER, "integer"},
    {24, TEXT, "regproc"},
    {25, TEXT, "text"},
    {26, INTEGER, "oid"},
    {114, TEXT, "json"},
    {142, TEXT, "xml"},
    {199, TEXT, "json[]"},
    {600, TEXT, "point"},
    {650, TEXT, "cidr"},
    {700, FLOATING, "real"},
    {701, FLOATING, "double precision"},
    {705, TEXT, "unknown"},
    {790, TEXT, "money"},
    {829, TEXT, "macaddr"},
    {869, TEXT, "inet"},
    {1000, TEXT, "boolean[]"},
    {1005, TEXT, "smallint[]"},
    {1007, TEXT, "integer[]"},
    {1009, TEXT, "text[]"},
    {1015, TEXT, "character varying[]"},
    {1016, TEXT, "bigint[]"},
    {1021, TEXT, "real[]"},
    {1022, TEXT, "double precision[]"},
    {1042, TEXT, "character"},
    {1043, TEXT, "character varying"},
    {1082, TEXT, "date"},
    {1083, TEXT, "time without time zone"},
    {1114, TEXT, "timestamp without time zone"},
    {1184, TEXT, "timestamp with time zone"},
    {1185, TEXT, "timestamp with time zone[]"},
    {1186, TEXT, "interval"},
    {1231, TEXT, "numeric[]"},
    {1266, TEXT, "time with time zone"},
    {1560, TEXT, "bit"},
    {1562, TEXT, "bit varying"},
    {1700, TEXT, "numeric"},
    {2205, TEXT, "regclass"},
    {2206, TEXT, "regtype"},
    {2249, TEXT, "record"},
    {2278, TEXT, "void"},
    {2950, TEXT, "uuid"},
    {2951, TEXT, "uuid[]"},
    {3802, TEXT, "jsonb"},
    {3807, TEXT, "jsonb[]"},
};

static const struct type *find(uint32_t oid)
{
    size_t low = 0, high = AK_ARRAY_LEN(types);

    while (low < high) {
        const size_t middle = (low + high) / 2;

        if (types[middle].oid == oid)
            return &types[middle];
        if (types[middle].oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *ak_pg_type_name(uint32_t oid)
{
    const struct type *type = find(oid);

    return type ? type->name : NULL;
}

static json_t *text_value(const char *text, size_t len)
{
    AK_AUTO(ak_buf) hex = AK_BUF_INIT(VALUE_MAX);
    json_t *value = json_stringn(text, len);
    int r;

    if (value)
        return value;
    /* Not UTF-8, which a database in SQL_ASCII may hold; or no memory, and then this fails too. */
    r = ak_buf_adds(&hex, "\\x");
    for (size_t i = 0; r >= 0 && i < len; i++)
        r = ak_buf_addf(&hex, "%02x", (unsigned)(unsigned char)text[i]);
    return r < 0 ? NULL : json_stringn(hex.data, hex.len);
}

static json_t *number_value(enum kind kind, const char *text, size_t len)
{
    char number[40];
    int64_t integer;
    char *end;
    double real;

    if (len == 0 || len >= sizeof(number) || memchr(text, 0, len))
        return text_value(text, len);
    memcpy(number, text, len);
    number[len] = '\0';
    if (kind == INTEGER) {
        if (ak_parse_i64(number, &integer) < 0 || integer > EXACT_MAX || integer < -EXACT_MAX)
            return text_value(text, len);
        return json_integer(integer);
    }
    real = strtod(number, &end);
    return *end || !isfinite(real) ? text_value(text, len) : json_real(real);
}

json_t *ak_pg_value(uint32_t oid, const char *text, size_t len)
{
    const struct type *type = find(oid);
    const enum kind kind = type ? type->kind : TEXT;

    if (kind == TEXT)
        return text_value(text, len);
    if (kind == TRUTH && len == 1 && (text[0] == 't' || text[0] == 'f'))
        return json_boolean(text[0] == 't');
    return kind == TRUTH ? text_value(text, len) : number_value(kind, text, len);
}
