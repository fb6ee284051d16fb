/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies a command's output to the container's log, line by line with a prefix, and keeps its end
 * for the termination message. Lines of any length pass (10 MB ones happen): what is over the
 * limits is read and dropped, and the log says so. A log that nobody reads stops the copying, not
 * the agentlet. Thread: one.
 */
#ifndef AK_AGENTLET_RELAY_H
#define AK_AGENTLET_RELAY_H

#include "agentlet/poller.h"

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_RELAY_MAX_LINE (16u << 10)
#define AK_RELAY_MAX_TOTAL (4u << 20)
#define AK_RELAY_TAIL 2048u

struct ak_relay {
    struct ak_poller *poller;
    int in;                /* -1: ended */
    int out;               /* borrowed */
    const char *prefix;    /* NULL: nothing is copied, only the tail is kept */
    struct ak_buf pending; /* for `out` */
    struct ak_buf tail;    /* the last AK_RELAY_TAIL bytes, or up to twice of it */
    size_t line_len;
    uint64_t total;
    bool in_line;
    bool line_cut;
    bool all_cut;
};

/* Takes `in`, which must not block. */
AK_MUST_USE int ak_relay_init(struct ak_relay *self, struct ak_poller *poller, int in, int out,
                              const char *prefix);
/* Reads and writes what can be without waiting, then stops: for the end of a command. */
void ak_relay_drain(struct ak_relay *self);
void ak_relay_done(struct ak_relay *self);
/* The end of the output so far. Borrowed. */
const char *ak_relay_tail(struct ak_relay *self);

#endif
