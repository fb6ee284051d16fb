/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/runs/book.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "manager/runs/book_internal.h"

/* ---- records ---- */

static struct ak_run *run_free(struct ak_run *run)
{
    if (!run)
        return NULL;
    ak_free(run->id);
    ak_free(run->requested_by);
    ak_free(run->pod_uid);
    ak_free(run->reason);
    ak_free(run->message);
    ak_free(run->cost);
    ak_free(run->prompt);
    ak_free(run->cancel_why);
    ak_free(run);
    return NULL;
}

/* The longest beginning of at most `max` bytes that ends with a whole character. */
static size_t cut_at(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);

    if (len <= max)
        return len;
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* 1: it is another text now; 0: it was the same. "" counts as none. */
static int set_text(char **text, const char *value, size_t max)
{
    size_t len = value ? cut_at(value, max) : 0;
    char *copy = NULL;

    if (len == 0 ? !*text : *text && strlen(*text) == len && memcmp(*text, value, len) == 0)
        return 0;
    if (len) {
        copy = ak_strndup(value, len);
        if (!copy)
            return -ENOMEM;
    }
    ak_free(*text);
    *text = copy;
    return 1;
}

bool ak_run_is_final(enum ak_run_phase phase)
{
    return phase >= AK_RUN_PHASE_SUCCEEDED;
}

void ak_book_done(struct ak_book *self)
{
    for (size_t i = 0; i < self->len; i++)
        run_free(self->items[i]);
    ak_free(self->items);
    *self = (struct ak_book){0};
}

struct ak_run *ak_book_find(const struct ak_book *self, const char *id)
{
    for (size_t i = 0; i < self->len; i++)
        if (strcmp(self->items[i]->id, id) == 0)
            return self->items[i];
    return NULL;
}

/* What lastRunTime and lastRunPhase say follows the run that was accepted last. */
static void note_last(struct ak_book *self, const struct ak_run *run)
{
    if (run->phase == AK_RUN_PHASE_SKIPPED)
        return;
    if (run->started > self->last_run_time)
        self->last_run_time = run->started;
    if (run->queued < self->last_queued)
        return;
    self->last_queued = run->queued;
    self->last_run_phase = run->phase;
}

static void changed(struct ak_book *self, const struct ak_run *run)
{
    self->version++;
    note_last(self, run);
}

static struct ak_run *add(struct ak_book *self, const char *id, bool in_front)
{
    if (self->len == self->cap) {
        size_t cap = self->cap ? self->cap * 2 : 8;
        struct ak_run **items = ak_reallocarray(self->items, cap, sizeof(struct ak_run *));
        if (!items)
            return NULL;
        self->items = items;
        self->cap = cap;
    }
    struct ak_run *run = ak_new0(struct ak_run);
    if (run)
        run->id = ak_strdup(id);
    if (!run || !run->id)
        return run_free(run);
    if (in_front)
        memmove(self->items + 1, self->items, self->len * sizeof(struct ak_run *));
    self->items[in_front ? 0 : self->len] = run;
    self->len++;
    return run;
}

static void drop_at(struct ak_book *self, size_t i)
{
    run_free(self->items[i]);
    memmove(self->items + i, self->items + i + 1, (self->len - i - 1) * sizeof(struct ak_run *));
    self->len--;
    self->version++;
}

/* ---- reading a status ---- */

