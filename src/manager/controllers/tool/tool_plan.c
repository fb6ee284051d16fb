/* SPDX-License-Identifier: Apache-2.0 */
/* All decisions about a Tool, from what was observed and nothing else: no I/O, no clock. */
#include <ak/base/text.h>
#include <stdio.h>
#include <string.h>

#include "manager/controllers/tool/tool_planning.h"

#define UID_PART 8 /* characters of a pod's uid in a record */
#define RECORDED_AGAIN AK_SECONDS(5)

void ak_tool_plan_done(struct ak_tool_plan *self)
{
    json_t **const trees[] = {&self->account, &self->policy, &self->right_objects,
                              &self->bastion, &self->probe,  &self->worker,
                              &self->job};
    for (size_t i = 0; i < AK_ARRAY_LEN(trees); i++) {
        json_decref(*trees[i]);
        *trees[i] = NULL;
    }
}

/* ---- small things that the parts share ---- */

void ak_tool_again(struct ak_tool_planning *p, ak_msec after)
{
    after = AK_MAX(after, 100);
    if (p->plan->again_after < 0 || after < p->plan->again_after)
        p->plan->again_after = after;
}

ak_msec ak_tool_spread(const struct ak_tool_planning *p, ak_msec interval)
{
    uint64_t share = ak_hash_bytes(AK_HASH_SEED, p->meta->uid, strlen(p->meta->uid)) % 256;
    return interval + interval * (ak_msec)share / 1024;
}

ak_msec ak_tool_backoff(int64_t failures)
{
    ak_msec span = AK_TOOL_BACKOFF_FIRST;
    for (int64_t i = 1; i < failures && span < AK_TOOL_BACKOFF_MAX; i++)
        span *= 2;
    return AK_MIN(span, AK_TOOL_BACKOFF_MAX);
}

void ak_tool_remove(struct ak_tool_planning *p, const struct ak_object *pod, const char *why,
                    const char *end_reason)
{
    struct ak_tool_plan *plan = p->plan;
    for (size_t i = 0; i < plan->n_removals; i++)
        if (plan->removals[i].pod == pod)
            return;
    if (plan->n_removals < AK_TOOL_REMOVE_MAX)
        plan->removals[plan->n_removals++] = (struct ak_tool_removal){pod, why, end_reason};
}

void ak_tool_tell(struct ak_tool_planning *p, bool warning, const char *reason, const char *text)
{
    struct ak_tool_plan *plan = p->plan;
    if (text && plan->n_news < AK_TOOL_NEWS_MAX)
        plan->news[plan->n_news++] = (struct ak_tool_news){warning, reason, text};
}

const char *ak_tool_record_of(struct ak_tool_planning *p, const struct ak_tool_pod_view *pod)
{
    return ak_arena_printf(p->arena, "%s/%.*s", pod->hash ? pod->hash : "", UID_PART, pod->uid);
}

bool ak_tool_record_is_for(const char *record, const char *hash)
{
    size_t len = strlen(hash);
    return record && strncmp(record, hash, len) == 0 && record[len] == '/';
}

bool ak_tool_is_recorded(const char *record, const struct ak_tool_pod_view *pod)
{
    const char *hash = pod->hash ? pod->hash : "";
    return ak_tool_record_is_for(record, hash) &&
           strncmp(record + strlen(hash) + 1, pod->uid, UID_PART) == 0;
}

const char *ak_tool_aside(struct ak_tool_planning *p, const struct ak_tool_pod_view *pod)
{
    const char *text = "";
    if (pod->state == AK_TOOL_POD_LIVING && pod->message)
        text = ak_arena_printf(p->arena, "; %s", pod->message);
    return text ? text : "";
}

/* ---- conditions ---- */

static void set_condition(struct ak_tool_plan *plan, const struct ak_tool_observed *o,
                          const char *type, const char *status, const char *reason,
                          const char *message)
{
    const struct ak_tool_status *old = ak_tool_status_of(o);
    struct ak_condition *c = NULL;
    for (size_t i = 0; i < plan->n_conditions && !c; i++)
        if (ak_streq(plan->conditions[i].type, type))
            c = &plan->conditions[i];
    if (!c)
        c = &plan->conditions[plan->n_conditions++];
    *c = (struct ak_condition){.type = type,
                               .status = status,
                               .reason = reason,
                               .message = message,
                               .observed_generation = ak_object_meta(o->tool)->generation};
    ak_condition_carry_time(c, old ? old->conditions.items : NULL, old ? old->conditions.len : 0,
                            o->now);
    plan->status.conditions.items = plan->conditions;
    plan->status.conditions.len = plan->n_conditions;
}

