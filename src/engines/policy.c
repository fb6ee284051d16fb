/* SPDX-License-Identifier: Apache-2.0 */
#include "engines/policy.h"

#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#include "engines/policy_internal.h"

bool ak__has_privileges(const struct ak_tool_permissions *p)
{
    return p->grants.len || p->roles.len || p->commands.len || p->requests.len || p->rules.len;
}

static bool rules_write(const struct ak_tool_permissions *p)
{
    for (size_t i = 0; i < p->rules.len; i++)
        for (size_t n = 0; n < p->rules.items[i].verbs.len; n++) {
            const char *verb = p->rules.items[i].verbs.items[n];
            if (!ak_streq(verb, "get") && !ak_streq(verb, "list") && !ak_streq(verb, "watch"))
                return true;
        }
    return false;
}

static bool requests_write(const struct ak_tool_spec *spec)
{
    const struct ak_tool_permissions *p = spec->permissions;

    for (size_t i = 0; i < p->requests.len; i++) {
        const struct ak_string_list *methods = &p->requests.items[i].methods;
        if (!methods->len)
            return true;
        for (size_t n = 0; n < methods->len; n++)
            if (ak_classify_http(spec->type, methods->items[n], NULL) != AK_CLASS_READ)
                return true;
    }
    return false;
}

/* "+@read" and what takes away or is about keys adds nothing that writes; of single commands the table knows. */
static bool acl_writes(const struct ak_tool_permissions *p)
{
    for (size_t i = 0; i < p->commands.len; i++) {
        const char *rule = p->commands.items[i];
        if (strcasecmp(rule, "allcommands") == 0)
            return true;
        if (rule[0] != '+' || strcasecmp(rule, "+@read") == 0)
            continue;
        const char *name = rule + 1;
        if (ak_classify_redis(&name, 1) != AK_CLASS_READ)
            return true;
    }
    return false;
}

bool ak__may_write(const struct ak_tool_spec *spec)
{
    const struct ak_tool_permissions *p = spec->permissions;

    if (!p)
        return true;
    if (p->read_only)
        return false;
    for (size_t i = 0; i < p->grants.len; i++)
        for (size_t n = 0; n < p->grants.items[i].privileges.len; n++)
            if (ak_privilege_class(spec->type, p->grants.items[i].privileges.items[n]) !=
                AK_CLASS_READ)
                return true;
    for (size_t i = 0; i < p->roles.len; i++)
        if (!ak_role_reads(spec->type, p->roles.items[i]))
            return true;
    if (spec->type == AK_TOOL_TYPE_REDIS ? acl_writes(p) : p->commands.len > 0)
        return true;
    return rules_write(p) || requests_write(spec);
}

bool ak_policy_is_read_only(const struct ak_tool_spec *spec, bool is_agent, bool asked)
{
    if (asked || (is_agent && !spec->permissions))
        return true;
    return !ak__may_write(spec);
}

bool ak_policy_session_is_read_only(const struct ak_tool_spec *spec, bool is_agent, bool asked)
{
    bool waits = spec->approval && spec->approval->mode != AK_APPROVAL_MODE_UNSET &&
                 spec->approval->mode != AK_APPROVAL_MODE_NEVER;

    return waits || ak_policy_is_read_only(spec, is_agent, asked);
}

bool ak_policy_is_provisioned(const struct ak_tool_spec *spec)
{
    const struct ak_engine_info *info = ak_engine_info(spec->type);
    const struct ak_tool_permissions *p = spec->permissions;

    if (!p || !info || !(info->flags & AK_ENGINE_PROVISION))
        return false;
    /* With rules about requests alone, the bastion keeps to them and nobody has to be made. */
    return spec->type != AK_TOOL_TYPE_ELASTICSEARCH || p->grants.len || p->roles.len;
}

bool ak__can_force_read_only(const struct ak_tool_spec *spec, const struct ak_engine_info *info)
{
    const struct ak_tool_permissions *p = spec->permissions;

    if ((info->flags & AK_ENGINE_READ_ONLY) || ak_policy_is_provisioned(spec))
        return true;
    /* The one who wrote the list said what may be done, reading or not; a role of the system is its limit. */
    return p && (p->read_only || spec->type == AK_TOOL_TYPE_SNOWFLAKE) &&
           (p->commands.len || p->roles.len);
}

bool ak_policy_offers(const struct ak_tool_spec *spec, const struct ak_operation *operation,
                      bool read_only)
{
    const struct ak_engine_info *info = ak_engine_info(spec->type);

    if (!info || !read_only)
        return info != NULL;
    if (!ak__can_force_read_only(spec, info))
        return false;
    /* What can do anything by its name may still be asked to read: a request, a command, a pipeline. */
    return operation->at_most == AK_CLASS_READ ||
           (!ak_streq(operation->name, "execute") && !ak_streq(operation->name, "insert_one") &&
            !ak_streq(operation->name, "update_many") &&
            !ak_streq(operation->name, "delete_many") && !ak_streq(operation->name, "publish") &&
            !ak_streq(operation->name, "produce"));
}

