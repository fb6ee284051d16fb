/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlserver: FreeTDS's tsql, which takes its password from stdin when it has no terminal. A statement goes to
 * the server as a value for sp_executesql, on one line, so nothing of it can be a command of tsql's; the last
 * result set says how it went. Cells and rows are apart by characters that text does not have.
 */
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/process/output.h"
#include "bastion/engines/process/process.h"
#include "bastion/engines/process/sql_text.h"
#include "bastion/engines/process/sqlserver.h"
#include "engines/names.h"

#define CELL '\x1f'
#define ROW '\x1e'
#define MARK "@agentkube"
#define INPUT_MAX (12u << 20)
#define MARGIN (4u << 10)

static const struct ak_symptom symptoms[] = {
    {"Login failed for user", AK_E_UNAUTHORIZED},
    {"Login timed out", -ECONNREFUSED},
    {"Cannot open database", AK_E_FORBIDDEN},
    {"permission was denied", AK_E_FORBIDDEN},
    {"is not able to access the database", AK_E_FORBIDDEN},
    {"User does not have permission", AK_E_FORBIDDEN},
    {"Adaptive Server is unavailable", -ECONNREFUSED},
    {"Unable to connect", -ECONNREFUSED},
    {"Adaptive Server connection failed", -ECONNREFUSED},
    {"Unexpected EOF from the server", -ECONNREFUSED},
    {"There was a problem connecting", -ECONNREFUSED},
    {"Error reading from the server", -ECONNREFUSED},
};

static int configuration(struct ak_process *self, struct ak_error **reterr)
{
    const struct ak_tool_spec *spec = self->target->spec;
    enum ak_ssl_mode mode = ak_tool_ssl_mode(spec);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(8 << 10);
    const char *ca = NULL;
    int r = mode == AK_SSL_MODE_DISABLE ? 0 : ak_process_ca(self, &ca, reterr);

    if (r < 0)
        return r;
    if (ak_is_empty(spec->config->hostname))
        return ak_error_set(reterr, -EINVAL, "spec.config.hostname: is needed to connect");
    if (spec->tls && spec->tls->server_name)
        return ak_error_set(reterr, -EINVAL,
                            "spec.tls.serverName: FreeTDS checks the name that it connects to");
    r = ak_buf_addf(&text,
                    "[tool]\n\thost = %s\n\tport = %u\n\ttds version = 7.4\n\tclient charset = "
                    "UTF-8\n\tencryption = %s\n",
                    spec->config->hostname, ak_tool_port(spec),
                    mode == AK_SSL_MODE_DISABLE   ? "off"
                    : mode >= AK_SSL_MODE_REQUIRE ? "require"
                                                  : "request");
    if (r >= 0 && mode >= AK_SSL_MODE_REQUIRE && (ca || mode >= AK_SSL_MODE_VERIFY_CA))
        r = ak_buf_addf(&text, "\tca file = %s\n\tcheck certificate hostname = %s\n",
                        ca ? ca : "system", mode == AK_SSL_MODE_VERIFY_FULL ? "yes" : "no");
    if (r < 0)
        return ak_error_oom(reterr);
    ak_process_env(self, "FREETDSCONF=%s",
                   ak_process_file(self, "freetds.conf", text.data, text.len, 0600));
    return 0;
}

static int program(struct ak_process *self, struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    const char *user = NULL;
    int r = ak_process_username(self, &user, reterr);

    if (r == 0)
        r = configuration(self, reterr);
    if (r == 0 && strpbrk(ak_process_password(self), "\r\n"))
        r = ak_error_set(reterr, -EINVAL, "the password has a line break");
    if (r < 0)
        return r;
    ak_process_args(self, "tsql", "-S", "tool", "-U", user, "-a", "agentkube", NULL);
    if (config->database_name)
        ak_process_args(self, "-D", config->database_name, NULL);
    return 0;
}

/* Runs one batch, a single line, and gives stdout up to the line that says how it went; a failure is an
 * error. */
