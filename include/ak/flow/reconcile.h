/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controller: a queue, N workers, and one function that makes the world as the object says.
 *
 * The function gets a name, reads caches, decides (plan: pure), writes (apply) and returns. It must be
 * level-based: it cannot know why it was called. Results:
 *   0                       done; `again_after` >= 0 asks for another call then
 *   terminal error          logged once, not retried until something wakes the key (ak_code_is_terminal)
 *   AK_E_CONFLICT, _GONE, _ALREADY_EXISTS
 *                           normal: the cache is behind; tried again with backoff, logged at debug only
 *   AK_E_CANCELLED          we are stopping, or lead no longer: logged at debug only
 *   AK_E_THROTTLED          tried again after Retry-After
 *   any other error         logged once per failure, tried again with backoff
 */
#ifndef AK_FLOW_RECONCILE_H
#define AK_FLOW_RECONCILE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/flow/queue.h>

struct ak_result {
    ak_msec again_after; /* negative: no */
};
typedef int (*ak_reconcile_fn)(void *user, const struct ak_request *req, struct ak_result *result,
                               struct ak_error **reterr);
struct ak_controller_options {
    const char *name; /* label of its metrics, thread name, log field */
    const char *kind; /* for logs */
    ak_reconcile_fn reconcile;
    void *user;
    int workers;                    /* 0: 4 */
    ak_msec retry_first, retry_max; /* as in queue.h */
};
struct ak_controller;
AK_PUBLIC struct ak_controller *ak_controller_free(struct ak_controller *self); /* stops first */
AK_PUBLIC AK_MUST_USE int ak_controller_new(const struct ak_controller_options *options,
                                            struct ak_controller **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_controller, ak_controller_free)
AK_PUBLIC struct ak_queue *ak_controller_queue(struct ak_controller *self);
AK_PUBLIC const char *ak_controller_name(const struct ak_controller *self);
AK_PUBLIC AK_MUST_USE int ak_controller_start(struct ak_controller *self, struct ak_error **reterr);
/* Sends workers home; the reconciles that run are finished (their requests end early if the client was
 * cancelled). Joined when it returns. */
AK_PUBLIC void ak_controller_stop(struct ak_controller *self);

/* Bounds of controller_runtime_reconcile_time_seconds. */
#define AK_RECONCILE_BUCKETS 40
extern AK_PUBLIC const double ak_reconcile_bounds[AK_RECONCILE_BUCKETS];
struct ak_controller_stats {
    uint64_t success, error, terminal, requeue_after;
    uint64_t behind; /* conflicts and the like: tried again, not an error */
    int workers, busy;
    double time_sum;
    uint64_t time_count;
    uint64_t
        time_buckets[AK_RECONCILE_BUCKETS + 1]; /* not cumulative; the last: above all bounds */
};
AK_PUBLIC void ak_controller_stats(struct ak_controller *self, struct ak_controller_stats *ret);
#endif
