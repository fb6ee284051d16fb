/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>

/* What the hooks saw, as text: "+read:SELECT 1 -1/0" is begun, and ended with one row and no error. */
struct seen {
    char text[65536];
    const char *refuse;
    int open, busy;
};

struct statement {
    char text[64];
};

static void say(struct seen *seen, const char *fmt, ...)
{
    const size_t used = strlen(seen->text);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(seen->text + used, sizeof(seen->text) - used, fmt, ap);
    va_end(ap);
}

static int on_begin(void *user, enum ak_statement_class class_, const char *text, size_t len,
                    void **ret_statement, struct ak_error **reterr)
{
    struct seen *seen = user;
    struct statement *statement;

    if (seen->refuse && memmem(text, len, seen->refuse, strlen(seen->refuse)))
        return ak_error_set(reterr, AK_E_FORBIDDEN, "no: %s", seen->refuse);
    statement = ak_new0(struct statement);
    if (!statement)
        return ak_error_oom(reterr);
    (void)snprintf(statement->text, sizeof(statement->text), "%.*s", (int)len, text);
    seen->open++;
    say(seen, "+%s:%s ", ak_statement_class_name(class_), statement->text);
    *ret_statement = statement;
    return 0;
}

static void on_end(void *user, void *statement, int64_t rows, uint64_t bytes, int code,
                   const char *sqlstate)
{
    struct seen *seen = user;
    struct statement *s = statement;

    (void)bytes;
    seen->open--;
    say(seen, "-%s/%lld/%s ", s->text, (long long)rows,
        code == 0  ? "ok"
        : sqlstate ? sqlstate
                   : "x");
    ak_free(s);
}

static void on_busy(void *user, bool busy)
{
    struct seen *seen = user;

    seen->busy += busy ? 1 : -1;
    assert_true(seen->busy == 0 || seen->busy == 1);
}

static const struct ak_pg_hooks hooks = {.begin = on_begin, .end = on_end, .busy = on_busy};

struct rig {
    struct seen seen;
    struct ak_pg_relay relay;
    struct ak_buf to_server, to_client;
    size_t step; /* bytes that are given at a time */
};

static void rig_init(struct rig *rig, bool reads_only, size_t step)
{
    memset(rig, 0, sizeof(*rig));
    rig->to_server = (struct ak_buf)AK_BUF_INIT(16 << 20);
    rig->to_client = (struct ak_buf)AK_BUF_INIT(16 << 20);
    rig->step = step;
    assert_int_equal(
        ak_pg_relay_init(&rig->relay, AK_TOOL_TYPE_POSTGRES, reads_only, &hooks, &rig->seen), 0);
}

static void rig_done(struct rig *rig)
{
    ak_pg_relay_done(&rig->relay);
    assert_int_equal(rig->seen.open, 0);
    assert_int_equal(rig->seen.busy, 0);
    ak_buf_done(&rig->to_server);
    ak_buf_done(&rig->to_client);
}

static int feed(struct rig *rig, bool client, const void *data, size_t len)
{
    int r = 0;

    for (size_t at = 0; at < len && r == 0; at += rig->step)
        r = (client ? ak_pg_relay_from_client : ak_pg_relay_from_server)(
            &rig->relay, (const uint8_t *)data + at, AK_MIN(rig->step, len - at), &rig->to_server,
            &rig->to_client, NULL);
    return r;
}

/* A message; a body given as a literal has its NUL unless `len` says otherwise. */
static int message(struct rig *rig, bool client, char type, const void *body, size_t len)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(16 << 20);

    assert_int_equal(ak_pg_put_message(&out, type, body, len), 0);
    return feed(rig, client, out.data, out.len);
}

#define CLIENT(type, body) assert_int_equal(message(rig, true, type, body, sizeof(body)), 0)
#define SERVER(type, body) assert_int_equal(message(rig, false, type, body, sizeof(body)), 0)
#define BARE(client, type) assert_int_equal(message(rig, client, type, NULL, 0), 0)
#define READY(state) assert_int_equal(message(rig, false, 'Z', state, 1), 0)

