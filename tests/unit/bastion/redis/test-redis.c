/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts: requests cut into words, where replies end, and the relay between a client and a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/engines/redis/relay.h"

#define BYTES(text) ((const uint8_t *)(text)), (sizeof(text) - 1)

/* --- requests --- */

static void a_request_is_cut_into_its_words_however_it_comes(void **state)
{
    static const char text[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*1\r\n";
    const size_t whole = sizeof(text) - 1 - 4; /* the next one begins behind it */

    (void)state;
    for (size_t step = 1; step <= sizeof(text) - 1; step++) {
        struct ak_redis_request request;
        bool ended = false;
        size_t at = 0;

        ak_redis_request_init(&request);
        while (at < sizeof(text) - 1 && !ended) {
            ssize_t n = ak_redis_request_take(&request, (const uint8_t *)text + at,
                                              AK_MIN(step, sizeof(text) - 1 - at), &ended);

            assert_true(n > 0);
            at += (size_t)n;
        }
        assert_true(ended);
        assert_int_equal(at, whole);
        assert_int_equal(request.n_words, 3);
        assert_memory_equal(request.held.data + request.words[0].at, "SET", 3);
        assert_memory_equal(request.held.data + request.words[2].at, "a\r\nb", 4);
        assert_memory_equal(request.held.data, text, whole);
        ak_redis_request_done(&request);
    }
}

static void what_a_server_could_read_in_another_way_is_no_request(void **state)
{
    static const char *const cases[] = {
        "*2\n$3\r\nGET\r\n",
        "*x\r\n",
        "*-1\r\n",
        "*2\r\n:3\r\n",
        "*1\r\n$3\r\nGETX\r\n",
        "*1\r\n$ 3\r\n",
        "*1\r\n$+3\r\n",
        "*1\r\n$3\r\nGET\n\n",
        "*1\r\n$99999999999\r\n",
        "*9999999999\r\n",
        "*1 \r\n$3\r\nGET\r\n",
        "*00000000000000000000000001\r\n",
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_redis_request request;
        bool ended = false;
        size_t at = 0, len = strlen(cases[i]);
        ssize_t n = 0;

        ak_redis_request_init(&request);
        while (n >= 0 && at < len && !ended) {
            n = ak_redis_request_take(&request, (const uint8_t *)cases[i] + at, len - at, &ended);
            at += n > 0 ? (size_t)n : 0;
        }
        if (n != AK_E_PROTOCOL)
            fail_msg("case %zu was taken", i);
        ak_redis_request_done(&request);
    }
}

/* --- replies --- */

static void a_reply_ends_where_the_server_ends_it(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"+OK\r\n", ""},
        {"-NOPERM this user\r\n", "NOPERM"},
        {":-42\r\n", ""},
        {"$-1\r\n", ""},
        {"$0\r\n\r\n", ""},
        {"$7\r\n+OK\r\n-x\r\n", ""},
        {"*0\r\n", ""},
        {"*-1\r\n", ""},
        {"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n+x\r\n", ""},
        {"*1\r\n-ERR inside\r\n", ""},
        {"%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n#t\r\n", ""},
        {"_\r\n", ""},
        {",1.5\r\n", ""},
        {"(12345678901234567890\r\n", ""},
        {"=8\r\ntxt:text\r\n", ""},
        {"!9\r\nERR wrong\r\n", ""},
        {"|1\r\n+ttl\r\n:5\r\n$1\r\nv\r\n", ""},
        {"|0\r\n:5\r\n", ""},
        {">2\r\n+message\r\n+x\r\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        const uint8_t *text = (const uint8_t *)cases[i].text;
        const size_t len = strlen(cases[i].text);

        for (size_t step = 1; step <= len; step++) {
            struct ak_redis_reply reply = {.depth = 0};
            bool ended = false;
            size_t at = 0;

            while (at < len) {
                ssize_t n = ak_redis_reply_take(&reply, text + at, AK_MIN(step, len - at), &ended);

                if (n <= 0 || (ended && at + (size_t)n != len))
                    fail_msg("%s: ended early, or not taken", cases[i].text);
                at += (size_t)n;
            }
            if (!ended || !ak_redis_reply_is_between(&reply))
                fail_msg("%s: did not end", cases[i].text);
            assert_string_equal(reply.error, cases[i].error);
        }
    }
}

