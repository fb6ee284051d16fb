/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/tools.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/output.h"

const char *ak_tools_path(struct ak_exo *self, const char *tool, const char *a, const char *b,
                          const char *c)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(AK_PROXY_MAX_PATH);
    const char *const parts[] = {"namespaces", self->ns, "tools", tool, a, b, c};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(parts) && parts[i]; i++) {
        r = ak_buf_add(&path, "/", 1);
        if (r >= 0)
            r = ak_buf_add_url_escaped(&path, parts[i]);
    }
    return r < 0 ? NULL : ak_arena_strdup(self->arena, ak_buf_text(&path));
}

int ak_tools_do(struct ak_exo *self, const char *method, const char *path, const json_t *body,
                ak_msec timeout, json_t **ret, struct ak_error **reterr)
{
    const struct ak_proxy_call call = {
        .method = method, .path = path, .body = body, .timeout = timeout};

    return path ? ak_proxy_do(self, &call, ret, reterr) : ak_error_oom(reterr);
}

ak_msec ak_tools_hold(const struct ak_exo *self)
{
    ak_msec hold = self->options->hold ? self->options->hold : AK_TOOLS_DEFAULT_HOLD;
    return (hold + 999) / 1000;
}

/* ---- arguments of an operation ---- */

/* What is typed and no JSON is a mistake in the command line, not of a server. */
static int parse(const char *what, const char *text, size_t len, json_t **ret,
                 struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    return ak_json_parse(text, len, ret, &err) < 0
               ? ak_error_set(reterr, -EINVAL, "%s: %s", what, ak_error_message(err))
               : 0;
}

static int read_object(json_t **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_TOOLS_MAX_ARGUMENTS);
    int r = ak_exo_read_input(&text, "the arguments are", reterr);

    if (r < 0)
        return r;
    r = parse("standard input", ak_buf_text(&text), text.len, ret, reterr);
    if (r < 0)
        return r;
    if (!json_is_object(*ret)) {
        json_decref(*ret);
        *ret = NULL;
        return ak_error_set(reterr, -EINVAL, "standard input is JSON, but no object");
    }
    return 0;
}

/* "key=text" or "key:=JSON" into the object. */
static int take_word(json_t *object, const char *word, struct ak_error **reterr)
{
    const char *equals = strchr(word, '=');
    json_t *value = NULL;

    if (!equals || equals == word || (equals == word + 1 && word[0] == ':'))
        return ak_error_set(reterr, -EINVAL,
                            "\"%.60s\": an argument is KEY=TEXT, KEY:=JSON, or \"-\" alone", word);
    bool is_json = equals[-1] == ':';
    size_t len = (size_t)(equals - word) - is_json;
    if (is_json) {
        char label[64];
        (void)snprintf(label, sizeof(label), "%.*s", (int)len, word);
        int r = parse(label, equals + 1, strlen(equals + 1), &value, reterr);
        if (r < 0)
            return r;
    } else {
        value = json_string(equals + 1);
        if (!value)
            return ak_error_set(reterr, -EINVAL, "%.*s: is not UTF-8", (int)len, word);
    }
    char key[128];
    if (len >= sizeof(key)) {
        json_decref(value);
        return ak_error_set(reterr, -EINVAL, "\"%.60s...\": the name is too long", word);
    }
    memcpy(key, word, len);
    key[len] = '\0';
    if (json_object_get(object, key)) {
        json_decref(value);
        return ak_error_set(reterr, -EINVAL, "%s: is given twice", key);
    }
    return json_object_set_new(object, key, value) < 0
               ? ak_error_set(reterr, -EINVAL, "%s: is not a name", key)
               : 0;
}

int ak_tools_arguments(const char *const *words, size_t n, json_t **ret, struct ak_error **reterr)
{
    if (n == 1 && ak_streq(words[0], "-"))
        return read_object(ret, reterr);
    AK_AUTO_JSON *object = json_object();
    int r = object ? 0 : ak_error_oom(reterr);

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = take_word(object, words[i], reterr);
    if (r >= 0)
        *ret = AK_TAKE(object);
    return r;
}

/* ---- channels ---- */

int ak_tools_channels(struct ak_exo *self, const char *path, struct ak_exec_options *io,
                      int *ret_exit_code, struct ak_error **reterr)
{
    const struct ak_proxy_call call = {.method = "GET", .path = path, .cancel = io->cancel};

    io->connect_timeout = ak_tools_hold(self) * 1000 + AK_TOOLS_MARGIN;
    return ak_proxy_channels(self, &call, io, ret_exit_code, reterr);
}

/* ---- answers ---- */

static int add_cell(struct ak_table *table, const json_t *item,
                    const struct ak_tools_column *column, ak_msec now)
{
    char text[64];

    for (size_t i = 0; column->path[i]; i++)
        item = json_object_get(item, column->path[i]);
    if (column->form == AK_COLUMN_AGE)
        return ak_table_cell(table, ak_output_age(json_string_value(item), now, text));
    if (json_is_boolean(item))
        return ak_table_cell(table, json_is_true(item) ? "true" : "false");
    if (json_is_integer(item) && column->form == AK_COLUMN_SECONDS)
        return ak_table_cell(table, ak_output_span((ak_msec)json_integer_value(item) * 1000, text));
    if (json_is_integer(item)) {
        (void)snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_integer_value(item));
        return ak_table_cell(table, text);
    }
    return ak_table_cell(table, ak_output_or(json_string_value(item), "-"));
}

int ak_tools_list(struct ak_exo *self, const json_t *answer, const struct ak_tools_column *columns,
                  size_t n, const char *none, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const json_t *items = json_object_get(answer, "items");
    AK_AUTO(ak_table) table = {0};
    ak_msec now = ak_wall_now();
    int r = 0;

    if (o->output == AK_OUT_JSON || o->output == AK_OUT_YAML)
        return ak_output_tree(self, answer, reterr);
    if (!json_array_size(items)) {
        ak_screen_complain(&self->screen, "%s", none);
        return 0;
    }
    for (size_t k = 0; r >= 0 && k < n && !o->no_headers; k++)
        r = ak_table_cell(&table, columns[k].title);
    if (r >= 0 && !o->no_headers)
        r = ak_table_end_row(&table);
    for (size_t i = 0; r >= 0 && i < json_array_size(items); i++) {
        for (size_t k = 0; r >= 0 && k < n; k++)
            r = add_cell(&table, json_array_get(items, i), &columns[k], now);
        if (r >= 0)
            r = ak_table_end_row(&table);
    }
    return r < 0 ? ak_error_set(reterr, r, "write the table") : ak_output_table(&table, reterr);
}
