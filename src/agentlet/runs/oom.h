/* SPDX-License-Identifier: Apache-2.0 */
/* Has the kernel killed a process of this container for lack of memory? From the control group, v1 or v2. */
#ifndef AK_AGENTLET_RUNS_OOM_H
#define AK_AGENTLET_RUNS_OOM_H

#include <stdint.h>

/* How many, since the container began; 0 if that cannot be known. */
int64_t ak_oom_kills(const char *cgroup);

#endif
