/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/log.h>
#include <ak/base/text.h>
#include <string.h>

#include "manager/invoke/call.h"

#define MAX_GROUPS 1024 /* bytes */

static const double bounds[AK_INVOKE_N_BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                   0.1,   0.25,   0.5,   1,    5,     60};

static const char *verdict_of(int status)
{
    if (status == 401 || status == 403)
        return "deny";
    if (!status || status >= 400)
        return "error";
    return "allow";
}

static const char *list_groups(const struct ak_identity *who, struct ak_buf *out)
{
    int r = 0;

    for (size_t i = 0; who && r >= 0 && i < who->groups.len; i++)
        r = ak_buf_addf(out, "%s%s", i ? "," : "", who->groups.items[i]);
    return out->len ? ak_buf_text(out) : NULL; /* as many as fit */
}

/* Neither tokens nor prompts; messages of errors name what was wrong, not what was sent. */
void ak_invoke_audit(const struct ak_invoke_call *call, int status)
{
    const struct ak_invoke_request *q = &call->request;
    const struct ak_identity *who = call->who && !call->who->refused ? call->who : NULL;
    AK_AUTO(ak_buf) groups = AK_BUF_INIT(MAX_GROUPS);

    if (call->link && call->result >= 0 && status) /* the leader wrote the line */
        return;
    ak_info("audit", "invocation", AK_STR("verdict", verdict_of(status)),
            AK_STR("action", q->route ? q->route->action : NULL),
            AK_STR("user", who ? who->name : NULL),
            AK_STR("userUID", who && *who->uid ? who->uid : NULL),
            AK_STR("groups", list_groups(who, &groups)),
            AK_STR("resource", q->resource ? q->resource->plural : NULL),
            AK_STR("subresource", q->route ? q->route->access_sub : NULL),
            AK_STR("namespace", q->ns), AK_STR("name", q->name),
            AK_STR("run", call->run_id ? call->run_id : q->id), AK_INT("status", status),
            AK_INT("durationMilliseconds", ak_now() - call->began), AK_INT("bytes", call->bytes),
            AK_STR("remoteAddress", call->peer), AK_STR("forwardedFor", call->forwarded_for),
            AK_STR("userAgent", call->agent), AK_BOOL("clientGone", call->client_gone),
            AK_STR("reason", call->err ? ak_error_reason(call->err) : NULL),
            AK_STR("message", call->err ? ak_error_message(call->err) : NULL));
}

void ak_invoke_count(struct ak_invoke_call *call, int status)
{
    struct ak_invoke *self = call->invoke;
    const struct ak_invoke_route *route = call->request.route;
    double seconds = (double)(ak_now() - call->began) / 1000;
    size_t bucket = 0;

    while (bucket < AK_INVOKE_N_BUCKETS && seconds > bounds[bucket])
        bucket++;
    ak_mutex_lock(&self->lock);
    self->stats.answers[route ? route->verb : AK_INVOKE_VERB_MAX][AK_MIN(status / 100, 5)]++;
    if (!call->is_stream) { /* how long somebody followed says nothing about us */
        self->stats.buckets[bucket]++;
        self->stats.seconds += seconds;
    }
    ak_mutex_unlock(&self->lock);
}

static const char *action_of(size_t verb)
{
    for (const struct ak_invoke_route *route = ak_invoke_routes; route->method; route++)
        if (route->verb == verb)
            return route->action;
    return "none";
}

static void add_counts(const struct ak_invoke_stats *stats, struct ak_invoke *self,
                       struct ak_metrics *m)
{
    static const char *const codes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

    ak_metrics_family(
        m, "agentkube_invoke_requests_total", "counter",
        "Calls of the invocation API by action and answer; none: the client went first.");
    for (size_t verb = 0; verb <= AK_INVOKE_VERB_MAX; verb++)
        for (size_t code = 0; code < AK_ARRAY_LEN(codes); code++)
            if (stats->answers[verb][code])
                ak_metrics_sample(m, "agentkube_invoke_requests_total",
                                  (double)stats->answers[verb][code], "action", action_of(verb),
                                  "code", codes[code], NULL);
    ak_metrics_family(m, "agentkube_invoke_streams", "gauge",
                      "Events and logs that are followed through this replica.");
    ak_metrics_sample(m, "agentkube_invoke_streams", (double)atomic_load(&self->n_streams), NULL);
    ak_metrics_family(m, "agentkube_invoke_unsent_bytes", "gauge",
                      "Bytes of answers that clients have not taken yet, streams not counted.");
    ak_metrics_sample(m, "agentkube_invoke_unsent_bytes", (double)atomic_load(&self->unsent), NULL);
}

static void add_lanes(struct ak_invoke *self, struct ak_metrics *m)
{
    static const char *const names[AK_LANE_MAX] = {"tokens", "calls", "starts", "tools"};

    ak_metrics_family(m, "agentkube_invoke_waiting", "gauge", "Calls that wait for a thread.");
    for (size_t i = 0; i < AK_LANE_MAX; i++)
        ak_metrics_sample(m, "agentkube_invoke_waiting",
                          (double)ak_pool_count(self->pool, i).waiting, "lane", names[i], NULL);
    ak_metrics_family(m, "agentkube_invoke_running", "gauge", "Calls that a thread works on.");
    for (size_t i = 0; i < AK_LANE_MAX; i++)
        ak_metrics_sample(m, "agentkube_invoke_running",
                          (double)ak_pool_count(self->pool, i).running, "lane", names[i], NULL);
}

void ak_invoke_metrics(struct ak_invoke *self, struct ak_metrics *m)
{
    static const char name[] = "agentkube_invoke_duration_seconds";

    ak_mutex_lock(&self->lock);
    struct ak_invoke_stats stats = self->stats;
    ak_mutex_unlock(&self->lock);
    add_counts(&stats, self, m);
    add_lanes(self, m);
    ak_metrics_family(m, name, "histogram", "Time until a call was answered, streams not counted.");
    ak_metrics_histogram(m, name, bounds, stats.buckets, AK_INVOKE_N_BUCKETS, stats.seconds, NULL);
}
