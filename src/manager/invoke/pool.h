/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that may block, in lanes: each lane has its own threads and its own bounded queue, so that calls
 * which wait for long (a pod that is being woken) or come from strangers (tokens that were never seen) cannot
 * hold up the others.
 * Threads are started when there is work for them and leave after AK_POOL_IDLE without any.
 */
#ifndef AK_MANAGER_INVOKE_POOL_H
#define AK_MANAGER_INVOKE_POOL_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stddef.h>

#define AK_POOL_MAX_LANES 4
#define AK_POOL_IDLE AK_SECONDS(20)

struct ak_pool_item {
    void (*run)(struct ak_pool_item
                    *self); /* on a thread of the lane; then the item is the callee's again */
    struct ak_pool_item *next;
};
struct ak_pool_lane {
    const char *name; /* of its threads, at most 15 characters */
    int max_threads;
    size_t max_waiting;
};

struct ak_pool;
/* Stops first. What waits is not run: the caller keeps track of its items. */
struct ak_pool *ak_pool_free(struct ak_pool *self);
/* `lanes` is borrowed. */
AK_MUST_USE int ak_pool_new(const struct ak_pool_lane *lanes, size_t n, struct ak_pool **ret,
                            struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_pool, ak_pool_free)
/* 0; -ENOBUFS: too many wait in this lane; -ESHUTDOWN: stopped; or no thread could be started. Thread: any. */
AK_MUST_USE int ak_pool_put(struct ak_pool *self, size_t lane, struct ak_pool_item *item);
/* What runs is finished, what waits is dropped. Thread: any but the pool's. */
void ak_pool_stop(struct ak_pool *self);
struct ak_pool_counts {
    size_t waiting, running;
};
struct ak_pool_counts ak_pool_count(struct ak_pool *self, size_t lane);

#endif
