/* SPDX-License-Identifier: Apache-2.0 */
/* Many who follow one run: each sees every event once and in order, whenever he came and however slowly he reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "stage.h"

#define PATH "/api/v1/namespaces/team/agents/a/runs/r-1/events"

static struct stage the_stage;
static int null_fd = -1;

static int begin(void **state)
{
    (void)state;
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ak_log_set_fd(null_fd);
    stage_begin(&the_stage);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stage_end(&the_stage);
    ak_log_set_fd(2);
    (void)close(null_fd);
    return 0;
}

static int follow(const char *query)
{
    int fd = rig_connect(ak_invoke_port(stage->invoke));
    char head[512];

    (void)snprintf(
        head, sizeof(head),
        "GET " PATH "%s HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer alice-token\r\n\r\n", query);
    rig_send(fd, head);
    return fd;
}

/* Reads until an event of this number is there, or the end; fails if one is missing or comes twice.
 * `seen`: the one before the first. */
struct reader {
    int fd, seen;
    char text[200000];
    size_t len;
    bool over;
};

static void take_events(struct reader *r)
{
    char *block, *stop;

    while ((stop = strstr(block = r->text, "\n\n")) != NULL) {
        stop[0] = 0;
        char *id = strstr(block, "id: ");
        if (id && (id == block || id[-1] == '\n')) {
            int number = (int)strtol(id + 4, NULL, 10);
            if (number != r->seen + 1)
                fail_msg("event %d after %d", number, r->seen);
            r->seen = number;
        }
        size_t used = (size_t)(stop + 2 - r->text);
        memmove(r->text, r->text + used, r->len - used + 1);
        r->len -= used;
    }
}

static void read_until(struct reader *r, int number)
{
    while (r->seen < number) {
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        if (poll(&p, 1, 20000) <= 0)
            fail_msg("waited for event %d, got %d", number, r->seen);
        ssize_t n = recv(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len, 0);
        if (n <= 0)
            fail_msg("the stream ended after event %d, %d was to come", r->seen, number);
        r->len += (size_t)n;
        r->text[r->len] = 0;
        take_events(r);
    }
}

static void read_end(struct reader *r)
{
    char byte;

    assert_true(recv(r->fd, &byte, 1, 0) <= 0);
    (void)close(r->fd);
}

static void test_followers_share_one_stream(void **state)
{
    static struct reader readers[60];
    (void)state;

    stage_emit(3, 10, false);
    stage_runs.last_event = 3;
    for (size_t i = 0; i < AK_ARRAY_LEN(readers); i++)
        readers[i] = (struct reader){.fd = follow(i % 2 ? "" : "?after=2"), .seen = i % 2 ? 0 : 2};
    for (size_t i = 0; i < AK_ARRAY_LEN(readers); i++)
        read_until(&readers[i], 3);
    stage_emit(5, 10, false);
    for (size_t i = 0; i < AK_ARRAY_LEN(readers); i++)
        read_until(&readers[i], 8);
    assert_int_equal(atomic_load(&stage->endless_streams), 1);
    stage_emit(1, 10, true);
    for (size_t i = 0; i < AK_ARRAY_LEN(readers); i++) {
        read_until(&readers[i], 9);
        read_end(&readers[i]);
    }
}

static void test_who_comes_late_catches_up_and_goes_on(void **state)
{
    static struct reader first, late, later;
    (void)state;

    first = (struct reader){.fd = follow("")};
    stage_emit(1, 10, false);
    read_until(&first, 1);
    stage_emit(60, 8000, false); /* more than is kept */
    read_until(&first, 61);
    late = (struct reader){.fd = follow("")};
    read_until(&late, 61);
    later = (struct reader){.fd = follow("?after=59"), .seen = 59};
    read_until(&later, 61);
    stage_emit(2, 10, true);
    read_until(&first, 63);
    read_until(&late, 63);
    read_until(&later, 63);
    read_end(&first);
    read_end(&late);
    read_end(&later);
    assert_int_equal(atomic_load(&stage->endless_streams), 1);
}

static void test_a_slow_reader_misses_nothing_and_holds_up_nobody(void **state)
{
    static struct reader slow, quick;
    (void)state;

    slow = (struct reader){.fd = follow("")};
    quick = (struct reader){.fd = follow("")};
    for (int i = 0; i < 40; i++) { /* 8 MB, which the kernel does not buffer for him */
        stage_emit(4, 50000, false);
        read_until(&quick, 4 * (i + 1));
    }
    stage_emit(1, 10, true);
    read_until(&quick, 161);
    read_end(&quick);
    read_until(&slow, 161);
    read_end(&slow);
}

static void test_a_huge_event_reaches_everybody(void **state)
{
    static struct reader a, b;
    (void)state;

    a = (struct reader){.fd = follow("")};
    b = (struct reader){.fd = follow("")};
    stage_emit(1, 10, false);
    read_until(&a, 1);
    read_until(&b, 1);
    stage_emit(1, 150000, false);
    stage_emit(1, 10, true);
    read_until(&a, 3);
    read_until(&b, 3);
    read_end(&a);
    read_end(&b);
}

static void test_a_stream_that_breaks_breaks_its_followers(void **state)
{
    static struct reader a;
    (void)state;

    a = (struct reader){.fd = follow("")};
    stage_emit(2, 10, false);
    read_until(&a, 2);
    stage_cut();
    read_end(&a);
    a = (struct reader){.fd = follow("?after=2"), .seen = 2}; /* he comes again */
    stage_emit(1, 10, true);
    read_until(&a, 3);
    read_end(&a);
}

static void test_when_the_last_follower_goes_the_stream_goes(void **state)
{
    static struct reader a;
    (void)state;

    a = (struct reader){.fd = follow("")};
    stage_emit(1, 10, false);
    read_until(&a, 1);
    assert_int_equal(atomic_load(&stage->open_streams), 1);
    (void)close(a.fd);
    while (atomic_load(&stage->open_streams))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

#define WITH_STAGE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STAGE(test_followers_share_one_stream),
        WITH_STAGE(test_who_comes_late_catches_up_and_goes_on),
        WITH_STAGE(test_a_slow_reader_misses_nothing_and_holds_up_nobody),
        WITH_STAGE(test_a_huge_event_reaches_everybody),
        WITH_STAGE(test_a_stream_that_breaks_breaks_its_followers),
        WITH_STAGE(test_when_the_last_follower_goes_the_stream_goes),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
