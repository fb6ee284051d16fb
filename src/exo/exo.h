/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exo: agents from the command line.
 *
 *     command  the table of verbs, what was typed      kinds    the five kinds: names, paths
 *     objects  lists as tables, JSON, YAML             proxy    requests to the manager's invocation API
 *     follow   a run's events, over broken lines       render   events as lines for people
 *     records  runs by name, as rows                   shown    events on this terminal
 *     doctor   what is between here and a run          tools    what the verbs of Tools share
 *     verb_*.c the verbs                               command_table  every command and flag
 *
 * Objects are read and written with the user's own rights, straight at the apiserver. Runs go through the
 * apiserver's service proxy to the manager, which asks the apiserver who the user is and what is allowed.
 * Verbs return an exit code, or a negative code with the text in *reterr that main() prints.
 */
#ifndef AK_EXO_EXO_H
#define AK_EXO_EXO_H

#include <ak/base/arena.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/json/json.h>
#include <ak/kube/client.h>

#include "exo/command.h"
#include "terminal/screen.h"

#define AK_EXO_GROUP "agentkube.io"
#define AK_EXO_NAME "agentkube-manager" /* Service, Deployment, Lease, webhook configuration */
#define AK_EXO_ACCOUNT "agentkube-cli"  /* ServiceAccount for kubeconfigs without a token */
#define AK_EXO_FIELD_MANAGER "exo"

/* Documented in `exo --help` and exo(1). */
enum ak_exit {
    AK_EXIT_OK = 0,
    AK_EXIT_FAILED = 1,
    AK_EXIT_USAGE = 2,
    AK_EXIT_NOT_FOUND = 3,
    AK_EXIT_FORBIDDEN = 4,
    AK_EXIT_BUSY = 5,
    AK_EXIT_RUN_FAILED = 6,
    AK_EXIT_TIMEOUT = 7,
};

struct ak_exo {
    const struct ak_exo_options *options;
    struct ak_arena *arena; /* lives as long as the program */
    struct ak_screen screen;
    struct ak_kube_config *config; /* NULL before ak_exo_connect() */
    struct ak_client *client;
    const char *ns;             /* of this call */
    struct ak_mutex token_lock; /* guards what follows */
    struct ak_secret *token;    /* for the manager; NULL before it is needed */
    ak_msec token_since;
};

void ak_exo_init(struct ak_exo *self, const struct ak_exo_options *options, struct ak_arena *arena);
/* Reads the kubeconfig; sends nothing. Done by main() for every command that talks to a cluster. */
AK_MUST_USE int ak_exo_connect(struct ak_exo *self, struct ak_error **reterr);
void ak_exo_done(struct ak_exo *self);
/* The exit code of a failed call. `err` may be NULL. */
enum ak_exit ak_exo_exit_of(int code, const struct ak_error *err);

/* Writes to stdout. -EPIPE and the like are errors: nobody reads any more. */
AK_MUST_USE int ak_exo_print(const struct ak_buf *text, struct ak_error **reterr);
AK_MUST_USE int ak_exo_write(int fd, const char *data, size_t len, struct ak_error **reterr);

/* All of standard input; more than `out` may hold is a mistake of the user (-EINVAL): "the prompt is longer than ...". */
AK_MUST_USE int ak_exo_read_input(struct ak_buf *out, const char *what, struct ak_error **reterr);

#endif
