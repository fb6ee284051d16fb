/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a container's PID 1 (the agentlet's, the bastion's client). What it starts gets a
 * session, and so a process group, of its own, and is remembered until the last member of the group
 * is gone; whatever else dies in the container is reaped. Signals must be blocked before the first start;
 * children get them back as they are by default. Thread: one.
 */
#ifndef AK_PROCESS_FAMILY_H
#define AK_PROCESS_FAMILY_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define AK_FAMILY_MAX 256 /* groups; who wants fewer says so before it starts one */

/* `status` is of waitpid(2). Called once for each process that was started. */
typedef void (*ak_exit_fn)(void *user, int status);

struct ak_child {
    pid_t pid; /* of the leader, and of its group and session */
    bool exited;
    ak_exit_fn on_exit;
    void *user;
};

struct ak_family {
    struct ak_child children[AK_FAMILY_MAX];
    size_t n;
    bool is_init; /* PID 1: everything in the container is ours */
};

struct ak_spawn {
    const char *path;        /* absolute; without any slash it is looked for in PATH */
    const char *const *argv; /* ended by NULL */
    const char *const *envp; /* ended by NULL; NULL: ours */
    const char *cwd;         /* NULL: ours */
    int output;              /* becomes stdout, and stderr if that has none of its own */
    int error;               /* becomes stderr; 0: none */
    int input;               /* becomes stdin; 0: /dev/null */
    const char *
        terminal; /* NULL, or the path of a terminal that becomes the controlling one and all three */
};

/* Makes orphans come to us: as PID 1 they do anyway, otherwise by becoming a subreaper. */
AK_MUST_USE int ak_family_init(struct ak_family *self, struct ak_error **reterr);
AK_MUST_USE int ak_family_start(struct ak_family *self, const struct ak_spawn *what,
                                ak_exit_fn on_exit, void *user, pid_t *ret,
                                struct ak_error **reterr);
/* Reaps all that have died. False: there are no children left at all. */
bool ak_family_reap(struct ak_family *self);
/* To the groups that we started. */
void ak_family_signal(const struct ak_family *self, int signal);
/* To everything that is ours: as PID 1 the whole container. */
void ak_family_signal_all(const struct ak_family *self, int signal);

#endif
