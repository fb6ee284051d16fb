/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <string.h>
#include <strings.h>

#include "engines/policy_internal.h"

#define ARGS_MAX 256 /* of one command; the schemas say so too */

static const char *text_of(const struct ak_policy_case *c, const char *name)
{
    const char *text = json_string_value(json_object_get(c->arguments, name));

    return text ? text : "";
}

/* A list of texts as argv; the number of them. */
static size_t argv_of(const struct ak_policy_case *c, const char *name, const char *argv[ARGS_MAX])
{
    const json_t *list = json_object_get(c->arguments, name);
    size_t n = json_array_size(list);

    if (n > ARGS_MAX)
        n = ARGS_MAX;
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        argv[i] = text ? text : "";
    }
    return n;
}

static bool allow(struct ak_policy_case *c, const char *rule, const char *reason)
{
    c->d->rule = rule;
    c->d->reason = reason;
    return true;
}

/* ---- SQL ---- */

/* The privilege that a statement needs first; NULL: it is not one of the four that everybody has. */
static const char *privilege_of(const struct ak_sql_facts *facts)
{
    static const struct {
        const char *keyword, *privilege;
    } needs[] = {{"SELECT", "SELECT"}, {"WITH", "SELECT"},   {"TABLE", "SELECT"},
                 {"INSERT", "INSERT"}, {"UPDATE", "UPDATE"}, {"DELETE", "DELETE"}};

    for (size_t i = 0; i < AK_ARRAY_LEN(needs); i++)
        if (ak_streq(needs[i].keyword, facts->keyword))
            return needs[i].privilege;
    return NULL;
}

static bool grants_privilege(const struct ak_tool_grant *grant, const char *privilege)
{
    for (size_t i = 0; i < grant->privileges.len; i++)
        if (strcasecmp(grant->privileges.items[i], privilege) == 0 ||
            strncasecmp(grant->privileges.items[i], "ALL", 3) == 0)
            return true;
    return false;
}

static bool covers_table(const struct ak_tool_grant *grant, const struct ak_sql_facts *facts)
{
    if (!grant->objects.len || !facts->n_tables)
        return true;
    for (size_t i = 0; i < grant->objects.len; i++)
        if (strcasecmp(grant->objects.items[i], facts->tables[0].name) == 0)
            return true;
    return false;
}

/* Which grant it is that lets the database say yes; none lists the privilege: it will say no. */
static bool find_grant(struct ak_policy_case *c, const struct ak_sql_facts *facts)
{
    const struct ak_tool_permissions *p = c->spec->permissions;
    const char *privilege = privilege_of(facts);
    bool listed = false;

    if (!p || !p->grants.len || p->roles.len || !privilege)
        return true;
    for (size_t i = 0; i < p->grants.len; i++) {
        if (!grants_privilege(&p->grants.items[i], privilege))
            continue;
        listed = true;
        if (!covers_table(&p->grants.items[i], facts))
            continue;
        const char *rule = ak__rule(c, "grants", i);
        return rule && allow(c, rule, "this grant lists what it needs; the database decides");
    }
    if (!listed)
        return ak__refuse(c, "spec.permissions.grants", "no grant lists %s", privilege);
    return allow(c, "spec.permissions.grants",
                 "no grant names this table, as far as can be seen; the database decides");
}

static bool check_query(struct ak_policy_case *c, const struct ak_sql_facts *facts)
{
    bool by_reader = ak_policy_is_provisioned(c->spec);

    if (c->d->class == AK_CLASS_READ)
        return true;
    if (facts->only_function && by_reader)
        return true; /* the reader has no right that the function could use */
    if (facts->only_function)
        return ak__refuse(c, "engine",
                          "query only reads, and \"%s\" is not known to; with spec.permissions the "
                          "database itself would see to it",
                          facts->function);
    return ak__refuse(c, "engine", "query only reads, and the statement %s (class %s)",
                      facts->why ? facts->why : "is about the session",
                      ak_statement_class_name(c->d->class));
}

