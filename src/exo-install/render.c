/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/render.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo-install/install.h"
#include "exo-install/manifests.h"

#define DEFAULT_REGISTRY "docker.io"
#define MAX_IMAGE 1024
#define MAX_ARGUMENT 4096

struct render {
    const char *dir;
    const json_t *values;
    json_t *objects;
    json_t *deployment, *pod, *container; /* borrowed from objects */
    char image[MAX_IMAGE];
    struct ak_error **reterr;
};

/* What is done with the value at `path`. `target` is a field, variable or flag, as `apply` wants it. */
struct knob {
    const char *path;
    int (*apply)(struct render *self, const struct knob *knob, const json_t *value);
    const char *target;
    const char *after; /* a new variable stands behind this one, as in the chart */
};

static int check(struct render *self, int r)
{
    return r < 0 ? ak_error_oom(self->reterr) : 0;
}

static bool is_empty(const json_t *value)
{
    return !value || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

/* A scalar as text: what Helm's quoting makes of it. */
static int add_text(const json_t *value, struct ak_buf *out)
{
    if (json_is_string(value))
        return ak_buf_adds(out, json_string_value(value));
    if (json_is_integer(value))
        return ak_buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_boolean(value))
        return ak_buf_adds(out, json_is_true(value) ? "true" : "false");
    return -EINVAL;
}

/* ---- the container's environment and arguments */

static size_t find_variable(const json_t *env, const char *name)
{
    size_t i = 0;
    while (i < json_array_size(env) &&
           !ak_streq(ak_json_text(json_array_get(env, i), "name", NULL), name))
        i++;
    return i;
}

/* value "" takes the variable away. */
static int set_variable(struct render *self, const struct knob *knob, const char *value)
{
    json_t *env = json_object_get(self->container, "env");
    size_t at = find_variable(env, knob->target);
    bool there = at < json_array_size(env);

    if (there && json_array_remove(env, at) < 0)
        return check(self, -1);
    if (!*value)
        return 0;
    if (!there && knob->after)
        at = find_variable(env, knob->after) + 1;
    if (at > json_array_size(env))
        at = json_array_size(env);
    return check(self, json_array_insert_new(
                           env, at, json_pack("{ssss}", "name", knob->target, "value", value)));
}

static int as_variable(struct render *self, const struct knob *knob, const json_t *value)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_ARGUMENT);
    if (add_text(value, &text) < 0)
        return ak_error_set(self->reterr, -EINVAL, "%s: is too long", knob->path);
    return set_variable(self, knob, ak_buf_text(&text));
}

/* A list, joined by commas. */
static int as_variable_list(struct render *self, const struct knob *knob, const json_t *value)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_ARGUMENT);
    for (size_t i = 0; i < json_array_size(value); i++)
        if ((i && ak_buf_adds(&text, ",") < 0) || add_text(json_array_get(value, i), &text) < 0)
            return ak_error_set(self->reterr, -EINVAL, "%s: is too long", knob->path);
    return set_variable(self, knob, ak_buf_text(&text));
}

/* target is the flag with its "="; an empty value takes the flag away. */
static int as_argument(struct render *self, const struct knob *knob, const json_t *value)
{
    json_t *args = json_object_get(self->container, "args");
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_ARGUMENT);
    size_t at = 0;

    while (at < json_array_size(args) &&
           !ak_has_prefix(json_string_value(json_array_get(args, at)), knob->target))
        at++;
    bool there = at < json_array_size(args);
    if (is_empty(value))
        return there ? check(self, json_array_remove(args, at)) : 0;
    if (ak_buf_adds(&text, knob->target) < 0 || add_text(value, &text) < 0)
        return ak_error_set(self->reterr, -EINVAL, "%s: is too long", knob->path);
    json_t *argument = json_string(ak_buf_text(&text));
    return check(self, there ? json_array_set_new(args, at, argument)
                             : json_array_append_new(args, argument));
}

static int as_more_variables(struct render *self, const struct knob *knob, const json_t *value)
{
    AK_AUTO_JSON *copy = ak_json_copy(value);
    (void)knob;
    return check(self,
                 copy ? json_array_extend(json_object_get(self->container, "env"), copy) : -1);
}

