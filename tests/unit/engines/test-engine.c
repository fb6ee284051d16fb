/* SPDX-License-Identifier: Apache-2.0 */
/* The table of types, and what is found out from a spec with it. */
#include "engines/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "engines/names.h"

static void decode(const char *json, struct ak_arena *arena, struct ak_tool_spec *ret)
{
    AK_AUTO_JSON *tree = NULL;
    char text[2048];

    (void)snprintf(text, sizeof(text), "%s", json);
    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    if (ak_json_parse(text, strlen(text), &tree, NULL) < 0 ||
        ak_decode(&ak_tool_spec_type, tree, ret, arena, NULL) < 0)
        fail_msg("%s", json);
}

static void every_type_of_the_schema_has_a_whole_row(void **state)
{
    static const char *const families[] = {"postgres", "mysql", "redis", "http", "process"};

    (void)state;
    assert_null(ak_engine_info(AK_TOOL_TYPE_UNSET));
    assert_null(ak_engine_info(AK_TOOL_TYPE_MAX));
    for (int type = AK_TOOL_TYPE_UNSET + 1; type < AK_TOOL_TYPE_MAX; type++) {
        const struct ak_engine_info *info = ak_engine_info((enum ak_tool_type)type);
        size_t family = 0;
        assert_non_null(info);
        assert_int_equal(info->type, type);
        assert_string_equal(info->name, ak_tool_type_names[type]);
        assert_non_null(info->title);
        assert_non_null(info->enforced);
        while (family < AK_ARRAY_LEN(families) && !ak_streq(families[family], info->family))
            family++;
        assert_true(family < AK_ARRAY_LEN(families));
        assert_true(info->n_operations > 0 && info->n_operations <= AK_OPERATIONS_MAX);
        assert_int_equal(info->places & ~info->config, 0);
        assert_true(!info->port == !info->tls_port);
        /* a client that needs the credential itself has no proxy that adds it */
        assert_false((info->flags & AK_ENGINE_DIRECT) && (info->flags & AK_ENGINE_FORWARD));
        bool admin = info->permissions & AK_USES(AK_PERMISSION_ADMIN_CREDENTIALS_REF);
        assert_int_equal(admin, !!(info->flags & AK_ENGINE_PROVISION));
        assert_int_equal(!!(info->flags & AK_ENGINE_SQL),
                         ak_engine_operation(info, "query") != NULL);
    }
}

/* Keywords that arguments.c does not know would be checked by nobody. */
static void check_keywords(const json_t *schema, const char *where)
{
    static const char *const known[] = {
        "type",       "properties", "required", "additionalProperties",
        "enum",       "minimum",    "maximum",  "minLength",
        "minItems",   "maxItems",   "items",    "pattern",
        "description"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        size_t i = 0;
        while (i < AK_ARRAY_LEN(known) && strcmp(known[i], key) != 0)
            i++;
        if (i == AK_ARRAY_LEN(known))
            fail_msg("%s: keyword %s", where, key);
        if (strcmp(key, "pattern") == 0)
            assert_string_equal(json_string_value(value), "^/");
        if (strcmp(key, "items") == 0 ||
            (strcmp(key, "additionalProperties") == 0 && json_is_object(value)))
            check_keywords(value, where);
    }
    json_object_foreach(json_object_get(schema, "properties"), key, value)
    {
        check_keywords(value, where);
        if (!json_object_get(value, "description"))
            fail_msg("%s: %s has no description", where, key);
    }
}

static void schemas_of_operations_are_objects_that_take_nothing_else(void **state)
{
    (void)state;
    for (int type = AK_TOOL_TYPE_UNSET + 1; type < AK_TOOL_TYPE_MAX; type++) {
        const struct ak_engine_info *info = ak_engine_info((enum ak_tool_type)type);
        for (size_t i = 0; i < info->n_operations; i++) {
            const struct ak_operation *op = &info->operations[i];
            AK_AUTO_JSON *schema = NULL;
            struct ak_error *err = NULL;
            if (ak_json_parse(op->schema, strlen(op->schema), &schema, &err) < 0)
                fail_msg("%s %s: %s", info->name, op->name, ak_error_message(err));
            assert_string_equal(ak_json_text(schema, "type", NULL), "object");
            assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
            for (size_t n = 0; n < json_array_size(json_object_get(schema, "required")); n++) {
                const char *name =
                    json_string_value(json_array_get(json_object_get(schema, "required"), n));
                assert_non_null(ak_json_at(schema, "properties", name, NULL));
            }
            check_keywords(schema, op->name);
            assert_true(op->title[0] && op->description[0]);
            assert_ptr_equal(ak_engine_operation(info, op->name), op);
        }
        assert_null(ak_engine_operation(info, "nonsense"));
        assert_null(ak_engine_operation(info, NULL));
    }
}

