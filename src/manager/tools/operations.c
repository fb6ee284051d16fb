/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be settled before a bastion is told to do something. */
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/invoke/answer.h"
#include "manager/kinds.h"
#include "manager/tools/uses.h"

#define DEFAULT_LIMIT AK_SECONDS(60) /* spec.limits.timeout */
#define LIMIT_SLACK AK_SECONDS(15)   /* for the bastion to say that it is over */
#define MAX_REFUSAL 512
#define MAX_BODY (2 * AK_TOOLS_MAX_ARGUMENTS + (64u << 10))

static ak_msec limit_of(const struct ak_tool_spec *spec)
{
    ak_msec limit = 0;

    if (!spec->limits || !spec->limits->timeout ||
        ak_parse_duration(spec->limits->timeout, &limit) < 0 || limit <= 0)
        limit = DEFAULT_LIMIT;
    return AK_MIN(limit, AK_HOURS(1)) + LIMIT_SLACK;
}

/* Rules that the system cannot keep: nothing is done through such a Tool. */
static int check_enforceable(const struct ak_tool_spec *spec, struct ak_arena *arena,
                             struct ak_error **reterr)
{
    const char *const *broken = NULL;
    int r = ak_policy_enforceable(spec, arena, &broken, reterr);

    if (r < 0)
        return r;
    return broken[0] ? ak_invoke_error(reterr, 403,
                                       "the tool refuses everything, because a rule of it cannot "
                                       "be enforced: %s",
                                       broken[0])
                     : 0;
}

static int decide(const struct ak_tools_call *call, const struct ak_tool_spec *spec, bool read_only,
                  struct ak_arena *arena, struct ak_decision *ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *none = call->arguments ? NULL : json_object();
    const json_t *arguments = call->arguments ? call->arguments : none;

    if (!arguments)
        return ak_error_oom(reterr);
    int r = ak_policy_decide(spec, call->operation, arguments, read_only, arena, ret, &err);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0)
        return ak_invoke_error(reterr, r == AK_E_NOT_FOUND ? 404 : 400, "%s",
                               ak_error_message(err));
    return 0;
}

static int refuse_unless_allowed(const struct ak_decision *d, struct ak_error **reterr)
{
    if (d->allowed)
        return 0;
    return ak_invoke_error(reterr, 403, "refused by %s: %.*s", d->rule ? d->rule : "the tool",
                           MAX_REFUSAL, d->reason ? d->reason : "not allowed");
}

/* What both kinds of use have in common. */
static int begin(struct ak_tools *self, const struct ak_tools_call *call, bool is_session,
                 struct ak_arena *arena, struct ak_tools_use **ret, struct ak_decision *decision,
                 struct ak_error **reterr)
{
    AK_AUTO_OBJECT tool = NULL;
    bool is_agent = call->caller.ns != NULL;
    int r = ak__tools_find(self, call->ns, call->tool, &tool, reterr);

    if (r < 0)
        return r;
    const struct ak_tool_spec *spec = ((const struct ak_tool *)ak_object_body(tool))->spec;
    r = ak__tools_use_new(self, call, tool, ret, reterr);
    if (r < 0)
        return r;
    (*ret)->read_only = is_session ? ak_policy_session_is_read_only(spec, is_agent, call->read_only)
                                   : ak_policy_is_read_only(spec, is_agent, call->read_only);
    (*ret)->timeout = limit_of(spec);
    r = check_enforceable(spec, arena, reterr);
    if (r >= 0)
        r = decide(call, spec, (*ret)->read_only, arena, decision, reterr);
    return r < 0 ? r : refuse_unless_allowed(decision, reterr);
}

/* ---- operations */

static int write_body(const struct ak_tools_call *call, const struct ak_tools_use *use,
                      bool approved, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO_JSON *caller = ak__tools_caller_json(&call->caller);
    AK_AUTO_JSON *body = NULL;

    if (!caller)
        return ak_error_oom(reterr);
    body = json_pack("{s:s, s:O, s:b, s:b, s:i}", "operation", call->operation, "caller", caller,
                     "readOnly", use->read_only, "approved", approved, "maxBytes",
                     (int)(call->caller.ns ? AK_TOOLS_MAX_ARGUMENTS : AK_TOOLS_MAX_RESULT));
    if (!body)
        return ak_error_oom(reterr);
    int r = call->arguments
                ? json_object_set(body, "arguments", (json_t *)(uintptr_t)call->arguments)
                : json_object_set_new(body, "arguments", json_object());
    if (r < 0)
        return ak_error_oom(reterr);
    out->max = MAX_BODY;
    r = ak_json_write(body, out, reterr);
    return r == AK_E_TOO_LARGE
               ? ak_invoke_error(reterr, 413, "the arguments are longer than %u bytes",
                                 AK_TOOLS_MAX_ARGUMENTS)
               : r;
}

