/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/manage/leader.h>

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "lease.h"

#define LOG "leader"
#define DEFAULT_LEASE AK_SECONDS(15)
#define DEFAULT_RENEW_DEADLINE AK_SECONDS(10)
#define DEFAULT_RETRY_PERIOD AK_SECONDS(2)
#define ACQUIRE_TIMEOUT AK_SECONDS(5) /* a stop waits for no longer */
#define RELEASE_TIMEOUT AK_SECONDS(3)

static const struct ak_resource lease_resource = {
    .group = "coordination.k8s.io",
    .version = "v1",
    .kind = "Lease",
    .plural = "leases",
    .namespaced = true,
};

struct ak_leader {
    struct ak_client *client;
    struct ak_leader_options options;
    struct ak_buf path, collection; /* of the Lease */
    struct ak_thread thread;
    struct ak_cancel stop;
    json_t *lease; /* as we know it, with its resourceVersion; NULL: not known */
    struct ak_lease_seen seen;
    bool leading;
    uint32_t jitter;
    /* Boot clock: we lead before this instant. 0: not at all. Written by the leader's thread only;
     * sequentially consistent, so that who was told "yes" read it before it became 0. */
    _Atomic ak_msec until;
    struct ak_mutex lock;                 /* guards what follows */
    char address[AK_LEADER_ADDRESS_SIZE]; /* of the holder; "": unknown */
};

/* Goes on while the machine sleeps, as the other candidates' clocks do. */
static ak_msec boot_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return (ak_msec)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool ak_leader_is_leading(const struct ak_leader *self)
{
    return boot_now() < atomic_load(&self->until);
}

bool ak_leader_may_write(void *self)
{
    return ak_leader_is_leading(self);
}

bool ak_leader_find_address(struct ak_leader *self, char ret[static AK_LEADER_ADDRESS_SIZE])
{
    bool known;

    ak_mutex_lock(&self->lock);
    known = self->address[0];
    (void)snprintf(ret, AK_LEADER_ADDRESS_SIZE, "%s", self->address);
    ak_mutex_unlock(&self->lock);
    return known;
}

/* What a Lease that was just read or written says. One that is too long is no address. */
static void note_address(struct ak_leader *self)
{
    const char *key = self->options.address_annotation;
    const char *address = key ? ak_lease_address(self->lease, key) : NULL;

    ak_mutex_lock(&self->lock);
    if (snprintf(self->address, sizeof(self->address), "%s", address ? address : "") >=
        (int)sizeof(self->address))
        self->address[0] = 0;
    ak_mutex_unlock(&self->lock);
}

static void forget_lease(struct ak_leader *self)
{
    json_decref(self->lease);
    self->lease = NULL;
}

static int get_lease(struct ak_leader *self, ak_msec timeout, struct ak_error **reterr)
{
    struct ak_call call = {.method = "GET", .path = ak_buf_text(&self->path), .timeout = timeout};

    forget_lease(self);
    int r = ak_client_call(self->client, &call, &self->lease, reterr);
    if (r >= 0)
        note_address(self);
    return r;
}

/* Creates or replaces; the resourceVersion in it makes the server refuse when somebody was faster. */
static int put_lease(struct ak_leader *self, bool create, ak_msec timeout, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(64u << 10);
    AK_AUTO_JSON *answer = NULL;
    struct ak_call call = {
        .method = create ? "POST" : "PUT",
        .path = ak_buf_text(create ? &self->collection : &self->path),
        .timeout = timeout,
    };
    int r = ak_json_write(self->lease, &body, reterr);

    if (r < 0)
        return r;
    call.body = body.data;
    call.body_len = body.len;
    r = ak_client_call(self->client, &call, &answer, reterr);
    forget_lease(self); /* whatever happened, ours is not the newest any more */
    if (r < 0)
        return r;
    self->lease = AK_TAKE(answer);
    note_address(self);
    return 0;
}

static void inherit_note(const struct ak_leader *self)
{
    const struct ak_leader_options *o = &self->options;
    const char *note = o->note_annotation ? ak_json_text(self->lease, "metadata", "annotations",
                                                         o->note_annotation, NULL)
                                          : NULL;

    if (note && o->inherit)
        o->inherit(note, o->note_user);
}

static int leave_note(struct ak_leader *self)
{
    const struct ak_leader_options *o = &self->options;
    char note[AK_LEADER_NOTE_SIZE];

    if (!o->note_annotation || !o->leave || !o->leave(note, o->note_user))
        return 0;
    return ak_lease_set_address(self->lease, o->note_annotation, note);
}

