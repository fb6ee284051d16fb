/* SPDX-License-Identifier: Apache-2.0 */
#include "door/answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define HEAD                                                                                       \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","           \
    "\"reason\":\"R\",\"code\":503,"

static void errors_are_status_objects(void **state)
{
    static const struct {
        int retry_after;
        const char *message, *details, *want;
    } cases[] = {
        {0, "no", NULL, HEAD "\"message\":\"no\"}"},
        {0, "a \"b\"\n\xff", NULL, HEAD "\"message\":\"a \\\"b\\\"\\n\xef\xbf\xbd\"}"},
        {1, "no", NULL, HEAD "\"details\":{\"retryAfterSeconds\":1},\"message\":\"no\"}"},
        {0, "no", "\"a\":1", HEAD "\"details\":{\"a\":1},\"message\":\"no\"}"},
        {5, "no", "\"a\":1",
         HEAD "\"details\":{\"retryAfterSeconds\":5,\"a\":1},\"message\":\"no\"}"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_DOOR_STATUS_MAX);

        assert_int_equal(ak_door_write_status(503, "R", cases[i].message, cases[i].retry_after,
                                              cases[i].details, &out),
                         0);
        assert_string_equal(ak_buf_text(&out), cases[i].want);
    }
}

static void too_long_a_message_is_an_error(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(256);
    char message[512];

    (void)state;
    memset(message, 'x', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    assert_int_equal(ak_door_write_status(503, "R", message, 0, NULL, &out), AK_E_TOO_LARGE);
}

static void status_without_memory_says_so(void **state)
{
    int r = -1;

    (void)state;
    for (int i = 0; r < 0; i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_DOOR_STATUS_MAX);

        ak_alloc_fail_after(i);
        r = ak_door_write_status(503, "R", "a message that is somewhat longer than a buffer begins",
                                 1, "\"a\":1", &out);
        assert_true(ak_alloc_fail_after(-1) ? r == -ENOMEM : r == 0);
    }
}

struct token {
    char path[32];
    struct ak_credential_file file;
};

static int make_token(void **state)
{
    struct token *t = ak_new0(struct token);
    int fd;

    (void)snprintf(t->path, sizeof(t->path), "/tmp/ak-token-XXXXXX");
    fd = mkstemp(t->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "abc\n", 4), 4);
    (void)close(fd);
    ak_credential_file_init(&t->file, t->path);
    *state = t;
    return 0;
}

static int remove_token(void **state)
{
    struct token *t = *state;

    ak_credential_file_done(&t->file);
    (void)unlink(t->path);
    ak_free(t);
    return 0;
}

static void an_identity_has_the_token_of_this_moment(void **state)
{
    struct token *t = *state;
    AK_AUTO(ak_buf) out = {.max = AK_DOOR_IDENTITY_MAX, .wipe = true};
    AK_AUTO(ak_buf) later = {.max = AK_DOOR_IDENTITY_MAX, .wipe = true};
    FILE *file;

    assert_int_equal(ak_door_write_identity(&t->file, "pod-\"1\"", "pin", &out, NULL), 0);
    assert_string_equal(ak_buf_text(&out),
                        "{\"podUID\":\"pod-\\\"1\\\"\",\"pin\":\"pin\",\"token\":\"abc\"}");
    file = fopen(t->path, "w");
    assert_non_null(file);
    assert_true(fputs("another", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(ak_door_write_identity(&t->file, "p", "pin", &later, NULL), 0);
    assert_string_equal(ak_buf_text(&later),
                        "{\"podUID\":\"p\",\"pin\":\"pin\",\"token\":\"another\"}");
}

static void without_a_token_there_is_no_identity(void **state)
{
    struct token *t = *state;
    AK_AUTO(ak_buf) out = {.max = AK_DOOR_IDENTITY_MAX, .wipe = true};
    AK_AUTO(ak_credential_file) none = {.path = ""};

    assert_int_equal(ak_door_write_identity(&none, "p", "pin", &out, NULL), -ENOENT);
    assert_int_equal(ak_door_write_identity(&t->file, "p", NULL, &out, NULL), -ENOENT);
    assert_int_equal(unlink(t->path), 0);
    assert_int_equal(ak_door_write_identity(&t->file, "p", "pin", &out, NULL), -ENOENT);
    assert_int_equal(out.len, 0);
}

static void an_identity_without_memory_says_so(void **state)
{
    struct token *t = *state;
    int r = -1;

    for (int i = 0; r < 0; i++) {
        AK_AUTO(ak_buf) out = {.max = AK_DOOR_IDENTITY_MAX, .wipe = true};
        AK_AUTO_PTR(ak_error) err = NULL;

        ak_credential_file_done(&t->file);
        ak_alloc_fail_after(i);
        r = ak_door_write_identity(&t->file, "p", "pin", &out, &err);
        assert_true(ak_alloc_fail_after(-1) ? r == -ENOMEM : r == 0);
        assert_null(strstr(ak_error_message(err), "abc"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_status_objects),
        cmocka_unit_test(too_long_a_message_is_an_error),
        cmocka_unit_test(status_without_memory_says_so),
        cmocka_unit_test_setup_teardown(an_identity_has_the_token_of_this_moment, make_token,
                                        remove_token),
        cmocka_unit_test_setup_teardown(without_a_token_there_is_no_identity, make_token,
                                        remove_token),
        cmocka_unit_test_setup_teardown(an_identity_without_memory_says_so, make_token,
                                        remove_token),
    };

    return cmocka_run_group_tests_name("door/answers", tests, NULL, NULL);
}
