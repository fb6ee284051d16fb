/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiler attributes and the ownership macros that the whole project uses.
 *
 *     AK_AUTO(ak_buf) buf = AK_BUF_INIT(4096);     released when the scope ends
 *     *ret_text = AK_TAKE(text);                   moved out, `text` is NULL afterwards
 *
 * A type gets its cleanup by AK_DEFINE_AUTO beside its declaration.
 */
#ifndef AK_BASE_COMPILER_H
#define AK_BASE_COMPILER_H

#include <stddef.h>

#define AK_PUBLIC __attribute__((visibility("default")))
#define AK_MUST_USE __attribute__((warn_unused_result))
#define AK_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#define AK_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define AK_PURE __attribute__((pure))
#define AK_NORETURN __attribute__((noreturn))
#define AK_UNUSED __attribute__((unused))

/* gcc's analyser follows constructors to their destructor; clang 14 has no such attribute. */
#if defined(__GNUC__) && !defined(__clang__)
#define AK_DEALLOC(free_fn) __attribute__((malloc(free_fn, 1)))
#else
#define AK_DEALLOC(free_fn)
#endif

/* clang's -Wthread-safety: a function that must be called with the lock held. */
#if defined(__clang__)
#define AK_CAPABILITY(name) __attribute__((capability(name)))
#define AK_REQUIRES(lock) __attribute__((requires_capability(lock)))
#define AK_ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define AK_RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
#define AK_NO_THREAD_SAFETY __attribute__((no_thread_safety_analysis))
#else
#define AK_CAPABILITY(name)
#define AK_REQUIRES(lock)
#define AK_ACQUIRES(...)
#define AK_RELEASES(...)
#define AK_NO_THREAD_SAFETY
#endif

/* Declares the cleanup of `struct type *` locals: free_fn takes the pointer, and NULL. */
#define AK_DEFINE_AUTO_PTR(type, free_fn)                                                          \
    static inline void ak__auto_ptr_##type(struct type **p)                                        \
    {                                                                                              \
        if (*p)                                                                                    \
            (void)free_fn(*p);                                                                     \
    }
#define AK_AUTO_PTR(type) __attribute__((cleanup(ak__auto_ptr_##type))) struct type *

/* Declares the cleanup of `struct type` locals that live in the caller's memory. */
#define AK_DEFINE_AUTO(type, done_fn)                                                              \
    static inline void ak__auto_##type(struct type *p)                                             \
    {                                                                                              \
        done_fn(p);                                                                                \
    }
#define AK_AUTO(type) __attribute__((cleanup(ak__auto_##type))) struct type

/* Moves a pointer out of its owner. */
#define AK_TAKE(p)                                                                                 \
    ({                                                                                             \
        __typeof__(p) *ak__src = &(p);                                                             \
        __typeof__(p) ak__val = *ak__src;                                                          \
        *ak__src = NULL;                                                                           \
        ak__val;                                                                                   \
    })

#define AK_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define AK_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define AK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define AK_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
