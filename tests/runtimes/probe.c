/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives the tests of real programs what the agentlet uses, as JSON:
 *
 *     runtime-probe launch              reads {"runtime", "provider"?, ...} and prints the launch
 *     runtime-probe read FORMAT CODE    reads a program's output and prints its events, a line each, and
 *                                       {"verdict": ...} as the last line
 */
#include <ak/base/alloc.h>
#include <ak/base/arena.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdio.h>
#include <string.h>

#include "runtimes/launch.h"
#include "runtimes/reader.h"

#define MAX_ARGUMENTS 16

static int print(json_t *value)
{
    AK_AUTO_JSON *tree = value;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 << 20);
    if (!tree || ak_json_write(tree, &text, NULL) < 0)
        return -ENOMEM;
    puts(ak_buf_text(&text));
    return 0;
}

static json_t *pairs(const struct ak_pair *pair)
{
    json_t *all = json_object();
    for (; pair->key; pair++)
        (void)json_object_set_new(all, pair->key, json_string(pair->value));
    return all;
}

static int launch(void)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4 << 20);
    AK_AUTO(ak_arena) arena;
    AK_AUTO_JSON *said = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    const char *command[MAX_ARGUMENTS + 1] = {NULL};
    struct ak_launch made;
    ak_arena_init(&arena, 4096, 0);
    if (ak_buf_add_file(&text, "/dev/stdin") < 0 ||
        ak_json_parse(ak_buf_text(&text), text.len, &said, NULL) < 0)
        return 2;
    json_t *list = json_object_get(said, "command");
    for (size_t i = 0; i < json_array_size(list) && i < MAX_ARGUMENTS; i++)
        command[i] = json_string_value(json_array_get(list, i));
    struct ak_launch_input in = {
        .runtime = ak_runtime_find(ak_json_text(said, "runtime", NULL)),
        .provider = ak_json_text(said, "provider", NULL),
        .model = ak_json_text(said, "model", NULL),
        .model_url = ak_json_text(said, "modelUrl", NULL),
        .mcp_url = ak_json_text(said, "mcpUrl", NULL),
        .run_id = ak_json_text(said, "runId", NULL),
        .prompt = ak_json_text(said, "prompt", NULL),
        .workspace = ak_json_text(said, "workspace", NULL),
        .home = ak_json_text(said, "home", NULL),
        .command = command,
    };
    if (ak_launch_make(&in, &arena, &made, &err) < 0) {
        fprintf(stderr, "%s\n", ak_error_message(err));
        return 1;
    }
    json_t *argv = json_array(), *files = json_array();
    for (const char *const *a = made.argv; *a; a++)
        (void)json_array_append_new(argv, json_string(*a));
    for (const struct ak_launch_file *f = made.files; f->path; f++)
        (void)json_array_append_new(files, json_pack("{s:s, s:s, s:i}", "path", f->path, "content",
                                                     f->content, "mode", (int)f->mode));
    return print(json_pack("{s:o, s:o, s:o, s:o, s:s?, s:i}", "argv", argv, "env", pairs(made.env),
                           "defaults", pairs(made.defaults), "files", files, "input", made.input,
                           "format", (int)made.format)) < 0;
}

static int print_event(void *user, const char *type, json_t *data)
{
    (void)user;
    return print(json_pack("{s:s, s:O}", "type", type, "data", data));
}

static int read_output(const char *format_text, const char *code_text)
{
    uint64_t format, code;
    AK_AUTO(ak_reader) reader;
    struct ak_reader_verdict verdict;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(128 << 20);
    if (ak_parse_u64(format_text, &format) < 0 || format >= AK_OUTPUT_MAX ||
        ak_parse_u64(code_text, &code) < 0 || ak_buf_add_file(&text, "/dev/stdin") < 0)
        return 2;
    ak_reader_init(&reader, (enum ak_output_format)format);
    for (const char *at = ak_buf_text(&text), *stop = at + text.len; at < stop;) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        size_t len = (size_t)((end ? end : stop) - at);
        if (len > AK_READER_MAX_LINE)
            ak_reader_skip(&reader);
        else if (ak_reader_line(&reader, at, len, print_event, NULL) < 0)
            return 1;
        at += len + 1;
    }
    ak_reader_end(&reader, (int)code, &verdict);
    return print(json_pack("{s:{s:b, s:s, s:s?, s:s?, s:o}}", "verdict", "succeeded",
                           verdict.succeeded, "reason", verdict.reason, "message", verdict.message,
                           "result", verdict.result, "usage", ak_usage_to_json(&verdict.usage))) <
           0;
}

int main(int argc, char **argv)
{
    ak_json_setup();
    if (argc == 2 && ak_streq(argv[1], "launch"))
        return launch();
    if (argc == 4 && ak_streq(argv[1], "read"))
        return read_output(argv[2], argv[3]);
    fprintf(stderr, "usage: runtime-probe launch | read FORMAT CODE\n");
    return 2;
}
