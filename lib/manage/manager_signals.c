/* SPDX-License-Identifier: Apache-2.0 */
#include "manager_signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void end_now(int sig)
{
    _exit(128 + sig);
}

int ak__signals_begin(struct ak__signals *s, struct ak_error **reterr)
{
    (void)sigemptyset(&s->set);
    (void)sigaddset(&s->set, SIGTERM);
    (void)sigaddset(&s->set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &s->set, &s->old_mask);
    (void)sigaction(SIGTERM, NULL, &s->old_term);
    (void)sigaction(SIGINT, NULL, &s->old_int);
    s->fd = signalfd(-1, &s->set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->fd < 0) {
        int r = -errno;
        (void)pthread_sigmask(SIG_SETMASK, &s->old_mask, NULL);
        return ak_error_set(reterr, r, "signalfd");
    }
    return 0;
}

/* A handler, because the default action does nothing to the first process of a container. */
void ak__signals_arm_second(const struct ak__signals *s)
{
    struct sigaction now = {.sa_handler = end_now};

    (void)sigaction(SIGTERM, &now, NULL);
    (void)sigaction(SIGINT, &now, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &s->set, NULL);
}

void ak__signals_end(struct ak__signals *s)
{
    (void)close(s->fd);
    (void)sigaction(SIGTERM, &s->old_term, NULL);
    (void)sigaction(SIGINT, &s->old_int, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &s->old_mask, NULL);
}
