/* SPDX-License-Identifier: Apache-2.0 */
#include "exo/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ak/base/text.h>

#include "exo/output.h"
#include "exo/records.h"
#include "terminal/cells.h"
#include "terminal/table.h"

#define LABEL_COLUMNS 18
#define GOAL_COLUMNS 300
#define MAX_EVENTS 20

/* "Label:   text"; nothing if there is no text. Text of others is one line without control characters. */
static int line(struct ak_buf *out, int indent, const char *label, const char *text)
{
    if (ak_is_empty(text))
        return 0;
    int r = ak_buf_addf(out, "%*s%s:%*s", indent, "", label,
                        (int)AK_MAX(LABEL_COLUMNS - indent - (int)strlen(label) - 1, 1), "");
    if (r >= 0)
        r = ak_cells_add_line(out, text, strlen(text), 4096);
    return r < 0 ? r : ak_buf_add(out, "\n", 1);
}

/* What a row of the description reads: a path of at most four names. */
struct row {
    const char *label, *path[5]; /* NULL-terminated */
};

static const json_t *value_at(const json_t *tree, const char *const path[5])
{
    for (size_t i = 0; path[i]; i++)
        tree = json_object_get(tree, path[i]);
    return tree;
}

static int rows(struct ak_buf *out, int indent, const json_t *tree, const struct row *items,
                size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const json_t *value = value_at(tree, items[i].path);
        char number[32];
        if (json_is_string(value)) {
            r = line(out, indent, items[i].label, json_string_value(value));
        } else if (json_is_integer(value)) {
            (void)snprintf(number, sizeof(number), "%" PRId64, (int64_t)json_integer_value(value));
            r = line(out, indent, items[i].label, number);
        } else if (json_is_boolean(value)) {
            r = line(out, indent, items[i].label, json_is_true(value) ? "true" : "false");
        }
    }
    return r;
}

static int names(struct ak_buf *out, const char *label, const json_t *list)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(65536);
    int r = 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        bool ready = json_is_true(json_object_get(one, "ready"));
        r = ak_buf_addf(&text, "%s%s%s", i ? ", " : "",
                        ak_output_or(ak_json_text(one, "name", NULL), "?"),
                        ready ? "" : " (not ready)");
    }
    return r < 0 ? r : line(out, 0, label, ak_buf_text(&text));
}

static int pairs(struct ak_buf *out, const char *label, json_t *map)
{
    const char *key;
    json_t *value;
    bool first = true;
    int r = 0;

    json_object_foreach(map, key, value)
    {
        AK_AUTO(ak_buf) text = AK_BUF_INIT(1u << 20);
        if (r >= 0)
            r = ak_buf_addf(&text, "%s=%s", key, ak_output_or(json_string_value(value), ""));
        if (r >= 0 && first)
            r = line(out, 0, label, ak_buf_text(&text));
        else if (r >= 0)
            r = ak_buf_addf(out, "%*s%s\n", LABEL_COLUMNS, "", ak_buf_text(&text));
        first = false;
    }
    return r;
}

static int head(const json_t *agent, ak_msec now, struct ak_buf *out)
{
    static const struct row spec[] = {
        {"Runtime", {"spec", "runtime"}},
        {"Mode", {"spec", "mode"}},
        {"Paused", {"spec", "paused"}},
        {"Provider", {"status", "resolved", "provider"}},
        {"Model", {"status", "resolved", "model"}},
        {"Image", {"status", "resolved", "image"}},
        {"Gateway", {"status", "resolved", "gateway"}},
        {"Workspace", {"status", "resolved", "workspace"}},
        {"Goal from", {"status", "resolved", "goalSource"}},
    };
    static const struct row state[] = {
        {"Phase", {"status", "phase"}},
        {"Ready", {"status", "ready"}},
        {"Pod", {"status", "podName"}},
        {"Node", {"status", "nodeName"}},
        {"Restarts", {"status", "restarts"}},
        {"Active runs", {"status", "activeRuns"}},
        {"Schedule", {"status", "resolved", "schedule", "cron"}},
        {"Time zone", {"status", "resolved", "schedule", "timeZone"}},
        {"Next run", {"status", "nextRunTime"}},
        {"Last run", {"status", "lastRunTime"}},
        {"Result", {"status", "lastRunPhase"}},
        {"Last termination", {"status", "lastTermination", "reason"}},
        {"Message", {"status", "lastTermination", "message"}},
    };
    const char *goal = ak_json_text(agent, "spec", "goal", "inline", NULL);
    const char *created = ak_json_text(agent, "metadata", "creationTimestamp", NULL);
    char age[32];

    int r = line(out, 0, "Name", ak_json_text(agent, "metadata", "name", NULL));
    if (r >= 0)
        r = line(out, 0, "Namespace", ak_json_text(agent, "metadata", "namespace", NULL));
    if (r >= 0)
        r = pairs(out, "Labels", ak_json_at(agent, "metadata", "labels", NULL));
    if (r >= 0)
        r = line(out, 0, "Age", ak_output_age(created, now, age));
    if (r >= 0)
        r = rows(out, 0, agent, spec, AK_ARRAY_LEN(spec));
    if (r >= 0 && goal) {
        AK_AUTO(ak_buf) cut = AK_BUF_INIT(8192);
        r = ak_cells_add_line(&cut, goal, strlen(goal), GOAL_COLUMNS);
        if (r >= 0)
            r = line(out, 0, "Goal", ak_buf_text(&cut));
    }
    if (r >= 0)
        r = names(out, "Tools", ak_json_at(agent, "status", "resolved", "tools", NULL));
    if (r >= 0)
        r = names(out, "MCPs", ak_json_at(agent, "status", "resolved", "mcps", NULL));
    return r < 0 ? r : rows(out, 0, agent, state, AK_ARRAY_LEN(state));
}

