/* SPDX-License-Identifier: Apache-2.0 */
#include "agentlet/endpoint.h"

#include <ak/base/text.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

static void on_connection(void *user, short events);

/* ---- listening ---- */

static bool parse_host(const char *host, uint16_t port, union address *ret, socklen_t *ret_len)
{
    char v6[INET6_ADDRSTRLEN];
    size_t len = strlen(host);

    *ret = (union address){0};
    if (len > 2 && len - 2 < sizeof(v6) && host[0] == '[' && host[len - 1] == ']') {
        memcpy(v6, host + 1, len - 2);
        v6[len - 2] = '\0';
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        *ret_len = sizeof(ret->v6);
        return inet_pton(AF_INET6, v6, &ret->v6.sin6_addr) == 1;
    }
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = htons(port);
    *ret_len = sizeof(ret->v4);
    return inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1;
}

static int bind_to(const char *host, uint16_t port)
{
    union address address;
    socklen_t len = 0;
    int yes = 1, no = 0, fd = -1, r = 0;

    if (!parse_host(host, port, &address, &len))
        return -EINVAL;
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (address.any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    if (bind(fd, &address.any, len) < 0 || listen(fd, AK_ENDPOINT_CONNECTIONS) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

static int bind_text(const char *listen_on)
{
    const char *colon = strrchr(listen_on, ':');
    char host[INET6_ADDRSTRLEN + 2];
    uint16_t port = 0;
    size_t len = 0;
    int fd = -1;

    if (!colon || ak_parse_u16(colon + 1, &port) < 0)
        return -EINVAL;
    len = (size_t)(colon - listen_on);
    if (len >= sizeof(host))
        return -EINVAL;
    memcpy(host, listen_on, len);
    host[len] = '\0';
    if (len > 0)
        return bind_to(host, port);
    fd = bind_to("[::]", port);
    return fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL ? bind_to("0.0.0.0", port) : fd;
}

static uint16_t bound_port(int fd)
{
    union address address = {0};
    socklen_t len = sizeof(address);

    if (getsockname(fd, &address.any, &len) < 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* ---- one connection ---- */

static void drop(struct ak_endpoint_connection *self)
{
    if (self->fd < 0)
        return;
    ak_poller_forget(self->endpoint->poller, self->fd);
    (void)close(self->fd);
    self->fd = -1;
    ak_buf_done(&self->request);
    ak_buf_done(&self->reply);
}

static const char *status_text(int status)
{
    for (size_t i = 0; i < AK_ARRAY_LEN(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "Unknown";
}

static int compose(struct ak_buf *out, int status, const char *type, const struct ak_buf *body,
                   bool with_body)
{
    int r = ak_buf_addf(out,
                        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                        "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n",
                        status, status_text(status), type, body->len,
                        status == 405 ? "Allow: GET, HEAD\r\n" : "");

    return r >= 0 && with_body ? ak_buf_add(out, ak_buf_text(body), body->len) : r;
}

static const struct ak_endpoint_route *find_route(const struct ak_endpoint *self, const char *path)
{
    for (const struct ak_endpoint_route *route = self->routes; route->path; route++)
        if (strcmp(route->path, path) == 0)
            return route;
    return NULL;
}

/* Cuts "GET /readyz?x HTTP/1.1" into its parts, in place. */
static bool parse_request_line(char *line, char **ret_method, char **ret_path)
{
    char *end = line + strcspn(line, "\r\n");
    char *path = NULL, *version = NULL;

    *end = '\0';
    path = strchr(line, ' ');
    version = path ? strchr(path + 1, ' ') : NULL;
    if (!version || path == line || path[1] != '/' || !ak_has_prefix(version + 1, "HTTP/1."))
        return false;
    *path++ = '\0';
    *version = '\0';
    path[strcspn(path, "?#")] = '\0';
    *ret_method = line;
    *ret_path = path;
    return true;
}

static int answer(struct ak_endpoint_connection *self, int status)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_ENDPOINT_REPLY / 2);
    int r = ak_buf_addf(&body, "%s\n", status_text(status));

    return r < 0 ? r : compose(&self->reply, status, "text/plain", &body, true);
}

static int answer_request(struct ak_endpoint_connection *self)
{
    AK_AUTO(ak_buf) body = AK_BUF_INIT(AK_ENDPOINT_REPLY / 2);
    const struct ak_endpoint_route *route = NULL;
    char *method = NULL, *path = NULL;
    bool is_head = false;
    int status = 0;

    if (!parse_request_line(self->request.data, &method, &path))
        return answer(self, 400);
    is_head = strcmp(method, "HEAD") == 0;
    route = find_route(self->endpoint, path);
    if (!route)
        return answer(self, 404);
    if (!is_head && strcmp(method, "GET") != 0)
        return answer(self, 405);
    status = route->fn(self->endpoint->user, &body);
    return compose(&self->reply, status, route->content_type, &body, !is_head);
}

/* Sends what can be sent. Closing with our side first lets the peer read everything. */
static void send_reply(struct ak_endpoint_connection *self)
{
    while (self->reply.len > 0) {
        ssize_t n = send(self->fd, self->reply.data, self->reply.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            if (ak_poller_watch(self->endpoint->poller, self->fd, POLLOUT, on_connection, self) < 0)
                drop(self);
            return;
        }
        if (n < 0)
            break;
        ak_buf_consume(&self->reply, (size_t)n);
    }
    (void)shutdown(self->fd, SHUT_WR);
    drop(self);
}

static bool is_complete(const struct ak_buf *request)
{
    const char *text = ak_buf_text(request);

    return strstr(text, "\r\n\r\n") || strstr(text, "\n\n");
}

/* False: there is nothing to answer yet. */
static bool read_request(struct ak_endpoint_connection *self, int *ret)
{
    char block[1024];
    ssize_t n = 0;

    while ((n = recv(self->fd, block, sizeof(block), 0)) > 0) {
        if (ak_buf_add(&self->request, block, (size_t)n) < 0) {
            *ret = answer(self, 431);
            return true;
        }
        if (is_complete(&self->request)) {
            *ret = answer_request(self);
            return true;
        }
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    *ret = -EPIPE; /* gone before it asked */
    return true;
}

static void on_connection(void *user, short events)
{
    struct ak_endpoint_connection *self = user;
    int r = 0;

    (void)events;
    if (self->reply.len == 0 && !read_request(self, &r))
        return;
    if (r < 0)
        drop(self);
    else
        send_reply(self);
}

/* ---- all connections ---- */

/* A free slot, or the one of the oldest connection, which ends. */
static struct ak_endpoint_connection *take_slot(struct ak_endpoint *self)
{
    struct ak_endpoint_connection *oldest = &self->connections[0];

    for (size_t i = 0; i < AK_ENDPOINT_CONNECTIONS; i++) {
        struct ak_endpoint_connection *connection = &self->connections[i];

        if (connection->fd < 0)
            return connection;
        if (connection->deadline < oldest->deadline)
            oldest = connection;
    }
    drop(oldest);
    return oldest;
}

static void on_listener(void *user, short events)
{
    struct ak_endpoint *self = user;
    struct ak_endpoint_connection *connection = NULL;
    int fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return; /* gone again, or short of descriptors: the next event tries anew */
    connection = take_slot(self);
    *connection = (struct ak_endpoint_connection){
        .endpoint = self,
        .fd = fd,
        .deadline = ak_now() + AK_ENDPOINT_TIMEOUT,
        .request = AK_BUF_INIT(AK_ENDPOINT_REQUEST),
        .reply = AK_BUF_INIT(AK_ENDPOINT_REPLY),
    };
    if (ak_poller_watch(self->poller, fd, POLLIN, on_connection, connection) < 0)
        drop(connection);
}

int ak_endpoint_init(struct ak_endpoint *self, struct ak_poller *poller, const char *listen_on,
                     const struct ak_endpoint_route *routes, void *user, struct ak_error **reterr)
{
    int r = 0;

    *self = (struct ak_endpoint){.poller = poller, .routes = routes, .user = user};
    for (size_t i = 0; i < AK_ENDPOINT_CONNECTIONS; i++)
        self->connections[i].fd = -1;
    self->fd = bind_text(listen_on);
    if (self->fd == -EINVAL)
        return ak_error_set(
            reterr, -EINVAL,
            "AGENTKUBE_LISTEN \"%s\": must be \"[ADDRESS]:PORT\", such as \":8083\"", listen_on);
    if (self->fd < 0)
        return ak_error_set(reterr, self->fd, "cannot listen on \"%s\": %s", listen_on,
                            ak_code_text(self->fd));
    self->port = bound_port(self->fd);
    r = ak_poller_watch(poller, self->fd, POLLIN, on_listener, self);
    return r < 0 ? ak_error_set(reterr, r, "cannot watch the listener: %s", ak_code_text(r)) : 0;
}

void ak_endpoint_done(struct ak_endpoint *self)
{
    if (!self->poller)
        return;
    for (size_t i = 0; i < AK_ENDPOINT_CONNECTIONS; i++)
        drop(&self->connections[i]);
    if (self->fd >= 0) {
        ak_poller_forget(self->poller, self->fd);
        (void)close(self->fd);
    }
    self->fd = -1;
    self->poller = NULL;
}

ak_msec ak_endpoint_deadline(const struct ak_endpoint *self)
{
    ak_msec first = AK_MSEC_NEVER;

    for (size_t i = 0; i < AK_ENDPOINT_CONNECTIONS; i++)
        if (self->connections[i].fd >= 0)
            first = AK_MIN(first, self->connections[i].deadline);
    return first;
}

void ak_endpoint_tick(struct ak_endpoint *self, ak_msec now)
{
    for (size_t i = 0; i < AK_ENDPOINT_CONNECTIONS; i++)
        if (self->connections[i].fd >= 0 && self->connections[i].deadline <= now)
            drop(&self->connections[i]);
}
