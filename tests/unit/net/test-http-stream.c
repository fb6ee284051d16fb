/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/http_client.h>

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

#include "rig.h"

/* What a stream's owner sees. The loop runs on the test's own thread and is stopped by `end`. */
struct reader {
    struct ak_loop *loop;
    struct ak_http_client *client;
    struct ak_http_stream *stream;
    struct ak_buf data;
    int status, begins, ends, code;
    char message[256];
    bool stop_in_begin, stop_in_data, give_up, restart;
    struct reader *start_in_data; /* another stream, started inside a callback */
};

static const struct ak_http_stream_ops ops;

static void start(struct reader *r, const char *path, ak_msec silence)
{
    struct ak_http_request req = {.method = "GET", .path = path, .timeout = silence};

    r->data.max = 1u << 20;
    assert_int_equal(ak_http_stream_start(r->client, r->loop, &req, &ops, r, &r->stream, NULL), 0);
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct reader *r = user;

    (void)retry_after;
    r->begins++;
    r->status = status;
    assert_int_equal(r->data.len, 0);
    if (r->stop_in_begin)
        ak_http_stream_stop(r->stream);
    return 0;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct reader *r = user;

    assert_int_equal(r->begins, 1);
    assert_int_equal(r->ends, 0);
    assert_int_equal(ak_buf_add(&r->data, data, len), 0);
    if (r->start_in_data) {
        struct reader *other = r->start_in_data;

        r->start_in_data = NULL;
        start(other, "/", AK_SECONDS(20));
    }
    if (r->stop_in_data) {
        ak_http_stream_stop(r->stream);
        assert_int_equal(r->ends, 1); /* told before stop returned */
        ak_http_stream_stop(NULL);
    }
    return r->give_up ? AK_E_GONE : 0;
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct reader *r = user;
    size_t len = strnlen(ak_error_message(err), sizeof(r->message) - 1);

    r->ends++;
    r->code = code;
    memcpy(r->message, ak_error_message(err), len);
    assert_int_equal(ak_error_code(err), code);
    if (r->restart) {
        r->restart = false;
        r->begins = r->ends = 0;
        ak_buf_clear(&r->data);
        start(r, "/", AK_SECONDS(20));
        return;
    }
    ak_loop_stop(r->loop);
}

static const struct ak_http_stream_ops ops = {on_begin, on_data, on_end};

struct scene {
    struct rig_peer peer;
    struct ak_loop *loop;
    struct ak_http_client *client;
    struct reader reader;
};

static void scene_start(struct scene *s, rig_talk_fn talk, const char *script)
{
    struct ak_http_target target = {0};

    memset(s, 0, sizeof(*s));
    rig_peer_start(&s->peer, talk, script);
    target.base_url = s->peer.url;
    assert_int_equal(ak_loop_new(&s->loop, NULL), 0);
    assert_int_equal(ak_http_client_new(&target, &s->client, NULL), 0);
    s->reader.loop = s->loop;
    s->reader.client = s->client;
}

static void scene_end(struct scene *s)
{
    s->client = ak_http_client_free(s->client);
    s->loop = ak_loop_free(s->loop);
    rig_peer_end(&s->peer);
    ak_buf_done(&s->reader.data);
}

/* Sends the script; "|" in it is a pause until the client has read, "~" at its end keeps the connection open. */
static void play(int fd, int n, void *user)
{
    const char *p = user;
    char head[4096], c;

    (void)n;
    if (!rig_read_head(fd, head, sizeof(head)))
        return;
    while (*p) {
        char piece[512];
        size_t len = strcspn(p, "|~");

        memcpy(piece, p, len);
        piece[len] = '\0';
        rig_send(fd, piece);
        p += len;
        if (*p == '~') {
            (void)!recv(fd, &c, 1, 0);
            return;
        }
        if (*p == '|') {
            (void)usleep(2000);
            p++;
        }
    }
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void a_stream_brings_its_bytes_and_ends_once(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, play, OK_HEAD "3\r\nab|c\r\n|2\r\nde\r\n|0\r\n\r\n");
    start(&s.reader, "/", AK_SECONDS(20));
    assert_int_equal(ak_loop_run(s.loop, NULL), 0);
    assert_int_equal(s.reader.status, 200);
    assert_string_equal(ak_buf_text(&s.reader.data), "abcde");
    assert_int_equal(s.reader.ends, 1);
    assert_int_equal(s.reader.code, 0);
    scene_end(&s);
}

static void an_answer_without_a_body_begins_too(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, play, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n");
    start(&s.reader, "/", AK_SECONDS(20));
    assert_int_equal(ak_loop_run(s.loop, NULL), 0);
    assert_int_equal(s.reader.begins, 1);
    assert_int_equal(s.reader.status, 410);
    assert_int_equal(s.reader.code, 0);
    scene_end(&s);
}

static void broken_streams_end_with_an_error(void **state)
{
    static const struct {
        const char *script;
        int code;
        ak_msec silence;
    } cases[] = {
        {OK_HEAD "5\r\nab", AK_E_PROTOCOL, AK_SECONDS(20)},
        {OK_HEAD "xx", AK_E_PROTOCOL, AK_SECONDS(20)},
        {"", AK_E_PROTOCOL, AK_SECONDS(20)},
        {OK_HEAD "2\r\nab\r\n~", -ETIMEDOUT, 100},
        {"~", -ETIMEDOUT, 100},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct scene s;

        scene_start(&s, play, cases[i].script);
        start(&s.reader, "/", cases[i].silence);
        assert_int_equal(ak_loop_run(s.loop, NULL), 0);
        assert_int_equal(s.reader.code, cases[i].code);
        assert_int_equal(s.reader.ends, 1);
        assert_true(ak_has_prefix(s.reader.message, s.peer.url));
        scene_end(&s);
    }
}

