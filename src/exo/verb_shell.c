/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent shell: a real terminal in the agent's container, through the apiserver's gate. */
#include <unistd.h>

#include <ak/base/text.h>

#include "exo/attach.h"
#include "exo/kinds.h"
#include "exo/verbs.h"

#define CONTAINER "agent"

static const char *const some_shell[] = {
    "/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh", NULL};

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
    AK_AUTO(ak_attach) attach = {0};
    struct ak_exec_options io;
    int code = 0;
    int r = ak_attach_init(&attach, tty, &io, reterr);

    if (r < 0)
        return r;
    io.ns = self->ns;
    io.pod = o->args[0]; /* an Agent's pod has its name */
    io.container = CONTAINER;
    io.command = command;
    r = ak_exec(self->client, &io, &code, reterr);
    ak_attach_done(&attach);
    return r < 0 ? explain(self, r, o->args[0], reterr) : code;
}
