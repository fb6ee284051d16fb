/* SPDX-License-Identifier: Apache-2.0 */
/* What the cluster brings: definitions, a network, nodes that can start agents' pods. */
#include <string.h>

#include <ak/base/text.h>

#include "exo/doctor.h"
#include "exo/kinds.h"
#include "exo/objects.h"
#include "exo/output.h"

#define MAX_PODS 5     /* with a problem that are shown */
#define MAX_QUOTED 300 /* bytes of somebody else's message */

/* Discovery is open to everybody; the definitions themselves often are not. */
static int missing_kinds(struct ak_doctor *self, struct ak_buf *missing, struct ak_error **reterr)
{
    static const char *const plurals[] = {"agents", "tools", "mcps", "llmgateways", "claws"};
    const struct ak_call call = {.method = "GET", .path = "/apis/agentkube.io/v1alpha1"};
    AK_AUTO_JSON *list = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    int r = ak_client_call(self->exo->client, &call, &list, &err);
    if (r < 0 && r != AK_E_NOT_FOUND) {
        if (reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
    const json_t *resources = json_object_get(list, "resources");
    for (size_t i = 0; i < AK_ARRAY_LEN(plurals); i++) {
        bool is_there = false;
        for (size_t k = 0; k < json_array_size(resources); k++)
            is_there |=
                ak_streq(ak_json_text(json_array_get(resources, k), "name", NULL), plurals[i]);
        if (!is_there && ak_buf_addf(missing, "%s%s", missing->len ? ", " : "", plurals[i]) < 0)
            return ak_error_oom(reterr);
    }
    return 0;
}

/* The definition of Agents as this version has it knows records of runs. */
static bool is_older(const json_t *definition)
{
    const json_t *versions = ak_json_at(definition, "spec", "versions", NULL);

    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *one = json_array_get(versions, i);
        const json_t *status = ak_json_at(one, "schema", "openAPIV3Schema", "properties", "status",
                                          "properties", NULL);
        if (ak_streq(ak_json_text(one, "name", NULL), "v1alpha1"))
            return !json_object_get(status, "runs");
    }
    return true;
}

int ak_doctor_definitions(struct ak_doctor *self)
{
    const struct ak_objects_query q = {
        .resource = ak_kinds_find("CustomResourceDefinition"),
        .name = "agents.agentkube.io",
    };
    AK_AUTO(ak_buf) missing = AK_BUF_INIT(512);
    AK_AUTO_JSON *definition = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    int r = missing_kinds(self, &missing, &err);
    if (r < 0)
        return ak_doctor_add_error(self, err, "look for the definitions");
    if (missing.len)
        return ak_doctor_add(self, AK_VERDICT_FAIL,
                             "exo-install crds (helm: helm install, or crds.install=true)",
                             "not served: %s", ak_buf_text(&missing));
    r = ak_objects_find(self->exo, &q, &definition, &err);
    if (r < 0 || !definition)
        return ak_doctor_add(self, AK_VERDICT_OK, NULL, "all five are served");
    if (is_older(definition))
        return ak_doctor_add(self, AK_VERDICT_FAIL, "exo-install crds brings them up to date",
                             "all five are served, but of an older version: no records of runs");
    return ak_doctor_add(self, AK_VERDICT_OK, NULL, "all five are served, of this version");
}

/* Programs that are known to enforce NetworkPolicies, by a part of the name of their DaemonSet or image. */
static const char *const enforcers[] = {
    "calico", "cilium",   "antrea",    "weave",    "canal", "kube-router",
    "romana", "ovn",      "azure-npm", "aws-node", "netd",  "kube-network-policies",
    "nsx",    "kube-ovn", "kindnet"};

int ak_doctor_network(struct ak_doctor *self)
{
    static const char advice[] = "without one every pod reaches every other, whatever policies say";
    const struct ak_objects_query q = {
        .resource = ak_kinds_find("DaemonSet"), .ns = "kube-system", .form = AK_OBJECTS_METADATA};
    AK_AUTO_JSON *list = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;

    int r = ak_objects_read(self->exo, &q, &list, &err);
    if (r < 0)
        return ak_doctor_add(self, AK_VERDICT_WARN, advice,
                             "whether the cluster enforces NetworkPolicies cannot be seen: %s",
                             ak_error_message(err));
    const json_t *items = json_object_get(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *name =
            ak_output_or(ak_json_text(json_array_get(items, i), "metadata", "name", NULL), "");
        for (size_t k = 0; k < AK_ARRAY_LEN(enforcers); k++)
            if (strstr(name, enforcers[k]))
                return ak_doctor_add(self, AK_VERDICT_OK, NULL,
                                     "DaemonSet %s can enforce NetworkPolicies", name);
    }
    return ak_doctor_add(
        self, AK_VERDICT_WARN, advice,
        "nothing was found in kube-system that is known to enforce NetworkPolicies");
}

static int add_waiting(const json_t *status, struct ak_buf *out)
{
    const char *reason = ak_json_text(status, "state", "waiting", "reason", NULL);
    const char *message = ak_json_text(status, "state", "waiting", "message", NULL);
    const char *image = ak_json_text(status, "image", NULL);

    /* What every pod goes through. */
    if (!reason || ak_streq(reason, "ContainerCreating") || ak_streq(reason, "PodInitializing"))
        return 0;
    int r = ak_buf_addf(out, "container %s: %s",
                        ak_output_or(ak_json_text(status, "name", NULL), "?"), reason);
    if (r >= 0 && image && (strstr(reason, "Image") || strstr(reason, "Pull")))
        r = ak_buf_addf(out, ", image %s", image);
    if (r >= 0 && message)
        r = ak_buf_addf(out, ": %.*s", MAX_QUOTED, message);
    return r;
}

int ak_doctor_pod_problem(const json_t *pod, struct ak_buf *out)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const json_t *conditions = ak_json_at(pod, "status", "conditions", NULL);
    size_t before = out->len;
    int r = 0;

    for (size_t l = 0; l < AK_ARRAY_LEN(lists); l++) {
        const json_t *statuses = ak_json_at(pod, "status", lists[l], NULL);
        for (size_t i = 0; r >= 0 && out->len == before && i < json_array_size(statuses); i++)
            r = add_waiting(json_array_get(statuses, i), out);
    }
    for (size_t i = 0; r >= 0 && out->len == before && i < json_array_size(conditions); i++) {
        const json_t *one = json_array_get(conditions, i);
        const char *message = ak_json_text(one, "message", NULL);
        if (ak_streq(ak_json_text(one, "type", NULL), "PodScheduled") &&
            ak_streq(ak_json_text(one, "status", NULL), "False") && message)
            r = ak_buf_addf(out, "no node takes it: %.*s", MAX_QUOTED, message);
    }
    return r;
}

