/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by zone.c, zone_tzif.c (the file) and zone_rule.c (its footer), nobody else. */
#ifndef AK_SCHEDULE_ZONE_INTERNAL_H
#define AK_SCHEDULE_ZONE_INTERNAL_H

#include "manager/schedule/zone.h"

#include <stdbool.h>

enum ak__zone_day_kind {
    AK__ZONE_DAY_JULIAN,  /* Jn: 1-365, 29 February does not count */
    AK__ZONE_DAY_OF_YEAR, /* n: 0-365, it does */
    AK__ZONE_DAY_WEEKDAY, /* Mm.w.d */
};

/* One of the two changes of a year, in local time before the change. */
struct ak__zone_change {
    enum ak__zone_day_kind kind;
    int month;
    int week;     /* 5: the last */
    int day;      /* weekday 0-6, or the day of the year */
    int64_t time; /* seconds after midnight; may be negative or over a day */
};

/* What the POSIX TZ text in the footer says about all time after the last listed transition. */
struct ak__zone_rule {
    bool present;
    bool has_dst;
    int64_t std_offset; /* east of UTC, the opposite of POSIX's sign */
    int64_t dst_offset;
    struct ak__zone_change start; /* of DST */
    struct ak__zone_change end;
};

struct ak_zone {
    size_t n_times;
    int64_t *times;       /* ascending: when offsets[i] begins */
    int32_t *offsets;     /* n_times of them */
    int32_t first_offset; /* before times[0] */
    struct ak__zone_rule rule;
};

AK_MUST_USE int ak__zone_rule_parse(const char *text, size_t len, struct ak__zone_rule *ret,
                                    struct ak_error **reterr);
void ak__zone_rule_at(const struct ak__zone_rule *self, int64_t unix_s, struct ak_zone_span *ret);

#endif
