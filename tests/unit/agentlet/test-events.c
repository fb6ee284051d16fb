/* SPDX-License-Identifier: Apache-2.0 */
/* The file of events, and its way to a client. */
#include "agentlet/runs/events.h"

#include "agentlet/runs/follower.h"
#include "agentlet/runs/place.h"
#include "agentlet/runs/readable.h"

#include <ak/base/alloc.h>
#include <ak/json/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int make_folder(char path[static 32])
{
    (void)snprintf(path, 32, "/tmp/ak-events-XXXXXX");
    assert_non_null(mkdtemp(path));
    return ak_place_root(path);
}

static void remove_folder(int dir, const char *path)
{
    int parent = ak_place_root("/tmp");

    (void)close(dir);
    assert_int_equal(ak_place_remove(parent, path + strlen("/tmp/")), 0);
    (void)close(parent);
}

static void a_head_is_an_event_s_or_it_is_refused(void **state)
{
    static const struct {
        const char *text;
        int result; /* of the whole */
        uint64_t id;
    } cases[] = {
        {"{\"id\":7,\"event\":\"text\",\"data\":{}}", 30, 7},
        {"{\"id\":123456789012345,\"event\":\"tool_call\",\"data\":{", 49, 123456789012345},
        {"{\"id\":1234567890123456,\"event\":\"text\",\"data\":{}}", -EINVAL, 0},
        {"{\"id\":,\"event\":\"text\",\"data\":{}}", -EINVAL, 0},
        {"{\"id\":1,\"event\":\"\",\"data\":{}}", -EINVAL, 0},
        {"{\"id\":1,\"event\":\"Text\",\"data\":{}}", -EINVAL, 0},
        {"{\"id\":1,\"event\":\"text\",\"data\":[]}", -EINVAL, 0},
        {"{\"id\":-1,\"event\":\"text\",\"data\":{}}", -EINVAL, 0},
        {"x", -EINVAL, 0},
        {"", 0, 0},
        {"{\"id\":7,\"eve", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        struct ak_event_head head = {0};
        size_t len = strlen(cases[i].text);

        assert_int_equal(ak_event_parse_head(cases[i].text, len, &head), cases[i].result);
        if (cases[i].result <= 0)
            continue;
        assert_int_equal(head.id, cases[i].id);
        for (size_t n = 0; n <= (size_t)cases[i].result;
             n++) /* the beginning alone: wait for more */
            assert_int_equal(ak_event_parse_head(cases[i].text, n, &head), 0);
    }
}

static const char stored[] = "{\"id\":1,\"event\":\"queued\",\"data\":{\"time\":\"t\"}}\n"
                             "rubbish\n"
                             "{\"id\":2,\"event\":\"text\",\"data\":{\"text\":\"a}\rb\"}}\n"
                             "\n"
                             "{\"id\":3,\"event\":\"ended\",\"data\":{}}\n"
                             "{\"id\":4,\"event\":\"te";

static void a_stream_is_the_same_however_it_is_read(void **state)
{
    (void)state;
    for (size_t step = AK_EVENTS_MAX_HEAD; step <= sizeof(stored); step++) {
        struct ak_event_stream stream = {0};
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        size_t at = 0;
        int64_t n = 1;

        while (n > 0) {
            n = ak_event_stream_feed(&stream, stored + at, AK_MIN(step, sizeof(stored) - 1 - at),
                                     &out);
            assert_true(n >= 0);
            at += (size_t)n;
        }
        assert_string_equal(ak_buf_text(&out), "id: 1\nevent: queued\ndata: {\"time\":\"t\"}\n\n"
                                               "id: 2\nevent: text\ndata: {\"text\":\"a} b\"}\n\n"
                                               "id: 3\nevent: ended\ndata: {}\n\n");
    }
}

static void a_stream_begins_after_what_is_known(void **state)
{
    struct ak_event_stream stream = {.after = 2};
    AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);

    (void)state;
    assert_true(ak_event_stream_feed(&stream, stored, sizeof(stored) - 1, &out) > 0);
    assert_string_equal(ak_buf_text(&out), "id: 3\nevent: ended\ndata: {}\n\n");
}

static void add_many(struct ak_events *events, int n)
{
    AK_AUTO_JSON *data = json_pack("{s:s}", "text", "x");

    for (int i = 0; i < n; i++)
        assert_int_equal(ak_events_add(events, "text", data, false), 0);
}

