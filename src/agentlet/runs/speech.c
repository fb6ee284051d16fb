/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/speech.h"

#include "agentlet/runs/lines.h"
#include "agentlet/runs/place.h"
#include "agentlet/runs/readable.h"
#include "agentlet/runs/record.h"
#include "agentlet/runs/run.h"

#include <ak/base/buf.h>
#include <ak/base/text.h>
#include <ak/json/json.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define GATHER (64u << 10)
#define LAST_WORDS "\n... (more of this run is not kept)\n"

static int open_file(struct ak_speech_file *file, int dir, const char *name, uint64_t max)
{
    int fd = ak_place_remove(dir, name);

    if (fd >= 0)
        fd = ak_place_open(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
    *file = (struct ak_speech_file){.fd = fd < 0 ? -1 : fd, .max = max};
    return fd;
}

int ak_speech_init(struct ak_speech *self, int dir, struct ak_console *console)
{
    int r = 0;

    *self = (struct ak_speech){
        .events = {.fd = -1},
        .log = {.fd = -1},
        .transcript = {.fd = -1},
        .unwritten = AK_BUF_INIT(GATHER + (2u << 20)),
        .console = console,
    };
    r = ak_events_resume(&self->events, dir);
    if (r >= 0)
        r = open_file(&self->log, dir, AK_RUN_LOG_FILE, AK_RUN_MAX_LOG);
    if (r >= 0)
        r = open_file(&self->transcript, dir, AK_RUN_TRANSCRIPT_FILE, AK_RUN_MAX_TRANSCRIPT);
    if (r < 0)
        ak_speech_done(self);
    return r < 0 ? r : 0;
}

static void close_file(struct ak_speech_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = -1;
}

void ak_speech_done(struct ak_speech *self)
{
    ak_speech_flush(self);
    ak_buf_done(&self->unwritten);
    ak_events_done(&self->events);
    close_file(&self->log);
    close_file(&self->transcript);
}

static void append(struct ak_speech_file *file, const char *data, size_t len)
{
    if (len > file->max - file->bytes) {
        len = (size_t)(file->max - file->bytes);
        file->cut = true;
    }
    while (len > 0 && file->fd >= 0) {
        ssize_t n = write(file->fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            file->cut = true; /* a full disk may have room again for what comes later */
            return;
        }
        file->bytes += (uint64_t)n;
        data += n;
        len -= (size_t)n;
    }
}

void ak_speech_raw(struct ak_speech *self, const char *data, size_t len)
{
    append(&self->transcript, data, len);
}

static void write_log(struct ak_speech *self)
{
    bool was_cut = self->log.cut;

    append(&self->log, ak_buf_text(&self->unwritten), self->unwritten.len);
    ak_buf_clear(&self->unwritten);
    if (!self->log.cut || was_cut)
        return;
    self->log.max += strlen(LAST_WORDS);
    append(&self->log, LAST_WORDS, strlen(LAST_WORDS));
}

void ak_speech_flush(struct ak_speech *self)
{
    write_log(self);
    if (self->console)
        ak_console_flush(self->console);
}

static void say(struct ak_speech *self, const char *type, const json_t *data)
{
    size_t before = self->unwritten.len;

    if (ak_readable_add(&self->unwritten, type, data) < 0) {
        self->log.cut = true; /* no memory: what there is of it is written */
        return;
    }
    if (self->console && self->unwritten.len > before)
        ak_console_text(self->console, self->unwritten.data + before, self->unwritten.len - before);
    if (self->unwritten.len >= GATHER)
        write_log(self);
}

static void keep(struct ak_speech *self, const char *type, const json_t *data, bool closing)
{
    bool was_full = self->events.full;

    if (ak_events_add(&self->events, type, data, closing) == 0)
        self->news = true;
    if (self->events.full && !was_full && !self->said_limit) {
        AK_AUTO_JSON *notice =
            json_pack("{s:s}", "message",
                      "the limit of events of one run is reached: the rest is only counted");

        self->said_limit = true;
        (void)!ak_events_add(&self->events, "notice", notice, true);
    }
}

/* ---- long members ---- */

static bool is_output(const char *type)
{
    return ak_streq(type, "text") || ak_streq(type, "stdout") || ak_streq(type, "stderr");
}

/* Replaces a text that is too long by its beginning. */
static void cut_text(json_t *data, const char *name)
{
    const json_t *value = json_object_get(data, name);
    size_t len = json_string_length(value);

    if (len <= AK_EVENTS_MAX_TEXT)
        return;
    len = ak_utf8_cut(json_string_value(value), len, AK_EVENTS_MAX_TEXT);
    (void)json_object_set_new(data, name, json_stringn(json_string_value(value), len));
    (void)json_object_set_new(data, "truncated", json_true());
}

/* Replaces a value that is too large by the beginning of its text. */
static void cut_value(json_t *data, const char *name)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(AK_JSON_MAX_BYTES * 2);
    const json_t *value = json_object_get(data, name);
    size_t len = 0;

    if (json_is_string(value)) {
        cut_text(data, name);
        return;
    }
    if (!value || ak_json_write(value, &text, NULL) < 0 || text.len <= AK_EVENTS_MAX_TEXT)
        return;
    len = ak_utf8_cut(text.data, text.len, AK_EVENTS_MAX_TEXT);
    (void)json_object_set_new(data, name, json_stringn(text.data, len));
    (void)json_object_set_new(data, "truncated", json_true());
}

void ak_speech_text(struct ak_speech *self, const char *type, const char *text, size_t len,
                    bool partial)
{
    do {
        size_t n = ak_utf8_cut(text, len, AK_EVENTS_MAX_TEXT);
        AK_AUTO_JSON *data = json_object();

        if (!data || json_object_set_new(data, "text", ak_record_string(text, n, 4 * n)) < 0)
            return; /* no memory: the transcript has it */
        text += n;
        len -= n;
        if (partial || len > 0)
            (void)json_object_set_new(data, "partial", json_true());
        keep(self, type, data, false);
        say(self, type, data);
    } while (len > 0);
}

void ak_speech_event(struct ak_speech *self, const char *type, json_t *data, bool closing)
{
    const json_t *text = json_object_get(data, "text");

    if (!data)
        return;
    if (is_output(type) && json_string_length(text) > AK_EVENTS_MAX_TEXT) {
        ak_speech_text(self, type, json_string_value(text), json_string_length(text),
                       json_is_true(json_object_get(data, "partial")));
        return;
    }
    cut_text(data, "text");
    cut_text(data, "message");
    cut_value(data, "input");
    cut_value(data, "raw");
    keep(self, type, data, closing);
    say(self, type, data);
}

bool ak_speech_is_truncated(const struct ak_speech *self)
{
    return ak_events_is_truncated(&self->events) || self->log.cut || self->transcript.cut;
}
