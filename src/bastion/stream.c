/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/exec and /v1/forward: a WebSocket with channels on one side; on the other a program in container
 * `client`, whose way to the system is the session's socket, or for forward the engine itself. Nothing is
 * read faster than the other side takes it.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/arena.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/channels.h"
#include "bastion/link.h"
#include "bastion/recordings.h"
#include "bastion/session_socket.h"
#include "bastion/stream_query.h"
#include "engines/policy.h"

#define LOG "bastion"
#define FULL (256u << 10)
#define LOW (64u << 10)
#define LAST_WORDS 50 /* ms for what the engine still answers when a program has ended by itself */

struct stream {
    struct ak_bastion *bastion;
    struct ak_http_exchange *ex; /* until the upgrade */
    struct ak_session *session;
    struct ak_channels *channels;
    struct ak_recording *recording;
    struct ak_arena arena;
    bool forward;
    struct ak_stream_query query;
    struct ak_session_socket socket;
    /* What the program is. */
    bool making; /* a thread makes the command */
    struct ak_client_command command;
    int code;
    struct ak_error *err;
    /* The other side: the link to the client, or the engine. */
    struct bufferevent *local;
    struct ak_link_reader reader;
    size_t window;
    struct ak_buf held; /* input that the window has no room for */
    bool input_ended, end_sent, input_busy, over, dying;
    struct ak_timer *timer;
    ak_msec deadline;
};

static void stop(struct stream *self, const char *status);

/* --- its end --- */

static void stream_free(struct stream *self)
{
    ak_session_socket_done(&self->socket);
    if (self->session)
        ak_session_close(self->session);
    ak_link_reader_done(&self->reader);
    ak_buf_done(&self->held);
    ak_arena_done(&self->arena);
    (void)ak_error_free(self->err);
    (void)ak_timer_free(self->timer);
    ak_free(self);
}

static void on_timer(void *user)
{
    struct stream *self = user;

    if (self->dying && !self->over) { /* the engine had its last words */
        stop(self, NULL);
        return;
    }
    if (!self->over)
        return;
    if (ak_now() >= self->deadline)
        ak_session_socket_unlisten(&self->socket);
    if (ak_session_socket_is_free(&self->socket) && !self->making)
        stream_free(self);
    else if (ak_now() < self->deadline)
        ak_timer_set(self->timer, self->deadline - ak_now());
    /* else the last thread comes here again */
}

static void on_thread_done(void *user)
{
    struct stream *self = user;

    if (self->over)
        ak_timer_set(self->timer, 0);
}

/* Text of the Status object that says how it ended. */
static int write_status(struct ak_buf *out, const char *reason, const char *message, int code)
{
    int r = ak_buf_addf(
        out, "{\"metadata\":{},\"status\":\"Failure\",\"reason\":\"%s\",\"message\":", reason);

    if (r >= 0)
        r = ak_buf_add_json_string(out, message, strlen(message));
    if (r >= 0 && code >= 0)
        r = ak_buf_addf(
            out, ",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}", code);
    return r < 0 ? r : ak_buf_addf(out, ",\"code\":%d}", 500);
}

/* For who reads no Status objects. */
static void explain(struct stream *self, const char *reason)
{
    char line[640];
    int n =
        snprintf(line, sizeof(line), "%sagentkube: the session has ended: %s%s",
                 self->query.terminal ? "\r\n" : "", reason, self->query.terminal ? "\r\n" : "\n");

    if (!self->forward)
        (void)!ak_channels_send(self->channels,
                                self->query.terminal ? AK_CHANNEL_OUT : AK_CHANNEL_ERRORS, line,
                                AK_MIN((size_t)n, sizeof(line) - 1));
}

static void finish_channels(struct stream *self, const char *status)
{
    const char *reason = ak_session_end_reason(self->session);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(16u << 10);

    if (reason && self->dying) {
        explain(self, reason);
        (void)!write_status(&text, "SessionEnded", reason, -1);
        status = ak_buf_text(&text);
    }
    if (!status)
        status = "{\"metadata\":{},\"status\":\"Success\"}";
    ak_channels_finish(self->channels, status);
    self->channels = NULL;
}

