/* SPDX-License-Identifier: Apache-2.0 */
/* The webhook's server over real TLS: quick and slow handlers, limits, deadlines, new certificates, the end. */
#include <ak/manage/webhook.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <ak/net/http_client.h>

#include "rig.h"

static const char *const names[] = {"127.0.0.1", "hooks.test", NULL};
static const struct ak_certs_options cert_options = {.names = names};

struct hook {
    struct rig_loop loop;
    struct ak_webhook *webhook;
    struct ak_certs *certs;
    struct ak_http_client *client;
    struct ak_cancel release; /* lets slow handlers go on */
    atomic_int slow_began;
};

static int quick(const struct ak_review *review, struct ak_review_answer *answer, void *user,
                 struct ak_error **reterr)
{
    (void)user;
    if (ak_streq(review->name, "fail"))
        return ak_error_set(reterr, -EIO, "it broke");
    if (ak_streq(review->name, "warn"))
        return ak_review_warn(answer, "mind the %s", "gap");
    if (ak_streq(review->name, "deny"))
        return ak_review_deny(answer, 403, "Forbidden", "user \"%s\" may not", review->user->name);
    return ak_has_prefix(review->name, "slow") ? AK_REVIEW_LATER : 0;
}

static int slow(const struct ak_review *review, struct ak_review_answer *answer, void *user,
                struct ak_error **reterr)
{
    struct hook *self = user;

    (void)reterr;
    atomic_fetch_add(&self->slow_began, 1);
    if (ak_streq(review->name, "slow-wait"))
        (void)ak_cancel_sleep(&self->release, AK_SECONDS(20));
    return ak_review_deny(answer, 403, "Forbidden", "after a while");
}

static const struct ak_webhook_handler handlers[] = {
    {.path = "/hook", .quick = quick, .slow = slow}};

static void connect_client(struct hook *self)
{
    char url[64];
    struct ak_error *err = NULL;

    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", ak_webhook_port(self->webhook));
    const struct ak_http_target target = {.base_url = url, .ca_pem = ak_certs_bundle(self->certs)};
    (void)ak_http_client_free(self->client);
    if (ak_http_client_new(&target, &self->client, &err) < 0)
        fail_msg("%s", ak_error_message(err));
}

