/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approvals lie in the Tool's status and nowhere else, so that they outlive the manager. Each step reads the Tool,
 * changes the list and writes it back on the condition that nobody was faster.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/invoke/answer.h"
#include "manager/kinds.h"
#include "manager/tools/approval_list.h"
#include "manager/tools/tools_internal.h"
#include "manager/tools/uses.h"

#define DEFAULT_TIMEOUT AK_MINUTES(10)
#define LOOK_AGAIN AK_SECONDS(10) /* while it is waited for an answer */

struct step {
    struct ak_tools *tools;
    const struct ak_approval_ask *ask; /* NULL for a decision */
    char hash[65];
    ak_msec timeout; /* spec.approval.timeout */
    const char *id, *by, *reason;
    bool approve;
    json_t *item; /* a copy of what it is about, as it is afterwards */
    bool is_new;
};

static ak_msec timeout_of(const struct ak_object *tool)
{
    const struct ak_tool_spec *spec = ((const struct ak_tool *)ak_object_body(tool))->spec;
    ak_msec timeout = 0;

    if (!spec->approval || !spec->approval->timeout ||
        ak_parse_duration(spec->approval->timeout, &timeout) < 0 || timeout <= 0)
        return DEFAULT_TIMEOUT;
    return timeout;
}

/* One step of a list that was looked through for what is over. */
static int run_step(struct ak_tools *self, const char *ns, const char *name, ak_tools_edit_fn step,
                    struct step *user, struct ak_error **reterr)
{
    return ak__tools_edit(self, ns, name, "approvals", step, user, reterr);
}

static int expire(const struct step *s, json_t *list, struct ak_error **reterr)
{
    int r = ak_approvals_expire(list, ak_clock_wall(s->tools->clock));

    return r < 0 ? ak_error_oom(reterr) : r;
}

static int keep_item(struct step *s, const json_t *item, struct ak_error **reterr)
{
    json_decref(s->item);
    s->item = ak_json_copy(item);
    return s->item ? 0 : ak_error_oom(reterr);
}

/* ---- asking */

static int make_id(char ret[static AK_APPROVAL_ID_SIZE])
{
    unsigned char raw[5];

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return -EIO;
    (void)snprintf(ret, AK_APPROVAL_ID_SIZE, "ap-%02x%02x%02x%02x%02x", raw[0], raw[1], raw[2],
                   raw[3], raw[4]);
    return 0;
}

static json_t *make_item(const struct step *s, const char *preview)
{
    const struct ak_tools_call *call = s->ask->call;
    ak_msec now = ak_clock_wall(s->tools->clock);
    char id[AK_APPROVAL_ID_SIZE], asked[AK_RFC3339_SIZE], until[AK_RFC3339_SIZE];

    if (make_id(id) < 0)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s}", "id", id, "hash",
                     s->hash, "requestedBy", call->caller.name, "caller",
                     call->caller.ns ? "Agent" : "Person", "operation", call->operation, "class",
                     s->ask->class, "readOnly", s->ask->read_only, "preview", preview,
                     "requestedTime", ak_format_rfc3339(now, asked), "expiresTime",
                     ak_format_rfc3339(now + s->timeout + 999, until), "phase", "Pending");
}

/* What decides about it already, or a new one. */
static int step_ask(json_t *list, const json_t *tool, void *user, struct ak_error **reterr)
{
    struct step *s = user;
    ak_msec now = ak_clock_wall(s->tools->clock);
    json_t *item = ak_approvals_find(list, s->hash, now);
    AK_AUTO(ak_buf) preview = AK_BUF_INIT(2 * AK_TOOLS_MAX_PREVIEW);
    int expired = expire(s, list, reterr);

    (void)tool;
    if (expired < 0)
        return expired;
    s->is_new = !item;
    if (item) {
        int kept = keep_item(s, item, reterr);
        return kept < 0 ? kept : expired;
    }
    int r = s->ask->call->arguments ? ak_approval_preview(s->ask->call->arguments, &preview, reterr)
                                    : 0;
    if (r < 0)
        return r;
    item = make_item(s, ak_buf_text(&preview));
    if (!item || keep_item(s, item, reterr) < 0) {
        json_decref(item);
        return ak_error_oom(reterr);
    }
    r = ak_approvals_add(list, item, now);
    if (r == -ENOBUFS)
        return ak_invoke_error_later(reterr, 429, AK_SECONDS(30),
                                     "%d operations wait for a person already, which is all they "
                                     "may",
                                     AK_TOOLS_MAX_APPROVALS);
    return r < 0 ? ak_error_oom(reterr) : 1;
}

