/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent may use: Agent.spec.tools, met by what each Tool offers. Messages are for a model. */
#include <ak/api/agent.h>
#include <string.h>

#include <ak/base/text.h>

#include "engines/names.h"
#include "manager/invoke/answer.h"
#include "manager/invoke/memo.h"
#include "manager/kinds.h"
#include "manager/tools/tools_internal.h"

#define MAX_LIST (4u << 20) /* bytes of an agent's list */

static const struct ak_agent_tool *find_tool(const struct ak_object *agent, const char *name)
{
    const struct ak_agent *body = ak_object_body(agent);

    for (size_t i = 0; body->spec && i < body->spec->tools.len; i++)
        if (ak_streq(body->spec->tools.items[i].name, name))
            return &body->spec->tools.items[i];
    return NULL;
}

static bool has_operation(const struct ak_agent_tool *given, const char *operation)
{
    bool found = given->operations.len == 0; /* left out: all */

    for (size_t i = 0; i < given->operations.len; i++)
        found = found || ak_streq(given->operations.items[i], operation);
    return found;
}

int ak_tools_admit_agent(const struct ak_object *agent, struct ak_tools_call *call,
                         struct ak_error **reterr)
{
    const struct ak_agent_tool *given = find_tool(agent, call->tool);

    if (!given)
        return ak_invoke_error(reterr, 403,
                               "this agent has no tool \"%s\": its spec.tools does not name it",
                               call->tool);
    if (!has_operation(given, call->operation))
        return ak_invoke_error(reterr, 403,
                               "this agent may not use the operation \"%s\" of tool \"%s\": its "
                               "spec.tools[].operations does not name it",
                               call->operation, call->tool);
    call->read_only = call->read_only || given->read_only;
    return 0;
}

/* ---- the list */

static json_t *make_item(const char *tool, const struct ak_operation *operation,
                         const char *description, bool read_only, const json_t *schema)
{
    char name[AK_MCP_NAME_MAX + 1];

    if (ak_mcp_tool_name(tool, operation->name, name) < 0)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:s++, s:s, s:O, s:b}", "tool", tool, "operation",
                     operation->name, "name", name, "title", operation->title, " of ", tool,
                     "description", description, "inputSchema", schema, "readOnlyHint", read_only);
}

static int describe(const struct ak_tool_spec *spec, const char *tool,
                    const struct ak_operation *operation, struct ak_buf *out)
{
    const struct ak_engine_info *info = ak_engine_info(spec->type);
    int r = ak_buf_addf(out, "%s Tool \"%s\" (%s).", operation->description, tool, info->title);

    if (r >= 0 && !ak_is_empty(spec->description))
        r = ak_buf_addf(out, " %s", spec->description);
    return r;
}

static int add_operation(const struct ak_tool_spec *spec, const char *tool,
                         const struct ak_operation *operation, bool read_only, json_t *list,
                         struct ak_error **reterr)
{
    AK_AUTO(ak_buf) description = AK_BUF_INIT(8u << 10);
    AK_AUTO_JSON *schema = NULL;
    int r = ak_json_parse(operation->schema, strlen(operation->schema), &schema, reterr);

    if (r >= 0)
        r = describe(spec, tool, operation, &description);
    if (r < 0)
        return r;
    json_t *item = make_item(tool, operation, description.data,
                             read_only || operation->at_most == AK_CLASS_READ, schema);
    return json_array_append_new(list, item) < 0 ? ak_error_oom(reterr) : 0;
}

static bool is_usable(const struct ak_tool_spec *spec)
{
    AK_AUTO(ak_arena) arena = {0};
    const char *const *broken = NULL;

    ak_arena_init(&arena, 512, 1u << 20);
    return ak_policy_enforceable(spec, &arena, &broken, NULL) >= 0 && !broken[0];
}

static int add_tool(struct ak_tools *self, const char *ns, const struct ak_agent_tool *given,
                    json_t *list, struct ak_error **reterr)
{
    AK_AUTO_OBJECT tool = NULL;
    int r = ak__tools_find(self, ns, given->name, &tool, NULL);

    if (r < 0)
        return 0; /* the Agent's condition says so */
    const struct ak_tool_spec *spec = ((const struct ak_tool *)ak_object_body(tool))->spec;
    const struct ak_engine_info *info = ak_engine_info(spec->type);
    bool read_only = ak_policy_is_read_only(spec, true, given->read_only);
    if (!info || !is_usable(spec))
        return 0;
    r = 0;
    for (size_t i = 0; r >= 0 && i < info->n_operations; i++) {
        const struct ak_operation *operation = &info->operations[i];
        if (has_operation(given, operation->name) && ak_policy_offers(spec, operation, read_only))
            r = add_operation(spec, given->name, operation, read_only, list, reterr);
    }
    return r;
}

/* A name for this very list: another one when anything in it is. */
static int version_of(const json_t *list, struct ak_memo_key *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_LIST);
    int r = ak_json_write(list, &text, reterr);

    if (r < 0)
        return r;
    r = ak_memo_digest(ret, (const char *const[]){ak_buf_text(&text), NULL});
    return r < 0 ? ak_error_oom(reterr) : 0;
}

int ak_tools_of_agent(struct ak_tools *self, const struct ak_object *agent, json_t **ret,
                      struct ak_error **reterr)
{
    const struct ak_agent *body = ak_object_body(agent);
    const char *ns = ak_object_meta(agent)->namespace_;
    AK_AUTO_JSON *list = json_array();
    struct ak_memo_key version;
    int r = list ? 0 : ak_error_oom(reterr);

    for (size_t i = 0; r >= 0 && body->spec && i < body->spec->tools.len; i++)
        r = add_tool(self, ns, &body->spec->tools.items[i], list, reterr);
    if (r >= 0)
        r = version_of(list, &version, reterr);
    if (r < 0)
        return r;
    *ret = json_pack("{s:O, s:s%}", "items", list, "resourceVersion", version.text, (size_t)16);
    return *ret ? 0 : ak_error_oom(reterr);
}

/* ---- whose pod */

const struct ak_object *ak_tools_agent_of_pod(struct ak_tools *self, const char *ns,
                                              const char *pod_name, const char *pod_uid)
{
    AK_AUTO_OBJECT pod = ak_cache_get(self->o.pods, ns, pod_name);
    AK_AUTO_OBJECT agent = NULL;

    if (!pod || !ak_streq(ak_object_meta(pod)->uid, pod_uid))
        return NULL;
    const struct ak_owner_ref *owner = ak_meta_controller(ak_object_meta(pod));
    if (!owner || !ak_streq(owner->kind, ak_agent_kind.resource.kind))
        return NULL;
    agent = ak_cache_get(self->o.agents, ns, owner->name);
    if (!agent || !ak_streq(ak_object_meta(agent)->uid, owner->uid))
        return NULL;
    return AK_TAKE(agent);
}
