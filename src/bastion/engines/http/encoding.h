/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 of credentials and keys. Buffers that get secrets have `wipe` set by their owner. Pure. */
#ifndef AK_BASTION_HTTP_ENCODING_H
#define AK_BASTION_HTTP_ENCODING_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stddef.h>

/* RFC 4648 section 4, with padding. -ENOMEM, AK_E_TOO_LARGE. */
AK_MUST_USE int ak_base64_add(struct ak_buf *out, const void *data, size_t len);
/* RFC 4648 section 5, without padding, as JWTs have it. */
AK_MUST_USE int ak_base64url_add(struct ak_buf *out, const void *data, size_t len);
/* Line breaks are skipped. -EINVAL: not base64. */
AK_MUST_USE int ak_base64_read(struct ak_buf *out, const char *text, size_t len);

#endif
