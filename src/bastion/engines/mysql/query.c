/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/query.h"

#include <string.h>

#include <ak/base/alloc.h>

#include "bastion/engines/mysql/value.h"

#define META_MAX (64u << 10)  /* of one packet that is not a row */
#define ROW_SLACK (64u << 10) /* what a row's packet may have beside its values */
#define INNER_BYTES (1 << 20)
#define SETS_MAX 1024 /* result sets of one statement that are read to their end */

void ak_mysql_result_done(struct ak_mysql_result *self)
{
    json_decref(self->columns);
    json_decref(self->rows);
    *self = (struct ak_mysql_result){0};
}

/* A result while it is read. */
struct reading {
    struct ak_mysql *db;
    struct ak_mysql_limits limits;
    struct ak_mysql_result result;
    struct ak_mysql_column *columns; /* in the arena */
    size_t n_columns;
    struct ak_arena arena;
    bool is_binary;
    bool is_first; /* of the sets of rows: the one that is kept */
};

static int refused(struct ak_mysql *db, const uint8_t *data, size_t len, struct ak_error **reterr)
{
    struct ak_mysql_err err;

    if (ak_mysql_parse_err(data, len, &err) < 0)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server's error cannot be read");
    ak_mysql_set_refusal(db, &err);
    return ak_mysql_err_set(&err, AK_E_INVALID, reterr);
}

static int not_understood(struct ak_error **reterr)
{
    return ak_error_set(reterr, AK_E_PROTOCOL, "the server's answer does not follow the protocol");
}

static bool is_eof(const uint8_t *data, size_t len)
{
    return len && data[0] == 0xfe && len < 9;
}

/* Status of an EOF; its length was checked. */
static uint16_t eof_status(const uint8_t *data, size_t len)
{
    return len >= 5 ? (uint16_t)(data[3] | data[4] << 8) : 0;
}

static int add_column(struct reading *self, const struct ak_mysql_column *column)
{
    json_t *entry = json_object();
    int r = entry ? 0 : -1;

    /* A name need not be UTF-8 where the server does not convert it. */
    if (r == 0 && json_object_set_new(entry, "name", json_string(column->name)) < 0)
        r = json_object_set_new(entry, "name", json_string("?"));
    if (r == 0)
        r = json_object_set_new(entry, "type", json_string(ak_mysql_type_name(column)));
    if (r < 0) {
        json_decref(entry);
        return -ENOMEM;
    }
    return json_array_append_new(self->result.columns, entry) < 0 ? -ENOMEM : 0;
}

static int read_columns(struct reading *self, size_t n, struct ak_error **reterr)
{
    const uint8_t *data;
    size_t len;
    int r = 0;

    self->columns = ak_arena_alloc(&self->arena, (n + 1) * sizeof(*self->columns));
    if (!self->columns)
        return ak_error_oom(reterr);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        r = ak_mysql_receive(self->db, META_MAX, &data, &len, reterr);
        if (r >= 0)
            r = ak_mysql_parse_column(data, len, &self->arena, &self->columns[i], reterr);
        if (r >= 0 && self->is_first && add_column(self, &self->columns[i]) < 0)
            r = ak_error_oom(reterr);
    }
    if (r < 0)
        return r;
    self->n_columns = n;
    r = ak_mysql_receive(self->db, META_MAX, &data, &len, reterr);
    if (r >= 0 && !is_eof(data, len))
        return not_understood(reterr);
    return r;
}

static json_t *read_value(struct reading *self, struct ak_mysql_reader *in, size_t i,
                          const uint8_t *nulls)
{
    if (!self->is_binary)
        return ak_mysql_text_value(&self->columns[i], in);
    if (nulls[(i + 2) / 8] & 1u << ((i + 2) % 8))
        return json_null();
    return ak_mysql_binary_value(&self->columns[i], in);
}

static int add_row(struct reading *self, const uint8_t *data, size_t len, struct ak_error **reterr)
{
    struct ak_mysql_reader in = ak_mysql_reader_of(data, len);
    const uint8_t *nulls = NULL;
    json_t *row = json_array();
    int r = row ? 0 : ak_error_oom(reterr);

    if (self->is_binary) {
        ak_mysql_read_int(&in, 1);
        nulls = ak_mysql_read_bytes(&in, (self->n_columns + 9) / 8);
        if (!nulls)
            r = r < 0 ? r : not_understood(reterr);
    }
    for (size_t i = 0; r >= 0 && i < self->n_columns; i++) {
        json_t *value = read_value(self, &in, i, nulls);

        if (in.is_bad) {
            json_decref(value);
            r = not_understood(reterr);
        } else if (!value || json_array_append_new(row, value) < 0) {
            r = ak_error_oom(reterr);
        }
    }
    if (r < 0) {
        json_decref(row);
        return r;
    }
    self->result.bytes += (int64_t)len;
    if (json_array_append_new(self->result.rows, row) < 0)
        return ak_error_oom(reterr);
    return 0;
}

