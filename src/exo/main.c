/* SPDX-License-Identifier: Apache-2.0 */
/* exo: options, one verb, its exit code. */
#include <nss.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/json/json.h>

#include "exo/exo.h"
#include "terminal/cells.h"

static int print_help(const struct ak_exo_options *options)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 * 1024);
    if (ak_command_help(options, &text) < 0)
        return AK_EXIT_FAILED;
    return ak_exo_print(&text, NULL) < 0 ? AK_EXIT_FAILED : AK_EXIT_OK;
}

/* Part of it may be what a server said, or an agent: a terminal only shows it. */
static void complain(struct ak_exo *self, const char *text)
{
    AK_AUTO(ak_buf) shown = AK_BUF_INIT(1u << 20);
    bool pending_cr = false;
    int r = self->screen.err_terminal ? ak_cells_add_shown(&shown, text, strlen(text), &pending_cr)
                                      : ak_buf_adds(&shown, text);

    ak_screen_complain(&self->screen, "exo: %s", r < 0 ? "failed" : ak_buf_text(&shown));
}

static int run(const struct ak_exo_options *options, struct ak_arena *arena)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_exo self;
    int r = 0;

    ak_exo_init(&self, options, arena);
    ak_screen_init(&self.screen, options->environ_, options->no_color);
    if (!options->command->is_offline)
        r = ak_exo_connect(&self, &err);
    if (r >= 0)
        r = options->command->run(&self, &err);
    if (r < 0 && r != -EPIPE) /* who closed the pipe knows why */
        complain(&self, err ? ak_error_message(err) : ak_code_text(r));
    int code = r < 0 ? (int)ak_exo_exit_of(r, err) : r;
    ak_exo_done(&self);
    return code;
}

int main(int argc, char **argv)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_exo_options options;

    /* Linked statically, libc must not load plug-ins of another libc to resolve a name. */
    (void)__nss_configure_lookup("hosts", "files dns");
    (void)signal(SIGPIPE, SIG_IGN);
    ak_json_setup();
    ak_arena_init(&arena, 8192, 16u << 20);
    if (ak_command_parse(&options, argc, (const char *const *)argv, (const char *const *)environ,
                         &arena, &err) < 0) {
        char label[64];
        const char *what = options.command ? ak_command_label(options.command, label)
                           : options.noun  ? options.noun
                                           : "";
        (void)fprintf(stderr, "exo: %s\nexo %s%s--help says more.\n", ak_error_message(err), what,
                      what[0] ? " " : "");
        return AK_EXIT_USAGE;
    }
    return options.help ? print_help(&options) : run(&options, &arena);
}
