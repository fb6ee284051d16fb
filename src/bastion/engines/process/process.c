/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/process.h"

#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>

#include "bastion/engines/process/local.h"
#include "bastion/engines/process/output.h"

#define ARENA_MAX (24u << 20) /* of one use: an operation's arguments, several times */

const struct ak_process_kind *ak_process_kind_of(enum ak_tool_type type)
{
    switch (type) {
    case AK_TOOL_TYPE_SSH:
        return &ak_process_ssh;
    case AK_TOOL_TYPE_MONGODB:
        return &ak_process_mongodb;
    case AK_TOOL_TYPE_KAFKA:
        return &ak_process_kafka;
    case AK_TOOL_TYPE_SQLSERVER:
        return &ak_process_sqlserver;
    case AK_TOOL_TYPE_ORACLE:
        return &ak_process_oracle;
    case AK_TOOL_TYPE_CUSTOM:
        return &ak_process_custom;
    default:
        return NULL;
    }
}

static int prepare(struct ak_process *self, struct ak_arena *arena, struct ak_error **reterr)
{
    self->arena = arena;
    self->argv = ak_arena_alloc(arena, (AK_PROCESS_MAX_WORDS + 1) * sizeof(*self->argv));
    self->env = ak_arena_alloc(arena, (AK_PROCESS_MAX_ENV + 1) * sizeof(*self->env));
    self->prefix = self->session
                       ? ak_arena_printf(arena, "/tmp/agentkube-%s-", ak_session_id(self->session))
                       : ak_arena_printf(arena, "/tmp/agentkube-%d-", (int)getpid());
    return self->argv && self->env && self->prefix ? 0 : ak_error_oom(reterr);
}

int ak_process_begin(struct ak_process *self, struct ak_arena *arena, bool read_only,
                     struct ak_error **reterr)
{
    int r = prepare(self, arena, reterr);

    return r < 0 ? r : ak_login_read(self->target, read_only, &self->login, reterr);
}

int ak_process_begin_admin(struct ak_process *self, struct ak_arena *arena,
                           struct ak_error **reterr)
{
    int r = prepare(self, arena, reterr);

    return r < 0 ? r : ak_login_read_admin(self->target, &self->login, reterr);
}

void ak_process_done(struct ak_process *self)
{
    for (size_t i = 0; i < self->n_files; i++)
        ak_wipe((char *)(uintptr_t)self->files[i].data, self->files[i].len);
    self->n_files = 0;
    ak_login_done(&self->login);
}

static void breaks(struct ak_process *self, int code)
{
    if (!self->broken)
        self->broken = code;
}

int ak_process_too_long(int code, const char *what, struct ak_error **reterr)
{
    return code == -ENOMEM ? ak_error_oom(reterr)
                           : ak_error_set(reterr, -E2BIG, "%s is too long", what);
}

static void add(struct ak_process *self, const char **list, size_t *n, size_t max, const char *word)
{
    if (!word)
        breaks(self, -ENOMEM);
    else if (*n == max)
        breaks(self, -E2BIG);
    else
        list[(*n)++] = word;
}

void ak_process_args(struct ak_process *self, ...)
{
    va_list ap;
    const char *word;

    va_start(ap, self);
    while ((word = va_arg(ap, const char *)))
        add(self, self->argv, &self->n_argv, AK_PROCESS_MAX_WORDS, word);
    va_end(ap);
}

static char *format(struct ak_process *self, const char *fmt, va_list ap)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_PROCESS_MAX_FILE);
    int r = ak_buf_vaddf(&text, fmt, ap);

    if (r < 0)
        breaks(self, r);
    return r < 0 ? NULL : ak_arena_strdup(self->arena, ak_buf_text(&text));
}

void ak_process_arg(struct ak_process *self, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(self, self->argv, &self->n_argv, AK_PROCESS_MAX_WORDS, format(self, fmt, ap));
    va_end(ap);
}

