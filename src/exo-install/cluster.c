/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/cluster.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#define LOOK_AGAIN ((ak_msec)300)
#define MAX_PATH 4096

static const struct ak_resource kinds[] = {
    {"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false},
    {"", "v1", "Namespace", "namespaces", false},
    {"", "v1", "ServiceAccount", "serviceaccounts", true},
    {"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false},
    {"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false},
    {"rbac.authorization.k8s.io", "v1", "Role", "roles", true},
    {"rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true},
    {"", "v1", "Service", "services", true},
    {"", "v1", "Endpoints", "endpoints", true},
    {"apps", "v1", "Deployment", "deployments", true},
    {"apps", "v1", "ReplicaSet", "replicasets", true},
    {"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration",
     "validatingwebhookconfigurations", false},
    {"", "v1", "ConfigMap", "configmaps", true},
    {"", "v1", "Secret", "secrets", true},
    {"", "v1", "Pod", "pods", true},
    {"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true},
    {"", "v1", "Event", "events", true},
    {"coordination.k8s.io", "v1", "Lease", "leases", true},
    {AK_INSTALL_GROUP, "v1alpha1", "Agent", "agents", true},
    {AK_INSTALL_GROUP, "v1alpha1", "Tool", "tools", true},
    {AK_INSTALL_GROUP, "v1alpha1", "MCP", "mcps", true},
    {AK_INSTALL_GROUP, "v1alpha1", "LLMGateway", "llmgateways", true},
    {AK_INSTALL_GROUP, "v1alpha1", "Claw", "claws", true},
};

int ak_cluster_connect(struct ak_install *self, struct ak_error **reterr)
{
    const struct ak_install_options *o = self->options;
    const struct ak_kube_config_options options = {
        .paths = o->kubeconfig,
        .context = o->context,
        .service_host = o->service_host,
        .service_port = o->service_port,
        .https_proxy = o->https_proxy,
        .no_proxy = o->no_proxy,
        .environ_ = o->environ_,
        .user_agent = "exo-install/" AK_VERSION,
    };
    int r = ak_kube_config_load(&options, &self->config, reterr);
    return r < 0 ? r : ak_client_new(self->config, &self->client, reterr);
}

const struct ak_resource *ak_cluster_kind(const char *kind)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++)
        if (ak_streq(kinds[i].kind, kind))
            return &kinds[i];
    return NULL;
}

static int find_kind(const char *kind, const struct ak_resource **ret, struct ak_error **reterr)
{
    *ret = ak_cluster_kind(kind);
    if (!*ret)
        return ak_error_set(reterr, AK_E_INVALID, "kind \"%s\" is not known to exo-install",
                            kind ? kind : "");
    return 0;
}

int ak_cluster_kind_of(const json_t *object, const struct ak_resource **ret,
                       struct ak_error **reterr)
{
    char version[128];

    int r = find_kind(ak_json_text(object, "kind", NULL), ret, reterr);
    if (r < 0)
        return r;
    const char *said = ak_json_text(object, "apiVersion", NULL);
    if (!ak_streq(said, ak_resource_api_version(*ret, version)))
        return ak_error_set(reterr, AK_E_INVALID, "%s \"%s\" is not known to exo-install",
                            (*ret)->kind, said ? said : "");
    return 0;
}

const char *ak_cluster_label(const struct ak_resource *r, const char *name, char buf[static 384])
{
    size_t len = 0;

    for (; r->kind[len] && len < 64; len++) /* as kubectl spells them */
        buf[len] =
            (char)(r->kind[len] >= 'A' && r->kind[len] <= 'Z' ? r->kind[len] + 32 : r->kind[len]);
    (void)snprintf(buf + len, 384 - len, "%s%s/%s", r->group[0] ? "." : "", r->group, name);
    return buf;
}

/* Where an object of that kind lies: nowhere in particular if the kind has no namespaces. */
static const char *home_of(const struct ak_resource *r, const char *ns)
{
    return r->namespaced ? ns : NULL;
}

int ak_cluster_find(struct ak_install *self, const char *kind, const char *ns, const char *name,
                    json_t **ret, struct ak_error **reterr)
{
    const struct ak_resource *res;
    struct ak_error *err = NULL;

    int r = find_kind(kind, &res, reterr);
    if (r < 0)
        return r;
    r = ak_client_get(self->client, res, home_of(res, ns), name, ret, &err);
    if (r == AK_E_NOT_FOUND) {
        (void)ak_error_free(err);
        *ret = NULL;
        return 0;
    }
    if (r < 0) {
        if (reterr)
            *reterr = AK_TAKE(err);
        (void)ak_error_free(err);
        return ak_error_wrap(reterr, r, "read %s \"%s\"", kind, name);
    }
    return 0;
}

int ak_cluster_find_live(struct ak_install *self, const json_t *object, json_t **ret,
                         struct ak_error **reterr)
{
    return ak_cluster_find(self, ak_json_text(object, "kind", NULL),
                           ak_json_text(object, "metadata", "namespace", NULL),
                           ak_json_text(object, "metadata", "name", NULL), ret, reterr);
}

static int send_object(struct ak_install *self, const char *method, const char *content_type,
                       const char *path, const json_t *object, json_t **ret,
                       struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    int r = ak_json_write(object, &body, reterr);
    if (r < 0)
        return r;
    const struct ak_call call = {
        .method = method,
        .path = path,
        .content_type = content_type,
        .body = ak_buf_text(&body),
        .body_len = body.len,
    };
    return ak_client_call(self->client, &call, ret, reterr);
}

int ak_cluster_apply(struct ak_install *self, const json_t *object, uint32_t how, json_t **ret,
                     struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    const struct ak_resource *res;

    int r = ak_cluster_kind_of(object, &res, reterr);
    if (r < 0)
        return r;
    const char *name = ak_json_text(object, "metadata", "name", NULL);
    r = ak_resource_path(res, home_of(res, ak_json_text(object, "metadata", "namespace", NULL)),
                         name, NULL, &path);
    if (r >= 0)
        r = ak_buf_addf(&path, "?fieldManager=" AK_INSTALL_SELF "%s%s",
                        how & AK_APPLY_FORCE ? "&force=true" : "",
                        how & AK_APPLY_DRY_RUN ? "&dryRun=All" : "");
    if (r < 0)
        return ak_error_set(reterr, r, "path of %s \"%s\"", res->kind, name ? name : "");
    /* JSON is YAML; no server before 1.34 knows a content type that says JSON. */
    return send_object(self, "PATCH", "application/apply-patch+yaml", ak_buf_text(&path), object,
                       ret, reterr);
}

int ak_cluster_patch(struct ak_install *self, const char *kind, const char *ns, const char *name,
                     const json_t *merge_patch, struct ak_error **reterr)
{
    const struct ak_resource *res;
    int r = find_kind(kind, &res, reterr);
    if (r < 0)
        return r;
    return ak_client_merge_patch(self->client, res, home_of(res, ns), name, NULL, merge_patch,
                                 AK_INSTALL_SELF, NULL, reterr);
}

int ak_cluster_delete(struct ak_install *self, const char *kind, const char *ns, const char *name,
                      struct ak_error **reterr)
{
    const struct ak_delete_options options = {.grace_seconds = -1, .propagation = "Background"};
    const struct ak_resource *res;
    struct ak_error *err = NULL;

    int r = find_kind(kind, &res, reterr);
    if (r < 0)
        return r;
    r = ak_client_delete(self->client, res, home_of(res, ns), name, &options, &err);
    if (r >= 0)
        return 1;
    if (r != AK_E_NOT_FOUND && reterr)
        *reterr = AK_TAKE(err);
    (void)ak_error_free(err);
    return r == AK_E_NOT_FOUND ? 0 : ak_error_wrap(reterr, r, "delete %s \"%s\"", kind, name);
}

static int list_path(const struct ak_resource *res, const char *ns, const char *selector,
                     const char *more, struct ak_buf *path)
{
    int r;

    ak_buf_clear(path);
    r = ak_resource_path(res, home_of(res, ns), NULL, NULL, path);
    if (r >= 0)
        r = ak_buf_addf(path, "?limit=%d", AK_CLUSTER_PAGE);
    if (r >= 0 && selector)
        r = ak_buf_adds(path, "&labelSelector=");
    if (r >= 0 && selector)
        r = ak_buf_add_url_escaped(path, selector);
    if (r >= 0 && !ak_is_empty(more))
        r = ak_buf_adds(path, "&continue=");
    if (r >= 0 && !ak_is_empty(more))
        r = ak_buf_add_url_escaped(path, more);
    return r;
}

int ak_cluster_each(struct ak_install *self, const char *kind, const char *ns, const char *selector,
                    bool metadata, ak_cluster_each_fn fn, void *user, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(64u << 10);
    AK_AUTO_JSON *page = NULL;
    const struct ak_resource *res;
    const char *more = NULL;

    int r = find_kind(kind, &res, reterr);
    while (r >= 0) {
        AK_AUTO_PTR(ak_error) err = NULL;
        if (list_path(res, ns, selector, more, &path) < 0)
            return ak_error_oom(reterr);
        json_decref(AK_TAKE(page));
        const struct ak_call call = {
            .method = "GET",
            .path = ak_buf_text(&path),
            .accept = metadata ? "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
                               : NULL,
        };
        r = ak_client_call(self->client, &call, &page, &err);
        if (r == AK_E_NOT_FOUND)
            return 0;
        if (r < 0)
            return ak_error_set(reterr, r, "list %s: %s", res->plural, ak_error_message(err));
        const json_t *items = json_object_get(page, "items");
        for (size_t i = 0; r >= 0 && i < json_array_size(items); i++)
            r = fn(json_array_get(items, i), user, reterr);
        more = ak_json_text(page, "metadata", "continue", NULL);
        if (ak_is_empty(more))
            break;
    }
    return r;
}

static int add_one(const json_t *object, void *user, struct ak_error **reterr)
{
    (void)object;
    (void)reterr;
    ++*(size_t *)user;
    return 0;
}

int ak_cluster_count(struct ak_install *self, const char *kind, const char *ns,
                     const char *selector, size_t *ret, struct ak_error **reterr)
{
    size_t n = 0;
    int r = ak_cluster_each(self, kind, ns, selector, true, add_one, &n, reterr);
    if (r >= 0)
        *ret = n;
    return r;
}

int ak_cluster_may(struct ak_install *self, const struct ak_permission *what, bool *ret,
                   struct ak_error **reterr)
{
    static const char path[] = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    AK_AUTO_JSON *attributes =
        json_pack("{ssssss}", "verb", what->verb, "group", what->group, "resource", what->resource);
    AK_AUTO_JSON *answer = NULL;

    if (!attributes ||
        (what->ns && json_object_set_new(attributes, "namespace", json_string(what->ns)) < 0) ||
        (what->name && json_object_set_new(attributes, "name", json_string(what->name)) < 0))
        return ak_error_oom(reterr);
    AK_AUTO_JSON *review =
        json_pack("{sssss{sO}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                  "SelfSubjectAccessReview", "spec", "resourceAttributes", attributes);
    if (!review)
        return ak_error_oom(reterr);
    int r = send_object(self, "POST", NULL, path, review, &answer, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "ask what is allowed");
    *ret = json_is_true(ak_json_at(answer, "status", "allowed", NULL));
    return 0;
}

/* "20+" of managed offerings counts as 20. */
static int leading_number(const char *text)
{
    int n = 0;
    for (; text && *text >= '0' && *text <= '9' && n < 100000; text++)
        n = n * 10 + (*text - '0');
    return n;
}

int ak_cluster_version(struct ak_install *self, char ret_text[static 64], int *ret_major,
                       int *ret_minor, struct ak_error **reterr)
{
    const struct ak_call call = {.method = "GET", .path = "/version"};
    AK_AUTO_JSON *answer = NULL;

    int r = ak_client_call(self->client, &call, &answer, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "ask %s for its version",
                             ak_kube_config_server(self->config));
    const char *text = ak_json_text(answer, "gitVersion", NULL);
    (void)snprintf(ret_text, 64, "%s", text ? text : "?");
    *ret_major = leading_number(ak_json_text(answer, "major", NULL));
    *ret_minor = leading_number(ak_json_text(answer, "minor", NULL));
    return 0;
}

bool ak_cluster_may_wait(const struct ak_install *self)
{
    ak_msec left = self->deadline - ak_now();
    if (left <= 0)
        return false;
    ak_msec nap = AK_MIN(left, LOOK_AGAIN);
    const struct timespec span = {.tv_sec = nap / 1000, .tv_nsec = (nap % 1000) * 1000000};
    (void)nanosleep(&span, NULL);
    return true;
}

bool ak_cluster_is_transient(int code)
{
    return code == AK_E_SERVER || code == AK_E_THROTTLED || code == AK_E_PROTOCOL ||
           code == -ETIMEDOUT;
}