/* The types of the messages in a buffer, which is emptied. */
static const char *types(struct ak_buf *buf)
{
    static char text[8192];
    size_t n = 0;

    for (size_t at = 0; at < buf->len; n++) {
        assert_true(n < sizeof(text) - 1 && buf->len - at >= AK_PG_HEADER);
        text[n] = buf->data[at];
        at += 1 + ak_pg_read32((const uint8_t *)buf->data + at + 1);
        assert_true(at <= buf->len);
    }
    text[n] = '\0';
    ak_buf_clear(buf);
    return text;
}

static const size_t steps[] = {1, 2, 3, 5, 7, 64, 100000};
#define FOR_EACH_STEP(reads_only)                                                                  \
    for (size_t i = 0; i < AK_ARRAY_LEN(steps); i++)                                               \
        for (struct rig the_rig, *rig = (rig_init(&the_rig, reads_only, steps[i]), &the_rig); rig; \
             rig_done(rig), rig = NULL)

static void extended(struct rig *rig, const char *sql)
{
    AK_AUTO(ak_buf) parse = AK_BUF_INIT(4096);

    assert_int_equal(ak_buf_add(&parse, "", 1), 0);
    assert_int_equal(ak_buf_add(&parse, sql, strlen(sql) + 1), 0);
    assert_int_equal(ak_buf_add(&parse, "\0\0", 2), 0);
    assert_int_equal(message(rig, true, 'P', parse.data, parse.len), 0);
    assert_int_equal(message(rig, true, 'B', "\0\0\0\0\0\0\0\0", 8), 0);
    assert_int_equal(message(rig, true, 'D', "P", 2), 0);
    assert_int_equal(message(rig, true, 'E', "\0\0\0\0\0", 5), 0);
}

static void test_a_simple_query_is_one_statement(void **state)
{
    (void)state;
    FOR_EACH_STEP(false)
    {
        CLIENT('Q', "SELECT 1");
        SERVER('T', "columns");
        SERVER('D', "row");
        SERVER('D', "row");
        SERVER('C', "SELECT 2");
        assert_true(rig->relay.is_busy);
        READY("I");
        assert_false(rig->relay.is_busy);
        assert_string_equal(rig->seen.text, "+read:SELECT 1 -SELECT 1/2/ok ");
        assert_string_equal(types(&rig->to_server), "Q");
        assert_string_equal(types(&rig->to_client), "TDDCZ");
    }
}

static void test_extended_statements_end_in_their_order(void **state)
{
    (void)state;
    FOR_EACH_STEP(false)
    {
        extended(rig, "SELECT 1");
        extended(rig, "DELETE FROM t");
        BARE(true, 'S');
        for (int k = 0; k < 2; k++) {
            BARE(false, '1');
            BARE(false, '2');
            if (k == 0) {
                SERVER('T', "columns");
                SERVER('D', "row");
                SERVER('C', "SELECT 1");
            } else {
                BARE(false, 'n');
                SERVER('C', "DELETE 7");
            }
        }
        READY("I");
        assert_string_equal(rig->seen.text, "+read:SELECT 1 +write:DELETE FROM t -SELECT 1/1/ok "
                                            "-DELETE FROM t/7/ok ");
        assert_string_equal(types(&rig->to_server), "PBDEPBDES");
        assert_string_equal(types(&rig->to_client), "12TDC12nCZ");
    }
}

static void test_after_an_error_the_rest_up_to_sync_never_ran(void **state)
{
    static const char error[] = "SERROR\0C22012\0Mdivision by zero\0";

    (void)state;
    FOR_EACH_STEP(false)
    {
        extended(rig, "SELECT 1/0");
        extended(rig, "SELECT 2");
        BARE(true, 'S');
        extended(rig, "SELECT 3");
        BARE(true, 'S');
        BARE(false, '1');
        BARE(false, '2');
        BARE(false, 'n');
        SERVER('E', error);
        READY("I");
        BARE(false, '1');
        BARE(false, '2');
        BARE(false, 'n');
        SERVER('C', "SELECT 1");
        READY("I");
        assert_string_equal(rig->seen.text, "+read:SELECT 1/0 +read:SELECT 2 +read:SELECT 3 "
                                            "-SELECT 1/0/-1/22012 -SELECT 2/-1/x -SELECT 3/1/ok ");
    }
}

