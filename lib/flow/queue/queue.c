/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key has one entry while it waits or is worked on, and the entry is in exactly one place:
 *
 *   READY    in the list of ready keys, first come first served
 *   DELAYED  in the heap, ordered by the time when it becomes ready
 *   ACTIVE   on a worker; what is added meanwhile is kept in `again_at`
 *
 * Room in the heap is reserved when an entry is made, so that giving a key back cannot fail.
 */
#include <ak/flow/queue.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/map.h>

#include "backoff.h"

#define DEFAULT_RETRY_FIRST 5
#define DEFAULT_RETRY_MAX AK_SECONDS(1000)
#define DEFAULT_MAX_KEYS 1000000
#define KEEP_ROOM 256 /* keys for which an idle queue keeps its tables */

const double ak_queue_bounds[AK_QUEUE_BUCKETS] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3,
                                                  1e-2, 1e-1, 1,    10,   100,  1000};

enum place { READY, DELAYED, ACTIVE };

struct entry {
    struct entry *prev, *next; /* READY and ACTIVE: its list */
    size_t heap_index;         /* DELAYED */
    enum place place;
    enum ak_cause cause;
    unsigned failures;
    ak_msec since;     /* READY, ACTIVE: when it came there */
    uint64_t since_ns; /* the same, real and finer: for the histograms */
    ak_msec due;       /* DELAYED */
    ak_msec again_at;  /* ACTIVE: run again then; AK_MSEC_NEVER: nobody asked */
    enum ak_cause again_cause;
    char text[]; /* namespace/name */
};

struct list {
    struct entry *first, *last;
    size_t len;
};

struct ak_queue {
    const struct ak_clock *clock;
    ak_msec retry_first, retry_max;
    size_t max_keys;

    struct ak_mutex lock; /* guards everything below */
    struct ak_cond wake;
    struct ak_map entries; /* text -> entry */
    struct list ready, active;
    struct entry **heap;
    size_t heap_len, heap_cap;
    bool stopped;
    bool timed; /* a taker waits for the first of the heap; the others wait without a limit */
    uint64_t next_id;
    struct ak_backoff_random random;
    struct ak_queue_stats stats;
};

static void add_again_locked(struct ak_queue *self, struct entry *e, ak_msec at,
                             enum ak_cause cause) AK_REQUIRES(&self->lock);
static int new_entry_locked(struct ak_queue *self, const char *text, struct entry **ret)
    AK_REQUIRES(&self->lock);
static int add_locked(struct ak_queue *self, const char *text, ak_msec delay, enum ak_cause cause)
    AK_REQUIRES(&self->lock);
static void make_ready_locked(struct ak_queue *self, struct entry *e) AK_REQUIRES(&self->lock);
static void make_delayed_locked(struct ak_queue *self, struct entry *e, ak_msec due)
    AK_REQUIRES(&self->lock);
static void promote_due_locked(struct ak_queue *self) AK_REQUIRES(&self->lock);
static void take_first_locked(struct ak_queue *self, struct ak_request *ret)
    AK_REQUIRES(&self->lock);
static void forget_locked(struct ak_queue *self, struct entry *e) AK_REQUIRES(&self->lock);
static void give_back_locked(struct ak_queue *self, struct entry *e, ak_msec at)
    AK_REQUIRES(&self->lock);

static uint64_t real_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void list_add(struct list *l, struct entry *e)
{
    e->prev = l->last;
    e->next = NULL;
    if (l->last)
        l->last->next = e;
    else
        l->first = e;
    l->last = e;
    l->len++;
}

static void list_remove(struct list *l, struct entry *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else
        l->first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        l->last = e->prev;
    e->prev = e->next = NULL;
    l->len--;
}

/* The heap: the earliest is at 0, children of i are at 2i + 1 and 2i + 2. */
static void heap_set(struct ak_queue *self, size_t i, struct entry *e)
{
    self->heap[i] = e;
    e->heap_index = i;
}

