/* SPDX-License-Identifier: Apache-2.0 */
/* What each program needs to be told. Where a switch is not documented by its vendor, the comment says
 * what was seen; tests/runtimes runs the programs with exactly this. */
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <string.h>

#include "runtimes/launch_maker.h"

/*
 * Retries: enough to sit out a provider's hiccup of half a minute, few enough that a dead one ends the run in
 * about one. The programs' own defaults go on for several minutes, or for ever.
 */
#define CLAUDE_RETRIES "6"
#define CODEX_RETRIES 3

/* {"mcpServers": {"agentkube": {type_key: type, "url": ...}}}, which most programs read. */
static json_t *mcp_servers(const struct ak_maker *m, const char *type)
{
    json_t *server = type ? json_pack("{s:s, s:s}", "type", type, "url", m->in->mcp_url)
                          : json_pack("{s:s}", "url", m->in->mcp_url);
    return json_pack("{s:{s:o}}", "mcpServers", "agentkube", server);
}

static void claude_of_others(struct ak_maker *m)
{
    static const char *const families[] = {"ANTHROPIC_DEFAULT_OPUS_MODEL",
                                           "ANTHROPIC_DEFAULT_SONNET_MODEL",
                                           "ANTHROPIC_DEFAULT_HAIKU_MODEL"};
    if (!m->model || ak_maker_is_provider(m, "anthropic"))
        return;
    /* Sub-agents ask for a family; only Anthropic has them all. */
    for (size_t i = 0; i < AK_ARRAY_LEN(families); i++)
        ak_maker_default(m, families[i], m->model);
}

static void claude_provider(struct ak_maker *m)
{
    if (!m->in->model_url)
        return;
    if (ak_maker_is_provider(m, "bedrock")) {
        ak_maker_env(m, "CLAUDE_CODE_USE_BEDROCK", "1");
        ak_maker_env(m, "ANTHROPIC_BEDROCK_BASE_URL", m->in->model_url);
        ak_maker_env(m, "AWS_BEARER_TOKEN_BEDROCK", AK_TOKEN_PLACEHOLDER);
        ak_maker_default(m, "AWS_REGION", "us-east-1");
    } else {
        ak_maker_env(m, "ANTHROPIC_BASE_URL", m->in->model_url);
    }
    if (m->in->run_id)
        ak_maker_env(m, "ANTHROPIC_CUSTOM_HEADERS",
                     ak_maker_text(m, AK_RUN_ID_HEADER ": %s", m->in->run_id));
    claude_of_others(m);
}

/*
 * Permission mode bypassPermissions: nobody is there to be asked, and what is not allowed would be denied
 * while the run still "succeeds". The pod is the fence. The program refuses this mode to root only. It is the
 * same as --dangerously-skip-permissions, but its name is in what the program prints at its start.
 */
void ak_launch_claude(struct ak_maker *m)
{
    ak_maker_args(m, "claude", "--print", "--output-format", "stream-json", "--verbose",
                  "--permission-mode", "bypassPermissions", NULL);
    if (m->model)
        ak_maker_args(m, "--model", m->model, NULL);
    if (m->in->mcp_url)
        ak_maker_args(m, "--strict-mcp-config", "--mcp-config",
                      ak_maker_json(m, mcp_servers(m, "http")), NULL);
    claude_provider(m);
    ak_maker_default(m, "CLAUDE_CODE_MAX_RETRIES", CLAUDE_RETRIES);
    /* Otherwise tools are hidden behind a search that models do not always think of. */
    ak_maker_default(m, "ENABLE_TOOL_SEARCH", "false");
    m->input = m->in->prompt;
}

/* A JSON string is a TOML string too. */
static int add_toml(struct ak_buf *out, const char *key, const char *value)
{
    int r = ak_buf_addf(out, "%s = ", key);
    if (r >= 0)
        r = ak_buf_add_json_string(out, value, strlen(value));
    return r < 0 ? r : ak_buf_adds(out, "\n");
}

