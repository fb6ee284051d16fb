/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a reconcile: what is found out before a plan is carried out, and what is written when. Observation,
 * writes and the book of runs are replaced by a script that keeps a record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/text.h>

#include "fixture.h"

#define READY_POD                                                                                  \
    "{'phase': 'Running', 'startTime': '2026-06-01T11:00:01Z', 'conditions': [{'type': 'Ready',"   \
    " 'status': 'True'}], 'containerStatuses': [{'name': 'agent', 'ready': true, 'state':"         \
    " {'running': {}}}, {'name': 'keeper', 'ready': true, 'state': {'running': {}}}]}"
#define HOURLY "'goal': {'inline': 'x'}, 'schedule': {'cron': '0 * * * *', 'timeZone': 'UTC'}"
#define ARMED                                                                                      \
    "'conditions': [{'type': 'Paused', 'status': 'False', 'reason': 'x', 'message': '',"           \
    " 'lastTransitionTime': '2026-06-01T10:00:00Z'}, {'type': 'Ready', 'status': 'True', 'reason'" \
    ": 'PodReady', 'message': '', 'lastTransitionTime': '2026-06-01T11:00:05Z'}]"

/* What happens, and what it comes to. */
static struct script {
    struct fixture *f;
    char trace[256];
    int fire_code;
    size_t fired_active; /* runs after a firing */
    int sessions, sessions_code;
    bool release, busy_after_refusal;
    int status_code;
    ak_msec hint;
} script;

static void note(const char *what)
{
    size_t len = strlen(script.trace);
    snprintf(script.trace + len, sizeof(script.trace) - len, "%s%s", len ? " " : "", what);
}

/* ---- in the place of the real ones ---- */

int __wrap_ak_agent_observe(struct ak_agents *self, const struct ak_request *req,
                            struct ak_arena *arena, struct ak_agent_observed *ret,
                            struct ak_error **reterr);
int __wrap_ak_agent_observe(struct ak_agents *self, const struct ak_request *req,
                            struct ak_arena *arena, struct ak_agent_observed *ret,
                            struct ak_error **reterr)
{
    (void)self, (void)req;
    *ret = script.f->o;
    if (ret->agent)
        (void)ak_object_ref(ret->agent);
    if (ret->pod)
        (void)ak_object_ref(ret->pod);
    if (ak_agent_spec_of(ret)->schedule)
        return ak_agent_schedule_observe(ret, arena, reterr);
    return 0;
}

int __wrap_ak_agent_observe_runs(struct ak_agents *self, struct ak_arena *arena,
                                 struct ak_agent_observed *o, struct ak_error **reterr);
int __wrap_ak_agent_observe_runs(struct ak_agents *self, struct ak_arena *arena,
                                 struct ak_agent_observed *o, struct ak_error **reterr)
{
    (void)self, (void)arena, (void)reterr;
    note("look");
    o->runs = script.f->o.runs;
    return 0;
}

int __wrap_ak_runs_fire(struct ak_runs *self, const struct ak_object *agent, ak_msec scheduled_time,
                        bool too_late, struct ak_error **reterr);
int __wrap_ak_runs_fire(struct ak_runs *self, const struct ak_object *agent, ak_msec scheduled_time,
                        bool too_late, struct ak_error **reterr)
{
    (void)self, (void)agent;
    note(too_late ? "fire-late" : "fire");
    if (script.fire_code < 0)
        return ak_error_set(reterr, script.fire_code, "as the script says");
    script.f->o.runs.last_schedule = scheduled_time;
    script.f->o.runs.active = script.f->o.runs.pending = script.fired_active;
    return 0;
}

int __wrap_ak_runs_sessions(struct ak_runs *self, const struct ak_object *agent,
                            const struct ak_object *pod, int *ret_sessions,
                            ak_msec *ret_last_activity, struct ak_error **reterr);
