/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the manager answers about tools, in the words of MCP. Pure: JSON in, JSON out.
 */
#ifndef AK_KEEPER_TOOL_RESULT_H
#define AK_KEEPER_TOOL_RESULT_H

#include <ak/base/compiler.h>
#include <ak/base/error.h>
#include <ak/json/json.h>

#define AK_TOOL_TEXT_MAX (1u << 20) /* bytes of a result's text; more is cut and says so */
#define AK_TOOL_LIST_MAX 512        /* tools of one agent */

/*
 * The Tool objects of MCP for {items: [{tool, operation, name, title, description, inputSchema, readOnlyHint}]}, in the
 * same order. Whoever asks holds the manager's word for what is in it, so an item without a name, a tool or an
 * operation makes the whole list useless: AK_E_PROTOCOL. AK_E_TOO_LARGE, -ENOMEM.
 */
AK_MUST_USE int ak_tool_list(const json_t *list, json_t **ret, struct ak_error **reterr);

/*
 * The CallToolResult for the answer to an operation, {result: ..., ...}. Its text is compact: rows as {"columns":
 * [names], "rows": [[...]], ...}, the output of a program as it is, everything else as JSON. What fits whole is also
 * structuredContent. A program that failed and an HTTP status from 400 up are isError.
 * AK_E_PROTOCOL: there is no result; -ENOMEM.
 */
AK_MUST_USE int ak_tool_result(const json_t *answer, json_t **ret, struct ak_error **reterr);

/* In one or two sentences for a model, what a refusal (a Status object, `tree` may be NULL) means. -ENOMEM. */
AK_MUST_USE int ak_tool_refusal(int status, const json_t *tree, struct ak_buf *out);

#endif
