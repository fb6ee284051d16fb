/* SPDX-License-Identifier: Apache-2.0 */
/* The pod of an Agent, as docs/agentlet.md asks for it. */
#include "manager/controllers/agent/specs/specs.h"

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <stdio.h>

#include "manager/controllers/agent/specs/parts.h"
#include "manager/digests.h"
#include "manager/kinds.h"

#define GRACE_SECONDS 20     /* the agentlet's, between TERM and KILL */
#define POD_GRACE_SECONDS 30 /* the kubelet's */
#define MODEL_URL "http://" AK_POD_LOOPBACK "/model"
#define DEFAULT_RESOURCES "{\"requests\":{\"cpu\":\"50m\",\"memory\":\"128Mi\"}}"
#define INSTALL_RESOURCES                                                                          \
    "{\"requests\":{\"cpu\":\"10m\",\"memory\":\"16Mi\"},\"limits\":{\"memory\":\"64Mi\"}}"

/* A default of ours: the user's own value comes first. */
static int add_default_env(const struct ak_agent_pod_input *in, json_t *list, const char *name,
                           const char *value)
{
    if (!name || ak_is_empty(value) || ak_part_user_env(in, name))
        return 0;
    return ak_part_add_env(list, name, value);
}

static int add_identity_env(const struct ak_agent_pod_input *in, json_t *list)
{
    int r = ak_part_add_env(list, AK_AGENT_NAME_VARIABLE, in->meta->name);
    if (r >= 0)
        r = ak_part_add_env(list, "AGENTKUBE_AGENT_NAMESPACE", in->meta->namespace_);
    if (r >= 0)
        r = ak_part_add_env(list, "AGENTKUBE_RUNTIME", in->runtime->name);
    if (r >= 0)
        r = ak_part_add_env_number(list, "AGENTKUBE_GRACE_SECONDS", GRACE_SECONDS);
    return r < 0 ? r : add_default_env(in, list, "HOME", "/home/agent");
}

static int add_user_env(const struct ak_agent_pod_input *in, json_t *list)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < in->spec->env.len; i++)
        r = ak_part_add_env(list, in->spec->env.items[i].name, in->spec->env.items[i].value);
    return r;
}

static int add_setup_env(const struct ak_agent_pod_input *in, json_t *list)
{
    const struct ak_agent_workspace *ws = in->spec->workspace;
    if (!ws || ak_is_empty(ws->setup_command))
        return 0;
    int r = ak_part_add_env(list, "AGENTKUBE_SETUP_COMMAND", ws->setup_command);
    return r < 0 ? r
                 : ak_part_add_env_number(list, "AGENTKUBE_SETUP_TIMEOUT_SECONDS",
                                          ws->setup_timeout_seconds);
}

/* The program of a Custom runtime, as a JSON array. */
static int add_run_command(const struct ak_agent_pod_input *in, json_t *list)
{
    const struct ak_string_list *command = &in->spec->run->command;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    if (in->runtime->command || !command->len)
        return 0;
    AK_AUTO_JSON *array = json_array();
    int r = array ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < command->len; i++)
        r = json_array_append_new(array, json_string(command->items[i]));
    if (r >= 0)
        r = ak_json_write(array, &text, NULL);
    return r < 0 ? r : ak_part_add_env(list, "AGENTKUBE_RUN_COMMAND", ak_buf_text(&text));
}

/* What the agentlet needs to know to start runs. */
static int add_run_env(const struct ak_agent_pod_input *in, json_t *list)
{
    const struct ak_agent_run *run = in->spec->run;
    const char *mode = ak_agent_mode_to_string(in->spec->mode);
    const struct ak_pair fixed[] = {
        {"AGENTKUBE_MODE", ak_is_empty(mode) ? "supervised" : mode},
        {"AGENTKUBE_PROVIDER", in->provider_name},
        {"AGENTKUBE_MODEL", in->model},
        {"AGENTKUBE_MODEL_URL", MODEL_URL},
        {"AGENTKUBE_MCP_URL", "http://" AK_POD_LOOPBACK "/mcp"},
        {"AGENTKUBE_GOAL_FILE", in->spec->goal ? "/agentkube/goal/goal" : NULL},
        {"AGENTKUBE_LINK", AK_POD_LINK},
        {"AGENTKUBE_KEEPER_UID", AK_POD_KEEPER_USER_TEXT},
    };
    int r = 0;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(fixed); i++)
        r = ak_part_add_env_if(list, fixed[i].key, fixed[i].value);
    if (r >= 0)
        r = ak_part_add_env_number(list, "AGENTKUBE_RUN_MAX_QUEUED", run->max_queued);
    if (r >= 0)
        r = ak_part_add_env_number(list, "AGENTKUBE_RUN_MAX_RETAINED", run->max_retained);
    return r < 0 ? r : add_run_command(in, list);
}

