/* SPDX-License-Identifier: Apache-2.0 */
/* exo-install upgrade */
#include "exo-install/deliver.h"

int ak_verb_upgrade(struct ak_install *self, struct ak_error **reterr)
{
    return ak_deliver(self, /* keep= */ true, reterr);
}
