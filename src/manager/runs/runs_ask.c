/* SPDX-License-Identifier: Apache-2.0 */
/* What the invocation API asks. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/runs/runs_internal.h"

#define LOG "runs"
#define MAX_KEY 255
#define SLICE AK_SECONDS(1) /* who waits looks whether asker and Agent are still there */
#define CANCEL_WAIT AK_SECONDS(10)

/* ---- errors for who asked ---- */

static const struct {
    int status, code;
} codes[] = {
    {400, AK_E_INVALID},   {404, AK_E_NOT_FOUND}, {409, AK_E_CONFLICT}, {413, AK_E_TOO_LARGE},
    {429, AK_E_THROTTLED}, {503, AK_E_SERVER},    {504, -ETIMEDOUT},
};

int ak__runs_refuse_at(struct ak_error **reterr, int status, const char *reason, ak_msec retry,
                       const char *file, int line, const char *fmt, ...)
{
    char text[512];
    int code = AK_E_SERVER;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < AK_ARRAY_LEN(codes); i++)
        if (codes[i].status == status)
            code = codes[i].code;
    code = ak_error_set_at(reterr, code, file, line, "%s", text);
    if (reterr)
        ak_error_set_http(*reterr, status, reason, retry);
    return code;
}

static int refuse_agent(struct ak_error **reterr, const char *ns, const char *name)
{
    return ak__runs_refuse(reterr, 404, "NotFound", 0, "agent \"%s\" not found in namespace \"%s\"",
                           name, ns);
}

static int refuse_run(struct ak_error **reterr, const char *id)
{
    return ak__runs_refuse(reterr, 404, "NotFound", 0, "run \"%s\" not found", id);
}

static int refuse_follower(struct ak_error **reterr)
{
    return ak__runs_refuse(reterr, 503, "ServiceUnavailable", AK_SECONDS(1),
                           "this replica does not lead");
}

/* What went wrong on the way to the API server is not the asker's fault. */
static int refuse_trouble(struct ak_error **reterr, struct ak_error *err)
{
    AK_AUTO_PTR(ak_error) cause = err;
    int code = ak_error_code(err);

    if (code == AK_E_NOT_FOUND)
        return ak__runs_refuse(reterr, 404, "NotFound", 0, "the Agent is gone");
    ak_warn(LOG, "a request about a run failed", AK_ERR(cause));
    return ak__runs_refuse(reterr, 503, "ServiceUnavailable", AK_SECONDS(1),
                           "the run could not be written down: %s", ak_code_text(code));
}

/* ---- may it start? ---- */

static int check_spec(const struct ak_agent_spec *spec, const char *prompt,
                      struct ak_error **reterr)
{
    bool system = spec->mode == AK_AGENT_MODE_SYSTEM;

    if (spec->paused)
        return ak__runs_refuse(reterr, 409, "Conflict", 0,
                               "the Agent is paused; set spec.paused to false to start runs");
    if (!system && spec->runtime == AK_AGENT_RUNTIME_CUSTOM &&
        (!spec->run || !spec->run->command.len))
        return ak__runs_refuse(reterr, 409, "Conflict", 0,
                               "runtime Custom needs spec.run.command to have runs");
    if (system && (!spec->playbook || !spec->playbook->steps.len))
        return ak__runs_refuse(reterr, 409, "Conflict", 0,
                               "mode system needs spec.playbook to have runs");
    if (!system && !prompt && !spec->goal)
        return ak__runs_refuse(reterr, 400, "BadRequest", 0,
                               "prompt: must be given, because the Agent has no goal");
    return 0;
}

static int check_request(const struct ak_run_request *q, struct ak_error **reterr)
{
    if (q->prompt && strlen(q->prompt) > AK_RUNS_MAX_PROMPT)
        return ak__runs_refuse(reterr, 413, "RequestEntityTooLarge", 0,
                               "prompt: must not be longer than %u bytes", AK_RUNS_MAX_PROMPT);
    if (q->idempotency_key && (!q->idempotency_key[0] || strlen(q->idempotency_key) > MAX_KEY))
        return ak__runs_refuse(reterr, 400, "BadRequest", 0,
                               "Idempotency-Key: must be 1 to %d bytes long", MAX_KEY);
    if (q->timeout < 0)
        return ak__runs_refuse(reterr, 400, "BadRequest", 0, "timeoutSeconds: must be positive");
    return 0;
}

