/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AK_MANAGE_WEBHOOK_PRUNE_H
#define AK_MANAGE_WEBHOOK_PRUNE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stddef.h>

/* The text of an AdmissionReview without the members of its request that `skip` names (paths with dots, ended
 * by NULL). -EINVAL: it is not shaped like one; parse it whole for a proper error. */
AK_MUST_USE int ak__review_prune(const char *body, size_t len, const char *const *skip,
                                 struct ak_buf *out);

#endif
