/* SPDX-License-Identifier: Apache-2.0 */
/* Carries a plan out: what the pods need first, then the pods. */
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/flow/apply.h>
#include <ak/kube/events.h>
#include <ak/manage/manager.h>
#include <string.h>

#include "manager/admission/admission.h"
#include "manager/controllers/tool/tool_internal.h"
#include "manager/controllers/tool/tool_secret.h"

#define LOOK_AGAIN AK_SECONDS(30) /* objects without our label are not in the cache */
#define POD_SEEN AK_SECONDS(5)    /* at the latest the cache shows a pod that we made */
#define REFUSED_AGAIN AK_MINUTES(1)

struct applying {
    struct ak_tool_controller *self;
    const struct ak_tool_observed *o;
    const struct ak_meta *meta;
    struct ak_arena *arena;
    struct ak_tool_plan *plan;
    struct ak_error **reterr;
};

static void again(struct applying *a, ak_msec after)
{
    if (a->plan->again_after < 0 || after < a->plan->again_after)
        a->plan->again_after = after;
}

static int give(struct applying *a, int code, struct ak_error **err)
{
    if (a->reterr)
        *a->reterr = AK_TAKE(*err);
    return code;
}

static int not_ready(struct applying *a, const char *reason, const char *message, ak_msec after)
{
    if (!message)
        return ak_error_oom(a->reterr);
    ak_tool_plan_not_ready(a->plan, a->o, AK_TOOL_PHASE_FAILED, reason, message);
    again(a, after);
    return 0;
}

/* Nothing can be made in a namespace that is being deleted. */
static bool is_namespace_ending(const struct ak_error *err)
{
    return strstr(ak_error_message(err), "is being terminated") != NULL;
}

/* What the server refuses because of a policy, a quota or the content is for people to mend; the rest is an
 * error that is retried. */
static int explain_refusal(struct applying *a, const char *what, int code, struct ak_error **err)
{
    if (code != AK_E_FORBIDDEN && code != AK_E_INVALID && code != AK_E_TOO_LARGE &&
        code != AK_E_TERMINAL)
        return give(a, code, err);
    if (a->meta->deleting && is_namespace_ending(*err)) {
        a->plan->drop_finalizer = true;
        a->plan->news[0] = (struct ak_tool_news){true, "PermissionsLeftBehind",
                                                 "the namespace is being deleted: the users that "
                                                 "were made in the system stay there"};
        a->plan->n_news = 1;
        return 0;
    }
    return not_ready(a, "Refused",
                     ak_arena_printf(a->arena, "the API server refuses the %s: %.*s", what,
                                     AK_TOOL_MESSAGE_MAX, ak_error_message(*err)),
                     REFUSED_AGAIN);
}

/* ---- the Tool itself ---- */

static int write_finalizers(struct applying *a, bool with_ours)
{
    const struct ak_apply *apply = ak_manager_apply(a->self->manager);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *list = json_array();
    int r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < a->meta->finalizers.len; i++)
        if (!ak_streq(a->meta->finalizers.items[i], AK_TOOL_FINALIZER))
            r = json_array_append_new(list, json_string(a->meta->finalizers.items[i]));
    if (r >= 0 && with_ours)
        r = json_array_append_new(list, json_string(AK_TOOL_FINALIZER));
    /* The whole list is replaced, so it has to be the one that we know. */
    AK_AUTO_JSON *patch =
        r < 0 ? NULL
              : json_pack("{s:{s:s, s:s, s:O}}", "metadata", "uid", a->meta->uid, "resourceVersion",
                          a->meta->resource_version, "finalizers", list);
    if (!patch)
        return ak_error_oom(a->reterr);
    if (apply->may_write && !apply->may_write(apply->user))
        return ak_error_set(a->reterr, AK_E_CANCELLED, "not the leader");
    r = ak_client_merge_patch(apply->client, &ak_tool_kind.resource, a->meta->namespace_,
                              a->meta->name, NULL, patch, apply->manager, NULL, &err);
    if (r == AK_E_NOT_FOUND)
        return 0;
    return r < 0 ? give(a, r, &err) : 0;
}

/* ---- objects that stay ---- */

static int apply_owned(struct applying *a, const struct ak_resource *r,
                       const struct ak_object *live, json_t *desired)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    if (!desired || (live && ak_object_meta(live)->deleting))
        return 0;
    int n = ak_apply_object(ak_manager_apply(a->self->manager), r, live, desired, a->meta->uid,
                            AK_APPLY_CHECK | AK_APPLY_FORCE, &err);
    return n < 0 ? explain_refusal(a, r->kind, n, &err) : 0;
}

