/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about Agents, as tables: what is there, what is done, what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "fixture.h"

#define CLAUDE "{'runtime': 'ClaudeCode', 'paused': false}"
#define READY_POD                                                                                  \
    "{'phase': 'Running', 'startTime': '2026-06-01T11:00:01Z',"                                    \
    " 'conditions': [{'type': 'Ready', 'status': 'True'}],"                                        \
    " 'containerStatuses': [{'name': 'agent', 'ready': true, 'restartCount': 1, 'imageID':"        \
    " 'docker.io/x@sha256:abc', 'state': {'running': {'startedAt': '2026-06-01T11:00:02Z'}}}]}"
#define WAITING(reason, message)                                                                   \
    "{'phase': 'Pending', 'containerStatuses': [{'name': 'agent', 'state': {'waiting': {'reason':" \
    " '" reason "', 'message': '" message "'}}}]}"
#define CRASHED(reason, code, message)                                                             \
    "{'phase': 'Running', 'containerStatuses': [{'name': 'agent', 'restartCount': 2, 'state':"     \
    " {'waiting': {'reason': 'CrashLoopBackOff', 'message': 'back-off'}}, 'lastState':"            \
    " {'terminated': {'reason': '" reason "', 'exitCode': " #code ", 'message': '" message         \
    "', 'finishedAt': '2026-06-01T11:59:00Z'}}}]}"
#define EVICTED                                                                                    \
    "{'phase': 'Failed', 'reason': 'Evicted', 'message': 'The node was low on resource: memory.'," \
    " 'startTime': '2026-06-01T11:58:00Z'}"
#define INIT_FAILED(name, code, message)                                                           \
    "{'phase': 'Pending', 'initContainerStatuses': [{'name': '" name "', 'restartCount': 1,"       \
    " 'state': {'terminated': {'reason': 'Error', 'exitCode': " #code ", 'message': '" message     \
    "'}}}]}"

/* ---- what a pod's status is called ---- */

static const struct pod_case {
    const char *name, *status;
    enum ak_agent_move move;
    enum ak_agent_phase phase;
    const char *reason, *words; /* of Ready; words: part of its message */
} pod_cases[] = {
    {"ready", READY_POD, AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_RUNNING, "PodReady", "ready"},
    {"no status yet", "{'phase': 'Pending'}", AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_STARTING,
     "PodStarting", "started"},
    {"image pull back-off", WAITING("ImagePullBackOff", "Back-off pulling image"),
     AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_FAILED, "ImagePullBackOff",
     "docker.io/adaptivelive/agentkube-runtime-claude-code"},
    {"image pull error has the same reason", WAITING("ErrImagePull", "unauthorized"),
     AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_FAILED, "ImagePullBackOff", "unauthorized"},
    {"bad image name", WAITING("InvalidImageName", "x"), AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_FAILED,
     "InvalidImageName", "spec.image"},
    {"missing ConfigMap at start", WAITING("CreateContainerConfigError", "configmap gone"),
     AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_FAILED, "ContainerConfigError", "configmap gone"},
    {"out of memory", CRASHED("OOMKilled", 137, ""), AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_FAILED,
     "OOMKilled", "spec.resources.limits.memory"},
    {"failed setup", CRASHED("Error", 10, "SetupFailed: exit code 3\\nno moon"), AK_AGENT_MOVE_NONE,
     AK_AGENT_PHASE_FAILED, "SetupFailed", "no moon"},
    {"slow setup", CRASHED("Error", 11, "SetupTimeout: 600 s"), AK_AGENT_MOVE_NONE,
     AK_AGENT_PHASE_FAILED, "SetupFailed", "setupTimeoutSeconds"},
    {"a crash of unknown cause", CRASHED("Error", 7, "what happened"), AK_AGENT_MOVE_NONE,
     AK_AGENT_PHASE_FAILED, "CrashLoopBackOff", "what happened"},
    {"failed clone", INIT_FAILED("workspace", 4, "CloneFailed: repository not found"),
     AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_FAILED, "WorkspaceFailed", "repository not found"},
    {"no git", INIT_FAILED("workspace", 3, "GitMissing: no git"), AK_AGENT_MOVE_NONE,
     AK_AGENT_PHASE_FAILED, "WorkspaceFailed", "image that has git"},
    {"failed install", INIT_FAILED("install", 1, "no space"), AK_AGENT_MOVE_NONE,
     AK_AGENT_PHASE_FAILED, "CrashLoopBackOff", "no space"},
    {"init containers that are done are not a failure",
     "{'phase': 'Pending', 'initContainerStatuses': [{'name': 'install', 'state': {'terminated':"
     " {'reason': 'Completed', 'exitCode': 0}}}], 'containerStatuses': [{'name': 'agent', 'state':"
     " {'waiting': {'reason': 'PodInitializing'}}}]}",
     AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_STARTING, "PodStarting", "started"},
    {"evicted", EVICTED, AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_PENDING, "Evicted", "low on resource"},
    {"a lost node", "{'phase': 'Running', 'reason': 'NodeLost'}", AK_AGENT_MOVE_NONE,
     AK_AGENT_PHASE_PENDING, "NodeLost", "node-1"},
    {"a node that does not answer",
     "{'phase': 'Running', 'conditions': [{'type': 'Ready', 'status': 'Unknown'}]}",
     AK_AGENT_MOVE_NONE, AK_AGENT_PHASE_PENDING, "NodeLost", "node-1"},
};