static bool check_sql(struct ak_policy_case *c)
{
    struct ak_sql_facts facts;
    const json_t *sql = json_object_get(c->arguments, "sql");

    if (!sql) { /* list_tables, describe_table */
        c->d->class = AK_CLASS_READ;
        return true;
    }
    c->d->class =
        ak_classify_sql(c->spec->type, json_string_value(sql), json_string_length(sql), &facts);
    if (facts.statements != 1)
        return ak__refuse(c, "engine", "one statement at a time, and this is %zu",
                          facts.statements);
    if (c->operation->at_most == AK_CLASS_READ) {
        if (!check_query(c, &facts))
            return false;
    } else if (c->d->class == AK_CLASS_SESSION) {
        return ak__refuse(c, "engine",
                          "every call has a session of its own, so this would have no effect");
    }
    return find_grant(c, &facts);
}

/* ---- redis ---- */

static bool check_redis(struct ak_policy_case *c)
{
    static const char *const blocking[] = {"BLMOVE",     "BLMPOP",     "BLPOP",      "BRPOP",
                                           "BRPOPLPUSH", "BZMPOP",     "BZPOPMAX",   "BZPOPMIN",
                                           "MONITOR",    "PSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE",
                                           "WAIT",       "SYNC",       "PSYNC"};
    const char *argv[ARGS_MAX];
    size_t argc = argv_of(c, "args", argv);

    c->d->class = AK_CLASS_READ;
    if (!ak_streq(c->name, "command"))
        return true;
    c->d->class = ak_classify_redis(argv, argc);
    for (size_t i = 0; i < AK_ARRAY_LEN(blocking); i++)
        if (strcasecmp(argv[0], blocking[i]) == 0)
            return ak__refuse(c, "engine", "%s waits or never ends; use a session", blocking[i]);
    for (size_t i = 1; strncasecmp(argv[0], "XREAD", 5) == 0 && i < argc; i++)
        if (strcasecmp(argv[i], "BLOCK") == 0)
            return ak__refuse(c, "engine", "BLOCK waits; leave it out");
    if (c->d->class == AK_CLASS_SESSION)
        return ak__refuse(c, "engine",
                          "every call has a connection of its own, so this would have no effect");
    if (c->spec->permissions && c->spec->permissions->commands.len)
        return allow(c, "spec.permissions.commands", "the server decides by these rules");
    return true;
}

/* ---- mongodb ---- */

/* Whether a member of this name is anywhere in it. The arguments are a JSON text of limited depth. */
static bool has_member(const json_t *value, const char *const *names)
{
    const char *key;
    json_t *member;

    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            if (has_member(json_array_get(value, i), names))
                return true;
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        for (const char *const *name = names; *name; name++)
            if (strcmp(*name, key) == 0)
                return true;
        if (has_member(member, names))
            return true;
    }
    return false;
}

static bool check_mongodb(struct ak_policy_case *c)
{
    static const char *const scripts[] = {"$where", "$function", "$accumulator", NULL};
    static const char *const writers[] = {"$out", "$merge", NULL};

    c->d->class = c->operation->at_most;
    if (has_member(c->arguments, scripts))
        return ak__refuse(c, "engine", "JavaScript is not run: $where, $function, $accumulator");
    if (ak_streq(c->name, "aggregate"))
        c->d->class = has_member(json_object_get(c->arguments, "pipeline"), writers)
                          ? AK_CLASS_WRITE
                          : AK_CLASS_READ;
    return true;
}

/* ---- requests ---- */

static bool check_request(struct ak_policy_case *c)
{
    const struct ak_tool_permissions *p = c->spec->permissions;
    const char *method = text_of(c, "method"), *path = text_of(c, "path");
    size_t index = SIZE_MAX;

    c->d->class = ak_classify_http(c->spec->type, method, path);
    if (!ak_http_path_is_plain(path))
        return ak__refuse(c, "engine",
                          "the path can be read in more than one way: no dots, no double or "
                          "escaped slashes, nothing but ASCII");
    if (!ak_http_rule_allows(c->spec, method, path, &index))
        return ak__refuse(c,
                          p->read_only && c->d->class != AK_CLASS_READ ? "spec.permissions.readOnly"
                          : p->requests.len                            ? "spec.permissions.requests"
                                                                       : "spec.permissions",
                          "no rule allows %s on this path", method);
    if (index == SIZE_MAX)
        return true;
    const char *rule = ak__rule(c, "requests", index);
    return rule && allow(c, rule, "this rule lists the method and the path");
}

