/* SPDX-License-Identifier: Apache-2.0 */
/* exo-install version */
#include "exo-install/install.h"

int ak_verb_version(struct ak_install *self, struct ak_error **reterr)
{
    (void)reterr;
    ak_screen_say(&self->screen, "exo-install " AK_VERSION);
    return AK_EXIT_OK;
}
