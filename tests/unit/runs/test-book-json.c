/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of runs, how it is written, and their names. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

/* ---- what is kept, and how it is written ---- */

static void test_finished_runs_are_kept_up_to_the_limit_and_active_ones_always(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    char id[AK_RUN_ID_SIZE];
    running(&b, "r-old");
    b.rules.max_queued = 100;
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof(id), "r-%d", i);
        struct ak_run *run = running(&b, id);
        ak_book_let_go(&b, run, now);
        assert_int_equal(hear_phase(&b, POD, id, "Succeeded"), 1);
    }
    ak_book_retain(&b);
    assert_int_equal(b.len, 4);
    assert_string_equal(b.items[0]->id, "r-9");
    assert_string_equal(b.items[3]->id, "r-old");
    b.rules.max_retained = 0;
    ak_book_retain(&b);
    assert_int_equal(b.len, 1);
    assert_int_equal(b.last_run_phase, AK_RUN_PHASE_SUCCEEDED); /* that stays known */
}

static void test_a_status_says_what_is_known_and_nothing_else(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    AK_AUTO_JSON *empty = written(&b);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
    assert_int_equal(ak_json_write(empty, &text, NULL), 0);
    assert_string_equal(ak_buf_text(&text),
                        "{\"status\":{\"runs\":[],\"activeRuns\":0,\"lastRunPhase\":null}}");
    running(&b, "r-1");
    AK_AUTO_JSON *one = written(&b);
    const json_t *record = json_array_get(ak_json_at(one, "status", "runs", NULL), 0);
    static const char *const absent[] = {"exitCode",     "reason",  "message", "completionTime",
                                         "inputTokens",  "costUSD", "prompt",  "scheduledTime",
                                         "outputTokens", NULL};
    for (size_t i = 0; absent[i]; i++)
        assert_null(json_object_get(record, absent[i]));
    assert_string_equal(ak_json_text(record, "requestedBy", NULL), "alice");
    ak_buf_clear(&text);
    assert_int_equal(ak_json_write(one, &text, NULL), 0);
    assert_null(strstr(ak_buf_text(&text), "do it")); /* the prompt */
    assert_null(strstr(ak_buf_text(&text), "\"\""));
}

static void test_what_is_written_is_read_back_the_same(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    char id[AK_RUN_ID_SIZE];
    running(&b, "r-1");
    assert_int_equal(
        hear(&b, POD,
             "{\"id\": \"r-1\", \"phase\": \"Failed\", \"startTime\": \"2026-11-23T00:00:01.25Z\","
             " \"completionTime\": \"2026-11-23T00:00:04Z\", \"exitCode\": 3, \"reason\": "
             "\"ExitCode\", \"message\": \"it ended\", \"usage\": {\"inputTokens\": 7, "
             "\"costUSD\": \"0.5\"}}"),
        1);
    assert_int_equal(fire(&b, WALL, false, id), AK_BOOK_FIRED_RUN);
    running(&b, "r-2");
    AK_AUTO_JSON *first = written(&b);
    AK_AUTO(ak_book) next = read_back(first, rules());
    AK_AUTO_JSON *second = written(&next);
    assert_true(json_equal(first, second));
}

static void test_a_status_has_a_largest_size_and_keeps_the_newest(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    char id[AK_RUN_ID_SIZE];
    b.rules.max_queued = b.rules.max_retained = 1000;
    for (int i = 0; i < 900; i++) {
        snprintf(id, sizeof(id), "r-%d", i);
        struct ak_run *run = ask(&b, id);
        if (i % 300)
            assert_int_equal(
                ak_book_end(&b, run, AK_RUN_PHASE_FAILED, "X",
                            "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"", WALL),
                1);
    }
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1 << 20);
    assert_int_equal(ak_book_status(&b, 100000, &tree, NULL), 0);
    assert_int_equal(ak_json_write(tree, &text, NULL), 0);
    assert_true(text.len < 110000);
    const json_t *runs = ak_json_at(tree, "status", "runs", NULL);
    assert_true(json_array_size(runs) > 50);
    assert_string_equal(ak_json_text(json_array_get(runs, 0), "id", NULL), "r-899");
    assert_int_equal(json_integer_value(ak_json_at(tree, "status", "activeRuns", NULL)), 3);
    const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
    assert_string_equal(ak_json_text(last, "id", NULL), "r-0"); /* active ones are never left out */
}

static void test_names_are_labels_and_follow_from_what_they_name(void **state)
{
    (void)state;
    char a[AK_RUN_ID_SIZE], b[AK_RUN_ID_SIZE];
    assert_int_equal(ak_run_id_of_key("uid", "key", a), 0);
    assert_int_equal(ak_run_id_of_key("uid", "key", b), 0);
    assert_string_equal(a, b);
    /* printf 'uid\nkey' | sha256sum */
    assert_string_equal(a, "r-2b3e8067b3a1592c608c");
    assert_int_equal(ak_run_id_of_key("uid2", "key", b), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(ak_run_id_random(a), 0);
    assert_int_equal(ak_run_id_random(b), 0);
    assert_string_not_equal(a, b);
    assert_true(ak_is_dns_label(a));
    assert_int_equal(strlen(a), 22);
    ak_msec when;
    assert_int_equal(ak_parse_rfc3339("2026-11-23T05:07:00Z", &when), 0);
    assert_int_equal(ak_run_id_of_schedule("uid", when, a), 0);
    assert_int_equal(strncmp(a, "s-20261123t0507-", 16), 0);
    assert_int_equal(strlen(a), 16 + 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finished_runs_are_kept_up_to_the_limit_and_active_ones_always),
        cmocka_unit_test(test_a_status_says_what_is_known_and_nothing_else),
        cmocka_unit_test(test_what_is_written_is_read_back_the_same),
        cmocka_unit_test(test_a_status_has_a_largest_size_and_keeps_the_newest),
        cmocka_unit_test(test_names_are_labels_and_follow_from_what_they_name),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
