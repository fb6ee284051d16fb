/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type bigquery, by its REST API. Whoever only reads has a token that is for reading only, and its statement is shown
 * to the service first without being run: what that does not call a SELECT is refused.
 */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/rows.h"
#include "bastion/engines/http/types.h"

#define MAX_PATH 4096
#define MAX_PARAMS 1000
#define MAX_POLLS 10000
#define WAIT AK_SECONDS(20)      /* of the service, for one answer */
#define FIRST_WAIT AK_SECONDS(1) /* until the job has a name, by which it can be cancelled */

static int make_path(const struct ak_upstream *upstream, struct ak_buf *out, const char *what,
                     struct ak_error **reterr)
{
    int r = ak_buf_adds(out, "/bigquery/v2/projects/");

    if (r >= 0)
        r = ak_buf_add_url_escaped(out, upstream->target->spec->config->project);
    if (r >= 0)
        r = ak_buf_adds(out, what);
    return r < 0 ? ak_error_set(reterr, r, "path: %s", ak_code_text(r)) : 0;
}

/* .../datasets/D/tables[/TABLE] */
static int tables_path(const struct ak_upstream *upstream, const struct ak_call *call,
                       const char *table, struct ak_buf *out, struct ak_error **reterr)
{
    const char *schema = ak_json_text(call->arguments, "schema", NULL);
    const char *dataset = schema ? schema : upstream->target->spec->config->dataset;
    int r = make_path(upstream, out, "/datasets/", reterr);

    if (ak_is_empty(dataset))
        return ak_error_set(reterr, -EINVAL, "schema: the Tool names no dataset, say which");
    if (r >= 0)
        r = ak_buf_add_url_escaped(out, dataset);
    if (r >= 0)
        r = ak_buf_adds(out, table ? "/tables/" : "/tables?maxResults=1000");
    if (r >= 0 && table)
        r = ak_buf_add_url_escaped(out, table);
    return r < 0 ? ak_error_set(reterr, r, "path: %s", ak_code_text(r)) : 0;
}

/* --- a query --- */

static int add_params(json_t *query, const json_t *params, struct ak_error **reterr)
{
    AK_AUTO_JSON *list = json_array();
    size_t n = json_array_size(params);

    if (n > MAX_PARAMS)
        return ak_error_set(reterr, -EINVAL, "params: at most %d", MAX_PARAMS);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(params, i);
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
        const char *type = json_is_integer(value)   ? "INT64"
                           : json_is_real(value)    ? "FLOAT64"
                           : json_is_boolean(value) ? "BOOL"
                                                    : "STRING";
        int r = json_is_string(value) ? ak_buf_adds(&text, json_string_value(value))
                : json_is_null(value) ? 0
                                      : ak_json_write(value, &text, reterr);

        if (r < 0)
            return ak_error_set(reterr, r, "params[%zu]: %s", i, ak_code_text(r));
        if (json_array_append_new(list,
                                  json_pack("{s:{s:s}, s:{s:s?}}", "parameterType", "type", type,
                                            "parameterValue", "value",
                                            json_is_null(value) ? NULL : ak_buf_text(&text))) < 0)
            return ak_error_oom(reterr);
    }
    if (n && (json_object_set_new(query, "parameterMode", json_string("POSITIONAL")) < 0 ||
              json_object_set(query, "queryParameters", list) < 0))
        return ak_error_oom(reterr);
    return 0;
}

static int make_query(const struct ak_upstream *upstream, const struct ak_call *call, json_t **ret,
                      struct ak_error **reterr)
{
    const struct ak_tool_config *config = upstream->target->spec->config;
    const char *sql = ak_json_text(call->arguments, "sql", NULL);
    AK_AUTO_JSON *query = NULL;
    int r;

