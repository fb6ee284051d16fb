/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codex exec --json: {"type": "thread.started" | "turn.started" | "item.started" | "item.completed" |
 * "turn.completed" | "turn.failed" | "error"}. A run has one turn. Its usage counts input that came from the
 * cache among the input.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "runtimes/reader_internal.h"

static void read_command(struct ak_reading *r, json_t *item, bool completed)
{
    const char *id = ak_json_text(item, "id", NULL);
    if (!completed) {
        AK_AUTO_JSON *input = json_pack("{s:O?}", "command", json_object_get(item, "command"));
        ak_reading_tool_call(r, "shell", id, input);
        return;
    }
    json_t *code = json_object_get(item, "exit_code");
    ak_reading_tool_result(r, id, json_object_get(item, "aggregated_output"),
                           json_is_integer(code) && json_integer_value(code) != 0);
}

static void read_mcp_call(struct ak_reading *r, json_t *item, bool completed)
{
    const char *id = ak_json_text(item, "id", NULL);
    json_t *error = json_object_get(item, "error");
    bool failed = error && !json_is_null(error);
    if (!completed) {
        ak_reading_tool_call(r, ak_json_text(item, "tool", NULL), id,
                             json_object_get(item, "arguments"));
        return;
    }
    json_t *content = ak_json_at(item, "result", "content", NULL);
    ak_reading_tool_result(r, id, failed ? error : content,
                           failed || ak_streq(ak_json_text(item, "status", NULL), "failed"));
}

static void read_error_item(struct ak_reading *r, json_t *item, bool completed)
{
    const char *message = ak_json_text(item, "message", NULL);
    if (completed && message)
        ak_reading_notice(r, message);
}

static void read_agent_message(struct ak_reading *r, json_t *item, bool completed)
{
    if (completed)
        ak_reading_text(r, ak_json_text(item, "text", NULL));
    r->known = true;
}

static void read_file_change(struct ak_reading *r, json_t *item, bool completed)
{
    const char *id = ak_json_text(item, "id", NULL);
    AK_AUTO_JSON *input = json_pack("{s:O?}", "changes", json_object_get(item, "changes"));
    if (!completed) {
        r->known = true;
        return;
    }
    ak_reading_tool_call(r, "file_change", id, input);
    ak_reading_tool_result(r, id, json_object_get(item, "status"),
                           ak_streq(ak_json_text(item, "status", NULL), "failed"));
}

static void read_reasoning(struct ak_reading *r, json_t *item, bool completed)
{
    (void)item;
    (void)completed;
    r->known = true;
}

static void read_item(struct ak_reading *r, json_t *line, bool completed)
{
    static const struct {
        const char *type;
        void (*read)(struct ak_reading *, json_t *, bool);
    } types[] = {
        {"agent_message", read_agent_message},
        {"command_execution", read_command},
        {"mcp_tool_call", read_mcp_call},
        {"file_change", read_file_change},
        {"error", read_error_item},
        {"reasoning", read_reasoning},
    };
    json_t *item = json_object_get(line, "item");
    const char *type = ak_json_text(item, "type", NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++)
        if (ak_streq(types[i].type, type))
            types[i].read(r, item, completed);
}

static void read_turn_completed(struct ak_reading *r, json_t *line)
{
    struct ak_usage *usage = &r->reader->usage;
    const json_t *said = json_object_get(line, "usage");
    int64_t input = ak_reading_count(said, "input_tokens");
    int64_t cached = ak_reading_count(said, "cached_input_tokens");
    usage->input_tokens = input < 0 ? -1 : AK_MAX(input - AK_MAX(cached, 0), 0);
    usage->cache_read_tokens = cached;
    usage->cache_write_tokens = ak_reading_count(said, "cache_write_input_tokens");
    usage->output_tokens = ak_reading_count(said, "output_tokens");
    ak_reading_usage(r);
    ak_reading_result(r, NULL, false);
}

static void read_turn_failed(struct ak_reading *r, json_t *line)
{
    const char *message = ak_json_text(line, "error", "message", NULL);
    ak_reading_error(r, message);
    ak_reading_result(r, message, true);
}

/* Also for tries that are repeated; the last one is told again by turn.failed. */
static void read_error(struct ak_reading *r, json_t *line)
{
    const char *message = ak_json_text(line, "message", NULL);
    if (!message)
        return;
    ak_reading_error(r, message);
    ak_reading_notice(r, message);
}

void ak_reader_codex_line(struct ak_reading *r, json_t *line)
{
    const char *type = ak_json_text(line, "type", NULL);
    if (ak_streq(type, "thread.started") || ak_streq(type, "turn.started"))
        r->known = true;
    else if (ak_streq(type, "item.started"))
        read_item(r, line, false);
    else if (ak_streq(type, "item.completed"))
        read_item(r, line, true);
    else if (ak_streq(type, "turn.completed"))
        read_turn_completed(r, line);
    else if (ak_streq(type, "turn.failed"))
        read_turn_failed(r, line);
    else if (ak_streq(type, "error"))
        read_error(r, line);
}
