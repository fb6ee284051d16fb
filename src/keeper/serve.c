/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/serve.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <ak/base/alloc.h>
#include <ak/base/log.h>
#include <ak/base/residency.h>
#include <ak/base/text.h>
#include <ak/net/http_server.h>
#include <ak/net/loop.h>
#include <ak/net/tls.h>

#include "keeper/guard.h"
#include "keeper/link.h"
#include "keeper/mcp/endpoint.h"
#include "keeper/model.h"

/* Limits of the doors. A command line program keeps a handful of connections. */
#define LOOPBACK_CONNECTIONS 256
#define LOOPBACK_HEADER (64u << 10)
/* The agent reaches these two as well. Connections on which it says nothing must not keep the manager and the
 * kubelet out, so the oldest such makes room. */
#define RELAY_CONNECTIONS 128
#define RELAY_BODY (1u << 20)
#define PROBE_CONNECTIONS 32
#define PROBE_BODY 1024
#define METRICS_MAX (1u << 20)

#define STOP_LOOK 200              /* ms between two looks while it ends */
#define STOP_LAST AK_SECONDS(3)    /* for answers that are nearly done when the agentlet went */
#define SETTLE_AFTER AK_SECONDS(2) /* of quiet; then memory is given back */

struct ak_keeper {
    const struct ak_keeper_settings *settings;
    struct ak_loop *loop;
    struct ak_keeper_counters counters;
    struct ak_model *model;
    struct ak_link *link;
    struct ak_mcp_endpoint *mcp;
    struct ak_tls_context *tls;
    struct ak_http_server *relay_server, *loopback_server, *probe_server;
    struct event *signals;
    int signal_fd;
    struct ak_timer *stop_timer, *settle_timer;
    bool stopping;
    ak_msec stop_deadline; /* of everything */
    ak_msec last_deadline; /* of the drain; 0: it has not begun */
};

/* --- loopback --- */

static bool is_model(const char *path)
{
    return ak_streq(path, "/model") || ak_has_prefix(path, "/model/");
}

static void settle_later(struct ak_keeper *self)
{
    ak_timer_set(self->settle_timer, SETTLE_AFTER);
}

static void on_loopback(struct ak_http_exchange *ex, void *user)
{
    static const char text[] = "there are /model/ and /mcp here\n";
    struct ak_keeper *self = user;
    const char *path = ak_http_path(ex);
    bool mcp = ak_streq(path, "/mcp") || ak_streq(path, "/mcp/");
    const char *refusal =
        ak_guard_refusal(ak_http_header(ex, "Host"), ak_http_header(ex, "Origin"), mcp);

    settle_later(self);
    if (refusal)
        ak_model_refuse(self->model, ex, 403, refusal);
    else if (is_model(path))
        ak_model_handle(self->model, ex);
    else if (mcp)
        ak_mcp_endpoint_handle(self->mcp, ex);
    else
        ak_http_reply_text(ex, 404, "text/plain; charset=utf-8", text, sizeof(text) - 1, NULL);
}

static const struct ak_http_route loopback_routes[] = {{NULL, "*", on_loopback}, {0}};

/* --- the manager's door --- */

static void on_identity(struct ak_http_exchange *ex, void *user)
{
    struct ak_keeper *self = user;

    settle_later(self);
    ak_link_identity(self->link, ex);
}

static void on_relay(struct ak_http_exchange *ex, void *user)
{
    struct ak_keeper *self = user;

    settle_later(self);
    ak_link_relay(self->link, ex);
}

static const struct ak_http_route relay_routes[] = {
    {"GET", "/v1/identity", on_identity}, {NULL, "/v1/*", on_relay}, {0}};

/* --- probes --- */

static void reply_plain(struct ak_http_exchange *ex, int status, const char *text)
{
    ak_http_reply_text(ex, status, "text/plain; charset=utf-8", text, strlen(text), NULL);
}

static void on_healthz(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    reply_plain(ex, 200, "ok\n");
}

/* The probe server is the last to be opened, so whoever gets an answer finds the others open. */
static void on_readyz(struct ak_http_exchange *ex, void *user)
{
    const struct ak_keeper *self = user;

    if (self->stopping)
        reply_plain(ex, 503, "stopping\n");
    else
        reply_plain(ex, 200, "ok\n");
}

