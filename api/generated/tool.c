/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/tool.yaml by api/generate.py: change that file, not this one. */
#include <ak/api/tool.h>

#include <stddef.h>

/* clang-format off */
const char *const ak_tool_type_names[] = {
    "",
    "ssh",
    "postgres",
    "mysql",
    "sqlserver",
    "mongodb",
    "redis",
    "clickhouse",
    "kubernetes",
    "http",
    "snowflake",
    "bigquery",
    "elasticsearch",
    "kafka",
    "oracle",
    "cockroachdb",
    "redshift",
    "rabbitmq",
    "custom",
    NULL,
};

const char *const ak_ssl_mode_names[] = {
    "",
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
    NULL,
};

const char *const ak_approval_mode_names[] = {
    "",
    "Never",
    "Writes",
    "Always",
    NULL,
};

const char *const ak_sasl_mechanism_names[] = {
    "",
    "PLAIN",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    NULL,
};

const char *const ak_tool_phase_names[] = {
    "",
    "Pending",
    "Ready",
    "Active",
    "Failed",
    "Terminating",
    NULL,
};

const char *const ak_tool_caller_kind_names[] = {
    "",
    "Person",
    "Agent",
    NULL,
};

const char *const ak_tool_statement_class_names[] = {
    "",
    "unknown",
    "read",
    "write",
    "admin",
    "session",
    NULL,
};

const char *const ak_approval_phase_names[] = {
    "",
    "Pending",
    "Approved",
    "Denied",
    "Expired",
    "Used",
    NULL,
};

static const struct ak_field ak_tool_tls_fields[] = {
    AK_FIELD(struct ak_tool_tls, mode, "mode", AK_F_ENUM, .enum_names = ak_ssl_mode_names),
    AK_FIELD(struct ak_tool_tls, ca_ref, "caRef", AK_F_STRUCT, .sub = &ak_secret_key_ref_type),
    AK_FIELD(struct ak_tool_tls, server_name, "serverName", AK_F_STRING),
};
static const struct ak_type ak_tool_tls_type =
    AK_TYPE("tool_tls", struct ak_tool_tls, ak_tool_tls_fields);

static const struct ak_field ak_tool_approval_policy_fields[] = {
    AK_FIELD(struct ak_tool_approval_policy, mode, "mode", AK_F_ENUM, .enum_names = ak_approval_mode_names, .default_int = AK_APPROVAL_MODE_NEVER),
    AK_FIELD(struct ak_tool_approval_policy, timeout, "timeout", AK_F_STRING, .default_text = "10m"),
};
static const struct ak_type ak_tool_approval_policy_type =
    AK_TYPE("tool_approval_policy", struct ak_tool_approval_policy, ak_tool_approval_policy_fields);

static const struct ak_field ak_tool_limits_fields[] = {
    AK_FIELD(struct ak_tool_limits, max_rows, "maxRows", AK_F_INT, .default_int = 1000),
    AK_FIELD(struct ak_tool_limits, max_bytes, "maxBytes", AK_F_INT_OR_STRING, .default_text = "1Mi"),
    AK_FIELD(struct ak_tool_limits, timeout, "timeout", AK_F_STRING, .default_text = "60s"),
};
static const struct ak_type ak_tool_limits_type =
    AK_TYPE("tool_limits", struct ak_tool_limits, ak_tool_limits_fields);

static const struct ak_field ak_tool_recording_policy_fields[] = {
    AK_FIELD(struct ak_tool_recording_policy, enabled, "enabled", AK_F_BOOL, .default_int = 1),
    AK_FIELD(struct ak_tool_recording_policy, retention, "retention", AK_F_STRING, .default_text = "720h"),
    AK_FIELD(struct ak_tool_recording_policy, max_recordings, "maxRecordings", AK_F_INT, .default_int = 20),
};
static const struct ak_type ak_tool_recording_policy_type =
    AK_TYPE("tool_recording_policy", struct ak_tool_recording_policy, ak_tool_recording_policy_fields);

