/* SPDX-License-Identifier: Apache-2.0 */
/* The book as a whole: made and freed, entries, the write of a status, what is told to others. */
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/kube/events.h>

#include "manager/kinds.h"
#include "manager/runs/runs_internal.h"

#define LOG "runs"
#define STOP_WAIT AK_SECONDS(2)
#define BACKOFF_FIRST 100 /* ms */
#define BACKOFF_MAX AK_SECONDS(5)

static const double bounds[AK_RUNS_BUCKETS] = {0.1, 0.5, 1,   5,    15,   30,
                                               60,  300, 900, 1800, 3600, 14400};

/* ---- made and freed ---- */

bool ak__runs_may_write(const struct ak_runs *self)
{
    const struct ak_apply *apply = ak_manager_apply(self->o.manager);

    return !ak_cancel_is_set(&self->stop) && (!apply->may_write || apply->may_write(apply->user));
}

static void wake_all(struct ak_runs *self)
{
    struct ak_queue *queue = ak_manager_queue(self->o.manager, "agent");
    AK_AUTO(ak_object_list) list = {0};

    if (!queue || !ak__runs_may_write(self) || ak_cache_list(self->o.agents, NULL, &list) < 0)
        return;
    for (size_t i = 0; i < list.len; i++) {
        const struct ak_meta *m = ak_object_meta(list.items[i]);
        (void)!ak_queue_add(queue, (struct ak_key){m->namespace_, m->name}, 0, AK_CAUSE_REFERENCE);
    }
}

static void on_link(bool bundle_changed, void *user)
{
    struct ak_runs *self = user;

    ak_trust_forget_all(&self->trust);
    if (bundle_changed)
        wake_all(self);
}

static struct ak_entry *entry_free(struct ak_entry *e)
{
    if (!e)
        return NULL;
    ak_book_done(&e->book);
    ak_free(e->uid);
    ak_free(e->ns);
    ak_free(e->name);
    ak_free(e->released_pod);
    ak_free(e->gone_pod);
    ak_free(e->followed_pod);
    ak_free(e);
    return NULL;
}

struct ak_runs *ak_runs_free(struct ak_runs *self)
{
    size_t it = 0;
    const char *key;
    void *value;

    if (!self)
        return NULL;
    if (self->has_link)
        ak_link_done(&self->link);
    ak_trust_done(&self->trust);
    while (ak_map_next(&self->entries, &it, &key, &value))
        entry_free(value);
    ak_map_done(&self->entries);
    ak_cancel_done(&self->stop);
    ak_cond_done(&self->changed);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_runs_new(const struct ak_runs_options *options, struct ak_runs **ret,
                struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_runs) self = ak_new0(struct ak_runs);
    const struct ak_apply *apply = ak_manager_apply(options->manager);

    if (!self)
        return ak_error_oom(reterr);
    self->o = *options;
    self->clock = options->clock ? options->clock : ak_clock_system();
    self->client = ak_manager_client(options->manager);
    self->loop = ak_manager_loop(options->manager);
    self->stop.fd = -1;
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->changed);
    ak_map_init(&self->entries, AK_CACHE_MAX_OBJECTS);
    ak_trust_init(&self->trust, self->client, self->loop, &self->link, &self->stop);
    const struct ak_link_options link = {
        .client = self->client,
        .clock = self->clock,
        .namespace_ = options->options->namespace_,
        .manager = apply->manager,
        .may_write = apply->may_write,
        .may_write_user = apply->user,
        .changed = on_link,
        .user = self,
    };
    self->has_link = true;
    int r = ak_link_init(&self->link, &link, reterr);
    if (r >= 0) {
        r = ak_cancel_init(&self->stop);
        r = r < 0 ? ak_error_set(reterr, r, "eventfd") : 0;
    }
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

int ak_runs_start(struct ak_runs *self, struct ak_error **reterr)
{
    return ak_link_start(&self->link, reterr);
}

void ak_runs_stop(struct ak_runs *self)
{
    size_t it = 0;
    const char *key;
    void *value;
    ak_msec deadline = ak_now() + STOP_WAIT;

    ak_cancel_now(&self->stop);
    ak_link_stop(&self->link);
    ak_mutex_lock(&self->lock);
    while (ak_map_next(&self->entries, &it, &key, &value))
        ak__runs_unfollow(self, value);
    ak_cond_broadcast(&self->changed);
    while (self->follows > 0 && ak_now() < deadline)
        ak_cond_wait_until(&self->changed, &self->lock, deadline);
    ak_mutex_unlock(&self->lock);
}

const char *ak_runs_bundle(struct ak_runs *self, struct ak_arena *arena)
{
    return ak_link_bundle(&self->link, arena);
}

/* ---- pods ---- */

