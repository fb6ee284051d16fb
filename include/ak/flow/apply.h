/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last stage: writes. Nothing is sent when nothing would change, nothing is written to an object
 * that belongs to somebody else, and every write names the object by uid where there is one.
 *
 * How "nothing would change" is known without keeping what was written: the apiserver records which
 * fields each manager applied (managedFields). While a live object is decoded, the values of our fields
 * are hashed (ak_object_owned_hash); an apply is needed exactly when the hash of the desired object
 * differs. This holds across restarts, and corrects drift in our fields only.
 */
#ifndef AK_FLOW_APPLY_H
#define AK_FLOW_APPLY_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/kube/client.h>
#include <ak/kube/object.h>

struct ak_apply {
    struct ak_client *client;
    const char *manager; /* field manager */
    /* May we still write? Asked before each write (leader election). NULL: always. */
    bool (*may_write)(void *user);
    void *user;
};

/* 0: nothing was sent; 1: written. `live` is the cached object or NULL. `owner_uid`: if live is not
 * controlled by it, AK_E_TERMINAL ("... belongs to ..."). When live is NULL and the cache does not see all
 * objects (filtered watch), pass AK_APPLY_CHECK: the object is read first, so that a foreign one is not taken over. */
enum ak_apply_flags { AK_APPLY_CHECK = 1 << 0, AK_APPLY_FORCE = 1 << 1 };
AK_PUBLIC AK_MUST_USE int ak_apply_object(const struct ak_apply *self, const struct ak_resource *r,
                                          const struct ak_object *live, json_t *desired,
                                          const char *owner_uid, uint32_t flags,
                                          struct ak_error **reterr);
/* Creates with POST: AlreadyExists is an error. For kinds that cannot be changed (pods). */
AK_PUBLIC AK_MUST_USE int ak_apply_create(const struct ak_apply *self, const struct ak_resource *r,
                                          const json_t *desired, struct ak_error **reterr);
/* Deletes exactly that object (uid precondition); one that is gone already, or was replaced, is 0. */
AK_PUBLIC AK_MUST_USE int ak_apply_delete(const struct ak_apply *self, const struct ak_object *live,
                                          int64_t grace_seconds, struct ak_error **reterr);
/* Writes the status subresource if `status` differs from what we applied before. `live` must be of a kind
 * with AK_KIND_OWNED_HASH. */
AK_PUBLIC AK_MUST_USE int ak_apply_status(const struct ak_apply *self, const struct ak_object *live,
                                          const json_t *status, struct ak_error **reterr);
/* Counters for /metrics: writes sent and skipped. Thread: any. */
AK_PUBLIC void ak_apply_counts(uint64_t *ret_sent, uint64_t *ret_skipped);
#endif
