/* SPDX-License-Identifier: Apache-2.0 */
#include "config_internal.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define ARENA_FIRST (8u << 10)
#define ARENA_MAX (16u << 20)

static const struct ak_field cluster_fields[] = {
    AK_FIELD_STRING(struct ak__kc_cluster, server, "server", 0),
    AK_FIELD_STRING(struct ak__kc_cluster, tls_server_name, "tls-server-name", 0),
    AK_FIELD_STRING(struct ak__kc_cluster, ca_file, "certificate-authority", 0),
    AK_FIELD_STRING(struct ak__kc_cluster, ca_data, "certificate-authority-data", 0),
    AK_FIELD_STRING(struct ak__kc_cluster, proxy_url, "proxy-url", 0),
    AK_FIELD_BOOL(struct ak__kc_cluster, insecure, "insecure-skip-tls-verify", 0, false),
};
static const struct ak_type cluster_type =
    AK_TYPE("cluster", struct ak__kc_cluster, cluster_fields);

static const struct ak_field env_fields[] = {
    AK_FIELD_STRING(struct ak__kc_env, name, "name", AK_FIELD_REQUIRED),
    AK_FIELD(struct ak__kc_env, value, "value", AK_F_STRING, .default_text = ""),
};
static const struct ak_type env_type = AK_TYPE("env", struct ak__kc_env, env_fields);

static const struct ak_field exec_fields[] = {
    AK_FIELD_STRING(struct ak__kc_exec, api_version, "apiVersion", AK_FIELD_REQUIRED),
    AK_FIELD_STRING(struct ak__kc_exec, command, "command", AK_FIELD_REQUIRED),
    AK_FIELD_STRING(struct ak__kc_exec, install_hint, "installHint", 0),
    AK_FIELD_STRING(struct ak__kc_exec, interactive_mode, "interactiveMode", 0),
    AK_FIELD(struct ak__kc_exec, args, "args", AK_F_STRING_LIST, .flags = 0),
    AK_FIELD_LIST(struct ak__kc_exec, env, "env", 0, &env_type),
    AK_FIELD_BOOL(struct ak__kc_exec, provide_cluster_info, "provideClusterInfo", 0, false),
};
static const struct ak_type exec_type = AK_TYPE("exec", struct ak__kc_exec, exec_fields);

static const struct ak_field user_fields[] = {
    AK_FIELD_STRING(struct ak__kc_user, cert_file, "client-certificate", 0),
    AK_FIELD_STRING(struct ak__kc_user, cert_data, "client-certificate-data", 0),
    AK_FIELD_STRING(struct ak__kc_user, key_file, "client-key", 0),
    AK_FIELD_STRING(struct ak__kc_user, key_data, "client-key-data", 0),
    AK_FIELD_STRING(struct ak__kc_user, token, "token", 0),
    AK_FIELD_STRING(struct ak__kc_user, token_file, "tokenFile", 0),
    AK_FIELD_STRING(struct ak__kc_user, username, "username", 0),
    AK_FIELD_STRING(struct ak__kc_user, password, "password", 0),
    AK_FIELD_STRING(struct ak__kc_user, as, "as", 0),
    AK_FIELD_STRING(struct ak__kc_user, as_uid, "as-uid", 0),
    AK_FIELD(struct ak__kc_user, as_groups, "as-groups", AK_F_STRING_LIST, .flags = 0),
    AK_FIELD(struct ak__kc_user, as_extra, "as-user-extra", AK_F_JSON, .flags = 0),
    AK_FIELD(struct ak__kc_user, auth_provider, "auth-provider", AK_F_JSON, .flags = 0),
    AK_FIELD_STRUCT(struct ak__kc_user, exec, "exec", 0, &exec_type),
};
static const struct ak_type user_type = AK_TYPE("user", struct ak__kc_user, user_fields);

static const struct ak_field context_fields[] = {
    AK_FIELD(struct ak__kc_context, cluster, "cluster", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak__kc_context, user, "user", AK_F_STRING, .default_text = ""),
    AK_FIELD_STRING(struct ak__kc_context, namespace_, "namespace", 0),
};
static const struct ak_type context_type =
    AK_TYPE("context", struct ak__kc_context, context_fields);

