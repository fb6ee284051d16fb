/* SPDX-License-Identifier: Apache-2.0 */
/* The identities, and RabbitMQ's users: one for each with its permissions in every virtual host that grants name. */
#include "bastion/engines/http/provision.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/engines/http/encoding.h"
#include "engines/names.h"
#include "engines/policy.h"

#define SALT 4
#define SHA256 32
#define MAX_PATH 4096
#define MAX_PATTERN (64u << 10)

void ak_http_identities_done(struct ak_http_identities *self)
{
    ak_login_done(&self->logins[0]);
    ak_login_done(&self->logins[1]);
}

int ak_http_identities_read(const struct ak_target *target, bool with_passwords,
                            struct ak_http_identities *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_http_identities) out = {0};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < 2; i++) {
        r = ak_identity_name(target->uid, i == 1, out.names[i], sizeof(out.names[i]));
        if (r < 0)
            return ak_error_set(reterr, r, "the Tool has no uid");
        if (with_passwords)
            r = ak_login_read(target, i == 0, &out.logins[i], reterr);
        if (r >= 0 && with_passwords && !out.logins[i].is_minted)
            r = ak_error_set(reterr, -ENOENT, "no passwords were made for the Tool's users");
    }
    if (r < 0)
        return r;
    *ret = out;
    out = (struct ak_http_identities){0};
    return 0;
}

/* --- RabbitMQ --- */

static int ask(struct ak_upstream *admin, const char *method, const char *path, const json_t *body,
               int accepted, int *ret_status, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    char words[512];
    int r = ak_upstream_json(admin, method, path, body, ret_status, &tree, reterr);

    if (r < 0)
        return r;
    if (*ret_status >= 300 && *ret_status != accepted) {
        ak_upstream_words(*ret_status, tree, NULL, 0, words, sizeof(words));
        return ak_error_set(reterr, ak_upstream_code(*ret_status), "%s %s: %s", method, path,
                            words);
    }
    if (ret)
        *ret = AK_TAKE(tree);
    return 0;
}

/* base64 of salt and SHA-256 of salt and password. */
static int hash_password(const struct ak_secret *password, const unsigned char salt[static SALT],
                         struct ak_buf *out, struct ak_error **reterr)
{
    unsigned char raw[SALT + SHA256];
    AK_AUTO(ak_buf) text = {.max = AK_LOGIN_MAX + SALT, .wipe = true};
    size_t len;
    const char *p = ak_secret_peek(password, &len);
    unsigned int n = 0;
    int r = ak_buf_add(&text, salt, SALT);

    memcpy(raw, salt, SALT);
    if (r >= 0)
        r = ak_buf_add(&text, p, len);
    if (r >= 0 && EVP_Digest(text.data, text.len, raw + SALT, &n, EVP_sha256(), NULL) != 1)
        r = -ENOMEM;
    if (r >= 0)
        r = ak_base64_add(out, raw, sizeof(raw));
    return r < 0 ? ak_error_set(reterr, r, "password: %s", ak_code_text(r)) : 0;
}

/* Is it the hash of this password, and is the user's only tag ours? */
static bool is_same_user(const json_t *user, const struct ak_secret *password)
{
    const char *hash = ak_json_text(user, "password_hash", NULL);
    const json_t *tags = json_object_get(user, "tags");
    const char *tag = json_is_array(tags) && json_array_size(tags) == 1
                          ? json_string_value(json_array_get(tags, 0))
                          : json_string_value(tags); /* before 3.9 */
    AK_AUTO(ak_buf) raw = AK_BUF_INIT(256);
    AK_AUTO(ak_buf) ours = AK_BUF_INIT(256);

    if (!hash || !ak_streq(tag, "management") || ak_base64_read(&raw, hash, strlen(hash)) < 0 ||
        raw.len != SALT + SHA256)
        return false;
    return hash_password(password, (const unsigned char *)raw.data, &ours, NULL) >= 0 &&
           ak_streq(ak_buf_text(&ours), hash);
}

