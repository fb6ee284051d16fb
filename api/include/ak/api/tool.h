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

/* The same as config.sslMode; set one of them, or both the same. */
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

/*
 * Writes: what may change something. Sessions cannot wait in their middle, so exec, connect and
 * forward only read where this is not Never.
 */
enum ak_approval_mode {
    AK_APPROVAL_MODE_UNSET, /* the field is absent */
    AK_APPROVAL_MODE_NEVER,
    AK_APPROVAL_MODE_WRITES,
    AK_APPROVAL_MODE_ALWAYS,
    AK_APPROVAL_MODE_MAX,
};
extern AK_PUBLIC const char *const ak_approval_mode_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_approval_mode_to_string(enum ak_approval_mode value)
{
    return ak_enum_to_string(ak_approval_mode_names, AK_APPROVAL_MODE_MAX, (int)value);
}
static inline enum ak_approval_mode ak_approval_mode_from_string(const char *text)
{
    return (enum ak_approval_mode)ak_enum_from_string(ak_approval_mode_names, text);
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

/* The state in one word. Active: a bastion pod is up. */
enum ak_tool_phase {
    AK_TOOL_PHASE_UNSET, /* the field is absent */
    AK_TOOL_PHASE_PENDING,
    AK_TOOL_PHASE_READY,
    AK_TOOL_PHASE_ACTIVE,
    AK_TOOL_PHASE_FAILED,
    AK_TOOL_PHASE_TERMINATING,
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

/* What asks. */
enum ak_tool_caller_kind {
    AK_TOOL_CALLER_KIND_UNSET, /* the field is absent */
    AK_TOOL_CALLER_KIND_PERSON,
    AK_TOOL_CALLER_KIND_AGENT,
    AK_TOOL_CALLER_KIND_MAX,
};
extern AK_PUBLIC const char *const ak_tool_caller_kind_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_tool_caller_kind_to_string(enum ak_tool_caller_kind value)
{
    return ak_enum_to_string(ak_tool_caller_kind_names, AK_TOOL_CALLER_KIND_MAX, (int)value);
}
static inline enum ak_tool_caller_kind ak_tool_caller_kind_from_string(const char *text)
{
    return (enum ak_tool_caller_kind)ak_enum_from_string(ak_tool_caller_kind_names, text);
}

/* What kind of statement it is. */
enum ak_tool_statement_class {
    AK_TOOL_STATEMENT_CLASS_UNSET, /* the field is absent */
    AK_TOOL_STATEMENT_CLASS_UNKNOWN,
    AK_TOOL_STATEMENT_CLASS_READ,
    AK_TOOL_STATEMENT_CLASS_WRITE,
    AK_TOOL_STATEMENT_CLASS_ADMIN,
    AK_TOOL_STATEMENT_CLASS_SESSION,
    AK_TOOL_STATEMENT_CLASS_MAX,
};
extern AK_PUBLIC const char *const ak_tool_statement_class_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_tool_statement_class_to_string(enum ak_tool_statement_class value)
{
    return ak_enum_to_string(ak_tool_statement_class_names, AK_TOOL_STATEMENT_CLASS_MAX,
                             (int)value);
}
static inline enum ak_tool_statement_class ak_tool_statement_class_from_string(const char *text)
{
    return (enum ak_tool_statement_class)ak_enum_from_string(ak_tool_statement_class_names, text);
}

/* How it stands. Used: it was approved and has been done, which it can be once. */
enum ak_approval_phase {
    AK_APPROVAL_PHASE_UNSET, /* the field is absent */
    AK_APPROVAL_PHASE_PENDING,
    AK_APPROVAL_PHASE_APPROVED,
    AK_APPROVAL_PHASE_DENIED,
    AK_APPROVAL_PHASE_EXPIRED,
    AK_APPROVAL_PHASE_USED,
    AK_APPROVAL_PHASE_MAX,
};
extern AK_PUBLIC const char *const ak_approval_phase_names[]; /* as in JSON; NULL ends it */
static inline const char *ak_approval_phase_to_string(enum ak_approval_phase value)
{
    return ak_enum_to_string(ak_approval_phase_names, AK_APPROVAL_PHASE_MAX, (int)value);
}
static inline enum ak_approval_phase ak_approval_phase_from_string(const char *text)
{
    return (enum ak_approval_phase)ak_enum_from_string(ak_approval_phase_names, text);
}

/* How the server's certificate is checked, for every type that speaks TLS. */
struct ak_tool_tls {
    /* The same as config.sslMode; set one of them, or both the same. */
    enum ak_ssl_mode mode;
    /* The same as config.caRef; set one of them, or both the same. */
    const struct ak_secret_key_ref *ca_ref;
    /* Name that the certificate must be for; left out, the host name that is connected to. */
    const char *server_name;
};

/*
 * Whether a person has to agree before an operation is done. Without an answer in time it is
 * refused.
 */
struct ak_tool_approval_policy {
    /*
     * Writes: what may change something. Sessions cannot wait in their middle, so exec, connect and
     * forward only read where this is not Never.
     */
    enum ak_approval_mode mode;
    /* How long an answer is waited for. */
    const char *timeout;
};

/* Limits of one operation. What is beyond them is cut, and marked as cut. */
struct ak_tool_limits {
    /* Rows of a result. */
    int64_t max_rows;
    /* Bytes of a result, at most 8Mi. */
    const char *max_bytes;
    /* How long it may take, at most 1h. */
    const char *timeout;
};

/*
 * Recordings of interactive terminals, as asciicast files. What is typed is not in them, what is
 * shown is.
 */
struct ak_tool_recording_policy {
    /* Whether they are made. */
    bool enabled;
    /* How long they are kept. */
    const char *retention;
    /* How many are kept, the newest. */
    int64_t max_recordings;
};

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
    /* Virtual host; left out, / (rabbitmq). */
    const char *virtual_host;
    /*
     * Port of the management API, which the bastion uses; left out, 15671 with TLS, else 15672
     * (rabbitmq).
     */
    struct ak_opt_int management_port;
    /* Brokers as host:port, in place of hostname and port (kafka). */
    struct ak_string_list brokers;
    /* How to log in (kafka). */
    enum ak_sasl_mechanism sasl_mechanism;
    /* Headers of every request. Never put a credential here (http, elasticsearch). */
    struct ak_string_map headers;
    /*
     * Header that carries the credential as it is, for example X-Api-Key; left out, Authorization,
     * as Basic with username and as Bearer (elasticsearch: ApiKey) without (http, elasticsearch).
     */
    const char *credential_header;
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
 * these rights is made for it. Left out, people have the rights of the credential, and agents may
 * read. Empty, everybody may read.
 */
struct ak_tool_permissions {
    /*
     * Password of somebody who may create users and roles. Only the provisioning Job gets it. The
     * user is adminUsername, else what is under the key `username` of the same Secret, else
     * config.username.
     */
    const struct ak_secret_key_ref *admin_credentials_ref;
    /* Name that belongs to adminCredentialsRef. */
    const char *admin_username;
    /* Nothing that writes is granted, whatever else is listed here. */
    bool read_only;
    /* Rights on objects of a database. */
    AK_LIST_OF(struct ak_tool_grant) grants;
    /* Roles that the system already has (mongodb, clickhouse, snowflake, elasticsearch). */
    struct ak_string_list roles;
    /*
     * Commands that may be run, exactly as they are here (ssh, custom), or access rules such as
     * +@read (redis).
     */
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
    /*
     * How long a session may be without traffic, and a bastion pod without a session, before it
     * ends. A statement that runs and a stream that is open are not idle.
     */
    const char *idle_timeout;
    /* Seconds after which a session ends whatever it does; 0 is no limit. */
    int64_t max_session_seconds;
    /* How many sessions and operations may be open at once. */
    int64_t max_sessions;
    /* How the server's certificate is checked, for every type that speaks TLS. */
    const struct ak_tool_tls *tls;
    /*
     * Whether a person has to agree before an operation is done. Without an answer in time it is
     * refused.
     */
    const struct ak_tool_approval_policy *approval;
    /* Limits of one operation. What is beyond them is cut, and marked as cut. */
    const struct ak_tool_limits *limits;
    /*
     * Recordings of interactive terminals, as asciicast files. What is typed is not in them, what
     * is shown is.
     */
    const struct ak_tool_recording_policy *recording;
    /* How to reach the system. Which fields count depends on the type. */
    const struct ak_tool_config *config;
    /*
     * What may be done through the Tool, enforced by the system itself: a user or role with exactly
     * these rights is made for it. Left out, people have the rights of the credential, and agents
     * may read. Empty, everybody may read.
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
    /* Whether something answered there. */
    bool reachable;
    /* Whether the credential was taken. */
    bool authenticated;
    /* Whether it may do what a session needs. */
    bool authorised;
    /* What the server calls itself, with its version. */
    const char *server;
    /* What was found, in the server's own words. */
    const char *message;
    /* Checks that failed one after another. */
    int64_t failures;
    /* Hash of what the check was made for. */
    const char *hash;
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

/* The users that were made in the system for this Tool. */
struct ak_tool_identity {
    /* When their passwords were last replaced. */
    ak_msec rotated_time;
    /* Hash of the permissions that they were made for. */
    const char *hash;
};

/* What the last run of the provisioning did. */
struct ak_tool_provisioning {
    /* When it ended. */
    ak_msec time;
    /* Whether everything is as the permissions say. */
    bool succeeded;
    /* What was found, in the server's own words. */
    const char *message;
    /* Runs that failed one after another. */
    int64_t failures;
    /* Hash of the permissions that it was made for. */
    const char *hash;
    /* What the system cannot enforce, one sentence each; the Tool refuses then. */
    struct ak_string_list unenforceable;
    /* What it changed in the system, one sentence each; empty, everything was as it should be. */
    struct ak_string_list changed;
};

/* One operation. */
struct ak_tool_approval {
    /* Name of the request. */
    const char *id;
    /* Hash of caller, operation and arguments: what was agreed to is this and nothing else. */
    const char *hash;
    /* Who wants to do it. */
    const char *requested_by;
    /* What asks. */
    enum ak_tool_caller_kind caller;
    /* What is to be done. */
    const char *operation;
    /* What kind of statement it is. */
    enum ak_tool_statement_class class;
    /* Whether it is done by the identity that may only read. */
    bool read_only;
    /* The beginning of the statement, without literals of passwords. */
    const char *preview;
    /* When it was asked for. */
    ak_msec requested_time;
    /* When it is refused without an answer. */
    ak_msec expires_time;
    /* How it stands. Used: it was approved and has been done, which it can be once. */
    enum ak_approval_phase phase;
    /* Who answered. */
    const char *decided_by;
    /* When. */
    ak_msec decided_time;
    /* What the answer said. */
    const char *reason;
};

/* One recording. */
struct ak_tool_recording {
    /* Name of the recording. */
    const char *id;
    /* Session that it is of. */
    const char *session_id;
    /* Who sat at the terminal. */
    const char *user;
    /* When it began. */
    ak_msec start_time;
    /* How long it is. */
    int64_t duration_seconds;
    /* Bytes of the file, before it was compressed. */
    int64_t bytes;
    /* Bytes that it takes. */
    int64_t stored_bytes;
    /* Whether its end is missing. */
    bool truncated;
};

/* What the manager found and did. */
struct ak_tool_status {
    /* The state in one word. Active: a bastion pod is up. */
    enum ak_tool_phase phase;
    /* What the last connection check found. */
    const struct ak_tool_probe *last_probe;
    /* The bastion pod, while there is one. */
    const struct ak_tool_bastion *bastion;
    /* Image that a bastion runs, after a mirror was applied. */
    const char *image;
    /* Hash of the permissions that are in force in the system. */
    const char *permissions_hash;
    /* The users that were made in the system for this Tool. */
    const struct ak_tool_identity *identity;
    /* What the last run of the provisioning did. */
    const struct ak_tool_provisioning *last_provisioned;
    /* Operations that wait for a person, or waited, newest first. */
    AK_LIST_OF(struct ak_tool_approval) approvals;
    /* Recordings of terminals that are kept, newest first. */
    AK_LIST_OF(struct ak_tool_recording) recordings;
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
