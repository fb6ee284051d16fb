/* SPDX-License-Identifier: Apache-2.0 */
/* bastion: the program of a Tool's pods. Verbs, start, report. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/client.h"
#include "bastion/results.h"
#include "bastion/serve.h"
#include "bastion/settings.h"
#include "process/install.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

#define PROBE_TIME AK_SECONDS(25)
#define PROVISION_TIME AK_MINUTES(4)
#define ARENA_MAX (16u << 20)

static const char help_text[] =
    "usage: bastion VERB\n"
    "\n"
    "  serve          be the container that holds a Tool's credential\n"
    "  client         be the container that runs client programs, without it\n"
    "  probe          log in to the system once, and say what came of it\n"
    "  provision      make the users and roles of spec.permissions\n"
    "  deprovision    remove them\n"
    "  install DIR    copy this program into a folder\n"
    "  version        print the version\n"
    "  help           print this\n"
    "\n"
    "The manager configures it by AGENTKUBE_... variables, all in docs/bastion.md. Exit codes:\n"
    "0 done, 1 not, 2 wrong usage or configuration.\n";

static const char *from_environment(const char *name, void *user)
{
    (void)user;
    return getenv(name);
}

/* Credentials pass through this memory: no core dump, and no other process of this user looks into it. */
static void close_memory(void)
{
    const struct rlimit none = {0, 0};

    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
}

static void set_stack(void)
{
    pthread_attr_t attr;

    if (pthread_attr_init(&attr) != 0)
        return;
    if (pthread_attr_setstacksize(&attr, AK_ENGINE_STACK) == 0)
        (void)pthread_setattr_default_np(&attr);
    (void)pthread_attr_destroy(&attr);
}

static int read_settings(enum ak_settings_for what, struct ak_arena *arena,
                         struct ak_bastion_settings *ret)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    if (ak_bastion_settings_read(what, from_environment, NULL, arena, ret, &err) >= 0)
        return 0;
    ak_err("bastion", "wrong configuration", AK_ERR(err));
    return -EINVAL;
}

static int verb_serve(const char *argument, struct ak_arena *arena)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_bastion_settings settings;

    (void)argument;
    if (read_settings(AK_SETTINGS_SERVE, arena, &settings) < 0)
        return EXIT_USAGE;
    if (ak_bastion_serve(&settings, &err) < 0) {
        ak_err("bastion", "stopped", AK_ERR(err));
        return EXIT_FAILED;
    }
    ak_info("bastion", "stopped");
    return EXIT_OK;
}

static int verb_client(const char *argument, struct ak_arena *arena)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_bastion_settings settings;

    (void)argument;
    if (read_settings(AK_SETTINGS_CLIENT, arena, &settings) < 0)
        return EXIT_USAGE;
    const struct ak_client_settings client = {.link_dir = settings.target.link_dir,
                                              .serve_uid = settings.serve_uid};
    if (ak_client_serve(&client, &err) < 0) {
        ak_err("client", "stopped", AK_ERR(err));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

static int tell(const struct ak_buf *text, const struct ak_bastion_settings *settings, bool well)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    if (ak_result_tell(text, settings->result_file, &err) < 0)
        ak_warn("bastion", "the result was not kept", AK_ERR(err));
    return well ? EXIT_OK : EXIT_FAILED;
}

static const struct ak_engine *engine_of(const struct ak_bastion_settings *settings)
{
    const struct ak_engine *engine = ak_engine_of(settings->target.info);

    if (!engine)
        ak_err("bastion", "no such type is built in", AK_STR("type", settings->target.info->name));
    return engine;
}

static int verb_probe(const char *argument, struct ak_arena *arena)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_RESULT_MAX);
    struct ak_probe_result result = {0};
    struct ak_bastion_settings settings;
    const struct ak_engine *engine;

    (void)argument;
    if (read_settings(AK_SETTINGS_VERB, arena, &settings) < 0 || !(engine = engine_of(&settings)))
        return EXIT_USAGE;
    if (engine->probe(&settings.target, NULL, ak_now() + PROBE_TIME, &result, &err) < 0)
        (void)snprintf(result.message, sizeof(result.message), "%s", ak_error_message(err));
    if (ak_probe_write(&result, &text) < 0)
        return EXIT_FAILED;
    return tell(&text, &settings, result.reachable && result.authenticated && result.authorised);
}

static int change(struct ak_arena *arena, bool away)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_RESULT_MAX);
    struct ak_provision_result result = {.arena = arena};
    struct ak_bastion_settings settings;
    const struct ak_engine *engine;
    int r;

    if (read_settings(AK_SETTINGS_VERB, arena, &settings) < 0 || !(engine = engine_of(&settings)))
        return EXIT_USAGE;
    int (*verb)(const struct ak_target *, const struct ak_cancel *, ak_msec,
                struct ak_provision_result *, struct ak_error **) =
        away ? engine->deprovision : engine->provision;
    r = verb ? verb(&settings.target, NULL, ak_now() + PROVISION_TIME, &result, &err)
             : ak_error_set(&err, -ENOTSUP, "type %s makes no users", settings.target.info->name);
    if (r < 0) {
        result.done = false;
        (void)snprintf(result.message, sizeof(result.message), "%s", ak_error_message(err));
    }
    if (ak_provision_write(&result, &text) < 0)
        return EXIT_FAILED;
    return tell(&text, &settings, result.done);
}

static int verb_provision(const char *argument, struct ak_arena *arena)
{
    (void)argument;
    return change(arena, false);
}

static int verb_deprovision(const char *argument, struct ak_arena *arena)
{
    (void)argument;
    return change(arena, true);
}

static int verb_install(const char *argument, struct ak_arena *arena)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)arena;
    if (ak_install_self(argument, "bastion", &err) >= 0)
        return EXIT_OK;
    ak_err("bastion", "install failed", AK_ERR(err));
    return EXIT_FAILED;
}

static int verb_version(const char *argument, struct ak_arena *arena)
{
    (void)argument;
    (void)arena;
    return puts("bastion " AK_VERSION) < 0 ? EXIT_FAILED : EXIT_OK;
}

static int verb_help(const char *argument, struct ak_arena *arena)
{
    (void)argument;
    (void)arena;
    return fputs(help_text, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
}

static const struct {
    const char *name;
    int (*run)(const char *argument, struct ak_arena *arena);
    bool argument, secret;
} verbs[] = {
    {"serve", verb_serve, false, true},
    {"client", verb_client, false, false},
    {"probe", verb_probe, false, true},
    {"provision", verb_provision, false, true},
    {"deprovision", verb_deprovision, false, true},
    {"install", verb_install, true, false},
    {"version", verb_version, false, false},
    {"help", verb_help, false, false},
    {"--help", verb_help, false, false},
};

int main(int argc, char **argv)
{
    AK_AUTO(ak_arena) arena = {0};

    ak_arena_init(&arena, 4096, ARENA_MAX);
    for (size_t i = 0; argc > 1 && i < AK_ARRAY_LEN(verbs); i++) {
        if (!ak_streq(argv[1], verbs[i].name) || argc != 2 + verbs[i].argument)
            continue;
        if (verbs[i].secret)
            close_memory();
        (void)signal(SIGPIPE, SIG_IGN);
        set_stack();
        ak_json_setup();
        return verbs[i].run(argc > 2 ? argv[2] : NULL, &arena);
    }
    (void)fputs(help_text, stderr);
    return EXIT_USAGE;
}
