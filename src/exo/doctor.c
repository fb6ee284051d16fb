/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/doctor.h"

#include <stdarg.h>

#include <ak/base/text.h>

#define MAX_DETAIL 2048

const char *const ak_verdict_names[AK_VERDICT_MAX] = {"ok", "warn", "fail"};

static const struct {
    const char *name;
    ak_doctor_fn fn;
} checks[] = {
    {"kubeconfig", ak_doctor_kubeconfig},   {"apiserver", ak_doctor_apiserver},
    {"definitions", ak_doctor_definitions}, {"manager", ak_doctor_manager},
    {"leader", ak_doctor_leader},           {"webhook", ak_doctor_webhook},
    {"invocation", ak_doctor_invoke},       {"rights", ak_doctor_rights},
    {"network", ak_doctor_network},         {"pods", ak_doctor_pods},
};

int ak_doctor_add(struct ak_doctor *self, enum ak_verdict verdict, const char *advice,
                  const char *fmt, ...)
{
    AK_AUTO(ak_buf) detail = AK_BUF_INIT(MAX_DETAIL);
    va_list ap;

    va_start(ap, fmt);
    int r = ak_buf_vaddf(&detail, fmt, ap);
    va_end(ap);
    if (r < 0 && r != AK_E_TOO_LARGE)
        return r;
    self->failed |= verdict == AK_VERDICT_FAIL;
    return json_array_append_new(self->lines,
                                 json_pack("{ss ss ss ss*}", "check", self->check, "verdict",
                                           ak_verdict_names[verdict], "detail",
                                           r < 0 ? "too long to be shown" : ak_buf_text(&detail),
                                           "advice", advice)) < 0
               ? -ENOMEM
               : 0;
}

int ak_doctor_add_error(struct ak_doctor *self, const struct ak_error *err, const char *what)
{
    bool is_secret = ak_error_code(err) == AK_E_FORBIDDEN;

    return ak_doctor_add(self, is_secret ? AK_VERDICT_WARN : AK_VERDICT_FAIL,
                         is_secret ? "ask somebody with more rights to run exo doctor" : NULL,
                         "%s: %s", what, ak_error_message(err));
}

int ak_doctor_run(struct ak_doctor *self, struct ak_error **reterr)
{
    self->lines = json_array();
    int r = self->lines ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && !self->is_over && i < AK_ARRAY_LEN(checks); i++) {
        self->check = checks[i].name;
        r = checks[i].fn(self);
    }
    return r < 0 ? ak_error_set(reterr, r, "check \"%s\"", self->check ? self->check : "") : 0;
}

void ak_doctor_done(struct ak_doctor *self)
{
    json_decref(self->lines);
    json_decref(self->deployment);
}
