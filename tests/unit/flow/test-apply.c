/* SPDX-License-Identifier: Apache-2.0 */
/* Against a server on loopback that answers from a script and keeps a record of what it was asked. */
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
#include <unistd.h>

#include <ak/base/text.h>
#include <ak/flow/apply.h>
#include <ak/kube/config.h>
#include <ak/net/http_server.h>

static const struct ak_kind maps = {.resource = {"", "v1", "ConfigMap", "configmaps", true},
                                    .flags = AK_KIND_OWNED_HASH};

/* An object as the server has it: version, controller's uid ("" none), our applied data. */
#define LIVE(version, owner, value)                                                                \
    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"m\",\"namespace\":"    \
    "\"ns\","                                                                                      \
    "\"uid\":\"live-uid\",\"resourceVersion\":\"" version                                          \
    "\",\"ownerReferences\":[{\"apiVersion\":"                                                     \
    "\"v1\",\"kind\":\"Foo\",\"name\":\"" owner "\",\"uid\":\"" owner "\",\"controller\":true}],"  \
    "\"managedFields\":[{\"manager\":\"me\",\"operation\":\"Apply\",\"apiVersion\":\"v1\","        \
    "\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:data\":{\"f:k\":{}}}}]},\"data\":{\"k\":"       \
    "\"" value "\"}}"
#define FAILURE(reason) "{\"kind\":\"Status\",\"message\":\"no\",\"reason\":\"" reason "\"}"

struct answer {
    int status;
    const char *body;
};

struct server {
    struct ak_loop *loop;
    struct ak_http_server *http;
    struct ak_thread thread;
    struct ak_kube_config *config;
    struct ak_client *client;
    char path[64];
    struct ak_mutex lock; /* guards what follows */
    struct answer script[4];
    int asked;
    char record[512]; /* "GET PATCH+force ..." */
    char body[4096];  /* of the last request with one */
};

static void on_request(struct ak_http_exchange *ex, void *user)
{
    struct server *s = user;
    struct answer a;
    size_t len, at;
    const char *body = ak_http_body(ex, &len);

    ak_mutex_lock(&s->lock);
    a = s->script[s->asked++ % 4];
    at = strlen(s->record);
    (void)snprintf(s->record + at, sizeof(s->record) - at, "%s%s%s ", ak_http_method(ex),
                   strstr(ak_http_path(ex), "/status") ? "/status" : "",
                   strstr(ak_http_query(ex), "force=true") ? "+force" : "");
    if (len)
        (void)snprintf(s->body, sizeof(s->body), "%.*s", (int)len, body);
    ak_mutex_unlock(&s->lock);
    if (!a.status)
        a = (struct answer){200, LIVE("9", "owner", "v")};
    ak_http_reply_text(ex, a.status, "application/json", a.body, strlen(a.body), NULL);
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

    server = (struct server){.path = "/tmp/ak-test-apply-XXXXXX"};
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
    assert_int_equal(ak_client_new(server.config, &server.client, NULL), 0);
    *state = &server;
    return 0;
}

static int teardown(void **state)
{
    struct server *s = *state;

    ak_client_free(s->client);
    ak_loop_stop(s->loop);
    ak_thread_join(&s->thread);
    ak_http_server_free(s->http);
    ak_loop_free(s->loop);
    ak_kube_config_free(s->config);
    (void)unlink(s->path);
    ak_mutex_done(&s->lock);
    return 0;
}

static void set_script(struct server *s, struct answer first, struct answer second)
{
    ak_mutex_lock(&s->lock);
    memset(s->script, 0, sizeof(s->script));
    s->script[0] = first;
    s->script[1] = second;
    s->asked = 0;
    s->record[0] = s->body[0] = 0;
    ak_mutex_unlock(&s->lock);
}

static const struct ak_object *decode(const char *json)
{
    const struct ak_object *o = NULL;
    AK_AUTO_JSON *tree = NULL;

    assert_int_equal(ak_json_parse(json, strlen(json), &tree, NULL), 0);
    assert_int_equal(ak_object_decode(&maps, tree, "me", &o, NULL), 0);
    return o;
}

static json_t *desired(const char *value)
{
    return json_pack("{s:{s:s, s:s}, s:{s:s}}", "metadata", "name", "m", "namespace", "ns", "data",
                     "k", value);
}

