/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything goes that a run says: its events, its readable log, its transcript, the container's
 * log. Each has its limit; what the disk does not take is counted, and never stops the run. Thread: one.
 */
#ifndef AK_AGENTLET_RUNS_SPEECH_H
#define AK_AGENTLET_RUNS_SPEECH_H

#include "agentlet/runs/console.h"
#include "agentlet/runs/events.h"

#include <ak/base/compiler.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ak_speech_file {
    int fd; /* -1: none */
    uint64_t bytes;
    uint64_t max;
    bool cut; /* something is missing at its end */
};

struct ak_speech {
    struct ak_events events;
    struct ak_speech_file log;
    struct ak_buf unwritten; /* of the log: many short lines are one write */
    struct ak_speech_file transcript;
    struct ak_console *console;
    bool said_limit;
    bool news; /* something was added */
};

/* Opens the files in a run's folder: events go on where they are, the others begin anew. -errno, -ENOMEM. */
AK_MUST_USE int ak_speech_init(struct ak_speech *self, int dir, struct ak_console *console);
void ak_speech_done(struct ak_speech *self);
/*
 * An event. The text of "text", "stdout" and "stderr" is cut into pieces of AK_EVENTS_MAX_TEXT, other long members
 * are cut off ("truncated": true). `closing` as of ak_events_add(). `data` may be changed; NULL is lack of
 * memory, and ignored.
 */
void ak_speech_event(struct ak_speech *self, const char *type, json_t *data, bool closing);
/* The same for plain bytes; what is not UTF-8 is replaced. `partial`: the line goes on. */
void ak_speech_text(struct ak_speech *self, const char *type, const char *text, size_t len,
                    bool partial);
/* Bytes for the transcript. */
void ak_speech_raw(struct ak_speech *self, const char *data, size_t len);
/* Writes what was gathered of the readable log. To be called when there is nothing more to say for now. */
void ak_speech_flush(struct ak_speech *self);
bool ak_speech_is_truncated(const struct ak_speech *self);

#endif
