/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/command.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/nearest.h"
#include "exo/verbs.h"

/* Groups of flags: a command has some of them. */
enum {
    F_ALL = 1 << 0,     /* every command */
    F_CLUSTER = 1 << 1, /* talks to a cluster */
    F_SPACE = 1 << 2,   /* is about one namespace */
    F_SPACES = 1 << 3,  /* or about all of them */
    F_SELECT = 1 << 4,
    F_WATCH = 1 << 5,
    F_OBJECTS = 1 << 6, /* -o of objects, of a tree, of a run that starts, of events */
    F_TREE = 1 << 18,
    F_STARTED = 1 << 19,
    F_EVENTS = 1 << 20,
    F_SYSTEM = 1 << 7, /* has to find the manager */
    F_FOLLOW = 1 << 8,
    F_LOGS = 1 << 9,
    F_RUN = 1 << 10,
    F_FILE = 1 << 11,
    F_APPLY = 1 << 12,
    F_DELETE = 1 << 13,
    F_VERSION = 1 << 14,
    F_CANCEL = 1 << 15,
    F_SHELL = 1 << 16,
    F_HEADERS = 1 << 17,
};
#define OUT(name) (1u << AK_OUT_##name)
#define OUT_OBJECTS (OUT(WIDE) | OUT(JSON) | OUT(YAML) | OUT(NAME))
#define F_HERE (F_CLUSTER | F_SPACE)
#define F_LIST (F_HERE | F_SPACES | F_SELECT | F_WATCH | F_OBJECTS | F_HEADERS)
#define F_INVOKE (F_HERE | F_SYSTEM)

static const char *const outputs[] = {"table", "wide", "json", "yaml", "name", NULL};

