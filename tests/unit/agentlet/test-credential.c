/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/credential.h"

#include <ak/base/alloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define URL "https://example.com/a"
#define ASK_USER "Username for 'https://example.com': "
#define ASK_PASSWORD "Password for 'https://bob@example.com': "

static char dir[] = "/tmp/test-credential-XXXXXX";
static const char *const keys[] = {"username", "password", "token", "ssh-privatekey"};

static void set_key(const char *key, const char *value)
{
    AK_AUTO_TEXT char *path = ak_asprintf("%s/%s", dir, key);
    FILE *file = NULL;

    (void)unlink(path);
    if (!value)
        return;
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(value, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(keys); i++)
        set_key(keys[i], NULL);
    return 0;
}

static void assert_answer(const char *prompt, const char *wanted)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_CREDENTIAL_MAX);

    out.wipe = true;
    assert_int_equal(ak_credential_answer(dir, URL, prompt, &out), 0);
    assert_string_equal(ak_buf_text(&out), wanted);
}

static int refusal(const char *prompt)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_CREDENTIAL_MAX);
    int r = ak_credential_answer(dir, URL, prompt, &out);

    if (r < 0)
        assert_int_equal(out.len, 0);
    return r;
}

static void a_token_is_the_password_of_a_user_with_any_name(void **state)
{
    (void)state;
    set_key("token", "t0k\n");
    assert_answer(ASK_USER, "x-access-token");
    assert_answer(ASK_PASSWORD, "t0k");
    set_key("username", "bob\r\n");
    assert_answer(ASK_USER, "bob");
}

static void a_password_comes_before_a_token(void **state)
{
    (void)state;
    set_key("username", "bob");
    set_key("password", " with blanks \n\n");
    set_key("token", "t0k");
    assert_answer(ASK_USER, "bob");
    assert_answer(ASK_PASSWORD, " with blanks ");
}

static void other_servers_and_other_questions_get_nothing(void **state)
{
    (void)state;
    set_key("token", "t0k");
    assert_int_equal(refusal("Password for 'https://evil.org': "), -EPERM);
    assert_int_equal(refusal("Password for 'http://example.com': "), -EPERM);
    assert_int_equal(refusal("Password for 'https://example.com@evil.org': "), -EPERM);
    assert_int_equal(refusal("Password for 'https://x'https://example.com': "), -EPERM);
    assert_int_equal(refusal("Enter passphrase for key 'https://example.com': "), -EINVAL);
    assert_int_equal(refusal("Password: "), -EINVAL);
    assert_int_equal(refusal("'"), -EINVAL);
    assert_int_equal(refusal(""), -EINVAL);
}

static void a_missing_key_is_said(void **state)
{
    (void)state;
    assert_int_equal(refusal(ASK_PASSWORD), -ENOENT);
}

static void each_transport_needs_its_own_keys(void **state)
{
    (void)state;
    assert_int_equal(ak_credential_check(dir, AK_TRANSPORT_HTTP, NULL), -EINVAL);
    assert_int_equal(ak_credential_check(dir, AK_TRANSPORT_SSH, NULL), -EINVAL);
    assert_int_equal(ak_credential_check(dir, AK_TRANSPORT_OTHER, NULL), 0);
    set_key("password", "x");
    assert_int_equal(ak_credential_check(dir, AK_TRANSPORT_HTTP, NULL), -EINVAL);
    set_key("username", "x");
    assert_int_equal(ak_credential_check(dir, AK_TRANSPORT_HTTP, NULL), 0);
    set_key("ssh-privatekey", "x");
    assert_int_equal(ak_credential_check(dir, AK_TRANSPORT_SSH, NULL), 0);
    assert_int_equal(ak_credential_check("/nowhere", AK_TRANSPORT_OTHER, NULL), -EINVAL);
}

static void short_memory_gives_no_half_answer(void **state)
{
    (void)state;
    set_key("token", "t0k");
    for (int64_t n = 0;; n++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_CREDENTIAL_MAX);

        (void)ak_alloc_fail_after(n);
        int r = ak_credential_answer(dir, URL, ASK_PASSWORD, &out);

        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            break;
        }
        assert_true(r < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_token_is_the_password_of_a_user_with_any_name, clear),
        cmocka_unit_test_setup(a_password_comes_before_a_token, clear),
        cmocka_unit_test_setup(other_servers_and_other_questions_get_nothing, clear),
        cmocka_unit_test_setup(a_missing_key_is_said, clear),
        cmocka_unit_test_setup(each_transport_needs_its_own_keys, clear),
        cmocka_unit_test_setup(short_memory_gives_no_half_answer, clear),
    };
    int failed = 0;

    if (!mkdtemp(dir))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)clear(NULL);
    (void)rmdir(dir);
    return failed;
}
