/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agentlet's API for the keeper: HTTP/1.1 on a Unix socket that only the keeper's user may speak on
 * (SO_PEERCRED). docs/agentlet.md has the routes. Errors are Kubernetes Status objects. Thread: loop.
 */
#ifndef AK_AGENTLET_RUNS_API_H
#define AK_AGENTLET_RUNS_API_H

#include "agentlet/poller.h"
#include "agentlet/runs/runbook.h"
#include "agentlet/state.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stddef.h>

struct ak_run_api;
struct ak_run_api *ak_run_api_free(struct ak_run_api *self); /* returns NULL */
AK_DEFINE_AUTO_PTR(ak_run_api, ak_run_api_free)
/* Listens on settings->link. Borrows all. */
AK_MUST_USE int ak_run_api_new(const struct ak_settings *settings, const struct ak_state *state,
                               struct ak_runbook *runbook, struct ak_poller *poller,
                               struct ak_run_api **ret, struct ak_error **reterr);
ak_msec ak_run_api_deadline(const struct ak_run_api *self);
void ak_run_api_tick(struct ak_run_api *self, ak_msec now);
/* Ends what is complete; returns how many connections still have an answer to take. */
size_t ak_run_api_drain(struct ak_run_api *self);

#endif
