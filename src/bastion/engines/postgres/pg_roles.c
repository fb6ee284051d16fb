/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_roles.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/postgres/pg_auth.h"
#include "bastion/engines/postgres/pg_engine.h"
#include "bastion/engines/postgres/pg_rights.h"

void ak__pg_job_done(struct job *self)
{
    ak_pg_free(self->pg);
    ak_login_done(&self->admin);
    for (int i = 0; i < 2; i++)
        ak_login_done(&self->identities[i].login);
    ak_arena_done(&self->memory);
}

static int read_identity(struct job *self, bool writer, struct ak_error **reterr)
{
    struct identity *who = &self->identities[writer];
    int r = ak_login_read(self->target, !writer, &who->login, reterr);

    if (r < 0)
        return r;
    if (!who->login.is_minted || !ak_streq(who->login.username, who->role))
        return ak_error_set(reterr, -EINVAL, "the identity of %s is not mounted here", who->role);
    return ak_policy_grants(self->target->spec, writer, self->arena, &who->grants, &who->n_grants,
                            reterr);
}

int ak__pg_job_init(struct job *self, bool mints, struct ak_error **reterr)
{
    int r = 0;

    ak_arena_init(&self->memory, 16384, AK_PG_RIGHTS_MEMORY);
    self->arena = &self->memory;
    self->only_tables = self->target->spec->type != AK_TOOL_TYPE_POSTGRES;
    for (int writer = 0; r >= 0 && writer <= 1; writer++) {
        struct identity *who = &self->identities[writer];

        if (ak_identity_name(self->target->uid, writer, who->role, sizeof(who->role)) < 0)
            return ak_error_set(reterr, -EINVAL, "the Tool has no uid");
        if (mints)
            r = read_identity(self, writer, reterr);
    }
    return r < 0 ? r : ak_login_read_admin(self->target, &self->admin, reterr);
}

int ak__pg_job_connect(struct job *self, const char *database, struct ak_error **reterr)
{
    const struct ak_pg_options options = {
        .cancel = self->cancel, .deadline = self->deadline, .database = database};
    int r;

    self->pg = ak_pg_free(self->pg);
    r = ak_pg_connect(self->target, &self->admin, &options, &self->pg, NULL, reterr);
    /* Names in our statements are the catalog's own, whatever the administrator's search path is. */
    if (r >= 0 && self->target->spec->type == AK_TOOL_TYPE_POSTGRES)
        r = ak_pg_run(self->pg, "SET search_path = pg_catalog; SET client_min_messages = error",
                      NULL, NULL, reterr);
    return r;
}

/* --- one role --- */

static int put_password(const struct job *self, const struct identity *who, struct ak_buf *sql,
                        struct ak_error **reterr)
{
    AK_AUTO(ak_buf) verifier = {.max = 512, .wipe = true};
    int r;

    if (self->target->spec->type == AK_TOOL_TYPE_REDSHIFT) {
        /* It keeps MD5 of password and name. */
        char md5[AK_PG_MD5_SIZE];

        r = ak_pg_md5_stored(who->login.password, who->role, md5, reterr);
        if (r >= 0 && ak_buf_adds(&verifier, md5) < 0)
            r = ak_error_oom(reterr);
    } else {
        r = ak_pg_verifier(who->login.password, &verifier, reterr);
    }
    if (r < 0)
        return r;
    if (ak_buf_adds(sql, " PASSWORD ") < 0 || ak_pg_put_literal(sql, verifier.data) < 0)
        return ak_error_oom(reterr);
    return 0;
}

struct state {
    bool exists;
    bool is_plain; /* has no attribute that it should not have, and may log in */
    bool is_set;   /* its settings are ours */
    int64_t limit;
};

static int on_role(void *user, size_t n, const char *const *values)
{
    struct state *state = user;

    if (n != 3 || !values[0] || !values[1] || ak_parse_i64(values[1], &state->limit) < 0)
        return AK_E_PROTOCOL;
    state->exists = true;
    state->is_plain = values[0][0] == 't';
    state->is_set = values[2] && values[2][0] == 't';
    return 0;
}

static const char *setting_of(const struct job *self, bool writer)
{
    return writer || self->only_tables ? NULL : "default_transaction_read_only=on";
}

