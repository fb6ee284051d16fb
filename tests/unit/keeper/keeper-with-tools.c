/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper with a table of tools for tests: `keeper-with-tools serve`, the environment is the keeper's.
 *
 *     echo {text}           the text
 *     wait {milliseconds}   "waited", after that time; "cancelled" is printed when nobody waits any more
 *     big {bytes}           so many letters
 *     fail                  a tool that cannot begin
 */
#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/net/loop.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/serve.h"

struct waiting {
    struct ak_mcp_call *call;
    struct ak_timer *timer;
    struct waiting *next;
};
static struct waiting *all_waiting;
static struct ak_loop *loop;

static void answer_text(struct ak_mcp_call *call, const char *text)
{
    AK_AUTO_JSON *result = json_pack("{s[{ssss}]}", "content", "type", "text", "text", text);

    ak_mcp_call_answer(call, result);
}

static void waiting_free(struct waiting *w)
{
    struct waiting **at = &all_waiting;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    (void)ak_timer_free(w->timer);
    ak_free(w);
}

static void on_timer(void *user)
{
    struct waiting *w = user;
    struct ak_mcp_call *call = w->call;

    waiting_free(w);
    answer_text(call, "waited");
}

static int run_echo(struct ak_mcp_call *call, json_t *arguments, struct ak_error **reterr)
{
    const char *text = ak_json_text(arguments, "text", NULL);

    if (!text)
        return ak_error_set(reterr, -EINVAL, "echo needs a text");
    answer_text(call, text);
    return 0;
}

static int run_wait(struct ak_mcp_call *call, json_t *arguments, struct ak_error **reterr)
{
    struct waiting *w = ak_new0(struct waiting);

    (void)reterr;
    w->call = call;
    w->timer = ak_timer_new(loop, on_timer, w);
    w->next = all_waiting;
    all_waiting = w;
    ak_timer_set(w->timer, json_integer_value(json_object_get(arguments, "milliseconds")));
    return 0;
}

static int run_big(struct ak_mcp_call *call, json_t *arguments, struct ak_error **reterr)
{
    size_t n = (size_t)json_integer_value(json_object_get(arguments, "bytes"));
    AK_AUTO_TEXT char *text = ak_malloc(n + 1);

    (void)reterr;
    memset(text, 'x', n);
    text[n] = '\0';
    answer_text(call, text);
    return 0;
}

static int run_fail(struct ak_mcp_call *call, json_t *arguments, struct ak_error **reterr)
{
    (void)call;
    (void)arguments;
    return ak_error_set(reterr, -EIO, "the disk is on fire");
}

static const struct {
    const char *name;
    int (*run)(struct ak_mcp_call *call, json_t *arguments, struct ak_error **reterr);
} table[] = {{"echo", run_echo}, {"wait", run_wait}, {"big", run_big}, {"fail", run_fail}};

static int start(struct ak_loop *with, void *user, struct ak_error **reterr)
{
    (void)user;
    (void)reterr;
    loop = with;
    return 0;
}

static int list(json_t *tools, void *user, struct ak_error **reterr)
{
    (void)user;
    (void)reterr;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++) {
        json_t *tool = json_pack("{sssss{sss{s{ss}}}}", "name", table[i].name, "description",
                                 "a tool of the tests", "inputSchema", "type", "object",
                                 "properties", "text", "type", "string");

        if (json_array_append_new(tools, tool) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int call_tool(struct ak_mcp_call *call, const char *name, json_t *arguments, void *user,
                     struct ak_error **reterr)
{
    (void)user;
    for (size_t i = 0; i < AK_ARRAY_LEN(table); i++)
        if (ak_streq(table[i].name, name))
            return table[i].run(call, arguments, reterr);
    return AK_E_NOT_FOUND;
}

static void cancel(struct ak_mcp_call *call, void *user)
{
    struct waiting *w = all_waiting;

    (void)user;
    while (w && w->call != call)
        w = w->next;
    if (!w)
        return;
    waiting_free(w);
    ak_info("tools", "cancelled");
    answer_text(call, "cancelled");
}

static const char *from_environment(const char *name, void *user)
{
    (void)user;
    return getenv(name);
}

int main(int argc, char **argv)
{
    static const struct ak_mcp_tools tools = {
        .start = start, .list = list, .call = call_tool, .cancel = cancel};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_keeper_settings settings;

    ak_json_setup();
    if (argc != 2 || !ak_streq(argv[1], "serve") ||
        ak_keeper_settings_read(from_environment, NULL, &settings, &err) < 0 ||
        ak_keeper_serve(&settings, &tools, &err) < 0) {
        ak_err("tools", "stopped", AK_ERR(err));
        return 1;
    }
    return 0;
}
