/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/record.h"

#include "agentlet/runs/lines.h"
#include "agentlet/runs/place.h"

#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <string.h>

#define MAX_FILE (256u << 10) /* 64 steps with messages, and a result whose bytes are all escaped */
#define MAX_STEPS 64
#define PRIVATE "private"

static const char *const phases[AK_RUN_PHASE_MAX] = {
    [AK_RUN_QUEUED] = "Queued",           [AK_RUN_RUNNING] = "Running",
    [AK_RUN_SUCCEEDED] = "Succeeded",     [AK_RUN_FAILED] = "Failed",
    [AK_RUN_CANCELLED] = "Cancelled",     [AK_RUN_TIMED_OUT] = "TimedOut",
    [AK_RUN_INTERRUPTED] = "Interrupted",
};

const char *ak_run_phase_to_string(enum ak_run_phase phase)
{
    return phases[phase];
}

int ak_run_phase_from_string(const char *text, enum ak_run_phase *ret)
{
    for (int i = 0; i < AK_RUN_PHASE_MAX; i++)
        if (ak_streq(phases[i], text)) {
            *ret = (enum ak_run_phase)i;
            return 0;
        }
    return -EINVAL;
}

bool ak_run_phase_is_final(enum ak_run_phase phase)
{
    return phase >= AK_RUN_SUCCEEDED;
}

/* ---- members ---- */

enum kind { TEXT, TIME, NUMBER, FLAG, OBJECT, LIST };

struct member {
    const char *name;
    enum kind kind;
    size_t max; /* bytes of TEXT */
    const struct member *members;
};

static const struct member usage_members[] = {
    {"inputTokens", NUMBER},
    {"outputTokens", NUMBER},
    {"cacheReadTokens", NUMBER},
    {"cacheWriteTokens", NUMBER},
    {"turns", NUMBER},
    {"costUSD", TEXT, 32},
    {NULL},
};
static const struct member step_members[] = {
    {"name", TEXT, 63},
    {"phase", TEXT, 32},
    {"attempts", NUMBER},
    {"exitCode", NUMBER},
    {"message", TEXT, AK_RECORD_MAX_MESSAGE},
    {"durationMilliseconds", NUMBER},
    {NULL},
};
static const struct member agent_members[] = {{"namespace", TEXT, 63}, {"name", TEXT, 253}, {NULL}};
static const struct member record_members[] = {
    {"id", TEXT, AK_RUN_ID_MAX},
    {"phase", TEXT, 32},
    {"trigger", TEXT, 32},
    {"requestedBy", TEXT, 1024},
    {"scheduledTime", TIME},
    {"mode", TEXT, 32},
    {"queuedTime", TIME},
    {"startTime", TIME},
    {"completionTime", TIME},
    {"durationMilliseconds", NUMBER},
    {"exitCode", NUMBER},
    {"reason", TEXT, 64},
    {"message", TEXT, AK_RECORD_MAX_MESSAGE},
    {"result", TEXT, AK_RECORD_MAX_RESULT},
    {"usage", OBJECT, 0, usage_members},
    {"steps", LIST, 0, step_members},
    {"lastEvent", NUMBER},
    {"truncated", FLAG},
    {"agent", OBJECT, 0, agent_members},
    {NULL},
};

