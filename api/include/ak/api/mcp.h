/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/mcp.yaml by api/generate.py: change that file, not this one. */
/*
 * An MCP is a proxy in front of MCP servers that offers a chosen part of their tools. It becomes a
 * Deployment and a Service.
 */
#ifndef AK_API_MCP_H
#define AK_API_MCP_H

#include <ak/api/types.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/condition.h>
#include <ak/kube/resource.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * http: a server at endpoint. mcpRef: another MCP. stdio: a program of image that speaks on its
 * standard input and output.
 */
enum ak_mcp_upstream_kind {
    AK_MCP_UPSTREAM_KIND_UNSET, /* the field is absent */
    AK_MCP_UPSTREAM_KIND_HTTP,
    AK_MCP_UPSTREAM_KIND_MCP_REF,
    AK_MCP_UPSTREAM_KIND_STDIO,
    AK_MCP_UPSTREAM_KIND_MAX,
};
extern AK_PUBLIC const char *const ak_mcp_upstream_kind_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_mcp_upstream_kind_to_string(enum ak_mcp_upstream_kind value)
{
    return ak_enum_to_string(ak_mcp_upstream_kind_names, AK_MCP_UPSTREAM_KIND_MAX, (int)value);
}
static inline enum ak_mcp_upstream_kind ak_mcp_upstream_kind_from_string(const char *text)
{
    return (enum ak_mcp_upstream_kind)ak_enum_from_string(ak_mcp_upstream_kind_names, text);
}

/*
 * bearer: an Authorization header with the token. basic: one with `user:password`. header: the
 * value as header headerName. env: the value as variable variable (stdio).
 */
enum ak_mcp_auth_mode {
    AK_MCP_AUTH_MODE_UNSET, /* the field is absent */
    AK_MCP_AUTH_MODE_NONE,
    AK_MCP_AUTH_MODE_BEARER,
    AK_MCP_AUTH_MODE_BASIC,
    AK_MCP_AUTH_MODE_HEADER,
    AK_MCP_AUTH_MODE_ENV,
    AK_MCP_AUTH_MODE_MAX,
};
extern AK_PUBLIC const char *const ak_mcp_auth_mode_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_mcp_auth_mode_to_string(enum ak_mcp_auth_mode value)
{
    return ak_enum_to_string(ak_mcp_auth_mode_names, AK_MCP_AUTH_MODE_MAX, (int)value);
}
static inline enum ak_mcp_auth_mode ak_mcp_auth_mode_from_string(const char *text)
{
    return (enum ak_mcp_auth_mode)ak_enum_from_string(ak_mcp_auth_mode_names, text);
}

/* allow: only those listed in allow. deny: all but those listed in deny. */
enum ak_mcp_tool_mode {
    AK_MCP_TOOL_MODE_UNSET, /* the field is absent */
    AK_MCP_TOOL_MODE_ALL,
    AK_MCP_TOOL_MODE_ALLOW,
    AK_MCP_TOOL_MODE_DENY,
    AK_MCP_TOOL_MODE_MAX,
};
extern AK_PUBLIC const char *const ak_mcp_tool_mode_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_mcp_tool_mode_to_string(enum ak_mcp_tool_mode value)
{
    return ak_enum_to_string(ak_mcp_tool_mode_names, AK_MCP_TOOL_MODE_MAX, (int)value);
}
static inline enum ak_mcp_tool_mode ak_mcp_tool_mode_from_string(const char *text)
{
    return (enum ak_mcp_tool_mode)ak_enum_from_string(ak_mcp_tool_mode_names, text);
}

/* How the proxy logs in to the server. */
struct ak_mcp_upstream_auth {
    /*
     * bearer: an Authorization header with the token. basic: one with `user:password`. header: the
     * value as header headerName. env: the value as variable variable (stdio).
     */
    enum ak_mcp_auth_mode mode;
    /* Where the credential is; needed by every mode but none. */
    const struct ak_secret_key_ref *secret_ref;
    /* Name of the header (mode header). */
    const char *header_name;
    /* Name of the variable (mode env). */
    const char *variable;
};

/* Which of the server's tools are offered; left out, all. */
struct ak_mcp_upstream_tools {
    /* allow: only those listed in allow. deny: all but those listed in deny. */
    enum ak_mcp_tool_mode mode;
    /* Tools that are offered; a * at the end matches the rest of a name. */
    struct ak_string_list allow;
    /* Tools that are not offered; a * at the end matches the rest of a name. */
    struct ak_string_list deny;
};

/* One server. */
struct ak_mcp_upstream {
    /* Name of the upstream; tools of the same name are told apart by it. */
    const char *name;
    /*
     * http: a server at endpoint. mcpRef: another MCP. stdio: a program of image that speaks on its
     * standard input and output.
     */
    enum ak_mcp_upstream_kind kind;
    /* URL of the server (http). */
    const char *endpoint;
    /* The other MCP (mcpRef). */
    const struct ak_object_name *mcp_ref;
    /* Image that has the program (stdio). */
    const char *image;
    /* Program and arguments; left out, those of the image (stdio). */
    struct ak_string_list command;
    /* Plain environment of the program (stdio). */
    AK_LIST_OF(struct ak_env_var) env;
    /* How the proxy logs in to the server. */
    const struct ak_mcp_upstream_auth *auth;
    /* Which of the server's tools are offered; left out, all. */
    const struct ak_mcp_upstream_tools *tools;
    /* Seconds after which a call to the server has failed. */
    int64_t timeout_seconds;
};

/* Which servers it fronts, and how. */
struct ak_mcp_spec {
    /* Port of the Service. */
    int64_t port;
    /* How many pods serve it. */
    int64_t replicas;
    /* The servers behind it. */
    AK_LIST_OF(struct ak_mcp_upstream) upstreams;
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

/* One server. */
struct ak_mcp_upstream_status {
    /* Name of the upstream. */
    const char *name;
    /* Whether it answers. */
    bool ready;
    /* How many of its tools are offered. */
    int64_t tools;
    /* What is wrong. */
    const char *message;
};

/* What the manager found and did. */
struct ak_mcp_status {
    /* How each server is doing. */
    AK_LIST_OF(struct ak_mcp_upstream_status) upstreams;
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
 * An MCP is a proxy in front of MCP servers that offers a chosen part of their tools. It becomes a
 * Deployment and a Service.
 */
struct ak_mcp {
    /* Which servers it fronts, and how. */
    const struct ak_mcp_spec *spec;
    /* What the manager found and did. */
    const struct ak_mcp_status *status;
};

/* Initializer of a struct ak_resource. */
#define AK_MCP_RESOURCE                                                                            \
    {                                                                                              \
        .group = AK_API_GROUP, .version = AK_API_VERSION, .kind = "MCP", .plural = "mcps",         \
        .namespaced = true                                                                         \
    }

/*
 * What ak_decode() and ak_encode() take. spec and status of a decoded object are never NULL; both
 * are NULL in the zeroed body of an object that could not be decoded.
 */
extern AK_PUBLIC const struct ak_type ak_mcp_type;
extern AK_PUBLIC const struct ak_type ak_mcp_spec_type;
extern AK_PUBLIC const struct ak_type ak_mcp_status_type;

#endif
