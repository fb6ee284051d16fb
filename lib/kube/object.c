/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding goes into a scratch arena, then everything that is kept is packed into one allocation: header,
 * body, metadata, lists, and all text behind them.
 */
#include <ak/kube/object.h>

#include <stdatomic.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "object_internal.h"

#define SCRATCH_FIRST (16u << 10)
#define SCRATCH_MAX                                                                                \
    (32u << 20) /* etcd holds no object over 1.5 MiB; decoded it is a few times that */

struct ak_object {
    /* Taking a reference is relaxed; giving the last one back is acquire-release, so that all reading
     * happens before the memory goes. */
    atomic_uint refs;
    const struct ak_kind *kind;
    struct ak_meta meta;
    const void *body;
    const char *decode_error;
    uint64_t owned_hash;
    size_t footprint;
};

static const struct ak_field owner_fields[] = {
    AK_FIELD(struct ak_owner_ref, api_version, "apiVersion", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_owner_ref, kind, "kind", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_owner_ref, name, "name", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_owner_ref, uid, "uid", AK_F_STRING, .default_text = ""),
    AK_FIELD_BOOL(struct ak_owner_ref, controller, "controller", 0, false),
    AK_FIELD_BOOL(struct ak_owner_ref, block_owner_deletion, "blockOwnerDeletion", 0, false),
};
static const struct ak_type owner_type =
    AK_TYPE("ownerReference", struct ak_owner_ref, owner_fields);

static const struct ak_field meta_fields[] = {
    AK_FIELD_STRING(struct ak_meta, name, "name", AK_FIELD_REQUIRED),
    AK_FIELD(struct ak_meta, namespace_, "namespace", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_meta, uid, "uid", AK_F_STRING, .default_text = ""),
    AK_FIELD(struct ak_meta, resource_version, "resourceVersion", AK_F_STRING, .default_text = ""),
    AK_FIELD_INT(struct ak_meta, generation, "generation", 0, 0),
    AK_FIELD(struct ak_meta, created, "creationTimestamp", AK_F_TIME, .flags = 0),
    AK_FIELD(struct ak_meta, deleting, "deletionTimestamp", AK_F_TIME, .flags = 0),
    AK_FIELD(struct ak_meta, labels, "labels", AK_F_STRING_MAP, .flags = 0),
    AK_FIELD(struct ak_meta, annotations, "annotations", AK_F_STRING_MAP, .flags = 0),
    AK_FIELD(struct ak_meta, finalizers, "finalizers", AK_F_STRING_LIST, .flags = 0),
    AK_FIELD_LIST(struct ak_meta, owners, "ownerReferences", 0, &owner_type),
};
static const struct ak_type meta_type = AK_TYPE("metadata", struct ak_meta, meta_fields);

/* What is decoded of one object, before it is packed. */
struct draft {
    struct ak_meta meta;
    void *body;
    const char *decode_error;
    uint64_t owned_hash;
};

/* Drops, in place, the annotations without the prefix that the kind declares. */
static void filter_annotations(struct ak_string_map *map, const char *prefix)
{
    struct ak_pair *items =
        (struct ak_pair *)(uintptr_t)map->items; /* still ours: in the scratch */
    size_t kept = 0;

    for (size_t i = 0; i < map->len; i++) {
        if (ak_has_prefix(items[i].key, prefix))
            items[kept++] = items[i];
    }
    map->len = kept;
}

static void trim(struct ak_meta *meta, const struct ak_kind *kind)
{
    if (!(kind->flags & AK_KIND_LABELS))
        meta->labels = (struct ak_string_map){0};
    if (!(kind->flags & AK_KIND_ANNOTATIONS))
        meta->annotations = (struct ak_string_map){0};
    else if (kind->annotation_prefix)
        filter_annotations(&meta->annotations, kind->annotation_prefix);
    if (!(kind->flags & AK_KIND_FINALIZERS))
        meta->finalizers = (struct ak_string_list){0};
}

/* A body that does not fit its type is not an error of the object as a whole: its reader shows the reason. */
static int decode_body(const struct ak_type *type, const json_t *tree, struct ak_arena *scratch,
                       struct draft *draft, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r;

    if (!type)
        return 0;
    draft->body = ak_arena_alloc(scratch, type->size);
    if (!draft->body)
        return ak_error_oom(reterr);
    r = ak_decode(type, tree, draft->body, scratch, &err);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r >= 0)
        return 0;
    memset(draft->body, 0, type->size);
    draft->decode_error = ak_arena_strdup(scratch, ak_error_message(err));
    return draft->decode_error ? 0 : ak_error_oom(reterr);
}

