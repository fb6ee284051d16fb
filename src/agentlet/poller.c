/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/poller.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>

static struct ak_poll_entry *find(struct ak_poller *self, int fd)
{
    for (size_t i = 0; i < AK_POLLER_MAX; i++)
        if (self->entries[i].fd == fd)
            return &self->entries[i];
    return NULL;
}

static void on_event(evutil_socket_t fd, short what, void *user)
{
    struct ak_poll_entry *entry = user;
    int events = ((what & EV_READ) ? POLLIN : 0) | ((what & EV_WRITE) ? POLLOUT : 0);

    (void)fd;
    entry->fn(entry->user, (short)events); /* may free the entry, or give it to another */
}

/* Only ends the wait. */
static void on_timer(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    (void)user;
}

int ak_poller_init(struct ak_poller *self, struct ak_error **reterr)
{
    int r = 0;

    *self = (struct ak_poller){0};
    for (size_t i = 0; i < AK_POLLER_MAX; i++)
        self->entries[i].fd = -1;
    r = ak_loop_new(&self->loop, reterr);
    if (r < 0)
        return r;
    self->timer = evtimer_new(ak_loop_base(self->loop), on_timer, NULL);
    return self->timer ? 0 : ak_error_oom(reterr);
}

static void drop(struct ak_poll_entry *entry)
{
    if (entry->event)
        event_free(entry->event); /* a call that is due is not made any more */
    *entry = (struct ak_poll_entry){.fd = -1};
}

void ak_poller_done(struct ak_poller *self)
{
    if (!self->loop)
        return;
    for (size_t i = 0; i < AK_POLLER_MAX; i++)
        if (self->entries[i].fd >= 0)
            drop(&self->entries[i]);
    if (self->timer)
        event_free(self->timer);
    self->timer = NULL;
    self->loop = ak_loop_free(self->loop);
}

int ak_poller_watch(struct ak_poller *self, int fd, short events, ak_poll_fn fn, void *user)
{
    int what = ((events & POLLIN) ? EV_READ : 0) | ((events & POLLOUT) ? EV_WRITE : 0);
    struct ak_poll_entry *entry = find(self, fd);

    if (entry && entry->events == events && entry->fn == fn && entry->user == user)
        return 0;
    if (!entry)
        entry = find(self, -1);
    if (!entry)
        return -ENOBUFS;
    drop(entry);
    *entry = (struct ak_poll_entry){.fd = fd, .events = events, .fn = fn, .user = user};
    if (what == 0)
        return 0;
    entry->event =
        event_new(ak_loop_base(self->loop), fd, (short)(what | EV_PERSIST), on_event, entry);
    if (!entry->event || event_add(entry->event, NULL) < 0) {
        int r = entry->event && errno ? -errno : -ENOMEM;

        drop(entry);
        return r;
    }
    return 0;
}

void ak_poller_forget(struct ak_poller *self, int fd)
{
    struct ak_poll_entry *entry = fd < 0 ? NULL : find(self, fd);

    if (entry)
        drop(entry);
}

int ak_poller_wait(struct ak_poller *self, ak_msec deadline)
{
    ak_msec left = deadline == AK_MSEC_NEVER ? AK_HOURS(1) : deadline - ak_now();
    struct timeval tv;

    left = AK_MAX(left, 0);
    left = AK_MIN(left, AK_HOURS(1));
    tv = (struct timeval){.tv_sec = (time_t)(left / 1000),
                          .tv_usec = (suseconds_t)(left % 1000) * 1000};
    if (evtimer_add(self->timer, &tv) < 0)
        return -ENOMEM;
    return event_base_loop(ak_loop_base(self->loop), EVLOOP_ONCE) < 0 ? -EIO : 0;
}
