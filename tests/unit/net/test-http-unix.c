/* SPDX-License-Identifier: Apache-2.0 */
/* The server on a Unix socket, answers that are slow to be taken, and the client on such a socket. */
#include <ak/net/http_client.h>
#include <ak/net/http_server.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "rig.h"

static char folder[] = "/tmp/ak-unix-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static int connect_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(a.sun_path, path, strlen(path) + 1);
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void say_who(struct ak_http_exchange *ex, void *user)
{
    uid_t uid = 12345;
    pid_t pid = 0;
    char text[128];

    (void)user;
    assert_int_equal(ak_http_peer_credentials(ex, &uid, &pid), 0);
    assert_int_equal(ak_http_peer_credentials(ex, NULL, NULL), 0);
    assert_null(ak_http_peer_name(ex));
    (void)snprintf(text, sizeof(text), "%u %d %s %s", uid, pid, ak_http_peer(ex),
                   ak_http_header(ex, "host"));
    ak_http_reply_text(ex, 200, "text/plain", text, strlen(text), NULL);
}

static const struct ak_http_route who_routes[] = {{"GET", "/who", say_who}, {0}};

static void the_server_knows_who_is_at_its_socket(void **state)
{
    struct rig_server s = {0};
    struct ak_http_server_options o = {.unix_path = path, .unix_mode = 0660, .routes = who_routes};
    struct ak_http_target target = {.base_url = "http://agentlet", .unix_path = path};
    struct ak_http_request req = {.method = "GET", .path = "/who"};
    AK_AUTO_PTR(ak_http_client) client = NULL;
    AK_AUTO(ak_http_reply) reply = {0};
    char want[128];
    struct stat st;
    mode_t mask = umask(0077);

    (void)state;
    rig_server_start(&s, &o);
    (void)umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(ak_http_client_new(&target, &client, NULL), 0);
    assert_int_equal(ak_http_do(client, &req, &reply, NULL), 0);
    (void)snprintf(want, sizeof(want), "%u %d unix:uid=%u,pid=%d agentlet", getuid(), getpid(),
                   getuid(), getpid());
    assert_string_equal(ak_buf_text(&reply.body), want);
    rig_server_end(&s);
    assert_int_equal(lstat(path, &st), -1); /* the file went with it */
}

static void what_an_earlier_process_left_is_replaced_and_nothing_else(void **state)
{
    struct rig_server s = {0};
    struct ak_http_server_options o = {.unix_path = path, .routes = who_routes};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct ak_error *err = NULL;
    struct ak_http_server *server = NULL;
    struct ak_loop *loop = NULL;
    FILE *f;

    (void)state;
    memcpy(a.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(left, (struct sockaddr *)&a, sizeof(a)), 0);
    (void)close(left);
    rig_server_start(&s, &o);
    (void)close(connect_unix());
    rig_server_end(&s);

    f = fopen(path, "w");
    assert_non_null(f);
    (void)fclose(f);
    assert_int_equal(ak_loop_new(&loop, NULL), 0);
    assert_int_equal(ak_http_server_new(loop, &o, &server, &err), -EADDRINUSE);
    assert_non_null(strstr(ak_error_message(err), path));
    err = ak_error_free(err);
    assert_int_equal(access(path, F_OK), 0);
    (void)unlink(path);
    o.unix_path = "/tmp/"
                  "0123456789012345678901234567890123456789012345678901234567890123456789012345678"
                  "9012345678901234567890123456789";
    assert_int_equal(ak_http_server_new(loop, &o, &server, NULL), -ENAMETOOLONG);
    loop = ak_loop_free(loop);
}

static void a_successors_socket_is_left_alone(void **state)
{
    struct rig_server first = {0}, second = {0};
    struct ak_http_server_options o = {.unix_path = path, .routes = who_routes};

    (void)state;
    rig_server_start(&first, &o);
    rig_server_start(&second, &o);
    rig_server_end(&first);
    (void)close(connect_unix());
    rig_server_end(&second);
}

/* --- answers in pieces --- */

struct pouring {
    struct ak_http_exchange *ex;
    size_t left; /* bytes still to come */
    size_t most; /* that ever waited */
    int drains;
    sem_t closed;
    bool by_length;
};

static void pour(void *user)
{
    struct pouring *p = user;
    char piece[1000];

    p->drains++;
    memset(piece, 'x', sizeof(piece));
    while (p->left && ak_http_waiting(p->ex) < 50000) {
        int64_t waiting = ak_http_reply_chunk(p->ex, piece, sizeof(piece));

        assert_true(waiting > 0);
        p->most = AK_MAX(p->most, (size_t)waiting);
        p->left -= sizeof(piece);
    }
    if (p->left)
        ak_http_on_drain(p->ex, 10000, pour, p);
    else
        ak_http_reply_end(p->ex);
}

static void note_closed(void *user)
{
    struct pouring *p = user;

    (void)sem_post(&p->closed);
}

static void begin_pouring(struct ak_http_exchange *ex, void *user)
{
    static const char *const length[] = {"Content-Length: 20000000", "X-More: 1", NULL};
    struct pouring *p = user;

    p->ex = ex;
    p->left = 20000000;
    ak_http_on_close(ex, note_closed, p);
    ak_http_drop_request(ex);
    assert_string_equal(ak_http_path(ex), "");
    assert_null(ak_http_header(ex, "host"));
    ak_http_reply_begin_with(ex, 200, "text/plain", p->by_length ? length : NULL);
    ak_http_on_drain(ex, 0, pour, p); /* nothing waits but the head: soon */
}

static const struct ak_http_route pour_routes[] = {{"GET", "/pour", begin_pouring}, {0}};

