/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing Agents: defaults, errors with their paths, the lenient status, short memory. */
#include <ak/api/agent.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/arena.h>
#include <ak/json/json.h>

struct fixture {
    struct ak_arena arena;
    struct ak_agent agent;
    struct ak_error *err;
};

static int set_up(void **state)
{
    struct fixture *self = ak_new0(struct fixture);

    ak_arena_init(&self->arena, 4096, 0);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *self = *state;

    ak_error_free(self->err);
    ak_arena_done(&self->arena);
    ak_free(self);
    return 0;
}

static int read_agent(struct fixture *self, const char *yaml)
{
    AK_AUTO_JSON *tree = NULL;

    self->err = ak_error_free(self->err);
    memset(&self->agent, 0, sizeof(self->agent));
    assert_true(ak_yaml_parse(yaml, strlen(yaml), &tree, NULL) >= 0);
    return ak_decode(&ak_agent_type, tree, &self->agent, &self->arena, &self->err);
}

static void test_the_smallest_agent_has_all_defaults(void **state)
{
    struct fixture *self = *state;
    const struct ak_agent_spec *spec;

    assert_true(read_agent(self, "spec: {runtime: ClaudeCode}") >= 0);
    spec = self->agent.spec;
    assert_int_equal(AK_AGENT_RUNTIME_CLAUDE_CODE, spec->runtime);
    assert_int_equal(AK_AGENT_MODE_SUPERVISED, spec->mode);
    assert_true(spec->paused);
    assert_null(spec->goal);
    assert_null(spec->schedule);
    assert_null(spec->playbook);
    assert_null(spec->resources);
    assert_int_equal(AK_PULL_POLICY_UNSET, spec->image_pull_policy);
    assert_int_equal(0, spec->tools.len);
    assert_false(spec->workspace->persistent);
    assert_string_equal("10Gi", spec->workspace->size);
    assert_null(spec->workspace->storage_class_name);
    assert_int_equal(AK_AGENT_ACCESS_MODE_READ_WRITE_ONCE, spec->workspace->access_mode);
    assert_int_equal(AK_AGENT_RECLAIM_POLICY_DELETE, spec->workspace->reclaim_policy);
    assert_int_equal(600, spec->workspace->setup_timeout_seconds);
    assert_int_equal(3600, spec->run->timeout_seconds);
    assert_int_equal(10, spec->run->max_queued);
    assert_int_equal(20, spec->run->max_retained);
    assert_non_null(self->agent.status);
    assert_int_equal(AK_AGENT_PHASE_UNSET, self->agent.status->phase);
}

static void test_every_kind_of_field_is_read(void **state)
{
    struct fixture *self = *state;
    const struct ak_agent_spec *spec;
    const struct ak_agent_step *steps;

    assert_true(read_agent(self, "spec:\n"
                                 "  runtime: OpenCode\n"
                                 "  mode: system\n"
                                 "  paused: false\n"
                                 "  goal: {configMapKeyRef: {name: goals, key: first}}\n"
                                 "  tools: [{name: a}, {name: b}]\n"
                                 "  schedule: {cron: '@daily', startingDeadlineSeconds: 0}\n"
                                 "  workspace: {size: 1073741824, storageClassName: ''}\n"
                                 "  playbook:\n"
                                 "    steps:\n"
                                 "    - {name: one, prompt: hello}\n"
                                 "    - {name: two, run: make, timeoutSeconds: 5,"
                                 " continueOnError: true}\n"
                                 "  resources: {limits: {memory: 1Gi, cpu: 2}}\n"
                                 "  nodeSelector: {zone: b, arch: arm64}\n"
                                 "  tolerations: [{key: k, operator: Exists}]\n"
                                 "  env: [{name: A}, {name: B, value: b}]\n") >= 0);
    spec = self->agent.spec;
    assert_false(spec->paused);
    assert_null(spec->goal->inline_);
    assert_string_equal("goals", spec->goal->config_map_key_ref->name);
    assert_string_equal("first", spec->goal->config_map_key_ref->key);
    assert_int_equal(2, spec->tools.len);
    assert_string_equal("b", spec->tools.items[1].name);
    assert_string_equal("UTC", spec->schedule->time_zone);
    assert_int_equal(AK_AGENT_CONCURRENCY_FORBID, spec->schedule->concurrency_policy);
    assert_true(spec->schedule->starting_deadline_seconds.set);
    assert_string_equal("1073741824", spec->workspace->size);
    assert_string_equal("", spec->workspace->storage_class_name);
    steps = spec->playbook->steps.items;
    assert_string_equal("hello", steps[0].prompt);
    assert_false(steps[0].timeout_seconds.set);
    assert_false(steps[0].continue_on_error);
    assert_int_equal(5, steps[1].timeout_seconds.value);
    assert_true(steps[1].continue_on_error);
    assert_string_equal("{\"limits\":{\"memory\":\"1Gi\",\"cpu\":2}}", spec->resources);
    assert_string_equal("arm64", ak_string_map_get(&spec->node_selector, "arch"));
    assert_string_equal("[{\"key\":\"k\",\"operator\":\"Exists\"}]", spec->tolerations);
    assert_string_equal("", spec->env.items[0].value);
    assert_string_equal("b", spec->env.items[1].value);
}

