/* SPDX-License-Identifier: Apache-2.0 */
/* Operations and sessions of Tools, on the loop's thread: bytes between who asked and the bastion. */
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/http_upgrade.h>

#include "manager/invoke/call.h"

#define HIGH_WATER (64u << 10)
#define LOW_WATER (16u << 10)
#define MAX_REFUSAL (64u << 10) /* bytes of an answer that is no result */
#define MAX_WEBSOCKET_HEADER 512
#define STATUS_CHANNEL 3 /* of v5.channel.k8s.io */
#define GOING_AWAY 1001  /* RFC 6455 section 7.4.1 */
#define MAX_FRAME 1024

/* ---- operations */

static void on_drained(void *user)
{
    struct ak_invoke_call *call = user;

    ak_http_stream_resume(call->operation);
}

static void on_client_gone(void *user)
{
    struct ak_invoke_call *call = user;

    call->ex = NULL;
    call->client_gone = true;
    if (call->operation)
        ak_http_stream_stop(call->operation);
    else if (call->gone.fd >= 0) /* a thread has it once more */
        ak_cancel_now(&call->gone);
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct ak_invoke_call *call = user;

    (void)retry_after;
    call->operation_status = status;
    if (status != 200)
        return 0;
    call->status = status;
    ak_http_reply_begin_with(call->ex, status, "application/json", ak_invoke_headers(call, status));
    return 0;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct ak_invoke_call *call = user;

    if (call->operation_status != 200)
        return call->body.len + len > MAX_REFUSAL ? AK_E_TOO_LARGE
                                                  : ak_buf_add(&call->body, data, len);
    int64_t waiting = ak_http_reply_chunk(call->ex, data, len);
    if (waiting < 0)
        return (int)waiting;
    call->bytes += len;
    if (waiting > HIGH_WATER) {
        ak_http_stream_pause(call->operation);
        ak_http_on_drain(call->ex, LOW_WATER, on_drained, call);
    }
    return 0;
}

/* The whole call once more, with the next bastion or with what this one asked for. */
static void begin_again(struct ak_invoke_call *call)
{
    call->is_approved = call->is_approved || ak_tools_use_is_approved(call->use);
    call->use = ak_tools_close(call->use);
    ak_buf_clear(&call->body);
    call->operation_status = 0;
    call->outcome = AK_OUTCOME_ANSWER;
    ak_invoke_put(call, AK_LANE_TOOLS, ak_invoke_act);
}

/* Nothing can have been sent to a bastion that went a moment ago: there will be another one. Once. */
static bool was_unsent(struct ak_invoke_call *call, int code, const struct ak_error *err)
{
    bool unsent = code == -EKEYREJECTED || ak_streq(ak_error_reason(err), AK_HTTP_NOT_CONNECTED);

    if (!unsent || call->again)
        return false;
    call->again = true;
    ak_tools_use_failed(call->use);
    return true;
}

/* The bastion was about to end, and did nothing. Once, too. */
static bool was_too_late(struct ak_invoke_call *call)
{
    AK_AUTO_JSON *tree = NULL;

    if (call->operation_status != 503 || call->again || !call->body.len ||
        ak_json_parse(call->body.data, call->body.len, &tree, NULL) < 0 ||
        !ak_streq(ak_json_text(tree, "reason", NULL), AK_TOOLS_ENDING))
        return false;
    call->again = true;
    ak_tools_use_ended(call->use);
    return true;
}

/* It wants an approval, which is found out with its answer only. */
static bool wants_approval(struct ak_invoke_call *call)
{
    if (call->operation_status != 428 || call->engine_asks)
        return false;
    call->engine_asks = true;
    return true;
}

/* There is no answer, or not a whole one. */
static void fail(struct ak_invoke_call *call, int code, const struct ak_error *err)
{
    if (was_unsent(call, code, err)) {
        begin_again(call);
        return;
    }
    if (code != AK_E_CANCELLED && code != -ETIMEDOUT)
        ak_tools_use_failed(call->use);
    ak_buf_clear(&call->body);
    call->result =
        code == -ETIMEDOUT
            ? ak_invoke_error(&call->err, 504, "the bastion did not answer in time")
            : ak_invoke_error_later(&call->err, 503, AK_SECONDS(1),
                                    "the bastion did not answer (%s): whether the operation was "
                                    "done is not known",
                                    err ? ak_error_message(err) : ak_code_text(code));
    ak_invoke_reply(call);
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct ak_invoke_call *call = user;

    call->operation = NULL;
    if (call->operation_status == 200) {
        if (call->ex && code < 0)
            ak_http_reply_abort(AK_TAKE(call->ex));
        else if (call->ex)
            ak_http_reply_end(AK_TAKE(call->ex));
        ak_invoke_end(call, call->status);
        return;
    }
    if (!call->ex) {
        ak_invoke_end(call, 0);
    } else if (code < 0) {
        fail(call, code, err);
    } else if (wants_approval(call) || was_too_late(call)) {
        begin_again(call);
    } else {
        call->status = call->operation_status; /* the bastion's own words */
        ak_invoke_reply(call);
    }
}

