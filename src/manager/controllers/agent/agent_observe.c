/* SPDX-License-Identifier: Apache-2.0 */
/* Reads everything that a decision may depend on into one struct. */
#include <ak/api/tool.h>
#include <ak/base/text.h>
#include <stdlib.h>
#include <string.h>

#include "manager/controllers/agent/agent_internal.h"
#include "manager/controllers/tool/tool.h"

void ak_agent_observed_done(struct ak_agent_observed *self)
{
    (void)ak_object_unref(self->agent);
    (void)ak_object_unref(self->pod);
    (void)ak_object_unref(self->workspace);
    (void)ak_object_unref(self->memory);
    *self = (struct ak_agent_observed){0};
}

/* Oldest first: who joins a group that is full is the one who does not get in. */
static int by_age(const void *a, const void *b)
{
    const struct ak_meta *x = ak_object_meta(*(const struct ak_object *const *)a);
    const struct ak_meta *y = ak_object_meta(*(const struct ak_object *const *)b);
    if (x->created != y->created)
        return x->created < y->created ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int observe_group(struct ak_agents *self, struct ak_arena *arena,
                         struct ak_agent_observed *o, struct ak_error **reterr)
{
    AK_AUTO(ak_object_list) list = {0};
    char text[AK_KEY_MAX];
    const char *group = ak_agent_group(o->agent);
    if (!group)
        return 0;
    int r = ak_key_text((struct ak_key){ak_object_meta(o->agent)->namespace_, group}, text);
    if (r >= 0)
        r = ak_cache_find(self->agents, AK_AGENT_BY_GROUP, text, &list);
    struct ak_owner_ref *refs = ak_arena_alloc(arena, (list.len + 1) * sizeof(*refs));
    if (r < 0 || !refs)
        return ak_error_oom(reterr);
    qsort(list.items, list.len, sizeof(*list.items), by_age);
    for (size_t i = 0; i < list.len; i++) {
        const struct ak_meta *meta = ak_object_meta(list.items[i]);
        refs[i] = (struct ak_owner_ref){.api_version = AK_API_GROUP "/" AK_API_VERSION,
                                        .kind = "Agent",
                                        .name = ak_arena_strdup(arena, meta->name),
                                        .uid = ak_arena_strdup(arena, meta->uid)};
        if (!refs[i].name || !refs[i].uid)
            return ak_error_oom(reterr);
    }
    o->group.items = refs;
    o->group.len = list.len;
    return 0;
}

/* Digest of a key of a Secret (key NULL: of all keys). */
static int observe_secret(struct ak_agents *self, struct ak_agent_observed *o, const char *name,
                          const char *key, struct ak_digest *ret, struct ak_error **reterr)
{
    const struct ak_digest_query query = {.resource = &ak_secret_resource,
                                          .namespace_ = ak_object_meta(o->agent)->namespace_,
                                          .name = name,
                                          .key = key};
    int r = ak_digests_read(self->digests, &query, ret, reterr);
    if (r < 0)
        return r;
    ak_msec ttl = ak_digests_ttl(self->digests, !ret->key_found);
    o->secret_ttl = o->secret_ttl ? AK_MIN(o->secret_ttl, ttl) : ttl;
    return 0;
}

static int observe_goal(struct ak_agents *self, struct ak_agent_observed *o,
                        const struct ak_agent_goal *goal, struct ak_error **reterr)
{
    const struct ak_config_map_key_ref *ref = goal->config_map_key_ref;
    if (!ref) {
        const char *text = goal->inline_ ? goal->inline_ : "";
        o->goal.found = o->goal.key_found = true;
        return ak_digest_bytes(text, strlen(text), o->goal.hex) < 0 ? ak_error_oom(reterr) : 0;
    }
    const char *ns = ak_object_meta(o->agent)->namespace_;
    AK_AUTO_OBJECT config = ak_cache_get(self->configmaps, ns, ref->name);
    if (!config)
        return 0;
    const struct ak_digest_query query = {.resource = &ak_configmap_kind.resource,
                                          .namespace_ = ns,
                                          .name = ref->name,
                                          .key = ref->key,
                                          .resource_version =
                                              ak_object_meta(config)->resource_version};
    return ak_digests_read(self->digests, &query, &o->goal, reterr);
}

/* Tools: whether they exist, and can be used. */
static int observe_tools(struct ak_agents *self, struct ak_arena *arena,
                         struct ak_agent_observed *o, struct ak_error **reterr)
{
    const struct ak_agent_spec *spec = ak_agent_spec_of(o);
    struct ak_agent_resolved_ref *refs =
        ak_arena_alloc(arena, (spec->tools.len + 1) * sizeof(*refs));
    if (!refs)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < spec->tools.len; i++) {
        refs[i].name = spec->tools.items[i].name;
        AK_AUTO_OBJECT found =
            ak_cache_get(self->tools, ak_object_meta(o->agent)->namespace_, refs[i].name);
        const struct ak_tool *tool = found ? ak_object_body(found) : NULL;
        refs[i].found = found != NULL;
        refs[i].ready = found && ak_tool_is_ready(found);
        if (tool && tool->spec && tool->spec->type)
            refs[i].type = ak_tool_type_to_string(tool->spec->type);
    }
    o->tools.items = refs;
    o->tools.len = spec->tools.len;
    return 0;
}

