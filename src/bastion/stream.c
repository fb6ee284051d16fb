/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/exec and /v1/forward: a WebSocket with channels on one side; on the other a program in container `client`, whose way to the
 * system is the session's socket, or for forward the engine itself. Nothing is read faster than the other side takes it.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/arena.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "bastion/channels.h"
#include "bastion/link.h"
#include "bastion/recordings.h"
#include "bastion/session_table.h"
#include "engines/policy.h"

#define LOG "bastion"
#define MAX_ARGS 128
#define FULL (256u << 10)
#define LOW (64u << 10)
#define MAX_CONNECTIONS 32 /* of one session's socket at a time */
#define LAST_LOOK 50       /* ms between two looks while it ends */

struct stream {
    struct ak_bastion *bastion;
    struct ak_http_exchange *ex; /* until the upgrade */
    struct ak_session *session;
    struct ak_channels *channels;
    struct ak_recording *recording;
    struct ak_arena arena;
    bool forward, terminal;
    uint16_t columns, rows;
    const char *args[MAX_ARGS + 1];
    size_t n_args;
    bool read_only;
    /* The session's socket. */
    char *folder, *path;
    struct evconnlistener *listener;
    void *listening;
    size_t n_threads; /* that serve its connections, or make the command */
    /* What the program is. */
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
    if (self->path)
        (void)unlink(self->path);
    if (self->folder)
        (void)rmdir(self->folder);
    ak_free(self->path);
    ak_free(self->folder);
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
    if (self->over && self->listening && ak_now() >= self->deadline) {
        self->bastion->engine->unlisten(self->listening);
        ak_session_set_listening(self->session, NULL);
        self->listening = NULL;
    }
    if (self->over && self->n_threads == 0 && !self->listening)
        stream_free(self);
    else
        ak_timer_set(self->timer, LAST_LOOK);
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
    int n = snprintf(line, sizeof(line), "%sagentkube: the session has ended: %s%s",
                     self->terminal ? "\r\n" : "", reason, self->terminal ? "\r\n" : "\n");

    if (!self->forward)
        (void)!ak_channels_send(self->channels, self->terminal ? AK_CHANNEL_OUT : AK_CHANNEL_ERRORS,
                                line, AK_MIN((size_t)n, sizeof(line) - 1));
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
    if (self->listener)
        evconnlistener_free(self->listener);
    self->listener = NULL;
    self->deadline = ak_now() + (self->dying ? 0 : LAST_LOOK);
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
    ak_timer_set(self->timer,
                 self->bastion->engine->serve_fd || self->listening ? AK_ENGINE_LAST_WORDS / 2 : 0);
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

    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
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
    if (!self->input_busy && !self->terminal) {
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

    if (self->forward || !self->terminal || !self->local)
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

/* --- the session's socket --- */

struct connection {
    struct stream *stream;
    struct ak_session *session;
    int fd;
};

static void serve_connection(void *user)
{
    struct connection *c = user;
    struct ak_bastion *b = c->stream->bastion;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = b->engine->serve_fd(&b->settings->target, c->session, c->fd, &err);

    ak_session_forget_thread(c->session);
    if (r < 0 && r != AK_E_CANCELLED)
        ak_warn(LOG, "a connection to the system has failed",
                AK_STR("session", ak_session_id(c->session)), AK_ERR(err));
}

static void connection_done(void *user)
{
    struct connection *c = user;

    c->stream->n_threads--;
    ak_session_unref(c->session);
    ak_free(c);
}

static int start_connection(struct stream *self, int fd, struct ak_error **reterr)
{
    struct connection *c = ak_new0(struct connection);
    int r = c ? 0 : ak_error_oom(reterr);

    if (r >= 0) {
        *c =
            (struct connection){.stream = self, .session = ak_session_ref(self->session), .fd = fd};
        r = ak_worker_start(self->bastion, serve_connection, connection_done, c, reterr);
    }
    if (r >= 0) {
        self->n_threads++;
        return 0;
    }
    if (c)
        ak_session_unref(c->session);
    ak_free(c);
    (void)close(fd);
    return r;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int len, void *user)
{
    struct stream *self = user;
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)listener;
    (void)peer;
    (void)len;
    if (self->n_threads >= MAX_CONNECTIONS || self->over)
        (void)close(fd);
    else if (evutil_make_socket_nonblocking(fd) < 0 || start_connection(self, fd, &err) < 0)
        ak_warn(LOG, "a connection was not taken", AK_ERR(err));
}

/* A name that others in the client's container cannot guess, and cannot list. */
static int make_folder(struct stream *self, struct ak_error **reterr)
{
    const char *link = self->bastion->settings->target.link_dir;
    const char *name = self->bastion->engine->socket_name;
    AK_AUTO_TEXT char *all = ak_asprintf("%s/s", link);
    unsigned char random[8];
    char hex[17];

    if (!all || RAND_bytes(random, sizeof(random)) != 1)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", random[i]);
    self->folder = ak_asprintf("%s/%s", all, hex);
    self->path =
        self->folder ? ak_asprintf("%s/%s", self->folder, name ? name : "engine.sock") : NULL;
    if (!self->path)
        return ak_error_oom(reterr);
    if ((mkdir(all, 0711) < 0 && errno != EEXIST) || chmod(all, 0711) < 0 ||
        mkdir(self->folder, 0750) < 0 || chmod(self->folder, 0750) < 0)
        return ak_error_set(reterr, -errno, "make \"%s\": %s", self->folder, ak_code_text(-errno));
    return 0;
}

static int address_of(const char *path, struct sockaddr_un *ret, struct ak_error **reterr)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret->sun_path))
        return ak_error_set(reterr, -ENAMETOOLONG, "\"%s\" is too long for a socket", path);
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return 0;
}

