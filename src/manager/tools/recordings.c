/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recordings of terminals. A bastion says that one is finished; it is fetched, put into a Secret of the Tool,
 * listed in the Tool's status, and only then the bastion may forget it. Each step can be done again.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "manager/invoke/answer.h"
#include "manager/kinds.h"
#include "manager/tools/squeeze.h"
#include "manager/tools/tools_internal.h"

#define LOG "tools"
#define FETCH_TIMEOUT AK_SECONDS(30)
#define DEFAULT_RETENTION AK_HOURS(720)
#define DEFAULT_MAX 20
#define MAX_SECRET (2u << 20)
#define DATA_KEY "recording"

struct job {
    struct ak_pool_item item;
    struct ak_tools *tools;
    struct ak_tool_entry *entry;  /* held */
    char *uid;                    /* of the Tool: the entry's may become another one */
    struct ak_run_target *target; /* NULL: look through what is kept */
    json_t *meta;
};

static int secret_name(const char *tool, const char *id, struct ak_buf *out)
{
    return ak_buf_addf(out, "%s-recording-%s", tool, id);
}

/* ---- keeping within the limits */

struct keep {
    struct ak_tools *tools;
    json_t *added; /* goes first; NULL: none */
    ak_msec retention;
    size_t max;
    json_t *gone; /* ids that were let go */
};

static void limits_of(struct ak_tools *self, const char *ns, const char *name, struct keep *ret)
{
    AK_AUTO_OBJECT tool = ak_cache_get(self->o.tools, ns, name);
    const struct ak_tool *body = tool ? ak_object_body(tool) : NULL;
    const struct ak_tool_recording_policy *policy =
        body && body->spec ? body->spec->recording : NULL;

    ret->retention = DEFAULT_RETENTION;
    ret->max = DEFAULT_MAX;
    if (!policy)
        return;
    if (policy->retention)
        (void)!ak_parse_duration(policy->retention, &ret->retention);
    ret->max = (size_t)AK_MIN(AK_MAX(policy->max_recordings, 0), AK_TOOLS_MAX_RECORDINGS);
}

static bool is_old(const json_t *item, ak_msec now, ak_msec retention)
{
    const char *text = ak_json_text(item, "startTime", NULL);
    ak_msec start = 0;

    return !text || ak_parse_rfc3339(text, &start) < 0 || now - start > retention;
}

static bool is_listed(const json_t *list, const char *id)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (ak_streq(ak_json_text(json_array_get(list, i), "id", NULL), id))
            return true;
    return false;
}

static int edit_list(json_t *list, const json_t *tool, void *user, struct ak_error **reterr)
{
    struct keep *k = user;
    ak_msec now = ak_clock_wall(k->tools->clock);
    int changed = 0;

    (void)tool;
    (void)json_array_clear(k->gone);
    if (k->added && !is_listed(list, ak_json_text(k->added, "id", NULL))) {
        if (json_array_insert(list, 0, k->added) < 0)
            return ak_error_oom(reterr);
        changed = 1;
    }
    for (size_t i = json_array_size(list); i > 0; i--) {
        json_t *item = json_array_get(list, i - 1);
        json_t *id = json_object_get(item, "id");
        if (i <= k->max && !is_old(item, now, k->retention))
            continue;
        if (id && json_array_append(k->gone, id) < 0)
            return ak_error_oom(reterr);
        (void)json_array_remove(list, i - 1);
        changed = 1;
    }
    return changed;
}

