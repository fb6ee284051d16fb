/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/flow/apply.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/base/thread.h>

/* For /metrics. Relaxed: they are numbers to look at, nothing is ordered by them. */
static atomic_uint_fast64_t n_sent, n_skipped;

static int skip(void)
{
    (void)atomic_fetch_add_explicit(&n_skipped, 1, memory_order_relaxed);
    return 0;
}

void ak_apply_counts(uint64_t *ret_sent, uint64_t *ret_skipped)
{
    *ret_sent = atomic_load_explicit(&n_sent, memory_order_relaxed);
    *ret_skipped = atomic_load_explicit(&n_skipped, memory_order_relaxed);
}

/* An object somewhere, as far as ownership goes: in the cache, or just read. */
struct standing {
    const char *uid, *version; /* "" if not known */
    uint64_t owned_hash;
    bool is_ours;
    char holder[320]; /* "Foo "x"", for the message */
};

/*
 * What was written lately: "the object with this uid was given these fields while the cache showed it at
 * that resourceVersion". As long as the cache still shows that one, it is behind our own write (or the
 * write changed nothing: the server spells a value in its own way), and writing again would be for
 * nothing. The table is small and forgets; that costs a needless request, never a missing one.
 */
#define N_RECENT 2048 /* a power of two */
static struct recent {
    uint64_t object, version, desired;
} recent[N_RECENT];
static struct ak_mutex recent_lock = {.m = PTHREAD_MUTEX_INITIALIZER}; /* guards recent */

static struct recent recent_of(const struct standing *live, const char *sub, uint64_t desired)
{
    uint64_t object = ak_hash_bytes(AK_HASH_SEED, sub, strlen(sub) + 1);

    return (struct recent){
        .object = ak_hash_bytes(object, live->uid, strlen(live->uid)),
        .version = ak_hash_bytes(AK_HASH_SEED, live->version, strlen(live->version)),
        .desired = desired,
    };
}

static struct recent *recent_slot(const struct recent *r)
{
    return &recent[(r->object ^ (r->object >> 32)) & (N_RECENT - 1)];
}

static bool was_written(const struct recent *r)
{
    bool same;

    ak_mutex_lock(&recent_lock);
    same = memcmp(recent_slot(r), r, sizeof(*r)) == 0;
    ak_mutex_unlock(&recent_lock);
    return same;
}

static void note_written(const struct recent *r)
{
    ak_mutex_lock(&recent_lock);
    *recent_slot(r) = *r;
    ak_mutex_unlock(&recent_lock);
}

/* Asked directly before each write: a deposed leader does nothing more. */
static int begin_write(const struct ak_apply *self, struct ak_error **reterr)
{
    if (self->may_write && !self->may_write(self->user))
        return ak_error_set(reterr, AK_E_CANCELLED, "not written: this process is not the leader");
    (void)atomic_fetch_add_explicit(&n_sent, 1, memory_order_relaxed);
    return 0;
}

static void describe_holder(struct standing *s, const char *kind, const char *name)
{
    if (kind)
        (void)snprintf(s->holder, sizeof(s->holder), "%.60s \"%.253s\"", kind, name ? name : "");
    else
        (void)snprintf(s->holder, sizeof(s->holder), "somebody else (it has no controller)");
}