static void test_what_a_pod_says_becomes_a_reason_and_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(pod_cases); i++) {
        const struct pod_case *c = &pod_cases[i];
        struct fixture f;
        fixture_init(&f, CLAUDE, NULL);
        fixture_set_pod(&f, c->status, NULL);
        fixture_plan(&f);
        const struct ak_condition *ready = fixture_condition(&f, "Ready");
        if (!ak_streq(ready->reason, c->reason) || !strstr(ready->message, c->words) ||
            f.plan.move != c->move || f.plan.status.phase != c->phase)
            fail_msg("%s: %s, %s: %s", c->name, ak_agent_phase_to_string(f.plan.status.phase),
                     ready->reason, ready->message);
        assert_string_equal(f.plan.status.ready,
                            c->phase == AK_AGENT_PHASE_RUNNING ? "1/1" : "0/1");
        fixture_done(&f);
    }
}

static void test_a_ready_pod_is_described_in_the_status(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    fixture_set_pod(&f, READY_POD, NULL);
    fixture_plan(&f);
    const struct ak_agent_status *s = &f.plan.status;
    assert_string_equal(s->pod_name, "one");
    assert_string_equal(s->pod_uid, "pod-uid");
    assert_string_equal(s->node_name, "node-1");
    assert_string_equal(s->resolved->image_digest, "sha256:abc");
    assert_int_equal(s->restarts, 1);
    assert_int_equal(s->observed_generation, 3);
    assert_int_equal(f.plan.again_after, -1);
    assert_int_equal(fixture_condition(&f, "Ready")->observed_generation, 3);
    fixture_done(&f);
}

static void test_no_pod_means_one_is_made(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_CREATE);
    assert_string_equal(ak_json_text(f.plan.pod, "metadata", "name", NULL), "one");
    assert_string_equal(fixture_condition(&f, "Ready")->reason, "PodStarting");
    assert_string_equal(fixture_condition(&f, "Resolved")->status, "True");
    assert_string_equal(fixture_condition(&f, "Paused")->status, "False");
    fixture_done(&f);
}

static void test_a_pod_made_from_something_else_is_replaced(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    fixture_set_pod(&f, READY_POD, "0123");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_DELETE);
    assert_string_equal(fixture_condition(&f, "Ready")->reason, "PodReplacing");
    assert_string_equal(f.plan.status.ready, "0/1");
    fixture_done(&f);
}

