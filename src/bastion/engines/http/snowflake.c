/* SPDX-License-Identifier: Apache-2.0 */
/* Type snowflake, by its SQL API (version 2) with a key pair; one statement a request (MULTI_STATEMENT_COUNT). */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/rows.h"
#include "bastion/engines/http/types.h"

#define STATEMENTS "/api/v2/statements"
#define MAX_PARAMS 1000
#define MAX_POLLS 10000
#define PAUSE 500

static int set_text(json_t *body, const char *name, const char *value)
{
    return ak_is_empty(value) ? 0 : json_object_set_new(body, name, json_string(value));
}

/* {"1": {"type": "TEXT", "value": "..."}, ...}: every value is a text on the wire, null is null. */
static int set_bindings(json_t *body, const json_t *params, struct ak_error **reterr)
{
    AK_AUTO_JSON *bindings = json_object();
    size_t n = json_array_size(params);

    if (n > MAX_PARAMS)
        return ak_error_set(reterr, -EINVAL, "params: at most %d", MAX_PARAMS);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(params, i);
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
        const char *type = json_is_integer(value)   ? "FIXED"
                           : json_is_real(value)    ? "REAL"
                           : json_is_boolean(value) ? "BOOLEAN"
                                                    : "TEXT";
        char key[24];
        int r = json_is_string(value) ? ak_buf_adds(&text, json_string_value(value))
                : json_is_null(value) ? 0
                                      : ak_json_write(value, &text, reterr);

        (void)snprintf(key, sizeof(key), "%zu", i + 1);
        if (r < 0)
            return ak_error_set(reterr, r, "params[%zu]: %s", i, ak_code_text(r));
        if (json_object_set_new(bindings, key,
                                json_pack("{s:s, s:s?}", "type", type, "value",
                                          json_is_null(value) ? NULL : ak_buf_text(&text))) < 0)
            return ak_error_oom(reterr);
    }
    return n && json_object_set(body, "bindings", bindings) < 0 ? ak_error_oom(reterr) : 0;
}

static const char *role_of(const struct ak_tool_spec *spec)
{
    const struct ak_tool_permissions *p = spec->permissions;

    return p && p->roles.len ? p->roles.items[0] : spec->config->role;
}

