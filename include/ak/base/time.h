/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One type for time spans and points: milliseconds. Points are on the monotonic clock unless the
 * name says wall. A struct ak_clock is a parameter wherever time decides something, so that tests
 * move it by hand.
 */
#ifndef AK_BASE_TIME_H
#define AK_BASE_TIME_H

#include <ak/base/compiler.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t ak_msec;
#define AK_MSEC_NEVER INT64_MAX
#define AK_SECONDS(n) ((ak_msec)(n)*1000)
#define AK_MINUTES(n) ((ak_msec)(n)*60 * 1000)
#define AK_HOURS(n) ((ak_msec)(n)*3600 * 1000)

struct ak_clock {
    ak_msec (*monotonic)(void *user);
    ak_msec (*wall)(void *user); /* since 1970-01-01T00:00:00Z */
    void *user;
};
AK_PUBLIC const struct ak_clock *ak_clock_system(void);
static inline ak_msec ak_clock_now(const struct ak_clock *c)
{
    return c->monotonic(c->user);
}
static inline ak_msec ak_clock_wall(const struct ak_clock *c)
{
    return c->wall(c->user);
}
AK_PUBLIC ak_msec ak_now(void);      /* system monotonic */
AK_PUBLIC ak_msec ak_wall_now(void); /* system wall clock */

#define AK_RFC3339_SIZE 32
/* metav1.Time: "2026-11-22T12:00:00Z". */
AK_PUBLIC const char *ak_format_rfc3339(ak_msec wall, char buf[static AK_RFC3339_SIZE]);
/* metav1.MicroTime: "2026-11-22T12:00:00.123000Z". */
AK_PUBLIC const char *ak_format_rfc3339_micro(ak_msec wall, char buf[static AK_RFC3339_SIZE]);
/* Any RFC 3339 time, offset and fraction included. 0 or -EINVAL. */
AK_PUBLIC AK_MUST_USE int ak_parse_rfc3339(const char *s, ak_msec *ret_wall);

#endif