static int write_codex(const struct ak_maker *m, struct ak_buf *out)
{
    int r = ak_buf_adds(out, "check_for_update_on_startup = false\n");
    if (r >= 0 && m->model)
        r = add_toml(out, "model", m->model);
    if (r >= 0 && m->in->model_url)
        r = add_toml(out, "model_provider", "agentkube");
    /* Plug-ins and apps are looked up at github.com and chatgpt.com at each start. */
    if (r >= 0)
        r = ak_buf_adds(
            out, "\n[analytics]\nenabled = false\n\n[features]\nplugins = false\napps = false\n");
    if (r >= 0 && m->in->model_url) {
        /* A provider of its own: the built-in one tries WebSockets first, and keys from elsewhere. */
        r = ak_buf_adds(out, "\n[model_providers.agentkube]\nname = \"agentkube\"\n"
                             "wire_api = \"responses\"\n");
        if (r >= 0)
            r = add_toml(out, "env_key", m->in->runtime->token_variable);
        if (r >= 0)
            r = add_toml(out, "base_url", m->in->model_url);
        if (r >= 0)
            r = ak_buf_addf(out, "request_max_retries = %d\nstream_max_retries = %d\n",
                            CODEX_RETRIES, CODEX_RETRIES);
        if (r >= 0 && m->in->run_id)
            r = ak_buf_addf(out, "http_headers = {\"" AK_RUN_ID_HEADER "\" = \"%s\"}\n",
                            m->in->run_id);
    }
    if (r >= 0 && m->in->mcp_url) {
        r = ak_buf_adds(out, "\n[mcp_servers.agentkube]\n");
        if (r >= 0)
            r = add_toml(out, "url", m->in->mcp_url);
    }
    return r;
}

/* Its own sandbox needs user namespaces, which many nodes refuse to pods: the pod is the sandbox. */
void ak_launch_codex(struct ak_maker *m)
{
    AK_AUTO(ak_buf) config = AK_BUF_INIT(16384);
    ak_maker_args(m, "codex", "exec", "--json", "--skip-git-repo-check",
                  "--dangerously-bypass-approvals-and-sandbox", "--color", "never", "-", NULL);
    if (write_codex(m, &config) < 0)
        ak_maker_json(m, NULL); /* no memory */
    ak_maker_file(m, ".codex/config.toml", ak_maker_text(m, "%s", ak_buf_text(&config)));
    ak_maker_env(m, "CODEX_HOME", ak_maker_text(m, "%s/.codex", m->in->home));
    m->input = m->in->prompt;
}

/* How OpenCode speaks to a provider; every package named here is inside the program. */
static const struct opencode_package {
    const char *provider, *package, *path;
} opencode_packages[] = {
    {"anthropic", "@ai-sdk/anthropic", "/v1"},
    {"openai", "@ai-sdk/openai", ""},
    {"google", "@ai-sdk/google", "/v1beta"},
    {NULL, "@ai-sdk/openai-compatible", ""},
};

static const struct opencode_package *opencode_package(const struct ak_maker *m)
{
    const struct opencode_package *found = opencode_packages;
    while (found->provider && !ak_maker_is_provider(m, found->provider))
        found++;
    return found;
}

static json_t *run_headers(const struct ak_maker *m)
{
    return m->in->run_id ? json_pack("{s:s}", AK_RUN_ID_HEADER, m->in->run_id) : json_object();
}

static json_t *opencode_provider(struct ak_maker *m)
{
    const struct opencode_package *package = opencode_package(m);
    const char *url = ak_maker_text(m, "%s%s", m->in->model_url, package->path);
    return json_pack("{s:{s:s, s:{s:s, s:s, s:o}, s:{s:{s:s}}}}", m->provider->name, "npm",
                     package->package, "options", "baseURL", url, "apiKey", AK_TOKEN_PLACEHOLDER,
                     "headers", run_headers(m), "models", m->model, "name", m->model);
}

/* A member that could not be made makes the whole fail: json_object_set_new() refuses NULL. */
static json_t *opencode_configuration(struct ak_maker *m, const char *model)
{
    AK_AUTO_JSON *all = json_pack("{s:s, s:s, s:b, s:s, s:s}", "model", model, "small_model", model,
                                  "autoupdate", 0, "share", "disabled", "permission", "allow");
    if (!all)
        return NULL;
    if (m->in->model_url && json_object_set_new(all, "provider", opencode_provider(m)) < 0)
        return NULL;
    if (m->in->mcp_url &&
        json_object_set_new(all, "mcp",
                            json_pack("{s:{s:s, s:s, s:b}}", "agentkube", "type", "remote", "url",
                                      m->in->mcp_url, "oauth", 0)) < 0)
        return NULL;
    return AK_TAKE(all);
}

