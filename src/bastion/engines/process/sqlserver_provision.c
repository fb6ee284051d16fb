/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/sqlserver.h"

#include <string.h>
#include <strings.h>

#include <ak/base/text.h>

#include "bastion/engines/process/sql_text.h"
#include "engines/names.h"
#include "engines/policy.h"

#define TEXT_MAX (1u << 20)

struct plan {
    char
        name[AK_IDENTITY_NAME_SIZE]; /* letters, digits and "_" only: it needs no quotes anywhere */
    const struct ak_effective_grant *grants;
    size_t n;
    const char *database, *schema; /* of spec.config */
};

static const char *database_of(const struct plan *plan, const struct ak_effective_grant *grant)
{
    return grant->database ? grant->database : plan->database;
}

/* GRANT SELECT, INSERT ON SCHEMA::[s] TO [x]; what is not about anything is about the database. */
static int grant(struct ak_buf *out, const struct plan *plan, const struct ak_effective_grant *g,
                 const char *object)
{
    const char *schema = g->schema ? g->schema : plan->schema ? plan->schema : "dbo";
    bool everything = !object && g->index == SIZE_MAX;
    int r = ak_buf_adds(out, "GRANT ");

    for (size_t i = 0; r >= 0 && g->privileges[i]; i++)
        r = ak_buf_addf(out, "%s%s", i ? ", " : "", g->privileges[i]);
    if (r >= 0 && !everything) {
        r = ak_buf_adds(out, object ? " ON OBJECT::" : " ON SCHEMA::");
        if (r >= 0)
            r = ak_sql_bracketed(out, schema);
        if (r >= 0 && object)
            r = ak_buf_adds(out, ".");
        if (r >= 0 && object)
            r = ak_sql_bracketed(out, object);
    }
    return r < 0 ? r : ak_buf_addf(out, " TO [%s]; ", plan->name);
}

/* What runs in one database: the user, and exactly these rights. Revoked and granted in one transaction:
 * nobody sees less in between. */
static int in_database(struct ak_buf *out, const struct plan *plan, const char *database)
{
    static const char rights[] =
        "(SELECT permission_name AS n, class AS c, major_id AS o, minor_id AS i, state AS s FROM "
        "sys.database_permissions WHERE grantee_principal_id = USER_ID(N'%s') ORDER BY 2, 3, 4, 1 "
        "FOR XML PATH)";
    const char *x = plan->name;
    int r = ak_buf_addf(out,
                        "IF USER_ID(N'%s') IS NULL BEGIN CREATE USER [%s] FOR LOGIN [%s]; SET @c = "
                        "1; END ELSE ALTER USER [%s] WITH "
                        "LOGIN = [%s]; ",
                        x, x, x, x, x);

    if (r >= 0)
        r = ak_buf_adds(out, "DECLARE @before nvarchar(max) = ");
    if (r >= 0)
        r = ak_buf_addf(out, rights, x);
    if (r >= 0)
        r = ak_buf_addf(out,
                        "; DECLARE @r nvarchar(max) = N''; SELECT @r += N'ALTER ROLE ' + "
                        "QUOTENAME(r.name) + N' DROP MEMBER [%s]; ' FROM "
                        "sys.database_role_members m JOIN sys.database_principals r ON "
                        "r.principal_id = m.role_principal_id WHERE "
                        "m.member_principal_id = USER_ID(N'%s'); IF @r <> N'' SET @c = 1; ",
                        x, x);
    if (r >= 0)
        r = ak_buf_addf(out,
                        "SELECT DISTINCT @r += N'REVOKE ' + permission_name + CASE class WHEN 1 "
                        "THEN N' ON OBJECT::' + "
                        "QUOTENAME(OBJECT_SCHEMA_NAME(major_id)) + N'.' + "
                        "QUOTENAME(OBJECT_NAME(major_id)) WHEN 3 THEN N' ON SCHEMA::' + "
                        "QUOTENAME(SCHEMA_NAME(major_id)) ELSE N'' END + N' FROM [%s] CASCADE; ' "
                        "FROM sys.database_permissions WHERE "
                        "grantee_principal_id = USER_ID(N'%s') AND permission_name <> 'CONNECT' "
                        "AND class IN (0, 1, 3) AND minor_id = 0; "
                        "BEGIN TRAN; EXEC(@r); ",
                        x, x);
    for (size_t i = 0; r >= 0 && i < plan->n; i++) {
        const struct ak_effective_grant *g = &plan->grants[i];
        if (!database_of(plan, g) || strcasecmp(database_of(plan, g), database) != 0)
            continue;
        if (!g->objects[0])
            r = grant(out, plan, g, NULL);
        for (size_t k = 0; r >= 0 && g->objects[k]; k++)
            r = grant(out, plan, g, g->objects[k]);
    }
    if (r >= 0)
        r = ak_buf_adds(out, "COMMIT; IF @before <> ");
    if (r >= 0)
        r = ak_buf_addf(out, rights, x);
    return r < 0 ? r : ak_buf_adds(out, " SET @c = 1;");
}

