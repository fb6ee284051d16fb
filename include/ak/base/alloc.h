/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The project's only door to the heap. Every function may return NULL, and every caller says so
 * upwards with -ENOMEM: nothing in lib/ ends the process because memory is short.
 * Tests make the nth allocation fail with ak_alloc_fail_after().
 */
#ifndef AK_BASE_ALLOC_H
#define AK_BASE_ALLOC_H

#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

AK_PUBLIC void ak_free(void *p);
AK_PUBLIC AK_MUST_USE void *ak_malloc(size_t size);
AK_PUBLIC AK_MUST_USE void *ak_calloc(size_t n, size_t size);
AK_PUBLIC AK_MUST_USE void *ak_realloc(void *p, size_t size);
/* Array growth with overflow check. */
AK_PUBLIC AK_MUST_USE void *ak_reallocarray(void *p, size_t n, size_t size);
AK_PUBLIC AK_MUST_USE char *ak_strdup(const char *s); /* NULL gives NULL */
AK_PUBLIC AK_MUST_USE char *ak_strndup(const char *s, size_t len);
AK_PUBLIC AK_MUST_USE char *ak_asprintf(const char *fmt, ...) AK_PRINTF(1, 2);
#define ak_new0(type) ((type *)ak_calloc(1, sizeof(type)))

/* Owning text: AK_AUTO_TEXT char *s = ak_strdup(...). */
static inline void ak__auto_text(char **p)
{
    ak_free(*p);
}
#define AK_AUTO_TEXT __attribute__((cleanup(ak__auto_text)))

/*
 * Fault injection, for tests: the next `n` allocations of this process succeed, the one after them
 * fails once. Negative switches it off. Returns whether a failure was delivered since the last call.
 */
AK_PUBLIC bool ak_alloc_fail_after(int64_t n);

/* Gives memory that libc holds back to the system; called after large transient work. */
AK_PUBLIC void ak_alloc_trim(void);

#endif
