/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/arena.h>

#include <ak/base/alloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Chunks double from the first size up to this one; a larger allocation gets a chunk of its own. */
#define CHUNK_MAX ((size_t)256 << 10)
#define CHUNK_MIN ((size_t)64)
#define ALIGNMENT _Alignof(max_align_t)

struct ak_arena_chunk {
    struct ak_arena_chunk *next;
    size_t size; /* bytes in data */
    size_t used;
    _Alignas(max_align_t) char data[];
};

void ak_arena_init(struct ak_arena *self, size_t first_chunk, size_t max)
{
    *self = (struct ak_arena){.next_size = AK_MAX(first_chunk, CHUNK_MIN), .max = max};
}

void ak_arena_done(struct ak_arena *self)
{
    struct ak_arena_chunk *chunk = self->head;

    while (chunk) {
        struct ak_arena_chunk *next = chunk->next;

        ak_free(chunk);
        chunk = next;
    }
    self->head = NULL;
    self->used = 0;
}

/* A chunk that takes at least `need` bytes becomes the head, unless the old head has more room left. */
static struct ak_arena_chunk *add_chunk(struct ak_arena *self, size_t need)
{
    size_t usual = AK_MAX(self->next_size, CHUNK_MIN);
    size_t size = AK_MAX(need, usual);
    struct ak_arena_chunk *chunk, *head = self->head;

    chunk = ak_malloc(sizeof(*chunk) + size);
    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->used = 0;
    self->next_size = AK_MIN(usual * 2, AK_MAX(CHUNK_MAX, usual));
    if (head && head->size - head->used > size - need) {
        chunk->next = head->next;
        head->next = chunk;
    } else {
        chunk->next = head;
        self->head = chunk;
    }
    return chunk;
}

/* `align` is a power of two: text needs none, which saves much where objects are mostly text. */
static void *take(struct ak_arena *self, size_t size, size_t align)
{
    struct ak_arena_chunk *chunk = self->head;
    size_t start = chunk ? (chunk->used + align - 1) & ~(align - 1) : 0;
    void *p;

    if (size > PTRDIFF_MAX || (self->max && (size > self->max || self->used > self->max - size)))
        return NULL;
    if (!chunk || start > chunk->size || chunk->size - start < size) {
        chunk = add_chunk(self, size);
        if (!chunk)
            return NULL;
        start = 0;
    }
    p = chunk->data + start;
    chunk->used = start + size;
    self->used += size;
    return p;
}

void *ak_arena_alloc(struct ak_arena *self, size_t size)
{
    void *p = take(self, size, ALIGNMENT);

    if (p)
        memset(p, 0, size);
    return p;
}

char *ak_arena_strndup(struct ak_arena *self, const char *s, size_t len)
{
    size_t n = strnlen(s, len);
    char *copy = take(self, n + 1, 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *ak_arena_strdup(struct ak_arena *self, const char *s)
{
    return ak_arena_strndup(self, s, strlen(s));
}

char *ak_arena_printf(struct ak_arena *self, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    text = take(self, (size_t)n + 1, 1);
    if (!text)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

size_t ak_arena_footprint(const struct ak_arena *self)
{
    size_t total = 0;

    for (const struct ak_arena_chunk *chunk = self->head; chunk; chunk = chunk->next)
        total += sizeof(*chunk) + chunk->size;
    return total;
}
