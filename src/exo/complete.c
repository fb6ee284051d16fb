/* SPDX-License-Identifier: Apache-2.0 */
/* exo __complete, and what it finds in the tables. */
#include "exo/complete.h"

#include <string.h>

#include <ak/base/text.h>

#include "engines/engine.h"
#include "exo/kinds.h"
#include "exo/objects.h"
#include "exo/records.h"
#include "exo/verbs.h"

#define MAX_WORDS 512
#define TIME_LIMIT AK_SECONDS(2) /* a prompt that hangs is worse than one that knows no names */
#define MAX_NAMES 2000

static int candidate(struct ak_buf *out, const struct ak_completion *self, const char *text,
                     const char *about)
{
    const char *typed = self->word + strlen(self->prefix);

    if (!ak_has_prefix(text, typed))
        return 0;
    return ak_buf_addf(out, "%s%s%s%s\n", self->prefix, text, about ? "\t" : "",
                       about ? about : "");
}

static int complete_command(struct ak_completion *self, struct ak_buf *out)
{
    const char *noun = self->options.noun;
    int r = 0;

    for (const struct ak_noun *n = ak_command_nouns(); r >= 0 && !noun && n->noun; n++)
        r = candidate(out, self, n->noun, n->about);
    for (const struct ak_command *c = ak_command_table(); r >= 0 && c->verb; c++)
        if (!c->is_hidden && ak_streq(c->noun, noun))
            r = candidate(out, self, c->verb, c->about);
    return r;
}

static bool takes_value(const struct ak_flag *flag)
{
    return flag->value != NULL;
}

static int complete_flags(struct ak_completion *self, struct ak_buf *out)
{
    const struct ak_flags known = ak_command_flags(self->options.command);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(256);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < known.len; i++) {
        if (!(known.items[i].where & known.where))
            continue;
        ak_buf_clear(&text);
        r = ak_buf_addf(&text, "--%s%s", known.items[i].name,
                        takes_value(&known.items[i]) ? "=" : "");
        if (r >= 0)
            r = candidate(out, self, ak_buf_text(&text), known.items[i].help);
    }
    return r;
}

/* The value of a flag: choices from the table, names from the cluster, files. */
static int complete_value(struct ak_completion *self, const struct ak_flag *flag,
                          struct ak_buf *out)
{
    const struct ak_command *c = self->options.command;
    int r = 0;

    if (flag->type == AK_FLAG_CHOICE) {
        for (int i = 1; r >= 0 && flag->choices[i]; i++)
            if (!c || c->outputs & (1u << i))
                r = candidate(out, self, flag->choices[i], NULL);
        return r;
    }
    if (ak_streq(flag->name, "namespace") || ak_streq(flag->name, "operator-namespace"))
        self->names = AK_COMPLETE_NAMESPACES;
    else if (ak_streq(flag->name, "filename") || ak_streq(flag->name, "kubeconfig"))
        r = ak_buf_adds(out, ":files\n");
    return r;
}

/* The first word is an object of the command's kind, the second one something of its. */
static void complete_pair(struct ak_completion *self, enum ak_complete_names second)
{
    const struct ak_exo_options *o = &self->options;

    self->names = o->n_args == 0 ? AK_COMPLETE_OBJECTS : o->n_args == 1 ? second : AK_COMPLETE_NONE;
    self->of = o->n_args ? o->args[0] : NULL;
}

static void complete_operand(struct ak_completion *self)
{
    const struct ak_exo_options *o = &self->options;
    size_t at = o->n_args;

    if (at >= o->command->max_args || o->rest)
        return;
    switch (o->command->operand) {
    case AK_OPERAND_OBJECTS:
        self->names = AK_COMPLETE_OBJECTS;
        return;
    case AK_OPERAND_FIRST:
        complete_pair(self, AK_COMPLETE_NONE);
        return;
    case AK_OPERAND_OPERATION:
        complete_pair(self, AK_COMPLETE_OPERATIONS);
        return;
    case AK_OPERAND_APPROVAL:
        complete_pair(self, AK_COMPLETE_APPROVALS);
        return;
    case AK_OPERAND_RECORDING:
        complete_pair(self, AK_COMPLETE_RECORDINGS);
        return;
    case AK_OPERAND_AGENT:
        self->names = at == 0 ? AK_COMPLETE_AGENTS : AK_COMPLETE_NONE;
        return;
    case AK_OPERAND_AGENT_RUN:
        self->names = at == 0 ? AK_COMPLETE_AGENTS : AK_COMPLETE_RUNS;
        self->of = o->args[0];
        return;
    case AK_OPERAND_RUN:
        self->names = AK_COMPLETE_ALL_RUNS;
        return;
    case AK_OPERAND_NONE:
    case AK_OPERAND_SHELL:
        return;
    }
}

