/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/packet.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

/* ---- reading ---- */

size_t ak_mysql_left(const struct ak_mysql_reader *self)
{
    return (size_t)(self->end - self->at);
}

const uint8_t *ak_mysql_read_bytes(struct ak_mysql_reader *self, size_t len)
{
    const uint8_t *at = self->at;

    if (len > ak_mysql_left(self)) {
        self->is_bad = true;
        self->at = self->end;
        return NULL;
    }
    self->at += len;
    return at;
}

uint64_t ak_mysql_read_int(struct ak_mysql_reader *self, size_t bytes)
{
    const uint8_t *at = ak_mysql_read_bytes(self, bytes);
    uint64_t value = 0;

    for (size_t i = 0; at && i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

uint64_t ak_mysql_read_lenenc(struct ak_mysql_reader *self, bool *ret_null)
{
    uint64_t first = ak_mysql_read_int(self, 1);

    if (ret_null)
        *ret_null = first == 0xfb;
    switch (first) {
    case 0xfb:
        return 0;
    case 0xfc:
        return ak_mysql_read_int(self, 2);
    case 0xfd:
        return ak_mysql_read_int(self, 3);
    case 0xfe:
        return ak_mysql_read_int(self, 8);
    case 0xff:
        self->is_bad = true;
        return 0;
    default:
        return first;
    }
}

const char *ak_mysql_read_text(struct ak_mysql_reader *self, size_t *ret_len)
{
    const uint8_t *at = self->at;
    const uint8_t *nul = memchr(at, 0, ak_mysql_left(self));

    *ret_len = (size_t)((nul ? nul : self->end) - at);
    self->at = nul ? nul + 1 : self->end;
    return (const char *)at;
}

const char *ak_mysql_read_string(struct ak_mysql_reader *self, size_t *ret_len)
{
    bool is_null;
    uint64_t len = ak_mysql_read_lenenc(self, &is_null);
    const uint8_t *at;

    *ret_len = 0;
    if (is_null)
        return NULL;
    if (len > ak_mysql_left(self)) {
        self->is_bad = true;
        self->at = self->end;
        return NULL;
    }
    at = ak_mysql_read_bytes(self, (size_t)len);
    *ret_len = (size_t)len;
    return (const char *)at;
}

/* Copies what fits. */
static void keep(char *buf, size_t size, const char *text, size_t len)
{
    len = AK_MIN(len, size - 1);
    if (len)
        memcpy(buf, text, len);
    buf[len] = '\0';
}

static int refused_greeting(const uint8_t *data, size_t len, struct ak_error **reterr)
{
    struct ak_mysql_err err;

    if (ak_mysql_parse_err(data, len, &err) < 0)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's first packet cannot be read");
    return ak_mysql_err_set(&err, AK_E_SERVER, reterr);
}

/* The second half of the scramble, and the plugin that it is for. */
static void read_plugin(struct ak_mysql_reader *in, size_t scramble, struct ak_mysql_greeting *g)
{
    size_t second = AK_MAX((size_t)13, scramble > 8 ? scramble - 8 : 0);
    const uint8_t *at;
    const char *name;
    size_t len;

    if (!(g->capabilities & (AK_MYSQL_SECURE_CONNECTION | AK_MYSQL_PLUGIN_AUTH)))
        return;
    /* Old servers end behind 13 bytes, 12 of them scramble. */
    second = AK_MIN(second, ak_mysql_left(in));
    at = ak_mysql_read_bytes(in, second);
    if (at)
        memcpy(g->scramble + 8, at, AK_MIN(second, (size_t)(AK_MYSQL_SCRAMBLE - 8)));
    if (!(g->capabilities & AK_MYSQL_PLUGIN_AUTH))
        return;
    name = ak_mysql_read_text(in, &len);
    keep(g->plugin, sizeof(g->plugin), name, len);
}

int ak_mysql_parse_greeting(const uint8_t *data, size_t len, struct ak_mysql_greeting *ret,
                            struct ak_error **reterr)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(data, len);
    struct ak_mysql_greeting g = {0};
    const uint8_t *first;
    const char *version;
    size_t version_len, scramble;
    uint64_t protocol;

    if (len && data[0] == 0xff)
        return refused_greeting(data, len, reterr);
    protocol = ak_mysql_read_int(&in, 1);
    if (protocol != 10)
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "the server does not speak the MySQL protocol (version 10)");
    version = ak_mysql_read_text(&in, &version_len);
    /* MariaDB says so to pass the checks of old replicas. */
    if (version_len > 6 && memcmp(version, "5.5.5-", 6) == 0) {
        version += 6;
        version_len -= 6;
    }
    keep(g.version, sizeof(g.version), version, version_len);
    g.is_mariadb = strstr(g.version, "MariaDB") != NULL;
    g.thread_id = (uint32_t)ak_mysql_read_int(&in, 4);
    first = ak_mysql_read_bytes(&in, 8);
    if (first)
        memcpy(g.scramble, first, 8);
    ak_mysql_read_int(&in, 1);
    g.capabilities = (uint32_t)ak_mysql_read_int(&in, 2);
    g.charset = (uint8_t)ak_mysql_read_int(&in, 1);
    g.status = (uint16_t)ak_mysql_read_int(&in, 2);
    g.capabilities |= (uint32_t)ak_mysql_read_int(&in, 2) << 16;
    scramble = (size_t)ak_mysql_read_int(&in, 1);
    ak_mysql_read_bytes(&in, 10);
    if (in.is_bad || !(g.capabilities & AK_MYSQL_PROTOCOL_41))
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "the server's greeting is not one of MySQL 4.1 or newer");
    read_plugin(&in, scramble, &g);
    *ret = g;
    return 0;
}

