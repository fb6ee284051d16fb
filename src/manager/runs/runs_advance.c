/* SPDX-License-Identifier: Apache-2.0 */
/* What the Agent's reconcile asks and does. */
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/kinds.h"
#include "manager/runs/runs_internal.h"

#define LOG "runs"
#define BEHIND AK_SECONDS(1) /* a cache that does not show a pod that is there */

/* ---- looking ---- */

static bool record_is_active(const struct ak_agent_run_record *r)
{
    return r->phase && !ak_run_is_final(r->phase);
}

static bool status_is_active(const struct ak_object *agent)
{
    const struct ak_agent *body = ak_object_body(agent);

    for (size_t i = 0; body->status && i < body->status->runs.len; i++)
        if (record_is_active(&body->status->runs.items[i]))
            return true;
    return false;
}

/* The same questions of a record, whether it comes from the book or from a status. */
static void view_run(struct ak_runs_view *view, const char **running, const struct ak_run *run,
                     const char *pod_uid)
{
    ak_msec last = AK_MAX(run->queued, AK_MAX(run->started, run->completed));

    if (run->phase != AK_RUN_PHASE_SKIPPED)
        view->last_activity = AK_MAX(view->last_activity, last);
    if (ak_run_is_final(run->phase))
        return;
    view->active++;
    if (!pod_uid[0] || !ak_streq(run->pod_uid, pod_uid)) {
        view->pending++;
        return;
    }
    view->running++;
    if (!*running || run->phase == AK_RUN_PHASE_RUNNING)
        *running = run->id;
}

static int view_book(const struct ak_book *book, const char *pod_uid, struct ak_arena *arena,
                     struct ak_runs_view *view)
{
    const char *running = NULL;

    for (size_t i = 0; i < book->len; i++)
        view_run(view, &running, book->items[i], pod_uid);
    view->last_activity = AK_MAX(view->last_activity, book->last_run_time);
    view->last_schedule = book->last_schedule;
    view->running_id = running ? ak_arena_strdup(arena, running) : NULL;
    return running && !view->running_id ? -ENOMEM : 0;
}

int ak_runs_look(struct ak_runs *self, const struct ak_object *agent, struct ak_arena *arena,
                 struct ak_runs_view *ret)
{
    const struct ak_agent *body = ak_object_body(agent);
    AK_AUTO(ak_book) book = {0};
    struct ak_runs_view view = {0};
    char pod_uid[AK_UID_SIZE];
    int r;

    ak__runs_pod_uid(self, agent, pod_uid, NULL);
    ak_mutex_lock(&self->lock);
    struct ak_entry *e = ak_map_get(&self->entries, ak_object_meta(agent)->uid);
    bool known = e && e->confirmed;
    /* That it is paused is known before its pod is deleted, and says that its runs end. */
    if (known && body->spec)
        ak_book_rules_of(body->spec, &e->book.rules);
    r = known ? view_book(&e->book, pod_uid, arena, &view) : 0;
    ak_mutex_unlock(&self->lock);
    if (!known) {
        r = ak_book_load(&book, body->status, 0);
        if (r >= 0)
            r = view_book(&book, pod_uid, arena, &view);
    }
    if (r < 0)
        return r;
    view.synced = true;
    *ret = view;
    return 0;
}

bool ak_runs_release_pod(struct ak_runs *self, const struct ak_object *agent,
                         const struct ak_object *pod)
{
    const char *uid = ak_object_meta(pod)->uid;
    struct ak_entry *e = NULL;
    bool released = false;

    if (ak__runs_open(self, agent, /* confirm= */ false, &e, NULL) < 0)
        return false;
    AK_AUTO_TEXT char *copy = ak_strdup(uid);
    ak_mutex_lock(&self->lock);
    bool busy = e->confirmed ? ak_book_is_in_pod(&e->book, uid) : status_is_active(agent);
    if (copy && !busy) {
        ak_free(e->released_pod);
        e->released_pod = AK_TAKE(copy);
        released = true;
    }
    ak_mutex_unlock(&self->lock);
    ak__runs_close(self, e);
    return released;
}

/* ---- firing ---- */

int ak_runs_fire(struct ak_runs *self, const struct ak_object *agent, ak_msec scheduled_time,
                 bool too_late, struct ak_error **reterr)
{
    struct ak_entry *e = NULL;
    struct ak_run *run = NULL;
    int r = ak__runs_open(self, agent, /* confirm= */ true, &e, reterr);

    if (r < 0)
        return r;
    ak_mutex_lock(&self->lock);
    int fired = ak_book_fire(&e->book, e->uid, scheduled_time, too_late, ak_clock_wall(self->clock),
                             ak_clock_now(self->clock), &run);
    char id[AK_RUN_ID_SIZE] = "";
    bool skipped = fired == AK_BOOK_FIRED_SKIPPED;
    if (run)
        (void)snprintf(id, sizeof(id), "%s", run->id);
    ak_mutex_unlock(&self->lock);
    if (fired < 0)
        r = ak_error_oom(reterr);
    else
        r = ak__runs_flush(self, e, reterr);
    if (r >= 0 && fired != AK_BOOK_FIRED_NOT)
        ak_info(LOG, skipped ? "a run of the schedule is skipped" : "a run of the schedule is due",
                AK_STR("namespace", e->ns), AK_STR("name", e->name), AK_STR("run", id));
    ak__runs_close(self, e);
    return r < 0 ? r : 0;
}

