/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_catalog.h"

#include <string.h>

#include <ak/base/alloc.h>

#define MAX_SQL 16384

#define OURS_NOT " n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

static const char things_sql[] =
    "SELECT 'n', n.nspname, n.nspname, pg_catalog.pg_get_userbyid(n.nspowner), NULL"
    " FROM pg_catalog.pg_namespace n WHERE" OURS_NOT
    " UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END, n.nspname, c.relname,"
    " pg_catalog.pg_get_userbyid(c.relowner),"
    " (SELECT t.relname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t"
    " ON t.oid = d.refobjid WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::regclass"
    " AND d.objid = c.oid AND d.refclassid = d.classid AND d.deptype = 'a' LIMIT 1)"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND" OURS_NOT
    " UNION ALL SELECT 'f', n.nspname, p.proname, pg_catalog.pg_get_userbyid(p.proowner),"
    " pg_catalog.pg_get_function_identity_arguments(p.oid)"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    " WHERE" OURS_NOT;
static const char standard_things_sql[] =
    "SELECT 'n', schema_name, schema_name, NULL, NULL FROM information_schema.schemata"
    " UNION ALL SELECT 'r', table_schema, table_name, NULL, NULL FROM information_schema.tables"
    " WHERE table_schema NOT IN ('information_schema', 'pg_catalog', 'crdb_internal')";

/* $ is the grantee, as a condition on a.grantee. */
static const char rights_sql[] =
    "SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, a.privilege_type, n.nspname,"
    " c.relname, NULL FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,"
    " LATERAL pg_catalog.aclexplode(c.relacl) a WHERE $ AND" OURS_NOT
    " UNION ALL SELECT 'COLUMN', a.privilege_type, n.nspname, c.relname, t.attname"
    " FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c ON c.oid = t.attrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,"
    " LATERAL pg_catalog.aclexplode(t.attacl) a WHERE $ AND NOT t.attisdropped AND" OURS_NOT
    " UNION ALL SELECT 'SCHEMA', a.privilege_type, n.nspname, NULL, NULL"
    " FROM pg_catalog.pg_namespace n, LATERAL pg_catalog.aclexplode(n.nspacl) a WHERE $ "
    "AND" OURS_NOT " UNION ALL SELECT 'DATABASE', a.privilege_type, NULL, NULL, NULL"
    " FROM pg_catalog.pg_database b, LATERAL pg_catalog.aclexplode(b.datacl) a"
    " WHERE $ AND b.datname = pg_catalog.current_database()"
    " UNION ALL SELECT 'DEFAULT', a.privilege_type, n.nspname, CASE d.defaclobjtype"
    " WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'"
    " WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END, pg_catalog.pg_get_userbyid(d.defaclrole)"
    " FROM pg_catalog.pg_default_acl d"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace,"
    " LATERAL pg_catalog.aclexplode(d.defaclacl) a WHERE $";
static const char functions_sql[] =
    " UNION ALL SELECT 'FUNCTION', a.privilege_type, n.nspname, p.proname,"
    " pg_catalog.pg_get_function_identity_arguments(p.oid) FROM pg_catalog.pg_proc p"
    " JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace,"
    " LATERAL pg_catalog.aclexplode(p.proacl) a WHERE $ AND" OURS_NOT;
static const char standard_rights_sql[] =
    "SELECT 'TABLE', privilege_type, table_schema, table_name, NULL"
    " FROM information_schema.table_privileges WHERE $";
/* Whether it may, by whichever way: the schemas' own lists of rights are not to be had. */
static const char standard_schemas_sql[] =
    " UNION ALL SELECT 'SCHEMA', 'USAGE', nspname, NULL, NULL FROM pg_catalog.pg_namespace"
    " WHERE nspname NOT IN ('information_schema', 'pg_catalog', 'crdb_internal', 'pg_extension')"
    " AND has_schema_privilege($, nspname, 'USAGE')";

bool ak_pg_has_catalog(enum ak_tool_type type)
{
    return type == AK_TOOL_TYPE_POSTGRES;
}

struct loading {
    struct ak_arena *arena;
    struct ak_pg_thing *items;
    size_t n, cap;
    struct ak_pg_rights *rights;
};

static int keep(struct ak_arena *arena, const char *text, const char **ret)
{
    *ret = text ? ak_arena_strdup(arena, text) : NULL;
    return text && !*ret ? -ENOMEM : 0;
}