/* Reads the Lease, or makes the first one. 0: it is known. 1: there is none, self->lease is new. */
static int look(struct ak_leader *self, ak_msec timeout, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = get_lease(self, timeout, &err);

    if (r == AK_E_NOT_FOUND) {
        self->lease = ak_lease_make(self->options.namespace_, self->options.name);
        return self->lease ? 1 : ak_error_oom(reterr);
    }
    if (r < 0 && reterr)
        *reterr = AK_TAKE(err);
    return r < 0 ? r : 0;
}

/*
 * One attempt to take or renew the Lease. 1: it is ours from `begin` on. 0: it belongs to somebody else.
 * Negative: we do not know.
 */
static int try_lease(struct ak_leader *self, ak_msec begin, ak_msec timeout,
                     struct ak_error **reterr)
{
    enum ak_lease_verdict verdict = AK_LEASE_FREE;
    int r, created = 0;

    /* What we renewed ourselves last is known: one request is enough. */
    if (!self->leading || !self->lease) {
        created = look(self, timeout, reterr);
        if (created < 0)
            return created;
    }
    if (!created)
        verdict = ak_lease_judge(self->lease, self->options.identity, self->options.lease, begin,
                                 &self->seen);
    /* Once we led, another name in the Lease is the end, however old it is. */
    if (verdict == AK_LEASE_TAKEN ||
        (self->leading && verdict == AK_LEASE_FREE && ak_lease_holder(self->lease)[0]))
        return 0;
    if (!self->leading)
        inherit_note(self);
    r = ak_lease_renew(self->lease, self->options.identity, self->options.lease, ak_wall_now());
    if (r >= 0 && self->options.address_annotation)
        r = ak_lease_set_address(self->lease, self->options.address_annotation,
                                 self->options.address);
    if (r >= 0)
        r = leave_note(self);
    if (r < 0) {
        forget_lease(self);
        return ak_error_oom(reterr);
    }
    timeout -= boot_now() - begin;
    if (timeout <= 0)
        return ak_error_set(reterr, -ETIMEDOUT, "no time left to renew the Lease");
    r = put_lease(self, created, timeout, reterr);
    return r < 0 ? r : 1;
}

/* Candidates look twice as often as the leader renews: a Lease that was given back has a new holder within 1.2 s.
 * Up to a fifth more: they do not come all at once. */
static ak_msec pause_of(struct ak_leader *self)
{
    ak_msec pause = AK_MAX(self->options.retry_period / 2, 1);

    self->jitter = self->jitter * 1664525u + 1013904223u;
    return pause + (ak_msec)(self->jitter >> 8) % (pause / 5 + 1);
}

static void log_attempt(const struct ak_leader *self, int r, const struct ak_error *err)
{
    if (r < 0)
        ak_debug(LOG, "the Lease could not be read or written",
                 AK_STR("namespace", self->options.namespace_), AK_STR("name", self->options.name),
                 AK_ERR(err));
    else if (r == 0)
        ak_debug(LOG, "somebody else holds the Lease",
                 AK_STR("holder", ak_lease_holder(self->lease)));
}

/* Waits until the Lease is ours. False: we were stopped. */
static bool acquire(struct ak_leader *self)
{
    while (!ak_cancel_is_set(&self->stop)) {
        AK_AUTO_PTR(ak_error) err = NULL;
        ak_msec begin = boot_now();
        int r = try_lease(self, begin, AK_MIN(self->options.renew_deadline, ACQUIRE_TIMEOUT), &err);

        log_attempt(self, r, err);
        if (r > 0) {
            self->leading = true;
            atomic_store(&self->until, begin + self->options.renew_deadline);
            return true;
        }
        if (ak_cancel_sleep(&self->stop, pause_of(self)))
            break;
    }
    return false;
}

/* Renews until that fails for too long, somebody else has it, or we are stopped. */
static void renew(struct ak_leader *self)
{
    while (!ak_cancel_sleep(&self->stop, self->options.retry_period)) {
        AK_AUTO_PTR(ak_error) err = NULL;
        ak_msec begin = boot_now(), left = atomic_load(&self->until) - begin;
        int r;

        if (left <= 0)
            return;
        /* No request outlasts our time: this thread must be here when it is over. A conflict is looked
         * into at once, by the next round without the pause. */
        r = try_lease(self, begin, left, &err);
        if (r == AK_E_CONFLICT || r == AK_E_NOT_FOUND || r == AK_E_ALREADY_EXISTS) {
            err = ak_error_free(err);
            left = atomic_load(&self->until) - boot_now();
            r = left > 0 ? try_lease(self, begin, left, &err) : -ETIMEDOUT;
        }
        log_attempt(self, r, err);
        if (r > 0)
            atomic_store(&self->until, begin + self->options.renew_deadline);
        else if (r == 0)
            return;
    }
}

