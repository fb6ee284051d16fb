/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/loop.h>

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/thread.h>

#include "sigpipe.h"

struct post {
    ak_loop_fn fn;
    void *user;
    struct post *next;
};

struct ak_loop {
    struct event_base *base;
    struct event wake;
    int wake_fd;
    atomic_bool stop;    /* relaxed: wake_fd orders it */
    atomic_bool running; /* release after `thread` is written, acquire before it is read */
    _Atomic pthread_t thread;
    struct ak_mutex lock; /* guards first, last, n_posts, closed */
    struct post *first, *last;
    size_t n_posts;
    bool closed;
};

struct ak_timer {
    struct event ev;
    ak_loop_fn fn;
    void *user;
};

static void run_posts(struct ak_loop *self)
{
    struct post *p;

    ak_mutex_lock(&self->lock);
    p = self->first;
    self->first = self->last = NULL;
    self->n_posts = 0;
    ak_mutex_unlock(&self->lock);
    while (p) {
        struct post *next = p->next;

        p->fn(p->user);
        ak_free(p);
        p = next;
    }
}

static void signal_wake(struct ak_loop *self)
{
    uint64_t one = 1;

    /* Fails only when the counter is full, and then the loop is awake anyway. */
    (void)!write(self->wake_fd, &one, sizeof(one));
}

static void on_wake(int fd, short what, void *user)
{
    struct ak_loop *self = user;
    uint64_t n;

    (void)what;
    (void)!read(fd, &n, sizeof(n));
    run_posts(self);
    if (atomic_load_explicit(&self->stop, memory_order_relaxed))
        (void)event_base_loopbreak(self->base);
}

static bool has_posts(struct ak_loop *self)
{
    bool has;

    ak_mutex_lock(&self->lock);
    has = self->first != NULL;
    ak_mutex_unlock(&self->lock);
    return has;
}

struct ak_loop *ak_loop_free(struct ak_loop *self)
{
    if (!self)
        return NULL;
    assert(!atomic_load(&self->running));
    while (has_posts(self))
        run_posts(self);
    ak_mutex_lock(&self->lock);
    self->closed = true;
    ak_mutex_unlock(&self->lock);
    if (self->base && self->wake_fd >= 0)
        (void)event_del(&self->wake);
    if (self->base)
        event_base_free(self->base);
    if (self->wake_fd >= 0)
        (void)close(self->wake_fd);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_loop_new(struct ak_loop **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_loop) self = ak_new0(struct ak_loop);

    if (!self)
        return ak_error_oom(reterr);
    self->wake_fd = -1;
    ak_mutex_init(&self->lock);
    self->base = event_base_new();
    if (!self->base)
        return ak_error_set(reterr, -ENOMEM, "cannot make an event loop");
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0)
        return ak_error_set(reterr, -errno, "cannot make an event loop: eventfd failed");
    (void)event_assign(&self->wake, self->base, self->wake_fd, EV_READ | EV_PERSIST, on_wake, self);
    if (event_add(&self->wake, NULL) < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(self);
    return 0;
}

static int run(struct ak_loop *self, int flags)
{
    struct ak__sigpipe sigpipe;
    int r;

    atomic_store(&self->thread, pthread_self());
    atomic_store(&self->running, true);
    ak__sigpipe_block(&sigpipe);
    r = event_base_loop(self->base, flags);
    ak__sigpipe_restore(&sigpipe);
    atomic_store(&self->running, false);
    atomic_store_explicit(&self->stop, false, memory_order_relaxed);
    return r;
}

int ak_loop_run(struct ak_loop *self, struct ak_error **reterr)
{
    if (run(self, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        return ak_error_set(reterr, -EIO, "the event loop failed");
    return 0;
}

void ak_loop_settle(struct ak_loop *self)
{
    (void)run(self, EVLOOP_NONBLOCK);
}

void ak_loop_stop(struct ak_loop *self)
{
    atomic_store_explicit(&self->stop, true, memory_order_relaxed);
    signal_wake(self);
}

int ak_loop_post(struct ak_loop *self, ak_loop_fn fn, void *user)
{
    struct post *p = ak_new0(struct post);
    bool wake = false;
    int r = 0;

    if (!p)
        return -ENOMEM;
    p->fn = fn;
    p->user = user;
    ak_mutex_lock(&self->lock);
    if (self->closed) {
        r = -ESHUTDOWN;
    } else if (self->n_posts >= AK_LOOP_MAX_POSTS) {
        r = -ENOBUFS;
    } else {
        wake = !self->first;
        if (self->last)
            self->last->next = p;
        else
            self->first = p;
        self->last = p;
        self->n_posts++;
    }
    ak_mutex_unlock(&self->lock);
    if (r < 0)
        ak_free(p);
    else if (wake)
        signal_wake(self);
    return r;
}

bool ak_loop_is_here(const struct ak_loop *self)
{
    return atomic_load(&self->running) && pthread_equal(atomic_load(&self->thread), pthread_self());
}

struct event_base *ak_loop_base(struct ak_loop *self)
{
    return self->base;
}

static void on_timer(int fd, short what, void *user)
{
    struct ak_timer *self = user;

    (void)fd;
    (void)what;
    self->fn(self->user); /* may free self */
}

struct ak_timer *ak_timer_new(struct ak_loop *loop, ak_loop_fn fn, void *user)
{
    struct ak_timer *self = ak_new0(struct ak_timer);

    if (!self)
        return NULL;
    self->fn = fn;
    self->user = user;
    (void)evtimer_assign(&self->ev, loop->base, on_timer, self);
    return self;
}

struct ak_timer *ak_timer_free(struct ak_timer *self)
{
    if (!self)
        return NULL;
    (void)evtimer_del(&self->ev);
    ak_free(self);
    return NULL;
}

void ak_timer_set(struct ak_timer *self, ak_msec after)
{
    struct timeval tv;

    after = AK_MAX(after, 0);
    after = AK_MIN(after, AK_HOURS(24) * 365);
    tv.tv_sec = (time_t)(after / 1000);
    tv.tv_usec = (suseconds_t)(after % 1000) * 1000;
    (void)evtimer_add(&self->ev, &tv);
}

void ak_timer_clear(struct ak_timer *self)
{
    (void)evtimer_del(&self->ev);
}
