/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream of what happens in a bastion (GET /v1/watch): its state, audit records, recordings that are finished. It
 * begins with the state and with every record that was not acknowledged, so what was missed is not missed. A record is
 * written to the audit log first and then acknowledged; what a manager that died between the two wrote is written
 * again, with the same bootID and seq.
 */
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/net/sse.h>
#include <stdio.h>

#include "manager/tools/tools_internal.h"

#define LOG "tools"
#define WATCH_PATH "/v1/watch"
#define ACK_PATH "/v1/audit/ack"
#define SILENCE AK_SECONDS(45) /* the bastion says something every 15 s */
#define ACK_TIMEOUT AK_SECONDS(5)
#define MAX_EVENT (1u << 20)
#define BACKOFF_FIRST 250
#define BACKOFF_MAX AK_SECONDS(15)

struct ak_bastion_follow {
    struct ak_tools *tools;
    char *key;     /* of the entry */
    char *pod_uid; /* of the bastion */
    struct ak_run_target *target;
    struct ak_http_stream *stream; /* of the loop */
    struct ak_sse_parser parser;
    struct ak_pool_item ack;
    /* Guarded by tools->lock: */
    unsigned refs; /* the stream, posts to the loop, an acknowledgement under way */
    bool acking, unwanted;
};

static void follow_free(struct ak_bastion_follow *f)
{
    (void)ak_run_target_unref(f->target);
    ak_sse_parser_done(&f->parser);
    ak_free(f->key);
    ak_free(f->pod_uid);
    ak_free(f);
}

static void follow_unref(struct ak_bastion_follow *f)
{
    struct ak_tools *self = f->tools;

    ak_mutex_lock(&self->lock);
    bool last = --f->refs == 0;
    ak_mutex_unlock(&self->lock);
    if (!last)
        return;
    follow_free(f);
    ak_mutex_lock(&self->lock);
    self->follows--;
    ak_cond_broadcast(&self->changed);
    ak_mutex_unlock(&self->lock);
}

/* Its entry, if it is still the one that is wanted there. */
static struct ak_tool_entry *entry_of(struct ak_tools *self, struct ak_bastion_follow *f)
    AK_REQUIRES(self->lock)
{
    struct ak_tool_entry *e = ak_map_get(&self->entries, f->key);

    return e && e->follow == f && !f->unwanted ? e : NULL;
}

static void wake(struct ak_bastion_follow *f)
{
    char ns[AK_KEY_NS_SIZE], name[AK_KEY_NAME_SIZE];

    ak_key_split(f->key, ns, name);
    ak__tools_wake(f->tools, ns, name);
}

/* ---- acknowledgements */

static int send_ack(struct ak_bastion_follow *f, int64_t seq)
{
    AK_AUTO_JSON *body = json_pack("{s:I}", "seq", (json_int_t)seq);
    AK_AUTO(ak_buf) said = AK_BUF_INIT(64u << 10);
    AK_AUTO_PTR(ak_error) err = NULL;
    int status = 0;
    int r = body ? ak__tools_ask(f->tools, f->target, "POST", ACK_PATH, body, ACK_TIMEOUT, &status,
                                 &said, &err)
                 : -ENOMEM;

    if (r >= 0 && status / 100 != 2)
        r = ak__tools_bastion_error(status, &said, &err);
    if (r < 0)
        ak_debug(LOG, "a bastion does not take an acknowledgement", AK_STR("tool", f->key),
                 AK_ERR(err));
    return r;
}

static void run_ack(struct ak_pool_item *item)
{
    struct ak_bastion_follow *f = AK_CONTAINER_OF(item, struct ak_bastion_follow, ack);
    struct ak_tools *self = f->tools;
    int r = 0;

    for (;;) {
        ak_mutex_lock(&self->lock);
        struct ak_tool_entry *e = entry_of(self, f);
        int64_t seq = e ? e->audit_written : 0;
        bool more = e && r >= 0 && seq > e->audit_acked;
        f->acking = more;
        ak_mutex_unlock(&self->lock);
        if (!more)
            break;
        r = send_ack(f, seq);
        ak_mutex_lock(&self->lock);
        e = entry_of(self, f);
        if (e && r >= 0) {
            e->audit_acked = AK_MAX(e->audit_acked, seq);
            ak_cond_broadcast(&self->changed);
        }
        ak_mutex_unlock(&self->lock);
    }
    follow_unref(f);
}

