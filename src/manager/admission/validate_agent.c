/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <string.h>

#include "engines/engine.h"
#include "manager/admission/validate.h"
#include "runtimes/runtimes.h"

typedef void (*check_fn)(const struct ak_agent_candidate *c, struct ak_findings *f);

int ak_agent_schedule_times(const struct ak_agent_schedule *schedule, struct ak_schedule_query when,
                            struct ak_arena *arena, struct ak_schedule_times *ret,
                            const char **ret_problem, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    const char *problem = NULL;
    struct ak_schedule_times times = {0};
    when.cron = schedule->cron;
    when.time_zone = schedule->time_zone;
    int r = ak_schedule_times(&when, &times, &err);

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0) {
        problem = ak_arena_strdup(arena, ak_error_message(err));
        if (!problem)
            return ak_error_oom(reterr);
    }
    *ret = times;
    *ret_problem = problem;
    return 0;
}

static void check_image(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const struct ak_runtime *runtime =
        ak_runtime_find(ak_agent_runtime_to_string(c->spec->runtime));

    if (runtime && !runtime->image && ak_is_empty(c->spec->image))
        ak_refuse(f, "spec.image", "must be set, because runtime %s has no image of its own",
                  runtime->name);
    ak_check_image(f, "spec.image", c->spec->image);
}

static void check_goal(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const struct ak_agent_goal *goal = c->spec->goal;

    if (goal && !goal->inline_ == !goal->config_map_key_ref)
        ak_refuse(f, "spec.goal", "must have exactly one of inline and configMapKeyRef");
}

/* Exactly one of prompt, run and tool; arguments that a tool can be called with. */
static void check_step(const struct ak_agent_step *step, size_t i, struct ak_findings *f)
{
    AK_AUTO_JSON *arguments = NULL;

    if (!!step->prompt + !!step->run + !!step->tool != 1)
        ak_refuse(f, ak_path(f, "spec.playbook.steps[%zu]", i),
                  "must have exactly one of prompt, run and tool");
    if (!step->tool || !step->tool->arguments)
        return;
    const char *text = step->tool->arguments;
    int r = ak_json_parse(text, strlen(text), &arguments, NULL);
    if (r == -ENOMEM)
        f->oom = true;
    else if (r < 0 || !json_is_object(arguments))
        ak_refuse(f, ak_path(f, "spec.playbook.steps[%zu].tool.arguments", i),
                  "must be a JSON object, such as {\"name\": \"value\"}");
}

static void check_playbook(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const struct ak_agent_playbook *book = c->spec->playbook;
    int64_t limit = c->spec->run ? c->spec->run->timeout_seconds : 0;

    if (c->spec->mode == AK_AGENT_MODE_SYSTEM && (!book || !book->steps.len))
        ak_refuse(f, "spec.playbook.steps", "mode system needs at least one step");
    if (c->spec->mode != AK_AGENT_MODE_SYSTEM && book && book->steps.len)
        ak_warn_of(f, "spec.playbook", "has no effect, because only mode system runs it");
    for (size_t i = 0; book && i < book->steps.len; i++) {
        const struct ak_agent_step *step = &book->steps.items[i];
        check_step(step, i, f);
        if (limit && step->timeout_seconds.set && step->timeout_seconds.value > limit)
            ak_warn_of(f, ak_path(f, "spec.playbook.steps[%zu].timeoutSeconds", i),
                       "is never reached, because spec.run.timeoutSeconds is %lld",
                       (long long)limit);
    }
}

static bool is_operation(const char *name)
{
    for (int type = AK_TOOL_TYPE_UNSET + 1; type < AK_TOOL_TYPE_MAX; type++)
        if (ak_engine_operation(ak_engine_info((enum ak_tool_type)type), name))
            return true;
    return false;
}

static void check_tools(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    for (size_t i = 0; i < c->spec->tools.len; i++)
        for (size_t n = 0; n < c->spec->tools.items[i].operations.len; n++)
            if (!is_operation(c->spec->tools.items[i].operations.items[n]))
                ak_refuse(f, ak_path(f, "spec.tools[%zu].operations[%zu]", i, n),
                          "no type of Tool has an operation \"%s\"",
                          c->spec->tools.items[i].operations.items[n]);
}

static bool has_prompt_step(const struct ak_agent_playbook *book)
{
    for (size_t i = 0; book && i < book->steps.len; i++)
        if (book->steps.items[i].prompt)
            return true;
    return false;
}

