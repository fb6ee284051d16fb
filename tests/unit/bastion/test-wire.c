/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/wire.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <ak/base/alloc.h>

#include "bastion/wire_relay.h"

/* A listener on loopback; its port is in *ret_port. */
static int listen_on(int backlog, uint16_t *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void test_it_connects_reads_and_writes(void **state)
{
    AK_AUTO_PTR(ak_wire) wire = NULL;
    struct ak_wire_options options = {.host = "127.0.0.1"};
    int listener = listen_on(1, &options.port), fd;
    char text[16] = "";

    (void)state;
    assert_int_equal(ak_wire_connect(&options, &wire, NULL), 0);
    fd = accept(listener, NULL, NULL);
    assert_int_equal(ak_wire_write(wire, "hello", 5, NULL), 0);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
    assert_int_equal(ak_wire_try_read(wire, text, sizeof(text), NULL), -EAGAIN);
    assert_int_equal(ak_wire_read(wire, text, 0, sizeof(text), NULL), 0);
    assert_int_equal(write(fd, "abcdef", 6), 6);
    assert_int_equal(ak_wire_read_exact(wire, text, 2, NULL), 0);
    assert_memory_equal(text, "ab", 2);
    assert_int_equal(ak_wire_read(wire, text, 4, sizeof(text), NULL), 4);
    assert_memory_equal(text, "cdef", 4);
    close(fd);
    assert_int_equal(ak_wire_read(wire, text, 1, 1, NULL), -EPIPE);
    close(listener);
}

static void test_an_end_in_the_middle_is_a_broken_protocol(void **state)
{
    AK_AUTO_PTR(ak_wire) wire = NULL;
    int fds[2];
    char text[4];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(ak_wire_from_fd(fds[0], NULL, &wire, NULL), 0);
    assert_int_equal(write(fds[1], "ab", 2), 2);
    close(fds[1]);
    assert_int_equal(ak_wire_read_exact(wire, text, 4, NULL), AK_E_PROTOCOL);
    /* The first write may still go nowhere; it never raises a signal. */
    for (int i = 0; i < 3; i++) {
        int r = ak_wire_write(wire, "x", 1, NULL);

        assert_true(r == 0 || r == -EPIPE);
    }
}

static void test_nobody_there_is_said_with_the_address(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_PTR(ak_error) none = NULL;
    AK_AUTO_PTR(ak_wire) wire = NULL;
    struct ak_wire_options options = {.host = "127.0.0.1"};
    char expected[64];
    int listener = listen_on(1, &options.port);

    (void)state;
    close(listener);
    assert_int_equal(ak_wire_connect(&options, &wire, &err), -ECONNREFUSED);
    (void)snprintf(expected, sizeof(expected), "connect to 127.0.0.1:%u: Connection refused",
                   (unsigned)options.port);
    assert_string_equal(ak_error_message(err), expected);
    options.host = "/nonexistent/socket";
    assert_int_equal(ak_wire_connect(&options, &wire, &none), -ENOENT);
    assert_string_equal(ak_error_message(none),
                        "connect to /nonexistent/socket: No such file or directory");
    options.host = "";
    assert_int_equal(ak_wire_connect(&options, &wire, NULL), -EINVAL);
}

static void test_waits_end_with_deadline_and_cancellation(void **state)
{
    AK_AUTO_PTR(ak_wire) wire = NULL;
    struct ak_cancel cancel;
    int fds[2];
    char byte;
    char *big = ak_malloc(32 << 20);

    (void)state;
    memset(big, 0, 32 << 20);
    assert_int_equal(ak_cancel_init(&cancel), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(ak_wire_from_fd(fds[0], &cancel, &wire, NULL), 0);
    ak_wire_set_deadline(wire, ak_now() + 50);
    assert_int_equal(ak_wire_read(wire, &byte, 1, 1, NULL), -ETIMEDOUT);
    assert_int_equal(ak_wire_write(wire, big, 32 << 20, NULL), -ETIMEDOUT);
    ak_wire_set_deadline(wire, AK_MSEC_NEVER);
    ak_cancel_now(&cancel);
    assert_int_equal(ak_wire_read(wire, &byte, 1, 1, NULL), AK_E_CANCELLED);
    assert_int_equal(ak_wire_write(wire, big, 32 << 20, NULL), AK_E_CANCELLED);
    close(fds[1]);
    ak_cancel_done(&cancel);
    ak_free(big);
}

static void test_a_cancelled_connect_ends_at_once(void **state)
{
    AK_AUTO_PTR(ak_wire) wire = NULL;
    struct ak_cancel cancel;
    struct ak_wire_options options = {.host = "192.0.2.1", .port = 9, .cancel = &cancel};

    (void)state;
    assert_int_equal(ak_cancel_init(&cancel), 0);
    ak_cancel_now(&cancel);
    /* Where there is no route, that is what is said; never a success, and never a wait. */
    assert_true(ak_wire_connect(&options, &wire, NULL) < 0);
    options.host = "name.invalid";
    assert_true(ak_wire_connect(&options, &wire, NULL) < 0);
    ak_cancel_done(&cancel);
}

/* --- names --- */

/* A name server that knows db.test (127.0.0.1; no version 6) and db6.test (an address that nobody has, and
 * 127.0.0.1). */
struct names {
    int fd;
    struct ak_thread thread;
    uint16_t port;
    atomic_bool silent; /* relaxed: set before any question */
};

static size_t answer(const uint8_t *question, size_t len, uint8_t *reply)
{
    const bool v6 = question[len - 3] == 28;
    const bool known =
        memmem(question, len, "\2db\4test", 8) || memmem(question, len, "\3db6\4test", 9);
    const bool has6 = memmem(question, len, "\3db6\4test", 9);
    static const uint8_t a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1};
    static const uint8_t aaaa[] = {0xc0, 12,   0, 28, 0, 1, 0, 0, 0, 9, 0, 16, 0x20, 1,
                                   0xd,  0xb8, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,  0,    1};
    const uint8_t *record = v6 ? aaaa : a;
    const size_t record_len = v6 ? sizeof(aaaa) : sizeof(a);
    const bool has = known && (!v6 || has6);

    memcpy(reply, question, len);
    reply[2] = 0x81;
    reply[3] = known ? 0x80 : 0x83;
    reply[7] = has ? 1 : 0;
    reply[10] = reply[11] = 0;
    if (!has)
        return len;
    memcpy(reply + len, record, record_len);
    return len + record_len;
}

static void serve_names(void *user)
{
    struct names *names = user;
    uint8_t question[512], reply[1024];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    ssize_t n;

    while ((n = recvfrom(names->fd, question, sizeof(question), 0, (struct sockaddr *)&from,
                         &size)) > 12) {
        size_t len = answer(question, (size_t)n, reply);

        if (!atomic_load_explicit(&names->silent, memory_order_relaxed))
            (void)sendto(names->fd, reply, len, 0, (struct sockaddr *)&from, size);
        size = sizeof(from);
    }
}

static void names_start(struct names *names, bool silent, char path[static 64])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    int fd;
    FILE *file;

    (void)snprintf(path, 64, "/tmp/ak-resolv-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    names->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    atomic_store_explicit(&names->silent, silent, memory_order_relaxed);
    assert_int_equal(bind(names->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(names->fd, (struct sockaddr *)&in, &len), 0);
    names->port = ntohs(in.sin_port);
    file = fdopen(fd, "w");
    fprintf(file, "search example.invalid test\nnameserver 127.0.0.1:%u\noptions ndots:3\n",
            (unsigned)names->port);
    fclose(file);
    assert_int_equal(ak_thread_start(&names->thread, "names", serve_names, names), 0);
}

static void names_stop(struct names *names, const char *path)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)},
                             .sin_port = htons(names->port)};

    (void)sendto(names->fd, "end", 3, 0, (struct sockaddr *)&to, sizeof(to));
    ak_thread_join(&names->thread);
    close(names->fd);
    unlink(path);
}

