/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ak/base/alloc.h>

#include "exo/exo.h"
#include "exo/render.h"

#define MAX_EVENTS 6

struct event {
    const char *type, *data;
};
static const struct ak_render_look plain = {
    .columns = 40, .dim = "", .red = "", .green = "", .yellow = "", .off = ""};
static const struct ak_render_look colour = {.out_shown = true,
                                             .err_shown = true,
                                             .columns = 40,
                                             .dim = "<d>",
                                             .red = "<r>",
                                             .green = "<g>",
                                             .yellow = "<y>",
                                             .off = "</>"};

static int show(struct ak_render *render, const struct event *e, struct ak_buf *out,
                struct ak_buf *err)
{
    AK_AUTO_JSON *data = NULL;
    int r = ak_json_parse(e->data, strlen(e->data), &data, NULL);
    return r < 0 ? r : ak_render_event(render, e->type, data, out, err);
}

static const struct {
    const char *comment;
    const struct ak_render_look *look;
    struct event events[MAX_EVENTS];
    const char *out, *err;
} cases[] = {
    {"text, each piece on its own lines",
     &plain,
     {{"text", "{\"text\":\"hello\"}"}, {"text", "{\"text\":\"again\\n\\n\"}"}},
     "hello\nagain\n",
     ""},
    {"a result that was said already is not said twice",
     &plain,
     {{"text", "{\"text\":\"42\"}"}, {"result", "{\"text\":\"42\\n\",\"isError\":false}"}},
     "42\n",
     ""},
    {"a result that is new is",
     &plain,
     {{"text", "{\"text\":\"thinking\"}"}, {"result", "{\"text\":\"42\"}"}},
     "thinking\n42\n",
     ""},
    {"a failed result is an error",
     &plain,
     {{"result", "{\"text\":\"no credit\",\"isError\":true}"}},
     "",
     "error: no credit\n"},
    {"calls take a line each, the only argument without its name",
     &plain,
     {{"tool_call", "{\"name\":\"Bash\",\"input\":{\"command\":\"ls -l\\npwd\"}}"},
      {"tool_call", "{\"name\":\"Edit\",\"input\":{\"a\":1,\"b\":2}}"},
      {"tool_call", "{\"name\":\"Think\"}"}},
     "",
     "> Bash ls -l pwd\n> Edit {\"a\":1,\"b\":2}\n> Think \n"},
    {"long calls are cut to the terminal",
     &plain,
     {{"tool_call", "{\"name\":\"Bash\",\"input\":\"0123456789012345678901234567890123456789\"}"}},
     "",
     "> Bash 0123456789012345678901234567890\xe2\x80\xa6\n"},
    {"only failed calls have a second line",
     &plain,
     {{"tool_result", "{\"text\":\"fine\"}"},
      {"tool_result", "{\"text\":\"no such file\",\"isError\":true}"}},
     "",
     "  failed: no such file\n"},
    {"pieces of a long line are one line",
     &plain,
     {{"stdout", "{\"text\":\"abc\",\"partial\":true}"}, {"stdout", "{\"text\":\"def\"}"}},
     "abcdef\n",
     ""},
    {"an empty line is a line", &plain, {{"stdout", "{\"text\":\"\"}"}}, "\n", ""},
    {"stderr is dim, and a colour of its own cannot leave",
     &colour,
     {{"stderr", "{\"text\":\"\\u001b[2Jgone\"}"}},
     "",
     "<d>\xef\xbf\xbd[2Jgone</>\n"},
    {"a file gets the bytes as they are",
     &plain,
     {{"stdout", "{\"text\":\"\\u001b[31mred\"}"}},
     "\033[31mred\n",
     ""},
    {"steps of a playbook",
     &plain,
     {{"step", "{\"name\":\"build\",\"phase\":\"Running\",\"attempt\":1}"},
      {"step", "{\"name\":\"build\",\"phase\":\"Running\",\"attempt\":2}"}},
     "",
     "step build Running\nstep build Running (attempt 2)\n"},
    {"notices", &plain, {{"notice", "{\"message\":\"cut\"}"}}, "", "note: cut\n"},
    {"what nobody knows looks like nothing",
     &plain,
     {{"queued", "{}"}, {"future", "{\"text\":\"x\"}"}, {"usage", "{}"}},
     "",
     ""},
    {"nonsense does no harm",
     &plain,
     {{"text", "{\"text\":7}"}, {"tool_call", "{\"input\":[]}"}, {"stderr", "{}"}},
     "",
     ">  []\n\n"},
};

