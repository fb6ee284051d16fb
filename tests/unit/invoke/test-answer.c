/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ak/base/text.h>

#include "manager/invoke/answer.h"

static void test_an_error_becomes_a_status_object(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    (void)state;

    int r = ak_invoke_error_later(&err, 429, 1500, "agent \"%s\" is\nbusy", "a");
    assert_int_equal(r, AK_E_THROTTLED);
    assert_int_equal(ak_invoke_status_of(err, r), 429);
    assert_int_equal(ak_invoke_write_status(err, r, &out), 0);
    assert_string_equal(
        out.data,
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
        "\"message\":\"agent \\\"a\\\" is\\nbusy\",\"reason\":\"TooManyRequests\","
        "\"details\":{\"retryAfterSeconds\":2},\"code\":429}\n");
}

static void test_a_code_alone_is_enough(void **state)
{
    static const struct {
        int code, status;
        const char *reason;
    } cases[] = {
        {AK_E_NOT_FOUND, 404, "NotFound"},
        {AK_E_CONFLICT, 409, "Conflict"},
        {AK_E_ALREADY_EXISTS, 409, "Conflict"},
        {AK_E_GONE, 410, "Gone"},
        {AK_E_TOO_LARGE, 413, "RequestEntityTooLarge"},
        {AK_E_INVALID, 400, "BadRequest"},
        {-EINVAL, 400, "BadRequest"},
        {-ENOMEM, 503, "ServiceUnavailable"},
        {AK_E_CANCELLED, 503, "ServiceUnavailable"},
        {AK_E_PROTOCOL, 503, "ServiceUnavailable"},
        {-ETIMEDOUT, 504, "Timeout"},
        {-EIO, 500, "InternalError"},
    };
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        AK_AUTO_JSON *tree = NULL;
        assert_int_equal(ak_invoke_status_of(NULL, cases[i].code), cases[i].status);
        assert_int_equal(ak_invoke_write_status(NULL, cases[i].code, &out), 0);
        assert_int_equal(ak_json_parse(out.data, out.len, &tree, NULL), 0);
        assert_string_equal(ak_json_text(tree, "reason", NULL), cases[i].reason);
        assert_true(*ak_json_text(tree, "message", NULL));
    }
}

static void test_what_the_api_server_says_of_us_is_our_trouble(void **state)
{
    static const struct {
        int code, http, status;
    } cases[] = {
        {AK_E_UNAUTHORIZED, 401, 500}, {AK_E_FORBIDDEN, 403, 500}, {AK_E_NOT_FOUND, 404, 404},
        {AK_E_CONFLICT, 409, 409},     {AK_E_GONE, 410, 410},      {AK_E_INVALID, 422, 422},
        {AK_E_THROTTLED, 429, 429},    {AK_E_SERVER, 500, 503},    {AK_E_THROTTLED, 503, 503},
        {AK_E_PROTOCOL, 0, 503},       {-ETIMEDOUT, 0, 503},       {AK_E_TOO_LARGE, 0, 413},
    };
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_error *err = NULL;
        int r = ak_error_set(&err, cases[i].code, "it said no");
        if (cases[i].http)
            ak_error_set_http(err, cases[i].http, "", 0);
        r = ak_invoke_error_of_server(&err, r);
        assert_true(r < 0);
        assert_int_equal(ak_invoke_status_of(err, r), cases[i].status);
        ak_error_free(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_becomes_a_status_object),
        cmocka_unit_test(test_a_code_alone_is_enough),
        cmocka_unit_test(test_what_the_api_server_says_of_us_is_our_trouble),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
