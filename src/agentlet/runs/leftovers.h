/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of the container's processes belongs to what, from /proc: what a run has started, also where it
 * has left the run's process group (a daemon), and who came from outside (kubectl exec). Thread: any.
 */
#ifndef AK_AGENTLET_RUNS_LEFTOVERS_H
#define AK_AGENTLET_RUNS_LEFTOVERS_H

#include <stddef.h>
#include <sys/types.h>

#define AK_RUN_MARK "AGENTKUBE_RUN_ID" /* in the environment of all that a run starts */

/*
 * Sends the signal (0: none) to each process that has AGENTKUBE_RUN_ID=id in its environment, is in the
 * session `session` (0: none), or descends from such a one; the caller is none of them. Returns how many there
 * are that are still alive.
 */
size_t ak_leftovers_signal(const char *id, pid_t session, int signal);
/* Processes that the container's runtime put beside us: their parent is outside. 0 unless we are PID 1. */
size_t ak_leftovers_sessions(void);

#endif
