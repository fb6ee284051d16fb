/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_rights.h"

#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/postgres/pg_protocol.h"

static const struct {
    const char *word;    /* of our query of the catalog */
    const char *grammar; /* of GRANT */
    const char *name;    /* for people */
} ons[AK_PG_ON_MAX] = {
    [AK_PG_ON_DATABASE] = {"DATABASE", "DATABASE", "database"},
    [AK_PG_ON_SCHEMA] = {"SCHEMA", "SCHEMA", "schema"},
    [AK_PG_ON_TABLE] = {"TABLE", "TABLE", "table"},
    [AK_PG_ON_COLUMN] = {"COLUMN", "TABLE", "column"},
    [AK_PG_ON_SEQUENCE] = {"SEQUENCE", "SEQUENCE", "sequence"},
    [AK_PG_ON_FUNCTION] = {"FUNCTION", "ROUTINE", "function"},
    [AK_PG_ON_DEFAULT] = {"DEFAULT", "TABLES", "future tables"},
};

enum ak_pg_on ak_pg_on_from(const char *word)
{
    int on = 0;

    while (on < AK_PG_ON_MAX && strcmp(ons[on].word, word) != 0)
        on++;
    return (enum ak_pg_on)on;
}

void ak_pg_rights_init(struct ak_pg_rights *self, struct ak_arena *arena)
{
    self->arena = arena;
    ak_map_init(&self->by_key, AK_PG_MAX_RIGHTS);
}

void ak_pg_rights_done(struct ak_pg_rights *self)
{
    ak_map_done(&self->by_key);
}

/* Names may hold any character but NUL; each is written with its length, so that no two rights share a key. */
static int put_key(const struct ak_pg_right *right, struct ak_buf *key)
{
    const char *parts[] = {right->privilege, right->schema, right->object, right->detail};
    int r = ak_buf_addf(key, "%d", (int)right->on);

    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(parts); i++) {
        const char *part = parts[i] ? parts[i] : "";

        r = ak_buf_addf(key, " %zu:%s", strlen(part), part);
    }
    return r;
}

static int copy(struct ak_arena *arena, const char **text)
{
    if (!*text)
        return 0;
    *text = ak_arena_strdup(arena, *text);
    return *text ? 0 : -ENOMEM;
}

int ak_pg_rights_add(struct ak_pg_rights *self, const struct ak_pg_right *right)
{
    AK_AUTO(ak_buf) key = AK_BUF_INIT(4096);
    struct ak_pg_right *added;
    int r = put_key(right, &key);

    if (r < 0)
        return r;
    if (ak_map_get(&self->by_key, key.data))
        return 0;
    added = ak_arena_alloc(self->arena, sizeof(*added));
    if (!added)
        return -ENOMEM;
    *added = *right;
    added->key = key.data;
    if (copy(self->arena, &added->privilege) < 0 || copy(self->arena, &added->schema) < 0 ||
        copy(self->arena, &added->object) < 0 || copy(self->arena, &added->detail) < 0 ||
        copy(self->arena, &added->key) < 0)
        return -ENOMEM;
    return ak_map_put(&self->by_key, added->key, added, NULL);
}

bool ak_pg_rights_has(const struct ak_pg_rights *self, const struct ak_pg_right *right)
{
    AK_AUTO(ak_buf) key = AK_BUF_INIT(4096);

    return put_key(right, &key) >= 0 && ak_map_get(&self->by_key, key.data);
}

static int put_object(const struct ak_pg_right *r, const char *database, struct ak_buf *out)
{
    int code = 0;

    if (r->on == AK_PG_ON_DATABASE)
        return ak_pg_put_identifier(out, database);
    if (r->on == AK_PG_ON_SCHEMA)
        return ak_pg_put_identifier(out, r->schema);
    code = ak_pg_put_identifier(out, r->schema);
    if (code >= 0)
        code = ak_buf_adds(out, ".");
    if (code >= 0)
        code = ak_pg_put_identifier(out, r->object);
    if (code >= 0 && r->on == AK_PG_ON_FUNCTION)
        code = ak_buf_addf(out, "(%s)", r->detail ? r->detail : "");
    return code;
}

