/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/follower.h"

#include <ak/base/alloc.h>
#include <ak/net/sse.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 16384u
#define MAX_OUT (BLOCK * 8) /* a block of the shortest events, each with its head */
#define HIGH 24576u         /* bytes that may wait for a client before reading pauses */
#define LOW 4096u           /* and goes on */
#define QUIET AK_SECONDS(15)
#define TAIL_BLOCK 16384u
#define MAX_TAIL (4u << 20) /* bytes that are looked through for the beginning of the last lines */

struct ak_follower {
    struct ak_followers *list;
    struct ak_follower *prev, *next;
    struct ak_http_exchange *ex;
    struct ak_run_entry *entry;
    enum ak_run_file which;
    int fd;
    uint64_t offset;
    uint64_t end; /* not beyond it; UINT64_MAX: as far as it grows */
    struct ak_event_stream stream;
    ak_msec sent_at;
    bool is_waiting; /* for the client to take what it has */
};

/* ---- events as a stream ---- */

static int64_t feed_head(struct ak_event_stream *self, const char *text, size_t len,
                         struct ak_buf *out)
{
    struct ak_event_head head;
    int r = ak_event_parse_head(text, len, &head);

    if (r == 0 && len < AK_EVENTS_MAX_HEAD && !memchr(text, '\n', len))
        return 0;
    if (r <= 0 || head.id <= self->after) {
        self->state = AK_STREAM_SKIP;
        return 0;
    }
    self->state = AK_STREAM_DATA;
    if (ak_buf_addf(out, "id: %" PRIu64 "\nevent: %.*s\ndata: ", head.id, (int)head.type_len,
                    head.type) < 0)
        return -ENOMEM;
    return r;
}

/* JSON has no control characters in it: one that is there all the same must not end the line. */
static int add_data(struct ak_buf *out, const char *text, size_t len)
{
    size_t from = 0;
    int r = 0;

    for (size_t i = 0; i < len && r >= 0; i++) {
        if ((unsigned char)text[i] >= ' ')
            continue;
        r = ak_buf_add(out, text + from, i - from);
        if (r >= 0)
            r = ak_buf_add(out, " ", 1);
        from = i + 1;
    }
    return r < 0 ? r : ak_buf_add(out, text + from, len - from);
}

/* The brace that closes the line is not the data's: the last byte before a line feed is held back. */
static int64_t feed_data(struct ak_event_stream *self, const char *text, size_t len,
                         struct ak_buf *out)
{
    const char *end = memchr(text, '\n', len);
    size_t n = end ? (size_t)(end - text) : len;
    int r = add_data(out, text, n > 0 ? n - 1 : 0);

    if (!end)
        return r < 0 ? r : (int64_t)(n - 1);
    self->state = AK_STREAM_HEAD;
    if (r >= 0)
        r = ak_buf_adds(out, "\n\n");
    return r < 0 ? r : (int64_t)n + 1;
}

static int64_t feed_skip(struct ak_event_stream *self, const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len);

    if (!end)
        return (int64_t)len;
    self->state = AK_STREAM_HEAD;
    return end - text + 1;
}

int64_t ak_event_stream_feed(struct ak_event_stream *self, const char *block, size_t len,
                             struct ak_buf *out)
{
    size_t used = 0;

    while (used < len) {
        int state = self->state;
        int64_t n = 0;

        if (self->state == AK_STREAM_HEAD)
            n = feed_head(self, block + used, len - used, out);
        else if (self->state == AK_STREAM_DATA)
            n = feed_data(self, block + used, len - used, out);
        else
            n = feed_skip(self, block + used, len - used);
        if (n < 0)
            return n;
        if (n == 0 && (int)self->state == state)
            break;
        used += (size_t)n;
    }
    return (int64_t)used;
}

/* ---- one follower ---- */

static void unlink_follower(struct ak_follower *self)
{
    if (self->prev)
        self->prev->next = self->next;
    else
        self->list->first = self->next;
    if (self->next)
        self->next->prev = self->prev;
    self->list->n--;
    ak_runbook_close_file(self->entry, self->which);
    ak_free(self);
}

static void on_close(void *user)
{
    unlink_follower(user);
}

static void end(struct ak_follower *self, bool complete)
{
    struct ak_http_exchange *ex = self->ex;

    ak_http_on_close(ex, NULL, NULL);
    unlink_follower(self);
    if (complete)
        ak_http_reply_end(ex);
    else
        ak_http_reply_abort(ex);
}

static void on_drain(void *user);

