/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "runtimes/launch.h"

#define MODEL_URL "http://127.0.0.1:8085/model"
#define MCP_URL "http://127.0.0.1:8085/mcp"

static struct ak_launch_input input(const char *runtime, const char *provider, const char *model,
                                    const char *prompt)
{
    return (struct ak_launch_input){
        .runtime = ak_runtime_find(runtime),
        .provider = provider,
        .model = model,
        .model_url = MODEL_URL,
        .mcp_url = MCP_URL,
        .prompt = prompt,
        .workspace = "/workspace",
        .home = "/home/agent",
    };
}

static const char *value_of(const struct ak_pair *pairs, const char *key)
{
    for (; pairs->key; pairs++)
        if (ak_streq(pairs->key, key))
            return pairs->value;
    return NULL;
}

static const char *content_of(const struct ak_launch *launch, const char *path)
{
    for (const struct ak_launch_file *f = launch->files; f->path; f++)
        if (ak_streq(f->path, path))
            return f->content;
    return NULL;
}

static bool has_argument(const struct ak_launch *launch, const char *argument)
{
    for (const char *const *a = launch->argv; *a; a++)
        if (ak_streq(*a, argument))
            return true;
    return false;
}

/* The value that follows an option. */
static const char *option(const struct ak_launch *launch, const char *name)
{
    for (const char *const *a = launch->argv; *a; a++)
        if (ak_streq(*a, name))
            return a[1];
    return NULL;
}

static const char *last_argument(const struct ak_launch *launch)
{
    const char *last = NULL;
    for (const char *const *a = launch->argv; *a; a++)
        last = *a;
    return last;
}

static struct ak_launch must(const struct ak_launch_input *in, struct ak_arena *arena)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_launch launch = {0};
    if (ak_launch_make(in, arena, &launch, &err) < 0)
        fail_msg("%s: %s", in->runtime->name, ak_error_message(err));
    return launch;
}

static const struct every_case {
    const char *runtime, *provider, *model, *program;
    bool on_input;
} every[] = {
    {"ClaudeCode", NULL, NULL, "claude", true},
    {"ClaudeCode", "anthropic", "claude-x", "claude", true},
    {"ClaudeCode", "bedrock", "us.anthropic.claude-x", "claude", true},
    {"ClaudeCode", "vllm", "qwen", "claude", true},
    {"Codex", NULL, NULL, "codex", true},
    {"Codex", "openai", "gpt-5", "codex", true},
    {"OpenCode", "anthropic", "claude-x", "opencode", true},
    {"OpenCode", "openai", "gpt-5", "opencode", true},
    {"OpenCode", "google", "gemini-x", "opencode", true},
    {"OpenCode", "mistral", "devstral", "opencode", true},
    {"OpenCode", "our-own", "devstral", "opencode", true},
    {"Aider", "our-own", "devstral", "aider", false},
    {"Cline", "our-own", "devstral", "cline", false},
    {"Goose", "our-own", "devstral", "goose", true},
    {"Aider", "anthropic", "claude-x", "aider", false},
    {"Aider", "deepseek", "deepseek-x", "aider", false},
    {"Cline", "anthropic", "claude-x", "cline", false},
    {"Cline", "openai", "gpt-5", "cline", false},
    {"Goose", "openai", "gpt-5", "goose", true},
    {"Goose", "anthropic", "claude-x", "goose", true},
    {"Cursor", NULL, NULL, "cursor-agent", false},
    {"Cursor", NULL, "gpt-5", "cursor-agent", false},
};

static void test_each_program_gets_its_prompt_its_tools_and_no_real_key(void **state)
{
    (void)state;
    static const char prompt[] = "-do this\nand \"that\" with $HOME";
    for (size_t i = 0; i < AK_ARRAY_LEN(every); i++) {
        const struct every_case *c = &every[i];
        AK_AUTO(ak_arena) arena;
        ak_arena_init(&arena, 4096, 0);
        struct ak_launch_input in = input(c->runtime, c->provider, c->model, prompt);
        struct ak_launch launch = must(&in, &arena);
        assert_string_equal(launch.argv[0], c->program);
        assert_int_equal(launch.format, in.runtime->format);
        if (c->on_input)
            assert_string_equal(launch.input, prompt);
        else
            assert_null(launch.input);
        /* exactly one way for the prompt */
        const char *file = content_of(&launch, "/home/agent/.agentkube/prompt.md");
        int ways = (launch.input != NULL) + has_argument(&launch, prompt) + (file != NULL);
        assert_int_equal(ways, 1);
        for (const struct ak_launch_file *f = launch.files; f->path; f++) {
            assert_true(ak_has_prefix(f->path, "/home/agent/."));
            assert_int_equal(f->mode, 0600);
        }
        for (const struct ak_pair *p = launch.env; p->key; p++)
            assert_non_null(p->value);
    }
}