static int default_sql(const struct ak_pg_right *self, bool grant, const char *role,
                       struct ak_buf *sql)
{
    int r = ak_buf_adds(sql, "ALTER DEFAULT PRIVILEGES FOR ROLE ");

    if (r >= 0)
        r = ak_pg_put_identifier(sql, self->detail);
    if (r >= 0 && self->schema)
        r = ak_buf_adds(sql, " IN SCHEMA ");
    if (r >= 0 && self->schema)
        r = ak_pg_put_identifier(sql, self->schema);
    if (r >= 0)
        r = ak_buf_addf(sql, " %s %s ON %s %s ", grant ? "GRANT" : "REVOKE", self->privilege,
                        self->object, grant ? "TO" : "FROM");
    if (r >= 0)
        r = ak_pg_put_identifier(sql, role);
    return r < 0 ? r : ak_buf_adds(sql, ";");
}

int ak_pg_right_sql(const struct ak_pg_right *self, bool grant, const char *database,
                    const char *role, struct ak_buf *sql)
{
    int r;

    if (self->on == AK_PG_ON_DEFAULT)
        return default_sql(self, grant, role, sql);
    r = ak_buf_addf(sql, "%s %s", grant ? "GRANT" : "REVOKE", self->privilege);
    if (r >= 0 && self->on == AK_PG_ON_COLUMN) {
        r = ak_buf_adds(sql, " (");
        if (r >= 0)
            r = ak_pg_put_identifier(sql, self->detail);
        if (r >= 0)
            r = ak_buf_adds(sql, ")");
    }
    if (r >= 0)
        r = ak_buf_addf(sql, " ON %s ", ons[self->on].grammar);
    if (r >= 0)
        r = put_object(self, database, sql);
    if (r >= 0)
        r = ak_buf_addf(sql, " %s ", grant ? "TO" : "FROM");
    if (r >= 0)
        r = ak_pg_put_identifier(sql, role);
    return r < 0 ? r : ak_buf_adds(sql, ";");
}

int ak_pg_right_words(const struct ak_pg_right *self, const char *database, struct ak_buf *out)
{
    int r = ak_buf_addf(out, "%s on %s ", self->privilege, ons[self->on].name);

    if (r < 0)
        return r;
    if (self->on == AK_PG_ON_DEFAULT)
        return ak_buf_addf(out, "of \"%s\" in schema \"%s\"", self->detail,
                           self->schema ? self->schema : "any");
    if (self->on == AK_PG_ON_COLUMN) {
        r = ak_pg_put_identifier(out, self->detail);
        if (r >= 0)
            r = ak_buf_adds(out, " of ");
    }
    return r < 0 ? r : put_object(self, database, out);
}

/* --- from grants --- */

static const struct {
    const char *privilege, *spelling;
    enum ak_pg_on on;
} privileges[] = {
    {"SELECT", "SELECT", AK_PG_ON_TABLE},      {"INSERT", "INSERT", AK_PG_ON_TABLE},
    {"UPDATE", "UPDATE", AK_PG_ON_TABLE},      {"DELETE", "DELETE", AK_PG_ON_TABLE},
    {"TRUNCATE", "TRUNCATE", AK_PG_ON_TABLE},  {"REFERENCES", "REFERENCES", AK_PG_ON_TABLE},
    {"TRIGGER", "TRIGGER", AK_PG_ON_TABLE},    {"USAGE", "USAGE", AK_PG_ON_SEQUENCE},
    {"EXECUTE", "EXECUTE", AK_PG_ON_FUNCTION}, {"CREATE", "CREATE", AK_PG_ON_SCHEMA},
    {"CONNECT", "CONNECT", AK_PG_ON_DATABASE}, {"TEMPORARY", "TEMPORARY", AK_PG_ON_DATABASE},
    {"TEMP", "TEMPORARY", AK_PG_ON_DATABASE},
};

