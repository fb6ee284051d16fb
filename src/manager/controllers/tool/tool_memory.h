/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controller remembers of Tools and can do without after a restart: it then waits a little longer, or writes
 * once more.
 *
 * Thread: any. Lock: its own, for a moment.
 */
#ifndef AK_MANAGER_TOOL_MEMORY_H
#define AK_MANAGER_TOOL_MEMORY_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>

#define AK_TOOL_MEMORY_MAX 100000 /* Tools; others are not remembered */
#define AK_TOOL_HASH_SIZE 48      /* of what is provisioned, with its NUL */
#define AK_TOOL_MADE_FOR_SIZE 17  /* of permissions and system, with its NUL */

struct ak_tool_recall {
    char uid[64];
    char job[AK_TOOL_HASH_SIZE];  /* hash of the Job that was made last */
    ak_msec job_since;            /* monotonic, as all of them but minted */
    ak_msec minted, minted_since; /* passwords, last: as status.identity says it, and when */
    char minted_for[AK_TOOL_MADE_FOR_SIZE];
    int bastion_failures;       /* in a row */
    ak_msec bastion_not_before; /* the next one */
    char bastion_failed[64];    /* uid of the pod that was counted last */
    ak_msec use_written;        /* when the status last said how the bastion is used */
};
struct ak_tool_memory;
struct ak_tool_memory *ak_tool_memory_free(struct ak_tool_memory *self);
AK_MUST_USE int ak_tool_memory_new(struct ak_tool_memory **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_tool_memory, ak_tool_memory_free)
/* A copy; zero for a Tool that is not known, or was another one (uid). */
void ak_tool_memory_get(struct ak_tool_memory *self, const char *ns, const char *name,
                        const char *uid, struct ak_tool_recall *ret);
/* Without memory nothing is remembered. */
void ak_tool_memory_put(struct ak_tool_memory *self, const char *ns, const char *name,
                        const struct ak_tool_recall *recall);
void ak_tool_memory_forget(struct ak_tool_memory *self, const char *ns, const char *name);

#endif
