/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/arena.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void memory_is_zeroed_and_aligned(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    for (size_t size = 1; size < 400; size += 7) {
        unsigned char *p = ak_arena_alloc(&arena, size);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
        assert_non_null(ak_arena_strdup(&arena, "x")); /* moves the next one off its alignment */
    }
}

static void earlier_memory_stays_where_it_is(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};
    const char *texts[200];

    (void)state;
    ak_arena_init(&arena, 64, 0);
    for (int i = 0; i < 200; i++)
        texts[i] = ak_arena_printf(&arena, "text %d", i);
    for (int i = 0; i < 200; i++) {
        AK_AUTO_TEXT char *expected = ak_asprintf("text %d", i);

        assert_string_equal(texts[i], expected);
    }
}

static void the_limit_holds(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};

    (void)state;
    ak_arena_init(&arena, 64, 100);
    assert_non_null(ak_arena_alloc(&arena, 60));
    assert_null(ak_arena_alloc(&arena, 41));
    assert_non_null(ak_arena_alloc(&arena, 40));
    assert_null(ak_arena_alloc(&arena, 1));
    assert_null(ak_arena_alloc(&arena, SIZE_MAX));
    assert_int_equal(arena.used, 100);
    ak_arena_done(&arena);
    assert_non_null(ak_arena_alloc(&arena, 100)); /* empty again, and usable */
}

static void a_chunk_that_fits_leaves_no_slack(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};

    (void)state;
    ak_arena_init(&arena, 1000, 0);
    assert_int_equal(ak_arena_footprint(&arena), 0);
    assert_non_null(ak_arena_alloc(&arena, 900));
    assert_non_null(ak_arena_strndup(&arena, "0123456789", 99));
    assert_true(ak_arena_footprint(&arena) < 1000 + 64);
}

static void text_takes_only_its_bytes(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    for (int i = 0; i < 10; i++)
        assert_non_null(ak_arena_strdup(&arena, "ab"));
    assert_int_equal(arena.used, 30);
}

static void without_memory_everything_returns_null(void **state)
{
    AK_AUTO(ak_arena) arena = {.max = 0};

    (void)state;
    ak_arena_init(&arena, 64, 0);
    (void)ak_alloc_fail_after(0);
    assert_null(ak_arena_alloc(&arena, 8));
    (void)ak_alloc_fail_after(0);
    assert_null(ak_arena_strdup(&arena, "x"));
    (void)ak_alloc_fail_after(0);
    assert_null(ak_arena_printf(&arena, "%d", 1));
    (void)ak_alloc_fail_after(-1);
    assert_int_equal(arena.used, 0);
    assert_non_null(ak_arena_alloc(&arena, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(earlier_memory_stays_where_it_is),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(a_chunk_that_fits_leaves_no_slack),
        cmocka_unit_test(text_takes_only_its_bytes),
        cmocka_unit_test(without_memory_everything_returns_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
