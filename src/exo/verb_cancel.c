/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent cancel, exo run cancel */
#include <ak/base/text.h>

#include "exo/output.h"
#include "exo/records.h"
#include "exo/render.h"
#include "exo/verbs.h"

static int cancel_one(struct ak_exo *self, const struct ak_record_name *name,
                      struct ak_error **reterr)
{
    AK_AUTO_JSON *record = NULL;
    int r = ak_record_cancel(self, name, &record, reterr);

    if (r < 0)
        return r;
    const char *phase = ak_json_text(record, "phase", NULL);
    bool is_over = ak_render_is_final(phase) && !ak_streq(phase, "Cancelled");
    return ak_output_line(reterr, is_over ? "run %s has ended: %s" : "run %s cancelled", name->id,
                          ak_output_or(phase, "?"));
}

/* Without an id: the one that runs, or with --all everything that has not ended. */
static int cancel_active(struct ak_exo *self, const char *agent, struct ak_error **reterr)
{
    bool all = self->options->all;
    AK_AUTO_JSON *records = NULL;
    int r = ak_record_list(self, agent, false, &records, reterr), n = 0;

    /* The oldest last in the list is the one that runs; those that wait go first with --all, or they start. */
    for (size_t i = 0; r >= 0 && i < json_array_size(records); i++) {
        const json_t *one = json_array_get(records, i);
        const char *phase = ak_json_text(one, "phase", NULL);
        struct ak_record_name name = {agent, ak_json_text(one, "id", NULL)};
        if (!name.id || ak_render_is_final(phase) || (!all && !ak_streq(phase, "Running")))
            continue;
        r = cancel_one(self, &name, reterr);
        n++;
    }
    if (r >= 0 && !n)
        r = ak_error_set(reterr, AK_E_NOT_FOUND, "no run of Agent \"%s\" %s", agent,
                         all ? "waits or is under way" : "is under way");
    return r;
}

int ak_verb_cancel(struct ak_exo *self, struct ak_error **reterr)
{
    struct ak_record_name name;
    int r = ak_record_name(self, &name, reterr);

    if (r >= 0 && name.id && self->options->all)
        return ak_error_set(reterr, -EINVAL, "either a run or --all");
    if (r >= 0)
        r = name.id ? cancel_one(self, &name, reterr) : cancel_active(self, name.agent, reterr);
    return r < 0 ? r : AK_EXIT_OK;
}
