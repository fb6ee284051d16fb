/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Books for tests. A "leader" is a book; a change of leader is a new book made from what the old
 * one had written, so every point at which a process can die is a place to call next_leader().
 */
#ifndef AK_TESTS_RUNS_FIXTURE_H
#define AK_TESTS_RUNS_FIXTURE_H

#include "manager/runs/book.h"

#define POD "pod-1"
#define POD2 "pod-2"
#define WALL ((ak_msec)1795000000000)

extern ak_msec now; /* monotonic */

struct ak_book_rules rules(void);
struct ak_book begin(void);
/* An invocation that somebody waits for. */
struct ak_run *ask(struct ak_book *b, const char *id);
/* What the agentlet of that pod says. */
int hear(struct ak_book *b, const char *pod, const char *text);
int hear_phase(struct ak_book *b, const char *pod, const char *id, const char *phase);
/* In a pod and running there. */
struct ak_run *running(struct ak_book *b, const char *id);
json_t *written(const struct ak_book *b);
/* What a new leader makes of what was written last. */
struct ak_book read_back(const json_t *tree, struct ak_book_rules r);
struct ak_book next_leader(const struct ak_book *b);
void expect(const struct ak_book *b, const char *id, enum ak_run_phase phase, const char *reason);
/* One firing; the run's name goes to `id`. */
int fire(struct ak_book *b, ak_msec at, bool late, char id[static AK_RUN_ID_SIZE]);

#endif
