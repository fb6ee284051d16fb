/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of objects by namespace and name: eight bytes a slot, the key is read from the object. Holds one
 * reference to each. Not locked.
 */
#ifndef AK_FLOW_CACHE_TABLE_H
#define AK_FLOW_CACHE_TABLE_H

#include <ak/kube/object.h>
#include <stddef.h>

struct ak_table {
    const struct ak_object **slots; /* open addressing, linear; a power of two, or none */
    size_t n_slots;
    size_t len;
};
void ak_table_done(struct ak_table *self);
const struct ak_object *ak_table_get(const struct ak_table *self, const char *ns, const char *name);
/* Makes room for one more, so that the next put of a new name succeeds. */
int ak_table_reserve(struct ak_table *self);
/* Takes over the caller's reference; returns the object that it replaced (its reference is the
 * caller's), or NULL. A new name needs ak_table_reserve() before. */
const struct ak_object *ak_table_put(struct ak_table *self, const struct ak_object *object);
/* The object, with its reference, or NULL. */
const struct ak_object *ak_table_take(struct ak_table *self, const char *ns, const char *name);
/* for (size_t i = 0; (o = ak_table_next(&t, &i));) */
const struct ak_object *ak_table_next(const struct ak_table *self, size_t *iter);
#endif