static int listen_for_engine(struct stream *self, struct ak_error **reterr)
{
    struct sockaddr_un address;
    int fd, r = address_of(self->path, &address, reterr);

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(self->path, 0660) < 0 || listen(fd, 16) < 0) {
        r = ak_error_set(reterr, -errno, "listen on \"%s\": %s", self->path, ak_code_text(-errno));
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    self->listener = evconnlistener_new(ak_loop_base(self->bastion->loop), on_accept, self,
                                        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!self->listener)
        (void)close(fd);
    return self->listener ? 0 : ak_error_oom(reterr);
}

static int open_socket(struct stream *self, struct ak_error **reterr)
{
    const struct ak_engine *engine = self->bastion->engine;
    int r;

    if (!engine->serve_fd && !engine->listen)
        return 0;
    r = make_folder(self, reterr);
    if (r < 0 || !engine->listen)
        return r < 0 ? r : listen_for_engine(self, reterr);
    r = engine->listen(&self->bastion->settings->target, self->session, self->bastion->loop,
                       self->path, &self->listening, reterr);
    if (r >= 0)
        ak_session_set_listening(self->session, self->listening);
    return r;
}

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
                                        .terminal = self->terminal,
                                        .rows = self->rows,
                                        .columns = self->columns};
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

    self->code = b->engine->client(&b->settings->target, self->session, self->path, self->args,
                                   self->terminal, &self->arena, &self->command, &self->err);
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

    self->n_threads--;
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
    if (self->terminal && self->bastion->settings->recording)
        self->recording = ak_recording_new(self->bastion, self->session, self->columns, self->rows);
}

static void on_client_gone(void *user)
{
    struct stream *self = user;

    self->ex = NULL;
    stop(self, NULL);
}