bool ak__refuse(struct ak_policy_case *c, const char *rule, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->d->allowed = false;
    c->d->rule = rule;
    c->d->reason = ak_arena_strdup(c->arena, text);
    c->oom |= !rule || !c->d->reason;
    return false;
}

const char *ak__rule(struct ak_policy_case *c, const char *list, size_t index)
{
    const char *rule = ak_arena_printf(c->arena, "spec.permissions.%s[%zu]", list, index);

    c->oom |= !rule;
    return rule;
}

/* What in the permissions nobody enforces makes the whole Tool refuse. */
static bool check_enforceable(struct ak_policy_case *c)
{
    const char *const *list = NULL;

    if (ak_policy_enforceable(c->spec, c->arena, &list, NULL) < 0) {
        c->oom = true;
        return false;
    }
    if (!list[0])
        return true;
    size_t len = strcspn(list[0], ":");
    return ak__refuse(c, ak_arena_strndup(c->arena, list[0], len), "cannot be enforced: %s",
                      list[0]);
}

static bool check_read_only(struct ak_policy_case *c)
{
    const struct ak_tool_permissions *p = c->spec->permissions;
    const char *rule = !p                        ? "spec.permissions"
                       : p->read_only            ? "spec.permissions.readOnly"
                       : !ak__has_privileges(p)  ? "spec.permissions"
                       : !ak__may_write(c->spec) ? "spec.permissions"
                                                 : "readOnly";

    if (!c->read_only)
        return true;
    if (!ak__can_force_read_only(c->spec, c->info))
        return ak__refuse(c, rule,
                          "only reading is allowed here, and nothing can keep type %s to it; the "
                          "Tool's permissions have to say what may be done",
                          c->info->name);
    bool listed = p && p->commands.len && c->spec->type != AK_TOOL_TYPE_REDIS;
    if (c->operation && !listed && c->d->class != AK_CLASS_READ &&
        !(c->operation->at_most == AK_CLASS_READ && c->d->class == AK_CLASS_UNKNOWN))
        return ak__refuse(c, rule, "only reading is allowed here, and this is of class %s",
                          ak_statement_class_name(c->d->class));
    return true;
}

static void settle_approval(struct ak_policy_case *c)
{
    const struct ak_tool_approval_policy *a = c->spec->approval;
    bool always = a && a->mode == AK_APPROVAL_MODE_ALWAYS;
    bool writes = a && a->mode == AK_APPROVAL_MODE_WRITES && c->d->class != AK_CLASS_READ &&
                  c->d->class != AK_CLASS_SESSION;

    if (!c->operation || !(always || writes))
        return;
    c->d->needs_approval = true;
    c->d->rule = "spec.approval";
    c->d->reason = "it is allowed once a person has agreed";
}

int ak_policy_decide(const struct ak_tool_spec *spec, const char *operation,
                     const json_t *arguments, bool read_only, struct ak_arena *arena,
                     struct ak_decision *ret, struct ak_error **reterr)
{
    const struct ak_engine_info *info = ak_engine_info(spec->type);
    bool is_session = ak_streq(operation, AK_OPERATION_EXEC) ||
                      ak_streq(operation, AK_OPERATION_CONNECT) ||
                      ak_streq(operation, AK_OPERATION_FORWARD);
    struct ak_decision d = {.allowed = true,
                            .rule = spec->permissions ? "spec.permissions" : "spec.config",
                            .reason = spec->permissions
                                          ? "the permissions do not limit it; the system decides"
                                          : "there are no permissions: the credential's rights "
                                            "count"};
    struct ak_policy_case c = {.spec = spec,
                               .info = info,
                               .operation = info ? ak_engine_operation(info, operation) : NULL,
                               .name = operation,
                               .arguments = arguments,
                               .read_only = read_only,
                               .arena = arena,
                               .d = &d};

    if (!info)
        return ak_error_set(reterr, -EINVAL, "spec.type: is not known");
    if (!c.operation && !is_session)
        return ak_error_set(reterr, AK_E_NOT_FOUND, "type %s has no operation \"%s\"", info->name,
                            operation);
    int r = c.operation ? ak__check_arguments(c.operation, arguments, reterr) : 0;
    if (r < 0)
        return r;
    bool goes_on = check_enforceable(&c) &&
                   (c.operation ? ak__check_operation(&c) : ak__check_session(&c)) &&
                   check_read_only(&c);
    if (c.oom)
        return ak_error_oom(reterr);
    if (goes_on)
        settle_approval(&c);
    *ret = d;
    return 0;
}
