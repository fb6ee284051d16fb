/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/verdict.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/log.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/test-verdict-XXXXXX";

static void report(enum ak_verdict verdict, const char *text, const char *tail, struct ak_buf *ret)
{
    assert_int_equal(ak_verdict_report(verdict, path, text, tail), ak_verdict_exit_code(verdict));
    ak_buf_clear(ret);
    assert_int_equal(ak_buf_add_file(ret, path), 0);
}

static void every_verdict_has_a_reason_fit_for_a_condition(void **state)
{
    (void)state;
    for (int i = 0; i < AK_VERDICT_MAX; i++) {
        const char *reason = ak_verdict_reason(i);

        assert_non_null(reason);
        assert_true(reason[0] >= 'A' && reason[0] <= 'Z');
        assert_int_equal(strspn(reason, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
                         strlen(reason));
        assert_in_range(ak_verdict_exit_code(i), 0, 11);
    }
}

static void a_message_is_reason_text_and_tail(void **state)
{
    AK_AUTO(ak_buf) message = AK_BUF_INIT(8192);

    (void)state;
    report(AK_VERDICT_KEPT, "nothing to do", NULL, &message);
    assert_string_equal(message.data, "Kept: nothing to do");
    report(AK_VERDICT_SETUP_FAILED, "it failed", "one\ntwo\n\n", &message);
    assert_string_equal(message.data, "SetupFailed: it failed\none\ntwo");
    report(AK_VERDICT_SETUP_FAILED, "two\nlines", "", &message);
    assert_string_equal(message.data, "SetupFailed: two lines");
}

static void what_is_too_long_loses_its_beginning_at_a_line(void **state)
{
    AK_AUTO(ak_buf) message = AK_BUF_INIT(8192);
    AK_AUTO(ak_buf) tail = AK_BUF_INIT(65536);
    char text[5000];

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ak_buf_addf(&tail, "line %d\n", i), 0);
    report(AK_VERDICT_SETUP_FAILED, "it failed", tail.data, &message);
    assert_true(message.len <= AK_VERDICT_MAX_BYTES && message.len > AK_VERDICT_MAX_BYTES - 20);
    assert_int_equal(strncmp(message.data, "SetupFailed: it failed\nline ", 28), 0);
    assert_string_equal(message.data + message.len - 9, "\nline 999");

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    report(AK_VERDICT_INTERNAL_ERROR, text, text, &message);
    assert_int_equal(message.len, AK_VERDICT_MAX_BYTES);
}

static void the_message_is_always_valid_utf8(void **state)
{
    static const struct {
        const char *tail, *shown;
    } cases[] = {
        {"gr\xc3\xbcn", "gr\xc3\xbcn"},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc0\xaf", "??"}, /* overlong */
        {"\xe0\x80\x80", "???"},
        {"\xed\xa0\x80", "???"},      /* a surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
        {"\xff\xfe", "??"},
        {"a\xe2\x82", "a??"}, /* cut */
        {"\xe2\x28\xa1", "?(?"},
        {"bell\a del\x7f tab\tcr\r", "bell? del? tab\tcr?"},
        {"\033[31mred", "?[31mred"},
    };
    AK_AUTO(ak_buf) message = AK_BUF_INIT(8192);

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        report(AK_VERDICT_SETUP_FAILED, "x", cases[i].tail, &message);
        assert_string_equal(message.data + strlen("SetupFailed: x\n"), cases[i].shown);
    }
}

static void a_message_that_cannot_be_written_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(ak_verdict_report(AK_VERDICT_CLONE_FAILED, "/nowhere/message", "x", NULL), 4);
}

static void short_memory_changes_nothing(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        (void)ak_alloc_fail_after(n);
        assert_int_equal(ak_verdict_report(AK_VERDICT_SETUP_TIMEOUT, path, "x", "tail"), 11);
        if (!ak_alloc_fail_after(-1))
            break;
    }
}

static void errors_of_the_configuration_are_told_from_the_machines(void **state)
{
    (void)state;
    assert_int_equal(ak_verdict_of_error(-EINVAL), AK_VERDICT_INVALID_CONFIGURATION);
    assert_int_equal(ak_verdict_of_error(-ENOSPC), AK_VERDICT_INTERNAL_ERROR);
    assert_int_equal(ak_verdict_of_error(-ENOMEM), AK_VERDICT_INTERNAL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verdict_has_a_reason_fit_for_a_condition),
        cmocka_unit_test(a_message_is_reason_text_and_tail),
        cmocka_unit_test(what_is_too_long_loses_its_beginning_at_a_line),
        cmocka_unit_test(the_message_is_always_valid_utf8),
        cmocka_unit_test(a_message_that_cannot_be_written_changes_nothing),
        cmocka_unit_test(short_memory_changes_nothing),
        cmocka_unit_test(errors_of_the_configuration_are_told_from_the_machines),
    };
    int fd = mkstemp(path), quiet = open("/dev/null", O_WRONLY | O_CLOEXEC), failed = 0;

    if (fd < 0 || quiet < 0)
        return 1;
    ak_log_set_fd(quiet);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)close(fd);
    (void)close(quiet);
    (void)unlink(path);
    return failed;
}