/* All three have a name and a value of another type. */
#define NAMED(what)                                                                                \
    static const struct ak_field named_##what##_fields[] = {                                       \
        AK_FIELD_STRING(struct ak__kc_named_##what, name, "name", AK_FIELD_REQUIRED),              \
        AK_FIELD_STRUCT(struct ak__kc_named_##what, value, #what, AK_FIELD_MATERIALIZE,            \
                        &what##_type),                                                             \
    };                                                                                             \
    static const struct ak_type named_##what##_type =                                              \
        AK_TYPE(#what, struct ak__kc_named_##what, named_##what##_fields)
NAMED(cluster);
NAMED(user);
NAMED(context);

static const struct ak_field file_fields[] = {
    AK_FIELD_STRING(struct ak__kc_file, kind, "kind", 0),
    AK_FIELD_STRING(struct ak__kc_file, api_version, "apiVersion", 0),
    AK_FIELD_STRING(struct ak__kc_file, current_context, "current-context", 0),
    AK_FIELD_LIST(struct ak__kc_file, clusters, "clusters", 0, &named_cluster_type),
    AK_FIELD_LIST(struct ak__kc_file, users, "users", 0, &named_user_type),
    AK_FIELD_LIST(struct ak__kc_file, contexts, "contexts", 0, &named_context_type),
};
static const struct ak_type file_type = AK_TYPE("Config", struct ak__kc_file, file_fields);

void ak__kc_init(struct ak__kc *self)
{
    self->n_files = 0;
    ak_arena_init(&self->arena, ARENA_FIRST, ARENA_MAX);
}

static void wipe_user(const struct ak__kc_user *user)
{
    if (!user)
        return;
    ak__wipe_text(user->token);
    ak__wipe_text(user->password);
    ak__wipe_text(user->key_data);
    ak__wipe_text(user->auth_provider);
}

void ak__kc_done(struct ak__kc *self)
{
    for (size_t i = 0; i < self->n_files; i++) {
        for (size_t j = 0; j < self->files[i].users.len; j++)
            wipe_user(self->files[i].users.items[j].value);
    }
    ak_arena_done(&self->arena);
    self->n_files = 0;
}

/* Overwrites every text of a tree that held secrets, before it goes back to the heap. */
static void wipe_tree(json_t *tree)
{
    const char *key;
    json_t *child;
    size_t i;

    if (json_is_string(tree))
        ak__wipe_text(json_string_value(tree));
    json_object_foreach(tree, key, child) wipe_tree(child);
    json_array_foreach(tree, i, child) wipe_tree(child);
}

static int refuse_duplicate(const char *path, const char *list, size_t i, const char *name,
                            struct ak_error **reterr)
{
    return ak_error_set(reterr, -EINVAL, "%s: %s[%zu].name: \"%s\" is there twice", path, list, i,
                        name);
}

#define CHECK_UNIQUE(file, list, reterr)                                                           \
    for (size_t i = 1; i < (file)->list.len; i++)                                                  \
        for (size_t j = 0; j < i; j++)                                                             \
            if (ak_streq((file)->list.items[i].name, (file)->list.items[j].name))                  \
    return refuse_duplicate((file)->path, #list, i, (file)->list.items[i].name, reterr)

#define MAX_ENTRIES 2000 /* of one list; also keeps the check above short */

static int check_file(const struct ak__kc_file *file, struct ak_error **reterr)
{
    if (file->clusters.len > MAX_ENTRIES || file->users.len > MAX_ENTRIES ||
        file->contexts.len > MAX_ENTRIES)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "%s: more than %d entries", file->path,
                            MAX_ENTRIES);
    if (!ak_is_empty(file->kind) && !ak_streq(file->kind, "Config"))
        return ak_error_set(reterr, -EINVAL, "%s: kind: must be \"Config\", not \"%s\"", file->path,
                            file->kind);
    if (!ak_is_empty(file->api_version) && !ak_streq(file->api_version, "v1"))
        return ak_error_set(reterr, -EINVAL, "%s: apiVersion: must be \"v1\", not \"%s\"",
                            file->path, file->api_version);
    CHECK_UNIQUE(file, clusters, reterr);
    CHECK_UNIQUE(file, users, reterr);
    CHECK_UNIQUE(file, contexts, reterr);
    return 0;
}

static int set_path(struct ak__kc *self, struct ak__kc_file *file, const char *path)
{
    const char *slash = strrchr(path, '/');

    file->path = ak_arena_strdup(&self->arena, path);
    if (!slash)
        file->dir = ak_arena_strdup(&self->arena, ".");
    else
        file->dir =
            ak_arena_strndup(&self->arena, path, slash == path ? 1 : (size_t)(slash - path));
    return file->path && file->dir ? 0 : -ENOMEM;
}

int ak__kc_add_text(struct ak__kc *self, const char *path, const char *text, size_t len,
                    struct ak_error **reterr)
{
    struct ak__kc_file *file = &self->files[self->n_files];
    json_t *tree = NULL;
    int r;

    if (self->n_files == AK_KUBECONFIG_MAX_FILES)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "%s: more than %d kubeconfig files", path,
                            AK_KUBECONFIG_MAX_FILES);
    *file = (struct ak__kc_file){0};
    r = ak_yaml_parse(text, len, &tree, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s", path);
    if (!json_is_null(tree)) { /* an empty file is an empty config */
        r = ak_decode(&file_type, tree, file, &self->arena, reterr);
        wipe_tree(tree);
    }
    json_decref(tree);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s", path);
    self->n_files++;
    if (set_path(self, file, path) < 0)
        return ak_error_oom(reterr);
    return check_file(file, reterr);
}

static int load_one(struct ak__kc *self, const char *path, bool may_miss, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = AK_KUBECONFIG_MAX_BYTES, .wipe = true};
    int r = ak_buf_add_file(&text, path);

    if (r == -ENOENT && may_miss)
        return 0;
    if (r < 0)
        return ak_error_set(reterr, r, "%s: %s", path, ak_code_text(r));
    return ak__kc_add_text(self, path, ak_buf_text(&text), text.len, reterr);
}

int ak__kc_load(struct ak__kc *self, const char *paths, struct ak_error **reterr)
{
    bool several = strchr(paths, ':') != NULL;
    const char *p = paths;

    for (;;) {
        size_t len = strcspn(p, ":");
        AK_AUTO_TEXT char *path = ak_strndup(p, len);
        int r;

        if (!path)
            return ak_error_oom(reterr);
        r = len ? load_one(self, path, several, reterr) : 0;
        if (r < 0)
            return r;
        if (!p[len])
            break;
        p += len + 1;
    }
    if (self->n_files == 0)
        return ak_error_set(reterr, -ENOENT, "no kubeconfig file at \"%s\"", paths);
    return 0;
}

const char *ak__kc_current_context(const struct ak__kc *self)
{
    for (size_t i = 0; i < self->n_files; i++)
        if (!ak_is_empty(self->files[i].current_context))
            return self->files[i].current_context;
    return "";
}

/* The first file that has the name wins. */
#define FIND(self, list, wanted, where)                                                            \
    for (size_t i = 0; i < (self)->n_files; i++)                                                   \
        for (size_t j = 0; j < (self)->files[i].list.len; j++)                                     \
            if (ak_streq((self)->files[i].list.items[j].name, wanted)) {                           \
                *(where) = (struct ak__kc_where){&(self)->files[i], j};                            \
                return (self)->files[i].list.items[j].value;                                       \
            }                                                                                      \
    return NULL

const struct ak__kc_context *ak__kc_context(const struct ak__kc *self, const char *name,
                                            struct ak__kc_where *ret)
{
    FIND(self, contexts, name, ret);
}

const struct ak__kc_cluster *ak__kc_cluster(const struct ak__kc *self, const char *name,
                                            struct ak__kc_where *ret)
{
    FIND(self, clusters, name, ret);
}

const struct ak__kc_user *ak__kc_user(const struct ak__kc *self, const char *name,
                                      struct ak__kc_where *ret)
{
    FIND(self, users, name, ret);
}
