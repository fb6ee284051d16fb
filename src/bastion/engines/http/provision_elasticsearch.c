/* SPDX-License-Identifier: Apache-2.0 */
/* Elasticsearch's native users, each with a role of its own and the roles that the Tool names. */
#include "bastion/engines/http/provision.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "engines/policy.h"

static int ask(struct ak_upstream *admin, const char *method, const char *path, const json_t *body,
               int *ret_status, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    char words[512];
    int r = ak_upstream_json(admin, method, path, body, ret_status, &tree, reterr);

    if (r < 0)
        return r;
    if (*ret_status >= 300 && *ret_status != 404) {
        ak_upstream_words(*ret_status, tree, NULL, 0, words, sizeof(words));
        return ak_error_set(reterr, ak_upstream_code(*ret_status), "%s %s: %s", method, path,
                            words);
    }
    if (ret)
        *ret = AK_TAKE(tree);
    return 0;
}

static json_t *texts(const char *const *list)
{
    json_t *out = json_array();

    for (; out && *list; list++) {
        if (json_array_append_new(out, json_string(*list)) < 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* A grant's database has no meaning here: its objects are indices and patterns. */
static int make_role(struct ak_upstream *admin, bool writer, struct ak_arena *arena, json_t **ret,
                     struct ak_error **reterr)
{
    static const char *const everything[] = {"*", NULL};
    const struct ak_effective_grant *grants = NULL;
    AK_AUTO_JSON *indices = json_array();
    size_t n = 0;
    int r = ak_policy_grants(admin->target->spec, writer, arena, &grants, &n, reterr);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        json_t *entry = json_pack("{s:o, s:o}", "names",
                                  texts(grants[i].objects[0] ? grants[i].objects : everything),
                                  "privileges", texts(grants[i].privileges));

        if (json_array_append_new(indices, entry) < 0)
            return ak_error_oom(reterr);
    }
    *ret = json_pack("{s:[], s:O, s:[]}", "cluster", "indices", indices, "run_as");
    return *ret ? 0 : ak_error_oom(reterr);
}

/* What was asked for, as far as the server shows it; it adds members of its own. */
static bool is_same_role(const json_t *before, const char *name, const json_t *wanted)
{
    const json_t *role = json_object_get(before, name), *is, *want;
    size_t n;

    is = json_object_get(role, "indices");
    want = json_object_get(wanted, "indices");
    n = json_array_size(want);
    if (!role || json_array_size(is) != n || json_array_size(json_object_get(role, "cluster")) ||
        json_array_size(json_object_get(role, "run_as")) ||
        json_array_size(json_object_get(role, "applications")))
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *a = json_array_get(is, i), *b = json_array_get(want, i);

        if (!json_equal(json_object_get(a, "names"), json_object_get(b, "names")) ||
            !json_equal(json_object_get(a, "privileges"), json_object_get(b, "privileges")))
            return false;
    }
    return true;
}

static int put_user(struct ak_upstream *admin, const char *name, const struct ak_login *login,
                    bool writer, struct ak_provision_result *ret, struct ak_error **reterr)
{
    const struct ak_string_list *more = &admin->target->spec->permissions->roles;
    AK_AUTO_JSON *body =
        json_pack("{s:s, s:[s], s:b}", "password", ak_secret_peek(login->password, NULL), "roles",
                  name, "enabled", 1);
    AK_AUTO_JSON *answer = NULL;
    char path[128];
    int status = 0, r;

    for (size_t i = 0; body && writer && i < more->len; i++)
        if (json_array_append_new(json_object_get(body, "roles"), json_string(more->items[i])) < 0)
            return ak_error_oom(reterr);
    if (!body)
        return ak_error_oom(reterr);
    (void)snprintf(path, sizeof(path), "/_security/user/%s", name);
    r = ask(admin, "PUT", path, body, &status, &answer, reterr);
    if (r >= 0 && status == 404)
        r = ak_error_set(reterr, AK_E_NOT_FOUND, "the server has no security API");
    if (r >= 0 && json_is_true(json_object_get(answer, "created")) &&
        ak_provision_changed(ret, "user %s was made", name) < 0)
        r = ak_error_oom(reterr);
    return r;
}

static int provision_user(struct ak_upstream *admin, const struct ak_http_identities *who,
                          size_t which, struct ak_arena *arena, struct ak_provision_result *ret,
                          struct ak_error **reterr)
{
    const char *name = who->names[which];
    AK_AUTO_JSON *before = NULL, *wanted = NULL;
    char path[128];
    int status = 0, r = make_role(admin, which == 1, arena, &wanted, reterr);

    (void)snprintf(path, sizeof(path), "/_security/role/%s", name);
    if (r >= 0)
        r = ask(admin, "GET", path, NULL, &status, &before, reterr);
    if (r >= 0 && !is_same_role(before, name, wanted)) {
        r = ask(admin, "PUT", path, wanted, &status, NULL, reterr);
        if (r >= 0 && ak_provision_changed(ret, "role %s was set", name) < 0)
            r = ak_error_oom(reterr);
    }
    return r < 0 ? r : put_user(admin, name, &who->logins[which], which == 1, ret, reterr);
}

int ak_http_elasticsearch_provision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                    struct ak_error **reterr)
{
    AK_AUTO(ak_http_identities) who = {0};
    AK_AUTO(ak_arena) arena = {0};
    int r = 0;

    ak_arena_init(&arena, 4096, 4u << 20);
    if (!ak_policy_is_provisioned(admin->target->spec))
        return 0; /* requests alone: the bastion keeps them */
    r = ak_http_identities_read(admin->target, true, &who, reterr);
    for (size_t i = 0; r >= 0 && i < 2; i++)
        r = provision_user(admin, &who, i, &arena, ret, reterr);
    return r;
}

int ak_http_elasticsearch_deprovision(struct ak_upstream *admin, struct ak_provision_result *ret,
                                      struct ak_error **reterr)
{
    static const char *const kinds[] = {"user", "role"};
    AK_AUTO(ak_http_identities) who = {0};
    int status = 0, r = ak_http_identities_read(admin->target, false, &who, reterr);

    for (size_t i = 0; r >= 0 && i < 4; i++) {
        char path[128];

        (void)snprintf(path, sizeof(path), "/_security/%s/%s", kinds[i % 2], who.names[i / 2]);
        r = ask(admin, "DELETE", path, NULL, &status, NULL, reterr);
        if (r >= 0 && status < 300 &&
            ak_provision_changed(ret, "%s %s was removed", kinds[i % 2], who.names[i / 2]) < 0)
            r = ak_error_oom(reterr);
    }
    return r;
}