/* ---- fields */

static int put_copy(struct render *self, json_t *holder, const char *field, const json_t *value)
{
    if (is_empty(value)) {
        (void)json_object_del(holder, field);
        return 0;
    }
    return check(self, json_object_set_new(holder, field, ak_json_copy(value)));
}

static int as_pod_field(struct render *self, const struct knob *knob, const json_t *value)
{
    return put_copy(self, self->pod, knob->target, value);
}

/* Empty: as the chart spreads them. */
static int as_pod_field_if_set(struct render *self, const struct knob *knob, const json_t *value)
{
    return is_empty(value) ? 0 : put_copy(self, self->pod, knob->target, value);
}

static int as_container_field(struct render *self, const struct knob *knob, const json_t *value)
{
    return put_copy(self, self->container, knob->target, value);
}

static int as_replicas(struct render *self, const struct knob *knob, const json_t *value)
{
    return put_copy(self, json_object_get(self->deployment, "spec"), knob->target, value);
}

static int as_pod_annotations(struct render *self, const struct knob *knob, const json_t *value)
{
    return put_copy(self, ak_json_at(self->deployment, "spec", "template", "metadata", NULL),
                    knob->target, value);
}

/* Ours win: the selector needs them. */
static int as_pod_labels(struct render *self, const struct knob *knob, const json_t *value)
{
    json_t *metadata = ak_json_at(self->deployment, "spec", "template", "metadata", NULL);
    AK_AUTO_JSON *labels = ak_json_copy(value);
    if (!labels || json_object_update(labels, json_object_get(metadata, "labels")) < 0)
        return check(self, -1);
    return check(self, json_object_set(metadata, knob->target, labels));
}

/* target is the kind of the object. */
static int as_annotations(struct render *self, const struct knob *knob, const json_t *value)
{
    json_t *object = ak_manifests_find(self->objects, knob->target, AK_INSTALL_NAME);
    return put_copy(self, json_object_get(object, "metadata"), "annotations", value);
}

/* Names, or objects with a name. */
static int as_pull_secrets(struct render *self, const struct knob *knob, const json_t *value)
{
    AK_AUTO_JSON *list = json_array();
    for (size_t i = 0; list && i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        const char *name =
            json_is_string(one) ? json_string_value(one) : ak_json_text(one, "name", NULL);
        if (json_array_append_new(list, json_pack("{ss}", "name", name ? name : "")) < 0)
            return check(self, -1);
    }
    return list ? put_copy(self, self->pod, knob->target, list) : check(self, -1);
}

/* ---- the image */

/* "host/x", "host:5000/x": chosen as it is. "adaptivelive/x" lives in the registry. */
static bool names_host(const char *repository)
{
    size_t len = strcspn(repository, "/");
    return repository[len] == '/' &&
           (memchr(repository, '.', len) || memchr(repository, ':', len) ||
            (len == strlen("localhost") && strncmp(repository, "localhost", len) == 0));
}

static int choose_image(struct render *self)
{
    const char *repository = ak_json_text(self->values, "image", "manager", "repository", NULL);
    const char *tag = ak_json_text(self->values, "image", "manager", "tag", NULL);
    const char *registry = ak_json_text(self->values, "image", "registry", NULL);
    const char *host = ak_is_empty(registry) ? DEFAULT_REGISTRY : registry;
    bool pinned = repository && names_host(repository);
    size_t len = strlen(host);

    if (len && host[len - 1] == '/')
        len--;
    int n = snprintf(self->image, sizeof(self->image), "%.*s%s%s:%s", pinned ? 0 : (int)len, host,
                     pinned ? "" : "/", repository ? repository : "",
                     ak_is_empty(tag) ? "v" AK_VERSION : tag);
    if (n < 0 || (size_t)n >= sizeof(self->image))
        return ak_error_set(self->reterr, -EINVAL, "image.manager.repository: is too long");
    return 0;
}

static int as_image(struct render *self, const struct knob *knob, const json_t *value)
{
    (void)value;
    AK_AUTO_JSON *image = json_string(self->image);
    int r = image ? put_copy(self, self->container, "image", image) : check(self, -1);
    return r < 0 ? r : set_variable(self, knob, self->image);
}

