/* SPDX-License-Identifier: Apache-2.0 */
#include "runtimes/runtimes.h"

#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#define NAMES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__ __VA_OPT__(, ) NULL                                                            \
    }

/* In this order: the first family that fits decides. Names that several providers serve (llama,
 * qwen, ...) are nobody's family: such a model needs spec.model.provider. */
#define BEARER                                                                                     \
    {                                                                                              \
        "authorization", "Bearer ", NULL                                                           \
    }
#define KEY_IN(header)                                                                             \
    {                                                                                              \
        header, "", NULL                                                                           \
    }

static const struct ak_provider providers[] = {
    {.name = "bedrock",
     .token_variable = "AWS_BEARER_TOKEN_BEDROCK",
     .base_url_variable = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
     .families = NAMES("anthropic.", "amazon.", "us.anthropic.", "eu.anthropic.", "apac.anthropic.",
                       "global.anthropic."),
     .credential = BEARER},
    {.name = "anthropic",
     .token_variable = "ANTHROPIC_API_KEY",
     .base_url_variable = "ANTHROPIC_BASE_URL",
     .families = NAMES("claude", "opus", "sonnet", "haiku"),
     .base_url = "https://api.anthropic.com",
     .credential = KEY_IN("x-api-key"),
     .dialect = AK_DIALECT_ANTHROPIC},
    {.name = "openai",
     .token_variable = "OPENAI_API_KEY",
     .base_url_variable = "OPENAI_BASE_URL",
     .families = NAMES("gpt-", "chatgpt-", "codex-", "o1", "o3", "o4"),
     .base_url = "https://api.openai.com/v1",
     .credential = BEARER},
    {.name = "google",
     .token_variable = "GEMINI_API_KEY",
     .families = NAMES("gemini"),
     .base_url = "https://generativelanguage.googleapis.com",
     .credential = KEY_IN("x-goog-api-key"),
     .dialect = AK_DIALECT_GOOGLE},
    {.name = "vertex",
     .token_variable = "GOOGLE_API_KEY",
     .families = NAMES(),
     .base_url = "https://aiplatform.googleapis.com",
     .credential = KEY_IN("x-goog-api-key"),
     .dialect = AK_DIALECT_GOOGLE},
    {.name = "azure-openai",
     .token_variable = "AZURE_OPENAI_API_KEY",
     .base_url_variable = "AZURE_OPENAI_ENDPOINT",
     .families = NAMES(),
     .credential = KEY_IN("api-key")},
    {.name = "ollama",
     .token_variable = "OLLAMA_API_KEY",
     .base_url_variable = "OLLAMA_HOST",
     .families = NAMES(),
     .credential = BEARER},
    {.name = "vllm", .token_variable = "VLLM_API_KEY", .families = NAMES(), .credential = BEARER},
    {.name = "mistral",
     .token_variable = "MISTRAL_API_KEY",
     .families = NAMES("mistral", "codestral", "devstral"),
     .base_url = "https://api.mistral.ai/v1",
     .credential = BEARER},
    {.name = "deepseek",
     .token_variable = "DEEPSEEK_API_KEY",
     .families = NAMES("deepseek"),
     .base_url = "https://api.deepseek.com/v1",
     .credential = BEARER},
    {.name = "xai",
     .token_variable = "XAI_API_KEY",
     .families = NAMES("grok"),
     .base_url = "https://api.x.ai/v1",
     .credential = BEARER},
    {.name = "openrouter",
     .token_variable = "OPENROUTER_API_KEY",
     .families = NAMES(),
     .base_url = "https://openrouter.ai/api/v1",
     .credential = BEARER},
};

/* Keys that a subscription gives out are bearer tokens, and taken with this beta only. */
#define ANTHROPIC_OAUTH_KEY "sk-ant-oat"
static const struct ak_credential anthropic_oauth = {"authorization", "Bearer ",
                                                     "oauth-2025-04-20"};
static const struct ak_credential plain_bearer = BEARER;

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

/* tests/runtimes has a test for each name here, which does it with the real programs; docs/runtimes.md shows
 * the same. Neither is changed without the other. */
