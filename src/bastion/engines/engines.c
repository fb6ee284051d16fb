/* SPDX-License-Identifier: Apache-2.0 */
/* The families that are built in. */
#include "bastion/engines/engines.h"

#include <ak/base/text.h>

static const struct ak_engine *const families[] = {
#ifdef AK_HAS_POSTGRES
    &ak_engine_postgres,
#endif
#ifdef AK_HAS_MYSQL
    &ak_engine_mysql,
#endif
#ifdef AK_HAS_REDIS
    &ak_engine_redis,
#endif
#ifdef AK_HAS_HTTP
    &ak_engine_http,
#endif
#ifdef AK_HAS_PROCESS
    &ak_engine_process,
#endif
    NULL,
};

const struct ak_engine *ak_engine_of(const struct ak_engine_info *info)
{
    for (size_t i = 0; families[i]; i++)
        if (ak_streq(families[i]->family, info->family))
            return families[i];
    return NULL;
}
