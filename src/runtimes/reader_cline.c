/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cline --json: {"type": "agent_event", "event": {"type": ...}}, and a run_result at the end. Text comes
 * piece by piece, each piece with all that came before it, and once more whole, which alone is read. Input
 * tokens count what came from or went into the cache.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "runtimes/reader_internal.h"

static bool is_tool(const json_t *event)
{
    return ak_streq(ak_json_text(event, "contentType", NULL), "tool");
}

static void read_content_start(struct ak_reading *r, json_t *event)
{
    r->known = true;
    if (is_tool(event))
        ak_reading_tool_call(r, ak_json_text(event, "toolName", NULL),
                             ak_json_text(event, "toolCallId", NULL),
                             json_object_get(event, "input"));
}

/* A tool's output is {"content": [parts], "isError"} from an MCP server, a list of {"result", "success"} from
 * its own, a text, or missing beside an "error". */
static void read_tool_end(struct ak_reading *r, json_t *event)
{
    json_t *output = json_object_get(event, "output"), *error = json_object_get(event, "error");
    json_t *content = json_object_get(output, "content"), *one;
    bool is_error = json_is_true(json_object_get(output, "isError")) || json_is_string(error);
    size_t i;
    json_array_foreach(output, i, one)
    {
        if (json_is_false(json_object_get(one, "success")))
            is_error = true;
    }
    if (json_array_size(output) == 1 &&
        json_is_string(json_object_get(json_array_get(output, 0), "result")))
        content = json_object_get(json_array_get(output, 0), "result");
    ak_reading_tool_result(r, ak_json_text(event, "toolCallId", NULL),
                           content  ? content
                           : output ? output
                                    : error,
                           is_error);
}

static void read_content_end(struct ak_reading *r, json_t *event)
{
    r->known = true;
    if (is_tool(event))
        read_tool_end(r, event);
    else if (ak_streq(ak_json_text(event, "contentType", NULL), "text"))
        ak_reading_text(r, ak_json_text(event, "text", NULL));
}

static void read_usage(struct ak_reading *r, const json_t *said, const char *const keys[5])
{
    struct ak_usage *usage = &r->reader->usage;
    int64_t cost, input = ak_reading_count(said, keys[0]);
    usage->output_tokens = ak_reading_count(said, keys[1]);
    usage->cache_read_tokens = ak_reading_count(said, keys[2]);
    usage->cache_write_tokens = ak_reading_count(said, keys[3]);
    cost = ak_reading_microusd(said, keys[4]);
    usage->cost_microusd = cost > 0 ? cost : -1; /* 0: a model whose price it does not know */
    usage->input_tokens = input < 0 ? -1
                                    : AK_MAX(input - AK_MAX(usage->cache_read_tokens, 0) -
                                                 AK_MAX(usage->cache_write_tokens, 0),
                                             0);
    ak_reading_usage(r);
}

static void read_totals(struct ak_reading *r, json_t *event)
{
    static const char *const keys[5] = {"totalInputTokens", "totalOutputTokens",
                                        "totalCacheReadTokens", "totalCacheWriteTokens",
                                        "totalCost"};
    read_usage(r, event, keys);
}

static void read_event_error(struct ak_reading *r, json_t *event)
{
    const char *message = ak_json_text(event, "error", "message", NULL);
    if (!message)
        return;
    ak_reading_error(r, message);
    ak_reading_notice(r, message);
}

static void read_nothing(struct ak_reading *r, json_t *event)
{
    (void)event;
    r->known = true;
}

static void read_agent_event(struct ak_reading *r, json_t *line)
{
    static const struct {
        const char *type;
        void (*read)(struct ak_reading *, json_t *);
    } types[] = {
        {"content_start", read_content_start}, {"content_update", read_nothing},
        {"content_end", read_content_end},     {"usage", read_totals},
        {"error", read_event_error},           {"iteration_start", read_nothing},
        {"iteration_end", read_nothing},       {"done", read_nothing},
    };
    json_t *event = json_object_get(line, "event");
    const char *type = ak_json_text(event, "type", NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++)
        if (ak_streq(types[i].type, type))
            types[i].read(r, event);
}

static void read_run_result(struct ak_reading *r, json_t *line)
{
    static const char *const keys[5] = {"inputTokens", "outputTokens", "cacheReadTokens",
                                        "cacheWriteTokens", "totalCost"};
    const json_t *all = json_object_get(line, "aggregateUsage");
    const char *reason = ak_json_text(line, "finishReason", NULL);
    const char *text = ak_json_text(line, "text", NULL);
    bool is_error = !ak_streq(reason, "completed");
    r->reader->usage.turns = ak_reading_count(line, "iterations");
    read_usage(r, all ? all : json_object_get(line, "usage"), keys);
    if (is_error)
        ak_reading_error(r, ak_is_empty(text) ? reason : text);
    ak_reading_result(r, text, is_error);
}

/* It exits with 0 then: the reader has to know. */
static void read_aborted(struct ak_reading *r, json_t *line)
{
    const char *message = ak_json_text(line, "message", NULL);
    ak_reading_error(r, message ? message : "aborted");
    ak_reading_result(r, NULL, true);
}

static void read_error(struct ak_reading *r, json_t *line)
{
    const char *message = ak_json_text(line, "message", NULL);
    if (!message)
        return;
    ak_reading_error(r, message);
    ak_reading_notice(r, message);
}

void ak_reader_cline_line(struct ak_reading *r, json_t *line)
{
    static const struct {
        const char *type;
        void (*read)(struct ak_reading *, json_t *);
    } types[] = {
        {"agent_event", read_agent_event},
        {"hook_event", read_nothing},
        {"run_result", read_run_result},
        {"run_aborted", read_aborted},
        {"error", read_error},
    };
    const char *type = ak_json_text(line, "type", NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++)
        if (ak_streq(types[i].type, type))
            types[i].read(r, line);
}