struct apply_case {
    const char *comment;
    const char *live; /* what the cache shows; NULL: nothing */
    const char *value;
    uint32_t flags;
    struct answer first, second;
    int result;
    const char *record;
};

static const struct apply_case cases[] = {
    {"nothing would change", LIVE("1", "owner", "v"), "v", AK_APPLY_FORCE, .result = 0,
     .record = ""},
    {"it differs", LIVE("2", "owner", "old"), "v", AK_APPLY_FORCE, .result = 1,
     .record = "PATCH+force "},
    {"written a moment ago, the cache is behind", LIVE("2", "owner", "old"), "v", AK_APPLY_FORCE,
     .result = 0, .record = ""},
    {"something else is wanted by now", LIVE("2", "owner", "old"), "w", AK_APPLY_FORCE, .result = 1,
     .record = "PATCH+force "},
    {"somebody changed it after our write", LIVE("3", "owner", "drift"), "w", AK_APPLY_FORCE,
     .result = 1, .record = "PATCH+force "},
    {"it belongs to another", LIVE("1", "other", "old"), "v", AK_APPLY_FORCE,
     .result = AK_E_TERMINAL, .record = ""},
    {"new, the cache sees all", NULL, "v", AK_APPLY_FORCE, .result = 1, .record = "PATCH "},
    {"new, looked first",
     NULL,
     "v",
     AK_APPLY_FORCE | AK_APPLY_CHECK,
     {404, FAILURE("NotFound")},
     .result = 1,
     .record = "GET PATCH "},
    {"not new: ours and as wanted",
     NULL,
     "v",
     AK_APPLY_FORCE | AK_APPLY_CHECK,
     {200, LIVE("1", "owner", "v")},
     .result = 0,
     .record = "GET "},
    {"not new: ours, differs",
     NULL,
     "v",
     AK_APPLY_FORCE | AK_APPLY_CHECK,
     {200, LIVE("7", "owner", "old")},
     .result = 1,
     .record = "GET PATCH+force "},
    {"not new: another's",
     NULL,
     "v",
     AK_APPLY_FORCE | AK_APPLY_CHECK,
     {200, LIVE("1", "other", "v")},
     .result = AK_E_TERMINAL,
     .record = "GET "},
    {"appeared meanwhile, another's",
     NULL,
     "v",
     AK_APPLY_FORCE,
     {409, FAILURE("Conflict")},
     {200, LIVE("1", "other", "x")},
     AK_E_TERMINAL,
     "PATCH GET "},
    {"appeared meanwhile, a second controller is refused",
     NULL,
     "v",
     AK_APPLY_FORCE,
     {422, FAILURE("Invalid")},
     {200, LIVE("1", "other", "x")},
     AK_E_TERMINAL,
     "PATCH GET "},
    {"appeared meanwhile, ours",
     NULL,
     "v",
     AK_APPLY_FORCE,
     {409, FAILURE("Conflict")},
     {200, LIVE("1", "owner", "x")},
     AK_E_CONFLICT,
     "PATCH GET "},
    {"looking fails: nothing is written",
     NULL,
     "v",
     AK_APPLY_CHECK,
     {500, FAILURE("")},
     .result = AK_E_SERVER,
     .record = "GET "},
    {"throttled",
     LIVE("4", "owner", "old"),
     "v",
     0,
     {429, FAILURE("TooManyRequests")},
     .result = AK_E_THROTTLED,
     .record = "PATCH "},
    {"a failed write is not remembered as done", LIVE("4", "owner", "old"), "v", 0, .result = 1,
     .record = "PATCH "},
};

static void test_only_what_would_change_is_sent_and_only_to_what_is_ours(void **state)
{
    struct server *s = *state;
    const struct ak_apply apply = {.client = s->client, .manager = "me"};

    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        const struct apply_case *c = &cases[i];
        AK_AUTO_OBJECT live = c->live ? decode(c->live) : NULL;
        AK_AUTO_JSON *d = desired(c->value);
        AK_AUTO_PTR(ak_error) err = NULL;
        int r;
        set_script(s, c->first, c->second);
        r = ak_apply_object(&apply, &maps.resource, live, d, "owner", c->flags, &err);
        if (r != c->result || strcmp(s->record, c->record) != 0)
            fail_msg("%s: %d, asked \"%s\" (%s)", c->comment, r, s->record, ak_error_message(err));
        if (r == AK_E_TERMINAL && !strstr(ak_error_message(err), "belongs to Foo \"other\""))
            fail_msg("%s: %s", c->comment, ak_error_message(err));
        if (live && r == 1 && !strstr(s->body, "\"uid\":\"live-uid\""))
            fail_msg("%s: the uid is not in %s", c->comment, s->body);
    }
}

