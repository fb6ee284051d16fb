/* SPDX-License-Identifier: Apache-2.0 */
/* Our client against our server, plain and TLS, and each against a raw peer that misbehaves. */
#include <ak/net/http_client.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "rig.h"

/* --- handlers --- */

static void echo(struct ak_http_exchange *ex, void *user)
{
    AK_AUTO(ak_buf) text = {.max = 8u << 20};
    const char *auth = ak_http_header(ex, "authorization");
    const char *type = ak_http_header(ex, "content-type");
    const char *host = ak_http_header(ex, "host");
    const char *own = ak_http_header(ex, "x-own");
    size_t len;
    const char *body = ak_http_body(ex, &len);

    (void)user;
    assert_int_equal(
        ak_buf_addf(&text, "%s %s ?%s auth=%s type=%s own=%s host=%s body=", ak_http_method(ex),
                    ak_http_path(ex), ak_http_query(ex), auth ? auth : "", type ? type : "",
                    own ? own : "", ak_has_prefix(host, "127.0.0.1:") ? "ip" : host),
        0);
    assert_int_equal(ak_buf_add(&text, body, len), 0);
    ak_http_reply_text(ex, 200, "text/plain", ak_buf_text(&text), text.len, NULL);
}

static void peer(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_http_reply_text(ex, 200, "text/plain", ak_http_peer(ex), strlen(ak_http_peer(ex)), NULL);
}

static void busy(struct ak_http_exchange *ex, void *user)
{
    static const char *const extra[] = {"Retry-After: 7", NULL};

    (void)user;
    ak_http_reply_text(ex, 429, "application/json", "{}", 2, extra);
}

static void busy_until(struct ak_http_exchange *ex, void *user)
{
    static const char *const extra[] = {"Retry-After: Fri, 31 Dec 2999 23:59:59 GMT", NULL};

    (void)user;
    ak_http_reply_text(ex, 503, "text/plain", "", 0, extra);
}

static void chunks(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_http_reply_begin(ex, 200, "text/plain");
    assert_true(ak_http_reply_chunk(ex, "one ", 4) > 0);
    assert_true(ak_http_reply_chunk(ex, "", 0) >= 0);
    assert_true(ak_http_reply_chunk(ex, "two", 3) > 0);
    ak_http_reply_end(ex);
}

static void large(struct ak_http_exchange *ex, void *user)
{
    char *body = ak_calloc(1, 1u << 20);

    (void)user;
    memset(body, 'x', 1u << 20);
    ak_http_reply_text(ex, 200, "text/plain", body, 1u << 20, NULL);
    ak_free(body);
}

/* An answer that somebody else gives later, or never. */
static struct {
    struct ak_http_exchange *ex;
    struct ak_cancel arrived, closed;
} later;

static void later_closed(void *user)
{
    (void)user;
    ak_cancel_now(&later.closed);
}

static void answer_later(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    later.ex = ex;
    ak_http_on_close(ex, later_closed, NULL);
    ak_cancel_now(&later.arrived);
}

static void answer_never(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    later.ex = ex;
    ak_cancel_now(&later.arrived);
}

static void answer_now(void *user)
{
    (void)user;
    ak_http_reply_text(later.ex, 200, "text/plain", "late", 4, NULL);
}

static const struct ak_http_route routes[] = {
    {"GET", "/peer", peer},          {NULL, "/echo*", echo},
    {"GET", "/busy", busy},          {"GET", "/until", busy_until},
    {"GET", "/chunks", chunks},      {"GET", "/large", large},
    {"GET", "/later", answer_later}, {"GET", "/never", answer_never},
    {"PUT", "/put", echo},           {0},
};
static const struct ak_http_server_options plain = {.routes = routes};

static struct rig_pki pki;

static void later_init(void)
{
    assert_int_equal(ak_cancel_init(&later.arrived), 0);
    assert_int_equal(ak_cancel_init(&later.closed), 0);
}

static void later_done(void)
{
    ak_cancel_done(&later.arrived);
    ak_cancel_done(&later.closed);
}

