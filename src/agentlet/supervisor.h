/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the agent's container: probes first, then the setup command, then ready until
 * somebody asks for the end; TERM, grace, KILL. Everything happens on one thread, driven by the
 * poller.
 */
#ifndef AK_AGENTLET_SUPERVISOR_H
#define AK_AGENTLET_SUPERVISOR_H

#include "agentlet/settings.h"
#include "agentlet/verdict.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>

struct ak_supervisor;

struct ak_supervisor_end {
    enum ak_verdict verdict;
    const char *text; /* borrowed from the supervisor, and so is the tail */
    const char *tail;
};

struct ak_supervisor *ak_supervisor_free(struct ak_supervisor *self); /* returns NULL */
AK_DEFINE_AUTO_PTR(ak_supervisor, ak_supervisor_free)
/* Takes over the process's signals and starts to listen. Borrows the settings. */
AK_MUST_USE int ak_supervisor_new(const struct ak_settings *settings, struct ak_supervisor **ret,
                                  struct ak_error **reterr);
/* Returns when everything has stopped. */
AK_MUST_USE int ak_supervisor_run(struct ak_supervisor *self, struct ak_supervisor_end *ret,
                                  struct ak_error **reterr);

#endif
