/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deployment token: exo_dpl_ and 32 hexadecimal digits. It is read from a file or from a terminal
 * that shows nothing, goes into one Secret, and is never printed.
 */
#ifndef AK_EXO_INSTALL_TOKEN_H
#define AK_EXO_INSTALL_TOKEN_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>

#include "exo-install/cluster.h"

bool ak_token_is_valid(const char *text, size_t len);
/* From --token-file. *ret is NULL if there is none. -EINVAL: not a token. */
AK_MUST_USE int ak_token_from_file(const char *path, struct ak_secret **ret,
                                   struct ak_error **reterr);
/* For managed mode: what is left to do if the Secret is not there and no file was given. Asks on a
 * terminal; without one, prints which Secret to create and returns AK_EXIT_PREFLIGHT. */
AK_MUST_USE int ak_token_ensure(struct ak_install *self, struct ak_secret **token,
                                struct ak_error **reterr);
/* Applies the Secret. */
AK_MUST_USE int ak_token_apply(struct ak_install *self, const struct ak_secret *token,
                               struct ak_error **reterr);

#endif
