/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as the cache holds it: immutable, reference-counted, trimmed to what its kind declares.
 * Readers take a reference and never copy; a changed object is a new one.
 */
#ifndef AK_KUBE_OBJECT_H
#define AK_KUBE_OBJECT_H

#include <ak/base/arena.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <ak/kube/resource.h>
#include <stdbool.h>

struct ak_owner_ref {
    const char *api_version, *kind, *name, *uid;
    bool controller;
    bool block_owner_deletion;
};

/* metav1.ObjectMeta, as far as anybody reads it. */
struct ak_meta {
    const char *name;
    const char *namespace_; /* "" for cluster-scoped objects */
    const char *uid;
    const char *resource_version; /* opaque text: compared for equality only */
    int64_t generation;
    ak_msec created;  /* wall clock */
    ak_msec deleting; /* deletionTimestamp; 0: not being deleted */
    struct ak_string_map labels;
    struct ak_string_map annotations;
    struct ak_string_list finalizers;
    AK_LIST_OF(struct ak_owner_ref) owners;
};

struct ak_object; /* header, metadata, body and arena in one allocation scheme */

AK_PUBLIC struct ak_object *ak_object_unref(
    const struct ak_object *self); /* NULL is fine; returns NULL */
AK_PUBLIC const struct ak_object *ak_object_ref(const struct ak_object *self);
static inline void ak__auto_object_ref(const struct ak_object **p)
{
    if (*p)
        (void)ak_object_unref(*p);
}
/* A reference that a scope holds. */
#define AK_AUTO_OBJECT __attribute__((cleanup(ak__auto_object_ref))) const struct ak_object *

/* Decodes one object. `manager` is the field manager whose fields AK_KIND_OWNED_HASH hashes. */
AK_PUBLIC AK_MUST_USE int ak_object_decode(const struct ak_kind *kind, const json_t *tree,
                                           const char *manager, const struct ak_object **ret,
                                           struct ak_error **reterr);
AK_PUBLIC const struct ak_kind *ak_object_kind(const struct ak_object *self);
AK_PUBLIC const struct ak_meta *ak_object_meta(const struct ak_object *self);
/* The decoded body: `const struct ak_agent *agent = ak_object_body(o);`. NULL if the kind has no type. */
AK_PUBLIC const void *ak_object_body(const struct ak_object *self);
/* Why the body could not be decoded (the schema changed under us, or no schema); NULL: it could. Such an
 * object still has its metadata, and its body is a zeroed struct of the type. */
AK_PUBLIC const char *ak_object_decode_error(const struct ak_object *self);
/* Hash over the values of the fields that `manager` owns by Apply (all of them, and of status alone);
 * 0: it owns none. See ak_owned_hash(). */
AK_PUBLIC uint64_t ak_object_owned_hash(const struct ak_object *self);
AK_PUBLIC size_t ak_object_footprint(const struct ak_object *self);

/* The owner that controls this object, or NULL. */
AK_PUBLIC const struct ak_owner_ref *ak_meta_controller(const struct ak_meta *meta);
AK_PUBLIC bool ak_meta_is_owned_by(const struct ak_meta *meta, const char *uid);

/*
 * Owned fields (KEP-555, server-side apply). Takes from `live` exactly the values that `manager`
 * applied (metadata.managedFields, FieldsV1) and hashes them canonically; identity (apiVersion, kind,
 * metadata.name, metadata.namespace, metadata.uid) does not count. Equal to ak_desired_hash() of what was
 * applied, as long as nobody changed one of those values and the server did not rewrite them. So that it
 * does not, builders of applied objects leave out false and 0 where the API drops them ("omitempty" without
 * a pointer), spell quantities as the server does ("1", not "1000m"), apply no empty object that the server
 * fills, and no atomic list that admission adds to (a pod's tolerations). null, "", {} and [] count as
 * absent, lists of objects as sets: a mere change of their order is not seen.
 */
AK_PUBLIC uint64_t ak_owned_hash(const json_t *live, const char *manager);
AK_PUBLIC uint64_t ak_desired_hash(const json_t *desired);

#endif
