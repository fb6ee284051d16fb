/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two users of a Tool, by Redis' access control lists: each is set as a whole in one command, which is what makes
 * it exact, and looked at before and after, which is how a change is noticed. Passwords go as their SHA-256.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/text.h>

#include "bastion/engines/redis/connection.h"
#include "bastion/engines/redis/redis_engine.h"
#include "engines/names.h"
#include "engines/policy.h"

#define MAX_RULES 192

struct job {
    const struct ak_target *target;
    struct ak_redis *db;
    struct ak_provision_result *result;
};

struct rules {
    const char *items[MAX_RULES];
    size_t n;
};

static void add(struct rules *rules, const char *rule)
{
    if (rules->n < MAX_RULES)
        rules->items[rules->n++] = rule;
}

/* What every session needs to be one; none of it touches a key. */
static const char *const base[] = {"+ping",      "+echo",           "+select",        "+command",
                                   "+client|id", "+client|setname", "+client|getname"};
/* Taken from readers behind all that is listed: what writes, and what reaches beyond the keys. */
static const char *const not_reading[] = {"-@write", "-@admin", "-@dangerous", "-@scripting",
                                          "-publish"};

static bool is_key_rule(const char *rule)
{
    return rule[0] == '~' || rule[0] == '%' || strcasecmp(rule, "allkeys") == 0;
}

static void make_rules(const struct ak_tool_spec *spec, bool writer, struct rules *rules)
{
    const struct ak_tool_permissions *p = spec->permissions;
    const bool lists = p && p->commands.len;
    bool has_keys = false, has_commands = false;

    for (size_t i = 0; i < AK_ARRAY_LEN(base); i++)
        add(rules, base[i]);
    for (size_t i = 0; lists && i < p->commands.len; i++) {
        has_keys = has_keys || is_key_rule(p->commands.items[i]);
        has_commands = has_commands || p->commands.items[i][0] == '+' ||
                       strcasecmp(p->commands.items[i], "allcommands") == 0;
    }
    /* What is left out: to read, and all keys. */
    if (!has_commands)
        add(rules, "+@read");
    if (!has_keys)
        add(rules, "~*");
    for (size_t i = 0; lists && i < p->commands.len; i++)
        add(rules, p->commands.items[i]);
    if (!writer || (p && p->read_only))
        for (size_t i = 0; i < AK_ARRAY_LEN(not_reading); i++)
            add(rules, not_reading[i]);
}

static int hash_password(const struct ak_secret *password, char buf[static 66],
                         struct ak_error **reterr)
{
    size_t len;
    const char *text = ak_secret_peek(password, &len);
    unsigned char hash[32];

    if (EVP_Digest(text, len, hash, NULL, EVP_sha256(), NULL) != 1)
        return ak_error_set(reterr, -ENOMEM, "a hash cannot be computed");
    buf[0] = '#';
    for (size_t i = 0; i < sizeof(hash); i++)
        snprintf(buf + 1 + 2 * i, 3, "%02x", hash[i]);
    return 0;
}

static int get_user(struct job *job, const char *name, struct ak_redis_answer *ret,
                    struct ak_error **reterr)
{
    return ak_redis_command(job->db, 3, (const char *[]){"ACL", "GETUSER", name}, NULL, 0, ret,
                            reterr);
}

/* Servers before version 6 have no such command. */
static bool has_no_lists(const struct job *job, const struct ak_error *err)
{
    return ak_streq(ak_redis_code(job->db), "ERR") &&
           strncasecmp(ak_error_message(err), "ERR unknown command", 19) == 0;
}

static int provision_one(struct job *job, bool writer, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    AK_AUTO(ak_redis_answer) before = {0}, done = {0}, after = {0};
    const char *words[MAX_RULES + 10] = {"ACL", "SETUSER"};
    struct rules rules = {.n = 0};
    char name[AK_IDENTITY_NAME_SIZE], hash[66];
    size_t n = 2;
    int r = ak_login_read(job->target, !writer, &login, reterr);

    if (r >= 0 && ak_identity_name(job->target->uid, writer, name, sizeof(name)) < 0)
        r = ak_error_set(reterr, -EINVAL, "the Tool has no uid");
    if (r >= 0 && (!login.is_minted || !ak_streq(login.username, name) || !login.password))
        r = ak_error_set(reterr, -ENOENT, "there is no identity for user %s", name);
    if (r >= 0)
        r = hash_password(login.password, hash, reterr);
    if (r >= 0)
        r = get_user(job, name, &before, reterr);
    if (r < 0)
        return r;
    make_rules(job->target->spec, writer, &rules);
    words[n++] = name;
    words[n++] = "reset";
    words[n++] = "on";
    words[n++] = hash;
    for (size_t i = 0; i < rules.n; i++)
        words[n++] = rules.items[i];
    r = ak_redis_command(job->db, n, words, NULL, 0, &done, reterr);
    if (r >= 0)
        r = get_user(job, name, &after, reterr);
    if (r < 0)
        return r;
    if (json_is_null(before.value))
        return ak_provision_changed(job->result, "user %s was created", name);
    if (!json_equal(before.value, after.value))
        return ak_provision_changed(job->result, "the password or the rules of user %s were set",
                                    name);
    return 0;
}

