/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/preflight.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "exo-install/manifests.h"

#define OLDEST_MINOR 20 /* server-side apply, Leases and webhooks as we use them */

struct preflight {
    struct ak_install *install;
    const json_t *objects;
    enum ak_preflight_for what;
    json_t *asked;      /* permissions that were asked for already, as keys of an object */
    json_t *problems;   /* texts */
    bool may_all;       /* this user may do everything: no need to ask one by one */
    bool helm_reported; /* one release, one problem */
    struct ak_error **reterr;
};

static int add_problem(struct preflight *self, const char *fmt, ...) AK_PRINTF(2, 3);
static int add_problem(struct preflight *self, const char *fmt, ...)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(16u << 10);
    va_list ap;

    va_start(ap, fmt);
    int r = ak_buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (r < 0 || json_array_append_new(self->problems, json_string(ak_buf_text(&text))) < 0)
        return ak_error_oom(self->reterr);
    return 0;
}

/* ---- the server's version */

static int check_version(struct preflight *self)
{
    char text[64];
    int major = 0, minor = 0;

    int r = ak_cluster_version(self->install, text, &major, &minor, self->reterr);
    if (r < 0)
        return r;
    if (major > 1 || (major == 1 && minor >= OLDEST_MINOR))
        return 0;
    return add_problem(self, "the cluster is Kubernetes %s; agentkube needs 1.%d or later", text,
                       OLDEST_MINOR);
}

/* ---- permissions */

static int ask_permission(struct preflight *self, const struct ak_permission *what, bool *ret)
{
    AK_AUTO_TEXT char *key = ak_asprintf("%s %s/%s %s/%s", what->verb, what->group, what->resource,
                                         what->ns ? what->ns : "", what->name ? what->name : "");
    if (!key)
        return ak_error_oom(self->reterr);
    *ret = true; /* what was asked before is not reported twice */
    if (self->may_all || json_object_get(self->asked, key))
        return 0;
    if (json_object_set_new(self->asked, key, json_true()) < 0)
        return ak_error_oom(self->reterr);
    return ak_cluster_may(self->install, what, ret, self->reterr);
}

static int require(struct preflight *self, const struct ak_permission *what)
{
    bool may = true;
    int r = ask_permission(self, what, &may);
    if (r < 0 || may)
        return r;
    return add_problem(self, "not allowed: %s %s%s%s%s%s%s%s", what->verb, what->resource,
                       what->group[0] ? "." : "", what->group, what->name ? " \"" : "",
                       what->name ? what->name : "", what->name ? "\"" : "",
                       what->ns ? " in namespace " AK_INSTALL_NAMESPACE : "");
}

static int require_for_object(struct preflight *self, const json_t *object)
{
    static const char *const applying[] = {"get", "create", "patch", NULL};
    static const char *const deleting[] = {"get", "delete", NULL};
    const char *const *verbs = self->what == AK_PREFLIGHT_APPLY ? applying : deleting;
    const struct ak_resource *res;

    int r = ak_cluster_kind_of(object, &res, self->reterr);
    for (; r >= 0 && *verbs; verbs++) {
        const struct ak_permission what = {
            .verb = *verbs,
            .group = res->group,
            .resource = res->plural,
            .ns = res->namespaced ? AK_INSTALL_NAMESPACE : NULL,
            /* a create is decided before there is a name */
            .name =
                ak_streq(*verbs, "create") ? NULL : ak_json_text(object, "metadata", "name", NULL),
        };
        r = require(self, &what);
    }
    return r;
}

static int check_permissions(struct preflight *self)
{
    static const struct ak_permission all = {"*", "*", "*", NULL, NULL};
    static const struct ak_permission watching[] = {
        {"list", "", "pods", AK_INSTALL_NAMESPACE, NULL},
        {"list", "", "events", AK_INSTALL_NAMESPACE, NULL},
    };

    int r = ak_cluster_may(self->install, &all, &self->may_all, self->reterr);
    for (size_t i = 0; r >= 0 && i < json_array_size(self->objects); i++)
        r = require_for_object(self, json_array_get(self->objects, i));
    bool waits =
        ak_manifests_find(self->objects, "Deployment", NULL) && self->install->options->wait;
    for (size_t i = 0; r >= 0 && waits && i < AK_ARRAY_LEN(watching); i++)
        r = require(self, &watching[i]);
    return r;
}

/* ---- who was here before */

static int note_release(const json_t *secret, void *user, struct ak_error **reterr)
{
    (void)secret;
    (void)reterr;
    *(bool *)user = true;
    return 0;
}

/* Helm keeps a release in Secrets. Only their metadata is asked for. Who may not ask, assumes the
 * release to be there. */
static int find_release(struct ak_install *self, const char *name, const char *ns, bool *ret,
                        struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_TEXT char *selector = ak_asprintf("owner=helm,name=%s", name);

    if (!selector)
        return ak_error_oom(reterr);
    *ret = false;
    int r = ak_cluster_each(self, "Secret", ns, selector, true, note_release, ret, &err);
    if (r >= 0)
        return 0;
    if (r == AK_E_FORBIDDEN) {
        *ret = true;
        return 0;
    }
    return ak_error_set(reterr, r, "%s", ak_error_message(err));
}