/* An approval that is used up is one that is sent: it comes last before that. */
static int settle_approval(struct ak_tools *self, const struct ak_approval_ask *ask, bool use_up,
                           struct ak_error **reterr)
{
    return use_up ? ak__tools_use_approval(self, ask, reterr)
                  : ak__tools_await_approval(self, ask, reterr);
}

int ak_tools_prepare(struct ak_tools *self, const struct ak_tools_call *call, bool engine_asks,
                     struct ak_tools_use **ret, struct ak_buf *body, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_tools_use *use = NULL;
    struct ak_decision d = {0};

    ak_arena_init(&arena, 1024, 1u << 20);
    int r = begin(self, call, false, &arena, &use, &d, reterr);
    bool asks = r >= 0 && (d.needs_approval || engine_asks);
    const struct ak_approval_ask ask = {
        .call = call,
        .tool = use ? use->tool : NULL,
        .read_only = use && use->read_only,
        .class = ak_statement_class_name(d.class),
    };
    bool settles = asks && !call->is_approved;
    if (settles)
        r = settle_approval(self, &ask, false, reterr);
    if (r >= 0)
        r = ak__tools_await_bastion(self, use, call, reterr);
    if (r >= 0)
        r = write_body(call, use, asks, body, reterr);
    if (r >= 0 && settles)
        r = settle_approval(self, &ask, true, reterr);
    if (r >= 0)
        use->is_approved = asks;
    if (r < 0) {
        (void)ak_tools_close(use);
        return r;
    }
    *ret = use;
    return 0;
}

int ak_tools_open(struct ak_tools *self, const struct ak_tools_call *call,
                  struct ak_tools_use **ret, struct ak_error **reterr)
{
    AK_AUTO(ak_arena) arena = {0};
    struct ak_tools_use *use = NULL;
    struct ak_decision d = {0};

    ak_arena_init(&arena, 1024, 1u << 20);
    int r = begin(self, call, true, &arena, &use, &d, reterr);
    if (r >= 0)
        r = ak__tools_await_bastion(self, use, call, reterr);
    if (r < 0) {
        (void)ak_tools_close(use);
        return r;
    }
    *ret = use;
    return 0;
}

/* ---- explain */

