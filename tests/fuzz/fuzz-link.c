/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes over the link between serve and client. The first byte says whose bytes they are; the reader is
 * fed with all of the rest at once and byte by byte, and must see the same frames. A START that is read is
 * one that could be written.
 */
#include "bastion/link.h"

#include <stdlib.h>
#include <string.h>

#include <ak/base/text.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t frames, bytes;
    uint64_t sum;
    int code;
};

static void check_start(const struct ak_link_frame *frame)
{
    AK_AUTO(ak_arena) arena = {0};
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4 * AK_LINK_START);
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_link_start start, again;

    ak_arena_init(&arena, 4096, 8 * AK_LINK_START);
    if (ak_link_read_start(frame->data, frame->len, &arena, &start, &err) < 0) {
        if (!err)
            abort();
        return;
    }
    if (!start.command.argv[0] || !start.command.cwd || start.command.n_files > AK_CLIENT_MAX_FILES)
        abort();
    for (size_t i = 0; i < start.command.n_files; i++)
        if (!ak_has_prefix(start.command.files[i].path, "/tmp/") ||
            strstr(start.command.files[i].path, "/../"))
            abort();
    if (ak_link_write_start(&start, &text, NULL) < 0)
        return; /* a file that is larger than what serve sends */
    if (ak_link_read_start(text.data, text.len, &arena, &again, NULL) < 0 ||
        again.command.n_files != start.command.n_files)
        abort();
}

static struct seen feed(const uint8_t *data, size_t size, size_t piece, bool from_serve)
{
    AK_AUTO(ak_link_reader) reader = {0};
    struct seen seen = {0};

    ak_link_reader_init(&reader, from_serve);
    for (size_t at = 0; at < size;) {
        AK_AUTO_PTR(ak_error) err = NULL;
        struct ak_link_frame frame;
        bool ready = false;
        ssize_t n =
            ak_link_read(&reader, data + at, AK_MIN(piece, size - at), &frame, &ready, &err);

        if (n < 0) {
            if (!err)
                abort();
            seen.code = (int)n;
            break;
        }
        if (n == 0)
            abort();
        at += (size_t)n;
        if (!ready)
            continue;
        seen.frames++;
        seen.bytes += frame.len;
        for (size_t i = 0; i < frame.len; i++)
            seen.sum = seen.sum * 31 + frame.data[i];
        if (frame.type == AK_LINK_START_PROGRAM && piece == size)
            check_start(&frame);
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct seen whole = feed(data + 1, size - 1, size - 1, data[0] & 1);
    const struct seen bytes = feed(data + 1, size - 1, 1, data[0] & 1);

    if (whole.frames != bytes.frames || whole.bytes != bytes.bytes || whole.sum != bytes.sum ||
        whole.code != bytes.code)
        abort();
    return 0;
}
