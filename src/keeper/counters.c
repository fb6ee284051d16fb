/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/counters.h"

#include <stdio.h>

#include <ak/manage/metrics.h>

static const double bounds[AK_COUNTERS_BOUNDS] = {0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

static const char *const door_names[AK_DOOR_MAX] = {
    [AK_DOOR_MODEL] = "model",
    [AK_DOOR_MCP] = "mcp",
    [AK_DOOR_RELAY] = "relay",
};

const char *ak_keeper_door_to_string(enum ak_keeper_door door)
{
    return door_names[door];
}

void ak_counters_begin(struct ak_keeper_counters *self, enum ak_keeper_door door)
{
    self->doors[door].open++;
}

void ak_counters_end(struct ak_keeper_counters *self, enum ak_keeper_door door, int status)
{
    struct ak_door_counters *d = &self->doors[door];

    d->open--;
    d->answers[status > 0 && status < (int)AK_ARRAY_LEN(d->answers) ? status : 0]++;
}

void ak_counters_model_head(struct ak_keeper_counters *self, ak_msec after)
{
    double seconds = (double)after / 1000;
    size_t i = 0;

    while (i < AK_COUNTERS_BOUNDS && seconds > bounds[i])
        i++;
    self->model_head_counts[i]++;
    self->model_head_seconds += seconds;
}

static void add_answers(const struct ak_keeper_counters *self, struct ak_metrics *m)
{
    static const char name[] = "agentkube_keeper_requests_total";

    ak_metrics_family(m, name, "counter",
                      "Requests that have ended, by door and HTTP status; "
                      "code 0: the client went before there was an answer.");
    for (int door = 0; door < AK_DOOR_MAX; door++)
        for (size_t code = 0; code < AK_ARRAY_LEN(self->doors[door].answers); code++) {
            uint64_t n = self->doors[door].answers[code];
            char text[8];

            if (!n)
                continue;
            (void)snprintf(text, sizeof(text), "%zu", code);
            ak_metrics_sample(m, name, (double)n, "door", door_names[door], "code", text, NULL);
        }
}

static void add_open(const struct ak_keeper_counters *self, struct ak_metrics *m)
{
    static const char name[] = "agentkube_keeper_open_requests";

    ak_metrics_family(m, name, "gauge", "Requests under way, streams included.");
    for (int door = 0; door < AK_DOOR_MAX; door++)
        ak_metrics_sample(m, name, (double)self->doors[door].open, "door", door_names[door], NULL);
}

static void add_model(const struct ak_keeper_counters *self, struct ak_metrics *m)
{
    static const char bytes[] = "agentkube_keeper_model_bytes_total";
    static const char head[] = "agentkube_keeper_model_head_seconds";

    ak_metrics_family(m, bytes, "counter", "Bytes of bodies between the agent and its model.");
    ak_metrics_sample(m, bytes, (double)self->model_bytes_in, "direction", "to_model", NULL);
    ak_metrics_sample(m, bytes, (double)self->model_bytes_out, "direction", "to_agent", NULL);
    ak_metrics_family(m, head, "histogram", "Time until the head of the model's answer.");
    ak_metrics_histogram(m, head, bounds, self->model_head_counts, AK_COUNTERS_BOUNDS,
                         self->model_head_seconds, NULL);
}

int ak_counters_write(const struct ak_keeper_counters *self, struct ak_buf *out)
{
    struct ak_metrics m = AK_METRICS_INIT;
    int r;

    add_answers(self, &m);
    add_open(self, &m);
    add_model(self, &m);
    ak_metrics_family(&m, "agentkube_keeper_mcp_sessions", "gauge", "MCP sessions.");
    ak_metrics_sample(&m, "agentkube_keeper_mcp_sessions", (double)self->mcp_sessions, NULL);
    ak_metrics_process(&m);
    r = m.error < 0 ? m.error : ak_buf_add(out, ak_buf_text(&m.out), m.out.len);
    ak_buf_done(&m.out);
    return r;
}
