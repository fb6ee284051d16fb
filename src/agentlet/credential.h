/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repository's Secret. Only its files are read, and only when they are needed; what was read
 * goes to git through a pipe and is wiped. git asks by running $GIT_ASKPASS with a prompt: that is
 * a link to this program with the name AK_ASKPASS_NAME, see verb_askpass.c. SSH reads its key file
 * itself.
 */
#ifndef AK_AGENTLET_CREDENTIAL_H
#define AK_AGENTLET_CREDENTIAL_H

#include "agentlet/repo_url.h"

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>

#define AK_ASKPASS_NAME "agentlet-askpass"
#define AK_CREDENTIAL_MAX 16384u

/* Are the keys there that this transport needs? -EINVAL says which are missing. */
AK_MUST_USE int ak_credential_check(const char *dir, enum ak_transport transport,
                                    struct ak_error **reterr);
bool ak_credential_has(const char *dir, const char *key);
/*
 * The answer to git's prompts, if they ask for the server of `url`:
 *     Username for 'https://host':
 *     Password for 'https://user@host':
 * -EPERM for another server, -EINVAL for another prompt, -ENOENT without such a key. The buffer
 * must be one that wipes.
 */
AK_MUST_USE int ak_credential_answer(const char *dir, const char *url, const char *prompt,
                                     struct ak_buf *out);

#endif
