/* SPDX-License-Identifier: Apache-2.0 */
/* What --help prints. */
#include <string.h>

#include <ak/base/text.h>

#include "exo/command.h"

#define NAME_COLUMNS 12

static int list_verbs(const char *noun, struct ak_buf *out)
{
    int r = 0;

    for (const struct ak_command *c = ak_command_table(); r >= 0 && c->verb; c++)
        if (!c->is_hidden && ak_streq(c->noun, noun))
            r = ak_buf_addf(out, "  %-*s %s\n", NAME_COLUMNS, c->verb, c->about);
    return r;
}

static int help_of_program(struct ak_buf *out)
{
    static const char *const shown[] = {"agent", "run", "tool", "session"};
    int r = ak_buf_adds(
        out, "Usage: exo COMMAND [VERB] [arguments] [flags]\n\n"
             "Agents in a Kubernetes cluster: look at them, give them work, follow it; use Tools.\n"
             "\nCommands:\n");
    for (const struct ak_noun *n = ak_command_nouns(); r >= 0 && n->noun; n++)
        r = ak_buf_addf(out, "  %-*s %s\n", NAME_COLUMNS, n->noun, n->about);
    if (r >= 0)
        r = list_verbs(NULL, out);
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(shown); i++) {
        r = ak_buf_addf(out, "\nexo %s:\n", shown[i]);
        if (r >= 0)
            r = list_verbs(shown[i], out);
    }
    if (r >= 0)
        r = ak_buf_adds(
            out,
            "\nexo COMMAND VERB --help lists the flags of a verb.\n\n"
            "Exit codes: 0 done; 1 failed; 2 not understood; 3 not found; 4 not allowed, or\n"
            "not known to the cluster; 5 busy, in conflict, or it waits for approval; 6 the run\n"
            "failed, was cancelled or interrupted; 7 took too long. exo agent shell, exo tool\n"
            "exec and exo tool connect: the command's own.\n");
    return r;
}

static int help_of_noun(const char *noun, struct ak_buf *out)
{
    int r = ak_buf_addf(out, "Usage: exo %s VERB [arguments] [flags]\n\nVerbs:\n", noun);

    if (r >= 0)
        r = list_verbs(noun, out);
    if (r >= 0)
        r = ak_buf_addf(out, "\nexo %s VERB --help lists the flags of a verb.\n", noun);
    return r;
}

static int help_of_command(const struct ak_command *c, struct ak_buf *out)
{
    struct ak_flags own = ak_command_flags(c);
    char label[64];
    int r = ak_buf_addf(out, "Usage: exo %s%s%s [flags]\n\n%c%s.\n", ak_command_label(c, label),
                        c->args[0] ? " " : "", c->args,
                        c->about[0] >= 'a' && c->about[0] <= 'z' ? c->about[0] - 'a' + 'A'
                                                                 : c->about[0],
                        c->about + 1);
    if (r >= 0 && c->more)
        r = ak_buf_addf(out, "%s\n", c->more);
    return r < 0 ? r : ak_flags_help(&own, "Flags", out);
}

int ak_command_help(const struct ak_exo_options *self, struct ak_buf *out)
{
    if (self->command)
        return help_of_command(self->command, out);
    return self->noun ? help_of_noun(self->noun, out) : help_of_program(out);
}
