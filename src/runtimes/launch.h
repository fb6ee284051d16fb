/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one run of a runtime's command line program is started: arguments, environment,
 * configuration files, standard input. Pure: nothing is written or started here.
 *
 * Every program is told the same things: that nobody is there to answer a question, that its model
 * is behind the keeper (with a placeholder for a key), that its tools are behind the keeper's MCP
 * endpoint, that it neither updates itself nor reports home, and that it gives up on a dead provider
 * within minutes where it has a switch for that. docs/runtimes.md has the table.
 */
#ifndef AK_RUNTIMES_LAUNCH_H
#define AK_RUNTIMES_LAUNCH_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtimes/runtimes.h"

/* The header of a model call that names its run, where the program can be told to send it. */
#define AK_RUN_ID_HEADER "x-agentkube-run-id"

/* Of a prompt, and of what surrounds it in one argument: Linux takes 128 KiB an argument with its NUL. */
#define AK_LAUNCH_MAX_PROMPT (512u << 10)
#define AK_LAUNCH_MAX_ARGUMENT ((128u << 10) - 1)

struct ak_launch_input {
    const struct ak_runtime *runtime;
    const char *provider;  /* name, or NULL: the runtime's own */
    const char *model;     /* NULL: the runtime's own default */
    const char *model_url; /* the keeper's, no slash at its end; NULL: the program's own provider */
    const char *mcp_url;   /* NULL: no tools */
    const char *run_id;    /* sent along with model calls, for the keeper's log; NULL: none */
    const char *prompt;    /* goal and prompt of the run; must not be empty (but for Custom) */
    const char *workspace; /* absolute path, the run's working directory */
    const char *home;      /* absolute path */
    const char *const *command; /* spec.run.command for Custom, NULL-terminated; else NULL */
};

/* A file that has to be there when the program starts. */
struct ak_launch_file {
    const char *path; /* absolute, below home; folders above it are made with mode 0700 */
    const char *content;
    unsigned mode;
};

/* Everything is borrowed from the arena (or constant). */
struct ak_launch {
    const char *const
        *argv; /* NULL-terminated; argv[0] is looked for in PATH unless it has a slash */
    const struct ak_pair *env; /* replaces what the container has; ends with a NULL key */
    const struct ak_pair
        *defaults; /* only where the container's environment has none of that name */
    const struct ak_launch_file *files; /* written before each run; ends with a NULL path */
    const char *input;                  /* for standard input; NULL: /dev/null */
    enum ak_output_format format;       /* of standard output, for struct ak_reader */
};

/*
 * -EINVAL says what is missing (a prompt, a command), AK_E_TOO_LARGE which limit the prompt exceeds.
 * Thread: any.
 */
AK_MUST_USE int ak_launch_make(const struct ak_launch_input *in, struct ak_arena *arena,
                               struct ak_launch *ret, struct ak_error **reterr);

#endif
