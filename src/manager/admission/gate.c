/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may get into a pod of ours: exec, attach, port-forward and ephemeral containers need, beside what
 * Kubernetes asks for, a grant of ours on the object that the pod belongs to. Ownership decides, by owner
 * references and by what the pod was made with; labels, which whoever may edit a pod can remove, do not.
 */
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/manage/manager.h>
#include <stdio.h>
#include <string.h>

#include "manager/admission/admission.h"
#include "manager/kinds.h"

#define API_PREFIX "agentkube.io/"
#define VERB "create"

/* Owners of pods that are gated, and the grant that opens them. */
static const struct {
    const char *kind, *resource, *sub_resource;
} guarded[] = {
    {"Agent", "agents", "exec"},
    {"Tool", "tools", "connect"},
};

/* Ways into a pod: "*" in a webhook's rules does not match them, so they are listed there by name, too. */
static const struct way {
    const char *sub_resource;
    enum ak_review_operation operation;
    const char *words;
} ways[] = {
    {"exec", AK_REVIEW_CONNECT, "run commands in"},
    {"attach", AK_REVIEW_CONNECT, "attach to"},
    {"portforward", AK_REVIEW_CONNECT, "forward ports of"},
    {"ephemeralcontainers", AK_REVIEW_UPDATE, "add debug containers to"},
};

static const struct way *find_way(const struct ak_review *review)
{
    if (!ak_streq(review->resource->resource, "pods") || *review->resource->group)
        return NULL;
    for (size_t i = 0; i < AK_ARRAY_LEN(ways); i++)
        if (ak_streq(ways[i].sub_resource, review->sub_resource) &&
            ways[i].operation == review->operation)
            return &ways[i];
    return NULL;
}

int ak_gate_guard_of(const char *api_version, const char *kind, const char *name,
                     struct ak_gate_guard *ret)
{
    if (!api_version || !ak_has_prefix(api_version, API_PREFIX) || ak_is_empty(name))
        return 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(guarded); i++) {
        if (!ak_streq(guarded[i].kind, kind))
            continue;
        *ret = (struct ak_gate_guard){
            .kind = guarded[i].kind,
            .name = name,
            .resource = guarded[i].resource,
            .sub_resource = guarded[i].sub_resource,
        };
        return 1;
    }
    return 0;
}

/* ---- the question ---- */

json_t *ak_gate_question(const struct ak_review *review, const struct ak_gate_guard *guard)
{
    AK_AUTO_JSON *groups = json_array();
    const struct ak_review_user *user = review->user;
    json_t *spec;

    for (size_t i = 0; i < user->groups.len && groups; i++)
        if (json_array_append_new(groups, json_string(user->groups.items[i])) < 0)
            return NULL;
    if (!groups)
        return NULL;
    spec = json_pack("{s:s, s:s, s:O, s:{s:s, s:s, s:s, s:s, s:s, s:s}}", "user", user->name, "uid",
                     user->uid, "groups", groups, "resourceAttributes", "namespace",
                     review->namespace_, "verb", VERB, "group", "agentkube.io", "resource",
                     guard->resource, "subresource", guard->sub_resource, "name", guard->name);
    if (!spec)
        return NULL;
    if (user->extra && json_object_set(spec, "extra", (json_t *)(uintptr_t)user->extra) < 0) {
        json_decref(spec);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o}", "apiVersion", "authorization.k8s.io/v1", "kind",
                     "SubjectAccessReview", "spec", spec);
}

/* Does the apiserver's authorizer grant it? 1: yes. */
static int ask(struct ak_admission *self, const struct ak_review *review,
               const struct ak_gate_guard *guard, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(1u << 20);
    AK_AUTO_JSON *question = ak_gate_question(review, guard);
    AK_AUTO_JSON *said = NULL;

    if (!question)
        return ak_error_oom(reterr);
    int r = ak_json_write(question, &body, reterr);
    if (r < 0)
        return r;
    const struct ak_call call = {
        .method = "POST",
        .path = "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        .body = body.data,
        .body_len = body.len,
        .timeout = AK_MAX(review->deadline - ak_now(), 1),
    };
    r = ak_client_call(ak_manager_client(self->manager), &call, &said, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "SubjectAccessReview");
    return json_is_true(ak_json_at(said, "status", "allowed", NULL));
}