struct expansion {
    struct ak_pg_rights *rights;
    const struct ak_effective_grant *grant;
    const char *database, *schema;
    const struct ak_pg_things *things;
    bool is_postgres;
    struct ak_error **reterr;
};

static int add(const struct expansion *x, enum ak_pg_on on, const char *privilege,
               const char *object, const char *detail)
{
    const struct ak_pg_right right = {
        .on = on,
        .privilege = privilege,
        .schema = on == AK_PG_ON_DATABASE ? NULL : x->schema,
        .object = object,
        .detail = detail,
        .grant = x->grant->index,
    };
    int r = ak_pg_rights_add(x->rights, &right);

    if (r == AK_E_TOO_LARGE)
        return ak_error_set(x->reterr, r, "more than %d rights in one database", AK_PG_MAX_RIGHTS);
    return r < 0 ? ak_error_oom(x->reterr) : 0;
}

static int wrong(const struct expansion *x, const char *privilege, const char *what,
                 const char *name)
{
    if (x->grant->index == SIZE_MAX)
        return ak_error_set(x->reterr, AK_E_INVALID, "%s \"%s\" does not exist in database \"%s\"",
                            what, name, x->database);
    return ak_error_set(
        x->reterr, AK_E_INVALID,
        "spec.permissions.grants[%zu]: %s: %s \"%s\" does not exist in schema \"%s\" of database "
        "\"%s\"",
        x->grant->index, privilege, what, name, x->schema, x->database);
}

/* What a privilege of the Tool's falls on, when it falls on `thing`; AK_PG_ON_MAX: nothing. */
static enum ak_pg_on falls_on(enum ak_pg_on on, const char *privilege,
                              const struct ak_pg_thing *thing, bool is_named)
{
    if (on == AK_PG_ON_TABLE && thing->kind == 'r')
        return AK_PG_ON_TABLE;
    if (on == AK_PG_ON_SEQUENCE && thing->kind == 'S')
        return AK_PG_ON_SEQUENCE;
    /* A sequence that is named may be read and set too. */
    if (on == AK_PG_ON_TABLE && thing->kind == 'S' && is_named &&
        (strcmp(privilege, "SELECT") == 0 || strcmp(privilege, "UPDATE") == 0))
        return AK_PG_ON_SEQUENCE;
    if (on == AK_PG_ON_FUNCTION && thing->kind == 'f')
        return AK_PG_ON_FUNCTION;
    return AK_PG_ON_MAX;
}

/* Whoever may insert needs the counters behind the columns. table NULL: of all tables of the schema. */
static int add_counters(const struct expansion *x, const char *table)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < x->things->n; i++) {
        const struct ak_pg_thing *thing = &x->things->items[i];

        if (thing->kind == 'S' && thing->detail && (!table || strcmp(thing->detail, table) == 0) &&
            strcmp(thing->schema, x->schema) == 0)
            r = add(x, AK_PG_ON_SEQUENCE, "USAGE", thing->name, NULL);
    }
    return r;
}

static int add_thing(const struct expansion *x, enum ak_pg_on on, const char *privilege,
                     const struct ak_pg_thing *thing)
{
    int r = add(x, on, privilege, thing->name, on == AK_PG_ON_FUNCTION ? thing->detail : NULL);

    if (r >= 0 && on == AK_PG_ON_TABLE && x->grant->objects[0] && strcmp(privilege, "INSERT") == 0)
        r = add_counters(x, thing->name);
    if (r >= 0 && on == AK_PG_ON_TABLE && x->is_postgres && thing->owner && !x->grant->objects[0])
        r = add(x, AK_PG_ON_DEFAULT, privilege, "TABLES", thing->owner);
    return r;
}