/* What starts a run, and what the runs that nobody asks for are about. */
static void check_run(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const struct ak_agent_spec *spec = c->spec;
    bool system = spec->mode == AK_AGENT_MODE_SYSTEM;
    bool custom = spec->runtime == AK_AGENT_RUNTIME_CUSTOM;
    bool command = spec->run && spec->run->command.len;

    if (!custom && command)
        ak_warn_of(f, "spec.run.command", "has no effect: only runtime Custom needs to be told");
    if (custom && command && ak_is_empty(spec->run->command.items[0]))
        ak_refuse(f, "spec.run.command[0]", "must name a program");
    if (custom && !command && system && has_prompt_step(spec->playbook))
        ak_refuse(f, "spec.run.command",
                  "must be set, because a step of the playbook has a prompt");
    else if (custom && !command && !system && spec->schedule)
        ak_refuse(f, "spec.run.command",
                  "must be set, because runs are scheduled and runtime Custom has no command of "
                  "its own");
    else if (custom && !command && !system)
        ak_warn_of(f, "spec.run.command", "is not set, so this Agent cannot have runs");
    if (spec->schedule && !system && !spec->goal)
        ak_refuse(f, "spec.goal",
                  "must be set, because a run that the schedule starts has no other prompt");
}

/* "spec.schedule.cron: minute "61": ..." is path and message. */
static void check_schedule(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const char *colon = c->schedule_problem ? strstr(c->schedule_problem, ": ") : NULL;

    if (colon)
        ak_refuse(f, ak_path(f, "%.*s", (int)(colon - c->schedule_problem), c->schedule_problem),
                  "%s", colon + 2);
    else if (c->schedule_problem)
        ak_refuse(f, "spec.schedule", "%s", c->schedule_problem);
}

static bool looks_like_credential(const char *name)
{
    static const char *const endings[] = {"_TOKEN", "_SECRET", "_PASSWORD", "_PASSWD", "_API_KEY"};

    for (size_t i = 0; i < AK_ARRAY_LEN(endings); i++)
        if (ak_has_suffix(name, endings[i]) || ak_streq(name, endings[i] + 1))
            return true;
    return false;
}

static void check_env(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    for (size_t i = 0; i < c->spec->env.len; i++) {
        const char *name = c->spec->env.items[i].name;
        if (ak_is_reserved_variable(name))
            ak_refuse(f, ak_path(f, "spec.env[%zu].name", i),
                      "\"%s\" is reserved: an agent's container holds no key and AGENTKUBE_ names "
                      "are the manager's; use spec.agentToken for a key",
                      name);
        else if (looks_like_credential(name))
            ak_warn_of(f, ak_path(f, "spec.env[%zu].name", i),
                       "\"%s\" looks like a credential: everybody who may read the Agent reads its "
                       "value, and so does the agent",
                       name);
    }
}

static void check_keys(const struct ak_string_map *map, const char *path, struct ak_findings *f)
{
    static const char *const domains[] = {"agentkube.io", "app.kubernetes.io"};

    for (size_t i = 0; i < map->len; i++)
        for (size_t d = 0; d < AK_ARRAY_LEN(domains); d++)
            if (ak_is_key_of(map->items[i].key, domains[d]))
                ak_refuse(f, path, "\"%s\" is reserved: keys of %s are the manager's",
                          map->items[i].key, domains[d]);
}

static void check_metadata(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    check_keys(&c->spec->pod_labels, "spec.podLabels", f);
    check_keys(&c->spec->pod_annotations, "spec.podAnnotations", f);
}

static void check_workspace(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const struct ak_agent_workspace *ws = c->spec->workspace;

    if (!ws)
        return;
    ak_check_quantity(f, "spec.workspace.size", ws->size);
    if (ws->persistent)
        return;
    if (ws->storage_class_name)
        ak_warn_of(f, "spec.workspace.storageClassName",
                   "has no effect on a workspace that is not persistent");
    if (ws->reclaim_policy == AK_AGENT_RECLAIM_POLICY_RETAIN)
        ak_warn_of(f, "spec.workspace.reclaimPolicy",
                   "there is nothing to retain: the workspace is not persistent");
}

static void check_repo(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const struct ak_agent_repo *repo = c->spec->workspace ? c->spec->workspace->repo : NULL;

    if (!repo || !repo->url)
        return;
    ak_check_clear_text(f, "spec.workspace.repo.url", repo->url, repo->secret_ref != NULL);
    if (ak_has_prefix(repo->url, "git://"))
        ak_warn_of(f, "spec.workspace.repo.url",
                   "git:// is neither encrypted nor authenticated; use https:// or ssh://");
    if (repo->secret_ref &&
        (ak_has_prefix(repo->url, "git://") || ak_has_prefix(repo->url, "file://")))
        ak_warn_of(f, "spec.workspace.repo.secretRef",
                   "has no effect: this URL takes no credential");
}