/* ---- one step ---- */

struct step {
    struct ak_runs *self;
    struct ak_entry *e;
    const struct ak_object *agent;
    const char *pod_uid; /* of the ready pod; NULL: none */
    ak_msec again;
    struct ak_error **reterr;
};

static void again_in(struct step *s, ak_msec wait)
{
    if (wait >= 0 && (s->again < 0 || wait < s->again))
        s->again = wait;
}

/* What a pod that ended said; NULL: it has not ended. */
static const char *why_ended(const struct ak_object *pod, char *buf, size_t size)
{
    const struct ak_pod *body = ak_object_body(pod);
    const struct ak_pod_status *status = body->status;
    const char *reason = status ? status->reason : NULL;

    if (!status || (!ak_streq(status->phase, "Failed") && !ak_streq(status->phase, "Succeeded")))
        return NULL;
    for (size_t i = 0; !reason && i < status->containers.len; i++) {
        const struct ak_container_state *state = status->containers.items[i].state;
        if (state && state->ended)
            reason = state->ended->reason;
    }
    (void)snprintf(buf, size, "the pod that had it ended%s%s", reason ? ": " : "",
                   reason ? reason : "");
    return buf;
}

/* The pod as the API server has it; a uid of "" if there is none. */
static int read_pod_uid(struct step *s, char buf[static AK_UID_SIZE])
{
    AK_AUTO_JSON *live = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r =
        ak_client_get(s->self->client, &ak_pod_kind.resource, s->e->ns, s->e->name, &live, &err);
    const char *uid = r >= 0 ? ak_json_text(live, "metadata", "uid", NULL) : NULL;

    if (r < 0 && r != AK_E_NOT_FOUND) {
        if (s->reterr)
            *s->reterr = AK_TAKE(err);
        return r;
    }
    (void)snprintf(buf, AK_UID_SIZE, "%s", uid ? uid : "");
    return 0;
}

/* Is there a run in a pod that the cache does not show, and is that pod really gone? A new
 * leader's cache may be behind the status that it has just read. *ret_uid becomes the pod that
 * there is. 1: nothing may be concluded yet. */
static int verify_gone(struct step *s, char uid[static AK_UID_SIZE])
{
    struct ak_runs *self = s->self;
    char live[AK_UID_SIZE];

    ak_mutex_lock(&self->lock);
    const char *other = ak_book_other_pod(&s->e->book, uid);
    AK_AUTO_TEXT char *gone = other ? ak_strdup(other) : NULL;
    bool known = !other || ak_streq(other, s->e->gone_pod);
    ak_mutex_unlock(&self->lock);
    if (known)
        return 0;
    if (!gone)
        return ak_error_oom(s->reterr);
    int r = read_pod_uid(s, live);
    if (r < 0)
        return r;
    if (strcmp(live, gone) == 0) {
        again_in(s, BEHIND);
        return 1;
    }
    ak_mutex_lock(&self->lock);
    ak_free(s->e->gone_pod);
    s->e->gone_pod = AK_TAKE(gone);
    ak_mutex_unlock(&self->lock);
    (void)snprintf(uid, AK_UID_SIZE, "%s", live);
    return 0;
}

static int settle(struct step *s)
{
    struct ak_runs *self = s->self;
    const struct ak_meta *m = ak_object_meta(s->agent);
    AK_AUTO_OBJECT pod = ak_cache_get(self->o.pods, m->namespace_, m->name);
    char uid[AK_UID_SIZE], words[128];
    const char *why = NULL;
    ak_msec next = AK_MSEC_NEVER;
    ak_msec wall = ak_clock_wall(self->clock), now = ak_clock_now(self->clock);

    ak__runs_pod_uid(self, s->agent, uid, NULL);
    if (uid[0] && pod)
        why = why_ended(pod, words, sizeof(words));
    int r = why ? 0 : verify_gone(s, uid);
    if (r < 0)
        return r;
    ak_mutex_lock(&self->lock);
    if (r == 0)
        r = ak_book_pod_gone(&s->e->book, uid[0] && !why ? uid : NULL, why, wall);
    int x = r < 0 ? r : ak_book_expire(&s->e->book, wall, now, &next);
    if (r > 0 || x > 0)
        ak_cond_broadcast(&self->changed);
    ak_mutex_unlock(&self->lock);
    if (next != AK_MSEC_NEVER)
        again_in(s, next - now);
    return r < 0 || x < 0 ? ak_error_oom(s->reterr) : 0;
}

