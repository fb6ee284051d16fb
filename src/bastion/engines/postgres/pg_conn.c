/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_conn.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "bastion/engines/postgres/pg_start.h"

#define CANCEL_PATIENCE AK_SECONDS(2)
#define MAX_OUT (8u << 20)

struct ak_pg *ak_pg_free(struct ak_pg *self)
{
    static const uint8_t terminate[] = {'X', 0, 0, 0, 4};
    ssize_t ignored = 0;

    if (!self)
        return NULL;
    if (self->wire && self->state && !self->is_broken)
        ignored = ak_wire_try_write(self->wire, terminate, sizeof(terminate), NULL);
    (void)ignored;
    ak_wire_free(self->wire);
    ak_buf_done(&self->out);
    ak_buf_done(&self->body);
    ak_buf_done(&self->parameters);
    ak_free(self);
    return NULL;
}

struct ak_pg *ak__pg_new(void)
{
    struct ak_pg *self = ak_new0(struct ak_pg);

    if (!self)
        return NULL;
    /* Both carry passwords or data. */
    self->out = (struct ak_buf){.max = MAX_OUT, .wipe = true};
    self->body = (struct ak_buf){.max = AK_PG_MAX_REPLY, .wipe = true};
    self->parameters = (struct ak_buf)AK_BUF_INIT(16384);
    return self;
}

const char *ak_pg_database(const struct ak_target *target)
{
    return target->spec->config ? target->spec->config->database_name : NULL;
}

const char *ak_pg_parameter(const struct ak_pg *self, const char *name)
{
    struct ak_pg_reader reader = ak_pg_reader(self->parameters.data, self->parameters.len);
    const char *found = NULL;

    /* Later reports replace earlier ones. */
    while (self->parameters.len && reader.at < reader.end) {
        const char *key = ak_pg_gets(&reader);
        const char *value = ak_pg_gets(&reader);

        if (strcmp(key, name) == 0)
            found = value;
    }
    return found;
}

void ak_pg_server_name(const struct ak_pg *self, const struct ak_target *target, char *buf,
                       size_t size)
{
    const char *crdb = ak_pg_parameter(self, "crdb_version");
    const char *version = ak_pg_parameter(self, "server_version");

    if (crdb)
        (void)snprintf(buf, size, "%s", crdb);
    else
        /* "15.5 (Debian 15.5-1)": who built it is of no interest. */
        (void)snprintf(buf, size, "%s %.*s", target->info->title,
                       version ? (int)strcspn(version, " ") : 0, version ? version : "");
}

int ak_pg_flush(struct ak_pg *self, struct ak_error **reterr)
{
    int r = ak_wire_write(self->wire, self->out.data, self->out.len, reterr);

    if (self->out.len)
        ak_wipe(self->out.data, self->out.len);
    ak_buf_clear(&self->out);
    if (r < 0)
        self->is_broken = true;
    return r;
}

int ak_pg_read_head(struct ak_pg *self, char *ret_type, uint32_t *ret_len, struct ak_error **reterr)
{
    uint8_t head[AK_PG_HEADER];
    uint32_t len;
    int r = ak_wire_read_exact(self->wire, head, sizeof(head), reterr);

    if (r < 0) {
        self->is_broken = true;
        return r;
    }
    len = ak_pg_read32(head + 1);
    if (len < 4 || len > AK_PG_MAX_MESSAGE) {
        self->is_broken = true;
        return ak_error_set(reterr, AK_E_PROTOCOL, "%s does not speak PostgreSQL's protocol",
                            ak_wire_peer(self->wire));
    }
    *ret_type = (char)head[0];
    *ret_len = len - 4;
    return 0;
}

int ak_pg_read_body(struct ak_pg *self, uint32_t len, struct ak_error **reterr)
{
    uint8_t chunk[4096];

    ak_buf_clear(&self->body);
    if (len > self->body.max) {
        self->is_broken = true;
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the server sent a message of %u bytes", len);
    }
    /* In pieces: a length alone makes us reserve nothing. */
    while (len > 0) {
        const size_t n = AK_MIN(sizeof(chunk), (size_t)len);
        int r = ak_wire_read_exact(self->wire, chunk, n, reterr);

        if (r < 0 || ak_buf_add(&self->body, chunk, n) < 0) {
            self->is_broken = true;
            return r < 0 ? r : ak_error_oom(reterr);
        }
        len -= (uint32_t)n;
    }
    ak_wipe(chunk, sizeof(chunk));
    return 0;
}

int ak_pg_skip(struct ak_pg *self, uint32_t len, struct ak_error **reterr)
{
    uint8_t chunk[16384];

    while (len > 0) {
        const size_t n = AK_MIN(sizeof(chunk), (size_t)len);
        int r = ak_wire_read_exact(self->wire, chunk, n, reterr);

        if (r < 0) {
            self->is_broken = true;
            return r;
        }
        len -= (uint32_t)n;
    }
    return 0;
}

static int note_parameter(struct ak_pg *self)
{
    struct ak_pg_reader reader = ak_pg_reader(self->body.data, self->body.len);
    const char *name = ak_pg_gets(&reader);
    const char *value = ak_pg_gets(&reader);

    if (reader.broken || self->n_parameters >= AK_PG_MAX_PARAMETERS)
        return 0;
    if (ak_buf_add(&self->parameters, name, strlen(name) + 1) < 0 ||
        ak_buf_add(&self->parameters, value, strlen(value) + 1) < 0)
        return -ENOMEM;
    self->n_parameters++;
    return 0;
}