static void test_a_program_that_can_use_the_keeper_is_pointed_at_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(every); i++) {
        const struct every_case *c = &every[i];
        AK_AUTO(ak_arena) arena;
        AK_AUTO(ak_buf) all = AK_BUF_INIT(1 << 20);
        ak_arena_init(&arena, 4096, 0);
        struct ak_launch_input in = input(c->runtime, c->provider, c->model, "p q");
        struct ak_launch launch = must(&in, &arena);
        for (const struct ak_pair *p = launch.env; p->key; p++)
            assert_return_code(ak_buf_addf(&all, "%s=%s\n", p->key, p->value), 0);
        for (const struct ak_launch_file *f = launch.files; f->path; f++)
            assert_return_code(ak_buf_adds(&all, f->content), 0);
        bool aware = !in.runtime->keeper_unaware;
        if ((strstr(ak_buf_text(&all), MODEL_URL) != NULL) != aware)
            fail_msg("%s (%s): the model's address is%s there", c->runtime,
                     c->provider ? c->provider : "-", aware ? " not" : "");
        assert_int_equal(strstr(ak_buf_text(&all), AK_TOKEN_PLACEHOLDER) != NULL, aware);
    }
}

static void test_claude_asks_nobody_and_finds_tools_without_a_search(void **state)
{
    (void)state;
    AK_AUTO(ak_arena) arena;
    ak_arena_init(&arena, 4096, 0);
    struct ak_launch_input in = input("ClaudeCode", "anthropic", "anthropic/claude-x", "hello");
    struct ak_launch launch = must(&in, &arena);
    assert_string_equal(option(&launch, "--permission-mode"), "bypassPermissions");
    assert_string_equal(option(&launch, "--model"), "claude-x");
    assert_string_equal(option(&launch, "--mcp-config"),
                        "{\"mcpServers\":{\"agentkube\":{\"type\":\"http\",\"url\":\"" MCP_URL
                        "\"}}}");
    assert_true(has_argument(&launch, "--strict-mcp-config"));
    assert_string_equal(value_of(launch.env, "ANTHROPIC_BASE_URL"), MODEL_URL);
    assert_string_equal(value_of(launch.env, "ANTHROPIC_API_KEY"), AK_TOKEN_PLACEHOLDER);
    assert_string_equal(value_of(launch.defaults, "ENABLE_TOOL_SEARCH"), "false");
    assert_string_equal(value_of(launch.defaults, "CLAUDE_CODE_MAX_RETRIES"), "6");
    assert_string_equal(value_of(launch.defaults, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1");
    assert_null(value_of(launch.defaults, "ANTHROPIC_DEFAULT_HAIKU_MODEL"));
    in = input("ClaudeCode", "vllm", "qwen", "hello");
    launch = must(&in, &arena);
    assert_string_equal(value_of(launch.defaults, "ANTHROPIC_DEFAULT_HAIKU_MODEL"), "qwen");
    in = input("ClaudeCode", "bedrock", "us.anthropic.claude-x", "hello");
    launch = must(&in, &arena);
    assert_string_equal(value_of(launch.env, "ANTHROPIC_BEDROCK_BASE_URL"), MODEL_URL);
    assert_null(value_of(launch.env, "ANTHROPIC_BASE_URL"));
}

static void test_codex_gets_a_provider_of_its_own(void **state)
{
    (void)state;
    AK_AUTO(ak_arena) arena;
    ak_arena_init(&arena, 4096, 0);
    struct ak_launch_input in = input("Codex", NULL, "gpt-\"5\"", "hello");
    struct ak_launch launch = must(&in, &arena);
    const char *config = content_of(&launch, "/home/agent/.codex/config.toml");
    assert_non_null(config);
    assert_non_null(strstr(config, "\nmodel = \"gpt-\\\"5\\\"\"\n"));
    assert_non_null(strstr(config, "\nmodel_provider = \"agentkube\"\n"));
    assert_non_null(strstr(config, "\nwire_api = \"responses\"\n"));
    assert_non_null(strstr(config, "\nbase_url = \"" MODEL_URL "\"\n"));
    assert_non_null(strstr(config, "\nenv_key = \"CODEX_API_KEY\"\n"));
    assert_non_null(strstr(config, "\nrequest_max_retries = 3\n"));
    assert_non_null(strstr(config, "\n[mcp_servers.agentkube]\nurl = \"" MCP_URL "\"\n"));
    /* keys before the first table belong to no table */
    assert_true(strstr(config, "model_provider") < strchr(config, '['));
    assert_string_equal(value_of(launch.env, "CODEX_HOME"), "/home/agent/.codex");
    assert_string_equal(last_argument(&launch), "-");
}

static const struct opencode_case {
    const char *provider, *model, *argument, *package, *url;
} opencode_cases[] = {
    {"anthropic", "claude-x", "anthropic/claude-x", "@ai-sdk/anthropic", MODEL_URL "/v1"},
    {"openai", "openai/gpt-5", "openai/gpt-5", "@ai-sdk/openai", MODEL_URL},
    {"google", "gemini-x", "google/gemini-x", "@ai-sdk/google", MODEL_URL "/v1beta"},
    {"ollama", "qwen3:8b", "ollama/qwen3:8b", "@ai-sdk/openai-compatible", MODEL_URL},
    {"openrouter", "openrouter/auto", "openrouter/openrouter/auto", "@ai-sdk/openai-compatible",
     MODEL_URL},
    {"openrouter", "openrouter/anthropic/claude-x", "openrouter/anthropic/claude-x",
     "@ai-sdk/openai-compatible", MODEL_URL},
};

static void test_opencode_speaks_to_each_provider_in_its_own_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(opencode_cases); i++) {
        const struct opencode_case *c = &opencode_cases[i];
        AK_AUTO(ak_arena) arena;
        AK_AUTO_JSON *config = NULL;
        ak_arena_init(&arena, 4096, 0);
        struct ak_launch_input in = input("OpenCode", c->provider, c->model, "hello");
        struct ak_launch launch = must(&in, &arena);
        const char *text = value_of(launch.env, "OPENCODE_CONFIG_CONTENT");
        assert_return_code(ak_json_parse(text, strlen(text), &config, NULL), 0);
        assert_string_equal(option(&launch, "--model"), c->argument);
        assert_string_equal(ak_json_text(config, "small_model", NULL), c->argument);
        assert_string_equal(ak_json_text(config, "provider", c->provider, "npm", NULL), c->package);
        assert_string_equal(
            ak_json_text(config, "provider", c->provider, "options", "baseURL", NULL), c->url);
        assert_string_equal(ak_json_text(config, "mcp", "agentkube", "url", NULL), MCP_URL);
        assert_string_equal(ak_json_text(config, "permission", NULL), "allow");
    }
}

