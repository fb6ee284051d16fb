/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/channels.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/net/http_upgrade.h>
#include <ak/net/websocket_server.h>

#define PROTOCOL "v5.channel.k8s.io"
#define CLOSE_CHANNEL 255
#define SIZE_MAX_BYTES 128
#define PIECE (64u << 10)
#define PING_EVERY AK_SECONDS(20) /* so that nobody between us thinks that it is dead */
#define PATIENCE AK_SECONDS(30)   /* for the last bytes */
#define NORMAL 1000
#define PROTOCOL_ERROR 1002

struct ak_channels {
    const struct ak_channels_ops *ops;
    void *user;
    struct ak_http_upgraded *connection;
    struct ak_websocket_server ws;
    struct ak_timer *ping;
    int channel; /* of the message that is being read; -1: its first byte has not come */
    char size[SIZE_MAX_BYTES];
    size_t size_len;
    bool full, ended;
    bool paused;  /* input() wants no more for now */
    bool feeding; /* the parser calls into ops, and looks at itself afterwards */
    bool dead;    /* freed meanwhile: what follows is not read, and feeding ends it */
};

static void channels_free(struct ak_channels *self)
{
    self->ping = ak_timer_free(self->ping);
    self->dead = true;
    if (!self->feeding)
        ak_free(self);
}

static int write_frame(struct ak_channels *self, enum ak_websocket_opcode opcode, int channel,
                       const void *data, size_t len)
{
    uint8_t head[AK_WEBSOCKET_HEAD + 1];
    size_t n = ak_websocket_head(opcode, len + (channel >= 0), head);
    int64_t r;

    if (channel >= 0)
        head[n++] = (uint8_t)channel;
    r = ak_http_upgraded_write(self->connection, head, n);
    if (r >= 0 && len)
        r = ak_http_upgraded_write(self->connection, data, len);
    return r < 0 ? (int)r : r > AK_CHANNELS_FULL ? 1 : 0;
}

int ak_channels_send(struct ak_channels *self, enum ak_channel channel, const char *data,
                     size_t len)
{
    int r = 0;

    while (len && r >= 0) {
        size_t n = AK_MIN(len, (size_t)PIECE);

        r = write_frame(self, AK_WEBSOCKET_BINARY, (int)channel, data, n);
        data += n;
        len -= n;
    }
    self->full |= r == 1;
    return r;
}

static void take_size(struct ak_channels *self)
{
    AK_AUTO_JSON *tree = NULL;
    json_int_t width, height;

    if (ak_json_parse(self->size, self->size_len, &tree, NULL) < 0)
        return;
    width = json_integer_value(json_object_get(tree, "Width"));
    height = json_integer_value(json_object_get(tree, "Height"));
    if (width > 0 && height > 0 && width <= UINT16_MAX && height <= UINT16_MAX)
        self->ops->size((unsigned)width, (unsigned)height, self->user);
}

static int on_piece(const uint8_t *data, size_t len, bool first, bool last, void *user)
{
    struct ak_channels *self = user;
    bool more = true;

    if (first)
        self->channel = -1;
    if (self->channel < 0 && len) {
        self->channel = *data++;
        len--;
        self->size_len = 0;
    }
    if (self->channel == AK_CHANNEL_IN && len && !self->ended)
        more = self->ops->input((const char *)data, len, self->user);
    if (self->channel == AK_CHANNEL_SIZE && len <= sizeof(self->size) - self->size_len) {
        memcpy(self->size + self->size_len, data, len);
        self->size_len += len;
        if (last)
            take_size(self);
    }
    if (self->channel == CLOSE_CHANNEL && len && *data == AK_CHANNEL_IN && !self->ended) {
        self->ended = true;
        self->ops->end_of_input(self->user);
    }
    self->paused |= !more;
    return more && !self->dead ? 0 : 1;
}

static int on_ping(const uint8_t *data, size_t len, void *user)
{
    return write_frame(user, AK_WEBSOCKET_PONG, -1, data, len) < 0 ? AK_E_PROTOCOL : 0;
}

static void on_closed(uint16_t code, void *user)
{
    (void)code;
    (void)user; /* on_input() sees it */
}

static const struct ak_websocket_server_ops ws_ops = {on_piece, on_ping, on_closed};

