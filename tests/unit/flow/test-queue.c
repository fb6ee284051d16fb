/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ak/base/alloc.h>
#include <ak/flow/queue.h>

static ak_msec fake_now;

static ak_msec fake_monotonic(void *user)
{
    (void)user;
    return fake_now;
}

static const struct ak_clock fake_clock = {.monotonic = fake_monotonic, .wall = fake_monotonic};

static struct ak_queue *new_queue(const struct ak_queue_options *with)
{
    struct ak_queue_options o = with ? *with : (struct ak_queue_options){0};
    struct ak_queue *q = NULL;

    fake_now = 1000000;
    o.name = "test";
    o.clock = &fake_clock;
    assert_int_equal(ak_queue_new(&o, &q, NULL), 0);
    return q;
}

static int add(struct ak_queue *q, const char *name, ak_msec delay)
{
    return ak_queue_add(q, (struct ak_key){"ns", name}, delay, AK_CAUSE_CHANGED);
}

/* The next key's name, or "" when none is ready. */
static const char *take(struct ak_queue *q, struct ak_request *req)
{
    return ak_queue_try_take(q, req) == 0 ? req->name : "";
}

static void test_keys_come_out_in_the_order_in_which_they_went_in(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_request req;
    (void)state;

    assert_int_equal(add(q, "a", 0), 0);
    assert_int_equal(add(q, "b", 0), 0);
    assert_string_equal(take(q, &req), "a");
    assert_string_equal(req.ns, "ns");
    assert_int_equal(req.attempt, 0);
    assert_true(req.reconcile_id != 0);
    assert_string_equal(take(q, &req), "b");
    assert_string_equal(take(q, &req), "");
}

static void test_a_waiting_key_is_there_once(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_request req;
    struct ak_queue_stats st;
    (void)state;

    assert_int_equal(add(q, "a", 0), 0);
    assert_int_equal(add(q, "a", 0), 1);
    assert_int_equal(add(q, "a", 5000), 1);
    ak_queue_stats(q, &st);
    assert_int_equal(st.adds, 1);
    assert_int_equal(st.merges, 2);
    assert_int_equal(st.depth, 1);
    assert_string_equal(take(q, &req), "a");
    assert_string_equal(take(q, &req), "");
}

static void test_a_key_added_while_worked_on_runs_again_afterwards_and_never_beside(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_request one, two;
    (void)state;

    (void)!add(q, "a", 0);
    assert_string_equal(take(q, &one), "a");
    assert_int_equal(add(q, "a", 0), 1);
    assert_string_equal(take(q, &two), "");
    ak_queue_done(q, &one, -1);
    assert_string_equal(take(q, &two), "a");
    assert_int_equal(two.cause, AK_CAUSE_CHANGED);
    ak_queue_done(q, &two, -1);
    assert_string_equal(take(q, &two), "");
}

static void test_a_delayed_key_waits_and_an_earlier_add_moves_it_forward(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_request req;
    (void)state;

    assert_int_equal(add(q, "a", 500), 0);
    assert_int_equal(add(q, "b", 300), 0);
    assert_int_equal(add(q, "c", 400), 0);
    assert_int_equal(add(q, "a", 900), 1); /* later: stays */
    assert_string_equal(take(q, &req), "");
    fake_now += 300;
    assert_string_equal(take(q, &req), "b");
    assert_string_equal(take(q, &req), "");
    assert_int_equal(add(q, "a", 50), 1);
    fake_now += 50;
    assert_string_equal(take(q, &req), "a");
    fake_now += 50;
    assert_string_equal(take(q, &req), "c");
}

static void test_a_finished_key_may_ask_to_be_run_again_later(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_request req;
    (void)state;

    (void)!add(q, "a", 0);
    (void)take(q, &req);
    ak_queue_done(q, &req, 1000);
    assert_string_equal(take(q, &req), "");
    fake_now += 1000;
    assert_string_equal(take(q, &req), "a");
    assert_int_equal(req.cause, AK_CAUSE_TIMER);
}

