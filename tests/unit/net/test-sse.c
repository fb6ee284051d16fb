/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/sse.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/error.h>
#include <ak/base/text.h>

/* Events as text: "type|id|data;" each. */
static int collect(const struct ak_sse_event *e, void *user)
{
    assert_int_equal(strlen(e->data), e->len);
    return ak_buf_addf(user, "%s|%s|%s;", e->type, e->id, e->data);
}

struct parse_case {
    const char *stream, *events;
};
static const struct parse_case parse_cases[] = {
    {"data: a\n\n", "message||a;"},
    {"data:a\n\n", "message||a;"},
    {"data:  a\n\n", "message|| a;"}, /* only one blank goes */
    {"data: a\ndata: b\n\n", "message||a\nb;"},
    {"data: a\r\ndata: b\r\n\r\n", "message||a\nb;"},
    {"data: a\rdata: b\r\r", "message||a\nb;"},
    {"data: a\r\n\rdata: b\n\r\n", "message||a;message||b;"}, /* mixed */
    {"data\n\n", "message||;"},
    {"data\ndata\n\n", "message||\n;"},
    {"data: \n\n", "message||;"},
    {"\n\n\n", ""},
    {"event: x\n\n", ""}, /* no data, no event; the type does not stay */
    {"event: x\n\ndata: a\n\n", "message||a;"},
    {"event: x\nid: 7\ndata: a\n\ndata: b\n\n", "x|7|a;message|7|b;"},
    {"id: 7\n\ndata: a\n\n", "message|7|a;"},
    {"id: 7\ndata: a\n\nid\ndata: b\n\n", "message|7|a;message||b;"},
    {": hello\ndata: a\n: more\n\n", "message||a;"},
    {":\n\n", ""},
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "message||a;"},
    {"\xef\xbb"
     "data: a\n\n",
     ""}, /* no mark: the field's name is not "data" */
    {"\xef\xbb\xbf\xef\xbb\xbf"
     "data: a\n\n",
     ""},
    {"foo: a\ndatax: b\nData: c\n\n", ""},
    {"data: a:b: c\n\n", "message||a:b: c;"},
    {"data: a\n", ""}, /* the stream ended within an event */
    {"data: a", ""},
    {"data: \xc3\xa9\n\n", "message||\xc3\xa9;"},
    {"retry: 5000\ndata: a\n\n", "message||a;"},
};

static void feed_in_steps(const struct parse_case *c, size_t step)
{
    AK_AUTO(ak_sse_parser) p;
    AK_AUTO(ak_buf) out = {.max = 4096};
    size_t len = strlen(c->stream);

    ak_sse_parser_init(&p, 0);
    for (size_t at = 0; at < len; at += step)
        assert_int_equal(
            ak_sse_parser_feed(&p, c->stream + at, AK_MIN(step, len - at), collect, &out), 0);
    assert_string_equal(ak_buf_text(&out), c->events);
}

static void events_are_the_same_whatever_pieces_they_come_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(parse_cases); i++)
        for (size_t step = 1; step < 12; step++)
            feed_in_steps(&parse_cases[i], step);
}

static void retry_takes_only_digits(void **state)
{
    static const struct {
        const char *line;
        ak_msec retry;
    } cases[] = {{"retry: 5000\n", 5000},
                 {"retry: 5s\n", -1},
                 {"retry: -1\n", -1},
                 {"retry:\n", -1},
                 {"retry: 99999999999999999999\n", -1}};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_sse_parser) p;

        ak_sse_parser_init(&p, 0);
        assert_int_equal(
            ak_sse_parser_feed(&p, cases[i].line, strlen(cases[i].line), collect, NULL), 0);
        assert_int_equal(p.retry, cases[i].retry);
    }
}

static void an_id_with_a_nul_is_ignored(void **state)
{
    AK_AUTO(ak_sse_parser) p;
    AK_AUTO(ak_buf) out = {.max = 4096};
    static const char stream[] = "id: a\0b\ndata: x\n\n";

    (void)state;
    ak_sse_parser_init(&p, 0);
    assert_int_equal(ak_sse_parser_feed(&p, stream, sizeof(stream) - 1, collect, &out), 0);
    assert_string_equal(ak_buf_text(&out), "message||x;");
    assert_string_equal(ak_sse_parser_last_id(&p), "");
}

static void long_names_are_cut(void **state)
{
    AK_AUTO(ak_sse_parser) p;
    AK_AUTO(ak_buf) in = {.max = 4096};
    AK_AUTO(ak_buf) out = {.max = 4096};

    (void)state;
    ak_sse_parser_init(&p, 0);
    assert_int_equal(ak_buf_adds(&in, "id: "), 0);
    for (int i = 0; i < 300; i++)
        assert_int_equal(ak_buf_adds(&in, "x"), 0);
    assert_int_equal(ak_buf_adds(&in, "\ndata: a\n\n"), 0);
    assert_int_equal(ak_sse_parser_feed(&p, in.data, in.len, collect, &out), 0);
    assert_int_equal(strlen(ak_sse_parser_last_id(&p)), AK_SSE_MAX_NAME);
}