static int make_body(const struct ak_upstream *upstream, const char *sql, const json_t *params,
                     json_t **ret, struct ak_error **reterr)
{
    const struct ak_tool_spec *spec = upstream->target->spec;
    ak_msec left = (upstream->limits->deadline - ak_now()) / 1000;
    AK_AUTO_JSON *body =
        json_pack("{s:s, s:I, s:{s:s}}", "statement", sql, "timeout",
                  (json_int_t)AK_MAX(left, (ak_msec)1), "parameters", "MULTI_STATEMENT_COUNT", "1");
    int r;

    if (!body || set_text(body, "database", spec->config->database_name) < 0 ||
        set_text(body, "schema", spec->config->schema) < 0 ||
        set_text(body, "warehouse", spec->config->warehouse) < 0 ||
        set_text(body, "role", role_of(spec)) < 0)
        return ak_error_oom(reterr);
    r = set_bindings(body, params, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(body);
    return 0;
}

/* Only what a handle is made of: it becomes a part of a path. */
static bool is_handle(const char *text)
{
    return text && *text && strlen(text) <= 64 && !text[strspn(text, "0123456789abcdefABCDEF-")];
}

static int ask_again(struct ak_upstream *upstream, const char *handle, int *ret_status,
                     json_t **ret, struct ak_error **reterr)
{
    char path[160];

    if (upstream->limits->cancel && ak_cancel_sleep(upstream->limits->cancel, PAUSE))
        return ak_error_set(reterr, AK_E_CANCELLED, "the statement was cancelled");
    (void)snprintf(path, sizeof(path), STATEMENTS "/%s", handle);
    return ak_upstream_json(upstream, "GET", path, NULL, ret_status, ret, reterr);
}

/* Runs it to its end; 202 is "still running". What nobody waits for any more is cancelled. */
static int run(struct ak_upstream *upstream, const char *sql, const json_t *params, int *ret_status,
               json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *body = NULL, *tree = NULL;
    char path[160];
    int r = make_body(upstream, sql, params, &body, reterr);

    if (r >= 0)
        r = ak_upstream_json(upstream, "POST", STATEMENTS, body, ret_status, &tree, reterr);
    for (int i = 0; r >= 0 && *ret_status == 202; i++) {
        const char *handle = tree ? ak_json_text(tree, "statementHandle", NULL) : NULL;
        json_t *next = NULL;

        if (!is_handle(handle))
            return ak_error_set(reterr, AK_E_PROTOCOL, "the server gave no statementHandle");
        r = i < MAX_POLLS ? ask_again(upstream, handle, ret_status, &next, reterr)
                          : ak_error_set(reterr, AK_E_PROTOCOL, "the statement does not get on");
        if (r < 0) {
            (void)snprintf(path, sizeof(path), STATEMENTS "/%s/cancel", handle);
            ak_upstream_abandon(upstream, path);
            return r;
        }
        json_decref(tree);
        tree = next;
    }
    if (r < 0)
        return r;
    *ret = AK_TAKE(tree);
    return 0;
}

static json_t *value_of(const json_t *cell, const json_t *column)
{
    const char *text = json_string_value(cell), *type = ak_json_text(column, "type", NULL);

    if (!text || !type)
        return text ? json_string(text) : json_null();
    if (ak_streq(type, "boolean"))
        return json_boolean(ak_streq(text, "true") || ak_streq(text, "1"));
    if (ak_streq(type, "fixed") || ak_streq(type, "real"))
        return ak_rows_number(text);
    return json_string(text);
}

static int add_row(struct ak_rows *rows, const json_t *line, const json_t *columns,
                   struct ak_error **reterr)
{
    json_t *row = json_array();
    size_t bytes = 0;

    for (size_t i = 0; row && i < json_array_size(columns); i++) {
        const json_t *cell = json_array_get(line, i);

        bytes += json_string_length(cell) + 1;
        if (json_array_append_new(row, value_of(cell, json_array_get(columns, i))) < 0) {
            json_decref(row);
            row = NULL;
        }
    }
    return ak_rows_add(rows, row, bytes, reterr);
}

static int take_rows(const json_t *tree, struct ak_call *call, struct ak_error **reterr)
{
    const json_t *columns = ak_json_at(tree, "resultSetMetaData", "rowType", NULL);
    const json_t *data = json_object_get(tree, "data");
    AK_AUTO(ak_rows) rows = {0};
    json_int_t wanted = json_integer_value(json_object_get(call->arguments, "maxRows"));
    int r = ak_rows_init(&rows, call, reterr);

    rows.max_rows = wanted > 0 ? AK_MIN(wanted, call->max_rows) : call->max_rows;
    for (size_t i = 0; r >= 0 && i < json_array_size(columns); i++) {
        const json_t *column = json_array_get(columns, i);
        const char *name = ak_json_text(column, "name", NULL),
                   *type = ak_json_text(column, "type", NULL);

        r = ak_rows_add_column(&rows, name ? name : "", type ? type : "", reterr);
    }
    for (size_t i = 0; r == 0 && i < json_array_size(data); i++)
        r = add_row(&rows, json_array_get(data, i), columns, reterr);
    /* Further partitions of a large result are not fetched. */
    if (json_array_size(ak_json_at(tree, "resultSetMetaData", "partitionInfo", NULL)) > 1)
        rows.truncated = true;
    return r < 0 ? r : ak_rows_finish(&rows, call, reterr);
}

static int statement(struct ak_upstream *upstream, struct ak_call *call, const char *sql,
                     const json_t *params, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    const char *state;
    char words[1024];
    int status = 0, r;

    if (!sql)
        return ak_error_set(reterr, -EINVAL, "sql: must be a text");
    r = run(upstream, sql, params, &status, &tree, reterr);
    if (r < 0)
        return r;
    if (status == 200 && tree)
        return take_rows(tree, call, reterr);
    state = tree ? ak_json_text(tree, "sqlState", NULL) : NULL;
    if (state)
        (void)snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%.32s", state);
    else
        (void)snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%d", status);
    ak_upstream_words(status, tree, NULL, 0, words, sizeof(words));
    return ak_error_set(reterr, ak_upstream_code(status), "%s", words);
}

static int call_sql(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                    struct ak_error **reterr)
{
    (void)session;
    return statement(upstream, call, ak_json_text(call->arguments, "sql", NULL),
                     json_object_get(call->arguments, "params"), reterr);
}

/* Names are compared as they are stored; unquoted ones in capitals. */
static int catalog(struct ak_upstream *upstream, struct ak_call *call, const char *select,
                   const char *order, struct ak_error **reterr)
{
    const char *schema = ak_json_text(call->arguments, "schema", NULL);
    const char *table = ak_json_text(call->arguments, "table", NULL);
    AK_AUTO_JSON *params = json_array();
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(4096);
    int r =
        ak_buf_addf(&sql, "%s WHERE table_schema = %s", select, schema ? "?" : "CURRENT_SCHEMA()");

    if (r >= 0 && table)
        r = ak_buf_adds(&sql, " AND table_name = ?");
    if (r >= 0)
        r = ak_buf_addf(&sql, " ORDER BY %s", order);
    if (r < 0 || !params || (schema && json_array_append_new(params, json_string(schema)) < 0) ||
        (table && json_array_append_new(params, json_string(table)) < 0))
        return ak_error_oom(reterr);
    return statement(upstream, call, ak_buf_text(&sql), params, reterr);
}

static int call_list(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                     struct ak_error **reterr)
{
    (void)session;
    return catalog(upstream, call,
                   "SELECT table_schema, table_name, table_type FROM information_schema.tables",
                   "table_name", reterr);
}

static int call_describe(struct ak_upstream *upstream, struct ak_session *session,
                         struct ak_call *call, struct ak_error **reterr)
{
    (void)session;
    return catalog(upstream, call,
                   "SELECT column_name, data_type, is_nullable, column_default FROM "
                   "information_schema.columns",
                   "ordinal_position", reterr);
}

static int probe(struct ak_upstream *upstream, struct ak_probe_result *ret,
                 struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    const char *version;
    char words[512];
    int status = 0, r = run(upstream, "SELECT CURRENT_VERSION()", NULL, &status, &tree, reterr);

    if (r < 0)
        return r;
    version = json_string_value(
        json_array_get(json_array_get(tree ? json_object_get(tree, "data") : NULL, 0), 0));
    (void)snprintf(ret->server, sizeof(ret->server), "Snowflake%s%.64s", version ? " " : "",
                   version ? version : "");
    ak_upstream_words(status, tree, NULL, 0, words, sizeof(words));
    ak_http_probe_status(ret, status, words);
    if (status != 200) { /* 422: logged in, but not with this role, warehouse or database */
        ret->authorised = false;
        ak_http_probe_message(ret, "HTTP %d: %s", status, words);
    }
    return 0;
}

static const struct ak_http_operation operations[] = {{"query", call_sql},
                                                      {"execute", call_sql},
                                                      {"list_tables", call_list},
                                                      {"describe_table", call_describe},
                                                      {NULL, NULL}};

const struct ak_http_type ak_http_type_snowflake = {
    .type = AK_TOOL_TYPE_SNOWFLAKE,
    .operations = operations,
    .probe = probe,
    .client = ak_http_curl_client,
};
