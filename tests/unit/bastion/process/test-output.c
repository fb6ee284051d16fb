/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "bastion/engines/process/sql_text.h"

static char *text_of(json_t *tree)
{
    struct ak_buf out = AK_BUF_INIT(1 << 20);

    assert_int_equal(ak_json_write(tree, &out, NULL), 0);
    return ak_buf_take(&out);
}

static void expect(json_t *tree, const char *wanted)
{
    char *text = text_of(tree);

    assert_string_equal(text, wanted);
    ak_free(text);
}

static void test_rows_are_read(void **state)
{
    static const struct {
        const char *about, *text;
        char separator, end;
        bool quoted, cut;
        int64_t max;
        const char *rows; /* NULL: they cannot be read */
        bool truncated;
    } cases[] = {
        {"tabs", "a\tb\n1\t2\n3\tNULL\n", '\t', '\n', false, false, 9,
         "[[\"1\",\"2\"],[\"3\",null]]", false},
        {"no line break at the end", "a\tb\n1\t2", '\t', '\n', false, false, 9, "[[\"1\",\"2\"]]",
         false},
        {"only names", "a\tb\n", '\t', '\n', false, false, 9, "[]", false},
        {"nothing", "", '\t', '\n', false, false, 9, "[]", false},
        {"a line break in a value", "a\tb\nx\ny\t2\n", '\t', '\n', false, false, 9,
         "[[\"x\\ny\",\"2\"]]", false},
        {"more than wanted", "a\n1\n2\n3\n", '\t', '\n', false, false, 2, "[[\"1\"],[\"2\"]]",
         true},
        {"its end is missing", "a\tb\n1\t2\n3\t", '\t', '\n', false, true, 9, "[[\"1\",\"2\"]]",
         true},
        {"own marks",
         "a\x1f"
         "b\x1e"
         "1\x1f"
         "x\ty\nz\x1e",
         '\x1f', '\x1e', false, false, 9, "[[\"1\",\"x\\ty\\nz\"]]", false},
        {"quoted", "\"A\",\"B\"\r\n\"x, \"\"y\"\"\nz\",2\r\n,\"\"\r\n", ',', '\n', true, false, 9,
         "[[\"x, \\\"y\\\"\\nz\",\"2\"],[null,\"\"]]", false},
        {"a quote that does not end", "\"A\"\n\"x\n", ',', '\n', true, false, 9, "[]", false},
        {"too many cells", "a\tb\n1\t2\t3\n", '\t', '\n', false, false, 9, NULL, false},
        {"no UTF-8", "a\n\xff\xfe\n", '\t', '\n', false, false, 9,
         "[[\"\xef\xbf\xbd\xef\xbf\xbd\"]]", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_call call = {.max_rows = cases[i].max};
        int r = ak_output_rows(cases[i].text, strlen(cases[i].text), cases[i].separator,
                               cases[i].end, cases[i].quoted, cases[i].cut, &call, NULL);

        if (!cases[i].rows && r >= 0)
            fail_msg("%s: was read", cases[i].about);
        if (!cases[i].rows)
            continue;
        assert_int_equal(r, 0);
        expect(json_object_get(call.ret_result, "rows"), cases[i].rows);
        assert_int_equal(json_is_true(json_object_get(call.ret_result, "truncated")),
                         cases[i].truncated);
        assert_int_equal(call.ret_rows, json_array_size(json_object_get(call.ret_result, "rows")));
        json_decref(call.ret_result);
    }
}

static void test_rows_survive_failing_memory(void **state)
{
    static const char text[] = "\"A\",\"B\"\n\"x\",2\n,\"\"\n";
    int r = -1;

    (void)state;
    for (int64_t n = 0; r < 0; n++) {
        struct ak_call call = {.max_rows = 5};
        assert_true(n < 1000);
        (void)ak_alloc_fail_after(n);
        r = ak_output_rows(text, sizeof(text) - 1, ',', '\n', true, false, &call, NULL);
        (void)ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
        json_decref(call.ret_result);
    }
}

static void test_a_text_becomes_valid(void **state)
{
    char bytes[] = "a\0b\xc3\xa4\xed\xa0\x80z";
    struct ak_client_output output = {.text = bytes, .len = sizeof(bytes) - 1, .exit_code = 3};
    struct ak_call call = {0};

    (void)state;
    assert_int_equal(ak_output_text(&output, &call, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(call.ret_result, "text")),
                        "a\xef\xbf\xbd"
                        "b\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
    assert_int_equal(json_integer_value(json_object_get(call.ret_result, "exitCode")), 3);
    assert_int_equal(call.ret_bytes, sizeof(bytes) - 1);
    json_decref(call.ret_result);
}

static void test_a_password_is_cut_out(void **state)
{
    static const struct {
        const char *text, *password, *wanted;
    } cases[] = {
        {"it is s3cret, s3cret", "s3cret", "it is ***, ***"},
        {"s3crets3cret", "s3cret", "******"},
        {"nothing", "s3cret", "nothing"},
        {"abc", "abc", "abc"}, /* too short to be looked for */
        {"abc", "", "abc"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_client_output output = {.text = ak_strdup(cases[i].text),
                                          .len = strlen(cases[i].text)};
        ak_output_scrub(&output, cases[i].password);
        assert_string_equal(output.text, cases[i].wanted);
        assert_int_equal(output.len, strlen(cases[i].wanted));
        ak_free(output.text);
    }
}

static void test_a_message_is_trimmed_and_cut_between_characters(void **state)
{
    char small[6], large[64];

    (void)state;
    ak_output_message(small, sizeof(small), "  abc\xc3\xa4\xc3\xa4 \n");
    assert_string_equal(small, "abc\xc3\xa4");
    ak_output_message(large, sizeof(large), "\n\xff\xff x\n\n");
    assert_string_equal(large, "?? x");
    ak_output_message(large, sizeof(large), " \n");
    assert_string_equal(large, "");
}

static void test_what_failed_follows_from_the_code(void **state)
{
    static const struct {
        int code;
        bool reachable, authenticated, authorised;
    } cases[] = {
        {0, true, true, true},
        {-ECONNREFUSED, false, false, false},
        {AK_E_UNAUTHORIZED, true, false, false},
        {AK_E_FORBIDDEN, true, true, false},
        {AK_E_INVALID, true, true, false},
        {-ETIMEDOUT, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_probe_result result = {0};
        ak_output_probe(cases[i].code, "why", &result);
        assert_int_equal(result.reachable, cases[i].reachable);
        assert_int_equal(result.authenticated, cases[i].authenticated);
        assert_int_equal(result.authorised, cases[i].authorised);
        assert_string_equal(result.message, cases[i].code ? "why" : "");
    }
}

static void test_statements_stay_on_their_line(void **state)
{
    static const struct {
        const char *text, *sqlserver, *oracle;
    } cases[] = {
        {"", "N''", "''"},
        {"it's", "N'it''s'", "'it''s'"},
        {"a\ngo\nb", "N'a'+NCHAR(10)+N'go'+NCHAR(10)+N'b'",
         "'a'\n||CHR(10)\n||'go'\n||CHR(10)\n||'b'"},
        {"\n/\n", "NCHAR(10)+N'/'+NCHAR(10)", "CHR(10)\n||'/'\n||CHR(10)"},
        {"\x1f\x1e\r\t", "NCHAR(31)+NCHAR(30)+NCHAR(13)+NCHAR(9)",
         "CHR(31)\n||CHR(30)\n||CHR(13)\n||CHR(9)"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) a = AK_BUF_INIT(1000), b = AK_BUF_INIT(1000);
        assert_int_equal(
            ak_sql_literal(&a, &ak_sql_sqlserver, cases[i].text, strlen(cases[i].text)), 0);
        assert_int_equal(ak_sql_literal(&b, &ak_sql_oracle, cases[i].text, strlen(cases[i].text)),
                         0);
        assert_string_equal(a.data, cases[i].sqlserver);
        assert_string_equal(b.data, cases[i].oracle);
        assert_null(strchr(a.data, '\n'));
    }
}

static void test_long_literals_are_split_between_characters(void **state)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(20000), out = AK_BUF_INIT(100000);

    (void)state;
    assert_int_equal(ak_buf_adds(&text, "x"), 0);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(ak_buf_adds(&text, "\xc3\xa4"), 0);
    assert_int_equal(ak_sql_literal(&out, &ak_sql_oracle, text.data, text.len), 0);
    for (char *line = out.data; line;) {
        char *end = strchr(line, '\n');
        assert_true((end ? (size_t)(end - line) : strlen(line)) < 2000);
        assert_null(strstr(line, "'\xa4")); /* the second half of a character */
        line = end ? end + 1 : NULL;
    }
    assert_int_equal(ak_sql_literal(&out, &ak_sql_oracle, "a\0b", 3), -EINVAL);
}

static void test_names_keep_to_their_quotes(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1000);

    (void)state;
    assert_int_equal(ak_sql_bracketed(&out, "a]; DROP--"), 0);
    assert_string_equal(out.data, "[a]]; DROP--]");
    ak_buf_clear(&out);
    assert_int_equal(ak_sql_quoted(&out, "LEDGER"), 0);
    assert_string_equal(out.data, "\"LEDGER\"");
    assert_int_equal(ak_sql_quoted(&out, "a\"b"), -EINVAL);
    assert_int_equal(ak_sql_quoted(&out, ""), -EINVAL);
    assert_int_equal(ak_sql_bracketed(&out, "a\nb"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_read),
        cmocka_unit_test(test_rows_survive_failing_memory),
        cmocka_unit_test(test_a_text_becomes_valid),
        cmocka_unit_test(test_a_password_is_cut_out),
        cmocka_unit_test(test_a_message_is_trimmed_and_cut_between_characters),
        cmocka_unit_test(test_what_failed_follows_from_the_code),
        cmocka_unit_test(test_statements_stay_on_their_line),
        cmocka_unit_test(test_long_literals_are_split_between_characters),
        cmocka_unit_test(test_names_keep_to_their_quotes),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
