/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each WebSocket message begins with the number of its channel. The apiserver ends with one on channel 3 that holds a
 * Status object: how the command ended.
 */
#include <ak/kube/exec.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/websocket.h>

#include "client_internal.h"

#define PROTOCOLS "v5.channel.k8s.io, v4.channel.k8s.io"
#define MAX_PATH (15u << 10) /* commands travel in the query */
#define INPUT_AHEAD (64u << 10)
#define MAX_HEADERS 8 /* of the caller's */
#define PIECE 16384
#define PIECES 16                 /* of the peer's, before input and size have their turn */
#define PING_EVERY AK_SECONDS(30) /* keeps the connection alive where idle ones are dropped */
#define CLOSE_PATIENCE AK_SECONDS(2)

enum channel {
    CHANNEL_STDIN = 0,
    CHANNEL_STDOUT = 1,
    CHANNEL_STDERR = 2,
    CHANNEL_STATUS = 3,
    CHANNEL_RESIZE = 4,
    CHANNEL_CLOSE = 255, /* v5: the channel in its second byte ends */
};

struct exec {
    const struct ak_exec_options *options;
    const char *key;
    struct ak_http_tunnel *tunnel;
    struct ak_websocket *ws;
    int input_fd; /* -1: none, or at its end */
    bool has_close_channel;
    bool ended; /* the status has come, or the peer closed */
    bool has_status;
    bool has_more; /* the peer's bytes did not end when others had their turn */
    int exit_code;
    int code; /* of the status, when the command did not run; negative */
    struct ak_error *err;
    ak_msec next_ping;
};

/* --- the request --- */

static int add_flag(struct ak_buf *path, const char *name, bool on)
{
    return on ? ak_buf_addf(path, "&%s=true", name) : 0;
}

static int build_path(const struct ak_exec_options *o, struct ak_buf *path)
{
    bool interactive = o->input_fd >= 0;
    int r = ak_buf_adds(path, o->path ? o->path : "/api/v1/namespaces/");

    if (o->path)
        return r;
    if (r >= 0)
        r = ak_buf_add_url_escaped(path, o->ns);
    if (r >= 0)
        r = ak_buf_adds(path, "/pods/");
    if (r >= 0)
        r = ak_buf_add_url_escaped(path, o->pod);
    if (r >= 0)
        r = ak_buf_adds(path, "/exec?stdout=true");
    if (r >= 0)
        r = add_flag(path, "stderr", !o->tty);
    if (r >= 0)
        r = add_flag(path, "stdin", interactive);
    if (r >= 0)
        r = add_flag(path, "tty", o->tty);
    if (r >= 0 && o->container) {
        r = ak_buf_adds(path, "&container=");
        if (r >= 0)
            r = ak_buf_add_url_escaped(path, o->container);
    }
    for (const char *const *word = o->command; r >= 0 && *word; word++) {
        r = ak_buf_adds(path, "&command=");
        if (r >= 0)
            r = ak_buf_add_url_escaped(path, *word);
    }
    return r;
}

/* --- what comes --- */

/* The command's exit code out of a Status whose reason is NonZeroExitCode; -1: there is none. */
static int exit_code_of(const json_t *status)
{
    json_t *causes = ak_json_at(status, "details", "causes", NULL), *cause;
    uint16_t code = 0;
    size_t i;

    json_array_foreach(causes, i, cause)
    {
        const char *text = ak_json_text(cause, "message", NULL);

        if (ak_streq(ak_json_text(cause, "reason", NULL), "ExitCode") && text &&
            ak_parse_u16(text, &code) >= 0)
            return code;
    }
    return -1;
}

static int on_status(struct exec *self, const char *text, size_t len)
{
    json_t *status = NULL;
    const char *message;
    int r = ak_json_parse(text, len, &status, &self->err);

    if (r < 0)
        return r;
    message = ak_json_text(status, "message", NULL);
    self->has_status = true;
    self->ended = true;
    if (ak_streq(ak_json_text(status, "status", NULL), "Success")) {
        self->exit_code = 0;
    } else {
        self->exit_code = exit_code_of(status);
        if (self->exit_code < 0)
            self->code = ak_error_set(&self->err, AK_E_SERVER, "%s",
                                      message ? message : "the command did not run");
    }
    json_decref(status);
    return 0;
}

static int on_end(struct exec *self, unsigned char channel)
{
    const struct ak_exec_options *o = self->options;

    if (!o->end || (channel != CHANNEL_STDOUT && channel != CHANNEL_STDERR))
        return 0;
    return o->end(channel == CHANNEL_STDOUT ? AK_EXEC_STDOUT : AK_EXEC_STDERR, o->user);
}

