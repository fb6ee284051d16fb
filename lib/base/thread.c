/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/thread.h>

#include <ak/base/alloc.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREAD_NAME_SIZE 16 /* the kernel's limit, NUL included */

void ak_mutex_init(struct ak_mutex *self)
{
    (void)pthread_mutex_init(&self->m, NULL);
}

void ak_mutex_done(struct ak_mutex *self)
{
    (void)pthread_mutex_destroy(&self->m);
}

/* The analysis is about our own callers; it does not know that pthread's mutex is the lock. */
void ak_mutex_lock(struct ak_mutex *self) AK_NO_THREAD_SAFETY
{
    (void)pthread_mutex_lock(&self->m);
}

void ak_mutex_unlock(struct ak_mutex *self) AK_NO_THREAD_SAFETY
{
    (void)pthread_mutex_unlock(&self->m);
}

void ak_cond_init(struct ak_cond *self)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&self->c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void ak_cond_done(struct ak_cond *self)
{
    (void)pthread_cond_destroy(&self->c);
}

void ak_cond_signal(struct ak_cond *self)
{
    (void)pthread_cond_signal(&self->c);
}

void ak_cond_broadcast(struct ak_cond *self)
{
    (void)pthread_cond_broadcast(&self->c);
}

void ak_cond_wait_until(struct ak_cond *self, struct ak_mutex *lock, ak_msec deadline)
{
    struct timespec ts;

    if (deadline == AK_MSEC_NEVER) {
        (void)pthread_cond_wait(&self->c, &lock->m);
        return;
    }
    deadline = AK_MAX(deadline, 0);
    ts.tv_sec = deadline / 1000;
    ts.tv_nsec = deadline % 1000 * 1000000;
    (void)pthread_cond_timedwait(&self->c, &lock->m, &ts);
}

struct thread_start {
    ak_thread_fn fn;
    void *user;
    char name[THREAD_NAME_SIZE];
};

static void *thread_main(void *arg)
{
    struct thread_start start = *(struct thread_start *)arg;

    ak_free(arg);
    (void)pthread_setname_np(pthread_self(), start.name);
    start.fn(start.user);
    return NULL;
}

int ak_thread_start(struct ak_thread *self, const char *name, ak_thread_fn fn, void *user)
{
    struct thread_start *start = ak_new0(struct thread_start);
    sigset_t all, old;
    int r;

    self->started = false;
    if (!start)
        return -ENOMEM;
    start->fn = fn;
    start->user = user;
    (void)snprintf(start->name, sizeof(start->name), "%s", name);
    /* Blocked before it exists, so that no signal can ever be delivered to it. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&self->t, NULL, thread_main, start);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0) {
        ak_free(start);
        return -r;
    }
    self->started = true;
    return 0;
}

void ak_thread_join(struct ak_thread *self)
{
    if (!self->started)
        return;
    (void)pthread_join(self->t, NULL);
    self->started = false;
}

int ak_cancel_init(struct ak_cancel *self)
{
    atomic_init(&self->cancelled, false);
    self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return self->fd < 0 ? -errno : 0;
}

void ak_cancel_done(struct ak_cancel *self)
{
    if (self->fd >= 0)
        (void)close(self->fd);
    self->fd = -1;
}

void ak_cancel_now(struct ak_cancel *self)
{
    int saved = errno;

    atomic_store_explicit(&self->cancelled, true, memory_order_relaxed);
    if (self->fd >= 0)
        (void)eventfd_write(self->fd, 1);
    errno = saved;
}

bool ak_cancel_is_set(const struct ak_cancel *self)
{
    return atomic_load_explicit(&self->cancelled, memory_order_relaxed);
}

bool ak_cancel_sleep(const struct ak_cancel *self, ak_msec span)
{
    struct pollfd pfd = {.fd = self->fd, .events = POLLIN};
    ak_msec now = ak_now(), deadline;

    if (__builtin_add_overflow(now, span, &deadline))
        deadline = AK_MSEC_NEVER;
    while (!ak_cancel_is_set(self) && now < deadline) {
        ak_msec left = AK_MIN(deadline - now, INT_MAX);

        (void)poll(&pfd, 1, (int)left);
        now = ak_now();
    }
    return ak_cancel_is_set(self);
}
