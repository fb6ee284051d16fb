/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/kinds.h"

#include <ak/api/claw.h>
#include <ak/api/llmgateway.h>
#include <ak/api/mcp.h>
#include <ak/api/tool.h>

/* Objects of other owners: a value of a surprising type is as good as none. */
#define LENIENT AK_FIELD_LENIENT
#define ALWAYS (AK_FIELD_LENIENT | AK_FIELD_MATERIALIZE)

static const struct ak_field pod_condition_fields[] = {
    AK_FIELD_STRING(struct ak_condition, type, "type", LENIENT),
    AK_FIELD_STRING(struct ak_condition, status, "status", LENIENT),
    AK_FIELD_STRING(struct ak_condition, reason, "reason", LENIENT),
    AK_FIELD_STRING(struct ak_condition, message, "message", LENIENT),
};
static const struct ak_type pod_condition_type =
    AK_TYPE("condition", struct ak_condition, pod_condition_fields);

static const struct ak_field waiting_fields[] = {
    AK_FIELD_STRING(struct ak_container_waiting, reason, "reason", LENIENT),
    AK_FIELD_STRING(struct ak_container_waiting, message, "message", LENIENT),
};
static const struct ak_type waiting_type =
    AK_TYPE("waiting", struct ak_container_waiting, waiting_fields);

static const struct ak_field running_fields[] = {
    AK_FIELD(struct ak_container_running, started, "startedAt", AK_F_TIME, .flags = LENIENT),
};
static const struct ak_type running_type =
    AK_TYPE("running", struct ak_container_running, running_fields);

static const struct ak_field ended_fields[] = {
    AK_FIELD_STRING(struct ak_container_ended, reason, "reason", LENIENT),
    AK_FIELD_STRING(struct ak_container_ended, message, "message", LENIENT),
    AK_FIELD_INT(struct ak_container_ended, exit_code, "exitCode", LENIENT, 0),
    AK_FIELD_INT(struct ak_container_ended, signal, "signal", LENIENT, 0),
    AK_FIELD(struct ak_container_ended, finished, "finishedAt", AK_F_TIME, .flags = LENIENT),
};
static const struct ak_type ended_type =
    AK_TYPE("terminated", struct ak_container_ended, ended_fields);

static const struct ak_field state_fields[] = {
    AK_FIELD_STRUCT(struct ak_container_state, waiting, "waiting", LENIENT, &waiting_type),
    AK_FIELD_STRUCT(struct ak_container_state, running, "running", LENIENT, &running_type),
    AK_FIELD_STRUCT(struct ak_container_state, ended, "terminated", LENIENT, &ended_type),
};
static const struct ak_type state_type = AK_TYPE("state", struct ak_container_state, state_fields);

static const struct ak_field container_status_fields[] = {
    AK_FIELD_STRING(struct ak_container_status, name, "name", LENIENT),
    AK_FIELD_STRING(struct ak_container_status, image_id, "imageID", LENIENT),
    AK_FIELD_BOOL(struct ak_container_status, ready, "ready", LENIENT, 0),
    AK_FIELD_INT(struct ak_container_status, restarts, "restartCount", LENIENT, 0),
    AK_FIELD_STRUCT(struct ak_container_status, state, "state", LENIENT, &state_type),
    AK_FIELD_STRUCT(struct ak_container_status, last, "lastState", LENIENT, &state_type),
};
static const struct ak_type container_status_type =
    AK_TYPE("containerStatus", struct ak_container_status, container_status_fields);

static const struct ak_field pod_spec_fields[] = {
    AK_FIELD_STRING(struct ak_pod_spec, node, "nodeName", LENIENT),
};
static const struct ak_type pod_spec_type = AK_TYPE("spec", struct ak_pod_spec, pod_spec_fields);

static const struct ak_field pod_status_fields[] = {
    AK_FIELD_STRING(struct ak_pod_status, phase, "phase", LENIENT),
    AK_FIELD_STRING(struct ak_pod_status, reason, "reason", LENIENT),
    AK_FIELD_STRING(struct ak_pod_status, message, "message", LENIENT),
    AK_FIELD(struct ak_pod_status, started, "startTime", AK_F_TIME, .flags = LENIENT),
    AK_FIELD_LIST(struct ak_pod_status, conditions, "conditions", LENIENT, &pod_condition_type),
    AK_FIELD_LIST(struct ak_pod_status, init, "initContainerStatuses", LENIENT,
                  &container_status_type),
    AK_FIELD_LIST(struct ak_pod_status, containers, "containerStatuses", LENIENT,
                  &container_status_type),
};
static const struct ak_type pod_status_type =
    AK_TYPE("status", struct ak_pod_status, pod_status_fields);

static const struct ak_field pod_fields[] = {
    AK_FIELD_STRUCT(struct ak_pod, spec, "spec", ALWAYS, &pod_spec_type),
    AK_FIELD_STRUCT(struct ak_pod, status, "status", ALWAYS, &pod_status_type),
};
static const struct ak_type pod_type = AK_TYPE("Pod", struct ak_pod, pod_fields);

static const struct ak_field claim_resources_fields[] = {
    AK_FIELD(struct ak_claim_resources, requests, "requests", AK_F_STRING_MAP, .flags = LENIENT),
};
static const struct ak_type claim_resources_type =
    AK_TYPE("resources", struct ak_claim_resources, claim_resources_fields);

