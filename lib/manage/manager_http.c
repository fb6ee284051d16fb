/* SPDX-License-Identifier: Apache-2.0 */
/* /healthz, /readyz and /metrics. They are answered by the loop, so an answer shows that it lives. */
#include "manager_internal.h"

#include <string.h>

#include <ak/base/text.h>

#define MAX_ANSWER (64u << 10)

static void reply_plain(struct ak_http_exchange *ex, int status, const struct ak_buf *body)
{
    ak_http_reply_text(ex, status, "text/plain; charset=utf-8", ak_buf_text(body), body->len, NULL);
}

static void on_healthz(struct ak_http_exchange *ex, void *user)
{
    (void)user;
    ak_http_reply_text(ex, 200, "text/plain; charset=utf-8", "ok", 2, NULL);
}

static void on_readyz(struct ak_http_exchange *ex, void *user)
{
    struct ak_manager *self = user;
    AK_AUTO(ak_buf) body = AK_BUF_INIT(MAX_ANSWER);
    bool ready = true;
    int r = 0;

    ak_mutex_lock(&self->lock);
    ready = !self->stopping;
    ak_mutex_unlock(&self->lock);
    if (!ready)
        r = ak_buf_adds(&body, "[-]stopping\n");
    for (size_t i = 0; i < self->options.n_sources && r >= 0; i++) {
        struct ak__feed *feed = &self->feeds[i];
        struct ak_watch_stats st;
        bool synced = ak_cache_is_synced(feed->cache);
        ak_watch_stats(feed->watch, &st);
        ready = ready && synced;
        r = ak_buf_addf(&body, "[%c]%s %s%s%s\n", synced ? '+' : '-',
                        feed->source->kind->resource.plural, st.state, st.last_error[0] ? ": " : "",
                        st.last_error);
    }
    if (r >= 0)
        r = ak_buf_adds(&body, ready ? "readyz check passed\n" : "readyz check failed\n");
    reply_plain(ex, ready && r >= 0 ? 200 : 503, &body);
}

static void add_caches(struct ak_manager *self, struct ak_metrics *m)
{
    size_t n = self->options.n_sources;

    ak_metrics_family(m, "agentkube_cache_objects", "gauge", "Objects in the cache.");
    for (size_t i = 0; i < n; i++)
        ak_metrics_sample(m, "agentkube_cache_objects", (double)ak_cache_len(self->feeds[i].cache),
                          "resource", self->feeds[i].source->kind->resource.plural, NULL);
    ak_metrics_family(m, "agentkube_cache_bytes", "gauge", "Memory of the cache.");
    for (size_t i = 0; i < n; i++)
        ak_metrics_sample(m, "agentkube_cache_bytes",
                          (double)ak_cache_footprint(self->feeds[i].cache), "resource",
                          self->feeds[i].source->kind->resource.plural, NULL);
    ak_metrics_family(m, "agentkube_cache_synced", "gauge", "1 when the cache shows the cluster.");
    for (size_t i = 0; i < n; i++)
        ak_metrics_sample(m, "agentkube_cache_synced", ak_cache_is_synced(self->feeds[i].cache),
                          "resource", self->feeds[i].source->kind->resource.plural, NULL);
}

struct watch_family {
    const char *name, *help;
    size_t offset; /* of a uint64_t in struct ak_watch_stats */
};

static const struct watch_family watch_families[] = {
    {"agentkube_watch_lists_total", "Lists begun.", offsetof(struct ak_watch_stats, lists)},
    {"agentkube_watch_pages_total", "Pages of lists asked for.",
     offsetof(struct ak_watch_stats, pages)},
    {"agentkube_watch_watches_total", "Watches begun.", offsetof(struct ak_watch_stats, watches)},
    {"agentkube_watch_events_total", "Objects received.", offsetof(struct ak_watch_stats, events)},
    {"agentkube_watch_bookmarks_total", "Bookmarks received.",
     offsetof(struct ak_watch_stats, bookmarks)},
    {"agentkube_watch_gone_total", "Times that the server had forgotten our position.",
     offsetof(struct ak_watch_stats, gone)},
    {"agentkube_watch_errors_total", "Answers that ended with an error.",
     offsetof(struct ak_watch_stats, errors)},
    {"agentkube_watch_skipped_total", "Objects that could not be read.",
     offsetof(struct ak_watch_stats, skipped)},
};

