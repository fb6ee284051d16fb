/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/render.h"

#include <inttypes.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/output.h"
#include "terminal/cells.h"

#define COLUMNS 120
#define NARROWEST 20
#define MAX_INPUT (64u << 10) /* of a tool call's input, before it is cut to a line */

void ak_render_init(struct ak_render *self, const struct ak_render_look *look)
{
    *self = (struct ak_render){.look = *look};
    if (!self->look.columns)
        self->look.columns = COLUMNS;
    self->look.columns = AK_MAX(self->look.columns, NARROWEST);
}

static const char *text_of(const json_t *data, const char *name, size_t *ret_len)
{
    const json_t *value = json_object_get(data, name);

    *ret_len = json_is_string(value) ? json_string_length(value) : 0;
    return json_is_string(value) ? json_string_value(value) : "";
}

static int close_out(struct ak_render *self, struct ak_buf *out)
{
    int r = self->out_open ? ak_buf_add(out, "\n", 1) : 0;

    self->out_open = self->out_cr = false;
    return r;
}

static int say(struct ak_render *self, const char *text, size_t len, struct ak_buf *out)
{
    int r = self->look.out_shown ? ak_cells_add_shown(out, text, len, &self->out_cr)
                                 : ak_buf_add(out, text, len);
    if (len)
        self->out_open = text[len - 1] != '\n';
    return r;
}

/* One line about the run. */
static int note(struct ak_render *self, const char *style, const char *head, const char *text,
                size_t len, struct ak_buf *err)
{
    size_t head_width = ak_cells_width(head, strlen(head));
    size_t room = self->look.columns > head_width + 1 ? self->look.columns - head_width - 1 : 1;
    int r = ak_buf_addf(err, "%s%s", style, head);

    if (r >= 0)
        r = ak_cells_add_line(err, text, len, room);
    return r < 0 ? r : ak_buf_addf(err, "%s\n", self->look.off);
}

static int on_text(struct ak_render *self, const json_t *data, struct ak_buf *out,
                   struct ak_buf *err)
{
    size_t len;
    const char *text = text_of(data, "text", &len);

    (void)err;
    while (len && text[len - 1] == '\n')
        len--;
    self->last_text = ak_hash_bytes(AK_HASH_SEED, text, len);
    self->has_text = true;
    int r = say(self, text, len, out);
    return r < 0 ? r : close_out(self, out);
}

static int on_stdout(struct ak_render *self, const json_t *data, struct ak_buf *out,
                     struct ak_buf *err)
{
    size_t len;
    const char *text = text_of(data, "text", &len);
    int r = say(self, text, len, out);

    (void)err;
    self->out_open = true; /* the piece is the line without its end */
    return r < 0 || json_is_true(json_object_get(data, "partial")) ? r : close_out(self, out);
}

static int on_stderr(struct ak_render *self, const json_t *data, struct ak_buf *out,
                     struct ak_buf *err)
{
    bool is_partial = json_is_true(json_object_get(data, "partial"));
    size_t len;
    const char *text = text_of(data, "text", &len);

    (void)out;
    int r = ak_buf_adds(err, self->look.dim);
    if (r >= 0)
        r = self->look.err_shown ? ak_cells_add_shown(err, text, len, &self->err_cr)
                                 : ak_buf_add(err, text, len);
    if (!is_partial)
        self->err_cr = false;
    self->err_open = is_partial;
    return r < 0 ? r : ak_buf_addf(err, "%s%s", self->look.off, is_partial ? "" : "\n");
}

/* "> Bash ls -l": of one short value the value, else the whole input as JSON. */
static int on_tool_call(struct ak_render *self, const json_t *data, struct ak_buf *out,
                        struct ak_buf *err)
{
    AK_AUTO(ak_buf) line = AK_BUF_INIT(MAX_INPUT + 1024);
    json_t *input = json_object_get(data, "input");
    void *first = json_object_iter(input);
    size_t len;

    (void)out;
    int r = ak_buf_addf(&line, "%s ", text_of(data, "name", &len));
    if (r >= 0 && json_object_size(input) == 1 && json_is_string(json_object_iter_value(first)))
        r = ak_buf_add(&line, json_string_value(json_object_iter_value(first)),
                       AK_MIN(json_string_length(json_object_iter_value(first)), MAX_INPUT));
    else if (r >= 0 && json_is_string(input))
        r = ak_buf_add(&line, json_string_value(input),
                       AK_MIN(json_string_length(input), MAX_INPUT));
    else if (r >= 0 && input && ak_json_write(input, &line, NULL) < 0)
        r = 0; /* too long to be shown: the name is enough */
    return r < 0 ? r : note(self, self->look.yellow, "> ", ak_buf_text(&line), line.len, err);
}

/* A failed call is worth a line, what the others brought is the agent's business. */
static int on_tool_result(struct ak_render *self, const json_t *data, struct ak_buf *out,
                          struct ak_buf *err)
{
    size_t len;
    const char *text = text_of(data, "text", &len);

    (void)out;
    if (!json_is_true(json_object_get(data, "isError")))
        return 0;
    return note(self, self->look.red, "  failed: ", text, len, err);
}