/* A placeholder that opens nothing, because the keeper has the key; or, where the program cannot be pointed at
 * the keeper, the key itself. */
static int add_token_env(const struct ak_agent_pod_input *in, json_t *list)
{
    if (!in->token_variable || !in->spec->agent_token)
        return 0;
    if (!in->token_exposed)
        return ak_part_add_env(list, in->token_variable, AK_TOKEN_PLACEHOLDER);
    const struct ak_secret_key_ref *ref = in->spec->agent_token->secret_ref;
    return json_array_append_new(list, json_pack("{s:s, s:{s:{s:s, s:s}}}", "name",
                                                 in->token_variable, "valueFrom", "secretKeyRef",
                                                 "name", ref->name, "key", ref->key));
}

/* For who works in the container by hand: runs bring their own. */
static int add_runtime_env(const struct ak_agent_pod_input *in, json_t *list)
{
    const struct ak_runtime *rt = in->runtime;
    const char *url = rt->base_url_variable;
    if (!url && in->provider)
        url = in->provider->base_url_variable;
    int r = add_default_env(in, list, rt->model_variable, in->model);
    if (r >= 0)
        r = add_default_env(in, list, rt->provider_variable,
                            in->provider ? in->provider->name : NULL);
    if (r >= 0 && !rt->keeper_unaware)
        r = add_default_env(in, list, url, MODEL_URL);
    for (size_t i = 0; r >= 0 && rt->quiet && rt->quiet[i].key; i++)
        r = add_default_env(in, list, rt->quiet[i].key, rt->quiet[i].value);
    return r < 0 ? r : add_token_env(in, list);
}

static json_t *agent_env(const struct ak_agent_pod_input *in)
{
    static int (*const groups[])(const struct ak_agent_pod_input *, json_t *) = {
        add_identity_env, add_run_env, add_setup_env, add_runtime_env, add_user_env,
    };
    AK_AUTO_JSON *list = json_array();
    int r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(groups); i++)
        r = groups[i](in, list);
    return r < 0 ? NULL : AK_TAKE(list);
}

static int set_probes(json_t *container)
{
    int r = json_object_set_new(container, "startupProbe",
                                ak_part_probe("agentlet", "/healthz", 1, 2, 60));
    if (r >= 0)
        r = json_object_set_new(container, "livenessProbe",
                                ak_part_probe("agentlet", "/healthz", 20, 5, 3));
    if (r >= 0)
        r = json_object_set_new(container, "readinessProbe",
                                ak_part_probe("agentlet", "/readyz", 5, 2, 3));
    return r;
}

static json_t *agent_mounts(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *mounts = json_array();
    int r = json_array_append_new(mounts, ak_part_mount("agentlet", "/agentkube/bin", true));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("run", "/agentkube/run", false));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("link", AK_POD_LINK_DIR, false));
    if (r >= 0 && in->spec->goal)
        r = json_array_append_new(mounts, ak_part_mount("goal", "/agentkube/goal", true));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("workspace", "/workspace", false));
    if (r >= 0 && in->memory_claim)
        r = json_array_append_new(mounts, ak_part_mount("memory", "/memory", false));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("home", "/home/agent", false));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("tmp", "/tmp", false));
    return r < 0 ? NULL : AK_TAKE(mounts);
}

static const char *pull_policy(const struct ak_agent_pod_input *in)
{
    const char *text = ak_pull_policy_to_string(in->spec->image_pull_policy);
    return ak_is_empty(text) ? NULL : text;
}

/* Only our own images are known to work so. */
static bool is_root_read_only(const struct ak_agent_pod_input *in)
{
    return in->runtime->read_only_root && ak_is_empty(in->spec->image);
}

