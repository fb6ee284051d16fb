/* SPDX-License-Identifier: Apache-2.0 */
/* The ServiceAccount and the Secret of minted users. */
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "engines/names.h"
#include "manager/controllers/tool/specs/parts.h"
#include "manager/kinds.h"
#include "manager/pods/parts.h"

json_t *ak_tool_part_labels(const struct ak_meta *meta, const char *component)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "app.kubernetes.io/name", "tool",
                     "app.kubernetes.io/instance", meta->name, "app.kubernetes.io/component",
                     component, "app.kubernetes.io/part-of", "agentkube",
                     "app.kubernetes.io/managed-by", AK_MANAGED_BY, AK_LABEL_TOOL, meta->name);
}

/* Not blockOwnerDeletion: some clusters want a permission for it that our role does not have. */
json_t *ak_tool_part_owners(const struct ak_meta *meta)
{
    const struct ak_owner_ref owner = {.api_version = AK_API_GROUP "/" AK_API_VERSION,
                                       .kind = "Tool",
                                       .name = meta->name,
                                       .uid = meta->uid,
                                       .controller = true};
    return json_pack("[o]", ak_part_owner(&owner));
}

json_t *ak_tool_part_metadata(const struct ak_meta *meta, const char *name, const char *component)
{
    return json_pack("{s:s, s:s, s:o, s:o}", "name", name, "namespace", meta->namespace_, "labels",
                     ak_tool_part_labels(meta, component), "ownerReferences",
                     ak_tool_part_owners(meta));
}

int ak_tool_account_build(const struct ak_meta *meta, const char *name, json_t **ret,
                          struct ak_error **reterr)
{
    json_t *account =
        json_pack("{s:s, s:s, s:o, s:b}", "apiVersion", "v1", "kind", "ServiceAccount", "metadata",
                  ak_tool_part_metadata(meta, name, "bastion"), "automountServiceAccountToken", 0);
    if (!account)
        return ak_error_oom(reterr);
    *ret = account;
    return 0;
}

int ak_tool_identity_build(const struct ak_tool_identity_input *in, json_t **ret,
                           struct ak_error **reterr)
{
    static const char *const keys[2][2] = {{"reader-username", "reader-password"},
                                           {"writer-username", "writer-password"}};
    AK_AUTO_JSON *values = json_object();
    AK_AUTO_JSON *meta = ak_tool_part_metadata(in->meta, in->name, "identity");
    int r = values && meta ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(keys); i++) {
        char name[AK_IDENTITY_NAME_SIZE];
        r = ak_identity_name(in->meta->uid, /* writer= */ i == 1, name, sizeof(name));
        if (r >= 0)
            r = json_object_set_new(values, keys[i][0], json_string(name));
        if (r >= 0)
            r = json_object_set_new(values, keys[i][1], json_string(in->passwords[i]));
    }
    if (r >= 0)
        r = json_object_set_new(meta, "annotations",
                                json_pack("{s:s}", AK_TOOL_IDENTITY_MADE_FOR, in->text));
    json_t *secret =
        r < 0 ? NULL
              : json_pack("{s:s, s:s, s:s, s:O, s:O}", "apiVersion", "v1", "kind", "Secret", "type",
                          "agentkube.io/identity", "metadata", meta, "stringData", values);
    if (!secret)
        return ak_error_oom(reterr);
    *ret = secret;
    return 0;
}
