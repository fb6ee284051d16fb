/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/invoke/request.h"

#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdio.h>
#include <string.h>

#include "manager/invoke/answer.h"
#include "manager/kinds.h"

#define MAX_PARTS 8
#define MAX_ALLOW 64
#define MAX_PARAMETERS (AK_INVOKE_MAX_ARGS + 16) /* of one query */

enum parameter {
    LABELS,
    FIELDS,
    LIMIT,
    CONTINUE,
    FOLLOW,
    AFTER,
    TAIL,
    HOLD,
    TTY,
    READ_ONLY,
    COLUMNS,
    ROWS,
    ARG,
    OPERATION,
    STATEMENT,
    PARAMETER_MAX
};
#define P(name) (1u << (name))
#define PAGE (P(LABELS) | P(FIELDS) | P(LIMIT) | P(CONTINUE))
#define EVENTS (P(FOLLOW) | P(AFTER))
#define LOGS (P(FOLLOW) | P(TAIL))
#define EXEC (P(TTY) | P(READ_ONLY) | P(COLUMNS) | P(ROWS) | P(ARG) | P(HOLD))
#define FORWARD (P(READ_ONLY) | P(HOLD))
#define EXPLAIN (P(OPERATION) | P(STATEMENT) | P(READ_ONLY))
#define AGENT "/namespaces/$ns/agents/$name"
#define TOOL "/namespaces/$ns/tools/$name"
/* Who does it: any replica, or the leader; and whether it leaves HTTP behind. */
#define ANYONE false, false
#define LEADER true, false
#define UPGRADE true, true
#define ROW(verb, ...)                                                                             \
    {                                                                                              \
        AK_INVOKE_##verb, __VA_ARGS__                                                              \
    }

/* clang-format off */
const struct ak_invoke_route ak_invoke_routes[] = {
    /* verb, action, method, pattern, verb and subresource of access, query, who does it */
    ROW(WHOAMI,        "whoami",       "GET",  "/whoami",                      NULL,     NULL,      0,        ANYONE),
    ROW(OPENAPI,       "openapi",      "GET",  "/openapi.json",                NULL,     NULL,      0,        ANYONE),
    ROW(LIST_RUNS,     "runs",         "GET",  "/runs",                        "list",   NULL,      P(LIMIT), ANYONE),
    ROW(LIST_RUNS,     "runs",         "GET",  "/namespaces/$ns/runs",         "list",   NULL,      P(LIMIT), ANYONE),
    ROW(LIST_RUNS,     "runs",         "GET",  AGENT "/runs",                  "get",    NULL,      P(LIMIT), ANYONE),
    ROW(START_RUN,     "start",        "POST", AGENT "/runs",                  "create", "invoke",  P(HOLD),  LEADER),
    ROW(GET_RUN,       "run",          "GET",  AGENT "/runs/$id",              "get",    NULL,      0,        ANYONE),
    ROW(CANCEL_RUN,    "cancel",       "POST", AGENT "/runs/$id/cancel",       "create", "invoke",  0,        LEADER),
    ROW(FOLLOW_EVENTS, "events",       "GET",  AGENT "/runs/$id/events",       "get",    "log",     EVENTS,   ANYONE),
    ROW(READ_LOGS,     "logs",         "GET",  AGENT "/runs/$id/logs",         "get",    "log",     LOGS,     ANYONE),
    ROW(PAUSE,         "pause",        "POST", AGENT "/pause",                 "update", NULL,      0,        LEADER),
    ROW(RESUME,        "resume",       "POST", AGENT "/resume",                "update", NULL,      0,        LEADER),
    ROW(OPERATE,       "operate",      "POST", TOOL "/operations",             "create", "exec",    P(HOLD),  LEADER),
    ROW(EXEC,          "exec",         "GET",  TOOL "/exec",                   "create", "exec",    EXEC,     UPGRADE),
    ROW(FORWARD,       "forward",      "GET",  TOOL "/forward",                "create", "connect", FORWARD,  UPGRADE),
    ROW(SESSIONS,      "sessions",     "GET",  TOOL "/sessions",               "get",    "log",     0,        ANYONE),
    ROW(KILL,          "kill",         "POST", TOOL "/sessions/$id/kill",      "delete", "connect", 0,        ANYONE),
    ROW(PROBE,         "probe",        "POST", TOOL "/probe",                  "create", "exec",    0,        LEADER),
    ROW(EXPLAIN,       "explain",      "GET",  TOOL "/explain",                "get",    NULL,      EXPLAIN,  ANYONE),
    ROW(EXPLAIN,       "explain",      "POST", TOOL "/explain",                "get",    NULL,      0,        ANYONE),
    ROW(APPROVALS,     "approvals",    "GET",  TOOL "/approvals",              "get",    NULL,      0,        ANYONE),
    ROW(APPROVE,       "approve",      "POST", TOOL "/approvals/$id/approve",  "update", "approve", 0,        LEADER),
    ROW(DENY,          "deny",         "POST", TOOL "/approvals/$id/deny",     "update", "approve", 0,        LEADER),
    ROW(RECORDINGS,    "recordings",   "GET",  TOOL "/recordings",             "get",    "log",     0,        ANYONE),
    ROW(RECORDING,     "recording",    "GET",  TOOL "/recordings/$id",         "get",    "log",     0,        ANYONE),
    ROW(SELF_TOOLS,    "self-tools",   "GET",  "/self/tools",                  NULL,     NULL,      0,        ANYONE),
    ROW(SELF_OPERATE,  "self-operate", "POST", "/self/tools/$name/operations", NULL,     NULL,      P(HOLD),  LEADER),
    ROW(LIST_OBJECTS,  "list",         "GET",  "/$kind",                       "list",   NULL,      PAGE,     ANYONE),
    ROW(LIST_OBJECTS,  "list",         "GET",  "/namespaces/$ns/$kind",        "list",   NULL,      PAGE,     ANYONE),
    ROW(GET_OBJECT,    "get",          "GET",  "/namespaces/$ns/$kind/$name",  "get",    NULL,      0,        ANYONE),
    {0},
};
/* clang-format on */

