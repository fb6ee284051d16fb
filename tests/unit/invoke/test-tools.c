/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about Tools: who may, what goes to the bastion, and how each of them ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/tools/tools.h"
#include "stage.h"

#define T "/api/v1/namespaces/team/tools/db"
#define QUERY "{\"operation\":\"query\",\"arguments\":{\"sql\":\"select 1\"}}"

static struct stage the_stage;
static int null_fd = -1;
static char said[4096];

static int begin(void **state)
{
    (void)state;
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ak_log_set_fd(null_fd);
    stage_begin(&the_stage);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stage_end(&the_stage);
    ak_log_set_fd(2);
    (void)close(null_fd);
    return 0;
}

static int post(const char *path, const char *body, const char *token)
{
    return stage_ask(
        &(struct stage_request){.method = "POST", .path = path, .token = token, .body = body}, said,
        sizeof(said));
}

static void wait_for(atomic_int *what, int n)
{
    for (int i = 0; atomic_load(what) < n && i < 2000; i++)
        (void)usleep(10 * 1000);
    assert_int_equal(atomic_load(what), n);
}

static void an_operation_goes_to_the_bastion_and_its_answer_comes_back(void **state)
{
    (void)state;
    stage_tools.result = 3000;
    stage_grant("create tools/exec team db");
    assert_int_equal(post(T "/operations?hold=7", QUERY, "alice-token"), 200);
    assert_int_equal(strlen(said), 3000);
    assert_string_equal(stage_tools.operation, "query");
    assert_string_equal(stage_tools.caller, "alice");
    assert_string_equal(stage_tools.caller_ns, "-");
    assert_int_equal(stage_tools.hold, AK_SECONDS(7));
    wait_for(&stage_tools.closed, 1);
}

static void a_large_result_passes_through(void **state)
{
    AK_AUTO_TEXT char *large = ak_malloc(9u << 20);
    const struct stage_request request = {
        .method = "POST", .path = T "/operations", .token = "alice-token", .body = QUERY};

    (void)state;
    stage_tools.result = 1000000;
    assert_int_equal(stage_ask(&request, large, 9u << 20), 200);
    assert_int_equal(strlen(large), 1000000);
}

static void what_the_bastion_says_is_passed_on_as_it_is(void **state)
{
    static const int statuses[] = {403, 422, 429, 500};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(statuses); i++) {
        stage_tools.bastion_status = statuses[i];
        assert_int_equal(post(T "/operations", QUERY, "alice-token"), statuses[i]);
        assert_non_null(strstr(said, "\"code\":\"42501\""));
    }
    wait_for(&stage_tools.closed, 4);
}

static void a_bastion_that_breaks_off_gives_no_whole_answer(void **state)
{
    (void)state;
    stage_tools.bastion_status = -1;
    assert_true(post(T "/operations", QUERY, "alice-token") < 0);
    wait_for(&stage_tools.closed, 1);
}

static void a_bastion_that_is_away_is_told_as_it_is(void **state)
{
    (void)state;
    rig_server_end(&the_stage.pod);
    assert_int_equal(post(T "/operations", QUERY, "alice-token"), 503);
    assert_non_null(strstr(said, "whether the operation was done is not known"));
    assert_int_equal(atomic_load(&stage_tools.prepared), 2); /* nothing was sent: tried once more */
    wait_for(&stage_tools.failed, 2);
    rig_server_start(&the_stage.pod, &the_stage.pod.options);
}

static void a_bastion_that_just_ends_is_no_answer_once(void **state)
{
    (void)state;
    stage_tools.result = 2;
    stage_tools.ends = 1;
    assert_int_equal(post(T "/operations", QUERY, "alice-token"), 200);
    assert_int_equal(atomic_load(&stage_tools.operations), 2);
    assert_int_equal(atomic_load(&stage_tools.ended), 1);
    assert_false(stage_tools.is_approved);
    wait_for(&stage_tools.closed, 2);
    stage_tools.ends = 2;
    assert_int_equal(post(T "/operations", QUERY, "alice-token"), 503);
    assert_non_null(strstr(said, "the bastion ends: idle"));
    assert_int_equal(atomic_load(&stage_tools.ended), 2);
    assert_int_equal(atomic_load(&stage_tools.failed), 0);
    wait_for(&stage_tools.closed, 4);
}

