/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/net/http_server.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/text.h>

#include "http_server_internal.h"
#include "sigpipe.h"

#define BACKLOG 512
#define RESUME_AFTER 100 /* ms */
#define DEFAULT_MAX_BODY (1u << 20)
#define DEFAULT_MAX_HEADER (16u << 10)
#define DEFAULT_CONNECTIONS 1024
#define DEFAULT_IDLE AK_SECONDS(60)
#define DEFAULT_WRITE AK_SECONDS(60)
#define DEFAULT_MAX_WAITING (8u << 20) /* unsent bytes of one answer in chunks: a client too slow */
#define DEFAULT_UNIX_MODE 0600

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int len, void *user)
{
    struct ak_http_server *self = user;
    int one = 1;

    (void)listener;
    (void)len;
    /* Without it an answer of two writes waits for the peer's delayed acknowledgement. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    bool room =
        self->n_conns < self->max_connections || (self->make_room && ak__http_conn_make_room(self));
    if (!room || ak__http_conn_start(self, fd, peer) < 0)
        (void)close(fd);
}

/* Out of file descriptors or memory: the kernel would tell of the same connection again and again. */
static void on_accept_error(struct evconnlistener *listener, void *user)
{
    struct ak_http_server *self = user;

    (void)evconnlistener_disable(listener);
    ak_timer_set(self->resume, RESUME_AFTER);
}

static void on_resume(void *user)
{
    struct ak_http_server *self = user;

    if (self->listener)
        (void)evconnlistener_enable(self->listener);
}

struct bind_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
};

static int parse_address(const char *text, uint16_t port, struct bind_address *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (!text || inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        ret->len = sizeof(ret->v6);
        return 0;
    }
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, text, &ret->v4.sin_addr) != 1)
        return -EINVAL;
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = htons(port);
    ret->len = sizeof(ret->v4);
    return 0;
}