static void test_errors_name_the_path_as_users_know_it(void **state)
{
    static const struct {
        const char *yaml;
        const char *message;
    } cases[] = {
        {"spec: {}", "spec.runtime: must be set"},
        {"spec: {runtime: null}", "spec.runtime: must be set"},
        {"spec: {runtime: Perl}",
         "spec.runtime: expected one of \"ClaudeCode\", \"Codex\", \"OpenCode\", "
         "\"Aider\", \"Cline\", \"Goose\", \"Cursor\", \"Custom\", found \"Perl\""},
        {"spec: {runtime: Codex, paused: 'yes'}",
         "spec.paused: expected a boolean, found a string"},
        {"spec: {runtime: Codex, goal: do it}", "spec.goal: expected an object, found a string"},
        {"spec: {runtime: Codex, goal: {configMapKeyRef: {name: a}}}",
         "spec.goal.configMapKeyRef.key: must be set"},
        {"spec: {runtime: Codex, agentToken: {}}", "spec.agentToken.secretRef: must be set"},
        {"spec: {runtime: Codex, tools: [a]}", "spec.tools[0]: expected an object, found a string"},
        {"spec: {runtime: Codex, mcpRefs: [{name: a}, {}]}", "spec.mcpRefs[1].name: must be set"},
        {"spec: {runtime: Codex, run: {maxQueued: many}}",
         "spec.run.maxQueued: expected an integer, found a string"},
        {"spec: {runtime: Codex, playbook: {}}", "spec.playbook.steps: must be set"},
        {"spec: {runtime: Codex, playbook: {steps: [{name: a}, {prompt: b}]}}",
         "spec.playbook.steps[1].name: must be set"},
        {"spec: {runtime: Codex, nodeSelector: {a: 1}}",
         "spec.nodeSelector.a: expected a string, found an integer"},
        {"spec: {runtime: Codex, workspace: {size: []}}",
         "spec.workspace.size: expected an integer or a string, found a list"},
    };
    struct fixture *self = *state;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        assert_int_equal(AK_E_INVALID, read_agent(self, cases[i].yaml));
        assert_string_equal(cases[i].message, ak_error_message(self->err));
    }
}

static void test_unknown_fields_and_nulls_do_not_matter(void **state)
{
    struct fixture *self = *state;

    assert_true(read_agent(self, "apiVersion: agentkube.io/v9\n"
                                 "metadata: 7\n"
                                 "spec: {runtime: Goose, future: {a: [1]}, goal: null, run: null,\n"
                                 "       workspace: {persistent: null, shape: round}}") >= 0);
    assert_null(self->agent.spec->goal);
    assert_int_equal(10, self->agent.spec->run->max_queued);
    assert_false(self->agent.spec->workspace->persistent);
}

/* A newer manager may have written a status that we do not understand; the spec must stay readable. */
static void test_a_status_of_a_newer_manager_is_read_as_far_as_it_is_known(void **state)
{
    struct fixture *self = *state;
    const struct ak_agent_status *status;

    assert_true(read_agent(self, "spec: {runtime: Goose}\n"
                                 "status:\n"
                                 "  phase: Dreaming\n"
                                 "  ready: 1\n"
                                 "  restarts: 3\n"
                                 "  startTime: yesterday\n"
                                 "  backoff: soon\n"
                                 "  resolved: {image: img, tools: [{name: a, found: maybe}]}\n"
                                 "  conditions: [{type: Ready, status: 'True'}]\n") >= 0);
    status = self->agent.status;
    assert_int_equal(AK_AGENT_PHASE_UNSET, status->phase);
    assert_null(status->ready);
    assert_int_equal(3, status->restarts);
    assert_int_equal(0, status->start_time);
    assert_null(status->backoff);
    assert_string_equal("img", status->resolved->image);
    assert_int_equal(1, status->resolved->tools.len);
    assert_false(status->resolved->tools.items[0].found);
    assert_true(ak_condition_is_true(status->conditions.items, status->conditions.len, "Ready"));
    assert_true(read_agent(self, "spec: {runtime: Goose}\nstatus: nonsense") >= 0);
    assert_non_null(self->agent.status);
}