void ak_tool_plan_not_ready(struct ak_tool_plan *self, const struct ak_tool_observed *o,
                            enum ak_tool_phase phase, const char *reason, const char *message)
{
    self->status.phase = phase;
    set_condition(self, o, "Ready", "False", reason, message);
}

void ak_tool_set_ready(struct ak_tool_planning *p, const char *reason, const char *message)
{
    p->plan->status.phase = AK_TOOL_PHASE_READY;
    set_condition(p->plan, p->o, "Ready", "True", reason, message);
}

/* Who sees to it that nothing else is done. */
static const char *keeper_text(struct ak_tool_planning *p)
{
    if (p->m.has_rights)
        return "the API server enforces the rights of the bastion's ServiceAccount";
    return p->m.info->enforced ? p->m.info->enforced : "the bastion enforces the permissions";
}

static void set_enforced(struct ak_tool_planning *p)
{
    static const struct {
        const char *status, *reason;
    } by_standing[] = {
        [AK_TOOL_STANDING_NONE] = {"True", "Enforced"},
        [AK_TOOL_STANDING_IN_FORCE] = {"True", "Enforced"},
        [AK_TOOL_STANDING_UNDER_WAY] = {"False", "Provisioning"},
        [AK_TOOL_STANDING_FAILED] = {"False", "ProvisioningFailed"},
        [AK_TOOL_STANDING_UNENFORCEABLE] = {"False", "NotEnforceable"},
    };
    const char *text = p->standing == AK_TOOL_STANDING_NONE ||
                               (p->standing == AK_TOOL_STANDING_IN_FORCE && !p->check_failed)
                           ? keeper_text(p)
                           : p->standing_text;
    if (p->m.problem.kind == AK_TOOL_UNENFORCEABLE)
        set_condition(p->plan, p->o, "PermissionsEnforced", "False", "NotEnforceable",
                      p->m.problem.message);
    else if (!p->spec->permissions && !p->m.has_rights && p->standing == AK_TOOL_STANDING_NONE)
        set_condition(p->plan, p->o, "PermissionsEnforced", "False", "CredentialRights",
                      "no permissions are set: people have the rights of the credential, agents "
                      "may read");
    else if (p->check_failed)
        set_condition(p->plan, p->o, "PermissionsEnforced", "Unknown", "CheckFailed", text);
    else
        set_condition(p->plan, p->o, "PermissionsEnforced", by_standing[p->standing].status,
                      by_standing[p->standing].reason, text);
}

static void set_direct(struct ak_tool_planning *p)
{
    if (p->m.is_direct)
        set_condition(p->plan, p->o, "CredentialInClient", "True", "ProtocolNeedsIt",
                      "programs of this type log in themselves: the credential is in the bastion "
                      "pod's container \"client\", too; agents can use structured operations only");
}

/* ---- what it owns besides pods ---- */

static int plan_base(struct ak_tool_planning *p)
{
    struct ak_tool_plan *plan = p->plan;
    int r = ak_tool_account_build(p->meta, p->names.bastion, &plan->account, p->reterr);
    if (r >= 0)
        r = ak_tool_network_build(p->meta, p->names.bastion, p->spec, p->arena, &plan->policy,
                                  p->reterr);
    plan->prune_rights = true;
    if (r >= 0 && p->m.has_rights && p->m.problem.kind == AK_TOOL_FINE)
        r = ak_tool_rights_build(p->meta, p->names.bastion, p->spec, p->arena, &plan->right_objects,
                                 &plan->rights, &plan->n_rights, p->reterr);
    return r;
}

static bool has_finalizer(const struct ak_tool_planning *p)
{
    return ak_string_list_has(&p->meta->finalizers, AK_TOOL_FINALIZER);
}

/* Rights that no owner reference removes. */
static bool has_outer_rights(const struct ak_tool_planning *p)
{
    for (size_t k = 0; k < AK_TOOL_RIGHT_MAX; k++)
        for (size_t i = 0; i < p->o->rights[k].len; i++)
            if (!ak_streq(ak_object_meta(p->o->rights[k].items[i])->namespace_,
                          p->meta->namespace_))
                return true;
    return false;
}

/* There as long as something of the Tool is where Kubernetes does not clean up. */
static void plan_finalizer(struct ak_tool_planning *p)
{
    const struct ak_tool_status *s = &p->plan->status;
    bool needed = s->permissions_hash || s->identity || p->plan->mint || has_outer_rights(p) ||
                  (p->plan->n_rights && ak_tool_rights_reach_out(p->meta, p->spec));
    p->plan->add_finalizer = needed && !has_finalizer(p);
    p->plan->drop_finalizer = !needed && has_finalizer(p);
}

/* ---- the order ---- */

