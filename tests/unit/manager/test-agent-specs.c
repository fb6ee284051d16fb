/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods and claims against golden files: NAME.agent.yaml is an Agent, NAME.golden.yaml what is made for
 * it. Changes show in reviews; AK_UPDATE_GOLDEN=1 in the environment writes the files anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/text.h>

#include "fixture.h"

#define FOLDER "tests/unit/manager/golden/"

static json_t *read_yaml(const char *path)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *tree = NULL;
    if (ak_buf_add_file(&text, path) < 0 ||
        ak_yaml_parse(ak_buf_text(&text), text.len, &tree, &err) < 0)
        fail_msg("%s: %s", path, ak_error_message(err));
    return tree;
}

/* What every release changes does not belong into the files. */
static void blank_release(struct ak_buf *text)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    const char *rest = ak_buf_text(text);
    for (const char *at; (at = strstr(rest, ":v" AK_VERSION));
         rest = at + strlen(":v" AK_VERSION)) {
        assert_int_equal(ak_buf_add(&out, rest, (size_t)(at - rest)), 0);
        assert_int_equal(ak_buf_adds(&out, ":vVERSION"), 0);
    }
    assert_int_equal(ak_buf_adds(&out, rest), 0);
    ak_buf_clear(text);
    assert_int_equal(ak_buf_add(text, out.data, out.len), 0);
}

static void blank_hash(json_t *pod)
{
    json_t *notes = ak_json_at(pod, "metadata", "annotations", NULL);
    const char *hash = ak_json_text(notes, AK_ANNOTATION_POD_HASH, NULL);
    assert_int_equal(strspn(hash, "0123456789abcdef"), 32);
    assert_int_equal(json_object_set_new(notes, AK_ANNOTATION_POD_HASH, json_string("HASH")), 0);
}

static void compare(const char *path, const json_t *made)
{
    AK_AUTO(ak_buf) want = AK_BUF_INIT(1u << 20);
    AK_AUTO(ak_buf) have = AK_BUF_INIT(1u << 20);
    assert_int_equal(ak_yaml_write(made, &have, NULL), 0);
    blank_release(&have);
    if (getenv("AK_UPDATE_GOLDEN")) {
        FILE *out = fopen(path, "we");
        assert_non_null(out);
        assert_int_equal(fwrite(have.data, 1, have.len, out), have.len);
        assert_int_equal(fclose(out), 0);
        return;
    }
    assert_true(ak_buf_add_file(&want, path) >= 0);
    if (!ak_streq(ak_buf_text(&want), ak_buf_text(&have)))
        fail_msg("%s differs from what is made now:\n%s", path, ak_buf_text(&have));
}

static void check_golden(const char *name)
{
    char path[256];
    struct fixture f;
    snprintf(path, sizeof(path), FOLDER "%s.agent.yaml", name);
    AK_AUTO_JSON *manifest = read_yaml(path);
    fixture_init_manifest(&f, manifest);
    static const struct ak_owner_ref group[] = {
        {.api_version = "agentkube.io/v1alpha1", .kind = "Agent", .name = "elder", .uid = "e"},
        {.api_version = "agentkube.io/v1alpha1", .kind = "Agent", .name = "one", .uid = UID}};
    if (ak_agent_group(f.o.agent)) {
        f.o.group.items = group;
        f.o.group.len = AK_ARRAY_LEN(group);
    }
    f.o.token.found = f.o.token.key_found = true;
    assert_int_equal(ak_digest_bytes("token", 5, f.o.token.hex), 0);
    f.o.repo.found = f.o.repo.key_found = true;
    assert_int_equal(ak_digest_bytes("repo", 4, f.o.repo.hex), 0);
    fixture_plan(&f);
    if (f.plan.move != AK_AGENT_MOVE_CREATE)
        fail_msg("%s: %s", name, fixture_condition(&f, "Ready")->message);
    AK_AUTO_JSON *all = json_object();
    blank_hash(f.plan.pod);
    assert_int_equal(json_object_set(all, "pod", f.plan.pod), 0);
    if (f.plan.workspace)
        assert_int_equal(json_object_set(all, "workspace", f.plan.workspace), 0);
    if (f.plan.memory)
        assert_int_equal(json_object_set(all, "memory", f.plan.memory), 0);
    snprintf(path, sizeof(path), FOLDER "%s.golden.yaml", name);
    compare(path, all);
    fixture_done(&f);
}

