/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a call to the model endpoint is changed on its way to the provider, without any I/O: the
 * path loses "/model", the credential becomes the agent's. Nothing else changes.
 */
#ifndef AK_KEEPER_MODEL_REQUEST_H
#define AK_KEEPER_MODEL_REQUEST_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/secret.h>

#include "runtimes/runtimes.h"

#define AK_MODEL_PREFIX "/model"
#define AK_MODEL_MAX_PATH (12u << 10)
#define AK_MODEL_RUN_HEADER "x-agentkube-run-id"

/* Headers of a request that never reach the provider; NULL-terminated. */
extern const char *const ak_model_removed_headers[];

/*
 * The path for the provider, behind its base URL, with the query. -EINVAL: it is not below AK_MODEL_PREFIX, or
 * has a segment "." or ".." (also encoded), which could leave what the base URL names.
 */
AK_MUST_USE int ak_model_path(const char *path, const char *query, enum ak_provider_dialect dialect,
                              struct ak_buf *out, struct ak_error **reterr);
/*
 * The header lines that carry the key, NUL-terminated one behind the other (*ret_n of them). `betas` is what
 * the client sent in anthropic-beta, "" if nothing. `out` should be one that wipes.
 */
AK_MUST_USE int ak_model_credential_lines(const struct ak_provider *provider,
                                          const struct ak_secret *key, const char *betas,
                                          struct ak_buf *out, size_t *ret_n);

#endif
