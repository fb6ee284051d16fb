/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <ak/base/text.h>

static const struct variable usual[] = {{"AGENTKUBE_POD_UID", "pod-1"},
                                        {"AGENTKUBE_MANAGER_CA", "PEM"},
                                        {"AGENTKUBE_TOOL", TOOL(POSTGRES)},
                                        {NULL, NULL}};

static const struct variable *find(const struct variable *list, const char *name)
{
    while (list && list->name && !ak_streq(list->name, name))
        list++;
    return list && list->name ? list : NULL;
}

static const char *look_up(const char *name, void *user)
{
    const struct variable *found = find(user, name);

    if (!found)
        found = find(usual, name);
    return found ? found->value : NULL;
}

int read_settings(enum ak_settings_for what, const struct variable *extra, struct ak_arena *arena,
                  struct ak_bastion_settings *ret, struct ak_error **reterr)
{
    return ak_bastion_settings_read(what, look_up, (void *)(uintptr_t)extra, arena, ret, reterr);
}
