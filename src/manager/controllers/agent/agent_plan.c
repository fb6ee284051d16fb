/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All decisions about an Agent, from what was observed and nothing else: no I/O, no clock.
 *
 * A pod that is over (failed, evicted) is counted first and deleted later: its failure goes into the
 * status, and only a reconcile that sees it there deletes the pod. So the pause before the next pod holds
 * whatever happens in between, also when the manager dies or its cache is behind.
 */
#include <ak/base/text.h>
#include <string.h>

#include "manager/controllers/agent/agent_internal.h"

struct planning {
    const struct ak_agent_observed *o;
    const struct ak_meta *meta;
    const struct ak_agent_spec *spec;  /* NULL: could not be decoded */
    const struct ak_agent_status *old; /* never NULL */
    struct ak_arena *arena;
    struct ak_agent_view view;
    struct ak_pod_view pod;
    ak_msec suspend_after; /* 0: never */
    struct ak_agent_plan *plan;
    struct ak_error **reterr;
};

void ak_agent_plan_done(struct ak_agent_plan *self)
{
    json_decref(self->pod);
    json_decref(self->workspace);
    json_decref(self->memory);
    self->pod = self->workspace = self->memory = NULL;
}

static void again(struct ak_agent_plan *plan, ak_msec after)
{
    after = AK_MAX(after, AK_SECONDS(1));
    if (plan->again_after < 0 || after < plan->again_after)
        plan->again_after = after;
}

static struct ak_condition *condition_at(struct ak_agent_plan *plan, const char *type)
{
    for (size_t i = 0; i < plan->n_conditions; i++)
        if (ak_streq(plan->conditions[i].type, type))
            return &plan->conditions[i];
    struct ak_condition *c = &plan->conditions[plan->n_conditions++];
    c->type = type;
    return c;
}

static void set_condition(struct ak_agent_plan *plan, const struct ak_agent_observed *o,
                          const char *type, bool is_true, const char *reason, const char *message)
{
    const struct ak_agent_status *old = ak_agent_status_of(o);
    struct ak_condition *c = condition_at(plan, type);
    c->status = is_true ? "True" : "False";
    c->reason = reason;
    c->message = message;
    c->observed_generation = ak_object_meta(o->agent)->generation;
    ak_condition_carry_time(c, old ? old->conditions.items : NULL, old ? old->conditions.len : 0,
                            o->now);
    plan->status.conditions.items = plan->conditions;
    plan->status.conditions.len = plan->n_conditions;
}

/* How many pods are wanted, and how many of them are ready. */
static const char *ready_text(enum ak_agent_phase phase)
{
    return phase == AK_AGENT_PHASE_SUSPENDED ? "0/0" : "0/1";
}

void ak_agent_plan_not_ready(struct ak_agent_plan *self, const struct ak_agent_observed *o,
                             enum ak_agent_phase phase, const char *reason, const char *message)
{
    self->status.phase = phase;
    self->status.ready = ready_text(phase);
    set_condition(self, o, "Ready", false, reason, message);
}

static void set_ready(struct planning *p)
{
    p->plan->status.phase = AK_AGENT_PHASE_RUNNING;
    p->plan->status.ready = "1/1";
    set_condition(p->plan, p->o, "Ready", true, "PodReady", "the pod is ready");
}

/* What the pod's own words say. */
static void set_from_pod(struct planning *p)
{
    const struct ak_condition *before =
        ak_condition_find(p->old->conditions.items, p->old->conditions.len, "Ready");
    const char *message = p->pod.message;
    if (p->pod.sticky && before && ak_streq(before->reason, p->pod.reason) &&
        ak_streq(p->old->pod_uid, p->pod.uid))
        message = before->message;
    ak_agent_plan_not_ready(p->plan, p->o, p->pod.phase, p->pod.reason, message);
}

