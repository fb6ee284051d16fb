/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/recordings.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "bastion/recorder.h"

#define ID 28

struct ak_recording {
    struct ak_bastion *bastion;
    char id[ID];
    char session_id[AK_SESSION_ID];
    char *user;
    ak_msec since, since_wall, until;
    struct ak_recorder recorder;
    bool finished;
    struct ak_recording *next; /* the oldest first */
};

static void recording_free(struct ak_recording *self)
{
    struct ak_recording **at = &self->bastion->recordings;

    while (*at && *at != self)
        at = &(*at)->next;
    if (*at)
        *at = self->next;
    ak_recorder_done(&self->recorder);
    ak_free(self->user);
    ak_free(self);
}

static size_t all_bytes(const struct ak_bastion *bastion)
{
    size_t n = 0;

    for (const struct ak_recording *r = bastion->recordings; r; r = r->next)
        n += r->recorder.text.len;
    return n;
}

static bool make_room(struct ak_bastion *bastion, size_t len)
{
    while (all_bytes(bastion) + len > AK_RECORDINGS_MAX) {
        struct ak_recording *r = bastion->recordings;

        while (r && !r->finished)
            r = r->next;
        if (!r)
            return false;
        recording_free(r);
    }
    return true;
}

static int begin(struct ak_recording *self, unsigned columns, unsigned rows)
{
    const struct ak_target *t = &self->bastion->settings->target;
    AK_AUTO_TEXT char *title = ak_asprintf("%s/%s", t->ns, t->name);
    const struct ak_recorder_options options = {.columns = (unsigned short)columns,
                                                .rows = (unsigned short)rows,
                                                .start = self->since_wall,
                                                .title = title};

    return title ? ak_recorder_init(&self->recorder, &options) : -ENOMEM;
}

struct ak_recording *ak_recording_new(struct ak_bastion *bastion, const struct ak_session *session,
                                      unsigned columns, unsigned rows)
{
    struct ak_recording *self = ak_new0(struct ak_recording), **at = &bastion->recordings;
    unsigned char random[10];

    if (!self)
        return NULL;
    self->bastion = bastion;
    self->since = ak_now();
    self->since_wall = ak_wall_now();
    self->user = ak_strdup(ak_session_caller(session)->name);
    if (!self->user || RAND_bytes(random, sizeof(random)) != 1 || begin(self, columns, rows) < 0) {
        recording_free(self);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(self->id + 2 * i, 3, "%02x", random[i]);
    (void)snprintf(self->session_id, sizeof(self->session_id), "%s", ak_session_id(session));
    while (*at)
        at = &(*at)->next;
    *at = self;
    return self;
}

void ak_recording_output(struct ak_recording *self, const char *data, size_t len)
{
    if (!self)
        return;
    if (make_room(self->bastion, len))
        ak_recorder_output(&self->recorder, data, len, ak_now() - self->since);
    else
        self->recorder.truncated = true;
}

void ak_recording_resize(struct ak_recording *self, unsigned columns, unsigned rows)
{
    if (self)
        ak_recorder_resize(&self->recorder, (unsigned short)columns, (unsigned short)rows,
                           ak_now() - self->since);
}

static int write_meta(const struct ak_recording *self, struct ak_buf *out)
{
    char time[AK_RFC3339_SIZE];
    int r = ak_buf_addf(out, "{\"id\":\"%s\",\"sessionID\":\"%s\",\"user\":", self->id,
                        self->session_id);

    if (r >= 0)
        r = ak_buf_add_json_string(out, self->user, strlen(self->user));
    return r < 0
               ? r
               : ak_buf_addf(out,
                             ",\"startTime\":\"%s\",\"durationSeconds\":%lld,\"bytes\":%zu,"
                             "\"truncated\":%s}",
                             ak_format_rfc3339(self->since_wall, time),
                             (long long)((self->until - self->since) / 1000),
                             self->recorder.text.len, self->recorder.truncated ? "true" : "false");
}

void ak_recording_finish(struct ak_recording *self)
{
    AK_AUTO(ak_buf) meta = AK_BUF_INIT(4096);

    if (!self)
        return;
    self->finished = true;
    self->until = ak_now();
    ak_recorder_finish(&self->recorder, self->until - self->since);
    if (write_meta(self, &meta) >= 0)
        ak_watch_recording(self->bastion, meta.data);
}

int ak_recordings_meta(struct ak_bastion *self, size_t n, struct ak_buf *out)
{
    for (const struct ak_recording *r = self->recordings; r; r = r->next)
        if (r->finished && n-- == 0)
            return write_meta(r, out) < 0 ? -ENOMEM : 1;
    return 0;
}

size_t ak_recordings_left(const struct ak_bastion *self)
{
    size_t n = 0;

    for (const struct ak_recording *r = self->recordings; r; r = r->next)
        n += r->finished;
    return n;
}

void ak_recordings_done(struct ak_bastion *self)
{
    while (self->recordings)
        recording_free(self->recordings);
}

/* GET /v1/recordings/ID, POST /v1/recordings/ID/taken */
void ak_recordings_handle(struct ak_http_exchange *ex, void *user)
{
    struct ak_bastion *self = user;
    const char *id = ak_http_path(ex) + strlen("/v1/recordings/");
    size_t len = strcspn(id, "/");
    bool get = ak_streq(ak_http_method(ex), "GET") && !id[len];
    bool taken = ak_streq(ak_http_method(ex), "POST") && ak_streq(id + len, "/taken");
    struct ak_recording *r = self->recordings;
    AK_AUTO_PTR(ak_error) err = NULL;

    while (r && !(r->finished && strlen(r->id) == len && memcmp(r->id, id, len) == 0))
        r = r->next;
    if (!r || (!get && !taken)) {
        (void)ak_error_set(&err, AK_E_NOT_FOUND, "there is no such recording");
        ak_bastion_refuse(ex, 404, err, NULL);
    } else if (get) {
        ak_http_reply_text(ex, 200, "application/x-asciicast", ak_buf_text(&r->recorder.text),
                           r->recorder.text.len, NULL);
    } else {
        recording_free(r);
        ak_bastion_look(self);
        ak_http_reply_text(ex, 204, "text/plain", "", 0, NULL);
    }
}
