/* SPDX-License-Identifier: Apache-2.0 */
/* What is decided about a Tool, situation by situation. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "fixture.h"
#include "tool-fixture.h"

#define CONFIG                                                                                     \
    "'config': {'hostname': '10.1.2.3', 'username': 'app', 'databaseName': 'shop', "               \
    "'credentialsRef': {'name': 'db', 'key': 'password'}}"
#define PLAIN "{'type': 'postgres', " CONFIG "}"
#define PROBED "{'type': 'postgres', 'probe': true, " CONFIG "}"
#define PERMITTED                                                                                  \
    "{'type': 'postgres', " CONFIG ", 'permissions': {'adminCredentialsRef': {'name': 'admin', "   \
    "'key': 'password'}, 'grants': [{'privileges': ['SELECT'], 'schema': 'public'}]}}"
#define READY "{'phase': 'Running', 'conditions': [{'type': 'Ready', 'status': 'True'}]}"
#define PENDING "{'phase': 'Pending'}"
#define ENDED(phase, code, text)                                                                   \
    "{'phase': '" phase "', 'containerStatuses': [{'name': 'bastion', 'state': {'terminated': "    \
    "{'exitCode': " code ", 'reason': 'Error', 'message': '" text "'}}}]}"

/* A JSON text inside a JSON text of the fixtures. */
static void say(const struct ak_object **slot, const json_t *made, const char *phase, int code,
                const char *result)
{
    AK_AUTO_JSON *tree = fixture_json(result);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 16);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 16);
    AK_AUTO_JSON *status = NULL;
    assert_int_equal(ak_json_write(tree, &text, NULL), 0);
    status = json_pack("{s:s, s:[{s:s, s:{s:{s:i, s:s}}}]}", "phase", phase, "containerStatuses",
                       "name", "bastion", "state", "terminated", "exitCode", code, "message",
                       ak_buf_text(&text));
    assert_int_equal(ak_json_write(status, &out, NULL), 0);
    tool_fixture_set_pod(slot, made, ak_buf_text(&out));
}

static void assert_ready(const struct tool_fixture *f, const char *status, const char *reason)
{
    const struct ak_condition *c = tool_fixture_condition(f, "Ready");
    if (!ak_streq(c->status, status) || !ak_streq(c->reason, reason))
        fail_msg("Ready=%s %s: %s", c->status, c->reason, c->message);
}

static void gone(const struct ak_object **slot)
{
    *slot = ak_object_unref(*slot);
}

/* ---- checks ---- */

static void test_a_tool_without_a_check_is_ready_and_has_no_pod(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PLAIN, NULL, NULL);
    tool_fixture_plan(&f);
    assert_ready(&f, "True", "NotProbed");
    assert_int_equal(f.plan.status.phase, AK_TOOL_PHASE_READY);
    assert_null(f.plan.bastion);
    assert_null(f.plan.probe);
    assert_non_null(f.plan.account);
    assert_non_null(f.plan.policy);
    assert_false(f.plan.add_finalizer);
    tool_fixture_done(&f);
}

static void test_a_check_is_made_once_recorded_and_then_its_pod_deleted(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PROBED, NULL, NULL);
    tool_fixture_plan(&f);
    assert_ready(&f, "False", "Probing");
    AK_AUTO_JSON *made = json_incref(f.plan.probe);
    assert_non_null(made);
    tool_fixture_set_pod(&f.o.probe, made, PENDING);
    tool_fixture_plan(&f);
    assert_null(f.plan.probe);
    assert_int_equal(f.plan.n_removals, 0);
    say(&f.o.probe, made, "Succeeded", 0,
        "{'reachable': true, 'authenticated': true, 'authorised': true, 'server': 'X 1'}");
    tool_fixture_plan(&f);
    assert_int_equal(f.plan.n_removals, 0);
    assert_ready(&f, "True", "Reachable");
    tool_fixture_settle(&f);
    tool_fixture_plan(&f);
    assert_int_equal(f.plan.n_removals, 1);
    assert_ptr_equal(f.plan.removals[0].pod, f.o.probe);
    gone(&f.o.probe);
    tool_fixture_plan(&f);
    assert_null(f.plan.probe);
    assert_true(f.plan.again_after >= AK_TOOL_PROBE_EVERY);
    f.o.now += 2 * AK_TOOL_PROBE_EVERY;
    tool_fixture_plan(&f);
    assert_non_null(f.plan.probe);
    assert_ready(&f, "True", "Reachable");
    tool_fixture_done(&f);
}

