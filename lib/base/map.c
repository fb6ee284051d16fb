/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/map.h>

#include <ak/base/alloc.h>
#include <ak/base/error.h>
#include <ak/base/text.h>
#include <string.h>

/*
 * Open addressing with linear probing. A removed entry leaves a tombstone (so that removal never moves
 * an entry, and is safe while iterating); tombstones go when the table is rebuilt.
 */
#define SLOTS_MIN ((size_t)8)

static const char tomb_mark[1];

static bool is_used(const struct ak_map_entry *slot)
{
    return slot->key && slot->key != tomb_mark;
}

static uint64_t hash_key(const char *key)
{
    return ak_hash_bytes(AK_HASH_SEED, key, strlen(key));
}

void ak_map_init(struct ak_map *self, size_t max)
{
    *self = (struct ak_map){.max = max};
}

void ak_map_done(struct ak_map *self)
{
    ak_map_clear(self);
}

void ak_map_clear(struct ak_map *self)
{
    ak_free(self->slots);
    *self = (struct ak_map){.max = self->max};
}

/* The slot of the key, or NULL. At least one slot is always free, so the probe ends. */
static struct ak_map_entry *find(const struct ak_map *self, const char *key, uint64_t hash)
{
    size_t mask = self->n_slots - 1;

    if (!self->n_slots)
        return NULL;
    for (size_t i = hash & mask; self->slots[i].key; i = (i + 1) & mask) {
        struct ak_map_entry *slot = &self->slots[i];

        if (slot->hash == hash && is_used(slot) && strcmp(slot->key, key) == 0)
            return slot;
    }
    return NULL;
}

void *ak_map_get(const struct ak_map *self, const char *key)
{
    const struct ak_map_entry *slot = find(self, key, hash_key(key));

    return slot ? slot->value : NULL;
}

static void insert(struct ak_map_entry *slots, size_t n_slots, const struct ak_map_entry *entry)
{
    size_t i = entry->hash & (n_slots - 1);

    while (slots[i].key)
        i = (i + 1) & (n_slots - 1);
    slots[i] = *entry;
}

/* Makes sure that one more entry leaves an eighth of the slots free. */
static int make_room(struct ak_map *self)
{
    struct ak_map_entry *slots;
    size_t n = AK_MAX(self->n_slots, SLOTS_MIN);

    if (self->n_slots && self->len + self->n_tombs + 1 <= self->n_slots - self->n_slots / 8)
        return 0;
    /* Mostly tombstones: the same size again is enough. */
    while (self->len + 1 > n - n / 4)
        n *= 2;
    slots = ak_calloc(n, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < self->n_slots; i++)
        if (is_used(&self->slots[i]))
            insert(slots, n, &self->slots[i]);
    ak_free(self->slots);
    self->slots = slots;
    self->n_slots = n;
    self->n_tombs = 0;
    return 0;
}

int ak_map_put(struct ak_map *self, const char *key, void *value, void **ret_old)
{
    struct ak_map_entry entry = {.key = key, .value = value, .hash = hash_key(key)};
    struct ak_map_entry *slot = find(self, key, entry.hash);
    int r;

    if (slot) {
        if (ret_old)
            *ret_old = slot->value;
        slot->key = key;
        slot->value = value;
        return 0;
    }
    if (self->max && self->len >= self->max)
        return AK_E_TOO_LARGE;
    r = make_room(self);
    if (r < 0)
        return r;
    insert(self->slots, self->n_slots, &entry);
    self->len++;
    if (ret_old)
        *ret_old = NULL;
    return 0;
}

void *ak_map_remove(struct ak_map *self, const char *key)
{
    struct ak_map_entry *slot = find(self, key, hash_key(key));
    size_t next;
    void *value;

    if (!slot)
        return NULL;
    value = slot->value;
    next = ((size_t)(slot - self->slots) + 1) & (self->n_slots - 1);
    /* Nothing probes past this slot if the next one is free: then no tombstone is needed. */
    if (self->slots[next].key) {
        *slot = (struct ak_map_entry){.key = tomb_mark};
        self->n_tombs++;
    } else {
        *slot = (struct ak_map_entry){.key = NULL};
    }
    self->len--;
    return value;
}

bool ak_map_next(const struct ak_map *self, size_t *iter, const char **ret_key, void **ret_value)
{
    while (*iter < self->n_slots) {
        const struct ak_map_entry *slot = &self->slots[(*iter)++];

        if (!is_used(slot))
            continue;
        if (ret_key)
            *ret_key = slot->key;
        if (ret_value)
            *ret_value = slot->value;
        return true;
    }
    return false;
}
