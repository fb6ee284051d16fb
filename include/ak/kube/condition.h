/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metav1.Condition: lists keyed by type, transition times that move only when the status does.
 */
#ifndef AK_KUBE_CONDITION_H
#define AK_KUBE_CONDITION_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <ak/json/decode.h>
#include <stdbool.h>

struct ak_condition {
    const char *type;
    const char *status;      /* "True", "False", "Unknown" */
    const char *reason;      /* CamelCase, stable: an interface */
    const char *message;     /* for people: what happened and what to do */
    ak_msec last_transition; /* wall clock */
    int64_t observed_generation;
};
typedef AK_LIST_OF(struct ak_condition) ak_condition_list;
extern AK_PUBLIC const struct ak_type ak_condition_type;

AK_PUBLIC const struct ak_condition *ak_condition_find(const struct ak_condition *items, size_t len,
                                                       const char *type); /* or NULL */
AK_PUBLIC bool ak_condition_is_true(const struct ak_condition *items, size_t len, const char *type);
/* Sets `next->last_transition` from the condition of the same type in `old` (same status: keeps its
 * time, else `now_wall`). */
AK_PUBLIC void ak_condition_carry_time(struct ak_condition *next, const struct ak_condition *old,
                                       size_t old_len, ak_msec now_wall);
#endif
