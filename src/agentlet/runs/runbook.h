/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All runs of this workspace: those that wait (in order, bounded), the one that is going on, and as many
 * finished ones as are to be remembered. Each has a folder, WORKSPACE/.agentkube/runs/ID; in memory is only what is
 * needed to find it. The folder is the agent's to damage: what is read back is checked, and what is missing is
 * reported as missing. Thread: one.
 */
#ifndef AK_AGENTLET_RUNS_RUNBOOK_H
#define AK_AGENTLET_RUNS_RUNBOOK_H

#include "agentlet/poller.h"
#include "agentlet/runs/console.h"
#include "agentlet/runs/record.h"
#include "agentlet/runs/run.h"
#include "agentlet/settings.h"
#include "process/family.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_RUNBOOK_MAX 4096u              /* runs of all phases */
#define AK_RUNBOOK_MAX_BYTES (2ull << 30) /* of finished runs on the disk */

enum ak_run_file { AK_RUN_EVENTS, AK_RUN_LOG, AK_RUN_TRANSCRIPT, AK_RUN_FILE_MAX };

struct ak_run_entry {
    char id[AK_RUN_ID_MAX + 1];
    enum ak_run_phase phase;
    struct ak_record_private private;
    uint64_t changed;   /* number of the last change: larger is later */
    ak_msec ended_wall; /* 0: not yet */
    uint64_t bytes;     /* on the disk, once it is final */
    json_t *record;     /* NULL: final, and on the disk */
    struct {
        int fd; /* -1: closed */
        unsigned readers;
    } files[AK_RUN_FILE_MAX];
};

/* `news`: only its files have grown. Otherwise its record changed. Borrowed. */
typedef void (*ak_runbook_fn)(void *user, struct ak_run_entry *entry, bool news);

struct ak_runbook;
struct ak_runbook *ak_runbook_free(struct ak_runbook *self); /* returns NULL */
AK_DEFINE_AUTO_PTR(ak_runbook, ak_runbook_free)
/*
 * Reads what is there: a run that was going on is Interrupted now, those that waited go on waiting. Borrows all.
 */
AK_MUST_USE int ak_runbook_new(const struct ak_settings *settings, struct ak_family *family,
                               struct ak_poller *poller, struct ak_runbook **ret,
                               struct ak_error **reterr);
void ak_runbook_on_change(struct ak_runbook *self, ak_runbook_fn fn, void *user);

/*
 * A run with that id: a new one, on the disk before this returns, or the one that there is already (then
 * the body is not looked at). -EINVAL; AK_E_TOO_LARGE; AK_E_THROTTLED: as many wait as may; -EAGAIN: not
 * before ak_runbook_open(); -ENOSPC, -EIO, ...
 */
AK_MUST_USE int ak_runbook_put(struct ak_runbook *self, const char *id, const char *body,
                               size_t len, struct ak_run_entry **ret, bool *ret_created,
                               struct ak_error **reterr);
struct ak_run_entry *ak_runbook_find(struct ak_runbook *self, const char *id); /* or NULL */
/* The one that was changed first after `changed`, or NULL. */
struct ak_run_entry *ak_runbook_next_change(struct ak_runbook *self, uint64_t changed);
size_t ak_runbook_count(const struct ak_runbook *self);
struct ak_run_entry *ak_runbook_at(struct ak_runbook *self, size_t i); /* the oldest is 0 */
/* Its record as it is now, with at most `max_prompt` bytes of the prompt. AK_E_NOT_FOUND: it was lost. */
AK_MUST_USE int ak_runbook_record(struct ak_runbook *self, struct ak_run_entry *entry,
                                  size_t max_prompt, json_t **ret, struct ak_error **reterr);
/* Nothing to do for a final one. Text may be NULL. */
void ak_runbook_cancel(struct ak_runbook *self, struct ak_run_entry *entry, const char *reason,
                       const char *message);
/* A descriptor for pread(2), shared by all readers; each gives it back. */
AK_MUST_USE int ak_runbook_open_file(struct ak_runbook *self, struct ak_run_entry *entry,
                                     enum ak_run_file which, struct ak_error **reterr);
void ak_runbook_close_file(struct ak_run_entry *entry, enum ak_run_file which);
/* Where to begin to read what follows event `after`. */
uint64_t ak_runbook_event_offset(const struct ak_runbook *self, const struct ak_run_entry *entry,
                                 uint64_t after);

void ak_runbook_open(struct ak_runbook *self); /* runs are taken and started from now on */
/* No more; the one that is going on is interrupted. */
void ak_runbook_stop(struct ak_runbook *self);
void ak_runbook_tick(struct ak_runbook *self, ak_msec now); /* after each reaping */
ak_msec ak_runbook_deadline(const struct ak_runbook *self);
bool ak_runbook_is_busy(const struct ak_runbook *self);
size_t ak_runbook_queued(const struct ak_runbook *self);
ak_msec ak_runbook_last_activity(const struct ak_runbook *self); /* wall */

#endif