static void events_look_as_people_read_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(65536);
        AK_AUTO(ak_buf) err = AK_BUF_INIT(65536);
        struct ak_render render;
        ak_render_init(&render, cases[i].look);
        for (size_t k = 0; k < MAX_EVENTS && cases[i].events[k].type; k++)
            assert_int_equal(show(&render, &cases[i].events[k], &out, &err), 0);
        if (strcmp(ak_buf_text(&out), cases[i].out) != 0 ||
            strcmp(ak_buf_text(&err), cases[i].err) != 0)
            fail_msg("%s:\n%s\n---\n%s", cases[i].comment, ak_buf_text(&out), ak_buf_text(&err));
    }
}

static void a_line_of_the_agent_ends_before_one_about_it(void **state)
{
    AK_AUTO(ak_buf) out = AK_BUF_INIT(65536);
    AK_AUTO(ak_buf) err = AK_BUF_INIT(65536);
    const struct event first = {"stdout", "{\"text\":\"abc\",\"partial\":true}"};
    const struct event second = {"notice", "{\"message\":\"x\"}"};
    struct ak_render render;
    (void)state;
    ak_render_init(&render, &colour);
    assert_int_equal(show(&render, &first, &out, &err), 0);
    assert_int_equal(show(&render, &second, &out, &err), 0);
    assert_string_equal(ak_buf_text(&out), "abc\n");
}

static void the_last_line_says_how_it_ended(void **state)
{
    static const struct {
        const char *record, *line;
        int exit;
    } ends[] = {
        {"{\"id\":\"r-1\",\"phase\":\"Succeeded\",\"durationMilliseconds\":3249,\"usage\":{"
         "\"inputTokens\":1234,\"outputTokens\":56,\"costUSD\":\"0.0123\"}}",
         "run r-1 Succeeded in 3.2s (1,234 tokens in, 56 out, $0.0123)\n", AK_EXIT_OK},
        {"{\"id\":\"r-1\",\"phase\":\"Succeeded\",\"durationMilliseconds\":0}",
         "run r-1 Succeeded in 0.0s\n", AK_EXIT_OK},
        {"{\"id\":\"r-2\",\"phase\":\"Failed\",\"durationMilliseconds\":65000,\"message\":"
         "\"exit code 3\\nboom\"}",
         "run r-2 Failed after 1m5s: exit code 3 boom\n", AK_EXIT_RUN_FAILED},
        {"{\"id\":\"r-3\",\"phase\":\"TimedOut\"}", "run r-3 TimedOut\n", AK_EXIT_TIMEOUT},
        {"{\"id\":\"r-4\",\"phase\":\"Cancelled\"}", "run r-4 Cancelled\n", AK_EXIT_RUN_FAILED},
        {"{\"id\":\"r-5\",\"phase\":\"Interrupted\"}", "run r-5 Interrupted\n", AK_EXIT_RUN_FAILED},
        {"{\"id\":\"r-6\",\"phase\":\"Skipped\"}", "run r-6 Skipped\n", AK_EXIT_RUN_FAILED},
        {"{}", "run ? ?\n", AK_EXIT_FAILED},
    };
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(ends); i++) {
        AK_AUTO(ak_buf) err = AK_BUF_INIT(65536);
        AK_AUTO_JSON *record = NULL;
        struct ak_render render;
        ak_render_init(&render, &plain);
        assert_int_equal(ak_json_parse(ends[i].record, strlen(ends[i].record), &record, NULL), 0);
        assert_int_equal(ak_render_summary(&render, record, &err), 0);
        assert_string_equal(ak_buf_text(&err), ends[i].line);
        assert_int_equal(ak_render_exit(ak_json_text(record, "phase", NULL)), ends[i].exit);
    }
    assert_false(ak_render_is_final("Running"));
    assert_false(ak_render_is_final(NULL));
}

static void without_memory_it_says_so(void **state)
{
    const struct event call = {"tool_call", "{\"name\":\"Bash\",\"input\":{\"a\":1,\"b\":2}}"};
    AK_AUTO_JSON *data = NULL;
    (void)state;
    assert_int_equal(ak_json_parse(call.data, strlen(call.data), &data, NULL), 0);
    for (int n = 0;; n++) {
        AK_AUTO(ak_buf) out = AK_BUF_INIT(65536);
        AK_AUTO(ak_buf) err = AK_BUF_INIT(65536);
        struct ak_render render;
        ak_render_init(&render, &plain);
        ak_alloc_fail_after(n);
        int r = ak_render_event(&render, call.type, data, &out, &err);
        if (!ak_alloc_fail_after(-1)) {
            assert_int_equal(r, 0);
            return;
        }
        assert_true(r == -ENOMEM || r == 0); /* an input that cannot be shown is left out */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_look_as_people_read_them),
        cmocka_unit_test(a_line_of_the_agent_ends_before_one_about_it),
        cmocka_unit_test(the_last_line_says_how_it_ended),
        cmocka_unit_test(without_memory_it_says_so),
    };
    ak_json_setup();
    return cmocka_run_group_tests_name("exo/render", tests, NULL, NULL);
}
