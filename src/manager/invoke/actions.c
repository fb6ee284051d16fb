/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>

#include "manager/invoke/call.h"

#define WAITED_TOO_LONG AK_SECONDS(20)
#define MAX_PATH 20000 /* three selectors, escaped */

struct ak_invoke_action {
    int (*run)(struct ak_invoke_call *call);
    enum ak_invoke_outcome outcome;
};

/* ---- objects */

static int add_text_parameter(struct ak_buf *path, const char *name, const char *value)
{
    int r = value ? ak_buf_addf(path, "%c%s=", strchr(path->data, '?') ? '&' : '?', name) : 0;

    return value && r >= 0 ? ak_buf_add_url_escaped(path, value) : r;
}

static int keep_path(struct ak_invoke_call *call, const struct ak_buf *path)
{
    call->upstream_path = ak_arena_strdup(&call->arena, ak_buf_text(path));
    return call->upstream_path ? 0 : ak_error_oom(&call->err);
}

static int pass_objects(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    int r = ak_resource_path(q->resource, q->ns, q->name, NULL, &path);

    if (r >= 0 && q->route->verb == AK_INVOKE_LIST_OBJECTS && q->limit)
        r = ak_buf_addf(&path, "?limit=%lld", (long long)q->limit);
    if (r >= 0)
        r = add_text_parameter(&path, "labelSelector", q->label_selector);
    if (r >= 0)
        r = add_text_parameter(&path, "fieldSelector", q->field_selector);
    if (r >= 0)
        r = add_text_parameter(&path, "continue", q->continue_);
    return r < 0 ? ak_error_set(&call->err, r, "the path of the objects") : keep_path(call, &path);
}

/* ---- runs */

/* Prompts and answers of others are for those who may read logs. 1: shown. */
static int may_read(struct ak_invoke_call *call, const json_t *record)
{
    const struct ak_access_question question = {
        .verb = "get",
        .resource = call->request.resource->plural,
        .sub = "log",
        .ns = call->request.ns,
        .name = call->request.name,
    };

    if (!json_object_get(record, "prompt") && !json_object_get(record, "result"))
        return 1;
    if (ak_streq(ak_json_text(record, "requestedBy", NULL), call->who->name))
        return 1;
    return ak_accesses_ask(call->invoke->accesses, call->who, &question, &call->gone, &call->err);
}

static int hide(struct ak_invoke_call *call, json_t *record)
{
    int r = may_read(call, record);

    if (r == 0) {
        (void)json_object_del(record, "prompt");
        (void)json_object_del(record, "result");
    }
    return r < 0 ? r : 0;
}

static int answer_tree(struct ak_invoke_call *call, int status, const json_t *tree)
{
    call->status = status;
    return ak_json_write(tree, &call->body, &call->err);
}

static int answer_record(struct ak_invoke_call *call, int status, json_t *record)
{
    const char *id = ak_json_text(record, "id", NULL);

    call->run_id = id ? ak_arena_strdup(&call->arena, id) : NULL;
    int r = hide(call, record);
    return r < 0 ? r : answer_tree(call, status, record);
}

static int start_run(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    const struct ak_run_request request = {
        .ns = q->ns,
        .agent = q->name,
        .prompt = q->prompt,
        .idempotency_key = call->idempotency_key,
        .requested_by = call->who->name,
        .timeout = AK_SECONDS(q->timeout_seconds),
        .hold = AK_SECONDS(q->hold),
        .cancel = &call->gone,
    };
    AK_AUTO_JSON *record = NULL;
    bool created = false;

    int r = ak_runs_start_run(call->invoke->options.runs, &request, &record, &created, &call->err);
    return r < 0 ? r : answer_record(call, created ? 201 : 200, record);
}

static int cancel_run(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO_JSON *record = NULL;

    int r = ak_runs_cancel_run(call->invoke->options.runs, q->ns, q->name, q->id, call->who->name,
                               &record, &call->err);
    return r < 0 ? r : answer_record(call, 200, record);
}

static int find_run(struct ak_invoke_call *call, json_t **ret)
{
    const struct ak_invoke_request *q = &call->request;

    call->run_id = q->id;
    return ak_runs_get(call->invoke->options.runs, q->ns, q->name, q->id, ret, &call->err);
}

static int get_run(struct ak_invoke_call *call)
{
    AK_AUTO_JSON *record = NULL;
    int r = find_run(call, &record);

    return r < 0 ? r : answer_record(call, 200, record);
}

static int list_runs(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    size_t limit = q->limit ? (size_t)q->limit : AK_INVOKE_MAX_PAGE;
    AK_AUTO_JSON *records = NULL;
    AK_AUTO_JSON *list = NULL;

    int r = ak_runs_list(call->invoke->options.runs, q->ns, q->name, &records, &call->err);
    while (r >= 0 && json_array_size(records) > limit)
        r = json_array_remove(records, json_array_size(records) - 1) < 0 ? -ENOMEM : 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(records); i++)
        r = hide(call, json_array_get(records, i));
    if (r < 0)
        return r;
    list = json_pack("{s:O}", "items", records);
    return list ? answer_tree(call, 200, list) : ak_error_oom(&call->err);
}

