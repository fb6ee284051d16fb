/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of one run, as a file that only grows: one line an event,
 *
 *     {"id":7,"event":"text","data":{"time":"2026-01-05T10:00:00.000000Z","text":"hello"}}
 *
 * A reader of it is an offset into the file and nothing else in memory; the writer keeps the offset
 * of each AK_EVENTS_STRIDEth event, so that a reader that comes back finds its place at once. After
 * AK_EVENTS_MAX events or AK_EVENTS_MAX_BYTES the rest is counted, not kept. Thread: one.
 */
#ifndef AK_AGENTLET_RUNS_EVENTS_H
#define AK_AGENTLET_RUNS_EVENTS_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_EVENTS_FILE "events.jsonl"
#define AK_EVENTS_MAX 100000u
#define AK_EVENTS_MAX_BYTES (64u << 20)
#define AK_EVENTS_STRIDE 128u
#define AK_EVENTS_MAX_TEXT                                                                         \
    (64u << 10) /* of one event; longer text is cut into several, or cut off */
#define AK_EVENTS_MAX_LINE (512u << 10) /* an event of that much text, each byte escaped */

struct ak_events {
    int fd;           /* -1: none */
    uint64_t last;    /* number of the last event that was kept; they begin with 1 */
    uint64_t dropped; /* events that were only counted */
    uint64_t bytes;
    uint64_t *index; /* offset of event 1, 1 + stride, ... */
    size_t n_index;
    bool full;   /* a limit was reached */
    bool failed; /* the disk did not take one: truncated too, but the next may fit */
};

/* An empty file in that folder. -errno, -ENOMEM. */
AK_MUST_USE int ak_events_create(struct ak_events *self, int dir);
/* One that is there, to write on: an unfinished line at its end is cut off. Whatever it holds. */
AK_MUST_USE int ak_events_resume(struct ak_events *self, int dir);
void ak_events_done(struct ak_events *self);
AK_DEFINE_AUTO(ak_events, ak_events_done)
/*
 * Adds an event; data is an object without "time", or NULL. `closing` ones are kept beyond the limits: there
 * are few of them. 0; 1: it was only counted; -errno: the disk did not take it; -ENOMEM.
 */
AK_MUST_USE int ak_events_add(struct ak_events *self, const char *type, const json_t *data,
                              bool closing);
bool ak_events_is_truncated(const struct ak_events *self);
/* The offset to read from for what follows event `after`. */
uint64_t ak_events_offset(const struct ak_events *self, uint64_t after);

/*
 * What a line begins with, for readers. The file is the agent's to damage, so nothing is taken on
 * trust. Returns the length of the head, up to the data's opening brace; 0: more bytes are needed; -EINVAL:
 * not an event.
 */
#define AK_EVENTS_MAX_HEAD 96
struct ak_event_head {
    uint64_t id;
    const char *type; /* within the text */
    size_t type_len;
};
AK_MUST_USE int ak_event_parse_head(const char *text, size_t len, struct ak_event_head *ret);

#endif
