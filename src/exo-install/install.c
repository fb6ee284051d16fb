/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/install.h"

void ak_install_done(struct ak_install *self)
{
    self->client = ak_client_free(self->client);
    self->config = ak_kube_config_free(self->config);
}
