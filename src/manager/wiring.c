/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/wiring.h"

#include <ak/api/agent.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/kube/config.h>
#include <ak/manage/manager.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "manager/admission/admission.h"
#include "manager/controllers/agent/agent.h"
#include "manager/controllers/tool/tool.h"
#include "manager/controllers/tool/tool_memory.h"
#include "manager/controllers/unserved/unserved.h"
#include "manager/digests.h"
#include "manager/invoke/invoke.h"
#include "manager/kinds.h"
#include "manager/runs/runs.h"
#include "manager/tools/tools.h"

#define NAME AK_MANAGED_BY
#define USER_AGENT NAME "/" AK_VERSION

#define RIGHTS(of_kind)                                                                            \
    {                                                                                              \
        .kind = (of_kind), .label_selector = AK_MANAGED_SELECTOR,                                  \
        .indexes = ak_tool_right_indexes, .n_indexes = AK_TOOL_RIGHT_INDEX_MAX                     \
    }

/* Secrets are not here: they are read by name. */
static const struct ak_source sources[] = {
    {.kind = &ak_agent_kind, .indexes = ak_agent_indexes, .n_indexes = AK_AGENT_INDEX_MAX},
    {.kind = &ak_tool_kind},
    {.kind = &ak_mcp_kind},
    {.kind = &ak_gateway_kind},
    {.kind = &ak_claw_kind},
    {.kind = &ak_pod_kind,
     .label_selector = AK_MANAGED_SELECTOR,
     .indexes = ak_tool_pod_indexes,
     .n_indexes = AK_TOOL_POD_INDEX_MAX},
    {.kind = &ak_claim_kind, .label_selector = AK_MANAGED_SELECTOR},
    {.kind = &ak_configmap_kind},
    {.kind = &ak_account_kind, .label_selector = AK_MANAGED_SELECTOR},
    {.kind = &ak_network_policy_kind, .label_selector = AK_MANAGED_SELECTOR},
    RIGHTS(&ak_role_kind),
    RIGHTS(&ak_role_binding_kind),
    /* Of the cluster: see is_watched(). */
    RIGHTS(&ak_cluster_role_kind),
    RIGHTS(&ak_cluster_role_binding_kind),
    {.kind = &ak_namespace_kind},
};

/* clang-format off */
static const struct ak_route routes[] = {
    /* changes of ...     that pass ...               wake these keys (NULL: itself) ... of ...   because */
    {&ak_agent_kind,      ak_agent_wanted,            NULL,                       "agent",      AK_CAUSE_CHANGED},
    {&ak_agent_kind,      ak_agent_group_changed,     ak_agent_keys_of_group,     "agent",      AK_CAUSE_REFERENCE},
    {&ak_pod_kind,        NULL,                       ak_agent_keys_of_pod,       "agent",      AK_CAUSE_CHILD},
    {&ak_claim_kind,      ak_agent_claim_wanted,      ak_agent_keys_of_claim,     "agent",      AK_CAUSE_CHILD},
    {&ak_configmap_kind,  NULL,                       ak_agent_keys_of_configmap, "agent",      AK_CAUSE_REFERENCE},
    {&ak_tool_kind,       ak_tool_readiness_changed,  ak_agent_keys_of_tool,      "agent",      AK_CAUSE_REFERENCE},
    {&ak_mcp_kind,        ak_agent_existence_changed, ak_agent_keys_of_mcp,       "agent",      AK_CAUSE_REFERENCE},
    {&ak_gateway_kind,    ak_agent_existence_changed, ak_agent_keys_of_gateway,   "agent",      AK_CAUSE_REFERENCE},
    {&ak_tool_kind,       ak_tool_wanted,             NULL,                       "tool",       AK_CAUSE_CHANGED},
    {&ak_pod_kind,        NULL,                       ak_tool_keys_of_pod,        "tool",       AK_CAUSE_CHILD},
    {&ak_account_kind,    ak_tool_child_wanted,       ak_tool_keys_of_child,      "tool",       AK_CAUSE_CHILD},
    {&ak_network_policy_kind, ak_tool_child_wanted,   ak_tool_keys_of_child,      "tool",       AK_CAUSE_CHILD},
    {&ak_role_kind,       ak_tool_child_wanted,       ak_tool_keys_of_right,      "tool",       AK_CAUSE_CHILD},
    {&ak_role_binding_kind, ak_tool_child_wanted,     ak_tool_keys_of_right,      "tool",       AK_CAUSE_CHILD},
    {&ak_cluster_role_kind, ak_tool_child_wanted,     ak_tool_keys_of_right,      "tool",       AK_CAUSE_CHILD},
    {&ak_cluster_role_binding_kind, ak_tool_child_wanted, ak_tool_keys_of_right,  "tool",       AK_CAUSE_CHILD},
    {&ak_mcp_kind,        ak_route_spec_changed,      NULL,                       "mcp",        AK_CAUSE_CHANGED},
    {&ak_gateway_kind,    ak_route_spec_changed,      NULL,                       "llmgateway", AK_CAUSE_CHANGED},
    {&ak_claw_kind,       ak_route_spec_changed,      NULL,                       "claw",       AK_CAUSE_CHANGED},
    /* With the webhook only: */
    {&ak_agent_kind,      ak_agent_existence_changed, ak_gate_keys_of_agent,      "gate",       AK_CAUSE_REFERENCE},
    {&ak_tool_kind,       ak_agent_existence_changed, ak_gate_keys_of_agent,      "gate",       AK_CAUSE_REFERENCE},
    {&ak_namespace_kind,  NULL,                       NULL,                       "gate",       AK_CAUSE_CHANGED},
};
/* clang-format on */