/* Only a recording of this very Tool. */
static void delete_secret(struct ak_tools *self, const struct job *job, const char *id)
{
    const struct ak_tool_entry *e = job->entry;
    AK_AUTO(ak_buf) name = AK_BUF_INIT(512);
    AK_AUTO_JSON *secret = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = secret_name(e->name, id, &name);

    if (r >= 0)
        r = ak_client_get(self->client, &ak_secret_resource, e->ns, name.data, &secret, &err);
    const char *owner = ak_json_text(
        json_array_get(ak_json_at(secret, "metadata", "ownerReferences", NULL), 0), "uid", NULL);
    if (r < 0 || !ak_streq(owner, job->uid) ||
        !ak_streq(ak_json_text(secret, "type", NULL), AK_TOOLS_RECORDING_TYPE))
        return;
    const struct ak_delete_options options = {.uid = ak_json_text(secret, "metadata", "uid", NULL),
                                              .grace_seconds = -1};
    r = ak_client_delete(self->client, &ak_secret_resource, e->ns, name.data, &options, &err);
    if (r < 0 && r != AK_E_NOT_FOUND)
        ak_warn(LOG, "an old recording could not be deleted", AK_STR("namespace", e->ns),
                AK_STR("name", name.data), AK_ERR(err));
}

static int keep_list(struct ak_tools *self, const struct job *job, json_t *added,
                     struct ak_error **reterr)
{
    const struct ak_tool_entry *e = job->entry;
    AK_AUTO_JSON *gone = json_array();
    struct keep k = {.tools = self, .added = added, .gone = gone};

    if (!gone)
        return ak_error_oom(reterr);
    limits_of(self, e->ns, e->name, &k);
    int r = ak__tools_edit(self, e->ns, e->name, "recordings", edit_list, &k, reterr);
    for (size_t i = 0; r >= 0 && i < json_array_size(gone); i++)
        delete_secret(self, job, json_string_value(json_array_get(gone, i)));
    return r;
}

/* ---- taking one */

static int encode(const struct ak_buf *data, char **ret)
{
    char *text = ak_malloc(data->len / 3 * 4 + 8);

    if (!text)
        return -ENOMEM;
    (void)EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)data->data, (int)data->len);
    *ret = text;
    return 0;
}

static json_t *make_secret(const struct job *job, const char *name, const char *id,
                           const char *data)
{
    const struct ak_tool_entry *e = job->entry;

    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:{s:s, s:s}, s:{s:s}, s:[{s:s, s:s, s:s, s:s, "
                     "s:b, s:b}]}, s:{s:s}}",
                     "apiVersion", "v1", "kind", "Secret", "type", AK_TOOLS_RECORDING_TYPE,
                     "metadata", "namespace", e->ns, "name", name, "labels",
                     "app.kubernetes.io/managed-by", AK_MANAGED_BY, "agentkube.io/tool", e->name,
                     "annotations", "agentkube.io/recording", id, "ownerReferences", "apiVersion",
                     "agentkube.io/v1alpha1", "kind", "Tool", "name", e->name, "uid", job->uid,
                     "controller", 1, "blockOwnerDeletion", 0, "data", DATA_KEY, data);
}

static int store(struct ak_tools *self, const struct job *job, const char *id,
                 const struct ak_buf *packed, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) name = AK_BUF_INIT(512);
    AK_AUTO_TEXT char *text = NULL;
    AK_AUTO_JSON *secret = NULL;

    if (secret_name(job->entry->name, id, &name) < 0 || encode(packed, &text) < 0)
        return ak_error_oom(reterr);
    secret = make_secret(job, name.data, id, text);
    if (!secret)
        return ak_error_oom(reterr);
    if (!ak__tools_may_write(self))
        return ak_error_set(reterr, AK_E_CANCELLED, "this process is not the leader");
    AK_AUTO_PTR(ak_error) err = NULL;
    int r =
        ak_client_create(self->client, &ak_secret_resource, secret, AK_TOOLS_MANAGER, NULL, &err);
    if (r == AK_E_ALREADY_EXISTS) /* a leader before us got as far as this */
        return 0;
    if (r < 0 && reterr)
        *reterr = AK_TAKE(err);
    return r;
}

static int64_t whole(const json_t *meta, const char *name)
{
    const json_t *value = json_object_get(meta, name);

    return json_is_number(value) ? (int64_t)json_number_value(value) : 0;
}

