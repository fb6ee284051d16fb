/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "bastion/engines/postgres/pg_types.h"

#define MAX_TAG 64
#define MAX_STRANGE 64 /* types whose names are asked for */

struct answer {
    const struct ak_pg_query *query;
    json_t *columns, *rows;
    uint32_t *oids;
    size_t n_columns;
    int64_t bytes;
    bool truncated;
    bool is_copy;
    char tag[MAX_TAG];
};

static void answer_done(struct answer *self)
{
    json_decref(self->columns);
    json_decref(self->rows);
    ak_free(self->oids);
}
AK_DEFINE_AUTO(answer, answer_done)

/* --- sending --- */

static int put_param(struct ak_buf *out, const json_t *value)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_PG_MAX_REPLY);
    const char *data;
    size_t len;
    int r;

    if (json_is_null(value))
        return ak_pg_put32(out, UINT32_MAX);
    if (json_is_string(value)) {
        data = json_string_value(value);
        len = json_string_length(value);
    } else {
        r = ak_json_write(value, &text, NULL);
        if (r < 0)
            return r;
        data = text.data;
        len = text.len;
    }
    r = ak_pg_put32(out, (uint32_t)len);
    return r < 0 ? r : ak_buf_add(out, data, len);
}

static int put_bind(struct ak_buf *out, const json_t *params)
{
    const size_t n = params ? json_array_size(params) : 0;
    size_t mark;
    int r = ak_pg_begin(out, 'B', &mark);

    if (r >= 0)
        r = ak_buf_add(out, "\0\0\0\0", 4); /* no names; all parameters as text */
    if (r >= 0)
        r = ak_pg_put16(out, (uint16_t)n);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = put_param(out, json_array_get(params, i));
    if (r >= 0)
        r = ak_pg_put16(out, 0); /* all results as text */
    if (r >= 0)
        ak_pg_end(out, mark);
    return r;
}

static int put_parse(struct ak_buf *out, const struct ak_pg_query *q)
{
    size_t mark;
    int r = ak_pg_begin(out, 'P', &mark);

    if (r >= 0)
        r = ak_pg_put8(out, 0);
    if (r >= 0)
        r = ak_buf_add(out, q->sql, q->sql_len);
    if (r >= 0)
        r = ak_buf_add(out, "\0\0\0", 3); /* its end; no types are given */
    if (r >= 0)
        ak_pg_end(out, mark);
    return r;
}

static int put_execute(struct ak_buf *out, const struct ak_pg_query *q)
{
    /* One more than is shown tells whether there are more. A statement that may change something is never cut short.
     * */
    const uint32_t limit =
        q->may_stop && q->max_rows < INT32_MAX - 1 ? (uint32_t)(q->max_rows + 1) : 0;
    size_t mark;
    int r = ak_pg_put_message(out, 'D', "P", 2);

    if (r >= 0)
        r = ak_pg_begin(out, 'E', &mark);
    if (r >= 0)
        r = ak_pg_put8(out, 0);
    if (r >= 0)
        r = ak_pg_put32(out, limit);
    if (r < 0)
        return r;
    ak_pg_end(out, mark);
    return ak_pg_put_message(out, 'S', NULL, 0);
}

static int send_all(struct ak_pg *self, const struct ak_pg_query *q, struct ak_error **reterr)
{
    struct ak_buf *out = &self->out;
    const json_t *one;
    size_t i;
    int r;

    if (memchr(q->sql, 0, q->sql_len))
        return ak_error_set(reterr, -EINVAL, "sql: has a NUL character");
    if (q->params && (!json_is_array(q->params) || json_array_size(q->params) > AK_PG_MAX_PARAMS))
        return ak_error_set(reterr, -EINVAL, "params: must be a list of at most %d values",
                            AK_PG_MAX_PARAMS);
    json_array_foreach(q->params, i, one)
    {
        if (json_is_string(one) && memchr(json_string_value(one), 0, json_string_length(one)))
            return ak_error_set(reterr, -EINVAL, "params[%zu]: has a NUL character", i);
    }
    r = put_parse(out, q);
    if (r >= 0)
        r = put_bind(out, q->params);
    if (r >= 0)
        r = put_execute(out, q);
    if (r == AK_E_TOO_LARGE)
        return ak_error_set(reterr, r, "sql and params: are too long together");
    return r < 0 ? ak_error_oom(reterr) : ak_pg_flush(self, reterr);
}

