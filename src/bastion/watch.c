/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/watch: the state at the start and when it changes, audit records as they come, recordings that are there to
 * be taken. A proper end of the stream says that the bastion ends; a reader too slow is broken off.
 */
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/bastion.h"
#include "bastion/recordings.h"

#define HIGH_WATER (256u << 10)
#define LOW_WATER (64u << 10)
#define EVENT_MAX (1u << 20)

struct ak_watcher {
    struct ak_bastion *bastion;
    struct ak_http_exchange *ex;
    uint64_t seq; /* the last record that was sent */
    bool full;
    struct ak_watcher *next;
};

static void watcher_free(struct ak_watcher *self)
{
    struct ak_watcher **at = &self->bastion->watchers;

    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    self->bastion->n_watchers--;
    ak_free(self);
}

static void on_gone(void *user)
{
    watcher_free(user);
}

static void pump(struct ak_watcher *self);
static void on_room(void *user)
{
    struct ak_watcher *self = user;

    self->full = false;
    pump(self);
}

/* Negative: it is gone. */
static int send(struct ak_watcher *self, const char *type, const char *data)
{
    AK_AUTO(ak_buf) event = AK_BUF_INIT(EVENT_MAX);
    int64_t waiting = -ENOMEM;

    if (ak_buf_addf(&event, "event: %s\ndata: ", type) >= 0 && ak_buf_adds(&event, data) >= 0 &&
        ak_buf_adds(&event, "\n\n") >= 0)
        waiting = ak_http_reply_chunk(self->ex, event.data, event.len);
    if (waiting < 0) {
        ak_http_on_close(self->ex, NULL, NULL);
        ak_http_reply_abort(self->ex);
        watcher_free(self);
        return -EPIPE;
    }
    if (waiting > HIGH_WATER && !self->full) {
        self->full = true;
        ak_http_on_drain(self->ex, LOW_WATER, on_room, self);
    }
    return 0;
}

static void pump(struct ak_watcher *self)
{
    while (!self->full) {
        AK_AUTO(ak_buf) record = AK_BUF_INIT(EVENT_MAX / 2);
        int64_t seq = ak_audit_next(&self->bastion->audit, self->seq, &record);

        if (seq <= 0)
            return;
        self->seq = (uint64_t)seq;
        if (send(self, "audit", record.data) < 0)
            return;
    }
}

static int send_state(struct ak_watcher *self)
{
    AK_AUTO(ak_buf) state = AK_BUF_INIT(EVENT_MAX / 2);

    return ak_bastion_write_state(self->bastion, &state) < 0 ? 0 : send(self, "state", state.data);
}

static int send_recordings(struct ak_watcher *self)
{
    size_t at = 0;
    int r = 0;

    while (r >= 0) {
        AK_AUTO(ak_buf) meta = AK_BUF_INIT(16u << 10);

        if (ak_recordings_meta(self->bastion, at++, &meta) <= 0)
            break;
        r = send(self, "recording", meta.data);
    }
    return r;
}

void ak_watch_pump(struct ak_bastion *self, bool state)
{
    struct ak_watcher *next;

    for (struct ak_watcher *w = self->watchers; w; w = next) {
        next = w->next;
        if (state && send_state(w) < 0)
            continue;
        pump(w);
    }
}

void ak_watch_recording(struct ak_bastion *self, const char *meta)
{
    struct ak_watcher *next;

    for (struct ak_watcher *w = self->watchers; w; w = next) {
        next = w->next;
        (void)!send(w, "recording", meta);
    }
}

void ak_watch_end(struct ak_bastion *self)
{
    while (self->watchers) {
        struct ak_watcher *w = self->watchers;

        ak_http_on_close(w->ex, NULL, NULL);
        ak_http_reply_end(w->ex);
        watcher_free(w);
    }
}

/* after=N in the query; without it what was acknowledged. */
static uint64_t begin_of(struct ak_http_exchange *ex, struct ak_audit *audit)
{
    const char *query = ak_http_query(ex);
    uint64_t seq = ak_audit_counts(audit).acked;

    if (ak_has_prefix(query, "after="))
        (void)!ak_parse_u64(query + 6, &seq);
    return seq;
}

void ak_watch_handle(struct ak_http_exchange *ex, void *user)
{
    struct ak_bastion *self = user;
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_watcher *w = self->n_watchers < AK_WATCHERS_MAX ? ak_new0(struct ak_watcher) : NULL;

    if (!w) {
        (void)ak_error_set(&err, -EBUSY, "%d watch already", AK_WATCHERS_MAX);
        ak_bastion_refuse(ex, 0, err, NULL);
        return;
    }
    w->bastion = self;
    w->ex = ex;
    w->seq = begin_of(ex, &self->audit);
    w->next = self->watchers;
    self->watchers = w;
    self->n_watchers++;
    ak_http_reply_begin(ex, 200, "text/event-stream");
    ak_http_on_close(ex, on_gone, w);
    if (send_state(w) >= 0 && send_recordings(w) >= 0)
        pump(w);
}