static void test_which_of_the_three_failed(void **state)
{
    static const struct {
        const char *result, *message;
    } cases[] = {
        {"{'message': 'connection refused'}", "not reachable: connection refused"},
        {"{'reachable': true, 'message': 'no'}", "reachable, but not authenticated: no"},
        {"{'reachable': true, 'authenticated': true, 'message': 'no'}",
         "reachable and authenticated, but not authorised: no"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct tool_fixture f;
        tool_fixture_init(&f, PROBED, NULL, NULL);
        tool_fixture_plan(&f);
        AK_AUTO_JSON *made = json_incref(f.plan.probe);
        say(&f.o.probe, made, "Failed", 1, cases[i].result);
        tool_fixture_plan(&f);
        assert_ready(&f, "False", "ProbeFailed");
        assert_string_equal(tool_fixture_condition(&f, "Ready")->message, cases[i].message);
        assert_int_equal(f.plan.status.last_probe->failures, 1);
        tool_fixture_settle(&f);
        gone(&f.o.probe);
        tool_fixture_plan(&f); /* not at once */
        assert_null(f.plan.probe);
        assert_true(f.plan.again_after <= AK_TOOL_BACKOFF_FIRST);
        f.o.now += AK_TOOL_BACKOFF_FIRST;
        tool_fixture_plan(&f);
        assert_non_null(f.plan.probe);
        tool_fixture_done(&f);
    }
}

static void test_a_changed_credential_is_checked_anew(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PROBED, NULL, NULL);
    tool_fixture_plan(&f);
    AK_AUTO_JSON *made = json_incref(f.plan.probe);
    say(&f.o.probe, made, "Succeeded", 0,
        "{'reachable': true, 'authenticated': true, 'authorised': true}");
    tool_fixture_plan(&f);
    tool_fixture_settle(&f);
    gone(&f.o.probe);
    f.o.credential.hex[0] ^= 1;
    tool_fixture_plan(&f);
    assert_ready(&f, "False", "Probing");
    assert_non_null(f.plan.probe);
    tool_fixture_done(&f);
}

/* ---- the bastion ---- */

static void test_a_bastion_is_made_when_it_is_wanted_and_replaced_when_something_changed(
    void **state)
{
    static const struct {
        bool tool;
        const char *reason;
    } cases[] = {{false, "the credential was changed"}, {true, "the Tool was changed"}};
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct tool_fixture f;
        tool_fixture_init(&f, PLAIN, NULL, NULL);
        f.o.use.wanted = true;
        tool_fixture_plan(&f);
        AK_AUTO_JSON *made = json_incref(f.plan.bastion);
        assert_non_null(made);
        tool_fixture_set_pod(&f.o.bastion, made, READY);
        f.o.use = (struct ak_tools_view){.is_known = true, .sessions = 2};
        tool_fixture_plan(&f);
        assert_int_equal(f.plan.n_removals, 0);
        assert_int_equal(f.plan.status.phase, AK_TOOL_PHASE_ACTIVE);
        assert_int_equal(f.plan.status.bastion->sessions, 2);
        assert_true(f.plan.again_after <= AK_TOOL_POLL);
        assert_ptr_equal(f.plan.ready_bastion, f.o.bastion);
        if (cases[i].tool) {
            const struct ak_object *was = f.o.tool;
            struct tool_fixture other;
            tool_fixture_init(&other, "{'type': 'postgres', 'maxSessions': 3, " CONFIG "}", NULL,
                              NULL);
            f.o.tool = ak_object_ref(other.o.tool);
            (void)ak_object_unref(was);
            tool_fixture_done(&other);
        } else {
            f.o.credential.hex[0] ^= 1;
        }
        tool_fixture_plan(&f);
        assert_int_equal(f.plan.n_removals, 1);
        assert_string_equal(f.plan.removals[0].end_reason, cases[i].reason);
        assert_null(f.plan.ready_bastion);
        tool_fixture_done(&f);
    }
}

