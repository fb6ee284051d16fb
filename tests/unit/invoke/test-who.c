/* SPDX-License-Identifier: Apache-2.0 */
/* Who a caller is and what he may: asked over HTTP, remembered, and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "manager/invoke/access.h"
#include "stage.h"

struct who {
    struct stage stage;
    struct ak_identities *identities;
    struct ak_accesses *accesses;
    ak_msec now;
};
static struct who who;

static ak_msec read_now(void *user)
{
    (void)user;
    return who.now;
}
static const struct ak_clock moved_clock = {.monotonic = read_now, .wall = read_now};

static int begin(void **state)
{
    (void)state;
    stage_begin(&who.stage);
    who.now = AK_HOURS(1);
    assert_int_equal(ak_identities_new(who.stage.client, &moved_clock, &who.identities, NULL), 0);
    assert_int_equal(ak_accesses_new(who.stage.client, &moved_clock, &who.accesses, NULL), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)ak_identities_free(who.identities);
    (void)ak_accesses_free(who.accesses);
    stage_end(&who.stage);
    return 0;
}

static struct ak_identity *ask_who(const char *token, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_secret) secret = ak_secret_new(token, strlen(token));
    struct ak_identity *identity = NULL;

    (void)!ak_identities_ask(who.identities, secret, NULL, &identity, reterr);
    return identity;
}

static int reviews(void)
{
    return atomic_exchange(&stage->token_reviews, 0);
}

static void test_a_token_made_for_us_is_asked_about_once(void **state)
{
    (void)state;
    AK_AUTO_IDENTITY first = ask_who("alice-token", NULL);
    assert_false(first->refused);
    assert_string_equal(first->name, "alice");
    assert_string_equal(first->uid, "u-alice");
    assert_int_equal(first->groups.len, 2);
    assert_string_equal(first->extra, "{\"scopes\":[\"x\"]}");
    assert_int_equal(reviews(), 1);
    who.now += AK_IDENTITY_LIFE - 1;
    AK_AUTO_IDENTITY second = ask_who("alice-token", NULL);
    assert_ptr_equal(first, second);
    assert_int_equal(reviews(), 0);
    who.now += 1;
    AK_AUTO_IDENTITY third = ask_who("alice-token", NULL);
    assert_ptr_not_equal(first, third);
    assert_int_equal(reviews(), 1);
}

static void test_a_token_of_the_api_server_is_asked_about_twice(void **state)
{
    (void)state;
    AK_AUTO_IDENTITY bob = ask_who("bob-token", NULL);
    assert_string_equal(bob->name, "bob");
    assert_int_equal(reviews(), 2);
}

static void test_a_yes_for_somebody_elses_audience_is_no_yes(void **state)
{
    (void)state;
    AK_AUTO_IDENTITY odd = ask_who("odd-token", NULL);
    assert_true(odd->refused);
}

static void test_a_no_is_believed_for_a_short_time(void **state)
{
    (void)state;
    AK_AUTO_IDENTITY first = ask_who("garbage", NULL);
    assert_true(first->refused);
    assert_int_equal(reviews(), 2);
    who.now += AK_IDENTITY_REFUSED_LIFE - 1;
    AK_AUTO_IDENTITY second = ask_who("garbage", NULL);
    assert_true(second->refused);
    assert_int_equal(reviews(), 0);
    who.now += 1;
    AK_AUTO_IDENTITY third = ask_who("garbage", NULL);
    assert_int_equal(reviews(), 2);
}

static void test_an_outage_is_no_verdict_and_not_remembered(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        AK_AUTO_PTR(ak_error) err = NULL;
        assert_null(ask_who("late-token", &err));
        assert_int_equal(ak_error_http_status(err), 503);
        assert_null(strstr(ak_error_message(err), "late-token"));
        assert_int_equal(reviews(), 1);
    }
}

static const struct ak_access_question start = {
    .verb = "create", .resource = "agents", .sub = "invoke", .ns = "team", .name = "a"};

static int ask_access(struct ak_identity *identity, const struct ak_access_question *question)
{
    return ak_accesses_ask(who.accesses, identity, question, NULL, NULL);
}

static void test_a_grant_is_remembered_longer_than_its_absence(void **state)
{
    (void)state;
    AK_AUTO_IDENTITY alice = ask_who("alice-token", NULL);
    stage_grant("nothing");
    assert_int_equal(ask_access(alice, &start), 0);
    stage_grant("create agents/invoke team a");
    assert_int_equal(ask_access(alice, &start), 0);
    who.now += AK_ACCESS_DENIED_LIFE;
    assert_int_equal(ask_access(alice, &start), 1);
    stage_grant("nothing");
    who.now += AK_ACCESS_LIFE - 1;
    assert_int_equal(ask_access(alice, &start), 1);
    who.now += 1;
    assert_int_equal(ask_access(alice, &start), 0);
}

static void test_answers_are_not_mixed_up(void **state)
{
    struct ak_access_question other = start;
    (void)state;

    AK_AUTO_IDENTITY alice = ask_who("alice-token", NULL);
    AK_AUTO_IDENTITY bob = ask_who("bob-token", NULL);
    stage_grant("create agents/invoke team a");
    assert_int_equal(ask_access(alice, &start), 1);
    stage_grant("nothing");
    assert_int_equal(ask_access(bob, &start), 0);
    other.name = "b";
    assert_int_equal(ask_access(alice, &other), 0);
    other = start;
    other.ns = NULL;
    assert_int_equal(ask_access(alice, &other), 0);
    other = start;
    other.sub = NULL;
    assert_int_equal(ask_access(alice, &other), 0);
    other = start;
    other.verb = "get";
    assert_int_equal(ask_access(alice, &other), 0);
    assert_int_equal(ask_access(alice, &start), 1);
}

static void test_a_refusal_says_what_is_missing(void **state)
{
    const struct ak_access_question list = {.verb = "list", .resource = "tools"};
    AK_AUTO_PTR(ak_error) err = NULL;
    (void)state;

    AK_AUTO_IDENTITY alice = ask_who("alice-token", NULL);
    assert_true(ak_access_denied(alice, &start, &err) < 0);
    assert_int_equal(ak_error_http_status(err), 403);
    assert_string_equal(
        ak_error_message(err),
        "agents.agentkube.io \"a\" is forbidden: User \"alice\" cannot create resource "
        "\"agents/invoke\" in API group \"agentkube.io\" in the namespace \"team\"");
    assert_true(ak_access_denied(alice, &list, &err) < 0);
    assert_string_equal(
        ak_error_message(err),
        "tools.agentkube.io is forbidden: User \"alice\" cannot list resource \"tools\" "
        "in API group \"agentkube.io\" at the cluster scope");
}

#define WITH_STAGE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STAGE(test_a_token_made_for_us_is_asked_about_once),
        WITH_STAGE(test_a_token_of_the_api_server_is_asked_about_twice),
        WITH_STAGE(test_a_yes_for_somebody_elses_audience_is_no_yes),
        WITH_STAGE(test_a_no_is_believed_for_a_short_time),
        WITH_STAGE(test_an_outage_is_no_verdict_and_not_remembered),
        WITH_STAGE(test_a_grant_is_remembered_longer_than_its_absence),
        WITH_STAGE(test_answers_are_not_mixed_up),
        WITH_STAGE(test_a_refusal_says_what_is_missing),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
