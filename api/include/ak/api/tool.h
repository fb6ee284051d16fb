/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from api/v1alpha1/tool.yaml by api/generate.py: change that file, not this one. */
/*
 * A Tool is a typed connection to an external system. No pod is kept for it: a bastion pod comes up
 * on demand, holds the credential, and goes away when it is idle.
 */
#ifndef AK_API_TOOL_H
#define AK_API_TOOL_H

#include <ak/api/types.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/condition.h>
#include <ak/kube/resource.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Kind of the system. It selects the bastion's image, the check that probe runs, and the meaning of
 * permissions; custom needs its own image.
 */
enum ak_tool_type {
    AK_TOOL_TYPE_UNSET, /* the field is absent */
    AK_TOOL_TYPE_SSH,
    AK_TOOL_TYPE_POSTGRES,
    AK_TOOL_TYPE_MYSQL,
    AK_TOOL_TYPE_SQLSERVER,
    AK_TOOL_TYPE_MONGODB,
    AK_TOOL_TYPE_REDIS,
    AK_TOOL_TYPE_CLICKHOUSE,
    AK_TOOL_TYPE_KUBERNETES,
    AK_TOOL_TYPE_HTTP,
    AK_TOOL_TYPE_SNOWFLAKE,
    AK_TOOL_TYPE_BIGQUERY,
    AK_TOOL_TYPE_ELASTICSEARCH,
    AK_TOOL_TYPE_KAFKA,
    AK_TOOL_TYPE_ORACLE,
    AK_TOOL_TYPE_COCKROACHDB,
    AK_TOOL_TYPE_REDSHIFT,
    AK_TOOL_TYPE_RABBITMQ,
    AK_TOOL_TYPE_CUSTOM,
    AK_TOOL_TYPE_MAX,
};
extern AK_PUBLIC const char *const ak_tool_type_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_tool_type_to_string(enum ak_tool_type value)
{
    return ak_enum_to_string(ak_tool_type_names, AK_TOOL_TYPE_MAX, (int)value);
}
static inline enum ak_tool_type ak_tool_type_from_string(const char *text)
{
    return (enum ak_tool_type)ak_enum_from_string(ak_tool_type_names, text);
}

/* How TLS is used, in the words of PostgreSQL, for every type that speaks TLS. */
enum ak_ssl_mode {
    AK_SSL_MODE_UNSET, /* the field is absent */
    AK_SSL_MODE_DISABLE,
    AK_SSL_MODE_ALLOW,
    AK_SSL_MODE_PREFER,
    AK_SSL_MODE_REQUIRE,
    AK_SSL_MODE_VERIFY_CA,
    AK_SSL_MODE_VERIFY_FULL,
    AK_SSL_MODE_MAX,
};
extern AK_PUBLIC const char *const ak_ssl_mode_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_ssl_mode_to_string(enum ak_ssl_mode value)
{
    return ak_enum_to_string(ak_ssl_mode_names, AK_SSL_MODE_MAX, (int)value);
}
static inline enum ak_ssl_mode ak_ssl_mode_from_string(const char *text)
{
    return (enum ak_ssl_mode)ak_enum_from_string(ak_ssl_mode_names, text);
}

/* How to log in (kafka). */
enum ak_sasl_mechanism {
    AK_SASL_MECHANISM_UNSET, /* the field is absent */
    AK_SASL_MECHANISM_PLAIN,
    AK_SASL_MECHANISM_SCRAM_SHA_256,
    AK_SASL_MECHANISM_SCRAM_SHA_512,
    AK_SASL_MECHANISM_MAX,
};
extern AK_PUBLIC const char *const ak_sasl_mechanism_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_sasl_mechanism_to_string(enum ak_sasl_mechanism value)
{
    return ak_enum_to_string(ak_sasl_mechanism_names, AK_SASL_MECHANISM_MAX, (int)value);
}
static inline enum ak_sasl_mechanism ak_sasl_mechanism_from_string(const char *text)
{
    return (enum ak_sasl_mechanism)ak_enum_from_string(ak_sasl_mechanism_names, text);
}

/*
 * The state in one word. Active: a bastion pod is up. Unsupported: the installed manager does not
 * run objects of this kind.
 */
