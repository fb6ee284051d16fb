/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two users of a Tool: made, given exactly their rights, and removed. Everything is compared with what the server
 * has, so that a second run changes nothing. Passwords go to the server as hashes: logs may keep the statements.
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/mysql/auth.h"
#include "bastion/engines/mysql/grants.h"
#include "bastion/engines/mysql/mysql_engine.h"
#include "bastion/engines/mysql/query.h"
#include "engines/names.h"

#define SHA2_MARK "$A$005$"
#define MAX_STATEMENT (8u << 10)

struct job {
    const struct ak_target *target;
    struct ak_mysql *db;
    struct ak_arena *arena;
    struct ak_provision_result *result;
    bool is_mariadb, has_sha2, folds;
};

AK_PRINTF(3, 4)
static int run(struct job *job, struct ak_error **reterr, const char *fmt, ...)
{
    AK_AUTO(ak_buf) sql = {.max = MAX_STATEMENT, .wipe = true};
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = ak_buf_vaddf(&sql, fmt, ap);
    va_end(ap);
    if (r < 0)
        return ak_error_set(reterr, r, "a statement is too long");
    return ak_mysql_do(job->db, sql.data, reterr);
}

static int query(struct job *job, const char *sql, struct ak_mysql_result *ret,
                 struct ak_error **reterr)
{
    return ak_mysql_query(job->db, sql, strlen(sql), NULL, ret, reterr);
}

/* ---- the user itself ---- */

/* "REQUIRE SSL" where the Tool never goes without TLS. */
static const char *requirement(const struct job *job)
{
    switch (ak_tool_ssl_mode(job->target->spec)) {
    case AK_SSL_MODE_REQUIRE:
    case AK_SSL_MODE_VERIFY_CA:
    case AK_SSL_MODE_VERIFY_FULL:
        return "REQUIRE SSL";
    default:
        return "REQUIRE NONE";
    }
}

/* The salt of the hash that the server has, so that the same password gives the same text; else a new one. */
static int choose_salt(const char *shown, char salt[static AK_MYSQL_SHA2_SALT + 1],
                       struct ak_error **reterr)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ab";
    const char *mark = shown ? strstr(shown, SHA2_MARK) : NULL;
    uint8_t bytes[AK_MYSQL_SHA2_SALT];
    bool plain = mark && strlen(mark) > strlen(SHA2_MARK) + AK_MYSQL_SHA2_SALT;

    for (size_t i = 0; plain && i < AK_MYSQL_SHA2_SALT; i++) {
        salt[i] = mark[strlen(SHA2_MARK) + i];
        plain = strchr(letters, salt[i]) != NULL;
    }
    salt[AK_MYSQL_SHA2_SALT] = '\0';
    if (plain)
        return 0;
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return ak_error_set(reterr, -EIO, "no random bytes");
    for (size_t i = 0; i < sizeof(bytes); i++)
        salt[i] = letters[bytes[i] % 64];
    return 0;
}

/* How the user proves itself, in the server's own dialect: a plugin and a hash. */
static int identified(const struct job *job, const struct ak_login *login, const char *shown,
                      char *hash, size_t hash_size, char *clause, size_t size,
                      struct ak_error **reterr)
{
    char native[AK_MYSQL_NATIVE_HASH_SIZE], sha2[AK_MYSQL_SHA2_HASH_SIZE];
    char salt[AK_MYSQL_SHA2_SALT + 1];
    int r;

    if (job->has_sha2) {
        r = choose_salt(shown, salt, reterr);
        if (r >= 0)
            r = ak_mysql_sha2_hash(login->password, salt, sha2, reterr);
        if (r < 0)
            return r;
        snprintf(hash, hash_size, "%s", sha2);
        snprintf(clause, size, "IDENTIFIED WITH caching_sha2_password AS '%s'", sha2);
        return 0;
    }
    r = ak_mysql_native_hash(login->password, native, reterr);
    if (r < 0)
        return r;
    snprintf(hash, hash_size, "%s", native);
    snprintf(clause, size,
             job->is_mariadb ? "IDENTIFIED BY PASSWORD '%s'"
                             : "IDENTIFIED WITH mysql_native_password AS '%s'",
             native);
    return 0;
}

