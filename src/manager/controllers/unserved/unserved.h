/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools, MCPs, LLMGateways, Claws: kinds that are defined and that this version does not run. Nobody
 * should have to wonder: each object gets a condition that says so, once for each generation.
 *
 * Reads:  objects of the kind.
 * Writes: their status.
 * Wakes:  the object itself.
 * Never:  anything else.
 */
#ifndef AK_MANAGER_UNSERVED_H
#define AK_MANAGER_UNSERVED_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/flow/reconcile.h>
#include <ak/json/json.h>
#include <ak/kube/object.h>

struct ak_manager;

/* One for each kind: `user` of its controller. */
struct ak_unserved_controller {
    const struct ak_kind *kind;
    struct ak_manager *manager;
};
AK_MUST_USE int ak_unserved_reconcile(void *user, const struct ak_request *req,
                                      struct ak_result *result, struct ak_error **reterr);
/* The status of an object. Pure. */
AK_MUST_USE int ak_unserved_status(const struct ak_object *object, ak_msec now, json_t **ret,
                                   struct ak_error **reterr);

#endif
