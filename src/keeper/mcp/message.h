/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON-RPC 2.0 message as MCP allows it: an object, never a batch; ids are strings or numbers, never
 * null, and are given back as they came. No I/O.
 */
#ifndef AK_KEEPER_MCP_MESSAGE_H
#define AK_KEEPER_MCP_MESSAGE_H

#include <ak/base/buf.h>
#include <ak/base/compiler.h>
#include <ak/json/json.h>
#include <stddef.h>

#define AK_MCP_MAX_MESSAGE (4u << 20) /* bytes of a request */
#define AK_MCP_MAX_REPLY (8u << 20)   /* bytes of an answer, the result of a tool included */
#define AK_MCP_MAX_METHOD 128

/* JSON-RPC's own codes, then MCP's. */
enum ak_mcp_code {
    AK_MCP_PARSE_ERROR = -32700,
    AK_MCP_INVALID_REQUEST = -32600,
    AK_MCP_METHOD_NOT_FOUND = -32601,
    AK_MCP_INVALID_PARAMS = -32602,
    AK_MCP_INTERNAL_ERROR = -32603,
    AK_MCP_SERVER_ERROR = -32000, /* sessions, transport, load */
    AK_MCP_RESOURCE_NOT_FOUND = -32002,
    AK_MCP_HEADER_MISMATCH = -32020,
    AK_MCP_UNSUPPORTED_VERSION = -32022,
};

/* Why a message is refused. Zero: it is not. The text is a literal or borrowed from the message. */
struct ak_mcp_fault {
    int code;
    const char *message;
    json_t *data; /* more about it, or NULL; owned */
};
void ak_mcp_fault_done(struct ak_mcp_fault *self);
AK_DEFINE_AUTO(ak_mcp_fault, ak_mcp_fault_done)
/* For `return ak_mcp_fault_set(fault, CODE, "text");`. Returns -EPROTO. */
int ak_mcp_fault_set(struct ak_mcp_fault *self, int code, const char *message);

enum ak_mcp_kind { AK_MCP_REQUEST, AK_MCP_NOTIFICATION, AK_MCP_RESPONSE };

struct ak_mcp_message {
    json_t *tree; /* owned; the rest is borrowed from it */
    enum ak_mcp_kind kind;
    json_t *id;         /* NULL: none, or none that may be given back */
    const char *method; /* NULL for a response */
    json_t *params;     /* an object, or NULL */
};
void ak_mcp_message_done(struct ak_mcp_message *self);
AK_DEFINE_AUTO(ak_mcp_message, ak_mcp_message_done)
/* 0; -EPROTO with *fault set (ret->id is set if the message had a usable one); -ENOMEM. */
AK_MUST_USE int ak_mcp_message_read(const char *data, size_t len, struct ak_mcp_message *ret,
                                    struct ak_mcp_fault *fault);
/* Text of an answer. `id` NULL is written as null; `result` is borrowed. */
AK_MUST_USE int ak_mcp_write_result(const json_t *id, const json_t *result, struct ak_buf *out);
AK_MUST_USE int ak_mcp_write_fault(const json_t *id, const struct ak_mcp_fault *fault,
                                   struct ak_buf *out);

#endif
