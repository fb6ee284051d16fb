/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/kinds.h"

#include <ctype.h>
#include <stdio.h>

#include <ak/base/text.h>

static const struct ak_resource kinds[] = {
    {"agentkube.io", "v1alpha1", "Agent", "agents", true},
    {"agentkube.io", "v1alpha1", "Tool", "tools", true},
    {"agentkube.io", "v1alpha1", "MCP", "mcps", true},
    {"agentkube.io", "v1alpha1", "LLMGateway", "llmgateways", true},
    {"agentkube.io", "v1alpha1", "Claw", "claws", true},
    {"", "v1", "Namespace", "namespaces", false},
    {"", "v1", "Pod", "pods", true},
    {"", "v1", "Event", "events", true},
    {"", "v1", "Service", "services", true},
    {"", "v1", "Endpoints", "endpoints", true},
    {"apps", "v1", "Deployment", "deployments", true},
    {"apps", "v1", "DaemonSet", "daemonsets", true},
    {"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true},
    {"coordination.k8s.io", "v1", "Lease", "leases", true},
    {"apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false},
    {"admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration",
     "validatingwebhookconfigurations", false},
};

const struct ak_resource *ak_kinds_find(const char *kind)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(kinds); i++)
        if (ak_streq(kinds[i].kind, kind))
            return &kinds[i];
    return NULL;
}

const char *ak_kinds_label(const struct ak_resource *r, const char *name, char buf[static 384])
{
    size_t len = 0;

    for (; r->kind[len] && len < 64; len++)
        buf[len] = (char)tolower((unsigned char)r->kind[len]);
    (void)snprintf(buf + len, 384 - len, "%s%s/%s", r->group[0] ? "." : "", r->group, name);
    return buf;
}