int __wrap_ak_runs_sessions(struct ak_runs *self, const struct ak_object *agent,
                            const struct ak_object *pod, int *ret_sessions,
                            ak_msec *ret_last_activity, struct ak_error **reterr)
{
    (void)self, (void)agent;
    assert_non_null(pod);
    note("ask");
    if (script.sessions_code < 0)
        return ak_error_set(reterr, script.sessions_code, "as the script says");
    *ret_sessions = script.sessions;
    *ret_last_activity = 0;
    return 0;
}

bool __wrap_ak_runs_release_pod(struct ak_runs *self, const struct ak_object *agent,
                                const struct ak_object *pod);
bool __wrap_ak_runs_release_pod(struct ak_runs *self, const struct ak_object *agent,
                                const struct ak_object *pod)
{
    (void)self, (void)agent;
    assert_non_null(pod);
    note(script.release ? "release" : "refused");
    if (!script.release && script.busy_after_refusal)
        script.f->o.runs.active = script.f->o.runs.running = 1;
    return script.release;
}

int __wrap_ak_runs_advance(struct ak_runs *self, const struct ak_object *agent,
                           const struct ak_object *pod, struct ak_result_hint *ret,
                           struct ak_error **reterr);
int __wrap_ak_runs_advance(struct ak_runs *self, const struct ak_object *agent,
                           const struct ak_object *pod, struct ak_result_hint *ret,
                           struct ak_error **reterr)
{
    (void)self, (void)agent, (void)reterr;
    note(pod ? "advance-pod" : "advance");
    ret->again_after = script.hint;
    return 0;
}

int __wrap_ak_agent_apply(struct ak_agents *self, const struct ak_agent_observed *o,
                          struct ak_arena *arena, struct ak_agent_plan *plan,
                          struct ak_error **reterr);
int __wrap_ak_agent_apply(struct ak_agents *self, const struct ak_agent_observed *o,
                          struct ak_arena *arena, struct ak_agent_plan *plan,
                          struct ak_error **reterr)
{
    static const char *const moves[] = {"apply", "create", "delete"};
    (void)self, (void)o, (void)arena, (void)reterr;
    note(moves[plan->move]);
    return 0;
}

int __wrap_ak_agent_status_write(struct ak_agents *self, const struct ak_agent_observed *o,
                                 struct ak_agent_plan *plan, struct ak_error **reterr);
int __wrap_ak_agent_status_write(struct ak_agents *self, const struct ak_agent_observed *o,
                                 struct ak_agent_plan *plan, struct ak_error **reterr)
{
    (void)self, (void)o;
    note(ak_agent_phase_to_string(plan->status.phase));
    return script.status_code < 0 ? ak_error_set(reterr, script.status_code, "as the script says")
                                  : 0;
}

/* ---- cases ---- */

