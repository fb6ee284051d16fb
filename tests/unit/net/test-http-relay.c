/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/http_relay.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "rig.h"

/* A scripted upstream, our server in front of it, and what the relay reported. */
struct scene {
    struct rig_peer peer;
    struct rig_server front;
    struct ak_http_client *client;
    struct ak_http_relay_options options;
    struct ak_http_relay *relay;
    sem_t started, ended; /* posted by the handler, and by `end` */
    int status, code;
    uint64_t bytes;
};

static void on_end(int status, uint64_t bytes, int code, void *user)
{
    struct scene *s = user;

    s->status = status;
    s->bytes = bytes;
    s->code = code;
    (void)sem_post(&s->ended);
}

static void handle(struct ak_http_exchange *ex, void *user)
{
    struct scene *s = user;

    if (ak_http_relay_start(ex, s->client, s->front.loop.loop, &s->options, s, &s->relay, NULL) < 0)
        ak_http_reply_text(ex, 500, "text/plain", "no\n", 3, NULL);
    (void)sem_post(&s->started);
}

static const struct ak_http_route routes[] = {{NULL, "*", handle}, {0}};

static void start_front(struct scene *s, const char *upstream)
{
    struct ak_http_target target = {.base_url = upstream};
    struct ak_http_server_options o = {
        .routes = routes, .user = s, .write_timeout = AK_SECONDS(20)};

    assert_int_equal(ak_http_client_new(&target, &s->client, NULL), 0);
    assert_int_equal(sem_init(&s->started, 0, 0), 0);
    assert_int_equal(sem_init(&s->ended, 0, 0), 0);
    s->options.end = on_end;
    rig_server_start(&s->front, &o);
}

static void scene_start(struct scene *s, rig_talk_fn talk, const void *script)
{
    rig_peer_start(&s->peer, talk, script);
    start_front(s, s->peer.url);
}

static void stop_front(struct scene *s)
{
    rig_loop_stop(&s->front.loop);
    s->front.server = ak_http_server_free(s->front.server);
    s->client = ak_http_client_free(s->client);
    s->front.loop.loop = ak_loop_free(s->front.loop.loop);
    (void)sem_destroy(&s->started);
    (void)sem_destroy(&s->ended);
}

static void scene_end(struct scene *s)
{
    stop_front(s);
    rig_peer_end(&s->peer);
}

static int front_port(const struct scene *s)
{
    return ak_http_server_port(s->front.server);
}

static void wait_end(struct scene *s)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    assert_int_equal(sem_timedwait(&s->ended, &until), 0);
}

/* Everything up to the end of the connection; *ret_clean: it ended with a FIN, not with a reset. */
static void read_all(int fd, struct ak_buf *out, bool *ret_clean)
{
    char piece[16384];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        assert_int_equal(ak_buf_add(out, piece, (size_t)n), 0);
    *ret_clean = n == 0;
}

/* One request on one connection. */
static void ask(struct scene *s, const char *request, struct ak_buf *out)
{
    int fd = rig_connect(front_port(s));
    bool clean;

    rig_send(fd, request);
    read_all(fd, out, &clean);
    (void)close(fd);
}

/* --- the request --- */

struct heard {
    char head[4096];
    char body[256];
    size_t body_len;
};

