/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As client-go's event correlator does it, in this order, on the sending thread:
 * 1. spam filter: per object a token bucket of 25, one more in five minutes; without a token it is dropped;
 * 2. aggregation: from the 11th different message with the same object, type and reason within ten minutes on,
 *    the message becomes one common "(combined from similar events): ...";
 * 3. repeats: the same object, type, reason and message raises `count` of the Event that is there.
 */
#include <ak/kube/events.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/map.h>
#include <ak/base/text.h>

#define MAX_WAITING 1000 /* events in the queue */
#define MAX_RECORDS 2048 /* of each kind; the oldest go */
#define MAX_MESSAGE 1024 /* bytes; the apiserver's own limit */
#define BURST 25
#define REFILL AK_MINUTES(5)
#define SIMILAR_MAX 10
#define SIMILAR_SPAN AK_MINUTES(10)
#define SEND_TIMEOUT AK_SECONDS(10)
#define FLUSH_TIME AK_SECONDS(2)
#define COMBINED "(combined from similar events): "

static const struct ak_resource event_resource = {"", "v1", "Event", "events", true};

/* One event on its way. All texts in one allocation behind it. */
struct waiting {
    struct waiting *next;
    const char *api_version, *kind, *ns, *name, *uid, *resource_version;
    const char *reason, *message;
    bool warning;
    ak_msec when; /* wall clock */
};

/* What the correlator remembers under one key; the three kinds use what they need. */
struct record {
    char *key;
    struct record *newer, *older;
    double tokens;    /* spam filter */
    ak_msec since;    /* monotonic: of the last refill, of the span of similar events */
    unsigned similar; /* aggregation */
    char *event_name; /* repeats: the Event that counts them, and its namespace */
    int64_t count;
};

/* Records by key, at most MAX_RECORDS, the least recently used goes first. Sending thread only. */
struct memory {
    struct ak_map map;
    struct record *newest, *oldest;
};

struct ak_events {
    struct ak_client *client;
    char *component, *instance;
    struct ak_thread thread;
    struct ak_cancel cancel; /* of requests, when the time to flush is over */
    struct memory spam, similar, repeats;
    uint64_t serial;              /* sending thread only */
    atomic_uint_fast64_t dropped; /* relaxed: a statistic */

    struct ak_mutex lock; /* guards all below */
    struct ak_cond changed;
    struct waiting *first, *last;
    size_t n_waiting;
    bool stopping, stopped;
};

/* --- memory --- */

static void detach(struct memory *m, struct record *r)
{
    *(r->newer ? &r->newer->older : &m->newest) = r->older;
    *(r->older ? &r->older->newer : &m->oldest) = r->newer;
    r->newer = r->older = NULL;
}

static void push(struct memory *m, struct record *r)
{
    r->older = m->newest;
    if (m->newest)
        m->newest->newer = r;
    m->newest = r;
    if (!m->oldest)
        m->oldest = r;
}

static void record_free(struct record *r)
{
    if (!r)
        return;
    ak_free(r->key);
    ak_free(r->event_name);
    ak_free(r);
}

static void forget(struct memory *m, struct record *r)
{
    (void)ak_map_remove(&m->map, r->key);
    detach(m, r);
    record_free(r);
}

static void memory_done(struct memory *m)
{
    while (m->oldest)
        forget(m, m->oldest);
    ak_map_done(&m->map);
}

/* The record of a key; a new one is zeroed but for the key. NULL: no memory. */
static struct record *recall(struct memory *m, const char *key)
{
    struct record *r = ak_map_get(&m->map, key);

    if (r) {
        detach(m, r);
        push(m, r);
        return r;
    }
    if (m->map.len >= MAX_RECORDS)
        forget(m, m->oldest);
    r = ak_new0(struct record);
    if (r)
        r->key = ak_strdup(key);
    if (!r || !r->key || ak_map_put(&m->map, r->key, r, NULL) < 0) {
        record_free(r);
        return NULL;
    }
    push(m, r);
    return r;
}

/* --- correlation --- */

static bool may_pass(struct ak_events *self, const struct waiting *w)
{
    struct record *r = recall(&self->spam, w->uid);
    ak_msec now = ak_now();

    if (!r)
        return false;
    if (r->since == 0)
        r->tokens = BURST;
    else
        r->tokens = AK_MIN(BURST, r->tokens + (double)(now - r->since) / (double)REFILL);
    r->since = now;
    if (r->tokens < 1)
        return false;
    r->tokens -= 1;
    return true;
}

/* Are there too many different messages of this kind? */
static bool is_similar(struct ak_events *self, const struct waiting *w, bool known)
{
    AK_AUTO_TEXT char *key = ak_asprintf("%s\n%d\n%s", w->uid, w->warning, w->reason);
    struct record *r = key ? recall(&self->similar, key) : NULL;
    ak_msec now = ak_now();

    if (!r)
        return false;
    if (r->since == 0 || now - r->since > SIMILAR_SPAN)
        r->similar = 0;
    r->since = now;
    if (!known)
        r->similar++;
    return r->similar > SIMILAR_MAX;
}

