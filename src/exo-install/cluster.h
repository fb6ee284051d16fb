/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the apiserver, in the terms of this program: objects are trees, and an object says itself
 * what it is. Everything blocks, for 30 s at most.
 */
#ifndef AK_EXO_INSTALL_CLUSTER_H
#define AK_EXO_INSTALL_CLUSTER_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>
#include <ak/kube/resource.h>

#include "exo-install/install.h"

#define AK_CLUSTER_PAGE 500 /* objects asked for at once */

AK_MUST_USE int ak_cluster_connect(struct ak_install *self, struct ak_error **reterr);

/* NULL: a kind that this program has no business with. Static data. */
const struct ak_resource *ak_cluster_kind(const char *kind);
/* AK_E_INVALID: unknown. */
AK_MUST_USE int ak_cluster_kind_of(const json_t *object, const struct ak_resource **ret,
                                   struct ak_error **reterr);
/* "deployment.apps/agentkube-manager", into a buffer. */
const char *ak_cluster_label(const struct ak_resource *r, const char *name, char buf[static 384]);

/* *ret is NULL if there is none. */
AK_MUST_USE int ak_cluster_find(struct ak_install *self, const char *kind, const char *ns,
                                const char *name, json_t **ret, struct ak_error **reterr);
/* The live form of an object, or NULL. */
AK_MUST_USE int ak_cluster_find_live(struct ak_install *self, const json_t *object, json_t **ret,
                                     struct ak_error **reterr);

enum ak_apply_how {
    AK_APPLY_DRY_RUN = 1 << 0,
    AK_APPLY_FORCE = 1 << 1,
};
/* Server-side apply as AK_INSTALL_SELF. */
AK_MUST_USE int ak_cluster_apply(struct ak_install *self, const json_t *object, uint32_t how,
                                 json_t **ret, struct ak_error **reterr);
AK_MUST_USE int ak_cluster_patch(struct ak_install *self, const char *kind, const char *ns,
                                 const char *name, const json_t *merge_patch,
                                 struct ak_error **reterr);
/* 1: deleted (perhaps not gone yet), 0: there was none. */
AK_MUST_USE int ak_cluster_delete(struct ak_install *self, const char *kind, const char *ns,
                                  const char *name, struct ak_error **reterr);

/* All objects of a kind, page by page, handed to fn until it returns negative. ns NULL: everywhere.
 * selector NULL: all. metadata: only apiVersion, kind and metadata are asked for. No such kind: none. */
typedef int (*ak_cluster_each_fn)(const json_t *object, void *user, struct ak_error **reterr);
AK_MUST_USE int ak_cluster_each(struct ak_install *self, const char *kind, const char *ns,
                                const char *selector, bool metadata, ak_cluster_each_fn fn,
                                void *user, struct ak_error **reterr);
/* How many; -1 never. */
AK_MUST_USE int ak_cluster_count(struct ak_install *self, const char *kind, const char *ns,
                                 const char *selector, size_t *ret, struct ak_error **reterr);

/* What SelfSubjectAccessReview is asked. Texts are borrowed; name and ns may be NULL. */
struct ak_permission {
    const char *verb, *group, *resource, *ns, *name;
};
AK_MUST_USE int ak_cluster_may(struct ak_install *self, const struct ak_permission *what, bool *ret,
                               struct ak_error **reterr);
/* "v1.20.2", and its numbers. */
AK_MUST_USE int ak_cluster_version(struct ak_install *self, char ret_text[static 64],
                                   int *ret_major, int *ret_minor, struct ak_error **reterr);

/* Sleeps between two looks at something; false: --timeout is over. */
bool ak_cluster_may_wait(const struct ak_install *self);
/* Is this worth another try a moment later? */
bool ak_cluster_is_transient(int code);

#endif
