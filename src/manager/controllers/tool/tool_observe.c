/* SPDX-License-Identifier: Apache-2.0 */
/* Reads everything that a decision may depend on into one struct. */
#include <ak/base/secret.h>
#include <ak/base/text.h>
#include <ak/manage/manager.h>
#include <stdio.h>
#include <string.h>

#include "engines/policy.h"
#include "manager/controllers/tool/tool_internal.h"
#include "manager/runs/runs.h"

void ak_tool_observed_done(struct ak_tool_observed *self)
{
    (void)ak_object_unref(self->tool);
    (void)ak_object_unref(self->bastion);
    (void)ak_object_unref(self->probe);
    (void)ak_object_unref(self->worker);
    (void)ak_object_unref(self->job);
    (void)ak_object_unref(self->account);
    (void)ak_object_unref(self->policy);
    for (size_t i = 0; i < AK_TOOL_RIGHT_MAX; i++)
        ak_object_list_done(&self->rights[i]);
    *self = (struct ak_tool_observed){0};
}

void ak_tool_names_make(const char *tool, struct ak_tool_names *ret)
{
    (void)snprintf(ret->bastion, sizeof(ret->bastion), "%s-bastion", tool);
    (void)snprintf(ret->probe, sizeof(ret->probe), "%s-probe", tool);
    (void)snprintf(ret->worker, sizeof(ret->worker), "%s-permissions", tool);
    (void)snprintf(ret->identity, sizeof(ret->identity), "%s-identity", tool);
}

/* The pod of the Job that was made last, as far as is known; else the newest. Several may be of one second. */
static bool is_rather(const struct ak_tool_observed *o, const struct ak_meta *pod,
                      const struct ak_object *than)
{
    if (!than)
        return true;
    const struct ak_meta *other = ak_object_meta(than);
    const char *const made = o->recall.job;
    bool is_ours = ak_streq(ak_string_map_get(&pod->annotations, AK_ANNOTATION_POD_HASH), made);
    bool is_other = ak_streq(ak_string_map_get(&other->annotations, AK_ANNOTATION_POD_HASH), made);
    return is_ours == is_other ? pod->created > other->created : is_ours;
}

/* A Job's pod has a name that nobody chose. */
static int observe_jobs(struct ak_tool_controller *self, struct ak_tool_observed *o,
                        struct ak_error **reterr)
{
    const struct ak_meta *meta = ak_object_meta(o->tool);
    AK_AUTO(ak_object_list) list = {0};
    char text[AK_KEY_MAX];
    int r = ak_key_text((struct ak_key){meta->namespace_, meta->name}, text);
    if (r >= 0)
        r = ak_cache_find(self->pods, AK_POD_BY_TOOL, text, &list);
    if (r < 0)
        return ak_error_oom(reterr);
    const struct ak_object *last = NULL;
    for (size_t i = 0; i < list.len; i++) {
        const struct ak_meta *pod = ak_object_meta(list.items[i]);
        const struct ak_owner_ref *owner = ak_meta_controller(pod);
        if (!owner || !ak_streq(owner->kind, "Job") ||
            !ak_streq(ak_string_map_get(&pod->annotations, AK_TOOL_POD_UID), meta->uid))
            continue;
        if (is_rather(o, pod, last))
            last = list.items[i];
    }
    o->job = last ? ak_object_ref(last) : NULL;
    return 0;
}

static int observe_children(struct ak_tool_controller *self, struct ak_tool_observed *o,
                            struct ak_error **reterr)
{
    const struct ak_meta *meta = ak_object_meta(o->tool);
    struct ak_tool_names names;
    ak_tool_names_make(meta->name, &names);
    o->bastion = ak_cache_get(self->pods, meta->namespace_, names.bastion);
    o->probe = ak_cache_get(self->pods, meta->namespace_, names.probe);
    o->worker = ak_cache_get(self->pods, meta->namespace_, names.worker);
    o->account = ak_cache_get(self->accounts, meta->namespace_, names.bastion);
    o->policy = ak_cache_get(self->policies, meta->namespace_, names.bastion);
    for (size_t i = 0; i < AK_TOOL_RIGHT_MAX; i++)
        if (self->rights[i] &&
            ak_cache_find(self->rights[i], AK_RIGHT_BY_TOOL, meta->uid, &o->rights[i]) < 0)
            return ak_error_oom(reterr);
    o->sees_cluster = self->rights[AK_TOOL_RIGHT_CLUSTER_ROLE] != NULL;
    return observe_jobs(self, o, reterr);
}

/* ---- Secrets ---- */

static int observe_secret(struct ak_tool_controller *self, struct ak_tool_observed *o,
                          const char *name, const char *key, struct ak_digest *ret,
                          struct ak_error **reterr)
{
    bool lives = o->bastion || o->use.wanted;
    const struct ak_digest_query query = {.resource = &ak_secret_resource,
                                          .namespace_ = ak_object_meta(o->tool)->namespace_,
                                          .name = name,
                                          .key = key,
                                          .max_age = lives ? AK_TOOL_FRESH : 0};
    int r = ak_digests_read(self->digests, &query, ret, reterr);
    if (r < 0)
        return r;
    ak_msec ttl = ret->key_found ? 0 : ak_digests_ttl(self->digests, /* missing= */ true);
    if (ttl && (!o->read_ttl || ttl < o->read_ttl))
        o->read_ttl = ttl;
    return 0;
}