/* ---- events and logs */

static bool is_final(const char *phase)
{
    static const char *const going_on[] = {"Pending", "Queued", "Running"};

    for (size_t i = 0; i < AK_ARRAY_LEN(going_on); i++)
        if (ak_streq(phase, going_on[i]))
            return false;
    return true;
}

/* There is no pod that has it: what is said depends on whether one will. */
static int no_pod(struct ak_invoke_call *call, const json_t *record)
{
    const char *phase = ak_json_text(record, "phase", NULL);

    if (!is_final(phase))
        return ak_invoke_error_later(&call->err, 503, AK_SECONDS(1),
                                     "run \"%s\" is %s and its pod does not answer yet",
                                     call->request.id, phase);
    return ak_invoke_error(
        &call->err, 410,
        "run \"%s\" is over (%s), and the agent has no pod now: what is kept of it is its "
        "record (the same path without the last part); events and logs lie in the workspace and "
        "can be read again while the agent has a pod",
        call->request.id, phase ? phase : "unknown");
}

static int find_target(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO_JSON *record = NULL;
    int r = find_run(call, &record); /* a keeper that was restarted is found out here */

    if (r < 0)
        return r;
    const json_t *newest = json_object_get(record, "lastEvent");
    call->last_event = json_is_integer(newest) ? json_integer_value(newest) : -1;
    call->follows = q->follow && !is_final(ak_json_text(record, "phase", NULL));
    r = ak_runs_target(call->invoke->options.runs, q->ns, q->name, &call->target, &call->err);
    return r < 0 && ak_invoke_status_of(call->err, r) == 503 ? no_pod(call, record) : r;
}

/* An event's number, from the header or the parameter. Negative: from the beginning. */
static int64_t first_event(const struct ak_invoke_call *call)
{
    int64_t after = -1;

    if (call->request.after >= 0)
        return call->request.after;
    if (call->last_event_id && ak_parse_i64(call->last_event_id, &after) < 0)
        return -1;
    return after;
}

static int follow_events(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    int64_t after = call->after = first_event(call);
    int r = find_target(call);

    if (r < 0)
        return r;
    r = ak_buf_addf(&path, "/v1/runs/%s/events?follow=%s", q->id, q->follow ? "true" : "false");
    if (r >= 0 && after >= 0)
        r = ak_buf_addf(&path, "&after=%lld", (long long)after);
    return r < 0 ? ak_error_oom(&call->err) : keep_path(call, &path);
}

static int read_logs(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    int r = find_target(call);

    if (r < 0)
        return r;
    r = ak_buf_addf(&path, "/v1/runs/%s/logs?follow=%s", q->id, q->follow ? "true" : "false");
    if (r >= 0 && q->tail >= 0)
        r = ak_buf_addf(&path, "&tail=%lld", (long long)q->tail);
    return r < 0 ? ak_error_oom(&call->err) : keep_path(call, &path);
}

/* ---- pause and resume */

static int set_paused(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO_JSON *patch =
        json_pack("{s:{s:b}}", "spec", "paused", q->route->verb == AK_INVOKE_PAUSE);
    AK_AUTO_JSON *agent = NULL;

    if (!patch)
        return ak_error_oom(&call->err);
    int r = ak_client_merge_patch(call->invoke->options.client, q->resource, q->ns, q->name, NULL,
                                  patch, AK_INVOKE_MANAGER, &agent, &call->err);
    return r < 0 ? ak_invoke_error_of_server(&call->err, r) : answer_tree(call, 200, agent);
}

