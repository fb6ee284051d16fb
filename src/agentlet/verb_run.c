/* SPDX-License-Identifier: Apache-2.0 */
/* `agentlet run`: the settings, then the supervisor until it ends, then the report. */
#include "agentlet/settings.h"
#include "agentlet/supervisor.h"
#include "agentlet/verbs.h"
#include "agentlet/verdict.h"

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/json/json.h>
#include <stdlib.h>

static const char *from_environment(const char *name, void *user)
{
    (void)user;
    return getenv(name);
}

int ak_verb_run(int argc, char **argv)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_PTR(ak_supervisor) supervisor = NULL;
    struct ak_settings settings;
    struct ak_supervisor_end end;
    int r = ak_settings_read(from_environment, NULL, &settings, &err);

    (void)argc;
    (void)argv;
    ak_json_setup();
    if (r >= 0)
        r = ak_supervisor_new(&settings, &supervisor, &err);
    if (r >= 0)
        r = ak_supervisor_run(supervisor, &end, &err);
    if (r < 0)
        return ak_verdict_report(ak_verdict_of_error(r), settings.termination_log,
                                 ak_error_message(err), NULL);
    return ak_verdict_report(end.verdict, settings.termination_log, end.text, end.tail);
}
