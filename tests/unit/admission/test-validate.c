/* SPDX-License-Identifier: Apache-2.0 */
/* What is found in specs of each kind: a row is a spec (with ' for ") and the findings, one line each. */
#include "manager/admission/validate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

struct row {
    const char *spec;
    const char *found; /* "E path: words" (refused) or "W path: words", by lines; "": nothing */
};

static json_t *json_of(const char *text)
{
    AK_AUTO_TEXT char *copy = ak_strdup(text);
    struct ak_error *err = NULL;
    json_t *tree = NULL;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    if (ak_json_parse(copy, strlen(copy), &tree, &err) < 0)
        fail_msg("%s: %s", text, ak_error_message(err));
    return tree;
}

static void *spec_of(const char *text, const struct ak_type *type, struct ak_arena *arena)
{
    AK_AUTO_JSON *tree = json_of(text);
    struct ak_error *err = NULL;
    void *spec = ak_arena_alloc(arena, type->size);

    assert_non_null(spec);
    if (ak_decode(type, tree, spec, arena, &err) < 0)
        fail_msg("%s: %s", text, ak_error_message(err));
    return spec;
}

typedef void (*validate_fn)(const void *spec, struct ak_findings *found);

static void validate_agent(const void *spec, struct ak_findings *found)
{
    const struct ak_agent_candidate c = {.name = "me", .spec = spec};

    ak_validate_agent(&c, found);
}
static void validate_tool(const void *spec, struct ak_findings *found)
{
    ak_validate_tool(spec, found);
}
static void validate_mcp(const void *spec, struct ak_findings *found)
{
    ak_validate_mcp("me", spec, found);
}
static void validate_gateway(const void *spec, struct ak_findings *found)
{
    ak_validate_llm_gateway(spec, found);
}
static void validate_claw(const void *spec, struct ak_findings *found)
{
    ak_validate_claw(spec, found);
}

/* Each line of `wanted` begins one finding, in their order. */
static void check_row(const struct row *row, const struct ak_findings *found)
{
    const char *line = row->found;
    char text[2048];

    for (size_t i = 0; i < found->len; i++) {
        const struct ak_finding *item = &found->items[i];
        size_t len = strcspn(line, "\n");
        (void)snprintf(text, sizeof(text), "%c %s: %s", item->warning ? 'W' : 'E', item->path,
                       item->message);
        if (!len || strncmp(text, line, len) != 0)
            fail_msg("%s\n  found  %s\n  wanted %.*s", row->spec, text, (int)len, line);
        line += len + (line[len] == '\n');
    }
    if (*line)
        fail_msg("%s\n  did not find %s", row->spec, line);
}

static void check_rows(const struct row *rows, size_t n, const struct ak_type *type,
                       validate_fn validate)
{
    for (size_t i = 0; i < n; i++) {
        AK_AUTO(ak_arena) arena = {0};
        ak_arena_init(&arena, 1024, 0);
        struct ak_findings found = {.arena = &arena};
        validate(spec_of(rows[i].spec, type, &arena), &found);
        assert_false(found.oom);
        check_row(&rows[i], &found);
    }
}