static const struct ak_object *find_right(const struct applying *a, size_t kind, const char *ns,
                                          const char *name)
{
    const struct ak_object_list *list = &a->o->rights[kind];
    for (size_t i = 0; i < list->len; i++) {
        const struct ak_meta *meta = ak_object_meta(list->items[i]);
        if (ak_streq(meta->namespace_, ns) && ak_streq(meta->name, name))
            return list->items[i];
    }
    return NULL;
}

static size_t kind_of_right(const struct ak_tool_right *right)
{
    size_t kind = 0;
    while (kind + 1 < AK_TOOL_RIGHT_MAX && &ak_tool_right_kinds[kind]->resource != right->resource)
        kind++;
    return kind;
}

/* Elsewhere no owner says whose it is, the label does. 1: it may be written. */
static int may_take_right(struct applying *a, const struct ak_tool_right *right)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *found = NULL;
    int n = ak_client_get(ak_manager_client(a->self->manager), right->resource,
                          *right->ns ? right->ns : NULL, right->name, &found, &err);
    if (n == AK_E_NOT_FOUND)
        return 1;
    if (n < 0)
        return give(a, n, &err);
    if (ak_streq(ak_json_text(found, "metadata", "labels", AK_LABEL_TOOL_UID, NULL), a->meta->uid))
        return ak_error_set(a->reterr, AK_E_CONFLICT, "%s \"%s\" is not in the cache yet",
                            right->resource->kind, right->name);
    n = not_ready(a, "NameTaken",
                  ak_arena_printf(a->arena,
                                  "%s \"%s\" exists and does not belong to this Tool; delete it",
                                  right->resource->kind, right->name),
                  LOOK_AGAIN);
    return n < 0 ? n : 0;
}

/* What cannot be made ends it: a binding must not lead to a role that is not there, or another's. */
static int apply_rights(struct applying *a)
{
    int n = 1;
    for (size_t i = 0; n > 0 && i < a->plan->n_rights; i++) {
        const struct ak_tool_right *right = &a->plan->rights[i];
        const struct ak_object *live = find_right(a, kind_of_right(right), right->ns, right->name);
        AK_AUTO_PTR(ak_error) err = NULL;
        n = live ? 1 : may_take_right(a, right);
        if (n <= 0)
            break;
        n = ak_apply_object(ak_manager_apply(a->self->manager), right->resource, live,
                            right->object, NULL, AK_APPLY_FORCE, &err);
        n = n < 0 ? explain_refusal(a, right->resource->kind, n, &err) : 1;
    }
    return AK_MIN(n, 0);
}

static bool is_right_wanted(const struct applying *a, size_t kind, const struct ak_meta *meta)
{
    for (size_t i = 0; i < a->plan->n_rights; i++) {
        const struct ak_tool_right *right = &a->plan->rights[i];
        if (kind_of_right(right) == kind && ak_streq(right->ns, meta->namespace_) &&
            ak_streq(right->name, meta->name))
            return true;
    }
    return false;
}

/* Bindings first, so that nothing refers to what is gone. */
static int prune_rights(struct applying *a)
{
    int n = 0;
    for (size_t k = AK_TOOL_RIGHT_MAX; n >= 0 && k-- > 0;) {
        const struct ak_object_list *list = &a->o->rights[k];
        for (size_t i = 0; n >= 0 && i < list->len; i++) {
            const struct ak_meta *meta = ak_object_meta(list->items[i]);
            if (!meta->deleting && !is_right_wanted(a, k, meta))
                n = ak_apply_delete(ak_manager_apply(a->self->manager), list->items[i],
                                    /* grace_seconds= */ -1, a->reterr);
        }
    }
    return n;
}

/* ---- pods ---- */

static void tell(struct applying *a, bool warning, const char *reason, const char *what,
                 const char *why)
{
    ak_events_emit(ak_manager_events(a->self->manager), a->o->tool, warning, reason, "%s%s%s", what,
                   why ? ": " : "", why ? why : "");
    ak_info("tool", what, AK_STR("kind", "Tool"), AK_STR("namespace", a->meta->namespace_),
            AK_STR("name", a->meta->name), AK_STR("why", why));
}

static int remove_pod(struct applying *a, const struct ak_tool_removal *removal)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    if (removal->end_reason && ak_tools_end(a->self->uses, a->meta->namespace_, a->meta->name,
                                            removal->end_reason, &err) < 0)
        ak_debug("tool", "the bastion could not be told to end", AK_STR("name", a->meta->name),
                 AK_ERR(err));
    int n = ak_apply_delete(ak_manager_apply(a->self->manager), removal->pod,
                            /* grace_seconds= */ -1, a->reterr);
    if (n > 0 && removal->why)
        tell(a, false, "BastionDeleted", "bastion deleted", removal->why);
    return n < 0 ? n : 0;
}

