/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exo tool forward: each connection to a local port is a channel of its own to the bastion, which logs in. A thread
 * for each, because each blocks; the program ends with the process.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netdb.h>

#include <ak/base/alloc.h>
#include <ak/base/text.h>

#include "engines/engine.h"
#include "exo/interrupt.h"
#include "exo/kinds.h"
#include "exo/output.h"
#include "exo/tools.h"
#include "exo/verbs.h"

#define MAX_CONNECTIONS 64
#define BACKLOG 64

struct forward;
struct connection {
    struct forward *forward;
    struct ak_thread thread;
    int fd;
    unsigned number;
    bool used, ended; /* of the lock */
};
struct forward {
    struct ak_exo *exo;
    const char *path;
    struct ak_mutex lock;
    struct connection connections[MAX_CONNECTIONS];
};

static int to_client(enum ak_exec_stream stream, const char *data, size_t len, void *user)
{
    struct connection *self = user;

    if (stream == AK_EXEC_STDERR) { /* why it ends, in words */
        (void)fprintf(stderr, "exo: connection %u: %.*s", self->number, (int)len, data);
        return 0;
    }
    while (len) {
        ssize_t n = send(self->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return AK_E_CANCELLED; /* the client has gone */
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int end_of_stream(enum ak_exec_stream stream, void *user)
{
    struct connection *self = user;

    if (stream == AK_EXEC_STDOUT)
        (void)shutdown(self->fd, SHUT_WR);
    return 0;
}

static void serve(void *user)
{
    struct connection *self = user;
    struct forward *forward = self->forward;
    AK_AUTO_PTR(ak_error) err = NULL;
    struct ak_exec_options io = {
        .input_fd = self->fd,
        .resize_fd = -1,
        .output = to_client,
        .end = end_of_stream,
        .user = self,
        .cancel = ak_interrupt_token(),
    };
    int code = 0;
    int r = ak_tools_channels(forward->exo, forward->path, &io, &code, &err);

    if (r < 0 && r != AK_E_CANCELLED)
        (void)fprintf(stderr, "exo: connection %u: %s\n", self->number, ak_error_message(err));
    ak_mutex_lock(&forward->lock);
    (void)close(self->fd);
    self->ended = true;
    ak_mutex_unlock(&forward->lock);
}

/* A place for one more, after those that have ended were joined; NULL: all are taken. */
static struct connection *take_place(struct forward *self)
{
    struct connection *found = NULL;

    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *one = &self->connections[i];
        ak_mutex_lock(&self->lock);
        bool ended = one->ended;
        ak_mutex_unlock(&self->lock);
        if (one->used && ended) {
            ak_thread_join(&one->thread);
            *one = (struct connection){0};
        }
        if (!one->used && !found)
            found = one;
    }
    return found;
}

static void accept_one(struct forward *self, int listener, unsigned number)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct connection *place = fd < 0 ? NULL : take_place(self);

    if (fd < 0)
        return;
    if (!place) {
        (void)fprintf(stderr, "exo: connection %u: refused, %d are open\n", number,
                      MAX_CONNECTIONS);
        (void)close(fd);
        return;
    }
    *place = (struct connection){.forward = self, .fd = fd, .number = number, .used = true};
    if (ak_thread_start(&place->thread, "forward", serve, place) < 0) {
        *place = (struct connection){0};
        (void)close(fd);
    }
}

static int listen_on(const char *address, const char *port, char *shown, size_t size,
                     struct ak_error **reterr)
{
    static const int yes = 1;
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char host[INET6_ADDRSTRLEN], service[8];
    uint16_t number; /* getaddrinfo() takes more than there are */

    if (ak_parse_u16(port, &number) < 0 || getaddrinfo(address, port, &hints, &found) != 0)
        return ak_error_set(reterr, -EINVAL, "%s port %s: not an address to listen on", address,
                            port);
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0),
        r = fd < 0 ? -errno : 0;
    if (r >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (r >= 0 && (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ||
                   getsockname(fd, (struct sockaddr *)&bound, &len) < 0))
        r = -errno;
    freeaddrinfo(found);
    if (r >= 0 && getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), service,
                              sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        r = -EIO;
    if (r < 0) {
        if (fd >= 0)
            (void)close(fd);
        return ak_error_set(
            reterr, r, "listen on %s port %s: %s%s", address, port, ak_code_text(r),
            r == -EADDRINUSE || r == -EACCES ? " (another port: exo tool forward NAME PORT)" : "");
    }
    (void)snprintf(shown, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, service);
    return fd;
}

/* The system's usual port, if the type can be forwarded at all. */
static int find_port(struct ak_exo *self, char port[static 8], struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    AK_AUTO_JSON *tool = NULL;
    int r = ak_client_get(self->client, ak_kinds_find("Tool"), self->ns, o->args[0], &tool, reterr);

    if (r < 0)
        return r;
    const char *name = ak_output_or(ak_json_text(tool, "spec", "type", NULL), "");
    int type = ak_tool_type_from_string(name);
    if (type < 0)
        return ak_error_set(reterr, AK_E_INVALID, "this exo does not know the type \"%s\"", name);
    const struct ak_engine_info *info = ak_engine_info((enum ak_tool_type)type);
    if (!(info->flags & AK_ENGINE_FORWARD))
        return ak_error_set(reterr, -EINVAL,
                            "type %s cannot be forwarded: its protocol has no place where a "
                            "credential could be added; use exo tool exec or connect",
                            name);
    const json_t *own = ak_json_at(tool, "spec", "config", "port", NULL);
    (void)snprintf(port, 8, "%d", own ? (int)json_integer_value(own) : info->port);
    return 0;
}

static const char *make_path(struct ak_exo *self)
{
    const struct ak_exo_options *o = self->options;
    const char *base = ak_tools_path(self, o->args[0], "forward", NULL, NULL);

    return base ? ak_arena_printf(self->arena, "%s?hold=%lld%s", base,
                                  (long long)ak_tools_hold(self),
                                  o->read_only ? "&readOnly=true" : "")
                : NULL;
}

static int accept_all(struct forward *self, int listener)
{
    const struct ak_cancel *stop = ak_interrupt_token();

    for (unsigned number = 1; !ak_interrupt_is_set();) {
        struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
                               {.fd = stop->fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (fds[0].revents)
            accept_one(self, listener, number++);
    }
    return 0;
}

/* A client that does not take what it is sent holds its thread up: it is cut. */
static void end_all(struct forward *self)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *one = &self->connections[i];
        ak_mutex_lock(&self->lock);
        if (one->used && !one->ended)
            (void)shutdown(one->fd, SHUT_RDWR);
        ak_mutex_unlock(&self->lock);
        if (one->used)
            ak_thread_join(&one->thread);
    }
}

