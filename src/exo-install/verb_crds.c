/* SPDX-License-Identifier: Apache-2.0 */
/* exo-install crds */
#include "exo-install/apply.h"
#include "exo-install/manifests.h"
#include "exo-install/preflight.h"
#include "exo-install/proof.h"
#include "exo-install/render.h"

int ak_verb_crds(struct ak_install *self, struct ak_error **reterr)
{
    AK_AUTO_JSON *crds = NULL;

    int r = ak_manifests_check(self->options->offline, reterr);
    if (r >= 0)
        r = ak_render_crds(self->options->offline, &crds, reterr);
    if (r >= 0 && self->options->dry_run)
        return ak_apply_print(self, crds, reterr);
    if (r >= 0)
        r = ak_cluster_connect(self, reterr);
    if (r >= 0)
        r = ak_preflight_run(self, crds, AK_PREFLIGHT_APPLY, reterr);
    if (r == 0)
        r = ak_apply_objects(self, crds, reterr);
    if (r == 0 && self->options->wait)
        r = ak_proof_crds(self, crds, reterr);
    if (r == 0)
        ak_screen_say(&self->screen, "%zu definitions of version " AK_VERSION " are %s.",
                      json_array_size(crds), self->options->wait ? "served" : "applied");
    return r;
}