/* A property of the runtime, whatever the Agent does. */
static struct ak_string_list capabilities_of(const struct ak_runtime *runtime)
{
    struct ak_string_list list = {.items = runtime ? ak_runtime_capabilities(runtime) : NULL};
    while (list.items && list.items[list.len])
        list.len++;
    return list;
}

static void fill_status(struct planning *p)
{
    struct ak_agent_status *s = &p->plan->status;
    bool ours = p->pod.uid != NULL;
    s->observed_generation = p->meta->generation;
    p->view.resolved.image_digest = p->pod.image_digest;
    s->resolved = &p->view.resolved;
    s->capabilities = capabilities_of(p->view.runtime);
    s->next_run_time = p->o->next_run;
    s->last_termination = p->pod.last ? p->pod.last : p->old->last_termination;
    if (!ours)
        return;
    s->pod_name = p->meta->name;
    s->pod_uid = p->pod.uid;
    s->node_name = p->pod.node;
    s->start_time = p->pod.started;
    s->restarts = p->pod.restarts;
}

static int set_resolved(struct planning *p)
{
    const struct ak_problem *worst = ak_agent_worst_problem(&p->view);
    size_t n = p->view.n_problems + p->view.n_more;
    if (!worst) {
        set_condition(p->plan, p->o, "Resolved", true, "Resolved",
                      n ? p->view.problems[0].message : "everything that the spec names was found");
        return 0;
    }
    const char *message = worst->message;
    if (n > 1)
        message = ak_arena_printf(p->arena, "%s (one of %zu findings in status.resolved.problems)",
                                  worst->message, n);
    if (!message)
        return ak_error_oom(p->reterr);
    set_condition(p->plan, p->o, "Resolved", false, worst->reason, message);
    return 0;
}

/* ---- claims ---- */

/* The size of a claim never shrinks, its class and mode never change: what is there stays. */
static void fit_to_live(struct ak_agent_claim_input *in, const struct ak_object *live)
{
    const struct ak_claim *claim = live ? ak_object_body(live) : NULL;
    if (!claim || !claim->spec)
        return;
    int64_t want = 0, has = 0;
    const char *size = ak_string_map_get(&claim->spec->resources->requests, "storage");
    if (size && ak_parse_quantity(size, &has) >= 0 && ak_parse_quantity(in->size, &want) >= 0 &&
        want <= has)
        in->size = size;
    if (claim->spec->access_modes.len)
        in->access_mode = claim->spec->access_modes.items[0];
}

/* The class that the server filled in is left to it, unless the claim was made with one. */
static int build_claim(struct planning *p, struct ak_agent_claim_input *in,
                       const struct ak_object *live, json_t **ret)
{
    AK_AUTO_JSON *claim = NULL;
    if (live && ak_object_meta(live)->deleting)
        return 0;
    fit_to_live(in, live);
    const struct ak_claim *body = live ? ak_object_body(live) : NULL;
    const char *class = body && body->spec ? body->spec->storage_class : NULL;
    if (class)
        in->storage_class = NULL;
    int r = ak_agent_claim_build(in, &claim, p->reterr);
    if (r >= 0 && class && ak_desired_hash(claim) != ak_object_owned_hash(live)) {
        json_decref(AK_TAKE(claim));
        in->storage_class = class;
        r = ak_agent_claim_build(in, &claim, p->reterr);
    }
    if (r < 0)
        return r;
    *ret = AK_TAKE(claim);
    return 0;
}

static int plan_workspace(struct planning *p)
{
    const struct ak_agent_workspace *ws = p->spec->workspace;
    if (!p->view.resolved.workspace)
        return 0;
    const struct ak_owner_ref owner = {.api_version = AK_API_GROUP "/" AK_API_VERSION,
                                       .kind = "Agent",
                                       .name = p->meta->name,
                                       .uid = p->meta->uid,
                                       .controller = true};
    struct ak_agent_claim_input in = {
        .meta = p->meta,
        .name = p->view.resolved.workspace,
        .size = ws->size,
        .access_mode = ak_agent_access_mode_to_string(ws->access_mode),
        .storage_class = ws->storage_class_name,
        .owners = &owner,
        .n_owners = ws->reclaim_policy == AK_AGENT_RECLAIM_POLICY_RETAIN ? 0 : 1,
    };
    return build_claim(p, &in, p->o->workspace, &p->plan->workspace);
}

