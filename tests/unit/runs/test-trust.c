/* SPDX-License-Identifier: Apache-2.0 */
/* What pods, TokenReviews and pins say, by tables. How a keeper is proved in fact: test-runs.c. */
#include "manager/runs/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/json/json.h>

static json_t *parse(const char *text)
{
    json_t *tree = NULL;
    assert_int_equal(ak_json_parse(text, strlen(text), &tree, NULL), 0);
    return tree;
}

#define PORTS(port)                                                                                \
    "\"spec\":{\"containers\":[{\"name\":\"agent\",\"ports\":[{\"name\":\"agentlet\","             \
    "\"containerPort\":8083}]},{\"name\":\"keeper\",\"ports\":[" port "]}]}"
#define RELAY "{\"name\":\"relay\",\"containerPort\":8084}"
#define POD(uid, ip, ports)                                                                        \
    "{\"metadata\":{\"uid\":\"" uid "\"}," ports ",\"status\":{\"podIP\":\"" ip "\"}}"

static void test_the_address_of_a_keeper_is_in_its_pod(void **state)
{
    static const struct {
        const char *pod;
        int r;
        const char *url;
    } table[] = {
        {POD("u", "10.1.2.3", PORTS(RELAY)), 0, "https://10.1.2.3:8084"},
        {POD("u", "fd00::1", PORTS(RELAY)), 0, "https://[fd00::1]:8084"},
        {POD("v", "10.1.2.3", PORTS(RELAY)), AK_E_NOT_FOUND, NULL},
        {POD("u", "", PORTS(RELAY)), -EAGAIN, NULL},
        {POD("u", "10.1.2.3", PORTS("")), AK_E_INVALID, NULL},
        {POD("u", "10.1.2.3", PORTS("{\"name\":\"relay\",\"containerPort\":70000}")), AK_E_INVALID,
         NULL},
        {POD("u", "10.1.2.3", PORTS("{\"name\":\"relay\"}")), AK_E_INVALID, NULL},
        {"{\"metadata\":{\"uid\":\"u\"}}", -EAGAIN, NULL},
        {"{}", AK_E_NOT_FOUND, NULL},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++) {
        AK_AUTO_JSON *pod = parse(table[i].pod);
        AK_AUTO_PTR(ak_error) err = NULL;
        char url[128] = "";
        assert_int_equal(ak_trust_address(pod, "u", url, sizeof(url), &err), table[i].r);
        if (table[i].url)
            assert_string_equal(url, table[i].url);
    }
}

#define EXTRA "authentication.kubernetes.io/pod-uid"
#define REVIEW(authenticated, audiences, name, uids)                                               \
    "{\"status\":{\"authenticated\":" authenticated ",\"audiences\":" audiences                    \
    ",\"user\":{\"username\":\"" name "\",\"extra\":{\"" EXTRA "\":" uids "}}}}"
#define OURS "[\"agentkube\"]"
#define NAME "system:serviceaccount:n:default"

static void test_a_token_is_believed_for_its_own_pod_namespace_and_audience_only(void **state)
{
    static const struct {
        const char *review;
        bool good;
    } table[] = {
        {REVIEW("true", OURS, NAME, "[\"u\"]"), true},
        {REVIEW("true", "[\"other\", \"agentkube\"]", NAME, "[\"u\"]"), true},
        {REVIEW("false", OURS, NAME, "[\"u\"]"), false},
        {REVIEW("\"true\"", OURS, NAME, "[\"u\"]"), false},
        {REVIEW("true", "[]", NAME, "[\"u\"]"), false},
        {REVIEW("true", "[\"https://kubernetes.default.svc\"]", NAME, "[\"u\"]"), false},
        {REVIEW("true", "null", NAME, "[\"u\"]"), false},
        {REVIEW("true", OURS, NAME, "[\"v\"]"), false},
        {REVIEW("true", OURS, NAME, "[]"), false},
        {REVIEW("true", OURS, NAME, "[\"v\", \"u\"]"), false},
        {REVIEW("true", OURS, NAME, "\"u\""), false},
        {REVIEW("true", OURS, "system:serviceaccount:nn:default", "[\"u\"]"), false},
        {REVIEW("true", OURS, "system:serviceaccount:n", "[\"u\"]"), false},
        {REVIEW("true", OURS, "alice", "[\"u\"]"), false},
        {"{\"status\":{\"authenticated\":true,\"audiences\":" OURS ",\"user\":{}}}", false},
        {"{\"status\":null}", false},
        {"{}", false},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++) {
        AK_AUTO_JSON *review = parse(table[i].review);
        AK_AUTO_PTR(ak_error) err = NULL;
        int r = ak_trust_judge(review, "n", "u", &err);
        assert_int_equal(r, table[i].good ? 0 : AK_E_FORBIDDEN);
    }
}

static void test_a_pin_is_a_digest_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } table[] = {
        {"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true},
        {"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;sha256//B", false},
        {"sha256//AAAA", false},
        {"/etc/passwd", false}, /* libcurl would take it for a file */
        {"sha256//AAAAAAAAAAAAAAAAAAAA;AAAAAAAAAAAAAAAAAAAAAA=", false},
        {"", false},
        {NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++)
        assert_int_equal(ak_trust_is_pin(table[i].text), table[i].good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_address_of_a_keeper_is_in_its_pod),
        cmocka_unit_test(test_a_token_is_believed_for_its_own_pod_namespace_and_audience_only),
        cmocka_unit_test(test_a_pin_is_a_digest_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