/* ---- whole objects */

static int as_strict_role(struct render *self, const struct knob *knob, const json_t *value)
{
    AK_AUTO_JSON *roles = NULL;

    (void)knob;
    if (!json_is_true(value))
        return 0;
    int r = ak_manifests_objects(self->dir, "rbac-strict", &roles, self->reterr);
    for (size_t i = 0; r >= 0 && i < json_array_size(roles); i++) {
        json_t *strict = json_array_get(roles, i);
        json_t *wide = ak_manifests_find(self->objects, ak_json_text(strict, "kind", NULL),
                                         ak_json_text(strict, "metadata", "name", NULL));
        if (!wide)
            r = check(self, json_array_append(self->objects, strict));
        else
            r = check(self, json_object_update(wide, strict));
    }
    return r;
}

/* target is the webhook's name, or NULL for all of them. */
static int set_in_webhooks(struct render *self, const struct knob *knob, const char *field,
                           const json_t *value)
{
    json_t *configuration =
        ak_manifests_find(self->objects, "ValidatingWebhookConfiguration", AK_INSTALL_NAME);
    const json_t *webhooks = json_object_get(configuration, "webhooks");
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(webhooks); i++) {
        json_t *one = json_array_get(webhooks, i);
        if (!knob->target || ak_streq(ak_json_text(one, "name", NULL), knob->target))
            r = put_copy(self, one, field, value);
    }
    return r;
}

static int as_failure_policy(struct render *self, const struct knob *knob, const json_t *value)
{
    return set_in_webhooks(self, knob, "failurePolicy", value);
}

static int as_webhook_timeout(struct render *self, const struct knob *knob, const json_t *value)
{
    static const struct knob argument = {"webhook.timeoutSeconds", NULL,
                                         "--webhook-timeout=", NULL};
    char text[32];

    int r = set_in_webhooks(self, knob, "timeoutSeconds", value);
    if (r < 0)
        return r;
    (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT "s", json_integer_value(value));
    AK_AUTO_JSON *seconds = json_string(text);
    return seconds ? as_argument(self, &argument, seconds) : check(self, -1);
}

static void drop_objects(json_t *objects, const char *kind, const char *name)
{
    for (size_t i = json_array_size(objects); i > 0; i--) {
        const json_t *one = json_array_get(objects, i - 1);
        if ((!kind || ak_streq(ak_json_text(one, "kind", NULL), kind)) &&
            (!name || ak_streq(ak_json_text(one, "metadata", "name", NULL), name)))
            (void)json_array_remove(objects, i - 1);
    }
}

static void drop_port(struct render *self, const char *name)
{
    json_t *ports = json_object_get(self->container, "ports");

    for (size_t i = json_array_size(ports); i > 0; i--)
        if (ak_streq(ak_json_text(json_array_get(ports, i - 1), "name", NULL), name))
            (void)json_array_remove(ports, i - 1);
}

/* Without a webhook, what only it needs goes: configuration, its Role, its flags, its port. */
static int drop_webhook(struct render *self)
{
    static const char *const flags[] = {"--webhook-bind-address=", "--webhook-timeout="};
    int r = 0;

    drop_objects(self->objects, "ValidatingWebhookConfiguration", NULL);
    drop_objects(self->objects, NULL, AK_INSTALL_NAME "-webhook");
    drop_port(self, "webhook");
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(flags); i++)
        r = as_argument(self, &(struct knob){.path = "webhook", .target = flags[i]}, NULL);
    return r;
}

static int as_webhook(struct render *self, const struct knob *knob, const json_t *value)
{
    bool there = ak_manifests_find(self->objects, "ValidatingWebhookConfiguration", NULL);

    if (json_is_true(value) && !there)
        return ak_error_set(self->reterr, -EINVAL, "%s=true: these manifests have no webhook",
                            knob->path);
    if (!there)
        return 0;
    int r = as_argument(self, knob, value);
    return r < 0 || json_is_true(value) ? r : drop_webhook(self);
}

