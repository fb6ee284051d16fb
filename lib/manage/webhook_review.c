/* SPDX-License-Identifier: Apache-2.0 */
/* AdmissionReview in and out. Pure. */
#include <ak/manage/webhook.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "webhook_prune.h"

static const char *const versions[] = {"admission.k8s.io/v1", "admission.k8s.io/v1beta1"};

static const char *const operations[AK_REVIEW_OPERATION_MAX] = {
    [AK_REVIEW_OTHER] = "",        [AK_REVIEW_CREATE] = "CREATE",   [AK_REVIEW_UPDATE] = "UPDATE",
    [AK_REVIEW_DELETE] = "DELETE", [AK_REVIEW_CONNECT] = "CONNECT",
};

static const struct ak_field kind_fields[] = {
    AK_FIELD(struct ak_review_kind, group, "group", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_review_kind, version, "version", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_review_kind, kind, "kind", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_review_kind, resource, "resource", AK_F_STRING, .default_text = ""),
};
static const struct ak_type kind_type = AK_TYPE("kind", struct ak_review_kind, kind_fields);

static const struct ak_field user_fields[] = {
    AK_FIELD(struct ak_review_user, name, "username", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_review_user, uid, "uid", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_review_user, groups, "groups", AK_F_STRING_LIST),
};
static const struct ak_type user_type = AK_TYPE("userInfo", struct ak_review_user, user_fields);

#define ALWAYS AK_FIELD_MATERIALIZE
static const struct ak_field review_fields[] = {
    AK_FIELD_STRING(struct ak_review, uid, "uid", AK_FIELD_REQUIRED),
    AK_FIELD_STRUCT(struct ak_review, kind, "kind", ALWAYS, &kind_type),
    AK_FIELD_STRUCT(struct ak_review, resource, "resource", ALWAYS, &kind_type),
    AK_FIELD(struct ak_review, sub_resource, "subResource", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_review, name, "name", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_review, namespace_, "namespace", AK_F_STRING, .default_text = ""),
    AK_FIELD_STRING(struct ak_review, operation_text, "operation", AK_FIELD_REQUIRED),
    AK_FIELD_STRUCT(struct ak_review, user, "userInfo", ALWAYS, &user_type),
    AK_FIELD_BOOL(struct ak_review, dry_run, "dryRun", 0, 0),
};
static const struct ak_type review_type = AK_TYPE("request", struct ak_review, review_fields);

static const json_t *object_or_null(const json_t *request, const char *key)
{
    const json_t *value = json_object_get(request, key);

    return json_is_object(value) ? value : NULL;
}

static enum ak_review_operation operation_of(const char *text)
{
    for (int i = AK_REVIEW_OTHER + 1; i < AK_REVIEW_OPERATION_MAX; i++)
        if (ak_streq(operations[i], text))
            return (enum ak_review_operation)i;
    return AK_REVIEW_OTHER;
}

static const char *version_of(const json_t *tree)
{
    const char *stated = ak_json_text(tree, "apiVersion", NULL);

    if (!ak_streq(ak_json_text(tree, "kind", NULL), "AdmissionReview"))
        return NULL;
    for (size_t i = 0; i < AK_ARRAY_LEN(versions); i++)
        if (ak_streq(stated, versions[i]))
            return versions[i];
    return NULL;
}

static int decode_tree(const json_t *tree, struct ak_arena *arena, struct ak_review *ret,
                       const char **ret_version, struct ak_error **reterr)
{
    struct ak_review review = {0};
    const json_t *request = object_or_null(tree, "request");
    const char *version = version_of(tree);

    if (!version)
        return ak_error_set(reterr, AK_E_INVALID, "is not an AdmissionReview of %s or %s",
                            versions[0], versions[1]);
    if (!request)
        return ak_error_set(reterr, AK_E_INVALID, "request: must be set");
    int r = ak_decode(&review_type, request, &review, arena, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "request");
    if (!*review.uid)
        return ak_error_set(reterr, AK_E_INVALID, "request.uid: must not be empty");
    review.operation = operation_of(review.operation_text);
    review.object = object_or_null(request, "object");
    review.old_object = object_or_null(request, "oldObject");
    review.options = object_or_null(request, "options");
    /* The struct was made by the decoder for us alone; only here it is completed. */
    struct ak_review_user *user = ak_arena_alloc(arena, sizeof(*user));
    if (!user)
        return ak_error_oom(reterr);
    *user = *review.user;
    user->extra = object_or_null(json_object_get(request, "userInfo"), "extra");
    review.user = user;
    review.arena = arena;
    *ret = review;
    *ret_version = version;
    return 0;
}

int ak_review_decode(const char *body, size_t len, const char *const *skip, struct ak_arena *arena,
                     struct ak_review *ret, const char **ret_version, json_t **ret_tree,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) pruned = AK_BUF_INIT(len);
    AK_AUTO_JSON *tree = NULL;
    int r = skip ? ak__review_prune(body, len, skip, &pruned) : -EINVAL;

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    r = ak_json_parse(r < 0 ? body : pruned.data, r < 0 ? len : pruned.len, &tree, reterr);
    if (r >= 0)
        r = decode_tree(tree, arena, ret, ret_version, reterr);
    if (r < 0)
        return r;
    *ret_tree = AK_TAKE(tree);
    return 0;
}

