/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decisions of a watch, without any I/O: what to ask next, what an answer means, how long to wait.
 * The driver (watch.c) carries them out; tests feed it tables. See ak/flow/watch.h for the picture.
 *
 *   ak_watch_core_request()   the path of the request for the present state
 *   ak_watch_core_page()      a list's metadata
 *   ak_watch_core_frame()     what a watch's frame is: an event, a bookmark, an error
 *   ak_watch_core_end()       the answer ended, well or not: what next
 *   ak_watch_core_waited()    the backoff is over
 */
#ifndef AK_FLOW_WATCH_CORE_H
#define AK_FLOW_WATCH_CORE_H

#include <ak/base/buf.h>
#include <ak/flow/watch.h>

#include "../queue/backoff.h"

#define AK_WATCH_MAX_TOKEN (64u << 10) /* a continue token or resourceVersion, in bytes */

enum ak_watch_state {
    AK_WATCH_IDLE,     /* not started, or stopped */
    AK_WATCH_LISTING,  /* a page is asked for, or being read */
    AK_WATCH_WATCHING, /* a watch is asked for, or running */
    AK_WATCH_BACKOFF,  /* a timer runs; then `after_backoff` */
    AK_WATCH_STATE_MAX
};
const char *ak_watch_state_to_string(enum ak_watch_state state);

struct ak_watch_core {
    const struct ak_watch_options *options;
    enum ak_watch_state state, after_backoff;
    struct ak_buf version;    /* resourceVersion to watch from */
    struct ak_buf token;      /* continue token of the page that is asked for; empty: the first */
    struct ak_buf next_token; /* of the page behind it, once its metadata was read */
    bool page_seen;           /* that metadata was read */
    bool unpaged;             /* tokens expire faster than we read: ask for everything at once */
    unsigned expired;         /* tokens that expired in a row */
    unsigned failures;        /* for the backoff; back to 0 when a watch lives */
    uint64_t frames;          /* of the running watch */
    ak_msec began;            /* the running watch */
    struct ak_backoff_random random;
};

void ak_watch_core_init(struct ak_watch_core *self, const struct ak_watch_options *options);
void ak_watch_core_done(struct ak_watch_core *self);
/* Forgets everything and lists from the start. */
void ak_watch_core_start(struct ak_watch_core *self);
/* LISTING or WATCHING: path and query of the request; WATCHING notes that it begins at `now`. */
int ak_watch_core_request(struct ak_watch_core *self, ak_msec now, struct ak_buf *ret_path);
/* Is a new list beginning (the sink is told INIT), or only its next page? */
bool ak_watch_core_is_first_page(const struct ak_watch_core *self);
/* Metadata of the page: where to go on. Negative: memory, or an absurd size. */
int ak_watch_core_page(struct ak_watch_core *self, const char *version, const char *token);

enum ak_watch_frame {
    AK_FRAME_APPLY,
    AK_FRAME_DELETE,
    AK_FRAME_BOOKMARK,
    AK_FRAME_ERROR,   /* its object is a Status */
    AK_FRAME_UNKNOWN, /* of a kind that we do not know: skipped */
};
/* `version` is the object's resourceVersion (NULL for an error). Negative: memory. */
int ak_watch_core_frame(struct ak_watch_core *self, const char *type, const char *version,
                        enum ak_watch_frame *ret);

struct ak_watch_step {
    bool list_done;  /* tell the sink INIT_DONE */
    ak_msec backoff; /* state is BACKOFF: for this long */
};
/* The answer ended: 0, or the code of its error with what Retry-After said. The state moves on. */
struct ak_watch_step ak_watch_core_end(struct ak_watch_core *self, int code, ak_msec retry_after,
                                       ak_msec now);
void ak_watch_core_waited(struct ak_watch_core *self);
#endif
