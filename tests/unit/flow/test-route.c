/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/flow/route.h>
#include <ak/json/json.h>

static const struct ak_kind agents = {
    .resource = {"agentkube.io", "v1alpha1", "Agent", "agents", true},
    .flags = AK_KIND_LABELS | AK_KIND_ANNOTATIONS};
static const struct ak_kind pods = {.resource = {"", "v1", "Pod", "pods", true}};

static const struct ak_object *make(const struct ak_kind *kind, const char *json)
{
    const struct ak_object *o = NULL;
    AK_AUTO_JSON *tree = NULL;

    assert_int_equal(ak_json_parse(json, strlen(json), &tree, NULL), 0);
    assert_int_equal(ak_object_decode(kind, tree, "m", &o, NULL), 0);
    return o;
}

#define OWNED(name, api, kind, owner)                                                              \
    "{\"metadata\":{\"name\":\"" name                                                              \
    "\",\"namespace\":\"ns\",\"uid\":\"u\",\"ownerReferences\":[{"                                 \
    "\"apiVersion\":\"" api "\",\"kind\":\"" kind "\",\"name\":\"" owner                           \
    "\",\"uid\":\"o\",\"controller\":true}]}}"

static void pod_owners(const struct ak_change *c, ak_key_emit_fn emit, void *emit_user, void *user)
{
    assert_string_equal(user, "mine");
    ak_route_owners(c, &agents.resource, emit, emit_user);
}

static bool never(const struct ak_change *c)
{
    (void)c;
    return false;
}

static const struct ak_route rows[] = {
    {&agents, NULL, NULL, "agent", AK_CAUSE_CHANGED},
    {&agents, never, NULL, "other", AK_CAUSE_CHANGED},
    {&pods, NULL, pod_owners, "agent", AK_CAUSE_CHILD},
    {&agents, NULL, NULL, "unknown", AK_CAUSE_CHANGED},
};

struct queues {
    struct ak_queue *agent, *other;
};

static struct ak_queue *queue_of(const char *controller, void *user)
{
    struct queues *q = user;

    if (ak_streq(controller, "agent"))
        return q->agent;
    return ak_streq(controller, "other") ? q->other : NULL;
}

static int setup(void **state)
{
    static struct queues q;

    assert_int_equal(ak_queue_new(&(struct ak_queue_options){.name = "a"}, &q.agent, NULL), 0);
    assert_int_equal(ak_queue_new(&(struct ak_queue_options){.name = "b"}, &q.other, NULL), 0);
    *state = &q;
    return 0;
}

static int teardown(void **state)
{
    struct queues *q = *state;

    ak_queue_free(q->agent);
    ak_queue_free(q->other);
    return 0;
}

static void send(struct queues *q, const struct ak_object *before, const struct ak_object *after)
{
    struct ak_change c = {
        before ? (after ? AK_CHANGE_UPDATED : AK_CHANGE_DELETED) : AK_CHANGE_ADDED, before, after};
    static char mine[] = "mine";

    ak_route_change(rows, AK_ARRAY_LEN(rows), &c, queue_of, q, mine);
}

static void expect(struct ak_queue *q, const char *name, enum ak_cause cause)
{
    struct ak_request req;

    assert_int_equal(ak_queue_try_take(q, &req), name ? 0 : -EAGAIN);
    if (!name)
        return;
    assert_string_equal(req.name, name);
    assert_string_equal(req.ns, "ns");
    assert_int_equal(req.cause, cause);
    ak_queue_done(q, &req, -1);
}

static void test_an_object_wakes_itself_where_its_row_lets_it(void **state)
{
    struct queues *q = *state;
    AK_AUTO_OBJECT a = make(&agents, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"ns\"}}");

    send(q, NULL, a);
    expect(q->agent, "a", AK_CAUSE_CHANGED);
    expect(q->agent, NULL, 0);
    expect(q->other, NULL, 0);
}

