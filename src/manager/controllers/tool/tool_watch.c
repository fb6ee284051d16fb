/* SPDX-License-Identifier: Apache-2.0 */
/* What wakes a Tool: the indexes and keys that wiring.c names. */
#include <ak/base/text.h>
#include <string.h>

#include "manager/controllers/tool/tool_internal.h"

const struct ak_kind *const ak_tool_right_kinds[AK_TOOL_RIGHT_MAX] = {
    [AK_TOOL_RIGHT_ROLE] = &ak_role_kind,
    [AK_TOOL_RIGHT_ROLE_BINDING] = &ak_role_binding_kind,
    [AK_TOOL_RIGHT_CLUSTER_ROLE] = &ak_cluster_role_kind,
    [AK_TOOL_RIGHT_CLUSTER_ROLE_BINDING] = &ak_cluster_role_binding_kind,
};

static void pod_texts(const struct ak_object *pod, ak_index_emit_fn emit, void *emit_user)
{
    char text[AK_KEY_MAX];
    const struct ak_meta *meta = ak_object_meta(pod);
    const char *tool = ak_string_map_get(&meta->annotations, AK_TOOL_POD_NAME);
    if (!ak_is_empty(tool) && ak_key_text((struct ak_key){meta->namespace_, tool}, text) >= 0)
        emit(text, emit_user);
}

const struct ak_index ak_tool_pod_indexes[AK_TOOL_POD_INDEX_MAX] = {
    [AK_POD_BY_TOOL] = {"tool", pod_texts},
};

static void right_texts(const struct ak_object *right, ak_index_emit_fn emit, void *emit_user)
{
    const char *uid = ak_string_map_get(&ak_object_meta(right)->labels, AK_LABEL_TOOL_UID);
    if (!ak_is_empty(uid))
        emit(uid, emit_user);
}

const struct ak_index ak_tool_right_indexes[AK_TOOL_RIGHT_INDEX_MAX] = {
    [AK_RIGHT_BY_TOOL] = {"tool-uid", right_texts},
};

/* What has to be on record before the next step is made. */
static bool is_recorded_news(const struct ak_tool_status *a, const struct ak_tool_status *b)
{
    static const struct ak_tool_status nothing;
    if (!a)
        a = &nothing;
    if (!b)
        b = &nothing;
    const char *probes[] = {a->last_probe ? a->last_probe->hash : NULL,
                            b->last_probe ? b->last_probe->hash : NULL};
    const char *works[] = {a->last_provisioned ? a->last_provisioned->hash : NULL,
                           b->last_provisioned ? b->last_provisioned->hash : NULL};
    ak_msec minted[] = {a->identity ? a->identity->rotated_time : 0,
                        b->identity ? b->identity->rotated_time : 0};
    return !ak_streq(probes[0], probes[1]) || !ak_streq(works[0], works[1]) ||
           minted[0] != minted[1] || !ak_streq(a->permissions_hash, b->permissions_hash);
}

bool ak_tool_wanted(const struct ak_change *change)
{
    if (ak_route_spec_changed(change))
        return true;
    if (!change->before || !change->after)
        return false;
    const struct ak_tool *before = ak_object_body(change->before);
    const struct ak_tool *after = ak_object_body(change->after);
    return is_recorded_news(before->status, after->status);
}

bool ak_tool_child_wanted(const struct ak_change *change)
{
    if (change->type != AK_CHANGE_UPDATED)
        return true;
    const struct ak_meta *before = ak_object_meta(change->before);
    const struct ak_meta *after = ak_object_meta(change->after);
    return before->deleting != after->deleting || before->owners.len != after->owners.len ||
           ak_object_owned_hash(change->before) != ak_object_owned_hash(change->after);
}

/* By name and not by owner: pods of Jobs, and one without an owner, belong to Tools, too. */
void ak_tool_keys_of_pod(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                         void *user)
{
    const struct ak_meta *meta = ak_object_meta(ak_change_object(change));
    const char *tool = ak_string_map_get(&meta->annotations, AK_TOOL_POD_NAME);
    (void)user;
    if (!ak_is_empty(tool))
        emit((struct ak_key){meta->namespace_, tool}, emit_user);
}

void ak_tool_keys_of_child(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user)
{
    (void)user;
    ak_route_owners(change, &ak_tool_kind.resource, emit, emit_user);
}

/* agentkube:NAMESPACE:NAME, where no owner can be said. */
void ak_tool_keys_of_right(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user)
{
    static const char prefix[] = "agentkube:";
    const struct ak_meta *meta = ak_object_meta(ak_change_object(change));
    const char *tool = ak_string_map_get(&meta->labels, AK_LABEL_TOOL);
    char text[AK_KEY_MAX];
    (void)user;
    ak_route_owners(change, &ak_tool_kind.resource, emit, emit_user);
    if (!ak_has_prefix(meta->name, prefix) || ak_is_empty(tool))
        return;
    const char *start = meta->name + sizeof(prefix) - 1;
    size_t len = strcspn(start, ":");
    if (len >= sizeof(text))
        return;
    memcpy(text, start, len);
    text[len] = '\0';
    emit((struct ak_key){text, tool}, emit_user);
}

bool ak_tool_is_ready(const struct ak_object *tool)
{
    const struct ak_tool *body = ak_object_body(tool);
    const struct ak_meta *meta = ak_object_meta(tool);
    const struct ak_condition *ready =
        body && body->status ? ak_condition_find(body->status->conditions.items,
                                                 body->status->conditions.len, "Ready")
                             : NULL;
    return ready && ak_streq(ready->status, "True") && !meta->deleting &&
           ready->observed_generation == meta->generation;
}

bool ak_tool_readiness_changed(const struct ak_change *change)
{
    if (change->type != AK_CHANGE_UPDATED)
        return true;
    return ak_tool_is_ready(change->before) != ak_tool_is_ready(change->after);
}