static int indent_table(struct ak_table *table, const char *title, struct ak_buf *out)
{
    AK_AUTO(ak_buf) text = AK_BUF_INIT(8u << 20);
    int r = ak_table_write(table, &text);
    const char *at = ak_buf_text(&text);

    if (r >= 0)
        r = ak_buf_addf(out, "%s:\n", title);
    while (r >= 0 && *at) {
        size_t len = strcspn(at, "\n");
        r = ak_buf_addf(out, "  %.*s\n", (int)len, at);
        at += len + (at[len] == '\n');
    }
    return r;
}

static int conditions(const json_t *agent, ak_msec now, struct ak_buf *out)
{
    const json_t *list = ak_json_at(agent, "status", "conditions", NULL);
    AK_AUTO(ak_table) table = {0};
    int r = ak_table_add(&table, "TYPE", "STATUS", "SINCE", "REASON", "MESSAGE");

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        char age[32];
        r = ak_table_add(&table, ak_json_text(one, "type", NULL), ak_json_text(one, "status", NULL),
                         ak_output_age(ak_json_text(one, "lastTransitionTime", NULL), now, age),
                         ak_json_text(one, "reason", NULL), ak_json_text(one, "message", NULL));
    }
    return r < 0 || !json_array_size(list) ? r : indent_table(&table, "Conditions", out);
}

static int problems(const json_t *agent, struct ak_buf *out)
{
    const json_t *list = ak_json_at(agent, "status", "resolved", "problems", NULL);
    int r = json_array_size(list) ? ak_buf_adds(out, "Problems:\n") : 0;

    for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
        const char *text = ak_output_or(json_string_value(json_array_get(list, i)), "");
        r = ak_buf_adds(out, "  ");
        if (r >= 0)
            r = ak_cells_add_line(out, text, strlen(text), 4096);
        if (r >= 0)
            r = ak_buf_add(out, "\n", 1);
    }
    return r;
}

static int runs(const json_t *agent, ak_msec now, struct ak_buf *out)
{
    const json_t *list = ak_json_at(agent, "status", "runs", NULL);
    size_t n = json_array_size(list);
    AK_AUTO(ak_table) table = {0};
    char title[64];
    int r = ak_record_header(&table, false, false, false);

    for (size_t i = 0; r >= 0 && i < n && i < AK_DESCRIBE_RUNS; i++)
        r = ak_record_row(&table, json_array_get(list, i), false, false, false, now);
    (void)snprintf(title, sizeof(title), n > AK_DESCRIBE_RUNS ? "Runs (%d of %zu)" : "Runs",
                   AK_DESCRIBE_RUNS, n);
    return r < 0 || !n ? r : indent_table(&table, title, out);
}

static const char *time_of(const json_t *event)
{
    const char *at = ak_json_text(event, "lastTimestamp", NULL);
    return ak_output_or(at ? at : ak_json_text(event, "eventTime", NULL), "");
}

static int by_time(const void *a, const void *b)
{
    return strcmp(time_of(*(json_t *const *)a), time_of(*(json_t *const *)b));
}

static int happened(const json_t *list, ak_msec now, struct ak_buf *out)
{
    const json_t *sorted[512];
    size_t n = AK_MIN(json_array_size(list), AK_ARRAY_LEN(sorted));
    AK_AUTO(ak_table) table = {0};
    int r = ak_table_add(&table, "TYPE", "REASON", "AGE", "MESSAGE");

    for (size_t i = 0; i < n; i++)
        sorted[i] = json_array_get(list, i);
    qsort(sorted, n, sizeof(sorted[0]), by_time); /* RFC 3339 in UTC sorts as text */
    for (size_t i = n > MAX_EVENTS ? n - MAX_EVENTS : 0; r >= 0 && i < n; i++) {
        json_int_t count = json_integer_value(json_object_get(sorted[i], "count"));
        char age[32], times[64];
        (void)ak_output_age(time_of(sorted[i]), now, age);
        (void)snprintf(times, sizeof(times), count > 1 ? "%s (x%" PRId64 ")" : "%s", age,
                       (int64_t)count);
        r = ak_table_add(&table, ak_json_text(sorted[i], "type", NULL),
                         ak_json_text(sorted[i], "reason", NULL), times,
                         ak_json_text(sorted[i], "message", NULL));
    }
    return r < 0 || !n ? r : indent_table(&table, "Events", out);
}

int ak_describe_agent(const json_t *agent, const json_t *events, ak_msec now, struct ak_buf *out)
{
    int r = head(agent, now, out);

    if (r >= 0)
        r = problems(agent, out);
    if (r >= 0)
        r = conditions(agent, now, out);
    if (r >= 0)
        r = runs(agent, now, out);
    return r < 0 ? r : happened(events, now, out);
}
