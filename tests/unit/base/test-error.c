/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void an_error_says_code_text_and_place(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    assert_int_equal(ak_error_set(&err, -EINVAL, "spec.port: %d is too large", 70000), -EINVAL);
    assert_int_equal(ak_error_code(err), -EINVAL);
    assert_string_equal(ak_error_message(err), "spec.port: 70000 is too large");
    assert_non_null(strstr(ak_error_file(err), "test-error.c"));
    assert_true(ak_error_line(err) > 0);
}

static void who_wants_only_the_code_passes_null(void **state)
{
    (void)state;
    assert_int_equal(ak_error_set(NULL, AK_E_GONE, "gone"), AK_E_GONE);
    assert_int_equal(ak_error_wrap(NULL, AK_E_GONE, "list"), AK_E_GONE);
    assert_int_equal(ak_error_oom(NULL), -ENOMEM);
}

static void a_new_error_replaces_the_old(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    (void)ak_error_set(&err, -EINVAL, "first");
    (void)ak_error_set(&err, AK_E_GONE, "second, after %s", ak_error_message(err));
    assert_int_equal(ak_error_code(err), AK_E_GONE);
    assert_string_equal(ak_error_message(err), "second, after first");
}

static void wrapping_keeps_what_the_server_said(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int line;

    (void)state;
    (void)ak_error_set(&err, AK_E_THROTTLED, "too many requests");
    line = ak_error_line(err);
    ak_error_set_http(err, 429, "TooManyRequests", 1500);
    assert_int_equal(ak_error_wrap(&err, -EINVAL, "apply %s", "ConfigMap"), AK_E_THROTTLED);
    assert_string_equal(ak_error_message(err), "apply ConfigMap: too many requests");
    assert_int_equal(ak_error_http_status(err), 429);
    assert_string_equal(ak_error_reason(err), "TooManyRequests");
    assert_int_equal(ak_error_retry_after_ms(err), 1500);
    assert_int_equal(ak_error_line(err), line);
}

static void wrapping_nothing_makes_an_error(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    assert_int_equal(ak_error_wrap(&err, AK_E_PROTOCOL, "read \"%s\"", "x"), AK_E_PROTOCOL);
    assert_string_equal(ak_error_message(err), "read \"x\"");
}

static void out_of_memory_needs_no_memory(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    (void)ak_alloc_fail_after(0);
    assert_int_equal(ak_error_set(&err, -EINVAL, "x"), -ENOMEM);
    assert_true(ak_alloc_fail_after(-1));
    assert_int_equal(ak_error_code(err), -ENOMEM);
    assert_string_equal(ak_error_message(err), "out of memory");
    assert_int_equal(ak_error_wrap(&err, -EINVAL, "context"), -ENOMEM);
    ak_error_set_http(err, 500, "x", 1); /* the shared error does not change */
    assert_int_equal(ak_error_http_status(err), 0);
}

static void context_that_does_not_fit_into_memory_is_dropped(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    (void)ak_error_set(&err, AK_E_CONFLICT, "the cause");
    (void)ak_alloc_fail_after(0);
    assert_int_equal(ak_error_wrap(&err, -EINVAL, "context"), AK_E_CONFLICT);
    (void)ak_alloc_fail_after(-1);
    assert_string_equal(ak_error_message(err), "the cause");
}

static void a_huge_message_is_cut(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_TEXT char *huge = ak_asprintf("%100000d", 1);

    (void)state;
    (void)ak_error_set(&err, -EINVAL, "%s", huge);
    assert_true(strlen(ak_error_message(err)) < 8192);
    (void)ak_error_wrap(&err, -EINVAL, "%s", "context");
    assert_true(strlen(ak_error_message(err)) < 8192);
    assert_memory_equal(ak_error_message(err), "context:  ", 10);
}

static void no_error_reads_as_nothing(void **state)
{
    (void)state;
    assert_int_equal(ak_error_code(NULL), 0);
    assert_string_equal(ak_error_message(NULL), "");
    assert_string_equal(ak_error_reason(NULL), "");
    assert_string_equal(ak_error_file(NULL), "");
    assert_int_equal(ak_error_line(NULL), 0);
    assert_null(ak_error_free(NULL));
    ak_error_set_http(NULL, 500, NULL, 0);
}

static void every_code_has_a_text(void **state)
{
    (void)state;
    for (int code = AK_E_NOT_FOUND; code >= AK_E_PROTOCOL; code--)
        assert_string_not_equal(ak_code_text(code), "unknown error");
    assert_string_equal(ak_code_text(0), "success");
    assert_string_equal(ak_code_text(-ENOENT), "No such file or directory");
    assert_string_equal(ak_code_text(-99999), "unknown error");
}

static void http_answers_become_codes(void **state)
{
    static const struct {
        int status;
        const char *reason;
        int code;
    } cases[] = {
        {200, NULL, 0},
        {201, NULL, 0},
        {400, "BadRequest", AK_E_INVALID},
        {401, NULL, AK_E_UNAUTHORIZED},
        {403, NULL, AK_E_FORBIDDEN},
        {404, NULL, AK_E_NOT_FOUND},
        {405, NULL, AK_E_INVALID},
        {408, NULL, AK_E_SERVER},
        {409, "Conflict", AK_E_CONFLICT},
        {409, NULL, AK_E_CONFLICT},
        {409, "AlreadyExists", AK_E_ALREADY_EXISTS},
        {410, "Expired", AK_E_GONE},
        {413, NULL, AK_E_TOO_LARGE},
        {422, "Invalid", AK_E_INVALID},
        {429, NULL, AK_E_THROTTLED},
        {500, "InternalError", AK_E_SERVER},
        {503, NULL, AK_E_SERVER},
        {504, "Timeout", AK_E_SERVER},
        {302, NULL, AK_E_PROTOCOL},
        {0, NULL, AK_E_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        assert_int_equal(ak_code_from_http(cases[i].status, cases[i].reason), cases[i].code);
}

static void only_what_cannot_get_better_is_terminal(void **state)
{
    static const int terminal[] = {AK_E_TERMINAL, AK_E_INVALID, AK_E_TOO_LARGE, -EINVAL, -ERANGE};
    static const int retried[] = {AK_E_NOT_FOUND, AK_E_CONFLICT, AK_E_FORBIDDEN, AK_E_THROTTLED,
                                  AK_E_SERVER,    AK_E_PROTOCOL, -ENOMEM,        -ECONNREFUSED};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(terminal); i++)
        assert_true(ak_code_is_terminal(terminal[i]));
    for (size_t i = 0; i < AK_ARRAY_LEN(retried); i++)
        assert_false(ak_code_is_terminal(retried[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_code_text_and_place),
        cmocka_unit_test(who_wants_only_the_code_passes_null),
        cmocka_unit_test(a_new_error_replaces_the_old),
        cmocka_unit_test(wrapping_keeps_what_the_server_said),
        cmocka_unit_test(wrapping_nothing_makes_an_error),
        cmocka_unit_test(out_of_memory_needs_no_memory),
        cmocka_unit_test(context_that_does_not_fit_into_memory_is_dropped),
        cmocka_unit_test(a_huge_message_is_cut),
        cmocka_unit_test(no_error_reads_as_nothing),
        cmocka_unit_test(every_code_has_a_text),
        cmocka_unit_test(http_answers_become_codes),
        cmocka_unit_test(only_what_cannot_get_better_is_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