bool ak__runs_pod_is_ready(const struct ak_object *pod)
{
    const struct ak_pod *body = ak_object_body(pod);

    return !ak_object_meta(pod)->deleting && body->status &&
           ak_condition_is_true(body->status->conditions.items, body->status->conditions.len,
                                "Ready");
}

void ak__runs_pod_uid(struct ak_runs *self, const struct ak_object *agent,
                      char buf[static AK_UID_SIZE], bool *ret_ready)
{
    const struct ak_meta *m = ak_object_meta(agent);
    AK_AUTO_OBJECT pod = ak_cache_get(self->o.pods, m->namespace_, m->name);
    bool ours = pod && ak_meta_is_owned_by(ak_object_meta(pod), m->uid);

    (void)snprintf(buf, AK_UID_SIZE, "%s", ours ? ak_object_meta(pod)->uid : "");
    if (ret_ready)
        *ret_ready = ours && ak__runs_pod_is_ready(pod);
}

/* ---- entries ---- */

static bool is_idle(const struct ak_entry *e, ak_msec now)
{
    return !e->users && !e->follow && !ak_book_active(&e->book) && e->written == e->book.version &&
           now - e->touched >= AK_RUNS_IDLE;
}

/* Of an Agent that was deleted nobody tells. */
static bool is_orphan(struct ak_runs *self, const struct ak_entry *e)
{
    AK_AUTO_OBJECT agent = ak_cache_get(self->o.agents, e->ns, e->name);

    return !agent || !ak_streq(ak_object_meta(agent)->uid, e->uid);
}

static void sweep(struct ak_runs *self) AK_REQUIRES(self->lock)
{
    ak_msec now = ak_clock_now(self->clock);
    size_t it = 0;
    const char *key;
    void *value;

    if (now < self->next_sweep)
        return;
    self->next_sweep = now + AK_RUNS_SWEEP;
    while (ak_map_next(&self->entries, &it, &key, &value)) {
        struct ak_entry *e = value;
        bool orphan = !e->users && is_orphan(self, e);
        if (orphan)
            ak__runs_unfollow(self, e);
        if (!orphan && !is_idle(e, now))
            continue;
        (void)ak_map_remove(&self->entries, key);
        entry_free(e);
    }
}

static struct ak_entry *make_entry(struct ak_runs *self, const struct ak_meta *m)
    AK_REQUIRES(self->lock)
{
    struct ak_entry *e = ak_new0(struct ak_entry);

    if (!e)
        return NULL;
    e->uid = ak_strdup(m->uid);
    e->ns = ak_strdup(m->namespace_);
    e->name = ak_strdup(m->name);
    e->touched = ak_clock_now(self->clock);
    if (!e->uid || !e->ns || !e->name || ak_map_put(&self->entries, e->uid, e, NULL) < 0)
        return entry_free(e);
    return e;
}

/* Reads the Agent and makes the book of it. Unlocks meanwhile. */
static int read_agent(struct ak_runs *self, struct ak_entry *e, struct ak_error **reterr)
    AK_REQUIRES(self->lock)
{
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_OBJECT fresh = NULL;

    e->confirming = true;
    ak_mutex_unlock(&self->lock);
    int r = ak_client_get(self->client, &ak_agent_kind.resource, e->ns, e->name, &tree, reterr);
    if (r >= 0)
        r = ak_object_decode(&ak_agent_kind, tree, AK_RUNS_MANAGER, &fresh, reterr);
    ak_mutex_lock(&self->lock);
    e->confirming = false;
    ak_cond_broadcast(&self->changed);
    if (r >= 0 && !ak_streq(ak_object_meta(fresh)->uid, e->uid))
        r = ak_error_set(reterr, AK_E_NOT_FOUND, "agent \"%s/%s\" is another one now", e->ns,
                         e->name);
    if (r < 0)
        return r;
    const struct ak_agent *agent = ak_object_body(fresh);
    if (ak_book_load(&e->book, agent->status, ak_clock_now(self->clock)) < 0)
        return ak_error_oom(reterr);
    e->written = e->book.version;
    e->confirmed = true;
    return 0;
}

int ak__runs_open(struct ak_runs *self, const struct ak_object *agent, bool confirm,
                  struct ak_entry **ret, struct ak_error **reterr)
{
    const struct ak_meta *m = ak_object_meta(agent);
    const struct ak_agent *body = ak_object_body(agent);
    int r = 0;

    ak_mutex_lock(&self->lock);
    sweep(self);
    struct ak_entry *e = ak_map_get(&self->entries, m->uid);
    if (!e)
        e = make_entry(self, m);
    if (!e) {
        ak_mutex_unlock(&self->lock);
        return ak_error_oom(reterr);
    }
    e->users++;
    while (r >= 0 && confirm && !e->confirmed) {
        if (e->confirming)
            ak_cond_wait_until(&self->changed, &self->lock, AK_MSEC_NEVER);
        else
            r = read_agent(self, e, reterr);
    }
    if (r >= 0 && body->spec)
        ak_book_rules_of(body->spec, &e->book.rules);
    ak_mutex_unlock(&self->lock);
    if (r < 0) {
        ak__runs_close(self, e);
        return r;
    }
    *ret = e;
    return 0;
}