/* The flag whose value the unfinished word is: "-o js", "--output js", "--output=js". */
static const struct ak_flag *open_flag(struct ak_completion *self, const char *before)
{
    const struct ak_flags known = ak_command_flags(self->options.command);
    const char *equals = strchr(self->word, '=');

    for (size_t i = 0; i < known.len; i++) {
        const struct ak_flag *flag = &known.items[i];
        size_t len = strlen(flag->name);
        if (!(flag->where & known.where) || !takes_value(flag))
            continue;
        if (ak_has_prefix(self->word, "--") && equals && (size_t)(equals - self->word) == len + 2 &&
            strncmp(self->word + 2, flag->name, len) == 0)
            return flag;
        if (!before)
            continue;
        bool is_letter = before[0] == '-' && before[1] && before[1] == flag->letter && !before[2];
        if (is_letter || (ak_has_prefix(before, "--") && ak_streq(before + 2, flag->name)))
            return flag;
    }
    return NULL;
}

/* What is typed is seldom a whole command: mistakes in it are no reason to say nothing. */
static int understand(struct ak_completion *self, const char *const *words, size_t n,
                      const char *const *environ_, struct ak_arena *arena)
{
    const char **argv = ak_arena_alloc(arena, (n + 2) * sizeof(*argv));
    size_t argc = 1;

    if (!argv)
        return -ENOMEM;
    argv[0] = "exo";
    for (size_t i = 0; i + 1 < n; i++)
        argv[argc++] = words[i];
    int r = ak_command_parse(&self->options, (int)argc, argv, environ_, arena, NULL);
    if (r < 0 && argv[argc - 1][0] == '-') /* a flag that waits for the word under the cursor */
        r = ak_command_parse(&self->options, (int)argc - 1, argv, environ_, arena, NULL);
    /* A command that wants more words, or others, is one all the same. */
    self->is_lost = r < 0 && !self->options.command;
    return 0;
}

int ak_complete(const char *const *words, size_t n, const char *const *environ_,
                struct ak_arena *arena, struct ak_completion *ret, struct ak_buf *out)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    int r = 0;

    *ret = (struct ak_completion){.word = n ? words[n - 1] : "", .prefix = ""};
    r = understand(ret, words, n, environ_, arena);
    if (r < 0)
        return r;
    const struct ak_flag *flag = open_flag(ret, n > 1 ? words[n - 2] : NULL);
    if (flag) {
        if (ak_has_prefix(ret->word, "--")) {
            ret->prefix = ak_arena_printf(arena, "--%s=", flag->name);
            if (!ret->prefix)
                return -ENOMEM;
        }
        return complete_value(ret, flag, out);
    }
    if (ret->word[0] == '-')
        return complete_flags(ret, out);
    if (ret->is_lost)
        return 0;
    if (!ret->options.command)
        return complete_command(ret, out);
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(shells); i++)
        if (ret->options.command->operand == AK_OPERAND_SHELL && !ret->options.n_args)
            r = candidate(out, ret, shells[i], NULL);
    complete_operand(ret);
    return r;
}

/* ---- with the cluster */

static int add_objects(struct ak_exo *self, const struct ak_completion *c, const char *kind,
                       struct ak_buf *out)
{
    AK_AUTO(ak_buf) path = {0};
    AK_AUTO_JSON *list = NULL;
    const struct ak_objects_query q = {
        .resource = ak_kinds_find(kind), .ns = self->ns, .form = AK_OBJECTS_METADATA};

    int r = ak_objects_path(&q, &path, NULL);
    const struct ak_call call = {
        .method = "GET",
        .path = ak_buf_text(&path),
        .accept = ak_objects_accept(q.form),
        .timeout = TIME_LIMIT,
    };
    if (r >= 0)
        r = ak_client_call(self->client, &call, &list, NULL);
    const json_t *items = json_object_get(list, "items");
    for (size_t i = 0; r >= 0 && i < json_array_size(items) && i < MAX_NAMES; i++) {
        const char *name = ak_json_text(json_array_get(items, i), "metadata", "name", NULL);
        if (name)
            r = candidate(out, c, name, NULL);
    }
    return r;
}

/* Runs stand in the status of their Agents, which needs no manager. */
static int add_runs_of(const struct ak_completion *c, const json_t *agent, bool with_agent,
                       struct ak_arena *arena, struct ak_buf *out)
{
    const char *name = ak_json_text(agent, "metadata", "name", NULL);
    const json_t *runs = ak_json_at(agent, "status", "runs", NULL);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(runs) && i < MAX_NAMES; i++) {
        const json_t *run = json_array_get(runs, i);
        const char *id = ak_json_text(run, "id", NULL);
        const char *phase = ak_json_text(run, "phase", NULL);
        if (id && with_agent && name)
            id = ak_arena_printf(arena, "%s/%s", name, id);
        if (id)
            r = candidate(out, c, id, phase);
    }
    return r;
}