/* Pods with this label, of every namespace or, where that is not allowed, of this one. */
static int read_pods(struct ak_doctor *self, const char *label, json_t **ret,
                     struct ak_error **reterr)
{
    struct ak_objects_query q = {.resource = ak_kinds_find("Pod"), .selector = label};
    AK_AUTO_PTR(ak_error) err = NULL;

    int r = ak_objects_read(self->exo, &q, ret, &err);
    if (r != AK_E_FORBIDDEN) {
        if (r < 0 && reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
    q.ns = self->exo->ns;
    return ak_objects_read(self->exo, &q, ret, reterr);
}

static int add_pod(struct ak_doctor *self, const json_t *pod, const char *why)
{
    return ak_doctor_add(
        self, AK_VERDICT_WARN,
        strstr(why, "mage") ? "is the image in a registry that the nodes reach (spec.image, "
                              "image.registry of the chart, pull secrets)?"
                            : "kubectl describe pod says more",
        "pod %s/%s: %s", ak_output_or(ak_json_text(pod, "metadata", "namespace", NULL), "?"),
        ak_output_or(ak_json_text(pod, "metadata", "name", NULL), "?"), why);
}

int ak_doctor_pods(struct ak_doctor *self)
{
    static const char *const labels[] = {"agentkube.io/agent", "agentkube.io/tool"};
    size_t n = 0, seen = 0;
    int r = 0;

    for (size_t k = 0; r >= 0 && k < AK_ARRAY_LEN(labels); k++) {
        AK_AUTO_JSON *pods = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        if (read_pods(self, labels[k], &pods, &err) < 0)
            return ak_doctor_add_error(self, err, "look at the pods of Agents and Tools");
        const json_t *items = json_object_get(pods, "items");
        seen += json_array_size(items);
        for (size_t i = 0; r >= 0 && i < json_array_size(items); i++) {
            AK_AUTO(ak_buf) why = AK_BUF_INIT(2048);
            r = ak_doctor_pod_problem(json_array_get(items, i), &why);
            if (r >= 0 && why.len && ++n <= MAX_PODS)
                r = add_pod(self, json_array_get(items, i), ak_buf_text(&why));
        }
    }
    if (r < 0)
        return r;
    if (n > MAX_PODS)
        return ak_doctor_add(self, AK_VERDICT_WARN, NULL, "and %zu more", n - MAX_PODS);
    return n ? 0
             : ak_doctor_add(self, AK_VERDICT_OK, NULL,
                             "%zu pods of Agents and Tools, none that cannot start", seen);
}