static int batch(struct ak_process *self, const char *line, struct ak_client_output *output,
                 size_t *ret_len, char *server_code, size_t size, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) input = {.max = INPUT_MAX, .wipe = true};
    int r = program(self, reterr);
    char *at, *cells[4] = {0};

    if (r < 0)
        return r;
    ak_process_args(self, "-o", "qf", "-t", "\x1f", "-r", "\x1e", NULL);
    r = ak_buf_addf(&input, "%s\n%s\ngo\nexit\n", ak_process_password(self), line);
    if (r < 0)
        return ak_error_set(reterr, r, "the statement is too long");
    r = ak_process_run(self, input.data, input.len, output, reterr);
    if (r < 0)
        return r;
    at = strstr(output->text, "Password: "); /* what it asks for, between its words */
    if (at)
        memmove(at, at + strlen("Password: "), strlen(at + strlen("Password: ")) + 1);
    output->len -= at ? strlen("Password: ") : 0;
    at = NULL;
    for (char *next = output->text; (next = strstr(next, MARK "\x1f")); next++)
        at = next;
    if (!at)
        return output->truncated
                   ? ak_error_set(reterr, AK_E_TOO_LARGE,
                                  "the result is too large: ask for fewer rows or columns")
                   : ak_output_fail(
                         ak_output_diagnose(symptoms, AK_ARRAY_LEN(symptoms), output->text),
                         output->text, reterr);
    for (size_t i = 0; i < AK_ARRAY_LEN(cells); i++) {
        cells[i] = at;
        at += strcspn(at, "\x1f\x1e");
        if (*at)
            *at++ = '\0';
    }
    if (!ak_streq(cells[1], "0")) {
        int code = ak_output_diagnose(symptoms, AK_ARRAY_LEN(symptoms), cells[2]);
        ak_output_message(server_code, size, cells[1]);
        return ak_output_fail(code, cells[2], reterr);
    }
    *ret_len = (size_t)(cells[0] - output->text);
    return 0;
}

/* The marks of a row are columns without a name: their own line of names, three separators and an end, is
 * before them. */
static size_t without_names(const char *text, size_t len)
{
    static const char names[] = "\x1f\x1f\x1f\x1e";

    if (len >= sizeof(names) - 1 &&
        memcmp(text + len - (sizeof(names) - 1), names, sizeof(names) - 1) == 0)
        len -= sizeof(names) - 1;
    return len;
}

/* DECLARE @p1 bigint = 5; and so on. */
static int declare(struct ak_buf *out, size_t index, const json_t *value, struct ak_buf *types,
                   struct ak_buf *names)
{
    const char *type = json_is_integer(value)   ? "bigint"
                       : json_is_real(value)    ? "float"
                       : json_is_boolean(value) ? "bit"
                                                : "nvarchar(max)";
    int r = ak_buf_addf(out, "DECLARE @p%zu %s = ", index, type);

    if (r >= 0 && json_is_integer(value))
        r = ak_buf_addf(out, "%lld", (long long)json_integer_value(value));
    else if (r >= 0 && json_is_real(value))
        r = ak_buf_addf(out, "%.17g", json_real_value(value));
    else if (r >= 0 && json_is_boolean(value))
        r = ak_buf_adds(out, json_is_true(value) ? "1" : "0");
    else if (r >= 0 && json_is_string(value)) {
        r = ak_buf_adds(out, "CAST(N'' AS nvarchar(max))+");
        if (r >= 0)
            r = ak_sql_literal(out, &ak_sql_sqlserver, json_string_value(value),
                               json_string_length(value));
    } else if (r >= 0)
        r = ak_buf_adds(out, "NULL");
    if (r >= 0)
        r = ak_buf_adds(out, "; ");
    if (r >= 0)
        r = ak_buf_addf(types, "%s@p%zu %s", index > 1 ? ", " : "", index, type);
    return r < 0 ? r : ak_buf_addf(names, ", @p%zu", index);
}

/* One line that runs the statement and says how it went. rows >= 0: at most that many. */
static int wrap(struct ak_buf *out, const char *sql, size_t len, const json_t *params, int64_t rows)
{
    AK_AUTO(ak_buf) types = AK_BUF_INIT(128 << 10), names = AK_BUF_INIT(128 << 10);
    const json_t *value;
    size_t i;
    int r = ak_buf_adds(out, "SET NOCOUNT ON; SET XACT_ABORT ON; DECLARE @s nvarchar(max) = "
                             "CAST(N'' AS nvarchar(max))+");

    if (r >= 0)
        r = ak_sql_literal(out, &ak_sql_sqlserver, sql, len);
    if (r >= 0)
        r = ak_buf_adds(out, "; ");
    json_array_foreach(params, i, value) if (r >= 0) r = declare(out, i + 1, value, &types, &names);
    if (r >= 0 && rows >= 0)
        r = ak_buf_addf(out, "SET ROWCOUNT %lld; ", (long long)rows);
    if (r >= 0)
        r = ak_buf_adds(out, "DECLARE @n bigint; BEGIN TRY EXEC sp_executesql @s");
    if (r >= 0 && types.len)
        r = ak_buf_addf(out, ", N'%s'%s", types.data, names.data);
    return r < 0 ? r
                 : ak_buf_adds(out,
                               "; SET @n = @@ROWCOUNT; SELECT N'" MARK
                               "', 0, N'', @n; END TRY BEGIN CATCH "
                               "SELECT N'" MARK "', ERROR_NUMBER(), ERROR_MESSAGE(), 0; END CATCH");
}

