/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/llmgateway.yaml by api/generate.py: change that file, not this one. */
/*
 * An LLMGateway stands between agents and model providers, so that credentials and policy live in
 * one place. It becomes a Deployment and a Service.
 */
#ifndef AK_API_LLMGATEWAY_H
#define AK_API_LLMGATEWAY_H

#include <ak/api/types.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/condition.h>
#include <ak/kube/resource.h>
#include <stdbool.h>
#include <stdint.h>

/* Who it is, and so which protocol it speaks. */
enum ak_llm_provider {
    AK_LLM_PROVIDER_UNSET, /* the field is absent */
    AK_LLM_PROVIDER_OPENAI,
    AK_LLM_PROVIDER_ANTHROPIC,
    AK_LLM_PROVIDER_BEDROCK,
    AK_LLM_PROVIDER_VERTEX,
    AK_LLM_PROVIDER_AZURE_OPENAI,
    AK_LLM_PROVIDER_OLLAMA,
    AK_LLM_PROVIDER_VLLM,
    AK_LLM_PROVIDER_MAX,
};
extern AK_PUBLIC const char *const ak_llm_provider_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_llm_provider_to_string(enum ak_llm_provider value)
{
    return ak_enum_to_string(ak_llm_provider_names, AK_LLM_PROVIDER_MAX, (int)value);
}
static inline enum ak_llm_provider ak_llm_provider_from_string(const char *text)
{
    return (enum ak_llm_provider)ak_enum_from_string(ak_llm_provider_names, text);
}

/* Whether each client has its own allowance or all share one. */
enum ak_llm_rate_scope {
    AK_LLM_RATE_SCOPE_UNSET, /* the field is absent */
    AK_LLM_RATE_SCOPE_PER_CLIENT,
    AK_LLM_RATE_SCOPE_GLOBAL,
    AK_LLM_RATE_SCOPE_MAX,
};
extern AK_PUBLIC const char *const ak_llm_rate_scope_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_llm_rate_scope_to_string(enum ak_llm_rate_scope value)
{
    return ak_enum_to_string(ak_llm_rate_scope_names, AK_LLM_RATE_SCOPE_MAX, (int)value);
}
static inline enum ak_llm_rate_scope ak_llm_rate_scope_from_string(const char *text)
{
    return (enum ak_llm_rate_scope)ak_enum_from_string(ak_llm_rate_scope_names, text);
}

/* Where it is looked for. */
enum ak_llm_guardrail_target {
    AK_LLM_GUARDRAIL_TARGET_UNSET, /* the field is absent */
    AK_LLM_GUARDRAIL_TARGET_REQUEST,
    AK_LLM_GUARDRAIL_TARGET_RESPONSE,
    AK_LLM_GUARDRAIL_TARGET_BOTH,
    AK_LLM_GUARDRAIL_TARGET_MAX,
};
extern AK_PUBLIC const char *const ak_llm_guardrail_target_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_llm_guardrail_target_to_string(enum ak_llm_guardrail_target value)
{
    return ak_enum_to_string(ak_llm_guardrail_target_names, AK_LLM_GUARDRAIL_TARGET_MAX,
                             (int)value);
}
static inline enum ak_llm_guardrail_target ak_llm_guardrail_target_from_string(const char *text)
{
    return (enum ak_llm_guardrail_target)ak_enum_from_string(ak_llm_guardrail_target_names, text);
}

/* What happens when it is found. */
enum ak_llm_guardrail_action {
    AK_LLM_GUARDRAIL_ACTION_UNSET, /* the field is absent */
    AK_LLM_GUARDRAIL_ACTION_BLOCK,
    AK_LLM_GUARDRAIL_ACTION_REDACT,
    AK_LLM_GUARDRAIL_ACTION_LOG,
    AK_LLM_GUARDRAIL_ACTION_MAX,
};
extern AK_PUBLIC const char *const ak_llm_guardrail_action_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_llm_guardrail_action_to_string(enum ak_llm_guardrail_action value)
{
    return ak_enum_to_string(ak_llm_guardrail_action_names, AK_LLM_GUARDRAIL_ACTION_MAX,
                             (int)value);
}
static inline enum ak_llm_guardrail_action ak_llm_guardrail_action_from_string(const char *text)
{
    return (enum ak_llm_guardrail_action)ak_enum_from_string(ak_llm_guardrail_action_names, text);
}

/* One provider. */
struct ak_llm_upstream {
    /* Name of the upstream. */
    const char *name;
    /* Who it is, and so which protocol it speaks. */
    enum ak_llm_provider provider;
    /* Base URL; left out, the provider's public one. Needed for azure-openai, ollama and vllm. */
    const char *endpoint;
    /* API key or service account file. */
    const struct ak_secret_key_ref *credentials_ref;
    /* Models that it serves; left out, all. */
    struct ak_string_list models;
    /* Among upstreams that serve a model, the lowest number is tried first. */
    int64_t priority;
    /* Region (bedrock, vertex). */
    const char *region;
    /* Project (vertex). */
    const char *project;
    /* Version of the API (azure-openai). */
    const char *api_version;
    /* Seconds without a byte from the provider after which a request has failed. */
    int64_t timeout_seconds;
};

