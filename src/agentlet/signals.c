/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int handled[] = {SIGTERM, SIGINT,  SIGQUIT,  SIGHUP, SIGUSR1,
                              SIGUSR2, SIGCONT, SIGWINCH, SIGCHLD};

bool ak_signal_is_stop(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

const char *ak_signal_name(int signal)
{
    switch (signal) {
    case SIGTERM:
        return "SIGTERM";
    case SIGINT:
        return "SIGINT";
    case SIGQUIT:
        return "SIGQUIT";
    default:
        return "a signal";
    }
}

static void on_readable(void *user, short events)
{
    struct ak_signals *self = user;
    struct signalfd_siginfo info;

    (void)events;
    while (self->fd >= 0 && read(self->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        self->fn(self->user, (int)info.ssi_signo);
}

int ak_signals_init(struct ak_signals *self, struct ak_poller *poller, ak_signal_fn fn, void *user,
                    struct ak_error **reterr)
{
    sigset_t set;
    int r = 0;

    *self = (struct ak_signals){.poller = poller, .fd = -1, .fn = fn, .user = user};
    (void)sigemptyset(&set);
    for (size_t i = 0; i < AK_ARRAY_LEN(handled); i++)
        (void)sigaddset(&set, handled[i]);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write(2) */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return ak_error_set(reterr, -errno, "cannot block signals: %s", ak_code_text(-errno));
    self->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->fd < 0)
        return ak_error_set(reterr, -errno, "cannot read signals: %s", ak_code_text(-errno));
    r = ak_poller_watch(poller, self->fd, POLLIN, on_readable, self);
    return r < 0 ? ak_error_set(reterr, r, "cannot watch signals: %s", ak_code_text(r)) : 0;
}

void ak_signals_done(struct ak_signals *self)
{
    if (!self->poller || self->fd < 0)
        return;
    ak_poller_forget(self->poller, self->fd);
    (void)close(self->fd);
    self->fd = -1;
}