/* A user of the same name at a certain host would be taken before the one that we make. */
static int drop_others(struct job *job, const char *name, struct ak_error **reterr)
{
    AK_AUTO(ak_mysql_result) others = {0};
    char sql[160];
    int r;

    snprintf(sql, sizeof(sql), "SELECT host FROM mysql.user WHERE user = '%s' AND host <> '%%'",
             name);
    r = query(job, sql, &others, reterr);
    for (size_t i = 0; r >= 0 && i < json_array_size(others.rows); i++) {
        const char *host = ak_mysql_text_at(&others, i, 0);

        if (!host || strchr(host, '\''))
            continue;
        r = run(job, reterr, "DROP USER IF EXISTS '%s'@'%s'", name, host);
        if (r >= 0)
            r = ak_provision_changed(job->result, "user %s at \"%s\" was removed", name, host);
    }
    return r;
}

static int ensure_user(struct job *job, const char *name, const struct ak_login *login,
                       struct ak_error **reterr)
{
    AK_AUTO(ak_mysql_result) shown = {0};
    char sql[128], hash[AK_MYSQL_SHA2_HASH_SIZE], clause[160];
    const char *text = NULL, *wants = requirement(job);
    bool has_tls, locked;
    int r;

    snprintf(sql, sizeof(sql), "SHOW CREATE USER '%s'@'%%'", name);
    r = query(job, sql, &shown, NULL);
    if (r < 0 && r != AK_E_INVALID)
        return ak_error_set(reterr, r, "the connection broke: %s", ak_code_text(r));
    if (r >= 0)
        text = ak_mysql_text_at(&shown, 0, 0);
    r = identified(job, login, text, hash, sizeof(hash), clause, sizeof(clause), reterr);
    if (r < 0)
        return r;
    if (!text) {
        r = run(job, reterr, "CREATE USER '%s'@'%%' %s %s", name, clause, wants);
        return r < 0 ? r : ak_provision_changed(job->result, "user %s was created", name);
    }
    has_tls = strstr(text, "REQUIRE SSL") != NULL;
    locked = strstr(text, "ACCOUNT LOCK") != NULL;
    if (strstr(text, hash) && has_tls == ak_streq(wants, "REQUIRE SSL") && !locked)
        return 0;
    r = run(job, reterr, "ALTER USER '%s'@'%%' %s %s%s", name, clause, wants,
            locked ? " ACCOUNT UNLOCK" : "");
    if (r < 0)
        return r;
    return ak_provision_changed(job->result, "%s of user %s was set",
                                strstr(text, hash) ? "what a login needs" : "the password", name);
}

/* ---- its rights ---- */

static int on_refuse(void *user, const char *text)
{
    struct job *job = user;

    for (size_t i = 0; i < job->result->n_unenforceable; i++)
        if (ak_streq(job->result->unenforceable[i], text))
            return 0;
    return ak_provision_unenforceable(job->result, "%s", text);
}

static int read_rights(struct job *job, const char *who, struct ak_mysql_rights *ret,
                       struct ak_error **reterr)
{
    AK_AUTO(ak_mysql_result) lines = {0};
    char sql[128];
    int r;

    snprintf(sql, sizeof(sql), "SHOW GRANTS FOR %s", who);
    r = query(job, sql, &lines, reterr);
    for (size_t i = 0; r >= 0 && i < json_array_size(lines.rows); i++) {
        const char *line = ak_mysql_text_at(&lines, i, 0);

        if (line)
            r = ak_mysql_add_grant_line(line, job->arena, ret, reterr);
    }
    return r;
}

static int revoke(struct job *job, const char *name, const struct ak_mysql_right *right,
                  struct ak_error **reterr)
{
    int r = right->on ? run(job, reterr, "REVOKE %s ON %s FROM '%s'@'%%'", right->privilege,
                            right->on, name)
                      : run(job, reterr, "REVOKE %s FROM '%s'@'%%'", right->privilege, name);