/* POST on INDEX/_search, whatever the index is called. */
static bool check_search(struct ak_policy_case *c)
{
    const char *index = text_of(c, "index");
    size_t rule_index = SIZE_MAX;

    c->d->class = AK_CLASS_READ;
    if (strpbrk(index, "/?#\\% ") || index[0] == '_' || index[0] == '.')
        return ak__refuse(c, "engine", "the index is a name, a pattern or a list of them");
    const char *path = ak_arena_printf(c->arena, "/%s/_search", index);
    if (!path) {
        c->oom = true;
        return false;
    }
    if (!ak_http_rule_allows(c->spec, "POST", path, &rule_index))
        return ak__refuse(c, "spec.permissions.requests", "no rule allows POST on %s", path);
    if (rule_index == SIZE_MAX)
        return true;
    const char *rule = ak__rule(c, "requests", rule_index);
    return rule && allow(c, rule, "this rule lists the method and the path");
}

static bool check_kubectl(struct ak_policy_case *c)
{
    const struct ak_tool_permissions *p = c->spec->permissions;
    const char *argv[ARGS_MAX], *refused = NULL;
    size_t at = 0, argc = argv_of(c, "args", argv);

    c->d->class = ak_classify_kubectl(argv, argc, &refused, &at);
    if (refused && at < argc)
        return ak__refuse(c, "engine", "kubectl %.64s: %s", argv[at], refused);
    if (refused)
        return ak__refuse(c, "engine", "kubectl: %s", refused);
    if (p && p->rules.len)
        return allow(c, "spec.permissions.rules", "the API server decides by these rules");
    return true;
}

static bool check_rabbitmq(struct ak_policy_case *c)
{
    c->d->class = c->operation->at_most;
    if (ak_streq(c->name, "get_messages"))
        c->d->class = json_is_false(json_object_get(c->arguments, "requeue")) ? AK_CLASS_WRITE
                                                                              : AK_CLASS_READ;
    if (ak_streq(c->name, "http_request"))
        return check_request(c);
    if (c->spec->permissions && c->spec->permissions->grants.len)
        return allow(c, "spec.permissions.grants", "the broker decides by these permissions");
    return true;
}

static bool check_kafka(struct ak_policy_case *c)
{
    const struct ak_tool_permissions *p = c->spec->permissions;
    const char *needs = ak_streq(c->name, "produce") ? "WRITE" : "READ";
    const char *topic = text_of(c, "topic");

    c->d->class = c->operation->at_most;
    if (!p || !p->grants.len || !topic[0])
        return true;
    for (size_t i = 0; i < p->grants.len; i++) {
        const struct ak_tool_grant *grant = &p->grants.items[i];
        if (!grants_privilege(grant, needs) ||
            (grant->objects.len && !ak_string_list_has(&grant->objects, topic)))
            continue;
        const char *rule = ak__rule(c, "grants", i);
        return rule && allow(c, rule, "this grant lists the topic");
    }
    return ak__refuse(c, "spec.permissions.grants", "no grant lists %s on topic \"%.128s\"", needs,
                      topic);
}

/* ---- commands ---- */

bool ak__check_command(struct ak_policy_case *c, const char *line)
{
    const struct ak_tool_permissions *p = c->spec->permissions;

    c->d->class = AK_CLASS_UNKNOWN;
    if (!p)
        return true;
    for (size_t i = 0; i < p->commands.len; i++) {
        if (!ak_streq(p->commands.items[i], line))
            continue;
        const char *rule = ak__rule(c, "commands", i);
        return rule && allow(c, rule, "this is one of the commands that may be run");
    }
    return ak__refuse(c, "spec.permissions.commands",
                      "it is not, word for word, one of the %zu commands that may be run",
                      p->commands.len);
}