enum { MCP, GATEWAY, CLAW, UNSERVED_MAX };
#define CONTROLLERS_MAX 6

struct wiring {
    struct ak_agents agents; /* what routes, the collector and services get as `user` */
    struct ak_admission admission;
    struct ak_tool_controller tool;
    struct ak_tools *tools;
    struct ak_invoke *invoke; /* NULL: not served */
    struct ak_unserved_controller unserved[UNSERVED_MAX];
};

static struct ak_controller_options unserved_controller(const char *name,
                                                        const struct ak_kind *kind,
                                                        struct ak_unserved_controller *self)
{
    self->kind = kind;
    return (struct ak_controller_options){.name = name,
                                          .kind = kind->resource.kind,
                                          .reconcile = ak_unserved_reconcile,
                                          .user = self,
                                          .workers = 1};
}

/* What is not in a namespace cannot be watched by who serves one; namespaces are the webhook's business only. */
static bool is_watched(const struct ak_options *o, const struct ak_kind *kind)
{
    bool all = !o->watch_namespace;

    if (kind == &ak_namespace_kind)
        return all && o->webhook;
    return all || kind->resource.namespaced;
}

static size_t pick_sources(const struct ak_options *o, struct ak_source *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < AK_ARRAY_LEN(sources); i++)
        if (is_watched(o, sources[i].kind))
            ret[n++] = sources[i];
    return n;
}

static size_t pick_routes(const struct ak_options *o, struct ak_route *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < AK_ARRAY_LEN(routes); i++)
        if (is_watched(o, routes[i].kind) &&
            (o->webhook || !ak_streq(routes[i].controller, "gate")))
            ret[n++] = routes[i];
    return n;
}

static int load_config(const struct ak_options *o, struct ak_kube_config **ret,
                       struct ak_error **reterr)
{
    const struct ak_kube_config_options options = {
        .paths = o->kubeconfig,
        .context = o->context,
        .service_host = o->service_host,
        .service_port = o->service_port,
        .https_proxy = o->https_proxy,
        .no_proxy = o->no_proxy,
        .environ_ = o->environ_,
        .user_agent = USER_AGENT,
    };
    return ak_kube_config_load(&options, ret, reterr);
}

/* The pod's name, or the machine's, and something that no other process has. */
static int make_identity(const struct ak_options *o, char *buf, size_t size,
                         struct ak_error **reterr)
{
    char host[256] = "";
    uint64_t number = 0;
    if (gethostname(host, sizeof(host) - 1) < 0)
        return ak_error_set(reterr, -errno, "read the host's name");
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        return ak_error_set(reterr, -EIO, "read random bytes");
    snprintf(buf, size, "%s_%016llx", o->pod_name ? o->pod_name : host, (unsigned long long)number);
    return 0;
}