static int find_agent(struct ak_runs *self, const char *ns, const char *name,
                      const struct ak_object **ret, struct ak_error **reterr)
{
    AK_AUTO_OBJECT agent = ak_cache_get(self->o.agents, ns, name);
    const struct ak_agent *body = agent ? ak_object_body(agent) : NULL;

    if (!agent || !body->spec)
        return refuse_agent(reterr, ns, name);
    if (ak_object_meta(agent)->deleting)
        return ak__runs_refuse(reterr, 409, "Conflict", 0, "the Agent is being deleted");
    *ret = AK_TAKE(agent);
    return 0;
}

static int entry_for(struct ak_runs *self, const struct ak_object *agent, struct ak_entry **ret,
                     struct ak_error **reterr)
{
    struct ak_error *err = NULL;

    if (!ak__runs_may_write(self))
        return refuse_follower(reterr);
    if (ak__runs_open(self, agent, /* confirm= */ true, ret, &err) < 0)
        return refuse_trouble(reterr, err);
    return 0;
}

static int answer(const struct ak_run *run, const struct ak_entry *e,
                  const struct ak_agent_spec *spec, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *record = NULL;
    int r = ak_run_json(run, e->ns, e->name, &record, reterr);

    if (r >= 0 &&
        json_object_set_new(record, "mode", json_string(ak_agent_mode_to_string(spec->mode))) < 0)
        r = ak_error_oom(reterr);
    if (r >= 0)
        *ret = AK_TAKE(record);
    return r;
}

/* ---- start ---- */

struct starting {
    struct ak_runs *self;
    const struct ak_run_request *q;
    const struct ak_object *agent;
    const struct ak_agent_spec *spec;
    struct ak_entry *e;
    char id[AK_RUN_ID_SIZE];
    bool created;
    struct ak_error **reterr;
};

static int accept_run(struct starting *s)
{
    struct ak_runs *self = s->self;
    const struct ak_book_ask ask = {.id = s->id,
                                    .trigger = AK_RUN_TRIGGER_INVOCATION,
                                    .requested_by = s->q->requested_by,
                                    .prompt = s->q->prompt,
                                    .timeout = s->q->timeout};
    char pod_uid[AK_UID_SIZE];
    struct ak_run *run = NULL;
    bool ready = false;

    ak__runs_pod_uid(self, s->agent, pod_uid, &ready);
    ak_mutex_lock(&self->lock);
    int r = ak_book_accept(&s->e->book, &ask, ak_clock_wall(self->clock), ak_clock_now(self->clock),
                           &run);
    size_t active = ak_book_active(&s->e->book);
    if (r >= 0)
        ak_book_hold(&s->e->book, run);
    s->created = r > 0;
    ak_mutex_unlock(&self->lock);
    if (r == -ENOBUFS)
        return ak__runs_refuse(s->reterr, 429, "TooManyRequests", AK_SECONDS(5),
                               "%zu runs wait or are under way, and spec.run.maxQueued is %zu",
                               active, s->e->book.rules.max_queued);
    return r < 0 ? ak_error_oom(s->reterr) : 0;
}

/* The same as writing it; the binding to a pod that is up goes into the same write. */
static void bind_early(struct starting *s)
{
    struct ak_runs *self = s->self;
    struct ak_book *book = &s->e->book;
    char pod_uid[AK_UID_SIZE];
    bool ready = false;

    ak__runs_pod_uid(self, s->agent, pod_uid, &ready);
    if (!ready)
        return;
    ak_mutex_lock(&self->lock);
    struct ak_run *run = ak_book_find(book, s->id);
    /* Only to a pod that talks to us: then the request is all but certain to follow. */
    if (run && run->phase == AK_RUN_PHASE_PENDING && !run->pod_uid &&
        run == ak_book_next(book, pod_uid) && !ak_streq(s->e->released_pod, pod_uid) &&
        s->e->failures == 0 && ak_streq(s->e->followed_pod, pod_uid))
        (void)!ak_book_bind(book, run, pod_uid);
    ak_mutex_unlock(&self->lock);
}

static void let_go(struct starting *s, bool forget)
{
    struct ak_runs *self = s->self;

    ak_mutex_lock(&self->lock);
    struct ak_run *run = ak_book_find(&s->e->book, s->id);
    if (run) {
        bool last = run->holders == 1;
        ak_book_let_go(&s->e->book, run, ak_clock_now(self->clock));
        if (forget && last && ak_book_find(&s->e->book, s->id))
            ak_book_forget(&s->e->book, run);
    }
    bool unwritten = s->e->written != s->e->book.version;
    ak_mutex_unlock(&self->lock);
    if (unwritten)
        ak__runs_wake(self, s->e, 0);
}

enum outcome { WAITING, TAKEN, REFUSED, GONE };

