/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a session that may only read: which statements pass, by their text alone. Its transactions are READ ONLY
 * by default, and the role that is made for readers has no right to write; but a session may say otherwise
 * about its transactions, and every role of PostgreSQL may make large objects, change its own password, write
 * to the log. This keeps it from both.
 */
#ifndef AK_BASTION_PG_GUARD_H
#define AK_BASTION_PG_GUARD_H

#include "engines/engine.h"
#include <stdbool.h>
#include <stddef.h>

#define AK_PG_GUARD_WHY 256
/* true: it may run; else `why` says why not, in words for the client. */
bool ak_pg_guard(enum ak_tool_type type, enum ak_statement_class class_, const char *text,
                 size_t len, char why[static AK_PG_GUARD_WHY]);

#endif
