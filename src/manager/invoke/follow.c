/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many who follow one run: one stream from the pod, whatever their number.
 *
 * A fan is a run that is followed. It reads the events as they come and keeps the newest (RING_MAX bytes). A
 * follower who has seen all but those is served from there. Who is further behind (he came late, or reads slowly)
 * catches up with a stream of his own, which is read no faster than he takes it; CATCH_UP of them at a time. So nobody
 * waits for the slowest, and what is held for one follower is HIGH_WATER bytes and an event.
 *
 * A stream from the pod that breaks off breaks off its followers: they come again with Last-Event-ID.
 * On the loop's thread.
 */
#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/sse.h>
#include <string.h>

#include "manager/invoke/call.h"

#define SILENCE AK_SECONDS(60) /* the agentlet says something each 15 s */
#define KEEP_ALIVE AK_SECONDS(15)
#define RING_MAX (128u << 10)
#define LARGE (64u << 10) /* events that are not kept for all */
#define CATCH_UP 8
#define MAX_FANS 256
#define HIGH_WATER (16u << 10)
#define LOW_WATER (2u << 10)
#define MAX_REFUSAL (16u << 10)
#define MAX_PATH 256

struct kept {
    struct kept *next;
    int64_t id;
    bool last; /* the run is over with it */
    size_t len;
    char text[];
};

struct ak_invoke_fan {
    struct ak_invoke *invoke;
    struct ak_invoke_fan *next;
    struct ak_run_target *target;
    char *run;
    struct ak_http_stream *stream;
    struct ak_sse_parser parser;
    struct ak_timer *keep_alive, *turns;
    struct kept *oldest, **newest_link;
    struct kept *newest;
    size_t kept;
    int64_t base; /* everything after this event is kept */
    bool begun;   /* the pod answers */
    bool over;    /* no more comes: `failed`, or the last event is kept */
    bool failed;
    int catching_up;
    struct ak_invoke_follower *followers;
};

struct ak_invoke_follower {
    struct ak_invoke_call *call;
    struct ak_invoke_fan *fan;
    struct ak_invoke_follower *prev, *next;
    int64_t seen; /* number of the last event that he was given */
    bool begun, draining;
    bool wants_turn;               /* to catch up */
    struct ak_http_stream *stream; /* catches up */
    struct ak_sse_parser parser;
    int64_t goal; /* he has all until this one when it ends well */
    int status;   /* of that stream */
};

static void pump(struct ak_invoke_follower *f);

/* ---- what is kept */

static void drop_oldest(struct ak_invoke_fan *fan)
{
    struct kept *one = fan->oldest;

    fan->oldest = one->next;
    if (!fan->oldest) {
        fan->newest = NULL;
        fan->newest_link = &fan->oldest;
    }
    fan->base = one->id;
    fan->kept -= one->len;
    ak_free(one);
}

static int keep(struct ak_invoke_fan *fan, int64_t id, const char *text, size_t len, bool last)
{
    struct kept *one = ak_malloc(sizeof(*one) + len);

    if (!one)
        return -ENOMEM;
    *one = (struct kept){.id = id, .last = last, .len = len};
    memcpy(one->text, text, len);
    *fan->newest_link = fan->newest = one;
    fan->newest_link = &one->next;
    fan->kept += len;
    /* The last one stays: who has it needs nothing else. */
    while (fan->oldest != fan->newest && fan->kept > RING_MAX)
        drop_oldest(fan);
    while (len > LARGE && !last && fan->oldest)
        drop_oldest(fan);
    return 0;
}

static const struct kept *find_kept(const struct ak_invoke_fan *fan, int64_t seen)
{
    const struct kept *one = fan->newest;

    if (!one || one->id <= seen)
        return NULL;
    for (one = fan->oldest; one && one->id <= seen; one = one->next) {}
    return one;
}

/* ---- followers */

static void leave(struct ak_invoke_follower *f)
{
    struct ak_invoke_fan *fan = f->fan;

    *(f->prev ? &f->prev->next : &fan->followers) = f->next;
    if (f->next)
        f->next->prev = f->prev;
    f->call->follower = NULL;
    if (f->stream)
        ak_http_stream_stop(f->stream);
    ak_sse_parser_done(&f->parser);
    ak_timer_set(fan->turns, 0);
    if (!fan->followers) /* it goes when nobody came until then */
        ak_timer_set(fan->invoke->reaper, 0);
    ak_free(f);
}

/* He has everything. */
static void complete(struct ak_invoke_follower *f)
{
    struct ak_invoke_call *call = f->call;

    leave(f);
    ak_http_reply_end(AK_TAKE(call->ex));
    ak_invoke_end(call, 200);
}