static void close_with(struct ak_channels *self, uint16_t code)
{
    uint8_t data[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    (void)!write_frame(self, AK_WEBSOCKET_CLOSE, -1, data, sizeof(data));
    ak_http_upgraded_close(self->connection, PATIENCE);
    self->connection = NULL;
}

static size_t on_input(const char *data, size_t len, void *user)
{
    struct ak_channels *self = user;
    ssize_t n;

    if (self->paused)
        return 0;
    self->feeding = true;
    n = ak_websocket_server_feed(&self->ws, data, len, NULL);
    self->feeding = false;
    if (self->dead) {
        ak_free(self);
        return len;
    }
    if (n >= 0 && !self->ws.is_closed)
        return (size_t)n;
    const struct ak_channels_ops *ops = self->ops;
    void *owner = self->user;

    close_with(self, n < 0 ? PROTOCOL_ERROR : NORMAL);
    channels_free(self);
    ops->gone(owner);
    return len;
}

static void on_drained(void *user)
{
    struct ak_channels *self = user;

    if (!self->full)
        return;
    self->full = false;
    self->ops->room(self->user);
}

static void on_gone(void *user)
{
    struct ak_channels *self = user;
    const struct ak_channels_ops *ops = self->ops;
    void *owner = self->user;

    channels_free(self);
    ops->gone(owner);
}

static const struct ak_http_upgraded_ops upgraded_ops = {
    .input = on_input, .drained = on_drained, .closed = on_gone, .low_water = 64u << 10};

static void on_ping_timer(void *user)
{
    struct ak_channels *self = user;

    (void)!write_frame(self, AK_WEBSOCKET_PING, -1, NULL, 0);
    ak_timer_set(self->ping, PING_EVERY);
}

/* Is it among those that the client offers? */
static bool offers(const char *list)
{
    size_t len = strlen(PROTOCOL);

    for (const char *at = list; at && (at = strstr(at, PROTOCOL)); at += len)
        if ((at == list || strchr(" ,\t", at[-1])) && (!at[len] || strchr(" ,\t", at[len])))
            return true;
    return false;
}

int ak_channels_open(struct ak_http_exchange *ex, struct ak_loop *loop,
                     const struct ak_channels_ops *ops, void *user, struct ak_channels **ret,
                     struct ak_error **reterr)
{
    char accept[64] = "Sec-WebSocket-Accept: ";
    const char *const lines[] = {accept, "Sec-WebSocket-Protocol: " PROTOCOL, NULL};
    struct ak_channels *self;
    int r;

    if (!ak_http_wants_upgrade(ex, "websocket") ||
        !ak_streq(ak_http_header(ex, "Sec-WebSocket-Version"), "13") ||
        ak_websocket_accept(ak_http_header(ex, "Sec-WebSocket-Key"), accept + strlen(accept)) < 0)
        return ak_error_set(reterr, -EINVAL, "a WebSocket (version 13) must be asked for");
    if (!offers(ak_http_header(ex, "Sec-WebSocket-Protocol")))
        return ak_error_set(reterr, -EINVAL, "the WebSocket's protocol must be " PROTOCOL);
    self = ak_new0(struct ak_channels);
    if (self)
        self->ping = ak_timer_new(loop, on_ping_timer, self);
    if (!self || !self->ping) {
        ak_free(self);
        return ak_error_oom(reterr);
    }
    self->ops = ops;
    self->user = user;
    self->channel = -1;
    ak_websocket_server_init(&self->ws, &ws_ops, self);
    r = ak_http_upgrade(ex, "websocket", lines, &upgraded_ops, self, &self->connection);
    if (r < 0) {
        channels_free(self);
        return ak_error_set(reterr, r, "upgrade: %s", ak_code_text(r));
    }
    ak_timer_set(self->ping, PING_EVERY);
    *ret = self;
    return 0;
}

void ak_channels_resume(struct ak_channels *self)
{
    if (self->paused)
        ak_http_upgraded_resume(self->connection);
    self->paused = false;
}

void ak_channels_finish(struct ak_channels *self, const char *status)
{
    (void)!write_frame(self, AK_WEBSOCKET_BINARY, AK_CHANNEL_STATUS, status, strlen(status));
    close_with(self, NORMAL);
    channels_free(self);
}
