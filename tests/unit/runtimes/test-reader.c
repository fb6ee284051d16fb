/* SPDX-License-Identifier: Apache-2.0 */
/* The lines are what the programs printed in tests/runtimes, shortened. */
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

#include "runtimes/reader.h"

struct events {
    struct ak_buf text; /* one "type data" a line */
    int refuse;         /* what emit answers */
};

static int write_event(void *user, const char *type, json_t *data)
{
    struct events *events = user;
    int r = ak_buf_addf(&events->text, "%s ", type);
    if (r >= 0)
        r = ak_json_write(data, &events->text, NULL);
    if (r >= 0)
        r = ak_buf_adds(&events->text, "\n");
    return r < 0 ? r : events->refuse;
}

static const struct reading_case {
    const char *name;
    enum ak_output_format format;
    const char *lines[12];
    int exit_code;
    const char *events;
    bool succeeded;
    const char *reason, *message, *result;
} cases[] = {
    {"claude: tool, answer",
     AK_OUTPUT_CLAUDE,
     {"{\"type\":\"system\",\"subtype\":\"init\",\"cwd\":\"/w\"}",
      "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\","
      "\"name\":\"Bash\","
      "\"input\":{\"command\":\"id\"}}]}}",
      "{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":[{\"tool_use_id\":\"t1\","
      "\"type\":"
      "\"tool_result\",\"content\":\"65532\",\"is_error\":false}]}}",
      "{\"type\":\"user\",\"message\":{\"content\":[{\"tool_use_id\":\"t2\",\"type\":\"tool_"
      "result\","
      "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}],\"is_"
      "error\":true}]}}",
      "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"thinking\",\"thinking\":"
      "\"hm\"}]}}",
      "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"it is "
      "65532\"}]}}",
      "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"num_turns\":2,\"result\":"
      "\"it is 65532\","
      "\"total_cost_usd\":0.01668,\"usage\":{\"input_tokens\":3000,\"cache_creation_input_tokens\":"
      "60,"
      "\"cache_read_input_tokens\":900,\"output_tokens\":210}}"},
     0,
     "tool_call {\"name\":\"Bash\",\"id\":\"t1\",\"input\":{\"command\":\"id\"}}\n"
     "tool_result {\"text\":\"65532\",\"id\":\"t1\"}\n"
     "tool_result {\"text\":\"a\\nb\",\"id\":\"t2\",\"isError\":true}\n"
     "text {\"text\":\"it is 65532\"}\n"
     "usage "
     "{\"inputTokens\":3000,\"outputTokens\":210,\"cacheReadTokens\":900,\"cacheWriteTokens\":60,"
     "\"turns\":2,\"costUSD\":\"0.01668\"}\n"
     "result {\"text\":\"it is 65532\",\"isError\":false}\n",
     true,
     "Completed",
     NULL,
     "it is 65532"},
    {"claude: the provider refuses the key",
     AK_OUTPUT_CLAUDE,
     {"{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":1,\"max_retries\":3,\"error_"
      "status\":401,"
      "\"error\":\"authentication_failed\"}",
      "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"num_turns\":1,\"result\":"
      "\"API Error: 401\","
      "\"usage\":{}}"},
     1,
     "notice {\"message\":\"the model call failed (authentication_failed, status 401), try 1 of 3 "
     "follows\"}\n"
     "usage {\"turns\":1}\n"
     "result {\"text\":\"API Error: 401\",\"isError\":true}\n",
     false,
     "RuntimeError",
     "API Error: 401",
     "API Error: 401"},
    {"claude: exit code 0 does not hide an error",
     AK_OUTPUT_CLAUDE,
     {"{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":false}"},
     0,
     "usage {}\nresult {\"text\":\"\",\"isError\":true}\n",
     false,
     "RuntimeError",
     "error_during_execution",
     NULL},
    {"claude: killed before it could say anything",
     AK_OUTPUT_CLAUDE,
     {"not JSON"},
     137,
     "stdout {\"text\":\"not JSON\"}\n",
     false,
     "ExitCode",
     NULL,
     NULL},
    {"claude: it ended in the middle, with exit code 0",
     AK_OUTPUT_CLAUDE,
     {"{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"so "
      "far\"}]}}"},
     0,
     "text {\"text\":\"so far\"}\n",
     false,
     "RuntimeError",
     "the program ended without saying how its work ended",
     "so far"},
    {"claude: an unknown line is passed on",
     AK_OUTPUT_CLAUDE,
     {"{\"type\":\"news\",\"n\":1}", "{\"half\":", "[1]", "",
      "{\"type\":\"result\",\"result\":\"x\"}\r"},
     0,
     "other {\"raw\":{\"type\":\"news\",\"n\":1}}\n"
     "stdout {\"text\":\"{\\\"half\\\":\"}\n"
     "stdout {\"text\":\"[1]\"}\n"
     "usage {}\n"
     "result {\"text\":\"x\",\"isError\":false}\n",
     true,
     "Completed",
     NULL,
     "x"},
    {"cursor: its tools",
     AK_OUTPUT_CLAUDE,
     {"{\"type\":\"tool_call\",\"subtype\":\"started\",\"call_id\":\"c\",\"tool_call\":{"
      "\"shellToolCall\":{\"args\":"
      "{\"command\":\"id\"}}}}",
      "{\"type\":\"tool_call\",\"subtype\":\"completed\",\"call_id\":\"c\",\"tool_call\":{"
      "\"shellToolCall\":{"
      "\"result\":{\"success\":{\"exitCode\":0}}}}}",
      "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"done\"}"},
     0,
     "tool_call {\"name\":\"shellToolCall\",\"id\":\"c\",\"input\":{\"command\":\"id\"}}\n"
     "tool_result {\"text\":\"{\\\"success\\\":{\\\"exitCode\\\":0}}\",\"id\":\"c\"}\n"
     "usage {}\n"
     "result {\"text\":\"done\",\"isError\":false}\n",
     true,
     "Completed",
     NULL,
     "done"},
    {"codex: shell, tool, answer",
     AK_OUTPUT_CODEX,
     {"{\"type\":\"thread.started\",\"thread_id\":\"x\"}", "{\"type\":\"turn.started\"}",
      "{\"type\":\"item.completed\",\"item\":{\"id\":\"i0\",\"type\":\"error\",\"message\":"
      "\"metadata\"}}",
      "{\"type\":\"item.started\",\"item\":{\"id\":\"i1\",\"type\":\"command_execution\","
      "\"command\":\"id\","
      "\"exit_code\":null}}",
      "{\"type\":\"item.completed\",\"item\":{\"id\":\"i1\",\"type\":\"command_execution\","
      "\"command\":\"id\","
      "\"aggregated_output\":\"no\",\"exit_code\":1}}",
      "{\"type\":\"item.started\",\"item\":{\"id\":\"i2\",\"type\":\"mcp_tool_call\",\"server\":"
      "\"agentkube\","
      "\"tool\":\"echo\",\"arguments\":{\"message\":\"hi\"}}}",
      "{\"type\":\"item.completed\",\"item\":{\"id\":\"i2\",\"type\":\"mcp_tool_call\",\"tool\":"
      "\"echo\",\"result\":{"
      "\"content\":[{\"type\":\"text\",\"text\":\"echo: "
      "hi\"}]},\"error\":null,\"status\":\"completed\"}}",
      "{\"type\":\"item.completed\",\"item\":{\"id\":\"i3\",\"type\":\"agent_message\",\"text\":"
      "\"done\"}}",
      "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":3900,\"cached_input_tokens\":900,"
      "\"cache_write_input_tokens\":0,\"output_tokens\":210}}"},
     0,
     "notice {\"message\":\"metadata\"}\n"
     "tool_call {\"name\":\"shell\",\"id\":\"i1\",\"input\":{\"command\":\"id\"}}\n"
     "tool_result {\"text\":\"no\",\"id\":\"i1\",\"isError\":true}\n"
     "tool_call {\"name\":\"echo\",\"id\":\"i2\",\"input\":{\"message\":\"hi\"}}\n"
     "tool_result {\"text\":\"echo: hi\",\"id\":\"i2\"}\n"
     "text {\"text\":\"done\"}\n"
     "usage "
     "{\"inputTokens\":3000,\"outputTokens\":210,\"cacheReadTokens\":900,\"cacheWriteTokens\":0}\n"
     "result {\"text\":\"done\",\"isError\":false}\n",
     true,
     "Completed",
     NULL,
     "done"},
    {"codex: the provider fails",
     AK_OUTPUT_CODEX,
     {"{\"type\":\"error\",\"message\":\"Reconnecting... 1/1\"}",
      "{\"type\":\"turn.failed\",\"error\":{\"message\":\"unexpected status 401\"}}"},
     1,
     "notice {\"message\":\"Reconnecting... 1/1\"}\n"
     "result {\"text\":\"unexpected status 401\",\"isError\":true}\n",
     false,
     "RuntimeError",
     "unexpected status 401",
     "unexpected status 401"},
    {"codex: no credential", AK_OUTPUT_CODEX, {NULL}, 1, "", false, "ExitCode", NULL, NULL},
    {"opencode: steps are added up",
     AK_OUTPUT_OPENCODE,
     {"{\"type\":\"step_start\",\"part\":{}}",
      "{\"type\":\"tool_use\",\"part\":{\"type\":\"tool\",\"tool\":\"bash\",\"callID\":\"c\","
      "\"state\":{\"status\":"
      "\"completed\",\"input\":{\"command\":\"id\"},\"output\":\"1\\n\",\"metadata\":{\"exit\":2}}}"
      "}",
      "{\"type\":\"step_finish\",\"part\":{\"reason\":\"tool-calls\",\"tokens\":{\"input\":1000,"
      "\"output\":70,"
      "\"cache\":{\"write\":20,\"read\":300}},\"cost\":0.001}}",
      "{\"type\":\"step_start\",\"part\":{}}",
      "{\"type\":\"text\",\"part\":{\"type\":\"text\",\"text\":\"done\"}}",
      "{\"type\":\"step_finish\",\"part\":{\"reason\":\"stop\",\"tokens\":{\"input\":1000,"
      "\"output\":70,"
      "\"cache\":{\"write\":20,\"read\":300}},\"cost\":0.0015}}"},
     0,
     "tool_call {\"name\":\"bash\",\"id\":\"c\",\"input\":{\"command\":\"id\"}}\n"
     "tool_result {\"text\":\"1\\n\",\"id\":\"c\",\"isError\":true}\n"
     "usage "
     "{\"inputTokens\":1000,\"outputTokens\":70,\"cacheReadTokens\":300,\"cacheWriteTokens\":20,"
     "\"turns\":1,\"costUSD\":\"0.001\"}\n"
     "text {\"text\":\"done\"}\n"
     "usage "
     "{\"inputTokens\":2000,\"outputTokens\":140,\"cacheReadTokens\":600,\"cacheWriteTokens\":40,"
     "\"turns\":2,\"costUSD\":\"0.0025\"}\n"
     "result {\"text\":\"done\",\"isError\":false}\n",
     true,
     "Completed",
     NULL,
     "done"},
    {"opencode: an error of the provider",
     AK_OUTPUT_OPENCODE,
     {"{\"type\":\"error\",\"error\":{\"name\":\"APIError\",\"data\":{\"message\":\"no such "
      "key\",\"statusCode\":401}}}"},
     1,
     "result {\"text\":\"no such key\",\"isError\":true}\n",
     false,
     "RuntimeError",
     "no such key",
     "no such key"},
    {"cline: text comes in pieces and once whole",
     AK_OUTPUT_CLINE,
     {"{\"type\":\"hook_event\",\"hookEventName\":\"agent_start\"}",
      "{\"type\":\"agent_event\",\"event\":{\"type\":\"content_start\",\"contentType\":\"text\","
      "\"text\":\"do\","
      "\"accumulated\":\"do\"}}",
      "{\"type\":\"agent_event\",\"event\":{\"type\":\"content_start\",\"contentType\":\"tool\","
      "\"toolName\":"
      "\"run_commands\",\"toolCallId\":\"c\",\"input\":{\"commands\":[\"id\"]}}}",
      "{\"type\":\"agent_event\",\"event\":{\"type\":\"content_update\",\"contentType\":\"tool\"}}",
      "{\"type\":\"agent_event\",\"event\":{\"type\":\"content_end\",\"contentType\":\"tool\","
      "\"toolCallId\":\"c\","
      "\"output\":[{\"query\":\"id\",\"result\":\"1\\n\",\"success\":false}]}}",
      "{\"type\":\"agent_event\",\"event\":{\"type\":\"content_end\",\"contentType\":\"tool\","
      "\"toolCallId\":\"d\","
      "\"output\":{\"content\":[{\"type\":\"text\",\"text\":\"refused\"}],\"isError\":true}}}",
      "{\"type\":\"agent_event\",\"event\":{\"type\":\"content_end\",\"contentType\":\"text\","
      "\"text\":\"done\"}}",
      "{\"type\":\"run_result\",\"finishReason\":\"completed\",\"iterations\":3,\"aggregateUsage\":"
      "{\"inputTokens\":3960,"
      "\"outputTokens\":210,\"cacheReadTokens\":900,\"cacheWriteTokens\":60,\"totalCost\":0},"
      "\"text\":\"done\"}"},
     0,
     "tool_call {\"name\":\"run_commands\",\"id\":\"c\",\"input\":{\"commands\":[\"id\"]}}\n"
     "tool_result {\"text\":\"1\\n\",\"id\":\"c\",\"isError\":true}\n"
     "tool_result {\"text\":\"refused\",\"id\":\"d\",\"isError\":true}\n"
     "text {\"text\":\"done\"}\n"
     "usage "
     "{\"inputTokens\":3000,\"outputTokens\":210,\"cacheReadTokens\":900,\"cacheWriteTokens\":60,"
     "\"turns\":3}\n"
     "result {\"text\":\"done\",\"isError\":false}\n",
     true,
     "Completed",
     NULL,
     "done"},
    {"cline: stopped, with exit code 0",
     AK_OUTPUT_CLINE,
     {"{\"type\":\"run_aborted\",\"reason\":\"local_abort\",\"message\":\"aborted\"}"},
     0,
     "result {\"text\":\"\",\"isError\":true}\n",
     false,
     "RuntimeError",
     "aborted",
     NULL},
    {"text: everything is passed on",
     AK_OUTPUT_TEXT,
     {"{\"a\":1}", "", "caf\xc3\xa9 \xff"},
     0,
     "stdout {\"text\":\"{\\\"a\\\":1}\"}\nstdout {\"text\":\"\"}\nstdout {\"text\":\"caf\xc3\xa9 "
     "\xef\xbf\xbd\"}\n",
     true,
     "Completed",
     NULL,
     NULL},
    {"text: the exit code decides",
     AK_OUTPUT_TEXT,
     {"x"},
     3,
     "stdout {\"text\":\"x\"}\n",
     false,
     "ExitCode",
     NULL,
     NULL},
};

static void test_each_program_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++) {
        const struct reading_case *c = &cases[i];
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1 << 20);
        AK_AUTO(ak_reader) reader;
        struct ak_reader_verdict verdict;
        struct events events = {.text = {.max = 1 << 20}};
        ak_reader_init(&reader, c->format);
        for (size_t n = 0; n < AK_ARRAY_LEN(c->lines) && c->lines[n]; n++)
            assert_int_equal(
                ak_reader_line(&reader, c->lines[n], strlen(c->lines[n]), write_event, &events), 0);
        ak_reader_end(&reader, c->exit_code, &verdict);
        if (strcmp(ak_buf_text(&events.text), c->events) != 0)
            fail_msg("%s:\n%s\ninstead of\n%s", c->name, ak_buf_text(&events.text), c->events);
        if (verdict.succeeded != c->succeeded || !ak_streq(verdict.reason, c->reason) ||
            !ak_streq(verdict.message, c->message) || !ak_streq(verdict.result, c->result))
            fail_msg("%s: %d, %s, \"%s\", \"%s\"", c->name, verdict.succeeded, verdict.reason,
                     verdict.message, verdict.result);
        ak_buf_done(&events.text);
    }
}

