/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of a Tool. The bastion's has two containers, so that programs that somebody else wrote cannot reach the
 * credential: `bastion` holds it and logs in, `client` runs them and has none. The others have `bastion` alone.
 */
#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>

#include "manager/controllers/tool/specs/specs.h"
#include "manager/digests.h"
#include "manager/kinds.h"
#include "manager/pods/parts.h"
#include "manager/runs/runs.h"

#define PROGRAM "/usr/local/bin/bastion" /* in our image */
#define COPY_DIR "/agentkube/bin"
#define COPY COPY_DIR "/bastion" /* in somebody else's */
#define TOKEN_DIR "/agentkube/token"
#define CREDENTIAL_DIR "/agentkube/credential"
#define IDENTITY_DIR "/agentkube/identity"
#define ADMIN_DIR "/agentkube/admin"
#define CLUSTER_TOKEN_SECONDS 3600
#define GRACE_SECONDS 15
#define PROBE_SECONDS 30
#define PROBE_FOREIGN_SECONDS 90 /* a type's image may have to be pulled first */
#define PROVISION_SECONDS 180
#define JOB_KEPT_SECONDS 3600 /* by clusters that clean up */
#define COPY_RESOURCES                                                                             \
    "{\"requests\":{\"cpu\":\"10m\",\"memory\":\"16Mi\"},\"limits\":{\"memory\":\"64Mi\"}}"
#define BASTION_RESOURCES                                                                          \
    "{\"requests\":{\"cpu\":\"5m\",\"memory\":\"16Mi\"},\"limits\":{\"memory\":\"256Mi\"}}"
#define CLIENT_RESOURCES "{\"requests\":{\"cpu\":\"10m\",\"memory\":\"32Mi\"}}"

static const struct role {
    const char *name, *verb;
} roles[AK_TOOL_ROLE_MAX] = {
    [AK_TOOL_ROLE_BASTION] = {"bastion", "serve"},
    [AK_TOOL_ROLE_PROBE] = {"probe", "probe"},
    [AK_TOOL_ROLE_PROVISION] = {"permissions", "provision"},
    [AK_TOOL_ROLE_DEPROVISION] = {"cleanup", "deprovision"},
};

const char *ak_tool_role_name(enum ak_tool_role role)
{
    return roles[role].name;
}

static bool serves(const struct ak_tool_pod_input *in)
{
    return in->role == AK_TOOL_ROLE_BASTION;
}

static bool administers(const struct ak_tool_pod_input *in)
{
    return in->role == AK_TOOL_ROLE_PROVISION || in->role == AK_TOOL_ROLE_DEPROVISION;
}

static bool is_direct(const struct ak_tool_pod_input *in)
{
    return in->info->flags & AK_ENGINE_DIRECT;
}

/* A direct type's program has to be there to log in. */
static bool is_foreign(const struct ak_tool_pod_input *in)
{
    return !serves(in) && is_direct(in);
}

/* ---- volumes ---- */

static json_t *secret_source(const struct ak_secret_key_ref *ref, const char *path)
{
    return json_pack("{s:{s:s, s:[{s:s, s:s}]}}", "secret", "name", ref->name, "items", "key",
                     ref->key, "path", path);
}

static const struct ak_secret_key_ref *given_credential(const struct ak_tool_pod_input *in)
{
    const struct ak_tool_config *config = in->spec->config;
    return config && !in->identity && !administers(in) ? config->credentials_ref : NULL;
}

static bool in_cluster(const struct ak_tool_pod_input *in)
{
    return in->spec->type == AK_TOOL_TYPE_KUBERNETES && in->spec->config &&
           in->spec->config->in_cluster;
}

/* What the client of the system logs in with, and whom it believes. Secrets that change are seen here by the
 * kubelet, too, but the pod is replaced before. */
static json_t *credential_sources(const struct ak_tool_pod_input *in)
{
    const struct ak_secret_key_ref *credential = given_credential(in);
    const struct ak_secret_key_ref *ca = ak_tool_ca_ref(in->spec);
    AK_AUTO_JSON *sources = json_array();
    int r = sources ? 0 : -ENOMEM;
    if (r >= 0 && credential)
        r = json_array_append_new(sources, secret_source(credential, "credential"));
    if (r >= 0 && ca)
        r = json_array_append_new(sources, secret_source(ca, "ca.pem"));
    if (r >= 0 && in_cluster(in))
        r = json_array_append_new(sources, json_pack("{s:{s:i, s:s}}", "serviceAccountToken",
                                                     "expirationSeconds", CLUSTER_TOKEN_SECONDS,
                                                     "path", "token"));
    if (r >= 0 && in_cluster(in))
        r = json_array_append_new(sources, json_pack("{s:{s:s, s:[{s:s, s:s}]}}", "configMap",
                                                     "name", "kube-root-ca.crt", "items", "key",
                                                     "ca.crt", "path", "ca.crt"));
    return r < 0 ? NULL : AK_TAKE(sources);
}