static void fields_are_bits_in_the_order_of_their_names(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_tool_spec spec = {0};

    (void)state;
    ak_arena_init(&arena, 1024, 0);
    decode("{'type': 'kafka', 'config': {'hostname': 'h', 'brokers': ['a:1'], 'saslMechanism': "
           "'PLAIN', 'env': [{'name': 'A', 'value': 'b'}]}, 'permissions': {'readOnly': true, "
           "'clusterWide': true, 'adminUsername': 'x'}}",
           &arena, &spec);
    assert_int_equal(ak_config_fields(spec.config),
                     AK_USES(AK_CONFIG_HOSTNAME) | AK_USES(AK_CONFIG_BROKERS) |
                         AK_USES(AK_CONFIG_SASL_MECHANISM) | AK_USES(AK_CONFIG_ENV));
    assert_int_equal(ak_permission_fields(spec.permissions),
                     AK_USES(AK_PERMISSION_READ_ONLY) | AK_USES(AK_PERMISSION_CLUSTER_WIDE) |
                         AK_USES(AK_PERMISSION_ADMIN_USERNAME));
    assert_int_equal(ak_config_fields(NULL), 0);
    assert_int_equal(ak_permission_fields(NULL), 0);
    for (int i = 0; i < AK_CONFIG_FIELD_MAX; i++)
        assert_true(ak_config_field_name((enum ak_config_field)i)[0]);
    for (int i = 0; i < AK_PERMISSION_FIELD_MAX; i++)
        assert_true(ak_permission_field_name((enum ak_permission_field)i)[0]);
}

static const struct {
    const char *spec;
    int port;
    const char *endpoints; /* "host:port host:port" */
} places[] = {
    {"{'type': 'postgres', 'config': {'hostname': 'db'}}", 5432, "db:5432"},
    {"{'type': 'postgres', 'config': {'hostname': 'db', 'port': 6432}}", 6432, "db:6432"},
    {"{'type': 'clickhouse', 'config': {'hostname': 'db'}}", 8123, "db:8123"},
    {"{'type': 'clickhouse', 'config': {'hostname': 'db', 'sslMode': 'verify-full'}}", 8443,
     "db:8443"},
    {"{'type': 'clickhouse', 'config': {'hostname': 'db'}, 'tls': {'mode': 'require'}}", 8443,
     "db:8443"},
    {"{'type': 'clickhouse', 'config': {'url': 'https://c:9440/x'}}", 9440, "c:9440"},
    {"{'type': 'http', 'config': {'url': 'https://api.example/v1'}}", 443, "api.example:443"},
    {"{'type': 'http', 'config': {'url': 'http://api.example'}}", 80, "api.example:80"},
    {"{'type': 'http', 'config': {'url': 'http://[fd00::1]:81/'}}", 81, "fd00::1:81"},
    {"{'type': 'http', 'config': {'url': 'http://[fd00::1]'}}", 80, "fd00::1:80"},
    {"{'type': 'kafka', 'config': {'brokers': ['a:9092', 'b:9093', '[::1]:9094']}}", 9092,
     "a:9092 b:9093 ::1:9094"},
    {"{'type': 'rabbitmq', 'config': {'hostname': 'mq', 'port': 5672}}", 15672, "mq:15672"},
    {"{'type': 'rabbitmq', 'config': {'hostname': 'mq', 'sslMode': 'require'}}", 15671, "mq:15671"},
    {"{'type': 'rabbitmq', 'config': {'hostname': 'mq', 'managementPort': 8080}}", 8080, "mq:8080"},
    {"{'type': 'snowflake', 'config': {'account': 'a-b'}}", 443, "a-b.snowflakecomputing.com:443"},
    {"{'type': 'snowflake', 'config': {'account': 'a-b', 'hostname': 'private'}}", 443,
     "private:443"},
    {"{'type': 'bigquery', 'config': {'project': 'p'}}", 443,
     "bigquery.googleapis.com:443 oauth2.googleapis.com:443"},
    {"{'type': 'kubernetes', 'config': {'inCluster': true}}", 443, "kubernetes.default.svc:443"},
    {"{'type': 'kubernetes', 'config': {'credentialsRef': {'name': 's', 'key': 'k'}}}", 0, ""},
    {"{'type': 'custom'}", 0, ""},
};