const char *ak_tools_main_argument(struct ak_tools *self, const char *ns, const char *name,
                                   const char *operation)
{
    static const char *const names[] = {"sql", "args", "command", "method", "key", "pattern"};
    AK_AUTO_OBJECT tool = NULL;
    AK_AUTO_JSON *schema = NULL;
    bool exec = ak_streq(operation, AK_OPERATION_EXEC);

    if (exec)
        return "stdin";
    if (ak__tools_find(self, ns, name, &tool, NULL) < 0)
        return NULL;
    const struct ak_tool_spec *spec = ((const struct ak_tool *)ak_object_body(tool))->spec;
    const struct ak_engine_info *info = ak_engine_info(spec->type);
    const struct ak_operation *found = info ? ak_engine_operation(info, operation) : NULL;
    if (!found || ak_json_parse(found->schema, strlen(found->schema), &schema, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < AK_ARRAY_LEN(names); i++)
        if (ak_json_at(schema, "properties", names[i], NULL))
            return names[i];
    return NULL;
}

int ak_tools_explain(struct ak_tools *self, const struct ak_tools_call *call, json_t **ret,
                     struct ak_error **reterr)
{
    AK_AUTO_OBJECT tool = NULL;
    AK_AUTO(ak_arena) arena = {0};
    struct ak_decision d = {0};
    bool is_session = ak_streq(call->operation, AK_OPERATION_EXEC) ||
                      ak_streq(call->operation, AK_OPERATION_CONNECT) ||
                      ak_streq(call->operation, AK_OPERATION_FORWARD);
    int r = ak__tools_find(self, call->ns, call->tool, &tool, reterr);

    if (r < 0)
        return r;
    const struct ak_tool_spec *spec = ((const struct ak_tool *)ak_object_body(tool))->spec;
    bool is_agent = call->caller.ns != NULL;
    bool read_only = is_session ? ak_policy_session_is_read_only(spec, is_agent, call->read_only)
                                : ak_policy_is_read_only(spec, is_agent, call->read_only);
    ak_arena_init(&arena, 1024, 1u << 20);
    const char *const *broken = NULL;
    r = ak_policy_enforceable(spec, &arena, &broken, reterr);
    if (r >= 0)
        r = decide(call, spec, read_only, &arena, &d, reterr);
    if (r < 0)
        return r;
    if (broken[0]) {
        d.allowed = d.needs_approval = false;
        d.rule = "spec.permissions";
        d.reason = broken[0];
    }
    *ret = json_pack("{s:s, s:b, s:b, s:s, s:b, s:s*, s:s*}", "operation", call->operation,
                     "allowed", d.allowed, "needsApproval", d.needs_approval, "class",
                     ak_statement_class_name(d.class), "readOnly", read_only, "rule", d.rule,
                     "reason", d.reason);
    return *ret ? 0 : ak_error_oom(reterr);
}

/* ---- probe */

int ak_tools_probe(struct ak_tools *self, const char *ns, const char *name, json_t **ret,
                   struct ak_error **reterr)
{
    AK_AUTO_OBJECT tool = NULL;
    AK_AUTO_JSON *patch = NULL;
    char now[AK_RFC3339_SIZE];
    int r = ak__tools_find(self, ns, name, &tool, reterr);

    if (r < 0)
        return r;
    /* The times of checks are whole seconds: from the next one on, no earlier check looks like the answer, and the
     * answer never looks earlier. */
    ak_msec wall = ak_clock_wall(self->clock);
    (void)ak_format_rfc3339(wall - wall % 1000 + 1000, now);
    patch = json_pack("{s:{s:s, s:{s:s}}}", "metadata", "uid", ak_object_meta(tool)->uid,
                      "annotations", AK_TOOLS_PROBE_ANNOTATION, now);
    if (!patch)
        return ak_error_oom(reterr);
    AK_AUTO_PTR(ak_error) err = NULL;
    r = ak_client_merge_patch(self->client, &ak_tool_kind.resource, ns, name, NULL, patch,
                              AK_TOOLS_MANAGER, NULL, &err);
    if (r < 0) {
        r = ak_invoke_error_of_server(&err, r);
        if (reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
    *ret = json_pack("{s:s}", "requestedTime", now);
    return *ret ? 0 : ak_error_oom(reterr);
}

/* ---- the audit log's line for what no bastion saw */

static json_t *refused_record(struct ak_tools *self, const struct ak_tools_call *call,
                              const char *kind, const struct ak_error *err)
{
    AK_AUTO_OBJECT tool = ak_cache_get(self->o.tools, call->ns, call->tool);
    const struct ak_tool *body = tool ? ak_object_body(tool) : NULL;
    const char *type =
        body && body->spec && body->spec->type ? ak_tool_type_to_string(body->spec->type) : NULL;
    AK_AUTO_JSON *caller = ak__tools_caller_json(&call->caller);
    int status = ak_error_http_status(err);
    bool refused =
        status == 400 || status == 403 || status == 404 || status == 413 || status == 428;
    char now[AK_RFC3339_SIZE];

    ak__tools_count(self, type, refused ? "Refused" : "Failed");
    if (!caller)
        return NULL;
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:s*}, s:O, s:s*, s:s, s:i, s:s}", "time",
                     ak_format_rfc3339_micro(ak_clock_wall(self->clock), now), "kind", kind, "tool",
                     "namespace", call->ns, "name", call->tool, "type", type, "caller", caller,
                     "operation", call->operation, "verdict", refused ? "Refused" : "Failed",
                     "code", status, "message", ak_error_message(err));
}

void ak_tools_refused(struct ak_tools *self, const struct ak_tools_call *call, const char *kind,
                      const struct ak_error *err)
{
    AK_AUTO_PTR(ak_error) trouble = NULL;
    AK_AUTO_JSON *record = refused_record(self, call, kind, err);
    int r = record ? ak_audit_add(&self->audit, record, &trouble) : ak_error_oom(&trouble);

    if (r < 0)
        ak_err("tools", "a line of the audit log could not be written",
               AK_STR("namespace", call->ns), AK_STR("name", call->tool), AK_ERR(trouble));
}