/* It would fetch this package for plug-ins from npm at each start, unless it believes to have it. */
static void opencode_without_npm(struct ak_maker *m)
{
    ak_maker_file(m, ".config/opencode/node_modules/.agentkube", "");
    ak_maker_json_file(m, ".config/opencode/package-lock.json",
                       json_pack("{s:i, s:{s:{s:{s:s}}}}", "lockfileVersion", 3, "packages", "",
                                 "dependencies", "@opencode-ai/plugin", "*"));
}

/* The configuration is in the environment because there it outranks a file in the workspace. With a
 * title it does not ask the model for one. */
void ak_launch_opencode(struct ak_maker *m)
{
    ak_maker_needs_model(m);
    if (m->failed < 0)
        return;
    const char *model = ak_maker_text(m, "%s/%s", m->provider->name, m->model);
    ak_maker_args(m, "opencode", "run", "--format", "json", "--title", "agentkube", "--model",
                  model, NULL);
    ak_maker_env(m, "OPENCODE_CONFIG_CONTENT", ak_maker_json(m, opencode_configuration(m, model)));
    opencode_without_npm(m);
    m->input = m->in->prompt;
}

/* Aider names models as LiteLLM does. */
static const struct aider_provider {
    const char *provider, *prefix, *base_url, *key;
} aider_providers[] = {
    {"anthropic", "anthropic", "ANTHROPIC_API_BASE", "ANTHROPIC_API_KEY"},
    {"google", "gemini", "GEMINI_API_BASE", "GEMINI_API_KEY"},
    {NULL, "openai", "OPENAI_API_BASE", "OPENAI_API_KEY"}, /* everybody else speaks like it */
};

void ak_launch_aider(struct ak_maker *m)
{
    const struct aider_provider *p = aider_providers;
    ak_maker_needs_model(m);
    while (p->provider && !ak_maker_is_provider(m, p->provider))
        p++;
    ak_maker_file(m, ".agentkube/prompt.md", m->in->prompt);
    ak_maker_args(m, "aider", "--message-file",
                  ak_maker_text(m, "%s/.agentkube/prompt.md", m->in->home), "--model",
                  ak_maker_text(m, "%s/%s", p->prefix, m->model ? m->model : ""), "--yes-always",
                  "--no-pretty", "--no-fancy-input", "--no-show-model-warnings",
                  "--no-show-release-notes", "--no-check-update", "--no-gitignore", NULL);
    if (m->in->model_url) {
        ak_maker_env(m, p->base_url, m->in->model_url);
        ak_maker_env(m, p->key, AK_TOKEN_PLACEHOLDER);
    }
}

static json_t *cline_providers(struct ak_maker *m)
{
    bool anthropic = ak_maker_is_provider(m, "anthropic");
    const char *id = anthropic ? "anthropic" : "openai-compatible";
    const char *url = ak_maker_text(m, "%s%s", m->in->model_url, anthropic ? "/v1" : "");
    return json_pack("{s:i, s:s, s:{}, s:{s:{s:{s:s, s:s, s:s, s:s, s:o}, s:s, s:s}}}", "version",
                     1, "lastUsedProvider", id, "modes", "providers", id, "settings", "provider",
                     id, "apiKey", AK_TOKEN_PLACEHOLDER, "model", m->model, "baseUrl", url,
                     "headers", run_headers(m), "updatedAt", "2026-01-01T00:00:00Z", "tokenSource",
                     "manual");
}

/*
 * It takes one word for the name of a command, even after "--": see ak_maker_prompt_argument(). Without
 * CLINE_SESSION_BACKEND_MODE it leaves a daemon of 250 MB behind. Its variables against telemetry do not reach
 * everything, the file does.
 */
void ak_launch_cline(struct ak_maker *m)
{
    static const char data[] = ".cline/data";
    ak_maker_needs_model(m);
    if (m->failed < 0)
        return;
    ak_maker_args(m, "cline", "--json", "--auto-approve", "true", NULL);
    ak_maker_json_file(m, ".cline/data/settings/global-settings.json",
                       json_pack("{s:b, s:b}", "telemetryOptOut", 1, "autoUpdateEnabled", 0));
    if (m->in->model_url)
        ak_maker_json_file(m, ".cline/data/settings/providers.json", cline_providers(m));
    if (m->in->mcp_url)
        ak_maker_json_file(m, ".cline/data/settings/cline_mcp_settings.json",
                           json_pack("{s:{s:{s:{s:s, s:s}}}}", "mcpServers", "agentkube",
                                     "transport", "type", "streamableHttp", "url", m->in->mcp_url));
    ak_maker_env(m, "CLINE_DATA_DIR", ak_maker_text(m, "%s/%s", m->in->home, data));
    ak_maker_env(m, "CLINE_SESSION_BACKEND_MODE", "local");
    ak_maker_prompt_argument(m, "--");
}

