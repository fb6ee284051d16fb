/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that leave HTTP behind: plain, TLS, Unix; both directions with their limits, and every kind of end. */
#include <ak/net/http_upgrade.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>

#include "rig.h"

#define ASK                                                                                        \
    "GET /up HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: talk\r\n\r\n"

struct stage {
    struct rig_server server;
    struct ak_http_upgraded *connection;
    sem_t opened, closed;
    bool echo, pause;
    struct ak_buf got;
    atomic_size_t seen;
    size_t drained;
    int code;
};

static size_t on_input(const char *data, size_t len, void *user)
{
    struct stage *s = user;

    if (s->pause)
        return 0;
    if (s->echo)
        assert_true(ak_http_upgraded_write(s->connection, data, len) > 0);
    else
        assert_true(ak_buf_add(&s->got, data, len) >= 0);
    atomic_fetch_add(&s->seen, len);
    if (!s->echo && s->got.len >= 4 && memcmp(s->got.data + s->got.len - 4, "QUIT", 4) == 0) {
        (void)!ak_http_upgraded_write(s->connection, "bye", 3);
        ak_http_upgraded_close(s->connection, AK_SECONDS(20));
        (void)sem_post(&s->closed);
    }
    return len;
}

static void on_drained(void *user)
{
    struct stage *s = user;

    s->drained++;
}

static void on_closed(void *user)
{
    struct stage *s = user;

    s->connection = NULL;
    (void)sem_post(&s->closed);
}

static const struct ak_http_upgraded_ops ops = {
    .input = on_input, .drained = on_drained, .closed = on_closed, .low_water = 1024};

static void on_up(struct ak_http_exchange *ex, void *user)
{
    static const char *const lines[] = {"X-More: yes", NULL};
    struct stage *s = user;

    if (!ak_http_wants_upgrade(ex, "talk")) {
        ak_http_reply_text(ex, 400, "text/plain", "no\n", 3, NULL);
        return;
    }
    s->code = ak_http_upgrade(ex, "talk", lines, &ops, s, &s->connection);
    assert_int_equal(s->code, 0);
    (void)sem_post(&s->opened);
}

static const struct ak_http_route routes[] = {{NULL, "/up", on_up}, {0}};

static void start(struct stage *s, struct ak_tls_context *tls)
{
    struct ak_http_server_options o = {.routes = routes,
                                       .user = s,
                                       .bind_address = "127.0.0.1",
                                       .tls = tls,
                                       .max_waiting = 1u << 20,
                                       .idle_timeout = 300,
                                       .write_timeout = 300};

    (void)sem_init(&s->opened, 0, 0);
    (void)sem_init(&s->closed, 0, 0);
    s->got.max = 64u << 20;
    rig_server_start(&s->server, &o);
}

static void end(struct stage *s)
{
    rig_server_end(&s->server);
    ak_buf_done(&s->got);
    (void)sem_destroy(&s->opened);
    (void)sem_destroy(&s->closed);
}

