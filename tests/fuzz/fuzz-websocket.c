/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a WebSocket's server. The first byte says in how large steps the rest arrives; whatever the steps are, the
 * same messages must come out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/net/websocket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note_message(bool text, const void *data, size_t len, void *user)
{
    uint64_t *sum = user;

    *sum = ak_hash_bytes(*sum + text, data, len);
    return 0;
}

/* How it ends is not compared: wslay 1.1.1 finds bytes that are not UTF-8 in the reason of a close only if they come in
 * one piece with its code. Either way nothing follows. */
static void note_closed(uint16_t code, const char *reason, size_t len, void *user)
{
    (void)code;
    (void)user;
    (void)ak_hash_bytes(0, reason, len); /* it can be read */
}

static void run(const char *data, size_t len, size_t step, uint64_t *ret_sum)
{
    static const struct ak_websocket_ops ops = {note_message, note_closed};
    struct ak_websocket *ws = NULL;
    int r = ak_websocket_new(&ops, ret_sum, 4096, &ws, NULL);

    for (size_t at = 0; r >= 0 && at < len; at += step)
        r = ak_websocket_feed(ws, data + at, len - at < step ? len - at : step, NULL);
    (void)ak_websocket_free(ws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole = AK_HASH_SEED, pieces = AK_HASH_SEED;
    size_t step = size ? (size_t)data[0] % 16 + 1 : 1;
    const char *text = (const char *)data + (size ? 1 : 0);
    size_t len = size ? size - 1 : 0;

    run(text, len, len ? len : 1, &whole);
    run(text, len, step, &pieces);
    if (whole != pieces)
        abort();
    return 0;
}
