/* SPDX-License-Identifier: Apache-2.0 */
/* agentkube-manager: the operator. Options, start, report; everything else is wiring.c. */
#include <ak/base/log.h>
#include <ak/json/json.h>
#include <stdio.h>
#include <unistd.h>

#include "manager/options.h"
#include "manager/wiring.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static int print_help(void)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 * 1024);
    if (ak_options_help(&text) < 0)
        return EXIT_FAILED;
    return fputs(ak_buf_text(&text), stdout) < 0 ? EXIT_FAILED : EXIT_OK;
}

static int refuse_usage(const char *what)
{
    (void)fprintf(stderr, "agentkube-manager: %s\nagentkube-manager --help lists the flags.\n",
                  what);
    return EXIT_USAGE;
}

static int run(const struct ak_options *options)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    ak_info("manager", "starting", AK_STR("version", AK_VERSION),
            AK_BOOL("leaderElect", options->leader_elect), AK_INT("workers", options->workers));
    if (options->managed)
        ak_warn("manager", "managed mode is not in this version, working without a control plane",
                AK_STR("variable", "AGENTKUBE_MANAGED"));
    if (ak_wiring_run(options, &err) < 0) {
        ak_err("manager", "stopped", AK_ERR(err));
        return EXIT_FAILED;
    }
    ak_info("manager", "stopped");
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_options options;
    ak_arena_init(&arena, 1024, 1u << 20);
    if (ak_options_parse(&options, argc, (const char *const *)argv, (const char *const *)environ,
                         &arena, &err) < 0)
        return refuse_usage(ak_error_message(err));
    if (options.show_help)
        return print_help();
    if (options.show_version)
        return puts("agentkube-manager " AK_VERSION) < 0 ? EXIT_FAILED : EXIT_OK;
    if (ak_log_set_level(options.log_level) < 0)
        return refuse_usage("--log-level: must be debug, info, warn or error, with +part or -part");
    ak_json_setup();
    return run(&options);
}