#define TOKEN "'agentToken': {'secretRef': {'name': 'k', 'key': 't'}}"
#define CODEX "{'runtime': 'Codex', " TOKEN ", "
#define CUSTOM "{'runtime': 'Custom', 'run': {'command': ['x']}, "
static const struct row agents[] = {
    {CODEX "'goal': {'inline': 'x'}}", ""},
    {"{'runtime': 'Codex'}", "W spec.agentToken: neither this nor spec.gatewayRef is set"},
    {CODEX "'gatewayRef': {'name': 'g'}}", "W spec.agentToken: is not used with spec.gatewayRef"},
    {"{'runtime': 'Custom'}",
     "E spec.image: must be set, because runtime Custom\nW spec.run.command: is not set"},
    {CUSTOM "'image': 'a/b'}", "W spec.image: \"a/b\" may be another image"},
    {CUSTOM "'image': 'h:5000/a/b:latest'}", "W spec.image: "},
    {CUSTOM "'image': 'h:5000/a/b:1'}", ""},
    {CUSTOM "'image': 'a@sha256:00'}", ""},
    {CUSTOM "'image': 'a@sha256:00', 'goal': {'inline': 'x'}, 'schedule': {'cron': '@daily'}}", ""},
    {CUSTOM "'image': 'a@sha256:00', 'schedule': {'cron': '@daily'}}",
     "E spec.goal: must be set, because a run that the schedule starts has no other prompt"},
    {"{'runtime': 'Custom', 'image': 'a@sha256:00'}",
     "W spec.run.command: is not set, so this Agent cannot have runs"},
    {"{'runtime': 'Custom', 'image': 'a@sha256:00', 'run': {'command': ['']}}",
     "E spec.run.command[0]: must name a program"},
    {"{'runtime': 'Custom', 'image': 'a@sha256:00', 'goal': {'inline': 'x'}, 'schedule': {'cron':"
     " '@daily'}}",
     "E spec.run.command: must be set, because runs are scheduled"},
    {"{'runtime': 'Custom', 'image': 'a@sha256:00', 'mode': 'system', 'schedule': {'cron':"
     " '@daily'}, 'playbook': {'steps': [{'name': 'a', 'run': 'x'}]}}",
     ""},
    {"{'runtime': 'Custom', 'image': 'a@sha256:00', 'mode': 'system', 'playbook': {'steps':"
     " [{'name': 'a', 'prompt': 'x'}]}}",
     "E spec.run.command: must be set, because a step of the playbook has a prompt"},
    {CODEX "'run': {'command': ['x']}}", "W spec.run.command: has no effect"},
    {CODEX "'schedule': {'cron': '@daily'}}", "E spec.goal: must be set"},
    {CODEX "'model': {'name': 'm', 'baseURL': 'https://h/v1'}}", ""},
    {CODEX "'model': {'name': 'm', 'baseURL': 'http://h/v1'}}",
     "W spec.model.baseURL: the credential goes over the network in clear text"},
    {"{'runtime': 'Codex', 'model': {'name': 'm', 'baseURL': 'http://h/v1'}}", ""},
    {CODEX "'model': {'name': 'm', 'baseURL': 'https://u:p@h/v1'}}",
     "E spec.model.baseURL: must not hold a credential"},
    {CODEX "'model': {'name': 'm', 'baseURL': 'https://h/v1?x=1'}}",
     "E spec.model.baseURL: must have no query"},
    {CODEX "'model': {'name': 'm', 'baseURL': 'ftp://h/'}}",
     "E spec.model.baseURL: must begin with https:// or http://"},
    {"{'runtime': 'Codex', 'gatewayRef': {'name': 'g'}, 'model': {'name': 'm', 'baseURL':"
     " 'https://h/'}}",
     "E spec.model.baseURL: contradicts spec.gatewayRef"},
    {"{'runtime': 'Cursor', " TOKEN ", 'model': {'name': 'm', 'baseURL': 'https://h/'}}",
     "W spec.model.baseURL: has no effect"},
    {CODEX "'goal': {}}", "E spec.goal: must have exactly one of inline and configMapKeyRef"},
    {CODEX "'goal': {'inline': 'x', 'configMapKeyRef': {'name': 'c', 'key': 'k'}}}",
     "E spec.goal: must have exactly one"},
    {CODEX "'mode': 'system'}", "E spec.playbook.steps: mode system needs at least one step"},
    {CODEX "'mode': 'supervised', 'playbook': {'steps': [{'name': 'a', 'run': 'x'}]}}",
     "W spec.playbook: has no effect"},
    {CODEX "'mode': 'system', 'run': {'timeoutSeconds': 5}, 'playbook': {'steps': [{'name': 'a', "
           "'run': 'x', 'prompt': 'y'}, {'name': 'b', 'run': 'x', 'timeoutSeconds': 9}]}}",
     "E spec.playbook.steps[0]: must have exactly one of prompt, run and tool\n"
     "W spec.playbook.steps[1].timeoutSeconds: is never reached"},
    {CODEX "'env': [{'name': 'A', 'value': ''}, {'name': 'AGENTKUBE_X', 'value': ''}, {'name': "
           "'OPENAI_API_KEY', 'value': ''}, {'name': 'DB_PASSWORD', 'value': ''}]}",
     "E spec.env[1].name: \"AGENTKUBE_X\" is reserved\n"
     "E spec.env[2].name: \"OPENAI_API_KEY\" is reserved\n"
     "W spec.env[3].name: \"DB_PASSWORD\" looks like a credential"},
    {CODEX
     "'podLabels': {'a.agentkube.io/x': '', 'app.kubernetes.io/name': '', 'myagentkube.io/x': "
     "''}}",
     "E spec.podLabels: \"a.agentkube.io/x\" is reserved: keys of agentkube.io\n"
     "E spec.podLabels: \"app.kubernetes.io/name\" is reserved: keys of app.kubernetes.io"},
    {CODEX "'podAnnotations': {'agentkube.io/pod-hash': ''}}", "E spec.podAnnotations: "},
    {CODEX "'workspace': {'size': '0'}}", "E spec.workspace.size: \"0\" must be a quantity above"},
    {CODEX "'workspace': {'storageClassName': 'x', 'reclaimPolicy': 'Retain'}}",
     "W spec.workspace.storageClassName: has no effect\nW spec.workspace.reclaimPolicy: "},
    {CODEX "'workspace': {'repo': {'url': 'http://x/y', 'secretRef': {'name': 's'}}}}",
     "W spec.workspace.repo.url: the credential goes over the network in clear text"},
    {CODEX "'workspace': {'repo': {'url': 'git://x/y', 'secretRef': {'name': 's'}}}}",
     "W spec.workspace.repo.url: git:// is neither\nW spec.workspace.repo.secretRef: "},
    {CODEX "'workspace': {'repo': {'url': 'https://x/y', 'secretRef': {'name': 's'}}}}", ""},
    {CODEX "'suspendAfter': '0s'}", "E spec.suspendAfter: \"0s\" must be a duration above zero"},
    {CODEX "'suspendAfter': '1d'}", "E spec.suspendAfter: "},
    {CODEX "'suspendAfter': '10ms', 'workspace': {'persistent': true}}",
     "E spec.suspendAfter: \"10ms\" must be at least 1s"},
    {CODEX "'suspendAfter': '30s', 'workspace': {'persistent': true}}",
     "W spec.suspendAfter: is shorter than a minute"},
    {CODEX "'suspendAfter': '30m', 'workspace': {'persistent': true}}", ""},
    {CODEX "'suspendAfter': '30m'}", "W spec.suspendAfter: the workspace is not persistent"},
    {CODEX
     "'mode': 'system', 'playbook': {'steps': [{'name': 'a'}, {'name': 'b', 'tool': {'name':"
     " 't'}}, {'name': 'c', 'tool': {'name': 't', 'arguments': '{\\\"a\\\": 1}'}}, {'name': 'd',"
     " 'tool': {'name': 't', 'arguments': '[1]'}}, {'name': 'e', 'tool': {'name': 't',"
     " 'arguments': '{'}}]}}",
     "E spec.playbook.steps[0]: must have exactly one\n"
     "E spec.playbook.steps[3].tool.arguments: must be a JSON object\n"
     "E spec.playbook.steps[4].tool.arguments: must be a JSON object"},
    {CODEX "'tools': [{'name': 't', 'operations': ['query', 'rm'], 'readOnly': true}]}",
     "E spec.tools[0].operations[1]: no type of Tool has an operation \"rm\""},
    {CODEX "'resources': {'requests': {'cpu': 2, 'memory': '1Gi'}, 'limits': {'cpu': '1500m', "
           "'memory': '1Gi'}}}",
     "E spec.resources.requests[cpu]: must not be above the limit"},
};