static int on_thing(void *user, size_t n, const char *const *values)
{
    struct loading *l = user;
    struct ak_pg_thing *thing;

    if (n != 5 || !values[0] || !values[1] || !values[2])
        return AK_E_PROTOCOL;
    if (l->n == AK_PG_MAX_THINGS)
        return AK_E_TOO_LARGE;
    if (l->n == l->cap) {
        struct ak_pg_thing *more =
            ak_reallocarray(l->items, l->cap ? 2 * l->cap : 64, sizeof(*more));

        if (!more)
            return -ENOMEM;
        l->items = more;
        l->cap = l->cap ? 2 * l->cap : 64;
    }
    thing = &l->items[l->n];
    *thing = (struct ak_pg_thing){.kind = values[0][0]};
    if (keep(l->arena, values[1], &thing->schema) < 0 ||
        keep(l->arena, values[2], &thing->name) < 0 ||
        keep(l->arena, values[3], &thing->owner) < 0 ||
        keep(l->arena, values[4], &thing->detail) < 0)
        return -ENOMEM;
    l->n++;
    return 0;
}

static int explain(int r, const char *what, struct ak_error **reterr)
{
    if (reterr && *reterr)
        return ak_error_wrap(reterr, r, "read %s", what);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    return ak_error_set(reterr, r, "read %s: %s", what, ak_code_text(r));
}

int ak_pg_load_things(struct ak_pg *pg, enum ak_tool_type type, struct ak_arena *arena,
                      struct ak_pg_things *ret, struct ak_error **reterr)
{
    struct loading l = {.arena = arena};
    struct ak_pg_thing *items = NULL;
    int r = ak_pg_run(pg, ak_pg_has_catalog(type) ? things_sql : standard_things_sql, on_thing, &l,
                      reterr);

    if (r >= 0) {
        items = ak_arena_alloc(arena, (l.n + 1) * sizeof(*items));
        if (items && l.n)
            memcpy(items, l.items, l.n * sizeof(*items));
    }
    ak_free(l.items);
    if (r < 0 || !items)
        return explain(r < 0 ? r : -ENOMEM, "what the database has", reterr);
    *ret = (struct ak_pg_things){.items = items, .n = l.n};
    return 0;
}

static int on_right(void *user, size_t n, const char *const *values)
{
    struct loading *l = user;
    struct ak_pg_right right = {.grant = SIZE_MAX};

    if (n != 5 || !values[0] || !values[1])
        return AK_E_PROTOCOL;
    right.on = ak_pg_on_from(values[0]);
    right.privilege = values[1];
    right.schema = values[2];
    right.object = values[3];
    right.detail = values[4];
    if (right.on == AK_PG_ON_MAX)
        return AK_E_PROTOCOL;
    return ak_pg_rights_add(l->rights, &right);
}

/* The query with the condition in each of its places. */
static int put_query(struct ak_buf *out, const char *query, const char *condition)
{
    int r = 0;

    while (r >= 0 && *query) {
        const size_t n = strcspn(query, "$");

        /* A $ that ends a regular expression is none of ours: there is none in these texts. */
        r = ak_buf_add(out, query, n);
        query += n;
        if (r >= 0 && *query == '$') {
            r = ak_buf_adds(out, condition);
            query++;
        }
    }
    return r;
}

static int put_condition(struct ak_buf *out, enum ak_tool_type type, const char *role)
{
    int r;

    if (!ak_pg_has_catalog(type)) {
        r = ak_buf_adds(out, "grantee = ");
        return r < 0 ? r : ak_pg_put_literal(out, role ? role : "public");
    }
    if (!role)
        return ak_buf_adds(out, "a.grantee = 0");
    r = ak_buf_adds(out, "a.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ");
    if (r >= 0)
        r = ak_pg_put_literal(out, role);
    return r < 0 ? r : ak_buf_adds(out, ")");
}

int ak_pg_load_rights(struct ak_pg *pg, enum ak_tool_type type, const char *role,
                      struct ak_pg_rights *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(MAX_SQL), condition = AK_BUF_INIT(1024);
    struct loading l = {.rights = ret};
    int r = put_condition(&condition, type, role);

    if (r >= 0)
        r = put_query(&sql, ak_pg_has_catalog(type) ? rights_sql : standard_rights_sql,
                      condition.data);
    if (r >= 0 && role && !ak_pg_has_catalog(type)) {
        ak_buf_clear(&condition);
        r = ak_pg_put_literal(&condition, role);
        if (r >= 0)
            r = put_query(&sql, standard_schemas_sql, condition.data);
    }
    /* PUBLIC may run every function unless that was taken away: no widening, but how PostgreSQL starts. */
    if (r >= 0 && role && ak_pg_has_catalog(type))
        r = put_query(&sql, functions_sql, condition.data);
    if (r < 0)
        return ak_error_oom(reterr);
    r = ak_pg_run(pg, sql.data, on_right, &l, reterr);
    return r < 0 ? explain(r, "the rights", reterr) : 0;
}
