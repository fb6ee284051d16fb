/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/tool_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>

static json_t *json_of(const char *text)
{
    json_t *tree = NULL;

    if (ak_json_parse(text, strlen(text), &tree, NULL) < 0)
        fail_msg("%s", text);
    return tree;
}

static const struct {
    const char *answer, *text;
    bool is_error, is_structured;
} results[] = {
    {"{\"result\":{\"columns\":[{\"name\":\"a\"},{\"name\":\"b\\\"\"}],\"rows\":[[1,\"x\"],[null,2."
     "5]]}}",
     "{\"columns\":[\"a\",\"b\\\"\"],\"rows\":[[1,\"x\"],[null,2.5]],\"rowCount\":2}", false, true},
    {"{\"result\":{\"columns\":[],\"rows\":[]}}", "{\"columns\":[],\"rows\":[],\"rowCount\":0}",
     false, true},
    {"{\"result\":{\"columns\":[{\"name\":\"a\"}],\"rows\":[[1]],\"truncated\":true}}",
     "{\"columns\":[\"a\"],\"rows\":[[1]],\"rowCount\":1,\"truncated\":true,\"note\":\"there are "
     "more "
     "rows than these; ask for fewer rows or columns\"}",
     false, true},
    {"{\"result\":{\"text\":\"out\",\"exitCode\":0}}", "out", false, true},
    {"{\"result\":{\"text\":\"out\",\"truncated\":true,\"exitCode\":3}}",
     "out\n[cut: there was more output than this]\n[exit code 3]", true, true},
    {"{\"result\":{\"text\":\"\",\"exitCode\":1}}", "[exit code 1]", true, true},
    {"{\"result\":{\"status\":200,\"body\":\"x\"}}", "{\"status\":200,\"body\":\"x\"}", false,
     true},
    {"{\"result\":{\"status\":500}}", "{\"status\":500}", true, true},
    {"{\"result\":[1]}", "[1]", false, false},
};

static void a_result_has_a_compact_text_and_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(results); i++) {
        AK_AUTO_JSON *answer = json_of(results[i].answer);
        AK_AUTO_JSON *got = NULL;
        assert_int_equal(ak_tool_result(answer, &got, NULL), 0);
        const json_t *content = json_array_get(json_object_get(got, "content"), 0);
        assert_string_equal(ak_json_text(content, "type", NULL), "text");
        assert_string_equal(ak_json_text(content, "text", NULL), results[i].text);
        assert_int_equal(json_is_true(json_object_get(got, "isError")), results[i].is_error);
        const json_t *structured = json_object_get(got, "structuredContent");
        assert_int_equal(structured != NULL, results[i].is_structured);
        if (structured)
            assert_true(json_equal(structured, json_object_get(answer, "result")));
    }
}

static void an_answer_without_a_result_is_an_error(void **state)
{
    AK_AUTO_JSON *answer = json_of("{}"), *none = json_of("[]"), *got = NULL;

    (void)state;
    assert_int_equal(ak_tool_result(answer, &got, NULL), AK_E_PROTOCOL);
    assert_int_equal(ak_tool_result(none, &got, NULL), AK_E_PROTOCOL);
    assert_null(got);
}

static void a_long_text_is_cut_between_characters(void **state)
{
    size_t len = AK_TOOL_TEXT_MAX + 100;
    char *text = ak_malloc(len + 1);
    AK_AUTO_JSON *answer = NULL, *got = NULL;

    (void)state;
    assert_non_null(text);
    text[0] = 'x';
    for (size_t i = 1; i + 1 < len; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    text[len - 1] = 'x';
    answer = json_pack("{s{ss%}}", "result", "text", text, len);
    assert_non_null(answer);
    assert_int_equal(ak_tool_result(answer, &got, NULL), 0);
    const json_t *content = json_array_get(json_object_get(got, "content"), 0);
    const char *cut = ak_json_text(content, "text", NULL);
    assert_true(strlen(cut) < AK_TOOL_TEXT_MAX + 64);
    assert_non_null(strstr(cut, "\xc3\xa4\n[cut: "));
    assert_null(json_object_get(got, "structuredContent"));
    ak_free(text);
}

static void a_list_that_makes_no_sense_is_refused_whole(void **state)
{
    static const char *const lists[] = {
        "[]",
        "{}",
        "{\"items\":{}}",
        "{\"items\":[1]}",
        "{\"items\":[{\"name\":\"a\",\"tool\":\"t\"}]}",
        "{\"items\":[{\"name\":\"\",\"tool\":\"t\",\"operation\":\"o\"}]}",
    };
    AK_AUTO_JSON *good =
        json_of("{\"items\":[{\"name\":\"a\",\"tool\":\"t\",\"operation\":\"o\"}]}");
    AK_AUTO_JSON *tools = NULL;

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(lists); i++) {
        AK_AUTO_JSON *list = json_of(lists[i]);
        assert_int_equal(ak_tool_list(list, &tools, NULL), AK_E_PROTOCOL);
        assert_null(tools);
    }
    assert_int_equal(ak_tool_list(good, &tools, NULL), 0);
    const json_t *tool = json_array_get(tools, 0);
    assert_string_equal(ak_json_text(tool, "title", NULL), "a");
    assert_string_equal(ak_json_text(tool, "inputSchema", "type", NULL), "object");
    assert_true(json_is_false(ak_json_at(tool, "annotations", "readOnlyHint", NULL)));
}

static void without_memory_nothing_is_made(void **state)
{
    AK_AUTO_JSON *answer = json_of(results[0].answer);
    AK_AUTO_JSON *list =
        json_of("{\"items\":[{\"name\":\"a\",\"tool\":\"t\",\"operation\":\"o\"}]}");
    int r = -ENOMEM;

    (void)state;
    for (int64_t n = 0; r == -ENOMEM; n++) {
        AK_AUTO_JSON *got = NULL, *tools = NULL;
        struct ak_error *err = NULL;
        (void)ak_alloc_fail_after(n);
        r = ak_tool_result(answer, &got, &err);
        if (r == 0)
            r = ak_tool_list(list, &tools, NULL);
        (void)ak_alloc_fail_after(-1);
        assert_true((r == 0) == (tools != NULL));
        err = ak_error_free(err);
        assert_true(n < 1000);
    }
    assert_int_equal(r, 0);
}

static int setup(void **state)
{
    (void)state;
    ak_json_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_has_a_compact_text_and_itself),
        cmocka_unit_test(an_answer_without_a_result_is_an_error),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(a_list_that_makes_no_sense_is_refused_whole),
        cmocka_unit_test(without_memory_nothing_is_made),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