static void where_a_tool_connects_to_follows_from_its_spec(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(places); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_tool_spec spec = {0};
        const struct ak_tool_endpoint *list = NULL;
        char text[256] = "";
        size_t n = 0;
        ak_arena_init(&arena, 1024, 0);
        decode(places[i].spec, &arena, &spec);
        if (ak_tool_port(&spec) != places[i].port)
            fail_msg("%s: %u", places[i].spec, ak_tool_port(&spec));
        assert_int_equal(ak_tool_endpoints(&spec, &arena, &list, &n, NULL), 0);
        for (size_t e = 0; e < n; e++)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s:%u",
                           e ? " " : "", list[e].host, list[e].port);
        if (strcmp(text, places[i].endpoints) != 0)
            fail_msg("%s: %s", places[i].spec, text);
    }
}

static void tls_is_said_in_one_place_or_in_the_other(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_tool_spec a = {0}, b = {0}, none = {0};

    (void)state;
    ak_arena_init(&arena, 1024, 0);
    decode("{'type': 'mysql', 'image': 'i:1', 'config': {'hostname': 'h', 'sslMode': 'require', "
           "'caRef': {'name': 'old', 'key': 'k'}}}",
           &arena, &a);
    decode("{'type': 'custom', 'config': {'image': 'j:1', 'sslMode': 'require'}, 'tls': {'mode': "
           "'disable', 'caRef': {'name': 'new', 'key': 'k'}}}",
           &arena, &b);
    assert_int_equal(ak_tool_ssl_mode(&a), AK_SSL_MODE_REQUIRE);
    assert_int_equal(ak_tool_ssl_mode(&b), AK_SSL_MODE_DISABLE);
    assert_int_equal(ak_tool_ssl_mode(&none), AK_SSL_MODE_UNSET);
    assert_string_equal(ak_tool_ca_ref(&a)->name, "old");
    assert_string_equal(ak_tool_ca_ref(&b)->name, "new");
    assert_null(ak_tool_ca_ref(&none));
    assert_string_equal(ak_tool_image(&a), "i:1");
    assert_string_equal(ak_tool_image(&b), "j:1");
    assert_null(ak_tool_image(&none));
}

