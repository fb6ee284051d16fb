/* SPDX-License-Identifier: Apache-2.0 */
/* A request and an upstream's answer, both arbitrary, through the relay: a line of "--" parts them. Whatever they are,
 * the relay ends once, and every byte of body that it counted went to the client. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include <ak/net/http_relay.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IDLE 2000 /* ms; nothing here takes so long but a loss */

static struct {
    struct ak_loop *loop;
    struct ak_http_server *server;
    struct ak_http_client *client;
    int upstream; /* listens */
    char path[64], upstream_path[64];
    int started, ended;
} rig;

static void on_end(int status, uint64_t bytes, int code, void *user)
{
    (void)user;
    rig.ended++;
    if (code == 0 && status < 200)
        abort();
    if (status == 0 && bytes)
        abort();
}

static void handle(struct ak_http_exchange *ex, void *user)
{
    static const struct ak_http_relay_options options = {
        .head_timeout = IDLE, .idle_timeout = IDLE, .end = on_end};

    (void)user;
    if (ak_http_relay_start(ex, rig.client, rig.loop, &options, NULL, NULL, NULL) < 0)
        ak_http_reply_text(ex, 400, NULL, "", 0, NULL);
    else
        rig.started++;
}

static const struct ak_http_route routes[] = {{NULL, "*", handle}, {0}};

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(a.sun_path, path, strlen(path) + 1);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
        abort();
    return fd;
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(a.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        abort();
    return fd;
}

static void tidy(void)
{
    char *slash = strrchr(rig.path, '/');

    (void)ak_http_server_free(rig.server);
    (void)ak_http_client_free(rig.client);
    (void)ak_loop_free(rig.loop);
    (void)unlink(rig.upstream_path);
    *slash = '\0';
    (void)rmdir(rig.path);
}

static void set_up(void)
{
    char folder[] = "/tmp/ak-fuzz-relay-XXXXXX";
    struct ak_http_server_options o = {.routes = routes, .max_header = 4096, .max_body = 4096};
    struct ak_http_target target = {.base_url = "http://upstream"};

    if (!mkdtemp(folder))
        abort();
    memcpy(rig.path, folder, sizeof(folder));
    memcpy(rig.upstream_path, folder, sizeof(folder));
    memcpy(rig.path + strlen(folder), "/front", 7);
    memcpy(rig.upstream_path + strlen(folder), "/up", 4);
    rig.upstream = listen_at(rig.upstream_path);
    o.unix_path = rig.path;
    target.unix_path = rig.upstream_path;
    if (ak_loop_new(&rig.loop, NULL) < 0 ||
        ak_http_server_new(rig.loop, &o, &rig.server, NULL) < 0 ||
        ak_http_client_new(&target, &rig.client, NULL) < 0)
        abort();
    (void)atexit(tidy);
}

static void turn(void)
{
    (void)event_base_loop(ak_loop_base(rig.loop), EVLOOP_NONBLOCK);
}

/* Answers whoever connected with the same bytes, once they have asked for something. */
static void answer(int *fds, size_t n_fds, const char *text, size_t len)
{
    char buf[8192];

    for (size_t i = 0; i < n_fds; i++) {
        if (fds[i] < 0)
            fds[i] = accept4(rig.upstream, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fds[i] < 0)
            return;
        if (recv(fds[i], buf, sizeof(buf), 0) > 0) {
            (void)!send(fds[i], text, len, MSG_NOSIGNAL);
            (void)shutdown(fds[i], SHUT_WR);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *part = memmem(data, size, "\n--\n", 4);
    size_t request = part ? (size_t)(part - text) + 1 : size;
    int fds[8] = {-1, -1, -1, -1, -1, -1, -1, -1}, client;
    char buf[8192];

    if (!rig.loop)
        set_up();
    rig.started = rig.ended = 0;
    client = connect_to(rig.path);
    (void)!send(client, text, request, MSG_NOSIGNAL);
    for (int i = 0; i < 40 || (rig.ended < rig.started && i < 400); i++) {
        turn();
        answer(fds, 8, part ? part + 4 : "", part ? size - request - 3 : 0);
        (void)!recv(client, buf, sizeof(buf), 0);
    }
    (void)close(client);
    for (size_t i = 0; i < 8; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    for (int i = 0; i < 400 && rig.ended < rig.started; i++)
        turn();
    if (rig.ended != rig.started)
        abort();
    return 0;
}
