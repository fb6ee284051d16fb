/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the image's git, one command after the other, in an environment made for it: a temporary
 * home, no prompts, no configuration of the user's, only harmless transports, the credential behind
 * askpass. All commands share one time limit; a stop signal ends the running one. Takes over the
 * process's signals. Thread: one.
 */
#ifndef AK_AGENTLET_GIT_H
#define AK_AGENTLET_GIT_H

#include "agentlet/job.h"
#include "agentlet/poller.h"
#include "agentlet/repo_url.h"
#include "agentlet/settings.h"
#include "agentlet/signals.h"
#include "process/family.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>

#define AK_GIT_ENV_MAX 48
#define AK_GIT_ARGS_MAX 16

struct ak_git {
    const struct ak_settings *settings;
    struct ak_poller poller;
    struct ak_signals signals;
    struct ak_family family;
    struct ak_job job;
    char *path; /* of git */
    char *home;
    char *env[AK_GIT_ENV_MAX + 1];
    size_t n_env;
    ak_msec deadline;
    int stop_signal; /* 0: nobody asked us to stop */
};

/* -ENOENT: the image has no git, or no ssh for an SSH URL; the message says which. */
AK_MUST_USE int ak_git_init(struct ak_git *self, const struct ak_settings *settings,
                            enum ak_transport transport, struct ak_error **reterr);
void ak_git_done(struct ak_git *self);
/*
 * Runs `git ARGS...` (ended by NULL) in a folder. With `log` the output goes to the container's log
 * too. Returns git's exit code. -ETIMEDOUT: the time limit; AK_E_CANCELLED: a stop signal; others:
 * not started.
 */
AK_MUST_USE int ak_git_run(struct ak_git *self, const char *cwd, bool log, const char *const *args,
                           struct ak_error **reterr);
/* The end of the last command's output. Borrowed until the next command. */
const char *ak_git_output(struct ak_git *self);

#endif
