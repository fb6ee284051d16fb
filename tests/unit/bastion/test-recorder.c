/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/recorder.h"

#define HEAD                                                                                       \
    "{\"version\": 2, \"width\": 80, \"height\": 24, \"timestamp\": 1763985600, \"title\": \"db "  \
    "\\\"x\\\"\"}\n"
#define START 1763985600123 /* 2025-11-24T12:00:00.123Z */

static void begin(struct ak_recorder *r, size_t max)
{
    const struct ak_recorder_options o = {.start = START, .title = "db \"x\"", .max = max};
    assert_int_equal(ak_recorder_init(r, &o), 0);
}

static void output_and_sizes_are_lines(void **state)
{
    AK_AUTO(ak_recorder) r = {0};

    (void)state;
    begin(&r, 0);
    ak_recorder_output(&r, "a\r\n\033[1m", 7, 5);
    ak_recorder_resize(&r, 120, 40, 1500);
    ak_recorder_output(&r, "b", 1, 1499); /* a clock that goes back */
    ak_recorder_finish(&r, 2000);
    assert_string_equal(ak_buf_text(&r.text), HEAD "[0.005, \"o\", \"a\\r\\n\\u001b[1m\"]\n"
                                                   "[1.500, \"r\", \"120x40\"]\n"
                                                   "[1.500, \"o\", \"b\"]\n");
    assert_false(r.truncated);
}

static void a_character_in_two_pieces_is_one(void **state)
{
    static const char *const texts[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++) {
        for (size_t cut = 1; cut < strlen(texts[i]); cut++) {
            AK_AUTO(ak_recorder) r = {0};
            char want[256];
            begin(&r, 0);
            ak_recorder_output(&r, texts[i], cut, 0);
            ak_recorder_output(&r, texts[i] + cut, strlen(texts[i]) - cut, 0);
            ak_recorder_finish(&r, 0);
            (void)snprintf(want, sizeof(want), HEAD "[0.000, \"o\", \"%s\"]\n", texts[i]);
            assert_string_equal(ak_buf_text(&r.text), want);
        }
    }
}

static void what_is_no_text_is_replaced_and_nothing_waits_for_ever(void **state)
{
    AK_AUTO(ak_recorder) r = {0};

    (void)state;
    begin(&r, 0);
    ak_recorder_output(&r, "\xff\x80x", 3, 0);
    ak_recorder_output(&r, "\xe2\x82", 2, 0); /* never completed */
    ak_recorder_finish(&r, 7);
    const char *text = ak_buf_text(&r.text) + strlen(HEAD);
    assert_true(ak_has_prefix(text, "[0.000, \"o\", \""));
    assert_non_null(strstr(text, "x\"]\n[0.007, \"o\", \""));
}

static void a_long_one_ends_with_a_mark_and_within_its_limit(void **state)
{
    AK_AUTO(ak_recorder) r = {0};
    char many[1000];

    (void)state;
    memset(many, 'x', sizeof(many));
    begin(&r, 10000);
    for (int i = 0; i < 20; i++)
        ak_recorder_output(&r, many, sizeof(many), 1000 * i);
    ak_recorder_finish(&r, 30000);
    assert_true(r.truncated);
    assert_true(r.text.len <= r.text.max && r.text.len > 9000);
    assert_true(ak_has_suffix(ak_buf_text(&r.text), ", \"m\", \"the rest was not recorded\"]\n"));
}

static void without_memory_it_is_cut_and_says_so(void **state)
{
    (void)state;
    for (int i = 0;; i++) {
        const struct ak_recorder_options o = {.start = START};
        AK_AUTO(ak_recorder) r = {0};
        char piece[4096];
        memset(piece, 'y', sizeof(piece));
        ak_alloc_fail_after(i);
        int code = ak_recorder_init(&r, &o);
        if (code >= 0)
            ak_recorder_output(&r, piece, sizeof(piece), 0);
        ak_alloc_fail_after(-1);
        if (code >= 0 && !r.truncated)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_sizes_are_lines),
        cmocka_unit_test(a_character_in_two_pieces_is_one),
        cmocka_unit_test(what_is_no_text_is_replaced_and_nothing_waits_for_ever),
        cmocka_unit_test(a_long_one_ends_with_a_mark_and_within_its_limit),
        cmocka_unit_test(without_memory_it_is_cut_and_says_so),
    };
    return cmocka_run_group_tests_name("bastion/recorder", tests, NULL, NULL);
}
