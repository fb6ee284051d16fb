/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exo-install uninstall. The order matters: the webhook's configuration goes before the one who answers
 * it, objects go while the manager still runs (it may have to tidy up behind them), the namespace goes
 * last, and only if this program made it and nothing of somebody else lies in it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo-install/cluster.h"
#include "exo-install/diagnose.h"
#include "exo-install/manifests.h"
#include "exo-install/preflight.h"
#include "exo-install/record.h"
#include "exo-install/render.h"
#include "terminal/words.h"

#define LABEL_GATED "agentkube.io/gated"

static const char *const own_kinds[] = {"Agent", "Tool", "MCP", "LLMGateway", "Claw"};

/* What the manager and this program make beside the manifests. */
static const struct {
    const char *kind, *name;
} byproducts[] = {
    {"Lease", AK_INSTALL_NAME},
    {"Secret", "agentkube-webhook-cert"},
    {"Secret", AK_INSTALL_TOKEN_SECRET},
    {"ConfigMap", AK_INSTALL_SELF},
};

struct removal {
    struct ak_install *install;
    struct ak_record record;
    json_t *objects; /* the operator's */
    json_t *crds;    /* those to delete: none without --purge */
};

/* ---- questions */

static int count_objects(struct ak_install *self, struct ak_buf *text, size_t *ret_total,
                         struct ak_error **reterr)
{
    *ret_total = 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(own_kinds); i++) {
        size_t n = 0;
        int r = ak_cluster_count(self, own_kinds[i], NULL, NULL, &n, reterr);
        if (r < 0)
            return r;
        if (n && ak_buf_addf(text, "%s%zu %s", text->len ? ", " : "", n,
                             ak_cluster_kind(own_kinds[i])->plural) < 0)
            return ak_error_oom(reterr);
        *ret_total += n;
    }
    return 0;
}

/* 0: go on. */
static int confirm_purge(struct ak_install *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1024);
    char answer[16] = "";
    size_t total = 0;

    if (!self->options->purge || self->options->yes)
        return 0;
    int r = count_objects(self, &text, &total, reterr);
    if (r < 0)
        return r;
    if (isatty(STDIN_FILENO) != 1) {
        ak_screen_complain(&self->screen,
                           "exo-install: --purge deletes the definitions and with them %s: add "
                           "--yes if that is meant",
                           total ? ak_buf_text(&text) : "every object of theirs (none now)");
        return AK_EXIT_USAGE;
    }
    (void)fprintf(stderr, "This deletes the operator, the definitions, and %s. Type yes: ",
                  total ? ak_buf_text(&text) : "no object");
    (void)fflush(stderr);
    if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "yes\n") == 0)
        return 0;
    ak_screen_complain(&self->screen, "exo-install: nothing was changed");
    return AK_EXIT_FAILED;
}

/* ---- deleting */

static int delete_one(struct ak_install *self, const char *kind, const char *name,
                      struct ak_error **reterr)
{
    char label[384];
    int r = ak_cluster_delete(self, kind, AK_INSTALL_NAMESPACE, name, reterr);
    if (r > 0)
        ak_screen_done(&self->screen, ak_cluster_label(ak_cluster_kind(kind), name, label),
                       "deleted");
    return r < 0 ? r : 0;
}

struct sweep {
    struct ak_install *install;
    const char *kind;
    size_t left;
};

static int delete_listed(const json_t *object, void *user, struct ak_error **reterr)
{
    struct sweep *s = user;
    const char *name = ak_json_text(object, "metadata", "name", NULL);
    const char *ns = ak_json_text(object, "metadata", "namespace", NULL);

    s->left++;
    if (ak_json_at(object, "metadata", "deletionTimestamp", NULL))
        return 0;
    int r = ak_cluster_delete(s->install, s->kind, ns, name, reterr);
    return r < 0 ? r : 0;
}