/* MCPs: whether they exist. That one can be used, this version never says. */
static int observe_mcps(struct ak_agents *self, struct ak_arena *arena, struct ak_agent_observed *o,
                        struct ak_error **reterr)
{
    const struct ak_agent_spec *spec = ak_agent_spec_of(o);
    struct ak_agent_resolved_ref *refs =
        ak_arena_alloc(arena, (spec->mcp_refs.len + 1) * sizeof(*refs));
    if (!refs)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < spec->mcp_refs.len; i++) {
        refs[i].name = spec->mcp_refs.items[i].name;
        AK_AUTO_OBJECT found =
            ak_cache_get(self->mcps, ak_object_meta(o->agent)->namespace_, refs[i].name);
        refs[i].found = found != NULL;
    }
    o->mcps.items = refs;
    o->mcps.len = spec->mcp_refs.len;
    return 0;
}

static int observe_children(struct ak_agents *self, struct ak_arena *arena,
                            struct ak_agent_observed *o, struct ak_error **reterr)
{
    const struct ak_meta *meta = ak_object_meta(o->agent);
    o->pod = ak_cache_get(self->pods, meta->namespace_, meta->name);
    const char *workspace = ak_agent_workspace_name(o->agent, arena);
    if (workspace)
        o->workspace = ak_cache_get(self->claims, meta->namespace_, workspace);
    const char *memory = ak_agent_memory_name(o->agent, arena);
    if (memory)
        o->memory = ak_cache_get(self->claims, meta->namespace_, memory);
    return observe_group(self, arena, o, reterr);
}

static int observe_references(struct ak_agents *self, struct ak_arena *arena,
                              struct ak_agent_observed *o, struct ak_error **reterr)
{
    const struct ak_agent_spec *spec = ak_agent_spec_of(o);
    const struct ak_secret_key_ref *token =
        spec->agent_token ? spec->agent_token->secret_ref : NULL;
    const struct ak_agent_repo *repo = spec->workspace ? spec->workspace->repo : NULL;
    int r = spec->goal ? observe_goal(self, o, spec->goal, reterr) : 0;
    if (r >= 0 && token)
        r = observe_secret(self, o, token->name, token->key, &o->token, reterr);
    if (r >= 0 && repo && repo->secret_ref)
        r = observe_secret(self, o, repo->secret_ref->name, NULL, &o->repo, reterr);
    if (r >= 0)
        r = observe_tools(self, arena, o, reterr);
    if (r >= 0)
        r = observe_mcps(self, arena, o, reterr);
    if (r >= 0 && spec->gateway_ref) {
        AK_AUTO_OBJECT gateway = ak_cache_get(self->gateways, ak_object_meta(o->agent)->namespace_,
                                              spec->gateway_ref->name);
        o->gateway_found = gateway != NULL;
    }
    if (r >= 0 && spec->schedule)
        r = ak_agent_schedule_observe(o, arena, reterr);
    return r;
}

int ak_agent_observe_runs(struct ak_agents *self, struct ak_arena *arena,
                          struct ak_agent_observed *o, struct ak_error **reterr)
{
    o->bundle = ak_runs_bundle(self->runs, arena);
    if (ak_runs_look(self->runs, o->agent, arena, &o->runs) < 0 || !o->runs.synced)
        return ak_error_oom(reterr);
    return 0;
}

int ak_agent_observe(struct ak_agents *self, const struct ak_request *req, struct ak_arena *arena,
                     struct ak_agent_observed *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_agent_observed) o = {.options = self->options, .now = ak_clock_wall(self->clock)};
    o.agent = ak_cache_get(self->agents, req->ns, req->name);
    if (!o.agent)
        return 1;
    int r = ak_agent_observe_runs(self, arena, &o, reterr);
    if (r >= 0)
        r = observe_children(self, arena, &o, reterr);
    /* What is being deleted, or cannot be read, needs no references. */
    if (r >= 0 && ak_agent_spec_of(&o) && !ak_object_meta(o.agent)->deleting)
        r = observe_references(self, arena, &o, reterr);
    if (r < 0)
        return r;
    *ret = o;
    o = (struct ak_agent_observed){0};
    return 0;
}
