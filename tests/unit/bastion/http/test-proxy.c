/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit keeps of a request, which headers callers cannot set, and whose passwords provisioning uses. The
 * proxy itself is tested with real clients and servers in tests/engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/decode.h>

#include "bastion/engines/http/credential.h"
#include "bastion/engines/http/provision.h"
#include "bastion/engines/http/proxy.h"

static void the_audit_keeps_a_request_without_the_values_of_its_query(void **state)
{
    static const struct {
        const char *path, *query, *text;
    } cases[] = {
        {"/a", "", "GET /a"},
        {"/a", "x=1", "GET /a?x=..."},
        {"/a", "x=1&token=s3cret&y", "GET /a?x=...&token=...&y"},
        {"/a", "s3cret", "GET /a?s3cret"},
        {"/a", "=v&&x=", "GET /a?=...&&x=..."},
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        ak_http_proxy_text("GET", cases[i].path, cases[i].query, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
}

static void a_long_request_is_cut_where_its_place_ends(void **state)
{
    char query[8192], text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(query); i++)
        query[i] = "ab=&"[i % 4];
    query[sizeof(query) - 1] = '\0';
    for (size_t size = 1; size <= sizeof(text); size++) {
        memset(text, 'X', sizeof(text));
        ak_http_proxy_text("GET", "/path", query, text, size);
        assert_true(strlen(text) < size);
        if (size < sizeof(text))
            assert_int_equal(text[size], 'X');
    }
}

static void headers_that_say_who_asks_are_the_tools(void **state)
{
    static const char *const theirs[] = {"Accept", "X-Request-Id",  "Content-Type", "User-Agent",
                                         "Range",  "If-None-Match", "Prox",         "X"};
    static const char *const ours[] = {"Authorization",
                                       "AUTHORIZATION",
                                       "Proxy-Anything",
                                       "Host",
                                       "Cookie",
                                       "Impersonate-User",
                                       "X-ClickHouse-User",
                                       "X-Snowflake-Role",
                                       "X-Goog-User-Project",
                                       "X-Forwarded-For",
                                       "X-HTTP-Method-Override",
                                       "Transfer-Encoding",
                                       "Expect",
                                       "x-key",
                                       "X-ours"};
    const struct ak_pair pair = {.key = "X-Ours", .value = "1"};
    struct ak_tool_config config = {.credential_header = "X-Key",
                                    .headers = {.items = &pair, .len = 1}};
    const struct ak_tool_spec spec = {.config = &config};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(ours); i++)
        if (!ak_http_header_is_ours(&spec, ours[i]))
            fail_msg("%s", ours[i]);
    for (size_t i = 0; i < AK_ARRAY_LEN(theirs); i++)
        if (ak_http_header_is_ours(&spec, theirs[i]))
            fail_msg("%s", theirs[i]);
}

/* --- identities --- */

static char folder[] = "/tmp/ak-http-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void put(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (!text) {
        (void)unlink(path);
        return;
    }
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void both_identities_have_their_names_and_passwords(void **state)
{
    struct ak_tool_config config = {.hostname = "h"};
    const struct ak_tool_spec spec = {.type = AK_TOOL_TYPE_RABBITMQ, .config = &config};
    const struct ak_target target = {.spec = &spec,
                                     .uid = "6f1d3c1e-0d6b-4f5e-9d0a-3b8f0c7a1e42",
                                     .credential_dir = "/nonexistent",
                                     .identity_dir = folder};
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    put("reader-username", "agentkube_6f1d3c1e0d_r");
    put("reader-password", "one\n");
    put("writer-username", "agentkube_6f1d3c1e0d_w");
    put("writer-password", "two");
    {
        AK_AUTO(ak_http_identities) all = {0}, names = {0};

        assert_int_equal(ak_http_identities_read(&target, true, &all, NULL), 0);
        assert_string_equal(all.names[0], "agentkube_6f1d3c1e0d_r");
        assert_string_equal(all.names[1], "agentkube_6f1d3c1e0d_w");
        assert_string_equal(ak_secret_peek(all.logins[0].password, NULL), "one");
        assert_string_equal(ak_secret_peek(all.logins[1].password, NULL), "two");
        assert_int_equal(ak_http_identities_read(&target, false, &names, NULL), 0);
        assert_string_equal(names.names[1], "agentkube_6f1d3c1e0d_w");
        assert_null(names.logins[0].password);
    }
    put("writer-password", NULL);
    {
        AK_AUTO(ak_http_identities) all = {0};

        assert_true(ak_http_identities_read(&target, true, &all, &err) < 0);
        assert_null(all.logins[0].password);
    }
    put("reader-username", NULL);
    put("reader-password", NULL);
    put("writer-username", NULL);
    {
        AK_AUTO(ak_http_identities) all = {0};

        assert_int_equal(ak_http_identities_read(&target, true, &all, NULL), -ENOENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_audit_keeps_a_request_without_the_values_of_its_query),
        cmocka_unit_test(a_long_request_is_cut_where_its_place_ends),
        cmocka_unit_test(headers_that_say_who_asks_are_the_tools),
        cmocka_unit_test(both_identities_have_their_names_and_passwords),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
