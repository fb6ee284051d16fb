/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of one run: the JSON object that everybody reads, and its file run.json. The prompt is
 * not in it (it stays in request.json), so that many records are small. A file that is read back is the
 * agent's to damage: members that are unknown or of a wrong type are dropped, and without the
 * necessary ones there is no record. Thread: any.
 */
#ifndef AK_AGENTLET_RUNS_RECORD_H
#define AK_AGENTLET_RUNS_RECORD_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agentlet/runs/request.h"

#define AK_RECORD_FILE "run.json"
#define AK_REQUEST_FILE "request.json"
#define AK_RECORD_MAX_RESULT (16u << 10)
#define AK_RECORD_MAX_MESSAGE 2048u
#define AK_RECORD_LIST_PROMPT 4096u /* bytes of a prompt in lists */
#define AK_RUN_ID_MAX 63

enum ak_run_phase {
    AK_RUN_QUEUED,
    AK_RUN_RUNNING,
    AK_RUN_SUCCEEDED,
    AK_RUN_FAILED,
    AK_RUN_CANCELLED,
    AK_RUN_TIMED_OUT,
    AK_RUN_INTERRUPTED,
    AK_RUN_PHASE_MAX
};
const char *ak_run_phase_to_string(enum ak_run_phase phase);                        /* "TimedOut" */
AK_MUST_USE int ak_run_phase_from_string(const char *text, enum ak_run_phase *ret); /* -EINVAL */
bool ak_run_phase_is_final(enum ak_run_phase phase);

/* What only the agentlet needs to know of a run after a restart. */
struct ak_record_private {
    uint64_t sequence; /* order in the queue */
    int64_t oom_kills; /* what the container had counted when the run started */
};

/* A Queued one. `agent` may be NULL or hold empty text: left out. NULL on no memory. */
AK_MUST_USE json_t *ak_record_new(const char *id, const char *mode, const char *agent_namespace,
                                  const char *agent_name, const struct ak_request *request,
                                  ak_msec queued_wall);
/* NULL, "" and negative numbers remove the member. Text is cut to what a record takes. -ENOMEM. */
AK_MUST_USE int ak_record_set_text(json_t *record, const char *name, const char *text);
AK_MUST_USE int ak_record_set_number(json_t *record, const char *name, int64_t value);
AK_MUST_USE int ak_record_set_time(json_t *record, const char *name, ak_msec wall);
/* Any bytes as a JSON string of at most `max` bytes: what is not UTF-8 is replaced. NULL on no memory. */
AK_MUST_USE json_t *ak_record_string(const char *text, size_t len, size_t max);
enum ak_run_phase ak_record_phase(const json_t *record);
ak_msec ak_record_time(const json_t *record, const char *name); /* wall; 0: none */

/* -errno, -ENOMEM. */
AK_MUST_USE int ak_record_save(int dir, const json_t *record,
                               const struct ak_record_private *private, unsigned place_flags);
/* `id` is the folder's name: it must be the record's too. -EINVAL: no record. */
AK_MUST_USE int ak_record_load(int dir, const char *id, json_t **ret,
                               struct ak_record_private *ret_private);
/* The same from text, for tests. */
AK_MUST_USE int ak_record_parse(const char *text, size_t len, const char *id, json_t **ret,
                                struct ak_record_private *ret_private);
/* Adds the prompt of request.json, at most `max` bytes of it. Without one nothing. -ENOMEM. */
AK_MUST_USE int ak_record_add_prompt(json_t *record, int dir, size_t max);

#endif
