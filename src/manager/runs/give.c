/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the agentlet of a pod. One thread at a time gives an Agent's runs to its pod, in the order in which they
 * were accepted; who comes meanwhile has nothing to do, because that thread looks again before it goes.
 */
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/runs/runs_internal.h"

#define LOG "runs"
#define TIMEOUT AK_SECONDS(5)
#define MAX_REQUEST (2u << 20) /* more than an agentlet takes: it says so itself */

/* ---- one request ---- */

static int ask_once(struct ak_runs *self, struct ak_run_target *target,
                    const struct ak_http_request *req, int *ret_status, json_t **ret_tree,
                    struct ak_error **reterr)
{
    AK_AUTO(ak_http_reply) reply = {0};
    json_t *tree = NULL;
    int r = ak_http_do(ak_run_target_client(target), req, &reply, reterr);

    (void)self;
    if (r < 0)
        return r;
    if (reply.body.len && ak_json_parse(ak_buf_text(&reply.body), reply.body.len, &tree, NULL) < 0)
        tree = NULL;
    *ret_status = reply.status;
    *ret_tree = tree;
    return 0;
}

int ak__runs_ask_pod(struct ak_runs *self, const char *ns, const char *name, const char *pod_uid,
                     const char *method, const char *path, const json_t *body, int *ret_status,
                     json_t **ret_tree, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_REQUEST);
    int r = body ? ak_json_write(body, &text, reterr) : 0;

    if (r < 0)
        return r;
    const struct ak_http_request req = {.method = method,
                                        .path = path,
                                        .content_type = body ? "application/json" : NULL,
                                        .accept = "application/json",
                                        .body = body ? ak_buf_text(&text) : NULL,
                                        .body_len = text.len,
                                        .timeout = TIMEOUT,
                                        .cancel = &self->stop};
    for (int attempt = 0;; attempt++) {
        AK_AUTO_TARGET target = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        r = ak_trust_get(&self->trust, ns, name, pod_uid, &target, &err);
        if (r >= 0)
            r = ask_once(self, target, &req, ret_status, ret_tree, &err);
        if (r >= 0)
            return 0;
        if (target)
            ak_trust_forget(&self->trust, target);
        /* Its key is another one, or its connections are dead: it was restarted. All requests may be repeated. */
        bool again = target && attempt == 0 && (r == -EKEYREJECTED || r == AK_E_PROTOCOL);
        if (again)
            continue;
        if (reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
}

/* ---- what is asked ---- */

static json_t *step_json(const struct ak_agent_step *step)
{
    AK_AUTO_JSON *o =
        json_pack("{s:s, s:I, s:b}", "name", step->name, "retries", (json_int_t)step->retries,
                  "continueOnError", step->continue_on_error);
    AK_AUTO_JSON *arguments = NULL;
    bool ok = o != NULL;

    if (ok && step->prompt)
        ok = json_object_set_new(o, "prompt", json_string(step->prompt)) == 0;
    if (ok && step->run)
        ok = json_object_set_new(o, "run", json_string(step->run)) == 0;
    if (ok && step->timeout_seconds.set)
        ok = json_object_set_new(o, "timeoutSeconds", json_integer(step->timeout_seconds.value)) ==
             0;
    if (ok && step->tool) {
        const char *text = step->tool->arguments ? step->tool->arguments : "{}";
        if (ak_json_parse(text, strlen(text), &arguments, NULL) < 0)
            arguments = json_object(); /* the Agent's conditions complain about it */
        ok = arguments && json_object_set_new(o, "tool",
                                              json_pack("{s:s, s:O}", "name", step->tool->name,
                                                        "arguments", arguments)) == 0;
    }
    return ok ? AK_TAKE(o) : NULL;
}

static bool put_steps(json_t *request, const struct ak_agent_spec *spec)
{
    AK_AUTO_JSON *list = NULL;

    if (spec->mode != AK_AGENT_MODE_SYSTEM || !spec->playbook)
        return true;
    list = json_array();
    for (size_t i = 0; i < spec->playbook->steps.len && list; i++)
        if (json_array_append_new(list, step_json(&spec->playbook->steps.items[i])) < 0)
            return false;
    return list && json_object_set(request, "steps", list) == 0;
}

static bool put_text(json_t *o, const char *key, const char *text)
{
    return ak_is_empty(text) || json_object_set_new(o, key, json_string(text)) == 0;
}

int ak__runs_request(const struct ak_run *run, const struct ak_agent_spec *spec, json_t **ret,
                     struct ak_error **reterr)
{
    AK_AUTO_JSON *o = json_object();
    ak_msec limit = AK_SECONDS(spec->run ? spec->run->timeout_seconds : 3600);
    char when[AK_RFC3339_SIZE];

    if (run->timeout > 0 && run->timeout < limit)
        limit = run->timeout;
    bool ok = o && put_text(o, "prompt", run->prompt) &&
              put_text(o, "trigger", ak_run_trigger_to_string(run->trigger)) &&
              put_text(o, "requestedBy", run->requested_by) &&
              (!run->scheduled ||
               put_text(o, "scheduledTime", ak_format_rfc3339(run->scheduled, when))) &&
              json_object_set_new(o, "timeoutSeconds", json_integer((limit + 999) / 1000)) == 0 &&
              put_steps(o, spec);
    if (!ok)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(o);
    return 0;
}

/* ---- what comes of it ---- */

struct giving {
    struct ak_entry *e;
    const struct ak_object *agent;
    const char *pod_uid;
    struct ak_error **reterr;
};

static const char *words_of(const json_t *tree)
{
    const char *message = ak_json_text(tree, "message", NULL);

    return message ? message : "the agentlet refuses it";
}

static bool somebody_ends(const struct ak_book *book)
{
    for (size_t i = 0; i < book->len; i++)
        if (book->items[i]->cancel_wanted && !ak_run_is_final(book->items[i]->phase))
            return true;
    return false;
}

/* 1: there is no place for it now, but there will be. */
static int note_full(struct giving *g, struct ak_run *run, const json_t *tree, ak_msec wall)
{
    struct ak_book *book = &g->e->book;

    if (run->trigger != AK_RUN_TRIGGER_SCHEDULE)
        return ak_book_refuse(book, run, 429, "QueueFull", words_of(tree), wall);
    if (somebody_ends(book))
        return 1;
    return ak_book_end(book, run, AK_RUN_PHASE_SKIPPED, "QueueFull", words_of(tree), wall);
}

/* Who asks is told; what the schedule began has nobody but its record. */
static int note_refused(struct ak_book *book, struct ak_run *run, int status, const char *words,
                        ak_msec wall)
{
    if (run->trigger == AK_RUN_TRIGGER_SCHEDULE)
        return ak_book_end(book, run, AK_RUN_PHASE_FAILED, "StartFailed", words, wall);
    return ak_book_refuse(book, run, status, "StartFailed", words, wall);
}

/* 0: settled; 1: to be tried again; negative: no memory. */
static int note_put(struct ak_runs *self, struct giving *g, const char *id, int status,
                    const json_t *tree) AK_REQUIRES(self->lock)
{
    struct ak_book *book = &g->e->book;
    struct ak_run *run = ak_book_find(book, id);
    ak_msec wall = ak_clock_wall(self->clock);
    int r;

    if (!run)
        return 0;
    switch (status) {
    case 200:
    case 201:
        r = ak_book_heard(book, tree, g->pod_uid);
        return r == -ENOMEM ? r : r == AK_E_INVALID;
    case 429:
        r = note_full(g, run, tree, wall);
        return r == 1 && run->phase == AK_RUN_PHASE_PENDING ? 1 : AK_MIN(r, 0);
    case 400:
    case 409:
    case 413:
    case 422:
        r = note_refused(book, run, status == 422 ? 400 : status, words_of(tree), wall);
        return AK_MIN(r, 0);
    default:
        return 1;
    }
}

/* ---- giving ---- */

/* Binds the run to the pod and has that written. 0: go on; 1: there is nothing to do any more. Unlocks meanwhile. */
static int bind_to_pod(struct ak_runs *self, struct giving *g, const char *id)
    AK_REQUIRES(self->lock)
{
    AK_AUTO_TARGET target = NULL;

    /* First the keeper: as long as it is not there, nothing can have begun. */
    ak_mutex_unlock(&self->lock);
    int r = ak_trust_get(&self->trust, g->e->ns, g->e->name, g->pod_uid, &target, g->reterr);
    ak_mutex_lock(&self->lock);
    if (r < 0)
        return r;
    struct ak_run *run = ak_book_find(&g->e->book, id);
    if (!run || run != ak_book_next(&g->e->book, g->pod_uid) ||
        ak_streq(g->e->released_pod, g->pod_uid))
        return 1;
    if (ak_book_bind(&g->e->book, run, g->pod_uid) < 0)
        return ak_error_oom(g->reterr);
    ak_mutex_unlock(&self->lock);
    r = ak__runs_flush(self, g->e, g->reterr);
    if (r >= 0 && !ak__runs_may_write(self))
        r = ak_error_set(g->reterr, AK_E_CANCELLED, "this process is not the leader");
    ak_mutex_lock(&self->lock);
    return r < 0 ? r : 0;
}

/* 0: done with this one; 1: the pod does not take it now. */
static int give_one(struct ak_runs *self, struct giving *g, const char *id) AK_REQUIRES(self->lock)
{
    const struct ak_agent *agent = ak_object_body(g->agent);
    AK_AUTO_JSON *request = NULL;
    AK_AUTO_JSON *tree = NULL;
    char path[128];
    int status = 0;
    int r = bind_to_pod(self, g, id);

    if (r != 0)
        return AK_MIN(r, 0);
    struct ak_run *run = ak_book_find(&g->e->book, id);
    if (!run || run->phase != AK_RUN_PHASE_PENDING || run->told)
        return 0;
    r = ak__runs_request(run, agent->spec, &request, g->reterr);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/v1/runs/%s", id);
    ak_mutex_unlock(&self->lock);
    r = ak__runs_ask_pod(self, g->e->ns, g->e->name, g->pod_uid, "PUT", path, request, &status,
                         &tree, g->reterr);
    ak_mutex_lock(&self->lock);
    if (r < 0)
        return r;
    r = note_put(self, g, id, status, tree);
    ak_cond_broadcast(&self->changed);
    if (r == 1)
        return ak_error_set(g->reterr, AK_E_SERVER, "the agentlet answers %d: %s", status,
                            words_of(tree));
    return r < 0 ? ak_error_oom(g->reterr) : 0;
}

static int cancel_one(struct ak_runs *self, struct giving *g, const char *id)
    AK_REQUIRES(self->lock)
{
    struct ak_book *book = &g->e->book;
    AK_AUTO_JSON *tree = NULL;
    struct ak_run *run = ak_book_find(book, id);
    AK_AUTO_JSON *body = json_pack("{s:s, s:s}", "reason", "Cancelled", "message",
                                   run && run->cancel_why ? run->cancel_why : "cancelled");
    char path[128];
    int status = 0;

    if (!body)
        return ak_error_oom(g->reterr);
    (void)snprintf(path, sizeof(path), "/v1/runs/%s/cancel", id);
    ak_mutex_unlock(&self->lock);
    int r = ak__runs_ask_pod(self, g->e->ns, g->e->name, g->pod_uid, "POST", path, body, &status,
                             &tree, g->reterr);
    ak_mutex_lock(&self->lock);
    if (r < 0)
        return r;
    run = ak_book_find(book, id);
    if (!run)
        return 0;
    if (status == 200)
        r = ak_book_heard(book, tree, g->pod_uid);
    else if (status == 404 && run->phase == AK_RUN_PHASE_PENDING)
        r = ak_book_end(book, run, AK_RUN_PHASE_CANCELLED, "Cancelled", "cancelled before it began",
                        ak_clock_wall(self->clock));
    else if (status != 404)
        return ak_error_set(g->reterr, AK_E_SERVER, "the agentlet answers %d: %s", status,
                            words_of(tree));
    ak_cond_broadcast(&self->changed);
    run = ak_book_find(book, id);
    if (run)
        run->cancel_sent = true;
    return r == -ENOMEM ? ak_error_oom(g->reterr) : 0;
}

/* Ends with everything given, or with what kept it from that. */
static int give_all(struct ak_runs *self, struct giving *g) AK_REQUIRES(self->lock)
{
    struct ak_entry *e = g->e;
    char id[AK_RUN_ID_SIZE];
    int r = 0;

    while (r >= 0 && !ak_cancel_is_set(&self->stop)) {
        const struct ak_run *run = ak_book_next_cancel(&e->book, g->pod_uid);
        bool cancel = run != NULL;
        if (!run && !ak_streq(e->released_pod, g->pod_uid))
            run = ak_book_next(&e->book, g->pod_uid);
        if (!run)
            break;
        (void)snprintf(id, sizeof(id), "%s", run->id);
        r = cancel ? cancel_one(self, g, id) : give_one(self, g, id);
    }
    return r;
}

/* Trouble with the pod is waited out; trouble with the API server is the caller's. */
static bool is_of_pod(int code)
{
    return code == AK_E_PROTOCOL || code == -EKEYREJECTED || code == -ETIMEDOUT ||
           code == AK_E_NOT_FOUND || code == AK_E_FORBIDDEN || code == -EAGAIN ||
           code == AK_E_SERVER || code == AK_E_INVALID || code == AK_E_TOO_LARGE;
}

int ak__runs_give(struct ak_runs *self, struct ak_entry *entry, const struct ak_object *agent,
                  const char *pod_uid, ak_msec *ret_again, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct giving g = {entry, agent, pod_uid, &err};
    ak_msec again = -1;
    int r = 0;

    ak_mutex_lock(&self->lock);
    bool wanted = ak_book_next(&entry->book, pod_uid) || ak_book_next_cancel(&entry->book, pod_uid);
    ak_msec wait = entry->not_before - ak_clock_now(self->clock);
    if (wanted && !entry->giving && wait > 0) {
        again = wait;
    } else if (wanted && !entry->giving) {
        entry->giving = true;
        r = give_all(self, &g);
        entry->giving = false;
        if (r < 0 && is_of_pod(r))
            again = ak__runs_backoff(self, entry);
        else if (r >= 0)
            entry->failures = 0;
        ak_cond_broadcast(&self->changed);
    }
    ak_mutex_unlock(&self->lock);
    *ret_again = again;
    if (r >= 0)
        return 0;
    if (is_of_pod(r)) {
        ak_debug(LOG, "the pod does not take a run yet", AK_STR("namespace", entry->ns),
                 AK_STR("name", entry->name), AK_ERR(err));
        return 0;
    }
    if (reterr)
        *reterr = AK_TAKE(err);
    return r;
}
