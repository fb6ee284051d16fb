/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/plan.h"

#include "agentlet/runs/leftovers.h"
#include "agentlet/runs/place.h"

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SELF "/proc/self/exe" /* of the child, which is us until it executes */
#define MAX_COMMAND 64
#define MAX_OWN 3

/* ---- environment ---- */

static bool names(const char *variable, const char *name)
{
    size_t len = strlen(name);

    return strncmp(variable, name, len) == 0 && variable[len] == '=';
}

static const struct ak_pair *find_pair(const struct ak_pair *pairs, const char *variable)
{
    for (; pairs && pairs->key; pairs++)
        if (names(variable, pairs->key))
            return pairs;
    return NULL;
}

static size_t count_pairs(const struct ak_pair *pairs)
{
    size_t n = 0;

    while (pairs && pairs[n].key)
        n++;
    return n;
}

static bool is_set(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (names(list[i], name))
            return true;
    return false;
}

static bool add_pairs(const char **list, size_t *n, const struct ak_pair *pairs, bool only_new,
                      struct ak_arena *arena)
{
    for (; pairs && pairs->key; pairs++) {
        if (only_new && is_set(list, *n, pairs->key))
            continue;
        list[*n] = ak_arena_printf(arena, "%s=%s", pairs->key, pairs->value);
        if (!list[(*n)++])
            return false;
    }
    return true;
}

const char *const *ak_plan_environment(const char *const *base, const struct ak_pair *set,
                                       const struct ak_pair *defaults, struct ak_arena *arena)
{
    size_t n_base = 0, n = 0;
    const char **list = NULL;

    while (base[n_base])
        n_base++;
    list = ak_arena_alloc(arena,
                          (n_base + count_pairs(set) + count_pairs(defaults) + 1) * sizeof(*list));
    if (!list)
        return NULL;
    for (size_t i = 0; i < n_base; i++)
        if (!find_pair(set, base[i]))
            list[n++] = base[i];
    if (!add_pairs(list, &n, set, false, arena) || !add_pairs(list, &n, defaults, true, arena))
        return NULL;
    return list;
}

/* What the step adds, and our own: the mark by which leftovers are found, and the run's prompt. */
static int make_environment(const char *run_id, const struct ak_request *request,
                            const struct ak_pair *set, const struct ak_pair *defaults,
                            struct ak_arena *arena, struct ak_plan *ret)
{
    size_t n = count_pairs(set);
    struct ak_pair *all = ak_arena_alloc(arena, (n + MAX_OWN) * sizeof(*all));

    if (!all)
        return -ENOMEM;
    if (n > 0)
        memcpy(all, set, n * sizeof(*all));
    all[n++] = (struct ak_pair){AK_RUN_MARK, run_id};
    /* One variable takes 128 KiB; a longer prompt is not for a shell's variable. */
    if (request->prompt && request->n_steps > 0 && strlen(request->prompt) < (120u << 10))
        all[n++] = (struct ak_pair){"AGENTKUBE_RUN_PROMPT", request->prompt};
    ret->envp =
        ak_plan_environment((const char *const *)(const void *)environ, all, defaults, arena);
    return ret->envp ? 0 : -ENOMEM;
}

/* ---- prompts ---- */

bool ak_plan_has_goal(const struct ak_settings *settings)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_PLAN_MAX_GOAL);

    return settings->goal_file[0] && ak_buf_add_file(&text, settings->goal_file) >= 0 &&
           text.len > 0;
}

static int read_goal(const struct ak_settings *settings, struct ak_buf *out,
                     struct ak_error **reterr)
{
    int r = settings->goal_file[0] ? ak_buf_add_file(out, settings->goal_file) : 0;

    if (r == -ENOENT)
        return 0;
    return r < 0 ? ak_error_set(reterr, r, "read the goal \"%s\": %s", settings->goal_file,
                                ak_code_text(r))
                 : 0;
}

static int make_prompt(const struct ak_settings *settings, const struct ak_request *request,
                       const struct ak_step *step, struct ak_arena *arena, const char **ret,
                       struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_PLAN_MAX_GOAL + AK_REQUEST_MAX_PROMPT + 2);
    int r = 0;

    if (step->text) {
        *ret = step->text;
        return 0;
    }
    r = read_goal(settings, &text, reterr);
    if (r < 0)
        return r;
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    if (text.len > 0 && request->prompt)
        r = ak_buf_adds(&text, "\n\n");
    if (r >= 0 && request->prompt)
        r = ak_buf_adds(&text, request->prompt);
    if (r >= 0 && text.len == 0)
        return ak_error_set(reterr, -EINVAL, "there is neither a goal nor a prompt");
    *ret = r < 0 ? NULL : ak_arena_strdup(arena, ak_buf_text(&text));
    return *ret ? 0 : ak_error_oom(reterr);
}

