/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <ak/base/alloc.h>

#include "bastion/bastion.h"

static void on_finished(void *user)
{
    ak_workers_reap(user);
    ak_bastion_look(user);
}

static void run(void *user)
{
    struct ak_worker *self = user;
    struct ak_bastion *bastion = self->bastion;

    self->work(self->user);
    atomic_store_explicit(&self->finished, true, memory_order_release);
    /* It may be joined and freed from here on. Without memory the next look finds it. */
    (void)!ak_loop_post(bastion->loop, on_finished, bastion);
}

int ak_worker_start(struct ak_bastion *self, void (*work)(void *), void (*done)(void *), void *user,
                    struct ak_error **reterr)
{
    struct ak_worker *worker;
    int r;

    if (self->n_workers >= AK_WORKERS_MAX)
        return ak_error_set(reterr, -ENOBUFS, "%d things are under way already", AK_WORKERS_MAX);
    worker = ak_new0(struct ak_worker);
    if (!worker)
        return ak_error_oom(reterr);
    worker->bastion = self;
    worker->work = work;
    worker->done = done;
    worker->user = user;
    atomic_init(&worker->finished, false);
    r = ak_thread_start(&worker->thread, "engine", run, worker);
    if (r < 0) {
        ak_free(worker);
        return ak_error_set(reterr, r, "cannot start a thread: %s", ak_code_text(r));
    }
    worker->next = self->workers;
    self->workers = worker;
    self->n_workers++;
    return 0;
}

void ak_workers_reap(struct ak_bastion *self)
{
    struct ak_worker **at = &self->workers;

    while (*at) {
        struct ak_worker *worker = *at;

        if (!atomic_load_explicit(&worker->finished, memory_order_acquire)) {
            at = &worker->next;
            continue;
        }
        *at = worker->next;
        self->n_workers--;
        ak_thread_join(&worker->thread);
        worker->done(worker->user);
        ak_free(worker);
        at = &self->workers; /* done() may have started others */
    }
}