static void on_metrics(struct ak_http_exchange *ex, void *user)
{
    const struct ak_keeper *self = user;
    AK_AUTO(ak_buf) text = AK_BUF_INIT(METRICS_MAX);

    if (ak_counters_write(&self->counters, &text) < 0) {
        reply_plain(ex, 500, "out of memory\n");
        return;
    }
    ak_http_reply_text(ex, 200, "text/plain; version=0.0.4; charset=utf-8", ak_buf_text(&text),
                       text.len, NULL);
}

static const struct ak_http_route probe_routes[] = {{"GET", "/healthz", on_healthz},
                                                    {"GET", "/readyz", on_readyz},
                                                    {"GET", "/metrics", on_metrics},
                                                    {0}};

/* --- the end --- */

static size_t drain(struct ak_keeper *self)
{
    ak_mcp_endpoint_end_streams(self->mcp);
    return ak_http_server_drain(self->relay_server) + ak_http_server_drain(self->loopback_server);
}

/* Looked at again and again once we were told to stop. */
static void on_stop_timer(void *user)
{
    struct ak_keeper *self = user;
    ak_msec now = ak_now();

    (void)ak_http_server_drain(self->relay_server);
    if (!self->last_deadline && (now >= self->stop_deadline || !ak_link_is_up(self->link)))
        self->last_deadline = AK_MIN(now + STOP_LAST, self->stop_deadline);
    if (self->last_deadline && (drain(self) == 0 || now >= self->last_deadline)) {
        ak_loop_stop(self->loop);
        return;
    }
    ak_timer_set(self->stop_timer, STOP_LOOK);
}

static void on_signal(evutil_socket_t fd, short what, void *user)
{
    struct ak_keeper *self = user;
    struct signalfd_siginfo info;

    (void)what;
    if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (self->stopping) { /* asked twice: at once */
        ak_loop_stop(self->loop);
        return;
    }
    ak_info("keeper", "stopping");
    self->stopping = true;
    self->stop_deadline = ak_now() + AK_KEEPER_GRACE;
    on_stop_timer(self);
}

/* --- the start --- */

/* What only the start and the last burst of requests needed goes back to the system. */
static void on_settle_timer(void *user)
{
    (void)user;
    ak_alloc_trim();
    ak_residency_drop_code();
}

static int open_signals(struct ak_keeper *self, struct ak_error **reterr)
{
    sigset_t set;
    int r;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    r = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (r == 0)
        self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r != 0 || self->signal_fd < 0)
        return ak_error_set(reterr, r ? -r : -errno, "cannot read signals");
    self->signals =
        event_new(ak_loop_base(self->loop), self->signal_fd, EV_READ | EV_PERSIST, on_signal, self);
    if (!self->signals || event_add(self->signals, NULL) < 0)
        return ak_error_oom(reterr);
    return 0;
}

static int make_parts(struct ak_keeper *self, const struct ak_mcp_tools *tools,
                      struct ak_error **reterr)
{
    const struct ak_keeper_settings *s = self->settings;
    const struct ak_mcp_endpoint_options mcp = {
        .loop = self->loop, .tools = tools, .counters = &self->counters, .pod_uid = s->pod_uid};
    const struct ak_tls_server_options tls = {.self_signed_name = "agentkube-keeper",
                                              .client_ca_pem = s->manager_ca,
                                              .client_name = s->manager_name,
                                              .tls13_only = true};
    int r = ak_tls_context_new_server(&tls, &self->tls, reterr);

    if (r < 0)
        return ak_error_wrap(reterr, r, "AGENTKUBE_MANAGER_CA");
    r = ak_model_new(s, self->loop, &self->counters, &self->model, reterr);
    if (r >= 0)
        r = ak_link_new(s, self->loop, &self->counters, &self->link, reterr);
    if (r >= 0 && ak_link_set_pin(self->link, ak_tls_context_pin(self->tls)) < 0)
        r = ak_error_oom(reterr);
    if (r >= 0)
        r = ak_mcp_endpoint_new(&mcp, &self->mcp, reterr);
    self->stop_timer = ak_timer_new(self->loop, on_stop_timer, self);
    self->settle_timer = ak_timer_new(self->loop, on_settle_timer, self);
    if (r >= 0 && (!self->stop_timer || !self->settle_timer))
        r = ak_error_oom(reterr);
    return r;
}