static void an_answer_is_made_as_fast_as_it_is_taken(void **state)
{
    (void)state;
    for (int by_length = 0; by_length < 2; by_length++) {
        struct pouring p = {.by_length = by_length};
        struct rig_server s = {0};
        struct ak_http_server_options o = {
            .unix_path = path, .routes = pour_routes, .user = &p, .max_waiting = 60000};
        char piece[65536];
        size_t got = 0;
        int fd;

        assert_int_equal(sem_init(&p.closed, 0, 0), 0);
        rig_server_start(&s, &o);
        fd = connect_unix();
        rig_send(fd, "GET /pour HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        for (ssize_t n; (n = recv(fd, piece, sizeof(piece), 0)) > 0;)
            got += (size_t)n;
        assert_true(got > 20000000 && got < 20800000);
        (void)close(fd);
        rig_server_end(&s);
        assert_true(p.most < 60000);
        assert_true(p.drains > 100);
        (void)sem_destroy(&p.closed);
    }
}

static void who_takes_nothing_is_cut_after_the_write_timeout(void **state)
{
    struct pouring p = {0};
    struct rig_server s = {0};
    struct ak_http_server_options o = {
        .unix_path = path, .routes = pour_routes, .user = &p, .write_timeout = 200};
    int fd;

    (void)state;
    assert_int_equal(sem_init(&p.closed, 0, 0), 0);
    rig_server_start(&s, &o);
    fd = connect_unix();
    rig_send(fd, "GET /pour HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(sem_wait(&p.closed), 0);
    (void)close(fd);
    rig_server_end(&s);
    (void)sem_destroy(&p.closed);
}

static void promise_too_much(struct ak_http_exchange *ex, void *user)
{
    static const char *const length[] = {"Content-Length: 5", NULL};

    (void)user;
    ak_http_reply_begin_with(ex, 200, NULL, length);
    assert_true(ak_http_reply_chunk(ex, "abc", 3) > 0);
    assert_int_equal(ak_http_reply_chunk(ex, "def", 3), -EMSGSIZE);
    ak_http_reply_end(ex);
}

static const struct ak_http_route promise_routes[] = {{"GET", "/", promise_too_much}, {0}};

static void fewer_bytes_than_promised_are_no_complete_answer(void **state)
{
    struct rig_server s = {0};
    struct ak_http_server_options o = {.unix_path = path, .routes = promise_routes};
    struct ak_http_target target = {.base_url = "http://x", .unix_path = path};
    struct ak_http_request req = {.method = "GET", .path = "/"};
    AK_AUTO_PTR(ak_http_client) client = NULL;
    AK_AUTO(ak_http_reply) reply = {0};

    (void)state;
    rig_server_start(&s, &o);
    assert_int_equal(ak_http_client_new(&target, &client, NULL), 0);
    assert_int_equal(ak_http_do(client, &req, &reply, NULL), AK_E_PROTOCOL);
    rig_server_end(&s);
}

/* The exchange outlives its client, and whoever waits for the drain is told all the same. */
static void wait_for_nobody(void *user)
{
    struct pouring *p = user;

    assert_int_equal(ak_http_reply_chunk(p->ex, "x", 1), -EPIPE);
    ak_http_reply_end(p->ex);
    (void)sem_post(&p->closed);
}

static void hold(struct ak_http_exchange *ex, void *user)
{
    struct pouring *p = user;
    char piece[100000];

    memset(piece, 'x', sizeof(piece));
    p->ex = ex;
    ak_http_reply_begin(ex, 200, NULL);
    for (int i = 0; i < 20; i++)
        assert_true(ak_http_reply_chunk(ex, piece, sizeof(piece)) > 0);
    ak_http_on_drain(ex, 0, wait_for_nobody, p);
}

static const struct ak_http_route hold_routes[] = {{"GET", "/", hold}, {0}};

static void who_waits_for_a_client_that_left_is_told(void **state)
{
    struct pouring p = {0};
    struct rig_server s = {0};
    struct ak_http_server_options o = {.unix_path = path, .routes = hold_routes, .user = &p};
    int fd;

    (void)state;
    assert_int_equal(sem_init(&p.closed, 0, 0), 0);
    rig_server_start(&s, &o);
    fd = connect_unix();
    rig_send(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)close(fd);
    assert_int_equal(sem_wait(&p.closed), 0);
    rig_server_end(&s);
    (void)sem_destroy(&p.closed);
}

static void a_bad_target_is_refused_in_words(void **state)
{
    static const struct {
        struct ak_http_target target;
        const char *word;
    } cases[] = {
        {{.base_url = "http://x", .unix_path = "relative"}, "absolute path"},
        {{.base_url = "http://x", .pinned_public_key = "sha256//x"}, "https://"},
        {{.base_url = "https://x", .pinned_public_key = "x"}, "sha256//"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_http_client) client = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;

        assert_int_equal(ak_http_client_new(&cases[i].target, &client, &err), -EINVAL);
        assert_non_null(strstr(ak_error_message(err), cases[i].word));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_knows_who_is_at_its_socket),
        cmocka_unit_test(what_an_earlier_process_left_is_replaced_and_nothing_else),
        cmocka_unit_test(a_successors_socket_is_left_alone),
        cmocka_unit_test(an_answer_is_made_as_fast_as_it_is_taken),
        cmocka_unit_test(who_takes_nothing_is_cut_after_the_write_timeout),
        cmocka_unit_test(fewer_bytes_than_promised_are_no_complete_answer),
        cmocka_unit_test(who_waits_for_a_client_that_left_is_told),
        cmocka_unit_test(a_bad_target_is_refused_in_words),
    };

    return cmocka_run_group_tests_name("net/http-unix", tests, make_folder, remove_folder);
}
