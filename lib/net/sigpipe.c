/* SPDX-License-Identifier: Apache-2.0 */
#include "sigpipe.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static sigset_t only_sigpipe(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    return set;
}

static bool is_pending(void)
{
    sigset_t pending;

    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    return sigismember(&pending, SIGPIPE) == 1;
}

void ak__sigpipe_block(struct ak__sigpipe *self)
{
    sigset_t set = only_sigpipe();

    self->was_pending = is_pending();
    (void)pthread_sigmask(SIG_BLOCK, &set, &self->before);
}

void ak__sigpipe_restore(const struct ak__sigpipe *self)
{
    sigset_t set = only_sigpipe();
    struct timespec at_once = {0};

    if (sigismember(&self->before, SIGPIPE) == 1)
        return; /* blocked before: whoever did that deals with it */
    if (!self->was_pending && is_pending())
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
            ;
    (void)pthread_sigmask(SIG_SETMASK, &self->before, NULL);
}
