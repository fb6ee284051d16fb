/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, locks, a cancellation token. Wrappers exist so that clang's -Wthread-safety can follow
 * lock and unlock, and so that waiting is always on the monotonic clock.
 *
 * Lock order: a module that holds two locks writes the order at both. No callback, no I/O under a lock.
 */
#ifndef AK_BASE_THREAD_H
#define AK_BASE_THREAD_H

#include <ak/base/compiler.h>
#include <ak/base/time.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct AK_CAPABILITY("mutex") ak_mutex {
    pthread_mutex_t m;
};
AK_PUBLIC void ak_mutex_init(struct ak_mutex *self);
AK_PUBLIC void ak_mutex_done(struct ak_mutex *self);
AK_PUBLIC void ak_mutex_lock(struct ak_mutex *self) AK_ACQUIRES(self);
AK_PUBLIC void ak_mutex_unlock(struct ak_mutex *self) AK_RELEASES(self);

struct ak_cond {
    pthread_cond_t c;
};
AK_PUBLIC void ak_cond_init(struct ak_cond *self);
AK_PUBLIC void ak_cond_done(struct ak_cond *self);
AK_PUBLIC void ak_cond_signal(struct ak_cond *self);
AK_PUBLIC void ak_cond_broadcast(struct ak_cond *self);
/* Waits until signalled or until `deadline` (AK_MSEC_NEVER: no deadline). May wake for no reason. */
AK_PUBLIC void ak_cond_wait_until(struct ak_cond *self, struct ak_mutex *lock, ak_msec deadline)
    AK_REQUIRES(lock);

/* A thread with a name (15 characters are kept) and all signals blocked. Must be joined. */
struct ak_thread {
    pthread_t t;
    bool started;
};
typedef void (*ak_thread_fn)(void *user);
AK_PUBLIC AK_MUST_USE int ak_thread_start(struct ak_thread *self, const char *name, ak_thread_fn fn,
                                          void *user);
AK_PUBLIC void ak_thread_join(struct ak_thread *self); /* nothing to do if never started */

/*
 * Cancellation: one flag that many waits watch. `fd` becomes readable (for poll and event loops) and
 * stays so. Thread: any, but ak_cancel_done() only when no thread can still be in ak_cancel_now(): a
 * waiter sees the flag before the other thread has written to fd, so this is not a latch.
 */
struct ak_cancel {
    atomic_bool cancelled; /* relaxed: whoever needs ordering takes a lock */
    int fd;                /* eventfd, CLOEXEC, never read; -1 before init */
};
AK_PUBLIC AK_MUST_USE int ak_cancel_init(struct ak_cancel *self);
AK_PUBLIC void ak_cancel_done(struct ak_cancel *self);
AK_PUBLIC void ak_cancel_now(struct ak_cancel *self);
AK_PUBLIC bool ak_cancel_is_set(const struct ak_cancel *self);
/* Sleeps; true if cancelled meanwhile. */
AK_PUBLIC bool ak_cancel_sleep(const struct ak_cancel *self, ak_msec span);

#endif
