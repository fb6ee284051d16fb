/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type clickhouse, over its HTTP interface: one statement a request by construction. Whoever only reads has
 * readonly=1 in the request, which the server takes for the whole of it: neither SQL nor another parameter undoes it.
 */
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/clickhouse_result.h"
#include "bastion/engines/http/provision.h"
#include "bastion/engines/http/types.h"

#define MAX_URL (12u << 10)
#define MAX_PARAMS 100
#define CODE_READONLY 164

struct statement {
    const char *sql;
    size_t len;
    bool read_only;
    bool
        with_settings; /* limits of time and rows; a user whose profile is read-only cannot set any */
    const json_t *params;
    int64_t max_rows;
};

static int add_param(struct ak_buf *url, size_t i, const json_t *value, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64u << 10);
    int r = 0;

    if (json_is_string(value))
        r = ak_buf_add(&text, json_string_value(value), json_string_length(value));
    else if (!json_is_null(value))
        r = ak_json_write(value, &text, reterr);
    else
        r = ak_buf_adds(&text, "\\N");
    if (r >= 0)
        r = ak_buf_addf(url, "&param_p%zu=", i + 1);
    if (r >= 0)
        r = ak_buf_add_url_escaped(url, ak_buf_text(&text));
    return r < 0 ? ak_error_set(reterr, r, "params[%zu]: %s", i, ak_code_text(r)) : 0;
}

static int make_url(const struct ak_upstream *upstream, const struct statement *s,
                    struct ak_buf *url, struct ak_error **reterr)
{
    const char *database = upstream->target->spec->config->database_name;
    ak_msec left = upstream->limits->deadline - ak_now();
    int r = ak_buf_adds(url, "/?default_format=TabSeparatedWithNamesAndTypes");

    if (r >= 0 && !ak_is_empty(database)) {
        r = ak_buf_adds(url, "&database=");
        if (r >= 0)
            r = ak_buf_add_url_escaped(url, database);
    }
    if (r >= 0 && s->with_settings)
        r = ak_buf_addf(url, "&max_execution_time=%lld",
                        (long long)AK_MAX(left / 1000, (ak_msec)1));
    if (r >= 0 && s->with_settings && s->max_rows)
        r = ak_buf_addf(url, "&max_result_rows=%lld&result_overflow_mode=break",
                        (long long)s->max_rows + 1);
    if (r >= 0 && s->with_settings && s->read_only)
        r = ak_buf_adds(url, "&readonly=1");
    if (json_array_size(s->params) > MAX_PARAMS)
        return ak_error_set(reterr, -EINVAL, "params: at most %d, named {p1:Type}, {p2:Type} ...",
                            MAX_PARAMS);
    for (size_t i = 0; r >= 0 && i < json_array_size(s->params); i++)
        r = add_param(url, i, json_array_get(s->params, i), reterr);
    return r < 0 ? ak_error_set(reterr, r, "request: %s", ak_code_text(r)) : 0;
}

static int send(struct ak_upstream *upstream, const struct statement *s, size_t max_bytes,
                struct ak_fetch_reply *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) url = AK_BUF_INIT(MAX_URL);
    struct ak_http_request req = {.method = "POST",
                                  .content_type = "text/plain; charset=utf-8",
                                  .body = s->sql,
                                  .body_len = s->len};
    int r = make_url(upstream, s, &url, reterr);

    req.path = ak_buf_text(&url);
    return r < 0 ? r : ak_upstream_fetch(upstream, &req, max_bytes, ret, reterr);
}

/* Whether the user's profile, which no request changes, says that it reads only: 1, or 2 (with settings of one's
 * own). */
static int look_at_profile(struct ak_upstream *upstream, bool *ret_reads, struct ak_error **reterr)
{
    static const char sql[] =
        "SELECT value FROM system.settings WHERE name = 'readonly' FORMAT TabSeparated";
    const struct statement s = {.sql = sql, .len = sizeof(sql) - 1};
    AK_AUTO(ak_fetch_reply) reply = {0};
    int r = send(upstream, &s, 4096, &reply, reterr);
    const char *value = ak_buf_text(&reply.body);

    if (r < 0)
        return r;
    *ret_reads = reply.status == 200 && (value[0] == '1' || value[0] == '2');
    return 0;
}

/*
 * A user whose profile says readonly refuses every setting, and needs none of ours. The refusal of a statement that
 * writes has the same code: without readonly=1 it would be run, so what the profile says is asked for.
 */
static int run(struct ak_upstream *upstream, struct statement *s, size_t max_bytes,
               struct ak_fetch_reply *ret, struct ak_error **reterr)
{
    bool reads = false;
    int r;

    s->with_settings = true;
    r = send(upstream, s, max_bytes, ret, reterr);
    if (r < 0 || ret->status == 200 ||
        ak_clickhouse_code(ret->body.data, ret->body.len) != CODE_READONLY)
        return r;
    r = look_at_profile(upstream, &reads, reterr);
    if (r < 0 || !reads)
        return r;
    ak_fetch_reply_done(ret);
    *ret = (struct ak_fetch_reply){0};
    s->with_settings = false;
    return send(upstream, s, max_bytes, ret, reterr);
}

