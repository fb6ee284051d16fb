/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out what the core decides: requests, the splitting of answers, decoding, the timer. */
#include <ak/flow/watch.h>

#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <ak/json/split.h>

#include "core.h"

#define LOG "watch"
#define DEFAULT_IDLE_TIMEOUT AK_MINUTES(5)
#define MAX_PATH 8192
#define MAX_VALUE (AK_JSON_MAX_BYTES + 4096) /* an object and the frame around it */
#define TRIM_OBJECTS 100 /* a list of so many leaves garbage that is worth giving back */

/* What the stream's callbacks hold. It may outlive the watch: the end of a stopped stream can come later. */
struct link {
    struct ak_watch *watch; /* NULL: nobody listens any more */
};

struct ak_watch {
    struct ak_loop *loop;
    struct ak_client *client;
    struct ak_watch_options options;
    ak_watch_sink_fn sink;
    void *user;
    struct ak_watch_core core;
    struct ak_http_stream *stream;
    struct link *link;
    struct ak_split *split;
    struct ak_timer *timer;
    ak_msec retry_after;
    struct ak_error *why; /* what on_data gave up for: the end brings only its code */
    uint64_t listed;      /* objects of the running list */

    struct ak_mutex lock; /* guards stats */
    struct ak_watch_stats stats;
};

static void drive(struct ak_watch *self);

static void count(struct ak_watch *self, uint64_t *counter)
{
    ak_mutex_lock(&self->lock);
    (*counter)++;
    ak_mutex_unlock(&self->lock);
}

static void note_state(struct ak_watch *self)
{
    ak_mutex_lock(&self->lock);
    self->stats.state = ak_watch_state_to_string(self->core.state);
    ak_mutex_unlock(&self->lock);
}

static void note_error(struct ak_watch *self, const char *text)
{
    ak_mutex_lock(&self->lock);
    if (text[0])
        self->stats.errors++;
    (void)snprintf(self->stats.last_error, sizeof(self->stats.last_error), "%s", text);
    ak_mutex_unlock(&self->lock);
}

static void emit(struct ak_watch *self, enum ak_event_type type, const struct ak_object *object)
{
    struct ak_event event = {.type = type, .object = object};

    if (object)
        count(self, &self->stats.events);
    self->sink(&event, self->user);
}

/* Decodes and emits. An object that cannot be decoded at all is left out and counted; only a lack of
 * memory ends the stream. */
static int emit_tree(struct ak_watch *self, enum ak_event_type type, const json_t *tree,
                     struct ak_error **reterr)
{
    AK_AUTO_OBJECT object = NULL;
    AK_AUTO_PTR(ak_error) why = NULL;
    int r = ak_object_decode(self->options.kind, tree, self->options.manager, &object, &why);

    if (r == -ENOMEM)
        return ak_error_oom(reterr);
    if (r < 0) {
        count(self, &self->stats.skipped);
        ak_debug(LOG, "skipping an object that cannot be read",
                 AK_STR("resource", self->options.kind->resource.plural), AK_ERR(why));
        return 0;
    }
    emit(self, type, object);
    return 0;
}

static int on_list_metadata(struct ak_watch *self, const json_t *tree, struct ak_error **reterr)
{
    int r = ak_watch_core_page(&self->core, ak_json_text(tree, "resourceVersion", NULL),
                               ak_json_text(tree, "continue", NULL));

    return r < 0 ? ak_error_set(reterr, r, "keep the list's position") : 0;
}

/* The error that an ERROR frame carries: a metav1.Status. */
static int frame_error(const json_t *status, struct ak_error **reterr)
{
    const char *message = ak_json_text(status, "message", NULL);
    const char *reason = ak_json_text(status, "reason", NULL);
    int http = (int)json_integer_value(ak_json_at(status, "code", NULL));
    int code = ak_code_from_http(http, reason);

    if (code >= 0)
        code = AK_E_SERVER;
    return ak_error_set(reterr, code, "the watch ended: %s", message ? message : "no reason given");
}