static int put_user(struct ak_upstream *admin, const char *name, const struct ak_login *login,
                    struct ak_provision_result *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) hash = AK_BUF_INIT(256);
    AK_AUTO_JSON *before = NULL, *body = NULL;
    unsigned char salt[SALT];
    char path[128];
    int status = 0, r;

    (void)snprintf(path, sizeof(path), "/api/users/%s", name);
    r = ask(admin, "GET", path, NULL, 404, &status, &before, reterr);
    if (r < 0 || (status == 200 && is_same_user(before, login->password)))
        return r;
    if (RAND_bytes(salt, sizeof(salt)) != 1)
        return ak_error_set(reterr, -EIO, "no random bytes");
    r = hash_password(login->password, salt, &hash, reterr);
    if (r < 0)
        return r;
    body = json_pack("{s:s, s:s, s:s}", "password_hash", ak_buf_text(&hash), "hashing_algorithm",
                     "rabbit_password_hashing_sha256", "tags", "management");
    if (!body)
        return ak_error_oom(reterr);
    r = ask(admin, "PUT", path, body, 0, &status, NULL, reterr);
    if (r < 0)
        return r;
    r = ak_provision_changed(
        ret, status == 201 ? "user %s was made" : "user %s has another password", name);
    return r < 0 ? ak_error_oom(reterr) : 0;
}

/* The names of the objects, literally. */
static int add_pattern(struct ak_buf *out, const char *const *objects)
{
    int r = 0;

    if (!objects[0])
        return ak_buf_adds(out, out->len ? "|.*" : ".*");
    for (size_t i = 0; r >= 0 && objects[i]; i++) {
        r = out->len ? ak_buf_adds(out, "|") : 0;
        for (const char *p = objects[i]; r >= 0 && *p; p++) {
            if (strchr("\\^$.|?*+()[]{}", *p))
                r = ak_buf_adds(out, "\\");
            if (r >= 0)
                r = ak_buf_add(out, p, 1);
        }
    }
    return r;
}

static bool has(const char *const *list, const char *word)
{
    for (; *list; list++)
        if (ak_streq(*list, word))
            return true;
    return false;
}

static const char *vhost_of(const struct ak_effective_grant *grant)
{
    return grant->database ? grant->database : "/";
}

static const char *const kinds[] = {"configure", "write", "read"};

/* {configure, write, read} of one virtual host: regular expressions of whole names; "" is nothing. */
static int make_permissions(const struct ak_effective_grant *grants, size_t n, const char *vhost,
                            json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *out = json_object();

    for (size_t k = 0; out && k < AK_ARRAY_LEN(kinds); k++) {
        AK_AUTO(ak_buf) pattern = AK_BUF_INIT(MAX_PATTERN);
        AK_AUTO(ak_buf) whole = AK_BUF_INIT(MAX_PATTERN + 16);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++)
            if (ak_streq(vhost_of(&grants[i]), vhost) && has(grants[i].privileges, kinds[k]))
                r = add_pattern(&pattern, grants[i].objects);
        if (r >= 0)
            r = pattern.len ? ak_buf_addf(&whole, "^(%s)$", ak_buf_text(&pattern))
                            : ak_buf_adds(&whole, "^$");
        if (r < 0)
            return ak_error_set(reterr, r, "spec.permissions.grants: %s", ak_code_text(r));
        if (json_object_set_new(out, kinds[k], json_string(ak_buf_text(&whole))) < 0)
            return ak_error_oom(reterr);
    }
    if (!out)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(out);
    return 0;
}

static const json_t *permissions_in(const json_t *list, const char *vhost)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        if (ak_streq(ak_json_text(item, "vhost", NULL), vhost))
            return item;
    }
    return NULL;
}

static bool is_same_permissions(const json_t *a, const json_t *b)
{
    for (size_t k = 0; k < AK_ARRAY_LEN(kinds); k++)
        if (!ak_streq(ak_json_text(a, kinds[k], NULL), ak_json_text(b, kinds[k], NULL)))
            return false;
    return true;
}

static int permissions_path(struct ak_buf *out, const char *vhost, const char *user,
                            struct ak_error **reterr)
{
    int r = ak_buf_adds(out, "/api/permissions/");

    if (r >= 0)
        r = ak_buf_add_url_escaped(out, vhost);
    if (r >= 0)
        r = ak_buf_addf(out, "/%s", user);
    return r < 0 ? ak_error_set(reterr, r, "path: %s", ak_code_text(r)) : 0;
}

