/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NetworkPolicy of a Tool's pods. A policy cannot name a host, so a host name opens its port to everywhere; an
 * address opens it to that address alone. It does nothing on a network that enforces no policies.
 */
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "manager/controllers/tool/specs/parts.h"
#include "manager/kinds.h"

#define RELAY_PORT 8084
#define HTTPS_PORT 443
#define API_PORT 6443 /* of API servers that are not behind a Service */
#define HOST_SIZE 256

/* The address as a block of one; false: it is a name. */
static bool block_of(const char *host, char buf[static HOST_SIZE])
{
    unsigned char raw[16];
    char plain[HOST_SIZE];
    size_t len = strlen(host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') { /* as in a URL */
        host++;
        len -= 2;
    }
    if (len >= sizeof(plain))
        return false;
    memcpy(plain, host, len);
    plain[len] = '\0';
    bool is_v4 = inet_pton(AF_INET, plain, raw) == 1;
    if (!is_v4 && inet_pton(AF_INET6, plain, raw) != 1)
        return false;
    return snprintf(buf, HOST_SIZE, "%s/%d", plain, is_v4 ? 32 : 128) < HOST_SIZE;
}

/* One way out. host NULL: to everywhere. */
static int add_way(json_t *egress, const char *host, uint16_t port)
{
    char block[HOST_SIZE];
    if (!port)
        return 0;
    AK_AUTO_JSON *way =
        json_pack("{s:[{s:i, s:s}]}", "ports", "port", (int)port, "protocol", "TCP");
    int r = way ? 0 : -ENOMEM;
    if (r >= 0 && host && block_of(host, block))
        r = json_object_set_new(way, "to", json_pack("[{s:{s:s}}]", "ipBlock", "cidr", block));
    return r < 0 ? r : json_array_append(egress, way);
}

/* Names are asked of whoever answers them in this cluster. */
static int add_names(json_t *egress)
{
    return json_array_append_new(egress,
                                 json_pack("{s:[{s:i, s:s}, {s:i, s:s}]}", "ports", "port", 53,
                                           "protocol", "UDP", "port", 53, "protocol", "TCP"));
}

/* "host:port", the last colon counts. */
static int add_broker(json_t *egress, const char *broker)
{
    char host[HOST_SIZE];
    uint16_t port = 0;
    const char *colon = strrchr(broker, ':');
    if (!colon || (size_t)(colon - broker) >= sizeof(host) || ak_parse_u16(colon + 1, &port) < 0)
        return 0; /* a problem of the spec, which is told elsewhere */
    memcpy(host, broker, (size_t)(colon - broker));
    host[colon - broker] = '\0';
    return add_way(egress, host, port);
}

/* The host of "scheme://host[:port]/...". */
static const char *host_of_url(const char *url, char buf[static HOST_SIZE])
{
    const char *start = strstr(url, "://");
    if (!start)
        return NULL;
    start += 3;
    size_t len = *start == '[' ? strcspn(start, "]") + 1 : strcspn(start, ":/?#");
    if (len >= HOST_SIZE)
        return NULL;
    memcpy(buf, start, len);
    buf[len] = '\0';
    return buf;
}

/* Where the system is, as far as the spec says it. */
static int add_system(json_t *egress, const struct ak_tool_spec *spec,
                      const struct ak_engine_info *info)
{
    static const struct ak_tool_config none;
    const struct ak_tool_config *config = spec->config ? spec->config : &none;
    char buf[HOST_SIZE];
    const char *host = config->hostname;
    int r = 0;
    if (!host && config->url)
        host = host_of_url(config->url, buf);
    for (size_t i = 0; r >= 0 && i < config->brokers.len; i++)
        r = add_broker(egress, config->brokers.items[i]);
    if (r >= 0 && (host || !config->brokers.len))
        r = add_way(egress, host, ak_tool_port(spec));
    if (r >= 0 && host && !config->port.set && !config->url && info->tls_port != info->port)
        r = add_way(egress, host, info->tls_port);
    if (r >= 0 && config->management_port.set)
        r = add_way(egress, host, (uint16_t)config->management_port.value);
    return r;
}

/* Ports that the type has besides. */
static int add_type(json_t *egress, const struct ak_tool_spec *spec)
{
    static const struct {
        enum ak_tool_type type;
        uint16_t ports[2];
        bool at_host; /* else: the address is nowhere in the spec */
    } extra[] = {
        {AK_TOOL_TYPE_KUBERNETES, {HTTPS_PORT, API_PORT}, false},
        {AK_TOOL_TYPE_SNOWFLAKE, {HTTPS_PORT, 0}, false},
        {AK_TOOL_TYPE_BIGQUERY, {HTTPS_PORT, 0}, false},
        {AK_TOOL_TYPE_RABBITMQ, {15671, 15672}, true},
    };
    int r = 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(extra); i++) {
        if (extra[i].type != spec->type)
            continue;
        const char *host = extra[i].at_host && spec->config ? spec->config->hostname : NULL;
        for (size_t p = 0; r >= 0 && p < AK_ARRAY_LEN(extra[i].ports); p++)
            r = add_way(egress, host, extra[i].ports[p]);
    }
    return r;
}

static json_t *egress_of(const struct ak_tool_spec *spec, const struct ak_engine_info *info)
{
    AK_AUTO_JSON *egress = json_array();
    int r = egress ? add_names(egress) : -ENOMEM;
    if (r >= 0)
        r = add_system(egress, spec, info);
    if (r >= 0)
        r = add_type(egress, spec);
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
                          const struct ak_tool_spec *spec, const struct ak_engine_info *info,
                          json_t **ret, struct ak_error **reterr)
{
    json_t *policy = json_pack("{s:s, s:s, s:o, s:{s:{s:{s:s}}, s:[s, s], s:o, s:o}}", "apiVersion",
                               "networking.k8s.io/v1", "kind", "NetworkPolicy", "metadata",
                               ak_tool_part_metadata(meta, name, "bastion"), "spec", "podSelector",
                               "matchLabels", AK_LABEL_TOOL, meta->name, "policyTypes", "Ingress",
                               "Egress", "ingress", ingress_of(), "egress", egress_of(spec, info));
    if (!policy)
        return ak_error_oom(reterr);
    *ret = policy;
    return 0;
}
