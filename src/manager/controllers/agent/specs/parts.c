/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/agent/specs/parts.h"

#include <ak/base/text.h>

const char *ak_part_user_env(const struct ak_agent_pod_input *in, const char *name)
{
    for (size_t i = 0; i < in->spec->env.len; i++)
        if (ak_streq(in->spec->env.items[i].name, name))
            return in->spec->env.items[i].value;
    return NULL;
}
