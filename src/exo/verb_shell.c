/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent shell: a real terminal in the agent's container, through the apiserver's gate. */
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <ak/base/text.h>
#include <ak/kube/exec.h>

#include "exo/kinds.h"
#include "exo/verbs.h"
#include "terminal/raw.h"

#define CONTAINER "agent"

static const char *const some_shell[] = {
    "/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh", NULL};

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

/* Says why there is no pod to go into, in the Agent's own words. */
static int explain(struct ak_exo *self, int code, const char *name, struct ak_error **reterr)
{
    AK_AUTO_JSON *agent = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    if (code != AK_E_NOT_FOUND)
        return code;
    int r = ak_client_get(self->client, ak_kinds_find("Agent"), self->ns, name, &agent, &err);
    if (r == AK_E_NOT_FOUND)
        return ak_error_set(reterr, code, "there is no Agent \"%s\" in namespace \"%s\"", name,
                            self->ns);
    const char *phase = ak_json_text(agent, "status", "phase", NULL);
    return phase ? ak_error_set(reterr, code, "Agent \"%s\" has no pod now: it is %s", name, phase)
                 : code;
}

int ak_verb_shell(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const char *const *command = o->rest && o->rest[0] ? o->rest : some_shell;
    bool tty = !o->tty_off && isatty(STDIN_FILENO) == 1 && self->screen.terminal;
    AK_AUTO(ak_raw) raw = {0};
    int resize = -1, code = 0, r = 0;

    if (tty) {
        resize = open_resize(reterr);
        if (resize < 0)
            return resize;
        r = ak_raw_init(&raw, STDIN_FILENO);
    }
    const struct ak_exec_options options = {
        .ns = self->ns,
        .pod = o->args[0], /* an Agent's pod has its name */
        .container = CONTAINER,
        .command = command,
        .tty = tty,
        .input_fd = STDIN_FILENO,
        .resize_fd = resize,
        .size = tty ? terminal_size : NULL,
        .output = show,
        .user = &resize,
    };
    r = r < 0 ? ak_error_set(reterr, r, "the terminal: %s", ak_code_text(r))
              : ak_exec(self->client, &options, &code, reterr);
    ak_raw_done(&raw);
    if (resize >= 0)
        (void)close(resize);
    return r < 0 ? explain(self, r, o->args[0], reterr) : code;
}
