/* SPDX-License-Identifier: Apache-2.0 */
/* The family: probe, the client's program, and the table. */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/redis/connection.h"
#include "bastion/engines/redis/redis_engine.h"

#define MAX_ARGS 256

/* "Redis 7.0.15", where the user may ask. */
static void find_version(struct ak_redis *db, char *buf, size_t size)
{
    AK_AUTO(ak_redis_answer) info = {0};
    const char *at = NULL;

    if (ak_redis_command(db, 2, (const char *[]){"INFO", "server"}, NULL, 0, &info, NULL) >= 0)
        at = json_string_value(info.value);
    at = at ? strstr(at, "redis_version:") : NULL;
    if (at)
        snprintf(buf, size, "Redis %.*s", (int)strcspn(at + 14, "\r\n"), at + 14);
    else
        snprintf(buf, size, "Redis");
}

static int probe(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                 struct ak_probe_result *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    AK_AUTO(ak_redis_answer) pong = {0};
    AK_AUTO_PTR(ak_redis) db = NULL;
    AK_AUTO_PTR(ak_error) why = NULL;
    int r = ak_login_read(target, true, &login, reterr);

    if (r < 0)
        return r;
    r = ak_redis_open(target, cancel, deadline, &db, &why);
    if (r >= 0) {
        r = ak_redis_login(db, &login, &why);
        ret->reachable = r >= 0 || r == AK_E_UNAUTHORIZED;
        if (r >= 0)
            r = ak_redis_command(db, 1, (const char *[]){"PING"}, NULL, 0, &pong, &why);
        /* A server that wants a login says so at the first command. */
        ret->reachable = ret->reachable && (r >= 0 || ak_redis_code(db)[0]);
        ret->authenticated = r >= 0 || ak_streq(ak_redis_code(db), "NOPERM");
    }
    if (r >= 0)
        r = ak_redis_select(db, target, &why);
    ret->authorised = r >= 0;
    snprintf(ret->message, sizeof(ret->message), "%s",
             r < 0 ? ak_error_message(why) : "the server answers");
    if (r >= 0)
        find_version(db, ret->server, sizeof(ret->server));
    return 0;
}

static int client(const struct ak_target *target, struct ak_session *session,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr)
{
    static const char *const env[] = {"REDISCLI_HISTFILE=/dev/null", "REDISCLI_RCFILE=/dev/null",
                                      NULL};
    const char **argv = ak_arena_alloc(arena, (MAX_ARGS + 6) * sizeof(*argv));
    size_t n = 0;

    (void)target;
    (void)session;
    (void)tty;
    if (!socket_path)
        return ak_error_set(reterr, -EINVAL, "there is no socket for the client");
    if (!argv)
        return ak_error_oom(reterr);
    argv[n++] = "redis-cli";
    argv[n++] = "-s";
    argv[n++] = ak_arena_strdup(arena, socket_path);
    /* Errors become an exit code, as with every other program. */
    argv[n++] = "-e";
    if (!argv[2])
        return ak_error_oom(reterr);
    for (size_t i = 0; args && args[i]; i++) {
        if (i == MAX_ARGS)
            return ak_error_set(reterr, AK_E_TOO_LARGE, "more than %d arguments", MAX_ARGS);
        argv[n++] = args[i];
    }
    argv[n] = NULL;
    *ret = (struct ak_client_command){.argv = argv, .env = env};
    return 0;
}

const struct ak_engine ak_engine_redis = {
    .family = "redis",
    .socket_name = "redis.sock",
    .probe = probe,
    .call = ak__redis_call,
    .serve_fd = ak__redis_serve,
    .client = client,
    .provision = ak__redis_provision,
    .deprovision = ak__redis_deprovision,
};
