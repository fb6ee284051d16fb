/* SPDX-License-Identifier: Apache-2.0 */
#include "runtimes/launch.h"

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdarg.h>
#include <string.h>

#include "runtimes/launch_maker.h"

#define MAX_CONFIGURATION (64u << 10)
/* Below HOME, and nowhere in the workspace, where it would end up in somebody's commit. */
#define PROMPT_FILE ".agentkube/prompt.md"

static const struct launcher {
    const char *runtime;
    void (*make)(struct ak_maker *m);
} launchers[] = {
    {"ClaudeCode", ak_launch_claude}, {"Codex", ak_launch_codex},
    {"OpenCode", ak_launch_opencode}, {"Aider", ak_launch_aider},
    {"Cline", ak_launch_cline},       {"Goose", ak_launch_goose},
    {"Cursor", ak_launch_cursor},     {"Custom", ak_launch_custom},
};

static void fail(struct ak_maker *m, int code)
{
    if (m->failed >= 0)
        m->failed = code;
}

static void out_of_memory(struct ak_maker *m)
{
    if (m->failed >= 0)
        m->failed = ak_error_oom(m->reterr);
}

static void add_arg(struct ak_maker *m, const char *arg)
{
    if (m->failed < 0)
        return;
    if (m->args >= AK_MAKER_MAX_ARGS)
        fail(m, ak_error_set(m->reterr, AK_E_TOO_LARGE, "a run has more than %d arguments",
                             AK_MAKER_MAX_ARGS));
    else if (strlen(arg) > AK_LAUNCH_MAX_ARGUMENT)
        fail(m,
             ak_error_set(m->reterr, AK_E_TOO_LARGE,
                          "the prompt is an argument of the program, and longer than the %u bytes "
                          "that an argument may have",
                          AK_LAUNCH_MAX_ARGUMENT));
    else
        m->argv[m->args++] = arg;
}

void ak_maker_args(struct ak_maker *m, const char *first, ...)
{
    va_list ap;
    va_start(ap, first);
    for (const char *arg = first; arg; arg = va_arg(ap, const char *))
        add_arg(m, arg);
    va_end(ap);
}

void ak_maker_prompt_argument(struct ak_maker *m, const char *separator)
{
    const char *prompt = m->in->prompt;
    if (!strpbrk(prompt, " \n")) {
        prompt = ak_arena_printf(m->arena, "%s\n", prompt);
        if (!prompt) {
            out_of_memory(m);
            return;
        }
    }
    if (strlen(prompt) + 1 > AK_LAUNCH_MAX_ARGUMENT) {
        ak_maker_file(m, PROMPT_FILE, prompt);
        prompt = ak_maker_text(m, "Read the whole file %s/%s and do what it says.", m->in->home,
                               PROMPT_FILE);
    }
    if (separator)
        add_arg(m, separator);
    add_arg(m, prompt);
}

static void add_pair(struct ak_maker *m, struct ak_pair *list, size_t *count, const char *name,
                     const char *value)
{
    if (m->failed < 0)
        return;
    for (size_t i = 0; i < *count; i++)
        if (ak_streq(list[i].key, name)) {
            list[i].value = value;
            return;
        }
    if (*count >= AK_MAKER_MAX_PAIRS) {
        fail(m, ak_error_set(m->reterr, AK_E_TOO_LARGE, "a run has more than %d variables",
                             AK_MAKER_MAX_PAIRS));
        return;
    }
    list[(*count)++] = (struct ak_pair){name, value};
}

void ak_maker_env(struct ak_maker *m, const char *name, const char *value)
{
    add_pair(m, m->env, &m->envs, name, value);
}

void ak_maker_default(struct ak_maker *m, const char *name, const char *value)
{
    add_pair(m, m->defaults, &m->default_envs, name, value);
}

void ak_maker_file(struct ak_maker *m, const char *path, const char *content)
{
    const char *full = ak_maker_text(m, "%s/%s", m->in->home, path);
    if (m->failed < 0)
        return;
    if (m->file_count >= AK_MAKER_MAX_FILES) {
        fail(m, ak_error_set(m->reterr, AK_E_TOO_LARGE, "a run has more than %d files",
                             AK_MAKER_MAX_FILES));
        return;
    }
    m->files[m->file_count++] = (struct ak_launch_file){full, content, 0600};
}

void ak_maker_json_file(struct ak_maker *m, const char *path, json_t *content)
{
    ak_maker_file(m, path, ak_maker_json(m, content));
}

const char *ak_maker_text(struct ak_maker *m, const char *fmt, ...)
{
    va_list ap;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_CONFIGURATION);
    if (m->failed < 0)
        return "";
    va_start(ap, fmt);
    int r = ak_buf_vaddf(&text, fmt, ap);
    va_end(ap);
    char *copy = r < 0 ? NULL : ak_arena_strndup(m->arena, ak_buf_text(&text), text.len);
    if (r == AK_E_TOO_LARGE)
        fail(m, ak_error_set(m->reterr, r, "a value of the run's configuration is too long"));
    else if (!copy)
        out_of_memory(m);
    return copy ? copy : "";
}

