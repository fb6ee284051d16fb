/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/error.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/ak-test-log.XXXXXX";
static int fd;

static int open_log(void **state)
{
    (void)state;
    fd = mkstemp(path);
    ak_log_set_fd(fd);
    return fd < 0;
}

static int close_log(void **state)
{
    (void)state;
    ak_log_set_fd(STDERR_FILENO);
    (void)unlink(path);
    return close(fd);
}

static int empty_log(void **state)
{
    (void)state;
    ak_log_set_reconcile(0);
    (void)lseek(fd, 0, SEEK_SET);
    return ftruncate(fd, 0) < 0 || ak_log_set_level("info") < 0;
}

/* Everything that was logged. The caller's buffer owns it. */
static const char *logged(struct ak_buf *buf)
{
    ak_buf_clear(buf);
    assert_int_equal(ak_buf_add_file(buf, path), 0);
    return ak_buf_text(buf);
}

static void a_line_is_one_json_object(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(1 << 20);
    AK_AUTO_PTR(ak_error) err = NULL;
    const char *rest;

    (void)state;
    (void)ak_error_set(&err, -EINVAL, "spec: \"x\"");
    ak_info("agent", "pod created", AK_STR("namespace", "a\nb"), AK_STR("absent", NULL),
            AK_INT("try", -2), AK_BOOL("paused", true), AK_ERR(err), AK_ERR(NULL));
    rest = strstr(logged(&buf), "Z\",");
    assert_non_null(rest);
    assert_memory_equal(buf.data, "{\"ts\":\"2", 8);
    assert_string_equal(rest, "Z\",\"level\":\"info\",\"logger\":\"agent\",\"msg\":\"pod created\","
                              "\"namespace\":\"a\\nb\",\"try\":-2,\"paused\":true,"
                              "\"error\":\"spec: \\\"x\\\"\"}\n");
}

static void the_reconcile_of_the_thread_is_named(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(1 << 20);

    (void)state;
    ak_log_set_reconcile(0xab);
    ak_info("agent", "x");
    assert_non_null(strstr(logged(&buf), "\"reconcileID\":\"00000000000000ab\""));
    ak_log_set_reconcile(0);
    (void)empty_log(state);
    ak_info("agent", "x");
    assert_null(strstr(logged(&buf), "reconcileID"));
}

static void a_long_value_is_cut_and_the_line_stays_json(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(1 << 20);
    AK_AUTO_TEXT char *huge = ak_asprintf("%100000d", 1);

    (void)state;
    ak_info("agent", "x", AK_STR("huge", huge), AK_STR("huge2", huge), AK_INT("n", 1));
    (void)logged(&buf);
    assert_true(buf.len <= PIPE_BUF);
    assert_true(buf.len > 1000);
    assert_true(ak_has_suffix(buf.data, ",\"truncated\":true}\n"));
    assert_non_null(strstr(buf.data, "\"huge\":\"   "));
}

static void levels_hide_what_is_below(void **state)
{
    static const struct {
        const char *spec;
        const char *logger;
        enum ak_log_level lowest; /* that is shown */
    } cases[] = {
        {"debug", "x", AK_LOG_DEBUG},
        {"info", "x", AK_LOG_INFO},
        {"warn", "x", AK_LOG_WARN},
        {"error", "x", AK_LOG_ERROR},
        {"info,+watch", "watch", AK_LOG_DEBUG},
        {"info,+watch", "leader", AK_LOG_INFO},
        {"info,+watch", NULL, AK_LOG_INFO},
        {"info,+watch,-leader", "leader", AK_LOG_ERROR},
        {"+watch", "leader", AK_LOG_INFO},
        {"-watch,+watch", "watch", AK_LOG_DEBUG},
        {"error,+watch", "watch", AK_LOG_DEBUG},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        assert_int_equal(ak_log_set_level(cases[i].spec), 0);
        for (int level = 0; level < AK_LOG_MAX; level++)
            assert_int_equal(ak_log_enabled((enum ak_log_level)level, cases[i].logger),
                             level >= (int)cases[i].lowest);
    }
}

static void a_bad_level_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",      "verbose",     "info,",
        ",info", "+",           "info,+",
        "INFO",  "info +watch", "+a-name-that-is-longer-than-any-logger"};

    (void)state;
    assert_int_equal(ak_log_set_level("warn,+watch"), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(bad); i++)
        assert_int_equal(ak_log_set_level(bad[i]), -EINVAL);
    assert_false(ak_log_enabled(AK_LOG_INFO, "x"));
    assert_true(ak_log_enabled(AK_LOG_DEBUG, "watch"));
}

static int evaluated;

static int evaluate(void)
{
    return ++evaluated;
}

static void a_hidden_line_costs_no_evaluation(void **state)
{
    (void)state;
    ak_debug("x", "hidden", AK_INT("n", evaluate()));
    assert_int_equal(evaluated, 0);
    ak_info("x", "shown", AK_INT("n", evaluate()));
    assert_int_equal(evaluated, 1);
}

static void logging_needs_no_heap(void **state)
{
    (void)state;
    (void)ak_alloc_fail_after(0);
    ak_info("x", "message", AK_STR("key", "value"));
    assert_false(ak_alloc_fail_after(-1));
}

static void log_much(void *user)
{
    (void)user;
    for (int i = 0; i < 500; i++) {
        ak_info("x", "message", AK_INT("n", i), AK_STR("text", "0123456789012345678901234567890"));
        if (i % 100 == 0)
            assert_int_equal(ak_log_set_level("info,+y"), 0);
    }
}

static void lines_of_many_threads_do_not_mix(void **state)
{
    AK_AUTO(ak_buf) buf = AK_BUF_INIT(4 << 20);
    struct ak_thread threads[4];
    size_t lines = 0;
    char *save = NULL;

    (void)state;
    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(threads); i++)
        assert_int_equal(ak_thread_start(&threads[i], "logger", log_much, NULL), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(threads); i++)
        ak_thread_join(&threads[i]);
    (void)logged(&buf);
    for (char *line = strtok_r(buf.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        assert_true(ak_has_prefix(line, "{\"ts\":\""));
        assert_true(ak_has_suffix(line, "\"text\":\"0123456789012345678901234567890\"}"));
        lines++;
    }
    assert_int_equal(lines, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_is_one_json_object, empty_log),
        cmocka_unit_test_setup(the_reconcile_of_the_thread_is_named, empty_log),
        cmocka_unit_test_setup(a_long_value_is_cut_and_the_line_stays_json, empty_log),
        cmocka_unit_test_setup(levels_hide_what_is_below, empty_log),
        cmocka_unit_test_setup(a_bad_level_changes_nothing, empty_log),
        cmocka_unit_test_setup(a_hidden_line_costs_no_evaluation, empty_log),
        cmocka_unit_test_setup(logging_needs_no_heap, empty_log),
        cmocka_unit_test_setup(lines_of_many_threads_do_not_mix, empty_log),
    };

    return cmocka_run_group_tests(tests, open_log, close_log);
}
