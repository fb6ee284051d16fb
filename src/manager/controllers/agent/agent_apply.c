/* SPDX-License-Identifier: Apache-2.0 */
/* Carries a plan out: claims, then at most one write to the pod. */
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/flow/apply.h>
#include <ak/kube/events.h>
#include <ak/manage/manager.h>

#include "manager/admission/admission.h"
#include "manager/controllers/agent/agent_internal.h"

/* Objects without our label are not in the cache: their going away wakes nobody, so we look again. */
#define LOOK_AGAIN AK_SECONDS(30)
#define POD_SEEN AK_SECONDS(5)      /* at the latest the cache shows a pod that we made */
#define REFUSED_AGAIN AK_MINUTES(1) /* quotas and policies change without telling us */

struct applying {
    struct ak_agents *self;
    const struct ak_agent_observed *o;
    const struct ak_meta *meta;
    struct ak_arena *arena;
    struct ak_agent_plan *plan;
    struct ak_error **reterr;
};

static int not_ready(struct applying *a, enum ak_agent_phase phase, const char *reason,
                     const char *message, ak_msec again_after)
{
    if (!message)
        return ak_error_oom(a->reterr);
    ak_agent_plan_not_ready(a->plan, a->o, phase, reason, message);
    if (again_after > 0 && (a->plan->again_after < 0 || again_after < a->plan->again_after))
        a->plan->again_after = again_after;
    return 0;
}

/* What the server refuses because of a policy, a quota or the content is for people to mend; the rest is an
 * error that is retried. */
static int explain_refusal(struct applying *a, const char *reason, const char *what, int code,
                           struct ak_error **err)
{
    if (code != AK_E_FORBIDDEN && code != AK_E_INVALID && code != AK_E_TOO_LARGE &&
        code != AK_E_TERMINAL) {
        if (a->reterr)
            *a->reterr = AK_TAKE(*err);
        return code;
    }
    const char *said = ak_agent_cut(a->arena, ak_error_message(*err), AK_AGENT_MESSAGE_MAX);
    if (!said)
        return ak_error_oom(a->reterr);
    return not_ready(a, AK_AGENT_PHASE_FAILED, reason,
                     ak_arena_printf(a->arena, "the API server refuses the %s: %s", what, said),
                     code == AK_E_FORBIDDEN ? REFUSED_AGAIN : 0);
}

/* GET past the cache; *ret stays NULL when there is none. */
static int look(struct applying *a, const struct ak_resource *r, const char *name, json_t **ret)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int n =
        ak_client_get(ak_manager_client(a->self->manager), r, a->meta->namespace_, name, ret, &err);
    if (n < 0 && n != AK_E_NOT_FOUND && a->reterr)
        *a->reterr = AK_TAKE(err);
    return n == AK_E_NOT_FOUND ? 0 : n;
}

static bool has_our_label(const json_t *object)
{
    return ak_streq(
        ak_json_text(object, "metadata", "labels", "app.kubernetes.io/managed-by", NULL),
        AK_MANAGED_BY);
}

/* The uid of the controller owner if it is an Agent of our name; NULL otherwise. */
static const char *owning_agent(const struct applying *a, const json_t *object)
{
    const json_t *refs = ak_json_at(object, "metadata", "ownerReferences", NULL);
    for (size_t i = 0; i < json_array_size(refs); i++) {
        const json_t *ref = json_array_get(refs, i);
        if (json_is_true(ak_json_at(ref, "controller", NULL)) &&
            ak_streq(ak_json_text(ref, "kind", NULL), "Agent") &&
            ak_streq(ak_json_text(ref, "name", NULL), a->meta->name))
            return ak_json_text(ref, "uid", NULL);
    }
    return NULL;
}

/* There is a pod of our name that the cache does not show as ours. Whose is it? */
static int explain_pod(struct applying *a, const json_t *pod)
{
    const char *uid = owning_agent(a, pod);
    if (uid && !ak_streq(uid, a->meta->uid))
        return not_ready(a, AK_AGENT_PHASE_PENDING, "PodStopping",
                         "the pod of an earlier Agent of this name is not gone yet", AK_SECONDS(5));
    if (uid && has_our_label(pod)) /* ours: the cache is behind, its news will wake us */
        return not_ready(a, AK_AGENT_PHASE_STARTING, "PodStarting", "the pod is being started",
                         AK_SECONDS(5));
    if (uid)
        return not_ready(
            a, AK_AGENT_PHASE_FAILED, "PodLabelRemoved",
            ak_arena_printf(
                a->arena,
                "somebody removed a label from the pod, so it cannot be watched; delete "
                "the pod, or put the label back: kubectl -n %s label pod %s "
                "app.kubernetes.io/managed-by=" AK_MANAGED_BY,
                a->meta->namespace_, a->meta->name),
            LOOK_AGAIN);
    return not_ready(
        a, AK_AGENT_PHASE_FAILED, "PodNameTaken",
        ak_arena_printf(
            a->arena,
            "pod \"%s\" exists and does not belong to this Agent; delete it, or give the "
            "Agent another name",
            a->meta->name),
        LOOK_AGAIN);
}

