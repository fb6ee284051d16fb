/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/mcp/message.h"

#include <errno.h>
#include <string.h>

#include <ak/base/text.h>

void ak_mcp_fault_done(struct ak_mcp_fault *self)
{
    json_decref(self->data);
    self->data = NULL;
}

int ak_mcp_fault_set(struct ak_mcp_fault *self, int code, const char *message)
{
    ak_mcp_fault_done(self);
    self->code = code;
    self->message = message;
    return -EPROTO;
}

void ak_mcp_message_done(struct ak_mcp_message *self)
{
    json_decref(self->tree);
    *self = (struct ak_mcp_message){0};
}

static int parse(const char *data, size_t len, json_t **ret, struct ak_mcp_fault *fault)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int r;

    if (len > AK_MCP_MAX_MESSAGE)
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_REQUEST, "message is too large");
    r = ak_json_parse(data, len, ret, &err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? ak_mcp_fault_set(fault, AK_MCP_PARSE_ERROR, "not valid JSON") : 0;
}

static int read_method(struct ak_mcp_message *m, json_t *method, struct ak_mcp_fault *fault)
{
    if (!json_is_string(method) || json_string_length(method) > AK_MCP_MAX_METHOD)
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_REQUEST, "method must be a string");
    m->method = json_string_value(method);
    m->kind = m->id ? AK_MCP_REQUEST : AK_MCP_NOTIFICATION;
    m->params = json_object_get(m->tree, "params");
    if (m->params && !json_is_object(m->params))
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_PARAMS, "params must be an object");
    return 0;
}

static int classify(struct ak_mcp_message *m, struct ak_mcp_fault *fault)
{
    json_t *id, *method;
    bool answers;

    if (json_is_array(m->tree))
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_REQUEST, "batches are not supported");
    if (!json_is_object(m->tree))
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_REQUEST, "a message must be an object");
    id = json_object_get(m->tree, "id");
    if (id && !json_is_string(id) && !json_is_number(id))
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_REQUEST, "id must be a string or a number");
    m->id = id;
    if (!ak_streq(json_string_value(json_object_get(m->tree, "jsonrpc")), "2.0"))
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_REQUEST, "jsonrpc must be \"2.0\"");
    method = json_object_get(m->tree, "method");
    if (method)
        return read_method(m, method, fault);
    answers = json_object_get(m->tree, "result") || json_object_get(m->tree, "error");
    if (!id || !answers)
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_REQUEST,
                                "neither a request, a notification nor a response");
    m->kind = AK_MCP_RESPONSE;
    return 0;
}

int ak_mcp_message_read(const char *data, size_t len, struct ak_mcp_message *ret,
                        struct ak_mcp_fault *fault)
{
    int r;

    *ret = (struct ak_mcp_message){0};
    r = parse(data, len, &ret->tree, fault);
    return r < 0 ? r : classify(ret, fault);
}

static int write_id(const json_t *id, struct ak_buf *out)
{
    int r = ak_buf_adds(out, "{\"jsonrpc\":\"2.0\",\"id\":");

    if (r >= 0)
        r = id ? ak_json_write(id, out, NULL) : ak_buf_adds(out, "null");
    return r;
}

int ak_mcp_write_result(const json_t *id, const json_t *result, struct ak_buf *out)
{
    int r = write_id(id, out);

    if (r >= 0)
        r = ak_buf_adds(out, ",\"result\":");
    if (r >= 0)
        r = ak_json_write(result, out, NULL);
    return r < 0 ? r : ak_buf_adds(out, "}");
}

int ak_mcp_write_fault(const json_t *id, const struct ak_mcp_fault *fault, struct ak_buf *out)
{
    int r = write_id(id, out);

    if (r >= 0)
        r = ak_buf_addf(out, ",\"error\":{\"code\":%d,\"message\":", fault->code);
    if (r >= 0)
        r = ak_buf_add_json_string(out, fault->message, strlen(fault->message));
    if (r >= 0 && fault->data)
        r = ak_buf_adds(out, ",\"data\":");
    if (r >= 0 && fault->data)
        r = ak_json_write(fault->data, out, NULL);
    return r < 0 ? r : ak_buf_adds(out, "}}");
}
