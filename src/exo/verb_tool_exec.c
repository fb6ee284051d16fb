/* SPDX-License-Identifier: Apache-2.0 */
/* exo tool exec, exo tool connect: the client of a Tool's type, in its bastion. */
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/tools.h"
#include "exo/verbs.h"
#include "terminal/raw.h"

static int show(enum ak_exec_stream stream, const char *data, size_t len, void *user)
{
    (void)user;
    return ak_exo_write(stream == AK_EXEC_STDERR ? STDERR_FILENO : STDOUT_FILENO, data, len, NULL);
}

static bool terminal_size(struct ak_exec_size *ret, void *user)
{
    struct signalfd_siginfo info;
    int *resize = user;

    while (read(*resize, &info, sizeof(info)) > 0)
        ;
    return ak_raw_size(STDIN_FILENO, &ret->columns, &ret->rows);
}

static int open_resize(struct ak_error **reterr)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGWINCH);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? ak_error_set(reterr, -errno, "signalfd: %s", ak_code_text(-errno)) : fd;
}

static const char *make_path(struct ak_exo *self, bool tty)
{
    const struct ak_exo_options *o = self->options;
    const char *base = ak_tools_path(self, o->args[0], "exec", NULL, NULL);
    AK_AUTO(ak_buf) path = AK_BUF_INIT(2 * AK_PROXY_MAX_PATH);
    int r =
        base ? ak_buf_addf(&path, "%s?hold=%lld", base, (long long)ak_tools_hold(self)) : -ENOMEM;

    if (r >= 0 && tty)
        r = ak_buf_adds(&path, "&tty=true");
    if (r >= 0 && o->read_only)
        r = ak_buf_adds(&path, "&readOnly=true");
    for (const char *const *word = o->rest; r >= 0 && word && *word; word++) {
        r = ak_buf_adds(&path, "&arg=");
        if (r >= 0)
            r = ak_buf_add_url_escaped(&path, *word);
    }
    return r < 0 ? NULL : ak_arena_strdup(self->arena, ak_buf_text(&path));
}

static int go(struct ak_exo *self, bool tty, struct ak_error **reterr)
{
    const char *path = make_path(self, tty);
    AK_AUTO(ak_raw) raw = {0};
    int resize = -1, nothing = -1, code = 0, r = 0;

    if (!path)
        return ak_error_set(reterr, AK_E_TOO_LARGE,
                            "the arguments are too long; give statements on standard input");
    /* A client that has its orders does not wait for keys. */
    if (!tty && isatty(STDIN_FILENO) == 1)
        nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (tty) {
        resize = open_resize(reterr);
        if (resize < 0)
            return resize;
        r = ak_raw_init(&raw, STDIN_FILENO);
    }
    struct ak_exec_options io = {
        .tty = tty,
        .input_fd = nothing >= 0 ? nothing : STDIN_FILENO,
        .resize_fd = resize,
        .size = tty ? terminal_size : NULL,
        .output = show,
        .user = &resize,
    };
    r = r < 0 ? ak_error_set(reterr, r, "the terminal: %s", ak_code_text(r))
              : ak_tools_channels(self, path, &io, &code, reterr);
    ak_raw_done(&raw);
    if (resize >= 0)
        (void)close(resize);
    if (nothing >= 0)
        (void)close(nothing);
    return r < 0 ? r : code;
}

int ak_verb_tool_exec(struct ak_exo *self, struct ak_error **reterr)
{
    const char *const *rest = self->options->rest;

    if ((!rest || !rest[0]) && isatty(STDIN_FILENO) == 1)
        return ak_error_set(reterr, -EINVAL,
                            "nothing to do: give the client's arguments behind \"--\", or its "
                            "input on standard input (a terminal: exo tool connect)");
    return go(self, false, reterr);
}

int ak_verb_tool_connect(struct ak_exo *self, struct ak_error **reterr)
{
    if (isatty(STDIN_FILENO) != 1 || !self->screen.terminal)
        return ak_error_set(reterr, -EINVAL, "this is no terminal; in scripts: exo tool exec");
    return go(self, true, reterr);
}