static void test_failures_double_the_delay_up_to_the_limit_and_success_forgets_them(void **state)
{
    AK_AUTO_PTR(ak_queue)
    q = new_queue(&(struct ak_queue_options){.retry_first = 100, .retry_max = 1000});
    static const ak_msec expected[] = {100, 200, 400, 800, 1000, 1000};
    struct ak_request req;
    (void)state;

    (void)!add(q, "a", 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(expected); i++) {
        assert_string_equal(take(q, &req), "a");
        assert_int_equal(req.attempt, i);
        ak_queue_retry(q, &req, 0);
        fake_now += expected[i] - 1;
        assert_string_equal(take(q, &req), "");
        fake_now += 1 + expected[i] / 10; /* the jitter */
    }
    assert_string_equal(take(q, &req), "a");
    assert_int_equal(req.cause, AK_CAUSE_RETRY);
    ak_queue_done(q, &req, -1);
    (void)!add(q, "a", 0);
    assert_string_equal(take(q, &req), "a");
    assert_int_equal(req.attempt, 0);
}

static void test_retry_after_is_obeyed_when_it_is_longer_than_the_backoff(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_request req;
    (void)state;

    (void)!add(q, "a", 0);
    (void)take(q, &req);
    ak_queue_retry(q, &req, 7000);
    fake_now += 6999;
    assert_string_equal(take(q, &req), "");
    fake_now += 1;
    assert_string_equal(take(q, &req), "a");
}

static void test_a_change_does_not_wait_for_the_backoff_and_keeps_the_failures(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(&(struct ak_queue_options){.retry_first = 5000});
    struct ak_request req;
    (void)state;

    (void)!add(q, "a", 0);
    (void)take(q, &req);
    ak_queue_retry(q, &req, 0);
    assert_int_equal(add(q, "a", 0), 1);
    assert_string_equal(take(q, &req), "a");
    assert_int_equal(req.attempt, 1);
    assert_int_equal(req.cause, AK_CAUSE_CHANGED);
}

static void test_too_many_keys_are_refused_and_counted(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(&(struct ak_queue_options){.max_keys = 2});
    struct ak_queue_stats st;
    (void)state;

    assert_int_equal(add(q, "a", 0), 0);
    assert_int_equal(add(q, "b", 0), 0);
    assert_int_equal(add(q, "c", 0), -ENOBUFS);
    assert_int_equal(add(q, "a", 0), 1);
    ak_queue_stats(q, &st);
    assert_int_equal(st.dropped, 1);
}

static void test_names_that_no_object_can_have_are_refused(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    char longest[300];
    (void)state;

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    assert_int_equal(add(q, longest, 0), -EINVAL);
    assert_int_equal(add(q, "", 0), -EINVAL);
    assert_int_equal(ak_queue_add(q, (struct ak_key){longest, "a"}, 0, 0), -EINVAL);
    assert_int_equal(ak_queue_add(q, (struct ak_key){"a/b", "c"}, 0, 0), -EINVAL);
    assert_int_equal(ak_queue_add(q, (struct ak_key){"", "cluster-scoped"}, 0, 0), 0);
}

static void test_shutdown_drops_what_waits_and_refuses_more(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_request req, working;
    (void)state;

    (void)!add(q, "working", 0);
    (void)take(q, &working);
    (void)!add(q, "a", 0);
    (void)!add(q, "b", 100);
    ak_queue_shutdown(q);
    assert_int_equal(ak_queue_take(q, &req), AK_E_CANCELLED);
    assert_int_equal(add(q, "c", 0), AK_E_CANCELLED);
    ak_queue_retry(q, &working, 0);
    assert_int_equal(ak_queue_try_take(q, &req), AK_E_CANCELLED);
}