void ak_process_env(struct ak_process *self, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(self, self->env, &self->n_env, AK_PROCESS_MAX_ENV, format(self, fmt, ap));
    va_end(ap);
}

const char *ak_process_path(struct ak_process *self, const char *name)
{
    const char *path = ak_arena_printf(self->arena, "%s%s", self->prefix, name);

    if (!path)
        breaks(self, -ENOMEM);
    return path ? path : "";
}

const char *ak_process_file(struct ak_process *self, const char *name, const char *data, size_t len,
                            unsigned mode)
{
    char *copy = ak_arena_alloc(self->arena, len + 1);

    if (!copy || self->n_files == AK_CLIENT_MAX_FILES) {
        breaks(self, copy ? -E2BIG : -ENOMEM);
        return "";
    }
    memcpy(copy, data, len);
    self->files[self->n_files] = (struct ak_client_file){
        .path = ak_process_path(self, name), .data = copy, .len = len, .mode = mode};
    return self->files[self->n_files++].path;
}

int ak_process_ca(struct ak_process *self, const char **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_PROCESS_MAX_FILE);
    const char *path = NULL;
    int r = ak_target_ca_path(self->target, self->arena, &path, reterr);

    *ret = NULL;
    if (r < 0 || !path)
        return r;
    r = ak_buf_add_file(&text, path);
    if (r < 0)
        return ak_error_set(reterr, r, "read the certificate authorities: %s", ak_code_text(r));
    *ret = ak_process_file(self, "ca.pem", text.data, text.len, 0644);
    return 0;
}

const char *ak_process_password(const struct ak_process *self)
{
    size_t len;

    return self->login.password ? ak_secret_peek(self->login.password, &len) : "";
}

int ak_process_username(const struct ak_process *self, const char **ret, struct ak_error **reterr)
{
    if (!self->login.username || !self->login.username[0])
        return ak_error_set(reterr, -EINVAL, "spec.config.username: is needed to log in");
    *ret = ak_arena_strdup(self->arena, self->login.username);
    return *ret ? 0 : ak_error_oom(reterr);
}

int ak_process_finish(struct ak_process *self, struct ak_client_command *ret,
                      struct ak_error **reterr)
{
    if (self->broken == -ENOMEM)
        return ak_error_oom(reterr);
    if (self->broken)
        return ak_error_set(reterr, self->broken, "the command is too long");
    *ret = (struct ak_client_command){
        .argv = self->argv, .env = self->n_env ? self->env : NULL, .n_files = self->n_files};
    memcpy(ret->files, self->files, self->n_files * sizeof(*self->files));
    return 0;
}

int ak_process_run(struct ak_process *self, const char *input, size_t input_len,
                   struct ak_client_output *ret, struct ak_error **reterr)
{
    struct ak_client_limits limits = {.max_bytes = self->max_bytes, .deadline = self->deadline};
    struct ak_client_command command;
    int r = ak_process_finish(self, &command, reterr);

    if (r < 0)
        return r;
    r = self->session
            ? ak_client_run(self->target, self->session, &command, input, input_len, &limits, ret,
                            reterr)
            : ak_process_local(&command, input, input_len, &limits, self->cancel, ret, reterr);
    if (r == -ENOENT)
        return ak_error_set(reterr, AK_E_NOT_FOUND, "the image has no program \"%s\"",
                            command.argv[0]);
    if (r >= 0)
        ak_output_scrub(ret, ak_process_password(self));
    return r;
}

/* --- the engine --- */

static int find_kind(const struct ak_target *target, const struct ak_process_kind **ret,
                     struct ak_error **reterr)
{
    *ret = ak_process_kind_of(target->spec->type);
    return *ret ? 0
                : ak_error_set(reterr, -EINVAL, "type %s is not one that runs a program",
                               target->info->name);
}

