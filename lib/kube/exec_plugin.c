/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credential plug-ins (client.authentication.k8s.io): a program that prints an ExecCredential. It runs
 * without a terminal, in a process group of its own, for at most a time limit.
 */
#include "config_internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#define MAX_STDERR 2048
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define INFO_NAME "KUBERNETES_EXEC_INFO="

void ak__fresh_done(struct ak__fresh *self)
{
    self->token = ak_secret_free(self->token);
    self->key = ak_secret_free(self->key);
    ak_free(self->cert_pem);
    self->cert_pem = NULL;
}

static void free_list(char **list)
{
    for (char **p = list; p && *p; p++) {
        ak__wipe_text(*p); /* an environment may hold keys */
        ak_free(*p);
    }
    ak_free(list);
}

struct ak__exec_plugin *ak__exec_plugin_free(struct ak__exec_plugin *self)
{
    if (!self)
        return NULL;
    free_list(self->argv);
    free_list(self->environ_);
    ak_free(self->path);
    ak_free(self->info);
    ak_free(self->api_version);
    ak_free(self->install_hint);
    ak_free(self);
    return NULL;
}

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

/* The inherited environment, then what the kubeconfig sets; later ones replace earlier ones. */
static char **make_environ(const struct ak__kc_exec *exec, const char *const *inherit)
{
    size_t n = 0;
    char **list = ak_calloc(count(inherit) + exec->env.len + 2, sizeof(list[0]));

    for (size_t i = 0; list && i < count(inherit); i++) {
        bool replaced = ak_has_prefix(inherit[i], INFO_NAME);

        for (size_t j = 0; j < exec->env.len; j++) {
            size_t len = strlen(exec->env.items[j].name);

            replaced |=
                strncmp(inherit[i], exec->env.items[j].name, len) == 0 && inherit[i][len] == '=';
        }
        if (!replaced && !(list[n++] = ak_strdup(inherit[i])))
            goto oom;
    }
    for (size_t j = 0; list && j < exec->env.len; j++) {
        list[n] = ak_asprintf("%s=%s", exec->env.items[j].name, exec->env.items[j].value);
        if (!list[n++])
            goto oom;
    }
    return list;
oom:
    free_list(list);
    return NULL;
}

static char **make_argv(const struct ak__kc_exec *exec)
{
    char **argv = ak_calloc(exec->args.len + 2, sizeof(argv[0]));

    if (!argv)
        return NULL;
    argv[0] = ak_strdup(exec->command);
    for (size_t i = 0; argv[i] && i < exec->args.len; i++)
        argv[i + 1] = ak_strdup(exec->args.items[i]);
    if (!argv[exec->args.len]) {
        free_list(argv);
        return NULL;
    }
    return argv;
}

static char *make_info(const char *api_version, const json_t *cluster_info)
{
    AK_AUTO(ak_buf) text = {.max = AK_KUBECONFIG_MAX_BYTES * 2};
    json_t *tree = json_pack("{s:s, s:s, s:{s:b}}", "apiVersion", api_version, "kind",
                             "ExecCredential", "spec", "interactive", 0);
    int r = tree ? 0 : -ENOMEM;

    if (r == 0 && cluster_info)
        r = json_object_set(json_object_get(tree, "spec"), "cluster",
                            (json_t *)(uintptr_t)cluster_info);
    if (r == 0)
        r = ak_json_write(tree, &text, NULL);
    json_decref(tree);
    return r < 0 ? NULL : ak_asprintf(INFO_NAME "%s", ak_buf_text(&text));
}

/* A name without a slash is searched in PATH, another relative one starts at the kubeconfig's folder. */
static char *make_path(const char *command, const char *dir)
{
    if (command[0] == '/' || !strchr(command, '/'))
        return ak_strdup(command);
    return ak_asprintf("%s/%s", dir, command);
}

int ak__exec_plugin_new(const struct ak__kc_exec *exec, const char *dir, const char *const *inherit,
                        const json_t *cluster_info, struct ak__exec_plugin **ret,
                        struct ak_error **reterr)
{
    AK_AUTO_PTR(ak__exec_plugin) self = NULL;

