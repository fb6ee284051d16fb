/* SPDX-License-Identifier: Apache-2.0 */
/* What may be done through a Tool: rows of spec, operation and arguments (with ' for "), and what is decided. */
#include "engines/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

static json_t *json_of(const char *json)
{
    AK_AUTO_TEXT char *text = ak_strdup(json);
    json_t *tree = NULL;

    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
        else if (*p == '`')
            *p = '\'';
    if (ak_json_parse(text, strlen(text), &tree, NULL) < 0)
        fail_msg("%s", json);
    return tree;
}

static void decode(const char *json, struct ak_arena *arena, struct ak_tool_spec *ret)
{
    AK_AUTO_JSON *tree = json_of(json);
    struct ak_error *err = NULL;

    ak_arena_init(arena, 1024, 0);
    if (ak_decode(&ak_tool_spec_type, tree, ret, arena, &err) < 0)
        fail_msg("%s: %s", json, ak_error_message(err));
}

#define ADMIN "'adminCredentialsRef': {'name': 'a', 'key': 'k'}"
#define DB "'config': {'hostname': 'h', 'databaseName': 'd'}"
#define PG_FREE "{'type': 'postgres', " DB "}"
#define PG_READ "{'type': 'postgres', " DB ", 'permissions': {" ADMIN "}}"
#define PG_GRANTS                                                                                  \
    "{'type': 'postgres', " DB ", 'permissions': {" ADMIN ", 'grants': [{'privileges': "           \
    "['SELECT'], 'objects': ['orders']}, {'privileges': ['SELECT', 'INSERT'], 'objects': "         \
    "['notes']}]}}"
#define MS_FREE "{'type': 'sqlserver', " DB "}"
#define SSH "{'type': 'ssh', 'config': {'hostname': 'h'}"
#define SSH_LISTED SSH ", 'permissions': {'commands': ['uptime', 'df -h']}}"
#define CUSTOM_LISTED                                                                              \
    "{'type': 'custom', 'image': 'i:1', 'permissions': {'commands': ['queue list']}}"
#define REDIS "{'type': 'redis', 'config': {'hostname': 'h'}"
#define MONGO "{'type': 'mongodb', " DB "}"
#define HTTP "{'type': 'http', 'config': {'url': 'https://h'}"
#define HTTP_RULES                                                                                 \
    HTTP ", 'permissions': {'requests': [{'methods': ['GET'], 'paths': ['/invoices/*', "           \
         "'/a/*/b']}, {'methods': ['POST'], 'paths': ['/notes']}]}}"
#define ES_RULES                                                                                   \
    "{'type': 'elasticsearch', 'config': {'hostname': 'h'}, 'permissions': {'requests': "          \
    "[{'methods': ['GET', 'POST'], 'paths': ['/logs-*/_search']}]}}"
#define KAFKA                                                                                      \
    "{'type': 'kafka', 'config': {'hostname': 'h'}, 'permissions': {'grants': [{'privileges': "    \
    "['READ'], 'objects': ['orders']}, {'privileges': ['WRITE'], 'objects': ['log']}]}}"
#define KUBE "{'type': 'kubernetes', 'config': {'inCluster': true}"
#define RABBIT "{'type': 'rabbitmq', 'config': {'hostname': 'h'}}"
#define SNOW "{'type': 'snowflake', 'config': {'account': 'a'}"

