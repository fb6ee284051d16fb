/* SPDX-License-Identifier: Apache-2.0 */
/* exo-install status: one row for each piece, each with a look at whether it works. */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/base/time.h>

#include "exo-install/cluster.h"
#include "exo-install/diagnose.h"
#include "exo-install/manifests.h"
#include "exo-install/preflight.h"
#include "exo-install/proof.h"
#include "exo-install/record.h"
#include "exo-install/render.h"
#include "terminal/words.h"

#define WORDS 2048

struct status {
    struct ak_install *install;
    json_t *pieces; /* [{piece, ok, detail}] */
    json_t *crds, *objects;
    json_t *deployment; /* live, or NULL */
    bool works, webhook;
    struct ak_error **reterr;
};

static int add(struct status *self, const char *piece, bool ok, const char *fmt, ...)
    AK_PRINTF(4, 5);
static int add(struct status *self, const char *piece, bool ok, const char *fmt, ...)
{
    AK_AUTO(ak_buf) detail = AK_BUF_INIT(WORDS);
    va_list ap;

    va_start(ap, fmt);
    ak_words_vadd(&detail, fmt, ap);
    va_end(ap);
    self->works &= ok;
    if (json_array_append_new(self->pieces, json_pack("{sssbss}", "piece", piece, "ok", (int)ok,
                                                      "detail", ak_buf_text(&detail))) < 0)
        return ak_error_oom(self->reterr);
    return 0;
}

static int look_at_cluster(struct status *self)
{
    char text[64];
    int major, minor;
    int r = ak_cluster_version(self->install, text, &major, &minor, self->reterr);
    return r < 0 ? r
                 : add(self, "cluster", true, "Kubernetes %s at %s", text,
                       ak_kube_config_server(self->install->config));
}

static int look_at_install(struct status *self)
{
    static const char *const makers[] = {
        [AK_ORIGIN_SELF] = "exo-install",
        [AK_ORIGIN_LEFTOVER] = "a Helm release that is gone",
        [AK_ORIGIN_HAND] = "hand (kubectl apply)",
    };
    const char *release = NULL;
    enum ak_origin origin;

    int r = ak_cluster_find(self->install, "Deployment", AK_INSTALL_NAMESPACE, AK_INSTALL_NAME,
                            &self->deployment, self->reterr);
    if (r >= 0)
        r = ak_preflight_origin(self->install, self->deployment, &origin, &release, self->reterr);
    if (r < 0)
        return r;
    if (origin == AK_ORIGIN_NOBODY)
        return add(self, "operator", false, "not installed: exo-install operator installs it");
    const char *version =
        ak_json_text(self->deployment, "metadata", "labels", "app.kubernetes.io/version", NULL);
    if (origin == AK_ORIGIN_HELM)
        return add(self, "operator", true, "version %s, by the Helm release \"%s\"",
                   version ? version : "?", release);
    return add(self, "operator", true, "version %s, by %s", version ? version : "?",
               makers[origin]);
}

static int look_at_crds(struct status *self)
{
    AK_AUTO(ak_buf) missing = AK_BUF_INIT(WORDS);
    size_t served = 0;

    for (size_t i = 0; i < json_array_size(self->crds); i++) {
        const json_t *crd = json_array_get(self->crds, i);
        AK_AUTO_JSON *live = NULL;
        int r = ak_cluster_find_live(self->install, crd, &live, self->reterr);
        if (r < 0)
            return r;
        if (ak_proof_has_condition(live, "Established"))
            served++;
        else
            ak_words_add(&missing, "%s%s", missing.len ? ", " : "",
                         ak_json_text(crd, "metadata", "name", NULL));
    }
    return add(self, "definitions", !missing.len, "%zu of %zu are served%s%s", served,
               json_array_size(self->crds), missing.len ? "; missing: " : "",
               ak_buf_text(&missing));
}

