/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/flow/event.h>

static const char *const names[AK_EVENT_MAX] = {
    [AK_EVENT_INIT] = "INIT",           [AK_EVENT_INIT_APPLY] = "INIT_APPLY",
    [AK_EVENT_INIT_DONE] = "INIT_DONE", [AK_EVENT_APPLY] = "APPLY",
    [AK_EVENT_DELETE] = "DELETE",
};

const char *ak_event_type_to_string(enum ak_event_type type)
{
    return (unsigned)type < AK_EVENT_MAX ? names[type] : "?";
}
