/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/runs/console.h"

#include <ak/base/time.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LAST_FLUSH AK_SECONDS(2)

static void on_writable(void *user, short events);

static bool is_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, 0) > 0;
}

static void close_log(struct ak_console *self)
{
    ak_poller_forget(self->poller, self->fd);
    (void)close(self->fd);
    self->fd = -1;
    ak_buf_done(&self->pending);
}

/* PIPE_BUF bytes never block on a pipe that poll called writable. */
static void flush(struct ak_console *self)
{
    size_t done = 0;

    while (self->fd >= 0 && done < self->pending.len && is_writable(self->fd)) {
        ssize_t n =
            write(self->fd, self->pending.data + done, AK_MIN(self->pending.len - done, PIPE_BUF));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            break;
        if (n <= 0) {
            close_log(self);
            return;
        }
        done += (size_t)n;
    }
    ak_buf_consume(&self->pending, done);
}

static void arm(struct ak_console *self)
{
    if (self->fd < 0)
        return;
    if (self->pending.len == 0)
        ak_poller_forget(self->poller, self->fd);
    else if (ak_poller_watch(self->poller, self->fd, POLLOUT, on_writable, self) < 0)
        close_log(self);
}

static void on_writable(void *user, short events)
{
    struct ak_console *self = user;

    (void)events;
    flush(self);
    arm(self);
}

int ak_console_init(struct ak_console *self, struct ak_poller *poller, int fd)
{
    *self = (struct ak_console){
        .poller = poller,
        .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3),
        .pending = AK_BUF_INIT(AK_CONSOLE_PENDING + 4096),
    };
    return self->fd < 0 ? -errno : 0;
}

void ak_console_done(struct ak_console *self)
{
    ak_msec until = ak_now() + LAST_FLUSH;

    if (!self->poller)
        return;
    for (flush(self); self->fd >= 0 && self->pending.len > 0; flush(self)) {
        struct pollfd log = {.fd = self->fd, .events = POLLOUT};
        ak_msec left = until - ak_now();

        if (left <= 0 || poll(&log, 1, (int)left) <= 0)
            break;
    }
    if (self->fd >= 0)
        close_log(self);
    self->poller = NULL;
}

void ak_console_begin(struct ak_console *self, const char *run_id)
{
    (void)snprintf(self->prefix, sizeof(self->prefix), "run %s: ", run_id);
    self->total = 0;
    self->all_cut = false;
    self->in_line = false;
}

static void add(struct ak_console *self, const char *text, size_t len)
{
    if (ak_buf_add(&self->pending, text, len) < 0)
        self->line_out = true; /* no memory, or more than fits: the rest of this line is gone */
}

static void adds(struct ak_console *self, const char *text)
{
    add(self, text, strlen(text));
}

/* Is there room to begin a line? Says first what was left out. */
static bool has_room(struct ak_console *self)
{
    char text[64];

    if (self->pending.len > AK_CONSOLE_PENDING - AK_CONSOLE_MAX_LINE - sizeof(text) * 4)
        return false;
    if (self->left_out > 0) {
        (void)snprintf(text, sizeof(text), "... (%" PRIu64 " lines are not shown)\n",
                       self->left_out);
        self->left_out = 0;
        adds(self, self->prefix);
        adds(self, text);
    }
    return true;
}

static void begin_line(struct ak_console *self)
{
    self->in_line = true;
    self->line_cut = false;
    self->line_len = 0;
    self->line_out = !has_room(self);
    if (self->line_out)
        self->left_out++;
    else
        adds(self, self->prefix);
}

static void end_line(struct ak_console *self)
{
    if (!self->in_line)
        begin_line(self);
    if (!self->line_out)
        adds(self, self->line_cut ? "... (line cut)\n" : "\n");
    self->in_line = false;
}

/* Control characters would let a run paint over other lines of a terminal. */
static void add_shown(struct ak_console *self, const char *text, size_t len)
{
    size_t from = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)text[i];

        if ((ch >= ' ' || ch == '\t') && ch != 0x7f)
            continue;
        add(self, text + from, i - from);
        add(self, ch == '\r' ? "" : "?", ch == '\r' ? 0 : 1);
        from = i + 1;
    }
    add(self, text + from, len - from);
}

/* A part of one line, without its line feed. */
static void add_part(struct ak_console *self, const char *text, size_t len)
{
    size_t n = 0;

    if (!self->in_line)
        begin_line(self);
    n = AK_MIN(len, AK_CONSOLE_MAX_LINE - self->line_len);
    if (!self->line_out)
        add_shown(self, text, n);
    self->line_len += n;
    self->total += n;
    self->line_cut = self->line_cut || n < len;
}

void ak_console_flush(struct ak_console *self)
{
    if (self->pending.len == 0)
        return;
    flush(self);
    arm(self);
}

void ak_console_text(struct ak_console *self, const char *text, size_t len)
{
    while (len > 0 && self->fd >= 0 && !self->all_cut) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;

        add_part(self, text, n);
        if (end)
            end_line(self);
        if (end && self->total > AK_CONSOLE_MAX_RUN) {
            adds(self, self->prefix);
            adds(self, "... (more of this run is not shown)\n");
            self->all_cut = true;
        }
        n += end != NULL;
        text += n;
        len -= n;
    }
    if (self->pending.len > AK_CONSOLE_PENDING / 4)
        ak_console_flush(self);
}
