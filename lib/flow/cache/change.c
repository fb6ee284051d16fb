/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/flow/change.h>

static const char *const names[AK_CHANGE_MAX] = {
    [AK_CHANGE_ADDED] = "added",
    [AK_CHANGE_UPDATED] = "updated",
    [AK_CHANGE_DELETED] = "deleted",
};

const char *ak_change_type_to_string(enum ak_change_type type)
{
    return (unsigned)type < AK_CHANGE_MAX ? names[type] : "?";
}
