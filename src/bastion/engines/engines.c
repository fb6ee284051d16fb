/* SPDX-License-Identifier: Apache-2.0 */
/* All families. */
#include "bastion/engines/engines.h"

#include <ak/base/compiler.h>
#include <ak/base/text.h>

static const struct ak_engine *const families[] = {
    &ak_engine_postgres, &ak_engine_mysql, &ak_engine_redis, &ak_engine_http, &ak_engine_process,
};

const struct ak_engine *ak_engine_of(const struct ak_engine_info *info)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(families); i++)
        if (ak_streq(families[i]->family, info->family))
            return families[i];
    return NULL;
}
