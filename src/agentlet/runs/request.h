/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked for when a run is asked for: the body of PUT /v1/runs/ID, checked, as text that
 * lives in an arena. The same bytes are kept on the workspace and read again before the run starts,
 * so they are checked again then. Pure.
 */
#ifndef AK_AGENTLET_RUNS_REQUEST_H
#define AK_AGENTLET_RUNS_REQUEST_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stddef.h>

#define AK_REQUEST_MAX (512u << 10)        /* bytes of the body */
#define AK_REQUEST_MAX_PROMPT (256u << 10) /* bytes */
#define AK_REQUEST_MAX_STEPS 64
#define AK_REQUEST_MAX_TIMEOUT AK_SECONDS(604800)
#define AK_REQUEST_TIMEOUT AK_SECONDS(3600) /* without "timeoutSeconds" */

enum ak_step_kind { AK_STEP_PROMPT, AK_STEP_RUN, AK_STEP_TOOL };

struct ak_step {
    const char *name;
    enum ak_step_kind kind;
    const char *text;      /* the prompt, the command, or the name of the tool */
    const char *arguments; /* of a tool: a JSON object as text */
    ak_msec timeout;       /* AK_MSEC_NEVER: none but the run's */
    unsigned retries;
    bool continue_on_error;
};

struct ak_request {
    const char *prompt; /* NULL: none */
    const struct ak_step *steps;
    size_t n_steps;
    ak_msec timeout;
    bool is_scheduled;
    const char *requested_by;   /* NULL: unknown */
    const char *scheduled_time; /* RFC 3339; NULL: none */
};

/* -EINVAL with the path of the member; AK_E_TOO_LARGE; -ENOMEM. Unknown members are refused. */
AK_MUST_USE int ak_request_parse(const char *body, size_t len, struct ak_arena *arena,
                                 struct ak_request *ret, struct ak_error **reterr);

#endif