static void test_a_line_too_long_to_read_leaves_the_verdict_to_the_exit_code(void **state)
{
    (void)state;
    AK_AUTO(ak_reader) reader;
    struct ak_reader_verdict verdict;
    ak_reader_init(&reader, AK_OUTPUT_CLAUDE);
    ak_reader_skip(&reader);
    ak_reader_end(&reader, 0, &verdict);
    assert_true(verdict.succeeded);
    ak_reader_end(&reader, 1, &verdict);
    assert_false(verdict.succeeded);
    assert_string_equal(verdict.reason, "ExitCode");
}

static void test_a_long_answer_is_cut_at_a_character(void **state)
{
    (void)state;
    AK_AUTO(ak_buf) line = AK_BUF_INIT(1 << 20);
    AK_AUTO(ak_reader) reader;
    struct events events = {.text = {.max = 1 << 20}};
    struct ak_reader_verdict verdict;
    ak_reader_init(&reader, AK_OUTPUT_CLAUDE);
    assert_return_code(ak_buf_adds(&line, "{\"type\":\"result\",\"result\":\"x"), 0);
    for (int i = 0; i < 10000; i++)
        assert_return_code(ak_buf_adds(&line, "\xe2\x82\xac"), 0);
    assert_return_code(ak_buf_adds(&line, "\"}"), 0);
    assert_int_equal(ak_reader_line(&reader, line.data, line.len, write_event, &events), 0);
    ak_reader_end(&reader, 0, &verdict);
    assert_true(verdict.succeeded);
    assert_true(verdict.result_truncated);
    /* 1 + 3 n bytes */
    assert_int_equal(strlen(verdict.result), 1 + (AK_READER_MAX_RESULT - 1) / 3 * 3);
    assert_true(ak_has_suffix(verdict.result, "\xe2\x82\xac"));
    ak_buf_done(&events.text);
}

