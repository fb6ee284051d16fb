/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/relay.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 16384
#define LAST_FLUSH 2000          /* ms */
#define PENDING_HIGH (64u << 10) /* more waiting than this: reading pauses */
/* One read may add a prefix and a newline for each byte of it. */
#define PENDING_MAX (PENDING_HIGH + READ_BYTES * 64u)
#define DRAIN_READS                                                                                \
    64 /* a pipe holds 64 KiB; somebody in the background may go on writing for ever */

static void on_input(void *user, short events);
static void on_output(void *user, short events);
static void end_input(struct ak_relay *self);

static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) > 0;
}

static void stop_copying(struct ak_relay *self)
{
    self->prefix = NULL;
    ak_buf_clear(&self->pending);
}

/* PIPE_BUF bytes never block on a pipe that poll called writable. */
static void flush(struct ak_relay *self)
{
    while (self->pending.len > 0 && is_writable(self->out)) {
        ssize_t n = write(self->out, self->pending.data, AK_MIN(self->pending.len, PIPE_BUF));

        if (n < 0 && errno != EINTR && errno != EAGAIN)
            stop_copying(self);
        if (n <= 0)
            return;
        ak_buf_consume(&self->pending, (size_t)n);
    }
}

/* Reads while there is room, waits for the log otherwise. */
static void arm(struct ak_relay *self)
{
    bool full = self->pending.len > PENDING_HIGH;

    short wanted = full ? 0 : POLLIN;

    if (self->in >= 0 && ak_poller_watch(self->poller, self->in, wanted, on_input, self) < 0)
        end_input(self); /* cannot be: it is watched already */
    if (self->pending.len > 0 &&
        ak_poller_watch(self->poller, self->out, POLLOUT, on_output, self) < 0)
        stop_copying(self); /* too many connections: rather no log than a log that stalls */
    if (self->pending.len == 0)
        ak_poller_forget(self->poller, self->out);
}

static void add(struct ak_relay *self, const char *data, size_t len)
{
    if (self->prefix && ak_buf_add(&self->pending, data, len) < 0)
        stop_copying(self); /* no memory: the command matters more than its log */
}

static void add_text(struct ak_relay *self, const char *text)
{
    if (self->prefix)
        add(self, text, strlen(text));
}

static void end_line(struct ak_relay *self)
{
    if (self->in_line)
        add_text(self, self->line_cut ? "... (line cut)\n" : "\n");
    self->in_line = false;
    self->line_cut = false;
    self->line_len = 0;
}

/* A part of one line, without its newline. */
static void copy_part(struct ak_relay *self, const char *data, size_t len)
{
    size_t room = AK_RELAY_MAX_LINE - self->line_len;
    size_t n = AK_MIN(len, room);

    if (!self->in_line)
        add_text(self, self->prefix);
    self->in_line = true;
    add(self, data, n);
    self->line_len += n;
    self->total += n;
    self->line_cut = self->line_cut || n < len;
}

static void cut_all(struct ak_relay *self)
{
    end_line(self);
    add_text(self, self->prefix);
    add_text(self, "... (more output is not shown)\n");
    self->all_cut = true;
}

static void copy(struct ak_relay *self, const char *data, size_t len)
{
    while (len > 0 && self->prefix && !self->all_cut) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;

        copy_part(self, data, n);
        if (end)
            end_line(self);
        if (self->total > AK_RELAY_MAX_TOTAL)
            cut_all(self);
        n += end != NULL;
        data += n;
        len -= n;
    }
}

static void keep_tail(struct ak_relay *self, const char *data, size_t len)
{
    if (len > AK_RELAY_TAIL) {
        data += len - AK_RELAY_TAIL;
        len = AK_RELAY_TAIL;
    }
    if (self->tail.len + len > self->tail.max)
        ak_buf_consume(&self->tail, self->tail.len + len - AK_RELAY_TAIL);
    if (ak_buf_add(&self->tail, data, len) < 0)
        ak_buf_clear(&self->tail); /* no memory: a shorter message */
    for (size_t i = self->tail.len - AK_MIN(len, self->tail.len); i < self->tail.len; i++)
        if (self->tail.data[i] == '\0')
            self->tail.data[i] = '?'; /* the tail is used as text */
}

static void end_input(struct ak_relay *self)
{
    ak_poller_forget(self->poller, self->in);
    (void)close(self->in);
    self->in = -1;
    end_line(self);
}

/* One read. False: nothing is there now, or it is the end. */
static bool read_some(struct ak_relay *self)
{
    char block[READ_BYTES];
    ssize_t n = read(self->in, block, sizeof(block));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        end_input(self);
        return false;
    }
    keep_tail(self, block, (size_t)n);
    copy(self, block, (size_t)n);
    return true;
}

static void on_input(void *user, short events)
{
    struct ak_relay *self = user;

    (void)events;
    (void)read_some(self);
    flush(self);
    arm(self);
}

static void on_output(void *user, short events)
{
    struct ak_relay *self = user;

    (void)events;
    flush(self);
    arm(self);
}

int ak_relay_init(struct ak_relay *self, struct ak_poller *poller, int in, int out,
                  const char *prefix)
{
    *self = (struct ak_relay){
        .poller = poller,
        .in = in,
        .out = out,
        .prefix = prefix,
        .pending = AK_BUF_INIT(PENDING_MAX),
        .tail = AK_BUF_INIT(AK_RELAY_TAIL * 2),
    };
    return ak_poller_watch(poller, in, POLLIN, on_input, self);
}

void ak_relay_drain(struct ak_relay *self)
{
    for (int i = 0; i < DRAIN_READS && self->in >= 0; i++)
        if (!read_some(self))
            break;
    flush(self);
    arm(self);
}

/* The last lines are those that people look for: a log that is slow gets a moment, one that nobody reads does not. */
static void flush_last(struct ak_relay *self)
{
    ak_msec until = ak_now() + LAST_FLUSH;

    for (flush(self); self->pending.len > 0; flush(self)) {
        struct pollfd log = {.fd = self->out, .events = POLLOUT};
        ak_msec left = until - ak_now();

        if (left <= 0 || poll(&log, 1, (int)left) <= 0)
            return;
    }
}

void ak_relay_done(struct ak_relay *self)
{
    if (!self->poller)
        return;
    if (self->in >= 0)
        end_input(self);
    flush_last(self);
    ak_poller_forget(self->poller, self->out);
    ak_buf_done(&self->pending);
    ak_buf_done(&self->tail);
    self->poller = NULL;
}

const char *ak_relay_tail(struct ak_relay *self)
{
    if (self->tail.len > AK_RELAY_TAIL)
        ak_buf_consume(&self->tail, self->tail.len - AK_RELAY_TAIL);
    return ak_buf_text(&self->tail);
}