static int decode_draft(const struct ak_kind *kind, const json_t *tree, const char *manager,
                        struct ak_arena *scratch, struct draft *draft, struct ak_error **reterr)
{
    const json_t *meta = json_object_get(tree, "metadata");
    int r;

    if (!json_is_object(meta))
        return ak_error_set(reterr, AK_E_PROTOCOL, "an object of kind %s without metadata",
                            kind->resource.kind);
    r = ak_decode(&meta_type, meta, &draft->meta, scratch, reterr);
    if (r < 0)
        return ak_error_wrap(reterr, r, "%s metadata", kind->resource.kind);
    trim(&draft->meta, kind);
    if (kind->flags & AK_KIND_OWNED_HASH)
        draft->owned_hash = manager ? ak_owned_hash(tree, manager) : 0;
    return decode_body(kind->type, tree, scratch, draft, reterr);
}

static void pack(struct ak__pack *p, const struct ak_kind *kind, const struct draft *draft)
{
    struct ak_object *self = ak__pack_room(p, sizeof(*self));
    void *body = kind->type ? ak__pack_room(p, kind->type->size) : NULL;
    const char *error;

    if (self) {
        atomic_init(&self->refs, 1);
        self->kind = kind;
        self->meta = draft->meta;
        self->owned_hash = draft->owned_hash;
    }
    ak__pack_struct(p, &meta_type, &draft->meta, self ? &self->meta : NULL);
    if (kind->type) {
        if (body)
            memcpy(body, draft->body, kind->type->size);
        ak__pack_struct(p, kind->type, draft->body, body);
    }
    error = ak__pack_text(p, draft->decode_error);
    if (self) {
        self->body = body;
        self->decode_error = error;
    }
}

int ak_object_decode(const struct ak_kind *kind, const json_t *tree, const char *manager,
                     const struct ak_object **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) scratch;
    struct draft draft = {0};
    struct ak__pack measure = {0}, copy = {0};
    struct ak_object *self;
    int r;

    ak_arena_init(&scratch, SCRATCH_FIRST, SCRATCH_MAX);
    r = decode_draft(kind, tree, manager, &scratch, &draft, reterr);
    if (r < 0)
        return r;
    pack(&measure, kind, &draft);
    copy.fixed_size = measure.fixed;
    copy.base = ak_calloc(1, ak__pack_total(&measure));
    if (!copy.base)
        return ak_error_oom(reterr);
    pack(&copy, kind, &draft);
    self = (struct ak_object *)(void *)copy.base;
    self->footprint = ak__pack_total(&measure);
    *ret = self;
    return 0;
}

const struct ak_object *ak_object_ref(const struct ak_object *self)
{
    struct ak_object *o = (struct ak_object *)(uintptr_t)self; /* only the counter changes */

    (void)atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return self;
}

struct ak_object *ak_object_unref(const struct ak_object *self)
{
    struct ak_object *o = (struct ak_object *)(uintptr_t)self;

    if (o && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
        ak_free(o);
    return NULL;
}

const struct ak_kind *ak_object_kind(const struct ak_object *self)
{
    return self->kind;
}

const struct ak_meta *ak_object_meta(const struct ak_object *self)
{
    return &self->meta;
}

const void *ak_object_body(const struct ak_object *self)
{
    return self->body;
}

const char *ak_object_decode_error(const struct ak_object *self)
{
    return self->decode_error;
}

uint64_t ak_object_owned_hash(const struct ak_object *self)
{
    return self->owned_hash;
}

size_t ak_object_footprint(const struct ak_object *self)
{
    return self->footprint;
}

const struct ak_owner_ref *ak_meta_controller(const struct ak_meta *meta)
{
    for (size_t i = 0; i < meta->owners.len; i++)
        if (meta->owners.items[i].controller)
            return &meta->owners.items[i];
    return NULL;
}

bool ak_meta_is_owned_by(const struct ak_meta *meta, const char *uid)
{
    for (size_t i = 0; i < meta->owners.len; i++)
        if (ak_streq(meta->owners.items[i].uid, uid))
            return true;
    return false;
}