/* One object; without a name all of its kind. */
static int fetch(struct ak_exo *self, const char *kind, const char *name, json_t **ret)
{
    AK_AUTO(ak_buf) path = {0};
    const struct ak_objects_query q = {
        .resource = ak_kinds_find(kind), .ns = self->ns, .name = name};

    int r = ak_objects_path(&q, &path, NULL);
    const struct ak_call call = {
        .method = "GET", .path = ak_buf_text(&path), .timeout = TIME_LIMIT};
    return r < 0 ? r : ak_client_call(self->client, &call, ret, NULL);
}

static int add_runs(struct ak_exo *self, const struct ak_completion *c, const char *agent,
                    struct ak_buf *out)
{
    AK_AUTO_JSON *answer = NULL;
    int r = fetch(self, "Agent", agent, &answer);

    if (r >= 0 && agent)
        return add_runs_of(c, answer, false, self->arena, out);
    const json_t *items = json_object_get(answer, "items");
    for (size_t i = 0; r >= 0 && i < json_array_size(items); i++)
        r = add_runs_of(c, json_array_get(items, i), true, self->arena, out);
    return r;
}

static int add_operations(const struct ak_completion *c, const json_t *tool, struct ak_buf *out)
{
    const char *name = ak_json_text(tool, "spec", "type", NULL);
    int type = -1, r = 0;

    if (name)
        type = ak_tool_type_from_string(name);
    const struct ak_engine_info *info = type < 0 ? NULL : ak_engine_info((enum ak_tool_type)type);
    for (size_t i = 0; r >= 0 && info && i < info->n_operations; i++)
        r = candidate(out, c, info->operations[i].name, info->operations[i].title);
    return r;
}

/* What stands in a Tool's status, which needs no manager. */
static int add_of_status(const struct ak_completion *c, const json_t *tool, struct ak_buf *out)
{
    bool pending = c->names == AK_COMPLETE_APPROVALS;
    const json_t *list = ak_json_at(tool, "status", pending ? "approvals" : "recordings", NULL);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(list) && i < MAX_NAMES; i++) {
        const json_t *one = json_array_get(list, i);
        const char *id = ak_json_text(one, "id", NULL);
        if (id && (!pending || ak_streq(ak_json_text(one, "phase", NULL), "Pending")))
            r = candidate(out, c, id, ak_json_text(one, pending ? "operation" : "user", NULL));
    }
    return r;
}

static int add_of_tool(struct ak_exo *self, const struct ak_completion *c, struct ak_buf *out)
{
    AK_AUTO_JSON *tool = NULL;
    int r = fetch(self, "Tool", c->of, &tool);

    if (r < 0)
        return r;
    return c->names == AK_COMPLETE_OPERATIONS ? add_operations(c, tool, out)
                                              : add_of_status(c, tool, out);
}

static int add_names(struct ak_exo *self, const struct ak_completion *c, struct ak_buf *out)
{
    switch (c->names) {
    case AK_COMPLETE_OBJECTS:
        return add_objects(self, c, c->options.command->kind, out);
    case AK_COMPLETE_AGENTS:
        return add_objects(self, c, "Agent", out);
    case AK_COMPLETE_NAMESPACES:
        return add_objects(self, c, "Namespace", out);
    case AK_COMPLETE_RUNS:
        return add_runs(self, c, c->of, out);
    case AK_COMPLETE_ALL_RUNS:
        return add_runs(self, c, NULL, out);
    case AK_COMPLETE_OPERATIONS:
    case AK_COMPLETE_APPROVALS:
    case AK_COMPLETE_RECORDINGS:
        return add_of_tool(self, c, out);
    case AK_COMPLETE_NONE:
        return 0;
    }
    return 0;
}

/* Silent when anything fails: the user is in the middle of a line. */
int ak_verb_complete(struct ak_exo *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    const char *const *words = self->options->rest;
    struct ak_completion c;
    size_t n = 0;

    while (words && words[n] && n < MAX_WORDS)
        n++;
    if (ak_complete(words, n, self->options->environ_, self->arena, &c, &out) < 0)
        return AK_EXIT_OK;
    if (c.names != AK_COMPLETE_NONE) {
        self->options = &c.options;
        if (ak_exo_connect(self, NULL) >= 0)
            (void)!add_names(self, &c, &out);
    }
    (void)!ak_exo_print(&out, reterr);
    return AK_EXIT_OK;
}
