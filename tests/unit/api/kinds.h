/* SPDX-License-Identifier: Apache-2.0 */
/* All kinds of the API as a table, for tests that must hold for each. */
#ifndef AK_TESTS_UNIT_API_KINDS_H
#define AK_TESTS_UNIT_API_KINDS_H

#include <ak/api/agent.h>
#include <ak/api/claw.h>
#include <ak/api/llmgateway.h>
#include <ak/api/mcp.h>
#include <ak/api/tool.h>

struct kind {
    struct ak_resource resource;
    const struct ak_type *type;
    const char *definition; /* file, below the root of the sources */
};

static const struct kind kinds[] = {
    {AK_AGENT_RESOURCE, &ak_agent_type, "agentkube/config/crd-generated/agentkube.io_agents.yaml"},
    {AK_TOOL_RESOURCE, &ak_tool_type, "agentkube/config/crd-generated/agentkube.io_tools.yaml"},
    {AK_MCP_RESOURCE, &ak_mcp_type, "agentkube/config/crd-generated/agentkube.io_mcps.yaml"},
    {AK_LLM_GATEWAY_RESOURCE, &ak_llm_gateway_type,
     "agentkube/config/crd-generated/agentkube.io_llmgateways.yaml"},
    {AK_CLAW_RESOURCE, &ak_claw_type, "agentkube/config/crd-generated/agentkube.io_claws.yaml"},
};

#endif
