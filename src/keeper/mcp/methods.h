/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP's methods that are answered at once: message in, result out, no I/O. What needs a connection
 * (initialize's session, tools/call, subscriptions/listen) is the endpoint's.
 *
 * Two eras: revisions with sessions (2025-03-26, 2025-06-18, 2025-11-25), and 2026-07-28, which has
 * none: there every request says its version, and a result says that it is complete.
 */
#ifndef AK_KEEPER_MCP_METHODS_H
#define AK_KEEPER_MCP_METHODS_H

#include "keeper/mcp/message.h"
#include "keeper/mcp/tools.h"

#define AK_MCP_STATELESS "2026-07-28"
/* Names in _meta of that revision. */
#define AK_MCP_META_VERSION "io.modelcontextprotocol/protocolVersion"
#define AK_MCP_META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define AK_MCP_META_SUBSCRIPTION "io.modelcontextprotocol/subscriptionId"

enum ak_mcp_era { AK_MCP_SESSIONS = 1 << 0, AK_MCP_NO_SESSIONS = 1 << 1 };

/* Headers of a request of the era without sessions; NULL: not sent. */
struct ak_mcp_headers {
    const char *version, *method, *name;
};

/* The version that the message itself names in its _meta; NULL: none. Borrowed. */
const char *ak_mcp_meta_version(const struct ak_mcp_message *m);
/* Do headers and body of a request agree, and is everything there? 0, or -EPROTO with *fault. */
AK_MUST_USE int ak_mcp_check_headers(const struct ak_mcp_message *m,
                                     const struct ak_mcp_headers *headers,
                                     struct ak_mcp_fault *fault);
/* Is there such a method in this era, the endpoint's own included? */
bool ak_mcp_method_exists(const char *method, enum ak_mcp_era era);
/* The result of initialize, for the version that was agreed on; `changes`: the client will be told when the tools
 * change. NULL: no memory. */
json_t *ak_mcp_initialize_result(const char *version, bool changes);
/* 0: *ret is the result, owned by the caller. -EPROTO with *fault; -ENOMEM. */
AK_MUST_USE int ak_mcp_method_run(const struct ak_mcp_message *m, enum ak_mcp_era era,
                                  const struct ak_mcp_tools *tools, json_t **ret,
                                  struct ak_mcp_fault *fault);

#endif
