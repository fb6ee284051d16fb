/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that reads a file of a run while it may still grow: events as server-sent events, the log and the
 * transcript as they are. It is an offset and a connection; what is sent is read from the file when the
 * client has room for it, so a slow one holds nobody up and a thousand of them are small. Thread: loop.
 */
#ifndef AK_AGENTLET_RUNS_FOLLOWER_H
#define AK_AGENTLET_RUNS_FOLLOWER_H

#include "agentlet/runs/events.h"
#include "agentlet/runs/runbook.h"

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/net/http_server.h>
#include <stdbool.h>
#include <stdint.h>

/* Turns lines of the file of events into server-sent events, in blocks of any size. Pure. */
struct ak_event_stream {
    uint64_t after; /* events up to this number are left out */
    enum { AK_STREAM_HEAD, AK_STREAM_DATA, AK_STREAM_SKIP } state;
};
/*
 * Adds what the block gives and returns how many of its bytes were used: fewer than all when the rest can
 * only be understood with what follows it. -ENOMEM; AK_E_TOO_LARGE of `out`, which must have room
 * for the block and 128 bytes for each line in it.
 */
AK_MUST_USE int64_t ak_event_stream_feed(struct ak_event_stream *self, const char *block,
                                         size_t len, struct ak_buf *out);

struct ak_follower;
struct ak_followers {
    struct ak_follower *first;
    size_t n;
    struct ak_runbook *runbook;
};

struct ak_follow_options {
    enum ak_run_file which;
    bool follow;    /* until the run has ended; otherwise what there is now */
    uint64_t after; /* events */
    int64_t tail;   /* log: only so many last lines; -1: all */
};
/* Begins the answer, or gives an error before it has begun. */
AK_MUST_USE int ak_followers_add(struct ak_followers *self, struct ak_http_exchange *ex,
                                 struct ak_run_entry *entry,
                                 const struct ak_follow_options *options, struct ak_error **reterr);
/* There is more to read of that run, or it has ended. */
void ak_followers_wake(struct ak_followers *self, const struct ak_run_entry *entry);
/* Comments to those that have got nothing for a while, so that nobody in between gives up. */
void ak_followers_keep_alive(struct ak_followers *self, ak_msec now);

#endif