static int on_frame(struct ak_watch *self, const json_t *tree, struct ak_error **reterr)
{
    const json_t *object = ak_json_at(tree, "object", NULL);
    enum ak_watch_frame frame;
    int r;

    r = ak_watch_core_frame(&self->core, ak_json_text(tree, "type", NULL),
                            ak_json_text(object, "metadata", "resourceVersion", NULL), &frame);
    if (r < 0)
        return ak_error_set(reterr, r, "keep the watch's position");
    switch (frame) {
    case AK_FRAME_APPLY:
        return emit_tree(self, AK_EVENT_APPLY, object, reterr);
    case AK_FRAME_DELETE:
        return emit_tree(self, AK_EVENT_DELETE, object, reterr);
    case AK_FRAME_BOOKMARK:
        count(self, &self->stats.bookmarks);
        return 0;
    case AK_FRAME_ERROR:
        return frame_error(object, reterr);
    case AK_FRAME_UNKNOWN:
        break;
    }
    return 0;
}

static int on_value(enum ak_split_value what, const char *text, size_t len, void *user,
                    struct ak_error **reterr)
{
    struct ak_watch *self = user;
    AK_AUTO_JSON *tree = NULL;
    int r = ak_json_parse(text, len, &tree, reterr);

    if (r < 0)
        return r;
    if (self->core.state == AK_WATCH_WATCHING)
        return on_frame(self, tree, reterr);
    if (what == AK_SPLIT_METADATA)
        return on_list_metadata(self, tree, reterr);
    self->listed++;
    return emit_tree(self, AK_EVENT_INIT_APPLY, tree, reterr);
}

static int on_begin(int status, ak_msec retry_after, void *user)
{
    struct link *link = user;

    (void)status;
    if (link->watch)
        link->watch->retry_after = retry_after;
    return 0;
}

static int on_data(const char *data, size_t len, void *user)
{
    struct link *link = user;
    struct ak_watch *self = link->watch;

    return self ? ak_split_feed(self->split, data, len, &self->why) : AK_E_CANCELLED;
}

/* The code of the whole answer: a stream that ended well may still have stopped inside a value. */
static int judge_end(struct ak_watch *self, int code, const struct ak_error *err)
{
    if (code == 0)
        code = ak_split_end(self->split, &self->why);
    note_error(self, code < 0 ? ak_error_message(self->why ? self->why : err) : "");
    if (code == AK_E_GONE)
        count(self, &self->stats.gone);
    if (code < 0)
        ak_debug(LOG, "answer ended with an error",
                 AK_STR("resource", self->options.kind->resource.plural),
                 AK_STR("state", ak_watch_state_to_string(self->core.state)),
                 AK_STR("code", ak_code_text(code)), AK_ERR(self->why ? self->why : err));
    self->why = ak_error_free(self->why);
    return code;
}

static void list_done(struct ak_watch *self)
{
    emit(self, AK_EVENT_INIT_DONE, NULL);
    ak_mutex_lock(&self->lock);
    self->stats.synced = true;
    ak_mutex_unlock(&self->lock);
    if (self->listed >= TRIM_OBJECTS)
        ak_alloc_trim();
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct link *link = user;
    struct ak_watch *self = link->watch;
    struct ak_watch_step step;
    ak_msec retry_after;

    ak_free(link);
    if (!self)
        return;
    self->stream = NULL;
    self->link = NULL;
    code = judge_end(self, code, err);
    retry_after = AK_MAX(self->retry_after, err ? ak_error_retry_after_ms(err) : 0);
    step = ak_watch_core_end(&self->core, code, retry_after, ak_now());
    if (step.list_done)
        list_done(self);
    note_state(self);
    if (self->core.state == AK_WATCH_BACKOFF)
        ak_timer_set(self->timer, step.backoff);
    else
        ak_timer_set(self->timer, 0); /* not from inside the stream's callback */
}

static const struct ak_http_stream_ops ops = {.begin = on_begin, .data = on_data, .end = on_end};

static const char *accept_of(const struct ak_watch *self)
{
    if (!(self->options.kind->flags & AK_KIND_PARTIAL))
        return NULL;
    return self->core.state == AK_WATCH_LISTING
               ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
               : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
}