static const struct member *find_member(const char *name)
{
    for (const struct member *m = record_members; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

json_t *ak_record_string(const char *text, size_t len, size_t max)
{
    AK_AUTO(ak_buf) quoted = AK_BUF_INIT(MAX_FILE * 4);
    AK_AUTO_JSON *value = NULL;

    len = ak_utf8_cut(text, len, max);
    /* By way of JSON text: there it is replaced. */
    if (ak_buf_add_json_string(&quoted, text, len) < 0 ||
        ak_json_parse(ak_buf_text(&quoted), quoted.len, &value, NULL) < 0)
        return NULL;
    if (json_string_length(value) <= max)
        return AK_TAKE(value);
    return json_stringn(json_string_value(value),
                        ak_utf8_cut(json_string_value(value), json_string_length(value), max));
}

int ak_record_set_text(json_t *record, const char *name, const char *text)
{
    const struct member *member = find_member(name);

    if (ak_is_empty(text)) {
        (void)json_object_del(record, name);
        return 0;
    }
    return json_object_set_new(record, name,
                               ak_record_string(text, strlen(text),
                                                member ? member->max : AK_RECORD_MAX_MESSAGE)) < 0
               ? -ENOMEM
               : 0;
}

int ak_record_set_number(json_t *record, const char *name, int64_t value)
{
    if (value < 0) {
        (void)json_object_del(record, name);
        return 0;
    }
    return json_object_set_new(record, name, json_integer(value)) < 0 ? -ENOMEM : 0;
}

int ak_record_set_time(json_t *record, const char *name, ak_msec wall)
{
    char text[AK_RFC3339_SIZE];

    return json_object_set_new(record, name, json_string(ak_format_rfc3339_micro(wall, text))) < 0
               ? -ENOMEM
               : 0;
}

enum ak_run_phase ak_record_phase(const json_t *record)
{
    enum ak_run_phase phase = AK_RUN_QUEUED;

    (void)!ak_run_phase_from_string(ak_json_text(record, "phase", NULL), &phase);
    return phase;
}

ak_msec ak_record_time(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));
    ak_msec wall = 0;

    return text && ak_parse_rfc3339(text, &wall) == 0 ? wall : 0;
}

/* ---- a new one ---- */

static int add_agent(json_t *record, const char *ns, const char *name)
{
    json_t *agent = NULL;

    if (ak_is_empty(ns) || ak_is_empty(name))
        return 0;
    agent = json_pack("{s:s, s:s}", "namespace", ns, "name", name);
    return json_object_set_new(record, "agent", agent) < 0 ? -ENOMEM : 0;
}

static int add_steps(json_t *record, const struct ak_request *request)
{
    json_t *steps = NULL;

    if (request->n_steps == 0)
        return 0;
    steps = json_array();
    for (size_t i = 0; i < request->n_steps; i++)
        if (json_array_append_new(steps,
                                  json_pack("{s:s, s:s, s:i}", "name", request->steps[i].name,
                                            "phase", "Pending", "attempts", 0)) < 0) {
            json_decref(steps);
            return -ENOMEM;
        }
    return json_object_set_new(record, "steps", steps) < 0 ? -ENOMEM : 0;
}

static int fill(json_t *record, const char *id, const char *mode, const struct ak_request *request,
                ak_msec queued_wall)
{
    int r = ak_record_set_text(record, "id", id);

    if (r >= 0)
        r = ak_record_set_text(record, "phase", phases[AK_RUN_QUEUED]);
    if (r >= 0)
        r = ak_record_set_text(record, "trigger",
                               request->is_scheduled ? "Schedule" : "Invocation");
    if (r >= 0)
        r = ak_record_set_text(record, "requestedBy", request->requested_by);
    if (r >= 0 && request->scheduled_time)
        r = json_object_set_new(record, "scheduledTime", json_string(request->scheduled_time));
    if (r >= 0)
        r = ak_record_set_text(record, "mode", mode);
    if (r >= 0)
        r = ak_record_set_time(record, "queuedTime", queued_wall);
    if (r >= 0)
        r = ak_record_set_number(record, "lastEvent", 0);
    return r < 0 ? -ENOMEM : add_steps(record, request);
}

json_t *ak_record_new(const char *id, const char *mode, const char *agent_namespace,
                      const char *agent_name, const struct ak_request *request, ak_msec queued_wall)
{
    json_t *record = json_object();

    if (!record || fill(record, id, mode, request, queued_wall) < 0 ||
        add_agent(record, agent_namespace, agent_name) < 0) {
        json_decref(record);
        return NULL;
    }
    return record;
}

/* ---- from and to the disk ---- */

int ak_record_save(int dir, const json_t *record, const struct ak_record_private *private,
                   unsigned place_flags)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_FILE);
    AK_AUTO_JSON *copy = json_copy((json_t *)(uintptr_t)record);
    json_t *own = json_pack("{s:I, s:I}", "sequence", (json_int_t) private->sequence, "oomKills",
                            (json_int_t) private->oom_kills);
    int r = 0;

    if (!copy || json_object_set_new(copy, PRIVATE, own) < 0)
        return -ENOMEM;
    r = ak_json_write(copy, &text, NULL);
    if (r < 0)
        return r;
    return ak_place_write(dir, AK_RECORD_FILE, ak_buf_text(&text), text.len, 0600, place_flags);
}