static const struct ak_field ak_tool_config_fields[] = {
    AK_FIELD(struct ak_tool_config, hostname, "hostname", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, port, "port", AK_F_OPT_INT),
    AK_FIELD(struct ak_tool_config, url, "url", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, username, "username", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, database_name, "databaseName", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, ssl_mode, "sslMode", AK_F_ENUM, .enum_names = ak_ssl_mode_names),
    AK_FIELD(struct ak_tool_config, credentials_ref, "credentialsRef", AK_F_STRUCT, .sub = &ak_secret_key_ref_type),
    AK_FIELD(struct ak_tool_config, ca_ref, "caRef", AK_F_STRUCT, .sub = &ak_secret_key_ref_type),
    AK_FIELD(struct ak_tool_config, host_key, "hostKey", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, context, "context", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, in_cluster, "inCluster", AK_F_BOOL, .default_int = 0),
    AK_FIELD(struct ak_tool_config, account, "account", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, warehouse, "warehouse", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, role, "role", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, schema, "schema", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, project, "project", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, dataset, "dataset", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, location, "location", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, service_name, "serviceName", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, auth_source, "authSource", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, replica_set, "replicaSet", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, virtual_host, "virtualHost", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, management_port, "managementPort", AK_F_OPT_INT),
    AK_FIELD(struct ak_tool_config, brokers, "brokers", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_config, sasl_mechanism, "saslMechanism", AK_F_ENUM, .enum_names = ak_sasl_mechanism_names),
    AK_FIELD(struct ak_tool_config, headers, "headers", AK_F_STRING_MAP),
    AK_FIELD(struct ak_tool_config, credential_header, "credentialHeader", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, image, "image", AK_F_STRING),
    AK_FIELD(struct ak_tool_config, command, "command", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_config, env, "env", AK_F_LIST, .sub = &ak_env_var_type),
};
static const struct ak_type ak_tool_config_type =
    AK_TYPE("tool_config", struct ak_tool_config, ak_tool_config_fields);

static const struct ak_field ak_tool_grant_fields[] = {
    AK_FIELD(struct ak_tool_grant, privileges, "privileges", AK_F_STRING_LIST, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_tool_grant, database, "database", AK_F_STRING),
    AK_FIELD(struct ak_tool_grant, schema, "schema", AK_F_STRING),
    AK_FIELD(struct ak_tool_grant, objects, "objects", AK_F_STRING_LIST),
};
static const struct ak_type ak_tool_grant_type =
    AK_TYPE("tool_grant", struct ak_tool_grant, ak_tool_grant_fields);

static const struct ak_field ak_tool_request_rule_fields[] = {
    AK_FIELD(struct ak_tool_request_rule, methods, "methods", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_request_rule, paths, "paths", AK_F_STRING_LIST),
};
static const struct ak_type ak_tool_request_rule_type =
    AK_TYPE("tool_request_rule", struct ak_tool_request_rule, ak_tool_request_rule_fields);

static const struct ak_field ak_tool_policy_rule_fields[] = {
    AK_FIELD(struct ak_tool_policy_rule, api_groups, "apiGroups", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_policy_rule, resources, "resources", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_policy_rule, resource_names, "resourceNames", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_policy_rule, verbs, "verbs", AK_F_STRING_LIST, .flags = AK_FIELD_REQUIRED),
};
static const struct ak_type ak_tool_policy_rule_type =
    AK_TYPE("tool_policy_rule", struct ak_tool_policy_rule, ak_tool_policy_rule_fields);

static const struct ak_field ak_tool_permissions_fields[] = {
    AK_FIELD(struct ak_tool_permissions, admin_credentials_ref, "adminCredentialsRef", AK_F_STRUCT, .sub = &ak_secret_key_ref_type),
    AK_FIELD(struct ak_tool_permissions, admin_username, "adminUsername", AK_F_STRING),
    AK_FIELD(struct ak_tool_permissions, read_only, "readOnly", AK_F_BOOL, .default_int = 0),
    AK_FIELD(struct ak_tool_permissions, grants, "grants", AK_F_LIST, .sub = &ak_tool_grant_type),
    AK_FIELD(struct ak_tool_permissions, roles, "roles", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_permissions, commands, "commands", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_permissions, requests, "requests", AK_F_LIST, .sub = &ak_tool_request_rule_type),
    AK_FIELD(struct ak_tool_permissions, rules, "rules", AK_F_LIST, .sub = &ak_tool_policy_rule_type),
    AK_FIELD(struct ak_tool_permissions, namespaces, "namespaces", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_permissions, cluster_wide, "clusterWide", AK_F_BOOL, .default_int = 0),
};
static const struct ak_type ak_tool_permissions_type =
    AK_TYPE("tool_permissions", struct ak_tool_permissions, ak_tool_permissions_fields);