static int load_run(struct ak_book *self, const struct ak_agent_run_record *r, ak_msec monotonic)
{
    struct ak_run *run = add(self, r->id, false);

    if (!run)
        return -ENOMEM;
    run->phase = r->phase ? r->phase : AK_RUN_PHASE_PENDING;
    run->news = run->phase;
    run->trigger = r->trigger ? r->trigger : AK_RUN_TRIGGER_INVOCATION;
    run->scheduled = r->scheduled_time;
    run->queued = r->queued_time;
    run->started = r->start_time;
    run->completed = r->completion_time;
    run->exit_code = r->exit_code;
    run->has_exit_code = r->exit_code != 0 || r->phase == AK_RUN_PHASE_SUCCEEDED;
    run->input_tokens = r->input_tokens;
    run->output_tokens = r->output_tokens;
    run->unheld_since = monotonic;
    run->told = run->phase == AK_RUN_PHASE_QUEUED || run->phase == AK_RUN_PHASE_RUNNING;
    /* Whether these were our own words is not written down, but nobody else uses them. */
    run->assumed = ak_streq(r->reason, "RequestLost") || ak_streq(r->reason, "PodReplaced") ||
                   ak_streq(r->reason, "AgentPaused");
    note_last(self, run);
    if (set_text(&run->requested_by, r->requested_by, AK_BOOK_MAX_NAME) < 0 ||
        set_text(&run->pod_uid, r->pod_uid, AK_RUN_ID_SIZE) < 0 ||
        set_text(&run->reason, r->reason, AK_RUN_ID_SIZE) < 0 ||
        set_text(&run->message, r->message, AK_BOOK_MAX_MESSAGE) < 0 ||
        set_text(&run->cost, r->cost_usd, AK_RUN_ID_SIZE) < 0)
        return -ENOMEM;
    return 0;
}

int ak_book_load(struct ak_book *self, const struct ak_agent_status *status, ak_msec monotonic)
{
    AK_AUTO(ak_book) book = {.rules = self->rules};

    for (size_t i = 0; status && i < status->runs.len; i++)
        if (status->runs.items[i].id && !ak_book_find(&book, status->runs.items[i].id) &&
            load_run(&book, &status->runs.items[i], monotonic) < 0)
            return -ENOMEM;
    if (status) {
        book.last_schedule = status->last_schedule_time;
        book.last_run_time = status->last_run_time ? status->last_run_time : book.last_run_time;
        enum ak_run_phase phase = ak_run_phase_from_string(status->last_run_phase);
        book.last_run_phase = phase ? phase : book.last_run_phase;
    }
    ak_book_done(self);
    *self = book;
    book = (struct ak_book){0};
    return 0;
}

void ak_book_rules_of(const struct ak_agent_spec *spec, struct ak_book_rules *ret)
{
    *ret = (struct ak_book_rules){
        .max_queued = spec->run ? (size_t)spec->run->max_queued : 10,
        .max_retained = spec->run ? (size_t)spec->run->max_retained : 20,
        .concurrency =
            spec->schedule ? spec->schedule->concurrency_policy : AK_AGENT_CONCURRENCY_ALLOW,
        .persistent = spec->workspace && spec->workspace->persistent,
        .paused = spec->paused,
    };
}

/* ---- questions ---- */

size_t ak_book_active(const struct ak_book *self)
{
    size_t n = 0;

    for (size_t i = 0; i < self->len; i++)
        n += !ak_run_is_final(self->items[i]->phase);
    return n;
}

struct ak_run *ak_book_next(const struct ak_book *self, const char *pod_uid)
{
    for (size_t i = self->len; i > 0; i--) {
        struct ak_run *run = self->items[i - 1];
        if (run->phase == AK_RUN_PHASE_PENDING && !run->told && !run->cancel_wanted &&
            (run->holders || run->trigger == AK_RUN_TRIGGER_SCHEDULE) &&
            (!run->pod_uid || ak_streq(run->pod_uid, pod_uid)))
            return run;
    }
    return NULL;
}

struct ak_run *ak_book_next_cancel(const struct ak_book *self, const char *pod_uid)
{
    for (size_t i = self->len; i > 0; i--) {
        struct ak_run *run = self->items[i - 1];
        if (run->cancel_wanted && !run->cancel_sent && ak_streq(run->pod_uid, pod_uid) &&
            (run->assumed || !ak_run_is_final(run->phase)))
            return run;
    }
    return NULL;
}

const char *ak_book_other_pod(const struct ak_book *self, const char *pod_uid)
{
    for (size_t i = 0; i < self->len; i++) {
        const struct ak_run *run = self->items[i];
        if (!ak_run_is_final(run->phase) && run->pod_uid && !ak_streq(run->pod_uid, pod_uid))
            return run->pod_uid;
    }
    return NULL;
}

bool ak_book_is_in_pod(const struct ak_book *self, const char *pod_uid)
{
    for (size_t i = 0; i < self->len; i++)
        if (!ak_run_is_final(self->items[i]->phase) && ak_streq(self->items[i]->pod_uid, pod_uid))
            return true;
    return false;
}