/* ---- the pod ---- */

static int guard_of_tree(const json_t *pod, struct ak_arena *arena, struct ak_gate_guard *ret)
{
    const json_t *refs = ak_json_at(pod, "metadata", "ownerReferences", NULL);

    for (size_t i = 0; i < json_array_size(refs); i++) {
        const json_t *ref = json_array_get(refs, i);
        if (!ak_gate_guard_of(ak_json_text(ref, "apiVersion", NULL),
                              ak_json_text(ref, "kind", NULL), ak_json_text(ref, "name", NULL),
                              ret))
            continue;
        ret->name = ak_arena_strdup(arena, ret->name);
        return ret->name ? 1 : -ENOMEM;
    }
    return 0;
}

static int guard_of_cached(const struct ak_object *pod, struct ak_arena *arena,
                           struct ak_gate_guard *ret)
{
    const struct ak_meta *meta = ak_object_meta(pod);

    for (size_t i = 0; i < meta->owners.len; i++) {
        const struct ak_owner_ref *ref = &meta->owners.items[i];
        if (!ak_gate_guard_of(ref->api_version, ref->kind, ref->name, ret))
            continue;
        ret->name = ak_arena_strdup(arena, ret->name);
        return ret->name ? 1 : -ENOMEM;
    }
    return 0;
}

/* The kind whose pods have this variable; NULL: it says nothing. */
static const char *marked_kind(const char *variable)
{
    static const struct {
        const char *variable, *kind;
    } marks[] = {{AK_AGENT_NAME_VARIABLE, "Agent"}, {AK_TOOL_NAME_VARIABLE, "Tool"}};
    for (size_t i = 0; i < AK_ARRAY_LEN(marks); i++)
        if (ak_streq(marks[i].variable, variable))
            return marks[i].kind;
    return NULL;
}

/* Owner references can be removed by whoever may edit pods, and a Job's pod has the Job's; a container's environment
 * cannot. */
static int guard_of_spec(const json_t *pod, struct ak_arena *arena, struct ak_gate_guard *ret)
{
    const json_t *containers = ak_json_at(pod, "spec", "containers", NULL);

    for (size_t c = 0; c < json_array_size(containers); c++) {
        const json_t *env = ak_json_at(json_array_get(containers, c), "env", NULL);
        for (size_t i = 0; i < json_array_size(env); i++) {
            const json_t *variable = json_array_get(env, i);
            const char *value = ak_json_text(variable, "value", NULL);
            const char *kind = marked_kind(ak_json_text(variable, "name", NULL));
            if (!kind || !ak_gate_guard_of(API_PREFIX "v1alpha1", kind, value, ret))
                continue;
            ret->name = ak_arena_strdup(arena, value);
            return ret->name ? 1 : -ENOMEM;
        }
    }
    return 0;
}

/* 1: guarded. 0: not ours, or gone. The cache only ever says yes: what it does not show is looked up. */
static int find_guard(struct ak_admission *self, const struct ak_review *review,
                      struct ak_gate_guard *ret, struct ak_error **reterr)
{
    AK_AUTO_OBJECT cached = ak_cache_get(self->pods, review->namespace_, review->name);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *pod = NULL;
    int r = cached ? guard_of_cached(cached, review->arena, ret) : 0;

    if (r != 0)
        return r < 0 ? ak_error_oom(reterr) : r;
    r = ak_client_get(ak_manager_client(self->manager), &ak_pod_kind.resource, review->namespace_,
                      review->name, &pod, &err);
    if (r == AK_E_NOT_FOUND)
        return 0; /* the apiserver will say so itself */
    if (r < 0) {
        if (reterr)
            *reterr = AK_TAKE(err);
        return ak_error_wrap(reterr, r, "look at the pod");
    }
    r = guard_of_tree(pod, review->arena, ret);
    if (r == 0)
        r = guard_of_spec(pod, review->arena, ret);
    return r < 0 ? ak_error_oom(reterr) : r;
}

/* ---- the answer ---- */

/* May this be pasted into a shell as it is? */
static bool is_plain(const char *text)
{
    return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789@:._-/")];
}

