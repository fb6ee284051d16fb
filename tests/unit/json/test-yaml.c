/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The first document of the YAML text is this JSON. */
static void reads_as(const char *yaml, const char *json)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(100000);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;

    if (ak_yaml_parse(yaml, strlen(yaml), &tree, &err) < 0)
        fail_msg("%s: %s", yaml, ak_error_message(err));
    assert_int_equal(ak_json_write(tree, &out, NULL), 0);
    assert_string_equal(out.data, json);
}

static void plain_scalars_mean_what_they_mean_to_kubectl(void **state)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"text", "\"text\""},
        {"", "null"},
        {"~", "null"},
        {"Null", "null"},
        {"yes", "true"},
        {"On", "true"},
        {"y", "true"},
        {"n", "false"},
        {"OFF", "false"},
        {"yEs", "\"yEs\""},
        {"0", "0"},
        {"-0", "0"},
        {"+1", "1"},
        {"0644", "420"},
        {"0x1F", "31"},
        {"-0x1f", "-31"},
        {"0b101", "5"},
        {"0o17", "15"},
        {"1_000", "1000"},
        {"08", "8"},
        {"1e3", "1000"},
        {"1.0", "1"},
        {"1.5", "1.5"},
        {".5", "0.5"},
        {"5.", "5"},
        {"-1.5e-1", "-0.15"},
        {"1e", "\"1e\""},
        {"1.2.3", "\"1.2.3\""},
        {"12:30", "\"12:30\""},
        {"2001-01-01", "\"2001-01-01\""},
        {"-", "[null]"},
        {"'-'", "\"-\""},
        {"...x", "\"...x\""},
        {"0x", "\"0x\""},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"18446744073709551616", "1.8446744073709552e+19"},
        {"\"1\"", "\"1\""},
        {"'yes'", "\"yes\""},
        {"!!str 1", "\"1\""},
        {"! 1", "\"1\""},
        {"!!int \"5\"", "5"},
        {"!!float 5", "5"},
        {"!!bool yes", "true"},
        {"100m", "\"100m\""},
        {"1Gi", "\"1Gi\""},
        {"10.0.0.1", "\"10.0.0.1\""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        reads_as(cases[i].yaml, cases[i].json);
}

static void a_manifest_reads_as_its_json(void **state)
{
    (void)state;
    reads_as(
        "apiVersion: v1\n"
        "metadata:\n"
        "  labels: {a: \"1\", b: yes}\n"
        "spec:\n"
        "  args:\n"
        "  - --x\n"
        "  - |\n"
        "    line 1\n"
        "     line 2\n"
        "  - >-\n"
        "    folded\n"
        "    text\n"
        "  empty:\n",
        "{\"apiVersion\":\"v1\",\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":true}},"
        "\"spec\":{\"args\":[\"--x\",\"line 1\\n line 2\\n\",\"folded text\"],\"empty\":null}}");
}

static void json_is_read_as_json(void **state)
{
    (void)state;
    reads_as("\n {\"a\":\t[1, \"yes\",\n\tnull]}", "{\"a\":[1,\"yes\",null]}");
    reads_as("{a: yes}", "{\"a\":true}");
}

static void keys_become_text(void **state)
{
    (void)state;
    reads_as("1: a\ntrue: b\nno: c\n0644: d\n1.5: e\n\"\": f\n",
             "{\"1\":\"a\",\"true\":\"b\",\"false\":\"c\",\"420\":\"d\",\"1.5\":\"e\",\"\":\"f\"}");
}

static void aliases_and_merge_keys_are_copied(void **state)
{
    (void)state;
    reads_as("a: &x {k: v, l: [1]}\nb: *x\n",
             "{\"a\":{\"k\":\"v\",\"l\":[1]},\"b\":{\"k\":\"v\",\"l\":[1]}}");
    reads_as("a: &x {k: v}\nb:\n  <<: *x\n  k: w\n", "{\"a\":{\"k\":\"v\"},\"b\":{\"k\":\"w\"}}");
    reads_as("a: &x {k: v}\nb:\n  k: w\n  <<: [*x, {k: 2, z: 3}]\n",
             "{\"a\":{\"k\":\"v\"},\"b\":{\"k\":\"w\",\"z\":3}}");
    reads_as("- &a 1\n- &a 2\n- *a\n", "[1,2,2]");
    reads_as("\"<<\": 1\n", "{\"<<\":1}");
}

