/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people, in a buffer with a limit: what does not fit any more is left out, never an error. */
#ifndef AK_TERMINAL_WORDS_H
#define AK_TERMINAL_WORDS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>

void ak_words_add(struct ak_buf *out, const char *fmt, ...) AK_PRINTF(2, 3);
void ak_words_vadd(struct ak_buf *out, const char *fmt, va_list ap) AK_PRINTF(2, 0);

#endif
