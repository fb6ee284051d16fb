/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP over HTTP ("streamable HTTP"): the transport around methods.h. One message a POST, answered as
 * JSON; a GET is a stream of events, in which the client is told that the tools have changed, and
 * subscriptions/listen one that is only kept alive; DELETE ends a session. Everything is bounded:
 * AK_MCP_MAX_MESSAGE, AK_MCP_MAX_STREAMS, AK_MCP_MAX_CALLS, AK_MCP_MAX_SESSIONS. Thread: loop.
 */
#ifndef AK_KEEPER_MCP_ENDPOINT_H
#define AK_KEEPER_MCP_ENDPOINT_H

#include <ak/net/http_server.h>
#include <ak/net/loop.h>

#include "keeper/counters.h"
#include "keeper/mcp/tools.h"

#define AK_MCP_MAX_STREAMS 64
#define AK_MCP_MAX_CALLS 64
#define AK_MCP_KEEP_ALIVE AK_SECONDS(15)

struct ak_mcp_endpoint;
struct ak_mcp_endpoint_options {
    struct ak_loop *loop;
    const struct ak_mcp_tools *tools; /* borrowed; must have nothing under way when this is freed */
    struct ak_keeper_counters *counters;
    const char *pod_uid; /* borrowed */
    ak_msec keep_alive;  /* 0: AK_MCP_KEEP_ALIVE */
};
struct ak_mcp_endpoint *ak_mcp_endpoint_free(struct ak_mcp_endpoint *self);
AK_MUST_USE int ak_mcp_endpoint_new(const struct ak_mcp_endpoint_options *options,
                                    struct ak_mcp_endpoint **ret, struct ak_error **reterr);
AK_DEFINE_AUTO_PTR(ak_mcp_endpoint, ak_mcp_endpoint_free)
/* Takes the exchange over, whatever its method is. Whether the caller may talk to us was checked before. */
void ak_mcp_endpoint_handle(struct ak_mcp_endpoint *self, struct ak_http_exchange *ex);
/* Ends all streams, so that the server can be drained. */
void ak_mcp_endpoint_end_streams(struct ak_mcp_endpoint *self);

#endif
