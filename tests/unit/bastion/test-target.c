/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engine.h"

#define FILES 8

/* What a Tool's pod has mounted, in folders of a test. */
struct mounts {
    char dir[32], dirs[3][48], paths[FILES][96];
    size_t n;
    struct ak_tool_config config;
    struct ak_tool_permissions permissions;
    struct ak_tool_spec spec;
    struct ak_target target;
};

static int make(void **state)
{
    static const char *const names[] = {"credential", "identity", "admin"};
    struct mounts *m = ak_new0(struct mounts);

    (void)snprintf(m->dir, sizeof(m->dir), "/tmp/ak-target-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(m->dirs[i], sizeof(m->dirs[i]), "%s/%s", m->dir, names[i]);
        assert_int_equal(mkdir(m->dirs[i], 0700), 0);
    }
    m->spec.config = &m->config;
    m->target = (struct ak_target){.spec = &m->spec,
                                   .credential_dir = m->dirs[0],
                                   .identity_dir = m->dirs[1],
                                   .admin_dir = m->dirs[2]};
    *state = m;
    return 0;
}

static int unmake(void **state)
{
    struct mounts *m = *state;

    for (size_t i = 0; i < m->n; i++)
        (void)unlink(m->paths[i]);
    for (size_t i = 0; i < 3; i++)
        (void)rmdir(m->dirs[i]);
    assert_int_equal(rmdir(m->dir), 0);
    ak_free(m);
    return 0;
}

static void put(struct mounts *m, const char *name, const char *data, size_t len)
{
    char path[sizeof(m->paths[0])];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", m->dir, name);
    memcpy(m->paths[m->n++], path, sizeof(path));
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void put_text(struct mounts *m, const char *name, const char *text)
{
    put(m, name, text, strlen(text));
}

static void expect(const struct ak_login *login, const char *username, const char *password)
{
    size_t len = 0;
    const char *text = login->password ? ak_secret_peek(login->password, &len) : NULL;

    assert_true(ak_streq(login->username, username));
    assert_true(ak_streq(text, password));
    assert_int_equal(len, password ? strlen(password) : 0);
}

static void one_line_loses_its_end_and_a_key_keeps_it(void **state)
{
    static const struct {
        const char *file, *password;
    } cases[] = {
        {"pw", "pw"}, {"pw\n", "pw"},       {"pw\r\n", "pw"},   {"pw ", "pw "},   {"\n", ""},
        {"", ""},     {"a\nb\n", "a\nb\n"}, {"a\n\n", "a\n\n"}, {"a\nb", "a\nb"},
    };
    struct mounts *m = *state;

    m->config.username = "me";
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_login) login = {0};

        m->n = 0;
        put_text(m, "credential/credential", cases[i].file);
        assert_int_equal(ak_login_read(&m->target, true, &login, NULL), 0);
        expect(&login, "me", cases[i].password);
        assert_false(login.is_minted || login.read_only);
    }
}

static void without_a_credential_there_is_none(void **state)
{
    struct mounts *m = *state;
    AK_AUTO(ak_login) login = {0};

    assert_int_equal(ak_login_read(&m->target, false, &login, NULL), 0);
    expect(&login, NULL, NULL);
}

static void too_large_a_credential_is_refused(void **state)
{
    struct mounts *m = *state;
    AK_AUTO(ak_login) login = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_TEXT char *large = ak_calloc(1, AK_LOGIN_MAX + 1);

    memset(large, 'x', AK_LOGIN_MAX + 1);
    put(m, "credential/credential", large, AK_LOGIN_MAX + 1);
    assert_int_equal(ak_login_read(&m->target, false, &login, &err), AK_E_TOO_LARGE);
    assert_null(strstr(ak_error_message(err), "xxx"));
}

static void a_minted_identity_wins(void **state)
{
    struct mounts *m = *state;
    AK_AUTO(ak_login) reader = {0}, writer = {0};

    put_text(m, "credential/credential", "pw");
    assert_false(ak_target_is_minted(&m->target));
    put_text(m, "identity/reader-username", "r");
    put_text(m, "identity/reader-password", "rp");
    put_text(m, "identity/writer-username", "w");
    put_text(m, "identity/writer-password", "wp");
    assert_true(ak_target_is_minted(&m->target));
    assert_int_equal(ak_login_read(&m->target, true, &reader, NULL), 0);
    expect(&reader, "r", "rp");
    assert_true(reader.is_minted && reader.read_only);
    assert_int_equal(ak_login_read(&m->target, false, &writer, NULL), 0);
    expect(&writer, "w", "wp");
    assert_true(writer.is_minted && !writer.read_only);
}