static void test_what_the_pod_reads_by_reference_is_in_its_hash(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'ClaudeCode', 'paused': false, 'goal': {'configMapKeyRef': {'name':"
                 " 'g', 'key': 'k'}}, 'agentToken': {'secretRef': {'name': 's', 'key': 'k'}}}",
                 NULL);
    f.o.token.found = f.o.token.key_found = true;
    assert_int_equal(ak_digest_bytes("a", 1, f.o.token.hex), 0);
    fixture_set_pod(&f, READY_POD, NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_int_equal(ak_digest_bytes("b", 1, f.o.token.hex), 0);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_DELETE);
    assert_int_equal(ak_digest_bytes("a", 1, f.o.token.hex), 0);
    assert_int_equal(ak_digest_bytes("other goal", 10, f.o.goal.hex), 0);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_DELETE);
    fixture_done(&f);
}

/* ---- pause ---- */

static void test_paused_starts_nothing_and_stops_what_runs(void **state)
{
    static const char *const pods[] = {NULL, READY_POD, EVICTED, "{'phase': 'Pending'}"};
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(pods); i++) {
        struct fixture f;
        fixture_init(&f, "{'runtime': 'Codex'}", NULL); /* paused is the default */
        if (pods[i])
            fixture_set_pod(&f, pods[i], "whatever");
        fixture_plan(&f);
        assert_int_equal(f.plan.move, pods[i] ? AK_AGENT_MOVE_DELETE : AK_AGENT_MOVE_NONE);
        assert_int_equal(f.plan.status.phase, AK_AGENT_PHASE_PAUSED);
        assert_string_equal(fixture_condition(&f, "Paused")->status, "True");
        assert_string_equal(f.plan.status.resolved->image,
                            "docker.io/adaptivelive/agentkube-runtime-codex:v" AK_VERSION);
        assert_null(f.plan.workspace);
        fixture_done(&f);
    }
}

/* ---- backoff ---- */

static void test_a_failed_pod_is_counted_first_and_deleted_when_the_count_is_on_record(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    fixture_set_pod(&f, EVICTED, NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_int_equal(f.plan.status.backoff->failures, 1);
    ak_msec ended = 0;
    assert_int_equal(ak_parse_rfc3339("2026-06-01T11:58:00Z", &ended), 0);
    assert_int_equal(f.plan.status.backoff->until, ended + AK_AGENT_BACKOFF_FIRST);
    assert_string_equal(f.plan.status.last_termination->reason, "Evicted");
    fixture_done(&f);

    fixture_init(&f, CLAUDE,
                 "{'observedGeneration': 3, 'backoff': {'failures': 1, 'until':"
                 " '2026-06-01T11:58:05Z'}, 'lastTermination': {'reason': 'Evicted', 'time':"
                 " '2026-06-01T11:58:00Z'}}");
    fixture_set_pod(&f, EVICTED, NULL);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_DELETE);
    assert_int_equal(f.plan.status.backoff->failures, 1);
    fixture_done(&f);
}

static const struct backoff_case {
    const char *name, *status;
    enum ak_agent_move move; /* with no pod */
    const char *reason;
    int64_t failures; /* 0: no backoff in the new status */
    ak_msec again;
} backoff_cases[] = {
    {"the pause is not over",
     "{'observedGeneration': 3, 'backoff': {'failures': 4, 'until': '2026-06-01T12:00:30Z'}}",
     AK_AGENT_MOVE_NONE, "BackOff", 4, AK_SECONDS(30)},
    {"the pause is over",
     "{'observedGeneration': 3, 'backoff': {'failures': 4, 'until': '2026-06-01T11:59:59Z'}}",
     AK_AGENT_MOVE_CREATE, "PodStarting", 4, -1},
    {"the spec changed",
     "{'observedGeneration': 2, 'backoff': {'failures': 4, 'until': '2026-06-01T12:00:30Z'}}",
     AK_AGENT_MOVE_CREATE, "PodStarting", 0, -1},
};