/* ---- accept, bind, end ---- */

static bool may_begin_anew(const struct ak_run *run)
{
    return run->phase == AK_RUN_PHASE_FAILED && run->assumed && !run->pod_uid &&
           ak_streq(run->reason, "RequestLost");
}

static int begin_anew(struct ak_book *self, struct ak_run *run, ak_msec wall, ak_msec monotonic)
{
    run->refused = 0;
    run->phase = run->news = AK_RUN_PHASE_PENDING;
    run->assumed = run->cancel_wanted = false;
    run->queued = wall;
    run->completed = 0;
    run->unheld_since = monotonic;
    (void)!set_text(&run->reason, NULL, 0);
    (void)!set_text(&run->message, NULL, 0);
    changed(self, run);
    return 1;
}

int ak_book_accept(struct ak_book *self, const struct ak_book_ask *ask, ak_msec wall,
                   ak_msec monotonic, struct ak_run **ret)
{
    struct ak_run *run = ak_book_find(self, ask->id);
    bool full = ak_book_active(self) > self->rules.max_queued;
    int r = 0;

    if (run && may_begin_anew(run)) {
        if (full)
            return -ENOBUFS;
        r = begin_anew(self, run, wall, monotonic);
    } else if (!run) {
        if (full)
            return -ENOBUFS;
        run = add(self, ask->id, true);
        if (!run)
            return -ENOMEM;
        run->phase = run->news = AK_RUN_PHASE_PENDING;
        run->trigger = ask->trigger;
        run->scheduled = ask->scheduled;
        run->queued = wall;
        run->unheld_since = monotonic;
        changed(self, run);
        r = 1;
        if (set_text(&run->requested_by, ask->requested_by, AK_BOOK_MAX_NAME) < 0)
            r = -ENOMEM;
    }
    /* The prompt is in no status: who asks again brings it again. */
    if (r >= 0 && run->phase == AK_RUN_PHASE_PENDING && !run->told) {
        run->timeout = ask->timeout;
        if (!run->prompt && ask->prompt && !(run->prompt = ak_strdup(ask->prompt)))
            r = r > 0 ? -ENOMEM : r;
    }
    if (r == -ENOMEM) {
        ak_book_forget(self, run);
        return r;
    }
    *ret = run;
    return r;
}

int ak_book_bind(struct ak_book *self, struct ak_run *run, const char *pod_uid)
{
    int r = set_text(&run->pod_uid, pod_uid, AK_RUN_ID_SIZE);

    if (r > 0)
        changed(self, run);
    return r;
}

void ak_book_hold(struct ak_book *self, struct ak_run *run)
{
    (void)self;
    run->holders++;
}

void ak_book_let_go(struct ak_book *self, struct ak_run *run, ak_msec monotonic)
{
    if (run->holders == 0 || --run->holders > 0)
        return;
    run->unheld_since = monotonic;
    ak_free(run->prompt);
    run->prompt = NULL;
    if (run->refused)
        ak_book_forget(self, run);
}

int ak_book_end(struct ak_book *self, struct ak_run *run, enum ak_run_phase phase,
                const char *reason, const char *message, ak_msec wall)
{
    AK_AUTO_TEXT char *why = ak_strdup(reason);
    AK_AUTO_TEXT char *words = NULL;

    if (set_text(&words, message, AK_BOOK_MAX_MESSAGE) < 0 || (reason && !why))
        return -ENOMEM;
    ak_free(run->reason);
    ak_free(run->message);
    run->reason = AK_TAKE(why);
    run->message = AK_TAKE(words);
    run->phase = phase;
    run->completed = wall;
    run->assumed = true;
    ak_free(run->prompt);
    run->prompt = NULL;
    changed(self, run);
    return 1;
}

void ak_book_forget(struct ak_book *self, struct ak_run *run)
{
    for (size_t i = 0; i < self->len; i++)
        if (self->items[i] == run) {
            drop_at(self, i);
            break;
        }
    self->last_queued = 0;
    self->last_run_phase = AK_RUN_PHASE_UNSET;
    for (size_t i = self->len; i > 0; i--)
        note_last(self, self->items[i - 1]);
}

