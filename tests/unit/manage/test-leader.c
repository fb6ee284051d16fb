/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates against one Lease, which a small server on loopback keeps as an apiserver does: with a
 * resourceVersion that a PUT must name. The server can be told to be silent, to fail, and to change hands. */
/* cmocka wants these before it, in this order. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/kube/config.h>
#include <ak/manage/leader.h>
#include <ak/net/http_server.h>

/* Short times, long enough for a slow machine. */
#define LEASE 3000
#define DEADLINE 1500
#define PERIOD 100

struct server {
    struct ak_loop *loop;
    struct ak_http_server *http;
    struct ak_thread thread;
    struct ak_kube_config *config;
    char path[64];
    struct ak_mutex lock; /* guards what follows */
    json_t *lease;
    int version;
    int fail_with; /* HTTP status for everything; 0: works */
    int writes;
};

static void reply(struct ak_http_exchange *ex, int status, const json_t *tree, const char *reason)
{
    AK_AUTO_JSON *failure =
        json_pack("{s:s, s:s, s:i}", "kind", "Status", "reason", reason, "code", status);
    char *text = json_dumps(tree ? tree : failure, JSON_COMPACT);

    ak_http_reply_text(ex, status, "application/json", text, strlen(text), NULL);
    ak_free(text);
}

static void accept_write(struct server *s, struct ak_http_exchange *ex, json_t *tree)
{
    char version[16];

    (void)snprintf(version, sizeof(version), "%d", ++s->version);
    json_object_set_new(json_object_get(tree, "metadata"), "resourceVersion", json_string(version));
    json_decref(s->lease);
    s->lease = json_incref(tree);
    s->writes++;
    reply(ex, 200, tree, "");
}

static void on_request(struct ak_http_exchange *ex, void *user)
{
    struct server *s = user;
    const char *method = ak_http_method(ex);
    AK_AUTO_JSON *body = NULL;
    size_t len;
    const char *text = ak_http_body(ex, &len);

    if (len)
        assert_int_equal(ak_json_parse(text, len, &body, NULL), 0);
    ak_mutex_lock(&s->lock);
    if (s->fail_with)
        reply(ex, s->fail_with, NULL, "InternalError");
    else if (ak_streq(method, "POST"))
        s->lease ? reply(ex, 409, NULL, "AlreadyExists") : accept_write(s, ex, body);
    else if (!s->lease)
        reply(ex, 404, NULL, "NotFound");
    else if (ak_streq(method, "GET"))
        reply(ex, 200, s->lease, "");
    else if (!ak_streq(ak_json_text(body, "metadata", "resourceVersion", NULL),
                       ak_json_text(s->lease, "metadata", "resourceVersion", NULL)))
        reply(ex, 409, NULL, "Conflict");
    else
        accept_write(s, ex, body);
    ak_mutex_unlock(&s->lock);
}

static const struct ak_http_route routes[] = {{NULL, "/*", on_request}, {NULL, NULL, NULL}};

static void run_loop(void *user)
{
    (void)!ak_loop_run(user, NULL);
}

static int setup(void **state)
{
    static struct server server;
    struct ak_http_server_options o = {
        .bind_address = "127.0.0.1", .routes = routes, .user = &server};
    FILE *file;
    int fd;

    server = (struct server){.path = "/tmp/ak-test-leader-XXXXXX"};
    ak_mutex_init(&server.lock);
    assert_int_equal(ak_loop_new(&server.loop, NULL), 0);
    assert_int_equal(ak_http_server_new(server.loop, &o, &server.http, NULL), 0);
    assert_int_equal(ak_thread_start(&server.thread, "server", run_loop, server.loop), 0);
    fd = mkstemp(server.path);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    (void)fprintf(file,
                  "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                  "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:%d\"}}]\n"
                  "users: [{name: u, user: {}}]\n"
                  "contexts: [{name: c, context: {cluster: c, user: u}}]\n",
                  ak_http_server_port(server.http));
    (void)fclose(file);
    assert_int_equal(ak_kube_config_load(&(struct ak_kube_config_options){.paths = server.path},
                                         &server.config, NULL),
                     0);
    *state = &server;
    return 0;
}

static int teardown(void **state)
{
    struct server *s = *state;

    ak_loop_stop(s->loop);
    ak_thread_join(&s->thread);
    ak_http_server_free(s->http);
    ak_loop_free(s->loop);
    ak_kube_config_free(s->config);
    (void)unlink(s->path);
    json_decref(s->lease);
    ak_mutex_done(&s->lock);
    return 0;
}

/* A candidate, and what happened to it. */
struct candidate {
    struct ak_client *client;
    struct ak_leader *leader;
    atomic_int started, stopped;
};

static void on_started(void *user)
{
    struct candidate *c = user;

    atomic_fetch_add(&c->started, 1);
}

