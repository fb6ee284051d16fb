/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects what a launch is made of, in the launch's arena. The first failure sticks, so that the code
 * for a program reads as a list of what it needs; ak_maker_finish() returns it.
 */
#ifndef AK_RUNTIMES_LAUNCH_MAKER_H
#define AK_RUNTIMES_LAUNCH_MAKER_H

#include <jansson.h>

#include "runtimes/launch.h"

#define AK_MAKER_MAX_ARGS 96 /* spec.run.command has at most 64 */
#define AK_MAKER_MAX_PAIRS 24
#define AK_MAKER_MAX_FILES 4

struct ak_maker {
    const struct ak_launch_input *in;
    const struct ak_provider *provider; /* of in->provider, else the runtime's own; NULL: unknown */
    struct ak_provider stranger; /* one that the table does not have: it speaks like OpenAI */
    const char *model;           /* without the provider's name in front; NULL: the default */
    struct ak_arena *arena;
    struct ak_error **reterr;
    int failed; /* 0, or the code of what went wrong first */
    const char *argv[AK_MAKER_MAX_ARGS + 1];
    struct ak_pair env[AK_MAKER_MAX_PAIRS + 1];
    struct ak_pair defaults[AK_MAKER_MAX_PAIRS + 1];
    struct ak_launch_file files[AK_MAKER_MAX_FILES + 1];
    size_t args, envs, default_envs, file_count;
    const char *input;
};

/* Arguments; NULL ends the list. */
void ak_maker_args(struct ak_maker *m, const char *first, ...) __attribute__((sentinel));
/* The prompt as the last argument, after "--" if the program needs it. A longer one than an argument may be
 * becomes a file of which the argument speaks; one word gets a line feed, so that no program takes it for the
 * name of a command. */
void ak_maker_prompt_argument(struct ak_maker *m, const char *separator);
void ak_maker_env(struct ak_maker *m, const char *name, const char *value);
void ak_maker_default(struct ak_maker *m, const char *name, const char *value);
/* path is below home. */
void ak_maker_file(struct ak_maker *m, const char *path, const char *content);
/* The same with JSON; takes the reference, NULL is "no memory". */
void ak_maker_json_file(struct ak_maker *m, const char *path, json_t *content);
/* Text in the arena; "" after a failure, so that it can be passed on. */
const char *ak_maker_text(struct ak_maker *m, const char *fmt, ...) AK_PRINTF(2, 3);
/* Takes the reference. "" after a failure. */
const char *ak_maker_json(struct ak_maker *m, json_t *value);
/* A program that has no model of its own behind the keeper: fails unless model and provider are known. */
void ak_maker_needs_model(struct ak_maker *m);
bool ak_maker_is_provider(const struct ak_maker *m, const char *name);

/* One for each program. */
void ak_launch_claude(struct ak_maker *m);
void ak_launch_codex(struct ak_maker *m);
void ak_launch_opencode(struct ak_maker *m);
void ak_launch_aider(struct ak_maker *m);
void ak_launch_cline(struct ak_maker *m);
void ak_launch_goose(struct ak_maker *m);
void ak_launch_cursor(struct ak_maker *m);
void ak_launch_custom(struct ak_maker *m);

#endif
