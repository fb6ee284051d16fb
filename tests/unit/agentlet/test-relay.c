/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/relay.h"

#include <ak/base/alloc.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A relay between two pipes, and what came out of it. */
struct fixture {
    struct ak_poller poller;
    struct ak_relay relay;
    int command[2];
    int log[2];
    struct ak_buf seen;
};

static void set_up(struct fixture *f, const char *prefix)
{
    *f = (struct fixture){.seen = AK_BUF_INIT(64u << 20)};
    assert_int_equal(ak_poller_init(&f->poller, NULL), 0);
    assert_int_equal(pipe2(f->command, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(f->log, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(ak_relay_init(&f->relay, &f->poller, f->command[0], f->log[1], prefix), 0);
}

static void read_log(struct fixture *f)
{
    char block[65536];
    ssize_t n = 0;

    while ((n = read(f->log[0], block, sizeof(block))) > 0)
        assert_int_equal(ak_buf_add(&f->seen, block, (size_t)n), 0);
}

/* As much as goes without the log being read. */
static void turn(struct fixture *f)
{
    assert_int_equal(ak_poller_wait(&f->poller, 0), 0);
}

static void feed(struct fixture *f, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(f->command[1], data, len);

        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
        turn(f);
        read_log(f);
    }
}

static void end_input(struct fixture *f)
{
    (void)close(f->command[1]);
    for (int i = 0; i < 10000 && (f->relay.in >= 0 || f->relay.pending.len > 0); i++) {
        turn(f);
        read_log(f);
    }
    assert_int_equal(f->relay.in, -1);
    read_log(f);
}

static void tear_down(struct fixture *f)
{
    ak_relay_done(&f->relay);
    for (size_t i = 0; i < AK_POLLER_MAX; i++)
        assert_int_equal(f->poller.entries[i].fd, -1);
    ak_poller_done(&f->poller);
    ak_buf_done(&f->seen);
    (void)close(f->log[0]);
    (void)close(f->log[1]);
}

static void lines_get_a_prefix_however_they_arrive(void **state)
{
    static const char text[] = "one\n\ntwo\nthree";
    struct fixture f;

    (void)state;
    for (size_t step = 1; step < sizeof(text); step++) {
        set_up(&f, "p: ");
        for (size_t i = 0; i < strlen(text); i += step)
            feed(&f, text + i, AK_MIN(step, strlen(text) - i));
        end_input(&f);
        assert_string_equal(f.seen.data, "p: one\np: \np: two\np: three\n");
        assert_string_equal(ak_relay_tail(&f.relay), text);
        tear_down(&f);
    }
}

static void a_long_line_is_cut_once_and_the_next_is_whole(void **state)
{
    struct fixture f;
    char block[10000];

    (void)state;
    memset(block, 'x', sizeof(block));
    set_up(&f, "p: ");
    for (int i = 0; i < 100; i++)
        feed(&f, block, sizeof(block));
    feed(&f, "\nnext\n", 6);
    end_input(&f);
    assert_int_equal(f.seen.len, 3 + AK_RELAY_MAX_LINE + strlen("... (line cut)\np: next\n"));
    assert_non_null(strstr(f.seen.data, "xxx... (line cut)\np: next\n"));
    tear_down(&f);
}

static void a_line_of_exactly_the_limit_is_whole(void **state)
{
    static char block[AK_RELAY_MAX_LINE];
    struct fixture f;

    (void)state;
    memset(block, 'x', sizeof(block));
    set_up(&f, "p: ");
    feed(&f, block, sizeof(block));
    feed(&f, "\n", 1);
    end_input(&f);
    assert_int_equal(f.seen.len, 3 + AK_RELAY_MAX_LINE + 1);
    tear_down(&f);
}

static void the_whole_is_cut_too_but_read_to_its_end(void **state)
{
    static char block[4096];
    struct fixture f;

    (void)state;
    memset(block, 'x', sizeof(block));
    block[sizeof(block) - 1] = '\n';
    set_up(&f, "p: ");
    for (unsigned i = 0; i < 2 * AK_RELAY_MAX_TOTAL / sizeof(block); i++)
        feed(&f, block, sizeof(block));
    feed(&f, "the end", 7);
    end_input(&f);
    assert_true(f.seen.len < AK_RELAY_MAX_TOTAL + 65536);
    assert_string_equal(f.seen.data + f.seen.len - strlen("p: ... (more output is not shown)\n"),
                        "p: ... (more output is not shown)\n");
    assert_int_equal(strlen(ak_relay_tail(&f.relay)), AK_RELAY_TAIL);
    assert_non_null(strstr(ak_relay_tail(&f.relay), "the end"));
    tear_down(&f);
}

static void without_a_prefix_only_the_tail_is_kept(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, NULL);
    feed(&f, "one\n\0two\n", 9);
    end_input(&f);
    assert_int_equal(f.seen.len, 0);
    assert_string_equal(ak_relay_tail(&f.relay), "one\n?two\n");
    tear_down(&f);
}

static void a_log_that_nobody_reads_stops_the_reading_until_it_is_read(void **state)
{
    static char block[4096];
    struct fixture f;
    ssize_t n = 0;
    size_t fed = 0;

    (void)state;
    memset(block, 'x', sizeof(block));
    block[sizeof(block) - 1] = '\n';
    set_up(&f, "p: ");
    for (int i = 0; i < 1000; i++) {
        n = write(f.command[1], block, sizeof(block));
        fed += n > 0 ? (size_t)n : 0;
        turn(&f);
    }
    assert_true(n < 0);
    assert_true(fed < 400000);
    assert_true(f.relay.pending.len < 200000);
    end_input(&f);
    assert_true(f.seen.len > fed);
    tear_down(&f);
}

static void a_log_that_has_gone_does_not_stop_the_command(void **state)
{
    static char block[4096];
    struct fixture f;

    (void)state;
    set_up(&f, "p: ");
    (void)close(f.log[0]);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(write(f.command[1], block, sizeof(block)), sizeof(block));
        turn(&f);
        turn(&f);
    }
    assert_int_equal(f.relay.pending.len, 0);
    (void)close(f.command[1]);
    ak_relay_drain(&f.relay);
    assert_int_equal(f.relay.in, -1);
    f.log[0] = -1;
    tear_down(&f);
}

static void short_memory_loses_log_lines_only(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 8; n++) {
        struct fixture f;

        set_up(&f, "p: ");
        (void)ak_alloc_fail_after(n);
        assert_int_equal(write(f.command[1], "one\ntwo\n", 8), 8);
        turn(&f);
        assert_int_equal(write(f.command[1], "three\n", 6), 6);
        turn(&f);
        (void)ak_alloc_fail_after(-1);
        end_input(&f);
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_get_a_prefix_however_they_arrive),
        cmocka_unit_test(a_long_line_is_cut_once_and_the_next_is_whole),
        cmocka_unit_test(a_line_of_exactly_the_limit_is_whole),
        cmocka_unit_test(the_whole_is_cut_too_but_read_to_its_end),
        cmocka_unit_test(without_a_prefix_only_the_tail_is_kept),
        cmocka_unit_test(a_log_that_nobody_reads_stops_the_reading_until_it_is_read),
        cmocka_unit_test(a_log_that_has_gone_does_not_stop_the_command),
        cmocka_unit_test(short_memory_loses_log_lines_only),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
