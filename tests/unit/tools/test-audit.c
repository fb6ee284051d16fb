/* SPDX-License-Identifier: Apache-2.0 */
/* The chained log: its text, its hashes, where it begins. */
#include "manager/tools/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

struct lines {
    struct ak_buf text;
    size_t n;
    char room[4096];
};

static void take_line(const char *line, size_t len, void *user)
{
    struct lines *l = user;

    assert_true(len > 0 && line[len - 1] == '\n');
    assert_null(memchr(line, '\n', len - 1));
    assert_int_equal(ak_buf_add(&l->text, line, len), 0);
    l->n++;
}

static json_t *line_at(const struct lines *l, size_t n)
{
    const char *p = l->text.data;
    json_t *tree = NULL;

    for (; n > 0; n--)
        p = strchr(p, '\n') + 1;
    assert_int_equal(ak_json_parse(p, strcspn(p, "\n"), &tree, NULL), 0);
    return tree;
}

static void members_are_sorted_at_every_depth(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{\"b\":1,\"a\":{\"z\":null,\"y\":true}}", "{\"a\":{\"y\":true,\"z\":null},\"b\":1}"},
        {"{\"l\":[{\"b\":1,\"a\":2},[],{}]}", "{\"l\":[{\"a\":2,\"b\":1},[],{}]}"},
        {"{\"s\":\"a\\\"\\u0001\\u00e9\"}", "{\"s\":\"a\\\"\\u0001\xc3\xa9\"}"},
        {"[]", "[]"},
        {"{\"n\":-12,\"t\":\"\"}", "{\"n\":-12,\"t\":\"\"}"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *tree = NULL;
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        assert_int_equal(ak_json_parse(cases[i].in, strlen(cases[i].in), &tree, NULL), 0);
        assert_int_equal(ak_audit_write(tree, &out, NULL), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].out);
    }
}

/* printf '%s\n%s' "$PREV" "$RECORD" | sha256sum */
static void the_hash_is_that_of_the_one_before_and_the_record(void **state)
{
    AK_AUTO_JSON *record = json_pack("{s:s, s:i}", "verdict", "Allowed", "rows", 1);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
    char hash[AK_AUDIT_HASH_SIZE];

    (void)state;
    assert_int_equal(ak_audit_hash(AK_AUDIT_NONE, record, hash, &text, NULL), 0);
    assert_string_equal(text.data, "{\"rows\":1,\"verdict\":\"Allowed\"}");
    assert_string_equal(hash,
                        "sha256:e2e27d0b43798047a9ae1be62d4b329305ce3cea1a17c8fed3a7edd25996fb66");
}

static void each_line_goes_on_from_the_one_before(void **state)
{
    struct lines l = {.text = AK_BUF_INIT(1u << 20)};
    struct ak_audit audit;
    char head[AK_AUDIT_HASH_SIZE], prev[AK_AUDIT_HASH_SIZE] = AK_AUDIT_NONE;

    (void)state;
    ak_audit_init(&audit, take_line, &l);
    assert_false(ak_audit_head(&audit, head));
    for (int i = 1; i <= 3; i++) {
        AK_AUTO_JSON *record = json_pack("{s:i}", "i", i);
        AK_AUTO_JSON *line = NULL;
        AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
        char hash[AK_AUDIT_HASH_SIZE];
        assert_int_equal(ak_audit_add(&audit, record, NULL), 0);
        line = line_at(&l, (size_t)i);
        assert_string_equal(ak_json_text(line, "kind", NULL), "ToolAudit");
        assert_int_equal(json_integer_value(json_object_get(line, "seq")), i);
        assert_string_equal(ak_json_text(line, "prev", NULL), prev);
        assert_int_equal(ak_audit_hash(prev, json_object_get(line, "record"), hash, &text, NULL),
                         0);
        assert_string_equal(ak_json_text(line, "hash", NULL), hash);
        assert_true(ak_audit_head(&audit, head));
        assert_string_equal(head, hash);
        memcpy(prev, hash, sizeof(prev));
    }
    assert_int_equal(l.n, 4);
    AK_AUTO_JSON *first = line_at(&l, 0);
    assert_string_equal(ak_json_text(first, "kind", NULL), "ToolAuditBegin");
    assert_string_equal(ak_json_text(first, "head", NULL), AK_AUDIT_NONE);
    ak_audit_done(&audit);
    ak_buf_done(&l.text);
}

