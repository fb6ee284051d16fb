/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ak/api/agent.h>
#include <ak/base/text.h>

#include "manager/images.h"
#include "runtimes/runtimes.h"

static void test_every_runtime_of_the_definition_is_in_the_table(void **state)
{
    (void)state;
    for (int i = AK_AGENT_RUNTIME_UNSET + 1; i < AK_AGENT_RUNTIME_MAX; i++) {
        const char *name = ak_agent_runtime_to_string((enum ak_agent_runtime)i);
        const struct ak_runtime *rt = ak_runtime_find(name);
        assert_non_null(rt);
        assert_string_equal(rt->name, name);
        /* Custom is the one whose image we do not have. */
        assert_int_equal(rt->image == NULL, i == AK_AGENT_RUNTIME_CUSTOM);
        assert_int_equal(rt->command == NULL, i == AK_AGENT_RUNTIME_CUSTOM);
    }
    assert_null(ak_runtime_find(""));
    assert_null(ak_runtime_find("Vim"));
}

static const struct family_case {
    const char *model, *provider; /* NULL: nobody's */
} family_cases[] = {
    {"claude-opus-5-5", "anthropic"},
    {"Claude-Sonnet", "anthropic"},
    {"sonnet", "anthropic"},
    {"gpt-5", "openai"},
    {"o3-mini", "openai"},
    {"codex-mini", "openai"},
    {"gemini-3-pro", "google"},
    {"us.anthropic.claude-opus", "bedrock"},
    {"anthropic.claude-3", "bedrock"},
    {"openai/gpt-5", "openai"},
    {"vllm/qwen-3", "vllm"},
    {"azure-openai/anything", "azure-openai"},
    {"devstral-small", "mistral"},
    {"grok-5", "xai"},
    {"llama-4", NULL},
    {"qwen3-coder", NULL},
    {"", NULL},
};

static void test_a_model_has_the_provider_of_its_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(family_cases); i++) {
        const struct ak_provider *p = ak_provider_of_model(family_cases[i].model);
        if (!ak_streq(p ? p->name : NULL, family_cases[i].provider))
            fail_msg("%s is not %s's", family_cases[i].model, p ? p->name : "nobody");
    }
    assert_null(ak_provider_of_model(NULL));
}

static const struct token_case {
    const char *runtime, *provider, *variable;
} token_cases[] = {
    {"ClaudeCode", NULL, "ANTHROPIC_API_KEY"}, {"ClaudeCode", "bedrock", "ANTHROPIC_API_KEY"},
    {"Codex", "openai", "CODEX_API_KEY"},      {"OpenCode", "anthropic", "ANTHROPIC_API_KEY"},
    {"OpenCode", "openai", "OPENAI_API_KEY"},  {"Aider", "deepseek", "DEEPSEEK_API_KEY"},
    {"Goose", "google", "GEMINI_API_KEY"},     {"Cursor", NULL, "CURSOR_API_KEY"},
    {"Custom", NULL, "AGENT_TOKEN"},           {"OpenCode", NULL, NULL},
};

static void test_a_runtime_has_its_own_token_variable_or_the_providers(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(token_cases); i++) {
        const struct token_case *c = &token_cases[i];
        const char *found =
            ak_runtime_token_variable(ak_runtime_find(c->runtime), ak_provider_find(c->provider));
        if (!ak_streq(found, c->variable))
            fail_msg("%s with %s: %s", c->runtime, c->provider, found);
    }
}

static void test_variables_that_hold_keys_are_reserved(void **state)
{
    static const char *const reserved[] = {
        "AGENTKUBE_X",    "ANTHROPIC_API_KEY",    "CODEX_API_KEY",   "OPENAI_API_KEY",
        "CURSOR_API_KEY", "ANTHROPIC_AUTH_TOKEN", "MISTRAL_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"};
    static const char *const open[] = {"HOME", "PATH", "ANTHROPIC_MODEL", "MY_API_KEY",
                                       "AGENTKUBE"};
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(reserved); i++)
        assert_true(ak_is_reserved_variable(reserved[i]));
    for (size_t i = 0; i < AK_ARRAY_LEN(open); i++)
        assert_false(ak_is_reserved_variable(open[i]));
}

static void test_images_move_to_the_mirror_with_their_path(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    (void)state;
    ak_arena_init(&arena, 256, 0);
    assert_string_equal(ak_image_default(&arena, "x", NULL),
                        "docker.io/adaptivelive/x:v" AK_VERSION);
    assert_string_equal(ak_image_default(&arena, "x", ""), "docker.io/adaptivelive/x:v" AK_VERSION);
    assert_string_equal(ak_image_default(&arena, "x", "m:5000/a//"),
                        "m:5000/a/adaptivelive/x:v" AK_VERSION);
}

static void test_a_digest_is_found_in_an_image_id(void **state)
{
    (void)state;
    assert_string_equal(ak_image_digest("docker.io/a/b@sha256:12"), "sha256:12");
    assert_string_equal(ak_image_digest("docker-pullable://a@sha256:12"), "sha256:12");
    assert_string_equal(ak_image_digest("sha256:12"), "sha256:12");
    assert_null(ak_image_digest("docker.io/a/b:1"));
    assert_null(ak_image_digest(""));
    assert_null(ak_image_digest(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_runtime_of_the_definition_is_in_the_table),
        cmocka_unit_test(test_a_model_has_the_provider_of_its_family),
        cmocka_unit_test(test_a_runtime_has_its_own_token_variable_or_the_providers),
        cmocka_unit_test(test_variables_that_hold_keys_are_reserved),
        cmocka_unit_test(test_images_move_to_the_mirror_with_their_path),
        cmocka_unit_test(test_a_digest_is_found_in_an_image_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
