/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/unserved/unserved.h"

#include <ak/base/time.h>
#include <ak/kube/condition.h>
#include <ak/manage/manager.h>

#include "manager/kinds.h"

int ak_unserved_status(const struct ak_object *object, ak_msec now, json_t **ret,
                       struct ak_error **reterr)
{
    const struct ak_meta *meta = ak_object_meta(object);
    const struct ak_unserved *body = ak_object_body(object);
    const ak_condition_list *old = body->status ? &body->status->conditions : NULL;
    struct ak_condition ready = {.type = "Ready",
                                 .status = "False",
                                 .reason = "NotSupported",
                                 .observed_generation = meta->generation};
    char since[AK_RFC3339_SIZE];
    ak_condition_carry_time(&ready, old ? old->items : NULL, old ? old->len : 0, now);
    AK_AUTO_JSON *condition = json_pack(
        "{s:s, s:s, s:s, s:s++, s:s, s:I}", "type", ready.type, "status", ready.status, "reason",
        ready.reason, "message", "this version of agentkube-manager does not run ",
        ak_object_kind(object)->resource.kind,
        " objects yet: nothing is started for it; it is kept for a later version",
        "lastTransitionTime", ak_format_rfc3339(ready.last_transition, since), "observedGeneration",
        (json_int_t)meta->generation);
    json_t *status = json_pack("{s:s, s:I, s:[O]}", "phase", "Unsupported", "observedGeneration",
                               (json_int_t)meta->generation, "conditions", condition);
    if (!status)
        return ak_error_oom(reterr);
    *ret = status;
    return 0;
}

int ak_unserved_reconcile(void *user, const struct ak_request *req, struct ak_result *result,
                          struct ak_error **reterr)
{
    struct ak_unserved_controller *self = user;
    AK_AUTO_JSON *status = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_OBJECT object =
        ak_cache_get(ak_manager_cache(self->manager, self->kind), req->ns, req->name);
    (void)result;
    if (!object || ak_object_meta(object)->deleting)
        return 0;
    int r = ak_unserved_status(object, ak_wall_now(), &status, reterr);
    if (r < 0)
        return r;
    r = ak_apply_status(ak_manager_apply(self->manager), object, status, &err);
    if (r == AK_E_NOT_FOUND)
        return 0;
    if (r < 0 && reterr)
        *reterr = AK_TAKE(err);
    return r < 0 ? r : 0;
}