static void a_process_goes_on_from_the_head_that_was_noted_but_only_at_its_beginning(void **state)
{
    static const char noted[] =
        "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    struct lines l = {.text = AK_BUF_INIT(1u << 20)};
    AK_AUTO_JSON *record = json_pack("{s:i}", "i", 1);
    struct ak_audit audit;

    (void)state;
    ak_audit_init(&audit, take_line, &l);
    ak_audit_go_on_from(&audit, noted);
    ak_audit_go_on_from(&audit, "");
    ak_audit_go_on_from(&audit, NULL);
    ak_audit_go_on_from(&audit, "sha256:zz");
    assert_int_equal(ak_audit_add(&audit, record, NULL), 0);
    ak_audit_go_on_from(&audit, AK_AUDIT_NONE);
    assert_int_equal(ak_audit_add(&audit, record, NULL), 0);
    AK_AUTO_JSON *begin = line_at(&l, 0);
    AK_AUTO_JSON *first = line_at(&l, 1);
    AK_AUTO_JSON *second = line_at(&l, 2);
    assert_string_equal(ak_json_text(begin, "head", NULL), noted);
    assert_string_equal(ak_json_text(first, "prev", NULL), noted);
    assert_string_equal(ak_json_text(second, "prev", NULL), ak_json_text(first, "hash", NULL));
    ak_audit_done(&audit);
    ak_buf_done(&l.text);
}

static void a_record_that_is_too_long_is_no_line(void **state)
{
    struct lines l = {.text = AK_BUF_INIT(1u << 20)};
    AK_AUTO_TEXT char *long_text = ak_calloc(1, AK_AUDIT_MAX_RECORD + 1);
    struct ak_audit audit;

    (void)state;
    memset(long_text, 'x', AK_AUDIT_MAX_RECORD);
    AK_AUTO_JSON *record = json_pack("{s:s}", "t", long_text);
    ak_audit_init(&audit, take_line, &l);
    assert_int_equal(ak_audit_add(&audit, record, NULL), AK_E_TOO_LARGE);
    assert_int_equal(l.n, 0);
    ak_audit_done(&audit);
    ak_buf_done(&l.text);
}

static void without_memory_nothing_is_written(void **state)
{
    AK_AUTO_JSON *record = json_pack("{s:{s:s}, s:[i]}", "tool", "name", "db", "l", 1);
    int r = -ENOMEM;

    (void)state;
    for (int n = 0; r < 0; n++) {
        struct lines l = {.text = AK_BUF_INIT(1u << 20)};
        struct ak_audit audit;
        ak_audit_init(&audit, take_line, &l);
        assert_int_equal(ak_buf_add(&l.text, l.room, sizeof(l.room)), 0);
        ak_buf_clear(&l.text); /* so that the test itself needs none */
        (void)ak_alloc_fail_after(n);
        r = ak_audit_add(&audit, record, NULL);
        bool hit = ak_alloc_fail_after(-1);
        assert_true(hit == (r == -ENOMEM));
        assert_int_equal(l.n, r < 0 ? 0 : 2);
        ak_audit_done(&audit);
        ak_buf_done(&l.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_sorted_at_every_depth),
        cmocka_unit_test(the_hash_is_that_of_the_one_before_and_the_record),
        cmocka_unit_test(each_line_goes_on_from_the_one_before),
        cmocka_unit_test(a_process_goes_on_from_the_head_that_was_noted_but_only_at_its_beginning),
        cmocka_unit_test(a_record_that_is_too_long_is_no_line),
        cmocka_unit_test(without_memory_nothing_is_written),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
