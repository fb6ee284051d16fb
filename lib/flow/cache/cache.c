/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/flow/cache.h>

#include <stdlib.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>

#include "index.h"
#include "table.h"

/* What readers see: the objects and the indexes over them. */
struct picture {
    struct ak_table objects;
    struct ak_index_table indexes[AK_CACHE_MAX_INDEXES];
    size_t bytes; /* of the objects */
};

struct ak_cache {
    const struct ak_index *index_defs;
    size_t n_indexes;
    ak_change_fn fn;
    void *user;

    /* Of the writer's thread alone: the relist that is being collected. */
    struct ak_table next;
    bool collecting;
    bool broken; /* something was lost: nothing counts until the next INIT */

    struct ak_mutex lock; /* guards what follows; the writer may read it without */
    struct picture now;
    bool synced;
    bool needs_relist;
};

static int put_locked(struct ak_cache *self, const struct ak_object *before,
                      const struct ak_object *object) AK_REQUIRES(&self->lock);

static void picture_init(const struct ak_cache *self, struct picture *p)
{
    *p = (struct picture){0};
    for (size_t i = 0; i < self->n_indexes; i++)
        p->indexes[i].def = &self->index_defs[i];
}

static void picture_done(const struct ak_cache *self, struct picture *p)
{
    for (size_t i = 0; i < self->n_indexes; i++)
        ak_index_table_done(&p->indexes[i]);
    ak_table_done(&p->objects);
}

static int picture_index(const struct ak_cache *self, struct picture *p,
                         const struct ak_object *object)
{
    for (size_t i = 0; i < self->n_indexes; i++) {
        int r = ak_index_table_add(&p->indexes[i], object);
        if (r < 0)
            return r;
    }
    return 0;
}

static void picture_unindex(const struct ak_cache *self, struct picture *p,
                            const struct ak_object *object)
{
    for (size_t i = 0; i < self->n_indexes; i++)
        ak_index_table_remove(&p->indexes[i], object);
}

struct ak_cache *ak_cache_free(struct ak_cache *self)
{
    if (!self)
        return NULL;
    ak_table_done(&self->next);
    picture_done(self, &self->now);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_cache_new(const struct ak_kind *kind, const struct ak_index *indexes, size_t n_indexes,
                 ak_change_fn fn, void *user, struct ak_cache **ret, struct ak_error **reterr)
{
    struct ak_cache *self;

    if (n_indexes > AK_CACHE_MAX_INDEXES)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "cache of %s: %zu indexes, at most %d",
                            kind->resource.plural, n_indexes, AK_CACHE_MAX_INDEXES);
    self = ak_new0(struct ak_cache);
    if (!self)
        return ak_error_oom(reterr);
    self->index_defs = indexes;
    self->n_indexes = n_indexes;
    self->fn = fn;
    self->user = user;
    picture_init(self, &self->now);
    ak_mutex_init(&self->lock);
    *ret = self;
    return 0;
}

static void tell(const struct ak_cache *self, enum ak_change_type type,
                 const struct ak_object *before, const struct ak_object *after)
{
    struct ak_change change = {.type = type, .before = before, .after = after};

    if (self->fn)
        self->fn(&change, self->user);
}

static bool is_same_object(const struct ak_object *a, const struct ak_object *b)
{
    return ak_streq(ak_object_meta(a)->uid, ak_object_meta(b)->uid);
}

static bool is_unchanged(const struct ak_object *a, const struct ak_object *b)
{
    return is_same_object(a, b) &&
           ak_streq(ak_object_meta(a)->resource_version, ak_object_meta(b)->resource_version);
}

/* Tells the step from `before` to `after`; either may be NULL. */
static void tell_step(const struct ak_cache *self, const struct ak_object *before,
                      const struct ak_object *after)
{
    if (!before) {
        tell(self, AK_CHANGE_ADDED, NULL, after);
    } else if (!after) {
        tell(self, AK_CHANGE_DELETED, before, NULL);
    } else if (!is_same_object(before, after)) {
        /* Another object under the same name: who owned the first one must hear that it went. */
        tell(self, AK_CHANGE_DELETED, before, NULL);
        tell(self, AK_CHANGE_ADDED, NULL, after);
    } else if (!is_unchanged(before, after)) {
        tell(self, AK_CHANGE_UPDATED, before, after);
    }
}

static const struct ak_object *get_same_name(const struct ak_table *table,
                                             const struct ak_object *o)
{
    const struct ak_meta *m = ak_object_meta(o);

    return ak_table_get(table, m->namespace_ ? m->namespace_ : "", m->name);
}