int ak_mysql_parse_ok(const uint8_t *data, size_t len, struct ak_mysql_ok *ret)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(data, len);
    struct ak_mysql_ok ok;

    ak_mysql_read_int(&in, 1);
    ok.affected = ak_mysql_read_lenenc(&in, NULL);
    ok.last_id = ak_mysql_read_lenenc(&in, NULL);
    ok.status = (uint16_t)ak_mysql_read_int(&in, 2);
    if (in.is_bad)
        return AK_E_PROTOCOL;
    *ret = ok;
    return 0;
}

int ak_mysql_parse_err(const uint8_t *data, size_t len, struct ak_mysql_err *ret)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(data, len);
    struct ak_mysql_err err = {.state = "HY000"};

    ak_mysql_read_int(&in, 1);
    err.code = (uint16_t)ak_mysql_read_int(&in, 2);
    if (in.is_bad)
        return AK_E_PROTOCOL;
    /* Before the login is agreed on, there is no state. */
    if (ak_mysql_left(&in) >= 6 && in.at[0] == '#') {
        keep(err.state, sizeof(err.state), (const char *)in.at + 1, 5);
        in.at += 6;
    }
    keep(err.message, sizeof(err.message), (const char *)in.at, ak_mysql_left(&in));
    *ret = err;
    return 0;
}

int ak_mysql_parse_column(const uint8_t *data, size_t len, struct ak_arena *arena,
                          struct ak_mysql_column *ret, struct ak_error **reterr)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(data, len);
    struct ak_mysql_column column = {0};
    const char *name;
    size_t part;

    for (int i = 0; i < 4; i++) /* catalog, schema, table, original table */
        (void)ak_mysql_read_string(&in, &part);
    name = ak_mysql_read_string(&in, &part);
    if (!name)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's column cannot be read");
    column.name = ak_arena_strndup(arena, name, part);
    if (!column.name)
        return ak_error_oom(reterr);
    (void)ak_mysql_read_string(&in, &part); /* original name */
    ak_mysql_read_lenenc(&in, NULL);
    column.charset = (uint16_t)ak_mysql_read_int(&in, 2);
    column.length = (uint32_t)ak_mysql_read_int(&in, 4);
    column.type = (uint8_t)ak_mysql_read_int(&in, 1);
    column.flags = (uint16_t)ak_mysql_read_int(&in, 2);
    column.decimals = (uint8_t)ak_mysql_read_int(&in, 1);
    if (in.is_bad)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's column cannot be read");
    *ret = column;
    return 0;
}

/* What the client proves itself with is of no interest: whoever reached the socket may use the session. */
static void skip_proof(struct ak_mysql_reader *in, uint32_t capabilities)
{
    size_t len;

    if (capabilities & AK_MYSQL_PLUGIN_AUTH_LENENC)
        (void)ak_mysql_read_string(in, &len);
    else if (capabilities & AK_MYSQL_SECURE_CONNECTION)
        ak_mysql_read_bytes(in, (size_t)ak_mysql_read_int(in, 1));
    else
        (void)ak_mysql_read_text(in, &len);
}