int ak_book_refuse(struct ak_book *self, struct ak_run *run, int http_status, const char *reason,
                   const char *message, ak_msec wall)
{
    int r = ak_book_end(self, run, AK_RUN_PHASE_FAILED, reason, message, wall);

    if (r >= 0)
        run->refused = http_status;
    return r;
}

/* ---- schedule, cancel, time ---- */

static int skip(struct ak_book *self, struct ak_run *run, const char *reason, const char *message,
                ak_msec wall)
{
    int r = ak_book_end(self, run, AK_RUN_PHASE_SKIPPED, reason, message, wall);

    run->assumed = false; /* nobody can know better */
    return r < 0 ? r : AK_BOOK_FIRED_SKIPPED;
}

/* Makes room: all others are to end. Counts those that will not. */
static int replace_others(struct ak_book *self, const struct ak_run *next, ak_msec wall)
{
    char message[128];
    int r = 0;

    (void)snprintf(message, sizeof(message), "replaced by %s", next->id);
    for (size_t i = 0; i < self->len && r >= 0; i++)
        if (self->items[i] != next && !ak_run_is_final(self->items[i]->phase))
            r = ak_book_cancel(self, self->items[i], message, wall);
    return r;
}

static int decide_fired(struct ak_book *self, struct ak_run *run, size_t others, bool too_late,
                        ak_msec wall)
{
    if (too_late)
        return skip(self, run, "DeadlineExceeded",
                    "its time passed more than startingDeadlineSeconds ago", wall);
    if (self->rules.concurrency == AK_AGENT_CONCURRENCY_FORBID && others)
        return skip(self, run, "Overlap",
                    "another run was not finished, and concurrencyPolicy is "
                    "Forbid",
                    wall);
    if (self->rules.concurrency == AK_AGENT_CONCURRENCY_REPLACE) {
        int r = replace_others(self, run, wall);
        return r < 0 ? r : AK_BOOK_FIRED_RUN;
    }
    if (others > self->rules.max_queued)
        return skip(self, run, "QueueFull", "as many runs wait as spec.run.maxQueued allows", wall);
    return AK_BOOK_FIRED_RUN;
}

int ak_book_fire(struct ak_book *self, const char *agent_uid, ak_msec scheduled, bool too_late,
                 ak_msec wall, ak_msec monotonic, struct ak_run **ret)
{
    char id[AK_RUN_ID_SIZE];
    size_t others = ak_book_active(self);
    int r = ak_run_id_of_schedule(agent_uid, scheduled, id);

    if (r < 0)
        return r;
    if (scheduled <= self->last_schedule || ak_book_find(self, id))
        return AK_BOOK_FIRED_NOT;
    struct ak_run *run = add(self, id, true);
    if (!run)
        return -ENOMEM;
    run->phase = run->news = AK_RUN_PHASE_PENDING;
    run->trigger = AK_RUN_TRIGGER_SCHEDULE;
    run->scheduled = scheduled;
    run->queued = wall;
    run->unheld_since = monotonic;
    r = decide_fired(self, run, others, too_late, wall);
    if (r < 0) {
        ak_book_forget(self, run);
        return r;
    }
    self->last_schedule = scheduled;
    changed(self, run);
    *ret = run;
    return r;
}

int ak_book_cancel(struct ak_book *self, struct ak_run *run, const char *message, ak_msec wall)
{
    if (ak_run_is_final(run->phase))
        return 0;
    if (!run->cancel_wanted && set_text(&run->cancel_why, message, AK_BOOK_MAX_MESSAGE) < 0)
        return -ENOMEM;
    run->cancel_wanted = true;
    if (run->pod_uid)
        return 0;
    return ak_book_end(self, run, AK_RUN_PHASE_CANCELLED, "Cancelled", message, wall);
}