static int read_state(struct job *self, bool writer, struct state *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(4096);
    const char *setting = setting_of(self, writer);
    int r;

    *ret = (struct state){.exists = false};
    if (self->only_tables) {
        ret->is_plain = ret->is_set = true;
        ret->limit = -1;
        r = ak_buf_adds(&sql, "SELECT 't', -1, 't' FROM pg_catalog.pg_user WHERE usename = ");
    } else {
        r = ak_buf_adds(
            &sql,
            "SELECT r.rolcanlogin AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR"
            " r.rolreplication OR r.rolbypassrls OR r.rolinherit), r.rolconnlimit,"
            " (SELECT coalesce(pg_catalog.array_agg(s.setdatabase::text || s.setconfig::text),"
            " '{}') = ");
        if (r >= 0 && setting)
            r = ak_buf_addf(&sql, "ARRAY['0{%s}']", setting);
        else if (r >= 0)
            r = ak_buf_adds(&sql, "'{}'");
        if (r >= 0)
            r = ak_buf_adds(&sql, " FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = r.oid)"
                                  " FROM pg_catalog.pg_roles r WHERE r.rolname = ");
    }
    if (r >= 0)
        r = ak_pg_put_literal(&sql, self->identities[writer].role);
    if (r < 0)
        return ak_error_oom(reterr);
    return ak_pg_run(self->pg, sql.data, on_role, ret, reterr);
}

static int64_t limit_of(const struct job *self)
{
    /* A session may have several connections: a client's own, one more to cancel, an operation's beside it. */
    return self->only_tables ? -1 : 2 * self->target->spec->max_sessions + 10;
}

static int create(struct job *self, bool writer, struct ak_error **reterr)
{
    struct identity *who = &self->identities[writer];
    AK_AUTO(ak_buf) sql = {.max = 2048, .wipe = true};
    int r =
        ak_buf_addf(&sql, "CREATE %s %s",
                    self->target->spec->type == AK_TOOL_TYPE_REDSHIFT ? "USER" : "ROLE", who->role);

    if (r >= 0 && self->target->spec->type == AK_TOOL_TYPE_POSTGRES)
        r = ak_buf_addf(&sql, " LOGIN NOINHERIT CONNECTION LIMIT %lld", (long long)limit_of(self));
    else if (r >= 0 && self->target->spec->type == AK_TOOL_TYPE_COCKROACHDB)
        r = ak_buf_adds(&sql, " LOGIN");
    if (r < 0)
        return ak_error_oom(reterr);
    r = put_password(self, who, &sql, reterr);
    if (r >= 0)
        r = ak_pg_run(self->pg, sql.data, NULL, NULL, reterr);
    if (r < 0)
        return r;
    who->is_new = true;
    return ak_provision_changed(self->result, "made role %s", who->role) < 0 ? ak_error_oom(reterr)
                                                                             : 0;
}

static int set_attributes(struct job *self, bool writer, const struct state *state,
                          struct ak_error **reterr)
{
    const char *role = self->identities[writer].role;
    const char *setting = setting_of(self, writer);
    char sql[512];
    int r = 0;

    if (!state->is_plain) {
        (void)snprintf(sql, sizeof(sql),
                       "ALTER ROLE %s LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION "
                       "NOBYPASSRLS NOINHERIT",
                       role);
        r = ak_pg_run(self->pg, sql, NULL, NULL, reterr);
        if (r >= 0 && ak_provision_changed(self->result, "took attributes from role %s", role) < 0)
            r = ak_error_oom(reterr);
    }
    if (r >= 0 && state->limit != limit_of(self)) {
        (void)snprintf(sql, sizeof(sql), "ALTER ROLE %s CONNECTION LIMIT %lld", role,
                       (long long)limit_of(self));
        r = ak_pg_run(self->pg, sql, NULL, NULL, reterr);
        if (r >= 0 &&
            ak_provision_changed(self->result, "limited the connections of role %s", role) < 0)
            r = ak_error_oom(reterr);
    }
    if (r >= 0 && !state->is_set) {
        (void)snprintf(sql, sizeof(sql), "ALTER ROLE %s RESET ALL%s%s%s%s", role,
                       setting ? "; ALTER ROLE " : "", setting ? role : "", setting ? " SET " : "",
                       setting ? setting : "");
        r = ak_pg_run(self->pg, sql, NULL, NULL, reterr);
        if (r >= 0 && !self->identities[writer].is_new &&
            ak_provision_changed(self->result, "reset the settings of role %s", role) < 0)
            r = ak_error_oom(reterr);
    }
    return r;
}