/* The flag of `kubectl create rolebinding` for this user. */
static int subject_flag(const char *user, char *buf, size_t size)
{
    static const char prefix[] = "system:serviceaccount:";

    if (!is_plain(user))
        return snprintf(buf, size, "--user=USER");
    if (ak_has_prefix(user, prefix))
        return snprintf(buf, size, "--serviceaccount=%s", user + strlen(prefix));
    return snprintf(buf, size, "--user=%s", user);
}

int ak_gate_deny(const struct ak_review *review, const struct ak_gate_guard *guard,
                 struct ak_review_answer *answer)
{
    const struct way *way = find_way(review);
    char flag[512];

    (void)subject_flag(review->user->name, flag, sizeof(flag));
    return ak_review_deny(
        answer, 403, "Forbidden",
        "user \"%s\" may not %s pod \"%s\" of %s \"%s\": the grant to %s %s/%s in API group "
        "agentkube.io is missing. To give it: kubectl -n %s create role %s-%s --verb=%s "
        "--resource=%s.agentkube.io/%s --resource-name=%s && kubectl -n %s create rolebinding "
        "%s-%s --role=%s-%s %s",
        review->user->name, way ? way->words : "enter", review->name, guard->kind, guard->name,
        VERB, guard->resource, guard->sub_resource, review->namespace_, guard->name,
        guard->sub_resource, VERB, guard->resource, guard->sub_resource, guard->name,
        review->namespace_, guard->name, guard->sub_resource, guard->name, guard->sub_resource,
        flag);
}

static void record(const struct ak_review *review, const struct ak_gate_guard *guard,
                   const char *verdict, const struct ak_error *err)
{
    ak_info("audit", "pod access", AK_STR("verdict", verdict), AK_STR("user", review->user->name),
            AK_STR("userUID", *review->user->uid ? review->user->uid : NULL),
            AK_STR("action", review->sub_resource), AK_STR("kind", "Pod"),
            AK_STR("namespace", review->namespace_), AK_STR("name", review->name),
            AK_STR("container", review->operation == AK_REVIEW_CONNECT
                                    ? ak_json_text(review->object, "container", NULL)
                                    : NULL),
            AK_STR("ownerKind", guard ? guard->kind : NULL),
            AK_STR("ownerName", guard ? guard->name : NULL), AK_BOOL("dryRun", review->dry_run),
            AK_STR("review", review->uid), AK_ERR(err));
}

static int annotate(const struct ak_gate_guard *guard, const char *verdict,
                    struct ak_review_answer *answer)
{
    answer->audit_key = "gate";
    answer->audit_value =
        ak_arena_printf(answer->arena, "%s: %s/%s of %s %s", verdict, guard->resource,
                        guard->sub_resource, guard->kind, guard->name);
    return answer->audit_value ? 0 : -ENOMEM;
}

int ak_admission_gate_quick(const struct ak_review *review, struct ak_review_answer *answer,
                            void *user, struct ak_error **reterr)
{
    const struct ak_admission *self = user;

    (void)answer;
    (void)reterr;
    if (!find_way(review) || ak_streq(review->namespace_, "kube-system") ||
        ak_streq(review->user->name, self->own_user))
        return 0;
    return AK_REVIEW_LATER;
}

/* Nobody is let in because we could not find out. */
int ak_admission_gate_slow(const struct ak_review *review, struct ak_review_answer *answer,
                           void *user, struct ak_error **reterr)
{
    struct ak_admission *self = user;
    struct ak_gate_guard guard = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = find_guard(self, review, &guard, &err);

    if (r == 0)
        return 0;
    if (r > 0)
        r = ask(self, review, &guard, &err);
    if (r < 0) {
        record(review, guard.kind ? &guard : NULL, "failed", err);
        (void)reterr;
        return ak_review_deny(answer, 500, "InternalError",
                              "cannot find out whether user \"%s\" may enter pod \"%s\": %s",
                              review->user->name, review->name, ak_error_message(err));
    }
    record(review, &guard, r ? "allowed" : "denied", NULL);
    int n = annotate(&guard, r ? "allowed" : "denied", answer);
    if (n < 0 || r)
        return n;
    return ak_gate_deny(review, &guard, answer);
}
