/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/clone.h"
#include "agentlet/verbs.h"

#include <stdlib.h>

static const char *from_environment(const char *name, void *user)
{
    (void)user;
    return getenv(name);
}

int ak_verb_workspace(int argc, char **argv)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO(ak_clone) clone = {0};
    struct ak_settings settings;
    enum ak_verdict verdict = AK_VERDICT_INVALID_CONFIGURATION;

    (void)argc;
    (void)argv;
    if (ak_settings_read(from_environment, NULL, &settings, &err) < 0)
        return ak_verdict_report(verdict, settings.termination_log, ak_error_message(err), NULL);
    verdict = ak_clone_run(&clone, &settings);
    return ak_verdict_report(verdict, settings.termination_log, clone.text, clone.tail);
}
