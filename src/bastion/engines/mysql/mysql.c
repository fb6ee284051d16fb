/* SPDX-License-Identifier: Apache-2.0 */
/* The family: probe, the client's program, and the table. */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/mysql/mysql_engine.h"
#include "bastion/engines/mysql/query.h"

#define MAX_ARGS 256

/* Errors of a login that was right: the user may not use this database, or there is none of that name; the server has
 * no room left for this user. */
static bool is_known(uint16_t code)
{
    return code == 1044 || code == 1049 || code == 1203 || code == 1226;
}

static int probe(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                 struct ak_probe_result *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    AK_AUTO_PTR(ak_mysql) db = NULL;
    AK_AUTO_PTR(ak_error) why = NULL;
    struct ak_mysql_how how = {
        .database = target->spec->config ? target->spec->config->database_name : NULL};
    int r = ak_login_read(target, true, &login, reterr);

    if (r < 0)
        return r;
    r = ak_mysql_open(target, cancel, deadline, &db, &why);
    if (r >= 0) {
        ret->reachable = true;
        ak_mysql_server_text(db, ret->server, sizeof(ret->server));
        r = ak_mysql_login(db, &login, &how, &why);
        ret->authenticated = r >= 0 || is_known(ak_mysql_refusal(db)->code);
    } else {
        ret->reachable = r == AK_E_SERVER;
    }
    if (r >= 0)
        r = ak_mysql_do(db, "SELECT 1", &why);
    ret->authorised = r >= 0;
    snprintf(ret->message, sizeof(ret->message), "%s",
             r < 0 ? ak_error_message(why) : "the server answers");
    return 0;
}

/*
 * Images call the program by either name, and newer ones by `mariadb` only. A login file or option file of the image
 * could add a host and a password of its own: none is read.
 */
#define START                                                                                      \
    "if command -v mariadb >/dev/null 2>&1; then exec mariadb \"$@\"; else exec mysql \"$@\"; fi"

static int client(const struct ak_target *target, struct ak_session *session,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr)
{
    static const char *const env[] = {"MYSQL_HISTFILE=/dev/null", "MARIADB_HISTFILE=/dev/null",
                                      "MYSQL_TEST_LOGIN_FILE=/dev/null", NULL};
    const char **argv = ak_arena_alloc(arena, (MAX_ARGS + 10) * sizeof(*argv));
    size_t n = 0;

    (void)target;
    (void)session;
    (void)tty;
    if (!socket_path)
        return ak_error_set(reterr, -EINVAL, "there is no socket for the client");
    if (!argv)
        return ak_error_oom(reterr);
    argv[n++] = "/bin/sh";
    argv[n++] = "-c";
    argv[n++] = START;
    argv[n++] = "mariadb";
    argv[n++] = "--no-defaults";
    argv[n++] = ak_arena_printf(arena, "--socket=%s", socket_path);
    argv[n++] = "--user=agentkube";
    argv[n++] = "--default-character-set=utf8mb4";
    if (!argv[5])
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

const struct ak_engine ak_engine_mysql = {
    .family = "mysql",
    .socket_name = "mysql.sock",
    .probe = probe,
    .call = ak__mysql_call,
    .serve_fd = ak__mysql_serve,
    .client = client,
    .provision = ak__mysql_provision,
    .deprovision = ak__mysql_deprovision,
};