static const struct ak_field ak_tool_spec_fields[] = {
    AK_FIELD(struct ak_tool_spec, type, "type", AK_F_ENUM, .flags = AK_FIELD_REQUIRED, .enum_names = ak_tool_type_names),
    AK_FIELD(struct ak_tool_spec, description, "description", AK_F_STRING),
    AK_FIELD(struct ak_tool_spec, tags, "tags", AK_F_STRING_LIST),
    AK_FIELD(struct ak_tool_spec, probe, "probe", AK_F_BOOL, .default_int = 0),
    AK_FIELD(struct ak_tool_spec, idle_timeout, "idleTimeout", AK_F_STRING, .default_text = "15m"),
    AK_FIELD(struct ak_tool_spec, max_session_seconds, "maxSessionSeconds", AK_F_INT, .default_int = 0),
    AK_FIELD(struct ak_tool_spec, max_sessions, "maxSessions", AK_F_INT, .default_int = 10),
    AK_FIELD(struct ak_tool_spec, tls, "tls", AK_F_STRUCT, .sub = &ak_tool_tls_type),
    AK_FIELD(struct ak_tool_spec, approval, "approval", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE, .sub = &ak_tool_approval_policy_type),
    AK_FIELD(struct ak_tool_spec, limits, "limits", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE, .sub = &ak_tool_limits_type),
    AK_FIELD(struct ak_tool_spec, recording, "recording", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE, .sub = &ak_tool_recording_policy_type),
    AK_FIELD(struct ak_tool_spec, config, "config", AK_F_STRUCT, .sub = &ak_tool_config_type),
    AK_FIELD(struct ak_tool_spec, permissions, "permissions", AK_F_STRUCT, .sub = &ak_tool_permissions_type),
    AK_FIELD(struct ak_tool_spec, image, "image", AK_F_STRING),
    AK_FIELD(struct ak_tool_spec, image_pull_policy, "imagePullPolicy", AK_F_ENUM, .enum_names = ak_pull_policy_names),
    AK_FIELD(struct ak_tool_spec, image_pull_secrets, "imagePullSecrets", AK_F_LIST, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_tool_spec, resources, "resources", AK_F_JSON),
    AK_FIELD(struct ak_tool_spec, node_selector, "nodeSelector", AK_F_STRING_MAP),
    AK_FIELD(struct ak_tool_spec, tolerations, "tolerations", AK_F_JSON),
};
const struct ak_type ak_tool_spec_type =
    AK_TYPE("tool_spec", struct ak_tool_spec, ak_tool_spec_fields);