static void hear(int fd, int n, void *user)
{
    struct heard *h = user;
    const char *length;
    uint64_t left = 0;

    (void)n;
    if (!rig_read_head(fd, h->head, sizeof(h->head)))
        return;
    length = strstr(h->head, "Content-Length: ");
    if (length) {
        char digits[24] = "";

        memcpy(digits, length + 16, strspn(length + 16, "0123456789"));
        assert_int_equal(ak_parse_u64(digits, &left), 0);
    }
    while (h->body_len < left) {
        ssize_t got = recv(fd, h->body + h->body_len, left - h->body_len, 0);

        if (got <= 0)
            return;
        h->body_len += (size_t)got;
    }
    rig_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

struct request_case {
    const char *request;
    const char *has[6];
    const char *lacks[8];
    const char *body;
};

#define END "Connection: close\r\n\r\n"

static const struct request_case request_cases[] = {
    {"GET /a/b?c=%20d HTTP/1.1\r\nHost: front\r\nX-One: 1\r\nx-one: 2\r\n" END,
     {"GET /a/b?c=%20d HTTP/1.1\r\n", "X-One: 1\r\n", "x-one: 2\r\n", "\r\nHost: 127.0.0.1:"},
     {"front", "close", "Accept", "User-Agent", "Content-Type", "Content-Length"},
     ""},
    /* of the connection only, those that Connection names included */
    {"GET / HTTP/1.1\r\nHost: front\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: "
     "h2c\r\n"
     "Proxy-Authorization: x\r\nConnection: x-mine, upgrade\r\nX-Yours: 2\r\n" END,
     {"X-Yours: 2\r\n"},
     {"X-Mine", "Keep-Alive", "TE:", "Upgrade", "Proxy-Auth", "x-mine"},
     ""},
    /* as the options say; names in any case */
    {"GET / HTTP/1.1\r\nHost: front\r\nAUTHORIZATION: Bearer mine\r\nX-Api-Key: mine\r\n"
     "x-version: 1\r\n" END,
     {"x-api-key: real\r\n", "X-Version: 2\r\n", "Authorization: Bearer deep\r\n"},
     {"mine", "x-version: 1"},
     ""},
    {"POST / HTTP/1.1\r\nHost: front\r\nContent-Type: a/b; c=d\r\nUser-Agent: me/1\r\nAccept: "
     "x/y\r\n"
     "Content-Length: 5\r\n" END "hello",
     {"POST / HTTP/1.1\r\n", "Content-Type: a/b; c=d\r\n", "User-Agent: me/1\r\n",
      "Accept: x/y\r\n", "Content-Length: 5\r\n"},
     {"Expect"},
     "hello"},
    /* chunks become a length */
    {"PUT / HTTP/1.1\r\nHost: front\r\nTransfer-Encoding: chunked\r\n" END
     "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
     {"PUT / HTTP/1.1\r\n", "Content-Length: 5\r\n"},
     {"chunked", "Content-Type"},
     "hello"},
    {"POST / HTTP/1.1\r\nHost: front\r\nContent-Length: 0\r\n" END,
     {"Content-Length: 0\r\n"},
     {"Content-Type"},
     ""},
    {"DELETE /x HTTP/1.1\r\nHost: front\r\nContent-Length: 2\r\n" END "{}",
     {"DELETE /x HTTP/1.1\r\n", "Content-Length: 2\r\n"},
     {NULL},
     "{}"},
    {"PROPFIND /x HTTP/1.1\r\nHost: front\r\nX-Empty:\r\nX-Last: 1\r\n" END,
     {"PROPFIND /x HTTP/1.1\r\n", "X-Empty:", "X-Last: 1\r\n"},
     {"X-Empty;"},
     ""},
    {"POST / HTTP/1.1\r\nHost: front\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" END "hello",
     {"Content-Length: 5\r\n"},
     {"Expect"},
     "hello"},
};

static void the_request_passes_but_for_its_connection_and_the_options(void **state)
{
    static const char *const remove[] = {"x-api-key", NULL};
    static const char *const add[] = {"x-api-key: real", "X-Version: 2", NULL};
    AK_AUTO_PTR(ak_secret) bearer = ak_secret_new("deep", 4);

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(request_cases); i++) {
        const struct request_case *c = &request_cases[i];
        AK_AUTO(ak_buf) answer = {.max = 65536};
        struct heard heard = {0};
        struct scene s = {0};

        if (i == 2) {
            s.options.remove = remove;
            s.options.add = add;
            s.options.bearer = bearer;
        }
        scene_start(&s, hear, &heard);
        ask(&s, c->request, &answer);
        wait_end(&s);
        scene_end(&s);
        for (size_t k = 0; k < AK_ARRAY_LEN(c->has) && c->has[k]; k++)
            if (!strstr(heard.head, c->has[k]))
                fail_msg("case %zu lacks \"%s\" in\n%s", i, c->has[k], heard.head);
        for (size_t k = 0; k < AK_ARRAY_LEN(c->lacks) && c->lacks[k]; k++)
            if (strstr(heard.head, c->lacks[k]))
                fail_msg("case %zu has \"%s\" in\n%s", i, c->lacks[k], heard.head);
        assert_string_equal(heard.body, c->body);
        assert_non_null(strstr(ak_buf_text(&answer), "\r\n\r\nok"));
        assert_int_equal(s.status, 200);
        assert_int_equal(s.bytes, 2);
        assert_int_equal(s.code, 0);
    }
}