static void test_a_refused_statement_fails_in_its_place_with_the_reason(void **state)
{
    static const char error[] = "SERROR\0C42601\0Msyntax error at or near \"agentkube_refused\"\0";

    (void)state;
    FOR_EACH_STEP(false)
    {
        rig->seen.refuse = "secret";
        CLIENT('Q', "SELECT secret");
        assert_null(memmem(rig->to_server.data, rig->to_server.len, "secret", 6));
        assert_string_equal(types(&rig->to_server), "Q");
        SERVER('E', error);
        assert_non_null(memmem(rig->to_client.data, rig->to_client.len, "no: secret", 10));
        assert_null(memmem(rig->to_client.data, rig->to_client.len, "syntax", 6));
        READY("I");
        assert_string_equal(types(&rig->to_client), "EZ");
        /* Executed after it was prepared: refused there. */
        extended(rig, "SELECT secret");
        BARE(true, 'S');
        assert_string_equal(types(&rig->to_server), "PBDES");
        BARE(false, '1');
        BARE(false, '2');
        SERVER('T', "columns");
        SERVER('E', error);
        READY("I");
        assert_non_null(memmem(rig->to_client.data, rig->to_client.len, "no: secret", 10));
        assert_string_equal(types(&rig->to_client), "12TEZ");
        assert_string_equal(rig->seen.text, "");
    }
}

static void test_a_reading_session_sends_only_what_reads(void **state)
{
    static const struct {
        const char *sql;
        bool passes;
    } cases[] = {
        {"SELECT 1", true},
        {"SELECT count(*) FROM t", true},
        {"BEGIN", true},
        {"BEGIN READ ONLY", true},
        {"BEGIN READ WRITE", false},
        {"COMMIT", true},
        {"COMMIT; DELETE FROM t", false},
        {"SET statement_timeout = 10", true},
        {"SET LOCAL work_mem = '1MB'", true},
        {"SET TIME ZONE 'UTC'", true},
        {"SET transaction_read_only = off", false},
        {"SET TRANSACTION READ WRITE", false},
        {"SET default_transaction_read_only TO off", false},
        {"SET SESSION default_transaction_read_only TO off", false},
        {"SET /* x */ statement_timeout = 1", false},
        {"SET \"default_transaction_read_only\" = off", false},
        {"RESET ALL", false},
        {"DISCARD ALL", false},
        {"SET ROLE x", false},
        {"SET SESSION AUTHORIZATION x", false},
        {"DELETE FROM t", false},
        {"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", false},
        {"DO $$ BEGIN END $$", false},
        {"SELECT lo_create(1)", false},
        {"SELECT set_config('default_transaction_read_only', 'off', false)", false},
        {"DECLARE c CURSOR FOR SELECT 1", true},
        {"DECLARE \"c\" CURSOR WITHOUT HOLD FOR SELECT 1", true},
        {"DECLARE \"c for select 1; --\" CURSOR FOR SELECT lo_create(1)", false},
        {"DECLARE c CURSOR FOR SELECT lo_create(1)", false},
        {"CLOSE c", true},
        {"", true},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        for (int kind = 0; kind < 2; kind++) {
            struct rig the_rig, *rig = &the_rig;
            bool passed;

            rig_init(rig, true, 1000);
            if (kind == 0)
                assert_int_equal(message(rig, true, 'Q', cases[i].sql, strlen(cases[i].sql) + 1),
                                 0);
            else
                extended(rig, cases[i].sql);
            passed = !memmem(rig->to_server.data, rig->to_server.len, "agentkube_refused", 17);
            if (passed != cases[i].passes)
                fail_msg("%s: %s", cases[i].sql, passed ? "passed" : "refused");
            rig_done(rig);
        }
    }
}

static void test_copy_in_both_protocols(void **state)
{
    (void)state;
    FOR_EACH_STEP(false)
    {
        CLIENT('Q', "COPY t FROM STDIN");
        SERVER('G', "format");
        CLIENT('d', "1\n");
        BARE(true, 'c');
        SERVER('C', "COPY 1");
        READY("I");
        /* The Sync that comes with the Execute is lost on a server that waits for data. */
        extended(rig, "COPY t FROM STDIN");
        BARE(true, 'S');
        BARE(false, '1');
        BARE(false, '2');
        BARE(false, 'n');
        SERVER('G', "format");
        CLIENT('d', "1\n");
        BARE(true, 'c');
        BARE(true, 'S');
        SERVER('C', "COPY 5");
        READY("I");
        assert_int_equal(rig->relay.n_units, 0);
        CLIENT('Q', "SELECT 1");
        SERVER('C', "SELECT 1");
        READY("I");
        assert_int_equal(rig->relay.n_units, 0);
        assert_string_equal(types(&rig->to_server), "QdcPBDESdcSQ");
        assert_non_null(strstr(rig->seen.text, "-COPY t FROM STDIN/1/ok "));
        assert_non_null(strstr(rig->seen.text, "-COPY t FROM STDIN/5/ok "));
        assert_non_null(strstr(rig->seen.text, "-SELECT 1/1/ok "));
    }
}

