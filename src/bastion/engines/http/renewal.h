/* SPDX-License-Identifier: Apache-2.0 */
/* A credential made on a thread of its own, for a loop that must not wait for it. */
#ifndef AK_BASTION_HTTP_RENEWAL_H
#define AK_BASTION_HTTP_RENEWAL_H

#include "bastion/engines/http/credential.h"

struct ak_http_renewal;
/* On the loop's thread, once, unless it was forgotten. May move the credential out. */
typedef void (*ak_http_renewed_fn)(struct ak_http_credential *credential, int code,
                                   const struct ak_error *err, void *user);
/* Frees itself. At most 30 s. Thread: loop, or before it runs. */
AK_MUST_USE int ak_http_renewal_start(const struct ak_target *target, bool read_only,
                                      struct ak_loop *loop, ak_http_renewed_fn fn, void *user,
                                      struct ak_http_renewal **ret, struct ak_error **reterr);
/* fn is not called any more; the work is cancelled. NULL is fine. Thread: loop. */
void ak_http_renewal_forget(struct ak_http_renewal *self);

#endif