static void test_cline_takes_one_word_for_a_prompt(void **state)
{
    (void)state;
    AK_AUTO(ak_arena) arena;
    ak_arena_init(&arena, 4096, 0);
    struct ak_launch_input in = input("Cline", "openai", "gpt-5", "auth");
    struct ak_launch launch = must(&in, &arena);
    assert_string_equal(last_argument(&launch), "auth\n");
    assert_string_equal(option(&launch, "--"), "auth\n");
    assert_non_null(
        strstr(content_of(&launch, "/home/agent/.cline/data/settings/providers.json"),
               "\"openai-compatible\":{\"settings\":{\"provider\":\"openai-compatible\","));
    in = input("Cline", "anthropic", "claude-x", "two words");
    launch = must(&in, &arena);
    assert_string_equal(last_argument(&launch), "two words");
    assert_non_null(strstr(content_of(&launch, "/home/agent/.cline/data/settings/providers.json"),
                           "\"baseUrl\":\"" MODEL_URL "/v1\""));
    assert_string_equal(
        content_of(&launch, "/home/agent/.cline/data/settings/global-settings.json"),
        "{\"telemetryOptOut\":true,\"autoUpdateEnabled\":false}");
}

static char *long_text(size_t len)
{
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text, "two words ", 10);
    text[len] = '\0';
    return text;
}

static void test_a_prompt_too_long_for_an_argument_still_arrives(void **state)
{
    (void)state;
    static const char *const runtimes[] = {"ClaudeCode", "Codex", "OpenCode", "Aider",
                                           "Cline",      "Goose", "Cursor"};
    char *prompt = long_text(256u << 10);
    for (size_t i = 0; i < AK_ARRAY_LEN(runtimes); i++) {
        AK_AUTO(ak_arena) arena;
        ak_arena_init(&arena, 4096, 0);
        struct ak_launch_input in = input(runtimes[i], "openai", "gpt-5", prompt);
        struct ak_launch launch = must(&in, &arena);
        const char *file = content_of(&launch, "/home/agent/.agentkube/prompt.md");
        assert_ptr_equal(launch.input ? launch.input : file, prompt);
        for (const char *const *a = launch.argv; *a; a++)
            assert_true(strlen(*a) <= AK_LAUNCH_MAX_ARGUMENT);
    }
    free(prompt);
}

