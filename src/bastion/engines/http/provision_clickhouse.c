/* SPDX-License-Identifier: Apache-2.0 */
/* ClickHouse's users. All grants of one are set by one statement that replaces what it had before. */
#include "bastion/engines/http/provision.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/http/clickhouse_result.h"
#include "engines/policy.h"

#define MAX_SQL (256u << 10)
#define SYNTAX_ERROR 62
#define UNKNOWN_USER 192

static int run(struct ak_upstream *admin, const char *sql, int *ret_code,
               struct ak_fetch_reply *ret, struct ak_error **reterr)
{
    int r = ak_http_clickhouse_run(admin, sql, ret, reterr);

    if (r < 0)
        return r;
    *ret_code = ret->status == 200 ? 0 : ak_clickhouse_code(ret->body.data, ret->body.len);
    if (ret->status != 200 && !*ret_code)
        *ret_code = -1;
    return 0;
}

/* The statement itself is not quoted: it may have a password's hash. */
static int failed(const struct ak_fetch_reply *reply, const char *what, struct ak_error **reterr)
{
    char words[512];

    ak_upstream_words(reply->status, NULL, ak_buf_text(&reply->body), reply->body.len, words,
                      sizeof(words));
    return ak_error_set(reterr, AK_E_INVALID, "%s: %s", what, words);
}

static int must(struct ak_upstream *admin, const char *sql, const char *what,
                struct ak_error **reterr)
{
    AK_AUTO(ak_fetch_reply) reply = {0};
    int code = 0, r = run(admin, sql, &code, &reply, reterr);

    return r < 0 ? r : code ? failed(&reply, what, reterr) : 0;
}

/* SHOW GRANTS, or "" when there is no such user. */
static int show(struct ak_upstream *admin, const char *name, struct ak_buf *out,
                struct ak_error **reterr)
{
    AK_AUTO(ak_fetch_reply) reply = {0};
    char sql[128];
    int code = 0, r;

    (void)snprintf(sql, sizeof(sql), "SHOW GRANTS FOR %s", name);
    r = run(admin, sql, &code, &reply, reterr);
    if (r < 0)
        return r;
    if (code == UNKNOWN_USER)
        return 0;
    if (code == SYNTAX_ERROR)
        return 1; /* a server without users of SQL */
    if (code)
        return failed(&reply, "read grants", reterr);
    r = ak_buf_add(out, reply.body.data, reply.body.len);
    return r < 0 ? ak_error_set(reterr, r, "grants: %s", ak_code_text(r)) : 0;
}

static int put_user(struct ak_upstream *admin, const char *name, const struct ak_login *login,
                    struct ak_error **reterr)
{
    static const char *const verbs[] = {"CREATE USER IF NOT EXISTS", "ALTER USER"};
    unsigned char hash[EVP_MAX_MD_SIZE];
    char sql[512], hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    size_t len;
    const char *password = ak_secret_peek(login->password, &len);
    unsigned int n = 0;
    int r = 0;

    if (EVP_Digest(password, len, hash, &n, EVP_sha256(), NULL) != 1)
        return ak_error_oom(reterr);
    for (unsigned int i = 0; i < n; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(verbs); i++) {
        (void)snprintf(sql, sizeof(sql), "%s %s IDENTIFIED WITH sha256_hash BY '%s'", verbs[i],
                       name, hex);
        r = must(admin, sql, verbs[i], reterr);
    }
    return r;
}

static int add_place(struct ak_buf *sql, const struct ak_effective_grant *grant, const char *object)
{
    const char *database = grant->database ? grant->database : "default";
    int r = ak_clickhouse_identifier(sql, database);

    if (r >= 0)
        r = ak_buf_adds(sql, ".");
    return r < 0 ? r : object ? ak_clickhouse_identifier(sql, object) : ak_buf_adds(sql, "*");
}

static int add_grant(struct ak_buf *sql, const struct ak_effective_grant *grant, bool *first)
{
    size_t n = 0;
    int r = 0;

    do {
        for (size_t p = 0; r >= 0 && grant->privileges[p]; p++) {
            r = ak_buf_addf(sql, "%s%s ON ", *first ? "" : ", ", grant->privileges[p]);
            if (r >= 0)
                r = add_place(sql, grant, grant->objects[n]);
            *first = false;
        }
    } while (r >= 0 && grant->objects[n] && grant->objects[++n]);
    return r;
}

static int put_grants(struct ak_upstream *admin, const char *name, bool writer,
                      struct ak_arena *arena, struct ak_error **reterr)
{
    const struct ak_effective_grant *grants = NULL;
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(MAX_SQL);
    bool first = true;
    size_t n = 0;
    int r = ak_policy_grants(admin->target->spec, writer, arena, &grants, &n, reterr);