static void acknowledge(struct ak_tools *self, struct ak_bastion_follow *f) AK_REQUIRES(self->lock)
{
    if (f->acking)
        return;
    f->acking = true;
    f->refs++;
    f->ack.run = run_ack;
    if (ak_pool_put(self->pool, AK_TOOLS_LANE_ACK, &f->ack) >= 0)
        return;
    f->acking = false; /* the next record brings it on again */
    f->refs--;
}

/* ---- events */

static int64_t number(const json_t *tree, const char *name)
{
    return json_integer_value(json_object_get(tree, name));
}

static void note_drops(struct ak_tools *self, const char *key, const char *boot_id, int64_t n)
{
    char ns[AK_KEY_NS_SIZE], name[AK_KEY_NAME_SIZE], now[AK_RFC3339_SIZE];
    AK_AUTO_PTR(ak_error) err = NULL;

    ak_key_split(key, ns, name);
    AK_AUTO_JSON *record = json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:I}", "time",
                                     ak_format_rfc3339_micro(ak_clock_wall(self->clock), now),
                                     "kind", "Dropped", "tool", "namespace", ns, "name", name,
                                     "bootID", boot_id, "records", (json_int_t)n);
    int r = record ? ak_audit_add(&self->audit, record, &err) : ak_error_oom(&err);
    ak_warn(LOG, "audit records of a bastion are lost: it kept too few", AK_STR("namespace", ns),
            AK_STR("name", name), AK_INT("records", n), AK_ERR(r < 0 ? err : NULL));
}

/* The lock is held. Returns how many records are newly known to be lost. */
static int64_t take_state(struct ak_tools *self, struct ak_tool_entry *e, const json_t *state)
    AK_REQUIRES(self->lock)
{
    const char *boot = ak_json_text(state, "bootID", NULL);
    const char *used = ak_json_text(state, "lastUsed", NULL);
    int64_t dropped = AK_MAX(number(state, "auditDropped"), 0), lost;
    ak_msec when = 0;

    if (!ak_streq(boot, e->boot_id)) {
        (void)snprintf(e->boot_id, sizeof(e->boot_id), "%s", boot ? boot : "");
        e->audit_written = e->audit_acked = e->dropped = 0;
    }
    e->sessions = json_array_size(json_object_get(state, "sessions"));
    e->audit_head = number(state, "auditHead");
    e->audit_acked = AK_MAX(e->audit_acked, number(state, "auditAcked"));
    e->audit_written = AK_MAX(e->audit_written, e->audit_acked);
    if (used && ak_parse_rfc3339(used, &when) >= 0)
        e->last_used = when;
    e->synced = true;
    e->failures = 0;
    lost = AK_MAX(dropped - e->dropped, 0);
    e->dropped = AK_MAX(e->dropped, dropped);
    self->counts.dropped += (uint64_t)lost;
    ak_cond_broadcast(&self->changed);
    return lost;
}

static int on_state(struct ak_bastion_follow *f, const json_t *state)
{
    struct ak_tools *self = f->tools;
    char boot[AK_TOOLS_ID_SIZE] = "";
    int64_t lost = 0;

    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = entry_of(self, f);
    if (e) {
        lost = take_state(self, e, state);
        memcpy(boot, e->boot_id, sizeof(boot));
        if (e->audit_written > e->audit_acked)
            acknowledge(self, f);
    }
    ak_mutex_unlock(&self->lock);
    if (!e)
        return -ESTALE;
    if (lost > 0)
        note_drops(self, f->key, boot, lost);
    wake(f);
    return 0;
}

/* Is it new? Then it is ours to write: nobody else follows this bastion. */
static int claim_record(struct ak_bastion_follow *f, int64_t seq)
{
    struct ak_tools *self = f->tools;

    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = entry_of(self, f);
    /* Who does not lead any more leaves it to the next: the head of the log is in the Lease already. */
    int r = !e || !ak__tools_may_write(self) ? -ESTALE : seq > e->audit_written;
    ak_mutex_unlock(&self->lock);
    return r;
}

static void record_written(struct ak_bastion_follow *f, int64_t seq)
{
    struct ak_tools *self = f->tools;

    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = entry_of(self, f);
    if (e) {
        e->audit_written = AK_MAX(e->audit_written, seq);
        e->audit_head = AK_MAX(e->audit_head, seq);
        acknowledge(self, f);
    }
    self->counts.records++;
    ak_mutex_unlock(&self->lock);
}