/* `name` NULL: all of the schema. Returns how many there were. */
static int add_things(const struct expansion *x, enum ak_pg_on on, const char *privilege,
                      const char *name)
{
    int n = 0;

    for (size_t i = 0; i < x->things->n; i++) {
        const struct ak_pg_thing *thing = &x->things->items[i];
        const enum ak_pg_on falls = falls_on(on, privilege, thing, name);
        int r;

        if (falls == AK_PG_ON_MAX || strcmp(thing->schema, x->schema) != 0 ||
            (name && strcmp(thing->name, name) != 0))
            continue;
        r = add_thing(x, falls, privilege, thing);
        if (r < 0)
            return r;
        n++;
    }
    return n;
}

static const struct ak_pg_thing *find_schema(const struct expansion *x)
{
    for (size_t i = 0; i < x->things->n; i++) {
        if (x->things->items[i].kind == 'n' && strcmp(x->things->items[i].name, x->schema) == 0)
            return &x->things->items[i];
    }
    return NULL;
}

static int expand_privilege(const struct expansion *x, const char *privilege, enum ak_pg_on on)
{
    int r;

    if (on == AK_PG_ON_DATABASE || on == AK_PG_ON_SCHEMA)
        return add(x, on, privilege, NULL, NULL);
    if (!x->grant->objects[0]) {
        const struct ak_pg_thing *schema = find_schema(x);

        r = add_things(x, on, privilege, NULL);
        if (r >= 0 && on == AK_PG_ON_TABLE && strcmp(privilege, "INSERT") == 0)
            r = add_counters(x, NULL);
        /* An empty schema has an owner too, who will make its tables. */
        if (r >= 0 && on == AK_PG_ON_TABLE && x->is_postgres && schema && schema->owner)
            r = add(x, AK_PG_ON_DEFAULT, privilege, "TABLES", schema->owner);
        return r;
    }
    for (const char *const *name = x->grant->objects; *name; name++) {
        r = add_things(x, on, privilege, *name);
        if (r == 0)
            return wrong(x, privilege, on == AK_PG_ON_FUNCTION ? "function" : "table", *name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int expand_word(const struct expansion *x, const char *word)
{
    const bool all = strcmp(word, "ALL") == 0 || strcmp(word, "ALL PRIVILEGES") == 0;
    bool known = false;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(privileges); i++) {
        if (all ? privileges[i].on != AK_PG_ON_TABLE
                : strcmp(privileges[i].spelling, word) != 0 &&
                      strcmp(privileges[i].privilege, word) != 0)
            continue;
        known = true;
        r = expand_privilege(x, privileges[i].spelling, privileges[i].on);
    }
    if (r >= 0 && !known)
        return ak_error_set(x->reterr, AK_E_INVALID,
                            "spec.permissions.grants[%zu]: PostgreSQL has no privilege \"%s\"",
                            x->grant->index, word);
    return r;
}

int ak_pg_rights_expand(struct ak_pg_rights *self, const struct ak_effective_grant *grants,
                        size_t n, const char *database, const struct ak_pg_things *things,
                        bool is_postgres, struct ak_error **reterr)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const struct expansion x = {.rights = self,
                                    .grant = &grants[i],
                                    .database = database,
                                    .schema = grants[i].schema ? grants[i].schema : "public",
                                    .things = things,
                                    .is_postgres = is_postgres,
                                    .reterr = reterr};

        if (!grants[i].database || strcmp(grants[i].database, database) != 0)
            continue;
        if (!find_schema(&x))
            return wrong(&x, "USAGE", "schema", x.schema);
        if (is_postgres)
            r = add(&x, AK_PG_ON_DATABASE, "CONNECT", NULL, NULL);
        if (r >= 0)
            r = add(&x, AK_PG_ON_SCHEMA, "USAGE", NULL, NULL);
        for (const char *const *word = grants[i].privileges; r >= 0 && *word; word++)
            r = expand_word(&x, *word);
    }
    return r < 0 ? r : 0;
}
