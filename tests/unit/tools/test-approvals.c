/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for a person: when it counts, when it is over, what is shown of it. */
#include "manager/tools/approval_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define NOW AK_SECONDS(1700000000)
#define PAST "2023-11-14T22:13:19Z"
#define FUTURE "2023-11-14T22:13:21Z"

static json_t *item(const char *id, const char *hash, const char *phase, const char *expires)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "id", id, "hash", hash, "phase", phase, "expiresTime",
                     expires);
}

static const char *phase_of(const json_t *list, size_t i)
{
    return ak_json_text(json_array_get(list, i), "phase", NULL);
}

static void what_nobody_answered_in_time_is_over(void **state)
{
    static const struct {
        const char *phase, *expires, *then;
    } cases[] = {
        {"Pending", PAST, "Expired"},   {"Pending", FUTURE, "Pending"},
        {"Approved", PAST, "Expired"},  {"Approved", FUTURE, "Approved"},
        {"Denied", PAST, "Denied"},     {"Used", PAST, "Used"},
        {"Pending", "soon", "Expired"}, /* a time that nobody can read is no time */
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *list = json_array();
        (void)json_array_append_new(list, item("a", "h", cases[i].phase, cases[i].expires));
        assert_int_equal(ak_approvals_expire(list, NOW), !ak_streq(cases[i].phase, cases[i].then));
        assert_string_equal(phase_of(list, 0), cases[i].then);
        assert_int_equal(ak_approvals_expire(list, NOW), 0);
    }
}

static void only_what_is_asked_or_answered_and_not_over_decides(void **state)
{
    static const struct {
        const char *hash, *phase, *expires;
        bool found;
    } cases[] = {
        {"h", "Pending", FUTURE, true},  {"h", "Approved", FUTURE, true},
        {"h", "Denied", FUTURE, true},   {"h", "Denied", PAST, false},
        {"h", "Approved", PAST, false},  {"h", "Used", FUTURE, false},
        {"h", "Expired", FUTURE, false}, {"other", "Approved", FUTURE, false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *list = json_array();
        (void)json_array_append_new(list,
                                    item("a", cases[i].hash, cases[i].phase, cases[i].expires));
        assert_int_equal(ak_approvals_find(list, "h", NOW) != NULL, cases[i].found);
    }
}

static void an_answer_is_given_once_and_the_approved_may_be_used_for_as_long_again(void **state)
{
    AK_AUTO_JSON *list = json_array();
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    (void)json_array_append_new(list, item("a", "h", "Pending", FUTURE));
    json_t *a = ak_approvals_by_id(list, "a");
    assert_null(ak_approvals_by_id(list, "b"));
    assert_int_equal(ak_approval_decide(a, true, "alice", "fine", NOW, AK_MINUTES(10), &err), 0);
    assert_string_equal(phase_of(list, 0), "Approved");
    assert_string_equal(ak_json_text(a, "decidedBy", NULL), "alice");
    assert_string_equal(ak_json_text(a, "reason", NULL), "fine");
    assert_string_equal(ak_json_text(a, "decidedTime", NULL), "2023-11-14T22:13:20Z");
    assert_string_equal(ak_json_text(a, "expiresTime", NULL), "2023-11-14T22:23:20Z");
    assert_int_equal(ak_approval_decide(a, false, "bob", NULL, NOW, AK_MINUTES(10), &err),
                     AK_E_CONFLICT);
    assert_int_equal(ak_error_http_status(err), 409);
    assert_string_equal(ak_json_text(a, "decidedBy", NULL), "alice");
}

static void an_answer_that_comes_too_late_is_none(void **state)
{
    AK_AUTO_JSON *a = item("a", "h", "Pending", PAST);

    (void)state;
    assert_int_equal(ak_approval_decide(a, true, "alice", NULL, NOW, AK_MINUTES(10), NULL),
                     AK_E_CONFLICT);
    assert_string_equal(ak_json_text(a, "phase", NULL), "Pending");
}

static void the_list_is_bounded_and_what_waits_is_never_pushed_out(void **state)
{
    AK_AUTO_JSON *list = json_array();
    char id[16];

    (void)state;
    for (int i = 0; i < AK_TOOLS_MAX_APPROVALS; i++) {
        (void)snprintf(id, sizeof(id), "a%d", i);
        assert_int_equal(
            ak_approvals_add(list, item(id, id, i == 3 ? "Used" : "Pending", FUTURE), NOW), 0);
    }
    assert_string_equal(ak_json_text(json_array_get(list, 0), "id", NULL),
                        "a31"); /* newest first */
    assert_int_equal(ak_approvals_add(list, item("b", "b", "Pending", FUTURE), NOW), 0);
    assert_null(ak_approvals_by_id(list, "a3"));
    assert_int_equal(json_array_size(list), AK_TOOLS_MAX_APPROVALS);
    assert_int_equal(ak_approvals_add(list, item("c", "c", "Pending", FUTURE), NOW), -ENOBUFS);
    assert_non_null(ak_approvals_by_id(list, "a0"));
}

static void people_see_the_statement_and_no_literal_of_a_password(void **state)
{
    static const struct {
        const char *arguments, *preview;
    } cases[] = {
        {"{\"sql\":\"delete from t where a = 'x'\"}", "delete from t where a = 'x'"},
        {"{\"sql\":\"ALTER ROLE a PASSWORD 'top''secret' VALID UNTIL 'now'; select 'b'\"}",
         "ALTER ROLE a PASSWORD '***' VALID UNTIL '***'; select 'b'"},
        {"{\"sql\":\"create user a identified by \\\"p\\\\\\\"w\\\"\"}",
         "create user a identified by '***'"},
        {"{\"sql\":\"alter role a password 'open\"}", "alter role a password '***'"},
        {"{\"args\":[\"SET\",\"k\",\"v\"]}", "SET k v"},
        {"{\"command\":\"rm x\"}", "rm x"},
        {"{\"method\":\"DELETE\",\"path\":\"/a\"}",
         "DELETE /a {\"method\":\"DELETE\",\"path\":\"/a\"}"},
        {"{\"sql\":\"update t set a=$1\",\"params\":[1]}",
         "update t set a=$1 {\"sql\":\"update t set a=$1\",\"params\":[1]}"},
        {"{}", "{}"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *tree = NULL;
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        assert_int_equal(ak_json_parse(cases[i].arguments, strlen(cases[i].arguments), &tree, NULL),
                         0);
        assert_int_equal(ak_approval_preview(tree, &out, NULL), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].preview);
    }
}

static void a_preview_is_cut_between_characters(void **state)
{
    AK_AUTO(ak_buf) sql = AK_BUF_INIT(4096);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);

    (void)state;
    assert_int_equal(ak_buf_adds(&sql, "x"), 0);
    for (int i = 0; i < 400; i++)
        assert_int_equal(ak_buf_adds(&sql, "\xc3\xa9"), 0);
    AK_AUTO_JSON *tree = json_pack("{s:s}", "sql", sql.data);
    assert_int_equal(ak_approval_preview(tree, &out, NULL), 0);
    assert_int_equal(out.len, 511);
    AK_AUTO_JSON *text = json_string(out.data); /* jansson refuses what is no UTF-8 */
    assert_non_null(text);
}

