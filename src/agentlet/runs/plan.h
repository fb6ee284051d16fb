/* SPDX-License-Identifier: Apache-2.0 */
/* How one step becomes a process: arguments, environment, input, and files that must be there first. */
#ifndef AK_AGENTLET_RUNS_PLAN_H
#define AK_AGENTLET_RUNS_PLAN_H

#include "agentlet/runs/request.h"
#include "agentlet/settings.h"
#include "runtimes/launch.h"

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>

#define AK_PLAN_MAX_GOAL (256u << 10) /* bytes of the goal's file */

/* Everything is borrowed from the arena. */
struct ak_plan {
    const char *const *argv;
    const char *const *envp;
    const char *input;                  /* NULL: none */
    const struct ak_launch_file *files; /* NULL: none */
    enum ak_output_format format;
};

/*
 * A step of mode supervised has no text: its prompt is the goal, a blank line, and the request's prompt.
 * -EINVAL when there is nothing to say or the runtime is unknown; AK_E_TOO_LARGE.
 */
AK_MUST_USE int ak_plan_make(const struct ak_settings *settings, const char *run_id,
                             const struct ak_request *request, const struct ak_step *step,
                             struct ak_arena *arena, struct ak_plan *ret, struct ak_error **reterr);
/* Writes what has to be there into the home, over whatever the agent has left at these places. */
AK_MUST_USE int ak_plan_write_files(const struct ak_plan *self, const struct ak_settings *settings,
                                    struct ak_error **reterr);
/* Is there a goal? Then a run of mode supervised needs no prompt. */
bool ak_plan_has_goal(const struct ak_settings *settings);
/* The variables of `base` (ended by NULL) with changes: `set` replaces, `defaults` only adds. NULL on no memory. */
const char *const *ak_plan_environment(const char *const *base, const struct ak_pair *set,
                                       const struct ak_pair *defaults, struct ak_arena *arena);

#endif
