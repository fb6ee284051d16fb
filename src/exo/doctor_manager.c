/* SPDX-License-Identifier: Apache-2.0 */
/* The manager: does it run, does somebody lead, is its webhook asked, does it answer? */
#include <inttypes.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/doctor.h"
#include "exo/kinds.h"
#include "exo/manager.h"
#include "exo/objects.h"
#include "exo/output.h"
#include "exo/proxy.h"

#define INSTALL "install it: exo-install operator, or helm install"

/* Adds what keeps the manager's pods from running. */
static int why_not(struct ak_doctor *self, struct ak_buf *out)
{
    const struct ak_objects_query q = {
        .resource = ak_kinds_find("Pod"),
        .ns = self->exo->options->operator_namespace,
        .selector = "app.kubernetes.io/name=" AK_EXO_NAME,
    };
    AK_AUTO_JSON *pods = NULL;

    if (ak_objects_read(self->exo, &q, &pods, NULL) < 0)
        return 0;
    const json_t *items = json_object_get(pods, "items");
    int r = 0;
    for (size_t i = 0; r >= 0 && !out->len && i < json_array_size(items); i++)
        r = ak_doctor_pod_problem(json_array_get(items, i), out);
    return r;
}

static bool is_other_version(const char *image)
{
    const char *colon = image ? strrchr(image, ':') : NULL;

    return colon && !strchr(colon, '/') && !strchr(image, '@') &&
           !ak_streq(colon + 1, "v" AK_VERSION) && !ak_streq(colon + 1, AK_VERSION);
}

int ak_doctor_manager(struct ak_doctor *self)
{
    const char *system = self->exo->options->operator_namespace;
    AK_AUTO(ak_buf) why = AK_BUF_INIT(2048);
    AK_AUTO_PTR(ak_error) err = NULL;
    int64_t available, wanted;

    int r = ak_manager_deployment(self->exo, &self->deployment, &err);
    if (r < 0)
        return ak_doctor_add_error(self, err, "look at the Deployment " AK_EXO_NAME);
    if (!self->deployment)
        return ak_doctor_add(self, AK_VERDICT_FAIL,
                             INSTALL " (or --operator-namespace says where it is)",
                             "there is no Deployment " AK_EXO_NAME " in namespace \"%s\"", system);
    ak_manager_replicas(self->deployment, &available, &wanted);
    const char *image = ak_output_or(ak_manager_image(self->deployment), "?");
    if (available >= wanted && wanted > 0) {
        bool is_other = is_other_version(image);
        return ak_doctor_add(
            self, is_other ? AK_VERDICT_WARN : AK_VERDICT_OK,
            is_other ? "exo is " AK_VERSION ": use the exo of the manager's version" : NULL,
            "%" PRId64 " of %" PRId64 " replicas are ready, %s", available, wanted, image);
    }
    if (why_not(self, &why) < 0)
        return -ENOMEM;
    return ak_doctor_add(self, available ? AK_VERDICT_WARN : AK_VERDICT_FAIL,
                         "kubectl -n agentkube-system describe pods, and their logs, say more",
                         "%" PRId64 " of %" PRId64 " replicas are ready, %s%s%s", available, wanted,
                         image, why.len ? ": " : "", ak_buf_text(&why));
}

int ak_doctor_leader(struct ak_doctor *self)
{
    struct ak_manager_leader leader;
    AK_AUTO_PTR(ak_error) err = NULL;
    ak_msec now = ak_wall_now();
    char ago[32];

    int r = ak_manager_leader(self->exo, now, &leader, &err);
    if (r < 0)
        return ak_doctor_add_error(self, err, "look at the Lease");
    if (!leader.is_there)
        return ak_doctor_add(self, self->deployment ? AK_VERDICT_FAIL : AK_VERDICT_WARN,
                             "no manager has led here yet: look at its log",
                             "there is no Lease " AK_EXO_NAME " in namespace \"%s\"",
                             self->exo->options->operator_namespace);
    (void)ak_output_span(AK_MAX(now - leader.renewed, 0), ago);
    if (leader.is_fresh)
        return ak_doctor_add(self, AK_VERDICT_OK, NULL, "%s leads, seen %s ago", leader.holder,
                             ago);
    return ak_doctor_add(
        self, AK_VERDICT_FAIL, "no replica acts on Agents now: look at the manager's log",
        leader.holder[0] ? "%s led, but was last seen %s ago" : "%snobody leads, for %s",
        leader.holder, ago);
}

/* Meets the schema, and cannot work: nobody knows the image of a runtime called Custom. */
static const char probe[] =
    "{\"apiVersion\":\"agentkube.io/v1alpha1\",\"kind\":\"Agent\",\"metadata\":{\"name\":"
    "\"exo-doctor-probe\"},\"spec\":{\"runtime\":\"Custom\",\"paused\":true,\"goal\":{\"inline\":"
    "\"probe\"}}}";

