/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void on_end(int status, uint64_t bytes, int code, void *user)
{
    struct scene *s = user;

    s->status = status;
    s->bytes = bytes;
    s->code = code;
    (void)sem_post(&s->ended);
}

static void handle(struct ak_http_exchange *ex, void *user)
{
    struct scene *s = user;

    if (ak_http_relay_start(ex, s->client, s->front.loop.loop, &s->options, s, &s->relay, NULL) < 0)
        ak_http_reply_text(ex, 500, "text/plain", "no\n", 3, NULL);
    (void)sem_post(&s->started);
}

static const struct ak_http_route routes[] = {{NULL, "*", handle}, {0}};

static void start_front(struct scene *s, const char *upstream)
{
    struct ak_http_target target = {.base_url = upstream};
    struct ak_http_server_options o = {.routes = routes,
                                       .user = s,
                                       .write_timeout =
                                           s->write_timeout ? s->write_timeout : AK_SECONDS(20)};

    assert_int_equal(ak_http_client_new(&target, &s->client, NULL), 0);
    assert_int_equal(sem_init(&s->started, 0, 0), 0);
    assert_int_equal(sem_init(&s->ended, 0, 0), 0);
    s->options.end = on_end;
    rig_server_start(&s->front, &o);
}

void scene_start(struct scene *s, rig_talk_fn talk, const void *script)
{
    rig_peer_start(&s->peer, talk, script);
    start_front(s, s->peer.url);
}

void scene_stop_front(struct scene *s)
{
    rig_loop_stop(&s->front.loop);
    s->front.server = ak_http_server_free(s->front.server);
    s->client = ak_http_client_free(s->client);
    s->front.loop.loop = ak_loop_free(s->front.loop.loop);
    (void)sem_destroy(&s->started);
    (void)sem_destroy(&s->ended);
}

void scene_end(struct scene *s)
{
    scene_stop_front(s);
    rig_peer_end(&s->peer);
}

int scene_port(const struct scene *s)
{
    return ak_http_server_port(s->front.server);
}

void scene_wait_end(struct scene *s)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    assert_int_equal(sem_timedwait(&s->ended, &until), 0);
}

/* Everything up to the end of the connection; *ret_clean: it ended with a FIN, not with a reset. */
void scene_read_all(int fd, struct ak_buf *out, bool *ret_clean)
{
    char piece[16384];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        assert_int_equal(ak_buf_add(out, piece, (size_t)n), 0);
    *ret_clean = n == 0;
}

/* One request on one connection. */
void scene_ask(struct scene *s, const char *request, struct ak_buf *out)
{
    int fd = rig_connect(scene_port(s));
    bool clean;

    rig_send(fd, request);
    scene_read_all(fd, out, &clean);
    (void)close(fd);
}

void scene_play(int fd, int n, void *user)
{
    char head[4096];

    (void)n;
    if (rig_read_head(fd, head, sizeof(head)))
        rig_send(fd, user);
}