static const struct ak_kind *const kinds[] = {
    &ak_agent_kind, &ak_tool_kind, &ak_mcp_kind, &ak_gateway_kind, &ak_claw_kind,
};

static int bad(struct ak_error **reterr, const char *what)
{
    return ak_invoke_error(reterr, 400, "%s", what);
}

/* ---- percent-encoding */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes `len` bytes; a '+' of a query is a blank. -EINVAL: not an encoding, or a byte 0. */
static int decode(const char *text, size_t len, bool plus, struct ak_arena *arena, const char **ret)
{
    char *out = ak_arena_alloc(arena, len + 1);
    size_t n = 0;

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_of(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_of(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (!c)
            return -EINVAL;
        out[n++] = c;
    }
    *ret = out;
    return 0;
}

/* ---- the path */

struct parts {
    const char *items[MAX_PARTS];
    size_t n;
};

/* 0: too many parts to be anything. */
static int split(const char *path, struct ak_arena *arena, struct parts *ret)
{
    size_t len;

    if (!ak_has_prefix(path, AK_INVOKE_PREFIX "/"))
        return 0;
    for (const char *p = path + strlen(AK_INVOKE_PREFIX); *p; p += len) {
        p++;
        len = strcspn(p, "/");
        if (ret->n == MAX_PARTS)
            return 0;
        int r = decode(p, len, false, arena, &ret->items[ret->n++]);
        if (r < 0)
            return r;
    }
    return 1;
}

static const struct ak_resource *find_kind(const char *plural)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++)
        if (ak_streq(kinds[i]->resource.plural, plural))
            return &kinds[i]->resource;
    return NULL;
}

/* One part against one word of a pattern. */
static bool take_part(const char *word, size_t len, const char *part, struct ak_invoke_request *ret)
{
    static const struct {
        const char *word;
        size_t offset;
    } texts[] = {
        {"$ns", offsetof(struct ak_invoke_request, ns)},
        {"$name", offsetof(struct ak_invoke_request, name)},
        {"$id", offsetof(struct ak_invoke_request, id)},
    };

    if (*word != '$')
        return strlen(part) == len && memcmp(part, word, len) == 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++)
        if (strlen(texts[i].word) == len && memcmp(texts[i].word, word, len) == 0) {
            memcpy((char *)ret + texts[i].offset, &part, sizeof(part));
            return true;
        }
    ret->resource = find_kind(part);
    return ret->resource;
}

static bool matches(const struct ak_invoke_route *route, const struct parts *parts,
                    struct ak_invoke_request *ret)
{
    const char *p = route->pattern;

