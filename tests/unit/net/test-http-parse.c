/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <ak/base/alloc.h>

#include "../../../lib/net/http_parse.h"

#define HOST "Host: h\r\n"

static const struct {
    const char *text;
    int result;       /* 1, 0 (incomplete), or the refusal */
    const char *path; /* of a complete one */
    const char *body;
    const char *why;
} cases[] = {
    {"GET /a?b=c HTTP/1.1\r\n" HOST "\r\n", 1, "/a", "", "a plain request"},
    {"GET /a HTTP/1.1\n"
     "Host: h\n\n",
     1, "/a", "", "line feeds alone"},
    {"\r\n\r\nGET /a HTTP/1.1\r\n" HOST "\r\n", 1, "/a", "", "empty lines before it"},
    {"GET http://x/a HTTP/1.1\r\n" HOST "\r\n", 1, "/a", "", "as a proxy is asked"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 1, "*", "", "the server itself"},
    {"GET / HTTP/1.0\r\n\r\n", 1, "/", "", "1.0 needs no Host"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 1, "/", "abc", "a body"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab", 0, NULL, NULL, "half a body"},
    {"POST / HTTP/1.1\r\n" HOST
     "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n",
     1, "/", "abcde", "chunks, an extension, a trailer"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", 0, NULL,
     NULL, "the last line is missing"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", -400, NULL, NULL,
     "a chunk longer than it says"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", -400, NULL, NULL,
     "no chunk size"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", -413,
     NULL, NULL, "a chunk size that overflows"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n9\r\n", -413,
     NULL, NULL, "chunks that are too long together"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n", -413, NULL, NULL, "a body too long"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", -400, NULL, NULL,
     "a negative length"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", -400, NULL, NULL,
     "two lengths"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -400,
     NULL, NULL, "smuggling: length and chunks"},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", -400, NULL, NULL, "chunks in 1.0"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", -501, NULL, NULL,
     "a coding that we do not know"},
    {"GET / HTTP/1.1\r\n\r\n", -400, NULL, NULL, "no Host"},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", -400, NULL, NULL, "two Hosts"},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", -505, NULL, NULL, "another version"},
    {"GET / FTP/1.1\r\n\r\n", -400, NULL, NULL, "another protocol"},
    {"GET /\r\n\r\n", -400, NULL, NULL, "HTTP/0.9"},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", -400, NULL, NULL, "two blanks"},
    {"G(T / HTTP/1.1\r\n" HOST "\r\n", -400, NULL, NULL, "a method that is no token"},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", -400, NULL, NULL, "a relative path"},
    {"GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", -400, NULL, NULL, "a blank before the colon"},
    {"GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", -400, NULL, NULL, "a folded line"},
    {"GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", -400, NULL, NULL, "a bare CR"},
    {"GET / HTTP/1.1\r\n" HOST "Expect: gold\r\n\r\n", -417, NULL, NULL, "an unknown expectation"},
    {"GET / HTTP/1.1\r\n" HOST
     "A: 0123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
     -431, NULL, NULL, "a head too long"},
};

static int feed_in_steps(struct ak__http_parser *p, const char *text, size_t len, size_t step,
                         size_t *ret_used)
{
    size_t at = 0, used;
    int r = 0;

    while (r == 0 && at < len) {
        size_t n = len - at < step ? len - at : step;
        char piece[512]; /* exactly as long as it is, so that ASan sees a read too far */

        memcpy(piece + sizeof(piece) - n, text + at, n);
        r = ak__http_parser_feed(p, piece + sizeof(piece) - n, n, &used);
        at += used;
    }
    *ret_used = at;
    return r;
}

static void requests_come_out_the_same_however_the_bytes_arrive(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 400; step += step < 8 ? 1 : 97) {
            struct ak__http_parser p;
            size_t used;
            int r;

            ak__http_parser_init(&p, 160, 16);
            r = feed_in_steps(&p, cases[i].text, strlen(cases[i].text), step, &used);
            if (r != cases[i].result)
                fail_msg("%s, in steps of %zu: %d instead of %d", cases[i].why, step, r,
                         cases[i].result);
            if (r == 1) {
                assert_string_equal(p.path, cases[i].path);
                assert_string_equal(ak_buf_text(&p.body), cases[i].body);
                assert_int_equal(used, strlen(cases[i].text));
            }
            ak__http_parser_done(&p);
        }
    }
}

static void the_next_request_is_left_alone(void **state)
{
    const char *two =
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nX-A:  v \r\n\r\n";
    struct ak__http_parser p;
    size_t used, rest;

    (void)state;
    ak__http_parser_init(&p, 1024, 1024);
    assert_int_equal(ak__http_parser_feed(&p, two, strlen(two), &used), 1);
    assert_string_equal(p.path, "/1");
    ak__http_parser_reset(&p);
    assert_int_equal(ak__http_parser_feed(&p, two + used, strlen(two) - used, &rest), 1);
    assert_string_equal(p.path, "/2");
    assert_string_equal(ak__http_parser_header(&p, "x-a"), "v");
    assert_null(ak__http_parser_header(&p, "x-b"));
    assert_int_equal(used + rest, strlen(two));
    ak__http_parser_done(&p);
}

static void connections_are_kept_as_the_versions_say(void **state)
{
    static const struct {
        const char *text;
        bool keep;
    } kept[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct ak__http_parser p;
        size_t used;

        ak__http_parser_init(&p, 1024, 16);
        assert_int_equal(ak__http_parser_feed(&p, kept[i].text, strlen(kept[i].text), &used), 1);
        assert_int_equal(p.keep_alive, kept[i].keep);
        ak__http_parser_done(&p);
    }
}

static void memory_running_out_is_status_500_and_leaks_nothing(void **state)
{
    const char *text = cases[8].text;

    (void)state;
    for (int64_t n = 0; n < 100; n++) {
        struct ak__http_parser p;
        size_t used;
        int r;

        ak__http_parser_init(&p, 1024, 1024);
        (void)ak_alloc_fail_after(n);
        r = ak__http_parser_feed(&p, text, strlen(text), &used);
        ak__http_parser_done(&p);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 1);
            return;
        }
        assert_int_equal(r, -500);
    }
    fail_msg("never succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_out_the_same_however_the_bytes_arrive),
        cmocka_unit_test(the_next_request_is_left_alone),
        cmocka_unit_test(connections_are_kept_as_the_versions_say),
        cmocka_unit_test(memory_running_out_is_status_500_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("net/http-parse", tests, NULL, NULL);
}