    if (!exec->command[0])
        return ak_error_set(reterr, -EINVAL, "command: must not be empty");
    if (!ak_streq(exec->api_version, "client.authentication.k8s.io/v1") &&
        !ak_streq(exec->api_version, "client.authentication.k8s.io/v1beta1"))
        return ak_error_set(reterr, -EINVAL,
                            "apiVersion: must be client.authentication.k8s.io/v1 or v1beta1, not "
                            "\"%s\"; a newer release of the plug-in can write it",
                            exec->api_version);
    if (ak_streq(exec->interactive_mode, "Always"))
        return ak_error_set(reterr, -EINVAL,
                            "interactiveMode: \"Always\" needs a terminal, and there is none here");
    self = ak_new0(struct ak__exec_plugin);
    if (!self)
        return ak_error_oom(reterr);
    self->path = make_path(exec->command, dir);
    self->argv = make_argv(exec);
    self->environ_ = make_environ(exec, inherit);
    self->info = make_info(exec->api_version, exec->provide_cluster_info ? cluster_info : NULL);
    self->api_version = ak_strdup(exec->api_version);
    self->install_hint = ak_strdup(exec->install_hint ? exec->install_hint : "");
    if (!self->path || !self->argv || !self->environ_ || !self->info || !self->api_version ||
        !self->install_hint)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(self);
    return 0;
}

static const char *path_of(char *const *environ_)
{
    for (; *environ_; environ_++)
        if (ak_has_prefix(*environ_, "PATH="))
            return *environ_ + 5;
    return DEFAULT_PATH;
}

/* The program's file. NULL: not found, or no memory. */
static char *find_program(const struct ak__exec_plugin *self)
{
    if (strchr(self->path, '/'))
        return ak_strdup(self->path);
    for (const char *p = path_of(self->environ_); *p;) {
        size_t len = strcspn(p, ":");
        AK_AUTO_TEXT char *dir = ak_strndup(p, len);
        AK_AUTO_TEXT char *file = dir ? ak_asprintf("%s/%s", dir, self->path) : NULL;

        if (len && file && access(file, X_OK) == 0)
            return AK_TAKE(file);
        p += len + (p[len] == ':');
    }
    return NULL;
}

/* A running plug-in. fds are -1 when closed. */
struct child {
    pid_t pid;
    int out, err;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static int spawn_with(const char *file, char *const *argv, char *const *envp, int out, int err,
                      pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    int r;

    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGCHLD);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &defaults);
    r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, err, 2);
    if (r == 0)
        r = posix_spawn(ret, file, &actions, &attr, argv, envp);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attr);
    return -r;
}

static int start(const struct ak__exec_plugin *self, struct child *child, struct ak_error **reterr)
{
    AK_AUTO_TEXT char *file = find_program(self);
    size_t n = count((const char *const *)(uintptr_t)self->environ_);
    char **envp;
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    int r = -ENOENT;

    if (!file)
        goto fail;
    envp = ak_calloc(n + 2, sizeof(envp[0]));
    if (!envp)
        return ak_error_oom(reterr);
    memcpy(envp, self->environ_, n * sizeof(envp[0]));
    envp[n] = self->info;
    r = pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 ? -errno : 0;
    if (r == 0)
        r = spawn_with(file, self->argv, envp, out[1], err[1], &child->pid);
    ak_free(envp);
    close_fd(&out[1]);
    close_fd(&err[1]);
    if (r == 0) {
        child->out = out[0];
        child->err = err[0];
        return 0;
    }
    close_fd(&out[0]);
    close_fd(&err[0]);
fail:
    return ak_error_set(reterr, r, "credential plug-in \"%s\": %s%s%s", self->path, ak_code_text(r),
                        self->install_hint[0] ? "; " : "", self->install_hint);
}

