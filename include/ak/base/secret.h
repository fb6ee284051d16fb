/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that must not leave: wiped when released, no printf access, not loggable.
 */
#ifndef AK_BASE_SECRET_H
#define AK_BASE_SECRET_H

#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>

struct ak_secret;
AK_PUBLIC struct ak_secret *ak_secret_free(struct ak_secret *self); /* wipes; returns NULL */
AK_PUBLIC AK_MUST_USE struct ak_secret *ak_secret_new(const void *data, size_t len)
    AK_DEALLOC(ak_secret_free);
AK_DEFINE_AUTO_PTR(ak_secret, ak_secret_free)
/* Borrowed, NUL-terminated. Only where the bytes are really used. */
AK_PUBLIC const char *ak_secret_peek(const struct ak_secret *self, size_t *ret_len);
AK_PUBLIC bool ak_secret_equal(const struct ak_secret *a,
                               const struct ak_secret *b); /* constant time */
AK_PUBLIC void ak_wipe(void *data, size_t len);

#endif
