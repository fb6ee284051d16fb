/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod of ours answers at the door that only the manager comes to: which pod it is, and errors in the shape that
 * Kubernetes gives them.
 */
#ifndef AK_DOOR_ANSWERS_H
#define AK_DOOR_ANSWERS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/net/http_server.h>

#include "door/credential.h"

#define AK_DOOR_IDENTITY_MAX (2 * AK_CREDENTIAL_MAX)
#define AK_DOOR_STATUS_MAX (16u << 10)

/* {"podUID", "pin", "token"}; the token is read from its file at this moment. `out` should wipe. */
AK_MUST_USE int ak_door_write_identity(struct ak_credential_file *token, const char *pod_uid,
                                       const char *pin, struct ak_buf *out,
                                       struct ak_error **reterr);
/* A Status object. retry_after: seconds, 0: none. details: more members for `details`, as JSON without braces
 * ("\"rule\":\"engine\""), or NULL. */
AK_MUST_USE int ak_door_write_status(int code, const char *reason, const char *message,
                                     int retry_after, const char *details, struct ak_buf *out);
/* Answers with it; 429 and 503 with Retry-After: 1. */
void ak_door_reply_status(struct ak_http_exchange *ex, int code, const char *reason,
                          const char *message);

#endif
