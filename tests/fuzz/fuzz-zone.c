/* SPDX-License-Identifier: Apache-2.0 */
/* Time zone files: each span that a zone gives must hold until its end, and time must go on. */
#include "manager/schedule/cron.h"

#include <ak/base/error.h>
#include <stddef.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_PTR(ak_zone) zone = NULL;
    struct ak_cron cron = {0};
    ak_msec next = 0;
    int64_t at = -2000000000;

    if (ak_zone_parse(data, size, &zone, NULL) < 0)
        return 0;
    for (int i = 0; i < 200 && at < INT64_C(4000000000); i++) {
        struct ak_zone_span span, last;

        ak_zone_at(zone, at, &span);
        if (span.until <= at)
            abort();
        if (span.until == INT64_MAX)
            break;
        ak_zone_at(zone, span.until - 1, &last);
        if (last.offset != span.offset)
            abort();
        at = span.until;
    }
    if (ak_cron_parse("30 2 * * *", &cron, NULL) < 0)
        abort();
    if (ak_cron_next(&cron, zone, AK_SECONDS(1700000000), 0, &next, NULL) == 0 &&
        next <= AK_SECONDS(1700000000))
        abort();
    return 0;
}