static void test_the_pause_holds_unless_the_spec_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(backoff_cases); i++) {
        const struct backoff_case *c = &backoff_cases[i];
        struct fixture f;
        fixture_init(&f, CLAUDE, c->status);
        fixture_plan(&f);
        int64_t failures = f.plan.status.backoff ? f.plan.status.backoff->failures : 0;
        if (f.plan.move != c->move || failures != c->failures || f.plan.again_after != c->again)
            fail_msg("%s", c->name);
        assert_string_equal(fixture_condition(&f, "Ready")->reason, c->reason);
        fixture_done(&f);
    }
}

static void test_the_pause_doubles_up_to_its_limit(void **state)
{
    (void)state;
    for (int64_t failures = 1; failures < 100; failures += 7) {
        struct fixture f;
        char status[256];
        snprintf(status, sizeof(status),
                 "{'observedGeneration': 3, 'backoff': {'failures': %d}, 'lastTermination':"
                 " {'time': '2026-06-01T11:00:00Z'}}",
                 (int)failures);
        fixture_init(&f, CLAUDE, status);
        fixture_set_pod(&f, EVICTED, NULL);
        fixture_plan(&f);
        ak_msec ended = 0;
        assert_int_equal(ak_parse_rfc3339("2026-06-01T11:58:00Z", &ended), 0);
        assert_int_equal(f.plan.status.backoff->failures, failures + 1);
        ak_msec pause = f.plan.status.backoff->until - ended;
        assert_int_equal(pause, failures == 1 ? 2 * AK_AGENT_BACKOFF_FIRST : AK_AGENT_BACKOFF_MAX);
        fixture_done(&f);
    }
}

static void test_failures_are_forgotten_when_a_pod_was_ready_for_a_while(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE,
                 "{'observedGeneration': 3, 'backoff': {'failures': 2, 'until':"
                 " '2026-06-01T10:59:00Z'}}");
    fixture_set_pod(&f, READY_POD, NULL);
    fixture_plan(&f);
    assert_null(f.plan.status.backoff); /* ready for an hour */
    f.o.now -= AK_MINUTES(55);
    fixture_plan(&f);
    assert_int_equal(f.plan.status.backoff->failures, 2);
    assert_int_equal(f.plan.again_after, AK_MINUTES(5) + AK_SECONDS(1));
    fixture_done(&f);
}

/* ---- findings about the spec ---- */

static const struct problem_case {
    const char *name, *spec, *reason, *words;
    enum ak_agent_phase phase;
} problem_cases[] = {
    {"Custom without an image", "{'runtime': 'Custom', 'paused': false}", "InvalidSpec",
     "spec.image", AK_AGENT_PHASE_FAILED},
    {"a key in the environment",
     "{'runtime': 'Aider', 'paused': false, 'env': [{'name': 'OPENAI_API_KEY', 'value': 'x'}]}",
     "InvalidSpec", "OPENAI_API_KEY", AK_AGENT_PHASE_FAILED},
    {"our variables",
     "{'runtime': 'Aider', 'paused': false, 'env': [{'name': 'AGENTKUBE_X', 'value': 'x'}]}",
     "InvalidSpec", "spec.env[0].name", AK_AGENT_PHASE_FAILED},
    {"our labels", "{'runtime': 'Aider', 'paused': false, 'podLabels': {'a.agentkube.io/b': 'c'}}",
     "InvalidSpec", "spec.podLabels", AK_AGENT_PHASE_FAILED},
    {"a playbook is missing", "{'runtime': 'Aider', 'paused': false, 'mode': 'system'}",
     "InvalidSpec", "spec.playbook", AK_AGENT_PHASE_FAILED},
    {"no time at all", "{'runtime': 'Aider', 'paused': false, 'suspendAfter': '0s'}", "InvalidSpec",
     "spec.suspendAfter", AK_AGENT_PHASE_FAILED},
    {"no room", "{'runtime': 'Aider', 'paused': false, 'workspace': {'size': '0'}}", "InvalidSpec",
     "spec.workspace.size", AK_AGENT_PHASE_FAILED},
    {"no such Secret",
     "{'runtime': 'Codex', 'paused': false, 'agentToken': {'secretRef': {'name': 's', 'key':"
     " 'k'}}}",
     "SecretNotFound", "Secret \"s\"", AK_AGENT_PHASE_PENDING},
    {"no credential for the repository",
     "{'runtime': 'Codex', 'paused': false, 'workspace': {'repo': {'url': 'https://x/y',"
     " 'secretRef': {'name': 'git'}}}}",
     "SecretNotFound", "spec.workspace.repo.secretRef", AK_AGENT_PHASE_PENDING},
    {"no such gateway", "{'runtime': 'Codex', 'paused': false, 'gatewayRef': {'name': 'gw'}}",
     "LLMGatewayNotFound", "\"gw\"", AK_AGENT_PHASE_PENDING},
    {"a model of nobody's family",
     "{'runtime': 'OpenCode', 'paused': false, 'model': {'name': 'llama-9'}}", "ProviderUnknown",
     "spec.model.provider", AK_AGENT_PHASE_PENDING},
};

