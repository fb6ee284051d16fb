/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>

#include "terminal/table.h"

static void columns_align_and_lines_have_no_blanks_at_their_end(void **state)
{
    AK_AUTO(ak_table) t = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    (void)state;
    assert_int_equal(ak_table_add(&t, "NAME", "READY", "AGE"), 0);
    assert_int_equal(ak_table_add(&t, "hello-claude", "1/1", ""), 0);
    assert_int_equal(ak_table_add(&t, "x", NULL, "5m"), 0);
    assert_int_equal(ak_table_write(&t, &out), 0);
    assert_string_equal(ak_buf_text(&out), "NAME           READY   AGE\n"
                                           "hello-claude   1/1\n"
                                           "x                      5m\n");
}

static void wide_characters_take_two_columns(void **state)
{
    AK_AUTO(ak_table) t = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    (void)state;
    assert_int_equal(ak_table_add(&t, "\xe6\x97\xa5\xe6\x9c\xac", "a"), 0);
    assert_int_equal(ak_table_add(&t, "1234", "b"), 0);
    assert_int_equal(ak_table_write(&t, &out), 0);
    assert_string_equal(ak_buf_text(&out), "\xe6\x97\xa5\xe6\x9c\xac   a\n1234   b\n");
}

static void rows_that_come_later_align_with_the_first(void **state)
{
    AK_AUTO(ak_table) t = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    (void)state;
    assert_int_equal(ak_table_add(&t, "LONG-NAME", "X"), 0);
    assert_int_equal(ak_table_write(&t, &out), 0);
    ak_buf_clear(&out);
    assert_int_equal(ak_table_add(&t, "a", "b"), 0);
    assert_int_equal(ak_table_write(&t, &out), 0);
    assert_string_equal(ak_buf_text(&out), "a           b\n");
}

static void a_cell_cannot_break_the_table(void **state)
{
    AK_AUTO(ak_table) t = {0};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    (void)state;
    assert_int_equal(ak_table_add(&t, "two\nlines", "\033[31m"), 0);
    assert_int_equal(ak_table_write(&t, &out), 0);
    assert_string_equal(ak_buf_text(&out), "two lines    [31m\n");
    for (int i = 0; i < AK_TABLE_COLUMNS; i++)
        assert_int_equal(ak_table_cell(&t, "x"), 0);
    assert_int_equal(ak_table_cell(&t, "x"), -EINVAL);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    for (int n = 0;; n++) {
        AK_AUTO(ak_table) t = {0};
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        ak_alloc_fail_after(n);
        int r = ak_table_add(&t, "NAME", "READY");
        if (r >= 0)
            r = ak_table_write(&t, &out);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_align_and_lines_have_no_blanks_at_their_end),
        cmocka_unit_test(wide_characters_take_two_columns),
        cmocka_unit_test(rows_that_come_later_align_with_the_first),
        cmocka_unit_test(a_cell_cannot_break_the_table),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests_name("terminal/table", tests, NULL, NULL);
}
