/* SPDX-License-Identifier: Apache-2.0 */
/* A cron expression is what a user typed: whatever parses must fire, at a minute that matches. */
#include "manager/schedule/cron.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    char text[AK_CRON_MAX_LEN + 2];
    struct ak_cron cron;
    ak_msec now = AK_SECONDS(1700000000), next = 0;

    if (size >= sizeof(text))
        size = sizeof(text) - 1;
    memcpy(text, data, size);
    text[size] = '\0';
    if (ak_cron_parse(text, &cron, &err) < 0) {
        if (!err)
            abort();
        return 0;
    }
    for (int i = 0; i < 5; i++) {
        if (ak_cron_next(&cron, NULL, now, 0, &next, &err) < 0 || next <= now)
            abort();
        if (cron.every_s == 0 && (next % 60000 != 0 || !(cron.minutes >> (next / 60000 % 60) & 1)))
            abort();
        now = next;
    }
    return 0;
}
