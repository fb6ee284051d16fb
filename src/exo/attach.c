/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/attach.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int show(enum ak_exec_stream stream, const char *data, size_t len, void *user)
{
    (void)user;
    return ak_exo_write(stream == AK_EXEC_STDERR ? STDERR_FILENO : STDOUT_FILENO, data, len, NULL);
}

static bool terminal_size(struct ak_exec_size *ret, void *user)
{
    struct signalfd_siginfo info;
    struct ak_attach *self = user;

    while (read(self->resize, &info, sizeof(info)) > 0)
        ;
    return ak_raw_size(STDIN_FILENO, &ret->columns, &ret->rows);
}

static int open_resize(struct ak_error **reterr)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGWINCH);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? ak_error_set(reterr, -errno, "signalfd: %s", ak_code_text(-errno)) : fd;
}

int ak_attach_init(struct ak_attach *self, bool tty, struct ak_exec_options *io,
                   struct ak_error **reterr)
{
    *self = (struct ak_attach){0};
    *io = (struct ak_exec_options){
        .tty = tty, .input_fd = STDIN_FILENO, .resize_fd = -1, .output = show, .user = self};
    if (!tty)
        return 0;
    int fd = open_resize(reterr);
    if (fd < 0)
        return fd;
    self->resize = io->resize_fd = fd;
    io->size = terminal_size;
    int r = ak_raw_init(&self->raw, STDIN_FILENO);
    return r < 0 ? ak_error_set(reterr, r, "the terminal: %s", ak_code_text(r)) : 0;
}

void ak_attach_done(struct ak_attach *self)
{
    ak_raw_done(&self->raw);
    if (self->resize > 0)
        (void)close(self->resize);
    self->resize = 0;
}
