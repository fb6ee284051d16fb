/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links between the kubeconfig and a run, looked at one after another. Each check adds one line or more: what is,
 * whether that is well, and if not what to do. What this user may not look at is a warning, no failure.
 */
#ifndef AK_EXO_DOCTOR_H
#define AK_EXO_DOCTOR_H

#include "exo/exo.h"

enum ak_verdict { AK_VERDICT_OK, AK_VERDICT_WARN, AK_VERDICT_FAIL, AK_VERDICT_MAX };
extern const char *const ak_verdict_names[AK_VERDICT_MAX]; /* "ok", "warn", "fail" */

struct ak_doctor {
    struct ak_exo *exo;
    json_t *lines;     /* [{check, verdict, detail, advice?}] */
    const char *check; /* whose lines are added */
    bool failed;
    bool is_over;       /* nothing behind this can be looked at */
    json_t *deployment; /* the manager's, or NULL */
};
/* advice may be NULL. */
AK_MUST_USE int ak_doctor_add(struct ak_doctor *self, enum ak_verdict verdict, const char *advice,
                              const char *fmt, ...) AK_PRINTF(4, 5);
/* A look that failed: a warning if it was forbidden, else a failure. */
AK_MUST_USE int ak_doctor_add_error(struct ak_doctor *self, const struct ak_error *err,
                                    const char *what);
/* All checks, in order. */
AK_MUST_USE int ak_doctor_run(struct ak_doctor *self, struct ak_error **reterr);
void ak_doctor_done(struct ak_doctor *self);

typedef int (*ak_doctor_fn)(struct ak_doctor *self);
/* doctor_user.c */
int ak_doctor_kubeconfig(struct ak_doctor *self);
int ak_doctor_apiserver(struct ak_doctor *self);
int ak_doctor_rights(struct ak_doctor *self);
/* doctor_manager.c */
int ak_doctor_manager(struct ak_doctor *self);
int ak_doctor_leader(struct ak_doctor *self);
int ak_doctor_webhook(struct ak_doctor *self);
int ak_doctor_invoke(struct ak_doctor *self);
/* doctor_cluster.c */
int ak_doctor_definitions(struct ak_doctor *self);
int ak_doctor_network(struct ak_doctor *self);
int ak_doctor_pods(struct ak_doctor *self);

/* Why a pod does not run, in words; "" if it does or nobody knows. Pure. */
AK_MUST_USE int ak_doctor_pod_problem(const json_t *pod, struct ak_buf *out);

#endif