/* Whether a row of that many bytes still fits. */
static bool has_room(const struct reading *self, size_t len)
{
    return (int64_t)json_array_size(self->result.rows) < self->limits.max_rows &&
           (int64_t)len <= self->limits.max_bytes - self->result.bytes;
}

/* One row; 1: it was the last that is wanted. */
static int take_row(struct reading *self, const uint8_t *data, size_t len, struct ak_error **reterr)
{
    if (!self->is_first)
        return 0;
    self->result.n_rows++;
    if (!self->result.truncated && data && has_room(self, len))
        return add_row(self, data, len, reterr);
    self->result.truncated = true;
    self->result.is_broken_off = self->limits.may_stop;
    return self->limits.may_stop;
}

/* Rows to the end of their set; *ret_more: another one follows. */
static int read_rows(struct reading *self, bool *ret_more, struct ak_error **reterr)
{
    const uint8_t *data;
    size_t len;
    int r = 0;

    while (r == 0) {
        AK_AUTO_PTR(ak_error) err = NULL;

        r = ak_mysql_receive(self->db, (size_t)self->limits.max_bytes + ROW_SLACK, &data, &len,
                             &err);
        if (r == AK_E_TOO_LARGE) {
            r = take_row(self, NULL, 0, reterr);
        } else if (r < 0) {
            if (reterr)
                *reterr = AK_TAKE(err);
        } else if (is_eof(data, len)) {
            *ret_more = eof_status(data, len) & AK_MYSQL_STATUS_MORE_RESULTS;
            return 0;
        } else if (len && data[0] == 0xff) {
            return refused(self->db, data, len, reterr);
        } else {
            r = take_row(self, data, len, reterr);
        }
    }
    return r < 0 ? r : 0;
}

static int read_set(struct reading *self, bool *ret_more, struct ak_error **reterr)
{
    const uint8_t *data;
    struct ak_mysql_reader in;
    uint64_t n;
    size_t len;
    int r = ak_mysql_receive(self->db, META_MAX, &data, &len, reterr);

    if (r < 0)
        return r;
    if (!len || data[0] == 0xfb)
        return not_understood(reterr);
    if (data[0] == 0xff)
        return refused(self->db, data, len, reterr);
    if (data[0] == 0x00) {
        if (ak_mysql_parse_ok(data, len, &self->result.ok) < 0)
            return not_understood(reterr);
        *ret_more = self->result.ok.status & AK_MYSQL_STATUS_MORE_RESULTS;
        return 0;
    }
    in = ak_mysql_reader_of(data, len);
    n = ak_mysql_read_lenenc(&in, NULL);
    if (in.is_bad || n > AK_MYSQL_MAX_COLUMNS)
        return not_understood(reterr);
    self->is_first = !self->result.has_rows;
    self->result.has_rows = true;
    r = read_columns(self, (size_t)n, reterr);
    return r < 0 ? r : read_rows(self, ret_more, reterr);
}

static int read_result(struct ak_mysql *db, bool is_binary, const struct ak_mysql_limits *limits,
                       struct ak_mysql_result *ret, struct ak_error **reterr)
{
    struct reading self = {.db = db, .is_binary = is_binary};
    bool more = true;
    int r = 0;

    self.limits.max_rows = limits && limits->max_rows > 0 ? limits->max_rows : AK_MYSQL_INNER_ROWS;
    self.limits.max_bytes = limits && limits->max_bytes > 0 ? limits->max_bytes : INNER_BYTES;
    self.limits.may_stop = limits && limits->may_stop;
    ak_arena_init(&self.arena, 1024, 16u << 20);
    self.result.columns = json_array();
    self.result.rows = json_array();
    if (!self.result.columns || !self.result.rows)
        r = ak_error_oom(reterr);
    for (int i = 0; r >= 0 && more && !self.result.is_broken_off; i++) {
        more = false;
        r = i < SETS_MAX ? read_set(&self, &more, reterr)
                         : ak_error_set(reterr, AK_E_TOO_LARGE,
                                        "the statement gives too many "
                                        "results");
    }
    ak_arena_done(&self.arena);
    if (r < 0) {
        ak_mysql_result_done(&self.result);
        return r;
    }
    *ret = self.result;
    return 0;
}

int ak_mysql_query(struct ak_mysql *self, const char *sql, size_t len,
                   const struct ak_mysql_limits *limits, struct ak_mysql_result *ret,
                   struct ak_error **reterr)
{
    int r = ak_mysql_send(self, AK_MYSQL_COM_QUERY, sql, len, reterr);

