/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts: hashes, grants, the guard of reading sessions, where answers end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>

#include "bastion/engines/mysql/auth.h"
#include "bastion/engines/mysql/grants.h"
#include "bastion/engines/mysql/guard.h"
#include "bastion/engines/mysql/reply.h"

static void test_a_hash_is_the_one_that_the_server_stores(void **state)
{
    AK_AUTO_PTR(ak_secret) password = ak_secret_new("password", 8);
    AK_AUTO_PTR(ak_secret) hello = ak_secret_new("Hello world!", 12);
    char native[AK_MYSQL_NATIVE_HASH_SIZE], sha2[AK_MYSQL_SHA2_HASH_SIZE];

    (void)state;
    assert_int_equal(ak_mysql_native_hash(password, native, NULL), 0);
    assert_string_equal(native, "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    /* The same text as `openssl passwd -5 -salt abcdefghijklmnop` gives, behind its own mark. */
    assert_int_equal(ak_mysql_sha2_hash(hello, "abcdefghijklmnop", sha2, NULL), 0);
    assert_string_equal(sha2, "$A$005$abcdefghijklmnopWygOm0vZdIKWH9yI98DLdhsSwAIlXFRF1LLg5KLHb58");
}

static void test_a_password_in_clear_needs_tls(void **state)
{
    AK_AUTO_PTR(ak_secret) password = ak_secret_new("password", 8);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(256);

    (void)state;
    assert_int_equal(ak_mysql_prove(AK_MYSQL_CLEAR, password, NULL, 0, false, &out, NULL),
                     AK_E_UNAUTHORIZED);
    assert_int_equal(ak_mysql_prove("dialog", password, NULL, 0, true, &out, NULL),
                     AK_E_UNAUTHORIZED);
    assert_int_equal(out.len, 0);
    assert_int_equal(ak_mysql_prove(AK_MYSQL_CLEAR, password, NULL, 0, true, &out, NULL), 0);
    assert_int_equal(out.len, 9);
}

static void test_lines_of_show_grants_are_taken_apart(void **state)
{
    static const struct {
        const char *line;
        size_t n;
        const char *privilege, *on;
    } cases[] = {
        {"GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*AB'", 0, NULL, NULL},
        {"GRANT SELECT, INSERT ON `my\\_db`.* TO `u`@`%`", 2, "INSERT", "`my\\_db`.*"},
        {"GRANT SELECT (`a`, `b`), UPDATE ON `d`.`t` TO `u`@`%`", 2, "SELECT (`a`, `b`)",
         "`d`.`t`"},
        {"GRANT EXECUTE ON FUNCTION `d`.`f` TO `u`@`%`", 1, "EXECUTE", "FUNCTION `d`.`f`"},
        {"GRANT SELECT ON `a TO b`.` ON ``x` TO `u`@`%`", 1, "SELECT", "`a TO b`.` ON ``x`"},
        {"GRANT FILE ON *.* TO `u`@`%` WITH GRANT OPTION", 2, "GRANT OPTION", "*.*"},
        {"GRANT `helper` TO `u`@`%`", 1, "`helper`", NULL},
        {"GRANT PROXY ON ''@'%' TO 'u'@'%'", 1, "PROXY", "''@'%'"},
        {"SET DEFAULT ROLE x FOR `u`@`%`", 0, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_mysql_rights rights = {0};
        AK_AUTO(ak_arena) arena = {0};

        ak_arena_init(&arena, 512, 0);
        assert_int_equal(ak_mysql_add_grant_line(cases[i].line, &arena, &rights, NULL), 0);
        assert_int_equal(rights.n, cases[i].n);
        if (cases[i].privilege)
            assert_true(ak_mysql_has_right(&rights, cases[i].privilege, cases[i].on));
    }
}

static void test_a_strict_session_says_only_what_is_harmless(void **state)
{
    static const struct {
        const char *sql;
        bool passes;
    } cases[] = {
        {"BEGIN", true},
        {"START TRANSACTION;", true},
        {"START TRANSACTION READ WRITE", false},
        {"SET NAMES 'utf8mb4'", true},
        {"SET NAMES utf8mb4, tx_read_only = 0", false},
        {"SET tx_read_only = 0", false},
        {"SET autocommit = 0", true},
        {"USE `app`", true},
        {"COMMIT; DELETE FROM x", false},
        {"SELECT 1", true},
        {"DELETE FROM x", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_sql_facts facts;
        const char *why = NULL, *sql = cases[i].sql;
        enum ak_statement_class class_ =
            ak_classify_sql(AK_TOOL_TYPE_MYSQL, sql, strlen(sql), &facts);

        assert_int_equal(
            ak_mysql_guard(AK_MYSQL_GUARD_STRICT, class_, &facts, sql, strlen(sql), &why),
            cases[i].passes);
        assert_int_equal(why == NULL, cases[i].passes);
    }
}

static void test_a_kill_is_known_by_its_form(void **state)
{
    uint32_t id = 0;

    (void)state;
    assert_true(ak_mysql_is_kill("KILL QUERY 17;", 14, &id));
    assert_int_equal(id, 17);
    assert_false(ak_mysql_is_kill("KILL USER root", 14, &id));
    assert_false(ak_mysql_is_kill("KILL 5; DROP TABLE x", 20, &id));
}

static void test_an_answer_ends_where_the_protocol_says(void **state)
{
    static const uint8_t ok[] = {0, 1, 0, 2, 0, 0, 0}, more[] = {0, 1, 0, 10, 0, 0, 0};
    static const uint8_t one_column[] = {1}, eof[] = {0xfe, 0, 0, 2, 0}, file[] = {0xfb, 'x'};
    static const uint8_t err[] = {0xff, 0x28, 4, '#', '4', '2', '0', '0', '0', 'x'};
    struct ak_mysql_reply reply;

    (void)state;
    ak_mysql_reply_begin(&reply, AK_MYSQL_REPLY_RESULT);
    assert_int_equal(ak_mysql_reply_packet(&reply, more, sizeof(more), sizeof(more)), 0);
    assert_int_equal(ak_mysql_reply_packet(&reply, one_column, 1, 1), 0);
    assert_int_equal(ak_mysql_reply_packet(&reply, one_column, 1, 30), 0);
    assert_int_equal(ak_mysql_reply_packet(&reply, eof, 5, 5), 0);
    assert_int_equal(ak_mysql_reply_packet(&reply, file, 2, AK_MYSQL_PACKET_MAX), 0);
    assert_int_equal(ak_mysql_reply_packet(&reply, err, 10, 10), 0); /* the rest of the row */
    assert_int_equal(ak_mysql_reply_packet(&reply, eof, 5, 5), 1);
    assert_int_equal(reply.rows, 2);
    ak_mysql_reply_begin(&reply, AK_MYSQL_REPLY_RESULT);
    assert_int_equal(ak_mysql_reply_packet(&reply, file, 2, 2), AK_E_PROTOCOL);
    ak_mysql_reply_begin(&reply, AK_MYSQL_REPLY_RESULT);
    assert_int_equal(ak_mysql_reply_packet(&reply, err, 10, 10), 1);
    assert_int_equal(reply.code, 1064);
    ak_mysql_reply_begin(&reply, AK_MYSQL_REPLY_SINGLE);
    assert_int_equal(ak_mysql_reply_packet(&reply, ok, 7, 7), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hash_is_the_one_that_the_server_stores),
        cmocka_unit_test(test_a_password_in_clear_needs_tls),
        cmocka_unit_test(test_lines_of_show_grants_are_taken_apart),
        cmocka_unit_test(test_a_strict_session_says_only_what_is_harmless),
        cmocka_unit_test(test_a_kill_is_known_by_its_form),
        cmocka_unit_test(test_an_answer_ends_where_the_protocol_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