static char *repeat_key(const struct waiting *w, const char *message)
{
    return ak_asprintf("%s\n%d\n%s\n%s", w->uid, w->warning, w->reason, message);
}

/* --- sending --- */

/* Cluster-scoped objects have their events in "default". */
static const char *event_namespace(const struct waiting *w)
{
    return w->ns[0] ? w->ns : "default";
}

static json_t *build_event(struct ak_events *self, const struct waiting *w, const char *name,
                           const char *message)
{
    char when[AK_RFC3339_SIZE];

    (void)ak_format_rfc3339(w->when, when);
    return json_pack(
        "{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s*, s:s, s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:i,"
        " s:{s:s}, s:s, s:s}",
        "apiVersion", "v1", "kind", "Event", "metadata", "name", name, "namespace",
        event_namespace(w), "involvedObject", "apiVersion", w->api_version, "kind", w->kind,
        "namespace", w->ns[0] ? w->ns : NULL, "name", w->name, "uid", w->uid, "resourceVersion",
        w->resource_version, "reason", w->reason, "message", message, "type",
        w->warning ? "Warning" : "Normal", "firstTimestamp", when, "lastTimestamp", when, "count",
        1, "source", "component", self->component, "reportingComponent", self->component,
        "reportingInstance", self->instance);
}

static int send_json(struct ak_events *self, const char *method, const struct waiting *w,
                     const char *name, const char *content_type, const json_t *tree)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) path = {.max = 4096};
    AK_AUTO(ak_buf) body = {.max = 64u << 10};
    struct ak_call call = {.method = method,
                           .content_type = content_type,
                           .timeout = SEND_TIMEOUT,
                           .cancel = &self->cancel};
    int r = ak_resource_path(&event_resource, event_namespace(w), name, NULL, &path);

    if (r >= 0)
        r = ak_json_write(tree, &body, NULL);
    if (r < 0)
        return r;
    call.path = ak_buf_text(&path);
    call.body = ak_buf_text(&body);
    call.body_len = body.len;
    r = ak_client_call(self->client, &call, NULL, &err);
    if (r < 0)
        ak_debug("events", "an event could not be written", AK_STR("namespace", event_namespace(w)),
                 AK_STR("name", w->name), AK_STR("reason", w->reason), AK_ERR(err));
    return r;
}

static int send_repeat(struct ak_events *self, const struct waiting *w, struct record *r,
                       const char *message)
{
    char when[AK_RFC3339_SIZE];
    json_t *patch = json_pack("{s:I, s:s, s:s}", "count", (json_int_t)r->count + 1, "lastTimestamp",
                              ak_format_rfc3339(w->when, when), "message", message);
    int rc = patch
                 ? send_json(self, "PATCH", w, r->event_name, "application/merge-patch+json", patch)
                 : -ENOMEM;

    json_decref(patch);
    if (rc >= 0)
        r->count++;
    return rc;
}

static int send_new(struct ak_events *self, const struct waiting *w, struct record *r,
                    const char *message)
{
    /* Unique as client-go's: the name and a time in hex; the serial separates two of one nanosecond. */
    AK_AUTO_TEXT char *name =
        ak_asprintf("%.200s.%llx", w->name, (unsigned long long)w->when * 1000000 + self->serial++);
    json_t *event = name ? build_event(self, w, name, message) : NULL;
    int rc = event ? send_json(self, "POST", w, NULL, NULL, event) : -ENOMEM;

    json_decref(event);
    if (rc < 0)
        return rc;
    ak_free(r->event_name);
    r->event_name = AK_TAKE(name);
    r->count = 1;
    return 0;
}

static int deliver(struct ak_events *self, const struct waiting *w)
{
    AK_AUTO_TEXT char *key = repeat_key(w, w->message);
    AK_AUTO_TEXT char *combined = NULL;
    const char *message = w->message;
    struct record *r;
    int rc;

    if (!key)
        return -ENOMEM;
    if (is_similar(self, w, ak_map_get(&self->repeats.map, key) != NULL)) {
        combined = ak_asprintf(COMBINED "%.*s", MAX_MESSAGE - (int)sizeof(COMBINED), w->message);
        ak_free(key);
        key = repeat_key(w, COMBINED);
        if (!combined || !key)
            return -ENOMEM;
        message = combined;
    }
    r = recall(&self->repeats, key);
    if (!r)
        return -ENOMEM;
    rc = r->event_name ? send_repeat(self, w, r, message) : AK_E_NOT_FOUND;
    if (rc == AK_E_NOT_FOUND) /* new, or the Event expired meanwhile */
        rc = send_new(self, w, r, message);
    if (rc < 0 && !r->event_name)
        forget(&self->repeats, r);
    return rc;
}

static void drop(struct ak_events *self)
{
    (void)atomic_fetch_add_explicit(&self->dropped, 1, memory_order_relaxed);
}

static struct waiting *next_waiting(struct ak_events *self)
{
    struct waiting *w;

