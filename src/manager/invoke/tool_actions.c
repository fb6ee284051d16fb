/* SPDX-License-Identifier: Apache-2.0 */
/* What calls about Tools do, on a lane's thread. */
#include <string.h>

#include <ak/base/text.h>
#include <ak/net/http_tunnel.h>

#include "engines/policy.h"
#include "manager/invoke/call.h"

#define MAX_PATH 32768
#define MAX_WORDS 64 /* of a statement that is a command */
#define OPEN_TIMEOUT AK_SECONDS(30)
#define POD_UID_EXTRA "authentication.kubernetes.io/pod-uid"
#define POD_NAME_EXTRA "authentication.kubernetes.io/pod-name"
#define ACCOUNT "system:serviceaccount:"

static int answer_tree(struct ak_invoke_call *call, int status, const json_t *tree)
{
    call->status = status;
    return ak_json_write(tree, &call->body, &call->err);
}

static struct ak_tools *tools_of(const struct ak_invoke_call *call)
{
    return call->invoke->options.tools;
}

static const char *operation_of(const struct ak_invoke_request *q)
{
    switch (q->route->verb) {
    case AK_INVOKE_EXEC:
        return q->tty ? AK_OPERATION_CONNECT : AK_OPERATION_EXEC;
    case AK_INVOKE_FORWARD:
        return AK_OPERATION_FORWARD;
    default:
        return q->operation;
    }
}

static void fill_call(const struct ak_invoke_call *call, struct ak_tools_call *ret)
{
    const struct ak_invoke_request *q = &call->request;
    const struct ak_meta *agent = call->agent_object ? ak_object_meta(call->agent_object) : NULL;

    *ret = (struct ak_tools_call){
        .ns = q->ns,
        .tool = q->name,
        .caller = {.name = agent ? agent->name : call->who->name,
                   .ns = agent ? agent->namespace_ : NULL,
                   .uid = agent ? agent->uid : NULL,
                   .run = q->run},
        .operation = operation_of(q),
        .arguments = q->arguments,
        .read_only = q->read_only,
        .is_approved = call->is_approved,
        .hold = AK_SECONDS(q->hold),
        .cancel = &call->gone,
    };
}

void ak_invoke_use_refused(struct ak_invoke_call *call)
{
    static const char *const kinds[AK_INVOKE_VERB_MAX] = {
        [AK_INVOKE_OPERATE] = "Operation",
        [AK_INVOKE_SELF_OPERATE] = "Operation",
        [AK_INVOKE_EXEC] = "Exec",
        [AK_INVOKE_FORWARD] = "Forward",
    };
    struct ak_tools_call tool_call;

    fill_call(call, &tool_call);
    if (tool_call.ns && call->result != AK_E_CANCELLED)
        ak_tools_refused(tools_of(call), &tool_call,
                         call->request.tty ? "Connect" : kinds[call->request.route->verb],
                         call->err);
}

/* ---- whose pod is it */

static const char *extra_text(const json_t *extra, const char *name)
{
    const json_t *list = json_object_get(extra, name);

    return json_array_size(list) == 1 ? json_string_value(json_array_get(list, 0)) : NULL;
}

int ak_invoke_find_self(struct ak_invoke_call *call)
{
    const struct ak_identity *who = call->who;
    AK_AUTO_JSON *extra = NULL;
    const char *account = ak_has_prefix(who->name, ACCOUNT) ? who->name + strlen(ACCOUNT) : NULL;
    const char *colon = account ? strchr(account, ':') : NULL;
    char *ns = colon ? ak_arena_strndup(&call->arena, account, (size_t)(colon - account)) : NULL;

    if (who->extra && ak_json_parse(who->extra, strlen(who->extra), &extra, NULL) < 0)
        return ak_error_oom(&call->err);
    const char *name = extra_text(extra, POD_NAME_EXTRA), *uid = extra_text(extra, POD_UID_EXTRA);
    if (ns && name && uid)
        call->agent_object = ak_tools_agent_of_pod(tools_of(call), ns, name, uid);
    if (!call->agent_object)
        return ak_invoke_error(&call->err, 403,
                               "only the pod of an Agent has tools of its own: this is \"%s\"",
                               who->name);
    call->request.ns = ns;
    return 0;
}

