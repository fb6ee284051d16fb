/* SPDX-License-Identifier: Apache-2.0 */
/* What wakes an Agent: the indexes and keys that wiring.c names. */
#include <ak/api/agent.h>
#include <ak/base/text.h>

#include "manager/controllers/agent/agent_internal.h"

static void emit_name(const struct ak_object *agent, const char *name, ak_index_emit_fn emit,
                      void *emit_user)
{
    char text[AK_KEY_MAX];
    const struct ak_key key = {ak_object_meta(agent)->namespace_, name};
    if (!ak_is_empty(name) && ak_key_text(key, text) >= 0)
        emit(text, emit_user);
}

static const struct ak_agent_spec *spec_of(const struct ak_object *agent)
{
    const struct ak_agent *body = ak_object_body(agent);
    return body->spec; /* NULL if it could not be decoded */
}

static void group_texts(const struct ak_object *agent, ak_index_emit_fn emit, void *emit_user)
{
    emit_name(agent, ak_agent_group(agent), emit, emit_user);
}

static void configmap_texts(const struct ak_object *agent, ak_index_emit_fn emit, void *emit_user)
{
    const struct ak_agent_spec *spec = spec_of(agent);
    if (spec && spec->goal && spec->goal->config_map_key_ref)
        emit_name(agent, spec->goal->config_map_key_ref->name, emit, emit_user);
}

static void tool_texts(const struct ak_object *agent, ak_index_emit_fn emit, void *emit_user)
{
    const struct ak_agent_spec *spec = spec_of(agent);
    for (size_t i = 0; spec && i < spec->tools.len; i++)
        emit_name(agent, spec->tools.items[i].name, emit, emit_user);
}

static void mcp_texts(const struct ak_object *agent, ak_index_emit_fn emit, void *emit_user)
{
    const struct ak_agent_spec *spec = spec_of(agent);
    for (size_t i = 0; spec && i < spec->mcp_refs.len; i++)
        emit_name(agent, spec->mcp_refs.items[i].name, emit, emit_user);
}

static void gateway_texts(const struct ak_object *agent, ak_index_emit_fn emit, void *emit_user)
{
    const struct ak_agent_spec *spec = spec_of(agent);
    if (spec && spec->gateway_ref)
        emit_name(agent, spec->gateway_ref->name, emit, emit_user);
}

const struct ak_index ak_agent_indexes[AK_AGENT_INDEX_MAX] = {
    [AK_AGENT_BY_GROUP] = {"group", group_texts},
    [AK_AGENT_BY_CONFIGMAP] = {"configmap", configmap_texts},
    [AK_AGENT_BY_TOOL] = {"tool", tool_texts},
    [AK_AGENT_BY_MCP] = {"mcp", mcp_texts},
    [AK_AGENT_BY_GATEWAY] = {"gateway", gateway_texts},
};

const char *ak_agent_group(const struct ak_object *agent)
{
    const char *group = ak_string_map_get(&ak_object_meta(agent)->labels, AK_LABEL_GROUP);
    return ak_is_empty(group) ? NULL : group;
}

/* Our own status writes do not wake, except that a failed pod is deleted only after its failure is on
 * record (see agent_plan.c). */
static bool failure_recorded(const struct ak_change *change)
{
    const struct ak_agent *before = ak_object_body(change->before);
    const struct ak_agent *after = ak_object_body(change->after);
    int64_t was = before->status && before->status->backoff ? before->status->backoff->failures : 0;
    int64_t is = after->status && after->status->backoff ? after->status->backoff->failures : 0;
    return was != is;
}

bool ak_agent_wanted(const struct ak_change *change)
{
    if (ak_route_spec_changed(change))
        return true;
    return change->before && change->after && failure_recorded(change);
}

bool ak_agent_group_changed(const struct ak_change *change)
{
    const char *before = change->before ? ak_agent_group(change->before) : NULL;
    const char *after = change->after ? ak_agent_group(change->after) : NULL;
    return !ak_streq(before, after);
}

bool ak_agent_existence_changed(const struct ak_change *change)
{
    return change->type != AK_CHANGE_UPDATED;
}

