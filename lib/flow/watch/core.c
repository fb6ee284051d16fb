/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <string.h>

#include <ak/base/text.h>

#define DEFAULT_PAGE_SIZE 500
#define DEFAULT_BACKOFF_FIRST 800
#define DEFAULT_BACKOFF_MAX AK_SECONDS(30)
#define SERVER_TIMEOUT_MIN                                                                         \
    300 /* seconds; up to twice that, as client-go: watches move to new servers */
#define ALIVE AK_SECONDS(1) /* a watch that lasts this long, or says something, works */
#define MAX_EXPIRED 2       /* then the list is asked for in one piece */

static const char *const states[AK_WATCH_STATE_MAX] = {
    [AK_WATCH_IDLE] = "idle",
    [AK_WATCH_LISTING] = "listing",
    [AK_WATCH_WATCHING] = "watching",
    [AK_WATCH_BACKOFF] = "backoff",
};

static const struct {
    const char *type;
    enum ak_watch_frame frame;
} frames[] = {
    {"ADDED", AK_FRAME_APPLY},       {"MODIFIED", AK_FRAME_APPLY}, {"DELETED", AK_FRAME_DELETE},
    {"BOOKMARK", AK_FRAME_BOOKMARK}, {"ERROR", AK_FRAME_ERROR},
};

const char *ak_watch_state_to_string(enum ak_watch_state state)
{
    return (unsigned)state < AK_WATCH_STATE_MAX ? states[state] : "?";
}

void ak_watch_core_init(struct ak_watch_core *self, const struct ak_watch_options *options)
{
    *self = (struct ak_watch_core){
        .options = options,
        .version = AK_BUF_INIT(AK_WATCH_MAX_TOKEN),
        .token = AK_BUF_INIT(AK_WATCH_MAX_TOKEN),
        .next_token = AK_BUF_INIT(AK_WATCH_MAX_TOKEN),
    };
    ak_backoff_seed(&self->random, options->seed ? options->seed : (uint64_t)ak_wall_now());
}

void ak_watch_core_done(struct ak_watch_core *self)
{
    ak_buf_done(&self->version);
    ak_buf_done(&self->token);
    ak_buf_done(&self->next_token);
}

static void list_from_start(struct ak_watch_core *self)
{
    ak_buf_clear(&self->token);
    ak_buf_clear(&self->version);
}

void ak_watch_core_start(struct ak_watch_core *self)
{
    list_from_start(self);
    self->unpaged = false;
    self->expired = 0;
    self->failures = 0;
    self->state = AK_WATCH_LISTING;
}

bool ak_watch_core_is_first_page(const struct ak_watch_core *self)
{
    return self->token.len == 0;
}

static int add_query(struct ak_buf *path, char *separator, const char *name, const char *value)
{
    int r;

    if (ak_is_empty(value))
        return 0;
    r = ak_buf_addf(path, "%c%s=", *separator, name);
    *separator = '&';
    return r < 0 ? r : ak_buf_add_url_escaped(path, value);
}

static int add_list_query(struct ak_watch_core *self, struct ak_buf *path, char *separator)
{
    int page = self->options->page_size > 0 ? self->options->page_size : DEFAULT_PAGE_SIZE;
    int r;

    if (self->unpaged)
        return 0;
    r = ak_buf_addf(path, "%climit=%d", *separator, page);
    *separator = '&';
    return r < 0 ? r : add_query(path, separator, "continue", ak_buf_text(&self->token));
}

static int add_watch_query(struct ak_watch_core *self, struct ak_buf *path, char *separator)
{
    unsigned seconds =
        SERVER_TIMEOUT_MIN + (unsigned)(ak_backoff_next(&self->random) % SERVER_TIMEOUT_MIN);
    int r = ak_buf_addf(path, "%cwatch=true&allowWatchBookmarks=true&timeoutSeconds=%u", *separator,
                        seconds);

    *separator = '&';
    return r < 0 ? r : add_query(path, separator, "resourceVersion", ak_buf_text(&self->version));
}

int ak_watch_core_request(struct ak_watch_core *self, ak_msec now, struct ak_buf *ret_path)
{
    const struct ak_watch_options *o = self->options;
    char separator = '?';
    int r;

    r = ak_resource_path(&o->kind->resource, o->namespace_, NULL, NULL, ret_path);
    if (r >= 0)
        r = add_query(ret_path, &separator, "labelSelector", o->label_selector);
    if (r >= 0)
        r = add_query(ret_path, &separator, "fieldSelector", o->field_selector);
    if (r < 0)
        return r;
    self->page_seen = false;
    ak_buf_clear(&self->next_token);
    self->frames = 0;
    self->began = now;
    return self->state == AK_WATCH_LISTING ? add_list_query(self, ret_path, &separator)
                                           : add_watch_query(self, ret_path, &separator);
}

static int keep(struct ak_buf *buf, const char *text)
{
    ak_buf_clear(buf);
    return text ? ak_buf_adds(buf, text) : 0;
}