/* One name. */
struct ak_llm_model_map {
    /* Model that the request names. */
    const char *from;
    /* Model that the upstream is asked for. */
    const char *to;
    /* Upstream that is asked; left out, any that serves the model. */
    const char *upstream;
};

/* How a request finds its upstream. */
struct ak_llm_gateway_routing {
    /* Model of requests that name none or one that nobody serves. */
    const char *default_model;
    /* Names that are replaced before an upstream is chosen. */
    AK_LIST_OF(struct ak_llm_model_map) model_map;
};

/* How much may pass; left out, everything. */
struct ak_llm_gateway_rate_limit {
    /* Requests in a minute. */
    struct ak_opt_int requests_per_minute;
    /* Tokens in a minute. */
    struct ak_opt_int tokens_per_minute;
    /* Whether each client has its own allowance or all share one. */
    enum ak_llm_rate_scope scope;
};

/* One pattern. */
struct ak_llm_guardrail {
    /* Name of the rule, for errors and logs. */
    const char *name;
    /* A regular expression of PCRE2. */
    const char *pattern;
    /* Where it is looked for. */
    enum ak_llm_guardrail_target target;
    /* What happens when it is found. */
    enum ak_llm_guardrail_action action;
};

/* What requests and answers may contain. */
struct ak_llm_gateway_guardrails {
    /* Largest request, in bytes. */
    int64_t max_request_bytes;
    /* Patterns that are looked for. */
    AK_LIST_OF(struct ak_llm_guardrail) rules;
};

/* Whether equal requests get the stored answer. */
struct ak_llm_gateway_caching {
    /* Whether answers are stored. */
    bool enabled;
    /* How long an answer is stored. */
    const char *ttl;
    /* How much memory the stored answers of a pod may take. */
    const char *max_size;
};

/* Which providers it fronts, and what it lets through. */
struct ak_llm_gateway_spec {
    /* Port of the Service. */
    int64_t port;
    /* How many pods serve it. */
    int64_t replicas;
    /* The providers behind it. */
    AK_LIST_OF(struct ak_llm_upstream) upstreams;
    /* How a request finds its upstream. */
    const struct ak_llm_gateway_routing *routing;
    /* How much may pass; left out, everything. */
    const struct ak_llm_gateway_rate_limit *rate_limit;
    /* What requests and answers may contain. */
    const struct ak_llm_gateway_guardrails *guardrails;
    /* Whether equal requests get the stored answer. */
    const struct ak_llm_gateway_caching *caching;
    /* Image to run in place of the default one. Never rewritten to a mirror. */
    const char *image;
    /* When the image is pulled. Left out, Kubernetes decides from the image's tag. */
    enum ak_pull_policy image_pull_policy;
    /* Secrets with registry credentials for the image. */
    AK_LIST_OF(struct ak_object_name) image_pull_secrets;
    /* Requests and limits, as a container in a pod has them. */
    const char *resources;
    /* Labels that a node must have. */
    struct ak_string_map node_selector;
    /* Taints that the pods tolerate. */
    const char *tolerations;
};

/* One provider. */
struct ak_llm_upstream_status {
    /* Name of the upstream. */
    const char *name;
    /* Whether it can be used. */
    bool ready;
    /* What is wrong. */
    const char *message;
};

/* What the manager found and did. */
struct ak_llm_gateway_status {
    /* How each provider is doing. */
    AK_LIST_OF(struct ak_llm_upstream_status) upstreams;
    /* The generation of the spec that this status is about. */
    int64_t observed_generation;
    /* What is true about the object right now. */
    ak_condition_list conditions;
    /*
     * The state in one word. Unsupported: the installed manager does not run objects of this kind.
     */
    enum ak_service_phase phase;
    /* Pods that are ready out of those wanted, like `1/1`. */
    const char *ready;
    /* Pods that exist. */
    int64_t replicas;
    /* Label selector of the pods, as text, for autoscalers. */
    const char *selector;
    /* URL at which the cluster reaches it. */
    const char *endpoint;
};

/*
 * An LLMGateway stands between agents and model providers, so that credentials and policy live in
 * one place. It becomes a Deployment and a Service.
 */
struct ak_llm_gateway {
    /* Which providers it fronts, and what it lets through. */
    const struct ak_llm_gateway_spec *spec;
    /* What the manager found and did. */
    const struct ak_llm_gateway_status *status;
};

/* Initializer of a struct ak_resource. */
#define AK_LLM_GATEWAY_RESOURCE                                                                    \
    {                                                                                              \
        .group = AK_API_GROUP, .version = AK_API_VERSION, .kind = "LLMGateway",                    \
        .plural = "llmgateways", .namespaced = true                                                \
    }

/*
 * What ak_decode() and ak_encode() take. spec and status of a decoded object are never NULL; both
 * are NULL in the zeroed body of an object that could not be decoded.
 */
extern AK_PUBLIC const struct ak_type ak_llm_gateway_type;
extern AK_PUBLIC const struct ak_type ak_llm_gateway_spec_type;
extern AK_PUBLIC const struct ak_type ak_llm_gateway_status_type;

#endif
