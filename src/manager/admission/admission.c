/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/admission/admission.h"

#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/manage/manager.h>
#include <stdio.h>

#include "manager/kinds.h"

#define LOG "webhook"
#define SERVICE "agentkube-manager"

/* Of an object: its name, deletionTimestamp and spec are read; of the old one: the spec. */
static const char *const unread_by_validate[] = {
    "requestKind",
    "requestResource",
    "userInfo",
    "options",
    "object.apiVersion",
    "object.kind",
    "object.status",
    "object.metadata.annotations",
    "object.metadata.creationTimestamp",
    "object.metadata.finalizers",
    "object.metadata.generation",
    "object.metadata.labels",
    "object.metadata.managedFields",
    "object.metadata.namespace",
    "object.metadata.ownerReferences",
    "object.metadata.resourceVersion",
    "object.metadata.uid",
    "oldObject.apiVersion",
    "oldObject.kind",
    "oldObject.status",
    "oldObject.metadata",
    NULL,
};
static const char *const unread_by_gate[] = {
    "requestKind", "requestResource", "options", "object.spec", "object.status", "oldObject", NULL,
};

const struct ak_webhook_handler ak_admission_handlers[] = {
    {.path = AK_ADMISSION_PATH_VALIDATE,
     .quick = ak_admission_validate,
     .skip = unread_by_validate},
    {.path = AK_ADMISSION_PATH_GATE,
     .quick = ak_admission_gate_quick,
     .slow = ak_admission_gate_slow,
     .skip = unread_by_gate},
};

static int on_certs(const struct ak_certs *certs, void *user, struct ak_error **reterr)
{
    struct ak_admission *self = user;
    char leaf[AK_RFC3339_SIZE], ca[AK_RFC3339_SIZE];
    int r = ak_webhook_use_certs(self->webhook, certs, reterr);

    if (r >= 0)
        ak_info(LOG, "serving with a certificate", AK_INT("port", ak_webhook_port(self->webhook)),
                AK_STR("expires", ak_format_rfc3339(ak_certs_leaf_expires(certs), leaf)),
                AK_STR("authorityExpires", ak_format_rfc3339(ak_certs_ca_expires(certs), ca)));
    return r;
}

static void on_report(const struct ak_error *err, void *user)
{
    (void)user;
    if (err)
        ak_warn(LOG, "the certificate cannot be looked after, trying again", AK_ERR(err));
    else
        ak_info(LOG, "the certificate is looked after again");
}

/* The names under which an apiserver may call us, and those that options add. */
static void make_names(struct ak_admission *self)
{
    static const char *const suffixes[] = {".svc", ".svc.cluster.local", ""};
    const char *ns = self->options->namespace_;
    size_t n = 0;

    for (size_t i = 0; i < AK_ARRAY_LEN(suffixes); i++) {
        (void)snprintf(self->names[i], sizeof(self->names[i]), SERVICE ".%s%s", ns, suffixes[i]);
        self->name_list[n++] = self->names[i];
    }
    self->name_list[n++] = SERVICE;
    for (size_t i = 0; i < self->options->webhook_names.len && n < AK_CERTS_MAX_NAMES; i++)
        self->name_list[n++] = self->options->webhook_names.items[i];
    self->name_list[n] = NULL;
    (void)snprintf(self->own_user, sizeof(self->own_user), "system:serviceaccount:%s:" SERVICE, ns);
}

int ak_admission_init(struct ak_admission *self, struct ak_error **reterr)
{
    const struct ak_options *o = self->options;
    const struct ak_apply *apply = ak_manager_apply(self->manager);
    const struct ak_webhook_options webhook = {
        .bind_address = o->webhook_address,
        .port = (uint16_t)o->webhook_port,
        .handlers = ak_admission_handlers,
        .n_handlers = AK_ARRAY_LEN(ak_admission_handlers),
        .user = self,
        /* The answer must be there before the apiserver gives up on it. */
        .deadline = o->webhook_timeout - o->webhook_timeout / 5,
    };

    make_names(self);
    const struct ak_certs_keeper_options keeper = {
        .client = ak_manager_client(self->manager),
        .clock = self->clock,
        .namespace_ = o->namespace_,
        .secret = AK_ADMISSION_SECRET,
        .configuration = o->webhook_configuration,
        .manager = apply->manager,
        .certs = {.names = self->name_list, .issuer = SERVICE},
        .may_write = apply->may_write,
        .may_write_user = apply->user,
        .changed = on_certs,
        .report = on_report,
        .user = self,
    };
    int r = ak_webhook_new(ak_manager_loop(self->manager), &webhook, &self->webhook, reterr);
    if (r >= 0)
        r = ak_certs_keeper_new(&keeper, &self->keeper, reterr);
    return r;
}

void ak_admission_done(struct ak_admission *self)
{
    self->keeper = ak_certs_keeper_free(self->keeper);
    self->webhook = ak_webhook_free(self->webhook);
}

int ak_admission_start(struct ak_admission *self, struct ak_error **reterr)
{
    return ak_certs_keeper_start(self->keeper, reterr);
}

void ak_admission_stop(struct ak_admission *self)
{
    ak_certs_keeper_stop(self->keeper);
    ak_webhook_stop(self->webhook);
}

void ak_admission_metrics(struct ak_admission *self, struct ak_metrics *m)
{
    static const char name[] = "agentkube_webhook_certificate_expiration_timestamp_seconds";

    ak_webhook_metrics(self->webhook, m);
    ak_metrics_family(m, name, "gauge",
                      "When the webhook's certificates expire; 0: there is none.");
    ak_metrics_sample(m, name, (double)ak_certs_keeper_leaf_expires(self->keeper) / 1000,
                      "certificate", "serving", NULL);
    ak_metrics_sample(m, name, (double)ak_certs_keeper_ca_expires(self->keeper) / 1000,
                      "certificate", "authority", NULL);
}
