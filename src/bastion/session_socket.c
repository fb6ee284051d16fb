/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/session_socket.h"

#include <event2/listener.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>

#include "bastion/session_table.h"

#define LOG "bastion"

struct connection {
    struct ak_session_socket *socket;
    struct ak_session *session;
    int fd;
};

static void serve_connection(void *user)
{
    struct connection *c = user;
    struct ak_bastion *b = c->socket->bastion;
    AK_AUTO_PTR(ak_error) err = NULL;
    int r = b->engine->serve_fd(&b->settings->target, c->session, c->fd, &err);

    ak_session_forget_thread(c->session);
    if (r < 0 && r != AK_E_CANCELLED)
        ak_warn(LOG, "a connection to the system has failed",
                AK_STR("session", ak_session_id(c->session)), AK_ERR(err));
}

static void connection_done(void *user)
{
    struct connection *c = user;
    struct ak_session_socket *self = c->socket;

    ak_session_unref(c->session);
    ak_free(c);
    self->n_threads--;
    self->idle(self->user);
}

static int start_connection(struct ak_session_socket *self, int fd, struct ak_error **reterr)
{
    struct connection *c = ak_new0(struct connection);
    int r = c ? 0 : ak_error_oom(reterr);

    if (r >= 0) {
        *c =
            (struct connection){.socket = self, .session = ak_session_ref(self->session), .fd = fd};
        r = ak_worker_start(self->bastion, serve_connection, connection_done, c, reterr);
    }
    if (r >= 0) {
        self->n_threads++;
        return 0;
    }
    if (c)
        ak_session_unref(c->session);
    ak_free(c);
    (void)close(fd);
    return r;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int len, void *user)
{
    struct ak_session_socket *self = user;
    AK_AUTO_PTR(ak_error) err = NULL;

    (void)listener;
    (void)peer;
    (void)len;
    if (self->n_threads >= AK_SESSION_MAX_CONNECTIONS)
        (void)close(fd);
    else if (evutil_make_socket_nonblocking(fd) < 0 || start_connection(self, fd, &err) < 0)
        ak_warn(LOG, "a connection was not taken", AK_ERR(err));
}

/* A name that others in the client's container cannot guess, and cannot list. */
static int make_folder(struct ak_session_socket *self, struct ak_error **reterr)
{
    const char *link = self->bastion->settings->target.link_dir;
    const char *name = self->bastion->engine->socket_name;
    AK_AUTO_TEXT char *all = ak_asprintf("%s/s", link);
    unsigned char random[8];
    char hex[17];

    if (!all || RAND_bytes(random, sizeof(random)) != 1)
        return ak_error_oom(reterr);
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", random[i]);
    self->folder = ak_asprintf("%s/%s", all, hex);
    self->path =
        self->folder ? ak_asprintf("%s/%s", self->folder, name ? name : "engine.sock") : NULL;
    if (!self->path)
        return ak_error_oom(reterr);
    if ((mkdir(all, 0711) < 0 && errno != EEXIST) || chmod(all, 0711) < 0 ||
        mkdir(self->folder, 0750) < 0 || chmod(self->folder, 0750) < 0)
        return ak_error_set(reterr, -errno, "make \"%s\": %s", self->folder, ak_code_text(-errno));
    return 0;
}

static int address_of(const char *path, struct sockaddr_un *ret, struct ak_error **reterr)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret->sun_path))
        return ak_error_set(reterr, -ENAMETOOLONG, "\"%s\" is too long for a socket", path);
    memcpy(ret->sun_path, path, strlen(path) + 1);
    return 0;
}

static int listen_for_engine(struct ak_session_socket *self, struct ak_error **reterr)
{
    struct sockaddr_un address;
    int fd, r = address_of(self->path, &address, reterr);

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(self->path, 0660) < 0 || listen(fd, 16) < 0) {
        r = ak_error_set(reterr, -errno, "listen on \"%s\": %s", self->path, ak_code_text(-errno));
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    self->listener = evconnlistener_new(ak_loop_base(self->bastion->loop), on_accept, self,
                                        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!self->listener)
        (void)close(fd);
    return self->listener ? 0 : ak_error_oom(reterr);
}

int ak_session_socket_open(struct ak_session_socket *self, struct ak_error **reterr)
{
    const struct ak_engine *engine = self->bastion->engine;
    int r;

    if (!engine->serve_fd && !engine->listen)
        return 0;
    r = make_folder(self, reterr);
    if (r < 0 || !engine->listen)
        return r < 0 ? r : listen_for_engine(self, reterr);
    r = engine->listen(&self->bastion->settings->target, self->session, self->bastion->loop,
                       self->path, &self->listening, reterr);
    if (r >= 0)
        ak_session_set_listening(self->session, self->listening);
    return r;
}

int ak_session_socket_connect(struct ak_session_socket *self, struct ak_error **reterr)
{
    struct sockaddr_un address;
    int fds[2], r;

    if (self->bastion->engine->serve_fd) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
            return ak_error_set(reterr, -errno, "socketpair: %s", ak_code_text(-errno));
        r = start_connection(self, fds[1], reterr);
        if (r < 0)
            (void)close(fds[0]);
        return r < 0 ? r : fds[0];
    }
    r = ak_session_socket_open(self, reterr);
    if (r >= 0)
        r = address_of(self->path, &address, reterr);
    if (r < 0)
        return r;
    fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fds[0] >= 0 && connect(fds[0], (struct sockaddr *)&address, sizeof(address)) == 0)
        return fds[0];
    r = ak_error_set(reterr, -errno, "connect to the engine: %s", ak_code_text(-errno));
    if (fds[0] >= 0)
        (void)close(fds[0]);
    return r;
}

void ak_session_socket_close(struct ak_session_socket *self)
{
    if (self->listener)
        evconnlistener_free(self->listener);
    self->listener = NULL;
}

void ak_session_socket_unlisten(struct ak_session_socket *self)
{
    if (!self->listening)
        return;
    self->bastion->engine->unlisten(self->listening);
    ak_session_set_listening(self->session, NULL);
    self->listening = NULL;
}

bool ak_session_socket_is_free(const struct ak_session_socket *self)
{
    return self->n_threads == 0 && !self->listening;
}

void ak_session_socket_done(struct ak_session_socket *self)
{
    ak_session_socket_close(self);
    if (self->path)
        (void)unlink(self->path);
    if (self->folder)
        (void)rmdir(self->folder);
    ak_free(self->path);
    ak_free(self->folder);
    self->path = self->folder = NULL;
}
