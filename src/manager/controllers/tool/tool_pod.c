/* SPDX-License-Identifier: Apache-2.0 */
/* What the status of a Tool's pod says, as one state and what there is to say about it. Pure. */
#include <ak/base/text.h>
#include <string.h>

#include "manager/controllers/tool/tool_internal.h"

static const struct ak_field outcome_fields[] = {
    AK_FIELD_BOOL(struct ak_tool_outcome, reachable, "reachable", AK_FIELD_LENIENT, 0),
    AK_FIELD_BOOL(struct ak_tool_outcome, authenticated, "authenticated", AK_FIELD_LENIENT, 0),
    AK_FIELD_BOOL(struct ak_tool_outcome, authorised, "authorised", AK_FIELD_LENIENT, 0),
    AK_FIELD_BOOL(struct ak_tool_outcome, done, "done", AK_FIELD_LENIENT, 0),
    AK_FIELD_STRING(struct ak_tool_outcome, server, "server", AK_FIELD_LENIENT),
    AK_FIELD_STRING(struct ak_tool_outcome, message, "message", AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_outcome, changed, "changed", AK_F_STRING_LIST,
             .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_outcome, unenforceable, "unenforceable", AK_F_STRING_LIST,
             .flags = AK_FIELD_LENIENT),
};
static const struct ak_type outcome_type =
    AK_TYPE("outcome", struct ak_tool_outcome, outcome_fields);

/* At most AK_TOOL_MESSAGE_MAX bytes, whole characters. */
static const char *cut(struct ak_arena *arena, const char *text)
{
    size_t len = strnlen(text, AK_TOOL_MESSAGE_MAX + 1);
    if (len > AK_TOOL_MESSAGE_MAX) {
        len = AK_TOOL_MESSAGE_MAX;
        while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    return ak_arena_strndup(arena, text, len);
}

static bool is_condition(const struct ak_pod *pod, const char *type)
{
    return ak_condition_is_true(pod->status->conditions.items, pod->status->conditions.len, type);
}

/* Reasons with which every pod starts. */
static bool is_usual(const char *reason)
{
    return ak_is_empty(reason) || ak_streq(reason, "ContainerCreating") ||
           ak_streq(reason, "PodInitializing");
}

static const char *waiting_text(const ak_container_status_list *list, struct ak_arena *arena,
                                bool *ret_oom)
{
    for (size_t i = 0; i < list->len; i++) {
        const struct ak_container_state *state = list->items[i].state;
        const struct ak_container_waiting *w = state ? state->waiting : NULL;
        if (!w || is_usual(w->reason))
            continue;
        const char *said = cut(arena, w->message ? w->message : "");
        const char *text =
            said ? ak_arena_printf(arena, "container \"%s\": %s%s%s", list->items[i].name,
                                   w->reason, *said ? ": " : "", said)
                 : NULL;
        *ret_oom = *ret_oom || !text;
        return text;
    }
    return NULL;
}

/* Why it does not start, if that can be said. */
static const char *starting_text(const struct ak_pod *pod, struct ak_arena *arena, bool *ret_oom)
{
    const struct ak_condition *scheduled = ak_condition_find(
        pod->status->conditions.items, pod->status->conditions.len, "PodScheduled");
    const char *text = waiting_text(&pod->status->init, arena, ret_oom);
    if (!text)
        text = waiting_text(&pod->status->containers, arena, ret_oom);
    if (text || pod->spec->node || !scheduled || !ak_streq(scheduled->status, "False"))
        return text;
    text = ak_arena_printf(arena, "no node can take the pod: %s",
                           scheduled->message ? scheduled->message : "");
    *ret_oom = *ret_oom || !text;
    return text;
}

static const struct ak_container_ended *ended_of(const ak_container_status_list *list,
                                                 const char *name)
{
    for (size_t i = 0; i < list->len; i++)
        if (ak_streq(list->items[i].name, name) && list->items[i].state)
            return list->items[i].state->ended;
    return NULL;
}

/* The first container that ended badly, init containers first. */
static const struct ak_container_ended *culprit_of(const struct ak_pod *pod, const char **ret_name)
{
    const ak_container_status_list *lists[] = {&pod->status->init, &pod->status->containers};
    for (size_t l = 0; l < AK_ARRAY_LEN(lists); l++) {
        for (size_t i = 0; i < lists[l]->len; i++) {
            const struct ak_container_state *state = lists[l]->items[i].state;
            if (!state || !state->ended || !state->ended->exit_code)
                continue;
            *ret_name = lists[l]->items[i].name;
            return state->ended;
        }
    }
    return NULL;
}

static const char *ending_text(const struct ak_pod *pod, struct ak_arena *arena)
{
    const char *name = NULL;
    const struct ak_container_ended *e = culprit_of(pod, &name);
    if (!ak_is_empty(pod->status->reason)) /* the kubelet's or somebody else's doing */
        return ak_arena_printf(arena, "the pod ended: %s%s%s", pod->status->reason,
                               ak_is_empty(pod->status->message) ? "" : ": ",
                               pod->status->message ? pod->status->message : "");
    if (!e)
        return ak_arena_strdup(arena, "the pod ended");
    const char *said = cut(arena, e->message ? e->message : "");
    return said ? ak_arena_printf(arena, "container \"%s\" ended with exit code %lld (%s)%s%s",
                                  name, (long long)e->exit_code, e->reason ? e->reason : "",
                                  *said ? ": " : "", said)
                : NULL;
}

static int clip_list(struct ak_string_list *list, struct ak_arena *arena)
{
    const char **items = ak_arena_alloc(arena, (AK_TOOL_CHANGES_MAX + 1) * sizeof(*items));
    size_t n = AK_MIN(list->len, (size_t)AK_TOOL_CHANGES_MAX);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        items[i] = cut(arena, list->items[i]);
        if (!items[i])
            return -ENOMEM;
    }
    *list = (struct ak_string_list){.items = items, .len = n};
    return 0;
}