/* Without the invocation API, what only it needs goes: its rights, exo's account, its flag, its port. */
static int as_invoke(struct render *self, const struct knob *knob, const json_t *value)
{
    if (json_is_true(value))
        return 0;
    drop_objects(self->objects, NULL, AK_INSTALL_NAME "-invoke");
    drop_objects(self->objects, NULL, "agentkube-cli");
    drop_port(self, "invoke");
    return as_argument(self, knob, NULL);
}

static int as_nothing(struct render *self, const struct knob *knob, const json_t *value)
{
    (void)value;
    (void)self;
    (void)knob;
    return 0;
}

static const struct knob knobs[] = {
    {"manager.managed", as_variable, "AGENTKUBE_MANAGED", NULL},
    {"manager.baseURL", as_variable, "AGENTKUBE_BASE_URL", NULL},
    {"manager.transport", as_variable, "AGENTKUBE_TRANSPORT", NULL},
    {"manager.clusterID", as_variable, "AGENTKUBE_CLUSTER_ID", "AGENTKUBE_TRANSPORT"},
    {"manager.replicas", as_replicas, "replicas", NULL},
    {"manager.workers", as_argument, "--workers=", NULL},
    {"manager.logLevel", as_argument, "--log-level=", NULL},
    {"manager.watchNamespace", as_argument, "--watch-namespace=", NULL},
    {"manager.resources", as_container_field, "resources", NULL},
    {"manager.nodeSelector", as_pod_field, "nodeSelector", NULL},
    {"manager.tolerations", as_pod_field, "tolerations", NULL},
    {"manager.affinity", as_pod_field, "affinity", NULL},
    {"manager.topologySpreadConstraints", as_pod_field_if_set, "topologySpreadConstraints", NULL},
    {"manager.priorityClassName", as_pod_field, "priorityClassName", NULL},
    {"manager.podAnnotations", as_pod_annotations, "annotations", NULL},
    {"manager.podLabels", as_pod_labels, "labels", NULL},
    {"image.manager.repository", as_image, "AGENTKUBE_MANAGER_IMAGE", NULL},
    {"image.manager.tag", as_nothing, NULL, NULL}, /* with the repository */
    {"image.manager.pullPolicy", as_container_field, "imagePullPolicy", NULL},
    {"image.pullSecrets", as_pull_secrets, "imagePullSecrets", NULL},
    {"agents.imagePullSecrets", as_variable_list, "AGENTKUBE_IMAGE_PULL_SECRETS",
     "AGENTKUBE_MANAGER_IMAGE"},
    {"image.registry", as_variable, "AGENTKUBE_IMAGE_REGISTRY", "AGENTKUBE_MANAGER_IMAGE"},
    {"agents.memory.size", as_variable, "AGENTKUBE_MEMORY_SIZE", NULL},
    {"agents.memory.accessMode", as_variable, "AGENTKUBE_MEMORY_ACCESS_MODE", NULL},
    {"agents.memory.storageClassName", as_variable, "AGENTKUBE_MEMORY_STORAGE_CLASS",
     "AGENTKUBE_MEMORY_ACCESS_MODE"},
    {"manager.extraEnv", as_more_variables, NULL, NULL}, /* last, behind all of ours */
    {"serviceAccount.annotations", as_annotations, "ServiceAccount", NULL},
    {"service.annotations", as_annotations, "Service", NULL},
    {"rbac.strict", as_strict_role, NULL, NULL},
    {"webhook.failurePolicy", as_failure_policy, "gate.agentkube.io", NULL},
    {"webhook.validationFailurePolicy", as_failure_policy, "validate.agentkube.io", NULL},
    {"webhook.timeoutSeconds", as_webhook_timeout, NULL, NULL},
    {"webhook.enabled", as_webhook, "--webhook=", NULL},
    {"invoke.enabled", as_invoke, "--invoke-bind-address=", NULL},
    /* For Helm, which does neither by itself. This program always does both. */
    {"crds.install", as_nothing, NULL, NULL},
    {"namespace.create", as_nothing, NULL, NULL},
};