enum { RO = 1, YES = 2, ASK = 4 };
static const struct row {
    const char *spec, *operation, *arguments;
    int flags; /* RO: the caller may only read; YES: it is allowed; ASK: once somebody agreed */
    enum ak_statement_class class;
    const char *rule;
    const char *reason; /* its beginning; NULL: whatever */
} rows[] = {
    /* SQL without permissions: the credential's rights, readers kept to reading */
    {PG_FREE, "query", "{'sql': 'select 1'}", YES, AK_CLASS_READ, "spec.config", "there are no"},
    {PG_FREE, "query", "{'sql': 'select 1'}", RO | YES, AK_CLASS_READ, "spec.config", NULL},
    {PG_FREE, "query", "{'sql': 'delete from t'}", 0, AK_CLASS_WRITE, "engine", "query only reads"},
    {PG_FREE, "query", "{'sql': 'select 1; select 2'}", 0, AK_CLASS_READ, "engine",
     "one statement at a time, and this is 2"},
    {PG_FREE, "query", "{'sql': ' -- '}", 0, AK_CLASS_READ, "engine", "one statement"},
    {PG_FREE, "query", "{'sql': 'select f()'}", RO, AK_CLASS_UNKNOWN, "engine",
     "query only reads, and \"F\" is not known to"},
    {PG_FREE, "query", "{'sql': 'select pg_read_file(`x`)'}", 0, AK_CLASS_ADMIN, "engine", NULL},
    {PG_FREE, "query", "{'sql': 'set role x'}", 0, AK_CLASS_ADMIN, "engine", NULL},
    {PG_FREE, "query", "{'sql': 'commit'}", 0, AK_CLASS_SESSION, "engine", NULL},
    {PG_FREE, "query", "{'sql': 'do $$ begin end $$'}", 0, AK_CLASS_UNKNOWN, "engine", NULL},
    {PG_FREE, "execute", "{'sql': 'delete from t'}", YES, AK_CLASS_WRITE, "spec.config", NULL},
    {PG_FREE, "execute", "{'sql': 'delete from t'}", RO, AK_CLASS_WRITE, "spec.permissions",
     "only reading is allowed here"},
    {PG_FREE, "execute", "{'sql': 'commit'}", 0, AK_CLASS_SESSION, "engine", "every call"},
    {PG_FREE, "list_tables", "{}", RO | YES, AK_CLASS_READ, "spec.config", NULL},
    {PG_FREE, "describe_table", "{'table': 't'}", RO | YES, AK_CLASS_READ, "spec.config", NULL},
    {PG_FREE, "connect", NULL, RO | YES, AK_CLASS_UNKNOWN, "spec.config", NULL},
    {PG_FREE, "forward", NULL, YES, AK_CLASS_UNKNOWN, "spec.config", NULL},
    {PG_FREE, "exec", "{'args': ['-c', 'x']}", RO | YES, AK_CLASS_UNKNOWN, "spec.config", NULL},
    /* SQL with permissions */
    {PG_READ, "query", "{'sql': 'select f()'}", RO | YES, AK_CLASS_UNKNOWN, "spec.permissions",
     NULL},
    {PG_READ, "query", "{'sql': 'select lo_import(`x`)'}", RO, AK_CLASS_ADMIN, "engine", NULL},
    {PG_READ, "query", "{'sql': 'select f(), lo_import(`x`)'}", RO, AK_CLASS_UNKNOWN, "engine",
     NULL},
    {PG_READ, "query", "{'sql': 'call f()'}", RO, AK_CLASS_UNKNOWN, "engine", NULL},
    {PG_READ, "execute", "{'sql': 'delete from t'}", RO, AK_CLASS_WRITE, "spec.permissions", NULL},
    {PG_GRANTS, "query", "{'sql': 'select * from orders'}", YES, AK_CLASS_READ,
     "spec.permissions.grants[0]", NULL},
    {PG_GRANTS, "query", "{'sql': 'select * from notes'}", YES, AK_CLASS_READ,
     "spec.permissions.grants[1]", NULL},
    {PG_GRANTS, "query", "{'sql': 'select * from secrets'}", YES, AK_CLASS_READ,
     "spec.permissions.grants", "no grant names this table"},
    {PG_GRANTS, "execute", "{'sql': 'insert into notes values (1)'}", YES, AK_CLASS_WRITE,
     "spec.permissions.grants[1]", NULL},
    {PG_GRANTS, "execute", "{'sql': 'delete from notes'}", 0, AK_CLASS_WRITE,
     "spec.permissions.grants", "no grant lists DELETE"},
    {PG_GRANTS, "execute", "{'sql': 'insert into notes values (1)'}", RO, AK_CLASS_WRITE,
     "readOnly", NULL},
    /* what cannot be enforced makes all of it refuse */
    {"{'type': 'postgres', " DB ", 'permissions': {}}", "query", "{'sql': 'select 1'}", RO,
     AK_CLASS_UNKNOWN, "spec.permissions.adminCredentialsRef", "cannot be enforced"},
    {"{'type': 'mysql', " DB ", 'permissions': {" ADMIN ", 'roles': ['x']}}", "exec", NULL, 0,
     AK_CLASS_UNKNOWN, "spec.permissions.roles", "cannot be enforced"},
    /* nothing keeps it to reading */
    {MS_FREE, "query", "{'sql': 'select 1'}", RO, AK_CLASS_READ, "spec.permissions",
     "only reading is allowed here, and nothing can keep type sqlserver to it"},
    {MS_FREE, "query", "{'sql': 'select 1'}", YES, AK_CLASS_READ, "spec.config", NULL},
    {MS_FREE, "connect", NULL, RO, AK_CLASS_UNKNOWN, "readOnly", "nothing would keep a client"},
    {MS_FREE, "connect", NULL, YES, AK_CLASS_UNKNOWN, "spec.config", NULL},
    {MS_FREE, "forward", NULL, 0, AK_CLASS_UNKNOWN, "engine", "the protocol of type sqlserver"},
    {SNOW "}", "query", "{'sql': 'select 1'}", RO, AK_CLASS_READ, "spec.permissions", NULL},
    {SNOW ", 'permissions': {'roles': ['R']}}", "query", "{'sql': 'select 1'}", RO | YES,
     AK_CLASS_READ, "spec.permissions", NULL},
    {SNOW ", 'permissions': {'roles': ['R']}}", "execute", "{'sql': 'delete from t'}", RO,
     AK_CLASS_WRITE, "readOnly", NULL},
    /* commands, word for word */
    {SSH "}", "run", "{'command': 'rm x'}", YES, AK_CLASS_UNKNOWN, "spec.config", NULL},
    {SSH "}", "run", "{'command': 'uptime'}", RO, AK_CLASS_UNKNOWN, "spec.permissions", NULL},
    {SSH_LISTED, "run", "{'command': 'df -h'}", YES, AK_CLASS_UNKNOWN,
     "spec.permissions.commands[1]", NULL},
    {SSH_LISTED, "run", "{'command': 'df  -h'}", 0, AK_CLASS_UNKNOWN, "spec.permissions.commands",
     "it is not, word for word, one of the 2 commands"},
    {SSH_LISTED, "run", "{'command': 'uptime; id'}", 0, AK_CLASS_UNKNOWN,
     "spec.permissions.commands", NULL},
    {SSH_LISTED, "run", "{'command': 'uptime\\n'}", 0, AK_CLASS_UNKNOWN,
     "spec.permissions.commands", NULL},
    {SSH_LISTED, "run", "{'command': 'uptime'}", RO, AK_CLASS_UNKNOWN, "readOnly", NULL},
    {SSH ", 'permissions': {'readOnly': true, 'commands': ['uptime']}}", "run",
     "{'command': 'uptime'}", RO | YES, AK_CLASS_UNKNOWN, "spec.permissions.commands[0]", NULL},
    {SSH_LISTED, "exec", "{'args': ['df', '-h']}", YES, AK_CLASS_UNKNOWN,
     "spec.permissions.commands[1]", NULL},
    {SSH_LISTED, "exec", "{'args': ['df -h']}", YES, AK_CLASS_UNKNOWN,
     "spec.permissions.commands[1]", NULL},
    {SSH_LISTED, "exec", "{'args': ['df', ' -h']}", 0, AK_CLASS_UNKNOWN,
     "spec.permissions.commands", NULL},
    {SSH_LISTED, "exec", "{'args': ['df', '-h', '']}", 0, AK_CLASS_UNKNOWN,
     "spec.permissions.commands", NULL},
    {SSH_LISTED, "exec", NULL, 0, AK_CLASS_UNKNOWN, "spec.permissions.commands", NULL},
    {SSH_LISTED, "connect", NULL, 0, AK_CLASS_UNKNOWN, "spec.permissions.commands",
     "nothing would keep a terminal"},
    {SSH_LISTED, "forward", NULL, 0, AK_CLASS_UNKNOWN, "engine", NULL},
    {SSH "}", "connect", NULL, YES, AK_CLASS_UNKNOWN, "spec.config", NULL},
    {CUSTOM_LISTED, "run", "{'args': ['queue', 'list']}", YES, AK_CLASS_UNKNOWN,
     "spec.permissions.commands[0]", NULL},
    {CUSTOM_LISTED, "run", "{'args': ['queue list']}", 0, AK_CLASS_UNKNOWN,
     "spec.permissions.commands", NULL},
    {CUSTOM_LISTED, "run", "{'args': ['queue', 'list', '']}", 0, AK_CLASS_UNKNOWN,
     "spec.permissions.commands", NULL},
    {CUSTOM_LISTED, "run", "{}", 0, AK_CLASS_UNKNOWN, "spec.permissions.commands", NULL},
    /* redis */
    {REDIS "}", "command", "{'args': ['GET', 'k']}", RO | YES, AK_CLASS_READ, "spec.config", NULL},
    {REDIS "}", "command", "{'args': ['SET', 'k', 'v']}", RO, AK_CLASS_WRITE, "spec.permissions",
     NULL},
    {REDIS "}", "command", "{'args': ['EVAL', 'x', '0']}", RO, AK_CLASS_UNKNOWN, "spec.permissions",
     NULL},
    {REDIS "}", "command", "{'args': ['SET', 'k', 'v']}", YES, AK_CLASS_WRITE, "spec.config", NULL},
    {REDIS "}", "command", "{'args': ['blpop', 'k', '0']}", 0, AK_CLASS_WRITE, "engine",
     "BLPOP waits"},
    {REDIS "}", "command", "{'args': ['xread', 'block', '0', 'streams', 's', '0']}", 0,
     AK_CLASS_READ, "engine", "BLOCK waits"},
    {REDIS "}", "command", "{'args': ['multi']}", 0, AK_CLASS_SESSION, "engine", NULL},
    {REDIS "}", "scan_keys", "{'pattern': '*'}", RO | YES, AK_CLASS_READ, "spec.config", NULL},
    {REDIS ", 'permissions': {" ADMIN ", 'commands': ['+@all', '~*']}}", "command",
     "{'args': ['SET', 'k', 'v']}", YES, AK_CLASS_WRITE, "spec.permissions.commands", NULL},
    {REDIS ", 'permissions': {" ADMIN ", 'commands': ['>secret']}}", "get", "{'key': 'k'}", 0,
     AK_CLASS_UNKNOWN, "spec.permissions.commands[0]", "cannot be enforced"},
    /* mongodb */
    {MONGO, "find", "{'collection': 'c', 'filter': {'a': {'$gt': 1}}}", RO | YES, AK_CLASS_READ,
     "spec.config", NULL},
    {MONGO, "find", "{'collection': 'c', 'filter': {'$or': [{'$where': 'x'}]}}", 0, AK_CLASS_READ,
     "engine", "JavaScript"},
    {MONGO, "aggregate", "{'collection': 'c', 'pipeline': [{'$match': {}}]}", RO | YES,
     AK_CLASS_READ, "spec.config", NULL},
    {MONGO, "aggregate", "{'collection': 'c', 'pipeline': [{'$match': {}}, {'$out': 'd'}]}", RO,
     AK_CLASS_WRITE, "spec.permissions", NULL},
    {MONGO, "delete_many", "{'collection': 'c', 'filter': {}}", RO, AK_CLASS_WRITE,
     "spec.permissions", NULL},
    {MONGO, "insert_one", "{'collection': 'c', 'document': {}}", YES, AK_CLASS_WRITE, "spec.config",
     NULL},
    /* requests */
    {HTTP "}", "http_request", "{'method': 'GET', 'path': '/x'}", RO | YES, AK_CLASS_READ,
     "spec.config", NULL},
    {HTTP "}", "http_request", "{'method': 'POST', 'path': '/x'}", RO, AK_CLASS_WRITE,
     "spec.permissions", NULL},
    {HTTP "}", "http_request", "{'method': 'GET', 'path': '/a/../b'}", 0, AK_CLASS_READ, "engine",
     NULL},
    {HTTP_RULES, "http_request", "{'method': 'GET', 'path': '/invoices/7?x=1'}", YES, AK_CLASS_READ,
     "spec.permissions.requests[0]", NULL},
    {HTTP_RULES, "http_request", "{'method': 'POST', 'path': '/notes'}", YES, AK_CLASS_WRITE,
     "spec.permissions.requests[1]", NULL},
    {HTTP_RULES, "http_request", "{'method': 'POST', 'path': '/notes'}", RO, AK_CLASS_WRITE,
     "readOnly", NULL},
    {HTTP_RULES, "http_request", "{'method': 'DELETE', 'path': '/notes'}", 0, AK_CLASS_WRITE,
     "spec.permissions.requests", "no rule allows DELETE"},
    {HTTP ", 'permissions': {}}", "http_request", "{'method': 'POST', 'path': '/x'}", 0,
     AK_CLASS_WRITE, "spec.permissions", NULL},
    {HTTP "}", "connect", NULL, 0, AK_CLASS_UNKNOWN, "engine", "type http has no interactive"},
    {ES_RULES, "search", "{'index': 'logs-1'}", YES, AK_CLASS_READ, "spec.permissions.requests[0]",
     NULL},
    {ES_RULES, "search", "{'index': 'other'}", 0, AK_CLASS_READ, "spec.permissions.requests", NULL},
    {ES_RULES, "search", "{'index': 'logs-1/_delete_by_query?'}", 0, AK_CLASS_READ, "engine", NULL},
    {ES_RULES, "http_request", "{'method': 'POST', 'path': '/logs-1/_bulk'}", 0, AK_CLASS_WRITE,
     "spec.permissions.requests", NULL},
    /* others */
    {KAFKA, "consume", "{'topic': 'orders'}", YES, AK_CLASS_READ, "spec.permissions.grants[0]",
     NULL},
    {KAFKA, "consume", "{'topic': 'log'}", 0, AK_CLASS_READ, "spec.permissions.grants", NULL},
    {KAFKA, "produce", "{'topic': 'log', 'messages': ['x']}", YES, AK_CLASS_WRITE,
     "spec.permissions.grants[1]", NULL},
    {KAFKA, "produce", "{'topic': 'log', 'messages': ['x']}", RO, AK_CLASS_WRITE, "readOnly", NULL},
    {KAFKA, "produce", "{'topic': 'orders', 'messages': ['x']}", 0, AK_CLASS_WRITE,
     "spec.permissions.grants", NULL},
    {KAFKA, "list_topics", "{}", YES, AK_CLASS_READ, "spec.permissions", NULL},
    {KAFKA, "exec", NULL, 0, AK_CLASS_UNKNOWN, "spec.permissions.grants", NULL},
    {KUBE "}", "kubectl", "{'args': ['get', 'pods']}", RO | YES, AK_CLASS_READ, "spec.config",
     NULL},
    {KUBE "}", "kubectl", "{'args': ['delete', 'pod', 'x']}", RO, AK_CLASS_WRITE,
     "spec.permissions", NULL},
    {KUBE "}", "kubectl", "{'args': ['get', '--token=x']}", 0, AK_CLASS_READ, "engine",
     "kubectl --token=x: this flag"},
    {KUBE "}", "kubectl", "{'args': ['exec', 'x', 'sh']}", 0, AK_CLASS_ADMIN, "engine", NULL},
    {KUBE ", 'permissions': {'rules': [{'verbs': ['delete'], 'resources': ['pods']}]}}", "kubectl",
     "{'args': ['delete', 'pod', 'x']}", YES, AK_CLASS_WRITE, "spec.permissions.rules", NULL},
    {RABBIT, "get_messages", "{'queue': 'q'}", RO | YES, AK_CLASS_READ, "spec.config", NULL},
    {RABBIT, "get_messages", "{'queue': 'q', 'requeue': false}", RO, AK_CLASS_WRITE,
     "spec.permissions", NULL},
    {RABBIT, "publish", "{'routingKey': 'q', 'payload': ''}", YES, AK_CLASS_WRITE, "spec.config",
     NULL},
    {RABBIT, "http_request", "{'method': 'DELETE', 'path': '/api/x'}", RO, AK_CLASS_WRITE,
     "spec.permissions", NULL},
    /* approval */
    {"{'type': 'postgres', " DB ", 'approval': {'mode': 'Writes'}}", "execute",
     "{'sql': 'delete from t'}", YES | ASK, AK_CLASS_WRITE, "spec.approval", NULL},
    {"{'type': 'postgres', " DB ", 'approval': {'mode': 'Writes'}}", "execute",
     "{'sql': 'call p()'}", YES | ASK, AK_CLASS_UNKNOWN, "spec.approval", NULL},
    {"{'type': 'postgres', " DB ", 'approval': {'mode': 'Writes'}}", "query", "{'sql': 'select 1'}",
     YES, AK_CLASS_READ, "spec.config", NULL},
    {"{'type': 'postgres', " DB ", 'approval': {'mode': 'Always'}}", "query", "{'sql': 'select 1'}",
     YES | ASK, AK_CLASS_READ, "spec.approval", NULL},
    {"{'type': 'postgres', " DB ", 'approval': {'mode': 'Always'}}", "query",
     "{'sql': 'delete from t'}", 0, AK_CLASS_WRITE, "engine", NULL},
    {"{'type': 'postgres', " DB ", 'approval': {'mode': 'Always'}}", "connect", NULL, YES,
     AK_CLASS_UNKNOWN, "spec.config", NULL},
};

