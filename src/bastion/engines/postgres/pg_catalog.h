/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a database has and who may do what with it, asked of its catalog. CockroachDB and Redshift have less of
 * PostgreSQL's catalog; there the standard's views answer, which know tables only.
 */
#ifndef AK_BASTION_PG_CATALOG_H
#define AK_BASTION_PG_CATALOG_H

#include "bastion/engines/postgres/pg_conn.h"
#include "bastion/engines/postgres/pg_rights.h"

#define AK_PG_MAX_THINGS 100000

/* Whether the type's server has PostgreSQL's own catalog of rights. */
bool ak_pg_has_catalog(enum ak_tool_type type);
/* Schemas, tables, sequences and functions; in the arena. */
AK_MUST_USE int ak_pg_load_things(struct ak_pg *pg, enum ak_tool_type type, struct ak_arena *arena,
                                  struct ak_pg_things *ret, struct ak_error **reterr);
/* What a role has been granted, itself, in the database of the connection. role NULL: PUBLIC, without what
 * every database starts with and what is the system's. */
AK_MUST_USE int ak_pg_load_rights(struct ak_pg *pg, enum ak_tool_type type, const char *role,
                                  struct ak_pg_rights *ret, struct ak_error **reterr);

#endif