static enum outcome look_at(const struct ak_run *run)
{
    if (!run)
        return GONE;
    if (run->refused)
        return REFUSED;
    return run->told || ak_run_is_final(run->phase) ? TAKEN : WAITING;
}

static int settle_start(struct starting *s, const struct ak_run *run, json_t **ret)
{
    switch (look_at(run)) {
    case TAKEN:
        return answer(run, s->e, s->spec, ret, s->reterr);
    case REFUSED:
        return ak__runs_refuse(s->reterr, run->refused,
                               run->refused == 429 ? "TooManyRequests" : "BadRequest",
                               run->refused == 429 ? AK_SECONDS(5) : 0, "%s",
                               run->message ? run->message : "the agentlet refuses it");
    default:
        return refuse_run(s->reterr, s->id);
    }
}

static bool is_there_no_more(const struct starting *s)
{
    AK_AUTO_OBJECT agent = ak_cache_get(s->self->o.agents, s->q->ns, s->q->agent);

    return !agent || !ak_streq(ak_object_meta(agent)->uid, s->e->uid) ||
           ak_object_meta(agent)->deleting;
}

static int give_up(struct ak_runs *self, struct starting *s) AK_REQUIRES(self->lock)
{
    struct ak_run *run = ak_book_find(&s->e->book, s->id);
    char held[32];

    /* Without a key nobody can ask for it again. */
    if (run && !s->q->idempotency_key && run->holders == 1) {
        run->cancel_wanted = true;
        if (ak_book_end(&s->e->book, run, AK_RUN_PHASE_FAILED, "RequestLost",
                        "no pod took the run while its request waited",
                        ak_clock_wall(self->clock)) < 0)
            return ak_error_oom(s->reterr);
    }
    return ak__runs_refuse(s->reterr, 504, "Timeout", AK_SECONDS(1),
                           "run %s was not taken by the Agent's pod within %s%s", s->id,
                           ak_format_duration(s->q->hold, held),
                           s->q->idempotency_key
                               ? "; ask again with the same Idempotency-Key within a minute to go "
                                 "on waiting"
                               : "; it will not be started");
}

static int await(struct starting *s, json_t **ret)
{
    struct ak_runs *self = s->self;
    ak_msec deadline = ak_now() + s->q->hold;
    int r = 0;

    for (;;) {
        bool gone = is_there_no_more(s);
        ak_mutex_lock(&self->lock);
        const struct ak_run *run = ak_book_find(&s->e->book, s->id);
        bool over = look_at(run) != WAITING;
        if (over)
            r = settle_start(s, run, ret);
        else if (gone)
            r = refuse_agent(s->reterr, s->q->ns, s->q->agent);
        else if (ak_cancel_is_set(&self->stop))
            r = refuse_follower(s->reterr);
        else if (s->q->cancel && ak_cancel_is_set(s->q->cancel))
            r = ak_error_set(s->reterr, AK_E_CANCELLED, "who asked has gone");
        else if (ak_now() >= deadline)
            r = give_up(self, s);
        else
            ak_cond_wait_until(&self->changed, &self->lock, AK_MIN(deadline, ak_now() + SLICE));
        ak_mutex_unlock(&self->lock);
        if (over || r < 0)
            return r;
    }
}

/* Written, then given to the pod by this very thread if it is up: that is the short way. */
static int write_and_give(struct starting *s)
{
    struct ak_runs *self = s->self;
    struct ak_error *err = NULL;
    char pod_uid[AK_UID_SIZE];
    bool ready = false;
    ak_msec again = -1;

    bind_early(s);
    int r = ak__runs_flush(self, s->e, &err);
    if (r < 0) {
        let_go(s, s->created);
        return refuse_trouble(s->reterr, err);
    }
    ak__runs_pod_uid(self, s->agent, pod_uid, &ready);
    if (ready && ak__runs_give(self, s->e, s->agent, pod_uid, &again, &err) < 0)
        ak_warn(LOG, "a run was not given to its pod, trying again", AK_ERR(err));
    ak_error_free(err);
    ak__runs_wake(self, s->e, AK_MAX(again, 0));
    return 0;
}

static int start_in(struct starting *s, json_t **ret)
{
    int r = accept_run(s);

    if (r >= 0)
        r = write_and_give(s);
    if (r < 0)
        return r;
    r = await(s, ret);
    let_go(s, false);
    return r;
}