/* Sends one block's worth. 0: there is no more now; negative: it is over with this client. */
static int64_t send_block(struct ak_follower *self)
{
    static char block[BLOCK]; /* one thread */
    AK_AUTO(ak_buf) out = AK_BUF_INIT(MAX_OUT + BLOCK);
    size_t want = (size_t)AK_MIN((uint64_t)sizeof(block), self->end - self->offset);
    ssize_t n = pread(self->fd, block, want, (off_t)self->offset);
    const char *text = block;
    int64_t used = n;
    int64_t r = 0;

    if (n <= 0)
        return n;
    if (self->which == AK_RUN_EVENTS) {
        used = ak_event_stream_feed(&self->stream, block, (size_t)n, &out);
        text = ak_buf_text(&out);
        n = (ssize_t)out.len;
    }
    if (used < 0)
        return used;
    if (n > 0) {
        r = ak_http_reply_chunk(self->ex, text, (size_t)n);
        self->sent_at = ak_now();
    }
    self->offset += (uint64_t)used;
    return r < 0 ? r : used;
}

static void pump(struct ak_follower *self)
{
    int64_t r = 1;

    while (r > 0 && ak_http_waiting(self->ex) < HIGH)
        r = send_block(self);
    if (r < 0) {
        end(self, false);
        return;
    }
    if (r == 0 && (self->end != UINT64_MAX || ak_run_phase_is_final(self->entry->phase))) {
        end(self, true);
        return;
    }
    self->is_waiting = r > 0;
    if (self->is_waiting)
        ak_http_on_drain(self->ex, LOW, on_drain, self);
}

static void on_drain(void *user)
{
    struct ak_follower *self = user;

    self->is_waiting = false;
    pump(self);
}

/* ---- where to begin ---- */

/* The beginning of the last `lines` lines. */
static uint64_t find_tail(int fd, uint64_t size, int64_t lines)
{
    char block[TAIL_BLOCK];
    uint64_t at = size;

    while (at > 0 && size - at < MAX_TAIL) {
        size_t want = (size_t)AK_MIN((uint64_t)sizeof(block), at);
        ssize_t n = pread(fd, block, want, (off_t)(at - want));

        if (n != (ssize_t)want)
            return at;
        for (size_t i = want; i-- > 0;)
            if (block[i] == '\n' && at - want + i + 1 < size && --lines < 0)
                return at - want + i + 1;
        at -= want;
    }
    return at;
}

static void find_place(struct ak_follower *self, const struct ak_follow_options *options)
{
    struct stat st;
    uint64_t size = fstat(self->fd, &st) == 0 ? (uint64_t)st.st_size : 0;

    self->stream.after = options->after;
    if (options->which == AK_RUN_EVENTS)
        self->offset = ak_runbook_event_offset(self->list->runbook, self->entry, options->after);
    else if (options->tail >= 0)
        self->offset = options->tail == 0 ? size : find_tail(self->fd, size, options->tail - 1);
    self->end = options->follow ? UINT64_MAX : AK_MAX(size, self->offset);
}

int ak_followers_add(struct ak_followers *self, struct ak_http_exchange *ex,
                     struct ak_run_entry *entry, const struct ak_follow_options *options,
                     struct ak_error **reterr)
{
    static const char *const types[AK_RUN_FILE_MAX] = {
        [AK_RUN_EVENTS] = AK_SSE_CONTENT_TYPE,
        [AK_RUN_LOG] = "text/plain; charset=utf-8",
        [AK_RUN_TRANSCRIPT] = "application/octet-stream",
    };
    static const char *const extra[] = {"Cache-Control: no-store", NULL};
    struct ak_follower *follower = ak_new0(struct ak_follower);
    int fd = -1;

    if (!follower)
        return ak_error_oom(reterr);
    fd = ak_runbook_open_file(self->runbook, entry, options->which, reterr);
    if (fd < 0) {
        ak_free(follower);
        return fd;
    }
    *follower = (struct ak_follower){
        .list = self,
        .next = self->first,
        .ex = ex,
        .entry = entry,
        .which = options->which,
        .fd = fd,
        .sent_at = ak_now(),
    };
    find_place(follower, options);
    if (self->first)
        self->first->prev = follower;
    self->first = follower;
    self->n++;
    ak_http_reply_begin_with(ex, 200, types[options->which], extra);
    ak_http_drop_request(ex);
    ak_http_on_close(ex, on_close, follower);
    pump(follower);
    return 0;
}

void ak_followers_wake(struct ak_followers *self, const struct ak_run_entry *entry)
{
    struct ak_follower *follower = self->first;

    while (follower) {
        struct ak_follower *next = follower->next;

        if (follower->entry == entry && !follower->is_waiting)
            pump(follower);
        follower = next;
    }
}

void ak_followers_keep_alive(struct ak_followers *self, ak_msec now)
{
    static const char comment[] = ": keep-alive\n\n";

    for (struct ak_follower *f = self->first; f; f = f->next) {
        if (f->which != AK_RUN_EVENTS || f->is_waiting || f->stream.state == AK_STREAM_DATA ||
            now - f->sent_at < QUIET)
            continue;
        f->sent_at = now;
        (void)!ak_http_reply_chunk(f->ex, comment, sizeof(comment) - 1);
    }
}