static struct wiring *wiring_of(struct ak_agents *agents)
{
    return AK_CONTAINER_OF(agents, struct wiring, agents);
}

/* agentkube_agents{phase}: what a dashboard wants to know first. */
static void collect(struct ak_metrics *m, void *user)
{
    struct ak_agents *self = user;
    AK_AUTO(ak_object_list) list = {0};
    double counts[AK_AGENT_PHASE_MAX] = {0};
    if (ak_cache_list(self->agents, NULL, &list) < 0) {
        m->error = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < list.len; i++) {
        const struct ak_agent *agent = ak_object_body(list.items[i]);
        counts[agent->status ? agent->status->phase : AK_AGENT_PHASE_UNSET]++;
    }
    if (self->admission)
        ak_admission_metrics(self->admission, m);
    ak_runs_metrics(self->runs, m);
    ak_tools_metrics(wiring_of(self)->tools, m);
    if (wiring_of(self)->invoke)
        ak_invoke_metrics(wiring_of(self)->invoke, m);
    ak_metrics_family(m, "agentkube_agents", "gauge", "Agents by the phase in their status.");
    for (int phase = AK_AGENT_PHASE_UNSET; phase < AK_AGENT_PHASE_MAX; phase++)
        ak_metrics_sample(m, "agentkube_agents", counts[phase], "phase",
                          phase ? ak_agent_phase_to_string((enum ak_agent_phase)phase) : "New",
                          NULL);
}

static int start_services(struct ak_manager *manager, void *user, struct ak_error **reterr)
{
    struct ak_agents *self = user;
    (void)manager;
    int r = ak_runs_start(self->runs, reterr);
    if (r >= 0)
        r = ak_tools_start(wiring_of(self)->tools, reterr);
    if (r >= 0 && self->admission)
        r = ak_admission_start(self->admission, reterr);
    if (r >= 0 && wiring_of(self)->invoke)
        r = ak_invoke_start(wiring_of(self)->invoke, reterr);
    return r;
}

static void stop_services(struct ak_manager *manager, void *user)
{
    struct ak_agents *self = user;
    (void)manager;
    if (wiring_of(self)->invoke)
        ak_invoke_stop(wiring_of(self)->invoke);
    if (self->admission)
        ak_admission_stop(self->admission);
    ak_tools_stop(wiring_of(self)->tools);
    ak_runs_stop(self->runs);
}

static void connect_tool(struct wiring *w, struct ak_manager *manager)
{
    struct ak_tool_controller *t = &w->tool;
    t->options = w->agents.options;
    t->clock = w->agents.clock;
    t->digests = w->agents.digests;
    t->manager = manager;
    t->tools = ak_manager_cache(manager, &ak_tool_kind);
    t->pods = ak_manager_cache(manager, &ak_pod_kind);
    t->accounts = ak_manager_cache(manager, &ak_account_kind);
    t->policies = ak_manager_cache(manager, &ak_network_policy_kind);
    for (size_t i = 0; i < AK_TOOL_RIGHT_MAX; i++)
        t->rights[i] = ak_manager_cache(manager, ak_tool_right_kinds[i]);
}

static void connect_parts(struct wiring *w, struct ak_manager *manager)
{
    struct ak_agents *a = &w->agents;
    a->manager = manager;
    a->agents = ak_manager_cache(manager, &ak_agent_kind);
    a->pods = ak_manager_cache(manager, &ak_pod_kind);
    a->claims = ak_manager_cache(manager, &ak_claim_kind);
    a->configmaps = ak_manager_cache(manager, &ak_configmap_kind);
    a->tools = ak_manager_cache(manager, &ak_tool_kind);
    a->mcps = ak_manager_cache(manager, &ak_mcp_kind);
    a->gateways = ak_manager_cache(manager, &ak_gateway_kind);
    for (size_t i = 0; i < UNSERVED_MAX; i++)
        w->unserved[i].manager = manager;
    connect_tool(w, manager);
    w->admission.manager = manager;
    w->admission.agents = a->agents;
    w->admission.tools = a->tools;
    w->admission.pods = a->pods;
    w->admission.namespaces = ak_manager_cache(manager, &ak_namespace_kind);
}

