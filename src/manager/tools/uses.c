/* SPDX-License-Identifier: Apache-2.0 */
/* Who wants a bastion: counted, made to wait until there is one, and let go. */
#include "manager/tools/uses.h"

#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/kube/condition.h>

#include "manager/invoke/answer.h"

#define PROVE_PAUSE 200 /* ms between attempts to talk to a bastion that is ready */

/* ---- counting */

static struct agent_calls *find_agent(struct ak_tools *self, const char *uid)
    AK_REQUIRES(self->lock)
{
    struct agent_calls *calls = ak_map_get(&self->agents, uid);

    if (calls)
        return calls;
    calls = ak_new0(struct agent_calls);
    if (!calls)
        return NULL;
    memcpy(calls->uid, uid, AK_MIN(strlen(uid), sizeof(calls->uid) - 1));
    if (ak_map_put(&self->agents, calls->uid, calls, NULL) < 0) {
        ak_free(calls);
        return NULL;
    }
    return calls;
}

static int count_agent(struct ak_tools *self, struct ak_tools_use *use, const char *uid,
                       struct ak_error **reterr) AK_REQUIRES(self->lock)
{
    struct agent_calls *calls = find_agent(self, uid);

    if (!calls)
        return ak_error_oom(reterr);
    if (calls->n >= AK_TOOLS_MAX_CALLS_OF_AGENT)
        return ak_invoke_error_later(reterr, 429, AK_SECONDS(1),
                                     "this agent has %d calls of tools under way, which is all it "
                                     "may: wait for one of them",
                                     AK_TOOLS_MAX_CALLS_OF_AGENT);
    calls->n++;
    use->agent = calls;
    return 0;
}

static int count_tool(struct ak_tools *self, struct ak_tools_use *use,
                      const struct ak_tools_call *call, struct ak_error **reterr)
    AK_REQUIRES(self->lock)
{
    struct ak_tool_entry *e;

    if (self->stopping)
        return ak_invoke_error_later(reterr, 503, AK_SECONDS(1), "this replica is stopping");
    e = ak__tools_hold(self, call->ns, call->tool);
    if (!e)
        return self->entries.len >= AK_TOOLS_MAX_TOOLS
                   ? ak_invoke_error_later(reterr, 429, AK_SECONDS(5), "too many tools are in use")
                   : ak_error_oom(reterr);
    if (e->calls >= AK_TOOLS_MAX_CALLS_OF_TOOL) {
        ak__tools_release(self, e);
        return ak_invoke_error_later(reterr, 429, AK_SECONDS(1),
                                     "tool \"%s/%s\" has %d calls under way, which is all it may",
                                     call->ns, call->tool, AK_TOOLS_MAX_CALLS_OF_TOOL);
    }
    e->calls++;
    use->entry = e;
    return 0;
}

static int write_caller(const struct ak_tools_caller *caller, struct ak_tools_use *use,
                        struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = ak__tools_caller_json(caller);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(8u << 10);
    int r = tree ? ak_json_write(tree, &text, reterr) : ak_error_oom(reterr);

    if (r < 0)
        return r;
    use->caller = ak_buf_take(&text);
    return use->caller ? 0 : ak_error_oom(reterr);
}

json_t *ak__tools_caller_json(const struct ak_tools_caller *caller)
{
    json_t *tree =
        json_pack("{s:s, s:s}", "kind", caller->ns ? "Agent" : "Person", "name", caller->name);

    if (tree && caller->ns && json_object_set_new(tree, "namespace", json_string(caller->ns)) < 0)
        goto fail;
    if (tree && caller->run && json_object_set_new(tree, "run", json_string(caller->run)) < 0)
        goto fail;
    return tree;
fail:
    json_decref(tree);
    return NULL;
}

int ak__tools_use_new(struct ak_tools *self, const struct ak_tools_call *call,
                      const struct ak_object *tool, struct ak_tools_use **ret,
                      struct ak_error **reterr)
{
    struct ak_tools_use *use = ak_new0(struct ak_tools_use);

    if (!use)
        return ak_error_oom(reterr);
    use->tools = self;
    use->tool = ak_object_ref(tool);
    int r = write_caller(&call->caller, use, reterr);
    ak_mutex_lock(&self->lock);
    if (r >= 0)
        r = count_tool(self, use, call, reterr);
    if (r >= 0 && call->caller.uid)
        r = count_agent(self, use, call->caller.uid, reterr);
    ak_mutex_unlock(&self->lock);
    if (r < 0) {
        (void)ak_tools_close(use);
        return r;
    }
    *ret = use;
    return 0;
}