static void the_path_may_be_another(void **state)
{
    AK_AUTO(ak_buf) answer = {.max = 65536};
    struct heard heard = {0};
    struct scene s = {.options.path = "/v1/other?x=1"};

    (void)state;
    scene_start(&s, hear, &heard);
    ask(&s, "GET /model/other HTTP/1.1\r\nHost: f\r\n" END, &answer);
    scene_end(&s);
    assert_true(ak_has_prefix(heard.head, "GET /v1/other?x=1 HTTP/1.1\r\n"));
}

/* --- the answer --- */

static void play(int fd, int n, void *user)
{
    char head[4096];

    (void)n;
    if (rig_read_head(fd, head, sizeof(head)))
        rig_send(fd, user);
}

#define GET "GET / HTTP/1.1\r\nHost: f\r\n" END
#define GET_1_0 "GET / HTTP/1.0\r\n\r\n"
#define HEAD "HEAD / HTTP/1.1\r\nHost: f\r\n" END

struct answer_case {
    const char *request, *script;
    const char *begin; /* of what the client gets */
    const char *has[4];
    const char *lacks[4];
    const char *body; /* behind the head, to the end */
    int code;
};

static const struct answer_case answer_cases[] = {
    {GET,
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: "
     "b\r\n\r\nhello",
     "HTTP/1.1 200 OK\r\n",
     {"Content-Length: 5\r\n", "X-A: 1\r\n", "Set-Cookie: a\r\n", "Set-Cookie: b\r\n"},
     {"chunked", "Content-Type"},
     "hello",
     0},
    {GET,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
     "t/e\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Transfer-Encoding: chunked\r\n", "Content-Type: t/e\r\n"},
     {"Content-Length"},
     "5\r\nhello\r\n0\r\n\r\n",
     0},
    {GET,
     "HTTP/1.1 200 OK\r\n\r\nhello",
     "HTTP/1.1 200 OK\r\n",
     {"Transfer-Encoding: chunked\r\n"},
     {NULL},
     "5\r\nhello\r\n0\r\n\r\n",
     0},
    {GET_1_0,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {NULL},
     {"chunked"},
     "hello",
     0},
    {GET,
     "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
     "HTTP/1.1 204 No Content\r\n",
     {"X-A: 1\r\n"},
     {"chunked", "Content-Length"},
     "",
     0},
    {GET,
     "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n",
     "HTTP/1.1 304 Not Modified\r\n",
     {"Content-Length: 77\r\n", "ETag: \"x\"\r\n"},
     {"chunked"},
     "",
     0},
    {HEAD,
     "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Content-Length: 77\r\n"},
     {"chunked"},
     "",
     0},
    {HEAD,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {NULL},
     {"Content-Length"},
     "",
     0},
    /* a status that we have no words for, and what came before it */
    {GET,
     "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 529 Overloaded\r\nContent-Length: 2\r\n"
     "Retry-After: 3\r\n\r\nno",
     "HTTP/1.1 529 ",
     {"Retry-After: 3\r\n"},
     {"Link"},
     "no",
     0},
    /* of the upstream's connection only */
    {GET,
     "HTTP/1.1 200 OK\r\nX-Mine: 1\r\nConnection: X-Mine, close\r\nKeep-Alive: 3\r\nX-Yours: 2\r\n"
     "Content-Length: 1\r\n\r\na",
     "HTTP/1.1 200 OK\r\n",
     {"X-Yours: 2\r\n", "Connection: close\r\n"},
     {"X-Mine", "Keep-Alive"},
     "a",
     0},
    /* bytes of a coding pass as they are */
    {GET,
     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x01",
     "HTTP/1.1 200 OK\r\n",
     {"Content-Encoding: gzip\r\n"},
     {NULL},
     "\x1f\x8b\x08\x01",
     0},
    {GET,
     "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Date: Mon, 01 Jan 2001 00:00:00 GMT\r\n"},
     {NULL},
     "",
     0},
    /* too early an end is no end */
    {GET,
     "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
     "HTTP/1.1 200 OK\r\n",
     {"Content-Length: 9\r\n"},
     {NULL},
     "hello",
     AK_E_PROTOCOL},
    {GET,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
     "HTTP/1.1 200 OK\r\n",
     {NULL},
     {NULL},
     "5\r\nhello\r\n",
     AK_E_PROTOCOL},
    {GET,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\n",
     "HTTP/1.1 200 OK\r\n",
     {NULL},
     {NULL},
     "5\r\nhello\r\n",
     AK_E_PROTOCOL},
    /* no answer */
    {GET,
     "",
     "HTTP/1.1 502 Bad Gateway\r\n",
     {NULL},
     {NULL},
     "the upstream cannot be reached\n",
     AK_E_PROTOCOL},
    {GET,
     "HTTP/1.1 200 OK\r\nX-",
     "HTTP/1.1 502 Bad Gateway\r\n",
     {NULL},
     {NULL},
     "the upstream cannot be reached\n",
     AK_E_PROTOCOL},
    {GET,
     "garbage\r\n\r\n",
     "HTTP/1.1 502 Bad Gateway\r\n",
     {NULL},
     {NULL},
     "the upstream cannot be reached\n",
     AK_E_PROTOCOL},
    /* two lengths */
    {GET,
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
     "HTTP/1.1 502 Bad Gateway\r\n",
     {NULL},
     {NULL},
     "the upstream cannot be reached\n",
     AK_E_PROTOCOL},
    {GET,
     "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: "
     "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Transfer-Encoding: chunked\r\n"},
     {"Content-Length"},
     "5\r\nhello\r\n0\r\n\r\n",
     0},
};