static void add_watches(struct ak_manager *self, struct ak_metrics *m)
{
    struct ak_watch_stats st;

    for (size_t f = 0; f < AK_ARRAY_LEN(watch_families); f++) {
        const struct watch_family *family = &watch_families[f];
        ak_metrics_family(m, family->name, "counter", family->help);
        for (size_t i = 0; i < self->options.n_sources; i++) {
            uint64_t value;
            ak_watch_stats(self->feeds[i].watch, &st);
            memcpy(&value, (const char *)&st + family->offset, sizeof(value));
            ak_metrics_sample(m, family->name, (double)value, "resource",
                              self->feeds[i].source->kind->resource.plural, NULL);
        }
    }
    ak_metrics_family(m, "agentkube_watch_state", "gauge", "1 for the state that the watch is in.");
    for (size_t i = 0; i < self->options.n_sources; i++) {
        ak_watch_stats(self->feeds[i].watch, &st);
        ak_metrics_sample(m, "agentkube_watch_state", 1, "resource",
                          self->feeds[i].source->kind->resource.plural, "state", st.state, NULL);
    }
}

static void add_own(struct ak_manager *self, struct ak_metrics *m)
{
    uint64_t sent, skipped;

    ak_apply_counts(&sent, &skipped);
    ak_metrics_family(m, "agentkube_build_info", "gauge", "1, labelled with the version.");
    ak_metrics_sample(m, "agentkube_build_info", 1, "version", AK_VERSION, NULL);
    ak_metrics_family(
        m, "agentkube_applies_total", "counter",
        "Writes that were sent, and those that were not because nothing would change.");
    ak_metrics_sample(m, "agentkube_applies_total", (double)sent, "result", "sent", NULL);
    ak_metrics_sample(m, "agentkube_applies_total", (double)skipped, "result", "skipped", NULL);
    ak_metrics_family(m, "agentkube_events_dropped_total", "counter",
                      "Kubernetes Events that were not written.");
    ak_metrics_sample(m, "agentkube_events_dropped_total", (double)ak_events_dropped(self->events),
                      NULL);
    if (self->leader) {
        ak_metrics_family(m, "leader_election_master_status", "gauge",
                          "1 if this process is the leader.");
        ak_metrics_sample(m, "leader_election_master_status", ak_leader_is_leading(self->leader),
                          "name", self->options.leader.name, NULL);
    }
}

static void on_metrics(struct ak_http_exchange *ex, void *user)
{
    struct ak_manager *self = user;
    struct ak_client *clients[] = {self->client, self->leader_client};
    struct ak_metrics m = AK_METRICS_INIT;

    ak_metrics_process(&m);
    ak_metrics_clients(&m, clients, AK_ARRAY_LEN(clients), self->host);
    ak_metrics_controllers(&m, self->controllers, self->options.n_controllers);
    add_own(self, &m);
    add_caches(self, &m);
    add_watches(self, &m);
    if (self->options.collect)
        self->options.collect(&m, self->options.user);
    if (m.error < 0)
        ak_http_reply_text(ex, 500, "text/plain; charset=utf-8", ak_code_text(m.error),
                           strlen(ak_code_text(m.error)), NULL);
    else
        ak_http_reply_text(ex, 200, "text/plain; version=0.0.4; charset=utf-8", ak_buf_text(&m.out),
                           m.out.len, NULL);
    ak_buf_done(&m.out);
}

static const struct ak_http_route probe_routes[] = {
    {"GET", "/healthz", on_healthz},
    {"GET", "/readyz", on_readyz},
    {NULL, NULL, NULL},
};
static const struct ak_http_route metrics_routes[] = {
    {"GET", "/metrics", on_metrics},
    {NULL, NULL, NULL},
};
static const struct ak_http_route all_routes[] = {
    {"GET", "/healthz", on_healthz},
    {"GET", "/readyz", on_readyz},
    {"GET", "/metrics", on_metrics},
    {NULL, NULL, NULL},
};

static int start_server(struct ak_manager *self, int port, const struct ak_http_route *routes,
                        struct ak_http_server **ret, struct ak_error **reterr)
{
    struct ak_http_server_options o = {
        .bind_address = self->options.bind_address,
        .port = (uint16_t)port,
        .routes = routes,
        .user = self,
        .max_body = 4096,
        .max_connections = 64,
    };
    int r;

    if (port > UINT16_MAX)
        return ak_error_set(reterr, -EINVAL, "port %d: must be at most %d", port, UINT16_MAX);
    r = ak_http_server_new(self->loop, &o, ret, reterr);
    return r < 0 ? ak_error_wrap(reterr, r, "listen on port %d", port) : 0;
}

int ak__manager_http_start(struct ak_manager *self, struct ak_error **reterr)
{
    int probe = self->options.probe_port, metrics = self->options.metrics_port;
    bool one = probe > 0 && probe == metrics;
    int r = 0;

    if (probe >= 0)
        r = start_server(self, probe, one ? all_routes : probe_routes, &self->probe_server, reterr);
    if (r >= 0 && metrics >= 0 && !one)
        r = start_server(self, metrics, metrics_routes, &self->metrics_server, reterr);
    return r;
}

void ak__manager_http_stop(struct ak_manager *self)
{
    self->probe_server = ak_http_server_free(self->probe_server);
    self->metrics_server = ak_http_server_free(self->metrics_server);
}