    *ret = (struct ak_invoke_request){0};
    for (size_t i = 0; i < parts->n; i++) {
        size_t len = *p ? strcspn(p + 1, "/") : 0;
        if (!*p || !take_part(p + 1, len, parts->items[i], ret))
            return false;
        p += 1 + len;
    }
    return !*p;
}

static int refuse_path(const char *allow, struct ak_error **reterr)
{
    if (*allow)
        return ak_invoke_error(reterr, 405, "this path takes %s", allow);
    return ak_invoke_error(
        reterr, 404, "there is no such path: " AK_INVOKE_PREFIX "/openapi.json has all of them");
}

/* One more method that the path takes. */
static void add_allowed(char allow[MAX_ALLOW], const char *method)
{
    size_t used = strlen(allow);

    if (used + strlen(method) + 3 < MAX_ALLOW)
        (void)snprintf(allow + used, MAX_ALLOW - used, "%s%s", used ? ", " : "", method);
}

static const struct ak_resource *implied_resource(const struct ak_invoke_route *route)
{
    if (!route->access_verb)
        return NULL;
    return route->verb >= AK_INVOKE_TOOL_FIRST ? &ak_tool_kind.resource : &ak_agent_kind.resource;
}

static int find_route(const struct ak_invoke_text *text, struct ak_arena *arena,
                      struct ak_invoke_request *ret, struct ak_error **reterr)
{
    char *allow = ak_arena_alloc(arena, MAX_ALLOW);
    struct parts parts = {0};
    int r = allow ? split(text->path, arena, &parts) : -ENOMEM;

    if (r < 0)
        return r == -ENOMEM ? ak_error_oom(reterr) : bad(reterr, "the path is not well encoded");
    for (const struct ak_invoke_route *route = ak_invoke_routes; r > 0 && route->method; route++) {
        if (!matches(route, &parts, ret))
            continue;
        if (ak_streq(route->method, text->method)) {
            ret->route = route;
            if (!ret->resource)
                ret->resource = implied_resource(route);
            return 0;
        }
        add_allowed(allow, route->method);
    }
    *ret = (struct ak_invoke_request){.allow = *allow ? allow : NULL};
    return refuse_path(allow, reterr);
}

static int check_names(const struct ak_invoke_request *request, struct ak_error **reterr)
{
    if (request->ns && !ak_is_dns_label(request->ns))
        return bad(reterr, "the namespace in the path is not a valid name");
    if (request->name && !ak_is_dns_subdomain(request->name))
        return bad(reterr, "the object's name in the path is not a valid name");
    if (request->id && !ak_is_dns_label(request->id))
        return bad(reterr, "the id in the path is not a valid one");
    return 0;
}

/* ---- the query */

enum parameter_type { TEXT, NUMBER, FLAG, LIST };
static const struct parameter_row {
    const char *name;
    enum parameter_type type;
    size_t offset;
    int64_t min, max;
} parameter_rows[PARAMETER_MAX] = {
    [LABELS] = {"labelSelector", TEXT, offsetof(struct ak_invoke_request, label_selector), 0, 0},
    [FIELDS] = {"fieldSelector", TEXT, offsetof(struct ak_invoke_request, field_selector), 0, 0},
    [CONTINUE] = {"continue", TEXT, offsetof(struct ak_invoke_request, continue_), 0, 0},
    [LIMIT] = {"limit", NUMBER, offsetof(struct ak_invoke_request, limit), 0, INT64_MAX},
    [FOLLOW] = {"follow", FLAG, offsetof(struct ak_invoke_request, follow), 0, 0},
    [AFTER] = {"after", NUMBER, offsetof(struct ak_invoke_request, after), 0, AK_INVOKE_MAX_EVENT},
    [TAIL] = {"tail", NUMBER, offsetof(struct ak_invoke_request, tail), 0, AK_INVOKE_MAX_TAIL},
    [TTY] = {"tty", FLAG, offsetof(struct ak_invoke_request, tty), 0, 0},
    [READ_ONLY] = {"readOnly", FLAG, offsetof(struct ak_invoke_request, read_only), 0, 0},
    [COLUMNS] = {"columns", NUMBER, offsetof(struct ak_invoke_request, columns), 1,
                 AK_INVOKE_MAX_CELLS},
    [ROWS] = {"rows", NUMBER, offsetof(struct ak_invoke_request, rows), 1, AK_INVOKE_MAX_CELLS},
    [ARG] = {"arg", LIST, offsetof(struct ak_invoke_request, args), 0, 0},
    [OPERATION] = {"operation", TEXT, offsetof(struct ak_invoke_request, operation), 0, 0},
    [STATEMENT] = {"statement", TEXT, offsetof(struct ak_invoke_request, statement), 0, 0},
    [HOLD] = {"hold", NUMBER, offsetof(struct ak_invoke_request, hold), 0, AK_INVOKE_MAX_HOLD},
};