static void check_row(const struct row *row)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_JSON *arguments = row->arguments ? json_of(row->arguments) : NULL;
    struct ak_tool_spec spec = {0};
    struct ak_decision d = {0};
    struct ak_error *err = NULL;
    bool read_only = row->flags & RO;

    decode(row->spec, &arena, &spec);
    if (ak_policy_decide(&spec, row->operation, arguments, read_only, &arena, &d, &err) < 0)
        fail_msg("%s %s: %s", row->spec, row->operation, ak_error_message(err));
    bool same = d.allowed == !!(row->flags & YES) && d.needs_approval == !!(row->flags & ASK) &&
                d.class == row->class && ak_streq(d.rule, row->rule) &&
                (!row->reason || ak_has_prefix(d.reason, row->reason));
    if (!same)
        fail_msg("%s%s %s %s:\n  %s, %s, class %s, rule %s: %s", row->spec,
                 read_only ? " read only" : "", row->operation,
                 row->arguments ? row->arguments : "", d.allowed ? "allowed" : "refused",
                 d.needs_approval ? "asks" : "asks nobody", ak_statement_class_name(d.class),
                 d.rule, d.reason);
}

static void a_decision_names_its_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void arguments_that_do_not_fit_the_schema_are_refused_with_their_path(void **state)
{
    static const struct {
        const char *spec, *operation, *arguments;
        int code;
        const char *message;
    } cases[] = {
        {PG_FREE, "nonsense", "{}", AK_E_NOT_FOUND, "type postgres has no operation \"nonsense\""},
        {PG_FREE, "run", "{}", AK_E_NOT_FOUND, "type postgres has no operation \"run\""},
        {PG_FREE, "query", "{}", -EINVAL, "arguments: \"sql\" must be set"},
        {PG_FREE, "query", NULL, -EINVAL, "arguments: \"sql\" must be set"},
        {PG_FREE, "query", "[]", -EINVAL, "arguments: has the wrong type"},
        {PG_FREE, "query", "{'sql': ''}", -EINVAL, "arguments.sql: must not be empty"},
        {PG_FREE, "query", "{'sql': 1}", -EINVAL, "arguments.sql: has the wrong type"},
        {PG_FREE, "query", "{'sql': 'x', 'y': 1}", -EINVAL, "arguments: there is no \"y\""},
        {PG_FREE, "query", "{'sql': 'x', 'maxRows': 0}", -EINVAL,
         "arguments.maxRows: must be from 1 to 100000"},
        {PG_FREE, "query", "{'sql': 'x', 'params': [1, 'a', null, true, {}]}", -EINVAL,
         "arguments.params[4]: has the wrong type"},
        {REDIS "}", "command", "{'args': []}", -EINVAL, "arguments.args: must not be empty"},
        {HTTP "}", "http_request", "{'method': 'TRACE', 'path': '/'}", -EINVAL,
         "arguments.method: is not one of"},
        {HTTP "}", "http_request", "{'method': 'GET', 'path': 'x'}", -EINVAL,
         "arguments.path: must begin with \"/\""},
        {HTTP "}", "http_request", "{'method': 'GET', 'path': '/', 'headers': {'a': 1}}", -EINVAL,
         "arguments.headers.a: has the wrong type"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_JSON *arguments = cases[i].arguments ? json_of(cases[i].arguments) : NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_tool_spec spec = {0};
        struct ak_decision d = {0};
        decode(cases[i].spec, &arena, &spec);
        assert_int_equal(
            ak_policy_decide(&spec, cases[i].operation, arguments, false, &arena, &d, &err),
            cases[i].code);
        if (!ak_has_prefix(ak_error_message(err), cases[i].message))
            fail_msg("%s: %s", cases[i].message, ak_error_message(err));
    }
}

static void who_has_to_be_kept_to_reading(void **state)
{
    static const struct {
        const char *spec;
        bool agent, person, session; /* a person's session */
        bool provisioned;
    } cases[] = {
        {PG_FREE, true, false, false, false},
        {PG_READ, true, true, true, true},
        {PG_GRANTS, false, false, false, true},
        {"{'type': 'postgres', " DB ", 'approval': {'mode': 'Writes'}}", true, false, true, false},
        {"{'type': 'mysql', " DB ", 'permissions': {" ADMIN ", 'readOnly': true, 'grants': "
         "[{'privileges': ['ALL']}]}}",
         true, true, true, true},
        {"{'type': 'mysql', " DB ", 'permissions': {" ADMIN ", 'grants': [{'privileges': "
         "['select', 'SHOW VIEW']}]}}",
         true, true, true, true},
        {"{'type': 'mongodb', " DB ", 'permissions': {" ADMIN ", 'roles': ['read']}}", true, true,
         true, true},
        {"{'type': 'mongodb', " DB ", 'permissions': {" ADMIN ", 'roles': ['readWrite']}}", false,
         false, false, true},
        {REDIS ", 'permissions': {" ADMIN ", 'commands': ['+@read', '-@dangerous', '~a:*']}}", true,
         true, true, true},
        {REDIS ", 'permissions': {" ADMIN ", 'commands': ['+@read', '+incr']}}", false, false,
         false, true},
        {REDIS ", 'permissions': {" ADMIN ", 'commands': ['+@all', '-@write']}}", false, false,
         false, true},
        {SSH_LISTED, false, false, false, false},
        {HTTP_RULES, false, false, false, false},
        {HTTP ", 'permissions': {'requests': [{'methods': ['GET', 'HEAD']}]}}", true, true, true,
         false},
        {ES_RULES, false, false, false, false},
        {KUBE ", 'permissions': {'rules': [{'verbs': ['get', 'list'], 'resources': ['pods']}]}}",
         true, true, true, false},
        {KUBE ", 'permissions': {'rules': [{'verbs': ['get', 'patch'], 'resources': ['pods']}]}}",
         false, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_tool_spec spec = {0};
        decode(cases[i].spec, &arena, &spec);
        if (ak_policy_is_read_only(&spec, true, false) != cases[i].agent ||
            ak_policy_is_read_only(&spec, false, false) != cases[i].person ||
            ak_policy_session_is_read_only(&spec, false, false) != cases[i].session ||
            ak_policy_is_provisioned(&spec) != cases[i].provisioned)
            fail_msg("%s", cases[i].spec);
        assert_true(ak_policy_is_read_only(&spec, false, true));
        assert_true(ak_policy_session_is_read_only(&spec, true, true));
    }
}

static void readers_are_offered_what_can_be_kept_to_reading(void **state)
{
    static const struct {
        const char *spec, *offered; /* operations, to a reader */
    } cases[] = {
        {PG_FREE, "query list_tables describe_table "},
        {MS_FREE, ""},
        {SSH "}", ""},
        {SSH_LISTED, ""},
        {SSH ", 'permissions': {'readOnly': true, 'commands': ['uptime']}}", "run "},
        {REDIS "}", "command scan_keys get "},
        {MONGO, "find aggregate count list_collections "},
        {RABBIT, "list_queues get_messages http_request "},
        {KAFKA, "list_topics consume "},
        {KUBE "}", "kubectl "},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_tool_spec spec = {0};
        char text[256] = "";
        decode(cases[i].spec, &arena, &spec);
        const struct ak_engine_info *info = ak_engine_info(spec.type);
        for (size_t n = 0; n < info->n_operations; n++) {
            assert_true(ak_policy_offers(&spec, &info->operations[n], false));
            if (ak_policy_offers(&spec, &info->operations[n], true))
                (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
                               info->operations[n].name);
        }
        assert_string_equal(text, cases[i].offered);
    }
}

static const struct {
    const char *spec, *said; /* beginnings, by lines */
} unenforceables[] = {
    {PG_FREE, ""},
    {PG_GRANTS, ""},
    {"{'type': 'mysql', " DB ", 'permissions': {" ADMIN ", 'grants': [{'privileges': "
     "['SELECT', 'FILE'], 'schema': 's'}]}}",
     "spec.permissions.grants[0].privileges[1]: \"FILE\" is no privilege\n"
     "spec.permissions.grants[0].schema: type mysql has no schemas\n"},
    {"{'type': 'kafka', 'config': {'hostname': 'h'}, 'permissions': {'grants': [{'privileges': "
     "['ALTER'], 'database': 'x'}]}}",
     "spec.permissions.grants[0].privileges[0]: \"ALTER\"\n"
     "spec.permissions.grants[0].database: type kafka has no databases\n"},
    {"{'type': 'mysql', 'config': {'hostname': 'h'}, 'permissions': {" ADMIN ", 'grants': "
     "[{'privileges': ['SELECT']}]}}",
     "spec.permissions.grants[0].database: must be set\n"},
    {SSH ", 'permissions': {'readOnly': true}}", "spec.permissions.commands: must be set\n"},
    {"{'type': 'custom', 'permissions': {}}", "spec.permissions.commands: must be set\n"},
    {SNOW ", 'permissions': {'readOnly': true}}",
     "spec.permissions.readOnly: cannot be enforced by type snowflake\n"
     "spec.permissions.roles: must name the role\n"},
    {SNOW ", 'permissions': {'roles': ['a', 'b']}}", "spec.permissions.roles: a statement\n"},
    {"{'type': 'mongodb', " DB ", 'permissions': {" ADMIN ", 'readOnly': true, 'roles': "
     "['read', 'dbOwner']}}",
     "spec.permissions.roles[1]: role \"dbOwner\" may do more\n"},
    {"{'type': 'kubernetes', 'config': {'credentialsRef': {'name': 's', 'key': 'k'}}, "
     "'permissions': {'clusterWide': true}}",
     "spec.permissions.rules: can be made only in the cluster\n"},
    {"{'type': 'kubernetes', 'config': {'credentialsRef': {'name': 's', 'key': 'k'}}, "
     "'permissions': {'readOnly': true}}",
     ""},
    {REDIS ", 'permissions': {" ADMIN ", 'commands': ['+get', '#abc', 'on', '~a b', 'allkeys', "
           "'%R~x*']}}",
     "spec.permissions.commands[1]: \"#abc\"\nspec.permissions.commands[2]: \"on\"\n"
     "spec.permissions.commands[3]: \"~a b\"\n"},
    {HTTP ", 'permissions': {'requests': [{'paths': ['/a//b', '/x?y', '/c/*']}]}}",
     "spec.permissions.requests[0].paths[0]: \n"
     "spec.permissions.requests[0].paths[1]: \n"},
    {"{'type': 'postgres', " DB ", 'permissions': {'readOnly': true}}",
     "spec.permissions.adminCredentialsRef: must be set\n"},
    {"{'type': 'elasticsearch', 'config': {'hostname': 'h'}, 'permissions': {'readOnly': "
     "true}}",
     ""},
};

static void what_nobody_enforces_is_said_with_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(unenforceables); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_tool_spec spec = {0};
        const char *const *list = NULL;
        const char *line = unenforceables[i].said;
        decode(unenforceables[i].spec, &arena, &spec);
        assert_int_equal(ak_policy_enforceable(&spec, &arena, &list, NULL), 0);
        for (; *list; list++) {
            size_t len = strcspn(line, "\n");
            if (!len || strncmp(*list, line, len) != 0)
                fail_msg("%s\n  found  %s\n  wanted %.*s", unenforceables[i].spec, *list, (int)len,
                         line);
            line += len + 1;
        }
        if (*line)
            fail_msg("%s\n  did not find %s", unenforceables[i].spec, line);
    }
}

