/* SPDX-License-Identifier: Apache-2.0 */
/* What passes the relay, and what does not. */
#include <ak/net/http_relay.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "scene.h"

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
        scene_ask(&s, c->request, &answer);
        scene_wait_end(&s);
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
    scene_ask(&s, "GET /model/other HTTP/1.1\r\nHost: f\r\n" END, &answer);
    scene_end(&s);
    assert_true(ak_has_prefix(heard.head, "GET /v1/other?x=1 HTTP/1.1\r\n"));
}

/* --- the answer --- */

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

    scene_start(&s, scene_play, c->script);
    scene_ask(&s, c->request, &answer);
    scene_wait_end(&s);
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
    scene_start(&s, scene_play,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    fd = rig_connect(scene_port(&s));
    rig_send(fd, GET_1_0);
    scene_read_all(fd, &answer, &clean);
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
    scene_start(&s, scene_play,
                "HTTP/1.1 200 OK\r\nX-Secret: 1\r\nX-Both: theirs\r\nContent-Length: 0\r\n\r\n");
    scene_ask(&s, GET, &answer);
    scene_end(&s);
    assert_null(strstr(answer.data, "X-Secret"));
    assert_null(strstr(answer.data, "theirs"));
    assert_non_null(strstr(answer.data, "X-Relay: us\r\n"));
    assert_non_null(strstr(answer.data, "X-Both: ours\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_passes_but_for_its_connection_and_the_options),
        cmocka_unit_test(the_path_may_be_another),
        cmocka_unit_test(the_answer_passes_and_ends_as_the_upstream_ended_it),
        cmocka_unit_test(a_cut_answer_without_a_frame_ends_with_a_reset),
        cmocka_unit_test(headers_of_the_answer_can_be_kept_back_and_put_in),
    };

    return cmocka_run_group_tests_name("net/http-relay", tests, NULL, NULL);
}
