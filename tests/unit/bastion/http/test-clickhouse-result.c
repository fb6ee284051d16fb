/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "bastion/engines/http/clickhouse_result.h"

static void result_of(const char *text, bool is_cut, const char *rows_text, bool truncated,
                      int code)
{
    const struct ak_call call = {.max_rows = 3, .max_bytes = 100};
    AK_AUTO(ak_rows) rows = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    int r;

    assert_int_equal(ak_rows_init(&rows, &call, NULL), 0);
    r = ak_clickhouse_rows(text, strlen(text), is_cut, &rows, NULL);
    if (r != code)
        fail_msg("\"%s\": %d, not %d", text, r, code);
    if (code < 0)
        return;
    assert_int_equal(ak_json_write(rows.rows, &out, NULL), 0);
    assert_string_equal(ak_buf_text(&out), rows_text);
    assert_int_equal(rows.truncated, truncated);
}

static void results_are_read_and_cut(void **state)
{
    (void)state;
    result_of("", false, "[]", false, 0);
    result_of("a\tb\nUInt8\tString\n", false, "[]", false, 0);
    result_of("a\tb\nUInt8\tString\n1\tx\n", false, "[[1,\"x\"]]", false, 0);
    result_of("a\nNullable(Int64)\n\\N\n9007199254740993\n", false,
              "[[null],[\"9007199254740993\"]]", false, 0);
    result_of("a\nString\nx\\ty\\\\N\n", false, "[[\"x\\ty\\\\N\"]]", false, 0);
    result_of("a\nUInt8\n1\n2\n3\n4\n", false, "[[1],[2],[3]]", true, 0);
    result_of("a\nUInt8\n1\n2", true, "[[1]]", true, 0);
    result_of("a\nFloat64\nnan\n1.5\n", false, "[[\"nan\"],[1.5]]", false, 0);
}

static void an_exception_at_the_end_is_an_error(void **state)
{
    (void)state;
    result_of("Code: 60, e.displayText() = DB::Exception: no table", false, "", false,
              AK_E_INVALID);
    result_of("a\tb\nUInt8\tUInt8\n1\t2\nCode: 241, e.displayText() = DB::Exception: memory\n",
              false, "", false, AK_E_INVALID);
    result_of("a\tb\nUInt8\tUInt8\n1\n", false, "", false, AK_E_PROTOCOL);
    result_of("a\tb\nUInt8\tUInt8\n1\t2\t3\n", false, "", false, AK_E_PROTOCOL);
    result_of("a\tb\nUInt8\n", false, "", false, AK_E_PROTOCOL);
}

static void literals_cannot_be_left(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(100);

    (void)state;
    assert_int_equal(ak_clickhouse_literal(&out, "a'b\\' OR 1"), 0);
    assert_string_equal(ak_buf_text(&out), "'a\\'b\\\\\\' OR 1'");
    ak_buf_clear(&out);
    assert_int_equal(ak_clickhouse_identifier(&out, "a`b"), 0);
    assert_string_equal(ak_buf_text(&out), "`a\\`b`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_read_and_cut),
        cmocka_unit_test(an_exception_at_the_end_is_an_error),
        cmocka_unit_test(literals_cannot_be_left),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
