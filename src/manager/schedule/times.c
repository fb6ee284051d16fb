/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/schedule/times.h"

#include "manager/schedule/cron.h"
#include "manager/schedule/zone.h"

int ak_schedule_times(const struct ak_schedule_query *query, struct ak_schedule_times *ret,
                      struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    struct ak_schedule_times times = {0};
    struct ak_cron cron;
    int r = ak_cron_parse(query->cron, &cron, reterr);
    if (r < 0)
        return r;
    r = ak_zone_load(query->zoneinfo_dir, query->time_zone ? query->time_zone : "UTC", &zone,
                     reterr);
    if (r < 0)
        return r; /* says spec.schedule.timeZone itself */
    if (query->since < query->now)
        r = ak_cron_last(&cron, zone, query->since, query->now, query->anchor, &times.due, reterr);
    if (r >= 0)
        r = ak_cron_next(&cron, zone, AK_MAX(query->now, query->since), query->anchor, &times.next,
                         reterr);
    if (r < 0)
        return r;
    *ret = times;
    return 0;
}
