/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that owns sockets and timers (libevent). Everything it calls runs on its thread and
 * must not block; other threads reach it only through ak_loop_post().
 */
#ifndef AK_NET_LOOP_H
#define AK_NET_LOOP_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stdbool.h>

struct ak_loop;
struct event_base;

AK_PUBLIC struct ak_loop *ak_loop_free(
    struct ak_loop *self); /* not while it runs; pending posts are run */
AK_PUBLIC AK_MUST_USE int ak_loop_new(struct ak_loop **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_loop, ak_loop_free)
/* Runs on the calling thread until ak_loop_stop(); a stop that came before the run ends it at once. */
AK_PUBLIC AK_MUST_USE int ak_loop_run(struct ak_loop *self, struct ak_error **reterr);
AK_PUBLIC void ak_loop_stop(struct ak_loop *self); /* Thread: any. */
/*
 * For ends, when it runs no more: does what is due, without waiting. A connection that was closed while something was
 * due on it is given back only by that.
 */
AK_PUBLIC void ak_loop_settle(struct ak_loop *self);

typedef void (*ak_loop_fn)(void *user);
#define AK_LOOP_MAX_POSTS 65536
/* Runs fn(user) on the loop's thread, exactly once, in order (what waits when the loop is freed runs
 * then, on the freeing thread). Thread: any. -ENOMEM; -ENOBUFS when AK_LOOP_MAX_POSTS wait;
 * -ESHUTDOWN while the loop is being freed. */
AK_PUBLIC AK_MUST_USE int ak_loop_post(struct ak_loop *self, ak_loop_fn fn, void *user);
AK_PUBLIC bool ak_loop_is_here(const struct ak_loop *self); /* is this the loop's thread? */

/* One-shot timers. Thread: loop (or before the loop runs). */
struct ak_timer;
AK_PUBLIC struct ak_timer *ak_timer_free(struct ak_timer *self);
AK_PUBLIC AK_MUST_USE struct ak_timer *ak_timer_new(struct ak_loop *loop, ak_loop_fn fn,
                                                    void *user);
AK_PUBLIC void ak_timer_set(struct ak_timer *self, ak_msec after); /* restarts it */
AK_PUBLIC void ak_timer_clear(struct ak_timer *self);

/* The libevent base, for code in lib/net that needs sockets on this loop. */
AK_PUBLIC struct event_base *ak_loop_base(struct ak_loop *self);

#endif
