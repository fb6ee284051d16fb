/* SPDX-License-Identifier: Apache-2.0 */
/* exo doctor: what the checks found, as lines or as data. */
#include <ak/base/text.h>

#include "exo/doctor.h"
#include "exo/output.h"
#include "exo/verbs.h"

static enum ak_style style_of(const char *verdict)
{
    return ak_streq(verdict, "ok")     ? AK_STYLE_GREEN
           : ak_streq(verdict, "warn") ? AK_STYLE_YELLOW
                                       : AK_STYLE_RED;
}

static int print(struct ak_exo *self, const json_t *lines, struct ak_error **reterr)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(lines); i++) {
        const json_t *one = json_array_get(lines, i);
        const char *verdict = ak_json_text(one, "verdict", NULL);
        const char *advice = ak_json_text(one, "advice", NULL);
        r = ak_output_line(reterr, "%s%-4s%s  %-11s  %s",
                           ak_screen_on(&self->screen, false, style_of(verdict)), verdict,
                           ak_screen_off(&self->screen, false), ak_json_text(one, "check", NULL),
                           ak_json_text(one, "detail", NULL));
        if (r >= 0 && advice)
            r = ak_output_line(reterr, "%-17s  -> %s", "", advice);
    }
    return r;
}

int ak_verb_doctor(struct ak_exo *self, struct ak_error **reterr)
{
    struct ak_doctor doctor = {.exo = self};
    int r = ak_doctor_run(&doctor, reterr);

    if (r >= 0 && self->options->output != AK_OUT_TABLE) {
        AK_AUTO_JSON *tree = json_pack("{sb sO}", "ok", !doctor.failed, "checks", doctor.lines);
        r = tree ? ak_output_tree(self, tree, reterr) : ak_error_oom(reterr);
    } else if (r >= 0) {
        r = print(self, doctor.lines, reterr);
    }
    bool failed = doctor.failed;
    ak_doctor_done(&doctor);
    return r < 0 ? r : failed ? AK_EXIT_FAILED : AK_EXIT_OK;
}
