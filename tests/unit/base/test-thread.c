/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/error.h>
#include <ak/base/thread.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct counter {
    struct ak_mutex lock;
    struct ak_cond changed;
    int value; /* under lock */
};

static void count(void *user)
{
    struct counter *counter = user;

    for (int i = 0; i < 1000; i++) {
        ak_mutex_lock(&counter->lock);
        counter->value++;
        ak_cond_signal(&counter->changed);
        ak_mutex_unlock(&counter->lock);
    }
}

static void threads_meet_under_a_lock(void **state)
{
    struct counter counter = {.value = 0};
    struct ak_thread threads[4] = {{.started = false}};

    (void)state;
    ak_mutex_init(&counter.lock);
    ak_cond_init(&counter.changed);
    for (size_t i = 0; i < AK_ARRAY_LEN(threads); i++)
        assert_int_equal(ak_thread_start(&threads[i], "counter", count, &counter), 0);
    ak_mutex_lock(&counter.lock);
    while (counter.value < 4000)
        ak_cond_wait_until(&counter.changed, &counter.lock, AK_MSEC_NEVER);
    ak_mutex_unlock(&counter.lock);
    for (size_t i = 0; i < AK_ARRAY_LEN(threads); i++)
        ak_thread_join(&threads[i]);
    ak_thread_join(&threads[0]); /* joining twice is nothing */
    assert_int_equal(counter.value, 4000);
    ak_cond_done(&counter.changed);
    ak_mutex_done(&counter.lock);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    struct counter counter = {.value = 0};
    ak_msec deadline = ak_now() + 20;

    (void)state;
    ak_mutex_init(&counter.lock);
    ak_cond_init(&counter.changed);
    ak_mutex_lock(&counter.lock);
    while (ak_now() < deadline)
        ak_cond_wait_until(&counter.changed, &counter.lock, deadline);
    ak_cond_wait_until(&counter.changed, &counter.lock, 0); /* long past: returns at once */
    ak_cond_wait_until(&counter.changed, &counter.lock, -5);
    ak_mutex_unlock(&counter.lock);
    ak_cond_done(&counter.changed);
    ak_mutex_done(&counter.lock);
}

struct observed {
    char name[16];
    bool blocked;
};

static void observe(void *user)
{
    struct observed *observed = user;
    sigset_t mask;

    (void)pthread_getname_np(pthread_self(), observed->name, sizeof(observed->name));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    observed->blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGUSR1) == 1;
}

static void a_thread_has_a_name_and_no_signals(void **state)
{
    struct observed observed = {.name = ""};
    struct ak_thread thread;
    sigset_t mask;

    (void)state;
    assert_int_equal(ak_thread_start(&thread, "a name that is too long", observe, &observed), 0);
    ak_thread_join(&thread);
    assert_string_equal(observed.name, "a name that is ");
    assert_true(observed.blocked);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0); /* the starter's mask is as before */
}

static void a_thread_that_cannot_start_is_not_joined(void **state)
{
    struct ak_thread thread;

    (void)state;
    (void)ak_alloc_fail_after(0);
    assert_int_equal(ak_thread_start(&thread, "x", observe, NULL), -ENOMEM);
    (void)ak_alloc_fail_after(-1);
    ak_thread_join(&thread);
}

static void cancel(void *user)
{
    ak_cancel_now(user);
}

static void cancelling_wakes_every_wait_and_stays(void **state)
{
    struct ak_cancel token = {.fd = -1};
    struct ak_thread thread;
    struct pollfd pfd;

    (void)state;
    assert_int_equal(ak_cancel_init(&token), 0);
    pfd = (struct pollfd){.fd = token.fd, .events = POLLIN};
    assert_false(ak_cancel_is_set(&token));
    assert_false(ak_cancel_sleep(&token, 5));
    assert_false(ak_cancel_sleep(&token, 0));
    assert_false(ak_cancel_sleep(&token, -1));
    assert_int_equal(poll(&pfd, 1, 0), 0);
    assert_int_equal(ak_thread_start(&thread, "cancel", cancel, &token), 0);
    assert_true(ak_cancel_sleep(&token, AK_MSEC_NEVER));
    ak_thread_join(&thread);
    assert_int_equal(poll(&pfd, 1, 0), 1);
    assert_true(ak_cancel_sleep(&token, AK_MSEC_NEVER));
    ak_cancel_now(&token);
    ak_cancel_done(&token);
    ak_cancel_done(&token);
    assert_int_equal(token.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_meet_under_a_lock),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_thread_has_a_name_and_no_signals),
        cmocka_unit_test(a_thread_that_cannot_start_is_not_joined),
        cmocka_unit_test(cancelling_wakes_every_wait_and_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