/* He comes again, and says how far he got; who has nothing yet is told why. */
static void give_up(struct ak_invoke_follower *f, const char *why)
{
    struct ak_invoke_call *call = f->call;
    bool begun = f->begun;

    leave(f);
    if (begun) {
        ak_http_reply_abort(AK_TAKE(call->ex));
        ak_invoke_end(call, 200);
        return;
    }
    call->result = ak_invoke_error_later(&call->err, 503, AK_SECONDS(1),
                                         "the agent's pod does not answer: %s", why);
    ak_invoke_reply(call);
}

void ak_invoke_follower_stop(struct ak_invoke_follower *f)
{
    give_up(f, "this replica is stopping");
}

static void on_client_gone(void *user)
{
    struct ak_invoke_call *call = user;
    int status = call->follower->begun ? 200 : 0;

    call->ex = NULL;
    call->client_gone = true;
    leave(call->follower);
    ak_invoke_end(call, status);
}

static void begin(struct ak_invoke_follower *f)
{
    static const char *const no_store[] = {"Cache-Control: no-store", NULL};

    if (f->begun)
        return;
    f->begun = true;
    ak_http_reply_begin_with(f->call->ex, 200, AK_SSE_CONTENT_TYPE, no_store);
}

static void on_drained(void *user)
{
    struct ak_invoke_follower *f = ((struct ak_invoke_call *)user)->follower;

    f->draining = false;
    if (f->stream)
        ak_http_stream_resume(f->stream);
    else
        pump(f);
}

/* 1: he takes no more for now. Negative: he is gone, or takes nothing at all. */
static int give(struct ak_invoke_follower *f, int64_t id, const char *text, size_t len)
{
    begin(f);
    int64_t waiting = ak_http_reply_chunk(f->call->ex, text, len);
    if (waiting < 0)
        return (int)waiting;
    f->call->bytes += len;
    f->seen = AK_MAX(f->seen, id);
    if (waiting <= HIGH_WATER)
        return 0;
    f->draining = true;
    ak_http_on_drain(f->call->ex, LOW_WATER, on_drained, f->call);
    return 1;
}

/* ---- catching up */

/* Not at once when a turn is free: this may be in the middle of the list of followers. */
static void on_turn(void *user)
{
    struct ak_invoke_fan *fan = user;
    struct ak_invoke_follower *next;

    for (struct ak_invoke_follower *f = fan->followers; f && fan->catching_up < CATCH_UP;
         f = next) {
        next = f->next;
        if (f->wants_turn)
            pump(f);
    }
}

static int on_missed(const struct ak_sse_event *event, void *user)
{
    struct ak_invoke_follower *f = user;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_SSE_MAX_EVENT * 2);
    int64_t id = 0;

    if (ak_parse_i64(event->id, &id) < 0 || id <= f->seen)
        return 0;
    int r = ak_sse_write(&text, event->type, event->id, event->data, event->len);
    if (r >= 0)
        r = give(f, id, text.data, text.len);
    f->fan->over |= ak_streq(event->type, "ended"); /* the stream of all may not know it yet */
    f->call->saw_end |= ak_streq(event->type, "ended");
    if (r == 1)
        ak_http_stream_pause(f->stream);
    return r < 0 ? r : 0;
}

static int on_missed_begin(int status, ak_msec retry_after, void *user)
{
    struct ak_invoke_follower *f = user;

    (void)retry_after;
    f->status = status;
    return 0;
}

static int on_missed_data(const char *data, size_t len, void *user)
{
    struct ak_invoke_follower *f = user;

    if (f->status == 200)
        return ak_sse_parser_feed(&f->parser, data, len, on_missed, f);
    return f->call->body.len + len > MAX_REFUSAL ? AK_E_TOO_LARGE
                                                 : ak_buf_add(&f->call->body, data, len);
}

/* The pod has another answer than events: it becomes ours. */
static void pass_refusal(struct ak_invoke_follower *f)
{
    struct ak_invoke_call *call = f->call;
    int status = f->status;

    leave(f);
    call->status = status;
    ak_invoke_reply(call);
}

