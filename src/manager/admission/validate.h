/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a spec, beyond what its schema can say: pure functions from a decoded spec to a list of
 * findings. The webhook refuses an object for the errors among them and shows the rest as warnings; the
 * controllers use the same functions for their conditions, so without the webhook nothing is lost but the
 * early word.
 *
 *     struct ak_findings findings = {.arena = &arena};
 *     ak_validate_agent(&(struct ak_agent_candidate){.name = name, .spec = spec}, &findings);
 *     if (findings.oom) ...      else for each item: "path: message"
 *
 * A path is what kubectl users write: spec.upstreams[2].endpoint. A message says what to change.
 */
#ifndef AK_MANAGER_ADMISSION_VALIDATE_H
#define AK_MANAGER_ADMISSION_VALIDATE_H

#include <ak/api/agent.h>
#include <ak/api/claw.h>
#include <ak/api/llmgateway.h>
#include <ak/api/mcp.h>
#include <ak/api/tool.h>
#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>

#include "manager/schedule/times.h"

#define AK_FINDINGS_MAX_ERRORS 32   /* more are counted */
#define AK_FINDINGS_MAX_WARNINGS 16 /* more are left out */

struct ak_finding {
    const char *path;
    const char *message;
    bool warning; /* the object is accepted */
};
struct ak_findings {
    struct ak_arena *arena;
    struct ak_finding items[AK_FINDINGS_MAX_ERRORS + AK_FINDINGS_MAX_WARNINGS];
    size_t len;
    size_t n_errors, n_warnings; /* among them */
    size_t more;                 /* errors that are not */
    bool oom;                    /* the list is not complete: memory ran out */
};

/* `old_spec`: what an update replaces; NULL: nothing. */
struct ak_agent_candidate {
    const char *name;
    const struct ak_agent_spec *spec, *old_spec;
    const char *schedule_problem; /* of ak_agent_schedule_times(); NULL: none */
};
void ak_validate_agent(const struct ak_agent_candidate *c, struct ak_findings *findings);
void ak_validate_tool(const struct ak_tool_spec *spec, struct ak_findings *findings);
void ak_validate_mcp(const char *name, const struct ak_mcp_spec *spec,
                     struct ak_findings *findings);
void ak_validate_llm_gateway(const struct ak_llm_gateway_spec *spec, struct ak_findings *findings);
void ak_validate_claw(const struct ak_claw_spec *spec, struct ak_findings *findings);

/*
 * When a schedule is due and next fires; cron and time_zone of `when` are filled in here. A schedule that cannot
 * be read is a finding, not a failure: *ret_problem is then "spec.schedule.cron: ...", in the arena, and both
 * times 0; else it is NULL. Fails with -ENOMEM only.
 */
AK_MUST_USE int ak_agent_schedule_times(const struct ak_agent_schedule *schedule,
                                        struct ak_schedule_query when, struct ak_arena *arena,
                                        struct ak_schedule_times *ret, const char **ret_problem,
                                        struct ak_error **reterr);

/* ---- for the functions above ---- */

/* Adds a finding; `path` is a constant or from ak_path(). */
void ak_refuse(struct ak_findings *self, const char *path, const char *fmt, ...) AK_PRINTF(3, 4);
void ak_warn_of(struct ak_findings *self, const char *path, const char *fmt, ...) AK_PRINTF(3, 4);
const char *ak_path(struct ak_findings *self, const char *fmt, ...) AK_PRINTF(2, 3);
/* Checks that several kinds share. NULL and "" are fine everywhere. */
void ak_check_image(struct ak_findings *self, const char *path, const char *image);
void ak_check_duration(struct ak_findings *self, const char *path, const char *text);
void ak_check_quantity(struct ak_findings *self, const char *path, const char *text);
void ak_check_resources(struct ak_findings *self, const char *path, const char *json);
/* A credential that goes over http:// is readable on the way. */
void ak_check_clear_text(struct ak_findings *self, const char *path, const char *url,
                         bool has_credential);
/* "agentkube.io/x" and "sub.agentkube.io/x" are keys of the domain "agentkube.io". */
bool ak_is_key_of(const char *key, const char *domain);

#endif