static const struct ak_field claim_spec_fields[] = {
    AK_FIELD_STRING(struct ak_claim_spec, storage_class, "storageClassName", LENIENT),
    AK_FIELD(struct ak_claim_spec, access_modes, "accessModes", AK_F_STRING_LIST, .flags = LENIENT),
    AK_FIELD_STRUCT(struct ak_claim_spec, resources, "resources", ALWAYS, &claim_resources_type),
};
static const struct ak_type claim_spec_type =
    AK_TYPE("spec", struct ak_claim_spec, claim_spec_fields);

static const struct ak_field claim_status_fields[] = {
    AK_FIELD_STRING(struct ak_claim_status, phase, "phase", LENIENT),
};
static const struct ak_type claim_status_type =
    AK_TYPE("status", struct ak_claim_status, claim_status_fields);

static const struct ak_field claim_fields[] = {
    AK_FIELD_STRUCT(struct ak_claim, spec, "spec", ALWAYS, &claim_spec_type),
    AK_FIELD_STRUCT(struct ak_claim, status, "status", ALWAYS, &claim_status_type),
};
static const struct ak_type claim_type =
    AK_TYPE("PersistentVolumeClaim", struct ak_claim, claim_fields);

static const struct ak_field unserved_status_fields[] = {
    AK_FIELD_LIST(struct ak_unserved_status, conditions, "conditions", LENIENT, &ak_condition_type),
};
static const struct ak_type unserved_status_type =
    AK_TYPE("status", struct ak_unserved_status, unserved_status_fields);

static const struct ak_field unserved_fields[] = {
    AK_FIELD_STRUCT(struct ak_unserved, status, "status", ALWAYS, &unserved_status_type),
};
static const struct ak_type unserved_type = AK_TYPE("object", struct ak_unserved, unserved_fields);

#define CORE(kind_name, plural_name)                                                               \
    {                                                                                              \
        .group = "", .version = "v1", .kind = (kind_name), .plural = (plural_name),                \
        .namespaced = true                                                                         \
    }

const struct ak_kind ak_agent_kind = {
    .resource = AK_AGENT_RESOURCE,
    .type = &ak_agent_type,
    .flags = AK_KIND_LABELS | AK_KIND_OWNED_HASH,
};
const struct ak_kind ak_tool_kind = {
    .resource = AK_TOOL_RESOURCE,
    .type = &ak_tool_type,
    .flags = AK_KIND_OWNED_HASH | AK_KIND_FINALIZERS | AK_KIND_ANNOTATIONS,
    .annotation_prefix = "agentkube.io/",
};
const struct ak_kind ak_mcp_kind = {
    .resource = AK_MCP_RESOURCE,
    .type = &unserved_type,
    .flags = AK_KIND_OWNED_HASH,
};
const struct ak_kind ak_gateway_kind = {
    .resource = AK_LLM_GATEWAY_RESOURCE,
    .type = &unserved_type,
    .flags = AK_KIND_OWNED_HASH,
};
const struct ak_kind ak_claw_kind = {
    .resource = AK_CLAW_RESOURCE,
    .type = &unserved_type,
    .flags = AK_KIND_OWNED_HASH,
};
const struct ak_kind ak_pod_kind = {
    .resource = CORE("Pod", "pods"),
    .type = &pod_type,
    .flags = AK_KIND_ANNOTATIONS,
    .annotation_prefix = AK_ANNOTATION_POD_PREFIX,
};
const struct ak_kind ak_claim_kind = {
    .resource = CORE("PersistentVolumeClaim", "persistentvolumeclaims"),
    .type = &claim_type,
    .flags = AK_KIND_LABELS | AK_KIND_OWNED_HASH,
};
const struct ak_kind ak_configmap_kind = {
    .resource = CORE("ConfigMap", "configmaps"),
    .flags = AK_KIND_PARTIAL,
};
const struct ak_kind ak_namespace_kind = {
    .resource = {.group = "", .version = "v1", .kind = "Namespace", .plural = "namespaces"},
    .flags = AK_KIND_PARTIAL | AK_KIND_LABELS,
};
const struct ak_kind ak_account_kind = {
    .resource = CORE("ServiceAccount", "serviceaccounts"),
    .flags = AK_KIND_OWNED_HASH,
};
const struct ak_kind ak_network_policy_kind = {
    .resource = {.group = "networking.k8s.io",
                 .version = "v1",
                 .kind = "NetworkPolicy",
                 .plural = "networkpolicies",
                 .namespaced = true},
    .flags = AK_KIND_OWNED_HASH,
};
#define RIGHTS(kind_name, plural_name, is_namespaced)                                              \
    {                                                                                              \
        .resource = {.group = "rbac.authorization.k8s.io",                                         \
                     .version = "v1",                                                              \
                     .kind = (kind_name),                                                          \
                     .plural = (plural_name),                                                      \
                     .namespaced = (is_namespaced)},                                               \
        .flags = AK_KIND_OWNED_HASH | AK_KIND_LABELS,                                              \
    }
const struct ak_kind ak_role_kind = RIGHTS("Role", "roles", true);
const struct ak_kind ak_role_binding_kind = RIGHTS("RoleBinding", "rolebindings", true);
const struct ak_kind ak_cluster_role_kind = RIGHTS("ClusterRole", "clusterroles", false);
const struct ak_kind ak_cluster_role_binding_kind =
    RIGHTS("ClusterRoleBinding", "clusterrolebindings", false);
const struct ak_resource ak_secret_resource = CORE("Secret", "secrets");
const struct ak_resource ak_job_resource = {
    .group = "batch", .version = "v1", .kind = "Job", .plural = "jobs", .namespaced = true};
