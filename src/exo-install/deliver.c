/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/deliver.h"

#include <ak/base/secret.h>
#include <ak/base/text.h>

#include "exo-install/apply.h"
#include "exo-install/cluster.h"
#include "exo-install/manifests.h"
#include "exo-install/preflight.h"
#include "exo-install/proof.h"
#include "exo-install/record.h"
#include "exo-install/render.h"
#include "exo-install/token.h"
#include "exo-install/values.h"

struct delivery {
    struct ak_install *install;
    bool keep;
    struct ak_values values;
    struct ak_record record;
    struct ak_secret *token;
    json_t *crds;    /* empty with --crds=false */
    json_t *objects; /* the operator's */
    bool blind;      /* this user may not even read the record: the preflight will say it */
};

static void done(struct delivery *self)
{
    ak_values_done(&self->values);
    ak_record_done(&self->record);
    (void)ak_secret_free(self->token);
    json_decref(self->crds);
    json_decref(self->objects);
}

static bool is_on(const struct delivery *self, const char *path)
{
    return json_is_true(ak_values_at(self->values.all, path));
}

static int choose_values(struct delivery *self, struct ak_error **reterr)
{
    const struct ak_install_options *o = self->install->options;

    int r = ak_values_init(&self->values, o->offline, reterr);
    if (r >= 0 && self->keep && self->record.values)
        r = ak_values_merge(&self->values, self->record.values, reterr);
    if (r >= 0)
        r = ak_values_from_options(&self->values, o, reterr);
    return r < 0 ? r : ak_values_finish(&self->values, reterr);
}

/* The record goes right behind the namespace: an install that breaks off later is known to be ours. */
static int add_record(struct delivery *self, struct ak_error **reterr)
{
    json_t *config = NULL;
    size_t at = 0;

    int r = ak_record_make(self->values.given,
                           !self->install->client || self->record.made_namespace, &config, reterr);
    if (r < 0)
        return r;
    while (at < json_array_size(self->objects) &&
           !ak_streq(ak_json_text(json_array_get(self->objects, at), "kind", NULL), "Namespace"))
        at++;
    at = at < json_array_size(self->objects) ? at + 1 : 0;
    return json_array_insert_new(self->objects, at, config) < 0 ? ak_error_oom(reterr) : 0;
}

static int build(struct delivery *self, struct ak_error **reterr)
{
    const struct ak_install_options *o = self->install->options;

    int r = choose_values(self, reterr);
    if (r >= 0 && o->crds)
        r = ak_render_crds(o->offline, &self->crds, reterr);
    if (r >= 0 && !o->crds && !(self->crds = json_array()))
        r = ak_error_oom(reterr);
    if (r >= 0)
        r = ak_render_operator(o->offline, &self->values, &self->objects, reterr);
    return r < 0 ? r : add_record(self, reterr);
}

static int together(const struct delivery *self, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *all = json_copy(self->crds);
    if (!all || json_array_extend(all, self->objects) < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(all);
    return 0;
}

static int dry_run(struct delivery *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *all = NULL;

    int r = build(self, reterr);
    if (r >= 0)
        r = together(self, &all, reterr);
    if (r >= 0)
        r = ak_apply_print(self->install, all, reterr);
    if (r >= 0 && self->token)
        ak_screen_complain(&self->install->screen,
                           "The Secret " AK_INSTALL_TOKEN_SECRET
                           ", with the token of --token-file, is not shown.");
    return r;
}

/* What an earlier install made and this choice of values does not: the webhook, when it is switched off.
 * A configuration whose webhook nobody serves would keep people out of their pods. */
static int prune_object(struct delivery *self, const json_t *object, struct ak_error **reterr)
{
    const char *kind = ak_json_text(object, "kind", NULL);
    const char *name = ak_json_text(object, "metadata", "name", NULL);
    AK_AUTO_JSON *live = NULL;
    const struct ak_resource *res;
    enum ak_origin origin;
    char label[384];

    if (ak_manifests_find(self->objects, kind, name))
        return 0;
    int r = ak_cluster_kind_of(object, &res, reterr);
    if (r >= 0)
        r = ak_cluster_find_live(self->install, object, &live, reterr);
    if (r >= 0)
        r = ak_preflight_origin(self->install, live, &origin, NULL, reterr);
    if (r < 0 || origin == AK_ORIGIN_NOBODY || origin == AK_ORIGIN_HELM)
        return r;
    r = ak_cluster_delete(self->install, kind, AK_INSTALL_NAMESPACE, name, reterr);
    if (r > 0)
        ak_screen_done(&self->install->screen, ak_cluster_label(res, name, label), "deleted");
    return r < 0 ? r : 0;
}

static int prune(struct delivery *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *all = NULL;

    int r = ak_manifests_objects(self->install->options->offline, "operator", &all, reterr);
    for (size_t i = 0; r >= 0 && i < json_array_size(all); i++)
        r = prune_object(self, json_array_get(all, i), reterr);
    return r;
}

/* The Secret needs the namespace, and the pod wants the Secret: between the two. */
static int apply_objects(struct delivery *self, struct ak_error **reterr)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < json_array_size(self->objects); i++) {
        json_t *object = json_array_get(self->objects, i);
        AK_AUTO_JSON *one = json_pack("[O]", object);
        if (!one)
            return ak_error_oom(reterr);
        r = ak_apply_objects(self->install, one, reterr);
        if (r >= 0 && ak_streq(ak_json_text(object, "kind", NULL), "ConfigMap"))
            r = ak_token_apply(self->install, self->token, reterr);
    }
    return r;
}

