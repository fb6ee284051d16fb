/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/pods/parts.h"

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdio.h>
#include <string.h>

#include "manager/runs/runs.h"

#define TOKEN_SECONDS 3600

int ak_part_set_text(json_t *object, const char *key, const char *value)
{
    return value ? json_object_set_new(object, key, json_string(value)) : 0;
}

json_t *ak_part_parse(const char *text)
{
    json_t *tree = NULL;
    return ak_json_parse(text, strlen(text), &tree, NULL) < 0 ? NULL : tree;
}

json_t *ak_part_security(bool read_only_root)
{
    return json_pack("{s:b, s:b, s:{s:[s]}}", "allowPrivilegeEscalation", 0,
                     "readOnlyRootFilesystem", read_only_root, "capabilities", "drop", "ALL");
}

json_t *ak_part_mount(const char *name, const char *path, bool read_only)
{
    json_t *m = json_pack("{s:s, s:s}", "name", name, "mountPath", path);
    if (m && read_only && json_object_set_new(m, "readOnly", json_true()) < 0)
        json_decref(m), m = NULL;
    return m;
}

json_t *ak_part_empty_volume(const char *name, const char *limit)
{
    AK_AUTO_JSON *v = json_pack("{s:s, s:{}}", "name", name, "emptyDir");
    if (ak_part_set_text(json_object_get(v, "emptyDir"), "sizeLimit", limit) < 0)
        return NULL;
    return AK_TAKE(v);
}

json_t *ak_part_probe(const char *port, const char *path, int period, int timeout, int failures)
{
    return json_pack("{s:{s:s, s:s}, s:i, s:i, s:i}", "httpGet", "path", path, "port", port,
                     "periodSeconds", period, "timeoutSeconds", timeout, "failureThreshold",
                     failures);
}

int ak_part_add_env(json_t *list, const char *name, const char *value)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(512 * 1024);
    for (const char *p = value; *p; p++)
        if (ak_buf_add(&text, p, 1) < 0 || (*p == '$' && ak_buf_add(&text, p, 1) < 0))
            return -ENOMEM;
    return json_array_append_new(
        list, json_pack("{s:s, s:s}", "name", name, "value", ak_buf_text(&text)));
}

int ak_part_add_env_if(json_t *list, const char *name, const char *value)
{
    return ak_is_empty(value) ? 0 : ak_part_add_env(list, name, value);
}

int ak_part_add_env_number(json_t *list, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return ak_part_add_env(list, name, text);
}

int ak_part_add_env_pod_uid(json_t *list, const char *name)
{
    return json_array_append_new(list, json_pack("{s:s, s:{s:{s:s}}}", "name", name, "valueFrom",
                                                 "fieldRef", "fieldPath", "metadata.uid"));
}

json_t *ak_part_keeper_security(void)
{
    AK_AUTO_JSON *context = ak_part_security(/* read_only_root= */ true);
    if (json_object_set_new(context, "runAsUser", json_integer(AK_POD_KEEPER_USER)) < 0 ||
        json_object_set_new(context, "runAsGroup", json_integer(AK_POD_USER)) < 0)
        return NULL;
    return AK_TAKE(context);
}

json_t *ak_part_pod_security(void)
{
    return json_pack("{s:b, s:i, s:i, s:i, s:s, s:{s:s}}", "runAsNonRoot", 1, "runAsUser",
                     AK_POD_USER, "runAsGroup", AK_POD_USER, "fsGroup", AK_POD_USER,
                     "fsGroupChangePolicy", "OnRootMismatch", "seccompProfile", "type",
                     "RuntimeDefault");
}

json_t *ak_part_token_volume(const char *name)
{
    return json_pack("{s:s, s:{s:i, s:[{s:{s:s, s:i, s:s}}]}}", "name", name, "projected",
                     "defaultMode", 0440, "sources", "serviceAccountToken", "audience",
                     AK_RUNS_AUDIENCE, "expirationSeconds", TOKEN_SECONDS, "path", "token");
}

json_t *ak_part_string_map(const struct ak_string_map *map)
{
    AK_AUTO_JSON *object = json_object();
    for (size_t i = 0; i < map->len; i++)
        if (json_object_set_new(object, map->items[i].key, json_string(map->items[i].value)) < 0)
            return NULL;
    return AK_TAKE(object);
}

json_t *ak_part_pull_secrets(const struct ak_object_name *own, size_t n_own,
                             const struct ak_string_list *ours)
{
    AK_AUTO_JSON *list = json_array();
    int r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < n_own; i++)
        r = json_array_append_new(list, json_pack("{s:s}", "name", own[i].name));
    for (size_t i = 0; r >= 0 && !n_own && i < ours->len; i++)
        r = json_array_append_new(list, json_pack("{s:s}", "name", ours->items[i]));
    return r < 0 ? NULL : AK_TAKE(list);
}

json_t *ak_part_owner(const struct ak_owner_ref *owner)
{
    json_t *ref = json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", owner->api_version, "kind",
                            owner->kind, "name", owner->name, "uid", owner->uid);
    if (ref && owner->controller && json_object_set_new(ref, "controller", json_true()) < 0)
        json_decref(ref), ref = NULL;
    if (ref && owner->block_owner_deletion &&
        json_object_set_new(ref, "blockOwnerDeletion", json_true()) < 0)
        json_decref(ref), ref = NULL;
    return ref;
}
