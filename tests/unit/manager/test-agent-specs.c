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
    assert_null(strstr(text.data, "the-secret"));
    assert_null(strstr(text.data, "secretKeyRef"));
    assert_null(strstr(text.data, "envFrom"));
    const json_t *spec = json_object_get(f.plan.pod, "spec");
    AK_AUTO(ak_buf) agent = AK_BUF_INIT(1u << 20);
    assert_int_equal(ak_json_write(json_object_get(spec, "containers"), &agent, NULL), 0);
    assert_null(strstr(agent.data, "git-credential"));
    assert_non_null(strstr(agent.data, AK_TOKEN_PLACEHOLDER));
    assert_true(json_is_false(json_object_get(spec, "automountServiceAccountToken")));
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_agent),
        cmocka_unit_test(test_an_agent_with_everything),
        cmocka_unit_test(test_an_agent_with_an_image_of_its_own),
        cmocka_unit_test(test_no_container_of_an_agent_gets_a_key),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
