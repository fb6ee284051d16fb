/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about Agents that have to do with their runs: the schedule, suspension, and pods with work in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/text.h>

#include "fixture.h"

#define CLAUDE "{'runtime': 'ClaudeCode', 'paused': false}"
#define POD(agent_ready, agent_state, keeper_state, ready)                                         \
    "{'phase': 'Running', 'startTime': '2026-06-01T11:00:01Z',"                                    \
    " 'conditions': [{'type': 'Ready', 'status': '" ready "'}], 'containerStatuses': ["            \
    "{'name': 'agent', 'ready': " agent_ready ", 'state': " agent_state "},"                       \
    "{'name': 'keeper', 'ready': true, 'restartCount': 3, 'state': " keeper_state "}]}"
#define RUNS "{'running': {'startedAt': '2026-06-01T11:00:02Z'}}"
#define WAITS(reason) "{'waiting': {'reason': '" reason "'}}"
#define READY_POD POD("true", RUNS, RUNS, "True")
#define WAS(status, phase, generation)                                                             \
    "{'observedGeneration': 3, 'phase': '" phase "', 'conditions': [{'type': 'Ready', 'status': '" \
    "" status "', 'reason': 'PodReady', 'message': '', 'lastTransitionTime':"                      \
    " '2026-06-01T11:00:05Z', 'observedGeneration': " #generation "}]}"

static ak_msec at(const char *text)
{
    ak_msec wall = 0;
    if (ak_parse_rfc3339(text, &wall) < 0)
        fail_msg("%s", text);
    return wall;
}

static void work(struct fixture *f, size_t pending, size_t running, const char *id)
{
    f->o.runs.active = pending + running;
    f->o.runs.pending = pending;
    f->o.runs.running = running;
    f->o.runs.running_id = id;
}

/* ---- a pod that was made from something else ---- */

static const struct replace_case {
    const char *name, *pod, *status; /* status: of the Agent; NULL: none */
    size_t pending, running;
    bool held;
    enum ak_agent_move move;
    bool gently, at_work;
    const char *ready, *reason, *words; /* of the condition */
    int64_t generation;
} replace_cases[] = {
    {"nothing runs", READY_POD, WAS("True", "Running", 2), 0, 0, false, AK_AGENT_MOVE_DELETE, true,
     false, "False", "PodReplacing", "changed", 3},
    {"what only waits is for the next pod", READY_POD, WAS("True", "Running", 2), 2, 0, false,
     AK_AGENT_MOVE_DELETE, true, false, "False", "PodReplacing", "changed", 3},
    {"a run is waited for", READY_POD, WAS("True", "Running", 2), 0, 1, false, AK_AGENT_MOVE_NONE,
     false, true, "True", "PodReady", "waits for run \"r-1\"", 2},
    {"a run that is on its way is waited for", READY_POD, WAS("True", "Running", 2), 1, 0, true,
     AK_AGENT_MOVE_NONE, false, true, "True", "PodReady", "waits for a run that is on its way", 2},
    {"it was not ready before", READY_POD, NULL, 0, 1, false, AK_AGENT_MOVE_NONE, false, true,
     "False", "PodReplacing", "waits for run \"r-1\"", 3},
    {"a pod that is not ready for a moment", POD("false", RUNS, RUNS, "False"), NULL, 0, 1, false,
     AK_AGENT_MOVE_NONE, false, false, "False", "PodStarting", "not ready yet", 3},
    {"a keeper that is being started again", POD("true", RUNS, WAITS("ContainerCreating"), "False"),
     NULL, 0, 1, false, AK_AGENT_MOVE_NONE, false, false, "False", "PodStarting", "keeper", 3},
    {"nothing runs in a container that does not", POD("false", WAITS("x"), RUNS, "False"), NULL, 0,
     1, false, AK_AGENT_MOVE_DELETE, false, false, "False", "PodReplacing", "changed", 3},
    {"a keeper that never starts", POD("true", RUNS, WAITS("ImagePullBackOff"), "False"), NULL, 0,
     1, false, AK_AGENT_MOVE_DELETE, false, false, "False", "PodReplacing", "changed", 3},
    {"a keeper that always ends", POD("true", RUNS, WAITS("CrashLoopBackOff"), "False"), NULL, 0, 1,
     false, AK_AGENT_MOVE_DELETE, false, false, "False", "PodReplacing", "changed", 3},
};

