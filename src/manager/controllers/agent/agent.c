/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/agent/agent.h"

#include <ak/base/log.h>

#include "manager/controllers/agent/agent_internal.h"

/* A plan may ask for up to three things before it is carried out, each at most once: a firing, who is in the
 * container, and that nothing more is given to the pod. */
#define ROUNDS 4

/* Fires, and looks again: what follows from it (a suspended Agent wakes) is decided afresh. */
static int fire(struct ak_agents *self, struct ak_arena *arena, struct ak_agent_observed *o,
                const struct ak_agent_plan *plan, struct ak_error **reterr)
{
    int r = ak_runs_fire(self->runs, o->agent, plan->fire, plan->fire_late, reterr);
    if (r >= 0)
        r = ak_agent_observe_runs(self, arena, o, reterr);
    if (r >= 0)
        r = ak_agent_schedule_observe(o, arena, reterr);
    return r;
}

/* Nobody answers: then it is not known to be idle, and is left alone for now. */
static void ask(struct ak_agents *self, struct ak_agent_observed *o)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    o->asked = true;
    if (ak_runs_sessions(self->runs, o->agent, o->pod, &o->sessions, &o->session_activity, &err) >=
        0)
        return;
    o->sessions = -1;
    o->session_activity = 0;
    ak_debug("agent", "cannot ask who is in the pod",
             AK_STR("name", ak_object_meta(o->agent)->name), AK_ERR(err));
}

/* Plans until nothing is left to be found out. */
static int decide(struct ak_agents *self, struct ak_arena *arena, struct ak_agent_observed *o,
                  struct ak_agent_plan *plan, struct ak_error **reterr)
{
    int r = ak_agent_plan_make(o, arena, plan, reterr);
    for (int round = 1; r >= 0 && round < ROUNDS; round++) {
        if (plan->fire) {
            r = fire(self, arena, o, plan, reterr);
        } else if (plan->ask) {
            ask(self, o);
        } else if (plan->gently && !ak_runs_release_pod(self->runs, o->agent, o->pod)) {
            o->held = true;
            r = ak_agent_observe_runs(self, arena, o, reterr);
        } else {
            return 0;
        }
        ak_agent_plan_done(plan);
        if (r >= 0)
            r = ak_agent_plan_make(o, arena, plan, reterr);
    }
    return r;
}

/* Runs are looked after at the end, whatever the rest came to. */
static int advance(struct ak_agents *self, const struct ak_agent_observed *o,
                   const struct ak_agent_plan *plan, struct ak_result *result,
                   struct ak_error **reterr)
{
    struct ak_result_hint hint = {.again_after = -1};
    int r = ak_runs_advance(self->runs, o->agent, plan->pod_at_work, &hint, reterr);
    result->again_after = plan->again_after;
    if (hint.again_after >= 0 &&
        (result->again_after < 0 || hint.again_after < result->again_after))
        result->again_after = hint.again_after;
    return r < 0 ? r : 0;
}

int ak_agent_reconcile(void *user, const struct ak_request *req, struct ak_result *result,
                       struct ak_error **reterr)
{
    struct ak_agents *self = user;
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_agent_observed) observed = {0};
    AK_AUTO(ak_agent_plan) plan = {0};
    ak_arena_init(&arena, 8192, AK_AGENT_ARENA_MAX);
    int r = ak_agent_observe(self, req, &arena, &observed, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    r = decide(self, &arena, &observed, &plan, reterr);
    if (r >= 0 && plan.status_first)
        r = ak_agent_status_write(self, &observed, &plan, reterr);
    if (r >= 0)
        r = ak_agent_apply(self, &observed, &arena, &plan, reterr);
    if (r >= 0 && !plan.status_can_wait)
        r = ak_agent_status_write(self, &observed, &plan, reterr);
    return r < 0 ? r : advance(self, &observed, &plan, result, reterr);
}
