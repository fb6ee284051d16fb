/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builders of what an Agent owns: pure, from structs to JSON. The golden files in
 * tests/unit/manager/golden show what comes out.
 */
#ifndef AK_MANAGER_AGENT_SPECS_H
#define AK_MANAGER_AGENT_SPECS_H

#include <ak/api/agent.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/kube/object.h>
#include <jansson.h>
#include <stdbool.h>

#include "manager/options.h"
#include "runtimes/runtimes.h"

/* Names of the containers. */
#define AK_AGENT_CONTAINER "agent"
#define AK_KEEPER_CONTAINER "keeper"

/* Everything that a pod is built from, resolved. */
struct ak_agent_pod_input {
    const struct ak_meta *meta;
    const struct ak_agent_spec *spec;
    const struct ak_options *options;
    const struct ak_runtime *runtime;
    const struct ak_provider *provider; /* NULL: not known */
    const char *image, *model, *token_variable;
    const char *provider_name;   /* as the spec or the table has it; NULL: not known */
    const char *model_base_url;  /* where the keeper sends model calls; NULL: nowhere */
    const char *bundle;          /* PEM: who signs the manager's certificate for keepers */
    bool keeper_has_key;         /* spec.agentToken is the keeper's */
    bool token_exposed;          /* ... or has to be in the agent's own environment */
    const char *group;           /* label agentkube.io/agentgroup; NULL: none */
    const char *workspace_claim; /* NULL: the workspace lasts as long as the pod */
    const char *memory_claim;    /* NULL: no group */
    bool memory_shares_node;     /* its access mode lets one node mount it */
    /* Digests of what the pod reads by reference, NULL where it does not. */
    const char *goal_digest, *token_digest, *repo_digest;
};

/* The pod, with the hash of all of the above in its annotation AK_ANNOTATION_POD_HASH. */
AK_MUST_USE int ak_agent_pod_build(const struct ak_agent_pod_input *in, json_t **ret,
                                   struct ak_error **reterr);

struct ak_agent_claim_input {
    const struct ak_meta *meta; /* of the Agent */
    const char *name;
    const char *group; /* of a memory claim; NULL: a workspace */
    const char *size, *access_mode;
    const char *storage_class; /* NULL: the cluster's default */
    /* Who takes the claim along when it goes: one controller, or all members of a group; none: the claim is kept. */
    const struct ak_owner_ref *owners;
    size_t n_owners;
};
/* A claim, for server-side apply. */
AK_MUST_USE int ak_agent_claim_build(const struct ak_agent_claim_input *in, json_t **ret,
                                     struct ak_error **reterr);

#endif