static int plan_memory(struct planning *p)
{
    if (!p->view.resolved.memory)
        return 0;
    struct ak_agent_claim_input in = {
        .meta = p->meta,
        .name = p->view.resolved.memory,
        .group = p->view.group,
        .size = p->o->options->memory_size,
        .access_mode = p->o->options->memory_access_mode,
        .storage_class = p->o->options->memory_storage_class,
        .owners = p->o->group.items,
        .n_owners = AK_MIN(p->o->group.len, (size_t)AK_AGENT_GROUP_MAX),
    };
    return build_claim(p, &in, p->o->memory, &p->plan->memory);
}

/* A claim that is on its way out would hold the new pod up for ever. */
static const struct ak_object *stopping_claim(const struct planning *p)
{
    const struct ak_object *claims[] = {p->o->workspace, p->o->memory};
    for (size_t i = 0; i < AK_ARRAY_LEN(claims); i++)
        if (claims[i] && ak_object_meta(claims[i])->deleting)
            return claims[i];
    return NULL;
}

/* ---- the pod ---- */

static bool memory_shares_node(const struct planning *p)
{
    const struct ak_claim *claim = p->o->memory ? ak_object_body(p->o->memory) : NULL;
    if (claim && claim->spec && claim->spec->access_modes.len)
        return !ak_string_list_has(&claim->spec->access_modes, "ReadWriteMany");
    return !ak_streq(p->o->options->memory_access_mode, "ReadWriteMany");
}

static const char *digest_or_null(const struct ak_digest *d)
{
    return d->key_found ? d->hex : NULL;
}

static int build_pod(struct planning *p, json_t **ret)
{
    const struct ak_agent_resolved *res = &p->view.resolved;
    bool has_key = p->spec->agent_token && !p->spec->gateway_ref;
    const struct ak_agent_pod_input in = {
        .meta = p->meta,
        .spec = p->spec,
        .options = p->o->options,
        .runtime = p->view.runtime,
        .provider = p->view.provider,
        .image = res->image,
        .model = res->model,
        .token_variable = res->token_variable,
        .provider_name = res->provider,
        .model_base_url = res->base_url,
        .bundle = p->o->bundle,
        .keeper_has_key = has_key && !p->view.token_exposed,
        .token_exposed = p->view.token_exposed,
        .group = p->view.group,
        .workspace_claim = res->workspace,
        .memory_claim = res->memory,
        .memory_shares_node = memory_shares_node(p),
        .goal_digest = digest_or_null(&p->o->goal),
        .token_digest = digest_or_null(&p->o->token),
        .repo_digest = digest_or_null(&p->o->repo),
    };
    return ak_agent_pod_build(&in, ret, p->reterr);
}

static void move(struct planning *p, enum ak_agent_move what, const char *why)
{
    p->plan->move = what;
    p->plan->why = why;
}

static ak_msec backoff_span(int64_t failures)
{
    ak_msec span = AK_AGENT_BACKOFF_FIRST;
    for (int64_t i = 1; i < failures && span < AK_AGENT_BACKOFF_MAX; i++)
        span *= 2;
    return AK_MIN(span, AK_AGENT_BACKOFF_MAX);
}

/* A changed spec starts with a clean slate. */
static const struct ak_agent_backoff *backoff_so_far(const struct planning *p)
{
    return p->old->observed_generation == p->meta->generation ? p->old->backoff : NULL;
}