static int make_runs(struct ak_agents *a, struct ak_runs **ret, struct ak_error **reterr)
{
    const struct ak_runs_options options = {.manager = a->manager,
                                            .options = a->options,
                                            .clock = a->clock,
                                            .agents = a->agents,
                                            .pods = a->pods};
    int r = ak_runs_new(&options, ret, reterr);
    if (r >= 0)
        a->runs = *ret;
    return r;
}

/* A bastion is wanted, or has news. */
static void wake_tool(const struct ak_key *key, void *user)
{
    struct ak_queue *queue = ak_manager_queue(user, "tool");

    if (queue && ak_queue_add(queue, *key, 0, AK_CAUSE_REFERENCE) < 0)
        ak_debug("tool", "not woken", AK_STR("name", key->name));
}

static int make_tools(struct wiring *w, struct ak_tools **ret, struct ak_error **reterr)
{
    const struct ak_tools_options options = {.manager = w->agents.manager,
                                             .options = w->agents.options,
                                             .clock = w->agents.clock,
                                             .runs = w->agents.runs,
                                             .tools = w->agents.tools,
                                             .agents = w->agents.agents,
                                             .pods = w->agents.pods};
    int r = ak_tools_new(&options, ret, reterr);
    if (r < 0)
        return r;
    w->tools = w->tool.uses = *ret;
    w->tool.runs = w->agents.runs;
    ak_tools_set_wake(*ret, wake_tool, w->agents.manager);
    return 0;
}

static void inherit_head(const char *note, void *user)
{
    const struct wiring *w = user;

    if (w->tools)
        ak_tools_inherit(w->tools, note);
}

static bool leave_head(char ret[static AK_LEADER_NOTE_SIZE], void *user)
{
    const struct wiring *w = user;

    return w->tools && ak_tools_leave(w->tools, ret, AK_LEADER_NOTE_SIZE);
}

static bool is_leading(void *user)
{
    const struct ak_apply *apply = ak_manager_apply(user);

    return !apply->may_write || apply->may_write(apply->user);
}

static bool find_leader(char ret[static AK_LEADER_ADDRESS_SIZE], void *user)
{
    return ak_manager_find_leader(user, ret);
}

static int make_invoke(struct wiring *w, struct ak_invoke **ret, struct ak_error **reterr)
{
    const struct ak_options *o = w->agents.options;
    const struct ak_invoke_options options = {
        .client = ak_manager_client(w->agents.manager),
        .loop = ak_manager_loop(w->agents.manager),
        .clock = w->agents.clock,
        .runs = w->agents.runs,
        .tools = w->tools,
        .bind_address = o->invoke_address,
        .port = (uint16_t)o->invoke_port,
        .watch_namespace = o->watch_namespace,
        .is_leading = is_leading,
        .find_leader = find_leader,
        .user = w->agents.manager,
    };
    int r = ak_invoke_new(&options, ret, reterr);
    if (r >= 0)
        w->invoke = *ret;
    return r;
}

/* Runs what `options` describes, with the parts that need a manager. */
static int run(struct wiring *w, const struct ak_manager_options *options, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_digests) digests = NULL;
    AK_AUTO_PTR(ak_tool_memory) memory = NULL;
    AK_AUTO_PTR(ak_manager) manager = NULL; /* its workers use the two above */
    AK_AUTO_PTR(ak_runs) runs = NULL;       /* goes before it: it uses the manager */
    AK_AUTO_PTR(ak_tools) tools = NULL;     /* goes before both */
    AK_AUTO_PTR(ak_invoke) invoke = NULL;   /* goes first: it uses all of them */
    int r = ak_manager_new(options, &manager, reterr);
    if (r >= 0)
        r = ak_digests_new(ak_manager_client(manager), NULL, &digests, reterr);
    if (r >= 0)
        r = ak_tool_memory_new(&memory, reterr);
    if (r < 0)
        return r;
    w->agents.digests = digests;
    w->tool.memory = memory;
    connect_parts(w, manager);
    r = make_runs(&w->agents, &runs, reterr);
    if (r >= 0)
        r = make_tools(w, &tools, reterr);
    if (r >= 0 && w->agents.options->webhook) {
        r = ak_admission_init(&w->admission, reterr);
        if (r >= 0)
            w->agents.admission = w->tool.admission = &w->admission;
    }
    if (r >= 0 && w->agents.options->invoke_port >= 0)
        r = make_invoke(w, &invoke, reterr);
    if (r >= 0)
        r = ak_manager_run(manager, reterr);
    ak_admission_done(&w->admission); /* its services are stopped; it uses the manager's client */
    return r;
}

