/* SPDX-License-Identifier: Apache-2.0 */
#include "bastion/client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/net/loop.h>

#include "bastion/client_files.h"
#include "bastion/link.h"
#include "bastion/program.h"

#define LOG "client"
#define LOW_WATER (64u << 10)

struct ak_peer;
struct ak_client {
    const struct ak_client_settings *settings;
    struct ak_loop *loop;
    struct ak_family family;
    struct evconnlistener *listener;
    struct event *signals;
    int signal_fd;
    struct ak_peer *peers;
    size_t n_peers, n_holds;
    struct ak_timer *alone, *stop;
    bool stopping;
};

/* One connection of serve's. */
struct ak_peer {
    struct ak_client *client;
    struct bufferevent *bev; /* NULL: it is gone, its program ends */
    struct ak_link_reader reader;
    struct ak_program program;
    bool started, is_hold, closing;
    struct ak_peer *next, **link;
};

static void begin_stop(struct ak_client *self);

static void peer_free(struct ak_peer *peer)
{
    struct ak_client *self = peer->client;

    *peer->link = peer->next;
    if (peer->next)
        peer->next->link = peer->link;
    self->n_peers--;
    if (peer->started)
        ak_program_done(&peer->program);
    if (peer->bev)
        bufferevent_free(peer->bev);
    ak_link_reader_done(&peer->reader);
    if (peer->is_hold && --self->n_holds == 0)
        ak_timer_set(self->alone, self->settings->alone);
    if (self->stopping && self->n_peers == self->n_holds)
        ak_timer_set(self->stop, 0);
    ak_free(peer);
}

/* The connection is of no more use; the program, if there is one, dies with it. */
static void peer_lost(struct ak_peer *peer)
{
    if (!peer->started || ak_program_is_over(&peer->program)) {
        peer_free(peer);
        return;
    }
    /* What it still says goes nowhere, but its pipes are read to their end. */
    peer->closing = peer->program.deserted = true;
    bufferevent_disable(peer->bev, EV_READ | EV_WRITE);
    (void)evbuffer_drain(bufferevent_get_output(peer->bev), SIZE_MAX);
    ak_program_end(&peer->program);
}