static int put_permissions(struct ak_upstream *admin, const char *user, const char *vhost,
                           const json_t *before, const json_t *wanted,
                           struct ak_provision_result *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    int status = 0, r;

    if (before && is_same_permissions(before, wanted))
        return 0;
    r = permissions_path(&path, vhost, user, reterr);
    if (r >= 0)
        r = ask(admin, "PUT", ak_buf_text(&path), wanted, 0, &status, NULL, reterr);
    if (r < 0)
        return r;
    r = ak_provision_changed(ret, "permissions of %s in virtual host \"%s\" were set", user, vhost);
    return r < 0 ? ak_error_oom(reterr) : 0;
}

static bool is_granted(const struct ak_effective_grant *grants, size_t n, const char *vhost)
{
    for (size_t i = 0; i < n; i++)
        if (ak_streq(vhost_of(&grants[i]), vhost))
            return true;
    return false;
}

static int drop_surplus(struct ak_upstream *admin, const char *user, const json_t *before,
                        const struct ak_effective_grant *grants, size_t n,
                        struct ak_provision_result *ret, struct ak_error **reterr)
{
    int status = 0, r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(before); i++) {
        AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
        const char *vhost = ak_json_text(json_array_get(before, i), "vhost", NULL);

        if (!vhost || is_granted(grants, n, vhost))
            continue;
        r = permissions_path(&path, vhost, user, reterr);
        if (r >= 0)
            r = ask(admin, "DELETE", ak_buf_text(&path), NULL, 404, &status, NULL, reterr);
        if (r >= 0 &&
            ak_provision_changed(ret, "permissions of %s in virtual host \"%s\" were removed", user,
                                 vhost) < 0)
            r = ak_error_oom(reterr);
    }
    return r;
}

static int provision_user(struct ak_upstream *admin, const struct ak_http_identities *who,
                          size_t which, struct ak_arena *arena, struct ak_provision_result *ret,
                          struct ak_error **reterr)
{
    const struct ak_effective_grant *grants = NULL;
    const char *name = who->names[which];
    AK_AUTO_JSON *before = NULL;
    char path[128];
    size_t n = 0;
    int status = 0,
        r = ak_policy_grants(admin->target->spec, which == 1, arena, &grants, &n, reterr);

    if (r >= 0)
        r = put_user(admin, name, &who->logins[which], ret, reterr);
    (void)snprintf(path, sizeof(path), "/api/users/%s/permissions", name);
    if (r >= 0)
        r = ask(admin, "GET", path, NULL, 0, &status, &before, reterr);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        AK_AUTO_JSON *wanted = NULL;
        const char *vhost = vhost_of(&grants[i]);

        if (is_granted(grants, i, vhost)) /* done with an earlier one */
            continue;
        r = make_permissions(grants, n, vhost, &wanted, reterr);
        if (r >= 0)
            r = put_permissions(admin, name, vhost, permissions_in(before, vhost), wanted, ret,
                                reterr);
    }
    return r < 0 ? r : drop_surplus(admin, name, before, grants, n, ret, reterr);
}

int ak_http_rabbitmq_provision(struct ak_upstream *admin, struct ak_provision_result *ret,
                               struct ak_error **reterr)
{
    AK_AUTO(ak_http_identities) who = {0};
    AK_AUTO(ak_arena) arena = {0};
    int r = ak_http_identities_read(admin->target, true, &who, reterr);

    ak_arena_init(&arena, 4096, 4u << 20);
    for (size_t i = 0; r >= 0 && i < 2; i++)
        r = provision_user(admin, &who, i, &arena, ret, reterr);
    return r;
}

int ak_http_rabbitmq_deprovision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                 struct ak_error **reterr)
{
    AK_AUTO(ak_http_identities) who = {0};
    int status = 0, r = ak_http_identities_read(admin->target, false, &who, reterr);

    for (size_t i = 0; r >= 0 && i < 2; i++) {
        char path[128];

        (void)snprintf(path, sizeof(path), "/api/users/%s", who.names[i]);
        r = ask(admin, "DELETE", path, NULL, 404, &status, NULL, reterr);
        if (r >= 0 && status < 300 &&
            ak_provision_changed(ret, "user %s was removed", who.names[i]) < 0)
            r = ak_error_oom(reterr);
    }
    return r;
}