#define A "'adminCredentialsRef': {'name': 's', 'key': 'k'}"
#define HOST "'config': {'hostname': 'h'}"
static const struct row tools[] = {
    {"{'type': 'postgres', " HOST "}", ""},
    {"{'type': 'postgres'}", "E spec.config.hostname: must be set for type postgres"},
    {"{'type': 'kafka', 'config': {'hostname': 'h', 'brokers': ['a:1']}}",
     "E spec.config: must have exactly one of hostname and brokers for type kafka"},
    {"{'type': 'kafka', 'config': {'brokers': ['a:1', 'b:0', 'c:70000']}}",
     "E spec.config.brokers[1]: \"b:0\" must be host:port\nE spec.config.brokers[2]: "},
    {"{'type': 'clickhouse', 'config': {'url': 'https://x'}}", ""},
    {"{'type': 'clickhouse'}", "E spec.config: must have exactly one of hostname and url"},
    {"{'type': 'http', 'config': {'url': 'http://x', 'credentialsRef': {'name': 's', 'key': 'k'}}}",
     "W spec.config.url: the credential goes"},
    {"{'type': 'http', 'config': {'url': 'https://x', 'hostname': 'h'}}",
     "E spec.config.hostname: is not used by type http; remove it (http uses url, "},
    {"{'type': 'postgres', 'config': {'hostname': 'h', 'brokers': ['a:1'], 'account': 'x'}}",
     "E spec.config.account: is not used by type postgres; remove it (postgres uses hostname, "
     "port, "
     "username, databaseName, sslMode, credentialsRef, caRef, schema)\n"
     "E spec.config.brokers: is not used by type postgres"},
    {"{'type': 'postgres', " HOST ", 'tls': {'mode': 'require', 'serverName': 'x'}}", ""},
    {"{'type': 'postgres', 'config': {'hostname': 'h', 'sslMode': 'require', 'caRef': {'name': "
     "'a', 'key': 'k'}}, 'tls': {'mode': 'prefer', 'caRef': {'name': 'b', 'key': 'k'}}}",
     "E spec.tls.mode: means the same as spec.config.sslMode\nE spec.tls.caRef: means the same"},
    {"{'type': 'ssh', 'config': {'hostname': 'h', 'hostKey': 'k'}, 'tls': {}}",
     "E spec.tls: is not used by type ssh"},
    {"{'type': 'oracle', " HOST "}", "E spec.image: must be set, because type oracle"},
    {"{'type': 'http', 'config': {'url': 'https://x', 'username': 'u', 'credentialHeader': "
     "'Host'}}",
     "E spec.config.credentialHeader: and username exclude each other\n"
     "E spec.config.credentialHeader: \"Host\" belongs to the connection"},
    {"{'type': 'mysql', " HOST ", 'limits': {'maxBytes': '9Mi', 'timeout': '2h'}, 'approval': "
     "{'timeout': '0s'}, 'recording': {'retention': 'x'}}",
     "E spec.approval.timeout: \nE spec.recording.retention: \n"
     "E spec.limits.timeout: \"2h\" must be at most 1h\n"
     "E spec.limits.maxBytes: \"9Mi\" must be at most 8Mi"},
    {"{'type': 'mysql', " HOST ", 'limits': {'maxBytes': '8Mi', 'timeout': '1h'}}", ""},
    {"{'type': 'http', 'config': {'url': 'https://x', 'headers': {'AUTHORIZATION': 'Bearer x'}}}",
     "E spec.config.headers[AUTHORIZATION]: holds a credential"},
    {"{'type': 'kubernetes', 'config': {'inCluster': true}}", ""},
    {"{'type': 'kubernetes', 'config': {'inCluster': true, 'credentialsRef': {'name': 's', 'key': "
     "'k'}}}",
     "E spec.config: must have exactly one of credentialsRef and inCluster"},
    {"{'type': 'kubernetes', 'config': {'inCluster': true}, 'permissions': {'clusterWide': true, "
     "'namespaces': ['a'], 'rules': [{'verbs': ['*'], 'resources': ['*']}, {'verbs': ['get']}]}}",
     "E spec.permissions: must have at most one of namespaces and clusterWide\n"
     "W spec.permissions.rules[0]: allows everything\n"
     "E spec.permissions.rules[1].resources: must be set"},
    {"{'type': 'ssh', " HOST "}", "W spec.config.hostKey: is not set"},
    {"{'type': 'redis', 'config': {'hostname': 'h', 'databaseName': 'main'}}",
     "E spec.config.databaseName: \"main\" must be a number for type redis"},
    {"{'type': 'custom'}", "E spec.config.image: must be set, because type custom"},
    {"{'type': 'custom', 'image': 'a:1', 'config': {'image': 'a:1'}}",
     "E spec.config.image: means the same as spec.image"},
    {"{'type': 'mysql', 'config': {'hostname': 'h', 'image': 'a:1'}}",
     "E spec.config.image: is for type custom"},
    {"{'type': 'oracle', 'image': 'a:1', 'config': {'hostname': 'h', 'databaseName': 'a', "
     "'serviceName': 'b'}}",
     "E spec.config.serviceName: and databaseName exclude each other"},
    {"{'type': 'custom', 'image': 'a:1', 'config': {'env': [{'name': 'AGENTKUBE_A', 'value': "
     "''}]}}",
     "E spec.config.env[0].name: \"AGENTKUBE_A\" is reserved"},
    {"{'type': 'mysql', 'config': {'hostname': 'h', 'databaseName': 'd'}, 'permissions': "
     "{'commands': ['ls'], 'readOnly': true, 'grants': [{'privileges': ['SELECT', 'insert']}]}}",
     "E spec.permissions.commands: cannot be enforced by type mysql\n"
     "W spec.permissions.adminCredentialsRef: must be set: without it no user\n"
     "W spec.permissions.grants[0].privileges[1]: \"insert\" is not granted"},
    {"{'type': 'mysql', 'config': {'hostname': 'h', 'sslMode': 'disable', 'credentialsRef': "
     "{'name': 's', 'key': 'k'}}, 'permissions': {'adminCredentialsRef': {'name': 's', 'key': "
     "'k'}}}",
     "W spec.config.sslMode: the credential\nW spec.permissions.adminCredentialsRef: is the same"},
    {"{'type': 'mysql', " HOST ", 'permissions': {'adminUsername': 'root', 'grants': "
     "[{'privileges': ['SUPER'], 'schema': 's'}]}}",
     "E spec.permissions.grants[0].privileges[0]: \"SUPER\" is no privilege that a mysql Tool\n"
     "E spec.permissions.grants[0].schema: type mysql has no schemas\n"
     "E spec.permissions.grants[0].database: must be set, because spec.config.databaseName\n"
     "W spec.permissions.adminCredentialsRef: must be set: without\n"
     "E spec.permissions.adminUsername: has no password"},
    {"{'type': 'postgres', " HOST ", 'permissions': {" A ", 'rules': [{'verbs': ['get'], "
     "'resources': ['pods']}]}}",
     "E spec.permissions.rules: cannot be enforced by type postgres"},
    {"{'type': 'ssh', 'config': {'hostname': 'h', 'hostKey': 'k'}, 'permissions': {'readOnly': "
     "true}}",
     "E spec.permissions.commands: must be set"},
    {"{'type': 'kubernetes', 'config': {'credentialsRef': {'name': 's', 'key': 'k'}}, "
     "'permissions': {'rules': [{'verbs': ['get'], 'resources': ['pods']}]}}",
     "W spec.permissions.rules: can be made only in the cluster"},
    {"{'type': 'http', 'config': {'url': 'https://x'}, 'permissions': {'requests': [{'paths': "
     "['/a/../b', '/c']}]}}",
     "E spec.permissions.requests[0].paths[0]: \"/a/../b\" is no plain path"},
    {"{'type': 'mysql', " HOST ", 'idleTimeout': '-1m'}", "E spec.idleTimeout: "},
};