/* What is in the pod is listened to, and a little longer. */
static int listen(struct step *s)
{
    struct ak_runs *self = s->self;
    struct ak_entry *e = s->e;
    AK_AUTO_PTR(ak_error) err = NULL;

    ak_mutex_lock(&self->lock);
    ak_msec now = ak_clock_now(self->clock);
    ak_msec rest = e->touched + AK_RUNS_LINGER - now;
    bool wanted = ak_book_other_pod(&e->book, NULL) != NULL; /* bound to any pod */
    bool there = e->follow && ak_streq(e->followed_pod, s->pod_uid);
    ak_msec wait = e->not_before - now;
    if (!wanted && e->follow && rest <= 0)
        ak__runs_unfollow(self, e);
    else if (!wanted && e->follow)
        again_in(s, rest);
    ak_mutex_unlock(&self->lock);
    if (!wanted || there || !s->pod_uid)
        return 0;
    if (wait > 0) {
        again_in(s, wait);
        return 0;
    }
    if (ak__runs_follow(self, e, s->pod_uid, &err) >= 0)
        return 0;
    ak_mutex_lock(&self->lock);
    again_in(s, ak__runs_backoff(self, e));
    bool first = e->failures == 1;
    ak_mutex_unlock(&self->lock);
    ak_log(first ? AK_LOG_INFO : AK_LOG_DEBUG, LOG, "the pod's keeper is not reached, trying again",
           AK_STR("namespace", e->ns), AK_STR("name", e->name), AK_ERR(err));
    return 0;
}

static int write_and_tell(struct step *s)
{
    struct ak_runs *self = s->self;

    /* What nobody was told yet is told before it is forgotten. */
    ak__runs_news(self, s->e, s->agent);
    ak_mutex_lock(&self->lock);
    ak_book_retain(&s->e->book);
    ak_mutex_unlock(&self->lock);
    return ak__runs_flush(self, s->e, s->reterr);
}

static int take_step(struct step *s)
{
    ak_msec again = -1;
    int r = settle(s);

    if (r >= 0 && s->pod_uid)
        r = ak__runs_give(s->self, s->e, s->agent, s->pod_uid, &again, s->reterr);
    again_in(s, again);
    if (r >= 0)
        r = listen(s);
    if (r >= 0)
        r = write_and_tell(s);
    return r;
}

/* An Agent without a book, or with one in which nothing moves, costs nothing. */
static bool has_work(struct ak_runs *self, const struct ak_object *agent, const char *pod_uid)
{
    ak_mutex_lock(&self->lock);
    struct ak_entry *e = ak_map_get(&self->entries, ak_object_meta(agent)->uid);
    if (e && pod_uid && ak_streq(e->released_pod, pod_uid)) { /* it was not deleted after all */
        ak_free(e->released_pod);
        e->released_pod = NULL;
    }
    bool moves = e && e->confirmed &&
                 (ak_book_active(&e->book) || e->written != e->book.version || e->follow);
    bool known = e && e->confirmed;
    ak_mutex_unlock(&self->lock);
    return moves || (!known && status_is_active(agent));
}

int ak_runs_advance(struct ak_runs *self, const struct ak_object *agent,
                    const struct ak_object *pod, struct ak_result_hint *ret,
                    struct ak_error **reterr)
{
    const char *pod_uid = pod ? ak_object_meta(pod)->uid : NULL;
    struct step s = {self, NULL, agent, pod_uid, -1, reterr};
    const struct ak_agent *body = ak_object_body(agent);
    int r = 0;

    if (has_work(self, agent, pod_uid) && body->spec) {
        r = ak__runs_open(self, agent, /* confirm= */ true, &s.e, reterr);
        if (r < 0)
            return r;
        r = take_step(&s);
        ak__runs_close(self, s.e);
    }
    if (r < 0)
        return r;
    ret->again_after = s.again;
    return 0;
}

/* ---- before a suspend ---- */

int ak_runs_sessions(struct ak_runs *self, const struct ak_object *agent,
                     const struct ak_object *pod, int *ret_sessions, ak_msec *ret_last_activity,
                     struct ak_error **reterr)
{
    const struct ak_meta *m = ak_object_meta(agent);
    AK_AUTO_JSON *tree = NULL;
    int status = 0;
    ak_msec last = 0;
    int r = ak__runs_ask_pod(self, m->namespace_, m->name, ak_object_meta(pod)->uid, "GET",
                             "/v1/state", NULL, &status, &tree, reterr);

    if (r < 0)
        return r;
    const json_t *sessions = json_object_get(tree, "sessions");
    if (status != 200 || !json_is_integer(sessions))
        return ak_error_set(reterr, AK_E_SERVER, "the agentlet answers %d", status);
    const char *text = ak_json_text(tree, "lastActivityTime", NULL);
    if (text && ak_parse_rfc3339(text, &last) < 0)
        last = 0;
    *ret_sessions = (int)AK_MIN(json_integer_value(sessions), INT32_MAX);
    *ret_last_activity = last;
    return 0;
}
