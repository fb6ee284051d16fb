/* SPDX-License-Identifier: Apache-2.0 */
/* exo agent runs, exo run list, exo run get */
#include <ak/base/text.h>

#include "exo/output.h"
#include "exo/records.h"
#include "exo/verbs.h"

static int print_table(struct ak_exo *self, const json_t *records, bool with_agent,
                       struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    bool wide = o->output == AK_OUT_WIDE;
    AK_AUTO(ak_table) table = {0};
    ak_msec now = ak_wall_now();
    int r = 0;

    if (!o->no_headers)
        r = ak_record_header(&table, wide, with_agent, o->all_namespaces);
    for (size_t i = 0; r >= 0 && i < json_array_size(records); i++)
        r = ak_record_row(&table, json_array_get(records, i), wide, with_agent, o->all_namespaces,
                          now);
    return r < 0 ? ak_error_set(reterr, r, "write the table") : ak_output_table(&table, reterr);
}

static int print(struct ak_exo *self, json_t *records, bool with_agent, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    int r = 0;

    switch ((enum ak_exo_output)o->output) {
    case AK_OUT_TABLE:
    case AK_OUT_WIDE:
        return print_table(self, records, with_agent, reterr);
    case AK_OUT_NAME:
        for (size_t i = 0; r >= 0 && i < json_array_size(records); i++)
            r = ak_output_line(
                reterr, "%s",
                ak_output_or(ak_json_text(json_array_get(records, i), "id", NULL), ""));
        return r;
    case AK_OUT_JSON:
    case AK_OUT_YAML:
        break;
    }
    AK_AUTO_JSON *list = json_pack("{sO}", "items", records);
    return list ? ak_output_tree(self, list, reterr) : ak_error_oom(reterr);
}

int ak_verb_runs(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const char *agent = o->n_args ? o->args[0] : NULL;
    AK_AUTO_JSON *records = NULL;

    if (agent && o->all_namespaces)
        return ak_error_set(reterr, -EINVAL, "an Agent belongs to one namespace: without -A");
    int r = ak_record_list(self, agent, o->all_namespaces, &records, reterr);
    if (r < 0)
        return r;
    if (json_array_size(records) || o->output == AK_OUT_JSON || o->output == AK_OUT_YAML)
        r = print(self, records, !agent, reterr);
    else if (o->output != AK_OUT_NAME)
        ak_screen_complain(&self->screen, "No runs found.");
    return r < 0 ? r : AK_EXIT_OK;
}

int ak_verb_run_get(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO_JSON *record = NULL;
    struct ak_record_name name;

    int r = ak_record_name(self, &name, reterr);
    if (r >= 0)
        r = ak_record_get(self, &name, &record, reterr);
    if (r < 0)
        return r;
    if (o->output == AK_OUT_JSON || o->output == AK_OUT_YAML) {
        r = ak_output_tree(self, record, reterr);
    } else {
        AK_AUTO_JSON *records = json_pack("[O]", record);
        r = records ? print(self, records, true, reterr) : ak_error_oom(reterr);
    }
    return r < 0 ? r : AK_EXIT_OK;
}
