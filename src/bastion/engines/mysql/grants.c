/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/mysql/grants.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <ak/base/buf.h>
#include <ak/base/text.h>

/* What MySQL can grant on a database; `table`: on a table, too. */
static const struct {
    const char *name;
    bool table;
} levels[] = {
    {"SELECT", true},         {"INSERT", true},       {"UPDATE", true},
    {"DELETE", true},         {"CREATE", true},       {"DROP", true},
    {"REFERENCES", true},     {"INDEX", true},        {"ALTER", true},
    {"CREATE VIEW", true},    {"SHOW VIEW", true},    {"TRIGGER", true},
    {"EXECUTE", false},       {"EVENT", false},       {"CREATE ROUTINE", false},
    {"ALTER ROUTINE", false}, {"LOCK TABLES", false}, {"CREATE TEMPORARY TABLES", false},
};
/* Accounts and rights are in the first; the others are made by the server and need no grant. */
static const char *const own_databases[] = {"mysql", "information_schema", "performance_schema"};

static int add(struct ak_mysql_rights *rights, struct ak_arena *arena, const char *privilege,
               const char *on)
{
    if (ak_mysql_has_right(rights, privilege, on))
        return 0;
    if (rights->n == rights->cap) {
        size_t cap = AK_MAX(rights->cap * 2, (size_t)32);
        struct ak_mysql_right *items;

        if (cap > AK_MYSQL_MAX_RIGHTS)
            return AK_E_TOO_LARGE;
        items = ak_arena_alloc(arena, cap * sizeof(*items));
        if (!items)
            return -ENOMEM;
        if (rights->n)
            memcpy(items, rights->items, rights->n * sizeof(*items));
        rights->items = items;
        rights->cap = cap;
    }
    rights->items[rights->n++] = (struct ak_mysql_right){privilege, on};
    return 0;
}

bool ak_mysql_has_right(const struct ak_mysql_rights *rights, const char *privilege, const char *on)
{
    for (size_t i = 0; i < rights->n; i++)
        if (strcasecmp(rights->items[i].privilege, privilege) == 0 &&
            ak_streq(rights->items[i].on, on))
            return true;
    return false;
}

/* ---- what is wanted ---- */

static int put_name(struct ak_buf *out, const char *name, bool is_pattern, bool fold)
{
    int r = ak_buf_add(out, "`", 1);

    for (; r >= 0 && *name; name++) {
        const char c = fold ? (char)tolower((unsigned char)*name) : *name;

        if (c == '`')
            r = ak_buf_add(out, "`", 1);
        else if (is_pattern && (c == '_' || c == '%'))
            r = ak_buf_add(out, "\\", 1); /* else it would stand for other letters */
        if (r >= 0)
            r = ak_buf_add(out, &c, 1);
    }
    return r < 0 ? r : ak_buf_add(out, "`", 1);
}

/* `database`.* or `database`.`table`, as SHOW GRANTS writes it. NULL: no memory. */
static const char *place(const char *database, const char *table, bool fold, struct ak_arena *arena)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    int r = put_name(&out, database, !table, fold);

    if (r >= 0)
        r = ak_buf_add(&out, ".", 1);
    if (r >= 0)
        r = table ? put_name(&out, table, false, fold) : ak_buf_add(&out, "*", 1);
    return r < 0 ? NULL : ak_arena_strndup(arena, out.data, out.len);
}

static bool fits_table(const char *privilege)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(levels); i++)
        if (strcasecmp(levels[i].name, privilege) == 0)
            return levels[i].table;
    return false;
}

struct wanting {
    struct ak_arena *arena;
    struct ak_mysql_rights *rights;
    bool fold;
    int (*refuse)(void *user, const char *text);
    void *user;
};

static int refuse(struct wanting *w, size_t index, const char *field, const char *what,
                  const char *why)
{
    char text[512], place_text[64] = "spec.permissions";

    if (index != SIZE_MAX)
        snprintf(place_text, sizeof(place_text), "spec.permissions.grants[%zu].%s", index, field);
    snprintf(text, sizeof(text), "%s: %s %s", place_text, what, why);
    return w->refuse(w->user, text);
}

static int want_on(struct wanting *w, const struct ak_effective_grant *grant, const char *table)
{
    const char *on = place(grant->database, table, w->fold, w->arena);
    int r = on ? 0 : -ENOMEM;

    for (const char *const *p = grant->privileges; r >= 0 && *p; p++) {
        const bool all = strncasecmp(*p, "ALL", 3) == 0 && ((*p)[3] == '\0' || (*p)[3] == ' ');

        if (table && !all && !fits_table(*p))
            r = refuse(w, grant->index, "privileges", *p,
                       "cannot be granted on a table, only on a whole database");
        else
            r = add(w->rights, w->arena, all ? AK_MYSQL_ALL : *p, on);
    }
    return r;
}