static int for_database(struct ak_buf *out, const struct plan *plan, const char *database,
                        size_t index)
{
    AK_AUTO(ak_buf) inner = AK_BUF_INIT(TEXT_MAX);
    int r = in_database(&inner, plan, database);

    if (r >= 0)
        r = ak_buf_addf(out, "DECLARE @q%zu nvarchar(max) = CAST(N'' AS nvarchar(max))+", index);
    if (r >= 0)
        r = ak_sql_literal(out, &ak_sql_sqlserver, inner.data, inner.len);
    if (r >= 0)
        r = ak_buf_adds(out, "; EXEC ");
    if (r >= 0)
        r = ak_sql_bracketed(out, database);
    return r < 0
               ? r
               : ak_buf_addf(out, ".sys.sp_executesql @q%zu, N'@c bit OUTPUT', @c OUTPUT; ", index);
}

static bool is_first(const struct plan *plan, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcasecmp(database_of(plan, &plan->grants[i]),
                       database_of(plan, &plan->grants[index])) == 0)
            return false;
    return true;
}

/* Users of ours in databases that no grant names any more; with away, in all. */
static int elsewhere(struct ak_buf *out, const struct plan *plan, bool away)
{
    int r = ak_buf_addf(out,
                        "DECLARE @all nvarchar(max) = N''; SELECT @all += N'EXEC ' + "
                        "QUOTENAME(name) + N'.sys.sp_executesql N''IF "
                        "USER_ID(N''''%s'''') IS NOT NULL BEGIN DROP USER [%s]; SET @c = 1; END'', "
                        "N''@c bit OUTPUT'', @c OUTPUT; ' FROM "
                        "sys.databases WHERE state = 0 AND HAS_DBACCESS(name) = 1",
                        plan->name, plan->name);

    for (size_t i = 0; r >= 0 && !away && i < plan->n; i++) {
        r = ak_buf_adds(out, " AND name <> ");
        if (r >= 0)
            r = ak_sql_literal(out, &ak_sql_sqlserver, database_of(plan, &plan->grants[i]),
                               strlen(database_of(plan, &plan->grants[i])));
    }
    return r < 0 ? r : ak_buf_adds(out, "; EXEC sp_executesql @all, N'@c bit OUTPUT', @c OUTPUT; ");
}

/* CREATE LOGIN takes no variable for the password: it is a literal within a literal. */
static int login(struct ak_buf *out, const struct plan *plan, const char *password)
{
    static const char *const verbs[] = {"CREATE", "ALTER"};
    AK_AUTO(ak_buf) word = {.max = 16 << 10, .wipe = true};
    int r = ak_sql_literal(&word, &ak_sql_sqlserver, password, strlen(password));

    if (r >= 0 && strchr(word.data, '+') && strstr(word.data, "+N"))
        r = -EINVAL;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(verbs); i++) {
        AK_AUTO(ak_buf) text = {.max = 32 << 10, .wipe = true};
        r = ak_buf_addf(&text, "%s LOGIN [%s] WITH PASSWORD = %s", verbs[i], plan->name, word.data);
        if (r >= 0)
            r = ak_buf_addf(out, "IF SUSER_ID(N'%s') IS %sNULL BEGIN EXEC(", plan->name,
                            i ? "NOT " : "");
        if (r >= 0)
            r = ak_sql_literal(out, &ak_sql_sqlserver, text.data, text.len);
        if (r >= 0)
            r = ak_buf_adds(out, i ? ") END; " : "); SET @c = 1; END ELSE ");
    }
    return r;
}

static int write_plan(struct ak_buf *out, const struct plan *plan, bool away, const char *password)
{
    int r = ak_buf_adds(out, "DECLARE @c bit = 0; ");

    if (r >= 0 && !away)
        r = login(out, plan, password);
    for (size_t i = 0; r >= 0 && !away && i < plan->n; i++)
        if (is_first(plan, i))
            r = for_database(out, plan, database_of(plan, &plan->grants[i]), i);
    if (r >= 0)
        r = elsewhere(out, plan, away);
    if (r >= 0 && away)
        r = ak_buf_addf(out,
                        "IF SUSER_ID(N'%s') IS NOT NULL BEGIN DROP LOGIN [%s]; SET @c = 1; END; ",
                        plan->name, plan->name);
    return r < 0 ? r
                 : ak_buf_adds(out,
                               "SELECT CASE @c WHEN 1 THEN N'changed' ELSE N'same' END AS result");
}

int ak_sqlserver_provision(struct ak_process *self, bool writer, bool away, struct ak_buf *out,
                           struct ak_error **reterr)
{
    const struct ak_tool_config *config = self->target->spec->config;
    struct plan plan = {.database = config->database_name, .schema = config->schema};
    AK_AUTO(ak_login) who = {0};
    size_t len;
    int r = ak_identity_name(self->target->uid, writer, plan.name, sizeof(plan.name));

    if (r == 0 && !away)
        r = ak_login_read(self->target, !writer, &who, reterr);
    if (r == 0 && !away && (!who.is_minted || !who.password))
        return ak_error_set(reterr, -EINVAL, "there is no password for %s", plan.name);
    if (r == 0)
        r = ak_policy_grants(self->target->spec, writer, self->arena, &plan.grants, &plan.n,
                             reterr);
    for (size_t i = 0; r == 0 && i < plan.n; i++)
        if (!database_of(&plan, &plan.grants[i]))
            return ak_error_set(
                reterr, -EINVAL,
                "spec.config.databaseName: is needed, because a grant names no database");
    if (r < 0)
        return r;
    r = write_plan(out, &plan, away, away ? "" : ak_secret_peek(who.password, &len));
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    return r < 0 ? ak_error_set(
                       reterr, r,
                       "spec.permissions.grants: a name cannot be written, or there are too many")
                 : 0;
}
