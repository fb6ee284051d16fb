/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and records: what comes from outside, and what the agent may have damaged. */
#include "agentlet/runs/record.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agentlet/runs/place.h"

#include <cmocka.h>

static const char request_text[] =
    "{\"prompt\":\"do it\",\"requestedBy\":\"me\",\"timeoutSeconds\":60,\"trigger\":\"Schedule\","
    "\"scheduledTime\":\"2026-01-05T10:00:00Z\",\"steps\":["
    "{\"name\":\"a\",\"run\":\"true\",\"retries\":2,\"timeoutSeconds\":5,\"continueOnError\":true},"
    "{\"name\":\"b\",\"prompt\":\"say\"},"
    "{\"name\":\"c\",\"tool\":{\"name\":\"echo\",\"arguments\":{\"x\":1}}}]}";

static int parse(struct ak_arena *arena, struct ak_request *ret, struct ak_error **reterr)
{
    return ak_request_parse(request_text, strlen(request_text), arena, ret, reterr);
}

static void a_request_is_taken_whole(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_request request;

    (void)state;
    ak_arena_init(&arena, 1024, 1u << 20);
    assert_int_equal(parse(&arena, &request, NULL), 0);
    assert_string_equal(request.prompt, "do it");
    assert_string_equal(request.requested_by, "me");
    assert_true(request.is_scheduled);
    assert_int_equal(request.timeout, AK_SECONDS(60));
    assert_int_equal(request.n_steps, 3);
    assert_int_equal(request.steps[0].kind, AK_STEP_RUN);
    assert_int_equal(request.steps[0].retries, 2);
    assert_int_equal(request.steps[0].timeout, AK_SECONDS(5));
    assert_true(request.steps[0].continue_on_error);
    assert_true(request.steps[1].timeout == AK_MSEC_NEVER);
    assert_string_equal(request.steps[2].text, "echo");
    assert_string_equal(request.steps[2].arguments, "{\"x\":1}");
}

static void memory_may_end_anywhere(void **state)
{
    int r = -ENOMEM;

    (void)state;
    for (int64_t n = 0; r < 0; n++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        AK_AUTO_JSON *record = NULL;
        struct ak_request request;

        ak_arena_init(&arena, 64, 1u << 20);
        (void)ak_alloc_fail_after(n);
        r = parse(&arena, &request, &err);
        if (r >= 0) {
            record = ak_record_new("x", "system", "ns", "name", &request, 1000);
            r = record ? 0 : -ENOMEM;
        }
        if (r >= 0)
            r = ak_record_set_text(record, "message", "text");
        (void)ak_alloc_fail_after(-1);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(n < 1000);
    }
}

/* Makes a folder that is removed by the caller. */
static int make_folder(char path[static 32])
{
    (void)snprintf(path, 32, "/tmp/ak-record-XXXXXX");
    assert_non_null(mkdtemp(path));
    return ak_place_root(path);
}

static void remove_folder(int dir, const char *path)
{
    int parent = ak_place_root("/tmp");

    (void)close(dir);
    assert_int_equal(ak_place_remove(parent, path + strlen("/tmp/")), 0);
    (void)close(parent);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_record_survives_the_disk(void **state)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_JSON *record = NULL;
    AK_AUTO_JSON *loaded = NULL;
    struct ak_request request;
    const struct ak_record_private private = {.sequence = 7, .oom_kills = 2};
    struct ak_record_private read_back = {0};
    char path[32];
    int dir = make_folder(path);

    (void)state;
    ak_arena_init(&arena, 1024, 1u << 20);
    assert_int_equal(parse(&arena, &request, NULL), 0);
    record = ak_record_new("x-1", "system", "ns", "name", &request, AK_SECONDS(1700000000));
    assert_int_equal(ak_record_set_number(record, "exitCode", 3), 0);
    assert_int_equal(ak_record_set_text(record, "result",
                                        "a\xff"
                                        "b"),
                     0);
    assert_int_equal(ak_record_save(dir, record, &private, AK_PLACE_SYNC), 0);
    assert_int_equal(ak_record_load(dir, "x-1", &loaded, &read_back), 0);
    assert_true(json_equal(record, loaded));
    assert_int_equal(read_back.sequence, 7);
    assert_int_equal(read_back.oom_kills, 2);
    assert_string_equal(ak_json_text(loaded, "result", NULL), "a\xef\xbf\xbd"
                                                              "b");
    assert_int_equal(json_array_size(json_object_get(loaded, "steps")), 3);
    json_decref(loaded);
    loaded = NULL;
    assert_int_equal(ak_record_load(dir, "x-2", &loaded, &read_back), -EINVAL);
    assert_null(loaded);
    remove_folder(dir, path);
}