/* What our program printed; a text that is something else is no outcome. */
static int read_outcome(const struct ak_pod *pod, struct ak_arena *arena,
                        struct ak_tool_pod_view *v)
{
    const struct ak_container_ended *e = ended_of(&pod->status->containers, AK_TOOL_BASTION);
    AK_AUTO_JSON *tree = NULL;
    if (!e || ak_is_empty(e->message))
        return 0;
    int r = ak_json_parse(e->message, strlen(e->message), &tree, NULL);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || !json_is_object(tree))
        return 0;
    r = ak_decode(&outcome_type, tree, &v->outcome, arena, NULL);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    v->has_outcome = true;
    r = clip_list(&v->outcome.changed, arena);
    if (r >= 0)
        r = clip_list(&v->outcome.unenforceable, arena);
    if (r >= 0 && v->outcome.message) {
        v->outcome.message = cut(arena, v->outcome.message);
        r = v->outcome.message ? 0 : -ENOMEM;
    }
    return r;
}

static int describe(const struct ak_pod *pod, struct ak_arena *arena, struct ak_tool_pod_view *v)
{
    bool oom = false;
    bool succeeded = ak_streq(pod->status->phase, "Succeeded");
    if (succeeded || ak_streq(pod->status->phase, "Failed")) {
        v->state = AK_TOOL_POD_ENDED;
        v->failed = !succeeded;
        v->message = succeeded ? NULL : ending_text(pod, arena);
        return v->failed && !v->message ? -ENOMEM : read_outcome(pod, arena, v);
    }
    if (is_condition(pod, "Ready")) {
        v->state = AK_TOOL_POD_READY;
        return 0;
    }
    v->state = AK_TOOL_POD_LIVING;
    v->message = starting_text(pod, arena, &oom);
    return oom ? -ENOMEM : 0;
}

/* Pods that have no owner on purpose, and those of Jobs, say whose they are. */
static enum ak_tool_pod_state standing_of(const struct ak_meta *pod, const struct ak_meta *tool)
{
    const struct ak_owner_ref *owner = ak_meta_controller(pod);
    const char *uid = ak_string_map_get(&pod->annotations, AK_TOOL_POD_UID);
    bool is_tools = owner && ak_streq(owner->kind, "Tool") && ak_streq(owner->name, tool->name);
    if (owner ? ak_streq(owner->uid, tool->uid) : ak_streq(uid, tool->uid))
        return AK_TOOL_POD_ABSENT; /* that is: not foreign */
    if (owner && ak_streq(owner->kind, "Job") && ak_streq(uid, tool->uid))
        return AK_TOOL_POD_ABSENT;
    return is_tools || (!owner && uid) ? AK_TOOL_POD_FORMER : AK_TOOL_POD_FOREIGN;
}

int ak_tool_pod_view_make(const struct ak_object *object, const struct ak_meta *tool,
                          struct ak_arena *arena, struct ak_tool_pod_view *ret,
                          struct ak_error **reterr)
{
    struct ak_tool_pod_view v = {.state = AK_TOOL_POD_ABSENT, .pod = object};
    if (object) {
        const struct ak_meta *meta = ak_object_meta(object);
        v.uid = meta->uid;
        v.created = meta->created;
        v.hash = ak_string_map_get(&meta->annotations, AK_ANNOTATION_POD_HASH);
        v.build = ak_string_map_get(&meta->annotations, AK_TOOL_POD_BUILD);
        v.role = ak_string_map_get(&meta->annotations, AK_TOOL_POD_ROLE);
        v.state = standing_of(meta, tool);
        if (v.state == AK_TOOL_POD_ABSENT && meta->deleting)
            v.state = AK_TOOL_POD_STOPPING;
        else if (v.state == AK_TOOL_POD_ABSENT && describe(ak_object_body(object), arena, &v) < 0)
            return ak_error_oom(reterr);
    }
    *ret = v;
    return 0;
}
