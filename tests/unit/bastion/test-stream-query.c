/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/stream_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>

#define ARENA_MAX (1u << 20)

static void arguments_are_decoded(void **state)
{
    static const struct {
        const char *query, *args[3];
    } cases[] = {
        {"", {NULL}},
        {"arg=a", {"a"}},
        {"arg=-c&arg=select+1", {"-c", "select 1"}},
        {"arg=a%26b%3Dc%2b%c3%a4", {"a&b=c+\xc3\xa4"}},
        {"arg=&arg", {"", ""}},
        {"%61rg=x&&other=y", {"x"}},
        {"arg=100%&arg=%4", {"100%", "%4"}},
        {"arg=a%00b", {"a%00b"}},
        {"arg=a=b", {"a=b"}},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_stream_query q;
        size_t n = 0;

        ak_arena_init(&arena, 256, ARENA_MAX);
        assert_int_equal(ak_stream_query_read(cases[i].query, &arena, &q, NULL), 0);
        for (; n < 3 && cases[i].args[n]; n++)
            if (!ak_streq(q.args[n], cases[i].args[n]))
                fail_msg("%s: %s", cases[i].query, q.args[n]);
        assert_int_equal(q.n_args, n);
        assert_null(q.args[n]);
        assert_false(q.terminal || q.read_only || q.columns || q.rows);
    }
}

static void a_terminal_has_a_size(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_stream_query q;

    (void)state;
    ak_arena_init(&arena, 256, ARENA_MAX);
    assert_int_equal(
        ak_stream_query_read("tty=true&columns=100&rows=40&readOnly=true", &arena, &q, NULL), 0);
    assert_true(q.terminal && q.read_only && q.columns == 100 && q.rows == 40);
}

static void what_cannot_be_is_named(void **state)
{
    static const char *const cases[] = {"tty=maybe", "rows=65536", "columns=-1",
                                        "readOnly=", "rows=x"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_stream_query q;

        ak_arena_init(&arena, 256, ARENA_MAX);
        assert_int_equal(ak_stream_query_read(cases[i], &arena, &q, &err), AK_E_INVALID);
        assert_memory_equal(ak_error_message(err), cases[i], strcspn(cases[i], "="));
    }
}

static void there_is_a_largest_number_of_arguments(void **state)
{
    AK_AUTO(ak_buf) query = AK_BUF_INIT(1u << 20);
    AK_AUTO(ak_arena) arena = {0};
    struct ak_stream_query q;

    (void)state;
    ak_arena_init(&arena, 256, ARENA_MAX);
    for (int i = 0; i < AK_STREAM_MAX_ARGS; i++)
        assert_int_equal(ak_buf_adds(&query, "arg=x&"), 0);
    assert_int_equal(ak_stream_query_read(ak_buf_text(&query), &arena, &q, NULL), 0);
    assert_int_equal(q.n_args, AK_STREAM_MAX_ARGS);
    assert_null(q.args[AK_STREAM_MAX_ARGS]);
    assert_int_equal(ak_buf_adds(&query, "arg=x"), 0);
    assert_int_equal(ak_stream_query_read(ak_buf_text(&query), &arena, &q, NULL), AK_E_INVALID);
}

static void without_memory_it_says_so(void **state)
{
    int r = -1;

    (void)state;
    for (int i = 0; r < 0; i++) {
        AK_AUTO(ak_arena) arena = {0};
        struct ak_stream_query q;

        ak_arena_init(&arena, 64, ARENA_MAX);
        ak_alloc_fail_after(i);
        r = ak_stream_query_read("tty=true&arg=select+1+from+a_table_with_a_long_name&arg=x",
                                 &arena, &q, NULL);
        assert_true(ak_alloc_fail_after(-1) ? r == -ENOMEM : r == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_decoded),
        cmocka_unit_test(a_terminal_has_a_size),
        cmocka_unit_test(what_cannot_be_is_named),
        cmocka_unit_test(there_is_a_largest_number_of_arguments),
        cmocka_unit_test(without_memory_it_says_so),
    };

    return cmocka_run_group_tests_name("bastion/stream-query", tests, NULL, NULL);
}
