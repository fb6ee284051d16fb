/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that use a bastion; private to this folder. */
#ifndef AK_MANAGER_TOOLS_USES_H
#define AK_MANAGER_TOOLS_USES_H

#include "manager/tools/tools_internal.h"

/* Of ak_tools.agents. */
struct agent_calls {
    char uid[64];
    unsigned n;
};

struct ak_tools_use {
    struct ak_tools *tools;
    const struct ak_object *tool; /* as it was when the call was decided about */
    struct ak_tool_entry *entry;  /* held */
    struct agent_calls *agent;    /* NULL: not an agent's */
    struct ak_run_target *target; /* NULL: no bastion yet */
    char *caller;                 /* JSON */
    bool read_only;
    bool is_approved;
    char *pod_uid; /* of the target */
    ak_msec timeout;
};

/* Counts the call (429: too many). ak_tools_close() gives it back. */
AK_MUST_USE int ak__tools_use_new(struct ak_tools *self, const struct ak_tools_call *call,
                                  const struct ak_object *tool, struct ak_tools_use **ret,
                                  struct ak_error **reterr);
/* Waits until there is a bastion that has proved itself: use->target. Blocks, for call->hold. */
AK_MUST_USE int ak__tools_await_bastion(struct ak_tools *self, struct ak_tools_use *use,
                                        const struct ak_tools_call *call, struct ak_error **reterr);
/* {kind, name, namespace?, run?}; NULL: no memory. */
json_t *ak__tools_caller_json(const struct ak_tools_caller *caller);

#endif
