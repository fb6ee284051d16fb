/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a bastion that block: what it has, what is to end. */
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/kube/condition.h>

#include "manager/invoke/answer.h"
#include "manager/kinds.h"
#include "manager/tools/tools_internal.h"

#define ASK_TIMEOUT AK_SECONDS(10)
#define END_TIMEOUT AK_SECONDS(2)
#define END_WAIT AK_SECONDS(5)
#define MAX_REQUEST (64u << 10)
#define MAX_STATE (4u << 20)
#define MAX_MESSAGE 1024

int ak__tools_ask(struct ak_tools *self, struct ak_run_target *target, const char *method,
                  const char *path, const json_t *body, ak_msec timeout, int *ret_status,
                  struct ak_buf *ret_body, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(MAX_REQUEST);
    AK_AUTO(ak_http_reply) reply = {0};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = body ? ak_json_write(body, &text, reterr) : 0;

    if (r < 0)
        return r;
    const struct ak_http_request req = {.method = method,
                                        .path = path,
                                        .content_type = body ? "application/json" : NULL,
                                        .body = text.data,
                                        .body_len = text.len,
                                        .timeout = timeout,
                                        .cancel = &self->stop};
    r = ak_http_do(ak_run_target_client(target), &req, &reply, &err);
    if (r == AK_E_CANCELLED)
        return ak_invoke_error_later(reterr, 503, AK_SECONDS(1), "this replica is stopping");
    if (r < 0) {
        ak_runs_target_failed(self->o.runs, target);
        return ak_invoke_error_later(reterr, 503, AK_SECONDS(1), "the bastion does not answer: %s",
                                     ak_error_message(err));
    }
    *ret_status = reply.status;
    if (ret_body && ak_buf_add(ret_body, reply.body.data, reply.body.len) < 0)
        return ak_invoke_error(reterr, 502, "the bastion's answer is too long");
    return 0;
}

int ak__tools_bastion_error(int status, const struct ak_buf *body, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    const char *message = NULL;

    if (body->len && ak_json_parse(body->data, body->len, &tree, NULL) >= 0)
        message = ak_json_text(tree, "message", NULL);
    if (status < 400 || status > 599)
        return ak_invoke_error(reterr, 502, "the bastion answers %d", status);
    return ak_invoke_error(reterr, status, "%.*s", MAX_MESSAGE,
                           message ? message : "the bastion refuses it without a word");
}

/* ---- who it is, on any replica */

static bool is_ready(const struct ak_object *pod, const char *tool_uid)
{
    const struct ak_pod *body = ak_object_body(pod);
    const struct ak_meta *m = ak_object_meta(pod);

    return ak_meta_is_owned_by(m, tool_uid) && !m->deleting &&
           ak_condition_is_true(body->status->conditions.items, body->status->conditions.len,
                                "Ready");
}

static int no_bastion(const char *ns, const char *name, struct ak_error **reterr)
{
    return ak_invoke_error_later(reterr, 503, AK_SECONDS(1), "tool \"%s/%s\" has no bastion now",
                                 ns, name);
}

int ak__tools_target(struct ak_tools *self, const char *ns, const char *name,
                     struct ak_run_target **ret, struct ak_error **reterr)
{
    AK_AUTO_OBJECT tool = NULL;
    AK_AUTO_OBJECT pod = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    char pod_name[AK_KEY_NAME_SIZE + 16];
    int r = ak__tools_find(self, ns, name, &tool, reterr);

    if (r < 0)
        return r;
    const struct ak_tool *body = ak_object_body(tool);
    const struct ak_tool_bastion *said = body->status ? body->status->bastion : NULL;
    if (said && said->pod_name)
        (void)snprintf(pod_name, sizeof(pod_name), "%s", said->pod_name);
    else
        (void)snprintf(pod_name, sizeof(pod_name), "%s" AK_TOOLS_BASTION_SUFFIX, name);
    pod = ak_cache_get(self->o.pods, ns, pod_name);
    if (!pod || !is_ready(pod, ak_object_meta(tool)->uid))
        return no_bastion(ns, name, reterr);
    r = ak_runs_prove(self->o.runs, ns, pod_name, ak_object_meta(pod)->uid, ret, &err);
    if (r >= 0)
        return 0;
    if (r == AK_E_NOT_FOUND)
        return no_bastion(ns, name, reterr);
    return ak_invoke_error_later(reterr, 503, AK_SECONDS(1),
                                 "the bastion of tool \"%s/%s\" does not answer: %s", ns, name,
                                 ak_error_message(err));
}

/* ---- sessions */

static int read_state(struct ak_tools *self, struct ak_run_target *target, json_t **ret,
                      struct ak_error **reterr)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(MAX_STATE);
    AK_AUTO_PTR(ak_error) err = NULL;
    int status = 0;
    int r =
        ak__tools_ask(self, target, "GET", "/v1/state", NULL, ASK_TIMEOUT, &status, &body, reterr);

    if (r < 0)
        return r;
    if (status != 200)
        return ak__tools_bastion_error(status, &body, reterr);
    if (ak_json_parse(ak_buf_text(&body), body.len, ret, &err) < 0)
        return ak_invoke_error(reterr, 502, "the bastion's answer: %s", ak_error_message(err));
    return 0;
}

