/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl in container `client`, on the session's socket. Whatever host a URL names, the request goes to the Tool's
 * system; a first argument that begins with "/" is a path there. For clickhouse one argument that is no option, path
 * or URL is a statement, and without arguments it is on stdin.
 */
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/http/types.h"

#define OWN 16 /* arguments of ours at most */

struct argv {
    const char **items;
    size_t n;
};

static void add(struct argv *self, const char *text)
{
    self->items[self->n++] = text;
}

static int add_sql(const struct ak_target *target, struct argv *argv, const char *sql,
                   struct ak_arena *arena)
{
    const char *database = target->spec->config->database_name;
    const char *url = "http://clickhouse/";

    (void)arena;
    if (!ak_is_empty(database)) {
        char *text = ak_arena_alloc(arena, strlen(database) * 3 + 64);
        AK_AUTO(ak_buf) escaped = AK_BUF_INIT(2048);

        if (!text || ak_buf_add_url_escaped(&escaped, database) < 0)
            return -ENOMEM;
        url = ak_arena_printf(arena, "http://clickhouse/?database=%s", ak_buf_text(&escaped));
        if (!url)
            return -ENOMEM;
    }
    add(argv, "--fail-with-body");
    add(argv, sql ? "--data-raw" : "--data-binary");
    add(argv, sql ? sql : "@-");
    add(argv, url);
    return 0;
}

static bool is_sql(const char *arg)
{
    return arg[0] != '-' && arg[0] != '/' && !ak_has_prefix(arg, "http:") &&
           !ak_has_prefix(arg, "https:");
}

static int add_arguments(const struct ak_target *target, struct argv *argv, const char *const *args,
                         size_t n, struct ak_arena *arena)
{
    bool is_clickhouse = target->spec->type == AK_TOOL_TYPE_CLICKHOUSE;

    if (is_clickhouse && n == 0)
        return add_sql(target, argv, NULL, arena);
    if (is_clickhouse && n == 1 && is_sql(args[0]))
        return add_sql(target, argv, args[0], arena);
    for (size_t i = 0; i < n; i++) {
        const char *arg = args[i];

        if (i == 0 && arg[0] == '/')
            arg = ak_arena_printf(arena, "http://%s%s", target->name, arg);
        if (!arg)
            return -ENOMEM;
        add(argv, arg);
    }
    return 0;
}

int ak_http_curl_client(const struct ak_target *target, const struct ak_http_proxy *proxy,
                        const char *socket_path, const char *const *args, bool tty,
                        struct ak_arena *arena, struct ak_client_command *ret,
                        struct ak_error **reterr)
{
    struct argv argv = {0};
    size_t n = 0;
    int r = 0;

    (void)proxy;
    if (!socket_path)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the session has no proxy");
    if (args && args[0] && ak_streq(args[0], "curl"))
        args++;
    while (args && args[n])
        n++;
    argv.items = ak_arena_alloc(arena, (n + OWN) * sizeof(*argv.items));
    if (!argv.items)
        return ak_error_oom(reterr);
    if (tty && !n) {
        const char **env = ak_arena_alloc(arena, 2 * sizeof(*env));

        if (!env || !(env[0] = ak_arena_printf(arena, "SOCKET=%s", socket_path)))
            return ak_error_oom(reterr);
        add(&argv, "sh");
        *ret = (struct ak_client_command){.argv = argv.items, .env = env};
        return 0;
    }
    add(&argv, "curl");
    add(&argv, "-q"); /* no file of settings */
    add(&argv, "-sS");
    add(&argv, "--unix-socket");
    add(&argv, socket_path);
    r = add_arguments(target, &argv, args, n, arena);
    *ret = (struct ak_client_command){.argv = argv.items};
    return r < 0 ? ak_error_oom(reterr) : 0;
}
