/* SPDX-License-Identifier: Apache-2.0 */
#include "runtimes/reader.h"

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <string.h>

#include "runtimes/reader_internal.h"

static void (*const line_readers[AK_OUTPUT_MAX])(struct ak_reading *, json_t *) = {
    [AK_OUTPUT_CLAUDE] = ak_reader_claude_line,
    [AK_OUTPUT_CODEX] = ak_reader_codex_line,
    [AK_OUTPUT_OPENCODE] = ak_reader_opencode_line,
    [AK_OUTPUT_CLINE] = ak_reader_cline_line,
};

void ak_reader_init(struct ak_reader *self, enum ak_output_format format)
{
    *self = (struct ak_reader){
        .format = format,
        .usage = {-1, -1, -1, -1, -1, -1},
        .result = {.max = AK_READER_MAX_RESULT},
        .message = {.max = AK_READER_MAX_MESSAGE},
    };
}

void ak_reader_done(struct ak_reader *self)
{
    ak_buf_done(&self->result);
    ak_buf_done(&self->message);
}

bool ak_output_format_is_structured(enum ak_output_format format)
{
    return format < AK_OUTPUT_MAX && line_readers[format];
}

/* The longest beginning of text that fits and does not end inside a character. */
static size_t whole_characters(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

static int keep(struct ak_buf *buf, const char *text, bool *ret_cut)
{
    size_t len = strlen(text), fits = whole_characters(text, len, buf->max);
    ak_buf_clear(buf);
    if (ret_cut)
        *ret_cut = fits < len;
    return ak_buf_add(buf, text, fits);
}

void ak_reading_emit(struct ak_reading *r, const char *type, json_t *data)
{
    AK_AUTO_JSON *event = data;
    r->known = true;
    if (r->failed < 0)
        return;
    r->failed = event ? r->emit(r->user, type, event) : -ENOMEM;
    if (r->failed > 0)
        r->failed = 0;
}

void ak_reading_text(struct ak_reading *r, const char *text)
{
    r->known = true;
    if (ak_is_empty(text))
        return;
    ak_reading_emit(r, "text", json_pack("{s:s}", "text", text));
    /* Until the program says what its answer is, it is what it said last. */
    if (r->failed >= 0 && !r->reader->has_result)
        r->failed = keep(&r->reader->result, text, &r->reader->result_truncated);
}

void ak_reading_notice(struct ak_reading *r, const char *message)
{
    ak_reading_emit(r, "notice", json_pack("{s:s}", "message", message));
}

static int set_text(json_t *object, const char *key, const char *value)
{
    return ak_is_empty(value) ? 0 : json_object_set_new(object, key, json_string(value));
}

void ak_reading_tool_call(struct ak_reading *r, const char *name, const char *id, json_t *input)
{
    AK_AUTO_JSON *data = json_pack("{s:s}", "name", name ? name : "unknown");
    bool ok = data && set_text(data, "id", id) >= 0 &&
              (input ? json_object_set(data, "input", input)
                     : json_object_set_new(data, "input", json_object())) >= 0;
    ak_reading_emit(r, "tool_call", ok ? AK_TAKE(data) : NULL);
}

static int add_parts(struct ak_buf *out, const json_t *output)
{
    size_t i;
    json_t *part;
    int r = 0;
    json_array_foreach(output, i, part)
    {
        const char *text = ak_json_text(part, "text", NULL);
        if (r >= 0 && i > 0)
            r = ak_buf_adds(out, "\n");
        if (r >= 0)
            r = text ? ak_buf_adds(out, text) : ak_json_write(part, out, NULL);
    }
    return r;
}

void ak_reading_tool_result(struct ak_reading *r, const char *id, json_t *output, bool is_error)
{
    AK_AUTO(ak_buf) parts = AK_BUF_INIT(AK_READER_MAX_LINE);
    const char *text = json_string_value(output);
    int made = 0;
    if (!text && json_is_array(output))
        made = add_parts(&parts, output);
    else if (!text && output && !json_is_null(output))
        made = ak_json_write(output, &parts, NULL);
    AK_AUTO_JSON *data =
        made < 0 ? NULL : json_pack("{s:s}", "text", text ? text : ak_buf_text(&parts));
    bool ok = data && set_text(data, "id", id) >= 0 &&
              (!is_error || json_object_set_new(data, "isError", json_true()) >= 0);
    ak_reading_emit(r, "tool_result", ok ? AK_TAKE(data) : NULL);
}

static int set_count(json_t *object, const char *key, int64_t value)
{
    return value < 0 ? 0 : json_object_set_new(object, key, json_integer(value));
}

/* Whole digits after the point, as many as say anything: 0.0123, not 1.23e-02. */
static int set_dollars(json_t *object, int64_t microusd)
{
    char text[40];
    AK_AUTO(ak_buf) out = AK_BUF_INIT(sizeof(text));
    if (microusd < 0)
        return 0;
    int r = ak_buf_addf(&out, "%lld.%06lld", (long long)(microusd / 1000000),
                        (long long)(microusd % 1000000));
    if (r < 0)
        return r;
    while (out.data[out.len - 1] == '0')
        out.data[--out.len] = '\0';
    if (out.data[out.len - 1] == '.')
        out.data[--out.len] = '\0';
    return json_object_set_new(object, "costUSD", json_string(ak_buf_text(&out)));
}

json_t *ak_usage_to_json(const struct ak_usage *usage)
{
    AK_AUTO_JSON *data = json_object();
    bool ok = data && set_count(data, "inputTokens", usage->input_tokens) >= 0 &&
              set_count(data, "outputTokens", usage->output_tokens) >= 0 &&
              set_count(data, "cacheReadTokens", usage->cache_read_tokens) >= 0 &&
              set_count(data, "cacheWriteTokens", usage->cache_write_tokens) >= 0 &&
              set_count(data, "turns", usage->turns) >= 0 &&
              set_dollars(data, usage->cost_microusd) >= 0;
    return ok ? AK_TAKE(data) : NULL;
}

void ak_reading_usage(struct ak_reading *r)
{
    ak_reading_emit(r, "usage", ak_usage_to_json(&r->reader->usage));
}

void ak_reading_error(struct ak_reading *r, const char *message)
{
    r->known = true;
    if (!ak_is_empty(message) && r->failed >= 0)
        r->failed = keep(&r->reader->message, message, NULL);
}

void ak_reading_result(struct ak_reading *r, const char *text, bool is_error)
{
    struct ak_reader *reader = r->reader;
    r->known = true;
    if (reader->has_result || r->failed < 0)
        return;
    reader->has_result = true;
    reader->is_error = is_error;
    if (text)
        r->failed = keep(&reader->result, text, &reader->result_truncated);
    if (is_error && reader->message.len == 0 && r->failed >= 0)
        r->failed = keep(&reader->message, ak_buf_text(&reader->result), NULL);
    ak_reading_emit(r, "result",
                    json_pack("{s:s, s:b}", "text", text ? text : ak_buf_text(&reader->result),
                              "isError", is_error));
}

int64_t ak_reading_count(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -1;
    return json_integer_value(value);
}

int64_t ak_reading_sum(int64_t a, int64_t b)
{
    if (b < 0)
        return a;
    if (a < 0)
        return b;
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

int64_t ak_reading_microusd(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    double dollars = json_is_number(value) ? json_number_value(value) : -1;
    if (!(dollars >= 0) || dollars > 1e9)
        return -1;
    return (int64_t)(dollars * 1e6 + 0.5);
}

static int emit_plain(struct ak_reading *r, const char *line, size_t len)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(6 * (size_t)AK_READER_MAX_LINE + 64);
    AK_AUTO_JSON *data = NULL;
    json_t *string = json_stringn(line, len);
    if (!string) { /* not UTF-8: the writer replaces what is not */
        if (len > AK_READER_MAX_LINE)
            return AK_E_TOO_LARGE;
        int made = ak_buf_add_json_string(&text, line, len);
        if (made >= 0)
            made = ak_json_parse(ak_buf_text(&text), text.len, &string, NULL);
        if (made < 0)
            return made;
    }
    data = json_object();
    if (!data || json_object_set_new(data, "text", string) < 0) {
        if (!data)
            json_decref(string);
        return -ENOMEM;
    }
    ak_reading_emit(r, "stdout", AK_TAKE(data));
    return r->failed;
}

static bool looks_like_object(const char *line, size_t len)
{
    while (len > 0 && (*line == ' ' || *line == '\t'))
        line++, len--;
    return len > 0 && *line == '{';
}

int ak_reader_line(struct ak_reader *self, const char *line, size_t len, ak_reader_emit_fn emit,
                   void *user)
{
    struct ak_reading r = {.reader = self, .emit = emit, .user = user};
    AK_AUTO_JSON *tree = NULL;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (!ak_output_format_is_structured(self->format))
        return emit_plain(&r, line, len);
    if (len == 0)
        return 0;
    if (!looks_like_object(line, len))
        return emit_plain(&r, line, len);
    int parsed = ak_json_parse(line, len, &tree, NULL);
    if (parsed == -ENOMEM)
        return parsed;
    if (parsed < 0 || !json_is_object(tree))
        return emit_plain(&r, line, len);
    line_readers[self->format](&r, tree);
    if (!r.known)
        ak_reading_emit(&r, "other", json_pack("{s:O}", "raw", tree));
    return r.failed;
}

void ak_reader_skip(struct ak_reader *self)
{
    self->skipped = true;
}

static const char *text_or_null(const struct ak_buf *buf)
{
    return buf->len > 0 ? ak_buf_text(buf) : NULL;
}

void ak_reader_end(struct ak_reader *self, int exit_code, struct ak_reader_verdict *ret)
{
    *ret = (struct ak_reader_verdict){
        .reason = "Completed",
        .message = text_or_null(&self->message),
        .result = text_or_null(&self->result),
        .result_truncated = self->result_truncated,
        .usage = self->usage,
    };
    if (exit_code != 0) {
        ret->reason = self->has_result && self->is_error ? "RuntimeError" : "ExitCode";
        return;
    }
    if (self->has_result && self->is_error) {
        ret->reason = "RuntimeError";
        return;
    }
    /* A program that tells how it ends, and did not, did not get there, whatever its exit code says. */
    if (ak_output_format_is_structured(self->format) && !self->has_result && !self->skipped) {
        ret->reason = "RuntimeError";
        if (!ret->message)
            ret->message = "the program ended without saying how its work ended";
        return;
    }
    ret->succeeded = true;
    ret->message = NULL;
}
