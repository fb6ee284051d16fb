/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The family of types whose protocol is spoken by a client program that has to log in itself: ssh, mongodb,
 * kafka, sqlserver, oracle, custom. One use of such a program is a struct ak_process: its words, environment
 * and files are collected, then it is run in container `client` (or, by probe and provision, which have the
 * type's image to themselves, right here), or handed to the core, which runs it for a session.
 *
 * Where a credential goes: into files of mode 0600 in /tmp, which is memory, or through stdin. Never into
 * arguments, nor into the environment: others can read those.
 *
 *     AK_AUTO(ak_process) use = {.target = target, .session = session};
 *     r = ak_process_begin(&use, arena, read_only, reterr);
 *     ak_process_args(&use, "kcat", "-F", NULL);
 *     ak_process_arg(&use, "%s", ak_process_file(&use, "config", text.data, text.len, 0));
 *     r = ak_process_run(&use, NULL, 0, &output, reterr);
 *
 * What is collected cannot fail on its own: the first thing that went wrong is returned by finish() and run().
 */
#ifndef AK_BASTION_ENGINES_PROCESS_PROCESS_H
#define AK_BASTION_ENGINES_PROCESS_PROCESS_H

#include <ak/base/buf.h>

#include "bastion/engine.h"
#include "bastion/session.h"

#define AK_PROCESS_MAX_WORDS 512
#define AK_PROCESS_MAX_ENV 96
#define AK_PROCESS_MAX_FILE (1u << 20)

struct ak_process {
    const struct ak_target *target;
    struct ak_session *session;     /* NULL: the program runs in this container */
    const struct ak_cancel *cancel; /* without a session; may be NULL */
    ak_msec deadline;
    size_t max_bytes; /* of output; 0: 1 MiB */

    struct ak_arena *arena;
    struct ak_login login;
    const char *prefix; /* of the paths of its files */
    const char **argv, **env;
    size_t n_argv, n_env;
    struct ak_client_file files[AK_CLIENT_MAX_FILES];
    size_t n_files;
    int broken; /* the first error of what was collected */
};
/* Reads the login: the reader's or writer's identity, or the Tool's credential. */
AK_MUST_USE int ak_process_begin(struct ak_process *self, struct ak_arena *arena, bool read_only,
                                 struct ak_error **reterr);
/* The same as the administrator, for provisioning. */
AK_MUST_USE int ak_process_begin_admin(struct ak_process *self, struct ak_arena *arena,
                                       struct ak_error **reterr);
/* Wipes the contents of its files, and the login. */
void ak_process_done(struct ak_process *self);
AK_DEFINE_AUTO(ak_process, ak_process_done)

void ak_process_args(struct ak_process *self, ...) __attribute__((sentinel));
void ak_process_arg(struct ak_process *self, const char *fmt, ...) AK_PRINTF(2, 3);
void ak_process_env(struct ak_process *self, const char *fmt, ...) AK_PRINTF(2, 3);
/* A file of the program's: the path that it will have. mode 0: 0600. "" when it cannot be. The name is a
 * literal. */
const char *ak_process_file(struct ak_process *self, const char *name, const char *data, size_t len,
                            unsigned mode);
/* The path that ak_process_file() will give, for a file that speaks of itself. */
const char *ak_process_path(struct ak_process *self, const char *name);
/* The authorities that the Tool names, as a file of the program's; NULL in *ret: it names none. */
AK_MUST_USE int ak_process_ca(struct ak_process *self, const char **ret, struct ak_error **reterr);
/* The login's password; "" if there is none. */
const char *ak_process_password(const struct ak_process *self);
/* The user name, in the arena: a command outlives the login. -EINVAL: the Tool has none. */
AK_MUST_USE int ak_process_username(const struct ak_process *self, const char **ret,
                                    struct ak_error **reterr);
/* -E2BIG, "WHAT is too long", for the code of a buffer; out of memory stays that. */
AK_MUST_USE int ak_process_too_long(int code, const char *what, struct ak_error **reterr);
/* What was collected, as a command. */
AK_MUST_USE int ak_process_finish(struct ak_process *self, struct ak_client_command *ret,
                                  struct ak_error **reterr);
/* Runs it to its end; an exit code is no error. The password is cut out of the output. */
AK_MUST_USE int ak_process_run(struct ak_process *self, const char *input, size_t input_len,
                               struct ak_client_output *ret, struct ak_error **reterr);

/* --- what a type implements; process.c has the table --- */

struct ak_process_kind {
    int (*probe)(struct ak_process *self, struct ak_probe_result *ret, struct ak_error **reterr);
    int (*call)(struct ak_process *self, struct ak_call *call, struct ak_error **reterr);
    /* NULL: people have operations only. */
    int (*client)(struct ak_process *self, const char *const *args, bool tty,
                  struct ak_error **reterr);
    /* As the administrator. `away`: removes what was made. */
    int (*provision)(struct ak_process *self, bool away, struct ak_provision_result *ret,
                     struct ak_error **reterr);
};
extern const struct ak_process_kind ak_process_ssh, ak_process_mongodb, ak_process_kafka,
    ak_process_sqlserver, ak_process_oracle, ak_process_custom;
const struct ak_process_kind *ak_process_kind_of(enum ak_tool_type type);

extern const struct ak_engine ak_engine_process;

#endif
