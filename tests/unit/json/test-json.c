/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *tree = NULL;

    assert_int_equal(ak_json_parse(text, strlen(text), &tree, NULL), 0);
    return tree;
}

static void what_is_read_is_written_the_same(void **state)
{
    static const char *const texts[] = {
        "{\"b\":1,\"a\":[true,false,null,-5,0.1,\"x\"],\"\":{}}", /* members keep their order */
        "\"\\u0000\"",
        "9223372036854775807",
        "[]",
        "\"\xc3\xa9\"",
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++) {
        AK_AUTO_JSON *tree = parse(texts[i]);
        AK_AUTO(ak_buf) out = AK_BUF_INIT(1000);

        assert_int_equal(ak_json_write(tree, &out, NULL), 0);
        assert_string_equal(out.data, texts[i]);
    }
}

static void what_is_not_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "{}x",
        "[1,]",
        "{\"a\"}",
        "{a:1}",
        "'a'",
        "nul",
        "+1",
        "01",
        "1.",
        "\"",
        "\"\\x\"",
        "\"\n\"",
        "\xff",
        "\"\xff\"",
        "NaN",
        "]",
        "[}",
        "1e999",
        "9223372036854775808",
        "\"\\ud800\"",
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(bad); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        json_t *tree = NULL;

        assert_int_equal(ak_json_parse(bad[i], strlen(bad[i]), &tree, &err), AK_E_INVALID);
        assert_null(tree);
        assert_true(ak_has_prefix(ak_error_message(err), "not valid JSON: line "));
    }
}

static void an_error_never_quotes_the_text(void **state)
{
    static const char text[] = "{\"token\": hunter2}";
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *tree = NULL;

    (void)state;
    assert_int_equal(ak_json_parse(text, strlen(text), &tree, &err), AK_E_INVALID);
    assert_null(strstr(ak_error_message(err), "hunter2"));
    assert_string_equal(ak_error_message(err), "not valid JSON: line 1, column 16: invalid token");
}

static int parse_nested(size_t depth, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *text = ak_malloc(2 * depth + 1);
    AK_AUTO_JSON *tree = NULL;

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return ak_json_parse(text, 2 * depth, &tree, reterr);
}

static void nesting_has_a_limit(void **state)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    assert_int_equal(parse_nested(AK_JSON_MAX_DEPTH, NULL), 0);
    assert_int_equal(parse_nested(AK_JSON_MAX_DEPTH + 1, &err), AK_E_TOO_LARGE);
    assert_string_equal(ak_error_message(err), "JSON nests deeper than 128 levels");
    assert_int_equal(parse_nested(1000000, NULL), AK_E_TOO_LARGE);
}

static void brackets_in_strings_do_not_count(void **state)
{
    AK_AUTO_TEXT char *text = ak_malloc(4003);
    AK_AUTO_JSON *tree = NULL;

    (void)state;
    memcpy(text, "\"\\\"", 3);
    memset(text + 3, '[', 3999);
    text[4002] = '"';
    assert_int_equal(ak_json_parse(text, 4003, &tree, NULL), 0);
}

static void size_has_a_limit(void **state)
{
    AK_AUTO_TEXT char *text = ak_malloc(AK_JSON_MAX_BYTES + 1);
    AK_AUTO_JSON *tree = NULL;

    (void)state;
    memset(text, ' ', AK_JSON_MAX_BYTES + 1);
    text[0] = '1';
    assert_int_equal(ak_json_parse(text, AK_JSON_MAX_BYTES + 1, &tree, NULL), AK_E_TOO_LARGE);
    assert_int_equal(ak_json_parse(text, AK_JSON_MAX_BYTES, &tree, NULL), 0);
}

static void what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    AK_AUTO_JSON *tree = parse("[1,2,3,4,5,6,7]");
    AK_AUTO(ak_buf) out = AK_BUF_INIT(12);
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    assert_int_equal(ak_buf_adds(&out, "before"), 0);
    assert_int_equal(ak_json_write(tree, &out, &err), AK_E_TOO_LARGE);
    assert_string_equal(out.data, "before");
}

static void the_hash_is_of_the_meaning(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"{\"a\":1,\"b\":{\"c\":2,\"d\":3}}", "{\"b\":{\"d\":3,\"c\":2},\"a\":1}", true},
        {"[1,2]", "[2,1]", false},
        {"1", "1.0", true},
        {"-0.0", "0", true},
        {"1.5", "1.25", false},
        {"\"1\"", "1", false},
        {"true", "false", false},
        {"null", "false", false},
        {"{}", "[]", false},
        {"{\"a\":null}", "{}", false},
        {"[[],[1]]", "[[1],[]]", false},
        {"[\"ab\",\"c\"]", "[\"a\",\"bc\"]", false},
        {"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false},
        {"{\"a\":\"x\\u0000y\"}", "{\"a\":\"x\\u0000z\"}", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *a = parse(cases[i].a);
        AK_AUTO_JSON *b = parse(cases[i].b);

        assert_int_equal(ak_json_hash(a) == ak_json_hash(b), cases[i].same);
    }
    assert_true(ak_json_hash(NULL) == 0);
}

static void paths_are_followed(void **state)
{
    AK_AUTO_JSON *tree = parse("{\"status\":{\"phase\":\"Running\",\"n\":1}}");

    (void)state;
    assert_string_equal(ak_json_text(tree, "status", "phase", NULL), "Running");
    assert_null(ak_json_text(tree, "status", "n", NULL));
    assert_null(ak_json_text(tree, "status", "phase", "deeper", NULL));
    assert_null(ak_json_text(tree, "absent", "phase", NULL));
    assert_null(ak_json_text(NULL, "status", NULL));
    assert_int_equal(json_integer_value(ak_json_at(tree, "status", "n", NULL)), 1);
    assert_ptr_equal(ak_json_at(tree, NULL), tree);
}

static void a_copy_is_whole_or_none(void **state)
{
    AK_AUTO_JSON *tree = parse("{\"a\":[1,{\"b\":\"c\"}],\"d\":{\"e\":null}}");
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        AK_AUTO_JSON *copy = NULL;

        (void)ak_alloc_fail_after(n);
        copy = ak_json_copy(tree);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(copy == NULL, failed);
        assert_true(failed || json_equal(copy, tree));
    }
}

static int round_trip(struct ak_error **reterr)
{
    static const char text[] =
        "{\"a\":[1,2.5,\"x\",{\"b\":null,\"long\":\"0123456789012345678\"}]}";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(10000);
    AK_AUTO_JSON *tree = NULL;
    int r;

    r = ak_json_parse(text, strlen(text), &tree, reterr);
    return r < 0 ? r : ak_json_write(tree, &out, reterr);
}

static void each_allocation_may_fail(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = round_trip(&err);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        assert_int_equal(ak_error_code(err), r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_the_same),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(an_error_never_quotes_the_text),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(brackets_in_strings_do_not_count),
        cmocka_unit_test(size_has_a_limit),
        cmocka_unit_test(what_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(the_hash_is_of_the_meaning),
        cmocka_unit_test(paths_are_followed),
        cmocka_unit_test(a_copy_is_whole_or_none),
        cmocka_unit_test(each_allocation_may_fail),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
