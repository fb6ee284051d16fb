/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bastion/engines/postgres/pg_types.h"

static void test_names_and_texts_are_quoted(void **state)
{
    static const struct {
        const char *text, *identifier, *literal;
    } cases[] = {
        {"orders", "\"orders\"", "'orders'"},
        {"", "\"\"", "''"},
        {"a\"b", "\"a\"\"b\"", "'a\"b'"},
        {"it's", "\"it's\"", "'it''s'"},
        {"\\'; DROP", "\"\\'; DROP\"", "E'\\\\''; DROP'"},
        {"\"\"", "\"\"\"\"\"\"", "'\"\"'"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) name = AK_BUF_INIT(256), text = AK_BUF_INIT(256);

        assert_int_equal(ak_pg_put_identifier(&name, cases[i].text), 0);
        assert_int_equal(ak_pg_put_literal(&text, cases[i].text), 0);
        assert_string_equal(name.data, cases[i].identifier);
        assert_string_equal(text.data, cases[i].literal);
    }
}

static void test_tags_say_how_many_rows(void **state)
{
    static const struct {
        const char *tag;
        int64_t rows;
    } cases[] = {{"SELECT 5", 5},         {"INSERT 0 3", 3}, {"UPDATE 0", 0},
                 {"CREATE TABLE", -1},    {"BEGIN", -1},     {"", -1},
                 {"COPY 100000", 100000}, {"X -3", -1},      {"X 99999999999999999999", -1}};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        assert_int_equal(ak_pg_tag_rows(cases[i].tag), cases[i].rows);
}

static void test_a_reader_never_goes_beyond_its_end(void **state)
{
    static const char body[] = {0, 0, 1, 2, 'a', 0, 'b'};
    struct ak_pg_reader reader;

    (void)state;
    for (size_t len = 0; len <= sizeof(body); len++) {
        char copy[sizeof(body)];

        memcpy(copy, body, len);
        reader = ak_pg_reader(copy, len);
        assert_int_equal(ak_pg_get32(&reader), len >= 4 ? 258 : 0);
        assert_string_equal(ak_pg_gets(&reader), len >= 6 ? "a" : "");
        assert_int_equal(reader.broken, len < 6);
        assert_string_equal(ak_pg_gets(&reader), "");
        assert_true(reader.broken);
        assert_null(ak_pg_get_bytes(&reader, 1));
        assert_int_equal(ak_pg_get8(&reader), 0);
        assert_int_equal(ak_pg_get16(&reader), 0);
    }
}

static void test_errors_are_read_and_written(void **state)
{
    static const char body[] = "SFEHLER\0VERROR\0C42P01\0Mno\0Dmore\0Hless\0P7\0";
    struct ak_pg_server_error error;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4096), out = AK_BUF_INIT(4096);

    (void)state;
    ak_pg_parse_error(body, sizeof(body), &error);
    assert_int_equal(ak_pg_error_text(&error, &text), 0);
    assert_string_equal(text.data, "ERROR: no (SQLSTATE 42P01); detail: more; hint: less");
    assert_int_equal(ak_pg_put_error(&out, "FATAL", "57P01", "bye", NULL), 0);
    ak_pg_parse_error(out.data + AK_PG_HEADER, out.len - AK_PG_HEADER, &error);
    assert_string_equal(error.severity, "FATAL");
    assert_string_equal(error.sqlstate, "57P01");
    assert_string_equal(error.message, "bye");
    assert_string_equal(error.hint, "");
    for (size_t len = 0; len < sizeof(body); len++)
        ak_pg_parse_error(body, len, &error);
}

static void test_values_become_json(void **state)
{
    static const struct {
        uint32_t oid;
        const char *text;
        json_type type;
    } cases[] = {
        {16, "t", JSON_TRUE},
        {16, "f", JSON_FALSE},
        {16, "maybe", JSON_STRING},
        {23, "-5", JSON_INTEGER},
        {23, "x", JSON_STRING},
        {20, "9007199254740992", JSON_INTEGER},
        {20, "9007199254740993", JSON_STRING},
        {20, "-9223372036854775808", JSON_STRING},
        {701, "1e3", JSON_REAL},
        {701, "Infinity", JSON_STRING},
        {701, "NaN", JSON_STRING},
        {700, "", JSON_STRING},
        {1700, "1.10", JSON_STRING},
        {3802, "{}", JSON_STRING},
        {99999, "x", JSON_STRING},
        {25, "\xff", JSON_STRING},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        json_t *value = ak_pg_value(cases[i].oid, cases[i].text, strlen(cases[i].text));

        assert_non_null(value);
        assert_int_equal(json_typeof(value), cases[i].type);
        json_decref(value);
    }
    assert_string_equal(ak_pg_type_name(23), "integer");
    assert_string_equal(ak_pg_type_name(3807), "jsonb[]");
    assert_null(ak_pg_type_name(99999));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_texts_are_quoted),
        cmocka_unit_test(test_tags_say_how_many_rows),
        cmocka_unit_test(test_a_reader_never_goes_beyond_its_end),
        cmocka_unit_test(test_errors_are_read_and_written),
        cmocka_unit_test(test_values_become_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