    if (r < 0)
        return r;
    return ak_provision_changed(job->result, "%s%s%s was revoked from %s", right->privilege,
                                right->on ? " on " : "", right->on ? right->on : "", name);
}

static int settle_rights(struct job *job, const char *name, bool writer, struct ak_error **reterr)
{
    struct ak_mysql_rights wanted = {0}, has = {0};
    char who[64];
    int r;

    snprintf(who, sizeof(who), "'%s'@'%%'", name);
    r = ak_mysql_wanted_rights(job->target->spec, writer, job->folds, job->arena, &wanted,
                               on_refuse, job, reterr);
    if (r >= 0)
        r = read_rights(job, who, &has, reterr);
    for (size_t i = 0; r >= 0 && i < has.n; i++) {
        if (ak_mysql_is_wanted(&wanted, &has.items[i], job->is_mariadb))
            continue;
        r = revoke(job, name, &has.items[i], reterr);
        /* Parts of what is wanted there went with it. */
        if (ak_streq(has.items[i].privilege, AK_MYSQL_ALL))
            has.items[i].privilege = "";
    }
    for (size_t i = 0; r >= 0 && i < wanted.n; i++) {
        const struct ak_mysql_right *w = &wanted.items[i];

        if (ak_mysql_has_right(&has, w->privilege, w->on) ||
            (ak_mysql_has_right(&has, AK_MYSQL_ALL, w->on)))
            continue;
        r = run(job, reterr, "GRANT %s ON %s TO %s", w->privilege, w->on, who);
        if (r >= 0)
            r = ak_provision_changed(job->result, "%s on %s was granted to %s", w->privilege, w->on,
                                     name);
    }
    return r;
}

/* ---- what everybody has, and so our users too ---- */

static int check_public(struct job *job, struct ak_error **reterr)
{
    struct ak_mysql_rights rights = {0};
    int r;

    /* MariaDB from 10.11 on; others do not know the word. */
    if (!job->is_mariadb || read_rights(job, "PUBLIC", &rights, NULL) < 0)
        return 0;
    r = 0;
    for (size_t i = 0; r >= 0 && i < rights.n; i++)
        r = ak_provision_unenforceable(
            job->result, "PUBLIC has %s%s%s, and so has every user: REVOKE it FROM PUBLIC",
            rights.items[i].privilege, rights.items[i].on ? " on " : "",
            rights.items[i].on ? rights.items[i].on : "");
    return r < 0 ? ak_error_oom(reterr) : 0;
}

static int check_open_databases(struct job *job, struct ak_error **reterr)
{
    AK_AUTO(ak_mysql_result) open = {0};
    int r = query(job, "SELECT db, host FROM mysql.db WHERE user = '' AND host = '%'", &open, NULL);

    /* Some services hide the table; there, nobody but the provider opens databases to all. */
    if (r == AK_E_INVALID)
        return 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(open.rows); i++)
        r = ak_provision_unenforceable(
            job->result,
            "database \"%s\" is open for every user (a row of mysql.db without a user): DELETE "
            "FROM mysql.db WHERE user = '', then FLUSH PRIVILEGES",
            ak_mysql_text_at(&open, i, 0) ? ak_mysql_text_at(&open, i, 0) : "?");
    return r < 0 ? ak_error_set(reterr, r, "what is open for every user cannot be read") : 0;
}

/* ---- the verbs ---- */

static int open_as_admin(struct job *job, const struct ak_cancel *cancel, ak_msec deadline,
                         struct ak_error **reterr)
{
    AK_AUTO(ak_login) admin = {0};
    AK_AUTO(ak_mysql_result) folds = {0};
    const char *version;
    int r = ak_login_read_admin(job->target, &admin, reterr);

