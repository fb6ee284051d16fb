/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opencode run --format json: {"type": "step_start" | "text" | "tool_use" | "step_finish" | "error", "part": ...}.
 * A step is one model call; the last one finishes with another reason than "tool-calls". Tokens are given
 * per step, input without what came from the cache.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "runtimes/reader_internal.h"

static void read_tool(struct ak_reading *r, json_t *line)
{
    json_t *part = json_object_get(line, "part"), *state = json_object_get(part, "state");
    const char *id = ak_json_text(part, "callID", NULL);
    bool is_error = ak_streq(ak_json_text(state, "status", NULL), "error");
    json_t *exit_code = ak_json_at(state, "metadata", "exit", NULL);
    if (json_is_integer(exit_code) && json_integer_value(exit_code) != 0)
        is_error = true;
    ak_reading_tool_call(r, ak_json_text(part, "tool", NULL), id, json_object_get(state, "input"));
    json_t *output = json_object_get(state, "output");
    ak_reading_tool_result(r, id, output ? output : json_object_get(state, "error"), is_error);
}

static void read_step_start(struct ak_reading *r, json_t *line)
{
    (void)line;
    r->known = true;
    r->reader->has_result = false; /* it was not the last one after all */
}

static void read_step_finish(struct ak_reading *r, json_t *line)
{
    struct ak_usage *usage = &r->reader->usage;
    json_t *part = json_object_get(line, "part"), *tokens = json_object_get(part, "tokens");
    json_t *cache = json_object_get(tokens, "cache");
    const char *reason = ak_json_text(part, "reason", NULL);
    int64_t cost = ak_reading_microusd(part, "cost");
    usage->input_tokens = ak_reading_sum(usage->input_tokens, ak_reading_count(tokens, "input"));
    usage->output_tokens = ak_reading_sum(usage->output_tokens, ak_reading_count(tokens, "output"));
    usage->cache_read_tokens =
        ak_reading_sum(usage->cache_read_tokens, ak_reading_count(cache, "read"));
    usage->cache_write_tokens =
        ak_reading_sum(usage->cache_write_tokens, ak_reading_count(cache, "write"));
    usage->turns = ak_reading_sum(usage->turns, 1);
    if (cost > 0) /* 0: a model whose price it does not know */
        usage->cost_microusd = ak_reading_sum(usage->cost_microusd, cost);
    ak_reading_usage(r);
    if (reason && !ak_streq(reason, "tool-calls"))
        ak_reading_result(r, NULL, ak_streq(reason, "error"));
}

static void read_error(struct ak_reading *r, json_t *line)
{
    const char *message = ak_json_text(line, "error", "data", "message", NULL);
    if (!message)
        message = ak_json_text(line, "error", "name", NULL);
    ak_reading_error(r, message);
    ak_reading_result(r, message ? message : "error", true);
}

static void read_text(struct ak_reading *r, json_t *line)
{
    ak_reading_text(r, ak_json_text(line, "part", "text", NULL));
}

static void read_reasoning(struct ak_reading *r, json_t *line)
{
    (void)line;
    r->known = true;
}

void ak_reader_opencode_line(struct ak_reading *r, json_t *line)
{
    static const struct {
        const char *type;
        void (*read)(struct ak_reading *, json_t *);
    } types[] = {
        {"text", read_text},   {"tool_use", read_tool},           {"step_start", read_step_start},
        {"error", read_error}, {"step_finish", read_step_finish}, {"reasoning", read_reasoning},
    };
    const char *type = ak_json_text(line, "type", NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++)
        if (ak_streq(types[i].type, type))
            types[i].read(r, line);
}