static bool was_applied_by_us(const json_t *live)
{
    const json_t *entries = ak_json_at(live, "metadata", "managedFields", NULL);
    for (size_t i = 0; i < json_array_size(entries); i++)
        if (ak_streq(ak_json_text(json_array_get(entries, i), "manager", NULL), AK_INSTALL_SELF))
            return true;
    return false;
}

int ak_preflight_origin(struct ak_install *self, const json_t *live, enum ak_origin *ret,
                        const char **ret_release, struct ak_error **reterr)
{
    const char *release =
        ak_json_text(live, "metadata", "annotations", "meta.helm.sh/release-name", NULL);
    const char *ns =
        ak_json_text(live, "metadata", "annotations", "meta.helm.sh/release-namespace", NULL);
    bool there = false;

    if (ret_release)
        *ret_release = release;
    if (!live) {
        *ret = AK_ORIGIN_NOBODY;
        return 0;
    }
    if (!release || !ns) {
        *ret = was_applied_by_us(live) ? AK_ORIGIN_SELF : AK_ORIGIN_HAND;
        return 0;
    }
    int r = find_release(self, release, ns, &there, reterr);
    if (r >= 0)
        *ret = there ? AK_ORIGIN_HELM : AK_ORIGIN_LEFTOVER;
    return r;
}

static int report_helm(struct preflight *self, const json_t *live, const char *release)
{
    const char *ns =
        ak_json_text(live, "metadata", "annotations", "meta.helm.sh/release-namespace", NULL);
    bool crds_only = !ak_manifests_find(self->objects, "Deployment", NULL);

    if (self->helm_reported)
        return 0;
    self->helm_reported = true;
    if (self->what == AK_PREFLIGHT_DELETE)
        return add_problem(self,
                           "this is the Helm release \"%s\": helm uninstall %s --namespace %s",
                           release, release, ns);
    if (crds_only)
        return add_problem(self,
                           "the definitions belong to the Helm release \"%s\": helm upgrade %s "
                           "agentkube/helm/agentkube --namespace %s --reuse-values --set "
                           "crds.install=true",
                           release, release, ns);
    return add_problem(self,
                       "agentkube is installed by the Helm release \"%s\": go on with helm upgrade "
                       "%s agentkube/helm/agentkube --namespace %s, or remove it first with helm "
                       "uninstall %s --namespace %s (Agents and definitions stay)",
                       release, release, ns, release, ns);
}

/* "0.10.1" and "0.9": number by number, what is no number counts as 0. */
bool ak_preflight_is_newer(const char *a, const char *b)
{
    for (int i = 0; i < 3; i++) {
        long left = 0, right = 0;
        for (; *a >= '0' && *a <= '9' && left < 1000000; a++)
            left = left * 10 + (*a - '0');
        for (; *b >= '0' && *b <= '9' && right < 1000000; b++)
            right = right * 10 + (*b - '0');
        if (left != right)
            return left > right;
        a += *a == '.';
        b += *b == '.';
    }
    return false;
}

static int check_age(struct preflight *self, const json_t *live)
{
    const char *version =
        ak_json_text(live, "metadata", "labels", "app.kubernetes.io/version", NULL);
    if (!version || self->install->options->allow_downgrade ||
        !ak_preflight_is_newer(version, AK_VERSION))
        return 0;
    return add_problem(self,
                       "version %s is installed, newer than this exo-install (" AK_VERSION
                       "): use a newer one, or --allow-downgrade",
                       version);
}

/* Versions in which objects are stored must not vanish from a definition. */
static int check_stored_versions(struct preflight *self, const json_t *object, const json_t *live)
{
    const json_t *stored = ak_json_at(live, "status", "storedVersions", NULL);
    const json_t *versions = ak_json_at(object, "spec", "versions", NULL);

    for (size_t i = 0; i < json_array_size(stored); i++) {
        const char *name = json_string_value(json_array_get(stored, i));
        bool there = false;
        for (size_t j = 0; j < json_array_size(versions); j++)
            there |= ak_streq(ak_json_text(json_array_get(versions, j), "name", NULL), name);
        if (!there)
            return add_problem(self,
                               "customresourcedefinition %s has objects stored as %s, which this "
                               "version does not know",
                               ak_json_text(object, "metadata", "name", NULL), name);
    }
    return 0;
}

static int check_origin(struct preflight *self, const json_t *object, const json_t *live)
{
    const char *kind = ak_json_text(object, "kind", NULL);
    const char *release = NULL;
    enum ak_origin origin;

    int r = ak_preflight_origin(self->install, live, &origin, &release, self->reterr);
    if (r < 0)
        return r;
    if (origin == AK_ORIGIN_HELM)
        return report_helm(self, live, release);
    if (self->what == AK_PREFLIGHT_DELETE)
        return 0;
    if (ak_streq(kind, "CustomResourceDefinition"))
        return check_stored_versions(self, object, live);
    if (!ak_streq(kind, "Deployment"))
        return 0;
    r = check_age(self, live);
    if (r >= 0 && origin == AK_ORIGIN_HAND && !self->install->options->force_conflicts)
        r = add_problem(self,
                        "the Deployment " AK_INSTALL_NAME
                        " was made by hand: go on with kubectl apply -f agentkube/config/, or add "
                        "--force-conflicts, and exo-install takes it over as it is");
    return r;
}

