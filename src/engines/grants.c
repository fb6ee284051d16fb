/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <string.h>
#include <strings.h>

#include "engines/policy_internal.h"

enum speaker {
    PG = 1,
    MY = 2,
    MS = 4,
    ORA = 8,
    CH = 16,
    MONGO = 32,
    ES = 64,
    KAFKA = 128,
    RABBIT = 256
};

static unsigned speaker_of(enum ak_tool_type type)
{
    static const unsigned speakers[AK_TOOL_TYPE_MAX] = {
        [AK_TOOL_TYPE_POSTGRES] = PG,      [AK_TOOL_TYPE_COCKROACHDB] = PG,
        [AK_TOOL_TYPE_REDSHIFT] = PG,      [AK_TOOL_TYPE_MYSQL] = MY,
        [AK_TOOL_TYPE_SQLSERVER] = MS,     [AK_TOOL_TYPE_ORACLE] = ORA,
        [AK_TOOL_TYPE_CLICKHOUSE] = CH,    [AK_TOOL_TYPE_MONGODB] = MONGO,
        [AK_TOOL_TYPE_ELASTICSEARCH] = ES, [AK_TOOL_TYPE_KAFKA] = KAFKA,
        [AK_TOOL_TYPE_RABBITMQ] = RABBIT,
    };

    return type < AK_TOOL_TYPE_MAX ? speakers[type] : 0;
}

/* In the engine's own spelling. What is not here cannot be granted through a Tool: rights on the server itself, on
 * its files and over other users are left out on purpose. */
static const struct privilege {
    const char *name;
    unsigned speakers;
    enum ak_statement_class class;
    bool is_default; /* what somebody who may read everything has */
} privileges[] = {
    {"SELECT", PG | MY | MS | ORA | CH, AK_CLASS_READ, true},
    {"CONNECT", PG, AK_CLASS_READ, false},
    {"SHOW VIEW", MY, AK_CLASS_READ, false},
    {"VIEW DEFINITION", MS, AK_CLASS_READ, false},
    {"READ", ORA, AK_CLASS_READ, false},
    {"SHOW", CH, AK_CLASS_READ, false},
    {"DICTGET", CH, AK_CLASS_READ, false},
    {"INSERT", PG | MY | MS | ORA | CH, AK_CLASS_WRITE, false},
    {"UPDATE", PG | MY | MS | ORA, AK_CLASS_WRITE, false},
    {"DELETE", PG | MY | MS | ORA, AK_CLASS_WRITE, false},
    {"TRUNCATE", PG | CH, AK_CLASS_WRITE, false},
    {"USAGE", PG, AK_CLASS_WRITE, false}, /* of sequences: the next value is a write */
    {"EXECUTE", PG | MY | MS | ORA, AK_CLASS_WRITE, false},
    {"ALTER UPDATE", CH, AK_CLASS_WRITE, false},
    {"ALTER DELETE", CH, AK_CLASS_WRITE, false},
    {"ALL", PG | MY | ORA | CH, AK_CLASS_WRITE, false},
    {"ALL PRIVILEGES", PG | MY | ORA, AK_CLASS_WRITE, false},
    {"CREATE", PG | MY, AK_CLASS_ADMIN, false},
    {"TEMPORARY", PG, AK_CLASS_ADMIN, false},
    {"TEMP", PG, AK_CLASS_ADMIN, false},
    {"REFERENCES", PG | MY | MS | ORA, AK_CLASS_ADMIN, false},
    {"TRIGGER", PG | MY, AK_CLASS_ADMIN, false},
    {"ALTER", MY | MS | ORA | CH, AK_CLASS_ADMIN, false},
    {"DROP", MY, AK_CLASS_ADMIN, false},
    {"INDEX", MY | ORA, AK_CLASS_ADMIN, false},
    {"CREATE VIEW", MY | CH, AK_CLASS_ADMIN, false},
    {"CREATE ROUTINE", MY, AK_CLASS_ADMIN, false},
    {"ALTER ROUTINE", MY, AK_CLASS_ADMIN, false},
    {"CREATE TEMPORARY TABLES", MY, AK_CLASS_ADMIN, false},
    {"LOCK TABLES", MY, AK_CLASS_ADMIN, false},
    {"EVENT", MY, AK_CLASS_ADMIN, false},
    {"CONTROL", MS, AK_CLASS_ADMIN, false},
    {"CREATE TABLE", CH, AK_CLASS_ADMIN, false},
    {"DROP TABLE", CH, AK_CLASS_ADMIN, false},
    {"DROP VIEW", CH, AK_CLASS_ADMIN, false},
    {"OPTIMIZE", CH, AK_CLASS_ADMIN, false},
    {"find", MONGO, AK_CLASS_READ, true},
    {"listCollections", MONGO, AK_CLASS_READ, true},
    {"listIndexes", MONGO, AK_CLASS_READ, true},
    {"collStats", MONGO, AK_CLASS_READ, true},
    {"dbStats", MONGO, AK_CLASS_READ, true},
    {"insert", MONGO, AK_CLASS_WRITE, false},
    {"update", MONGO, AK_CLASS_WRITE, false},
    {"remove", MONGO, AK_CLASS_WRITE, false},
    {"createCollection", MONGO, AK_CLASS_ADMIN, false},
    {"dropCollection", MONGO, AK_CLASS_ADMIN, false},
    {"createIndex", MONGO, AK_CLASS_ADMIN, false},
    {"dropIndex", MONGO, AK_CLASS_ADMIN, false},
    {"collMod", MONGO, AK_CLASS_ADMIN, false},
    {"read", ES | RABBIT, AK_CLASS_READ, true},
    {"view_index_metadata", ES, AK_CLASS_READ, true},
    {"monitor", ES, AK_CLASS_READ, false},
    {"write", ES | RABBIT, AK_CLASS_WRITE, false},
    {"index", ES, AK_CLASS_WRITE, false},
    {"create", ES, AK_CLASS_WRITE, false},
    {"create_doc", ES, AK_CLASS_WRITE, false},
    {"delete", ES, AK_CLASS_WRITE, false},
    {"all", ES, AK_CLASS_WRITE, false},
    {"create_index", ES, AK_CLASS_ADMIN, false},
    {"delete_index", ES, AK_CLASS_ADMIN, false},
    {"maintenance", ES, AK_CLASS_ADMIN, false},
    {"manage", ES, AK_CLASS_ADMIN, false},
    {"configure", RABBIT, AK_CLASS_ADMIN, false},
    {"READ", KAFKA, AK_CLASS_READ, true},
    {"DESCRIBE", KAFKA, AK_CLASS_READ, true},
    {"WRITE", KAFKA, AK_CLASS_WRITE, false},
};

