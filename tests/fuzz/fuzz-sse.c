/* SPDX-License-Identifier: Apache-2.0 */
/* Event streams. The first byte says in how large steps the rest arrives; whatever the steps are, the
 * same events must come out, and what comes out, written again, must come out once more. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/buf.h>
#include <ak/net/sse.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int note(const struct ak_sse_event *event, void *user)
{
    if (strlen(event->type) > AK_SSE_MAX_NAME || strlen(event->id) > AK_SSE_MAX_NAME ||
        event->data[event->len] != '\0')
        abort();
    return ak_sse_write(user, event->type, event->id, event->data, event->len);
}

static int run(const char *data, size_t len, size_t step, struct ak_buf *out)
{
    struct ak_sse_parser p;
    int r = 0;

    ak_sse_parser_init(&p, 4096);
    for (size_t at = 0; r >= 0 && at < len; at += step)
        r = ak_sse_parser_feed(&p, data + at, len - at < step ? len - at : step, note, out);
    ak_sse_parser_done(&p);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ak_buf whole = {.max = 8u << 20}, pieces = {.max = 8u << 20}, again = {.max = 8u << 20};
    size_t step = size ? (size_t)data[0] % 16 + 1 : 1;
    const char *text = (const char *)data + (size ? 1 : 0);
    size_t len = size ? size - 1 : 0;
    int r = run(text, len, len ? len : 1, &whole);

    if (run(text, len, step, &pieces) != r ||
        strcmp(ak_buf_text(&whole), ak_buf_text(&pieces)) != 0 || whole.len != pieces.len)
        abort();
    if (run(ak_buf_text(&whole), whole.len, 7, &again) < 0 || again.len != whole.len ||
        memcmp(ak_buf_text(&again), ak_buf_text(&whole), whole.len) != 0)
        abort();
    ak_buf_done(&whole);
    ak_buf_done(&pieces);
    ak_buf_done(&again);
    return 0;
}
