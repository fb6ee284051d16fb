/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NetworkPolicy of a Tool's pods. A policy cannot name a host, so a host name opens its port to everywhere; an
 * address opens it to that address alone. It does nothing on a network that enforces no policies.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <arpa/inet.h>
#include <stdio.h>

#include "manager/controllers/tool/specs/parts.h"
#include "manager/kinds.h"

#define RELAY_PORT 8084
#define API_PORT 6443 /* of API servers behind their Service */
#define BLOCK_SIZE 64 /* bytes of an address with its length */

/* The address as a block of one; false: it is a name. */
static bool block_of(const char *host, char buf[static BLOCK_SIZE])
{
    unsigned char raw[16];
    bool is_v4 = inet_pton(AF_INET, host, raw) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, raw) != 1)
        return false;
    return snprintf(buf, BLOCK_SIZE, "%s/%d", host, is_v4 ? 32 : 128) < BLOCK_SIZE;
}

/* One way out, unless there is it. */
static int add_way(json_t *egress, const struct ak_tool_endpoint *to)
{
    char block[BLOCK_SIZE];
    AK_AUTO_JSON *way = json_object();
    int r = way ? 0 : -ENOMEM;
    if (r >= 0 && to->port)
        r = json_object_set_new(
            way, "ports", json_pack("[{s:i, s:s}]", "port", (int)to->port, "protocol", "TCP"));
    if (r >= 0 && to->host && block_of(to->host, block))
        r = json_object_set_new(way, "to", json_pack("[{s:{s:s}}]", "ipBlock", "cidr", block));
    for (size_t i = 0; r >= 0 && i < json_array_size(egress); i++)
        if (json_equal(json_array_get(egress, i), way))
            return 0;
    return r < 0 ? r : json_array_append(egress, way);
}

/* Names are asked of whoever answers them in this cluster. */
static int add_names(json_t *egress)
{
    return json_array_append_new(egress,
                                 json_pack("{s:[{s:i, s:s}, {s:i, s:s}]}", "ports", "port", 53,
                                           "protocol", "UDP", "port", 53, "protocol", "TCP"));
}

/*
 * A Tool that does not say where its system is (a kubeconfig, a program of somebody's own) has every way out: a policy
 * that guesses would make it fail without a word. Policies look at where a Service leads to, so the API server's own
 * port counts besides that of its Service.
 */
static int add_system(json_t *egress, const struct ak_tool_spec *spec, struct ak_arena *arena)
{
    static const struct ak_tool_endpoint anywhere, api = {NULL, API_PORT};
    const struct ak_tool_endpoint *list = NULL;
    size_t n = 0;
    int r = ak_tool_endpoints(spec, arena, &list, &n, NULL);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = add_way(egress, &list[i]);
    if (r >= 0 && !n)
        r = add_way(egress, &anywhere);
    if (r >= 0 && n && spec->type == AK_TOOL_TYPE_KUBERNETES)
        r = add_way(egress, &api);
    return r;
}

static json_t *egress_of(const struct ak_tool_spec *spec, struct ak_arena *arena)
{
    AK_AUTO_JSON *egress = json_array();
    int r = egress ? add_names(egress) : -ENOMEM;
    if (r >= 0)
        r = add_system(egress, spec, arena);
    return r < 0 ? NULL : AK_TAKE(egress);
}

/* Managers, in whichever namespace; they prove who they are. */
static json_t *ingress_of(void)
{
    return json_pack("[{s:[{s:{}, s:{s:{s:s, s:s}}}], s:[{s:i, s:s}]}]", "from",
                     "namespaceSelector", "podSelector", "matchLabels", "app.kubernetes.io/name",
                     AK_MANAGED_BY, "app.kubernetes.io/component", "manager", "ports", "port",
                     RELAY_PORT, "protocol", "TCP");
}

int ak_tool_network_build(const struct ak_meta *meta, const char *name,
                          const struct ak_tool_spec *spec, struct ak_arena *arena, json_t **ret,
                          struct ak_error **reterr)
{
    json_t *policy = json_pack("{s:s, s:s, s:o, s:{s:{s:{s:s}}, s:[s, s], s:o, s:o}}", "apiVersion",
                               "networking.k8s.io/v1", "kind", "NetworkPolicy", "metadata",
                               ak_tool_part_metadata(meta, name, "bastion"), "spec", "podSelector",
                               "matchLabels", AK_LABEL_TOOL, meta->name, "policyTypes", "Ingress",
                               "Egress", "ingress", ingress_of(), "egress", egress_of(spec, arena));
    if (!policy)
        return ak_error_oom(reterr);
    *ret = policy;
    return 0;
}
