/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/command.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/nearest.h"
#include "exo/verbs.h"

static const struct {
    const char *word, *noun;
} nouns[] = {
    {"agent", "agent"},
    {"agents", "agent"},
    {"ag", "agent"},
    {"tool", "tool"},
    {"tools", "tool"},
    {"tl", "tool"},
    {"mcp", "mcp"},
    {"mcps", "mcp"},
    {"llmgateway", "llmgateway"},
    {"llmgateways", "llmgateway"},
    {"claw", "claw"},
    {"claws", "claw"},
    {"run", "run"},
    {"runs", "run"},
    {"session", "session"},
    {"sessions", "session"},
};

const char *ak_command_noun(const char *word)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(nouns); i++)
        if (ak_streq(nouns[i].word, word))
            return nouns[i].noun;
    return NULL;
}

const struct ak_command *ak_command_find(const char *noun, const char *verb)
{
    for (const struct ak_command *c = ak_command_table(); c->verb; c++)
        if (ak_streq(c->noun, noun) &&
            (ak_streq(c->verb, verb) || (c->alias && ak_streq(c->alias, verb))))
            return c;
    return NULL;
}

const char *ak_command_label(const struct ak_command *command, char buf[static 64])
{
    (void)snprintf(buf, 64, "%s%s%s", command->noun ? command->noun : "", command->noun ? " " : "",
                   command->verb);
    return buf;
}

static int refuse_word(const char *noun, const char *word, struct ak_error **reterr)
{
    struct ak_nearest near = {.word = word};
    const char *best = noun ? "list" : NULL;

    for (const struct ak_command *c = ak_command_table(); c->verb; c++) {
        if (c->is_hidden)
            continue;
        if (noun ? ak_streq(c->noun, noun) : !c->noun)
            ak_nearest_try(&near, c->verb);
        if (!noun && c->noun)
            ak_nearest_try(&near, c->noun);
    }
    if (near.best)
        best = near.best;
    if (!best || !near.best)
        return ak_error_set(reterr, -EINVAL, "unknown %s \"%s\"", noun ? "verb" : "command", word);
    return ak_error_set(reterr, -EINVAL, "unknown %s \"%s\"; did you mean \"%s%s%s\"?",
                        noun ? "verb" : "command", word, noun ? noun : "", noun ? " " : "", best);
}

/* The first word, or the second one. */
static int take_word(struct ak_exo_options *self, const char *word, struct ak_error **reterr)
{
    if (!self->noun && ak_streq(word, "help")) {
        self->help = true;
        return 0;
    }
    if (!self->noun && (self->noun = ak_command_noun(word)))
        return 0;
    self->command = ak_command_find(self->noun, word);
    return self->command ? 0 : refuse_word(self->noun, word, reterr);
}

static int take_argument(struct ak_exo_options *self, const char *word, const char **args,
                         struct ak_error **reterr)
{
    if (self->n_args == AK_EXO_MAX_ARGS)
        return ak_error_set(reterr, -EINVAL, "more than %d arguments", AK_EXO_MAX_ARGS);
    args[self->n_args++] = word;
    return 0;
}

static int take(struct ak_exo_options *self, int argc, const char *const *argv, int *at,
                const char **args, struct ak_error **reterr)
{
    const char *arg = argv[*at];

    if (!self->command && ak_streq(arg, "--version"))
        return take_word(self, "version", reterr);
    if (arg[0] == '-' && arg[1]) {
        char label[64] = "exo";
        struct ak_flags known = ak_command_flags(self->command);
        if (self->command)
            known.who = ak_command_label(self->command, label);
        return ak_flags_take(&known, argc, argv, at, self, reterr);
    }
    return self->command ? take_argument(self, arg, args, reterr) : take_word(self, arg, reterr);
}