static const struct ak_field ak_tool_probe_fields[] = {
    AK_FIELD(struct ak_tool_probe, time, "time", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_probe, succeeded, "succeeded", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_tool_probe, reachable, "reachable", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_tool_probe, authenticated, "authenticated", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_tool_probe, authorised, "authorised", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_tool_probe, server, "server", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_probe, message, "message", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_probe, failures, "failures", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_probe, hash, "hash", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_tool_probe_type =
    AK_TYPE("tool_probe", struct ak_tool_probe, ak_tool_probe_fields);

static const struct ak_field ak_tool_bastion_fields[] = {
    AK_FIELD(struct ak_tool_bastion, pod_name, "podName", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_bastion, sessions, "sessions", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_bastion, last_used, "lastUsed", AK_F_TIME, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_tool_bastion_type =
    AK_TYPE("tool_bastion", struct ak_tool_bastion, ak_tool_bastion_fields);

static const struct ak_field ak_tool_identity_fields[] = {
    AK_FIELD(struct ak_tool_identity, rotated_time, "rotatedTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_identity, hash, "hash", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_tool_identity_type =
    AK_TYPE("tool_identity", struct ak_tool_identity, ak_tool_identity_fields);

static const struct ak_field ak_tool_provisioning_fields[] = {
    AK_FIELD(struct ak_tool_provisioning, time, "time", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_provisioning, succeeded, "succeeded", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_tool_provisioning, message, "message", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_provisioning, failures, "failures", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_provisioning, hash, "hash", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_provisioning, unenforceable, "unenforceable", AK_F_STRING_LIST, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_provisioning, changed, "changed", AK_F_STRING_LIST, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_tool_provisioning_type =
    AK_TYPE("tool_provisioning", struct ak_tool_provisioning, ak_tool_provisioning_fields);

static const struct ak_field ak_tool_approval_fields[] = {
    AK_FIELD(struct ak_tool_approval, id, "id", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, hash, "hash", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, requested_by, "requestedBy", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, caller, "caller", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_tool_caller_kind_names),
    AK_FIELD(struct ak_tool_approval, operation, "operation", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, class, "class", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_tool_statement_class_names),
    AK_FIELD(struct ak_tool_approval, read_only, "readOnly", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_tool_approval, preview, "preview", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, requested_time, "requestedTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, expires_time, "expiresTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, phase, "phase", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_approval_phase_names),
    AK_FIELD(struct ak_tool_approval, decided_by, "decidedBy", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, decided_time, "decidedTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_approval, reason, "reason", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_tool_approval_type =
    AK_TYPE("tool_approval", struct ak_tool_approval, ak_tool_approval_fields);

static const struct ak_field ak_tool_recording_fields[] = {
    AK_FIELD(struct ak_tool_recording, id, "id", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_recording, session_id, "sessionID", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_recording, user, "user", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_recording, start_time, "startTime", AK_F_TIME, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_recording, duration_seconds, "durationSeconds", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_recording, bytes, "bytes", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_recording, stored_bytes, "storedBytes", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_recording, truncated, "truncated", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
};
static const struct ak_type ak_tool_recording_type =
    AK_TYPE("tool_recording", struct ak_tool_recording, ak_tool_recording_fields);

static const struct ak_field ak_tool_status_fields[] = {
    AK_FIELD(struct ak_tool_status, phase, "phase", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_tool_phase_names),
    AK_FIELD(struct ak_tool_status, last_probe, "lastProbe", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_tool_probe_type),
    AK_FIELD(struct ak_tool_status, bastion, "bastion", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_tool_bastion_type),
    AK_FIELD(struct ak_tool_status, image, "image", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_status, permissions_hash, "permissionsHash", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_status, identity, "identity", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_tool_identity_type),
    AK_FIELD(struct ak_tool_status, last_provisioned, "lastProvisioned", AK_F_STRUCT, .flags = AK_FIELD_LENIENT, .sub = &ak_tool_provisioning_type),
    AK_FIELD(struct ak_tool_status, approvals, "approvals", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_tool_approval_type),
    AK_FIELD(struct ak_tool_status, recordings, "recordings", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_tool_recording_type),
    AK_FIELD(struct ak_tool_status, observed_generation, "observedGeneration", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_tool_status, conditions, "conditions", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_condition_type),
};
const struct ak_type ak_tool_status_type =
    AK_TYPE("tool_status", struct ak_tool_status, ak_tool_status_fields);

static const struct ak_field ak_tool_fields[] = {
    AK_FIELD(struct ak_tool, spec, "spec", AK_F_STRUCT, .flags = AK_FIELD_REQUIRED, .sub = &ak_tool_spec_type),
    AK_FIELD(struct ak_tool, status, "status", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE | AK_FIELD_LENIENT, .sub = &ak_tool_status_type),
};
const struct ak_type ak_tool_type =
    AK_TYPE("tool", struct ak_tool, ak_tool_fields);
/* clang-format on */
