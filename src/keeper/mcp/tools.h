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
/* One tools/list that waits for a fresh list. */
struct ak_mcp_look;

struct ak_mcp_tools {
    /* Once, before anything else: the loop on whose thread all of this happens. May be NULL. */
    int (*start)(struct ak_loop *loop, void *user, struct ak_error **reterr);
    /* Once, at the end, when nobody waits any more: lets go of the loop. May be NULL. */
    void (*stop)(void *user);
    /* Whom to tell, after start, that list() would now append something else. NULL: it never does. */
    void (*watch)(void (*changed)(void *arg), void *arg, void *user);
    /*
     * Brings the list up to date before it is asked for. 0: ak_mcp_look_ready() is or will be called, exactly once.
     * Positive: it is as good as it gets; the look is gone. NULL: it always is.
     */
    int (*refresh)(struct ak_mcp_look *look, void *user);
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

/* Answers with the list as it is now. The look is gone afterwards. Thread: loop. */
void ak_mcp_look_ready(struct ak_mcp_look *self);
/* Which run asks, as its program says; "": it does not. Borrowed from the call. */
const char *ak_mcp_call_run(const struct ak_mcp_call *self);
/* With a CallToolResult, borrowed. The call is gone afterwards. Thread: loop. */
void ak_mcp_call_answer(struct ak_mcp_call *self, const json_t *result);
/* With {content: [text], isError: true}. The call is gone afterwards. Thread: loop. */
void ak_mcp_call_fail(struct ak_mcp_call *self, const char *text);

#endif
