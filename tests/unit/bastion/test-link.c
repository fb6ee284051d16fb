/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define ARENA_MAX (8u << 20)

/* --- frames --- */

static void frames_arrive_whole_however_they_are_cut(void **state)
{
    static const char bytes[] = "I\0\0\0\3abcE\0\0\0\0R\0\0\0\4\0\50\0\144H\0\0\0\0";
    static const struct {
        uint8_t type;
        size_t len;
        const char *data;
    } want[] = {{'I', 3, "abc"}, {'E', 0, ""}, {'R', 4, "\0\50\0\144"}, {'H', 0, ""}};

    (void)state;
    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        AK_AUTO(ak_link_reader) reader = {0};
        size_t at = 0, n = 0;

        ak_link_reader_init(&reader, true);
        while (at < sizeof(bytes) - 1) {
            struct ak_link_frame frame;
            bool ready = false;
            ssize_t used = ak_link_read(&reader, bytes + at, AK_MIN(piece, sizeof(bytes) - 1 - at),
                                        &frame, &ready, NULL);

            assert_true(used > 0);
            at += (size_t)used;
            if (!ready)
                continue;
            assert_true(n < AK_ARRAY_LEN(want));
            assert_int_equal(frame.type, want[n].type);
            assert_int_equal(frame.len, want[n].len);
            assert_memory_equal(frame.data, want[n].data, frame.len);
            n++;
        }
        assert_int_equal(n, AK_ARRAY_LEN(want));
    }
}

static void what_is_no_frame_is_refused(void **state)
{
    static const struct {
        const char *what, *head;
        bool from_serve;
        int code;
    } cases[] = {
        {"no such type", "?\0\0\0\1", true, AK_E_PROTOCOL},
        {"client's from serve", "O\0\0\0\1", true, AK_E_PROTOCOL},
        {"serve's from client", "I\0\0\0\1", false, AK_E_PROTOCOL},
        {"input of nothing", "I\0\0\0\0", true, AK_E_PROTOCOL},
        {"too much input", "I\0\0\x80\1", true, AK_E_TOO_LARGE},
        {"a size of three", "R\0\0\0\3", true, AK_E_PROTOCOL},
        {"a size of five", "R\0\0\0\5", true, AK_E_TOO_LARGE},
        {"an end with text", "E\0\0\0\1", true, AK_E_TOO_LARGE},
        {"too large a start", "S\0\x20\0\1", true, AK_E_TOO_LARGE},
        {"the largest length", "S\xff\xff\xff\xff", true, AK_E_TOO_LARGE},
        {"an exit without a code", "Z\0\0\0\1", false, AK_E_PROTOCOL},
        {"too much output", "O\0\0\x80\1", false, AK_E_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_link_reader) reader = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_link_frame frame;
        bool ready = false;

        ak_link_reader_init(&reader, cases[i].from_serve);
        ssize_t r = ak_link_read(&reader, cases[i].head, AK_LINK_HEAD, &frame, &ready, &err);
        if (r != cases[i].code)
            fail_msg("%s: %zd", cases[i].what, r);
        assert_int_equal(ak_error_code(err), cases[i].code);
        assert_false(ready);
    }
}

static void a_large_frame_does_not_keep_its_memory(void **state)
{
    AK_AUTO(ak_link_reader) reader = {0};
    AK_AUTO_TEXT char *large = ak_calloc(1, AK_LINK_HEAD + AK_LINK_START);
    struct ak_link_frame frame;
    bool ready = false;

    (void)state;
    assert_non_null(large);
    ak_link_write_head(AK_LINK_START_PROGRAM, AK_LINK_START, (uint8_t *)large);
    ak_link_reader_init(&reader, true);
    assert_int_equal(
        ak_link_read(&reader, large, AK_LINK_HEAD + AK_LINK_START, &frame, &ready, NULL),
        AK_LINK_HEAD + AK_LINK_START);
    assert_true(ready && frame.len == AK_LINK_START && reader.buf.cap >= AK_LINK_START);
    assert_int_equal(ak_link_read(&reader, "H\0\0\0\0", AK_LINK_HEAD, &frame, &ready, NULL),
                     AK_LINK_HEAD);
    assert_true(ready && frame.type == AK_LINK_HOLD && reader.buf.cap < AK_LINK_PIECE);
}

/* --- START --- */

static const char *const args[] = {"psql", "-c", "select '\xc3\xa4'", NULL};
static const char *const env[] = {"A=1", "B=", NULL};
static const char key[] = "a\0b\xff\n";

static struct ak_link_start start_of(void)
{
    struct ak_link_start start = {
        .terminal = true,
        .rows = 40,
        .columns = 100,
        .command = {.argv = args, .env = env, .cwd = "/tmp/x", .n_files = 2}};

    start.command.files[0] = (struct ak_client_file){
        .path = "/tmp/agentkube-s-1-key", .data = key, .len = sizeof(key), .mode = 0400};
    start.command.files[1] = (struct ak_client_file){.path = "/tmp/empty", .data = "", .len = 0};
    return start;
}

static void expect_same(const struct ak_link_start *found)
{
    const struct ak_client_command *c = &found->command;

    assert_true(found->terminal && found->rows == 40 && found->columns == 100);
    for (size_t i = 0; i < AK_ARRAY_LEN(args); i++)
        assert_true(ak_streq(c->argv[i], args[i]));
    for (size_t i = 0; i < AK_ARRAY_LEN(env); i++)
        assert_true(ak_streq(c->env[i], env[i]));
    assert_string_equal(c->cwd, "/tmp/x");
    assert_int_equal(c->n_files, 2);
    assert_string_equal(c->files[0].path, "/tmp/agentkube-s-1-key");
    assert_int_equal(c->files[0].len, sizeof(key));
    assert_memory_equal(c->files[0].data, key, sizeof(key));
    assert_int_equal(c->files[0].mode, 0400);
    assert_int_equal(c->files[1].len, 0);
    assert_int_equal(c->files[1].mode, 0600);
}

