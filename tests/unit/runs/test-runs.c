/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, pods and writes that fail in every order, with a scripted API server and keeper. */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/text.h>

static char journal[4096];

struct asked {
    int r, status;
    bool created;
    char id[80], message[256];
};

static struct asked ask_for(const char *key, ak_msec hold)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *record = NULL;
    struct asked a = {0};
    const struct ak_run_request q = {.ns = "n",
                                     .agent = "a",
                                     .prompt = "do it",
                                     .idempotency_key = key,
                                     .requested_by = "alice",
                                     .hold = hold};
    a.r = ak_runs_start_run(stage->runs, &q, &record, &a.created, &err);
    a.status = ak_error_http_status(err);
    (void)snprintf(a.message, sizeof(a.message), "%s", ak_error_message(err));
    if (record)
        (void)snprintf(a.id, sizeof(a.id), "%s", ak_json_text(record, "id", NULL));
    return a;
}

static struct asked ask(const char *key)
{
    struct asked a = ask_for(key, AK_SECONDS(20));
    if (a.r < 0)
        fail_msg("%s", a.message);
    return a;
}

/* The journal is this, with the run's id in the place of each "*". */
static void expect_journal(const char *id, const char *pattern)
{
    char wanted[1024] = "";
    for (const char *p = pattern; *p; p++) {
        size_t len = strlen(wanted);
        if (*p == '*')
            (void)snprintf(wanted + len, sizeof(wanted) - len, "%s", id);
        else
            (void)snprintf(wanted + len, sizeof(wanted) - len, "%c", *p);
    }
    assert_string_equal(stage_journal(journal, sizeof(journal)), wanted);
}

/* ---- the order ---- */

static void test_a_run_is_written_with_its_pod_before_the_pod_is_told(void **state)
{
    (void)state;
    struct asked a = ask(NULL);
    assert_true(a.created);
    expect_journal(a.id, "W:*=Pending W:*=Pending P:*"); /* the second has the pod's uid */
    stage_wait_phase(a.id, "Queued");
    assert_string_equal(ak_json_text(stage_newest(), "podUID", NULL), STAGE_POD);
    stage_says(a.id, "Succeeded", "Completed");
    stage_wait_phase(a.id, "Succeeded");
    (void)stage_journal(journal, sizeof(journal));
    struct asked b = ask(NULL); /* the pod is known to answer now: one write is enough */
    expect_journal(b.id, "W:*=Pending P:*");
    assert_int_equal(stage->reviews, 1);
}

static void test_nothing_is_given_to_a_pod_that_was_not_written_down(void **state)
{
    (void)state;
    stage->patch = STAGE_REFUSED;
    struct asked a = ask_for("k", AK_SECONDS(20));
    assert_true(a.r < 0);
    assert_int_equal(a.status, 503);
    assert_string_equal(stage_journal(journal, sizeof(journal)), "");
    a = ask("k");
    assert_true(a.created);
    expect_journal(a.id, "W:*=Pending W:*=Pending P:*");
}

static void test_a_write_whose_answer_is_lost_is_made_good_by_the_next_request(void **state)
{
    (void)state;
    stage->patch = STAGE_LOST;
    struct asked a = ask_for("k", AK_SECONDS(20));
    assert_int_equal(a.status, 503);
    a = ask("k");
    stage_wait_phase(a.id, "Queued");
    assert_int_equal(json_array_size(ak_json_at(stage->agent, "status", "runs", NULL)), 1);
    assert_int_equal(json_object_size(stage->known), 1);
}

static void test_a_put_whose_answer_is_lost_is_repeated_and_is_one_run(void **state)
{
    (void)state;
    stage->put = STAGE_LOST;
    struct asked a = ask(NULL);
    assert_non_null(strstr(stage_journal(journal, sizeof(journal)), "P:"));
    assert_int_equal(json_object_size(stage->known), 1);
    stage_wait_phase(a.id, "Queued");
}