static void on_missed_end(int code, const struct ak_error *err, void *user)
{
    struct ak_invoke_follower *f = user;
    struct ak_invoke_fan *fan = f->fan;

    f->stream = NULL;
    fan->catching_up--;
    ak_timer_set(fan->turns, 0);
    if (!f->call->follower) /* he leaves */
        return;
    if (code < 0)
        give_up(f, err ? ak_error_message(err) : ak_code_text(code));
    else if (f->status != 200 && !f->begun)
        pass_refusal(f);
    else if (f->status != 200)
        give_up(f, "it does not know the run any more");
    else if (f->call->saw_end)
        complete(f);
    else {
        f->seen = AK_MAX(f->seen, f->goal); /* what he was not given does not exist any more */
        pump(f);
    }
}

static void catch_up(struct ak_invoke_follower *f)
{
    static const struct ak_http_stream_ops ops = {
        .begin = on_missed_begin, .data = on_missed_data, .end = on_missed_end};
    struct ak_invoke_fan *fan = f->fan;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    AK_AUTO_PTR(ak_error) err = NULL;

    f->wants_turn = fan->catching_up >= CATCH_UP;
    if (f->wants_turn)
        return;
    ak_sse_parser_done(&f->parser);
    ak_sse_parser_init(&f->parser, 0);
    f->status = 0;
    f->goal = fan->base;
    int r = ak_buf_addf(&path, "/v1/runs/%s/events?follow=false&after=%lld", fan->run,
                        (long long)AK_MAX(f->seen, 0));
    const struct ak_http_request request = {
        .method = "GET", .path = ak_buf_text(&path), .timeout = SILENCE};
    if (r >= 0)
        r = ak_http_stream_start(ak_run_target_client(fan->target), fan->invoke->options.loop,
                                 &request, &ops, f, &f->stream, &err);
    if (r < 0)
        give_up(f, err ? ak_error_message(err) : ak_code_text(r));
    else
        fan->catching_up++;
}

/* Gives a follower what there is for him. He may be gone afterwards. */
static void pump(struct ak_invoke_follower *f)
{
    struct ak_invoke_fan *fan = f->fan;

    if (f->stream || f->draining)
        return;
    if (f->seen < fan->base) {
        catch_up(f);
        return;
    }
    for (const struct kept *one; (one = find_kept(fan, f->seen)) != NULL;) {
        bool last = one->last;
        int r = give(f, one->id, one->text, one->len);
        if (r < 0) {
            give_up(f, "its reader is gone");
            return;
        }
        if (last) {
            complete(f);
            return;
        }
        if (r == 1)
            return;
    }
    if (fan->failed)
        give_up(f, "the connection broke");
}

/* ---- the stream for all */

static void pump_all(struct ak_invoke_fan *fan)
{
    struct ak_invoke_follower *next;

    for (struct ak_invoke_follower *f = fan->followers; f; f = next) {
        next = f->next;
        pump(f);
    }
}

static int on_event(const struct ak_sse_event *event, void *user)
{
    struct ak_invoke_fan *fan = user;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_SSE_MAX_EVENT * 2);
    int64_t id;

    if (ak_parse_i64(event->id, &id) < 0 || (fan->newest && id <= fan->newest->id))
        return 0;
    int r = ak_sse_write(&text, event->type, event->id, event->data, event->len);
    if (r >= 0)
        r = keep(fan, id, text.data, text.len, ak_streq(event->type, "ended"));
    if (r < 0)
        return r;
    fan->over |= ak_streq(event->type, "ended");
    pump_all(fan);
    return 0;
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct ak_invoke_fan *fan = user;
    struct ak_invoke_follower *next;

    (void)retry_after;
    if (status != 200)
        return AK_E_PROTOCOL;
    fan->begun = true;
    for (struct ak_invoke_follower *f = fan->followers; f; f = next) {
        next = f->next;
        if (f->seen >= fan->base)
            begin(f);
        pump(f);
    }
    return 0;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct ak_invoke_fan *fan = user;

    return ak_sse_parser_feed(&fan->parser, data, len, on_event, fan);
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct ak_invoke_fan *fan = user;

    (void)code;
    (void)err;
    fan->stream = NULL;
    if (fan->newest && fan->newest->last)
        return;
    fan->failed = fan->over = true;
    if (!fan->begun && fan->followers)
        ak_runs_target_failed(fan->invoke->options.runs, fan->target);
    pump_all(fan);
    /* Who was waiting for his turn has no stream that would end. */
    while (fan->followers)
        give_up(fan->followers, "the connection broke");
}

static void on_keep_alive(void *user)
{
    static const char comment[] = ": keep-alive\n\n";
    struct ak_invoke_fan *fan = user;

    for (struct ak_invoke_follower *f = fan->followers; f; f = f->next)
        if (f->begun && !f->stream && !f->draining && !ak_http_waiting(f->call->ex))
            (void)!ak_http_reply_chunk(f->call->ex, comment, sizeof(comment) - 1);
    ak_timer_set(fan->keep_alive, KEEP_ALIVE);
}

