/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of the container's processes belongs to what, from /proc: what a run has started, also where it
 * has left the run's process group (a daemon), and who came from outside (kubectl exec). Thread: any.
 */
#ifndef AK_AGENTLET_RUNS_LEFTOVERS_H
#define AK_AGENTLET_RUNS_LEFTOVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define AK_RUN_MARK "AGENTKUBE_RUN_ID" /* in the environment of all that a run starts */

/*
 * Sends the signal (0: none) to each process that has AGENTKUBE_RUN_ID=id in its environment, is in one of the
 * sessions, or descends from such a one; the caller is none of them. Returns how many there are that are still
 * alive. A process that is just executing a program has no environment for a moment: 0 is certain only
 * with ak_leftovers_has_children(), or the second time.
 */
size_t ak_leftovers_signal(const char *id, const pid_t *sessions, size_t n_sessions, int signal);
/* Has the caller any child at all? It gets all orphans, so without one nobody has left anything. */
bool ak_leftovers_has_children(void);
/* Processes that the container's runtime put beside us: their parent is outside. 0 unless we are PID 1. */
size_t ak_leftovers_sessions(void);

#endif
