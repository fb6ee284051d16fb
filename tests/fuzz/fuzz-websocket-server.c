/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a WebSocket's client. The first byte says in how large steps the rest arrives; whatever the steps
 * are, the same messages must come out, and the same end. */
#include <stdint.h>
#include <stdlib.h>

#include <ak/base/text.h>
#include <ak/net/websocket_server.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t data;
    unsigned begun, ended, pings, closed;
};

static int on_piece(const uint8_t *data, size_t len, bool first, bool last, void *user)
{
    struct sum *sum = user;

    sum->begun += first;
    for (size_t i = 0; i < len; i++)
        sum->data = ak_hash_bytes(sum->data, data + i, 1);
    sum->ended += last;
    if (sum->begun - sum->ended > 1)
        abort();
    return 0;
}

static int on_ping(const uint8_t *data, size_t len, void *user)
{
    struct sum *sum = user;

    sum->pings++;
    if (len > AK_WEBSOCKET_CONTROL)
        abort();
    sum->data = ak_hash_bytes(sum->data, data, len);
    return 0;
}

static void on_closed(uint16_t code, void *user)
{
    struct sum *sum = user;

    sum->closed++;
    sum->data += code;
}

static int run(const uint8_t *data, size_t len, size_t step, struct sum *sum)
{
    static const struct ak_websocket_server_ops ops = {on_piece, on_ping, on_closed};
    struct ak_websocket_server ws;
    ssize_t r = 0;

    ak_websocket_server_init(&ws, &ops, sum);
    for (size_t at = 0; r >= 0 && at < len; at += step)
        r = ak_websocket_server_feed(&ws, data + at, AK_MIN(step, len - at), NULL);
    return r < 0 ? (int)r : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole = {0}, pieces = {0};
    size_t step = size ? (size_t)data[0] % 16 + 1 : 1;
    size_t len = size ? size - 1 : 0;
    const uint8_t *bytes = data + (size ? 1 : 0);
    int a = run(bytes, len, len ? len : 1, &whole), b = run(bytes, len, step, &pieces);

    if (a != b || whole.data != pieces.data || whole.ended != pieces.ended ||
        whole.pings != pieces.pings || whole.closed != pieces.closed || whole.closed > 1)
        abort();
    return 0;
}