static const struct {
    const char *path;
    bool plain, allowed; /* by GET on /invoices/\* and /a/\*\/b */
} plain_paths[] = {
    {"/invoices/7", true, true},
    {"/invoices/7/lines", true, true},
    {"/invoices/%37", true, true},
    {"/%69nvoices/7", true, true},
    {"/invoices/7?x=%2f..//", true, true},
    {"/invoices/", true, false},
    {"/invoices", true, false},
    {"/invoices2/7", true, false},
    {"/a/x/b", true, true},
    {"/a/x/y/b", true, false},
    {"/a//b", false, false},
    {"/a/x/b/", true, false},
    {"/a/xb", true, false},
    {"/A/x/b", true, false},
    {"invoices/7", false, false},
    {"//invoices/7", false, false},
    {"/invoices//7", false, false},
    {"/invoices/../admin", false, false},
    {"/invoices/%2e%2e/admin", false, false},
    {"/invoices/%2E./admin", false, false},
    {"/invoices/.", false, false},
    {"/invoices/..", false, false},
    {"/invoices/..?x", false, false},
    {"/./invoices/7", false, false},
    {"/invoices/.../7", true, true},
    {"/invoices%2f7", false, false},
    {"/invoices/7%2F..%2Fadmin", false, false},
    {"/invoices/%5c..%5cadmin", false, false},
    {"/invoices\\7", false, false},
    {"/invoices/7;x=/../admin", false, false},
    {"/invoices/7%3bx", false, false},
    {"/invoices/%00", false, false},
    {"/invoices/%0d%0a", false, false},
    {"/invoices/%", false, false},
    {"/invoices/%4", false, false},
    {"/invoices/%zz", false, false},
    {"/invoices/%252e%252e/x", false, false},
    {"/invoices/7#x", false, false},
    {"/invoices/7 8", false, false},
    {"/invoices/\xc3\xa4", false, false},
    {"/invoices/%c3%a4", true, true},
    {"", false, false},
    {"/", true, false},
};

