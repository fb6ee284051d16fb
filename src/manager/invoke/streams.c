/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that come from elsewhere, byte for byte and no faster than the client takes them. On the loop's thread. */
#include <ak/base/text.h>
#include <string.h>

#include "manager/invoke/call.h"

#define HEAD_TIMEOUT AK_SECONDS(30)
#define EVENTS_SILENCE AK_SECONDS(60) /* the agentlet says something each 15 s */
#define LOGS_SILENCE AK_HOURS(6)      /* a log has nothing to say while the run has not */
#define OBJECTS_SILENCE AK_SECONDS(30)
#define MAX_RELAYS_TO_POD 32
#define HIGH_WATER (64u << 10)
#define LOW_WATER (16u << 10)

/* Whom we speak for is nobody's business in a pod. */
static const char *const kept_back[] = {
    "authorization",
    "x-agentkube-authorization",
    "proxy-authorization",
    "cookie",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-remote-user",
    "x-remote-group",
    "impersonate-user",
    "impersonate-group",
    "last-event-id",
    "accept-encoding",
    NULL,
};

/* ---- events and logs: to the keeper */

static void on_failed(struct ak_http_exchange *ex, int code, const struct ak_error *err, void *user)
{
    struct ak_invoke_call *call = user;

    ak_runs_target_failed(call->invoke->options.runs, call->target);
    call->result =
        ak_invoke_error_later(&call->err, 503, AK_SECONDS(1), "the agent's pod does not answer: %s",
                              err ? ak_error_message(err) : ak_code_text(code));
    call->status = ak_invoke_status_body(call, &call->body);
    ak_http_reply_text(ex, call->status, "application/json", ak_buf_text(&call->body),
                       call->body.len, ak_invoke_headers(call, call->status));
}

static void on_end(int status, uint64_t bytes, int code, void *user)
{
    struct ak_invoke_call *call = user;

    (void)code;
    call->relay = NULL;
    call->bytes = bytes;
    ak_invoke_end(call, status ? status : call->status);
}

static size_t streams_of(const struct ak_invoke *self, const char *user)
{
    size_t n = 0;

    for (const struct ak_invoke_call *call = self->calls; call; call = call->next)
        n += call->counts_as_stream && ak_streq(call->who->name, user);
    return n;
}

/* Connections to one pod: its keeper has some for everybody. Followers share theirs (follow.c). */
static size_t relays_to(const struct ak_invoke *self, const char *pod_uid)
{
    size_t n = 0;

    for (const struct ak_invoke_call *call = self->calls; call; call = call->next)
        n += call->relay && call->target && ak_streq(ak_run_target_pod_uid(call->target), pod_uid);
    return n;
}

static int count_stream(struct ak_invoke_call *call)
{
    struct ak_invoke *self = call->invoke;

    if (self->n_streams >= AK_INVOKE_MAX_STREAMS ||
        streams_of(self, call->who->name) >= AK_INVOKE_MAX_STREAMS_OF_USER)
        return ak_invoke_error_later(&call->err, 429, AK_SECONDS(5),
                                     "too many streams are followed through this replica");
    bool alone = call->request.route->verb != AK_INVOKE_FOLLOW_EVENTS || !call->follows;
    if (alone && relays_to(self, ak_run_target_pod_uid(call->target)) >= MAX_RELAYS_TO_POD)
        return ak_invoke_error_later(&call->err, 429, AK_SECONDS(5),
                                     "too many read from this agent's pod");
    call->counts_as_stream = true;
    self->n_streams++;
    return 0;
}

void ak_invoke_stream(struct ak_invoke_call *call)
{
    static const char *const no_store[] = {"Cache-Control: no-store", NULL};
    bool events = call->request.route->verb == AK_INVOKE_FOLLOW_EVENTS;
    const struct ak_http_relay_options options = {
        .path = call->upstream_path,
        .remove = kept_back,
        .add_reply = no_store,
        .head_timeout = HEAD_TIMEOUT,
        .idle_timeout = events ? EVENTS_SILENCE : LOGS_SILENCE,
        .failed = on_failed,
        .end = on_end,
    };

    call->is_stream = true;
    call->result = count_stream(call);
    if (call->result >= 0 && events && call->follows) {
        call->result = ak_invoke_follow(call);
        if (call->result < 0)
            ak_invoke_reply(call);
        return;
    }
    if (call->result >= 0)
        call->result = ak_http_relay_start(call->ex, ak_run_target_client(call->target),
                                           call->invoke->options.loop, &options, call, &call->relay,
                                           &call->err);
    if (call->result < 0)
        ak_invoke_reply(call);
    else
        call->ex = NULL; /* the relay's */
}

/* ---- objects: from the API server */

static void on_client_gone(void *user)
{
    struct ak_invoke_call *call = user;

    call->ex = NULL;
    call->client_gone = true;
    ak_http_stream_stop(call->objects);
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct ak_invoke_call *call = user;

    (void)retry_after;
    call->status = status;
    ak_http_reply_begin_with(call->ex, status, "application/json", ak_invoke_headers(call, status));
    return 0;
}

static void on_drained(void *user)
{
    struct ak_invoke_call *call = user;

    ak_http_stream_resume(call->objects);
}

static int on_data(const char *data, size_t len, void *user)
{
    struct ak_invoke_call *call = user;
    int64_t waiting = ak_http_reply_chunk(call->ex, data, len);

    if (waiting < 0)
        return (int)waiting;
    call->bytes += len;
    if (waiting > HIGH_WATER) {
        ak_http_stream_pause(call->objects);
        ak_http_on_drain(call->ex, LOW_WATER, on_drained, call);
    }
    return 0;
}

static void on_objects_end(int code, const struct ak_error *err, void *user)
{
    struct ak_invoke_call *call = user;

    call->objects = NULL;
    if (!call->status && code < 0) {
        call->result = ak_error_set(&call->err, code, "%s", ak_error_message(err));
        ak_error_set_http(call->err, ak_error_http_status(err), ak_error_reason(err),
                          ak_error_retry_after_ms(err));
        call->result = ak_invoke_error_of_server(&call->err, call->result);
        ak_invoke_reply(call);
        return;
    }
    if (call->ex && code < 0)
        ak_http_reply_abort(call->ex);
    else if (call->ex)
        ak_http_reply_end(call->ex);
    ak_invoke_end(call, call->status);
}

void ak_invoke_pass_objects(struct ak_invoke_call *call)
{
    static const struct ak_http_stream_ops ops = {
        .begin = on_begin, .data = on_data, .end = on_objects_end};
    struct ak_invoke *self = call->invoke;

    ak_http_on_close(call->ex, on_client_gone, call);
    call->result = ak_client_stream(self->options.client, self->options.loop, call->upstream_path,
                                    NULL, OBJECTS_SILENCE, &ops, call, &call->objects, &call->err);
    if (call->result < 0) {
        call->result = ak_invoke_error_of_server(&call->err, call->result);
        ak_invoke_reply(call);
    }
}
