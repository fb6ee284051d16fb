/* SPDX-License-Identifier: Apache-2.0 */
#include "process/family.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int ak_family_init(struct ak_family *self, struct ak_error **reterr)
{
    *self = (struct ak_family){.is_init = getpid() == 1};
    if (!self->is_init && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return ak_error_set(reterr, -errno, "cannot become a subreaper: %s", ak_code_text(-errno));
    return 0;
}

/* posix_spawn's calls return positive errno values. */
static int prepare_streams(posix_spawn_file_actions_t *actions, const struct ak_spawn *what)
{
    int e;

    /* The first terminal that the leader of a session opens becomes its controlling one. */
    if (what->terminal) {
        e = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, what->terminal, O_RDWR, 0);
        if (e == 0)
            e = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO);
        if (e == 0)
            e = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDERR_FILENO);
        return e;
    }
    e = what->input > 0
            ? posix_spawn_file_actions_adddup2(actions, what->input, STDIN_FILENO)
            : posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, what->output, STDOUT_FILENO);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, what->error > 0 ? what->error : what->output,
                                             STDERR_FILENO);
    return e;
}

static int prepare_files(posix_spawn_file_actions_t *actions, const struct ak_spawn *what)
{
    int e = prepare_streams(actions, what);

    if (e == 0 && what->cwd)
        e = posix_spawn_file_actions_addchdir_np(actions, what->cwd);
    return e;
}

static int prepare_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    int e = 0;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    e = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                           POSIX_SPAWN_SETSIGDEF);
    if (e == 0)
        e = posix_spawnattr_setsigmask(attr, &none);
    if (e == 0)
        e = posix_spawnattr_setsigdefault(attr, &all);
    return e;
}

static int spawn(const struct ak_spawn *what, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    char *const *argv = (char *const *)(const void *)what->argv; /* POSIX: not modified */
    char *const *envp = what->envp ? (char *const *)(const void *)what->envp : environ;
    int e = posix_spawn_file_actions_init(&actions);

    if (e != 0)
        return -e;
    e = posix_spawnattr_init(&attr);
    if (e == 0) {
        e = prepare_files(&actions, what);
        if (e == 0)
            e = prepare_attributes(&attr);
        if (e == 0)
            e = posix_spawnp(ret, what->path, &actions, &attr, argv, envp);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return -e;
}

int ak_family_start(struct ak_family *self, const struct ak_spawn *what, ak_exit_fn on_exit,
                    void *user, pid_t *ret, struct ak_error **reterr)
{
    pid_t pid = -1;
    int r = 0;

    if (self->n == AK_FAMILY_MAX)
        return ak_error_set(reterr, -ENOBUFS, "cannot start \"%s\": %d are running", what->path,
                            AK_FAMILY_MAX);
    r = spawn(what, &pid);
    if (r < 0)
        return ak_error_set(reterr, r, "cannot start \"%s\": %s", what->path, ak_code_text(r));
    self->children[self->n++] = (struct ak_child){.pid = pid, .on_exit = on_exit, .user = user};
    *ret = pid;
    return 0;
}

static void note_exit(struct ak_family *self, pid_t pid, int status)
{
    for (size_t i = 0; i < self->n; i++) {
        struct ak_child *child = &self->children[i];

        if (child->pid != pid || child->exited)
            continue;
        child->exited = true;
        child->on_exit(child->user, status);
        return;
    }
}

/* A group whose last member was reaped is forgotten at once: its number may be given away again. */
static void forget_empty_groups(struct ak_family *self)
{
    for (size_t i = 0; i < self->n;) {
        if (self->children[i].exited && kill(-self->children[i].pid, 0) < 0 && errno == ESRCH)
            self->children[i] = self->children[--self->n];
        else
            i++;
    }
}

bool ak_family_reap(struct ak_family *self)
{
    pid_t pid = 0;
    int status = 0;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        note_exit(self, pid, status);
    forget_empty_groups(self);
    return pid == 0;
}

void ak_family_signal(const struct ak_family *self, int signal)
{
    for (size_t i = 0; i < self->n; i++)
        (void)kill(-self->children[i].pid, signal);
}

void ak_family_signal_all(const struct ak_family *self, int signal)
{
    if (self->is_init)
        (void)kill(-1, signal); /* does not reach the caller */
    else
        ak_family_signal(self, signal);
}
