/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/recordings.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#define ID 28

struct ak_recording {
    struct ak_bastion *bastion;
    char id[ID];
    char session_id[AK_SESSION_ID];
    char *user;
    ak_msec since, since_wall, until;
    struct ak_buf text;
    char rest[4]; /* the beginning of a character whose end has not come */
    size_t rest_len;
    bool finished, truncated;
    struct ak_recording *next; /* the oldest first */
};

static void recording_free(struct ak_recording *self)
{
    struct ak_recording **at = &self->bastion->recordings;

    while (*at && *at != self)
        at = &(*at)->next;
    if (*at)
        *at = self->next;
    ak_buf_done(&self->text);
    ak_free(self->user);
    ak_free(self);
}

static size_t all_bytes(const struct ak_bastion *bastion)
{
    size_t n = 0;

    for (const struct ak_recording *r = bastion->recordings; r; r = r->next)
        n += r->text.len;
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

struct ak_recording *ak_recording_new(struct ak_bastion *bastion, const struct ak_session *session,
                                      unsigned columns, unsigned rows)
{
    struct ak_recording *self = ak_new0(struct ak_recording), **at = &bastion->recordings;
    unsigned char random[10];

    if (!self || RAND_bytes(random, sizeof(random)) != 1 ||
        !(self->user = ak_strdup(ak_session_caller(session)->name))) {
        ak_free(self);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(self->id + 2 * i, 3, "%02x", random[i]);
    (void)snprintf(self->session_id, sizeof(self->session_id), "%s", ak_session_id(session));
    self->bastion = bastion;
    self->since = ak_now();
    self->since_wall = ak_wall_now();
    self->text.max = AK_RECORDING_MAX;
    if (ak_buf_addf(
            &self->text,
            "{\"version\":2,\"width\":%u,\"height\":%u,\"timestamp\":%lld,\"title\":\"%s/%s\","
            "\"env\":{\"TERM\":\"xterm-256color\"}}\n",
            columns ? columns : 80, rows ? rows : 24, (long long)(self->since_wall / 1000),
            bastion->settings->target.ns, bastion->settings->target.name) < 0) {
        ak_free(self->user);
        ak_free(self);
        return NULL;
    }
    while (*at)
        at = &(*at)->next;
    *at = self;
    return self;
}

static void add_event(struct ak_recording *self, char type, const char *data, size_t len)
{
    size_t before = self->text.len;
    ak_msec at = ak_now() - self->since;

    if (self->truncated)
        return;
    if (!make_room(self->bastion, len) ||
        ak_buf_addf(&self->text, "[%lld.%03d,\"%c\",", (long long)(at / 1000), (int)(at % 1000),
                    type) < 0 ||
        ak_buf_add_json_string(&self->text, data, len) < 0 || ak_buf_adds(&self->text, "]\n") < 0) {
        if (self->text.data) {
            self->text.len = before;
            self->text.data[before] = '\0';
        }
        self->truncated = true;
    }
}

/* Bytes at the end that begin a UTF-8 character whose others are missing. */
static size_t unfinished(const char *data, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)data[len - back];
        size_t needs = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

        if ((c & 0xc0) == 0x80)
            continue;
        return needs > back ? back : 0;
    }
    return 0;
}

void ak_recording_output(struct ak_recording *self, const char *data, size_t len)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
    size_t rest;

    if (!self || !len)
        return;
    if (ak_buf_add(&text, self->rest, self->rest_len) < 0 || ak_buf_add(&text, data, len) < 0) {
        self->truncated = true;
        return;
    }
    rest = unfinished(text.data, text.len);
    memcpy(self->rest, text.data + text.len - rest, rest);
    self->rest_len = rest;
    if (text.len > rest)
        add_event(self, 'o', text.data, text.len - rest);
}

void ak_recording_resize(struct ak_recording *self, unsigned columns, unsigned rows)
{
    char text[32];

    if (!self)
        return;
    (void)snprintf(text, sizeof(text), "%ux%u", columns, rows);
    add_event(self, 'r', text, strlen(text));
}

static int write_meta(const struct ak_recording *self, struct ak_buf *out)
{
    char time[AK_RFC3339_SIZE];
    int r = ak_buf_addf(out, "{\"id\":\"%s\",\"sessionID\":\"%s\",\"user\":", self->id,
                        self->session_id);

    if (r >= 0)
        r = ak_buf_add_json_string(out, self->user, strlen(self->user));
    return r < 0 ? r
                 : ak_buf_addf(out,
                               ",\"startTime\":\"%s\",\"durationSeconds\":%lld,\"bytes\":%zu,"
                               "\"truncated\":%s}",
                               ak_format_rfc3339(self->since_wall, time),
                               (long long)((self->until - self->since) / 1000), self->text.len,
                               self->truncated ? "true" : "false");
}

void ak_recording_finish(struct ak_recording *self)
{
    AK_AUTO(ak_buf) meta = AK_BUF_INIT(4096);

    if (!self)
        return;
    self->finished = true;
    self->until = ak_now();
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
        ak_http_reply_text(ex, 200, "application/x-asciicast", ak_buf_text(&r->text), r->text.len,
                           NULL);
    } else {
        recording_free(r);
        ak_http_reply_text(ex, 204, "text/plain", "", 0, NULL);
    }
}
