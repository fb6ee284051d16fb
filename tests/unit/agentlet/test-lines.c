/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/lines.h"

#include <ak/base/alloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* What was given out, as text: a piece ends in '+', a last one in '!', a whole line in '\n'. */
struct heard {
    struct ak_buf text;
    size_t longest;
    uint64_t bytes;
    unsigned ends;
};

static void on_line(void *user, enum ak_line_part part, const char *text, size_t len)
{
    struct heard *heard = user;
    static const char *const marks[] = {
        [AK_LINE_WHOLE] = "\n", [AK_LINE_PIECE] = "+", [AK_LINE_LAST] = "!"};

    heard->longest = AK_MAX(heard->longest, len);
    heard->bytes += len;
    heard->ends += part != AK_LINE_PIECE;
    if (len < 100) {
        (void)!ak_buf_add(&heard->text, text, len);
        (void)!ak_buf_adds(&heard->text, marks[part]);
    }
}

static void lines_are_the_same_however_they_arrive(void **state)
{
    static const char text[] = "one\ntwo\r\n\nthr\ree\nlast";

    (void)state;
    for (size_t step = 1; step <= sizeof(text) - 1; step++) {
        struct heard heard = {.text = AK_BUF_INIT(4096)};
        AK_AUTO(ak_lines) lines;

        ak_lines_init(&lines, 0, on_line, &heard);
        for (size_t at = 0; at < sizeof(text) - 1; at += step)
            ak_lines_feed(&lines, text + at, AK_MIN(step, sizeof(text) - 1 - at));
        ak_lines_end(&lines);
        ak_lines_end(&lines);
        assert_string_equal(ak_buf_text(&heard.text), "one\ntwo\n\nthr\ree\nlast\n");
        ak_buf_done(&heard.text);
    }
}

static void a_line_of_any_length_needs_no_more_than_its_limit(void **state)
{
    static char block[10000];

    (void)state;
    memset(block, 'x', sizeof(block));
    for (size_t whole = AK_LINES_PIECE; whole <= 4 * AK_LINES_PIECE; whole *= 2) {
        struct heard heard = {.text = AK_BUF_INIT(4096)};
        AK_AUTO(ak_lines) lines;

        ak_lines_init(&lines, whole, on_line, &heard);
        for (int i = 0; i < 1000; i++) {
            ak_lines_feed(&lines, block, sizeof(block));
            assert_true(lines.held.cap <= 2 * whole + 2 * AK_LINES_PIECE);
        }
        ak_lines_feed(&lines, "\nafter\n", 7);
        assert_int_equal(heard.bytes, 10000000 + 5);
        assert_int_equal(heard.ends, 2);
        assert_true(heard.longest <= AK_LINES_PIECE);
        assert_string_equal(ak_buf_text(&heard.text), "after\n");
        ak_buf_done(&heard.text);
    }
}

static void a_line_below_the_limit_comes_whole(void **state)
{
    static char block[3 * AK_LINES_PIECE];
    struct heard heard = {.text = AK_BUF_INIT(4096)};
    AK_AUTO(ak_lines) lines;

    (void)state;
    memset(block, 'x', sizeof(block));
    ak_lines_init(&lines, 4 * AK_LINES_PIECE, on_line, &heard);
    ak_lines_feed(&lines, block, sizeof(block));
    assert_int_equal(heard.bytes, 0);
    ak_lines_feed(&lines, "\n", 1);
    assert_int_equal(heard.longest, sizeof(block));
    assert_int_equal(heard.ends, 1);
    ak_buf_done(&heard.text);
}

static void no_character_is_cut(void **state)
{
    static const struct {
        const char *text;
        size_t max, cut;
    } cases[] = {
        {"abc", 3, 3},
        {"abc", 2, 2},
        {"a\xc3\xa4", 2, 1},
        {"a\xc3\xa4", 3, 3},
        {"\xe2\x82\xac", 2, 2},
        {"a\xe2\x82\xac", 3, 1},
        {"a\xf0\x9f\x98\x80", 4, 1},
        {"\x80\x80\x80\x80\x80\x80", 5, 5}, /* is none, and has to end somewhere */
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        assert_int_equal(ak_utf8_cut(cases[i].text, strlen(cases[i].text), cases[i].max),
                         cases[i].cut);
}

static void without_memory_nothing_is_lost(void **state)
{
    static char block[AK_LINES_PIECE / 2];

    (void)state;
    memset(block, 'y', sizeof(block));
    for (int64_t n = 0; n < 5; n++) {
        struct heard heard = {.text = AK_BUF_INIT(4096)};
        AK_AUTO(ak_lines) lines;

        ak_lines_init(&lines, 0, on_line, &heard);
        (void)ak_alloc_fail_after(n);
        for (int i = 0; i < 5; i++)
            ak_lines_feed(&lines, block, sizeof(block));
        (void)ak_alloc_fail_after(-1);
        ak_lines_end(&lines);
        assert_int_equal(heard.bytes, 5 * sizeof(block));
        ak_buf_done(&heard.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_however_they_arrive),
        cmocka_unit_test(a_line_of_any_length_needs_no_more_than_its_limit),
        cmocka_unit_test(a_line_below_the_limit_comes_whole),
        cmocka_unit_test(no_character_is_cut),
        cmocka_unit_test(without_memory_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