static int open_server(struct ak_keeper *self, const struct ak_listen *listen_on,
                       struct ak_http_server_options options, struct ak_http_server **ret,
                       struct ak_error **reterr)
{
    options.bind_address = listen_on->host[0] ? listen_on->host : NULL;
    options.port = listen_on->port;
    options.user = self;
    return ak_http_server_new(self->loop, &options, ret, reterr);
}

static int open_servers(struct ak_keeper *self, struct ak_error **reterr)
{
    const struct ak_keeper_settings *s = self->settings;
    const struct ak_http_server_options loopback = {.routes = loopback_routes,
                                                    .max_body = AK_MODEL_MAX_BODY,
                                                    .max_bodies = AK_MODEL_MAX_BODY,
                                                    .max_header = LOOPBACK_HEADER,
                                                    .max_connections = LOOPBACK_CONNECTIONS,
                                                    .idle_timeout = AK_MINUTES(5),
                                                    .write_timeout = AK_MINUTES(5)};
    const struct ak_http_server_options relay = {.routes = relay_routes,
                                                 .tls = self->tls,
                                                 .max_body = RELAY_BODY,
                                                 .max_connections = RELAY_CONNECTIONS,
                                                 .make_room = true,
                                                 .request_timeout = AK_SECONDS(30),
                                                 .idle_timeout = AK_MINUTES(5)};
    const struct ak_http_server_options probe = {.routes = probe_routes,
                                                 .max_body = PROBE_BODY,
                                                 .max_connections = PROBE_CONNECTIONS,
                                                 .make_room = true};
    int r = open_server(self, &s->loopback, loopback, &self->loopback_server, reterr);

    if (r >= 0)
        r = open_server(self, &s->relay, relay, &self->relay_server, reterr);
    if (r >= 0)
        r = open_server(self, &s->probe, probe, &self->probe_server, reterr);
    return r;
}

static void close_all(struct ak_keeper *self)
{
    (void)ak_http_server_free(self->probe_server);
    (void)ak_http_server_free(self->relay_server);
    (void)ak_http_server_free(self->loopback_server);
    (void)ak_mcp_endpoint_free(self->mcp);
    (void)ak_model_free(self->model);
    (void)ak_link_free(self->link);
    (void)ak_timer_free(self->stop_timer);
    (void)ak_timer_free(self->settle_timer);
    (void)ak_tls_context_unref(self->tls);
    if (self->signals)
        event_free(self->signals);
    if (self->signal_fd >= 0)
        (void)close(self->signal_fd);
    (void)ak_loop_free(self->loop);
}

static int run(struct ak_keeper *self, struct ak_error **reterr)
{
    const struct ak_keeper_settings *s = self->settings;

    ak_info("keeper", "serving", AK_STR("version", AK_VERSION),
            AK_STR("namespace", s->agent_namespace), AK_STR("name", s->agent_name),
            AK_STR("provider", s->provider), AK_STR("upstream", s->upstream),
            AK_BOOL("key", s->key_file[0] != '\0'),
            AK_INT("relayPort", ak_http_server_port(self->relay_server)),
            AK_INT("loopbackPort", ak_http_server_port(self->loopback_server)),
            AK_INT("probePort", ak_http_server_port(self->probe_server)));
    settle_later(self);
    return ak_loop_run(self->loop, reterr);
}

int ak_keeper_serve(const struct ak_keeper_settings *settings, const struct ak_mcp_tools *tools,
                    struct ak_error **reterr)
{
    struct ak_keeper self = {.settings = settings, .signal_fd = -1};
    int r = ak_loop_new(&self.loop, reterr);

    if (r >= 0)
        r = open_signals(&self, reterr);
    if (r >= 0)
        r = make_parts(&self, tools, reterr);
    if (r >= 0)
        r = open_servers(&self, reterr);
    if (r >= 0)
        r = run(&self, reterr);
    close_all(&self);
    return r;
}
