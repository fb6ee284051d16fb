/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a limit that is chosen when it is made. Always NUL-terminated, so
 * `data` can be used as text. Exceeding the limit is AK_E_TOO_LARGE and leaves the content as it was.
 */
#ifndef AK_BASE_BUF_H
#define AK_BASE_BUF_H

#include <ak/base/compiler.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct ak_buf {
    char *data; /* NULL while empty and never written; see ak_buf_text() */
    size_t len;
    size_t cap;
    size_t max; /* bytes of content, the NUL not counted */
    bool wipe;  /* overwrite before the memory is given back: for secrets */
};

#define AK_BUF_INIT(limit)                                                                         \
    {                                                                                              \
        .max = (limit)                                                                             \
    }

AK_PUBLIC void ak_buf_done(struct ak_buf *self);
AK_DEFINE_AUTO(ak_buf, ak_buf_done)
AK_PUBLIC void ak_buf_clear(struct ak_buf *self); /* keeps the memory */
AK_PUBLIC AK_MUST_USE int ak_buf_add(struct ak_buf *self, const void *data, size_t len);
AK_PUBLIC AK_MUST_USE int ak_buf_adds(struct ak_buf *self, const char *text);
AK_PUBLIC AK_MUST_USE int ak_buf_addf(struct ak_buf *self, const char *fmt, ...) AK_PRINTF(2, 3);
AK_PUBLIC AK_MUST_USE int ak_buf_vaddf(struct ak_buf *self, const char *fmt, va_list ap)
    AK_PRINTF(2, 0);
/* Adds text as a JSON string with its quotes (RFC 8259); invalid UTF-8 becomes U+FFFD. */
AK_PUBLIC AK_MUST_USE int ak_buf_add_json_string(struct ak_buf *self, const char *text, size_t len);
/* Percent-encodes everything but RFC 3986 unreserved characters. */
AK_PUBLIC AK_MUST_USE int ak_buf_add_url_escaped(struct ak_buf *self, const char *text);
/* Drops the first n bytes. */
AK_PUBLIC void ak_buf_consume(struct ak_buf *self, size_t n);
AK_PUBLIC const char *ak_buf_text(const struct ak_buf *self); /* "" when empty; borrowed */
/* Moves the memory out (the caller ak_free()s it); the buffer is empty afterwards. NULL on no memory. */
AK_PUBLIC AK_MUST_USE char *ak_buf_take(struct ak_buf *self);
/* Reads a whole file, at most self->max bytes more. */
AK_PUBLIC AK_MUST_USE int ak_buf_add_file(struct ak_buf *self, const char *path);

#endif
