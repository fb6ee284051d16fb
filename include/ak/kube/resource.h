/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of objects and the URLs they live at.
 */
#ifndef AK_KUBE_RESOURCE_H
#define AK_KUBE_RESOURCE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/json/decode.h>
#include <stdbool.h>

/* Static data: one constant per kind. */
struct ak_resource {
    const char *group; /* "" for the core group */
    const char *version;
    const char *kind;
    const char *plural;
    bool namespaced;
};

/* What a cache keeps of each object beside its name, uid, resourceVersion, generation and owners. */
enum ak_kind_flags {
    AK_KIND_LABELS = 1 << 0, /* keep labels */
    AK_KIND_ANNOTATIONS =
        1 << 1, /* keep annotations (those with prefix annotation_prefix, if set) */
    AK_KIND_OWNED_HASH = 1 << 2, /* keep the hash of the fields that our field manager applied */
    AK_KIND_FINALIZERS = 1 << 3,
    /* Ask the apiserver for metadata only (PartialObjectMetadata): the type must be NULL. For kinds
     * whose content is large and read by name when it matters (ConfigMaps). */
    AK_KIND_PARTIAL = 1 << 4,
};

/* A kind together with what we read of it. Static data. */
struct ak_kind {
    struct ak_resource resource;
    const struct ak_type
        *type;      /* of the object's body: spec, status, data ...; NULL: metadata only */
    uint32_t flags; /* enum ak_kind_flags */
    const char *annotation_prefix;
};

/* "v1" or "apps/v1", into a buffer. */
AK_PUBLIC const char *ak_resource_api_version(const struct ak_resource *r, char buf[static 128]);
/* Appends the path of a collection (name NULL) or an object, each part escaped; `sub` is a subresource or
 * NULL. /api/v1/namespaces/NS/pods/NAME/status, /apis/GROUP/VERSION/... ns NULL or "": all namespaces.
 * -EINVAL: an empty name, or a namespaced object without its namespace (neither may become the path of
 * a collection). "." and ".." are not names; the apiserver refuses them. */
AK_PUBLIC AK_MUST_USE int ak_resource_path(const struct ak_resource *r, const char *ns,
                                           const char *name, const char *sub, struct ak_buf *out);
#endif