/* What a record says about itself is the bastion's word; which Tool it is about, ours. */
static int set_tool(const struct ak_bastion_follow *f, json_t *record)
{
    char ns[AK_KEY_NS_SIZE], name[AK_KEY_NAME_SIZE];
    const char *type = ak_json_text(record, "tool", "type", NULL);

    ak_key_split(f->key, ns, name);
    return json_object_set_new(
        record, "tool", json_pack("{s:s, s:s, s:s*}", "namespace", ns, "name", name, "type", type));
}

static int on_audit(struct ak_bastion_follow *f, json_t *record)
{
    struct ak_tools *self = f->tools;
    AK_AUTO_PTR(ak_error) err = NULL;
    int64_t seq = number(record, "seq");
    int r = seq > 0 ? claim_record(f, seq) : AK_E_INVALID;

    if (r <= 0)
        return r;
    r = set_tool(f, record) < 0 ? ak_error_oom(&err) : ak_audit_add(&self->audit, record, &err);
    if (r == -ENOMEM)
        return r; /* the stream breaks, and comes again with it */
    if (r < 0)
        ak_err(LOG, "an audit record of a bastion could not be written", AK_STR("tool", f->key),
               AK_INT("seq", seq), AK_ERR(err));
    ak__tools_count(self, ak_json_text(record, "tool", "type", NULL),
                    ak_json_text(record, "verdict", NULL));
    record_written(f, seq);
    return 0;
}

static int on_recording(struct ak_bastion_follow *f, const json_t *meta)
{
    struct ak_tools *self = f->tools;

    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = entry_of(self, f);
    if (e)
        ak__tools_take_recording(self, e, f->target, meta);
    ak_mutex_unlock(&self->lock);
    return e ? 0 : -ESTALE;
}

static int on_event(const struct ak_sse_event *event, void *user)
{
    AK_AUTO_JSON *tree = NULL;
    bool known = !strcmp(event->type, "state") || !strcmp(event->type, "audit") ||
                 !strcmp(event->type, "recording");

    if (!known)
        return 0; /* of a later version */
    int r = ak_json_parse(event->data, event->len, &tree, NULL);
    if (r < 0 || !json_is_object(tree))
        return r < 0 ? r : AK_E_INVALID;
    if (!strcmp(event->type, "state"))
        return on_state(user, tree);
    return !strcmp(event->type, "audit") ? on_audit(user, tree) : on_recording(user, tree);
}

/* ---- the stream; on the loop */

static int on_begin(int status, ak_msec retry_after, void *user)
{
    (void)retry_after;
    (void)user;
    return status == 200 ? 0 : AK_E_SERVER;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct ak_bastion_follow *f = user;

    return ak_sse_parser_feed(&f->parser, data, len, on_event, f);
}

static void back_off(struct ak_tools *self, struct ak_tool_entry *e) AK_REQUIRES(self->lock)
{
    ak_msec wait = AK_MIN((ak_msec)BACKOFF_FIRST << AK_MIN(e->failures, 8u), BACKOFF_MAX);

    e->failures++;
    e->not_before = ak_clock_now(self->clock) + wait;
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct ak_bastion_follow *f = user;
    struct ak_tools *self = f->tools;

    f->stream = NULL;
    ak_mutex_lock(&self->lock);
    struct ak_tool_entry *e = entry_of(self, f);
    if (e) {
        e->follow = NULL;
        e->synced = false;
        e->sessions = 0;
        if (code == 0) { /* it said its last word: whoever comes now waits for the next one */
            ak_free(e->done_pod);
            e->done_pod = ak_strdup(f->pod_uid);
        }
        back_off(self, e);
        ak_cond_broadcast(&self->changed);
    }
    ak_mutex_unlock(&self->lock);
    ak_debug(LOG, "the stream of a bastion ended", AK_STR("tool", f->key), AK_INT("code", code),
             AK_ERR(err));
    if (e) { /* also one that has said its last word is not asked again */
        ak_runs_target_failed(self->o.runs, f->target);
        wake(f);
    }
    follow_unref(f);
}

static const struct ak_http_stream_ops ops = {.begin = on_begin, .data = on_data, .end = on_end};

