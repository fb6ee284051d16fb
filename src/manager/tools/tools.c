/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/invoke/answer.h"
#include "manager/kinds.h"
#include "manager/tools/tools_internal.h"

#define LOG "tools"
#define STOP_WAIT AK_SECONDS(2)
#define STOP_ACKS 500 /* ms */

static const struct ak_pool_lane lanes[AK_TOOLS_LANE_MAX] = {
    [AK_TOOLS_LANE_FOLLOW] = {"tools-follow", 4, AK_TOOLS_MAX_TOOLS},
    [AK_TOOLS_LANE_ACK] = {"tools-ack", 2, AK_TOOLS_MAX_TOOLS},
    [AK_TOOLS_LANE_RECORD] = {"tools-record", 1, AK_TOOLS_MAX_TOOLS},
};

/* As other lines of the log are written: whole, on the standard error output. */
static void write_audit(const char *line, size_t len, void *user)
{
    (void)user;
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere to say that */
        line += n;
        len -= (size_t)n;
    }
}

/* ---- entries */

static struct ak_tool_entry *entry_free(struct ak_tool_entry *e)
{
    ak_free(e->key);
    ak_free(e->ns);
    ak_free(e->name);
    ak_free(e->uid);
    ak_free(e->pod_name);
    ak_free(e->pod_uid);
    ak_free(e->done_pod);
    ak_free(e);
    return NULL;
}

static struct ak_tool_entry *entry_new(struct ak_tools *self, const char *key, const char *ns,
                                       const char *name) AK_REQUIRES(self->lock)
{
    struct ak_tool_entry *e = ak_new0(struct ak_tool_entry);

    if (!e)
        return NULL;
    e->key = ak_strdup(key);
    e->ns = ak_strdup(ns);
    e->name = ak_strdup(name);
    e->uid = ak_strdup("");
    e->next_retention = ak_clock_now(self->clock) + AK_TOOLS_RETENTION;
    if (!e->key || !e->ns || !e->name || !e->uid || ak_map_put(&self->entries, e->key, e, NULL) < 0)
        return entry_free(e);
    return e;
}

static struct ak_tool_entry *find_locked(struct ak_tools *self, const char *ns, const char *name)
    AK_REQUIRES(self->lock)
{
    char key[AK_KEY_MAX];

    if (ak_key_text((struct ak_key){ns, name}, key) < 0)
        return NULL;
    return ak_map_get(&self->entries, key);
}

struct ak_tool_entry *ak__tools_hold(struct ak_tools *self, const char *ns, const char *name)
{
    char key[AK_KEY_MAX];

    if (ak_key_text((struct ak_key){ns, name}, key) < 0)
        return NULL;
    struct ak_tool_entry *e = ak_map_get(&self->entries, key);
    if (!e)
        e = entry_new(self, key, ns, name);
    if (e)
        e->users++;
    return e;
}

void ak__tools_release(struct ak_tools *self, struct ak_tool_entry *e)
{
    e->users--;
    e->touched = ak_clock_now(self->clock);
    ak_cond_broadcast(&self->changed);
}

static bool is_idle(const struct ak_tool_entry *e, ak_msec now)
{
    return !e->users && !e->follow && !e->starting && !e->pod_uid &&
           now - e->touched >= AK_TOOLS_IDLE;
}

/* On the loop, once a second while there are entries. */
static void on_tick(void *user)
{
    struct ak_tools *self = user;
    ak_msec now = ak_clock_now(self->clock);
    size_t it = 0;
    const char *key;
    void *value;

    ak_mutex_lock(&self->lock);
    while (!self->stopping && ak_map_next(&self->entries, &it, &key, &value)) {
        struct ak_tool_entry *e = value;
        if (is_idle(e, now)) {
            (void)ak_map_remove(&self->entries, key);
            entry_free(e);
            continue;
        }
        ak__tools_follow(self, e);
    }
    bool more = !self->stopping;
    ak_mutex_unlock(&self->lock);
    if (more)
        ak_timer_set(self->tick, AK_TOOLS_TICK);
}

/* ---- made, started, stopped, freed */

static int make_parts(struct ak_tools *self, struct ak_error **reterr)
{
    int r = ak_cancel_init(&self->stop);

    if (r < 0)
        return ak_error_set(reterr, r, "eventfd");
    self->tick = ak_timer_new(self->loop, on_tick, self);
    if (!self->tick)
        return ak_error_oom(reterr);
    return ak_pool_new(lanes, AK_TOOLS_LANE_MAX, &self->pool, reterr);
}