/* The gate of namespaces, which comes last, is the webhook's business only. */
static size_t make_controllers(struct wiring *w, struct ak_controller_options ret[CONTROLLERS_MAX])
{
    const struct ak_options *o = w->agents.options;
    const struct ak_controller_options all[] = {
        {.name = "agent",
         .kind = "Agent",
         .reconcile = ak_agent_reconcile,
         .workers = (int)o->workers},
        {.name = "tool",
         .kind = "Tool",
         .reconcile = ak_tool_reconcile,
         .user = &w->tool,
         .workers = (int)o->workers},
        unserved_controller("mcp", &ak_mcp_kind, &w->unserved[MCP]),
        unserved_controller("llmgateway", &ak_gateway_kind, &w->unserved[GATEWAY]),
        unserved_controller("claw", &ak_claw_kind, &w->unserved[CLAW]),
        {.name = "gate",
         .kind = "Namespace",
         .reconcile = ak_gate_reconcile,
         .user = &w->admission,
         .workers = 1},
    };
    static_assert(AK_ARRAY_LEN(all) == CONTROLLERS_MAX, "every controller has a place");

    memcpy(ret, all, sizeof(all));
    return AK_ARRAY_LEN(all) - !o->webhook;
}

int ak_wiring_run(const struct ak_options *o, struct ak_error **reterr)
{
    const struct ak_clock *clock = ak_clock_system();
    struct wiring w = {.agents = {.options = o, .clock = clock},
                       .admission = {.options = o, .clock = clock}};
    AK_AUTO_PTR(ak_kube_config) config = NULL;
    char identity[512], address[AK_LEADER_ADDRESS_SIZE];
    bool reachable = ak_invoke_address(o->pod_ip, o->invoke_address, o->invoke_port, address);
    struct ak_source picked_sources[AK_ARRAY_LEN(sources)];
    struct ak_route picked_routes[AK_ARRAY_LEN(routes)];
    struct ak_controller_options controllers[CONTROLLERS_MAX];
    int r = load_config(o, &config, reterr);
    if (r >= 0)
        r = make_identity(o, identity, sizeof(identity), reterr);
    if (r < 0)
        return r;
    const struct ak_manager_options options = {
        .config = config,
        .name = NAME,
        .namespace_ = o->namespace_,
        .identity = identity,
        .watch_namespace = o->watch_namespace,
        .sources = picked_sources,
        .n_sources = pick_sources(o, picked_sources),
        .routes = picked_routes,
        .n_routes = pick_routes(o, picked_routes),
        .controllers = controllers,
        .n_controllers = make_controllers(&w, controllers),
        .user = &w.agents,
        .leader_elect = o->leader_elect,
        .leader = {.address_annotation = AK_INVOKE_ADDRESS_ANNOTATION,
                   .address = reachable ? address : NULL,
                   .note_annotation = AK_TOOLS_HEAD_ANNOTATION,
                   .inherit = inherit_head,
                   .leave = leave_head,
                   .note_user = &w},
        .resync = o->resync,
        .bind_address = o->bind_address,
        .metrics_port = o->metrics_port,
        .probe_port = o->probe_port,
        .linger = AK_MAX(o->shutdown_delay, 0),
        .collect = collect,
        .start_services = start_services,
        .stop_services = stop_services,
    };
    return run(&w, &options, reterr);
}