int ak_http_clickhouse_run(struct ak_upstream *upstream, const char *sql,
                           struct ak_fetch_reply *ret, struct ak_error **reterr)
{
    const struct statement s = {.sql = sql, .len = strlen(sql)};

    return send(upstream, &s, AK_UPSTREAM_MAX_JSON, ret, reterr);
}

static int failed(const struct ak_fetch_reply *reply, struct ak_call *call,
                  struct ak_error **reterr)
{
    int code = ak_clickhouse_code(reply->body.data, reply->body.len);
    char words[1024];

    ak_upstream_words(reply->status, NULL, ak_buf_text(&reply->body), reply->body.len, words,
                      sizeof(words));
    (void)snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%d",
                   code ? code : reply->status);
    return ak_error_set(reterr, code ? AK_E_INVALID : ak_upstream_code(reply->status), "%s", words);
}

/* A FORMAT of the statement's own gives what it gives. */
static int text_result(const struct ak_fetch_reply *reply, struct ak_call *call,
                       struct ak_error **reterr)
{
    json_t *text = json_stringn(ak_buf_text(&reply->body), reply->body.len);

    call->ret_result =
        json_pack("{s:o, s:b}", "text", text ? text : json_string("(the answer is not UTF-8)"),
                  "truncated", reply->is_cut);
    call->ret_bytes = (int64_t)reply->body.len;
    return call->ret_result ? 0 : ak_error_oom(reterr);
}

static int rows_result(const struct ak_fetch_reply *reply, struct ak_call *call, int64_t max_rows,
                       struct ak_error **reterr)
{
    const char *type = ak_fetch_header(reply, "Content-Type");
    AK_AUTO(ak_rows) rows = {0};
    int r;

    if (reply->body.len && type && !strstr(type, "tab-separated-values"))
        return text_result(reply, call, reterr);
    r = ak_rows_init(&rows, call, reterr);
    rows.max_rows = max_rows;
    if (r >= 0)
        r = ak_clickhouse_rows(ak_buf_text(&reply->body), reply->body.len, reply->is_cut, &rows,
                               reterr);
    if (reply->is_cut)
        rows.truncated = true;
    return r < 0 ? r : ak_rows_finish(&rows, call, reterr);
}

/* {"read_rows":"1","written_rows":"2",...}, of servers of 2019 and newer. */
static void take_written(const struct ak_fetch_reply *reply, struct ak_call *call)
{
    const char *summary = ak_fetch_header(reply, "X-ClickHouse-Summary");
    AK_AUTO_JSON *tree = NULL;
    int64_t n = 0;

    if (!summary || ak_json_parse(summary, strlen(summary), &tree, NULL) < 0)
        return;
    if (ak_parse_i64(ak_json_text(tree, "written_rows", NULL) ?: "", &n) >= 0) {
        call->ret_rows = n;
        (void)json_object_set_new(call->ret_result, "rowCount", json_integer(n));
    }
}

static int statement_call(struct ak_upstream *upstream, struct ak_call *call, struct statement *s,
                          struct ak_error **reterr)
{
    AK_AUTO(ak_fetch_reply) reply = {0};
    json_int_t wanted = json_integer_value(json_object_get(call->arguments, "maxRows"));
    int64_t max_rows = wanted > 0 ? AK_MIN(wanted, call->max_rows) : call->max_rows;
    int r;

    s->max_rows = s->read_only ? max_rows : 0;
    r = run(upstream, s, (size_t)call->max_bytes + (64u << 10), &reply, reterr);
    if (r < 0)
        return r;
    if (reply.status != 200)
        return failed(&reply, call, reterr);
    r = rows_result(&reply, call, max_rows, reterr);
    if (r >= 0 && !s->read_only)
        take_written(&reply, call);
    return r;
}

static int call_query(struct ak_upstream *upstream, struct ak_session *session,
                      struct ak_call *call, struct ak_error **reterr)
{
    const json_t *sql = json_object_get(call->arguments, "sql");
    struct statement s = {.sql = json_string_value(sql),
                          .len = json_string_length(sql),
                          .read_only = call->read_only || call->operation->at_most == AK_CLASS_READ,
                          .params = json_object_get(call->arguments, "params")};

    (void)session;
    if (!s.sql)
        return ak_error_set(reterr, -EINVAL, "sql: must be a text");
    return statement_call(upstream, call, &s, reterr);
}

static int catalog(struct ak_upstream *upstream, struct ak_call *call, const char *select,
                   const char *table, struct ak_error **reterr)
{
    const char *database = ak_json_text(call->arguments, "schema", NULL);
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(16u << 10);
    struct statement s = {.read_only = true};
    int r = ak_buf_addf(&sql, "%s WHERE database = ", select);

    if (r >= 0)
        r = database ? ak_clickhouse_literal(&sql, database)
                     : ak_buf_adds(&sql, "currentDatabase()");
    if (r >= 0 && table)
        r = ak_buf_adds(&sql, " AND table = ");
    if (r >= 0 && table)
        r = ak_clickhouse_literal(&sql, table);
    if (r >= 0 && !table)
        r = ak_buf_adds(&sql, " ORDER BY name");
    if (r < 0)
        return ak_error_set(reterr, r, "statement: %s", ak_code_text(r));
    s.sql = sql.data;
    s.len = sql.len;
    return statement_call(upstream, call, &s, reterr);
}