static void hook_start(struct hook *self, ak_msec deadline, int workers)
{
    const struct ak_webhook_options options = {.bind_address = "127.0.0.1",
                                               .handlers = handlers,
                                               .n_handlers = 1,
                                               .user = self,
                                               .workers = workers,
                                               .deadline = deadline};
    struct ak_error *err = NULL;

    assert_int_equal(ak_cancel_init(&self->release), 0);
    rig_loop_start(&self->loop);
    if (ak_webhook_new(self->loop.loop, &options, &self->webhook, &err) < 0 ||
        ak_certs_issue(&cert_options, NULL, ak_clock_system(), &self->certs, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    assert_int_equal(ak_webhook_port(self->webhook), 0);
    if (ak_webhook_use_certs(self->webhook, self->certs, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    connect_client(self);
}

static void hook_end(struct hook *self)
{
    ak_cancel_now(&self->release);
    (void)ak_http_client_free(self->client);
    (void)ak_webhook_free(self->webhook);
    rig_loop_end(&self->loop);
    ak_certs_free(self->certs);
    ak_cancel_done(&self->release);
}

/* The HTTP status; the body goes to `said`. Negative: no answer. */
static int post(struct hook *self, const char *type, const char *body, size_t len, char *said,
                size_t size)
{
    AK_AUTO(ak_http_reply) reply = {.body = AK_BUF_INIT(1u << 20)};
    const struct ak_http_request request = {
        .method = "POST", .path = "/hook", .content_type = type, .body = body, .body_len = len};
    int r = ak_http_do(self->client, &request, &reply, NULL);

    if (said)
        (void)snprintf(said, size, "%s", ak_buf_text(&reply.body));
    return r < 0 ? r : reply.status;
}

static int ask(struct hook *self, const char *name, char *said, size_t size)
{
    char body[512];
    int len = snprintf(body, sizeof(body),
                       "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                       "\"request\":{\"uid\":\"42\",\"operation\":\"CREATE\",\"name\":\"%s\","
                       "\"userInfo\":{\"username\":\"bob\"}}}",
                       name);

    return post(self, "application/json", body, (size_t)len, said, size);
}

static void test_reviews_are_answered_by_name(void **state)
{
    static const struct {
        const char *name;
        int status;
        const char *words;
    } cases[] = {
        {"fine", 200, "\"response\":{\"uid\":\"42\",\"allowed\":true}}"},
        {"deny", 200,
         "\"allowed\":false,\"status\":{\"status\":\"Failure\",\"code\":403,\"reason\":"
         "\"Forbidden\",\"message\":\"user \\\"bob\\\" may not\"}"},
        {"warn", 200, "\"allowed\":true,\"warnings\":[\"mind the gap\"]"},
        {"slow", 200, "\"message\":\"after a while\""},
        {"fail", 500, "the review failed"},
    };
    struct hook hook = {0};
    char said[2048];

    (void)state;
    hook_start(&hook, 0, 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        assert_int_equal(ask(&hook, cases[i].name, said, sizeof(said)), cases[i].status);
        if (!strstr(said, cases[i].words))
            fail_msg("%s: %s", cases[i].name, said);
    }
    hook_end(&hook);
}

/* Every body is decoded whole and pruned, with the same result. */
static void test_what_is_skipped_is_not_parsed_and_the_rest_is_untouched(void **state)
{
    static const char *const skip[] = {"object.metadata.managedFields", "options", "oldObject",
                                       "object.status", NULL};
    static const struct {
        const char *request, *object; /* with ' for "; the object that is left */
    } cases[] = {
        {"'object': {'a': 1}", "{'a': 1}"},
        {"'object': {'metadata': {'managedFields': [{'x': '}]'}], 'name': 'n'}, 'spec': {'status': "
         "1}}",
         "{'metadata': {'name': 'n'}, 'spec': {'status': 1}}"},
        {"'object': {'metadata': {'name': 'n', 'managedFields': []}}",
         "{'metadata': {'name': 'n'}}"},
        {"'object': {'metadata': {'managedFields': null}}", "{'metadata': {}}"},
        {"'object': {'status': {'s': '\\\\'}, 'b': [1, {'status': 2}]}",
         "{'b': [1, {'status': 2}]}"},
        {"'options': {}, 'object' : { } , 'oldObject':{'a':[]}", "{}"},
        {"'object': {'metadata.managedFields': 1, 'metadata': [{'managedFields': 1}]}",
         "{'metadata.managedFields': 1, 'metadata': [{'managedFields': 1}]}"},
        {"'object': {'status\\u0020': 1}", "{'status ': 1}"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_JSON *tree = NULL;
        AK_AUTO_JSON *wanted = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_review review;
        const char *version;
        char body[1024], object[512];
        (void)snprintf(body, sizeof(body),
                       "{'kind': 'AdmissionReview', 'request': {'uid': 'u', %s, 'operation': "
                       "'CREATE'}, 'apiVersion': 'admission.k8s.io/v1', 'options': {}}",
                       cases[i].request);
        (void)snprintf(object, sizeof(object), "%s", cases[i].object);
        for (char *p = body; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        for (char *p = object; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        ak_arena_init(&arena, 256, 0);
        if (ak_review_decode(body, strlen(body), skip, &arena, &review, &version, &tree, &err) < 0)
            fail_msg("%s: %s", body, ak_error_message(err));
        assert_int_equal(ak_json_parse(object, strlen(object), &wanted, NULL), 0);
        if (!json_equal(review.object, wanted))
            fail_msg("%s", body);
        assert_null(review.options);
        assert_null(review.old_object);
    }
}

static void test_requests_that_are_no_reviews_are_refused(void **state)
{
    struct hook hook = {0};
    char said[512];
    size_t large = AK_WEBHOOK_MAX_BODY + 1;
    AK_AUTO_TEXT char *body = ak_malloc(large);

    (void)state;
    hook_start(&hook, 0, 0);
    assert_int_equal(post(&hook, "text/plain", "{}", 2, said, sizeof(said)), 415);
    assert_int_equal(post(&hook, "application/json; charset=utf-8", "{}", 2, said, sizeof(said)),
                     400);
    assert_non_null(strstr(said, "is not an AdmissionReview of admission.k8s.io/v1"));
    memset(body, ' ', large);
    int r = post(&hook, "application/json", body, large, NULL, 0);
    assert_true(r == 413 || r < 0); /* told, or cut off while it was still sending */
    assert_int_equal(ask(&hook, "fine", said, sizeof(said)), 200);
    hook_end(&hook);
}

static void test_a_review_that_takes_too_long_fails_in_time_and_others_go_on(void **state)
{
    struct hook hook = {0};
    char said[512];

    (void)state;
    hook_start(&hook, 200, 1);
    assert_int_equal(ask(&hook, "slow-wait", said, sizeof(said)), 504);
    assert_int_equal(ask(&hook, "fine", said, sizeof(said)), 200);
    assert_int_equal(ask(&hook, "slow", said, sizeof(said)), 504); /* the one worker is busy */
    ak_cancel_now(&hook.release);
    hook_end(&hook);
}

struct asker {
    struct hook hook; /* with a client of its own */
    struct ak_thread thread;
    int status;
};

static void ask_slowly(void *user)
{
    struct asker *self = user;
    char said[512];

    self->status = ask(&self->hook, "slow-wait", said, sizeof(said));
}

static void test_the_end_lets_what_is_under_way_finish(void **state)
{
    struct hook hook = {0};
    struct asker askers[3];
    struct ak_cancel never = {.fd = -1};

    (void)state;
    hook_start(&hook, 0, 3);
    for (size_t i = 0; i < AK_ARRAY_LEN(askers); i++) {
        askers[i] = (struct asker){.hook = {.webhook = hook.webhook, .certs = hook.certs}};
        connect_client(&askers[i].hook);
        assert_int_equal(ak_thread_start(&askers[i].thread, "asker", ask_slowly, &askers[i]), 0);
    }
    while (atomic_load(&hook.slow_began) < (int)AK_ARRAY_LEN(askers))
        (void)ak_cancel_sleep(&never, 1);
    ak_cancel_now(&hook.release);
    ak_webhook_stop(hook.webhook);
    for (size_t i = 0; i < AK_ARRAY_LEN(askers); i++) {
        ak_thread_join(&askers[i].thread);
        assert_int_equal(askers[i].status, 200);
        (void)ak_http_client_free(askers[i].hook.client);
    }
    hook_end(&hook);
}

static void test_new_certificates_are_shown_without_a_pause(void **state)
{
    struct hook hook = {0};
    char said[512];
    struct ak_certs *next = NULL;

    (void)state;
    hook_start(&hook, 0, 0);
    uint16_t port = ak_webhook_port(hook.webhook);
    assert_int_equal(ask(&hook, "fine", said, sizeof(said)), 200);
    assert_int_equal(ak_certs_issue(&cert_options, NULL, ak_clock_system(), &next, NULL), 0);
    assert_int_equal(ak_webhook_use_certs(hook.webhook, next, NULL), 0);
    assert_int_equal(ak_webhook_port(hook.webhook), port);
    assert_int_equal(ask(&hook, "fine", said, sizeof(said)), 200); /* the connection of before */
    connect_client(&hook);                                         /* trusts the old authority */
    assert_true(ask(&hook, "fine", said, sizeof(said)) < 0);
    ak_certs_free(hook.certs);
    hook.certs = next;
    connect_client(&hook);
    assert_int_equal(ask(&hook, "fine", said, sizeof(said)), 200);
    hook_end(&hook);
}

static void test_a_port_that_is_taken_is_an_error_and_can_be_tried_again(void **state)
{
    struct hook hook = {0}, other = {0};
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    hook_start(&hook, 0, 0);
    const struct ak_webhook_options options = {.bind_address = "127.0.0.1",
                                               .port = ak_webhook_port(hook.webhook),
                                               .handlers = handlers,
                                               .n_handlers = 1,
                                               .user = &other};
    assert_int_equal(ak_webhook_new(hook.loop.loop, &options, &other.webhook, NULL), 0);
    assert_int_equal(ak_webhook_use_certs(other.webhook, hook.certs, &err), -EADDRINUSE);
    ak_webhook_stop(hook.webhook);
    assert_int_equal(ak_webhook_use_certs(other.webhook, hook.certs, NULL), 0);
    (void)ak_webhook_free(other.webhook);
    hook_end(&hook);
}

static void test_metrics_tell_outcomes_apart(void **state)
{
    struct hook hook = {0};
    char said[512];
    struct ak_metrics m = AK_METRICS_INIT;

    (void)state;
    hook_start(&hook, 0, 0);
    assert_int_equal(ask(&hook, "fine", said, sizeof(said)), 200);
    assert_int_equal(ask(&hook, "deny", said, sizeof(said)), 200);
    assert_int_equal(ask(&hook, "slow", said, sizeof(said)), 200);
    assert_int_equal(ask(&hook, "fail", said, sizeof(said)), 500);
    ak_webhook_metrics(hook.webhook, &m);
    assert_int_equal(m.error, 0);
    const char *text = ak_buf_text(&m.out);
    static const char *const lines[] = {
        "agentkube_webhook_reviews_total{webhook=\"/hook\",outcome=\"allowed\"} 1\n",
        "agentkube_webhook_reviews_total{webhook=\"/hook\",outcome=\"denied\"} 2\n",
        "agentkube_webhook_reviews_total{webhook=\"/hook\",outcome=\"failed\"} 1\n",
        "controller_runtime_webhook_latency_seconds_count{webhook=\"/hook\"} 4\n",
        "agentkube_webhook_running 0\n",
    };
    for (size_t i = 0; i < AK_ARRAY_LEN(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("%s is not in\n%s", lines[i], text);
    ak_buf_done(&m.out);
    hook_end(&hook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reviews_are_answered_by_name),
        cmocka_unit_test(test_what_is_skipped_is_not_parsed_and_the_rest_is_untouched),
        cmocka_unit_test(test_requests_that_are_no_reviews_are_refused),
        cmocka_unit_test(test_a_review_that_takes_too_long_fails_in_time_and_others_go_on),
        cmocka_unit_test(test_the_end_lets_what_is_under_way_finish),
        cmocka_unit_test(test_new_certificates_are_shown_without_a_pause),
        cmocka_unit_test(test_a_port_that_is_taken_is_an_error_and_can_be_tried_again),
        cmocka_unit_test(test_metrics_tell_outcomes_apart),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