static void what_the_agent_wrote_is_checked(void **state)
{
#define GOOD "\"id\":\"x\",\"phase\":\"Failed\",\"queuedTime\":\"2026-01-05T10:00:00Z\""
    static const struct {
        const char *text;
        const char *result; /* NULL: no record */
    } cases[] = {
        {"{" GOOD "}", "{" GOOD "}"},
        {"{" GOOD ",\"evil\":1,\"agent\":{\"name\":\"n\",\"more\":2}}",
         "{" GOOD ",\"agent\":{\"name\":\"n\"}}"},
        {"{" GOOD ",\"exitCode\":\"3\",\"truncated\":1,\"message\":\"\",\"usage\":[]}",
         "{" GOOD "}"},
        {"{" GOOD ",\"exitCode\":-3,\"lastEvent\":1.5}", "{" GOOD "}"},
        {"{" GOOD ",\"steps\":[1,{\"name\":\"a\",\"x\":1}]}",
         "{" GOOD ",\"steps\":[{},{\"name\":\"a\"}]}"},
        {"", NULL},
        {"[]", NULL},
        {"{}", NULL},
        {"{\"id\":\"y\",\"phase\":\"Failed\",\"queuedTime\":\"2026-01-05T10:00:00Z\"}", NULL},
        {"{\"id\":\"x\",\"phase\":\"Won\",\"queuedTime\":\"2026-01-05T10:00:00Z\"}", NULL},
        {"{\"id\":\"x\",\"phase\":\"Failed\"}", NULL},
        {"{\"id\":\"x\",\"phase\":\"Failed\",\"queuedTime\":7}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO_JSON *record = NULL;
        AK_AUTO_JSON *wanted = NULL;
        struct ak_record_private private;
        int r = ak_record_parse(cases[i].text, strlen(cases[i].text), "x", &record, &private);

        assert_int_equal(r, cases[i].result ? 0 : -EINVAL);
        if (!cases[i].result)
            continue;
        assert_int_equal(ak_json_parse(cases[i].result, strlen(cases[i].result), &wanted, NULL), 0);
        assert_true(json_equal(record, wanted));
    }
}

static void links_and_pipes_are_not_followed(void **state)
{
    char path[32];
    int dir = make_folder(path);
    AK_AUTO_TEXT char *victim = ak_asprintf("%s/victim", path);
    AK_AUTO_TEXT char *home = ak_asprintf("%s/home", path);
    AK_AUTO_TEXT char *file = ak_asprintf("%s/a/b/c", home);
    AK_AUTO_TEXT char *outside = ak_asprintf("%s/../x", home);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(100);

    (void)state;
    assert_int_equal(ak_place_write(dir, "victim", "precious", 8, 0600, 0), 0);
    assert_int_equal(symlinkat(victim, dir, "link"), 0);
    assert_int_equal(mkfifoat(dir, "pipe", 0600), 0);
    assert_int_equal(ak_place_open(dir, "link", 0), -ELOOP);
    assert_int_equal(ak_place_open(dir, "pipe", 0), -EINVAL);
    assert_int_equal(ak_place_write(dir, "link", "new", 3, 0600, 0), 0);
    assert_int_equal(ak_place_write_below(home, file, "one", 3, 0600), 0);
    assert_int_equal(ak_place_remove(dir, "home/a"), 0);
    assert_int_equal(symlinkat(path, dir, "home/a"), 0);
    assert_int_equal(ak_place_write_below(home, file, "two", 3, 0640), 0);
    assert_int_equal(ak_place_write_below(home, outside, "no", 2, 0600), -EINVAL);
    assert_int_equal(ak_place_write_below(home, path, "no", 2, 0600), -EINVAL);
    assert_int_equal(ak_place_read(dir, "home/a/b/c", &text), 0);
    assert_string_equal(ak_buf_text(&text), "two");
    ak_buf_clear(&text);
    assert_int_equal(ak_place_read(dir, "victim", &text), 0);
    assert_string_equal(ak_buf_text(&text), "precious");
    /* A folder where a file should be makes way. */
    assert_int_equal(ak_place_write(dir, "home/a", "file", 4, 0600, 0), 0);
    remove_folder(dir, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_whole),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(a_record_survives_the_disk),
        cmocka_unit_test(what_the_agent_wrote_is_checked),
        cmocka_unit_test(links_and_pipes_are_not_followed),
    };

    ak_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
