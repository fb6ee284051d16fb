/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/controllers/tool/tool_memory.h"

#include <ak/base/alloc.h>
#include <ak/base/map.h>
#include <ak/base/text.h>
#include <ak/base/thread.h>
#include <ak/flow/key.h>
#include <stdio.h>
#include <string.h>

struct entry {
    char key[AK_KEY_MAX];
    struct ak_tool_recall recall;
};
struct ak_tool_memory {
    struct ak_mutex lock; /* guards map */
    struct ak_map map;
};

struct ak_tool_memory *ak_tool_memory_free(struct ak_tool_memory *self)
{
    size_t it = 0;
    const char *key;
    void *value;
    if (!self)
        return NULL;
    while (ak_map_next(&self->map, &it, &key, &value))
        ak_free(value);
    ak_map_done(&self->map);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

int ak_tool_memory_new(struct ak_tool_memory **ret, struct ak_error **reterr)
{
    struct ak_tool_memory *self = ak_new0(struct ak_tool_memory);
    if (!self)
        return ak_error_oom(reterr);
    ak_mutex_init(&self->lock);
    ak_map_init(&self->map, AK_TOOL_MEMORY_MAX);
    *ret = self;
    return 0;
}

void ak_tool_memory_get(struct ak_tool_memory *self, const char *ns, const char *name,
                        const char *uid, struct ak_tool_recall *ret)
{
    char key[AK_KEY_MAX];
    *ret = (struct ak_tool_recall){0};
    if (ak_key_text((struct ak_key){ns, name}, key) >= 0) {
        ak_mutex_lock(&self->lock);
        const struct entry *e = ak_map_get(&self->map, key);
        if (e && ak_streq(e->recall.uid, uid))
            *ret = e->recall;
        ak_mutex_unlock(&self->lock);
    }
    (void)snprintf(ret->uid, sizeof(ret->uid), "%s", uid);
}

static bool is_nothing(const struct ak_tool_recall *recall)
{
    return !*recall->job && !recall->minted && !recall->bastion_failures && !recall->use_written;
}

void ak_tool_memory_put(struct ak_tool_memory *self, const char *ns, const char *name,
                        const struct ak_tool_recall *recall)
{
    char key[AK_KEY_MAX];
    if (ak_key_text((struct ak_key){ns, name}, key) < 0)
        return;
    ak_mutex_lock(&self->lock);
    struct entry *e = ak_map_get(&self->map, key);
    if (!e && !is_nothing(recall)) {
        e = ak_new0(struct entry);
        if (e)
            memcpy(e->key, key, sizeof(key));
        if (e && ak_map_put(&self->map, e->key, e, NULL) < 0) {
            ak_free(e);
            e = NULL;
        }
    }
    if (e)
        e->recall = *recall;
    ak_mutex_unlock(&self->lock);
}

void ak_tool_memory_forget(struct ak_tool_memory *self, const char *ns, const char *name)
{
    char key[AK_KEY_MAX];
    if (ak_key_text((struct ak_key){ns, name}, key) < 0)
        return;
    ak_mutex_lock(&self->lock);
    struct entry *e = ak_map_remove(&self->map, key);
    ak_mutex_unlock(&self->lock);
    ak_free(e);
}
