/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IANA time zones, read from TZif files (RFC 8536, version 2 and newer, footer included). Our own
 * reader, because libc knows one zone per process and changing it is not safe with threads.
 *
 *     AK_AUTO_PTR(ak_zone) zone = NULL;
 *     r = ak_zone_load("/usr/share/zoneinfo", "Europe/Berlin", &zone, reterr);
 *     struct ak_zone_span span;
 *     ak_zone_at(zone, unix_seconds, &span);      local time = unix_seconds + span.offset
 *
 * A zone does not change once made. Thread: any. Limit: files of AK_ZONE_MAX_BYTES.
 */
#ifndef AK_SCHEDULE_ZONE_H
#define AK_SCHEDULE_ZONE_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <stddef.h>
#include <stdint.h>

#define AK_ZONE_DIR "/usr/share/zoneinfo"
#define AK_ZONE_MAX_BYTES (256u << 10) /* the largest real ones have 4 KiB */
#define AK_ZONE_MAX_NAME 128

struct ak_zone;

struct ak_zone_span {
    int64_t offset; /* seconds east of UTC */
    int64_t until;  /* first second for which the offset may be another; INT64_MAX: never */
};

struct ak_zone *ak_zone_free(struct ak_zone *self); /* returns NULL */
AK_DEFINE_AUTO_PTR(ak_zone, ak_zone_free)

/*
 * Reads the zone `name` below `dir`. "UTC" needs no file. The name comes from a manifest: it cannot
 * leave `dir`, and names that mean "the zone of this machine" are refused.
 * -EINVAL: no such zone, or not a zone name; other codes: the file could not be read or is damaged.
 */
AK_MUST_USE int ak_zone_load(const char *dir, const char *name, struct ak_zone **ret,
                             struct ak_error **reterr);
/* The same from the bytes of a TZif file. -EINVAL if they are none. */
AK_MUST_USE int ak_zone_parse(const void *data, size_t len, struct ak_zone **ret,
                              struct ak_error **reterr);
/* The offset at a point in time. A NULL zone is UTC. */
void ak_zone_at(const struct ak_zone *self, int64_t unix_s, struct ak_zone_span *ret);

#endif
