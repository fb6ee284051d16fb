/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's container: the pod's trust boundary, as docs/keeper.md describes it. It alone mounts the pod's
 * token and the key; the agent reaches it on loopback, the manager on the relay's port.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "manager/controllers/agent/specs/parts.h"
#include "manager/kinds.h"
#include "manager/runs/runs.h"

#define TOKEN_DIR "/agentkube/token"
#define KEY_DIR "/agentkube/key"
#define RESOURCES                                                                                  \
    "{\"requests\":{\"cpu\":\"5m\",\"memory\":\"16Mi\"},\"limits\":{\"memory\":\"64Mi\"}}"

/* How the user's containers reach the network is how the keeper does. Clients disagree about the case of
 * these names; the keeper gets them in the one that all of them read. */
static int add_proxy_env(const struct ak_agent_pod_input *in, json_t *list)
{
    static const struct ak_pair names[] = {{"https_proxy", "HTTPS_PROXY"},
                                           {"no_proxy", "NO_PROXY"}};
    int r = 0;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(names); i++) {
        const char *value = ak_part_user_env(in, names[i].key);
        if (ak_is_empty(value))
            value = ak_part_user_env(in, names[i].value);
        r = ak_part_add_env_if(list, names[i].key, value);
    }
    return r;
}

static json_t *keeper_env(const struct ak_agent_pod_input *in)
{
    const struct ak_pair fixed[] = {
        {AK_AGENT_NAME_VARIABLE, in->meta->name},
        {"AGENTKUBE_AGENT_NAMESPACE", in->meta->namespace_},
        {"AGENTKUBE_PROVIDER", in->provider_name},
        {"AGENTKUBE_MODEL_BASE_URL", in->model_base_url},
        {"AGENTKUBE_KEY_FILE", in->keeper_has_key ? KEY_DIR "/key" : NULL},
        {"AGENTKUBE_TOKEN_FILE", TOKEN_DIR "/token"},
        {"AGENTKUBE_LINK", AK_POD_LINK},
        {"AGENTKUBE_MANAGER_CA", in->bundle},
        {"AGENTKUBE_MANAGER_NAME", AK_RUNS_SUBJECT},
        {"AGENTKUBE_MANAGER_URL", in->options->manager_url},
        {"AGENTKUBE_RELAY_LISTEN", ":8084"},
        {"AGENTKUBE_LOOPBACK_LISTEN", AK_POD_LOOPBACK},
        {"AGENTKUBE_PROBE_LISTEN", ":8086"},
    };
    AK_AUTO_JSON *list = json_array();
    int r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(fixed); i++)
        r = ak_part_add_env_if(list, fixed[i].key, fixed[i].value);
    if (r >= 0)
        r = ak_part_add_env_pod_uid(list, "AGENTKUBE_POD_UID");
    if (r >= 0)
        r = add_proxy_env(in, list);
    return r < 0 ? NULL : AK_TAKE(list);
}

static json_t *keeper_mounts(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *mounts = json_array();
    int r = json_array_append_new(mounts, ak_part_mount("link", AK_POD_LINK_DIR, false));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("keeper-token", TOKEN_DIR, true));
    if (r >= 0 && in->keeper_has_key)
        r = json_array_append_new(mounts, ak_part_mount("agent-token", KEY_DIR, true));
    return r < 0 ? NULL : AK_TAKE(mounts);
}

json_t *ak_agent_keeper_container(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *c = json_pack(
        "{s:s, s:s, s:s, s:[s, s], s:[{s:s, s:i, s:s}, {s:s, s:i, s:s}], s:s}", "name",
        AK_KEEPER_CONTAINER, "image", in->options->manager_image, "imagePullPolicy", "IfNotPresent",
        "command", "/usr/local/bin/keeper", "serve", "ports", "name", AK_RUNS_RELAY_PORT,
        "containerPort", 8084, "protocol", "TCP", "name", "keeper", "containerPort", 8086,
        "protocol", "TCP", "terminationMessagePolicy", "FallbackToLogsOnError");
    int r = json_object_set_new(c, "env", keeper_env(in));
    if (r >= 0)
        r = json_object_set_new(c, "resources", ak_part_parse(RESOURCES));
    if (r >= 0)
        r = json_object_set_new(c, "securityContext", ak_part_keeper_security());
    if (r >= 0)
        r = json_object_set_new(c, "volumeMounts", keeper_mounts(in));
    if (r >= 0)
        r = json_object_set_new(c, "startupProbe", ak_part_probe("keeper", "/healthz", 1, 2, 60));
    if (r >= 0)
        r = json_object_set_new(c, "livenessProbe", ak_part_probe("keeper", "/healthz", 20, 5, 3));
    if (r >= 0)
        r = json_object_set_new(c, "readinessProbe", ak_part_probe("keeper", "/readyz", 5, 2, 3));
    return r < 0 ? NULL : AK_TAKE(c);
}

/* The Secret's one key, and nothing else of it. The pod's fsGroup makes both readable for the keeper. */
int ak_agent_add_keeper_volumes(const struct ak_agent_pod_input *in, json_t *list)
{
    int r = json_array_append_new(list, ak_part_empty_volume("link", "1Mi"));
    if (r >= 0)
        r = json_array_append_new(list, ak_part_token_volume("keeper-token"));
    if (r >= 0 && in->keeper_has_key) {
        const struct ak_secret_key_ref *ref = in->spec->agent_token->secret_ref;
        r = json_array_append_new(list, json_pack("{s:s, s:{s:s, s:i, s:[{s:s, s:s}]}}", "name",
                                                  "agent-token", "secret", "secretName", ref->name,
                                                  "defaultMode", 0440, "items", "key", ref->key,
                                                  "path", "key"));
    }
    return r;
}