static json_t *agent_container(const struct ak_agent_pod_input *in)
{
    const char *resources = in->spec->resources ? in->spec->resources : DEFAULT_RESOURCES;
    AK_AUTO_JSON *c = json_pack(
        "{s:s, s:s, s:[s, s], s:s, s:[{s:s, s:i}], s:s, s:s}", "name", AK_AGENT_CONTAINER, "image",
        in->image, "command", "/agentkube/bin/agentlet", "run", "workingDir", "/workspace", "ports",
        "name", "agentlet", "containerPort", 8083, "terminationMessagePolicy", "File",
        "terminationMessagePath", "/dev/termination-log");
    int r = ak_part_set_text(c, "imagePullPolicy", pull_policy(in));
    if (r >= 0)
        r = json_object_set_new(c, "env", agent_env(in));
    if (r >= 0)
        r = json_object_set_new(c, "resources", ak_part_parse(resources));
    if (r >= 0)
        r = json_object_set_new(c, "securityContext", ak_part_security(is_root_read_only(in)));
    if (r >= 0)
        r = json_object_set_new(c, "volumeMounts", agent_mounts(in));
    if (r >= 0)
        r = set_probes(c);
    return r < 0 ? NULL : AK_TAKE(c);
}

static json_t *install_container(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *c = json_pack("{s:s, s:s, s:s, s:[s, s, s], s:s}", "name", "install", "image",
                                in->options->manager_image, "imagePullPolicy", "IfNotPresent",
                                "command", "/usr/local/bin/agentlet", "install", "/agentkube/bin",
                                "terminationMessagePolicy", "FallbackToLogsOnError");
    int r = json_object_set_new(c, "resources", ak_part_parse(INSTALL_RESOURCES));
    if (r >= 0)
        r = json_object_set_new(c, "securityContext", ak_part_security(true));
    if (r >= 0)
        r = json_object_set_new(
            c, "volumeMounts",
            json_pack("[o]", ak_part_mount("agentlet", "/agentkube/bin", false)));
    return r < 0 ? NULL : AK_TAKE(c);
}

static json_t *workspace_env(const struct ak_agent_repo *repo)
{
    AK_AUTO_JSON *list = json_array();
    int r = list ? ak_part_add_env(list, "AGENTKUBE_REPO_URL", repo->url) : -ENOMEM;
    if (r >= 0 && !ak_is_empty(repo->ref))
        r = ak_part_add_env(list, "AGENTKUBE_REPO_REF", repo->ref);
    if (r >= 0 && repo->secret_ref)
        r = ak_part_add_env(list, "AGENTKUBE_REPO_SECRET_DIR", "/agentkube/git");
    return r < 0 ? NULL : AK_TAKE(list);
}

static json_t *workspace_mounts(const struct ak_agent_repo *repo)
{
    AK_AUTO_JSON *mounts = json_array();
    int r = json_array_append_new(mounts, ak_part_mount("agentlet", "/agentkube/bin", true));
    if (r >= 0 && repo->secret_ref)
        r = json_array_append_new(mounts, ak_part_mount("git-credential", "/agentkube/git", true));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("workspace", "/workspace", false));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("tmp", "/tmp", false));
    return r < 0 ? NULL : AK_TAKE(mounts);
}

/* The only container that sees the repository's credential. */
static json_t *workspace_container(const struct ak_agent_pod_input *in,
                                   const struct ak_agent_repo *repo)
{
    const char *resources = in->spec->resources ? in->spec->resources : DEFAULT_RESOURCES;
    AK_AUTO_JSON *c =
        json_pack("{s:s, s:s, s:[s, s], s:s}", "name", "workspace", "image", in->image, "command",
                  "/agentkube/bin/agentlet", "workspace", "terminationMessagePolicy", "File");
    int r = ak_part_set_text(c, "imagePullPolicy", pull_policy(in));
    if (r >= 0)
        r = json_object_set_new(c, "env", workspace_env(repo));
    if (r >= 0)
        r = json_object_set_new(c, "resources", ak_part_parse(resources));
    if (r >= 0)
        r = json_object_set_new(c, "securityContext", ak_part_security(true));
    if (r >= 0)
        r = json_object_set_new(c, "volumeMounts", workspace_mounts(repo));
    return r < 0 ? NULL : AK_TAKE(c);
}

static json_t *claim_volume(const char *name, const char *claim)
{
    return json_pack("{s:s, s:{s:s}}", "name", name, "persistentVolumeClaim", "claimName", claim);
}