/* A listening socket, or -errno. */
static int open_socket(const struct bind_address *address, bool both)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1, v6only = both ? 0 : 1, r;

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
    if (bind(fd, &address->any, address->len) < 0 || listen(fd, BACKLOG) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

static int listen_on(const char *text, uint16_t port, struct ak_error **reterr)
{
    struct bind_address address;
    int fd = parse_address(text, port, &address);

    if (fd < 0)
        return ak_error_set(reterr, fd, "bind address \"%s\": is not an IP address", text);
    fd = open_socket(&address, !text);
    if (!text && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) { /* a machine without IPv6 */
        (void)parse_address("0.0.0.0", port, &address);
        fd = open_socket(&address, false);
    }
    if (fd < 0)
        return ak_error_set(reterr, fd, "listen on %s port %u: %s", text ? text : "all addresses",
                            port, strerrordesc_np(-fd));
    return fd;
}

/* A socket file that an earlier process left; anything else stays, and bind() says so. */
static void remove_stale(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
}

static int open_unix(struct ak_http_server *self, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r;
    struct stat st;

    if (fd < 0)
        return -errno;
    memcpy(address.sun_path, self->unix_path, strlen(self->unix_path) + 1);
    remove_stale(self->unix_path);
    /* The file is never there with more rights than it is to have: fchmod() sets what bind() creates it with (less
     * the umask), and connections come only after listen(). */
    if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(self->unix_path, mode) < 0 || stat(self->unix_path, &st) < 0 ||
        listen(fd, BACKLOG) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    self->unix_dev = st.st_dev;
    self->unix_ino = st.st_ino;
    return fd;
}

static int listen_on_unix(struct ak_http_server *self, const struct ak_http_server_options *o,
                          struct ak_error **reterr)
{
    int fd;

    if (strlen(o->unix_path) >= sizeof(((struct sockaddr_un *)0)->sun_path) || !o->unix_path[0])
        return ak_error_set(reterr, -ENAMETOOLONG, "socket \"%s\": must have 1 to 107 characters",
                            o->unix_path);
    self->unix_path = ak_strdup(o->unix_path);
    if (!self->unix_path)
        return ak_error_oom(reterr);
    fd = open_unix(self, o->unix_mode ? o->unix_mode : DEFAULT_UNIX_MODE);
    if (fd < 0)
        return ak_error_set(reterr, fd, "listen on \"%s\": %s", o->unix_path, strerrordesc_np(-fd));
    return fd;
}

/* Only ours: a successor may have put its own there. */
static void remove_own_socket(struct ak_http_server *self)
{
    struct stat st;

    if (self->unix_ino && lstat(self->unix_path, &st) == 0 && st.st_dev == self->unix_dev &&
        st.st_ino == self->unix_ino)
        (void)unlink(self->unix_path);
    self->unix_ino = 0;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    if (address.ss_family == AF_UNIX)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static void use_options(struct ak_http_server *self, const struct ak_http_server_options *o)
{
    self->routes = o->routes;
    self->user = o->user;
    self->max_body = o->max_body ? o->max_body : DEFAULT_MAX_BODY;
    self->max_bodies = o->max_bodies;
    self->max_header = o->max_header ? o->max_header : DEFAULT_MAX_HEADER;
    self->max_connections =
        o->max_connections > 0 ? (size_t)o->max_connections : DEFAULT_CONNECTIONS;
    self->max_waiting = o->max_waiting ? o->max_waiting : DEFAULT_MAX_WAITING;
    self->idle_timeout = o->idle_timeout ? o->idle_timeout : DEFAULT_IDLE;
    self->request_timeout = o->request_timeout ? o->request_timeout : self->idle_timeout;
    self->make_room = o->make_room;
    self->error_body = o->error_body;
    self->error_type = o->error_type;
    self->write_timeout = o->write_timeout ? o->write_timeout : DEFAULT_WRITE;
}

int ak_http_server_new(struct ak_loop *loop, const struct ak_http_server_options *options,
                       struct ak_http_server **ret, struct ak_error **reterr)
{
    AK_AUTO_PTR(ak_http_server) self = ak_new0(struct ak_http_server);
    int fd;

    if (!self)
        return ak_error_oom(reterr);
    self->loop = loop;
    use_options(self, options);
    ak_http_server_set_tls(self, options->tls);
    self->resume = ak_timer_new(loop, on_resume, self);
    if (!self->resume)
        return ak_error_oom(reterr);
    fd = options->unix_path ? listen_on_unix(self, options, reterr)
                            : listen_on(options->bind_address, options->port, reterr);
    if (fd < 0)
        return fd;
    self->port = port_of(fd);
    self->listener = evconnlistener_new(ak_loop_base(loop), on_accept, self,
                                        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!self->listener) {
        (void)close(fd);
        return ak_error_oom(reterr);
    }
    evconnlistener_set_error_cb(self->listener, on_accept_error);
    *ret = AK_TAKE(self);
    return 0;
}

struct ak_http_server *ak_http_server_free(struct ak_http_server *self)
{
    struct ak__sigpipe sigpipe;

    if (!self)
        return NULL;
    if (self->listener)
        evconnlistener_free(self->listener);
    ak__sigpipe_block(&sigpipe);
    while (self->conns)
        ak__http_conn_abandon(self->conns);
    ak__sigpipe_restore(&sigpipe);
    (void)ak_timer_free(self->resume);
    ak_http_server_set_tls(self, NULL);
    remove_own_socket(self);
    ak_free(self->unix_path);
    ak_free(self);
    return NULL;
}

size_t ak_http_server_drain(struct ak_http_server *self)
{
    struct ak__http_conn *conn = self->conns;

    self->draining = true;
    if (self->listener)
        evconnlistener_free(self->listener);
    self->listener = NULL;
    remove_own_socket(self);
    while (conn) {
        struct ak__http_conn *next = ak__http_conn_next(conn);

        ak__http_conn_drain(conn);
        conn = next;
    }
    return self->n_conns;
}

uint16_t ak_http_server_port(const struct ak_http_server *self)
{
    return self->port;
}

void ak_http_server_set_tls(struct ak_http_server *self, struct ak_tls_context *tls)
{
    struct ak_tls_context *before = self->tls;

    self->tls = tls ? tls->ops->ref(tls) : NULL;
    if (before)
        (void)before->ops->unref(before);
}

static bool path_matches(const char *pattern, const char *path)
{
    size_t len = strlen(pattern);

    if (len && pattern[len - 1] == '*')
        return strncmp(pattern, path, len - 1) == 0;
    return strcmp(pattern, path) == 0;
}

static bool method_matches(const char *wanted, const char *method)
{
    return !wanted || ak_streq(wanted, method) ||
           (ak_streq(wanted, "GET") && ak_streq(method, "HEAD"));
}

void ak__http_dispatch(struct ak_http_server *server, struct ak_http_exchange *ex)
{
    const struct ak_http_route *other = NULL;
    char allow[64];
    const char *extra[] = {allow, NULL};

    for (const struct ak_http_route *r = server->routes; r && r->handler; r++) {
        if (!path_matches(r->path, ak_http_path(ex)))
            continue;
        if (method_matches(r->method, ak_http_method(ex))) {
            r->handler(ex, server->user);
            return;
        }
        other = other ? other : r;
    }
    if (!other) {
        ak_http_reply_text(ex, 404, "text/plain; charset=utf-8", "not found\n", 10, NULL);
        return;
    }
    (void)snprintf(allow, sizeof(allow), "Allow: %s", other->method);
    ak_http_reply_text(ex, 405, "text/plain; charset=utf-8", "method not allowed\n", 19, extra);
}
