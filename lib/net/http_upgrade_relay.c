/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/http_upgrade_relay.h>

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <ak/base/alloc.h>
#include <ak/net/http_upgrade.h>

#define READ_SIZE (32u << 10)
#define READS_IN_A_ROW 8 /* then others have their turn */
#define DEFAULT_PATIENCE AK_SECONDS(10)
#define MAX_REPLY_LINES 8
#define MAX_REPLY_LINE 512
#define KEEPALIVE_SECONDS 30

struct ak_http_upgrade_relay {
    struct ak_http_upgrade_relay_options options;
    void *user;
    struct ak_http_upgraded *client;
    struct ak_http_tunnel *tunnel;
    struct event *readable, *writable;
    struct ak_timer *idle;
    uint64_t from_client, to_client;
    bool ended;
    /* Where the upstream is in its frames (RFC 6455 section 5.2). */
    struct {
        unsigned char head[10]; /* of the frame that begins; a server's has no mask */
        size_t n_head;
        uint64_t left;   /* of its payload */
        bool in_message; /* the last frame was not its message's last */
    } at;
};

static size_t head_size(const unsigned char *head, size_t n)
{
    size_t more = n < 2 ? 0 : (head[1] & 0x7f) == 126 ? 2 : (head[1] & 0x7f) == 127 ? 8 : 0;

    return 2 + more;
}

static uint64_t payload_size(const unsigned char *head)
{
    uint64_t len = head[1] & 0x7f;
    size_t n = len == 126 ? 2 : len == 127 ? 8 : 0;

    for (size_t i = 0; i < n; i++)
        len = (i ? len << 8 : 0) | head[2 + i];
    return len;
}

static void frame_begins(struct ak_http_upgrade_relay *self)
{
    unsigned char opcode = self->at.head[0] & 0x0f;

    self->at.left = payload_size(self->at.head);
    if (opcode < 8) /* control frames may come between those of a message */
        self->at.in_message = !(self->at.head[0] & 0x80);
    self->at.n_head = 0;
}

static void follow_frames(struct ak_http_upgrade_relay *self, const char *data, size_t len)
{
    while (len > 0) {
        size_t some = 1;
        if (self->at.left) {
            some = (size_t)AK_MIN(self->at.left, (uint64_t)len);
            self->at.left -= some;
        } else {
            self->at.head[self->at.n_head++] = (unsigned char)*data;
            if (self->at.n_head >= 2 &&
                self->at.n_head == head_size(self->at.head, self->at.n_head))
                frame_begins(self);
        }
        data += some;
        len -= some;
    }
}

static bool is_between_messages(const struct ak_http_upgrade_relay *self)
{
    return !self->at.left && !self->at.n_head && !self->at.in_message;
}

static void relay_free(struct ak_http_upgrade_relay *self)
{
    if (self->readable)
        event_free(self->readable);
    if (self->writable)
        event_free(self->writable);
    (void)ak_timer_free(self->idle);
    ak_free(self);
}

/* The client's side is closed already, or is closed here. Frees the relay. */
static void finish(struct ak_http_upgrade_relay *self, int code)
{
    if (self->ended)
        return;
    self->ended = true;
    if (self->client) {
        ak_msec patience = self->options.patience ? self->options.patience : DEFAULT_PATIENCE;
        ak_http_upgraded_close(AK_TAKE(self->client), patience);
    }
    /* The events go before the descriptor that they are about. */
    event_free(AK_TAKE(self->readable));
    event_free(AK_TAKE(self->writable));
    (void)ak_http_tunnel_free(AK_TAKE(self->tunnel));
    self->options.end(self->from_client, self->to_client, code, self->user);
    relay_free(self);
}

static void moved(struct ak_http_upgrade_relay *self)
{
    if (self->options.idle_timeout)
        ak_timer_set(self->idle, self->options.idle_timeout);
}

/* ---- from the upstream to the client */

/* One read. 1: there may be more. 0: none is there, or the client has to take some first. Negative: the end. */
static int pass_down(struct ak_http_upgrade_relay *self, int *ret_code)
{
    char space[READ_SIZE];
    int64_t n, waiting;

    if (ak_http_upgraded_waiting(self->client) > AK_HTTP_UPGRADE_HIGH_WATER) {
        (void)event_del(self->readable); /* on_drained() goes on */
        return 0;
    }
    n = ak_http_tunnel_recv(self->tunnel, space, sizeof(space), NULL);
    if (n == -EAGAIN)
        return 0;
    if (n <= 0) {
        *ret_code = (int)n;
        return -1;
    }
    waiting = ak_http_upgraded_write(self->client, space, (size_t)n);
    if (waiting < 0) {
        *ret_code = (int)waiting;
        return -1;
    }
    if (self->options.frames)
        follow_frames(self, space, (size_t)n);
    self->to_client += (uint64_t)n;
    moved(self);
    return 1;
}

static void pump_down(struct ak_http_upgrade_relay *self)
{
    int more = 1, code = 0;

    for (int i = 0; more > 0 && i < READS_IN_A_ROW; i++)
        more = pass_down(self, &code);
    if (more < 0)
        finish(self, code);
    else if (more > 0) /* TLS may hold bytes that the descriptor does not show */
        event_active(self->readable, EV_READ, 0);
}