static bool has_credential(const struct ak_tool_pod_input *in)
{
    return given_credential(in) || ak_tool_ca_ref(in->spec) || in_cluster(in);
}

static bool has_identity(const struct ak_tool_pod_input *in)
{
    return in->identity && in->role != AK_TOOL_ROLE_DEPROVISION;
}

/* The name under which the administrator is known may be in the Secret, or not. */
static json_t *admin_sources(const struct ak_tool_pod_input *in)
{
    const struct ak_secret_key_ref *ref = in->spec->permissions->admin_credentials_ref;
    return json_pack("[o, {s:{s:s, s:b, s:[{s:s, s:s}]}}]", secret_source(ref, "credential"),
                     "secret", "name", ref->name, "optional", 1, "items", "key", "username", "path",
                     "username");
}

/* Takes `sources`. */
static json_t *projected_volume(const char *name, json_t *sources)
{
    return json_pack("{s:s, s:{s:i, s:o}}", "name", name, "projected", "defaultMode", 0440,
                     "sources", sources);
}

static json_t *identity_volume(const struct ak_tool_pod_input *in)
{
    return json_pack("{s:s, s:{s:s, s:i}}", "name", "identity", "secret", "secretName",
                     in->identity, "defaultMode", 0440);
}

/* Programs that need a credential as a private file get a place that is no disk. */
static json_t *tmp_volume(const struct ak_tool_pod_input *in)
{
    if (!is_direct(in))
        return ak_part_empty_volume("tmp", "1Gi");
    return json_pack("{s:s, s:{s:s, s:s}}", "name", "tmp", "emptyDir", "medium", "Memory",
                     "sizeLimit", "64Mi");
}

static json_t *volumes(const struct ak_tool_pod_input *in)
{
    AK_AUTO_JSON *list = json_array();
    int r = list ? 0 : -ENOMEM;
    if (r >= 0 && (serves(in) || is_foreign(in)))
        r = json_array_append_new(list, ak_part_empty_volume("bin", "64Mi"));
    if (r >= 0 && serves(in))
        r = json_array_append_new(list, ak_part_empty_volume("link", "16Mi"));
    if (r >= 0 && serves(in))
        r = json_array_append_new(list, ak_part_token_volume("token"));
    if (r >= 0 && (serves(in) || is_foreign(in)))
        r = json_array_append_new(list, tmp_volume(in));
    if (r >= 0 && has_credential(in))
        r = json_array_append_new(list, projected_volume("credential", credential_sources(in)));
    if (r >= 0 && has_identity(in))
        r = json_array_append_new(list, identity_volume(in));
    if (r >= 0 && administers(in))
        r = json_array_append_new(list, projected_volume("admin", admin_sources(in)));
    return r < 0 ? NULL : AK_TAKE(list);
}

/* ---- containers ---- */

static int add_credential_mounts(const struct ak_tool_pod_input *in, json_t *mounts)
{
    int r = 0;
    if (has_credential(in))
        r = json_array_append_new(mounts, ak_part_mount("credential", CREDENTIAL_DIR, true));
    if (r >= 0 && has_identity(in))
        r = json_array_append_new(mounts, ak_part_mount("identity", IDENTITY_DIR, true));
    return r;
}

static json_t *bastion_mounts(const struct ak_tool_pod_input *in)
{
    AK_AUTO_JSON *mounts = json_array();
    int r = mounts ? 0 : -ENOMEM;
    if (r >= 0 && serves(in))
        r = json_array_append_new(mounts, ak_part_mount("link", AK_POD_LINK_DIR, false));
    if (r >= 0 && serves(in))
        r = json_array_append_new(mounts, ak_part_mount("token", TOKEN_DIR, true));
    if (r >= 0 && is_foreign(in))
        r = json_array_append_new(mounts, ak_part_mount("bin", COPY_DIR, true));
    if (r >= 0 && is_foreign(in))
        r = json_array_append_new(mounts, ak_part_mount("tmp", "/tmp", false));
    if (r >= 0)
        r = add_credential_mounts(in, mounts);
    if (r >= 0 && administers(in))
        r = json_array_append_new(mounts, ak_part_mount("admin", ADMIN_DIR, true));
    return r < 0 ? NULL : AK_TAKE(mounts);
}

