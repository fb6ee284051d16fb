/* SPDX-License-Identifier: Apache-2.0 */
/* The family: probe, the client's program, and the table. */
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#include "bastion/engines/postgres/pg_engine.h"
#include "bastion/session.h"

#define MAX_ARGS 256

int ak__pg_settings(const struct ak_target *target, struct ak_buf *path,
                    struct ak_pg_setting ret[static 6], size_t *ret_n, struct ak_error **reterr)
{
    const char *schema = target->spec->config ? target->spec->config->schema : NULL;
    size_t n = 0;

    ret[n++] = (struct ak_pg_setting){"client_encoding", "UTF8"};
    ret[n++] = (struct ak_pg_setting){"application_name", "agentkube"};
    if (target->spec->type == AK_TOOL_TYPE_POSTGRES)
        ret[n++] = (struct ak_pg_setting){"DateStyle", "ISO"};
    if (schema && target->spec->type != AK_TOOL_TYPE_REDSHIFT) {
        if (ak_pg_put_identifier(path, schema) < 0)
            return ak_error_oom(reterr);
        ret[n++] = (struct ak_pg_setting){"search_path", path->data};
    }
    *ret_n = n;
    return 0;
}

/* --- probe --- */

static int authorise(struct ak_pg *pg, struct ak_error **reterr)
{
    return ak_pg_run(pg, "SELECT 1", NULL, NULL, reterr);
}

/* An error that came over an established connection says that the server was reached. */
static bool was_reached(int code, const struct ak_pg_server_error *error)
{
    return error->sqlstate[0] || code == AK_E_UNAUTHORIZED;
}

static int probe(const struct ak_target *target, const struct ak_cancel *cancel, ak_msec deadline,
                 struct ak_probe_result *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_login) login = {0};
    AK_AUTO_PTR(ak_pg) pg = NULL;
    AK_AUTO_PTR(ak_error) why = NULL;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    struct ak_pg_server_error refused = {.sqlstate = ""};
    struct ak_pg_setting settings[6];
    struct ak_pg_options options = {
        .cancel = cancel, .deadline = deadline, .read_only = true, .settings = settings};
    int r = ak_login_read(target, true, &login, reterr);

    if (r >= 0)
        r = ak__pg_settings(target, &path, settings, &options.n_settings, reterr);
    if (r < 0)
        return r;
    r = ak_pg_connect(target, &login, &options, &pg, &refused, &why);
    if (r >= 0) {
        ret->reachable = ret->authenticated = true;
        ak_pg_server_name(pg, target, ret->server, sizeof(ret->server));
        r = authorise(pg, &why);
        ret->authorised = r >= 0;
    } else {
        ret->reachable = was_reached(r, &refused);
        /* The password was right, and then: no such database, or no right to connect to it. */
        ret->authenticated = strcmp(refused.sqlstate, "3D000") == 0 ||
                             strcmp(refused.sqlstate, "42501") == 0 ||
                             strcmp(refused.sqlstate, "53300") == 0;
    }
    (void)snprintf(ret->message, sizeof(ret->message), "%s",
                   r < 0 ? ak_error_message(why) : "the server answers");
    return 0;
}

/* --- the client's program --- */

static int client(const struct ak_target *target, struct ak_session *session,
                  const char *socket_path, const char *const *args, bool tty,
                  struct ak_arena *arena, struct ak_client_command *ret, struct ak_error **reterr)
{
    static const char base[] = "/.s.PGSQL.5432";
    const size_t folder = socket_path ? strlen(socket_path) - strlen(base) : 0;
    const char *database = ak_pg_database(target);
    const char **argv, **env;
    size_t n = 0, n_env = 0;

    (void)session;
    if (!socket_path || !ak_has_suffix(socket_path, base))
        return ak_error_set(reterr, -EINVAL, "there is no socket for psql");
    argv = ak_arena_alloc(arena, (MAX_ARGS + 8) * sizeof(*argv));
    env = ak_arena_alloc(arena, 12 * sizeof(*env));
    if (!argv || !env)
        return ak_error_oom(reterr);
    argv[n++] = "psql";
    argv[n++] = "--no-psqlrc";
    argv[n++] = "--no-password";
    /* A script that goes on after an error, and then says that all went well, is nobody's wish. */
    if (!tty) {
        argv[n++] = "--set";
        argv[n++] = "ON_ERROR_STOP=1";
    }
    for (size_t i = 0; args && args[i]; i++) {
        if (i == MAX_ARGS)
            return ak_error_set(reterr, AK_E_TOO_LARGE, "more than %d arguments", MAX_ARGS);
        argv[n++] = args[i];
    }
    argv[n] = NULL;
    env[n_env++] = ak_arena_printf(arena, "PGHOST=%.*s", (int)folder, socket_path);
    env[n_env++] = "PGPORT=5432";
    env[n_env++] = "PGUSER=agentkube";
    env[n_env++] = ak_arena_printf(arena, "PGDATABASE=%s", database ? database : "");
    env[n_env++] = "PGSSLMODE=disable";
    env[n_env++] = "PGGSSENCMODE=disable";
    env[n_env++] = "PGCLIENTENCODING=UTF8";
    env[n_env++] = "PGAPPNAME=agentkube";
    env[n_env++] = "PSQL_HISTORY=/dev/null";
    env[n_env] = NULL;
    for (size_t i = 0; i < n_env; i++) {
        if (!env[i])
            return ak_error_oom(reterr);
    }
    *ret = (struct ak_client_command){.argv = argv, .env = env};
    return 0;
}

const struct ak_engine ak_engine_postgres = {
    .family = "postgres",
    .socket_name = ".s.PGSQL.5432",
    .probe = probe,
    .call = ak__pg_call,
    .serve_fd = ak__pg_serve,
    .client = client,
    .provision = ak__pg_provision,
    .deprovision = ak__pg_deprovision,
};