static int plan_over(struct planning *p)
{
    const struct ak_agent_backoff *was = backoff_so_far(p);
    const struct ak_agent_termination *last = p->old->last_termination;
    set_from_pod(p);
    if (was && last && last->time == p->pod.ended) {
        p->plan->status.backoff = was;
        move(p, AK_AGENT_MOVE_DELETE, p->pod.message);
        return 0;
    }
    struct ak_agent_backoff *now = ak_arena_alloc(p->arena, sizeof(*now));
    if (!now)
        return ak_error_oom(p->reterr);
    now->failures = (was ? was->failures : 0) + 1;
    now->until = p->pod.ended + backoff_span(now->failures);
    p->plan->status.backoff = now;
    again(p->plan, AK_SECONDS(5)); /* in case the wake-up by our own status write is lost */
    return 0;
}

static int plan_create(struct planning *p, json_t *pod)
{
    const struct ak_agent_backoff *was = backoff_so_far(p);
    const struct ak_object *claim = stopping_claim(p);
    p->plan->status.backoff = was;
    if (was && was->until > p->o->now) {
        char until[AK_RFC3339_SIZE];
        const char *text = ak_arena_printf(
            p->arena, "%lld pods failed one after another (%s); the next one is made at %s",
            (long long)was->failures,
            p->old->last_termination && p->old->last_termination->reason
                ? p->old->last_termination->reason
                : "no reason known",
            ak_format_rfc3339(was->until, until));
        if (!text)
            return ak_error_oom(p->reterr);
        ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_PENDING, "BackOff", text);
        again(p->plan, was->until - p->o->now);
        return 0;
    }
    if (claim) {
        const char *text = ak_arena_printf(
            p->arena, "claim \"%s\" is being deleted; the pod is made when a new one can be",
            ak_object_meta(claim)->name);
        if (!text)
            return ak_error_oom(p->reterr);
        ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_PENDING, "ClaimStopping", text);
        return 0;
    }
    ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_STARTING, "PodStarting",
                            "the pod is being started");
    p->plan->pod = json_incref(pod);
    move(p, AK_AGENT_MOVE_CREATE, NULL);
    return 0;
}

/* ---- suspension ---- */

/* Asleep means: the status says so, and nothing is to be done. What is to be done wakes; so does a spec that wants
 * no sleep. A changed spec does not: the next pod is made from it. */
static bool is_asleep(const struct planning *p)
{
    return p->suspend_after && p->old->phase == AK_AGENT_PHASE_SUSPENDED && !p->o->runs.active &&
           !p->o->held;
}

static int plan_asleep(struct planning *p)
{
    static const bool there[AK_POD_STATE_MAX] = {[AK_POD_LOST] = true,
                                                 [AK_POD_ENDED] = true,
                                                 [AK_POD_WAITING] = true,
                                                 [AK_POD_READY] = true};
    const char *text = ak_arena_printf(
        p->arena, "no run for %s: the pod was stopped, the next run starts one (spec.suspendAfter)",
        p->spec->suspend_after);
    if (!text)
        return ak_error_oom(p->reterr);
    ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_SUSPENDED, "Suspended", text);
    /* As it will be when the pod is gone: one write for all of it. */
    struct ak_agent_status *s = &p->plan->status;
    s->pod_name = s->pod_uid = s->node_name = p->view.resolved.image_digest = NULL;
    s->start_time = 0;
    s->restarts = 0;
    s->last_termination = p->old->last_termination;
    if (!there[p->pod.state])
        return 0;
    move(p, AK_AGENT_MOVE_DELETE, "the Agent is suspended");
    p->plan->status_first = true;
    p->plan->gently = p->pod.state == AK_POD_READY;
    return 0;
}

