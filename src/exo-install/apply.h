/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects into the cluster, one after the other, each with its line. Applying again what is already
 * there changes nothing, so an install that broke off is completed by running it again.
 */
#ifndef AK_EXO_INSTALL_APPLY_H
#define AK_EXO_INSTALL_APPLY_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#include "exo-install/cluster.h"

AK_MUST_USE int ak_apply_objects(struct ak_install *self, const json_t *objects,
                                 struct ak_error **reterr);
/* Prints the objects in --output's format (YAML if none was chosen). */
AK_MUST_USE int ak_apply_print(const struct ak_install *self, const json_t *objects,
                               struct ak_error **reterr);

#endif