static void on_over(void *user)
{
    struct ak_peer *peer = user;

    if (peer->closing) {
        peer_free(peer);
        return;
    }
    peer->closing = true; /* EXIT goes out; then it is freed */
    bufferevent_setwatermark(peer->bev, EV_WRITE, 0, 0);
    bufferevent_trigger(peer->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

static int start_program(struct ak_peer *peer, const struct ak_link_frame *frame,
                         struct ak_error **reterr)
{
    struct ak_client *self = peer->client;
    AK_AUTO(ak_arena) arena = {0};
    struct ak_link_start start;
    int r;

    ak_arena_init(&arena, 4096, 4u << 20);
    if (peer->started || peer->is_hold)
        return ak_error_set(reterr, AK_E_PROTOCOL, "a second program on one connection");
    r = ak_link_read_start(frame->data, frame->len, &arena, &start, reterr);
    if (r < 0)
        return r;
    peer->started = true;
    peer->program = (struct ak_program){.loop = self->loop,
                                        .family = &self->family,
                                        .link = peer->bev,
                                        .grace = self->settings->grace,
                                        .over = on_over,
                                        .user = peer};
    r = ak_program_start(&peer->program, &start);
    ak_info(LOG, r < 0 ? "program not started" : "program started",
            AK_STR("program", start.command.argv[0]), AK_INT("pid", peer->program.pid));
    if (r < 0)
        on_over(peer);
    return 0;
}

static int take(struct ak_peer *peer, const struct ak_link_frame *frame, struct ak_error **reterr)
{
    int r = 0;

    if (frame->type == AK_LINK_START_PROGRAM)
        return start_program(peer, frame, reterr);
    if (frame->type == AK_LINK_QUIT) {
        begin_stop(peer->client);
        return 0;
    }
    if (frame->type == AK_LINK_HOLD) {
        if (!peer->is_hold)
            peer->client->n_holds++;
        peer->is_hold = true;
        ak_timer_clear(peer->client->alone);
        return 0;
    }
    r = peer->started ? ak_program_take(&peer->program, frame) : AK_E_PROTOCOL;
    return r < 0 ? ak_error_set(reterr, r, "a frame that does not belong here") : 0;
}

static void on_read(struct bufferevent *bev, void *user)
{
    struct ak_peer *peer = user;
    struct evbuffer *in = bufferevent_get_input(bev);
    AK_AUTO_PTR(ak_error) err = NULL;
    struct evbuffer_iovec piece;

    while (!peer->closing && evbuffer_peek(in, -1, NULL, &piece, 1) > 0 && piece.iov_len) {
        struct ak_link_frame frame;
        bool ready = false;
        ssize_t n =
            ak_link_read(&peer->reader, piece.iov_base, piece.iov_len, &frame, &ready, &err);

        if (n >= 0)
            (void)evbuffer_drain(in, (size_t)n);
        if (n >= 0 && ready)
            n = take(peer, &frame, &err);
        if (n < 0) {
            ak_warn(LOG, "a connection ends", AK_ERR(err));
            peer_lost(peer);
            return;
        }
    }
    if (peer->closing)
        (void)evbuffer_drain(in, SIZE_MAX);
}

static void on_written(struct bufferevent *bev, void *user)
{
    struct ak_peer *peer = user;
    size_t waiting = evbuffer_get_length(bufferevent_get_output(bev));

    if (peer->closing && waiting == 0 && ak_program_is_over(&peer->program))
        peer_free(peer);
    else if (!peer->closing && peer->started)
        ak_program_resume(&peer->program);
}

static void on_event(struct bufferevent *bev, short what, void *user)
{
    struct ak_peer *peer = user;

    (void)bev;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    if (peer->closing && ak_program_is_over(&peer->program))
        peer_free(peer);
    else if (!peer->closing)
        peer_lost(peer);
}

static bool may_come(struct ak_client *self, int fd)
{
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t len = sizeof(who);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
        who.uid != self->settings->serve_uid) {
        ak_warn(LOG, "a connection of another user is refused", AK_INT("uid", who.uid));
        return false;
    }
    return !self->stopping && self->n_peers < AK_CLIENT_MAX_PROGRAMS + 1;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer_at,
                      int len, void *user)
{
    struct ak_client *self = user;
    struct ak_peer *peer = may_come(self, fd) ? ak_new0(struct ak_peer) : NULL;

    (void)listener;
    (void)peer_at;
    (void)len;
    if (peer)
        peer->bev = bufferevent_socket_new(ak_loop_base(self->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!peer || !peer->bev) {
        ak_free(peer);
        (void)close(fd);
        return;
    }
    peer->client = self;
    ak_link_reader_init(&peer->reader, true);
    peer->next = self->peers;
    peer->link = &self->peers;
    if (peer->next)
        peer->next->link = &peer->next;
    self->peers = peer;
    self->n_peers++;
    bufferevent_setcb(peer->bev, on_read, on_written, on_event, peer);
    bufferevent_setwatermark(peer->bev, EV_WRITE, LOW_WATER, 0);
    bufferevent_setwatermark(peer->bev, EV_READ, 0, AK_LINK_WINDOW);
    (void)bufferevent_enable(peer->bev, EV_READ | EV_WRITE);
}

/* --- start and end --- */

/* All have gone, or had their time. */
static void on_stop(void *user)
{
    struct ak_client *self = user;

    ak_loop_stop(self->loop);
}

static void begin_stop(struct ak_client *self)
{
    struct ak_peer *next;

    if (self->stopping)
        return;
    self->stopping = true;
    ak_timer_set(self->stop, self->settings->grace + AK_SECONDS(2));
    for (struct ak_peer *peer = self->peers; peer; peer = next) {
        next = peer->next;
        if (peer->started && !ak_program_is_over(&peer->program))
            ak_program_end(&peer->program);
        else if (!peer->closing && !peer->is_hold)
            peer_lost(peer);
    }
    if (self->n_peers == self->n_holds)
        ak_timer_set(self->stop, 0);
}

static void on_alone(void *user)
{
    ak_warn(LOG, "nobody is at the other end: stopping");
    begin_stop(user);
}

static void on_signal(evutil_socket_t fd, short what, void *user)
{
    struct ak_client *self = user;
    struct signalfd_siginfo info;

    (void)what;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            begin_stop(self);
    (void)ak_family_reap(&self->family);
}

static int open_signals(struct ak_client *self, struct ak_error **reterr)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGCHLD);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) == 0)
        self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signal_fd < 0)
        return ak_error_set(reterr, -errno, "cannot read signals");
    self->signals =
        event_new(ak_loop_base(self->loop), self->signal_fd, EV_READ | EV_PERSIST, on_signal, self);
    return self->signals && event_add(self->signals, NULL) >= 0 ? 0 : ak_error_oom(reterr);
}