/* The items are in the arena; room is made in steps. */
static int add_item(struct ak_string_list *list, const char *name, const char *value,
                    struct ak_arena *arena, struct ak_error **reterr)
{
    const char **items = (const char **)(uintptr_t)list->items;

    if (list->len >= AK_INVOKE_MAX_ARGS)
        return ak_invoke_error(reterr, 400, "%s: given more than %d times", name,
                               AK_INVOKE_MAX_ARGS);
    if (!items)
        items = ak_arena_alloc(arena, AK_INVOKE_MAX_ARGS * sizeof(*items));
    if (!items)
        return ak_error_oom(reterr);
    items[list->len] = value;
    *list = (struct ak_string_list){.items = items, .len = list->len + 1};
    return 0;
}

static int set_parameter(struct ak_invoke_request *ret, const struct parameter_row *row,
                         const char *value, struct ak_arena *arena, struct ak_error **reterr)
{
    void *target = (char *)ret + row->offset;
    int64_t number;

    switch (row->type) {
    case LIST:
        return add_item(target, row->name, value, arena, reterr);
    case TEXT:
        if (strlen(value) > AK_INVOKE_MAX_SELECTOR)
            return ak_invoke_error(reterr, 400, "%s: longer than %d bytes", row->name,
                                   AK_INVOKE_MAX_SELECTOR);
        *(const char **)target = *value ? value : NULL;
        return 0;
    case FLAG:
        if (ak_streq(value, "1") || ak_streq(value, "0"))
            *(bool *)target = *value == '1';
        else if (ak_parse_bool(value, target) < 0)
            return ak_invoke_error(reterr, 400, "%s: must be true or false", row->name);
        return 0;
    case NUMBER:
        if (ak_parse_i64(value, &number) < 0 || number < row->min || number > row->max)
            return ak_invoke_error(reterr, 400, "%s: must be a whole number from %lld to %lld",
                                   row->name, (long long)row->min, (long long)row->max);
        *(int64_t *)target = number;
        return 0;
    }
    return bad(reterr, "the query cannot be read");
}

static const struct parameter_row *find_parameter(const struct ak_invoke_route *route,
                                                  const char *name)
{
    for (size_t i = 0; i < PARAMETER_MAX; i++)
        if ((route->parameters & P(i)) && ak_streq(parameter_rows[i].name, name))
            return &parameter_rows[i];
    return NULL;
}

static int take_parameter(const char *text, size_t len, struct ak_arena *arena,
                          struct ak_invoke_request *ret, struct ak_error **reterr)
{
    const char *equals = memchr(text, '=', len), *name, *value = "";
    size_t name_len = equals ? (size_t)(equals - text) : len;
    int r = decode(text, name_len, true, arena, &name);

    if (r >= 0 && equals)
        r = decode(equals + 1, len - name_len - 1, true, arena, &value);
    if (r < 0)
        return r == -ENOMEM ? ak_error_oom(reterr) : bad(reterr, "the query is not well encoded");
    const struct parameter_row *row = find_parameter(ret->route, name);
    if (!row)
        return ak_invoke_error(reterr, 400, "unknown query parameter \"%.64s\"", name);
    return set_parameter(ret, row, value, arena, reterr);
}

static int parse_query(const char *query, struct ak_arena *arena, struct ak_invoke_request *ret,
                       struct ak_error **reterr)
{
    size_t n = 0, len;

    for (const char *p = query; *p; p += len + (p[len] == '&')) {
        len = strcspn(p, "&");
        if (!len)
            continue;
        if (++n > MAX_PARAMETERS)
            return bad(reterr, "the query has too many parameters");
        int r = take_parameter(p, len, arena, ret, reterr);
        if (r < 0)
            return r;
    }
    if (ret->limit > AK_INVOKE_MAX_PAGE && ret->route->verb == AK_INVOKE_LIST_RUNS)
        return ak_invoke_error(reterr, 400, "limit: must be a whole number from 0 to %d",
                               AK_INVOKE_MAX_PAGE);
    return 0;
}

