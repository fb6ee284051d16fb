/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/digests.h"

#include <ak/base/alloc.h>
#include <ak/base/map.h>
#include <ak/base/secret.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define TTL_FOUND AK_SECONDS(60)
#define TTL_MISSING AK_SECONDS(10)
#define KEYS_MAX 256 /* keys of one object that are remembered */

struct key_digest {
    const char *key; /* in the entry's arena */
    char hex[AK_DIGEST_SIZE];
};

/* One object as it was read. Immutable after it was put into the table. */
struct entry {
    char *id; /* "Secret/namespace/name" */
    struct ak_arena arena;
    bool found;
    bool secret;
    char all[AK_DIGEST_SIZE];
    struct key_digest *keys;
    size_t n_keys;
    const char *resource_version; /* ConfigMap: of the content that was read */
    ak_msec read_at, used_at;
    struct entry *newer, *older; /* in the order of use */
};

struct ak_digests {
    struct ak_client *client;
    const struct ak_clock *clock;
    struct ak_mutex lock; /* guards all below */
    struct ak_map map;
    struct entry *newest, *oldest;
    size_t n_secrets;
};

static struct entry *entry_free(struct entry *e)
{
    if (!e)
        return NULL;
    ak_arena_done(&e->arena);
    ak_free(e->id);
    ak_free(e);
    return NULL;
}

int ak_digest_bytes(const void *data, size_t len, char ret[static AK_DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned raw_len = 0;
    if (!EVP_Digest(data, len, raw, &raw_len, EVP_sha256(), NULL))
        return -ENOMEM;
    for (size_t i = 0; i < (AK_DIGEST_SIZE - 1) / 2; i++) {
        ret[2 * i] = digits[raw[i] >> 4];
        ret[2 * i + 1] = digits[raw[i] & 15];
    }
    ret[AK_DIGEST_SIZE - 1] = '\0';
    return 0;
}

/* HMAC first, so that equal values of two Secrets do not show as equal. */
static int keyed_digest(const char *uid, const char *value, size_t len,
                        char ret[static AK_DIGEST_SIZE])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    if (!HMAC(EVP_sha256(), uid, (int)strlen(uid), (const unsigned char *)value, len, mac,
              &mac_len))
        return -ENOMEM;
    return ak_digest_bytes(mac, mac_len, ret);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct key_digest *)a)->key, ((const struct key_digest *)b)->key);
}

/* Adds the digests of one map of values ("data", "binaryData") and overwrites what was read. */
static int digest_values(struct entry *e, const char *uid, json_t *values)
{
    const char *key;
    json_t *value;
    json_object_foreach(values, key, value)
    {
        if (!json_is_string(value) || e->n_keys == KEYS_MAX)
            continue;
        struct key_digest *kd = &e->keys[e->n_keys];
        kd->key = ak_arena_strdup(&e->arena, key);
        if (!kd->key)
            return -ENOMEM;
        int r = keyed_digest(uid, json_string_value(value), json_string_length(value), kd->hex);
        if (r < 0)
            return r;
        e->n_keys++;
    }
    return 0;
}

static void wipe_values(json_t *values)
{
    const char *key;
    json_t *value;
    json_object_foreach(values, key, value)
    {
        if (json_is_string(value)) {
            /* jansson hands out its own buffer as const; these bytes must not stay in the heap. */
            char *bytes = (char *)(uintptr_t)json_string_value(value);
            ak_wipe(bytes, json_string_length(value));
        }
    }
}

static int digest_all(struct entry *e)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    qsort(e->keys, e->n_keys, sizeof(*e->keys), by_key);
    for (size_t i = 0; i < e->n_keys; i++)
        if (ak_buf_addf(&text, "%s=%s\n", e->keys[i].key, e->keys[i].hex) < 0)
            return -ENOMEM;
    return ak_digest_bytes(ak_buf_text(&text), text.len, e->all);
}

static int entry_fill(struct entry *e, const json_t *tree, struct ak_error **reterr)
{
    const char *uid = ak_json_text(tree, "metadata", "uid", NULL);
    const char *version = ak_json_text(tree, "metadata", "resourceVersion", NULL);
    json_t *data = json_object_get(tree, "data");
    json_t *binary = json_object_get(tree, "binaryData");
    size_t n = json_object_size(data) + json_object_size(binary);
    e->found = true;
    e->resource_version = ak_arena_strdup(&e->arena, version ? version : "");
    e->keys = ak_arena_alloc(&e->arena, (AK_MIN(n, KEYS_MAX) + 1) * sizeof(*e->keys));
    int r = e->keys && e->resource_version ? digest_values(e, uid ? uid : "", data) : -ENOMEM;
    if (r >= 0)
        r = digest_values(e, uid ? uid : "", binary);
    wipe_values(data);
    wipe_values(binary);
    if (r >= 0)
        r = digest_all(e);
    return r < 0 ? ak_error_oom(reterr) : 0;
}

/* GET by name; a missing object gives an entry that says so. The answer's bytes are wiped. */
static int entry_read(struct ak_digests *self, const struct ak_digest_query *q, struct entry *e,
                      struct ak_error **reterr)
{
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1024);
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_JSON_MAX_BYTES);
    AK_AUTO_PTR(ak_error) err = NULL;
    AK_AUTO_JSON *tree = NULL;
    body.wipe = true;
    if (ak_resource_path(q->resource, q->namespace_, q->name, NULL, &path) < 0)
        return ak_error_oom(reterr);
    const struct ak_call call = {.method = "GET", .path = ak_buf_text(&path)};
    int r = ak_client_call_raw(self->client, &call, &body, &err);
    e->read_at = ak_clock_now(self->clock);
    if (r == AK_E_NOT_FOUND)
        return 0;
    if (r < 0)
        return ak_error_set(reterr, r, "read %s \"%s/%s\": %s", q->resource->kind, q->namespace_,
                            q->name, ak_error_message(err));
    r = ak_json_parse(ak_buf_text(&body), body.len, &tree, reterr);
    return r < 0 ? r : entry_fill(e, tree, reterr);
}

