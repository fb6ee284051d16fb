/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom we talk to. An address proves nothing; a keeper proves that it is in a certain pod with
 * that pod's projected token, which TokenReview checks, and says which key its certificate has.
 * From then on only connections to that key count. The manager shows its own certificate each
 * time, so the token goes to nobody else.
 *
 * Thread: any; get() blocks (GET of the pod, identity, TokenReview) unless the pod is known.
 * Several that want the same pod wait for one of them. Lock order: nothing of ours is locked when
 * these are called.
 */
#ifndef AK_MANAGER_RUNS_TRUST_H
#define AK_MANAGER_RUNS_TRUST_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/map.h>
#include <ak/base/thread.h>
#include <ak/kube/client.h>
#include <ak/net/http_client.h>
#include <ak/net/loop.h>

#include "manager/runs/link.h"
#include "manager/runs/runs.h"

struct ak_trust_attempt;
struct ak_trust {
    struct ak_client *client;
    struct ak_loop *loop;
    struct ak_link *link;
    const struct ak_cancel *stop;
    struct ak_mutex lock; /* guards what follows, and the counts of targets */
    struct ak_cond changed;
    struct ak_map targets; /* by pod uid */
    struct ak_run_target *newest, *oldest;
    struct ak_trust_attempt *attempts;
    struct ak_run_target *graves; /* unreferenced, and the loop did not take them */
};
void ak_trust_init(struct ak_trust *self, struct ak_client *client, struct ak_loop *loop,
                   struct ak_link *link, const struct ak_cancel *stop);
/* When the loop does not run. Targets that others hold stay theirs. */
void ak_trust_done(struct ak_trust *self);
/* AK_E_NOT_FOUND: there is no such pod. AK_E_FORBIDDEN: whoever answers is not that pod. -EAGAIN:
 * no certificate, or no address yet. Others: it does not answer. */
AK_MUST_USE int ak_trust_get(struct ak_trust *self, const char *ns, const char *pod,
                             const char *pod_uid, struct ak_run_target **ret,
                             struct ak_error **reterr);
void ak_trust_forget(struct ak_trust *self, struct ak_run_target *target);
/* The own certificate is another one: all are made anew when they are wanted. */
void ak_trust_forget_all(struct ak_trust *self);

/* ---- pure, for tests ---- */

/* "https://10.1.2.3:8084" of a pod; AK_E_NOT_FOUND: it is another pod; -EAGAIN: it has no address
 * yet; AK_E_INVALID: no port. */
AK_MUST_USE int ak_trust_address(const json_t *pod, const char *uid, char *buf, size_t size,
                                 struct ak_error **reterr);
/* Does the answer of a TokenReview say that the token is that pod's, for us? */
AK_MUST_USE int ak_trust_judge(const json_t *review, const char *ns, const char *pod_uid,
                               struct ak_error **reterr);
/* Is it the pin of a key? */
bool ak_trust_is_pin(const char *text);

#endif