int ak_verb_tool_forward(struct ak_exo *self, struct ak_error **reterr)
{
    const struct ak_exo_options *o = self->options;
    const char *address = o->address ? o->address : "127.0.0.1";
    char usual[8], shown[96];
    int r = find_port(self, usual, reterr);

    if (r < 0)
        return r;
    r = ak_interrupt_start(reterr);
    if (r < 0)
        return r;
    struct forward *forward = ak_new0(struct forward);
    const char *path = make_path(self);
    if (!forward || !path) {
        ak_free(forward);
        return ak_error_oom(reterr);
    }
    int listener =
        listen_on(address, o->n_args > 1 ? o->args[1] : usual, shown, sizeof(shown), reterr);
    if (listener < 0) {
        ak_free(forward);
        return listener;
    }
    forward->exo = self;
    forward->path = path;
    ak_mutex_init(&forward->lock);
    r = ak_proxy_ready(self, reterr);
    if (r >= 0)
        r = ak_output_line(reterr, "Forwarding from %s to Tool %s", shown, o->args[0]);
    if (r >= 0)
        r = accept_all(forward, listener);
    (void)close(listener);
    end_all(forward);
    ak_mutex_done(&forward->lock);
    ak_free(forward);
    return r < 0 ? r : AK_EXIT_OK;
}
