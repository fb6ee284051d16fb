/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/watch.h"

#include <stdio.h>
#include <time.h>

#include <ak/base/text.h>
#include <ak/json/split.h>
#include <ak/net/loop.h>

#include "exo/kinds.h"
#include "exo/output.h"

#define IDLE AK_MINUTES(60) /* the apiserver ends a watch after an hour at most */
#define RETRY 1000          /* ms between two tries */

struct watch {
    struct ak_exo *exo;
    const struct ak_objects_query *query;
    struct ak_rows *rows;
    struct ak_loop *loop;
    struct ak_split *split;
    char version[128];
    int code;      /* of the stream that ended, or of showing */
    bool is_shown; /* this stream brought something */
    struct ak_error *err;
};

/* An object, or the table with one row that stands for it. */
static const char *version_of(const json_t *object)
{
    const json_t *row = json_array_get(json_object_get(object, "rows"), 0);
    const char *version = ak_json_text(row, "object", "metadata", "resourceVersion", NULL);

    return version ? version : ak_json_text(object, "metadata", "resourceVersion", NULL);
}

static int show(struct watch *self, json_t *object)
{
    struct ak_exo *exo = self->exo;
    const char *name = ak_json_text(object, "metadata", "name", NULL);
    char label[384];

    if (exo->options->output == AK_OUT_NAME)
        return ak_output_line(&self->err, "%s",
                              ak_kinds_label(self->query->resource, name ? name : "", label));
    if (self->rows->is_table)
        return ak_rows_print(self->rows, object, &self->err);
    ak_output_strip(object);
    return ak_output_tree(exo, object, &self->err);
}

static int on_frame(enum ak_split_value what, const char *text, size_t len, void *user,
                    struct ak_error **reterr)
{
    struct watch *self = user;
    AK_AUTO_JSON *event = NULL;

    (void)what;
    int r = ak_json_parse(text, len, &event, reterr);
    if (r < 0)
        return r;
    const char *type = ak_json_text(event, "type", NULL);
    json_t *object = json_object_get(event, "object");
    if (ak_streq(type, "ERROR")) {
        const char *message = ak_json_text(object, "message", NULL);
        int status = (int)json_integer_value(json_object_get(object, "code"));
        return ak_error_set(reterr, status == 410 ? AK_E_GONE : AK_E_PROTOCOL, "%s",
                            message ? message : "the watch failed");
    }
    const char *version = version_of(object);
    if (version)
        (void)snprintf(self->version, sizeof(self->version), "%s", version);
    self->is_shown = true;
    return ak_streq(type, "BOOKMARK") ? 0 : show(self, object);
}

static int on_data(const char *data, size_t len, void *user)
{
    struct watch *self = user;
    return ak_split_feed(self->split, data, len, &self->err);
}

static void on_end(int code, const struct ak_error *err, void *user)
{
    struct watch *self = user;

    self->code = code;
    if (code < 0 && !self->err)
        (void)ak_error_set(&self->err, code, "%s", ak_error_message(err));
    ak_loop_stop(self->loop);
}

static int once(struct watch *self, struct ak_error **reterr)
{
    static const struct ak_http_stream_ops ops = {.data = on_data, .end = on_end};
    AK_AUTO(ak_buf) path = {0};
    struct ak_http_stream *stream = NULL;

    self->err = ak_error_free(self->err);
    self->is_shown = false;
    ak_split_reset(self->split, AK_SPLIT_FRAMES);
    int r = ak_objects_path(self->query, &path, reterr);
    if (r >= 0 && ak_buf_addf(&path, "&watch=true&allowWatchBookmarks=true&resourceVersion=%s",
                              self->version) < 0)
        r = ak_error_oom(reterr);
    if (r >= 0)
        r = ak_client_stream(self->exo->client, self->loop, ak_buf_text(&path),
                             ak_objects_accept(self->query->form), IDLE, &ops, self, &stream,
                             reterr);
    if (r >= 0)
        r = ak_loop_run(self->loop, reterr);
    return r;
}

/* A break is no failure while the server comes back; everything else ends the watch. */
static bool goes_on(const struct watch *self)
{
    return self->code >= 0 || self->code == AK_E_PROTOCOL || self->code == -ETIMEDOUT ||
           self->code == AK_E_SERVER || self->code == AK_E_THROTTLED || self->code == AK_E_GONE;
}

static int run(struct watch *self, struct ak_error **reterr)
{
    static const struct timespec pause = {.tv_sec = RETRY / 1000};
    int r = 0;

    for (int failed = 0; r >= 0;) {
        r = once(self, reterr);
        if (r < 0)
            break;
        failed = self->code >= 0 || self->is_shown ? 0 : failed + 1;
        if (!goes_on(self) || failed > 30) {
            r = self->code;
            if (reterr)
                *reterr = AK_TAKE(self->err);
            break;
        }
        if (self->code ==
            AK_E_GONE) /* what happened meanwhile is not known any more: from now on */
            self->version[0] = '\0';
        if (self->code < 0)
            (void)nanosleep(&pause, NULL);
    }
    return r;
}

int ak_watch(struct ak_exo *self, const struct ak_objects_query *query, const char *version,
             struct ak_rows *rows, struct ak_error **reterr)
{
    struct watch w = {.exo = self, .query = query, .rows = rows};
    AK_AUTO_PTR(ak_split) split = ak_split_new(AK_SPLIT_FRAMES, AK_JSON_MAX_BYTES, on_frame, &w);
    AK_AUTO_PTR(ak_loop) loop = NULL;

    w.split = split;
    if (version)
        (void)snprintf(w.version, sizeof(w.version), "%s", version);
    int r = split ? ak_loop_new(&loop, reterr) : ak_error_oom(reterr);
    w.loop = loop;
    if (r >= 0)
        r = run(&w, reterr);
    (void)ak_error_free(w.err);
    return r;
}
