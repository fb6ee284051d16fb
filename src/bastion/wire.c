/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/secret.h>

#include "bastion/wire_internal.h"

#define DEFAULT_TIMEOUT AK_SECONDS(10)
#define MAX_WAITS 8

struct ak_wire *ak_wire_free(struct ak_wire *self)
{
    if (!self)
        return NULL;
    ak__wire_tls_done(self);
    if (self->fd >= 0)
        (void)close(self->fd);
    ak_free((char *)(uintptr_t)self->options.host);
    ak_free((char *)(uintptr_t)self->options.ca_file);
    ak_free((char *)(uintptr_t)self->options.server_name);
    ak_free((char *)(uintptr_t)self->options.resolv_conf);
    ak_free(self->address);
    ak_free(self->peer);
    ak_wipe(self->buffer, sizeof(self->buffer));
    ak_free(self);
    return NULL;
}

static struct ak_wire *wire_new(int fd, const struct ak_cancel *cancel)
{
    struct ak_wire *self = ak_new0(struct ak_wire);
    struct stat st;

    if (!self)
        return NULL;
    self->fd = fd;
    self->is_socket = fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    self->deadline = AK_MSEC_NEVER;
    self->options.cancel = cancel;
    return self;
}

static int copy_options(struct ak_wire *self, const struct ak_wire_options *from)
{
    struct ak_wire_options *to = &self->options;

    *to = (struct ak_wire_options){.port = from->port,
                                   .mode = from->mode ? from->mode : AK_SSL_MODE_PREFER,
                                   .cancel = from->cancel,
                                   .timeout = from->timeout > 0 ? from->timeout : DEFAULT_TIMEOUT};
    to->host = ak_strdup(from->host);
    to->ca_file = ak_strdup(from->ca_file);
    to->server_name = ak_strdup(from->server_name ? from->server_name : from->host);
    to->resolv_conf = ak_strdup(from->resolv_conf);
    if (!to->host || !to->server_name || (from->ca_file && !to->ca_file) ||
        (from->resolv_conf && !to->resolv_conf))
        return -ENOMEM;
    return 0;
}

static int name_peer(struct ak_wire *self, const struct ak__wire_address *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    const struct ak_wire_options *o = &self->options;

    if (address->any.sa_family == AF_UNIX) {
        self->address = ak_strdup(o->host);
        self->peer = ak_strdup(o->host);
    } else {
        const void *in =
            address->any.sa_family == AF_INET6
                ? (const void *)&((const struct sockaddr_in6 *)&address->any)->sin6_addr
                : (const void *)&((const struct sockaddr_in *)&address->any)->sin_addr;

        (void)inet_ntop(address->any.sa_family, in, text, sizeof(text));
        self->address = ak_strdup(text);
        self->peer = strcmp(text, o->host) == 0
                         ? ak_asprintf("%s:%u", o->host, (unsigned)o->port)
                         : ak_asprintf("%s:%u (%s)", o->host, (unsigned)o->port, text);
    }
    return self->address && self->peer ? 0 : -ENOMEM;
}

int ak_wire_connect(const struct ak_wire_options *options, struct ak_wire **ret,
                    struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_wire) self = NULL;
    struct ak__wire_address addresses[AK_WIRE_MAX_ADDRESSES];
    ak_msec deadline;
    size_t which = 0;
    int r;

    if (!options->host || !options->host[0])
        return ak_error_set(reterr, -EINVAL, "no host to connect to");
    self = wire_new(-1, options->cancel);
    if (!self || copy_options(self, options) < 0)
        return ak_error_oom(reterr);
    deadline = ak_now() + self->options.timeout;
    r = ak__wire_resolve(&self->options, deadline, addresses, reterr);
    if (r < 0)
        return r;
    r = ak__wire_dial(&self->options, addresses, (size_t)r, deadline, &which, reterr);
    if (r < 0)
        return r;
    self->fd = r;
    self->is_socket = true;
    if (name_peer(self, &addresses[which]) < 0)
        return ak_error_oom(reterr);
    *ret = AK_TAKE(self);
    return 0;
}

int ak_wire_from_fd(int fd, const struct ak_cancel *cancel, struct ak_wire **ret,
                    struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_wire) self = wire_new(fd, cancel);
    int flags;

    if (!self) {
        (void)close(fd);
        return ak_error_oom(reterr);
    }
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return ak_error_set(reterr, -errno, "prepare a connection: %s", strerror(errno));
    self->options.mode = AK_SSL_MODE_DISABLE;
    *ret = AK_TAKE(self);
    return 0;
}

bool ak_wire_wants_tls(const struct ak_wire *self)
{
    return self->options.mode >= AK_SSL_MODE_PREFER;
}