static void start(void *user)
{
    struct ak_bastion_follow *f = user;
    const struct ak_http_request req = {
        .method = "GET", .path = WATCH_PATH, .accept = AK_SSE_CONTENT_TYPE, .timeout = SILENCE};
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak_http_stream_start(ak_run_target_client(f->target), f->tools->loop, &req, &ops, f,
                                 &f->stream, &err);

    if (r < 0)
        on_end(r, err, f);
}

static void stop(void *user)
{
    struct ak_bastion_follow *f = user;

    if (f->stream)
        ak_http_stream_stop(f->stream); /* calls on_end */
    follow_unref(f);
}

void ak__tools_unfollow(struct ak_tools *self, struct ak_tool_entry *e)
{
    struct ak_bastion_follow *f = e->follow;

    if (!f)
        return;
    e->follow = NULL;
    e->synced = false;
    f->unwanted = true; /* at the latest with its next word it ends */
    f->refs++;
    if (ak_loop_post(self->loop, stop, f) < 0)
        f->refs--;
}

/* ---- the beginning, on a thread of ours */

static struct ak_bastion_follow *follow_new(struct ak_tools *self, const char *key,
                                            const char *pod_uid, struct ak_run_target *target)
{
    struct ak_bastion_follow *f = ak_new0(struct ak_bastion_follow);

    if (!f)
        return NULL;
    f->tools = self;
    f->refs = 1;
    f->key = ak_strdup(key);
    f->pod_uid = ak_strdup(pod_uid);
    f->target = ak_run_target_ref(target);
    ak_sse_parser_init(&f->parser, MAX_EVENT);
    if (!f->key || !f->pod_uid) {
        follow_free(f);
        return NULL;
    }
    return f;
}

/* Puts it in its place; it is freed if that is taken, or the pod is another one by now. */
static int install(struct ak_tools *self, struct ak_tool_entry *e, struct ak_bastion_follow *f)
{
    bool ok;

    ak_mutex_lock(&self->lock);
    ok = !e->follow && ak_streq(e->pod_uid, f->pod_uid) && !self->stopping &&
         ak_loop_post(self->loop, start, f) >= 0;
    if (ok) {
        e->follow = f;
        e->synced = false;
        self->follows++;
    }
    ak_mutex_unlock(&self->lock);
    if (!ok)
        follow_free(f);
    return ok ? 0 : -EAGAIN;
}

static int find_out(struct ak_tools *self, struct ak_tool_entry *e, const char *pod_name,
                    const char *pod_uid, struct ak_error **reterr)
{
    AK_AUTO_TARGET target = NULL;
    int r = ak_runs_prove(self->o.runs, e->ns, pod_name, pod_uid, &target, reterr);

    if (r < 0)
        return r;
    struct ak_bastion_follow *f = follow_new(self, e->key, pod_uid, target);
    return f ? install(self, e, f) : ak_error_oom(reterr);
}

static void run_start(struct ak_pool_item *item)
{
    struct ak_tool_entry *e = AK_CONTAINER_OF(item, struct ak_tool_entry, item);
    struct ak_tools *self = e->tools;
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_TEXT char *name = NULL, *uid = NULL;

    ak_mutex_lock(&self->lock);
    name = e->pod_name ? ak_strdup(e->pod_name) : NULL;
    uid = e->pod_uid ? ak_strdup(e->pod_uid) : NULL;
    ak_mutex_unlock(&self->lock);
    int r = name && uid ? find_out(self, e, name, uid, &err) : 0;
    if (r < 0)
        ak_debug(LOG, "a bastion is not followed yet", AK_STR("tool", e->key), AK_INT("code", r),
                 AK_ERR(err));
    ak_mutex_lock(&self->lock);
    e->starting = false;
    if (r < 0)
        back_off(self, e);
    ak__tools_release(self, e);
    ak_mutex_unlock(&self->lock);
}

void ak__tools_follow(struct ak_tools *self, struct ak_tool_entry *e)
{
    if (!e->pod_uid || e->follow || e->starting || ak_clock_now(self->clock) < e->not_before ||
        !ak__tools_may_write(self) || (!e->ending && ak_streq(e->pod_uid, e->done_pod)))
        return;
    e->tools = self;
    e->item.run = run_start;
    e->starting = true;
    e->users++;
    if (ak_pool_put(self->pool, AK_TOOLS_LANE_FOLLOW, &e->item) >= 0)
        return;
    e->starting = false;
    e->users--;
}