static int observe_secrets(struct ak_tool_controller *self, struct ak_tool_observed *o,
                           struct ak_error **reterr)
{
    const struct ak_tool_spec *spec = ak_tool_spec_of(o);
    const struct ak_secret_key_ref *credential =
        spec->config ? spec->config->credentials_ref : NULL;
    const struct ak_secret_key_ref *ca = ak_tool_ca_ref(spec);
    const struct ak_secret_key_ref *admin =
        spec->permissions ? spec->permissions->admin_credentials_ref : NULL;
    struct ak_tool_names names;
    int r = 0;
    if (credential)
        r = observe_secret(self, o, credential->name, credential->key, &o->credential, reterr);
    if (r >= 0 && ca)
        r = observe_secret(self, o, ca->name, ca->key, &o->ca, reterr);
    if (r >= 0 && admin)
        r = observe_secret(self, o, admin->name, admin->key, &o->admin, reterr);
    if (r < 0 || !ak_policy_is_provisioned(spec))
        return r;
    ak_tool_names_make(ak_object_meta(o->tool)->name, &names);
    return observe_secret(self, o, names.identity, NULL, &o->identity, reterr);
}

/* ---- what was made earlier ---- */

static void wipe(const char *text)
{
    /* jansson hands out its own buffer as const; these bytes must not stay in the heap. */
    ak_wipe((char *)(uintptr_t)text, strlen(text));
}

static int decode_earlier(const char *text, struct ak_arena *arena, struct ak_tool_observed *o,
                          struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;
    struct ak_tool_spec *spec = ak_arena_alloc(arena, sizeof(*spec));
    o->earlier_text = ak_arena_strdup(arena, text);
    if (!spec || !o->earlier_text)
        return ak_error_oom(reterr);
    int r = ak_json_parse(text, strlen(text), &tree, &err);
    if (r >= 0)
        r = ak_decode(&ak_tool_spec_type, json_object_get(tree, "spec"), spec, arena, &err);
    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    o->earlier = r < 0 ? NULL : spec; /* what somebody else wrote there is not ours */
    if (!o->earlier)
        o->earlier_text = NULL;
    return 0;
}

int ak_tool_observe_earlier(struct ak_tool_controller *self, struct ak_arena *arena,
                            struct ak_tool_observed *o, struct ak_error **reterr)
{
    const struct ak_meta *meta = ak_object_meta(o->tool);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *secret = NULL;
    struct ak_tool_names names;
    const char *key;
    json_t *value;
    ak_tool_names_make(meta->name, &names);
    int r = ak_client_get(ak_manager_client(self->manager), &ak_secret_resource, meta->namespace_,
                          names.identity, &secret, &err);
    o->asked = true;
    if (r < 0 && r != AK_E_NOT_FOUND && reterr)
        *reterr = AK_TAKE(err);
    if (r < 0)
        return r == AK_E_NOT_FOUND ? 0 : r;
    json_object_foreach(json_object_get(secret, "data"), key, value)
    {
        if (json_is_string(value))
            wipe(json_string_value(value));
    }
    const char *text =
        ak_json_text(secret, "metadata", "annotations", AK_TOOL_IDENTITY_MADE_FOR, NULL);
    return text ? decode_earlier(text, arena, o, reterr) : 0;
}

/* ---- all of it ---- */

/* The bastion's pod, if it may be given something. */
static int observe_use(struct ak_tool_controller *self, struct ak_arena *arena,
                       struct ak_tool_observed *o, struct ak_error **reterr)
{
    struct ak_tool_pod_view pod;
    int r = ak_tool_pod_view_make(o->bastion, ak_object_meta(o->tool), arena, &pod, reterr);
    if (r < 0)
        return r;
    if (ak_tools_look(self->uses, o->tool, pod.state == AK_TOOL_POD_READY ? o->bastion : NULL,
                      arena, &o->use) < 0)
        return ak_error_oom(reterr);
    return 0;
}

int ak_tool_observe(struct ak_tool_controller *self, const struct ak_request *req,
                    struct ak_arena *arena, struct ak_tool_observed *ret, struct ak_error **reterr)
{
    AK_AUTO(ak_tool_observed)
    o = {.options = self->options,
         .now = ak_clock_wall(self->clock),
         .uptime = ak_clock_now(self->clock)};
    o.tool = ak_cache_get(self->tools, req->ns, req->name);
    if (!o.tool) {
        ak_tool_memory_forget(self->memory, req->ns, req->name);
        ak_tools_forget(self->uses, req->ns, req->name);
        return 1;
    }
    ak_tool_memory_get(self->memory, req->ns, req->name, ak_object_meta(o.tool)->uid, &o.recall);
    o.bundle = ak_runs_bundle(self->runs, arena);
    int r = observe_children(self, &o, reterr);
    if (r >= 0)
        r = observe_use(self, arena, &o, reterr);
    if (r >= 0 && ak_tool_spec_of(&o))
        r = observe_secrets(self, &o, reterr);
    if (r < 0)
        return r;
    *ret = o;
    o = (struct ak_tool_observed){0};
    return 0;
}