static void stop(struct stream *self, const char *status)
{
    if (self->over)
        return;
    self->over = true;
    if (self->channels)
        finish_channels(self, status);
    ak_recording_finish(self->recording);
    if (self->local)
        bufferevent_free(self->local);
    self->local = NULL;
    ak_session_socket_close(&self->socket);
    self->deadline = ak_now() + (self->dying ? 0 : LAST_WORDS);
    ak_session_end(self->session, "it is over");
    ak_timer_set(self->timer, 0);
}

/* Told by the session. */
static void on_session_end(void *owner)
{
    struct stream *self = owner;

    if (self->over)
        return;
    self->dying = true;
    ak_timer_set(self->timer, self->bastion->engine->serve_fd || self->socket.listening
                                  ? AK_ENGINE_LAST_WORDS / 2
                                  : 0);
}

/* --- from the other side to the channels --- */

static void output(struct stream *self, enum ak_channel channel, const uint8_t *data, size_t len)
{
    int r = ak_channels_send(self->channels, channel, (const char *)data, len);

    ak_session_count(self->session, 0, len);
    ak_recording_output(self->recording, (const char *)data, len);
    if (r == 1)
        (void)bufferevent_disable(self->local, EV_READ);
}

static void exited(struct stream *self, const struct ak_link_frame *frame)
{
    AK_AUTO(ak_buf) status = AK_BUF_INIT(8192);
    AK_AUTO_TEXT char *message = NULL;
    int code = frame->data[0] == AK_LINK_KILLED ? 128 + frame->data[1] : frame->data[1];

    if (frame->data[0] == AK_LINK_NOT_STARTED) {
        message = ak_strndup((const char *)frame->data + 2, frame->len - 2);
        (void)!write_status(&status, "NonZeroExitCode", message ? message : "not started", code);
    } else if (code != 0) {
        message = ak_asprintf("command terminated with non-zero exit code: exit status %d", code);
        (void)!write_status(&status, "NonZeroExitCode", message ? message : "", code);
    }
    stop(self, code != 0 ? ak_buf_text(&status) : NULL);
}

static void flush_held(struct stream *self);

static void take_frame(struct stream *self, const struct ak_link_frame *frame)
{
    if (frame->type == AK_LINK_OUTPUT) {
        output(self, AK_CHANNEL_OUT, frame->data, frame->len);
    } else if (frame->type == AK_LINK_ERRORS) {
        output(self, AK_CHANNEL_ERRORS, frame->data, frame->len);
    } else if (frame->type == AK_LINK_TAKEN) {
        self->window += ak_link_get_u32(frame->data);
        flush_held(self);
    } else if (frame->type == AK_LINK_EXIT) {
        exited(self, frame);
    }
}

static void fail(struct stream *self, const char *message)
{
    AK_AUTO(ak_buf) status = AK_BUF_INIT(8192);

    (void)!write_status(&status, "InternalError", message, -1);
    stop(self, ak_buf_text(&status));
}

static void on_link_read(struct bufferevent *bev, void *user)
{
    struct stream *self = user;
    struct evbuffer *in = bufferevent_get_input(bev);
    struct evbuffer_iovec piece;

    while (!self->over && (bufferevent_get_enabled(bev) & EV_READ) &&
           evbuffer_peek(in, -1, NULL, &piece, 1) > 0 && piece.iov_len) {
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_link_frame frame;
        bool ready = false;
        ssize_t n =
            ak_link_read(&self->reader, piece.iov_base, piece.iov_len, &frame, &ready, &err);

        if (n < 0) {
            fail(self, ak_error_message(err));
            return;
        }
        (void)evbuffer_drain(in, (size_t)n);
        if (ready)
            take_frame(self, &frame);
    }
}

static void on_link_event(struct bufferevent *bev, short what, void *user)
{
    (void)bev;
    if (what &
        BEV_EVENT_WRITING) /* it takes no more; what it has said is read before its end is seen */
        return;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        fail(user, "the container of the client program has ended");
}

static void on_engine_read(struct bufferevent *bev, void *user)
{
    struct stream *self = user;
    struct evbuffer *in = bufferevent_get_input(bev);
    struct evbuffer_iovec piece;

    while ((bufferevent_get_enabled(bev) & EV_READ) && evbuffer_peek(in, -1, NULL, &piece, 1) > 0 &&
           piece.iov_len) {
        output(self, AK_CHANNEL_OUT, piece.iov_base, piece.iov_len);
        (void)evbuffer_drain(in, piece.iov_len);
    }
}