/* The first process has died somewhere: another book, made from what the API server has. */
static void change_leader(void)
{
    static const struct ak_options options = {.namespace_ = "operator"};
    const struct ak_runs_options o = {.manager = stage->manager,
                                      .options = &options,
                                      .agents = stage->agents,
                                      .pods = stage->pods};
    AK_AUTO(ak_arena) arena = {0};
    ak_arena_init(&arena, 4096, 0);
    ak_runs_stop(stage->runs);
    rig_loop_stop(&stage->loop);
    ak_runs_free(stage->runs);
    stage->loop = (struct rig_loop){.loop = ak_manager_loop(stage->manager)};
    assert_int_equal(ak_runs_new(&o, &stage->runs, NULL), 0);
    assert_int_equal(ak_runs_start(stage->runs, NULL), 0);
    while (!ak_runs_bundle(stage->runs, &arena))
        (void)usleep(2000);
}

static void run_loop(void *user)
{
    (void)!ak_loop_run(user, NULL);
}

static void test_a_new_leader_finds_what_became_of_a_run(void **state)
{
    (void)state;
    struct asked a = ask("k");
    stage_wait_phase(a.id, "Queued");
    change_leader();
    assert_int_equal(ak_thread_start(&stage->loop.thread, "loop", run_loop, stage->loop.loop), 0);
    stage_says(a.id, "Succeeded", "Completed"); /* while nobody listens */
    stage_show_agent();
    stage_wait_phase(a.id, "Succeeded");
    struct asked b = ask("k");
    assert_false(b.created);
    assert_string_equal(a.id, b.id);
    assert_int_equal(json_object_size(stage->known), 1);
}

static void test_a_cache_that_is_behind_makes_no_second_run(void **state)
{
    (void)state;
    struct asked a = ask("k");
    stage_wait_phase(a.id, "Queued");
    change_leader();
    assert_int_equal(ak_thread_start(&stage->loop.thread, "loop", run_loop, stage->loop.loop), 0);
    /* The new leader's cache has never seen the run. */
    struct asked b = ask("k");
    assert_false(b.created);
    assert_int_equal(json_object_size(stage->known), 1);
}

static void test_a_cache_that_does_not_show_the_pod_interrupts_nothing(void **state)
{
    (void)state;
    struct asked a = ask(NULL);
    stage_wait_phase(a.id, "Queued");
    stage_hide_pod();
    unsigned looked = stage->live_pods;
    assert_int_equal(stage_advance(), 0);
    assert_int_equal(stage->live_pods, looked + 1);
    assert_string_equal(ak_json_text(stage_newest(), "phase", NULL), "Queued");
    ak_mutex_lock(&stage->lock);
    json_decref(stage->pod);
    stage->pod = NULL; /* now it is really gone */
    ak_mutex_unlock(&stage->lock);
    stage_wait_phase(a.id, "Interrupted");
    assert_string_equal(ak_json_text(stage_newest(), "reason", NULL), "PodReplaced");
}

/* ---- the pod's side ---- */

static void test_a_full_queue_is_said_and_leaves_nothing_behind(void **state)
{
    (void)state;
    stage->put_status = 429;
    struct asked a = ask_for("k", AK_SECONDS(20));
    assert_int_equal(a.status, 429);
    assert_int_equal(a.r, AK_E_THROTTLED);
    assert_int_equal(stage_advance(), 0);
    assert_int_equal(json_array_size(ak_json_at(stage->agent, "status", "runs", NULL)), 0);
    assert_true(ask("k").created);
}

static void test_what_the_agentlet_refuses_is_the_askers_fault(void **state)
{
    (void)state;
    stage->put_status = 400;
    assert_int_equal(ask_for(NULL, AK_SECONDS(20)).status, 400);
}

static void test_a_pod_that_is_not_ready_is_waited_for(void **state)
{
    (void)state;
    stage->put_status = 503;
    struct asked a = ask_for(NULL, 300); /* nobody reconciles here, so nobody tries again ... */
    assert_int_equal(a.status, 504);
    assert_non_null(strstr(a.message, "will not be started"));
    assert_int_equal(stage_advance(), 0);
    assert_string_equal(ak_json_text(stage_newest(), "reason", NULL), "RequestLost");
    assert_int_equal(json_object_size(stage->known), 0);
}

