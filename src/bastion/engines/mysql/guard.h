/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a session that may only read: which statements pass, by their text alone. The user that is made for readers has
 * no right to write, but every user of MySQL may change its own password. With any other user it is a session setting
 * that keeps transactions from writing, which nobody may then change.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_GUARD_H
#define AK_BASTION_ENGINES_MYSQL_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engines/classify.h"

enum ak_mysql_guard {
    AK_MYSQL_GUARD_NONE,   /* not a reader */
    AK_MYSQL_GUARD_READER, /* logged in as the reader that was made for it */
    AK_MYSQL_GUARD_STRICT, /* logged in as somebody who could write */
};
/* Whether the statement may run. Else *ret_why says why not, for the client; a constant. */
bool ak_mysql_guard(enum ak_mysql_guard guard, enum ak_statement_class class_,
                    const struct ak_sql_facts *facts, const char *text, size_t len,
                    const char **ret_why);
/* KILL [HARD|SOFT] [CONNECTION|QUERY] number: what Ctrl-C of a client sends over a second connection. */
bool ak_mysql_is_kill(const char *text, size_t len, uint32_t *ret_thread_id);

#endif