static void lose(struct ak_cache *self)
{
    self->broken = true;
    self->collecting = false;
    ak_table_done(&self->next);
    ak_mutex_lock(&self->lock);
    self->synced = false;
    self->needs_relist = true;
    ak_mutex_unlock(&self->lock);
}

static void on_init(struct ak_cache *self)
{
    ak_table_done(&self->next);
    self->collecting = true;
    self->broken = false;
    ak_mutex_lock(&self->lock);
    self->needs_relist = false;
    ak_mutex_unlock(&self->lock);
}

static void on_init_apply(struct ak_cache *self, const struct ak_object *object)
{
    const struct ak_object *known, *twice;

    if (!self->collecting)
        return;
    if (self->next.len >= AK_CACHE_MAX_OBJECTS || ak_table_reserve(&self->next) < 0) {
        lose(self);
        return;
    }
    /* What did not change is kept, so that a relist does not double the memory. */
    known = get_same_name(&self->now.objects, object);
    if (known && is_unchanged(known, object))
        object = known;
    twice = ak_table_put(&self->next, ak_object_ref(object));
    if (twice)
        (void)ak_object_unref(twice);
}

static void tell_relist(const struct ak_cache *self, const struct ak_table *before)
{
    const struct ak_object *o;

    for (size_t i = 0; (o = ak_table_next(before, &i));)
        if (!get_same_name(&self->now.objects, o))
            tell_step(self, o, NULL);
    for (size_t i = 0; (o = ak_table_next(&self->now.objects, &i));)
        tell_step(self, get_same_name(before, o), o);
}

static void on_init_done(struct ak_cache *self)
{
    struct picture fresh, old;
    const struct ak_object *o;

    if (!self->collecting)
        return;
    picture_init(self, &fresh);
    fresh.objects = self->next;
    self->next = (struct ak_table){0};
    for (size_t i = 0; (o = ak_table_next(&fresh.objects, &i));) {
        fresh.bytes += ak_object_footprint(o);
        if (picture_index(self, &fresh, o) < 0) {
            picture_done(self, &fresh);
            lose(self);
            return;
        }
    }
    self->collecting = false;
    ak_mutex_lock(&self->lock);
    old = self->now;
    self->now = fresh;
    self->synced = true;
    ak_mutex_unlock(&self->lock);
    tell_relist(self, &old.objects);
    picture_done(self, &old);
}

/* All or nothing: what was not told must not be shown, or a relist would not tell it either. */
static int put_locked(struct ak_cache *self, const struct ak_object *before,
                      const struct ak_object *object)
{
    int r;

    if (self->now.objects.len >= AK_CACHE_MAX_OBJECTS)
        return AK_E_TOO_LARGE;
    r = ak_table_reserve(&self->now.objects);
    if (r < 0)
        return r;
    r = picture_index(self, &self->now, object);
    if (r < 0) {
        picture_unindex(self, &self->now, object);
        return r;
    }
    if (before) {
        picture_unindex(self, &self->now, before);
        self->now.bytes -= ak_object_footprint(before);
    }
    self->now.bytes += ak_object_footprint(object);
    (void)ak_table_put(&self->now.objects, ak_object_ref(object));
    return 0;
}

static void on_apply(struct ak_cache *self, const struct ak_object *object)
{
    const struct ak_object *before = get_same_name(&self->now.objects, object);
    int r;

    if (before && is_unchanged(before, object))
        return;
    ak_mutex_lock(&self->lock);
    r = put_locked(self, before, object);
    ak_mutex_unlock(&self->lock);
    if (r < 0) {
        lose(self);
        return;
    }
    tell_step(self, before, object);
    if (before)
        (void)ak_object_unref(before); /* the reference that the table held */
}

static void on_delete(struct ak_cache *self, const struct ak_object *object)
{
    const struct ak_meta *m = ak_object_meta(object);
    const struct ak_object *before;

    ak_mutex_lock(&self->lock);
    before = ak_table_take(&self->now.objects, m->namespace_ ? m->namespace_ : "", m->name);
    if (before) {
        picture_unindex(self, &self->now, before);
        self->now.bytes -= ak_object_footprint(before);
    }
    ak_mutex_unlock(&self->lock);
    if (!before)
        return;
    tell(self, AK_CHANGE_DELETED, before, NULL);
    (void)ak_object_unref(before);
}