/* ---- the body */

static bool is_json(const char *content_type)
{
    size_t len = strcspn(content_type, "; \t");

    return len == strlen("application/json") &&
           strncasecmp(content_type, "application/json", len) == 0;
}

static int take_prompt(const json_t *value, struct ak_arena *arena, struct ak_invoke_request *ret,
                       struct ak_error **reterr)
{
    if (!json_is_string(value))
        return bad(reterr, "prompt: must be a string");
    if (json_string_length(value) > AK_INVOKE_MAX_PROMPT)
        return ak_invoke_error(reterr, 413, "prompt: longer than %u bytes", AK_INVOKE_MAX_PROMPT);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return bad(reterr, "prompt: must not have the character U+0000");
    ret->prompt = ak_arena_strdup(arena, json_string_value(value));
    return ret->prompt ? 0 : ak_error_oom(reterr);
}

static int take_timeout(const json_t *value, struct ak_arena *arena, struct ak_invoke_request *ret,
                        struct ak_error **reterr)
{
    (void)arena;
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > AK_INVOKE_MAX_TIMEOUT)
        return ak_invoke_error(reterr, 400, "timeoutSeconds: must be a whole number from 1 to %d",
                               AK_INVOKE_MAX_TIMEOUT);
    ret->timeout_seconds = json_integer_value(value);
    return 0;
}

/* A text that goes into the arena. */
static int take_text(const char *name, const json_t *value, size_t max, struct ak_arena *arena,
                     const char **ret, struct ak_error **reterr)
{
    if (!json_is_string(value))
        return ak_invoke_error(reterr, 400, "%s: must be a string", name);
    if (json_string_length(value) > max)
        return ak_invoke_error(reterr, 413, "%s: longer than %zu bytes", name, max);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return ak_invoke_error(reterr, 400, "%s: must not have the character U+0000", name);
    *ret = ak_arena_strdup(arena, json_string_value(value));
    return *ret ? 0 : ak_error_oom(reterr);
}

static int take_operation(const json_t *value, struct ak_arena *arena,
                          struct ak_invoke_request *ret, struct ak_error **reterr)
{
    return take_text("operation", value, 63, arena, &ret->operation, reterr);
}

static int take_statement(const json_t *value, struct ak_arena *arena,
                          struct ak_invoke_request *ret, struct ak_error **reterr)
{
    return take_text("statement", value, AK_INVOKE_MAX_STATEMENT, arena, &ret->statement, reterr);
}

static int take_reason(const json_t *value, struct ak_arena *arena, struct ak_invoke_request *ret,
                       struct ak_error **reterr)
{
    return take_text("reason", value, 512, arena, &ret->reason, reterr);
}

static int take_run(const json_t *value, struct ak_arena *arena, struct ak_invoke_request *ret,
                    struct ak_error **reterr)
{
    return take_text("runID", value, 63, arena, &ret->run, reterr);
}

static int take_arguments(const json_t *value, struct ak_arena *arena,
                          struct ak_invoke_request *ret, struct ak_error **reterr)
{
    (void)arena;
    if (!json_is_object(value))
        return bad(reterr, "arguments: must be an object");
    ret->arguments = json_incref((json_t *)(uintptr_t)value);
    return 0;
}

static int take_read_only(const json_t *value, struct ak_arena *arena,
                          struct ak_invoke_request *ret, struct ak_error **reterr)
{
    (void)arena;
    if (!json_is_boolean(value))
        return bad(reterr, "readOnly: must be true or false");
    ret->read_only = json_is_true(value);
    return 0;
}

#define V(name) (1ull << AK_INVOKE_##name)
static const struct field {
    const char *name;
    uint64_t verbs; /* that take it */
    int (*take)(const json_t *value, struct ak_arena *arena, struct ak_invoke_request *ret,
                struct ak_error **reterr);
} fields[] = {
    {"prompt", V(START_RUN), take_prompt},
    {"timeoutSeconds", V(START_RUN), take_timeout},
    {"operation", V(OPERATE) | V(SELF_OPERATE) | V(EXPLAIN), take_operation},
    {"arguments", V(OPERATE) | V(SELF_OPERATE) | V(EXPLAIN), take_arguments},
    {"readOnly", V(OPERATE) | V(SELF_OPERATE) | V(EXPLAIN), take_read_only},
    {"runID", V(SELF_OPERATE), take_run},
    {"statement", V(EXPLAIN), take_statement},
    {"reason", V(KILL) | V(APPROVE) | V(DENY), take_reason},
};