static json_t *client_mounts(const struct ak_tool_pod_input *in)
{
    AK_AUTO_JSON *mounts = json_array();
    int r = json_array_append_new(mounts, ak_part_mount("bin", COPY_DIR, true));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("link", AK_POD_LINK_DIR, false));
    if (r >= 0)
        r = json_array_append_new(mounts, ak_part_mount("tmp", "/tmp", false));
    if (r >= 0 && is_direct(in))
        r = add_credential_mounts(in, mounts);
    return r < 0 ? NULL : AK_TAKE(mounts);
}

static json_t *environment(const struct ak_tool_pod_input *in, bool is_bastion)
{
    bool proves = is_bastion && serves(in);
    const struct ak_pair fixed[] = {
        {AK_TOOL_NAME_VARIABLE, in->meta->name},
        {"AGENTKUBE_TOOL", in->text},
        {"AGENTKUBE_LINK", serves(in) ? AK_POD_LINK_DIR : NULL},
        {"AGENTKUBE_TOKEN_FILE", proves ? TOKEN_DIR "/token" : NULL},
        {"AGENTKUBE_MANAGER_CA", proves ? in->bundle : NULL},
        {"AGENTKUBE_MANAGER_NAME", proves ? AK_RUNS_SUBJECT : NULL},
    };
    AK_AUTO_JSON *list = json_array();
    int r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < AK_ARRAY_LEN(fixed); i++)
        r = ak_part_add_env_if(list, fixed[i].key, fixed[i].value);
    if (r >= 0 && proves)
        r = ak_part_add_env_pod_uid(list, "AGENTKUBE_POD_UID");
    return r < 0 ? NULL : AK_TAKE(list);
}

static const char *pull_policy(const struct ak_tool_pod_input *in)
{
    const char *text = ak_pull_policy_to_string(in->spec->image_pull_policy);
    return ak_is_empty(text) ? NULL : text;
}

static int set_bastion_ports(json_t *c)
{
    int r =
        json_object_set_new(c, "ports",
                            json_pack("[{s:s, s:i, s:s}, {s:s, s:i, s:s}]", "name",
                                      AK_RUNS_RELAY_PORT, "containerPort", 8084, "protocol", "TCP",
                                      "name", "bastion", "containerPort", 8086, "protocol", "TCP"));
    if (r >= 0)
        r = json_object_set_new(c, "livenessProbe", ak_part_probe("bastion", "/healthz", 20, 5, 3));
    /* Somebody waits for this: as often as it can be asked. */
    if (r >= 0)
        r = json_object_set_new(c, "readinessProbe", ak_part_probe("bastion", "/readyz", 1, 2, 3));
    return r;
}

static json_t *bastion_container(const struct ak_tool_pod_input *in)
{
    bool foreign = is_foreign(in);
    const char *policy = foreign ? pull_policy(in) : "IfNotPresent";
    AK_AUTO_JSON *c =
        json_pack("{s:s, s:s, s:[s, s], s:s, s:s}", "name", AK_TOOL_BASTION, "image",
                  foreign ? in->image : in->options->manager_image, "command",
                  foreign ? COPY : PROGRAM, roles[in->role].verb, "terminationMessagePath",
                  "/dev/termination-log", "terminationMessagePolicy", "FallbackToLogsOnError");
    int r = ak_part_set_text(c, "imagePullPolicy", policy);
    if (r >= 0)
        r = json_object_set_new(c, "env", environment(in, /* is_bastion= */ true));
    if (r >= 0)
        r = json_object_set_new(c, "resources", ak_part_parse(BASTION_RESOURCES));
    if (r >= 0)
        r = json_object_set_new(c, "securityContext", ak_part_keeper_security());
    if (r >= 0)
        r = json_object_set_new(c, "volumeMounts", bastion_mounts(in));
    if (r >= 0 && serves(in))
        r = set_bastion_ports(c);
    return r < 0 ? NULL : AK_TAKE(c);
}

