/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>

#include "runtimes/runtimes.h"

/* In the order of the columns of docs/runtimes.md. */
static const char *const columns[] = {"ClaudeCode", "Codex", "OpenCode", "Cline",
                                      "Aider",      "Goose", "Cursor"};

static bool has(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (ak_streq(*list, name))
            return true;
    return false;
}

static void read_file(const char *path, struct ak_buf *out)
{
    if (ak_buf_add_file(out, path) < 0)
        fail_msg("%s cannot be read", path);
}

static void test_the_document_has_the_capabilities_of_the_table(void **state)
{
    (void)state;
    AK_AUTO(ak_buf) document = AK_BUF_INIT(1 << 20);
    size_t rows = 0;
    read_file("docs/runtimes.md", &document);
    for (const struct ak_pair *c = ak_capabilities(); c->key; c++, rows++) {
        AK_AUTO(ak_buf) row = AK_BUF_INIT(4096);
        assert_return_code(ak_buf_addf(&row, "\n| `%s` | %s |", c->key, c->value), 0);
        for (size_t i = 0; i < AK_ARRAY_LEN(columns); i++) {
            const struct ak_runtime *rt = ak_runtime_find(columns[i]);
            const char *word = has(rt->can, c->key)      ? "yes"
                               : has(rt->cannot, c->key) ? "no"
                                                         : "untested";
            assert_return_code(ak_buf_addf(&row, " %s |", word), 0);
        }
        assert_return_code(ak_buf_adds(&row, "\n"), 0);
        if (!strstr(ak_buf_text(&document), ak_buf_text(&row)))
            fail_msg("docs/runtimes.md lacks the row%s", ak_buf_text(&row));
    }
    assert_true(rows > 10);
}

static bool is_capability(const char *name)
{
    for (const struct ak_pair *c = ak_capabilities(); c->key; c++)
        if (ak_streq(c->key, name))
            return true;
    return false;
}

static void test_what_is_tested_is_tested_wholly_and_in_the_version_of_the_image(void **state)
{
    (void)state;
    AK_AUTO(ak_buf) versions = AK_BUF_INIT(1 << 20);
    AK_AUTO(ak_buf) document = AK_BUF_INIT(1 << 20);
    read_file("agentkube/images/versions", &versions);
    read_file("docs/runtimes.md", &document);
    for (size_t i = 0; i < AK_ARRAY_LEN(columns); i++) {
        const struct ak_runtime *rt = ak_runtime_find(columns[i]);
        AK_AUTO(ak_buf) version = AK_BUF_INIT(64);
        size_t known = 0;
        for (const char *const *name = ak_runtime_capabilities(rt); *name; name++, known++) {
            assert_true(is_capability(*name));
            assert_false(has(rt->cannot, *name));
        }
        for (const char *const *name = rt->cannot; name && *name; name++, known++)
            assert_true(is_capability(*name));
        assert_int_equal(known > 0, rt->tested_version != NULL);
        if (!rt->tested_version)
            continue;
        assert_int_equal(known, 13);
        assert_return_code(ak_buf_addf(&version, "@%s", rt->tested_version), 0);
        if (!strstr(ak_buf_text(&versions), ak_buf_text(&version)))
            fail_msg("%s %s is not what the image has", rt->name, rt->tested_version);
        assert_non_null(strstr(ak_buf_text(&document), rt->tested_version));
    }
    assert_null(ak_runtime_capabilities(ak_runtime_find("Custom"))[0]);
}

static void test_only_cursor_has_to_hold_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(columns); i++)
        assert_int_equal(ak_runtime_find(columns[i])->keeper_unaware,
                         ak_streq(columns[i], "Cursor"));
    assert_false(ak_runtime_find("Custom")->keeper_unaware);
}

static const struct credential_case {
    const char *provider, *key, *header, *prefix, *beta;
} credential_cases[] = {
    {"anthropic", "sk-ant-api03-x", "x-api-key", "", NULL},
    {"anthropic", "sk-ant-oat01-x", "authorization", "Bearer ", "oauth-2025-04-20"},
    {"anthropic", "", "x-api-key", "", NULL},
    {"openai", "sk-ant-oat01-x", "authorization", "Bearer ", NULL},
    {"azure-openai", "x", "api-key", "", NULL},
    {"google", "x", "x-goog-api-key", "", NULL},
    {"bedrock", "x", "authorization", "Bearer ", NULL},
    {"mistral", "x", "authorization", "Bearer ", NULL},
    {"cursor", "x", "authorization", "Bearer ", NULL},
};

static void test_a_key_travels_as_its_provider_wants_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(credential_cases); i++) {
        const struct credential_case *c = &credential_cases[i];
        const struct ak_credential *found =
            ak_provider_credential(ak_provider_find(c->provider), c->key, strlen(c->key));
        assert_string_equal(found->header, c->header);
        assert_string_equal(found->prefix, c->prefix);
        assert_true(ak_streq(found->anthropic_beta, c->beta));
    }
    /* only as much of the key as there is */
    assert_string_equal(
        ak_provider_credential(ak_provider_find("anthropic"), "sk-ant-oat", 5)->header,
        "x-api-key");
}

static void test_the_document_has_every_providers_address(void **state)
{
    (void)state;
    static const char *const names[] = {"anthropic", "openai", "google",   "vertex",
                                        "mistral",   "xai",    "deepseek", "openrouter"};
    AK_AUTO(ak_buf) document = AK_BUF_INIT(1 << 20);
    read_file("docs/runtimes.md", &document);
    for (size_t i = 0; i < AK_ARRAY_LEN(names); i++) {
        const struct ak_provider *p = ak_provider_find(names[i]);
        AK_AUTO(ak_buf) row = AK_BUF_INIT(256);
        assert_return_code(ak_buf_addf(&row, "| `%s` | `%s` |", p->name, p->base_url), 0);
        if (!strstr(ak_buf_text(&document), ak_buf_text(&row)))
            fail_msg("docs/runtimes.md lacks %s", ak_buf_text(&row));
        /* a slash at its end would double */
        assert_false(ak_has_suffix(p->base_url, "/"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_document_has_the_capabilities_of_the_table),
        cmocka_unit_test(test_what_is_tested_is_tested_wholly_and_in_the_version_of_the_image),
        cmocka_unit_test(test_only_cursor_has_to_hold_its_key),
        cmocka_unit_test(test_a_key_travels_as_its_provider_wants_it),
        cmocka_unit_test(test_the_document_has_every_providers_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
