/* SPDX-License-Identifier: Apache-2.0 */
/* exo-install operator */
#include "exo-install/deliver.h"

int ak_verb_operator(struct ak_install *self, struct ak_error **reterr)
{
    return ak_deliver(self, /* keep= */ false, reterr);
}
