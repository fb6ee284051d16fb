/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manager's admission webhook: who may get into Agents' pods, and which objects of ours are accepted.
 *
 * Reads:  Agents and pods (caches, and a pod by name), SubjectAccessReviews, the Secret with the certificate.
 * Writes: the Secret AK_ADMISSION_SECRET, caBundle in the ValidatingWebhookConfiguration, the label
 *         AK_LABEL_GATED on namespaces that have Agents or Tools. Nothing else does.
 * Wakes:  requests of the apiserver; rows of "gate" in wiring.c; every 30 s, for the certificate.
 * Never:  objects to anything in kube-system, or to the manager itself; lists Secrets.
 */
#ifndef AK_MANAGER_ADMISSION_H
#define AK_MANAGER_ADMISSION_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/flow/cache.h>
#include <ak/flow/reconcile.h>
#include <ak/flow/route.h>
#include <ak/manage/certs.h>
#include <ak/manage/metrics.h>
#include <ak/manage/webhook.h>

#include "manager/options.h"

struct ak_manager;

#define AK_LABEL_GATED "agentkube.io/gated" /* "true": the gate is asked, and fails closed */
#define AK_ADMISSION_SECRET "agentkube-webhook-cert"
#define AK_ADMISSION_PATH_VALIDATE "/validate"
#define AK_ADMISSION_PATH_GATE "/gate"

struct ak_admission {
    const struct ak_options *options;
    const struct ak_clock *clock;
    struct ak_manager *manager;
    struct ak_cache *agents, *tools, *pods,
        *namespaces; /* namespaces: NULL when they are not watched */
    struct ak_webhook *webhook;
    struct ak_certs_keeper *keeper;
    char own_user[192];
    char names[4][192]; /* of the Service */
    const char *name_list[AK_CERTS_MAX_NAMES + 1];
};
/* Fills what start needs; the caches must be set. */
AK_MUST_USE int ak_admission_init(struct ak_admission *self, struct ak_error **reterr);
void ak_admission_done(struct ak_admission *self);
AK_MUST_USE int ak_admission_start(struct ak_admission *self, struct ak_error **reterr);
void ak_admission_stop(struct ak_admission *self);
void ak_admission_metrics(struct ak_admission *self, struct ak_metrics *m);

extern const struct ak_webhook_handler ak_admission_handlers[2];

/* ---- handlers; `user` is a struct ak_admission ---- */

int ak_admission_validate(const struct ak_review *review, struct ak_review_answer *answer,
                          void *user, struct ak_error **reterr);
int ak_admission_gate_quick(const struct ak_review *review, struct ak_review_answer *answer,
                            void *user, struct ak_error **reterr);
int ak_admission_gate_slow(const struct ak_review *review, struct ak_review_answer *answer,
                           void *user, struct ak_error **reterr);

/* ---- the label on namespaces ---- */

/* "gate": puts the label on a namespace that has Agents or Tools. `user` is a struct ak_admission. */
AK_MUST_USE int ak_gate_reconcile(void *user, const struct ak_request *req,
                                  struct ak_result *result, struct ak_error **reterr);
void ak_gate_keys_of_agent(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user);
/* Before the first pod of an Agent or Tool: 0 when the label is there, or the manager may not set it. */
AK_MUST_USE int ak_gate_prepare(struct ak_admission *self, const char *ns,
                                struct ak_error **reterr);

/* ---- decisions of the gate, pure ---- */

/* What stands in the way of a pod: a grant on the object that it belongs to. */
struct ak_gate_guard {
    const char *kind;         /* "Agent" */
    const char *name;         /* of the owner */
    const char *resource;     /* "agents" */
    const char *sub_resource; /* "exec" */
};
/* Is a pod guarded that has these owners? 1: yes, *ret is filled (name is borrowed). */
AK_MUST_USE int ak_gate_guard_of(const char *api_version, const char *kind, const char *name,
                                 struct ak_gate_guard *ret);
/* What a person who lacks the grant reads. Goes to the arena of the answer. */
AK_MUST_USE int ak_gate_deny(const struct ak_review *review, const struct ak_gate_guard *guard,
                             struct ak_review_answer *answer);
/* The SubjectAccessReview that asks for it. NULL: no memory. */
AK_MUST_USE json_t *ak_gate_question(const struct ak_review *review,
                                     const struct ak_gate_guard *guard);

#endif