static void test_another_version_of_ours_waits_until_nobody_uses_the_bastion(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PLAIN, NULL, NULL);
    f.o.use.wanted = true;
    tool_fixture_plan(&f);
    AK_AUTO_JSON *made = json_incref(f.plan.bastion);
    tool_fixture_set_pod(&f.o.bastion, made, READY);
    f.options.manager_image = "registry.example/manager:v2";
    f.o.use = (struct ak_tools_view){.is_known = true, .sessions = 1};
    tool_fixture_plan(&f);
    assert_int_equal(f.plan.n_removals, 0);
    f.o.use.sessions = 0;
    tool_fixture_plan(&f);
    assert_int_equal(f.plan.n_removals, 1);
    tool_fixture_done(&f);
}

static void test_a_bastion_whose_secret_is_gone_ends(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PLAIN, NULL, NULL);
    f.o.use.wanted = true;
    tool_fixture_plan(&f);
    AK_AUTO_JSON *made = json_incref(f.plan.bastion);
    tool_fixture_set_pod(&f.o.bastion, made, READY);
    f.o.credential = (struct ak_digest){0};
    tool_fixture_plan(&f);
    assert_ready(&f, "False", "SecretMissing");
    assert_int_equal(f.plan.n_removals, 1);
    assert_string_equal(f.plan.removals[0].end_reason, "the credential was removed");
    gone(&f.o.bastion);
    tool_fixture_plan(&f);
    assert_null(f.plan.bastion);
    tool_fixture_done(&f);
}

static void test_a_bastion_that_failed_comes_back_after_a_pause(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PLAIN, NULL, NULL);
    f.o.use.wanted = true;
    tool_fixture_plan(&f);
    AK_AUTO_JSON *made = json_incref(f.plan.bastion);
    tool_fixture_set_pod(&f.o.bastion, made, ENDED("Failed", "1", "boom"));
    tool_fixture_plan(&f);
    assert_int_equal(f.plan.n_removals, 1);
    assert_int_equal(f.plan.n_news, 1);
    assert_non_null(strstr(f.plan.news[0].text, "boom"));
    f.o.recall = f.plan.recall;
    tool_fixture_plan(&f); /* the same pod is not counted twice */
    assert_int_equal(f.plan.recall.bastion_failures, 1);
    gone(&f.o.bastion);
    tool_fixture_plan(&f);
    assert_null(f.plan.bastion);
    f.o.uptime += AK_TOOL_BACKOFF_FIRST;
    tool_fixture_plan(&f);
    assert_non_null(f.plan.bastion);
    tool_fixture_done(&f);
}

/* ---- the network ---- */

#define OUT(ports) "{'ports': [{'port': " ports ", 'protocol': 'TCP'}]}"
#define OUT_TO(block, ports)                                                                       \
    "{'ports': [{'port': " ports ", 'protocol': 'TCP'}], 'to': [{'ipBlock': {'cidr': '" block      \
    "'}}]}"
#define SECRET "'credentialsRef': {'name': 'db', 'key': 'password'}"

