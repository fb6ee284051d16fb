/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work queue: a key waits in it at most once, is never on two workers at once, may be delayed,
 * and comes back with growing delay when its reconcile failed. Semantics as client-go's workqueue
 * (a key added while it is being worked on is run again afterwards); metric names too.
 *
 * Memory: per waiting key only. A key that is idle and has no failures costs nothing.
 */
#ifndef AK_FLOW_QUEUE_H
#define AK_FLOW_QUEUE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <ak/base/time.h>
#include <ak/flow/key.h>
#include <stdbool.h>
#include <stdint.h>

struct ak_queue;
struct ak_queue_options {
    const char *name;             /* label of its metrics */
    const struct ak_clock *clock; /* NULL: system */
    ak_msec retry_first;          /* 0: 5 ms (controller-runtime's default) */
    ak_msec retry_max;            /* 0: 1000 s */
    size_t max_keys;              /* 0: 1,000,000; then -ENOBUFS */
};
/* queue -> reconcile */
struct ak_request {
    char ns[AK_KEY_NS_SIZE];
    char name[AK_KEY_NAME_SIZE];
    enum ak_cause cause;
    unsigned attempt;      /* failures in a row before this one */
    uint64_t reconcile_id; /* for logs */
    ak_msec waited;
};

AK_PUBLIC struct ak_queue *ak_queue_free(struct ak_queue *self); /* all workers must have left */
AK_PUBLIC AK_MUST_USE int ak_queue_new(const struct ak_queue_options *options,
                                       struct ak_queue **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_queue, ak_queue_free)
/* Adds a key to be run after `delay` (0: now), or moves a waiting one to the earlier time. 0 added,
 * 1 merged, negative on error. Thread: any. */
AK_PUBLIC AK_MUST_USE int ak_queue_add(struct ak_queue *self, struct ak_key key, ak_msec delay,
                                       enum ak_cause cause);
/* Waits for a key. 0, or AK_E_CANCELLED when the queue was shut down. Every key taken must be given
 * back with exactly one of done / retry. Thread: any worker. */
AK_PUBLIC AK_MUST_USE int ak_queue_take(struct ak_queue *self, struct ak_request *ret);
/* The same without waiting: -EAGAIN when no key is ready. */
AK_PUBLIC AK_MUST_USE int ak_queue_try_take(struct ak_queue *self, struct ak_request *ret);
/* Finished. `again_after` >= 0 runs it again then; negative: only when something adds it. Forgets failures. */
AK_PUBLIC void ak_queue_done(struct ak_queue *self, const struct ak_request *req,
                             ak_msec again_after);
/* Failed: runs it again after the backoff (or after `at_least`, if that is longer). */
AK_PUBLIC void ak_queue_retry(struct ak_queue *self, const struct ak_request *req,
                              ak_msec at_least);
/* Wakes and sends away all takers; keys that wait are dropped. */
AK_PUBLIC void ak_queue_shutdown(struct ak_queue *self);

/* 10 ns * 10^i, as controller-runtime's workqueue metrics. */
#define AK_QUEUE_BUCKETS 12
extern AK_PUBLIC const double ak_queue_bounds[AK_QUEUE_BUCKETS];
struct ak_queue_stats {
    uint64_t adds, merges, retries;
    uint64_t
        dropped; /* adds that failed: no memory, or over max_keys. The manager looks at everything again. */
    size_t depth; /* ready now */
    size_t delayed;
    size_t active;
    ak_msec oldest;                      /* age of the oldest ready key */
    ak_msec longest_running, unfinished; /* of the active keys: the longest, the sum */
    uint64_t wait_count, work_count;
    double wait_sum, work_sum; /* seconds */
    /* Not cumulative; bounds are ak_queue_bounds; the last one is above all bounds. */
    uint64_t wait_buckets[AK_QUEUE_BUCKETS + 1], work_buckets[AK_QUEUE_BUCKETS + 1];
};
AK_PUBLIC void ak_queue_stats(struct ak_queue *self, struct ak_queue_stats *ret);
#endif
