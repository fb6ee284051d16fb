/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle: sqlplus, which is Oracle's and has to be in the image that spec.image names. It logs in from its
 * standard input. A statement is a value for the database to run, put together from literals, so no line of it
 * can be a command of sqlplus's (which is restricted besides: -R 3 has no HOST).
 */
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/process/output.h"
#include "bastion/engines/process/process.h"
#include "bastion/engines/process/sql_text.h"
#include "engines/names.h"
#include "engines/policy.h"

#define IN_MARK "@agentkube-in"
#define END_MARK "@agentkube-end"
#define INPUT_MAX (4u << 20)
#define STATEMENT_MAX 32000 /* bytes that a variable of PL/SQL takes */
#define ROWS_MAX 49998      /* a page, with its names: they would come again */
#define MARGIN (8u << 10)

static const struct ak_symptom symptoms[] = {
    {"ORA-01017", AK_E_UNAUTHORIZED}, {"ORA-28000", AK_E_UNAUTHORIZED},
    {"ORA-28001", AK_E_UNAUTHORIZED}, {"ORA-01005", AK_E_UNAUTHORIZED},
    {"ORA-01045", AK_E_FORBIDDEN},    {"ORA-01031", AK_E_FORBIDDEN},
    {"ORA-00942", AK_E_FORBIDDEN},    {"ORA-01456", AK_E_FORBIDDEN},
    {"ORA-125", -ECONNREFUSED},       {"ORA-121", -ECONNREFUSED},
    {"ORA-03113", -ECONNREFUSED},     {"ORA-03114", -ECONNREFUSED},
    {"ORA-01034", -ECONNREFUSED},     {"SP2-0", AK_E_INVALID},
};

/* Nothing of it may end the descriptor or the line. */
static bool is_plain(const char *text)
{
    return text && text[0] && !strpbrk(text, "()=\"'\\ \t\r\n@");
}

static int connect_line(struct ak_process *self, struct ak_buf *out, struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    const char *service = config->service_name ? config->service_name : config->database_name,
               *word = ak_process_password(self), *user = NULL;
    int r = ak_process_username(self, &user, reterr);

    if (r < 0)
        return r;
    if (!is_plain(config->hostname))
        return ak_error_set(reterr, -EINVAL, "spec.config.hostname: is needed to connect");
    if (!is_plain(service))
        return ak_error_set(reterr, -EINVAL,
                            "spec.config.serviceName: is needed (or databaseName, which is the "
                            "SID), without parentheses and quotes");
    if (strpbrk(user, "\"\r\n") || strpbrk(word, "\"\r\n"))
        return ak_error_set(
            reterr, -EINVAL,
            "sqlplus takes no quotation marks and line breaks in a user's name or password");
    r = ak_buf_addf(out,
                    "CONNECT "
                    "%s%s%s/"
                    "\"%s\"@\"(DESCRIPTION=(CONNECT_TIMEOUT=10)(ADDRESS=(PROTOCOL=TCP)(HOST=%s)("
                    "PORT=%u))(CONNECT_DATA=(%s=%s)))\"\n",
                    self->login.is_minted ? "" : "\"", user, self->login.is_minted ? "" : "\"",
                    word, config->hostname, ak_tool_port(self->target->spec),
                    config->service_name ? "SERVICE_NAME" : "SID", service);
    return r < 0 ? ak_error_oom(reterr) : 0;
}

/* Logs in, says so, and sets how rows are printed. */
static int preamble(struct ak_process *self, struct ak_buf *out, struct ak_error **reterr)
{
    int r =
        ak_buf_adds(out, "SET DEFINE OFF SQLPROMPT '' FEEDBACK OFF ECHO OFF VERIFY OFF\nWHENEVER "
                         "SQLERROR EXIT 1 ROLLBACK\nWHENEVER OSERROR EXIT 2 ROLLBACK\n");

    if (r >= 0)
        r = connect_line(self, out, reterr);
    else
        r = ak_error_oom(reterr);
    if (r < 0)
        return r;
    r = ak_buf_adds(out, "SELECT 1 FROM DUAL WHERE 1 = 0;\nPROMPT " IN_MARK
                         "\nSET MARKUP CSV ON QUOTE ON\nSET PAGESIZE 50000 LINESIZE 32767 LONG "
                         "1000000 LONGCHUNKSIZE 32767 TAB OFF\n");
    return r < 0 ? ak_error_oom(reterr) : 0;
}

