/* SPDX-License-Identifier: Apache-2.0 */
#include "door/credential.h"

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

struct folder {
    char dir[64], path[96], other[96];
};

static int make_folder(void **state)
{
    struct folder *f = ak_new0(struct folder);

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/ak-credential-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/key", f->dir);
    (void)snprintf(f->other, sizeof(f->other), "%s/key.new", f->dir);
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *f = *state;

    (void)unlink(f->path);
    (void)unlink(f->other);
    (void)rmdir(f->dir);
    ak_free(f);
    return 0;
}

static void put(const char *path, const char *data, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void expect(struct ak_credential_file *file, const char *text)
{
    const struct ak_secret *secret = NULL;
    size_t len;

    assert_int_equal(ak_credential_file_read(file, &secret, NULL), 0);
    assert_string_equal(ak_secret_peek(secret, &len), text);
    assert_int_equal(len, strlen(text));
}

static void a_file_is_read_without_blanks_around_it(void **state)
{
    struct folder *f = *state;
    AK_AUTO(ak_credential_file) file;

    ak_credential_file_init(&file, f->path);
    put(f->path, "\n  sk-one \r\n", 12);
    expect(&file, "sk-one");
    expect(&file, "sk-one");
}

static void no_path_is_no_credential(void **state)
{
    const struct ak_secret *secret = (const struct ak_secret *)1;
    AK_AUTO(ak_credential_file) file;

    (void)state;
    ak_credential_file_init(&file, "");
    assert_int_equal(ak_credential_file_read(&file, &secret, NULL), 0);
    assert_null(secret);
}

static void a_file_that_was_replaced_is_read_again(void **state)
{
    struct folder *f = *state;
    AK_AUTO(ak_credential_file) file;

    ak_credential_file_init(&file, f->path);
    put(f->path, "sk-one", 6);
    expect(&file, "sk-one");
    put(f->other, "sk-two", 6); /* same size: the inode tells them apart */
    assert_int_equal(rename(f->other, f->path), 0);
    expect(&file, "sk-two");
    put(f->path, "sk-three", 8);
    expect(&file, "sk-three");
}

static void what_went_away_or_is_no_key_is_an_error_that_quotes_nothing(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {{"", 0},          {" \n", 2},     {"canary\nline", 11},
                 {"canary\0x", 8}, {"can ary", 7}, {"can\x80", 4}};
    struct folder *f = *state;
    AK_AUTO(ak_credential_file) file;
    const struct ak_secret *secret = NULL;

    ak_credential_file_init(&file, f->path);
    put(f->path, "sk-one", 6);
    expect(&file, "sk-one");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(ak_credential_file_read(&file, &secret, NULL), -ENOENT);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;

        put(f->path, cases[i].text, cases[i].len);
        assert_int_equal(ak_credential_file_read(&file, &secret, &err), -EINVAL);
        assert_non_null(strstr(ak_error_message(err), f->path));
        assert_null(strstr(ak_error_message(err), "can"));
    }
    put(f->path, "sk-again", 8);
    expect(&file, "sk-again");
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    struct folder *f = *state;
    AK_AUTO(ak_credential_file) file;
    const struct ak_secret *secret = NULL;
    char *large = ak_malloc(AK_CREDENTIAL_MAX + 1);

    memset(large, 'k', AK_CREDENTIAL_MAX + 1);
    put(f->path, large, AK_CREDENTIAL_MAX + 1);
    ak_free(large);
    ak_credential_file_init(&file, f->path);
    assert_int_equal(ak_credential_file_read(&file, &secret, NULL), AK_E_TOO_LARGE);
}

static void no_memory_is_an_error_and_passes(void **state)
{
    struct folder *f = *state;
    int r = -ENOMEM;

    put(f->path, "sk-one", 6);
    for (int64_t n = 0; r < 0; n++) {
        AK_AUTO(ak_credential_file) file;
        const struct ak_secret *secret = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;

        ak_credential_file_init(&file, f->path);
        (void)ak_alloc_fail_after(n);
        r = ak_credential_file_read(&file, &secret, &err);
        (void)ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(n < 100);
    }
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_file_is_read_without_blanks_around_it),
        cmocka_unit_test(no_path_is_no_credential),
        WITH_FOLDER(a_file_that_was_replaced_is_read_again),
        WITH_FOLDER(what_went_away_or_is_no_key_is_an_error_that_quotes_nothing),
        WITH_FOLDER(a_file_that_is_too_large_is_refused),
        WITH_FOLDER(no_memory_is_an_error_and_passes),
    };

    return cmocka_run_group_tests_name("keeper credential", tests, NULL, NULL);
}
