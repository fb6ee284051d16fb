/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/alloc.h>

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Allocations that still succeed before one fails; negative: no failure is planned. Relaxed order is
 * enough: tests arm it before they start threads, and which thread meets the failure does not matter.
 */
static atomic_int_least64_t fail_countdown = -1;
static atomic_bool fail_delivered;

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) < 0)
        return false;
    if (atomic_fetch_sub_explicit(&fail_countdown, 1, memory_order_relaxed) != 0)
        return false;
    atomic_store_explicit(&fail_delivered, true, memory_order_relaxed);
    return true;
}

bool ak_alloc_fail_after(int64_t n)
{
    atomic_store_explicit(&fail_countdown, n < 0 ? -1 : n, memory_order_relaxed);
    return atomic_exchange_explicit(&fail_delivered, false, memory_order_relaxed);
}

void ak_free(void *p)
{
    free(p);
}

/* Size 0 is made 1, so that NULL always and only means "no memory". */
void *ak_malloc(size_t size)
{
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *ak_calloc(size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    return must_fail() ? NULL : calloc(1, total ? total : 1);
}

void *ak_realloc(void *p, size_t size)
{
    return must_fail() ? NULL : realloc(p, size ? size : 1);
}

void *ak_reallocarray(void *p, size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    return ak_realloc(p, total);
}

char *ak_strdup(const char *s)
{
    return s ? ak_strndup(s, strlen(s)) : NULL;
}

char *ak_strndup(const char *s, size_t len)
{
    size_t n = strnlen(s, len);
    char *copy = ak_malloc(n + 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *ak_asprintf(const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    text = ak_malloc((size_t)n + 1);
    if (!text)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

void ak_alloc_trim(void)
{
    (void)malloc_trim(0);
}