#define HTTP "{'name': 'a', 'kind': 'http', 'endpoint': 'https://x'"
static const struct row mcps[] = {
    {"{'upstreams': [" HTTP "}]}", ""},
    {"{'upstreams': [{'name': 'a', 'kind': 'http'}]}", "E spec.upstreams[0].endpoint: must be set"},
    {"{'upstreams': [" HTTP "}, {'name': 'b', 'kind': 'stdio', 'endpoint': 'https://x'}]}",
     "E spec.upstreams[1].endpoint: is for kind http, and this one is stdio\n"
     "E spec.upstreams[1].image: must be set for kind stdio"},
    {"{'upstreams': [{'name': 'a', 'kind': 'mcpRef', 'mcpRef': {'name': 'me'}}]}",
     "E spec.upstreams[0].mcpRef.name: must not be the MCP itself"},
    {"{'upstreams': [{'name': 'a', 'kind': 'mcpRef', 'mcpRef': {'name': 'you'}}]}", ""},
    {"{'upstreams': [" HTTP ", 'command': ['x']}]}",
     "E spec.upstreams[0].command: is for kind stdio"},
    {"{'upstreams': [" HTTP ", 'auth': {'mode': 'bearer'}}]}",
     "E spec.upstreams[0].auth.secretRef: must be set for mode bearer"},
    {"{'upstreams': [" HTTP ", 'auth': {'secretRef': {'name': 's', 'key': 'k'}}}]}",
     "E spec.upstreams[0].auth.mode: must say how the Secret is used"},
    {"{'upstreams': [" HTTP ", 'auth': {'mode': 'env', 'variable': 'A', 'secretRef': {'name': 's', "
     "'key': 'k'}}}]}",
     "E spec.upstreams[0].auth.mode: env is for kind stdio"},
    {"{'upstreams': [" HTTP ", 'auth': {'mode': 'header', 'headerName': 'Content-length', "
     "'secretRef': {'name': 's', 'key': 'k'}}}]}",
     "E spec.upstreams[0].auth.headerName: \"Content-length\" belongs to the connection"},
    {"{'upstreams': [" HTTP ", 'tools': {'mode': 'all', 'allow': ['a']}}]}",
     "E spec.upstreams[0].tools.allow: is not in force: mode must be allow"},
    {"{'upstreams': [" HTTP ", 'tools': {'mode': 'deny', 'deny': ['a*', 'a*b']}}]}",
     "E spec.upstreams[0].tools.deny[1]: \"a*b\": a * may only be the last character"},
    {"{'upstreams': [" HTTP ", 'tools': {'mode': 'allow'}}]}",
     "W spec.upstreams[0].tools.allow: is empty"},
};

