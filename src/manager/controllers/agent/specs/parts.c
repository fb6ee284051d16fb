/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/agent/specs/parts.h"

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdio.h>
#include <string.h>

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
    if (ak_agent_set_text(json_object_get(v, "emptyDir"), "sizeLimit", limit) < 0)
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

const char *ak_part_user_env(const struct ak_agent_pod_input *in, const char *name)
{
    for (size_t i = 0; i < in->spec->env.len; i++)
        if (ak_streq(in->spec->env.items[i].name, name))
            return in->spec->env.items[i].value;
    return NULL;
}