static void test_names_are_resolved_as_resolv_conf_says(void **state)
{
    static const struct {
        const char *name;
        int code;
    } cases[] = {
        {"db.test", 0},
        {"db", 0 /* by the search list */},
        {"db6.test", 0 /* by its second address */},
        {"localhost", 0},
        {"nothing.test", AK_E_NOT_FOUND},
        {"127.0.0.1", 0},
    };
    struct names names;
    char path[64];
    uint16_t port;
    int listener = listen_on(16, &port);

    (void)state;
    names_start(&names, false, path);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_wire) wire = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        const struct ak_wire_options options = {
            .host = cases[i].name, .port = port, .resolv_conf = path};
        int r = ak_wire_connect(&options, &wire, &err);

        if (r != cases[i].code)
            fail_msg("%s: %s", cases[i].name, ak_error_message(err));
        if (r == 0)
            assert_non_null(strstr(ak_wire_peer(wire), "127.0.0.1"));
        else
            assert_string_equal(ak_error_message(err), "resolve \"nothing.test\": no such host");
    }
    names_stop(&names, path);
    close(listener);
}

static void test_a_silent_name_server_costs_the_timeout_only(void **state)
{
    AK_AUTO_PTR(ak_wire) wire = NULL;
    struct names names;
    char path[64];
    struct ak_wire_options options = {.host = "db.test", .port = 9, .timeout = 300};
    ak_msec started;

    (void)state;
    names_start(&names, true, path);
    options.resolv_conf = path;
    started = ak_now();
    assert_int_equal(ak_wire_connect(&options, &wire, NULL), -ETIMEDOUT);
    assert_true(ak_now() - started < 3000);
    names_stop(&names, path);
}