static void paths_are_matched_after_they_were_made_plain(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_tool_spec spec = {0};
    char *longer = ak_malloc(9001);

    (void)state;
    decode(HTTP_RULES, &arena, &spec);
    for (size_t i = 0; i < AK_ARRAY_LEN(plain_paths); i++) {
        size_t rule = 7;
        if (ak_http_path_is_plain(plain_paths[i].path) != plain_paths[i].plain ||
            ak_http_rule_allows(&spec, "GET", plain_paths[i].path, &rule) !=
                plain_paths[i].allowed ||
            rule != (plain_paths[i].allowed ? 0 : SIZE_MAX))
            fail_msg("%s", plain_paths[i].path);
    }
    assert_non_null(longer);
    memset(longer, 'x', 9000);
    longer[9000] = '\0';
    memcpy(longer, "/invoices/", 10);
    assert_false(ak_http_path_is_plain(longer));
    ak_free(longer);
}

static void stars_stand_for_something_within_one_part(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool allowed;
    } cases[] = {
        {"/logs-*/_search", "/logs-1/_search", true},
        {"/logs-*/_search", "/logs-/_search", false},
        {"/logs-*/_search", "/logs-a/b/_search", false},
        {"/a*b*c", "/axxbxbxc", true},
        {"/a*b*c", "/abc", false},
        {"/a*b*c", "/axbxcd", false},
        {"/*", "/x/y", true},
        {"/*", "/", false},
        {"/x*", "/xy", true},
        {"/x*", "/xy/z", false},
        {"/*/b", "/a/b", true},
        {"/*.json", "/a.b.json", true},
        {"/a", "/a", true},
        {"/a", "/a/", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_tool_spec spec = {0};
        char text[256];
        size_t rule;
        (void)snprintf(text, sizeof(text),
                       HTTP ", 'permissions': {'requests': [{'paths': ['%s']}]}}",
                       cases[i].pattern);
        decode(text, &arena, &spec);
        if (ak_http_rule_allows(&spec, "DELETE", cases[i].path, &rule) != cases[i].allowed)
            fail_msg("%s %s", cases[i].pattern, cases[i].path);
    }
}

