/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agentlet call-tool NAME`: a playbook's step that calls a tool. The arguments are a JSON object on
 * standard input; the answer's text goes to standard output, that of an error to standard error.
 */
#include "agentlet/tool_call.h"
#include "agentlet/verbs.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ARGUMENTS (1u << 20)

enum exit_code { DONE = 0, FAILED = 1, USAGE = 2, UNREACHABLE = 3 };

static int read_input(struct ak_buf *out)
{
    char block[4096];
    ssize_t n = 0;
    int r = 0;

    while (r >= 0 && (n = read(STDIN_FILENO, block, sizeof(block))) > 0)
        r = ak_buf_add(out, block, (size_t)n);
    return r;
}

/* Text as it is; an image or the like as JSON. */
static void print_item(FILE *out, const json_t *item)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_TOOL_CALL_MAX_REPLY * 2);
    const char *plain = ak_json_text(item, "text", NULL);

    if (plain)
        (void)fprintf(out, "%s\n", plain);
    else if (ak_json_write(item, &text, NULL) >= 0)
        (void)fprintf(out, "%s\n", ak_buf_text(&text));
}

static int print_result(const json_t *result)
{
    bool is_error = json_is_true(json_object_get(result, "isError"));
    FILE *out = is_error ? stderr : stdout;
    const json_t *content = json_object_get(result, "content");

    for (size_t i = 0; i < json_array_size(content); i++)
        print_item(out, json_array_get(content, i));
    if (json_array_size(content) == 0 && json_object_get(result, "structuredContent"))
        print_item(out, json_object_get(result, "structuredContent"));
    return is_error || fflush(out) != 0 ? FAILED : DONE;
}

int ak_verb_call_tool(int argc, char **argv)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) input = AK_BUF_INIT(MAX_ARGUMENTS);
    AK_AUTO_JSON *arguments = NULL;
    AK_AUTO_JSON *result = NULL;
    const char *url = getenv("AGENTKUBE_MCP_URL");
    int r = 0;

    (void)argc;
    ak_json_setup();
    if (read_input(&input) < 0 ||
        (input.len > 0 && ak_json_parse(input.data, input.len, &arguments, NULL) < 0)) {
        (void)fprintf(stderr, "the arguments are not JSON\n");
        return USAGE;
    }
    if (!arguments)
        arguments = json_object();
    if (ak_is_empty(url) || !json_is_object(arguments)) {
        (void)fprintf(stderr, "%s\n",
                      ak_is_empty(url) ? "there is no MCP endpoint: AGENTKUBE_MCP_URL is not set"
                                       : "the arguments must be a JSON object");
        return USAGE;
    }
    r = ak_tool_call(url, argv[0], arguments, &result, &err);
    if (r < 0) {
        (void)fprintf(stderr, "tool \"%s\": %s\n", argv[0], ak_error_message(err));
        return r == AK_E_INVALID ? FAILED : UNREACHABLE;
    }
    return print_result(result);
}
