/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/job.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_exit_of_leader(void *user, int status)
{
    struct ak_job *self = user;

    self->phase = AK_JOB_ENDED;
    self->status = status;
    self->ended_at = ak_now();
    self->deadline = AK_MSEC_NEVER;
    ak_relay_drain(&self->relay);
}

/* The reading end does not block us, the writing end blocks the command, as a log should. */
static int make_pipe(int ret[static 2])
{
    if (pipe2(ret, O_CLOEXEC) < 0)
        return -errno;
    if (fcntl(ret[0], F_SETFL, O_NONBLOCK) < 0) {
        int e = errno;

        (void)close(ret[0]);
        (void)close(ret[1]);
        return -e;
    }
    return 0;
}

static ak_msec after(ak_msec now, ak_msec span)
{
    return span == AK_MSEC_NEVER ? AK_MSEC_NEVER : now + span;
}

int ak_job_start(struct ak_job *self, struct ak_family *family, struct ak_poller *poller,
                 const struct ak_job_options *options, struct ak_error **reterr)
{
    struct ak_spawn what = {
        .path = options->path, .argv = options->argv, .envp = options->envp, .cwd = options->cwd};
    int ends[2];
    int r = make_pipe(ends);

    if (r < 0)
        return ak_error_set(reterr, r, "cannot make a pipe: %s", ak_code_text(r));
    *self = (struct ak_job){.family = family, .started_at = ak_now(), .grace = options->grace};
    what.output = ends[1];
    r = ak_family_start(family, &what, on_exit_of_leader, self, &self->pid, reterr);
    (void)close(ends[1]);
    if (r < 0) {
        (void)close(ends[0]);
        return r;
    }
    self->phase = AK_JOB_RUNNING;
    self->deadline = after(self->started_at, options->timeout);
    r = ak_relay_init(&self->relay, poller, ends[0], STDOUT_FILENO, options->log_prefix);
    return r < 0 ? ak_error_set(reterr, r, "cannot watch the output: %s", ak_code_text(r)) : 0;
}

void ak_job_done(struct ak_job *self)
{
    ak_relay_done(&self->relay);
    self->phase = AK_JOB_IDLE;
}

ak_msec ak_job_deadline(const struct ak_job *self)
{
    return self->phase == AK_JOB_IDLE ? AK_MSEC_NEVER : self->deadline;
}

void ak_job_tick(struct ak_job *self, ak_msec now)
{
    if (now < ak_job_deadline(self))
        return;
    if (self->phase == AK_JOB_RUNNING) {
        self->timed_out = true;
        self->phase = AK_JOB_TERMINATING;
        self->deadline = now + self->grace;
        (void)kill(-self->pid, SIGTERM);
    } else if (self->phase == AK_JOB_TERMINATING) {
        self->phase = AK_JOB_KILLED;
        self->deadline = AK_MSEC_NEVER;
        (void)kill(-self->pid, SIGKILL);
    }
}

int ak_job_exit_code(const struct ak_job *self)
{
    return WIFSIGNALED(self->status) ? 128 + WTERMSIG(self->status) : WEXITSTATUS(self->status);
}
