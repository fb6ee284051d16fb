/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: one running pod for each armed Agent, and the truth about it in the status.
 *
 * Reads:  Agents, their pods and claims; ConfigMaps (metadata) and the other kinds of ours, as far as
 *         Agents name them; contents of named Secrets and ConfigMaps, as digests.
 * Writes: pods (create, delete), PersistentVolumeClaims (apply), Agent status, Events. Nothing else does; what the
 *         status says of runs is written by manager/runs, which it tells when one is due and where the pod is.
 * Wakes:  rows of "agent" in wiring.c; news of runs; its own timers (backoff, schedule, suspension, Secrets).
 * Never:  touches an object that it does not own by uid; lists Secrets; keeps a Secret's value.
 */
#ifndef AK_MANAGER_AGENT_H
#define AK_MANAGER_AGENT_H

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

/* Everything that a reconcile needs. Caches are found once the manager exists. */
struct ak_agents {
    const struct ak_options *options;
    struct ak_manager *manager;
    struct ak_digests *digests;
    const struct ak_clock *clock;
    struct ak_cache *agents, *pods, *claims, *configmaps, *tools, *mcps, *gateways;
    struct ak_admission *admission; /* NULL: no webhook is served */
    struct ak_runs *runs;
};

/* `user` is a struct ak_agents. */
AK_MUST_USE int ak_agent_reconcile(void *user, const struct ak_request *req,
                                   struct ak_result *result, struct ak_error **reterr);

/* Indexes of the Agent cache, in the order of ak_agent_indexes. Texts are "namespace/name". */
enum ak_agent_index_id {
    AK_AGENT_BY_GROUP,
    AK_AGENT_BY_CONFIGMAP,
    AK_AGENT_BY_TOOL,
    AK_AGENT_BY_MCP,
    AK_AGENT_BY_GATEWAY,
    AK_AGENT_INDEX_MAX
};
extern const struct ak_index ak_agent_indexes[AK_AGENT_INDEX_MAX];

/* Predicates and keys of the rows in wiring.c; `user` of the keys is a struct ak_agents. */
bool ak_agent_wanted(const struct ak_change *change);
bool ak_agent_group_changed(const struct ak_change *change);
bool ak_agent_claim_wanted(const struct ak_change *change);
bool ak_agent_existence_changed(const struct ak_change *change);
void ak_agent_keys_of_group(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                            void *user);
void ak_agent_keys_of_pod(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                          void *user);
void ak_agent_keys_of_claim(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                            void *user);
void ak_agent_keys_of_configmap(const struct ak_change *change, ak_key_emit_fn emit,
                                void *emit_user, void *user);
void ak_agent_keys_of_tool(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user);
void ak_agent_keys_of_mcp(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                          void *user);
void ak_agent_keys_of_gateway(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                              void *user);

#endif
