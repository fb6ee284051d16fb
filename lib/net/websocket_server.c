/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/websocket_server.h>

#include <openssl/evp.h>
#include <string.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */
#define KEY 24                                      /* 16 bytes in base64 */
#define PIECE 8192                                  /* bytes that are unmasked at a time */
#define NO_CODE 1005

/* --- the handshake --- */

static bool is_key(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return text && strlen(text) == KEY && strspn(text, digits) == KEY - 2 && text[KEY - 2] == '=' &&
           text[KEY - 1] == '=';
}

int ak_websocket_accept(const char *key, char ret[static AK_WEBSOCKET_ACCEPT])
{
    char text[KEY + sizeof(GUID)];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (!is_key(key))
        return -EINVAL;
    memcpy(text, key, KEY);
    memcpy(text + KEY, GUID, sizeof(GUID));
    /* SHA-1 is what the protocol says; it proves only that the peer speaks it. */
    if (EVP_Digest(text, KEY + sizeof(GUID) - 1, digest, &len, EVP_sha1(), NULL) != 1)
        return -ENOMEM;
    (void)EVP_EncodeBlock((unsigned char *)ret, digest, (int)len);
    return 0;
}

/* --- to the client --- */

size_t ak_websocket_head(enum ak_websocket_opcode opcode, uint64_t len,
                         uint8_t ret[static AK_WEBSOCKET_HEAD])
{
    size_t n = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

    ret[0] = (uint8_t)(0x80u | (unsigned)opcode);
    ret[1] = (uint8_t)(n == 0 ? len : n == 2 ? 126 : 127);
    for (size_t i = 0; i < n; i++)
        ret[2 + i] = (uint8_t)(len >> (8 * (n - 1 - i)));
    return 2 + n;
}

/* --- from the client --- */

void ak_websocket_server_init(struct ak_websocket_server *self,
                              const struct ak_websocket_server_ops *ops, void *user)
{
    *self = (struct ak_websocket_server){.ops = ops, .user = user};
}

static unsigned opcode_of(const struct ak_websocket_server *self)
{
    return self->head[0] & 0x0fu;
}

static bool is_control(const struct ak_websocket_server *self)
{
    return opcode_of(self) >= AK_WEBSOCKET_CLOSE;
}

static size_t head_size(const struct ak_websocket_server *self)
{
    unsigned len = self->head[1] & 0x7fu;

    return 2 + 4 + (len == 126 ? 2 : len == 127 ? 8 : 0);
}

static uint64_t payload_len(const struct ak_websocket_server *self)
{
    uint64_t len = self->head[1] & 0x7fu;
    size_t n = head_size(self) - 6;

    if (n)
        len = 0;
    for (size_t i = 0; i < n; i++)
        len = len << 8 | self->head[2 + i];
    return len;
}

/* What a client may not send; NULL: all is well. */
static const char *fault_of(const struct ak_websocket_server *self, uint64_t len)
{
    unsigned opcode = opcode_of(self);
    bool fin = self->head[0] & 0x80;
    size_t n = head_size(self) - 6;

    if (self->head[0] & 0x70)
        return "an extension that was not agreed on";
    if (!(self->head[1] & 0x80))
        return "a frame that is not masked";
    if ((n == 2 && len < 126) || (n == 8 && (len <= UINT16_MAX || len >> 63)))
        return "a length that is not the shortest";
    if (is_control(self) && (opcode > AK_WEBSOCKET_PONG || !fin || len > AK_WEBSOCKET_CONTROL))
        return "a wrong control frame";
    if (is_control(self))
        return NULL;
    if (opcode == AK_WEBSOCKET_TEXT)
        return "a text message";
    if (opcode > AK_WEBSOCKET_BINARY)
        return "an unknown kind of frame";
    if ((opcode == AK_WEBSOCKET_CONTINUATION) != self->in_message)
        return "a message inside of another one";
    return NULL;
}

static int begin_frame(struct ak_websocket_server *self, struct ak_error **reterr)
{
    uint64_t len = payload_len(self);
    const char *fault = fault_of(self, len);

    if (fault)
        return ak_error_set(reterr, AK_E_PROTOCOL, "the WebSocket client sent %s", fault);
    self->left = len;
    self->masked = 0;
    self->control_len = 0;
    self->in_payload = true;
    if (!is_control(self) && !self->in_message)
        self->in_message = self->first = true;
    return 0;
}

static int end_control(struct ak_websocket_server *self)
{
    unsigned opcode = opcode_of(self);
    uint16_t code = NO_CODE;

    if (opcode == AK_WEBSOCKET_PING)
        return self->ops->ping(self->control, self->control_len, self->user);
    if (opcode != AK_WEBSOCKET_CLOSE)
        return 0;
    if (self->control_len >= 2)
        code = (uint16_t)(self->control[0] << 8 | self->control[1]);
    self->is_closed = true;
    self->ops->closed(code, self->user);
    return 0;
}

/* `data` is unmasked. What was given out may end the frame. */
static int give(struct ak_websocket_server *self, const uint8_t *data, size_t len)
{
    bool first = self->first, last = self->left == 0 && (self->head[0] & 0x80);
    int r = 0;

    if (is_control(self)) {
        memcpy(self->control + self->control_len, data, len);
        self->control_len += len;
        if (self->left)
            return 0;
        self->in_payload = false;
        self->head_len = 0;
        return end_control(self);
    }
    if (self->left == 0) {
        self->in_payload = false;
        self->head_len = 0;
    }
    self->in_message = !last;
    /* A frame without bytes in the middle of a message says nothing. */
    if (len || (first && last) || last) {
        self->first = false;
        r = self->ops->piece(data, len, first, last, self->user);
    }
    return r;
}

static size_t unmask(struct ak_websocket_server *self, const uint8_t *data, size_t len,
                     uint8_t *out)
{
    const uint8_t *mask = self->head + head_size(self) - 4;

    for (size_t i = 0; i < len; i++)
        out[i] = data[i] ^ mask[(self->masked + i) & 3u];
    self->masked = (unsigned)((self->masked + len) & 3u);
    self->left -= len;
    return len;
}

static size_t add_head(struct ak_websocket_server *self, const uint8_t *data, size_t len)
{
    size_t want = self->head_len < 2 ? 2 : head_size(self);
    size_t n = AK_MIN(want - self->head_len, len);

    memcpy(self->head + self->head_len, data, n);
    self->head_len += n;
    return n;
}

ssize_t ak_websocket_server_feed(struct ak_websocket_server *self, const void *data, size_t len,
                                 struct ak_error **reterr)
{
    const uint8_t *in = data;
    uint8_t piece[PIECE];
    size_t at = 0;
    int r = 0;

    while (r == 0 && at < len && !self->is_closed) {
        if (!self->in_payload) {
            at += add_head(self, in + at, len - at);
            /* Without a mask the head is shorter than what is waited for, and the fault is plain. */
            if (self->head_len < 2 || (self->head_len < head_size(self) && (self->head[1] & 0x80)))
                continue;
            r = begin_frame(self, reterr);
            if (r < 0)
                return r;
            if (self->left == 0)
                r = give(self, piece, 0);
        } else {
            size_t n = AK_MIN(len - at, sizeof(piece));

            n = unmask(self, in + at, (size_t)AK_MIN(n, self->left), piece);
            at += n;
            r = give(self, piece, n);
        }
    }
    if (r < 0)
        return ak_error_set(reterr, r, "%s", ak_code_text(r));
    return (ssize_t)(self->is_closed ? len : at);
}
