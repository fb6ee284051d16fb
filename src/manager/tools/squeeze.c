/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/tools/squeeze.h"

#include <string.h>
#include <zlib.h>

#include <ak/base/alloc.h>
#include <ak/base/error.h>

#define PIECE (16u << 10)
#define END_ROOM 64 /* what the end of the stream takes */

static void *zalloc(void *opaque, uInt items, uInt size)
{
    (void)opaque;
    return ak_calloc(items, size);
}

static void zfree(void *opaque, void *p)
{
    (void)opaque;
    ak_free(p);
}

/* Bytes of the text up to a line's end: about a piece, or what is left. */
static size_t next_piece(const char *text, size_t len)
{
    if (len <= PIECE)
        return len;
    const char *end = memrchr(text, '\n', PIECE);
    if (!end)
        end = memchr(text + PIECE, '\n', len - PIECE);
    return end ? (size_t)(end - text) + 1 : len;
}

static int put(z_stream *z, int flush, struct ak_buf *out)
{
    unsigned char space[PIECE];
    int rc;

    do {
        z->next_out = space;
        z->avail_out = sizeof(space);
        rc = deflate(z, flush);
        if (rc == Z_STREAM_ERROR || ak_buf_add(out, space, sizeof(space) - z->avail_out) < 0)
            return -ENOMEM;
    } while (z->avail_out == 0 || (flush == Z_FINISH && rc != Z_STREAM_END));
    return 0;
}

int ak_squeeze(const char *text, size_t len, size_t max, struct ak_buf *out, size_t *ret_taken)
{
    z_stream z = {.zalloc = zalloc, .zfree = zfree};
    size_t at = 0;
    int r = 0;

    if (deflateInit(&z, Z_BEST_COMPRESSION) != Z_OK)
        return -ENOMEM;
    while (r >= 0 && at < len) {
        size_t n = next_piece(text + at, len - at);
        if (out->len + deflateBound(&z, (uLong)n) + END_ROOM > max)
            break;
        z.next_in = (Bytef *)(uintptr_t)(text + at);
        z.avail_in = (uInt)n;
        r = put(&z, Z_SYNC_FLUSH, out);
        at += n;
    }
    z.next_in = NULL;
    z.avail_in = 0;
    if (r >= 0)
        r = put(&z, Z_FINISH, out);
    (void)deflateEnd(&z);
    if (r < 0)
        return r;
    *ret_taken = at;
    return 0;
}

int ak_unsqueeze(const char *data, size_t len, struct ak_buf *out)
{
    z_stream z = {.zalloc = zalloc,
                  .zfree = zfree,
                  .next_in = (Bytef *)(uintptr_t)data,
                  .avail_in = (uInt)len};
    unsigned char space[PIECE];
    int rc = Z_OK, r = 0;

    if (inflateInit(&z) != Z_OK)
        return -ENOMEM;
    while (r >= 0 && rc == Z_OK) {
        z.next_out = space;
        z.avail_out = sizeof(space);
        rc = inflate(&z, Z_NO_FLUSH);
        if (rc == Z_OK || rc == Z_STREAM_END)
            r = ak_buf_add(out, space, sizeof(space) - z.avail_out);
    }
    (void)inflateEnd(&z);
    if (r < 0)
        return r;
    if (rc == Z_MEM_ERROR)
        return -ENOMEM;
    return rc == Z_STREAM_END ? 0 : AK_E_INVALID;
}