static json_t *make_entry(const json_t *meta, size_t bytes, size_t stored, bool truncated)
{
    const char *user = ak_json_text(meta, "user", NULL);
    bool was = json_is_true(json_object_get(meta, "truncated"));

    if (!user)
        user = ak_json_text(meta, "caller", "name", NULL);
    return json_pack("{s:s, s:s*, s:s*, s:s*, s:I, s:I, s:I, s:b}", "id",
                     ak_json_text(meta, "id", NULL), "sessionID",
                     ak_json_text(meta, "sessionID", NULL), "user", user, "startTime",
                     ak_json_text(meta, "startTime", NULL), "durationSeconds",
                     (json_int_t)whole(meta, "durationSeconds"), "bytes", (json_int_t)bytes,
                     "storedBytes", (json_int_t)stored, "truncated", truncated || was);
}

static int ask_for(struct ak_tools *self, struct ak_run_target *target, const char *method,
                   const char *id, const char *rest, struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(256);
    int status = 0;

    if (ak_buf_addf(&path, "/v1/recordings/%s%s", id, rest) < 0)
        return ak_error_oom(reterr);
    int r =
        ak__tools_ask(self, target, method, path.data, NULL, FETCH_TIMEOUT, &status, out, reterr);
    if (r < 0)
        return r;
    return status / 100 == 2 ? 0 : ak__tools_bastion_error(status, out, reterr);
}

static int take(struct ak_tools *self, const struct job *job, struct ak_error **reterr)
{
    const char *id = ak_json_text(job->meta, "id", NULL);
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_TOOLS_MAX_RECORDING);
    AK_AUTO(ak_buf) packed = AK_BUF_INIT(AK_TOOLS_MAX_RECORDING_KEPT);
    AK_AUTO(ak_buf) said = AK_BUF_INIT(64u << 10);
    AK_AUTO_JSON *entry = NULL;
    size_t taken = 0;

    if (!id || !ak_is_dns_label(id))
        return ak_error_set(reterr, AK_E_INVALID, "a recording without a usable id");
    int r = ask_for(self, job->target, "GET", id, "", &text, reterr);
    if (r < 0)
        return r;
    if (ak_squeeze(ak_buf_text(&text), text.len, packed.max, &packed, &taken) < 0)
        return ak_error_oom(reterr);
    entry = make_entry(job->meta, taken, packed.len, taken < text.len);
    if (!entry)
        return ak_error_oom(reterr);
    r = store(self, job, id, &packed, reterr);
    if (r >= 0)
        r = keep_list(self, job, entry, reterr);
    return r < 0 ? r : ask_for(self, job->target, "POST", id, "/taken", &said, reterr);
}

/* ---- on a thread of ours */

static void run_job(struct ak_pool_item *item)
{
    struct job *job = AK_CONTAINER_OF(item, struct job, item);
    struct ak_tools *self = job->tools;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = job->target ? take(self, job, &err) : keep_list(self, job, NULL, &err);

    if (r < 0)
        ak_warn(LOG,
                job->target ? "a recording could not be taken from its bastion"
                            : "recordings could not be looked through",
                AK_STR("namespace", job->entry->ns), AK_STR("name", job->entry->name), AK_ERR(err));
    ak_mutex_lock(&self->lock);
    if (job->target) {
        job->entry->recordings_left--;
        self->counts.recordings += r >= 0;
        self->counts.recordings_failed += r < 0;
    }
    ak__tools_release(self, job->entry);
    ak_mutex_unlock(&self->lock);
    (void)ak_run_target_unref(job->target);
    json_decref(job->meta);
    ak_free(job->uid);
    ak_free(job);
}

