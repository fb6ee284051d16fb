/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a text to the objects that declare it. Sixteen bytes an entry: the text is not kept, only its
 * hash; whoever reads asks the object again (struct ak_index). Borrows the objects. Not locked.
 */
#ifndef AK_FLOW_CACHE_INDEX_H
#define AK_FLOW_CACHE_INDEX_H

#include <ak/flow/cache.h>

struct ak_index_node {
    const struct ak_object *object; /* NULL: in the free list */
    uint32_t hash;
    uint32_t next; /* number of the next node of this chain plus 1; 0: last */
};
struct ak_index_table {
    const struct ak_index *def;
    struct ak_index_node *nodes;
    uint32_t *heads; /* as many as nodes: number of a chain's first node plus 1 */
    uint32_t cap, used, free_list;
    uint32_t len;
};
void ak_index_table_done(struct ak_index_table *self);
int ak_index_table_add(struct ak_index_table *self, const struct ak_object *object);
void ak_index_table_remove(struct ak_index_table *self, const struct ak_object *object);
/* Calls fn for each object that has the text. */
int ak_index_table_find(const struct ak_index_table *self, const char *text,
                        int (*fn)(const struct ak_object *object, void *user), void *user);
#endif
