/* SPDX-License-Identifier: Apache-2.0 */
/* exo version: of this program, and of the manager that runs. */
#include "exo/kinds.h"
#include "exo/manager.h"
#include "exo/output.h"
#include "exo/verbs.h"

int ak_verb_version(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *deployment = NULL;
    const char *image = NULL;
    int looked = o->client_only ? 0 : ak_exo_connect(self, &err);

    if (!o->client_only && looked >= 0)
        looked = ak_manager_deployment(self, &deployment, &err);
    image = ak_manager_image(deployment);
    const char *why = looked < 0       ? ak_error_message(err)
                      : o->client_only ? NULL
                      : !deployment    ? "not installed"
                                       : NULL;
    if (o->output == AK_OUT_JSON || o->output == AK_OUT_YAML) {
        AK_AUTO_JSON *tree = json_pack("{s{ss} s{ss* ss*}}", "client", "version", AK_VERSION,
                                       "manager", "image", image, "message", why);
        int r = tree ? ak_output_tree(self, tree, reterr) : ak_error_oom(reterr);
        return r < 0 ? r : AK_EXIT_OK;
    }
    int r = ak_output_line(reterr, "exo %s", AK_VERSION);
    if (r >= 0 && image)
        r = ak_output_line(reterr, "manager %s", image);
    if (r >= 0 && why)
        ak_screen_complain(&self->screen, "manager: %s", why);
    return r < 0 ? r : AK_EXIT_OK;
}
