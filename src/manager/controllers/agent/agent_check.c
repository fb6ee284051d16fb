/* SPDX-License-Identifier: Apache-2.0 */
/* Rules between fields, which a schema without CEL cannot express: the webhook's own. */
#include <stdarg.h>
#include <stdio.h>

#include "manager/admission/validate.h"
#include "manager/controllers/agent/agent_internal.h"

void ak_agent_add_problem(struct ak_agent_view *view, struct ak_arena *arena,
                          enum ak_problem_kind kind, const char *reason, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    if (view->n_problems == AK_AGENT_PROBLEMS_MAX) {
        view->n_more++;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const char *message = ak_agent_cut(arena, text, AK_AGENT_MESSAGE_MAX);
    view->oom = view->oom || !message;
    view->problems[view->n_problems++] = (struct ak_problem){kind, reason, message};
}

/* What the webhook refuses, said here for objects that came past it. Its warnings are for who writes the
 * object, and not repeated. */
void ak_agent_check_spec(const struct ak_agent_observed *o, struct ak_arena *arena,
                         struct ak_agent_view *view)
{
    struct ak_findings found = {.arena = arena};
    const struct ak_agent_candidate candidate = {
        .name = ak_object_meta(o->agent)->name,
        .spec = ak_agent_spec_of(o),
        .schedule_problem = o->schedule_error,
    };

    ak_validate_agent(&candidate, &found);
    view->oom = view->oom || found.oom;
    for (size_t i = 0; i < found.len; i++)
        if (!found.items[i].warning)
            ak_agent_add_problem(view, arena, AK_PROBLEM_INVALID, "InvalidSpec", "%s: %s",
                                 found.items[i].path, found.items[i].message);
    view->n_more += found.more;
}
