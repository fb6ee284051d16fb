/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>
#include <ak/net/http_upgrade.h>

#include "manager/runs/runs.h"
#include "manager/tools/tools.h"

struct stage_tools stage_tools;
static struct ak_http_upgraded *session;

/* ---- the bastion */

static bool refuse_at_the_end(struct ak_http_exchange *ex)
{
    static const char text[] = "{\"message\":\"the bastion ends: idle\",\"reason\":\"Ending\"}";

    if (!stage_tools.ends)
        return false;
    stage_tools.ends--;
    ak_http_reply_text(ex, 503, "application/json", text, strlen(text), NULL);
    return true;
}

void stage_on_operation(struct ak_http_exchange *ex, void *user)
{
    size_t len = 0;
    const char *body = ak_http_body(ex, &len);
    bool approved = memmem(body, len, "\"approved\":true", 15);
    (void)user;

    atomic_fetch_add(&stage_tools.operations, 1);
    if (stage_tools.bastion_status < 0) {
        ak_http_reply_begin(ex, 200, "application/json");
        (void)ak_http_reply_chunk(ex, "{\"half", 6);
        ak_http_reply_abort(ex);
        return;
    }
    if (stage_tools.asks && !approved) {
        ak_http_reply_text(ex, 428, "application/json", "{\"message\":\"write\"}", 19, NULL);
        return;
    }
    if (refuse_at_the_end(ex))
        return;
    if (stage_tools.bastion_status != 200) {
        static const char text[] =
            "{\"message\":\"the server says no\",\"details\":{\"code\":\"42501\"}}";
        ak_http_reply_text(ex, stage_tools.bastion_status, "application/json", text, strlen(text),
                           NULL);
        return;
    }
    AK_AUTO_TEXT char *text = ak_calloc(1, stage_tools.result + 1);
    memset(text, 'r', stage_tools.result);
    ak_http_reply_text(ex, 200, "application/json", text, stage_tools.result, NULL);
}

static size_t on_input(const char *data, size_t len, void *user)
{
    (void)user;
    if (data[0] == '\x88') {
        ak_http_upgraded_close(AK_TAKE(session), AK_SECONDS(1));
        atomic_store(&stage_tools.connected, false);
        return len;
    }
    if (ak_http_upgraded_waiting(session) > (256u << 10))
        return 0;
    assert_true(ak_http_upgraded_write(session, data, len) > 0);
    return len;
}

static void on_drained(void *user)
{
    (void)user;
    ak_http_upgraded_resume(session);
}

static void on_closed(void *user)
{
    (void)user;
    session = NULL;
    atomic_store(&stage_tools.connected, false);
}

static int note_header(const char *name, const char *value, void *user)
{
    size_t len = strlen(stage->last_headers);

    (void)user;
    (void)snprintf(stage->last_headers + len, sizeof(stage->last_headers) - len, "%s: %s\n", name,
                   value);
    return 0;
}

void stage_on_session(struct ak_http_exchange *ex, void *user)
{
    static const struct ak_http_upgraded_ops ops = {
        .input = on_input, .drained = on_drained, .closed = on_closed, .low_water = 64u << 10};
    static const char *const lines[] = {"Sec-WebSocket-Accept: yes",
                                        "Sec-WebSocket-Protocol: v5.channel.k8s.io",
                                        "X-Secret: inside", NULL};
    (void)user;

    ak_mutex_lock(&stage->lock);
    stage->last_headers[0] = 0;
    (void)ak_http_each_header(ex, note_header, NULL);
    ak_mutex_unlock(&stage->lock);
    (void)snprintf(stage_tools.session_query, sizeof(stage_tools.session_query), "%s?%s",
                   ak_http_path(ex), ak_http_query(ex));
    if (refuse_at_the_end(ex))
        return;
    if (stage_tools.refuses) {
        static const char text[] = "{\"message\":\"too many sessions\"}";
        ak_http_reply_text(ex, 429, "application/json", text, strlen(text), NULL);
        return;
    }
    assert_int_equal(ak_http_upgrade(ex, "websocket", lines, &ops, NULL, &session), 0);
    atomic_store(&stage_tools.connected, true);
    assert_true(ak_http_upgraded_write(session, "\x82\x02hi", 4) > 0);
}

struct words {
    const char *bytes;
    size_t len;
};

static void say(void *user)
{
    const struct words *w = user;

    assert_true(ak_http_upgraded_write(session, w->bytes, w->len) > 0);
}