static int read_environment(struct ak_exo_options *self, const char *const *environ_,
                            struct ak_arena *arena, struct ak_error **reterr)
{
    static const struct {
        const char *name;
        size_t offset;
    } variables[] = {
        {"HOME", offsetof(struct ak_exo_options, home)},
        {"KUBERNETES_SERVICE_HOST", offsetof(struct ak_exo_options, service_host)},
        {"KUBERNETES_SERVICE_PORT", offsetof(struct ak_exo_options, service_port)},
        {"https_proxy", offsetof(struct ak_exo_options, https_proxy)},
        {"HTTPS_PROXY", offsetof(struct ak_exo_options, https_proxy)},
        {"no_proxy", offsetof(struct ak_exo_options, no_proxy)},
        {"NO_PROXY", offsetof(struct ak_exo_options, no_proxy)},
    };
    for (size_t i = 0; i < AK_ARRAY_LEN(variables); i++) {
        const char *value = ak_flags_variable(environ_, variables[i].name);
        if (value)
            *(const char **)((char *)self + variables[i].offset) = value;
    }
    self->environ_ = environ_;
    if (!self->kubeconfig)
        self->kubeconfig = ak_flags_variable(environ_, "KUBECONFIG");
    if (self->kubeconfig || self->service_host || !self->home)
        return 0;
    self->kubeconfig_is_default = true;
    self->kubeconfig = ak_arena_printf(arena, "%s/.kube/config", self->home);
    return self->kubeconfig ? 0 : ak_error_oom(reterr);
}

static int check(const struct ak_exo_options *self, struct ak_error **reterr)
{
    const struct ak_command *c = self->command;
    char label[64];

    if (self->n_args < c->min_args)
        return ak_error_set(reterr, -EINVAL, "%s needs %s", ak_command_label(c, label), c->args);
    if (self->n_args > c->max_args)
        return ak_error_set(reterr, -EINVAL, "%s: unexpected argument \"%s\"",
                            ak_command_label(c, label), self->args[c->max_args]);
    if (self->rest && !c->is_hidden && !c->takes_rest)
        return ak_error_set(reterr, -EINVAL, "%s takes nothing behind \"--\"",
                            ak_command_label(c, label));
    if (self->output != AK_OUT_TABLE && !(c->outputs & (1u << self->output)))
        return ak_error_set(reterr, -EINVAL, "%s has no format \"%s\"", ak_command_label(c, label),
                            ak_command_outputs[self->output]);
    return 0;
}

/* What follows "--": the command of a shell, or a prompt that begins with a dash. */
static int take_rest(struct ak_exo_options *self, const char *const *rest, const char **args,
                     struct ak_error **reterr)
{
    int r = 0;

    if (self->command && self->command->run == ak_verb_run) {
        for (; r >= 0 && *rest; rest++)
            r = take_argument(self, *rest, args, reterr);
        return r;
    }
    self->rest = rest;
    return 0;
}

int ak_command_parse(struct ak_exo_options *self, int argc, const char *const *argv,
                     const char *const *environ_, struct ak_arena *arena, struct ak_error **reterr)
{
    const char **args = ak_arena_alloc(arena, (AK_EXO_MAX_ARGS + 1) * sizeof(*args));
    int r = 0;

    *self = (struct ak_exo_options){.tail = -1, .speed = -1, .wait = true, .args = args};
    if (!args)
        return ak_error_oom(reterr);
    for (int at = 1; r >= 0 && at < argc; at++) {
        if (self->command && self->command->is_hidden) { /* another program's words */
            self->rest = argv + at;
            break;
        }
        if (ak_streq(argv[at], "--")) {
            r = take_rest(self, argv + at + 1, args, reterr);
            break;
        }
        r = take(self, argc, argv, &at, args, reterr);
    }
    if (r >= 0)
        r = read_environment(self, environ_, arena, reterr);
    if (!self->operator_namespace)
        self->operator_namespace = AK_EXO_SYSTEM_NAMESPACE;
    if (!self->field_manager)
        self->field_manager = "exo";
    self->help |= !self->command; /* as kubectl does it */
    return r < 0 || self->help ? r : check(self, reterr);
}
