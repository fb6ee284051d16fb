/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll(2) with callbacks, for the dozen descriptors of a PID 1. Not libevent: its archive pulls the
 * name resolver of libc into a static program, which doubles its size and does not work in foreign
 * images. Thread: one.
 */
#ifndef AK_AGENTLET_POLLER_H
#define AK_AGENTLET_POLLER_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <stddef.h>
#include <stdint.h>

#define AK_POLLER_MAX 64

/* `events` are what poll reported: POLLIN, POLLOUT, POLLHUP, POLLERR. */
typedef void (*ak_poll_fn)(void *user, short events);

struct ak_poll_entry {
    int fd;
    short events;
    uint64_t id; /* tells an entry from a later one with the same descriptor */
    ak_poll_fn fn;
    void *user;
};

struct ak_poller {
    struct ak_poll_entry entries[AK_POLLER_MAX];
    size_t n;
    uint64_t next_id;
};

/*
 * Watches a descriptor, or changes for which events; 0 events: errors and hang-ups only. -ENOBUFS
 * when full.
 */
AK_MUST_USE int ak_poller_watch(struct ak_poller *self, int fd, short events, ak_poll_fn fn,
                                void *user);
void ak_poller_forget(struct ak_poller *self, int fd); /* nothing to do if it is not watched */
/*
 * Waits for events until `deadline` at most, and calls back for each. Callbacks may watch and
 * forget.
 */
AK_MUST_USE int ak_poller_wait(struct ak_poller *self, ak_msec deadline);

#endif
