/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/engines/http/fetch.h"

#include <event2/event.h>
#include <string.h>
#include <strings.h>

#include <ak/base/text.h>

struct fetching {
    struct ak_loop *loop;
    struct ak_http_stream *stream; /* NULL: it has ended */
    struct ak_fetch_reply *reply;
    bool is_late, is_cancelled;
    int code;
    struct ak_error *err;
};

void ak_fetch_reply_done(struct ak_fetch_reply *self)
{
    ak_buf_done(&self->head);
    ak_buf_done(&self->body);
}

const char *ak_fetch_header(const struct ak_fetch_reply *self, const char *name)
{
    size_t len = strlen(name);
    const char *end = self->head.len ? self->head.data + self->head.len : self->head.data;

    for (const char *line = self->head.data; line && line < end; line += strlen(line) + 1)
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 2;
    return NULL;
}

static int on_header(const char *name, const char *value, void *user)
{
    struct fetching *self = user;
    struct ak_buf *head = &self->reply->head;
    int r = ak_buf_addf(head, "%s: %s", name, value);

    return r < 0 ? r : ak_buf_add(head, "", 1);
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct fetching *self = user;

    (void)retry_after;
    self->reply->status = status;
    return 0;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct fetching *self = user;
    struct ak_buf *body = &self->reply->body;
    size_t room = body->max - body->len;
    int r = ak_buf_add(body, data, AK_MIN(len, room));

    if (r < 0)
        return r;
    self->reply->is_cut = len > room;
    return len > room ? AK_E_TOO_LARGE : 0;
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct fetching *self = user;

    self->stream = NULL;
    if (self->is_late)
        self->code = ak_error_set(&self->err, -ETIMEDOUT, "no complete answer in time");
    else if (self->is_cancelled)
        self->code = ak_error_set(&self->err, AK_E_CANCELLED, "the request was cancelled");
    else if (code < 0 && !self->reply->is_cut)
        self->code =
            ak_error_set(&self->err, code, "%s", err ? ak_error_message(err) : ak_code_text(code));
    ak_loop_stop(self->loop);
}

static void on_late(void *user)
{
    struct fetching *self = user;

    self->is_late = true;
    if (self->stream)
        ak_http_stream_stop(self->stream);
}

static void on_cancelled(evutil_socket_t fd, short what, void *user)
{
    struct fetching *self = user;

    (void)fd;
    (void)what;
    self->is_cancelled = true;
    if (self->stream)
        ak_http_stream_stop(self->stream);
}

static int start(struct fetching *self, struct ak_http_client *client,
                 const struct ak_http_request *req, ak_msec left, struct ak_error **reterr)
{
    static const struct ak_http_stream_ops ops = {on_begin, on_data, on_end, on_header};
    struct ak_http_request copy = *req;

    copy.timeout = left;
    copy.cancel = NULL;
    return ak_http_stream_start(client, self->loop, &copy, &ops, self, &self->stream, reterr);
}

int ak_fetch(struct ak_http_client *client, struct ak_loop *loop, const struct ak_http_request *req,
             const struct ak_fetch_limits *limits, struct ak_fetch_reply *ret,
             struct ak_error **reterr)
{
    AK_AUTO(ak_fetch_reply)
    reply = {.head = {.max = AK_FETCH_MAX_HEAD}, .body = {.max = limits->max_body}};
    struct fetching self = {.loop = loop, .reply = &reply};
    ak_msec left = limits->deadline - ak_now();
    struct ak_timer *late = NULL;
    struct event *cancelled = NULL;
    int r = 0;

    if (limits->cancel && ak_cancel_is_set(limits->cancel))
        return ak_error_set(reterr, AK_E_CANCELLED, "the request was cancelled");
    if (left <= 0)
        return ak_error_set(reterr, -ETIMEDOUT, "no time is left for the request");
    late = ak_timer_new(loop, on_late, &self);
    if (limits->cancel)
        cancelled = event_new(ak_loop_base(loop), limits->cancel->fd, EV_READ, on_cancelled, &self);
    if (!late || (limits->cancel && (!cancelled || event_add(cancelled, NULL) < 0)))
        r = ak_error_oom(reterr);
    if (r >= 0)
        r = start(&self, client, req, left, reterr);
    if (r >= 0) {
        ak_timer_set(late, left);
        r = ak_loop_run(loop, reterr);
        if (self.stream)
            ak_http_stream_stop(self.stream);
    }
    (void)ak_timer_free(late);
    if (cancelled)
        event_free(cancelled);
    if (r >= 0 && self.code < 0) {
        r = ak_error_set(reterr, self.code, "%s", ak_error_message(self.err));
    }
    (void)ak_error_free(self.err);
    if (r < 0)
        return r;
    *ret = reply;
    reply = (struct ak_fetch_reply){0};
    return 0;
}