    if (r >= 0)
        r = ak_mysql_open(job->target, cancel, deadline, &job->db, reterr);
    if (r >= 0)
        r = ak_mysql_login(job->db, &admin, &(struct ak_mysql_how){0}, reterr);
    if (r >= 0) /* names in backticks, texts in quotes, backslashes as they are read here */
        r = ak_mysql_do(job->db, "SET SESSION sql_mode = ''", reterr);
    if (r >= 0)
        r = query(job, "SELECT CONCAT(@@lower_case_table_names)", &folds, reterr);
    if (r < 0)
        return r;
    version = ak_mysql_greeting(job->db)->version;
    job->folds = !ak_streq(ak_mysql_text_at(&folds, 0, 0), "0");
    job->is_mariadb = ak_mysql_greeting(job->db)->is_mariadb;
    job->has_sha2 = !job->is_mariadb && (version[0] >= '8' || version[1] != '.');
    return 0;
}

static int provision_one(struct job *job, bool writer, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    char name[AK_IDENTITY_NAME_SIZE];
    int r = ak_login_read(job->target, !writer, &login, reterr);

    if (r >= 0 && ak_identity_name(job->target->uid, writer, name, sizeof(name)) < 0)
        r = ak_error_set(reterr, -EINVAL, "the Tool has no uid");
    if (r >= 0 && (!login.is_minted || !ak_streq(login.username, name) || !login.password))
        r = ak_error_set(reterr, -ENOENT, "there is no identity for user %s", name);
    if (r >= 0)
        r = drop_others(job, name, reterr);
    if (r >= 0)
        r = ensure_user(job, name, &login, reterr);
    return r < 0 ? r : settle_rights(job, name, writer, reterr);
}

int ak__mysql_provision(const struct ak_target *target, const struct ak_cancel *cancel,
                        ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr)
{
    struct job job = {.target = target, .arena = ret->arena, .result = ret};
    const char *const *refused;
    int r = ak_policy_enforceable(target->spec, ret->arena, &refused, reterr);

    for (; r >= 0 && *refused; refused++)
        r = ak_provision_unenforceable(ret, "%s", *refused);
    if (r < 0)
        return r;
    if (ret->n_unenforceable) {
        snprintf(ret->message, sizeof(ret->message), "%s", ret->unenforceable[0]);
        return 0;
    }
    r = open_as_admin(&job, cancel, deadline, reterr);
    if (r >= 0)
        r = provision_one(&job, false, reterr);
    if (r >= 0)
        r = provision_one(&job, true, reterr);
    if (r >= 0)
        r = check_public(&job, reterr);
    if (r >= 0)
        r = check_open_databases(&job, reterr);
    ak_mysql_free(job.db);
    if (r < 0)
        return r;
    ret->done = ret->n_unenforceable == 0;
    snprintf(ret->message, sizeof(ret->message), "%s",
             ret->done ? "the users and their rights are as they should be"
                       : ret->unenforceable[0]);
    return 0;
}

int ak__mysql_deprovision(const struct ak_target *target, const struct ak_cancel *cancel,
                          ak_msec deadline, struct ak_provision_result *ret,
                          struct ak_error **reterr)
{
    struct job job = {.target = target, .arena = ret->arena, .result = ret};
    char name[AK_IDENTITY_NAME_SIZE], sql[128];
    int r = open_as_admin(&job, cancel, deadline, reterr);

    for (int writer = 0; r >= 0 && writer < 2; writer++) {
        AK_AUTO(ak_mysql_result) found = {0};

        if (ak_identity_name(target->uid, writer, name, sizeof(name)) < 0) {
            r = ak_error_set(reterr, -EINVAL, "the Tool has no uid");
            break;
        }
        r = drop_others(&job, name, reterr);
        snprintf(sql, sizeof(sql), "SELECT host FROM mysql.user WHERE user = '%s'", name);
        if (r >= 0)
            r = query(&job, sql, &found, reterr);
        if (r >= 0 && json_array_size(found.rows) > 0) {
            r = run(&job, reterr, "DROP USER IF EXISTS '%s'@'%%'", name);
            if (r >= 0)
                r = ak_provision_changed(ret, "user %s was removed", name);
        }
    }
    ak_mysql_free(job.db);
    if (r < 0)
        return r;
    ret->done = true;
    snprintf(ret->message, sizeof(ret->message), "the users are gone");
    return 0;
}