static void test_numbers_for_metrics_follow_what_happens(void **state)
{
    AK_AUTO_PTR(ak_queue) q = new_queue(NULL);
    struct ak_queue_stats st;
    struct ak_request req;
    (void)state;

    (void)!add(q, "a", 0);
    (void)!add(q, "b", 0);
    (void)!add(q, "c", 9000);
    fake_now += 70;
    ak_queue_stats(q, &st);
    assert_int_equal(st.depth, 2);
    assert_int_equal(st.delayed, 1);
    assert_int_equal(st.oldest, 70);
    (void)take(q, &req);
    fake_now += 30;
    ak_queue_stats(q, &st);
    assert_int_equal(st.active, 1);
    assert_int_equal(st.longest_running, 30);
    assert_int_equal(st.unfinished, 30);
    assert_int_equal(st.wait_count, 1);
    ak_queue_done(q, &req, -1);
    ak_queue_stats(q, &st);
    assert_int_equal(st.active, 0);
    assert_int_equal(st.work_count, 1);
}

static void test_every_allocation_may_fail(void **state)
{
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        struct ak_queue *q = NULL;
        struct ak_error *err = NULL;
        int r;

        ak_alloc_fail_after(n);
        r = ak_queue_new(&(struct ak_queue_options){.name = "x"}, &q, &err);
        for (int i = 0; r >= 0 && i < 100; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "k%d", i);
            r = add(q, name, i % 3);
        }
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        ak_queue_free(q);
        ak_error_free(err);
    }
}

/* ---- many threads ---- */

#define N_KEYS 50
#define N_WORKERS 4

struct crowd {
    struct ak_queue *queue;
    atomic_int busy[N_KEYS];
    atomic_int runs[N_KEYS];
    atomic_int clashes;
    atomic_int total;
};

static void crowd_work(void *user)
{
    struct crowd *c = user;
    struct ak_request req;

    while (ak_queue_take(c->queue, &req) == 0) {
        int k = atoi(req.name);
        if (atomic_fetch_add(&c->busy[k], 1) != 0)
            atomic_fetch_add(&c->clashes, 1);
        atomic_fetch_add(&c->runs[k], 1);
        int total = atomic_fetch_add(&c->total, 1);
        atomic_fetch_sub(&c->busy[k], 1);
        if (total % 7 == 0)
            ak_queue_retry(c->queue, &req, 0);
        else
            ak_queue_done(c->queue, &req, total % 5 == 0 ? 1 : -1);
    }
}

static void crowd_add(void *user)
{
    struct crowd *c = user;

    for (int i = 0; i < 4000; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i % N_KEYS);
        (void)!ak_queue_add(c->queue, (struct ak_key){"ns", name}, i % 11 == 0 ? 1 : 0, 0);
    }
}

static void test_a_key_is_never_on_two_workers_and_none_is_forgotten(void **state)
{
    struct crowd c = {0};
    struct ak_thread workers[N_WORKERS] = {0}, adders[2] = {0};
    struct ak_queue_stats st;
    (void)state;

    assert_int_equal(ak_queue_new(&(struct ak_queue_options){.name = "crowd"}, &c.queue, NULL), 0);
    for (int i = 0; i < N_WORKERS; i++)
        assert_int_equal(ak_thread_start(&workers[i], "worker", crowd_work, &c), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ak_thread_start(&adders[i], "adder", crowd_add, &c), 0);
    for (int i = 0; i < 2; i++)
        ak_thread_join(&adders[i]);
    /* Until nothing waits and nobody works: a lost wake-up would make this stand still. */
    do {
        ak_queue_stats(c.queue, &st);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    } while (st.depth || st.delayed || st.active);
    ak_queue_shutdown(c.queue);
    for (int i = 0; i < N_WORKERS; i++)
        ak_thread_join(&workers[i]);
    assert_int_equal(c.clashes, 0);
    for (int i = 0; i < N_KEYS; i++)
        assert_true(c.runs[i] > 0);
    ak_queue_free(c.queue);
}

/* ---- against a model ---- */

enum model_place { ABSENT, WAITING, WORKING };
struct model_key {
    enum model_place place;
    ak_msec due; /* WAITING: when it may come out; WORKING: AK_MSEC_NEVER or when it is run again */
    unsigned failures;
};
#define MODEL_KEYS 6

static uint64_t dice_state;

static unsigned dice(unsigned n)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((dice_state >> 33) % n);
}

