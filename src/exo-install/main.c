/* SPDX-License-Identifier: Apache-2.0 */
/* exo-install: options, one verb, its exit code. */
#include <nss.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <ak/json/json.h>

#include "exo-install/install.h"

static const ak_verb_fn verbs[AK_VERB_MAX] = {
    [AK_VERB_CRDS] = ak_verb_crds,           [AK_VERB_OPERATOR] = ak_verb_operator,
    [AK_VERB_UPGRADE] = ak_verb_upgrade,     [AK_VERB_STATUS] = ak_verb_status,
    [AK_VERB_UNINSTALL] = ak_verb_uninstall, [AK_VERB_BUNDLE] = ak_verb_bundle,
    [AK_VERB_IMAGES] = ak_verb_images,       [AK_VERB_VERSION] = ak_verb_version,
};

static int print_help(const struct ak_install_options *options)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(64 * 1024);
    if (ak_install_options_help(options, &text) < 0)
        return AK_EXIT_FAILED;
    return fputs(ak_buf_text(&text), stdout) < 0 ? AK_EXIT_FAILED : AK_EXIT_OK;
}

static int exit_code(int r)
{
    static const struct {
        int code;
        enum ak_exit exit;
    } codes[] = {
        {-EINVAL, AK_EXIT_USAGE},
        {AK_E_FORBIDDEN, AK_EXIT_PREFLIGHT},
        {AK_E_UNAUTHORIZED, AK_EXIT_PREFLIGHT},
        {-ETIMEDOUT, AK_EXIT_TIMEOUT},
    };
    for (size_t i = 0; i < AK_ARRAY_LEN(codes); i++)
        if (codes[i].code == r)
            return (int)codes[i].exit;
    return r < 0 ? AK_EXIT_FAILED : r;
}

static int run(const struct ak_install_options *options)
{
    struct ak_install self = {.options = options, .deadline = ak_now() + options->timeout};
    AK_AUTO_PTR(ak_error) err = NULL;

    ak_screen_init(&self.screen, options->environ_, /* plain= */ false);
    int r = verbs[options->verb](&self, &err);
    if (r < 0)
        ak_screen_complain(&self.screen, "exo-install: %s",
                           err ? ak_error_message(err) : ak_code_text(r));
    ak_install_done(&self);
    return exit_code(r);
}

int main(int argc, char **argv)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_install_options options;

    /* Linked statically, libc must not load plug-ins of another libc to resolve a name. */
    (void)__nss_configure_lookup("hosts", "files dns");
    (void)signal(SIGPIPE, SIG_IGN);
    ak_json_setup();
    ak_arena_init(&arena, 1024, 1u << 20);
    if (ak_install_options_parse(&options, argc, (const char *const *)argv,
                                 (const char *const *)environ, &arena, &err) < 0) {
        (void)fprintf(stderr, "exo-install: %s\nexo-install %s%s--help says more.\n",
                      ak_error_message(err),
                      options.has_verb ? ak_install_verb_name(options.verb) : "",
                      options.has_verb ? " " : "");
        return AK_EXIT_USAGE;
    }
    return options.help ? print_help(&options) : run(&options);
}
