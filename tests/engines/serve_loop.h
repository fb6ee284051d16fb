/* SPDX-License-Identifier: Apache-2.0 */
/* `engine-driver serve` for engines that listen on a loop instead of taking connections. */
#ifndef ENGINES_SERVE_LOOP_H
#define ENGINES_SERVE_LOOP_H

#include "bastion/engine.h"

/* Until SIGTERM; SIGUSR1 ends the session. The exit code. */
int driver_serve_on_loop(const struct ak_target *target, const struct ak_engine *engine,
                         struct ak_session *session, const char *path);

#endif
