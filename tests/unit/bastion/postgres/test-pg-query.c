/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/postgres/pg_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/json/json.h>

#include "bastion/engines/postgres/pg_start.h"

/* A connection on which the server has said all of this already. */
struct rig {
    struct ak_pg *pg;
    int server;
};

static bool rig_init(struct rig *rig, const struct ak_buf *said)
{
    int fds[2];

    rig->pg = ak__pg_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rig->server = fds[1];
    assert_int_equal(write(fds[1], said->data, said->len), said->len);
    if (!rig->pg) {
        close(fds[0]);
        return false;
    }
    return ak_wire_from_fd(fds[0], NULL, &rig->pg->wire, NULL) >= 0;
}

static void rig_done(struct rig *rig)
{
    ak_pg_free(rig->pg);
    close(rig->server);
}

static void add(struct ak_buf *said, char type, const void *body, size_t len)
{
    assert_int_equal(ak_pg_put_message(said, type, body, len), 0);
}

/* One column "n", an integer, and rows of one digit each. */
static void add_rows(struct ak_buf *said, size_t n)
{
    add(said, '1', NULL, 0);
    add(said, '2', NULL, 0);
    add(said, 'T', "\0\1n\0\0\0\0\0\0\0\0\0\0\27\0\4\377\377\377\377\0\0", 22);
    for (size_t i = 0; i < n; i++) {
        char row[7] = "\0\1\0\0\0\1";

        row[6] = (char)('0' + i % 10);
        add(said, 'D', row, sizeof(row));
    }
}

static int run(const struct ak_buf *said, const struct ak_pg_query *query, json_t **ret,
               struct ak_error **reterr)
{
    struct rig rig;
    struct ak_pg_result result = {NULL};
    int r = -ENOMEM;

    if (rig_init(&rig, said))
        r = ak_pg_query(rig.pg, query, &result, reterr);
    rig_done(&rig);
    if (r >= 0)
        *ret = result.value;
    return r;
}

static void check(const struct ak_buf *said, const struct ak_pg_query *query, const char *expected)
{
    AK_AUTO_JSON *value = NULL;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(65536);
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = run(said, query, &value, &err);

    if (r < 0)
        fail_msg("%s", ak_error_message(err));
    assert_int_equal(ak_json_write(value, &text, NULL), 0);
    assert_string_equal(text.data, expected);
}

#define COLUMNS "{\"columns\":[{\"name\":\"n\",\"type\":\"integer\"}],"
#define QUERY(...)                                                                                 \
    ((struct ak_pg_query){                                                                         \
        .sql = "SELECT n", .sql_len = 8, .max_rows = 3, .max_bytes = 1000, __VA_ARGS__})

static void test_rows_become_json_within_limits(void **state)
{
    AK_AUTO(ak_buf) two = AK_BUF_INIT(65536), five = AK_BUF_INIT(65536);
    const struct ak_pg_query reading = QUERY(.may_stop = true), whole = QUERY(.may_stop = false);
    struct ak_pg_query small = QUERY(.may_stop = true);

    (void)state;
    add_rows(&two, 2);
    add(&two, 'C', "SELECT 2", 9);
    add(&two, 'Z', "I", 1);
    check(&two, &reading,
          COLUMNS
          "\"rows\":[[0],[1]],\"rowCount\":2,\"truncated\":false,\"command\":\"SELECT 2\"}");
    /* What only reads stops at the limit, without waiting for what the server says afterwards: here, nothing. */
    add_rows(&five, 5);
    check(&five, &reading, COLUMNS "\"rows\":[[0],[1],[2]],\"rowCount\":3,\"truncated\":true}");
    add(&five, 'C', "DELETE 5", 9);
    add(&five, 'Z', "I", 1);
    check(&five, &whole,
          COLUMNS
          "\"rows\":[[0],[1],[2]],\"rowCount\":5,\"truncated\":true,\"command\":\"DELETE 5\"}");
    small.max_bytes = 10;
    check(&five, &small, COLUMNS "\"rows\":[[0]],\"rowCount\":1,\"truncated\":true}");
}

static void test_what_the_server_breaks_is_an_error(void **state)
{
    static const struct {
        const char *about;
        const char *data;
        size_t len;
    } cases[] = {
        {"nothing", "", 0},
        {"half a head", "D\0\0", 3},
        {"a length below its own", "D\0\0\0\3", 5},
        {"a row before its columns", "D\0\0\0\13\0\1\0\0\0\1x", 12},
        {"a row that ends early", "T\0\0\0\6\0\0D\0\0\0\6\0\1", 14},
        {"more columns than there are bytes", "T\0\0\0\6\0\7", 7},
        {"more columns than a table has", "T\0\0\0\6\377\377", 7},
        {"a message that is too large to be kept", "T\1\0\0\0", 5},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) said = AK_BUF_INIT(1024);
        const struct ak_pg_query query = QUERY(.may_stop = true);
        struct ak_pg_result result = {NULL};
        struct rig rig;
        int r;

        assert_int_equal(ak_buf_add(&said, cases[i].data, cases[i].len), 0);
        assert_true(rig_init(&rig, &said));
        (void)shutdown(rig.server, SHUT_WR);
        r = ak_pg_query(rig.pg, &query, &result, NULL);
        if (r >= 0)
            fail_msg("%s: accepted", cases[i].about);
        rig_done(&rig);
    }
}

static void test_parameters_are_checked_before_anything_is_sent(void **state)
{
    static const struct {
        const char *params;
        int code;
    } cases[] = {{"{}", -EINVAL},
                 {"\"x\"", -EINVAL},
                 {"[\"a\\u0000b\"]", -EINVAL},
                 {"[1,null,true,\"x\",0.5]", 0}};

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) said = AK_BUF_INIT(1024);
        AK_AUTO_JSON *params = json_loads(cases[i].params, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        AK_AUTO_JSON *value = NULL;
        const struct ak_pg_query query = QUERY(.params = params);

        assert_non_null(params);
        add_rows(&said, 1);
        add(&said, 'C', "SELECT 1", 9);
        add(&said, 'Z', "I", 1);
        assert_int_equal(run(&said, &query, &value, NULL), cases[i].code);
    }
}

static void test_no_memory_is_an_error(void **state)
{
    AK_AUTO(ak_buf) said = AK_BUF_INIT(65536);
    bool failed = true;

    (void)state;
    add(&said, 'S', "server_version\00015", 18);
    add_rows(&said, 3);
    add(&said, 'C', "SELECT 3", 9);
    add(&said, 'Z', "I", 1);
    for (int64_t n = 0; failed; n++) {
        const struct ak_pg_query query = QUERY(.may_stop = true);
        AK_AUTO_JSON *value = NULL;
        int r;

        (void)ak_alloc_fail_after(n);
        r = run(&said, &query, &value, NULL);
        failed = ak_alloc_fail_after(-1);
        assert_true(failed ? r == -ENOMEM || r == 0 : r == 0);
        if (r == 0)
            assert_int_equal(json_array_size(json_object_get(value, "rows")), 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_become_json_within_limits),
        cmocka_unit_test(test_what_the_server_breaks_is_an_error),
        cmocka_unit_test(test_parameters_are_checked_before_anything_is_sent),
        cmocka_unit_test(test_no_memory_is_an_error),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