static void on_readable(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    pump_down(user);
}

static void on_drained(void *user)
{
    struct ak_http_upgrade_relay *self = user;

    (void)event_add(self->readable, NULL);
    pump_down(self);
}

/* ---- from the client to the upstream */

static size_t on_input(const char *data, size_t len, void *user)
{
    struct ak_http_upgrade_relay *self = user;
    size_t used = 0;

    while (used < len) {
        int64_t n = ak_http_tunnel_send(self->tunnel, data + used, len - used, NULL);
        if (n == -EAGAIN) {
            (void)event_add(self->writable, NULL);
            break;
        }
        if (n < 0) {
            finish(self, (int)n);
            return len;
        }
        used += (size_t)n;
    }
    self->from_client += used;
    if (used)
        moved(self);
    return used;
}

static void on_writable(evutil_socket_t fd, short what, void *user)
{
    struct ak_http_upgrade_relay *self = user;

    (void)fd;
    (void)what;
    ak_http_upgraded_resume(self->client);
}

static void on_closed(void *user)
{
    struct ak_http_upgrade_relay *self = user;

    self->client = NULL;
    finish(self, 0);
}

static void on_idle(void *user)
{
    finish(user, -ETIMEDOUT);
}

static const struct ak_http_upgraded_ops ops = {
    .input = on_input,
    .drained = on_drained,
    .closed = on_closed,
    .low_water = AK_HTTP_UPGRADE_HIGH_WATER / 4,
};

/* ---- start and stop */

static void keep_alive(int fd)
{
    int on = 1, seconds = KEEPALIVE_SECONDS;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
}

/* The lines of the upstream's 101 that pass. 0, or -EINVAL: one is too long. */
static int copy_lines(const struct ak_http_tunnel *tunnel, const char *const *names,
                      char space[MAX_REPLY_LINES][MAX_REPLY_LINE],
                      const char *ret[MAX_REPLY_LINES + 1])
{
    size_t n = 0;

    for (size_t i = 0; names && names[i] && n < MAX_REPLY_LINES; i++) {
        const char *value = ak_http_tunnel_header(tunnel, names[i]);
        if (!value)
            continue;
        int len = snprintf(space[n], MAX_REPLY_LINE, "%s: %s", names[i], value);
        if (len < 0 || len >= MAX_REPLY_LINE)
            return -EINVAL;
        ret[n] = space[n];
        n++;
    }
    ret[n] = NULL;
    return 0;
}

static struct ak_http_upgrade_relay *relay_new(struct ak_http_tunnel *tunnel, struct ak_loop *loop,
                                               const struct ak_http_upgrade_relay_options *options,
                                               void *user)
{
    struct ak_http_upgrade_relay *self = ak_new0(struct ak_http_upgrade_relay);
    int fd = ak_http_tunnel_fd(tunnel);

    if (!self)
        return NULL;
    self->options = *options;
    self->options.protocol = NULL;
    self->options.reply = NULL;
    self->user = user;
    self->readable = event_new(ak_loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, self);
    self->writable = event_new(ak_loop_base(loop), fd, EV_WRITE, on_writable, self);
    self->idle = ak_timer_new(loop, on_idle, self);
    if (!self->readable || !self->writable || !self->idle || event_add(self->readable, NULL) < 0) {
        relay_free(self);
        return NULL;
    }
    return self;
}

int ak_http_upgrade_relay_start(struct ak_http_exchange *ex, struct ak_http_tunnel *tunnel,
                                struct ak_loop *loop,
                                const struct ak_http_upgrade_relay_options *options, void *user,
                                struct ak_http_upgrade_relay **ret, struct ak_error **reterr)
{
    char space[MAX_REPLY_LINES][MAX_REPLY_LINE];
    const char *lines[MAX_REPLY_LINES + 1];
    int r = copy_lines(tunnel, options->reply, space, lines);

    if (r < 0)
        return ak_error_set(reterr, AK_E_PROTOCOL, "a header of the upstream's answer is too long");
    struct ak_http_upgrade_relay *self = relay_new(tunnel, loop, options, user);
    if (!self)
        return ak_error_oom(reterr);
    r = ak_http_upgrade(ex, options->protocol, lines, &ops, self, &self->client);
    if (r < 0) {
        relay_free(self);
        return ak_error_set(reterr, r, "the connection of the client: %s", ak_code_text(r));
    }
    self->tunnel = tunnel;
    keep_alive(ak_http_tunnel_fd(tunnel));
    moved(self);
    event_active(self->readable, EV_READ, 0); /* what came behind the 101 is not in the socket */
    *ret = self;
    return 0;
}

void ak_http_upgrade_relay_stop(struct ak_http_upgrade_relay *self, const void *last, size_t len)
{
    if (last && self->client && (!self->options.frames || is_between_messages(self)))
        (void)!ak_http_upgraded_write(self->client, last, len);
    finish(self, AK_E_CANCELLED);
}
