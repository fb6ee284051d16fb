/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command with an end: its process group, its output, its time limit (TERM, then KILL). What it
 * leaves running in the background is not waited for. Used for the setup command and for git.
 * Thread: one.
 */
#ifndef AK_AGENTLET_JOB_H
#define AK_AGENTLET_JOB_H

#include "agentlet/poller.h"
#include "agentlet/relay.h"
#include "process/family.h"

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <stdbool.h>

enum ak_job_phase { AK_JOB_IDLE, AK_JOB_RUNNING, AK_JOB_TERMINATING, AK_JOB_KILLED, AK_JOB_ENDED };

struct ak_job {
    struct ak_family *family;
    struct ak_relay relay;
    enum ak_job_phase phase;
    pid_t pid;
    int status; /* of waitpid(2), once ended */
    bool timed_out;
    ak_msec started_at;
    ak_msec ended_at;
    ak_msec deadline; /* of the phase */
    ak_msec grace;    /* between TERM and KILL */
};

struct ak_job_options {
    const char *path;
    const char *const *argv;
    const char *const *envp; /* NULL: ours */
    const char *cwd;
    const char *log_prefix; /* NULL: the output is only kept, see ak_relay_tail() */
    ak_msec timeout;        /* AK_MSEC_NEVER: none */
    ak_msec grace;
};

AK_MUST_USE int ak_job_start(struct ak_job *self, struct ak_family *family,
                             struct ak_poller *poller, const struct ak_job_options *options,
                             struct ak_error **reterr);
/* Also of a job that was never started. Does not kill. */
void ak_job_done(struct ak_job *self);
/* When ak_job_tick() wants to be called next; AK_MSEC_NEVER when nothing is due. */
ak_msec ak_job_deadline(const struct ak_job *self);
void ak_job_tick(struct ak_job *self, ak_msec now);
/* Like a shell's $?: 128 plus the signal. */
int ak_job_exit_code(const struct ak_job *self);

#endif