/* Everything but the Deployment and the webhook, which have rows of their own. */
static int look_at_objects(struct status *self)
{
    AK_AUTO(ak_buf) missing = AK_BUF_INIT(WORDS);
    size_t there = 0, looked = 0;

    for (size_t i = 0; i < json_array_size(self->objects); i++) {
        const json_t *object = json_array_get(self->objects, i);
        const char *kind = ak_json_text(object, "kind", NULL);
        const char *name = ak_json_text(object, "metadata", "name", NULL);
        const struct ak_resource *res;
        AK_AUTO_JSON *live = NULL;
        char label[384];

        if (ak_streq(kind, "Deployment") || ak_streq(kind, "ValidatingWebhookConfiguration") ||
            (!self->webhook && ak_streq(name, AK_INSTALL_NAME "-webhook")))
            continue;
        int r = ak_cluster_kind_of(object, &res, self->reterr);
        if (r >= 0)
            r = ak_cluster_find_live(self->install, object, &live, self->reterr);
        if (r < 0)
            return r;
        looked++;
        there += live != NULL;
        if (!live)
            ak_words_add(&missing, "%s%s", missing.len ? ", " : "",
                         ak_cluster_label(res, name, label));
    }
    return add(self, "objects", !missing.len, "%zu of %zu are there%s%s", there, looked,
               missing.len ? "; missing: " : "", ak_buf_text(&missing));
}

static int look_at_rollout(struct status *self)
{
    AK_AUTO(ak_buf) why = AK_BUF_INIT(WORDS);
    const json_t *containers =
        ak_json_at(self->deployment, "spec", "template", "spec", "containers", NULL);
    const char *image = ak_json_text(json_array_get(containers, 0), "image", NULL);

    enum ak_proof_state state = ak_proof_judge_rollout(self->deployment, &why);
    if (state != AK_PROOF_DONE && self->deployment) {
        ak_words_add(&why, "; ");
        int r = ak_diagnose(self->install, self->deployment, &why, self->reterr);
        if (r < 0)
            return r;
    }
    return add(self, "pods", state == AK_PROOF_DONE, "%s%s%s", ak_buf_text(&why),
               image ? "; image " : "", image ? image : "");
}

static int look_at_leader(struct status *self)
{
    AK_AUTO_JSON *lease = NULL;
    ak_msec renewed = 0;

    int r = ak_cluster_find(self->install, "Lease", AK_INSTALL_NAMESPACE, AK_INSTALL_NAME, &lease,
                            self->reterr);
    if (r < 0)
        return r;
    const char *holder = ak_json_text(lease, "spec", "holderIdentity", NULL);
    const char *time = ak_json_text(lease, "spec", "renewTime", NULL);
    json_int_t seconds =
        json_integer_value(ak_json_at(lease, "spec", "leaseDurationSeconds", NULL));
    if (ak_is_empty(holder) || !time || ak_parse_rfc3339(time, &renewed) < 0)
        return add(self, "leader", false, "nobody leads");
    ak_msec age = ak_wall_now() - renewed;
    return add(self, "leader", age < (seconds + 60) * 1000, "%s, %d s ago", holder,
               (int)(age / 1000));
}

static int look_at_webhook(struct status *self)
{
    AK_AUTO(ak_buf) why = AK_BUF_INIT(WORDS);
    enum ak_proof_state state = AK_PROOF_FAILED;
    AK_AUTO_PTR(ak_error) err = NULL;

    if (!self->webhook)
        return add(self, "webhook", true,
                   "off: RBAC on pods/exec alone decides who gets into the pods of Agents");
    int r = ak_proof_ask_webhook(self->install, &state, &why, &err);
    if (r < 0)
        return add(self, "webhook", true, "configured; not asked: %s", ak_error_message(err));
    return add(self, "webhook", state == AK_PROOF_DONE, "%s", ak_buf_text(&why));
}

static int find_webhook(struct status *self)
{
    AK_AUTO_JSON *live = NULL;
    int r = ak_cluster_find(self->install, "ValidatingWebhookConfiguration", NULL, AK_INSTALL_NAME,
                            &live, self->reterr);
    if (r >= 0)
        self->webhook = live != NULL;
    return r;
}

static const char *managed_value(const json_t *deployment)
{
    const json_t *containers =
        ak_json_at(deployment, "spec", "template", "spec", "containers", NULL);
    const json_t *env = json_object_get(json_array_get(containers, 0), "env");
    for (size_t i = 0; i < json_array_size(env); i++)
        if (ak_streq(ak_json_text(json_array_get(env, i), "name", NULL), "AGENTKUBE_MANAGED"))
            return ak_json_text(json_array_get(env, i), "value", NULL);
    return NULL;
}