static int open_stream(struct ak_watch *self, struct ak_error **reterr)
{
    bool listing = self->core.state == AK_WATCH_LISTING;
    ak_msec idle =
        self->options.idle_timeout > 0 ? self->options.idle_timeout : DEFAULT_IDLE_TIMEOUT;
    AK_AUTO(ak_buf) path = AK_BUF_INIT(MAX_PATH + AK_WATCH_MAX_TOKEN * 3);
    struct link *link;
    int r;

    r = ak_watch_core_request(&self->core, ak_now(), &path);
    if (r < 0)
        return ak_error_set(reterr, r, "build the request's path");
    link = ak_new0(struct link);
    if (!link)
        return ak_error_oom(reterr);
    ak_split_reset(self->split, listing ? AK_SPLIT_LIST : AK_SPLIT_FRAMES);
    link->watch = self;
    self->retry_after = 0;
    r = ak_client_stream(self->client, self->loop, ak_buf_text(&path), accept_of(self), idle, &ops,
                         link, &self->stream, reterr);
    if (r < 0) {
        ak_free(link);
        return r;
    }
    self->link = link;
    return 0;
}

/* Sends the request of the present state. */
static void drive(struct ak_watch *self)
{
    AK_AUTO_PTR(ak_error) err = NULL;
    bool listing = self->core.state == AK_WATCH_LISTING;
    struct ak_watch_step step;
    int r;

    if (listing && ak_watch_core_is_first_page(&self->core)) {
        self->listed = 0;
        count(self, &self->stats.lists);
        emit(self, AK_EVENT_INIT, NULL);
    }
    count(self, listing ? &self->stats.pages : &self->stats.watches);
    r = open_stream(self, &err);
    if (r < 0) {
        note_error(self, ak_error_message(err));
        step = ak_watch_core_end(&self->core, r, 0, ak_now());
        ak_timer_set(self->timer, step.backoff);
    }
    note_state(self);
}

static void on_timer(void *user)
{
    struct ak_watch *self = user;

    if (self->core.state == AK_WATCH_IDLE || self->stream)
        return;
    ak_watch_core_waited(&self->core);
    drive(self);
}

int ak_watch_new(struct ak_loop *loop, struct ak_client *client,
                 const struct ak_watch_options *options, ak_watch_sink_fn sink, void *user,
                 struct ak_watch **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_watch) self = ak_new0(struct ak_watch);

    if (!self)
        return ak_error_oom(reterr);
    ak_mutex_init(&self->lock);
    self->loop = loop;
    self->client = client;
    self->options = *options;
    self->sink = sink;
    self->user = user;
    self->stats.state = ak_watch_state_to_string(AK_WATCH_IDLE);
    ak_watch_core_init(&self->core, &self->options);
    self->split = ak_split_new(AK_SPLIT_LIST, MAX_VALUE, on_value, self);
    self->timer = ak_timer_new(loop, on_timer, self);
    if (!self->split || !self->timer)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(self);
    return 0;
}

struct ak_watch *ak_watch_free(struct ak_watch *self)
{
    if (!self)
        return NULL;
    ak_watch_stop(self);
    ak_timer_free(self->timer);
    ak_split_free(self->split);
    ak_error_free(self->why);
    ak_watch_core_done(&self->core);
    ak_mutex_done(&self->lock);
    ak_free(self);
    return NULL;
}

void ak_watch_start(struct ak_watch *self)
{
    if (self->core.state != AK_WATCH_IDLE)
        return;
    ak_watch_core_start(&self->core);
    note_state(self);
    ak_timer_set(self->timer, 0);
}

void ak_watch_stop(struct ak_watch *self)
{
    struct ak_http_stream *stream = self->stream;

    self->core.state = AK_WATCH_IDLE;
    note_state(self);
    if (self->timer)
        ak_timer_clear(self->timer);
    if (self->link)
        self->link->watch = NULL;
    self->link = NULL;
    self->stream = NULL;
    self->why = ak_error_free(self->why);
    if (stream)
        ak_http_stream_stop(stream);
}

void ak_watch_relist(struct ak_watch *self)
{
    ak_watch_stop(self);
    ak_watch_start(self);
}

void ak_watch_stats(struct ak_watch *self, struct ak_watch_stats *ret)
{
    ak_mutex_lock(&self->lock);
    *ret = self->stats;
    ak_mutex_unlock(&self->lock);
}