static void test_copy_that_fails_on_the_server(void **state)
{
    (void)state;
    FOR_EACH_STEP(false)
    {
        extended(rig, "COPY t FROM STDIN");
        BARE(true, 'S');
        BARE(false, '1');
        BARE(false, '2');
        BARE(false, 'n');
        SERVER('G', "format");
        CLIENT('d', "broken\n");
        SERVER('E', "SERROR\0C22P04\0Mno\0");
        BARE(true, 'c');
        BARE(true, 'S');
        READY("I");
        assert_int_equal(rig->relay.n_units, 0);
    }
}

static void test_many_unanswered_messages_make_the_client_wait(void **state)
{
    struct rig the_rig, *rig = &the_rig;
    AK_AUTO(ak_buf) batch = AK_BUF_INIT(1 << 20);
    size_t answered = 0;

    (void)state;
    rig_init(rig, false, 32768);
    for (int k = 0; k < 3 * AK_PG_MAX_UNITS; k++)
        assert_int_equal(ak_pg_put_message(&batch, 'Q', "SELECT 1", 9), 0);
    for (size_t at = 0; at < batch.len || ak_pg_relay_is_paused(&rig->relay);) {
        while (at < batch.len && !ak_pg_relay_is_paused(&rig->relay)) {
            const size_t n = AK_MIN((size_t)4096, batch.len - at);

            assert_int_equal(feed(rig, true, batch.data + at, n), 0);
            at += n;
        }
        assert_true(rig->relay.n_units <= AK_PG_MAX_UNITS);
        assert_true(rig->relay.waiting.len <= 4096);
        SERVER('C', "SELECT 1");
        READY("I");
        answered++;
    }
    while (rig->relay.n_units) {
        READY("I");
        answered++;
    }
    assert_int_equal(answered, 3 * AK_PG_MAX_UNITS);
    rig_done(rig);
}

static void test_a_long_statement_streams_and_is_unknown(void **state)
{
    const size_t len = 5 << 20;
    char *text = ak_malloc(len);

    (void)state;
    memset(text, ' ', len);
    memcpy(text, "SELECT", 6);
    text[len - 1] = '\0';
    for (size_t i = 0; i < 2; i++) {
        struct rig the_rig, *rig = &the_rig;
        size_t sent = 0;
        AK_AUTO(ak_buf) out = AK_BUF_INIT(16 << 20);

        rig_init(rig, i == 1, 32768);
        assert_int_equal(ak_pg_put_message(&out, 'Q', text, len), 0);
        for (size_t at = 0; at < out.len; at += 32768) {
            assert_int_equal(feed(rig, true, out.data + at, AK_MIN((size_t)32768, out.len - at)),
                             0);
            assert_true(rig->to_server.len <= AK_PG_TEXT_MAX + 65536);
            sent += rig->to_server.len;
            ak_buf_clear(&rig->to_server);
        }
        if (i == 0) {
            assert_int_equal(sent, out.len);
            assert_true(strncmp(rig->seen.text, "+unknown:SELECT", 15) == 0);
        } else {
            assert_true(sent < 100);
        }
        rig_done(rig);
    }
    ak_free(text);
}

