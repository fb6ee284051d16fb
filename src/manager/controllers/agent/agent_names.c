/* SPDX-License-Identifier: Apache-2.0 */
/* What the claims of an Agent are called. Pure. */
#include <ak/base/text.h>
#include <string.h>

#include "manager/controllers/agent/agent_internal.h"

const char *ak_agent_workspace_name(const struct ak_object *agent, struct ak_arena *arena)
{
    const struct ak_agent *body = ak_object_body(agent);
    if (!body->spec || !body->spec->workspace || !body->spec->workspace->persistent)
        return NULL;
    return ak_arena_printf(arena, "%s-workspace", ak_object_meta(agent)->name);
}

const char *ak_agent_memory_name(const struct ak_object *agent, struct ak_arena *arena)
{
    const char *group = ak_agent_group(agent);
    if (!group)
        return NULL;
    /* A label may hold capitals, dots and underscores, the name of a claim must not. */
    char digest[AK_DIGEST_SIZE];
    bool changed = false;
    char *name = ak_arena_printf(arena, "agentgroup-%s", group);
    for (char *p = name; p && *p; p++) {
        char was = *p;
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
        else if (*p == '_' || *p == '.')
            *p = '-';
        changed = changed || *p != was;
    }
    if (!name || !changed)
        return name;
    /* "Red" and "red" are two groups. */
    if (ak_digest_bytes(group, strlen(group), digest) < 0)
        return NULL;
    return ak_arena_printf(arena, "%s-%.8s", name, digest);
}
