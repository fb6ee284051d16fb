/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting to the first of several addresses that answers (RFC 8305): the next one is tried when the one
 * before failed, or has been silent for a quarter of a second, while the earlier ones may still answer.
 */
#include "bastion/wire_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define NEXT_AFTER 250 /* ms */

struct dial {
    const struct ak_wire_options *options;
    const struct ak__wire_address *addresses;
    size_t n;
    size_t begun;                                 /* addresses that were tried */
    size_t open;                                  /* of those, the ones that have not failed */
    ak_msec next_time;                            /* when to try the next one at the latest */
    int last_errno;                               /* of the last that failed */
    struct pollfd fds[AK_WIRE_MAX_ADDRESSES + 1]; /* the last one used is the cancellation's */
};

static void failed(struct dial *d, size_t i, int code)
{
    if (d->fds[i].fd >= 0) {
        (void)close(d->fds[i].fd);
        d->fds[i].fd = -1;
        d->open--;
    }
    d->last_errno = code;
    d->next_time = ak_now();
}

static void begin_next(struct dial *d)
{
    const size_t i = d->begun++;
    const struct ak__wire_address *a = &d->addresses[i];
    const int one = 1;
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    d->fds[i] = (struct pollfd){.fd = fd, .events = POLLOUT};
    d->next_time = ak_now() + NEXT_AFTER;
    if (fd < 0) {
        failed(d, i, errno);
        return;
    }
    d->open++;
    if (a->any.sa_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    if (connect(fd, &a->any, a->len) < 0 && errno != EINPROGRESS)
        failed(d, i, errno);
}

static void close_others(struct dial *d, size_t keep)
{
    for (size_t i = 0; i < d->begun; i++) {
        if (i != keep && d->fds[i].fd >= 0)
            (void)close(d->fds[i].fd);
    }
}

/* One of the begun connects was decided: true if it succeeded. */
static bool look(struct dial *d, size_t i)
{
    int code = 0;
    socklen_t len = sizeof(code);

    if (getsockopt(d->fds[i].fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code == 0)
        return true;
    failed(d, i, code);
    return false;
}

static int dial_error(const struct dial *d, int code, struct ak_error **reterr)
{
    const struct ak_wire_options *o = d->options;
    const char *words = code == AK_E_CANCELLED ? "cancelled" : strerror(-code);

    if (d->addresses[0].any.sa_family == AF_UNIX)
        return ak_error_set(reterr, code, "connect to %s: %s", o->host, words);
    return ak_error_set(reterr, code, "connect to %s:%u: %s", o->host, (unsigned)o->port, words);
}

/* Waits for one of them, or for the time to try the next. 1: *ret_which is connected; 0: go on; negative: over. */
static int wait_once(struct dial *d, ak_msec deadline, size_t *ret_which)
{
    const struct ak_cancel *cancel = d->options->cancel;
    const ak_msec until = d->begun < d->n ? AK_MIN(d->next_time, deadline) : deadline;
    int r;

    d->fds[d->begun] = (struct pollfd){.fd = cancel ? cancel->fd : -1, .events = POLLIN};
    r = poll(d->fds, d->begun + 1, ak__wire_remaining(until));
    if (r < 0 && errno != EINTR)
        return -errno;
    if (r > 0 && d->fds[d->begun].revents)
        return AK_E_CANCELLED;
    for (size_t i = 0; r > 0 && i < d->begun; i++) {
        if (d->fds[i].fd >= 0 && d->fds[i].revents && look(d, i)) {
            *ret_which = i;
            return 1;
        }
    }
    return ak_now() >= deadline ? -ETIMEDOUT : 0;
}

int ak__wire_dial(const struct ak_wire_options *options, const struct ak__wire_address *addresses,
                  size_t n, ak_msec deadline, size_t *ret_which, struct ak_error **reterr)
{
    struct dial d = {.options = options, .addresses = addresses, .n = n, .last_errno = ETIMEDOUT};
    int r = 0;

    while (r == 0) {
        while (d.begun < n && (d.open == 0 || ak_now() >= d.next_time))
            begin_next(&d);
        if (d.open == 0 && d.begun == n)
            return dial_error(&d, -d.last_errno, reterr);
        r = wait_once(&d, deadline, ret_which);
    }
    close_others(&d, r > 0 ? *ret_which : n);
    return r > 0 ? d.fds[*ret_which].fd : dial_error(&d, r, reterr);
}