/* There is a pod of that name that the cache does not show. Whose is it? */
static int explain_taken(struct applying *a, const char *name)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *pod = NULL;
    int n = ak_client_get(ak_manager_client(a->self->manager), &ak_pod_kind.resource,
                          a->meta->namespace_, name, &pod, &err);
    if (n < 0 && n != AK_E_NOT_FOUND)
        return give(a, n, &err);
    if (n < 0 || ak_streq(ak_json_text(pod, "metadata", "annotations", AK_TOOL_POD_UID, NULL),
                          a->meta->uid)) {
        again(a, POD_SEEN); /* gone again, or ours: the cache is behind */
        return 0;
    }
    return not_ready(
        a, "PodNameTaken",
        ak_arena_printf(a->arena,
                        "pod \"%s\" exists and does not belong to this Tool; delete it, or give "
                        "the Tool another name",
                        name),
        LOOK_AGAIN);
}

/* POST and not apply: that a pod of this name exists is the error that keeps it one. */
static int create(struct applying *a, const struct ak_resource *r, const json_t *object,
                  const char *reason)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    if (!object)
        return 0;
    int n = ak_apply_create(ak_manager_apply(a->self->manager), r, object, &err);
    again(a, POD_SEEN);
    if (n == AK_E_ALREADY_EXISTS && r == &ak_job_resource)
        return 0;
    if (n == AK_E_ALREADY_EXISTS)
        return explain_taken(a, ak_json_text(object, "metadata", "name", NULL));
    if (n < 0)
        return explain_refusal(a, r->kind, n, &err);
    if (reason)
        tell(a, false, reason, "bastion created", NULL);
    return 0;
}

static int create_pods(struct applying *a)
{
    const struct ak_tool_plan *plan = a->plan;
    const struct {
        const struct ak_resource *resource;
        const json_t *object;
        const char *reason;
    } all[] = {{&ak_job_resource, plan->job, NULL},
               {&ak_pod_kind.resource, plan->worker, NULL},
               {&ak_pod_kind.resource, plan->probe, NULL},
               {&ak_pod_kind.resource, plan->bastion, "BastionCreated"}};
    bool any = plan->job || plan->worker || plan->probe || plan->bastion;
    int n = 0;
    /* Pods are gated from their first moment. */
    if (any && a->self->admission)
        n = ak_gate_prepare(a->self->admission, a->meta->namespace_, a->reterr);
    for (size_t i = 0; n >= 0 && i < AK_ARRAY_LEN(all); i++)
        n = create(a, all[i].resource, all[i].object, all[i].reason);
    return n;
}

/* ---- all of it ---- */

static int apply_mint(struct applying *a)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    if (!a->plan->mint)
        return 0;
    int n = ak_tool_secret_mint(a->self, a->meta, a->plan->text, &err);
    if (n >= 0)
        return 0;
    a->plan->status.identity = ak_tool_status_of(a->o) ? ak_tool_status_of(a->o)->identity : NULL;
    return explain_refusal(a, "Secret", n, &err);
}

int ak_tool_apply(struct ak_tool_controller *self, const struct ak_tool_observed *o,
                  struct ak_arena *arena, struct ak_tool_plan *plan, struct ak_error **reterr)
{
    struct applying a = {self, o, ak_object_meta(o->tool), arena, plan, reterr};
    int n = plan->add_finalizer ? write_finalizers(&a, /* with_ours= */ true) : 0;
    /* What ends, ends first: nothing that follows may hold it up. */
    for (size_t i = 0; n >= 0 && i < plan->n_removals; i++)
        n = remove_pod(&a, &plan->removals[i]);
    if (n >= 0)
        n = apply_owned(&a, &ak_account_kind.resource, o->account, plan->account);
    if (n >= 0)
        n = apply_owned(&a, &ak_network_policy_kind.resource, o->policy, plan->policy);
    if (n >= 0)
        n = apply_rights(&a);
    if (n >= 0 && plan->prune_rights)
        n = prune_rights(&a);
    if (n >= 0)
        n = apply_mint(&a);
    return n < 0 ? n : create_pods(&a);
}

int ak_tool_apply_end(struct ak_tool_controller *self, const struct ak_tool_observed *o,
                      const struct ak_tool_plan *plan, struct ak_error **reterr)
{
    struct ak_tool_plan unused = {.again_after = -1};
    struct applying a = {self, o, ak_object_meta(o->tool), NULL, &unused, reterr};
    int n = 0;
    if (plan->drop_identity)
        n = ak_tool_secret_drop(self, a.meta, reterr);
    if (n >= 0 && plan->drop_finalizer)
        n = write_finalizers(&a, /* with_ours= */ false);
    return n < 0 ? n : 0;
}