static int open_one(struct stage *s, const char *behind)
{
    char head[1024];
    int fd = rig_connect(ak_http_server_port(s->server.server));

    rig_send(fd, ASK);
    if (behind)
        rig_send(fd, behind);
    assert_true(rig_read_head(fd, head, sizeof(head)));
    assert_non_null(strstr(head, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_non_null(strstr(head, "Upgrade: talk\r\n"));
    assert_non_null(strstr(head, "Connection: Upgrade\r\n"));
    assert_non_null(strstr(head, "X-More: yes\r\n"));
    return fd;
}

static size_t read_some(int fd, char *out, size_t want)
{
    size_t n = 0;

    while (n < want) {
        ssize_t r = read(fd, out + n, want - n);

        if (r <= 0)
            break;
        n += (size_t)r;
    }
    return n;
}

static void bytes_go_both_ways_and_those_behind_the_request_come_too(void **state)
{
    struct stage s = {.echo = true};
    char out[8] = "";
    int fd;

    (void)state;
    start(&s, NULL);
    fd = open_one(&s, "one");
    assert_int_equal(read_some(fd, out, 3), 3);
    assert_string_equal(out, "one");
    rig_send(fd, "two");
    assert_int_equal(read_some(fd, out, 3), 3);
    assert_string_equal(out, "two");
    (void)close(fd);
    (void)sem_wait(&s.closed);
    end(&s);
}

static void silence_is_not_cut(void **state)
{
    struct stage s = {.echo = true};
    char out[4] = "";
    int fd;

    (void)state;
    start(&s, NULL);
    fd = open_one(&s, NULL);
    /* Longer than the server's timeouts: a span is the thing that is tested here. */
    (void)usleep(900 * 1000);
    rig_send(fd, "yes");
    assert_int_equal(read_some(fd, out, 3), 3);
    (void)close(fd);
    (void)sem_wait(&s.closed);
    end(&s);
}

static void what_does_not_ask_for_it_is_told_apart(void **state)
{
    static const char *const asks[] = {
        "GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: talk\r\n\r\n",
        "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: talkative\r\n\r\n",
        "GET /up HTTP/1.1\r\nHost: a\r\nConnection: xupgrade, close\r\nUpgrade: talk\r\n\r\n",
        "POST /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: "
        "talk\r\nContent-Length: "
        "0\r\n\r\n",
        "GET /up HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: talk\r\n\r\n",
    };
    struct stage s = {0};
    char head[1024];

    (void)state;
    start(&s, NULL);
    for (size_t i = 0; i < AK_ARRAY_LEN(asks); i++) {
        int fd = rig_connect(ak_http_server_port(s.server.server));

        rig_send(fd, asks[i]);
        assert_true(rig_read_head(fd, head, sizeof(head)));
        assert_non_null(strstr(head, " 400 "));
        (void)close(fd);
    }
    end(&s);
}

static void take_again(void *user)
{
    struct stage *s = user;

    s->pause = false;
    ak_http_upgraded_resume(s->connection);
}

/* Who sends more than is taken is stopped by the kernel, and nothing of it is lost, its end included. */
static void what_is_not_taken_waits_and_comes_before_the_end(void **state)
{
    static char junk[4096];
    struct stage s = {.pause = true};
    struct timeval wait = {.tv_usec = 300 * 1000};
    size_t sent = 0;
    ssize_t n;
    int fd;

    (void)state;
    memset(junk, 'j', sizeof(junk));
    start(&s, NULL);
    fd = open_one(&s, NULL);
    (void)sem_wait(&s.opened);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    while ((n = write(fd, junk, sizeof(junk))) > 0 && sent < (64u << 20))
        sent += (size_t)n;
    assert_true(sent < (64u << 20));
    assert_int_equal(atomic_load(&s.seen), 0);
    (void)close(fd);
    rig_loop_call(&s.server.loop, take_again, &s);
    (void)sem_wait(&s.closed);
    assert_int_equal(s.got.len, sent);
    end(&s);
}

static void the_few_last_bytes_come_before_the_end(void **state)
{
    struct stage s = {.pause = true};
    int fd;

    (void)state;
    start(&s, NULL);
    fd = open_one(&s, NULL);
    (void)sem_wait(&s.opened);
    rig_send(fd, "last words");
    (void)shutdown(fd, SHUT_WR);
    (void)usleep(100 * 1000); /* most likely both have arrived; it has to be right either way */
    rig_loop_call(&s.server.loop, take_again, &s);
    (void)sem_wait(&s.closed);
    assert_string_equal(ak_buf_text(&s.got), "last words");
    (void)close(fd);
    end(&s);
}

static void fill(void *user)
{
    static char junk[64 << 10];
    struct stage *s = user;
    int64_t r;

    do {
        r = ak_http_upgraded_write(s->connection, junk, sizeof(junk));
    } while (r >= 0);
    s->code = (int)r;
}

static void the_peer_that_does_not_read_is_no_memory_without_end(void **state)
{
    static char out[1 << 20];
    struct stage s = {0};
    size_t n;
    int fd;

    (void)state;
    start(&s, NULL);
    fd = open_one(&s, NULL);
    (void)sem_wait(&s.opened);
    rig_loop_call(&s.server.loop, fill, &s);
    assert_int_equal(s.code, -ENOBUFS);
    n = read_some(fd, out, 1u << 20); /* exactly what fits: 16 pieces */
    assert_int_equal(n, 1u << 20);
    rig_send(fd, "QUIT");
    (void)sem_wait(&s.closed);
    assert_int_equal(read_some(fd, out, 10), 3);
    assert_memory_equal(out, "bye", 3);
    assert_true(s.drained > 0);
    (void)close(fd);
    end(&s);
}

static void cut(void *user)
{
    struct stage *s = user;

    ak_http_upgraded_close(s->connection, 0);
    s->connection = NULL;
}

static void a_cut_is_at_once(void **state)
{
    struct stage s = {0};
    char out[4];
    int fd;

    (void)state;
    start(&s, NULL);
    fd = open_one(&s, NULL);
    (void)sem_wait(&s.opened);
    rig_loop_call(&s.server.loop, cut, &s);
    assert_int_equal(read_some(fd, out, 1), 0);
    (void)close(fd);
    end(&s);
}

static void the_server_that_goes_says_so(void **state)
{
    struct stage s = {0};
    char out[4];
    int fd;

    (void)state;
    start(&s, NULL);
    fd = open_one(&s, NULL);
    (void)sem_wait(&s.opened);
    rig_server_end(&s.server);
    assert_null(s.connection);
    assert_int_equal(sem_trywait(&s.closed), 0);
    assert_int_equal(read_some(fd, out, 1), 0);
    (void)close(fd);
    ak_buf_done(&s.got);
}

static SSL *dial_tls(int fd, SSL_CTX **ret_ctx)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);

    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    *ret_ctx = ctx;
    return ssl;
}

static void it_is_the_same_under_tls(void **state)
{
    struct stage s = {.echo = true};
    struct rig_pki pki;
    SSL_CTX *ctx;
    char out[1024];
    size_t len = 0;
    SSL *ssl;
    int fd;

    (void)state;
    rig_pki_make(&pki);
    start(&s, pki.server_ctx);
    fd = rig_connect(ak_http_server_port(s.server.server));
    ssl = dial_tls(fd, &ctx);
    assert_true(SSL_write(ssl, ASK "one", sizeof(ASK "one") - 1) > 0);
    memset(out, 0, sizeof(out));
    while (!strstr(out, "\r\n\r\none")) {
        int n = SSL_read(ssl, out + len, (int)(sizeof(out) - len - 1));

        assert_true(n > 0);
        len += (size_t)n;
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    (void)close(fd);
    (void)sem_wait(&s.closed);
    end(&s);
    rig_pki_done(&pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_those_behind_the_request_come_too),
        cmocka_unit_test(silence_is_not_cut),
        cmocka_unit_test(what_does_not_ask_for_it_is_told_apart),
        cmocka_unit_test(what_is_not_taken_waits_and_comes_before_the_end),
        cmocka_unit_test(the_few_last_bytes_come_before_the_end),
        cmocka_unit_test(the_peer_that_does_not_read_is_no_memory_without_end),
        cmocka_unit_test(a_cut_is_at_once),
        cmocka_unit_test(the_server_that_goes_says_so),
        cmocka_unit_test(it_is_the_same_under_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
