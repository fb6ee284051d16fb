/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and values to the objects to apply: the same that the chart makes of these values. The
 * manifests are the chart with its defaults, so only what a value changes is done here, on the tree.
 */
#ifndef AK_EXO_INSTALL_RENDER_H
#define AK_EXO_INSTALL_RENDER_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#include "exo-install/values.h"

/* The operator's objects in the order in which they are applied; dir as in manifests.h.
 * -EINVAL: a value that this version cannot install. */
AK_MUST_USE int ak_render_operator(const char *dir, const struct ak_values *values,
                                   json_t **ret_array, struct ak_error **reterr);
/* The definitions. */
AK_MUST_USE int ak_render_crds(const char *dir, json_t **ret_array, struct ak_error **reterr);
/* Does a value of this path change anything here? For the test that no value of the chart is forgotten. */
bool ak_render_knows(const char *path);

#endif