static void bytes_push_the_silence_limit_away(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, play,
                OK_HEAD
                "1\r\n||||||||||||||||||||a|\r\n|1\r\n||||||||||||||||||||b|\r\n|1\r\n|||||||||||||"
                "|||||||c|\r\n"
                "1\r\n||||||||||||||||||||d|\r\n|1\r\n||||||||||||||||||||e|\r\n|0\r\n\r\n");
    start(&s.reader, "/", 1000);
    assert_int_equal(ak_loop_run(s.loop, NULL), 0);
    assert_int_equal(s.reader.code, 0);
    assert_string_equal(ak_buf_text(&s.reader.data), "abcde");
    scene_end(&s);
}

static void stopping_inside_begin_and_data_is_legal(void **state)
{
    (void)state;
    for (int where = 0; where < 2; where++) {
        struct scene s;

        scene_start(&s, play, OK_HEAD "2\r\nab\r\n|2\r\ncd\r\n~");
        s.reader.stop_in_begin = where == 0;
        s.reader.stop_in_data = where == 1;
        start(&s.reader, "/", AK_SECONDS(20));
        assert_int_equal(ak_loop_run(s.loop, NULL), 0);
        assert_int_equal(s.reader.ends, 1);
        assert_int_equal(s.reader.code, AK_E_CANCELLED);
        scene_end(&s);
    }
}

static void a_reader_may_give_up_with_its_own_code(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, play, OK_HEAD "2\r\nab\r\n~");
    s.reader.give_up = true;
    start(&s.reader, "/", AK_SECONDS(20));
    assert_int_equal(ak_loop_run(s.loop, NULL), 0);
    assert_int_equal(s.reader.code, AK_E_GONE);
    assert_int_equal(s.reader.ends, 1);
    scene_end(&s);
}

static void a_stream_may_be_started_anew_inside_its_end(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, play, OK_HEAD "2\r\nab\r\n0\r\n\r\n");
    s.reader.restart = true;
    start(&s.reader, "/", AK_SECONDS(20));
    assert_int_equal(ak_loop_run(s.loop, NULL), 0);
    assert_int_equal(s.reader.ends, 1);
    assert_int_equal(s.reader.code, 0);
    assert_string_equal(ak_buf_text(&s.reader.data), "ab");
    scene_end(&s);
    assert_int_equal(s.peer.connections, 2); /* the peer closes after each */
}

static void another_stream_may_be_started_inside_data(void **state)
{
    struct scene s;
    struct reader other = {0};

    (void)state;
    scene_start(&s, play, OK_HEAD "2\r\nab\r\n0\r\n\r\n");
    other.loop = s.loop;
    other.client = s.client;
    s.reader.start_in_data = &other;
    s.reader.restart = false;
    start(&s.reader, "/", AK_SECONDS(20));
    while (s.reader.ends + other.ends < 2)
        assert_int_equal(ak_loop_run(s.loop, NULL), 0);
    assert_string_equal(ak_buf_text(&other.data), "ab");
    ak_buf_done(&other.data);
    scene_end(&s);
}

static void freeing_the_client_ends_its_streams(void **state)
{
    struct scene s;

    (void)state;
    scene_start(&s, play, "~");
    start(&s.reader, "/", AK_SECONDS(20));
    s.client = ak_http_client_free(s.client);
    assert_int_equal(s.reader.ends, 1);
    assert_int_equal(s.reader.code, AK_E_CANCELLED);
    assert_int_equal(s.reader.begins, 0);
    scene_end(&s);
}

static void memory_running_out_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 200; n++) {
        struct ak_http_request req = {.method = "GET", .path = "/", .body = "b", .body_len = 1};
        struct scene s;
        bool failed;
        int r;

        scene_start(&s, play, "~");
        s.reader.data.max = 100;
        (void)ak_alloc_fail_after(n);
        r = ak_http_stream_start(s.client, s.loop, &req, &ops, &s.reader, &s.reader.stream, NULL);
        failed = ak_alloc_fail_after(-1);
        scene_end(&s);
        if (!failed) {
            assert_int_equal(r, 0);
            assert_int_equal(s.reader.ends, 1);
            return;
        }
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(s.reader.ends, 0);
    }
    fail_msg("never succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_brings_its_bytes_and_ends_once),
        cmocka_unit_test(an_answer_without_a_body_begins_too),
        cmocka_unit_test(broken_streams_end_with_an_error),
        cmocka_unit_test(bytes_push_the_silence_limit_away),
        cmocka_unit_test(stopping_inside_begin_and_data_is_legal),
        cmocka_unit_test(a_reader_may_give_up_with_its_own_code),
        cmocka_unit_test(a_stream_may_be_started_anew_inside_its_end),
        cmocka_unit_test(another_stream_may_be_started_inside_data),
        cmocka_unit_test(freeing_the_client_ends_its_streams),
        cmocka_unit_test(memory_running_out_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("net/http-stream", tests, NULL, NULL);
}