    if (!sql)
        return ak_error_set(reterr, -EINVAL, "sql: must be a text");
    query = json_pack("{s:s, s:b}", "query", sql, "useLegacySql", 0);
    if (!query || (!ak_is_empty(config->dataset) &&
                   json_object_set_new(query, "defaultDataset",
                                       json_pack("{s:s, s:s}", "projectId", config->project,
                                                 "datasetId", config->dataset)) < 0))
        return ak_error_oom(reterr);
    r = add_params(query, json_object_get(call->arguments, "params"), reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(query);
    return 0;
}

/*
 * Which kind of statement it is says a job that is not run. Only jobs.insert answers that, and the token of a reader
 * is not enough for it (the service's "Authorization scopes" of jobs.insert and jobs.query): this one question is
 * asked with a token for everything.
 */
static int check_select(struct ak_upstream *upstream, struct ak_call *call, json_t *query,
                        struct ak_error **reterr)
{
    const char *location = upstream->target->spec->config->location, *kind;
    AK_AUTO_PTR(ak_upstream) writer = NULL;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_JSON *job =
        json_pack("{s:{s:b, s:O}, s:{s:s*}}", "configuration", "dryRun", 1, "query", query,
                  "jobReference", "location", ak_is_empty(location) ? NULL : location);
    int r = job ? make_path(upstream, &path, "/jobs", reterr) : ak_error_oom(reterr);

    if (r >= 0 && call->read_only)
        r = ak_upstream_new(upstream->target, NULL, false, upstream->limits, &writer, reterr);
    if (r >= 0)
        r = ak_upstream_ask(writer ? writer : upstream, call, "POST", ak_buf_text(&path), job,
                            &tree, reterr);
    if (r < 0)
        return r;
    kind = ak_json_text(tree, "statistics", "query", "statementType", NULL);
    if (!ak_streq(kind, "SELECT"))
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "only one SELECT is run here; the service calls this %.40s",
                            kind ? kind : "something else");
    return 0;
}

static int add_page(const struct ak_upstream *upstream, json_t *query, int64_t rows,
                    struct ak_error **reterr)
{
    const char *location = upstream->target->spec->config->location;
    ak_msec left = AK_MAX(upstream->limits->deadline - ak_now(), (ak_msec)1);
    char job_timeout[24]; /* a text: an Int64Value */

    (void)snprintf(job_timeout, sizeof(job_timeout), "%lld", (long long)left);
    if (json_object_set_new(query, "maxResults", json_integer(rows)) < 0 ||
        json_object_set_new(query, "timeoutMs", json_integer(FIRST_WAIT)) < 0 ||
        json_object_set_new(query, "jobTimeoutMs", json_string(job_timeout)) < 0 ||
        (!ak_is_empty(location) &&
         json_object_set_new(query, "location", json_string(location)) < 0))
        return ak_error_oom(reterr);
    return 0;
}

/* "/queries/JOB" or "/jobs/JOB/cancel", with the job's location. */
static int job_path(const struct ak_upstream *upstream, struct ak_buf *out, const json_t *tree,
                    const char *before, const char *after, struct ak_error **reterr)
{
    const char *id = ak_json_text(tree, "jobReference", "jobId", NULL);
    const char *location = ak_json_text(tree, "jobReference", "location", NULL);
    int r;

    if (!id)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the service gave no job");
    r = make_path(upstream, out, before, reterr);
    if (r >= 0)
        r = ak_buf_add_url_escaped(out, id);
    if (r >= 0)
        r = ak_buf_adds(out, after);
    if (r >= 0 && location)
        r = ak_buf_adds(out, "location=");
    if (r >= 0 && location)
        r = ak_buf_add_url_escaped(out, location);
    return r < 0 ? ak_error_set(reterr, r, "path: %s", ak_code_text(r)) : 0;
}

static void cancel(const struct ak_upstream *upstream, const json_t *tree)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);

    if (job_path(upstream, &path, tree, "/jobs/", "/cancel?", NULL) >= 0)
        ak_upstream_abandon(upstream, ak_buf_text(&path));
}

/* An answer that says where the job is, until it is complete. A job for which nobody waits any more is cancelled. */
static int wait_for(struct ak_upstream *upstream, struct ak_call *call, int64_t rows, json_t **tree,
                    struct ak_error **reterr)
{
    int r = 0;

