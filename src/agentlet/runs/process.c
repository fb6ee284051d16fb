/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK (64u << 10)
/* After the end: what a pipe holds, several times; somebody in the background may write for ever. */
#define DRAIN_READS 32

static void close_pipe(struct ak_process_pipe *pipe)
{
    if (pipe->fd < 0)
        return;
    ak_poller_forget(pipe->process->poller, pipe->fd);
    (void)close(pipe->fd);
    pipe->fd = -1;
}

/* False: nothing is there now, or it is the end. */
static bool read_some(struct ak_process_pipe *pipe)
{
    static char block[BLOCK]; /* one thread; not on the stack of every callback */
    struct ak_process *self = pipe->process;
    ssize_t n = read(pipe->fd, block, sizeof(block));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        close_pipe(pipe);
        return false;
    }
    self->fn(self->user, pipe == &self->err, block, (size_t)n);
    return true;
}

static void on_readable(void *user, short events)
{
    (void)events;
    (void)read_some(user);
}

static void drain(struct ak_process_pipe *pipe)
{
    for (int i = 0; i < DRAIN_READS && pipe->fd >= 0; i++)
        if (!read_some(pipe))
            break;
    close_pipe(pipe);
}

static void on_exit_of_leader(void *user, int status)
{
    struct ak_process *self = user;

    self->status = status;
    self->is_running = false;
    drain(&self->out);
    drain(&self->err);
    self->has_ended = true;
}

/* The reading end does not block us, the writing end blocks the process. */
static int open_pipe(struct ak_process *self, struct ak_process_pipe *pipe, int *ret_write_end)
{
    int ends[2];
    int r = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;

    if (r < 0)
        return r;
    *pipe = (struct ak_process_pipe){.process = self, .fd = ends[0]};
    *ret_write_end = ends[1];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return ak_poller_watch(self->poller, ends[0], POLLIN, on_readable, pipe);
}

/* In memory, all at once: a process that reads it slowly, or never, needs nobody who feeds it. */
static int open_input(const char *text)
{
    size_t len = strlen(text), done = 0;
    int fd = memfd_create("agentkube-input", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    while (done < len) {
        ssize_t n = write(fd, text + done, len - done);

        if (n <= 0) {
            int r = n < 0 ? -errno : -EIO;

            (void)close(fd);
            return r;
        }
        done += (size_t)n;
    }
    (void)lseek(fd, 0, SEEK_SET);
    return fd;
}

static int start(struct ak_process *self, const struct ak_process_options *options,
                 struct ak_spawn *what, struct ak_error **reterr)
{
    int r = open_pipe(self, &self->out, &what->output);

    if (r >= 0)
        r = open_pipe(self, &self->err, &what->error);
    if (r >= 0 && options->input) {
        r = open_input(options->input);
        what->input = r;
    }
    if (r < 0)
        return ak_error_set(reterr, r, "cannot make a pipe: %s", ak_code_text(r));
    return ak_family_start(self->family, what, on_exit_of_leader, self, &self->pid, reterr);
}

int ak_process_start(struct ak_process *self, struct ak_family *family, struct ak_poller *poller,
                     const struct ak_process_options *options, struct ak_error **reterr)
{
    struct ak_spawn what = {.path = options->argv[0],
                            .argv = options->argv,
                            .envp = options->envp,
                            .cwd = options->cwd};
    int r = 0;

    *self = (struct ak_process){
        .family = family,
        .poller = poller,
        .out = {.process = self, .fd = -1},
        .err = {.process = self, .fd = -1},
        .fn = options->fn,
        .user = options->user,
    };
    r = start(self, options, &what, reterr);
    if (what.output > 0)
        (void)close(what.output);
    if (what.error > 0)
        (void)close(what.error);
    if (what.input > 0)
        (void)close(what.input);
    if (r < 0) {
        ak_process_done(self);
        return r;
    }
    self->is_running = true;
    return 0;
}

void ak_process_signal(const struct ak_process *self, int signal)
{
    if (self->pid <= 0)
        return;
    (void)kill(-self->pid, signal);
    if (signal == SIGTERM)
        (void)kill(-self->pid, SIGCONT); /* who is stopped cannot end */
}

void ak_process_done(struct ak_process *self)
{
    if (!self->poller)
        return;
    close_pipe(&self->out);
    close_pipe(&self->err);
    self->pid = 0;
    self->has_ended = false;
}

int ak_process_exit_code(const struct ak_process *self)
{
    return WIFSIGNALED(self->status) ? 128 + WTERMSIG(self->status) : WEXITSTATUS(self->status);
}

bool ak_process_was_killed(const struct ak_process *self)
{
    return ak_process_exit_code(self) == 128 + SIGKILL;
}
