/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of a tool of an MCP endpoint (streamable HTTP), blocking: for a process that does nothing else.
 * Plain HTTP to a numeric address only, because the endpoint is the keeper's on loopback. Who waits too long
 * ends the process.
 */
#ifndef AK_AGENTLET_TOOL_CALL_H
#define AK_AGENTLET_TOOL_CALL_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <jansson.h>
#include <stdbool.h>

#define AK_TOOL_CALL_MAX_REPLY (16u << 20) /* bytes */

/*
 * `arguments` is an object. *ret is the call's result ({content, isError, ...}). AK_E_INVALID: the endpoint refuses
 * the call (no such tool, wrong arguments), with its message; AK_E_PROTOCOL: it does not speak as it should;
 * -ECONNREFUSED and others: it is not there; -EINVAL: the URL.
 */
AK_MUST_USE int ak_tool_call(const char *url, const char *tool, const json_t *arguments,
                             json_t **ret, struct ak_error **reterr);

#endif
