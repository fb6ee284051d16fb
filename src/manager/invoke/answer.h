/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the invocation API: errors that carry an HTTP status, and Kubernetes Status objects made of them. Pure.
 */
#ifndef AK_MANAGER_INVOKE_ANSWER_H
#define AK_MANAGER_INVOKE_ANSWER_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/json/json.h>

/* Makes an error that is answered with `status`; returns its code, which is negative. */
int ak_invoke_error(struct ak_error **reterr, int status, const char *fmt, ...) AK_PRINTF(3, 4);
/* The same, with Retry-After. */
int ak_invoke_error_later(struct ak_error **reterr, int status, ak_msec retry_after,
                          const char *fmt, ...) AK_PRINTF(4, 5);
/*
 * An error of a request to the API server that the manager made for somebody. What the API server says about the
 * object (400, 404, 409, 410, 413, 422, 429) is said to the caller; what it says about the manager (401, 403) or
 * itself is our trouble: 500 or 503. Returns the code of *reterr.
 */
int ak_invoke_error_of_server(struct ak_error **reterr, int code);

/* What is answered for an error that has no HTTP status of its own. */
int ak_invoke_status_of(const struct ak_error *err, int code);
/* As the API server names a status: "NotFound". */
const char *ak_invoke_reason_of(int status);
/* What a status of the HTTP server itself means. */
const char *ak_invoke_words_of(int status);
/* A Status object. err NULL: it is about `code`. */
AK_MUST_USE int ak_invoke_write_status(const struct ak_error *err, int code, struct ak_buf *out);

#endif