static void test_a_pod_is_replaced_when_no_run_is_in_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(replace_cases); i++) {
        const struct replace_case *c = &replace_cases[i];
        struct fixture f;
        fixture_init(&f, CLAUDE, c->status);
        fixture_set_pod(&f, c->pod, "as it was");
        work(&f, c->pending, c->running, c->running ? "r-1" : NULL);
        f.o.held = c->held;
        fixture_plan(&f);
        const struct ak_condition *ready = fixture_condition(&f, "Ready");
        if (f.plan.move != c->move || f.plan.gently != c->gently ||
            !f.plan.pod_at_work == c->at_work || !ak_streq(ready->status, c->ready) ||
            !ak_streq(ready->reason, c->reason) || !strstr(ready->message, c->words) ||
            ready->observed_generation != c->generation)
            fail_msg("%s: %s: %s", c->name, ready->reason, ready->message);
        assert_int_equal(f.plan.again_after, c->held ? AK_SECONDS(1) : -1);
        fixture_done(&f);
    }
}

static void test_pause_does_not_wait_for_runs(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, "{'runtime': 'ClaudeCode', 'paused': true}", NULL);
    fixture_set_pod(&f, READY_POD, "whatever");
    work(&f, 0, 1, "r-1");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_DELETE);
    assert_false(f.plan.gently);
    assert_null(f.plan.pod_at_work);
    fixture_done(&f);
}

static void test_what_is_at_work_is_given_work(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    fixture_set_pod(&f, READY_POD, NULL);
    fixture_plan(&f);
    assert_ptr_equal(f.plan.pod_at_work, f.o.pod);
    fixture_set_pod(&f, POD("true", RUNS, RUNS, "False"), NULL);
    fixture_plan(&f);
    assert_null(f.plan.pod_at_work);
    fixture_done(&f);
}

static void test_without_a_certificate_no_pod_is_made_and_none_is_touched(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    f.o.bundle = NULL;
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Ready")->reason, "ManagerStarting");
    assert_true(f.plan.again_after > 0);
    fixture_set_pod(&f, READY_POD, "made with one");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Ready")->status, "True");
    assert_ptr_equal(f.plan.pod_at_work, f.o.pod);
    fixture_done(&f);
}

static void test_another_certificate_is_another_pod(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    fixture_set_pod(&f, READY_POD, NULL);
    f.o.bundle = "another";
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_DELETE);
    assert_true(f.plan.gently);
    fixture_done(&f);
}

/* ---- suspension ---- */

#define SLEEPY "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '30m'}"

