/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_protocol.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

int ak_pg_begin(struct ak_buf *buf, char type, size_t *ret_mark)
{
    int r = 0;

    if (type)
        r = ak_buf_add(buf, &type, 1);
    if (r < 0)
        return r;
    *ret_mark = buf->len;
    return ak_buf_add(buf, "\0\0\0\0", 4);
}

int ak_pg_put8(struct ak_buf *buf, uint8_t value)
{
    return ak_buf_add(buf, &value, 1);
}

int ak_pg_put16(struct ak_buf *buf, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    return ak_buf_add(buf, bytes, sizeof(bytes));
}

static void write32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

int ak_pg_put32(struct ak_buf *buf, uint32_t value)
{
    uint8_t bytes[4];

    write32(bytes, value);
    return ak_buf_add(buf, bytes, sizeof(bytes));
}

int ak_pg_puts(struct ak_buf *buf, const char *text)
{
    return ak_buf_add(buf, text, strlen(text) + 1);
}

void ak_pg_end(struct ak_buf *buf, size_t mark)
{
    write32((uint8_t *)buf->data + mark, (uint32_t)(buf->len - mark));
}

int ak_pg_put_message(struct ak_buf *buf, char type, const void *body, size_t len)
{
    size_t mark;
    int r = ak_pg_begin(buf, type, &mark);

    if (r >= 0 && len)
        r = ak_buf_add(buf, body, len);
    if (r >= 0)
        ak_pg_end(buf, mark);
    return r;
}

int ak_pg_put_error(struct ak_buf *buf, const char *severity, const char *sqlstate,
                    const char *message, const char *hint)
{
    const struct {
        char code;
        const char *text;
    } fields[] = {{'S', severity}, {'V', severity}, {'C', sqlstate}, {'M', message}, {'H', hint}};
    size_t mark;
    int r = ak_pg_begin(buf, 'E', &mark);

    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(fields); i++) {
        if (!fields[i].text)
            continue;
        r = ak_pg_put8(buf, (uint8_t)fields[i].code);
        if (r >= 0)
            r = ak_pg_puts(buf, fields[i].text);
    }
    if (r >= 0)
        r = ak_pg_put8(buf, 0);
    if (r >= 0)
        ak_pg_end(buf, mark);
    return r;
}

struct ak_pg_reader ak_pg_reader(const void *body, size_t len)
{
    const uint8_t *at = len ? body : (const uint8_t *)"";

    return (struct ak_pg_reader){.at = at, .end = at + len};
}

const uint8_t *ak_pg_get_bytes(struct ak_pg_reader *self, size_t len)
{
    const uint8_t *at = self->at;

    if (self->broken || len > (size_t)(self->end - self->at)) {
        self->broken = true;
        return NULL;
    }
    self->at += len;
    return at;
}

uint8_t ak_pg_get8(struct ak_pg_reader *self)
{
    const uint8_t *at = ak_pg_get_bytes(self, 1);

    return at ? at[0] : 0;
}

uint16_t ak_pg_get16(struct ak_pg_reader *self)
{
    const uint8_t *at = ak_pg_get_bytes(self, 2);

    return at ? (uint16_t)(at[0] << 8 | at[1]) : 0;
}

uint32_t ak_pg_read32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint32_t ak_pg_get32(struct ak_pg_reader *self)
{
    const uint8_t *at = ak_pg_get_bytes(self, 4);

    return at ? ak_pg_read32(at) : 0;
}

const char *ak_pg_gets(struct ak_pg_reader *self)
{
    const uint8_t *end = self->broken || self->at == self->end
                             ? NULL
                             : memchr(self->at, 0, (size_t)(self->end - self->at));
    const char *text = (const char *)self->at;

    if (!end) {
        self->broken = true;
        return "";
    }
    self->at = end + 1;
    return text;
}

void ak_pg_parse_error(const void *body, size_t len, struct ak_pg_server_error *ret)
{
    struct ak_pg_reader reader = ak_pg_reader(body, len);
    struct {
        char code;
        char *text;
        size_t size;
    } fields[] = {
        {'S', ret->severity, sizeof(ret->severity)}, {'V', ret->severity, sizeof(ret->severity)},
        {'C', ret->sqlstate, sizeof(ret->sqlstate)}, {'M', ret->message, sizeof(ret->message)},
        {'D', ret->detail, sizeof(ret->detail)},     {'H', ret->hint, sizeof(ret->hint)},
    };
    char code;

    memset(ret, 0, sizeof(*ret));
    while ((code = (char)ak_pg_get8(&reader)) != 0) {
        const char *text = ak_pg_gets(&reader);

        for (size_t i = 0; i < AK_ARRAY_LEN(fields); i++) {
            if (fields[i].code == code)
                (void)snprintf(fields[i].text, fields[i].size, "%s", text);
        }
    }
}

int ak_pg_error_text(const struct ak_pg_server_error *self, struct ak_buf *out)
{
    int r = ak_buf_addf(out, "%s: %s (SQLSTATE %s)", self->severity, self->message, self->sqlstate);

    if (r >= 0 && self->detail[0])
        r = ak_buf_addf(out, "; detail: %s", self->detail);
    if (r >= 0 && self->hint[0])
        r = ak_buf_addf(out, "; hint: %s", self->hint);
    return r;
}

int64_t ak_pg_tag_rows(const char *tag)
{
    const char *last = strrchr(tag, ' ');
    int64_t n;

    return last && ak_parse_i64(last + 1, &n) == 0 && n >= 0 ? n : -1;
}

int ak_pg_put_identifier(struct ak_buf *sql, const char *name)
{
    int r = ak_buf_add(sql, "\"", 1);

    for (const char *p = name; r >= 0 && *p; p++) {
        if (*p == '"')
            r = ak_buf_add(sql, "\"", 1);
        if (r >= 0)
            r = ak_buf_add(sql, p, 1);
    }
    return r < 0 ? r : ak_buf_add(sql, "\"", 1);
}

int ak_pg_put_literal(struct ak_buf *sql, const char *text)
{
    int r = ak_buf_adds(sql, strchr(text, '\\') ? "E'" : "'");

    for (const char *p = text; r >= 0 && *p; p++) {
        if (*p == '\'' || *p == '\\')
            r = ak_buf_add(sql, p, 1);
        if (r >= 0)
            r = ak_buf_add(sql, p, 1);
    }
    return r < 0 ? r : ak_buf_add(sql, "'", 1);
}
