/* SPDX-License-Identifier: Apache-2.0 */
/* keeper: the trust boundary of an Agent's pod. Verbs, start, report; everything else is serve.c. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "keeper/serve.h"
#include "keeper/settings.h"
#include "keeper/toolbox.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static const char help_text[] =
    "usage: keeper VERB\n"
    "\n"
    "  serve      be the second container of an Agent's pod\n"
    "  version    print the version\n"
    "  help       print this\n"
    "\n"
    "The manager configures it by AGENTKUBE_... variables, all in docs/keeper.md. Exit codes:\n"
    "0 told to stop, 1 it could not go on, 2 wrong usage or configuration.\n";

static const char *from_environment(const char *name, void *user)
{
    (void)user;
    return getenv(name);
}

/* Keys pass through this memory: no core dump, and no other process of this user looks into it. */
static void close_memory(void)
{
    const struct rlimit none = {0, 0};

    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
}

static int serve(void)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_PTR(ak_toolbox) box = NULL;
    struct ak_keeper_settings settings;

    close_memory();
    (void)mallopt(M_ARENA_MAX, 1); /* the threads that resolve names need no heap each */
    ak_json_setup();
    if (ak_keeper_settings_read(from_environment, NULL, &settings, &err) < 0) {
        ak_err("keeper", "wrong configuration", AK_ERR(err));
        return EXIT_USAGE;
    }
    if (settings.manager_url[0] && ak_toolbox_new(&settings, &box, &err) < 0) {
        ak_err("keeper", "wrong configuration", AK_ERR(err));
        return EXIT_USAGE;
    }
    if (ak_keeper_serve(&settings, box ? ak_toolbox_tools(box) : &ak_mcp_no_tools, &err) < 0) {
        ak_err("keeper", "stopped", AK_ERR(err));
        return EXIT_FAILED;
    }
    ak_info("keeper", "stopped");
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    if (argc == 2 && ak_streq(argv[1], "serve"))
        return serve();
    if (argc == 2 && ak_streq(argv[1], "version"))
        return puts("keeper " AK_VERSION) < 0 ? EXIT_FAILED : EXIT_OK;
    if (argc == 2 && (ak_streq(argv[1], "help") || ak_streq(argv[1], "--help")))
        return fputs(help_text, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
    (void)fputs(help_text, stderr);
    return EXIT_USAGE;
}