static void test_findings_stop_the_start_and_say_what_to_change(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(problem_cases); i++) {
        const struct problem_case *c = &problem_cases[i];
        struct fixture f;
        fixture_init(&f, c->spec, NULL);
        fixture_plan(&f);
        const struct ak_condition *resolved = fixture_condition(&f, "Resolved");
        if (f.plan.move != AK_AGENT_MOVE_NONE || !ak_streq(resolved->reason, c->reason) ||
            !strstr(resolved->message, c->words) || f.plan.status.phase != c->phase)
            fail_msg("%s: %s: %s", c->name, resolved->reason, resolved->message);
        assert_string_equal(resolved->status, "False");
        assert_string_equal(fixture_condition(&f, "Ready")->reason, c->reason);
        assert_int_equal(f.plan.again_after, -1); /* not retried by itself */
        fixture_done(&f);
    }
}

static void test_a_schedule_that_cannot_be_read_is_named(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'Codex', 'paused': false, 'goal': {'inline': 'x'}, 'schedule': "
                 "{'cron': '61 * * * *'}}",
                 NULL);
    f.o.schedule_error = "spec.schedule.cron: minute \"61\": must be 0-59";
    fixture_plan(&f);
    assert_string_equal(fixture_condition(&f, "Resolved")->message, f.o.schedule_error);
    assert_null(f.plan.status.resolved->schedule);
    assert_int_equal(f.plan.fire, 0);
    fixture_done(&f);
}

static void test_a_spec_that_cannot_be_decoded_is_reported_and_kills_nothing(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, "{'runtime': 'Perl', 'paused': false}", NULL);
    fixture_set_pod(&f, READY_POD, "whatever");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Resolved")->reason, "InvalidSpec");
    assert_non_null(strstr(fixture_condition(&f, "Resolved")->message, "runtime"));
    fixture_done(&f);
}

#define WITH_TOKEN                                                                                 \
    "{'runtime': 'Codex', 'paused': false, 'agentToken': {'secretRef': {'name': 's', 'key': "      \
    "'k'}}}"
#define WAS_READY(generation)                                                                      \
    "{'observedGeneration': 3, 'conditions': [{'type': 'Ready', 'status': 'True', 'reason':"       \
    " 'PodReady', 'message': '', 'lastTransitionTime': '2026-06-01T11:00:00Z',"                    \
    " 'observedGeneration': " #generation "}]}"

static void test_a_reference_that_vanishes_does_not_take_the_pod_along(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, WITH_TOKEN, WAS_READY(3));
    fixture_set_pod(&f, READY_POD, "as it was made");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Ready")->status, "True");
    assert_string_equal(fixture_condition(&f, "Resolved")->status, "False");
    fixture_done(&f);
}

static void test_ready_for_an_older_generation_is_not_ready(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, WITH_TOKEN, WAS_READY(2));
    fixture_set_pod(&f, READY_POD, "as it was made");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Ready")->status, "False");
    assert_non_null(strstr(fixture_condition(&f, "Ready")->message, "left alone"));
    fixture_done(&f);
}

