/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Tool goes: its roles do, in every database with all that they were granted. What a writer made and owns
 * (only one that was granted CREATE can own anything) would go with DROP OWNED BY; people's data are not ours
 * to delete, so that is refused and said.
 */
#include "bastion/engines/postgres/pg_engine.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/postgres/pg_rights.h"
#include "bastion/engines/postgres/pg_roles.h"

#define MAX_DATABASES 1000

struct names {
    struct ak_arena *arena;
    const char *items[MAX_DATABASES];
    size_t n;
};

static int on_name(void *user, size_t n, const char *const *values)
{
    struct names *names = user;

    if (n != 1 || !values[0])
        return AK_E_PROTOCOL;
    if (names->n == MAX_DATABASES)
        return AK_E_TOO_LARGE;
    names->items[names->n] = ak_arena_strdup(names->arena, values[0]);
    return names->items[names->n++] ? 0 : -ENOMEM;
}

static int exists(struct job *self, const char *role, struct ak_error **reterr)
{
    struct names found = {.arena = self->arena};
    char sql[256];
    int r;

    (void)snprintf(sql, sizeof(sql), "SELECT usename FROM pg_catalog.pg_user WHERE usename = '%s'",
                   role);
    r = ak_pg_run(self->pg, sql, on_name, &found, reterr);
    return r < 0 ? r : found.n > 0;
}

/* Databases in which something depends on the role; the catalog of that is one for all of them. */
static int load_databases(struct job *self, const char *role, struct names *ret,
                          struct ak_error **reterr)
{
    char sql[512];

    *ret = (struct names){.arena = self->arena};
    (void)snprintf(sql, sizeof(sql),
                   "SELECT DISTINCT d.datname FROM pg_catalog.pg_shdepend s"
                   " JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid"
                   " JOIN pg_catalog.pg_database d ON d.oid = s.dbid OR s.dbid = 0 AND"
                   " d.datname = pg_catalog.current_database()"
                   " WHERE r.rolname = '%s' AND s.refclassid = 'pg_catalog.pg_authid'::regclass"
                   " AND d.datallowconn",
                   role);
    return ak_pg_run(self->pg, sql, on_name, ret, reterr);
}

static int refuse_owner(struct job *self, const char *role, const char *database,
                        struct ak_error **reterr)
{
    struct names owned = {.arena = self->arena};
    char sql[512];
    int r;

    (void)snprintf(sql, sizeof(sql),
                   "SELECT pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid)"
                   " FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid"
                   " JOIN pg_catalog.pg_database d ON d.oid = s.dbid"
                   " WHERE r.rolname = '%s' AND s.deptype = 'o'"
                   " AND s.classid <> 'pg_catalog.pg_default_acl'::regclass"
                   " AND d.datname = pg_catalog.current_database() ORDER BY 1 LIMIT 5",
                   role);
    r = ak_pg_run(self->pg, sql, on_name, &owned, reterr);
    if (r >= 0 && owned.n)
        return ak_error_set(
            reterr, AK_E_CONFLICT,
            "role %s owns %s in database \"%s\": give it to somebody else (REASSIGN "
            "OWNED BY %s TO ...) or drop it",
            role, owned.items[0], database, role);
    return r;
}

static int drop_in(struct job *self, const char *role, const char *database,
                   struct ak_error **reterr)
{
    char sql[128];
    int r = ak__pg_job_connect(self, database, reterr);

    if (r >= 0)
        r = refuse_owner(self, role, database, reterr);
    if (r < 0)
        return r;
    (void)snprintf(sql, sizeof(sql), "DROP OWNED BY %s", role);
    return ak_pg_run(self->pg, sql, NULL, NULL, reterr);
}

/* Without a catalog of what depends on it: what we may have granted is taken back, then the server says if
 * there is more. */
static int revoke_plainly(struct job *self, const char *role, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(65536);
    const struct ak_effective_grant *grants;
    size_t n;
    int r = ak_policy_grants(self->target->spec, true, self->arena, &grants, &n, reterr);

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const char *schema = grants[i].schema ? grants[i].schema : "public";

        r = ak__pg_job_connect(self, grants[i].database, reterr);
        if (r < 0)
            return r;
        ak_buf_clear(&sql);
        if (ak_buf_adds(&sql, "REVOKE ALL ON ALL TABLES IN SCHEMA ") < 0 ||
            ak_pg_put_identifier(&sql, schema) < 0 ||
            ak_buf_addf(&sql, " FROM %s; REVOKE ALL ON SCHEMA ", role) < 0 ||
            ak_pg_put_identifier(&sql, schema) < 0 || ak_buf_addf(&sql, " FROM %s", role) < 0)
            return ak_error_oom(reterr);
        r = ak_pg_run(self->pg, sql.data, NULL, NULL, reterr);
    }
    return r;
}

static int end_sessions(struct job *self, const char *role, struct ak_error **reterr)
{
    char sql[256];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
                   " WHERE usename = '%s'",
                   role);
    return ak_pg_run(self->pg, sql, NULL, NULL, reterr);
}

static int drop_role(struct job *self, const char *role, struct ak_error **reterr)
{
    struct names databases;
    char sql[128];
    int r = ak__pg_job_connect(self, NULL, reterr);

    if (r >= 0)
        r = exists(self, role, reterr);
    if (r <= 0)
        return r;
    if (self->only_tables) {
        r = revoke_plainly(self, role, reterr);
    } else {
        (void)snprintf(sql, sizeof(sql), "ALTER ROLE %s NOLOGIN", role);
        r = ak_pg_run(self->pg, sql, NULL, NULL, reterr);
        if (r >= 0)
            r = end_sessions(self, role, reterr);
        if (r >= 0)
            r = load_databases(self, role, &databases, reterr);
        for (size_t i = 0; r >= 0 && i < databases.n; i++)
            r = drop_in(self, role, databases.items[i], reterr);
    }
    if (r >= 0)
        r = ak__pg_job_connect(self, NULL, reterr);
    if (r < 0)
        return r;
    (void)snprintf(sql, sizeof(sql), "DROP %s %s",
                   self->target->spec->type == AK_TOOL_TYPE_REDSHIFT ? "USER" : "ROLE", role);
    r = ak_pg_run(self->pg, sql, NULL, NULL, reterr);
    if (r < 0)
        return r;
    return ak_provision_changed(self->result, "dropped role %s", role) < 0 ? ak_error_oom(reterr)
                                                                           : 0;
}

int ak__pg_deprovision(const struct ak_target *target, const struct ak_cancel *cancel,
                       ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr)
{
    AK_AUTO(job) job = {.target = target, .cancel = cancel, .deadline = deadline, .result = ret};
    int r = ak__pg_job_init(&job, false, reterr);

    for (int writer = 0; r >= 0 && writer <= 1; writer++)
        r = drop_role(&job, job.identities[writer].role, reterr);
    if (r < 0)
        return r;
    ret->done = true;
    return 0;
}
