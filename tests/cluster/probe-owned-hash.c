/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For test_owned_hash.py: applies or reads objects and prints both hashes.
 *     probe-owned-hash KUBECONFIG apply|read [status] < desired.json
 * prints "equal" or "different", then the two hashes.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/kube/client.h>
#include <ak/kube/object.h>

#define MANAGER "probe"

static const struct ak_resource known[] = {
    {"apps", "v1", "Deployment", "deployments", true},
    {"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true},
    {"", "v1", "Service", "services", true},
    {"", "v1", "ConfigMap", "configmaps", true},
    {"", "v1", "Pod", "pods", true},
    {"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true},
    {"rbac.authorization.k8s.io", "v1", "Role", "roles", true},
    {"probe.example", "v1", "Widget", "widgets", true},
};

static const struct ak_resource *resource_of(const json_t *object)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(known); i++)
        if (ak_streq(known[i].kind, ak_json_text(object, "kind", NULL)))
            return &known[i];
    return NULL;
}

static int run(const char *kubeconfig, const char *verb, const char *sub, struct ak_error **reterr)
{
    struct ak_kube_config_options options = {.paths = kubeconfig};
    AK_AUTO_PTR(ak_kube_config) config = NULL;
    AK_AUTO_PTR(ak_client) client = NULL;
    AK_AUTO(ak_buf) text = {.max = 1u << 20};
    AK_AUTO_JSON *desired = NULL;
    AK_AUTO_JSON *live = NULL;
    uint64_t want, have;
    int r = ak_buf_add_file(&text, "/dev/stdin");

    if (r >= 0)
        r = ak_json_parse(ak_buf_text(&text), text.len, &desired, reterr);
    if (r >= 0 && !resource_of(desired))
        r = ak_error_set(reterr, -EINVAL, "unknown kind");
    if (r >= 0)
        r = ak_kube_config_load(&options, &config, reterr);
    if (r >= 0)
        r = ak_client_new(config, &client, reterr);
    if (r >= 0 && ak_streq(verb, "apply"))
        r = ak_client_apply(client, resource_of(desired), sub, desired, MANAGER, true, NULL,
                            reterr);
    if (r >= 0)
        r = ak_client_get(client, resource_of(desired),
                          ak_json_text(desired, "metadata", "namespace", NULL),
                          ak_json_text(desired, "metadata", "name", NULL), &live, reterr);
    if (r < 0)
        return r;
    want = ak_desired_hash(desired);
    have = ak_owned_hash(live, MANAGER);
    (void)printf("%s %016llx %016llx\n", want == have ? "equal" : "different",
                 (unsigned long long)want, (unsigned long long)have);
    return 0;
}

int main(int argc, char **argv)
{
    AK_AUTO_PTR(ak_error) err = NULL;

    if (argc < 3)
        return 2;
    if (run(argv[1], argv[2], argc > 3 ? argv[3] : NULL, &err) >= 0)
        return 0;
    (void)fprintf(stderr, "%s\n", ak_error_message(err));
    return 1;
}