/* Reads what is there; closes at the end of the file. `keep`: too much is an error, else it is dropped. */
static int drain(int *fd, struct ak_buf *into, bool keep)
{
    char chunk[4096];
    ssize_t n = read(*fd, chunk, sizeof(chunk));
    int r = 0;

    if (n > 0) {
        size_t room = into->max - into->len;

        if (!keep)
            n = (ssize_t)AK_MIN((size_t)n, room);
        r = ak_buf_add(into, chunk, (size_t)n);
        ak_wipe(chunk, sizeof(chunk));
    } else if (n == 0 || errno != EINTR) {
        close_fd(fd);
    }
    return r;
}

/* What poll() is asked about, in this order. */
enum { FROM_OUT, FROM_ERR, FROM_END, FROM_CANCEL, FROM_N };

static int take_output(struct child *child, const struct pollfd fds[static FROM_N],
                       struct ak_buf *out, struct ak_buf *err)
{
    int r = fds[FROM_OUT].revents ? drain(&child->out, out, true) : 0;

    return r >= 0 && fds[FROM_ERR].revents ? drain(&child->err, err, false) : r;
}

/* Until its output is closed and the process ended; pidfd tells of the latter. */
static int collect(struct child *child, int pidfd, ak_msec deadline, const struct ak_cancel *cancel,
                   struct ak_buf *out, struct ak_buf *err)
{
    bool ended = false;

    while (child->out >= 0 || !ended) {
        struct pollfd fds[FROM_N] = {
            [FROM_OUT] = {.fd = child->out, .events = POLLIN},
            [FROM_ERR] = {.fd = child->err, .events = POLLIN},
            [FROM_END] = {.fd = ended ? -1 : pidfd, .events = POLLIN},
            [FROM_CANCEL] = {.fd = cancel ? cancel->fd : -1, .events = POLLIN},
        };
        ak_msec left = deadline - ak_now();
        int r;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(fds, FROM_N, ended ? 0 : (int)AK_MIN(left, 1000)) < 0 && errno != EINTR)
            return -errno;
        if (fds[FROM_CANCEL].revents)
            return AK_E_CANCELLED;
        r = take_output(child, fds, out, err);
        if (r < 0)
            return r;
        /* What it wrote before it ended is there by now. What a background process of its own keeps open
         * is not waited for. */
        if (ended && child->out >= 0 && !fds[FROM_OUT].revents)
            close_fd(&child->out);
        if (fds[FROM_END].revents)
            ended = true;
    }
    return 0;
}