static int engine_probe(const struct ak_target *target, const struct ak_cancel *cancel,
                        ak_msec deadline, struct ak_probe_result *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {.max = ARENA_MAX};
    AK_AUTO(ak_process) use = {.target = target, .cancel = cancel, .deadline = deadline};
    AK_AUTO_PTR(ak_error) err = NULL;
    const struct ak_process_kind *kind = NULL;
    int r;

    ak_arena_init(&arena, 4096, ARENA_MAX);
    *ret = (struct ak_probe_result){.reachable = false};
    r = find_kind(target, &kind, &err);
    if (r >= 0)
        r = ak_process_begin(&use, &arena, true, &err);
    if (r >= 0)
        r = kind->probe(&use, ret, &err);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0) /* it could not even be tried, and the reader of the condition should see why */
        ak_output_message(ret->message, sizeof(ret->message), ak_error_message(err));
    return 0;
}

static int engine_call(const struct ak_target *target, struct ak_session *session,
                       struct ak_call *call, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {.max = ARENA_MAX};
    AK_AUTO(ak_process)
    use = {.target = target,
           .session = session,
           .deadline = call->deadline,
           .max_bytes = (size_t)call->max_bytes};
    const struct ak_process_kind *kind = NULL;
    int r = find_kind(target, &kind, reterr);

    if (r < 0)
        return r;
    ak_arena_init(&arena, 4096, ARENA_MAX);
    r = ak_process_begin(&use, &arena, call->read_only, reterr);
    return r < 0 ? r : kind->call(&use, call, reterr);
}

static int engine_client(const struct ak_target *target, struct ak_session *session,
                         const char *socket_path, const char *const *args, bool tty,
                         struct ak_arena *arena, struct ak_client_command *ret,
                         struct ak_error **reterr)
{
    const struct ak_process_kind *kind = NULL;
    /* No ak_process_done(): the core still sends what the files hold. It is in its arena. */
    struct ak_process use = {.target = target, .session = session};
    int r = find_kind(target, &kind, reterr);

    (void)socket_path;
    if (r < 0)
        return r;
    if (!kind->client)
        return ak_error_set(reterr, AK_E_FORBIDDEN,
                            "a %s Tool has no client program for sessions; use its operations",
                            target->info->title);
    r = ak_process_begin(&use, arena, ak_session_read_only(session), reterr);
    if (r >= 0)
        r = kind->client(&use, args, tty, reterr);
    if (r >= 0)
        r = ak_process_finish(&use, ret, reterr);
    ak_login_done(&use.login);
    return r;
}

static int provision(const struct ak_target *target, bool away, const struct ak_cancel *cancel,
                     ak_msec deadline, struct ak_provision_result *ret, struct ak_error **reterr)
{
    const struct ak_process_kind *kind = NULL;
    AK_AUTO(ak_arena) arena = {.max = ARENA_MAX};
    AK_AUTO(ak_process) use = {.target = target, .cancel = cancel, .deadline = deadline};
    int r = find_kind(target, &kind, reterr);

    if (r < 0)
        return r;
    if (!kind->provision)
        return ak_error_set(reterr, -ENOTSUP, "nothing is provisioned for a %s Tool",
                            target->info->title);
    ak_arena_init(&arena, 4096, ARENA_MAX);
    r = ak_process_begin_admin(&use, &arena, reterr);
    return r < 0 ? r : kind->provision(&use, away, ret, reterr);
}

static int engine_provision(const struct ak_target *target, const struct ak_cancel *cancel,
                            ak_msec deadline, struct ak_provision_result *ret,
                            struct ak_error **reterr)
{
    return provision(target, false, cancel, deadline, ret, reterr);
}

static int engine_deprovision(const struct ak_target *target, const struct ak_cancel *cancel,
                              ak_msec deadline, struct ak_provision_result *ret,
                              struct ak_error **reterr)
{
    return provision(target, true, cancel, deadline, ret, reterr);
}

const struct ak_engine ak_engine_process = {
    .family = "process",
    .probe = engine_probe,
    .call = engine_call,
    .client = engine_client,
    .provision = engine_provision,
    .deprovision = engine_deprovision,
};