static json_t *goal_volume(const struct ak_agent_goal *goal)
{
    const struct ak_config_map_key_ref *ref = goal->config_map_key_ref;
    if (ref)
        return json_pack("{s:s, s:{s:s, s:[{s:s, s:s}]}}", "name", "goal", "configMap", "name",
                         ref->name, "items", "key", ref->key, "path", "goal");
    return json_pack("{s:s, s:{s:[{s:s, s:{s:s}}]}}", "name", "goal", "downwardAPI", "items",
                     "path", "goal", "fieldRef", "fieldPath",
                     "metadata.annotations['" AK_ANNOTATION_GOAL "']");
}

static json_t *volumes(const struct ak_agent_pod_input *in)
{
    const struct ak_agent_workspace *ws = in->spec->workspace;
    const struct ak_agent_repo *repo = ws ? ws->repo : NULL;
    AK_AUTO_JSON *list = json_array();
    int r = json_array_append_new(list, ak_part_empty_volume("agentlet", "64Mi"));
    if (r >= 0)
        r = json_array_append_new(list, ak_part_empty_volume("run", "16Mi"));
    if (r >= 0)
        r = ak_agent_add_keeper_volumes(in, list);
    if (r >= 0 && in->spec->goal)
        r = json_array_append_new(list, goal_volume(in->spec->goal));
    if (r >= 0)
        r = json_array_append_new(
            list, in->workspace_claim ? claim_volume("workspace", in->workspace_claim)
                                      : ak_part_empty_volume("workspace", ws ? ws->size : NULL));
    if (r >= 0 && in->memory_claim)
        r = json_array_append_new(list, claim_volume("memory", in->memory_claim));
    if (r >= 0)
        r = json_array_append_new(list, ak_part_empty_volume("home", NULL));
    if (r >= 0)
        r = json_array_append_new(list, ak_part_empty_volume("tmp", NULL));
    if (r >= 0 && repo && repo->secret_ref)
        r = json_array_append_new(list, json_pack("{s:s, s:{s:s, s:i}}", "name", "git-credential",
                                                  "secret", "secretName", repo->secret_ref->name,
                                                  "defaultMode", 0440));
    return r < 0 ? NULL : AK_TAKE(list);
}

/* A volume that one node can mount keeps the pods of a group together. The first pod of a group fits its
 * own rule, so it can be placed. */
static json_t *group_affinity(const char *group)
{
    return json_pack("{s:{s:[{s:s, s:{s:{s:s}}}]}}", "podAffinity",
                     "requiredDuringSchedulingIgnoredDuringExecution", "topologyKey",
                     "kubernetes.io/hostname", "labelSelector", "matchLabels", AK_LABEL_GROUP,
                     group);
}

static json_t *init_containers(const struct ak_agent_pod_input *in)
{
    const struct ak_agent_repo *repo = in->spec->workspace ? in->spec->workspace->repo : NULL;
    AK_AUTO_JSON *list = json_pack("[o]", install_container(in));
    if (repo && json_array_append_new(list, workspace_container(in, repo)) < 0)
        return NULL;
    return AK_TAKE(list);
}

/* The agent comes first: it is what kubectl means when no container is named. */
static json_t *containers(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *list = json_pack("[o]", agent_container(in));
    if (json_array_append_new(list, ak_agent_keeper_container(in)) < 0)
        return NULL;
    return AK_TAKE(list);
}

/* Where the pod may run, and as what. */
static int set_placement(const struct ak_agent_pod_input *in, json_t *spec)
{
    int r = ak_part_set_text(spec, "serviceAccountName", in->spec->service_account_name);
    if (r >= 0)
        r = ak_part_set_text(spec, "runtimeClassName", in->spec->runtime_class_name);
    if (r >= 0 && in->spec->node_selector.len)
        r = json_object_set_new(spec, "nodeSelector", ak_part_string_map(&in->spec->node_selector));
    if (r >= 0 && in->spec->tolerations)
        r = json_object_set_new(spec, "tolerations", ak_part_parse(in->spec->tolerations));
    if (r >= 0 && in->memory_claim && in->memory_shares_node)
        r = json_object_set_new(spec, "affinity", group_affinity(in->group));
    return r;
}