/* Claims change often (the provisioner writes annotations); we care for little of it. */
bool ak_agent_claim_wanted(const struct ak_change *change)
{
    if (change->type != AK_CHANGE_UPDATED)
        return true;
    const struct ak_meta *before = ak_object_meta(change->before);
    const struct ak_meta *after = ak_object_meta(change->after);
    return before->deleting != after->deleting || before->owners.len != after->owners.len ||
           ak_object_owned_hash(change->before) != ak_object_owned_hash(change->after);
}

static void emit_object(const struct ak_object *object, ak_key_emit_fn emit, void *emit_user)
{
    const struct ak_meta *meta = ak_object_meta(object);
    emit((struct ak_key){meta->namespace_, meta->name}, emit_user);
}

/* All Agents of a namespace that are in the index under `name`. */
static void emit_indexed(struct ak_agents *self, enum ak_agent_index_id index, const char *ns,
                         const char *name, ak_key_emit_fn emit, void *emit_user)
{
    AK_AUTO(ak_object_list) list = {0};
    char text[AK_KEY_MAX];
    if (name && ak_key_text((struct ak_key){ns, name}, text) >= 0 &&
        ak_cache_find(self->agents, index, text, &list) >= 0)
        for (size_t i = 0; i < list.len; i++)
            emit_object(list.items[i], emit, emit_user);
}

static void emit_referrers(const struct ak_change *change, enum ak_agent_index_id index,
                           ak_key_emit_fn emit, void *emit_user, void *user)
{
    const struct ak_meta *meta = ak_object_meta(ak_change_object(change));
    emit_indexed(user, index, meta->namespace_, meta->name, emit, emit_user);
}

/* Who joins or leaves a group changes the owners of its memory; one member is enough to write them. */
void ak_agent_keys_of_group(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                            void *user)
{
    struct ak_agents *self = user;
    const struct ak_object *states[] = {change->before, change->after};
    for (size_t i = 0; i < AK_ARRAY_LEN(states); i++) {
        AK_AUTO(ak_object_list) list = {0};
        char text[AK_KEY_MAX];
        const char *group = states[i] ? ak_agent_group(states[i]) : NULL;
        if (!group)
            continue;
        const struct ak_key key = {ak_object_meta(states[i])->namespace_, group};
        if (ak_key_text(key, text) < 0 ||
            ak_cache_find(self->agents, AK_AGENT_BY_GROUP, text, &list) < 0)
            continue;
        if (list.len)
            emit_object(list.items[0], emit, emit_user);
    }
}

/* A pod has its Agent's name. By name and not by owner, so that a former Agent's pod that goes away wakes
 * the present one. */
void ak_agent_keys_of_pod(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                          void *user)
{
    struct ak_agents *self = user;
    const struct ak_meta *meta = ak_object_meta(ak_change_object(change));
    AK_AUTO_OBJECT agent = ak_cache_get(self->agents, meta->namespace_, meta->name);
    if (agent)
        emit_object(agent, emit, emit_user);
}

void ak_agent_keys_of_claim(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                            void *user)
{
    struct ak_agents *self = user;
    const struct ak_meta *meta = ak_object_meta(ak_change_object(change));
    const char *agent = ak_string_map_get(&meta->labels, AK_LABEL_AGENT);
    if (!ak_is_empty(agent))
        emit((struct ak_key){meta->namespace_, agent}, emit_user);
    emit_indexed(self, AK_AGENT_BY_GROUP, meta->namespace_,
                 ak_string_map_get(&meta->labels, AK_LABEL_GROUP), emit, emit_user);
}

void ak_agent_keys_of_configmap(const struct ak_change *change, ak_key_emit_fn emit,
                                void *emit_user, void *user)
{
    emit_referrers(change, AK_AGENT_BY_CONFIGMAP, emit, emit_user, user);
}

void ak_agent_keys_of_tool(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user)
{
    emit_referrers(change, AK_AGENT_BY_TOOL, emit, emit_user, user);
}

void ak_agent_keys_of_mcp(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                          void *user)
{
    emit_referrers(change, AK_AGENT_BY_MCP, emit, emit_user, user);
}

void ak_agent_keys_of_gateway(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                              void *user)
{
    emit_referrers(change, AK_AGENT_BY_GATEWAY, emit, emit_user, user);
}