/* Without the certificate nobody knows what the pod should be: what was said of it before is all that can be said. */
static void test_ready_is_not_said_of_a_generation_that_the_pod_was_not_compared_with(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, WAS_READY(2));
    f.o.bundle = NULL;
    fixture_set_pod(&f, READY_POD, "as it was made");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Ready")->status, "True");
    assert_int_equal(fixture_condition(&f, "Ready")->observed_generation, 2);
    fixture_done(&f);
}

/* ---- pods and claims of others ---- */

static void test_a_pod_of_somebody_else_is_left_alone(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    f.o.pod =
        fixture_object(&ak_pod_kind, "{'metadata': {'name': 'one', 'namespace': 'team', 'uid':"
                                     " 'x'}, 'status': {'phase': 'Failed'}}");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Ready")->reason, "PodNameTaken");
    assert_null(f.plan.status.pod_name);
    fixture_done(&f);
}

static void test_the_pod_of_a_former_agent_is_waited_for(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    f.o.pod = fixture_object(&ak_pod_kind,
                             "{'metadata': {'name': 'one', 'namespace': 'team', 'uid': 'x',"
                             " 'ownerReferences': [{'apiVersion': 'agentkube.io/v1alpha1', 'kind':"
                             " 'Agent', 'name': 'one', 'uid': 'older', 'controller': true}]}}");
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_string_equal(fixture_condition(&f, "Ready")->reason, "PodStopping");
    fixture_done(&f);
}

static void test_an_agent_that_is_deleted_makes_nothing(void **state)
{
    struct fixture f;
    (void)state;
    AK_AUTO_JSON *manifest =
        fixture_json("{'metadata': {'name': 'one', 'deletionTimestamp': '2026-06-01T11:59:00Z',"
                     " 'finalizers': ['foregroundDeletion']}, 'spec': " CLAUDE "}");
    fixture_init_manifest(&f, manifest);
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_int_equal(f.plan.status.phase, AK_AGENT_PHASE_TERMINATING);
    fixture_done(&f);
}

#define PERSISTENT(more)                                                                           \
    "{'runtime': 'Codex', 'paused': false, 'workspace': {'persistent': true" more "}}"
#define CLAIM(owner)                                                                               \
    "{'metadata': {'name': 'one-workspace', 'namespace': 'team', 'uid': 'c'" owner "}, 'spec':"    \
    " {'storageClassName': 'fast', 'accessModes': ['ReadWriteMany'], 'resources': {'requests':"    \
    " {'storage': '20Gi'}}}}"

static void test_a_persistent_workspace_has_a_claim_with_or_without_owner(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, PERSISTENT(", 'storageClassName': 'slow'"), NULL);
    fixture_plan(&f);
    assert_string_equal(ak_json_text(f.plan.workspace, "metadata", "name", NULL), "one-workspace");
    assert_string_equal(ak_json_text(f.plan.workspace, "spec", "storageClassName", NULL), "slow");
    assert_int_equal(
        json_array_size(ak_json_at(f.plan.workspace, "metadata", "ownerReferences", NULL)), 1);
    fixture_done(&f);

    fixture_init(&f, PERSISTENT(", 'reclaimPolicy': 'Retain'"), NULL);
    fixture_plan(&f);
    assert_null(ak_json_at(f.plan.workspace, "metadata", "ownerReferences", NULL));
    fixture_done(&f);
}

static void test_what_cannot_change_in_a_claim_stays_and_is_noted(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, PERSISTENT(", 'size': '5Gi', 'storageClassName': 'slow'"), NULL);
    f.o.workspace = fixture_object(&ak_claim_kind, CLAIM(""));
    fixture_plan(&f);
    const json_t *spec = json_object_get(f.plan.workspace, "spec");
    assert_string_equal(ak_json_text(spec, "resources", "requests", "storage", NULL), "20Gi");
    assert_string_equal(ak_json_text(spec, "storageClassName", NULL), "fast");
    assert_string_equal(json_string_value(json_array_get(json_object_get(spec, "accessModes"), 0)),
                        "ReadWriteMany");
    assert_int_equal(f.plan.status.resolved->problems.len, 3);
    assert_string_equal(fixture_condition(&f, "Resolved")->status, "True");
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_CREATE);
    fixture_done(&f);
}