static json_t *client_container(const struct ak_tool_pod_input *in)
{
    const char *resources = in->spec->resources ? in->spec->resources : CLIENT_RESOURCES;
    AK_AUTO_JSON *c = json_pack("{s:s, s:s, s:[s, s], s:s, s:s}", "name", AK_TOOL_CLIENT, "image",
                                in->image, "command", COPY, "client", "workingDir", "/tmp",
                                "terminationMessagePolicy", "FallbackToLogsOnError");
    int r = ak_part_set_text(c, "imagePullPolicy", pull_policy(in));
    if (r >= 0)
        r = json_object_set_new(c, "env", environment(in, /* is_bastion= */ false));
    if (r >= 0)
        r = json_object_set_new(c, "resources", ak_part_parse(resources));
    if (r >= 0)
        r = json_object_set_new(c, "securityContext", ak_part_security(/* read_only_root= */ true));
    if (r >= 0)
        r = json_object_set_new(c, "volumeMounts", client_mounts(in));
    return r < 0 ? NULL : AK_TAKE(c);
}

static json_t *copy_container(const struct ak_tool_pod_input *in)
{
    AK_AUTO_JSON *c =
        json_pack("{s:s, s:s, s:s, s:[s, s, s], s:s}", "name", "copy", "image",
                  in->options->manager_image, "imagePullPolicy", "IfNotPresent", "command", PROGRAM,
                  "install", COPY_DIR, "terminationMessagePolicy", "FallbackToLogsOnError");
    int r = json_object_set_new(c, "resources", ak_part_parse(COPY_RESOURCES));
    if (r >= 0)
        r = json_object_set_new(c, "securityContext", ak_part_security(/* read_only_root= */ true));
    if (r >= 0)
        r = json_object_set_new(c, "volumeMounts",
                                json_pack("[o]", ak_part_mount("bin", COPY_DIR, false)));
    return r < 0 ? NULL : AK_TAKE(c);
}

/* The client comes first: it is what kubectl means when no container is named. */
static json_t *containers(const struct ak_tool_pod_input *in)
{
    if (!serves(in))
        return json_pack("[o]", bastion_container(in));
    return json_pack("[o, o]", client_container(in), bastion_container(in));
}

/* ---- the pod ---- */

static int deadline_of(const struct ak_tool_pod_input *in)
{
    if (administers(in))
        return PROVISION_SECONDS;
    return is_foreign(in) ? PROBE_FOREIGN_SECONDS : PROBE_SECONDS;
}

static int set_placement(const struct ak_tool_pod_input *in, json_t *spec)
{
    AK_AUTO_JSON *secrets =
        ak_part_pull_secrets(in->spec->image_pull_secrets.items, in->spec->image_pull_secrets.len,
                             &in->options->image_pull_secrets);
    int r = secrets ? 0 : -ENOMEM;
    if (r >= 0 && json_array_size(secrets))
        r = json_object_set(spec, "imagePullSecrets", secrets);
    if (r >= 0 && in->spec->node_selector.len)
        r = json_object_set_new(spec, "nodeSelector", ak_part_string_map(&in->spec->node_selector));
    if (r >= 0 && in->spec->tolerations)
        r = json_object_set_new(spec, "tolerations", ak_part_parse(in->spec->tolerations));
    return r;
}

static json_t *pod_spec(const struct ak_tool_pod_input *in)
{
    AK_AUTO_JSON *spec = json_pack(
        "{s:s, s:b, s:b, s:s, s:i, s:o}", "serviceAccountName", in->account,
        "automountServiceAccountToken", 0, "enableServiceLinks", 0, "restartPolicy", "Never",
        "terminationGracePeriodSeconds", GRACE_SECONDS, "securityContext", ak_part_pod_security());
    int r = spec ? 0 : -ENOMEM;
    if (r >= 0 && !serves(in))
        r = json_object_set_new(spec, "activeDeadlineSeconds", json_integer(deadline_of(in)));
    if (r >= 0 && (serves(in) || is_foreign(in)))
        r = json_object_set_new(spec, "initContainers", json_pack("[o]", copy_container(in)));
    if (r >= 0)
        r = json_object_set_new(spec, "containers", containers(in));
    if (r >= 0)
        r = json_object_set_new(spec, "volumes", volumes(in));
    if (r >= 0)
        r = set_placement(in, spec);
    return r < 0 ? NULL : AK_TAKE(spec);
}

static json_t *labels_of(const struct ak_tool_pod_input *in)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "app.kubernetes.io/name", "tool",
                     "app.kubernetes.io/instance", in->meta->name, "app.kubernetes.io/component",
                     roles[in->role].name, "app.kubernetes.io/part-of", "agentkube",
                     "app.kubernetes.io/managed-by", AK_MANAGED_BY, AK_LABEL_TOOL, in->meta->name);
}

