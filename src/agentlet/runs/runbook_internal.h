/* SPDX-License-Identifier: Apache-2.0 */
/* The runbook itself (runbook.c) and how it is read back after a restart (runbook_load.c). */
#ifndef AK_AGENTLET_RUNS_RUNBOOK_INTERNAL_H
#define AK_AGENTLET_RUNS_RUNBOOK_INTERNAL_H

#include "agentlet/runs/runbook.h"

#define AK__RUNBOOK_FOLDER ".agentkube"

struct ak_runbook {
    const struct ak_settings *settings;
    struct ak_family *family;
    struct ak_poller *poller;
    struct ak_console console;
    int dir;                       /* .agentkube/runs; -1: none */
    struct ak_run_entry **entries; /* by sequence */
    size_t n, cap;
    struct ak_run_entry *current; /* of `run` */
    struct ak_run *run;
    int run_dir;
    uint64_t next_sequence, changes;
    ak_msec last_activity; /* wall */
    ak_msec save_at;       /* a final record could not be written: again then */
    bool is_open, is_stopping;
    ak_runbook_fn fn;
    void *user;
};

/* WORKSPACE/.agentkube/runs, made if need be. A descriptor, or -errno. */
AK_MUST_USE int ak__runbook_open_folder(const struct ak_settings *settings);
/* Takes the record, also on failure. NULL on no memory. */
AK_MUST_USE struct ak_run_entry *ak__run_entry_new(const char *id, json_t *record,
                                                   const struct ak_record_private *private);
/* Keeps the order; takes the entry, also on failure. */
AK_MUST_USE int ak__runbook_insert(struct ak_runbook *self, struct ak_run_entry *entry);
/* Ends a run that is not going on. */
void ak__runbook_end(struct ak_runbook *self, struct ak_run_entry *entry, enum ak_run_phase phase,
                     const char *reason, const char *message);
void ak__runbook_retain(struct ak_runbook *self);
/* Opens the folder and takes in what is there. */
AK_MUST_USE int ak__runbook_load(struct ak_runbook *self, struct ak_error **reterr);

#endif