static void identities_have_names_that_every_engine_takes(void **state)
{
    char reader[AK_IDENTITY_NAME_SIZE], writer[AK_IDENTITY_NAME_SIZE];

    (void)state;
    assert_int_equal(
        ak_identity_name("01234567-89ab-cdef-0123-456789abcdef", false, reader, sizeof(reader)), 0);
    assert_string_equal(reader, "agentkube_0123456789_r");
    assert_int_equal(ak_identity_name("not a uuid", true, writer, sizeof(writer)), 0);
    assert_int_equal(strlen(writer), strlen("agentkube_0123456789_w"));
    assert_int_equal(strspn(writer, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(writer));
    assert_int_equal(ak_identity_name("", true, writer, sizeof(writer)), -EINVAL);
    assert_int_equal(ak_identity_name("x", true, writer, sizeof(writer) - 1), -EINVAL);
}

static void names_of_mcp_tools_are_short_and_differ(void **state)
{
    static const struct {
        const char *tool, *operation, *name; /* NULL: only the limit is looked at */
    } cases[] = {
        {"shop", "query", "shop_query"},
        {"analytics-postgres", "describe_table", "analytics-postgres_describe_table"},
        {"a.b", "query", NULL},
        {"a-b", "query", "a-b_query"},
        {"a-name-that-is-fifty-characters-long-as-a-tool-may", "query", NULL},
        {"a-name-that-is-fifty-characters-long-as-a-tool-may", "execute", NULL},
        {"a-name-that-is-fifty-characters-long-as-a-tool-ma2", "query", NULL},
    };
    char names[AK_ARRAY_LEN(cases)][AK_MCP_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        assert_int_equal(ak_mcp_tool_name(cases[i].tool, cases[i].operation, names[i]), 0);
        if (cases[i].name)
            assert_string_equal(names[i], cases[i].name);
        assert_true(strlen(names[i]) <= AK_MCP_NAME_MAX);
        for (const char *p = names[i]; *p; p++)
            assert_true((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
                        *p == '_');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[k], names[i]);
    }
    assert_int_equal(ak_mcp_tool_name("", "query", names[0]), -EINVAL);
    assert_int_equal(ak_mcp_tool_name("a b", "query", names[0]), -EINVAL);
    assert_int_equal(ak_mcp_tool_name("a", "qu ery", names[0]), -EINVAL);
}

static void classes_have_names(void **state)
{
    (void)state;
    assert_string_equal(ak_statement_class_name(AK_CLASS_READ), "read");
    assert_string_equal(ak_statement_class_name(AK_CLASS_SESSION), "session");
    assert_string_equal(ak_statement_class_name(AK_CLASS_MAX), "unknown");
}

/* ---- docs/tools.md ---- */

static void add(struct ak_buf *out, const char *text)
{
    assert_int_equal(ak_buf_adds(out, text), 0);
}

/* | type | what | port | sessions | credential | tested | */
static void row_of_type(const struct ak_engine_info *info, struct ak_buf *out)
{
    unsigned f = info->flags;

    assert_int_equal(ak_buf_addf(out, "| `%s` | %s | ", info->name, info->title), 0);
    if (!info->port)
        add(out, "-");
    else if (info->port == info->tls_port)
        assert_int_equal(ak_buf_addf(out, "%u", info->port), 0);
    else
        assert_int_equal(ak_buf_addf(out, "%u, TLS %u", info->port, info->tls_port), 0);
    add(out, " | exec");
    add(out, f & AK_ENGINE_CONNECT ? ", connect" : "");
    add(out, f & AK_ENGINE_FORWARD ? ", forward" : "");
    add(out, f & AK_ENGINE_DIRECT ? " | in `client` too" : " | in `bastion` only");
    add(out, f & AK_ENGINE_TESTED ? " | yes |\n" : " | not tested against a real server |\n");
}

/* | type | operations | */
static void row_of_operations(const struct ak_engine_info *info, struct ak_buf *out)
{
    assert_int_equal(ak_buf_addf(out, "| `%s` | ", info->name), 0);
    for (size_t i = 0; i < info->n_operations; i++) {
        AK_AUTO_JSON *schema = NULL;
        const char *key;
        json_t *value;
        size_t n = 0;
        const char *text = info->operations[i].schema;
        assert_int_equal(ak_json_parse(text, strlen(text), &schema, NULL), 0);
        assert_int_equal(ak_buf_addf(out, "%s`%s(", i ? " " : "", info->operations[i].name), 0);
        json_object_foreach(json_object_get(schema, "properties"), key, value)
        {
            bool needed = false;
            for (size_t k = 0; k < json_array_size(json_object_get(schema, "required")); k++)
                needed |= ak_streq(
                    key, json_string_value(json_array_get(json_object_get(schema, "required"), k)));
            assert_int_equal(ak_buf_addf(out, "%s%s%s", n++ ? ", " : "", key, needed ? "" : "?"),
                             0);
        }
        add(out, ")`");
    }
    add(out, " |\n");
}

/* | type | fields | who enforces them | */
static void row_of_permissions(const struct ak_engine_info *info, struct ak_buf *out)
{
    size_t n = 0;

    assert_int_equal(ak_buf_addf(out, "| `%s` | ", info->name), 0);
    for (int i = AK_PERMISSION_READ_ONLY; i < AK_PERMISSION_FIELD_MAX; i++)
        if (info->permissions & AK_USES(i))
            assert_int_equal(ak_buf_addf(out, "%s`%s`", n++ ? " " : "",
                                         ak_permission_field_name((enum ak_permission_field)i)),
                             0);
    assert_int_equal(ak_buf_addf(out, " | %s |\n", info->enforced), 0);
}

static void the_page_about_tools_says_what_the_table_says(void **state)
{
    static void (*const rows[])(const struct ak_engine_info *, struct ak_buf *) = {
        row_of_type, row_of_operations, row_of_permissions};
    AK_AUTO(ak_buf) page = AK_BUF_INIT(1 << 20);

    (void)state;
    assert_int_equal(ak_buf_add_file(&page, "docs/tools.md"), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(rows); i++) {
        for (int type = AK_TOOL_TYPE_UNSET + 1; type < AK_TOOL_TYPE_MAX; type++) {
            AK_AUTO(ak_buf) row = AK_BUF_INIT(1 << 16);
            rows[i](ak_engine_info((enum ak_tool_type)type), &row);
            if (!strstr(page.data, ak_buf_text(&row)))
                fail_msg("docs/tools.md lacks this row:\n%s", ak_buf_text(&row));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_about_tools_says_what_the_table_says),
        cmocka_unit_test(every_type_of_the_schema_has_a_whole_row),
        cmocka_unit_test(schemas_of_operations_are_objects_that_take_nothing_else),
        cmocka_unit_test(fields_are_bits_in_the_order_of_their_names),
        cmocka_unit_test(where_a_tool_connects_to_follows_from_its_spec),
        cmocka_unit_test(tls_is_said_in_one_place_or_in_the_other),
        cmocka_unit_test(identities_have_names_that_every_engine_takes),
        cmocka_unit_test(names_of_mcp_tools_are_short_and_differ),
        cmocka_unit_test(classes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