static json_t *pod_spec(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *spec = json_pack("{s:b, s:b, s:s, s:i, s:o}", "automountServiceAccountToken", 0,
                                   "enableServiceLinks", 0, "restartPolicy", "Always",
                                   "terminationGracePeriodSeconds", POD_GRACE_SECONDS,
                                   "securityContext", ak_part_pod_security());
    int r = json_object_set_new(spec, "initContainers", init_containers(in));
    if (r >= 0)
        r = json_object_set_new(spec, "containers", containers(in));
    if (r >= 0)
        r = json_object_set_new(spec, "volumes", volumes(in));
    AK_AUTO_JSON *secrets = r < 0 ? NULL
                                  : ak_part_pull_secrets(in->spec->image_pull_secrets.items,
                                                         in->spec->image_pull_secrets.len,
                                                         &in->options->image_pull_secrets);
    if (r >= 0 && (!secrets || json_array_size(secrets)))
        r = json_object_set(spec, "imagePullSecrets", secrets);
    if (r >= 0)
        r = set_placement(in, spec);
    return r < 0 ? NULL : AK_TAKE(spec);
}

static json_t *pod_labels(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *labels = ak_part_string_map(&in->spec->pod_labels);
    AK_AUTO_JSON *ours =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "app.kubernetes.io/name", "agent",
                  "app.kubernetes.io/instance", in->meta->name, "app.kubernetes.io/component",
                  in->runtime->name, "app.kubernetes.io/part-of", "agentkube",
                  "app.kubernetes.io/managed-by", AK_MANAGED_BY, AK_LABEL_AGENT, in->meta->name);
    if (!ours || json_object_update(labels, ours) < 0 ||
        ak_part_set_text(labels, AK_LABEL_GROUP, in->group) < 0)
        return NULL;
    return AK_TAKE(labels);
}

static json_t *pod_annotations(const struct ak_agent_pod_input *in)
{
    AK_AUTO_JSON *notes = ak_part_string_map(&in->spec->pod_annotations);
    const struct ak_agent_goal *goal = in->spec->goal;
    int r = json_object_set_new(notes, "kubectl.kubernetes.io/default-container",
                                json_string(AK_AGENT_CONTAINER));
    if (r >= 0 && goal && goal->inline_ && !goal->config_map_key_ref)
        r = json_object_set_new(notes, AK_ANNOTATION_GOAL, json_string(goal->inline_));
    return r < 0 ? NULL : AK_TAKE(notes);
}

static json_t *pod_metadata(const struct ak_agent_pod_input *in)
{
    /* Not blockOwnerDeletion: some clusters want a permission for it that our role does not have. */
    const struct ak_owner_ref owner = {.api_version = AK_API_GROUP "/" AK_API_VERSION,
                                       .kind = "Agent",
                                       .name = in->meta->name,
                                       .uid = in->meta->uid,
                                       .controller = true};
    AK_AUTO_JSON *meta =
        json_pack("{s:s, s:s}", "name", in->meta->name, "namespace", in->meta->namespace_);
    int r = json_object_set_new(meta, "labels", pod_labels(in));
    if (r >= 0)
        r = json_object_set_new(meta, "annotations", pod_annotations(in));
    if (r >= 0)
        r = json_object_set_new(meta, "ownerReferences", json_pack("[o]", ak_part_owner(&owner)));
    return r < 0 ? NULL : AK_TAKE(meta);
}

static const char *or_dash(const char *s)
{
    return s ? s : "-";
}

/* Over the pod and over what it reads by reference: equal hash, equal pod. */
static int pod_hash(const struct ak_agent_pod_input *in, const json_t *pod,
                    char ret[static AK_DIGEST_SIZE])
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4u << 20);
    int r = ak_json_write(pod, &text, NULL); /* members in the order in which they were set */
    if (r >= 0)
        r = ak_buf_addf(&text, "\n%s %s %s", or_dash(in->goal_digest), or_dash(in->token_digest),
                        or_dash(in->repo_digest));
    return r < 0 ? r : ak_digest_bytes(ak_buf_text(&text), text.len, ret);
}

int ak_agent_pod_build(const struct ak_agent_pod_input *in, json_t **ret, struct ak_error **reterr)
{
    char hash[AK_DIGEST_SIZE];
    AK_AUTO_JSON *pod = json_pack("{s:s, s:s}", "apiVersion", "v1", "kind", "Pod");
    int r = json_object_set_new(pod, "metadata", pod_metadata(in));
    if (r >= 0)
        r = json_object_set_new(pod, "spec", pod_spec(in));
    if (r >= 0)
        r = pod_hash(in, pod, hash);
    if (r >= 0)
        r = json_object_set_new(ak_json_at(pod, "metadata", "annotations", NULL),
                                AK_ANNOTATION_POD_HASH, json_string(hash));
    if (r < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(pod);
    return 0;
}
