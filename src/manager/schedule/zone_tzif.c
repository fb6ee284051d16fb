/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TZif files. The first block has 32-bit times for old readers and is skipped; the second has
 * 64-bit times; the footer rules the time after it. The bytes are not trusted.
 */
#include "manager/schedule/zone_internal.h"

#include <ak/base/alloc.h>
#include <string.h>

#define HEADER_BYTES 44
#define MIN_OFFSET (-90000) /* exclusive; RFC 8536, 3.2 */
#define MAX_OFFSET 93600
#define TYPE_BYTES 6 /* int32 offset, is-DST, name index */

struct counts {
    uint32_t isut;
    uint32_t isstd;
    uint32_t leap;
    uint32_t time;
    uint32_t type;
    uint32_t chars;
};

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t read_i64(const uint8_t *p)
{
    return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4));
}

static uint64_t block_bytes(const struct counts *n, uint64_t time_bytes)
{
    return n->time * time_bytes + n->time + (uint64_t)n->type * TYPE_BYTES + n->chars +
           n->leap * (time_bytes + 4) + n->isstd + n->isut;
}

/* Checks the header at `data` and that its block fits; the block begins behind it. */
static bool read_header(const uint8_t *data, size_t len, uint64_t time_bytes, struct counts *ret)
{
    if (len < HEADER_BYTES || memcmp(data, "TZif", 4) != 0 || data[4] < '2')
        return false;
    ret->isut = read_u32(data + 20);
    ret->isstd = read_u32(data + 24);
    ret->leap = read_u32(data + 28);
    ret->time = read_u32(data + 32);
    ret->type = read_u32(data + 36);
    ret->chars = read_u32(data + 40);
    return block_bytes(ret, time_bytes) <= len - HEADER_BYTES;
}

static bool offset_of_type(const uint8_t *types, uint32_t index, int32_t *ret)
{
    int32_t offset = (int32_t)read_u32(types + (size_t)index * TYPE_BYTES);

    if (offset <= MIN_OFFSET || offset >= MAX_OFFSET)
        return false;
    *ret = offset;
    return true;
}

static int read_transitions(struct ak_zone *zone, const uint8_t *block, const struct counts *n,
                            struct ak_error **reterr)
{
    const uint8_t *indexes = block + (size_t)n->time * 8;
    const uint8_t *types = indexes + n->time;

    if (!offset_of_type(types, 0, &zone->first_offset))
        return ak_error_set(reterr, -EINVAL, "the time zone file has an impossible offset");
    zone->times = ak_calloc((size_t)n->time + 1, sizeof(*zone->times));
    zone->offsets = ak_calloc((size_t)n->time + 1, sizeof(*zone->offsets));
    if (!zone->times || !zone->offsets)
        return ak_error_oom(reterr);
    for (uint32_t i = 0; i < n->time; i++) {
        zone->times[i] = read_i64(block + (size_t)i * 8);
        if (i > 0 && zone->times[i] <= zone->times[i - 1])
            return ak_error_set(reterr, -EINVAL, "the time zone file is not in order");
        if (indexes[i] >= n->type || !offset_of_type(types, indexes[i], &zone->offsets[i]))
            return ak_error_set(reterr, -EINVAL, "the time zone file has an impossible offset");
    }
    zone->n_times = n->time;
    return 0;
}

static int read_footer(struct ak_zone *zone, const uint8_t *data, size_t len,
                       struct ak_error **reterr)
{
    const uint8_t *end = NULL;

    if (len >= 2 && data[0] == '\n')
        end = memchr(data + 1, '\n', len - 1);
    if (!end)
        return ak_error_set(reterr, -EINVAL, "the time zone file has no footer");
    return ak__zone_rule_parse((const char *)data + 1, (size_t)(end - data - 1), &zone->rule,
                               reterr);
}

int ak_zone_parse(const void *data, size_t len, struct ak_zone **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    struct counts n = {0};
    const uint8_t *at = data;
    size_t block = 0;
    int r = 0;

    if (len > AK_ZONE_MAX_BYTES)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the time zone file is too large");
    if (!read_header(at, len, 4, &n))
        return ak_error_set(reterr, -EINVAL, "not a time zone file of version 2 or newer");
    block = HEADER_BYTES + (size_t)block_bytes(&n, 4);
    at += block;
    len -= block;
    if (!read_header(at, len, 8, &n) || n.type == 0)
        return ak_error_set(reterr, -EINVAL, "the time zone file is cut short or damaged");
    if (n.leap > 0)
        return ak_error_set(reterr, -EINVAL,
                            "time zones that count leap seconds are not supported");

    zone = ak_new0(struct ak_zone);
    if (!zone)
        return ak_error_oom(reterr);
    r = read_transitions(zone, at + HEADER_BYTES, &n, reterr);
    if (r < 0)
        return r;
    block = HEADER_BYTES + (size_t)block_bytes(&n, 8);
    r = read_footer(zone, at + block, len - block, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(zone);
    return 0;
}
