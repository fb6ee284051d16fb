/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/mcp.yaml by api/generate.py: change that file, not this one. */
#include <ak/api/mcp.h>

#include <stddef.h>

/* clang-format off */
const char *const ak_mcp_upstream_kind_names[] = {
    "",
    "http",
    "mcpRef",
    "stdio",
    NULL,
};

const char *const ak_mcp_auth_mode_names[] = {
    "",
    "none",
    "bearer",
    "basic",
    "header",
    "env",
    NULL,
};

const char *const ak_mcp_tool_mode_names[] = {
    "",
    "all",
    "allow",
    "deny",
    NULL,
};

static const struct ak_field ak_mcp_upstream_auth_fields[] = {
    AK_FIELD(struct ak_mcp_upstream_auth, mode, "mode", AK_F_ENUM, .enum_names = ak_mcp_auth_mode_names, .default_int = AK_MCP_AUTH_MODE_NONE),
    AK_FIELD(struct ak_mcp_upstream_auth, secret_ref, "secretRef", AK_F_STRUCT, .sub = &ak_secret_key_ref_type),
    AK_FIELD(struct ak_mcp_upstream_auth, header_name, "headerName", AK_F_STRING),
    AK_FIELD(struct ak_mcp_upstream_auth, variable, "variable", AK_F_STRING),
};
static const struct ak_type ak_mcp_upstream_auth_type =
    AK_TYPE("mcp_upstream_auth", struct ak_mcp_upstream_auth, ak_mcp_upstream_auth_fields);

static const struct ak_field ak_mcp_upstream_tools_fields[] = {
    AK_FIELD(struct ak_mcp_upstream_tools, mode, "mode", AK_F_ENUM, .enum_names = ak_mcp_tool_mode_names, .default_int = AK_MCP_TOOL_MODE_ALL),
    AK_FIELD(struct ak_mcp_upstream_tools, allow, "allow", AK_F_STRING_LIST),
    AK_FIELD(struct ak_mcp_upstream_tools, deny, "deny", AK_F_STRING_LIST),
};
static const struct ak_type ak_mcp_upstream_tools_type =
    AK_TYPE("mcp_upstream_tools", struct ak_mcp_upstream_tools, ak_mcp_upstream_tools_fields);

static const struct ak_field ak_mcp_upstream_fields[] = {
    AK_FIELD(struct ak_mcp_upstream, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_mcp_upstream, kind, "kind", AK_F_ENUM, .flags = AK_FIELD_REQUIRED, .enum_names = ak_mcp_upstream_kind_names),
    AK_FIELD(struct ak_mcp_upstream, endpoint, "endpoint", AK_F_STRING),
    AK_FIELD(struct ak_mcp_upstream, mcp_ref, "mcpRef", AK_F_STRUCT, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_mcp_upstream, image, "image", AK_F_STRING),
    AK_FIELD(struct ak_mcp_upstream, command, "command", AK_F_STRING_LIST),
    AK_FIELD(struct ak_mcp_upstream, env, "env", AK_F_LIST, .sub = &ak_env_var_type),
    AK_FIELD(struct ak_mcp_upstream, auth, "auth", AK_F_STRUCT, .sub = &ak_mcp_upstream_auth_type),
    AK_FIELD(struct ak_mcp_upstream, tools, "tools", AK_F_STRUCT, .sub = &ak_mcp_upstream_tools_type),
    AK_FIELD(struct ak_mcp_upstream, timeout_seconds, "timeoutSeconds", AK_F_INT, .default_int = 60),
};
static const struct ak_type ak_mcp_upstream_type =
    AK_TYPE("mcp_upstream", struct ak_mcp_upstream, ak_mcp_upstream_fields);

static const struct ak_field ak_mcp_spec_fields[] = {
    AK_FIELD(struct ak_mcp_spec, port, "port", AK_F_INT, .default_int = 8080),
    AK_FIELD(struct ak_mcp_spec, replicas, "replicas", AK_F_INT, .default_int = 1),
    AK_FIELD(struct ak_mcp_spec, upstreams, "upstreams", AK_F_LIST, .flags = AK_FIELD_REQUIRED, .sub = &ak_mcp_upstream_type),
    AK_FIELD(struct ak_mcp_spec, image, "image", AK_F_STRING),
    AK_FIELD(struct ak_mcp_spec, image_pull_policy, "imagePullPolicy", AK_F_ENUM, .enum_names = ak_pull_policy_names),
    AK_FIELD(struct ak_mcp_spec, image_pull_secrets, "imagePullSecrets", AK_F_LIST, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_mcp_spec, resources, "resources", AK_F_JSON),
    AK_FIELD(struct ak_mcp_spec, node_selector, "nodeSelector", AK_F_STRING_MAP),
    AK_FIELD(struct ak_mcp_spec, tolerations, "tolerations", AK_F_JSON),
};
const struct ak_type ak_mcp_spec_type =
    AK_TYPE("mcp_spec", struct ak_mcp_spec, ak_mcp_spec_fields);

static const struct ak_field ak_mcp_upstream_status_fields[] = {
    AK_FIELD(struct ak_mcp_upstream_status, name, "name", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_mcp_upstream_status, ready, "ready", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_mcp_upstream_status, tools, "tools", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_mcp_upstream_status, message, "message", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_mcp_upstream_status_type =
    AK_TYPE("mcp_upstream_status", struct ak_mcp_upstream_status, ak_mcp_upstream_status_fields);

static const struct ak_field ak_mcp_status_fields[] = {
    AK_FIELD(struct ak_mcp_status, upstreams, "upstreams", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_mcp_upstream_status_type),
    AK_FIELD(struct ak_mcp_status, observed_generation, "observedGeneration", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_mcp_status, conditions, "conditions", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_condition_type),
    AK_FIELD(struct ak_mcp_status, phase, "phase", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_service_phase_names),
    AK_FIELD(struct ak_mcp_status, ready, "ready", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_mcp_status, replicas, "replicas", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_mcp_status, selector, "selector", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_mcp_status, endpoint, "endpoint", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
const struct ak_type ak_mcp_status_type =
    AK_TYPE("mcp_status", struct ak_mcp_status, ak_mcp_status_fields);

static const struct ak_field ak_mcp_fields[] = {
    AK_FIELD(struct ak_mcp, spec, "spec", AK_F_STRUCT, .flags = AK_FIELD_REQUIRED, .sub = &ak_mcp_spec_type),
    AK_FIELD(struct ak_mcp, status, "status", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE | AK_FIELD_LENIENT, .sub = &ak_mcp_status_type),
};
const struct ak_type ak_mcp_type =
    AK_TYPE("mcp", struct ak_mcp, ak_mcp_fields);
/* clang-format on */