/* Arguments joined by blanks. One with a blank in it would read like two: such a line matches nothing, unless it is
 * ssh that joins them in just this way (ssh(1)). */
static const char *line_of(struct ak_policy_case *c, const char *name)
{
    const char *argv[ARGS_MAX];
    size_t argc = argv_of(c, name, argv), len = 1;

    for (size_t i = 0; i < argc; i++) {
        len += strlen(argv[i]) + 1;
        if (c->spec->type != AK_TOOL_TYPE_SSH && (!argv[i][0] || strpbrk(argv[i], " \t\r\n")))
            return "\n";
    }
    char *line = ak_arena_alloc(c->arena, len);
    if (!line) {
        c->oom = true;
        return NULL;
    }
    char *end = line;
    for (size_t i = 0; i < argc; i++) {
        if (i)
            *end++ = ' ';
        end = mempcpy(end, argv[i], strlen(argv[i]));
    }
    return line;
}

static bool check_run(struct ak_policy_case *c)
{
    const char *line =
        c->spec->type == AK_TOOL_TYPE_SSH ? text_of(c, "command") : line_of(c, "args");

    return line && ak__check_command(c, line);
}

bool ak__check_operation(struct ak_policy_case *c)
{
    static bool (*const checks[AK_TOOL_TYPE_MAX])(struct ak_policy_case *) = {
        [AK_TOOL_TYPE_SSH] = check_run,           [AK_TOOL_TYPE_CUSTOM] = check_run,
        [AK_TOOL_TYPE_REDIS] = check_redis,       [AK_TOOL_TYPE_MONGODB] = check_mongodb,
        [AK_TOOL_TYPE_HTTP] = check_request,      [AK_TOOL_TYPE_KUBERNETES] = check_kubectl,
        [AK_TOOL_TYPE_RABBITMQ] = check_rabbitmq, [AK_TOOL_TYPE_KAFKA] = check_kafka,
    };

    if (ak_streq(c->name, "search"))
        return check_search(c);
    if (ak_streq(c->name, "http_request") && c->spec->type != AK_TOOL_TYPE_RABBITMQ)
        return check_request(c);
    bool (*check)(struct ak_policy_case *) = checks[c->spec->type];
    return check ? check(c) : check_sql(c);
}

/* ---- sessions ---- */

bool ak__check_session(struct ak_policy_case *c)
{
    const struct ak_tool_permissions *p = c->spec->permissions;
    bool direct = c->info->flags & AK_ENGINE_DIRECT;
    bool listed = p && (c->spec->type == AK_TOOL_TYPE_SSH || c->spec->type == AK_TOOL_TYPE_CUSTOM);

    c->d->class = AK_CLASS_UNKNOWN;
    if (ak_streq(c->name, AK_OPERATION_FORWARD) && !(c->info->flags & AK_ENGINE_FORWARD))
        return ak__refuse(c, "engine",
                          "the protocol of type %s does not let the bastion add the credential",
                          c->info->name);
    if (ak_streq(c->name, AK_OPERATION_CONNECT) && !(c->info->flags & AK_ENGINE_CONNECT))
        return ak__refuse(c, "engine", "type %s has no interactive client; use exec",
                          c->info->name);
    if (p && c->spec->type == AK_TOOL_TYPE_KAFKA)
        return ak__refuse(c, "spec.permissions.grants",
                          "nothing would keep a client of one's own to these topics; use the "
                          "operations");
    if (listed && ak_streq(c->name, AK_OPERATION_CONNECT))
        return ak__refuse(c, "spec.permissions.commands",
                          "nothing would keep a terminal to the list of commands");
    if (listed) {
        const char *line = line_of(c, "args");
        return line && ak__check_command(c, line);
    }
    if (direct && c->read_only && !ak_policy_is_provisioned(c->spec))
        return ak__refuse(c, p ? "spec.permissions" : "readOnly",
                          "nothing would keep a client of type %s to reading: it has the "
                          "credential itself",
                          c->info->name);
    return true;
}