/* Deletes every object of a kind until none is listed any more. */
static int sweep_kind(struct ak_install *self, const char *kind, struct ak_error **reterr)
{
    struct sweep s = {.install = self, .kind = kind};
    size_t most = 0;

    for (;;) {
        s.left = 0;
        int r = ak_cluster_each(self, kind, NULL, NULL, true, delete_listed, &s, reterr);
        if (r < 0)
            return r;
        most = AK_MAX(most, s.left);
        if (!s.left)
            break;
        ak_screen_wait(&self->screen, "%zu %s are being deleted", s.left,
                       ak_cluster_kind(kind)->plural);
        if (!ak_cluster_may_wait(self)) {
            ak_screen_complain(&self->screen,
                               "exo-install: %zu %s are still there: something keeps them (kubectl "
                               "get %s -A -o yaml shows metadata.finalizers); the operator was "
                               "left running",
                               s.left, ak_cluster_kind(kind)->plural,
                               ak_cluster_kind(kind)->plural);
            return AK_EXIT_TIMEOUT;
        }
    }
    if (most)
        ak_screen_done(&self->screen, ak_cluster_kind(kind)->plural, "deleted");
    return 0;
}

static int sweep_objects(struct removal *self, struct ak_error **reterr)
{
    int r = 0;
    for (size_t i = 0; r == 0 && self->install->options->purge && i < AK_ARRAY_LEN(own_kinds); i++)
        r = sweep_kind(self->install, own_kinds[i], reterr);
    return r;
}

/* Waits until nothing of that name is left. */
static int wait_gone(struct ak_install *self, const char *kind, const char *name,
                     struct ak_error **reterr)
{
    for (;;) {
        AK_AUTO_JSON *live = NULL;
        int r = ak_cluster_find(self, kind, AK_INSTALL_NAMESPACE, name, &live, reterr);
        if (r < 0 || !live || !self->options->wait)
            return r;
        ak_screen_wait(&self->screen, "waiting for the end of %s \"%s\"", kind, name);
        if (!ak_cluster_may_wait(self)) {
            ak_screen_complain(&self->screen, "exo-install: %s \"%s\" is still there", kind, name);
            return AK_EXIT_TIMEOUT;
        }
    }
}

static int wait_for_pods(struct ak_install *self, struct ak_error **reterr)
{
    for (;;) {
        size_t n = 0;
        int r =
            ak_cluster_count(self, "Pod", AK_INSTALL_NAMESPACE, AK_INSTALL_SELECTOR, &n, reterr);
        if (r < 0 || !n || !self->options->wait)
            return r;
        ak_screen_wait(&self->screen, "waiting for the end of %zu pods", n);
        if (!ak_cluster_may_wait(self)) {
            ak_screen_complain(&self->screen, "exo-install: %zu pods are still there", n);
            return AK_EXIT_TIMEOUT;
        }
    }
}

/* ---- the operator */

static int delete_kind(struct removal *self, const char *kind, struct ak_error **reterr)
{
    int r = 0;
    for (size_t i = json_array_size(self->objects); r >= 0 && i > 0; i--) {
        const json_t *one = json_array_get(self->objects, i - 1);
        if (ak_streq(ak_json_text(one, "kind", NULL), kind))
            r = delete_one(self->install, kind, ak_json_text(one, "metadata", "name", NULL),
                           reterr);
    }
    return r;
}

static int delete_operator(struct removal *self, struct ak_error **reterr)
{
    static const char *const after_pods[] = {
        "Service", "RoleBinding", "Role", "ClusterRoleBinding", "ClusterRole", "ServiceAccount"};

    int r = delete_kind(self, "ValidatingWebhookConfiguration", reterr);
    if (r >= 0)
        r = delete_kind(self, "Deployment", reterr);
    if (r >= 0)
        r = wait_for_pods(self->install, reterr);
    for (size_t i = 0; r == 0 && i < AK_ARRAY_LEN(after_pods); i++)
        r = delete_kind(self, after_pods[i], reterr);
    for (size_t i = 0; r == 0 && i < AK_ARRAY_LEN(byproducts); i++)
        r = delete_one(self->install, byproducts[i].kind, byproducts[i].name, reterr);
    return r;
}

/* ---- labels on namespaces */

static int ungate(const json_t *ns, void *user, struct ak_error **reterr)
{
    struct ak_install *self = user;
    const char *name = ak_json_text(ns, "metadata", "name", NULL);
    AK_AUTO_JSON *patch = json_pack("{s{s{sn}}}", "metadata", "labels", LABEL_GATED);
    size_t agents = 0;

    /* Where Agents stay, the label stays: the gate is closed again as soon as it is installed again. */
    int r = ak_cluster_count(self, "Agent", name, NULL, &agents, reterr);
    if (r < 0 || agents)
        return r;
    return patch ? ak_cluster_patch(self, "Namespace", NULL, name, patch, reterr)
                 : ak_error_oom(reterr);
}