static void stand_cached(const struct ak_object *live, const char *owner_uid, struct standing *ret)
{
    const struct ak_meta *m = ak_object_meta(live);
    const struct ak_owner_ref *ref = ak_meta_controller(m);

    *ret = (struct standing){
        .uid = m->uid ? m->uid : "",
        .version = m->resource_version ? m->resource_version : "",
        .owned_hash = ak_object_owned_hash(live),
    };
    ret->is_ours = !owner_uid || (ref && ak_streq(ref->uid, owner_uid));
    describe_holder(ret, ref ? ref->kind : NULL, ref ? ref->name : NULL);
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static void stand_read(const json_t *live, const char *manager, const char *owner_uid,
                       struct standing *ret)
{
    const json_t *refs = ak_json_at(live, "metadata", "ownerReferences", NULL), *ref = NULL;

    for (size_t i = 0; i < json_array_size(refs) && !ref; i++)
        if (json_is_true(ak_json_at(json_array_get(refs, i), "controller", NULL)))
            ref = json_array_get(refs, i);
    *ret = (struct standing){
        .uid = text_or_empty(ak_json_text(live, "metadata", "uid", NULL)),
        .version = text_or_empty(ak_json_text(live, "metadata", "resourceVersion", NULL)),
        .owned_hash = ak_owned_hash(live, manager),
    };
    ret->is_ours = !owner_uid || (ref && ak_streq(ak_json_text(ref, "uid", NULL), owner_uid));
    describe_holder(ret, ref ? ak_json_text(ref, "kind", NULL) : NULL,
                    ref ? ak_json_text(ref, "name", NULL) : NULL);
}

static int refuse_foreign(const struct ak_resource *r, const char *ns, const char *name,
                          const struct standing *s, struct ak_error **reterr)
{
    return ak_error_set(reterr, AK_E_TERMINAL, "%s \"%s%s%s\" exists already and belongs to %s",
                        r->kind, ns ? ns : "", ns ? "/" : "", name, s->holder);
}

/* With the uid in it, the server refuses the apply if the object was replaced meanwhile. */
static int set_uid(json_t *desired, const char *uid, struct ak_error **reterr)
{
    json_t *metadata = json_object_get(desired, "metadata");

    if (!uid[0])
        return 0;
    if (!metadata || json_object_set_new(metadata, "uid", json_string(uid)) < 0)
        return ak_error_oom(reterr);
    return 0;
}

/* The object is there and may be ours: write it if it differs. */
static int apply_over(const struct ak_apply *self, const struct ak_resource *r, json_t *desired,
                      const struct standing *live, uint32_t flags, struct ak_error **reterr)
{
    const char *ns = ak_json_text(desired, "metadata", "namespace", NULL);
    const char *name = ak_json_text(desired, "metadata", "name", NULL);
    uint64_t hash = ak_desired_hash(desired);
    struct recent written = recent_of(live, "", hash);
    int n;

    if (!live->is_ours)
        return refuse_foreign(r, ns, name, live, reterr);
    if ((live->owned_hash && live->owned_hash == hash) || was_written(&written))
        return skip();
    n = set_uid(desired, live->uid, reterr);
    if (n >= 0)
        n = begin_write(self, reterr);
    if (n < 0)
        return n;
    n = ak_client_apply(self->client, r, NULL, desired, self->manager, flags & AK_APPLY_FORCE, NULL,
                        reterr);
    /* 1.20 says "uid: field is immutable" (422) where newer servers say conflict (409). */
    if (n == AK_E_INVALID && strstr(ak_error_message(reterr ? *reterr : NULL), "metadata.uid"))
        return ak_error_set(reterr, AK_E_CONFLICT, "%s \"%s\" was replaced by another of that name",
                            r->kind, name);
    if (n < 0)
        return n;
    note_written(&written);
    return 1;
}

/* Reads the object past the cache. 1: it is there, and *ret_tree keeps what *ret points into; 0: not. */
static int look(const struct ak_apply *self, const struct ak_resource *r, const json_t *desired,
                const char *owner_uid, json_t **ret_tree, struct standing *ret,
                struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    int n = ak_client_get(self->client, r, ak_json_text(desired, "metadata", "namespace", NULL),
                          ak_json_text(desired, "metadata", "name", NULL), ret_tree, &err);

    if (n == AK_E_NOT_FOUND)
        return 0;
    if (n < 0) {
        if (reterr)
            *reterr = AK_TAKE(err);
        return n;
    }
    stand_read(*ret_tree, self->manager, owner_uid, ret);
    return 1;
}

/*
 * The cache knows of no such object. An apply cannot say "only if it does not exist", so this one never
 * forces: an object that appeared meanwhile with other values, or with another controller, makes the
 * server refuse, and then we look whose it is. If it is ours (the cache was behind) the apply does no harm.
 */
static int apply_new(const struct ak_apply *self, const struct ak_resource *r, json_t *desired,
                     const char *owner_uid, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    AK_AUTO_PTR(ak_error) err = NULL;
    struct standing live;
    int n, found;

    n = begin_write(self, reterr);
    if (n < 0)
        return n;
    n = ak_client_apply(self->client, r, NULL, desired, self->manager, false, NULL, &err);
    if (n >= 0)
        return 1;
    if (owner_uid && (n == AK_E_CONFLICT || n == AK_E_INVALID)) {
        found = look(self, r, desired, owner_uid, &tree, &live, NULL);
        if (found > 0 && !live.is_ours)
            return refuse_foreign(r, ak_json_text(desired, "metadata", "namespace", NULL),
                                  ak_json_text(desired, "metadata", "name", NULL), &live, reterr);
        /* Ours after all, with a field that somebody else changed: the next look at the cache settles it. */
    }
    if (reterr)
        *reterr = AK_TAKE(err);
    return n;
}

int ak_apply_object(const struct ak_apply *self, const struct ak_resource *r,
                    const struct ak_object *live, json_t *desired, const char *owner_uid,
                    uint32_t flags, struct ak_error **reterr)
{
    AK_AUTO_JSON *tree = NULL;
    struct standing standing;
    int n;

    if (!ak_json_text(desired, "metadata", "name", NULL))
        return ak_error_set(reterr, -EINVAL, "%s: metadata.name is missing", r->kind);
    if (live) {
        stand_cached(live, owner_uid, &standing);
        return apply_over(self, r, desired, &standing, flags, reterr);
    }
    if (flags & AK_APPLY_CHECK) {
        n = look(self, r, desired, owner_uid, &tree, &standing, reterr);
        if (n < 0)
            return n;
        if (n > 0)
            return apply_over(self, r, desired, &standing, flags, reterr);
    }
    return apply_new(self, r, desired, owner_uid, reterr);
}

int ak_apply_create(const struct ak_apply *self, const struct ak_resource *r, const json_t *desired,
                    struct ak_error **reterr)
{
    int n = begin_write(self, reterr);

    if (n < 0)
        return n;
    n = ak_client_create(self->client, r, desired, self->manager, NULL, reterr);
    return n < 0 ? n : 1;
}

int ak_apply_delete(const struct ak_apply *self, const struct ak_object *live,
                    int64_t grace_seconds, struct ak_error **reterr)
{
    const struct ak_meta *m = ak_object_meta(live);
    const struct ak_delete_options options = {.uid = m->uid, .grace_seconds = grace_seconds};
    AK_AUTO_PTR(ak_error) err = NULL;
    int n;

    n = begin_write(self, reterr);
    if (n < 0)
        return n;
    n = ak_client_delete(self->client, &ak_object_kind(live)->resource, m->namespace_, m->name,
                         &options, &err);
    if (n == AK_E_NOT_FOUND || n == AK_E_CONFLICT)
        return 0;
    if (n < 0 && reterr)
        *reterr = AK_TAKE(err);
    return n < 0 ? n : 1;
}

static json_t *status_document(const struct ak_meta *m, const json_t *status)
{
    AK_AUTO_JSON *doc = json_pack("{s:{s:s, s:s}, s:O}", "metadata", "name", m->name, "uid",
                                  m->uid ? m->uid : "", "status", status);

    if (doc && !ak_is_empty(m->namespace_) &&
        json_object_set_new(json_object_get(doc, "metadata"), "namespace",
                            json_string(m->namespace_)) < 0)
        return NULL;
    return AK_TAKE(doc);
}

int ak_apply_status(const struct ak_apply *self, const struct ak_object *live, const json_t *status,
                    struct ak_error **reterr)
{
    const struct ak_meta *m = ak_object_meta(live);
    const struct ak_resource *r = &ak_object_kind(live)->resource;
    AK_AUTO_JSON *doc = status_document(m, status);
    struct standing standing;
    struct recent written;
    int n;

    if (!doc)
        return ak_error_oom(reterr);
    stand_cached(live, NULL, &standing);
    written = recent_of(&standing, "status", ak_desired_hash(doc));
    if ((standing.owned_hash && standing.owned_hash == written.desired) || was_written(&written))
        return skip();
    n = begin_write(self, reterr);
    if (n < 0)
        return n;
    /* Nobody else may own what we say about our own objects. */
    n = ak_client_apply(self->client, r, "status", doc, self->manager, true, NULL, reterr);
    if (n < 0)
        return n;
    note_written(&written);
    return 1;
}
