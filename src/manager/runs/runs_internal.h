/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the book share.
 *
 *   runs.c           made, freed, looked at; entries and the write of a status
 *   runs_advance.c   the reconcile's step: settle, expire, give, cancel, write, tell
 *   runs_ask.c       the invocation API: start, cancel
 *   runs_read.c      what any replica can say: get, list, targets
 *   give.c           requests to a pod's agentlet (blocking)
 *   follow.c         the stream of what happens in a pod (loop)
 *   trust.c, link.c  whom we talk to, and as whom
 *   book.c           the records themselves (pure)
 */
#ifndef AK_MANAGER_RUNS_INTERNAL_H
#define AK_MANAGER_RUNS_INTERNAL_H

#include <ak/api/agent.h>
#include <ak/base/map.h>
#include <ak/base/thread.h>
#include <ak/kube/client.h>
#include <ak/manage/manager.h>
#include <stdatomic.h>

#include "manager/runs/book.h"
#include "manager/runs/link.h"
#include "manager/runs/runs.h"
#include "manager/runs/trust.h"

#define AK_RUNS_SWEEP AK_MINUTES(1)   /* entries that nobody needs are looked for this often ... */
#define AK_RUNS_IDLE AK_MINUTES(5)    /* ... and go after so long */
#define AK_RUNS_LINGER AK_SECONDS(30) /* a pod is followed a little longer than something runs */
#define AK_RUNS_BUCKETS 12

struct ak_follow;

/* One Agent's book on this leader. Guarded by ak_runs.lock, but for `users` while it is > 0: it
 * then stays. */
struct ak_entry {
    char *uid, *ns, *name;
    struct ak_book book;
    unsigned users;
    bool confirmed;  /* read from the API server by us, not from a cache */
    bool confirming, /* somebody is reading it */
        writing,     /* somebody is writing it */
        giving;      /* somebody is telling the pod */
    uint64_t written;
    char *released_pod;       /* uid of a pod that is about to be deleted: nothing is given to it */
    char *gone_pod;           /* uid of a pod that the API server said is gone */
    struct ak_follow *follow; /* NULL: nobody listens. Belongs to the loop */
    char *followed_pod;       /* uid */
    bool follow_synced;
    unsigned failures;  /* of the follow or of requests, in a row: how long to wait */
    ak_msec not_before; /* monotonic; no request to the pod before it */
    ak_msec touched;    /* monotonic; when its status was written last */
};

struct ak_runs {
    struct ak_runs_options o;
    const struct ak_clock *clock;
    struct ak_client *client;
    struct ak_loop *loop;
    struct ak_cancel stop;
    struct ak_link link;
    struct ak_trust trust;
    bool has_link;
    struct ak_mutex
        lock; /* guards what follows. Never held during I/O, nor with trust's or link's lock */
    struct ak_cond changed;
    struct ak_map entries; /* by the Agent's uid */
    ak_msec next_sweep;
    unsigned follows; /* streams that the loop has: they end before this is freed */
    uint64_t total[AK_RUN_PHASE_MAX][AK_RUN_TRIGGER_MAX];
    uint64_t durations[AK_RUNS_BUCKETS + 1];
    double duration_sum;
};

/* ---- runs.c ---- */

bool ak__runs_may_write(const struct ak_runs *self);
/* The uid of the Agent's pod, as the cache has it, in `buf`; "": there is none. *ret_ready may be NULL. */
#define AK_UID_SIZE 64
void ak__runs_pod_uid(struct ak_runs *self, const struct ak_object *agent,
                      char buf[static AK_UID_SIZE], bool *ret_ready);
bool ak__runs_pod_is_ready(const struct ak_object *pod);
/* The entry of the Agent, made if need be and (confirm) read from the API server. Blocks. Released with
 * ak__runs_close(). AK_E_NOT_FOUND: the Agent is gone. */
AK_MUST_USE int ak__runs_open(struct ak_runs *self, const struct ak_object *agent, bool confirm,
                              struct ak_entry **ret, struct ak_error **reterr);
void ak__runs_close(struct ak_runs *self, struct ak_entry *entry);
/* Writes the status until it shows what the book says now. Blocks; not with the lock held. */
AK_MUST_USE int ak__runs_flush(struct ak_runs *self, struct ak_entry *entry,
                               struct ak_error **reterr);
/* Wakes the Agent's reconcile, and who waits for a run. */
void ak__runs_wake(struct ak_runs *self, const struct ak_entry *entry, ak_msec delay);
/* Counts, and tells in Events, what is new. */
void ak__runs_news(struct ak_runs *self, struct ak_entry *entry, const struct ak_object *agent);
/* With what a pod's keeper did not do: how long to wait. The lock is held. */
ak_msec ak__runs_backoff(struct ak_runs *self, struct ak_entry *entry) AK_REQUIRES(self->lock);

/* ---- give.c ---- */

/* PUT, POST, GET on the agentlet. *ret_status is the HTTP status; *ret_tree the body, NULL if it
 * is no JSON. A keeper that was restarted is proved anew, once. */
AK_MUST_USE int ak__runs_ask_pod(struct ak_runs *self, const char *ns, const char *name,
                                 const char *pod_uid, const char *method, const char *path,
                                 const json_t *body, int *ret_status, json_t **ret_tree,
                                 struct ak_error **reterr);
/* The body of the PUT. The lock is held (it reads the record). */
AK_MUST_USE int ak__runs_request(const struct ak_run *run, const struct ak_agent_spec *spec,
                                 json_t **ret, struct ak_error **reterr);
/* Gives all that waits to this pod, oldest first, and cancels there what is to be. Blocks. Whoever
 * does it already does it for all. *ret_again: when to look again, negative: no need. */
AK_MUST_USE int ak__runs_give(struct ak_runs *self, struct ak_entry *entry,
                              const struct ak_object *agent, const char *pod_uid,
                              ak_msec *ret_again, struct ak_error **reterr);

/* ---- follow.c ---- */

/* Begins to listen to this pod, unless somebody does. Blocks (trust). The lock is not held. */
AK_MUST_USE int ak__runs_follow(struct ak_runs *self, struct ak_entry *entry, const char *pod_uid,
                                struct ak_error **reterr);
void ak__runs_unfollow(struct ak_runs *self, struct ak_entry *entry) AK_REQUIRES(self->lock);

/* ---- runs_ask.c ---- */

/* An error for who asked; see runs.h. Returns the code that goes with the status. */
#define ak__runs_refuse(reterr, status, reason, retry, ...)                                        \
    ak__runs_refuse_at((reterr), (status), (reason), (retry), __FILE__, __LINE__, __VA_ARGS__)
int ak__runs_refuse_at(struct ak_error **reterr, int status, const char *reason, ak_msec retry,
                       const char *file, int line, const char *fmt, ...) AK_PRINTF(7, 8);

#endif