int ak_invoke_self_tools(struct ak_invoke_call *call)
{
    AK_AUTO_JSON *list = NULL;
    int r = ak_tools_of_agent(tools_of(call), call->agent_object, &list, &call->err);

    return r < 0 ? r : answer_tree(call, 200, list);
}

/* ---- operations */

int ak_invoke_operate(struct ak_invoke_call *call)
{
    struct ak_tools_call tool_call;
    int r = 0;

    fill_call(call, &tool_call);
    if (call->agent_object)
        r = ak_tools_admit_agent(call->agent_object, &tool_call, &call->err);
    ak_buf_clear(&call->operation_body);
    return r < 0 ? r
                 : ak_tools_prepare(tools_of(call), &tool_call, call->engine_asks, &call->use,
                                    &call->operation_body, &call->err);
}

/* ---- sessions */

static int add_number(struct ak_buf *path, const char *name, int64_t value)
{
    return value ? ak_buf_addf(path, "&%s=%lld", name, (long long)value) : 0;
}

static int write_session_path(const struct ak_invoke_call *call, struct ak_buf *path)
{
    const struct ak_invoke_request *q = &call->request;
    const char *read_only = ak_tools_use_is_read_only(call->use) ? "true" : "false";
    bool exec = q->route->verb == AK_INVOKE_EXEC;
    int r = ak_buf_addf(path, "/v1/%s?readOnly=%s", exec ? "exec" : "forward", read_only);

    if (r >= 0 && q->tty)
        r = ak_buf_adds(path, "&tty=true");
    if (r >= 0)
        r = add_number(path, "columns", q->columns);
    if (r >= 0)
        r = add_number(path, "rows", q->rows);
    for (size_t i = 0; r >= 0 && i < q->args.len; i++) {
        r = ak_buf_adds(path, "&arg=");
        if (r >= 0)
            r = ak_buf_add_url_escaped(path, q->args.items[i]);
    }
    return r;
}

/* An answer that is no upgrade: a Status object, for who asked. */
static int refuse_session(struct ak_invoke_call *call, const struct ak_http_reply *reply)
{
    AK_AUTO_JSON *tree = NULL;
    const char *message = NULL;

    if (reply->body.len && ak_json_parse(reply->body.data, reply->body.len, &tree, NULL) >= 0)
        message = ak_json_text(tree, "message", NULL);
    call->bastion_ends =
        reply->status == 503 && ak_streq(ak_json_text(tree, "reason", NULL), AK_TOOLS_ENDING);
    if (reply->status < 400 || reply->status > 599)
        return ak_invoke_error(&call->err, 502, "the answer to the upgrade is %d", reply->status);
    return ak_invoke_error_later(&call->err, reply->status, reply->retry_after, "%.1024s",
                                 message ? message : "refused without a word");
}

static int open_tunnel(struct ak_invoke_call *call, struct ak_http_client *client, const char *path,
                       const char *const *lines, const struct ak_secret *bearer, ak_msec timeout)
{
    AK_AUTO(ak_http_reply) reply = {.body = {.max = 64u << 10}};
    const struct ak_http_request req = {.method = "GET",
                                        .path = path,
                                        .headers = lines,
                                        .bearer = bearer,
                                        .timeout = timeout,
                                        .cancel = &call->gone};
    int r = ak_http_tunnel_open(client, &req, &call->tunnel, &reply, &call->err);

    if (r == 0)
        return refuse_session(call, &reply);
    return r;
}

/* What the client asked for, and one or two of ours. */
static int gather_lines(const struct ak_invoke_call *call, const char *first, const char *second,
                        const char *ret[12])
{
    size_t n = 0;

    for (size_t i = 0; call->upgrade_lines[i]; i++)
        ret[n++] = call->upgrade_lines[i];
    ret[n++] = first;
    ret[n++] = second;
    ret[n] = NULL;
    return first && second ? 0 : -ENOMEM;
}

static int open_to_bastion(struct ak_invoke_call *call)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH);
    const char *lines[12];
    const char *caller =
        ak_arena_printf(&call->arena, "X-Agentkube-Caller: %s", ak_tools_use_caller(call->use));

    if (write_session_path(call, &path) < 0)
        return ak_invoke_error(&call->err, 413, "the arguments are too long");
    if (gather_lines(call, caller, "Accept: application/json", lines) < 0)
        return ak_error_oom(&call->err);
    return open_tunnel(call, ak_run_target_client(ak_tools_use_target(call->use)), path.data, lines,
                       NULL, OPEN_TIMEOUT);
}