static void test_a_custom_program_finds_the_prompt_where_its_command_says(void **state)
{
    (void)state;
    static const char *const here[] = {"run", "--prompt={prompt}!", "{prompt}", "{promp}", NULL};
    static const char *const there[] = {"/usr/bin/run", "--", NULL};
    AK_AUTO(ak_arena) arena;
    ak_arena_init(&arena, 4096, 0);
    struct ak_launch_input in = input("Custom", "anthropic", NULL, "say {prompt}");
    in.command = here;
    struct ak_launch launch = must(&in, &arena);
    assert_string_equal(launch.argv[1], "--prompt=say {prompt}!");
    assert_string_equal(launch.argv[2], "say {prompt}");
    assert_string_equal(launch.argv[3], "{promp}");
    assert_null(launch.argv[4]);
    assert_null(launch.input);
    assert_string_equal(value_of(launch.defaults, "ANTHROPIC_BASE_URL"), MODEL_URL);
    in.command = there;
    launch = must(&in, &arena);
    assert_string_equal(launch.input, "say {prompt}");
    in.provider = "our-own";
    launch = must(&in, &arena);
    assert_null(launch.defaults[0].key);
    in.prompt = NULL; /* a command may need none */
    launch = must(&in, &arena);
    assert_null(launch.input);
}

static const struct refused_case {
    const char *runtime, *provider, *model, *prompt, *message;
    int code;
} refused[] = {
    {"ClaudeCode", NULL, NULL, NULL, "there is neither a goal nor a prompt", -EINVAL},
    {"ClaudeCode", NULL, NULL, "", "there is neither a goal nor a prompt", -EINVAL},
    {"OpenCode", "openai", NULL, "x", "spec.model.name: must be set", -EINVAL},
    {"Cline", NULL, "llama", "x", "spec.model.provider: must be set", -EINVAL},
    {"Aider", "", "llama", "x", "spec.model.provider: must be set", -EINVAL},
    {"Goose", "openai", "", "x", "spec.model.name: must be set", -EINVAL},
    {"Custom", NULL, NULL, "x", "spec.run.command: must be set", -EINVAL},
};

static void test_what_is_missing_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(refused); i++) {
        const struct refused_case *c = &refused[i];
        AK_AUTO(ak_arena) arena;
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_launch launch;
        ak_arena_init(&arena, 4096, 0);
        struct ak_launch_input in = input(c->runtime, c->provider, c->model, c->prompt);
        assert_int_equal(ak_launch_make(&in, &arena, &launch, &err), c->code);
        if (!strstr(ak_error_message(err), c->message))
            fail_msg("%s: %s", c->runtime, ak_error_message(err));
    }
}

static void test_limits_are_said(void **state)
{
    (void)state;
    static const char *const here[] = {"run", "{prompt}", NULL};
    char *prompt = long_text(AK_LAUNCH_MAX_PROMPT + 1);
    AK_AUTO(ak_arena) arena;
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_launch launch;
    ak_arena_init(&arena, 4096, 0);
    struct ak_launch_input in = input("ClaudeCode", NULL, NULL, prompt);
    assert_int_equal(ak_launch_make(&in, &arena, &launch, &err), AK_E_TOO_LARGE);
    prompt[200000] = '\0';
    in = input("Custom", NULL, NULL, prompt);
    in.command = here;
    assert_int_equal(ak_launch_make(&in, &arena, &launch, &err), AK_E_TOO_LARGE);
    assert_non_null(strstr(ak_error_message(err), "leave out {prompt}"));
    free(prompt);
}

static void test_no_memory_is_an_error_at_each_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(every); i++)
        for (int n = 0;; n++) {
            AK_AUTO(ak_arena) arena;
            AK_AUTO_PTR(ak_error) err = NULL;
            struct ak_launch launch;
            ak_arena_init(&arena, 64, 0);
            struct ak_launch_input in =
                input(every[i].runtime, every[i].provider, every[i].model, "word");
            (void)ak_alloc_fail_after(n);
            int r = ak_launch_make(&in, &arena, &launch, &err);
            (void)ak_alloc_fail_after(-1);
            if (r == 0)
                break;
            assert_int_equal(r, -ENOMEM);
            assert_true(n < 1000);
        }
}

int main(void)
{
    ak_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_program_gets_its_prompt_its_tools_and_no_real_key),
        cmocka_unit_test(test_a_program_that_can_use_the_keeper_is_pointed_at_it),
        cmocka_unit_test(test_claude_asks_nobody_and_finds_tools_without_a_search),
        cmocka_unit_test(test_codex_gets_a_provider_of_its_own),
        cmocka_unit_test(test_opencode_speaks_to_each_provider_in_its_own_way),
        cmocka_unit_test(test_cline_takes_one_word_for_a_prompt),
        cmocka_unit_test(test_a_prompt_too_long_for_an_argument_still_arrives),
        cmocka_unit_test(test_a_custom_program_finds_the_prompt_where_its_command_says),
        cmocka_unit_test(test_what_is_missing_is_named),
        cmocka_unit_test(test_limits_are_said),
        cmocka_unit_test(test_no_memory_is_an_error_at_each_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
