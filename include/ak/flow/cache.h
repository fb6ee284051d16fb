/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All objects of one watch, in memory. One writer (the watch's sink), any number of readers. A relist is
 * collected aside and swapped in on INIT_DONE, so that readers never see half a list.
 * Indexes are declared once; they map a text (an owner's uid, "ns/configmap name") to objects.
 */
#ifndef AK_FLOW_CACHE_H
#define AK_FLOW_CACHE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/flow/change.h>
#include <ak/flow/event.h>

#define AK_CACHE_MAX_INDEXES 8
#define AK_CACHE_MAX_OBJECTS 1000000

struct ak_cache;
/* Calls emit() for each text under which the object is found. */
typedef void (*ak_index_emit_fn)(const char *text, void *emit_user);
struct ak_index {
    const char *name;
    void (*texts)(const struct ak_object *object, ak_index_emit_fn emit, void *emit_user);
};
typedef void (*ak_change_fn)(const struct ak_change *change, void *user);

AK_PUBLIC struct ak_cache *ak_cache_free(struct ak_cache *self);
/* `indexes` is static data. Changes are told to `fn` after the cache shows them, outside its lock, on the
 * writer's thread; before the first INIT_DONE nothing is told, then everything as ADDED. */
AK_PUBLIC AK_MUST_USE int ak_cache_new(const struct ak_kind *kind, const struct ak_index *indexes,
                                       size_t n_indexes, ak_change_fn fn, void *user,
                                       struct ak_cache **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_cache, ak_cache_free)

/* The writer's side: an ak_watch_sink_fn (user is the cache). Out of memory makes it forget that it is
 * synced and ask for a relist (ak_cache_needs_relist). */
AK_PUBLIC void ak_cache_sink(const struct ak_event *event, void *cache);
AK_PUBLIC bool ak_cache_needs_relist(struct ak_cache *self);

/* Readers. Thread: any. Returned objects are references (ak_object_unref). */
AK_PUBLIC bool ak_cache_is_synced(struct ak_cache *self);
AK_PUBLIC const struct ak_object *ak_cache_get(struct ak_cache *self, const char *ns,
                                               const char *name); /* or NULL */
struct ak_object_list {
    const struct ak_object **items;
    size_t len;
};
AK_PUBLIC void ak_object_list_done(struct ak_object_list *self);
AK_DEFINE_AUTO(ak_object_list, ak_object_list_done)
/* By index (sorted by namespace and name). */
AK_PUBLIC AK_MUST_USE int ak_cache_find(struct ak_cache *self, size_t index, const char *text,
                                        struct ak_object_list *ret);
AK_PUBLIC AK_MUST_USE int ak_cache_list(struct ak_cache *self, const char *ns /* NULL: all */,
                                        struct ak_object_list *ret);
AK_PUBLIC size_t ak_cache_len(struct ak_cache *self);
AK_PUBLIC size_t ak_cache_footprint(struct ak_cache *self);
#endif
