/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from text to a pointer. The table copies nothing: key and value belong to the caller
 * and must live as long as the entry (usually the key is a field of the value).
 * Iteration order is not defined; removing the current entry while iterating is allowed.
 */
#ifndef AK_BASE_MAP_H
#define AK_BASE_MAP_H

#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ak_map_entry {
    const char *key; /* NULL: free slot */
    void *value;
    uint64_t hash;
};

struct ak_map {
    struct ak_map_entry *slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t len;
    size_t n_tombs;
    size_t max; /* entries; 0: no limit */
};

AK_PUBLIC void ak_map_init(struct ak_map *self, size_t max);
AK_PUBLIC void ak_map_done(struct ak_map *self); /* frees the table, not keys or values */
AK_DEFINE_AUTO(ak_map, ak_map_done)
AK_PUBLIC void *ak_map_get(const struct ak_map *self, const char *key); /* NULL if absent */
/* Sets or replaces (the new key pointer is kept). *ret_old, if wanted, is the value before or NULL.
 * 0, -ENOMEM, or AK_E_TOO_LARGE when the limit is reached. */
AK_PUBLIC AK_MUST_USE int ak_map_put(struct ak_map *self, const char *key, void *value,
                                     void **ret_old);
AK_PUBLIC void *ak_map_remove(struct ak_map *self, const char *key); /* the value, or NULL */
AK_PUBLIC void ak_map_clear(struct ak_map *self);
/* Iterates: size_t it = 0; while (ak_map_next(&m, &it, &key, &value)) ... */
AK_PUBLIC bool ak_map_next(const struct ak_map *self, size_t *iter, const char **ret_key,
                           void **ret_value);

#endif
