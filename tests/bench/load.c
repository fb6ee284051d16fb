/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-load: a plain concurrent client, for the benchmark. It makes the objects that a run starts
 * with, and it is the floor that controllers are compared with: the same writes, without watching,
 * caching or deciding anything.
 *
 *     bench-load --kubeconfig FILE --namespace NS [--workers 8] foos|agents|floor COUNT
 */
#include <ak/base/error.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <ak/kube/client.h>
#include <ak/kube/config.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MAX_WORKERS 64

static const struct ak_resource foo_resource = {
    .group = "samplecontroller.k8s.io",
    .version = "v1alpha1",
    .kind = "Foo",
    .plural = "foos",
    .namespaced = true,
};
static const struct ak_resource deployment_resource = {
    .group = "apps",
    .version = "v1",
    .kind = "Deployment",
    .plural = "deployments",
    .namespaced = true,
};
static const struct ak_resource agent_resource = {
    .group = "agentkube.io",
    .version = "v1alpha1",
    .kind = "Agent",
    .plural = "agents",
    .namespaced = true,
};

struct load {
    struct ak_client *client;
    const char *ns;
    uint64_t count;
    int (*write)(struct load *self, uint64_t index, struct ak_error **reterr);
    atomic_uint_fast64_t next;   /* relaxed: only hands out numbers */
    atomic_uint_fast64_t failed; /* relaxed: read after the workers are joined */
};

/* Takes `object`; NULL (no memory) is an error like every other. */
static int create(struct load *self, const struct ak_resource *resource, json_t *object,
                  struct ak_error **reterr)
{
    int r;

    if (!object)
        return ak_error_oom(reterr);
    r = ak_client_create(self->client, resource, object, "bench-load", NULL, reterr);
    json_decref(object);
    return r;
}

static int apply(struct load *self, const struct ak_resource *resource, const char *sub,
                 json_t *object, struct ak_error **reterr)
{
    int r;

    if (!object)
        return ak_error_oom(reterr);
    r = ak_client_apply(self->client, resource, sub, object, "bench-load", true, NULL, reterr);
    json_decref(object);
    return r;
}

static int write_foo(struct load *self, uint64_t index, struct ak_error **reterr)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "foo-%06u", (unsigned)index);
    return create(self, &foo_resource,
                  json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:i}}", "apiVersion",
                            "samplecontroller.k8s.io/v1alpha1", "kind", "Foo", "metadata", "name",
                            name, "namespace", self->ns, "spec", "deploymentName", name, "replicas",
                            1),
                  reterr);
}

static int write_agent(struct load *self, uint64_t index, struct ak_error **reterr)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "agent-%06u", (unsigned)index);
    return create(self, &agent_resource,
                  json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:b, s:{s:s}, s:{s:s}}}",
                            "apiVersion", "agentkube.io/v1alpha1", "kind", "Agent", "metadata",
                            "name", name, "namespace", self->ns, "spec", "runtime", "ClaudeCode",
                            "paused", 0, "goal", "inline", "Keep the tests of this service green.",
                            "model", "name", "claude-sonnet-5-5"),
                  reterr);
}

/* What examples/sample-controller writes for a Foo: its Deployment, then its status. */
static int write_floor(struct load *self, uint64_t index, struct ak_error **reterr)
{
    char name[32];
    json_t *deployment;
    int r;

    (void)snprintf(name, sizeof(name), "foo-%06u", (unsigned)index);
    deployment = json_pack(
        "{s:s, s:s, s:{s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:b, s:b}]},"
        " s:{s:i, s:{s:{s:s, s:s}}, s:{s:{s:{s:s, s:s}}, s:{s:[{s:s, s:s}]}}}}",
        "apiVersion", "apps/v1", "kind", "Deployment", "metadata", "name", name, "namespace",
        self->ns, "ownerReferences", "apiVersion", "samplecontroller.k8s.io/v1alpha1", "kind",
        "Foo", "name", name, "uid", "00000000-0000-4000-8000-000000000000", "controller", 1,
        "blockOwnerDeletion", 1, "spec", "replicas", 1, "selector", "matchLabels", "app", "nginx",
        "controller", name, "template", "metadata", "labels", "app", "nginx", "controller", name,
        "spec", "containers", "name", "nginx", "image", "nginx:latest");
    r = apply(self, &deployment_resource, NULL, deployment, reterr);
    if (r < 0)
        return r;
    return apply(self, &foo_resource, "status",
                 json_pack("{s:{s:s, s:s}, s:{s:i}}", "metadata", "name", name, "namespace",
                           self->ns, "status", "availableReplicas", 0),
                 reterr);
}

