/* SPDX-License-Identifier: Apache-2.0 */
/* What `agentlet run` says about itself, as JSON: to readers of /readyz and into state.json. */
#ifndef AK_AGENTLET_STATE_H
#define AK_AGENTLET_STATE_H

#include "agentlet/settings.h"

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>

enum ak_phase { AK_PHASE_SETUP, AK_PHASE_READY, AK_PHASE_STOPPING, AK_PHASE_FAILED, AK_PHASE_MAX };

enum ak_setup {
    AK_SETUP_NONE,
    AK_SETUP_RUNNING,
    AK_SETUP_SUCCEEDED,
    AK_SETUP_FAILED,
    AK_SETUP_TIMED_OUT,
    AK_SETUP_STOPPED,
    AK_SETUP_MAX
};

const char *ak_phase_to_string(enum ak_phase phase); /* "Ready" */

struct ak_state {
    const struct ak_settings *settings;
    enum ak_phase phase;
    enum ak_setup setup;
    int setup_exit_code; /* -1: not known */
    ak_msec setup_took;  /* -1: not known */
    ak_msec started_wall;
    ak_msec ready_wall; /* 0: not yet */
    ak_msec started_at; /* monotonic, for the uptime */
};

void ak_state_init(struct ak_state *self, const struct ak_settings *settings);
/* `now` monotonic adds the uptime; a negative one leaves it out. */
AK_MUST_USE int ak_state_write(const struct ak_state *self, ak_msec now, struct ak_buf *out);
/* Replaces state.json in the state folder. */
AK_MUST_USE int ak_state_save(const struct ak_state *self, struct ak_error **reterr);

#endif