static const struct order_case {
    const char *name, *spec, *status;
    const char *pod_hash; /* NULL: the right one; "": no pod */
    struct script script;
    int code;
    const char *trace;
    ak_msec again;
} cases[] = {
    {"nothing to do",
     "{'runtime': 'ClaudeCode', 'paused': false}",
     "{" ARMED "}",
     NULL,
     {.hint = -1},
     0,
     "apply Running advance-pod",
     -1},
    {"runs say when to look again",
     "{'runtime': 'ClaudeCode', 'paused': false}",
     "{" ARMED "}",
     NULL,
     {.hint = AK_SECONDS(3)},
     0,
     "apply Running advance-pod",
     AK_SECONDS(3)},
    {"a firing comes first",
     "{'runtime': 'ClaudeCode', 'paused': false, " HOURLY "}",
     "{'nextRunTime': '2026-06-01T12:00:00Z', 'resolved': {'schedule': {'cron': '0 * * * *',"
     " 'timeZone': 'UTC'}}, " ARMED "}",
     NULL,
     {.fired_active = 1, .hint = -1},
     0,
     "fire look apply Running advance-pod",
     AK_AGENT_CLOCK_CHECK},
    {"a firing that fails is tried again, and nothing else is written",
     "{'runtime': 'ClaudeCode', 'paused': false, " HOURLY "}",
     "{'nextRunTime': '2026-06-01T12:00:00Z', 'resolved': {'schedule': {'cron': '0 * * * *',"
     " 'timeZone': 'UTC'}}, " ARMED "}",
     NULL,
     {.fire_code = -EIO, .hint = -1},
     -EIO,
     "fire",
     0},
    {"a firing wakes",
     "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '1h', " HOURLY "}",
     "{'phase': 'Suspended', 'nextRunTime': '2026-06-01T12:00:00Z', 'resolved': {'schedule':"
     " {'cron': '0 * * * *', 'timeZone': 'UTC'}}, " ARMED "}",
     "",
     {.fired_active = 1, .hint = -1},
     0,
     "fire look create Starting advance",
     AK_AGENT_CLOCK_CHECK},
    {"asked, released, written, stopped",
     "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '30m'}",
     "{" ARMED "}",
     NULL,
     {.release = true, .hint = -1},
     0,
     "ask release Suspended delete Suspended advance",
     -1},
    {"what is not on record is not stopped",
     "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '30m'}",
     "{" ARMED "}",
     NULL,
     {.release = true, .status_code = -EIO, .hint = -1},
     -EIO,
     "ask release Suspended",
     0},
    {"somebody is there",
     "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '30m'}",
     "{" ARMED "}",
     NULL,
     {.sessions = 1, .release = true, .hint = -1},
     0,
     "ask apply Running advance-pod",
     AK_AGENT_ASK_AGAIN},
    {"nobody answers",
     "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '30m'}",
     "{" ARMED "}",
     NULL,
     {.sessions_code = -EIO, .release = true, .hint = -1},
     0,
     "ask apply Running advance-pod",
     AK_AGENT_ASK_AGAIN},
    {"a run came in between",
     "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '30m'}",
     "{" ARMED "}",
     NULL,
     {.busy_after_refusal = true, .hint = -1},
     0,
     "ask refused look apply Running advance-pod",
     -1},
    {"a run is on its way",
     "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '30m'}",
     "{" ARMED "}",
     NULL,
     {.hint = -1},
     0,
     "ask refused look apply Running advance-pod",
     AK_SECONDS(1)},
    {"another pod is wanted",
     "{'runtime': 'ClaudeCode', 'paused': false}",
     "{" ARMED "}",
     "old",
     {.release = true, .hint = -1},
     0,
     "release delete Starting advance",
     -1},
    {"another pod is wanted, and has to wait",
     "{'runtime': 'ClaudeCode', 'paused': false}",
     "{" ARMED "}",
     "old",
     {.busy_after_refusal = true, .hint = -1},
     0,
     "refused look apply Running advance-pod",
     AK_SECONDS(1)},
    {"a pause asks nobody",
     "{'runtime': 'ClaudeCode', 'paused': true}",
     "{" ARMED "}",
     "any",
     {.hint = -1},
     0,
     "delete Paused advance",
     -1},
};

static void test_things_are_found_out_and_written_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        const struct order_case *c = &cases[i];
        const struct ak_request req = {.ns = "team", .name = "one"};
        struct ak_result result = {.again_after = 0};
        struct ak_agents agents = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct fixture f;
        fixture_init(&f, c->spec, c->status);
        if (!c->pod_hash || *c->pod_hash)
            fixture_set_pod(&f, READY_POD, c->pod_hash);
        script = c->script;
        script.f = &f;
        int r = ak_agent_reconcile(&agents, &req, &result, &err);
        if (r != c->code || !ak_streq(script.trace, c->trace) || result.again_after != c->again)
            fail_msg("%s: %d, \"%s\", again %lld", c->name, r, script.trace,
                     (long long)result.again_after);
        fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_things_are_found_out_and_written_in_order),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