static struct ak_http_client *client_for(const char *url)
{
    struct ak_http_target target = {.base_url = url, .max_reply = 4u << 20};
    struct ak_http_client *client = NULL;
    struct ak_error *err = NULL;

    if (ak_http_client_new(&target, &client, &err) < 0)
        fail_msg("%s", ak_error_message(err));
    return client;
}

static int get(struct ak_http_client *client, const char *path, struct ak_http_reply *reply,
               struct ak_error **err)
{
    struct ak_http_request req = {.method = "GET", .path = path, .timeout = AK_SECONDS(20)};

    return ak_http_do(client, &req, reply, err);
}

/* --- good manners --- */

static void a_request_arrives_as_it_was_meant(void **state)
{
    struct rig_server server = {0};
    AK_AUTO(ak_http_reply) reply = {0};
    AK_AUTO_PTR(ak_secret) token = ak_secret_new("t0k", 3);
    static const char *const headers[] = {"X-Own: mine", NULL};
    struct ak_http_request req = {
        .method = "PATCH",
        .path = "/echo/a%20b?x=1",
        .content_type = "application/apply-patch+yaml",
        .body = "{}",
        .body_len = 2,
        .bearer = token,
        .headers = headers,
    };

    (void)state;
    rig_server_start(&server, &plain);
    AK_AUTO_PTR(ak_http_client) client = client_for(server.url);
    assert_int_equal(ak_http_do(client, &req, &reply, NULL), 0);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.content_type, "text/plain");
    assert_string_equal(ak_buf_text(&reply.body),
                        "PATCH /echo/a%20b ?x=1 auth=Bearer t0k type=application/apply-patch+yaml "
                        "own=mine host=ip body={}");
    rig_server_end(&server);
}

static void every_method_and_a_body_without_a_type_work(void **state)
{
    static const struct {
        const char *method, *body, *want;
    } cases[] = {
        {"GET", NULL, "GET /echo ? auth= type= own= host=ip body="},
        {"POST", NULL, "POST /echo ? auth= type= own= host=ip body="},
        {"POST", "b", "POST /echo ? auth= type= own= host=ip body=b"},
        {"PUT", "b", "PUT /echo ? auth= type= own= host=ip body=b"},
        {"DELETE", NULL, "DELETE /echo ? auth= type= own= host=ip body="},
        {"DELETE", "{}", "DELETE /echo ? auth= type= own= host=ip body={}"},
        {"HEAD", NULL, ""},
    };
    struct rig_server server = {0};

    (void)state;
    rig_server_start(&server, &plain);
    AK_AUTO_PTR(ak_http_client) client = client_for(server.url);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_http_reply) reply = {0};
        struct ak_http_request req = {.method = cases[i].method,
                                      .path = "/echo",
                                      .body = cases[i].body,
                                      .body_len = cases[i].body ? strlen(cases[i].body) : 0};

        assert_int_equal(ak_http_do(client, &req, &reply, NULL), 0);
        assert_int_equal(reply.status, 200);
        assert_string_equal(ak_buf_text(&reply.body), cases[i].want);
    }
    rig_server_end(&server);
}

static void one_connection_serves_many_requests(void **state)
{
    struct rig_server server = {0};
    AK_AUTO(ak_http_reply) first = {0};

    (void)state;
    rig_server_start(&server, &plain);
    AK_AUTO_PTR(ak_http_client) client = client_for(server.url);
    assert_int_equal(get(client, "/peer", &first, NULL), 0);
    for (int i = 0; i < 20; i++) {
        AK_AUTO(ak_http_reply) reply = {0};

        assert_int_equal(get(client, "/peer", &reply, NULL), 0);
        assert_string_equal(ak_buf_text(&reply.body), ak_buf_text(&first.body));
    }
    rig_server_end(&server);
}

