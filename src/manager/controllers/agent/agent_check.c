/* SPDX-License-Identifier: Apache-2.0 */
/* Rules between fields, which a schema without CEL cannot express. Each says what to change. */
#include <ak/base/text.h>
#include <stdarg.h>
#include <string.h>

#include "manager/controllers/agent/agent_internal.h"

#define INVALID AK_PROBLEM_INVALID, "InvalidSpec"

struct check {
    const struct ak_agent_observed *o;
    const struct ak_agent_spec *spec;
    struct ak_arena *arena;
    struct ak_agent_view *view;
};
#define REFUSE(c, ...) ak_agent_add_problem((c)->view, (c)->arena, INVALID, __VA_ARGS__)

void ak_agent_add_problem(struct ak_agent_view *view, struct ak_arena *arena,
                          enum ak_problem_kind kind, const char *reason, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    if (view->n_problems == AK_AGENT_PROBLEMS_MAX) {
        view->n_more++;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const char *message = ak_agent_cut(arena, text, AK_AGENT_MESSAGE_MAX);
    view->oom = view->oom || !message;
    view->problems[view->n_problems++] = (struct ak_problem){kind, reason, message};
}

static void check_image(const struct check *c)
{
    if (c->view->runtime && !c->view->runtime->image && ak_is_empty(c->spec->image))
        REFUSE(c, "spec.image: must be set, because runtime %s has no image of its own",
               c->view->runtime->name);
}

static void check_goal(const struct check *c)
{
    const struct ak_agent_goal *goal = c->spec->goal;
    if (goal && !goal->inline_ == !goal->config_map_key_ref)
        REFUSE(c, "spec.goal: must have exactly one of inline and configMapKeyRef");
}

static void check_playbook(const struct check *c)
{
    const struct ak_agent_playbook *book = c->spec->playbook;
    if (c->spec->mode == AK_AGENT_MODE_SYSTEM && (!book || !book->steps.len))
        REFUSE(c, "spec.playbook.steps: mode system needs at least one step");
    for (size_t i = 0; book && i < book->steps.len; i++)
        if (!book->steps.items[i].prompt == !book->steps.items[i].run)
            REFUSE(c, "spec.playbook.steps[%zu]: must have exactly one of prompt and run", i);
}

static void check_schedule(const struct check *c)
{
    if (c->o->schedule_error)
        REFUSE(c, "%s", c->o->schedule_error);
}

static void check_env(const struct check *c)
{
    for (size_t i = 0; i < c->spec->env.len; i++) {
        const char *name = c->spec->env.items[i].name;
        if (ak_is_reserved_variable(name))
            REFUSE(c,
                   "spec.env[%zu].name: \"%s\" is reserved: an agent's container holds no key and "
                   "AGENTKUBE_ names are the manager's; use spec.agentToken for a key",
                   i, name);
    }
}

/* "agentkube.io/x", "sub.agentkube.io/x" */
static bool is_key_of(const char *key, const char *domain)
{
    const char *slash = strchr(key, '/');
    size_t len = strlen(domain);
    if (!slash || (size_t)(slash - key) < len || strncmp(slash - len, domain, len) != 0)
        return false;
    return slash - len == key || slash[-(ptrdiff_t)len - 1] == '.';
}

static void check_keys(const struct check *c, const struct ak_string_map *map, const char *field)
{
    static const char *const domains[] = {"agentkube.io", "app.kubernetes.io"};
    for (size_t i = 0; i < map->len; i++)
        for (size_t d = 0; d < AK_ARRAY_LEN(domains); d++)
            if (is_key_of(map->items[i].key, domains[d]))
                REFUSE(c, "%s: \"%s\" is reserved: keys of %s are the manager's", field,
                       map->items[i].key, domains[d]);
}

static void check_metadata(const struct check *c)
{
    check_keys(c, &c->spec->pod_labels, "spec.podLabels");
    check_keys(c, &c->spec->pod_annotations, "spec.podAnnotations");
}

static void check_workspace(const struct check *c)
{
    const struct ak_agent_workspace *ws = c->spec->workspace;
    int64_t milli = 0;
    if (ws && ws->size && (ak_parse_quantity(ws->size, &milli) < 0 || milli <= 0))
        REFUSE(c, "spec.workspace.size: \"%s\" must be a quantity above zero, such as 10Gi",
               ws->size);
}

static void check_suspend(const struct check *c)
{
    ak_msec span = 0;
    if (c->spec->suspend_after &&
        (ak_parse_duration(c->spec->suspend_after, &span) < 0 || span <= 0))
        REFUSE(c, "spec.suspendAfter: \"%s\" must be a duration above zero, such as 30m",
               c->spec->suspend_after);
}

void ak_agent_check_spec(const struct ak_agent_observed *o, struct ak_arena *arena,
                         struct ak_agent_view *view)
{
    static void (*const checks[])(const struct check *) = {
        check_image, check_goal,     check_playbook,  check_schedule,
        check_env,   check_metadata, check_workspace, check_suspend,
    };
    const struct check c = {.o = o, .spec = ak_agent_spec_of(o), .arena = arena, .view = view};
    for (size_t i = 0; i < AK_ARRAY_LEN(checks); i++)
        checks[i](&c);
}
