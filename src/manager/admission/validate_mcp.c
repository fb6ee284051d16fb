/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#include "manager/admission/validate.h"

struct check {
    const char *name; /* of the MCP */
    const struct ak_mcp_upstream *up;
    size_t i;
    struct ak_findings *f;
};
#define PATH(c, field) ak_path((c)->f, "spec.upstreams[%zu]" field, (c)->i)

/* Each kind has one field that says where, and may not have those of the others. */
static void check_target(const struct check *c)
{
    const struct {
        enum ak_mcp_upstream_kind kind;
        bool is_set;
        const char *path;
    } targets[] = {
        {AK_MCP_UPSTREAM_KIND_HTTP, c->up->endpoint != NULL, ".endpoint"},
        {AK_MCP_UPSTREAM_KIND_MCP_REF, c->up->mcp_ref != NULL, ".mcpRef"},
        {AK_MCP_UPSTREAM_KIND_STDIO, c->up->image != NULL, ".image"},
    };

    for (size_t t = 0; t < AK_ARRAY_LEN(targets); t++) {
        const char *kind = ak_mcp_upstream_kind_to_string(targets[t].kind);
        const char *path = ak_path(c->f, "spec.upstreams[%zu]%s", c->i, targets[t].path);
        if (targets[t].kind == c->up->kind && !targets[t].is_set)
            ak_refuse(c->f, path, "must be set for kind %s", kind);
        if (targets[t].kind != c->up->kind && targets[t].is_set)
            ak_refuse(c->f, path, "is for kind %s, and this one is %s", kind,
                      ak_mcp_upstream_kind_to_string(c->up->kind));
    }
}

static void check_reference(const struct check *c)
{
    if (c->up->mcp_ref && ak_streq(c->up->mcp_ref->name, c->name))
        ak_refuse(c->f, PATH(c, ".mcpRef.name"), "must not be the MCP itself");
}

static void check_program(const struct check *c)
{
    bool stdio = c->up->kind == AK_MCP_UPSTREAM_KIND_STDIO;

    if (!stdio && c->up->command.len)
        ak_refuse(c->f, PATH(c, ".command"), "is for kind stdio");
    if (!stdio && c->up->env.len)
        ak_refuse(c->f, PATH(c, ".env"), "is for kind stdio");
    for (size_t i = 0; i < c->up->env.len; i++)
        if (ak_has_prefix(c->up->env.items[i].name, "AGENTKUBE_"))
            ak_refuse(c->f, ak_path(c->f, "spec.upstreams[%zu].env[%zu].name", c->i, i),
                      "\"%s\" is reserved: AGENTKUBE_ names are the manager's",
                      c->up->env.items[i].name);
    ak_check_image(c->f, PATH(c, ".image"), c->up->image);
}

static bool is_framing_header(const char *name)
{
    static const char *const names[] = {"Host",    "Connection", "Content-Length",
                                        "Upgrade", "TE",         "Transfer-Encoding"};

    for (size_t i = 0; i < AK_ARRAY_LEN(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

static void check_auth_fields(const struct check *c, const struct ak_mcp_upstream_auth *auth)
{
    if (auth->mode == AK_MCP_AUTH_MODE_HEADER && !auth->header_name)
        ak_refuse(c->f, PATH(c, ".auth.headerName"), "must be set for mode header");
    if (auth->mode != AK_MCP_AUTH_MODE_HEADER && auth->header_name)
        ak_refuse(c->f, PATH(c, ".auth.headerName"), "is for mode header");
    if (auth->header_name && is_framing_header(auth->header_name))
        ak_refuse(c->f, PATH(c, ".auth.headerName"), "\"%s\" belongs to the connection",
                  auth->header_name);
    if (auth->mode == AK_MCP_AUTH_MODE_ENV && !auth->variable)
        ak_refuse(c->f, PATH(c, ".auth.variable"), "must be set for mode env");
    if (auth->mode != AK_MCP_AUTH_MODE_ENV && auth->variable)
        ak_refuse(c->f, PATH(c, ".auth.variable"), "is for mode env");
}

static void check_auth(const struct check *c)
{
    const struct ak_mcp_upstream_auth *auth = c->up->auth;
    bool stdio = c->up->kind == AK_MCP_UPSTREAM_KIND_STDIO;

    if (!auth)
        return;
    bool none = auth->mode == AK_MCP_AUTH_MODE_NONE || auth->mode == AK_MCP_AUTH_MODE_UNSET;
    if (!none && !auth->secret_ref)
        ak_refuse(c->f, PATH(c, ".auth.secretRef"), "must be set for mode %s",
                  ak_mcp_auth_mode_to_string(auth->mode));
    if (none && auth->secret_ref)
        ak_refuse(c->f, PATH(c, ".auth.mode"),
                  "must say how the Secret is used: bearer, basic, header or env");
    if (!none && stdio && auth->mode != AK_MCP_AUTH_MODE_ENV)
        ak_refuse(c->f, PATH(c, ".auth.mode"), "must be env for kind stdio");
    if (!stdio && auth->mode == AK_MCP_AUTH_MODE_ENV)
        ak_refuse(c->f, PATH(c, ".auth.mode"), "env is for kind stdio");
    check_auth_fields(c, auth);
    ak_check_clear_text(c->f, PATH(c, ".endpoint"), c->up->endpoint, !none);
}

static void check_patterns(const struct check *c, const struct ak_string_list *list,
                           const char *field)
{
    for (size_t i = 0; i < list->len; i++) {
        const char *star = strchr(list->items[i], '*');
        if (star && star[1])
            ak_refuse(c->f, ak_path(c->f, "spec.upstreams[%zu].tools.%s[%zu]", c->i, field, i),
                      "\"%s\": a * may only be the last character", list->items[i]);
    }
}

/* A list that is not in force would look like a restriction that holds. */
static void check_tools(const struct check *c)
{
    const struct ak_mcp_upstream_tools *tools = c->up->tools;

    if (!tools)
        return;
    if (tools->allow.len && tools->mode != AK_MCP_TOOL_MODE_ALLOW)
        ak_refuse(c->f, PATH(c, ".tools.allow"), "is not in force: mode must be allow");
    if (tools->deny.len && tools->mode != AK_MCP_TOOL_MODE_DENY)
        ak_refuse(c->f, PATH(c, ".tools.deny"), "is not in force: mode must be deny");
    if (tools->mode == AK_MCP_TOOL_MODE_ALLOW && !tools->allow.len)
        ak_warn_of(c->f, PATH(c, ".tools.allow"), "is empty: no tool is offered");
    check_patterns(c, &tools->allow, "allow");
    check_patterns(c, &tools->deny, "deny");
}

void ak_validate_mcp(const char *name, const struct ak_mcp_spec *spec, struct ak_findings *findings)
{
    static void (*const checks[])(const struct check *c) = {check_target, check_reference,
                                                            check_program, check_auth, check_tools};

    for (size_t i = 0; i < spec->upstreams.len; i++) {
        const struct check c = {name, &spec->upstreams.items[i], i, findings};
        for (size_t n = 0; n < AK_ARRAY_LEN(checks); n++)
            checks[n](&c);
    }
    ak_check_image(findings, "spec.image", spec->image);
    ak_check_resources(findings, "spec.resources", spec->resources);
}
