/* SPDX-License-Identifier: Apache-2.0 */
/* When what passes the relay, how much of it waits, and who ends it. */
#include <ak/net/http_relay.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "scene.h"

/* --- time --- */

struct trickle {
    sem_t arrived; /* the client has the last piece */
};

static void play_trickle(int fd, int n, void *user)
{
    struct trickle *t = user;
    char head[4096];

    (void)n;
    if (!rig_read_head(fd, head, sizeof(head)))
        return;
    rig_send(
        fd,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        (void)sem_wait(&t->arrived);
        rig_send(fd, "9\r\ndata: x\n\n\r\n");
    }
    (void)sem_wait(&t->arrived);
    rig_send(fd, "0\r\n\r\n");
}

static void expect_text(int fd, const char *text)
{
    char got[64] = "";
    size_t len = 0;

    while (len < strlen(text)) {
        ssize_t n = recv(fd, got + len, strlen(text) - len, 0);

        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_string_equal(got, text);
}

static void no_byte_waits_for_the_next_one(void **state)
{
    struct trickle t;
    struct scene s = {0};
    char head[4096];
    int fd;

    (void)state;
    assert_int_equal(sem_init(&t.arrived, 0, 0), 0);
    scene_start(&s, play_trickle, &t);
    fd = rig_connect(scene_port(&s));
    rig_send(fd, "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
    assert_true(rig_read_head(fd, head, sizeof(head))); /* the head alone came already */
    for (int i = 0; i < 20; i++) {
        (void)sem_post(&t.arrived);
        expect_text(fd, "9\r\ndata: x\n\n\r\n");
    }
    (void)sem_post(&t.arrived);
    expect_text(fd, "0\r\n\r\n");
    scene_wait_end(&s);
    assert_int_equal(s.bytes, 180);
    (void)close(fd);
    scene_end(&s);
    (void)sem_destroy(&t.arrived);
}

static void play_silence(int fd, int n, void *user)
{
    char head[4096];
    char c;

    (void)n;
    if (!rig_read_head(fd, head, sizeof(head)))
        return;
    rig_send(fd, user);
    (void)recv(fd, &c, 1, 0); /* until the relay goes */
}

static void silence_before_the_head_is_504_and_within_the_body_a_cut(void **state)
{
    struct scene s = {.options.head_timeout = 100};
    AK_AUTO(ak_buf) answer = {.max = 65536};

    (void)state;
    scene_start(&s, play_silence, "");
    scene_ask(&s, GET, &answer);
    scene_wait_end(&s);
    assert_true(ak_has_prefix(answer.data, "HTTP/1.1 504 "));
    assert_int_equal(s.code, -ETIMEDOUT);
    assert_int_equal(s.status, 0);
    scene_end(&s);

    s = (struct scene){.options.idle_timeout = 100};
    ak_buf_clear(&answer);
    scene_start(&s, play_silence, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    scene_ask(&s, GET, &answer);
    scene_wait_end(&s);
    assert_true(ak_has_suffix(answer.data, "\r\n\r\nhello"));
    assert_int_equal(s.code, -ETIMEDOUT);
    assert_int_equal(s.status, 200);
    scene_end(&s);
}

static void apologise(struct ak_http_exchange *ex, int code, const struct ak_error *err, void *user)
{
    (void)user;
    assert_int_equal(code, AK_E_PROTOCOL);
    assert_int_equal(ak_error_code(err), code);
    ak_http_reply_text(ex, 503, "application/json", "{}", 2, NULL);
}

static void without_an_upstream_the_owner_answers(void **state)
{
    struct scene s = {.options.failed = apologise};
    AK_AUTO(ak_buf) answer = {.max = 65536};

    (void)state;
    scene_start(&s, scene_play, "");
    rig_peer_end(&s.peer); /* the port is closed */
    scene_ask(&s, GET, &answer);
    scene_wait_end(&s);
    assert_true(ak_has_prefix(answer.data, "HTTP/1.1 503 "));
    assert_true(ak_has_suffix(answer.data, "{}"));
    scene_stop_front(&s);
}

/* --- who goes first --- */

struct watcher {
    sem_t gone; /* the upstream saw the end of its connection */
};

static void play_and_watch(int fd, int n, void *user)
{
    struct watcher *w = user;
    char head[4096];
    char c;

    (void)n;
    if (!rig_read_head(fd, head, sizeof(head)))
        return;
    rig_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    if (recv(fd, &c, 1, 0) <= 0)
        (void)sem_post(&w->gone);
}

static void a_client_that_goes_stops_the_upstream(void **state)
{
    struct watcher w;
    struct scene s = {0};
    char head[4096];
    int fd;

    (void)state;
    assert_int_equal(sem_init(&w.gone, 0, 0), 0);
    scene_start(&s, play_and_watch, &w);
    fd = rig_connect(scene_port(&s));
    rig_send(fd, "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
    assert_true(rig_read_head(fd, head, sizeof(head)));
    (void)close(fd);
    scene_wait_end(&s);
    assert_int_equal(s.code, AK_E_CANCELLED);
    assert_int_equal(sem_wait(&w.gone), 0);
    scene_end(&s);
    (void)sem_destroy(&w.gone);
}

static void stop_relay(void *user)
{
    struct scene *s = user;

    ak_http_relay_stop(s->relay);
}

static void the_owner_can_stop_it_before_and_within_the_answer(void **state)
{
    static const char *const scripts[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        AK_AUTO(ak_buf) answer = {.max = 65536};
        struct scene s = {0};
        bool clean;
        int fd;

        scene_start(&s, play_silence, scripts[i]);
        fd = rig_connect(scene_port(&s));
        rig_send(fd, GET);
        if (i == 1) {
            char head[4096];

            assert_true(rig_read_head(fd, head, sizeof(head)));
            expect_text(fd, "hello");
        } else {
            assert_int_equal(sem_wait(&s.started), 0);
        }
        rig_loop_call(&s.front.loop, stop_relay, &s);
        scene_read_all(fd, &answer, &clean);
        if (i == 0)
            assert_true(ak_has_prefix(ak_buf_text(&answer), "HTTP/1.1 503 "));
        else
            assert_int_equal(answer.len, 0);
        assert_int_equal(s.code, AK_E_CANCELLED);
        (void)close(fd);
        scene_end(&s);
    }
}

/* --- much --- */

#define MUCH (48u << 20)

struct flood {
    sem_t stuck; /* nothing more could be sent for a while */
    size_t sent_when_stuck;
};

static void fill(char *piece, size_t len, size_t at)
{
    for (size_t i = 0; i < len; i++)
        piece[i] = (char)(((at + i) * 2654435761u) >> 24);
}

static void play_flood(int fd, int n, void *user)
{
    struct flood *f = user;
    char head[4096], piece[8192];
    size_t at = 0;
    bool told = false;

    (void)n;
    if (!rig_read_head(fd, head, sizeof(head)))
        return;
    (void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", MUCH);
    rig_send(fd, head);
    while (at < MUCH) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        ssize_t sent;

        if (!told && poll(&p, 1, 500) == 0) {
            told = true;
            f->sent_when_stuck = at;
            (void)sem_post(&f->stuck);
        }
        fill(piece, sizeof(piece), at);
        sent = send(fd, piece, AK_MIN(sizeof(piece), MUCH - at), MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += (size_t)sent;
    }
}

static void a_slow_client_holds_the_upstream_back_and_gets_every_byte(void **state)
{
    struct flood f = {0};
    struct scene s = {0};
    char head[4096], piece[8192], want[8192];
    size_t at = 0;
    int fd;

    (void)state;
    assert_int_equal(sem_init(&f.stuck, 0, 0), 0);
    scene_start(&s, play_flood, &f);
    fd = rig_connect(scene_port(&s));
    rig_send(fd, "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
    assert_int_equal(sem_wait(&f.stuck), 0);
    /* What the kernel's buffers of two connections take, and next to nothing of ours. */
    assert_true(f.sent_when_stuck < MUCH / 2);
    assert_true(rig_read_head(fd, head, sizeof(head)));
    while (at < MUCH) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        assert_true(n > 0);
        fill(want, (size_t)n, at);
        assert_memory_equal(piece, want, n);
        at += (size_t)n;
    }
    scene_wait_end(&s);
    assert_int_equal(s.bytes, MUCH);
    assert_int_equal(s.code, 0);
    (void)close(fd);
    scene_end(&s);
    (void)sem_destroy(&f.stuck);
}

static void a_client_that_takes_nothing_is_cut(void **state)
{
    struct flood f = {0};
    struct scene s = {.write_timeout = 300};
    int fd;

    (void)state;
    assert_int_equal(sem_init(&f.stuck, 0, 0), 0);
    scene_start(&s, play_flood, &f);
    fd = rig_connect(scene_port(&s));
    rig_send(fd, "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
    scene_wait_end(&s);
    assert_int_equal(s.code, AK_E_CANCELLED);
    (void)close(fd);
    scene_end(&s);
    (void)sem_destroy(&f.stuck);
}

static void two_requests_of_one_connection_come_in_order(void **state)
{
    AK_AUTO(ak_buf) answer = {.max = 65536};
    struct scene s = {0};
    const char *first, *second;

    (void)state;
    scene_start(&s, scene_play,
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    scene_ask(&s, "GET /1 HTTP/1.1\r\nHost: f\r\n\r\nGET /2 HTTP/1.1\r\nHost: f\r\n" END, &answer);
    first = strstr(answer.data, "hello");
    second = first ? strstr(first + 1, "hello") : NULL;
    assert_non_null(second);
    scene_wait_end(&s);
    scene_wait_end(&s);
    scene_end(&s);
}

/* --- memory --- */

static void without_memory_the_client_gets_an_error_or_a_cut(void **state)
{
    struct scene s = {0};
    bool done = false;

    (void)state;
    scene_start(&s, scene_play,
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    for (int64_t n = 0; !done && n < 500; n++) {
        int fd = rig_connect(scene_port(&s));

        (void)ak_alloc_fail_after(n);
        rig_send(fd,
                 "POST /a?b=c HTTP/1.1\r\nHost: f\r\nX-Empty:\r\nContent-Length: 1\r\n" END "x");
        for (char piece[4096];;) { /* nothing of ours is allocated here */
            ssize_t got = recv(fd, piece, sizeof(piece), 0);

            if (got <= 0)
                break;
        }
        done = !ak_alloc_fail_after(-1);
        (void)close(fd);
    }
    assert_true(done);
    AK_AUTO(ak_buf) answer = {.max = 65536};
    scene_ask(&s, GET, &answer); /* and it still works */
    assert_true(ak_has_suffix(answer.data, "hello"));
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_waits_for_the_next_one),
        cmocka_unit_test(silence_before_the_head_is_504_and_within_the_body_a_cut),
        cmocka_unit_test(without_an_upstream_the_owner_answers),
        cmocka_unit_test(a_client_that_goes_stops_the_upstream),
        cmocka_unit_test(the_owner_can_stop_it_before_and_within_the_answer),
        cmocka_unit_test(a_slow_client_holds_the_upstream_back_and_gets_every_byte),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut),
        cmocka_unit_test(two_requests_of_one_connection_come_in_order),
        cmocka_unit_test(without_memory_the_client_gets_an_error_or_a_cut),
    };

    return cmocka_run_group_tests_name("net/http-relay-flow", tests, NULL, NULL);
}