static void methods_are_exact_but_for_the_head_of_what_may_be_got(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_tool_spec spec = {0};
    size_t rule;

    (void)state;
    decode(HTTP_RULES, &arena, &spec);
    assert_true(ak_http_rule_allows(&spec, "HEAD", "/invoices/1", &rule));
    assert_false(ak_http_rule_allows(&spec, "get", "/invoices/1", &rule));
    assert_false(ak_http_rule_allows(&spec, "POST", "/invoices/1", &rule));
    assert_true(ak_http_rule_allows(&spec, "POST", "/notes", &rule));
    assert_int_equal(rule, 1);
    assert_false(ak_http_rule_allows(&spec, "HEAD", "/notes", &rule));
}

static void grants_of_an_identity_have_their_defaults_filled_in(void **state)
{
    static const struct {
        const char *spec;
        bool writer;
        const char *grants; /* index:database.schema:privileges:objects */
    } cases[] = {
        {PG_FREE, true, ""},
        {PG_READ, true, "-1:d.-:SELECT::"},
        {PG_READ, false, "-1:d.-:SELECT::"},
        {PG_GRANTS, true, "0:d.-:SELECT:orders::1:d.-:SELECT,INSERT:notes::"},
        {PG_GRANTS, false, "0:d.-:SELECT:orders::1:d.-:SELECT:notes::"},
        {"{'type': 'postgres', " DB ", 'permissions': {'readOnly': true, 'grants': [{'privileges': "
         "['insert', 'select', 'SELECT'], 'schema': 's', 'database': 'e'}, {'privileges': "
         "['DELETE']}]}}",
         true, "0:e.s:SELECT::"},
        {"{'type': 'mongodb', " DB ", 'permissions': {}}", true,
         "-1:d.-:find,listCollections,listIndexes,collStats,dbStats::"},
        {"{'type': 'mongodb', " DB ", 'permissions': {'roles': ['read']}}", true, ""},
        {"{'type': 'rabbitmq', 'config': {'hostname': 'h', 'virtualHost': '/v'}, 'permissions': "
         "{'grants': [{'privileges': ['READ', 'Write', 'configure'], 'objects': ['a', 'b']}]}}",
         true, "0:/v.-:read,write,configure:a,b::"},
        {"{'type': 'rabbitmq', 'config': {'hostname': 'h'}, 'permissions': {}}", false,
         "-1:-.-:read::"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
        struct ak_tool_spec spec = {0};
        const struct ak_effective_grant *list = NULL;
        size_t n = 0;
        decode(cases[i].spec, &arena, &spec);
        assert_int_equal(ak_policy_grants(&spec, cases[i].writer, &arena, &list, &n, NULL), 0);
        for (size_t g = 0; g < n; g++) {
            assert_int_equal(ak_buf_addf(&text, "%d:%s.%s:", (int)list[g].index,
                                         list[g].database ? list[g].database : "-",
                                         list[g].schema ? list[g].schema : "-"),
                             0);
            for (size_t k = 0; list[g].privileges[k]; k++)
                assert_int_equal(ak_buf_addf(&text, "%s%s", k ? "," : "", list[g].privileges[k]),
                                 0);
            for (size_t k = 0; list[g].objects[k]; k++)
                assert_int_equal(ak_buf_addf(&text, "%s%s", k ? "," : ":", list[g].objects[k]), 0);
            assert_int_equal(ak_buf_adds(&text, "::"), 0);
        }
        if (strcmp(ak_buf_text(&text), cases[i].grants) != 0)
            fail_msg("%s: %s", cases[i].spec, ak_buf_text(&text));
    }
}

static void without_memory_it_says_so_and_decides_nothing(void **state)
{
    AK_AUTO(ak_arena) first = {0};
    AK_AUTO_JSON *arguments = json_of("{'sql': 'insert into notes values (1)'}");
    struct ak_tool_spec spec = {0};
    int r = -ENOMEM;

    (void)state;
    decode(PG_GRANTS, &first, &spec);
    for (size_t n = 0; r == -ENOMEM; n++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_error *err = NULL;
        struct ak_decision d = {.rule = "untouched"};
        ak_arena_init(&arena, 16, 0);
        ak_alloc_fail_after((long)n);
        r = ak_policy_decide(&spec, "execute", arguments, false, &arena, &d, &err);
        ak_alloc_fail_after(-1);
        if (r == -ENOMEM)
            assert_string_equal(d.rule, "untouched");
        else
            assert_string_equal(d.rule, "spec.permissions.grants[1]");
        err = ak_error_free(err);
        assert_true(n < 1000);
    }
    assert_int_equal(r, 0);
}

static int setup(void **state)
{
    (void)state;
    ak_json_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_names_its_rule),
        cmocka_unit_test(arguments_that_do_not_fit_the_schema_are_refused_with_their_path),
        cmocka_unit_test(who_has_to_be_kept_to_reading),
        cmocka_unit_test(readers_are_offered_what_can_be_kept_to_reading),
        cmocka_unit_test(what_nobody_enforces_is_said_with_its_path),
        cmocka_unit_test(paths_are_matched_after_they_were_made_plain),
        cmocka_unit_test(stars_stand_for_something_within_one_part),
        cmocka_unit_test(methods_are_exact_but_for_the_head_of_what_may_be_got),
        cmocka_unit_test(grants_of_an_identity_have_their_defaults_filled_in),
        cmocka_unit_test(without_memory_it_says_so_and_decides_nothing),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
