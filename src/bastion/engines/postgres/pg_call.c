/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The structured operations. Each has a connection of its own, which is thrown away afterwards: whatever a
 * statement left in its session (settings, temporary tables, prepared statements, locks) is gone with it.
 */
#include "bastion/engines/postgres/pg_engine.h"

#include <stdio.h>
#include <string.h>

#include <ak/json/json.h>

#include "bastion/engines/postgres/pg_query.h"
#include "bastion/session.h"

#define LAST_WORDS                                                                                 \
    AK_SECONDS(2) /* the server's "canceling statement" comes after the timeout that it tells of */

/* What a reader of the catalog may see is up to the server: these ask for what exists and whether it may be read. */
static const char tables_sql[] =
    "SELECT n.nspname AS schema, c.relname AS name,"
    " CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'"
    " WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END AS kind,"
    " CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS \"estimatedRows\","
    " pg_catalog.obj_description(c.oid, 'pg_class') AS description"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition"
    " AND ($1::text IS NULL AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    " OR n.nspname = $1::text)"
    " AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
    " AND (pg_catalog.has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')"
    " OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE'))"
    " ORDER BY 1, 2";
static const char columns_sql[] =
    "SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,"
    " NOT a.attnotnull AS nullable,"
    " pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS \"default\","
    " EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary"
    " AND a.attnum = ANY (i.indkey)) AS \"primaryKey\","
    " (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), '; ')"
    " FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'"
    " AND a.attnum = ANY (k.conkey)) AS \"references\","
    " pg_catalog.col_description(c.oid, a.attnum) AS description"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE c.relname = $1::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    " AND CASE WHEN $2::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)"
    " ELSE n.nspname = $2::text END"
    " AND a.attnum > 0 AND NOT a.attisdropped"
    " AND (pg_catalog.has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')"
    " OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')) ORDER BY a.attnum";
/* What CockroachDB and Redshift have of it for certain is the standard's view. */
static const char standard_tables_sql[] =
    "SELECT table_schema AS schema, table_name AS name, table_type AS kind"
    " FROM information_schema.tables WHERE ($1::varchar IS NULL"
    " AND table_schema NOT IN ('information_schema', 'pg_catalog', 'crdb_internal', 'pg_extension')"
    " OR table_schema = $1::varchar) ORDER BY 1, 2";
static const char standard_columns_sql[] =
    "SELECT column_name AS name, data_type AS type, is_nullable = 'YES' AS nullable,"
    " column_default AS \"default\" FROM information_schema.columns WHERE table_name = $1::varchar"
    " AND table_schema = CASE WHEN $2::varchar IS NULL THEN current_schema() ELSE $2::varchar END"
    " ORDER BY ordinal_position";

struct plan {
    struct ak_pg_query query;
    json_t *params; /* owned */
    bool read_only;
};

static void plan_done(struct plan *self)
{
    json_decref(self->params);
}
AK_DEFINE_AUTO(plan, plan_done)

static int plan_sql(const struct ak_call *call, struct plan *plan, struct ak_error **reterr)
{
    json_t *sql = json_object_get(call->arguments, "sql");
    const json_t *max_rows = json_object_get(call->arguments, "maxRows");

    if (!json_is_string(sql))
        return ak_error_set(reterr, -EINVAL, "sql: must be a text");
    plan->query.sql = json_string_value(sql);
    plan->query.sql_len = json_string_length(sql);
    plan->params = json_incref(json_object_get(call->arguments, "params"));
    if (json_is_integer(max_rows) && json_integer_value(max_rows) > 0)
        plan->query.max_rows = AK_MIN(plan->query.max_rows, json_integer_value(max_rows));
    return 0;
}

static int plan_catalog(const struct ak_target *target, const struct ak_call *call,
                        struct plan *plan, struct ak_error **reterr)
{
    const bool has_catalog = target->spec->type == AK_TOOL_TYPE_POSTGRES;
    const char *schema = ak_json_text(call->arguments, "schema", NULL);
    const char *table = ak_json_text(call->arguments, "table", NULL);

