/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/compiler.h>

#include "terminal/cells.h"

static void text_is_as_wide_as_a_terminal_shows_it(void **state)
{
    static const struct {
        const char *text;
        size_t width;
    } cases[] = {
        {"", 0},
        {"agent", 5},
        {"\xc3\xa9t\xc3\xa9", 3},        /* accents in one character */
        {"e\xcc\x81", 1},                /* a combining accent */
        {"\xe6\x97\xa5\xe6\x9c\xac", 4}, /* two CJK characters */
        {"\xf0\x9f\x9a\x80", 2},         /* an emoji */
        {"a\xe2\x80\x8d"
         "b",
         2},                 /* a joiner */
        {"\xff\xfe", 2},     /* no UTF-8: a mark each */
        {"\xc0\x80", 2},     /* overlong */
        {"\xed\xa0\x80", 3}, /* half a surrogate pair */
        {"\xe6\x97", 2},     /* cut in the middle */
        {"\xea\xb0\x80", 2}, /* Hangul */
        {"\xef\xbd\xb1", 1}, /* halfwidth katakana */
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        assert_int_equal(ak_cells_width(cases[i].text, strlen(cases[i].text)), cases[i].width);
}

static void a_cut_never_divides_a_character(void **state)
{
    static const char text[] = "a\xe6\x97\xa5"
                               "b";
    (void)state;
    assert_int_equal(ak_cells_fit(text, 5, 0), 0);
    assert_int_equal(ak_cells_fit(text, 5, 1), 1);
    assert_int_equal(ak_cells_fit(text, 5, 2), 1); /* the wide one does not fit into one column */
    assert_int_equal(ak_cells_fit(text, 5, 3), 4);
    assert_int_equal(ak_cells_fit(text, 5, 99), 5);
}

static void a_terminal_gets_no_escape_sequences_of_others(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"plain\ttab\n", "plain\ttab\n"},
        {"\033[31mred\033[0m", "\xef\xbf\xbd[31mred\xef\xbf\xbd[0m"},
        {"\033]0;title\007", "\xef\xbf\xbd]0;title\xef\xbf\xbd"},
        {"\xc2\x9b"
         "31m",
         "\xef\xbf\xbd"
         "31m"}, /* CSI of C1 */
        {"10%\r20%\r\n", "10%\n20%\n"},
        {"\xe2\x80\xaetxt", "\xef\xbf\xbdtxt"}, /* right to left by force */
        {"\x7f\x08", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xff", "\xef\xbf\xbd"},
        {"\xe6\x97\xa5", "\xe6\x97\xa5"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(256);
        bool cr = false;
        assert_int_equal(ak_cells_add_shown(&out, cases[i].text, strlen(cases[i].text), &cr), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].shown);
    }
}

static void a_carriage_return_between_two_pieces_is_one_line_end(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(256);
    bool cr = false;
    (void)state;
    assert_int_equal(ak_cells_add_shown(&out, "a\r", 2, &cr), 0);
    assert_true(cr);
    assert_int_equal(ak_cells_add_shown(&out, "\nb", 2, &cr), 0);
    assert_string_equal(ak_buf_text(&out), "a\nb");
}

static void a_line_is_one_line_and_is_cut_with_a_mark(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(256);
    (void)state;
    assert_int_equal(ak_cells_add_line(&out, "two\nlines\033[1m", 13, 80), 0);
    assert_string_equal(ak_buf_text(&out), "two lines [1m");
    ak_buf_clear(&out);
    assert_int_equal(ak_cells_add_line(&out, "abcdef", 6, 4), 0);
    assert_string_equal(ak_buf_text(&out), "abc\xe2\x80\xa6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_as_wide_as_a_terminal_shows_it),
        cmocka_unit_test(a_cut_never_divides_a_character),
        cmocka_unit_test(a_terminal_gets_no_escape_sequences_of_others),
        cmocka_unit_test(a_carriage_return_between_two_pieces_is_one_line_end),
        cmocka_unit_test(a_line_is_one_line_and_is_cut_with_a_mark),
    };
    return cmocka_run_group_tests_name("terminal/cells", tests, NULL, NULL);
}