/* Now is 12:00, the pod has been ready since 11:00:05. */
static const struct suspend_case {
    const char *name, *spec, *pod, *phase; /* phase: so far */
    size_t pending, running;
    const char *last_activity; /* NULL: never */
    int sessions;              /* -2: not asked yet */
    const char *session_activity;
    enum ak_agent_phase want;
    enum ak_agent_move move;
    bool ask;
    ak_msec again;
} suspend_cases[] = {
    {"an hour without a run: the agentlet is asked", SLEEPY, READY_POD, "Running", 0, 0, NULL, -2,
     NULL, AK_AGENT_PHASE_RUNNING, AK_AGENT_MOVE_NONE, true, -1},
    {"nobody is there", SLEEPY, READY_POD, "Running", 0, 0, NULL, 0, NULL, AK_AGENT_PHASE_SUSPENDED,
     AK_AGENT_MOVE_DELETE, false, -1},
    {"somebody is there", SLEEPY, READY_POD, "Running", 0, 0, NULL, 1, NULL, AK_AGENT_PHASE_RUNNING,
     AK_AGENT_MOVE_NONE, false, AK_AGENT_ASK_AGAIN},
    {"somebody was there", SLEEPY, READY_POD, "Running", 0, 0, NULL, 0, "2026-06-01T11:50:00Z",
     AK_AGENT_PHASE_RUNNING, AK_AGENT_MOVE_NONE, false, AK_MINUTES(20)},
    {"nobody answers", SLEEPY, READY_POD, "Running", 0, 0, NULL, -1, NULL, AK_AGENT_PHASE_RUNNING,
     AK_AGENT_MOVE_NONE, false, AK_AGENT_ASK_AGAIN},
    {"a run was there not long ago", SLEEPY, READY_POD, "Running", 0, 0, "2026-06-01T11:45:00Z", -2,
     NULL, AK_AGENT_PHASE_RUNNING, AK_AGENT_MOVE_NONE, false, AK_MINUTES(15)},
    {"the clock was set back", SLEEPY, READY_POD, "Running", 0, 0, "2026-06-01T20:00:00Z", -2, NULL,
     AK_AGENT_PHASE_RUNNING, AK_AGENT_MOVE_NONE, false, AK_MINUTES(30)},
    {"a run is there", SLEEPY, READY_POD, "Running", 0, 1, NULL, -2, NULL, AK_AGENT_PHASE_RUNNING,
     AK_AGENT_MOVE_NONE, false, -1},
    {"a run waits", SLEEPY, READY_POD, "Running", 1, 0, NULL, -2, NULL, AK_AGENT_PHASE_RUNNING,
     AK_AGENT_MOVE_NONE, false, -1},
    {"nobody asked for sleep", CLAUDE, READY_POD, "Running", 0, 0, NULL, -2, NULL,
     AK_AGENT_PHASE_RUNNING, AK_AGENT_MOVE_NONE, false, -1},
    {"asleep", SLEEPY, NULL, "Suspended", 0, 0, NULL, -2, NULL, AK_AGENT_PHASE_SUSPENDED,
     AK_AGENT_MOVE_NONE, false, -1},
    {"the pod outlived the manager that wanted it stopped", SLEEPY, READY_POD, "Suspended", 0, 0,
     NULL, -2, NULL, AK_AGENT_PHASE_SUSPENDED, AK_AGENT_MOVE_DELETE, false, -1},
    {"a run wakes", SLEEPY, NULL, "Suspended", 1, 0, NULL, -2, NULL, AK_AGENT_PHASE_STARTING,
     AK_AGENT_MOVE_CREATE, false, -1},
    {"a run wakes before the pod is stopped", SLEEPY, READY_POD, "Suspended", 1, 0, NULL, -2, NULL,
     AK_AGENT_PHASE_RUNNING, AK_AGENT_MOVE_NONE, false, -1},
    {"sleep is no longer wanted", CLAUDE, NULL, "Suspended", 0, 0, NULL, -2, NULL,
     AK_AGENT_PHASE_STARTING, AK_AGENT_MOVE_CREATE, false, -1},
    {"a new Agent starts awake", SLEEPY, NULL, "Pending", 0, 0, NULL, -2, NULL,
     AK_AGENT_PHASE_STARTING, AK_AGENT_MOVE_CREATE, false, -1},
    {"what never got ready does not sleep", SLEEPY, POD("false", RUNS, RUNS, "False"), "Starting",
     0, 0, NULL, -2, NULL, AK_AGENT_PHASE_STARTING, AK_AGENT_MOVE_NONE, false, -1},
    {"an Agent that is paused is paused",
     "{'runtime': 'ClaudeCode', 'paused': true, 'suspendAfter': '30m'}", NULL, "Suspended", 0, 0,
     NULL, -2, NULL, AK_AGENT_PHASE_PAUSED, AK_AGENT_MOVE_NONE, false, -1},
};

static void set_times(struct fixture *f, const struct suspend_case *c)
{
    f->o.runs.last_activity = c->last_activity ? at(c->last_activity) : 0;
    f->o.asked = c->sessions != -2;
    f->o.sessions = c->sessions;
    f->o.session_activity = c->session_activity ? at(c->session_activity) : 0;
}

