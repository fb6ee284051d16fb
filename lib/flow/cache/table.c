/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define FIRST_SLOTS 16

static size_t hash_of(const char *ns, const char *name)
{
    uint64_t h = ak_hash_bytes(AK_HASH_SEED, ns, strlen(ns) + 1);

    h = ak_hash_bytes(h, name, strlen(name));
    return (size_t)(h ^ (h >> 32));
}

static const char *ns_of(const struct ak_object *o)
{
    const char *ns = ak_object_meta(o)->namespace_;

    return ns ? ns : "";
}

static bool is_named(const struct ak_object *o, const char *ns, const char *name)
{
    return strcmp(ak_object_meta(o)->name, name) == 0 && strcmp(ns_of(o), ns) == 0;
}

/* The slot of that name, or the free one where it would go. */
static size_t find_slot(const struct ak_table *self, const char *ns, const char *name)
{
    size_t mask = self->n_slots - 1, i = hash_of(ns, name) & mask;

    while (self->slots[i] && !is_named(self->slots[i], ns, name))
        i = (i + 1) & mask;
    return i;
}

void ak_table_done(struct ak_table *self)
{
    for (size_t i = 0; i < self->n_slots; i++)
        if (self->slots[i])
            (void)ak_object_unref(self->slots[i]);
    ak_free(self->slots);
    *self = (struct ak_table){0};
}

const struct ak_object *ak_table_get(const struct ak_table *self, const char *ns, const char *name)
{
    return self->n_slots ? self->slots[find_slot(self, ns, name)] : NULL;
}

int ak_table_reserve(struct ak_table *self)
{
    struct ak_table bigger = {.len = self->len};

    if ((self->len + 1) * 4 <= self->n_slots * 3)
        return 0;
    bigger.n_slots = self->n_slots ? self->n_slots * 2 : FIRST_SLOTS;
    bigger.slots = ak_calloc(bigger.n_slots, sizeof(*bigger.slots));
    if (!bigger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < self->n_slots; i++) {
        const struct ak_object *o = self->slots[i];
        if (o)
            bigger.slots[find_slot(&bigger, ns_of(o), ak_object_meta(o)->name)] = o;
    }
    ak_free(self->slots);
    *self = bigger;
    return 0;
}

const struct ak_object *ak_table_put(struct ak_table *self, const struct ak_object *object)
{
    size_t i = find_slot(self, ns_of(object), ak_object_meta(object)->name);
    const struct ak_object *old = self->slots[i];

    self->slots[i] = object;
    if (!old)
        self->len++;
    return old;
}

/* Closes the gap: what was pushed past slot i by its collisions moves back. */
static void close_gap(struct ak_table *self, size_t gap)
{
    size_t mask = self->n_slots - 1;

    for (size_t i = (gap + 1) & mask; self->slots[i]; i = (i + 1) & mask) {
        const struct ak_object *o = self->slots[i];
        size_t home = hash_of(ns_of(o), ak_object_meta(o)->name) & mask;
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            self->slots[gap] = o;
            self->slots[i] = NULL;
            gap = i;
        }
    }
}

const struct ak_object *ak_table_take(struct ak_table *self, const char *ns, const char *name)
{
    const struct ak_object *old;
    size_t i;

    if (!self->n_slots)
        return NULL;
    i = find_slot(self, ns, name);
    old = self->slots[i];
    if (!old)
        return NULL;
    self->slots[i] = NULL;
    self->len--;
    close_gap(self, i);
    return old;
}

const struct ak_object *ak_table_next(const struct ak_table *self, size_t *iter)
{
    while (*iter < self->n_slots) {
        const struct ak_object *o = self->slots[(*iter)++];
        if (o)
            return o;
    }
    return NULL;
}
