/* SPDX-License-Identifier: Apache-2.0 */
/* What the spec means here and now, and what is missing. Pure. */
#include <ak/base/text.h>
#include <string.h>

#include "manager/controllers/agent/agent_internal.h"
#include "manager/images.h"

struct resolve {
    const struct ak_agent_observed *o;
    const struct ak_agent_spec *spec;
    struct ak_arena *arena;
    struct ak_agent_view *view;
};
#define MISSING(r, reason, ...)                                                                    \
    ak_agent_add_problem((r)->view, (r)->arena, AK_PROBLEM_UNRESOLVED, (reason), __VA_ARGS__)
#define NOTE(r, ...)                                                                               \
    ak_agent_add_problem((r)->view, (r)->arena, AK_PROBLEM_NOTE, "Note", __VA_ARGS__)

/* Remembers that memory ran out; the one check is at the end. */
static const char *kept(const struct resolve *r, const char *text)
{
    r->view->oom = r->view->oom || !text;
    return text;
}

static void resolve_runtime(const struct resolve *r)
{
    struct ak_agent_view *v = r->view;
    v->runtime = ak_runtime_find(ak_agent_runtime_to_string(r->spec->runtime));
    if (!v->runtime)
        return;
    v->resolved.runtime = v->runtime->name;
    v->resolved.image = r->spec->image;
    if (ak_is_empty(r->spec->image) && v->runtime->image)
        v->resolved.image =
            kept(r, ak_image_default(r->arena, v->runtime->image, r->o->options->image_registry));
}

/* Stated, or by the model's family, or the runtime's own. Nobody needs one for Custom. */
static void resolve_model(const struct resolve *r)
{
    struct ak_agent_view *v = r->view;
    const struct ak_agent_model *model = r->spec->model;
    if (!v->runtime)
        return;
    const char *name = model ? model->name : NULL;
    const char *stated = model ? model->provider : NULL;
    v->resolved.model = name;
    if (stated)
        v->provider = ak_provider_find(stated);
    else if (name)
        v->provider = ak_provider_of_model(name);
    if (!v->provider && !stated)
        v->provider = ak_provider_find(v->runtime->provider);
    v->resolved.provider = v->provider ? v->provider->name : stated;
    if (!v->resolved.provider)
        v->resolved.provider = v->runtime->provider;
    if (name && !v->resolved.provider && v->runtime->image)
        MISSING(r, "ProviderUnknown",
                "spec.model.provider: must be set, because the family of model \"%s\" is not known",
                name);
    v->resolved.token_variable = ak_runtime_token_variable(v->runtime, v->provider);
}

/* Where the keeper sends model calls. That it has nowhere to send them stops nothing: not all work needs a
 * model. */
static void resolve_endpoint(const struct resolve *r)
{
    struct ak_agent_view *v = r->view;
    const struct ak_agent_model *model = r->spec->model;
    if (!v->runtime || r->spec->gateway_ref || v->runtime->keeper_unaware)
        return;
    v->resolved.base_url = model ? model->base_url : NULL;
    if (!v->resolved.base_url && v->provider)
        v->resolved.base_url = v->provider->base_url;
    if (v->resolved.base_url)
        return;
    if (v->resolved.provider)
        NOTE(r,
             "spec.model.baseURL: is not set, and provider \"%s\" has no address that is the same "
             "for "
             "everybody; until it is, model calls are answered with an error",
             v->resolved.provider);
    else if (v->runtime->image || r->spec->agent_token)
        NOTE(r,
             "spec.model: names no provider and no baseURL, and runtime %s has no provider of its "
             "own; until it does, model calls are answered with an error",
             v->runtime->name);
}

static void resolve_token(const struct resolve *r)
{
    const struct ak_secret_key_ref *ref =
        r->spec->agent_token ? r->spec->agent_token->secret_ref : NULL;
    if (!ref)
        return;
    r->view->resolved.token_secret = ref->name;
    r->view->token_exposed =
        r->view->runtime && r->view->runtime->keeper_unaware && !r->spec->gateway_ref;
    if (!r->o->token.found)
        MISSING(r, "SecretNotFound",
                "spec.agentToken.secretRef: there is no Secret \"%s\" in this namespace; create it "
                "with the key \"%s\"",
                ref->name, ref->key);
    else if (!r->o->token.key_found)
        MISSING(r, "SecretKeyNotFound",
                "spec.agentToken.secretRef: Secret \"%s\" has no key \"%s\"", ref->name, ref->key);
}