static void test_an_agent_without_work_sleeps_until_there_is_some(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(suspend_cases); i++) {
        const struct suspend_case *c = &suspend_cases[i];
        struct fixture f;
        char status[512];
        snprintf(status, sizeof(status),
                 "{'observedGeneration': 3, 'phase': '%s', 'conditions': [{'type': 'Ready',"
                 " 'status': 'True', 'reason': 'PodReady', 'message': '', 'lastTransitionTime':"
                 " '2026-06-01T11:00:05Z'}]}",
                 c->phase);
        fixture_init(&f, c->spec, status);
        if (c->pod) {
            work(&f, 1, 0, NULL); /* so that it is not asleep when the hash is found */
            fixture_set_pod(&f, c->pod, NULL);
        }
        work(&f, c->pending, c->running, NULL);
        set_times(&f, c);
        fixture_plan(&f);
        const struct ak_agent_status *s = &f.plan.status;
        if (s->phase != c->want || f.plan.move != c->move || f.plan.ask != c->ask ||
            f.plan.again_after != c->again)
            fail_msg("%s: %s, again %lld", c->name, ak_agent_phase_to_string(s->phase),
                     (long long)f.plan.again_after);
        if (c->want == AK_AGENT_PHASE_SUSPENDED) {
            assert_string_equal(s->ready, "0/0");
            assert_string_equal(fixture_condition(&f, "Ready")->reason, "Suspended");
            assert_non_null(strstr(fixture_condition(&f, "Ready")->message, "30m"));
            assert_null(s->pod_name);
            assert_null(f.plan.pod_at_work);
            assert_int_equal(f.plan.status_first, c->move == AK_AGENT_MOVE_DELETE);
            assert_int_equal(f.plan.gently, c->move == AK_AGENT_MOVE_DELETE);
        }
        fixture_done(&f);
    }
}

static void test_sleep_costs_nothing(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, SLEEPY, "{'phase': 'Suspended'}");
    f.o.secret_ttl = AK_SECONDS(60);
    fixture_plan(&f);
    assert_int_equal(f.plan.again_after, -1);
    AK_AUTO_JSON *first = NULL;
    assert_int_equal(ak_agent_status_json(&f.plan, &first, NULL), 0);
    /* The same with the pod still there: nothing is written when it is gone. */
    work(&f, 1, 0, NULL);
    fixture_set_pod(&f, READY_POD, NULL);
    work(&f, 0, 0, NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_DELETE);
    AK_AUTO_JSON *second = NULL;
    assert_int_equal(ak_agent_status_json(&f.plan, &second, NULL), 0);
    assert_true(json_equal(first, second));
    fixture_done(&f);
}

/* ---- schedule ---- */

#define SCHEDULED(more)                                                                            \
    "{'runtime': 'ClaudeCode', 'paused': false, 'goal': {'inline': 'x'}, 'schedule': {'cron': '0 " \
    "* * * *', 'timeZone': 'UTC'" more "}}"
#define PROMISED(paused, cron, next)                                                               \
    "{'observedGeneration': 3, 'nextRunTime': '" next "', 'resolved': {'schedule': {'cron': '"     \
    "" cron "', 'timeZone': 'UTC'}}, 'conditions': [{'type': 'Paused', 'status': '" paused "',"    \
    " 'reason': 'x', 'message': '', 'lastTransitionTime': '2026-06-01T11:00:00Z'}]}"
#define HOURLY "0 * * * *"