/* Into the server's file, if it has one; without, a server that starts anew gets its users at the next check. */
static int save(struct job *job, struct ak_error **reterr)
{
    AK_AUTO(ak_redis_answer) done = {0};
    AK_AUTO_PTR(ak_error) why = NULL;
    int r = ak_redis_command(job->db, 2, (const char *[]){"ACL", "SAVE"}, NULL, 0, &done, &why);

    if (r >= 0 || (r == AK_E_INVALID && strstr(ak_error_message(why), "not configured")))
        return 0;
    return ak_error_set(reterr, r, "ACL SAVE: %s", ak_error_message(why));
}

static int open_as_admin(struct job *job, const struct ak_cancel *cancel, ak_msec deadline,
                         struct ak_error **reterr)
{
    AK_AUTO(ak_login) admin = {0};
    int r = ak_login_read_admin(job->target, &admin, reterr);

    if (r >= 0)
        r = ak_redis_open(job->target, cancel, deadline, &job->db, reterr);
    return r < 0 ? r : ak_redis_login(job->db, &admin, reterr);
}

static int provision_both(struct job *job, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) why = NULL;
    int r = provision_one(job, false, &why);

    if (r == AK_E_INVALID && has_no_lists(job, why))
        return ak_provision_unenforceable(
            job->result, "spec.permissions: the server has no access control lists (Redis 6 is the "
                         "first that has)");
    if (r >= 0)
        r = provision_one(job, true, &why);
    if (r < 0) {
        if (reterr)
            *reterr = AK_TAKE(why);
        return r;
    }
    return job->result->n_changed ? save(job, reterr) : 0;
}

int ak__redis_provision(const struct ak_target *target, const struct ak_cancel *cancel,
                        ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr)
{
    struct job job = {.target = target, .result = ret};
    const char *const *refused;
    int r = ak_policy_enforceable(target->spec, ret->arena, &refused, reterr);

    for (; r >= 0 && *refused; refused++)
        r = ak_provision_unenforceable(ret, "%s", *refused);
    if (r >= 0 && !ret->n_unenforceable) {
        r = open_as_admin(&job, cancel, deadline, reterr);
        if (r >= 0)
            r = provision_both(&job, reterr);
        ak_redis_free(job.db);
    }
    if (r < 0)
        return r;
    ret->done = ret->n_unenforceable == 0;
    snprintf(ret->message, sizeof(ret->message), "%s",
             ret->done ? "the users and their rules are as they should be" : ret->unenforceable[0]);
    return 0;
}

int ak__redis_deprovision(const struct ak_target *target, const struct ak_cancel *cancel,
                          ak_msec deadline, struct ak_provision_result *ret,
                          struct ak_error **reterr)
{
    struct job job = {.target = target, .result = ret};
    char name[AK_IDENTITY_NAME_SIZE];
    int r = open_as_admin(&job, cancel, deadline, reterr);

    for (int writer = 0; r >= 0 && writer < 2; writer++) {
        AK_AUTO(ak_redis_answer) gone = {0};

        r = ak_identity_name(target->uid, writer, name, sizeof(name));
        if (r < 0)
            r = ak_error_set(reterr, r, "the Tool has no uid");
        if (r >= 0)
            r = ak_redis_command(job.db, 3, (const char *[]){"ACL", "DELUSER", name}, NULL, 0,
                                 &gone, reterr);
        if (r >= 0 && json_integer_value(gone.value) > 0)
            r = ak_provision_changed(ret, "user %s was removed", name);
    }
    if (r >= 0 && ret->n_changed)
        r = save(&job, reterr);
    ak_redis_free(job.db);
    if (r < 0)
        return r;
    ret->done = true;
    snprintf(ret->message, sizeof(ret->message), "the users are gone");
    return 0;
}