static void test_a_child_wakes_the_owner_that_it_had_and_the_one_that_it_has(void **state)
{
    struct queues *q = *state;
    AK_AUTO_OBJECT a = make(&pods, OWNED("p", "agentkube.io/v1alpha1", "Agent", "a"));
    AK_AUTO_OBJECT b = make(&pods, OWNED("p", "agentkube.io/v1beta1", "Agent", "b"));

    send(q, a, NULL);
    expect(q->agent, "a", AK_CAUSE_CHILD);
    send(q, a, b);
    expect(q->agent, "b", AK_CAUSE_CHILD);
    expect(q->agent, "a", AK_CAUSE_CHILD);
    send(q, a, a);
    expect(q->agent, "a", AK_CAUSE_CHILD);
    expect(q->agent, NULL, 0);
}

static void test_owners_of_other_kinds_and_groups_are_not_woken(void **state)
{
    static const char *const foreign[] = {
        OWNED("p", "apps/v1", "ReplicaSet", "a"),
        OWNED("p", "other.io/v1", "Agent", "a"),
        OWNED("p", "agentkube.io.evil/v1", "Agent", "a"),
        OWNED("p", "v1", "Agent", "a"),
        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"ownerReferences\":[{\"apiVersion\":"
        "\"agentkube.io/v1alpha1\",\"kind\":\"Agent\",\"name\":\"a\",\"uid\":\"o\"}]}}",
        "{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\"}}",
    };
    struct queues *q = *state;

    for (size_t i = 0; i < AK_ARRAY_LEN(foreign); i++) {
        AK_AUTO_OBJECT p = make(&pods, foreign[i]);
        send(q, NULL, p);
        expect(q->agent, NULL, 0);
    }
}

static void test_a_resync_wakes_own_keys_only(void **state)
{
    struct queues *q = *state;
    AK_AUTO_OBJECT a = make(&agents, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"ns\"}}");
    AK_AUTO_OBJECT p = make(&pods, OWNED("p", "agentkube.io/v1alpha1", "Agent", "b"));

    ak_route_resync(rows, AK_ARRAY_LEN(rows), p, queue_of, q);
    expect(q->agent, NULL, 0);
    ak_route_resync(rows, AK_ARRAY_LEN(rows), a, queue_of, q);
    expect(q->agent, "a", AK_CAUSE_RESYNC);
}

static void test_a_status_write_is_not_a_change_of_the_spec(void **state)
{
#define META(rest) "{\"metadata\":{\"name\":\"a\",\"namespace\":\"ns\"" rest "}}"
    static const struct {
        const char *before, *after;
        bool expected;
        const char *comment;
    } cases[] = {
        {META(",\"generation\":1,\"resourceVersion\":\"1\""),
         META(",\"generation\":1,\"resourceVersion\":\"2\""), false, "status"},
        {META(",\"generation\":1"), META(",\"generation\":2"), true, "spec"},
        {META(""), META(",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\""), true, "deletion"},
        {META(",\"labels\":{\"a\":\"b\"}"), META(",\"labels\":{\"a\":\"c\"}"), true, "label"},
        {META(""), META(",\"annotations\":{\"a\":\"c\"}"), true, "annotation"},
        {META(",\"labels\":{\"a\":\"b\",\"c\":\"d\"}"),
         META(",\"labels\":{\"c\":\"d\",\"a\":\"b\"}"), false, "order"},
    };
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_OBJECT before = make(&agents, cases[i].before);
        AK_AUTO_OBJECT after = make(&agents, cases[i].after);
        struct ak_change c = {AK_CHANGE_UPDATED, before, after};
        if (ak_route_spec_changed(&c) != cases[i].expected)
            fail_msg("case %s", cases[i].comment);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_object_wakes_itself_where_its_row_lets_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_a_child_wakes_the_owner_that_it_had_and_the_one_that_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owners_of_other_kinds_and_groups_are_not_woken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_resync_wakes_own_keys_only, setup, teardown),
        cmocka_unit_test(test_a_status_write_is_not_a_change_of_the_spec),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
