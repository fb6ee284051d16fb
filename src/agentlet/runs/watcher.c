/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/watcher.h"

#include <ak/base/alloc.h>
#include <ak/base/buf.h>
#include <ak/json/json.h>
#include <ak/net/sse.h>

#define HIGH (128u << 10)
#define LOW 4096u
#define QUIET AK_SECONDS(15)
#define MAX_EVENT (512u << 10)
#define RECENT AK_HOURS(1)

struct ak_watcher {
    struct ak_watchers *list;
    struct ak_watcher *prev, *next;
    struct ak_http_exchange *ex;
    uint64_t seen;
    ak_msec sent_at;
    bool synced;
    bool is_waiting; /* for the client to take what it has */
};

static void unlink_watcher(struct ak_watcher *self)
{
    if (self->prev)
        self->prev->next = self->next;
    else
        self->list->first = self->next;
    if (self->next)
        self->next->prev = self->prev;
    ak_free(self);
}

static void on_close(void *user)
{
    unlink_watcher(user);
}

static int send_event(struct ak_watcher *self, const char *type, const json_t *data)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_EVENT);
    AK_AUTO(ak_buf) out = AK_BUF_INIT(MAX_EVENT + 64);
    int r = ak_json_write(data, &text, NULL);

    if (r >= 0)
        r = ak_sse_write(&out, type, NULL, ak_buf_text(&text), text.len);
    if (r >= 0)
        r = ak_http_reply_chunk(self->ex, ak_buf_text(&out), out.len) < 0 ? -EPIPE : 0;
    self->sent_at = ak_now();
    return r;
}

static int send_run(struct ak_watcher *self, struct ak_run_entry *entry)
{
    AK_AUTO_JSON *record = NULL;
    int r = ak_runbook_record(self->list->runbook, entry, AK_RECORD_LIST_PROMPT, &record, NULL);

    if (r == AK_E_NOT_FOUND)
        return 0; /* the agent has removed it */
    return r < 0 ? r : send_event(self, "run", record);
}

static bool is_old(const struct ak_run_entry *entry)
{
    return ak_run_phase_is_final(entry->phase) && entry->ended_wall < ak_wall_now() - RECENT;
}

/* 1: sent or skipped something; 0: there is no more now. */
static int send_next(struct ak_watcher *self)
{
    struct ak_run_entry *entry = ak_runbook_next_change(self->list->runbook, self->seen);
    AK_AUTO_JSON *nothing = NULL;
    int r = 0;

    if (entry) {
        self->seen = entry->changed;
        if (self->synced || !is_old(entry))
            r = send_run(self, entry);
        return r < 0 ? r : 1;
    }
    if (self->synced)
        return 0;
    self->synced = true;
    nothing = json_object();
    r = nothing ? send_event(self, "synced", nothing) : -ENOMEM;
    return r < 0 ? r : 1;
}

static void on_drain(void *user);

static void pump(struct ak_watcher *self)
{
    int r = 1;

    while (r > 0 && ak_http_waiting(self->ex) < HIGH)
        r = send_next(self);
    if (r < 0) {
        struct ak_http_exchange *ex = self->ex;

        ak_http_on_close(ex, NULL, NULL);
        unlink_watcher(self);
        ak_http_reply_abort(ex);
        return;
    }
    self->is_waiting = r > 0;
    if (self->is_waiting)
        ak_http_on_drain(self->ex, LOW, on_drain, self);
}

static void on_drain(void *user)
{
    struct ak_watcher *self = user;

    self->is_waiting = false;
    pump(self);
}

int ak_watchers_add(struct ak_watchers *self, struct ak_http_exchange *ex, struct ak_error **reterr)
{
    static const char *const extra[] = {"Cache-Control: no-store", NULL};
    struct ak_watcher *watcher = ak_new0(struct ak_watcher);

    if (!watcher)
        return ak_error_oom(reterr);
    *watcher =
        (struct ak_watcher){.list = self, .next = self->first, .ex = ex, .sent_at = ak_now()};
    if (self->first)
        self->first->prev = watcher;
    self->first = watcher;
    ak_http_reply_begin_with(ex, 200, AK_SSE_CONTENT_TYPE, extra);
    ak_http_drop_request(ex);
    ak_http_on_close(ex, on_close, watcher);
    pump(watcher);
    return 0;
}

void ak_watchers_wake(struct ak_watchers *self)
{
    struct ak_watcher *watcher = self->first;

    while (watcher) {
        struct ak_watcher *next = watcher->next;

        if (!watcher->is_waiting)
            pump(watcher);
        watcher = next;
    }
}

void ak_watchers_keep_alive(struct ak_watchers *self, ak_msec now)
{
    static const char comment[] = ": keep-alive\n\n";

    for (struct ak_watcher *w = self->first; w; w = w->next) {
        if (w->is_waiting || now - w->sent_at < QUIET)
            continue;
        w->sent_at = now;
        (void)!ak_http_reply_chunk(w->ex, comment, sizeof(comment) - 1);
    }
}