/* The Agent was made at 10:00. */
static const struct firing_case {
    const char *name, *spec, *status;
    const char *now, *last_schedule; /* NULL: never */
    const char *fire;                /* NULL: nothing */
    bool late;
    const char *next;
} firing_cases[] = {
    {"on time", SCHEDULED(""), PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"),
     "2026-06-01T12:00:00.200Z", "2026-06-01T11:00:00Z", "2026-06-01T12:00:00Z", false,
     "2026-06-01T13:00:00Z"},
    {"not yet", SCHEDULED(""), PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"),
     "2026-06-01T11:59:59.999Z", "2026-06-01T11:00:00Z", NULL, false, "2026-06-01T12:00:00Z"},
    {"the record was written, the status was not", SCHEDULED(""),
     PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"), "2026-06-01T12:00:01Z",
     "2026-06-01T12:00:00Z", NULL, false, "2026-06-01T13:00:00Z"},
    {"what was missed is one", SCHEDULED(""), PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"),
     "2026-06-11T17:30:00Z", "2026-06-01T11:00:00Z", "2026-06-11T17:00:00Z", false,
     "2026-06-11T18:00:00Z"},
    {"it may be so late", SCHEDULED(", 'startingDeadlineSeconds': 60"),
     PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"), "2026-06-01T12:01:00Z", NULL,
     "2026-06-01T12:00:00Z", false, "2026-06-01T13:00:00Z"},
    {"and not later", SCHEDULED(", 'startingDeadlineSeconds': 60"),
     PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"), "2026-06-01T12:01:06Z", NULL,
     "2026-06-01T12:00:00Z", true, "2026-06-01T13:00:00Z"},
    {"our own way is no delay", SCHEDULED(", 'startingDeadlineSeconds': 0"),
     PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"), "2026-06-01T12:00:01Z", NULL,
     "2026-06-01T12:00:00Z", false, "2026-06-01T13:00:00Z"},
    {"the clock was set back", SCHEDULED(""), PROMISED("False", HOURLY, "2026-06-01T13:00:00Z"),
     "2026-06-01T11:00:00Z", "2026-06-01T12:00:00Z", NULL, false, "2026-06-01T13:00:00Z"},
    {"the clock was set back before the promise was written", SCHEDULED(""),
     PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"), "2026-06-01T11:00:00Z",
     "2026-06-01T12:00:00Z", NULL, false, "2026-06-01T13:00:00Z"},
    {"while it was paused nothing was missed", SCHEDULED(""),
     PROMISED("True", HOURLY, "2026-06-01T11:00:00Z"), "2026-06-01T12:30:00Z", NULL, NULL, false,
     "2026-06-01T13:00:00Z"},
    {"another schedule counts from now", SCHEDULED(""),
     PROMISED("False", "0 4 * * *", "2026-06-01T04:00:00Z"), "2026-06-01T12:30:00Z",
     "2026-05-31T04:00:00Z", NULL, false, "2026-06-01T13:00:00Z"},
    {"a paused Agent fires nothing",
     "{'runtime': 'ClaudeCode', 'paused': true, 'goal': {'inline': 'x'}, 'schedule': {'cron':"
     " '0 * * * *', 'timeZone': 'UTC'}}",
     PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"), "2026-06-01T12:00:01Z", NULL, NULL, false,
     "2026-06-01T13:00:00Z"},
    {"made while no manager ran", SCHEDULED(""), "{}", "2026-06-01T12:30:00Z", NULL,
     "2026-06-01T12:00:00Z", false, "2026-06-01T13:00:00Z"},
    {"made just now", SCHEDULED(""), "{}", "2026-06-01T10:00:01Z", NULL, NULL, false,
     "2026-06-01T11:00:00Z"},
    {"before its own making, by a clock that is behind", SCHEDULED(""), "{}",
     "2026-06-01T09:30:00Z", NULL, NULL, false, "2026-06-01T10:00:00Z"},
};

static void observe_schedule(struct fixture *f, const char *now, const char *last)
{
    f->o.now = at(now);
    f->o.runs.last_schedule = last ? at(last) : 0;
    assert_int_equal(ak_agent_schedule_observe(&f->o, &f->arena, NULL), 0);
    if (f->o.schedule_error)
        fail_msg("%s", f->o.schedule_error);
}

