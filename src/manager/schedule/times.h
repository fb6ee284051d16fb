/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schedule at one moment: which time of it is due and has not been dealt with, and which comes next. Times
 * that were missed are one, the latest. Reads the zone's file; keeps nothing.
 */
#ifndef AK_SCHEDULE_TIMES_H
#define AK_SCHEDULE_TIMES_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/base/time.h>

struct ak_schedule_query {
    const char *cron;
    const char *time_zone;    /* NULL: UTC */
    const char *zoneinfo_dir; /* where its file is */
    ak_msec now;              /* wall */
    ak_msec since;  /* wall; what is not later has been dealt with; may be later than `now` */
    ak_msec anchor; /* wall; where "@every" counts from */
};
struct ak_schedule_times {
    ak_msec due;  /* the latest in (since, now]; 0: none */
    ak_msec next; /* the first after both */
};
/* -EINVAL and others: the schedule cannot be read, or never fires; the message begins with its field. */
AK_MUST_USE int ak_schedule_times(const struct ak_schedule_query *query,
                                  struct ak_schedule_times *ret, struct ak_error **reterr);

#endif
