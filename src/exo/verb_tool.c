/* SPDX-License-Identifier: Apache-2.0 */
/* exo tool probe, exo tool call, exo tool explain */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <ak/base/text.h>

#include "exo/kinds.h"
#include "exo/output.h"
#include "exo/tools.h"
#include "exo/verbs.h"
#include "terminal/cells.h"

#define LOOK_AGAIN 500        /* ms */
#define MAX_SHOWN (64u << 20) /* an answer has 8 MiB at most; a byte may become three */

/* ---- probe ---- */

static const char *words_of(const json_t *probe, char *buf, size_t size)
{
    static const struct {
        const char *key, *no;
    } steps[] = {
        {"reachable", "cannot be reached"},
        {"authenticated", "is reachable, but does not accept the credential"},
        {"authorised", "accepts the credential, but allows nothing that the Tool needs"},
    };
    for (size_t i = 0; i < AK_ARRAY_LEN(steps); i++)
        if (json_is_false(json_object_get(probe, steps[i].key))) {
            (void)snprintf(buf, size, "%s", steps[i].no);
            return buf;
        }
    (void)snprintf(buf, size, "is reachable and lets the Tool in");
    return buf;
}

static int show_probe(struct ak_exo *self, const json_t *probe, struct ak_error **reterr)
{
    const char *server = ak_json_text(probe, "server", NULL);
    const char *message = ak_json_text(probe, "message", NULL);
    bool good = json_is_true(json_object_get(probe, "succeeded"));
    char words[128];
    int r = ak_output_line(
        reterr, "%s%s %s", ak_output_or(server, "the system"), server ? "" : " of this Tool",
        good ? "is reachable and lets the Tool in" : words_of(probe, words, sizeof(words)));

    if (r >= 0 && message && !good)
        ak_screen_complain(&self->screen, "%s", message);
    return r < 0 ? r : good ? AK_EXIT_OK : AK_EXIT_FAILED;
}

/* Times are whole seconds: the hash tells two checks of the same second apart. */
static bool is_other(const json_t *probe, const json_t *before)
{
    return probe &&
           (!ak_streq(ak_json_text(probe, "time", NULL), ak_json_text(before, "time", NULL)) ||
            !ak_streq(ak_json_text(probe, "hash", NULL), ak_json_text(before, "hash", NULL)));
}

/* The newest check of the Tool's status, NULL if there is none but `before`. */
static int look(struct ak_exo *self, const json_t *before, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *tool = NULL;
    int r = ak_client_get(self->client, ak_kinds_find("Tool"), self->ns, self->options->args[0],
                          &tool, reterr);

    if (r < 0)
        return r;
    json_t *probe = ak_json_at(tool, "status", "lastProbe", NULL);
    *ret = is_other(probe, before) ? json_incref(probe) : NULL;
    return 0;
}

int ak_verb_tool_probe(struct ak_exo *self, struct ak_error **reterr)
{
    static const struct timespec nap = {.tv_nsec = LOOK_AGAIN * 1000000L};
    const char *name = self->options->args[0];
    ak_msec deadline = ak_now() + ak_tools_hold(self) * 1000;
    AK_AUTO_JSON *before = NULL;
    AK_AUTO_JSON *probe = NULL;
    int r = look(self, NULL, &before, reterr);

    if (r >= 0)
        r = ak_tools_do(self, "POST", ak_tools_path(self, name, "probe", NULL, NULL), NULL, 0, NULL,
                        reterr);
    while (r >= 0 && !probe) {
        if (ak_now() >= deadline)
            return ak_error_set(reterr, -ETIMEDOUT,
                                "the check has not ended yet; exo tool describe %s shows it later",
                                name);
        (void)nanosleep(&nap, NULL);
        r = look(self, before, &probe, reterr);
    }
    return r < 0 ? r : show_probe(self, probe, reterr);
}

/* ---- call ---- */

static int cell(struct ak_table *table, const json_t *value)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(8u << 20);

    if (json_is_null(value))
        return ak_table_cell(table, "NULL");
    if (json_is_string(value))
        return ak_table_cell(table, json_string_value(value));
    int r = ak_json_write(value, &text, NULL);
    return r < 0 ? r : ak_table_cell(table, ak_buf_text(&text));
}

static int show_rows(struct ak_exo *self, const json_t *result, struct ak_error **reterr)
{
    const json_t *columns = json_object_get(result, "columns");
    const json_t *rows = json_object_get(result, "rows");
    AK_AUTO(ak_table) table = {0};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(columns); i++)
        r = ak_table_cell(&table, ak_json_text(json_array_get(columns, i), "name", NULL));
    if (r >= 0)
        r = ak_table_end_row(&table);
    for (size_t i = 0; r >= 0 && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        for (size_t k = 0; r >= 0 && k < json_array_size(row); k++)
            r = cell(&table, json_array_get(row, k));
        if (r >= 0)
            r = ak_table_end_row(&table);
    }
    if (r == -EINVAL)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "more than %d columns: use -o json",
                            AK_TABLE_COLUMNS);
    if (r < 0)
        return ak_error_set(reterr, r, "write the table");
    r = ak_output_table(&table, reterr);
    ak_screen_complain(&self->screen, "(%zu row%s%s)", json_array_size(rows),
                       json_array_size(rows) == 1 ? "" : "s",
                       json_is_true(json_object_get(result, "truncated"))
                           ? "; there are more: the Tool's limit"
                           : "");
    return r;
}