/* A bastion that went between being ready and being asked is waited for once more. */
int ak_invoke_open_session(struct ak_invoke_call *call)
{
    struct ak_tools_call tool_call;
    AK_AUTO_JSON *arguments = json_object();
    int r = arguments ? 0 : ak_error_oom(&call->err);

    fill_call(call, &tool_call);
    for (size_t i = 0; r >= 0 && i < call->request.args.len; i++) {
        json_t *list = json_object_get(arguments, "args");
        if (!list && json_object_set_new(arguments, "args", list = json_array()) < 0)
            return ak_error_oom(&call->err);
        if (json_array_append_new(list, json_string(call->request.args.items[i])) < 0)
            return ak_invoke_error(&call->err, 400, "arg: must be UTF-8");
    }
    if (call->request.route->verb == AK_INVOKE_EXEC && !call->request.tty)
        tool_call.arguments = arguments;
    for (int i = 0; r >= 0 && i < 2; i++) {
        r = ak_tools_open(tools_of(call), &tool_call, &call->use, &call->err);
        if (r >= 0)
            r = open_to_bastion(call);
        if (r > 0)
            return 0;
        bool ends = call->bastion_ends && i == 0;
        if (!call->use || r == AK_E_CANCELLED || (!ends && ak_error_http_status(call->err)))
            return r;
        if (ends)
            ak_tools_use_ended(call->use);
        else
            ak_tools_use_failed(call->use);
        call->use = ak_tools_close(call->use);
        if (i == 0) {
            call->err = ak_error_free(call->err);
            r = 0;
        }
    }
    return ak_invoke_error_later(&call->err, 503, AK_SECONDS(1), "the bastion does not answer: %s",
                                 ak_error_message(call->err));
}

/* ---- another replica's */

static const char *own_path(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;

    return ak_arena_printf(&call->arena, AK_INVOKE_PREFIX "/namespaces/%s/tools/%s/%s", q->ns,
                           q->name, q->route->verb == AK_INVOKE_EXEC ? "exec" : "forward");
}

static int write_query(const struct ak_invoke_call *call, struct ak_buf *out)
{
    const struct ak_invoke_request *q = &call->request;
    int r = ak_buf_addf(out, "X-Agentkube-Query: hold=%lld", (long long)q->hold);

    if (r >= 0 && q->read_only)
        r = ak_buf_adds(out, "&readOnly=true");
    if (r >= 0 && q->tty)
        r = ak_buf_adds(out, "&tty=true");
    if (r >= 0)
        r = add_number(out, "columns", q->columns);
    if (r >= 0)
        r = add_number(out, "rows", q->rows);
    for (size_t i = 0; r >= 0 && i < q->args.len; i++) {
        r = ak_buf_adds(out, "&arg=");
        if (r >= 0)
            r = ak_buf_add_url_escaped(out, q->args.items[i]);
    }
    return r;
}

static int open_to_leader(struct ak_invoke_call *call)
{
    AK_AUTO(ak_buf) query = AK_BUF_INIT(MAX_PATH);
    const char *path = own_path(call), *lines[12];
    ak_msec timeout = OPEN_TIMEOUT + AK_SECONDS(call->request.hold);

    if (write_query(call, &query) < 0)
        return ak_invoke_error(&call->err, 413, "the arguments are too long");
    if (!path || gather_lines(call, query.data, "X-Agentkube-Forwarded: 1", lines) < 0)
        return ak_error_oom(&call->err);
    struct ak_http_client *client = ak_invoke_link_client(call->link);
    int r = open_tunnel(call, client, path, lines, call->token, timeout);
    if (r < 0 && !ak_error_http_status(call->err) && r != AK_E_CANCELLED)
        return ak_invoke_error_later(&call->err, 503, AK_SECONDS(2),
                                     "the leader does not answer: %s", ak_error_message(call->err));
    return AK_MIN(r, 0);
}

void ak_invoke_open_to_leader(struct ak_pool_item *item)
{
    struct ak_invoke_call *call = AK_CONTAINER_OF(item, struct ak_invoke_call, item);

    call->result = open_to_leader(call);
    call->outcome = AK_OUTCOME_UPGRADE;
    ak_invoke_hand_back(call);
}