static void what_cannot_be_json_is_refused(void **state)
{
    static const struct {
        const char *yaml;
        int code;
    } cases[] = {
        {"a: .nan", AK_E_INVALID},          {"a: -.inf", AK_E_INVALID},
        {"a: 1e999", AK_E_INVALID},         {"a: 1\na: 2", AK_E_INVALID},
        {"1: a\n\"1\": b", AK_E_INVALID},   {"~: a", AK_E_INVALID},
        {"? [a]\n: b", AK_E_INVALID},       {"a: !mine x", AK_E_INVALID},
        {"a: !!binary eA==", AK_E_INVALID}, {"a: !!int x", AK_E_INVALID},
        {"a: !!map []", AK_E_INVALID},      {"a: *unknown", AK_E_INVALID},
        {"&a [*a]", AK_E_INVALID},          {"<<: 5", AK_E_INVALID},
        {"<<: [5]", AK_E_INVALID},          {"a: [", AK_E_INVALID},
        {"a: b: c", AK_E_INVALID},          {"\ta: b", AK_E_INVALID},
        {"a: \xff", AK_E_INVALID},          {"\"a\\0b\": 1", AK_E_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        json_t *tree = NULL;
        int r = ak_yaml_parse(cases[i].yaml, strlen(cases[i].yaml), &tree, &err);

        if (r != cases[i].code)
            fail_msg("%s gives %d", cases[i].yaml, r);
        assert_null(tree);
        assert_true(ak_has_prefix(ak_error_message(err), "not valid YAML: line "));
    }
}

static void an_error_names_the_line(void **state)
{
    static const char text[] = "a: 1\nb: 2\na: 3\n";
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *tree = NULL;

    (void)state;
    (void)!ak_yaml_parse(text, strlen(text), &tree, &err);
    assert_string_equal(ak_error_message(err),
                        "not valid YAML: line 3: a key that was there before");
}

/* Nine levels of nine aliases each: 300 bytes that stand for 400 million values. */
static void a_small_file_cannot_become_a_large_tree(void **state)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(10000);
    AK_AUTO_PTR(ak_error) err = NULL;
    json_t *tree = NULL;

    (void)state;
    assert_int_equal(ak_buf_adds(&text, "a: &a [x,x,x,x,x,x,x,x,x]\n"), 0);
    for (char c = 'b'; c <= 'i'; c++)
        assert_int_equal(ak_buf_addf(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c,
                                     c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1),
                         0);
    assert_int_equal(ak_yaml_parse(text.data, text.len, &tree, &err), AK_E_TOO_LARGE);
}

static void nesting_has_a_limit(void **state)
{
    char text[2 * AK_JSON_MAX_DEPTH + 3] = "";
    AK_AUTO_JSON *tree = NULL;
    json_t *none = NULL;

    (void)state;
    memset(text, '[', AK_JSON_MAX_DEPTH);
    memset(text + AK_JSON_MAX_DEPTH, ']', AK_JSON_MAX_DEPTH);
    assert_int_equal(ak_yaml_parse(text, strlen(text), &tree, NULL), 0);
    memset(text, '[', AK_JSON_MAX_DEPTH + 1);
    memset(text + AK_JSON_MAX_DEPTH + 1, ']', AK_JSON_MAX_DEPTH + 1);
    assert_int_equal(ak_yaml_parse(text, strlen(text), &none, NULL), AK_E_TOO_LARGE);
}

static void an_alias_counts_as_deep_as_what_it_copies(void **state)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(10000);
    json_t *tree = NULL;

    (void)state;
    assert_int_equal(ak_buf_adds(&text, "- &a "), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ak_buf_adds(&text, "["), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ak_buf_adds(&text, "]"), 0);
    assert_int_equal(ak_buf_adds(&text, "\n- "), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ak_buf_adds(&text, "["), 0);
    assert_int_equal(ak_buf_adds(&text, "*a"), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ak_buf_adds(&text, "]"), 0);
    assert_int_equal(ak_yaml_parse(text.data, text.len, &tree, NULL), AK_E_TOO_LARGE);
}

static void all_documents_but_empty_ones_are_read(void **state)
{
    static const char text[] = "---\na: &x 1\n---\n---\n# nothing\n---\n- 2\n...\n";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1000);
    AK_AUTO_JSON *all = NULL;
    AK_AUTO_JSON *first = NULL;

    (void)state;
    assert_int_equal(ak_yaml_parse_all(text, strlen(text), &all, NULL), 0);
    assert_int_equal(ak_json_write(all, &out, NULL), 0);
    assert_string_equal(out.data, "[{\"a\":1},[2]]");
    assert_int_equal(ak_yaml_parse(text, strlen(text), &first, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "a")), 1);
}

static void an_anchor_ends_with_its_document(void **state)
{
    static const char text[] = "- &x 1\n---\n- *x\n";
    json_t *all = NULL;

    (void)state;
    assert_int_equal(ak_yaml_parse_all(text, strlen(text), &all, NULL), AK_E_INVALID);
}

