/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a change to the keys it wakes, by a table of rows. A program's table (wiring.c) is the one place
 * that shows everything that can wake a controller.
 */
#ifndef AK_FLOW_ROUTE_H
#define AK_FLOW_ROUTE_H

#include <ak/base/compiler.h>
#include <ak/flow/change.h>
#include <ak/flow/key.h>
#include <ak/flow/queue.h>

typedef void (*ak_key_emit_fn)(struct ak_key key, void *emit_user);
struct ak_route {
    const struct ak_kind *kind;                     /* changes of this kind ... */
    bool (*wanted)(const struct ak_change *change); /* ... that pass this (NULL: all) ... */
    /* ... wake these keys (NULL: the object itself) ... */
    void (*keys)(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user, void *user);
    const char *controller; /* ... of this controller, */
    enum ak_cause cause;    /* for this reason. */
};

/* Runs the rows for one change. `queue_of` finds a controller's queue by name (NULL: the row is skipped);
 * it gets `queue_user`, a row's keys() gets `user`. A key that a queue does not take is counted there
 * (ak_queue_stats.dropped). */
typedef struct ak_queue *(*ak_queue_of_fn)(const char *controller, void *queue_user);
AK_PUBLIC void ak_route_change(const struct ak_route *rows, size_t n_rows,
                               const struct ak_change *change, ak_queue_of_fn queue_of,
                               void *queue_user, void *user);
/* Wakes the object's own key (rows without keys()) whatever changed or not: a resync. */
AK_PUBLIC void ak_route_resync(const struct ak_route *rows, size_t n_rows,
                               const struct ak_object *object, ak_queue_of_fn queue_of,
                               void *queue_user);

/* Ready-made parts. */
/* The controller owner of kind `resource`, if the object has one: emits namespace/ownerName. */
AK_PUBLIC bool ak_route_owner(const struct ak_object *object, const struct ak_resource *owner,
                              struct ak_key *ret);
/* Emits the controller owners of kind `owner`, of the object as it was and as it is: the body of most
 * keys() functions for children. */
AK_PUBLIC void ak_route_owners(const struct ak_change *change, const struct ak_resource *owner,
                               ak_key_emit_fn emit, void *emit_user);
/* generation, deletionTimestamp, labels or annotations changed: not a mere status write. */
AK_PUBLIC bool ak_route_spec_changed(const struct ak_change *change);
#endif