static int on_message(bool is_text, const void *data, size_t len, void *user)
{
    struct exec *self = user;
    const char *payload = (const char *)data + 1;
    const struct ak_exec_options *o = self->options;

    (void)is_text;
    if (len == 0 || self->ended)
        return 0;
    switch (*(const unsigned char *)data) {
    case CHANNEL_STDOUT:
        return len > 1 ? o->output(AK_EXEC_STDOUT, payload, len - 1, o->user) : 0;
    case CHANNEL_STDERR:
        return len > 1 ? o->output(AK_EXEC_STDERR, payload, len - 1, o->user) : 0;
    case CHANNEL_STATUS:
        return len > 1 ? on_status(self, payload, len - 1) : 0;
    case CHANNEL_CLOSE:
        return len > 1 ? on_end(self, *(const unsigned char *)payload) : 0;
    default: /* one that we do not know */
        return 0;
    }
}

static void on_closed(uint16_t code, const char *reason, size_t len, void *user)
{
    struct exec *self = user;

    (void)code;
    (void)reason;
    (void)len;
    self->ended = true;
}

static const struct ak_websocket_ops ops = {on_message, on_closed};

static int receive(struct exec *self, struct ak_error **reterr)
{
    char piece[PIECE];

    self->has_more = false;
    for (int i = 0; i < PIECES && !self->ended; i++) {
        int64_t n = ak_http_tunnel_recv(self->tunnel, piece, sizeof(piece), reterr);
        int r;

        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return (int)n;
        if (n == 0) {
            self->ended = true;
            return 0;
        }
        r = ak_websocket_feed(self->ws, piece, (size_t)n, reterr);
        if (r < 0)
            return r;
    }
    self->has_more = !self->ended;
    return 0;
}

/* --- what goes --- */

static int send_on(struct exec *self, enum channel channel, const void *data, size_t len)
{
    char message[PIECE + 1];

    message[0] = (char)channel;
    memcpy(message + 1, data, AK_MIN(len, PIECE));
    return ak_websocket_send(self->ws, false, message, AK_MIN(len, PIECE) + 1);
}

static int end_input(struct exec *self)
{
    static const char closed[] = {CHANNEL_STDIN};

    self->input_fd = -1;
    return self->has_close_channel ? send_on(self, CHANNEL_CLOSE, closed, 1) : 0;
}

