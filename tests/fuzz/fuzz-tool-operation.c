/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of POST /v1/operations, as a bastion reads it: who asks, which operation, its arguments; decided about,
 * and for the HTTP family made into a request. The first byte chooses the Tool, and whether the caller may only read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/decode.h>
#include <ak/json/json.h>

#include "bastion/bastion.h"
#include "bastion/engines/http/request.h"
#include "bastion/engines/process/sql_text.h"
#include "engines/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const specs[] = {
    "{\"type\":\"postgres\",\"config\":{\"hostname\":\"h\",\"databaseName\":\"d\"},"
    "\"permissions\":{\"grants\":[{\"privileges\":[\"SELECT\",\"UPDATE\"],\"objects\":[\"t\"]}]}}",
    "{\"type\":\"mysql\",\"config\":{\"hostname\":\"h\"},\"approval\":{\"mode\":\"Writes\"}}",
    "{\"type\":\"http\",\"config\":{\"url\":\"http://h/api\",\"headers\":{\"X-Ours\":\"1\"}},"
    "\"permissions\":{\"requests\":[{\"methods\":[\"GET\"],\"paths\":[\"/a/*\",\"/b\"]}]}}",
    "{\"type\":\"elasticsearch\",\"config\":{\"hostname\":\"h\"}}",
    "{\"type\":\"redis\",\"config\":{\"hostname\":\"h\"},\"permissions\":{\"commands\":[\"get\"]}}",
    "{\"type\":\"kubernetes\",\"config\":{\"inCluster\":true}}",
    "{\"type\":\"mongodb\",\"config\":{\"hostname\":\"h\"},\"approval\":{\"mode\":\"Always\"}}",
    "{\"type\":\"ssh\",\"config\":{\"hostname\":\"h\"},\"permissions\":{\"commands\":[\"uptime\"]}"
    "}",
    "{\"type\":\"sqlserver\",\"config\":{\"hostname\":\"h\"}}",
    "{\"type\":\"kafka\",\"config\":{\"brokers\":[\"h:1\"]}}",
    "{\"type\":\"rabbitmq\",\"config\":{\"hostname\":\"h\"}}",
    "{\"type\":\"custom\",\"config\":{\"command\":[\"x\"]}}",
};

static void request(const struct ak_tool_spec *spec, const json_t *arguments, bool read_only)
{
    AK_AUTO(ak_request) made = {0};

    if (ak_request_make(spec, arguments, &made, NULL) < 0)
        return;
    /* What goes on the wire has neither line breaks nor blanks where they would begin something new. */
    if (strpbrk(ak_buf_text(&made.path), "\r\n \t") || strpbrk(made.method, "\r\n \t"))
        abort();
    for (size_t i = 0; made.headers[i]; i++)
        if (strpbrk(made.headers[i], "\r\n"))
            abort();
    (void)!ak_request_check(spec, made.method, ak_buf_text(&made.path), read_only, NULL);
}

static void statement(const json_t *arguments)
{
    AK_AUTO(ak_buf) literal = AK_BUF_INIT(16u << 20);
    const char *sql = NULL;
    size_t len = 0;

    if (ak_sql_statement(arguments, &sql, &len, NULL) < 0)
        return;
    /* A statement of its own lines would be a command to the program. */
    if (ak_sql_literal(&literal, &ak_sql_sqlserver, sql, len) >= 0 &&
        memchr(ak_buf_text(&literal), '\n', literal.len))
        abort();
}

static void decide(const struct ak_tool_spec *spec, const json_t *body, bool read_only)
{
    const char *name = ak_json_text(body, "operation", NULL);
    const json_t *arguments = json_object_get(body, "arguments");
    struct ak_decision decision = {.allowed = false};
    struct ak_caller caller = {0};
    AK_AUTO(ak_arena) arena = {0};

    ak_arena_init(&arena, 1024, 1u << 20);
    if (ak_caller_read(json_object_get(body, "caller"), &caller, NULL) >= 0)
        ak_caller_done(&caller);
    if (!name || ak_policy_decide(spec, name, arguments, read_only, &arena, &decision, NULL) < 0)
        return;
    if (decision.allowed ? !ak_statement_class_name(decision.class) : !decision.reason)
        abort();
    if (ak_streq(name, "http_request"))
        request(spec, arguments, read_only);
    if (json_object_get(arguments, "sql"))
        statement(arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_JSON *body = NULL;
    AK_AUTO(ak_arena) arena = {0};
    struct ak_tool_spec *spec;
    const char *text;

    if (!size || ak_json_parse((const char *)data + 1, size - 1, &body, NULL) < 0)
        return 0;
    text = specs[(data[0] & 127) % AK_ARRAY_LEN(specs)];
    ak_arena_init(&arena, 4096, 1u << 20);
    spec = ak_arena_alloc(&arena, sizeof(*spec));
    if (!spec || ak_json_parse(text, strlen(text), &tree, NULL) < 0 ||
        ak_decode(&ak_tool_spec_type, tree, spec, &arena, NULL) < 0)
        abort();
    decide(spec, body, data[0] & 128);
    return 0;
}
