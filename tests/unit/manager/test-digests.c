/* SPDX-License-Identifier: Apache-2.0 */
/* The API server is a function here: the linker puts it in the place of ak_client_call_raw(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "manager/digests.h"
#include "manager/kinds.h"

static struct {
    int calls;
    int code;         /* what a call returns */
    const char *body; /* JSON of the object */
    char path[256];
    ak_msec now;
} server;

int __wrap_ak_client_call_raw(struct ak_client *self, const struct ak_call *call,
                              struct ak_buf *ret_body, struct ak_error **reterr);
int __wrap_ak_client_call_raw(struct ak_client *self, const struct ak_call *call,
                              struct ak_buf *ret_body, struct ak_error **reterr)
{
    (void)self;
    assert_string_equal(call->method, "GET");
    assert_true(ret_body->wipe); /* what comes back is overwritten */
    server.calls++;
    snprintf(server.path, sizeof(server.path), "%s", call->path);
    if (server.code < 0)
        return ak_error_set(reterr, server.code, "the server says no");
    return ak_buf_adds(ret_body, server.body) < 0 ? ak_error_oom(reterr) : 0;
}

static ak_msec fake_now(void *user)
{
    (void)user;
    return server.now;
}
static const struct ak_clock fake_clock = {.monotonic = fake_now, .wall = fake_now};

#define SECRET(uid, value)                                                                         \
    "{\"metadata\": {\"uid\": \"" uid "\"}, \"data\": {\"token\": \"" value                        \
    "\", \"user\": \"YQ==\"}}"
#define CONFIG(version, value)                                                                     \
    "{\"metadata\": {\"uid\": \"c\", \"resourceVersion\": \"" version                              \
    "\"}, \"data\": {\"k\": \"" value "\"}, \"binaryData\": {\"b\": \"AA==\"}}"

static struct ak_digests *begin(const char *body)
{
    struct ak_digests *self = NULL;
    memset(&server, 0, sizeof(server));
    server.now = AK_HOURS(1);
    server.body = body;
    assert_int_equal(ak_digests_new(NULL, &fake_clock, &self, NULL), 0);
    return self;
}

static struct ak_digest read_secret(struct ak_digests *self, const char *name, const char *key)
{
    const struct ak_digest_query q = {
        .resource = &ak_secret_resource, .namespace_ = "team", .name = name, .key = key};
    struct ak_digest d = {0};
    assert_int_equal(ak_digests_read(self, &q, &d, NULL), 0);
    return d;
}

static void test_a_secret_is_read_by_name_and_remembered(void **state)
{
    (void)state;
    AK_AUTO_PTR(ak_digests) self = begin(SECRET("u", "c2VjcmV0"));
    struct ak_digest first = read_secret(self, "s", "token");
    assert_string_equal(server.path, "/api/v1/namespaces/team/secrets/s");
    assert_true(first.found && first.key_found);
    assert_int_equal(strspn(first.hex, "0123456789abcdef"), 32);
    server.body = SECRET("u", "b3RoZXI=");
    assert_string_equal(read_secret(self, "s", "token").hex, first.hex);
    assert_int_equal(server.calls, 1);
    server.now += ak_digests_ttl(self, false);
    assert_string_not_equal(read_secret(self, "s", "token").hex, first.hex);
    assert_int_equal(server.calls, 2);
}

static void test_the_same_value_in_two_secrets_has_two_digests(void **state)
{
    (void)state;
    AK_AUTO_PTR(ak_digests) self = begin(SECRET("u1", "c2VjcmV0"));
    struct ak_digest one = read_secret(self, "one", "token");
    server.body = SECRET("u2", "c2VjcmV0");
    assert_string_not_equal(read_secret(self, "two", "token").hex, one.hex);
}

static void test_all_keys_together_have_a_digest_too(void **state)
{
    (void)state;
    AK_AUTO_PTR(ak_digests) self = begin(SECRET("u", "c2VjcmV0"));
    struct ak_digest all = read_secret(self, "s", NULL);
    assert_true(all.key_found);
    assert_string_not_equal(all.hex, read_secret(self, "s", "token").hex);
    server.now += ak_digests_ttl(self, false);
    server.body = SECRET("u", "b3RoZXI=");
    assert_string_not_equal(read_secret(self, "s", NULL).hex, all.hex);
}