enum ak_tool_phase {
    AK_TOOL_PHASE_UNSET, /* the field is absent */
    AK_TOOL_PHASE_PENDING,
    AK_TOOL_PHASE_READY,
    AK_TOOL_PHASE_ACTIVE,
    AK_TOOL_PHASE_FAILED,
    AK_TOOL_PHASE_TERMINATING,
    AK_TOOL_PHASE_UNSUPPORTED,
    AK_TOOL_PHASE_MAX,
};
extern AK_PUBLIC const char *const ak_tool_phase_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_tool_phase_to_string(enum ak_tool_phase value)
{
    return ak_enum_to_string(ak_tool_phase_names, AK_TOOL_PHASE_MAX, (int)value);
}
static inline enum ak_tool_phase ak_tool_phase_from_string(const char *text)
{
    return (enum ak_tool_phase)ak_enum_from_string(ak_tool_phase_names, text);
}

/* How to reach the system. Which fields count depends on the type. */
struct ak_tool_config {
    /* Host name or address. */
    const char *hostname;
    /* Port; left out, the usual one of the type. */
    struct ak_opt_int port;
    /* Base URL, in place of hostname and port (http, elasticsearch, clickhouse). */
    const char *url;
    /* Name to log in with. */
    const char *username;
    /* Database, keyspace or number of a database. */
    const char *database_name;
    /* How TLS is used, in the words of PostgreSQL, for every type that speaks TLS. */
    enum ak_ssl_mode ssl_mode;
    /* Password, private key, token, kubeconfig or service account file, by type. */
    const struct ak_secret_key_ref *credentials_ref;
    /* Certificate authorities in PEM form that the server is checked against. */
    const struct ak_secret_key_ref *ca_ref;
    /* Public key of the server as in known_hosts (ssh). */
    const char *host_key;
    /* Context of the kubeconfig (kubernetes). */
    const char *context;
    /* Whether the cluster that the Tool is in is meant, with no kubeconfig (kubernetes). */
    bool in_cluster;
    /* Account identifier (snowflake). */
    const char *account;
    /* Warehouse (snowflake). */
    const char *warehouse;
    /* Role to assume (snowflake). */
    const char *role;
    /* Default schema (snowflake and databases that have schemas). */
    const char *schema;
    /* Project that pays for queries (bigquery). */
    const char *project;
    /* Default dataset (bigquery). */
    const char *dataset;
    /* Region of the data (bigquery). */
    const char *location;
    /* Service name, where databaseName is not the SID (oracle). */
    const char *service_name;
    /* Database that knows the user (mongodb). */
    const char *auth_source;
    /* Name of the replica set (mongodb). */
    const char *replica_set;
    /* Virtual host (rabbitmq). */
    const char *virtual_host;
    /* Brokers as host:port, in place of hostname and port (kafka). */
    struct ak_string_list brokers;
    /* How to log in (kafka). */
    enum ak_sasl_mechanism sasl_mechanism;
    /* Headers of every request. Never put a credential here (http). */
    struct ak_string_map headers;
    /* Image of the bastion for type custom; the same as spec.image, set one of them. */
    const char *image;
    /* Program that a session runs (custom). */
    struct ak_string_list command;
    /* Plain environment of the bastion (custom). */
    AK_LIST_OF(struct ak_env_var) env;
};

/* Privileges on some objects. */
struct ak_tool_grant {
    /* Privileges in the engine's words, for example SELECT. */
    struct ak_string_list privileges;
    /* Database; left out, the one of config. */
    const char *database;
    /* Schema; left out, the engine's default. */
    const char *schema;
    /* Tables, views, collections, topics or queues; left out, all of the schema. */
    struct ak_string_list objects;
};

/* Methods on paths. */
struct ak_tool_request_rule {
    /* Methods; left out, all. */
    struct ak_string_list methods;
    /* Paths; a * stands for one part, at the end for everything below. Left out, all. */
    struct ak_string_list paths;
};

/* Verbs on resources. */
struct ak_tool_policy_rule {
    /* API groups; left out or empty text, the core group. */
    struct ak_string_list api_groups;
    /* Resources, in the plural. */
    struct ak_string_list resources;
    /* Names that the rule is limited to; left out, all. */
    struct ak_string_list resource_names;
    /* Verbs, for example get, list, watch. */
    struct ak_string_list verbs;
};

