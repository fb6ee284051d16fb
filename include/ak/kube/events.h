/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes Events (core/v1), for `kubectl describe`: what happened to an object, in words.
 * Repeats are counted on one Event instead of written again, a flood from one object is dropped with
 * a counter (as client-go's spam filter: burst 25, then one in five minutes). Sending never blocks
 * and never fails a reconcile: a bounded queue and one thread of its own.
 */
#ifndef AK_KUBE_EVENTS_H
#define AK_KUBE_EVENTS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/kube/client.h>
#include <ak/kube/object.h>

struct ak_events;
AK_PUBLIC struct ak_events *ak_events_free(
    struct ak_events *self); /* sends what waits, at most 2 s */
AK_PUBLIC AK_MUST_USE int ak_events_new(struct ak_client *client, const char *component,
                                        const char *instance, struct ak_events **ret,
                                        struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_events, ak_events_free)
/* `warning` false: type Normal. reason is CamelCase; message is cut at 1024 bytes. Thread: any. */
AK_PUBLIC void ak_events_emit(struct ak_events *self, const struct ak_object *about, bool warning,
                              const char *reason, const char *fmt, ...) AK_PRINTF(5, 6);
AK_PUBLIC uint64_t ak_events_dropped(const struct ak_events *self);
#endif