static void test_what_is_missing_is_looked_for_more_often(void **state)
{
    (void)state;
    AK_AUTO_PTR(ak_digests) self = begin(SECRET("u", "c2VjcmV0"));
    assert_true(ak_digests_ttl(self, true) < ak_digests_ttl(self, false));
    server.code = AK_E_NOT_FOUND;
    struct ak_digest d = read_secret(self, "s", "token");
    assert_false(d.found || d.key_found);
    server.code = 0;
    assert_false(read_secret(self, "s", "token").found); /* remembered for a moment */
    server.now += ak_digests_ttl(self, true);
    d = read_secret(self, "s", "nothing");
    assert_true(d.found && !d.key_found);
    assert_string_equal(d.hex, "");
    int calls = server.calls;
    server.now += ak_digests_ttl(self, true);
    (void)read_secret(self, "s", "nothing"); /* a missing key counts as missing */
    assert_int_equal(server.calls, calls + 1);
    assert_true(read_secret(self, "s", "token").key_found);
    assert_int_equal(server.calls, calls + 1);
}

static void test_many_secrets_are_read_less_often(void **state)
{
    (void)state;
    AK_AUTO_PTR(ak_digests) self = begin(SECRET("u", "c2VjcmV0"));
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "s%d", i);
        (void)read_secret(self, name, "token");
    }
    assert_int_equal(ak_digests_ttl(self, false), AK_SECONDS(1000 / AK_DIGESTS_READS_PER_SECOND));
    /* Those that nobody asks for any more are forgotten, and no longer count. */
    server.now += AK_HOURS(10);
    (void)read_secret(self, "last", "token");
    assert_int_equal(ak_digests_ttl(self, false), AK_SECONDS(60));
}

static void test_a_configmap_is_read_again_when_its_version_changed(void **state)
{
    (void)state;
    AK_AUTO_PTR(ak_digests) self = begin(CONFIG("1", "text"));
    struct ak_digest_query q = {.resource = &ak_configmap_kind.resource,
                                .namespace_ = "team",
                                .name = "c",
                                .key = "k",
                                .resource_version = "1"};
    struct ak_digest first = {0}, d = {0};
    assert_int_equal(ak_digests_read(self, &q, &first, NULL), 0);
    server.now += AK_HOURS(1);
    server.body = CONFIG("2", "new text");
    assert_int_equal(ak_digests_read(self, &q, &d, NULL), 0);
    assert_string_equal(d.hex, first.hex);
    assert_int_equal(server.calls, 1);
    q.resource_version = "2";
    assert_int_equal(ak_digests_read(self, &q, &d, NULL), 0);
    assert_string_not_equal(d.hex, first.hex);
    q.key = "b";
    assert_int_equal(ak_digests_read(self, &q, &d, NULL), 0);
    assert_true(d.key_found);
    assert_int_equal(server.calls, 2);
}

static void test_a_failure_is_passed_on_and_not_remembered(void **state)
{
    (void)state;
    AK_AUTO_PTR(ak_digests) self = begin(SECRET("u", "c2VjcmV0"));
    const struct ak_digest_query q = {
        .resource = &ak_secret_resource, .namespace_ = "team", .name = "s", .key = "token"};
    struct ak_digest d = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    server.code = AK_E_FORBIDDEN;
    assert_int_equal(ak_digests_read(self, &q, &d, &err), AK_E_FORBIDDEN);
    assert_non_null(strstr(ak_error_message(err), "team/s"));
    server.code = 0;
    server.body = "{\"metadata\": nonsense";
    assert_true(ak_digests_read(self, &q, &d, NULL) < 0);
    server.body = SECRET("u", "c2VjcmV0");
    assert_true(read_secret(self, "s", "token").key_found);
}

static void test_any_failing_allocation_is_told(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        AK_AUTO_PTR(ak_digests) self = begin(SECRET("u", "c2VjcmV0"));
        const struct ak_digest_query q = {
            .resource = &ak_secret_resource, .namespace_ = "team", .name = "s", .key = "token"};
        struct ak_digest d = {0};
        ak_alloc_fail_after(n);
        int r = ak_digests_read(self, &q, &d, NULL);
        bool delivered = ak_alloc_fail_after(-1);
        if (r != (delivered ? -ENOMEM : 0))
            fail_msg("allocation %d: %d", (int)n, r);
        if (!delivered) {
            assert_true(n > 5);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_is_read_by_name_and_remembered),
        cmocka_unit_test(test_the_same_value_in_two_secrets_has_two_digests),
        cmocka_unit_test(test_all_keys_together_have_a_digest_too),
        cmocka_unit_test(test_what_is_missing_is_looked_for_more_often),
        cmocka_unit_test(test_many_secrets_are_read_less_often),
        cmocka_unit_test(test_a_configmap_is_read_again_when_its_version_changed),
        cmocka_unit_test(test_a_failure_is_passed_on_and_not_remembered),
        cmocka_unit_test(test_any_failing_allocation_is_told),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