void ak__runs_close(struct ak_runs *self, struct ak_entry *entry)
{
    ak_mutex_lock(&self->lock);
    entry->users--;
    ak_mutex_unlock(&self->lock);
}

/* ---- the status ---- */

/* Unlocks meanwhile. */
static int write_now(struct ak_runs *self, struct ak_entry *e, struct ak_error **reterr)
    AK_REQUIRES(self->lock)
{
    AK_AUTO_JSON *patch = NULL;
    uint64_t version = e->book.version;
    int r = ak_book_status(&e->book, AK_RUNS_MAX_STATUS, &patch, reterr);

    /* Of an Agent that was replaced by one of its name nothing is written into the other. */
    if (r >= 0 && json_object_set_new(patch, "metadata", json_pack("{s:s}", "uid", e->uid)) < 0)
        r = ak_error_oom(reterr);
    if (r < 0)
        return r;
    e->writing = true;
    ak_mutex_unlock(&self->lock);
    if (!ak__runs_may_write(self))
        r = ak_error_set(reterr, AK_E_CANCELLED, "not written: this process is not the leader");
    else
        r = ak_client_merge_patch(self->client, &ak_agent_kind.resource, e->ns, e->name, "status",
                                  patch, AK_RUNS_MANAGER, NULL, reterr);
    ak_mutex_lock(&self->lock);
    e->writing = false;
    if (r >= 0) {
        e->written = AK_MAX(e->written, version);
        e->touched = ak_clock_now(self->clock);
    }
    ak_cond_broadcast(&self->changed);
    return r;
}

int ak__runs_flush(struct ak_runs *self, struct ak_entry *e, struct ak_error **reterr)
{
    int r = 0;

    ak_mutex_lock(&self->lock);
    uint64_t wanted = e->book.version;
    while (r >= 0 && e->written < wanted) {
        if (e->writing)
            ak_cond_wait_until(&self->changed, &self->lock, AK_MSEC_NEVER);
        else
            r = write_now(self, e, reterr);
    }
    ak_mutex_unlock(&self->lock);
    return r < 0 ? ak_error_wrap(reterr, r, "runs of Agent \"%s/%s\"", e->ns, e->name) : 0;
}

/* ---- what others hear ---- */

void ak__runs_wake(struct ak_runs *self, const struct ak_entry *entry, ak_msec delay)
{
    struct ak_queue *queue = ak_manager_queue(self->o.manager, "agent");

    if (queue)
        (void)!ak_queue_add(queue, (struct ak_key){entry->ns, entry->name}, delay, AK_CAUSE_CHILD);
}

ak_msec ak__runs_backoff(struct ak_runs *self, struct ak_entry *e)
{
    unsigned shift = AK_MIN(e->failures, 6u);
    ak_msec wait = AK_MIN((ak_msec)BACKOFF_FIRST << shift, BACKOFF_MAX);

    e->failures++;
    e->not_before = ak_clock_now(self->clock) + wait;
    return wait;
}

/* What an Event says; a copy, because nothing is sent with the lock held. */
struct news {
    char id[AK_RUN_ID_SIZE], reason[AK_RUN_ID_SIZE], message[AK_BOOK_MAX_MESSAGE + 1];
    enum ak_run_phase phase;
    ak_msec took;
};

static void count_end(struct ak_runs *self, const struct ak_run *run) AK_REQUIRES(self->lock)
{
    double seconds = (double)(run->completed - run->started) / 1000;
    size_t i = 0;

    self->total[run->phase][run->trigger]++;
    if (!run->started || run->completed < run->started)
        return;
    while (i < AK_RUNS_BUCKETS && seconds > bounds[i])
        i++;
    self->durations[i]++;
    self->duration_sum += seconds;
}

static bool take_news(struct ak_runs *self, struct ak_entry *e, struct news *ret)
    AK_REQUIRES(self->lock)
{
    for (size_t i = e->book.len; i > 0; i--) {
        struct ak_run *run = e->book.items[i - 1];
        bool final = ak_run_is_final(run->phase);
        if (run->news == run->phase || run->refused ||
            (!final && run->phase != AK_RUN_PHASE_RUNNING))
            continue;
        run->news = run->phase;
        if (final)
            count_end(self, run);
        ret->phase = run->phase;
        ret->took = run->started && final ? run->completed - run->started : 0;
        (void)snprintf(ret->id, sizeof(ret->id), "%s", run->id);
        (void)snprintf(ret->reason, sizeof(ret->reason), "%s", run->reason ? run->reason : "");
        (void)snprintf(ret->message, sizeof(ret->message), "%s", run->message ? run->message : "");
        return true;
    }
    return false;
}