/* Runs the lines; what is printed between the marks. */
static int run_lines(struct ak_process *self, struct ak_buf *input, struct ak_client_output *output,
                     const char **ret, size_t *ret_len, char *server_code, size_t size,
                     struct ak_error **reterr)
{
    const char *at, *end;
    int r = ak_buf_adds(input, "PROMPT " END_MARK "\nEXIT 0\n");

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the statement is too long");
    ak_process_env(self, "NLS_LANG=.AL32UTF8");
    ak_process_args(self, "sqlplus", "-S", "-L", "-R", "3", "/nolog", NULL);
    r = ak_process_run(self, input->data, input->len, output, reterr);
    if (r < 0)
        return r;
    at = strstr(output->text, IN_MARK);
    end = output->exit_code || !at ? NULL : strstr(at, END_MARK);
    for (const char *next = end; next && (next = strstr(next + 1, END_MARK));)
        end = next;
    if (!at || (!end && !output->truncated)) {
        const char *words = at ? at + sizeof(IN_MARK) - 1 : output->text,
                   *code = strstr(words, "ORA-");
        char name[10] = "";
        for (size_t i = 0; code && i < 9 && code[i] && !strchr(": \r\n", code[i]); i++)
            name[i] = code[i];
        ak_output_message(server_code, size, name);
        r = ak_output_diagnose(symptoms, AK_ARRAY_LEN(symptoms), words);
        return ak_output_fail(r, words, reterr);
    }
    *ret = at + sizeof(IN_MARK) - 1;
    *ret_len = (end ? end : output->text + output->len) - *ret;
    return 0;
}

/* s := 'a'||CHR(10)||'b'; and the same for each parameter. */
static int declare(struct ak_buf *out, const char *name, const json_t *value, const char *text,
                   size_t len)
{
    int r =
        ak_buf_addf(out, "%s %s := ", name,
                    json_is_number(value) || json_is_boolean(value) ? "NUMBER" : "VARCHAR2(32767)");

    if (r >= 0 && text)
        r = ak_sql_literal(out, &ak_sql_oracle, text, len);
    else if (r >= 0 && json_is_integer(value))
        r = ak_buf_addf(out, "%lld", (long long)json_integer_value(value));
    else if (r >= 0 && json_is_real(value))
        r = ak_buf_addf(out, "%.17g", json_real_value(value));
    else if (r >= 0)
        r = ak_buf_adds(out, json_is_true(value) ? "1" : json_is_false(value) ? "0" : "NULL");
    return r < 0 ? r : ak_buf_adds(out, ";\n");
}

static int declarations(struct ak_buf *out, const char *sql, size_t len, const json_t *params,
                        struct ak_buf *using)
{
    const json_t *value;
    size_t i;
    int r = ak_buf_adds(out, "DECLARE\n");

    if (r >= 0)
        r = declare(out, "s", NULL, sql, len);
    json_array_foreach(params, i, value) if (r >= 0)
    {
        char name[24];
        (void)snprintf(name, sizeof(name), "p%zu", i + 1);
        r = declare(out, name, value, json_string_value(value), json_string_length(value));
        if (r >= 0)
            r = ak_buf_addf(using, "%s%s", i ? ", " : " USING ", name);
    }
    return r < 0 ? r : ak_buf_adds(out, "BEGIN\n");
}

static int query_text(struct ak_process *self, const struct ak_call *call, const char *sql,
                      size_t len, const json_t *params, int64_t rows, struct ak_buf *out,
                      struct ak_error **reterr)
{
    AK_AUTO(ak_buf) using = AK_BUF_INIT(64 << 10), limited = AK_BUF_INIT(STATEMENT_MAX);
    int r = ak_buf_addf(&limited, "SELECT * FROM (%.*s\n) WHERE ROWNUM <= %lld", (int)len, sql,
                        (long long)rows + 1);