int ak_book_expire(struct ak_book *self, ak_msec wall, ak_msec monotonic, ak_msec *ret_next)
{
    ak_msec next = AK_MSEC_NEVER;
    int any = 0;

    for (size_t i = 0; i < self->len; i++) {
        struct ak_run *run = self->items[i];
        ak_msec due = run->unheld_since + AK_BOOK_UNHELD;
        if (run->phase != AK_RUN_PHASE_PENDING || run->holders ||
            run->trigger != AK_RUN_TRIGGER_INVOCATION)
            continue;
        if (due > monotonic) {
            next = AK_MIN(next, due);
            continue;
        }
        run->cancel_wanted = true; /* should it turn up after all */
        int r = ak_book_end(self, run, AK_RUN_PHASE_FAILED, "RequestLost",
                            "the request that asked for it ended before a pod took the run", wall);
        if (r < 0)
            return r;
        any = 1;
    }
    *ret_next = next;
    return any;
}

void ak_book_retain(struct ak_book *self)
{
    size_t kept = 0;

    for (size_t i = 0; i < self->len;) {
        const struct ak_run *run = self->items[i];
        if (!ak_run_is_final(run->phase) || run->holders || ++kept <= self->rules.max_retained)
            i++;
        else
            drop_at(self, i);
    }
}

/* ---- what the agentlet says ---- */

/* Pending < Queued < Running < all that is final. */
static int rank(enum ak_run_phase phase)
{
    return ak_run_is_final(phase) ? AK_RUN_PHASE_SUCCEEDED : (int)phase;
}

/* An end of ours, and the agentlet says that it is not: what of it is believed. */
static bool revive(struct ak_run *run, enum ak_run_phase phase)
{
    /* Who asked was told that it has ended: it is not begun behind his back. */
    if (!ak_streq(run->reason, "PodReplaced"))
        run->cancel_wanted = true;
    if (phase != AK_RUN_PHASE_RUNNING)
        return false;
    run->assumed = false;
    run->completed = 0;
    return true;
}

static int copy_numbers(struct ak_run *run, const json_t *record)
{
    const json_t *code = json_object_get(record, "exitCode");
    const json_t *in = ak_json_at(record, "usage", "inputTokens", NULL);
    const json_t *out = ak_json_at(record, "usage", "outputTokens", NULL);
    struct ak_run before = *run;

    if (json_is_integer(code)) {
        run->exit_code = json_integer_value(code);
        run->has_exit_code = true;
    }
    if (json_is_integer(in) && json_integer_value(in) > 0)
        run->input_tokens = json_integer_value(in);
    if (json_is_integer(out) && json_integer_value(out) > 0)
        run->output_tokens = json_integer_value(out);
    ak__book_time(record, "startTime", &run->started);
    ak__book_time(record, "completionTime", &run->completed);
    return before.exit_code != run->exit_code || before.has_exit_code != run->has_exit_code ||
           before.input_tokens != run->input_tokens || before.output_tokens != run->output_tokens ||
           before.started != run->started || before.completed != run->completed;
}

static int copy_texts(struct ak_run *run, const json_t *record, bool keep_reason)
{
    int a = 0, b = 0;

    if (!keep_reason) {
        a = set_text(&run->reason, ak_json_text(record, "reason", NULL), AK_RUN_ID_SIZE);
        b = set_text(&run->message, ak_json_text(record, "message", NULL), AK_BOOK_MAX_MESSAGE);
    }
    int c = set_text(&run->cost, ak_json_text(record, "usage", "costUSD", NULL), AK_RUN_ID_SIZE);
    return a < 0 || b < 0 || c < 0 ? -ENOMEM : a + b + c > 0;
}

static int name_pause(struct ak_run *run)
{
    if (ak_streq(run->reason, "AgentPaused"))
        return 0;
    int r = set_text(&run->reason, "AgentPaused", AK_RUN_ID_SIZE);
    if (r >= 0)
        r = set_text(&run->message, "the Agent was paused while it ran", AK_BOOK_MAX_MESSAGE);
    return r < 0 ? r : 1;
}

