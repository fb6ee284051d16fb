/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of a WebSocket, against the client's side and against bytes that no client may send. */
#include <ak/net/websocket_server.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/net/websocket.h>

struct heard {
    struct ak_buf data;
    unsigned begun, ended, pings;
    int code;  /* of a close; 0: none */
    bool stop; /* after each piece */
};

static int on_piece(const uint8_t *data, size_t len, bool first, bool last, void *user)
{
    struct heard *h = user;

    h->begun += first;
    h->ended += last;
    assert_true(h->begun - h->ended <= 1);
    assert_true(ak_buf_add(&h->data, data, len) >= 0);
    return h->stop ? 1 : 0;
}

static int on_ping(const uint8_t *data, size_t len, void *user)
{
    struct heard *h = user;

    h->pings++;
    return ak_buf_add(&h->data, data, len) < 0 ? -ENOMEM : 0;
}

static void on_closed(uint16_t code, void *user)
{
    ((struct heard *)user)->code = code;
}

static const struct ak_websocket_server_ops ops = {on_piece, on_ping, on_closed};

static int no_message(bool text, const void *data, size_t len, void *user)
{
    (void)text;
    (void)data;
    (void)len;
    (void)user;
    return 0;
}

static void what_a_client_sends_comes_out_whatever_the_steps_are(void **state)
{
    static const struct ak_websocket_ops client_ops = {no_message, NULL};
    static const size_t sizes[] = {0,    1,    2,    125,   126,   127,
                                   8191, 8192, 8193, 65535, 65536, 1u << 20};
    static const size_t steps[] = {1, 2, 3, 7, 4096, 8192, 100000, SIZE_MAX};
    static uint8_t bytes[1u << 20];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31 + i / 253);
    for (size_t s = 0; s < AK_ARRAY_LEN(steps); s++) {
        struct heard heard = {.data = AK_BUF_INIT(16u << 20)};
        AK_AUTO_PTR(ak_websocket) client = NULL;
        struct ak_websocket_server server;
        size_t total = 0;

        assert_int_equal(ak_websocket_new(&client_ops, NULL, 0, &client, NULL), 0);
        ak_websocket_server_init(&server, &ops, &heard);
        for (size_t i = 0; i < AK_ARRAY_LEN(sizes); i++) {
            struct ak_buf *out = ak_websocket_out(client);

            assert_int_equal(ak_websocket_send(client, false, bytes, sizes[i]), 0);
            for (size_t at = 0; at < out->len; at += AK_MIN(steps[s], out->len - at)) {
                size_t n = AK_MIN(steps[s], out->len - at);

                assert_int_equal(ak_websocket_server_feed(&server, out->data + at, n, NULL), n);
            }
            ak_buf_consume(out, out->len);
            total += sizes[i];
            assert_int_equal(heard.begun, i + 1);
            assert_int_equal(heard.ended, i + 1);
            assert_int_equal(heard.data.len, total);
            assert_memory_equal(heard.data.data + total - sizes[i], bytes, sizes[i]);
        }
        assert_int_equal(ak_websocket_ping(client), 0);
        assert_int_equal(ak_websocket_close(client, 1000), 0);
        assert_true(ak_websocket_server_feed(&server, ak_websocket_out(client)->data,
                                             ak_websocket_out(client)->len, NULL) > 0);
        assert_int_equal(heard.pings, 1);
        assert_int_equal(heard.code, 1000);
        ak_buf_done(&heard.data);
    }
}

static int keep_message(bool text, const void *data, size_t len, void *user)
{
    assert_false(text);
    return ak_buf_add(user, data, len);
}

static void the_client_reads_what_the_server_writes(void **state)
{
    static const struct ak_websocket_ops client_ops = {keep_message, NULL};
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 1u << 20};
    static uint8_t bytes[1u << 20];

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(sizes); i++) {
        AK_AUTO_PTR(ak_websocket) client = NULL;
        AK_AUTO(ak_buf) got = AK_BUF_INIT(2u << 20);
        uint8_t head[AK_WEBSOCKET_HEAD];
        size_t n = ak_websocket_head(AK_WEBSOCKET_BINARY, sizes[i], head);

        memset(bytes, (int)i, sizeof(bytes));
        assert_int_equal(ak_websocket_new(&client_ops, &got, 0, &client, NULL), 0);
        assert_int_equal(ak_websocket_feed(client, head, n, NULL), 0);
        assert_int_equal(ak_websocket_feed(client, bytes, sizes[i], NULL), 0);
        assert_int_equal(got.len, sizes[i]);
    }
}