int ak_tools_new(const struct ak_tools_options *options, struct ak_tools **ret,
                 struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_tools) self = ak_new0(struct ak_tools);

    if (!self)
        return ak_error_oom(reterr);
    self->o = *options;
    self->clock = options->clock ? options->clock : ak_clock_system();
    self->client = ak_manager_client(options->manager);
    self->loop = ak_manager_loop(options->manager);
    self->stop.fd = -1;
    ak_mutex_init(&self->lock);
    ak_cond_init(&self->changed);
    ak_map_init(&self->entries, AK_TOOLS_MAX_TOOLS);
    ak_map_init(&self->agents, 0);
    ak_audit_init(&self->audit, write_audit, self);
    int r = make_parts(self, reterr);
    if (r < 0)
        return r;
    *ret = AK_TAKE(self);
    return 0;
}

static void start_tick(void *user)
{
    on_tick(user);
}

int ak_tools_start(struct ak_tools *self, struct ak_error **reterr)
{
    int r = ak_loop_post(self->loop, start_tick, self);

    return r < 0 ? ak_error_set(reterr, r, "cannot reach the loop") : 0;
}

static bool all_acknowledged(struct ak_tools *self) AK_REQUIRES(self->lock)
{
    size_t it = 0;
    const char *key;
    void *value;

    while (ak_map_next(&self->entries, &it, &key, &value)) {
        const struct ak_tool_entry *e = value;
        if (e->synced && e->audit_acked < e->audit_written)
            return false;
    }
    return true;
}

/* What was written and not said so is written again by the next leader. */
static void await_acks(struct ak_tools *self)
{
    ak_msec deadline = ak_now() + STOP_ACKS;

    ak_mutex_lock(&self->lock);
    while (!all_acknowledged(self) && ak_now() < deadline)
        ak_cond_wait_until(&self->changed, &self->lock, deadline);
    ak_mutex_unlock(&self->lock);
}

void ak_tools_stop(struct ak_tools *self)
{
    ak_msec deadline = ak_now() + STOP_WAIT;
    size_t it = 0;
    const char *key;
    void *value;

    ak_mutex_lock(&self->lock);
    bool again = self->stopping;
    self->stopping = true;
    ak_mutex_unlock(&self->lock);
    if (again)
        return;
    await_acks(self);
    ak_cancel_now(&self->stop);
    ak_mutex_lock(&self->lock);
    while (ak_map_next(&self->entries, &it, &key, &value))
        ak__tools_unfollow(self, value);
    ak_cond_broadcast(&self->changed);
    while (self->follows > 0 && ak_now() < deadline)
        ak_cond_wait_until(&self->changed, &self->lock, deadline);
    ak_mutex_unlock(&self->lock);
    ak_pool_stop(self->pool);
}

struct ak_tools *ak_tools_free(struct ak_tools *self)
{
    size_t it = 0;
    const char *key;
    void *value;