static void tell(struct ak_runs *self, const struct ak_object *agent, const struct news *n)
{
    static const char *const reasons[AK_RUN_PHASE_MAX] = {
        [AK_RUN_PHASE_RUNNING] = "RunStarted",    [AK_RUN_PHASE_SUCCEEDED] = "RunSucceeded",
        [AK_RUN_PHASE_FAILED] = "RunFailed",      [AK_RUN_PHASE_CANCELLED] = "RunCancelled",
        [AK_RUN_PHASE_TIMED_OUT] = "RunTimedOut", [AK_RUN_PHASE_INTERRUPTED] = "RunInterrupted",
        [AK_RUN_PHASE_SKIPPED] = "RunSkipped",
    };
    bool warning = n->phase == AK_RUN_PHASE_FAILED || n->phase == AK_RUN_PHASE_TIMED_OUT ||
                   n->phase == AK_RUN_PHASE_INTERRUPTED;
    char took[32];

    if (n->phase == AK_RUN_PHASE_RUNNING)
        ak_events_emit(ak_manager_events(self->o.manager), agent, false, reasons[n->phase],
                       "run %s started", n->id);
    else if (n->phase == AK_RUN_PHASE_SUCCEEDED)
        ak_events_emit(ak_manager_events(self->o.manager), agent, false, reasons[n->phase],
                       "run %s succeeded after %s", n->id, ak_format_duration(n->took, took));
    else
        ak_events_emit(ak_manager_events(self->o.manager), agent, warning, reasons[n->phase],
                       "run %s: %s%s%s", n->id, n->reason, n->message[0] ? ": " : "", n->message);
}

void ak__runs_news(struct ak_runs *self, struct ak_entry *entry, const struct ak_object *agent)
{
    struct news n;
    bool more;

    do {
        ak_mutex_lock(&self->lock);
        more = take_news(self, entry, &n);
        ak_mutex_unlock(&self->lock);
        if (more)
            tell(self, agent, &n);
    } while (more);
}

/* ---- metrics ---- */

/* The book where there is one, else what the status says. */
static double count_active(struct ak_runs *self)
{
    AK_AUTO(ak_object_list) list = {0};
    double n = 0;

    if (ak_cache_list(self->o.agents, NULL, &list) < 0)
        return 0;
    ak_mutex_lock(&self->lock);
    for (size_t i = 0; i < list.len; i++) {
        const struct ak_agent *agent = ak_object_body(list.items[i]);
        const struct ak_entry *e = ak_map_get(&self->entries, ak_object_meta(list.items[i])->uid);
        if (e && e->confirmed)
            n += (double)ak_book_active(&e->book);
        else if (agent->status)
            n += (double)agent->status->active_runs;
    }
    ak_mutex_unlock(&self->lock);
    return n;
}

static void write_ends(struct ak_runs *self, struct ak_metrics *m)
{
    static const char total[] = "agentkube_runs_total";
    static const char duration[] = "agentkube_run_duration_seconds";

    ak_metrics_family(m, total, "counter", "Runs that ended, by how and by what started them.");
    ak_mutex_lock(&self->lock);
    for (int phase = AK_RUN_PHASE_SUCCEEDED; phase < AK_RUN_PHASE_MAX; phase++)
        for (int trigger = AK_RUN_TRIGGER_INVOCATION; trigger < AK_RUN_TRIGGER_MAX; trigger++)
            ak_metrics_sample(m, total, (double)self->total[phase][trigger], "phase",
                              ak_run_phase_to_string((enum ak_run_phase)phase), "trigger",
                              ak_run_trigger_to_string((enum ak_run_trigger)trigger), NULL);
    ak_metrics_family(m, duration, "histogram",
                      "How long runs took that had begun, whatever their end.");
    ak_metrics_histogram(m, duration, bounds, self->durations, AK_RUNS_BUCKETS, self->duration_sum,
                         NULL);
    ak_mutex_unlock(&self->lock);
}

void ak_runs_metrics(struct ak_runs *self, struct ak_metrics *m)
{
    static const char active[] = "agentkube_runs_active";
    static const char keepers[] = "agentkube_keepers_known";

    ak_metrics_family(m, active, "gauge", "Runs that wait or are under way.");
    ak_metrics_sample(m, active, count_active(self), NULL);
    write_ends(self, m);
    ak_mutex_lock(&self->trust.lock);
    double known = (double)self->trust.targets.len;
    ak_mutex_unlock(&self->trust.lock);
    ak_metrics_family(m, keepers, "gauge", "Keepers of pods that have proved who they are.");
    ak_metrics_sample(m, keepers, known, NULL);
}
