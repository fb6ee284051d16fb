/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claude --output-format stream-json: {"type": "system" | "assistant" | "user" | "result", ...}. Messages
 * have the shape of the Messages API. Cursor prints the same types, and {"type": "tool_call"}.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <string.h>

#include "runtimes/reader_internal.h"

static void read_content(struct ak_reading *r, json_t *part)
{
    const char *type = ak_json_text(part, "type", NULL);
    if (ak_streq(type, "text"))
        ak_reading_text(r, ak_json_text(part, "text", NULL));
    else if (ak_streq(type, "tool_use"))
        ak_reading_tool_call(r, ak_json_text(part, "name", NULL), ak_json_text(part, "id", NULL),
                             json_object_get(part, "input"));
    else if (ak_streq(type, "tool_result"))
        ak_reading_tool_result(r, ak_json_text(part, "tool_use_id", NULL),
                               json_object_get(part, "content"),
                               json_is_true(json_object_get(part, "is_error")));
    else if (ak_streq(type, "thinking") || ak_streq(type, "redacted_thinking"))
        r->known = true;
}

static void read_message(struct ak_reading *r, json_t *line)
{
    json_t *content = ak_json_at(line, "message", "content", NULL), *part;
    size_t i;
    if (json_is_string(content)) {
        if (ak_streq(ak_json_text(line, "type", NULL), "assistant"))
            ak_reading_text(r, json_string_value(content));
        return;
    }
    json_array_foreach(content, i, part) read_content(r, part);
}

/* {"subtype": "init"} is what the program knows about itself; the rest is worth a line each. */
static void read_system(struct ak_reading *r, json_t *line)
{
    const char *subtype = ak_json_text(line, "subtype", NULL);
    if (ak_streq(subtype, "init")) {
        r->known = true;
    } else if (ak_streq(subtype, "api_retry")) {
        json_t *notice =
            json_pack("{s:o}", "message",
                      json_sprintf("the model call failed (%s, status %d), try %d of %d follows",
                                   json_string_value(json_object_get(line, "error"))
                                       ? json_string_value(json_object_get(line, "error"))
                                       : "unknown",
                                   (int)AK_MAX(ak_reading_count(line, "error_status"), 0),
                                   (int)ak_reading_count(line, "attempt"),
                                   (int)ak_reading_count(line, "max_retries")));
        ak_reading_emit(r, "notice", notice);
    }
}

static void read_result(struct ak_reading *r, json_t *line)
{
    struct ak_usage *usage = &r->reader->usage;
    const json_t *said = json_object_get(line, "usage");
    const char *text = ak_json_text(line, "result", NULL);
    const char *subtype = ak_json_text(line, "subtype", NULL);
    bool is_error = json_is_true(json_object_get(line, "is_error")) ||
                    (subtype && ak_has_prefix(subtype, "error"));
    usage->input_tokens = ak_reading_count(said, "input_tokens");
    usage->output_tokens = ak_reading_count(said, "output_tokens");
    usage->cache_read_tokens = ak_reading_count(said, "cache_read_input_tokens");
    usage->cache_write_tokens = ak_reading_count(said, "cache_creation_input_tokens");
    usage->turns = ak_reading_count(line, "num_turns");
    usage->cost_microusd = ak_reading_microusd(line, "total_cost_usd");
    ak_reading_usage(r);
    if (is_error)
        ak_reading_error(r, text ? text : subtype);
    ak_reading_result(r, text, is_error);
}

static void read_cursor_tool(struct ak_reading *r, json_t *line)
{
    json_t *call = json_object_get(line, "tool_call"), *one = NULL;
    const char *name = NULL, *id = ak_json_text(line, "call_id", NULL);
    json_object_foreach(call, name, one) break;
    if (!one)
        return;
    if (ak_streq(ak_json_text(line, "subtype", NULL), "started"))
        ak_reading_tool_call(r, name, id, json_object_get(one, "args"));
    else
        ak_reading_tool_result(r, id, json_object_get(one, "result"),
                               ak_json_at(one, "result", "error", NULL) != NULL);
}

void ak_reader_claude_line(struct ak_reading *r, json_t *line)
{
    static const struct {
        const char *type;
        void (*read)(struct ak_reading *, json_t *);
    } types[] = {
        {"assistant", read_message}, {"user", read_message},          {"system", read_system},
        {"result", read_result},     {"tool_call", read_cursor_tool},
    };
    const char *type = ak_json_text(line, "type", NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++)
        if (ak_streq(types[i].type, type))
            types[i].read(r, line);
}