    ak_mutex_lock(&self->lock);
    while (!self->first && !self->stopping)
        ak_cond_wait_until(&self->changed, &self->lock, AK_MSEC_NEVER);
    w = self->first;
    if (w) {
        self->first = w->next;
        if (!self->first)
            self->last = NULL;
        self->n_waiting--;
    }
    ak_mutex_unlock(&self->lock);
    return w;
}

static void run(void *user)
{
    struct ak_events *self = user;
    struct waiting *w;

    while ((w = next_waiting(self))) {
        if (ak_cancel_is_set(&self->cancel) || !may_pass(self, w) || deliver(self, w) < 0)
            drop(self);
        ak_free(w);
    }
    ak_mutex_lock(&self->lock);
    self->stopped = true;
    ak_cond_broadcast(&self->changed);
    ak_mutex_unlock(&self->lock);
}

/* --- the public side --- */

static const char *put_text(char **at, const char *text)
{
    char *start = *at;
    size_t len = strlen(text) + 1;

    memcpy(start, text, len);
    *at += len;
    return start;
}

/* Cut at a character, not inside one (UTF-8). */
static void cut(char *message, size_t max)
{
    size_t len = strlen(message);

    if (len <= max)
        return;
    while (max > 0 && ((unsigned char)message[max] & 0xc0) == 0x80)
        max--;
    message[max] = '\0';
}

static struct waiting *make(const struct ak_object *about, bool warning, const char *reason,
                            const char *message)
{
    const struct ak_meta *meta = ak_object_meta(about);
    const struct ak_resource *res = &ak_object_kind(about)->resource;
    char version[128];
    const char *texts[] = {ak_resource_api_version(res, version),
                           res->kind,
                           meta->namespace_,
                           meta->name,
                           meta->uid,
                           meta->resource_version,
                           reason,
                           message};
    size_t size = sizeof(struct waiting);
    struct waiting *w;
    char *at;

    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++)
        size += strlen(texts[i]) + 1;
    w = ak_calloc(1, size);
    if (!w)
        return NULL;
    at = (char *)(w + 1);
    const char **members[] = {&w->api_version,      &w->kind,   &w->ns,     &w->name, &w->uid,
                              &w->resource_version, &w->reason, &w->message};
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++)
        *members[i] = put_text(&at, texts[i]);
    w->warning = warning;
    w->when = ak_wall_now();
    return w;
}

void ak_events_emit(struct ak_events *self, const struct ak_object *about, bool warning,
                    const char *reason, const char *fmt, ...)
{
    char message[MAX_MESSAGE + 8];
    struct waiting *w;
    bool full;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    cut(message, MAX_MESSAGE);
    w = make(about, warning, reason, message);
    if (!w) {
        drop(self);
        return;
    }
    ak_mutex_lock(&self->lock);
    full = self->n_waiting >= MAX_WAITING || self->stopping;
    if (!full) {
        if (self->last)
            self->last->next = w;
        else
            self->first = w;
        self->last = w;
        self->n_waiting++;
        ak_cond_broadcast(&self->changed);
    }
    ak_mutex_unlock(&self->lock);
    if (full) {
        drop(self);
        ak_free(w);
    }
}

uint64_t ak_events_dropped(const struct ak_events *self)
{
    return atomic_load_explicit(&self->dropped, memory_order_relaxed);
}

static void flush(struct ak_events *self)
{
    ak_msec deadline = ak_now() + FLUSH_TIME;

    ak_mutex_lock(&self->lock);
    self->stopping = true;
    ak_cond_broadcast(&self->changed);
    while (!self->stopped && ak_now() < deadline)
        ak_cond_wait_until(&self->changed, &self->lock, deadline);
    ak_mutex_unlock(&self->lock);
    ak_cancel_now(&self->cancel);
}

struct ak_events *ak_events_free(struct ak_events *self)
{
    if (!self)
        return NULL;
    if (self->thread.started)
        flush(self);
    ak_thread_join(&self->thread);
    memory_done(&self->spam);
    memory_done(&self->similar);
    memory_done(&self->repeats);
    ak_cancel_done(&self->cancel);
    ak_cond_done(&self->changed);
    ak_mutex_done(&self->lock);
    ak_free(self->component);
    ak_free(self->instance);
    ak_free(self);
    return NULL;
}

int ak_events_new(struct ak_client *client, const char *component, const char *instance,
                  struct ak_events **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_events) self = ak_new0(struct ak_events);
    int r;

    if (!self)
        return ak_error_oom(reterr);
    self->client = client;
    self->cancel.fd = -1;
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->changed);
    ak_map_init(&self->spam.map, 0);
    ak_map_init(&self->similar.map, 0);
    ak_map_init(&self->repeats.map, 0);
    self->component = ak_strdup(component);
    self->instance = ak_strdup(instance);
    if (!self->component || !self->instance)
        return ak_error_oom(reterr);
    r = ak_cancel_init(&self->cancel);
    if (r >= 0)
        r = ak_thread_start(&self->thread, "events", run, self);
    if (r < 0)
        return ak_error_set(reterr, r, "cannot start the sender of events: %s", ak_code_text(r));
    *ret = AK_TAKE(self);
    return 0;
}