static int finish(struct child *child, int *ret_status)
{
    int r;

    close_fd(&child->out);
    close_fd(&child->err);
    do
        r = waitpid(child->pid, ret_status, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* Blanks and line breaks at the end go; it becomes part of a message. */
static const char *last_words(struct ak_buf *err)
{
    while (err->len && (unsigned char)err->data[err->len - 1] <= ' ')
        err->data[--err->len] = '\0';
    return ak_buf_text(err);
}

int ak__exec_plugin_run(const struct ak__exec_plugin *self, ak_msec timeout,
                        const struct ak_cancel *cancel, struct ak__fresh *ret,
                        struct ak_error **reterr)
{
    AK_AUTO(ak_buf) out = {.max = AK_EXEC_MAX_OUTPUT, .wipe = true};
    AK_AUTO(ak_buf) err = {.max = MAX_STDERR};
    struct child child = {.out = -1, .err = -1};
    int pidfd, status = 0;
    int r = start(self, &child, reterr);

    if (r < 0)
        return r;
    pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
    r = pidfd < 0 ? -errno : collect(&child, pidfd, ak_now() + timeout, cancel, &out, &err);
    if (r < 0)
        (void)kill(-child.pid, SIGKILL);
    close_fd(&pidfd);
    if (finish(&child, &status) < 0 && r >= 0)
        r = -ECHILD;
    if (r < 0)
        return ak_error_set(reterr, r, "credential plug-in \"%s\": %s", self->path,
                            ak_code_text(r));
    if (WIFSIGNALED(status))
        return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                            "credential plug-in \"%s\": killed by signal %d", self->path,
                            WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return ak_error_set(reterr, AK_E_UNAUTHORIZED,
                            "credential plug-in \"%s\": ended with status %d: %s", self->path,
                            WEXITSTATUS(status), last_words(&err));
    r = ak__exec_credential_parse(ak_buf_text(&out), out.len, self->api_version, ret, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "credential plug-in \"%s\"", self->path) : 0;
}

/* --- ExecCredential --- */
struct exec_status {
    const char *token, *cert, *key;
    ak_msec expires;
};
struct exec_credential {
    const char *api_version, *kind;
    const struct exec_status *status;
};
static const struct ak_field status_fields[] = {
    AK_FIELD_STRING(struct exec_status, token, "token", 0),
    AK_FIELD_STRING(struct exec_status, cert, "clientCertificateData", 0),
    AK_FIELD_STRING(struct exec_status, key, "clientKeyData", 0),
    AK_FIELD(struct exec_status, expires, "expirationTimestamp", AK_F_TIME, .flags = 0),
};
static const struct ak_type status_type = AK_TYPE("status", struct exec_status, status_fields);
static const struct ak_field credential_fields[] = {
    AK_FIELD_STRING(struct exec_credential, api_version, "apiVersion", AK_FIELD_REQUIRED),
    AK_FIELD_STRING(struct exec_credential, kind, "kind", AK_FIELD_REQUIRED),
    AK_FIELD_STRUCT(struct exec_credential, status, "status", AK_FIELD_REQUIRED, &status_type),
};
static const struct ak_type credential_type =
    AK_TYPE("ExecCredential", struct exec_credential, credential_fields);

static int take_status(const struct exec_status *s, struct ak__fresh *ret, struct ak_error **reterr)
{
    AK_AUTO(ak__fresh) fresh = {.expires = s->expires};

    if (ak_is_empty(s->token) && ak_is_empty(s->cert))
        return ak_error_set(reterr, -EINVAL,
                            "status: has neither a token nor a client certificate");
    if (ak_is_empty(s->cert) != ak_is_empty(s->key))
        return ak_error_set(reterr, -EINVAL,
                            "status: clientCertificateData and clientKeyData come only together");
    if (!ak_is_empty(s->token) && !(fresh.token = ak_secret_new(s->token, strlen(s->token))))
        return ak_error_oom(reterr);
    if (!ak_is_empty(s->cert)) {
        fresh.cert_pem = ak_strdup(s->cert);
        fresh.key = ak_secret_new(s->key, strlen(s->key));
        if (!fresh.cert_pem || !fresh.key)
            return ak_error_oom(reterr);
    }
    *ret = fresh;
    fresh = (struct ak__fresh){0};
    return 0;
}

int ak__exec_credential_parse(const char *text, size_t len, const char *api_version,
                              struct ak__fresh *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena;
    struct exec_credential c = {0};
    json_t *tree = NULL;
    int r;

    ak_arena_init(&arena, 4096, AK_EXEC_MAX_OUTPUT * 2);
    r = ak_json_parse(text, len, &tree, NULL);
    if (r < 0) /* the parser's message could quote a token */
        return ak_error_set(reterr, r, "its output is not JSON");
    r = ak_decode(&credential_type, tree, &c, &arena, reterr);
    if (json_is_object(json_object_get(tree, "status"))) {
        ak__wipe_text(json_string_value(ak_json_at(tree, "status", "token", NULL)));
        ak__wipe_text(json_string_value(ak_json_at(tree, "status", "clientKeyData", NULL)));
    }
    json_decref(tree);
    if (r >= 0 && !ak_streq(c.kind, "ExecCredential"))
        r = ak_error_set(reterr, -EINVAL, "kind: must be ExecCredential, not \"%s\"", c.kind);
    if (r >= 0 && !ak_streq(c.api_version, api_version))
        r = ak_error_set(reterr, -EINVAL, "apiVersion: is \"%s\", the kubeconfig asks for \"%s\"",
                         c.api_version, api_version);
    if (r >= 0)
        r = take_status(c.status, ret, reterr);
    if (c.status) {
        ak__wipe_text(c.status->token);
        ak__wipe_text(c.status->key);
    }
    return r;
}
