/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof that what was applied works, or words that say why it does not. Each function waits until
 * --timeout is over: 0, AK_EXIT_FAILED or AK_EXIT_TIMEOUT (both with the reason printed), or negative.
 */
#ifndef AK_EXO_INSTALL_PROOF_H
#define AK_EXO_INSTALL_PROOF_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#include "exo-install/cluster.h"

/* The server serves the definitions. */
AK_MUST_USE int ak_proof_crds(struct ak_install *self, const json_t *crds,
                              struct ak_error **reterr);
/* All pods of the Deployment are of the newest form and ready. */
AK_MUST_USE int ak_proof_rollout(struct ak_install *self, struct ak_error **reterr);
/* An Agent that only our webhook would refuse is refused by it (a dry run: nothing is made). */
AK_MUST_USE int ak_proof_webhook(struct ak_install *self, struct ak_error **reterr);

enum ak_proof_state { AK_PROOF_DONE, AK_PROOF_UNDER_WAY, AK_PROOF_FAILED };
/* One look, for `status`; `why` gets the words. */
AK_MUST_USE enum ak_proof_state ak_proof_judge_rollout(const json_t *deployment,
                                                       struct ak_buf *why);
AK_MUST_USE int ak_proof_ask_webhook(struct ak_install *self, enum ak_proof_state *ret,
                                     struct ak_buf *why, struct ak_error **reterr);
/* "True" for that type in status.conditions. */
bool ak_proof_has_condition(const json_t *object, const char *type);

#endif
