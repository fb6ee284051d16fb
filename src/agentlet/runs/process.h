/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process of a run: its input, its two outputs, its group. Output is handed over as it is read; who
 * takes it slowly slows the process down, because nothing is held here. Thread: one.
 */
#ifndef AK_AGENTLET_RUNS_PROCESS_H
#define AK_AGENTLET_RUNS_PROCESS_H

#include "agentlet/poller.h"
#include "process/family.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Borrowed for the call. */
typedef void (*ak_process_output_fn)(void *user, bool is_stderr, const char *data, size_t len);

struct ak_process_pipe {
    struct ak_process *process;
    int fd; /* -1: closed */
};

struct ak_process {
    struct ak_family *family;
    struct ak_poller *poller;
    struct ak_process_pipe out, err;
    ak_process_output_fn fn;
    void *user;
    pid_t pid; /* 0: none was started; stays after the end */
    int status;
    bool is_running;
    bool has_ended; /* and its output was read */
};

struct ak_process_options {
    const char *const *argv; /* argv[0] is looked for in PATH unless it has a slash */
    const char *const *envp;
    const char *cwd;
    const char *input; /* NULL: nothing */
    ak_process_output_fn fn;
    void *user;
};

/* -ENOENT: no such program. self must not move while it runs. */
AK_MUST_USE int ak_process_start(struct ak_process *self, struct ak_family *family,
                                 struct ak_poller *poller, const struct ak_process_options *options,
                                 struct ak_error **reterr);
void ak_process_signal(const struct ak_process *self, int signal); /* to the group */
/* Closes the pipes; does not kill. Not while it runs: its end would find nobody. */
void ak_process_done(struct ak_process *self);
/* 128 plus the signal, like a shell. */
int ak_process_exit_code(const struct ak_process *self);
bool ak_process_was_killed(const struct ak_process *self); /* by SIGKILL, or says so by 137 */

#endif
