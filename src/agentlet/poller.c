/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/poller.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

static struct ak_poll_entry *find(struct ak_poller *self, int fd)
{
    for (size_t i = 0; i < self->n; i++)
        if (self->entries[i].fd == fd)
            return &self->entries[i];
    return NULL;
}

int ak_poller_watch(struct ak_poller *self, int fd, short events, ak_poll_fn fn, void *user)
{
    struct ak_poll_entry *entry = find(self, fd);

    if (!entry) {
        if (self->n == AK_POLLER_MAX)
            return -ENOBUFS;
        entry = &self->entries[self->n++];
        entry->fd = fd;
        entry->id = ++self->next_id;
    }
    entry->events = events;
    entry->fn = fn;
    entry->user = user;
    return 0;
}

void ak_poller_forget(struct ak_poller *self, int fd)
{
    struct ak_poll_entry *entry = find(self, fd);

    if (entry)
        *entry = self->entries[--self->n];
}

static int timeout_until(ak_msec deadline)
{
    ak_msec left = 0;

    if (deadline == AK_MSEC_NEVER)
        return -1;
    left = deadline - ak_now();
    return left <= 0 ? 0 : (int)AK_MIN(left, INT_MAX);
}

int ak_poller_wait(struct ak_poller *self, ak_msec deadline)
{
    struct pollfd fds[AK_POLLER_MAX];
    uint64_t ids[AK_POLLER_MAX];
    size_t n = self->n;

    for (size_t i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.fd = self->entries[i].fd, .events = self->entries[i].events};
        ids[i] = self->entries[i].id;
    }
    if (poll(fds, n, timeout_until(deadline)) < 0)
        return errno == EINTR ? 0 : -errno;
    for (size_t i = 0; i < n; i++) {
        struct ak_poll_entry *entry = fds[i].revents ? find(self, fds[i].fd) : NULL;

        if (entry && entry->id == ids[i])
            entry->fn(entry->user, fds[i].revents);
    }
    return 0;
}
