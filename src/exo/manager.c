/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/manager.h"

#include <stdio.h>

#include <ak/base/text.h>

#include "exo/kinds.h"
#include "exo/objects.h"

int ak_manager_deployment(struct ak_exo *self, json_t **ret, struct ak_error **reterr)
{
    const struct ak_objects_query q = {
        .resource = ak_kinds_find("Deployment"),
        .ns = self->options->operator_namespace,
        .name = AK_EXO_NAME,
    };
    return ak_objects_find(self, &q, ret, reterr);
}

const char *ak_manager_image(const json_t *deployment)
{
    const json_t *containers =
        ak_json_at(deployment, "spec", "template", "spec", "containers", NULL);
    return ak_json_text(json_array_get(containers, 0), "image", NULL);
}

void ak_manager_replicas(const json_t *deployment, int64_t *ret_available, int64_t *ret_wanted)
{
    const json_t *wanted = ak_json_at(deployment, "spec", "replicas", NULL);

    *ret_available =
        json_integer_value(ak_json_at(deployment, "status", "availableReplicas", NULL));
    *ret_wanted = json_is_integer(wanted) ? json_integer_value(wanted) : 1;
}

int ak_manager_leader(struct ak_exo *self, ak_msec wall_now, struct ak_manager_leader *ret,
                      struct ak_error **reterr)
{
    const struct ak_objects_query q = {
        .resource = ak_kinds_find("Lease"),
        .ns = self->options->operator_namespace,
        .name = AK_EXO_NAME,
    };
    AK_AUTO_JSON *lease = NULL;

    *ret = (struct ak_manager_leader){0};
    int r = ak_objects_find(self, &q, &lease, reterr);
    if (r < 0 || !lease)
        return r;
    const char *holder = ak_json_text(lease, "spec", "holderIdentity", NULL);
    const char *renewed = ak_json_text(lease, "spec", "renewTime", NULL);
    (void)snprintf(ret->holder, sizeof(ret->holder), "%s", holder ? holder : "");
    ret->is_there = true;
    if (renewed && ak_parse_rfc3339(renewed, &ret->renewed) < 0)
        ret->renewed = 0;
    ret->duration =
        AK_SECONDS(json_integer_value(ak_json_at(lease, "spec", "leaseDurationSeconds", NULL)));
    ret->is_fresh = ret->holder[0] && wall_now - ret->renewed <= 2 * ret->duration;
    return 0;
}
