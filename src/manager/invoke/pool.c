/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/invoke/pool.h"

#include <ak/base/alloc.h>
#include <ak/base/thread.h>

struct lane;
struct slot {
    struct lane *lane;
    struct ak_thread thread;
    bool busy;  /* a thread was started here and has not left */
    bool ended; /* it has left, and is to be joined */
};

/* Guarded by the pool's lock. */
struct lane {
    struct ak_pool *pool;
    const struct ak_pool_lane *options;
    struct ak_cond work;
    struct ak_pool_item *waiting, **waiting_end;
    size_t n_waiting, n_running;
    int n_threads, n_idle;
    struct slot *slots; /* options->max_threads of them */
};

struct ak_pool {
    struct ak_mutex lock; /* guards everything else */
    bool stopping;
    size_t n_lanes;
    struct lane lanes[AK_POOL_MAX_LANES];
};

/* The next item, or NULL: nothing came for a while, or we stop. */
static struct ak_pool_item *next_locked(struct ak_pool *self, struct lane *lane)
    AK_REQUIRES(self->lock)
{
    ak_msec until = ak_now() + AK_POOL_IDLE;

    lane->n_idle++;
    while (!lane->waiting && !self->stopping && ak_now() < until)
        ak_cond_wait_until(&lane->work, &self->lock, until);
    lane->n_idle--;
    if (!lane->waiting || self->stopping)
        return NULL;
    struct ak_pool_item *item = lane->waiting;
    lane->waiting = item->next;
    if (!lane->waiting)
        lane->waiting_end = &lane->waiting;
    lane->n_waiting--;
    lane->n_running++;
    return item;
}

static void work(void *user)
{
    struct slot *slot = user;
    struct lane *lane = slot->lane;
    struct ak_pool *self = lane->pool;
    struct ak_pool_item *item;

    ak_mutex_lock(&self->lock);
    while ((item = next_locked(self, lane)) != NULL) {
        ak_mutex_unlock(&self->lock);
        item->run(item);
        ak_mutex_lock(&self->lock);
        lane->n_running--;
    }
    lane->n_threads--;
    slot->ended = true;
    ak_mutex_unlock(&self->lock);
}

static struct slot *find_slot(struct lane *lane)
{
    for (int i = 0; i < lane->options->max_threads; i++) {
        struct slot *slot = &lane->slots[i];
        if (slot->ended) { /* it holds no lock any more: at most its last instructions are waited for */
            ak_thread_join(&slot->thread);
            slot->busy = slot->ended = false;
        }
        if (!slot->busy)
            return slot;
    }
    return NULL;
}

/* One more thread where there is work for it. Negative: there is not a single one. */
static int grow(struct lane *lane)
{
    if ((size_t)lane->n_idle >= lane->n_waiting || lane->n_threads == lane->options->max_threads)
        return 0;
    struct slot *slot = find_slot(lane);
    if (!slot)
        return 0;
    slot->thread = (struct ak_thread){0};
    int r = ak_thread_start(&slot->thread, lane->options->name, work, slot);
    if (r < 0)
        return lane->n_threads ? 0 : r;
    slot->busy = true;
    lane->n_threads++;
    return 0;
}

static void remove_last(struct lane *lane)
{
    struct ak_pool_item **p = &lane->waiting;

    while ((*p)->next)
        p = &(*p)->next;
    *p = NULL;
    lane->waiting_end = p;
    lane->n_waiting--;
}

int ak_pool_put(struct ak_pool *self, size_t number, struct ak_pool_item *item)
{
    struct lane *lane = &self->lanes[number];
    int r = 0;

    ak_mutex_lock(&self->lock);
    if (self->stopping)
        r = -ESHUTDOWN;
    else if (lane->n_waiting >= lane->options->max_waiting)
        r = -ENOBUFS;
    if (r >= 0) {
        item->next = NULL;
        *lane->waiting_end = item;
        lane->waiting_end = &item->next;
        lane->n_waiting++;
        r = grow(lane);
        if (r < 0)
            remove_last(lane);
        ak_cond_signal(&lane->work);
    }
    ak_mutex_unlock(&self->lock);
    return r;
}

static void lane_done(struct lane *lane)
{
    if (!lane->slots)
        return;
    ak_free(lane->slots);
    ak_cond_done(&lane->work);
}

static int lane_init(struct lane *lane, struct ak_pool *self, const struct ak_pool_lane *options)
{
    lane->slots = ak_calloc((size_t)options->max_threads, sizeof(*lane->slots));
    if (!lane->slots)
        return -ENOMEM;
    for (int i = 0; i < options->max_threads; i++)
        lane->slots[i].lane = lane;
    lane->pool = self;
    lane->options = options;
    lane->waiting_end = &lane->waiting;
    ak_cond_init(&lane->work);
    return 0;
}

int ak_pool_new(const struct ak_pool_lane *lanes, size_t n, struct ak_pool **ret,
                struct ak_error **reterr)
{
    if (n > AK_POOL_MAX_LANES)
        return ak_error_set(reterr, -EINVAL, "more than %d lanes", AK_POOL_MAX_LANES);
    AK_AUTO_PTR(ak_pool) self = ak_new0(struct ak_pool);
    if (!self)
        return ak_error_oom(reterr);
    ak_mutex_init(&self->lock);
    for (; self->n_lanes < n; self->n_lanes++)
        if (lane_init(&self->lanes[self->n_lanes], self, &lanes[self->n_lanes]) < 0)
            return ak_error_oom(reterr);
    *ret = AK_TAKE(self);
    return 0;
}

void ak_pool_stop(struct ak_pool *self)
{
    ak_mutex_lock(&self->lock);
    self->stopping = true;
    for (size_t i = 0; i < self->n_lanes; i++)
        ak_cond_broadcast(&self->lanes[i].work);
    ak_mutex_unlock(&self->lock);
    /* Nobody starts or joins threads any more: put() refuses. */
    for (size_t i = 0; i < self->n_lanes; i++)
        for (int k = 0; k < self->lanes[i].options->max_threads; k++)
            ak_thread_join(&self->lanes[i].slots[k].thread);
}

struct ak_pool *ak_pool_free(struct ak_pool *self)
{
    if (!self)
        return NULL;
    ak_pool_stop(self);
    for (size_t i = 0; i < self->n_lanes; i++)
        lane_done(&self->lanes[i]);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

struct ak_pool_counts ak_pool_count(struct ak_pool *self, size_t lane)
{
    ak_mutex_lock(&self->lock);
    struct ak_pool_counts counts = {self->lanes[lane].n_waiting, self->lanes[lane].n_running};
    ak_mutex_unlock(&self->lock);
    return counts;
}
