/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/tool/tool.h"

#include "manager/controllers/tool/tool_internal.h"

/* A plan may ask once, for what the users in the system were made for. */
static int decide(struct ak_tool_controller *self, struct ak_arena *arena,
                  struct ak_tool_observed *o, struct ak_tool_plan *plan, struct ak_error **reterr)
{
    int r = ak_tool_plan_make(o, arena, plan, reterr);
    if (r < 0 || !plan->ask)
        return r;
    r = ak_tool_observe_earlier(self, arena, o, reterr);
    ak_tool_plan_done(plan);
    return r < 0 ? r : ak_tool_plan_make(o, arena, plan, reterr);
}

int ak_tool_reconcile(void *user, const struct ak_request *req, struct ak_result *result,
                      struct ak_error **reterr)
{
    struct ak_tool_controller *self = user;
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_tool_observed) observed = {0};
    AK_AUTO(ak_tool_plan) plan = {0};
    ak_arena_init(&arena, 8192, AK_TOOL_ARENA_MAX);
    int r = ak_tool_observe(self, req, &arena, &observed, reterr);
    if (r != 0)
        return r < 0 ? r : 0;
    r = decide(self, &arena, &observed, &plan, reterr);
    if (r >= 0)
        r = ak_tool_apply(self, &observed, &arena, &plan, reterr);
    if (r >= 0)
        ak_tool_memory_put(self->memory, req->ns, req->name, &plan.recall);
    if (r >= 0)
        r = ak_tool_status_write(self, &observed, &plan, reterr);
    if (r >= 0)
        r = ak_tool_apply_end(self, &observed, &plan, reterr);
    result->again_after = plan.again_after;
    return r < 0 ? r : 0;
}