static const struct ak_pair capabilities[] = {
    {"prompt", "a prompt gives an answer"},
    {"longPrompt", "so does one of 256 KiB"},
    {"model", "`spec.model.name` is the model that is asked for"},
    {"keeper", "model calls go to the keeper, with a placeholder for a key"},
    {"shell", "runs commands without asking"},
    {"toolCalls", "calls the tools of the MCP endpoint without asking"},
    {"events", "tells of tool calls and their results while it works"},
    {"usage", "tells how many tokens a run used, as the provider counts them"},
    {"cost", "tells what a model of a known price cost"},
    {"errors", "a refused key fails the run, in the provider's words"},
    {"givesUp", "a provider that only fails ends the run within two minutes"},
    {"quiet", "looks up no name and connects to nobody but the keeper"},
    {"clean", "leaves no process behind"},
    {NULL, NULL},
};

static const struct ak_runtime runtimes[] = {
    {.name = "ClaudeCode",
     .image = "agentkube-runtime-claude-code",
     .command = "claude",
     .provider = "anthropic",
     .token_variable = "ANTHROPIC_API_KEY",
     .model_variable = "ANTHROPIC_MODEL",
     .base_url_variable = "ANTHROPIC_BASE_URL",
     .quiet = claude_quiet,
     .read_only_root = true,
     .format = AK_OUTPUT_CLAUDE,
     .tested_version = "2.1.330",
     .can = NAMES("prompt", "longPrompt", "model", "keeper", "shell", "toolCalls", "events",
                  "usage", "cost", "errors", "givesUp", "quiet", "clean"),
     .cannot = NAMES()},
    /* codex sends no Authorization for OPENAI_API_KEY alone, and takes model and base URL as arguments. */
    {.name = "Codex",
     .image = "agentkube-runtime-codex",
     .command = "codex",
     .provider = "openai",
     .token_variable = "CODEX_API_KEY",
     .read_only_root = true,
     .format = AK_OUTPUT_CODEX,
     .tested_version = "0.169.0",
     .can = NAMES("prompt", "longPrompt", "model", "keeper", "shell", "toolCalls", "events",
                  "usage", "errors", "givesUp", "quiet", "clean"),
     .cannot = NAMES("cost")},
    /* opencode takes the model as "provider/name", the base URL from its configuration. */
    {.name = "OpenCode",
     .image = "agentkube-runtime-opencode",
     .command = "opencode",
     .quiet = opencode_quiet,
     .read_only_root = true,
     .format = AK_OUTPUT_OPENCODE,
     .tested_version = "1.18.33",
     .can = NAMES("prompt", "longPrompt", "model", "keeper", "shell", "toolCalls", "events",
                  "usage", "cost", "errors", "givesUp", "quiet", "clean"),
     .cannot = NAMES()},
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
     .read_only_root = true,
     .format = AK_OUTPUT_CLINE,
     .tested_version = "3.0.65",
     .can = NAMES("prompt", "longPrompt", "model", "keeper", "shell", "toolCalls", "events",
                  "usage", "cost", "errors", "givesUp", "clean"),
     .cannot = NAMES("quiet")},
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
     .read_only_root = true,
     .keeper_unaware = true,
     .format = AK_OUTPUT_CLAUDE},
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

const struct ak_credential *ak_provider_credential(const struct ak_provider *provider,
                                                   const char *key, size_t len)
{
    size_t oauth = strlen(ANTHROPIC_OAUTH_KEY);
    if (!provider)
        return &plain_bearer;
    if (provider->dialect == AK_DIALECT_ANTHROPIC && len >= oauth &&
        strncmp(key, ANTHROPIC_OAUTH_KEY, oauth) == 0)
        return &anthropic_oauth;
    return &provider->credential;
}

const struct ak_pair *ak_capabilities(void)
{
    return capabilities;
}

const char *const *ak_runtime_capabilities(const struct ak_runtime *runtime)
{
    static const char *const none[] = {NULL};
    return runtime->can ? runtime->can : none;
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
