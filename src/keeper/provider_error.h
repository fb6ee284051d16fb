/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error of our own in the shape in which the provider writes its own, so that the command line
 * program in front shows the text to people instead of "unexpected response".
 */
#ifndef AK_KEEPER_PROVIDER_ERROR_H
#define AK_KEEPER_PROVIDER_ERROR_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>

#include "runtimes/runtimes.h"

#define AK_PROVIDER_ERROR_MAX 4096

/* Adds JSON for one of the statuses 400, 403, 405, 413, 502, 503, 504. */
AK_MUST_USE int ak_provider_error_write(enum ak_provider_dialect dialect, int status,
                                        const char *message, struct ak_buf *out);

#endif