    if (r < 0)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "sql: must have at most %d bytes",
                            STATEMENT_MAX - 64);
    r = preamble(self, out, reterr);
    if (r < 0)
        return r;
    r = ak_buf_adds(out, "VARIABLE rc REFCURSOR\n");
    if (r >= 0 && call->read_only)
        r = ak_buf_adds(out, "SET TRANSACTION READ ONLY;\n");
    if (r >= 0)
        r = declarations(out, limited.data, limited.len, params, &using);
    if (r >= 0)
        r = ak_buf_addf(out, "OPEN :rc FOR s%s;\nEND;\n/\nPRINT rc\n", ak_buf_text(&using));
    return r < 0 ? ak_error_set(reterr, r, "sql, params: are too long, or no text") : 0;
}

static int run_query(struct ak_process *self, struct ak_call *call, const char *sql, size_t len,
                     const json_t *params, int64_t rows, struct ak_error **reterr)
{
    AK_AUTO(ak_client_output) output = {0};
    AK_AUTO(ak_buf) input = {.max = INPUT_MAX, .wipe = true};
    const char *text = NULL;
    size_t text_len = 0;
    int r;

    rows = rows < ROWS_MAX ? rows : ROWS_MAX;
    r = query_text(self, call, sql, len, params, rows, &input, reterr);
    self->max_bytes = (size_t)call->max_bytes + MARGIN;
    if (r == 0)
        r = run_lines(self, &input, &output, &text, &text_len, call->ret_server_code,
                      sizeof(call->ret_server_code), reterr);
    if (r < 0)
        return r;
    call->max_rows = rows;
    return ak_output_rows(text, text_len, ',', '\n', true, output.truncated, call, reterr);
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
    AK_AUTO(ak_buf) input = {.max = INPUT_MAX, .wipe = true}, using = AK_BUF_INIT(64 << 10);
    const char *sql, *text = NULL, *digits;
    size_t len, text_len = 0;
    int64_t rows = 0;
    int r = ak_sql_statement(call->arguments, &sql, &len, reterr);

    if (r == 0 && len > STATEMENT_MAX)
        r = ak_error_set(reterr, AK_E_TOO_LARGE, "sql: must have at most %d bytes", STATEMENT_MAX);
    if (r == 0)
        r = preamble(self, &input, reterr);
    if (r < 0)
        return r;
    r = ak_buf_adds(&input, "VARIABLE n NUMBER\n");
    if (r >= 0)
        r = declarations(&input, sql, len, json_object_get(call->arguments, "params"), &using);
    if (r >= 0)
        r = ak_buf_addf(&input,
                        "EXECUTE IMMEDIATE s%s;\n:n := SQL%%ROWCOUNT;\nCOMMIT;\nEND;\n/\nPRINT n\n",
                        ak_buf_text(&using));
    if (r < 0)
        return ak_error_set(reterr, r, "sql, params: are too long, or no text");
    self->max_bytes = (size_t)call->max_bytes + MARGIN;
    r = run_lines(self, &input, &output, &text, &text_len, call->ret_server_code,
                  sizeof(call->ret_server_code), reterr);
    if (r < 0)
        return r;
    digits = memchr(text, '\n', text_len);
    digits =
        digits ? strpbrk(digits, "0123456789") : NULL; /* a quoted name, and the number below it */
    for (;
         digits && digits < text + text_len && *digits >= '0' && *digits <= '9' && rows < INT32_MAX;
         digits++)
        rows = rows * 10 + (*digits - '0');
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
        columns ? "SELECT COLUMN_NAME AS NAME, DATA_TYPE AS TYPE, NULLABLE FROM ALL_TAB_COLUMNS "
                  "WHERE TABLE_NAME = :1 AND "
                  "OWNER = NVL(:2, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) ORDER BY COLUMN_ID"
                : "SELECT OWNER AS SCHEMA, OBJECT_NAME AS NAME, OBJECT_TYPE AS TYPE FROM "
                  "ALL_OBJECTS WHERE OBJECT_TYPE IN "
                  "('TABLE', 'VIEW', 'MATERIALIZED VIEW') AND ((:1 IS NULL AND OWNER NOT IN "
                  "('SYS', 'SYSTEM')) OR OWNER = :2) ORDER BY 1, 2";
    AK_AUTO_JSON *params = NULL;

    if (!schema)
        schema = self->target->spec->config->schema;
    params = columns ? json_pack("[s?, s?]", table, schema) : json_pack("[s?, s?]", schema, schema);
    if (!params)
        return ak_error_oom(reterr);
    return run_query(self, call, sql, strlen(sql), params, call->max_rows, reterr);
}

