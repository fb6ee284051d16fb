/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are made from a Tool's name or uid. */
#ifndef AK_ENGINES_NAMES_H
#define AK_ENGINES_NAMES_H

#include <ak/base/compiler.h>
#include <stdbool.h>
#include <stddef.h>

#define AK_IDENTITY_NAME_SIZE 24 /* agentkube_0123456789_r, with its end */
#define AK_MCP_NAME_MAX 46       /* characters; clients add a prefix of theirs and stop at 64 */

/*
 * Name of a user or role that is made in the system: agentkube_<10 hex>_r or _w, from the Tool's uid (its hex digits
 * when it is a UUID, else of a hash of it). Lower case, letters, digits and "_" only: every engine takes it unquoted.
 * -EINVAL: an empty uid or a buffer below AK_IDENTITY_NAME_SIZE.
 */
AK_MUST_USE int ak_identity_name(const char *uid, bool writer, char *buf, size_t size);

/* Name of an MCP tool: TOOL_operation, in [A-Za-z0-9_-]; a long one is cut and ends with 6 hex digits of a hash of the
 * whole. -EINVAL: an empty name, or one with characters that no Tool's name has. */
AK_MUST_USE int ak_mcp_tool_name(const char *tool, const char *operation,
                                 char buf[AK_MCP_NAME_MAX + 1]);

#endif