struct ak_tools_use *ak_tools_close(struct ak_tools_use *use)
{
    if (!use)
        return NULL;
    struct ak_tools *self = use->tools;
    ak_mutex_lock(&self->lock);
    if (use->agent && --use->agent->n == 0) {
        (void)ak_map_remove(&self->agents, use->agent->uid);
        ak_free(use->agent);
    }
    if (use->entry) {
        use->entry->calls--;
        ak__tools_release(self, use->entry);
    }
    ak_mutex_unlock(&self->lock);
    (void)ak_run_target_unref(use->target);
    (void)ak_object_unref(use->tool);
    ak_free(use->caller);
    ak_free(use->pod_uid);
    ak_free(use);
    return NULL;
}

struct ak_run_target *ak_tools_use_target(struct ak_tools_use *use)
{
    return use->target;
}

void ak_tools_use_failed(struct ak_tools_use *use)
{
    ak_runs_target_failed(use->tools->o.runs, use->target);
}

void ak_tools_use_ended(struct ak_tools_use *use)
{
    struct ak_tool_entry *e = use->entry;

    ak_mutex_lock(&use->tools->lock);
    if (use->pod_uid && ak_streq(e->pod_uid, use->pod_uid)) {
        ak_free(e->done_pod);
        e->done_pod = AK_TAKE(use->pod_uid);
        e->ending = true; /* what it has still to say is listened to */
    }
    ak_mutex_unlock(&use->tools->lock);
}

bool ak_tools_use_is_approved(const struct ak_tools_use *use)
{
    return use->is_approved;
}

const char *ak_tools_use_caller(const struct ak_tools_use *use)
{
    return use->caller;
}

bool ak_tools_use_is_read_only(const struct ak_tools_use *use)
{
    return use->read_only;
}

ak_msec ak_tools_use_timeout(const struct ak_tools_use *use)
{
    return use->timeout;
}

/* ---- waiting */

/* A Tool that is not ready, for a reason that will not go away by itself in a moment. */
static int check_ready(struct ak_tools *self, const struct ak_tools_call *call, bool has_bastion,
                       struct ak_error **reterr)
{
    static const char *const passing[] = {"NotProbed", "Probing", "Provisioning", "Pending",
                                          "BastionStarting"};
    AK_AUTO_OBJECT tool = NULL;
    int r = ak__tools_find(self, call->ns, call->tool, &tool, reterr);

    if (r < 0)
        return r;
    const struct ak_tool *body = ak_object_body(tool);
    const struct ak_tool_status *status = body->status;
    const struct ak_condition *ready =
        status ? ak_condition_find(status->conditions.items, status->conditions.len, "Ready")
               : NULL;
    if (!ready || !ak_streq(ready->status, "False") ||
        ready->observed_generation != ak_object_meta(tool)->generation)
        return 0;
    for (size_t i = 0; i < AK_ARRAY_LEN(passing); i++)
        if (ak_streq(ready->reason, passing[i]))
            return 0;
    if (has_bastion && ak_streq(ready->reason, "ProbeFailed"))
        return 0; /* a system that was away for a moment: the bastion itself says whether it is back */
    return ak_invoke_error_later(reterr, 503, AK_SECONDS(5), "tool \"%s/%s\" is not ready (%s): %s",
                                 call->ns, call->tool, ready->reason ? ready->reason : "unknown",
                                 ready->message ? ready->message : "");
}

static int check_waiting(struct ak_tools *self, const struct ak_tools_call *call, ak_msec deadline,
                         struct ak_error **reterr)
{
    if (ak_cancel_is_set(&self->stop))
        return ak_invoke_error_later(reterr, 503, AK_SECONDS(1), "this replica is stopping");
    if (call->cancel && ak_cancel_is_set(call->cancel))
        return ak_error_set(reterr, AK_E_CANCELLED, "who asked has gone");
    if (!ak__tools_may_write(self))
        return ak_invoke_error_later(reterr, 503, AK_SECONDS(1),
                                     "the leader is changing: this replica is not it any more");
    if (ak_now() < deadline)
        return 0;
    return ak_invoke_error_later(reterr, 504, AK_SECONDS(5),
                                 "the bastion of tool \"%s/%s\" did not come up in %lld s: see its "
                                 "status and its pod",
                                 call->ns, call->tool, (long long)(call->hold / 1000));
}