/* ---- the namespace */

struct contents {
    const char *kind;
    struct ak_buf *text;
};

static int note_foreign(const json_t *object, void *user, struct ak_error **reterr)
{
    struct contents *c = user;
    const char *name = ak_json_text(object, "metadata", "name", NULL);

    (void)reterr;
    if (!c->text->len)
        ak_words_add(c->text, "%s \"%s\"", c->kind, name);
    return 0;
}

static int find_foreign(struct ak_install *self, struct ak_buf *text, struct ak_error **reterr)
{
    static const struct {
        const char *kind, *selector;
    } looked_for[] = {
        {"Agent", NULL},
        {"Tool", NULL},
        {"MCP", NULL},
        {"LLMGateway", NULL},
        {"Claw", NULL},
        {"Pod", "app.kubernetes.io/name!=" AK_INSTALL_NAME},
        {"Deployment", "app.kubernetes.io/name!=" AK_INSTALL_NAME},
        {"PersistentVolumeClaim", NULL},
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(looked_for); i++) {
        struct contents c = {.kind = looked_for[i].kind, .text = text};
        r = ak_cluster_each(self, looked_for[i].kind, AK_INSTALL_NAMESPACE, looked_for[i].selector,
                            true, note_foreign, &c, reterr);
    }
    return r;
}

static int delete_namespace(struct removal *self, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) foreign = AK_BUF_INIT(1024);
    struct ak_install *install = self->install;

    if (!self->record.made_namespace) {
        ak_screen_say(&install->screen, "The namespace " AK_INSTALL_NAMESPACE
                                        " was not made by exo-install, and stays.");
        return 0;
    }
    int r = find_foreign(install, &foreign, reterr);
    if (r < 0)
        return r;
    if (foreign.len) {
        ak_screen_say(&install->screen,
                      "The namespace " AK_INSTALL_NAMESPACE " stays, because of %s.",
                      ak_buf_text(&foreign));
        return 0;
    }
    r = delete_kind(self, "Namespace", reterr);
    return r < 0 ? r : wait_gone(install, "Namespace", AK_INSTALL_NAMESPACE, reterr);
}

static int delete_crds(struct removal *self, struct ak_error **reterr)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_array_size(self->crds); i++) {
        const char *name = ak_json_text(json_array_get(self->crds, i), "metadata", "name", NULL);
        r = delete_one(self->install, "CustomResourceDefinition", name, reterr);
        if (r == 0)
            r = wait_gone(self->install, "CustomResourceDefinition", name, reterr);
    }
    return r;
}

/* ---- all of it */

static int prepare(struct removal *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *all = NULL;

    int r = ak_manifests_objects(NULL, "operator", &self->objects, reterr);
    if (r >= 0 && self->install->options->purge)
        r = ak_render_crds(NULL, &self->crds, reterr);
    if (r >= 0)
        r = ak_cluster_connect(self->install, reterr);
    if (r < 0)
        return r;
    all = json_copy(self->objects);
    if (!all || (self->crds && json_array_extend(all, self->crds) < 0))
        return ak_error_oom(reterr);
    r = ak_preflight_run(self->install, all, AK_PREFLIGHT_DELETE, reterr);
    return r != 0 ? r : ak_record_read(self->install, &self->record, reterr);
}

static int remove_all(struct removal *self, struct ak_error **reterr)
{
    struct ak_install *install = self->install;

    int r = prepare(self, reterr);
    if (r == 0)
        r = confirm_purge(install, reterr);
    if (r == 0)
        r = sweep_objects(self, reterr);
    if (r == 0)
        r = delete_operator(self, reterr);
    if (r == 0)
        r = ak_cluster_each(install, "Namespace", NULL, LABEL_GATED, true, ungate, install, reterr);
    if (r == 0)
        r = delete_namespace(self, reterr);
    if (r == 0)
        r = delete_crds(self, reterr);
    if (r == 0)
        ak_screen_say(&install->screen,
                      install->options->purge
                          ? "agentkube is gone."
                          : "The operator is gone. Definitions and their objects stay: "
                            "--purge deletes them too.");
    return r;
}

int ak_verb_uninstall(struct ak_install *self, struct ak_error **reterr)
{
    struct removal removal = {.install = self};
    int r = remove_all(&removal, reterr);
    ak_record_done(&removal.record);
    json_decref(removal.objects);
    json_decref(removal.crds);
    return r;
}