    if (!self)
        return NULL;
    (void)ak_pool_free(self->pool);
    (void)ak_timer_free(self->tick);
    while (ak_map_next(&self->entries, &it, &key, &value))
        entry_free(value);
    ak_map_done(&self->entries);
    ak_map_done(&self->agents);
    ak_audit_done(&self->audit);
    ak_cancel_done(&self->stop);
    ak_cond_done(&self->changed);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

void ak_tools_inherit(struct ak_tools *self, const char *head)
{
    ak_audit_go_on_from(&self->audit, head);
}

bool ak_tools_leave(struct ak_tools *self, char *ret, size_t size)
{
    char head[AK_AUDIT_HASH_SIZE];

    if (!ak_audit_head(&self->audit, head))
        return false;
    (void)snprintf(ret, size, "%s", head);
    return true;
}

bool ak__tools_may_write(const struct ak_tools *self)
{
    const struct ak_apply *apply = ak_manager_apply(self->o.manager);

    return !apply->may_write || apply->may_write(apply->user);
}

void ak_tools_set_wake(struct ak_tools *self, void (*wake)(const struct ak_key *key, void *user),
                       void *user)
{
    self->wake = wake;
    self->wake_user = user;
}

void ak__tools_wake(struct ak_tools *self, const char *ns, const char *name)
{
    const struct ak_key key = {ns, name};

    if (self->wake)
        self->wake(&key, self->wake_user);
}

int ak__tools_find(struct ak_tools *self, const char *ns, const char *name,
                   const struct ak_object **ret, struct ak_error **reterr)
{
    AK_AUTO_OBJECT tool = ak_cache_get(self->o.tools, ns, name);
    const struct ak_tool *body = tool ? ak_object_body(tool) : NULL;

    if (!tool)
        return ak_invoke_error(reterr, 404, "tool \"%s/%s\" does not exist", ns, name);
    if (ak_object_meta(tool)->deleting)
        return ak_invoke_error(reterr, 409, "tool \"%s/%s\" is being deleted", ns, name);
    if (ak_object_decode_error(tool) || !body->spec)
        return ak_invoke_error(reterr, 409, "tool \"%s/%s\" cannot be read: %s", ns, name,
                               body->spec ? ak_object_decode_error(tool) : "it has no spec");
    *ret = AK_TAKE(tool);
    return 0;
}

/* ---- for the controller */

/* A Tool that was deleted and made again, or a pod that is another one: what was known is about something else. */
static int note_pod(struct ak_tools *self, struct ak_tool_entry *e, const char *tool_uid,
                    const struct ak_meta *pod) AK_REQUIRES(self->lock)
{
    bool another = !ak_streq(e->uid, tool_uid);

    if (!another && ak_streq(e->pod_uid, pod ? pod->uid : NULL))
        return 0;
    AK_AUTO_TEXT char *uid = another ? ak_strdup(tool_uid) : NULL;
    AK_AUTO_TEXT char *pod_uid = pod ? ak_strdup(pod->uid) : NULL;
    AK_AUTO_TEXT char *pod_name = pod ? ak_strdup(pod->name) : NULL;
    if ((another && !uid) || (pod && (!pod_uid || !pod_name)))
        return -ENOMEM;
    ak__tools_unfollow(self, e);
    if (another) {
        ak_free(e->uid);
        e->uid = AK_TAKE(uid);
    }
    ak_free(e->pod_uid);
    ak_free(e->pod_name);
    e->pod_uid = AK_TAKE(pod_uid);
    e->pod_name = AK_TAKE(pod_name);
    e->ending = e->pod_uid && ak_streq(e->pod_uid, e->done_pod);
    e->sessions = 0;
    e->boot_id[0] = 0;
    e->failures = 0;
    e->not_before = 0;
    e->audit_head = e->audit_written = e->audit_acked = e->dropped = 0;
    ak_cond_broadcast(&self->changed);
    return 0;
}

static int fill_view(const struct ak_tool_entry *e, struct ak_arena *arena,
                     struct ak_tools_view *ret)
{
    *ret = (struct ak_tools_view){0};
    if (!e)
        return 0;
    ret->wanted = e->waiting > 0;
    ret->is_ending = e->ending;
    ret->last_used = e->last_used;
    ret->is_known = e->synced;
    if (!e->synced)
        return 0;
    ret->sessions = e->sessions;
    ret->boot_id = e->boot_id[0] ? ak_arena_strdup(arena, e->boot_id) : NULL;
    return e->boot_id[0] && !ret->boot_id ? -ENOMEM : 0;
}

int ak_tools_look(struct ak_tools *self, const struct ak_object *tool, const struct ak_object *pod,
                  struct ak_arena *arena, struct ak_tools_view *ret)
{
    const struct ak_meta *m = ak_object_meta(tool);
    const struct ak_tool *body = ak_object_body(tool);
    bool keeps = body->status && body->status->recordings.len > 0;
    ak_msec now = ak_clock_now(self->clock);
    int r = 0;

    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = find_locked(self, m->namespace_, m->name);
    if (!e && (pod || keeps)) {
        e = ak__tools_hold(self, m->namespace_, m->name);
        if (e)
            ak__tools_release(self, e);
        r = e ? 0 : -ENOMEM;
    }
    if (e)
        r = note_pod(self, e, m->uid, pod ? ak_object_meta(pod) : NULL);
    if (e && r >= 0 && !self->stopping) {
        ak__tools_follow(self, e);
        if (keeps && now >= e->next_retention) {
            e->next_retention = now + AK_TOOLS_RETENTION;
            ak__tools_keep_recordings(self, e);
        }
    }
    if (r >= 0)
        r = fill_view(e, arena, ret);
    ak_mutex_unlock(&self->lock);
    return r;
}

void ak_tools_forget(struct ak_tools *self, const char *ns, const char *name)
{
    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = find_locked(self, ns, name);
    if (e) {
        (void)note_pod(self, e, "", NULL);
        e->touched = 0; /* the next tick takes it, once nobody holds it */
        ak_cond_broadcast(&self->changed);
    }
    ak_mutex_unlock(&self->lock);
}