static int not_yet(const struct step *s, struct ak_error **reterr)
{
    int r = ak_invoke_error(reterr, 428,
                            "a person has to agree to this: it waits for approval \"%s\" until "
                            "%s; once it is approved, make the same call again with the same "
                            "arguments",
                            ak_json_text(s->item, "id", NULL),
                            ak_json_text(s->item, "expiresTime", NULL));

    if (reterr)
        ak_error_set_http(*reterr, 428, "ApprovalRequired", AK_SECONDS(5));
    return r;
}

/* 1: it goes on waiting. */
static int judge(const struct step *s, struct ak_error **reterr)
{
    const char *phase = ak_json_text(s->item, "phase", NULL);
    const char *reason = ak_json_text(s->item, "reason", NULL);

    if (ak_streq(phase, "Approved"))
        return 0;
    if (ak_streq(phase, "Denied"))
        return ak_invoke_error(reterr, 403, "denied by %s (approval \"%s\")%s%s",
                               ak_json_text(s->item, "decidedBy", NULL),
                               ak_json_text(s->item, "id", NULL), reason ? ": " : "",
                               reason ? reason : "");
    return 1;
}

/* An approval was asked for or answered: one line, so that the audit log tells who agreed to what. */
static void note(struct ak_tools *self, const char *ns, const char *name, const json_t *item,
                 const char *event)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    char now[AK_RFC3339_SIZE];
    AK_AUTO_JSON *record =
        json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:O}", "time",
                  ak_format_rfc3339_micro(ak_clock_wall(self->clock), now), "kind", "Approval",
                  "tool", "namespace", ns, "name", name, "event", event, "approval", item);
    int r = record ? ak_audit_add(&self->audit, record, &err) : ak_error_oom(&err);

    if (r < 0)
        ak_err("tools", "a line of the audit log could not be written", AK_STR("namespace", ns),
               AK_STR("name", name), AK_ERR(err));
}

static void wait_for_answer(struct ak_tools *self, struct ak_tool_entry *e, uint64_t seen,
                            ak_msec until, const struct ak_cancel *cancel)
{
    ak_msec look = AK_MIN(until, ak_now() + LOOK_AGAIN);

    ak_mutex_lock(&self->lock);
    while (e->answers == seen && ak_now() < look && !self->stopping &&
           !(cancel && ak_cancel_is_set(cancel)))
        ak_cond_wait_until(&self->changed, &self->lock, AK_MIN(look, ak_now() + AK_TOOLS_SLICE));
    ak_mutex_unlock(&self->lock);
}

static bool may_hold(struct ak_tools *self, struct ak_tool_entry **ret,
                     const struct ak_tools_call *call)
{
    ak_mutex_lock(&self->lock);
    bool ok = self->held < AK_TOOLS_MAX_HELD && !self->stopping;
    *ret = ok ? ak__tools_hold(self, call->ns, call->tool) : NULL;
    self->held += *ret != NULL;
    ak_mutex_unlock(&self->lock);
    return *ret != NULL;
}

static void hold_no_more(struct ak_tools *self, struct ak_tool_entry *e)
{
    ak_mutex_lock(&self->lock);
    self->held--;
    ak__tools_release(self, e);
    ak_mutex_unlock(&self->lock);
}

static uint64_t answers_of(struct ak_tools *self, struct ak_tool_entry *e)
{
    ak_mutex_lock(&self->lock);
    uint64_t n = e->answers;
    ak_mutex_unlock(&self->lock);
    return n;
}

static int hold(struct ak_tools *self, struct step *s, struct ak_tool_entry *e,
                struct ak_error **reterr)
{
    const struct ak_tools_call *call = s->ask->call;
    ak_msec until = ak_now() + AK_MIN(AK_TOOLS_HOLD_APPROVAL, call->hold);
    int r = 1;

    while (r > 0) {
        uint64_t seen = answers_of(self, e);
        r = run_step(self, call->ns, call->tool, step_ask, s, reterr);
        if (r >= 0)
            r = judge(s, reterr);
        if (r > 0 && call->cancel && ak_cancel_is_set(call->cancel))
            r = ak_error_set(reterr, AK_E_CANCELLED, "who asked has gone");
        if (r > 0 && (ak_now() >= until || ak_cancel_is_set(&self->stop)))
            r = not_yet(s, reterr);
        if (r > 0)
            wait_for_answer(self, e, seen, until, call->cancel);
    }
    return r;
}

