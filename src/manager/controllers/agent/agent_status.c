/* SPDX-License-Identifier: Apache-2.0 */
/* The status as the apiserver gets it, and the Events that go with what is new in it. */
#include <ak/base/text.h>
#include <ak/flow/apply.h>
#include <ak/kube/events.h>
#include <ak/manage/manager.h>

#include "manager/controllers/agent/agent_internal.h"

/* Reasons of Ready=False that need nobody's help. Those that only follow a pod's life make no Event: the
 * pod has its own, and PodCreated and PodDeleted are ours. */
static const struct benign {
    const char *reason;
    bool quiet;
} benign[] = {
    {"Paused", false},         {"BackOff", false},       {"PodStarting", true},
    {"PodPending", true},      {"PodStopping", true},    {"PodReplacing", true},
    {"Terminating", true},     {"ClaimStopping", false}, {"Suspended", false},
    {"ManagerStarting", true},
};

static const struct benign *find_benign(const char *reason)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(benign); i++)
        if (ak_streq(benign[i].reason, reason))
            return &benign[i];
    return NULL;
}

bool ak_agent_condition_is_warning(const struct ak_condition *condition)
{
    if (ak_streq(condition->type, "TokenExposed"))
        return ak_streq(condition->status, "True");
    return ak_streq(condition->status, "False") && !ak_streq(condition->type, "Paused") &&
           !find_benign(condition->reason);
}

bool ak_agent_condition_is_news(const struct ak_agent_status *before,
                                const struct ak_condition *now)
{
    const struct ak_condition *was =
        before ? ak_condition_find(before->conditions.items, before->conditions.len, now->type)
               : NULL;
    if (was && ak_streq(was->status, now->status) && ak_streq(was->reason, now->reason))
        return false;
    if (ak_streq(now->type, "Resolved") && ak_streq(now->status, "True"))
        return was != NULL; /* that all is well from the start is no news */
    const struct benign *kind = find_benign(now->reason);
    return !kind || !kind->quiet;
}

int ak_agent_status_json(const struct ak_agent_plan *plan, json_t **ret, struct ak_error **reterr)
{
    /* Of the book of runs, which writes them under another name. */
    static const char *const not_ours[] = {"runs", "lastRunTime", "lastRunPhase",
                                           "lastScheduleTime", "activeRuns"};
    AK_AUTO_JSON *status = NULL;
    int r = ak_encode(&ak_agent_status_type, &plan->status, &status, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < AK_ARRAY_LEN(not_ours); i++)
        (void)json_object_del(status, not_ours[i]); /* fails when it is not there */
    *ret = AK_TAKE(status);
    return 0;
}

/* Ready, Resolved and TokenExposed tell; Paused is told by Ready. What one said the other need not repeat. */
static void emit_news(struct ak_agents *self, const struct ak_agent_observed *o,
                      const struct ak_agent_plan *plan)
{
    const struct ak_agent_status *old = ak_agent_status_of(o);
    const char *told = NULL;
    static const char *const types[] = {"Resolved", "Ready", "TokenExposed"};
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++) {
        const struct ak_condition *c =
            ak_condition_find(plan->conditions, plan->n_conditions, types[i]);
        if (!c || !ak_agent_condition_is_news(old, c) || ak_streq(told, c->reason))
            continue;
        told = c->reason;
        ak_events_emit(ak_manager_events(self->manager), o->agent, ak_agent_condition_is_warning(c),
                       c->reason, "%s", c->message);
    }
}

int ak_agent_status_write(struct ak_agents *self, const struct ak_agent_observed *o,
                          struct ak_agent_plan *plan, struct ak_error **reterr)
{
    AK_AUTO_JSON *status = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    int n = ak_agent_status_json(plan, &status, reterr);
    if (n < 0)
        return n;
    n = ak_apply_status(ak_manager_apply(self->manager), o->agent, status, &err);
    if (n > 0)
        emit_news(self, o, plan);
    if (n == AK_E_NOT_FOUND) /* deleted meanwhile */
        return 0;
    if (n < 0 && reterr)
        *reterr = AK_TAKE(err);
    return n < 0 ? n : 0;
}