static void what_is_no_reply_is_an_error(void **state)
{
    static const char *const cases[] = {
        "HTTP/1.1 400\r\n", "$x\r\n", "*-2\r\n", "$9999999999999\r\n", "\r\n",
        "|-1\r\n",          "*\r\n",  "$5\n"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_redis_reply reply = {.depth = 0};
        bool ended;

        if (ak_redis_reply_take(&reply, (const uint8_t *)cases[i], strlen(cases[i]), &ended) !=
            AK_E_PROTOCOL)
            fail_msg("case %zu was taken", i);
    }
}

static void replies_nest_only_so_far(void **state)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4096);
    struct ak_redis_reply reply = {.depth = 0};
    bool ended;

    (void)state;
    for (int i = 0; i <= AK_REDIS_DEPTH; i++)
        assert_int_equal(ak_buf_adds(&text, "*1\r\n"), 0);
    assert_int_equal(ak_redis_reply_take(&reply, (const uint8_t *)text.data, text.len, &ended),
                     AK_E_PROTOCOL);
}

/* --- the relay --- */

struct world {
    struct ak_redis_relay relay;
    struct ak_buf to_server, to_client;
    int open, ended;
    enum ak_statement_class class_;
    char text[128], code[32];
    bool busy;
};

static int on_begin(void *user, enum ak_statement_class class_, const char *text, size_t len,
                    void **ret_statement, struct ak_error **reterr)
{
    struct world *world = user;

    if (len >= 4 && memmem(text, len, "evil", 4))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "it is\r\nevil");
    world->class_ = class_;
    assert_true(len < sizeof(world->text));
    memcpy(world->text, text, len);
    world->text[len] = '\0';
    world->open++;
    *ret_statement = world;
    return 0;
}

static void on_end(void *user, void *statement, uint64_t bytes, int code, const char *server_code)
{
    struct world *world = user;

    (void)bytes;
    assert_ptr_equal(statement, world);
    assert_true((code == 0) == ak_is_empty(server_code) || code == AK_E_CANCELLED);
    world->open--;
    world->ended++;
    (void)snprintf(world->code, sizeof(world->code), "%s", server_code ? server_code : "");
}

static void on_busy(void *user, bool busy)
{
    struct world *world = user;

    assert_int_not_equal(world->busy, busy);
    world->busy = busy;
}

static const struct ak_redis_hooks hooks = {on_begin, on_end, on_busy};

static void begin(struct world *world, bool only_reads)
{
    memset(world, 0, sizeof(*world));
    world->to_server.max = world->to_client.max = 1u << 20;
    assert_int_equal(ak_redis_relay_init(&world->relay, only_reads, &hooks, world), 0);
}

static void end(struct world *world)
{
    ak_redis_relay_done(&world->relay);
    assert_int_equal(world->open, 0);
    assert_false(world->busy);
    ak_buf_done(&world->to_server);
    ak_buf_done(&world->to_client);
}

static int client(struct world *world, const uint8_t *data, size_t len)
{
    return ak_redis_relay_from_client(&world->relay, data, len, &world->to_server,
                                      &world->to_client, NULL);
}

static void server(struct world *world, const uint8_t *data, size_t len)
{
    assert_int_equal(ak_redis_relay_from_server(&world->relay, data, len, &world->to_server,
                                                &world->to_client, NULL),
                     0);
}

/* What went to a side since it was asked last. */
static void expect(struct ak_buf *side, const char *text)
{
    assert_string_equal(ak_buf_text(side), text);
    ak_buf_clear(side);
}