static void test_whoever_takes_the_events_may_refuse_one(void **state)
{
    (void)state;
    static const char line[] =
        "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"text\",\"text\":\"b\"}]}}";
    AK_AUTO(ak_reader) reader;
    struct events events = {.text = {.max = 1 << 20}, .refuse = -ENOSPC};
    ak_reader_init(&reader, AK_OUTPUT_CLAUDE);
    assert_int_equal(ak_reader_line(&reader, line, strlen(line), write_event, &events), -ENOSPC);
    assert_string_equal(ak_buf_text(&events.text), "text {\"text\":\"a\"}\n");
    ak_buf_done(&events.text);
}

static void test_numbers_that_make_no_sense_are_not_reported(void **state)
{
    (void)state;
    static const char line[] = "{\"type\":\"result\",\"result\":\"x\",\"total_cost_usd\":-1,\"num_"
                               "turns\":\"3\",\"usage\":{\"input_tokens\":-5,"
                               "\"output_tokens\":1.5}}";
    AK_AUTO(ak_reader) reader;
    struct events events = {.text = {.max = 1 << 20}};
    ak_reader_init(&reader, AK_OUTPUT_CLAUDE);
    assert_int_equal(ak_reader_line(&reader, line, strlen(line), write_event, &events), 0);
    assert_non_null(strstr(ak_buf_text(&events.text), "usage {}\n"));
    ak_buf_done(&events.text);
}