/* A ready pod without work: for how long? Before it is stopped, the agentlet is asked who else is in it. */
static int plan_idle(struct planning *p)
{
    const struct ak_agent_observed *o = p->o;
    ak_msec ready_at = condition_at(p->plan, "Ready")->last_transition;
    ak_msec since = AK_MAX(AK_MAX(p->pod.started, ready_at), o->runs.last_activity);
    if (o->asked)
        since = AK_MAX(since, o->session_activity);
    ak_msec left = since + p->suspend_after - o->now;
    if (left > p->suspend_after) /* the clock was set back */
        left = p->suspend_after;
    if (o->held)
        again(p->plan, AK_SECONDS(1));
    else if (left > 0)
        again(p->plan, left);
    else if (!o->asked)
        p->plan->ask = true;
    else if (o->sessions)
        again(p->plan, AK_AGENT_ASK_AGAIN);
    else
        return plan_asleep(p);
    return 0;
}

/* ---- a pod that runs, or tries to ---- */

/* Ready for the generation that the pod was made from, as it said before. */
static void ready_for(struct planning *p, const struct ak_condition *before)
{
    if (before && ak_streq(before->status, "True"))
        condition_at(p->plan, "Ready")->observed_generation = before->observed_generation;
}

/* It is not what it should be, and a run is in it that nobody wants to lose. */
static int plan_replace_later(struct planning *p)
{
    const struct ak_condition *before =
        ak_condition_find(p->old->conditions.items, p->old->conditions.len, "Ready");
    const char *id = p->o->runs.running_id;
    const char *text = ak_arena_printf(
        p->arena,
        "the pod is to be replaced, because what it was made from changed; that waits for %s%s%s",
        id ? "run \"" : "a run that is on its way", id ? id : "", id ? "\"" : "");
    if (!text)
        return ak_error_oom(p->reterr);
    if (p->o->held)
        again(p->plan, AK_SECONDS(1));
    if (!before || !ak_streq(before->status, "True")) {
        ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_RUNNING, "PodReplacing", text);
        return 0;
    }
    p->plan->status.phase = AK_AGENT_PHASE_RUNNING;
    p->plan->status.ready = "1/1";
    set_condition(p->plan, p->o, "Ready", true, "PodReady", text);
    ready_for(p, before);
    return 0;
}

static int plan_replace(struct planning *p)
{
    bool busy = p->o->held || p->o->runs.running;
    if (p->pod.state == AK_POD_READY && busy)
        return plan_replace_later(p);
    if (busy && p->pod.can_work) { /* not ready for a moment */
        set_from_pod(p);
        return 0;
    }
    ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_STARTING, "PodReplacing",
                            "the pod is being replaced, because what it was made from changed");
    move(p, AK_AGENT_MOVE_DELETE, "what it was made from changed");
    p->plan->gently = p->pod.state == AK_POD_READY;
    return 0;
}

/* `pod`: as it should be; NULL: that is not known yet, and what is there is left alone. */
static int plan_living(struct planning *p, const json_t *pod)
{
    const char *hash =
        pod ? ak_json_text(pod, "metadata", "annotations", AK_ANNOTATION_POD_HASH, NULL) : NULL;
    p->plan->status.backoff = backoff_so_far(p);
    if (pod && !ak_streq(hash, p->pod.hash))
        return plan_replace(p);
    if (p->pod.state != AK_POD_READY) {
        set_from_pod(p);
        return 0;
    }
    set_ready(p);
    if (!pod)
        ready_for(p, ak_condition_find(p->old->conditions.items, p->old->conditions.len, "Ready"));
    ak_msec good_at = p->pod.started + AK_AGENT_BACKOFF_RESET;
    if (p->plan->status.backoff && p->o->now >= good_at)
        p->plan->status.backoff = NULL;
    else if (p->plan->status.backoff)
        again(p->plan, good_at - p->o->now);
    return p->suspend_after && !p->o->runs.active ? plan_idle(p) : 0;
}

/* Keepers have to know who may talk to them: no pod before there is a certificate. */
static int plan_unlinked(struct planning *p)
{
    if (p->pod.state != AK_POD_ABSENT)
        return plan_living(p, NULL);
    p->plan->status.backoff = backoff_so_far(p);
    ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_PENDING, "ManagerStarting",
                            "the certificate by which pods know the manager is not there yet");
    again(p->plan, AK_SECONDS(5));
    return 0;
}

