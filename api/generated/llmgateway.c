/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/llmgateway.yaml by api/generate.py: change that file, not this one. */
#include <ak/api/llmgateway.h>

#include <stddef.h>

/* clang-format off */
const char *const ak_llm_provider_names[] = {
    "",
    "openai",
    "anthropic",
    "bedrock",
    "vertex",
    "azure-openai",
    "ollama",
    "vllm",
    NULL,
};

const char *const ak_llm_rate_scope_names[] = {
    "",
    "perClient",
    "global",
    NULL,
};

const char *const ak_llm_guardrail_target_names[] = {
    "",
    "request",
    "response",
    "both",
    NULL,
};

const char *const ak_llm_guardrail_action_names[] = {
    "",
    "block",
    "redact",
    "log",
    NULL,
};

static const struct ak_field ak_llm_upstream_fields[] = {
    AK_FIELD(struct ak_llm_upstream, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_llm_upstream, provider, "provider", AK_F_ENUM, .flags = AK_FIELD_REQUIRED, .enum_names = ak_llm_provider_names),
    AK_FIELD(struct ak_llm_upstream, endpoint, "endpoint", AK_F_STRING),
    AK_FIELD(struct ak_llm_upstream, credentials_ref, "credentialsRef", AK_F_STRUCT, .sub = &ak_secret_key_ref_type),
    AK_FIELD(struct ak_llm_upstream, models, "models", AK_F_STRING_LIST),
    AK_FIELD(struct ak_llm_upstream, priority, "priority", AK_F_INT, .default_int = 1),
    AK_FIELD(struct ak_llm_upstream, region, "region", AK_F_STRING),
    AK_FIELD(struct ak_llm_upstream, project, "project", AK_F_STRING),
    AK_FIELD(struct ak_llm_upstream, api_version, "apiVersion", AK_F_STRING),
    AK_FIELD(struct ak_llm_upstream, timeout_seconds, "timeoutSeconds", AK_F_INT, .default_int = 600),
};
static const struct ak_type ak_llm_upstream_type =
    AK_TYPE("llm_upstream", struct ak_llm_upstream, ak_llm_upstream_fields);

static const struct ak_field ak_llm_model_map_fields[] = {
    AK_FIELD(struct ak_llm_model_map, from, "from", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_llm_model_map, to, "to", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_llm_model_map, upstream, "upstream", AK_F_STRING),
};
static const struct ak_type ak_llm_model_map_type =
    AK_TYPE("llm_model_map", struct ak_llm_model_map, ak_llm_model_map_fields);

static const struct ak_field ak_llm_gateway_routing_fields[] = {
    AK_FIELD(struct ak_llm_gateway_routing, default_model, "defaultModel", AK_F_STRING),
    AK_FIELD(struct ak_llm_gateway_routing, model_map, "modelMap", AK_F_LIST, .sub = &ak_llm_model_map_type),
};
static const struct ak_type ak_llm_gateway_routing_type =
    AK_TYPE("llm_gateway_routing", struct ak_llm_gateway_routing, ak_llm_gateway_routing_fields);

static const struct ak_field ak_llm_gateway_rate_limit_fields[] = {
    AK_FIELD(struct ak_llm_gateway_rate_limit, requests_per_minute, "requestsPerMinute", AK_F_OPT_INT),
    AK_FIELD(struct ak_llm_gateway_rate_limit, tokens_per_minute, "tokensPerMinute", AK_F_OPT_INT),
    AK_FIELD(struct ak_llm_gateway_rate_limit, scope, "scope", AK_F_ENUM, .enum_names = ak_llm_rate_scope_names, .default_int = AK_LLM_RATE_SCOPE_PER_CLIENT),
};
static const struct ak_type ak_llm_gateway_rate_limit_type =
    AK_TYPE("llm_gateway_rate_limit", struct ak_llm_gateway_rate_limit, ak_llm_gateway_rate_limit_fields);

static const struct ak_field ak_llm_guardrail_fields[] = {
    AK_FIELD(struct ak_llm_guardrail, name, "name", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_llm_guardrail, pattern, "pattern", AK_F_STRING, .flags = AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_llm_guardrail, target, "target", AK_F_ENUM, .enum_names = ak_llm_guardrail_target_names, .default_int = AK_LLM_GUARDRAIL_TARGET_BOTH),
    AK_FIELD(struct ak_llm_guardrail, action, "action", AK_F_ENUM, .enum_names = ak_llm_guardrail_action_names, .default_int = AK_LLM_GUARDRAIL_ACTION_BLOCK),
};
static const struct ak_type ak_llm_guardrail_type =
    AK_TYPE("llm_guardrail", struct ak_llm_guardrail, ak_llm_guardrail_fields);

static const struct ak_field ak_llm_gateway_guardrails_fields[] = {
    AK_FIELD(struct ak_llm_gateway_guardrails, max_request_bytes, "maxRequestBytes", AK_F_INT, .default_int = 8388608),
    AK_FIELD(struct ak_llm_gateway_guardrails, rules, "rules", AK_F_LIST, .sub = &ak_llm_guardrail_type),
};
static const struct ak_type ak_llm_gateway_guardrails_type =
    AK_TYPE("llm_gateway_guardrails", struct ak_llm_gateway_guardrails, ak_llm_gateway_guardrails_fields);

