/* SPDX-License-Identifier: Apache-2.0 */
/* The book of one Agent's runs, without anything around it. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

/* ---- accept ---- */

static void test_the_same_id_is_the_same_run(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    const struct ak_run *run = ask(&b, "r-1");
    const struct ak_book_ask again = {.id = "r-1", .trigger = AK_RUN_TRIGGER_INVOCATION};
    struct ak_run *found = NULL;
    assert_int_equal(ak_book_accept(&b, &again, WALL, now, &found), 0);
    assert_ptr_equal(run, found);
    assert_int_equal(ak_book_active(&b), 1);
}

static void test_one_runs_and_max_queued_wait(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    const struct ak_book_ask q = {.id = "r-4", .trigger = AK_RUN_TRIGGER_INVOCATION};
    struct ak_run *run = NULL;
    running(&b, "r-1");
    ask(&b, "r-2");
    ask(&b, "r-3");
    assert_int_equal(ak_book_accept(&b, &q, WALL, now, &run), -ENOBUFS);
    assert_int_equal(hear_phase(&b, POD, "r-1", "Succeeded"), 1);
    assert_int_equal(ak_book_accept(&b, &q, WALL, now, &run), 1);
}

static void test_runs_are_given_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    ask(&b, "r-1");
    ask(&b, "r-2");
    assert_string_equal(ak_book_next(&b, POD)->id, "r-1");
    assert_int_equal(ak_book_bind(&b, ak_book_find(&b, "r-1"), POD), 1);
    assert_string_equal(ak_book_next(&b, POD)->id, "r-1"); /* until the agentlet has it */
    assert_string_equal(ak_book_next(&b, POD2)->id, "r-2");
    assert_int_equal(hear_phase(&b, POD, "r-1", "Queued"), 1);
    assert_string_equal(ak_book_next(&b, POD)->id, "r-2");
    assert_int_equal(hear_phase(&b, POD, "r-2", "Running"), 1);
    assert_null(ak_book_next(&b, POD));
}

static void test_what_was_not_written_was_not_asked_for(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    running(&b, "r-1");
    AK_AUTO_JSON *before = written(&b);
    ak_book_forget(&b, ask(&b, "r-2"));
    AK_AUTO_JSON *after = written(&b);
    assert_true(json_equal(before, after));
}

static void test_a_refused_run_is_gone_when_the_last_one_knows(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    struct ak_run *run = ask(&b, "r-1");
    ak_book_hold(&b, run);
    assert_int_equal(ak_book_refuse(&b, run, 429, "QueueFull", "full", WALL), 1);
    ak_book_let_go(&b, run, now);
    assert_non_null(ak_book_find(&b, "r-1"));
    ak_book_let_go(&b, run, now);
    assert_null(ak_book_find(&b, "r-1"));
    assert_int_equal(b.last_run_phase, AK_RUN_PHASE_UNSET);
}

/* ---- what the agentlet says ---- */

static void test_a_record_takes_over_what_the_agentlet_knows(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    running(&b, "r-1");
    assert_int_equal(
        hear(&b, POD,
             "{\"id\": \"r-1\", \"phase\": \"Failed\", \"startTime\": \"2026-11-23T00:00:01.5Z\","
             " \"completionTime\": \"2026-11-23T00:00:04Z\", \"exitCode\": 3, \"reason\": "
             "\"ExitCode\", \"message\": \"it ended with 3\", \"result\": \"x\", \"usage\": "
             "{\"inputTokens\": 7, \"outputTokens\": 9, \"costUSD\": \"0.0123\"}}"),
        1);
    const struct ak_run *run = ak_book_find(&b, "r-1");
    assert_int_equal(run->completed - run->started, 2500);
    assert_int_equal(run->exit_code, 3);
    assert_int_equal(run->input_tokens, 7);
    assert_string_equal(run->cost, "0.0123");
    assert_false(run->assumed);
    AK_AUTO_JSON *api = NULL;
    assert_int_equal(ak_run_json(run, "n", "a", &api, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(api, "durationMilliseconds")), 2500);
    assert_string_equal(ak_json_text(api, "usage", "costUSD", NULL), "0.0123");
    assert_string_equal(ak_json_text(api, "agent", "namespace", NULL), "n");
}