/* ---- PodSecurity */

static int check_pod_security(struct preflight *self, const json_t *object, const json_t *live)
{
    static const char label[] = "pod-security.kubernetes.io/enforce";
    const char *level = ak_json_text(live, "metadata", "labels", label, NULL);

    if (!ak_streq(ak_json_text(object, "kind", NULL), "Namespace") || !level)
        return 0;
    /* Our pod meets the strictest level, so whatever is set there can stay. */
    json_t *labels = ak_json_at(object, "metadata", "labels", NULL);
    if (ak_streq(level, ak_json_text(object, "metadata", "labels", label, NULL)))
        return 0;
    ak_screen_say(&self->install->screen, "namespace %s enforces the level \"%s\": left as it is",
                  AK_INSTALL_NAMESPACE, level);
    if (labels)
        (void)json_object_del(labels, label);
    return 0;
}

/* ---- rehearsal */

static bool is_harmless(int code, const struct ak_error *err)
{
    /* A webhook of somebody else that cannot be asked in a dry run says nothing about the real one;
     * what is not there yet (the namespace, the role of a binding) comes with the install. */
    if (code == AK_E_NOT_FOUND || ak_cluster_is_transient(code))
        return true;
    return code == AK_E_INVALID && !ak_streq(ak_error_reason(err), "Invalid");
}

static int rehearse(struct preflight *self, const json_t *object, const json_t *live)
{
    const char *kind = ak_json_text(object, "kind", NULL);
    AK_AUTO_PTR(ak_error) err = NULL;
    const struct ak_resource *res;
    char label[384];
    uint32_t how = AK_APPLY_DRY_RUN;

    /* Definitions are ours whoever applied them last: they are always taken over. */
    if (self->install->options->force_conflicts || ak_streq(kind, "CustomResourceDefinition"))
        how |= AK_APPLY_FORCE;
    int r = ak_cluster_kind_of(object, &res, self->reterr);
    if (r < 0)
        return r;
    r = ak_cluster_apply(self->install, object, how, NULL, &err);
    if (r >= 0 || is_harmless(r, err))
        return 0;
    (void)ak_cluster_label(res, ak_json_text(object, "metadata", "name", NULL), label);
    if (r == AK_E_CONFLICT && live)
        return add_problem(self,
                           "%s: fields are set by somebody else: %s; --force-conflicts sets them "
                           "to what this version needs",
                           label, ak_error_message(err));
    return add_problem(self, "%s: %s", label, ak_error_message(err));
}

static int check_object(struct preflight *self, const json_t *object)
{
    AK_AUTO_JSON *live = NULL;

    int r = ak_cluster_find_live(self->install, object, &live, self->reterr);
    if (r < 0)
        return r;
    if (live)
        r = check_origin(self, object, live);
    if (r >= 0 && live && self->what == AK_PREFLIGHT_APPLY)
        r = check_pod_security(self, object, live);
    bool rehearsed = self->what == AK_PREFLIGHT_APPLY && !self->helm_reported;
    return r < 0 || !rehearsed ? r : rehearse(self, object, live);
}

static int check_objects(struct preflight *self)
{
    int r = 0;

    if (json_array_size(self->problems))
        return 0; /* without permissions, every object would only say so again */
    for (size_t i = 0; r >= 0 && i < json_array_size(self->objects); i++)
        r = check_object(self, json_array_get(self->objects, i));
    return r;
}

static int run_checks(struct preflight *self)
{
    static int (*const checks[])(struct preflight *) = {check_version, check_permissions,
                                                        check_objects};
    int r = 0;

    if (!self->asked || !self->problems)
        return ak_error_oom(self->reterr);
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(checks); i++)
        r = checks[i](self);
    return r;
}

int ak_preflight_run(struct ak_install *self, const json_t *objects, enum ak_preflight_for what,
                     struct ak_error **reterr)
{
    struct preflight p = {
        .install = self,
        .objects = objects,
        .what = what,
        .asked = json_object(),
        .problems = json_array(),
        .reterr = reterr,
    };
    int r = run_checks(&p);
    if (r >= 0 && json_array_size(p.problems)) {
        ak_screen_complain(&self->screen, "exo-install: nothing was changed, because");
        for (size_t i = 0; i < json_array_size(p.problems); i++)
            ak_screen_complain(&self->screen, "  - %s",
                               json_string_value(json_array_get(p.problems, i)));
        r = AK_EXIT_PREFLIGHT;
    }
    json_decref(p.asked);
    json_decref(p.problems);
    return r < 0 ? r : r == AK_EXIT_PREFLIGHT ? r : 0;
}
