/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings made small enough for a Secret, and back (zlib, RFC 1950). Pure. */
#ifndef AK_MANAGER_TOOLS_SQUEEZE_H
#define AK_MANAGER_TOOLS_SQUEEZE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>

/* Compresses as many whole lines of `text` as fit into `max` bytes. *ret_taken: how many bytes of the text those are.
 * 0, or -ENOMEM. */
AK_MUST_USE int ak_squeeze(const char *text, size_t len, size_t max, struct ak_buf *out,
                           size_t *ret_taken);
/* AK_E_INVALID: it is not that; AK_E_TOO_LARGE: more than out->max. */
AK_MUST_USE int ak_unsqueeze(const char *data, size_t len, struct ak_buf *out);

#endif
