/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rights as a set: one entry is a privilege on something, written as GRANT and REVOKE want it. What a Tool's
 * permissions ask for is one set, what the catalog says is another; the difference is what must be done. Pure.
 */
#ifndef AK_BASTION_PG_RIGHTS_H
#define AK_BASTION_PG_RIGHTS_H

#include <ak/base/arena.h>
#include <ak/base/error.h>
#include <ak/base/map.h>
#include <stdbool.h>
#include <stddef.h>

#include "engines/policy.h"

#define AK_PG_MAX_RIGHTS 200000          /* of one identity in one database */
#define AK_PG_RIGHTS_MEMORY (128u << 20) /* of an arena that holds such sets */

enum ak_pg_on {
    AK_PG_ON_DATABASE,
    AK_PG_ON_SCHEMA,
    AK_PG_ON_TABLE, /* views too */
    AK_PG_ON_COLUMN,
    AK_PG_ON_SEQUENCE,
    AK_PG_ON_FUNCTION,
    AK_PG_ON_DEFAULT, /* of tables that an owner will make in a schema */
    AK_PG_ON_MAX
};

struct ak_pg_right {
    enum ak_pg_on on;
    const char *privilege;       /* "SELECT" */
    const char *schema, *object; /* names as they are; NULL where there is none */
    /* COLUMN: the column; FUNCTION: its arguments; DEFAULT: the owner. */
    const char *detail;
    size_t grant; /* index of the Tool's grant that asks for it; SIZE_MAX: none in particular */
    const char *key;
};

struct ak_pg_rights {
    struct ak_arena *arena;
    struct ak_map by_key; /* -> struct ak_pg_right */
};
void ak_pg_rights_init(struct ak_pg_rights *self, struct ak_arena *arena);
void ak_pg_rights_done(struct ak_pg_rights *self);
AK_DEFINE_AUTO(ak_pg_rights, ak_pg_rights_done)
/* Copies the texts; one that is there already stays. -ENOMEM; AK_E_TOO_LARGE. */
AK_MUST_USE int ak_pg_rights_add(struct ak_pg_rights *self, const struct ak_pg_right *right);
bool ak_pg_rights_has(const struct ak_pg_rights *self, const struct ak_pg_right *right);
/* The whole statement, with a semicolon. */
AK_MUST_USE int ak_pg_right_sql(const struct ak_pg_right *self, bool grant, const char *database,
                                const char *role, struct ak_buf *sql);
/* `SELECT on table "public"."orders"`, for people. */
AK_MUST_USE int ak_pg_right_words(const struct ak_pg_right *self, const char *database,
                                  struct ak_buf *out);
/* From the catalog's words: "TABLE", "SEQUENCE" ...; AK_PG_ON_MAX: another. */
enum ak_pg_on ak_pg_on_from(const char *word);

/* Something that exists in the database. */
struct ak_pg_thing {
    char kind; /* r table or view, S sequence, f function, n schema */
    const char *schema, *name;
    const char *owner;
    const char *detail; /* S: the table that it counts for; f: arguments; may be NULL */
};
struct ak_pg_things {
    const struct ak_pg_thing *items;
    size_t n;
};
/*
 * The rights that effective grants mean in one database. What does not exist, and privileges that PostgreSQL does not
 * know, are AK_E_INVALID, and *reterr names the grant. is_postgres: with CONNECT and default privileges for future
 * tables, which its relatives do not have, or not in this way.
 */
AK_MUST_USE int ak_pg_rights_expand(struct ak_pg_rights *self,
                                    const struct ak_effective_grant *grants, size_t n,
                                    const char *database, const struct ak_pg_things *things,
                                    bool is_postgres, struct ak_error **reterr);

#endif