static void test_a_time_of_the_schedule_is_acted_upon_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(firing_cases); i++) {
        const struct firing_case *c = &firing_cases[i];
        struct fixture f;
        fixture_init(&f, c->spec, c->status);
        observe_schedule(&f, c->now, c->last_schedule);
        fixture_plan(&f);
        ak_msec want = c->fire ? at(c->fire) : 0;
        if (f.plan.fire != want || f.plan.fire_late != c->late ||
            f.plan.status.next_run_time != at(c->next))
            fail_msg("%s: fire %lld, wanted %lld; next %lld, wanted %lld", c->name,
                     (long long)f.plan.fire, (long long)want,
                     (long long)f.plan.status.next_run_time, (long long)at(c->next));
        fixture_done(&f);
    }
}

/* An Agent's life: each step is what the status and the book say after the one before. */
static size_t fire_through(const char *zone, const char *cron, const char *from, const char *to,
                           ak_msec *ret, size_t max)
{
    size_t n = 0;
    ak_msec last = 0, next = 0;
    for (ak_msec now = at(from); now <= at(to); now += AK_MINUTES(10)) {
        struct fixture f;
        char spec[512], status[512], when[AK_RFC3339_SIZE];
        snprintf(spec, sizeof(spec),
                 "{'runtime': 'ClaudeCode', 'paused': false, 'goal': {'inline': 'x'}, 'schedule':"
                 " {'cron': '%s', 'timeZone': '%s'}}",
                 cron, zone);
        snprintf(status, sizeof(status),
                 "{'nextRunTime': '%s', 'resolved': {'schedule': {'cron': '%s', 'timeZone': '%s'}},"
                 " 'conditions': [{'type': 'Paused', 'status': 'False', 'reason': 'x', 'message':"
                 " '', 'lastTransitionTime': '2020-01-01T00:00:00Z'}]}",
                 ak_format_rfc3339(next ? next : now + 1, when), cron, zone);
        fixture_init(&f, spec, status);
        f.o.now = now;
        f.o.runs.last_schedule = last;
        assert_int_equal(ak_agent_schedule_observe(&f.o, &f.arena, NULL), 0);
        fixture_plan(&f);
        if (f.plan.fire) {
            assert_true(n < max);
            ret[n++] = last = f.plan.fire;
        }
        next = f.plan.status.next_run_time;
        fixture_done(&f);
    }
    return n;
}

static const struct dst_case {
    const char *name, *zone, *cron, *from, *to;
    const char *fired[5];
} dst_cases[] = {
    {"spring forward: 02:30 is not there that day",
     "Europe/Berlin",
     "30 2 * * *",
     "2026-03-28T00:00:00Z",
     "2026-03-30T12:00:00Z",
     {"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
    {"spring forward: 03:00 is there, and an hour sooner",
     "Europe/Berlin",
     "0 3 * * *",
     "2026-03-28T00:00:00Z",
     "2026-03-30T12:00:00Z",
     {"2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"}},
    {"fall back: 02:30 is there twice",
     "Europe/Berlin",
     "30 2 * * *",
     "2026-10-24T12:00:00Z",
     "2026-10-26T12:00:00Z",
     {"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"}},
    {"fall back: 03:00 is there once",
     "Europe/Berlin",
     "0 3 * * *",
     "2026-10-24T12:00:00Z",
     "2026-10-26T12:00:00Z",
     {"2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"}},
    {"a zone that moves by half an hour",
     "Australia/Lord_Howe",
     "45 1 * * *",
     "2026-04-03T12:00:00Z",
     "2026-04-05T20:00:00Z",
     {"2026-04-03T14:45:00Z", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z",
      "2026-04-05T15:15:00Z"}},
};

static void test_the_clocks_go_forward_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(dst_cases); i++) {
        const struct dst_case *c = &dst_cases[i];
        ak_msec fired[8] = {0};
        size_t want = 0;
        while (want < AK_ARRAY_LEN(c->fired) && c->fired[want])
            want++;
        size_t n = fire_through(c->zone, c->cron, c->from, c->to, fired, AK_ARRAY_LEN(fired));
        if (n != want)
            fail_msg("%s: fired %zu times", c->name, n);
        for (size_t k = 0; k < n; k++)
            if (fired[k] != at(c->fired[k]))
                fail_msg("%s: %zu: %lld", c->name, k, (long long)fired[k]);
    }
}