bool ak_render_knows(const char *path)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(knobs); i++) {
        size_t len = strlen(knobs[i].path);
        if (strncmp(path, knobs[i].path, len) == 0 && (path[len] == 0 || path[len] == '.'))
            return true;
    }
    return false;
}

/* What was chosen, but has no knob: better said than ignored. */
static int refuse_unknown(const json_t *given, struct ak_buf *path, struct ak_error **reterr)
{
    const char *name;
    json_t *value;
    size_t before = path->len;

    json_object_foreach((json_t *)(uintptr_t)given, name, value)
    {
        int r = ak_buf_addf(path, "%s%s", before ? "." : "", name);
        if (r < 0)
            return ak_error_set(reterr, -EINVAL, "values: a name is too long");
        if (!ak_render_knows(ak_buf_text(path))) {
            if (!json_is_object(value) || !json_object_size(value))
                return ak_error_set(reterr, -EINVAL, "%s: this value works with Helm only",
                                    ak_buf_text(path));
            r = refuse_unknown(value, path, reterr);
            if (r < 0)
                return r;
        }
        path->len = before;
        path->data[before] = 0;
    }
    return 0;
}

/*
 * Whose an object is: as Helm says it of its own. Not on definitions: they outlive an uninstall, and a chart that
 * is installed then puts its own label there, which a label of ours would forbid (a conflict of server-side apply).
 */
static int label_ours(json_t *objects, struct ak_error **reterr)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        json_t *object = json_array_get(objects, i);
        json_t *labels = ak_json_at(object, "metadata", "labels", NULL);
        if (ak_streq(ak_json_text(object, "kind", NULL), "CustomResourceDefinition"))
            continue;
        if (labels && json_object_set_new(labels, "app.kubernetes.io/managed-by",
                                          json_string(AK_INSTALL_SELF)) < 0)
            return ak_error_oom(reterr);
    }
    return 0;
}

/* The pod starts with all its rights there. */
static int put_deployment_last(json_t *objects)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        json_t *one = json_array_get(objects, i);
        if (!ak_streq(ak_json_text(one, "kind", NULL), "Deployment"))
            continue;
        return json_array_append(objects, one) < 0 ? -1 : json_array_remove(objects, i);
    }
    return 0;
}

static int find_parts(struct render *self)
{
    self->deployment = ak_manifests_find(self->objects, "Deployment", AK_INSTALL_NAME);
    self->pod = ak_json_at(self->deployment, "spec", "template", "spec", NULL);
    self->container = json_array_get(json_object_get(self->pod, "containers"), 0);
    if (!json_is_array(json_object_get(self->container, "env")) ||
        !json_is_array(json_object_get(self->container, "args")))
        return ak_error_set(self->reterr, AK_E_INVALID,
                            "the manifests have no Deployment " AK_INSTALL_NAME);
    return 0;
}

int ak_render_operator(const char *dir, const struct ak_values *values, json_t **ret_array,
                       struct ak_error **reterr)
{
    struct render self = {.dir = dir, .values = values->all, .reterr = reterr};
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    AK_AUTO_JSON *objects = NULL;

    int r = refuse_unknown(values->given, &path, reterr);
    if (r >= 0)
        r = ak_manifests_objects(dir, "operator", &objects, reterr);
    if (r < 0)
        return r;
    self.objects = objects;
    r = find_parts(&self);
    if (r >= 0)
        r = choose_image(&self);
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(knobs); i++) {
        const json_t *value = ak_values_at(values->all, knobs[i].path);
        if (value)
            r = knobs[i].apply(&self, &knobs[i], value);
    }
    if (r >= 0)
        r = check(&self, put_deployment_last(objects));
    if (r >= 0)
        r = label_ours(objects, reterr);
    if (r < 0)
        return r;
    *ret_array = AK_TAKE(objects);
    return 0;
}

int ak_render_crds(const char *dir, json_t **ret_array, struct ak_error **reterr)
{
    AK_AUTO_JSON *crds = NULL;
    int r = ak_manifests_objects(dir, "crds", &crds, reterr);
    if (r >= 0)
        r = label_ours(crds, reterr);
    if (r < 0)
        return r;
    *ret_array = AK_TAKE(crds);
    return 0;
}
