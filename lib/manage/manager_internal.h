/* SPDX-License-Identifier: Apache-2.0 */
/* What manager.c (life) and manager_http.c (what it tells over HTTP) share. */
#ifndef AK_MANAGE_MANAGER_INTERNAL_H
#define AK_MANAGE_MANAGER_INTERNAL_H

#include <ak/base/thread.h>
#include <ak/manage/manager.h>

/* One source with its cache and watch. */
struct ak__feed {
    struct ak_manager *manager;
    const struct ak_source *source;
    struct ak_cache *cache;
    struct ak_watch *watch;
};

struct ak_manager {
    struct ak_manager_options options;
    char identity[160];
    char host[256]; /* of the apiserver, for metrics */
    struct ak_client *client;
    struct ak_client *leader_client; /* its own: it must work when the other one was cancelled */
    struct ak_cancel cancel;         /* of client's requests */
    struct ak_events *events;
    struct ak_apply apply;
    struct ak_leader *leader;
    struct ak__feed *feeds;
    struct ak_controller **controllers;

    struct ak_loop *loop;
    struct ak_thread loop_thread;
    struct ak_timer *tick, *deadline;
    struct ak_http_server *metrics_server, *probe_server;
    int wake_fd; /* eventfd: the thread in run() should look again */

    /* Of the loop's thread alone. */
    bool routing;     /* changes reach the queues: the controllers run */
    bool need_replay; /* something may have been lost: route everything again */
    ak_msec next_resync;
    uint64_t adds;        /* to all queues, when we looked last */
    unsigned quiet_ticks; /* since then without work */
    uint64_t dropped;     /* of all queues, when we looked last */

    struct ak_mutex
        controllers_lock; /* held over a whole start or stop of them; taken before `lock` */
    bool running;         /* controllers are started; guarded by it */

    struct ak_mutex lock;     /* guards what follows */
    struct ak_cond called;    /* a call on the loop's thread has returned */
    bool stopping;            /* nothing is started any more */
    bool stop_wanted;         /* ak_manager_stop() */
    struct ak_error *failure; /* why we must stop */
};

int ak__manager_http_start(struct ak_manager *self, struct ak_error **reterr);
void ak__manager_http_stop(struct ak_manager *self);
/* Called on each tick of the loop: gives memory back when a burst of work is over. */
void ak__manager_settle(struct ak_manager *self);

#endif