static void test_words_are_believed_by_who_says_them_and_when(void **state)
{
    static const struct {
        const char *first, *second;
        int r;
        enum ak_run_phase after;
    } table[] = {
        {"Queued", "Running", 1, AK_RUN_PHASE_RUNNING},
        {"Running", "Queued", 0, AK_RUN_PHASE_RUNNING}, /* the answer that came late */
        {"Running", "Running", 0, AK_RUN_PHASE_RUNNING},
        {"Succeeded", "Running", 0, AK_RUN_PHASE_SUCCEEDED},
        {"Succeeded", "Failed", 0, AK_RUN_PHASE_SUCCEEDED},
        {"Queued", "Cancelled", 1, AK_RUN_PHASE_CANCELLED},
        {"Running", "TimedOut", 1, AK_RUN_PHASE_TIMED_OUT},
        {"Running", "Pending", AK_E_INVALID, AK_RUN_PHASE_RUNNING},
        {"Running", "Skipped", AK_E_INVALID, AK_RUN_PHASE_RUNNING},
        {"Running", "Resting", AK_E_INVALID, AK_RUN_PHASE_RUNNING},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++) {
        AK_AUTO(ak_book) b = begin();
        ask(&b, "r-1");
        assert_int_equal(hear_phase(&b, POD, "r-1", table[i].first), 1);
        uint64_t version = b.version;
        assert_int_equal(hear_phase(&b, POD, "r-1", table[i].second), table[i].r);
        assert_int_equal(ak_book_find(&b, "r-1")->phase, table[i].after);
        assert_int_equal(b.version != version, table[i].r == 1);
    }
}

static void test_nobody_else_starts_runs(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    assert_int_equal(hear_phase(&b, POD, "r-9", "Running"), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(hear(&b, POD, "{\"phase\": \"Running\"}"), AK_E_INVALID);
    assert_int_equal(hear(&b, POD, "[]"), AK_E_INVALID);
}

static void test_an_end_of_ours_is_corrected_by_who_had_the_run(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    running(&b, "r-1");
    assert_int_equal(ak_book_pod_gone(&b, NULL, NULL, WALL), 1);
    expect(&b, "r-1", AK_RUN_PHASE_INTERRUPTED, "PodReplaced");
    assert_int_equal(
        hear(&b, POD2, "{\"id\": \"r-1\", \"phase\": \"Succeeded\", \"reason\": \"Completed\"}"),
        1);
    expect(&b, "r-1", AK_RUN_PHASE_SUCCEEDED, "Completed");
    assert_int_equal(ak_book_pod_gone(&b, NULL, NULL, WALL), 0);
}

static void test_a_message_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    struct ak_run *run = ask(&b, "r-1");
    char text[AK_BOOK_MAX_MESSAGE + 16];
    memset(text, 'x', sizeof(text));
    memcpy(text + AK_BOOK_MAX_MESSAGE - 1, "\xc3\xa4\xc3\xa4", 5);
    assert_int_equal(ak_book_end(&b, run, AK_RUN_PHASE_FAILED, "X", text, WALL), 1);
    assert_int_equal(strlen(run->message), AK_BOOK_MAX_MESSAGE - 1);
    json_decref(written(&b)); /* JSON takes nothing but UTF-8 */
}

/* ---- pods that go ---- */

enum where { UNBOUND, BOUND, QUEUED, RUNNING };

static struct ak_run *put(struct ak_book *b, enum where where)
{
    struct ak_run *run = ask(b, "r-1");
    if (where >= BOUND)
        assert_int_equal(ak_book_bind(b, run, POD), 1);
    if (where == QUEUED)
        assert_int_equal(hear_phase(b, POD, "r-1", "Queued"), 1);
    if (where == RUNNING)
        assert_int_equal(hear_phase(b, POD, "r-1", "Running"), 1);
    return run;
}