    for (int i = 0; r >= 0 && json_is_false(json_object_get(*tree, "jobComplete")); i++) {
        AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
        char page[96];
        json_t *next = NULL;

        (void)snprintf(page, sizeof(page), "?maxResults=%lld&timeoutMs=%lld&", (long long)rows,
                       (long long)WAIT);
        r = i < MAX_POLLS ? job_path(upstream, &path, *tree, "/queries/", page, reterr)
                          : ak_error_set(reterr, AK_E_PROTOCOL, "the job does not get on");
        if (r >= 0)
            r = ak_upstream_ask(upstream, call, "GET", ak_buf_text(&path), NULL, &next, reterr);
        if (r >= 0) {
            json_decref(*tree);
            *tree = next;
        } else if (ak_is_empty(call->ret_server_code)) {
            cancel(upstream, *tree);
        }
    }
    return r;
}

static json_t *value_of(const json_t *cell, const json_t *field)
{
    const char *type = ak_json_text(field, "type", NULL), *text;
    json_t *value = json_object_get(cell, "v");

    text = json_string_value(value);
    if (!text || !type || ak_streq(ak_json_text(field, "mode", NULL), "REPEATED"))
        return value ? json_incref(value) : json_null();
    if (ak_streq(type, "INTEGER") || ak_streq(type, "INT64") || ak_streq(type, "FLOAT") ||
        ak_streq(type, "FLOAT64"))
        return ak_rows_number(text);
    if (ak_streq(type, "BOOLEAN") || ak_streq(type, "BOOL"))
        return json_boolean(ak_streq(text, "true"));
    return json_string(text);
}

static int add_row(struct ak_rows *rows, const json_t *line, const json_t *fields,
                   struct ak_error **reterr)
{
    const json_t *cells = json_object_get(line, "f");
    json_t *row = json_array();
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_UPSTREAM_MAX_JSON);
    int r;

    for (size_t i = 0; row && i < json_array_size(fields); i++) {
        json_t *value = value_of(json_array_get(cells, i), json_array_get(fields, i));

        if (json_array_append_new(row, value) < 0) {
            json_decref(row);
            row = NULL;
        }
    }
    r = row ? ak_json_write(row, &text, reterr) : 0;
    if (r < 0) {
        json_decref(row);
        return r;
    }
    return ak_rows_add(rows, row, text.len, reterr);
}

static int take_rows(const json_t *tree, struct ak_call *call, int64_t max_rows,
                     struct ak_error **reterr)
{
    const json_t *fields = ak_json_at(tree, "schema", "fields", NULL);
    const json_t *list = json_object_get(tree, "rows");
    const char *affected = ak_json_text(tree, "numDmlAffectedRows", NULL);
    AK_AUTO(ak_rows) rows = {0};
    int64_t n = 0;
    int r = ak_rows_init(&rows, call, reterr);

    rows.max_rows = max_rows;
    for (size_t i = 0; r >= 0 && i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        const char *name = ak_json_text(field, "name", NULL),
                   *type = ak_json_text(field, "type", NULL);

        r = ak_rows_add_column(&rows, name ? name : "", type ? type : "", reterr);
    }
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
        r = add_row(&rows, json_array_get(list, i), fields, reterr);
    rows.truncated |= !ak_is_empty(ak_json_text(tree, "pageToken", NULL));
    r = r < 0 ? r : ak_rows_finish(&rows, call, reterr);
    if (r >= 0 && affected && ak_parse_i64(affected, &n) >= 0) {
        call->ret_rows = n;
        r = json_object_set_new(call->ret_result, "rowCount", json_integer(n));
    }
    return r < 0 ? ak_error_set(reterr, r, "result: %s", ak_code_text(r)) : 0;
}

static int call_sql(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                    struct ak_error **reterr)
{
    json_int_t wanted = json_integer_value(json_object_get(call->arguments, "maxRows"));
    int64_t max_rows = wanted > 0 ? AK_MIN(wanted, call->max_rows) : call->max_rows;
    bool reads = call->read_only || call->operation->at_most == AK_CLASS_READ;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_JSON *query = NULL;
    json_t *tree = NULL;
    int r = make_query(upstream, call, &query, reterr);

    (void)session;
    if (r >= 0 && reads)
        r = check_select(upstream, call, query, reterr);
    if (r >= 0)
        r = add_page(upstream, query, max_rows, reterr);
    if (r >= 0)
        r = make_path(upstream, &path, "/queries", reterr);
    if (r >= 0)
        r = ak_upstream_ask(upstream, call, "POST", ak_buf_text(&path), query, &tree, reterr);
    if (r >= 0)
        r = wait_for(upstream, call, max_rows, &tree, reterr);
    if (r >= 0)
        r = take_rows(tree, call, max_rows, reterr);
    json_decref(tree);
    return r;
}