static void test_what_is_due_waits_for_a_spec_that_can_be_started(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'ClaudeCode', 'paused': false, 'goal': {'inline': 'x'}, 'agentToken':"
                 " {'secretRef': {'name': 's', 'key': 'k'}}, 'schedule': {'cron': '0 * * * *',"
                 " 'timeZone': 'UTC'}}",
                 PROMISED("False", HOURLY, "2026-06-01T12:00:00Z"));
    observe_schedule(&f, "2026-06-01T14:30:00Z", NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.fire, 0);
    assert_int_equal(f.plan.status.next_run_time, at("2026-06-01T12:00:00Z"));
    f.o.token.found = f.o.token.key_found = true;
    fixture_plan(&f);
    assert_int_equal(f.plan.fire, at("2026-06-01T14:00:00Z"));
    assert_int_equal(f.plan.status.next_run_time, at("2026-06-01T15:00:00Z"));
    fixture_done(&f);
}

static void test_a_firing_wakes_a_suspended_agent(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'ClaudeCode', 'paused': false, 'suspendAfter': '5m', 'goal':"
                 " {'inline': 'x'}, 'schedule': {'cron': '0 * * * *', 'timeZone': 'UTC'}}",
                 "{'phase': 'Suspended', 'nextRunTime': '2026-06-01T12:00:00Z', 'resolved':"
                 " {'schedule': {'cron': '0 * * * *', 'timeZone': 'UTC'}}, 'conditions':"
                 " [{'type': 'Paused', 'status': 'False', 'reason': 'x', 'message': '',"
                 " 'lastTransitionTime': '2026-06-01T11:00:00Z'}]}");
    observe_schedule(&f, "2026-06-01T11:30:00Z", NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.status.phase, AK_AGENT_PHASE_SUSPENDED);
    assert_int_equal(f.plan.again_after, AK_AGENT_CLOCK_CHECK);
    observe_schedule(&f, "2026-06-01T12:00:00Z", NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.fire, at("2026-06-01T12:00:00Z"));
    work(&f, 1, 0, NULL); /* what the firing made of it */
    observe_schedule(&f, "2026-06-01T12:00:00.100Z", "2026-06-01T12:00:00Z");
    fixture_plan(&f);
    assert_int_equal(f.plan.fire, 0);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_CREATE);
    fixture_done(&f);
}

/* ---- what the status says ---- */

static void test_what_the_book_writes_is_left_to_it(void **state)
{
    static const char *const theirs[] = {"runs", "lastRunTime", "lastRunPhase", "lastScheduleTime",
                                         "activeRuns"};
    static const char *const manifests[] = {"{'name': 'one'}",
                                            "{'name': 'one', 'deletionTimestamp':"
                                            " '2026-06-01T11:59:00Z', 'finalizers': ['f']}"};
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(manifests); i++) {
        struct fixture f;
        char text[1024];
        snprintf(text, sizeof(text),
                 "{'metadata': %s, 'spec': " CLAUDE ", 'status': {'activeRuns': 1, 'lastRunTime':"
                 " '2026-06-01T11:00:00Z', 'lastRunPhase': 'Running', 'lastScheduleTime':"
                 " '2026-06-01T11:00:00Z', 'runs': [{'id': 'r-1', 'phase': 'Running'}]}}",
                 manifests[i]);
        AK_AUTO_JSON *manifest = fixture_json(text);
        AK_AUTO_JSON *status = NULL;
        fixture_init_manifest(&f, manifest);
        fixture_plan(&f);
        assert_int_equal(ak_agent_status_json(&f.plan, &status, NULL), 0);
        for (size_t k = 0; k < AK_ARRAY_LEN(theirs); k++)
            if (json_object_get(status, theirs[k]))
                fail_msg("%s", theirs[k]);
        fixture_done(&f);
    }
}