bool ak_wire_needs_tls(const struct ak_wire *self)
{
    return self->options.mode >= AK_SSL_MODE_REQUIRE;
}

bool ak_wire_is_tls(const struct ak_wire *self)
{
    return self->ssl != NULL;
}

bool ak_wire_is_verified(const struct ak_wire *self)
{
    return self->is_verified;
}

void ak_wire_set_deadline(struct ak_wire *self, ak_msec deadline)
{
    self->deadline = deadline;
}

int ak_wire_fd(const struct ak_wire *self)
{
    return self->fd;
}

const char *ak_wire_peer(const struct ak_wire *self)
{
    return self->peer ? self->peer : "the client";
}

void ak_wire_options_of(const struct ak_wire *self, struct ak_wire_options *ret)
{
    *ret = self->options;
    if (self->address)
        ret->host = self->address;
}

int ak__wire_remaining(ak_msec deadline)
{
    ak_msec left;

    if (deadline == AK_MSEC_NEVER)
        return -1;
    left = deadline - ak_now();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int ak__wire_poll(int fd, short events, const struct ak_cancel *cancel, ak_msec deadline,
                  const char *what, struct ak_error **reterr)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = events},
                                {.fd = cancel ? cancel->fd : -1, .events = POLLIN}};
        int r = poll(fds, 2, ak__wire_remaining(deadline));

        if (r < 0 && errno != EINTR)
            return ak_error_set(reterr, -errno, "%s: poll: %s", what, strerror(errno));
        if (r > 0 && fds[1].revents)
            return ak_error_set(reterr, AK_E_CANCELLED, "%s: cancelled", what);
        if (r > 0 && fds[0].revents)
            return 0;
        if (r == 0 && ak__wire_remaining(deadline) == 0)
            return ak_error_set(reterr, -ETIMEDOUT, "%s: no answer in time", what);
    }
}

static int closed(const struct ak_wire *self, int code, struct ak_error **reterr)
{
    return ak_error_set(reterr, code, "%s closed the connection",
                        self->peer ? self->peer : "the client");
}

static ssize_t system_read(struct ak_wire *self, void *buf, size_t max, struct ak_error **reterr)
{
    ssize_t n;

    if (self->ssl)
        return ak__wire_tls_read(self, buf, max, reterr);
    do
        n = read(self->fd, buf, max);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    if (n == 0)
        return closed(self, -EPIPE, reterr);
    if (errno == EAGAIN)
        return -EAGAIN;
    if (errno == ECONNRESET || errno == EIO)
        return closed(self, AK_E_PROTOCOL, reterr);
    return ak_error_set(reterr, -errno, "read from %s: %s", ak_wire_peer(self), strerror(errno));
}

static size_t take_buffered(struct ak_wire *self, void *buf, size_t max)
{
    size_t n = AK_MIN(max, self->end - self->start);

    memcpy(buf, self->buffer + self->start, n);
    self->start += n;
    if (self->start == self->end)
        self->start = self->end = 0;
    return n;
}

ssize_t ak_wire_try_read(struct ak_wire *self, void *buf, size_t max, struct ak_error **reterr)
{
    if (self->end > self->start)
        return (ssize_t)take_buffered(self, buf, max);
    return system_read(self, buf, max, reterr);
}

/* Into the caller's memory when much is wanted, else through the buffer: headers are small. */
static ssize_t read_once(struct ak_wire *self, void *buf, size_t max, struct ak_error **reterr)
{
    ssize_t n;

    if (self->end > self->start)
        return (ssize_t)take_buffered(self, buf, max);
    if (max >= sizeof(self->buffer))
        return system_read(self, buf, max, reterr);
    n = system_read(self, self->buffer, sizeof(self->buffer), reterr);
    if (n <= 0)
        return n;
    self->start = 0;
    self->end = (size_t)n;
    return (ssize_t)take_buffered(self, buf, max);
}

ssize_t ak_wire_read(struct ak_wire *self, void *buf, size_t min, size_t max,
                     struct ak_error **reterr)
{
    size_t got = 0;

    while (got < max) {
        ssize_t n = read_once(self, (char *)buf + got, max - got, reterr);

        if (n == -EPIPE && got)
            return closed(self, AK_E_PROTOCOL, reterr);
        if (n < 0 && n != -EAGAIN)
            return n;
        if (n > 0)
            got += (size_t)n;
        if (got >= min)
            break;
        if (n == -EAGAIN) {
            int r = ak__wire_poll(self->fd, self->read_wants_write ? POLLOUT : POLLIN,
                                  self->options.cancel, self->deadline, ak_wire_peer(self), reterr);

            if (r < 0)
                return r;
        }
    }
    return (ssize_t)got;
}