static int take_field(const char *name, const json_t *value, struct ak_arena *arena,
                      struct ak_invoke_request *ret, struct ak_error **reterr)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(fields); i++)
        if ((fields[i].verbs & (1ull << ret->route->verb)) && ak_streq(fields[i].name, name))
            return json_is_null(value) ? 0 : fields[i].take(value, arena, ret, reterr);
    return ak_invoke_error(reterr, 400, "unknown field \"%.64s\"", name);
}

/* What these cannot do without. */
static int check_needed(const struct ak_invoke_request *request, struct ak_error **reterr)
{
    enum ak_invoke_verb verb = request->route->verb;
    bool operation =
        verb == AK_INVOKE_OPERATE || verb == AK_INVOKE_SELF_OPERATE || verb == AK_INVOKE_EXPLAIN;

    if (operation && ak_is_empty(request->operation))
        return bad(reterr, "operation: must be given");
    if (request->statement && request->arguments)
        return bad(reterr, "statement: stands for arguments, so not both of them");
    return 0;
}

static int parse_body(const struct ak_invoke_text *text, struct ak_arena *arena,
                      struct ak_invoke_request *ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;
    const char *name;
    json_t *value;

    if (text->content_type ? !is_json(text->content_type) : text->body_len > 0)
        return ak_invoke_error(reterr, 415, "Content-Type must be application/json");
    if (!text->body_len)
        return 0;
    int r = ak_json_parse(text->body, text->body_len, &tree, &err);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0)
        return ak_invoke_error(reterr, 400, "the body is not JSON: %s", ak_error_message(err));
    if (!json_is_object(tree))
        return bad(reterr, "the body must be a JSON object");
    json_object_foreach(tree, name, value)
    {
        r = take_field(name, value, arena, ret, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

int ak_invoke_request_parse(const struct ak_invoke_text *text, struct ak_arena *arena,
                            struct ak_invoke_request *ret, struct ak_error **reterr)
{
    int r;

    *ret = (struct ak_invoke_request){0}; /* whatever happens, it may be given to done() */
    r = find_route(text, arena, ret, reterr);
    if (r >= 0)
        r = check_names(ret, reterr);
    if (r < 0)
        return r;
    ret->tail = ret->after = -1;
    ret->hold = AK_INVOKE_DEFAULT_HOLD;
    ret->follow = ret->route->verb == AK_INVOKE_FOLLOW_EVENTS;
    r = parse_query(text->query, arena, ret, reterr);
    if (r >= 0 && ak_streq(ret->route->method, "POST"))
        r = parse_body(text, arena, ret, reterr);
    return r < 0 ? r : check_needed(ret, reterr);
}

void ak_invoke_request_done(struct ak_invoke_request *self)
{
    json_decref(self->arguments);
    self->arguments = NULL;
}

bool ak_invoke_is_use(enum ak_invoke_verb verb)
{
    return verb == AK_INVOKE_OPERATE || verb == AK_INVOKE_EXEC || verb == AK_INVOKE_FORWARD ||
           verb == AK_INVOKE_SELF_OPERATE;
}

/* ---- headers */

const char *ak_invoke_bearer(const char *header, size_t *ret_len)
{
    static const char scheme[] = "Bearer";
    size_t len;

    if (!header || strncasecmp(header, scheme, strlen(scheme)) != 0)
        return NULL;
    header += strlen(scheme);
    if (*header != ' ')
        return NULL;
    header += strspn(header, " ");
    /* RFC 6750 section 2.1, b64token. */
    len = strspn(header, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");
    size_t end = len + strspn(header + len, "=");
    if (!len || header[end + strspn(header + end, " \t")])
        return NULL;
    *ret_len = end;
    return header;
}

int ak_invoke_check_key(const char *key, struct ak_error **reterr)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++)
        if (key[i] < ' ' || key[i] > '~')
            return bad(reterr, "Idempotency-Key: must have printable ASCII characters only");
    if (!len || len > AK_INVOKE_MAX_KEY)
        return ak_invoke_error(reterr, 400, "Idempotency-Key: must have 1 to %d characters",
                               AK_INVOKE_MAX_KEY);
    return 0;
}