static void on_engine_written(struct bufferevent *bev, void *user)
{
    struct stream *self = user;

    (void)bev;
    if (self->channels)
        ak_channels_resume(self->channels);
}

static void on_engine_event(struct bufferevent *bev, short what, void *user)
{
    struct stream *self = user;

    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) || (what & BEV_EVENT_WRITING))
        return;
    if (evbuffer_get_length(bufferevent_get_input(bev)) > 0) { /* a slow reader gets it first */
        (void)bufferevent_disable(bev, EV_READ);
        self->input_ended = true;
        return;
    }
    stop(self, NULL);
}

/* --- from the channels to the other side --- */

static void send_frame(struct stream *self, enum ak_link_type type, const void *data, size_t len)
{
    uint8_t head[AK_LINK_HEAD];

    ak_link_write_head(type, len, head);
    (void)bufferevent_write(self->local, head, sizeof(head));
    if (len)
        (void)bufferevent_write(self->local, data, len);
}

static void flush_held(struct stream *self)
{
    while (self->held.len && self->window) {
        size_t n = AK_MIN(AK_MIN(self->held.len, self->window), (size_t)AK_LINK_PIECE);

        send_frame(self, AK_LINK_INPUT, self->held.data, n);
        self->window -= n;
        ak_buf_consume(&self->held, n);
    }
    if (self->held.len)
        return;
    if (self->input_ended && !self->end_sent) {
        self->end_sent = true;
        send_frame(self, AK_LINK_END_INPUT, NULL, 0);
    }
    if (self->channels)
        ak_channels_resume(self->channels);
}

static bool on_input(const char *data, size_t len, void *user)
{
    struct stream *self = user;

    ak_session_count(self->session, len, 0);
    if (!self->local)
        return true;
    if (self->forward) {
        (void)bufferevent_write(self->local, data, len);
        return evbuffer_get_length(bufferevent_get_output(self->local)) < FULL;
    }
    if (ak_buf_add(&self->held, data, len) < 0) {
        fail(self, "out of memory");
        return false;
    }
    flush_held(self);
    return self->held.len == 0;
}

static void on_end_of_input(void *user)
{
    struct stream *self = user;

    if (self->forward) {
        stop(self, NULL); /* the local client has closed its connection */
        return;
    }
    self->input_ended = true;
    /* What runs on without anybody at its input is a job, not a person who went for lunch. */
    if (!self->input_busy && !self->query.terminal) {
        self->input_busy = true;
        ak_session_busy(self->session, true);
    }
    if (self->local)
        flush_held(self);
}

static void on_size(unsigned columns, unsigned rows, void *user)
{
    struct stream *self = user;
    uint8_t data[4] = {(uint8_t)(rows >> 8), (uint8_t)rows, (uint8_t)(columns >> 8),
                       (uint8_t)columns};

    if (self->forward || !self->query.terminal || !self->local)
        return;
    send_frame(self, AK_LINK_SIZE, data, sizeof(data));
    ak_recording_resize(self->recording, columns, rows);
}

static void on_room(void *user)
{
    struct stream *self = user;

    if (!self->local)
        return;
    (void)bufferevent_enable(self->local, EV_READ);
    if (!self->forward) {
        on_link_read(self->local, self);
        return;
    }
    on_engine_read(self->local, self);
    if (self->input_ended && evbuffer_get_length(bufferevent_get_input(self->local)) == 0)
        stop(self, NULL);
}

static void on_gone(void *user)
{
    struct stream *self = user;

    self->channels = NULL;
    stop(self, NULL);
}

static const struct ak_channels_ops channel_ops = {.input = on_input,
                                                   .end_of_input = on_end_of_input,
                                                   .size = on_size,
                                                   .room = on_room,
                                                   .gone = on_gone};

/* --- exec --- */

