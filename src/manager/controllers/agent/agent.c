/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/agent/agent.h"

#include "manager/controllers/agent/agent_internal.h"

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
    r = ak_agent_plan_make(&observed, &arena, &plan, reterr);
    if (r >= 0)
        r = ak_agent_apply(self, &observed, &arena, &plan, reterr);
    if (r >= 0 && !plan.status_can_wait)
        r = ak_agent_status_write(self, &observed, &plan, reterr);
    if (r < 0)
        return r;
    result->again_after = plan.again_after;
    return 0;
}
