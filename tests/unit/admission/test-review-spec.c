/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of an AdmissionReview to the bytes of the answer, for objects of ours. */
#include "manager/admission/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define GOOD "{'runtime': 'Codex', 'agentToken': {'secretRef': {'name': 'k', 'key': 't'}}}"
#define BAD "{'runtime': 'Custom'}"
#define OBJECT(spec) "{'metadata': {'name': 'bot'}, 'spec': " spec "}"

static const struct ak_options options = {.zoneinfo_dir = "/usr/share/zoneinfo"};

/* What the bytes of a request become: bytes, or a negative code. `fail_at`: this allocation fails. */
static int answer_bytes(const struct ak_buf *body, int64_t fail_at, bool *ret_failed,
                        struct ak_buf *out)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_JSON *tree = NULL;
    struct ak_admission self = {.options = &options, .clock = ak_clock_system()};
    struct ak_review review;
    const char *version;

    ak_arena_init(&arena, 1024, 0);
    struct ak_review_answer answer = {.arena = &arena};
    (void)ak_alloc_fail_after(fail_at);
    int r = ak_review_decode(body->data, body->len, ak_admission_handlers[0].skip, &arena, &review,
                             &version, &tree, NULL);
    if (r >= 0)
        r = ak_admission_validate(&review, &answer, &self, NULL);
    if (r >= 0)
        r = ak_review_encode(&review, version, &answer, out);
    *ret_failed = ak_alloc_fail_after(-1);
    return r;
}

static void make_request(const char *operation, const char *sub, const char *object,
                         const char *old_object, struct ak_buf *body)
{
    assert_int_equal(
        ak_buf_addf(body,
                    "{'apiVersion': 'admission.k8s.io/v1', 'kind': 'AdmissionReview', 'request': "
                    "{'uid': 'u-1', 'kind': {'group': 'agentkube.io', 'version': 'v1alpha1', "
                    "'kind': 'Agent'}, 'resource': {'group': 'agentkube.io', 'version': "
                    "'v1alpha1', 'resource': 'agents'}, 'subResource': '%s', 'name': 'bot', "
                    "'namespace': 'ns', 'operation': '%s', 'userInfo': {'username': 'bob'}, "
                    "'object': %s, 'oldObject': %s}}",
                    sub, operation, object, old_object ? old_object : "null"),
        0);
    for (char *p = body->data; *p; p++)
        if (*p == '\'')
            *p = '"';
}

/* "response" of the answer. */
static json_t *response_of(const struct ak_buf *out)
{
    json_t *answered = NULL;

    assert_int_equal(ak_json_parse(out->data, out->len, &answered, NULL), 0);
    json_t *response = json_incref(json_object_get(answered, "response"));
    json_decref(answered);
    return response;
}

static json_t *must(const char *operation, const char *sub, const char *object,
                    const char *old_object)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(1u << 20);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
    bool failed;

    make_request(operation, sub, object, old_object, &body);
    assert_int_equal(answer_bytes(&body, -1, &failed, &out), 0);
    json_t *response = response_of(&out);
    assert_string_equal(ak_json_text(response, "uid", NULL), "u-1");
    return response;
}

static bool is_allowed(const json_t *response)
{
    return json_is_true(json_object_get(response, "allowed"));
}

static void test_a_refusal_has_causes_that_kubectl_shows(void **state)
{
    AK_AUTO_JSON *r = must("CREATE", "", OBJECT(BAD), NULL);
    const json_t *causes = ak_json_at(r, "status", "details", "causes", NULL);

    (void)state;
    assert_false(is_allowed(r));
    assert_int_equal(json_integer_value(ak_json_at(r, "status", "code", NULL)), 422);
    assert_string_equal(ak_json_text(r, "status", "reason", NULL), "Invalid");
    assert_string_equal(ak_json_text(r, "status", "details", "kind", NULL), "Agent");
    assert_string_equal(ak_json_text(r, "status", "details", "name", NULL), "bot");
    assert_int_equal(json_array_size(causes), 1);
    assert_string_equal(ak_json_text(json_array_get(causes, 0), "field", NULL), "spec.image");
    assert_non_null(strstr(ak_json_text(r, "status", "message", NULL),
                           "Agent \"bot\" is invalid: spec.image: must be set"));
}

