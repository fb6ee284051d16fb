/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one run that is going on: starts what its course says, turns output into events, and makes the record
 * of how it ended. Owned and driven by the runbook. Thread: one.
 */
#ifndef AK_AGENTLET_RUNS_RUN_H
#define AK_AGENTLET_RUNS_RUN_H

#include "agentlet/poller.h"
#include "agentlet/runs/console.h"
#include "agentlet/runs/course.h"
#include "agentlet/runs/events.h"
#include "agentlet/runs/record.h"
#include "agentlet/settings.h"
#include "process/family.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stdbool.h>

#define AK_RUN_LOG_FILE "log"
#define AK_RUN_TRANSCRIPT_FILE "transcript"
#define AK_RUN_MAX_LOG (64u << 20)         /* bytes */
#define AK_RUN_MAX_TRANSCRIPT (256u << 20) /* bytes */

/* All borrowed, for the run's life. */
struct ak_run_place {
    const struct ak_settings *settings;
    struct ak_family *family;
    struct ak_poller *poller;
    struct ak_console *console;
    int dir; /* the run's folder */
    const char *id;
    json_t *record; /* Queued; the run keeps it up to date */
};

struct ak_run;
struct ak_run *ak_run_free(struct ak_run *self); /* its process must be gone; returns NULL */
AK_DEFINE_AUTO_PTR(ak_run, ak_run_free)
/*
 * Reads the request from the folder and begins. Failures of the request, of the disk and of memory are
 * this call's; that a program cannot be started is the run's.
 */
AK_MUST_USE int ak_run_start(const struct ak_run_place *place, struct ak_run **ret,
                             struct ak_error **reterr);
/* Text is copied; reason and message may be NULL. The first one counts. */
void ak_run_stop(struct ak_run *self, enum ak_stop stop, const char *reason, const char *message);
ak_msec ak_run_deadline(const struct ak_run *self);
/* After each reaping. True: it is over, and its record is final (but not on the disk). */
bool ak_run_tick(struct ak_run *self, ak_msec now);
/* Has anything been added to its files since the last call? */
bool ak_run_take_news(struct ak_run *self);

uint64_t ak_run_last_event(const struct ak_run *self);
/* Where in its file to begin to read what follows event `after`. */
uint64_t ak_run_event_offset(const struct ak_run *self, uint64_t after);

/* Says how a run ended in its record: phase, reason, message, completion. -ENOMEM. */
AK_MUST_USE int ak_run_settle(json_t *record, enum ak_run_phase phase, const char *reason,
                              const char *message);
/* Adds the last event to that file. -errno, -ENOMEM. */
AK_MUST_USE int ak_run_add_ended(struct ak_events *events, json_t *record);

#endif
