/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal/words.h"

void ak_words_vadd(struct ak_buf *out, const char *fmt, va_list ap)
{
    if (ak_buf_vaddf(out, fmt, ap) < 0)
        return;
}

void ak_words_add(struct ak_buf *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    ak_words_vadd(out, fmt, ap);
    va_end(ap);
}