/*
 * What may be done through the Tool, enforced by the system itself: a user or role with exactly
 * these rights is made for it. Left out, the rights are those of the credential.
 */
struct ak_tool_permissions {
    /* Credential that may create users and roles. Only the provisioning Job gets it. */
    const struct ak_secret_key_ref *admin_credentials_ref;
    /* Nothing that writes is granted, whatever else is listed here. */
    bool read_only;
    /* Rights on objects of a database. */
    AK_LIST_OF(struct ak_tool_grant) grants;
    /* Roles that the system already has (mongodb, clickhouse, snowflake, elasticsearch). */
    struct ak_string_list roles;
    /* Commands that may be run (ssh), or access rules such as +@read (redis). */
    struct ak_string_list commands;
    /* Requests that may be made (http, elasticsearch). */
    AK_LIST_OF(struct ak_tool_request_rule) requests;
    /* Rules as in a Role (kubernetes). */
    AK_LIST_OF(struct ak_tool_policy_rule) rules;
    /* Namespaces that the rules hold in; left out, the Tool's own (kubernetes). */
    struct ak_string_list namespaces;
    /* Whether the rules hold in the whole cluster (kubernetes). */
    bool cluster_wide;
};

/* What the Tool connects to and what it allows. */
struct ak_tool_spec {
    /*
     * Kind of the system. It selects the bastion's image, the check that probe runs, and the
     * meaning of permissions; custom needs its own image.
     */
    enum ak_tool_type type;
    /* What it is, for people and for agents that choose a Tool. */
    const char *description;
    /* Words to find it by. */
    struct ak_string_list tags;
    /* Whether a connection is tried, in the way of the type, before the Tool is Ready. */
    bool probe;
    /* How long a bastion pod may be without a session before it is removed. */
    const char *idle_timeout;
    /* How to reach the system. Which fields count depends on the type. */
    const struct ak_tool_config *config;
    /*
     * What may be done through the Tool, enforced by the system itself: a user or role with exactly
     * these rights is made for it. Left out, the rights are those of the credential.
     */
    const struct ak_tool_permissions *permissions;
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

/* What the last connection check found. */
struct ak_tool_probe {
    /* When it was made. */
    ak_msec time;
    /* Whether it connected. */
    bool succeeded;
    /* What it said. */
    const char *message;
};

/* The bastion pod, while there is one. */
struct ak_tool_bastion {
    /* Name of the pod. */
    const char *pod_name;
    /* Sessions that are open. */
    int64_t sessions;
    /* When a session was last open. */
    ak_msec last_used;
};

/* What the manager found and did. */
struct ak_tool_status {
    /*
     * The state in one word. Active: a bastion pod is up. Unsupported: the installed manager does
     * not run objects of this kind.
     */
    enum ak_tool_phase phase;
    /* What the last connection check found. */
    const struct ak_tool_probe *last_probe;
    /* The bastion pod, while there is one. */
    const struct ak_tool_bastion *bastion;
    /* Image that a bastion runs, after a mirror was applied. */
    const char *image;
    /* Hash of the permissions that are in force in the system. */
    const char *permissions_hash;
    /* The generation of the spec that this status is about. */
    int64_t observed_generation;
    /* What is true about the object right now. */
    ak_condition_list conditions;
};

/*
 * A Tool is a typed connection to an external system. No pod is kept for it: a bastion pod comes up
 * on demand, holds the credential, and goes away when it is idle.
 */
struct ak_tool {
    /* What the Tool connects to and what it allows. */
    const struct ak_tool_spec *spec;
    /* What the manager found and did. */
    const struct ak_tool_status *status;
};

/* Initializer of a struct ak_resource. */
#define AK_TOOL_RESOURCE                                                                           \
    {                                                                                              \
        .group = AK_API_GROUP, .version = AK_API_VERSION, .kind = "Tool", .plural = "tools",       \
        .namespaced = true                                                                         \
    }

/*
 * What ak_decode() and ak_encode() take. spec and status of a decoded object are never NULL; both
 * are NULL in the zeroed body of an object that could not be decoded.
 */
extern AK_PUBLIC const struct ak_type ak_tool_type;
extern AK_PUBLIC const struct ak_type ak_tool_spec_type;
extern AK_PUBLIC const struct ak_type ak_tool_status_type;

#endif