static void an_approval_goes_on_to_the_next_bastion(void **state)
{
    (void)state;
    stage_tools.asks = true;
    stage_tools.ends = 1;
    stage_tools.result = 2;
    assert_int_equal(post(T "/operations", QUERY, "alice-token"), 200);
    assert_int_equal(atomic_load(&stage_tools.operations), 3); /* asked, ended, done */
    assert_int_equal(atomic_load(&stage_tools.ended), 1);
    assert_true(stage_tools.is_approved);
    wait_for(&stage_tools.closed, 3);
}

static void the_bastion_may_ask_for_an_approval_once(void **state)
{
    (void)state;
    stage_tools.asks = true;
    stage_tools.result = 2;
    assert_int_equal(post(T "/operations", QUERY, "alice-token"), 200);
    assert_true(stage_tools.engine_asked);
    assert_int_equal(atomic_load(&stage_tools.operations), 2);
    wait_for(&stage_tools.closed, 2);
}

static void what_is_refused_before_a_bastion_is_a_line_of_the_audit_log(void **state)
{
    (void)state;
    stage_tools.fail_with = 403;
    assert_int_equal(post(T "/operations", QUERY, "alice-token"), 403);
    assert_string_equal(stage_tools.refusal, "Operation query 403");
    stage_tools.fail_with = 0;
    stage_grant("get tools team other");
    assert_int_equal(post("/api/v1/namespaces/team/tools/other/operations", QUERY, "alice-token"),
                     403);
    assert_int_equal(atomic_load(&stage_tools.refused), 2);
    assert_int_equal(atomic_load(&stage_tools.operations), 0);
}

static void who_goes_while_a_bastion_comes_gives_up(void **state)
{
    int fd = rig_connect(ak_invoke_port(stage->invoke));

    (void)state;
    stage_tools.waits = true;
    rig_send(fd,
             "POST " T "/operations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice-token\r\n"
             "Content-Type: application/json\r\nContent-Length: 21\r\n\r\n"
             "{\"operation\":\"query\"}");
    (void)usleep(200 * 1000);
    (void)close(fd);
    wait_for(&stage_tools.cancelled, 1);
}

static void who_goes_while_a_person_is_asked_gives_up(void **state)
{
    int fd = rig_connect(ak_invoke_port(stage->invoke));

    (void)state;
    stage_tools.asks = stage_tools.waits_when_asked = true;
    rig_send(fd,
             "POST " T "/operations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice-token\r\n"
             "Content-Type: application/json\r\nContent-Length: 21\r\n\r\n"
             "{\"operation\":\"query\"}");
    wait_for(&stage_tools.waiting, 1);
    (void)close(fd);
    wait_for(&stage_tools.cancelled, 1);
}

static void each_call_needs_its_right(void **state)
{
    static const struct {
        const char *method, *path, *right, *body;
        int status;
    } cases[] = {
        {"GET", T "/sessions", "get tools/log team db", NULL, 200},
        {"POST", T "/sessions/s-1/kill", "delete tools/connect team db", "{\"reason\":\"why\"}",
         200},
        {"POST", T "/probe", "create tools/exec team db", NULL, 202},
        {"POST", T "/explain", "get tools team db", QUERY, 200},
        {"GET", T "/explain?operation=query&statement=select+1", "get tools team db", NULL, 200},
        {"GET", T "/approvals", "get tools team db", NULL, 200},
        {"POST", T "/approvals/ap-1/approve", "update tools/approve team db", NULL, 200},
        {"POST", T "/approvals/ap-1/deny", "update tools/approve team db", "{\"reason\":\"no\"}",
         200},
        {"GET", T "/recordings", "get tools/log team db", NULL, 200},
        {"GET", T "/recordings/r-1", "get tools/log team db", NULL, 200},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        const struct stage_request request = {.method = cases[i].method,
                                              .path = cases[i].path,
                                              .token = "alice-token",
                                              .body = cases[i].body};
        stage_grant("nothing");
        assert_int_equal(stage_ask(&request, said, sizeof(said)), 403);
    }
    (void)usleep(1100 * 1000); /* a refusal is remembered for a second */
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        const struct stage_request request = {.method = cases[i].method,
                                              .path = cases[i].path,
                                              .token = "alice-token",
                                              .body = cases[i].body};
        stage_grant(cases[i].right);
        assert_int_equal(stage_ask(&request, said, sizeof(said)), cases[i].status);
    }
    assert_string_equal(stage_tools.reason, "s-1 alice why");
}