#define FLAG(flag_name, flag_letter, flag_type, member, groups, flag_value, flag_help)             \
    {                                                                                              \
        .name = (flag_name), .letter = (flag_letter), .type = (AK_FLAG_##flag_type),               \
        .offset = offsetof(struct ak_exo_options, member), .where = (groups),                      \
        .value = (flag_value), .help = (flag_help), .choices = outputs                             \
    }

static const struct ak_flag flags[] = {
    FLAG("namespace", 'n', TEXT, namespace_, F_SPACE, "NAME",
         "namespace (default: of the kubeconfig's context)"),
    FLAG("all-namespaces", 'A', BOOL, all_namespaces, F_SPACES, NULL, "in every namespace"),
    FLAG("selector", 'l', TEXT, selector, F_SELECT | F_DELETE, "LABELS",
         "only objects with these labels, as in app=x,tier!=y"),
    FLAG("watch", 'w', BOOL, watch, F_WATCH, NULL, "go on with each change, until interrupted"),
    FLAG("output", 'o', CHOICE, output, F_OBJECTS, "json|yaml|wide|name", "format"),
    FLAG("output", 'o', CHOICE, output, F_TREE, "json|yaml", "format"),
    FLAG("output", 'o', CHOICE, output, F_STARTED, "json|yaml|name", "format"),
    FLAG("output", 'o', CHOICE, output, F_EVENTS, "json", "format: one event a line"),
    FLAG("no-headers", 0, BOOL, no_headers, F_HEADERS, NULL, "leave the first line of tables out"),
    FLAG("follow", 'f', BOOL, follow, F_FOLLOW, NULL, "go on until the run has ended"),
    FLAG("tail", 0, COUNT, tail, F_LOGS, "N",
         "only the last N lines (with --follow: the last N events)"),
    FLAG("timeout", 0, PERIOD, timeout, F_RUN, "DURATION",
         "longest time that the run may take (default: the Agent's)"),
    FLAG("hold", 0, PERIOD, hold, F_RUN, "DURATION",
         "how long to wait for the agent's pod (default: 2m)"),
    FLAG("idempotency-key", 0, TEXT, key, F_RUN, "TEXT",
         "the same key starts one run only (default: a random one)"),
    FLAG("all", 0, BOOL, all, F_CANCEL, NULL, "every run that has not ended"),
    FLAG("filename", 'f', LIST, files, F_FILE, "FILE",
         "manifests, YAML or JSON; \"-\": standard input; may be repeated"),
    FLAG("force-conflicts", 0, BOOL, force_conflicts, F_APPLY, NULL,
         "take over fields that others own"),
    FLAG("field-manager", 0, TEXT, field_manager, F_APPLY, "NAME",
         "who owns the fields that are applied (default: exo)"),
    FLAG("dry-run", 0, BOOL, dry_run, F_APPLY | F_DELETE, NULL,
         "let the server check it, and change nothing"),
    FLAG("wait", 0, BOOL, wait, F_DELETE, NULL, "wait until it is gone (default: true)"),
    FLAG("timeout", 0, PERIOD, timeout, F_DELETE, "DURATION", "for the waiting (default: 5m)"),
    FLAG("ignore-not-found", 0, BOOL, ignore_not_found, F_DELETE, NULL,
         "what is not there is no failure"),
    FLAG("no-tty", 'T', BOOL, tty_off, F_SHELL, NULL, "no terminal, even if there is one"),
    FLAG("client", 0, BOOL, client_only, F_VERSION, NULL, "ask no cluster"),
    FLAG("operator-namespace", 0, TEXT, operator_namespace, F_SYSTEM, "NAME",
         "where the manager runs (default: " AK_EXO_SYSTEM_NAMESPACE ")"),
    FLAG("context", 0, TEXT, context, F_CLUSTER, "NAME", "context of the kubeconfig"),
    FLAG("kubeconfig", 0, TEXT, kubeconfig, F_CLUSTER, "FILE",
         "default: $KUBECONFIG, in-cluster, ~/.kube/config"),
    FLAG("no-color", 0, BOOL, no_color, F_ALL, NULL,
         "never colour (also: NO_COLOR, TERM=dumb, not a terminal)"),
    FLAG("help", 'h', BOOL, help, F_ALL, NULL, "what you see"),
};

#define LIST_COMMAND(noun_, kind_, plural)                                                         \
    {.noun = (noun_),                                                                              \
     .verb = "list",                                                                               \
     .alias = "ls",                                                                                \
     .run = ak_verb_list,                                                                          \
     .args = "[NAME...]",                                                                          \
     .max_args = AK_EXO_MAX_ARGS,                                                                  \
     .operand = AK_OPERAND_OBJECTS,                                                                \
     .flags = F_LIST,                                                                              \
     .outputs = OUT_OBJECTS,                                                                       \
     .kind = (kind_),                                                                              \
     .about = "list " plural},                                                                     \
    {                                                                                              \
        .noun = (noun_), .verb = "get", .run = ak_verb_list, .args = "[NAME...]",                  \
        .max_args = AK_EXO_MAX_ARGS, .operand = AK_OPERAND_OBJECTS, .flags = F_LIST,               \
        .outputs = OUT_OBJECTS, .kind = (kind_), .about = "show " plural " by name",               \
        .more = "Without a name it is the same as list."                                           \
    }

static const struct ak_command commands[] = {
    LIST_COMMAND("agent", "Agent", "Agents"),
    {.noun = "agent",
     .verb = "describe",
     .run = ak_verb_describe,
     .args = "NAME",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_AGENT,
     .flags = F_HERE,
     .kind = "Agent",
     .about = "everything about an Agent: spec, status, runs, events"},
    {.noun = "agent",
     .verb = "run",
     .run = ak_verb_run,
     .args = "NAME [PROMPT|-]",
     .min_args = 1,
     .max_args = 2,
     .operand = AK_OPERAND_AGENT,
     .flags = F_INVOKE | F_RUN | F_FOLLOW | F_STARTED,
     .outputs = OUT(JSON) | OUT(YAML) | OUT(NAME),
     .about = "start a run",
     .more = "The prompt follows the Agent's goal. \"-\": it is read from standard input.\n"
             "An agent that is suspended is woken first.\n"
             "Without --follow the id of the run is printed. With it, what the agent says is\n"
             "shown until the run ends, and the exit code says how; -o json: one event a line.\n"
             "Ctrl-C cancels the run, a second one only leaves."},
    {.noun = "agent",
     .verb = "logs",
     .run = ak_verb_logs,
     .args = "NAME [RUN]",
     .min_args = 1,
     .max_args = 2,
     .operand = AK_OPERAND_AGENT_RUN,
     .flags = F_INVOKE | F_FOLLOW | F_LOGS | F_EVENTS,
     .outputs = OUT(JSON),
     .about = "what a run said, as text; without RUN the newest one",
     .more = "-o json: one event a line."},
    {.noun = "agent",
     .verb = "runs",
     .run = ak_verb_runs,
     .args = "NAME",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_AGENT,
     .flags = F_INVOKE | F_OBJECTS | F_HEADERS,
     .outputs = OUT_OBJECTS,
     .about = "the runs of an Agent, newest first"},
    {.noun = "agent",
     .verb = "cancel",
     .run = ak_verb_cancel,
     .args = "NAME [RUN]",
     .min_args = 1,
     .max_args = 2,
     .operand = AK_OPERAND_AGENT_RUN,
     .flags = F_INVOKE | F_CANCEL,
     .about = "end a run; without RUN the one that is under way",
     .more = "Its processes are asked to end, and killed if they do not."},
    {.noun = "agent",
     .verb = "pause",
     .run = ak_verb_pause,
     .args = "NAME",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_AGENT,
     .flags = F_INVOKE,
     .about = "stop an Agent: its pod is removed, its workspace stays"},
    {.noun = "agent",
     .verb = "resume",
     .run = ak_verb_resume,
     .args = "NAME",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_AGENT,
     .flags = F_INVOKE,
     .about = "start a paused Agent again"},
    {.noun = "agent",
     .verb = "shell",
     .run = ak_verb_shell,
     .args = "NAME [-- COMMAND...]",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_AGENT,
     .flags = F_HERE | F_SHELL,
     .about = "a terminal in the agent's container",
     .more = "Without a command: bash if there is one, else sh. The exit code is the command's.\n"
             "The right to do it is pods/exec, and the Agent's own gate has to let you in."},
    {.noun = "agent",
     .verb = "apply",
     .run = ak_verb_apply,
     .args = "-f FILE",
     .flags = F_HERE | F_FILE | F_APPLY,
     .about = "create or change objects from manifests (server-side apply)",
     .more = "Objects of any kind: an Agent's ConfigMap and Secret are applied with it."},
    {.noun = "agent",
     .verb = "delete",
     .run = ak_verb_delete,
     .args = "NAME... | -f FILE | -l LABELS",
     .max_args = AK_EXO_MAX_ARGS,
     .operand = AK_OPERAND_OBJECTS,
     .flags = F_HERE | F_FILE | F_DELETE,
     .kind = "Agent",
     .about = "delete Agents, or the objects in manifests"},
    LIST_COMMAND("tool", "Tool", "Tools"),
    LIST_COMMAND("mcp", "MCP", "MCPs"),
    LIST_COMMAND("llmgateway", "LLMGateway", "LLMGateways"),
    LIST_COMMAND("claw", "Claw", "Claws"),
    {.noun = "run",
     .verb = "list",
     .alias = "ls",
     .run = ak_verb_runs,
     .args = "[AGENT]",
     .max_args = 1,
     .operand = AK_OPERAND_AGENT,
     .flags = F_INVOKE | F_SPACES | F_OBJECTS | F_HEADERS,
     .outputs = OUT_OBJECTS,
     .about = "list runs, newest first"},
    {.noun = "run",
     .verb = "get",
     .run = ak_verb_run_get,
     .args = "[AGENT/]ID",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_RUN,
     .flags = F_INVOKE | F_OBJECTS | F_HEADERS,
     .outputs = OUT_OBJECTS,
     .about = "one run; -o yaml has its whole record"},
    {.noun = "run",
     .verb = "cancel",
     .run = ak_verb_cancel,
     .args = "[AGENT/]ID",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_RUN,
     .flags = F_INVOKE,
     .about = "end a run"},
    {.noun = "run",
     .verb = "logs",
     .run = ak_verb_logs,
     .args = "[AGENT/]ID",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_RUN,
     .flags = F_INVOKE | F_FOLLOW | F_LOGS | F_EVENTS,
     .outputs = OUT(JSON),
     .about = "what a run said, as text",
     .more = "-o json: one event a line."},
    {.verb = "status",
     .run = ak_verb_status,
     .args = "",
     .flags = F_CLUSTER | F_SYSTEM | F_TREE,
     .outputs = OUT(JSON) | OUT(YAML),
     .about = "the manager, and how many Agents are in which state"},
    {.verb = "doctor",
     .run = ak_verb_doctor,
     .args = "",
     .flags = F_INVOKE | F_TREE,
     .outputs = OUT(JSON) | OUT(YAML),
     .about = "check every link from the kubeconfig to a run, and say what to do",
     .more = "Exit code 1 if a check fails; warnings are no failures.",
     .is_offline = true},
    {.verb = "version",
     .run = ak_verb_version,
     .args = "",
     .flags = F_CLUSTER | F_SYSTEM | F_TREE | F_VERSION,
     .outputs = OUT(JSON) | OUT(YAML),
     .about = "version of exo and of the manager",
     .is_offline = true},
    {.verb = "completion",
     .run = ak_verb_completion,
     .args = "bash|zsh|fish",
     .min_args = 1,
     .max_args = 1,
     .operand = AK_OPERAND_SHELL,
     .about = "a script that completes commands and names",
     .more = "bash:  source <(exo completion bash)\n"
             "zsh:   source <(exo completion zsh)\n"
             "fish:  exo completion fish | source",
     .is_offline = true},
    {.verb = "__complete",
     .run = ak_verb_complete,
     .args = "WORD...",
     .about = "what completion scripts ask",
     .is_offline = true,
     .is_hidden = true},
    {.verb = NULL},
};

static const struct {
    const char *word, *noun;
} nouns[] = {
    {"agent", "agent"},
    {"agents", "agent"},
    {"ag", "agent"},
    {"tool", "tool"},
    {"tools", "tool"},
    {"mcp", "mcp"},
    {"mcps", "mcp"},
    {"llmgateway", "llmgateway"},
    {"llmgateways", "llmgateway"},
    {"claw", "claw"},
    {"claws", "claw"},
    {"run", "run"},
    {"runs", "run"},
};

const struct ak_command *ak_command_table(void)
{
    return commands;
}

const char *ak_command_noun(const char *word)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(nouns); i++)
        if (ak_streq(nouns[i].word, word))
            return nouns[i].noun;
    return NULL;
}

