/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void the_chosen_allocation_fails_once(void **state)
{
    void *p;

    (void)state;
    (void)ak_alloc_fail_after(1);
    p = ak_malloc(8);
    assert_non_null(p);
    ak_free(p);
    assert_null(ak_malloc(8));
    p = ak_malloc(8);
    assert_non_null(p);
    ak_free(p);
    assert_true(ak_alloc_fail_after(-1));
    assert_false(ak_alloc_fail_after(-1));
}

static void every_function_can_be_made_to_fail(void **state)
{
    char *kept = ak_strdup("kept");

    (void)state;
    (void)ak_alloc_fail_after(0);
    assert_null(ak_calloc(1, 1));
    (void)ak_alloc_fail_after(0);
    assert_null(ak_realloc(kept, 100));
    assert_string_equal(kept, "kept");
    (void)ak_alloc_fail_after(0);
    assert_null(ak_reallocarray(kept, 10, 10));
    (void)ak_alloc_fail_after(0);
    assert_null(ak_strdup("x"));
    (void)ak_alloc_fail_after(0);
    assert_null(ak_strndup("x", 1));
    (void)ak_alloc_fail_after(0);
    assert_null(ak_asprintf("%d", 1));
    (void)ak_alloc_fail_after(-1);
    ak_free(kept);
}

static void an_array_that_overflows_is_refused(void **state)
{
    (void)state;
    assert_null(ak_reallocarray(NULL, SIZE_MAX / 2, 3));
    assert_null(ak_calloc(SIZE_MAX / 2, 3));
}

static void size_zero_is_memory_too(void **state)
{
    void *a = ak_malloc(0), *b = ak_calloc(0, 8), *c = ak_realloc(NULL, 0);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    ak_free(a);
    ak_free(b);
    ak_free(c);
}

static void text_is_copied_up_to_its_end(void **state)
{
    AK_AUTO_TEXT char *a = ak_strndup("abc", 2);
    AK_AUTO_TEXT char *b = ak_strndup("ab\0cd", 5);
    AK_AUTO_TEXT char *c = ak_asprintf("%s-%d", "x", 7);

    (void)state;
    assert_string_equal(a, "ab");
    assert_string_equal(b, "ab");
    assert_string_equal(c, "x-7");
    assert_null(ak_strdup(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chosen_allocation_fails_once),
        cmocka_unit_test(every_function_can_be_made_to_fail),
        cmocka_unit_test(an_array_that_overflows_is_refused),
        cmocka_unit_test(size_zero_is_memory_too),
        cmocka_unit_test(text_is_copied_up_to_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
