/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.json and events.jsonl as an agent may have left them: a record holds only what may be in one, and a
 * stream of events holds no line that an event could not, in pieces of any size the same.
 */
#include "agentlet/runs/follower.h"
#include "agentlet/runs/record.h"

#include <ak/json/json.h>
#include <ak/net/sse.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT 65536

static void read_record(const char *text, size_t len)
{
    AK_AUTO_JSON *record = NULL;
    struct ak_record_private private;

    if (ak_record_parse(text, len, "x", &record, &private) < 0)
        return;
    if (!json_is_string(json_object_get(record, "phase")) ||
        ak_record_time(record, "queuedTime") == 0 ||
        json_string_length(json_object_get(record, "result")) > AK_RECORD_MAX_RESULT ||
        json_array_size(json_object_get(record, "steps")) > AK_REQUEST_MAX_STEPS)
        abort();
}

static void stream(const char *text, size_t len, size_t step, struct ak_buf *out)
{
    struct ak_event_stream self = {0};
    size_t at = 0;
    int64_t n = 1;

    while (n > 0) {
        n = ak_event_stream_feed(&self, text + at, AK_MIN(step, len - at), out);
        if (n < 0)
            abort();
        at += (size_t)n;
    }
}

/* The first event's type and number are ours, whatever the data is. */
static int check_event(const struct ak_sse_event *event, void *user)
{
    (void)user;
    if (strspn(event->type, "abcdefghijklmnopqrstuvwxyz_") != strlen(event->type) ||
        strspn(event->id, "0123456789") != strlen(event->id) ||
        memchr(event->data, '\n', event->len))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO(ak_buf) whole = AK_BUF_INIT(MAX_INPUT * 16);
    AK_AUTO(ak_buf) pieces = AK_BUF_INIT(MAX_INPUT * 16);
    AK_AUTO(ak_sse_parser) parser;

    if (size > MAX_INPUT)
        size = MAX_INPUT;
    read_record((const char *)data, size);
    stream((const char *)data, size, SIZE_MAX, &whole);
    stream((const char *)data, size, AK_EVENTS_MAX_HEAD, &pieces);
    ak_sse_parser_init(&parser, MAX_INPUT * 16);
    if (ak_sse_parser_feed(&parser, ak_buf_text(&whole), whole.len, check_event, NULL) < 0)
        abort();
    /* What is not complete yet may have been sent in one and not in the other. */
    if (memcmp(ak_buf_text(&whole), ak_buf_text(&pieces), AK_MIN(whole.len, pieces.len)) != 0)
        abort();
    return 0;
}