static void begin(struct ak_tools *self, struct ak_tool_entry *e, struct ak_run_target *target,
                  const json_t *meta) AK_REQUIRES(self->lock)
{
    struct job *job = ak_new0(struct job);
    AK_AUTO_TEXT char *uid = ak_strdup(e->uid);
    AK_AUTO_JSON *copy =
        meta ? ak_json_copy(meta) : NULL; /* another thread will count its references */

    if (!job || !uid || (meta && !copy)) {
        ak_free(job);
        return; /* the bastion says it again to the next who follows it */
    }
    *job = (struct job){.item = {.run = run_job},
                        .tools = self,
                        .entry = e,
                        .uid = AK_TAKE(uid),
                        .target = target ? ak_run_target_ref(target) : NULL,
                        .meta = AK_TAKE(copy)};
    e->users++;
    e->recordings_left += target != NULL;
    if (ak_pool_put(self->pool, AK_TOOLS_LANE_RECORD, &job->item) >= 0)
        return;
    e->users--;
    e->recordings_left -= target != NULL;
    (void)ak_run_target_unref(job->target);
    json_decref(job->meta);
    ak_free(job->uid);
    ak_free(job);
}

void ak__tools_take_recording(struct ak_tools *self, struct ak_tool_entry *e,
                              struct ak_run_target *target, const json_t *meta)
{
    begin(self, e, target, meta);
}

void ak__tools_keep_recordings(struct ak_tools *self, struct ak_tool_entry *e)
{
    begin(self, e, NULL, NULL);
}

/* ---- showing */

int ak_tools_recordings(struct ak_tools *self, const char *ns, const char *name, json_t **ret,
                        struct ak_error **reterr)
{
    AK_AUTO_JSON *list = NULL;
    int r = ak__tools_read_list(self, ns, name, "recordings", &list, reterr);

    if (r < 0)
        return r;
    *ret = json_pack("{s:O}", "items", list);
    return *ret ? 0 : ak_error_oom(reterr);
}

static int decode(const char *text, struct ak_buf *out, struct ak_error **reterr)
{
    size_t len = strlen(text), pad = 0;
    AK_AUTO(ak_buf) raw = AK_BUF_INIT(AK_TOOLS_MAX_RECORDING_KEPT + 4);
    unsigned char *space = ak_malloc(len + 4);

    if (!space)
        return ak_error_oom(reterr);
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    int n = EVP_DecodeBlock(space, (const unsigned char *)text, (int)len);
    int r = n < (int)pad ? AK_E_INVALID : ak_buf_add(&raw, space, (size_t)n - pad);
    ak_free(space);
    if (r >= 0)
        r = ak_unsqueeze(ak_buf_text(&raw), raw.len, out);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    return r < 0 ? ak_invoke_error(reterr, 500, "the recording's Secret does not hold a recording")
                 : 0;
}

int ak_tools_recording(struct ak_tools *self, const char *ns, const char *name, const char *id,
                       struct ak_buf *out, struct ak_error **reterr)
{
    AK_AUTO(ak_buf) secret = AK_BUF_INIT(512);
    AK_AUTO_OBJECT tool = NULL;
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = ak__tools_find(self, ns, name, &tool, reterr);

    if (r < 0)
        return r;
    if (secret_name(name, id, &secret) < 0)
        return ak_error_oom(reterr);
    r = ak_client_get(self->client, &ak_secret_resource, ns, secret.data, &tree, &err);
    const char *owner = ak_json_text(
        json_array_get(ak_json_at(tree, "metadata", "ownerReferences", NULL), 0), "uid", NULL);
    const char *data = ak_json_text(tree, "data", DATA_KEY, NULL);
    if (r == AK_E_NOT_FOUND ||
        (r >= 0 && (!data || !ak_streq(owner, ak_object_meta(tool)->uid) ||
                    !ak_streq(ak_json_text(tree, "type", NULL), AK_TOOLS_RECORDING_TYPE))))
        return ak_invoke_error(reterr, 404, "tool \"%s/%s\" has no recording \"%s\"", ns, name, id);
    if (r < 0) {
        r = ak_invoke_error_of_server(&err, r);
        if (reterr)
            *reterr = AK_TAKE(err);
        return r;
    }
    return decode(data, out, reterr);
}