void stage_say(const char *bytes, size_t len)
{
    struct words w = {bytes, len};

    rig_loop_call(&stage->pod.loop, say, &w);
}

/* ---- tools.h */

struct ak_tools_use {
    bool is_approved;
};

static int settle(const struct ak_tools_call *call, struct ak_tools_use **ret,
                  struct ak_error **reterr)
{
    (void)snprintf(stage_tools.operation, sizeof(stage_tools.operation), "%s", call->operation);
    (void)snprintf(stage_tools.caller, sizeof(stage_tools.caller), "%s", call->caller.name);
    (void)snprintf(stage_tools.caller_ns, sizeof(stage_tools.caller_ns), "%s",
                   call->caller.ns ? call->caller.ns : "-");
    stage_tools.read_only = call->read_only;
    stage_tools.hold = call->hold;
    stage_tools.is_approved = call->is_approved;
    if (stage_tools.waits) {
        atomic_fetch_add(&stage_tools.waiting, 1);
        if (ak_cancel_sleep(call->cancel, AK_SECONDS(20)))
            atomic_fetch_add(&stage_tools.cancelled, 1);
        return ak_error_set(reterr, AK_E_CANCELLED, "the asker has gone");
    }
    if (stage_tools.fail_with) {
        int r = ak_error_set(reterr, AK_E_FORBIDDEN, "refused by spec.permissions");
        ak_error_set_http(*reterr, stage_tools.fail_with, "", 0);
        return r;
    }
    *ret = ak_new0(struct ak_tools_use);
    return 0;
}

int ak_tools_prepare(struct ak_tools *self, const struct ak_tools_call *call, bool engine_asks,
                     struct ak_tools_use **ret, struct ak_buf *body, struct ak_error **reterr)
{
    (void)self;
    if (engine_asks && stage_tools.waits_when_asked)
        stage_tools.waits = true;
    int r = settle(call, ret, reterr);

    stage_tools.engine_asked = engine_asks;
    if (r < 0)
        return r;
    atomic_fetch_add(&stage_tools.prepared, 1);
    (*ret)->is_approved = engine_asks;
    return ak_buf_addf(body, "{\"approved\":%s}", engine_asks ? "true" : "false");
}

int ak_tools_open(struct ak_tools *self, const struct ak_tools_call *call,
                  struct ak_tools_use **ret, struct ak_error **reterr)
{
    (void)self;
    int r = settle(call, ret, reterr);

    if (r >= 0)
        atomic_fetch_add(&stage_tools.opened, 1);
    return r;
}

struct ak_tools_use *ak_tools_close(struct ak_tools_use *use)
{
    if (use)
        atomic_fetch_add(&stage_tools.closed, 1);
    ak_free(use);
    return NULL;
}

struct ak_run_target *ak_tools_use_target(struct ak_tools_use *use)
{
    (void)use;
    return (struct ak_run_target *)stage;
}

void ak_tools_use_failed(struct ak_tools_use *use)
{
    (void)use;
    atomic_fetch_add(&stage_tools.failed, 1);
}

void ak_tools_use_ended(struct ak_tools_use *use)
{
    (void)use;
    atomic_fetch_add(&stage_tools.ended, 1);
}

bool ak_tools_use_is_approved(const struct ak_tools_use *use)
{
    return use->is_approved;
}

const char *ak_tools_use_caller(const struct ak_tools_use *use)
{
    (void)use;
    return "{\"kind\":\"Person\"}";
}

bool ak_tools_use_is_read_only(const struct ak_tools_use *use)
{
    (void)use;
    return true;
}

ak_msec ak_tools_use_timeout(const struct ak_tools_use *use)
{
    (void)use;
    return AK_SECONDS(20);
}

int ak_tools_admit_agent(const struct ak_object *agent, struct ak_tools_call *call,
                         struct ak_error **reterr)
{
    (void)agent;
    if (ak_streq(call->tool, "given"))
        return 0;
    int r = ak_error_set(reterr, AK_E_FORBIDDEN, "this agent has no tool \"%s\"", call->tool);
    ak_error_set_http(*reterr, 403, "Forbidden", 0);
    return r;
}