static struct ak_invoke_fan *fan_free(struct ak_invoke_fan *fan)
{
    if (!fan)
        return NULL;
    if (fan->stream)
        ak_http_stream_stop(fan->stream);
    while (fan->oldest)
        drop_oldest(fan);
    ak_sse_parser_done(&fan->parser);
    (void)ak_timer_free(fan->keep_alive);
    (void)ak_timer_free(fan->turns);
    (void)ak_run_target_unref(fan->target);
    ak_free(fan->run);
    ak_free(fan);
    return NULL;
}

void ak_invoke_reap_fans(struct ak_invoke *self)
{
    struct ak_invoke_fan **p = &self->fans;

    while (*p) {
        struct ak_invoke_fan *fan = *p;
        if (fan->followers) {
            p = &fan->next;
            continue;
        }
        *p = fan->next;
        self->n_fans--;
        (void)fan_free(fan);
    }
}

/* ---- the beginning */

static struct ak_invoke_fan *find_fan(const struct ak_invoke_call *call)
{
    const char *uid = ak_run_target_pod_uid(call->target);

    for (struct ak_invoke_fan *fan = call->invoke->fans; fan; fan = fan->next)
        if (!fan->over && ak_streq(fan->run, call->request.id) &&
            ak_streq(ak_run_target_pod_uid(fan->target), uid))
            return fan;
    return NULL;
}

/* `from`: the number of an event; what comes after it is for all. */
static int start_fan(struct ak_invoke_fan *fan, int64_t from, struct ak_error **reterr)
{
    static const struct ak_http_stream_ops ops = {
        .begin = on_begin, .data = on_data, .end = on_end};
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);

    if (ak_buf_addf(&path, "/v1/runs/%s/events?follow=true&after=%lld", fan->run, (long long)from) <
        0)
        return ak_error_oom(reterr);
    const struct ak_http_request request = {
        .method = "GET", .path = ak_buf_text(&path), .timeout = SILENCE};
    fan->base = from;
    return ak_http_stream_start(ak_run_target_client(fan->target), fan->invoke->options.loop,
                                &request, &ops, fan, &fan->stream, reterr);
}

static int make_fan(struct ak_invoke_call *call, struct ak_invoke_fan **ret)
{
    struct ak_invoke *self = call->invoke;
    struct ak_invoke_fan *fan;

    if (self->n_fans >= MAX_FANS)
        return ak_invoke_error_later(&call->err, 429, AK_SECONDS(5),
                                     "too many runs are followed through this replica");
    fan = ak_new0(struct ak_invoke_fan);
    if (!fan)
        return ak_error_oom(&call->err);
    fan->invoke = self;
    fan->newest_link = &fan->oldest;
    ak_sse_parser_init(&fan->parser, 0);
    fan->target = AK_TAKE(call->target);
    fan->run = ak_strdup(call->request.id);
    fan->keep_alive = ak_timer_new(self->options.loop, on_keep_alive, fan);
    fan->turns = ak_timer_new(self->options.loop, on_turn, fan);
    int r = fan->run && fan->keep_alive && fan->turns
                ? start_fan(fan, AK_MAX(call->last_event, 0), &call->err)
                : ak_error_oom(&call->err);
    if (r < 0) {
        (void)fan_free(fan);
        return r;
    }
    ak_timer_set(fan->keep_alive, KEEP_ALIVE);
    fan->next = self->fans;
    self->fans = fan;
    self->n_fans++;
    *ret = fan;
    return 0;
}

int ak_invoke_follow(struct ak_invoke_call *call)
{
    struct ak_invoke_fan *fan = find_fan(call);
    struct ak_invoke_follower *f = ak_new0(struct ak_invoke_follower);
    int r = f ? 0 : ak_error_oom(&call->err);

    if (r >= 0 && !fan)
        r = make_fan(call, &fan);
    if (r < 0) {
        ak_free(f);
        return r;
    }
    ak_sse_parser_init(&f->parser, 0);
    f->call = call;
    f->fan = fan;
    f->seen = AK_MAX(call->after, 0);
    f->next = fan->followers;
    if (f->next)
        f->next->prev = f;
    fan->followers = f;
    call->follower = f;
    ak_http_drop_request(call->ex);
    ak_http_on_close(call->ex, on_client_gone, call);
    if (fan->begun && f->seen >= fan->base)
        begin(f);
    pump(f);
    return 0;
}