/* --- receiving --- */

static int on_columns(struct ak_pg *self, struct answer *a, struct ak_error **reterr)
{
    struct ak_pg_reader body = ak_pg_reader(self->body.data, self->body.len);
    const size_t n = ak_pg_get16(&body);

    if (n > AK_PG_MAX_RESULT_COLUMNS || a->oids)
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "the server's description of columns is not one");
    a->oids = ak_calloc(n + 1, sizeof(*a->oids));
    if (!a->oids)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < n; i++) {
        const char *name = ak_pg_gets(&body);
        const char *type;
        char number[24];
        json_t *column, *title;

        (void)ak_pg_get_bytes(&body, 6);
        a->oids[i] = ak_pg_get32(&body);
        (void)ak_pg_get_bytes(&body, 8);
        if (body.broken)
            return ak_error_set(reterr, AK_E_PROTOCOL,
                                "the server's description of columns is not one");
        type = ak_pg_type_name(a->oids[i]);
        (void)snprintf(number, sizeof(number), "oid %" PRIu32, a->oids[i]);
        title = ak_pg_value(25, name, strlen(name));
        if (!title)
            return ak_error_oom(reterr);
        column = json_pack("{s:o, s:s}", "name", title, "type", type ? type : number);
        if (!column || json_array_append_new(a->columns, column) < 0)
            return ak_error_oom(reterr);
    }
    a->n_columns = n;
    return 0;
}

static int on_row(struct ak_pg *self, struct answer *a, struct ak_error **reterr)
{
    struct ak_pg_reader body = ak_pg_reader(self->body.data, self->body.len);
    const size_t n = ak_pg_get16(&body);
    AK_AUTO_JSON *row = json_array();

    if (n != a->n_columns)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server sent a row of another length");
    if (!row)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < n; i++) {
        const uint32_t len = ak_pg_get32(&body);
        const bool is_null = len == UINT32_MAX;
        const uint8_t *data = is_null ? NULL : ak_pg_get_bytes(&body, len);

        if (body.broken)
            return ak_error_set(reterr, AK_E_PROTOCOL, "the server sent a row that is not one");
        if (json_array_append_new(
                row, is_null ? json_null() : ak_pg_value(a->oids[i], (const char *)data, len)) < 0)
            return ak_error_oom(reterr);
    }
    return json_array_append(a->rows, row) < 0 ? ak_error_oom(reterr) : 0;
}

/* A row that fits is kept; from the first one on that does not, all are dropped without ever being in memory whole. */
static int take_row(struct ak_pg *self, struct answer *a, uint32_t len, struct ak_error **reterr)
{
    const struct ak_pg_query *q = a->query;
    int r;

    if (a->truncated || (int64_t)json_array_size(a->rows) >= q->max_rows ||
        a->bytes + (int64_t)len > q->max_bytes || len > self->body.max) {
        a->truncated = true;
        /* The rest of a read need not be waited for. */
        return q->may_stop ? 1 : ak_pg_skip(self, len, reterr);
    }
    r = ak_pg_read_body(self, len, reterr);
    if (r >= 0)
        r = on_row(self, a, reterr);
    if (r >= 0)
        a->bytes += (int64_t)len;
    return r < 0 ? r : 0;
}

static int on_copy(struct ak_pg *self, struct answer *a, char type, struct ak_error **reterr)
{
    a->is_copy = true;
    if (type != 'G')
        return 0;
    /* While it waits for data the server ignores the Sync that it has. */
    if (ak_pg_put_message(&self->out, 'f', "COPY FROM STDIN is not possible here", 37) < 0 ||
        ak_pg_put_message(&self->out, 'S', NULL, 0) < 0)
        return ak_error_oom(reterr);
    return ak_pg_flush(self, reterr);
}

/* 1: that was all. */
static int on_message(struct ak_pg *self, struct answer *a, char type, uint32_t len,
                      struct ak_error **reterr)
{
    int r;