static void test_pods_reach_names_and_what_the_spec_says_the_system_is(void **state)
{
    static const struct {
        const char *spec, *egress; /* besides names */
    } cases[] = {
        {PLAIN, "[" OUT_TO("10.1.2.3/32", "5432") "]"},
        {"{'type': 'postgres', 'config': {'hostname': 'fd00::5', 'port': 6432}}",
         "[" OUT_TO("fd00::5/128", "6432") "]"},
        {"{'type': 'postgres', 'config': {'hostname': 'db.example'}}", "[" OUT("5432") "]"},
        {"{'type': 'clickhouse', 'config': {'hostname': 'db.example'}, 'tls': {'mode': 'require'}}",
         "[" OUT("8443") "]"},
        {"{'type': 'http', 'config': {'url': 'http://[fd00::1]:81/'}}",
         "[" OUT_TO("fd00::1/128", "81") "]"},
        {"{'type': 'kafka', 'config': {'brokers': ['10.0.0.1:9092', 'b:9093', 'c:9093']}}",
         "[" OUT_TO("10.0.0.1/32", "9092") ", " OUT("9093") "]"},
        {"{'type': 'rabbitmq', 'config': {'hostname': '10.0.0.1', 'managementPort': 8080}}",
         "[" OUT_TO("10.0.0.1/32", "8080") "]"},
        {"{'type': 'bigquery', 'config': {'project': 'p', 'hostname': '10.0.0.9', " SECRET "}}",
         "[" OUT_TO("10.0.0.9/32", "443") ", " OUT("443") "]"},
        {"{'type': 'kubernetes', 'config': {'inCluster': true}}",
         "[" OUT("443") ", " OUT("6443") "]"},
        {"{'type': 'kubernetes', 'config': {" SECRET "}}", "[{}]"},
        {"{'type': 'custom', 'image': 'i:1', 'config': {'command': ['c'], " SECRET "}}", "[{}]"},
        {"{'type': 'custom', 'image': 'i:1', 'config': {'command': ['c'], 'hostname': '10.0.0.1', "
         "" SECRET "}}",
         "[{'to': [{'ipBlock': {'cidr': '10.0.0.1/32'}}]}]"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *expected = fixture_json(cases[i].egress);
        struct tool_fixture f;
        tool_fixture_init(&f, cases[i].spec, NULL, NULL);
        tool_fixture_plan(&f);
        if (!f.plan.policy)
            fail_msg("%s: %s", cases[i].spec, tool_fixture_condition(&f, "Ready")->message);
        AK_AUTO_JSON *egress = ak_json_copy(ak_json_at(f.plan.policy, "spec", "egress", NULL));
        assert_int_equal(json_object_size(json_array_get(egress, 0)), 1);
        assert_int_equal(json_array_size(ak_json_at(json_array_get(egress, 0), "ports", NULL)), 2);
        assert_int_equal(json_array_remove(egress, 0), 0);
        if (!json_equal(egress, expected)) {
            AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 16);
            assert_int_equal(ak_json_write(egress, &text, NULL), 0);
            fail_msg("%s: %s", cases[i].spec, ak_buf_text(&text));
        }
        tool_fixture_done(&f);
    }
}

/* ---- users in the system ---- */

/* Up to users that are in force. */
static void provision(struct tool_fixture *f)
{
    tool_fixture_plan(f);
    assert_true(f->plan.mint);
    assert_true(f->plan.add_finalizer);
    assert_null(f->plan.job);
    assert_ready(f, "False", "Provisioning");
    tool_fixture_settle(f);
    tool_fixture_plan(f);
    assert_false(f->plan.mint);
    assert_non_null(f->plan.job);
    AK_AUTO_JSON *template = json_incref(ak_json_at(f->plan.job, "spec", "template", NULL));
    AK_AUTO_JSON *pod = json_pack("{s:O}", "metadata", json_object_get(template, "metadata"));
    AK_AUTO_JSON *owner = fixture_json("[{'apiVersion': 'batch/v1', 'kind': 'Job', 'name': 'j',"
                                       " 'uid': 'j', 'controller': true}]");
    json_t *meta = json_object_get(pod, "metadata");
    assert_int_equal(json_object_set_new(meta, "name", json_string("db-permissions-x-y")), 0);
    assert_int_equal(json_object_set_new(meta, "namespace", json_string("team")), 0);
    assert_int_equal(json_object_set(meta, "ownerReferences", owner), 0);
    tool_fixture_settle(f);
    tool_fixture_plan(f); /* the Job has no pod yet: it is not made twice */
    assert_null(f->plan.job);
    assert_null(f->plan.worker);
    say(&f->o.job, pod, "Succeeded", 0, "{'done': true, 'changed': ['made a role']}");
    tool_fixture_plan(f);
    assert_non_null(f->plan.status.permissions_hash);
    assert_int_equal(f->plan.n_news, 1);
    assert_int_equal(f->plan.n_removals, 0);
    tool_fixture_settle(f);
    tool_fixture_plan(f);
    assert_ready(f, "True", "NotProbed");
    assert_string_equal(tool_fixture_condition(f, "PermissionsEnforced")->reason, "Enforced");
}

