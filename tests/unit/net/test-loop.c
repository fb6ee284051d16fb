/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/loop.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>

#include <ak/base/alloc.h>

#include "rig.h"

struct seen {
    struct ak_loop *loop;
    int order[8];
    int n;
    bool here;
};
struct item {
    struct seen *seen;
    int id;
};

static void note(void *user)
{
    struct item *item = user;

    item->seen->order[item->seen->n++] = item->id;
    item->seen->here = ak_loop_is_here(item->seen->loop);
    if (item->id == 3)
        ak_loop_stop(item->seen->loop);
}

static void posts_run_in_order_on_the_loops_thread(void **state)
{
    AK_AUTO_PTR(ak_loop) loop = NULL;
    struct seen seen = {0};
    struct item items[] = {{&seen, 1}, {&seen, 2}, {&seen, 3}};

    (void)state;
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    seen.loop = loop;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ak_loop_post(loop, note, &items[i]), 0);
    assert_false(ak_loop_is_here(loop));
    assert_int_equal(ak_loop_run(loop, NULL), 0);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.order[0], 1);
    assert_int_equal(seen.order[2], 3);
    assert_true(seen.here);
    assert_false(ak_loop_is_here(loop));
}

static void settling_does_what_is_due_and_waits_for_nothing(void **state)
{
    AK_AUTO_PTR(ak_loop) loop = NULL;
    struct ak_timer *due, *later;
    struct seen seen = {0};
    struct item items[] = {{&seen, 1}, {&seen, 2}};

    (void)state;
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    seen.loop = loop;
    due = ak_timer_new(loop, note, &items[0]);
    later = ak_timer_new(loop, note, &items[1]);
    assert_true(due && later);
    ak_timer_set(due, 0);
    ak_timer_set(later, AK_MINUTES(1));
    ak_loop_settle(loop);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.order[0], 1);
    assert_true(seen.here);
    due = ak_timer_free(due);
    later = ak_timer_free(later);
}

static void what_waits_when_the_loop_is_freed_runs_exactly_once(void **state)
{
    struct ak_loop *loop = NULL;
    struct seen seen = {0};
    struct item item = {&seen, 1};

    (void)state;
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    seen.loop = loop;
    assert_int_equal(ak_loop_post(loop, note, &item), 0);
    loop = ak_loop_free(loop);
    assert_int_equal(seen.n, 1);
}

static void a_stop_before_the_run_ends_it_at_once(void **state)
{
    AK_AUTO_PTR(ak_loop) loop = NULL;

    (void)state;
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    ak_loop_stop(loop);
    assert_int_equal(ak_loop_run(loop, NULL), 0);
}

static void nothing(void *user)
{
    (void)user;
}

static void too_many_posts_are_refused(void **state)
{
    AK_AUTO_PTR(ak_loop) loop = NULL;

    (void)state;
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    for (int i = 0; i < AK_LOOP_MAX_POSTS; i++)
        assert_int_equal(ak_loop_post(loop, nothing, NULL), 0);
    assert_int_equal(ak_loop_post(loop, nothing, NULL), -ENOBUFS);
}

struct counting {
    struct ak_loop *loop;
    atomic_int n;
};

static void count_one(void *user)
{
    struct counting *c = user;

    (void)atomic_fetch_add(&c->n, 1);
}

static void post_many(void *user)
{
    struct counting *c = user;

    for (int i = 0; i < 1000; i++)
        if (ak_loop_post(c->loop, count_one, c) < 0)
            return;
}

static void posts_from_many_threads_all_arrive(void **state)
{
    struct rig_loop rig = {0};
    struct counting c = {0};
    struct ak_thread threads[4] = {0};

    (void)state;
    rig_loop_start(&rig);
    c.loop = rig.loop;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ak_thread_start(&threads[i], "poster", post_many, &c), 0);
    for (size_t i = 0; i < 4; i++)
        ak_thread_join(&threads[i]);
    rig_loop_end(&rig);
    assert_int_equal(atomic_load(&c.n), 4000);
}

struct timed {
    struct ak_loop *loop;
    struct ak_timer *timer;
    ak_msec started, fired;
    int n;
};

static void fire(void *user)
{
    struct timed *t = user;

    t->fired = ak_now();
    if (++t->n < 3) {
        ak_timer_set(t->timer, 1);
        return;
    }
    t->timer = ak_timer_free(t->timer); /* inside its own callback */
    ak_loop_stop(t->loop);
}

static void a_timer_fires_once_for_each_set_and_may_free_itself(void **state)
{
    AK_AUTO_PTR(ak_loop) loop = NULL;
    struct timed t = {0};

    (void)state;
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    t.loop = loop;
    t.timer = ak_timer_new(loop, fire, &t);
    assert_non_null(t.timer);
    ak_timer_set(t.timer, AK_HOURS(1));
    ak_timer_clear(t.timer);
    t.started = ak_now();
    ak_timer_set(t.timer, 20);
    assert_int_equal(ak_loop_run(loop, NULL), 0);
    assert_int_equal(t.n, 3);
    assert_true(t.fired - t.started >= 20);
}

static void memory_running_out_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 100; n++) {
        AK_AUTO_PTR(ak_loop) loop = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = ak_loop_new(&loop, &err);
        if (r >= 0)
            r = ak_loop_post(loop, nothing, NULL);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
    fail_msg("never succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_in_order_on_the_loops_thread),
        cmocka_unit_test(settling_does_what_is_due_and_waits_for_nothing),
        cmocka_unit_test(what_waits_when_the_loop_is_freed_runs_exactly_once),
        cmocka_unit_test(a_stop_before_the_run_ends_it_at_once),
        cmocka_unit_test(too_many_posts_are_refused),
        cmocka_unit_test(posts_from_many_threads_all_arrive),
        cmocka_unit_test(a_timer_fires_once_for_each_set_and_may_free_itself),
        cmocka_unit_test(memory_running_out_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("net/loop", tests, NULL, NULL);
}