static int want_grant(struct wanting *w, const struct ak_effective_grant *grant)
{
    int r = 0;

    if (ak_is_empty(grant->database))
        return refuse(w, grant->index, "database", "no database",
                      "is named, here or in spec.config.databaseName");
    for (size_t i = 0; i < AK_ARRAY_LEN(own_databases); i++)
        if (strcasecmp(own_databases[i], grant->database) == 0)
            return refuse(w, grant->index, "database", grant->database,
                          "holds the accounts and rights of the server itself");
    if (!grant->objects[0])
        return want_on(w, grant, NULL);
    for (const char *const *o = grant->objects; r >= 0 && *o; o++)
        r = want_on(w, grant, *o);
    return r;
}

int ak_mysql_wanted_rights(const struct ak_tool_spec *spec, bool writer, bool fold,
                           struct ak_arena *arena, struct ak_mysql_rights *ret,
                           int (*refuse_fn)(void *user, const char *text), void *user,
                           struct ak_error **reterr)
{
    struct ak_mysql_rights rights = {0};
    struct wanting w = {
        .arena = arena, .rights = &rights, .fold = fold, .refuse = refuse_fn, .user = user};
    const struct ak_effective_grant *grants;
    size_t n;
    int r = ak_policy_grants(spec, writer, arena, &grants, &n, reterr);

    if (r < 0)
        return r;
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = want_grant(&w, &grants[i]);
    if (r < 0)
        return r == -ENOMEM ? ak_error_oom(reterr)
                            : ak_error_set(reterr, r, "the permissions are too many");
    *ret = rights;
    return 0;
}

/* ---- what there is ---- */

/* Where `mark` begins outside of quotes and brackets, at or behind `at`; NULL: nowhere. */
static const char *find_outside(const char *at, const char *end, const char *mark)
{
    const size_t len = strlen(mark);
    int depth = 0;
    char quote = 0;

    for (; at < end; at++) {
        if (quote) {
            if (*at == quote && at + 1 < end && at[1] == quote)
                at++;
            else if (*at == quote)
                quote = 0;
            continue;
        }
        if (depth == 0 && (size_t)(end - at) >= len && memcmp(at, mark, len) == 0)
            return at;
        if (*at == '`' || *at == '\'' || *at == '"')
            quote = *at;
        else if (*at == '(')
            depth++;
        else if (*at == ')' && depth > 0)
            depth--;
    }
    return NULL;
}

static int add_list(const char *at, const char *end, const char *on, struct ak_arena *arena,
                    struct ak_mysql_rights *rights)
{
    int r = 0;

    while (r >= 0 && at < end) {
        const char *comma = find_outside(at, end, ",");
        const char *stop = comma ? comma : end;
        const char *text;

        while (at < stop && *at == ' ')
            at++;
        text = ak_arena_strndup(arena, at, (size_t)(stop - at));
        if (!text)
            return -ENOMEM;
        /* USAGE is how the server says: nothing. */
        if (*text && !(on && strcasecmp(text, "USAGE") == 0))
            r = add(rights, arena, text, on);
        at = comma ? comma + 1 : end;
    }
    return r;
}

int ak_mysql_add_grant_line(const char *line, struct ak_arena *arena,
                            struct ak_mysql_rights *rights, struct ak_error **reterr)
{
    static const char verb[] = "GRANT ";
    const char *at = line + strlen(verb), *end = line + strlen(line), *to, *on_at;
    const char *on = NULL;
    int r;

    if (strncasecmp(line, verb, strlen(verb)) != 0)
        return 0;
    to = find_outside(at, end, " TO ");
    if (!to)
        return ak_error_set(reterr, AK_E_INVALID, "the server's SHOW GRANTS is not understood");
    on_at = find_outside(at, to, " ON ");
    if (on_at) {
        on = ak_arena_strndup(arena, on_at + 4, (size_t)(to - on_at - 4));
        if (!on)
            return ak_error_oom(reterr);
    }
    r = add_list(at, on_at ? on_at : to, on, arena, rights);
    if (r >= 0 && on && find_outside(to, end, " WITH GRANT OPTION"))
        r = add(rights, arena, "GRANT OPTION", on);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    return r < 0 ? ak_error_set(reterr, r, "the user has too many rights") : 0;
}

/* ALL is shown in place of a list that has everything. */
static bool lists_all(const struct ak_mysql_rights *wanted, const char *on)
{
    const bool is_database = ak_has_suffix(on, ".*");

    for (size_t i = 0; i < AK_ARRAY_LEN(levels); i++)
        if ((is_database || levels[i].table) && !ak_mysql_has_right(wanted, levels[i].name, on))
            return false;
    return true;
}

bool ak_mysql_is_wanted(const struct ak_mysql_rights *wanted, const struct ak_mysql_right *right,
                        bool is_mariadb)
{
    if (!right->on)
        return false;
    if (ak_mysql_has_right(wanted, right->privilege, right->on))
        return true;
    return strcasecmp(right->privilege, AK_MYSQL_ALL) == 0 && !is_mariadb &&
           lists_all(wanted, right->on);
}
