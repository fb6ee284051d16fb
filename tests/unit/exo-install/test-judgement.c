/* SPDX-License-Identifier: Apache-2.0 */
/* What is concluded from objects: rollouts, pods, tokens, versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "exo-install/diagnose.h"
#include "exo-install/preflight.h"
#include "exo-install/proof.h"
#include "exo-install/token.h"

static json_t *read_tree(const char *text)
{
    json_t *tree = NULL;
    assert_int_equal(ak_yaml_parse(text, strlen(text), &tree, NULL), 0);
    return tree;
}

static void test_a_rollout_is_judged_as_kubectl_does(void **state)
{
    static const struct {
        const char *deployment;
        enum ak_proof_state wanted;
        const char *said;
    } cases[] = {
        {"{metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, "
         "updatedReplicas: 1, replicas: 1, availableReplicas: 1}}",
         AK_PROOF_UNDER_WAY, "not noticed"},
        {"{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, "
         "updatedReplicas: 1, replicas: 1}}",
         AK_PROOF_UNDER_WAY, "1 of 2 pods are made"},
        {"{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, "
         "updatedReplicas: 1, replicas: 2, availableReplicas: 2}}",
         AK_PROOF_UNDER_WAY, "1 old pods still end"},
        {"{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, "
         "updatedReplicas: 1, replicas: 1}}",
         AK_PROOF_UNDER_WAY, "0 of 1 pods are ready"},
        {"{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, "
         "conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}}",
         AK_PROOF_FAILED, "not ready in time"},
        {"{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, "
         "updatedReplicas: 1, replicas: 1, availableReplicas: 1}}",
         AK_PROOF_DONE, "1 of 1 pods are ready"},
        {"{metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1}}",
         AK_PROOF_DONE, "0 of 0"},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *deployment = read_tree(cases[i].deployment);
        AK_AUTO(ak_buf) why = AK_BUF_INIT(1024);
        assert_int_equal(ak_proof_judge_rollout(deployment, &why), cases[i].wanted);
        if (!strstr(ak_buf_text(&why), cases[i].said))
            fail_msg("\"%s\" does not say \"%s\"", ak_buf_text(&why), cases[i].said);
    }
    AK_AUTO(ak_buf) why = AK_BUF_INIT(1024);
    assert_int_equal(ak_proof_judge_rollout(NULL, &why), AK_PROOF_FAILED);
}

static void test_what_keeps_a_pod_from_being_ready_is_said_in_words(void **state)
{
    static const struct {
        const char *pod, *said;
    } cases[] = {
        {"{metadata: {name: p}, status: {containerStatuses: [{image: 'i:1', state: {waiting: "
         "{reason: ImagePullBackOff, message: no such image}}}]}}",
         "pod p: the image cannot be pulled (ImagePullBackOff, image i:1): no such image"},
        {"{metadata: {name: p}, status: {containerStatuses: [{image: 'i:1', state: {waiting: "
         "{reason: CrashLoopBackOff, message: back-off}}, lastState: {terminated: {exitCode: 2, "
         "message: bad flag}}}]}}",
         "pod p: the manager starts and ends again and again (CrashLoopBackOff, image i:1), exit "
         "code 2: bad flag"},
        {"{metadata: {name: p}, status: {conditions: [{type: PodScheduled, status: 'False', "
         "message: 0/3 nodes}]}}",
         "pod p: no node takes it: 0/3 nodes"},
        {"{metadata: {name: p}, status: {containerStatuses: [{ready: false, state: {running: "
         "{startedAt: x}}}]}}",
         "pod p: runs, and is not ready yet"},
        {"{metadata: {name: p}, status: {containerStatuses: [{ready: true, state: {running: "
         "{startedAt: x}}}]}}",
         ""},
        {"{metadata: {name: p}, status: {containerStatuses: [{state: {waiting: {reason: "
         "ContainerCreating}}}]}}",
         ""},
        {"{metadata: {name: p, deletionTimestamp: x}, status: {conditions: [{type: PodScheduled, "
         "status: 'False'}]}}",
         ""},
        {"{}", ""},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *pod = read_tree(cases[i].pod);
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        assert_int_equal(ak_diagnose_pod(pod, &out), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].said);
    }
}

static void test_a_token_is_its_prefix_and_32_digits(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"exo_dpl_0123456789abcdef0123456789ABCDEF", true},
        {"exo_dpl_0123456789abcdef0123456789abcde", false},
        {"exo_dpl_0123456789abcdef0123456789abcdef0", false},
        {"exo_dpl_0123456789abcdef0123456789abcdeg", false},
        {"EXO_DPL_0123456789abcdef0123456789abcdef", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        assert_int_equal(ak_token_is_valid(cases[i].text, strlen(cases[i].text)), cases[i].valid);
}

static void test_versions_are_compared_number_by_number(void **state)
{
    (void)state;
    assert_true(ak_preflight_is_newer("0.10.0", "0.9.9"));
    assert_true(ak_preflight_is_newer("1.0.0", "0.99"));
    assert_true(ak_preflight_is_newer("0.1.1", "0.1"));
    assert_false(ak_preflight_is_newer("0.1.0", "0.1.0"));
    assert_false(ak_preflight_is_newer("0.1", "0.1.0"));
    assert_false(ak_preflight_is_newer("", "0.1.0"));
    assert_false(ak_preflight_is_newer("x", "0.1.0"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rollout_is_judged_as_kubectl_does),
        cmocka_unit_test(test_what_keeps_a_pod_from_being_ready_is_said_in_words),
        cmocka_unit_test(test_a_token_is_its_prefix_and_32_digits),
        cmocka_unit_test(test_versions_are_compared_number_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
