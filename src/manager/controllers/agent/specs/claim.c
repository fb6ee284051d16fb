/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/agent/specs/specs.h"

#include <ak/base/text.h>
#include <ak/json/json.h>

#include "manager/kinds.h"
#include "manager/pods/parts.h"

static json_t *claim_labels(const struct ak_agent_claim_input *in)
{
    const char *key = in->group ? AK_LABEL_GROUP : AK_LABEL_AGENT;
    const char *value = in->group ? in->group : in->meta->name;
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "app.kubernetes.io/managed-by", AK_MANAGED_BY,
                     "app.kubernetes.io/part-of", "agentkube", "app.kubernetes.io/name", "agent",
                     "app.kubernetes.io/component", in->group ? "memory" : "workspace", key, value);
}

static json_t *claim_owners(const struct ak_agent_claim_input *in)
{
    json_t *owners = json_array();
    for (size_t i = 0; owners && i < in->n_owners; i++)
        if (json_array_append_new(owners, ak_part_owner(&in->owners[i])) < 0)
            json_decref(owners), owners = NULL;
    return owners;
}

int ak_agent_claim_build(const struct ak_agent_claim_input *in, json_t **ret,
                         struct ak_error **reterr)
{
    AK_AUTO_JSON *claim = json_pack(
        "{s:s, s:s, s:{s:s, s:s}, s:{s:[s], s:{s:{s:s}}}}", "apiVersion", "v1", "kind",
        "PersistentVolumeClaim", "metadata", "name", in->name, "namespace", in->meta->namespace_,
        "spec", "accessModes", in->access_mode, "resources", "requests", "storage", in->size);
    json_t *metadata = json_object_get(claim, "metadata");
    int r = json_object_set_new(metadata, "labels", claim_labels(in));
    if (r >= 0 && in->n_owners)
        r = json_object_set_new(metadata, "ownerReferences", claim_owners(in));
    if (r >= 0)
        r = ak_part_set_text(json_object_get(claim, "spec"), "storageClassName", in->storage_class);
    if (r < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(claim);
    return 0;
}
