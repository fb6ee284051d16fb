/* SPDX-License-Identifier: Apache-2.0 */
/* exo tool exec, exo tool connect: the client of a Tool's type, in its bastion. */
#include <fcntl.h>
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/attach.h"
#include "exo/tools.h"
#include "exo/verbs.h"

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
    AK_AUTO(ak_attach) attach = {0};
    struct ak_exec_options io;
    int nothing = -1, code = 0;

    if (!path)
        return ak_error_set(reterr, -EINVAL,
                            "the arguments are too long; give statements on standard input");
    int r = ak_attach_init(&attach, tty, &io, reterr);
    if (r < 0)
        return r;
    /* A client that has its orders does not wait for keys. */
    if (!tty && isatty(STDIN_FILENO) == 1)
        io.input_fd = nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    r = ak_tools_channels(self, path, &io, &code, reterr);
    ak_attach_done(&attach);
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
