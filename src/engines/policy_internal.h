/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of policy share. */
#ifndef AK_ENGINES_POLICY_INTERNAL_H
#define AK_ENGINES_POLICY_INTERNAL_H

#include "engines/policy.h"

/* One decision while it is made. A check that refuses says so and returns false. */
struct ak_policy_case {
    const struct ak_tool_spec *spec;
    const struct ak_engine_info *info;
    const struct ak_operation *operation; /* NULL: a session */
    const char *name;                     /* of the operation or session */
    const json_t *arguments;              /* an object, or NULL */
    bool read_only;
    bool oom;
    struct ak_arena *arena;
    struct ak_decision *d;
};

/* Both return false, for `return ak__refuse(...)`. `fmt` never gets a literal of a statement. */
bool ak__refuse(struct ak_policy_case *c, const char *rule, const char *fmt, ...) AK_PRINTF(3, 4);
/* "spec.permissions.grants[1]"; NULL and c->oom without memory. */
const char *ak__rule(struct ak_policy_case *c, const char *list, size_t index);

/* Finds out the class of the operation and checks what is special to its type; false: refused. */
bool ak__check_operation(struct ak_policy_case *c);
bool ak__check_session(struct ak_policy_case *c);
/* permissions.commands of types whose bastion runs only what is listed. */
bool ak__check_command(struct ak_policy_case *c, const char *line);

/* Whether the permissions say what may be done, and not just how. */
bool ak__has_privileges(const struct ak_tool_permissions *permissions);
/* Whether some of it is more than reading. */
bool ak__may_write(const struct ak_tool_spec *spec);
/* Whether the caller can be kept to reading by somebody who enforces it. */
bool ak__can_force_read_only(const struct ak_tool_spec *spec, const struct ak_engine_info *info);

/* Checks arguments against the operation's schema, and adds nothing. -EINVAL with the path, -ENOMEM. */
AK_MUST_USE int ak__check_arguments(const struct ak_operation *operation, const json_t *arguments,
                                    struct ak_error **reterr);

/* The parts of a path, escapes decoded, in `out`; false: it is not plain. */
bool ak__plain_path(const char *path, char *out, size_t size);

#endif
