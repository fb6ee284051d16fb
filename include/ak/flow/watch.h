/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List, then watch, one collection, for ever. An explicit state machine:
 *
 *   IDLE -> LISTING -> WATCHING -> (end of stream: WATCHING again from the last resourceVersion)
 *              ^           |
 *              |           +-- 410 Gone, in the answer or as an ERROR frame -> LISTING
 *              +-- BACKOFF -+-- refused, broken, throttled: jittered exponential backoff, Retry-After obeyed
 *
 * Lists ask for the newest state (no resourceVersion: a quorum read), never for what an apiserver happens to
 * have in its cache: a manager that starts, or takes over, on an old picture would make children a second time.
 * Lists are paged (limit 500, continue token; an expired token lists again from the start) and read
 * object by object. Watches ask for bookmarks. A stream that is silent for longer than its idle limit is
 * dropped and resumed. Runs on the loop's thread; the sink is called there.
 */
#ifndef AK_FLOW_WATCH_H
#define AK_FLOW_WATCH_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/flow/event.h>
#include <ak/kube/client.h>
#include <ak/net/loop.h>

struct ak_watch;
struct ak_watch_options {
    const struct ak_kind *kind;
    const char *namespace_;     /* NULL: all */
    const char *label_selector; /* NULL: all */
    const char *field_selector;
    const char *manager;                /* field manager for AK_KIND_OWNED_HASH */
    int page_size;                      /* 0: 500 */
    ak_msec idle_timeout;               /* 0: 5 min (bookmarks come every minute) */
    ak_msec backoff_first, backoff_max; /* 0: 800 ms, 30 s, as client-go's reflector */
    uint64_t seed;                      /* of the jitter; 0: from the clock */
};
typedef void (*ak_watch_sink_fn)(const struct ak_event *event, void *user);

AK_PUBLIC struct ak_watch *ak_watch_free(struct ak_watch *self); /* Thread: loop, or loop stopped */
AK_PUBLIC AK_MUST_USE int ak_watch_new(struct ak_loop *loop, struct ak_client *client,
                                       const struct ak_watch_options *options,
                                       ak_watch_sink_fn sink, void *user, struct ak_watch **ret,
                                       struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_watch, ak_watch_free)
/* Lists anew if it was stopped; does nothing if it runs. Thread: loop, or before it runs. */
AK_PUBLIC void ak_watch_start(struct ak_watch *self);
/* Drops what it does and lists again from the start (the sink lost something). Thread: loop. */
AK_PUBLIC void ak_watch_relist(struct ak_watch *self);
AK_PUBLIC void ak_watch_stop(struct ak_watch *self);

struct ak_watch_stats {
    uint64_t lists, pages, watches, events, bookmarks, gone, errors;
    uint64_t skipped; /* objects that could not be decoded at all */
    bool synced;
    const char *state;    /* "listing", "watching", "backoff", ... */
    char last_error[256]; /* "" if the last request was fine */
};
AK_PUBLIC void ak_watch_stats(struct ak_watch *self, struct ak_watch_stats *ret); /* Thread: any */
#endif