static void test_a_claim_of_another_owner_is_not_used(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, PERSISTENT(""), NULL);
    f.o.workspace =
        fixture_object(&ak_claim_kind,
                       CLAIM(", 'ownerReferences': [{'apiVersion': 'apps/v1', 'kind': 'Db', 'name':"
                             " 'd', 'uid': 'u', 'controller': true}]"));
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_null(f.plan.workspace);
    assert_string_equal(fixture_condition(&f, "Resolved")->reason, "ClaimNameTaken");
    fixture_done(&f);
}

static void test_a_claim_that_is_being_deleted_holds_the_pod_up(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, PERSISTENT(""), NULL);
    f.o.workspace =
        fixture_object(&ak_claim_kind, CLAIM(", 'deletionTimestamp': '2026-06-01T11:59:00Z'"));
    fixture_plan(&f);
    assert_int_equal(f.plan.move, AK_AGENT_MOVE_NONE);
    assert_null(f.plan.workspace);
    assert_string_equal(fixture_condition(&f, "Ready")->reason, "ClaimStopping");
    fixture_done(&f);
}

/* ---- timers, texts ---- */

static void test_the_next_run_and_secrets_set_timers(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    f.o.next_run = f.o.now + AK_MINUTES(3);
    fixture_plan(&f);
    assert_int_equal(f.plan.again_after, AK_MINUTES(3));
    assert_int_equal(f.plan.status.next_run_time, f.o.next_run);
    f.o.secret_ttl = AK_SECONDS(60);
    fixture_plan(&f);
    assert_in_range(f.plan.again_after, AK_SECONDS(60), AK_SECONDS(75));
    fixture_done(&f);
}

static void test_a_kubelet_that_alternates_between_two_texts_makes_one(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(
        &f, CLAUDE,
        "{'podUID': 'pod-uid', 'conditions': [{'type': 'Ready', 'status': 'False', 'reason':"
        " 'ImagePullBackOff', 'message': 'the first words', 'lastTransitionTime':"
        " '2026-06-01T11:00:00Z'}]}");
    fixture_set_pod(&f, WAITING("ErrImagePull", "other words"), NULL);
    fixture_plan(&f);
    assert_string_equal(fixture_condition(&f, "Ready")->message, "the first words");
    fixture_done(&f);
}

static void test_a_transition_time_moves_only_with_the_status(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, WAS_READY(3));
    fixture_set_pod(&f, READY_POD, NULL);
    fixture_plan(&f);
    ak_msec before = 0;
    assert_int_equal(ak_parse_rfc3339("2026-06-01T11:00:00Z", &before), 0);
    assert_int_equal(fixture_condition(&f, "Ready")->last_transition, before);
    fixture_set_pod(&f, "{'phase': 'Pending'}", NULL);
    fixture_plan(&f);
    assert_int_equal(fixture_condition(&f, "Ready")->last_transition, f.o.now);
    fixture_done(&f);
}

static void test_the_same_picture_gives_the_same_status(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, CLAUDE, NULL);
    fixture_set_pod(&f, READY_POD, NULL);
    fixture_plan(&f);
    AK_AUTO_JSON *first = NULL;
    assert_int_equal(ak_agent_status_json(&f.plan, &first, NULL), 0);
    AK_AUTO_JSON *manifest = json_pack("{s:{s:s}, s:o, s:O}", "metadata", "name", "one", "spec",
                                       fixture_json(CLAUDE), "status", first);
    struct fixture g;
    fixture_init_manifest(&g, manifest);
    g.o.now += AK_HOURS(1);
    fixture_set_pod(&g, READY_POD, NULL);
    fixture_plan(&g);
    AK_AUTO_JSON *second = NULL;
    assert_int_equal(ak_agent_status_json(&g.plan, &second, NULL), 0);
    assert_true(json_equal(first, second));
    fixture_done(&f);
    fixture_done(&g);
}

