/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of exo: the table of commands, and what was typed. Every --help, and what the shells
 * complete, comes from the tables. Pure: nothing is printed here, nothing is read but argv and environ.
 */
#ifndef AK_EXO_COMMAND_H
#define AK_EXO_COMMAND_H

#include <ak/base/arena.h>
#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stdbool.h>

#include "terminal/flags.h"

#define AK_EXO_SYSTEM_NAMESPACE "agentkube-system"
#define AK_EXO_MAX_ARGS 256

struct ak_exo;
struct ak_kind_name;

enum ak_exo_output {
    AK_OUT_TABLE,
    AK_OUT_WIDE,
    AK_OUT_JSON,
    AK_OUT_YAML,
    AK_OUT_NAME,
};
/* What the last words of a command are, for completion. */
enum ak_exo_operand {
    AK_OPERAND_NONE,
    AK_OPERAND_OBJECTS,   /* NAME... of the command's kind */
    AK_OPERAND_AGENT,     /* one agent */
    AK_OPERAND_AGENT_RUN, /* an agent and one of its runs */
    AK_OPERAND_RUN,       /* a run's id, or AGENT/ID */
    AK_OPERAND_FIRST,     /* one object of the command's kind, then words of another sort */
    AK_OPERAND_OPERATION, /* a Tool and an operation of its type */
    AK_OPERAND_APPROVAL,  /* a Tool and what waits there */
    AK_OPERAND_RECORDING, /* a Tool and one of its recordings */
    AK_OPERAND_SHELL,     /* bash, zsh, fish */
};

typedef int (*ak_exo_fn)(struct ak_exo *self, struct ak_error **reterr);
struct ak_command {
    const char *noun; /* NULL: the verb stands alone ("doctor") */
    const char *verb;
    const char *alias; /* another word for the verb, or NULL */
    ak_exo_fn run;
    const char *args; /* as in help: "NAME [PROMPT|-]" */
    size_t min_args, max_args;
    enum ak_exo_operand operand;
    uint64_t flags;   /* groups of flags, see command.c */
    unsigned outputs; /* bits 1 << enum ak_exo_output, AK_OUT_TABLE beside what -o names */
    const char *kind; /* the kind of objects that it is about, or NULL */
    const char *about, *more;
    bool is_offline, is_hidden;
    bool takes_rest; /* words behind "--" */
};

/* Texts point into argv, the environment or the arena; NULL: not given. */
struct ak_exo_options {
    const struct ak_command *command; /* NULL: help of the program, or of `noun` */
    const char *noun;
    bool help;
    const char *const *args; /* what is not a flag */
    size_t n_args;
    const char *const *rest; /* what follows "--", NULL-terminated; NULL: there was none */

    const char *kubeconfig, *context, *namespace_, *operator_namespace, *selector, *key;
    const char *field_manager, *address, *reason;
    bool all_namespaces, watch, follow, no_color, force_conflicts, dry_run, wait, ignore_not_found;
    bool client_only, no_headers, all, tty_off, read_only;
    bool kubeconfig_is_default; /* ~/.kube/config, because nothing else was said */
    int output;                 /* enum ak_exo_output */
    ak_msec timeout, hold;      /* 0: not given */
    ak_msec idle_limit;         /* 0: not given */
    int64_t tail, speed;        /* -1: not given */
    struct ak_flag_list files;

    const char *home, *service_host, *service_port, *https_proxy, *no_proxy;
    const char *const *environ_;
};

/* -EINVAL says what was wrong, and for an unknown verb which one is near. */
AK_MUST_USE int ak_command_parse(struct ak_exo_options *self, int argc, const char *const *argv,
                                 const char *const *environ_, struct ak_arena *arena,
                                 struct ak_error **reterr);
/* What --help prints. */
AK_MUST_USE int ak_command_help(const struct ak_exo_options *self, struct ak_buf *out);
/* "agent list", into a buffer. */
const char *ak_command_label(const struct ak_command *command, char buf[static 64]);

/* Names of enum ak_exo_output, NULL-terminated. */
extern const char *const ak_command_outputs[];
/* All commands, ended by one whose verb is NULL. */
const struct ak_command *ak_command_table(void);
/* The first words that want a verb, ended by one whose noun is NULL. */
struct ak_noun {
    const char *noun, *about;
};
const struct ak_noun *ak_command_nouns(void);
/* "agents" -> "agent"; NULL: no noun. */
const char *ak_command_noun(const char *word);
const struct ak_command *ak_command_find(const char *noun, const char *verb);
/* The flags of a command; NULL: those that every command has. */
struct ak_flags ak_command_flags(const struct ak_command *command);

#endif
