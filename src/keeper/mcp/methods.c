/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/mcp/methods.h"

#include <errno.h>
#include <string.h>

#include <ak/base/text.h>

/* How long a client of the stateless revision may reuse a list. */
#define LIST_TTL_MS 5000

const struct ak_mcp_tools ak_mcp_no_tools;

static json_t *server_info(void)
{
    return json_pack("{ssssss}", "name", "agentkube-keeper", "title", "agentkube", "version",
                     AK_VERSION);
}

json_t *ak_mcp_initialize_result(const char *version, bool changes)
{
    json_t *tools = changes ? json_pack("{sb}", "listChanged", 1) : json_object();

    return json_pack("{sss{so}so}", "protocolVersion", version, "capabilities", "tools", tools,
                     "serverInfo", server_info());
}

struct request {
    const struct ak_mcp_message *message;
    enum ak_mcp_era era;
    const struct ak_mcp_tools *tools;
    struct ak_mcp_fault *fault;
};

static int answer_empty(const struct request *q, json_t **ret)
{
    (void)q;
    *ret = json_object();
    return 0;
}

static int answer_discover(const struct request *q, json_t **ret)
{
    (void)q;
    *ret = json_pack("{s[s]s{s{}}so}", "supportedVersions", AK_MCP_STATELESS, "capabilities",
                     "tools", "serverInfo", server_info());
    return 0;
}

/* No list of ours is long enough to be cut into pages, so no cursor was ever given out. */
static int refuse_cursor(const struct request *q)
{
    if (json_object_get(q->message->params, "cursor"))
        return ak_mcp_fault_set(q->fault, AK_MCP_INVALID_PARAMS, "unknown cursor");
    return 0;
}

static int answer_tools(const struct request *q, json_t **ret)
{
    AK_AUTO_JSON *tools = json_array();
    int r = refuse_cursor(q);

    if (r < 0)
        return r;
    if (!tools)
        return -ENOMEM;
    if (q->tools->list && q->tools->list(tools, q->tools->user, NULL) < 0)
        return ak_mcp_fault_set(q->fault, AK_MCP_INTERNAL_ERROR, "the tools cannot be listed");
    *ret = json_pack("{sO}", "tools", tools);
    return 0;
}

static int answer_empty_list(const struct request *q, const char *member, json_t **ret)
{
    int r = refuse_cursor(q);

    if (r >= 0)
        *ret = json_pack("{s[]}", member);
    return r;
}

static int answer_prompts(const struct request *q, json_t **ret)
{
    return answer_empty_list(q, "prompts", ret);
}

static int answer_resources(const struct request *q, json_t **ret)
{
    return answer_empty_list(q, "resources", ret);
}

static int answer_templates(const struct request *q, json_t **ret)
{
    return answer_empty_list(q, "resourceTemplates", ret);
}

static int refuse_prompt(const struct request *q, json_t **ret)
{
    (void)ret;
    return ak_mcp_fault_set(q->fault, AK_MCP_INVALID_PARAMS, "unknown prompt");
}

static int refuse_resource(const struct request *q, json_t **ret)
{
    (void)ret;
    return ak_mcp_fault_set(
        q->fault, q->era == AK_MCP_SESSIONS ? AK_MCP_RESOURCE_NOT_FOUND : AK_MCP_INVALID_PARAMS,
        "unknown resource");
}

#define BOTH (AK_MCP_SESSIONS | AK_MCP_NO_SESSIONS)

static const struct {
    const char *name;
    unsigned eras;
    bool cacheable;                                    /* in the era without sessions */
    int (*run)(const struct request *q, json_t **ret); /* NULL: the endpoint's */
} methods[] = {
    {"initialize", AK_MCP_SESSIONS, false, NULL},
    {"ping", AK_MCP_SESSIONS, false, answer_empty},
    {"server/discover", AK_MCP_NO_SESSIONS, true, answer_discover},
    {"tools/list", BOTH, true, answer_tools},
    {"tools/call", BOTH, false, NULL},
    {"prompts/list", BOTH, true, answer_prompts},
    {"prompts/get", BOTH, false, refuse_prompt},
    {"resources/list", BOTH, true, answer_resources},
    {"resources/templates/list", BOTH, true, answer_templates},
    {"resources/read", BOTH, false, refuse_resource},
    {"subscriptions/listen", AK_MCP_NO_SESSIONS, false, NULL},
};