static void retry_after_is_read_in_both_forms(void **state)
{
    struct rig_server server = {0};
    AK_AUTO(ak_http_reply) seconds = {0};
    AK_AUTO(ak_http_reply) date = {0};

    (void)state;
    rig_server_start(&server, &plain);
    AK_AUTO_PTR(ak_http_client) client = client_for(server.url);
    assert_int_equal(get(client, "/busy", &seconds, NULL), 0);
    assert_int_equal(seconds.status, 429);
    assert_int_equal(seconds.retry_after, 7000);
    assert_int_equal(get(client, "/until", &date, NULL), 0);
    assert_int_equal(date.retry_after, AK_HOURS(1)); /* our limit */
    rig_server_end(&server);
}

static void routes_say_404_and_405(void **state)
{
    struct rig_server server = {0};
    AK_AUTO(ak_http_reply) missing = {0};
    AK_AUTO(ak_http_reply) method = {0};

    (void)state;
    rig_server_start(&server, &plain);
    AK_AUTO_PTR(ak_http_client) client = client_for(server.url);
    assert_int_equal(get(client, "/nowhere", &missing, NULL), 0);
    assert_int_equal(missing.status, 404);
    assert_int_equal(get(client, "/put", &method, NULL), 0);
    assert_int_equal(method.status, 405);
    rig_server_end(&server);
}

static void chunked_and_large_answers_arrive_whole(void **state)
{
    struct rig_server server = {0};
    AK_AUTO(ak_http_reply) chunked = {0};
    AK_AUTO(ak_http_reply) big = {0};

    (void)state;
    rig_server_start(&server, &plain);
    AK_AUTO_PTR(ak_http_client) client = client_for(server.url);
    assert_int_equal(get(client, "/chunks", &chunked, NULL), 0);
    assert_string_equal(ak_buf_text(&chunked.body), "one two");
    assert_int_equal(get(client, "/large", &big, NULL), 0);
    assert_int_equal(big.body.len, 1u << 20);
    rig_server_end(&server);
}

static void an_answer_over_the_limit_is_refused(void **state)
{
    struct rig_server server = {0};
    AK_AUTO(ak_http_reply) reply = {0};
    AK_AUTO_PTR(ak_http_client) client = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)state;
    rig_server_start(&server, &plain);
    struct ak_http_target target = {.base_url = server.url, .max_reply = 1000};
    assert_int_equal(ak_http_client_new(&target, &client, NULL), 0);
    assert_int_equal(get(client, "/large", &reply, &err), AK_E_TOO_LARGE);
    assert_non_null(strstr(ak_error_message(err), "1000 bytes"));
    assert_int_equal(get(client, "/chunks", &reply, NULL), 0); /* the client still works */
    rig_server_end(&server);
}