static const struct row gateways[] = {
    {"{'upstreams': [{'name': 'a', 'provider': 'openai', 'credentialsRef': {'name': 's', 'key': "
     "'k'}}]}",
     ""},
    {"{'upstreams': [{'name': 'a', 'provider': 'vllm'}, {'name': 'b', 'provider': 'vertex'}]}",
     "E spec.upstreams[0].endpoint: must be set for provider vllm\n"
     "E spec.upstreams[1].region: must be set\nE spec.upstreams[1].project: must be set\n"
     "W spec.upstreams[1].credentialsRef: is not set"},
    {"{'upstreams': [{'name': 'a', 'provider': 'ollama', 'endpoint': 'http://x', 'models': "
     "['m']}], "
     "'routing': {'defaultModel': 'n', 'modelMap': [{'from': 'x', 'to': 'm', 'upstream': 'b'}, "
     "{'from': 'x', 'to': 'n', 'upstream': 'a'}, {'from': 'y', 'to': 'z'}, {'from': 'm', 'to': "
     "'m'}]}}",
     "E spec.routing.modelMap[0].upstream: there is no upstream \"b\"\n"
     "E spec.routing.modelMap[1].to: upstream \"a\" does not serve \"n\"\n"
     "E spec.routing.modelMap[2].to: no upstream serves \"z\"\n"
     "E spec.routing.modelMap[3]: maps \"m\" to itself\n"
     "E spec.routing.defaultModel: no upstream serves \"n\""},
    {"{'upstreams': [{'name': 'a', 'provider': 'ollama', 'endpoint': 'http://x'}], 'rateLimit': "
     "{}, "
     "'caching': {'ttl': 'x', 'maxSize': '-1'}}",
     "W spec.rateLimit: limits nothing\nE spec.caching.ttl: \nE spec.caching.maxSize: "},
};