int ak_wire_read_exact(struct ak_wire *self, void *buf, size_t len, struct ak_error **reterr)
{
    ssize_t n = ak_wire_read(self, buf, len, len, reterr);

    return n < 0 ? (int)n : 0;
}

ssize_t ak_wire_try_write(struct ak_wire *self, const void *data, size_t len,
                          struct ak_error **reterr)
{
    ssize_t n;

    if (self->ssl)
        return ak__wire_tls_write(self, data, len, reterr);
    do
        n = self->is_socket ? send(self->fd, data, len, MSG_NOSIGNAL) : write(self->fd, data, len);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN)
        return -EAGAIN;
    if (errno == EPIPE || errno == ECONNRESET)
        return closed(self, -EPIPE, reterr);
    return ak_error_set(reterr, -errno, "write to %s: %s", ak_wire_peer(self), strerror(errno));
}

int ak_wire_write(struct ak_wire *self, const void *data, size_t len, struct ak_error **reterr)
{
    size_t sent = 0;

    while (sent < len) {
        ssize_t n = ak_wire_try_write(self, (const char *)data + sent, len - sent, reterr);

        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        if (n != -EAGAIN)
            return (int)n;
        n = ak__wire_poll(self->fd, self->write_wants_read ? POLLIN : POLLOUT, self->options.cancel,
                          self->deadline, ak_wire_peer(self), reterr);
        if (n < 0)
            return (int)n;
    }
    return 0;
}

/* What must be polled for, and what is known to be ready without asking the system. */
static short poll_events(struct ak_wire_wait *item)
{
    const struct ak_wire *w = item->wire;
    short events = 0;

    item->ready = 0;
    if (item->want & AK_WIRE_READ) {
        if (w->end > w->start || ak__wire_tls_has_pending(w))
            item->ready |= AK_WIRE_READ;
        events |= w->read_wants_write ? POLLOUT : POLLIN;
    }
    if (item->want & AK_WIRE_WRITE)
        events |= w->write_wants_read ? POLLIN : POLLOUT;
    return events;
}

static void note_ready(struct ak_wire_wait *item, short revents)
{
    const struct ak_wire *w = item->wire;
    const short broken = POLLERR | POLLHUP | POLLNVAL;
    const short read_on = (short)(broken | (w->read_wants_write ? POLLOUT : POLLIN));
    const short write_on = (short)(broken | (w->write_wants_read ? POLLIN : POLLOUT));

    if ((item->want & AK_WIRE_READ) && (revents & read_on))
        item->ready |= AK_WIRE_READ;
    if ((item->want & AK_WIRE_WRITE) && (revents & write_on))
        item->ready |= AK_WIRE_WRITE;
}

/* One poll(2). 1: something is ready; 0: nothing yet; negative: it is over. */
static int wait_once(struct ak_wire_wait *items, size_t n, const struct ak_cancel *cancel,
                     ak_msec deadline, struct ak_error **reterr)
{
    struct pollfd fds[MAX_WAITS + 1];
    bool ready = false;
    int r;

    for (size_t i = 0; i < n; i++) {
        short events = poll_events(&items[i]);

        /* A descriptor of which nothing is wanted would report its hang-up for ever. */
        fds[i] = (struct pollfd){.fd = events ? items[i].wire->fd : -1, .events = events};
        ready = ready || items[i].ready;
    }
    fds[n] = (struct pollfd){.fd = cancel ? cancel->fd : -1, .events = POLLIN};
    r = poll(fds, n + 1, ready ? 0 : ak__wire_remaining(deadline));
    if (r < 0)
        return errno == EINTR ? 0 : ak_error_set(reterr, -errno, "poll: %s", strerror(errno));
    if (fds[n].revents)
        return ak_error_set(reterr, AK_E_CANCELLED, "the session was ended");
    for (size_t i = 0; r > 0 && i < n; i++) {
        note_ready(&items[i], fds[i].revents);
        ready = ready || items[i].ready;
    }
    if (!ready && r == 0 && ak__wire_remaining(deadline) == 0)
        return ak_error_set(reterr, -ETIMEDOUT, "nothing happened in time");
    return ready;
}

int ak_wire_wait(struct ak_wire_wait *items, size_t n, const struct ak_cancel *cancel,
                 ak_msec deadline, struct ak_error **reterr)
{
    int r = 0;

    if (n > MAX_WAITS)
        return ak_error_set(reterr, -EINVAL, "too many connections to wait for");
    while (r == 0)
        r = wait_once(items, n, cancel, deadline, reterr);
    return r < 0 ? r : 0;
}

void ak_wire_end_writing(struct ak_wire *self)
{
    ak__wire_tls_end(self);
    if (self->is_socket)
        (void)shutdown(self->fd, SHUT_WR);
}
