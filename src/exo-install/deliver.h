/* SPDX-License-Identifier: Apache-2.0 */
/* The way that `operator` and `upgrade` share: values, objects, preflight, apply, proof. */
#ifndef AK_EXO_INSTALL_DELIVER_H
#define AK_EXO_INSTALL_DELIVER_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>

#include "exo-install/install.h"

/* keep: what was chosen at the last install counts, below what is chosen now. */
AK_MUST_USE int ak_deliver(struct ak_install *self, bool keep, struct ak_error **reterr);

#endif
