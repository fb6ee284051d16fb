/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structured operations. Each has a connection of its own, which is thrown away afterwards: whatever a statement
 * left in its session (settings, temporary tables, locks) is gone with it.
 */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/mysql/mysql_engine.h"
#include "bastion/engines/mysql/query.h"
#include "bastion/session.h"
#include "engines/classify.h"

/* The server's own words about a statement that took too long come after the time that it was given. */
#define LAST_WORDS AK_SECONDS(2)

static const char tables_sql[] =
    "SELECT table_schema AS `schema`, table_name AS name, LOWER(table_type) AS kind,"
    " table_rows AS estimatedRows, NULLIF(table_comment, '') AS description"
    " FROM information_schema.tables WHERE table_schema = ? OR (? IS NULL AND"
    " table_schema = DATABASE()) OR (? IS NULL AND DATABASE() IS NULL AND table_schema NOT IN"
    " ('information_schema', 'mysql', 'performance_schema', 'sys')) ORDER BY 1, 2";
static const char columns_sql[] =
    "SELECT column_name AS name, column_type AS type, is_nullable = 'YES' AS nullable,"
    " column_default AS `default`, column_key = 'PRI' AS primaryKey, NULLIF(extra, '') AS extra,"
    " (SELECT GROUP_CONCAT(CONCAT(k.referenced_table_schema, '.', k.referenced_table_name, '.',"
    " k.referenced_column_name)) FROM information_schema.key_column_usage k"
    " WHERE k.table_schema = c.table_schema AND k.table_name = c.table_name"
    " AND k.column_name = c.column_name AND k.referenced_table_name IS NOT NULL) AS `references`,"
    " NULLIF(column_comment, '') AS description FROM information_schema.columns c"
    " WHERE table_name = ? AND table_schema = COALESCE(?, DATABASE()) ORDER BY ordinal_position";

struct plan {
    const char *sql;
    size_t len;
    json_t *params; /* owned; NULL: none */
    bool reads;
    struct ak_mysql_limits limits;
};

static void plan_done(struct plan *self)
{
    json_decref(self->params);
}
AK_DEFINE_AUTO(plan, plan_done)

static int plan_statement(const struct ak_call *call, struct plan *plan, struct ak_error **reterr)
{
    json_t *sql = json_object_get(call->arguments, "sql");
    json_t *params = json_object_get(call->arguments, "params");
    const json_t *max_rows = json_object_get(call->arguments, "maxRows");

    if (!json_is_string(sql))
        return ak_error_set(reterr, -EINVAL, "sql: must be a text");
    if (params && !json_is_array(params) && !json_is_null(params))
        return ak_error_set(reterr, -EINVAL, "params: must be a list");
    plan->sql = json_string_value(sql);
    plan->len = json_string_length(sql);
    if (json_array_size(params))
        plan->params = json_incref(params);
    if (json_is_integer(max_rows) && json_integer_value(max_rows) > 0)
        plan->limits.max_rows = AK_MIN(plan->limits.max_rows, json_integer_value(max_rows));
    return 0;
}

static int plan_catalog(const struct ak_call *call, struct plan *plan, struct ak_error **reterr)
{
    const char *schema = ak_json_text(call->arguments, "schema", NULL);
    const char *table = ak_json_text(call->arguments, "table", NULL);

    if (strcmp(call->operation->name, "list_tables") == 0) {
        plan->sql = tables_sql;
        plan->params = json_pack("[s?s?s?]", schema, schema, schema);
    } else {
        if (!table)
            return ak_error_set(reterr, -EINVAL, "table: must be a text");
        plan->sql = columns_sql;
        plan->params = json_pack("[ss?]", table, schema);
    }
    plan->len = strlen(plan->sql);
    return plan->params ? 0 : ak_error_oom(reterr);
}

static int make_plan(const struct ak_call *call, struct plan *plan, struct ak_error **reterr)
{
    const char *name = call->operation->name;

    plan->reads = call->read_only || call->operation->at_most == AK_CLASS_READ;
    plan->limits = (struct ak_mysql_limits){call->max_rows, call->max_bytes, plan->reads};
    if (ak_streq(name, "query") || ak_streq(name, "execute"))
        return plan_statement(call, plan, reterr);
    if (ak_streq(name, "list_tables") || ak_streq(name, "describe_table"))
        return plan_catalog(call, plan, reterr);
    return ak_error_set(reterr, -ENOTSUP, "operation \"%s\" is not known", name);
}

/*
 * A READ ONLY transaction keeps statements from changing tables, and nothing else: files, other sessions, the
 * server's settings and one's own password are out of its reach. An identity that may only read has no rights
 * there; with any other, only what is known to read goes on.
 */
