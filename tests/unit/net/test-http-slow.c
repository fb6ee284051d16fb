/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does with clients that take their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/buf.h>

#include "rig.h"

static void reply_ok(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_http_reply_text(ex, 200, "text/plain", "ok", 2, NULL);
}

static const struct ak_http_route routes[] = {{NULL, "*", reply_ok}, {NULL, NULL, NULL}};
static const struct ak_http_server_options plain = {.bind_address = "127.0.0.1", .routes = routes};

static void at_the_limit_the_longest_waiting_connection_makes_room(void **state)
{
    struct rig_server server = {0};
    struct ak_http_server_options options = plain;
    int fds[5];
    char c, head[1024];

    (void)state;
    options.max_connections = 3;
    options.make_room = true;
    rig_server_start(&server, &options);
    for (size_t i = 0; i < 5; i++) { /* half a request each */
        fds[i] = rig_connect(ak_http_server_port(server.server));
        rig_send(fds[i], "GET /peer HTTP/1.1\r\n");
        if (i >= 3)
            assert_true(recv(fds[i - 3], &c, 1, 0) <= 0);
    }
    for (size_t i = 2; i < 5; i++) {
        rig_send(fds[i], "Host: h\r\n\r\n");
        assert_true(rig_read_head(fds[i], head, sizeof(head)));
        assert_int_equal(strncmp(head, "HTTP/1.1 200 ", 13), 0);
    }
    for (size_t i = 0; i < 5; i++)
        (void)close(fds[i]);
    rig_server_end(&server);
}

static int write_words(int status, struct ak_buf *out)
{
    return ak_buf_addf(out, "{\"code\":%d}", status);
}

static void a_slow_request_is_answered_in_the_servers_own_words(void **state)
{
    struct rig_server server = {0};
    struct ak_http_server_options options = plain;
    char head[1024], body[64] = "";
    int idle, slow;

    (void)state;
    options.request_timeout = 100;
    options.error_body = write_words;
    options.error_type = "application/json";
    rig_server_start(&server, &options);
    idle = rig_connect(ak_http_server_port(server.server));
    slow = rig_connect(ak_http_server_port(server.server));
    rig_send(slow, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf");
    assert_true(rig_read_head(slow, head, sizeof(head)));
    assert_int_equal(strncmp(head, "HTTP/1.1 408 ", 13), 0);
    assert_non_null(strstr(head, "Content-Type: application/json\r\n"));
    assert_true(recv(slow, body, sizeof(body) - 1, 0) > 0);
    assert_string_equal(body, "{\"code\":408}");
    rig_send(idle, "GET /peer HTTP/1.1\r\nHost: h\r\n\r\n"); /* its time had not begun */
    assert_true(rig_read_head(idle, head, sizeof(head)));
    assert_int_equal(strncmp(head, "HTTP/1.1 200 ", 13), 0);
    (void)close(idle);
    (void)close(slow);
    rig_server_end(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_limit_the_longest_waiting_connection_makes_room),
        cmocka_unit_test(a_slow_request_is_answered_in_the_servers_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