static void the_same_call_has_the_same_hash_and_no_other_has(void **state)
{
    AK_AUTO_JSON *one = json_pack("{s:s, s:[i]}", "sql", "x", "params", 1);
    AK_AUTO_JSON *turned = json_pack("{s:[i], s:s}", "params", 1, "sql", "x");
    AK_AUTO_JSON *other = json_pack("{s:s, s:[i]}", "sql", "x", "params", 2);
    const struct ak_tools_call base = {.ns = "team",
                                       .tool = "db",
                                       .operation = "execute",
                                       .arguments = one,
                                       .caller = {.name = "worker", .ns = "team"}};
    struct ak_tools_call calls[] = {base, base, base, base, base};
    char want[65], got[65];

    (void)state;
    calls[0].arguments = other;
    calls[1].operation = "query";
    calls[2].caller.name = "other";
    calls[3].caller.ns = NULL; /* a person of that name */
    calls[4].arguments = NULL;
    assert_int_equal(ak_approval_hash("uid", &base, false, want, NULL), 0);
    struct ak_tools_call same = base;
    same.arguments = turned;
    same.caller.run = "r-1"; /* another run may use it */
    assert_int_equal(ak_approval_hash("uid", &same, false, got, NULL), 0);
    assert_string_equal(got, want);
    for (size_t i = 0; i < AK_ARRAY_LEN(calls); i++) {
        assert_int_equal(ak_approval_hash("uid", &calls[i], false, got, NULL), 0);
        assert_string_not_equal(got, want);
    }
    assert_int_equal(ak_approval_hash("uid", &base, true, got, NULL), 0);
    assert_string_not_equal(got, want);
    assert_int_equal(ak_approval_hash("uid2", &base, false, got, NULL), 0);
    assert_string_not_equal(got, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_answered_in_time_is_over),
        cmocka_unit_test(only_what_is_asked_or_answered_and_not_over_decides),
        cmocka_unit_test(an_answer_is_given_once_and_the_approved_may_be_used_for_as_long_again),
        cmocka_unit_test(an_answer_that_comes_too_late_is_none),
        cmocka_unit_test(the_list_is_bounded_and_what_waits_is_never_pushed_out),
        cmocka_unit_test(people_see_the_statement_and_no_literal_of_a_password),
        cmocka_unit_test(a_preview_is_cut_between_characters),
        cmocka_unit_test(the_same_call_has_the_same_hash_and_no_other_has),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