static bool has_pod(const struct ak_tool_entry *e)
{
    return e->pod_uid && !ak_streq(e->pod_uid, e->done_pod);
}

/* Until there is a pod: its name and uid, copies. */
static int await_pod(struct ak_tools *self, struct ak_tools_use *use,
                     const struct ak_tools_call *call, ak_msec deadline, char **ret_name,
                     char **ret_uid, struct ak_error **reterr)
{
    struct ak_tool_entry *e = use->entry;
    bool waits = false;
    int r = 0;

    for (;;) {
        ak_mutex_lock(&self->lock);
        bool there = has_pod(e);
        if (there) {
            *ret_name = ak_strdup(e->pod_name);
            *ret_uid = ak_strdup(e->pod_uid);
        } else if (!waits) {
            e->waiting++;
            waits = true;
            ak_mutex_unlock(&self->lock);
            ak__tools_wake(self, call->ns, call->tool);
            ak_mutex_lock(&self->lock);
        }
        if (!has_pod(e) && !there)
            ak_cond_wait_until(&self->changed, &self->lock,
                               AK_MIN(deadline, ak_now() + AK_TOOLS_SLICE));
        ak_mutex_unlock(&self->lock);
        r = there ? 0 : check_waiting(self, call, deadline, reterr);
        if (r >= 0)
            r = check_ready(self, call, there, reterr);
        if (there || r < 0)
            break;
    }
    ak_mutex_lock(&self->lock);
    e->waiting -= waits;
    ak_mutex_unlock(&self->lock);
    if (r >= 0 && (!*ret_name || !*ret_uid))
        r = ak_error_oom(reterr);
    return r;
}

/* The pod that was there is gone, or answers as another one. */
static void give_up_pod(struct ak_tools *self, struct ak_tool_entry *e, char **uid)
{
    ak_mutex_lock(&self->lock);
    ak_free(e->done_pod);
    e->done_pod = AK_TAKE(*uid);
    ak_mutex_unlock(&self->lock);
}

static int reach(struct ak_tools *self, struct ak_tools_use *use, const struct ak_tools_call *call,
                 ak_msec deadline, struct ak_error **reterr)
{
    const struct ak_cancel *cancel = call->cancel ? call->cancel : &self->stop;

    for (;;) {
        AK_AUTO_TEXT char *name = NULL, *uid = NULL;
        AK_AUTO_PTR(ak_error) err = NULL;
        int r = await_pod(self, use, call, deadline, &name, &uid, reterr);
        if (r < 0)
            return r;
        r = ak_runs_prove(self->o.runs, call->ns, name, uid, &use->target, &err);
        if (r >= 0) {
            use->pod_uid = AK_TAKE(uid);
            return 0;
        }
        ak_debug("tools", "the bastion is not reached", AK_STR("namespace", call->ns),
                 AK_STR("name", call->tool), AK_ERR(err));
        if (r == AK_E_NOT_FOUND)
            give_up_pod(self, use->entry, &uid);
        else
            (void)ak_cancel_sleep(cancel, PROVE_PAUSE);
        if (check_waiting(self, call, deadline, NULL) < 0)
            return ak_now() >= deadline
                       ? ak_invoke_error_later(reterr, 503, AK_SECONDS(1),
                                               "the bastion of tool \"%s/%s\" does not answer: %s",
                                               call->ns, call->tool, ak_error_message(err))
                       : check_waiting(self, call, deadline, reterr);
    }
}

int ak__tools_await_bastion(struct ak_tools *self, struct ak_tools_use *use,
                            const struct ak_tools_call *call, struct ak_error **reterr)
{
    ak_msec began = ak_now();

    ak_mutex_lock(&self->lock);
    bool cold = !has_pod(use->entry);
    ak_mutex_unlock(&self->lock);
    int r = reach(self, use, call, began + call->hold, reterr);
    if (r >= 0 && cold) {
        ak_mutex_lock(&self->lock);
        ak__tools_count_cold(self, ak_now() - began);
        ak_mutex_unlock(&self->lock);
    }
    return r;
}
