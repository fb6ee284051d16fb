/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void an_empty_buffer_reads_as_empty_text(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(10);
    AK_AUTO_TEXT char *taken = NULL;

    (void)state;
    assert_string_equal(ak_buf_text(&buf), "");
    ak_buf_clear(&buf);
    ak_buf_consume(&buf, 5);
    taken = ak_buf_take(&buf);
    assert_string_equal(taken, "");
}

static void content_up_to_the_limit_fits(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(10);

    (void)state;
    assert_int_equal(ak_buf_adds(&buf, "12345"), 0);
    assert_int_equal(ak_buf_addf(&buf, "%05d", 6), 0);
    assert_string_equal(buf.data, "1234500006");
    assert_int_equal(ak_buf_add(&buf, "x", 1), AK_E_TOO_LARGE);
    assert_int_equal(ak_buf_addf(&buf, "%d", 1), AK_E_TOO_LARGE);
    assert_int_equal(ak_buf_add_json_string(&buf, "", 0), AK_E_TOO_LARGE);
    assert_int_equal(ak_buf_add_url_escaped(&buf, "a"), AK_E_TOO_LARGE);
    assert_int_equal(ak_buf_add(&buf, NULL, 0), 0);
    assert_string_equal(buf.data, "1234500006");
    assert_int_equal(buf.len, 10);
}

static void a_large_limit_takes_no_memory_in_advance(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(SIZE_MAX);

    (void)state;
    assert_int_equal(ak_buf_adds(&buf, "x"), 0);
    assert_true(buf.cap < 1024);
}

static void consume_drops_the_front(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(100);

    (void)state;
    assert_int_equal(ak_buf_adds(&buf, "abcdef"), 0);
    ak_buf_consume(&buf, 2);
    assert_string_equal(buf.data, "cdef");
    ak_buf_consume(&buf, 99);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.len, 0);
}

static void take_moves_the_memory_out(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(100);
    AK_AUTO_TEXT char *taken = NULL;

    (void)state;
    assert_int_equal(ak_buf_adds(&buf, "abc"), 0);
    taken = ak_buf_take(&buf);
    assert_string_equal(taken, "abc");
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.max, 100);
}

static void secrets_are_overwritten_when_they_go(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(100);

    (void)state;
    buf.wipe = true;
    assert_int_equal(ak_buf_adds(&buf, "hunter2 hunter2"), 0);
    ak_buf_consume(&buf, 8);
    assert_string_equal(buf.data, "hunter2");
    for (size_t i = buf.len; i < 15; i++)
        assert_int_equal(buf.data[i], 0);
    ak_buf_clear(&buf);
    for (size_t i = 0; i < buf.cap; i++)
        assert_int_equal(buf.data[i], 0);
}

static void growing_keeps_a_secret_whole(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(100000);

    (void)state;
    buf.wipe = true;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ak_buf_addf(&buf, "%04d", i), 0);
    assert_int_equal(buf.len, 4000);
    assert_memory_equal(buf.data + 3996, "0999", 5);
}

static void json_strings_are_escaped(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},                                                         /* no UTF-8 at all */
        {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* overlong */
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
        {"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* cut off */
        {"\xf4\x90\x80\x80", 4,
         "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* beyond Unicode */
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) buf = AK_BUF_INIT(200);

        assert_int_equal(ak_buf_add_json_string(&buf, cases[i].in, cases[i].len), 0);
        assert_string_equal(buf.data, cases[i].out);
    }
}

static void a_json_string_that_does_not_fit_leaves_nothing(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(8);

    (void)state;
    assert_int_equal(ak_buf_adds(&buf, "abc"), 0);
    assert_int_equal(ak_buf_add_json_string(&buf, "1234", 4), AK_E_TOO_LARGE);
    assert_string_equal(buf.data, "abc");
    assert_int_equal(ak_buf_add_json_string(&buf, "123", 3), 0);
}

static void urls_are_escaped(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(200);

    (void)state;
    assert_int_equal(ak_buf_add_url_escaped(&buf, "a-Z_0.9~/?=& \xc3\xa9%"), 0);
    assert_string_equal(buf.data, "a-Z_0.9~%2F%3F%3D%26%20%C3%A9%25");
}

static void make_file(char path[static 32], size_t size)
{
    AK_AUTO_TEXT char *data = ak_calloc(1, size + 1);
    int fd;

    (void)snprintf(path, 32, "/tmp/ak-test-buf.XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    memset(data, 'x', size);
    assert_int_equal(write(fd, data, size), size);
    (void)close(fd);
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
    static const struct {
        size_t size;
        int expected;
    } cases[] = {{0, 0}, {1, 0}, {4096, 0}, {9999, 0}, {10000, 0}, {10001, AK_E_TOO_LARGE}};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) buf = AK_BUF_INIT(10003);
        char path[32];

        make_file(path, cases[i].size);
        assert_int_equal(ak_buf_adds(&buf, "abc"), 0);
        assert_int_equal(ak_buf_add_file(&buf, path), cases[i].expected);
        assert_int_equal(buf.len, cases[i].expected ? 3 : 3 + cases[i].size);
        assert_int_equal(strlen(buf.data), buf.len);
        (void)unlink(path);
    }
}

static void a_missing_file_is_an_errno(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(10);

    (void)state;
    assert_int_equal(ak_buf_add_file(&buf, "/nonexistent"), -ENOENT);
    assert_int_equal(ak_buf_add_file(&buf, "/tmp"), -EISDIR);
}

static int fill(struct ak_buf *buf)
{
    int r = 0;

    for (int i = 0; r >= 0 && i < 500; i++)
        r = ak_buf_addf(buf, "%d,", i);
    return r < 0 ? r : ak_buf_add_json_string(buf, "\n", 1);
}

static void each_allocation_may_fail(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        AK_AUTO(ak_buf) buf = AK_BUF_INIT(100000);
        int r;

        (void)ak_alloc_fail_after(n);
        r = fill(&buf);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        assert_int_equal(strlen(ak_buf_text(&buf)), buf.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_reads_as_empty_text),
        cmocka_unit_test(content_up_to_the_limit_fits),
        cmocka_unit_test(a_large_limit_takes_no_memory_in_advance),
        cmocka_unit_test(consume_drops_the_front),
        cmocka_unit_test(take_moves_the_memory_out),
        cmocka_unit_test(secrets_are_overwritten_when_they_go),
        cmocka_unit_test(growing_keeps_a_secret_whole),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(a_json_string_that_does_not_fit_leaves_nothing),
        cmocka_unit_test(urls_are_escaped),
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_missing_file_is_an_errno),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