    return r < 0 ? r : read_result(self, false, limits, ret, reterr);
}

/* ---- prepared ---- */

/* Definitions that nobody needs, and the EOF behind them. */
static int skip_columns(struct ak_mysql *self, size_t n, struct ak_error **reterr)
{
    const uint8_t *data;
    size_t len;
    int r = 0;

    for (size_t i = 0; n && r >= 0 && i < n + 1; i++)
        r = ak_mysql_receive(self, META_MAX, &data, &len, reterr);
    return r;
}

static int prepare(struct ak_mysql *self, const char *sql, size_t len, uint32_t *ret_id,
                   size_t *ret_params, struct ak_error **reterr)
{
    struct ak_mysql_reader in;
    const uint8_t *data;
    size_t answer, columns;
    int r = ak_mysql_send(self, AK_MYSQL_COM_STMT_PREPARE, sql, len, reterr);

    if (r >= 0)
        r = ak_mysql_receive(self, META_MAX, &data, &answer, reterr);
    if (r < 0)
        return r;
    if (answer && data[0] == 0xff)
        return refused(self, data, answer, reterr);
    in = ak_mysql_reader_of(data, answer);
    if (ak_mysql_read_int(&in, 1) != 0)
        return not_understood(reterr);
    *ret_id = (uint32_t)ak_mysql_read_int(&in, 4);
    columns = (size_t)ak_mysql_read_int(&in, 2);
    *ret_params = (size_t)ak_mysql_read_int(&in, 2);
    if (in.is_bad)
        return not_understood(reterr);
    r = skip_columns(self, *ret_params, reterr);
    return r < 0 ? r : skip_columns(self, columns, reterr);
}

static int put_params(const json_t *params, struct ak_buf *out, struct ak_error **reterr)
{
    const size_t n = json_array_size(params);
    AK_AUTO(ak_buf) nulls = AK_BUF_INIT(AK_MYSQL_MAX_PARAMS / 8 + 1);
    AK_AUTO(ak_buf) types = AK_BUF_INIT(2 * AK_MYSQL_MAX_PARAMS + 2);
    AK_AUTO(ak_buf) values = AK_BUF_INIT(64u << 20);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const json_t *value = json_array_get(params, i);
        uint16_t type;

        r = ak_mysql_put_param(value, &values, &type, reterr);
        if (r < 0)
            return r;
        r = ak_mysql_put_int(&types, type, 2);
        if (r >= 0 && i % 8 == 0)
            r = ak_mysql_put_int(&nulls, 0, 1);
        if (r >= 0 && json_is_null(value))
            nulls.data[i / 8] |= (char)(1u << (i % 8));
    }
    if (r >= 0 && n)
        r = ak_buf_add(out, nulls.data, nulls.len);
    if (r >= 0 && n)
        r = ak_mysql_put_int(out, 1, 1); /* types follow */
    if (r >= 0 && n)
        r = ak_buf_add(out, types.data, types.len);
    if (r >= 0 && values.len)
        r = ak_buf_add(out, values.data, values.len);
    return r < 0 ? ak_error_set(reterr, r, "the parameters are too long") : 0;
}

int ak_mysql_execute(struct ak_mysql *self, const char *sql, size_t len, const json_t *params,
                     const struct ak_mysql_limits *limits, struct ak_mysql_result *ret,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) message = AK_BUF_INIT(65u << 20);
    uint32_t id = 0;
    size_t wanted = 0;
    int r = prepare(self, sql, len, &id, &wanted, reterr);

    if (r < 0)
        return r;
    if (wanted != json_array_size(params))
        return ak_error_set(reterr, AK_E_INVALID,
                            "the statement has %zu parameters (?), but %zu values are given",
                            wanted, json_array_size(params));
    /* The statement, no cursor, one time. */
    r = ak_mysql_put_int(&message, id, 4);
    if (r >= 0)
        r = ak_mysql_put_int(&message, 0, 1);
    if (r >= 0)
        r = ak_mysql_put_int(&message, 1, 4);
    if (r < 0)
        return ak_error_oom(reterr);
    r = put_params(params, &message, reterr);
    if (r >= 0)
        r = ak_mysql_send(self, AK_MYSQL_COM_STMT_EXECUTE, message.data, message.len, reterr);
    return r < 0 ? r : read_result(self, true, limits, ret, reterr);
}

int ak_mysql_do(struct ak_mysql *self, const char *sql, struct ak_error **reterr)
{
    AK_AUTO(ak_mysql_result) result = {0};

    return ak_mysql_query(self, sql, strlen(sql), NULL, &result, reterr);
}

const char *ak_mysql_text_at(const struct ak_mysql_result *result, size_t row, size_t column)
{
    return json_string_value(json_array_get(json_array_get(result->rows, row), column));
}
