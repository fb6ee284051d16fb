/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about the types of Tools: one row for each of them, as data. The manager validates and explains with
 * it, the bastion asks it before every call, the keeper shows its operations to agents, exo and docs/tools.md list
 * it. Pure: no I/O, no state, any thread.
 *
 *     const struct ak_engine_info *info = ak_engine_info(spec->type);
 *     const struct ak_operation *operation = ak_engine_operation(info, "query");
 *     ...
 *     ak_policy_decide(spec, "query", arguments, read_only, &arena, &decision, &err);      policy.h
 *
 * Beside it: classify.h (what a statement does), policy.h (whether it may be done, and by which rule), names.h (names
 * that are made for identities and for MCP tools).
 */
#ifndef AK_ENGINES_ENGINE_H
#define AK_ENGINES_ENGINE_H

#include <ak/api/tool.h>
#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_OPERATIONS_MAX 8 /* of one type */

/* What a statement, command or request does. Ordered by what it can do; compare only READ with the rest. */
enum ak_statement_class {
    AK_CLASS_UNKNOWN, /* not understood: counts as a write wherever somebody has to decide */
    AK_CLASS_READ,    /* changes nothing */
    AK_CLASS_WRITE,   /* changes data */
    AK_CLASS_ADMIN,   /* changes objects, rights or the server, or reaches outside of it */
    AK_CLASS_SESSION, /* changes this session only: SET, BEGIN, USE */
    AK_CLASS_MAX
};
/* "unknown", "read", "write", "admin", "session". */
const char *ak_statement_class_name(enum ak_statement_class value);

/* One thing that can be asked of a Tool in a structured way: an MCP tool for agents, `exo tool call` for people. */
struct ak_operation {
    const char *name;        /* query */
    const char *title;       /* Query */
    const char *description; /* for the model; one or two sentences */
    const char
        *schema; /* JSON Schema of the arguments, as text: an object, additionalProperties false */
    /* The most that it can do by construction; what it does in one call says ak_policy_decide(). READ: its engine
     * forces it (a READ ONLY transaction or its like), besides what the policy refuses before. */
    enum ak_statement_class at_most;
    bool streams; /* reads until a limit or a timeout, for example from a topic */
};

enum ak_engine_flags {
    AK_ENGINE_FORWARD = 1 << 0, /* `exo tool forward`: the bastion adds the credential */
    AK_ENGINE_PROVISION =
        1 << 1, /* spec.permissions become a user or role that we make in the system */
    AK_ENGINE_DIRECT =
        1 << 2, /* the client program itself needs the credential: it is mounted there too */
    AK_ENGINE_TESTED = 1 << 3,    /* tested against a real server, not a stand-in */
    AK_ENGINE_READ_ONLY = 1 << 4, /* can force reading only, without an identity of its own */
    AK_ENGINE_SQL = 1 << 5,       /* speaks SQL: query, execute, list_tables, describe_table */
    AK_ENGINE_CONNECT = 1 << 6,   /* `exo tool connect` gives an interactive client */
};

