/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the MCP endpoint offers: a table that somebody else fills. The endpoint knows the protocol, the
 * table knows the tools.
 */
#ifndef AK_KEEPER_MCP_TOOLS_H
#define AK_KEEPER_MCP_TOOLS_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>
#include <ak/net/loop.h>

/* One tools/call under way. Whoever was given it answers it exactly once, also after cancel. */
struct ak_mcp_call;

struct ak_mcp_tools {
    /* Once, before anything else: the loop on whose thread all of this happens. May be NULL. */
    int (*start)(struct ak_loop *loop, void *user, struct ak_error **reterr);
    /* Appends Tool objects (name, description, inputSchema, ...) to the array. */
    int (*list)(json_t *tools, void *user, struct ak_error **reterr);
    /*
     * Begins a call; `name` and `arguments` (an object, or NULL) are borrowed for this call. 0: it
     * is or will be answered. AK_E_NOT_FOUND: no such tool. Otherwise negative: it cannot begin, and
     * the text of *reterr is told to the agent as the result of the tool. After a negative result the
     * call is gone.
     */
    int (*call)(struct ak_mcp_call *call, const char *name, json_t *arguments, void *user,
                struct ak_error **reterr);
    /* Nobody waits for the answer any more. May be NULL. Answering from here is allowed. */
    void (*cancel)(struct ak_mcp_call *call, void *user);
    void *user;
};

/* Nothing: what an agent without tools has. */
extern const struct ak_mcp_tools ak_mcp_no_tools;

/* With a CallToolResult, borrowed. The call is gone afterwards. Thread: loop. */
void ak_mcp_call_answer(struct ak_mcp_call *self, const json_t *result);
/* With {content: [text], isError: true}. The call is gone afterwards. Thread: loop. */
void ak_mcp_call_fail(struct ak_mcp_call *self, const char *text);

#endif