/* --- relay --- */

struct echo {
    uint64_t from_client, from_server;
    uint64_t end_after; /* bytes of the client's; 0: never */
};

static int pass_client(void *user, const uint8_t *data, size_t len, struct ak_buf *to_server,
                       struct ak_buf *to_client, struct ak_error **reterr)
{
    struct echo *echo = user;

    (void)to_client;
    echo->from_client += len;
    if (ak_buf_add(to_server, data, len) < 0)
        return ak_error_oom(reterr);
    return echo->end_after && echo->from_client >= echo->end_after;
}

static int pass_server(void *user, const uint8_t *data, size_t len, struct ak_buf *to_server,
                       struct ak_buf *to_client, struct ak_error **reterr)
{
    struct echo *echo = user;

    (void)to_server;
    echo->from_server += len;
    return ak_buf_add(to_client, data, len) < 0 ? ak_error_oom(reterr) : 0;
}

static const struct ak_relay_protocol plain = {.from_client = pass_client,
                                               .from_server = pass_server};

struct relaying {
    struct ak_wire *client, *server;
    struct ak_cancel cancel;
    struct echo echo;
    struct ak_thread thread;
    int client_fd, server_fd;
    int result;
};

static void run_relay(void *user)
{
    struct relaying *r = user;

    r->result = ak_wire_relay(r->client, r->server, &plain, &r->echo, &r->cancel, NULL);
    r->client = ak_wire_free(r->client);
    r->server = ak_wire_free(r->server);
}

static void relay_start(struct relaying *r)
{
    int a[2], b[2];

    memset(r, 0, sizeof(*r));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    assert_int_equal(ak_cancel_init(&r->cancel), 0);
    assert_int_equal(ak_wire_from_fd(a[0], NULL, &r->client, NULL), 0);
    assert_int_equal(ak_wire_from_fd(b[0], NULL, &r->server, NULL), 0);
    r->client_fd = a[1];
    r->server_fd = b[1];
    assert_int_equal(ak_thread_start(&r->thread, "relay", run_relay, r), 0);
}

static void relay_stop(struct relaying *r)
{
    ak_thread_join(&r->thread);
    close(r->client_fd);
    close(r->server_fd);
    ak_cancel_done(&r->cancel);
}

/* Writes until the other side takes no more for a while; how much it took. */
static size_t fill(int fd)
{
    static const char data[65536];
    size_t total = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        ssize_t n;

        if (poll(&p, 1, 200) == 0)
            return total;
        n = send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
        total += n > 0 ? (size_t)n : 0;
        assert_true(total < 64u << 20);
    }
}

