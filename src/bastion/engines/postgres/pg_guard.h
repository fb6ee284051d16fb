/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a session that may only read, on a role that may do more: which statements pass, by their text alone. The session's
 * transactions are READ ONLY by default besides; this keeps it from saying otherwise.
 */
#ifndef AK_BASTION_PG_GUARD_H
#define AK_BASTION_PG_GUARD_H

#include "engines/engine.h"
#include <stddef.h>

/* NULL: it may run; else why not, in words for the client (a constant). */
const char *ak_pg_guard(enum ak_tool_type type, enum ak_statement_class class_, const char *text,
                        size_t len);

#endif
