/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route -> queue. The name of what must be looked at, never the event that caused it; with the cause as
 * a word for logs, which the reconciler cannot branch on.
 */
#ifndef AK_FLOW_KEY_H
#define AK_FLOW_KEY_H

#include <ak/base/compiler.h>
#include <stddef.h>

#define AK_KEY_MAX 512 /* "namespace/name" with its NUL: 63 + 1 + 253, rounded up */

enum ak_cause {
    AK_CAUSE_CHANGED,   /* the object itself */
    AK_CAUSE_CHILD,     /* an object that it owns */
    AK_CAUSE_REFERENCE, /* an object that it names */
    AK_CAUSE_TIMER,     /* it asked to be called again */
    AK_CAUSE_RETRY,     /* the last reconcile failed */
    AK_CAUSE_RESYNC,
    AK_CAUSE_MAX
};
AK_PUBLIC const char *ak_cause_to_string(enum ak_cause cause);

struct ak_key {
    const char *namespace_; /* "" for cluster-scoped */
    const char *name;
};
#define AK_KEY_NS_SIZE 64    /* with its NUL */
#define AK_KEY_NAME_SIZE 254 /* with its NUL */
/* "namespace/name"; -EINVAL when a part is too long, or the name is empty. */
AK_PUBLIC AK_MUST_USE int ak_key_text(struct ak_key key, char buf[static AK_KEY_MAX]);
/* Takes such a text apart. */
AK_PUBLIC void ak_key_split(const char *text, char ns[static AK_KEY_NS_SIZE],
                            char name[static AK_KEY_NAME_SIZE]);
#endif