static void a_late_answer_from_the_loop_arrives(void **state)
{
    struct rig_server server = {0};
    int fd;
    char head[1024] = "";

    (void)state;
    later_init();
    rig_server_start(&server, &plain);
    fd = rig_connect(ak_http_server_port(server.server));
    rig_send(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /peer HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(ak_cancel_sleep(&later.arrived, AK_SECONDS(30)));
    rig_loop_call(&server.loop, answer_now, NULL);
    assert_true(rig_read_head(fd, head, sizeof(head)));
    assert_non_null(strstr(head, "Content-Length: 4"));
    assert_int_equal(recv(fd, head, 4, MSG_WAITALL), 4);
    assert_true(rig_read_head(fd, head, sizeof(head))); /* the second, which came early */
    (void)close(fd);
    rig_server_end(&server);
    later_done();
}

static void a_client_that_goes_away_is_told_to_the_handler(void **state)
{
    struct rig_server server = {0};
    int fd;

    (void)state;
    later_init();
    rig_server_start(&server, &plain);
    fd = rig_connect(ak_http_server_port(server.server));
    rig_send(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(ak_cancel_sleep(&later.arrived, AK_SECONDS(30)));
    (void)close(fd);
    assert_true(ak_cancel_sleep(&later.closed, AK_SECONDS(30)));
    rig_server_end(&server);
    later_done();
}

static void an_exchange_outlives_its_connection_and_its_server(void **state)
{
    struct rig_server server = {0};
    int fd;

    (void)state;
    later_init();
    rig_server_start(&server, &plain);
    fd = rig_connect(ak_http_server_port(server.server));
    rig_send(fd, "GET /never HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(ak_cancel_sleep(&later.arrived, AK_SECONDS(30)));
    rig_loop_stop(&server.loop);
    server.server = ak_http_server_free(server.server);
    assert_int_equal(ak_http_reply_chunk(later.ex, "x", 1), -EPIPE);
    answer_now(NULL); /* into the void, without a leak */
    server.loop.loop = ak_loop_free(server.loop.loop);
    (void)close(fd);
    later_done();
}

static void drain(void *user)
{
    struct rig_server *server = user;

    (void)ak_http_server_drain(server->server);
}

static void draining_closes_idle_connections_and_answers_the_others(void **state)
{
    struct rig_server server = {0};
    int idle, used;
    char text[1024] = "";

    (void)state;
    later_init();
    rig_server_start(&server, &plain);
    idle = rig_connect(ak_http_server_port(server.server));
    rig_send(idle, "GET /peer HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(rig_read_head(idle, text, sizeof(text)));
    used = rig_connect(ak_http_server_port(server.server));
    rig_send(used, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(ak_cancel_sleep(&later.arrived, AK_SECONDS(30)));
    rig_loop_call(&server.loop, drain, &server);
    while (recv(idle, text, sizeof(text), 0) > 0)
        ; /* its body, then the end */
    rig_loop_call(&server.loop, answer_now, NULL);
    assert_true(rig_read_head(used, text, sizeof(text)));
    assert_non_null(strstr(text, "Connection: close"));
    (void)close(idle);
    (void)close(used);
    rig_server_end(&server);
    later_done();
}

static void bad_requests_get_a_status_and_the_connection_ends(void **state)
{
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"NONSENSE\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 "},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 "},
        {"GET / HTTP/1.1\r\n", "HTTP/1.1 408 "}, /* and never the rest */
    };
    struct rig_server server = {0};
    struct ak_http_server_options options = plain;

    (void)state;
    options.idle_timeout = 200;
    rig_server_start(&server, &options);
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        char head[1024] = "";
        int fd = rig_connect(ak_http_server_port(server.server));

        rig_send(fd, cases[i].request);
        assert_true(rig_read_head(fd, head, sizeof(head)));
        assert_int_equal(strncmp(head, cases[i].status, strlen(cases[i].status)), 0);
        assert_non_null(strstr(head, "Connection: close"));
        while (recv(fd, head, sizeof(head), 0) > 0)
            ;
        (void)close(fd);
    }
    rig_server_end(&server);
}

static void connections_over_the_limit_are_closed_at_once(void **state)
{
    struct rig_server server = {0};
    struct ak_http_server_options options = plain;
    int fds[3];
    char c, head[1024];

    (void)state;
    options.max_connections = 2;
    rig_server_start(&server, &options);
    for (size_t i = 0; i < 2; i++) {
        fds[i] = rig_connect(ak_http_server_port(server.server));
        rig_send(fds[i], "GET /peer HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(rig_read_head(fds[i], head, sizeof(head)));
    }
    fds[2] = rig_connect(ak_http_server_port(server.server));
    assert_true(recv(fds[2], &c, 1, 0) <= 0);
    for (size_t i = 0; i < 3; i++)
        (void)close(fds[i]);
    rig_server_end(&server);
}

static void a_client_that_waits_for_100_continue_gets_it(void **state)
{
    struct rig_server server = {0};
    char head[1024] = "";
    int fd;

    (void)state;
    rig_server_start(&server, &plain);
    fd = rig_connect(ak_http_server_port(server.server));
    rig_send(fd,
             "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_true(rig_read_head(fd, head, sizeof(head)));
    assert_string_equal(head, "HTTP/1.1 100 Continue\r\n\r\n");
    rig_send(fd, "ok");
    assert_true(rig_read_head(fd, head, sizeof(head)));
    assert_int_equal(strncmp(head, "HTTP/1.1 200 ", 13), 0);
    (void)close(fd);
    rig_server_end(&server);
}

/* --- TLS --- */

static int tls_get(const char *url, const struct ak_http_target *how, struct ak_http_reply *reply,
                   struct ak_error **err)
{
    AK_AUTO_PTR(ak_http_client) client = NULL;
    struct ak_http_target target = *how;
    int r;

    target.base_url = url;
    r = ak_http_client_new(&target, &client, err);
    return r < 0 ? r : get(client, "/echo", reply, err);
}

static void tls_works_with_the_right_authority_and_only_then(void **state)
{
    struct rig_server server = {0};
    struct ak_http_server_options options = plain;
    struct rig_pki other = {0};
    AK_AUTO_PTR(ak_error) foreign = NULL;
    AK_AUTO_PTR(ak_error) name = NULL;
    AK_AUTO(ak_http_reply) good = {0};
    AK_AUTO(ak_http_reply) insecure = {0};
    AK_AUTO(ak_http_reply) named = {0};
    AK_AUTO(ak_http_reply) none = {0};

    (void)state;
    options.tls = pki.server_ctx;
    rig_server_start(&server, &options);
    rig_pki_make(&other);
    assert_int_equal(tls_get(server.url, &(struct ak_http_target){.ca_pem = pki.ca}, &good, NULL),
                     0);
    assert_int_equal(
        tls_get(server.url, &(struct ak_http_target){.ca_pem = other.ca}, &none, &foreign),
        AK_E_PROTOCOL);
    if (!strstr(ak_error_message(foreign), "certificate"))
        fail_msg("%s", ak_error_message(foreign));
    assert_int_equal(tls_get(server.url, &(struct ak_http_target){.insecure_skip_verify = true},
                             &insecure, NULL),
                     0);
    assert_int_equal(
        tls_get(server.url,
                &(struct ak_http_target){.ca_pem = pki.ca, .tls_server_name = "cluster.example"},
                &named, NULL),
        0);
    assert_non_null(strstr(ak_buf_text(&named.body), "host=ip")); /* as kubectl sends it */
    assert_int_equal(
        tls_get(server.url,
                &(struct ak_http_target){.ca_pem = pki.ca, .tls_server_name = "b.example"}, &none,
                &name),
        AK_E_PROTOCOL);
    rig_pki_done(&other);
    rig_server_end(&server);
}

static void a_client_certificate_is_sent(void **state)
{
    struct rig_server server = {0};
    struct ak_http_server_options options = plain;
    struct ak_http_target with = {
        .ca_pem = pki.ca, .client_cert_pem = pki.client_cert, .client_key_pem = pki.client_secret};
    AK_AUTO(ak_http_reply) good = {0};
    AK_AUTO(ak_http_reply) none = {0};

    (void)state;
    options.tls = pki.mutual_ctx;
    rig_server_start(&server, &options);
    assert_int_equal(tls_get(server.url, &with, &good, NULL), 0);
    assert_int_equal(good.status, 200);
    assert_int_equal(tls_get(server.url, &(struct ak_http_target){.ca_pem = pki.ca}, &none, NULL),
                     AK_E_PROTOCOL);
    rig_server_end(&server);
}

static void bad_certificates_and_addresses_are_refused_in_words(void **state)
{
    AK_AUTO_PTR(ak_secret) junk = ak_secret_new("junk", 4);
    const struct {
        struct ak_http_target target;
        const char *message;
    } cases[] = {
        {{.base_url = "https://h", .ca_pem = "junk"}, "certificate authority"},
        {{.base_url = "https://h", .client_cert_pem = "junk", .client_key_pem = junk},
         "client certificate"},
        {{.base_url = "https://h", .client_cert_pem = pki.client_cert, .client_key_pem = junk},
         "client key"},
        {{.base_url = "https://h",
          .client_cert_pem = pki.server_cert,
          .client_key_pem = pki.client_secret},
         "does not belong"},
        {{.base_url = "https://h", .client_cert_pem = pki.client_cert}, "only together"},
        {{.base_url = "ftp://h"}, "not an http"},
        {{.base_url = "https://h?x=1"}, "not an http"},
        {{.base_url = "nonsense"}, "not an http"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_PTR(ak_http_client) client = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;

        assert_int_equal(ak_http_client_new(&cases[i].target, &client, &err), -EINVAL);
        if (!strstr(ak_error_message(err), cases[i].message))
            fail_msg("\"%s\" is not in \"%s\"", cases[i].message, ak_error_message(err));
    }
}

/* --- bad manners of the other side --- */

static void misbehave(int fd, int n, void *user)
{
    const char *answer = user;
    char head[4096];
    char c;

    (void)n;
    if (!rig_read_head(fd, head, sizeof(head)))
        return;
    if (strcmp(answer, "stall") == 0)
        (void)!recv(fd, &c, 1, 0); /* until the client gives up */
    else if (strcmp(answer, "reset") == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    else
        rig_send(fd, answer);
}

static void broken_answers_are_errors_in_words(void **state)
{
    static const struct {
        const char *answer;
        int code;
    } cases[] = {
        {"", AK_E_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", AK_E_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", AK_E_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", AK_E_PROTOCOL},
        {"SSH-2.0-OpenSSH\r\n", AK_E_PROTOCOL},
        {"reset", AK_E_PROTOCOL},
        {"stall", -ETIMEDOUT},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct rig_peer bad = {0};
        AK_AUTO(ak_http_reply) reply = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_http_request req = {.method = "GET", .path = "/", .timeout = 300};

        rig_peer_start(&bad, misbehave, cases[i].answer);
        AK_AUTO_PTR(ak_http_client) client = client_for(bad.url);
        assert_int_equal(ak_http_do(client, &req, &reply, &err), cases[i].code);
        assert_true(ak_has_prefix(ak_error_message(err), bad.url));
        rig_peer_end(&bad);
    }
}

static void nobody_listening_is_an_error(void **state)
{
    struct rig_peer gone = {0};
    AK_AUTO(ak_http_reply) reply = {0};

    (void)state;
    rig_peer_start(&gone, misbehave, "");
    rig_peer_end(&gone);
    AK_AUTO_PTR(ak_http_client) client = client_for(gone.url);
    assert_int_equal(get(client, "/", &reply, NULL), AK_E_PROTOCOL);
}

static void cancel_soon(void *user)
{
    (void)usleep(20000);
    ak_cancel_now(user);
}

static void a_cancelled_request_ends_promptly(void **state)
{
    struct rig_peer bad = {0};
    struct ak_cancel cancel;
    struct ak_thread thread = {0};
    AK_AUTO(ak_http_reply) reply = {0};
    struct ak_http_request req = {.method = "GET", .path = "/", .cancel = &cancel};
    ak_msec start = ak_now();

    (void)state;
    assert_int_equal(ak_cancel_init(&cancel), 0);
    rig_peer_start(&bad, misbehave, "stall");
    AK_AUTO_PTR(ak_http_client) client = client_for(bad.url);
    assert_int_equal(ak_thread_start(&thread, "canceller", cancel_soon, &cancel), 0);
    assert_int_equal(ak_http_do(client, &req, &reply, NULL), AK_E_CANCELLED);
    assert_true(ak_now() - start < AK_SECONDS(10)); /* the request's own limit is 30 s */
    ak_thread_join(&thread);
    rig_peer_end(&bad);
    ak_cancel_done(&cancel);
}

static void injected_header_lines_are_refused(void **state)
{
    static const char *const bad[] = {"X: a\r\nY: b", NULL};
    const struct ak_http_request cases[] = {
        {.method = "GET", .path = "/a b"},
        {.method = "GET", .path = "/a\r\nX: y"},
        {.method = "GET", .path = "relative"},
        {.method = "GET X", .path = "/"},
        {.method = "GET", .path = "/", .headers = bad},
        {.method = "GET", .path = "/", .accept = "a\nb"},
    };
    AK_AUTO_PTR(ak_http_client) client = client_for("http://127.0.0.1:1");

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_http_reply) reply = {0};

        assert_int_equal(ak_http_do(client, &cases[i], &reply, NULL), -EINVAL);
    }
}

/* --- many at once --- */

struct hammer {
    struct ak_http_client *client;
    struct ak_thread thread;
    int good;
};

static void hammer(void *user)
{
    struct hammer *h = user;

    for (int i = 0; i < 50; i++) {
        AK_AUTO(ak_http_reply) reply = {0};

        h->good += get(h->client, "/echo", &reply, NULL) == 0 && reply.status == 200;
    }
}

static void many_threads_share_a_client(void **state)
{
    struct rig_server server = {0};
    struct ak_http_server_options options = plain;
    struct hammer hammers[8] = {0};
    AK_AUTO_PTR(ak_http_client) client = NULL;

    (void)state;
    options.tls = pki.server_ctx;
    rig_server_start(&server, &options);
    struct ak_http_target target = {.base_url = server.url, .ca_pem = pki.ca};
    assert_int_equal(ak_http_client_new(&target, &client, NULL), 0);
    for (size_t i = 0; i < AK_ARRAY_LEN(hammers); i++) {
        hammers[i].client = client;
        assert_int_equal(ak_thread_start(&hammers[i].thread, "hammer", hammer, &hammers[i]), 0);
    }
    for (size_t i = 0; i < AK_ARRAY_LEN(hammers); i++) {
        ak_thread_join(&hammers[i].thread);
        assert_int_equal(hammers[i].good, 50);
    }
    rig_server_end(&server);
}

static void memory_running_out_is_an_error_and_leaks_nothing(void **state)
{
    struct rig_peer good = {0};

    (void)state;
    rig_peer_start(&good, misbehave, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for (int64_t n = 0; n < 200; n++) {
        AK_AUTO_PTR(ak_http_client) client = NULL;
        AK_AUTO(ak_http_reply) reply = {0};
        struct ak_http_target target = {.base_url = good.url};
        int r;

        (void)ak_alloc_fail_after(n);
        r = ak_http_client_new(&target, &client, NULL);
        if (r >= 0)
            r = get(client, "/", &reply, NULL);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            rig_peer_end(&good);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
    fail_msg("never succeeded");
}

static int make_pki(void **state)
{
    (void)state;
    rig_pki_make(&pki);
    return 0;
}

static int drop_pki(void **state)
{
    (void)state;
    rig_pki_done(&pki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_arrives_as_it_was_meant),
        cmocka_unit_test(every_method_and_a_body_without_a_type_work),
        cmocka_unit_test(one_connection_serves_many_requests),
        cmocka_unit_test(retry_after_is_read_in_both_forms),
        cmocka_unit_test(routes_say_404_and_405),
        cmocka_unit_test(chunked_and_large_answers_arrive_whole),
        cmocka_unit_test(an_answer_over_the_limit_is_refused),
        cmocka_unit_test(a_late_answer_from_the_loop_arrives),
        cmocka_unit_test(a_client_that_goes_away_is_told_to_the_handler),
        cmocka_unit_test(an_exchange_outlives_its_connection_and_its_server),
        cmocka_unit_test(draining_closes_idle_connections_and_answers_the_others),
        cmocka_unit_test(bad_requests_get_a_status_and_the_connection_ends),
        cmocka_unit_test(connections_over_the_limit_are_closed_at_once),
        cmocka_unit_test(a_client_that_waits_for_100_continue_gets_it),
        cmocka_unit_test(tls_works_with_the_right_authority_and_only_then),
        cmocka_unit_test(a_client_certificate_is_sent),
        cmocka_unit_test(bad_certificates_and_addresses_are_refused_in_words),
        cmocka_unit_test(broken_answers_are_errors_in_words),
        cmocka_unit_test(nobody_listening_is_an_error),
        cmocka_unit_test(a_cancelled_request_ends_promptly),
        cmocka_unit_test(injected_header_lines_are_refused),
        cmocka_unit_test(many_threads_share_a_client),
        cmocka_unit_test(memory_running_out_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("net/http", tests, make_pki, drop_pki);
}
