/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools: whether each of them can be used, the users and rights that its permissions mean, and a bastion pod while
 * somebody uses it.
 *
 * Reads:  Tools, their pods, ServiceAccounts, NetworkPolicies, Roles and bindings (caches); digests of the Secrets
 *         that they name; results of their pods, from the termination message; the Secret TOOL-identity, for its
 *         annotation.
 * Writes: those objects, Jobs (create only), the Secret TOOL-identity, finalizer and status of Tools, Events. What the
 *         status says of approvals and recordings is written by manager/tools.
 * Wakes:  rows of "tool" in wiring.c; manager/tools, when a bastion is wanted or has news; its own timers.
 * Never:  connects to a system, or has a credential of one; touches an object that it does not own by uid; lists
 *         Secrets.
 */
#ifndef AK_MANAGER_TOOL_H
#define AK_MANAGER_TOOL_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/flow/cache.h>
#include <ak/flow/reconcile.h>
#include <ak/flow/route.h>

#include "manager/digests.h"
#include "manager/options.h"

struct ak_admission;
struct ak_manager;
struct ak_runs;
struct ak_tool_memory;
struct ak_tools;

/* Kinds of rights, in the order in which they are made; the cluster's come last. */
enum ak_tool_right_kind {
    AK_TOOL_RIGHT_ROLE,
    AK_TOOL_RIGHT_ROLE_BINDING,
    AK_TOOL_RIGHT_CLUSTER_ROLE,
    AK_TOOL_RIGHT_CLUSTER_ROLE_BINDING,
    AK_TOOL_RIGHT_MAX
};
extern const struct ak_kind *const ak_tool_right_kinds[AK_TOOL_RIGHT_MAX];

/* Everything that a reconcile needs. Caches are found once the manager exists. */
struct ak_tool_controller {
    const struct ak_options *options;
    struct ak_manager *manager;
    struct ak_digests *digests;
    const struct ak_clock *clock;
    struct ak_cache *tools, *pods, *accounts, *policies;
    struct ak_cache
        *rights[AK_TOOL_RIGHT_MAX]; /* of the cluster: NULL while one namespace is served */
    struct ak_admission *admission; /* NULL: no webhook is served */
    struct ak_runs *runs;           /* for the authority of its certificate */
    struct ak_tools *uses;
    struct ak_tool_memory *memory;
};

/* `user` is a struct ak_tool_controller. */
AK_MUST_USE int ak_tool_reconcile(void *user, const struct ak_request *req,
                                  struct ak_result *result, struct ak_error **reterr);

/* Indexes of the caches. Of pods: "namespace/name" of the Tool. Of rights: its uid. */
enum ak_tool_pod_index_id { AK_POD_BY_TOOL, AK_TOOL_POD_INDEX_MAX };
extern const struct ak_index ak_tool_pod_indexes[AK_TOOL_POD_INDEX_MAX];
enum ak_tool_right_index_id { AK_RIGHT_BY_TOOL, AK_TOOL_RIGHT_INDEX_MAX };
extern const struct ak_index ak_tool_right_indexes[AK_TOOL_RIGHT_INDEX_MAX];

/* Predicates and keys of the rows in wiring.c; keys do not use `user`. */
bool ak_tool_wanted(const struct ak_change *change);
bool ak_tool_child_wanted(const struct ak_change *change);
void ak_tool_keys_of_pod(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                         void *user);
void ak_tool_keys_of_child(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user);
void ak_tool_keys_of_right(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user);
/* For Agents, whose status says whether a Tool can be used. */
bool ak_tool_is_ready(const struct ak_object *tool);
bool ak_tool_readiness_changed(const struct ak_change *change);

#endif
