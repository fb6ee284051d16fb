/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>

#include "manager/admission/validate.h"
#include "runtimes/runtimes.h"
#include "manager/schedule/cron.h"
#include "manager/schedule/zone.h"

typedef void (*check_fn)(const struct ak_agent_candidate *c, struct ak_findings *f);

static int next_run(const struct ak_agent_schedule *schedule, const char *zoneinfo_dir, ak_msec now,
                    ak_msec anchor, ak_msec *ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    struct ak_cron cron;
    int r = ak_cron_parse(schedule->cron, &cron, reterr);
    if (r < 0)
        return r;
    const char *name = schedule->time_zone ? schedule->time_zone : "UTC";
    r = ak_zone_load(zoneinfo_dir, name, &zone, reterr);
    if (r < 0)
        return r; /* says spec.schedule.timeZone itself */
    return ak_cron_next(&cron, zone, now, anchor, ret, reterr);
}

int ak_agent_schedule_next(const struct ak_agent_schedule *schedule, const char *zoneinfo_dir,
                           ak_msec now, ak_msec anchor, struct ak_arena *arena, ak_msec *ret_next,
                           const char **ret_problem, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    const char *problem = NULL;
    ak_msec next = 0;
    int r = next_run(schedule, zoneinfo_dir, now, anchor, &next, &err);

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0) {
        next = 0;
        problem = ak_arena_strdup(arena, ak_error_message(err));
        if (!problem)
            return ak_error_oom(reterr);
    }
    *ret_next = next;
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
        if (!step->prompt == !step->run)
            ak_refuse(f, ak_path(f, "spec.playbook.steps[%zu]", i),
                      "must have exactly one of prompt and run");
        if (limit && step->timeout_seconds.set && step->timeout_seconds.value > limit)
            ak_warn_of(f, ak_path(f, "spec.playbook.steps[%zu].timeoutSeconds", i),
                       "is never reached, because spec.run.timeoutSeconds is %lld",
                       (long long)limit);
    }
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
    ak_check_duration(f, "spec.suspendAfter", c->spec->suspend_after);
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
             c->spec->runtime != AK_AGENT_RUNTIME_CUSTOM)
        ak_warn_of(
            f, "spec.agentToken",
            "neither this nor spec.gatewayRef is set, so the runtime has no key for a model");
}

void ak_validate_agent(const struct ak_agent_candidate *c, struct ak_findings *findings)
{
    static const check_fn checks[] = {
        check_image,     check_goal,     check_playbook,  check_schedule,
        check_env,       check_metadata, check_workspace, check_suspend,
        check_immutable, check_repo,     check_resources, check_key,
    };

    for (size_t i = 0; i < AK_ARRAY_LEN(checks); i++)
        checks[i](c, findings);
}
