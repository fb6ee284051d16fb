/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/follow.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>

#include <ak/base/text.h>

#include "exo/interrupt.h"
#include "exo/proxy.h"
#include "exo/render.h"

#define IDLE AK_SECONDS(60) /* a comment comes every 15 s */
#define FIRST_PAUSE 100
#define LAST_PAUSE 5000

struct follower {
    const struct ak_follow *what;
    struct ak_loop *loop;
    struct ak_timer *pause;
    struct event *interrupt;
    struct ak_http_stream *stream;
    struct ak_sse_parser parser;
    uint64_t last;
    bool heard; /* this connection brought something */
    int tries;  /* that brought nothing */
    int result; /* of the whole, once it is over */
    bool is_over;
    json_t *record; /* with which it ended */
    struct ak_error *err;
};

static void finish(struct follower *self, int result)
{
    if (self->is_over)
        return;
    self->is_over = true;
    self->result = result;
    ak_loop_stop(self->loop);
}

static int on_event(const struct ak_sse_event *event, void *user)
{
    struct follower *self = user;
    AK_AUTO_JSON *data = NULL;
    uint64_t number = 0;

    self->heard = true;
    if (ak_parse_u64(event->id, &number) >= 0) {
        if (number <= self->last) /* a server that began before where it was asked to */
            return 0;
        self->last = number;
    }
    if (ak_json_parse(event->data, event->len, &data, NULL) < 0 || !json_is_object(data)) {
        json_decref(data);
        data = NULL;
    }
    int r = self->what->event(number, event->type, data, self->what->user, &self->err);
    if (r < 0 || !ak_streq(event->type, "ended"))
        return r;
    json_t *record = json_object_get(data, "record");
    self->record = json_incref(record ? record : data);
    if (!self->record)
        return ak_error_set(&self->err, AK_E_PROTOCOL, "the run ended without a record");
    finish(self, 0);
    return 0;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct follower *self = user;
    int r = ak_sse_parser_feed(&self->parser, data, len, on_event, self);

    if (r == AK_E_TOO_LARGE && !self->err)
        (void)ak_error_set(&self->err, r, "an event is larger than exo takes");
    return r;
}

/* What the manager says about a run whose events cannot be had: has it ended without us? */
static bool has_ended(struct follower *self)
{
    struct ak_exo *exo = self->what->exo;
    AK_AUTO_JSON *record = NULL;
    const struct ak_proxy_call call = {
        .method = "GET",
        .path = ak_proxy_runs_path(exo, self->what->agent, self->what->id, NULL),
        .timeout = AK_SECONDS(10),
    };

    if (!call.path || ak_proxy_do(exo, &call, &record, NULL) < 0 ||
        !ak_render_is_final(ak_json_text(record, "phase", NULL)))
        return false;
    self->record = AK_TAKE(record);
    return true;
}

static bool is_passing(int code, const struct ak_error *err)
{
    return code >= 0 || code == AK_E_PROTOCOL || code == -ETIMEDOUT || code == AK_E_SERVER ||
           code == AK_E_THROTTLED || ak_error_http_status(err) >= 500;
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct follower *self = user;
    ak_msec wait = FIRST_PAUSE;

    self->stream = NULL;
    if (self->is_over)
        return;
    if (self->err || (self->what->once && code >= 0)) { /* we gave up; or this was all */
        finish(self, self->err ? ak_error_code(self->err) : 0);
        return;
    }
    self->tries = self->heard ? 0 : self->tries + 1;
    /* Pods come and go: what counts is whether the run has ended, and then only its record is left. */
    if (!self->heard && (self->tries % 4 == 0 || !is_passing(code, err)) && has_ended(self)) {
        finish(self, 0);
        return;
    }
    if (!is_passing(code, err) || self->tries >= AK_FOLLOW_TRIES) {
        (void)ak_error_set(&self->err, code < 0 ? code : AK_E_PROTOCOL, "%s",
                           code < 0 ? ak_error_message(err) : "the stream ends too early");
        ak_error_set_http(self->err, ak_error_http_status(err), ak_error_reason(err), 0);
        finish(self, ak_proxy_explain(self->what->exo, ak_error_code(self->err), &self->err));
        return;
    }
    for (int i = 0; i < self->tries && wait < LAST_PAUSE; i++)
        wait *= 2;
    wait = AK_MIN(AK_MAX(wait, ak_error_retry_after_ms(err)), LAST_PAUSE);
    if (self->tries > 3) /* the token may have become too old */
        ak_proxy_forget(self->what->exo);
    ak_timer_set(self->pause, wait);
}

static void connect_again(void *user)
{
    static const struct ak_http_stream_ops ops = {.data = on_data, .end = on_end};
    struct follower *self = user;
    struct ak_exo *exo = self->what->exo;
    char last[32];

    (void)snprintf(last, sizeof(last), "%" PRIu64, self->last);
    const struct ak_proxy_call call = {
        .method = "GET",
        .path = ak_proxy_runs_path(exo, self->what->agent, self->what->id,
                                   self->what->once ? "events?follow=false" : "events?follow=true"),
        .accept = AK_SSE_CONTENT_TYPE,
        .last_event = self->last ? last : NULL,
        .timeout = IDLE,
    };
    self->heard = false;
    ak_sse_parser_done(&self->parser);
    ak_sse_parser_init(&self->parser, 0);
    int r = call.path
                ? ak_proxy_stream(exo, self->loop, &call, &ops, self, &self->stream, &self->err)
                : ak_error_oom(&self->err);
    if (r < 0)
        finish(self, r);
}

static void on_interrupt(int fd, short what, void *user)
{
    struct follower *self = user;
    int r = AK_E_CANCELLED;

    (void)fd;
    (void)what;
    if (self->what->interrupted)
        r = self->what->interrupted(self->what->user, &self->err);
    else
        (void)ak_error_set(&self->err, r, "interrupted");
    if (r < 0)
        finish(self, r);
}

static int prepare(struct follower *self, struct ak_error **reterr)
{
    int r = ak_interrupt_start(reterr);

    if (r >= 0)
        r = ak_loop_new(&self->loop, reterr);
    if (r < 0)
        return r;
    self->pause = ak_timer_new(self->loop, connect_again, self);
    /* Once: the descriptor stays readable. */
    self->interrupt =
        event_new(ak_loop_base(self->loop), ak_interrupt_token()->fd, EV_READ, on_interrupt, self);
    if (!self->pause || !self->interrupt || event_add(self->interrupt, NULL) < 0)
        return ak_error_oom(reterr);
    return 0;
}

static void done(struct follower *self)
{
    self->is_over = true;
    if (self->stream)
        ak_http_stream_stop(self->stream);
    if (self->interrupt)
        event_free(self->interrupt);
    (void)ak_timer_free(self->pause);
    ak_sse_parser_done(&self->parser);
    (void)ak_loop_free(self->loop);
    json_decref(self->record);
    (void)ak_error_free(self->err);
}

int ak_follow(const struct ak_follow *what, json_t **ret_record, struct ak_error **reterr)
{
    struct follower self = {.what = what, .last = what->after};
    int r;

    ak_sse_parser_init(&self.parser, 0);
    r = prepare(&self, reterr);
    if (r >= 0) {
        connect_again(&self);
        r = self.is_over ? 0 : ak_loop_run(self.loop, reterr);
    }
    if (r >= 0)
        r = self.result;
    if (r >= 0)
        *ret_record = AK_TAKE(self.record);
    else if (reterr && !*reterr)
        *reterr = AK_TAKE(self.err);
    done(&self);
    return r;
}