/* What the pod's state asks for. */
static int plan_pod(struct planning *p)
{
    AK_AUTO_JSON *pod = NULL;
    bool living = p->pod.state == AK_POD_WAITING || p->pod.state == AK_POD_READY;
    if (!p->o->bundle && (living || p->pod.state == AK_POD_ABSENT))
        return plan_unlinked(p);
    if (p->pod.state == AK_POD_ENDED)
        return plan_over(p);
    if (!living && p->pod.state != AK_POD_ABSENT) {
        /* foreign, former, stopping, lost: time or people have to act */
        p->plan->status.backoff = backoff_so_far(p);
        set_from_pod(p);
        return 0;
    }
    int r = build_pod(p, &pod);
    if (r < 0)
        return r;
    return living ? plan_living(p, pod) : plan_create(p, pod);
}

/* A firing is an act of its own; what follows from it is decided afresh. */
static void plan_firing(struct planning *p)
{
    p->plan->fire = p->o->due;
    if (p->plan->fire)
        p->plan->fire_late = ak_agent_schedule_is_late(p->o, p->o->due);
}

static int plan_armed(struct planning *p)
{
    plan_firing(p);
    int r = plan_workspace(p);
    if (r >= 0)
        r = plan_memory(p);
    if (r < 0)
        return r;
    return is_asleep(p) ? plan_asleep(p) : plan_pod(p);
}

static void plan_paused(struct planning *p)
{
    static const bool ours[AK_POD_STATE_MAX] = {[AK_POD_LOST] = true,
                                                [AK_POD_ENDED] = true,
                                                [AK_POD_WAITING] = true,
                                                [AK_POD_READY] = true};
    bool stops = ours[p->pod.state];
    if (stops)
        move(p, AK_AGENT_MOVE_DELETE, "the Agent was paused");
    stops = stops || p->pod.state == AK_POD_STOPPING;
    ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_PAUSED, "Paused",
                            stops ? "the pod is being stopped, because spec.paused is true"
                                  : "nothing is started as long as spec.paused is true");
}

/* The spec is wrong, or names something that is not there. Nothing is started, neither a pod nor by the schedule;
 * what runs is left alone, and stays ready if it was made from this very spec. */
static int plan_blocked(struct planning *p, const struct ak_problem *worst)
{
    const struct ak_condition *before =
        ak_condition_find(p->old->conditions.items, p->old->conditions.len, "Ready");
    bool running = p->pod.state == AK_POD_READY;
    p->plan->status.backoff = backoff_so_far(p);
    if (p->o->due && p->old->next_run_time) /* what is due stays so until it can be done */
        p->plan->status.next_run_time = p->old->next_run_time;
    if (running && before && ak_streq(before->status, "True") &&
        before->observed_generation == p->meta->generation) {
        set_ready(p);
        return 0;
    }
    const char *message = worst->message;
    if (running)
        message = ak_arena_printf(p->arena, "%s; the pod of before still runs and is left alone",
                                  worst->message);
    if (!message)
        return ak_error_oom(p->reterr);
    enum ak_agent_phase phase =
        worst->kind == AK_PROBLEM_INVALID ? AK_AGENT_PHASE_FAILED : AK_AGENT_PHASE_PENDING;
    ak_agent_plan_not_ready(p->plan, p->o, phase, worst->reason, message);
    return 0;
}

/* The garbage collector takes the pod along; we only say so. */
static void plan_terminating(struct planning *p)
{
    p->plan->status = *p->old; /* what is not ours is left out of what is written */
    p->plan->status.observed_generation = p->meta->generation;
    ak_agent_plan_not_ready(p->plan, p->o, AK_AGENT_PHASE_TERMINATING, "Terminating",
                            "the Agent is being deleted");
}