static int on_result(struct ak_render *self, const json_t *data, struct ak_buf *out,
                     struct ak_buf *err)
{
    size_t len;
    const char *text = text_of(data, "text", &len);

    while (len && text[len - 1] == '\n')
        len--;
    if (!len || (self->has_text && ak_hash_bytes(AK_HASH_SEED, text, len) == self->last_text))
        return 0;
    if (json_is_true(json_object_get(data, "isError")))
        return note(self, self->look.red, "error: ", text, len, err);
    int r = say(self, text, len, out);
    return r < 0 ? r : close_out(self, out);
}

static int on_step(struct ak_render *self, const json_t *data, struct ak_buf *out,
                   struct ak_buf *err)
{
    AK_AUTO(ak_buf) line = AK_BUF_INIT(4096);
    json_int_t attempt = json_integer_value(json_object_get(data, "attempt"));
    size_t len;

    (void)out;
    int r = ak_buf_addf(&line, "%s %s", text_of(data, "name", &len), text_of(data, "phase", &len));
    if (r >= 0 && attempt > 1)
        r = ak_buf_addf(&line, " (attempt %" PRId64 ")", (int64_t)attempt);
    return r < 0 ? r : note(self, self->look.dim, "step ", ak_buf_text(&line), line.len, err);
}

static int on_notice(struct ak_render *self, const json_t *data, struct ak_buf *out,
                     struct ak_buf *err)
{
    size_t len;
    const char *text = text_of(data, "message", &len);

    (void)out;
    return note(self, self->look.dim, "note: ", text, len, err);
}

int ak_render_event(struct ak_render *self, const char *type, const json_t *data,
                    struct ak_buf *out, struct ak_buf *err)
{
    static const struct {
        const char *type;
        int (*fn)(struct ak_render *, const json_t *, struct ak_buf *, struct ak_buf *);
        bool is_about; /* a line of its own, not what the agent says */
    } looks[] = {
        {"text", on_text, false},
        {"stdout", on_stdout, false},
        {"stderr", on_stderr, true},
        {"tool_call", on_tool_call, true},
        {"tool_result", on_tool_result, true},
        {"result", on_result, false},
        {"step", on_step, true},
        {"notice", on_notice, true},
    };
    for (size_t i = 0; i < AK_ARRAY_LEN(looks); i++) {
        if (!ak_streq(looks[i].type, type))
            continue;
        int r = looks[i].is_about && self->look.out_shown ? close_out(self, out) : 0;
        return r < 0 ? r : looks[i].fn(self, data, out, err);
    }
    return 0;
}

static int add_usage(const json_t *usage, struct ak_buf *err)
{
    int64_t in = json_integer_value(json_object_get(usage, "inputTokens"));
    int64_t out = json_integer_value(json_object_get(usage, "outputTokens"));
    const char *cost = ak_json_text(usage, "costUSD", NULL);
    char a[32], b[32];

    if (!in && !out && !cost)
        return 0;
    int r = ak_buf_adds(err, " (");
    if (r >= 0 && (in || out))
        r = ak_buf_addf(err, "%s tokens in, %s out", ak_output_thousands(in, a),
                        ak_output_thousands(out, b));
    if (r >= 0 && cost)
        r = ak_buf_addf(err, "%s$%s", in || out ? ", " : "", cost);
    return r < 0 ? r : ak_buf_adds(err, ")");
}

int ak_render_summary(struct ak_render *self, const json_t *record, struct ak_buf *err)
{
    const char *phase = ak_output_or(ak_json_text(record, "phase", NULL), "?");
    const char *message = ak_json_text(record, "message", NULL);
    const json_t *took = json_object_get(record, "durationMilliseconds");
    bool is_good = ak_streq(phase, "Succeeded");
    char span[32];

    int r = ak_buf_addf(err, "%srun %s %s", is_good ? self->look.green : self->look.red,
                        ak_output_or(ak_json_text(record, "id", NULL), "?"), phase);
    if (r >= 0 && json_is_integer(took))
        r = ak_buf_addf(err, " %s %s", is_good ? "in" : "after",
                        ak_output_span((ak_msec)json_integer_value(took), span));
    if (r >= 0)
        r = add_usage(json_object_get(record, "usage"), err);
    if (r >= 0 && !is_good && message)
        r = ak_buf_adds(err, ": ");
    if (r >= 0 && !is_good && message)
        r = ak_cells_add_line(err, message, strlen(message), 4096);
    return r < 0 ? r : ak_buf_addf(err, "%s\n", self->look.off);
}

static const struct {
    const char *phase;
    int exit;
} finals[] = {
    {"Succeeded", AK_EXIT_OK},         {"Failed", AK_EXIT_RUN_FAILED},
    {"Cancelled", AK_EXIT_RUN_FAILED}, {"Interrupted", AK_EXIT_RUN_FAILED},
    {"Skipped", AK_EXIT_RUN_FAILED},   {"TimedOut", AK_EXIT_TIMEOUT},
};

bool ak_render_is_final(const char *phase)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(finals); i++)
        if (ak_streq(finals[i].phase, phase))
            return true;
    return false;
}

int ak_render_exit(const char *phase)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(finals); i++)
        if (ak_streq(finals[i].phase, phase))
            return finals[i].exit;
    return AK_EXIT_FAILED;
}