static int open_socket(struct ak_client *self, struct ak_error **reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AK_AUTO_TEXT char *path = ak_asprintf("%s/" AK_LINK_SOCKET, self->settings->link_dir);
    int fd;

    if (!path)
        return ak_error_oom(reterr);
    if (strlen(path) >= sizeof(address.sun_path))
        return ak_error_set(reterr, -ENAMETOOLONG, "\"%s\" is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    (void)unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(path, 0660) < 0 || listen(fd, 64) < 0) {
        int r = -errno;

        if (fd >= 0)
            (void)close(fd);
        return ak_error_set(reterr, r, "listen on \"%s\": %s", path, ak_code_text(r));
    }
    /* No program inherits a connection: it could speak for another one. */
    self->listener = evconnlistener_new(ak_loop_base(self->loop), on_accept, self,
                                        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!self->listener)
        (void)close(fd);
    return self->listener ? 0 : ak_error_oom(reterr);
}

static void close_all(struct ak_client *self)
{
    while (self->peers)
        peer_free(self->peers);
    if (self->listener)
        evconnlistener_free(self->listener);
    if (self->signals)
        event_free(self->signals);
    if (self->signal_fd >= 0)
        (void)close(self->signal_fd);
    (void)ak_timer_free(self->alone);
    (void)ak_timer_free(self->stop);
    (void)ak_loop_free(self->loop);
}

int ak_client_serve(const struct ak_client_settings *settings, struct ak_error **reterr)
{
    struct ak_client_settings with = *settings;
    struct ak_client self = {.settings = &with, .signal_fd = -1};
    int r = ak_loop_new(&self.loop, reterr);

    with.alone = settings->alone ? settings->alone : AK_CLIENT_ALONE;
    with.grace = settings->grace ? settings->grace : AK_CLIENT_GRACE;
    if (r >= 0)
        r = ak_family_init(&self.family, reterr);
    if (r >= 0)
        r = open_signals(&self, reterr);
    if (r >= 0)
        r = open_socket(&self, reterr);
    if (r >= 0) {
        self.alone = ak_timer_new(self.loop, on_alone, &self);
        self.stop = ak_timer_new(self.loop, on_stop, &self);
        r = self.alone && self.stop ? 0 : ak_error_oom(reterr);
    }
    if (r >= 0) {
        (void)ak_client_files_sweep(AK_CLIENT_FILES_DIR);
        ak_info(LOG, "serving", AK_STR("version", AK_VERSION), AK_STR("link", with.link_dir));
        ak_timer_set(self.alone, with.alone);
        r = ak_loop_run(self.loop, reterr);
    }
    close_all(&self);
    return r;
}
