/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/base/compiler.h>
#include <ak/base/thread.h>

#include "manager/invoke/pool.h"

static const struct ak_pool_lane lanes[] = {{"narrow", 1, 3}, {"wide", 4, 100}};

static struct ak_cancel gate; /* lets items end */
static atomic_int begun, ended, at_once, most;

struct item {
    struct ak_pool_item item;
    bool waits;
};

static void run_item(struct ak_pool_item *pool_item)
{
    const struct item *item = AK_CONTAINER_OF(pool_item, struct item, item);
    int running = atomic_fetch_add(&at_once, 1) + 1, seen = atomic_load(&most);

    while (running > seen && !atomic_compare_exchange_weak(&most, &seen, running)) {}
    atomic_fetch_add(&begun, 1);
    if (item->waits)
        (void)ak_cancel_sleep(&gate, AK_SECONDS(20));
    atomic_fetch_sub(&at_once, 1);
    atomic_fetch_add(&ended, 1);
}

static void wait_for(atomic_int *what, int value)
{
    while (atomic_load(what) < value)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static int begin(void **state)
{
    struct ak_pool *pool = NULL;

    atomic_store(&begun, 0);
    atomic_store(&ended, 0);
    atomic_store(&at_once, 0);
    atomic_store(&most, 0);
    assert_int_equal(ak_cancel_init(&gate), 0);
    assert_int_equal(ak_pool_new(lanes, AK_ARRAY_LEN(lanes), &pool, NULL), 0);
    *state = pool;
    return 0;
}

static int end(void **state)
{
    ak_cancel_now(&gate);
    (void)ak_pool_free(*state);
    ak_cancel_done(&gate);
    return 0;
}

static void test_a_lane_has_a_bound_and_does_not_hold_up_another(void **state)
{
    struct ak_pool *pool = *state;
    struct item blocked[5], quick[20];

    for (int i = 0; i < 5; i++) {
        blocked[i] = (struct item){{.run = run_item}, true};
        assert_int_equal(ak_pool_put(pool, 0, &blocked[i].item), i < 4 ? 0 : -ENOBUFS);
        wait_for(&begun, 1); /* the first has left the queue */
    }
    assert_int_equal(ak_pool_count(pool, 0).waiting, 3);
    assert_int_equal(ak_pool_count(pool, 0).running, 1);
    for (int i = 0; i < 20; i++) {
        quick[i] = (struct item){{.run = run_item}, false};
        assert_int_equal(ak_pool_put(pool, 1, &quick[i].item), 0);
    }
    wait_for(&ended, 20);
    ak_cancel_now(&gate);
    wait_for(&ended, 24);
}

static void test_as_many_threads_as_a_lane_may_have_work_at_once(void **state)
{
    struct ak_pool *pool = *state;
    struct item items[8];

    for (int i = 0; i < 8; i++) {
        items[i] = (struct item){{.run = run_item}, true};
        assert_int_equal(ak_pool_put(pool, 1, &items[i].item), 0);
    }
    wait_for(&begun, 4);
    ak_cancel_now(&gate);
    wait_for(&ended, 8);
    assert_int_equal(atomic_load(&most), 4);
}

static void stop_pool(void *user)
{
    ak_pool_stop(user);
}

static void test_what_waits_at_the_end_is_not_run(void **state)
{
    struct ak_pool *pool = *state;
    struct ak_pool_item late = {.run = run_item};
    struct item items[4];
    struct ak_thread helper;
    int r;

    for (int i = 0; i < 4; i++) {
        items[i] = (struct item){{.run = run_item}, true};
        assert_int_equal(ak_pool_put(pool, 0, &items[i].item), 0);
        wait_for(&begun, 1);
    }
    assert_int_equal(ak_thread_start(&helper, "stop", stop_pool, pool), 0);
    while ((r = ak_pool_put(pool, 0, &late)) == -ENOBUFS)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(r, -ESHUTDOWN);
    ak_cancel_now(&gate);
    ak_thread_join(&helper);
    assert_int_equal(atomic_load(&begun), 1);
}

static void test_no_memory_for_a_thread_is_told_and_leaves_nothing_behind(void **state)
{
    struct ak_pool *pool = *state;
    struct item item = {{.run = run_item}, false};

    ak_alloc_fail_after(0);
    int r = ak_pool_put(pool, 1, &item.item);
    assert_true(ak_alloc_fail_after(-1));
    assert_int_equal(r, -ENOMEM);
    assert_int_equal(ak_pool_count(pool, 1).waiting, 0);
    assert_int_equal(ak_pool_put(pool, 1, &item.item), 0);
    wait_for(&ended, 1);
}

#define WITH_POOL(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_POOL(test_a_lane_has_a_bound_and_does_not_hold_up_another),
        WITH_POOL(test_as_many_threads_as_a_lane_may_have_work_at_once),
        WITH_POOL(test_what_waits_at_the_end_is_not_run),
        WITH_POOL(test_no_memory_for_a_thread_is_told_and_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