static const struct privilege *find_privilege(enum ak_tool_type type, const char *name)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(privileges); i++)
        if ((privileges[i].speakers & speaker_of(type)) &&
            strcasecmp(privileges[i].name, name) == 0)
            return &privileges[i];
    return NULL;
}

enum ak_statement_class ak_privilege_class(enum ak_tool_type type, const char *privilege)
{
    const struct privilege *found = find_privilege(type, privilege);

    return found ? found->class : AK_CLASS_UNKNOWN;
}

bool ak_role_reads(enum ak_tool_type type, const char *role)
{
    return type == AK_TOOL_TYPE_MONGODB &&
           (ak_streq(role, "read") || ak_streq(role, "readAnyDatabase"));
}

static const char *database_of(const struct ak_tool_spec *spec, const struct ak_tool_grant *grant)
{
    if (grant && grant->database)
        return grant->database;
    if (!spec->config)
        return NULL;
    return spec->type == AK_TOOL_TYPE_RABBITMQ ? spec->config->virtual_host
                                               : spec->config->database_name;
}

static bool has_text(const char *const *list, const char *text)
{
    for (; *list; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

/* Those of a grant's privileges that an identity gets, in their own spelling; NULL: no memory. */
static const char *const *choose(const struct ak_tool_spec *spec, const struct ak_tool_grant *grant,
                                 bool all, struct ak_arena *arena)
{
    const char **list = ak_arena_alloc(arena, (grant->privileges.len + 1) * sizeof(*list));
    size_t n = 0;

    for (size_t i = 0; list && i < grant->privileges.len; i++) {
        const struct privilege *p = find_privilege(spec->type, grant->privileges.items[i]);
        if (p && (all || p->class == AK_CLASS_READ) && !has_text(list, p->name))
            list[n++] = p->name;
    }
    return list;
}

static int add_default(const struct ak_tool_spec *spec, struct ak_arena *arena,
                       struct ak_effective_grant *ret)
{
    const char **list = ak_arena_alloc(arena, (AK_ARRAY_LEN(privileges) + 1) * sizeof(*list));
    size_t n = 0;

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < AK_ARRAY_LEN(privileges); i++)
        if (privileges[i].is_default && (privileges[i].speakers & speaker_of(spec->type)))
            list[n++] = privileges[i].name;
    *ret = (struct ak_effective_grant){.database = database_of(spec, NULL),
                                       .schema = spec->config ? spec->config->schema : NULL,
                                       .privileges = list,
                                       .objects = list + n, /* its end: none */
                                       .index = SIZE_MAX};
    return n ? 1 : 0;
}

static int add_grant(const struct ak_tool_spec *spec, size_t index, bool all,
                     struct ak_arena *arena, struct ak_effective_grant *ret)
{
    const struct ak_tool_grant *grant = &spec->permissions->grants.items[index];
    const char *const *chosen = choose(spec, grant, all, arena);
    const char **objects = ak_arena_alloc(arena, (grant->objects.len + 1) * sizeof(*objects));

    if (!chosen || !objects)
        return -ENOMEM;
    for (size_t i = 0; i < grant->objects.len; i++)
        objects[i] = grant->objects.items[i];
    *ret = (struct ak_effective_grant){.database = database_of(spec, grant),
                                       .schema = grant->schema,
                                       .privileges = chosen,
                                       .objects = objects,
                                       .index = index};
    return chosen[0] ? 1 : 0;
}

int ak_policy_grants(const struct ak_tool_spec *spec, bool writer, struct ak_arena *arena,
                     const struct ak_effective_grant **ret_grants, size_t *ret_n,
                     struct ak_error **reterr)
{
    const struct ak_tool_permissions *p = spec->permissions;
    size_t max = p ? p->grants.len : 0;
    struct ak_effective_grant *list = ak_arena_alloc(arena, (max + 1) * sizeof(*list));
    size_t n = 0;

    if (!list)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < max; i++) {
        int r = add_grant(spec, i, writer && !p->read_only, arena, &list[n]);
        if (r < 0)
            return ak_error_oom(reterr);
        n += (size_t)r;
    }
    if (p && !ak__has_privileges(p)) {
        int r = add_default(spec, arena, &list[n]);
        if (r < 0)
            return ak_error_oom(reterr);
        n += (size_t)r;
    }
    *ret_grants = list;
    *ret_n = n;
    return 0;
}