    if (type == 'D')
        return take_row(self, a, len, reterr);
    if (type == 'd') /* of a COPY; it ends with an error of ours */
        return ak_pg_skip(self, len, reterr);
    r = ak_pg_read_body(self, len, reterr);
    if (r >= 0)
        r = ak_pg_take_async(self, type, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    switch (type) {
    case 'T':
        return on_columns(self, a, reterr);
    case 'C':
        (void)snprintf(a->tag, sizeof(a->tag), "%s", ak_buf_text(&self->body));
        return 0;
    case 's':
        a->truncated = true;
        return 0;
    case 'G':
    case 'H':
    case 'W':
        return on_copy(self, a, type, reterr);
    case 'E':
        return self->is_broken ? 1 : 0;
    default:
        return type == 'Z';
    }
}

struct names {
    struct answer *a;
};

static int on_type_name(void *user, size_t n, const char *const *values)
{
    const struct names *names = user;

    for (size_t i = 0; n == 2 && values[0] && values[1] && i < names->a->n_columns; i++) {
        json_t *column = json_array_get(names->a->columns, i);
        char number[24];

        (void)snprintf(number, sizeof(number), "%" PRIu32, names->a->oids[i]);
        if (strcmp(number, values[0]) == 0)
            (void)json_object_set_new(column, "type", json_string(values[1]));
    }
    return 0;
}

/* Types that the database itself has made (enumerations, domains, extensions) are named by asking it; without
 * an answer they stay numbers. */
static void name_types(struct ak_pg *self, struct answer *a)
{
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(8192);
    struct names names = {a};
    size_t n = 0;
    int r = ak_buf_adds(&sql, "SELECT oid, pg_catalog.format_type(oid, NULL) FROM "
                              "pg_catalog.pg_type WHERE oid IN (0");

    for (size_t i = 0; r >= 0 && i < a->n_columns && n < MAX_STRANGE; i++) {
        if (ak_pg_type_name(a->oids[i]))
            continue;
        r = ak_buf_addf(&sql, ",%" PRIu32, a->oids[i]);
        n++;
    }
    if (r >= 0)
        r = ak_buf_adds(&sql, ")");
    if (r >= 0 && n)
        r = ak_pg_run(self, sql.data, on_type_name, &names, NULL);
    (void)r;
}

static int conclude(const struct answer *a, struct ak_pg_result *ret, struct ak_error **reterr)
{
    const int64_t shown = (int64_t)json_array_size(a->rows);
    const int64_t tagged = ak_pg_tag_rows(a->tag);

    ret->rows = a->n_columns && (a->query->may_stop || tagged < 0) ? shown : AK_MAX(tagged, 0);
    ret->bytes = a->bytes;
    ret->value = json_pack("{s:O, s:O, s:I, s:b}", "columns", a->columns, "rows", a->rows,
                           "rowCount", (json_int_t)ret->rows, "truncated", a->truncated);
    if (!ret->value ||
        (a->tag[0] && json_object_set_new(ret->value, "command", json_string(a->tag)) < 0)) {
        json_decref(ret->value);
        ret->value = NULL;
        return ak_error_oom(reterr);
    }
    return 0;
}

int ak_pg_query(struct ak_pg *self, const struct ak_pg_query *query, struct ak_pg_result *ret,
                struct ak_error **reterr)
{
    AK_AUTO(answer) a = {.query = query, .columns = json_array(), .rows = json_array()};
    int r;

    if (!a.columns || !a.rows)
        return ak_error_oom(reterr);
    self->error.sqlstate[0] = '\0';
    r = send_all(self, query, reterr);
    while (r == 0) {
        char type = 0;
        uint32_t len = 0;

        r = ak_pg_read_head(self, &type, &len, reterr);
        if (r >= 0)
            r = on_message(self, &a, type, len, reterr);
    }
    if (r < 0)
        return r;
    if (a.is_copy)
        return ak_error_set(reterr, -ENOTSUP, "COPY from or to a client is not possible here");
    if (self->error.sqlstate[0])
        return ak_pg_server_failed(self, reterr);
    if (a.truncated && query->may_stop)
        self->is_broken = true;
    else if (self->state != 'E')
        name_types(self, &a);
    return conclude(&a, ret, reterr);
}