/* The fields of spec.config, and of spec.permissions, as bits in the order of their names' tables. */
enum ak_config_field {
    AK_CONFIG_HOSTNAME,
    AK_CONFIG_PORT,
    AK_CONFIG_URL,
    AK_CONFIG_USERNAME,
    AK_CONFIG_DATABASE_NAME,
    AK_CONFIG_SSL_MODE,
    AK_CONFIG_CREDENTIALS_REF,
    AK_CONFIG_CA_REF,
    AK_CONFIG_HOST_KEY,
    AK_CONFIG_CONTEXT,
    AK_CONFIG_IN_CLUSTER,
    AK_CONFIG_ACCOUNT,
    AK_CONFIG_WAREHOUSE,
    AK_CONFIG_ROLE,
    AK_CONFIG_SCHEMA,
    AK_CONFIG_PROJECT,
    AK_CONFIG_DATASET,
    AK_CONFIG_LOCATION,
    AK_CONFIG_SERVICE_NAME,
    AK_CONFIG_AUTH_SOURCE,
    AK_CONFIG_REPLICA_SET,
    AK_CONFIG_VIRTUAL_HOST,
    AK_CONFIG_MANAGEMENT_PORT,
    AK_CONFIG_BROKERS,
    AK_CONFIG_SASL_MECHANISM,
    AK_CONFIG_HEADERS,
    AK_CONFIG_CREDENTIAL_HEADER,
    AK_CONFIG_IMAGE,
    AK_CONFIG_COMMAND,
    AK_CONFIG_ENV,
    AK_CONFIG_FIELD_MAX
};
enum ak_permission_field {
    AK_PERMISSION_ADMIN_CREDENTIALS_REF,
    AK_PERMISSION_ADMIN_USERNAME,
    AK_PERMISSION_READ_ONLY,
    AK_PERMISSION_GRANTS,
    AK_PERMISSION_ROLES,
    AK_PERMISSION_COMMANDS,
    AK_PERMISSION_REQUESTS,
    AK_PERMISSION_RULES,
    AK_PERMISSION_NAMESPACES,
    AK_PERMISSION_CLUSTER_WIDE,
    AK_PERMISSION_FIELD_MAX
};
#define AK_USES(field) (1u << (field))
const char *ak_config_field_name(enum ak_config_field field);         /* "hostname" */
const char *ak_permission_field_name(enum ak_permission_field field); /* "grants" */
/* The fields that are set, as bits; config and permissions may be NULL. */
uint32_t ak_config_fields(const struct ak_tool_config *config);
uint32_t ak_permission_fields(const struct ak_tool_permissions *permissions);

struct ak_engine_info {
    enum ak_tool_type type;
    const char *name;   /* spec.type */
    const char *title;  /* PostgreSQL */
    const char *family; /* of src/bastion/engines: postgres, mysql, redis, http, process */
    const char *
        image; /* name of our image below adaptivelive/, for ak_image_default(); NULL: spec.image must say */
    uint16_t port;        /* the usual one; 0: the type has none */
    uint16_t tls_port;    /* the usual one with TLS, where that is another; else the same */
    unsigned flags;       /* enum ak_engine_flags */
    uint32_t config;      /* fields of spec.config that it uses */
    uint32_t places;      /* those of them of which exactly one must be set; 0: none need be */
    uint32_t permissions; /* fields of spec.permissions that it uses */
    const struct ak_operation *operations;
    size_t n_operations;
    const char *enforced; /* who enforces permissions, in one sentence, for docs and conditions */
};

/* Never NULL for a type of the schema; NULL for UNSET and what is out of range. */
const struct ak_engine_info *ak_engine_info(enum ak_tool_type type);
/* NULL: the type has no such operation. */
const struct ak_operation *ak_engine_operation(const struct ak_engine_info *info, const char *name);

/* How TLS is used: spec.tls.mode, else config.sslMode, else AK_SSL_MODE_UNSET (the engine's default). */
enum ak_ssl_mode ak_tool_ssl_mode(const struct ak_tool_spec *spec);
/* spec.tls.caRef, else config.caRef, else NULL. */
const struct ak_secret_key_ref *ak_tool_ca_ref(const struct ak_tool_spec *spec);
/*
 * The port that the bastion connects to: config.port, else the one in config.url, else the usual one of the type and
 * its use of TLS; for rabbitmq that of the management API. 0: it has none (custom) or it is in the credential
 * (kubernetes with a kubeconfig).
 */
uint16_t ak_tool_port(const struct ak_tool_spec *spec);

struct ak_tool_endpoint {
    const char *host; /* NULL: any, it is not known from the spec */
    uint16_t port;    /* 0: any */
};
/*
 * Everything that the bastion connects to, for its NetworkPolicy: the brokers of kafka, a cloud's token endpoint. In
 * the arena. Empty for a Tool that says nothing (kubernetes with a kubeconfig, custom).
 */
AK_MUST_USE int ak_tool_endpoints(const struct ak_tool_spec *spec, struct ak_arena *arena,
                                  const struct ak_tool_endpoint **ret, size_t *ret_n,
                                  struct ak_error **reterr);
/* spec.image, else config.image (custom), else NULL: the type's default. */
const char *ak_tool_image(const struct ak_tool_spec *spec);

#endif
