/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent describe, exo tool describe */
#include <ak/base/text.h>

#include "exo/describe.h"
#include "exo/kinds.h"
#include "exo/objects.h"
#include "exo/verbs.h"

int ak_verb_describe(struct ak_exo *self, struct ak_error **reterr)
{
    const char *name = self->options->args[0], *kind = self->options->command->kind;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(16u << 20);
    AK_AUTO_JSON *object = NULL;
    AK_AUTO_JSON *events = NULL;
    struct ak_objects_query q = {
        .resource = ak_kinds_find(kind),
        .ns = self->ns,
        .name = name,
    };

    int r = ak_objects_read(self, &q, &object, reterr);
    if (r < 0)
        return r;
    q.resource = ak_kinds_find("Event");
    q.name = NULL;
    q.fields =
        ak_arena_printf(self->arena, "involvedObject.name=%s,involvedObject.kind=%s", name, kind);
    /* Who may see the object need not be allowed to see Events. */
    if (q.fields)
        (void)!ak_objects_read(self, &q, &events, NULL);
    r = (ak_streq(kind, "Tool") ? ak_describe_tool : ak_describe_agent)(
        object, json_object_get(events, "items"), ak_wall_now(), &text);
    if (r < 0)
        return ak_error_set(reterr, r, "describe %s \"%s\"", kind, name);
    r = ak_exo_print(&text, reterr);
    return r < 0 ? r : AK_EXIT_OK;
}
