/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "exo/doctor.h"
#include "exo/nearest.h"
#include "exo/output.h"

static void json_is_indented_as_kubectl_does_it(void **state)
{
    static const char in[] = "{\"a\":[1,{\"b\":\"x\\\"{,:]\"}],\"e\":{},\"f\":[]}";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
    (void)state;
    assert_int_equal(ak_output_indent(in, strlen(in), &out), 0);
    assert_string_equal(ak_buf_text(&out), "{\n"
                                           "    \"a\": [\n"
                                           "        1,\n"
                                           "        {\n"
                                           "            \"b\": \"x\\\"{,:]\"\n"
                                           "        }\n"
                                           "    ],\n"
                                           "    \"e\": {},\n"
                                           "    \"f\": []\n"
                                           "}\n");
}

static void ages_are_spelled_as_kubectl_spells_them(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {119, "119s"},
        {120, "2m"},
        {135, "2m15s"},
        {600, "10m"},
        {10799, "179m"},
        {10800, "3h"},
        {11400, "3h10m"},
        {8 * 3600, "8h"},
        {47 * 3600, "47h"},
        {50 * 3600, "2d2h"},
        {9 * 86400, "9d"},
        {800 * 86400, "2y70d"},
        {-5, "0s"},
    };
    char time[AK_RFC3339_SIZE], buf[32];
    ak_msec now = 1800000000000;
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        (void)ak_format_rfc3339(now - cases[i].seconds * 1000, time);
        assert_string_equal(ak_output_age(time, now, buf), cases[i].text);
    }
    assert_string_equal(ak_output_age("yesterday", now, buf), "<unknown>");
    assert_string_equal(ak_output_age(NULL, now, buf), "<unknown>");
}

static void numbers_are_readable(void **state)
{
    char buf[32];
    (void)state;
    assert_string_equal(ak_output_thousands(0, buf), "0");
    assert_string_equal(ak_output_thousands(999, buf), "999");
    assert_string_equal(ak_output_thousands(1234, buf), "1,234");
    assert_string_equal(ak_output_thousands(INT64_MAX, buf), "9,223,372,036,854,775,807");
    assert_string_equal(ak_output_span(3249, buf), "3.2s");
    assert_string_equal(ak_output_span(65000, buf), "1m5s");
    assert_string_equal(ak_output_span(7380000, buf), "2h3m");
}

static void exit_codes_are_those_that_are_documented(void **state)
{
    static const struct {
        int code, http;
        enum ak_exit exit;
    } cases[] = {
        {-EINVAL, 0, AK_EXIT_USAGE},
        {AK_E_NOT_FOUND, 404, AK_EXIT_NOT_FOUND},
        {AK_E_GONE, 410, AK_EXIT_NOT_FOUND},
        {AK_E_FORBIDDEN, 403, AK_EXIT_FORBIDDEN},
        {AK_E_UNAUTHORIZED, 401, AK_EXIT_FORBIDDEN},
        {AK_E_CONFLICT, 409, AK_EXIT_BUSY},
        {AK_E_THROTTLED, 429, AK_EXIT_BUSY},
        {AK_E_SERVER, 504, AK_EXIT_TIMEOUT},
        {-ETIMEDOUT, 0, AK_EXIT_TIMEOUT},
        {AK_E_SERVER, 500, AK_EXIT_FAILED},
        {AK_E_PROTOCOL, 0, AK_EXIT_FAILED},
        {AK_E_INVALID, 422, AK_EXIT_FAILED},
        {AK_E_INVALID, 428, AK_EXIT_BUSY},
        {AK_E_THROTTLED, 503, AK_EXIT_FAILED},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        (void)ak_error_set(&err, cases[i].code, "x");
        ak_error_set_http(err, cases[i].http, "", 0);
        assert_int_equal(ak_exo_exit_of(cases[i].code, err), cases[i].exit);
    }
}

static void a_word_is_near_to_what_was_meant(void **state)
{
    static const struct {
        const char *word, *candidate;
        bool near;
    } cases[] = {
        {"list", "list", true},     {"lsit", "list", true},        {"lst", "list", true},
        {"lists", "list", true},    {"xxxx", "list", false},       {"", "list", false},
        {"rnu", "run", true},       {"describ", "describe", true}, {"cancl", "cancel", true},
        {"shell", "resume", false}, {"go", "run", false},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_nearest near = {.word = cases[i].word};
        ak_nearest_try(&near, cases[i].candidate);
        if ((near.best != NULL) != cases[i].near)
            fail_msg("%s, %s", cases[i].word, cases[i].candidate);
    }
}

static void a_pod_that_does_not_start_says_why(void **state)
{
    static const struct {
        const char *status, *want;
    } cases[] = {
        {"{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"agent\",\"state\":{\"running\":"
         "{}}}]}",
         ""},
        {"{\"containerStatuses\":[{\"name\":\"agent\",\"state\":{\"waiting\":{\"reason\":"
         "\"ContainerCreating\"}}}]}",
         ""},
        {"{\"containerStatuses\":[{\"name\":\"agent\",\"image\":\"x/y:1\",\"state\":{\"waiting\":{"
         "\"reason\":\"ImagePullBackOff\",\"message\":\"back-off\"}}}]}",
         "container agent: ImagePullBackOff, image x/y:1: back-off"},
        {"{\"initContainerStatuses\":[{\"name\":\"workspace\",\"state\":{\"waiting\":{\"reason\":"
         "\"CrashLoopBackOff\"}}}]}",
         "container workspace: CrashLoopBackOff"},
        {"{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\",\"message\":\"0/3 "
         "nodes\"}]}",
         "no node takes it: 0/3 nodes"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        AK_AUTO_JSON *status = NULL;
        assert_int_equal(ak_json_parse(cases[i].status, strlen(cases[i].status), &status, NULL), 0);
        AK_AUTO_JSON *pod = json_pack("{sO}", "status", status);
        assert_int_equal(ak_doctor_pod_problem(pod, &out), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_indented_as_kubectl_does_it),
        cmocka_unit_test(ages_are_spelled_as_kubectl_spells_them),
        cmocka_unit_test(numbers_are_readable),
        cmocka_unit_test(exit_codes_are_those_that_are_documented),
        cmocka_unit_test(a_word_is_near_to_what_was_meant),
        cmocka_unit_test(a_pod_that_does_not_start_says_why),
    };
    return cmocka_run_group_tests_name("exo/output", tests, NULL, NULL);
}