const struct ak_object *ak_tools_agent_of_pod(struct ak_tools *self, const char *ns,
                                              const char *pod, const char *pod_uid)
{
    static const struct ak_type type = {.name = "Nothing"};
    static const struct ak_kind kind = {
        .resource = {.group = "agentkube.io", .version = "v1", .kind = "Agent", .plural = "agents"},
        .type = &type};
    AK_AUTO_JSON *tree =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "apiVersion", "agentkube.io/v1", "kind", "Agent",
                  "metadata", "name", "worker", "namespace", ns, "uid", "agent-uid");
    const struct ak_object *agent = NULL;
    (void)self;

    assert_string_equal(pod, "a");
    assert_string_equal(pod_uid, "pod-uid");
    if (!stage_tools.no_agent)
        assert_int_equal(ak_object_decode(&kind, tree, "m", &agent, NULL), 0);
    return agent;
}

int ak_tools_of_agent(struct ak_tools *self, const struct ak_object *agent, json_t **ret,
                      struct ak_error **reterr)
{
    (void)self, (void)reterr;
    *ret = json_pack("{s:[{s:s}]}", "items", "tool", ak_object_meta(agent)->name);
    return 0;
}

static int answer(json_t **ret, const char *what)
{
    *ret = json_pack("{s:[{s:s}]}", "items", "what", what);
    return 0;
}

int ak_tools_sessions(struct ak_tools *self, const char *ns, const char *tool, json_t **ret,
                      struct ak_error **reterr)
{
    (void)self, (void)ns, (void)tool, (void)reterr;
    return answer(ret, "sessions");
}

int ak_tools_kill(struct ak_tools *self, const char *ns, const char *tool, const char *id,
                  const char *by, const char *reason, struct ak_error **reterr)
{
    (void)self, (void)ns, (void)tool, (void)reterr;
    (void)snprintf(stage_tools.reason, sizeof(stage_tools.reason), "%s %s %s", id, by,
                   reason ? reason : "-");
    return 0;
}

int ak_tools_probe(struct ak_tools *self, const char *ns, const char *tool, json_t **ret,
                   struct ak_error **reterr)
{
    (void)self, (void)ns, (void)tool, (void)reterr;
    return answer(ret, "probe");
}

const char *ak_tools_main_argument(struct ak_tools *self, const char *ns, const char *tool,
                                   const char *operation)
{
    (void)self, (void)ns, (void)tool;
    if (ak_streq(operation, "query"))
        return "sql";
    if (ak_streq(operation, "command"))
        return "args";
    return ak_streq(operation, "http_request") ? "method" : NULL;
}

int ak_tools_explain(struct ak_tools *self, const struct ak_tools_call *call, json_t **ret,
                     struct ak_error **reterr)
{
    (void)self, (void)reterr;
    *ret = json_pack("{s:s, s:O*}", "operation", call->operation, "arguments", call->arguments);
    return 0;
}

int ak_tools_approvals(struct ak_tools *self, const char *ns, const char *tool, json_t **ret,
                       struct ak_error **reterr)
{
    (void)self, (void)ns, (void)tool, (void)reterr;
    return answer(ret, "approvals");
}

int ak_tools_decide(struct ak_tools *self, const char *ns, const char *tool, const char *id,
                    bool approve, const char *by, const char *reason, json_t **ret,
                    struct ak_error **reterr)
{
    (void)self, (void)ns, (void)tool, (void)reterr;
    *ret = json_pack("{s:s, s:b, s:s, s:s*}", "id", id, "approve", approve, "by", by, "reason",
                     reason);
    return 0;
}

int ak_tools_recordings(struct ak_tools *self, const char *ns, const char *tool, json_t **ret,
                        struct ak_error **reterr)
{
    (void)self, (void)ns, (void)tool, (void)reterr;
    return answer(ret, "recordings");
}

int ak_tools_recording(struct ak_tools *self, const char *ns, const char *tool, const char *id,
                       struct ak_buf *out, struct ak_error **reterr)
{
    (void)self, (void)ns, (void)tool, (void)reterr;
    return ak_buf_addf(out, "{\"version\": 2}\n[0.1, \"o\", \"%s\"]\n", id);
}

void ak_tools_refused(struct ak_tools *self, const struct ak_tools_call *call, const char *kind,
                      const struct ak_error *err)
{
    (void)self;
    atomic_fetch_add(&stage_tools.refused, 1);
    (void)snprintf(stage_tools.refusal, sizeof(stage_tools.refusal), "%s %s %d", kind,
                   call->operation ? call->operation : "-", ak_error_http_status(err));
}