/* Gives the Lease back, so that the next one need not wait. Best effort. */
static void release(struct ak_leader *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    if (!self->lease && get_lease(self, RELEASE_TIMEOUT, &err) < 0)
        return;
    if (self->options.address_annotation)
        (void)ak_lease_set_address(self->lease, self->options.address_annotation, NULL);
    (void)leave_note(self);
    if (!ak_streq(ak_lease_holder(self->lease), self->options.identity) ||
        ak_lease_release(self->lease, ak_wall_now()) < 0)
        return;
    if (put_lease(self, false, RELEASE_TIMEOUT, &err) < 0)
        ak_debug(LOG, "the Lease could not be given back", AK_ERR(err));
}

static void run(void *user)
{
    struct ak_leader *self = user;
    bool graceful;

    if (!acquire(self))
        return;
    self->options.started(self->options.user);
    renew(self);
    graceful = ak_cancel_is_set(&self->stop);
    if (!graceful)
        atomic_store(&self->until, 0);
    /* On a graceful stop what runs may finish its writes: nobody can take the Lease before `until`. */
    self->options.stopped(self->options.user);
    atomic_store(&self->until, 0);
    self->leading = false;
    if (graceful)
        release(self);
}

struct ak_leader *ak_leader_free(struct ak_leader *self)
{
    if (!self)
        return NULL;
    ak_leader_stop(self);
    forget_lease(self);
    ak_cancel_done(&self->stop);
    ak_mutex_done(&self->lock);
    ak_buf_done(&self->path);
    ak_buf_done(&self->collection);
    ak_free(self);
    return NULL;
}

static int check_options(struct ak_leader_options *o, struct ak_error **reterr)
{
    if (ak_is_empty(o->namespace_) || ak_is_empty(o->name) || ak_is_empty(o->identity))
        return ak_error_set(reterr, -EINVAL,
                            "leader election: namespace, name and identity must not be empty");
    o->lease = o->lease > 0 ? o->lease : DEFAULT_LEASE;
    o->renew_deadline = o->renew_deadline > 0 ? o->renew_deadline : DEFAULT_RENEW_DEADLINE;
    o->retry_period = o->retry_period > 0 ? o->retry_period : DEFAULT_RETRY_PERIOD;
    if (o->lease <= o->renew_deadline || o->renew_deadline <= o->retry_period)
        return ak_error_set(reterr, -EINVAL,
                            "leader election: lease must be longer than renew deadline, and that "
                            "than retry period");
    return 0;
}

int ak_leader_new(struct ak_client *client, const struct ak_leader_options *options,
                  struct ak_leader **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_leader) self = ak_new0(struct ak_leader);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->stop.fd = -1;
    ak_mutex_init(&self->lock);
    self->client = client;
    self->options = *options;
    self->path = (struct ak_buf)AK_BUF_INIT(2048);
    self->collection = (struct ak_buf)AK_BUF_INIT(2048);
    self->jitter = (uint32_t)boot_now();
    r = check_options(&self->options, reterr);
    if (r < 0)
        return r;
    r = ak_cancel_init(&self->stop);
    if (r >= 0)
        r = ak_resource_path(&lease_resource, options->namespace_, options->name, NULL,
                             &self->path);
    if (r >= 0)
        r = ak_resource_path(&lease_resource, options->namespace_, NULL, NULL, &self->collection);
    if (r < 0)
        return ak_error_set(reterr, r, "leader election");
    *ret = AK_TAKE(self);
    return 0;
}

int ak_leader_start(struct ak_leader *self, struct ak_error **reterr)
{
    int r = ak_thread_start(&self->thread, "leader", run, self);

    return r < 0 ? ak_error_set(reterr, r, "cannot start the leader thread") : 0;
}

void ak_leader_stop(struct ak_leader *self)
{
    if (self->stop.fd >= 0)
        ak_cancel_now(&self->stop);
    ak_thread_join(&self->thread);
}