/* --- the request --- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

static char *decode(struct ak_arena *arena, const char *text, size_t len)
{
    char *out = ak_arena_alloc(arena, len + 1), *to = out;

    for (size_t i = 0; out && i < len; i++) {
        if (text[i] == '%' && len - i > 2 && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            *to++ = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        } else {
            *to++ = text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

static int set_parameter(struct stream *self, const char *name, const char *value,
                         struct ak_error **reterr)
{
    int r = 0;

    if (ak_streq(name, "tty"))
        r = ak_parse_bool(value, &self->terminal);
    else if (ak_streq(name, "readOnly"))
        r = ak_parse_bool(value, &self->read_only);
    else if (ak_streq(name, "columns"))
        r = ak_parse_u16(value, &self->columns);
    else if (ak_streq(name, "rows"))
        r = ak_parse_u16(value, &self->rows);
    else if (ak_streq(name, "arg") && self->n_args == MAX_ARGS)
        r = AK_E_TOO_LARGE;
    else if (ak_streq(name, "arg"))
        self->args[self->n_args++] = value;
    return r < 0 ? ak_error_set(reterr, AK_E_INVALID, "%s: \"%s\" is not possible", name, value)
                 : 0;
}

static int read_query(struct stream *self, struct ak_error **reterr)
{
    int r = 0;

    for (const char *at = ak_http_query(self->ex); r >= 0 && *at;) {
        size_t len = strcspn(at, "&");
        const char *equals = memchr(at, '=', len);
        size_t name_len = equals ? (size_t)(equals - at) : len;
        char *name = decode(&self->arena, at, name_len);
        char *value = equals ? decode(&self->arena, equals + 1, len - name_len - 1)
                             : decode(&self->arena, "", 0);

        r = name && value ? set_parameter(self, name, value, reterr) : ak_error_oom(reterr);
        at += len + (at[len] == '&');
    }
    return r;
}

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

    if (self->forward || self->terminal)
        return json_object();
    for (size_t i = 0; args && i < self->n_args; i++)
        if (json_array_append_new(args, json_string(self->args[i])) < 0)
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
                                         self->read_only, &self->arena, &d, reterr)
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
    int r = read_query(self, reterr);

    if (r >= 0 && !self->bastion->engine)
        r = ak_error_set(reterr, -EINVAL, "type %s is not built in", s->target.info->name);
    if (r >= 0 && self->forward && !(s->target.info->flags & AK_ENGINE_FORWARD))
        r = ak_error_set(reterr, -EINVAL, "a Tool of type %s cannot be forwarded",
                         s->target.info->name);
    if (r >= 0)
        r = read_caller(self, &caller, reterr);
    if (r < 0)
        return r;
    self->read_only =
        ak_policy_session_is_read_only(s->target.spec, caller.is_agent, self->read_only);
    const struct ak_session_options options = {.kind = self->forward    ? AK_SESSION_FORWARD
                                                       : self->terminal ? AK_SESSION_CONNECT
                                                                        : AK_SESSION_EXEC,
                                               .caller = &caller,
                                               .read_only = self->read_only,
                                               .end = on_session_end,
                                               .owner = self};
    r = ak_session_open(self->bastion, &options, &self->session, reterr);
    ak_caller_done(&caller);
    if (r >= 0)
        r = decide(self,
                   self->forward    ? AK_OPERATION_FORWARD
                   : self->terminal ? AK_OPERATION_CONNECT
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
        r = open_socket(self, &err);
    if (r >= 0)
        r = ak_worker_start(self->bastion, make_command, command_made, self, &err);
    if (r < 0) {
        refuse(self, 0, err);
        return;
    }
    self->n_threads++;
    ak_http_on_close(ex, on_client_gone, self);
}

static int dial_engine(struct stream *self, struct ak_error **reterr)
{
    struct sockaddr_un address;
    int fds[2], r;

    if (self->bastion->engine->serve_fd) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
            return ak_error_set(reterr, -errno, "socketpair: %s", ak_code_text(-errno));
        r = start_connection(self, fds[1], reterr);
        if (r < 0)
            (void)close(fds[0]);
        return r < 0 ? r : fds[0];
    }
    r = open_socket(self, reterr);
    if (r >= 0)
        r = address_of(self->path, &address, reterr);
    if (r < 0)
        return r;
    fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fds[0] >= 0 && connect(fds[0], (struct sockaddr *)&address, sizeof(address)) == 0)
        return fds[0];
    r = ak_error_set(reterr, -errno, "connect to the engine: %s", ak_code_text(-errno));
    if (fds[0] >= 0)
        (void)close(fds[0]);
    return r;
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
        r = dial_engine(self, &err);
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