static void on_stopped(void *user)
{
    struct candidate *c = user;

    atomic_fetch_add(&c->stopped, 1);
}

static void candidate_start_at(struct candidate *c, struct server *s, const char *identity,
                               const char *address)
{
    struct ak_leader_options o = {
        .namespace_ = "ns",
        .name = "lease",
        .identity = identity,
        .lease = LEASE,
        .renew_deadline = DEADLINE,
        .retry_period = PERIOD,
        .started = on_started,
        .stopped = on_stopped,
        .user = c,
        .address_annotation = "example.com/address",
        .address = address,
    };

    *c = (struct candidate){0};
    assert_int_equal(ak_client_new(s->config, &c->client, NULL), 0);
    assert_int_equal(ak_leader_new(c->client, &o, &c->leader, NULL), 0);
    assert_int_equal(ak_leader_start(c->leader, NULL), 0);
}

static void candidate_start(struct candidate *c, struct server *s, const char *identity)
{
    candidate_start_at(c, s, identity, NULL);
}

static void candidate_done(struct candidate *c)
{
    ak_leader_free(c->leader);
    ak_client_free(c->client);
}

static void pause_ms(int ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void wait_for(atomic_int *what, int value)
{
    while (atomic_load(what) < value)
        pause_ms(5);
}

static void read_holder(struct server *s, char *buf, size_t size)
{
    const char *holder;

    ak_mutex_lock(&s->lock);
    holder = ak_json_text(s->lease, "spec", "holderIdentity", NULL);
    (void)snprintf(buf, size, "%s", holder ? holder : "-");
    ak_mutex_unlock(&s->lock);
}

static void test_one_leads_and_the_next_takes_over_when_it_gives_the_lease_back(void **state)
{
    struct server *s = *state;
    struct candidate a, b;
    char holder[64];
    ak_msec begin;

    candidate_start(&a, s, "a");
    wait_for(&a.started, 1);
    assert_true(ak_leader_is_leading(a.leader));
    candidate_start(&b, s, "b");
    pause_ms(4 * PERIOD); /* it may try as often as it likes */
    assert_int_equal(b.started, 0);
    assert_false(ak_leader_is_leading(b.leader));
    begin = ak_now();
    ak_leader_stop(a.leader);
    assert_int_equal(a.stopped, 1);
    assert_false(ak_leader_is_leading(a.leader));
    wait_for(&b.started, 1);
    assert_true(ak_now() - begin < LEASE); /* it was given back, not left to run out */
    read_holder(s, holder, sizeof(holder));
    assert_string_equal(holder, "b");
    candidate_done(&a);
    candidate_done(&b);
    read_holder(s, holder, sizeof(holder));
    assert_string_equal(holder, "");
}

static int read_writes(struct server *s)
{
    int writes;

    ak_mutex_lock(&s->lock);
    writes = s->writes;
    ak_mutex_unlock(&s->lock);
    return writes;
}

static void set_failure(struct server *s, int status)
{
    ak_mutex_lock(&s->lock);
    s->fail_with = status;
    ak_mutex_unlock(&s->lock);
}

static void test_an_outage_shorter_than_the_deadline_changes_nothing(void **state)
{
    struct server *s = *state;
    struct candidate a;
    int writes;

    candidate_start(&a, s, "a");
    wait_for(&a.started, 1);
    set_failure(s, 500);
    pause_ms(DEADLINE / 3);
    set_failure(s, 0);
    writes = read_writes(s);
    while (read_writes(s) < writes + 2)
        pause_ms(5);
    assert_int_equal(a.stopped, 0);
    assert_true(ak_leader_is_leading(a.leader));
    candidate_done(&a);
}

static void test_an_outage_longer_than_the_deadline_ends_leadership_before_the_lease_does(
    void **state)
{
    struct server *s = *state;
    struct candidate a;
    ak_msec begin;

    candidate_start(&a, s, "a");
    wait_for(&a.started, 1);
    set_failure(s, 503);
    begin = ak_now();
    while (ak_leader_is_leading(a.leader))
        pause_ms(2);
    assert_true(ak_now() - begin < DEADLINE + PERIOD);
    wait_for(&a.stopped, 1);
    assert_true(ak_now() - begin < LEASE);
    set_failure(s, 0);
    candidate_done(&a);
}

static void test_another_name_in_the_lease_ends_leadership_at_once(void **state)
{
    struct server *s = *state;
    struct candidate a;
    char holder[64];
    ak_msec begin;

    candidate_start(&a, s, "a");
    wait_for(&a.started, 1);
    ak_mutex_lock(&s->lock);
    json_object_set_new(json_object_get(s->lease, "spec"), "holderIdentity", json_string("hand"));
    json_object_set_new(json_object_get(s->lease, "metadata"), "resourceVersion",
                        json_string("edited"));
    ak_mutex_unlock(&s->lock);
    begin = ak_now();
    wait_for(&a.stopped, 1);
    assert_true(ak_now() - begin < DEADLINE);
    assert_false(ak_leader_is_leading(a.leader));
    candidate_done(&a);
    read_holder(s, holder, sizeof(holder));
    assert_string_equal(holder, "hand"); /* it is not ours to give back */
}

static void test_a_lease_that_was_deleted_or_relabelled_is_kept(void **state)
{
    struct server *s = *state;
    struct candidate a;
    int writes;

    candidate_start(&a, s, "a");
    wait_for(&a.started, 1);
    ak_mutex_lock(&s->lock);
    json_decref(s->lease);
    s->lease = NULL;
    writes = s->writes;
    ak_mutex_unlock(&s->lock);
    while (read_writes(s) < writes + 2)
        pause_ms(5);
    ak_mutex_lock(&s->lock);
    json_object_set_new(json_object_get(s->lease, "metadata"), "resourceVersion",
                        json_string("edited"));
    json_object_set_new(json_object_get(s->lease, "metadata"), "labels",
                        json_pack("{s:s}", "team", "x"));
    writes = s->writes;
    ak_mutex_unlock(&s->lock);
    while (read_writes(s) < writes + 2)
        pause_ms(5);
    ak_mutex_lock(&s->lock);
    assert_string_equal(ak_json_text(s->lease, "metadata", "labels", "team", NULL), "x");
    ak_mutex_unlock(&s->lock);
    assert_int_equal(a.stopped, 0);
    candidate_done(&a);
}

static void test_a_holder_that_died_is_followed_after_its_lease(void **state)
{
    struct server *s = *state;
    struct candidate b;
    ak_msec begin = ak_now();

    s->lease = json_pack("{s:{s:s, s:s}, s:{s:s, s:s, s:i}}", "metadata", "name", "lease",
                         "resourceVersion", "1", "spec", "holderIdentity", "dead", "renewTime",
                         "2001-01-01T00:00:00.000000Z", "leaseDurationSeconds", 1);
    candidate_start(&b, s, "b");
    wait_for(&b.started, 1);
    assert_true(ak_now() - begin >= 1000); /* however old its times look */
    candidate_done(&b);
}

static void wait_for_address(struct candidate *c, const char *wanted)
{
    char address[AK_LEADER_ADDRESS_SIZE];

    while (ak_leader_find_address(c->leader, address) != (wanted[0] != 0) ||
           !ak_streq(address, wanted))
        pause_ms(5);
}

static void test_everybody_learns_where_the_leader_is_reached(void **state)
{
    struct server *s = *state;
    struct candidate a, b;

    candidate_start_at(&a, s, "a", "10.0.0.1:8082");
    wait_for(&a.started, 1);
    candidate_start(&b, s, "b");
    wait_for_address(&a, "10.0.0.1:8082");
    wait_for_address(&b, "10.0.0.1:8082");
    ak_leader_stop(a.leader);
    wait_for(&b.started, 1);
    wait_for_address(&b, ""); /* it says nothing, and nothing of the one before it stays */
    ak_mutex_lock(&s->lock);
    assert_null(ak_json_text(s->lease, "metadata", "annotations", "example.com/address", NULL));
    ak_mutex_unlock(&s->lock);
    candidate_done(&a);
    candidate_start_at(&a, s, "a", "[::1]:1");
    candidate_done(&b);
    wait_for_address(&a, "[::1]:1");
    candidate_done(&a);
}

static void test_options_that_cannot_work_are_refused(void **state)
{
    static const struct ak_leader_options cases[] = {
        {.namespace_ = "", .name = "l", .identity = "i"},
        {.namespace_ = "n", .name = NULL, .identity = "i"},
        {.namespace_ = "n", .name = "l", .identity = ""},
        {.namespace_ = "n", .name = "l", .identity = "i", .lease = 5000, .renew_deadline = 5000},
        {.namespace_ = "n", .name = "l", .identity = "i", .retry_period = 20000},
    };
    (void)state;

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_leader *leader = NULL;
        assert_int_equal(ak_leader_new(NULL, &cases[i], &leader, NULL), -EINVAL);
        assert_null(leader);
    }
}

#define WITH_SERVER(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_one_leads_and_the_next_takes_over_when_it_gives_the_lease_back),
        WITH_SERVER(test_an_outage_shorter_than_the_deadline_changes_nothing),
        WITH_SERVER(test_an_outage_longer_than_the_deadline_ends_leadership_before_the_lease_does),
        WITH_SERVER(test_another_name_in_the_lease_ends_leadership_at_once),
        WITH_SERVER(test_a_lease_that_was_deleted_or_relabelled_is_kept),
        WITH_SERVER(test_a_holder_that_died_is_followed_after_its_lease),
        WITH_SERVER(test_everybody_learns_where_the_leader_is_reached),
        cmocka_unit_test(test_options_that_cannot_work_are_refused),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