struct memberships {
    struct job *job;
    const char *role;
    struct ak_buf sql;
};

static int on_membership(void *user, size_t n, const char *const *values)
{
    struct memberships *m = user;

    if (n != 1 || !values[0])
        return AK_E_PROTOCOL;
    if (ak_buf_adds(&m->sql, "REVOKE ") < 0 || ak_pg_put_identifier(&m->sql, values[0]) < 0 ||
        ak_buf_addf(&m->sql, " FROM %s;", m->role) < 0)
        return -ENOMEM;
    return ak_provision_changed(m->job->result, "took role %s out of \"%s\"", m->role, values[0]);
}

static int leave_groups(struct job *self, const char *role, struct ak_error **reterr)
{
    struct memberships m = {.job = self, .role = role, .sql = AK_BUF_INIT(65536)};
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(1024);
    int r = ak_buf_adds(&sql, "SELECT g.rolname FROM pg_catalog.pg_auth_members m"
                              " JOIN pg_catalog.pg_roles g ON g.oid = m.roleid"
                              " JOIN pg_catalog.pg_roles r ON r.oid = m.member WHERE r.rolname = ");

    if (r >= 0)
        r = ak_pg_put_literal(&sql, role);
    if (r < 0)
        return ak_error_oom(reterr);
    r = ak_pg_run(self->pg, sql.data, on_membership, &m, reterr);
    if (r >= 0 && m.sql.len)
        r = ak_pg_run(self->pg, m.sql.data, NULL, NULL, reterr);
    ak_buf_done(&m.sql);
    return r;
}

int ak__pg_make_roles(struct job *self, struct ak_error **reterr)
{
    int r = ak__pg_job_connect(self, NULL, reterr);

    for (int writer = 0; r >= 0 && writer <= 1; writer++) {
        struct state state;

        r = read_state(self, writer, &state, reterr);
        if (r >= 0 && !state.exists) {
            r = create(self, writer, reterr);
            if (r >= 0)
                r = read_state(self, writer, &state, reterr);
        }
        if (r >= 0)
            r = set_attributes(self, writer, &state, reterr);
        if (r >= 0 && !self->only_tables)
            r = leave_groups(self, self->identities[writer].role, reterr);
    }
    self->pg = ak_pg_free(self->pg);
    return r;
}

/* --- passwords --- */

/* Whether the role can log in with what is minted for it. */
static bool can_log_in(struct job *self, const struct identity *who)
{
    AK_AUTO_PTR(ak_pg) pg = NULL;
    const struct ak_pg_options options = {.cancel = self->cancel, .deadline = self->deadline};

    return ak_pg_connect(self->target, &who->login, &options, &pg, NULL, NULL) >= 0;
}

static int set_password(struct job *self, const struct identity *who, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) sql = {.max = 2048, .wipe = true};
    int r = ak__pg_job_connect(self, NULL, reterr);

    if (r < 0)
        return r;
    if (ak_buf_addf(&sql, "ALTER %s %s",
                    self->target->spec->type == AK_TOOL_TYPE_REDSHIFT ? "USER" : "ROLE",
                    who->role) < 0)
        return ak_error_oom(reterr);
    r = put_password(self, who, &sql, reterr);
    if (r >= 0)
        r = ak_pg_run(self->pg, sql.data, NULL, NULL, reterr);
    self->pg = ak_pg_free(self->pg);
    if (r < 0)
        return r;
    return ak_provision_changed(self->result, "set the password of role %s", who->role) < 0
               ? ak_error_oom(reterr)
               : 0;
}

int ak__pg_check_passwords(struct job *self, struct ak_error **reterr)
{
    int r = 0;

    for (int writer = 0; r >= 0 && writer <= 1; writer++) {
        struct identity *who = &self->identities[writer];
        struct ak_pg_options options = {.cancel = self->cancel, .deadline = self->deadline};
        AK_AUTO_PTR(ak_pg) pg = NULL;

        if (can_log_in(self, who))
            continue;
        if (!who->is_new)
            r = set_password(self, who, reterr);
        if (r >= 0)
            r = ak_pg_connect(self->target, &who->login, &options, &pg, NULL, reterr);
        if (r < 0)
            r = ak_error_wrap(reterr, r, "log in as %s", who->role);
    }
    return r;
}
