/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' sample controller on libagentkube: a Foo becomes a Deployment of nginx, and the Foo's
 * status says how many of its replicas are available.
 *
 *     kubectl apply -f crd.yaml -f example-foo.yaml && sample-controller --kubeconfig ~/.kube/config
 */
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/manage/manager.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/* What we read of a Foo and of a Deployment; nothing else is kept in memory. */
struct foo {
    const char *deployment;
    struct ak_opt_int replicas;
};
static const struct ak_field foo_spec_fields[] = {
    AK_FIELD_STRING(struct foo, deployment, "deploymentName", 0),
    AK_FIELD(struct foo, replicas, "replicas", AK_F_OPT_INT),
};
static const struct ak_type foo_spec_type = AK_TYPE("FooSpec", struct foo, foo_spec_fields);
struct foo_body {
    const struct foo *spec;
};
static const struct ak_field foo_fields[] = {
    AK_FIELD_STRUCT(struct foo_body, spec, "spec", AK_FIELD_MATERIALIZE, &foo_spec_type),
};
static const struct ak_type foo_type = AK_TYPE("Foo", struct foo_body, foo_fields);
static const struct ak_kind foo_kind = {
    .resource = {"samplecontroller.k8s.io", "v1alpha1", "Foo", "foos", true},
    .type = &foo_type,
    .flags = AK_KIND_OWNED_HASH,
};

struct deployment_status {
    int64_t available;
};
static const struct ak_field status_fields[] = {
    AK_FIELD_INT(struct deployment_status, available, "availableReplicas", 0, 0),
};
static const struct ak_type status_type =
    AK_TYPE("DeploymentStatus", struct deployment_status, status_fields);
struct deployment {
    const struct deployment_status *status;
};
static const struct ak_field deployment_fields[] = {
    AK_FIELD_STRUCT(struct deployment, status, "status", AK_FIELD_MATERIALIZE, &status_type),
};
static const struct ak_type deployment_type =
    AK_TYPE("Deployment", struct deployment, deployment_fields);
static const struct ak_kind deployment_kind = {
    .resource = {"apps", "v1", "Deployment", "deployments", true},
    .type = &deployment_type,
    .flags = AK_KIND_OWNED_HASH,
};

static void owner_of_deployment(const struct ak_change *change, ak_key_emit_fn emit,
                                void *emit_user, void *user)
{
    (void)user;
    ak_route_owners(change, &foo_kind.resource, emit, emit_user);
}

static const struct ak_source sources[] = {{.kind = &foo_kind}, {.kind = &deployment_kind}};
static const struct ak_route routes[] = {
    {&foo_kind, NULL, NULL, "foo", AK_CAUSE_CHANGED},
    {&deployment_kind, NULL, owner_of_deployment, "foo", AK_CAUSE_CHILD},
};

static json_t *desired_deployment(const struct ak_meta *owner, const struct foo *foo)
{
    json_t *d = json_pack(
        "{s:{s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:b, s:b}]},"
        " s:{s:{s:{s:s, s:s}}, s:{s:{s:{s:s, s:s}}, s:{s:[{s:s, s:s}]}}}}",
        "metadata", "name", foo->deployment, "namespace", owner->namespace_, "ownerReferences",
        "apiVersion", "samplecontroller.k8s.io/v1alpha1", "kind", "Foo", "name", owner->name, "uid",
        owner->uid, "controller", 1, "blockOwnerDeletion", 1, "spec", "selector", "matchLabels",
        "app", "nginx", "controller", owner->name, "template", "metadata", "labels", "app", "nginx",
        "controller", owner->name, "spec", "containers", "name", "nginx", "image", "nginx:latest");

    if (d && foo->replicas.set &&
        json_object_set_new(json_object_get(d, "spec"), "replicas",
                            json_integer(foo->replicas.value)) < 0) {
        json_decref(d);
        return NULL;
    }
    return d;
}

#define TAKEN "Resource \"%s\" already exists and is not managed by Foo"

