/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether something may be done through a Tool, and which rule of its spec says so. Pure. The same functions answer
 * `exo tool explain`, decide in the manager before a bastion is started, and in the bastion before a call; the
 * system's own decision comes after them.
 */
#ifndef AK_ENGINES_POLICY_H
#define AK_ENGINES_POLICY_H

#include <ak/base/arena.h>
#include <ak/base/error.h>
#include <jansson.h>

#include "engines/classify.h"

/* Sessions are decided about like operations, by these names. */
#define AK_OPERATION_EXEC                                                                          \
    "exec" /* arguments {"args": [...]} or {"stdin": "..."}, both may be left out */
#define AK_OPERATION_CONNECT "connect" /* no arguments */
#define AK_OPERATION_FORWARD "forward" /* no arguments */

struct ak_decision {
    bool allowed;
    bool needs_approval; /* it is allowed once a person has agreed */
    enum ak_statement_class class;
    const char *
        rule; /* path of the rule that decides: "spec.permissions.grants[1]", "spec.approval", "engine" */
    const char *reason; /* in a sentence; never with a literal of the statement */
};
/*
 * Decides about one operation with its arguments. `read_only`: the caller may only read, see
 * ak_policy_is_read_only(). Strings of ret are constants or in the arena.
 * Errors: -EINVAL: the arguments do not fit the operation's schema; AK_E_NOT_FOUND: the type has no such operation;
 * -ENOMEM. A refusal is not an error: ret says it.
 */
AK_MUST_USE int ak_policy_decide(const struct ak_tool_spec *spec, const char *operation,
                                 const json_t *arguments, bool read_only, struct ak_arena *arena,
                                 struct ak_decision *ret, struct ak_error **reterr);

/*
 * Whether a caller has to be kept to reading: it asked for that (exo --read-only, Agent.spec.tools[].readOnly), it is
 * an agent and nobody wrote permissions for the Tool, or the permissions are to read.
 */
bool ak_policy_is_read_only(const struct ak_tool_spec *spec, bool is_agent, bool asked);
/* The same for exec, connect and forward, which cannot wait for an approval in their middle: a Tool with one gets
 * the reader there. */
bool ak_policy_session_is_read_only(const struct ak_tool_spec *spec, bool is_agent, bool asked);
/* Whether some operation of the type can be allowed to this caller at all: what agents are not shown otherwise. */
bool ak_policy_offers(const struct ak_tool_spec *spec, const struct ak_operation *operation,
                      bool read_only);

/* Whether permissions are set and become users or roles that we make in the system (identity files, Jobs). False for
 * kubernetes, where the manager makes the roles, and where the bastion itself enforces (http, ssh, custom). */
bool ak_policy_is_provisioned(const struct ak_tool_spec *spec);

/*
 * What of the permissions can not be enforced, one sentence each, with its path, NULL-terminated, in the arena; an
 * empty list (*ret[0] == NULL): all of it can. From the spec alone: a server may add to it while it is provisioned.
 * A Tool with something in this list refuses everything.
 */
AK_MUST_USE int ak_policy_enforceable(const struct ak_tool_spec *spec, struct ak_arena *arena,
                                      const char *const **ret_unenforceable,
                                      struct ak_error **reterr);

/* ---- grants ---- */

/* What a privilege of the type's own words allows (SELECT: read); UNKNOWN: the type has no such privilege. Case does
 * not matter. */
enum ak_statement_class ak_privilege_class(enum ak_tool_type type, const char *privilege);

/* Whether one of the system's own roles is known to only read. The reader's identity gets no other. */
bool ak_role_reads(enum ak_tool_type type, const char *role);

/* One of the grants that an identity is to have, with the defaults filled in. */
struct ak_effective_grant {
    const char *
        database; /* config.databaseName where the grant has none (virtualHost for rabbitmq); NULL: neither has */
    const char *schema; /* NULL: the engine's default (postgres: public) */
    /* As the engine spells them (SELECT, find), each once, NULL-terminated; never empty. */
    const char *const *privileges;
    const char *const
        *objects; /* NULL-terminated; empty: all of the schema or database, future ones too */
    size_t index; /* of the grant in spec.permissions.grants; SIZE_MAX: the default to read */
};
/*
 * The grants of one identity: the writer's are all, the reader's those privileges of them that only read; readOnly
 * makes both the same. Without any grants, roles or commands: to read everything in the configured database.
 * In the arena.
 */
AK_MUST_USE int ak_policy_grants(const struct ak_tool_spec *spec, bool writer,
                                 struct ak_arena *arena,
                                 const struct ak_effective_grant **ret_grants, size_t *ret_n,
                                 struct ak_error **reterr);

/* ---- requests ---- */

/*
 * Whether spec.permissions.requests let a request pass; without permissions everything may pass (the caller sees to
 * reading only). `path` is what goes on the request line, a query behind it does not matter. It is normalised first:
 * percent-encoded unreserved characters decoded, dot segments and double slashes refused, and so is what servers read
 * in more than one way (an encoded slash, backslash, NUL, ";", a broken escape). *ret_rule: index of the deciding
 * rule, SIZE_MAX: no rule.
 */
bool ak_http_rule_allows(const struct ak_tool_spec *spec, const char *method, const char *path,
                         size_t *ret_rule);
/* Whether ak_http_rule_allows() can read this path without doubt. */
bool ak_http_path_is_plain(const char *path);

#endif