void ak_invoke_send_operation(struct ak_invoke_call *call)
{
    static const struct ak_http_stream_ops ops = {
        .begin = on_begin, .data = on_data, .end = on_end};
    size_t len = call->operation_body.len;
    char *body = ak_buf_take(&call->operation_body);
    const struct ak_http_request req = {.method = "POST",
                                        .path = AK_TOOLS_OPERATIONS_PATH,
                                        .content_type = "application/json",
                                        .accept = "application/json",
                                        .body = body,
                                        .body_len = len,
                                        .take_body = true,
                                        .timeout = ak_tools_use_timeout(call->use)};

    ak_buf_clear(&call->body);
    call->result = body ? 0 : ak_error_oom(&call->err);
    if (call->result >= 0) {
        ak_http_on_close(call->ex, on_client_gone, call);
        call->result = ak_http_stream_start(ak_run_target_client(ak_tools_use_target(call->use)),
                                            call->invoke->options.loop, &req, &ops, call,
                                            &call->operation, &call->err);
    }
    if (call->result < 0) {
        ak_free(body);
        ak_invoke_reply(call);
    }
}

/* ---- sessions */

int ak_invoke_read_upgrade(struct ak_invoke_call *call)
{
    static const char *const names[] = {"Sec-WebSocket-Key", "Sec-WebSocket-Version",
                                        "Sec-WebSocket-Protocol"};
    size_t n = 0;

    if (!ak_http_wants_upgrade(call->ex, "websocket"))
        return ak_invoke_error(&call->err, 426, "this path is for WebSocket: ask for an upgrade");
    call->upgrade_lines[n++] = "Upgrade: websocket";
    call->upgrade_lines[n++] = "Connection: Upgrade";
    for (size_t i = 0; i < AK_ARRAY_LEN(names); i++) {
        const char *value = ak_http_header(call->ex, names[i]);
        if (!value)
            continue;
        if (strlen(value) > MAX_WEBSOCKET_HEADER)
            return ak_invoke_error(&call->err, 400, "%s: too long", names[i]);
        call->upgrade_lines[n] = ak_arena_printf(&call->arena, "%s: %s", names[i], value);
        if (!call->upgrade_lines[n++])
            return ak_error_oom(&call->err);
    }
    return 0;
}

static void on_upgrade_end(uint64_t from_client, uint64_t to_client, int code, void *user)
{
    struct ak_invoke_call *call = user;

    call->upgrade = NULL;
    call->tunnel = NULL;
    call->bytes = from_client + to_client;
    call->use = ak_tools_close(call->use);
    (void)code; /* the bastion tells the session's end in the audit log */
    ak_invoke_end(call, 101);
}

static int count_session(struct ak_invoke_call *call)
{
    struct ak_invoke *self = call->invoke;

    if (self->n_streams >= AK_INVOKE_MAX_STREAMS)
        return ak_invoke_error_later(&call->err, 429, AK_SECONDS(5),
                                     "too many streams go through this replica");
    call->counts_as_stream = call->is_stream = true;
    self->n_streams++;
    return 0;
}

void ak_invoke_upgrade(struct ak_invoke_call *call)
{
    static const char *const reply[] = {"Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", NULL};
    const struct ak_http_upgrade_relay_options options = {
        .protocol = "websocket", .reply = reply, .frames = true, .end = on_upgrade_end};

    call->result = count_session(call);
    if (call->result >= 0)
        call->result =
            ak_http_upgrade_relay_start(call->ex, call->tunnel, call->invoke->options.loop,
                                        &options, call, &call->upgrade, &call->err);
    if (call->result == -EPIPE) /* the client went meanwhile, and its exchange with it */
        call->ex = NULL;
    if (call->result < 0) {
        ak_invoke_reply(call);
        return;
    }
    call->ex = NULL;
    call->status = 101;
}

/* One unfragmented frame of a server (RFC 6455 section 5.2). */
static int add_frame(struct ak_buf *out, unsigned char opcode, const void *data, size_t len)
{
    unsigned char head[4] = {(unsigned char)(0x80 | opcode), (unsigned char)len};
    size_t n = 2;

    if (len > 125) {
        head[1] = 126;
        head[n++] = (unsigned char)(len >> 8);
        head[n++] = (unsigned char)len;
    }
    int r = ak_buf_add(out, head, n);
    return r < 0 ? r : ak_buf_add(out, data, len);
}

void ak_invoke_end_upgrade(struct ak_invoke_call *call, const char *why)
{
    AK_AUTO(ak_buf) frames = AK_BUF_INIT(MAX_FRAME);
    AK_AUTO(ak_buf) status = AK_BUF_INIT(MAX_FRAME / 2);
    const unsigned char code[] = {GOING_AWAY >> 8, GOING_AWAY & 0xff};
    int r = ak_buf_addf(&status,
                        "%c{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","
                        "\"reason\":\"ServiceUnavailable\",\"message\":\"%s\",\"code\":503}",
                        STATUS_CHANNEL, why);

    if (r >= 0)
        r = add_frame(&frames, 0x2, status.data, status.len);
    if (r >= 0)
        r = add_frame(&frames, 0x8, code, sizeof(code));
    ak_http_upgrade_relay_stop(call->upgrade, r < 0 ? NULL : frames.data, frames.len);
}
