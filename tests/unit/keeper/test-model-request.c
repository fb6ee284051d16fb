/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/model_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "keeper/guard.h"
#include "keeper/provider_error.h"

static void the_path_loses_its_prefix_and_nothing_else(void **state)
{
    static const struct {
        const char *path, *query;
        enum ak_provider_dialect dialect;
        const char *wanted;
    } cases[] = {
        {"/model/v1/messages", "beta=true", AK_DIALECT_ANTHROPIC, "/v1/messages?beta=true"},
        {"/model", "", AK_DIALECT_OPENAI, "/"},
        {"/model/", "", AK_DIALECT_OPENAI, "/"},
        {"/model//responses", "", AK_DIALECT_OPENAI, "//responses"},
        {"/model/a%20b/%C3%A4;v=1,2", "a=%26&b", AK_DIALECT_OPENAI, "/a%20b/%C3%A4;v=1,2?a=%26&b"},
        {"/model/models", "key=mine", AK_DIALECT_OPENAI, "/models?key=mine"},
        {"/model/v1beta/models/g:streamGenerateContent", "alt=sse&key=placeholder",
         AK_DIALECT_GOOGLE, "/v1beta/models/g:streamGenerateContent?alt=sse"},
        {"/model/g", "key=a&alt=sse&key=b", AK_DIALECT_GOOGLE, "/g?alt=sse"},
        {"/model/g", "key", AK_DIALECT_GOOGLE, "/g"},
        {"/model/g", "keys=1&xkey=2", AK_DIALECT_GOOGLE, "/g?keys=1&xkey=2"},
        {"/model/...", "", AK_DIALECT_OPENAI, "/..."},
        {"/model/a..b/.c/d.", "", AK_DIALECT_OPENAI, "/a..b/.c/d."},
        {"/model/v1/..%00", "", AK_DIALECT_OPENAI, "/v1/..%00"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_MODEL_MAX_PATH);

        assert_int_equal(ak_model_path(cases[i].path, cases[i].query, cases[i].dialect, &out, NULL),
                         0);
        assert_string_equal(ak_buf_text(&out), cases[i].wanted);
    }
}

static void a_path_that_could_leave_the_base_url_is_refused(void **state)
{
    static const char *const paths[] = {
        "/models/x",          "/other",          "/model/../admin",
        "/model/..",          "/model/v1/./x",   "/model/.",
        "/model/v1/%2e%2e/x", "/model/.%2E/x",   "/model/%2e",
        "/model/a%2f..%2fb",  "/model/a/..%5cb", "/model/a\\..\\b",
        "/model/a#b",
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(paths); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_MODEL_MAX_PATH);

        print_message("# %s\n", paths[i]);
        assert_int_equal(ak_model_path(paths[i], "", AK_DIALECT_OPENAI, &out, NULL), -EINVAL);
    }
}

static void a_path_has_a_limit(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(64), path = AK_BUF_INIT(256);

    (void)state;
    assert_int_equal(ak_buf_adds(&path, "/model/"), 0);
    while (path.len < 100)
        assert_int_equal(ak_buf_adds(&path, "x"), 0);
    assert_int_equal(ak_model_path(path.data, "", AK_DIALECT_OPENAI, &out, NULL), AK_E_TOO_LARGE);
}