int ak_pg_take_async(struct ak_pg *self, char type, struct ak_error **reterr)
{
    switch (type) {
    case 'S':
        return note_parameter(self) < 0 ? ak_error_oom(reterr) : 1;
    case 'N': /* notices and notifications are for people who watch */
    case 'A':
        return 1;
    case 'E':
        ak_pg_parse_error(self->body.data, self->body.len, &self->error);
        if (strcmp(self->error.severity, "FATAL") == 0 ||
            strcmp(self->error.severity, "PANIC") == 0)
            self->is_broken = true;
        return 0;
    case 'Z':
        self->state = self->body.len == 1 ? self->body.data[0] : 'E';
        return 0;
    default:
        return 0;
    }
}

int ak_pg_next(struct ak_pg *self, struct ak_error **reterr)
{
    for (;;) {
        char type = 0;
        uint32_t len = 0;
        int r = ak_pg_read_head(self, &type, &len, reterr);

        if (r >= 0)
            r = ak_pg_read_body(self, len, reterr);
        if (r >= 0)
            r = ak_pg_take_async(self, type, reterr);
        if (r < 0)
            return r;
        if (r == 0)
            return type;
    }
}

int ak_pg_server_failed(const struct ak_pg *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
    const char *state = self->error.sqlstate;
    int code = AK_E_INVALID;

    if (strncmp(state, "28", 2) == 0)
        code = AK_E_UNAUTHORIZED;
    else if (strcmp(state, "42501") == 0)
        code = AK_E_FORBIDDEN;
    else if (strcmp(state, "57014") == 0)
        code = -ETIMEDOUT;
    if (ak_pg_error_text(&self->error, &text) < 0)
        return ak_error_oom(reterr);
    return ak_error_set(reterr, code, "%s", text.data);
}

void ak_pg_cancel_at(const struct ak_wire_options *upstream, uint32_t pid, uint32_t key)
{
    AK_AUTO(ak_buf) request = AK_BUF_INIT(64);
    struct ak_wire_options options = *upstream;
    struct ak_wire *wire = NULL;
    ssize_t end = 0;
    char byte;
    size_t mark;

    options.cancel = NULL; /* what was cancelled is exactly why we are here */
    options.timeout = CANCEL_PATIENCE;
    if (ak_pg_begin(&request, 0, &mark) < 0 || ak_pg_put32(&request, AK_PG_CANCEL_REQUEST) < 0 ||
        ak_pg_put32(&request, pid) < 0 || ak_pg_put32(&request, key) < 0)
        return;
    ak_pg_end(&request, mark);
    if (ak__pg_dial(&options, ak_now() + CANCEL_PATIENCE, &wire, NULL) < 0)
        return;
    /* The server does what was asked and closes without a word. */
    if (ak_wire_write(wire, request.data, request.len, NULL) >= 0)
        end = ak_wire_read(wire, &byte, 1, 1, NULL);
    (void)end;
    ak_wire_free(wire);
}

void ak_pg_cancel(const struct ak_pg *self)
{
    struct ak_wire_options options;

    if (!self->has_key || !self->wire)
        return;
    ak_wire_options_of(self->wire, &options);
    ak_pg_cancel_at(&options, self->pid, self->key);
}

static int on_data_row(struct ak_pg *self, ak_pg_row_fn on_row, void *user,
                       struct ak_error **reterr)
{
    struct ak_pg_reader reader = ak_pg_reader(self->body.data, self->body.len);
    const size_t n = ak_pg_get16(&reader);
    const char *values[AK_PG_MAX_COLUMNS] = {NULL};
    uint8_t *ends[AK_PG_MAX_COLUMNS] = {NULL};

    if (n > AK_PG_MAX_COLUMNS)
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "the server sent more columns than were asked for");
    for (size_t i = 0; i < n; i++) {
        const uint32_t len = ak_pg_get32(&reader);

        if (len == UINT32_MAX)
            continue;
        values[i] = (const char *)ak_pg_get_bytes(&reader, len);
        ends[i] = (uint8_t *)(uintptr_t)reader.at;
    }
    if (reader.broken)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server sent a row that is not one");
    /* The byte behind a value is the next one's length, or the buffer's own end: read already. */
    for (size_t i = 0; i < n; i++) {
        if (ends[i])
            *ends[i] = '\0';
    }
    return on_row ? on_row(user, n, values) : 0;
}

int ak_pg_run(struct ak_pg *self, const char *sql, ak_pg_row_fn on_row, void *user,
              struct ak_error **reterr)
{
    int r, result = 0;

    self->error.sqlstate[0] = '\0';
    if (ak_pg_put_message(&self->out, 'Q', sql, strlen(sql) + 1) < 0)
        return ak_error_oom(reterr);
    r = ak_pg_flush(self, reterr);
    while (r >= 0) {
        r = ak_pg_next(self, reterr);
        if (r == 'D' && result >= 0)
            result = on_data_row(self, on_row, user, reterr);
        if (r == 'E') {
            /* Whatever went wrong before, the server's word is the better one. */
            if (result < 0 && reterr)
                *reterr = ak_error_free(*reterr);
            result = ak_pg_server_failed(self, reterr);
        }
        if (r == 'Z' || (r == 'E' && self->is_broken))
            return result;
    }
    if (result < 0)
        return result;
    return r;
}