static void an_event_above_the_limit_is_an_error_that_stays(void **state)
{
    AK_AUTO(ak_sse_parser) p;
    AK_AUTO(ak_buf) out = {.max = 4096};

    (void)state;
    ak_sse_parser_init(&p, 8);
    assert_int_equal(ak_sse_parser_feed(&p, "data: 12345678\n\n", 16, collect, &out), 0);
    assert_string_equal(ak_buf_text(&out), "message||12345678;");
    assert_int_equal(ak_sse_parser_feed(&p, "data: 1234\ndata: 56789\n", 23, collect, &out),
                     AK_E_TOO_LARGE);
    assert_int_equal(ak_sse_parser_feed(&p, "\n\ndata: a\n\n", 11, collect, &out), AK_E_TOO_LARGE);
    assert_string_equal(ak_buf_text(&out), "message||12345678;");
}

static void comments_may_be_longer_than_the_limit(void **state)
{
    AK_AUTO(ak_sse_parser) p;
    AK_AUTO(ak_buf) out = {.max = 4096};

    (void)state;
    ak_sse_parser_init(&p, 8);
    assert_int_equal(ak_sse_parser_feed(&p, ":", 1, collect, &out), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ak_sse_parser_feed(&p, "0123456789", 10, collect, &out), 0);
    assert_int_equal(ak_sse_parser_feed(&p, "\ndata: a\n\n", 10, collect, &out), 0);
    assert_string_equal(ak_buf_text(&out), "message||a;");
}

static int refuse(const struct ak_sse_event *e, void *user)
{
    (void)e;
    (void)user;
    return AK_E_GONE;
}

static void the_reader_may_give_up(void **state)
{
    AK_AUTO(ak_sse_parser) p;

    (void)state;
    ak_sse_parser_init(&p, 0);
    assert_int_equal(ak_sse_parser_feed(&p, "data: a\n\ndata: b\n\n", 18, refuse, NULL), AK_E_GONE);
}

static void what_is_written_is_read_back(void **state)
{
    static const struct {
        const char *event, *id, *data, *text, *back;
    } cases[] = {
        {"text", "1", "{}", "id: 1\nevent: text\ndata: {}\n\n", "text|1|{};"},
        {NULL, NULL, "a", "data: a\n\n", "message||a;"},
        {NULL, NULL, "", "data: \n\n", "message||;"},
        {NULL, NULL, "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n",
         "message||a\nb\nc\nd;"},
        {NULL, NULL, "a\n", "data: a\ndata: \n\n", "message||a\n;"},
        {NULL, NULL, " a", "data:  a\n\n", "message|| a;"},
        {NULL, "", "a", "id: \ndata: a\n\n", "message||a;"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_sse_parser) p;
        AK_AUTO(ak_buf) text = {.max = 4096};
        AK_AUTO(ak_buf) out = {.max = 4096};

        ak_sse_parser_init(&p, 0);
        assert_int_equal(
            ak_sse_write(&text, cases[i].event, cases[i].id, cases[i].data, strlen(cases[i].data)),
            0);
        assert_string_equal(ak_buf_text(&text), cases[i].text);
        assert_int_equal(ak_sse_parser_feed(&p, text.data, text.len, collect, &out), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].back);
    }
}

static void what_would_break_the_stream_is_not_written(void **state)
{
    AK_AUTO(ak_buf) out = {.max = 40};

    (void)state;
    assert_int_equal(ak_sse_write(&out, "a\nb", NULL, "x", 1), -EINVAL);
    assert_int_equal(ak_sse_write(&out, NULL, "a\rb", "x", 1), -EINVAL);
    assert_int_equal(ak_sse_write_comment(&out, "a\nb"), -EINVAL);
    assert_string_equal(ak_buf_text(&out), "");
    assert_int_equal(ak_sse_write_comment(&out, "keep-alive"), 0);
    assert_string_equal(ak_buf_text(&out), ": keep-alive\n\n");
    /* nothing of an event that does not fit */
    assert_int_equal(ak_sse_write(&out, "event", "12345", "1234567890", 10), AK_E_TOO_LARGE);
    assert_string_equal(ak_buf_text(&out), ": keep-alive\n\n");
    assert_int_equal(ak_sse_write_retry(&out, 2000), 0);
    assert_string_equal(ak_buf_text(&out), ": keep-alive\n\nretry: 2000\n\n");
}

static void without_memory_it_is_an_error(void **state)
{
    bool done = false;

    (void)state;
    for (int64_t n = 0; !done; n++) {
        AK_AUTO(ak_sse_parser) p;
        AK_AUTO(ak_buf) text = {.max = 4096};
        AK_AUTO(ak_buf) out = {.max = 4096};
        int r;

        ak_sse_parser_init(&p, 0);
        (void)ak_alloc_fail_after(n);
        r = ak_sse_write(&text, "a", "b", "c", 1);
        if (r >= 0)
            r = ak_sse_parser_feed(&p, text.data, text.len, collect, &out);
        (void)ak_alloc_fail_after(-1);
        done = r >= 0;
        if (!done)
            assert_int_equal(r, -ENOMEM);
        else
            assert_string_equal(ak_buf_text(&out), "a|b|c;");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_whatever_pieces_they_come_in),
        cmocka_unit_test(retry_takes_only_digits),
        cmocka_unit_test(an_id_with_a_nul_is_ignored),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(an_event_above_the_limit_is_an_error_that_stays),
        cmocka_unit_test(comments_may_be_longer_than_the_limit),
        cmocka_unit_test(the_reader_may_give_up),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(what_would_break_the_stream_is_not_written),
        cmocka_unit_test(without_memory_it_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