static void test_a_keeper_with_the_token_of_another_pod_gets_nothing(void **state)
{
    (void)state;
    (void)snprintf(stage->token_uid, sizeof(stage->token_uid), "pod-2");
    assert_int_equal(ask_for(NULL, 200).status, 504);
    AK_AUTO_TARGET target = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    assert_true(ak_runs_target(stage->runs, "n", "a", &target, &err) < 0);
    assert_int_equal(ak_error_http_status(err), 503);
    assert_non_null(strstr(ak_error_message(err), "another pod"));
    assert_null(strstr(stage_journal(journal, sizeof(journal)), "P:"));
}

static void test_a_keeper_that_was_restarted_is_proved_anew(void **state)
{
    (void)state;
    struct asked a = ask(NULL);
    stage_wait_phase(a.id, "Queued");
    stage_says(a.id, "Succeeded", "Completed");
    stage_wait_phase(a.id, "Succeeded");
    assert_int_equal(stage->reviews, 1);
    stage_stop_keeper();
    stage_start_keeper(); /* another key, and another port */
    struct asked b = ask_for(NULL, AK_SECONDS(5));
    for (int i = 0; i < 100 && b.r < 0; i++)
        b = ask_for(NULL, AK_SECONDS(5));
    assert_int_equal(b.r, 0);
    assert_true(stage->reviews >= 2);
}

static void test_a_target_is_shared_and_outlives_its_place(void **state)
{
    (void)state;
    AK_AUTO_TARGET one = NULL;
    AK_AUTO_TARGET two = NULL;
    AK_AUTO_TARGET three = NULL;
    assert_int_equal(ak_runs_target(stage->runs, "n", "a", &one, NULL), 0);
    assert_int_equal(ak_runs_target(stage->runs, "n", "a", &two, NULL), 0);
    assert_ptr_equal(one, two);
    assert_string_equal(ak_run_target_pod_uid(one), STAGE_POD);
    assert_int_equal(stage->reviews, 1);
    ak_runs_target_failed(stage->runs, one);
    ak_runs_target_failed(stage->runs, one);
    assert_int_equal(ak_runs_target(stage->runs, "n", "a", &three, NULL), 0);
    assert_ptr_not_equal(one, three);
    assert_int_equal(stage->reviews, 2);
    assert_non_null(ak_run_target_client(one));
}

/* ---- cancel, release, sessions ---- */

static void test_a_cancel_reaches_the_pod(void **state)
{
    (void)state;
    AK_AUTO_JSON *record = NULL;
    struct asked a = ask(NULL);
    (void)stage_journal(journal, sizeof(journal));
    assert_int_equal(ak_runs_cancel_run(stage->runs, "n", "a", a.id, "bob", &record, NULL), 0);
    assert_string_equal(ak_json_text(record, "phase", NULL), "Cancelled");
    expect_journal(a.id, "C:*");
    stage_wait_phase(a.id, "Cancelled");
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *none = NULL;
    assert_true(ak_runs_cancel_run(stage->runs, "n", "a", "r-no", "bob", &none, &err) < 0);
    assert_int_equal(ak_error_http_status(err), 404);
}

static void test_a_released_pod_is_given_nothing_until_it_turns_out_to_stay(void **state)
{
    (void)state;
    AK_AUTO_OBJECT agent = stage_agent();
    AK_AUTO_OBJECT pod = stage_the_pod();
    assert_true(ak_runs_release_pod(stage->runs, agent, pod));
    assert_int_equal(ask_for("k", 100).status, 504);
    assert_null(strstr(stage_journal(journal, sizeof(journal)), "P:"));
    assert_int_equal(stage_advance(), 0); /* with that pod: it stays */
    struct asked a = ask("k");
    assert_non_null(strstr(stage_journal(journal, sizeof(journal)), "P:"));
    assert_false(ak_runs_release_pod(stage->runs, agent, pod)); /* somebody is in it */
    stage_says(a.id, "Succeeded", "Completed");
    stage_wait_phase(a.id, "Succeeded");
    assert_true(ak_runs_release_pod(stage->runs, agent, pod));
}

static void test_sessions_are_asked_for(void **state)
{
    (void)state;
    AK_AUTO_OBJECT agent = stage_agent();
    AK_AUTO_OBJECT pod = stage_the_pod();
    int sessions = 0;
    ak_msec last = 0, wanted = 0;
    assert_int_equal(ak_runs_sessions(stage->runs, agent, pod, &sessions, &last, NULL), 0);
    assert_int_equal(ak_parse_rfc3339("2026-11-23T00:00:00Z", &wanted), 0);
    assert_int_equal(sessions, 2);
    assert_true(last == wanted);
}