static void a_command_and_its_reply_pass_and_are_told(void **state)
{
    struct world world;

    (void)state;
    begin(&world, false);
    assert_int_equal(client(&world, BYTES("*2\r\n$3\r\nget\r\n$1\r\nk\r\n")), 0);
    expect(&world.to_server, "*2\r\n$3\r\nget\r\n$1\r\nk\r\n");
    assert_string_equal(world.text, "get k");
    assert_int_equal(world.class_, AK_CLASS_READ);
    assert_true(world.busy);
    server(&world, BYTES("$1\r\nv"));
    assert_int_equal(ak_redis_relay_missing(&world.relay), 2);
    server(&world, BYTES("\r\n"));
    assert_int_equal(ak_redis_relay_missing(&world.relay), 0);
    expect(&world.to_client, "$1\r\nv\r\n");
    assert_int_equal(world.ended, 1);
    assert_false(world.busy);
    assert_int_equal(client(&world, BYTES("set k v\r\n\r\n")), 0);
    expect(&world.to_server, "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n");
    assert_int_equal(world.class_, AK_CLASS_WRITE);
    server(&world, BYTES("-NOPERM no\r\n"));
    assert_string_equal(world.code, "NOPERM");
    end(&world);
}

static void a_refusal_keeps_its_place_among_the_replies(void **state)
{
    struct world world;

    (void)state;
    begin(&world, false);
    assert_int_equal(client(&world, BYTES("get a\r\nget evil\r\nget b\r\n")), 0);
    expect(&world.to_server, "*2\r\n$3\r\nget\r\n$1\r\na\r\n");
    expect(&world.to_client, "");
    server(&world, BYTES("+1\r\n"));
    expect(&world.to_client, "+1\r\n-NOPERM agentkube: it is  evil\r\n");
    expect(&world.to_server, "*2\r\n$3\r\nget\r\n$1\r\nb\r\n");
    server(&world, BYTES("+2\r\n"));
    expect(&world.to_client, "+2\r\n");
    assert_int_equal(world.ended, 2);
    end(&world);
}

static void a_refusal_spoils_a_transaction(void **state)
{
    struct world world;

    (void)state;
    begin(&world, false);
    assert_int_equal(client(&world, BYTES("MULTI\r\nset evil 1\r\nEXEC\r\n")), 0);
    assert_non_null(strstr(ak_buf_text(&world.to_server), "AGENTKUBE.REFUSED"));
    assert_null(strstr(ak_buf_text(&world.to_server), "$4\r\nevil\r\n"));
    assert_non_null(strstr(ak_buf_text(&world.to_server), "EXEC"));
    end(&world);
}

static void logins_are_answered_here_and_never_passed_on(void **state)
{
    static const struct {
        const char *request, *to_server, *to_client;
    } cases[] = {
        {"AUTH s3cret\r\n", "", "+OK\r\n"},
        {"auth me s3cret\r\n", "", "+OK\r\n"},
        {"HELLO 3 AUTH me s3cret SETNAME x\r\n",
         "*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$1\r\nx\r\n", ""},
        {"HELLO\r\n", "*1\r\n$5\r\nHELLO\r\n", ""},
        {"HELLO 3 WHAT\r\n", "", "-ERR syntax error in HELLO\r\n"},
        {"RESET\r\n", "", "-NOPERM agentkube: RESET would log out\r\n"},
        {"CLIENT REPLY OFF\r\n", "", "-NOPERM agentkube: CLIENT REPLY is not possible here\r\n"},
        {"PSYNC ? -1\r\n", "", "-NOPERM agentkube: replication is not for clients of a Tool\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct world world;

        begin(&world, false);
        assert_int_equal(
            client(&world, (const uint8_t *)cases[i].request, strlen(cases[i].request)), 0);
        expect(&world.to_server, cases[i].to_server);
        expect(&world.to_client, cases[i].to_client);
        assert_int_equal(world.open, 0);
        end(&world);
    }
}

static void who_only_reads_gets_nothing_else_through(void **state)
{
    static const char *const refused[] = {"SET k v",           "DEL k",          "EVAL x 0",
                                          "SORT k STORE d",    "CONFIG SET a b", "FLUSHALL",
                                          "MIGRATE h 1 k 0 1", "NOSUCHCOMMAND",  "GETDEL k",
                                          "FUNCTION LOAD x",   "SCRIPT LOAD x",  "ACL SETUSER x",
                                          "DEBUG SLEEP 1"};
    static const char *const allowed[] = {"GET k", "MGET a b", "SCAN 0",  "HGETALL h",
                                          "TTL k", "PING",     "SELECT 1"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(refused) + AK_ARRAY_LEN(allowed); i++) {
        bool is_refused = i < AK_ARRAY_LEN(refused);
        AK_AUTO_TEXT char *line =
            ak_asprintf("%s\r\n", is_refused ? refused[i] : allowed[i - AK_ARRAY_LEN(refused)]);
        struct world world;

        begin(&world, true);
        assert_int_equal(client(&world, (const uint8_t *)line, strlen(line)), 0);
        if (is_refused != (world.to_server.len == 0))
            fail_msg("%s", line);
        if (is_refused)
            assert_int_equal(strncmp(ak_buf_text(&world.to_client), "-NOPERM", 7), 0);
        end(&world);
    }
}

static void an_inline_request_that_could_be_cut_otherwise_ends_the_connection(void **state)
{
    static const char *const cases[] = {"set 'a b' c\r\n", "set \"a b\" c\r\n", "*x\r\n"};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct world world;

        begin(&world, false);
        assert_int_equal(client(&world, (const uint8_t *)cases[i], strlen(cases[i])), 1);
        assert_non_null(strstr(ak_buf_text(&world.to_client), "Protocol error"));
        expect(&world.to_server, "");
        end(&world);
    }
}

