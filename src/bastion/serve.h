/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `bastion serve`: the door that only the manager comes to, sessions, their times, and the end: when it was told to (a
 * signal, POST /v1/end), when nobody has used it for spec.idleTimeout, or when the client's container has gone.
 */
#ifndef AK_BASTION_SERVE_H
#define AK_BASTION_SERVE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>

#include "bastion/settings.h"

/* Returns when it has ended well; negative: it could not go on. Thread: main, before any other was started. */
AK_MUST_USE int ak_bastion_serve(const struct ak_bastion_settings *settings,
                                 struct ak_error **reterr);

#endif