static void parts_of_an_identity_are_no_identity(void **state)
{
    struct mounts *m = *state;
    AK_AUTO(ak_login) login = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_PTR(ak_error) other = NULL;

    put_text(m, "credential/credential", "pw");
    put_text(m, "identity/reader-username", "r");
    assert_int_equal(ak_login_read(&m->target, true, &login, &err), -EINVAL);
    assert_non_null(strstr(ak_error_message(err), "reader-password"));
    assert_int_equal(ak_login_read(&m->target, false, &login, &other), -EINVAL);
    assert_non_null(strstr(ak_error_message(other), "writer-username"));
}

static void an_administrator_has_one_of_three_names(void **state)
{
    static const struct {
        const char *file, *permissions, *config, *want;
    } cases[] = {{"a\n", "b", "c", "a"},
                 {NULL, "b", "c", "b"},
                 {NULL, NULL, "c", "c"},
                 {NULL, "", NULL, NULL}};
    struct mounts *m = *state;

    m->spec.permissions = &m->permissions;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_login) login = {0};

        m->n = 0;
        put_text(m, "admin/credential", "pw\n");
        if (cases[i].file)
            put_text(m, "admin/username", cases[i].file);
        m->permissions.admin_username = cases[i].permissions;
        m->config.username = cases[i].config;
        assert_int_equal(ak_login_read_admin(&m->target, &login, NULL), 0);
        expect(&login, cases[i].want, "pw");
        if (cases[i].file)
            assert_int_equal(unlink(m->paths[--m->n]), 0);
    }
}

static void without_an_administrator_it_says_which_field(void **state)
{
    struct mounts *m = *state;
    AK_AUTO(ak_login) login = {0};
    AK_AUTO_PTR(ak_error) err = NULL;

    assert_int_equal(ak_login_read_admin(&m->target, &login, &err), -ENOENT);
    assert_non_null(strstr(ak_error_message(err), "adminCredentialsRef"));
}

static void authorities_are_a_path_or_none(void **state)
{
    struct mounts *m = *state;
    AK_AUTO(ak_arena) arena = {0};
    const char *path = "?";

    ak_arena_init(&arena, 256, 4096);
    assert_int_equal(ak_target_ca_path(&m->target, &arena, &path, NULL), 0);
    assert_null(path);
    put_text(m, "credential/ca.pem", "PEM");
    assert_int_equal(ak_target_ca_path(&m->target, &arena, &path, NULL), 0);
    assert_string_equal(path, m->paths[0]);
}

static void without_memory_it_says_so(void **state)
{
    struct mounts *m = *state;
    int r = -1;

    put_text(m, "admin/credential", "pw");
    put_text(m, "admin/username", "a");
    for (int i = 0; r < 0; i++) {
        AK_AUTO(ak_login) login = {0};

        ak_alloc_fail_after(i);
        r = ak_login_read_admin(&m->target, &login, NULL);
        bool failed = ak_alloc_fail_after(-1);
        if (failed ? r != -ENOMEM : r != 0)
            fail_msg("allocation %d: %d", i, r);
        assert_true(failed || login.password);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_line_loses_its_end_and_a_key_keeps_it, make, unmake),
        cmocka_unit_test_setup_teardown(without_a_credential_there_is_none, make, unmake),
        cmocka_unit_test_setup_teardown(too_large_a_credential_is_refused, make, unmake),
        cmocka_unit_test_setup_teardown(a_minted_identity_wins, make, unmake),
        cmocka_unit_test_setup_teardown(parts_of_an_identity_are_no_identity, make, unmake),
        cmocka_unit_test_setup_teardown(an_administrator_has_one_of_three_names, make, unmake),
        cmocka_unit_test_setup_teardown(without_an_administrator_it_says_which_field, make, unmake),
        cmocka_unit_test_setup_teardown(authorities_are_a_path_or_none, make, unmake),
        cmocka_unit_test_setup_teardown(without_memory_it_says_so, make, unmake),
    };

    return cmocka_run_group_tests_name("bastion/target", tests, NULL, NULL);
}
