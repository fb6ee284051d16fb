/* SPDX-License-Identifier: Apache-2.0 */
#include "exo-install/record.h"

#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>

#define NAMESPACE_KEY "namespace"
#define NAMESPACE_MADE "made by " AK_INSTALL_SELF
#define NAMESPACE_FOUND "was there before"

void ak_record_done(struct ak_record *self)
{
    json_decref(self->values);
    *self = (struct ak_record){0};
}

static bool is_only_ours(const json_t *live)
{
    const json_t *entries = ak_json_at(live, "metadata", "managedFields", NULL);
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const char *manager = ak_json_text(json_array_get(entries, i), "manager", NULL);
        if (!ak_streq(manager, AK_INSTALL_SELF) && !ak_streq(manager, AK_INSTALL_NAME))
            return false;
    }
    return json_array_size(entries) > 0;
}

static int read_namespace(struct ak_install *self, struct ak_record *ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *live = NULL;
    int r = ak_cluster_find(self, "Namespace", NULL, AK_INSTALL_NAMESPACE, &live, reterr);
    if (r >= 0)
        ret->made_namespace = !live || is_only_ours(live);
    return r;
}

static int read_values(const char *text, struct ak_record *ret, struct ak_error **reterr)
{
    if (!text)
        return 0;
    int r = ak_json_parse(text, strlen(text), &ret->values, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "configmap/" AK_INSTALL_SELF ": data.values") : 0;
}

int ak_record_read(struct ak_install *self, struct ak_record *ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *live = NULL;

    *ret = (struct ak_record){0};
    int r =
        ak_cluster_find(self, "ConfigMap", AK_INSTALL_NAMESPACE, AK_INSTALL_SELF, &live, reterr);
    if (r >= 0 && !live)
        return read_namespace(self, ret, reterr);
    if (r < 0)
        return r;
    const char *version = ak_json_text(live, "data", "version", NULL);
    ret->found = true;
    ret->made_namespace = ak_streq(ak_json_text(live, "data", NAMESPACE_KEY, NULL), NAMESPACE_MADE);
    (void)snprintf(ret->version, sizeof(ret->version), "%s", version ? version : "?");
    return read_values(ak_json_text(live, "data", "values", NULL), ret, reterr);
}

int ak_record_make(const json_t *given, bool made_namespace, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) values = AK_BUF_INIT(512u << 10);

    int r = ak_json_write(given, &values, reterr);
    if (r < 0)
        return r;
    json_t *made =
        json_pack("{sssss{sssss{ssss}}s{ssssss}}", "apiVersion", "v1", "kind", "ConfigMap",
                  "metadata", "name", AK_INSTALL_SELF, "namespace", AK_INSTALL_NAMESPACE, "labels",
                  "app.kubernetes.io/part-of", "agentkube", "app.kubernetes.io/managed-by",
                  AK_INSTALL_SELF, "data", "version", AK_VERSION, "values", ak_buf_text(&values),
                  NAMESPACE_KEY, made_namespace ? NAMESPACE_MADE : NAMESPACE_FOUND);
    if (!made)
        return ak_error_oom(reterr);
    *ret = made;
    return 0;
}
