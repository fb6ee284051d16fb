/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an apiserver, or whatever stands in its place, sends as a list and then as a watch: through the
 * splitter, the decoder, the watch's core and into a cache. The first byte says how the rest is cut, and
 * how an answer ends; whatever came, the machine must stay one that goes on.
 */
#include <stdlib.h>
#include <string.h>

#include <ak/base/text.h>
#include <ak/flow/cache.h>
#include <ak/json/json.h>
#include <ak/json/split.h>
#include <watch/core.h>

static const struct ak_kind kind = {
    .resource = {"", "v1", "Pod", "pods", true},
    .flags = AK_KIND_LABELS | AK_KIND_ANNOTATIONS | AK_KIND_FINALIZERS | AK_KIND_OWNED_HASH,
};
static const struct ak_watch_options options = {.kind = &kind, .seed = 1, .manager = "m"};

struct target {
    struct ak_watch_core core;
    struct ak_cache *cache;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void emit(struct target *t, enum ak_event_type type, const struct ak_object *object)
{
    ak_cache_sink(&(struct ak_event){.type = type, .object = object}, t->cache);
}

static void emit_tree(struct target *t, enum ak_event_type type, const json_t *tree)
{
    AK_AUTO_OBJECT object = NULL;

    if (ak_object_decode(&kind, tree, "m", &object, NULL) >= 0)
        emit(t, type, object);
}

static int on_value(enum ak_split_value what, const char *text, size_t len, void *user,
                    struct ak_error **reterr)
{
    struct target *t = user;
    AK_AUTO_JSON *tree = NULL;
    enum ak_watch_frame frame;
    int r = ak_json_parse(text, len, &tree, reterr);

    if (r < 0)
        return r;
    if (t->core.state == AK_WATCH_LISTING) {
        if (what != AK_SPLIT_METADATA)
            emit_tree(t, AK_EVENT_INIT_APPLY, tree);
        else
            return ak_watch_core_page(&t->core, ak_json_text(tree, "resourceVersion", NULL),
                                      ak_json_text(tree, "continue", NULL));
        return 0;
    }
    r = ak_watch_core_frame(&t->core, ak_json_text(tree, "type", NULL),
                            ak_json_text(tree, "object", "metadata", "resourceVersion", NULL),
                            &frame);
    if (r >= 0 && frame == AK_FRAME_ERROR)
        return AK_E_GONE;
    if (r >= 0 && (frame == AK_FRAME_APPLY || frame == AK_FRAME_DELETE))
        emit_tree(t, frame == AK_FRAME_APPLY ? AK_EVENT_APPLY : AK_EVENT_DELETE,
                  ak_json_at(tree, "object", NULL));
    return r;
}

/* One answer; returns where the next one begins (answers are separated by a zero byte). */
static size_t answer(struct target *t, const char *data, size_t size, size_t step, int end_code)
{
    bool listing = t->core.state == AK_WATCH_LISTING;
    const char *zero = memchr(data, 0, size);
    size_t len = zero ? (size_t)(zero - data) : size;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(1u << 20);
    AK_AUTO_PTR(ak_split)
    split = ak_split_new(listing ? AK_SPLIT_LIST : AK_SPLIT_FRAMES, 65536, on_value, t);
    struct ak_watch_step next;
    int r;

    if (!split || ak_watch_core_request(&t->core, 0, &path) < 0)
        abort();
    if (listing && ak_watch_core_is_first_page(&t->core))
        emit(t, AK_EVENT_INIT, NULL);
    r = 0;
    for (size_t at = 0; at < len && r >= 0; at += step)
        r = ak_split_feed(split, data + at, AK_MIN(step, len - at), NULL);
    if (r >= 0)
        r = end_code ? end_code : ak_split_end(split, NULL);
    next = ak_watch_core_end(&t->core, r, 0, 2000);
    if (next.list_done)
        emit(t, AK_EVENT_INIT_DONE, NULL);
    if (next.list_done && t->core.version.len == 0)
        abort(); /* there must be something to watch from */
    if (t->core.state == AK_WATCH_BACKOFF && next.backoff <= 0)
        abort(); /* a hot loop */
    ak_watch_core_waited(&t->core);
    if (t->core.state != AK_WATCH_LISTING && t->core.state != AK_WATCH_WATCHING)
        abort(); /* it stands still */
    return len + (zero ? 1 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int codes[] = {0, 0, 0, AK_E_PROTOCOL, AK_E_GONE, -ETIMEDOUT, AK_E_INVALID};
    struct target t = {0};
    size_t step, at = 1;

    if (size == 0)
        return 0;
    step = (size_t)data[0] % 32 + 1;
    if (ak_cache_new(&kind, NULL, 0, NULL, NULL, &t.cache, NULL) < 0)
        abort();
    ak_watch_core_init(&t.core, &options);
    ak_watch_core_start(&t.core);
    while (at < size)
        at += answer(&t, (const char *)data + at, size - at, step,
                     codes[data[0] / 32 % AK_ARRAY_LEN(codes)]);
    ak_watch_core_done(&t.core);
    ak_cache_free(t.cache);
    return 0;
}
