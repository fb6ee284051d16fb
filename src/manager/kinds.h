/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds that the manager watches, and all that it reads of each. A field that is not in these
 * structs is not in memory.
 */
#ifndef AK_MANAGER_KINDS_H
#define AK_MANAGER_KINDS_H

#include <ak/api/agent.h>
#include <ak/json/decode.h>
#include <ak/kube/condition.h>
#include <ak/kube/resource.h>

/* Values of app.kubernetes.io/managed-by, and the selector of watches on kinds that are not ours. */
#define AK_MANAGED_BY "agentkube-manager"
#define AK_MANAGED_SELECTOR "app.kubernetes.io/managed-by=" AK_MANAGED_BY

#define AK_LABEL_AGENT "agentkube.io/agent"
#define AK_LABEL_TOOL "agentkube.io/tool"
#define AK_LABEL_GROUP "agentkube.io/agentgroup"
/* Hash of what a pod was built from. The cache keeps annotations with this prefix only: the goal,
 * which is another annotation, may be 64 KiB long. */
#define AK_ANNOTATION_POD_PREFIX "agentkube.io/pod-"
#define AK_ANNOTATION_POD_HASH AK_ANNOTATION_POD_PREFIX "hash"
#define AK_ANNOTATION_GOAL "agentkube.io/goal"

/* In the environment of an Agent's container, whatever else is in it: what the webhook's gate knows it by. */
#define AK_AGENT_NAME_VARIABLE "AGENTKUBE_AGENT_NAME"
/* The same in every container of a Tool's pods. */
#define AK_TOOL_NAME_VARIABLE "AGENTKUBE_TOOL_NAME"

extern const struct ak_kind ak_agent_kind, ak_pod_kind, ak_claim_kind, ak_configmap_kind;
extern const struct ak_kind ak_namespace_kind; /* labels only, for the webhook's gate */
extern const struct ak_kind ak_tool_kind;
/* What Tools own beside pods: metadata, and what the hash of our own fields says. */
extern const struct ak_kind ak_account_kind, ak_network_policy_kind;
extern const struct ak_kind ak_role_kind, ak_role_binding_kind;
extern const struct ak_kind ak_cluster_role_kind, ak_cluster_role_binding_kind;
/* Kinds of ours that this version does not run: conditions only. */
extern const struct ak_kind ak_mcp_kind, ak_gateway_kind, ak_claw_kind;
/* Never watched: Secrets are read by name, Jobs are only made. */
extern const struct ak_resource ak_secret_resource, ak_job_resource;

/* The same of each kind that this version does not run. */
struct ak_unserved_status {
    ak_condition_list conditions;
};
struct ak_unserved {
    const struct ak_unserved_status *status; /* never NULL */
};

/* core/v1 Pod */
struct ak_container_ended {
    const char *reason, *message;
    int64_t exit_code, signal;
    ak_msec finished;
};
struct ak_container_waiting {
    const char *reason, *message;
};
struct ak_container_running {
    ak_msec started;
};
struct ak_container_state {
    const struct ak_container_waiting *waiting;
    const struct ak_container_running *running;
    const struct ak_container_ended *ended;
};
struct ak_container_status {
    const char *name, *image_id;
    bool ready;
    int64_t restarts;
    const struct ak_container_state *state, *last;
};
typedef AK_LIST_OF(struct ak_container_status) ak_container_status_list;
struct ak_pod_spec {
    const char *node;
};
struct ak_pod_status {
    const char *phase, *reason, *message;
    ak_msec started;
    ak_condition_list conditions;
    ak_container_status_list init, containers;
};
struct ak_pod {
    const struct ak_pod_spec *spec;     /* never NULL */
    const struct ak_pod_status *status; /* never NULL */
};

/* core/v1 PersistentVolumeClaim */
struct ak_claim_resources {
    struct ak_string_map requests;
};
struct ak_claim_spec {
    const char *storage_class;
    struct ak_string_list access_modes;
    const struct ak_claim_resources *resources; /* never NULL */
};
struct ak_claim_status {
    const char *phase; /* "Pending", "Bound", "Lost" */
};
struct ak_claim {
    const struct ak_claim_spec *spec;     /* never NULL */
    const struct ak_claim_status *status; /* never NULL */
};

#endif
