/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream of what happens in a pod: the agentlet's /v1/watch, through the keeper. It begins with all that there is
 * ("synced" ends that), so what was missed is not missed. It says nothing to the API server: it puts the word into the
 * book and wakes the reconcile, which writes. When it ends, the reconcile begins another one if it is still wanted.
 */
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/net/sse.h>

#include "manager/runs/runs_internal.h"

#define LOG "runs"
#define WATCH_PATH "/v1/watch"
#define SILENCE AK_SECONDS(45) /* the agentlet says something every 15 s */
#define MAX_SNAPSHOT 10000     /* runs; the agentlet keeps fewer */
#define MAX_RECORD (1u << 20)  /* bytes of one event */
#define GATHER 50              /* ms: changes that are not the last are written together */

struct ak_follow {
    struct ak_runs *runs;
    char *uid; /* of the Agent */
    struct ak_run_target *target;
    struct ak_http_stream *stream; /* of the loop */
    struct ak_sse_parser parser;
    json_t *seen;  /* ids, until synced */
    unsigned refs; /* guarded by runs->lock: the stream, and each post to the loop */
    bool unwanted; /* as well */
};

static void follow_free(struct ak_follow *f)
{
    ak_run_target_unref(f->target);
    ak_sse_parser_done(&f->parser);
    json_decref(f->seen);
    ak_free(f->uid);
    ak_free(f);
}

static void follow_unref(struct ak_follow *f)
{
    struct ak_runs *self = f->runs;

    ak_mutex_lock(&self->lock);
    bool last = --f->refs == 0;
    ak_mutex_unlock(&self->lock);
    if (!last)
        return;
    follow_free(f);
    ak_mutex_lock(&self->lock);
    self->follows--;
    ak_cond_broadcast(&self->changed);
    ak_mutex_unlock(&self->lock);
}

/* Its entry, if it is still the one that is wanted there. */
static struct ak_entry *entry_of(struct ak_runs *self, struct ak_follow *f) AK_REQUIRES(self->lock)
{
    struct ak_entry *e = ak_map_get(&self->entries, f->uid);

    return e && e->follow == f && !f->unwanted ? e : NULL;
}

/* ---- events ---- */

static int on_run(struct ak_follow *f, const struct ak_sse_event *event)
{
    struct ak_runs *self = f->runs;
    AK_AUTO_JSON *record = NULL;
    int r = ak_json_parse(event->data, event->len, &record, NULL);
    const char *id = r >= 0 ? ak_json_text(record, "id", NULL) : NULL;

    if (!id)
        return r < 0 ? r : AK_E_INVALID;
    if (f->seen && (json_object_size(f->seen) >= MAX_SNAPSHOT ||
                    json_object_set_new(f->seen, id, json_true()) < 0))
        return -ENOBUFS;
    ak_mutex_lock(&self->lock);
    struct ak_entry *e = entry_of(self, f);
    r = e ? ak_book_heard(&e->book, record, e->followed_pod) : -ESTALE;
    if (r > 0) {
        const struct ak_run *run = ak_book_find(&e->book, id);
        e->touched = ak_clock_now(self->clock);
        ak__runs_wake(self, e, ak_run_is_final(run->phase) ? 0 : GATHER);
        ak_cond_broadcast(&self->changed);
    }
    ak_mutex_unlock(&self->lock);
    return r < 0 ? r : 0;
}

static bool was_seen(const char *id, void *user)
{
    return json_object_get(user, id) != NULL;
}

static int on_synced(struct ak_follow *f)
{
    struct ak_runs *self = f->runs;

    if (!f->seen)
        return 0;
    ak_mutex_lock(&self->lock);
    struct ak_entry *e = entry_of(self, f);
    int r = e ? ak_book_heard_all(&e->book, e->followed_pod, was_seen, f->seen,
                                  ak_clock_wall(self->clock))
              : -ESTALE;
    if (r >= 0) {
        e->follow_synced = true;
        e->failures = 0;
        ak__runs_wake(self, e, 0);
        ak_cond_broadcast(&self->changed);
    }
    ak_mutex_unlock(&self->lock);
    json_decref(f->seen);
    f->seen = NULL;
    return r < 0 ? r : 0;
}

static int on_event(const struct ak_sse_event *event, void *user)
{
    if (strcmp(event->type, "run") == 0)
        return on_run(user, event);
    if (strcmp(event->type, "synced") == 0)
        return on_synced(user);
    return 0; /* of a later version */
}