static const struct ak_field ak_llm_gateway_caching_fields[] = {
    AK_FIELD(struct ak_llm_gateway_caching, enabled, "enabled", AK_F_BOOL, .default_int = 0),
    AK_FIELD(struct ak_llm_gateway_caching, ttl, "ttl", AK_F_STRING, .default_text = "5m"),
    AK_FIELD(struct ak_llm_gateway_caching, max_size, "maxSize", AK_F_INT_OR_STRING, .default_text = "64Mi"),
};
static const struct ak_type ak_llm_gateway_caching_type =
    AK_TYPE("llm_gateway_caching", struct ak_llm_gateway_caching, ak_llm_gateway_caching_fields);

static const struct ak_field ak_llm_gateway_spec_fields[] = {
    AK_FIELD(struct ak_llm_gateway_spec, port, "port", AK_F_INT, .default_int = 8080),
    AK_FIELD(struct ak_llm_gateway_spec, replicas, "replicas", AK_F_INT, .default_int = 1),
    AK_FIELD(struct ak_llm_gateway_spec, upstreams, "upstreams", AK_F_LIST, .flags = AK_FIELD_REQUIRED, .sub = &ak_llm_upstream_type),
    AK_FIELD(struct ak_llm_gateway_spec, routing, "routing", AK_F_STRUCT, .sub = &ak_llm_gateway_routing_type),
    AK_FIELD(struct ak_llm_gateway_spec, rate_limit, "rateLimit", AK_F_STRUCT, .sub = &ak_llm_gateway_rate_limit_type),
    AK_FIELD(struct ak_llm_gateway_spec, guardrails, "guardrails", AK_F_STRUCT, .sub = &ak_llm_gateway_guardrails_type),
    AK_FIELD(struct ak_llm_gateway_spec, caching, "caching", AK_F_STRUCT, .sub = &ak_llm_gateway_caching_type),
    AK_FIELD(struct ak_llm_gateway_spec, image, "image", AK_F_STRING),
    AK_FIELD(struct ak_llm_gateway_spec, image_pull_policy, "imagePullPolicy", AK_F_ENUM, .enum_names = ak_pull_policy_names),
    AK_FIELD(struct ak_llm_gateway_spec, image_pull_secrets, "imagePullSecrets", AK_F_LIST, .sub = &ak_object_name_type),
    AK_FIELD(struct ak_llm_gateway_spec, resources, "resources", AK_F_JSON),
    AK_FIELD(struct ak_llm_gateway_spec, node_selector, "nodeSelector", AK_F_STRING_MAP),
    AK_FIELD(struct ak_llm_gateway_spec, tolerations, "tolerations", AK_F_JSON),
};
const struct ak_type ak_llm_gateway_spec_type =
    AK_TYPE("llm_gateway_spec", struct ak_llm_gateway_spec, ak_llm_gateway_spec_fields);

static const struct ak_field ak_llm_upstream_status_fields[] = {
    AK_FIELD(struct ak_llm_upstream_status, name, "name", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_llm_upstream_status, ready, "ready", AK_F_BOOL, .flags = AK_FIELD_LENIENT, .default_int = 0),
    AK_FIELD(struct ak_llm_upstream_status, message, "message", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
static const struct ak_type ak_llm_upstream_status_type =
    AK_TYPE("llm_upstream_status", struct ak_llm_upstream_status, ak_llm_upstream_status_fields);

static const struct ak_field ak_llm_gateway_status_fields[] = {
    AK_FIELD(struct ak_llm_gateway_status, upstreams, "upstreams", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_llm_upstream_status_type),
    AK_FIELD(struct ak_llm_gateway_status, observed_generation, "observedGeneration", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_llm_gateway_status, conditions, "conditions", AK_F_LIST, .flags = AK_FIELD_LENIENT, .sub = &ak_condition_type),
    AK_FIELD(struct ak_llm_gateway_status, phase, "phase", AK_F_ENUM, .flags = AK_FIELD_LENIENT, .enum_names = ak_service_phase_names),
    AK_FIELD(struct ak_llm_gateway_status, ready, "ready", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_llm_gateway_status, replicas, "replicas", AK_F_INT, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_llm_gateway_status, selector, "selector", AK_F_STRING, .flags = AK_FIELD_LENIENT),
    AK_FIELD(struct ak_llm_gateway_status, endpoint, "endpoint", AK_F_STRING, .flags = AK_FIELD_LENIENT),
};
const struct ak_type ak_llm_gateway_status_type =
    AK_TYPE("llm_gateway_status", struct ak_llm_gateway_status, ak_llm_gateway_status_fields);

static const struct ak_field ak_llm_gateway_fields[] = {
    AK_FIELD(struct ak_llm_gateway, spec, "spec", AK_F_STRUCT, .flags = AK_FIELD_REQUIRED, .sub = &ak_llm_gateway_spec_type),
    AK_FIELD(struct ak_llm_gateway, status, "status", AK_F_STRUCT, .flags = AK_FIELD_MATERIALIZE | AK_FIELD_LENIENT, .sub = &ak_llm_gateway_status_type),
};
const struct ak_type ak_llm_gateway_type =
    AK_TYPE("llm_gateway", struct ak_llm_gateway, ak_llm_gateway_fields);
/* clang-format on */
