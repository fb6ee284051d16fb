/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/json/split.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What came out, one value a line, "M " before metadata. */
struct sink {
    struct ak_buf got;
    size_t stop_at; /* this value is answered with AK_E_CANCELLED; 0: none */
    size_t n;
};

static int take(enum ak_split_value what, const char *text, size_t len, void *user,
                struct ak_error **reterr)
{
    struct sink *sink = user;

    if (++sink->n == sink->stop_at)
        return ak_error_set(reterr, AK_E_CANCELLED, "enough");
    assert_int_equal(ak_buf_adds(&sink->got, what == AK_SPLIT_METADATA ? "M " : ""), 0);
    assert_int_equal(ak_buf_add(&sink->got, text, len), 0);
    assert_int_equal(ak_buf_adds(&sink->got, "\n"), 0);
    return 0;
}

/* Feeds the text in pieces of `step` bytes, ends the stream, returns the first failure. */
static int run(struct ak_split *split, const char *text, size_t step, struct ak_error **reterr)
{
    size_t len = strlen(text);
    int r = 0;

    for (size_t at = 0; r >= 0 && at < len; at += step)
        r = ak_split_feed(split, text + at, AK_MIN(step, len - at), reterr);
    return r < 0 ? r : ak_split_end(split, reterr);
}

struct example {
    enum ak_split_mode mode;
    const char *text;
    int code;
    const char *values;
};

