/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Tool's two roles, and exactly the rights that its permissions say, in each database that they name.
 * Everything is compared with the catalog first, so that a second run changes nothing, and what somebody else
 * has given or taken meanwhile is put right. What the roles can do without us, because everybody can, is
 * reported: it cannot be taken from one role alone.
 */
#include "bastion/engines/postgres/pg_engine.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/postgres/pg_auth.h"
#include "bastion/engines/postgres/pg_catalog.h"
#include "bastion/engines/postgres/pg_roles.h"
#include "engines/names.h"

#define MAX_BATCH (32u << 10) /* bytes of statements that are sent together */

static int note(struct job *job, bool grant, const struct ak_pg_right *right, const char *database,
                const char *role)
{
    AK_AUTO(ak_buf) words = AK_BUF_INIT(4096);

    if (ak_pg_right_words(right, database, &words) < 0)
        return -ENOMEM;
    return ak_provision_changed(job->result, "%s %s %s %s", grant ? "granted" : "revoked",
                                words.data, grant ? "to" : "from", role);
}

static int send_batch(struct job *job, struct ak_buf *sql, struct ak_error **reterr)
{
    int r = sql->len ? ak_pg_run(job->pg, sql->data, NULL, NULL, reterr) : 0;

    ak_buf_clear(sql);
    return r;
}

/* Without a catalog of rights it is known that a role may use a schema, but not whether that was granted to it. */
static bool is_beyond(const struct job *job, const struct ak_pg_right *right)
{
    return job->only_tables && right->on != AK_PG_ON_TABLE;
}

/* GRANT (or REVOKE) what is in `wanted` and not in `there`. */
static int apply_difference(struct job *job, const struct ak_pg_rights *wanted,
                            const struct ak_pg_rights *there, bool grant, const char *database,
                            const char *role, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(2 * MAX_BATCH);
    size_t it = 0;
    const char *key;
    void *value;
    int r = 0;

    while (r >= 0 && ak_map_next(&wanted->by_key, &it, &key, &value)) {
        const struct ak_pg_right *right = value;

        if (ak_map_get(&there->by_key, key) || (!grant && is_beyond(job, right)))
            continue;
        if (ak_pg_right_sql(right, grant, database, role, &sql) < 0 ||
            note(job, grant, right, database, role) < 0)
            return ak_error_oom(reterr);
        if (sql.len > MAX_BATCH)
            r = send_batch(job, &sql, reterr);
    }
    return r < 0 ? r : send_batch(job, &sql, reterr);
}

/* GRANT by somebody who may not is only a warning: what counts is what the catalog says afterwards. */
static int verify(struct job *job, const struct ak_pg_rights *wanted, const char *database,
                  const char *role, struct ak_error **reterr)
{
    AK_AUTO(ak_pg_rights) there = {0};
    AK_AUTO(ak_buf) words = AK_BUF_INIT(4096);
    size_t it = 0;
    const char *key;
    void *value;
    int r;

    ak_pg_rights_init(&there, job->arena);
    r = ak_pg_load_rights(job->pg, job->target->spec->type, role, &there, reterr);
    if (r < 0)
        return r;
    while (ak_map_next(&wanted->by_key, &it, &key, &value)) {
        const struct ak_pg_right *right = value;

        if (ak_map_get(&there.by_key, key))
            continue;
        if (ak_pg_right_words(right, database, &words) < 0)
            return ak_error_oom(reterr);
        return ak_error_set(
            reterr, AK_E_FORBIDDEN,
            "%s could not be granted: \"%s\" is neither owner nor has the grant option", words.data,
            job->admin.username);
    }
    it = 0;
    while (ak_map_next(&there.by_key, &it, &key, &value)) {
        const struct ak_pg_right *right = value;

        if (ak_map_get(&wanted->by_key, key) || is_beyond(job, right))
            continue;
        ak_buf_clear(&words);
        if (ak_pg_right_words(right, database, &words) < 0 ||
            ak_provision_unenforceable(
                job->result,
                "role %s has %s in database \"%s\", given by somebody else than "
                "%s: only they can REVOKE it",
                role, words.data, database, job->admin.username) < 0)
            return ak_error_oom(reterr);
    }
    return 0;
}

static int provision_role(struct job *job, const struct ak_effective_grant *grants, size_t n,
                          const char *database, const struct ak_pg_things *things, const char *role,
                          struct ak_pg_rights *wanted, struct ak_error **reterr)
{
    AK_AUTO(ak_pg_rights) there = {0};
    const enum ak_tool_type type = job->target->spec->type;
    int r =
        ak_pg_rights_expand(wanted, grants, n, database, things, ak_pg_has_catalog(type), reterr);

    ak_pg_rights_init(&there, job->arena);
    if (r >= 0)
        r = ak_pg_load_rights(job->pg, type, role, &there, reterr);
    if (r >= 0)
        r = apply_difference(job, &there, wanted, false, database, role, reterr);
    if (r >= 0)
        r = apply_difference(job, wanted, &there, true, database, role, reterr);
    return r < 0 ? r : verify(job, wanted, database, role, reterr);
}

/* --- what everybody may --- */

static bool is_write(const char *privilege)
{
    return ak_privilege_class(AK_TOOL_TYPE_POSTGRES, privilege) != AK_CLASS_READ;
}

/* Beyond connecting, temporary tables and the use of schemas, which give nothing by themselves. */
static bool widens(const struct ak_pg_right *right)
{
    switch (right->on) {
    case AK_PG_ON_DATABASE:
        return strcmp(right->privilege, "CREATE") == 0;
    case AK_PG_ON_SCHEMA:
        return strcmp(right->privilege, "CREATE") == 0;
    case AK_PG_ON_TABLE:
    case AK_PG_ON_COLUMN:
    case AK_PG_ON_SEQUENCE:
        return true;
    default:
        return false;
    }
}

