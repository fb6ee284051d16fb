/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/websocket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

static int note_message(bool text, const void *data, size_t len, void *user)
{
    return ak_buf_addf(user, "%c%.*s;", text ? 't' : 'b', (int)len, (const char *)data);
}

static void note_closed(uint16_t code, const char *reason, size_t len, void *user)
{
    assert_int_equal(ak_buf_addf(user, "close %u %.*s;", code, (int)len, reason), 0);
}

static const struct ak_websocket_ops ops = {note_message, note_closed};

struct bytes {
    const char *data;
    size_t len;
};
#define B(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

struct frame_case {
    struct bytes in;
    const char *seen;
    int code;
};

/* Frames of RFC 6455 section 5.7 and of section 5.4, 5.5; servers do not mask. */
static const struct frame_case frame_cases[] = {
    {B("\x81\x05Hello"), "tHello;", 0},
    {B("\x82\x03"
       "abc"),
     "babc;", 0},
    {B("\x01\x03Hel\x80\x02lo"), "tHello;", 0},
    {B("\x01\x03Hel\x89\x00\x80\x02lo"), "tHello;", 0}, /* a ping in between */
    {B("\x82\x7e\x00\x03"
       "abc"),
     "", AK_E_PROTOCOL}, /* a longer length than it needs */
    {B("\x82\x00"), "b;", 0},
    {B("\x82\x01"
       "a\x82\x01"
       "b"),
     "ba;bb;", 0},
    {B("\x88\x00"), "close 1005 ;", 0},
    {B("\x88\x05\x03\xe8"
       "bye"),
     "close 1000 bye;", 0},
    {B("\x88\x00\x82\x01"
       "a"),
     "close 1005 ;", 0},                /* nothing follows */
    {B("\x83\x00"), "", AK_E_PROTOCOL}, /* an opcode that there is not */
    {B("\xc2\x00"), "", AK_E_PROTOCOL}, /* a bit of an extension */
    {B("\x80\x01"
       "a"),
     "", AK_E_PROTOCOL}, /* goes on with nothing */
    {B("\x01\x01"
       "a\x82\x01"
       "b"),
     "", AK_E_PROTOCOL},
    {B("\x09\x00"), "", AK_E_PROTOCOL},           /* a ping in pieces */
    {B("\x89\x7e\x00\x80"), "", AK_E_PROTOCOL},   /* a ping too long */
    {B("\x81\x02\xc3\x28"), "", AK_E_PROTOCOL},   /* no UTF-8 */
    {B("\x82\x7e\x10\x00x"), "", AK_E_TOO_LARGE}, /* more than the limit of this test */
    {B("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffx"), "", AK_E_TOO_LARGE},
    {B("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), "", AK_E_PROTOCOL},
};

static void feed(const struct frame_case *c, size_t i, size_t step)
{
    AK_AUTO_PTR(ak_websocket) ws = NULL;
    AK_AUTO(ak_buf) seen = {.max = 4096};
    int r = 0;

    assert_int_equal(ak_websocket_new(&ops, &seen, 1000, &ws, NULL), 0);
    for (size_t at = 0; r >= 0 && at < c->in.len; at += step)
        r = ak_websocket_feed(ws, c->in.data + at, AK_MIN(step, c->in.len - at), NULL);
    if (r != c->code || strcmp(ak_buf_text(&seen), c->seen) != 0)
        fail_msg("case %zu, step %zu: %d \"%s\"", i, step, r, ak_buf_text(&seen));
    if (r < 0)
        assert_int_equal(ak_websocket_out(ws)->data[0], (char)0x88); /* a close that says why */
}

static void frames_come_out_the_same_whatever_pieces_they_come_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(frame_cases); i++)
        for (size_t step = 1; step < 12; step++)
            feed(&frame_cases[i], i, step);
}