int ak_tools_sessions(struct ak_tools *self, const char *ns, const char *name, json_t **ret,
                      struct ak_error **reterr)
{
    AK_AUTO_TARGET target = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *state = NULL;
    json_t *list;
    int r = ak__tools_target(self, ns, name, &target, &err);

    if (r >= 0)
        r = read_state(self, target, &state, &err);
    if (r < 0 && ak_error_http_status(err) != 503) {
        if (reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
    list = json_object_get(state, "sessions");
    *ret = json_is_array(list) ? json_pack("{s:O}", "items", list) : json_pack("{s:[]}", "items");
    return *ret ? 0 : ak_error_oom(reterr);
}

int ak_tools_kill(struct ak_tools *self, const char *ns, const char *name, const char *session,
                  const char *by, const char *why, struct ak_error **reterr)
{
    AK_AUTO_TARGET target = NULL;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(256);
    AK_AUTO(ak_buf) said = AK_BUF_INIT(MAX_REQUEST);
    AK_AUTO(ak_buf) reason = AK_BUF_INIT(2048);
    AK_AUTO_JSON *body = NULL;
    int status = 0;
    int r = ak__tools_target(self, ns, name, &target, reterr);

    if (r < 0)
        return r;
    if (ak_buf_addf(&path, "/v1/sessions/%s/kill", session) < 0 ||
        ak_buf_addf(&reason, "ended by %s%s%s", by, ak_is_empty(why) ? "" : ": ", why ? why : "") <
            0)
        return ak_invoke_error(reterr, 400, "the session's id, or the user's name, is too long");
    body = json_pack("{s:s}", "reason", ak_buf_text(&reason));
    if (!body)
        return ak_error_oom(reterr);
    r = ak__tools_ask(self, target, "POST", path.data, body, ASK_TIMEOUT, &status, &said, reterr);
    if (r < 0)
        return r;
    return status / 100 == 2 ? 0 : ak__tools_bastion_error(status, &said, reterr);
}

/* ---- the end of all of them */

static bool has_told_all(const struct ak_tool_entry *e)
{
    return !e->follow || !e->synced ||
           (!e->sessions && e->audit_acked >= e->audit_head && !e->recordings_left);
}

static void await_end(struct ak_tools *self, struct ak_tool_entry *e, const char *pod_uid,
                      ak_msec deadline) AK_REQUIRES(self->lock)
{
    while (!has_told_all(e) && ak_streq(e->pod_uid, pod_uid) && ak_now() < deadline &&
           !self->stopping)
        ak_cond_wait_until(&self->changed, &self->lock, deadline);
}

static int tell_end(struct ak_tools *self, const char *ns, const char *pod_name,
                    const char *pod_uid, const char *reason, struct ak_error **reterr)
{
    AK_AUTO_TARGET target = NULL;
    AK_AUTO_JSON *body = json_pack("{s:s}", "reason", reason);
    AK_AUTO(ak_buf) said = AK_BUF_INIT(MAX_REQUEST);
    int status = 0;

    if (!body)
        return ak_error_oom(reterr);
    int r = ak_runs_prove(self->o.runs, ns, pod_name, pod_uid, &target, reterr);
    if (r >= 0)
        r = ak__tools_ask(self, target, "POST", "/v1/end", body, END_TIMEOUT, &status, &said,
                          reterr);
    if (r < 0)
        return r;
    return status / 100 == 2 ? 0 : ak__tools_bastion_error(status, &said, reterr);
}

int ak_tools_end(struct ak_tools *self, const char *ns, const char *name, const char *reason,
                 struct ak_error **reterr)
{
    AK_AUTO_TEXT char *pod_name = NULL, *pod_uid = NULL;
    ak_msec deadline = ak_now() + END_WAIT;
    int r = 0;

    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = self->stopping ? NULL : ak__tools_hold(self, ns, name);
    if (e && e->pod_uid) {
        pod_name = ak_strdup(e->pod_name);
        pod_uid = ak_strdup(e->pod_uid);
        char *done = ak_strdup(e->pod_uid);
        r = pod_name && pod_uid && done ? 1 : -ENOMEM;
        if (r > 0) {
            ak_free(e->done_pod);
            e->done_pod = AK_TAKE(done);
            e->ending = true;
        }
        ak_free(done);
    }
    ak_mutex_unlock(&self->lock);
    if (r > 0)
        r = tell_end(self, ns, pod_name, pod_uid, reason, reterr);
    else if (r < 0)
        (void)ak_error_oom(reterr);
    ak_mutex_lock(&self->lock);
    if (e && r >= 0 && pod_uid)
        await_end(self, e, pod_uid, deadline);
    if (e)
        ak__tools_release(self, e);
    ak_mutex_unlock(&self->lock);
    return AK_MIN(r, 0);
}