static size_t drain(int fd, size_t want)
{
    char data[65536];
    size_t total = 0;

    while (total < want) {
        ssize_t n = read(fd, data, AK_MIN(sizeof(data), want - total));

        if (n <= 0)
            break;
        total += (size_t)n;
    }
    return total;
}

static void test_a_relay_holds_little_and_neither_side_blocks_the_other(void **state)
{
    struct relaying r;
    size_t up, down;

    (void)state;
    relay_start(&r);
    /* Nobody reads: both sides fill up, and stop. */
    up = fill(r.client_fd);
    down = fill(r.server_fd);
    assert_true(up > 0 && up < 8u << 20 && down > 0 && down < 8u << 20);
    /* One side goes on alone, then the other. */
    assert_int_equal(drain(r.client_fd, down), down);
    assert_int_equal(drain(r.server_fd, up), up);
    assert_int_equal(write(r.client_fd, "end", 3), 3);
    assert_int_equal(drain(r.server_fd, 3), 3);
    shutdown(r.client_fd, SHUT_WR);
    relay_stop(&r);
    assert_int_equal(r.result, AK_RELAY_CLIENT_ENDED);
    assert_int_equal(r.echo.from_client, up + 3);
    assert_int_equal(r.echo.from_server, down);
}

static void test_what_a_side_sent_before_its_end_arrives(void **state)
{
    struct relaying r;
    char text[8] = "";

    (void)state;
    relay_start(&r);
    assert_int_equal(write(r.server_fd, "last", 4), 4);
    shutdown(r.server_fd, SHUT_WR);
    assert_int_equal(drain(r.client_fd, 4), 4);
    relay_stop(&r);
    assert_int_equal(r.result, AK_RELAY_SERVER_ENDED);
    relay_start(&r);
    assert_int_equal(write(r.client_fd, "last", 4), 4);
    shutdown(r.client_fd, SHUT_WR);
    assert_int_equal(read(r.server_fd, text, sizeof(text)), 4);
    assert_string_equal(text, "last");
    relay_stop(&r);
    assert_int_equal(r.result, AK_RELAY_CLIENT_ENDED);
}

static void test_a_cancelled_relay_says_what_waits_and_ends(void **state)
{
    struct relaying r;

    (void)state;
    relay_start(&r);
    assert_int_equal(write(r.server_fd, "words", 5), 5);
    assert_int_equal(drain(r.client_fd, 5), 5);
    ak_cancel_now(&r.cancel);
    relay_stop(&r);
    assert_int_equal(r.result, AK_E_CANCELLED);
    /* A client that takes nothing holds it for a second at most. */
    relay_start(&r);
    (void)fill(r.server_fd);
    ak_cancel_now(&r.cancel);
    relay_stop(&r);
    assert_int_equal(r.result, AK_E_CANCELLED);
}

static void test_no_memory_is_an_error_while_connecting(void **state)
{
    struct ak_wire_options options = {.host = "127.0.0.1", .ca_file = "/x", .server_name = "y"};
    int listener = listen_on(64, &options.port);
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_wire) wire = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = ak_wire_connect(&options, &wire, NULL);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
    }
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_connects_reads_and_writes),
        cmocka_unit_test(test_an_end_in_the_middle_is_a_broken_protocol),
        cmocka_unit_test(test_nobody_there_is_said_with_the_address),
        cmocka_unit_test(test_waits_end_with_deadline_and_cancellation),
        cmocka_unit_test(test_a_cancelled_connect_ends_at_once),
        cmocka_unit_test(test_names_are_resolved_as_resolv_conf_says),
        cmocka_unit_test(test_a_silent_name_server_costs_the_timeout_only),
        cmocka_unit_test(test_a_relay_holds_little_and_neither_side_blocks_the_other),
        cmocka_unit_test(test_what_a_side_sent_before_its_end_arrives),
        cmocka_unit_test(test_a_cancelled_relay_says_what_waits_and_ends),
        cmocka_unit_test(test_no_memory_is_an_error_while_connecting),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