int ak_book_heard(struct ak_book *self, const json_t *record, const char *pod_uid)
{
    const char *id = ak_json_text(record, "id", NULL);
    enum ak_run_phase phase = ak_run_phase_from_string(ak_json_text(record, "phase", NULL));

    if (!id || phase <= AK_RUN_PHASE_PENDING || phase == AK_RUN_PHASE_SKIPPED)
        return AK_E_INVALID;
    struct ak_run *run = ak_book_find(self, id);
    if (!run || (ak_run_is_final(run->phase) && !run->assumed))
        return 0;
    bool ended = ak_run_is_final(phase), was = ak_run_is_final(run->phase);
    run->told = true;
    ak_free(run->prompt);
    run->prompt = NULL;
    if (was && !ended && !revive(run, phase))
        return 0;
    if (!was && rank(phase) < rank(run->phase))
        return 0;
    bool keep = was && run->phase == AK_RUN_PHASE_INTERRUPTED && phase == run->phase;
    int a = copy_texts(run, record, keep);
    int b = copy_numbers(run, record);
    int c = set_text(&run->pod_uid, pod_uid, AK_RUN_ID_SIZE);
    int d = 0;
    if (phase == AK_RUN_PHASE_INTERRUPTED && self->rules.paused)
        d = name_pause(run);
    if (a < 0 || c < 0 || d < 0)
        return -ENOMEM;
    if (!(a + b + c + d) && phase == run->phase)
        return 0;
    run->phase = phase;
    run->assumed = false;
    if (ended)
        run->cancel_wanted = false;
    changed(self, run);
    return 1;
}

/* One that the agentlet of the pod there is does not know. */
static int miss(struct ak_book *self, struct ak_run *run, bool same_pod, ak_msec wall)
{
    bool begun = run->phase != AK_RUN_PHASE_PENDING;

    if (begun && same_pod)
        return ak_book_end(self, run, AK_RUN_PHASE_INTERRUPTED, "PodRestarted",
                           "the pod has no record of it any more", wall);
    if (begun || (!same_pod && !self->rules.persistent))
        return ak_book_end(self, run, AK_RUN_PHASE_INTERRUPTED, "PodReplaced",
                           "the pod that had it is gone", wall);
    if (run->cancel_wanted)
        return ak_book_end(self, run, AK_RUN_PHASE_CANCELLED, "Cancelled",
                           "cancelled before it began", wall);
    if (same_pod)
        return 0; /* it is told again */
    /* What the earlier agentlet took would be on the workspace: it took nothing. */
    ak_free(run->pod_uid);
    run->pod_uid = NULL;
    changed(self, run);
    return 1;
}

int ak_book_heard_all(struct ak_book *self, const char *pod_uid,
                      bool (*has)(const char *id, void *user), void *user, ak_msec wall)
{
    int any = 0;

    for (size_t i = 0; i < self->len; i++) {
        struct ak_run *run = self->items[i];
        if (ak_run_is_final(run->phase) || !run->pod_uid || has(run->id, user))
            continue;
        int r = miss(self, run, ak_streq(run->pod_uid, pod_uid), wall);
        if (r < 0)
            return r;
        any |= r > 0;
    }
    return any;
}

static int lose(struct ak_book *self, struct ak_run *run, const char *why, ak_msec wall)
{
    bool begun = run->phase == AK_RUN_PHASE_RUNNING;

    if (self->rules.paused)
        return ak_book_end(self, run,
                           run->pod_uid ? AK_RUN_PHASE_INTERRUPTED : AK_RUN_PHASE_CANCELLED,
                           "AgentPaused",
                           run->pod_uid ? "the Agent was paused while it ran"
                                        : "the Agent was paused before it began",
                           wall);
    /* What waits on a workspace that outlives its pod is known to the agentlet of the next one. */
    if (!run->pod_uid || (!begun && self->rules.persistent))
        return 0;
    return ak_book_end(self, run, AK_RUN_PHASE_INTERRUPTED, "PodReplaced",
                       why ? why : "the pod that had it is gone", wall);
}

int ak_book_pod_gone(struct ak_book *self, const char *pod_uid, const char *why, ak_msec wall)
{
    int any = 0;

    for (size_t i = 0; i < self->len; i++) {
        struct ak_run *run = self->items[i];
        if (ak_run_is_final(run->phase) || (pod_uid && ak_streq(run->pod_uid, pod_uid)))
            continue;
        int r = lose(self, run, why, wall);
        if (r < 0)
            return r;
        any |= r > 0;
    }
    return any;
}
