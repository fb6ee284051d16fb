/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/process/local.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ak/base/buf.h>

#define OUTPUT_MAX (1u << 20) /* where the caller has no limit */
#define LOOK 50               /* ms: how often the program's end is looked for */

enum { IN, OUT, ERR, STREAMS };

struct run {
    pid_t pid;
    int fds[STREAMS];
    const char *input;
    size_t input_len;
    struct ak_buf text[2]; /* stdout, stderr */
    size_t room;
    bool truncated, exited;
    int status;
};

static void close_stream(struct run *run, int which)
{
    if (run->fds[which] >= 0)
        (void)close(run->fds[which]);
    run->fds[which] = -1;
}

static int write_file(const struct ak_client_file *file, struct ak_error **reterr)
{
    int fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  file->mode ? file->mode : 0600);
    int r = 0;

    if (fd < 0)
        return ak_error_set(reterr, -errno, "write %s: %s", file->path, ak_code_text(-errno));
    for (size_t done = 0; r == 0 && done < file->len;) {
        ssize_t n = write(fd, file->data + done, file->len - done);
        if (n < 0 && errno != EINTR)
            r = ak_error_set(reterr, -errno, "write %s: %s", file->path, ak_code_text(-errno));
        done += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    return r;
}

static int spawn_with(const struct ak_client_command *command, const int ends[STREAMS],
                      const char *const *env, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int e = posix_spawn_file_actions_init(&actions);

    if (e)
        return -e;
    e = posix_spawnattr_init(&attributes);
    if (e) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return -e;
    }
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    for (int i = 0; e == 0 && i < STREAMS; i++)
        e = posix_spawn_file_actions_adddup2(&actions, ends[i], i);
    if (e == 0)
        e = posix_spawn_file_actions_addchdir_np(&actions, command->cwd ? command->cwd : "/tmp");
    if (e == 0)
        e = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                      POSIX_SPAWN_SETSIGDEF);
    if (e == 0)
        e = posix_spawnattr_setsigmask(&attributes, &none);
    if (e == 0)
        e = posix_spawnattr_setsigdefault(&attributes, &all);
    if (e == 0) /* POSIX: neither list is modified */
        e = posix_spawnp(ret, command->argv[0], &actions, &attributes,
                         (char *const *)(uintptr_t)command->argv, (char *const *)(uintptr_t)env);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -e;
}

/* PATH, HOME and LANG as the core gives them, and what the command adds. */
static int start(struct run *run, const struct ak_client_command *command, struct ak_arena *arena,
                 struct ak_error **reterr)
{
    const char *path = getenv("PATH");
    const char **env;
    int pipes[STREAMS][2], ends[STREAMS], r = 0;
    size_t n = 0;

    while (command->env && command->env[n])
        n++;
    env = ak_arena_alloc(arena, (n + 4) * sizeof(*env));
    if (!env)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < n; i++)
        env[i] = command->env[i];
    env[n++] = ak_arena_printf(arena, "PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
    env[n++] = "HOME=/tmp";
    env[n] = "LANG=C.UTF-8";
    if (!env[n - 2])
        return ak_error_oom(reterr);
    for (int i = 0; i < STREAMS; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            r = -errno;
        if (r < 0)
            pipes[i][0] = pipes[i][1] = -1;
        ends[i] = pipes[i][i == IN ? 0 : 1];
        run->fds[i] = pipes[i][i == IN ? 1 : 0];
    }
    if (r == 0)
        r = spawn_with(command, ends, env, &run->pid);
    for (int i = 0; i < STREAMS; i++) {
        if (ends[i] >= 0)
            (void)close(ends[i]);
        if (run->fds[i] >= 0)
            (void)fcntl(run->fds[i], F_SETFL, O_NONBLOCK);
    }
    return r < 0 ? ak_error_set(reterr, r, "start %s: %s", command->argv[0], ak_code_text(r)) : 0;
}