static const struct row claws[] = {
    {"{'packages': [{'name': 'p', 'version': '1'}]}", ""},
    {"{'registries': [{'name': 'r', 'url': 'http://x'}], 'packages': [{'name': 'p', 'version': "
     "'1', 'registry': 'r'}, {'name': 'q', 'version': 'latest', 'registry': 's'}]}",
     "W spec.registries[0].url: packages come\n"
     "E spec.packages[1].registry: there is no \"s\" in spec.registries\n"
     "W spec.packages[1].version: \"q\" may be another"},
    {"{'service': {'type': 'LoadBalancer'}}",
     "W spec.auth: whoever reaches the LoadBalancer is served without a token"},
};

static void test_agents(void **state)
{
    (void)state;
    check_rows(agents, AK_ARRAY_LEN(agents), &ak_agent_spec_type, validate_agent);
}
static void test_tools(void **state)
{
    (void)state;
    check_rows(tools, AK_ARRAY_LEN(tools), &ak_tool_spec_type, validate_tool);
}
/* The Tools of one sample: nothing is wrong with them, and nothing to be warned of. */
static void check_sample(const char *type)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1 << 16);
    AK_AUTO_JSON *all = NULL;
    char path[128];
    size_t tools_seen = 0;

    (void)snprintf(path, sizeof(path), "agentkube/samples/tool-%s.yaml", type);
    if (ak_buf_add_file(&text, path) < 0)
        fail_msg("there is no %s", path);
    assert_int_equal(ak_yaml_parse_all(text.data, text.len, &all, NULL), 0);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *spec = ak_json_at(json_array_get(all, i), "spec", NULL);
        AK_AUTO(ak_arena) arena = {0};
        if (!spec)
            continue;
        ak_arena_init(&arena, 1024, 0);
        struct ak_findings found = {.arena = &arena};
        struct ak_tool_spec tool = {0};
        assert_int_equal(ak_decode(&ak_tool_spec_type, spec, &tool, &arena, NULL), 0);
        assert_string_equal(ak_tool_type_to_string(tool.type), type);
        ak_validate_tool(&tool, &found);
        if (found.len)
            fail_msg("%s: %s: %s", path, found.items[0].path, found.items[0].message);
        tools_seen++;
    }
    assert_true(tools_seen > 0);
}

