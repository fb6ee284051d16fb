/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cron expressions with the meaning that Kubernetes' CronJob gives them (robfig/cron's standard
 * parser): five fields, names, ranges, steps, lists, "?" for "*", @hourly ... @yearly and "@every
 * 1h30m".
 *
 *     r = ak_cron_parse(agent->spec.schedule.cron, &cron, reterr);
 *     r = ak_cron_next(&cron, zone, now, created, &next, reterr);
 *
 * A point in time fires if its local minute matches. So, where clocks go forward, times inside the
 * gap do not fire that day; where they go back, times inside the repeated hour fire twice. If both
 * day of month and day of week are restricted, either is enough. Pure, no allocation but for
 * errors. Thread: any.
 */
#ifndef AK_SCHEDULE_CRON_H
#define AK_SCHEDULE_CRON_H

#include "manager/schedule/zone.h"

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>
#include <stdbool.h>
#include <stdint.h>

#define AK_CRON_MAX_LEN 256

/* Times outside of these years are not computed; they keep all arithmetic far from overflow. */
#define AK_CRON_MIN_WALL AK_SECONDS(INT64_C(-62135596800)) /* 0001-01-01T00:00:00Z */
#define AK_CRON_MAX_WALL AK_SECONDS(INT64_C(253402300799)) /* 9999-12-31T23:59:59Z */

struct ak_cron {
    int64_t every_s; /* @every: seconds; 0: the fields below count */
    uint64_t minutes;
    uint64_t hours;
    uint64_t days;     /* bits 1-31 */
    uint64_t months;   /* bits 1-12 */
    uint64_t weekdays; /* bits 0-6, 0 is Sunday */
    bool any_day;      /* the field was "*" or "?": it does not restrict */
    bool any_weekday;
};

/* Messages begin with "spec.schedule.cron: ". An expression that can never fire is -EINVAL too. */
AK_MUST_USE int ak_cron_parse(const char *text, struct ak_cron *ret, struct ak_error **reterr);
/*
 * The first time after `after` at which it fires, in a zone (NULL: UTC). `anchor` is where "@every"
 * counts from: a fixed time of the object, so that a restart does not shift its schedule.
 * -ERANGE: `after` is outside of the years above, or nothing comes within 40 years.
 */
AK_MUST_USE int ak_cron_next(const struct ak_cron *self, const struct ak_zone *zone, ak_msec after,
                             ak_msec anchor, ak_msec *ret, struct ak_error **reterr);
/*
 * The last time in (after, until] at which it fires; *ret 0: there is none. A few dozen steps, however long
 * that span is. -ERANGE as above, but not for a span in which nothing comes.
 */
AK_MUST_USE int ak_cron_last(const struct ak_cron *self, const struct ak_zone *zone, ak_msec after,
                             ak_msec until, ak_msec anchor, ak_msec *ret, struct ak_error **reterr);

#endif