static void test_permissions_are_minted_provisioned_checked_and_rotated(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PERMITTED, NULL, NULL);
    provision(&f);
    f.o.use.wanted = true;
    tool_fixture_plan(&f);
    assert_non_null(f.plan.bastion);
    f.o.use.wanted = false;
    f.o.now += 2 * AK_TOOL_DRIFT_EVERY;
    tool_fixture_plan(&f);
    AK_AUTO_JSON *drift = json_incref(f.plan.worker);
    assert_non_null(drift);
    assert_ready(&f, "True", "NotProbed");
    say(&f.o.worker, drift, "Failed", 1, "{'done': false, 'message': 'down'}");
    tool_fixture_plan(&f);
    assert_string_equal(tool_fixture_condition(&f, "PermissionsEnforced")->status, "Unknown");
    assert_non_null(f.plan.status.permissions_hash);
    gone(&f.o.worker);
    tool_fixture_settle(&f);
    f.o.now += AK_TOOL_ROTATE_EVERY;
    f.o.use.sessions = 1;
    tool_fixture_plan(&f);
    assert_false(f.plan.mint);
    f.o.use.sessions = 0;
    tool_fixture_plan(&f);
    assert_true(f.plan.mint);
    tool_fixture_settle(&f);
    tool_fixture_plan(&f);
    assert_null(f.plan.job); /* the same permissions: a pod */
    assert_non_null(f.plan.worker);
    tool_fixture_done(&f);
}

static void test_passwords_are_minted_once_whatever_the_cache_says(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PERMITTED, NULL, NULL);
    tool_fixture_plan(&f);
    assert_true(f.plan.mint);
    ak_msec minted = f.o.now;
    f.o.recall = f.plan.recall; /* written, and not seen yet */
    f.o.now += AK_SECONDS(2);
    f.o.uptime += AK_SECONDS(2);
    tool_fixture_plan(&f);
    assert_false(f.plan.mint);
    assert_non_null(f.plan.job);
    assert_int_equal(f.plan.status.identity->rotated_time, minted);
    AK_AUTO_JSON *early = json_incref(f.plan.job);
    tool_fixture_settle(&f);
    *f.o.recall.job = '\0'; /* it would be the same one */
    tool_fixture_plan(&f);
    assert_false(f.plan.mint);
    assert_true(json_equal(f.plan.job, early));
    tool_fixture_done(&f);
    tool_fixture_init(&f, PERMITTED, NULL, NULL);
    tool_fixture_plan(&f);
    f.o.recall = f.plan.recall;
    f.o.uptime += AK_MINUTES(1); /* the status was never written */
    tool_fixture_plan(&f);
    assert_true(f.plan.mint);
    tool_fixture_done(&f);
}

static void test_what_the_system_cannot_enforce_is_not_in_force(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PERMITTED, NULL, NULL);
    provision(&f);
    f.o.now += 2 * AK_TOOL_DRIFT_EVERY;
    tool_fixture_plan(&f);
    AK_AUTO_JSON *drift = json_incref(f.plan.worker);
    say(&f.o.worker, drift, "Failed", 1, "{'unenforceable': ['PUBLIC may write']}");
    f.o.use.wanted = true;
    tool_fixture_plan(&f);
    assert_ready(&f, "False", "NotEnforceable");
    assert_null(f.plan.status.permissions_hash);
    assert_null(f.plan.bastion);
    tool_fixture_done(&f);
}