/* --- tables --- */

static int three_columns(struct ak_rows *rows, const char *a, const char *b, const char *c,
                         struct ak_error **reterr)
{
    int r = ak_rows_add_column(rows, a, "STRING", reterr);

    if (r >= 0)
        r = ak_rows_add_column(rows, b, "STRING", reterr);
    return r < 0 ? r : ak_rows_add_column(rows, c, "STRING", reterr);
}

static int add_texts(struct ak_rows *rows, const char *a, const char *b, const char *c,
                     struct ak_error **reterr)
{
    return ak_rows_add(rows, json_pack("[s?, s?, s?]", a, b, c),
                       (a ? strlen(a) : 0) + (b ? strlen(b) : 0) + (c ? strlen(c) : 0), reterr);
}

static int call_list(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO(ak_rows) rows = {0};
    AK_AUTO_JSON *tree = NULL;
    const json_t *list;
    int r = tables_path(upstream, call, NULL, &path, reterr);

    (void)session;
    if (r >= 0)
        r = ak_upstream_ask(upstream, call, "GET", ak_buf_text(&path), NULL, &tree, reterr);
    if (r >= 0)
        r = ak_rows_init(&rows, call, reterr);
    if (r >= 0)
        r = three_columns(&rows, "schema", "name", "type", reterr);
    list = tree ? json_object_get(tree, "tables") : NULL;
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        r = add_texts(&rows, ak_json_text(item, "tableReference", "datasetId", NULL),
                      ak_json_text(item, "tableReference", "tableId", NULL),
                      ak_json_text(item, "type", NULL), reterr);
    }
    rows.truncated |= tree && ak_json_text(tree, "nextPageToken", NULL);
    return r < 0 ? r : ak_rows_finish(&rows, call, reterr);
}

static int call_describe(struct ak_upstream *upstream, struct ak_session *session,
                         struct ak_call *call, struct ak_error **reterr)
{
    const char *table = ak_json_text(call->arguments, "table", NULL);
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO(ak_rows) rows = {0};
    AK_AUTO_JSON *tree = NULL;
    const json_t *fields;
    int r;

    (void)session;
    if (ak_is_empty(table))
        return ak_error_set(reterr, -EINVAL, "table: must be a name");
    r = tables_path(upstream, call, table, &path, reterr);
    if (r >= 0)
        r = ak_upstream_ask(upstream, call, "GET", ak_buf_text(&path), NULL, &tree, reterr);
    if (r >= 0)
        r = ak_rows_init(&rows, call, reterr);
    if (r >= 0)
        r = three_columns(&rows, "name", "type", "mode", reterr);
    fields = tree ? ak_json_at(tree, "schema", "fields", NULL) : NULL;
    for (size_t i = 0; r == 0 && i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);

        r = add_texts(&rows, ak_json_text(field, "name", NULL), ak_json_text(field, "type", NULL),
                      ak_json_text(field, "mode", NULL), reterr);
    }
    return r < 0 ? r : ak_rows_finish(&rows, call, reterr);
}

/* --- probe: a query that costs nothing, because it is not run --- */

static int probe(struct ak_upstream *upstream, struct ak_probe_result *ret,
                 struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_JSON *query =
        json_pack("{s:s, s:b, s:b}", "query", "SELECT 1", "useLegacySql", 0, "dryRun", 1);
    char words[512];
    int status = 0,
        r = query ? make_path(upstream, &path, "/queries", reterr) : ak_error_oom(reterr);

    if (r >= 0)
        r = ak_upstream_json(upstream, "POST", ak_buf_text(&path), query, &status, &tree, reterr);
    if (r < 0)
        return r;
    (void)snprintf(ret->server, sizeof(ret->server), "BigQuery");
    ak_upstream_words(status, tree, NULL, 0, words, sizeof(words));
    ak_http_probe_status(ret, status, words);
    if (status >= 300) {
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

const struct ak_http_type ak_http_type_bigquery = {
    .type = AK_TOOL_TYPE_BIGQUERY,
    .operations = operations,
    .probe = probe,
    .client = ak_http_curl_client,
};