static int oracle_call(struct ak_process *self, struct ak_call *call, struct ak_error **reterr)
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

static int oracle_probe(struct ak_process *self, struct ak_probe_result *ret,
                        struct ak_error **reterr)
{
    static const char sql[] = "SELECT PRODUCT || ' ' || VERSION FROM PRODUCT_COMPONENT_VERSION "
                              "WHERE PRODUCT LIKE 'Oracle%'";
    struct ak_call call = {.max_bytes = 4096, .deadline = self->deadline, .read_only = true};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = run_query(self, &call, sql, sizeof(sql) - 1, NULL, 1, &err);
    AK_AUTO_JSON *result = call.ret_result;
    const char *version =
        json_string_value(json_array_get(json_array_get(json_object_get(result, "rows"), 0), 0));

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    ak_output_probe(r == -EINVAL || r == -ETIMEDOUT || r == AK_E_NOT_FOUND ? -ECONNREFUSED : r,
                    ak_error_message(err), ret);
    if (r == 0)
        ak_output_message(ret->server, sizeof(ret->server), version ? version : "Oracle Database");
    return 0;
}

/* sqlplus reads a script that logs in, and goes on with what the person types or sends. */
static int oracle_client(struct ak_process *self, const char *const *args, bool tty,
                         struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = 64 << 10, .wipe = true};
    int r;

    if (args && args[0])
        return ak_error_set(
            reterr, AK_E_FORBIDDEN,
            "sqlplus takes statements on its standard input here, and no arguments");
    r = connect_line(self, &text, reterr);
    if (r < 0)
        return r;
    ak_process_env(self, "NLS_LANG=.AL32UTF8");
    ak_process_args(self, "sqlplus", tty ? "-L" : "-S", "/nolog", NULL);
    ak_process_arg(self, "@%s", ak_process_file(self, "login.sql", text.data, text.len, 0600));
    return 0;
}

/* --- provisioning --- */

/* In a block, so that what is there already is no error. */
static int guarded(struct ak_buf *out, const char *statement, int ignored)
{
    int r = ak_buf_adds(out, "BEGIN EXECUTE IMMEDIATE ");

    if (r >= 0)
        r = ak_sql_literal(out, &ak_sql_oracle, statement, strlen(statement));
    return r < 0
               ? r
               : ak_buf_addf(
                     out,
                     ";\nEXCEPTION WHEN OTHERS THEN IF SQLCODE <> %d THEN RAISE; END IF; END;\n/\n",
                     ignored);
}

static int grant_object(struct ak_buf *out, const char *name, const char *schema,
                        const char *object, const char *const *privileges)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(16 << 10);
    int r = ak_buf_adds(&text, "GRANT ");

    for (size_t i = 0; r >= 0 && privileges[i]; i++)
        r = ak_buf_addf(&text, "%s%s", i ? ", " : "", privileges[i]);
    if (r >= 0)
        r = ak_buf_adds(&text, " ON ");
    if (r >= 0)
        r = ak_sql_quoted(&text, schema);
    if (r >= 0)
        r = ak_buf_adds(&text, ".");
    if (r >= 0)
        r = ak_sql_quoted(&text, object);
    if (r >= 0)
        r = ak_buf_addf(&text, " TO %s", name);
    return r < 0 ? r : guarded(out, text.data, 0);
}

