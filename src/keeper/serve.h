/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `keeper serve`: three servers on one loop, until SIGTERM or SIGINT. Then nothing new is taken from
 * the manager, and the rest goes on for as long as the agentlet is there, because a run that is being
 * ended still talks to its model and is still followed: at most AK_KEEPER_GRACE.
 */
#ifndef AK_KEEPER_SERVE_H
#define AK_KEEPER_SERVE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>

#include "keeper/mcp/tools.h"
#include "keeper/settings.h"

#define AK_KEEPER_GRACE AK_SECONDS(25)

/* Returns when it was told to stop. Thread: main, before any other was started. */
AK_MUST_USE int ak_keeper_serve(const struct ak_keeper_settings *settings,
                                const struct ak_mcp_tools *tools, struct ak_error **reterr);

#endif