static json_t *annotations_of(const struct ak_tool_pod_input *in)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "kubectl.kubernetes.io/default-container",
                     serves(in) ? AK_TOOL_CLIENT : AK_TOOL_BASTION, AK_TOOL_POD_NAME,
                     in->meta->name, AK_TOOL_POD_UID, in->meta->uid, AK_TOOL_POD_ROLE,
                     roles[in->role].name, AK_ANNOTATION_POD_HASH, in->hash);
}

static json_t *owners_of(const struct ak_tool_pod_input *in)
{
    const struct ak_owner_ref owner = {.api_version = AK_API_GROUP "/" AK_API_VERSION,
                                       .kind = "Tool",
                                       .name = in->meta->name,
                                       .uid = in->meta->uid,
                                       .controller = true};
    return json_pack("[o]", ak_part_owner(&owner));
}

/* Of a pod, a Job or a template (which has neither name nor owner). */
static json_t *metadata_of(const struct ak_tool_pod_input *in, bool is_template)
{
    AK_AUTO_JSON *meta =
        json_pack("{s:o, s:o}", "labels", labels_of(in), "annotations", annotations_of(in));
    int r = meta ? 0 : -ENOMEM;
    if (r >= 0 && !is_template)
        r = ak_part_set_text(meta, "name", in->name);
    if (r >= 0 && !is_template)
        r = ak_part_set_text(meta, "namespace", in->meta->namespace_);
    if (r >= 0 && !is_template && !in->unowned)
        r = json_object_set_new(meta, "ownerReferences", owners_of(in));
    return r < 0 ? NULL : AK_TAKE(meta);
}

static int set_build(json_t *pod)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4u << 20);
    char digest[AK_DIGEST_SIZE];
    int r = ak_json_write(pod, &text, NULL);
    if (r >= 0)
        r = ak_digest_bytes(ak_buf_text(&text), text.len, digest);
    return r < 0 ? r
                 : ak_part_set_text(ak_json_at(pod, "metadata", "annotations", NULL),
                                    AK_TOOL_POD_BUILD, digest);
}

int ak_tool_pod_build(const struct ak_tool_pod_input *in, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *pod =
        json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "v1", "kind", "Pod", "metadata",
                  metadata_of(in, /* is_template= */ false), "spec", pod_spec(in));
    if (!pod || set_build(pod) < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(pod);
    return 0;
}

int ak_tool_job_build(const struct ak_tool_pod_input *in, json_t **ret, struct ak_error **reterr)
{
    AK_AUTO_JSON *template = json_pack(
        "{s:o, s:o}", "metadata", metadata_of(in, /* is_template= */ true), "spec", pod_spec(in));
    AK_AUTO_JSON *job =
        json_pack("{s:s, s:s, s:o, s:{s:i, s:i, s:O}}", "apiVersion", "batch/v1", "kind", "Job",
                  "metadata", metadata_of(in, /* is_template= */ false), "spec", "backoffLimit", 0,
                  "ttlSecondsAfterFinished", JOB_KEPT_SECONDS, "template", template);
    if (!template || !job)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(job);
    return 0;
}

int ak_tool_text(const struct ak_meta *meta, const struct ak_tool_spec *spec,
                 struct ak_arena *arena, const char **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(4u << 20);
    AK_AUTO_JSON *tree = NULL;
    json_t *encoded = NULL;
    int r = ak_encode(&ak_tool_spec_type, spec, &encoded, reterr);
    if (r < 0)
        return r;
    tree = json_pack("{s:s, s:s, s:s, s:I, s:o}", "namespace", meta->namespace_, "name", meta->name,
                     "uid", meta->uid, "generation", (json_int_t)meta->generation, "spec", encoded);
    if (!tree)
        return ak_error_oom(reterr);
    r = ak_json_write(tree, &text, reterr);
    if (r < 0)
        return r;
    if (text.len > AK_TOOL_ENV_MAX)
        return ak_error_set(reterr, AK_E_TOO_LARGE, "the spec has %zu bytes, and a pod takes %u",
                            text.len, AK_TOOL_ENV_MAX);
    const char *copy = ak_arena_strndup(arena, ak_buf_text(&text), text.len);
    if (!copy)
        return ak_error_oom(reterr);
    *ret = copy;
    return 0;
}
