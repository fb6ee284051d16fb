/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that is told of each change of a record: first all that are not final and those that ended within
 * the last hour, then "synced", then changes. It remembers the number of the last change that it was
 * told of; what changes twice before it has room is told once. Thread: loop.
 */
#ifndef AK_AGENTLET_RUNS_WATCHER_H
#define AK_AGENTLET_RUNS_WATCHER_H

#include "agentlet/runs/runbook.h"

#include <ak/base/compiler.h>
#include <ak/net/http_server.h>

struct ak_watcher;
struct ak_watchers {
    struct ak_watcher *first;
    struct ak_runbook *runbook;
};

AK_MUST_USE int ak_watchers_add(struct ak_watchers *self, struct ak_http_exchange *ex,
                                struct ak_error **reterr);
void ak_watchers_wake(struct ak_watchers *self);
void ak_watchers_keep_alive(struct ak_watchers *self, ak_msec now);

#endif
