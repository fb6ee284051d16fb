/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/claw.yaml by api/generate.py: change that file, not this one. */
/*
 * A Claw hosts clawx packages. It becomes a Deployment and a Service; the packages are installed
 * when a pod starts.
 */
#ifndef AK_API_CLAW_H
#define AK_API_CLAW_H

#include <ak/api/types.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/condition.h>
#include <ak/kube/resource.h>
#include <stdbool.h>
#include <stdint.h>

/* openclaw: the full host. nanoclaw: one small program that also fits beside another container. */
enum ak_claw_distribution {
    AK_CLAW_DISTRIBUTION_UNSET, /* the field is absent */
    AK_CLAW_DISTRIBUTION_OPENCLAW,
    AK_CLAW_DISTRIBUTION_NANOCLAW,
    AK_CLAW_DISTRIBUTION_MAX,
};
extern AK_PUBLIC const char *const ak_claw_distribution_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_claw_distribution_to_string(enum ak_claw_distribution value)
{
    return ak_enum_to_string(ak_claw_distribution_names, AK_CLAW_DISTRIBUTION_MAX, (int)value);
}
static inline enum ak_claw_distribution ak_claw_distribution_from_string(const char *text)
{
    return (enum ak_claw_distribution)ak_enum_from_string(ak_claw_distribution_names, text);
}

/* Type of the Service. */
enum ak_claw_service_type {
    AK_CLAW_SERVICE_TYPE_UNSET, /* the field is absent */
    AK_CLAW_SERVICE_TYPE_CLUSTER_IP,
    AK_CLAW_SERVICE_TYPE_NODE_PORT,
    AK_CLAW_SERVICE_TYPE_LOAD_BALANCER,
    AK_CLAW_SERVICE_TYPE_MAX,
};
extern AK_PUBLIC const char *const ak_claw_service_type_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_claw_service_type_to_string(enum ak_claw_service_type value)
{
    return ak_enum_to_string(ak_claw_service_type_names, AK_CLAW_SERVICE_TYPE_MAX, (int)value);
}
static inline enum ak_claw_service_type ak_claw_service_type_from_string(const char *text)
{
    return (enum ak_claw_service_type)ak_enum_from_string(ak_claw_service_type_names, text);
}

/* One registry. */
struct ak_claw_registry {
    /* Name that packages refer to. */
    const char *name;
    /* Base URL. */
    const char *url;
};

/* One package. */
struct ak_claw_package {
    /* Name of the package. */
    const char *name;
    /* Version; left out, the newest one. */
    const char *version;
    /* Registry; left out, the first one. */
    const char *registry;
};

/* How the cluster reaches it. */
struct ak_claw_service {
    /* Type of the Service. */
    enum ak_claw_service_type type;
    /* Port of the Service. */
    int64_t port;
};

/* What callers must show; left out, whoever reaches the port is served. */
struct ak_claw_auth {
    /* The bearer token. */
    const struct ak_secret_key_ref *secret_ref;
};

/* What it hosts, and how. */
struct ak_claw_spec {
    /*
     * openclaw: the full host. nanoclaw: one small program that also fits beside another container.
     */
    enum ak_claw_distribution distribution;
    /* How many pods serve it. */
    int64_t replicas;
    /* Where packages come from. */
    AK_LIST_OF(struct ak_claw_registry) registries;
    /* Packages that are installed when a pod starts. */
    AK_LIST_OF(struct ak_claw_package) packages;
    /* How the cluster reaches it. */
    const struct ak_claw_service *service;
    /* What callers must show; left out, whoever reaches the port is served. */
    const struct ak_claw_auth *auth;
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

/* One package. */
struct ak_claw_package_status {
    /* Name of the package. */
    const char *name;
    /* Version that is installed. */
    const char *version;
    /* What is wrong. */
    const char *message;
};

/* What the manager found and did. */
struct ak_claw_status {
    /* Packages as they were installed. */
    AK_LIST_OF(struct ak_claw_package_status) packages;
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
 * A Claw hosts clawx packages. It becomes a Deployment and a Service; the packages are installed
 * when a pod starts.
 */
struct ak_claw {
    /* What it hosts, and how. */
    const struct ak_claw_spec *spec;
    /* What the manager found and did. */
    const struct ak_claw_status *status;
};

/* Initializer of a struct ak_resource. */
#define AK_CLAW_RESOURCE                                                                           \
    {                                                                                              \
        .group = AK_API_GROUP, .version = AK_API_VERSION, .kind = "Claw", .plural = "claws",       \
        .namespaced = true                                                                         \
    }

/*
 * What ak_decode() and ak_encode() take. spec and status of a decoded object are never NULL; both
 * are NULL in the zeroed body of an object that could not be decoded.
 */
extern AK_PUBLIC const struct ak_type ak_claw_type;
extern AK_PUBLIC const struct ak_type ak_claw_spec_type;
extern AK_PUBLIC const struct ak_type ak_claw_status_type;

#endif
