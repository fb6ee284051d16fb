/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include <errno.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define FIRST_NODES 16
#define MAX_NODES (1u << 30)

static uint32_t hash_of(const char *text)
{
    uint64_t h = ak_hash_bytes(AK_HASH_SEED, text, strlen(text));

    return (uint32_t)(h ^ (h >> 32));
}

void ak_index_table_done(struct ak_index_table *self)
{
    ak_free(self->nodes);
    ak_free(self->heads);
    *self = (struct ak_index_table){.def = self->def};
}

static void link_node(struct ak_index_table *self, uint32_t n)
{
    uint32_t *head = &self->heads[self->nodes[n].hash & (self->cap - 1)];

    self->nodes[n].next = *head;
    *head = n + 1;
}

static int grow(struct ak_index_table *self)
{
    uint32_t cap = self->cap ? self->cap * 2 : FIRST_NODES;
    struct ak_index_node *nodes;
    uint32_t *heads;

    if (cap > MAX_NODES)
        return AK_E_TOO_LARGE;
    heads = ak_calloc(cap, sizeof(*heads));
    if (!heads)
        return -ENOMEM;
    nodes = ak_reallocarray(self->nodes, cap, sizeof(*nodes));
    if (!nodes) {
        ak_free(heads);
        return -ENOMEM;
    }
    ak_free(self->heads);
    self->nodes = nodes;
    self->heads = heads;
    self->cap = cap;
    /* It grows only when every node is in use, so there is no free list to keep. */
    for (uint32_t n = 0; n < self->used; n++)
        link_node(self, n);
    return 0;
}

static int add_node(struct ak_index_table *self, uint32_t hash, const struct ak_object *object)
{
    uint32_t n;

    if (!self->free_list && self->used == self->cap) {
        int r = grow(self);
        if (r < 0)
            return r;
    }
    if (self->free_list) {
        n = self->free_list - 1;
        self->free_list = self->nodes[n].next;
    } else {
        n = self->used++;
    }
    self->nodes[n] = (struct ak_index_node){.object = object, .hash = hash};
    link_node(self, n);
    self->len++;
    return 0;
}

struct adding {
    struct ak_index_table *table;
    const struct ak_object *object;
    int error;
};

static void add_text(const char *text, void *user)
{
    struct adding *a = user;

    if (a->error >= 0)
        a->error = add_node(a->table, hash_of(text), a->object);
}

int ak_index_table_add(struct ak_index_table *self, const struct ak_object *object)
{
    struct adding a = {.table = self, .object = object};

    self->def->texts(object, add_text, &a);
    return a.error;
}

struct removing {
    struct ak_index_table *table;
    const struct ak_object *object;
};

static void remove_text(const char *text, void *user)
{
    struct removing *rm = user;
    struct ak_index_table *self = rm->table;
    uint32_t hash = hash_of(text), *link;

    if (!self->cap)
        return;
    link = &self->heads[hash & (self->cap - 1)];
    while (*link) {
        uint32_t n = *link - 1;
        struct ak_index_node *node = &self->nodes[n];
        if (node->object != rm->object || node->hash != hash) {
            link = &node->next;
            continue;
        }
        *link = node->next;
        *node = (struct ak_index_node){.next = self->free_list};
        self->free_list = n + 1;
        self->len--;
        return;
    }
}

void ak_index_table_remove(struct ak_index_table *self, const struct ak_object *object)
{
    struct removing rm = {.table = self, .object = object};

    self->def->texts(object, remove_text, &rm);
}

struct comparing {
    const char *text;
    bool found;
};

static void compare_text(const char *text, void *user)
{
    struct comparing *c = user;

    c->found = c->found || strcmp(text, c->text) == 0;
}

int ak_index_table_find(const struct ak_index_table *self, const char *text,
                        int (*fn)(const struct ak_object *object, void *user), void *user)
{
    uint32_t hash = hash_of(text), next;

    for (next = self->cap ? self->heads[hash & (self->cap - 1)] : 0; next;) {
        const struct ak_index_node *node = &self->nodes[next - 1];
        struct comparing c = {.text = text};
        next = node->next;
        if (node->hash != hash)
            continue;
        self->def->texts(node->object, compare_text, &c);
        if (c.found) {
            int r = fn(node->object, user);
            if (r < 0)
                return r;
        }
    }
    return 0;
}