static void test_texts_are_cut_between_characters(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    (void)state;
    ak_arena_init(&arena, 64, 0);
    assert_string_equal(ak_agent_cut(&arena, "abc \n", 10), "abc");
    assert_string_equal(ak_agent_cut(&arena, "ab\xc3\xa4z", 3), "ab");
    assert_string_equal(ak_agent_cut(&arena, "ab\xc3\xa4z", 4), "ab\xc3\xa4");
    assert_string_equal(ak_agent_cut(&arena, "", 4), "");
}

static void test_a_plan_survives_any_failing_allocation(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f, PERSISTENT(", 'setupCommand': 'make', 'repo': {'url': 'https://x/y'}"), NULL);
    for (int64_t n = 0;; n++) {
        AK_AUTO(ak_agent_plan) plan = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO(ak_arena) arena = {0};
        ak_arena_init(&arena, 256, 0);
        ak_alloc_fail_after(n);
        int r = ak_agent_plan_make(&f.o, &arena, &plan, &err);
        bool delivered = ak_alloc_fail_after(-1);
        if (!delivered) {
            assert_int_equal(r, 0);
            assert_in_range(n, 50, 100000);
            break;
        }
        if (r != -ENOMEM)
            fail_msg("allocation %d failed, and the plan returned %d", (int)n, r);
    }
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_pod_says_becomes_a_reason_and_words),
        cmocka_unit_test(test_a_ready_pod_is_described_in_the_status),
        cmocka_unit_test(test_no_pod_means_one_is_made),
        cmocka_unit_test(test_a_pod_made_from_something_else_is_replaced),
        cmocka_unit_test(test_what_the_pod_reads_by_reference_is_in_its_hash),
        cmocka_unit_test(test_paused_starts_nothing_and_stops_what_runs),
        cmocka_unit_test(
            test_a_failed_pod_is_counted_first_and_deleted_when_the_count_is_on_record),
        cmocka_unit_test(test_the_pause_holds_unless_the_spec_changes),
        cmocka_unit_test(test_the_pause_doubles_up_to_its_limit),
        cmocka_unit_test(test_failures_are_forgotten_when_a_pod_was_ready_for_a_while),
        cmocka_unit_test(test_findings_stop_the_start_and_say_what_to_change),
        cmocka_unit_test(test_a_schedule_that_cannot_be_read_is_named),
        cmocka_unit_test(test_a_spec_that_cannot_be_decoded_is_reported_and_kills_nothing),
        cmocka_unit_test(test_a_reference_that_vanishes_does_not_take_the_pod_along),
        cmocka_unit_test(test_ready_for_an_older_generation_is_not_ready),
        cmocka_unit_test(test_ready_is_not_said_of_a_generation_that_the_pod_was_not_compared_with),
        cmocka_unit_test(test_a_pod_of_somebody_else_is_left_alone),
        cmocka_unit_test(test_the_pod_of_a_former_agent_is_waited_for),
        cmocka_unit_test(test_an_agent_that_is_deleted_makes_nothing),
        cmocka_unit_test(test_a_persistent_workspace_has_a_claim_with_or_without_owner),
        cmocka_unit_test(test_what_cannot_change_in_a_claim_stays_and_is_noted),
        cmocka_unit_test(test_a_claim_of_another_owner_is_not_used),
        cmocka_unit_test(test_a_claim_that_is_being_deleted_holds_the_pod_up),
        cmocka_unit_test(test_the_next_run_and_secrets_set_timers),
        cmocka_unit_test(test_a_kubelet_that_alternates_between_two_texts_makes_one),
        cmocka_unit_test(test_a_transition_time_moves_only_with_the_status),
        cmocka_unit_test(test_the_same_picture_gives_the_same_status),
        cmocka_unit_test(test_texts_are_cut_between_characters),
        cmocka_unit_test(test_a_plan_survives_any_failing_allocation),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