static int run_query(struct ak_process *self, struct ak_call *call, const char *sql, size_t len,
                     const json_t *params, int64_t rows, struct ak_error **reterr)
{
    AK_AUTO(ak_client_output) output = {0};
    AK_AUTO(ak_buf) line = AK_BUF_INIT(INPUT_MAX);
    size_t end = 0;
    int r = wrap(&line, sql, len, params, rows < INT32_MAX ? rows + 1 : rows);

    if (r < 0)
        return ak_error_set(reterr, r, "sql, params: are too long, or no text");
    self->max_bytes = (size_t)call->max_bytes + MARGIN;
    r = batch(self, line.data, &output, &end, call->ret_server_code, sizeof(call->ret_server_code),
              reterr);
    if (r < 0)
        return r;
    call->max_rows = rows;
    return ak_output_rows(output.text, without_names(output.text, end), CELL, ROW, false, false,
                          call, reterr);
}

static int query(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    const json_t *wanted = json_object_get(call->arguments, "maxRows");
    int64_t rows = call->max_rows;
    const char *sql;
    size_t len;
    int r = ak_sql_statement(call->arguments, &sql, &len, reterr);

    if (json_is_integer(wanted) && json_integer_value(wanted) < rows)
        rows = json_integer_value(wanted);
    return r < 0 ? r
                 : run_query(self, call, sql, len, json_object_get(call->arguments, "params"), rows,
                             reterr);
}

static int execute(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    AK_AUTO(ak_client_output) output = {0};
    AK_AUTO(ak_buf) line = AK_BUF_INIT(INPUT_MAX);
    const char *sql, *count;
    size_t len, end = 0;
    int64_t rows = 0;
    int r = ak_sql_statement(call->arguments, &sql, &len, reterr);

    if (r < 0)
        return r;
    r = wrap(&line, sql, len, json_object_get(call->arguments, "params"), -1);
    if (r < 0)
        return ak_error_set(reterr, r, "sql, params: are too long, or no text");
    self->max_bytes = (size_t)call->max_bytes + MARGIN;
    r = batch(self, line.data, &output, &end, call->ret_server_code, sizeof(call->ret_server_code),
              reterr);
    if (r < 0)
        return r;
    /* MARK, 0, "", count: batch() ended each cell */
    count = output.text + end + sizeof(MARK) + sizeof("0") + sizeof("");
    if (ak_parse_i64(count, &rows) < 0)
        rows = 0;
    r = ak_output_table(json_pack("[{s:s, s:s}]", "name", "rowsAffected", "type", "integer"),
                        json_pack("[[I]]", (json_int_t)rows), false, call, reterr);
    call->ret_rows = rows;
    return r;
}

static int catalog(struct ak_process *self, struct ak_call *call, bool columns,
                   struct ak_error **reterr)
{
    const char *schema = json_string_value(json_object_get(call->arguments, "schema"));
    const char *table = json_string_value(json_object_get(call->arguments, "table"));
    const char *sql =
        columns ? "SELECT COLUMN_NAME AS name, DATA_TYPE AS type, IS_NULLABLE AS nullable, "
                  "COLUMN_DEFAULT AS [default] "
                  "FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = @p1 AND TABLE_SCHEMA = "
                  "COALESCE(@p2, "
                  "SCHEMA_NAME()) ORDER BY ORDINAL_POSITION"
                : "SELECT TABLE_SCHEMA AS [schema], TABLE_NAME AS name, TABLE_TYPE AS type FROM "
                  "INFORMATION_SCHEMA.TABLES WHERE @p1 IS NULL OR TABLE_SCHEMA = @p1 ORDER BY 1, 2";
    AK_AUTO_JSON *params = NULL;

