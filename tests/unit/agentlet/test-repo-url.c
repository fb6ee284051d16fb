/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/repo_url.h"

#include <ak/base/alloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void urls_of_repositories_are_told_from_everything_else(void **state)
{
    static const struct {
        const char *url;
        int r;
        enum ak_transport transport;
    } cases[] = {
        {"https://example.com/a/b.git", 0, AK_TRANSPORT_HTTP},
        {"http://example.com:3000/a", 0, AK_TRANSPORT_HTTP},
        {"https://bob@example.com/a", 0, AK_TRANSPORT_HTTP},
        {"https://[::1]:8443/a", 0, AK_TRANSPORT_HTTP},
        {"ssh://git@example.com:22/a/b", 0, AK_TRANSPORT_SSH},
        {"git@example.com:a/b.git", 0, AK_TRANSPORT_SSH},
        {"git://example.com/a", 0, AK_TRANSPORT_OTHER},
        {"file:///srv/a", 0, AK_TRANSPORT_OTHER},
        {"example.com:a/b", -EINVAL, 0}, /* no user: could be a transport's name */
        {"ext::sh -c id", -EINVAL, 0},   /* runs a program */
        {"ext::id", -EINVAL, 0},
        {"fd::17", -EINVAL, 0},
        {"ftp://example.com/a", -EINVAL, 0},
        {"http", -EINVAL, 0},
        {"https://", -EINVAL, 0},
        {"https:///a", -EINVAL, 0},
        {"://x", -EINVAL, 0},
        {"/srv/a", -EINVAL, 0},
        {"./a:b", -EINVAL, 0},
        {"git@example.com:", -EINVAL, 0},
        {"git@:a", -EINVAL, 0},
        {"git@-oProxyCommand=id:a", -EINVAL, 0}, /* an option for ssh */
        {"ssh://-oProxyCommand=id/a", -EINVAL, 0},
        {"ssh://git@-x/a", -EINVAL, 0},
        {"-u@host:a", -EINVAL, 0},
        {"https://a/b\nc", -EINVAL, 0},
        {"https://bob:secret@example.com/a", -EINVAL, 0},
        {"https://:secret@example.com/a", -EINVAL, 0},
        {"https://bob:sec@ret@example.com/a", -EINVAL, 0},
        {"ssh://git:secret@example.com/a", -EINVAL, 0},
        {"file://host/a", -EINVAL, 0},
        {"file://", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        enum ak_transport transport = AK_TRANSPORT_OTHER;
        int r = ak_repo_url_check(cases[i].url, &transport, &err);

        if (r != cases[i].r || (r == 0 && transport != cases[i].transport))
            fail_msg("\"%s\": %d, transport %d", cases[i].url, r, (int)transport);
        assert_null(strstr(ak_error_message(err), "secret"));
    }
}

static void the_same_repository_is_recognised(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"https://example.com/a/b.git", "https://example.com/a/b", true},
        {"https://example.com/a/b/", "https://example.com/a/b.git", true},
        {"https://example.com/a/b.git/", "https://EXAMPLE.com/a/b", true},
        {"https://bob:x@example.com/a", "https://example.com/a", true},
        {"git@example.com:a/b.git", "git@example.com:a/b", true},
        {"https://example.com/a/b", "https://example.com/a/c", false},
        {"https://example.com/a/b", "https://example.com/A/b", false},
        {"https://example.com/a", "http://example.com/a", false},
        {"https://example.com/a", "https://example.com:8443/a", false},
        {"https://example.com/a", "https://example.org/a", false},
        {"https://example.com/a", "", false},
        {"", "", true},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        if (ak_repo_url_is_same(cases[i].a, cases[i].b) != cases[i].same)
            fail_msg("\"%s\" and \"%s\"", cases[i].a, cases[i].b);
}

static void only_the_server_of_the_url_may_ask(void **state)
{
    static const struct {
        const char *url, *asked;
        bool same;
    } cases[] = {
        {"https://example.com/a", "https://example.com", true},
        {"https://example.com/a", "https://bob@example.com", true},
        {"https://bob@example.com:8443/a", "https://bob@example.com:8443", true},
        {"https://example.com/a", "http://example.com", false},
        {"https://example.com/a", "https://example.com:8443", false},
        {"https://example.com/a", "https://example.com.evil.org", false},
        {"https://example.com/a", "https://example.com@evil.org", false},
        {"https://example.com/a", "https://evil.org/example.com", false},
        {"https://example.com/a", "example.com", false},
        {"https://example.com/a", "", false},
        {"git@example.com:a", "git@example.com:a", false}, /* SSH asks for nothing here */
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        if (ak_repo_url_is_same_server(cases[i].url, cases[i].asked) != cases[i].same)
            fail_msg("\"%s\" and \"%s\"", cases[i].url, cases[i].asked);
}

static void messages_show_neither_user_nor_password(void **state)
{
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"https://bob:p@ss@example.com:1/a", "https://example.com:1/a"},
        {"https://token@example.com/a@b", "https://example.com/a@b"},
        {"git@example.com:a/b", "example.com:a/b"},
        {"https://example.com/a@b", "https://example.com/a@b"},
        {"nonsense", "nonsense"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_TEXT char *shown = ak_repo_url_for_display(cases[i].url);

        assert_string_equal(shown, cases[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_of_repositories_are_told_from_everything_else),
        cmocka_unit_test(the_same_repository_is_recognised),
        cmocka_unit_test(only_the_server_of_the_url_may_ask),
        cmocka_unit_test(messages_show_neither_user_nor_password),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