static const struct example examples[] = {
    /* watches */
    {AK_SPLIT_FRAMES, "", 0, ""},
    {AK_SPLIT_FRAMES, " \r\n\t", 0, ""},
    {AK_SPLIT_FRAMES, "{\"a\":1}\n{\"b\":2}\n", 0, "{\"a\":1}\n{\"b\":2}\n"},
    {AK_SPLIT_FRAMES, "{}{}[[]]", 0, "{}\n{}\n[[]]\n"},
    {AK_SPLIT_FRAMES, "{\"a\":\"}\\\"{\\\\\"}", 0, "{\"a\":\"}\\\"{\\\\\"}\n"},
    {AK_SPLIT_FRAMES, "{\"a\":[{\"b\":[]}]}", 0, "{\"a\":[{\"b\":[]}]}\n"},
    {AK_SPLIT_FRAMES, "{\"a\":1}\n{\"b\":", AK_E_PROTOCOL, "{\"a\":1}\n"},
    {AK_SPLIT_FRAMES, "{\"a", AK_E_PROTOCOL, ""},
    {AK_SPLIT_FRAMES, "404 page not found", AK_E_PROTOCOL, ""},
    {AK_SPLIT_FRAMES, "<html>", AK_E_PROTOCOL, ""},
    {AK_SPLIT_FRAMES, "{}]", AK_E_PROTOCOL, "{}\n"},
    {AK_SPLIT_FRAMES, "{]", AK_E_PROTOCOL, ""},
    {AK_SPLIT_FRAMES, "[{\"a\":[}]", AK_E_PROTOCOL, ""},
    /* lists */
    {AK_SPLIT_LIST, "{\"kind\":\"L\",\"metadata\":{\"rv\":\"7\"},\"items\":[{\"a\":1},{\"b\":2}]}",
     0, "M {\"rv\":\"7\"}\n{\"a\":1}\n{\"b\":2}\n"},
    {AK_SPLIT_LIST, " { \"items\" : [ { } , { } ] , \"x\" : -1.5e3 , \"y\" : true } \n", 0,
     "{ }\n{ }\n"},
    {AK_SPLIT_LIST, "{\"items\":null,\"metadata\":{}}", 0, "M {}\n"},
    {AK_SPLIT_LIST, "{\"items\":[]}", 0, ""},
    {AK_SPLIT_LIST, "{}", 0, ""},
    {AK_SPLIT_LIST, "{\"x\":{\"items\":[{}],\"metadata\":{}},\"s\":\"\\\"items\\\":[\"}", 0, ""},
    {AK_SPLIT_LIST, "{\"itemsitemsitemsitems\":[{}],\"ite\\u006ds\":[{}]}", 0, ""},
    {AK_SPLIT_LIST, "", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{\"items\":[{\"a\":1},", AK_E_PROTOCOL, "{\"a\":1}\n"},
    {AK_SPLIT_LIST, "{\"items\":[{}]", AK_E_PROTOCOL, "{}\n"},
    {AK_SPLIT_LIST, "[]", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{\"items\":{}}", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{\"items\":[5]}", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{\"items\":[{},]}", AK_E_PROTOCOL, "{}\n"},
    {AK_SPLIT_LIST, "{\"items\":[{}{}]}", AK_E_PROTOCOL, "{}\n"},
    {AK_SPLIT_LIST, "{\"a\":1,}", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{\"a\" 1}", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{a:1}", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{\"a\":x}", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{\"metadata\":null}", AK_E_PROTOCOL, ""},
    {AK_SPLIT_LIST, "{}{}", AK_E_PROTOCOL, ""},
};

static void check(const struct example *example, size_t step)
{
    struct sink sink = {.got = AK_BUF_INIT(10000)};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_PTR(ak_split) split = ak_split_new(example->mode, 1000, take, &sink);
    int r = run(split, example->text, step, &err);

    if (r != example->code || strcmp(ak_buf_text(&sink.got), example->values) != 0)
        fail_msg("%s in steps of %zu gives %d and %s", example->text, step, r,
                 ak_buf_text(&sink.got));
    assert_int_equal(ak_error_code(err), r);
    ak_buf_done(&sink.got);
}

static void values_come_out_however_the_bytes_come_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(examples); i++)
        for (size_t step = 1; step < 100; step += step < 8 ? 1 : 30)
            check(&examples[i], step);
}

static void a_value_over_the_limit_is_refused(void **state)
{
    (void)state;
    for (size_t step = 1; step < 100; step += 45) {
        struct sink sink = {.got = AK_BUF_INIT(1000)};
        AK_AUTO_PTR(ak_split) split = ak_split_new(AK_SPLIT_FRAMES, 10, take, &sink);
        AK_AUTO_PTR(ak_error) err = NULL;

        assert_int_equal(run(split, "{\"a\":1234}", step, NULL), 0);
        assert_int_equal(run(split, "{\"a\":12345}", step, &err), AK_E_TOO_LARGE);
        assert_string_equal(ak_error_message(err), "one value is larger than 10 bytes");
        ak_buf_done(&sink.got);
    }
}

static void skipped_members_have_no_limit(void **state)
{
    struct sink sink = {.got = AK_BUF_INIT(1000)};
    AK_AUTO_PTR(ak_split) split = ak_split_new(AK_SPLIT_LIST, 10, take, &sink);

    (void)state;
    assert_int_equal(run(split, "{\"x\":{\"a\":\"01234567890123456789\"},\"items\":[{}]}", 3, NULL),
                     0);
    assert_string_equal(ak_buf_text(&sink.got), "{}\n");
    ak_buf_done(&sink.got);
}

static void nesting_has_a_limit(void **state)
{
    struct sink sink = {.got = AK_BUF_INIT(1000)};
    AK_AUTO_PTR(ak_split) split = ak_split_new(AK_SPLIT_FRAMES, 10000, take, &sink);
    char text[AK_JSON_MAX_DEPTH * 2 + 4] = "";

    (void)state;
    memset(text, '[', AK_JSON_MAX_DEPTH);
    memset(text + AK_JSON_MAX_DEPTH, ']', AK_JSON_MAX_DEPTH);
    assert_int_equal(run(split, text, 1000, NULL), 0);
    assert_int_equal(sink.n, 1);
    memset(text, '[', AK_JSON_MAX_DEPTH + 1);
    assert_int_equal(run(split, text, 1000, NULL), AK_E_TOO_LARGE);
    ak_buf_done(&sink.got);
}

static void the_taker_can_stop_the_stream(void **state)
{
    struct sink sink = {.got = AK_BUF_INIT(1000), .stop_at = 2};
    AK_AUTO_PTR(ak_split) split = ak_split_new(AK_SPLIT_FRAMES, 100, take, &sink);
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    assert_int_equal(ak_split_feed(split, "{}{}{}", 6, &err), AK_E_CANCELLED);
    assert_string_equal(ak_error_message(err), "enough");
    assert_int_equal(ak_split_feed(split, "{}", 2, NULL), AK_E_CANCELLED);
    assert_int_equal(ak_split_end(split, NULL), AK_E_CANCELLED);
    assert_string_equal(ak_buf_text(&sink.got), "{}\n");
    ak_buf_done(&sink.got);
}

static void reset_begins_another_stream(void **state)
{
    struct sink sink = {.got = AK_BUF_INIT(1000)};
    AK_AUTO_PTR(ak_split) split = ak_split_new(AK_SPLIT_FRAMES, 100, take, &sink);

    (void)state;
    assert_int_equal(ak_split_feed(split, "{\"half\":", 8, NULL), 0);
    ak_split_reset(split, AK_SPLIT_LIST);
    assert_int_equal(run(split, "{\"items\":[{}]}", 5, NULL), 0);
    assert_string_equal(ak_buf_text(&sink.got), "{}\n");
    ak_buf_done(&sink.got);
}

static void each_allocation_may_fail(void **state)
{
    struct sink sink = {.got = AK_BUF_INIT(1000)};
    bool failed = true;

    (void)state;
    assert_int_equal(ak_buf_adds(&sink.got, "the sink allocates nothing more"), 0);
    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO_PTR(ak_split) split = NULL;
        int r;

        ak_buf_clear(&sink.got);
        (void)ak_alloc_fail_after(n);
        split = ak_split_new(AK_SPLIT_FRAMES, 100, take, &sink);
        r = split ? run(split, "{\"a\":[1,2,3]}", 2, &err) : -ENOMEM;
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
    }
    ak_buf_done(&sink.got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_out_however_the_bytes_come_in),
        cmocka_unit_test(a_value_over_the_limit_is_refused),
        cmocka_unit_test(skipped_members_have_no_limit),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(the_taker_can_stop_the_stream),
        cmocka_unit_test(reset_begins_another_stream),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
