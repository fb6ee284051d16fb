/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/request.h"

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_STEP_TEXT 16384
#define MAX_REQUESTER 1024
#define MAX_RETRIES 10
#define MAX_STEP_SECONDS 604800

struct place {
    char text[96]; /* "steps[2]." */
};

static int wrong(struct ak_error **reterr, const struct place *at, const char *name,
                 const char *what)
{
    return ak_error_set(reterr, -EINVAL, "%s%s: %s", at->text, name, what);
}

static int check_members(const json_t *object, const char *const *known, const struct place *at,
                         struct ak_error **reterr)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t i = 0;

        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i])
            return ak_error_set(reterr, -EINVAL, "%s\"%.64s\": is not known", at->text, key);
    }
    return 0;
}

/* Absent and null leave *ret as it is. */
static int take_text(const json_t *object, const char *name, size_t max, const struct place *at,
                     struct ak_arena *arena, const char **ret, struct ak_error **reterr)
{
    const json_t *value = json_object_get(object, name);
    const char *copy = NULL;

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return wrong(reterr, at, name, "must be a string");
    if (json_string_length(value) == 0)
        return wrong(reterr, at, name, "must not be empty");
    if (json_string_length(value) > max)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "%s%s: must not be longer than %zu bytes",
                            at->text, name, max);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return wrong(reterr, at, name, "must not contain a NUL character");
    copy = ak_arena_strdup(arena, json_string_value(value));
    if (!copy)
        return ak_error_oom(reterr);
    *ret = copy;
    return 0;
}

static int take_number(const json_t *object, const char *name, int64_t min, int64_t max,
                       const struct place *at, int64_t *ret, struct ak_error **reterr)
{
    const json_t *value = json_object_get(object, name);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max)
        return ak_error_set(reterr, -EINVAL, "%s%s: must be a whole number, %d-%d", at->text, name,
                            (int)min, (int)max);
    *ret = json_integer_value(value);
    return 0;
}

/* ---- steps ---- */

/* An object, or text that is one. */
static int take_arguments(const json_t *tool, const struct place *at, struct ak_arena *arena,
                          const char **ret, struct ak_error **reterr)
{
    const json_t *value = json_object_get(tool, "arguments");
    AK_AUTO_JSON *parsed = NULL;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_STEP_TEXT);
    int r = 0;

    if (!value || json_is_null(value)) {
        *ret = "{}";
        return 0;
    }
    if (json_is_string(value)) {
        r = ak_json_parse(json_string_value(value), json_string_length(value), &parsed, NULL);
        if (r == -ENOMEM)
            return ak_error_oom(reterr);
        value = parsed;
    }
    if (!json_is_object(value))
        return wrong(reterr, at, "tool.arguments", "must be a JSON object");
    r = ak_json_write(value, &text, NULL);
    if (r == AK_E_TOO_LARGE)
        return ak_error_set(reterr, r, "%stool.arguments: must not be longer than %d bytes",
                            at->text, MAX_STEP_TEXT);
    *ret = r < 0 ? NULL : ak_arena_strdup(arena, ak_buf_text(&text));
    return *ret ? 0 : ak_error_oom(reterr);
}

static int take_tool(const json_t *step, const struct place *at, struct ak_arena *arena,
                     struct ak_step *ret, struct ak_error **reterr)
{
    static const char *const known[] = {"name", "arguments", NULL};
    const json_t *tool = json_object_get(step, "tool");
    struct place within;
    int r = 0;

    if (!json_is_object(tool))
        return wrong(reterr, at, "tool", "must be an object");
    (void)snprintf(within.text, sizeof(within.text), "%.80stool.", at->text);
    r = check_members(tool, known, &within, reterr);
    if (r >= 0)
        r = take_text(tool, "name", 128, &within, arena, &ret->text, reterr);
    if (r >= 0 && !ret->text)
        return wrong(reterr, &within, "name", "is required");
    return r < 0 ? r : take_arguments(tool, at, arena, &ret->arguments, reterr);
}

static int take_action(const json_t *step, const struct place *at, struct ak_arena *arena,
                       struct ak_step *ret, struct ak_error **reterr)
{
    static const struct {
        const char *name;
        enum ak_step_kind kind;
    } kinds[] = {{"prompt", AK_STEP_PROMPT}, {"run", AK_STEP_RUN}, {"tool", AK_STEP_TOOL}};
    const char *name = NULL;

    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++) {
        const json_t *value = json_object_get(step, kinds[i].name);

        if (!value || json_is_null(value))
            continue;
        if (name)
            return wrong(reterr, at, kinds[i].name, "a step has one of prompt, run and tool");
        name = kinds[i].name;
        ret->kind = kinds[i].kind;
    }
    if (!name)
        return wrong(reterr, at, "prompt", "a step needs one of prompt, run and tool");
    if (ret->kind == AK_STEP_TOOL)
        return take_tool(step, at, arena, ret, reterr);
    return take_text(step, name, MAX_STEP_TEXT, at, arena, &ret->text, reterr);
}

static int take_limits(const json_t *step, const struct place *at, struct ak_step *ret,
                       struct ak_error **reterr)
{
    const json_t *go_on = json_object_get(step, "continueOnError");
    int64_t seconds = -1, retries = 0;
    int r = take_number(step, "timeoutSeconds", 1, MAX_STEP_SECONDS, at, &seconds, reterr);