static void check_answer(const struct answer_case *c, size_t i)
{
    AK_AUTO(ak_buf) answer = {.max = 65536};
    struct scene s = {0};
    char *body;

    scene_start(&s, play, c->script);
    ask(&s, c->request, &answer);
    wait_end(&s);
    scene_end(&s);
    body = strstr(answer.data, "\r\n\r\n");
    assert_non_null(body);
    body[2] = '\0';
    body += 4;
    if (!ak_has_prefix(answer.data, c->begin))
        fail_msg("case %zu: %s", i, answer.data);
    for (size_t k = 0; k < AK_ARRAY_LEN(c->has) && c->has[k]; k++)
        if (!strstr(answer.data, c->has[k]))
            fail_msg("case %zu lacks \"%s\" in\n%s", i, c->has[k], answer.data);
    for (size_t k = 0; k < AK_ARRAY_LEN(c->lacks) && c->lacks[k]; k++)
        if (strstr(answer.data, c->lacks[k]))
            fail_msg("case %zu has \"%s\" in\n%s", i, c->lacks[k], answer.data);
    if (strcmp(body, c->body) != 0)
        fail_msg("case %zu: body \"%s\"", i, body);
    if (s.code != c->code)
        fail_msg("case %zu: code %d", i, s.code);
}

static void the_answer_passes_and_ends_as_the_upstream_ended_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(answer_cases); i++)
        check_answer(&answer_cases[i], i);
}

