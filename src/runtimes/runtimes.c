/* SPDX-License-Identifier: Apache-2.0 */
#include "runtimes/runtimes.h"

#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#define FAMILIES(...)                                                                              \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__ __VA_OPT__(, ) NULL                                                            \
    }

/* In this order: the first family that fits decides. Names that several providers serve (llama,
 * qwen, ...) are nobody's family: such a model needs spec.model.provider. */
static const struct ak_provider providers[] = {
    {"bedrock", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
     FAMILIES("anthropic.", "amazon.", "us.anthropic.", "eu.anthropic.", "apac.anthropic.",
              "global.anthropic.")},
    {"anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL",
     FAMILIES("claude", "opus", "sonnet", "haiku")},
    {"openai", "OPENAI_API_KEY", "OPENAI_BASE_URL",
     FAMILIES("gpt-", "chatgpt-", "codex-", "o1", "o3", "o4")},
    {"google", "GEMINI_API_KEY", NULL, FAMILIES("gemini")},
    {"vertex", "GOOGLE_API_KEY", NULL, FAMILIES()},
    {"azure-openai", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", FAMILIES()},
    {"ollama", "OLLAMA_API_KEY", "OLLAMA_HOST", FAMILIES()},
    {"vllm", "VLLM_API_KEY", NULL, FAMILIES()},
    {"mistral", "MISTRAL_API_KEY", NULL, FAMILIES("mistral", "codestral", "devstral")},
    {"deepseek", "DEEPSEEK_API_KEY", NULL, FAMILIES("deepseek")},
    {"xai", "XAI_API_KEY", NULL, FAMILIES("grok")},
    {"openrouter", "OPENROUTER_API_KEY", NULL, FAMILIES()},
};

static const struct ak_pair claude_quiet[] = {
    {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"}, {"DISABLE_AUTOUPDATER", "1"}, {NULL, NULL}};
static const struct ak_pair opencode_quiet[] = {{"OPENCODE_DISABLE_AUTOUPDATE", "1"},
                                                {"OPENCODE_DISABLE_LSP_DOWNLOAD", "1"},
                                                {"OPENCODE_DISABLE_MODELS_FETCH", "1"},
                                                {"OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"},
                                                {NULL, NULL}};
static const struct ak_pair aider_quiet[] = {
    {"AIDER_ANALYTICS_DISABLE", "true"}, {"AIDER_CHECK_UPDATE", "false"}, {NULL, NULL}};
static const struct ak_pair cline_quiet[] = {
    {"CLINE_NO_AUTO_UPDATE", "1"}, {"CLINE_TELEMETRY_DISABLED", "1"}, {NULL, NULL}};
static const struct ak_pair goose_quiet[] = {{"GOOSE_DISABLE_KEYRING", "1"}, {NULL, NULL}};

static const struct ak_runtime runtimes[] = {
    {.name = "ClaudeCode",
     .image = "agentkube-runtime-claude-code",
     .command = "claude",
     .provider = "anthropic",
     .token_variable = "ANTHROPIC_API_KEY",
     .model_variable = "ANTHROPIC_MODEL",
     .base_url_variable = "ANTHROPIC_BASE_URL",
     .quiet = claude_quiet,
     .read_only_root = true},
    /* codex sends no Authorization for OPENAI_API_KEY alone, and takes model and base URL as arguments. */
    {.name = "Codex",
     .image = "agentkube-runtime-codex",
     .command = "codex",
     .provider = "openai",
     .token_variable = "CODEX_API_KEY",
     .read_only_root = true},
    /* opencode takes the model as "provider/name", the base URL from its configuration. */
    {.name = "OpenCode",
     .image = "agentkube-runtime-opencode",
     .command = "opencode",
     .quiet = opencode_quiet,
     .read_only_root = true},
    {.name = "Aider",
     .image = "agentkube-runtime-aider",
     .command = "aider",
     .model_variable = "AIDER_MODEL",
     .quiet = aider_quiet,
     .read_only_root = true},
    /* cline keeps provider, model and base URL in a file that `cline auth` writes. */
    {.name = "Cline",
     .image = "agentkube-runtime-cline",
     .command = "cline",
     .quiet = cline_quiet,
     .read_only_root = true},
    {.name = "Goose",
     .image = "agentkube-runtime-goose",
     .command = "goose",
     .model_variable = "GOOSE_MODEL",
     .provider_variable = "GOOSE_PROVIDER",
     .quiet = goose_quiet,
     .read_only_root = true},
    {.name = "Cursor",
     .image = "agentkube-runtime-cursor",
     .command = "cursor-agent",
     .provider = "cursor",
     .token_variable = "CURSOR_API_KEY",
     .read_only_root = true},
    /* Nobody knows where somebody's own image writes. */
    {.name = "Custom", .token_variable = "AGENT_TOKEN"},
};

/* Variables that hold a key and are not the first choice of a row above. */
static const char *const more_key_variables[] = {
    "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AZURE_API_KEY",        "CURSOR_AUTH_TOKEN",       "CLINE_API_KEY",         "HF_TOKEN",
};

const struct ak_runtime *ak_runtime_find(const char *name)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(runtimes); i++)
        if (ak_streq(runtimes[i].name, name))
            return &runtimes[i];
    return NULL;
}

const struct ak_provider *ak_provider_find(const char *name)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(providers); i++)
        if (ak_streq(providers[i].name, name))
            return &providers[i];
    return NULL;
}

static bool in_family(const struct ak_provider *provider, const char *model)
{
    for (size_t i = 0; provider->families[i]; i++)
        if (strncasecmp(model, provider->families[i], strlen(provider->families[i])) == 0)
            return true;
    return false;
}

const struct ak_provider *ak_provider_of_model(const char *model)
{
    if (!model)
        return NULL;
    for (size_t i = 0; i < AK_ARRAY_LEN(providers); i++) { /* "anthropic/claude-..." */
        size_t len = strlen(providers[i].name);
        if (strncmp(model, providers[i].name, len) == 0 && model[len] == '/')
            return &providers[i];
    }
    for (size_t i = 0; i < AK_ARRAY_LEN(providers); i++)
        if (in_family(&providers[i], model))
            return &providers[i];
    return NULL;
}

const char *ak_runtime_token_variable(const struct ak_runtime *runtime,
                                      const struct ak_provider *provider)
{
    if (runtime->token_variable)
        return runtime->token_variable;
    return provider ? provider->token_variable : NULL;
}

bool ak_is_reserved_variable(const char *name)
{
    if (ak_has_prefix(name, "AGENTKUBE_"))
        return true;
    for (size_t i = 0; i < AK_ARRAY_LEN(runtimes); i++)
        if (runtimes[i].token_variable && ak_streq(runtimes[i].token_variable, name))
            return true;
    for (size_t i = 0; i < AK_ARRAY_LEN(providers); i++)
        if (ak_streq(providers[i].token_variable, name))
            return true;
    for (size_t i = 0; i < AK_ARRAY_LEN(more_key_variables); i++)
        if (ak_streq(more_key_variables[i], name))
            return true;
    return false;
}
