/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <lease.h>

#define OWN AK_SECONDS(15)

static json_t *lease(const char *holder, const char *renewed, int seconds)
{
    return json_pack("{s:{s:s}, s:{s:s, s:s, s:i, s:i}}", "metadata", "name", "l", "spec",
                     "holderIdentity", holder, "renewTime", renewed, "leaseDurationSeconds",
                     seconds, "leaseTransitions", 3);
}

static enum ak_lease_verdict judge(const char *holder, const char *renewed, int seconds,
                                   ak_msec now, struct ak_lease_seen *seen)
{
    AK_AUTO_JSON *l = lease(holder, renewed, seconds);

    return ak_lease_judge(l, "me", OWN, now, seen);
}

static void test_a_lease_is_taken_over_only_after_we_saw_it_unchanged_for_its_duration(void **state)
{
    struct ak_lease_seen seen = {0};
    (void)state;

    /* Its times are from another machine's clock, years off: they do not count. */
    assert_int_equal(judge("you", "2001-01-01T00:00:00Z", 15, 1000, &seen), AK_LEASE_TAKEN);
    assert_int_equal(judge("you", "2001-01-01T00:00:00Z", 15, 15999, &seen), AK_LEASE_TAKEN);
    assert_int_equal(judge("you", "2001-01-01T00:00:00Z", 15, 16000, &seen), AK_LEASE_FREE);
    assert_int_equal(judge("you", "2099-01-01T00:00:00Z", 15, 16001, &seen), AK_LEASE_TAKEN);
    assert_int_equal(judge("you", "2099-01-01T00:00:00Z", 15, 31001, &seen), AK_LEASE_FREE);
}

static void test_the_holders_duration_counts_within_reason(void **state)
{
    static const struct {
        int seconds;
        ak_msec free_after;
        const char *comment;
    } cases[] = {
        {60, 60000, "longer than ours"},
        {1, 1000, "given back"},
        {0, OWN, "none: ours"},
        {-5, OWN, "nonsense: ours"},
        {1000000000, AK_SECONDS(AK_LEASE_MAX_SECONDS), "edited by hand"},
    };
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_lease_seen seen = {0};
        (void)judge("you", "x", cases[i].seconds, 500, &seen);
        if (judge("you", "x", cases[i].seconds, 500 + cases[i].free_after - 1, &seen) !=
                AK_LEASE_TAKEN ||
            judge("you", "x", cases[i].seconds, 500 + cases[i].free_after, &seen) != AK_LEASE_FREE)
            fail_msg("case %s", cases[i].comment);
    }
}

static void test_nobodys_lease_is_free_and_ours_is_ours(void **state)
{
    struct ak_lease_seen seen = {0};
    AK_AUTO_JSON *empty = json_pack("{s:{s:s}}", "metadata", "name", "l");
    AK_AUTO_JSON *odd = json_pack("{s:s}", "spec", "not an object");
    (void)state;

    assert_int_equal(judge("", "x", 15, 0, &seen), AK_LEASE_FREE);
    assert_int_equal(judge("me", "x", 15, 0, &seen), AK_LEASE_OURS);
    assert_int_equal(ak_lease_judge(empty, "me", OWN, 0, &seen), AK_LEASE_FREE);
    assert_int_equal(ak_lease_judge(odd, "me", OWN, 0, &seen), AK_LEASE_FREE);
}

static void test_taking_counts_a_transition_and_renewing_does_not(void **state)
{
    AK_AUTO_JSON *l = lease("you", "x", 15);
    AK_AUTO_JSON *first = ak_lease_make("ns", "l");
    (void)state;

    assert_int_equal(ak_lease_renew(l, "me", OWN, 1700000000000), 0);
    assert_string_equal(ak_lease_holder(l), "me");
    assert_int_equal(json_integer_value(ak_json_at(l, "spec", "leaseTransitions", NULL)), 4);
    assert_string_equal(ak_json_text(l, "spec", "renewTime", NULL), "2023-11-14T22:13:20.000000Z");
    assert_string_equal(ak_json_text(l, "spec", "acquireTime", NULL),
                        "2023-11-14T22:13:20.000000Z");
    assert_int_equal(ak_lease_renew(l, "me", OWN, 1700000002000), 0);
    assert_int_equal(json_integer_value(ak_json_at(l, "spec", "leaseTransitions", NULL)), 4);
    assert_string_equal(ak_json_text(l, "spec", "acquireTime", NULL),
                        "2023-11-14T22:13:20.000000Z");
    assert_int_equal(ak_lease_renew(first, "me", OWN, 1700000000000), 0);
    assert_int_equal(json_integer_value(ak_json_at(first, "spec", "leaseTransitions", NULL)), 0);
    assert_int_equal(json_integer_value(ak_json_at(first, "spec", "leaseDurationSeconds", NULL)),
                     15);
}

static void test_a_lease_that_is_given_back_has_no_holder_and_keeps_its_labels(void **state)
{
    AK_AUTO_JSON *l = lease("me", "x", 15);
    struct ak_lease_seen seen = {0};
    (void)state;

    json_object_set_new(json_object_get(l, "metadata"), "labels", json_pack("{s:s}", "a", "b"));
    assert_int_equal(ak_lease_release(l, 1700000000000), 0);
    assert_int_equal(ak_lease_judge(l, "you", OWN, 0, &seen), AK_LEASE_FREE);
    assert_string_equal(ak_json_text(l, "metadata", "labels", "a", NULL), "b");
}

static void test_an_address_is_the_holders_and_goes_with_it(void **state)
{
    AK_AUTO_JSON *l = lease("me", "x", 15);
    (void)state;

    assert_null(ak_lease_address(l, "a/b"));
    assert_int_equal(ak_lease_set_address(l, "a/b", NULL), 0);
    assert_int_equal(ak_lease_set_address(l, "a/b", "h:1"), 0);
    json_object_set_new(ak_json_at(l, "metadata", "annotations", NULL), "other", json_string("o"));
    assert_string_equal(ak_lease_address(l, "a/b"), "h:1");
    assert_int_equal(ak_lease_release(l, 1700000000000), 0);
    assert_null(ak_lease_address(l, "a/b")); /* nobody holds it */
    assert_int_equal(ak_lease_set_address(l, "a/b", NULL), 0);
    assert_null(ak_json_text(l, "metadata", "annotations", "a/b", NULL));
    assert_string_equal(ak_json_text(l, "metadata", "annotations", "other", NULL), "o");
}

static void test_every_allocation_may_fail(void **state)
{
    bool failed = true;
    (void)state;

    for (int64_t n = 0; failed; n++) {
        AK_AUTO_JSON *l = lease("you", "x", 15);
        int r;
        ak_alloc_fail_after(n);
        r = ak_lease_renew(l, "me", OWN, 1700000000000);
        if (r >= 0)
            r = ak_lease_set_address(l, "a/b", "h:1");
        if (r >= 0)
            r = ak_lease_release(l, 1700000000000);
        failed = ak_alloc_fail_after(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_a_lease_is_taken_over_only_after_we_saw_it_unchanged_for_its_duration),
        cmocka_unit_test(test_the_holders_duration_counts_within_reason),
        cmocka_unit_test(test_nobodys_lease_is_free_and_ours_is_ours),
        cmocka_unit_test(test_taking_counts_a_transition_and_renewing_does_not),
        cmocka_unit_test(test_a_lease_that_is_given_back_has_no_holder_and_keeps_its_labels),
        cmocka_unit_test(test_an_address_is_the_holders_and_goes_with_it),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
