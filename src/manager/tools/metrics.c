/* SPDX-License-Identifier: Apache-2.0 */
#include <ak/base/text.h>

#include "manager/tools/tools_internal.h"

static const double bounds[AK_TOOLS_COLD_BUCKETS] = {0.25, 0.5, 1, 2, 3, 5, 10, 20, 60, 120};
static const char *const verdicts[AK_TOOLS_VERDICT_MAX] = {"Allowed", "Refused", "Failed", "Other"};

void ak__tools_count(struct ak_tools *self, const char *type, const char *verdict)
{
    size_t v = 0;
    int t = type ? (int)ak_tool_type_from_string(type) : 0;

    while (v + 1 < AK_TOOLS_VERDICT_MAX && !ak_streq(verdict, verdicts[v]))
        v++;
    ak_mutex_lock(&self->lock);
    self->counts.operations[t > 0 && t < AK_TOOL_TYPE_MAX ? t : 0][v]++;
    ak_mutex_unlock(&self->lock);
}

void ak__tools_count_cold(struct ak_tools *self, ak_msec took)
{
    double seconds = (double)took / 1000;
    size_t i = 0;

    while (i < AK_TOOLS_COLD_BUCKETS && seconds > bounds[i])
        i++;
    self->counts.cold[i]++;
    self->counts.cold_sum += seconds;
}

static void add_operations(const struct ak_tools_counts *counts, struct ak_metrics *m)
{
    static const char name[] = "agentkube_tool_operations_total";

    ak_metrics_family(m, name, "counter",
                      "Operations, statements and sessions of Tools, by the Tool's type and what "
                      "became of them.");
    for (int t = 0; t < AK_TOOL_TYPE_MAX; t++)
        for (size_t v = 0; v < AK_TOOLS_VERDICT_MAX; v++)
            if (counts->operations[t][v])
                ak_metrics_sample(m, name, (double)counts->operations[t][v], "type",
                                  t ? ak_tool_type_to_string((enum ak_tool_type)t) : "unknown",
                                  "verdict", verdicts[v], NULL);
}

static void add_counter(struct ak_metrics *m, const char *name, const char *help, uint64_t value)
{
    ak_metrics_family(m, name, "counter", help);
    ak_metrics_sample(m, name, (double)value, NULL);
}

static void add_gauge(struct ak_metrics *m, const char *name, const char *help, size_t value)
{
    ak_metrics_family(m, name, "gauge", help);
    ak_metrics_sample(m, name, (double)value, NULL);
}

void ak_tools_metrics(struct ak_tools *self, struct ak_metrics *m)
{
    static const char cold[] = "agentkube_tool_cold_start_seconds";
    size_t it = 0, sessions = 0, bastions = 0, waiting = 0;
    const char *key;
    void *value;

    ak_mutex_lock(&self->lock);
    struct ak_tools_counts counts = self->counts;
    size_t held = self->held;
    while (ak_map_next(&self->entries, &it, &key, &value)) {
        const struct ak_tool_entry *e = value;
        sessions += e->sessions;
        bastions += e->synced;
        waiting += e->waiting;
    }
    ak_mutex_unlock(&self->lock);
    add_operations(&counts, m);
    add_gauge(m, "agentkube_tool_sessions", "Sessions that bastions have.", sessions);
    add_gauge(m, "agentkube_tool_bastions", "Bastions that are followed.", bastions);
    add_gauge(m, "agentkube_tool_waiting", "Calls that wait for a bastion.", waiting);
    add_gauge(m, "agentkube_tool_approvals_held", "Calls that wait for a person.", held);
    add_counter(m, "agentkube_tool_audit_records_total", "Audit records that bastions gave us.",
                counts.records);
    add_counter(m, "agentkube_tool_audit_dropped_total",
                "Audit records that bastions could not keep until they were taken.",
                counts.dropped);
    add_counter(m, "agentkube_tool_recordings_total", "Recordings of terminals that were kept.",
                counts.recordings);
    add_counter(m, "agentkube_tool_recordings_failed_total",
                "Recordings of terminals that could not be taken or kept.",
                counts.recordings_failed);
    ak_metrics_family(m, cold, "histogram",
                      "Time that a call waited for a bastion that was not there.");
    ak_metrics_histogram(m, cold, bounds, counts.cold, AK_TOOLS_COLD_BUCKETS, counts.cold_sum,
                         NULL);
}
