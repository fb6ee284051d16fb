/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/journal.h"

static struct ak_journal_record record_of(const char *statement)
{
    return (struct ak_journal_record){
        .time = 1763985600000,
        .session_id = "s-1",
        .session_kind = "Exec",
        .ns = "team",
        .tool = "db",
        .type = "postgres",
        .class_ = AK_CLASS_READ,
        .statement = statement,
        .statement_len = strlen(statement),
        .verdict = "Allowed",
        .rows = 3,
        .bytes = 12,
        .duration = 4,
    };
}

static void records_are_numbered_kept_and_acknowledged(void **state)
{
    AK_AUTO(ak_journal) journal = {0};
    AK_AUTO_JSON *caller = json_pack("{ssss}", "kind", "Person", "name", "alice");

    (void)state;
    assert_int_equal(ak_journal_init(&journal, "boot"), 0);
    for (int i = 0; i < 3; i++) {
        struct ak_journal_record r = record_of("select 1");
        r.caller = caller;
        r.rows = i - 1;
        assert_int_equal(ak_journal_add(&journal, &r, NULL), 0);
    }
    const struct ak_journal_entry *first = ak_journal_next(&journal, 0);
    assert_int_equal(first->seq, 1);
    AK_AUTO_JSON *tree = NULL;
    assert_int_equal(ak_json_parse(first->text, first->len, &tree, NULL), 0);
    assert_string_equal(ak_json_text(tree, "time", NULL), "2025-11-24T12:00:00.000000Z");
    assert_string_equal(ak_json_text(tree, "bootID", NULL), "boot");
    assert_string_equal(ak_json_text(tree, "caller", "name", NULL), "alice");
    assert_string_equal(ak_json_text(tree, "tool", "name", NULL), "db");
    assert_string_equal(ak_json_text(tree, "statementClass", NULL), "read");
    assert_string_equal(ak_json_text(tree, "statement", NULL), "select 1");
    assert_null(json_object_get(tree, "rows"));
    assert_null(json_object_get(tree, "rule"));
    assert_int_equal(json_integer_value(json_object_get(tree, "seq")), 1);
    assert_int_equal(ak_journal_ack(&journal, 2), 0);
    assert_int_equal(ak_journal_next(&journal, 0)->seq, 3);
    assert_int_equal(ak_journal_ack(&journal, 1), 0);
    assert_int_equal(journal.acked, 2);
    assert_int_equal(ak_journal_ack(&journal, 4), -EINVAL);
    assert_int_equal(ak_journal_ack(&journal, 3), 0);
    assert_null(ak_journal_next(&journal, 0));
    assert_int_equal(journal.dropped, 0);
}

static void too_many_push_the_oldest_out_and_are_counted(void **state)
{
    AK_AUTO(ak_journal) journal = {0};

    (void)state;
    assert_int_equal(ak_journal_init(&journal, "boot"), 0);
    for (int i = 0; i < AK_JOURNAL_RECORDS + 10; i++) {
        struct ak_journal_record r = record_of("select 1");
        assert_int_equal(ak_journal_add(&journal, &r, NULL), 0);
    }
    assert_int_equal(journal.dropped, 10);
    assert_int_equal(ak_journal_next(&journal, 0)->seq, 11);
    assert_int_equal(ak_journal_next(&journal, AK_JOURNAL_RECORDS)->seq, AK_JOURNAL_RECORDS + 1);
    assert_int_equal(journal.head, AK_JOURNAL_RECORDS + 10);
}

static void large_ones_are_limited_together(void **state)
{
    AK_AUTO(ak_journal) journal = {0};
    char text[2 * AK_JOURNAL_STATEMENT];

    (void)state;
    memset(text, '\x01', sizeof(text) - 1); /* six bytes each, as JSON */
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(ak_journal_init(&journal, "boot"), 0);
    for (int i = 0; i < 1000; i++) {
        struct ak_journal_record r = record_of(text);
        assert_int_equal(ak_journal_add(&journal, &r, NULL), 0);
    }
    assert_true(journal.bytes <= AK_JOURNAL_BYTES && journal.dropped > 0);
    assert_int_equal(journal.dropped + journal.len, 1000);
}

static void passwords_are_hidden(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"select 1", "select 1"},
        {"alter user a password 'x'';y' valid; select 1", "alter user a password '***'; select 1"},
        {"ALTER ROLE a WITH ENCRYPTED PASSWORD 'x'", "ALTER ROLE a WITH ENCRYPTED PASSWORD '***'"},
        {"create user a identified by 'x'", "create user a identified '***'"},
        {"create user a identified with p by \"x\"", "create user a identified '***'"},
        {"set password = password('x')", "set password '***'"},
        {"AUTH alice x", "AUTH '***'"},
        {"ACL SETUSER alice >x on", "ACL SETUSER '***'"},
        {"config set requirepass x", "config set requirepass '***'"},
        {"where password='x", "where password '***'"},
        {"create table t(password text)", "create table t(password text)"},
        {"select password, name from users", "select password, name from users"},
        {"password", "password"},
        {"COPY t FROM PROGRAM 'curl https://me:pw@host/x'",
         "COPY t FROM PROGRAM 'curl https://***@host/x'"},
        {"open http://host/a@b", "open http://host/a@b"},
        {"select '://'", "select '://'"},
        {"{\"header\":\"Authorization: Bearer x\"}", "{\"header\":\"Authorization '***'"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        assert_int_equal(ak_journal_excerpt(cases[i].text, strlen(cases[i].text), &out), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].want);
    }
}

static void any_bytes_are_a_statement(void **state)
{
    AK_AUTO(ak_journal) journal = {0};
    AK_AUTO_JSON *tree = NULL;

    (void)state;
    assert_int_equal(ak_journal_init(&journal, "boot"), 0);
    struct ak_journal_record r = record_of("select '\xff\xfe'");
    assert_int_equal(ak_journal_add(&journal, &r, NULL), 0);
    const struct ak_journal_entry *first = ak_journal_next(&journal, 0);
    assert_int_equal(ak_json_parse(first->text, first->len, &tree, NULL), 0);
    assert_string_equal(ak_json_text(tree, "statement", NULL), "select '\xef\xbf\xbd\xef\xbf\xbd'");
}

static void without_memory_a_record_is_counted_as_lost(void **state)
{
    AK_AUTO(ak_journal) journal = {0};

    (void)state;
    assert_int_equal(ak_journal_init(&journal, "boot"), 0);
    for (int i = 0;; i++) {
        struct ak_journal_record r = record_of("select 1");
        ak_alloc_fail_after(i);
        int code = ak_journal_add(&journal, &r, NULL);
        ak_alloc_fail_after(-1);
        assert_int_equal(journal.head, i + 1);
        if (code >= 0)
            return;
        assert_int_equal(journal.dropped, i + 1);
    }
}

static void a_hash_is_sha256(void **state)
{
    char hash[AK_JOURNAL_HASH_SIZE];
    (void)state;
    assert_int_equal(ak_journal_hash("abc", 3, hash), 0);
    assert_string_equal(hash,
                        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_numbered_kept_and_acknowledged),
        cmocka_unit_test(too_many_push_the_oldest_out_and_are_counted),
        cmocka_unit_test(large_ones_are_limited_together),
        cmocka_unit_test(passwords_are_hidden),
        cmocka_unit_test(any_bytes_are_a_statement),
        cmocka_unit_test(without_memory_a_record_is_counted_as_lost),
        cmocka_unit_test(a_hash_is_sha256),
    };
    return cmocka_run_group_tests_name("bastion/journal", tests, NULL, NULL);
}