static const struct endpoint_case {
    const char *name, *spec;
    const char *base_url; /* NULL: none */
    const char *words;    /* of the first finding; NULL: there is none */
} endpoint_cases[] = {
    {"the provider's own address", CLAUDE, "https://api.anthropic.com", NULL},
    {"the one that is given",
     "{'runtime': 'ClaudeCode', 'model': {'name': 'claude-x', 'baseURL': 'https://h/a'}}",
     "https://h/a", NULL},
    {"a provider that everybody has elsewhere",
     "{'runtime': 'OpenCode', 'model': {'name': 'x', 'provider': 'vllm'}}", NULL,
     "spec.model.baseURL: is not set"},
    {"a provider that nobody knows",
     "{'runtime': 'OpenCode', 'model': {'name': 'x', 'provider': 'acme'}}", NULL,
     "spec.model.baseURL: is not set"},
    {"a runtime without a provider of its own", "{'runtime': 'OpenCode'}", NULL,
     "spec.model: names no provider"},
    {"somebody's own program", "{'runtime': 'Custom', 'image': 'a@sha256:0'}", NULL, NULL},
};

static void test_where_model_calls_go_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(endpoint_cases); i++) {
        const struct endpoint_case *c = &endpoint_cases[i];
        struct fixture f;
        fixture_init(&f, c->spec, NULL);
        fixture_plan(&f);
        const struct ak_agent_resolved *res = f.plan.status.resolved;
        const char *first = res->problems.len ? res->problems.items[0] : NULL;
        if (!ak_streq(res->base_url, c->base_url) || !first != !c->words ||
            (first && !strstr(first, c->words)))
            fail_msg("%s: %s, %s", c->name, res->base_url, first);
        assert_string_equal(fixture_condition(&f, "Resolved")->status, "True");
        fixture_done(&f);
    }
}

static void test_a_key_that_the_agent_can_read_is_a_condition(void **state)
{
    static const struct {
        const char *spec;
        bool exposed;
    } rows[] = {
        {"{'runtime': 'Cursor', 'agentToken': {'secretRef': {'name': 's', 'key': 'k'}}}", true},
        {"{'runtime': 'Cursor'}", false},
        {"{'runtime': 'Cursor', 'gatewayRef': {'name': 'g'}, 'agentToken': {'secretRef': {'name':"
         " 's', 'key': 'k'}}}",
         false},
        {"{'runtime': 'ClaudeCode', 'agentToken': {'secretRef': {'name': 's', 'key': 'k'}}}",
         false},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++) {
        struct fixture f;
        fixture_init(&f, rows[i].spec, NULL);
        fixture_plan(&f);
        assert_int_equal(f.plan.n_conditions, rows[i].exposed ? 4 : 3);
        if (rows[i].exposed) {
            const struct ak_condition *c = fixture_condition(&f, "TokenExposed");
            assert_string_equal(c->status, "True");
            assert_string_equal(c->reason, "RuntimeCannotUseKeeper");
            assert_non_null(strstr(c->message, "Secret \"s\""));
            assert_true(ak_agent_condition_is_warning(c));
        }
        fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pod_is_replaced_when_no_run_is_in_it),
        cmocka_unit_test(test_pause_does_not_wait_for_runs),
        cmocka_unit_test(test_what_is_at_work_is_given_work),
        cmocka_unit_test(test_without_a_certificate_no_pod_is_made_and_none_is_touched),
        cmocka_unit_test(test_another_certificate_is_another_pod),
        cmocka_unit_test(test_an_agent_without_work_sleeps_until_there_is_some),
        cmocka_unit_test(test_sleep_costs_nothing),
        cmocka_unit_test(test_a_time_of_the_schedule_is_acted_upon_once),
        cmocka_unit_test(test_the_clocks_go_forward_and_back),
        cmocka_unit_test(test_what_is_due_waits_for_a_spec_that_can_be_started),
        cmocka_unit_test(test_a_firing_wakes_a_suspended_agent),
        cmocka_unit_test(test_what_the_book_writes_is_left_to_it),
        cmocka_unit_test(test_where_model_calls_go_is_said),
        cmocka_unit_test(test_a_key_that_the_agent_can_read_is_a_condition),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