static void the_key_travels_as_its_provider_wants_it(void **state)
{
    static const struct {
        const char *provider, *key, *betas, *first, *second;
    } cases[] = {
        {"anthropic", "sk-ant-api03-x", "", "x-api-key: sk-ant-api03-x", NULL},
        {"anthropic", "sk-ant-oat01-x", "", "authorization: Bearer sk-ant-oat01-x",
         "anthropic-beta: oauth-2025-04-20"},
        {"anthropic", "sk-ant-oat01-x", "a-1,b-2", "authorization: Bearer sk-ant-oat01-x",
         "anthropic-beta: a-1,b-2,oauth-2025-04-20"},
        {"anthropic", "sk-ant-oat01-x", "a-1, oauth-2025-04-20",
         "authorization: Bearer sk-ant-oat01-x", NULL},
        {"anthropic", "sk-ant-oat01-x", "oauth-2025-04-201", "authorization: Bearer sk-ant-oat01-x",
         "anthropic-beta: oauth-2025-04-201,oauth-2025-04-20"},
        {"openai", "sk-1", "", "authorization: Bearer sk-1", NULL},
        {"azure-openai", "k", "", "api-key: k", NULL},
        {"google", "k", "", "x-goog-api-key: k", NULL},
        {"nobody-knows-it", "k", "", "authorization: Bearer k", NULL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = {.max = 4096, .wipe = true};
        AK_AUTO_PTR(ak_secret) key = ak_secret_new(cases[i].key, strlen(cases[i].key));
        size_t n = 0;

        assert_true(ak_model_credential_lines(ak_provider_find(cases[i].provider), key,
                                              cases[i].betas, &out, &n) >= 0);
        assert_string_equal(out.data, cases[i].first);
        assert_int_equal(n, cases[i].second ? 2 : 1);
        if (cases[i].second)
            assert_string_equal(out.data + strlen(out.data) + 1, cases[i].second);
    }
}

/* Whatever form the table gives a key, what the client sent in that form has to go. */
static void every_header_of_a_credential_is_removed(void **state)
{
    static const char *const providers[] = {"bedrock", "anthropic",    "openai", "google",
                                            "vertex",  "azure-openai", "ollama", "vllm",
                                            "mistral", "deepseek",     "xai",    "openrouter"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(providers); i++) {
        const struct ak_provider *p = ak_provider_find(providers[i]);
        bool found = false;

        assert_non_null(p);
        for (const char *const *name = ak_model_removed_headers; *name; name++)
            found |= strcmp(*name, p->credential.header) == 0;
        assert_true(found);
    }
}

static void only_local_names_are_a_host(void **state)
{
    static const struct {
        const char *host;
        bool local;
    } cases[] = {{"127.0.0.1", true},
                 {"127.0.0.1:8085", true},
                 {"localhost", true},
                 {"LOCALHOST:1", true},
                 {"[::1]", true},
                 {"[::1]:8085", true},
                 {NULL, false},
                 {"", false},
                 {"localhost.evil.example", false},
                 {"127.0.0.1.nip.io", false},
                 {"localhost:", false},
                 {"localhost:80x", false},
                 {"127.0.0.1@evil", false},
                 {"evil.example", false},
                 {"10.0.0.1", false},
                 {"localhost:123456", false},
                 {"0.0.0.0", false}};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        assert_int_equal(ak_guard_is_local_host(cases[i].host), cases[i].local);
    for (int local_pages = 0; local_pages < 2; local_pages++) {
        assert_null(ak_guard_refusal("localhost", NULL, local_pages));
        assert_non_null(ak_guard_refusal("localhost", "https://evil.example", local_pages));
        assert_non_null(
            ak_guard_refusal("localhost", "http://localhost.evil.example", local_pages));
        assert_non_null(ak_guard_refusal("localhost", "localhost", local_pages));
        assert_non_null(ak_guard_refusal("localhost", "null", local_pages));
        assert_non_null(ak_guard_refusal("evil.example", NULL, local_pages));
        assert_non_null(ak_guard_refusal("evil.example", "http://localhost", local_pages));
    }
    assert_null(ak_guard_refusal("localhost", "http://localhost:3000", true));
    assert_null(ak_guard_refusal("localhost", "https://127.0.0.1", true));
    assert_non_null(ak_guard_refusal("localhost", "http://localhost:3000", false));
}

static void an_error_has_the_shape_of_the_provider(void **state)
{
    static const struct {
        enum ak_provider_dialect dialect;
        int status;
        const char *wanted;
    } cases[] = {
        {AK_DIALECT_ANTHROPIC, 502,
         "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"say \\\"no\\\"\"}}"},
        {AK_DIALECT_OPENAI, 400,
         "{\"error\":{\"type\":\"invalid_request_error\",\"code\":null,\"param\":null,"
         "\"message\":\"say \\\"no\\\"\"}}"},
        {AK_DIALECT_GOOGLE, 504,
         "{\"error\":{\"code\":504,\"status\":\"DEADLINE_EXCEEDED\",\"message\":\"say "
         "\\\"no\\\"\"}}"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(AK_PROVIDER_ERROR_MAX);
        AK_AUTO_JSON *tree = NULL;

        assert_int_equal(
            ak_provider_error_write(cases[i].dialect, cases[i].status, "say \"no\"", &out), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].wanted);
        assert_int_equal(ak_json_parse(out.data, out.len, &tree, NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_loses_its_prefix_and_nothing_else),
        cmocka_unit_test(a_path_that_could_leave_the_base_url_is_refused),
        cmocka_unit_test(a_path_has_a_limit),
        cmocka_unit_test(the_key_travels_as_its_provider_wants_it),
        cmocka_unit_test(every_header_of_a_credential_is_removed),
        cmocka_unit_test(only_local_names_are_a_host),
        cmocka_unit_test(an_error_has_the_shape_of_the_provider),
    };

    return cmocka_run_group_tests_name("keeper model request", tests, NULL, NULL);
}
