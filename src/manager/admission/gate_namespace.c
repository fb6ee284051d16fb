/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The label that puts a namespace into the gate's scope. The webhook configuration selects it and fails closed
 * there, so an outage of ours stops nobody where there are neither Agents nor Tools. The label is never taken away:
 * somebody else may have set it on purpose, and it does nothing once the configuration is gone.
 */
#include <ak/base/text.h>
#include <ak/manage/manager.h>

#include "manager/admission/admission.h"
#include "manager/kinds.h"

#define LOOK_AGAIN AK_MINUTES(5) /* where namespaces are not watched */

void ak_gate_keys_of_agent(const struct ak_change *change, ak_key_emit_fn emit, void *emit_user,
                           void *user)
{
    (void)user;
    emit((struct ak_key){.namespace_ = "",
                         .name = ak_object_meta(ak_change_object(change))->namespace_},
         emit_user);
}

/* 1: labelled, or not ours to label; 0: the label is missing. */
static int is_labelled(struct ak_admission *self, const char *ns, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;

    if (ak_streq(ns, "kube-system"))
        return 1;
    AK_AUTO_OBJECT known = self->namespaces ? ak_cache_get(self->namespaces, "", ns) : NULL;
    if (known)
        return ak_object_meta(known)->deleting ||
               ak_streq(ak_string_map_get(&ak_object_meta(known)->labels, AK_LABEL_GATED), "true");
    int r = ak_client_get(ak_manager_client(self->manager), &ak_namespace_kind.resource, NULL, ns,
                          &tree, &err);
    if (r >= 0)
        return ak_streq(ak_json_text(tree, "metadata", "labels", AK_LABEL_GATED, NULL), "true");
    if (r == AK_E_NOT_FOUND)
        return 1;
    if (reterr)
        *reterr = AK_TAKE(err);
    return r;
}

static int set_label(struct ak_admission *self, const char *ns, struct ak_error **reterr)
{
    const struct ak_apply *apply = ak_manager_apply(self->manager);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *patch = json_pack("{s:{s:{s:s}}}", "metadata", "labels", AK_LABEL_GATED, "true");

    if (!patch)
        return ak_error_oom(reterr);
    if (apply->may_write && !apply->may_write(apply->user))
        return ak_error_set(reterr, AK_E_CANCELLED, "not the leader");
    int r = ak_client_merge_patch(apply->client, &ak_namespace_kind.resource, NULL, ns, NULL, patch,
                                  apply->manager, NULL, &err);
    if (r >= 0 || r == AK_E_NOT_FOUND)
        return 0;
    if (reterr)
        *reterr = AK_TAKE(err);
    return r;
}

static int make_labelled(struct ak_admission *self, const char *ns, struct ak_error **reterr)
{
    int r = is_labelled(self, ns, reterr);

    if (r == 0)
        r = set_label(self, ns, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "label " AK_LABEL_GATED " on namespace \"%s\"", ns) : 0;
}

int ak_gate_prepare(struct ak_admission *self, const char *ns, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = make_labelled(self, ns, &err);

    if (r >= 0 || r == AK_E_FORBIDDEN)
        return 0; /* without the right there is no gate, which ak_gate_reconcile() has said */
    if (reterr)
        *reterr = AK_TAKE(err);
    return r;
}

int ak_gate_reconcile(void *user, const struct ak_request *req, struct ak_result *result,
                      struct ak_error **reterr)
{
    struct ak_admission *self = user;
    AK_AUTO(ak_object_list) agents = {0};
    AK_AUTO(ak_object_list) tools = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_cache_list(self->agents, req->name, &agents);

    if (r >= 0)
        r = ak_cache_list(self->tools, req->name, &tools);
    if (r < 0)
        return ak_error_oom(reterr);
    if (!agents.len && !tools.len)
        return 0;
    if (!self->namespaces)
        result->again_after = LOOK_AGAIN;
    r = make_labelled(self, req->name, &err);
    if (r == AK_E_FORBIDDEN) /* said once; a change of RBAC does not tell us */
        return ak_error_set(reterr, AK_E_TERMINAL,
                            "%s: pods there are not gated until the manager may do that",
                            ak_error_message(err));
    if (r < 0 && reterr)
        *reterr = AK_TAKE(err);
    return r;
}