    if (r < 0)
        return r;
    r = ak_buf_adds(&sql, "GRANT ");
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = add_grant(&sql, &grants[i], &first);
    if (r >= 0 && first)
        r = ak_buf_adds(&sql, "NONE");
    if (r >= 0)
        r = ak_buf_addf(&sql, " TO %s WITH REPLACE OPTION", name);
    if (r < 0)
        return ak_error_set(reterr, r, "grants: %s", ak_code_text(r));
    return must(admin, ak_buf_text(&sql), "set the grants", reterr);
}

static int put_roles(struct ak_upstream *admin, const char *name, struct ak_error **reterr)
{
    const struct ak_string_list *roles = &admin->target->spec->permissions->roles;
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(MAX_SQL);
    int r = ak_buf_adds(&sql, "GRANT ");

    for (size_t i = 0; r >= 0 && i < roles->len; i++) {
        r = i ? ak_buf_adds(&sql, ", ") : 0;
        if (r >= 0)
            r = ak_clickhouse_identifier(&sql, roles->items[i]);
    }
    if (r >= 0)
        r = ak_buf_addf(&sql, " TO %s WITH REPLACE OPTION", name);
    if (r < 0)
        return ak_error_set(reterr, r, "roles: %s", ak_code_text(r));
    return must(admin, ak_buf_text(&sql), "set the roles", reterr);
}

/* What somebody else gave: a line of SHOW GRANTS without ON, "GRANT role, `another one` TO name". */
static int take_roles(struct ak_upstream *admin, const char *name, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) grants = AK_BUF_INIT(MAX_SQL);
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(MAX_SQL);
    int r = show(admin, name, &grants, reterr);

    for (const char *line = ak_buf_text(&grants); r >= 0 && *line;) {
        const size_t len = strcspn(line, "\n");
        const char *to = memmem(line, len, " TO ", 4);

        if (len > 6 && strncmp(line, "GRANT ", 6) == 0 && to && !memmem(line, len, " ON ", 4)) {
            ak_buf_clear(&sql);
            r = ak_buf_addf(&sql, "REVOKE %.*s FROM %s", (int)(to - line - 6), line + 6, name);
            r = r < 0 ? ak_error_set(reterr, r, "roles: %s", ak_code_text(r))
                      : must(admin, ak_buf_text(&sql), "take roles away", reterr);
        }
        line += len + (line[len] != '\0');
    }
    return r < 0 ? r : 0;
}

static int provision_user(struct ak_upstream *admin, const struct ak_http_identities *who,
                          size_t which, struct ak_arena *arena, struct ak_provision_result *ret,
                          struct ak_error **reterr)
{
    AK_AUTO(ak_buf) before = AK_BUF_INIT(MAX_SQL);
    AK_AUTO(ak_buf) after = AK_BUF_INIT(MAX_SQL);
    const char *name = who->names[which];
    int r = show(admin, name, &before, reterr);

    if (r > 0) {
        r = ak_provision_unenforceable(ret, "spec.permissions: this server has no users that SQL "
                                            "makes (ClickHouse 20.4 and newer)");
        return r < 0 ? ak_error_oom(reterr) : 1;
    }
    if (r >= 0)
        r = put_user(admin, name, &who->logins[which], reterr);
    if (r >= 0)
        r = put_grants(admin, name, which == 1, arena, reterr);
    if (r >= 0)
        r = which == 1 && admin->target->spec->permissions->roles.len
                ? put_roles(admin, name, reterr)
                : take_roles(admin, name, reterr);
    if (r >= 0)
        r = show(admin, name, &after, reterr);
    if (r < 0 || ak_streq(ak_buf_text(&before), ak_buf_text(&after)))
        return r;
    r = ak_provision_changed(ret, before.len ? "grants of %s were set" : "user %s was made", name);
    return r < 0 ? ak_error_oom(reterr) : 0;
}

int ak_http_clickhouse_provision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                 struct ak_error **reterr)
{
    AK_AUTO(ak_http_identities) who = {0};
    AK_AUTO(ak_arena) arena = {0};
    int r = ak_http_identities_read(admin->target, true, &who, reterr);

    ak_arena_init(&arena, 4096, 4u << 20);
    for (size_t i = 0; r == 0 && i < 2; i++)
        r = provision_user(admin, &who, i, &arena, ret, reterr);
    return r < 0 ? r : 0;
}

int ak_http_clickhouse_deprovision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                   struct ak_error **reterr)
{
    AK_AUTO(ak_http_identities) who = {0};
    int r = ak_http_identities_read(admin->target, false, &who, reterr);

    for (size_t i = 0; r >= 0 && i < 2; i++) {
        AK_AUTO(ak_buf) before = AK_BUF_INIT(MAX_SQL);
        char sql[128];

        r = show(admin, who.names[i], &before, reterr);
        if (r > 0)
            return 0; /* nothing was ever made there */
        (void)snprintf(sql, sizeof(sql), "DROP USER IF EXISTS %s", who.names[i]);
        if (r >= 0)
            r = must(admin, sql, "drop the user", reterr);
        if (r >= 0 && before.len &&
            ak_provision_changed(ret, "user %s was removed", who.names[i]) < 0)
            r = ak_error_oom(reterr);
    }
    return r;
}