/* ---- what there is */

int ak_invoke_list_sessions(struct ak_invoke_call *call)
{
    AK_AUTO_JSON *list = NULL;
    int r =
        ak_tools_sessions(tools_of(call), call->request.ns, call->request.name, &list, &call->err);

    return r < 0 ? r : answer_tree(call, 200, list);
}

int ak_invoke_kill_session(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO_JSON *done = json_pack("{s:s, s:s}", "kind", "Status", "status", "Success");
    int r = done ? ak_tools_kill(tools_of(call), q->ns, q->name, q->id, call->who->name, q->reason,
                                 &call->err)
                 : ak_error_oom(&call->err);

    return r < 0 ? r : answer_tree(call, 200, done);
}

int ak_invoke_probe(struct ak_invoke_call *call)
{
    AK_AUTO_JSON *said = NULL;
    int r = ak_tools_probe(tools_of(call), call->request.ns, call->request.name, &said, &call->err);

    return r < 0 ? r : answer_tree(call, 202, said);
}

int ak_invoke_approvals(struct ak_invoke_call *call)
{
    AK_AUTO_JSON *list = NULL;
    int r =
        ak_tools_approvals(tools_of(call), call->request.ns, call->request.name, &list, &call->err);

    return r < 0 ? r : answer_tree(call, 200, list);
}

int ak_invoke_decide(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;
    AK_AUTO_JSON *approval = NULL;
    int r =
        ak_tools_decide(tools_of(call), q->ns, q->name, q->id, q->route->verb == AK_INVOKE_APPROVE,
                        call->who->name, q->reason, &approval, &call->err);

    return r < 0 ? r : answer_tree(call, 200, approval);
}

int ak_invoke_recordings(struct ak_invoke_call *call)
{
    AK_AUTO_JSON *list = NULL;
    int r = ak_tools_recordings(tools_of(call), call->request.ns, call->request.name, &list,
                                &call->err);

    return r < 0 ? r : answer_tree(call, 200, list);
}

int ak_invoke_recording(struct ak_invoke_call *call)
{
    const struct ak_invoke_request *q = &call->request;

    call->content_type = "application/x-asciicast";
    call->status = 200;
    return ak_tools_recording(tools_of(call), q->ns, q->name, q->id, &call->body, &call->err);
}

/* ---- explain */

/* Words between blanks, as a shell without quotes would see them. */
static json_t *split_words(const char *text)
{
    json_t *list = json_array();

    for (size_t i = 0, len; list && *text && i < MAX_WORDS; text += len, i++) {
        text += strspn(text, " \t\r\n");
        len = strcspn(text, " \t\r\n");
        if (len && json_array_append_new(list, json_stringn(text, len)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *method_and_path(const char *text)
{
    size_t method = strcspn(text, " "), path = strspn(text + method, " ");

    return json_pack("{s:s%, s:s}", "method", text, method, "path",
                     text[method] ? text + method + path : "/");
}

/* The arguments that a statement stands for; NULL: it is not UTF-8. */
static json_t *arguments_of_statement(const char *main_name, const char *statement)
{
    if (ak_streq(main_name, "args"))
        return json_pack("{s:o}", "args", split_words(statement));
    return ak_streq(main_name, "method") ? method_and_path(statement)
                                         : json_pack("{s:s}", main_name, statement);
}

int ak_invoke_explain(struct ak_invoke_call *call)
{
    struct ak_invoke_request *q = &call->request;
    const char *main_name = NULL;
    struct ak_tools_call tool_call;
    AK_AUTO_JSON *said = NULL;

    if (q->statement)
        main_name = ak_tools_main_argument(tools_of(call), q->ns, q->name, q->operation);
    if (main_name) {
        q->arguments = arguments_of_statement(main_name, q->statement);
        if (!q->arguments)
            return ak_invoke_error(&call->err, 400, "statement: must be UTF-8");
    }
    fill_call(call, &tool_call);
    int r = ak_tools_explain(tools_of(call), &tool_call, &said, &call->err);
    if (r >= 0 && q->statement && !main_name) /* the Tool and the operation are there */
        return ak_invoke_error(&call->err, 400,
                               "statement: this operation has no text of its own, give arguments");
    return r < 0 ? r : answer_tree(call, 200, said);
}