static void unlink_entry(struct ak_digests *self, struct entry *e)
{
    *(e->newer ? &e->newer->older : &self->newest) = e->older;
    *(e->older ? &e->older->newer : &self->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void link_newest(struct ak_digests *self, struct entry *e)
{
    e->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = e;
    self->newest = e;
}

static void drop_locked(struct ak_digests *self, struct entry *e)
{
    (void)ak_map_remove(&self->map, e->id);
    unlink_entry(self, e);
    self->n_secrets -= e->secret;
    (void)entry_free(e);
}

/* Entries that nobody asks for any more must not slow the others' refresh down. */
static void drop_unused_locked(struct ak_digests *self, ak_msec now, ak_msec ttl)
{
    while (self->oldest &&
           (self->map.len > AK_DIGESTS_MAX || now - self->oldest->used_at > 10 * ttl))
        drop_locked(self, self->oldest);
}

static ak_msec ttl_locked(const struct ak_digests *self, bool missing)
{
    ak_msec shared = AK_SECONDS(self->n_secrets / AK_DIGESTS_READS_PER_SECOND);
    return AK_MAX(missing ? TTL_MISSING : TTL_FOUND, shared);
}

static const struct key_digest *find_key(const struct entry *e, const char *key)
{
    for (size_t i = 0; i < e->n_keys; i++)
        if (ak_streq(e->keys[i].key, key))
            return &e->keys[i];
    return NULL;
}

static bool is_fresh_locked(const struct ak_digests *self, const struct entry *e,
                            const struct ak_digest_query *q)
{
    if (!e)
        return false;
    if (q->resource_version)
        return ak_streq(e->resource_version, q->resource_version);
    if (q->max_age)
        return ak_clock_now(self->clock) - e->read_at < q->max_age;
    bool missing = !e->found || (q->key && !find_key(e, q->key));
    /* A little early, so that a reconcile that was called back after exactly the time to live reads. */
    return ak_clock_now(self->clock) - e->read_at < ttl_locked(self, missing) * 9 / 10;
}

static void copy_digest(const struct entry *e, const char *key, struct ak_digest *ret)
{
    const struct key_digest *found = key ? find_key(e, key) : NULL;
    *ret = (struct ak_digest){.found = e->found, .key_found = e->found && (!key || found)};
    if (ret->key_found)
        memcpy(ret->hex, found ? found->hex : e->all, AK_DIGEST_SIZE);
}

/* Puts a new reading in place of an older one. Takes the entry. */
static int put_locked(struct ak_digests *self, struct entry *e)
{
    struct entry *old = ak_map_get(&self->map, e->id);
    if (old)
        drop_locked(self, old);
    int r = ak_map_put(&self->map, e->id, e, NULL);
    if (r < 0) {
        (void)entry_free(e);
        return r;
    }
    e->used_at = e->read_at;
    link_newest(self, e);
    self->n_secrets += e->secret;
    drop_unused_locked(self, e->read_at, ttl_locked(self, false));
    return 0;
}

int ak_digests_read(struct ak_digests *self, const struct ak_digest_query *q, struct ak_digest *ret,
                    struct ak_error **reterr)
{
    AK_AUTO_TEXT char *id = ak_asprintf("%s/%s/%s", q->resource->kind, q->namespace_, q->name);
    if (!id)
        return ak_error_oom(reterr);
    ak_mutex_lock(&self->lock);
    struct entry *e = ak_map_get(&self->map, id);
    bool fresh = is_fresh_locked(self, e, q);
    if (fresh) {
        copy_digest(e, q->key, ret);
        unlink_entry(self, e);
        e->used_at = ak_clock_now(self->clock);
        link_newest(self, e);
    }
    ak_mutex_unlock(&self->lock);
    if (fresh)
        return 0;

    e = ak_new0(struct entry);
    if (!e)
        return ak_error_oom(reterr);
    ak_arena_init(&e->arena, 256, 1u << 20);
    e->id = AK_TAKE(id);
    e->secret = ak_streq(q->resource->kind, "Secret");
    struct ak_digest found = {0};
    int r = entry_read(self, q, e, reterr);
    if (r < 0) {
        (void)entry_free(e);
        return r;
    }
    copy_digest(e, q->key, &found);
    ak_mutex_lock(&self->lock);
    r = put_locked(self, e);
    ak_mutex_unlock(&self->lock);
    if (r < 0)
        return ak_error_oom(reterr);
    *ret = found;
    return 0;
}

ak_msec ak_digests_ttl(struct ak_digests *self, bool missing)
{
    ak_mutex_lock(&self->lock);
    ak_msec ttl = ttl_locked(self, missing);
    ak_mutex_unlock(&self->lock);
    return ttl;
}

int ak_digests_new(struct ak_client *client, const struct ak_clock *clock, struct ak_digests **ret,
                   struct ak_error **reterr)
{
    struct ak_digests *self = ak_new0(struct ak_digests);
    if (!self)
        return ak_error_oom(reterr);
    self->client = client;
    self->clock = clock ? clock : ak_clock_system();
    ak_mutex_init(&self->lock);
    ak_map_init(&self->map, 2 * AK_DIGESTS_MAX);
    *ret = self;
    return 0;
}

struct ak_digests *ak_digests_free(struct ak_digests *self)
{
    if (!self)
        return NULL;
    while (self->oldest)
        drop_locked(self, self->oldest);
    ak_map_done(&self->map);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}