static int reconcile(void *user, const struct ak_request *req, struct ak_result *result,
                     struct ak_error **reterr)
{
    struct ak_manager *manager = *(struct ak_manager **)user;
    const struct ak_apply *apply = ak_manager_apply(manager);
    struct ak_events *events = ak_manager_events(manager);
    AK_AUTO_OBJECT o = ak_cache_get(ak_manager_cache(manager, &foo_kind), req->ns, req->name);
    AK_AUTO_OBJECT live = NULL;
    AK_AUTO_JSON *desired = NULL, *status = NULL;
    const struct ak_meta *meta;
    const struct foo *foo;
    json_int_t available = 0;
    int written, r;

    (void)result;
    if (!o || ak_object_meta(o)->deleting)
        return 0; /* the garbage collector removes the Deployment */
    meta = ak_object_meta(o);
    foo = ((const struct foo_body *)ak_object_body(o))->spec;
    if (ak_is_empty(foo->deployment))
        return ak_error_set(reterr, AK_E_TERMINAL, "spec.deploymentName: must not be empty");
    live = ak_cache_get(ak_manager_cache(manager, &deployment_kind), req->ns, foo->deployment);
    desired = desired_deployment(meta, foo);
    if (!desired)
        return ak_error_oom(reterr);
    written = ak_apply_object(apply, &deployment_kind.resource, live, desired, meta->uid,
                              AK_APPLY_FORCE, reterr);
    if (written == AK_E_TERMINAL) { /* tried again all the same: the other one may go */
        ak_events_emit(events, o, true, "ErrResourceExists", TAKEN, foo->deployment);
        return ak_error_set(reterr, -EEXIST, TAKEN, foo->deployment);
    }
    if (written < 0)
        return written;
    if (live)
        available = ((const struct deployment *)ak_object_body(live))->status->available;
    status = json_pack("{s:I}", "availableReplicas", available);
    if (!status)
        return ak_error_oom(reterr);
    r = ak_apply_status(apply, o, status, reterr);
    if (r >= 0 && (r > 0 || written > 0))
        ak_events_emit(events, o, false, "Synced", "Foo synced successfully");
    return r < 0 ? r : 0;
}

static int run(const char *kubeconfig, int workers, struct ak_error **reterr)
{
    const struct ak_kube_config_options where = {
        .paths = kubeconfig,
        .service_host = getenv("KUBERNETES_SERVICE_HOST"),
        .service_port = getenv("KUBERNETES_SERVICE_PORT"),
        .user_agent = "sample-controller",
    };
    const struct ak_controller_options controller = {
        .name = "foo", .kind = "Foo", .reconcile = reconcile, .workers = workers};
    AK_AUTO_PTR(ak_kube_config) config = NULL;
    struct ak_manager *manager = NULL;
    struct ak_manager_options o = {
        .name = "sample-controller",
        .sources = sources,
        .n_sources = AK_ARRAY_LEN(sources),
        .routes = routes,
        .n_routes = AK_ARRAY_LEN(routes),
        .controllers = &controller,
        .n_controllers = 1,
        .user = &manager,
        .metrics_port = -1,
        .probe_port = -1,
    };
    int r = ak_kube_config_load(&where, &config, reterr);

    if (r < 0)
        return r;
    o.config = config;
    r = ak_manager_new(&o, &manager, reterr);
    if (r >= 0)
        r = ak_manager_run(manager, reterr);
    (void)ak_manager_free(manager);
    return r;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"kubeconfig", required_argument, NULL, 'k'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {0}};
    AK_AUTO_PTR(ak_error) err = NULL;
    const char *kubeconfig = getenv("KUBECONFIG");
    uint16_t workers = 2;
    int c;

    while ((c = getopt_long_only(argc, argv, "", options, NULL)) != -1) {
        if (c == 'k')
            kubeconfig = optarg;
        else if (c != 'w' || ak_parse_u16(optarg, &workers) < 0 || !workers) {
            (void)fprintf(stderr, "usage: sample-controller [--kubeconfig FILE] [--workers N]\n");
            return 2;
        }
    }
    ak_json_setup();
    if (run(kubeconfig, workers, &err) >= 0)
        return 0;
    ak_err("main", "cannot go on", AK_ERR(err));
    return 1;
}