static bool no(void *user)
{
    (void)user;
    return false;
}

static void test_who_does_not_lead_sends_nothing(void **state)
{
    struct server *s = *state;
    const struct ak_apply apply = {.client = s->client, .manager = "me", .may_write = no};
    AK_AUTO_OBJECT live = decode(LIVE("1", "owner", "old"));
    AK_AUTO_JSON *d = desired("v");
    AK_AUTO_JSON *status = json_pack("{s:i}", "n", 1);

    set_script(s, (struct answer){0}, (struct answer){0});
    assert_int_equal(ak_apply_object(&apply, &maps.resource, live, d, NULL, 0, NULL),
                     AK_E_CANCELLED);
    assert_int_equal(ak_apply_object(&apply, &maps.resource, NULL, d, NULL, 0, NULL),
                     AK_E_CANCELLED);
    assert_int_equal(ak_apply_create(&apply, &maps.resource, d, NULL), AK_E_CANCELLED);
    assert_int_equal(ak_apply_delete(&apply, live, -1, NULL), AK_E_CANCELLED);
    assert_int_equal(ak_apply_status(&apply, live, status, NULL), AK_E_CANCELLED);
    assert_string_equal(s->record, "");
}

static void test_deleting_what_is_gone_or_replaced_is_no_error(void **state)
{
    static const struct {
        struct answer answer;
        int result;
    } deletions[] = {
        {{200, "{}"}, 1},
        {{404, FAILURE("NotFound")}, 0},
        {{409, FAILURE("Conflict")}, 0},
        {{403, FAILURE("Forbidden")}, AK_E_FORBIDDEN},
    };
    struct server *s = *state;
    const struct ak_apply apply = {.client = s->client, .manager = "me"};
    AK_AUTO_OBJECT live = decode(LIVE("1", "owner", "old"));

    for (size_t i = 0; i < AK_ARRAY_LEN(deletions); i++) {
        set_script(s, deletions[i].answer, (struct answer){0});
        assert_int_equal(ak_apply_delete(&apply, live, -1, NULL), deletions[i].result);
        assert_string_equal(s->record, "DELETE ");
        assert_non_null(strstr(s->body, "live-uid"));
    }
}

static void test_a_create_that_finds_the_name_taken_says_so(void **state)
{
    struct server *s = *state;
    const struct ak_apply apply = {.client = s->client, .manager = "me"};
    AK_AUTO_JSON *d = desired("v");

    set_script(s, (struct answer){201, "{}"}, (struct answer){409, FAILURE("AlreadyExists")});
    assert_int_equal(ak_apply_create(&apply, &maps.resource, d, NULL), 1);
    assert_int_equal(ak_apply_create(&apply, &maps.resource, d, NULL), AK_E_ALREADY_EXISTS);
    assert_string_equal(s->record, "POST POST ");
}

static void test_a_status_is_written_once(void **state)
{
    struct server *s = *state;
    const struct ak_apply apply = {.client = s->client, .manager = "me"};
    AK_AUTO_OBJECT live = decode(LIVE("50", "owner", "old"));
    AK_AUTO_JSON *one = json_pack("{s:i}", "n", 1);
    AK_AUTO_JSON *two = json_pack("{s:i}", "n", 2);

    set_script(s, (struct answer){0}, (struct answer){0});
    assert_int_equal(ak_apply_status(&apply, live, one, NULL), 1);
    assert_int_equal(ak_apply_status(&apply, live, one, NULL), 0);
    assert_int_equal(ak_apply_status(&apply, live, two, NULL), 1);
    assert_string_equal(s->record, "PATCH/status+force PATCH/status+force ");
}

#define WITH_SERVER(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_only_what_would_change_is_sent_and_only_to_what_is_ours),
        WITH_SERVER(test_who_does_not_lead_sends_nothing),
        WITH_SERVER(test_deleting_what_is_gone_or_replaced_is_no_error),
        WITH_SERVER(test_a_create_that_finds_the_name_taken_says_so),
        WITH_SERVER(test_a_status_is_written_once),
    };
    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