/* Said as long as it is so, also before there is a pod: it is better known early. */
static int set_exposed(struct planning *p)
{
    if (!p->view.token_exposed)
        return 0;
    const char *text = ak_arena_printf(
        p->arena,
        "runtime %s cannot be pointed at the keeper: the key in Secret \"%s\" is in the "
        "environment "
        "of the agent's container, where the agent can read it; give it a key of its own with few "
        "rights",
        p->view.runtime->name, p->view.resolved.token_secret);
    if (!text)
        return ak_error_oom(p->reterr);
    set_condition(p->plan, p->o, "TokenExposed", true, "RuntimeCannotUseKeeper", text);
    return 0;
}

/* Which pod can be given work. */
static void set_pod_at_work(struct planning *p)
{
    if (p->pod.state == AK_POD_READY && p->plan->move != AK_AGENT_MOVE_DELETE)
        p->plan->pod_at_work = p->o->pod;
}

static int decide(struct planning *p)
{
    const struct ak_problem *worst = ak_agent_worst_problem(&p->view);
    bool paused = p->spec && p->spec->paused;
    fill_status(p);
    int r = 0;
    if (paused)
        plan_paused(p);
    else if (worst)
        r = plan_blocked(p, worst);
    else
        r = plan_armed(p);
    if (r >= 0)
        r = set_resolved(p);
    if (r >= 0)
        r = set_exposed(p);
    if (r < 0)
        return r;
    set_pod_at_work(p);
    set_condition(p->plan, p->o, "Paused", paused, paused ? "PausedBySpec" : "Armed",
                  paused ? "set spec.paused to false to arm the Agent" : "spec.paused is false");
    return 0;
}

/* When to look again without being woken. The share of the uid spreads the reading of many Secrets. */
static void set_timers(struct planning *p)
{
    const struct ak_agent_observed *o = p->o;
    if (o->next_run > o->now)
        again(p->plan, AK_MIN(o->next_run - o->now, AK_AGENT_CLOCK_CHECK));
    /* Secrets of an Agent that sleeps are read when it wakes. */
    if (o->secret_ttl && p->plan->status.phase != AK_AGENT_PHASE_SUSPENDED) {
        uint64_t share = ak_hash_bytes(AK_HASH_SEED, p->meta->uid, strlen(p->meta->uid)) % 256;
        again(p->plan, o->secret_ttl + o->secret_ttl * (ak_msec)share / 1024);
    }
}

static int view_pod(struct planning *p)
{
    const struct ak_pod_images images = {p->view.resolved.image, p->o->options->manager_image};
    return ak_pod_view_make(p->o->pod, p->meta, &images, p->arena, &p->pod, p->reterr);
}

int ak_agent_plan_make(const struct ak_agent_observed *o, struct ak_arena *arena,
                       struct ak_agent_plan *ret, struct ak_error **reterr)
{
    static const struct ak_agent_status nothing;
    const struct ak_agent_status *old = ak_agent_status_of(o);
    *ret = (struct ak_agent_plan){.again_after = -1};
    struct planning *p = ak_arena_alloc(arena, sizeof(*p)); /* the status points into it */
    if (!p)
        return ak_error_oom(reterr);
    p->o = o;
    p->meta = ak_object_meta(o->agent);
    p->spec = ak_agent_spec_of(o);
    p->old = old ? old : &nothing;
    p->arena = arena;
    p->plan = ret;
    p->reterr = reterr;
    const char *pause = p->spec ? p->spec->suspend_after : NULL;
    if (pause && ak_parse_duration(pause, &p->suspend_after) < 0)
        p->suspend_after = 0; /* a problem of the spec */
    if (p->meta->deleting) {
        plan_terminating(p);
        return 0;
    }
    int r = ak_agent_resolve(o, arena, &p->view, reterr);
    if (r >= 0)
        r = view_pod(p);
    if (r >= 0)
        r = decide(p);
    if (r >= 0)
        set_timers(p);
    if (r < 0)
        ak_agent_plan_done(ret);
    return r;
}
