/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All signals of the process as readable events (signalfd), so that no handler interrupts anything.
 */
#ifndef AK_AGENTLET_SIGNALS_H
#define AK_AGENTLET_SIGNALS_H

#include "agentlet/poller.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>

typedef void (*ak_signal_fn)(void *user, int signal);

struct ak_signals {
    struct ak_poller *poller;
    int fd; /* -1: none */
    ak_signal_fn fn;
    void *user;
};

/* Blocks what is handled, ignores SIGPIPE. Call before anything is started. */
AK_MUST_USE int ak_signals_init(struct ak_signals *self, struct ak_poller *poller, ak_signal_fn fn,
                                void *user, struct ak_error **reterr);
void ak_signals_done(struct ak_signals *self);
/* SIGTERM, SIGINT, SIGQUIT. */
bool ak_signal_is_stop(int signal);
const char *ak_signal_name(int signal); /* "SIGTERM" */

#endif