/* spec.run.command, as JSON. */
static int parse_command(const char *text, struct ak_arena *arena, const char *const **ret,
                         struct ak_error **reterr)
{
    AK_AUTO_JSON *list = NULL;
    const char **argv = NULL;
    size_t n = 0;

    *ret = NULL;
    if (!text[0])
        return 0;
    if (ak_json_parse(text, strlen(text), &list, NULL) < 0 || !json_is_array(list) ||
        json_array_size(list) == 0 || json_array_size(list) > MAX_COMMAND)
        return ak_error_set(reterr, -EINVAL,
                            "AGENTKUBE_RUN_COMMAND: must be a JSON list of 1-%d texts",
                            MAX_COMMAND);
    n = json_array_size(list);
    argv = ak_arena_alloc(arena, (n + 1) * sizeof(*argv));
    for (size_t i = 0; argv && i < n; i++) {
        const char *item = json_string_value(json_array_get(list, i));

        if (!item)
            return ak_error_set(reterr, -EINVAL, "AGENTKUBE_RUN_COMMAND[%zu]: must be text", i);
        argv[i] = ak_arena_strdup(arena, item);
        if (!argv[i])
            return ak_error_oom(reterr);
    }
    *ret = argv;
    return argv ? 0 : ak_error_oom(reterr);
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static int plan_prompt(const struct ak_settings *settings, const char *run_id,
                       const struct ak_request *request, const struct ak_step *step,
                       struct ak_arena *arena, struct ak_plan *ret, struct ak_error **reterr)
{
    struct ak_launch_input in = {
        .runtime = ak_runtime_find(settings->runtime),
        .provider = or_null(settings->provider),
        .model = or_null(settings->model),
        .model_url = or_null(settings->model_url),
        .mcp_url = or_null(settings->mcp_url),
        .run_id = run_id,
        .workspace = settings->workspace,
        .home = settings->home[0] ? settings->home : settings->workspace,
    };
    struct ak_launch launch = {0};
    int r = 0;

    if (!in.runtime)
        return ak_error_set(reterr, -EINVAL, "the runtime \"%s\" is not known", settings->runtime);
    r = make_prompt(settings, request, step, arena, &in.prompt, reterr);
    if (r >= 0)
        r = parse_command(settings->run_command, arena, &in.command, reterr);
    if (r >= 0)
        r = ak_launch_make(&in, arena, &launch, reterr);
    if (r < 0)
        return r;
    ret->argv = launch.argv;
    ret->input = launch.input;
    ret->files = launch.files;
    ret->format = launch.format;
    return make_environment(run_id, request, launch.env, launch.defaults, arena, ret) < 0
               ? ak_error_oom(reterr)
               : 0;
}

static int plan_argv(const char *const *argv, size_t n, struct ak_arena *arena, struct ak_plan *ret)
{
    const char **copy = ak_arena_alloc(arena, (n + 1) * sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    memcpy(copy, argv, n * sizeof(*copy));
    ret->argv = copy;
    ret->format = AK_OUTPUT_TEXT;
    return 0;
}

int ak_plan_make(const struct ak_settings *settings, const char *run_id,
                 const struct ak_request *request, const struct ak_step *step,
                 struct ak_arena *arena, struct ak_plan *ret, struct ak_error **reterr)
{
    const char *const shell[] = {"/bin/sh", "-c", step->text};
    const char *const tool[] = {SELF, "call-tool", step->text};
    struct ak_plan plan = {0};
    int r = 0;

    if (step->kind == AK_STEP_PROMPT) {
        r = plan_prompt(settings, run_id, request, step, arena, &plan, reterr);
        if (r < 0)
            return r;
        *ret = plan;
        return 0;
    }
    r = plan_argv(step->kind == AK_STEP_RUN ? shell : tool, 3, arena, &plan);
    if (r >= 0)
        r = make_environment(run_id, request, NULL, NULL, arena, &plan);
    if (r < 0)
        return ak_error_oom(reterr);
    plan.input = step->kind == AK_STEP_TOOL ? step->arguments : NULL;
    *ret = plan;
    return 0;
}

int ak_plan_write_files(const struct ak_plan *self, const struct ak_settings *settings,
                        struct ak_error **reterr)
{
    const char *home = settings->home[0] ? settings->home : settings->workspace;

    for (const struct ak_launch_file *f = self->files; f && f->path; f++) {
        int r = ak_place_write_below(home, f->path, f->content, strlen(f->content), f->mode);

        if (r < 0)
            return ak_error_set(reterr, r, "write \"%s\": %s", f->path, ak_code_text(r));
    }
    return 0;
}