const char *ak_maker_json(struct ak_maker *m, json_t *value)
{
    AK_AUTO_JSON *tree = value;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_CONFIGURATION);
    if (m->failed < 0)
        return "";
    if (!tree) {
        out_of_memory(m);
        return "";
    }
    int r = ak_json_write(tree, &text, m->reterr);
    if (r < 0) {
        fail(m, r);
        return "";
    }
    char *copy = ak_arena_strndup(m->arena, ak_buf_text(&text), text.len);
    if (!copy)
        out_of_memory(m);
    return copy ? copy : "";
}

void ak_maker_needs_model(struct ak_maker *m)
{
    if (m->failed < 0)
        return;
    if (!m->model)
        fail(m, ak_error_set(m->reterr, -EINVAL,
                             "spec.model.name: must be set, runtime %s has no model of its own",
                             m->in->runtime->name));
    else if (!m->provider)
        fail(m, ak_error_set(m->reterr, -EINVAL,
                             "spec.model.provider: must be set, nobody is known to serve \"%s\"",
                             m->model));
}

bool ak_maker_is_provider(const struct ak_maker *m, const char *name)
{
    return m->provider && ak_streq(m->provider->name, name);
}

/* "openai/gpt-5" is openai's gpt-5; but openrouter's own names begin with other providers' or its own. */
static const char *plain_model(const struct ak_provider *provider, const char *model)
{
    if (ak_is_empty(model))
        return NULL;
    size_t len = provider ? strlen(provider->name) : 0;
    if (!provider || strncmp(model, provider->name, len) != 0 || model[len] != '/')
        return model;
    const char *rest = model + len + 1;
    return ak_streq(provider->name, "openrouter") && !strchr(rest, '/') ? model : rest;
}

static int check(const struct ak_launch_input *in, struct ak_error **reterr)
{
    bool custom = in->command && in->command[0];
    if (!in->runtime)
        return ak_error_set(reterr, -EINVAL, "spec.runtime: unknown");
    if (ak_is_empty(in->prompt) && !custom)
        return ak_error_set(reterr, -EINVAL, "there is neither a goal nor a prompt");
    if (in->prompt && strlen(in->prompt) > AK_LAUNCH_MAX_PROMPT)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "goal and prompt have more than %u bytes",
                            AK_LAUNCH_MAX_PROMPT);
    return 0;
}

static void *keep(struct ak_maker *m, const void *array, size_t size)
{
    void *copy = m->failed < 0 ? NULL : ak_arena_alloc(m->arena, size);
    if (copy)
        memcpy(copy, array, size);
    else
        out_of_memory(m);
    return copy;
}

static int finish(struct ak_maker *m, struct ak_launch *ret)
{
    struct ak_launch made = {
        .argv = keep(m, m->argv, (m->args + 1) * sizeof(*m->argv)),
        .env = keep(m, m->env, (m->envs + 1) * sizeof(*m->env)),
        .defaults = keep(m, m->defaults, (m->default_envs + 1) * sizeof(*m->defaults)),
        .files = keep(m, m->files, (m->file_count + 1) * sizeof(*m->files)),
        .input = m->input,
        .format = m->in->runtime->format,
    };
    if (m->failed < 0)
        return m->failed;
    *ret = made;
    return 0;
}

/* Keys that the program looks for: it would not start without one, or log in elsewhere. */
static void add_placeholder(struct ak_maker *m)
{
    const char *variable = ak_runtime_token_variable(m->in->runtime, m->provider);
    if (variable && !m->in->runtime->keeper_unaware && m->in->model_url)
        ak_maker_env(m, variable, AK_TOKEN_PLACEHOLDER);
}

int ak_launch_make(const struct ak_launch_input *in, struct ak_arena *arena, struct ak_launch *ret,
                   struct ak_error **reterr)
{
    int r = check(in, reterr);
    if (r < 0)
        return r;
    struct ak_maker m = {.in = in, .arena = arena, .reterr = reterr};
    const char *provider = ak_is_empty(in->provider) ? in->runtime->provider : in->provider;
    m.provider = provider ? ak_provider_find(provider) : NULL;
    m.stranger.name = in->provider;
    if (!m.provider && !ak_is_empty(in->provider))
        m.provider = &m.stranger;
    m.model = plain_model(m.provider, in->model);
    add_placeholder(&m);
    for (size_t i = 0; in->runtime->quiet && in->runtime->quiet[i].key; i++)
        ak_maker_default(&m, in->runtime->quiet[i].key, in->runtime->quiet[i].value);
    for (size_t i = 0; i < AK_ARRAY_LEN(launchers); i++)
        if (ak_streq(launchers[i].runtime, in->runtime->name)) {
            launchers[i].make(&m);
            return finish(&m, ret);
        }
    return ak_error_set(reterr, -EINVAL, "spec.runtime: nothing is known about starting \"%s\"",
                        in->runtime->name);
}