/* The spec is wrong, or names something that is not there: nothing is started, and what runs ends. */
static int plan_blocked(struct ak_tool_planning *p)
{
    const struct ak_tool_problem *problem = &p->m.problem;
    const char *message = problem->message;
    if (p->m.n_more)
        message = ak_arena_printf(p->arena, "%s (and %zu more)", problem->message, p->m.n_more);
    if (!message)
        return ak_error_oom(p->reterr);
    ak_tool_plan_not_ready(p->plan, p->o,
                           problem->kind == AK_TOOL_MISSING ? AK_TOOL_PHASE_PENDING
                                                            : AK_TOOL_PHASE_FAILED,
                           problem->reason, message);
    if (p->o->read_ttl)
        ak_tool_again(p, p->o->read_ttl);
    return 0;
}

static int plan_standing(struct ak_tool_planning *p)
{
    static const struct {
        enum ak_tool_phase phase;
        const char *reason;
    } words[] = {
        [AK_TOOL_STANDING_UNDER_WAY] = {AK_TOOL_PHASE_PENDING, "Provisioning"},
        [AK_TOOL_STANDING_FAILED] = {AK_TOOL_PHASE_FAILED, "ProvisioningFailed"},
        [AK_TOOL_STANDING_UNENFORCEABLE] = {AK_TOOL_PHASE_FAILED, "NotEnforceable"},
    };
    const struct ak_tool_provisioning *last = p->plan->status.last_provisioned;
    /* New passwords for the same permissions are no reason to call the Tool unready. */
    if (p->standing == AK_TOOL_STANDING_UNDER_WAY && last && last->succeeded &&
        p->old->permissions_hash && p->plan->status.identity &&
        ak_streq(p->plan->status.identity->hash, p->m.made_for) &&
        strstr(p->old->permissions_hash, p->m.made_for))
        return ak_tool_plan_ready(p);
    ak_tool_plan_not_ready(p->plan, p->o, words[p->standing].phase, words[p->standing].reason,
                           p->standing_text);
    return 0;
}

static const char *stop_reason(const struct ak_tool_planning *p)
{
    if (p->m.problem.kind == AK_TOOL_MISSING)
        return "the credential was removed";
    if (p->m.problem.kind != AK_TOOL_FINE)
        return "the Tool was changed";
    switch (p->standing) {
    case AK_TOOL_STANDING_NONE:
    case AK_TOOL_STANDING_IN_FORCE:
        return NULL;
    case AK_TOOL_STANDING_UNENFORCEABLE:
        return "the system does not enforce the Tool's permissions";
    default:
        return "the Tool's permissions are being changed";
    }
}

static int plan_usable(struct ak_tool_planning *p)
{
    bool fine = p->m.problem.kind == AK_TOOL_FINE;
    int r = 0;
    if (fine)
        r = ak_tool_plan_work(p);
    if (r < 0 || p->plan->ask)
        return r;
    bool usable =
        fine && (p->standing == AK_TOOL_STANDING_NONE || p->standing == AK_TOOL_STANDING_IN_FORCE);
    if (p->m.problem.kind != AK_TOOL_INVALID)
        r = ak_tool_plan_probe(p, usable);
    if (r >= 0)
        r = ak_tool_plan_bastion(p, stop_reason(p));
    if (r < 0)
        return r;
    if (!fine)
        return plan_blocked(p);
    return usable ? ak_tool_plan_ready(p) : plan_standing(p);
}

static bool is_up(const struct ak_tool_planning *p)
{
    return p->plan->status.bastion && p->plan->status.phase == AK_TOOL_PHASE_READY;
}

static int plan_living(struct ak_tool_planning *p)
{
    struct ak_tool_status *s = &p->plan->status;
    s->image = p->m.image;
    int r = p->m.problem.kind == AK_TOOL_INVALID ? 0 : plan_base(p);
    if (r >= 0)
        r = plan_usable(p);
    if (r < 0 || p->plan->ask)
        return r;
    if (p->m.problem.kind != AK_TOOL_INVALID) {
        set_enforced(p);
        set_direct(p);
        plan_finalizer(p);
    }
    if (is_up(p))
        s->phase = AK_TOOL_PHASE_ACTIVE;
    return 0;
}

/* ---- deletion ---- */

static bool is_forced(const struct ak_tool_planning *p)
{
    return ak_streq(ak_string_map_get(&p->meta->annotations, AK_TOOL_FORCE), "true");
}