static void a_large_value_passes_without_being_held(void **state)
{
    static uint8_t piece[32768];
    const size_t total = 1000000;
    struct world world;
    char head[64];
    size_t sent = 0, passed;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    begin(&world, false);
    world.to_server.max = 2u << 20;
    (void)snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n", total);
    assert_int_equal(client(&world, (const uint8_t *)head, strlen(head)), 0);
    while (sent < total) {
        size_t n = AK_MIN(sizeof(piece), total - sent);

        assert_int_equal(client(&world, piece, n), 0);
        sent += n;
    }
    passed = world.to_server.len;
    assert_int_equal(passed, strlen(head) + total);
    assert_true(world.relay.request.held.cap <= 2 * AK_REDIS_HELD);
    assert_int_equal(client(&world, BYTES("\r\n*1\r\n$4\r\nPING\r\n")), 0);
    assert_int_equal(world.to_server.len, passed + 2 + 14);
    assert_string_equal(world.text, "PING");
    end(&world);
}

static void subscriptions_keep_a_session_busy(void **state)
{
    struct world world;

    (void)state;
    begin(&world, false);
    assert_int_equal(client(&world, BYTES("SUBSCRIBE news\r\n")), 0);
    server(&world, BYTES("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"));
    assert_true(world.busy);
    server(&world, BYTES("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n"));
    assert_true(world.busy);
    assert_int_equal(world.open, 0);
    end(&world);
}

static void memory_may_run_out_at_any_point(void **state)
{
    int r = -1;

    (void)state;
    for (int64_t n = 0; r < 0; n++) {
        struct world world = {.to_server = {.max = 4096}, .to_client = {.max = 4096}};

        ak_alloc_fail_after(n);
        r = ak_redis_relay_init(&world.relay, false, &hooks, &world);
        if (r >= 0) {
            r = client(&world, BYTES("get a\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\nAUTH x\r\n"));
            if (r >= 0)
                r = ak_redis_relay_from_server(&world.relay, BYTES("+1\r\n$1\r\n2\r\n"),
                                               &world.to_server, &world.to_client, NULL);
            ak_alloc_fail_after(-1);
            end(&world);
        }
        ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_cut_into_its_words_however_it_comes),
        cmocka_unit_test(what_a_server_could_read_in_another_way_is_no_request),
        cmocka_unit_test(a_reply_ends_where_the_server_ends_it),
        cmocka_unit_test(what_is_no_reply_is_an_error),
        cmocka_unit_test(replies_nest_only_so_far),
        cmocka_unit_test(a_command_and_its_reply_pass_and_are_told),
        cmocka_unit_test(a_refusal_keeps_its_place_among_the_replies),
        cmocka_unit_test(a_refusal_spoils_a_transaction),
        cmocka_unit_test(logins_are_answered_here_and_never_passed_on),
        cmocka_unit_test(who_only_reads_gets_nothing_else_through),
        cmocka_unit_test(an_inline_request_that_could_be_cut_otherwise_ends_the_connection),
        cmocka_unit_test(a_large_value_passes_without_being_held),
        cmocka_unit_test(subscriptions_keep_a_session_busy),
        cmocka_unit_test(memory_may_run_out_at_any_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
