/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rights of a MySQL user as pairs of a privilege and what it is on: those that a Tool's permissions ask for, and those
 * that SHOW GRANTS tells of. Pure. Texts are SQL as the server itself writes it (with sql_mode empty), so a right
 * that is not understood can still be taken away by repeating it.
 */
#ifndef AK_BASTION_ENGINES_MYSQL_GRANTS_H
#define AK_BASTION_ENGINES_MYSQL_GRANTS_H

#include <ak/base/arena.h>
#include <ak/base/error.h>

#include "engines/policy.h"

#define AK_MYSQL_MAX_RIGHTS 8192
#define AK_MYSQL_ALL "ALL PRIVILEGES"

struct ak_mysql_right {
    const char *privilege; /* SELECT, SELECT (`a`), PROXY, GRANT OPTION, or the name of a role */
    const char *on;        /* `db`.*, `db`.`table`, *.*, PROCEDURE `db`.`p`; NULL: it is a role */
};
struct ak_mysql_rights {
    struct ak_mysql_right *items; /* in the arena, with their texts */
    size_t n, cap;
};

/*
 * What one of the two identities is to have. fold: the server keeps names in small letters. `refuse` is called with
 * what cannot be granted so, in a sentence; negative ends it.
 */
AK_MUST_USE int ak_mysql_wanted_rights(const struct ak_tool_spec *spec, bool writer, bool fold,
                                       struct ak_arena *arena, struct ak_mysql_rights *ret,
                                       int (*refuse)(void *user, const char *text), void *user,
                                       struct ak_error **reterr);
/* Adds what a line of SHOW GRANTS says. Other lines add nothing; AK_E_INVALID: it is not understood. */
AK_MUST_USE int ak_mysql_add_grant_line(const char *line, struct ak_arena *arena,
                                        struct ak_mysql_rights *rights, struct ak_error **reterr);
bool ak_mysql_has_right(const struct ak_mysql_rights *rights, const char *privilege,
                        const char *on);
/* Whether a right that the user has is part of what is wanted. */
bool ak_mysql_is_wanted(const struct ak_mysql_rights *wanted, const struct ak_mysql_right *right,
                        bool is_mariadb);

#endif