static void resolve_goal(const struct resolve *r)
{
    const struct ak_agent_goal *goal = r->spec->goal;
    const struct ak_config_map_key_ref *ref = goal ? goal->config_map_key_ref : NULL;
    if (!goal)
        return;
    r->view->resolved.goal_source =
        ref ? kept(r, ak_arena_printf(r->arena, "configmap/%s/%s", ref->name, ref->key)) : "inline";
    if (r->o->goal.key_found)
        r->view->resolved.goal_hash = kept(r, ak_arena_strndup(r->arena, r->o->goal.hex, 16));
    else if (!r->o->goal.found)
        MISSING(r, "ConfigMapNotFound",
                "spec.goal.configMapKeyRef: there is no ConfigMap \"%s\" in this namespace; create "
                "it with the key \"%s\"",
                ref->name, ref->key);
    else
        MISSING(r, "ConfigMapKeyNotFound",
                "spec.goal.configMapKeyRef: ConfigMap \"%s\" has no key \"%s\"", ref->name,
                ref->key);
}

static void resolve_workspace(const struct resolve *r)
{
    const struct ak_agent_workspace *ws = r->spec->workspace;
    const struct ak_object_name *secret = ws && ws->repo ? ws->repo->secret_ref : NULL;
    r->view->resolved.workspace = ak_agent_workspace_name(r->o->agent, r->arena);
    if (ws && ws->persistent)
        (void)kept(r, r->view->resolved.workspace);
    const struct ak_owner_ref *owner =
        r->o->workspace ? ak_meta_controller(ak_object_meta(r->o->workspace)) : NULL;
    if (owner && !ak_streq(owner->uid, ak_object_meta(r->o->agent)->uid))
        MISSING(r, "ClaimNameTaken",
                "claim \"%s\" belongs to %s \"%s\", not to this Agent; wait until it is gone, or "
                "delete it",
                r->view->resolved.workspace, owner->kind, owner->name);
    if (secret && !r->o->repo.found)
        MISSING(
            r, "SecretNotFound",
            "spec.workspace.repo.secretRef: there is no Secret \"%s\" in this namespace; create "
            "it with username and password, token, or ssh-privatekey",
            secret->name);
}

static void resolve_group(const struct resolve *r)
{
    struct ak_agent_view *v = r->view;
    v->group = ak_agent_group(r->o->agent);
    if (!v->group)
        return;
    v->resolved.memory = kept(r, ak_agent_memory_name(r->o->agent, r->arena));
    const char *uid = ak_object_meta(r->o->agent)->uid;
    for (size_t i = 0; i < r->o->group.len && i < AK_AGENT_GROUP_MAX; i++)
        if (ak_streq(r->o->group.items[i].uid, uid))
            return;
    MISSING(r, "GroupTooLarge",
            "metadata.labels[" AK_LABEL_GROUP "]: the group \"%s\" has %zu Agents and the limit is "
            "%d; give this one another group",
            v->group, r->o->group.len, AK_AGENT_GROUP_MAX);
}

static void resolve_refs(const struct resolve *r, const ak_agent_ref_list *refs, const char *field,
                         const char *kind, const char *reason)
{
    for (size_t i = 0; i < refs->len; i++)
        if (!refs->items[i].found)
            MISSING(r, reason, "%s[%zu]: there is no %s \"%s\" in this namespace", field, i, kind,
                    refs->items[i].name);
}

static void resolve_connections(const struct resolve *r)
{
    struct ak_agent_resolved *res = &r->view->resolved;
    resolve_refs(r, &r->o->tools, "spec.tools", "Tool", "ToolNotFound");
    resolve_refs(r, &r->o->mcps, "spec.mcpRefs", "MCP", "MCPNotFound");
    res->tools.items = r->o->tools.items;
    res->tools.len = r->o->tools.len;
    res->mcps.items = r->o->mcps.items;
    res->mcps.len = r->o->mcps.len;
    if (r->spec->gateway_ref) {
        res->gateway = r->spec->gateway_ref->name;
        if (!r->o->gateway_found)
            MISSING(r, "LLMGatewayNotFound",
                    "spec.gatewayRef: there is no LLMGateway \"%s\" in this namespace",
                    res->gateway);
    }
    for (size_t i = 0; i < res->tools.len; i++)
        if (res->tools.items[i].found && !res->tools.items[i].ready)
            NOTE(r, "spec.tools[%zu]: Tool \"%s\" is not ready; its status says why", i,
                 res->tools.items[i].name);
    if (res->mcps.len)
        NOTE(r, "this version of agentkube-manager does not connect MCPs: the agent runs without "
                "them");
    if (res->gateway)
        NOTE(r,
             "spec.gatewayRef: this version of agentkube-manager runs no LLMGateways: model calls "
             "are answered with an error; use spec.agentToken and spec.model.baseURL instead");
}