static void an_index_finds_any_event_also_after_a_restart(void **state)
{
    char path[32];
    int dir = make_folder(path);
    AK_AUTO(ak_events) events = {.fd = -1};

    (void)state;
    assert_int_equal(ak_events_create(&events, dir), 0);
    add_many(&events, 300);
    for (int round = 0; round < 2; round++) {
        for (uint64_t after = 0; after < 300; after += 7) {
            char block[64];
            struct ak_event_head head;
            uint64_t offset = ak_events_offset(&events, after);

            assert_int_equal(pread(events.fd, block, sizeof(block), (off_t)offset), sizeof(block));
            assert_true(ak_event_parse_head(block, sizeof(block), &head) > 0);
            assert_true(head.id <= after + 1 && head.id + AK_EVENTS_STRIDE > after);
        }
        ak_events_done(&events);
        assert_int_equal(ak_events_resume(&events, dir), 0);
        assert_int_equal(events.last, 300);
    }
    assert_int_equal(write(events.fd, "", 0), 0);
    assert_int_equal(pwrite(events.fd, "{\"id\":301,\"ev", 13, (off_t)events.bytes), 13);
    ak_events_done(&events);
    assert_int_equal(ak_events_resume(&events, dir), 0);
    add_many(&events, 100);
    assert_int_equal(events.last, 400);
    assert_true(ak_events_offset(&events, 399) > ak_events_offset(&events, 300));
    ak_events_done(&events);
    remove_folder(dir, path);
}

static void there_is_a_limit_and_the_end_fits_beyond_it(void **state)
{
    char path[32];
    int dir = make_folder(path);
    AK_AUTO(ak_events) events = {.fd = -1};

    (void)state;
    assert_int_equal(ak_events_create(&events, dir), 0);
    events.bytes = AK_EVENTS_MAX_BYTES - 10;
    add_many(&events, 1);
    assert_int_equal(ak_events_add(&events, "text", NULL, false), 1);
    assert_int_equal(ak_events_add(&events, "ended", NULL, true), 0);
    assert_int_equal(events.last, 2);
    assert_int_equal(events.dropped, 1);
    assert_true(ak_events_is_truncated(&events));
    ak_events_done(&events);
    remove_folder(dir, path);
}

static void without_memory_an_event_is_counted_and_the_next_one_fits(void **state)
{
    char path[32];
    int dir = make_folder(path);
    AK_AUTO(ak_events) events = {.fd = -1};
    AK_AUTO_JSON *data = json_pack("{s:s}", "text", "x");
    int r = -ENOMEM;

    (void)state;
    assert_int_equal(ak_events_create(&events, dir), 0);
    for (int64_t n = 0; r < 0; n++) {
        (void)ak_alloc_fail_after(n);
        r = ak_events_add(&events, "text", data, false);
        (void)ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
    }
    assert_int_equal(events.last, 1);
    add_many(&events, 200);
    assert_int_equal(events.n_index, 2);
    ak_events_done(&events);
    remove_folder(dir, path);
}

static void events_are_readable(void **state)
{
    static const struct {
        const char *type, *data, *text;
    } cases[] = {
        {"text", "{\"text\":\"two\\nlines\"}", "two\nlines\n"},
        {"stdout", "{\"text\":\"piece\",\"partial\":true}", "piece"},
        {"stderr", "{\"text\":\"\"}", "\n"},
        {"tool_call", "{\"name\":\"Bash\",\"input\":{\"a\":1}}", "[tool] Bash {\"a\":1}\n"},
        {"tool_call", "{}", "[tool] ? \n"},
        {"tool_result", "{\"text\":\"no\\nway\",\"isError\":true}", "[tool failed] no way\n"},
        {"step", "{\"name\":\"s\",\"phase\":\"Running\",\"attempt\":2}",
         "[step s] Running (attempt 2)\n"},
        {"notice", "{\"message\":\"m\"}", "[notice] m\n"},
        {"ended",
         "{\"record\":{\"phase\":\"Failed\",\"durationMilliseconds\":1234,\"message\":\"w\"}}",
         "[ended] Failed after 1.234 s: w\n"},
        {"usage", "{\"turns\":1}", ""},
        {"other", "{\"raw\":1}", ""},
        {"unheard_of", "{}", ""},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(4096);
        AK_AUTO_JSON *data = NULL;

        assert_int_equal(ak_json_parse(cases[i].data, strlen(cases[i].data), &data, NULL), 0);
        assert_int_equal(ak_readable_add(&out, cases[i].type, data), 0);
        assert_string_equal(ak_buf_text(&out), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_an_event_s_or_it_is_refused),
        cmocka_unit_test(a_stream_is_the_same_however_it_is_read),
        cmocka_unit_test(a_stream_begins_after_what_is_known),
        cmocka_unit_test(an_index_finds_any_event_also_after_a_restart),
        cmocka_unit_test(there_is_a_limit_and_the_end_fits_beyond_it),
        cmocka_unit_test(without_memory_an_event_is_counted_and_the_next_one_fits),
        cmocka_unit_test(events_are_readable),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
