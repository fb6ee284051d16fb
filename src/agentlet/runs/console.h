/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runs' readable lines on the container's log, each as "run ID: text". A line is cut after
 * AK_CONSOLE_MAX_LINE, a run after AK_CONSOLE_MAX_RUN. A log that nobody reads never holds a run up: beyond
 * AK_CONSOLE_PENDING lines are left out, and the log says how many. Thread: one.
 */
#ifndef AK_AGENTLET_RUNS_CONSOLE_H
#define AK_AGENTLET_RUNS_CONSOLE_H

#include "agentlet/poller.h"

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_CONSOLE_MAX_LINE (16u << 10)
#define AK_CONSOLE_MAX_RUN (4u << 20)
#define AK_CONSOLE_PENDING (256u << 10)

struct ak_console {
    struct ak_poller *poller;
    int fd; /* -1: none */
    struct ak_buf pending;
    uint64_t left_out; /* lines since the last one that was written */
    char prefix[96];
    size_t line_len;
    uint64_t total; /* of this run */
    bool in_line, line_cut, line_out, all_cut;
};

/* Duplicates `fd`. -errno. */
AK_MUST_USE int ak_console_init(struct ak_console *self, struct ak_poller *poller, int fd);
/* Gives what is pending a moment (2 s) to be taken. */
void ak_console_done(struct ak_console *self);
void ak_console_begin(struct ak_console *self, const char *run_id);
/* Text of any number of lines; the last one may go on in the next call. */
void ak_console_text(struct ak_console *self, const char *text, size_t len);
/* Writes what the log takes now; the rest when it can. */
void ak_console_flush(struct ak_console *self);

#endif