/* ---- the stream; on the loop ---- */

static int on_begin(int status, ak_msec retry_after, void *user)
{
    (void)retry_after;
    (void)user;
    return status == 200 ? 0 : AK_E_SERVER;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct ak_follow *f = user;

    return ak_sse_parser_feed(&f->parser, data, len, on_event, f);
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct ak_follow *f = user;
    struct ak_runs *self = f->runs;

    f->stream = NULL;
    ak_mutex_lock(&self->lock);
    struct ak_entry *e = entry_of(self, f);
    if (e) {
        e->follow = NULL;
        e->follow_synced = false;
        ak__runs_wake(self, e, ak__runs_backoff(self, e));
    }
    ak_mutex_unlock(&self->lock);
    ak_debug(LOG, "the stream of a pod's runs ended", AK_STR("agentUID", f->uid),
             AK_INT("code", code), AK_ERR(err));
    if (e && code < 0)
        ak_trust_forget(&self->trust, f->target);
    follow_unref(f);
}

static const struct ak_http_stream_ops ops = {.begin = on_begin, .data = on_data, .end = on_end};

static void start(void *user)
{
    struct ak_follow *f = user;
    const struct ak_http_request req = {
        .method = "GET", .path = WATCH_PATH, .accept = AK_SSE_CONTENT_TYPE, .timeout = SILENCE};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_http_stream_start(ak_run_target_client(f->target), f->runs->loop, &req, &ops, f,
                                 &f->stream, &err);

    if (r < 0)
        on_end(r, err, f);
}

static void stop(void *user)
{
    struct ak_follow *f = user;

    if (f->stream)
        ak_http_stream_stop(f->stream); /* calls on_end */
    follow_unref(f);
}

/* ---- for the others ---- */

void ak__runs_unfollow(struct ak_runs *self, struct ak_entry *e)
{
    struct ak_follow *f = e->follow;

    if (!f)
        return;
    e->follow = NULL;
    e->follow_synced = false;
    f->unwanted = true; /* at the latest with its next word it ends */
    f->refs++;
    if (ak_loop_post(self->loop, stop, f) < 0)
        f->refs--;
}

static struct ak_follow *follow_new(struct ak_runs *self, const struct ak_entry *e,
                                    struct ak_run_target *target)
{
    struct ak_follow *f = ak_new0(struct ak_follow);

    if (!f)
        return NULL;
    f->runs = self;
    f->refs = 1;
    f->uid = ak_strdup(e->uid);
    f->seen = json_object();
    f->target = ak_run_target_ref(target);
    ak_sse_parser_init(&f->parser, MAX_RECORD);
    if (!f->uid || !f->seen) {
        follow_free(f);
        return NULL;
    }
    return f;
}

/* Puts it in its place; false: somebody else was faster, or there is no memory. */
static bool install(struct ak_runs *self, struct ak_entry *e, struct ak_follow *f,
                    const char *pod_uid)
{
    AK_AUTO_TEXT char *pod = ak_strdup(pod_uid);
    bool ok;

    ak_mutex_lock(&self->lock);
    ok = pod && !e->follow && !ak_cancel_is_set(&self->stop) &&
         ak_loop_post(self->loop, start, f) >= 0;
    if (ok) {
        e->follow = f;
        e->follow_synced = false;
        ak_free(e->followed_pod);
        e->followed_pod = AK_TAKE(pod);
        self->follows++;
    }
    ak_mutex_unlock(&self->lock);
    return ok;
}

int ak__runs_follow(struct ak_runs *self, struct ak_entry *e, const char *pod_uid,
                    struct ak_error **reterr)
{
    AK_AUTO_TARGET target = NULL;

    ak_mutex_lock(&self->lock);
    if (e->follow && !ak_streq(e->followed_pod, pod_uid))
        ak__runs_unfollow(self, e);
    bool there = e->follow != NULL;
    ak_mutex_unlock(&self->lock);
    if (there)
        return 0;
    int r = ak_trust_get(&self->trust, e->ns, e->name, pod_uid, &target, reterr);
    if (r < 0)
        return r;
    struct ak_follow *f = follow_new(self, e, target);
    if (!f)
        return ak_error_oom(reterr);
    if (!install(self, e, f, pod_uid))
        follow_free(f);
    return 0;
}