static int call_list(struct ak_upstream *upstream, struct ak_session *session, struct ak_call *call,
                     struct ak_error **reterr)
{
    (void)session;
    return catalog(upstream, call, "SELECT database AS schema, name, engine FROM system.tables",
                   NULL, reterr);
}

static int call_describe(struct ak_upstream *upstream, struct ak_session *session,
                         struct ak_call *call, struct ak_error **reterr)
{
    const char *table = ak_json_text(call->arguments, "table", NULL);

    (void)session;
    if (!table)
        return ak_error_set(reterr, -EINVAL, "table: must be a text");
    return catalog(upstream, call,
                   "SELECT name, type, default_kind, default_expression FROM system.columns", table,
                   reterr);
}

/* --- probe --- */

static bool is_login_code(int code)
{
    return code == 192 || code == 193 || code == 194 || code == 516; /* user, password, both */
}

static int probe(struct ak_upstream *upstream, struct ak_probe_result *ret,
                 struct ak_error **reterr)
{
    static const char sql[] = "SELECT version(), currentDatabase() FORMAT TabSeparated";
    struct statement s = {.sql = sql, .len = sizeof(sql) - 1, .read_only = true};
    AK_AUTO(ak_fetch_reply) reply = {0};
    char words[512];
    int code, r = run(upstream, &s, 4096, &reply, reterr);

    if (r < 0)
        return r;
    code = ak_clickhouse_code(reply.body.data, reply.body.len);
    ret->reachable = true;
    ret->authenticated = reply.status == 200 || (code && !is_login_code(code));
    ret->authorised = reply.status == 200;
    (void)snprintf(ret->server, sizeof(ret->server), "ClickHouse %.*s",
                   reply.status == 200 ? (int)AK_MIN(strcspn(ak_buf_text(&reply.body), "\t"), 64u)
                                       : 0,
                   ak_buf_text(&reply.body));
    if (reply.status == 200)
        return 0;
    ak_upstream_words(reply.status, NULL, ak_buf_text(&reply.body), reply.body.len, words,
                      sizeof(words));
    ak_http_probe_message(ret, "%s", words);
    return 0;
}

/* --- clients of the proxy --- */

/* Parameters that decide who asks and whether it may write: they are the Tool's. */
static bool is_taken(const char *name)
{
    static const char *const taken[] = {"readonly",  "user",      "password",
                                        "quota_key", "allow_ddl", "role"};

    for (size_t i = 0; i < AK_ARRAY_LEN(taken); i++)
        if (ak_streq(taken[i], name))
            return true;
    return false;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* The name of a parameter as the server will read it. */
static void decode_name(const char *text, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < size; i++) {
        bool coded =
            text[i] == '%' && i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;

        out[n++] = coded            ? (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]))
                   : text[i] == '+' ? ' '
                                    : text[i];
        i += coded ? 2 : 0;
    }
    out[n] = '\0';
}

static int admit(const struct ak_target *target, bool read_only, const char *method,
                 struct ak_buf *path, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(MAX_URL);
    const char *p = ak_buf_text(path) + strcspn(ak_buf_text(path), "?");
    int r = ak_buf_add(&out, ak_buf_text(path), (size_t)(p - ak_buf_text(path)));
    char mark = '?';

    (void)target;
    (void)method;
    while (r >= 0 && *p) {
        size_t len = strcspn(++p, "&");
        char name[64];

        decode_name(p, AK_MIN(len, strcspn(p, "=")), name, sizeof(name));
        if (len && !is_taken(name)) {
            r = ak_buf_add(&out, &mark, 1);
            if (r >= 0)
                r = ak_buf_add(&out, p, len);
            mark = '&';
        }
        p += len;
    }
    if (r >= 0 && read_only)
        r = ak_buf_addf(&out, "%creadonly=1", mark);
    if (r < 0)
        return ak_error_set(reterr, r, "path: %s", ak_code_text(r));
    ak_buf_clear(path);
    r = ak_buf_adds(path, ak_buf_text(&out));
    return r < 0 ? ak_error_set(reterr, r, "path: %s", ak_code_text(r)) : 0;
}

static const struct ak_http_operation operations[] = {{"query", call_query},
                                                      {"execute", call_query},
                                                      {"list_tables", call_list},
                                                      {"describe_table", call_describe},
                                                      {NULL, NULL}};

const struct ak_http_type ak_http_type_clickhouse = {
    .type = AK_TOOL_TYPE_CLICKHOUSE,
    .operations = operations,
    .probe = probe,
    .client = ak_http_curl_client,
    .admit = admit,
    .provision = ak_http_clickhouse_provision,
    .deprovision = ak_http_clickhouse_deprovision,
};