static void test_what_becomes_of_a_run_whose_pod_is_gone(void **state)
{
    static const struct {
        enum where where;
        bool persistent, paused;
        enum ak_run_phase after;
        const char *reason;
    } table[] = {
        {UNBOUND, false, false, AK_RUN_PHASE_PENDING, NULL},
        {BOUND, false, false, AK_RUN_PHASE_INTERRUPTED, "PodReplaced"},
        {QUEUED, false, false, AK_RUN_PHASE_INTERRUPTED, "PodReplaced"},
        {RUNNING, false, false, AK_RUN_PHASE_INTERRUPTED, "PodReplaced"},
        {BOUND, true, false, AK_RUN_PHASE_PENDING, NULL},
        {QUEUED, true, false, AK_RUN_PHASE_QUEUED, NULL},
        {RUNNING, true, false, AK_RUN_PHASE_INTERRUPTED, "PodReplaced"},
        {UNBOUND, true, true, AK_RUN_PHASE_CANCELLED, "AgentPaused"},
        {BOUND, true, true, AK_RUN_PHASE_INTERRUPTED, "AgentPaused"},
        {QUEUED, true, true, AK_RUN_PHASE_INTERRUPTED, "AgentPaused"},
        {RUNNING, false, true, AK_RUN_PHASE_INTERRUPTED, "AgentPaused"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++) {
        AK_AUTO(ak_book) b = begin();
        b.rules.persistent = table[i].persistent;
        put(&b, table[i].where);
        b.rules.paused = table[i].paused;
        assert_true(ak_book_pod_gone(&b, NULL, NULL, WALL) >= 0);
        expect(&b, "r-1", table[i].after, table[i].reason);
    }
}

static bool has_none(const char *id, void *user)
{
    (void)id;
    (void)user;
    return false;
}
static bool has_all(const char *id, void *user)
{
    (void)id;
    (void)user;
    return true;
}

static void test_what_becomes_of_a_run_that_the_agentlet_does_not_know(void **state)
{
    static const struct {
        enum where where;
        bool same_pod, persistent;
        enum ak_run_phase after;
        const char *reason;
        bool bound;
    } table[] = {
        {UNBOUND, true, false, AK_RUN_PHASE_PENDING, NULL, false},
        {BOUND, true, false, AK_RUN_PHASE_PENDING, NULL, true}, /* the PUT was lost: told again */
        {QUEUED, true, false, AK_RUN_PHASE_INTERRUPTED, "PodRestarted", true},
        {RUNNING, true, true, AK_RUN_PHASE_INTERRUPTED, "PodRestarted", true},
        {BOUND, false, true, AK_RUN_PHASE_PENDING, NULL, false}, /* it would be on the workspace */
        {BOUND, false, false, AK_RUN_PHASE_INTERRUPTED, "PodReplaced", true},
        {QUEUED, false, true, AK_RUN_PHASE_INTERRUPTED, "PodReplaced", true},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++) {
        AK_AUTO(ak_book) b = begin();
        b.rules.persistent = table[i].persistent;
        struct ak_run *run = put(&b, table[i].where);
        const char *pod = table[i].same_pod ? POD : POD2;
        assert_int_equal(ak_book_heard_all(&b, pod, has_all, NULL, WALL), 0);
        assert_true(ak_book_heard_all(&b, pod, has_none, NULL, WALL) >= 0);
        expect(&b, "r-1", table[i].after, table[i].reason);
        assert_int_equal(run->pod_uid != NULL, table[i].bound);
    }
}

static void test_a_run_that_waits_on_the_workspace_goes_on_in_the_next_pod(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    b.rules.persistent = true;
    put(&b, QUEUED);
    assert_int_equal(ak_book_pod_gone(&b, POD2, NULL, WALL), 0);
    assert_int_equal(hear_phase(&b, POD2, "r-1", "Running"), 1);
    assert_string_equal(ak_book_find(&b, "r-1")->pod_uid, POD2);
    assert_true(ak_book_is_in_pod(&b, POD2));
    assert_false(ak_book_is_in_pod(&b, POD));
}

static void test_what_a_paused_agent_was_told_to_drop_is_stopped_when_it_turns_up(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    b.rules.persistent = b.rules.paused = true;
    put(&b, QUEUED);
    assert_int_equal(ak_book_pod_gone(&b, NULL, NULL, WALL), 1);
    b.rules.paused = false;
    assert_int_equal(hear_phase(&b, POD2, "r-1", "Queued"), 0);
    expect(&b, "r-1", AK_RUN_PHASE_INTERRUPTED, "AgentPaused");
    assert_null(ak_book_next_cancel(&b, POD2)); /* it is still said to be of the first pod */
    assert_int_equal(hear_phase(&b, POD2, "r-1", "Running"), 1);
    assert_string_equal(ak_book_next_cancel(&b, POD2)->id, "r-1");
    assert_int_equal(hear_phase(&b, POD2, "r-1", "Cancelled"), 1);
    assert_null(ak_book_next_cancel(&b, POD2));
}

static void test_a_run_that_a_pause_interrupts_says_so(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    running(&b, "r-1");
    b.rules.paused = true;
    assert_int_equal(hear(&b, POD,
                          "{\"id\": \"r-1\", \"phase\": \"Interrupted\", \"reason\": "
                          "\"PodRestarted\", \"message\": \"m\"}"),
                     1);
    expect(&b, "r-1", AK_RUN_PHASE_INTERRUPTED, "AgentPaused");
}

/* ---- cancel ---- */

static void test_cancelling_what_no_pod_has_ends_it_at_once(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    struct ak_run *run = ask(&b, "r-1");
    assert_int_equal(ak_book_cancel(&b, run, "by bob", WALL), 1);
    expect(&b, "r-1", AK_RUN_PHASE_CANCELLED, "Cancelled");
    assert_null(ak_book_next(&b, POD));
    assert_null(ak_book_next_cancel(&b, POD));
    assert_int_equal(ak_book_cancel(&b, run, "again", WALL), 0);
}

static void test_cancelling_what_a_pod_has_is_told_to_the_pod(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    struct ak_run *run = running(&b, "r-1");
    assert_int_equal(ak_book_cancel(&b, run, "by bob", WALL), 0);
    expect(&b, "r-1", AK_RUN_PHASE_RUNNING, NULL);
    assert_ptr_equal(ak_book_next_cancel(&b, POD), run);
    assert_null(ak_book_next_cancel(&b, POD2));
    assert_string_equal(run->cancel_why, "by bob");
    run->cancel_sent = true;
    assert_null(ak_book_next_cancel(&b, POD));
    assert_int_equal(hear_phase(&b, POD, "r-1", "Cancelled"), 1);
}

static void test_cancelling_what_a_pod_may_have_waits_for_its_word(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    struct ak_run *run = put(&b, BOUND);
    assert_int_equal(ak_book_cancel(&b, run, "by bob", WALL), 0);
    assert_null(ak_book_next(&b, POD)); /* it is not given any more */
    assert_ptr_equal(ak_book_next_cancel(&b, POD), run);
    assert_int_equal(ak_book_heard_all(&b, POD, has_none, NULL, WALL), 1);
    expect(&b, "r-1", AK_RUN_PHASE_CANCELLED, "Cancelled");
}

/* ---- schedule ---- */

static void test_a_time_fires_once(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    char id[AK_RUN_ID_SIZE];
    assert_int_equal(fire(&b, WALL, false, id), AK_BOOK_FIRED_RUN);
    assert_true(ak_is_dns_label(id));
    assert_int_equal(fire(&b, WALL, false, id), AK_BOOK_FIRED_NOT);
    assert_int_equal(fire(&b, WALL - 60000, false, id), AK_BOOK_FIRED_NOT); /* a clock set back */
    assert_int_equal(fire(&b, WALL + 60000, false, id), AK_BOOK_FIRED_RUN);
    assert_int_equal(b.len, 2);
}

static void test_a_firing_is_one_across_leaders_wherever_the_first_one_died(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    char id[AK_RUN_ID_SIZE], again[AK_RUN_ID_SIZE];
    AK_AUTO_JSON *before = written(&b);
    assert_int_equal(fire(&b, WALL, false, id), AK_BOOK_FIRED_RUN);
    AK_AUTO_JSON *after = written(&b);

    /* Died before the write: the next one fires it, under the same name. */
    AK_AUTO(ak_book) early = read_back(before, rules());
    assert_int_equal(fire(&early, WALL, false, again), AK_BOOK_FIRED_RUN);
    assert_string_equal(id, again);

    /* Died after it, before the pod was told: the next one does not fire, and tells the pod. */
    AK_AUTO(ak_book) late = read_back(after, rules());
    assert_int_equal(fire(&late, WALL, false, again), AK_BOOK_FIRED_NOT);
    assert_string_equal(ak_book_next(&late, POD)->id, id);

    /* Died while telling it: told again, by the same name, to the same pod only. */
    assert_int_equal(ak_book_bind(&late, ak_book_find(&late, id), POD), 1);
    AK_AUTO(ak_book) told = next_leader(&late);
    assert_string_equal(ak_book_next(&told, POD)->id, id);
    assert_null(ak_book_next(&told, POD2));

    /* Died after that: the stream says what became of it. */
    assert_int_equal(hear_phase(&told, POD, id, "Running"), 1);
    AK_AUTO(ak_book) last = next_leader(&told);
    assert_null(ak_book_next(&last, POD));
    assert_int_equal(hear_phase(&last, POD, id, "Succeeded"), 1);
}

static void test_what_the_policy_does_when_another_is_not_finished(void **state)
{
    static const struct {
        enum ak_agent_concurrency policy;
        enum where where;
        bool late;
        int fired;
        enum ak_run_phase other;
        const char *reason;
    } table[] = {
        {AK_AGENT_CONCURRENCY_ALLOW, RUNNING, false, AK_BOOK_FIRED_RUN, AK_RUN_PHASE_RUNNING, NULL},
        {AK_AGENT_CONCURRENCY_FORBID, RUNNING, false, AK_BOOK_FIRED_SKIPPED, AK_RUN_PHASE_RUNNING,
         "Overlap"},
        {AK_AGENT_CONCURRENCY_FORBID, UNBOUND, false, AK_BOOK_FIRED_SKIPPED, AK_RUN_PHASE_PENDING,
         "Overlap"},
        {AK_AGENT_CONCURRENCY_REPLACE, RUNNING, false, AK_BOOK_FIRED_RUN, AK_RUN_PHASE_RUNNING,
         NULL},
        {AK_AGENT_CONCURRENCY_REPLACE, UNBOUND, false, AK_BOOK_FIRED_RUN, AK_RUN_PHASE_CANCELLED,
         NULL},
        {AK_AGENT_CONCURRENCY_ALLOW, RUNNING, true, AK_BOOK_FIRED_SKIPPED, AK_RUN_PHASE_RUNNING,
         "DeadlineExceeded"},
        {AK_AGENT_CONCURRENCY_REPLACE, RUNNING, true, AK_BOOK_FIRED_SKIPPED, AK_RUN_PHASE_RUNNING,
         "DeadlineExceeded"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++) {
        AK_AUTO(ak_book) b = begin();
        char id[AK_RUN_ID_SIZE];
        b.rules.concurrency = table[i].policy;
        struct ak_run *other = put(&b, table[i].where);
        assert_int_equal(fire(&b, WALL, table[i].late, id), table[i].fired);
        expect(&b, id,
               table[i].fired == AK_BOOK_FIRED_RUN ? AK_RUN_PHASE_PENDING : AK_RUN_PHASE_SKIPPED,
               table[i].reason);
        assert_int_equal(other->phase, table[i].other);
        bool replaced = table[i].policy == AK_AGENT_CONCURRENCY_REPLACE && !table[i].late;
        assert_int_equal(other->cancel_wanted, replaced);
        assert_int_equal(b.last_schedule, WALL);
    }
}

static void test_a_full_queue_skips_a_firing(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    char id[AK_RUN_ID_SIZE];
    running(&b, "r-1");
    ask(&b, "r-2");
    ask(&b, "r-3");
    assert_int_equal(fire(&b, WALL, false, id), AK_BOOK_FIRED_SKIPPED);
    expect(&b, id, AK_RUN_PHASE_SKIPPED, "QueueFull");
    assert_int_equal(b.last_run_phase, AK_RUN_PHASE_PENDING); /* a skipped run is no last run */
}

/* ---- requests that are lost ---- */

static void test_a_request_that_nobody_waits_for_is_lost_after_a_minute(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    ak_msec next = 0;
    struct ak_run *run = ask(&b, "r-1");
    assert_int_equal(ak_book_expire(&b, WALL, now + AK_HOURS(1), &next), 0); /* it is held */
    assert_int_equal(next, AK_MSEC_NEVER);
    ak_book_let_go(&b, run, now);
    assert_null(run->prompt);
    assert_null(ak_book_next(&b, POD)); /* whose answer would it be? */
    assert_int_equal(ak_book_expire(&b, WALL, now + AK_BOOK_UNHELD - 1, &next), 0);
    assert_int_equal(next, now + AK_BOOK_UNHELD);
    assert_int_equal(ak_book_expire(&b, WALL, now + AK_BOOK_UNHELD, &next), 1);
    expect(&b, "r-1", AK_RUN_PHASE_FAILED, "RequestLost");
}

static void test_a_new_leader_gives_a_request_a_minute_to_come_again(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    ak_msec next = 0;
    struct ak_run *run = NULL;
    const struct ak_book_ask again = {
        .id = "r-1", .trigger = AK_RUN_TRIGGER_INVOCATION, .prompt = "do it"};
    ask(&b, "r-1");
    AK_AUTO(ak_book) lead = next_leader(&b);
    assert_null(ak_book_next(&lead, POD));
    assert_int_equal(ak_book_accept(&lead, &again, WALL, now, &run), 0);
    ak_book_hold(&lead, run);
    assert_string_equal(ak_book_next(&lead, POD)->prompt, "do it");

    AK_AUTO(ak_book) other = next_leader(&b);
    assert_int_equal(ak_book_expire(&other, WALL, now + AK_BOOK_UNHELD, &next), 1);
    expect(&other, "r-1", AK_RUN_PHASE_FAILED, "RequestLost");
    /* Nothing can have begun: the same key begins it anew, even so late. */
    assert_int_equal(ak_book_accept(&other, &again, WALL, now, &run), 1);
    expect(&other, "r-1", AK_RUN_PHASE_PENDING, NULL);
}

static void test_a_lost_request_that_a_pod_may_have_is_not_begun_again(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    ak_msec next = 0;
    struct ak_run *run = put(&b, BOUND);
    const struct ak_book_ask again = {.id = "r-1", .trigger = AK_RUN_TRIGGER_INVOCATION};
    ak_book_let_go(&b, run, now);
    assert_int_equal(ak_book_expire(&b, WALL, now + AK_BOOK_UNHELD, &next), 1);
    assert_int_equal(ak_book_accept(&b, &again, WALL, now, &run), 0);
    expect(&b, "r-1", AK_RUN_PHASE_FAILED, "RequestLost");
    /* ... and is stopped if it turns up. */
    assert_int_equal(hear_phase(&b, POD, "r-1", "Running"), 1);
    assert_ptr_equal(ak_book_next_cancel(&b, POD), run);
}

static void test_a_run_that_was_told_goes_on_when_its_request_is_lost(void **state)
{
    (void)state;
    AK_AUTO(ak_book) b = begin();
    ak_msec next = 0;
    struct ak_run *run = running(&b, "r-1");
    ak_book_let_go(&b, run, now);
    assert_int_equal(ak_book_expire(&b, WALL, now + AK_HOURS(1), &next), 0);
    expect(&b, "r-1", AK_RUN_PHASE_RUNNING, NULL);
}

/* ---- memory ---- */

static int play(struct ak_book *b)
{
    const struct ak_book_ask q = {.id = "r-1",
                                  .trigger = AK_RUN_TRIGGER_INVOCATION,
                                  .requested_by = "alice",
                                  .prompt = "do it"};
    AK_AUTO_JSON *tree = NULL;
    struct ak_run *run = NULL, *fired = NULL;
    int r = ak_book_accept(b, &q, WALL, 0, &run);
    if (r >= 0)
        r = ak_book_bind(b, run, POD);
    if (r >= 0)
        r = ak_book_fire(b, "uid", WALL, false, WALL, 0, &fired);
    if (r >= 0)
        r = ak_book_cancel(b, fired, "why", WALL);
    if (r >= 0)
        r = ak_book_pod_gone(b, NULL, "why", WALL);
    if (r >= 0)
        r = ak_book_status(b, 1 << 20, &tree, NULL);
    return r;
}

static void test_a_lack_of_memory_is_said_and_leaves_a_whole_book(void **state)
{
    int r = -ENOMEM;
    (void)state;
    for (int64_t n = 0; r == -ENOMEM; n++) {
        AK_AUTO(ak_book) b = begin();
        ak_alloc_fail_after(n);
        r = play(&b);
        (void)ak_alloc_fail_after(-1);
        assert_true(r >= 0 || r == -ENOMEM);
        AK_AUTO_JSON *tree = written(&b);
        for (size_t i = 0; i < b.len; i++)
            assert_non_null(b.items[i]->id);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_id_is_the_same_run),
        cmocka_unit_test(test_one_runs_and_max_queued_wait),
        cmocka_unit_test(test_runs_are_given_in_the_order_in_which_they_came),
        cmocka_unit_test(test_what_was_not_written_was_not_asked_for),
        cmocka_unit_test(test_a_refused_run_is_gone_when_the_last_one_knows),
        cmocka_unit_test(test_a_record_takes_over_what_the_agentlet_knows),
        cmocka_unit_test(test_words_are_believed_by_who_says_them_and_when),
        cmocka_unit_test(test_nobody_else_starts_runs),
        cmocka_unit_test(test_an_end_of_ours_is_corrected_by_who_had_the_run),
        cmocka_unit_test(test_a_message_is_cut_at_a_whole_character),
        cmocka_unit_test(test_what_becomes_of_a_run_whose_pod_is_gone),
        cmocka_unit_test(test_what_becomes_of_a_run_that_the_agentlet_does_not_know),
        cmocka_unit_test(test_a_run_that_waits_on_the_workspace_goes_on_in_the_next_pod),
        cmocka_unit_test(test_what_a_paused_agent_was_told_to_drop_is_stopped_when_it_turns_up),
        cmocka_unit_test(test_a_run_that_a_pause_interrupts_says_so),
        cmocka_unit_test(test_cancelling_what_no_pod_has_ends_it_at_once),
        cmocka_unit_test(test_cancelling_what_a_pod_has_is_told_to_the_pod),
        cmocka_unit_test(test_cancelling_what_a_pod_may_have_waits_for_its_word),
        cmocka_unit_test(test_a_time_fires_once),
        cmocka_unit_test(test_a_firing_is_one_across_leaders_wherever_the_first_one_died),
        cmocka_unit_test(test_what_the_policy_does_when_another_is_not_finished),
        cmocka_unit_test(test_a_full_queue_skips_a_firing),
        cmocka_unit_test(test_a_request_that_nobody_waits_for_is_lost_after_a_minute),
        cmocka_unit_test(test_a_new_leader_gives_a_request_a_minute_to_come_again),
        cmocka_unit_test(test_a_lost_request_that_a_pod_may_have_is_not_begun_again),
        cmocka_unit_test(test_a_run_that_was_told_goes_on_when_its_request_is_lost),
        cmocka_unit_test(test_a_lack_of_memory_is_said_and_leaves_a_whole_book),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