    if (strcmp(call->operation->name, "list_tables") == 0) {
        plan->query.sql = has_catalog ? tables_sql : standard_tables_sql;
        plan->params = json_pack("[s?]", schema);
    } else {
        if (!table)
            return ak_error_set(reterr, -EINVAL, "table: must be a text");
        plan->query.sql = has_catalog ? columns_sql : standard_columns_sql;
        plan->params = json_pack("[s s?]", table, schema);
    }
    plan->query.sql_len = strlen(plan->query.sql);
    return plan->params ? 0 : ak_error_oom(reterr);
}

static int make_plan(const struct ak_target *target, const struct ak_call *call, struct plan *plan,
                     struct ak_error **reterr)
{
    const char *name = call->operation->name;
    const bool reads = call->operation->at_most == AK_CLASS_READ;
    int r;

    plan->read_only = call->read_only || reads;
    plan->query = (struct ak_pg_query){
        .max_rows = call->max_rows, .max_bytes = call->max_bytes, .may_stop = plan->read_only};
    if (strcmp(name, "query") == 0 || strcmp(name, "execute") == 0)
        r = plan_sql(call, plan, reterr);
    else if (strcmp(name, "list_tables") == 0 || strcmp(name, "describe_table") == 0)
        r = plan_catalog(target, call, plan, reterr);
    else
        r = ak_error_set(reterr, -ENOTSUP, "operation \"%s\" is not known", name);
    plan->query.params = plan->params;
    return r;
}

static int connect_for(const struct ak_target *target, struct ak_session *session,
                       const struct ak_call *call, const struct plan *plan, struct ak_pg **ret,
                       char *server_code, size_t size, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    struct ak_pg_server_error refused = {.sqlstate = ""};
    struct ak_pg_setting settings[6];
    struct ak_pg_options options = {.cancel = ak_session_cancel(session),
                                    .deadline = call->deadline,
                                    .read_only = plan->read_only,
                                    .statement_timeout = AK_MAX(call->deadline - ak_now(), 1),
                                    .settings = settings};
    int r = ak_login_read(target, plan->read_only, &login, reterr);

    if (r < 0)
        return r;
    r = ak__pg_settings(target, &path, settings, &options.n_settings, reterr);
    if (r >= 0)
        r = ak_pg_connect(target, &login, &options, ret, &refused, reterr);
    (void)snprintf(server_code, size, "%s", refused.sqlstate);
    return r;
}

static int run_plan(struct ak_pg *pg, const struct plan *plan, struct ak_pg_result *ret,
                    struct ak_error **reterr)
{
    int r = 0;

    /* The extended protocol takes a single statement, so that none of the caller's can both end this
     * transaction and do something else; the connection ends with it. */
    if (plan->read_only)
        r = ak_pg_run(pg, "BEGIN READ ONLY", NULL, NULL, reterr);
    return r < 0 ? r : ak_pg_query(pg, &plan->query, ret, reterr);
}

int ak__pg_call(const struct ak_target *target, struct ak_session *session, struct ak_call *call,
                struct ak_error **reterr)
{
    AK_AUTO(plan) plan = {0};
    AK_AUTO_PTR(ak_pg) pg = NULL;
    struct ak_pg_result result = {0};
    int r = make_plan(target, call, &plan, reterr);

    if (r >= 0)
        r = connect_for(target, session, call, &plan, &pg, call->ret_server_code,
                        sizeof(call->ret_server_code), reterr);
    if (r < 0)
        return r;
    ak_wire_set_deadline(pg->wire, call->deadline + LAST_WORDS);
    pg->body.max = AK_MAX((size_t)call->max_bytes, pg->body.max);
    r = run_plan(pg, &plan, &result, reterr);
    /* Whatever is still under way there shall end, not only be forgotten here. */
    if (r == AK_E_CANCELLED || r == -ETIMEDOUT || (r >= 0 && pg->is_broken))
        ak_pg_cancel(pg);
    (void)snprintf(call->ret_server_code, sizeof(call->ret_server_code), "%s", pg->error.sqlstate);
    if (r < 0)
        return r;
    call->ret_result = result.value;
    call->ret_rows = result.rows;
    call->ret_bytes = result.bytes;
    return 0;
}