static void test_there_is_a_good_sample_of_every_type(void **state)
{
    (void)state;
    for (int type = AK_TOOL_TYPE_UNSET + 1; type < AK_TOOL_TYPE_MAX; type++)
        check_sample(ak_tool_type_names[type]);
}
static void test_mcps(void **state)
{
    (void)state;
    check_rows(mcps, AK_ARRAY_LEN(mcps), &ak_mcp_spec_type, validate_mcp);
}
static void test_gateways(void **state)
{
    (void)state;
    check_rows(gateways, AK_ARRAY_LEN(gateways), &ak_llm_gateway_spec_type, validate_gateway);
}
static void test_claws(void **state)
{
    (void)state;
    check_rows(claws, AK_ARRAY_LEN(claws), &ak_claw_spec_type, validate_claw);
}

static void test_what_a_claim_fixed_cannot_be_changed(void **state)
{
    static const struct {
        const char *old, *now, *found;
    } rows[] = {
        {"{'persistent': true}", "{'persistent': true, 'accessMode': 'ReadWriteMany'}",
         "E spec.workspace.accessMode: cannot be changed: claim \"me-workspace\""},
        {"{'persistent': true}", "{'persistent': true, 'storageClassName': 'x'}",
         "E spec.workspace.storageClassName: cannot be changed"},
        {"{'persistent': true, 'size': '2Gi'}", "{'persistent': true, 'size': '1Gi'}",
         "W spec.workspace.size: a claim cannot shrink"},
        {"{'persistent': true, 'size': '2Gi'}", "{'persistent': true, 'size': '3Gi'}", ""},
        {"{'persistent': false}", "{'persistent': true, 'accessMode': 'ReadWriteMany'}", ""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++) {
        AK_AUTO(ak_arena) arena = {0};
        char old[512], now[512];
        ak_arena_init(&arena, 1024, 0);
        struct ak_findings found = {.arena = &arena};
        (void)snprintf(old, sizeof(old), CODEX "'workspace': %s}", rows[i].old);
        (void)snprintf(now, sizeof(now), CODEX "'workspace': %s}", rows[i].now);
        const struct ak_agent_candidate c = {.name = "me",
                                             .spec = spec_of(now, &ak_agent_spec_type, &arena),
                                             .old_spec = spec_of(old, &ak_agent_spec_type, &arena)};
        ak_validate_agent(&c, &found);
        check_row(&(struct row){now, rows[i].found}, &found);
    }
}

static void test_a_schedule_is_read_with_its_zone(void **state)
{
    static const struct {
        const char *spec, *problem;
    } rows[] = {
        {"{'cron': '0 3 * * *'}", NULL},
        {"{'cron': '0 3 * * *', 'timeZone': 'Nowhere/Land'}", "spec.schedule.timeZone: "},
        {"{'cron': '0 25 * * *'}", "spec.schedule.cron: "},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++) {
        AK_AUTO(ak_arena) arena = {0};
        char text[256];
        struct ak_schedule_times times = {.next = -1};
        const struct ak_schedule_query when = {.zoneinfo_dir = "/usr/share/zoneinfo"};
        const char *problem = "untouched";
        ak_arena_init(&arena, 1024, 0);
        (void)snprintf(text, sizeof(text), CODEX "'goal': {'inline': 'x'}, 'schedule': %s}",
                       rows[i].spec);
        const struct ak_agent_spec *spec = spec_of(text, &ak_agent_spec_type, &arena);
        assert_int_equal(
            ak_agent_schedule_times(spec->schedule, when, &arena, &times, &problem, NULL), 0);
        if (rows[i].problem) {
            assert_true(ak_has_prefix(problem, rows[i].problem));
            struct ak_findings found = {.arena = &arena};
            const struct ak_agent_candidate c = {
                .name = "me", .spec = spec, .schedule_problem = problem};
            ak_validate_agent(&c, &found);
            char wanted[64];
            (void)snprintf(wanted, sizeof(wanted), "E %s", rows[i].problem);
            check_row(&(struct row){text, wanted}, &found);
        } else {
            assert_null(problem);
            assert_int_equal(times.next, AK_HOURS(3));
        }
    }
}

/* Many warnings must not hide an error, and many errors are counted. */
static void test_limits_of_the_list(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    ak_arena_init(&arena, 1024, 0);
    struct ak_findings found = {.arena = &arena};

    (void)state;
    for (int i = 0; i < 100; i++)
        ak_warn_of(&found, "spec", "w");
    for (int i = 0; i < 40; i++)
        ak_refuse(&found, "spec", "e");
    assert_int_equal(found.n_warnings, AK_FINDINGS_MAX_WARNINGS);
    assert_int_equal(found.n_errors, AK_FINDINGS_MAX_ERRORS);
    assert_int_equal(found.more, 40 - AK_FINDINGS_MAX_ERRORS);
    assert_int_equal(found.len, found.n_errors + found.n_warnings);
}

static void test_a_lack_of_memory_is_seen(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 50; n++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO(ak_arena) other = {0};
        ak_arena_init(&arena, 16, 0);
        ak_arena_init(&other, 1024, 0);
        struct ak_findings found = {.arena = &arena};
        const void *spec = spec_of(
            CODEX "'podAnnotations': {'agentkube.io/pod-hash': ''}, 'mode': 'system', 'playbook':"
                  " {'steps': [{'name': 'a', 'tool': {'name': 't', 'arguments': '{}'}}]}}",
            &ak_agent_spec_type, &other);
        (void)ak_alloc_fail_after(n);
        validate_agent(spec, &found);
        bool hit = ak_alloc_fail_after(-1);
        if (!hit) {
            assert_false(found.oom);
            return;
        }
        assert_true(found.oom);
    }
    fail_msg("never without a failure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agents),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_there_is_a_good_sample_of_every_type),
        cmocka_unit_test(test_mcps),
        cmocka_unit_test(test_gateways),
        cmocka_unit_test(test_claws),
        cmocka_unit_test(test_what_a_claim_fixed_cannot_be_changed),
        cmocka_unit_test(test_a_schedule_is_read_with_its_zone),
        cmocka_unit_test(test_limits_of_the_list),
        cmocka_unit_test(test_a_lack_of_memory_is_seen),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