static int copy_members(const json_t *from, const struct member *members, json_t *to);

static json_t *copy_object(const json_t *value, const struct member *members)
{
    json_t *copy = json_object();

    if (copy && copy_members(value, members, copy) < 0) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

static json_t *copy_list(const json_t *value, const struct member *members)
{
    json_t *copy = json_array();

    for (size_t i = 0; copy && i < AK_MIN(json_array_size(value), (size_t)MAX_STEPS); i++)
        if (json_array_append_new(copy, copy_object(json_array_get(value, i), members)) < 0) {
            json_decref(copy);
            return NULL;
        }
    return copy;
}

static bool fits(const json_t *value, const struct member *member)
{
    ak_msec time = 0;

    switch (member->kind) {
    case TEXT:
        return json_is_string(value) && json_string_length(value) > 0 &&
               json_string_length(value) <= member->max;
    case TIME:
        return json_is_string(value) && json_string_length(value) <= 64 &&
               ak_parse_rfc3339(json_string_value(value), &time) == 0;
    case NUMBER:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case FLAG:
        return json_is_boolean(value);
    case OBJECT:
        return json_is_object(value);
    case LIST:
        return json_is_array(value);
    }
    return false;
}

static int copy_members(const json_t *from, const struct member *members, json_t *to)
{
    for (const struct member *m = members; m->name; m++) {
        json_t *value = json_object_get(from, m->name);
        json_t *copy = NULL;

        if (!value || !fits(value, m))
            continue;
        if (m->kind == OBJECT)
            copy = copy_object(value, m->members);
        else if (m->kind == LIST)
            copy = copy_list(value, m->members);
        else
            copy = json_incref(value);
        if (json_object_set_new(to, m->name, copy) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int64_t private_number(const json_t *root, const char *name)
{
    const json_t *value = ak_json_at(root, PRIVATE, name, NULL);

    return json_is_integer(value) ? AK_MAX(json_integer_value(value), 0) : 0;
}

int ak_record_parse(const char *text, size_t len, const char *id, json_t **ret,
                    struct ak_record_private *ret_private)
{
    AK_AUTO_JSON *root = NULL;
    AK_AUTO_JSON *record = json_object();
    enum ak_run_phase phase = AK_RUN_QUEUED;
    int r = record ? ak_json_parse(text, len, &root, NULL) : -ENOMEM;

    if (r >= 0)
        r = copy_members(root, record_members, record);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || !ak_streq(ak_json_text(record, "id", NULL), id) ||
        ak_run_phase_from_string(ak_json_text(record, "phase", NULL), &phase) < 0 ||
        ak_record_time(record, "queuedTime") == 0)
        return -EINVAL;
    ret_private->sequence = (uint64_t)private_number(root, "sequence");
    ret_private->oom_kills = private_number(root, "oomKills");
    *ret = AK_TAKE(record);
    return 0;
}

int ak_record_load(int dir, const char *id, json_t **ret, struct ak_record_private *ret_private)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_FILE);
    int r = ak_place_read(dir, AK_RECORD_FILE, &text);

    return r < 0 ? r : ak_record_parse(ak_buf_text(&text), text.len, id, ret, ret_private);
}

int ak_record_add_prompt(json_t *record, int dir, size_t max)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_REQUEST_MAX);
    AK_AUTO(ak_arena) arena = {0};
    struct ak_request request;
    int r = ak_place_read(dir, AK_REQUEST_FILE, &text);

    ak_arena_init(&arena, 4096, 2 * AK_REQUEST_MAX);
    if (r >= 0)
        r = ak_request_parse(ak_buf_text(&text), text.len, &arena, &request, NULL);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || !request.prompt)
        return 0;
    return json_object_set_new(
        record, "prompt",
        json_stringn(request.prompt, ak_utf8_cut(request.prompt, strlen(request.prompt), max)));
}