static void say_goodbye(struct delivery *self)
{
    struct ak_screen *screen = &self->install->screen;

    if (is_on(self, "manager.managed"))
        ak_screen_say(screen, "Managed mode is not in this version of the manager: it logs a "
                              "warning, works locally, and contacts nobody.");
    if (!is_on(self, "webhook.enabled"))
        ak_screen_say(screen, "The webhook is off: who may exec into the pods of Agents is decided "
                              "by RBAC on pods/exec alone.");
    ak_screen_say(screen, self->install->options->wait
                              ? "agentkube " AK_VERSION " is installed, and works."
                              : "agentkube " AK_VERSION
                                " is applied. exo-install status says whether it works.");
}

static int deliver_to_cluster(struct delivery *self, struct ak_error **reterr)
{
    struct ak_install *install = self->install;
    AK_AUTO_JSON *all = NULL;

    int r = together(self, &all, reterr);
    if (r >= 0)
        r = ak_preflight_run(install, all, AK_PREFLIGHT_APPLY, reterr);
    if (r == 0 && self->blind)
        r = ak_error_set(reterr, AK_E_FORBIDDEN, "configmap/" AK_INSTALL_SELF ": cannot be read");
    if (r == 0 && is_on(self, "manager.managed"))
        r = ak_token_ensure(install, &self->token, reterr);
    if (r == 0)
        r = ak_apply_objects(install, self->crds, reterr);
    if (r == 0)
        r = ak_proof_crds(install, self->crds, reterr);
    if (r == 0)
        r = prune(self, reterr);
    if (r == 0)
        r = apply_objects(self, reterr);
    bool runs = json_integer_value(ak_values_at(self->values.all, "manager.replicas")) > 0;
    if (r == 0 && install->options->wait)
        r = ak_proof_rollout(install, reterr);
    if (r == 0 && install->options->wait && runs && is_on(self, "webhook.enabled"))
        r = ak_proof_webhook(install, reterr);
    if (r == 0)
        say_goodbye(self);
    return r;
}

static int refuse_upgrade(struct delivery *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *live = NULL;

    if (!self->keep || self->blind || self->record.found)
        return 0;
    int r = ak_cluster_find(self->install, "Deployment", AK_INSTALL_NAMESPACE, AK_INSTALL_NAME,
                            &live, reterr);
    if (r < 0 || live) /* Helm's or somebody's: the preflight knows what to say */
        return r;
    ak_screen_complain(&self->install->screen,
                       "exo-install: nothing is installed: exo-install operator installs it");
    return AK_EXIT_PREFLIGHT;
}

static int read_record(struct delivery *self, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    int r = ak_record_read(self->install, &self->record, &err);
    self->blind = r == AK_E_FORBIDDEN && !self->install->options->dry_run;
    if (r >= 0 || self->blind)
        return 0;
    return ak_error_set(reterr, r, "%s", ak_error_message(err));
}

static int deliver(struct delivery *self, struct ak_error **reterr)
{
    const struct ak_install_options *o = self->install->options;

    int r = ak_manifests_check(o->offline, reterr);
    if (r >= 0)
        r = ak_token_from_file(o->token_file, &self->token, reterr);
    if (r >= 0 && o->dry_run && !self->keep)
        return dry_run(self, reterr);
    if (r >= 0)
        r = ak_cluster_connect(self->install, reterr);
    if (r >= 0)
        r = read_record(self, reterr);
    if (r == 0)
        r = refuse_upgrade(self, reterr);
    if (r == 0 && o->dry_run) /* an upgrade's values are in the cluster: read, and nothing else */
        return dry_run(self, reterr);
    if (r == 0)
        r = build(self, reterr);
    return r != 0 ? r : deliver_to_cluster(self, reterr);
}

int ak_deliver(struct ak_install *self, bool keep, struct ak_error **reterr)
{
    struct delivery d = {.install = self, .keep = keep};
    int r = deliver(&d, reterr);
    done(&d);
    return r;
}
