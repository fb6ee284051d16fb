/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator: many small allocations, one release. Used for decoded objects and for what
 * lives as long as one reconcile. Not for secrets, not thread-safe while it is written to.
 */
#ifndef AK_BASE_ARENA_H
#define AK_BASE_ARENA_H

#include <ak/base/compiler.h>
#include <stdarg.h>
#include <stddef.h>

struct ak_arena_chunk;

struct ak_arena {
    struct ak_arena_chunk *head; /* the chunk that is being filled */
    size_t next_size;            /* bytes of the next chunk */
    size_t used;                 /* bytes handed out */
    size_t max;                  /* limit for `used`; 0: none */
};

AK_PUBLIC void ak_arena_init(struct ak_arena *self, size_t first_chunk, size_t max);
AK_PUBLIC void ak_arena_done(struct ak_arena *self); /* releases everything; may be used again */
AK_DEFINE_AUTO(ak_arena, ak_arena_done)
/* Zeroed, aligned for any type. NULL when memory or the limit is exhausted. */
AK_PUBLIC AK_MUST_USE void *ak_arena_alloc(struct ak_arena *self, size_t size);
AK_PUBLIC AK_MUST_USE char *ak_arena_strdup(struct ak_arena *self, const char *s);
AK_PUBLIC AK_MUST_USE char *ak_arena_strndup(struct ak_arena *self, const char *s, size_t len);
AK_PUBLIC AK_MUST_USE char *ak_arena_printf(struct ak_arena *self, const char *fmt, ...)
    AK_PRINTF(2, 3);
/* Bytes really taken from the heap. */
AK_PUBLIC size_t ak_arena_footprint(const struct ak_arena *self);

#endif
