/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#include "engines/policy_internal.h"

#define SENTENCES_MAX 16 /* more are not said */

struct found {
    const struct ak_tool_spec *spec;
    const struct ak_tool_permissions *p;
    const struct ak_engine_info *info;
    struct ak_arena *arena;
    const char *items[SENTENCES_MAX + 1];
    size_t len;
    bool oom;
};

static void say(struct found *f, const char *fmt, ...) AK_PRINTF(2, 3);
static void say(struct found *f, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (f->len == SENTENCES_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    f->items[f->len] = ak_arena_strdup(f->arena, text);
    if (f->items[f->len])
        f->len++;
    else
        f->oom = true;
}

static void check_fields(struct found *f)
{
    uint32_t wrong = ak_permission_fields(f->p) & ~f->info->permissions;

    for (unsigned i = 0; i < AK_PERMISSION_FIELD_MAX; i++)
        if (wrong & AK_USES(i))
            say(f, "spec.permissions.%s: cannot be enforced by type %s",
                ak_permission_field_name((enum ak_permission_field)i), f->info->name);
}

static void check_privileges(struct found *f, size_t index)
{
    const struct ak_tool_grant *grant = &f->p->grants.items[index];

    for (size_t i = 0; i < grant->privileges.len; i++)
        if (ak_privilege_class(f->spec->type, grant->privileges.items[i]) == AK_CLASS_UNKNOWN)
            say(f,
                "spec.permissions.grants[%zu].privileges[%zu]: \"%s\" is no privilege that a %s "
                "Tool can grant",
                index, i, grant->privileges.items[i], f->info->name);
}

static bool has_schemas(enum ak_tool_type type)
{
    return type == AK_TOOL_TYPE_POSTGRES || type == AK_TOOL_TYPE_COCKROACHDB ||
           type == AK_TOOL_TYPE_REDSHIFT || type == AK_TOOL_TYPE_SQLSERVER ||
           type == AK_TOOL_TYPE_ORACLE;
}

static bool has_databases(enum ak_tool_type type)
{
    return type != AK_TOOL_TYPE_KAFKA && type != AK_TOOL_TYPE_ELASTICSEARCH &&
           type != AK_TOOL_TYPE_ORACLE;
}

/* A grant that says more about a place than the type has would hold somewhere else than it says. */
static void check_places(struct found *f, size_t index)
{
    const struct ak_tool_grant *grant = &f->p->grants.items[index];
    const struct ak_tool_config *config = f->spec->config;
    enum ak_tool_type type = f->spec->type;

    if (grant->schema && !has_schemas(type))
        say(f, "spec.permissions.grants[%zu].schema: type %s has no schemas", index, f->info->name);
    if (grant->database && !has_databases(type))
        say(f, "spec.permissions.grants[%zu].database: type %s has no databases", index,
            f->info->name);
    if (has_databases(type) && type != AK_TOOL_TYPE_RABBITMQ && !grant->database &&
        !(config && config->database_name))
        say(f,
            "spec.permissions.grants[%zu].database: must be set, because "
            "spec.config.databaseName is not",
            index);
}

static void check_roles(struct found *f)
{
    for (size_t i = 0; f->p->read_only && i < f->p->roles.len; i++)
        if (!ak_role_reads(f->spec->type, f->p->roles.items[i]))
            say(f, "spec.permissions.roles[%zu]: role \"%s\" may do more than readOnly says", i,
                f->p->roles.items[i]);
    if (f->spec->type != AK_TOOL_TYPE_SNOWFLAKE)
        return;
    if (!f->p->roles.len)
        say(f, "spec.permissions.roles: must name the role that statements run in; nothing else "
               "of Snowflake limits them");
    if (f->p->roles.len > 1)
        say(f, "spec.permissions.roles: a statement runs in one role");
}

/* Rules of an ACL user about commands, keys and channels. What is about passwords, or about being a user at all, is
 * the manager's. */
static bool is_acl_rule(const char *rule)
{
    static const char *const words[] = {"allkeys",       "allchannels", "resetkeys",
                                        "resetchannels", "allcommands", "nocommands"};

    for (size_t i = 0; i < AK_ARRAY_LEN(words); i++)
        if (strcasecmp(words[i], rule) == 0)
            return true;
    return strchr("+-~&%", rule[0]) && rule[1] && !strpbrk(rule, " \t\r\n");
}

static void check_commands(struct found *f)
{
    bool listed = f->spec->type == AK_TOOL_TYPE_SSH || f->spec->type == AK_TOOL_TYPE_CUSTOM;

    if (listed && !f->p->commands.len)
        say(f, "spec.permissions.commands: must be set: what else a %s Tool does, nobody can limit",
            f->info->name);
    for (size_t i = 0; f->spec->type == AK_TOOL_TYPE_REDIS && i < f->p->commands.len; i++)
        if (!is_acl_rule(f->p->commands.items[i]))
            say(f,
                "spec.permissions.commands[%zu]: \"%s\" is no rule about commands (+get, -@all), "
                "keys (~prefix:*) or channels (&name)",
                i, f->p->commands.items[i]);
}

static void check_requests(struct found *f)
{
    for (size_t i = 0; i < f->p->requests.len; i++)
        for (size_t n = 0; n < f->p->requests.items[i].paths.len; n++)
            if (!ak_http_path_is_plain(f->p->requests.items[i].paths.items[n]) ||
                strchr(f->p->requests.items[i].paths.items[n], '?'))
                say(f,
                    "spec.permissions.requests[%zu].paths[%zu]: \"%s\" is no plain path: no query, "
                    "no dots, no double slashes, no escaped slashes",
                    i, n, f->p->requests.items[i].paths.items[n]);
}

static void check_cluster(struct found *f)
{
    bool here = f->spec->config && f->spec->config->in_cluster;

    if (f->spec->type == AK_TOOL_TYPE_KUBERNETES && !here &&
        (f->p->rules.len || f->p->namespaces.len || f->p->cluster_wide))
        say(f, "spec.permissions.rules: can be made only in the cluster that the Tool is in "
               "(spec.config.inCluster)");
}

static void check_admin(struct found *f)
{
    if (ak_policy_is_provisioned(f->spec) && !f->p->admin_credentials_ref)
        say(f, "spec.permissions.adminCredentialsRef: must be set: without it no user with just "
               "these permissions can be made");
}

int ak_policy_enforceable(const struct ak_tool_spec *spec, struct ak_arena *arena,
                          const char *const **ret_unenforceable, struct ak_error **reterr)
{
    struct found f = {
        .spec = spec, .p = spec->permissions, .info = ak_engine_info(spec->type), .arena = arena};
    const char **list;

    if (f.p && f.info) {
        check_fields(&f);
        for (size_t i = 0;
             i < f.p->grants.len && (f.info->permissions & AK_USES(AK_PERMISSION_GRANTS)); i++) {
            check_privileges(&f, i);
            check_places(&f, i);
        }
        check_roles(&f);
        check_commands(&f);
        check_requests(&f);
        check_cluster(&f);
        check_admin(&f);
    }
    list = f.oom ? NULL : ak_arena_alloc(arena, (f.len + 1) * sizeof(*list));
    if (!list)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < f.len; i++)
        list[i] = f.items[i];
    *ret_unenforceable = list;
    return 0;
}