/* 1: nothing of it is left in the system. */
static int clean_system(struct ak_tool_planning *p)
{
    if (!ak_tool_has_earlier(p))
        return 1;
    if (is_forced(p)) {
        ak_tool_tell(p, true, "PermissionsLeftBehind",
                     "the users that were made in the system stay there: " AK_TOOL_FORCE
                     " is \"true\"");
        p->plan->status.permissions_hash = NULL;
        p->plan->status.identity = NULL;
        return 1;
    }
    bool missing = p->m.is_provisioned && !p->o->admin.key_found && !p->o->earlier;
    if (missing && p->o->asked && p->m.problem.kind == AK_TOOL_MISSING) {
        p->standing_text = p->m.problem.message;
        if (p->o->read_ttl)
            ak_tool_again(p, p->o->read_ttl);
        return 0;
    }
    return ak_tool_plan_cleanup(p);
}

/* The pod that cleaned up has no owner, so it goes before the Tool does. */
static bool clean_pods(struct ak_tool_planning *p)
{
    bool ours = p->worker.state == AK_TOOL_POD_LIVING || p->worker.state == AK_TOOL_POD_READY ||
                p->worker.state == AK_TOOL_POD_ENDED;
    if (ours)
        ak_tool_remove(p, p->worker.pod, NULL, NULL);
    return !ours;
}

static int plan_terminating(struct ak_tool_planning *p)
{
    p->plan->status.observed_generation = p->meta->generation;
    if (p->bastion.state == AK_TOOL_POD_LIVING || p->bastion.state == AK_TOOL_POD_READY)
        ak_tool_remove(p, p->bastion.pod, "the Tool is being deleted",
                       p->bastion.state == AK_TOOL_POD_READY ? "the Tool is being deleted" : NULL);
    int r = has_finalizer(p) ? clean_system(p) : 1;
    if (r < 0 || p->plan->ask)
        return r < 0 ? r : 0;
    const char *text = "the Tool is being deleted";
    if (r == 0) {
        text = ak_arena_printf(p->arena,
                               "%s; to delete the Tool without that, set the annotation "
                               "" AK_TOOL_FORCE "=true",
                               p->standing_text ? p->standing_text : text);
        if (!text)
            return ak_error_oom(p->reterr);
        ak_tool_again(p, AK_SECONDS(10));
    }
    p->plan->prune_rights = has_finalizer(p);
    if (r > 0 && has_finalizer(p) && ak_tool_has_earlier(p))
        ak_tool_again(p, RECORDED_AGAIN); /* that it is done has to be seen on record first */
    else if (r > 0 && has_finalizer(p))
        p->plan->drop_finalizer = clean_pods(p);
    ak_tool_plan_not_ready(p->plan, p->o, AK_TOOL_PHASE_TERMINATING, "Terminating", text);
    return 0;
}

/* ---- all of it ---- */

static int view_pods(struct ak_tool_planning *p)
{
    const struct {
        const struct ak_object *pod;
        struct ak_tool_pod_view *view;
    } pods[] = {{p->o->bastion, &p->bastion},
                {p->o->probe, &p->probe},
                {p->o->worker, &p->worker},
                {p->o->job, &p->job}};
    int r = 0;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(pods); i++)
        r = ak_tool_pod_view_make(pods[i].pod, p->meta, p->arena, pods[i].view, p->reterr);
    return r;
}

/* What is carried on until something replaces it. */
static void carry_status(struct ak_tool_planning *p)
{
    struct ak_tool_status *s = &p->plan->status;
    s->observed_generation = p->meta->generation;
    s->last_probe = p->old->last_probe;
    s->permissions_hash = p->old->permissions_hash;
    s->identity = p->old->identity;
    s->last_provisioned = p->old->last_provisioned;
}

int ak_tool_plan_make(const struct ak_tool_observed *o, struct ak_arena *arena,
                      struct ak_tool_plan *ret, struct ak_error **reterr)
{
    static const struct ak_tool_status nothing;
    const struct ak_tool_status *old = ak_tool_status_of(o);
    *ret = (struct ak_tool_plan){.again_after = -1, .recall = o->recall};
    struct ak_tool_planning *p = ak_arena_alloc(arena, sizeof(*p)); /* the status points into it */
    if (!p)
        return ak_error_oom(reterr);
    p->o = o;
    p->meta = ak_object_meta(o->tool);
    p->spec = ak_tool_spec_of(o);
    p->old = old ? old : &nothing;
    p->arena = arena;
    p->plan = ret;
    p->reterr = reterr;
    ak_tool_names_make(p->meta->name, &p->names);
    int r = ak_tool_recall_identity(p);
    carry_status(p);
    if (r >= 0)
        r = ak_tool_resolve(o, arena, &p->m, reterr);
    if (r >= 0)
        r = view_pods(p);
    if (r >= 0)
        r = p->meta->deleting ? plan_terminating(p) : plan_living(p);
    if (r >= 0 && p->bastion.state == AK_TOOL_POD_READY && !ret->n_removals)
        ret->ready_bastion = o->bastion;
    if (r < 0)
        ak_tool_plan_done(ret);
    return r;
}