static int ask_webhook(struct ak_doctor *self)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    AK_AUTO_PTR(ak_error) err = NULL;

    if (ak_resource_path(ak_kinds_find("Agent"), self->exo->ns, NULL, NULL, &path) < 0 ||
        ak_buf_adds(&path, "?dryRun=All") < 0)
        return -ENOMEM;
    const struct ak_call call = {
        .method = "POST",
        .path = ak_buf_text(&path),
        .body = probe,
        .body_len = sizeof(probe) - 1,
    };
    int r = ak_client_call(self->exo->client, &call, NULL, &err);
    const char *message = ak_error_message(err);
    if (strstr(message, "admission webhook") && strstr(message, "agentkube.io\" denied"))
        return ak_doctor_add(self, AK_VERDICT_OK, NULL, "asked with a dry run, and it answers");
    if (r >= 0)
        return ak_doctor_add(self, AK_VERDICT_WARN,
                             "the apiserver takes a moment after an install; then look at the "
                             "ValidatingWebhookConfiguration " AK_EXO_NAME,
                             "an impossible Agent passed a dry run: the webhook is not asked");
    if (r == AK_E_FORBIDDEN || r == AK_E_NOT_FOUND)
        return ak_doctor_add(self, AK_VERDICT_WARN, NULL, "it cannot be tried: %s", message);
    return ak_doctor_add(self, AK_VERDICT_FAIL,
                         "the apiserver does not reach the manager's port 9443: Service, firewall "
                         "between control plane and nodes, NetworkPolicy",
                         "%s", message);
}

int ak_doctor_webhook(struct ak_doctor *self)
{
    const struct ak_objects_query q = {
        .resource = ak_kinds_find("ValidatingWebhookConfiguration"),
        .name = AK_EXO_NAME,
    };
    AK_AUTO_JSON *configuration = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    int r = ak_objects_find(self->exo, &q, &configuration, &err);
    if (r < 0) {
        r = ak_doctor_add_error(self, err, "look at the ValidatingWebhookConfiguration");
        return r < 0 ? r : ask_webhook(self);
    }
    if (!configuration)
        return ak_doctor_add(self, AK_VERDICT_WARN,
                             "without it nothing keeps people out of agents' pods, and mistakes "
                             "show in the status only: install with webhook.enabled=true",
                             "there is no ValidatingWebhookConfiguration " AK_EXO_NAME);
    const json_t *hooks = json_object_get(configuration, "webhooks");
    for (size_t i = 0; i < json_array_size(hooks); i++) {
        const json_t *hook = json_array_get(hooks, i);
        if (ak_is_empty(ak_json_text(hook, "clientConfig", "caBundle", NULL)))
            return ak_doctor_add(
                self, AK_VERDICT_FAIL, "the leading manager fills it in: look at its log",
                "webhook %s has no caBundle", ak_output_or(ak_json_text(hook, "name", NULL), "?"));
    }
    return ask_webhook(self);
}

/* -1: fine; else what was added. */
static int look_at_service(struct ak_doctor *self, bool *ret_is_fine)
{
    const char *system = self->exo->options->operator_namespace;
    struct ak_objects_query q = {
        .resource = ak_kinds_find("Service"), .ns = system, .name = AK_EXO_NAME};
    AK_AUTO_JSON *service = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    bool has_port = false;

    *ret_is_fine = true; /* who may not look can still call */
    int r = ak_objects_find(self->exo, &q, &service, &err);
    if (r < 0)
        return 0;
    const json_t *ports = ak_json_at(service, "spec", "ports", NULL);
    for (size_t i = 0; i < json_array_size(ports); i++)
        has_port |= ak_streq(ak_json_text(json_array_get(ports, i), "name", NULL), "invoke");
    if (service && has_port)
        return 0;
    *ret_is_fine = false;
    return ak_doctor_add(self, AK_VERDICT_FAIL, INSTALL,
                         service ? "the Service " AK_EXO_NAME " in \"%s\" has no port \"invoke\""
                                 : "there is no Service " AK_EXO_NAME " in namespace \"%s\"",
                         system);
}

int ak_doctor_invoke(struct ak_doctor *self)
{
    const struct ak_proxy_call call = {
        .method = "GET", .path = "/whoami", .timeout = AK_SECONDS(10)};
    AK_AUTO_JSON *answer = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    bool is_fine;

    int r = look_at_service(self, &is_fine);
    if (r < 0 || !is_fine)
        return r;
    r = ak_proxy_do(self->exo, &call, &answer, &err);
    if (r < 0) {
        const char *advice = r == AK_E_FORBIDDEN ? "docs/cli.md has the rules that are needed"
                             : r == AK_E_UNAUTHORIZED
                                 ? "the manager asks the apiserver (TokenReview): does it know "
                                   "this token?"
                                 : "does the manager run, and does a NetworkPolicy let the "
                                   "control plane in on port 8082?";
        return ak_doctor_add(self, AK_VERDICT_FAIL, advice, "%s", ak_error_message(err));
    }
    const char *name = ak_json_text(answer, "username", NULL);
    if (!name)
        name = ak_json_text(answer, "user", "username", NULL);
    return ak_doctor_add(self, AK_VERDICT_OK, NULL, "the manager answers, and knows us as %s",
                         ak_output_or(name, "?"));
}