static void test_the_smallest_agent(void **state)
{
    (void)state;
    check_golden("small");
}

static void test_an_agent_with_everything(void **state)
{
    (void)state;
    check_golden("everything");
}

static void test_an_agent_with_an_image_of_its_own(void **state)
{
    (void)state;
    check_golden("custom");
}

static const json_t *named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (ak_streq(ak_json_text(json_array_get(list, i), "name", NULL), name))
            return json_array_get(list, i);
    return NULL;
}

static const json_t *container(const struct fixture *f, const char *name)
{
    return named(ak_json_at(f->plan.pod, "spec", "containers", NULL), name);
}

static const char *env_value(const json_t *container_, const char *name)
{
    return ak_json_text(named(json_object_get(container_, "env"), name), "value", NULL);
}

/* Invariant: no key, and nothing that could fetch one, is in the agent's container. */
static void test_no_container_of_an_agent_gets_a_key(void **state)
{
    static const char *const specs[] = {
        "{'runtime': 'ClaudeCode', 'paused': false, 'agentToken': {'secretRef': {'name': "
        "'the-secret',"
        " 'key': 'k'}}, 'workspace': {'repo': {'url': 'https://x/y', 'secretRef': {'name':"
        " 'git-secret'}}}}"};
    struct fixture f;
    (void)state;
    fixture_init(&f, specs[0], NULL);
    f.o.token.found = f.o.token.key_found = f.o.repo.found = f.o.repo.key_found = true;
    fixture_plan(&f);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    assert_int_equal(ak_json_write(f.plan.pod, &text, NULL), 0);
    assert_null(strstr(text.data, "secretKeyRef"));
    assert_null(strstr(text.data, "envFrom"));
    const json_t *spec = json_object_get(f.plan.pod, "spec");
    static const char *const secret[] = {"the-secret", "git-credential", "agent-token",
                                         "keeper-token"};
    AK_AUTO(ak_buf) agent = AK_BUF_INIT(1u << 20);
    assert_int_equal(ak_json_write(container(&f, "agent"), &agent, NULL), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(secret); i++)
        assert_null(strstr(agent.data, secret[i]));
    assert_non_null(strstr(agent.data, AK_TOKEN_PLACEHOLDER));
    assert_true(json_is_false(json_object_get(spec, "automountServiceAccountToken")));
    assert_null(json_object_get(spec, "shareProcessNamespace"));
    fixture_done(&f);
}

