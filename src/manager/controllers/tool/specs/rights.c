/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Tool of type kubernetes may do in this cluster: the API server enforces it. In each namespace a Role and a
 * RoleBinding, or one ClusterRole and ClusterRoleBinding. Without rules the cluster's own role `view` is bound.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "manager/controllers/tool/specs/parts.h"
#include "manager/kinds.h"
#include "manager/pods/parts.h"

#define RBAC_VERSION "rbac.authorization.k8s.io/v1"
#define RBAC_GROUP "rbac.authorization.k8s.io"

struct building {
    const struct ak_meta *meta;
    const char *account;
    const struct ak_tool_permissions *permissions;
    struct ak_arena *arena;
    json_t *objects;
    struct ak_tool_right *rights;
    size_t n;
};

static const struct ak_tool_permissions none;

static const struct ak_tool_permissions *permissions_of(const struct ak_tool_spec *spec)
{
    return spec->permissions ? spec->permissions : &none;
}

/* ---- rules ---- */

static json_t *text_list(const struct ak_string_list *list)
{
    AK_AUTO_JSON *array = json_array();
    for (size_t i = 0; i < list->len; i++)
        if (json_array_append_new(array, json_string(list->items[i])) < 0)
            return NULL;
    return AK_TAKE(array);
}

/* The verbs of a rule that only read; "*" is all three of them. */
static json_t *reading_verbs(const struct ak_string_list *verbs)
{
    static const char *const reading[] = {"get", "list", "watch"};
    AK_AUTO_JSON *array = json_array();
    int r = array ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(reading); i++)
        if (ak_string_list_has(verbs, reading[i]) || ak_string_list_has(verbs, "*"))
            r = json_array_append_new(array, json_string(reading[i]));
    return r < 0 ? NULL : AK_TAKE(array);
}

static json_t *groups_of(const struct ak_tool_policy_rule *rule)
{
    return rule->api_groups.len ? text_list(&rule->api_groups) : json_pack("[s]", "");
}

/* NULL: no memory; JSON null: nothing is left of the rule. */
static json_t *rule_of(const struct ak_tool_policy_rule *rule, bool read_only)
{
    AK_AUTO_JSON *verbs = read_only ? reading_verbs(&rule->verbs) : text_list(&rule->verbs);
    if (verbs && !json_array_size(verbs))
        return json_null();
    AK_AUTO_JSON *tree = json_pack("{s:o, s:o, s:O}", "apiGroups", groups_of(rule), "resources",
                                   text_list(&rule->resources), "verbs", verbs);
    int r = tree && verbs ? 0 : -ENOMEM;
    if (r >= 0 && rule->resource_names.len)
        r = json_object_set_new(tree, "resourceNames", text_list(&rule->resource_names));
    return r < 0 ? NULL : AK_TAKE(tree);
}

static json_t *rules_of(const struct ak_tool_permissions *permissions)
{
    AK_AUTO_JSON *rules = json_array();
    int r = rules ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < permissions->rules.len; i++) {
        AK_AUTO_JSON *rule = rule_of(&permissions->rules.items[i], permissions->read_only);
        if (!rule)
            r = -ENOMEM;
        else if (!json_is_null(rule))
            r = json_array_append(rules, rule);
    }
    return r < 0 ? NULL : AK_TAKE(rules);
}

/* ---- objects ---- */

/* The owner can only be said where the Tool is; elsewhere the label says it. */
static json_t *metadata_in(const struct building *b, const char *ns, const char *name)
{
    AK_AUTO_JSON *labels = ak_tool_part_labels(b->meta, "rights");
    AK_AUTO_JSON *meta = json_pack("{s:s}", "name", name);
    int r = labels && meta ? ak_part_set_text(labels, AK_LABEL_TOOL_UID, b->meta->uid) : -ENOMEM;
    if (r >= 0)
        r = json_object_set(meta, "labels", labels);
    if (r >= 0 && *ns)
        r = ak_part_set_text(meta, "namespace", ns);
    if (r >= 0 && ak_streq(ns, b->meta->namespace_))
        r = json_object_set_new(meta, "ownerReferences", ak_tool_part_owners(b->meta));
    return r < 0 ? NULL : AK_TAKE(meta);
}

