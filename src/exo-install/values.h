/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of the chart: its defaults, and what was chosen on top. The same names, the same syntax of
 * --set and the same checks as Helm's, so that one set of values serves every way to install.
 */
#ifndef AK_EXO_INSTALL_VALUES_H
#define AK_EXO_INSTALL_VALUES_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#include "exo-install/options.h"

struct ak_values {
    json_t *schema;
    json_t *defaults;
    json_t *given; /* what was chosen, and nothing else; null takes a default away */
    json_t *all;   /* defaults and given, after ak_values_finish() */
};

void ak_values_done(struct ak_values *self);
AK_DEFINE_AUTO(ak_values, ak_values_done)
/* dir: an unpacked bundle, or NULL. */
AK_MUST_USE int ak_values_init(struct ak_values *self, const char *dir, struct ak_error **reterr);
AK_MUST_USE int ak_values_merge(struct ak_values *self, const json_t *tree,
                                struct ak_error **reterr);
/* "a.b=c,d[0].e={x,y}": the type of a value is what the schema says. -EINVAL */
AK_MUST_USE int ak_values_set(struct ak_values *self, const char *text, struct ak_error **reterr);
/* --values, then --set, then the flags that are short for a value, as in the options. */
AK_MUST_USE int ak_values_from_options(struct ak_values *self, const struct ak_install_options *o,
                                       struct ak_error **reterr);
/* Makes `all` and checks it against the schema. */
AK_MUST_USE int ak_values_finish(struct ak_values *self, struct ak_error **reterr);

/* "manager.baseURL" in `all`, borrowed; NULL: no such value. */
const json_t *ak_values_at(const json_t *tree, const char *path);

#endif