/* Takes a client's frame apart: masked always, RFC 6455 section 5.3. */
static void unmask(const struct ak_buf *out, uint8_t first, const char *text)
{
    const uint8_t *d = (const uint8_t *)out->data;
    size_t len = strlen(text);

    assert_int_equal(out->len, 6 + len);
    assert_int_equal(d[0], first);
    assert_int_equal(d[1], 0x80 | len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(d[6 + i] ^ d[2 + i % 4], (uint8_t)text[i]);
}

static void what_is_sent_is_masked_and_pings_are_answered(void **state)
{
    AK_AUTO_PTR(ak_websocket) ws = NULL;
    AK_AUTO(ak_buf) seen = {.max = 4096};

    (void)state;
    assert_int_equal(ak_websocket_new(&ops, &seen, 0, &ws, NULL), 0);
    assert_int_equal(ak_websocket_send(ws, false, "hello", 5), 0);
    unmask(ak_websocket_out(ws), 0x82, "hello");
    ak_buf_consume(ak_websocket_out(ws), 11);
    assert_int_equal(ak_websocket_send(ws, true, "", 0), 0);
    unmask(ak_websocket_out(ws), 0x81, "");
    ak_buf_consume(ak_websocket_out(ws), 6);
    assert_int_equal(ak_websocket_feed(ws, "\x89\x02hi", 4, NULL), 0);
    unmask(ak_websocket_out(ws), 0x8a, "hi");
    ak_buf_consume(ak_websocket_out(ws), 8);
    assert_int_equal(ak_websocket_ping(ws), 0);
    unmask(ak_websocket_out(ws), 0x89, "");
    ak_buf_consume(ak_websocket_out(ws), 6);
    assert_int_equal(ak_websocket_close(ws, 1000), 0);
    unmask(ak_websocket_out(ws), 0x88, "\x03\xe8");
    assert_false(ak_websocket_is_closed(ws));
    assert_int_equal(ak_websocket_send(ws, false, "x", 1), -EPIPE);
    assert_int_equal(ak_websocket_feed(ws, "\x88\x02\x03\xe8", 4, NULL), 0);
    assert_true(ak_websocket_is_closed(ws));
}

static void what_waits_to_be_sent_is_bounded(void **state)
{
    AK_AUTO_PTR(ak_websocket) ws = NULL;
    AK_AUTO(ak_buf) seen = {.max = 4096};
    static char piece[1u << 20];
    int n = 0, r;

    (void)state;
    assert_int_equal(ak_websocket_new(&ops, &seen, 0, &ws, NULL), 0);
    while ((r = ak_websocket_send(ws, false, piece, sizeof(piece))) == 0)
        n++;
    assert_int_equal(r, -ENOBUFS);
    assert_int_equal(n, 7); /* the eighth does not fit beside the heads of the others */
    for (r = 0; r == 0 && n < 10000000; n++)
        r = ak_websocket_feed(ws,
                              "\x89\x7d"
                              "0123456789012345678901234567890123456789012345678901234567890123"
                              "4567890123456789012345678901234567890123456789012345678901234",
                              127, NULL);
    assert_int_equal(r, AK_E_TOO_LARGE); /* pings without end, and nobody takes the answers */
}

static int refuse(bool text, const void *data, size_t len, void *user)
{
    (void)text;
    (void)data;
    (void)len;
    (*(int *)user)++;
    return AK_E_GONE;
}

static void the_reader_may_give_up(void **state)
{
    static const struct ak_websocket_ops giving_up = {refuse, NULL};
    AK_AUTO_PTR(ak_websocket) ws = NULL;
    int n = 0;

    (void)state;
    assert_int_equal(ak_websocket_new(&giving_up, &n, 0, &ws, NULL), 0);
    assert_int_equal(ak_websocket_feed(ws,
                                       "\x82\x01"
                                       "a\x82\x01"
                                       "b",
                                       6, NULL),
                     AK_E_GONE);
    assert_int_equal(n, 1);
}

static void the_handshake_is_checked(void **state)
{
    char key[AK_WEBSOCKET_KEY], other[AK_WEBSOCKET_KEY];

    (void)state;
    /* RFC 6455 section 1.3 */
    assert_true(
        ak_websocket_is_accepted("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_false(
        ak_websocket_is_accepted("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="));
    assert_false(ak_websocket_is_accepted("dGhlIHNhbXBsZSBub25jZQ==", NULL));
    assert_int_equal(ak_websocket_key(key, NULL), 0);
    assert_int_equal(ak_websocket_key(other, NULL), 0);
    assert_int_equal(strlen(key), 24);
    assert_string_not_equal(key, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_the_same_whatever_pieces_they_come_in),
        cmocka_unit_test(what_is_sent_is_masked_and_pings_are_answered),
        cmocka_unit_test(what_waits_to_be_sent_is_bounded),
        cmocka_unit_test(the_reader_may_give_up),
        cmocka_unit_test(the_handshake_is_checked),
    };

    return cmocka_run_group_tests_name("net/websocket", tests, NULL, NULL);
}