/* ---- the answer ---- */

int ak_review_deny(struct ak_review_answer *answer, int code, const char *reason, const char *fmt,
                   ...)
{
    char text[AK_REVIEW_MAX_MESSAGE];
    va_list ap;

    answer->denied = true; /* also when there is no memory for the reason */
    answer->code = code;
    answer->reason = reason;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    answer->message = ak_arena_strdup(answer->arena, text);
    return answer->message ? 0 : -ENOMEM;
}

int ak_review_cause(struct ak_review_answer *answer, const char *field, const char *message)
{
    struct ak_review_cause *cause = &answer->causes[answer->n_causes];

    if (answer->n_causes == AK_REVIEW_MAX_CAUSES)
        return 0;
    cause->field = ak_arena_strdup(answer->arena, field);
    cause->message = ak_arena_strdup(answer->arena, message);
    if (!cause->field || !cause->message)
        return -ENOMEM;
    answer->n_causes++;
    return 0;
}

int ak_review_warn(struct ak_review_answer *answer, const char *fmt, ...)
{
    char text[AK_REVIEW_MAX_WARNING + 1];
    va_list ap;

    if (answer->n_warnings == AK_REVIEW_MAX_WARNINGS)
        return 0;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const char *kept = ak_arena_strdup(answer->arena, text);
    if (!kept)
        return -ENOMEM;
    answer->warnings[answer->n_warnings++] = kept;
    return 0;
}

/* Adds ,"key":"value" (without the comma after a brace). */
static int add_member(struct ak_buf *out, const char *key, const char *value)
{
    bool first = out->len && out->data[out->len - 1] == '{';
    int r = ak_buf_addf(out, "%s\"%s\":", first ? "" : ",", key);

    return r < 0 ? r : ak_buf_add_json_string(out, value, strlen(value));
}

static int add_causes(const struct ak_review_answer *answer, struct ak_buf *out)
{
    int r = ak_buf_adds(out, ",\"causes\":[");

    for (size_t i = 0; i < answer->n_causes && r >= 0; i++) {
        r = ak_buf_adds(out, i ? ",{" : "{");
        if (r >= 0)
            r = add_member(out, "reason", "FieldValueInvalid");
        if (r >= 0)
            r = add_member(out, "message", answer->causes[i].message);
        if (r >= 0)
            r = add_member(out, "field", answer->causes[i].field);
        if (r >= 0)
            r = ak_buf_adds(out, "}");
    }
    return r < 0 ? r : ak_buf_adds(out, "]");
}

static int add_details(const struct ak_review *review, const struct ak_review_answer *answer,
                       struct ak_buf *out)
{
    int r = ak_buf_adds(out, ",\"details\":{");

    if (r >= 0)
        r = add_member(out, "name", review->name);
    if (r >= 0)
        r = add_member(out, "group", review->kind->group);
    if (r >= 0)
        r = add_member(out, "kind", answer->kind ? answer->kind : review->kind->kind);
    if (r >= 0)
        r = add_causes(answer, out);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

static int add_status(const struct ak_review *review, const struct ak_review_answer *answer,
                      struct ak_buf *out)
{
    int r = ak_buf_addf(out, ",\"status\":{\"status\":\"Failure\",\"code\":%d", answer->code);

    if (r >= 0 && answer->reason)
        r = add_member(out, "reason", answer->reason);
    if (r >= 0 && answer->message)
        r = add_member(out, "message", answer->message);
    if (r >= 0 && answer->n_causes)
        r = add_details(review, answer, out);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

static int add_warnings(const struct ak_review_answer *answer, struct ak_buf *out)
{
    int r = ak_buf_adds(out, ",\"warnings\":[");

    for (size_t i = 0; i < answer->n_warnings && r >= 0; i++) {
        if (i)
            r = ak_buf_adds(out, ",");
        if (r >= 0)
            r = ak_buf_add_json_string(out, answer->warnings[i], strlen(answer->warnings[i]));
    }
    return r < 0 ? r : ak_buf_adds(out, "]");
}

static int add_audit(const struct ak_review_answer *answer, struct ak_buf *out)
{
    int r = ak_buf_adds(out, ",\"auditAnnotations\":{");

    if (r >= 0)
        r = add_member(out, answer->audit_key, answer->audit_value);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

int ak_review_encode(const struct ak_review *review, const char *version,
                     const struct ak_review_answer *answer, struct ak_buf *out)
{
    int r = ak_buf_addf(out, "{\"apiVersion\":\"%s\",\"kind\":\"AdmissionReview\",\"response\":{",
                        version);

    if (r >= 0)
        r = add_member(out, "uid", review->uid);
    if (r >= 0)
        r = ak_buf_addf(out, ",\"allowed\":%s", answer->denied ? "false" : "true");
    if (r >= 0 && answer->denied)
        r = add_status(review, answer, out);
    if (r >= 0 && answer->n_warnings)
        r = add_warnings(answer, out);
    if (r >= 0 && answer->audit_key && answer->audit_value)
        r = add_audit(answer, out);
    return r < 0 ? r : ak_buf_adds(out, "}}\n");
}