static int report_public(struct job *job, const struct ak_pg_rights *wanted, const char *database,
                         const char *role, struct ak_error **reterr)
{
    AK_AUTO(ak_pg_rights) public = {0};
    size_t it = 0;
    const char *key;
    void *value;
    int r;

    ak_pg_rights_init(&public, job->arena);
    r = ak_pg_load_rights(job->pg, job->target->spec->type, NULL, &public, reterr);
    if (r < 0)
        return r;
    while (ak_map_next(&public.by_key, &it, &key, &value)) {
        const struct ak_pg_right *right = value;
        AK_AUTO(ak_buf) sql = AK_BUF_INIT(4096);

        if (!widens(right) || ak_map_get(&wanted->by_key, key))
            continue;
        /* REVOKE ... FROM PUBLIC takes a keyword where a role has a name. */
        if (ak_pg_right_sql(right, false, database, "", &sql) < 0)
            return ak_error_oom(reterr);
        sql.data[sql.len - strlen("\"\";")] = '\0';
        if (ak_provision_unenforceable(
                job->result,
                "everybody may %s in database \"%s\", so %s may too; in that "
                "database: %sPUBLIC",
                is_write(right->privilege) ? "change more" : "read more", database, role,
                sql.data) < 0)
            return ak_error_oom(reterr);
    }
    return 0;
}

/* Functions that run with their owner's rights and that everybody may call: not ours to judge, but worth knowing. */
static int count_definers(void *user, size_t n, const char *const *values)
{
    int64_t *count = user;

    return n == 1 && values[0] && ak_parse_i64(values[0], count) == 0 ? 0 : AK_E_PROTOCOL;
}

static int note_definers(struct job *job, const char *database, struct ak_error **reterr)
{
    static const char sql[] =
        "SELECT count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n"
        " ON n.oid = p.pronamespace WHERE p.prosecdef AND n.nspname !~ '^pg_'"
        " AND n.nspname <> 'information_schema' AND (p.proacl IS NULL OR EXISTS (SELECT FROM"
        " pg_catalog.aclexplode(p.proacl) a WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE'))";
    const size_t used = strlen(job->result->message);
    int64_t count = 0;
    int r = ak_pg_run(job->pg, sql, count_definers, &count, reterr);

    if (r >= 0 && count)
        (void)snprintf(job->result->message + used, sizeof(job->result->message) - used,
                       "%sdatabase \"%s\" has %lld functions with their owner's rights "
                       "(SECURITY DEFINER) that everybody may call",
                       used ? "; " : "", database, (long long)count);
    return r;
}

/* --- databases --- */

static int provision_both(struct job *job, const char *database, const struct ak_pg_things *things,
                          struct ak_error **reterr)
{
    int r = 0;

    for (int writer = 0; r >= 0 && writer <= 1; writer++) {
        AK_AUTO(ak_pg_rights) wanted = {0};
        const struct identity *who = &job->identities[writer];

        ak_pg_rights_init(&wanted, job->arena);
        r = provision_role(job, who->grants, who->n_grants, database, things, who->role, &wanted,
                           reterr);
        if (r >= 0 && !job->only_tables)
            r = report_public(job, &wanted, database, who->role, reterr);
    }
    if (r >= 0 && !job->only_tables)
        r = note_definers(job, database, reterr);
    return r;
}

/* All or nothing in each database. */
static int provision_database(struct job *job, const char *database, struct ak_error **reterr)
{
    struct ak_pg_things things;
    int r = ak__pg_job_connect(job, database, reterr);

    if (r >= 0)
        r = ak_pg_run(job->pg, "BEGIN", NULL, NULL, reterr);
    /* Two at a time would meet in the same rows of the catalog. */
    if (r >= 0 && !job->only_tables)
        r = ak_pg_run(job->pg, "SELECT pg_catalog.pg_advisory_xact_lock(7237095)", NULL, NULL,
                      reterr);
    if (r >= 0)
        r = ak_pg_load_things(job->pg, job->target->spec->type, job->arena, &things, reterr);
    if (r >= 0)
        r = provision_both(job, database, &things, reterr);
    if (r >= 0)
        r = ak_pg_run(job->pg, "COMMIT", NULL, NULL, reterr);
    job->pg = ak_pg_free(job->pg);
    return r;
}

static bool is_earlier(const struct identity *who, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (ak_streq(who->grants[i].database, who->grants[j].database))
            return true;
    }
    return false;
}

static int provision_databases(struct job *job, struct ak_error **reterr)
{
    const struct identity *who = &job->identities[1]; /* the writer's grants name every database */
    int r = 0;

    for (size_t i = 0; r >= 0 && i < who->n_grants; i++) {
        if (!who->grants[i].database)
            return ak_error_set(
                reterr, AK_E_INVALID,
                "spec.config.databaseName: is needed where a grant names no database");
        if (!is_earlier(who, i))
            r = provision_database(job, who->grants[i].database, reterr);
    }
    return r;
}

int ak__pg_provision(const struct ak_target *target, const struct ak_cancel *cancel,
                     ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr)
{
    AK_AUTO(job) job = {.target = target, .cancel = cancel, .deadline = deadline, .result = ret};
    int r = ak__pg_job_init(&job, true, reterr);

    if (r >= 0)
        r = ak__pg_make_roles(&job, reterr);
    if (r >= 0)
        r = provision_databases(&job, reterr);
    if (r >= 0)
        r = ak__pg_check_passwords(&job, reterr);
    if (r < 0)
        return r;
    ret->done = ret->n_unenforceable == 0;
    return 0;
}