    if (r >= 0)
        r = take_number(step, "retries", 0, MAX_RETRIES, at, &retries, reterr);
    if (r < 0)
        return r;
    if (go_on && !json_is_boolean(go_on) && !json_is_null(go_on))
        return wrong(reterr, at, "continueOnError", "must be true or false");
    ret->timeout = seconds < 0 ? AK_MSEC_NEVER : AK_SECONDS(seconds);
    ret->retries = (unsigned)retries;
    ret->continue_on_error = json_is_true(go_on);
    return 0;
}

static int take_step(const json_t *step, size_t index, struct ak_arena *arena, struct ak_step *ret,
                     struct ak_error **reterr)
{
    static const char *const known[] = {
        "name", "prompt", "run", "tool", "timeoutSeconds", "retries", "continueOnError", NULL};
    struct place at;
    int r = 0;

    (void)snprintf(at.text, sizeof(at.text), "steps[%zu]", index);
    if (!json_is_object(step))
        return wrong(reterr, &at, "", "must be an object");
    (void)snprintf(at.text, sizeof(at.text), "steps[%zu].", index);
    r = check_members(step, known, &at, reterr);
    if (r >= 0)
        r = take_text(step, "name", 63, &at, arena, &ret->name, reterr);
    if (r >= 0 && (!ret->name || !ak_is_dns_label(ret->name)))
        return wrong(reterr, &at, "name", "must be a DNS label");
    if (r >= 0)
        r = take_action(step, &at, arena, ret, reterr);
    return r < 0 ? r : take_limits(step, &at, ret, reterr);
}

static int take_steps(const json_t *root, struct ak_arena *arena, struct ak_request *ret,
                      struct ak_error **reterr)
{
    const json_t *list = json_object_get(root, "steps");
    struct ak_step *steps = NULL;
    size_t n = json_array_size(list);
    int r = 0;

    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || n == 0 || n > AK_REQUEST_MAX_STEPS)
        return ak_error_set(reterr, -EINVAL, "steps: must be a list of 1-%d steps",
                            AK_REQUEST_MAX_STEPS);
    steps = ak_arena_alloc(arena, n * sizeof(*steps));
    if (!steps)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < n && r >= 0; i++) {
        r = take_step(json_array_get(list, i), i, arena, &steps[i], reterr);
        for (size_t k = 0; k < i && r >= 0; k++)
            if (strcmp(steps[k].name, steps[i].name) == 0)
                r = ak_error_set(reterr, -EINVAL, "steps[%zu].name: there is another \"%s\"", i,
                                 steps[i].name);
    }
    ret->steps = steps;
    ret->n_steps = n;
    return r;
}

/* ---- the rest ---- */

static int take_trigger(const json_t *root, const struct place *at, struct ak_arena *arena,
                        struct ak_request *ret, struct ak_error **reterr)
{
    const char *trigger = "Invocation";
    ak_msec time = 0;
    int r = take_text(root, "trigger", 32, at, arena, &trigger, reterr);

    if (r < 0)
        return r;
    ret->is_scheduled = strcmp(trigger, "Schedule") == 0;
    if (!ret->is_scheduled && strcmp(trigger, "Invocation") != 0)
        return wrong(reterr, at, "trigger", "must be Invocation or Schedule");
    r = take_text(root, "requestedBy", MAX_REQUESTER, at, arena, &ret->requested_by, reterr);
    if (r >= 0)
        r = take_text(root, "scheduledTime", 64, at, arena, &ret->scheduled_time, reterr);
    if (r >= 0 && ret->scheduled_time && ak_parse_rfc3339(ret->scheduled_time, &time) < 0)
        return wrong(reterr, at, "scheduledTime", "must be a time as in RFC 3339");
    return r;
}

static int take_request(const json_t *root, struct ak_arena *arena, struct ak_request *ret,
                        struct ak_error **reterr)
{
    static const char *const known[] = {
        "prompt", "steps", "timeoutSeconds", "trigger", "requestedBy", "scheduledTime", NULL};
    const struct place top = {""};
    int64_t seconds = AK_REQUEST_TIMEOUT / 1000;
    int r = 0;

    if (!json_is_object(root))
        return ak_error_set(reterr, -EINVAL, "the request must be a JSON object");
    r = check_members(root, known, &top, reterr);
    if (r >= 0)
        r = take_text(root, "prompt", AK_REQUEST_MAX_PROMPT, &top, arena, &ret->prompt, reterr);
    if (r >= 0)
        r = take_number(root, "timeoutSeconds", 1, AK_REQUEST_MAX_TIMEOUT / 1000, &top, &seconds,
                        reterr);
    ret->timeout = AK_SECONDS(seconds);
    if (r >= 0)
        r = take_trigger(root, &top, arena, ret, reterr);
    return r < 0 ? r : take_steps(root, arena, ret, reterr);
}

int ak_request_parse(const char *body, size_t len, struct ak_arena *arena, struct ak_request *ret,
                     struct ak_error **reterr)
{
    AK_AUTO_JSON *root = NULL;
    struct ak_request request = {0};
    int r = 0;

    if (len > AK_REQUEST_MAX)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the request is larger than %u bytes",
                            AK_REQUEST_MAX);
    r = ak_json_parse(body, len, &root, reterr);
    if (r == AK_E_INVALID)
        return ak_error_set(reterr, -EINVAL, "the request is not JSON");
    if (r >= 0)
        r = take_request(root, arena, &request, reterr);
    if (r >= 0)
        *ret = request;
    return r;
}