static void model_step(struct ak_queue *q, struct model_key *keys, uint64_t seed)
{
    unsigned k = dice(MODEL_KEYS);
    char name[2] = {(char)('a' + k), 0};
    struct model_key *m = &keys[k];
    struct ak_request req;
    ak_msec delay = dice(2) ? 0 : (ak_msec)dice(40);

    switch (dice(4)) {
    case 0: /* time goes on */
        fake_now += dice(30);
        break;
    case 1: /* add */
        if (add(q, name, delay) != (m->place == ABSENT ? 0 : 1))
            fail_msg("seed %llu: add(%s) disagrees", (unsigned long long)seed, name);
        if (m->place == ABSENT)
            *m = (struct model_key){.place = WAITING, .due = fake_now + delay};
        else
            m->due = AK_MIN(m->due, fake_now + delay);
        break;
    case 2: { /* take */
        bool due = false;
        for (int i = 0; i < MODEL_KEYS; i++)
            due = due || (keys[i].place == WAITING && keys[i].due <= fake_now);
        if (ak_queue_try_take(q, &req) != (due ? 0 : -EAGAIN))
            fail_msg("seed %llu: take disagrees", (unsigned long long)seed);
        if (!due)
            break;
        m = &keys[req.name[0] - 'a'];
        if (m->place != WAITING || m->due > fake_now || m->failures != req.attempt)
            fail_msg("seed %llu: took %s too early", (unsigned long long)seed, req.name);
        m->place = WORKING;
        m->due = AK_MSEC_NEVER;
        break;
    }
    case 3: /* finish */
        if (m->place != WORKING)
            break;
        req = (struct ak_request){.ns = "ns"};
        req.name[0] = name[0];
        if (dice(3) == 0) {
            /* first == max and below ten: the delay is known, without jitter */
            ak_queue_retry(q, &req, 0);
            m->failures++;
            m->due = AK_MIN(m->due, fake_now + 9);
            m->place = WAITING;
        } else {
            ak_msec again = dice(2) ? -1 : (ak_msec)dice(20);
            ak_queue_done(q, &req, again);
            m->failures = 0;
            if (again >= 0)
                m->due = AK_MIN(m->due, fake_now + again);
            m->place = m->due == AK_MSEC_NEVER ? ABSENT : WAITING;
        }
        break;
    }
}

static void test_random_sequences_agree_with_a_simple_model(void **state)
{
    uint64_t first = (uint64_t)time(NULL);
    (void)state;

    for (uint64_t seed = first; seed < first + 200; seed++) {
        struct model_key keys[MODEL_KEYS] = {0};
        AK_AUTO_PTR(ak_queue)
        q = new_queue(&(struct ak_queue_options){.retry_first = 9, .retry_max = 9});
        dice_state = seed;
        for (int i = 0; i < 500; i++)
            model_step(q, keys, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_come_out_in_the_order_in_which_they_went_in),
        cmocka_unit_test(test_a_waiting_key_is_there_once),
        cmocka_unit_test(test_a_key_added_while_worked_on_runs_again_afterwards_and_never_beside),
        cmocka_unit_test(test_a_delayed_key_waits_and_an_earlier_add_moves_it_forward),
        cmocka_unit_test(test_a_finished_key_may_ask_to_be_run_again_later),
        cmocka_unit_test(test_failures_double_the_delay_up_to_the_limit_and_success_forgets_them),
        cmocka_unit_test(test_retry_after_is_obeyed_when_it_is_longer_than_the_backoff),
        cmocka_unit_test(test_a_change_does_not_wait_for_the_backoff_and_keeps_the_failures),
        cmocka_unit_test(test_too_many_keys_are_refused_and_counted),
        cmocka_unit_test(test_names_that_no_object_can_have_are_refused),
        cmocka_unit_test(test_shutdown_drops_what_waits_and_refuses_more),
        cmocka_unit_test(test_numbers_for_metrics_follow_what_happens),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_key_is_never_on_two_workers_and_none_is_forgotten),
        cmocka_unit_test(test_random_sequences_agree_with_a_simple_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
