/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch -> cache. What a watch says about its collection, in order:
 * INIT, INIT_APPLY for each object, INIT_DONE, then APPLY and DELETE; again from INIT after a relist.
 */
#ifndef AK_FLOW_EVENT_H
#define AK_FLOW_EVENT_H

#include <ak/kube/object.h>

enum ak_event_type {
    AK_EVENT_INIT,
    AK_EVENT_INIT_APPLY,
    AK_EVENT_INIT_DONE,
    AK_EVENT_APPLY,
    AK_EVENT_DELETE,
    AK_EVENT_MAX
};
struct ak_event {
    enum ak_event_type type;
    const struct ak_object *object; /* borrowed; NULL for INIT and INIT_DONE */
};
AK_PUBLIC const char *ak_event_type_to_string(enum ak_event_type type);
#endif