static const struct dollars_case {
    int64_t microusd;
    const char *json;
} dollars[] = {
    {-1, "{}"},
    {0, "{\"costUSD\":\"0\"}"},
    {12300, "{\"costUSD\":\"0.0123\"}"},
    {10000000, "{\"costUSD\":\"10\"}"},
    {1234567, "{\"costUSD\":\"1.234567\"}"},
};

static void test_costs_have_no_exponent(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(dollars); i++) {
        struct ak_usage usage = {-1, -1, -1, -1, -1, dollars[i].microusd};
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1024);
        AK_AUTO_JSON *data = ak_usage_to_json(&usage);
        assert_return_code(ak_json_write(data, &text, NULL), 0);
        assert_string_equal(ak_buf_text(&text), dollars[i].json);
    }
}

static int count_event(void *user, const char *type, json_t *data)
{
    (void)type;
    (void)data;
    (*(int *)user)++;
    return 0;
}

static void test_no_memory_is_an_error_at_each_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < AK_ARRAY_LEN(cases); i++)
        for (size_t n = 0; n < AK_ARRAY_LEN(cases[i].lines) && cases[i].lines[n]; n++)
            for (int fail = 0;; fail++) {
                AK_AUTO(ak_reader) reader;
                const char *line = cases[i].lines[n];
                int count = 0;
                ak_reader_init(&reader, cases[i].format);
                (void)ak_alloc_fail_after(fail);
                int r = ak_reader_line(&reader, line, strlen(line), count_event, &count);
                (void)ak_alloc_fail_after(-1);
                if (r == 0)
                    break;
                assert_int_equal(r, -ENOMEM);
                assert_true(fail < 1000);
            }
}

int main(void)
{
    ak_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_program_is_understood),
        cmocka_unit_test(test_a_line_too_long_to_read_leaves_the_verdict_to_the_exit_code),
        cmocka_unit_test(test_a_long_answer_is_cut_at_a_character),
        cmocka_unit_test(test_whoever_takes_the_events_may_refuse_one),
        cmocka_unit_test(test_numbers_that_make_no_sense_are_not_reported),
        cmocka_unit_test(test_costs_have_no_exponent),
        cmocka_unit_test(test_no_memory_is_an_error_at_each_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