    if (!schema && columns && self->target->spec->config->schema)
        schema = self->target->spec->config->schema;
    params = columns ? json_pack("[s?, s?]", table, schema) : json_pack("[s?]", schema);
    if (!params)
        return ak_error_oom(reterr);
    return run_query(self, call, sql, strlen(sql), params, call->max_rows, reterr);
}

static int sqlserver_call(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
{
    const char *name = call->operation->name;

    if (ak_streq(name, "query"))
        return query(self, call, reterr);
    if (ak_streq(name, "execute"))
        return execute(self, call, reterr);
    if (ak_streq(name, "list_tables") || ak_streq(name, "describe_table"))
        return catalog(self, call, ak_streq(name, "describe_table"), reterr);
    return ak_error_set(reterr, -ENOTSUP, "operation \"%s\" is not known", name);
}

static int sqlserver_probe(struct ak_process *self, struct ak_probe_result *ret,
                           struct ak_error **reterr)
{
    static const char sql[] = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(64)) AS "
                              "version, COUNT(*) AS seen FROM "
                              "INFORMATION_SCHEMA.TABLES";
    struct ak_call call = {.max_bytes = 4096, .deadline = self->deadline};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = run_query(self, &call, sql, sizeof(sql) - 1, NULL, 1, &err);
    AK_AUTO_JSON *result = call.ret_result;
    const char *version =
        json_string_value(json_array_get(json_array_get(json_object_get(result, "rows"), 0), 0));
    AK_AUTO(ak_buf) server = AK_BUF_INIT(sizeof(ret->server) - 1);

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    ak_output_probe(r == -EINVAL || r == -ETIMEDOUT ? -ECONNREFUSED : r, ak_error_message(err),
                    ret);
    if (r == 0 && ak_buf_addf(&server, "SQL Server %s", version ? version : "") >= 0)
        ak_output_message(ret->server, sizeof(ret->server), server.data);
    return 0;
}

/*
 * The password goes first into what tsql reads, then everything that the person sends. On a terminal tsql would
 * ask the terminal, so it gets a session without one (setsid is in our image).
 */
static int sqlserver_client(struct ak_process *self, const char *const *args, bool tty,
                            struct ak_error **reterr)
{
    static const char script[] =
        "f=$1; t=$2; shift 2; { cat \"$f\"; echo; exec cat; } | exec $t \"$@\"";
    const char *word = ak_process_password(self);
    int r;

    if (args && args[0])
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "tsql takes statements on its standard input here, with a line `go` "
                            "behind them, and no arguments");
    ak_process_args(self, "sh", "-c", script, "sh",
                    ak_process_file(self, "word", word, strlen(word), 0600), tty ? "setsid -w" : "",
                    NULL);
    r = program(self, reterr);
    if (r == 0 && !tty)
        ak_process_args(self, "-o", "q", NULL);
    return r;
}

static int sqlserver_provision(struct ak_process *self, bool away, struct ak_provision_result *ret,
                               struct ak_error **reterr)
{
    for (int writer = 0; writer <= 1; writer++) {
        AK_AUTO(ak_buf)
        text = {.max = INPUT_MAX, .wipe = true}, line = {.max = INPUT_MAX, .wipe = true};
        AK_AUTO(ak_process)
        use = {.target = self->target, .cancel = self->cancel, .deadline = self->deadline};
        AK_AUTO(ak_client_output) output = {0};
        char code[64] = "", name[AK_IDENTITY_NAME_SIZE] = "";
        size_t end = 0;
        int r = ak_process_begin_admin(&use, self->arena, reterr);
        if (r == 0)
            r = ak_sqlserver_provision(self, writer, away, &text, reterr);
        if (r == 0 && wrap(&line, text.data, text.len, NULL, -1) < 0)
            r = ak_error_oom(reterr);
        if (r == 0)
            r = batch(&use, line.data, &output, &end, code, sizeof(code), reterr);
        if (r == 0)
            r = ak_identity_name(self->target->uid, writer, name, sizeof(name));
        if (r == 0 && memmem(output.text, end, "changed\x1e", 8))
            r = ak_provision_changed(ret,
                                     away ? "login %s and its users removed"
                                          : "login %s and its users brought to their grants",
                                     name);
        if (r < 0)
            return r;
    }
    ret->done = true;
    return 0;
}

const struct ak_process_kind ak_process_sqlserver = {.probe = sqlserver_probe,
                                                     .call = sqlserver_call,
                                                     .client = sqlserver_client,
                                                     .provision = sqlserver_provision};