static void feed(struct run *run)
{
    ssize_t n = write(run->fds[IN], run->input, run->input_len);

    if (n > 0) {
        run->input += n;
        run->input_len -= (size_t)n;
    }
    if (!run->input_len || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_stream(run, IN);
}

/* Reads what is there; the rest of what is too much is read as well, and dropped, so that the program can go
 * on. */
static int drain(struct run *run, int which)
{
    struct ak_buf *text = &run->text[which - OUT];
    char chunk[16384];

    for (;;) {
        ssize_t n = run->fds[which] < 0 ? 0 : read(run->fds[which], chunk, sizeof(chunk));
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0) {
            close_stream(run, which);
            return 0;
        }
        size_t take = (size_t)n < run->room ? (size_t)n : run->room;
        if (take < (size_t)n)
            run->truncated = true;
        if (ak_buf_add(text, chunk, take) < 0)
            return -ENOMEM;
        run->room -= take;
    }
}

static int step(struct run *run, const struct ak_cancel *cancel, ak_msec deadline)
{
    struct pollfd polls[] = {{.fd = run->fds[IN], .events = POLLOUT},
                             {.fd = run->fds[OUT], .events = POLLIN},
                             {.fd = run->fds[ERR], .events = POLLIN},
                             {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};
    int r = 0;

    if (poll(polls, AK_ARRAY_LEN(polls), LOOK) < 0 && errno != EINTR)
        return -errno;
    if (cancel && ak_cancel_is_set(cancel))
        return AK_E_CANCELLED;
    if (ak_now() >= deadline)
        return -ETIMEDOUT;
    run->exited = waitpid(run->pid, &run->status, WNOHANG) == run->pid;
    if (run->fds[IN] >= 0 && polls[IN].revents)
        feed(run);
    for (int i = OUT; r == 0 && i <= ERR; i++)
        r = drain(run, i);
    return r;
}

/* Whoever is left of the session dies with it: the group is the program's own. */
static void end(struct run *run)
{
    if (run->pid > 0) {
        (void)kill(-run->pid, SIGKILL);
        while (!run->exited && waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR)
            ;
    }
    for (int i = 0; i < STREAMS; i++)
        close_stream(run, i);
}

static int collect(struct run *run, struct ak_client_output *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) all = AK_BUF_INIT(SIZE_MAX / 2);
    char *text;

    if (ak_buf_add(&all, run->text[0].data, run->text[0].len) < 0 ||
        ak_buf_add(&all, run->text[1].data, run->text[1].len) < 0)
        return ak_error_oom(reterr);
    ret->len = all.len;
    text = ak_buf_take(&all);
    if (!text)
        return ak_error_oom(reterr);
    ret->text = text;
    ret->truncated = run->truncated;
    ret->exit_code =
        WIFEXITED(run->status) ? WEXITSTATUS(run->status) : 128 + WTERMSIG(run->status);
    return 0;
}

static const char *program_of(const struct ak_client_command *command)
{
    const char *slash = strrchr(command->argv[0], '/');

    return slash ? slash + 1 : command->argv[0];
}

int ak_process_local(const struct ak_client_command *command, const char *input, size_t input_len,
                     const struct ak_client_limits *limits, const struct ak_cancel *cancel,
                     struct ak_client_output *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    size_t max = limits->max_bytes ? limits->max_bytes : OUTPUT_MAX;
    struct run run = {.fds = {-1, -1, -1},
                      .input = input,
                      .input_len = input_len,
                      .room = max,
                      .text = {AK_BUF_INIT(max), AK_BUF_INIT(max)}};
    size_t written = 0;
    int r = 0;

    ak_arena_init(&arena, 1024, 1 << 20);
    while (r == 0 && written < command->n_files)
        r = write_file(&command->files[written++], reterr);
    if (r == 0)
        r = start(&run, command, &arena, reterr);
    if (r == 0 && !input_len)
        close_stream(&run, IN);
    while (r == 0 && !run.exited) {
        r = step(&run, cancel, limits->deadline);
        if (r < 0)
            (void)ak_error_set(reterr, r, "%s: %s", program_of(command), ak_code_text(r));
    }
    end(&run);
    while (written > 0)
        (void)unlink(command->files[--written].path);
    if (r == 0)
        r = collect(&run, ret, reterr);
    ak_buf_done(&run.text[0]);
    ak_buf_done(&run.text[1]);
    return r;
}
