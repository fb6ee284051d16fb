/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/invoke/memo.h"

#include <ak/base/alloc.h>
#include <ak/base/map.h>
#include <ak/base/thread.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct entry {
    struct ak_memo_key key;
    void *value;
    ak_msec until;
    struct entry *newer, *older; /* by use */
};

struct ak_memo {
    struct ak_memo_options options;
    struct ak_mutex
        lock; /* guards what follows; ref and unref are called under it, and only count */
    struct ak_map map;
    struct entry *newest, *oldest;
};

/* ---- digests */

static int add_text(EVP_MD_CTX *ctx, const char *text)
{
    uint64_t len = strlen(text);

    return EVP_DigestUpdate(ctx, &len, sizeof(len)) == 1 && EVP_DigestUpdate(ctx, text, len) == 1
               ? 0
               : -ENOMEM;
}

int ak_memo_digest(struct ak_memo_key *ret, const char *const *texts)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    int r = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;

    for (; r >= 0 && *texts; texts++)
        r = add_text(ctx, *texts);
    if (r >= 0 && EVP_DigestFinal_ex(ctx, digest, &len) != 1)
        r = -ENOMEM;
    EVP_MD_CTX_free(ctx);
    for (unsigned int i = 0; r >= 0 && i < len && 2 * i + 2 < sizeof(ret->text); i++)
        (void)snprintf(ret->text + 2 * i, 3, "%02x", digest[i]);
    return r;
}

/* ---- entries */

static void unlink_entry(struct ak_memo *self, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &self->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &self->oldest) = entry->newer;
    entry->newer = entry->older = NULL;
}

static void link_newest(struct ak_memo *self, struct entry *entry)
{
    entry->older = self->newest;
    if (self->newest)
        self->newest->newer = entry;
    else
        self->oldest = entry;
    self->newest = entry;
}

static void drop(struct ak_memo *self, struct entry *entry)
{
    (void)ak_map_remove(&self->map, entry->key.text);
    unlink_entry(self, entry);
    if (self->options.unref)
        self->options.unref(entry->value);
    ak_free(entry);
}

struct ak_memo *ak_memo_free(struct ak_memo *self)
{
    if (!self)
        return NULL;
    while (self->oldest)
        drop(self, self->oldest);
    ak_map_done(&self->map);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_memo_new(const struct ak_memo_options *options, struct ak_memo **ret,
                struct ak_error **reterr)
{
    struct ak_memo *self = ak_new0(struct ak_memo);

    if (!self)
        return ak_error_oom(reterr);
    self->options = *options;
    ak_mutex_init(&self->lock);
    ak_map_init(&self->map, options->max);
    *ret = self;
    return 0;
}

bool ak_memo_find(struct ak_memo *self, const struct ak_memo_key *key, void **ret_value)
{
    ak_mutex_lock(&self->lock);
    struct entry *entry = ak_map_get(&self->map, key->text);
    if (entry && entry->until <= ak_clock_now(self->options.clock)) {
        drop(self, entry);
        entry = NULL;
    }
    if (entry) {
        unlink_entry(self, entry);
        link_newest(self, entry);
        *ret_value = self->options.ref ? self->options.ref(entry->value) : entry->value;
    }
    ak_mutex_unlock(&self->lock);
    return entry;
}

static void put_locked(struct ak_memo *self, const struct ak_memo_key *key, void *value,
                       ak_msec life)
{
    struct entry *entry = ak_map_get(&self->map, key->text);

    if (entry)
        drop(self, entry);
    while (self->oldest && self->map.len >= self->options.max)
        drop(self, self->oldest);
    entry = ak_new0(struct entry);
    if (!entry)
        return;
    entry->key = *key;
    entry->until = ak_clock_now(self->options.clock) + life;
    entry->value = value;
    if (ak_map_put(&self->map, entry->key.text, entry, NULL) < 0) {
        ak_free(entry);
        return;
    }
    if (self->options.ref)
        (void)self->options.ref(value);
    link_newest(self, entry);
}

void ak_memo_put(struct ak_memo *self, const struct ak_memo_key *key, void *value, ak_msec life)
{
    ak_mutex_lock(&self->lock);
    put_locked(self, key, value, life);
    ak_mutex_unlock(&self->lock);
}

size_t ak_memo_len(struct ak_memo *self)
{
    ak_mutex_lock(&self->lock);
    size_t len = self->map.len;
    ak_mutex_unlock(&self->lock);
    return len;
}