static void yaml_is_written_like_kubectl_does(void **state)
{
    static const char json[] =
        "{\"b\":[1,{\"x\":\"y\",\"a\":[]},\"\"],\"a\":{},\"t\":\"line 1\\nline 2\\n\",\"n\":null,"
        "\"yes\":\"on\",\"v\":\"1.0\",\"d\":\"2026-11-22T12:00:00Z\",\"h\":\"12:30:45\","
        "\"c\":\"a: b\",\"r\":0.1,\"ok\":true,\"m\":\"100m\",\"e\":\"\xc3\xa9\"}";
    static const char yaml[] = "a: {}\n"
                               "b:\n"
                               "- 1\n"
                               "- a: []\n"
                               "  x: \"y\"\n"
                               "- \"\"\n"
                               "c: 'a: b'\n"
                               "d: \"2026-11-22T12:00:00Z\"\n"
                               "e: \xc3\xa9\n"
                               "h: \"12:30:45\"\n"
                               "m: 100m\n"
                               "\"n\": null\n"
                               "ok: true\n"
                               "r: 0.1\n"
                               "t: |\n"
                               "  line 1\n"
                               "  line 2\n"
                               "v: \"1.0\"\n"
                               "\"yes\": \"on\"\n";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1000);
    AK_AUTO_JSON *tree = NULL;

    (void)state;
    assert_int_equal(ak_json_parse(json, strlen(json), &tree, NULL), 0);
    assert_int_equal(ak_yaml_write(tree, &out, NULL), 0);
    assert_string_equal(out.data, yaml);
}

/* Each would be read as something else, or not at all, without the right quotes. */
static const char *const awkward_texts[] = {
    "",
    " ",
    "\n",
    "\n\n",
    " x",
    "x ",
    " \n",
    "\tx",
    "x\ty",
    "a\n b\n",
    " a\nb",
    "a\n\n\nb",
    "#x",
    "a #b",
    "'",
    "\"",
    "\\",
    "- x",
    "-",
    "---",
    "...",
    "? x",
    ": x",
    "x:",
    "[x]",
    "{x}",
    "*x",
    "&x",
    "!x",
    "|",
    ">",
    "%x",
    "@x",
    "`x",
    "null",
    "True",
    "0x1",
    "1_0",
    "1e5",
    "NaN",
    ".nan",
    "<<",
    "=",
    "~",
    "\r\n",
    "a\rb",
    "\x7f",
    "\x01",
    "\xc2\x85",
    "\xe2\x80\xa8",
    "\xef\xbb\xbf",
    "\xf0\x9f\x98\x80",
    "a\n\tb\n",
    "trailing \nspace",
    "\xc2\xa0",
    "no newline\nat end",
};

static void every_text_survives_the_round(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(awkward_texts); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(1000);
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO_JSON *tree =
            json_pack("{s:s,s:[s]}", awkward_texts[i], awkward_texts[i], "list", awkward_texts[i]);
        AK_AUTO_JSON *back = NULL;

        assert_int_equal(ak_yaml_write(tree, &out, NULL), 0);
        if (ak_yaml_parse(out.data, out.len, &back, &err) < 0 || !json_equal(tree, back))
            fail_msg("text %zu: %s\n%s", i, ak_error_message(err), out.data);
    }
}

static void what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    AK_AUTO_JSON *tree = json_pack("{s:s}", "key", "a long value");
    AK_AUTO(ak_buf) out = AK_BUF_INIT(12);

    (void)state;
    assert_int_equal(ak_buf_adds(&out, "before"), 0);
    assert_int_equal(ak_yaml_write(tree, &out, NULL), AK_E_TOO_LARGE);
    assert_string_equal(out.data, "before");
}

static int round_trip(struct ak_error **reterr)
{
    static const char text[] = "a: &x {k: [1, 1.5, yes, ~]}\nb: *x\nc: {<<: *x, 5: \"t\"}\n";
    AK_AUTO(ak_buf) out = AK_BUF_INIT(10000);
    AK_AUTO_JSON *all = NULL;
    int r;

    r = ak_yaml_parse_all(text, strlen(text), &all, reterr);
    return r < 0 ? r : ak_yaml_write(all, &out, reterr);
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
        cmocka_unit_test(plain_scalars_mean_what_they_mean_to_kubectl),
        cmocka_unit_test(a_manifest_reads_as_its_json),
        cmocka_unit_test(json_is_read_as_json),
        cmocka_unit_test(keys_become_text),
        cmocka_unit_test(aliases_and_merge_keys_are_copied),
        cmocka_unit_test(what_cannot_be_json_is_refused),
        cmocka_unit_test(an_error_names_the_line),
        cmocka_unit_test(a_small_file_cannot_become_a_large_tree),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(an_alias_counts_as_deep_as_what_it_copies),
        cmocka_unit_test(all_documents_but_empty_ones_are_read),
        cmocka_unit_test(an_anchor_ends_with_its_document),
        cmocka_unit_test(yaml_is_written_like_kubectl_does),
        cmocka_unit_test(every_text_survives_the_round),
        cmocka_unit_test(what_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(each_allocation_may_fail),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