static void test_what_is_accepted(void **state)
{
    static const struct {
        const char *operation, *sub, *object, *old, *why;
        bool allowed;
    } cases[] = {
        {"CREATE", "", OBJECT(GOOD), NULL, "it is good", true},
        {"DELETE", "", "null", OBJECT(BAD), "it goes", true},
        {"UPDATE", "status", OBJECT(BAD), OBJECT(BAD), "a status is the manager's", true},
        {"UPDATE", "", "{'metadata': {'name': 'bot', 'deletionTimestamp': 'x'}, 'spec': " BAD "}",
         OBJECT(GOOD), "a finalizer is removed", true},
        {"UPDATE", "", OBJECT(BAD), OBJECT(BAD), "the spec is as bad as before", true},
        {"UPDATE", "", OBJECT(BAD), OBJECT(GOOD), "it became bad", false},
        {"UPDATE", "", OBJECT(GOOD), OBJECT(BAD), "it was mended", true},
        {"CREATE", "", "{'metadata': {'name': 'bot'}}", NULL, "it has no spec", false},
        {"CREATE", "", OBJECT("{'runtime': 7}"), NULL, "a type is wrong", false},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *r = must(cases[i].operation, cases[i].sub, cases[i].object, cases[i].old);
        if (is_allowed(r) != cases[i].allowed)
            fail_msg("%s", cases[i].why);
    }
}

static void test_warnings_come_with_an_object_that_is_accepted(void **state)
{
    AK_AUTO_JSON *r = must("CREATE", "", OBJECT("{'runtime': 'Codex'}"), NULL);
    AK_AUTO_JSON *kept = must("UPDATE", "", OBJECT(BAD), OBJECT(BAD));

    (void)state;
    assert_true(is_allowed(r));
    assert_int_equal(json_array_size(json_object_get(r, "warnings")), 1);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(r, "warnings"), 0)),
                           "spec.agentToken: "));
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(kept, "warnings"), 0)),
                           "spec.image: must be set"));
}

static void test_bodies_that_are_no_reviews(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"apiVersion\":\"admission.k8s.io/v2\",\"kind\":\"AdmissionReview\",\"request\":{}}",
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"Review\",\"request\":{}}",
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":[]}",
        "{\"apiVersion\":\"admission.k8s.io/"
        "v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"\","
        "\"operation\":\"CREATE\"}}",
        "{\"apiVersion\":\"admission.k8s.io/"
        "v1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":7}}",
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(bodies); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_review review;
        const char *version;
        json_t *tree = NULL;
        ak_arena_init(&arena, 1024, 0);
        assert_int_equal(ak_review_decode(bodies[i], strlen(bodies[i]),
                                          ak_admission_handlers[0].skip, &arena, &review, &version,
                                          &tree, &err),
                         AK_E_INVALID);
        assert_null(tree);
    }
}

static void test_without_memory_there_is_no_answer_rather_than_a_wrong_one(void **state)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(1u << 20);

    (void)state;
    make_request("CREATE", "", OBJECT(BAD), NULL, &body);
    for (int64_t n = 0; n < 500; n++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(1u << 20);
        bool failed = false;
        int r = answer_bytes(&body, n, &failed, &out);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            continue;
        }
        AK_AUTO_JSON *response = response_of(&out);
        assert_false(is_allowed(response));
        if (!failed)
            return;
    }
    fail_msg("never without a failure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refusal_has_causes_that_kubectl_shows),
        cmocka_unit_test(test_what_is_accepted),
        cmocka_unit_test(test_warnings_come_with_an_object_that_is_accepted),
        cmocka_unit_test(test_bodies_that_are_no_reviews),
        cmocka_unit_test(test_without_memory_there_is_no_answer_rather_than_a_wrong_one),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