static void set_local(struct stream *self, int fd, bufferevent_data_cb read,
                      bufferevent_data_cb write, bufferevent_event_cb event)
{
    self->local =
        bufferevent_socket_new(ak_loop_base(self->bastion->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!self->local) {
        (void)close(fd);
        return;
    }
    bufferevent_setcb(self->local, read, write, event, self);
    bufferevent_setwatermark(self->local, EV_READ, 0, FULL);
    bufferevent_setwatermark(self->local, EV_WRITE, LOW, 0);
    (void)bufferevent_enable(self->local, EV_READ | EV_WRITE);
}

static int start_program(struct stream *self, struct ak_error **reterr)
{
    const struct ak_link_start start = {.command = self->command,
                                        .terminal = self->query.terminal,
                                        .rows = self->query.rows,
                                        .columns = self->query.columns};
    AK_AUTO(ak_buf) text = {.max = AK_LINK_START, .wipe = true};
    int fd, r = ak_link_write_start(&start, &text, reterr);

    if (r < 0)
        return r;
    fd = ak__link_dial(self->bastion->settings->target.link_dir, reterr);
    if (fd < 0)
        return fd;
    ak_link_reader_init(&self->reader, false);
    self->window = AK_LINK_WINDOW;
    self->held.max = 1u << 20;
    set_local(self, fd, on_link_read, NULL, on_link_event);
    if (!self->local)
        return ak_error_oom(reterr);
    send_frame(self, AK_LINK_START_PROGRAM, text.data, text.len);
    return 0;
}

/* Not upgraded yet: an HTTP answer says it. */
static void refuse(struct stream *self, int status, const struct ak_error *err)
{
    struct ak_http_exchange *ex = self->ex;

    self->ex = NULL;
    if (ex) {
        ak_http_on_close(ex, NULL, NULL);
        ak_bastion_refuse(ex, status, err, NULL);
    }
    if (self->session)
        stop(self, NULL);
    else
        stream_free(self);
}

static void make_command(void *user)
{
    struct stream *self = user;
    struct ak_bastion *b = self->bastion;

    self->code =
        b->engine->client(&b->settings->target, self->session, self->socket.path, self->query.args,
                          self->query.terminal, &self->arena, &self->command, &self->err);
}

static bool upgrade(struct stream *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_http_exchange *ex = self->ex;
    int r;

    ak_http_on_close(ex, NULL, NULL);
    r = ak_channels_open(ex, self->bastion->loop, &channel_ops, self, &self->channels, &err);
    if (r == -EPIPE)
        self->ex = NULL;
    if (r < 0) {
        refuse(self, 0, err);
        return false;
    }
    self->ex = NULL;
    return true;
}

static void command_made(void *user)
{
    struct stream *self = user;
    AK_AUTO_PTR(ak_error) err = NULL;

    self->making = false;
    on_thread_done(self);
    if (self->over || !self->ex)
        return;
    if (self->code < 0) {
        refuse(self, 0, self->err);
        return;
    }
    if (start_program(self, &err) < 0) {
        refuse(self, 503, err);
        return;
    }
    if (!upgrade(self))
        return;
    if (self->query.terminal && self->bastion->settings->recording)
        self->recording =
            ak_recording_new(self->bastion, self->session, self->query.columns, self->query.rows);
}

static void on_client_gone(void *user)
{
    struct stream *self = user;

    self->ex = NULL;
    stop(self, NULL);
}

/* --- the request --- */

static int read_caller(struct stream *self, struct ak_caller *ret, struct ak_error **reterr)
{
    const char *text = ak_http_header(self->ex, "X-Agentkube-Caller");
    AK_AUTO_JSON *tree = NULL;
    int r = text && strlen(text) <= AK_CALLER_MAX
                ? ak_json_parse(text, strlen(text), &tree, reterr)
                : ak_error_set(reterr, AK_E_INVALID, "X-Agentkube-Caller: must be there");

    return r < 0 ? r : ak_caller_read(tree, ret, reterr);
}

static json_t *policy_arguments(const struct stream *self)
{
    AK_AUTO_JSON *args = json_array();
    json_t *out;

    if (self->forward || self->query.terminal)
        return json_object();
    for (size_t i = 0; args && i < self->query.n_args; i++)
        if (json_array_append_new(args, json_string(self->query.args[i])) < 0)
            return NULL;
    out = json_pack("{s:O}", "args", args);
    return out;
}

/* The policy's word about the session as a whole; the audit has a refusal, too. */
static int decide(struct stream *self, const char *operation, struct ak_error **reterr)
{
    AK_AUTO_JSON *arguments = policy_arguments(self);
    struct ak_decision d = {0};
    int r = arguments ? ak_policy_decide(self->bastion->settings->target.spec, operation, arguments,
                                         self->query.read_only, &self->arena, &d, reterr)
                      : ak_error_set(reterr, AK_E_INVALID, "the arguments are not text");

    if (r < 0 || d.allowed)
        return r;
    const struct ak_session_said said = {.operation = operation,
                                         .text = "",
                                         .class = d.class,
                                         .verdict = "Refused",
                                         .rule = d.rule,
                                         .rows = -1};
    ak_session_record(self->session, &said);
    return ak_error_set(reterr, AK_E_FORBIDDEN, "%s: %s", d.rule, d.reason);
}

static int prepare(struct stream *self, struct ak_error **reterr)
{
    const struct ak_bastion_settings *s = self->bastion->settings;
    struct ak_caller caller = {0};
    int r = ak_stream_query_read(ak_http_query(self->ex), &self->arena, &self->query, reterr);

    if (r >= 0 && !self->bastion->engine)
        r = ak_error_set(reterr, -EINVAL, "type %s is not built in", s->target.info->name);
    if (r >= 0 && self->forward && !(s->target.info->flags & AK_ENGINE_FORWARD))
        r = ak_error_set(reterr, -EINVAL, "a Tool of type %s cannot be forwarded",
                         s->target.info->name);
    if (r >= 0)
        r = read_caller(self, &caller, reterr);
    if (r < 0)
        return r;
    self->query.read_only =
        ak_policy_session_is_read_only(s->target.spec, caller.is_agent, self->query.read_only);
    const struct ak_session_options options = {.kind = self->forward          ? AK_SESSION_FORWARD
                                                       : self->query.terminal ? AK_SESSION_CONNECT
                                                                              : AK_SESSION_EXEC,
                                               .caller = &caller,
                                               .read_only = self->query.read_only,
                                               .end = on_session_end,
                                               .owner = self};
    r = ak_session_open(self->bastion, &options, &self->session, reterr);
    ak_caller_done(&caller);
    self->socket = (struct ak_session_socket){
        .bastion = self->bastion, .session = self->session, .idle = on_thread_done, .user = self};
    if (r >= 0)
        r = decide(self,
                   self->forward          ? AK_OPERATION_FORWARD
                   : self->query.terminal ? AK_OPERATION_CONNECT
                                          : AK_OPERATION_EXEC,
                   reterr);
    return r;
}

static struct stream *stream_new(struct ak_bastion *bastion, struct ak_http_exchange *ex,
                                 bool forward)
{
    struct stream *self = ak_new0(struct stream);

    if (!self)
        return NULL;
    self->bastion = bastion;
    self->ex = ex;
    self->forward = forward;
    ak_arena_init(&self->arena, 1024, 8u << 20);
    self->timer = ak_timer_new(bastion->loop, on_timer, self);
    if (!self->timer) {
        ak_free(self);
        return NULL;
    }
    return self;
}

void ak_stream_exec(struct ak_http_exchange *ex, void *user)
{
    struct stream *self = stream_new(user, ex, false);
    AK_AUTO_PTR(ak_error) err = NULL;
    int r;

    if (!self) {
        (void)ak_error_oom(&err);
        ak_bastion_refuse(ex, 0, err, NULL);
        return;
    }
    r = prepare(self, &err);
    if (r >= 0)
        r = ak_session_socket_open(&self->socket, &err);
    if (r >= 0)
        r = ak_worker_start(self->bastion, make_command, command_made, self, &err);
    if (r < 0) {
        refuse(self, 0, err);
        return;
    }
    self->making = true;
    ak_http_on_close(ex, on_client_gone, self);
}

void ak_stream_forward(struct ak_http_exchange *ex, void *user)
{
    struct stream *self = stream_new(user, ex, true);
    AK_AUTO_PTR(ak_error) err = NULL;
    int r;

    if (!self) {
        (void)ak_error_oom(&err);
        ak_bastion_refuse(ex, 0, err, NULL);
        return;
    }
    r = prepare(self, &err);
    if (r >= 0)
        r = ak_session_socket_connect(&self->socket, &err);
    if (r < 0) {
        refuse(self, 0, err);
        return;
    }
    set_local(self, r, on_engine_read, on_engine_written, on_engine_event);
    if (!self->local) {
        (void)ak_error_oom(&err);
        refuse(self, 0, err);
        return;
    }
    (void)bufferevent_disable(self->local, EV_READ); /* until there is who takes it */
    if (upgrade(self))
        (void)bufferevent_enable(self->local, EV_READ);
}