int ak_watch_core_page(struct ak_watch_core *self, const char *version, const char *token)
{
    int r = keep(&self->version, version);

    if (r >= 0)
        r = keep(&self->next_token, token);
    self->page_seen = r >= 0;
    return r;
}

int ak_watch_core_frame(struct ak_watch_core *self, const char *type, const char *version,
                        enum ak_watch_frame *ret)
{
    enum ak_watch_frame frame = AK_FRAME_UNKNOWN;

    for (size_t i = 0; i < AK_ARRAY_LEN(frames); i++)
        if (ak_streq(type, frames[i].type))
            frame = frames[i].frame;
    *ret = frame;
    if (frame == AK_FRAME_ERROR || frame == AK_FRAME_UNKNOWN)
        return 0;
    self->frames++;
    self->failures = 0;
    return ak_is_empty(version) ? 0 : keep(&self->version, version);
}

static struct ak_watch_step back_off(struct ak_watch_core *self, enum ak_watch_state then,
                                     ak_msec at_least)
{
    const struct ak_watch_options *o = self->options;
    ak_msec first = o->backoff_first > 0 ? o->backoff_first : DEFAULT_BACKOFF_FIRST;
    ak_msec max = o->backoff_max > 0 ? o->backoff_max : DEFAULT_BACKOFF_MAX;
    ak_msec delay = ak_backoff_delay(first, max, self->failures, &self->random);

    self->failures++;
    self->state = AK_WATCH_BACKOFF;
    self->after_backoff = then;
    return (struct ak_watch_step){.backoff = AK_MAX(delay, at_least)};
}

/* 410 after life is normal (we were away for long): list at once. Again and again it is not. */
static struct ak_watch_step relist(struct ak_watch_core *self)
{
    list_from_start(self);
    if (self->failures > 0)
        return back_off(self, AK_WATCH_LISTING, 0);
    self->failures++;
    self->state = AK_WATCH_LISTING;
    return (struct ak_watch_step){0};
}

static struct ak_watch_step list_ended(struct ak_watch_core *self, int code, ak_msec retry_after)
{
    bool was_paging = !ak_watch_core_is_first_page(self);

    /* Without a resourceVersion there is nothing to watch from. */
    if (code == 0 && !(self->page_seen && self->version.len))
        code = AK_E_PROTOCOL;
    if (code == 0) {
        struct ak_buf read = self->token;
        self->token = self->next_token;
        self->next_token = read;
        if (self->token.len) /* still LISTING: the next page */
            return (struct ak_watch_step){0};
        self->expired = 0;
        self->state = AK_WATCH_WATCHING;
        return (struct ak_watch_step){.list_done = true};
    }
    if (code == AK_E_GONE && was_paging) {
        self->unpaged = ++self->expired >= MAX_EXPIRED;
        return relist(self);
    }
    /* A page that failed for a passing reason is asked for again; what was half read of it comes
     * again, which does no harm. A refused one (its token is not understood) starts over. */
    if (code == AK_E_INVALID || code == AK_E_GONE)
        list_from_start(self);
    return back_off(self, AK_WATCH_LISTING, retry_after);
}

static struct ak_watch_step watch_ended(struct ak_watch_core *self, int code, ak_msec retry_after,
                                        ak_msec now)
{
    bool lived = self->frames > 0 || now - self->began >= ALIVE;
    bool was_cut = code == 0 || code == AK_E_PROTOCOL || code == -ETIMEDOUT;

    if (lived && was_cut)
        self->failures = 0;
    switch (code) {
    case AK_E_GONE:
        return relist(self);
    case -ENOMEM:        /* an event was lost */
    case AK_E_TOO_LARGE: /* and this one would come again and again */
    case AK_E_INVALID:   /* our resourceVersion is not understood: a restored etcd */
    case AK_E_NOT_FOUND: /* the kind itself has gone */
        list_from_start(self);
        return back_off(self, AK_WATCH_LISTING, retry_after);
    case -ETIMEDOUT:
        /* Not even a bookmark came: this resourceVersion may be one that the server never reaches. */
        if (self->frames == 0) {
            list_from_start(self);
            return back_off(self, AK_WATCH_LISTING, retry_after);
        }
        break;
    default:
        break;
    }
    if (lived && was_cut)
        return (struct ak_watch_step){0}; /* the server's own time limit, or the network: go on */
    return back_off(self, AK_WATCH_WATCHING, retry_after);
}

struct ak_watch_step ak_watch_core_end(struct ak_watch_core *self, int code, ak_msec retry_after,
                                       ak_msec now)
{
    switch (self->state) {
    case AK_WATCH_LISTING:
        return list_ended(self, code, retry_after);
    case AK_WATCH_WATCHING:
        return watch_ended(self, code, retry_after, now);
    case AK_WATCH_IDLE:
    case AK_WATCH_BACKOFF:
    case AK_WATCH_STATE_MAX:
        break;
    }
    return (struct ak_watch_step){0};
}

void ak_watch_core_waited(struct ak_watch_core *self)
{
    if (self->state == AK_WATCH_BACKOFF)
        self->state = self->after_backoff;
}