/* On a terminal it is only shown: what a program or a server wrote may hold escape sequences. */
static int show_text(struct ak_exo *self, const char *text, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) shown = AK_BUF_INIT(MAX_SHOWN);
    size_t len = strlen(text);
    bool pending_cr = false;
    int r = self->screen.terminal ? ak_cells_add_shown(&shown, text, len, &pending_cr)
                                  : ak_buf_add(&shown, text, len);

    if (r >= 0 && len && text[len - 1] != '\n')
        r = ak_buf_add(&shown, "\n", 1);
    return r < 0 ? ak_error_set(reterr, r, "show the answer") : ak_exo_print(&shown, reterr);
}

static int show_result(struct ak_exo *self, const json_t *result, struct ak_error **reterr)
{
    const char *text = ak_json_text(result, "text", NULL);
    const json_t *columns = json_object_get(result, "columns");

    if (json_array_size(columns))
        return show_rows(self, result, reterr);
    if (text)
        return show_text(self, text, reterr);
    if (!json_is_array(columns))
        return ak_output_tree(self, result, reterr);
    /* A statement without rows: what the server said of it, or how many it changed. */
    const char *command = ak_json_text(result, "command", NULL);
    int64_t count = json_integer_value(json_object_get(result, "rowCount"));
    if (command)
        ak_screen_complain(&self->screen, "(%s)", command);
    else
        ak_screen_complain(&self->screen, "(%" PRId64 " row%s affected)", count,
                           count == 1 ? "" : "s");
    return 0;
}

int ak_verb_tool_call(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const char *base = ak_tools_path(self, o->args[0], "operations", NULL, NULL);
    ak_msec hold = ak_tools_hold(self);
    AK_AUTO_JSON *arguments = NULL;
    AK_AUTO_JSON *answer = NULL;
    int r = ak_tools_arguments(o->args + 2, o->n_args - 2, &arguments, reterr);

    if (r < 0)
        return r;
    AK_AUTO_JSON *body = json_pack("{sssOsb}", "operation", o->args[1], "arguments", arguments,
                                   "readOnly", o->read_only);
    const char *path =
        base ? ak_arena_printf(self->arena, "%s?hold=%lld", base, (long long)hold) : NULL;
    if (!body)
        return ak_error_set(reterr, -EINVAL, "\"%s\": not UTF-8", o->args[1]);
    r = ak_tools_do(self, "POST", path, body, hold * 1000 + AK_TOOLS_MARGIN, &answer, reterr);
    if (r < 0)
        return r;
    if (o->output == AK_OUT_JSON || o->output == AK_OUT_YAML)
        r = ak_output_tree(self, answer, reterr);
    else
        r = show_result(self, json_object_get(answer, "result"), reterr);
    int64_t code = json_integer_value(ak_json_at(answer, "result", "exitCode", NULL));
    return r < 0 ? r : code > 0 && code < 256 ? (int)code : AK_EXIT_OK;
}

/* ---- explain ---- */

static int show_decision(const json_t *answer, struct ak_error **reterr)
{
    bool allowed = json_is_true(json_object_get(answer, "allowed"));
    bool waits = json_is_true(json_object_get(answer, "needsApproval"));
    const char *reason = ak_json_text(answer, "reason", NULL);
    const char *class = ak_json_text(answer, "class", NULL);
    int r = ak_output_line(reterr, "%s",
                           !allowed ? "refused"
                           : waits  ? "waits for approval"
                                    : "allowed");

    if (r >= 0 && class)
        r = ak_output_line(reterr, "  class:  %s", class);
    if (r >= 0)
        r = ak_output_line(reterr, "  rule:   %s",
                           ak_output_or(ak_json_text(answer, "rule", NULL), "-"));
    if (r >= 0 && reason)
        r = ak_output_line(reterr, "  reason: %s", reason);
    return r;
}

/* The words behind "--" stand for the operation's main argument. */
static int add_statement(struct ak_exo *self, json_t *body, struct ak_error **reterr)
{
    const char *const *rest = self->options->rest;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_TOOLS_MAX_ARGUMENTS);
    int r = 0;

    for (size_t i = 0; r >= 0 && rest[i]; i++)
        r = ak_buf_addf(&text, "%s%s", i ? " " : "", rest[i]);
    if (r < 0)
        return ak_error_set(reterr, r, "the statement: %s", ak_code_text(r));
    json_t *value = json_stringn(ak_buf_text(&text), text.len);
    if (!value)
        return ak_error_set(reterr, -EINVAL, "the statement is not UTF-8");
    return json_object_set_new(body, "statement", value) < 0 ? ak_error_oom(reterr) : 0;
}

int ak_verb_tool_explain(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO_JSON *arguments = NULL;
    AK_AUTO_JSON *answer = NULL;
    bool is_statement = o->rest && o->rest[0];
    int r = is_statement ? 0 : ak_tools_arguments(o->args + 2, o->n_args - 2, &arguments, reterr);

    if (is_statement && o->n_args > 2)
        return ak_error_set(reterr, -EINVAL,
                            "either arguments, or a statement behind \"--\" in their place");
    if (r < 0)
        return r;
    AK_AUTO_JSON *body = json_pack("{sssO*sb}", "operation", o->args[1], "arguments", arguments,
                                   "readOnly", o->read_only);
    if (!body)
        return ak_error_set(reterr, -EINVAL, "\"%s\": not UTF-8", o->args[1]);
    r = is_statement ? add_statement(self, body, reterr) : 0;
    if (r >= 0)
        r = ak_tools_do(self, "POST", ak_tools_path(self, o->args[0], "explain", NULL, NULL), body,
                        0, &answer, reterr);
    if (r < 0)
        return r;
    r = o->output == AK_OUT_TABLE ? show_decision(answer, reterr)
                                  : ak_output_tree(self, answer, reterr);
    bool allowed = json_is_true(json_object_get(answer, "allowed"));
    return r < 0 ? r : allowed ? AK_EXIT_OK : AK_EXIT_FORBIDDEN;
}
