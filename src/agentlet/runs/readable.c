/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/readable.h"

#include "agentlet/runs/lines.h"

#include <ak/base/text.h>
#include <ak/json/json.h>
#include <inttypes.h>
#include <string.h>

#define SHORT 240 /* bytes of a tool's input or answer: the events have all of it */

static int add_text(struct ak_buf *out, const json_t *data)
{
    const json_t *text = json_object_get(data, "text");
    size_t len = json_string_length(text);
    int r = len ? ak_buf_add(out, json_string_value(text), len) : 0;

    if (r < 0 || json_is_true(json_object_get(data, "partial")))
        return r;
    return len > 0 && json_string_value(text)[len - 1] == '\n' ? 0 : ak_buf_adds(out, "\n");
}

/* The beginning of a text, on one line. */
static int add_short(struct ak_buf *out, const char *text)
{
    size_t len = strlen(text);
    size_t n = ak_utf8_cut(text, len, SHORT);
    int r = 0;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = ak_buf_add(out, text[i] == '\n' || text[i] == '\r' ? " " : &text[i], 1);
    return r < 0 ? r : ak_buf_adds(out, n < len ? "...\n" : "\n");
}

static int add_tool_call(struct ak_buf *out, const json_t *data)
{
    AK_AUTO(ak_buf) input = AK_BUF_INIT(1u << 20);
    const json_t *value = json_object_get(data, "input");
    const char *name = ak_json_text(data, "name", NULL);
    int r = ak_buf_addf(out, "[tool] %s ", name ? name : "?");

    if (r >= 0 && value && ak_json_write(value, &input, NULL) == -ENOMEM)
        r = -ENOMEM;
    return r < 0 ? r : add_short(out, ak_buf_text(&input));
}

static int add_tool_result(struct ak_buf *out, const json_t *data)
{
    const char *text = ak_json_text(data, "text", NULL);
    int r = ak_buf_adds(out, json_is_true(json_object_get(data, "isError")) ? "[tool failed] "
                                                                            : "[tool result] ");

    return r < 0 ? r : add_short(out, text ? text : "");
}

static int add_step(struct ak_buf *out, const json_t *data)
{
    const char *name = ak_json_text(data, "name", NULL);
    const char *phase = ak_json_text(data, "phase", NULL);
    json_int_t attempt = json_integer_value(json_object_get(data, "attempt"));

    if (attempt > 1)
        return ak_buf_addf(out, "[step %s] %s (attempt %" PRId64 ")\n", name ? name : "?",
                           phase ? phase : "?", (int64_t)attempt);
    return ak_buf_addf(out, "[step %s] %s\n", name ? name : "?", phase ? phase : "?");
}

static int add_notice(struct ak_buf *out, const json_t *data)
{
    const char *message = ak_json_text(data, "message", NULL);
    int r = ak_buf_adds(out, "[notice] ");

    return r < 0 ? r : add_short(out, message ? message : "");
}

static int add_started(struct ak_buf *out, const json_t *data)
{
    const char *program = ak_json_text(data, "argv0", NULL);

    return ak_buf_addf(out, "[started] %s\n", program ? program : "");
}

static int add_ended(struct ak_buf *out, const json_t *data)
{
    const char *phase = ak_json_text(data, "record", "phase", NULL);
    const char *message = ak_json_text(data, "record", "message", NULL);
    json_int_t took = json_integer_value(ak_json_at(data, "record", "durationMilliseconds", NULL));
    int r = ak_buf_addf(out, "[ended] %s after %" PRId64 ".%03d s", phase ? phase : "?",
                        (int64_t)(took / 1000), (int)(took % 1000));

    if (r >= 0 && message)
        r = ak_buf_adds(out, ": ");
    return r < 0 ? r : add_short(out, message ? message : "");
}

static const struct {
    const char *type;
    int (*add)(struct ak_buf *out, const json_t *data);
} writers[] = {
    {"text", add_text},
    {"stdout", add_text},
    {"stderr", add_text},
    {"tool_call", add_tool_call},
    {"tool_result", add_tool_result},
    {"step", add_step},
    {"notice", add_notice},
    {"started", add_started},
    {"ended", add_ended},
};

int ak_readable_add(struct ak_buf *out, const char *type, const json_t *data)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(writers); i++)
        if (ak_streq(writers[i].type, type))
            return writers[i].add(out, data);
    return 0;
}