int ak__tools_await_approval(struct ak_tools *self, const struct ak_approval_ask *ask,
                             struct ak_error **reterr)
{
    const struct ak_tools_call *call = ask->call;
    struct step s = {.tools = self, .ask = ask, .timeout = timeout_of(ask->tool)};
    struct ak_tool_entry *e = NULL;
    int r = ak_approval_hash(ak_object_meta(ask->tool)->uid, call, ask->read_only, s.hash, reterr);

    if (r >= 0)
        r = run_step(self, call->ns, call->tool, step_ask, &s, reterr);
    if (r >= 0 && s.is_new)
        note(self, call->ns, call->tool, s.item, "Requested");
    if (r >= 0)
        r = judge(&s, reterr);
    if (r > 0 && may_hold(self, &e, call)) {
        r = hold(self, &s, e, reterr);
        hold_no_more(self, e);
    } else if (r > 0) {
        r = not_yet(&s, reterr);
    }
    json_decref(s.item);
    return r;
}

static int step_use(json_t *list, const json_t *tool, void *user, struct ak_error **reterr)
{
    struct step *s = user;
    json_t *item = ak_approvals_find(list, s->hash, ak_clock_wall(s->tools->clock));

    (void)tool;
    if (!ak_streq(ak_json_text(item, "phase", NULL), "Approved"))
        return ak_invoke_error(reterr, 428,
                               "the approval was used by another call, or has expired meanwhile");
    if (json_object_set_new(item, "phase", json_string("Used")) < 0)
        return ak_error_oom(reterr);
    return keep_item(s, item, reterr) < 0 ? -ENOMEM : 1;
}

int ak__tools_use_approval(struct ak_tools *self, const struct ak_approval_ask *ask,
                           struct ak_error **reterr)
{
    struct step s = {.tools = self, .ask = ask};
    int r =
        ak_approval_hash(ak_object_meta(ask->tool)->uid, ask->call, ask->read_only, s.hash, reterr);

    if (r >= 0)
        r = run_step(self, ask->call->ns, ask->call->tool, step_use, &s, reterr);
    if (r >= 0)
        note(self, ask->call->ns, ask->call->tool, s.item, "Used");
    json_decref(s.item);
    return AK_MIN(r, 0);
}

/* ---- answering */

static int step_decide(json_t *list, const json_t *tool, void *user, struct ak_error **reterr)
{
    struct step *s = user;
    json_t *item = ak_approvals_by_id(list, s->id);

    (void)tool;
    if (!item)
        return ak_invoke_error(reterr, 404, "there is no approval \"%s\"", s->id);
    int r = ak_approval_decide(item, s->approve, s->by, s->reason, ak_clock_wall(s->tools->clock),
                               s->timeout, reterr);
    if (r >= 0)
        r = keep_item(s, item, reterr);
    return r < 0 ? r : 1;
}

int ak_tools_decide(struct ak_tools *self, const char *ns, const char *name, const char *id,
                    bool approve, const char *by, const char *reason, json_t **ret,
                    struct ak_error **reterr)
{
    AK_AUTO_OBJECT tool = NULL;
    struct step s = {.tools = self, .id = id, .by = by, .reason = reason, .approve = approve};
    int r = ak__tools_find(self, ns, name, &tool, reterr);

    if (r < 0)
        return r;
    if (reason && strlen(reason) > AK_APPROVAL_MAX_REASON)
        return ak_invoke_error(reterr, 400, "reason: longer than %d bytes", AK_APPROVAL_MAX_REASON);
    s.timeout = timeout_of(tool);
    r = run_step(self, ns, name, step_decide, &s, reterr);
    if (r < 0) {
        json_decref(s.item);
        return r;
    }
    note(self, ns, name, s.item, approve ? "Approved" : "Denied");
    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = ak__tools_hold(self, ns, name);
    if (e) {
        e->answers++;
        ak__tools_release(self, e);
    }
    ak_mutex_unlock(&self->lock);
    *ret = s.item;
    return 0;
}

int ak_tools_approvals(struct ak_tools *self, const char *ns, const char *name, json_t **ret,
                       struct ak_error **reterr)
{
    AK_AUTO_JSON *list = NULL;
    int r = ak__tools_read_list(self, ns, name, "approvals", &list, reterr);

    if (r < 0)
        return r;
    if (ak_approvals_expire(list, ak_clock_wall(self->clock)) < 0)
        return ak_error_oom(reterr);
    *ret = json_pack("{s:O}", "items", list);
    return *ret ? 0 : ak_error_oom(reterr);
}