/* Takes `object`. */
static int add(struct building *b, const struct ak_resource *resource, const char *ns,
               const char *name, json_t *object)
{
    if (!object || json_array_append_new(b->objects, object) < 0)
        return -ENOMEM;
    b->rights[b->n++] = (struct ak_tool_right){resource, ns, name, object};
    return 0;
}

static json_t *binding(const struct building *b, const char *ns, const char *name,
                       const char *role_kind, const char *role)
{
    return json_pack("{s:s, s:s, s:o, s:{s:s, s:s, s:s}, s:[{s:s, s:s, s:s}]}", "apiVersion",
                     RBAC_VERSION, "kind", *ns ? "RoleBinding" : "ClusterRoleBinding", "metadata",
                     metadata_in(b, ns, name), "roleRef", "apiGroup", RBAC_GROUP, "kind", role_kind,
                     "name", role, "subjects", "kind", "ServiceAccount", "name", b->account,
                     "namespace", b->meta->namespace_);
}

/* A role and its binding; ns "": of the cluster. What a binding refers to can never be changed, so
 * one for the cluster's own role has another name. */
static int add_pair(struct building *b, const char *ns)
{
    const struct ak_resource *role = *ns ? &ak_role_kind.resource : &ak_cluster_role_kind.resource;
    const struct ak_resource *bound =
        *ns ? &ak_role_binding_kind.resource : &ak_cluster_role_binding_kind.resource;
    const char *name =
        ak_streq(ns, b->meta->namespace_)
            ? b->account
            : ak_arena_printf(b->arena, "agentkube:%s:%s", b->meta->namespace_, b->meta->name);
    if (!name)
        return -ENOMEM;
    if (!b->permissions->rules.len) {
        const char *view = ak_arena_printf(b->arena, "%s-view", name);
        return view ? add(b, bound, ns, view, binding(b, ns, view, "ClusterRole", "view"))
                    : -ENOMEM;
    }
    int r = add(b, role, ns, name,
                json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", RBAC_VERSION, "kind", role->kind,
                          "metadata", metadata_in(b, ns, name), "rules", rules_of(b->permissions)));
    return r < 0 ? r : add(b, bound, ns, name, binding(b, ns, name, role->kind, name));
}

static int add_all(struct building *b)
{
    const struct ak_string_list *namespaces = &b->permissions->namespaces;
    int r = 0;
    if (b->permissions->cluster_wide)
        return add_pair(b, "");
    for (size_t i = 0; r >= 0 && i < namespaces->len; i++)
        r = add_pair(b, namespaces->items[i]);
    return r < 0 || namespaces->len ? r : add_pair(b, b->meta->namespace_);
}

int ak_tool_rights_build(const struct ak_meta *meta, const char *account,
                         const struct ak_tool_spec *spec, struct ak_arena *arena,
                         json_t **ret_objects, const struct ak_tool_right **ret, size_t *ret_n,
                         struct ak_error **reterr)
{
    AK_AUTO_JSON *objects = json_array();
    const struct ak_tool_permissions *permissions = permissions_of(spec);
    size_t places = permissions->namespaces.len + 1;
    struct building b = {
        .meta = meta,
        .account = account,
        .permissions = permissions,
        .arena = arena,
        .objects = objects,
        .rights = ak_arena_alloc(arena, 2 * places * sizeof(*b.rights)),
    };
    if (!objects || !b.rights || add_all(&b) < 0)
        return ak_error_oom(reterr);
    *ret_objects = AK_TAKE(objects);
    *ret = b.rights;
    *ret_n = b.n;
    return 0;
}

bool ak_tool_rights_reach_out(const struct ak_meta *meta, const struct ak_tool_spec *spec)
{
    const struct ak_tool_permissions *permissions = permissions_of(spec);
    if (permissions->cluster_wide)
        return true;
    for (size_t i = 0; i < permissions->namespaces.len; i++)
        if (!ak_streq(permissions->namespaces.items[i], meta->namespace_))
            return true;
    return false;
}