int ak_mysql_parse_hello(const uint8_t *data, size_t len, struct ak_mysql_hello *ret,
                         struct ak_error **reterr)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(data, len);
    struct ak_mysql_hello hello = {0};
    const char *text;
    size_t text_len;

    hello.capabilities = (uint32_t)ak_mysql_read_int(&in, 4);
    ak_mysql_read_int(&in, 4);
    hello.charset = (uint8_t)ak_mysql_read_int(&in, 1);
    ak_mysql_read_bytes(&in, 23);
    if (in.is_bad || !(hello.capabilities & AK_MYSQL_PROTOCOL_41))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the client is older than MySQL 4.1");
    hello.wants_tls = (hello.capabilities & AK_MYSQL_TLS) != 0;
    if (hello.wants_tls) {
        *ret = hello;
        return 0;
    }
    (void)ak_mysql_read_text(&in, &text_len); /* user */
    skip_proof(&in, hello.capabilities);
    if ((hello.capabilities & AK_MYSQL_WITH_DATABASE) && ak_mysql_left(&in)) {
        text = ak_mysql_read_text(&in, &text_len);
        if (text_len >= sizeof(hello.database))
            return ak_error_set(reterr, AK_E_PROTOCOL, "the database's name is too long");
        keep(hello.database, sizeof(hello.database), text, text_len);
    }
    if ((hello.capabilities & AK_MYSQL_PLUGIN_AUTH) && ak_mysql_left(&in)) {
        text = ak_mysql_read_text(&in, &text_len);
        keep(hello.plugin, sizeof(hello.plugin), text, text_len);
    }
    if (in.is_bad)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the client's login packet cannot be read");
    *ret = hello;
    return 0;
}

int ak_mysql_err_set(const struct ak_mysql_err *err, int code, struct ak_error **reterr)
{
    return ak_error_set(reterr, code, "ERROR %u (%s): %s", err->code, err->state, err->message);
}

/* ---- writing ---- */

int ak_mysql_put_int(struct ak_buf *out, uint64_t value, size_t bytes)
{
    uint8_t data[8];

    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(value >> (8 * i));
    return ak_buf_add(out, data, bytes);
}

int ak_mysql_put_lenenc(struct ak_buf *out, uint64_t value)
{
    size_t bytes = value < 0x10000 ? 2 : value < 0x1000000 ? 3 : 8;
    int r;

    if (value < 0xfb)
        return ak_mysql_put_int(out, value, 1);
    r = ak_mysql_put_int(out, bytes == 2 ? 0xfc : bytes == 3 ? 0xfd : 0xfe, 1);
    return r < 0 ? r : ak_mysql_put_int(out, value, bytes);
}

int ak_mysql_put_string(struct ak_buf *out, const void *data, size_t len)
{
    int r = ak_mysql_put_lenenc(out, len);

    return r < 0 ? r : ak_buf_add(out, data, len);
}

int ak_mysql_put_packet(struct ak_buf *out, uint8_t sequence, const void *payload, size_t len)
{
    const uint8_t *at = payload;
    size_t part;
    int r;

    do {
        part = AK_MIN(len, (size_t)AK_MYSQL_PACKET_MAX);
        r = ak_mysql_put_int(out, part, 3);
        if (r >= 0)
            r = ak_mysql_put_int(out, sequence++, 1);
        if (r >= 0 && part)
            r = ak_buf_add(out, at, part);
        if (r < 0)
            return r;
        at += part;
        len -= part;
    } while (part == AK_MYSQL_PACKET_MAX);
    return 0;
}

int ak_mysql_put_err(struct ak_buf *out, uint8_t sequence, uint16_t code, const char *state,
                     const char *message)
{
    char text[640];
    int len = snprintf(text, sizeof(text), "#%.5s%s", state, message);
    AK_AUTO(ak_buf) payload = AK_BUF_INIT(1024);
    int r = ak_mysql_put_int(&payload, 0xff, 1);

    if (r >= 0)
        r = ak_mysql_put_int(&payload, code, 2);
    if (r >= 0)
        r = ak_buf_add(&payload, text, (size_t)AK_MIN(len, (int)sizeof(text) - 1));
    return r < 0 ? r : ak_mysql_put_packet(out, sequence, payload.data, payload.len);
}

int ak_mysql_put_ok(struct ak_buf *out, uint8_t sequence, uint16_t status)
{
    const uint8_t payload[7] = {0, 0, 0, (uint8_t)status, (uint8_t)(status >> 8), 0, 0};

    return ak_mysql_put_packet(out, sequence, payload, sizeof(payload));
}