static int look_at_control_plane(struct status *self)
{
    AK_AUTO_JSON *secret = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    if (!ak_streq(managed_value(self->deployment), "true"))
        return add(self, "control plane", true, "none: local");
    int r = ak_cluster_find(self->install, "Secret", AK_INSTALL_NAMESPACE, AK_INSTALL_TOKEN_SECRET,
                            &secret, &err);
    if (r < 0)
        return add(self, "control plane", true, "chosen; %s", ak_error_message(err));
    bool there = ak_json_text(secret, "data", AK_INSTALL_TOKEN_KEY, NULL);
    return add(self, "control plane", there, "chosen, but not in this version of the manager; %s",
               there ? "the token is there" : "the Secret " AK_INSTALL_TOKEN_SECRET " is missing");
}

static int look_at_usage(struct status *self)
{
    static const char *const kinds[] = {"Agent", "Tool", "MCP", "LLMGateway", "Claw"};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(WORDS);

    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        size_t n = 0;
        int r = ak_cluster_count(self->install, kinds[i], NULL, NULL, &n, &err);
        if (r < 0)
            return add(self, "in use", true, "%s", ak_error_message(err));
        ak_words_add(&text, "%s%zu %s", text.len ? ", " : "", n, ak_cluster_kind(kinds[i])->plural);
    }
    return add(self, "in use", true, "%s", ak_buf_text(&text));
}

static int look(struct status *self)
{
    static int (*const always[])(struct status *) = {look_at_cluster, look_at_install, find_webhook,
                                                     look_at_crds};
    static int (*const installed[])(struct status *) = {look_at_objects,       look_at_rollout,
                                                        look_at_leader,        look_at_webhook,
                                                        look_at_control_plane, look_at_usage};

    int r = ak_manifests_objects(NULL, "operator", &self->objects, self->reterr);
    if (r >= 0)
        r = ak_render_crds(NULL, &self->crds, self->reterr);
    if (r >= 0)
        r = ak_cluster_connect(self->install, self->reterr);
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(always); i++)
        r = always[i](self);
    for (size_t i = 0; r >= 0 && self->deployment && i < AK_ARRAY_LEN(installed); i++)
        r = installed[i](self);
    return r;
}

static int print_tree(struct status *self)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64u << 10);
    AK_AUTO_JSON *tree = json_pack("{sssbsO}", "exoInstall", AK_VERSION, "works", (int)self->works,
                                   "pieces", self->pieces);
    int r;

    if (!tree)
        return ak_error_oom(self->reterr);
    r = self->install->options->output == AK_OUTPUT_JSON ? ak_json_write(tree, &text, self->reterr)
                                                         : ak_yaml_write(tree, &text, self->reterr);
    if (r < 0)
        return r;
    while (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = 0;
    ak_screen_say(&self->install->screen, "%s", ak_buf_text(&text));
    return 0;
}

static int print(struct status *self)
{
    if (self->install->options->output != AK_OUTPUT_TEXT)
        return print_tree(self);
    for (size_t i = 0; i < json_array_size(self->pieces); i++) {
        const json_t *one = json_array_get(self->pieces, i);
        ak_screen_say(&self->install->screen, "%-14s %-4s %s", ak_json_text(one, "piece", NULL),
                      json_is_true(json_object_get(one, "ok")) ? "ok" : "BAD",
                      ak_json_text(one, "detail", NULL));
    }
    return 0;
}

int ak_verb_status(struct ak_install *self, struct ak_error **reterr)
{
    struct status s = {.install = self, .works = true, .pieces = json_array(), .reterr = reterr};

    int r = s.pieces ? look(&s) : ak_error_oom(reterr);
    if (r >= 0)
        r = print(&s);
    json_decref(s.pieces);
    json_decref(s.crds);
    json_decref(s.objects);
    json_decref(s.deployment);
    if (r < 0)
        return r;
    return s.works ? AK_EXIT_OK : AK_EXIT_FAILED;
}
