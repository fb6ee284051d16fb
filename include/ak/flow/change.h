/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache -> route. What really changed in the cache. An object that a relist brought unchanged makes no
 * change; one that vanished during the relist makes a DELETED.
 */
#ifndef AK_FLOW_CHANGE_H
#define AK_FLOW_CHANGE_H

#include <ak/kube/object.h>

enum ak_change_type { AK_CHANGE_ADDED, AK_CHANGE_UPDATED, AK_CHANGE_DELETED, AK_CHANGE_MAX };
struct ak_change {
    enum ak_change_type type;
    const struct ak_object *before; /* NULL when added; borrowed */
    const struct ak_object *after;  /* NULL when deleted; borrowed */
};
/* Whichever there is, the newer first. */
static inline const struct ak_object *ak_change_object(const struct ak_change *c)
{
    return c->after ? c->after : c->before;
}
AK_PUBLIC const char *ak_change_type_to_string(enum ak_change_type type);
#endif