static int check_reading(const struct plan *plan, const struct ak_login *login,
                         struct ak_error **reterr)
{
    struct ak_sql_facts facts;
    enum ak_statement_class class_ =
        ak_classify_sql(AK_TOOL_TYPE_MYSQL, plan->sql, plan->len, &facts);

    if (class_ == AK_CLASS_READ || (login->is_minted && facts.only_function))
        return 0;
    return ak_error_set(reterr, AK_E_FORBIDDEN,
                        "only reading is possible here, and the statement %s",
                        facts.why ? facts.why : "is not known to read");
}

/* How long the server itself lets a statement run. Servers that do not know the variable are cut off by us. */
static void limit_time(struct ak_mysql *db, ak_msec deadline)
{
    const long long left = AK_MAX(deadline - ak_now(), (ak_msec)1);
    char sql[96];

    if (deadline == AK_MSEC_NEVER)
        return;
    if (ak_mysql_greeting(db)->is_mariadb)
        snprintf(sql, sizeof(sql), "SET SESSION max_statement_time = %lld.%03lld", left / 1000,
                 left % 1000);
    else
        snprintf(sql, sizeof(sql), "SET SESSION max_execution_time = %lld", left);
    (void)!ak_mysql_do(db, sql, NULL);
}

static int run(struct ak_mysql *db, const struct plan *plan, ak_msec deadline,
               struct ak_mysql_result *ret, struct ak_error **reterr)
{
    int r = 0;

    limit_time(db, deadline);
    if (plan->reads)
        r = ak_mysql_do(db, "START TRANSACTION READ ONLY", reterr);
    if (r < 0)
        return r;
    ak_mysql_set_refusal(db, &(struct ak_mysql_err){.code = 0});
    return plan->params ? ak_mysql_execute(db, plan->sql, plan->len, plan->params, &plan->limits,
                                           ret, reterr)
                        : ak_mysql_query(db, plan->sql, plan->len, &plan->limits, ret, reterr);
}

static int give(struct ak_call *call, struct ak_mysql_result *result, struct ak_error **reterr)
{
    const int64_t kept = (int64_t)json_array_size(result->rows);
    const int64_t rows = result->is_broken_off ? kept : result->n_rows;
    const int64_t count = result->has_rows ? rows : (int64_t)result->ok.affected;
    json_t *tree =
        json_pack("{s:O, s:O, s:I, s:b}", "columns", result->columns, "rows", result->rows,
                  "rowCount", (json_int_t)count, "truncated", result->truncated);

    if (tree && !result->has_rows && result->ok.last_id &&
        json_object_set_new(tree, "lastInsertId", json_integer((json_int_t)result->ok.last_id)) <
            0) {
        json_decref(tree);
        tree = NULL;
    }
    if (!tree)
        return ak_error_oom(reterr);
    call->ret_result = tree;
    call->ret_rows = count;
    call->ret_bytes = result->bytes;
    return 0;
}

static void keep_code(struct ak_call *call, const struct ak_mysql *db)
{
    const struct ak_mysql_err *err = ak_mysql_refusal(db);

    if (err->code)
        snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%u", err->code);
}

int ak__mysql_call(const struct ak_target *target, struct ak_session *session, struct ak_call *call,
                   struct ak_error **reterr)
{
    AK_AUTO(plan) plan = {0};
    AK_AUTO(ak_login) login = {0};
    AK_AUTO(ak_mysql_result) result = {0};
    AK_AUTO_PTR(ak_mysql) db = NULL;
    struct ak_mysql_how how = {
        .database = target->spec->config ? target->spec->config->database_name : NULL};
    int r = make_plan(call, &plan, reterr);

    if (r >= 0)
        r = ak_login_read(target, plan.reads, &login, reterr);
    if (r >= 0 && plan.reads && plan.sql != tables_sql && plan.sql != columns_sql)
        r = check_reading(&plan, &login, reterr);
    if (r >= 0)
        r = ak_mysql_open(target, ak_session_cancel(session), call->deadline, &db, reterr);
    if (r >= 0) {
        r = ak_mysql_login(db, &login, &how, reterr);
        keep_code(call, db);
    }
    if (r < 0)
        return r;
    ak_mysql_set_deadline(db, call->deadline == AK_MSEC_NEVER ? AK_MSEC_NEVER
                                                              : call->deadline + LAST_WORDS);
    r = run(db, &plan, call->deadline, &result, reterr);
    /* Whatever is still under way there shall end, not only be forgotten here. */
    if (r == AK_E_CANCELLED || r == -ETIMEDOUT || (r >= 0 && result.is_broken_off))
        ak_mysql_kill_query(target, &login, ak_mysql_greeting(db)->thread_id);
    keep_code(call, db);
    return r < 0 ? r : give(call, &result, reterr);
}