/* A claim's class and access mode are fixed when it is made. */
static void check_immutable(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const struct ak_agent_workspace *ws = c->spec->workspace;
    const struct ak_agent_workspace *old = c->old_spec ? c->old_spec->workspace : NULL;
    int64_t size = 0, old_size = 0;

    if (!ws || !old || !ws->persistent || !old->persistent)
        return;
    if (!ak_streq(ws->storage_class_name, old->storage_class_name))
        ak_refuse(f, "spec.workspace.storageClassName",
                  "cannot be changed: claim \"%s-workspace\" keeps its class; make another Agent, "
                  "or set persistent to false, delete the claim, and set both",
                  c->name);
    if (ws->access_mode != old->access_mode)
        ak_refuse(f, "spec.workspace.accessMode",
                  "cannot be changed: claim \"%s-workspace\" keeps its mode; make another Agent, "
                  "or set persistent to false, delete the claim, and set both",
                  c->name);
    if (ws->size && old->size && ak_parse_quantity(ws->size, &size) == 0 &&
        ak_parse_quantity(old->size, &old_size) == 0 && size < old_size)
        ak_warn_of(f, "spec.workspace.size",
                   "a claim cannot shrink: \"%s-workspace\" keeps its size", c->name);
}

static void check_suspend(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    const char *text = c->spec->suspend_after;
    ak_msec span = 0;

    ak_check_duration(f, "spec.suspendAfter", text);
    if (!text || ak_parse_duration(text, &span) < 0 || span <= 0)
        return;
    if (span < AK_SECONDS(1))
        ak_refuse(f, "spec.suspendAfter", "\"%s\" must be at least 1s", text);
    else if (span < AK_MINUTES(1))
        ak_warn_of(f, "spec.suspendAfter",
                   "is shorter than a minute: most runs will wait until the pod is started");
    if (!c->spec->workspace || !c->spec->workspace->persistent)
        ak_warn_of(f, "spec.suspendAfter",
                   "the workspace is not persistent: what is in it, and the output of runs, is "
                   "gone when the pod is stopped");
}

/* Where model calls go. The schema has the shape of the URL; this also holds for objects from before it. */
static void check_model(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    static const char path[] = "spec.model.baseURL";
    const char *url = c->spec->model ? c->spec->model->base_url : NULL;
    const struct ak_runtime *runtime =
        ak_runtime_find(ak_agent_runtime_to_string(c->spec->runtime));

    if (ak_is_empty(url))
        return;
    const char *host = strstr(url, "://");
    size_t len = host ? strcspn(host + 3, "/?#") : 0;
    if (!ak_has_prefix(url, "http://") && !ak_has_prefix(url, "https://"))
        ak_refuse(f, path, "must begin with https:// or http://");
    else if (memchr(host + 3, '@', len))
        ak_refuse(f, path, "must not hold a credential; use spec.agentToken");
    else if (strpbrk(url, "?#"))
        ak_refuse(f, path, "must have no query and no fragment: a path is added to it");
    if (c->spec->gateway_ref)
        ak_refuse(f, path, "contradicts spec.gatewayRef: model calls can go to one of them only");
    if (runtime && runtime->keeper_unaware)
        ak_warn_of(f, path, "has no effect: runtime %s talks to its own service only",
                   runtime->name);
    ak_check_clear_text(f, path, url, c->spec->agent_token != NULL);
}

static void check_resources(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    ak_check_resources(f, "spec.resources", c->spec->resources);
}

static void check_key(const struct ak_agent_candidate *c, struct ak_findings *f)
{
    if (c->spec->agent_token && c->spec->gateway_ref)
        ak_warn_of(f, "spec.agentToken",
                   "is not used with spec.gatewayRef: the gateway has the providers' keys");
    else if (!c->spec->agent_token && !c->spec->gateway_ref &&
             !(c->spec->model && c->spec->model->base_url) &&
             c->spec->runtime != AK_AGENT_RUNTIME_CUSTOM)
        ak_warn_of(f, "spec.agentToken",
                   "neither this nor spec.gatewayRef is set, so there is no key for a model");
}

void ak_validate_agent(const struct ak_agent_candidate *c, struct ak_findings *findings)
{
    static const check_fn checks[] = {
        check_image, check_goal,      check_playbook,  check_tools,   check_schedule,
        check_env,   check_metadata,  check_workspace, check_suspend, check_immutable,
        check_repo,  check_resources, check_key,       check_run,     check_model,
    };

    for (size_t i = 0; i < AK_ARRAY_LEN(checks); i++)
        checks[i](c, findings);
}