int ak_runs_start_run(struct ak_runs *self, const struct ak_run_request *q, json_t **ret_record,
                      bool *ret_created, struct ak_error **reterr)
{
    AK_AUTO_OBJECT agent = NULL;
    int r = check_request(q, reterr);

    if (r >= 0)
        r = find_agent(self, q->ns, q->agent, &agent, reterr);
    if (r < 0)
        return r;
    struct starting s = {.self = self, .q = q, .agent = agent, .reterr = reterr};
    s.spec = ((const struct ak_agent *)ak_object_body(agent))->spec;
    r = check_spec(s.spec, q->prompt, reterr);
    if (r >= 0)
        r = entry_for(self, agent, &s.e, reterr);
    if (r < 0)
        return r;
    r = q->idempotency_key ? ak_run_id_of_key(s.e->uid, q->idempotency_key, s.id)
                           : ak_run_id_random(s.id);
    r = r < 0 ? ak_error_set(reterr, r, "a name for the run") : start_in(&s, ret_record);
    ak__runs_close(self, s.e);
    if (r >= 0)
        *ret_created = s.created;
    return r < 0 ? r : 0;
}

/* ---- cancel ---- */

/* Has the agentlet been told, or is there nothing to tell? */
static bool is_settled(const struct ak_run *run)
{
    return !run || ak_run_is_final(run->phase) || run->cancel_sent;
}

static int await_cancel(struct starting *s, json_t **ret)
{
    struct ak_runs *self = s->self;
    ak_msec deadline = ak_now() + CANCEL_WAIT;
    int r;

    ak_mutex_lock(&self->lock);
    struct ak_run *run = ak_book_find(&s->e->book, s->id);
    while (!is_settled(run) && ak_now() < deadline && !ak_cancel_is_set(&self->stop)) {
        ak_cond_wait_until(&self->changed, &self->lock, AK_MIN(deadline, ak_now() + SLICE));
        run = ak_book_find(&s->e->book, s->id);
    }
    if (!run)
        r = refuse_run(s->reterr, s->id);
    else if (is_settled(run))
        r = answer(run, s->e, s->spec, ret, s->reterr);
    else
        r = ak__runs_refuse(s->reterr, 503, "ServiceUnavailable", AK_SECONDS(1),
                            "the Agent's pod does not answer; run %s is cancelled as soon as it "
                            "does",
                            s->id);
    ak_mutex_unlock(&self->lock);
    return r;
}

static int cancel_in(struct starting *s, const char *by, json_t **ret)
{
    struct ak_runs *self = s->self;
    struct ak_error *err = NULL;
    char message[AK_BOOK_MAX_NAME + 32], pod_uid[AK_UID_SIZE];
    ak_msec again = -1;
    int r = 0;

    (void)snprintf(message, sizeof(message), by ? "cancelled by %s" : "cancelled", by);
    ak_mutex_lock(&self->lock);
    struct ak_run *run = ak_book_find(&s->e->book, s->id);
    if (run)
        r = ak_book_cancel(&s->e->book, run, message, ak_clock_wall(self->clock));
    if (run && run->cancel_wanted && !ak_run_is_final(run->phase))
        run->cancel_sent = false; /* asked again, told again */
    ak_cond_broadcast(&self->changed);
    ak_mutex_unlock(&self->lock);
    if (!run)
        return refuse_run(s->reterr, s->id);
    if (r < 0)
        return ak_error_oom(s->reterr);
    if (r > 0 && ak__runs_flush(self, s->e, &err) < 0)
        return refuse_trouble(s->reterr, err);
    ak__runs_pod_uid(self, s->agent, pod_uid, NULL);
    if (pod_uid[0] && ak__runs_give(self, s->e, s->agent, pod_uid, &again, &err) < 0)
        ak_warn(LOG, "a run was not cancelled in its pod, trying again", AK_ERR(err));
    ak_error_free(err);
    ak__runs_wake(self, s->e, AK_MAX(again, 0));
    return await_cancel(s, ret);
}

int ak_runs_cancel_run(struct ak_runs *self, const char *ns, const char *name, const char *id,
                       const char *by, json_t **ret_record, struct ak_error **reterr)
{
    AK_AUTO_OBJECT agent = NULL;
    struct starting s = {.self = self, .reterr = reterr};
    int r =
        ak_is_dns_label(id) ? find_agent(self, ns, name, &agent, reterr) : refuse_run(reterr, id);

    if (r >= 0)
        r = entry_for(self, agent, &s.e, reterr);
    if (r < 0)
        return r;
    s.agent = agent;
    s.spec = ((const struct ak_agent *)ak_object_body(agent))->spec;
    (void)snprintf(s.id, sizeof(s.id), "%s", id);
    r = cancel_in(&s, by, ret_record);
    ak__runs_close(self, s.e);
    return r;
}