/* All of a schema: what there is now; what comes later is met by the next look for drift. */
static int grant_schema(struct ak_buf *out, const char *name, const char *schema,
                        const char *const *privileges)
{
    int r = ak_buf_adds(out, "BEGIN FOR o IN (SELECT OWNER, OBJECT_NAME FROM ALL_OBJECTS WHERE "
                             "OBJECT_TYPE IN ('TABLE', 'VIEW') AND OWNER = ");

    if (r >= 0)
        r = ak_sql_literal(out, &ak_sql_oracle, schema, strlen(schema));
    if (r >= 0)
        r = ak_buf_adds(out, ") LOOP EXECUTE IMMEDIATE 'GRANT ");
    for (size_t i = 0; r >= 0 && privileges[i]; i++)
        r = ak_buf_addf(out, "%s%s", i ? ", " : "", privileges[i]);
    return r < 0 ? r
                 : ak_buf_addf(out,
                               " ON \"' || o.OWNER || '\".\"' || o.OBJECT_NAME || '\" TO %s'; END "
                               "LOOP; END;\n/\n",
                               name);
}

struct rights {
    const char *name;   /* of the user; Oracle keeps it in capitals */
    const char *schema; /* of spec.config */
    const struct ak_effective_grant *list;
    size_t n;
};

static const char *schema_of(const struct rights *rights, size_t i)
{
    return rights->list[i].schema ? rights->list[i].schema : rights->schema;
}

/* A condition on DBA_TAB_PRIVS: the right is one that the grant gives. */
static int keeps(struct ak_buf *out, const char *schema, const struct ak_effective_grant *grant)
{
    int r = ak_buf_adds(out, " OR (OWNER = ");

    if (r >= 0)
        r = ak_sql_literal(out, &ak_sql_oracle, schema, strlen(schema));
    for (size_t i = 0; r >= 0 && grant->objects[i]; i++) {
        r = ak_buf_adds(out, i ? "," : " AND TABLE_NAME IN (");
        if (r >= 0)
            r = ak_sql_literal(out, &ak_sql_oracle, grant->objects[i], strlen(grant->objects[i]));
    }
    if (r >= 0 && grant->objects[0])
        r = ak_buf_adds(out, ")");
    if (r >= 0 && !ak_has_prefix(grant->privileges[0], "ALL")) {
        r = ak_buf_adds(out, " AND PRIVILEGE IN (");
        for (size_t i = 0; r >= 0 && grant->privileges[i]; i++)
            r = ak_buf_addf(out, "%s'%s'", i ? "," : "", grant->privileges[i]);
        if (r >= 0)
            r = ak_buf_adds(out, ")");
    }
    return r < 0 ? r : ak_buf_adds(out, ")\n");
}

/* What the user has and no grant names. What stays is never taken, so that nobody sees less in between:
 * Oracle commits each of these. */
static int revoke_surplus(struct ak_buf *out, const struct rights *rights)
{
    const char *name = rights->name;
    int r = ak_buf_addf(out,
                        "BEGIN FOR p IN (SELECT OWNER, TABLE_NAME, PRIVILEGE FROM DBA_TAB_PRIVS "
                        "WHERE GRANTEE = UPPER('%s') AND NOT (1 = 0\n",
                        name);

    for (size_t i = 0; r >= 0 && i < rights->n; i++)
        r = keeps(out, schema_of(rights, i), &rights->list[i]);
    if (r >= 0)
        r = ak_buf_addf(out,
                        ")) LOOP EXECUTE IMMEDIATE 'REVOKE ' || p.PRIVILEGE || ' ON \"' || p.OWNER "
                        "|| '\".\"' || p.TABLE_NAME || '\" FROM "
                        "%s'; END LOOP;\n",
                        name);
    return r < 0 ? r
                 : ak_buf_addf(out,
                               "FOR p IN (SELECT GRANTED_ROLE AS WHAT FROM DBA_ROLE_PRIVS WHERE "
                               "GRANTEE = UPPER('%s') UNION ALL SELECT "
                               "PRIVILEGE FROM DBA_SYS_PRIVS WHERE GRANTEE = UPPER('%s') AND "
                               "PRIVILEGE <> 'CREATE SESSION') LOOP\nEXECUTE "
                               "IMMEDIATE 'REVOKE ' || p.WHAT || ' FROM %s'; END LOOP; END;\n/\n",
                               name, name, name);
}

