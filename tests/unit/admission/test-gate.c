/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns a pod, what is asked, and what a person reads. */
#include "manager/admission/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/json/json.h>

static const struct ak_review_kind pods = {.group = "", .version = "v1", .resource = "pods"};
static const char *const groups[] = {"devs", "system:authenticated"};
static const struct ak_gate_guard agent_guard = {"Agent", "bot", "agents", "exec"};

static struct ak_review review_of(struct ak_arena *arena, const struct ak_review_user *user)
{
    return (struct ak_review){.uid = "u",
                              .kind = &pods,
                              .resource = &pods,
                              .sub_resource = "exec",
                              .name = "bot",
                              .namespace_ = "ns",
                              .operation = AK_REVIEW_CONNECT,
                              .user = user,
                              .arena = arena};
}

static void test_owners_that_are_guarded(void **state)
{
    static const struct {
        const char *api, *kind, *name, *resource; /* NULL: not guarded */
    } cases[] = {
        {"agentkube.io/v1alpha1", "Agent", "a", "agents"},
        {"agentkube.io/v1", "Agent", "a", "agents"},
        {"agentkube.io/v1alpha1", "Tool", "a", "tools"},
        {"agentkube.io/v1alpha1", "MCP", "a", NULL},
        {"agentkube.io.evil/v1", "Agent", "a", NULL},
        {"apps/v1", "ReplicaSet", "a", NULL},
        {"v1", "Agent", "a", NULL},
        {NULL, "Agent", "a", NULL},
        {"agentkube.io/v1alpha1", NULL, "a", NULL},
        {"agentkube.io/v1alpha1", "Agent", NULL, NULL},
        {"agentkube.io/v1alpha1", "Agent", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_gate_guard guard = {0};
        assert_int_equal(ak_gate_guard_of(cases[i].api, cases[i].kind, cases[i].name, &guard),
                         cases[i].resource != NULL);
        if (cases[i].resource)
            assert_string_equal(guard.resource, cases[i].resource);
    }
}

static void test_the_question_carries_all_of_the_user(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    ak_arena_init(&arena, 256, 0);
    AK_AUTO_JSON *extra = json_pack("{s:[s]}", "scopes", "a");
    const struct ak_review_user user = {
        .name = "bob", .uid = "7", .groups = {.items = groups, .len = 2}, .extra = extra};
    const struct ak_review review = review_of(&arena, &user);
    AK_AUTO_JSON *wanted =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:[s, s], s:{s:[s]}, s:{s:s, s:s, s:s, s:s, s:s, s:s}}}",
                  "apiVersion", "authorization.k8s.io/v1", "kind", "SubjectAccessReview", "spec",
                  "user", "bob", "uid", "7", "groups", "devs", "system:authenticated", "extra",
                  "scopes", "a", "resourceAttributes", "namespace", "ns", "verb", "create", "group",
                  "agentkube.io", "resource", "agents", "subresource", "exec", "name", "bot");

    (void)state;
    AK_AUTO_JSON *question = ak_gate_question(&review, &agent_guard);
    assert_true(json_equal(question, wanted));
}

static void test_a_denial_names_the_grant_and_how_to_give_it(void **state)
{
    static const struct {
        const char *user, *flag;
    } cases[] = {
        {"bob", "--user=bob"},
        {"bob@example.com", "--user=bob@example.com"},
        {"system:serviceaccount:ns:runner", "--serviceaccount=ns:runner"},
        {"eve; rm -rf ~", "--user=USER"}, /* not into somebody's shell */
        {"", "--user=USER"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        ak_arena_init(&arena, 256, 0);
        const struct ak_review_user user = {.name = cases[i].user, .uid = ""};
        const struct ak_review review = review_of(&arena, &user);
        struct ak_review_answer answer = {.arena = &arena};
        assert_int_equal(ak_gate_deny(&review, &agent_guard, &answer), 0);
        assert_true(answer.denied);
        assert_int_equal(answer.code, 403);
        assert_string_equal(answer.reason, "Forbidden");
        assert_non_null(strstr(answer.message, "create agents/exec in API group agentkube.io"));
        assert_non_null(strstr(answer.message,
                               "kubectl -n ns create role bot-exec --verb=create "
                               "--resource=agents.agentkube.io/exec --resource-name=bot && "));
        assert_true(ak_has_suffix(answer.message, cases[i].flag));
    }
}

static void test_only_ways_into_pods_are_looked_at(void **state)
{
    static const struct ak_review_kind tools = {.group = "agentkube.io", .resource = "tools"};
    static const struct {
        const struct ak_review_kind *resource;
        const char *sub, *ns, *user;
        enum ak_review_operation operation;
        int result;
    } cases[] = {
        {&pods, "exec", "ns", "bob", AK_REVIEW_CONNECT, AK_REVIEW_LATER},
        {&pods, "attach", "ns", "bob", AK_REVIEW_CONNECT, AK_REVIEW_LATER},
        {&pods, "portforward", "ns", "bob", AK_REVIEW_CONNECT, AK_REVIEW_LATER},
        {&pods, "ephemeralcontainers", "ns", "bob", AK_REVIEW_UPDATE, AK_REVIEW_LATER},
        {&pods, "", "ns", "bob", AK_REVIEW_UPDATE, 0},
        {&pods, "log", "ns", "bob", AK_REVIEW_CONNECT, 0},
        {&tools, "exec", "ns", "bob", AK_REVIEW_CONNECT, 0},
        {&pods, "exec", "kube-system", "bob", AK_REVIEW_CONNECT, 0},
        {&pods, "exec", "ns", "system:serviceaccount:sys:agentkube-manager", AK_REVIEW_CONNECT, 0},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        ak_arena_init(&arena, 256, 0);
        struct ak_admission self = {.own_user = "system:serviceaccount:sys:agentkube-manager"};
        const struct ak_review_user user = {.name = cases[i].user, .uid = ""};
        struct ak_review review = review_of(&arena, &user);
        struct ak_review_answer answer = {.arena = &arena};
        review.resource = cases[i].resource;
        review.sub_resource = cases[i].sub;
        review.namespace_ = cases[i].ns;
        review.operation = cases[i].operation;
        assert_int_equal(ak_admission_gate_quick(&review, &answer, &self, NULL), cases[i].result);
        assert_false(answer.denied);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owners_that_are_guarded),
        cmocka_unit_test(test_the_question_carries_all_of_the_user),
        cmocka_unit_test(test_a_denial_names_the_grant_and_how_to_give_it),
        cmocka_unit_test(test_only_ways_into_pods_are_looked_at),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