static void test_a_deleted_tool_goes_when_its_users_are_removed(void **state)
{
    struct tool_fixture f;
    (void)state;
    tool_fixture_init(&f, PERMITTED, NULL, NULL);
    provision(&f);
    AK_AUTO_JSON *status = NULL;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 16);
    assert_int_equal(ak_tool_status_json(&f.plan, &status, NULL), 0);
    assert_int_equal(ak_json_write(status, &text, NULL), 0);
    tool_fixture_done(&f);

    tool_fixture_init(&f, PERMITTED,
                      "{'deletionTimestamp': '" NOW_TEXT "', 'finalizers': ['agentkube.io/tool']}",
                      ak_buf_text(&text));
    tool_fixture_plan(&f);
    assert_true(f.plan.ask);
    f.o.asked = true;
    tool_fixture_plan(&f);
    assert_false(f.plan.drop_finalizer);
    AK_AUTO_JSON *made = json_incref(f.plan.worker);
    assert_non_null(made);
    assert_null(ak_json_at(made, "metadata", "ownerReferences", NULL));
    say(&f.o.worker, made, "Succeeded", 0, "{'done': true}");
    tool_fixture_plan(&f);
    assert_null(f.plan.status.permissions_hash);
    assert_int_equal(f.plan.n_removals, 0);
    assert_false(f.plan.drop_finalizer);
    assert_true(f.plan.again_after > 0);
    tool_fixture_plan(&f); /* with a cache that is behind: the same once more */
    assert_null(f.plan.status.permissions_hash);
    assert_null(f.plan.worker);
    tool_fixture_settle(&f);
    tool_fixture_plan(&f);
    assert_int_equal(f.plan.n_removals, 1);
    assert_false(f.plan.drop_finalizer);
    gone(&f.o.worker);
    tool_fixture_plan(&f);
    assert_true(f.plan.drop_finalizer);
    tool_fixture_done(&f);
}

static void test_a_plan_survives_any_failing_allocation(void **state)
{
    struct tool_fixture f;
    int r = -ENOMEM;
    (void)state;
    tool_fixture_init(&f, PERMITTED, NULL, NULL);
    provision(&f);
    f.o.use.wanted = true;
    for (int64_t n = 0; r < 0; n++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO(ak_arena) arena = {0};
        ak_arena_init(&arena, 1024, AK_TOOL_ARENA_MAX);
        ak_tool_plan_done(&f.plan);
        ak_alloc_fail_after(n);
        r = ak_tool_plan_make(&f.o, &arena, &f.plan, &err);
        ak_alloc_fail_after(-1);
        assert_true(r >= 0 || r == -ENOMEM);
        ak_tool_plan_done(&f.plan);
        f.plan = (struct ak_tool_plan){0};
    }
    tool_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tool_without_a_check_is_ready_and_has_no_pod),
        cmocka_unit_test(test_a_check_is_made_once_recorded_and_then_its_pod_deleted),
        cmocka_unit_test(test_which_of_the_three_failed),
        cmocka_unit_test(test_a_changed_credential_is_checked_anew),
        cmocka_unit_test(
            test_a_bastion_is_made_when_it_is_wanted_and_replaced_when_something_changed),
        cmocka_unit_test(test_another_version_of_ours_waits_until_nobody_uses_the_bastion),
        cmocka_unit_test(test_a_bastion_whose_secret_is_gone_ends),
        cmocka_unit_test(test_a_bastion_that_failed_comes_back_after_a_pause),
        cmocka_unit_test(test_pods_reach_names_and_what_the_spec_says_the_system_is),
        cmocka_unit_test(test_permissions_are_minted_provisioned_checked_and_rotated),
        cmocka_unit_test(test_passwords_are_minted_once_whatever_the_cache_says),
        cmocka_unit_test(test_what_the_system_cannot_enforce_is_not_in_force),
        cmocka_unit_test(test_a_deleted_tool_goes_when_its_users_are_removed),
        cmocka_unit_test(test_a_plan_survives_any_failing_allocation),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