const struct ak_command *ak_command_find(const char *noun, const char *verb)
{
    for (const struct ak_command *c = commands; c->verb; c++)
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

struct ak_flags ak_command_flags(const struct ak_command *command)
{
    /* Before the command is known: what nearly all have, and no letter that means two things. */
    static const uint64_t early = F_ALL | F_CLUSTER | F_SPACE | F_SPACES | F_SYSTEM;

    return (struct ak_flags){
        .items = flags,
        .len = AK_ARRAY_LEN(flags),
        .where = command ? command->flags | F_ALL : early,
        .who = "exo",
    };
}

static int refuse_word(const char *noun, const char *word, struct ak_error **reterr)
{
    struct ak_nearest near = {.word = word};
    const char *best = noun ? "list" : NULL;

    for (const struct ak_command *c = commands; c->verb; c++) {
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
    if (self->rest && !c->is_hidden && c->run != ak_verb_shell)
        return ak_error_set(reterr, -EINVAL, "%s takes nothing behind \"--\"",
                            ak_command_label(c, label));
    if (self->output != AK_OUT_TABLE && !(c->outputs & (1u << self->output)))
        return ak_error_set(reterr, -EINVAL, "%s has no format \"%s\"", ak_command_label(c, label),
                            outputs[self->output]);
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

    *self = (struct ak_exo_options){.tail = -1, .wait = true, .args = args};
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