/* ---- reading ---- */

static void test_a_record_comes_from_the_pod_and_without_it_from_the_status(void **state)
{
    (void)state;
    AK_AUTO_JSON *whole = NULL;
    AK_AUTO_JSON *rest = NULL;
    AK_AUTO_JSON *list = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    struct asked a = ask(NULL);
    stage_wait_phase(a.id, "Queued");
    stage_says(a.id, "Succeeded", "Completed");
    stage_wait_phase(a.id, "Succeeded");
    assert_int_equal(ak_runs_get(stage->runs, "n", "a", a.id, &whole, NULL), 0);
    assert_string_equal(ak_json_text(whole, "prompt", NULL), "as the pod knows it");
    assert_string_equal(ak_json_text(whole, "agent", "name", NULL), "a");
    stage_hide_pod();
    assert_int_equal(ak_runs_get(stage->runs, "n", "a", a.id, &rest, NULL), 0);
    assert_string_equal(ak_json_text(rest, "phase", NULL), "Succeeded");
    assert_null(json_object_get(rest, "prompt"));
    json_decref(whole);
    whole = NULL;
    assert_true(ak_runs_get(stage->runs, "n", "a", "../../x", &whole, &err) < 0);
    assert_int_equal(ak_error_http_status(err), 404);
    stage_show_agent();
    assert_int_equal(ak_runs_list(stage->runs, NULL, NULL, &list, NULL), 0);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(ak_json_text(json_array_get(list, 0), "id", NULL), a.id);
}

static void test_what_cannot_run_is_refused_before_anything_is_written(void **state)
{
    (void)state;
    stage_spec("paused", json_true());
    assert_int_equal(ask_for(NULL, 100).status, 409);
    stage_spec("paused", json_false());
    stage_spec("runtime", json_string("Custom"));
    assert_int_equal(ask_for(NULL, 100).status, 409);
    stage_spec("runtime", json_string("ClaudeCode"));
    assert_int_equal(ask_for("", 100).status, 400);
    stage_spec("mode", json_string("system"));
    assert_int_equal(ask_for(NULL, 100).status, 409);
    assert_string_equal(stage_journal(journal, sizeof(journal)), "");
}

static void test_after_the_stop_nothing_is_begun(void **state)
{
    (void)state;
    ak_runs_stop(stage->runs);
    assert_int_equal(ask_for(NULL, AK_SECONDS(20)).status, 503);
    assert_string_equal(stage_journal(journal, sizeof(journal)), "");
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, stage_begin, stage_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_a_run_is_written_with_its_pod_before_the_pod_is_told),
        ON_STAGE(test_nothing_is_given_to_a_pod_that_was_not_written_down),
        ON_STAGE(test_a_write_whose_answer_is_lost_is_made_good_by_the_next_request),
        ON_STAGE(test_a_put_whose_answer_is_lost_is_repeated_and_is_one_run),
        ON_STAGE(test_a_new_leader_finds_what_became_of_a_run),
        ON_STAGE(test_a_cache_that_is_behind_makes_no_second_run),
        ON_STAGE(test_a_cache_that_does_not_show_the_pod_interrupts_nothing),
        ON_STAGE(test_a_full_queue_is_said_and_leaves_nothing_behind),
        ON_STAGE(test_what_the_agentlet_refuses_is_the_askers_fault),
        ON_STAGE(test_a_pod_that_is_not_ready_is_waited_for),
        ON_STAGE(test_a_keeper_with_the_token_of_another_pod_gets_nothing),
        ON_STAGE(test_a_keeper_that_was_restarted_is_proved_anew),
        ON_STAGE(test_a_target_is_shared_and_outlives_its_place),
        ON_STAGE(test_a_cancel_reaches_the_pod),
        ON_STAGE(test_a_released_pod_is_given_nothing_until_it_turns_out_to_stay),
        ON_STAGE(test_sessions_are_asked_for),
        ON_STAGE(test_a_record_comes_from_the_pod_and_without_it_from_the_status),
        ON_STAGE(test_what_cannot_run_is_refused_before_anything_is_written),
        ON_STAGE(test_after_the_stop_nothing_is_begun),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