/* The keeper has the key and the pod's token, as files of its own. The Secret's other keys are nobody's. */
static void test_the_keeper_alone_has_the_key(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'ClaudeCode', 'paused': false, 'agentToken': {'secretRef': {'name':"
                 " 'the-secret', 'key': 'k'}}}",
                 NULL);
    f.o.token.found = f.o.token.key_found = true;
    fixture_plan(&f);
    const json_t *mounts = json_object_get(container(&f, "keeper"), "volumeMounts");
    static const char *const wanted[] = {"agent-token", "keeper-token", "link"};
    assert_int_equal(json_array_size(mounts), AK_ARRAY_LEN(wanted));
    for (size_t i = 0; i < AK_ARRAY_LEN(wanted); i++)
        assert_non_null(named(mounts, wanted[i]));
    const json_t *volume = named(ak_json_at(f.plan.pod, "spec", "volumes", NULL), "agent-token");
    assert_string_equal(ak_json_text(volume, "secret", "secretName", NULL), "the-secret");
    const json_t *items = ak_json_at(volume, "secret", "items", NULL);
    assert_int_equal(json_array_size(items), 1);
    assert_string_equal(ak_json_text(json_array_get(items, 0), "key", NULL), "k");
    assert_string_equal(env_value(container(&f, "keeper"), "AGENTKUBE_KEY_FILE"),
                        "/agentkube/key/key");
    fixture_done(&f);
}

/* A runtime that talks to its vendor only has its key itself; then the keeper needs none. */
static void test_a_runtime_that_cannot_use_the_keeper_gets_the_key(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'Cursor', 'paused': false, 'agentToken': {'secretRef': {'name':"
                 " 'the-secret', 'key': 'k'}}}",
                 NULL);
    f.o.token.found = f.o.token.key_found = true;
    fixture_plan(&f);
    const json_t *key = named(json_object_get(container(&f, "agent"), "env"), "CURSOR_API_KEY");
    assert_null(json_object_get(key, "value"));
    assert_string_equal(ak_json_text(key, "valueFrom", "secretKeyRef", "name", NULL), "the-secret");
    assert_string_equal(ak_json_text(key, "valueFrom", "secretKeyRef", "key", NULL), "k");
    assert_null(named(ak_json_at(f.plan.pod, "spec", "volumes", NULL), "agent-token"));
    assert_null(env_value(container(&f, "keeper"), "AGENTKUBE_KEY_FILE"));
    assert_null(env_value(container(&f, "keeper"), "AGENTKUBE_MODEL_BASE_URL"));
    fixture_done(&f);
}

/* Gateways are not run: no model call is answered, and no key is put where it is not used. */
static void test_with_a_gateway_the_keeper_has_neither_key_nor_upstream(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'ClaudeCode', 'paused': false, 'gatewayRef': {'name': 'g'},"
                 " 'agentToken': {'secretRef': {'name': 'the-secret', 'key': 'k'}}}",
                 NULL);
    f.o.gateway_found = f.o.token.found = f.o.token.key_found = true;
    fixture_plan(&f);
    assert_null(env_value(container(&f, "keeper"), "AGENTKUBE_MODEL_BASE_URL"));
    assert_null(env_value(container(&f, "keeper"), "AGENTKUBE_KEY_FILE"));
    assert_null(named(ak_json_at(f.plan.pod, "spec", "volumes", NULL), "agent-token"));
    assert_non_null(strstr(fixture_condition(&f, "Resolved")->message, "LLMGateway"));
    fixture_done(&f);
}

static void test_the_keeper_takes_the_users_proxy(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'ClaudeCode', 'paused': false, 'env': [{'name': 'HTTPS_PROXY',"
                 " 'value': 'http://p:1'}, {'name': 'no_proxy', 'value': '10.0.0.0/8'}, {'name':"
                 " 'NO_PROXY', 'value': 'other'}]}",
                 NULL);
    fixture_plan(&f);
    const json_t *keeper = container(&f, "keeper");
    assert_string_equal(env_value(keeper, "https_proxy"), "http://p:1");
    assert_string_equal(env_value(keeper, "no_proxy"), "10.0.0.0/8");
    assert_null(env_value(keeper, "HTTPS_PROXY"));
    fixture_done(&f);
}

static void test_the_agentlet_is_told_how_runs_go(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f,
                 "{'runtime': 'Custom', 'image': 'a@sha256:0', 'paused': false, 'mode': 'system',"
                 " 'playbook': {'steps': [{'name': 'a', 'run': 'true'}]}, 'run': {'command':"
                 " ['/bin/it', '--say', '{prompt} $HOME'], 'maxQueued': 3, 'maxRetained': 7}}",
                 NULL);
    fixture_plan(&f);
    const json_t *agent = container(&f, "agent");
    assert_string_equal(env_value(agent, "AGENTKUBE_MODE"), "system");
    assert_string_equal(env_value(agent, "AGENTKUBE_RUN_MAX_QUEUED"), "3");
    assert_string_equal(env_value(agent, "AGENTKUBE_RUN_MAX_RETAINED"), "7");
    assert_string_equal(env_value(agent, "AGENTKUBE_RUN_COMMAND"),
                        "[\"/bin/it\",\"--say\",\"{prompt} $$HOME\"]");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_agent),
        cmocka_unit_test(test_an_agent_with_everything),
        cmocka_unit_test(test_an_agent_with_an_image_of_its_own),
        cmocka_unit_test(test_no_container_of_an_agent_gets_a_key),
        cmocka_unit_test(test_the_keeper_alone_has_the_key),
        cmocka_unit_test(test_a_runtime_that_cannot_use_the_keeper_gets_the_key),
        cmocka_unit_test(test_with_a_gateway_the_keeper_has_neither_key_nor_upstream),
        cmocka_unit_test(test_the_keeper_takes_the_users_proxy),
        cmocka_unit_test(test_the_agentlet_is_told_how_runs_go),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
