/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callbacks for the descriptors of a PID 1, on an ak_loop, so that the library's HTTP server runs beside
 * them on the same thread. Whoever waits has the turn between two waits: that is where children are
 * reaped and deadlines are looked at. Thread: one.
 */
#ifndef AK_AGENTLET_POLLER_H
#define AK_AGENTLET_POLLER_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/net/loop.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#define AK_POLLER_MAX 64

/* `events` are POLLIN, POLLOUT. An error or a hang-up comes as what was watched for. */
typedef void (*ak_poll_fn)(void *user, short events);

struct event;
struct ak_poll_entry {
    int fd; /* -1: free */
    short events;
    struct event *event; /* NULL: watched for nothing */
    ak_poll_fn fn;
    void *user;
};

struct ak_poller {
    struct ak_loop *loop;
    struct event *timer;
    struct ak_poll_entry entries[AK_POLLER_MAX];
};

/* self must not move afterwards. */
AK_MUST_USE int ak_poller_init(struct ak_poller *self, struct ak_error **reterr);
void ak_poller_done(struct ak_poller *self);
/*
 * Watches a descriptor, or changes for which events; 0 events: for none, until the next call. -ENOBUFS
 * when full, -EPERM for a regular file.
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
