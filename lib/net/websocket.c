/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/websocket.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/websocket_server.h>

#define NONCE 16        /* bytes, RFC 6455 section 4.1 */
#define OUT_MARGIN 4096 /* beyond what send() lets in: answers to pings, a close */

struct ak_websocket {
    const struct ak_websocket_ops *ops;
    void *user;
    struct wslay_event_context *ctx;
    const uint8_t *in; /* what feed() was given and wslay has not read yet */
    size_t in_len;
    struct ak_buf out;
    int failed;
};

/* --- the handshake --- */

int ak_websocket_key(char ret[static AK_WEBSOCKET_KEY], struct ak_error **reterr)
{
    unsigned char nonce[NONCE];

    if (RAND_bytes(nonce, sizeof(nonce)) != 1)
        return ak_error_set(reterr, -EIO, "no random numbers");
    (void)EVP_EncodeBlock((unsigned char *)ret, nonce, sizeof(nonce));
    return 0;
}

bool ak_websocket_is_accepted(const char *key, const char *accept)
{
    char wanted[AK_WEBSOCKET_ACCEPT];

    return accept && ak_websocket_accept(key, wanted) >= 0 && ak_streq(wanted, accept);
}

/* --- what wslay calls --- */

static ssize_t on_recv(struct wslay_event_context *ctx, uint8_t *data, size_t len, int flags,
                       void *user)
{
    struct ak_websocket *self = user;
    size_t n = AK_MIN(len, self->in_len);

    (void)flags;
    if (n == 0 || self->failed < 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(data, self->in, n);
    self->in += n;
    self->in_len -= n;
    return (ssize_t)n;
}

static ssize_t on_send(struct wslay_event_context *ctx, const uint8_t *data, size_t len, int flags,
                       void *user)
{
    struct ak_websocket *self = user;

    (void)flags;
    if (ak_buf_add(&self->out, data, len) >= 0)
        return (ssize_t)len;
    wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static int on_mask(struct wslay_event_context *ctx, uint8_t *data, size_t len, void *user)
{
    (void)ctx;
    (void)user;
    return getrandom(data, len, 0) == (ssize_t)len ? 0 : -1;
}

static void on_message(struct wslay_event_context *ctx,
                       const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct ak_websocket *self = user;
    const char *data = arg->msg ? (const char *)arg->msg : ""; /* none: no bytes */
    int r = 0;

    if (self->failed < 0)
        return;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
        size_t skip = AK_MIN(arg->msg_length, 2u); /* the code in front of the reason */

        if (self->ops->closed)
            self->ops->closed(arg->status_code ? arg->status_code : WSLAY_CODE_NO_STATUS_RCVD,
                              data + skip, arg->msg_length - skip, self->user);
    } else if (arg->opcode == WSLAY_TEXT_FRAME || arg->opcode == WSLAY_BINARY_FRAME) {
        r = self->ops->message(arg->opcode == WSLAY_TEXT_FRAME, data, arg->msg_length, self->user);
    }
    if (r < 0) {
        self->failed = r;
        wslay_event_shutdown_read(ctx);
    }
}

/* --- the connection --- */

struct ak_websocket *ak_websocket_free(struct ak_websocket *self)
{
    if (!self)
        return NULL;
    if (self->ctx)
        wslay_event_context_free(self->ctx);
    ak_buf_done(&self->out);
    ak_free(self);
    return NULL;
}

int ak_websocket_new(const struct ak_websocket_ops *ops, void *user, size_t max_message,
                     struct ak_websocket **ret, struct ak_error **reterr)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .genmask_callback = on_mask,
                                                           .on_msg_recv_callback = on_message};
    AK_AUTO_PTR(ak_websocket) self = ak_new0(struct ak_websocket);

    if (!self)
        return ak_error_oom(reterr);
    self->ops = ops;
    self->user = user;
    self->out.max = AK_WEBSOCKET_MAX_OUT + OUT_MARGIN;
    if (wslay_event_context_client_init(&self->ctx, &callbacks, self) != 0)
        return ak_error_oom(reterr);
    wslay_event_config_set_max_recv_msg_length(self->ctx, max_message ? max_message
                                                                      : AK_WEBSOCKET_MAX_MESSAGE);
    *ret = AK_TAKE(self);
    return 0;
}

static int flush(struct ak_websocket *self)
{
    return wslay_event_want_write(self->ctx) && wslay_event_send(self->ctx) != 0 ? -ENOMEM : 0;
}

/* After an error of the peer's wslay queues a close with its code, and reads no more. */
static int judge(struct ak_websocket *self, struct ak_error **reterr)
{
    uint16_t code = wslay_event_get_status_code_sent(self->ctx);

    if (wslay_event_get_read_enabled(self->ctx) || wslay_event_get_close_received(self->ctx))
        return 0;
    if (code == WSLAY_CODE_MESSAGE_TOO_BIG)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "a message of the WebSocket is too large");
    return ak_error_set(reterr, AK_E_PROTOCOL, "the peer broke the WebSocket protocol");
}

int ak_websocket_feed(struct ak_websocket *self, const void *data, size_t len,
                      struct ak_error **reterr)
{
    int r;

    self->in = data;
    self->in_len = len;
    r = wslay_event_get_read_enabled(self->ctx) ? wslay_event_recv(self->ctx) : 0;
    self->in = NULL;
    self->in_len = 0;
    if (self->failed < 0)
        return ak_error_set(reterr, self->failed, "%s", ak_code_text(self->failed));
    if (r == WSLAY_ERR_NOMEM)
        return ak_error_oom(reterr);
    if (r != 0)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the peer broke the WebSocket protocol");
    if (flush(self) < 0)
        return ak_error_oom(reterr);
    /* Pings are answered even while nobody takes the answers. */
    if (self->out.len > AK_WEBSOCKET_MAX_OUT)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the peer asks more than it lets be answered");
    return judge(self, reterr);
}

static int queue(struct ak_websocket *self, uint8_t opcode, const void *data, size_t len)
{
    const struct wslay_event_msg message = {.opcode = opcode, .msg = data, .msg_length = len};
    int r;

    if (len > AK_WEBSOCKET_MAX_OUT || self->out.len > AK_WEBSOCKET_MAX_OUT - len)
        return -ENOBUFS;
    r = wslay_event_queue_msg(self->ctx, &message);
    if (r == WSLAY_ERR_NO_MORE_MSG)
        return -EPIPE;
    return r != 0 ? -ENOMEM : flush(self);
}

int ak_websocket_send(struct ak_websocket *self, bool text, const void *data, size_t len)
{
    return queue(self, text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, data, len);
}

int ak_websocket_ping(struct ak_websocket *self)
{
    return queue(self, WSLAY_PING, NULL, 0);
}

int ak_websocket_close(struct ak_websocket *self, uint16_t code)
{
    int r = wslay_event_queue_close(self->ctx, code, NULL, 0);

    if (r == WSLAY_ERR_NO_MORE_MSG)
        return -EPIPE;
    return r != 0 ? -ENOMEM : flush(self);
}

struct ak_buf *ak_websocket_out(struct ak_websocket *self)
{
    (void)flush(self); /* what did not fit before */
    return &self->out;
}

bool ak_websocket_is_closed(const struct ak_websocket *self)
{
    return wslay_event_get_close_received(self->ctx) && wslay_event_get_close_sent(self->ctx);
}