static void a_start_comes_back_as_it_was(void **state)
{
    const struct ak_link_start start = start_of();
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_LINK_START);
    AK_AUTO(ak_arena) arena = {0};
    struct ak_link_start found;

    (void)state;
    ak_arena_init(&arena, 1024, ARENA_MAX);
    assert_int_equal(ak_link_write_start(&start, &text, NULL), 0);
    assert_int_equal(ak_link_read_start(text.data, text.len, &arena, &found, NULL), 0);
    expect_same(&found);
}

static void a_start_that_cannot_be_sent_says_why(void **state)
{
    static const char *const not_text[] = {"psql", "\xff", NULL};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_LINK_START);
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_link_start start = start_of();

    (void)state;
    start.command.argv = not_text;
    assert_int_equal(ak_link_write_start(&start, &text, &err), -EINVAL);
    assert_non_null(strstr(ak_error_message(err), "UTF-8"));
    start = start_of();
    start.command.files[1].len = (1u << 20) + 1;
    assert_int_equal(ak_link_write_start(&start, &text, NULL), AK_E_TOO_LARGE);
}

#define REST "\"env\":[],\"cwd\":\"/\",\"terminal\":false,\"rows\":0,\"columns\":0"
#define WITH_FILE(path, data, mode)                                                                \
    "{\"argv\":[\"x\"]," REST ",\"files\":[{\"path\":\"" path "\",\"data\":\"" data                \
    "\",\"mode\":" mode "}]}"

static void what_is_no_start_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"argv\":[\"x\"]}",
        "{\"argv\":[]," REST ",\"files\":[]}",
        "{\"argv\":[1]," REST ",\"files\":[]}",
        "{\"argv\":\"x\"," REST ",\"files\":[]}",
        "{\"argv\":[\"x\"]," REST ",\"files\":{}}",
        "{\"argv\":[\"x\"]," REST "}",
        "{\"argv\":[\"x\"],\"env\":[],\"cwd\":\"/"
        "\",\"terminal\":0,\"rows\":0,\"columns\":0,\"files\":[]}",
        "{\"argv\":[\"x\"],\"env\":[],\"cwd\":\"/"
        "\",\"terminal\":true,\"rows\":65536,\"columns\":0,\"files\":[]}",
        "{\"argv\":[\"x\"],\"env\":[],\"cwd\":\"/"
        "\",\"terminal\":true,\"rows\":-1,\"columns\":0,\"files\":[]}",
        WITH_FILE("/etc/passwd", "00", "384"),
        WITH_FILE("/tmp/../etc/x", "00", "384"),
        WITH_FILE("/tmp/x/..", "00", "384"),
        WITH_FILE("/tmp/", "00", "384"),
        WITH_FILE("tmp/x", "00", "384"),
        WITH_FILE("/tmp/x", "0", "384"),
        WITH_FILE("/tmp/x", "0g", "384"),
        WITH_FILE("/tmp/x", "0F", "384"),
        WITH_FILE("/tmp/x", "00", "0"),
        WITH_FILE("/tmp/x", "00", "512"),
        WITH_FILE("/tmp/x", "00", "\"384\""),
    };

    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(texts); i++) {
        AK_AUTO(ak_arena) arena = {0};
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_link_start found;

        ak_arena_init(&arena, 1024, ARENA_MAX);
        if (ak_link_read_start(texts[i], strlen(texts[i]), &arena, &found, &err) >= 0)
            fail_msg("%s", texts[i]);
        assert_non_null(err);
    }
}

static void without_memory_it_says_so(void **state)
{
    const struct ak_link_start start = start_of();
    int r = -1;

    (void)state;
    for (int i = 0; r < 0; i++) {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_LINK_START);
        AK_AUTO(ak_arena) arena = {0};
        struct ak_link_start found;

        ak_arena_init(&arena, 64, ARENA_MAX);
        ak_alloc_fail_after(i);
        r = ak_link_write_start(&start, &text, NULL);
        if (r >= 0)
            r = ak_link_read_start(text.data, text.len, &arena, &found, NULL);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            expect_same(&found);
        } else if (r >= 0) {
            r = -1; /* it did without */
        }
    }
}

static void readers_without_memory_say_so(void **state)
{
    AK_AUTO(ak_link_reader) reader = {0};
    struct ak_link_frame frame;
    bool ready = false;

    (void)state;
    ak_link_reader_init(&reader, true);
    ak_alloc_fail_after(0);
    assert_int_equal(ak_link_read(&reader, "H\0\0\0\0", 5, &frame, &ready, NULL), -ENOMEM);
    ak_alloc_fail_after(-1);
    assert_false(ready);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_whole_however_they_are_cut),
        cmocka_unit_test(what_is_no_frame_is_refused),
        cmocka_unit_test(a_large_frame_does_not_keep_its_memory),
        cmocka_unit_test(a_start_comes_back_as_it_was),
        cmocka_unit_test(a_start_that_cannot_be_sent_says_why),
        cmocka_unit_test(what_is_no_start_is_refused),
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(readers_without_memory_say_so),
    };

    ak_json_setup();
    return cmocka_run_group_tests_name("bastion/link", tests, NULL, NULL);
}
