/* SPDX-License-Identifier: Apache-2.0 */
/* Compared with tests/unit/exo/describe.txt and describe-tool.txt; AGENTKUBE_UPDATE=1 writes it anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exo/describe.h"

#define FOLDER "tests/unit/exo/"
#define NOW 1763985600000 /* 2025-11-24T12:00:00Z */

static void read_yaml(const char *path, json_t **ret)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    AK_AUTO_PTR(ak_error) err = NULL;
    assert_int_equal(ak_buf_add_file(&text, path), 0);
    if (ak_yaml_parse(ak_buf_text(&text), text.len, ret, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

static void compare(const struct ak_buf *out, const char *path)
{
    AK_AUTO(ak_buf) want = AK_BUF_INIT(1u << 20);

    if (getenv("AGENTKUBE_UPDATE")) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(ak_buf_text(out), 1, out->len, f), out->len);
        assert_int_equal(fclose(f), 0);
    }
    assert_int_equal(ak_buf_add_file(&want, path), 0);
    assert_string_equal(ak_buf_text(out), ak_buf_text(&want));
}

static void an_agent_is_described_in_words(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    AK_AUTO_JSON *in = NULL;
    (void)state;
    read_yaml(FOLDER "describe.yaml", &in);
    assert_int_equal(
        ak_describe_agent(json_object_get(in, "agent"), json_object_get(in, "events"), NOW, &out),
        0);
    compare(&out, FOLDER "describe.txt");
}

static void a_tool_is_described_in_words(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    AK_AUTO_JSON *in = NULL;
    (void)state;
    read_yaml(FOLDER "describe-tool.yaml", &in);
    assert_int_equal(
        ak_describe_tool(json_object_get(in, "tool"), json_object_get(in, "events"), NOW, &out), 0);
    compare(&out, FOLDER "describe-tool.txt");
}

static void an_empty_object_is_no_trouble(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    AK_AUTO_JSON *in = json_object();
    (void)state;
    assert_int_equal(ak_describe_agent(in, NULL, NOW, &out), 0);
    assert_string_equal(ak_buf_text(&out), "Age:              <unknown>\n");
    ak_buf_clear(&out);
    assert_int_equal(ak_describe_tool(in, NULL, NOW, &out), 0);
    assert_string_equal(ak_buf_text(&out), "Age:              <unknown>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_is_described_in_words),
        cmocka_unit_test(a_tool_is_described_in_words),
        cmocka_unit_test(an_empty_object_is_no_trouble),
    };
    return cmocka_run_group_tests_name("exo/describe", tests, NULL, NULL);
}