static void work(void *user)
{
    struct load *self = user;

    for (;;) {
        AK_AUTO_PTR(ak_error) err = NULL;
        uint64_t index = atomic_fetch_add_explicit(&self->next, 1, memory_order_relaxed);

        if (index >= self->count)
            return;
        if (self->write(self, index, &err) < 0 &&
            atomic_fetch_add_explicit(&self->failed, 1, memory_order_relaxed) == 0)
            (void)fprintf(stderr, "bench-load: object %u: %s\n", (unsigned)index,
                          ak_error_message(err));
    }
}

static int run(struct load *self, const char *kubeconfig, unsigned n_workers,
               struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_kube_config) config = NULL;
    AK_AUTO_PTR(ak_client) client = NULL;
    struct ak_thread workers[MAX_WORKERS] = {0};
    struct ak_kube_config_options options = {.paths = kubeconfig, .user_agent = "bench-load"};
    int r = ak_kube_config_load(&options, &config, reterr);

    if (r < 0)
        return r;
    r = ak_client_new(config, &client, reterr);
    if (r < 0)
        return r;
    self->client = client;
    for (unsigned i = 0; i < n_workers; i++) {
        r = ak_thread_start(&workers[i], "load", work, self);
        if (r < 0) {
            (void)ak_error_set(reterr, r, "start a thread: %s", ak_code_text(r));
            break;
        }
    }
    for (unsigned i = 0; i < n_workers; i++)
        ak_thread_join(&workers[i]);
    return r;
}

static int usage(void)
{
    (void)fputs("usage: bench-load --kubeconfig FILE --namespace NS [--workers 1..64] "
                "foos|agents|floor COUNT\n",
                stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*write)(struct load *, uint64_t, struct ak_error **);
    } verbs[] = {{"foos", write_foo}, {"agents", write_agent}, {"floor", write_floor}};
    AK_AUTO_PTR(ak_error) err = NULL;
    struct load load = {.ns = NULL};
    const char *kubeconfig = NULL;
    uint64_t workers = 8;
    int i = 1;

    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (ak_streq(argv[i], "--kubeconfig"))
            kubeconfig = argv[i + 1];
        else if (ak_streq(argv[i], "--namespace"))
            load.ns = argv[i + 1];
        else if (!ak_streq(argv[i], "--workers") || ak_parse_u64(argv[i + 1], &workers) < 0)
            return usage();
    }
    if (i + 2 != argc || !kubeconfig || !load.ns || workers < 1 || workers > MAX_WORKERS ||
        ak_parse_u64(argv[i + 1], &load.count) < 0)
        return usage();
    for (size_t v = 0; v < AK_ARRAY_LEN(verbs); v++)
        if (ak_streq(argv[i], verbs[v].name))
            load.write = verbs[v].write;
    if (!load.write)
        return usage();
    if (run(&load, kubeconfig, (unsigned)workers, &err) < 0) {
        (void)fprintf(stderr, "bench-load: %s\n", ak_error_message(err));
        return 1;
    }
    if (atomic_load_explicit(&load.failed, memory_order_relaxed)) {
        (void)fprintf(stderr, "bench-load: %u of %u objects failed\n",
                      (unsigned)atomic_load_explicit(&load.failed, memory_order_relaxed),
                      (unsigned)load.count);
        return 1;
    }
    return 0;
}