static void test_prepared_statements_are_limited(void **state)
{
    struct rig the_rig, *rig = &the_rig;

    (void)state;
    rig_init(rig, false, 32768);
    for (int k = 0; k <= AK_PG_MAX_STATEMENTS; k++) {
        char body[64] = {0};
        const int n = snprintf(body, sizeof(body), "s%d", k);

        memcpy(body + n + 1, "SELECT 1", 9);
        assert_int_equal(message(rig, true, 'P', body, (size_t)n + 1 + 9 + 2), 0);
        if (k < AK_PG_MAX_STATEMENTS) {
            BARE(false, '1');
        } else {
            SERVER('E', "SERROR\0C42601\0Msyntax error\0");
            assert_non_null(
                memmem(rig->to_client.data, rig->to_client.len, "too many prepared", 17));
        }
        ak_buf_clear(&rig->to_server);
    }
    /* Closed ones make room. */
    CLIENT('C', "Ss7");
    BARE(false, '3');
    assert_int_equal(message(rig, true, 'P', "again\0SELECT 1\0\0", 17), 0);
    assert_null(memmem(rig->to_server.data, rig->to_server.len, "refused", 7));
    rig_done(rig);
}

static void test_what_is_no_message_ends_the_relay(void **state)
{
    static const struct {
        bool client;
        const char *data;
        size_t len;
        int result;
    } cases[] = {
        {true, "Q\0\0\0\3", 5, 1},
        {true, "Q\xff\xff\xff\xff", 5, 1},
        {true, "?\0\0\0\4", 5, 1},
        {true, "p\0\0\0\4", 5, 1},
        {false, "T\0\0\0\0", 5, AK_E_PROTOCOL},
        {false, "HTTP/", 5, AK_E_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct rig rig;

        rig_init(&rig, false, 1);
        assert_int_equal(feed(&rig, cases[i].client, cases[i].data, cases[i].len), cases[i].result);
        if (cases[i].result == 1)
            assert_string_equal(types(&rig.to_client), "E");
        rig_done(&rig);
    }
}

static void test_no_memory_is_an_error_and_nothing_leaks(void **state)
{
    AK_AUTO(ak_buf) wire = AK_BUF_INIT(4096);
    bool failed = true;

    (void)state;
    assert_int_equal(ak_pg_put_message(&wire, 'P', "s\0SELECT 1\0\0\0", 13), 0);
    assert_int_equal(ak_pg_put_message(&wire, 'B', "p\0s\0\0\0\0\0\0\0", 10), 0);
    assert_int_equal(ak_pg_put_message(&wire, 'E', "p\0\0\0\0\0", 6), 0);
    assert_int_equal(ak_pg_put_message(&wire, 'Q', "SELECT secret", 14), 0);
    for (int64_t n = 0; failed; n++) {
        struct rig the_rig, *rig = &the_rig;
        int r;

        memset(rig, 0, sizeof(*rig));
        rig->to_server = (struct ak_buf)AK_BUF_INIT(1 << 20);
        rig->to_client = (struct ak_buf)AK_BUF_INIT(1 << 20);
        rig->step = 100;
        rig->seen.refuse = "secret";
        (void)ak_alloc_fail_after(n);
        r = ak_pg_relay_init(&rig->relay, AK_TOOL_TYPE_POSTGRES, false, &hooks, &rig->seen);
        if (r == 0) {
            r = ak_pg_relay_from_client(&rig->relay, (const uint8_t *)wire.data, wire.len,
                                        &rig->to_server, &rig->to_client, NULL);
        }
        failed = ak_alloc_fail_after(-1);
        assert_true(failed ? r == -ENOMEM || r == 0 : r == 0);
        ak_pg_relay_done(&rig->relay);
        assert_int_equal(rig->seen.open, 0);
        ak_buf_done(&rig->to_server);
        ak_buf_done(&rig->to_client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_simple_query_is_one_statement),
        cmocka_unit_test(test_extended_statements_end_in_their_order),
        cmocka_unit_test(test_after_an_error_the_rest_up_to_sync_never_ran),
        cmocka_unit_test(test_a_refused_statement_fails_in_its_place_with_the_reason),
        cmocka_unit_test(test_a_reading_session_sends_only_what_reads),
        cmocka_unit_test(test_copy_in_both_protocols),
        cmocka_unit_test(test_copy_that_fails_on_the_server),
        cmocka_unit_test(test_many_unanswered_messages_make_the_client_wait),
        cmocka_unit_test(test_a_long_statement_streams_and_is_unknown),
        cmocka_unit_test(test_prepared_statements_are_limited),
        cmocka_unit_test(test_what_is_no_message_ends_the_relay),
        cmocka_unit_test(test_no_memory_is_an_error_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
