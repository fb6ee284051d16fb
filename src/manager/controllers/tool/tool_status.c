/* SPDX-License-Identifier: Apache-2.0 */
/* The status as the apiserver gets it, and the Events that go with what is new in it. */
#include <ak/base/text.h>
#include <ak/flow/apply.h>
#include <ak/kube/events.h>
#include <ak/manage/manager.h>

#include "manager/controllers/tool/tool_internal.h"

/* Reasons of a condition that is not True which need nobody's help; quiet ones make no Event. */
static const struct benign {
    const char *reason;
    bool quiet;
} benign[] = {
    {"Probing", true},   {"Provisioning", true},      {"Terminating", true},
    {"NotProbed", true}, {"CredentialRights", false}, {"ProtocolNeedsIt", false},
};

static const struct benign *find_benign(const char *reason)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(benign); i++)
        if (ak_streq(benign[i].reason, reason))
            return &benign[i];
    return NULL;
}

bool ak_tool_condition_is_warning(const struct ak_condition *condition)
{
    return !ak_streq(condition->status, "True") && !find_benign(condition->reason);
}

bool ak_tool_condition_is_news(const struct ak_tool_status *before, const struct ak_condition *now)
{
    const struct ak_condition *was =
        before ? ak_condition_find(before->conditions.items, before->conditions.len, now->type)
               : NULL;
    if (was && ak_streq(was->status, now->status) && ak_streq(was->reason, now->reason))
        return false;
    const struct benign *kind = find_benign(now->reason);
    return !kind || !kind->quiet;
}

int ak_tool_status_json(const struct ak_tool_plan *plan, json_t **ret, struct ak_error **reterr)
{
    /* Of manager/tools, which writes them under another name. */
    static const char *const not_ours[] = {"approvals", "recordings"};
    AK_AUTO_JSON *status = NULL;
    int r = ak_encode(&ak_tool_status_type, &plan->status, &status, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < AK_ARRAY_LEN(not_ours); i++)
        (void)json_object_del(status, not_ours[i]); /* fails when it is not there */
    *ret = AK_TAKE(status);
    return 0;
}

static void emit_news(struct ak_tool_controller *self, const struct ak_tool_observed *o,
                      const struct ak_tool_plan *plan)
{
    static const char *const types[] = {"Ready", "PermissionsEnforced", "CredentialInClient"};
    struct ak_events *events = ak_manager_events(self->manager);
    const char *told = NULL;
    for (size_t i = 0; i < AK_ARRAY_LEN(types); i++) {
        const struct ak_condition *c =
            ak_condition_find(plan->conditions, plan->n_conditions, types[i]);
        if (!c || !ak_tool_condition_is_news(ak_tool_status_of(o), c) || ak_streq(told, c->reason))
            continue;
        told = c->reason;
        ak_events_emit(events, o->tool, ak_tool_condition_is_warning(c), c->reason, "%s",
                       c->message);
    }
    for (size_t i = 0; i < plan->n_news; i++)
        ak_events_emit(events, o->tool, plan->news[i].warning, plan->news[i].reason, "%s",
                       plan->news[i].text);
}

int ak_tool_status_write(struct ak_tool_controller *self, const struct ak_tool_observed *o,
                         struct ak_tool_plan *plan, struct ak_error **reterr)
{
    AK_AUTO_JSON *status = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    int n = ak_tool_status_json(plan, &status, reterr);
    if (n < 0)
        return n;
    n = ak_apply_status(ak_manager_apply(self->manager), o->tool, status, &err);
    if (n > 0)
        emit_news(self, o, plan);
    if (n == AK_E_NOT_FOUND) /* deleted meanwhile */
        return 0;
    if (n < 0 && reterr)
        *reterr = AK_TAKE(err);
    return n < 0 ? n : 0;
}
