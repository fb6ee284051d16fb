/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/error.h>
#include <ak/base/map.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 300

static char keys[KEYS][16];

static int make_keys(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++)
        (void)snprintf(keys[i], sizeof(keys[i]), "key-%d", i);
    return 0;
}

static void what_was_put_is_found(void **state)
{
    AK_AUTO(ak_map) map = {.max = 0};

    (void)state;
    ak_map_init(&map, 0);
    assert_null(ak_map_get(&map, "key-1"));
    assert_null(ak_map_remove(&map, "key-1"));
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(ak_map_put(&map, keys[i], &keys[i], NULL), 0);
    assert_int_equal(map.len, KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(ak_map_get(&map, keys[i]), &keys[i]);
    assert_null(ak_map_get(&map, "key-300"));
    assert_null(ak_map_get(&map, ""));
}

static void replacing_returns_the_old_value_and_keeps_the_new_key(void **state)
{
    AK_AUTO(ak_map) map = {.max = 0};
    char key_a[] = "k", key_b[] = "k";
    const char *key = NULL;
    void *old = &map, *value = NULL;
    size_t it = 0;

    (void)state;
    ak_map_init(&map, 1);
    assert_int_equal(ak_map_put(&map, key_a, key_a, &old), 0);
    assert_null(old);
    assert_int_equal(ak_map_put(&map, key_b, key_b, &old), 0); /* also at the limit */
    assert_ptr_equal(old, key_a);
    assert_true(ak_map_next(&map, &it, &key, &value));
    assert_ptr_equal(key, key_b);
    assert_ptr_equal(value, key_b);
    assert_int_equal(map.len, 1);
}

static void the_limit_holds(void **state)
{
    AK_AUTO(ak_map) map = {.max = 0};

    (void)state;
    ak_map_init(&map, 2);
    assert_int_equal(ak_map_put(&map, "a", NULL, NULL), 0);
    assert_int_equal(ak_map_put(&map, "b", NULL, NULL), 0);
    assert_int_equal(ak_map_put(&map, "c", NULL, NULL), AK_E_TOO_LARGE);
    (void)ak_map_remove(&map, "a");
    assert_int_equal(ak_map_put(&map, "c", NULL, NULL), 0);
}

static void the_current_entry_may_be_removed_while_iterating(void **state)
{
    AK_AUTO(ak_map) map = {.max = 0};
    const char *key = NULL;
    size_t it = 0, seen = 0;

    (void)state;
    ak_map_init(&map, 0);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(ak_map_put(&map, keys[i], &keys[i], NULL), 0);
    while (ak_map_next(&map, &it, &key, NULL)) {
        assert_ptr_equal(ak_map_remove(&map, key), key);
        seen++;
    }
    assert_int_equal(seen, KEYS);
    assert_int_equal(map.len, 0);
}

/* Against a plain array: the table must agree after any sequence of changes. */
static void random_changes_agree_with_a_model(void **state)
{
    AK_AUTO(ak_map) map = {.max = 0};
    bool model[KEYS] = {false};
    unsigned seed = 12345;

    (void)state;
    ak_map_init(&map, 0);
    for (int step = 0; step < 20000; step++) {
        unsigned i;

        seed = seed * 1103515245 + 12345;
        i = seed / 65536 % KEYS;
        if (seed / 7 % 2) {
            assert_int_equal(ak_map_put(&map, keys[i], &keys[i], NULL), 0);
            model[i] = true;
        } else {
            assert_ptr_equal(ak_map_remove(&map, keys[i]), model[i] ? &keys[i] : NULL);
            model[i] = false;
        }
    }
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(ak_map_get(&map, keys[i]), model[i] ? &keys[i] : NULL);
}

static void tombstones_do_not_make_the_table_grow(void **state)
{
    AK_AUTO(ak_map) map = {.max = 0};
    char key[16];

    (void)state;
    ak_map_init(&map, 0);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(ak_map_put(&map, key, key, NULL), 0);
        assert_ptr_equal(ak_map_remove(&map, key), key);
    }
    assert_true(map.n_slots <= 16);
    ak_map_clear(&map);
    assert_int_equal(map.n_slots, 0);
}

static void each_allocation_may_fail(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        AK_AUTO(ak_map) map = {.max = 0};
        int r = 0, i;

        ak_map_init(&map, 0);
        (void)ak_alloc_fail_after(n);
        for (i = 0; r >= 0 && i < KEYS; i++)
            r = ak_map_put(&map, keys[i], &keys[i], NULL);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        assert_int_equal(map.len, failed ? i - 1 : KEYS);
        for (size_t k = 0; k < map.len; k++)
            assert_ptr_equal(ak_map_get(&map, keys[k]), &keys[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(replacing_returns_the_old_value_and_keeps_the_new_key),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(the_current_entry_may_be_removed_while_iterating),
        cmocka_unit_test(random_changes_agree_with_a_model),
        cmocka_unit_test(tombstones_do_not_make_the_table_grow),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, make_keys, NULL);
}