static const struct ak_invoke_action actions[AK_INVOKE_VERB_MAX] = {
    [AK_INVOKE_LIST_OBJECTS] = {pass_objects, AK_OUTCOME_OBJECTS},
    [AK_INVOKE_GET_OBJECT] = {pass_objects, AK_OUTCOME_OBJECTS},
    [AK_INVOKE_START_RUN] = {start_run, AK_OUTCOME_ANSWER},
    [AK_INVOKE_LIST_RUNS] = {list_runs, AK_OUTCOME_ANSWER},
    [AK_INVOKE_GET_RUN] = {get_run, AK_OUTCOME_ANSWER},
    [AK_INVOKE_CANCEL_RUN] = {cancel_run, AK_OUTCOME_ANSWER},
    [AK_INVOKE_FOLLOW_EVENTS] = {follow_events, AK_OUTCOME_STREAM},
    [AK_INVOKE_READ_LOGS] = {read_logs, AK_OUTCOME_STREAM},
    [AK_INVOKE_OPERATE] = {ak_invoke_operate, AK_OUTCOME_OPERATE},
    [AK_INVOKE_SELF_OPERATE] = {ak_invoke_operate, AK_OUTCOME_OPERATE},
    [AK_INVOKE_EXEC] = {ak_invoke_open_session, AK_OUTCOME_UPGRADE},
    [AK_INVOKE_FORWARD] = {ak_invoke_open_session, AK_OUTCOME_UPGRADE},
    [AK_INVOKE_SESSIONS] = {ak_invoke_list_sessions, AK_OUTCOME_ANSWER},
    [AK_INVOKE_KILL] = {ak_invoke_kill_session, AK_OUTCOME_ANSWER},
    [AK_INVOKE_PROBE] = {ak_invoke_probe, AK_OUTCOME_ANSWER},
    [AK_INVOKE_EXPLAIN] = {ak_invoke_explain, AK_OUTCOME_ANSWER},
    [AK_INVOKE_APPROVALS] = {ak_invoke_approvals, AK_OUTCOME_ANSWER},
    [AK_INVOKE_APPROVE] = {ak_invoke_decide, AK_OUTCOME_ANSWER},
    [AK_INVOKE_DENY] = {ak_invoke_decide, AK_OUTCOME_ANSWER},
    [AK_INVOKE_RECORDINGS] = {ak_invoke_recordings, AK_OUTCOME_ANSWER},
    [AK_INVOKE_RECORDING] = {ak_invoke_recording, AK_OUTCOME_ANSWER},
    [AK_INVOKE_SELF_TOOLS] = {ak_invoke_self_tools, AK_OUTCOME_ANSWER},
    [AK_INVOKE_PAUSE] = {set_paused, AK_OUTCOME_ANSWER},
    [AK_INVOKE_RESUME] = {set_paused, AK_OUTCOME_ANSWER},
};

/* ---- on a thread */

static int check_access(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;

    if (!q->route->access_verb) /* whose pod it is decides, not what its ServiceAccount may */
        return ak_invoke_find_self(call);
    const struct ak_access_question question = {
        .verb = q->route->access_verb,
        .resource = q->resource->plural,
        .sub = q->tty ? "connect" : q->route->access_sub,
        .ns = q->ns,
        .name = q->name,
    };
    int r = ak_accesses_ask(call->invoke->accesses, call->who, &question, &call->gone, &call->err);

    return r == 0 ? ak_access_denied(call->who, &question, &call->err) : r;
}

static int act(struct ak_invoke_call *call)
{
    const struct ak_invoke_action *action = &actions[call->request.route->verb];

    if (ak_now() - call->put > WAITED_TOO_LONG)
        return ak_invoke_error_later(&call->err, 503, AK_SECONDS(1), "this replica is too busy");
    int r = check_access(call);
    if (r < 0)
        return r;
    if (call->to_leader) {
        call->outcome = AK_OUTCOME_FORWARD;
        return 0;
    }
    r = action->run(call);
    if (r >= 0)
        call->outcome = action->outcome;
    return r;
}

void ak_invoke_act(struct ak_pool_item *item)
{
    struct ak_invoke_call *call = AK_CONTAINER_OF(item, struct ak_invoke_call, item);

    call->result = act(call);
    if (call->result < 0 && ak_invoke_is_use(call->request.route->verb))
        ak_invoke_use_refused(call);
    ak_invoke_hand_back(call);
}

/* ---- on the loop */

static int add_groups(json_t *tree, const struct ak_identity *who)
{
    AK_AUTO_JSON *groups = json_array();

    for (size_t i = 0; groups && i < who->groups.len; i++)
        if (json_array_append_new(groups, json_string(who->groups.items[i])) < 0)
            return -ENOMEM;
    return groups ? json_object_set(tree, "groups", groups) : -ENOMEM;
}

static int whoami(struct ak_invoke_call *call)
{
    const struct ak_invoke_options *o = &call->invoke->options;
    const struct ak_identity *who = call->who;
    bool leading = !o->is_leading || o->is_leading(o->user);
    AK_AUTO_JSON *tree = json_pack("{s:s, s:s, s:b}", "username", who->name, "version", AK_VERSION,
                                   "leading", leading);
    AK_AUTO_JSON *extra = NULL;
    int r = tree ? add_groups(tree, who) : -ENOMEM;

    if (r >= 0 && *who->uid)
        r = json_object_set_new(tree, "uid", json_string(who->uid));
    if (r >= 0 && who->extra)
        r = ak_json_parse(who->extra, strlen(who->extra), &extra, &call->err);
    if (r >= 0 && extra)
        r = json_object_set(tree, "extra", extra);
    return r < 0 ? ak_error_oom(&call->err) : answer_tree(call, 200, tree);
}

bool ak_invoke_act_here(struct ak_invoke_call *call)
{
    switch (call->request.route->verb) {
    case AK_INVOKE_WHOAMI:
        call->result = whoami(call);
        return true;
    case AK_INVOKE_OPENAPI:
        call->status = 200;
        call->result = ak_buf_add(&call->body, ak_invoke_openapi, ak_invoke_openapi_len);
        return true;
    default:
        return false;
    }
}