static const struct goose_provider {
    const char *provider, *name, *host;
} goose_providers[] = {
    {"anthropic", "anthropic", "ANTHROPIC_HOST"},
    {"google", "google", "GOOGLE_HOST"},
    {NULL, "openai", "OPENAI_HOST"},
};

void ak_launch_goose(struct ak_maker *m)
{
    const struct goose_provider *p = goose_providers;
    ak_maker_needs_model(m);
    while (p->provider && !ak_maker_is_provider(m, p->provider))
        p++;
    ak_maker_args(m, "goose", "run", "--no-session", "--quiet", "--with-builtin", "developer",
                  NULL);
    if (m->in->mcp_url)
        ak_maker_args(m, "--with-streamable-http-extension", m->in->mcp_url, NULL);
    ak_maker_args(m, "--instructions", "-", NULL);
    ak_maker_env(m, "GOOSE_PROVIDER", p->name);
    ak_maker_env(m, "GOOSE_MODEL", m->model ? m->model : "");
    ak_maker_env(m, "GOOSE_MODE", "auto");
    ak_maker_default(m, "GOOSE_TELEMETRY_ENABLED", "false");
    if (m->in->model_url) {
        ak_maker_env(m, p->host, ak_maker_text(m, "%s/", m->in->model_url));
        if (!p->provider) {
            ak_maker_env(m, "OPENAI_BASE_PATH", "chat/completions");
            ak_maker_env(m, "OPENAI_API_KEY", AK_TOKEN_PLACEHOLDER);
        }
    }
    m->input = m->in->prompt;
}

/* It talks to its vendor's service, which knows the models: the keeper has no part in it. */
void ak_launch_cursor(struct ak_maker *m)
{
    ak_maker_args(m, "cursor-agent", "--print", "--output-format", "stream-json", "--force", NULL);
    if (m->model)
        ak_maker_args(m, "--model", m->model, NULL);
    if (m->in->mcp_url) {
        ak_maker_json_file(m, ".cursor/mcp.json", mcp_servers(m, NULL));
        ak_maker_args(m, "--approve-mcps", NULL);
    }
    ak_maker_prompt_argument(m, "--");
}

/* Every "{prompt}" of an argument replaced. */
static const char *with_prompt(struct ak_maker *m, const char *argument, bool *found)
{
    static const char word[] = "{prompt}";
    const char *prompt = m->in->prompt ? m->in->prompt : "";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_LAUNCH_MAX_ARGUMENT + 1);
    int r = 0;
    for (const char *at; r >= 0 && (at = strstr(argument, word)); argument = at + strlen(word)) {
        *found = true;
        r = ak_buf_add(&out, argument, (size_t)(at - argument));
        if (r >= 0)
            r = ak_buf_adds(&out, prompt);
    }
    if (r >= 0)
        r = ak_buf_adds(&out, argument);
    if (r == AK_E_TOO_LARGE && m->failed >= 0)
        m->failed = ak_error_set(m->reterr, r,
                                 "spec.run.command: with the prompt in it an argument is longer "
                                 "than %u bytes; leave out {prompt} to have it on standard input",
                                 AK_LAUNCH_MAX_ARGUMENT);
    char *copy = r < 0 ? NULL : ak_arena_strndup(m->arena, ak_buf_text(&out), out.len);
    if (!copy && m->failed >= 0)
        m->failed = ak_error_oom(m->reterr);
    return copy ? copy : "";
}

void ak_launch_custom(struct ak_maker *m)
{
    bool found = false;
    if (!m->in->command || !m->in->command[0]) {
        m->failed = ak_error_set(m->reterr, -EINVAL,
                                 "spec.run.command: must be set, nobody else knows how a run of "
                                 "runtime Custom is started");
        return;
    }
    for (size_t i = 0; m->in->command[i]; i++)
        ak_maker_args(m, with_prompt(m, m->in->command[i], &found), NULL);
    if (!found)
        m->input = m->in->prompt;
    if (!m->in->model_url || !m->provider)
        return;
    if (m->provider->token_variable)
        ak_maker_default(m, m->provider->token_variable, AK_TOKEN_PLACEHOLDER);
    if (m->provider->base_url_variable)
        ak_maker_default(m, m->provider->base_url_variable, m->in->model_url);
}
