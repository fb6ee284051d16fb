/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/objects.h"

#include <ak/base/text.h>

const char *ak_objects_accept(enum ak_objects_form form)
{
    static const char *const types[] = {
        [AK_OBJECTS_WHOLE] = "application/json",
        [AK_OBJECTS_TABLE] = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
        [AK_OBJECTS_METADATA] = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,"
                                "application/json",
    };
    return types[form];
}

static int add_parameter(struct ak_buf *path, const char *name, const char *value)
{
    if (ak_is_empty(value))
        return 0;
    int r = ak_buf_addf(path, "&%s=", name);
    return r < 0 ? r : ak_buf_add_url_escaped(path, value);
}

int ak_objects_path(const struct ak_objects_query *q, struct ak_buf *path, struct ak_error **reterr)
{
    path->max = AK_OBJECTS_MAX_PATH;
    int r =
        ak_resource_path(q->resource, q->resource->namespaced ? q->ns : NULL, q->name, NULL, path);
    if (r == -EINVAL)
        return ak_error_set(reterr, r, "%s \"%s\": not a name", q->resource->kind,
                            q->name ? q->name : "");
    if (r >= 0 && !q->name)
        r = ak_buf_addf(path, "?limit=%d", AK_OBJECTS_PAGE);
    if (r >= 0 && !q->name)
        r = add_parameter(path, "labelSelector", q->selector);
    if (r >= 0 && !q->name)
        r = add_parameter(path, "fieldSelector", q->fields);
    return r < 0 ? ak_error_set(reterr, r, "path of %s", q->resource->plural) : 0;
}

/* Adds the next page to what is there: "items" of a list, "rows" of a table. */
static int add_page(json_t *all, json_t *page, struct ak_error **reterr)
{
    static const char *const members[] = {"items", "rows"};

    for (size_t i = 0; i < AK_ARRAY_LEN(members); i++) {
        json_t *to = json_object_get(all, members[i]), *from = json_object_get(page, members[i]);
        if (json_is_array(to) && json_is_array(from) && json_array_extend(to, from) < 0)
            return ak_error_oom(reterr);
        if (json_array_size(to) > AK_OBJECTS_MAX)
            return ak_error_set(reterr, AK_E_TOO_LARGE,
                                "more than %d objects: choose a namespace or labels",
                                AK_OBJECTS_MAX);
    }
    return 0;
}

int ak_objects_read(struct ak_exo *self, const struct ak_objects_query *q, json_t **ret,
                    struct ak_error **reterr)
{
    AK_AUTO(ak_buf) base = {0};
    AK_AUTO_JSON *all = NULL;
    int r = ak_objects_path(q, &base, reterr);

    while (r >= 0) {
        AK_AUTO(ak_buf) path = AK_BUF_INIT(2 * AK_OBJECTS_MAX_PATH);
        AK_AUTO_JSON *page = NULL;
        const char *more = ak_json_text(all, "metadata", "continue", NULL);
        if (ak_buf_adds(&path, ak_buf_text(&base)) < 0 ||
            add_parameter(&path, "continue", more) < 0)
            return ak_error_oom(reterr);
        const struct ak_call call = {
            .method = "GET", .path = ak_buf_text(&path), .accept = ak_objects_accept(q->form)};
        r = ak_client_call(self->client, &call, &page, reterr);
        if (r < 0)
            return r;
        more = ak_json_text(page, "metadata", "continue", NULL);
        bool is_last = q->name || ak_is_empty(more);
        if (!all)
            all = AK_TAKE(page);
        else
            r = add_page(all, page, reterr);
        if (r >= 0 && is_last)
            break;
        if (r >= 0 && page && json_object_set(all, "metadata", json_object_get(page, "metadata")))
            r = ak_error_oom(reterr);
    }
    if (r >= 0)
        *ret = AK_TAKE(all);
    return r;
}

int ak_objects_find(struct ak_exo *self, const struct ak_objects_query *q, json_t **ret,
                    struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_objects_read(self, q, ret, &err);

    if (r == AK_E_NOT_FOUND) {
        *ret = NULL;
        return 0;
    }
    if (r < 0 && reterr)
        *reterr = AK_TAKE(err);
    return r;
}

int ak_objects_send(struct ak_exo *self, const char *method, const char *path,
                    const char *content_type, const json_t *body, json_t **ret,
                    struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = {.max = AK_JSON_MAX_BYTES, .wipe = true}; /* it may be a Secret */
    int r = body ? ak_json_write(body, &text, reterr) : 0;

    if (r < 0)
        return r;
    const struct ak_call call = {
        .method = method,
        .path = path,
        .content_type = content_type,
        .body = body ? ak_buf_text(&text) : NULL,
        .body_len = text.len,
    };
    return ak_client_call(self->client, &call, ret, reterr);
}

int ak_objects_may(struct ak_exo *self, const struct ak_permission *what, bool *ret,
                   struct ak_error **reterr)
{
    AK_AUTO_JSON *answer = NULL;
    AK_AUTO_JSON *review = json_pack(
        "{ssss s{s{ssssss ss* ss*}}}", "apiVersion", "authorization.k8s.io/v1", "kind",
        "SelfSubjectAccessReview", "spec", "resourceAttributes", "verb", what->verb, "group",
        what->group, "resource", what->resource, "subresource", what->sub, "namespace", what->ns);
    if (!review)
        return ak_error_oom(reterr);
    int r = ak_objects_send(self, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                            NULL, review, &answer, reterr);
    if (r >= 0)
        *ret = json_is_true(ak_json_at(answer, "status", "allowed", NULL));
    return r;
}