static int grants(struct ak_process *self, bool writer, const char *name, struct ak_buf *out,
                  struct ak_error **reterr)
{
    struct rights rights = {.name = name, .schema = self->target->spec->config->schema};
    int r =
        ak_policy_grants(self->target->spec, writer, self->arena, &rights.list, &rights.n, reterr);

    if (r < 0)
        return r;
    for (size_t i = 0; i < rights.n; i++)
        if (!schema_of(&rights, i))
            return ak_error_set(
                reterr, -EINVAL,
                "spec.permissions.grants: a schema is needed, there or in spec.config.schema");
    r = revoke_surplus(out, &rights);
    for (size_t i = 0; r >= 0 && i < rights.n; i++) {
        const struct ak_effective_grant *one = &rights.list[i];
        if (!one->objects[0])
            r = grant_schema(out, name, schema_of(&rights, i), one->privileges);
        for (size_t k = 0; r >= 0 && one->objects[k]; k++)
            r = grant_object(out, name, schema_of(&rights, i), one->objects[k], one->privileges);
    }
    return r < 0 ? ak_error_set(
                       reterr, r,
                       "spec.permissions.grants: a name cannot be written, or there are too many")
                 : 0;
}

static int identity(struct ak_process *self, bool writer, bool away, struct ak_buf *out,
                    struct ak_error **reterr)
{
    char name[AK_IDENTITY_NAME_SIZE], statement[512];
    AK_AUTO(ak_login) who = {0};
    const char *word;
    size_t len;
    int r = ak_identity_name(self->target->uid, writer, name, sizeof(name));

    if (r < 0)
        return r;
    if (away) {
        (void)snprintf(statement, sizeof(statement), "DROP USER %s CASCADE", name);
        return guarded(out, statement, -1918) < 0 ? ak_error_oom(reterr) : 0;
    }
    r = ak_login_read(self->target, !writer, &who, reterr);
    if (r < 0)
        return r;
    word = who.is_minted && who.password ? ak_secret_peek(who.password, &len) : "";
    if (!word[0] || strpbrk(word, "\"\r\n") || strlen(word) > 128)
        return ak_error_set(reterr, -EINVAL, "there is no password for %s that Oracle takes", name);
    (void)snprintf(statement, sizeof(statement), "CREATE USER %s IDENTIFIED BY \"%s\"", name, word);
    r = guarded(out, statement, -1920);
    (void)snprintf(statement, sizeof(statement),
                   "ALTER USER %s IDENTIFIED BY \"%s\" ACCOUNT UNLOCK", name, word);
    if (r >= 0)
        r = guarded(out, statement, 0);
    ak_wipe(statement, sizeof(statement));
    if (r >= 0)
        r = ak_buf_addf(out, "GRANT CREATE SESSION TO %s;\n", name);
    return r < 0 ? ak_error_oom(reterr) : grants(self, writer, name, out, reterr);
}

static int oracle_provision(struct ak_process *self, bool away, struct ak_provision_result *ret,
                            struct ak_error **reterr)
{
    AK_AUTO(ak_client_output) output = {0};
    AK_AUTO(ak_buf) input = {.max = INPUT_MAX, .wipe = true};
    const char *text;
    char code[64] = "";
    size_t len;
    int r = preamble(self, &input, reterr);

    for (int writer = 0; r == 0 && writer <= 1; writer++)
        r = identity(self, writer, away, &input, reterr);
    if (r == 0)
        r = run_lines(self, &input, &output, &text, &len, code, sizeof(code), reterr);
    if (r < 0)
        return r;
    ret->done = true;
    return 0;
}

const struct ak_process_kind ak_process_oracle = {.probe = oracle_probe,
                                                  .call = oracle_call,
                                                  .client = oracle_client,
                                                  .provision = oracle_provision};