static void a_statement_stands_for_the_main_argument(void **state)
{
    static const struct {
        const char *body, *arguments;
    } cases[] = {
        {"{\"operation\":\"query\",\"statement\":\"select 1\"}", "{\"sql\":\"select 1\"}"},
        {"{\"operation\":\"command\",\"statement\":\" SET  a b\"}",
         "{\"args\":[\"SET\",\"a\",\"b\"]}"},
        {"{\"operation\":\"http_request\",\"statement\":\"GET /a b\"}",
         "{\"method\":\"GET\",\"path\":\"/a b\"}"},
        {"{\"operation\":\"http_request\",\"statement\":\"GET\"}",
         "{\"method\":\"GET\",\"path\":\"/\"}"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        assert_int_equal(post(T "/explain", cases[i].body, "alice-token"), 200);
        assert_non_null(strstr(said, cases[i].arguments));
    }
    assert_int_equal(
        post(T "/explain", "{\"operation\":\"other\",\"statement\":\"x\"}", "alice-token"), 400);
    assert_int_equal(post(T "/explain",
                          "{\"operation\":\"query\",\"statement\":\"x\",\"arguments\":{}}",
                          "alice-token"),
                     400);
}

static void an_agents_pod_has_what_its_agent_was_given(void **state)
{
    (void)state;
    stage_tools.result = 2;
    assert_int_equal(stage_get("/api/v1/self/tools", "pod-token", said, sizeof(said)), 200);
    assert_non_null(strstr(said, "\"tool\":\"worker\""));
    assert_int_equal(post("/api/v1/self/tools/given/operations",
                          "{\"operation\":\"query\",\"runID\":\"r-1\"}", "pod-token"),
                     200);
    assert_string_equal(stage_tools.caller, "worker");
    assert_string_equal(stage_tools.caller_ns, "team");
    assert_int_equal(
        post("/api/v1/self/tools/other/operations", "{\"operation\":\"query\"}", "pod-token"), 403);
    assert_non_null(strstr(said, "this agent has no tool"));
    assert_string_equal(stage_tools.refusal, "Operation query 403");
    assert_int_equal(atomic_load(&the_stage.access_reviews), 0);
}

static void nobody_else_has_tools_of_his_own(void **state)
{
    (void)state;
    assert_int_equal(stage_get("/api/v1/self/tools", "alice-token", said, sizeof(said)), 403);
    stage_tools.no_agent = true;
    assert_int_equal(stage_get("/api/v1/self/tools", "pod-token", said, sizeof(said)), 403);
    assert_int_equal(
        post("/api/v1/self/tools/given/operations", "{\"operation\":\"query\"}", "pod-token"), 403);
    assert_int_equal(atomic_load(&stage_tools.prepared), 0);
}

/* ---- sessions */

static int connect_session(const char *path, const char *more, char *head, size_t size)
{
    int fd = rig_connect(ak_invoke_port(stage->invoke));
    char request[2048];

    (void)snprintf(request, sizeof(request),
                   "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: a2V5\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\nCookie: c=1\r\n"
                   "Authorization: Bearer alice-token\r\n%s\r\n",
                   path, more);
    rig_send(fd, request);
    assert_true(rig_read_head(fd, head, size));
    return fd;
}

static void read_exactly(int fd, char *out, size_t len)
{
    for (size_t n = 0; n < len;) {
        ssize_t some = read(fd, out + n, len - n);
        assert_true(some > 0);
        n += (size_t)some;
    }
}

static void a_session_is_the_bastions_byte_for_byte(void **state)
{
    char head[2048], out[64];

    (void)state;
    stage_grant("create tools/connect team db");
    int fd = connect_session(T "/exec?tty=true&columns=80&rows=24&arg=-c&arg=select%201%26", "",
                             head, sizeof(head));
    assert_non_null(strstr(head, "HTTP/1.1 101"));
    assert_non_null(strstr(head, "Sec-WebSocket-Accept: yes\r\n"));
    assert_non_null(strstr(head, "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n"));
    assert_null(strstr(head, "X-Secret"));
    read_exactly(fd, out, 4);
    assert_memory_equal(out, "\x82\x02hi", 4);
    assert_int_equal(write(fd, "\x82\x00 mine", 7), 7);
    read_exactly(fd, out, 7);
    assert_memory_equal(out, "\x82\x00 mine", 7);
    assert_string_equal(
        stage_tools.session_query,
        "/v1/exec?readOnly=true&tty=true&columns=80&rows=24&arg=-c&arg=select%201%26");
    assert_non_null(strstr(the_stage.last_headers, "X-Agentkube-Caller: {\"kind\":\"Person\"}"));
    assert_non_null(strstr(the_stage.last_headers, "Sec-WebSocket-Key: a2V5"));
    assert_null(strstr(the_stage.last_headers, "alice-token"));
    assert_null(strstr(the_stage.last_headers, "Cookie"));
    assert_string_equal(stage_tools.operation, "connect");
    assert_int_equal(write(fd, "\x88", 1), 1);
    assert_int_equal(read(fd, out, sizeof(out)), 0);
    (void)close(fd);
    wait_for(&stage_tools.closed, 1);
}

static void a_session_waits_for_the_next_bastion_when_one_ends(void **state)
{
    char head[2048];

    (void)state;
    stage_grant("create tools/connect team db");
    stage_tools.ends = 1;
    int fd = connect_session(T "/forward", "", head, sizeof(head));
    assert_non_null(strstr(head, "HTTP/1.1 101"));
    (void)close(fd);
    wait_for(&stage_tools.closed, 2);
    assert_int_equal(atomic_load(&stage_tools.ended), 1);
    stage_tools.ends = 2;
    fd = connect_session(T "/forward", "", head, sizeof(head));
    assert_non_null(strstr(head, "HTTP/1.1 503"));
    (void)close(fd);
    wait_for(&stage_tools.closed, 4);
    assert_int_equal(atomic_load(&stage_tools.failed), 0);
}

static void a_query_may_come_in_a_header(void **state)
{
    char head[2048];

    (void)state;
    int fd = connect_session(T "/exec", "X-Agentkube-Query: arg=x&hold=3\r\n", head, sizeof(head));
    assert_non_null(strstr(head, "HTTP/1.1 101"));
    assert_string_equal(stage_tools.session_query, "/v1/exec?readOnly=true&arg=x");
    assert_int_equal(stage_tools.hold, AK_SECONDS(3));
    (void)close(fd);
    wait_for(&stage_tools.closed, 1);
}

static void a_client_that_goes_ends_the_session(void **state)
{
    char head[2048];

    (void)state;
    int fd = connect_session(T "/forward", "", head, sizeof(head));
    assert_non_null(strstr(head, "HTTP/1.1 101"));
    assert_string_equal(stage_tools.operation, "forward");
    (void)close(fd);
    wait_for(&stage_tools.closed, 1);
    for (int i = 0; atomic_load(&stage_tools.connected) && i < 1000; i++)
        (void)usleep(10 * 1000);
    assert_false(atomic_load(&stage_tools.connected));
}

static void what_is_no_upgrade_is_told_so(void **state)
{
    char head[2048];

    (void)state;
    assert_int_equal(stage_get(T "/exec", "alice-token", said, sizeof(said)), 426);
    stage_tools.refuses = true;
    int fd = connect_session(T "/exec", "", head, sizeof(head));
    assert_non_null(strstr(head, "HTTP/1.1 429"));
    (void)close(fd);
    assert_string_equal(stage_tools.refusal, "Exec exec 429");
    wait_for(&stage_tools.closed, 1);
    stage_tools.refuses = false;
    stage_tools.fail_with = 403;
    fd = connect_session(T "/exec?tty=true", "", head, sizeof(head));
    assert_non_null(strstr(head, "HTTP/1.1 403"));
    (void)close(fd);
    assert_string_equal(stage_tools.refusal, "Connect connect 403");
}

/* What is written comes back while nobody reads it: it has to wait somewhere, and not here. */
static void neither_side_is_read_faster_than_the_other_takes(void **state)
{
    static char junk[64 << 10], back[64 << 10];
    struct timeval wait = {.tv_usec = 300 * 1000};
    char head[2048], out[4];
    size_t sent = 0, got = 0;
    ssize_t n;

    (void)state;
    memset(junk, 'j', sizeof(junk));
    int fd = connect_session(T "/exec", "", head, sizeof(head));
    read_exactly(fd, out, 4);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    while (sent < (64u << 20) && (n = write(fd, junk, sizeof(junk))) > 0)
        sent += (size_t)n;
    assert_true(sent < (64u << 20));
    while (got < sent) {
        n = read(fd, back, sizeof(back));
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(back[i], 'j');
        got += (size_t)n;
    }
    (void)close(fd);
    wait_for(&stage_tools.closed, 1);
}

static void a_manager_that_stops_says_so_between_two_frames(void **state)
{
    char head[2048], out[512] = "";
    size_t n = 0;
    ssize_t r;

    (void)state;
    int fd = connect_session(T "/exec", "", head, sizeof(head));
    read_exactly(fd, out, 4);
    ak_invoke_stop(stage->invoke);
    while ((r = read(fd, out + n, sizeof(out) - 1 - n)) > 0)
        n += (size_t)r;
    assert_int_equal((unsigned char)out[0], 0x82);
    assert_int_equal(out[2 + 2], 3); /* the status channel */
    assert_non_null(memmem(out, n, "the manager is stopping", 23));
    assert_memory_equal(out + n - 4, "\x88\x02\x03\xe9", 4); /* 1001 */
    (void)close(fd);
}

static void in_the_middle_of_a_frame_it_only_ends(void **state)
{
    char head[2048], out[512] = "";

    (void)state;
    int fd = connect_session(T "/exec", "", head, sizeof(head));
    read_exactly(fd, out, 4);
    stage_say("\x82\x7e\x01\x00half", 8);
    read_exactly(fd, out, 8);
    ak_invoke_stop(stage->invoke);
    assert_int_equal(read(fd, out, sizeof(out)), 0);
    (void)close(fd);
}

/* ---- another replica */

static bool never(void *user)
{
    (void)user;
    return false;
}

static void another_replica_passes_uses_on_to_the_leader(void **state)
{
    struct ak_invoke *other = stage_replica(never);
    struct ak_invoke *leader = stage->invoke;
    const struct stage_request request = {.method = "POST",
                                          .path = T "/operations",
                                          .token = "alice-token",
                                          .body = QUERY,
                                          .invoke = other};
    char head[2048], out[8];

    (void)state;
    (void)snprintf(the_stage.leader, sizeof(the_stage.leader), "127.0.0.1:%u",
                   ak_invoke_port(leader));
    stage_tools.result = 5;
    assert_int_equal(stage_ask(&request, said, sizeof(said)), 200);
    stage->invoke = other;
    int fd = connect_session(T "/exec?tty=true&rows=9&arg=a+b&readOnly=true&hold=4", "", head,
                             sizeof(head));
    stage->invoke = leader;
    assert_non_null(strstr(head, "HTTP/1.1 101"));
    read_exactly(fd, out, 4);
    assert_memory_equal(out, "\x82\x02hi", 4);
    assert_string_equal(stage_tools.session_query,
                        "/v1/exec?readOnly=true&tty=true&rows=9&arg=a%20b");
    assert_int_equal(stage_tools.hold, AK_SECONDS(4));
    assert_true(stage_tools.read_only);
    (void)close(fd);
    wait_for(&stage_tools.closed, 2);
    (void)ak_invoke_free(other);
}

#define T_(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_(an_operation_goes_to_the_bastion_and_its_answer_comes_back),
        T_(a_large_result_passes_through),
        T_(what_the_bastion_says_is_passed_on_as_it_is),
        T_(a_bastion_that_breaks_off_gives_no_whole_answer),
        T_(a_bastion_that_is_away_is_told_as_it_is),
        T_(a_bastion_that_just_ends_is_no_answer_once),
        T_(an_approval_goes_on_to_the_next_bastion),
        T_(the_bastion_may_ask_for_an_approval_once),
        T_(what_is_refused_before_a_bastion_is_a_line_of_the_audit_log),
        T_(who_goes_while_a_bastion_comes_gives_up),
        T_(who_goes_while_a_person_is_asked_gives_up),
        T_(each_call_needs_its_right),
        T_(a_statement_stands_for_the_main_argument),
        T_(an_agents_pod_has_what_its_agent_was_given),
        T_(nobody_else_has_tools_of_his_own),
        T_(a_session_is_the_bastions_byte_for_byte),
        T_(a_session_waits_for_the_next_bastion_when_one_ends),
        T_(a_query_may_come_in_a_header),
        T_(a_client_that_goes_ends_the_session),
        T_(what_is_no_upgrade_is_told_so),
        T_(neither_side_is_read_faster_than_the_other_takes),
        T_(a_manager_that_stops_says_so_between_two_frames),
        T_(in_the_middle_of_a_frame_it_only_ends),
        T_(another_replica_passes_uses_on_to_the_leader),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