static const struct {
    const char *bytes;
    size_t len;
    const char *says;
} faults[] = {
#define CASE(text, says)                                                                           \
    {                                                                                              \
        (text), sizeof(text) - 1, (says)                                                           \
    }
    CASE("\x82\x01x", "not masked"),
    CASE("\xc2\x81\0\0\0\0x", "an extension"),
    CASE("\x81\x81\0\0\0\0x", "a text message"),
    CASE("\x83\x81\0\0\0\0x", "an unknown kind"),
    CASE("\x8b\x80\0\0\0\0", "a wrong control frame"),
    CASE("\x09\x80\0\0\0\0", "a wrong control frame"),                /* fragmented ping */
    CASE("\x89\xfe\0\x7e\0\0\0\0", "a wrong control frame"),          /* 126 bytes */
    CASE("\x82\xfe\0\x7d\0\0\0\0", "not the shortest"),               /* 125 in two bytes */
    CASE("\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", "not the shortest"), /* 65535 in eight */
    CASE("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", "not the shortest"),   /* 2^63 */
    CASE("\x80\x81\0\0\0\0x", "a message inside"),                    /* nothing to continue */
    CASE("\x02\x81\0\0\0\0x\x82\x81\0\0\0\0x", "a message inside of another"), /* begun twice */
};

static void what_no_client_may_send_is_refused_in_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(faults); i++) {
        struct heard heard = {.data = AK_BUF_INIT(1024)};
        struct ak_websocket_server server;
        AK_AUTO_PTR(ak_error) err = NULL;

        ak_websocket_server_init(&server, &ops, &heard);
        assert_int_equal(ak_websocket_server_feed(&server, faults[i].bytes, faults[i].len, &err),
                         AK_E_PROTOCOL);
        assert_non_null(strstr(ak_error_message(err), faults[i].says));
        ak_buf_done(&heard.data);
    }
}

static void fragments_and_pings_between_them_are_one_message(void **state)
{
    static const char bytes[] = "\x02\x82\0\0\0\0ab"
                                "\x00\x80\0\0\0\0"
                                "\x89\x81\0\0\0\0!"
                                "\x80\x81\0\0\0\0c"
                                "\x88\x80\0\0\0\0ignored";
    struct heard heard = {.data = AK_BUF_INIT(1024)};
    struct ak_websocket_server server;

    (void)state;
    ak_websocket_server_init(&server, &ops, &heard);
    assert_int_equal(ak_websocket_server_feed(&server, bytes, sizeof(bytes) - 1, NULL),
                     sizeof(bytes) - 1);
    assert_string_equal(ak_buf_text(&heard.data), "ab!c");
    assert_int_equal(heard.begun, 1);
    assert_int_equal(heard.ended, 1);
    assert_int_equal(heard.code, 1005);
    ak_buf_done(&heard.data);
}

static void who_has_enough_is_fed_no_more(void **state)
{
    static const char bytes[] = "\x82\x81\0\0\0\0a\x82\x81\0\0\0\0b";
    struct heard heard = {.data = AK_BUF_INIT(1024), .stop = true};
    struct ak_websocket_server server;

    (void)state;
    ak_websocket_server_init(&server, &ops, &heard);
    assert_int_equal(ak_websocket_server_feed(&server, bytes, sizeof(bytes) - 1, NULL), 7);
    assert_string_equal(ak_buf_text(&heard.data), "a");
    assert_int_equal(ak_websocket_server_feed(&server, bytes + 7, 7, NULL), 7);
    assert_string_equal(ak_buf_text(&heard.data), "ab");
    ak_buf_done(&heard.data);
}

static void only_keys_are_answered(void **state)
{
    static const char *const wrong[] = {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ==x",
                                        "dGhlIHNhbXBsZSBub25jZ?==", "dGhlIHNhbXBsZSBub25jZQ=a"};
    char accept[AK_WEBSOCKET_ACCEPT];

    (void)state;
    assert_int_equal(ak_websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 section 1.3 */
    assert_int_equal(ak_websocket_accept(NULL, accept), -EINVAL);
    for (size_t i = 0; i < AK_ARRAY_LEN(wrong); i++)
        assert_int_equal(ak_websocket_accept(wrong[i], accept), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_client_sends_comes_out_whatever_the_steps_are),
        cmocka_unit_test(the_client_reads_what_the_server_writes),
        cmocka_unit_test(what_no_client_may_send_is_refused_in_words),
        cmocka_unit_test(fragments_and_pings_between_them_are_one_message),
        cmocka_unit_test(who_has_enough_is_fed_no_more),
        cmocka_unit_test(only_keys_are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
