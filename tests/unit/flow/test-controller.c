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
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/flow/reconcile.h>

/* Reconciles answer by the object's name: see answers below. */
struct answer {
    const char *name;
    int codes[4]; /* of the first, second, ... call; the last one stays */
    int calls;    /* expected */
    int log_lines;
    const char *outcome;
};
static struct answer answers[] = {
    {"fine", {0}, 1, 0, "success"},
    {"again", {1}, 2, 0, "asked to be run again once"},
    {"terminal", {AK_E_TERMINAL}, 1, 1, "logged, not retried"},
    {"fails twice", {-EIO, -EIO, 0}, 3, 2, "logged each time, then fine"},
    {"behind", {AK_E_CONFLICT, AK_E_GONE, AK_E_ALREADY_EXISTS, 0}, 4, 0, "normal: not logged"},
    {"throttled", {AK_E_THROTTLED, 0}, 2, 1, "comes back after Retry-After"},
};
static atomic_int calls[AK_ARRAY_LEN(answers)];

static int answer(void *user, const struct ak_request *req, struct ak_result *result,
                  struct ak_error **reterr)
{
    (void)user;
    for (size_t i = 0; i < AK_ARRAY_LEN(answers); i++) {
        int n, code;
        if (!ak_streq(answers[i].name, req->name))
            continue;
        n = atomic_fetch_add(&calls[i], 1);
        code = answers[i].codes[n < 4 ? n : 3];
        if (code == 1 && n == 0)
            result->again_after = 5;
        if (code < 0) {
            (void)ak_error_set(reterr, code, "because of the test");
            ak_error_set_http(*reterr, 429, "", code == AK_E_THROTTLED ? 20 : 0);
        }
        return code < 0 ? code : 0;
    }
    return 0;
}

static struct ak_controller *start(ak_reconcile_fn fn, void *user, int workers)
{
    const struct ak_controller_options o = {.name = "test",
                                            .kind = "Thing",
                                            .reconcile = fn,
                                            .user = user,
                                            .workers = workers,
                                            .retry_first = 1,
                                            .retry_max = 10};
    struct ak_controller *c = NULL;

    assert_int_equal(ak_controller_new(&o, &c, NULL), 0);
    assert_int_equal(ak_controller_start(c, NULL), 0);
    return c;
}

static void wait_until_idle(struct ak_controller *c)
{
    struct ak_queue_stats st;

    do {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        ak_queue_stats(ak_controller_queue(c), &st);
    } while (st.depth || st.delayed || st.active);
}

static int count_lines_with(const char *text, const char *part)
{
    int n = 0;

    while ((text = strstr(text, part))) {
        n++;
        text += strlen(part);
    }
    return n;
}

static void test_each_result_is_handled_counted_and_logged_once(void **state)
{
    AK_AUTO(ak_buf) log = AK_BUF_INIT(1 << 20);
    struct ak_controller_stats st;
    struct ak_controller *c;
    char path[] = "/tmp/ak-test-controller-XXXXXX";
    int fd = mkstemp(path);
    (void)state;

    assert_true(fd >= 0);
    ak_log_set_fd(fd);
    c = start(answer, NULL, 3);
    for (size_t i = 0; i < AK_ARRAY_LEN(answers); i++)
        assert_true(ak_queue_add(ak_controller_queue(c), (struct ak_key){"ns", answers[i].name}, 0,
                                 AK_CAUSE_CHANGED) >= 0);
    wait_until_idle(c);
    ak_controller_stop(c);
    ak_controller_stats(c, &st);
    ak_log_set_fd(2);
    assert_int_equal(ak_buf_add_file(&log, path), 0);
    (void)close(fd);
    (void)unlink(path);
    for (size_t i = 0; i < AK_ARRAY_LEN(answers); i++) {
        char name[64];
        if (calls[i] != answers[i].calls)
            fail_msg("%s (%s): %d calls", answers[i].name, answers[i].outcome, calls[i]);
        (void)snprintf(name, sizeof(name), "\"name\":\"%s\"", answers[i].name);
        if (count_lines_with(ak_buf_text(&log), name) != answers[i].log_lines)
            fail_msg("%s (%s): log\n%s", answers[i].name, answers[i].outcome, ak_buf_text(&log));
    }
    assert_int_equal(count_lines_with(ak_buf_text(&log), "\"reconcileID\""), 4);
    assert_int_equal(st.terminal, 1);
    assert_int_equal(st.error, 3);
    assert_int_equal(st.behind, 3);
    assert_int_equal(st.requeue_after, 1);
    assert_int_equal(st.success, 5);
    assert_int_equal(st.time_count, 13);
    assert_int_equal(st.busy, 0);
    ak_controller_free(c);
}

struct slow {
    atomic_int inside, finished;
    atomic_bool go;
};

static int wait_for_go(void *user, const struct ak_request *req, struct ak_result *result,
                       struct ak_error **reterr)
{
    struct slow *s = user;
    (void)req;
    (void)result;
    (void)reterr;

    atomic_fetch_add(&s->inside, 1);
    while (!atomic_load(&s->go))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    atomic_fetch_add(&s->finished, 1);
    return 0;
}

static void let_go(void *user)
{
    struct slow *s = user;

    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    atomic_store(&s->go, true);
}

static void test_stop_lets_what_runs_finish_and_drops_the_rest(void **state)
{
    struct slow s = {0};
    struct ak_controller *c = start(wait_for_go, &s, 2);
    struct ak_thread thread = {0};
    (void)state;

    for (int i = 0; i < 5; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(ak_queue_add(ak_controller_queue(c), (struct ak_key){"ns", name}, 0, 0),
                         0);
    }
    while (atomic_load(&s.inside) < 2)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(ak_thread_start(&thread, "go", let_go, &s), 0);
    ak_controller_stop(c);
    assert_int_equal(s.finished, 2);
    assert_int_equal(s.inside, 2);
    ak_thread_join(&thread);
    ak_controller_free(c);
}

static void test_every_allocation_may_fail(void **state)
{
    const struct ak_controller_options o = {.name = "t", .reconcile = answer};
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        struct ak_controller *c = NULL;
        struct ak_error *err = NULL;
        int r;
        ak_alloc_fail_after(n);
        r = ak_controller_new(&o, &c, &err);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        ak_controller_free(c);
        ak_error_free(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_result_is_handled_counted_and_logged_once),
        cmocka_unit_test(test_stop_lets_what_runs_finish_and_drops_the_rest),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