static void resolve_schedule(const struct resolve *r)
{
    const struct ak_agent_schedule *schedule = r->spec->schedule;
    if (!schedule || r->o->schedule_error)
        return;
    struct ak_agent_resolved_schedule *s = ak_arena_alloc(r->arena, sizeof(*s));
    r->view->oom = r->view->oom || !s;
    if (!s)
        return;
    s->cron = schedule->cron;
    s->time_zone = schedule->time_zone;
    r->view->resolved.schedule = s;
}

/* A claim's class and mode cannot change, and it cannot shrink: the claim stays as it is, and we say so. */
static void resolve_claim_drift(const struct resolve *r)
{
    const struct ak_agent_workspace *ws = r->spec->workspace;
    const struct ak_claim *claim = r->o->workspace ? ak_object_body(r->o->workspace) : NULL;
    if (!ws || !claim || !claim->spec)
        return;
    const char *name = r->view->resolved.workspace;
    const char *class = claim->spec->storage_class;
    if (ws->storage_class_name && class && !ak_streq(ws->storage_class_name, class))
        NOTE(r,
             "spec.workspace.storageClassName: claim \"%s\" keeps its class \"%s\", which cannot "
             "be changed; to change it, save the data and delete the claim",
             name, class);
    const char *mode = ak_agent_access_mode_to_string(ws->access_mode);
    if (claim->spec->access_modes.len && !ak_string_list_has(&claim->spec->access_modes, mode))
        NOTE(r,
             "spec.workspace.accessMode: claim \"%s\" keeps its mode %s, which cannot be changed",
             name, claim->spec->access_modes.items[0]);
    const char *has = ak_string_map_get(&claim->spec->resources->requests, "storage");
    int64_t want_milli = 0, has_milli = 0;
    if (has && ws->size && ak_parse_quantity(has, &has_milli) >= 0 &&
        ak_parse_quantity(ws->size, &want_milli) >= 0 && want_milli < has_milli)
        NOTE(r,
             "spec.workspace.size: claim \"%s\" keeps its size %s, because a claim cannot shrink",
             name, has);
}

const struct ak_problem *ak_agent_worst_problem(const struct ak_agent_view *view)
{
    const struct ak_problem *worst = NULL;
    for (size_t i = 0; i < view->n_problems; i++)
        if (view->problems[i].kind != AK_PROBLEM_NOTE &&
            (!worst || view->problems[i].kind > worst->kind))
            worst = &view->problems[i];
    return worst;
}

static void list_problems(struct ak_agent_view *v, struct ak_arena *arena)
{
    const char **items = ak_arena_alloc(arena, (v->n_problems + 1) * sizeof(*items));
    v->oom = v->oom || !items;
    if (!items)
        return;
    for (size_t i = 0; i < v->n_problems; i++)
        items[i] = v->problems[i].message;
    size_t len = v->n_problems;
    if (v->n_more) {
        items[len] = ak_arena_printf(arena, "and %zu more", v->n_more);
        v->oom = v->oom || !items[len];
        len++;
    }
    v->resolved.problems = (struct ak_string_list){.items = items, .len = len};
}

int ak_agent_resolve(const struct ak_agent_observed *o, struct ak_arena *arena,
                     struct ak_agent_view *ret, struct ak_error **reterr)
{
    static void (*const steps[])(const struct resolve *) = {
        resolve_runtime,  resolve_model,       resolve_endpoint, resolve_token,
        resolve_goal,     resolve_workspace,   resolve_group,    resolve_connections,
        resolve_schedule, resolve_claim_drift,
    };
    struct ak_agent_view view = {0};
    const struct resolve r = {.o = o, .spec = ak_agent_spec_of(o), .arena = arena, .view = &view};
    if (!r.spec) {
        ak_agent_add_problem(&view, arena, AK_PROBLEM_INVALID, "InvalidSpec", "%s",
                             ak_object_decode_error(o->agent));
    } else {
        for (size_t i = 0; i < AK_ARRAY_LEN(steps); i++)
            steps[i](&r);
        ak_agent_check_spec(o, arena, &view);
    }
    list_problems(&view, arena);
    if (view.oom)
        return ak_error_oom(reterr);
    *ret = view;
    return 0;
}