static void test_a_status_survives_writing_and_reading(void **state)
{
    struct fixture *self = *state;
    const struct ak_agent_resolved_ref tools[] = {
        {.name = "db", .type = "postgres", .found = true}};
    const struct ak_condition conditions[] = {{.type = "Ready",
                                               .status = "False",
                                               .reason = "Paused",
                                               .message = "set spec.paused to false",
                                               .last_transition = AK_SECONDS(1790000000),
                                               .observed_generation = 4}};
    const struct ak_agent_backoff backoff = {.failures = 2, .until = AK_SECONDS(1790000100)};
    const struct ak_agent_termination ended = {.reason = "OOMKilled", .exit_code = 137};
    const struct ak_agent_resolved resolved = {.image = "img:1", .tools = {tools, 1}};
    const struct ak_agent_status status = {.phase = AK_AGENT_PHASE_PAUSED,
                                           .ready = "0/1",
                                           .observed_generation = 4,
                                           .backoff = &backoff,
                                           .last_termination = &ended,
                                           .resolved = &resolved,
                                           .conditions = {conditions, 1}};
    AK_AUTO_JSON *tree = NULL, *again = NULL;
    struct ak_agent_status back = {0};

    assert_true(ak_encode(&ak_agent_status_type, &status, &tree, NULL) >= 0);
    assert_string_equal("Paused", ak_json_text(tree, "phase", NULL));
    assert_null(json_object_get(tree, "startTime"));
    assert_null(json_object_get(tree, "podName"));
    assert_true(ak_decode(&ak_agent_status_type, tree, &back, &self->arena, NULL) >= 0);
    assert_int_equal(AK_SECONDS(1790000100), back.backoff->until);
    assert_int_equal(137, back.last_termination->exit_code);
    assert_string_equal("postgres", back.resolved->tools.items[0].type);
    assert_int_equal(AK_SECONDS(1790000000), back.conditions.items[0].last_transition);
    assert_true(ak_encode(&ak_agent_status_type, &back, &again, NULL) >= 0);
    assert_true(json_equal(tree, again));
}

static void test_enums_have_the_names_of_the_api(void **state)
{
    (void)state;
    for (int i = 1; i < AK_AGENT_RUNTIME_MAX; i++) {
        const char *name = ak_agent_runtime_to_string((enum ak_agent_runtime)i);

        assert_true(name[0]);
        assert_int_equal(i, ak_agent_runtime_from_string(name));
    }
    assert_null(ak_agent_runtime_names[AK_AGENT_RUNTIME_MAX]);
    assert_string_equal("", ak_agent_runtime_to_string(AK_AGENT_RUNTIME_UNSET));
    assert_string_equal("", ak_agent_runtime_to_string(AK_AGENT_RUNTIME_MAX));
    assert_int_equal(AK_AGENT_RUNTIME_UNSET, ak_agent_runtime_from_string("claudecode"));
    assert_int_equal(AK_AGENT_RUNTIME_UNSET, ak_agent_runtime_from_string(NULL));
    assert_int_equal(AK_AGENT_RUNTIME_UNSET, ak_agent_runtime_from_string(""));
    assert_string_equal("ReadWriteOncePod",
                        ak_agent_access_mode_to_string(AK_AGENT_ACCESS_MODE_READ_WRITE_ONCE_POD));
}

static void test_short_memory_is_an_error_and_leaks_nothing(void **state)
{
    static const char yaml[] = "spec: {runtime: Codex, tools: [{name: a}], env: [{name: A}],\n"
                               "  nodeSelector: {a: b}, resources: {limits: {cpu: 1}},\n"
                               "  playbook: {steps: [{name: a, run: b}]}}";
    AK_AUTO_JSON *tree = NULL;
    int failures = 0, r;

    (void)state;
    assert_true(ak_yaml_parse(yaml, strlen(yaml), &tree, NULL) >= 0);
    do {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_agent agent = {0};

        ak_arena_init(&arena, 64, 0); /* small chunks: many allocations that can fail */
        (void)ak_alloc_fail_after(failures++);
        r = ak_decode(&ak_agent_type, tree, &agent, &arena, &err);
        if (!ak_alloc_fail_after(-1)) {
            assert_true(r >= 0);
            break;
        }
        assert_int_equal(-ENOMEM, r);
        assert_int_equal(-ENOMEM, ak_error_code(err));
    } while (failures < 10000);
    assert_in_range(failures, 3, 9999);
}

static void test_an_object_larger_than_its_arena_is_refused(void **state)
{
    static const char yaml[] = "spec: {runtime: Codex, goal: {inline: 'a rather long goal'}}";
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_JSON *tree = NULL;
    struct ak_agent agent = {0};

    (void)state;
    ak_arena_init(&arena, 64, 128);
    assert_true(ak_yaml_parse(yaml, strlen(yaml), &tree, NULL) >= 0);
    assert_int_equal(AK_E_TOO_LARGE, ak_decode(&ak_agent_type, tree, &agent, &arena, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_smallest_agent_has_all_defaults),
        TEST(test_every_kind_of_field_is_read),
        TEST(test_errors_name_the_path_as_users_know_it),
        TEST(test_unknown_fields_and_nulls_do_not_matter),
        TEST(test_a_status_of_a_newer_manager_is_read_as_far_as_it_is_known),
        TEST(test_a_status_survives_writing_and_reading),
        cmocka_unit_test(test_enums_have_the_names_of_the_api),
        cmocka_unit_test(test_short_memory_is_an_error_and_leaks_nothing),
        cmocka_unit_test(test_an_object_larger_than_its_arena_is_refused),
    };

    ak_json_setup();
    return cmocka_run_group_tests_name("api/agent", tests, NULL, NULL);
}