static int take_input(struct exec *self)
{
    char piece[PIECE];
    ssize_t n = read(self->input_fd, piece, sizeof(piece));

    if (n > 0)
        return send_on(self, CHANNEL_STDIN, piece, (size_t)n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return end_input(self); /* also a terminal that went away (EIO) */
}

static int send_size(struct exec *self)
{
    const struct ak_exec_options *o = self->options;
    struct ak_exec_size size = {0};
    char text[64];

    if (!o->tty || !o->size || !o->size(&size, o->user) || !size.columns || !size.rows)
        return 0;
    (void)snprintf(text, sizeof(text), "{\"Width\":%u,\"Height\":%u}", size.columns, size.rows);
    return send_on(self, CHANNEL_RESIZE, text, strlen(text));
}

static int flush(struct exec *self, struct ak_error **reterr)
{
    struct ak_buf *out = ak_websocket_out(self->ws);

    while (out->len) {
        int64_t n = ak_http_tunnel_send(self->tunnel, out->data, out->len, reterr);

        if (n < 0)
            return n == -EAGAIN ? 0 : (int)n;
        ak_buf_consume(out, (size_t)n);
    }
    return 0;
}

/* --- the loop --- */

enum source { SOURCE_PEER, SOURCE_CANCEL, SOURCE_INPUT, SOURCE_RESIZE, SOURCE_MAX };

static int wait_for(struct exec *self, struct pollfd fds[static SOURCE_MAX])
{
    const struct ak_exec_options *o = self->options;
    size_t waiting = ak_websocket_out(self->ws)->len;
    ak_msec left = self->has_more ? 0 : AK_MAX(self->next_ping - ak_now(), 0);

    fds[SOURCE_PEER] = (struct pollfd){.fd = ak_http_tunnel_fd(self->tunnel),
                                       .events = (short)(POLLIN | (waiting ? POLLOUT : 0))};
    fds[SOURCE_CANCEL] = (struct pollfd){.fd = o->cancel ? o->cancel->fd : -1, .events = POLLIN};
    fds[SOURCE_INPUT] =
        (struct pollfd){.fd = waiting < INPUT_AHEAD ? self->input_fd : -1, .events = POLLIN};
    fds[SOURCE_RESIZE] = (struct pollfd){.fd = o->tty ? o->resize_fd : -1, .events = POLLIN};
    if (poll(fds, SOURCE_MAX, (int)left) < 0 && errno != EINTR)
        return -errno;
    if (ak_now() < self->next_ping)
        return 0;
    self->next_ping = ak_now() + PING_EVERY;
    return ak_websocket_ping(self->ws);
}

static int step(struct exec *self, struct ak_error **reterr)
{
    struct pollfd fds[SOURCE_MAX] = {0};
    int r = wait_for(self, fds);

    if (r >= 0 && fds[SOURCE_CANCEL].revents)
        r = AK_E_CANCELLED;
    if (r >= 0 && fds[SOURCE_RESIZE].revents)
        r = send_size(self);
    if (r >= 0 && fds[SOURCE_INPUT].revents)
        r = take_input(self);
    if (r < 0)
        return ak_error_set(reterr, r, "exec: %s", ak_code_text(r));
    r = flush(self, reterr);
    return r < 0 ? r : receive(self, reterr);
}

/* What we still have to say is sent, for a short time. */
static void say_goodbye(struct exec *self)
{
    ak_msec deadline = ak_now() + CLOSE_PATIENCE;

    (void)!ak_websocket_close(self->ws, 1000);
    while (ak_websocket_out(self->ws)->len && ak_now() < deadline) {
        struct pollfd fd = {.fd = ak_http_tunnel_fd(self->tunnel), .events = POLLOUT};

        if (poll(&fd, 1, (int)CLOSE_PATIENCE) <= 0 || flush(self, NULL) < 0)
            return;
    }
}

static int check_upgrade(struct exec *self, struct ak_error **reterr)
{
    const char *protocol = ak_http_tunnel_header(self->tunnel, "Sec-WebSocket-Protocol");

    if (!ak_websocket_is_accepted(self->key,
                                  ak_http_tunnel_header(self->tunnel, "Sec-WebSocket-Accept")))
        return ak_error_set(reterr, AK_E_PROTOCOL, "the server did not accept the WebSocket");
    self->has_close_channel = ak_streq(protocol, "v5.channel.k8s.io");
    if (!self->has_close_channel && !ak_streq(protocol, "v4.channel.k8s.io"))
        return ak_error_set(reterr, AK_E_PROTOCOL,
                            "the server speaks \"%.40s\", none of " PROTOCOLS,
                            protocol ? protocol : "");
    return 0;
}

static int run(struct ak_http_tunnel *tunnel, void *user, struct ak_error **reterr)
{
    struct exec *self = user;
    int r;

    self->tunnel = tunnel;
    r = check_upgrade(self, reterr);
    if (r >= 0)
        r = ak_websocket_new(&ops, self, 0, &self->ws, reterr);
    if (r < 0)
        return r;
    self->next_ping = ak_now() + PING_EVERY;
    r = send_size(self);
    if (r >= 0)
        r = flush(self, reterr);
    if (r >= 0) /* what came with the answer's head is not seen by poll() */
        r = receive(self, reterr);
    while (r >= 0 && !self->ended)
        r = step(self, reterr);
    if (r >= 0)
        say_goodbye(self);
    self->ws = ak_websocket_free(self->ws);
    if (r < 0)
        return r;
    if (!self->has_status)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the connection ended before the command did");
    return self->code;
}

int ak_exec(struct ak_client *self, const struct ak_exec_options *options, int *ret_exit_code,
            struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = {.max = MAX_PATH};
    static const char protocols[] = "Sec-WebSocket-Protocol: " PROTOCOLS;
    AK_AUTO_TEXT char *key_line = NULL;
    char key[AK_WEBSOCKET_KEY];
    struct exec exec = {.options = options, .key = key, .input_fd = options->input_fd};
    struct ak_call call = {.method = "GET",
                           .accept = "*/*",
                           .timeout = options->connect_timeout,
                           .cancel = options->cancel};
    int r = build_path(options, &path);

    if (r < 0)
        return ak_error_set(reterr, r, "the command: %s", ak_code_text(r));
    r = ak_websocket_key(key, reterr);
    if (r < 0)
        return r;
    key_line = ak_asprintf("Sec-WebSocket-Key: %s", key);
    if (!key_line)
        return ak_error_oom(reterr);
    const char *headers[6 + MAX_HEADERS] = {"Connection: Upgrade", "Upgrade: websocket",
                                            "Sec-WebSocket-Version: 13", key_line, protocols};
    for (size_t n = 0; options->headers && options->headers[n]; n++) {
        if (n == MAX_HEADERS)
            return ak_error_set(reterr, -EINVAL, "more than %d headers", MAX_HEADERS);
        headers[5 + n] = options->headers[n];
    }
    call.path = ak_buf_text(&path);
    call.headers = headers;
    r = ak__client_upgrade(self, &call, run, &exec, reterr);
    if (exec.err && reterr && r < 0) { /* what the Status said */
        (void)ak_error_free(*reterr);
        *reterr = AK_TAKE(exec.err);
        r = ak_error_code(*reterr);
    }
    (void)ak_error_free(exec.err);
    if (r < 0)
        return r;
    *ret_exit_code = exec.exit_code;
    return 0;
}