static void a_cut_answer_without_a_frame_ends_with_a_reset(void **state)
{
    AK_AUTO(ak_buf) answer = {.max = 65536};
    struct scene s = {0};
    bool clean;
    int fd;

    (void)state;
    scene_start(&s, play, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    fd = rig_connect(front_port(&s));
    rig_send(fd, GET_1_0);
    read_all(fd, &answer, &clean);
    assert_false(clean);
    (void)close(fd);
    scene_end(&s);
}

static bool no_secrets(const char *name, const char *value, void *user)
{
    (void)value;
    (void)user;
    return !ak_streq(name, "X-Secret");
}

static void headers_of_the_answer_can_be_kept_back_and_put_in(void **state)
{
    static const char *const add_reply[] = {"X-Relay: us", "X-Both: ours", NULL};
    AK_AUTO(ak_buf) answer = {.max = 65536};
    struct scene s = {.options = {.keep_reply_header = no_secrets, .add_reply = add_reply}};

    (void)state;
    scene_start(&s, play,
                "HTTP/1.1 200 OK\r\nX-Secret: 1\r\nX-Both: theirs\r\nContent-Length: 0\r\n\r\n");
    ask(&s, GET, &answer);
    scene_end(&s);
    assert_null(strstr(answer.data, "X-Secret"));
    assert_null(strstr(answer.data, "theirs"));
    assert_non_null(strstr(answer.data, "X-Relay: us\r\n"));
    assert_non_null(strstr(answer.data, "X-Both: ours\r\n"));
}

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
    fd = rig_connect(front_port(&s));
    rig_send(fd, "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
    assert_true(rig_read_head(fd, head, sizeof(head))); /* the head alone came already */
    for (int i = 0; i < 20; i++) {
        (void)sem_post(&t.arrived);
        expect_text(fd, "9\r\ndata: x\n\n\r\n");
    }
    (void)sem_post(&t.arrived);
    expect_text(fd, "0\r\n\r\n");
    wait_end(&s);
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
    ask(&s, GET, &answer);
    wait_end(&s);
    assert_true(ak_has_prefix(answer.data, "HTTP/1.1 504 "));
    assert_int_equal(s.code, -ETIMEDOUT);
    assert_int_equal(s.status, 0);
    scene_end(&s);

    s = (struct scene){.options.idle_timeout = 100};
    ak_buf_clear(&answer);
    scene_start(&s, play_silence, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    ask(&s, GET, &answer);
    wait_end(&s);
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
    scene_start(&s, play, "");
    rig_peer_end(&s.peer); /* the port is closed */
    ask(&s, GET, &answer);
    wait_end(&s);
    assert_true(ak_has_prefix(answer.data, "HTTP/1.1 503 "));
    assert_true(ak_has_suffix(answer.data, "{}"));
    stop_front(&s);
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
    fd = rig_connect(front_port(&s));
    rig_send(fd, "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
    assert_true(rig_read_head(fd, head, sizeof(head)));
    (void)close(fd);
    wait_end(&s);
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
        fd = rig_connect(front_port(&s));
        rig_send(fd, GET);
        if (i == 1) {
            char head[4096];

            assert_true(rig_read_head(fd, head, sizeof(head)));
            expect_text(fd, "hello");
        } else {
            assert_int_equal(sem_wait(&s.started), 0);
        }
        rig_loop_call(&s.front.loop, stop_relay, &s);
        read_all(fd, &answer, &clean);
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
    fd = rig_connect(front_port(&s));
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
    wait_end(&s);
    assert_int_equal(s.bytes, MUCH);
    assert_int_equal(s.code, 0);
    (void)close(fd);
    scene_end(&s);
    (void)sem_destroy(&f.stuck);
}

static void a_client_that_takes_nothing_is_cut(void **state)
{
    struct flood f = {0};
    struct scene s = {0};
    struct ak_http_target target = {0};
    struct ak_http_server_options o = {.routes = routes, .user = &s, .write_timeout = 300};
    int fd;

    (void)state;
    assert_int_equal(sem_init(&f.stuck, 0, 0), 0);
    assert_int_equal(sem_init(&s.started, 0, 0), 0);
    assert_int_equal(sem_init(&s.ended, 0, 0), 0);
    rig_peer_start(&s.peer, play_flood, &f);
    target.base_url = s.peer.url;
    assert_int_equal(ak_http_client_new(&target, &s.client, NULL), 0);
    s.options.end = on_end;
    rig_server_start(&s.front, &o);
    fd = rig_connect(front_port(&s));
    rig_send(fd, "GET / HTTP/1.1\r\nHost: f\r\n\r\n");
    wait_end(&s);
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
    scene_start(&s, play, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    ask(&s, "GET /1 HTTP/1.1\r\nHost: f\r\n\r\nGET /2 HTTP/1.1\r\nHost: f\r\n" END, &answer);
    first = strstr(answer.data, "hello");
    second = first ? strstr(first + 1, "hello") : NULL;
    assert_non_null(second);
    wait_end(&s);
    wait_end(&s);
    scene_end(&s);
}

/* --- memory --- */

static void without_memory_the_client_gets_an_error_or_a_cut(void **state)
{
    struct scene s = {0};
    bool done = false;

    (void)state;
    scene_start(&s, play,
                "HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    for (int64_t n = 0; !done && n < 500; n++) {
        int fd = rig_connect(front_port(&s));

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
    ask(&s, GET, &answer); /* and it still works */
    assert_true(ak_has_suffix(answer.data, "hello"));
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_passes_but_for_its_connection_and_the_options),
        cmocka_unit_test(the_path_may_be_another),
        cmocka_unit_test(the_answer_passes_and_ends_as_the_upstream_ended_it),
        cmocka_unit_test(a_cut_answer_without_a_frame_ends_with_a_reset),
        cmocka_unit_test(headers_of_the_answer_can_be_kept_back_and_put_in),
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

    return cmocka_run_group_tests(tests, NULL, NULL);
}