void ak_cache_sink(const struct ak_event *event, void *cache)
{
    struct ak_cache *self = cache;

    if (event->type == AK_EVENT_INIT) {
        on_init(self);
        return;
    }
    if (self->broken)
        return;
    switch (event->type) {
    case AK_EVENT_INIT_APPLY:
        on_init_apply(self, event->object);
        break;
    case AK_EVENT_INIT_DONE:
        on_init_done(self);
        break;
    case AK_EVENT_APPLY:
        on_apply(self, event->object);
        break;
    case AK_EVENT_DELETE:
        on_delete(self, event->object);
        break;
    case AK_EVENT_INIT:
    case AK_EVENT_MAX:
        break;
    }
}

bool ak_cache_needs_relist(struct ak_cache *self)
{
    bool needs;

    ak_mutex_lock(&self->lock);
    needs = self->needs_relist;
    ak_mutex_unlock(&self->lock);
    return needs;
}

bool ak_cache_is_synced(struct ak_cache *self)
{
    bool synced;

    ak_mutex_lock(&self->lock);
    synced = self->synced;
    ak_mutex_unlock(&self->lock);
    return synced;
}

const struct ak_object *ak_cache_get(struct ak_cache *self, const char *ns, const char *name)
{
    const struct ak_object *o;

    ak_mutex_lock(&self->lock);
    o = ak_table_get(&self->now.objects, ns ? ns : "", name);
    if (o)
        o = ak_object_ref(o);
    ak_mutex_unlock(&self->lock);
    return o;
}

void ak_object_list_done(struct ak_object_list *self)
{
    for (size_t i = 0; i < self->len; i++)
        (void)ak_object_unref(self->items[i]);
    ak_free(self->items);
    *self = (struct ak_object_list){0};
}

struct gathering {
    struct ak_object_list list;
    size_t cap;
};

static int gather(const struct ak_object *object, void *user)
{
    struct gathering *g = user;

    if (g->list.len == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 8;
        const struct ak_object **items = ak_reallocarray(g->list.items, cap, sizeof(*items));
        if (!items)
            return -ENOMEM;
        g->list.items = items;
        g->cap = cap;
    }
    g->list.items[g->list.len++] = ak_object_ref(object);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct ak_meta *x = ak_object_meta(*(const struct ak_object *const *)a);
    const struct ak_meta *y = ak_object_meta(*(const struct ak_object *const *)b);
    int r = strcmp(x->namespace_ ? x->namespace_ : "", y->namespace_ ? y->namespace_ : "");

    return r ? r : strcmp(x->name, y->name);
}

/* Sorts, and drops an object that came twice: one that gave an index the same text twice. */
static void sort_gathered(struct ak_object_list *list)
{
    size_t kept = 0;

    if (list->len)
        qsort(list->items, list->len, sizeof(*list->items), compare_names);
    for (size_t i = 0; i < list->len; i++) {
        if (kept && list->items[kept - 1] == list->items[i])
            (void)ak_object_unref(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->len = kept;
}

static int finish_gathering(struct gathering *g, int r, struct ak_object_list *ret)
{
    if (r < 0) {
        ak_object_list_done(&g->list);
        return r;
    }
    sort_gathered(&g->list);
    *ret = g->list;
    return 0;
}

int ak_cache_find(struct ak_cache *self, size_t index, const char *text, struct ak_object_list *ret)
{
    struct gathering g = {0};
    int r;

    if (index >= self->n_indexes)
        return -EINVAL;
    ak_mutex_lock(&self->lock);
    r = ak_index_table_find(&self->now.indexes[index], text, gather, &g);
    ak_mutex_unlock(&self->lock);
    return finish_gathering(&g, r, ret);
}

int ak_cache_list(struct ak_cache *self, const char *ns, struct ak_object_list *ret)
{
    struct gathering g = {0};
    const struct ak_object *o;
    int r = 0;

    ak_mutex_lock(&self->lock);
    for (size_t i = 0; r >= 0 && (o = ak_table_next(&self->now.objects, &i));) {
        const char *have = ak_object_meta(o)->namespace_;
        if (!ns || strcmp(have ? have : "", ns) == 0)
            r = gather(o, &g);
    }
    ak_mutex_unlock(&self->lock);
    return finish_gathering(&g, r, ret);
}

size_t ak_cache_len(struct ak_cache *self)
{
    size_t len;

    ak_mutex_lock(&self->lock);
    len = self->now.objects.len;
    ak_mutex_unlock(&self->lock);
    return len;
}

size_t ak_cache_footprint(struct ak_cache *self)
{
    size_t bytes;

    ak_mutex_lock(&self->lock);
    bytes = self->now.bytes + self->now.objects.n_slots * sizeof(void *);
    for (size_t i = 0; i < self->n_indexes; i++)
        bytes += self->now.indexes[i].cap * (sizeof(struct ak_index_node) + sizeof(uint32_t));
    ak_mutex_unlock(&self->lock);
    return bytes;
}