bool ak_mcp_method_exists(const char *method, enum ak_mcp_era era)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(methods); i++)
        if (ak_streq(methods[i].name, method))
            return methods[i].eras & era;
    return false;
}

/* What the stateless revision wants in a result. */
static int complete(json_t *result, bool cacheable)
{
    if (json_object_set_new(result, "resultType", json_string("complete")) < 0)
        return -ENOMEM;
    if (!cacheable)
        return 0;
    if (json_object_set_new(result, "ttlMs", json_integer(LIST_TTL_MS)) < 0 ||
        json_object_set_new(result, "cacheScope", json_string("private")) < 0)
        return -ENOMEM;
    return 0;
}

int ak_mcp_method_run(const struct ak_mcp_message *m, enum ak_mcp_era era,
                      const struct ak_mcp_tools *tools, json_t **ret, struct ak_mcp_fault *fault)
{
    struct request q = {m, era, tools, fault};
    AK_AUTO_JSON *result = NULL;
    size_t i = 0;
    int r;

    while (i < AK_ARRAY_LEN(methods) && !ak_streq(methods[i].name, m->method))
        i++;
    if (i == AK_ARRAY_LEN(methods) || !(methods[i].eras & era) || !methods[i].run)
        return ak_mcp_fault_set(fault, AK_MCP_METHOD_NOT_FOUND, "method not found");
    r = methods[i].run(&q, &result);
    if (r < 0)
        return r;
    if (!result)
        return -ENOMEM;
    r = era == AK_MCP_NO_SESSIONS ? complete(result, methods[i].cacheable) : 0;
    if (r >= 0)
        *ret = AK_TAKE(result);
    return r;
}

static json_t *meta_of(const struct ak_mcp_message *m)
{
    return json_object_get(m->params, "_meta");
}

const char *ak_mcp_meta_version(const struct ak_mcp_message *m)
{
    return json_string_value(json_object_get(meta_of(m), AK_MCP_META_VERSION));
}

static int refuse_version(const char *requested, struct ak_mcp_fault *fault)
{
    (void)ak_mcp_fault_set(fault, AK_MCP_UNSUPPORTED_VERSION, "unsupported protocol version");
    fault->data = json_pack("{s[s]ss}", "supported", AK_MCP_STATELESS, "requested", requested);
    return -EPROTO;
}

static int check_name(const struct ak_mcp_message *m, const char *header,
                      struct ak_mcp_fault *fault)
{
    const char *name = json_string_value(json_object_get(m->params, "name"));

    if (!ak_streq(m->method, "tools/call") || !name)
        return 0;
    /* A name that is no plain ASCII comes encoded; we have no such tools. */
    if (!header || (!ak_has_prefix(header, "=?base64?") && !ak_streq(header, name)))
        return ak_mcp_fault_set(fault, AK_MCP_HEADER_MISMATCH,
                                "Mcp-Name: must be the name of the tool");
    return 0;
}

int ak_mcp_check_headers(const struct ak_mcp_message *m, const struct ak_mcp_headers *headers,
                         struct ak_mcp_fault *fault)
{
    const char *version = ak_mcp_meta_version(m);

    /* Who asks which versions there are cannot know yet what to say. */
    if (ak_streq(m->method, "server/discover") && !headers->method)
        return 0;
    if (!headers->method || !ak_streq(headers->method, m->method))
        return ak_mcp_fault_set(fault, AK_MCP_HEADER_MISMATCH,
                                "Mcp-Method: must be the method of the message");
    if (ak_streq(m->method, "server/discover"))
        return 0;
    if (!headers->version)
        return ak_mcp_fault_set(fault, AK_MCP_HEADER_MISMATCH,
                                "MCP-Protocol-Version: must be sent");
    if (version && !ak_streq(headers->version, version))
        return ak_mcp_fault_set(fault, AK_MCP_HEADER_MISMATCH,
                                "MCP-Protocol-Version: is not the version in _meta");
    if (!ak_streq(headers->version, AK_MCP_STATELESS))
        return refuse_version(headers->version, fault);
    if (!version || !json_is_object(json_object_get(meta_of(m), AK_MCP_META_CAPABILITIES)))
        return ak_mcp_fault_set(fault, AK_MCP_INVALID_PARAMS,
                                "_meta: must name protocolVersion and clientCapabilities");
    return check_name(m, headers->name, fault);
}