static void tell(struct applying *a, const char *reason, const char *what, const char *why)
{
    ak_events_emit(ak_manager_events(a->self->manager), a->o->agent, /* warning= */ false, reason,
                   "%s%s%s", what, why ? ": " : "", why ? why : "");
    ak_info("agent", what, AK_STR("kind", "Agent"), AK_STR("namespace", a->meta->namespace_),
            AK_STR("name", a->meta->name), AK_STR("why", why));
}

/* Was somebody else's pod in our place the last time? Then look before trying to write. */
static bool was_taken(const struct applying *a)
{
    const struct ak_agent_status *old = ak_agent_status_of(a->o);
    const struct ak_condition *ready =
        old ? ak_condition_find(old->conditions.items, old->conditions.len, "Ready") : NULL;
    return ready &&
           (ak_streq(ready->reason, "PodNameTaken") || ak_streq(ready->reason, "PodLabelRemoved"));
}

static int create_pod(struct applying *a)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *found = NULL;
    int n = was_taken(a) ? look(a, &ak_pod_kind.resource, a->meta->name, &found) : 0;
    if (n < 0)
        return n;
    if (found)
        return explain_pod(a, found);
    /* The pod is gated from its first moment. */
    if (a->self->admission) {
        n = ak_gate_prepare(a->self->admission, a->meta->namespace_, a->reterr);
        if (n < 0)
            return n;
    }
    /* POST and not apply: that a pod of this name exists is the error that keeps it one. */
    n = ak_apply_create(ak_manager_apply(a->self->manager), &ak_pod_kind.resource, a->plan->pod,
                        &err);
    if (n >= 0) {
        tell(a, "PodCreated", "pod created", NULL);
        a->plan->status_can_wait = true;
        if (a->plan->again_after < 0 || a->plan->again_after > POD_SEEN)
            a->plan->again_after = POD_SEEN;
        return 0;
    }
    if (n != AK_E_ALREADY_EXISTS)
        return explain_refusal(a, "PodRefused", "pod", n, &err);
    n = look(a, &ak_pod_kind.resource, a->meta->name, &found);
    if (n < 0)
        return n;
    if (!found) /* gone again */
        return ak_error_set(a->reterr, AK_E_CONFLICT, "the pod's name was taken for a moment");
    return explain_pod(a, found);
}

static int delete_pod(struct applying *a)
{
    int n = ak_apply_delete(ak_manager_apply(a->self->manager), a->o->pod, /* grace_seconds= */ -1,
                            a->reterr);
    if (n > 0)
        tell(a, "PodDeleted", "pod deleted", a->plan->why);
    return n < 0 ? n : 0;
}

/* 1: written or nothing to do; 0: it cannot be, and the plan's status says why. */
static int apply_claim(struct applying *a, const struct ak_object *live, json_t *claim)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *found = NULL;
    const struct ak_resource *r = &ak_claim_kind.resource;
    const char *name = ak_json_text(claim, "metadata", "name", NULL);
    int n = live ? 0 : look(a, r, name, &found);
    if (n < 0)
        return n;
    if (found && has_our_label(found))
        return ak_error_set(a->reterr, AK_E_CONFLICT, "claim \"%s\" is not in the cache yet", name);
    if (found) {
        n = not_ready(
            a, AK_AGENT_PHASE_FAILED, "ClaimNameTaken",
            ak_arena_printf(
                a->arena,
                "claim \"%s\" exists and was not made by agentkube; delete it, or let the "
                "Agent use it: kubectl -n %s label pvc %s "
                "app.kubernetes.io/managed-by=" AK_MANAGED_BY,
                name, a->meta->namespace_, name),
            LOOK_AGAIN);
        return n < 0 ? n : 0;
    }
    n = ak_apply_object(ak_manager_apply(a->self->manager), r, live, claim, NULL, AK_APPLY_FORCE,
                        &err);
    if (n >= 0)
        return 1;
    n = explain_refusal(a, "ClaimRefused", "claim", n, &err);
    return n < 0 ? n : 0;
}

/* A claim that is refused does not take a running pod with it, and no new one is made. */
static int apply_claims(struct applying *a)
{
    int n = a->plan->workspace ? apply_claim(a, a->o->workspace, a->plan->workspace) : 1;
    if (n > 0 && a->plan->memory)
        n = apply_claim(a, a->o->memory, a->plan->memory);
    return n;
}

int ak_agent_apply(struct ak_agents *self, const struct ak_agent_observed *o,
                   struct ak_arena *arena, struct ak_agent_plan *plan, struct ak_error **reterr)
{
    struct applying a = {self, o, ak_object_meta(o->agent), arena, plan, reterr};
    int n = apply_claims(&a);
    if (n <= 0)
        return n;
    switch (plan->move) {
    case AK_AGENT_MOVE_CREATE:
        return create_pod(&a);
    case AK_AGENT_MOVE_DELETE:
        return delete_pod(&a);
    default:
        return 0;
    }
}