static void heap_up(struct ak_queue *self, size_t i)
{
    struct entry *e = self->heap[i];

    while (i > 0 && self->heap[(i - 1) / 2]->due > e->due) {
        heap_set(self, i, self->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(self, i, e);
}

static void heap_down(struct ak_queue *self, size_t i)
{
    struct entry *e = self->heap[i];
    size_t child;

    while ((child = 2 * i + 1) < self->heap_len) {
        if (child + 1 < self->heap_len && self->heap[child + 1]->due < self->heap[child]->due)
            child++;
        if (self->heap[child]->due >= e->due)
            break;
        heap_set(self, i, self->heap[child]);
        i = child;
    }
    heap_set(self, i, e);
}

static void heap_remove(struct ak_queue *self, struct entry *e)
{
    size_t i = e->heap_index;
    struct entry *last = self->heap[--self->heap_len];

    if (last == e)
        return;
    heap_set(self, i, last);
    heap_up(self, i);
    heap_down(self, last->heap_index);
}

struct ak_queue *ak_queue_free(struct ak_queue *self)
{
    size_t it = 0;
    const char *key;
    void *value;

    if (!self)
        return NULL;
    while (ak_map_next(&self->entries, &it, &key, &value))
        ak_free(value);
    ak_map_done(&self->entries);
    ak_free(self->heap);
    ak_cond_done(&self->wake);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_queue_new(const struct ak_queue_options *options, struct ak_queue **ret,
                 struct ak_error **reterr)
{
    struct ak_queue *self = ak_new0(struct ak_queue);

    if (!self)
        return ak_error_oom(reterr);
    self->clock = options->clock ? options->clock : ak_clock_system();
    self->retry_first = options->retry_first > 0 ? options->retry_first : DEFAULT_RETRY_FIRST;
    self->retry_max = options->retry_max > 0 ? options->retry_max : DEFAULT_RETRY_MAX;
    self->max_keys = options->max_keys ? options->max_keys : DEFAULT_MAX_KEYS;
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->wake);
    ak_map_init(&self->entries, self->max_keys);
    ak_backoff_seed(&self->random, real_ns());
    self->next_id = ak_backoff_next(&self->random);
    *ret = self;
    return 0;
}

static void make_ready_locked(struct ak_queue *self, struct entry *e)
{
    e->place = READY;
    e->since = ak_clock_now(self->clock);
    e->since_ns = real_ns();
    list_add(&self->ready, e);
    ak_cond_signal(&self->wake);
}

static void make_delayed_locked(struct ak_queue *self, struct entry *e, ak_msec due)
{
    e->place = DELAYED;
    e->due = due;
    heap_set(self, self->heap_len, e);
    heap_up(self, self->heap_len++);
    /* Whoever waits for the first of the heap must look again. */
    if (e->heap_index == 0)
        ak_cond_broadcast(&self->wake);
}

/* An active key that is added keeps the earliest time that anybody asked for. */
static void add_again_locked(struct ak_queue *self, struct entry *e, ak_msec at,
                             enum ak_cause cause)
{
    (void)self;
    if (at >= e->again_at)
        return;
    e->again_at = at;
    e->again_cause = cause;
}

static int new_entry_locked(struct ak_queue *self, const char *text, struct entry **ret)
{
    size_t size = strlen(text) + 1;
    struct entry *e;
    int r;

    if (self->entries.len >= self->max_keys)
        return -ENOBUFS;
    if (self->entries.len >= self->heap_cap) {
        size_t cap = self->heap_cap ? self->heap_cap * 2 : 16;
        struct entry **heap = ak_reallocarray(self->heap, cap, sizeof(*heap));
        if (!heap)
            return -ENOMEM;
        self->heap = heap;
        self->heap_cap = cap;
    }
    e = ak_calloc(1, sizeof(*e) + size);
    if (!e)
        return -ENOMEM;
    memcpy(e->text, text, size);
    e->again_at = AK_MSEC_NEVER;
    r = ak_map_put(&self->entries, e->text, e, NULL);
    if (r < 0) {
        ak_free(e);
        return r;
    }
    *ret = e;
    return 0;
}

static int add_locked(struct ak_queue *self, const char *text, ak_msec delay, enum ak_cause cause)
{
    ak_msec now = ak_clock_now(self->clock);
    ak_msec due = delay > 0 ? now + AK_MIN(delay, AK_HOURS(24 * 365)) : now;
    struct entry *e = ak_map_get(&self->entries, text);
    int r;

    if (!e) {
        r = new_entry_locked(self, text, &e);
        if (r < 0)
            return r;
        e->cause = cause;
        if (due > now)
            make_delayed_locked(self, e, due);
        else
            make_ready_locked(self, e);
        return 0;
    }
    if (e->place == ACTIVE) {
        add_again_locked(self, e, due, cause);
    } else if (e->place == DELAYED && due < e->due) {
        heap_remove(self, e);
        e->cause = cause;
        if (due > now)
            make_delayed_locked(self, e, due);
        else
            make_ready_locked(self, e);
    }
    return 1;
}

int ak_queue_add(struct ak_queue *self, struct ak_key key, ak_msec delay, enum ak_cause cause)
{
    char text[AK_KEY_MAX];
    int r;

    r = ak_key_text(key, text);
    ak_mutex_lock(&self->lock);
    if (r >= 0)
        r = self->stopped ? AK_E_CANCELLED : add_locked(self, text, delay, cause);
    if (r == -ENOMEM || r == -ENOBUFS)
        self->stats.dropped++;
    else if (r == 0)
        self->stats.adds++;
    else if (r > 0)
        self->stats.merges++;
    ak_mutex_unlock(&self->lock);
    return r;
}

static void promote_due_locked(struct ak_queue *self)
{
    ak_msec now;

    if (!self->heap_len)
        return;
    now = ak_clock_now(self->clock);
    while (self->heap_len && self->heap[0]->due <= now) {
        struct entry *e = self->heap[0];
        heap_remove(self, e);
        make_ready_locked(self, e);
    }
}

static void observe(uint64_t *buckets, uint64_t *count, double *sum, uint64_t ns)
{
    double seconds = (double)ns / 1e9;
    size_t i = 0;

    while (i < AK_QUEUE_BUCKETS && seconds > ak_queue_bounds[i])
        i++;
    buckets[i]++;
    (*count)++;
    *sum += seconds;
}

static void take_first_locked(struct ak_queue *self, struct ak_request *ret)
{
    struct entry *e = self->ready.first;
    ak_msec now = ak_clock_now(self->clock);
    uint64_t now_ns = real_ns();
    struct ak_queue_stats *st = &self->stats;

    list_remove(&self->ready, e);
    list_add(&self->active, e);
    ak_key_split(e->text, ret->ns, ret->name);
    ret->cause = e->cause;
    ret->attempt = e->failures;
    ret->reconcile_id = self->next_id++;
    if (!ret->reconcile_id) /* 0 means none */
        ret->reconcile_id = self->next_id++;
    ret->waited = now - e->since;
    observe(st->wait_buckets, &st->wait_count, &st->wait_sum, now_ns - e->since_ns);
    e->place = ACTIVE;
    e->since = now;
    e->since_ns = now_ns;
    e->again_at = AK_MSEC_NEVER;
}

int ak_queue_try_take(struct ak_queue *self, struct ak_request *ret)
{
    int r = 0;

    ak_mutex_lock(&self->lock);
    promote_due_locked(self);
    if (self->stopped)
        r = AK_E_CANCELLED;
    else if (!self->ready.first)
        r = -EAGAIN;
    else
        take_first_locked(self, ret);
    ak_mutex_unlock(&self->lock);
    return r;
}

int ak_queue_take(struct ak_queue *self, struct ak_request *ret)
{
    int r = AK_E_CANCELLED;

    ak_mutex_lock(&self->lock);
    while (!self->stopped) {
        promote_due_locked(self);
        if (self->ready.first) {
            take_first_locked(self, ret);
            r = 0;
            break;
        }
        if (self->heap_len && !self->timed) {
            ak_msec wait = self->heap[0]->due - ak_clock_now(self->clock);
            self->timed = true;
            ak_cond_wait_until(&self->wake, &self->lock, ak_now() + wait);
            self->timed = false;
        } else {
            ak_cond_wait_until(&self->wake, &self->lock, AK_MSEC_NEVER);
        }
    }
    /* The one that waited for the heap may be the one that leaves: another takes its place. */
    if (self->ready.first || (self->heap_len && !self->timed))
        ak_cond_signal(&self->wake);
    ak_mutex_unlock(&self->lock);
    return r;
}

static void forget_locked(struct ak_queue *self, struct entry *e)
{
    (void)ak_map_remove(&self->entries, e->text);
    ak_free(e);
    /* A burst is over: an idle queue is small again. */
    if (!self->entries.len && self->heap_cap > KEEP_ROOM) {
        ak_map_done(&self->entries);
        ak_map_init(&self->entries, self->max_keys);
        ak_free(self->heap);
        self->heap = NULL;
        self->heap_cap = 0;
    }
}

/* After work: runs again at `at` or when something asked for it meanwhile, whichever is first. */
static void give_back_locked(struct ak_queue *self, struct entry *e, ak_msec at)
{
    struct ak_queue_stats *st = &self->stats;

    observe(st->work_buckets, &st->work_count, &st->work_sum, real_ns() - e->since_ns);
    list_remove(&self->active, e);
    if (e->again_at < at) {
        at = e->again_at;
        e->cause = e->again_cause;
    }
    if (at == AK_MSEC_NEVER || self->stopped) {
        forget_locked(self, e);
    } else if (at > ak_clock_now(self->clock)) {
        make_delayed_locked(self, e, at);
        /* Somebody must wait for the heap, if nobody does yet. */
        if (!self->timed)
            ak_cond_signal(&self->wake);
    } else {
        make_ready_locked(self, e);
    }
}

static struct entry *find_active(struct ak_queue *self, const struct ak_request *req)
{
    char text[AK_KEY_MAX];
    struct entry *e;

    if (ak_key_text((struct ak_key){req->ns, req->name}, text) < 0)
        return NULL;
    e = ak_map_get(&self->entries, text);
    return e && e->place == ACTIVE ? e : NULL;
}

void ak_queue_done(struct ak_queue *self, const struct ak_request *req, ak_msec again_after)
{
    struct entry *e;

    ak_mutex_lock(&self->lock);
    e = find_active(self, req);
    if (e) {
        e->failures = 0;
        e->cause = AK_CAUSE_TIMER;
        give_back_locked(self, e,
                         again_after < 0
                             ? AK_MSEC_NEVER
                             : ak_clock_now(self->clock) + AK_MIN(again_after, AK_HOURS(24 * 365)));
    }
    ak_mutex_unlock(&self->lock);
}

void ak_queue_retry(struct ak_queue *self, const struct ak_request *req, ak_msec at_least)
{
    struct entry *e;
    ak_msec delay;

    ak_mutex_lock(&self->lock);
    e = find_active(self, req);
    if (e) {
        delay = ak_backoff_delay(self->retry_first, self->retry_max, e->failures, &self->random);
        e->failures++;
        e->cause = AK_CAUSE_RETRY;
        self->stats.retries++;
        give_back_locked(self, e, ak_clock_now(self->clock) + AK_MAX(delay, at_least));
    }
    ak_mutex_unlock(&self->lock);
}

void ak_queue_shutdown(struct ak_queue *self)
{
    struct entry *e;

    ak_mutex_lock(&self->lock);
    self->stopped = true;
    while ((e = self->ready.first)) {
        list_remove(&self->ready, e);
        forget_locked(self, e);
    }
    while (self->heap_len) {
        e = self->heap[0];
        heap_remove(self, e);
        forget_locked(self, e);
    }
    ak_cond_broadcast(&self->wake);
    ak_mutex_unlock(&self->lock);
}

void ak_queue_stats(struct ak_queue *self, struct ak_queue_stats *ret)
{
    ak_msec now;

    ak_mutex_lock(&self->lock);
    now = ak_clock_now(self->clock);
    *ret = self->stats;
    ret->depth = self->ready.len;
    ret->delayed = self->heap_len;
    ret->active = self->active.len;
    ret->oldest = self->ready.first ? now - self->ready.first->since : 0;
    /* The first of the list was taken first. */
    ret->longest_running = self->active.first ? now - self->active.first->since : 0;
    ret->unfinished = 0;
    for (const struct entry *e = self->active.first; e; e = e->next)
        ret->unfinished += now - e->since;
    ak_mutex_unlock(&self->lock);
}
